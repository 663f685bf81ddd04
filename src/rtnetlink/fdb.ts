/**
 * Forwarding entries of bridges and VXLANs: which Ethernet address is behind which port. RTM_NEWNEIGH,
 * RTM_DELNEIGH and RTM_GETNEIGH with family AF_BRIDGE.
 *
 * @module
 */
import { named, u16 } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import { type DumpRequest, type MessageFormat, NLM_F, type Request } from "../netlink/message.ts";
import { AF, RTM } from "./constants.ts";
import { checkMac, writeInHeader } from "./fields.ts";
import {
  NEIGHBOR_HEADER,
  NEIGHBOR_STATES,
  type NeighborAttributes,
  type NeighborCacheInfo,
  type NeighborFlag,
  neighborFlagBits,
  neighborFlags,
  neighborSchema,
  NTF,
  readNeighborHeader,
  writeNeighborHeader,
} from "./neighbor_attributes.ts";
import { boolean, checkOptions, type OptionNames, wordValue } from "../options.ts";

/**
 * Lifetime and purpose of a forwarding entry. `permanent`: the address is the bridge's own,
 * frames to it go no further. `static`: on the port until it is deleted. `dynamic`: on the port until it
 * is seen on another or not seen for the bridge's ageing time. `stale`, to read only: dynamic, and not
 * seen for that long. An entry with the flag `ext_learned` lasts until it is deleted, and is said to be
 * `dynamic`.
 */
export type FdbState = "permanent" | "static" | "dynamic" | "stale";

/** Properties of a forwarding entry that can be set and read. */
export interface FdbEntry {
  /** Index of the link behind which the address is: a bridge port, a bridge, a VXLAN. */
  index: number;
  /** The Ethernet address; all zeros for the default entry of a VXLAN. */
  mac: string;
  /** VLAN the entry is for, 1..4094; default: none, on a bridge that filters VLANs the untagged one. */
  vlan?: number;
  /** VXLAN: IP address of the other end of the tunnel. */
  dst?: string;
  /** VXLAN: UDP port there; default: the link's. */
  port?: number;
  /** VXLAN: network identifier to send with; default: the link's. */
  vni?: number;
  /** VXLAN: network identifier the entry is for, where the link carries several. */
  srcVni?: number;
  /** VXLAN: index of the link to send by. */
  oif?: number;
  /** VXLAN: id of a nexthop object instead of `dst`. */
  nexthopId?: number;
}

/** A forwarding entry, to be set. */
export interface FdbMessage extends FdbEntry {
  /** How long it lasts; default `static`, with the flag `self` `permanent`. */
  state?: FdbState | number;
  /** Marks; default `master`: an entry of the bridge that the link is a port of. */
  flags?: readonly NeighborFlag[];
  /** Tell listeners when the entry becomes inactive, and active again. */
  activityNotify?: boolean;
  /** Setting an entry that is there already does not count as seeing its address. */
  dontRefresh?: boolean;
}

/** A forwarding entry as the kernel reports it. */
export interface FdbInfo extends FdbEntry {
  /** The bridge whose table it is in; absent for entries of the link itself. */
  master?: number;
  /** Its lifetime. */
  state: FdbState | number;
  /** Marks. */
  flags: NeighborFlag[];
  /** Listeners are told when the entry becomes inactive, and active again. */
  activityNotify?: boolean;
  /** Not seen for the bridge's ageing time, and kept because of `activityNotify`. */
  inactive?: boolean;
  /** Id of the namespace `oif` is in, when it is another one. */
  linkNetnsId?: number;
  /** When it was used. */
  cacheInfo?: NeighborCacheInfo;
}

const { permanent: PERMANENT, noarp: NOARP, reachable: REACHABLE, stale: STALE } = NEIGHBOR_STATES;

/** As `bridge fdb` has them: bridges look at one bit, VXLANs and other links at another. */
const STATES: Readonly<Record<FdbState, number>> = {
  permanent: NOARP | PERMANENT,
  static: NOARP | REACHABLE,
  dynamic: REACHABLE,
  stale: STALE,
};

const stateField = named(u16(0), STATES);

function stateOf(bits: number): FdbState | number {
  if (bits & PERMANENT) return "permanent";
  if (bits & NOARP) return "static";
  if (bits & STALE) return "stale";
  return bits & REACHABLE ? "dynamic" : bits;
}

const NOTIFY = 1;
const INACTIVE = 2;

