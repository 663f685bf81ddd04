/**
 * bond, `IFLA_BOND_*` and `IFLA_BOND_SLAVE_*` (`linux/if_link.h`, `linux/if_bonding.h`, bonding.rst).
 *
 * @module
 */
import { bool, list, named, s32, u16, u32, u8 } from "../../netlink/attribute.ts";
import { nested, type Schema, schema } from "../../netlink/schema.ts";
import type { OptionNames } from "../../options.ts";
import { ip, kernelWord, mac, readOnly } from "../fields.ts";
import type { LinkKind, LinkTarget, PortKind } from "./kind.ts";

/** Attribute numbers. */
export const IFLA_BOND = {
  MODE: 1,
  ACTIVE_SLAVE: 2,
  MIIMON: 3,
  UPDELAY: 4,
  DOWNDELAY: 5,
  USE_CARRIER: 6,
  ARP_INTERVAL: 7,
  ARP_IP_TARGET: 8,
  ARP_VALIDATE: 9,
  ARP_ALL_TARGETS: 10,
  PRIMARY: 11,
  PRIMARY_RESELECT: 12,
  FAIL_OVER_MAC: 13,
  XMIT_HASH_POLICY: 14,
  RESEND_IGMP: 15,
  NUM_PEER_NOTIF: 16,
  ALL_SLAVES_ACTIVE: 17,
  MIN_LINKS: 18,
  LP_INTERVAL: 19,
  PACKETS_PER_SLAVE: 20,
  AD_LACP_RATE: 21,
  AD_SELECT: 22,
  AD_INFO: 23,
  AD_ACTOR_SYS_PRIO: 24,
  AD_USER_PORT_KEY: 25,
  AD_ACTOR_SYSTEM: 26,
  TLB_DYNAMIC_LB: 27,
  PEER_NOTIF_DELAY: 28,
  AD_LACP_ACTIVE: 29,
  MISSED_MAX: 30,
  NS_IP6_TARGET: 31,
  COUPLED_CONTROL: 32,
  BROADCAST_NEIGH: 33,
} as const;

/** Attribute numbers inside IFLA_BOND_AD_INFO. */
export const IFLA_BOND_AD_INFO = {
  AGGREGATOR: 1,
  NUM_PORTS: 2,
  ACTOR_KEY: 3,
  PARTNER_KEY: 4,
  PARTNER_MAC: 5,
} as const;

/** Attribute numbers of a port. */
export const IFLA_BOND_SLAVE = {
  STATE: 1,
  MII_STATUS: 2,
  LINK_FAILURE_COUNT: 3,
  PERM_HWADDR: 4,
  QUEUE_ID: 5,
  AD_AGGREGATOR_ID: 6,
  AD_ACTOR_OPER_PORT_STATE: 7,
  AD_PARTNER_OPER_PORT_STATE: 8,
  PRIO: 9,
  ACTOR_PORT_PRIO: 10,
} as const;

/** Numbers of words, as the kernel counts them. */
function numbers<const K extends string>(...words: K[]): Readonly<Record<K, number>> {
  return Object.fromEntries(words.map((word, i) => [word, i])) as Record<K, number>;
}

/**
 * How a bond uses its ports:
 *
 * - `balance-rr`: in turn, packet by packet;
 * - `active-backup`: one, and another one when it fails;
 * - `balance-xor`: by a hash of the addresses (`xmitHashPolicy`);
 * - `broadcast`: every packet on all ports;
 * - `802.3ad`: by the hash, on the ports that LACP has agreed on with the switch;
 * - `balance-tlb`: by load, for what it sends;
 * - `balance-alb`: by load, also for what it receives, through answers to ARP.
 */
export type BondMode =
  | "balance-rr"
  | "active-backup"
  | "balance-xor"
  | "broadcast"
  | "802.3ad"
  | "balance-tlb"
  | "balance-alb";

