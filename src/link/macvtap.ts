/**
 * macvtap: a macvlan whose packets go to a program instead of the network stack.
 *
 * @module
 */
import { openTapDevice, type TapDeviceOptions } from "../device/tap_device.ts";
import type { TunQueue } from "../device/tun_queue.ts";
import { registerKind } from "../rtnetlink/kinds.ts";
import { createChild } from "./child.ts";
import { findLink, type LinkGetOptions } from "./link.ts";
import { type MacvlanCreateOptions, MacvlanLink } from "./macvlan_base.ts";
import { macvlanKind, toMacvlanData } from "./macvlan_options.ts";

registerKind({ kind: "macvtap", ...macvlanKind });

/**
 * A macvlan whose traffic is that of a character device: a program, such as a virtual machine, reads
 * and writes Ethernet frames there.
 *
 * {@linkcode Macvtap.openDevice} opens the character device. Other programs find it as `/dev/tapN`, N being
 * the link's index, where udev or devtmpfs makes that: two namespaces may have links of the same index,
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
  /**
   * Makes a macvtap.
   *
   * @param options What every link has, the `parent`, the `mode` and what belongs to it.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken; EINVAL for mode `passthru` where the parent has
   * a macvlan, or on a parent that has one of that mode; EBUSY when something else uses the parent.
   * @throws {UnsupportedError} When the kernel has no macvtaps.
   * @throws {RangeError} For an option out of range; nothing is made then.
   * @throws {TypeError} For an option that the mode does not have, or a malformed one.
   */
  static create(options: MacvlanCreateOptions): Macvtap {
    return new Macvtap(createChild("macvtap", options, toMacvlanData));
  }

  /**
   * Finds a macvtap.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When it is not a macvtap.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Macvtap {
    return new Macvtap(findLink(selector, options, "macvtap"));
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
