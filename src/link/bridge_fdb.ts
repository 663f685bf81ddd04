/**
 * Forwarding entries of a bridge and of its ports: the ports behind which Ethernet addresses are.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import {
  addAll,
  asArray,
  convert,
  deleteAll,
  flushAll,
  type Inspect,
  inspectList,
  type Many,
  type PartsOf,
  replaceAll,
  type Undo,
} from "../netlink/collection.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { checkOptions, hasKey, integer, type OptionNames, show, wordValue } from "../options.ts";
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
import { checkMac } from "../rtnetlink/fields.ts";
import { dumpLinks, getLink } from "../rtnetlink/link.ts";
import { indexOf, type LinkTarget, type NamedLink } from "../rtnetlink/link_target.ts";
import type { NeighborFlag } from "../rtnetlink/neighbor_attributes.ts";

/** A flag of a forwarding entry that can be set. */
export type BridgeFdbFlag =
  /** It stays on its port though the address is seen on another. */
  | "sticky"
  /** A program put it there, which also removes it. */
  | "ext_learned"
  /** It counts as seen now. */
  | "use"
  /** An address that the port itself listens to, in no bridge's table. */
  | "self"
  /** In the table of the bridge: the default. */
  | "master";

const FLAGS: Readonly<Record<BridgeFdbFlag, true>> = {
  sticky: true,
  ext_learned: true,
  use: true,
  self: true,
  master: true,
};

/** The forwarding entry that a call means. */
export interface BridgePortFdbSelector {
  /** The Ethernet address. */
  readonly mac: string;
  /**
   * VLAN it is for, 1..4094. Default: none, and each VLAN that the port is in; VLAN 1 is one unless
   * `vlanDefaultPvid` is 0. The table has an entry for each, which can be changed and deleted on its own.
   */
  readonly vlan?: number;
  /** Its flags. */
  readonly flags?: readonly BridgeFdbFlag[];
}

/** A forwarding entry of a port, to be set. */
export interface BridgePortFdbEntry extends BridgePortFdbSelector {
  /**
   * `permanent`: an address of the bridge's own (iproute2 also says `local`). `static`: on the port
   * until it is deleted. `dynamic`: until it is seen elsewhere, or not seen for the ageing time.
   * Default: `static`; on the bridge itself `permanent`, with `ext_learned` `dynamic`.
   */
  readonly state?: "permanent" | "static" | "dynamic";
  /** Tells listeners when the entry becomes inactive, and active again. Default: false. Linux 5.14. */
  readonly activityNotify?: boolean;
  /** Setting an entry that is there does not count as seeing its address. Default: false. */
  readonly dontRefresh?: boolean;
}

/** The forwarding entry of a bridge that a call means. */
export interface BridgeFdbSelector extends BridgePortFdbSelector {
  /** The port. Default: none, the address is the bridge's own. */
  readonly port?: LinkTarget;
}

/** A forwarding entry of a bridge, to be set. */
export interface BridgeFdbEntry extends BridgePortFdbEntry {
  /** The port. Default: none, the address is the bridge's own. */
  readonly port?: LinkTarget;
}

const ENTRY: OptionNames<BridgePortFdbEntry> = {
  mac: true,
  vlan: true,
  flags: true,
  state: true,
  activityNotify: true,
  dontRefresh: true,
};

const BRIDGE_ENTRY: OptionNames<BridgeFdbEntry> = { ...ENTRY, port: true };