/** The numbers of {@link BondMode}. */
export const BOND_MODES: Readonly<Record<BondMode, number>> = numbers(
  "balance-rr",
  "active-backup",
  "balance-xor",
  "broadcast",
  "802.3ad",
  "balance-tlb",
  "balance-alb",
);

/** The ports whose ARP packets are validated, or filtered. */
export type BondArpValidate =
  | "none"
  | "active"
  | "backup"
  | "all"
  | "filter"
  | "filter_active"
  | "filter_backup";

const ARP_VALIDATE: Readonly<Record<BondArpValidate, number>> = numbers(
  "none",
  "active",
  "backup",
  "all",
  "filter",
  "filter_active",
  "filter_backup",
);

/** The parts of a packet that choose its port. */
export type BondHashPolicy =
  | "layer2"
  | "layer3+4"
  | "layer2+3"
  | "encap2+3"
  | "encap3+4"
  | "vlan+srcmac";

const HASH_POLICIES: Readonly<Record<BondHashPolicy, number>> = numbers(
  "layer2",
  "layer3+4",
  "layer2+3",
  "encap2+3",
  "encap3+4",
  "vlan+srcmac",
);

const ALL_TARGETS = numbers("any", "all");
const RESELECT = numbers("always", "better", "failure");
const FAIL_OVER_MAC = numbers("none", "active", "follow");
const LACP_RATES = numbers("slow", "fast");
const AD_SELECT = numbers("stable", "bandwidth", "count", "prio");

/** Options of a bond. Times are in milliseconds. */
export interface BondOptions {
  /** How it uses its ports. Only without ports. Default: `balance-rr`. */
  mode?: BondMode;
  /** The port in use, of `active-backup`, `balance-tlb` and `balance-alb`; 0: the bond chooses. */
  activeSlave?: LinkTarget;
  /** Interval of checks of the carrier; 0: none. Default: 0, in the modes from `802.3ad` on 100. */
  miimon?: number;
  /** How long a carrier has to be back, a multiple of `miimon`. Default: 0. */
  updelay?: number;
  /** How long a carrier has to be gone, a multiple of `miimon`. Default: 0. */
  downdelay?: number;
  /** Interval of announcements after a failover, a multiple of `miimon`. Default: 0. */
  peerNotifyDelay?: number;
  /** The carrier is that of the link, not asked for by ioctl(2). Always true from Linux 6.18. Default: true. */
  useCarrier?: boolean;
  /** Interval of ARP checks, instead of `miimon`; 0: none. Default: 0. */
  arpInterval?: number;
  /** IPv4 addresses to ask for, at most 16, in place of those before. Default: none. */
  arpIpTarget?: readonly string[];
  /** IPv6 addresses to ask for, at most 16, in place of those before. Default: none. */
  nsIp6Target?: readonly string[];
  /** The ports whose ARP packets are validated. Default: `none`. */
  arpValidate?: BondArpValidate;
  /** Whether one answer or those of all addresses prove that a port works. Default: `any`. */
  arpAllTargets?: "any" | "all";
  /** Checks without an answer until a port counts as down, 1..255. Default: 2. */
  arpMissedMax?: number;
  /** The port to use whenever it works; 0: none. The modes are those of `activeSlave`. */
  primary?: LinkTarget;
  /** When the primary port becomes active again. Default: `always`. */
  primaryReselect?: "always" | "better" | "failure";
  /** Ports keep their MAC addresses. Default: `none`. Only without ports. */
  failOverMac?: "none" | "active" | "follow";
  /** The parts of a packet that choose its port. Default: `layer2`. */
  xmitHashPolicy?: BondHashPolicy;
  /** IGMP reports after a failover, 0..255. Default: 1. */
  resendIgmp?: number;
  /** Announcements of its addresses after a failover, 0..255. Default: 1. */
  numPeerNotif?: number;
  /** Does not drop packets that come in by inactive ports. Default: false. */
  allSlavesActive?: boolean;
  /** The least number of ports in use for a carrier of the bond. Default: 0. */
  minLinks?: number;
  /** Seconds between learning packets to switches, 1..2147483647. Default: 1. */
  lpInterval?: number;
  /** `balance-rr`: packets until the next port, 0..65535; 0: at random. Default: 1. */
  packetsPerSlave?: number;
  /** `802.3ad`: every 30 seconds or every second a packet of LACP. Default: `slow`. */
  lacpRate?: "slow" | "fast";
  /** `802.3ad`: sends packets of LACP unasked. Default: true. */
  lacpActive?: boolean;
  /** `802.3ad`: which aggregator is used. `prio`: Linux 6.18. Default: `stable`. */
  adSelect?: "stable" | "bandwidth" | "count" | "prio";
  /** `802.3ad`: priority of the system, 1..65535. Default: 65535. */
  adActorSysPrio?: number;
  /** `802.3ad`: the user's part of the keys of the ports, 0..1023. Default: 0. */
  adUserPortKey?: number;
  /** `802.3ad`: MAC address of the system. Default: the MAC of the bond. */
  adActorSystem?: string;
  /** `802.3ad`: collecting and distributing are one step. Only without ports. Default: true. Linux 6.9. */
  coupledControl?: boolean;
  /** `802.3ad`: ARP and neighbor discovery go out by all ports. Default: false. Linux 6.17. */
  broadcastNeighbor?: boolean;
  /** `balance-tlb`, `balance-alb`: moves flows by load. Only while down. Default: true. */
  tlbDynamicLb?: boolean;
}

