/**
 * VLANs of a bridge and of its ports.
 *
 * @module
 */
import { connectionTo } from "../netlink/connections.ts";
import {
  addBridgeVlan,
  type BridgeVlan,
  type BridgeVlanRange,
  deleteBridgeVlan,
  dumpBridgeVlans,
} from "../rtnetlink/bridge_vlan.ts";
import type { LinkHandle } from "./options.ts";
import { checkOptions, show } from "../options.ts";

/** Options of {@link BridgeVlans.add}. */
export interface BridgeVlanOptions {
  /** Frames that come in without a tag are in this VLAN: one VLAN only. Default: false. */
  readonly pvid?: boolean;
  /** Frames of it go out without a tag. Default: false. */
  readonly untagged?: boolean;
}

const RANGE = { vid: true, end: true };
const OPTIONS = { pvid: true, untagged: true };

/**
 * The VLANs a port lets in and out, or those of the bridge itself: what reaches the host through the
 * bridge's own interface. They matter while the bridge has `vlanFiltering`.
 *
 * @example Two ports in VLAN 10, one of them with tags
 * ```ts
 * import { Bridge, NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const bridge = Bridge.create({ name: "br0", netns });
 * Veth.create({ name: "a", netns, peer: { name: "pa", master: bridge } });
 * Veth.create({ name: "b", netns, peer: { name: "pb", master: bridge } });
 * // Not all kernels are built with VLAN filtering.
 * if (bridge.options().vlanProtocol !== undefined) {
 *   bridge.set({ vlanFiltering: true, vlanDefaultPvid: 0 });
 *   bridge.port("pa").vlans.add({ vid: 10 }, { pvid: true, untagged: true });
 *   bridge.port("pb").vlans.add({ vid: 10, end: 12 });
 *   assertEquals(bridge.port("pb").vlans.list(), [
 *     { vid: 10, end: 12, pvid: false, untagged: false },
 *   ]);
 * }
 * ```
 */
export class BridgeVlans {
  readonly #link: LinkHandle & { readonly name: string };
  readonly #self: boolean;

  /**
   * For bridges and ports.
   *
   * @param link The port, or the bridge.
   * @param self Whether `link` is the bridge.
   */
  constructor(link: LinkHandle & { readonly name: string }, self: boolean) {
    this.#link = link;
    this.#self = self;
  }

  /** Reads the VLANs, ascending; VLANs in a row that are alike come as one range. */
  list(): BridgeVlan[] {
    const { ref, index } = this.#link;
    return connectionTo(ref).dump(dumpBridgeVlans({ index })).flatMap((entry) => entry.vlans);
  }

  /**
   * Adds VLANs. Where they are there already, they get these options.
   *
   * @param vlans A VLAN, or all from `vid` to `end`: 1..4094.
   * @param options What becomes of frames without a tag.
   * @throws {RangeError} For a VLAN id out of range.
   * @throws {TypeError} For `pvid` with a range.
   * @throws {NetlinkError} EOPNOTSUPP when the kernel has no VLAN filtering.
   */
  add(vlans: BridgeVlanRange, options: BridgeVlanOptions = {}): void {
    checkOptions(vlans, RANGE);
    checkOptions(options, OPTIONS);
    const { ref, index } = this.#link;
    const message = { ...vlans, ...options, index, self: this.#self };
    connectionTo(ref).request(addBridgeVlan(message, this.#what));
  }

  /**
   * Removes VLANs. Those that are not there are no error.
   *
   * @param vlans A VLAN, or all from `vid` to `end`: 1..4094.
   * @throws {RangeError} For a VLAN id out of range.
   */
  delete(vlans: BridgeVlanRange): void {
    checkOptions(vlans, RANGE);
    const { ref, index } = this.#link;
    connectionTo(ref).request(deleteBridgeVlan({ ...vlans, index, self: this.#self }, this.#what));
  }

  get #what(): string {
    return `${this.#self ? "bridge" : "port"} ${show(this.#link.name)}`;
  }
}
