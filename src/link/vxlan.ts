/**
 * vxlan: Ethernet in UDP, to one or many tunnel endpoints (RFC 7348).
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import {
  addAll,
  convert,
  deleteAll,
  flushAll,
  type Inspect,
  inspectList,
  type Many,
  replaceAll,
} from "../netlink/collection.ts";
import type { Connection } from "../netlink/connection.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { atCaller, checkNoArguments, checkOptions, type OptionNames } from "../options.ts";
import { formatIp, formatMac, parseIp, parseMac } from "../packet/address.ts";
import { deleteFdb, dumpFdb, type FdbInfo, type FdbMessage, newFdb } from "../rtnetlink/fdb.ts";
import { vxlan, type VxlanInfo, type VxlanOptions } from "../rtnetlink/link_kinds/vxlan.ts";
import { describeLink, indexOf, type LinkTarget, titleOf } from "../rtnetlink/link_target.ts";
import { LinkBase } from "./base.ts";
import { findLink, type LinkGetOptions } from "./find.ts";
import { createKind } from "./create.ts";
import type { LinkOptions, LinkSettings } from "./options.ts";

export type {
  VxlanDf,
  VxlanInfo,
  VxlanLabelPolicy,
  VxlanOptions,
} from "../rtnetlink/link_kinds/vxlan.ts";

/**
 * Options of {@link Vxlan.create}. `group` and `port` are the tunnel's; the link's group number and the
 * options as a port of a bridge are in `link`.
 */
export interface VxlanCreateOptions extends Omit<LinkOptions, keyof VxlanOptions>, VxlanOptions {}

/** Settings of {@link Vxlan.set}. The kernel changes some options only at creation. */
export interface VxlanSettings extends Omit<LinkSettings, keyof VxlanOptions>, VxlanOptions {
  /** Settings whose name is one of the tunnel's options: `group`, `port`. */
  readonly link?: LinkSettings;
}

/** A forwarding entry of a vxlan link: the tunnel endpoint that an inner address is behind. */
export interface VxlanFdbEntry {
  /** The inner Ethernet address; all zeros for frames that no other entry matches, broadcast included. */
  readonly mac: string;
  /** IP address of the tunnel endpoint. */
  readonly dst: string;
  /** UDP port there. Default: the link's `port`. */
  readonly port?: number;
  /** VNI to send with. Default: the link's `id`. */
  readonly vni?: number;
  /** VNI that the entry is for, where the link is `external`. */
  readonly srcVni?: number;
  /** The link to send by: a handle, or a name or index in the vxlan's namespace. */
  readonly dev?: LinkTarget;
}

const ENTRY: OptionNames<VxlanFdbEntry> = {
  mac: true,
  dst: true,
  port: true,
  vni: true,
  srcVni: true,
  dev: true,
};

/**
 * The forwarding entries of a vxlan link.
 *
 * @example Broadcast frames to two tunnel endpoints
 * ```ts
 * import { NetNs, Vxlan } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const { fdb } = Vxlan.create({ name: "vx0", netns, id: 42, port: 4789 });
 * const mac = "00:00:00:00:00:00";
 * fdb.add([{ mac, dst: "192.0.2.1" }, { mac, dst: "192.0.2.2" }]);
 * assertEquals(fdb.list().map(({ dst }) => dst), ["192.0.2.1", "192.0.2.2"]);
 * ```
 */
export class VxlanFdb {
  readonly #link: Vxlan;

  /** For {@link Vxlan.fdb}. */
  constructor(link: Vxlan) {
    this.#link = link;
  }

  /** Reads the entries, learned ones included; one for each destination of an address. */
  list(): FdbInfo[] {
    checkNoArguments(arguments, "list");
    const { ref, index } = this.#link;
    return connectionTo(ref).dump(dumpFdb({ index }))
      .filter(({ flags, dst }) => flags.includes("self") && dst !== undefined);
  }

