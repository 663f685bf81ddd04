/**
 * The attributes of a route, `RTA_*` and `RTAX_*` (`linux/rtnetlink.h`).
 *
 * @module
 */
import {
  be16,
  binary,
  bool,
  type Field,
  mapped,
  named,
  struct,
  text,
  u16,
  u32,
  u8,
} from "../netlink/attribute.ts";
import { NetlinkDecodeError } from "../netlink/error.ts";
import { nested, type Schema, schema } from "../netlink/schema.ts";
import {
  AF,
  ROUTE_PREFERENCES,
  ROUTE_TABLES,
  type RoutePreference,
  type RouteTable,
} from "./constants.ts";
import { ip, writeInHeader } from "./fields.ts";
import { show, wordValue } from "../options.ts";

/** Attribute numbers. */
export const RTA = {
  DST: 1,
  SRC: 2,
  IIF: 3,
  OIF: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  PREFSRC: 7,
  METRICS: 8,
  MULTIPATH: 9,
  PROTOINFO: 10,
  FLOW: 11,
  CACHEINFO: 12,
  SESSION: 13,
  MP_ALGO: 14,
  TABLE: 15,
  MARK: 16,
  MFC_STATS: 17,
  VIA: 18,
  NEWDST: 19,
  PREF: 20,
  ENCAP_TYPE: 21,
  ENCAP: 22,
  EXPIRES: 23,
  PAD: 24,
  UID: 25,
  TTL_PROPAGATE: 26,
  IP_PROTO: 27,
  SPORT: 28,
  DPORT: 29,
  NH_ID: 30,
  FLOWLABEL: 31,
} as const;

/** Attribute numbers inside RTA_METRICS. */
export const RTAX = {
  LOCK: 1,
  MTU: 2,
  WINDOW: 3,
  RTT: 4,
  RTTVAR: 5,
  SSTHRESH: 6,
  CWND: 7,
  ADVMSS: 8,
  REORDERING: 9,
  HOPLIMIT: 10,
  INITCWND: 11,
  FEATURES: 12,
  RTO_MIN: 13,
  INITRWND: 14,
  QUICKACK: 15,
  CC_ALGO: 16,
  FASTOPEN_NO_COOKIE: 17,
} as const;

/** Bits of the `features` metric. */
export const RTAX_FEATURE = { ECN: 1, SACK: 2, TIMESTAMP: 4, ALLFRAG: 8, TCP_USEC_TS: 16 } as const;

/** Flags of a nexthop: low bits of a route's `flags`. */
export const RTNH_F = {
  DEAD: 1,
  PERVASIVE: 2,
  ONLINK: 4,
  OFFLOAD: 8,
  LINKDOWN: 16,
  UNRESOLVED: 32,
  TRAP: 64,
} as const;

/** Flags of a route: high bits of its `flags`. */
export const RTM_F = {
  NOTIFY: 0x100,
  CLONED: 0x200,
  EQUALIZE: 0x400,
  PREFIX: 0x800,
  LOOKUP_TABLE: 0x1000,
  FIB_MATCH: 0x2000,
  OFFLOAD: 0x4000,
  TRAP: 0x8000,
  OFFLOAD_FAILED: 0x20000000,
} as const;

/** A flag of a route or of one of its nexthops as the kernel reports it, by iproute2's word. */
export type RouteFlag =
  /** The nexthop is not used: its link is down. */
  | "dead"
  | "pervasive"
  /** The router counts as on the link though no address of the link covers it. */
  | "onlink"
  /** In the hardware's table, by its nexthop. */
  | "offload"
  /** The link has no carrier. */
  | "linkdown"
  /** Multicast routing: the kernel has no entry yet. */
  | "unresolved"
  /** Packets are handed from the hardware to the kernel, by the nexthop. */
  | "trap"
  /** Its user is told of changes. */
  | "notify"
  /** An answer made for one lookup, not an entry of a table. */
  | "cloned"
  /** IPv6: of a prefix that a router announced. */
  | "prefix"
  /** In the hardware's table. */
  | "rt_offload"
  /** Packets are handed from the hardware to the kernel. */
  | "rt_trap"
  /** The hardware refused it. */
  | "rt_offload_failed";

