/**
 * bridge: an Ethernet switch in the kernel (IEEE 802.1D), its ports, and the VLANs of both.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { Writer } from "../netlink/bytes.ts";
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
import { nested, schema } from "../netlink/schema.ts";
import { atCaller, checkNoArguments, checkOptions, type OptionNames, show } from "../options.ts";
import {
  addBridgeVlan,
  type BridgeVlan,
  type BridgeVlanRange,
  checkVlanRange,
  deleteBridgeVlan,
  dumpBridgeVlans,
} from "../rtnetlink/bridge_vlan.ts";
import { AF, RTM } from "../rtnetlink/constants.ts";
import { dumpLinks, getLink, kindOf } from "../rtnetlink/link.ts";
import { IFLA } from "../rtnetlink/link_attributes.ts";
import { bridge, type BridgeInfo, type BridgeOptions } from "../rtnetlink/link_kinds/bridge.ts";
import {
  BRIDGE_PORT_STATES,
  bridgePort,
  type BridgePortInfo,
  type BridgePortOptions,
  type BridgePortState,
  IFLA_BRPORT,
  portState,
} from "../rtnetlink/link_kinds/bridge_port.ts";
import { indexOf, type LinkTarget, type NamedLink } from "../rtnetlink/link_target.ts";
import { LinkBase } from "./base.ts";
import { findLink, type LinkGetOptions } from "./find.ts";
import { BridgeFdb, BridgePortFdb } from "./bridge_fdb.ts";
import { createKind } from "./create.ts";
import { type LinkOptions, type LinkSettings, SETTINGS } from "./options.ts";

export type {
  BridgeBooleans,
  BridgeInfo,
  BridgeOptions,
  BridgeQuerierState,
  BridgeStatus,
} from "../rtnetlink/link_kinds/bridge.ts";
export type {
  BridgePortInfo,
  BridgePortOptions,
  BridgePortState,
  MulticastRouter,
} from "../rtnetlink/link_kinds/bridge_port.ts";

/** Options of {@link Bridge.create}. */
export interface BridgeCreateOptions extends LinkOptions, BridgeOptions {}

/** Settings of {@link Bridge.set}. */
export interface BridgeSettings extends LinkSettings, BridgeOptions {}

/**
 * A bridge.
 *
 * @example A switch with one port
 * ```ts
 * import { Bridge, NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const bridge = Bridge.create({ name: "br0", netns, stp: true, forwardDelay: 400, up: true });
 * Veth.create({ name: "v0", netns, peer: { name: "v1", master: bridge, port: { cost: 10 } } });
 * assertEquals(bridge.options().forwardDelay, 400);
 * assertEquals(bridge.port("v1").options().cost, 10);
 * ```
 */
export class Bridge extends LinkBase {
  /** The kernel's name of the kind. */
  static readonly kind = "bridge";

  /**
   * Creates a bridge.
   *
   * @param options The options of every link, and those of a bridge.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken.
   * @throws {UnsupportedError} When the kernel has no bridges, or lacks an option.
   * @throws {RangeError} For an option out of range, even where the kernel would accept it.
   * @throws {TypeError} For an unknown or malformed option; nothing is created then.
   */
  static create(options: BridgeCreateOptions): Bridge {
    return atCaller(
      Bridge.create,
      () => new Bridge({ ...createKind(bridge, options), owned: true }),
    );
  }

  /**
   * Finds a bridge.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When the link is not a bridge.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Bridge {
    return new Bridge(findLink(selector, options, "bridge"));
  }

  /** Reads the bridge's options and state. ENODEV when the link is gone. */
  override options(): BridgeInfo {
    return super.options();
  }

  /**
   * Changes link settings and bridge options, and verifies that the kernel took them.
   *
   * @param settings The values to change; others stay as they are.
   * @throws {NetlinkError} When the kernel refuses a value, or ignores it.
   * @throws {UnsupportedError} When the running kernel lacks an option.
   * @throws {RangeError} For an option out of range; nothing is changed then.
   * @throws {TypeError} For an unknown or malformed option; nothing is changed then.
   */
  override set(settings: BridgeSettings): this {
    return super.set(settings);
  }

  /** Its forwarding entries: the port of each Ethernet address. */
  get fdb(): BridgeFdb {
    return new BridgeFdb(this);
  }

  /** The VLANs of the bridge itself, not of its ports. */
  get vlans(): BridgeVlans {
    return new BridgeVlans(this, true);
  }

  /**
   * Adds a link as a port. The port of another bridge leaves that bridge.
   *
   * @param link A handle, a name or an index in the bridge's namespace.
   * @returns The port, as a borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link, EINVAL for one that cannot be a port.
   * @throws {TypeError} For a link in another namespace.
   */
  addPort(link: LinkTarget): BridgePort {
    const port = new BridgePort(findLink(indexOf(link, this.ref, "port"), { netns: this }));
    port.set({ master: this });
    return port;
  }

  /**
   * Releases a port.
   *
   * @param link A handle, a name or an index in the bridge's namespace.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When the link is not a port of this bridge.
   */
  deletePort(link: LinkTarget): void {
    this.port(link).set({ master: null });
  }

  /**
   * Finds a port.
   *
   * @param link A handle, a name or an index in the bridge's namespace.
   * @returns The port, as a borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When the link is not a port of this bridge.
   */
  port(link: LinkTarget): BridgePort {
    const state = findLink(indexOf(link, this.ref, "port"), { netns: this });
    if (state.info.master !== this.index) {
      throw new TypeError(`Link "${state.info.name}" is not a port of bridge "${this.name}"`);
    }
    return new BridgePort(state);
  }

