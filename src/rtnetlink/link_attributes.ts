/**
 * The attributes of a link, `IFLA_*` (`linux/if_link.h`).
 *
 * @module
 */
import {
  bool,
  type Field,
  list,
  named,
  s32,
  struct,
  text,
  u16,
  u32,
  u8,
  uint,
} from "../netlink/attribute.ts";
import type { Writer } from "../netlink/bytes.ts";
import { type Fields, nested, schema } from "../netlink/schema.ts";
import { altName, linkAddress, linkName, mac } from "./fields.ts";

/** Attribute numbers. */
export const IFLA = {
  ADDRESS: 1,
  BROADCAST: 2,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  QDISC: 6,
  STATS: 7,
  COST: 8,
  PRIORITY: 9,
  MASTER: 10,
  WIRELESS: 11,
  PROTINFO: 12,
  TXQLEN: 13,
  MAP: 14,
  WEIGHT: 15,
  OPERSTATE: 16,
  LINKMODE: 17,
  LINKINFO: 18,
  NET_NS_PID: 19,
  IFALIAS: 20,
  NUM_VF: 21,
  VFINFO_LIST: 22,
  STATS64: 23,
  VF_PORTS: 24,
  PORT_SELF: 25,
  AF_SPEC: 26,
  GROUP: 27,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  PROMISCUITY: 30,
  NUM_TX_QUEUES: 31,
  NUM_RX_QUEUES: 32,
  CARRIER: 33,
  PHYS_PORT_ID: 34,
  CARRIER_CHANGES: 35,
  PHYS_SWITCH_ID: 36,
  LINK_NETNSID: 37,
  PHYS_PORT_NAME: 38,
  PROTO_DOWN: 39,
  GSO_MAX_SEGS: 40,
  GSO_MAX_SIZE: 41,
  PAD: 42,
  XDP: 43,
  EVENT: 44,
  NEW_NETNSID: 45,
  TARGET_NETNSID: 46,
  CARRIER_UP_COUNT: 47,
  CARRIER_DOWN_COUNT: 48,
  NEW_IFINDEX: 49,
  MIN_MTU: 50,
  MAX_MTU: 51,
  PROP_LIST: 52,
  ALT_IFNAME: 53,
  PERM_ADDRESS: 54,
  PROTO_DOWN_REASON: 55,
  PARENT_DEV_NAME: 56,
  PARENT_DEV_BUS_NAME: 57,
  GRO_MAX_SIZE: 58,
  TSO_MAX_SIZE: 59,
  TSO_MAX_SEGS: 60,
  ALLMULTI: 61,
  DEVLINK_PORT: 62,
  GSO_IPV4_MAX_SIZE: 63,
  GRO_IPV4_MAX_SIZE: 64,
  DPLL_PIN: 65,
  MAX_PACING_OFFLOAD_HORIZON: 66,
  NETNS_IMMUTABLE: 67,
  HEADROOM: 68,
  TAILROOM: 69,
} as const;

/** Attribute numbers of IPv6 inside IFLA_AF_SPEC. */
export const IFLA_INET6 = {
  FLAGS: 1,
  CONF: 2,
  STATS: 3,
  MCAST: 4,
  CACHEINFO: 5,
  ICMP6STATS: 6,
  TOKEN: 7,
  ADDR_GEN_MODE: 8,
  RA_MTU: 9,
} as const;

/** A link's operational state (RFC 2863): `up` means that it carries packets. */
export type OperState =
  | "unknown"
  | "notpresent"
  | "down"
  | "lowerlayerdown"
  | "testing"
  | "dormant"
  | "up";

/** The numbers of {@link OperState}. */
export const OPER_STATES: Readonly<Record<OperState, number>> = {
  unknown: 0,
  notpresent: 1,
  down: 2,
  lowerlayerdown: 3,
  testing: 4,
  dormant: 5,
  up: 6,
};

/** How a link generates its IPv6 link-local address. */
export type AddrGenMode = "eui64" | "none" | "stable_secret" | "random";

/** IPv6 settings of a link. */
export interface Inet6Attributes {
  /** How the link-local address is made. */
  addrGenMode?: AddrGenMode | number;
}

/** Protocol settings of a link. */
export interface AfSpec {
  /** IPv6. */
  inet6?: Inet6Attributes;
}

