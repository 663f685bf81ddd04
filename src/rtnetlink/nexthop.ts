/**
 * Nexthop objects: RTM_NEWNEXTHOP, RTM_DELNEXTHOP, RTM_GETNEXTHOP, RTM_GETNEXTHOPBUCKET (`linux/nexthop.h`,
 * ip-nexthop(8)).
 *
 * @module
 */
import { binary, type Field, flag, mapped, named, u16, u32, u64 } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import { type DumpRequest, type MessageFormat, NLM_F, type Request } from "../netlink/message.ts";
import { nested, type Schema, schema } from "../netlink/schema.ts";
import { boolean, integer, show } from "../options.ts";
import { AF, ROUTE_PROTOCOLS, type RouteProtocol, RTM } from "./constants.ts";
import { byteValue, familyNumber, familyWord, ip, type IpFamily } from "./fields.ts";

/** Attribute numbers. */
export const NHA = {
  ID: 1,
  GROUP: 2,
  GROUP_TYPE: 3,
  BLACKHOLE: 4,
  OIF: 5,
  GATEWAY: 6,
  ENCAP_TYPE: 7,
  ENCAP: 8,
  GROUPS: 9,
  MASTER: 10,
  FDB: 11,
  RES_GROUP: 12,
  RES_BUCKET: 13,
  OP_FLAGS: 14,
  GROUP_STATS: 15,
  HW_STATS_ENABLE: 16,
  HW_STATS_USED: 17,
} as const;

/** Attribute numbers inside NHA_RES_GROUP. */
export const NHA_RES_GROUP = {
  BUCKETS: 1,
  IDLE_TIMER: 2,
  UNBALANCED_TIMER: 3,
  UNBALANCED_TIME: 4,
} as const;

/** Attribute numbers inside NHA_RES_BUCKET. */
export const NHA_RES_BUCKET = { INDEX: 1, IDLE_TIME: 2, NH_ID: 3 } as const;

/** How a group spreads flows: by a hash over the weights, or by a table of buckets that keeps flows. */
export type NexthopGroupType = "mpath" | "resilient";

/** The numbers of {@link NexthopGroupType}. */
const GROUP_TYPES: Readonly<Record<NexthopGroupType, number>> = { mpath: 0, resilient: 1 };

/** A nexthop in a group. */
export interface NexthopGroupEntry {
  /** Its id. */
  readonly id: number;
  /** Its share, 1..65536, before Linux 6.12 up to 256. Default: 1. */
  readonly weight?: number;
}

/** A nexthop object, on the wire's terms. */
export interface NexthopMessage {
  /** Its id, 1..4294967295. */
  readonly id: number;
  /** `inet` for IPv4, `inet6` for IPv6; default: as the gateway is, IPv4 without one. Groups have none. */
  readonly family?: IpFamily;
  /** The router. */
  readonly gateway?: string;
  /** Index of the link that packets leave through. */
  readonly oif?: number;
  /** The router counts as on the link though no address of the link covers it. Default: false. */
  readonly onlink?: boolean;
  /** Drops the packets. Default: false. */
  readonly blackhole?: boolean;
  /** For forwarding entries of a VXLAN: a tunnel endpoint. Default: false. */
  readonly fdb?: boolean;
  /** The nexthops of a group. */
  readonly group?: readonly NexthopGroupEntry[];
  /** How a group spreads flows. Only at creation. Default: `mpath`. */
  readonly type?: NexthopGroupType | number;
  /** Resilient: number of buckets, 1..65535. Only at creation. */
  readonly buckets?: number;
  /** Resilient: seconds without packets until a bucket may move to another nexthop. Default: 120. */
  readonly idleTimer?: number;
  /** Resilient: seconds after which buckets move even if they are in use; 0: never. Default: 0. */
  readonly unbalancedTimer?: number;
  /** Its origin; default `boot`. */
  readonly protocol?: RouteProtocol | number;
  /** Kind of encapsulation, LWTUNNEL_ENCAP_*. */
  readonly encapType?: number;
  /** The encapsulation's attributes as bytes. */
  readonly encap?: Uint8Array;
}