  /**
   * Adds destinations, all or none. An address may have several where it stands for many: all zeros, or
   * multicast.
   *
   * @param entries One or many; they are sent together.
   * @throws {NetlinkError} EEXIST when the destination, or a unicast address, has an entry.
   * @throws {BatchError} When one of many is refused: those that this call has added are deleted again.
   */
  add(entries: Many<VxlanFdbEntry>): void {
    const messages = this.#messages(entries);
    this.#refuseTwice(messages.filter(({ mac }) => isMany(mac)));
    const request = (entry: FdbMessage) => newFdb(entry, { append: isMany(entry.mac) });
    addAll(this.#connection, messages, request, (done) => done.map(deleteEntry));
  }

  /**
   * Sets one destination for each address, in place of all earlier ones.
   *
   * @param entries As for {@link VxlanFdb.add}.
   * @throws {BatchError} When one of many is refused: those that this call has added are deleted again.
   */
  replace(entries: Many<VxlanFdbEntry>): void {
    replaceAll(
      this.#connection,
      this.#messages(entries),
      (entry, replace) => newFdb(entry, { replace }),
      (done) => done.map(deleteEntry),
    );
  }

  /**
   * Deletes destinations.
   *
   * @param entries As for {@link VxlanFdb.add}.
   * @throws {NetlinkError} ENOENT when one is not there; none is deleted then.
   */
  delete(entries: Many<VxlanFdbEntry>): void {
    const messages = this.#messages(entries);
    const there = this.#keys();
    for (const message of messages) {
      // The kernel ignores one that is not there.
      if (!there.delete(this.#key(message))) throw this.#error("delete", message, ERRNO.ENOENT);
    }
    deleteAll(this.#connection, messages, deleteEntry);
  }

  /** Deletes all entries. */
  flush(): void {
    checkNoArguments(arguments, "flush");
    const { index } = this.#link;
    const request = ({ mac, dst, port, vni, srcVni, oif }: FdbInfo) =>
      deleteEntry({
        index,
        mac,
        flags: ["self"],
        ...(dst !== undefined && { dst }),
        ...(port !== undefined && { port }),
        ...(vni !== undefined && { vni }),
        ...(srcVni !== undefined && { srcVni }),
        ...(oif !== undefined && { oif }),
      });
    flushAll(this.#connection, this.list(), request, [ERRNO.ENOENT]);
  }

  /** The kernel ignores a destination that an address of many has already. */
  #refuseTwice(messages: readonly FdbMessage[]): void {
    if (messages.length === 0) return;
    const there = this.#keys();
    for (const message of messages) {
      if (there.has(this.#key(message))) throw this.#error("add", message, ERRNO.EEXIST);
      there.add(this.#key(message));
    }
  }

  #keys(): Set<string> {
    return new Set(this.list().map((entry) => this.#key(entry)));
  }

  #error(verb: string, { mac, dst }: FdbMessage, errno: number): NetlinkError {
    const operation = `${verb} forwarding entry ${mac} dst ${dst} of ${describeLink(this.#link)}`;
    return new NetlinkError({ operation, netns: this.#link.ref.description, errno });
  }

  /** A destination, with the link's own port and VNI where it names none. */
  #key({ mac, dst, port, vni, srcVni, oif }: FdbMessage | FdbInfo): string {
    return [formatMac(parseMac(mac)), dst && formatIp(parseIp(dst)), port, vni, srcVni, oif].join(
      " ",
    );
  }

  get #connection(): Connection {
    return connectionTo(this.#link.ref);
  }

  #messages(entries: Many<VxlanFdbEntry>): FdbMessage[] {
    const { ref, index } = this.#link;
    return convert(entries, (entry) => {
      checkOptions(entry, ENTRY);
      const { dev, ...rest } = entry;
      const oif = dev === undefined ? {} : { oif: indexOf(dev, ref, "dev") };
      return { ...rest, ...oif, index, flags: ["self"] };
    });
  }

  /** Prints the entries. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    return inspectList(titleOf("fdb", this.#link), () => this.list(), inspect, options);
  }
}

function deleteEntry({ state: _, ...message }: FdbMessage): Request<undefined> {
  return deleteFdb(message);
}

/** Whether an address may have several destinations: all zeros or multicast. */
function isMany(mac: string): boolean {
  return /^[0:-]+$/.test(mac) || (parseInt(mac, 16) & 1) === 1;
}

/**
 * A link that carries Ethernet frames in UDP packets between tunnel endpoints.
 *
 * @example Two namespaces as machines, and a network of their own between them
 * ```ts
 * import { NetNs, Veth, Vxlan } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using m1 = NetNs.create();
 * using m2 = NetNs.create();
 * const peer = { name: "eth0", netns: m2, up: true, addresses: ["192.0.2.2/24"] };
 * const veth = Veth.create({
 *   name: "eth0",
 *   netns: m1,
 *   up: true,
 *   addresses: ["192.0.2.1/24"],
 *   peer,
 * });
 * await veth.waitFor((link) => link.operstate === "up");
 * for (const [netns, n, remote] of [[m1, 1, "192.0.2.2"], [m2, 2, "192.0.2.1"]] as const) {
 *   const addresses = [`10.0.0.${n}/24`];
 *   Vxlan.create({ name: "vx0", netns, id: 42, remote, dev: "eth0", port: 4789, up: true, addresses });
 * }
 * const { received } = await m1.ping("10.0.0.2");
 * assertEquals(received, 1);
 * ```
 */
export class Vxlan extends LinkBase {
  /** The kernel's name of the kind. */
  static readonly kind = "vxlan";

  /**
   * Creates a vxlan link.
   *
   * @param options The options of every link, and the tunnel's own.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken, or another vxlan has the VNI and port; EINVAL
   * for options that exclude each other.
   * @throws {UnsupportedError} When the kernel has no vxlan, or lacks an option.
   * @throws {RangeError} For an option out of range; nothing is created then.
   * @throws {TypeError} For an unknown or malformed option; nothing is created then.
   */
  static create(options: VxlanCreateOptions): Vxlan {
    return atCaller(Vxlan.create, () => new Vxlan({ ...createKind(vxlan, options), owned: true }));
  }

  /**
   * Finds a vxlan link.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Its namespace.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When the link is not a vxlan.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Vxlan {
    return new Vxlan(findLink(selector, options, "vxlan"));
  }

  /** Reads the tunnel's options. ENODEV when the link is gone. */
  override options(): VxlanInfo {
    return super.options();
  }

  /**
   * Changes link settings and options, and verifies that the kernel took them.
   *
   * @throws {NetlinkError} EOPNOTSUPP for an option that the kernel sets only at creation.
   */
  override set(settings: VxlanSettings): this {
    return super.set(settings);
  }

  /** Its forwarding entries: the tunnel endpoints behind which inner addresses are. */
  get fdb(): VxlanFdb {
    return new VxlanFdb(this);
  }
}
