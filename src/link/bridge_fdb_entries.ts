/**
 * Requests for the forwarding entries of a bridge, and the checks of their options.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import {
  addAll,
  convert,
  deleteAll,
  flushAll,
  type PartsOf,
  refuse,
  replaceAll,
  type Undo,
} from "../netlink/collection.ts";
import type { Connection } from "../netlink/connection.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { checkOptions, hasKey, integer, type OptionNames, show, wordValue } from "../options.ts";
import { type BridgeVlan, dumpVlansOf } from "../rtnetlink/bridge_vlan.ts";
import {
  deleteFdb,
  dumpFdb,
  type FdbFlushFilter,
  type FdbInfo,
  type FdbMessage,
  type FdbState,
  flushFdb,
  getFdb,
  newFdb,
} from "../rtnetlink/fdb.ts";
import { checkMac } from "../rtnetlink/fields.ts";
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
  /** Setting an existing entry does not count as seeing its address. Default: false. */
  readonly dontRefresh?: boolean;
}

/** The names of {@link BridgePortFdbEntry}. */
export const ENTRY: OptionNames<BridgePortFdbEntry> = {
  mac: true,
  vlan: true,
  flags: true,
  state: true,
  activityNotify: true,
  dontRefresh: true,
};

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

/** The names of {@link BridgePortFdbFilter}. */
export const PORT_FILTER: OptionNames<BridgePortFdbFilter> = {
  vlan: true,
  state: true,
  addedByUser: true,
  extLearned: true,
  sticky: true,
  offloaded: true,
};

/** The link an entry is on: a port, or the bridge itself. */
export interface Place {
  readonly index: number;
  readonly name: string;
  /** The bridge itself. */
  readonly self: boolean;
}

type GivenEntry = BridgePortFdbEntry | BridgeFdbInfo;
/** An entry, and the link it is on. */
export type Placed = readonly [Place, GivenEntry];

/** A link for messages: `port "p1"`. */
export function whatOf({ name, self }: Place): string {
  return `${self ? "bridge" : "port"} ${show(name)}`;
}

/** The title of the entries of a link, for people. */
export function titleOf(place: Place, ref: NetNsRef): string {
  return `forwarding entries of ${whatOf(place)}${ref.place}`;
}

/** The message for an entry. */
function message([{ index, self }, given]: Placed): FdbMessage {
  const entry = hasKey(given, "updated") ? settable(given) : given;
  checkOptions(entry, ENTRY);
  checkMac(entry.mac, "mac");
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

/** For an entry that a program has learned for a port, the kernel needs no state. */
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
  const keys = new Set(wholes.filter(([, { vlan }]) => vlan === undefined).map(keyOf));
  return (placed) => placed[1].vlan !== undefined && keys.has(keyOf(placed));
};

const undo: Undo<Placed> = (done) => {
  const isPart = parts(done);
  return done.filter((placed) => !isPart(placed)).map(deletion);
};

/** The places and addresses of entries, to compare. */
const keyOf = ([{ index }, { mac }]: Placed): string => `${index} ${checkMac(mac, "mac")}`;

/** Adds entries, all or none. */
export function add(ref: NetNsRef, placed: readonly Placed[]): void {
  refuseParts(ref, placed);
  addAll(connectionTo(ref), placed, newRequest, undo, { parts });
}

/**
 * Refuses an entry without a VLAN whose address has an entry for a VLAN of the port. The kernel would add it to the
 * VLANs before that one, and removing these again would delete the older entry, too.
 */