/** The aggregator in use (IFLA_BOND_AD_INFO). */
export interface BondAggregator {
  /** Its number. */
  aggregator?: number;
  /** Number of its ports. */
  numPorts?: number;
  /** Key of this system. */
  actorKey?: number;
  /** Key of the other system. */
  partnerKey?: number;
  /** MAC address of the other system; all zeros: none has answered. */
  partnerMac?: string;
}

/** Options of a bond that are words. A newer kernel may have more words: they are read as numbers. */
export type BondWordOptions =
  | "mode"
  | "arpValidate"
  | "arpAllTargets"
  | "primaryReselect"
  | "failOverMac"
  | "xmitHashPolicy"
  | "lacpRate"
  | "adSelect";

/** A bond as the kernel reports it. */
export type BondInfo =
  & Omit<BondOptions, "activeSlave" | "primary" | BondWordOptions>
  & { [K in BondWordOptions]?: BondOptions[K] | number }
  & {
    /** Index of the port in use. */
    activeSlave?: number;
    /** Index of the primary port. */
    primary?: number;
    /** `802.3ad`: the aggregator in use. */
    adInfo?: BondAggregator;
  };

/** Options of a port of a bond. */
export interface BondPortOptions {
  /** The queue of the bond that sends by this port, 0..65535; 0: none. Default: 0. */
  queueId?: number;
  /** Rank in the choice of the active port, the highest first, -2^31..2^31-1. Default: 0. */
  prio?: number;
  /** `802.3ad`: priority of the port, 0..65535. Default: 255. Linux 6.18. */
  actorPortPrio?: number;
}

/** A port of a bond as the kernel reports it. */
export interface BondPortInfo extends BondPortOptions {
  /** Whether the port is in use. */
  state?: "active" | "backup" | number;
  /** The carrier as the bond sees it; `fail` and `back` while a delay runs. */
  miiStatus?: "up" | "fail" | "down" | "back" | number;
  /** How often the carrier was lost. */
  linkFailureCount?: number;
  /** The MAC address that the link had before. */
  permHwaddr?: string;
  /** `802.3ad`: number of its aggregator. */
  adAggregatorId?: number;
  /** `802.3ad`: bits of the state of LACP here. */
  adActorOperPortState?: number;
  /** `802.3ad`: bits of the state of LACP at the other system. */
  adPartnerOperPortState?: number;
}

const B = IFLA_BOND;
const A = IFLA_BOND_AD_INFO;
const S = IFLA_BOND_SLAVE;

