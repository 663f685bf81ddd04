/**
 * macvlan: links with MACs of their own on one parent.
 *
 * @module
 */
import { registerKind } from "../rtnetlink/kinds.ts";
import { createChild } from "./child.ts";
import { findLink, type LinkGetOptions } from "./link.ts";
import { type MacvlanCreateOptions, MacvlanLink } from "./macvlan_base.ts";
import { macvlanKind, toMacvlanData } from "./macvlan_options.ts";

registerKind({ kind: "macvlan", ...macvlanKind });

/**
 * A link with a MAC of its own that shares its parent's wire (IEEE 802.1Q virtual ports). Its
 * {@link MacvlanMode} says whom it can talk to.
 *
 * A parent's macvlans may live in other namespaces than the parent. On a parent that is a macvlan
 * itself, the kernel makes a sibling of that: `parent` reads as the link below. The MTU is at most the
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
 * @example Packets of listed senders only
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
  /**
   * Makes a macvlan.
   *
   * @param options What every link has, the `parent`, the `mode` and what belongs to it.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken; EINVAL for mode `passthru` where the parent has
   * a macvlan, or on a parent that has one of that mode; EBUSY when something else uses the parent.
   * @throws {UnsupportedError} When the kernel has no macvlans.
   * @throws {RangeError} For an option out of range; nothing is made then.
   * @throws {TypeError} For an option that the mode does not have, or a malformed one.
   */
  static create(options: MacvlanCreateOptions): Macvlan {
    return new Macvlan(createChild("macvlan", options, toMacvlanData));
  }

  /**
   * Finds a macvlan.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When it is not a macvlan.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Macvlan {
    return new Macvlan(findLink(selector, options, "macvlan"));
  }
}