/** Counters since the link was made. Packets and bytes; numbers, exact to 2^53. */
export interface LinkStats {
  /** Packets received. */
  rxPackets: number;
  /** Packets sent. */
  txPackets: number;
  /** Bytes received. */
  rxBytes: number;
  /** Bytes sent. */
  txBytes: number;
  /** Bad packets received. */
  rxErrors: number;
  /** Packets that could not be sent. */
  txErrors: number;
  /** Packets received and dropped for want of memory. */
  rxDropped: number;
  /** Packets dropped on their way out. */
  txDropped: number;
  /** Multicast packets received. */
  multicast: number;
  /** Collisions while sending. */
  collisions: number;
  /** Received with a wrong length. */
  rxLengthErrors: number;
  /** Received when the ring was full. */
  rxOverErrors: number;
  /** Received with a wrong checksum. */
  rxCrcErrors: number;
  /** Received misaligned. */
  rxFrameErrors: number;
  /** Received when the FIFO was full. */
  rxFifoErrors: number;
  /** Missed by the device. */
  rxMissedErrors: number;
  /** Given up while sending. */
  txAbortedErrors: number;
  /** Lost for want of a carrier. */
  txCarrierErrors: number;
  /** Lost because the FIFO ran empty. */
  txFifoErrors: number;
  /** Sent without a heartbeat. */
  txHeartbeatErrors: number;
  /** Lost to a late collision. */
  txWindowErrors: number;
  /** Compressed packets received. */
  rxCompressed: number;
  /** Compressed packets sent. */
  txCompressed: number;
  /** Received without a handler for the packet. */
  rxNohandler: number;
  /** Received for another host; Linux 5.19, 0 before. */
  rxOtherhostDropped: number;
}

/** Small counters stay small integers in V8: others take 16 bytes more each. */
function counter(view: DataView, at: number): number {
  const low = view.getUint32(at, true);
  const high = view.getUint32(at + 4, true);
  return high === 0 ? low : low + high * 0x100000000;
}

/** The codec of IFLA_STATS64. Read-only: the kernel takes no counters. */
export function stats64(type: number): Field<LinkStats> {
  return struct<LinkStats>(type, 200, () => {
    throw new TypeError("Link statistics cannot be set");
  }, (v, at) => ({
    rxPackets: counter(v, at),
    txPackets: counter(v, at + 8),
    rxBytes: counter(v, at + 16),
    txBytes: counter(v, at + 24),
    rxErrors: counter(v, at + 32),
    txErrors: counter(v, at + 40),
    rxDropped: counter(v, at + 48),
    txDropped: counter(v, at + 56),
    multicast: counter(v, at + 64),
    collisions: counter(v, at + 72),
    rxLengthErrors: counter(v, at + 80),
    rxOverErrors: counter(v, at + 88),
    rxCrcErrors: counter(v, at + 96),
    rxFrameErrors: counter(v, at + 104),
    rxFifoErrors: counter(v, at + 112),
    rxMissedErrors: counter(v, at + 120),
    txAbortedErrors: counter(v, at + 128),
    txCarrierErrors: counter(v, at + 136),
    txFifoErrors: counter(v, at + 144),
    txHeartbeatErrors: counter(v, at + 152),
    txWindowErrors: counter(v, at + 160),
    rxCompressed: counter(v, at + 168),
    txCompressed: counter(v, at + 176),
    rxNohandler: counter(v, at + 184),
    rxOtherhostDropped: counter(v, at + 192),
  }));
}

