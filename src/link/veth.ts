/**
 * veth: two links joined back to back, mostly with each end in another namespace (veth(4)).
 *
 * @module
 */
import { sameNetNs } from "../../ffi/namespace.ts";
import type { Field } from "../netlink/attribute.ts";
import { schema } from "../netlink/schema.ts";
import type { resolveNetNs } from "../netlink/target.ts";
import { registerKind } from "../rtnetlink/kinds.ts";
import { type LinkMessage, readLink, writeLink } from "../rtnetlink/link.ts";
import { linkSchema } from "../rtnetlink/link_attributes.ts";
import { checkLater, createEnd, finishEnd, own, resolveEnd, undoing } from "./create.ts";
import { Link, LinkBase, type LinkState } from "./link.ts";
import { type LinkEndOptions, type LinkOptions, prepareEnd } from "./options.ts";
import { show } from "../options.ts";

/** Attribute numbers (`linux/veth.h`). */
export const VETH_INFO = { PEER: 1 } as const;

/** Options of a veth pair in IFLA_INFO_DATA. */
interface VethData {
  peer?: LinkMessage;
}

/** A nest that starts with `struct ifinfomsg`. */
const peer: Field<LinkMessage> = {
  type: VETH_INFO.PEER,
  innerHeader: 16,
  schema: linkSchema,
  write: (writer, value) => writeLink(writer, value, "peer."),
  read: (source, at, length) => readLink(source, at, at + length),
};

registerKind<VethData>({
  kind: "veth",
  data: schema<VethData>("VETH_INFO_", VETH_INFO, { peer }),
  notReadBack: ["peer"],
});

/** Options of {@link Veth.create}: one end's, and the other's in `peer`. */
export interface VethOptions extends LinkOptions {
  /** The other end. Everything that can be said of the first end can be said of it. */
  readonly peer: LinkEndOptions;
}

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
  /** The other end. */
  readonly peer: Link;

  private constructor(state: LinkState, peer: Link) {
    super(state);
    this.peer = peer;
  }

  /** Deletes both ends, and closes what either handle has opened. */
  override delete(): void {
    super.delete();
    this.peer[Symbol.dispose]();
  }

  /** As for every link; the handle of the other end closes with this one. */
  override [Symbol.dispose](): void {
    try {
      super[Symbol.dispose]();
    } finally {
      this.peer[Symbol.dispose]();
    }
  }

  /**
   * Makes a pair.
   *
   * @param options The first end, and the other one in `peer`. Each end lives in its `netns`; default:
   * its master's namespace, otherwise the one calls land in.
   * @returns The owning handle of the first end; its `peer` is a borrowed one.
   * @throws {NetlinkError} EEXIST when a name is taken, EPERM without privileges.
   * @throws {TypeError} For a malformed name, address or option; nothing is made then.
   */
  static create(options: VethOptions): Veth {
    const { peer: peerOptions, scope, ...first } = options;
    if (!peerOptions) throw new TypeError(`Veth.create() needs the other end's options in peer`);
    if ("scope" in peerOptions) {
      throw new TypeError("peer has scope: the scope is the pair's, one option beside peer");
    }
    const nearNetNs = resolveEnd(first);
    let farNetNs: ReturnType<typeof resolveNetNs> | undefined;
    try {
      farNetNs = resolveEnd(peerOptions);
      const near = prepareEnd(first, nearNetNs.ref, scope);
      const far = prepareEnd(peerOptions, farNetNs.ref, scope);
      // The kernel ignores a peer's master: the end that has one is the outer end of the message.
      const swap = near.first.master === undefined && far.first.master !== undefined;
      const [outer, inner] = swap ? [far, near] : [near, far];
      scope?.visit(near.ref);
      scope?.visit(far.ref);
      // A peer can be neither brought up nor given a master in the creating message.
      const { flags, change, master, ...data } = inner.first;
      const rest: LinkMessage = { ...inner.later };
      if (change) Object.assign(rest, { flags: flags!, change });
      if (master !== undefined) rest.master = master;
      if (!sameNetNs(inner.ref, outer.ref)) data.netnsFd = inner.ref.fd.value;

      checkLater("veth", outer);
      checkLater("veth", { ...inner, later: rest });
      const what = `veth ${show(outer.options.name)} with peer ${show(inner.options.name)}`;
      const made = createEnd("veth", outer, { peer: data }, {}, what);
      const [outerInfo, innerInfo] = undoing(outer.ref, "veth", made, () => {
        const done = finishEnd("veth", outer, made.index, made);
        return [done, finishEnd("veth", { ...inner, first: data, later: rest }, made.parent!)];
      });
      const [nearInfo, farInfo] = swap ? [innerInfo, outerInfo] : [outerInfo, innerInfo];
      own(scope, "veth", near, nearInfo, nearNetNs);
      own(scope, "veth", far, farInfo, farNetNs);
      const other = new Link({ netns: farNetNs, info: farInfo, kind: "veth", owned: false });
      return new Veth({ netns: nearNetNs, info: nearInfo, kind: "veth", owned: true }, other);
    } catch (error) {
      if (nearNetNs.owned) nearNetNs.ref.close();
      if (farNetNs?.owned) farNetNs.ref.close();
      throw error;
    }
  }
}
