/**
 * bridge, `IFLA_BR_*` (`linux/if_link.h`).
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
} from "../../netlink/attribute.ts";
import { type Fields, nested, type Schema, schema } from "../../netlink/schema.ts";
import { boolean, type OptionNames, show } from "../../options.ts";
import { formatMac } from "../../packet/address.ts";
import { VLAN_PROTOCOL, type VlanProtocol } from "../constants.ts";
import { groupSwitches, ip, kernelWord, mac, readOnly } from "../fields.ts";
import {
  bridgeId,
  bridgePort,
  type BridgePortInfo,
  type BridgePortOptions,
  groupMask,
  MULTICAST_ROUTERS,
  type MulticastRouter,
} from "./bridge_port.ts";
import type { MasterKind } from "./kind.ts";

/** Attribute numbers. */
export const IFLA_BR = {
  FORWARD_DELAY: 1,
  HELLO_TIME: 2,
  MAX_AGE: 3,
  AGEING_TIME: 4,
  STP_STATE: 5,
  PRIORITY: 6,
  VLAN_FILTERING: 7,
  VLAN_PROTOCOL: 8,
  GROUP_FWD_MASK: 9,
  ROOT_ID: 10,
  BRIDGE_ID: 11,
  ROOT_PORT: 12,
  ROOT_PATH_COST: 13,
  TOPOLOGY_CHANGE: 14,
  TOPOLOGY_CHANGE_DETECTED: 15,
  HELLO_TIMER: 16,
  TCN_TIMER: 17,
  TOPOLOGY_CHANGE_TIMER: 18,
  GC_TIMER: 19,
  GROUP_ADDR: 20,
  FDB_FLUSH: 21,
  MCAST_ROUTER: 22,
  MCAST_SNOOPING: 23,
  MCAST_QUERY_USE_IFADDR: 24,
  MCAST_QUERIER: 25,
  MCAST_HASH_ELASTICITY: 26,
  MCAST_HASH_MAX: 27,
  MCAST_LAST_MEMBER_CNT: 28,
  MCAST_STARTUP_QUERY_CNT: 29,
  MCAST_LAST_MEMBER_INTVL: 30,
  MCAST_MEMBERSHIP_INTVL: 31,
  MCAST_QUERIER_INTVL: 32,
  MCAST_QUERY_INTVL: 33,
  MCAST_QUERY_RESPONSE_INTVL: 34,
  MCAST_STARTUP_QUERY_INTVL: 35,
  NF_CALL_IPTABLES: 36,
  NF_CALL_IP6TABLES: 37,
  NF_CALL_ARPTABLES: 38,
  VLAN_DEFAULT_PVID: 39,
  PAD: 40,
  VLAN_STATS_ENABLED: 41,
  MCAST_STATS_ENABLED: 42,
  MCAST_IGMP_VERSION: 43,
  MCAST_MLD_VERSION: 44,
  VLAN_STATS_PER_PORT: 45,
  MULTI_BOOLOPT: 46,
  MCAST_QUERIER_STATE: 47,
  FDB_N_LEARNED: 48,
  FDB_MAX_LEARNED: 49,
} as const;

/** Attribute numbers inside IFLA_BR_MCAST_QUERIER_STATE. */
export const BRIDGE_QUERIER = {
  IP_ADDRESS: 1,
  IP_PORT: 2,
  IP_OTHER_TIMER: 3,
  PAD: 4,
  IPV6_ADDRESS: 5,
  IPV6_PORT: 6,
  IPV6_OTHER_TIMER: 7,
} as const;

/** Switches the kernel keeps in one attribute, and their bits (`enum br_boolopt_id`). */
export const BR_BOOLOPT = {
  noLinklocalLearn: 0,
  mcastVlanSnooping: 1,
  mstEnabled: 2,
} as const;

const B = IFLA_BR;

/** The multicast querier, as the bridge sees it. */
export interface BridgeQuerierState {
  /** IPv4 querier. */
  ip?: string;
  /** Its port's index; absent when it is the bridge. */
  ipPort?: number;
  /** Time until it counts as gone. */
  ipOtherTimer?: number;
  /** IPv6 querier. */
  ipv6?: string;
  /** Its port's index; absent when it is the bridge. */
  ipv6Port?: number;
  /** Time until it counts as gone. */
  ipv6OtherTimer?: number;
}

