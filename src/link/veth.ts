/**
 * veth: two links joined back to back, mostly with each end in another namespace (veth(4)).
 *
 * @module
 */
import { sameNetNs } from "../../ffi/namespace.ts";
import { connectionTo, type ResolvedNetNs } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { atCaller, checkOptions, show } from "../options.ts";
import { checkLinkName } from "../rtnetlink/fields.ts";
import { getLink, type LinkMessage } from "../rtnetlink/link.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import type { NoOptions } from "../rtnetlink/link_kinds/kind.ts";
import { LinkBase } from "./base.ts";
import { findLink, type LinkGetOptions, type LinkState, peerOf } from "./find.ts";
import {
  checkEncoding,
  createEnd,
  ETHERNET,
  finishEnd,
  LaterRequests,
  own,
  resolveEnd,
  undoing,
} from "./create.ts";
import {
  type End,
  END_OPTIONS,
  type LinkEndOptions,
  type LinkOptions,
  prepareEnd,
} from "./options.ts";
import type { PeerEnd } from "../traffic/impair.ts";
import { takenReason } from "./verify.ts";
import { scopes } from "../scope/scope.ts";

/** Options of {@link Veth.create}: one end's, and the other's in `peer`. */
export interface VethCreateOptions extends Omit<LinkOptions, "linkNetns" | "link"> {
  /** The other end. It takes every option that the first end takes. */
  readonly peer: LinkEndOptions;
}

/** The codes for a name or an index that is taken. */
const TAKEN: readonly string[] = ["EEXIST", "EBUSY"];

const OPTIONS = { ...END_OPTIONS, scope: true, peer: END_OPTIONS } as const;

/**
 * One end of a veth pair. Deleting it deletes the other.
 *
 * @example Two namespaces joined
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using ns1 = NetNs.create();
 * using ns2 = NetNs.create();
 * const veth = Veth.create({
 *   name: "tap1",
 *   netns: ns1,
 *   up: true,
 *   addresses: ["192.168.123.1/24"],
 *   peer: { name: "tap2", netns: ns2, up: true, addresses: ["192.168.123.2/24"] },
 * });
 * await veth.waitFor((link) => link.operstate === "up");
 * const result = await ns1.ping("192.168.123.2");
 * assertEquals(result.received, 1);
 * ```
 */
export class Veth extends LinkBase {
  /** The kernel's name of the kind. */
  static readonly kind = "veth";

  #peer: Veth | undefined;

  /** For {@link Link.get} and {@link Veth.create}: wraps an end that was created or found. */
  constructor(state: LinkState, peer?: Veth) {
    super(state);
    this.#peer = peer;
  }

  /**
   * The other end: the handle that {@link Veth.create} has, or a borrowed one, which is looked for in the
   * namespaces that are within reach. In a namespace of a scope it ends with the scope. In another one it
   * holds the namespace open: end it, as with `using`, before that namespace is to be removed.
   *
   * @throws {NetlinkError} ENODEV when no namespace within reach has it: the error names the id of that
   * namespace and the places that were searched.
   */
  get peer(): Veth {
    return this.#peer ??= new Veth(peerOf(this), this);
  }

  /** Without a search, where this handle knows the other end. */
  protected override peerEnd(): PeerEnd | undefined {
    const link = this.#peer;
    if (!link || link.ref.fd.closed) return super.peerEnd();
    // It may have been moved without this handle.
    const [found] = connectionTo(link.ref).batch([getLink(link.index, { stats: false })]);
    const here = found!.ok && (found!.value as LinkInfo).peer === this.index;
    return here ? { link, close: () => {} } : super.peerEnd();
  }

  /** A veth has no options of its own. */
  override options(): NoOptions {
    return super.options();
  }

  /** Deletes both ends, and closes the descriptors of both handles. */
  override delete(): void {
    super.delete();
    this.#release();
  }

  /** As for every link; the handle of the other end closes with this one. */
  override [Symbol.dispose](): void {
    try {
      super[Symbol.dispose]();
    } finally {
      this.#release();
    }
  }

  #release(): void {
    const peer = this.#peer;
    this.#peer = undefined;
    if (!peer) return;
    if (peer.#peer === this) peer.#peer = undefined;
    peer[Symbol.dispose]();
  }