const FLAGS: Readonly<Record<RouteFlag, number>> = {
  dead: RTNH_F.DEAD,
  pervasive: RTNH_F.PERVASIVE,
  onlink: RTNH_F.ONLINK,
  offload: RTNH_F.OFFLOAD,
  linkdown: RTNH_F.LINKDOWN,
  unresolved: RTNH_F.UNRESOLVED,
  trap: RTNH_F.TRAP,
  notify: RTM_F.NOTIFY,
  cloned: RTM_F.CLONED,
  prefix: RTM_F.PREFIX,
  rt_offload: RTM_F.OFFLOAD,
  rt_trap: RTM_F.TRAP,
  rt_offload_failed: RTM_F.OFFLOAD_FAILED,
};

/** The names of the flags in a route's header. */
export function routeFlags(bits: number): RouteFlag[] {
  if (bits === 0) return [];
  // Above the low 16 bits, answers to lookups have flags of the cache.
  const known = bits & RTM_F.CLONED ? bits & 0xffff : bits;
  return (Object.keys(FLAGS) as RouteFlag[]).filter((name) => known & FLAGS[name]);
}

/** A metric that can be locked: the kernel does not adjust it to what it measures. */
export type LockableMetric =
  | "mtu"
  | "window"
  | "rtt"
  | "rttvar"
  | "ssthresh"
  | "cwnd"
  | "advmss"
  | "reordering"
  | "hoplimit"
  | "initcwnd"
  | "features"
  | "rtoMin"
  | "initrwnd"
  | "quickack"
  | "ccAlgo"
  | "fastopenNoCookie";

/** Settings of TCP and IP on a route, in place of the defaults of the link and the system. */
export interface RouteMetrics {
  /** The metrics that are locked; `rtoMin` always is. */
  lock?: LockableMetric[];
  /** Largest packet in bytes, up to 65520. Locked: no path MTU discovery. */
  mtu?: number;
  /** Largest TCP window to advertise, in bytes. */
  window?: number;
  /** Initial round trip time estimate, in milliseconds; multiples of 1/8. */
  rtt?: number;
  /** Initial round trip time variance, in milliseconds; multiples of 1/4. */
  rttvar?: number;
  /** Slow start threshold, in segments. */
  ssthresh?: number;
  /** Largest congestion window, in segments; works when locked. */
  cwnd?: number;
  /** Segment size to advertise, in bytes, up to 65495. */
  advmss?: number;
  /** Initial tolerance of reordering, in segments. */
  reordering?: number;
  /** Hop limit (time to live) of packets, up to 255. */
  hoplimit?: number;
  /** Initial congestion window, in segments. */
  initcwnd?: number;
  /** `RTAX_FEATURE` bits. */
  features?: number;
  /** Least retransmission timeout, in milliseconds. */
  rtoMin?: number;
  /** Initial receive window to advertise, in segments. */
  initrwnd?: number;
  /** Acknowledge every segment at once. */
  quickack?: boolean;
  /** TCP congestion control: `cubic`, `bbr`, ... */
  ccAlgo?: string;
  /** TCP fast open without a cookie. */
  fastopenNoCookie?: boolean;
}

/** The kernel's numbers of metrics by the names they have here. */
const METRICS: Readonly<Record<LockableMetric, number>> = {
  mtu: RTAX.MTU,
  window: RTAX.WINDOW,
  rtt: RTAX.RTT,
  rttvar: RTAX.RTTVAR,
  ssthresh: RTAX.SSTHRESH,
  cwnd: RTAX.CWND,
  advmss: RTAX.ADVMSS,
  reordering: RTAX.REORDERING,
  hoplimit: RTAX.HOPLIMIT,
  initcwnd: RTAX.INITCWND,
  features: RTAX.FEATURES,
  rtoMin: RTAX.RTO_MIN,
  initrwnd: RTAX.INITRWND,
  quickack: RTAX.QUICKACK,
  ccAlgo: RTAX.CC_ALGO,
  fastopenNoCookie: RTAX.FASTOPEN_NO_COOKIE,
};

const metricNames = Object.keys(METRICS) as LockableMetric[];

/** The set of locked metrics as a bit mask. */
const lock: Field<LockableMetric[]> = mapped(u32(RTAX.LOCK), (names, path) => {
  let bits = 0;
  for (const [i, name] of names.entries()) bits |= 1 << wordValue(name, METRICS, `${path}[${i}]`);
  return bits;
}, (bits) => metricNames.filter((name) => bits & 1 << METRICS[name]));