/** A forwarding entry as the kernel reports it. */
export interface BridgeFdbInfo {
  /** The Ethernet address. */
  readonly mac: string;
  /** VLAN it is for. Absent: frames without one, while the bridge has no `vlanFiltering`. */
  readonly vlan?: number;
  /** Name of the port; of the bridge where the address is the bridge's own. */
  readonly port: string;
  /** Index of that link. */
  readonly index: number;
  /** Its lifetime. */
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

/** A filter for the entries of a port: an entry must match all of it. */
export interface BridgePortFdbFilter {
  /** Only entries for this VLAN, 1..4094. */
  readonly vlan?: number;
  /** Only entries that last so long. Default: all but the permanent ones, the ports' own addresses. */
  readonly state?: "permanent" | "static" | "dynamic";
  /** Only entries that were added by a request (`true`) or learned (`false`). */
  readonly addedByUser?: boolean;
  /** Only entries with or without the flag `ext_learned`. */
  readonly extLearned?: boolean;
  /** Only entries with or without the flag `sticky`. */
  readonly sticky?: boolean;
  /** Only entries that are or are not in the hardware's table. */
  readonly offloaded?: boolean;
}

/** A filter for the entries of a bridge: an entry must match all of it. */
export interface BridgeFdbFilter extends BridgePortFdbFilter {
  /** Only those on this port. */
  readonly port?: LinkTarget;
}

/** The link an entry is on: a port, or the bridge itself. */
interface Place {
  readonly index: number;
  readonly name: string;
  /** The bridge itself. */
  readonly self: boolean;
}

type GivenEntry = BridgePortFdbEntry | BridgeFdbInfo;
type Placed = readonly [Place, GivenEntry];

/** The forwarding entries of one port; or those on the bridge itself. Follows the handle of the port. */
export class BridgePortFdb {
  readonly #link: NamedLink;
  readonly #self: boolean;

