/**
 * ipvtap: an ipvlan whose packets go to a program instead of the network stack.
 *
 * @module
 */
import { openTapDevice, type TapDeviceOptions } from "../device/tap_device.ts";
import type { TunQueue } from "../device/tun_queue.ts";
import { registerKind } from "../rtnetlink/kinds.ts";
import { createIpvlan, type IpvlanCreateOptions, IpvlanLink } from "./ipvlan_base.ts";
import { ipvlanKind } from "./ipvlan_options.ts";
import { findLink, type LinkGetOptions } from "./link.ts";

registerKind({ kind: "ipvtap", ...ipvlanKind });

/**
 * An ipvlan whose traffic is that of a character device: a program, such as a virtual machine, reads
 * and writes Ethernet frames there. They all have the parent's MAC.
 *
 * {@linkcode Ipvtap.openDevice} opens the character device. Other programs find it as `/dev/tapN`, N being
 * the link's index, where udev or devtmpfs makes that: two namespaces may have links of the same index,
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
  /**
   * Makes an ipvtap.
   *
   * @param options What every link has, the `parent`, the `mode` and the `flag`.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken, EBUSY when something else uses the parent.
   * @throws {UnsupportedError} When the kernel has no ipvtaps.
   * @throws {RangeError} For an option out of range; nothing is made then.
   * @throws {TypeError} For a malformed option, and for `mac`; nothing is made then.
   */
  static create(options: IpvlanCreateOptions): Ipvtap {
    return new Ipvtap(createIpvlan("ipvtap", options));
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
   * Opens the link's character device: what arrives at the link is read there, what is written leaves
   * through the parent. Opened again it gives a further queue.
   *
   * @param options What the device is like.
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