/** Milliseconds that the kernel counts in fractions of `1 / parts`. */
function fractions(type: number, parts: number): Field<number> {
  return mapped(u32(type), (value, path) => {
    if (!Number.isInteger(value * parts)) {
      throw new TypeError(
        `${path} must be a multiple of 1/${parts} ms: got ${show(value)}`,
      );
    }
    return value * parts;
  }, (value) => value / parts);
}

// The kernel cuts larger values of mtu, advmss and hoplimit down without a word: refused here.
const metricsSchema: Schema<RouteMetrics> = schema<RouteMetrics>("RTAX_", RTAX, {
  lock,
  mtu: u32(RTAX.MTU, { max: 65520, unit: "bytes" }),
  window: u32(RTAX.WINDOW),
  rtt: fractions(RTAX.RTT, 8),
  rttvar: fractions(RTAX.RTTVAR, 4),
  ssthresh: u32(RTAX.SSTHRESH),
  cwnd: u32(RTAX.CWND),
  advmss: u32(RTAX.ADVMSS, { max: 65495, unit: "bytes" }),
  reordering: u32(RTAX.REORDERING),
  hoplimit: u32(RTAX.HOPLIMIT, { max: 255 }),
  initcwnd: u32(RTAX.INITCWND),
  features: u32(RTAX.FEATURES),
  rtoMin: u32(RTAX.RTO_MIN),
  initrwnd: u32(RTAX.INITRWND),
  quickack: bool(u32(RTAX.QUICKACK)),
  ccAlgo: text(RTAX.CC_ALGO, 15),
  fastopenNoCookie: bool(u32(RTAX.FASTOPEN_NO_COOKIE)),
});

/** The names of metrics. */
export const METRIC_OPTIONS: Readonly<Record<string, true>> = Object.fromEntries(
  Object.keys(metricsSchema.fields).map((name) => [name, true] as const),
);

const plainMetrics = nested(RTA.METRICS, metricsSchema);

const metrics: Field<RouteMetrics> = {
  ...plainMetrics,
  write: (w, value, path) => {
    // TCP looks at this one only when it is locked.
    const lock = value.rtoMin === undefined ? value.lock : [...value.lock ?? [], "rtoMin" as const];
    plainMetrics.write(w, lock ? { ...value, lock } : value, path);
  },
};

const address = ip(RTA.GATEWAY);

/** `struct rtvia`: a router of another family than the route's. */
const via: Field<string> = {
  type: RTA.VIA,
  write: (w, value, path) => {
    const at = w.reserve(2);
    address.write(w, value, path);
    w.view.setUint16(at, w.length - at === 6 ? AF.INET : AF.INET6, true);
  },
  read: (s, at, length) => address.read(s, at + 2, Math.max(length - 2, 0)),
};

const encapType = u16(RTA.ENCAP_TYPE);
/** Nested, and kept as bytes: each kind of encapsulation has attributes of its own. */
const encap: Field<Uint8Array> = { ...binary(RTA.ENCAP), nested: true };

/** Attributes that a route and a nexthop have in common. */
export interface NexthopAttributes {
  /** RTA_GATEWAY: a router of the route's family. */
  gateway?: string;
  /** RTA_VIA: a router of another family. */
  via?: string;
  /** RTA_ENCAP_TYPE. */
  encapType?: number;
  /** RTA_ENCAP. */
  encap?: Uint8Array;
  /** RTA_FLOW. */
  flow?: number;
}

const nexthopFields = {
  gateway: address,
  via,
  encapType,
  encap,
  flow: u32(RTA.FLOW),
};

const nexthopSchema: Schema<NexthopAttributes> = schema("RTA_", RTA, nexthopFields);

/** `struct rtnexthop` and the attributes after it. */
export interface NexthopMessage extends NexthopAttributes {
  /** `RTNH_F` bits. */
  flags: number;
  /** Share, 1..256. */
  weight: number;
  /** Index of the link, 0 for none. */
  oif: number;
}

/** Size of `struct rtnexthop`. */
const NEXTHOP_HEADER = 8;