/** Reads `struct ndmsg` and its attributes. */
export function readFdb(source: Source, start: number, end: number): FdbInfo {
  const { index, state, flags } = readNeighborHeader(source, start);
  const {
    lladdr = "",
    address,
    activity,
    extendedFlags,
    protocol: _1,
    probes: _2,
    stateMask: _3,
    flagsMask: _4,
    ...rest
  } = neighborSchema.read(source, start + NEIGHBOR_HEADER, end);
  const notify = activity?.notify ?? 0;
  return {
    index,
    mac: lladdr,
    state: stateOf(state),
    flags: neighborFlags(flags, extendedFlags),
    ...(address === undefined ? {} : { dst: address }),
    ...(notify & NOTIFY ? { activityNotify: true } : {}),
    ...(notify & INACTIVE ? { inactive: true } : {}),
    ...rest,
  };
}

function writeFdb(writer: Writer, message: FdbMessage): void {
  const { index, mac, dst, state, flags = [], activityNotify, dontRefresh, ...attributes } =
    message;
  const bits = neighborFlagBits(flags);
  const at = writeNeighborHeader(writer, { family: AF.BRIDGE, index, flags: bits.flags });
  if (state !== undefined) writeInHeader(writer, at + 8, stateField, state, "state");
  const activity = {
    ...(activityNotify === undefined ? {} : { notify: activityNotify ? NOTIFY : 0 }),
    ...(dontRefresh === undefined ? {} : { dontRefresh }),
  };
  neighborSchema.write(writer, {
    lladdr: checkMac(mac, "mac"),
    ...(dst === undefined ? {} : { address: dst }),
    ...attributes,
    ...(Object.keys(activity).length > 0 ? { activity } : {}),
    ...(bits.extended ? { extendedFlags: bits.extended } : {}),
  });
}

/** The framing of forwarding entries. */
export const fdbFormat: MessageFormat<FdbMessage, FdbInfo> = {
  headerLength: NEIGHBOR_HEADER,
  schemaOf: () => neighborSchema,
  write: writeFdb,
  read: readFdb,
};

/** Options of {@link newFdb}. */
export interface NewFdbOptions {
  /** Change the entry where it is there already; default: EEXIST. */
  readonly replace?: boolean;
  /** VXLAN: add a further destination for the address. */
  readonly append?: boolean;
}

const MESSAGE: OptionNames<FdbMessage> = {
  index: true,
  mac: true,
  vlan: true,
  dst: true,
  port: true,
  vni: true,
  srcVni: true,
  oif: true,
  nexthopId: true,
  state: true,
  flags: true,
  activityNotify: true,
  dontRefresh: true,
};

const NEW_OPTIONS: OptionNames<NewFdbOptions> = { replace: true, append: true };

/**
 * Adds a forwarding entry.
 *
 * @example An address that a bridge takes to be on a port, and what the bridge knows then
 * ```ts
 * import { Bridge, NetNs, Veth } from "@netloom/netloom";
 * import { connectionTo } from "@netloom/netloom/netlink";
 * import { dumpFdb, newFdb } from "@netloom/netloom/rtnetlink";
 * import { assert } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const bridge = Bridge.create({ name: "br0", netns });
 * const peer = { name: "v1", netns };
 * const port = Veth.create({ name: "v0", netns, master: bridge, peer });
 * const connection = connectionTo(netns.ref);
 * connection.request(newFdb({ index: port.index, mac: "02:00:00:00:00:09" }));
 * const entries = connection.dump(dumpFdb({ bridge: bridge.index }));
 * assert(entries.some(({ mac, state }) => mac === "02:00:00:00:00:09" && state === "static"));
 * ```
 */
export function newFdb(message: FdbMessage, options: NewFdbOptions = {}): Request<undefined> {
  checkOptions(message, MESSAGE);
  checkOptions(options, NEW_OPTIONS);
  const { replace = false, append = false } = options;
  if (replace && append) throw new TypeError("replace and append exclude each other");
  const { flags = ["master"] } = message;
  const state = message.state ?? (flags.includes("self") ? "permanent" : "static");
  const full: FdbMessage = { ...message, state, flags };
  const verb = replace ? "replace" : append ? "append" : "add";
  return {
    type: RTM.NEWNEIGH,
    typeName: "RTM_NEWNEIGH",
    flags: NLM_F.CREATE | (replace ? NLM_F.REPLACE : append ? NLM_F.APPEND : NLM_F.EXCL),
    operation: `${verb} ${describe(message)}`,
    format: fdbFormat,
    message: full,
    command: () => `bridge fdb ${verb}${words(full)}`,
  };
}