/** State of a bridge that the kernel reports beside its options. */
export interface BridgeStatus {
  /** The spanning tree's root: `8000.02:00:00:00:00:01`. */
  rootId?: string;
  /** This bridge. */
  bridgeId?: string;
  /** Number of the port towards the root; 0 on the root itself. */
  rootPort?: number;
  /** Cost of the path to the root. */
  rootPathCost?: number;
  /** Whether the topology is changing. */
  topologyChange?: boolean;
  /** Whether this bridge has seen it change. */
  topologyChangeDetected?: boolean;
  /** Time until the next spanning tree message. */
  helloTimer?: number;
  /** Time until the next topology change notification. */
  tcnTimer?: number;
  /** Time until the change counts as over. */
  topologyChangeTimer?: number;
  /** Time until old addresses are looked for. */
  gcTimer?: number;
  /** Learned addresses. Linux 6.7. */
  fdbNLearned?: number;
  /** Always 16: it has no meaning since Linux 4.20. */
  mcastHashElasticity?: number;
  /** The multicast querier. Linux 5.16. */
  mcastQuerierState?: BridgeQuerierState;
}

const querierSchema = schema<BridgeQuerierState>("BRIDGE_QUERIER_", BRIDGE_QUERIER, {
  ip: ip(BRIDGE_QUERIER.IP_ADDRESS),
  ipPort: u32(BRIDGE_QUERIER.IP_PORT),
  ipOtherTimer: u64(BRIDGE_QUERIER.IP_OTHER_TIMER),
  ipv6: ip(BRIDGE_QUERIER.IPV6_ADDRESS),
  ipv6Port: u32(BRIDGE_QUERIER.IPV6_PORT),
  ipv6OtherTimer: u64(BRIDGE_QUERIER.IPV6_OTHER_TIMER),
}, [BRIDGE_QUERIER.PAD]);

const statusFields: Fields<BridgeStatus> = {
  rootId: bridgeId(B.ROOT_ID),
  bridgeId: bridgeId(B.BRIDGE_ID),
  rootPort: readOnly(u16(B.ROOT_PORT)),
  rootPathCost: readOnly(u32(B.ROOT_PATH_COST)),
  topologyChange: readOnly(bool(u8(B.TOPOLOGY_CHANGE))),
  topologyChangeDetected: readOnly(bool(u8(B.TOPOLOGY_CHANGE_DETECTED))),
  helloTimer: readOnly(u64(B.HELLO_TIMER)),
  tcnTimer: readOnly(u64(B.TCN_TIMER)),
  topologyChangeTimer: readOnly(u64(B.TOPOLOGY_CHANGE_TIMER)),
  gcTimer: readOnly(u64(B.GC_TIMER)),
  fdbNLearned: readOnly(u32(B.FDB_N_LEARNED)),
  mcastHashElasticity: readOnly(u32(B.MCAST_HASH_ELASTICITY)),
  mcastQuerierState: readOnly(nested(B.MCAST_QUERIER_STATE, querierSchema)),
};

/** The switches in IFLA_BR_MULTI_BOOLOPT. */
export interface BridgeBooleans {
  /** Does not learn from link-local frames. Default: false. Linux 5.0. */
  noLinklocalLearn?: boolean;
  /** Multicast snooping per VLAN. Default: false. Linux 5.15. */
  mcastVlanSnooping?: boolean;
  /** Multiple spanning trees. Default: false; only while the bridge has no VLANs. Linux 5.18. */
  mstEnabled?: boolean;
}

/**
 * Options of a bridge. Times are in hundredths of a second, as in `ip link`. With spanning tree, a
 * bridge reports `forwardDelay`, `helloTime` and `maxAge` of the root, and has its own when it becomes
 * root itself.
 */
export interface BridgeOptions extends BridgeBooleans {
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
  vlanProtocol?: VlanProtocol | number;
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
}

/** Options of a bridge as the kernel groups them. */
export interface BridgeData extends Omit<BridgeOptions, keyof BridgeBooleans> {
  /** Switches that the kernel keeps in one attribute. */
  boolopts?: BridgeBooleans;
}

