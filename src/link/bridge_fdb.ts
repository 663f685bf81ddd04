/**
 * Forwarding entries of a bridge and of its ports: which Ethernet address is behind which port.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import type { Request } from "../netlink/message.ts";
import {
  deleteFdb,
  dumpFdb,
  type FdbFlushFilter,
  type FdbInfo,
  type FdbMessage,
  type FdbState,
  flushFdb,
  newFdb,
} from "../rtnetlink/fdb.ts";
import { dumpLinks, getLink } from "../rtnetlink/link.ts";
import type { NeighborFlag } from "../rtnetlink/neighbor_attributes.ts";
import { indexOf, type LinkHandle, type LinkTarget } from "./options.ts";
import { show } from "../options.ts";

/** Which forwarding entry of a port. */
export interface BridgePortFdbSelector {
  /** The Ethernet address. */
  readonly mac: string;
  /** VLAN it is for, 1..4094. Default: none; with `vlanFiltering` all VLANs of the port. */
  readonly vlan?: number;
  /**
   * Marks: `sticky` stays on its port though the address is seen on another, `ext_learned` was put
   * there by a program that also removes it. `self` is an address the port itself listens to, in no
   * bridge's table.
   */
  readonly flags?: readonly NeighborFlag[];
}

/** A forwarding entry of a port, to be set. */
export interface BridgePortFdbEntry extends BridgePortFdbSelector {
  /**
   * `permanent`: an address of the bridge's own (iproute2 also says `local`). `static`: on the port
   * until it is deleted. `dynamic`: until it is seen elsewhere, or not seen for the ageing time.
   * Default: `static`; on the bridge itself `permanent`, with `ext_learned` `dynamic`.
   */
  readonly state?: Exclude<FdbState, "stale">;
  /** Tells listeners when the entry becomes inactive, and active again. Default: false. Linux 5.14. */
  readonly activityNotify?: boolean;
  /** Setting an entry that is there does not count as seeing its address. Default: false. */
  readonly dontRefresh?: boolean;
}

/** Which forwarding entry of a bridge. */
export interface BridgeFdbSelector extends BridgePortFdbSelector {
  /** The port. Default: none, the address is the bridge's own. */
  readonly port?: LinkTarget;
}

/** A forwarding entry of a bridge, to be set. */
export interface BridgeFdbEntry extends BridgePortFdbEntry {
  /** The port. Default: none, the address is the bridge's own. */
  readonly port?: LinkTarget;
}

/** A forwarding entry as the kernel reports it. */
export interface BridgeFdbInfo {
  /** The Ethernet address. */
  readonly mac: string;
  /** VLAN it is for. */
  readonly vlan?: number;
  /** Name of the port; of the bridge where the address is the bridge's own. */
  readonly port: string;
  /** Index of that link. */
  readonly index: number;
  /** How long it lasts. */
  readonly state: FdbState | number;
  /** Marks. */
  readonly flags: readonly NeighborFlag[];
  /** Seconds since a frame was sent to it. */
  readonly used: number;
  /** Seconds since the address was seen, or the entry set. */
  readonly updated: number;
  /** Listeners are told when it becomes inactive, and active again. */
  readonly activityNotify?: boolean;
  /** Not seen for the ageing time, and kept because of `activityNotify`. */
  readonly inactive?: boolean;
}

/** Which entries of a port a flush removes: those that match all that is given. */
export type BridgePortFdbFilter = Omit<FdbFlushFilter, "index">;

/** Which entries a flush removes: those that match all that is given. */
export interface BridgeFdbFilter extends BridgePortFdbFilter {
  /** Only those on this port. */
  readonly port?: LinkTarget;
}

/** A link whose name is known, for messages. */
type NamedLink = LinkHandle & { readonly name: string };

/** The forwarding entries of one port; or those on the bridge itself. */
export class BridgePortFdb {
  readonly #link: NamedLink;
  readonly #self: boolean;

  /**
   * For bridges and ports.
   *
   * @param link The port, or the bridge.
   * @param self Whether `link` is the bridge.
   */
  constructor(link: LinkHandle & { readonly name: string }, self = false) {
    this.#link = link;
    this.#self = self;
  }

  /** Reads the entries. */
  list(): BridgeFdbInfo[] {
    const { ref, index } = this.#link;
    const { name } = connectionTo(ref).request(getLink(index, { stats: false }));
    return read(ref, { index }).map((entry) => info(entry, name));
  }

  /**
   * Adds an entry.
   *
   * @throws {NetlinkError} EEXIST when the address has an entry, on whatever port of the bridge; EPERM
   * for a `dynamic` one while the port neither learns nor forwards.
   * @throws {TypeError} For a malformed address.
   */
  add(entry: BridgePortFdbEntry): void {
    this.#request("add", newFdb(this.#message(this.#withState(entry))), entry);
  }

  /** Adds an entry, or changes it: an address that was behind another port is behind this one then. */
  replace(entry: BridgePortFdbEntry): void {
    this.#request(
      "replace",
      newFdb(this.#message(this.#withState(entry)), { replace: true }),
      entry,
    );
  }

  /** Removes an entry. ENOENT when there is none on this port. */
  delete(selector: BridgePortFdbSelector): void {
    this.#request("delete", deleteFdb(this.#message(selector)), selector);
  }

