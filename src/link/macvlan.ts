/**
 * macvlan, and macvtap: a macvlan whose packets go to a program instead of the network stack.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { openTapDevice, type TapDeviceOptions, type TunQueue } from "../device/tun_queue.ts";
import {
  addAll,
  convert,
  deleteAll,
  type Inspect,
  inspectList,
  type Many,
} from "../netlink/collection.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { atCaller, checkNoArguments } from "../options.ts";
import { setLink } from "../rtnetlink/link.ts";
import {
  checkSource,
  macvlan,
  type MacvlanInfo,
  type MacvlanOptions,
  macvtap,
} from "../rtnetlink/link_kinds/macvlan.ts";
import { describeLink, type NamedLink, titleOf } from "../rtnetlink/link_target.ts";
import { LinkBase } from "./base.ts";
import { findLink, type LinkGetOptions } from "./find.ts";
import { createKind } from "./create.ts";
import type { LinkOptions, LinkSettings, ParentOptions } from "./options.ts";

export type {
  MacvlanInfo,
  MacvlanMode,
  MacvlanModeOptions,
  MacvlanOptions,
  MacvlanQueueOptions,
} from "../rtnetlink/link_kinds/macvlan.ts";

/** Options of {@link Macvlan.create} and {@link Macvtap.create}. */
export type MacvlanCreateOptions = LinkOptions & ParentOptions & MacvlanOptions;

/** Settings of {@link MacvlanLink.set}. */
export type MacvlanSettings = LinkSettings & MacvlanOptions;

/**
 * The sources that a macvlan in mode `source` listens to. The kernel refuses changes in other modes
 * (EINVAL). Follows the link's handle. To set the whole list: `link.set({ mode: "source", macs })`.
 */
export class MacvlanMacs {
  readonly #link: NamedLink & { options(): MacvlanInfo };

  /** For macvlans and macvtaps. */
  constructor(link: NamedLink & { options(): MacvlanInfo }) {
    this.#link = link;
  }

  /** Reads the addresses, ascending. */
  list(): string[] {
    checkNoArguments(arguments, "list");
    return this.#link.options().macs;
  }

  /**
   * Adds addresses, all or none.
   *
   * @param macs One or many Ethernet addresses.
   * @throws {NetlinkError} EEXIST when one is listed, EINVAL in other modes.
   * @throws {TypeError} For a malformed address.
   * @throws {RangeError} For a multicast address.
   */
  add(macs: Many<string>): void {
    const listed = new Set(this.list());
    const given = convert(macs, (mac) => checkSource(mac, "mac"));
    for (const mac of given) {
      // The kernel ignores one that is listed.
      if (listed.has(mac)) throw this.#error("add", mac, ERRNO.EEXIST);
      listed.add(mac);
    }
    this.#add(given, given);
  }

  /** Adds addresses; those that are listed stay. Errors as with {@link MacvlanMacs.add}. */
  replace(macs: Many<string>): void {
    const listed = new Set(this.list());
    const given = convert(macs, (mac) => checkSource(mac, "mac"));
    this.#add(given, given.filter((mac) => !listed.has(mac)));
  }