/**
 * Removes a forwarding entry; for a VXLAN with `dst` only this destination. ENOENT when there is none.
 *
 * @param message The entry. Of its flags only `self` and `master` count; its state and activity do not.
 */
export function deleteFdb(message: FdbMessage): Request<undefined> {
  checkOptions(message, MESSAGE);
  const { state: _1, activityNotify: _2, dontRefresh: _3, flags = ["master"], ...entry } = message;
  const full: FdbMessage = { ...entry, flags: ownership(flags) };
  // A link's own entries are all permanent, and the kernel wants to be told so.
  if (flags.includes("self")) full.state = "permanent";
  return {
    type: RTM.DELNEIGH,
    typeName: "RTM_DELNEIGH",
    flags: 0,
    operation: `delete ${describe(message)}`,
    format: fdbFormat,
    message: full,
    command: () => `bridge fdb delete${words(full)}`,
  };
}

/** The forwarding entry that {@link getFdb} reads. */
export interface FdbSelector {
  /** Index of the link: a bridge port, or a bridge. */
  readonly index: number;
  /** The Ethernet address. */
  readonly mac: string;
  /** VLAN it is for. Default: none. */
  readonly vlan?: number;
  /** `self`, `master` or both; default `master`. */
  readonly flags?: readonly NeighborFlag[];
}

/** Reads one forwarding entry. ENOENT when there is none. */
export function getFdb(
  { index, mac, vlan, flags = ["master"] }: FdbSelector,
): Request<FdbInfo> {
  const message: FdbMessage = {
    index,
    mac,
    ...(vlan === undefined ? {} : { vlan }),
    flags: ownership(flags),
  };
  return {
    type: RTM.GETNEIGH,
    typeName: "RTM_GETNEIGH",
    flags: 0,
    operation: `get ${describe(message)}`,
    format: fdbFormat,
    message,
    reply: readFdb,
    command: () => `bridge fdb get${words(message)}`,
  };
}

function ownership(flags: readonly NeighborFlag[]): NeighborFlag[] {
  return flags.filter((flag) => flag === "self" || flag === "master");
}

function describe({ index, mac, vlan }: FdbMessage): string {
  return `forwarding entry ${mac}${vlan === undefined ? "" : ` vlan ${vlan}`} on link ${index}`;
}

/** iproute2's words where they differ from the kernel's. */
const WORDS: Partial<Record<NeighborFlag, string>> = { ext_learned: "extern_learn" };

function words(message: FdbMessage): string {
  const { index, mac, vlan, dst, port, vni, srcVni, oif, nexthopId, state, flags = [] } = message;
  const numbers = {
    vlan,
    dst,
    port,
    vni,
    src_vni: srcVni,
    via: oif && `if${oif}`,
    nhid: nexthopId,
  };
  return ` ${mac} dev if${index}` + flags.map((flag) => ` ${WORDS[flag] ?? flag}`).join("") +
    (state === undefined ? "" : ` ${state}`) +
    Object.entries(numbers).map(([word, value]) => value === undefined ? "" : ` ${word} ${value}`)
      .join("") +
    (message.activityNotify ? " activity_notify" : "") + (message.dontRefresh ? " norefresh" : "");
}

/** A filter for forwarding entries: an entry must match all of it. */
export interface FdbFilter {
  /** Only entries in the table of this bridge. */
  readonly bridge?: number;
  /** Only entries on this link: a bridge port, or a bridge itself. */
  readonly index?: number;
}

const FILTER: OptionNames<FdbFilter> = { bridge: true, index: true };

/** Reads forwarding entries. */
export function dumpFdb(filter: FdbFilter = {}): DumpRequest<FdbInfo> {
  checkOptions(filter, FILTER);
  const { bridge, index } = filter;
  return {
    type: RTM.GETNEIGH,
    typeName: "RTM_GETNEIGH",
    flags: 0,
    operation: "list forwarding entries",
    format: { ...fdbFormat, write: writeDump },
    message: filter,
    reply: readFdb,
    // The kernel adds what the ports themselves listen to, and before 4.20 it does not filter at all.
    filter: (entry) =>
      (bridge === undefined || entry.master === bridge) &&
      (index === undefined || entry.index === index),
    command: () =>
      "bridge fdb show" + (bridge === undefined ? "" : ` br if${bridge}`) +
      (index === undefined ? "" : bridge === undefined ? ` dev if${index}` : ` brport if${index}`),
  };
}