  /**
   * Removes entries: those that match all of `filter`. Without a `state`, all but the permanent ones:
   * without these the host itself would not be reached. Linux 5.19.
   */
  flush(filter: BridgePortFdbFilter = {}): void {
    const { ref, index } = this.#link;
    if (this.#self) return flush(ref, index, { ...filter, index });
    const { master = 0 } = connectionTo(ref).request(getLink(index, { stats: false }));
    flush(ref, master, { ...filter, index });
  }

  #message<T extends BridgePortFdbSelector>(entry: T): T & FdbMessage {
    checkVlan(entry.vlan);
    const { flags = [] } = entry;
    const said = flags.includes("self") || flags.includes("master");
    const owner = this.#self ? "self" : "master";
    return { ...entry, index: this.#link.index, flags: said ? flags : [...flags, owner] };
  }

  /** The kernel does not ask for the state of what a program has learned for a port. */
  #withState(entry: BridgePortFdbEntry): BridgePortFdbEntry {
    const { state = "dynamic", flags = [] } = entry;
    if (this.#self || !flags.includes("ext_learned")) return entry;
    if (state === "dynamic") return { ...entry, state };
    throw new TypeError(
      `An ext_learned entry of a port is dynamic: the current state is ${show(state)}`,
    );
  }

  #request(verb: string, request: Request, { mac, vlan }: BridgePortFdbSelector): void {
    const { ref, name } = this.#link;
    const entry = `forwarding entry ${mac}${vlan === undefined ? "" : ` vlan ${vlan}`}`;
    const operation = `${verb} ${entry} on ${this.#self ? "bridge" : "port"} ${show(name)}`;
    connectionTo(ref).request({ ...request, operation });
  }
}

/**
 * The forwarding entries of a bridge.
 *
 * @example An address that is always behind one port
 * ```ts
 * import { Bridge, NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const bridge = Bridge.create({ name: "br0", netns });
 * Veth.create({ name: "v0", netns, peer: { name: "v1", master: bridge } });
 * bridge.fdb.add({ mac: "02:00:00:00:00:01", port: "v1" });
 * const entry = bridge.fdb.list().find(({ mac }) => mac === "02:00:00:00:00:01");
 * assertEquals([entry?.port, entry?.state], ["v1", "static"]);
 * ```
 */
export class BridgeFdb {
  readonly #bridge: NamedLink;

  /** For bridges. */
  constructor(bridge: LinkHandle & { readonly name: string }) {
    this.#bridge = bridge;
  }

  /** Reads the entries in the bridge's table. */
  list(): BridgeFdbInfo[] {
    const { ref, index } = this.#bridge;
    const connection = connectionTo(ref);
    const links = connection.dump(dumpLinks({ master: index, stats: false }));
    links.push(connection.request(getLink(index, { stats: false })));
    const names = new Map(links.map((link) => [link.index, link.name]));
    return read(ref, { bridge: index }).map((entry) =>
      info(entry, names.get(entry.index) ?? `if${entry.index}`)
    );
  }

  /**
   * Adds an entry.
   *
   * @throws {NetlinkError} EEXIST when the address has an entry, on whatever port; EPERM for a `dynamic`
   * one while the port neither learns nor forwards.
   * @throws {TypeError} For a malformed address, and for a link that is not a port of this bridge.
   */
  add(entry: BridgeFdbEntry): void {
    const { port, ...rest } = entry;
    this.#of(port).add(rest);
  }

  /** Adds an entry, or changes it, its port too. */
  replace(entry: BridgeFdbEntry): void {
    const { port, ...rest } = entry;
    this.#of(port).replace(rest);
  }

  /** Removes an entry. ENOENT when there is none on this port. */
  delete(selector: BridgeFdbSelector): void {
    const { port, ...rest } = selector;
    this.#of(port).delete(rest);
  }

  /**
   * Removes entries: those that match all of `filter`. Without a `state`, all but the permanent ones:
   * without these the host itself would not be reached. Linux 5.19.
   */
  flush(filter: BridgeFdbFilter = {}): void {
    const { port, ...rest } = filter;
    if (port === undefined) flush(this.#bridge.ref, this.#bridge.index, rest);
    else this.#of(port).flush(rest);
  }

  #of(port: LinkTarget | undefined): BridgePortFdb {
    const { ref, index, name } = this.#bridge;
    if (port === undefined) return new BridgePortFdb(this.#bridge, true);
    const link = connectionTo(ref).request(getLink(indexOf(port, ref, "port"), { stats: false }));
    if (link.master !== index) {
      throw new TypeError(`Link ${show(link.name)} is not a port of bridge ${show(name)}`);
    }
    return new BridgePortFdb({ ref, index: link.index, name: link.name });
  }
}

/** Entries in a bridge's table: a dump also has what the links themselves listen to. */
function read(ref: NetNsRef, filter: { bridge?: number; index?: number }): FdbInfo[] {
  return connectionTo(ref).dump(dumpFdb(filter)).filter(({ master }) => master !== undefined);
}

function info(entry: FdbInfo, port: string): BridgeFdbInfo {
  const { mac, vlan, index, state, flags, cacheInfo, activityNotify, inactive } = entry;
  return {
    mac,
    ...(vlan === undefined ? {} : { vlan }),
    port,
    index,
    state,
    flags,
    used: (cacheInfo?.used ?? 0) / 100,
    updated: (cacheInfo?.updated ?? 0) / 100,
    ...(activityNotify ? { activityNotify } : {}),
    ...(inactive ? { inactive } : {}),
  };
}

function flush(ref: NetNsRef, bridge: number, filter: FdbFlushFilter): void {
  checkVlan(filter.vlan);
  const states = filter.state === undefined ? ["static", "dynamic"] as const : [filter.state];
  const requests = states.map((state) => flushFdb(bridge, { ...filter, state }));
  for (const result of connectionTo(ref).batch(requests)) if (!result.ok) throw result.error;
}

function checkVlan(vlan: number | undefined): void {
  if (vlan !== undefined && !(Number.isInteger(vlan) && vlan >= 1 && vlan <= 4094)) {
    throw new RangeError(`vlan must be in 1..4094: got ${show(vlan)}`);
  }
}