function refuseParts(ref: NetNsRef, placed: readonly Placed[]): void {
  convert(placed, message);
  const wholes = [...placed.entries()].filter(([, entry]) => isWhole(entry));
  if (wholes.length === 0) return;
  const connection = connectionTo(ref);
  const vlans = new Map<number, BridgeVlan[]>();
  for (const [, [{ index }]] of wholes) {
    if (!vlans.has(index)) vlans.set(index, vlansOf(connection, index));
  }
  const asked = wholes.flatMap(([at, entry]) => {
    const ranges = vlans.get(entry[0].index)!;
    return ranges.flatMap(({ vid, end = vid }) =>
      Array.from({ length: end - vid + 1 }, (_, i) => ({ at, entry, vlan: vid + i }))
    );
  });
  const parts = partsOf(placed);
  checkOrder(parts, asked);
  const results = connection.batch(
    asked.map(({ entry: [{ index, self }, { mac }], vlan }) =>
      getFdb({ index, mac, vlan, flags: [self ? "self" : "master"] })
    ),
  );
  const refusals = new Map<number, NetlinkError>();
  for (const [i, result] of results.entries()) {
    if (!result.ok) continue;
    const { at, entry, vlan } = asked[i]!;
    const link = entry[0].self ? "bridge" : "port";
    const hint = `the address has an entry for VLAN ${vlan}, which the ${link} is in`;
    // The kernel would refuse an entry of the call for that VLAN, too.
    for (const index of [at, parts.get(`${keyOf(entry)} ${vlan}`) ?? at]) {
      const { operation } = newRequest(placed[index]!, false);
      const error = { operation, netns: ref.description, errno: ERRNO.EEXIST };
      if (!refusals.has(index)) {
        refusals.set(index, new NetlinkError(index === at ? { ...error, hint } : error));
      }
    }
  }
  if (refusals.size === 0) return;
  const all = Array.from(refusals, ([index, error]) => ({ index, error }))
    .sort((one, other) => one.index - other.index);
  refuse(all, placed.length, "none is added");
}

/** Whether the kernel has VLANs of bridges, as far as is known. */
let hasVlans = true;

function vlansOf(connection: Connection, index: number): BridgeVlan[] {
  if (!hasVlans) return [];
  try {
    return connection.dump(dumpVlansOf(index)).flatMap(({ vlans }) => vlans);
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.code !== "EOPNOTSUPP") throw error;
    hasVlans = false;
    return [];
  }
}

/** Whether the kernel adds an entry to each VLAN of its port. An address that a port itself listens to has no VLANs. */
function isWhole([{ self }, { vlan, flags = [] }]: Placed): boolean {
  return vlan === undefined && (self || !flags.includes("self") || flags.includes("master"));
}

/** The positions of entries for a VLAN. */
function partsOf(placed: readonly Placed[]): Map<string, number> {
  const parts = new Map<string, number>();
  for (const [i, entry] of placed.entries()) {
    const { vlan } = entry[1];
    if (vlan !== undefined) parts.set(`${keyOf(entry)} ${vlan}`, i);
  }
  return parts;
}

/** Refuses an entry without a VLAN after one that it includes: the kernel refuses it, and adds it in part. */
function checkOrder(
  parts: ReadonlyMap<string, number>,
  asked: readonly { readonly at: number; readonly entry: Placed; readonly vlan: number }[],
): void {
  for (const { at, entry, vlan } of asked) {
    const before = parts.get(`${keyOf(entry)} ${vlan}`) ?? at;
    if (before >= at) continue;
    throw new TypeError(
      `entries[${at}]: an entry without a VLAN is for VLAN ${vlan} of the port, too, and comes before ` +
        `one for that: got ${entry[1].mac} for it in entries[${before}]`,
    );
  }
}

/** Adds entries, or changes them. */
export function replace(ref: NetNsRef, placed: readonly Placed[]): void {
  replaceAll(connectionTo(ref), placed, newRequest, undo, { parts });
}

/** Deletes entries. A refusal does not keep the others. */
export function remove(ref: NetNsRef, placed: readonly Placed[]): void {
  deleteAll(connectionTo(ref), placed, deletion, parts);
}

/**
 * Entries in a bridge's table, those without a VLAN first, as they have to be added again. A dump also has
 * the addresses that the links themselves listen to.
 */
export function read(ref: NetNsRef, filter: { bridge?: number; index?: number }): FdbInfo[] {
  return connectionTo(ref).dump(dumpFdb(filter))
    .filter(({ master }) => master !== undefined)
    .sort((one, other) => (one.vlan ?? 0) - (other.vlan ?? 0));
}

/** The entry that a selector means. Throws ENOENT when there is none. */
export function find(
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

/** An entry as the public interface has it. */
export function info(entry: FdbInfo, port: string): BridgeFdbInfo {
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

/** Deletes the entries of a bridge that match all of a filter. */
export function flush(ref: NetNsRef, bridge: number, filter: FdbFlushFilter): void {
  checkVlan(filter.vlan);
  const states = filter.state === undefined ? ["static", "dynamic"] as const : [filter.state];
  flushAll(connectionTo(ref), states, (state) => flushFdb(bridge, { ...filter, state }), []);
}

function checkVlan(vlan: number | undefined): void {
  if (vlan !== undefined) integer(vlan, "vlan", 1, 4094);
}