/** Nexthops one after the other, each with its own length. */
const nexthops: Field<NexthopMessage[]> = {
  type: RTA.MULTIPATH,
  // For names in errors: a nexthop is framed like an attribute with a longer header.
  schema: {
    nameOf: () => "nexthop",
    fieldOf: () => ({
      ...binary(0),
      schema: nexthopSchema,
      innerHeader: NEXTHOP_HEADER - 4,
    }),
  },
  write: (w, values, path) => {
    for (const [i, { flags, weight, oif, ...attributes }] of values.entries()) {
      const at = w.reserve(NEXTHOP_HEADER);
      w.bytes[at + 2] = flags;
      writeInHeader(w, at + 3, hops, weight, `${path}[${i}].weight`);
      writeInHeader(w, at + 4, u32(0), oif, `${path}[${i}].oif`);
      nexthopSchema.write(w, attributes, `${path}[${i}].`);
      w.end(at);
    }
  },
  read: (s, at, length) => {
    const values: NexthopMessage[] = [];
    const end = at + length;
    while (at + NEXTHOP_HEADER <= end) {
      const size = s.view.getUint16(at, true);
      if (size < NEXTHOP_HEADER || at + size > end) {
        throw new NetlinkDecodeError(
          `Cannot read nexthops: one claims ${size} of ${end - at} bytes`,
        );
      }
      values.push({
        flags: s.bytes[at + 2]!,
        weight: hops.read(s, at + 3, 1),
        oif: s.view.getInt32(at + 4, true),
        ...nexthopSchema.read(s, at + NEXTHOP_HEADER, at + size),
      });
      at += (size + 3) & ~3;
    }
    return values;
  },
};

/** The kernel counts the hops beyond the first: 0 is a weight of 1. */
const hops: Field<number> = mapped(u8(0), (weight, path) => {
  if (!Number.isInteger(weight) || weight < 1 || weight > 256) {
    throw new RangeError(`${path} must be in 1..256: got ${show(weight)}`);
  }
  return weight - 1;
}, (value) => value + 1);

/** Use of a route, `struct rta_cacheinfo`. */
export interface RouteCacheInfo {
  /** Number of holders. */
  clients: number;
  /** Since its last use, in hundredths of a second. */
  lastUse: number;
  /** Until it is removed, in hundredths of a second; 0 for ever. */
  expires: number;
  /** The error packets get, as a negative errno; 0 for none. */
  error: number;
  /** How often it was used. */
  used: number;
}

const cacheInfo: Field<RouteCacheInfo> = struct(RTA.CACHEINFO, 32, () => {
  throw new TypeError("cacheInfo cannot be set");
}, (v, at) => ({
  clients: v.getUint32(at, true),
  lastUse: v.getUint32(at + 4, true),
  expires: v.getInt32(at + 8, true),
  error: v.getInt32(at + 12, true),
  used: v.getUint32(at + 16, true),
}));

/** Attributes as the kernel has them. */
export interface RouteAttributes extends NexthopAttributes {
  destination?: string;
  source?: string;
  iif?: number;
  oif?: number;
  metric?: number;
  prefsrc?: string;
  metrics?: RouteMetrics;
  nexthops?: NexthopMessage[];
  cacheInfo?: RouteCacheInfo;
  table?: RouteTable | number;
  mark?: number;
  pref?: RoutePreference | number;
  expires?: number;
  uid?: number;
  ipProtocol?: number;
  sport?: number;
  dport?: number;
  nexthopId?: number;
}

/** The attribute set of a route. */
export const routeSchema: Schema<RouteAttributes> = schema<RouteAttributes>("RTA_", RTA, {
  ...nexthopFields,
  destination: ip(RTA.DST),
  source: ip(RTA.SRC),
  iif: u32(RTA.IIF),
  oif: u32(RTA.OIF),
  metric: u32(RTA.PRIORITY),
  prefsrc: ip(RTA.PREFSRC),
  metrics,
  nexthops,
  cacheInfo,
  table: named(u32(RTA.TABLE), ROUTE_TABLES),
  mark: u32(RTA.MARK),
  pref: named(u8(RTA.PREF), ROUTE_PREFERENCES),
  expires: u32(RTA.EXPIRES),
  uid: u32(RTA.UID),
  ipProtocol: u8(RTA.IP_PROTO),
  sport: be16(RTA.SPORT),
  dport: be16(RTA.DPORT),
  nexthopId: u32(RTA.NH_ID),
}, [RTA.PROTOINFO, RTA.SESSION, RTA.MP_ALGO, RTA.MFC_STATS, RTA.PAD]);