/** A nexthop object as the kernel reports it. */
export interface NexthopInfo extends NexthopMessage {
  /** Its origin. */
  readonly protocol: RouteProtocol | number;
  /** Whether its link has no carrier, or it is dead. */
  readonly flags: readonly NexthopFlag[];
  /** Resilient: seconds for which the buckets have been out of balance. */
  readonly unbalancedTime?: number;
}

/** A state of a nexthop object. */
export type NexthopFlag = "dead" | "linkdown" | "offload" | "trap";

/** `RTNH_F_*` bits. */
const FLAGS: Readonly<Record<NexthopFlag, number>> = {
  dead: 1,
  offload: 8,
  linkdown: 16,
  trap: 64,
};
const ONLINK = 4;

/** A bucket of a resilient group. */
export interface NexthopBucket {
  /** Id of the group. */
  readonly id: number;
  /** Its position. */
  readonly index: number;
  /** Id of the nexthop that gets its flows. */
  readonly nexthopId: number;
  /** Seconds since its last packet. */
  readonly idleTime: number;
}

/** Times of the kernel in hundredths of a second, here in seconds. */
function seconds(field: Field<number>): Field<number> {
  return mapped(field, (value, path) => {
    if (typeof value === "number" && value >= 0 && value <= 42949672) {
      return Math.round(value * 100);
    }
    throw new RangeError(`${path} must be in 0..42949672 seconds: got ${show(value)}`);
  }, (value) => value / 100);
}

interface ResilientAttributes {
  buckets?: number;
  idleTimer?: number;
  unbalancedTimer?: number;
  unbalancedTime?: number;
}

const resilient: Schema<ResilientAttributes> = schema<ResilientAttributes>(
  "NHA_RES_GROUP_",
  NHA_RES_GROUP,
  {
    buckets: u16(NHA_RES_GROUP.BUCKETS, { min: 1 }),
    idleTimer: seconds(u32(NHA_RES_GROUP.IDLE_TIMER)),
    unbalancedTimer: seconds(u32(NHA_RES_GROUP.UNBALANCED_TIMER)),
    unbalancedTime: seconds(u64(NHA_RES_GROUP.UNBALANCED_TIME)),
  },
  [0],
);

interface BucketAttributes {
  index?: number;
  idleTime?: number;
  nexthopId?: number;
}

const bucket: Schema<BucketAttributes> = schema<BucketAttributes>(
  "NHA_RES_BUCKET_",
  NHA_RES_BUCKET,
  {
    index: u16(NHA_RES_BUCKET.INDEX),
    idleTime: seconds(u64(NHA_RES_BUCKET.IDLE_TIME)),
    nexthopId: u32(NHA_RES_BUCKET.NH_ID),
  },
  [0],
);

/** An array of `struct nexthop_grp`; the kernel counts weights from 0, in two bytes that are apart. */
const group: Field<readonly NexthopGroupEntry[]> = {
  type: NHA.GROUP,
  write: (writer, entries, path) => {
    if (!Array.isArray(entries) || entries.length === 0) {
      throw new TypeError(`${path} must be an array of nexthops: got ${show(entries)}`);
    }
    for (const [i, { id, weight = 1 }] of (entries as NexthopGroupEntry[]).entries()) {
      integer(id, `${path}[${i}].id`, 1, 0xffffffff);
      const share = integer(weight, `${path}[${i}].weight`, 1, 65536) - 1;
      const at = writer.reserve(8); // may replace the view
      writer.view.setUint32(at, id, true);
      writer.bytes[at + 4] = share & 0xff;
      writer.bytes[at + 5] = share >> 8;
    }
  },
  read: ({ view, bytes }, at, length) =>
    Array.from({ length: length >> 3 }, (_, i) => {
      const from = at + i * 8;
      const weight = (bytes[from + 5]! << 8 | bytes[from + 4]!) + 1;
      return { id: view.getUint32(from, true), weight };
    }),
};

/** The attributes of a nexthop. */
interface NexthopAttributes {
  id?: number;
  group?: readonly NexthopGroupEntry[];
  type?: NexthopGroupType | number;
  resilient?: ResilientAttributes;
  bucket?: BucketAttributes;
  blackhole?: boolean;
  fdb?: boolean;
  groups?: boolean;
  oif?: number;
  master?: number;
  gateway?: string;
  encapType?: number;
  encap?: Uint8Array;
}

