/**
 * ipvlan: links with IP addresses of their own on one parent, and its MAC.
 *
 * @module
 */
import { registerKind } from "../rtnetlink/kinds.ts";
import { createIpvlan, type IpvlanCreateOptions, IpvlanLink } from "./ipvlan_base.ts";
import { ipvlanKind } from "./ipvlan_options.ts";
import { findLink, type LinkGetOptions } from "./link.ts";

registerKind({ kind: "ipvlan", ...ipvlanKind });

/**
 * A link that shares its parent's wire and MAC: packets are told apart by IP address. Its
 * {@link IpvlanMode} says how much of Ethernet there is, its {@link IpvlanFlag} whether those on one
 * parent reach each other. The parent itself does not hear them, other than in mode `l2` through a
 * hairpin port.
 *
 * All on a parent have the same mode and flag: making one sets those of all, to `l3` and `bridge` when
 * they are not given. On a parent that is an ipvlan itself, the kernel makes a sibling of that. A parent that has a
 * macvlan or is a bridge port takes none (EBUSY).
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
  /**
   * Makes an ipvlan.
   *
   * @param options What every link has, the `parent`, the `mode` and the `flag`.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken, EBUSY when something else uses the parent.
   * @throws {UnsupportedError} When the kernel has no ipvlans.
   * @throws {RangeError} For an option out of range; nothing is made then.
   * @throws {TypeError} For a malformed option, and for `mac`; nothing is made then.
   */
  static create(options: IpvlanCreateOptions): Ipvlan {
    return new Ipvlan(createIpvlan("ipvlan", options));
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
