/**
 * Links of any kind: found, and created by the name of their kind.
 *
 * @module
 */
import { atCaller, checkOptions, type OptionNames, show } from "../options.ts";
import { linkKind } from "../rtnetlink/link_info.ts";
import { nearestKind } from "../rtnetlink/unsupported.ts";
import type { LinkTarget } from "../rtnetlink/link_target.ts";
import { LinkBase } from "./base.ts";
import { findLink, type LinkGetOptions, type LinkState } from "./find.ts";
import { createBare, createKind } from "./create.ts";
import * as classes from "./kinds.ts";
import { type LinkOptions, WITH_PARENT } from "./options.ts";

/** Options of {@link Link.create}. */
export interface LinkCreateOptions extends LinkOptions {
  /** The kernel's name of the kind: `bridge`, `vxlan`, `dummy`, ... */
  readonly kind: string;
  /** The kind's own options, by the names of its class; bytes for a kind that netloom does not know. */
  readonly options?: object;
  /** The link this one sits on, for kinds that have one. */
  readonly parent?: LinkTarget;
}

const CREATE_OPTIONS: OptionNames<LinkCreateOptions> = {
  ...WITH_PARENT,
  kind: true,
  options: true,
};

/** A class in `kinds.ts` that wraps a link. */
interface LinkClass {
  readonly kind: string;
  new (state: LinkState): LinkBase;
}

let byKind: Map<string, LinkClass> | undefined;

function classOf(kind: string | undefined): LinkClass | undefined {
  byKind ??= new Map(
    Object.values<unknown>(classes).filter(isLinkClass).map((it) => [it.kind, it]),
  );
  return kind === undefined ? undefined : byKind.get(kind);
}

function isLinkClass(value: unknown): value is LinkClass {
  return typeof value === "function" && Object.hasOwn(value, "kind");
}

/**
 * A link of any kind.
 *
 * Every link is an instance of `Link`; those that {@link Link.get} finds are also instances of the class
 * of their kind.
 *
 * @example The options of a link of any kind
 * ```ts
 * import { Bridge, Link, NetNs } from "@netloom/netloom";
 * import { assert } from "@std/assert";
 *
 * using netns = NetNs.create();
 * Bridge.create({ name: "br0", netns, stp: true });
 * const link = Link.get("br0", { netns });
 * assert(link instanceof Bridge && link.options().stp);
 * ```
 */
export class Link extends LinkBase {
  /** Tells links of all kinds, also those of classes that extend {@link LinkBase} alone. */
  static override [Symbol.hasInstance](value: unknown): value is Link {
    return value instanceof LinkBase;
  }

  /**
   * Creates a link of any kind, also one that netloom has no class for. The other end of a pair gets a name
   * from the kernel.
   *
   * @param options The options of every link, the `kind`, and its own options in `options`.
   * @returns The owning handle, of the kind's class where there is one.
   * @throws {NetlinkError} EEXIST when the name is taken.
   * @throws {UnsupportedError} When the kernel lacks the kind or an option of it.
   * @throws {TypeError} For an unknown or malformed option; nothing is created then.
   *
   * @example A kind by its name
   * ```ts
   * import { Link, NetNs } from "@netloom/netloom";
   *
   * using netns = NetNs.create();
   * Link.create({ kind: "bridge", name: "br0", netns, options: { stp: true } });
   * ```
   */
  static create(options: LinkCreateOptions): Link {
    return atCaller(Link.create, () => Link.#create(options));
  }

  static #create(options: LinkCreateOptions): Link {
    checkOptions(options, CREATE_OPTIONS);
    const { kind, options: own = {}, ...common } = options;
    if (typeof kind !== "string" || kind === "") {
      throw new TypeError(`kind must be the name of a link kind: got ${show(kind)}`);
    }
    const entry = linkKind(kind);
    if (entry?.createdBy !== undefined) {
      throw new TypeError(`Links of the kind ${show(kind)} come from ${entry.createdBy}`);
    }
    if (!entry) {
      const bytes = bytesOf(own, kind);
      return new Link({ ...createBare({ kind, bytes }, common), owned: true });
    }
    checkOptions(own, entry.options ?? {}, "options");
    const created = createKind(entry, { ...settingsApart(common, entry.options ?? {}), ...own });
    const Class = classOf(kind) ?? Link;
    return new Class({ ...created, owned: true }) as Link;
  }

  /**
   * Finds a link. The kernel looks up this one; no table is read.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Its namespace.
   * @returns A borrowed handle, of the class of the link's kind: disposing it does not delete the link.
   * A TUN or TAP comes as a `Link`; its device comes by `Tun.attach` or `Tap.attach`.
   * @throws {NetlinkError} ENODEV when there is none.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Link {
    const state = findLink(selector, options);
    const Class = classOf(state.kind) ?? Link;
    return new Class(state) as Link;
  }
}

function bytesOf(own: object, kind: string): Uint8Array | undefined {
  if (own instanceof Uint8Array) return own;
  if (Object.keys(own).length === 0) return undefined;
  const near = nearestKind(kind);
  throw new TypeError(
    near === undefined
      ? `options of the kind ${
        show(kind)
      } must be a Uint8Array (IFLA_INFO_DATA): netloom does not ` +
        "know this kind's options"
      : `kind ${show(kind)} is unknown, and has no options: did you mean ${show(near)}?`,
  );
}

/** Moves settings that have the name of one of the kind's own options into `link`. */
function settingsApart(common: object, own: object): object {
  const link: Record<string, unknown> = { ...(common as Partial<LinkOptions>).link };
  const rest: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(common)) {
    (Object.hasOwn(own, key) ? link : rest)[key] = value;
  }
  return Object.keys(link).length > 0 ? { ...rest, link } : rest;
}
