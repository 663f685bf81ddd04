/**
 * Options of a bridge, `IFLA_BR_*` (`linux/if_link.h`).
 *
 * @module
 */
import {
  be16,
  bool,
  type Field,
  flag,
  named,
  struct,
  u16,
  u32,
  u64,
  u8,
} from "../netlink/attribute.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import { formatMac } from "../packet/address.ts";
import { mac } from "../rtnetlink/fields.ts";
import { BR_BOOLOPT, IFLA_BR } from "./bridge_attributes.ts";
import { groupMask, MULTICAST_ROUTERS, type MulticastRouter } from "./bridge_port_options.ts";
import { type BridgeStatus, bridgeStatusFields } from "./bridge_status.ts";
import { show } from "../options.ts";

/** The switches in IFLA_BR_MULTI_BOOLOPT. */
export interface BridgeBooleans {
  /** Does not learn from link-local frames. Default: false. Linux 5.0. */
  noLinklocalLearn?: boolean;
  /** Multicast snooping per VLAN. Default: false. Linux 5.15. */
  mcastVlanSnooping?: boolean;
  /** Multiple spanning trees. Default: false; only while the bridge has no VLANs. Linux 5.18. */
  mstEnabled?: boolean;
}

/** Options of a bridge as the kernel groups them. Times are in hundredths of a second, as in `ip`. */
export interface BridgeData {
  /** Spanning tree: time in the listening and in the learning state, 200..3000; default 1500. Below 200 only without spanning tree. */
  forwardDelay?: number;
  /** Spanning tree: time between messages, 100..1000; default 200. */
  helloTime?: number;
  /** Spanning tree: age at which a message expires, 600..4000; default 2000. */
  maxAge?: number;
  /** Time until a learned address is forgotten, 0..100,000,000; default 30000. 0: at once. */
  ageingTime?: number;
  /** Spanning tree (IEEE 802.1D). Default: false. */
  stp?: boolean;
  /** Spanning tree: bridge priority, 0..65535; the lowest becomes root. Default 32768. */
  priority?: number;
  /** Keeps VLANs apart. Default: false. */
  vlanFiltering?: boolean;
  /** Tag protocol of VLAN filtering. Default: `802.1Q`. */
  vlanProtocol?: "802.1Q" | "802.1ad" | number;
  /** VLAN of untagged frames on new ports, 0..4094; 0: none. Default 1. */
  vlanDefaultPvid?: number;
  /** Counts per VLAN. Default: false. */
  vlanStatsEnabled?: boolean;
  /** Counts per VLAN and port; only while the bridge has no port VLANs. Default: false. */
  vlanStatsPerPort?: boolean;
  /** Link-local groups (01:80:c2:00:00:0X) to forward, as a mask of X; bits 0, 1 and 2 are refused. Default: 0. */
  groupFwdMask?: number;
  /** Spanning tree group address: 01:80:c2:00:00:0X, X being 0 or 4..f. Default: X = 0. */
  groupAddress?: string;
  /** Whether the bridge itself counts as a multicast router. Default: `automatic`. */
  mcastRouter?: Exclude<MulticastRouter, "temporary"> | number;
  /** Multicast snooping (IGMP, MLD). Default: true. */
  mcastSnooping?: boolean;
  /** Queries from the bridge's own address instead of 0.0.0.0. Default: false. */
  mcastQueryUseIfaddr?: boolean;
  /** Sends queries. Default: false. */
  mcastQuerier?: boolean;
  /** Most multicast groups. Default 4096. */
  mcastHashMax?: number;
  /** Queries before a group without members is forgotten. Default 2. */
  mcastLastMemberCount?: number;
  /** Queries at the start. Default 2. */
  mcastStartupQueryCount?: number;
  /** Time between those before forgetting. Default 100. */
  mcastLastMemberInterval?: number;
  /** Time until a silent member is forgotten. Default 26000. */
  mcastMembershipInterval?: number;
  /** Time until another querier counts as gone. Default 25500. */
  mcastQuerierInterval?: number;
  /** Time between queries, 100..8,640,000. Default 12500. */
  mcastQueryInterval?: number;
  /** Time members have to answer. Default 1000. */
  mcastQueryResponseInterval?: number;
  /** Time between queries at the start, 100..8,640,000. Default 3125. */
  mcastStartupQueryInterval?: number;
  /** Counts multicast messages. Default: false. */
  mcastStatsEnabled?: boolean;
  /** IGMP version of queries: 2 or 3. Default 2. */
  mcastIgmpVersion?: number;
  /** MLD version of queries: 1 or 2. Default 1. */
  mcastMldVersion?: number;
  /** Passes bridged IPv4 through iptables. Default: false. */
  nfCallIptables?: boolean;
  /** Passes bridged IPv6 through ip6tables. Default: false. */
  nfCallIp6tables?: boolean;
  /** Passes bridged ARP through arptables. Default: false. */
  nfCallArptables?: boolean;
  /** Most learned addresses; 0: no limit. Linux 6.7. */
  fdbMaxLearned?: number;
  /** A command: forgets all learned addresses. */
  fdbFlush?: boolean;
  /** Switches the kernel keeps in one attribute. */
  boolopts?: BridgeBooleans;
}

