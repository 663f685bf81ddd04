/**
 * Impairments that end with a scope, on links that the scope does not own. A record says how to undo each after
 * `kill -9`: which links it is at; `removeImpairment()` finds the rest in the kernel.
 *
 * @module
 */
import { homeNetNs, type NetNsRef, openNetNs } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import type { NamedLink } from "../rtnetlink/link_target.ts";
import { isDenied, undone } from "../scope/namespaces.ts";
import { exclusively, linkRecordName, newGroup, type ScopeRecord } from "../scope/record.ts";
import { removeImpairment } from "../scope/redirects.ts";
import type { Scope } from "../scope/scope.ts";

/** Those of this thread, by the namespace and the index of each of their links. */
const held = new Map<string, HeldImpairment>();

const keyOf = ({ ref, index }: NamedLink): string => `${ref.cookie}:${index}`;

/** Whether there are any. */
export function isAnyHeld(): boolean {
  return held.size > 0;
}

/** The impairment that a scope holds, of a link or the other end of its pair. */
export function heldBy(ends: readonly NamedLink[]): HeldImpairment | undefined {
  return ends.map((end) => held.get(keyOf(end))).find((it) => it !== undefined);
}

/** An impairment that a scope takes off. */
export class HeldImpairment implements Disposable {
  /** The scope. */
  readonly scope: Scope;
  readonly #links: readonly NamedLink[];
  readonly #clear: () => void;
  readonly #ref: NetNsRef;
  #record: ScopeRecord | undefined;
  #released = false;

  /**
   * Notes an impairment that is about to be put in force.
   *
   * @param scope The scope.
   * @param ends The link, and the other end of its pair.
   * @param clear Takes the impairment off while the namespace of the link is open.
   */
  constructor(scope: Scope, ends: readonly NamedLink[], clear: () => void) {
    this.scope = scope;
    this.#clear = clear;
    this.#ref = ends[0]!.ref;
    // The caller may close its namespaces before the scope.
    this.#links = ends.map(({ ref, index, name, kind }) => ({ ref: own(ref), index, name, kind }));
    try {
      this.#record = note(this.#links);
      scope.use(this);
    } catch (error) {
      throw undone(error, () => this.release());
    }
    for (const end of ends) held.set(keyOf(end), this);
  }

  /** Lets the impairment be: it is off, or somebody else's. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const link of this.#links) {
      if (held.get(keyOf(link)) === this) held.delete(keyOf(link));
      if (link.ref !== homeNetNs()) link.ref.close();
    }
    this.#record?.remove();
  }

  /** Takes the impairment off. */
  [Symbol.dispose](): void {
    if (this.#released) return;
    if (!this.#ref.fd.closed) this.#clear();
    else for (const link of this.#links) removeImpairment(connectionTo(link.ref), link);
    this.release();
  }
}

function own(ref: NetNsRef): NetNsRef {
  if (ref === homeNetNs()) return ref;
  return openNetNs(`/proc/self/fd/${ref.fd.value}`, ref.description, ref.netnsName);
}

/** Writes the undo down; nowhere when this user has no place for records. */
function note(links: readonly NamedLink[]): ScopeRecord | undefined {
  const group = newGroup();
  let record: ScopeRecord;
  try {
    record = exclusively((directory) => directory.create(linkRecordName(group), group));
  } catch (error) {
    if (isDenied(error)) return undefined;
    throw error;
  }
  for (const { ref, index, name, kind } of links) {
    const cookie = `${ref.cookie}`;
    record.append({ visited: ref.label, cookie });
    record.append({ impaired: name, index, ...(kind !== undefined && { kind }), cookie });
  }
  return record;
}