  /**
   * For bridges and ports.
   *
   * @param link The port, or the bridge.
   * @param self Whether `link` is the bridge.
   */
  constructor(link: NamedLink, self = false) {
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
   * Reads one entry.
   *
   * @throws {NetlinkError} ENOENT when there is none on this port.
   */
  get(selector: { readonly mac: string; readonly vlan?: number }): BridgeFdbInfo {
    return find(this.list(), selector, this.#link.ref, whatOf(this.#place));
  }

  /**
   * Adds entries, all or none.
   *
   * @param entries One or many; also what `list()` gave.
   * @throws {NetlinkError} EEXIST when the address has an entry, on whatever port of the bridge; EPERM
   * for a `dynamic` one while the port neither learns nor forwards.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For a malformed address.
   */
  add(entries: Many<BridgePortFdbEntry | BridgeFdbInfo>): void {
    add(this.#link.ref, asArray(entries).map((entry) => [this.#place, entry]));
  }

  /** Adds entries, or changes them: an address that was behind another port is behind this one then. */
  replace(entries: Many<BridgePortFdbEntry | BridgeFdbInfo>): void {
    replace(this.#link.ref, asArray(entries).map((entry) => [this.#place, entry]));
  }

  /** Deletes entries. ENOENT when there is none on this port. */
  delete(selectors: Many<BridgePortFdbSelector | BridgeFdbInfo>): void {
    remove(this.#link.ref, asArray(selectors).map((selector) => [this.#place, selector]));
  }

  /**
   * Deletes entries: those that match all of `filter`. Without a `state`, all but the permanent ones:
   * without these the host itself would not be reached. Linux 5.19.
   */
  flush(filter: BridgePortFdbFilter = {}): void {
    const { ref, index } = this.#link;
    if (this.#self) return flush(ref, index, { ...filter, index });
    const { master = 0 } = connectionTo(ref).request(getLink(index, { stats: false }));
    flush(ref, master, { ...filter, index });
  }

  get #place(): Place {
    const { index, name } = this.#link;
    return { index, name, self: this.#self };
  }

  /** Prints the entries. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const title = titleOf(this.#place, this.#link.ref);
    return inspectList(title, () => this.list(), inspect, options);
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
 * const entry = bridge.fdb.get({ mac: "02:00:00:00:00:01" });
 * assertEquals([entry.port, entry.state], ["v1", "static"]);
 * ```
 */
export class BridgeFdb {
  readonly #bridge: NamedLink;

  /** For bridges. */
  constructor(bridge: NamedLink) {
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
   * Reads one entry, on whatever port it is.
   *
   * @throws {NetlinkError} ENOENT when there is none; with a `port` when there is none on that.
   */
  get(
    selector: { readonly mac: string; readonly vlan?: number; readonly port?: LinkTarget },
  ): BridgeFdbInfo {
    const { port, ...rest } = selector;
    const { ref } = this.#bridge;
    const place = port === undefined ? this.#own : this.#placeOf(port);
    const entries = this.list().filter(({ index }) => port === undefined || index === place.index);
    return find(entries, rest, ref, whatOf(place));
  }

  /**
   * Adds entries, all or none.
   *
   * @param entries One or many; also what `list()` gave.
   * @throws {NetlinkError} EEXIST when the address has an entry, on whatever port; EPERM for a `dynamic`
   * one while the port neither learns nor forwards.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For a malformed address, and for a link that is not a port of this bridge.
   */
  add(entries: Many<BridgeFdbEntry | BridgeFdbInfo>): void {
    add(this.#bridge.ref, this.#placed(entries));
  }

  /** Adds entries, or changes them, their ports too. */
  replace(entries: Many<BridgeFdbEntry | BridgeFdbInfo>): void {
    replace(this.#bridge.ref, this.#placed(entries));
  }

  /** Deletes entries. ENOENT when there is none on the port. */
  delete(selectors: Many<BridgeFdbSelector | BridgeFdbInfo>): void {
    remove(this.#bridge.ref, this.#placed(selectors));
  }

  /** Deletes the entries that match all of `filter`, as {@link BridgePortFdb.flush} does. */
  flush(filter: BridgeFdbFilter = {}): void {
    const { port, ...rest } = filter;
    const { ref, index } = this.#bridge;
    flush(ref, index, port === undefined ? rest : { ...rest, index: this.#placeOf(port).index });
  }

  get #own(): Place {
    const { index, name } = this.#bridge;
    return { index, name, self: true };
  }

  #placed(entries: Many<BridgeFdbEntry | BridgeFdbInfo>): Placed[] {
    const places = new Map<LinkTarget, Place>();
    const placeOf = (port: LinkTarget): Place => {
      const known = places.get(port) ?? this.#placeOf(port);
      places.set(port, known);
      return known;
    };
    return convert(entries, (entry): Placed => {
      // The port of an entry that was read is a name, which a rename changes.
      if (hasKey(entry, "updated")) return [placeOf(entry.index), entry];
      checkOptions(entry, BRIDGE_ENTRY);
      const { port, ...rest } = entry;
      return [port === undefined ? this.#own : placeOf(port), rest];
    });
  }

  #placeOf(port: LinkTarget): Place {
    const { ref, index, name } = this.#bridge;
    const link = connectionTo(ref).request(getLink(indexOf(port, ref, "port"), { stats: false }));
    if (link.index === index) return this.#own;
    if (link.master !== index) {
      throw new TypeError(`Link ${show(link.name)} is not a port of bridge ${show(name)}`);
    }
    return { index: link.index, name: link.name, self: false };
  }

  /** Prints the entries. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const title = titleOf(this.#own, this.#bridge.ref);
    return inspectList(title, () => this.list(), inspect, options);
  }
}

function whatOf({ name, self }: Place): string {
  return `${self ? "bridge" : "port"} ${show(name)}`;
}

function titleOf(place: Place, ref: NetNsRef): string {
  return `forwarding entries of ${whatOf(place)}${ref.place}`;
}

/** The message for an entry. */
function message([{ index, self }, given]: Placed): FdbMessage {
  const entry = hasKey(given, "updated") ? settable(given) : given;
  checkOptions(entry, ENTRY);
  checkVlan(entry.vlan);
  const { flags = [] } = entry;
  for (const [i, flag] of flags.entries()) wordValue(flag, FLAGS, `flags[${i}]`);
  const said = flags.includes("self") || flags.includes("master");
  const owner = self ? "self" : "master";
  return { ...entry, index, flags: said ? flags : [...flags, owner] };
}

/** The options in an entry that was read. */
function settable(entry: BridgeFdbInfo): BridgePortFdbEntry {
  const { mac, vlan, state, flags, activityNotify } = entry;
  return {
    mac,
    ...(vlan === undefined ? {} : { vlan }),
    state: state === "permanent" || state === "static" ? state : "dynamic",
    flags: flags.filter((flag): flag is BridgeFdbFlag => Object.hasOwn(FLAGS, flag)),
    ...(activityNotify ? { activityNotify } : {}),
  };
}

/** The kernel does not ask for the state of what a program has learned for a port. */
function withState(self: boolean, entry: FdbMessage): FdbMessage {
  const { state = "dynamic", flags = [] } = entry;
  if (self || !flags.includes("ext_learned")) return entry;
  if (state === "dynamic") return { ...entry, state };
  throw new TypeError(`state of an ext_learned entry of a port is "dynamic": got ${show(state)}`);
}

/** A request with a place that a person knows in its error. */
function named(request: Request, verb: string, place: Place, { mac, vlan }: FdbMessage): Request {
  const entry = `forwarding entry ${mac}${vlan === undefined ? "" : ` vlan ${vlan}`}`;
  return { ...request, operation: `${verb} ${entry} on ${whatOf(place)}` };
}

function newRequest(placed: Placed, replace: boolean): Request {
  const [place] = placed;
  const full = withState(place.self, message(placed));
  return named(newFdb(full, { replace }), replace ? "replace" : "add", place, full);
}

function deletion(placed: Placed): Request {
  const full = message(placed);
  return named(deleteFdb(full), "delete", placed[0], full);
}

/** The kernel adds and deletes an entry without a VLAN together with those for each VLAN of the port. */
const parts: PartsOf<Placed> = (wholes) => {
  const key = ([{ index }, { mac }]: Placed) => `${index} ${checkMac(mac, "mac")}`;
  const keys = new Set(wholes.filter(([, { vlan }]) => vlan === undefined).map(key));
  return (placed) => placed[1].vlan !== undefined && keys.has(key(placed));
};

const undo: Undo<Placed> = (done) => {
  const isPart = parts(done);
  return done.filter((placed) => !isPart(placed)).map(deletion);
};

function add(ref: NetNsRef, placed: readonly Placed[]): void {
  addAll(connectionTo(ref), placed, newRequest, undo, { parts });
}

function replace(ref: NetNsRef, placed: readonly Placed[]): void {
  replaceAll(connectionTo(ref), placed, newRequest, undo, { parts });
}

function remove(ref: NetNsRef, placed: readonly Placed[]): void {
  deleteAll(connectionTo(ref), placed, deletion, parts);
}

/**
 * Entries in a bridge's table, those without a VLAN first, as they have to be added again. A dump also has
 * the addresses that the links themselves listen to.
 */
function read(ref: NetNsRef, filter: { bridge?: number; index?: number }): FdbInfo[] {
  return connectionTo(ref).dump(dumpFdb(filter))
    .filter(({ master }) => master !== undefined)
    .sort((one, other) => (one.vlan ?? 0) - (other.vlan ?? 0));
}

function find(
  entries: readonly BridgeFdbInfo[],
  selector: { readonly mac: string; readonly vlan?: number },
  ref: NetNsRef,
  what: string,
): BridgeFdbInfo {
  checkOptions(selector, { mac: true, vlan: true });
  checkVlan(selector.vlan);
  const mac = checkMac(selector.mac, "mac");
  const found = entries.find((entry) => entry.mac === mac && entry.vlan === selector.vlan);
  if (found) return found;
  const vlan = selector.vlan === undefined ? "" : ` vlan ${selector.vlan}`;
  throw new NetlinkError({
    operation: `get forwarding entry ${mac}${vlan} on ${what}`,
    netns: ref.description,
    errno: ERRNO.ENOENT,
  });
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
  flushAll(connectionTo(ref), states, (state) => flushFdb(bridge, { ...filter, state }), []);
}

function checkVlan(vlan: number | undefined): void {
  if (vlan !== undefined) integer(vlan, "vlan", 1, 4094);
}