/** `struct br_boolopt_multi`: values, and a mask of those that are meant. */
const boolopts: Field<BridgeBooleans> = struct<BridgeBooleans>(
  IFLA_BR.MULTI_BOOLOPT,
  8,
  (view, at, value, path) => {
    let [bits, mask] = [0, 0];
    for (const [key, on] of Object.entries(value)) {
      if (!Object.hasOwn(BR_BOOLOPT, key)) throw new TypeError(`Unknown option "${path}.${key}"`);
      if (typeof on !== "boolean") {
        throw new TypeError(`${key} must be a boolean: got ${show(on)}`);
      }
      const bit = 1 << BR_BOOLOPT[key as keyof typeof BR_BOOLOPT];
      mask |= bit;
      if (on) bits |= bit;
    }
    view.setUint32(at, bits, true);
    view.setUint32(at + 4, mask, true);
  },
  (view, at) => {
    const [bits, mask] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    const value: BridgeBooleans = {};
    for (const [key, bit] of Object.entries(BR_BOOLOPT)) {
      if (mask & 1 << bit) value[key as keyof BridgeBooleans] = (bits & 1 << bit) !== 0;
    }
    return value;
  },
);

const B = IFLA_BR;
const CENTISECONDS = "hundredths of a second";
const interval = (type: number): Field<number> =>
  u64(type, { max: 0xffffffff, unit: CENTISECONDS });
// The kernel raises shorter ones, and cuts longer ones, in silence.
const queryInterval = (type: number): Field<number> =>
  u64(type, { min: 100, max: 8_640_000, unit: CENTISECONDS });

const { temporary: _, ...routers } = MULTICAST_ROUTERS;

const address = mac(B.GROUP_ADDR);

/** One of the link-local groups that no other protocol has. */
const groupAddress: Field<string> = {
  ...address,
  write: (writer, value, path) => {
    const at = writer.length;
    address.write(writer, value, path);
    if (!/^01:80:c2:00:00:0[04-9a-f]$/.test(formatMac(writer.bytes, at, 6))) {
      throw new RangeError(
        `${path} must be 01:80:c2:00:00:0X with X 0 or 4..f: got ${show(value)}`,
      );
    }
  },
};

/** The attribute set of a bridge. The kernel does not check every range that is checked here. */
export const bridgeSchema: Schema<BridgeData & BridgeStatus> = schema<BridgeData & BridgeStatus>(
  "IFLA_BR_",
  IFLA_BR,
  {
    forwardDelay: u32(B.FORWARD_DELAY, { max: 3000, unit: CENTISECONDS }),
    helloTime: u32(B.HELLO_TIME, { min: 100, max: 1000, unit: CENTISECONDS }),
    maxAge: u32(B.MAX_AGE, { min: 600, max: 4000, unit: CENTISECONDS }),
    ageingTime: u32(B.AGEING_TIME, { max: 100_000_000, unit: CENTISECONDS }),
    stp: bool(u32(B.STP_STATE)),
    priority: u16(B.PRIORITY),
    vlanFiltering: bool(u8(B.VLAN_FILTERING)),
    vlanProtocol: named(be16(B.VLAN_PROTOCOL), { "802.1Q": 0x8100, "802.1ad": 0x88a8 }),
    vlanDefaultPvid: u16(B.VLAN_DEFAULT_PVID, { max: 4094 }),
    vlanStatsEnabled: bool(u8(B.VLAN_STATS_ENABLED)),
    vlanStatsPerPort: bool(u8(B.VLAN_STATS_PER_PORT)),
    groupFwdMask: groupMask(u16(B.GROUP_FWD_MASK), [0, 1, 2]),
    groupAddress,
    mcastRouter: named(u8(B.MCAST_ROUTER, { max: 2 }), routers),
    mcastSnooping: bool(u8(B.MCAST_SNOOPING)),
    mcastQueryUseIfaddr: bool(u8(B.MCAST_QUERY_USE_IFADDR)),
    mcastQuerier: bool(u8(B.MCAST_QUERIER)),
    mcastHashMax: u32(B.MCAST_HASH_MAX, { min: 1 }),
    mcastLastMemberCount: u32(B.MCAST_LAST_MEMBER_CNT),
    mcastStartupQueryCount: u32(B.MCAST_STARTUP_QUERY_CNT),
    mcastLastMemberInterval: interval(B.MCAST_LAST_MEMBER_INTVL),
    mcastMembershipInterval: interval(B.MCAST_MEMBERSHIP_INTVL),
    mcastQuerierInterval: interval(B.MCAST_QUERIER_INTVL),
    mcastQueryInterval: queryInterval(B.MCAST_QUERY_INTVL),
    mcastQueryResponseInterval: interval(B.MCAST_QUERY_RESPONSE_INTVL),
    mcastStartupQueryInterval: queryInterval(B.MCAST_STARTUP_QUERY_INTVL),
    mcastStatsEnabled: bool(u8(B.MCAST_STATS_ENABLED)),
    mcastIgmpVersion: u8(B.MCAST_IGMP_VERSION, { min: 2, max: 3 }),
    mcastMldVersion: u8(B.MCAST_MLD_VERSION, { min: 1, max: 2 }),
    nfCallIptables: bool(u8(B.NF_CALL_IPTABLES)),
    nfCallIp6tables: bool(u8(B.NF_CALL_IP6TABLES)),
    nfCallArptables: bool(u8(B.NF_CALL_ARPTABLES)),
    fdbMaxLearned: u32(B.FDB_MAX_LEARNED),
    fdbFlush: flag(B.FDB_FLUSH),
    boolopts,
    ...bridgeStatusFields,
  },
  [B.PAD],
);