/** Attributes of a link that the kernel reports. Some can be set, too. */
export interface LinkReport {
  /** Name, 1 to 15 bytes. */
  name?: string;
  /** Alternative names, up to 127 bytes each. Set them with a request of their own. */
  altNames?: string[];
  /** Free text for people, up to 255 bytes. */
  alias?: string;
  /** Largest packet, in bytes without the Ethernet header. */
  mtu?: number;
  /** Hardware address: `02:00:00:00:00:01`. */
  mac?: string;
  /** Hardware broadcast address. */
  broadcast?: string;
  /** The permanent hardware address of the device. */
  permanentMac?: string;
  /** Transmit queue length, in packets. */
  txqlen?: number;
  /** Group number, for acting on many links at once. */
  group?: number;
  /** Index of the link this one is a port of; 0 releases it. */
  master?: number;
  /** Id, in this namespace, of the namespace with the parent or peer, where that is another one. */
  linkNetnsId?: number;
  /** Queueing discipline: `noqueue`, `pfifo_fast`, ... */
  qdisc?: string;
  /** Operational state (RFC 2863). */
  operstate?: OperState | number;
  /** Link mode: 0 default, 1 dormant. */
  linkmode?: number;
  /** Whether the link has a carrier. */
  carrier?: boolean;
  /** How often the carrier changed. */
  carrierChanges?: number;
  /** How often the carrier came. */
  carrierUpCount?: number;
  /** How often the carrier went. */
  carrierDownCount?: number;
  /** Whether the protocol layer holds the link down. */
  protoDown?: boolean;
  /** Number of users that have asked for promiscuous mode. */
  promiscuity?: number;
  /** Number of users that have asked for all multicast. */
  allmulti?: number;
  /** Number of transmit queues; fixed at creation. */
  numTxQueues?: number;
  /** Number of receive queues; fixed at creation. */
  numRxQueues?: number;
  /** Most segments in a packet for segmentation offload. */
  gsoMaxSegs?: number;
  /** Largest packet for segmentation offload, in bytes. */
  gsoMaxSize?: number;
  /** Largest packet receive offload builds, in bytes. */
  groMaxSize?: number;
  /** As `gsoMaxSize`, for IPv4. */
  gsoIpv4MaxSize?: number;
  /** As `groMaxSize`, for IPv4. */
  groIpv4MaxSize?: number;
  /** Largest packet the device segments, in bytes. */
  tsoMaxSize?: number;
  /** Most segments into which the device splits a packet. */
  tsoMaxSegs?: number;
  /** Smallest MTU the device takes. */
  minMtu?: number;
  /** Largest MTU the device takes; 0: no limit. */
  maxMtu?: number;
  /** Protocol settings. */
  afSpec?: AfSpec;
  /** Counters. */
  stats?: LinkStats;
  /** Physical port, as hexadecimal bytes. */
  physPortId?: string;
  /** Physical port's name. */
  physPortName?: string;
  /** Physical switch, as hexadecimal bytes. */
  physSwitchId?: string;
  /** Name of the device behind the link: a PCI or virtio address. */
  parentDevName?: string;
  /** Bus of that device: `pci`, `virtio`. */
  parentDevBusName?: string;
  /** Device name for which the link's namespace cannot be changed. */
  netnsImmutable?: boolean;
  /** Bytes the device wants free before a packet. */
  headroom?: number;
  /** Bytes the device wants free behind a packet. */
  tailroom?: number;
  /** Furthest time ahead the device can send at, in nanoseconds. */
  maxPacingOffloadHorizon?: number;
}

/** Attributes of a link, set or read. */
export interface LinkAttributes extends LinkReport {
  /** IFLA_LINK: index of the link this one sits on, or of a pair's other end. */
  parent?: number;
  /** Id of the namespace the request is for; relative to the socket's. */
  targetNetnsId?: number;
  /** Moves the link, or creates it there: descriptor of the namespace. */
  netnsFd?: number;
  /** Moves the link, or creates it there: a process in the namespace. */
  netnsPid?: number;
  /** Parts to leave out of an answer or to add to it: RTEXT_FILTER_*. */
  extMask?: number;
  /** Index to give the link when it moves to another namespace. */
  newIndex?: number;
  /** The subject of an event message. */
  event?: number;
}

const inet6 = schema<Inet6Attributes>("IFLA_INET6_", IFLA_INET6, {
  addrGenMode: named(u8(IFLA_INET6.ADDR_GEN_MODE), {
    eui64: 0,
    none: 1,
    stable_secret: 2,
    random: 3,
  }),
}, [1, 2, 3, 4, 5, 6, 7, 9]);

const afSpec = schema<AfSpec>("AF_", { INET: 2, INET6: 10 }, { inet6: nested(10, inet6) }, [2, 28]);

/** Attributes that netloom does not read. */
export const SKIPPED: readonly number[] = [
  IFLA.STATS,
  IFLA.COST,
  IFLA.PRIORITY,
  IFLA.WIRELESS,
  IFLA.PROTINFO,
  IFLA.MAP,
  IFLA.WEIGHT,
  IFLA.NUM_VF,
  IFLA.VFINFO_LIST,
  IFLA.VF_PORTS,
  IFLA.PORT_SELF,
  IFLA.PAD,
  IFLA.XDP,
  IFLA.NEW_NETNSID,
  IFLA.ALT_IFNAME,
  IFLA.PROTO_DOWN_REASON,
  IFLA.DEVLINK_PORT,
  IFLA.DPLL_PIN,
];

const aliasText = text(IFLA.IFALIAS, 255);

/** The limit of the kernel counts a NUL at the end, and it needs none. */
const alias: Field<string> = {
  ...aliasText,
  write: (writer, value, path) => {
    aliasText.write(writer, value, path);
    writer.length--;
  },
};

