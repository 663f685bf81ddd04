/**
 * VLANs of a bridge and of its ports.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
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
import { checkOptions, type OptionNames, show } from "../options.ts";
import {
  addBridgeVlan,
  type BridgeVlan,
  type BridgeVlanRange,
  checkVlanRange,
  deleteBridgeVlan,
  dumpBridgeVlans,
} from "../rtnetlink/bridge_vlan.ts";
import type { NamedLink } from "./options.ts";

/** A VLAN to be set, or all from `vid` to `end`. */
export interface BridgeVlanEntry extends BridgeVlanRange {
  /** Frames that come in without a tag are in this VLAN: one VLAN only. Default: false. */
  readonly pvid?: boolean;
  /** Frames of it go out without a tag. Default: false. */
  readonly untagged?: boolean;
}

const ENTRY: OptionNames<BridgeVlanEntry> = { vid: true, end: true, pvid: true, untagged: true };

/**
 * The VLANs that a port lets in and out, or those of the bridge itself: of the frames that reach the host
 * through the bridge's own interface. They matter while the bridge has `vlanFiltering`. Follows the handle
 * of the port.
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
 *   bridge.port("pa").vlans.add({ vid: 10, pvid: true, untagged: true });
 *   bridge.port("pb").vlans.add({ vid: 10, end: 12 });
 *   assertEquals(bridge.port("pb").vlans.list(), [
 *     { vid: 10, end: 12, pvid: false, untagged: false },
 *   ]);
 * }
 * ```
 */
export class BridgeVlans {
  readonly #link: NamedLink;
  readonly #self: boolean;

  /**
   * For bridges and ports.
   *
   * @param link The port, or the bridge.
   * @param self Whether `link` is the bridge.
   */
  constructor(link: NamedLink, self: boolean) {
    this.#link = link;
    this.#self = self;
  }

  /** Reads the VLANs, ascending; VLANs in a row that are alike come as one range. */
  list(): BridgeVlan[] {
    const { ref, index } = this.#link;
    return connectionTo(ref).dump(dumpBridgeVlans({ index })).flatMap((entry) => entry.vlans);
  }

  /**
   * Reads one VLAN.
   *
   * @param vid Its id, 1..4094.
   * @throws {NetlinkError} ENOENT when there is none.
   */
  get(vid: number): BridgeVlan {
    checkVlanRange({ vid });
    const found = this.list().find((vlan) => vlan.vid <= vid && vid <= (vlan.end ?? vlan.vid));
    if (!found) throw this.#error("get", { vid }, ERRNO.ENOENT);
    return { vid, pvid: found.pvid, untagged: found.untagged };
  }

  /**
   * Adds VLANs, all or none.
   *
   * @param vlans One or many: a VLAN, or all from `vid` to `end`.
   * @throws {NetlinkError} EEXIST when one of them is there, EOPNOTSUPP when the kernel has no VLAN
   * filtering.
   * @throws {BatchError} When some of many are refused.
   * @throws {RangeError} For a VLAN id out of range.
   * @throws {TypeError} For `pvid` with a range.
   */
  add(vlans: Many<BridgeVlanEntry>): void {
    const entries = this.#entries(vlans);
    const before = this.list();
    const there = new Set(before.flatMap(ids));
    for (const entry of entries) {
      // The kernel changes a VLAN that is there.
      for (const vid of ids(entry)) {
        if (there.has(vid)) throw this.#error("add", entry, ERRNO.EEXIST);
        there.add(vid);
      }
    }
    this.#set(entries, before);
  }

  /**
   * Adds VLANs, or changes those that are there: they get the `pvid` and `untagged` of this call.
   *
   * @param vlans As for {@link BridgeVlans.add}.
   * @throws {BatchError} When some of many are refused; the VLANs are as before then.
   */
  replace(vlans: Many<BridgeVlanEntry>): void {
    const entries = this.#entries(vlans);
    // One alone is taken or refused as a whole: there is nothing to restore.
    this.#set(entries, entries.length > 1 ? this.list() : []);
  }

  /**
   * Deletes VLANs.
   *
   * @param vlans One or many: a VLAN, or all from `vid` to `end`.
   * @throws {NetlinkError} ENOENT when one of them is not there; none is deleted then.
   * @throws {RangeError} For a VLAN id out of range.
   */
  delete(vlans: Many<BridgeVlanEntry>): void {
    const entries = this.#entries(vlans);
    const connection = connectionTo(this.#link.ref);
    const there = new Set(this.list().flatMap(ids));
    // A link that is no port, and a kernel without VLAN filtering, refuse the request.
    if (there.size === 0 && entries[0]) connection.request(this.#deletion(entries[0]));
    for (const entry of entries) {
      // The kernel ignores VLANs that are not there.
      for (const vid of ids(entry)) {
        if (!there.delete(vid)) throw this.#error("delete", entry, ERRNO.ENOENT);
      }
    }
    deleteAll(connection, entries, (entry) => this.#deletion(entry));
  }

  /** Deletes all VLANs. */
  flush(): void {
    deleteAll(connectionTo(this.#link.ref), this.list(), (entry) => this.#deletion(entry));
  }

  /** Sets VLANs; when one is refused, those from before are set again. */
  #set(entries: readonly BridgeVlanEntry[], before: readonly BridgeVlan[]): void {
    const there = new Set(before.flatMap(ids));
    addAll(connectionTo(this.#link.ref), entries, (entry) => this.#addition(entry), () => {
      const added = entries.flatMap(ids).filter((vid) => !there.has(vid));
      return [
        ...added.map((vid) => this.#deletion({ vid })),
        ...before.map((vlan) => this.#addition(vlan)),
      ];
    });
  }

  #entries(vlans: Many<BridgeVlanEntry>): readonly BridgeVlanEntry[] {
    return convert(vlans, (entry) => {
      checkOptions(entry, ENTRY);
      checkVlanRange(entry);
      return entry;
    });
  }

  #addition(entry: BridgeVlanEntry): Request {
    const { index } = this.#link;
    return addBridgeVlan({ ...entry, index, self: this.#self }, this.#what);
  }

  #deletion({ vid, end }: BridgeVlanRange): Request {
    const { index } = this.#link;
    const range = end === undefined ? { vid } : { vid, end };
    return deleteBridgeVlan({ ...range, index, self: this.#self }, this.#what);
  }

  #error(verb: string, { vid, end = vid }: BridgeVlanRange, errno: number): NetlinkError {
    const range = end === vid ? `${vid}` : `${vid}-${end}`;
    const netns = this.#link.ref.description;
    return new NetlinkError({ operation: `${verb} vlan ${range} of ${this.#what}`, netns, errno });
  }

  get #what(): string {
    return `${this.#self ? "bridge" : "port"} ${show(this.#link.name)}`;
  }

  /** Prints the VLANs. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const { description } = this.#link.ref;
    const title = `vlans of ${this.#what}${description ? ` in ${description}` : ""}`;
    return inspectList(title, () => this.list(), inspect, options);
  }
}

/** The ids from `vid` to `end`. */
function ids({ vid, end = vid }: BridgeVlanRange): number[] {
  return Array.from({ length: end - vid + 1 }, (_, i) => vid + i);
}
