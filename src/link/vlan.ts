/**
 * vlan: one VLAN of a parent, as a link of its own (IEEE 802.1Q, 802.1ad).
 *
 * @module
 */
import {
  vlan,
  type VlanFlags,
  type VlanInfo,
  type VlanMaps,
  type VlanOptions,
} from "../rtnetlink/link_kinds/vlan.ts";
import { LinkBase } from "./base.ts";
import { findLink, type LinkGetOptions } from "./find.ts";
import { createKind } from "./create.ts";
import { atCaller } from "../options.ts";
import type { LinkOptions, LinkSettings, ParentOptions } from "./options.ts";

export type {
  QosMap,
  VlanFlags,
  VlanInfo,
  VlanMaps,
  VlanOptions,
} from "../rtnetlink/link_kinds/vlan.ts";
export type { VlanProtocol } from "../rtnetlink/constants.ts";

/** Options of {@link Vlan.create}. */
export interface VlanCreateOptions extends LinkOptions, ParentOptions, VlanOptions {}

/** Settings of {@link Vlan.set}. */
export interface VlanSettings extends LinkSettings, VlanFlags, VlanMaps {}

/**
 * A link whose packets have a VLAN's tag on the parent's wire. A VLAN over a VLAN of protocol 802.1ad
 * is QinQ.
 *
 * It cannot be up while its parent is down (ENETDOWN), unless `looseBinding` is set. Its MAC and MTU
 * follow the parent's.
 *
 * @example One VLAN of a cable, where the kernel can
 * ```ts
 * import { NetNs, supports, Veth, Vlan } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * if (supports("vlan")) {
 *   using ns1 = NetNs.create();
 *   using ns2 = NetNs.create();
 *   const peer = { name: "eth0", netns: ns2, up: true };
 *   const veth = Veth.create({ name: "eth0", netns: ns1, up: true, peer });
 *   await veth.waitFor((link) => link.operstate === "up");
 *   for (const [netns, n] of [[ns1, 1], [ns2, 2]] as const) {
 *     Vlan.create({
 *       name: "eth0.5",
 *       netns,
 *       parent: "eth0",
 *       id: 5,
 *       egressQosMap: { 0: 3 },
 *       up: true,
 *       addresses: [`192.168.5.${n}/24`],
 *     });
 *   }
 *   const { received } = await ns1.ping("192.168.5.2");
 *   assertEquals(received, 1);
 * }
 * ```
 */
export class Vlan extends LinkBase {
  /** The kernel's name of the kind. */
  static readonly kind = "vlan";

  /**
   * Creates a VLAN link.
   *
   * @param options The options of every link, the `parent`, the `id` and the other options of a VLAN link.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken, or the parent has a link for this VLAN;
   * ENETDOWN for `up` when the parent is down.
   * @throws {UnsupportedError} When the kernel has no VLAN links.
   * @throws {RangeError} For an option out of range, even where the kernel would accept it.
   * @throws {TypeError} For a malformed option; nothing is created then.
   */
  static create(options: VlanCreateOptions): Vlan {
    return atCaller(Vlan.create, () => new Vlan({ ...createKind(vlan, options), owned: true }));
  }

  /**
   * Finds a VLAN link.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When it is not a VLAN link.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Vlan {
    return new Vlan(findLink(selector, options, "vlan"));
  }

  /** Reads the options. ENODEV when the link is gone. */
  override options(): VlanInfo {
    return super.options() as VlanInfo;
  }

  /**
   * Changes link settings, switches and maps, and verifies that the kernel took them. A map
   * changes the entries that it names; the rest stays.
   *
   * @throws {NetlinkError} When the kernel refuses a change, or ignores it.
   * @throws {RangeError} For an option out of range; nothing is changed then.
   * @throws {TypeError} For `id` and `protocol`, which the kernel does not change, or a malformed option.
   */
  override set(settings: VlanSettings): this {
    return super.set(settings);
  }
}
