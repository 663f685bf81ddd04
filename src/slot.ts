/**
 * Slots for the parts of the library that load with an entry point of their own: traffic control, nftables, pictures.
 *
 * @module
 */

/**
 * A member belongs to a part of the library that is not loaded: traffic control, nftables and pictures load with
 * entry points of their own, so that programs without them start faster.
 *
 * @example Traffic control without its entry point
 * ```ts
 * import { Link, MissingImportError, NetNs } from "@netloom/netloom";
 * import { assertThrows } from "@std/assert";
 *
 * using netns = NetNs.create();
 * assertThrows(
 *   () => Link.get("lo", { netns }).qdiscs,
 *   MissingImportError,
 *   'link.qdiscs needs traffic control: add import "@netloom/netloom/tc"',
 * );
 * ```
 */
export class MissingImportError extends TypeError {
  /** The class: `MissingImportError`. */
  override readonly name = "MissingImportError";
  /** The member that was used: `link.impair()`. */
  readonly member: string;
  /** The entry point to import: `@netloom/netloom/tc`. */
  readonly entry: string;

  /** Composes the message: the member, the part that it needs, the line to add. */
  constructor(member: string, { part, entry }: { readonly part: string; readonly entry: string }) {
    super(`${member} needs ${part}: add import "${entry}"`);
    this.member = member;
    this.entry = entry;
  }
}

/**
 * The place of a part that its entry point fills. Layers above the part declare what they need of it by the slot's
 * type, which costs no module.
 */
export class Slot<T extends object> {
  readonly #names: { readonly part: string; readonly entry: string };
  #part: T | undefined;

  /** @param names The part in words, and its entry point, both for errors. */
  constructor(names: { readonly part: string; readonly entry: string }) {
    this.#names = names;
  }

  /** Installs the part. */
  fill(part: T): void {
    this.#part = part;
  }

  /** The part, if its entry point is loaded. */
  get part(): T | undefined {
    return this.#part;
  }

  /**
   * The part, for a member that needs it.
   *
   * @param member The member, for the error: `link.impair()`.
   * @throws {MissingImportError} When the entry point is not loaded.
   */
  partFor(member: string): T {
    if (this.#part) return this.#part;
    throw new MissingImportError(member, this.#names);
  }
}

/**
 * Pictures, once their entry point is loaded. The slot is here, as a file of its own would be a module more for
 * every program.
 */
export const pictures: Slot<{
  /** Draws a namespace. */
  draw(netns: object, options: object): Promise<string>;
}> = new Slot({ part: "pictures", entry: "@netloom/netloom/view" });