const adInfo: Schema<BondAggregator> = schema<BondAggregator>("IFLA_BOND_AD_INFO_", A, {
  aggregator: u16(A.AGGREGATOR),
  numPorts: u16(A.NUM_PORTS),
  actorKey: u16(A.ACTOR_KEY),
  partnerKey: u16(A.PARTNER_KEY),
  partnerMac: mac(A.PARTNER_MAC),
});

const MOST_TIME = 0x7fffffff;
const time = (type: number) => u32(type, { max: MOST_TIME, unit: "milliseconds" });

/** The attribute set of a bond. */
const bondSchema: Schema<BondInfo> = schema<BondInfo>("IFLA_BOND_", B, {
  mode: named(u8(B.MODE), BOND_MODES),
  activeSlave: u32(B.ACTIVE_SLAVE),
  miimon: time(B.MIIMON),
  updelay: time(B.UPDELAY),
  downdelay: time(B.DOWNDELAY),
  peerNotifyDelay: time(B.PEER_NOTIF_DELAY),
  useCarrier: bool(u8(B.USE_CARRIER)),
  arpInterval: time(B.ARP_INTERVAL),
  // The kernel numbers them, and reads them in order.
  arpIpTarget: list(B.ARP_IP_TARGET, ip(0)),
  nsIp6Target: list(B.NS_IP6_TARGET, ip(0)),
  arpValidate: named(u32(B.ARP_VALIDATE), ARP_VALIDATE),
  arpAllTargets: named(u32(B.ARP_ALL_TARGETS), ALL_TARGETS),
  arpMissedMax: u8(B.MISSED_MAX, { min: 1 }),
  primary: u32(B.PRIMARY),
  primaryReselect: named(u8(B.PRIMARY_RESELECT), RESELECT),
  failOverMac: named(u8(B.FAIL_OVER_MAC), FAIL_OVER_MAC),
  xmitHashPolicy: named(u8(B.XMIT_HASH_POLICY), HASH_POLICIES),
  resendIgmp: u32(B.RESEND_IGMP, { max: 255 }),
  numPeerNotif: u8(B.NUM_PEER_NOTIF),
  allSlavesActive: bool(u8(B.ALL_SLAVES_ACTIVE)),
  minLinks: u32(B.MIN_LINKS, { max: 0x7fffffff }),
  lpInterval: u32(B.LP_INTERVAL, { min: 1, max: 0x7fffffff, unit: "seconds" }),
  packetsPerSlave: u32(B.PACKETS_PER_SLAVE, { max: 65535 }),
  lacpRate: named(u8(B.AD_LACP_RATE), LACP_RATES),
  lacpActive: bool(u8(B.AD_LACP_ACTIVE)),
  adSelect: named(u8(B.AD_SELECT), AD_SELECT),
  adActorSysPrio: u16(B.AD_ACTOR_SYS_PRIO, { min: 1 }),
  adUserPortKey: u16(B.AD_USER_PORT_KEY, { max: 1023 }),
  adActorSystem: mac(B.AD_ACTOR_SYSTEM),
  coupledControl: bool(u8(B.COUPLED_CONTROL)),
  broadcastNeighbor: bool(u8(B.BROADCAST_NEIGH)),
  tlbDynamicLb: bool(u8(B.TLB_DYNAMIC_LB)),
  adInfo: readOnly(nested(B.AD_INFO, adInfo)),
});

const OPTIONS: OptionNames<BondOptions> = {
  mode: true,
  activeSlave: true,
  miimon: true,
  updelay: true,
  downdelay: true,
  peerNotifyDelay: true,
  useCarrier: true,
  arpInterval: true,
  arpIpTarget: true,
  nsIp6Target: true,
  arpValidate: true,
  arpAllTargets: true,
  arpMissedMax: true,
  primary: true,
  primaryReselect: true,
  failOverMac: true,
  xmitHashPolicy: true,
  resendIgmp: true,
  numPeerNotif: true,
  allSlavesActive: true,
  minLinks: true,
  lpInterval: true,
  packetsPerSlave: true,
  lacpRate: true,
  lacpActive: true,
  adSelect: true,
  adActorSysPrio: true,
  adUserPortKey: true,
  adActorSystem: true,
  coupledControl: true,
  broadcastNeighbor: true,
  tlbDynamicLb: true,
};