function writeDump(writer: Writer, { bridge, index = 0 }: FdbFilter): void {
  writeNeighborHeader(writer, { family: AF.BRIDGE, index });
  if (bridge !== undefined) neighborSchema.write(writer, { master: bridge });
}

/** A filter for {@link flushFdb}: it removes the entries that match all of it. */
export interface FdbFlushFilter {
  /** Only entries on this port, or with the bridge's index those on the bridge itself. */
  readonly index?: number;
  /** Only entries for this VLAN, 1..4094. */
  readonly vlan?: number;
  /** Only entries that last so long. Without it `permanent` ones go too, the ports' own addresses. */
  readonly state?: "permanent" | "static" | "dynamic";
  /** Only entries that were added by a request (`true`) or learned (`false`). */
  readonly addedByUser?: boolean;
  /** Only entries with or without this mark. */
  readonly extLearned?: boolean;
  /** Only entries with or without this mark. */
  readonly sticky?: boolean;
  /** Only entries with or without this mark. */
  readonly offloaded?: boolean;
}

/** The bits that the kernel compares, and their mask. */
const FLUSH_STATES: Readonly<
  Record<NonNullable<FdbFlushFilter["state"]>, readonly [bits: number, mask: number]>
> = {
  permanent: [PERMANENT, PERMANENT],
  static: [NOARP, NOARP | PERMANENT],
  dynamic: [0, NOARP | PERMANENT],
};

const FLUSH_FILTER: OptionNames<FdbFlushFilter> = {
  index: true,
  vlan: true,
  state: true,
  addedByUser: true,
  extLearned: true,
  sticky: true,
  offloaded: true,
};

const FLUSH_FLAGS = [
  ["addedByUser", NTF.USE, "added_by_user"],
  ["extLearned", NTF.EXT_LEARNED, "extern_learn"],
  ["sticky", NTF.STICKY, "sticky"],
  ["offloaded", NTF.OFFLOADED, "offloaded"],
] as const;

/**
 * Removes many forwarding entries of a bridge at once. Linux 5.19; EINVAL before.
 *
 * @param bridge Index of the bridge.
 * @param filter The entries; default: all.
 */
export function flushFdb(bridge: number, filter: FdbFlushFilter = {}): Request<undefined> {
  checkOptions(filter, FLUSH_FILTER);
  const { index, vlan, state } = filter;
  return {
    type: RTM.DELNEIGH,
    typeName: "RTM_DELNEIGH",
    flags: NLM_F.BULK,
    operation: `flush forwarding entries of link ${bridge}`,
    format: { ...fdbFormat, write: writeFlush },
    message: { bridge, ...filter },
    command: () =>
      `bridge fdb flush dev if${bridge}` + (index === undefined ? "" : ` brport if${index}`) +
      (vlan === undefined ? "" : ` vlan ${vlan}`) + (state === undefined ? "" : ` ${state}`) +
      FLUSH_FLAGS.map(([key, , word]) =>
        filter[key] === undefined ? "" : ` ${filter[key] ? "" : "no"}${word}`
      ).join(""),
  };
}

function writeFlush(writer: Writer, message: FdbFlushFilter & { readonly bridge: number }): void {
  const { bridge, index, vlan, state, ...marks } = message;
  const header = { family: AF.BRIDGE, index: bridge, state: 0, flags: NTF.SELF as number };
  const attributes: NeighborAttributes = {};
  if (index !== undefined) attributes.oif = index;
  if (vlan !== undefined) attributes.vlan = vlan;
  if (state !== undefined) [header.state, attributes.stateMask] = flushState(state);
  for (const [key, bit] of FLUSH_FLAGS) {
    const value = marks[key];
    if (value === undefined) continue;
    attributes.flagsMask = (attributes.flagsMask ?? 0) | bit;
    if (boolean(value, key)) header.flags |= bit;
  }
  writeNeighborHeader(writer, header);
  neighborSchema.write(writer, attributes);
}

function flushState(
  state: NonNullable<FdbFlushFilter["state"]>,
): readonly [bits: number, mask: number] {
  return wordValue(state, FLUSH_STATES, "state");
}