/** `struct br_boolopt_multi`: values, and a mask of those that are meant. */
const boolopts: Field<BridgeBooleans> = struct<BridgeBooleans>(
  IFLA_BR.MULTI_BOOLOPT,
  8,
  (view, at, value) => {
    let [bits, mask] = [0, 0];
    for (const [key, on] of Object.entries(value)) {
      const bit = 1 << BR_BOOLOPT[key as keyof typeof BR_BOOLOPT];
      mask |= bit;
      if (boolean(on, key)) bits |= bit;
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

const CENTISECONDS = "hundredths of a second";
const interval = (type: number): Field<number> =>
  u64(type, { max: 0xffffffff, unit: CENTISECONDS });
// The kernel raises shorter ones, and cuts longer ones, silently.
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
    vlanProtocol: named(be16(B.VLAN_PROTOCOL), VLAN_PROTOCOL),
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
    ...statusFields,
  },
  [B.PAD],
);

/** Times in clock ticks. */
const TIMES = [
  "forwardDelay",
  "helloTime",
  "maxAge",
  "ageingTime",
  "mcastLastMemberInterval",
  "mcastMembershipInterval",
  "mcastQuerierInterval",
  "mcastQueryInterval",
  "mcastQueryResponseInterval",
  "mcastStartupQueryInterval",
];

/** A bridge as the kernel reports it: its options and its state. */
export interface BridgeInfo extends BridgeOptions, BridgeStatus {}

const OPTIONS: OptionNames<BridgeOptions> = {
  forwardDelay: true,
  helloTime: true,
  maxAge: true,
  ageingTime: true,
  stp: true,
  priority: true,
  vlanFiltering: true,
  vlanProtocol: true,
  vlanDefaultPvid: true,
  vlanStatsEnabled: true,
  vlanStatsPerPort: true,
  groupFwdMask: true,
  groupAddress: true,
  mcastRouter: true,
  mcastSnooping: true,
  mcastQueryUseIfaddr: true,
  mcastQuerier: true,
  mcastHashMax: true,
  mcastLastMemberCount: true,
  mcastStartupQueryCount: true,
  mcastLastMemberInterval: true,
  mcastMembershipInterval: true,
  mcastQuerierInterval: true,
  mcastQueryInterval: true,
  mcastQueryResponseInterval: true,
  mcastStartupQueryInterval: true,
  mcastStatsEnabled: true,
  mcastIgmpVersion: true,
  mcastMldVersion: true,
  nfCallIptables: true,
  nfCallIp6tables: true,
  nfCallArptables: true,
  fdbMaxLearned: true,
  fdbFlush: true,
  noLinklocalLearn: true,
  mcastVlanSnooping: true,
  mstEnabled: true,
};

const VLAN_FILTERING = { config: "BRIDGE_VLAN_FILTERING" } as const;
const SNOOPING = { config: "BRIDGE_IGMP_SNOOPING" } as const;

/** A bridge: an Ethernet switch in the kernel (IEEE 802.1D). */
export const bridge: MasterKind<
  BridgeOptions,
  BridgeInfo,
  BridgeData & BridgeStatus,
  BridgePortOptions,
  BridgePortInfo
> = {
  kind: "bridge",
  config: "BRIDGE",
  data: bridgeSchema,
  options: OPTIONS,
  encode: (options) => {
    const { stp, forwardDelay } = options;
    // Changed one after the other, the kernel would refuse it; at once, it silently takes 200.
    if (stp && forwardDelay !== undefined && forwardDelay < 200) {
      throw new RangeError(
        `forwardDelay must be in 200..3000 hundredths of a second with stp: got ${forwardDelay}`,
      );
    }
    return groupSwitches(options, BR_BOOLOPT, "boolopts");
  },
  decode: ({ boolopts, ...rest }) => ({ ...rest, ...boolopts }),
  requires: {
    vlanFiltering: { ...VLAN_FILTERING, probe: true },
    vlanProtocol: { ...VLAN_FILTERING, probe: "802.1ad" },
    vlanDefaultPvid: { ...VLAN_FILTERING, probe: 2 },
    vlanStatsEnabled: { ...VLAN_FILTERING, probe: true },
    vlanStatsPerPort: { ...VLAN_FILTERING, linux: "5.0", probe: true },
    mcastSnooping: { ...SNOOPING, probe: false },
    mcastQuerier: { ...SNOOPING, probe: true },
    mcastStatsEnabled: { ...SNOOPING, probe: true },
    mcastVlanSnooping: { ...SNOOPING, linux: "5.15", probe: false },
    mstEnabled: { linux: "5.18", probe: true },
    noLinklocalLearn: { linux: "5.0", probe: true },
    fdbMaxLearned: { linux: "6.7", probe: 10 },
  },
  rounded: TIMES,
  notReadBack: ["fdbFlush"],
  tolerates: (option, _asked, read) => {
    // A bridge that is not the root of the spanning tree reports the root's times.
    const { rootId, bridgeId } = read as BridgeStatus;
    return ["forwardDelay", "helloTime", "maxAge"].includes(option) && rootId !== bridgeId;
  },
  commandNames: {
    stp: "stp_state",
    mcastRouter: (value) => `mcast_router ${MULTICAST_ROUTERS[value as MulticastRouter] ?? value}`,
    fdbFlush: (value) => value ? "fdb_flush" : "",
    boolopts: (value) =>
      Object.entries(value as Record<string, boolean | undefined>)
        .filter(([, on]) => on !== undefined)
        .map(([key, on]) => `${kernelWord(key)} ${Number(on)}`)
        .join(" "),
  },
  port: bridgePort,
};