  /**
   * Deletes addresses.
   *
   * @param macs One or many Ethernet addresses.
   * @throws {NetlinkError} ENOENT when one is not listed; none is deleted then. EINVAL in other modes.
   */
  delete(macs: Many<string>): void {
    const { macs: before, mode } = this.#link.options();
    const listed = new Set(before);
    const given = convert(macs, (mac) => checkSource(mac, "mac"));
    for (const mac of given) {
      // The kernel ignores one that is not listed. In other modes it has its own error.
      if (!listed.delete(mac) && mode === "source") throw this.#error("delete", mac, ERRNO.ENOENT);
    }
    deleteAll(connectionTo(this.#link.ref), given, (mac) => this.#request("delete", mac));
  }

  /** Deletes all addresses. */
  flush(): void {
    checkNoArguments(arguments, "flush");
    const { index } = this.#link;
    const linkInfo = { kind: this.#link.kind!, data: { macaddrMode: "flush" } };
    connectionTo(this.#link.ref).request({
      ...setLink({ index, linkInfo }),
      operation: `flush macs of ${describeLink(this.#link)}`,
    });
  }

  #add(given: readonly string[], added: readonly string[]): void {
    const request = (mac: string) => this.#request("add", mac);
    addAll(
      connectionTo(this.#link.ref),
      given,
      request,
      (done) =>
        done.filter((mac) => added.includes(mac)).map((mac) => this.#request("delete", mac)),
    );
  }

  #request(verb: "add" | "delete", mac: string): Request {
    const { index, kind } = this.#link;
    const data = { macaddrMode: verb === "add" ? "add" : "del", mac };
    const request = setLink({ index, linkInfo: { kind: kind!, data } });
    return { ...request, operation: `${verb} mac ${mac} of ${describeLink(this.#link)}` };
  }

  #error(verb: string, mac: string, errno: number): NetlinkError {
    const operation = `${verb} mac ${mac} of ${describeLink(this.#link)}`;
    return new NetlinkError({ operation, netns: this.#link.ref.description, errno });
  }

  /** Prints the addresses. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    return inspectList(titleOf("macs", this.#link), () => this.list(), inspect, options);
  }
}

/** Capabilities of {@link Macvlan} and {@link Macvtap}. */
export class MacvlanLink extends LinkBase {
  /** Reads the options. ENODEV when the link is gone. */
  override options(): MacvlanInfo {
    return super.options() as MacvlanInfo;
  }

  /**
   * Changes link settings and options, and verifies that the kernel took them.
   *
   * @param settings The values to change. Leaving mode `source` empties the list of sources.
   * @throws {NetlinkError} EINVAL for a change from or to mode `passthru`.
   * @throws {RangeError} For an option out of range; nothing is changed then.
   * @throws {TypeError} For an option that the mode does not have, or a malformed one.
   */
  override set(settings: MacvlanSettings): this {
    return super.set(settings);
  }

  /** Mode `source`: the source addresses whose frames it receives. */
  get macs(): MacvlanMacs {
    return new MacvlanMacs(this);
  }
}

/**
 * A link with a MAC of its own that shares its parent's wire (IEEE 802.1Q virtual ports). Its
 * {@link MacvlanMode} decides which links it can reach.
 *
 * A parent's macvlans may live in other namespaces than the parent. On a parent that is a macvlan
 * itself, the kernel creates a sibling of it: `parent` reads as the link below. The MTU is at most the
 * parent's. A parent that has an ipvlan or is a bridge port takes none (EBUSY).
 *
 * @example Two namespaces on one wire
 * ```ts
 * import { Macvlan, NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using hub = NetNs.create();
 * const parent = Veth.create({
 *   name: "eth0",
 *   netns: hub,
 *   up: true,
 *   peer: { name: "switch0", netns: hub, up: true },
 * });
 * await parent.waitFor((link) => link.operstate === "up");
 * using ns1 = NetNs.create();
 * using ns2 = NetNs.create();
 * for (const [netns, n] of [[ns1, 1], [ns2, 2]] as const) {
 *   Macvlan.create({
 *     name: "macvlan0",
 *     netns,
 *     parent,
 *     mode: "bridge",
 *     up: true,
 *     addresses: [`192.168.123.${n}/24`],
 *   });
 * }
 * const { received } = await ns1.ping("192.168.123.2");
 * assertEquals(received, 1);
 * ```
 *
 * @example Packets of listed sources only
 * ```ts
 * import { Macvlan, NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const parent = Veth.create({ name: "eth0", netns, peer: { name: "eth1", netns } });
 * const link = Macvlan.create({
 *   name: "macvlan0",
 *   netns,
 *   parent,
 *   mode: "source",
 *   macs: ["02:00:00:00:00:01"],
 * });
 * link.macs.add("02:00:00:00:00:02");
 * assertEquals(link.options().macs, ["02:00:00:00:00:01", "02:00:00:00:00:02"]);
 * ```
 */
export class Macvlan extends MacvlanLink {
  /** The kernel's name of the kind. */
  static readonly kind = "macvlan";

  /**
   * Creates a macvlan.
   *
   * @param options The options of every link, the `parent`, the `mode` and its options.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken; EINVAL for mode `passthru` where the parent has
   * a macvlan, or on a parent that has one of that mode; EBUSY when something else uses the parent.
   * @throws {UnsupportedError} When the kernel has no macvlans.
   * @throws {RangeError} For an option out of range; nothing is created then.
   * @throws {TypeError} For an option that the mode does not have, or a malformed one.
   */
  static create(options: MacvlanCreateOptions): Macvlan {
    return atCaller(
      Macvlan.create,
      () => new Macvlan({ ...createKind(macvlan, options), owned: true }),
    );
  }

  /**
   * Finds a macvlan.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When the link is not a macvlan.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Macvlan {
    return new Macvlan(findLink(selector, options, "macvlan"));
  }
}

/**
 * A macvlan whose traffic is that of a character device: a program, such as a virtual machine, reads
 * and writes Ethernet frames there.
 *
 * {@linkcode Macvtap.openDevice} opens the character device. Other programs find it as `/dev/tapN`, N being
 * the link's index, where udev or devtmpfs creates it: two namespaces may have links of the same index,
 * and only one of them gets the name. `/sys/class/net/NAME/tapN/dev` in the link's namespace has its
 * numbers.
 *
 * @example Frames of a neighbor
 * ```ts
 * import { Macvtap, NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const [ip, peer] = ["192.0.2.1/24", { name: "eth1", netns, up: true }];
 * const parent = Veth.create({ name: "eth0", netns, up: true, peer: { ...peer, addresses: [ip] } });
 * const tap = Macvtap.create({ name: "macvtap0", netns, parent, mode: "bridge", up: true });
 * using device = tap.openDevice();
 * const ping = netns.ping("192.0.2.2", { timeout: 200 });
 * const frame = new Uint8Array(1514);
 * do await device.read(frame); while (frame[12] !== 8 || frame[13] !== 6); // ARP
 * assertEquals(Array.from(frame.subarray(38, 42)), [192, 0, 2, 2]);
 * await ping;
 * ```
 */
export class Macvtap extends MacvlanLink {
  /** The kernel's name of the kind. */
  static readonly kind = "macvtap";

  /**
   * Creates a macvtap.
   *
   * @param options The options of every link, the `parent`, the `mode` and its options.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken; EINVAL for mode `passthru` where the parent has
   * a macvlan, or on a parent that has one of that mode; EBUSY when something else uses the parent.
   * @throws {UnsupportedError} When the kernel has no macvtaps.
   * @throws {RangeError} For an option out of range; nothing is created then.
   * @throws {TypeError} For an option that the mode does not have, or a malformed one.
   */
  static create(options: MacvlanCreateOptions): Macvtap {
    return atCaller(
      Macvtap.create,
      () => new Macvtap({ ...createKind(macvtap, options), owned: true }),
    );
  }

  /**
   * Finds a macvtap.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When the link is not a macvtap.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Macvtap {
    return new Macvtap(findLink(selector, options, "macvtap"));
  }

  /**
   * Opens the link's character device: reads return frames that arrive at the link, writes leave
   * through the parent. A second call opens a further queue.
   *
   * @param options Properties of the device.
   * @returns The device, with Ethernet frames. Closing it leaves the link in place. When the link is
   * deleted the kernel wakes no read that waits: close the device too.
   * @throws {SyscallError} EPERM without privileges, also in a user namespace: device nodes are root's.
   * @throws {NetlinkError} ENODEV when the link is gone.
   * @throws {TypeError} For a malformed or unknown option.
   */
  openDevice(options: TapDeviceOptions = {}): TunQueue {
    // Others may have renamed it; sysfs knows links by name.
    this.read();
    return openTapDevice(this, options);
  }
}