const nexthopSchema: Schema<NexthopAttributes> = schema<NexthopAttributes>("NHA_", NHA, {
  id: u32(NHA.ID, { min: 1 }),
  group,
  type: named(u16(NHA.GROUP_TYPE), GROUP_TYPES),
  resilient: nested(NHA.RES_GROUP, resilient),
  bucket: nested(NHA.RES_BUCKET, bucket),
  blackhole: flag(NHA.BLACKHOLE),
  fdb: flag(NHA.FDB),
  groups: flag(NHA.GROUPS),
  oif: u32(NHA.OIF),
  master: u32(NHA.MASTER),
  gateway: ip(NHA.GATEWAY),
  encapType: u16(NHA.ENCAP_TYPE),
  encap: { ...binary(NHA.ENCAP), nested: true },
}, [NHA.OP_FLAGS, NHA.GROUP_STATS, NHA.HW_STATS_ENABLE, NHA.HW_STATS_USED]);

const HEADER = 8;

/** Appends `struct nhmsg` and the attributes. */
function writeNexthop(writer: Writer, message: NexthopMessage): void {
  const { family, onlink = false, protocol = "boot", blackhole, fdb, ...rest } = message;
  const { buckets, idleTimer, unbalancedTimer, ...plain } = rest;
  const at = writer.reserve(HEADER);
  const six = plain.gateway !== undefined && String(plain.gateway).includes(":");
  writer.bytes[at] = plain.group ? AF.UNSPEC : familyNumber(family ?? (six ? "inet6" : "inet"));
  writer.bytes[at + 2] = byteValue(protocol, ROUTE_PROTOCOLS, "protocol");
  writer.view.setUint32(at + 4, boolean(onlink, "onlink") ? ONLINK : 0, true);
  const times = {
    ...(buckets !== undefined && { buckets }),
    ...(idleTimer !== undefined && { idleTimer }),
    ...(unbalancedTimer !== undefined && { unbalancedTimer }),
  };
  nexthopSchema.write(writer, {
    ...plain,
    ...(Object.keys(times).length > 0 && { resilient: times }),
    ...(blackhole !== undefined && { blackhole: boolean(blackhole, "blackhole") }),
    ...(fdb !== undefined && { fdb: boolean(fdb, "fdb") }),
  });
}

/** Reads `struct nhmsg` and the attributes. */
export function readNexthop(source: Source, start: number, end: number): NexthopInfo {
  const { bytes, view } = source;
  const { id = 0, resilient, bucket: _, groups: __, master: ___, type, ...rest } = nexthopSchema
    .read(source, start + HEADER, end);
  const flags = view.getUint32(start + 4, true);
  const number = bytes[start + 2]!;
  const [protocol = number] = (Object.keys(ROUTE_PROTOCOLS) as RouteProtocol[])
    .filter((word) => ROUTE_PROTOCOLS[word] === number);
  return {
    id,
    ...(bytes[start] !== AF.UNSPEC && { family: familyWord(bytes[start]!) }),
    ...rest,
    ...(rest.group && type !== undefined && { type }),
    ...resilient,
    ...(flags & ONLINK && { onlink: true }),
    protocol,
    flags: (Object.keys(FLAGS) as NexthopFlag[]).filter((flag) => flags & FLAGS[flag]),
  };
}

function readBucket(source: Source, start: number, end: number): NexthopBucket {
  const { id = 0, bucket = {} } = nexthopSchema.read(source, start + HEADER, end);
  const { index = 0, nexthopId = 0, idleTime = 0 } = bucket;
  return { id, index, nexthopId, idleTime };
}

const format: MessageFormat<NexthopMessage, NexthopInfo> = {
  headerLength: HEADER,
  schemaOf: () => nexthopSchema,
  write: writeNexthop,
  read: readNexthop,
};

/** The framing of requests that select objects. */
function selection(attributes: NexthopAttributes): MessageFormat<NexthopMessage, NexthopInfo> {
  return {
    ...format,
    write: (writer) => {
      writer.reserve(HEADER);
      nexthopSchema.write(writer, attributes);
    },
  };
}