  /**
   * Creates a pair.
   *
   * @param options The first end, and the other one in `peer`. Each end lives in its `netns`; default:
   * its master's namespace, otherwise the current one.
   * @returns The owning handle of the first end; its `peer` is a borrowed one.
   * @throws {NetlinkError} EEXIST when a name is taken, EBUSY for an `index` that is taken, EPERM without
   * privileges.
   * @throws {TypeError} For an unknown or malformed option; nothing is created then.
   */
  static create(options: VethCreateOptions): Veth {
    return atCaller(Veth.create, () => Veth.#create(options));
  }

  static #create(options: VethCreateOptions): Veth {
    checkOptions(options, OPTIONS);
    const { peer: peerOptions, scope, ...first } = options;
    if (peerOptions === undefined) {
      throw new TypeError("peer is missing: Veth.create() needs the other end's options");
    }
    checkOptions(peerOptions, END_OPTIONS, "peer");
    checkLinkName(first.name);
    checkLinkName(peerOptions.name, "peer.name");
    const nearNetNs = resolveEnd(first);
    let farNetNs: ResolvedNetNs | undefined;
    try {
      farNetNs = resolveEnd(peerOptions);
      const context = { scope, addressLength: ETHERNET };
      const near = prepareEnd(first, { ...context, ref: nearNetNs.ref });
      const far = prepareEnd(peerOptions, { ...context, ref: farNetNs.ref, place: "peer" });
      for (const { first, place } of [near, far]) checkEncoding(first, place);
      checkDistinct(near, far);
      for (const { ref } of [near, far]) if (scope !== undefined) scopes.visit(scope, ref);
      const swap = isOuter(far, near);
      const created = swap ? createPair(far, near) : createPair(near, far);
      const [nearLink, farLink] = swap ? [...created].reverse() : created;
      own(scope, "veth", near, nearLink!.index!, nearNetNs);
      own(scope, "veth", far, farLink!.index!, farNetNs);
      const other = new Veth(state(farNetNs, farLink!, false));
      const veth = new Veth(state(nearNetNs, nearLink!, true), other);
      other.#peer = veth;
      return veth;
    } catch (error) {
      if (nearNetNs.owned) nearNetNs.ref.close();
      if (farNetNs?.owned) farNetNs.ref.close();
      throw error;
    }
  }

  /**
   * Finds one end of a pair.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Its namespace.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When the link is not a veth.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Veth {
    return new Veth(findLink(selector, options, "veth"));
  }
}

function state(netns: ResolvedNetNs, { index, name }: LinkMessage, owned: boolean): LinkState {
  return { netns, kind: "veth", index: index!, name: name!, owned };
}

/**
 * Whether `far` has to be the outer end of the message: the kernel ignores a peer's master, and heeds a
 * peer's index only when the outer end has one, too.
 */
function isOuter(far: End, near: End): boolean {
  if (near.first.index === undefined && far.first.index !== undefined) return true;
  if (near.first.index !== undefined && far.first.index === undefined) return false;
  return near.first.master === undefined && far.first.master !== undefined;
}

/** Creates both ends with one message, and returns them as the kernel reports them. */
function createPair(outer: End, inner: End): [LinkMessage, LinkMessage] {
  // A peer can be neither brought up nor given a master in the creating message.
  const { flags, change, master, ...peer } = inner.first;
  const rest: LinkMessage = { ...inner.later };
  if (change) Object.assign(rest, { flags: flags!, change });
  if (master !== undefined) rest.master = master;
  const here = sameNetNs(inner.ref, outer.ref);
  if (!here) peer.netnsFd = inner.ref.fd.value;

  const follower: End = { ...inner, first: peer, later: rest };
  const outerLater = new LaterRequests("veth", outer);
  const innerLater = new LaterRequests("veth", follower);
  const what = `veth ${show(outer.options.name)} with peer ${show(inner.options.name)}`;
  const linkInfo = { kind: "veth", data: { peer } };
  // In one namespace the same send reads both ends.
  const also = here ? [inner.options.name] : [];
  const [made, other] = explained(
    [outer, inner],
    what,
    () => createEnd("veth", outer, { linkInfo }, { what, also }),
  );
  return undoing(outer.ref, "veth", made!, () => [
    finishEnd("veth", outer, outerLater, made!),
    finishEnd("veth", follower, innerLater, other ?? { index: made!.parent! }),
  ]);
}

/** Refuses one name or index for both ends in one namespace: no other link has it that could be named. */
function checkDistinct(near: End, far: End): void {
  if (!sameNetNs(near.ref, far.ref)) return;
  for (const key of ["name", "index"] as const) {
    const value = far.first[key];
    if (value === undefined || value !== near.first[key]) continue;
    throw new TypeError(
      `peer.${key} must be another one than the first end's in the same namespace: got ${
        show(value)
      }`,
    );
  }
}

/**
 * The error for a taken name or index names the end that asks for it, and its namespace. For a taken index of the inner
 * end the kernel answers EBUSY.
 */
function explained<T>([outer, inner]: readonly [End, End], what: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof NetlinkError) || !TAKEN.includes(error.code)) throw error;
    const { errno, ack } = error;
    for (const { ref, first, place } of [outer, inner]) {
      const hint = takenReason(first, ref, place);
      if (hint === undefined) continue;
      throw new NetlinkError({
        operation: `create ${what}`,
        netns: ref.description,
        errno,
        ack,
        hint,
      });
    }
    throw error;
  }
}