/** The codecs of {@link LinkAttributes}. */
export const linkFields: Fields<LinkAttributes> = {
  name: linkName(IFLA.IFNAME),
  altNames: list(IFLA.PROP_LIST, altName(IFLA.ALT_IFNAME)),
  alias,
  mtu: u32(IFLA.MTU, { max: 0x7fffffff, unit: "bytes" }),
  mac: linkAddress(IFLA.ADDRESS),
  broadcast: linkAddress(IFLA.BROADCAST),
  permanentMac: linkAddress(IFLA.PERM_ADDRESS),
  txqlen: u32(IFLA.TXQLEN, { max: 0x7fffffff, unit: "packets" }),
  group: u32(IFLA.GROUP),
  master: u32(IFLA.MASTER),
  parent: u32(IFLA.LINK),
  linkNetnsId: s32(IFLA.LINK_NETNSID),
  targetNetnsId: s32(IFLA.TARGET_NETNSID),
  netnsFd: u32(IFLA.NET_NS_FD),
  netnsPid: u32(IFLA.NET_NS_PID),
  qdisc: text(IFLA.QDISC),
  operstate: named(u8(IFLA.OPERSTATE), OPER_STATES),
  linkmode: u8(IFLA.LINKMODE),
  carrier: bool(u8(IFLA.CARRIER)),
  carrierChanges: u32(IFLA.CARRIER_CHANGES),
  carrierUpCount: u32(IFLA.CARRIER_UP_COUNT),
  carrierDownCount: u32(IFLA.CARRIER_DOWN_COUNT),
  protoDown: bool(u8(IFLA.PROTO_DOWN)),
  promiscuity: u32(IFLA.PROMISCUITY),
  allmulti: u32(IFLA.ALLMULTI),
  numTxQueues: u32(IFLA.NUM_TX_QUEUES, { min: 1, max: 4096 }),
  numRxQueues: u32(IFLA.NUM_RX_QUEUES, { min: 1, max: 4096 }),
  gsoMaxSegs: u32(IFLA.GSO_MAX_SEGS, { min: 1 }),
  gsoMaxSize: u32(IFLA.GSO_MAX_SIZE, { unit: "bytes" }),
  groMaxSize: u32(IFLA.GRO_MAX_SIZE, { unit: "bytes" }),
  gsoIpv4MaxSize: u32(IFLA.GSO_IPV4_MAX_SIZE, { unit: "bytes" }),
  groIpv4MaxSize: u32(IFLA.GRO_IPV4_MAX_SIZE, { unit: "bytes" }),
  tsoMaxSize: u32(IFLA.TSO_MAX_SIZE),
  tsoMaxSegs: u32(IFLA.TSO_MAX_SEGS),
  minMtu: u32(IFLA.MIN_MTU),
  maxMtu: u32(IFLA.MAX_MTU),
  afSpec: nested(IFLA.AF_SPEC, afSpec),
  stats: stats64(IFLA.STATS64),
  extMask: u32(IFLA.EXT_MASK),
  newIndex: s32(IFLA.NEW_IFINDEX),
  physPortId: mac(IFLA.PHYS_PORT_ID),
  physPortName: text(IFLA.PHYS_PORT_NAME),
  physSwitchId: mac(IFLA.PHYS_SWITCH_ID),
  parentDevName: text(IFLA.PARENT_DEV_NAME),
  parentDevBusName: text(IFLA.PARENT_DEV_BUS_NAME),
  event: u32(IFLA.EVENT),
  netnsImmutable: bool(u8(IFLA.NETNS_IMMUTABLE)),
  headroom: u16(IFLA.HEADROOM),
  tailroom: u16(IFLA.TAILROOM),
  maxPacingOffloadHorizon: uint(IFLA.MAX_PACING_OFFLOAD_HORIZON),
};

/** Fields of `struct ifinfomsg`. */
export interface LinkHeader {
  /** Address family: 0, or AF_BRIDGE. */
  family?: number;
  /** Hardware type, ARPHRD_*. */
  type?: number;
  /** The link's index. */
  index?: number;
  /** `IFF_*` bits. */
  flags?: number;
  /** The bits of `flags` that the message sets. */
  change?: number;
}

/** Appends `struct ifinfomsg`. */
export function writeLinkHeader(writer: Writer, header: LinkHeader): void {
  const { family = 0, type = 0, index = 0, flags = 0, change = 0 } = header;
  const at = writer.reserve(16);
  const { view } = writer;
  view.setUint8(at, family);
  view.setUint16(at + 2, type, true);
  view.setInt32(at + 4, index, true);
  view.setUint32(at + 8, flags, true);
  view.setUint32(at + 12, change, true);
}