/** A nexthop that was read, as one to be set. */
export function settableNexthop(
  { flags: _, unbalancedTime: __, ...nexthop }: NexthopInfo,
): NexthopMessage {
  const { group, family, ...rest } = nexthop;
  return { ...rest, ...(group ? { group } : family && { family }) };
}

function words(nexthop: NexthopMessage): string {
  const { id, group, blackhole, gateway, oif, onlink, fdb, type, protocol } = nexthop;
  const members = group?.map(({ id, weight = 1 }) => weight === 1 ? id : `${id},${weight}`);
  const parts: (string | false | undefined)[] = [
    `id ${id}`,
    members && `group ${members.join("/")}`,
    blackhole && "blackhole",
    gateway !== undefined && `via ${gateway}`,
    oif !== undefined && `dev if${oif}`,
    onlink && "onlink",
    fdb && "fdb",
    group && type !== undefined && `type ${type}`,
    nexthop.buckets !== undefined && `buckets ${nexthop.buckets}`,
    nexthop.idleTimer !== undefined && `idle_timer ${nexthop.idleTimer}`,
    nexthop.unbalancedTimer !== undefined && `unbalanced_timer ${nexthop.unbalancedTimer}`,
    protocol !== undefined && `protocol ${protocol}`,
  ];
  return parts.filter(Boolean).join(" ");
}

/** Adds a nexthop object, or with `replace` changes the one with its id. EEXIST when there is one. */
export function newNexthop(
  nexthop: NexthopMessage,
  options: { readonly replace?: boolean } = {},
): Request<undefined> {
  const verb = options.replace ? "replace" : "add";
  const six = nexthop.family === "inet6" || String(nexthop.gateway).includes(":");
  return {
    type: RTM.NEWNEXTHOP,
    typeName: "RTM_NEWNEXTHOP",
    flags: NLM_F.CREATE | (options.replace ? NLM_F.REPLACE : NLM_F.EXCL),
    operation: `${verb} nexthop ${nexthop.id}`,
    format,
    message: nexthop,
    command: () => `ip${six ? " -6" : ""} nexthop ${verb} ${words(nexthop)}`,
  };
}

/** Deletes a nexthop object, and the routes over it. ENOENT when there is none. */
export function deleteNexthop({ id }: Pick<NexthopMessage, "id">): Request<undefined> {
  return {
    type: RTM.DELNEXTHOP,
    typeName: "RTM_DELNEXTHOP",
    flags: 0,
    operation: `delete nexthop ${id}`,
    format: selection({ id }),
    message: { id },
    command: () => `ip nexthop del id ${id}`,
  };
}

/** Reads a nexthop object. ENOENT when there is none. */
export function getNexthop(id: number): Request<NexthopInfo> {
  return {
    type: RTM.GETNEXTHOP,
    typeName: "RTM_GETNEXTHOP",
    flags: 0,
    operation: `get nexthop ${id}`,
    format: selection({ id }),
    message: { id },
    reply: readNexthop,
    command: () => `ip nexthop get id ${id}`,
  };
}

/** Reads the nexthop objects, or those through a link. */
export function dumpNexthops(filter: { readonly oif?: number } = {}): DumpRequest<NexthopInfo> {
  return {
    type: RTM.GETNEXTHOP,
    typeName: "RTM_GETNEXTHOP",
    flags: 0,
    operation: "list nexthops",
    format: selection(filter),
    message: {},
    reply: readNexthop,
    command: () => `ip nexthop list${filter.oif === undefined ? "" : ` dev if${filter.oif}`}`,
  };
}

/** Reads the buckets of a resilient group. */
export function dumpNexthopBuckets(id: number): DumpRequest<NexthopBucket> {
  return {
    type: RTM.GETNEXTHOPBUCKET,
    typeName: "RTM_GETNEXTHOPBUCKET",
    flags: 0,
    operation: `list buckets of nexthop ${id}`,
    format: selection({ id }),
    message: {},
    reply: readBucket,
    command: () => `ip nexthop bucket list id ${id}`,
  };
}
