/**
 * macvtap: a macvlan whose packets go to a program instead of the network stack.
 *
 * @module
 */
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
 * The device is `/dev/tapN`, N being the link's index, where udev or devtmpfs makes it: two namespaces
 * may have links of the same index, and only one of them gets the name. What is certain are its
 * numbers: `/sys/class/net/NAME/tapN/dev` in the link's namespace has `MAJOR:MINOR` for `mknod`. A
 * frame has a `struct virtio_net_hdr` of 10 bytes in front of it, until TUNSETIFF says otherwise.
 *
 * @example One, and its device's numbers
 * ```ts
 * import { Macvtap, NetNs, Veth } from "@netloom/netloom";
 * import { assertMatch } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const parent = Veth.create({ name: "eth0", netns, peer: { name: "eth1", netns } });
 * const tap = Macvtap.create({ name: "macvtap0", netns, parent, mode: "bridge", up: true });
 * const path = `/sys/class/net/${tap.name}/tap${tap.index}/dev`;
 * const { stdout } = netns.command("cat", { args: [path] }).outputSync();
 * assertMatch(new TextDecoder().decode(stdout), /^\d+:\d+\n$/);
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
}