  /** Lists the ports, as borrowed handles, by index. */
  ports(): BridgePort[] {
    return connectionTo(this.ref)
      .dump(dumpLinks({ master: this.index, stats: false }))
      .map((info) =>
        new BridgePort({
          netns: { ref: this.ref, owned: false },
          kind: kindOf(info),
          index: info.index,
          name: info.name,
          owned: false,
        })
      );
  }
}

/** Settings of {@link BridgePort.set}. */
export interface BridgePortSettings extends LinkSettings, BridgePortOptions {
  /**
   * How the port handles frames, while it is up, has a carrier and spanning tree is off. The kernel
   * lets it forward again when its carrier comes or anything of the link changes, and moves it on from
   * `listening` and `learning` when a forward delay ends. `blocking` is for spanning tree in user space.
   */
  readonly state?: BridgePortState | number;
}

/** A link that is a port of a bridge. */
export class BridgePort extends LinkBase {
  /** Reads the port's options and spanning tree state: none when it is no port any more. */
  override options(): BridgePortInfo {
    const { port } = connectionTo(this.ref).request(getLink(this.index, { stats: false }));
    return port?.kind === "bridge" ? port.options : {};
  }

  /**
   * Changes link settings and port options, and verifies that the kernel took them.
   *
   * @param settings The values to change; others stay as they are.
   * @throws {NetlinkError} When the kernel refuses a value, or ignores it; ENETDOWN for a `state` while the
   * port is down.
   * @throws {UnsupportedError} When the running kernel lacks an option.
   * @throws {RangeError} For an option out of range; nothing is changed then.
   * @throws {TypeError} For an unknown or malformed option; nothing is changed then.
   */
  override set(settings: BridgePortSettings): this {
    checkOptions(settings, { ...SETTINGS, ...bridgePort.options, state: true });
    const { state, ...others } = settings;
    const link: Record<string, unknown> = {};
    const port: Record<string, unknown> = { ...settings.port };
    for (const [key, value] of Object.entries(others)) {
      if (value === undefined || key === "port") continue;
      (Object.hasOwn(bridgePort.options!, key) ? port : link)[key] = value;
    }
    const last = state === undefined ? undefined : this.#stateRequest(state);
    if (Object.keys(port).length > 0) link.port = port;
    if (Object.keys(link).length > 0) super.set(link);
    if (last) this.#setState(last, state);
    return this;
  }

  /** Its forwarding entries: the Ethernet addresses behind it. */
  get fdb(): BridgePortFdb {
    return new BridgePortFdb(this);
  }

  /** The VLANs it lets in and out. */
  get vlans(): BridgeVlans {
    return new BridgeVlans(this, false);
  }

  /** Among a link's other settings, a state would not outlast the message that sets it. */
  #stateRequest(state: BridgePortState | number): Request<undefined> {
    const request: Request<undefined> = {
      type: RTM.SETLINK,
      typeName: "RTM_SETLINK",
      flags: 0,
      operation: `set state of port ${show(this.name)}`,
      format: stateFormat,
      message: { index: this.index, port: { state } },
      command: () =>
        `bridge link set dev if${this.index} state ${
          typeof state === "number" ? state : BRIDGE_PORT_STATES[state]
        }`,
    };
    // An invalid state throws here, before any message is sent.
    request.format.write(new Writer(64), request.message);
    return request;
  }

  #setState(request: Request<undefined>, state: unknown): void {
    connectionTo(this.ref).request(request);
    const { state: now } = this.options();
    if (now === state || BRIDGE_PORT_STATES[now as BridgePortState] === state) return;
    throw new NetlinkError({
      operation: request.operation,
      netns: this.ref.description,
      errno: ERRNO.EOPNOTSUPP,
      text: `The kernel was asked for ${show(state)} and has ${show(now)}`,
    });
  }
}

/** A message about a port, of family AF_BRIDGE. */
interface StateMessage {
  readonly index: number;
  readonly port: { readonly state: BridgePortState | number };
}

const stateSchema = schema<{ port?: { state?: BridgePortState | number } }>("IFLA_", IFLA, {
  port: nested(IFLA.PROTINFO, schema("IFLA_BRPORT_", IFLA_BRPORT, { state: portState })),
});

const stateFormat = {
  headerLength: 16,
  schemaOf: () => stateSchema,
  write: (writer: Writer, { index, port }: StateMessage) => {
    const at = writer.reserve(16);
    writer.view.setUint8(at, AF.BRIDGE);
    writer.view.setInt32(at + 4, index, true);
    stateSchema.write(writer, { port });
  },
  read: () => {
    throw new TypeError("Not an answer");
  },
};

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
    checkNoArguments(arguments, "list");
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
   * @throws {NetlinkError} EEXIST when one of them exists, EOPNOTSUPP when the kernel has no VLAN
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
      // The kernel would change an existing VLAN.
      for (const vid of ids(entry)) {
        if (there.has(vid)) throw this.#error("add", entry, ERRNO.EEXIST);
        there.add(vid);
      }
    }
    this.#set(entries, before);
  }

  /**
   * Adds VLANs, or changes existing ones: they get the `pvid` and `untagged` of this call.
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
    checkNoArguments(arguments, "flush");
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
    const title = `vlans of ${this.#what}${this.#link.ref.place}`;
    return inspectList(title, () => this.list(), inspect, options);
  }
}

/** The ids from `vid` to `end`. */
function ids({ vid, end = vid }: BridgeVlanRange): number[] {
  return Array.from({ length: end - vid + 1 }, (_, i) => vid + i);
}
