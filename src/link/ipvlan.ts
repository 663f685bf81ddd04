/**
 * ipvlan, and ipvtap: an ipvlan whose packets go to a program instead of the network stack.
 *
 * @module
 */
import { openTapDevice, type TapDeviceOptions, type TunQueue } from "../device/tun_queue.ts";
import type { LinkKind } from "../rtnetlink/link_kinds/kind.ts";
import {
  ipvlan,
  type IpvlanInfo,
  type IpvlanOptions,
  ipvtap,
} from "../rtnetlink/link_kinds/macvlan.ts";
import { LinkBase } from "./base.ts";
import { findLink, type LinkGetOptions } from "./find.ts";
import { type Created, createKind } from "./create.ts";
import { atCaller } from "../options.ts";
import type { LinkOptions, LinkSettings, ParentOptions } from "./options.ts";

export type {
  IpvlanFlag,
  IpvlanInfo,
  IpvlanMode,
  IpvlanOptions,
} from "../rtnetlink/link_kinds/macvlan.ts";

/** Options of {@link Ipvlan.create} and {@link Ipvtap.create}. The MAC is always the parent's. */
export interface IpvlanCreateOptions
  extends Omit<LinkOptions, "mac">, ParentOptions, IpvlanOptions {}

/** Settings of {@link IpvlanLink.set}. The MAC is always the parent's. */
export interface IpvlanSettings extends Omit<LinkSettings, "mac">, IpvlanOptions {}

function create(kind: LinkKind, options: IpvlanCreateOptions): Created {
  refuseMac(kind.kind, options);
  return createKind(kind, options);
}

function refuseMac(kind: string, options: object): void {
  if ((options as LinkOptions | undefined)?.mac === undefined) return;
  throw new TypeError(`mac of an ${kind} is always its parent's`);
}

/** Capabilities of {@link Ipvlan} and {@link Ipvtap}. */
export class IpvlanLink extends LinkBase {
  /** Reads the options. ENODEV when the link is gone. */
  override options(): IpvlanInfo {
    return super.options();
  }

  /**
   * Changes link settings and options, and verifies that the kernel took them.
   *
   * @param settings The values to change. `mode` and `flag` change for all ipvlans of the parent.
   * @throws {NetlinkError} When the kernel refuses one, or ignores it.
   * @throws {RangeError} For an option out of range; nothing is changed then.
   * @throws {TypeError} For a malformed option, and for `mac`.
   */
  override set(settings: IpvlanSettings): this {
    refuseMac(this.kind!, settings);
    return super.set(settings);
  }
}

/**
 * A link that shares its parent's wire and MAC: packets are told apart by IP address. Its
 * {@link IpvlanMode} decides whether it has ARP, broadcast and multicast, its {@link IpvlanFlag} whether ipvlans of one
 * parent reach each other. The parent itself does not get their packets, except in mode `l2` through a hairpin port.
 *
 * All on a parent have the same mode and flag: creating one sets those of all, to `l3` and `bridge`
 * when they are not given. On a parent that is an ipvlan itself, the kernel creates a sibling of it. A
 * parent that has a macvlan or is a bridge port takes none (EBUSY).
 *
 * @example Two namespaces behind one MAC, where the kernel can
 * ```ts
 * import { Ipvlan, NetNs, supports, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * if (supports("ipvlan")) {
 *   using hub = NetNs.create();
 *   const parent = Veth.create({
 *     name: "eth0",
 *     netns: hub,
 *     up: true,
 *     peer: { name: "switch0", netns: hub, up: true },
 *   });
 *   await parent.waitFor((link) => link.operstate === "up");
 *   using ns1 = NetNs.create();
 *   using ns2 = NetNs.create();
 *   for (const [netns, n] of [[ns1, 1], [ns2, 2]] as const) {
 *     Ipvlan.create({
 *       name: "ipvlan0",
 *       netns,
 *       parent,
 *       mode: "l2",
 *       up: true,
 *       addresses: [`192.168.123.${n}/24`],
 *     });
 *   }
 *   const { received } = await ns1.ping("192.168.123.2");
 *   assertEquals(received, 1);
 * }
 * ```
 */
export class Ipvlan extends IpvlanLink {
  /** The kernel's name of the kind. */
  static readonly kind = "ipvlan";

  /**
   * Creates an ipvlan.
   *
   * @param options The options of every link, the `parent`, the `mode` and the `flag`.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken, EBUSY when something else uses the parent.
   * @throws {UnsupportedError} When the kernel has no ipvlans.
   * @throws {RangeError} For an option out of range; nothing is created then.
   * @throws {TypeError} For a malformed option, and for `mac`; nothing is created then.
   */
  static create(options: IpvlanCreateOptions): Ipvlan {
    return atCaller(Ipvlan.create, () => new Ipvlan({ ...create(ipvlan, options), owned: true }));
  }

  /**
   * Finds an ipvlan.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When it is not an ipvlan.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Ipvlan {
    return new Ipvlan(findLink(selector, options, "ipvlan"));
  }
}

/**
 * An ipvlan whose traffic is that of a character device: a program, such as a virtual machine, reads
 * and writes Ethernet frames there. They all have the parent's MAC.
 *
 * {@linkcode Ipvtap.openDevice} opens the character device. Other programs find it as `/dev/tapN`, N being
 * the link's index, where udev or devtmpfs creates it: two namespaces may have links of the same index,
 * and only one of them gets the name. `/sys/class/net/NAME/tapN/dev` in the link's namespace has its
 * numbers.
 *
 * @example One, where the kernel can
 * ```ts
 * import { Ipvtap, NetNs, supports, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * if (supports("ipvtap")) {
 *   using netns = NetNs.create();
 *   const parent = Veth.create({ name: "eth0", netns, peer: { name: "eth1", netns } });
 *   const tap = Ipvtap.create({ name: "ipvtap0", netns, parent, mode: "l2", flag: "private" });
 *   assertEquals(tap.options(), { mode: "l2", flag: "private" });
 * }
 * ```
 */
export class Ipvtap extends IpvlanLink {
  /** The kernel's name of the kind. */
  static readonly kind = "ipvtap";

  /**
   * Creates an ipvtap.
   *
   * @param options The options of every link, the `parent`, the `mode` and the `flag`.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken, EBUSY when something else uses the parent.
   * @throws {UnsupportedError} When the kernel has no ipvtaps.
   * @throws {RangeError} For an option out of range; nothing is created then.
   * @throws {TypeError} For a malformed option, and for `mac`; nothing is created then.
   */
  static create(options: IpvlanCreateOptions): Ipvtap {
    return atCaller(Ipvtap.create, () => new Ipvtap({ ...create(ipvtap, options), owned: true }));
  }

  /**
   * Finds an ipvtap.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When it is not an ipvtap.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Ipvtap {
    return new Ipvtap(findLink(selector, options, "ipvtap"));
  }

  /**
   * Opens the link's character device: reads return packets that arrive at the link, writes leave
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