/** The attribute set of a port. */
const portSchema: Schema<BondPortInfo> = schema<BondPortInfo>("IFLA_BOND_SLAVE_", S, {
  queueId: u16(S.QUEUE_ID),
  prio: s32(S.PRIO),
  actorPortPrio: u16(S.ACTOR_PORT_PRIO),
  state: readOnly(named(u8(S.STATE), numbers("active", "backup"))),
  miiStatus: readOnly(named(u8(S.MII_STATUS), numbers("up", "fail", "down", "back"))),
  linkFailureCount: readOnly(u32(S.LINK_FAILURE_COUNT)),
  permHwaddr: readOnly(mac(S.PERM_HWADDR)),
  adAggregatorId: readOnly(u16(S.AD_AGGREGATOR_ID)),
  adActorOperPortState: readOnly(u8(S.AD_ACTOR_OPER_PORT_STATE)),
  adPartnerOperPortState: readOnly(u16(S.AD_PARTNER_OPER_PORT_STATE)),
});

/** A port of a bond. */
export const bondPort: PortKind<BondPortOptions, BondPortInfo, BondPortInfo> = {
  data: portSchema,
  options: { queueId: true, prio: true, actorPortPrio: true } satisfies OptionNames<
    BondPortOptions
  >,
  joinsDown: true,
  requires: { actorPortPrio: { linux: "6.18", probe: 1 } },
};

/** Options that the kernel reports in mode `802.3ad` only, or to the first user namespace only. */
const HIDDEN: readonly string[] = ["adActorSysPrio", "adUserPortKey", "adActorSystem"];

const onOff = (name: string) => (on: unknown): string => `${kernelWord(name)} ${on ? "on" : "off"}`;
const targets = (name: string) => (all: unknown): string => `${name} ${(all as string[]).join()}`;
const word = (name: string, words: Readonly<Record<string, number>>) => (value: unknown): string =>
  `${name} ${typeof value === "number" ? Object.keys(words)[value] ?? value : value}`;

/** bond: several links as one, for more throughput or against failures. */
export const bond:
  & LinkKind<BondOptions, BondInfo, BondInfo>
  & { readonly port: typeof bondPort } = {
    kind: "bond",
    config: "BONDING",
    module: "bonding",
    data: bondSchema,
    options: OPTIONS,
    links: ["activeSlave", "primary"],
    encode: (options) => options as BondInfo,
    requires: {
      coupledControl: { linux: "6.9", probe: { mode: "802.3ad", coupledControl: false } },
      broadcastNeighbor: { linux: "6.17", probe: { mode: "802.3ad", broadcastNeighbor: true } },
    },
    tolerates: (option, asked, read) => {
      const has = (read as Record<string, unknown>)[option];
      if (has !== undefined) return false;
      if (option === "arpIpTarget" || option === "nsIp6Target") {
        return (asked as string[]).length === 0;
      }
      // A primary port is remembered until it joins, and reported from then on.
      return option === "primary" || HIDDEN.includes(option) ||
        option === "activeSlave" && asked === 0;
    },
    commandNames: {
      activeSlave: (index) => index === 0 ? "clear_active_slave" : `active_slave if${index}`,
      primary: (index) => index === 0 ? "noprimary" : `primary if${index}`,
      peerNotifyDelay: "peer_notify_delay",
      arpIpTarget: targets("arp_ip_target"),
      nsIp6Target: targets("ns_ip6_target"),
      mode: word("mode", BOND_MODES),
      numPeerNotif: "num_grat_arp",
      lacpActive: onOff("lacpActive"),
      coupledControl: onOff("coupledControl"),
      broadcastNeighbor: onOff("broadcastNeighbor"),
    },
    port: bondPort,
  };
