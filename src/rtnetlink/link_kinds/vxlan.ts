/**
 * vxlan, `IFLA_VXLAN_*` (`linux/if_link.h`, RFC 7348).
 *
 * @module
 */
import {
  be16,
  be32,
  bool,
  type Field,
  flag,
  named,
  struct,
  u32,
  u8,
} from "../../netlink/attribute.ts";
import { type Schema, schema } from "../../netlink/schema.ts";
import { integer, type OptionNames, show } from "../../options.ts";
import { parseIp } from "../../packet/address.ts";
import { inPath, ip } from "../fields.ts";
import type { LinkKind, LinkTarget } from "./kind.ts";

/** Attribute numbers. */
export const IFLA_VXLAN = {
  ID: 1,
  GROUP: 2,
  LINK: 3,
  LOCAL: 4,
  TTL: 5,
  TOS: 6,
  LEARNING: 7,
  AGEING: 8,
  LIMIT: 9,
  PORT_RANGE: 10,
  PROXY: 11,
  RSC: 12,
  L2MISS: 13,
  L3MISS: 14,
  PORT: 15,
  GROUP6: 16,
  LOCAL6: 17,
  UDP_CSUM: 18,
  UDP_ZERO_CSUM6_TX: 19,
  UDP_ZERO_CSUM6_RX: 20,
  REMCSUM_TX: 21,
  REMCSUM_RX: 22,
  GBP: 23,
  REMCSUM_NOPARTIAL: 24,
  COLLECT_METADATA: 25,
  LABEL: 26,
  GPE: 27,
  TTL_INHERIT: 28,
  DF: 29,
  VNIFILTER: 30,
  LOCALBYPASS: 31,
  LABEL_POLICY: 32,
  RESERVED_BITS: 33,
  MC_ROUTE: 34,
} as const;

/** The IPv4 "don't fragment" bit of the outer header (`enum ifla_vxlan_df`). */
export const VXLAN_DF: Readonly<Record<VxlanDf, number>> = { unset: 0, set: 1, inherit: 2 };

/** The IPv4 "don't fragment" bit of outer packets: off, on, or the inner packet's. */
export type VxlanDf = "unset" | "set" | "inherit";

/** The source of the outer IPv6 flow label (`enum ifla_vxlan_label_policy`). */
export const VXLAN_LABEL_POLICY: Readonly<Record<VxlanLabelPolicy, number>> = {
  fixed: 0,
  inherit: 1,
};

/** The source of the outer IPv6 flow label: a fixed one, or the inner packet's. */
export type VxlanLabelPolicy = "fixed" | "inherit";

/** Options of a vxlan link that can be set. */
export interface VxlanOptions {
  /** VXLAN network identifier (VNI), 0..16777215. Required, unless `external` is set. */
  id?: number;
  /** Multicast group that reaches the other tunnel endpoints, IPv4 or IPv6. It needs `dev`. */
  group?: string;
  /** The other tunnel endpoint, a unicast IPv4 or IPv6 address; more of them are entries of the FDB. */
  remote?: string;
  /** Source address of the outer packets. Default: by the route to the remote. */
  local?: string;
  /** The link that carries the outer packets: a handle, or a name or index in the link's namespace. */
  dev?: LinkTarget;
  /** UDP destination port, 1..65535. Default: 8472, as Linux had it before IANA gave 4789; with `gpe` 4790. */
  port?: number;
  /** UDP source ports, lowest and highest. Default: the system's range of ephemeral ports. */
  srcPort?: readonly [low: number, high: number];
  /** TTL of the outer packets, 1..255; 0: the system's default, 1 for multicast; `inherit`: the inner packet's. */
  ttl?: number | "inherit";
  /** Traffic class of the outer packets, 0..255; `inherit`: the inner packet's. Default: 0. */
  tos?: number | "inherit";
  /** The "don't fragment" bit of outer IPv4 packets. Default: `unset`. */
  df?: VxlanDf;
  /** Flow label of outer IPv6 packets, 0..1048575. Default: 0. */
  flowLabel?: number;
  /** Whether the flow label is `flowLabel` or the inner packet's. Default: `fixed`. Linux 6.8. */
  labelPolicy?: VxlanLabelPolicy;
  /** Learns which tunnel endpoint an inner address is behind. Default: true, with `external` false. */
  learning?: boolean;
  /** Seconds until a learned address is forgotten, 1..4294967295. Default: 300. */
  ageing?: number;
  /** Most learned addresses; 0: no limit. Default: 0. */
  maxAddresses?: number;
  /** Answers ARP and neighbor discovery from the neighbor table. Default: false. */
  proxy?: boolean;
  /** Route short circuit: routes to a known neighbor without a router. Default: false. */
  rsc?: boolean;
  /** Reports unknown link-layer addresses to listeners of RTM_GETNEIGH. Default: false. */
  l2miss?: boolean;
  /** Reports unknown IP addresses to listeners of RTM_GETNEIGH. Default: false. */
  l3miss?: boolean;
  /** UDP checksums of outer IPv4 packets. Default: true since Linux 4.1. */
  udpCsum?: boolean;
  /** Outer IPv6 packets have the UDP checksum 0. Default: false. */
  udpZeroCsum6Tx?: boolean;
  /** Accepts outer IPv6 packets with the UDP checksum 0. Default: false. */
  udpZeroCsum6Rx?: boolean;
  /** Remote checksum offload when sending. Default: false. */
  remcsumTx?: boolean;
  /** Remote checksum offload when receiving. Default: false. */
  remcsumRx?: boolean;
  /** Remote checksum offload without partial checksums. Only at creation. Default: false. */
  remcsumNopartial?: boolean;
  /** Group policy extension. Only at creation. Default: false. */
  gbp?: boolean;
  /** Generic protocol extension: the inner packets are IP, not Ethernet. Needs `external`. Only at creation. */
  gpe?: boolean;
  /** Takes the tunnel parameters of each packet from routes and filters (collect metadata). Default: false. */
  external?: boolean;
  /** Accepts only listed VNIs; needs `external`. Only at creation. Default: false. Linux 5.18. */
  vnifilter?: boolean;
  /** Passes packets to a local vxlan endpoint without the IP stack. Default: true. Linux 6.5. */
  localbypass?: boolean;
  /** Routes outer multicast through the multicast routing table. Only at creation. Default: false. Linux 6.15. */
  mcRoute?: boolean;
}

/** A vxlan link as the kernel reports it. Options that were never set have their defaults. */
export interface VxlanInfo extends Omit<VxlanOptions, "dev" | "df" | "labelPolicy"> {
  /** Index of the link that carries the outer packets, in the namespace that `linkNetnsId` tells. */
  dev?: number;
  /** The "don't fragment" bit; a number when a newer kernel has one that netloom does not know. */
  df?: VxlanDf | number;
  /** The source of the flow label. */
  labelPolicy?: VxlanLabelPolicy | number;
}

/** Options that the wire has otherwise. */
type Converted =
  | "remote"
  | "dev"
  | "srcPort"
  | "ttl"
  | "tos"
  | "flowLabel"
  | "maxAddresses"
  | "external";

/** IFLA_INFO_DATA of a vxlan link. */
export interface VxlanData extends Omit<VxlanInfo, Converted> {
  /** IPv6 group or remote; `group` is the IPv4 one. */
  group6?: string;
  /** Index of the link below. */
  link?: number;
  /** IPv6 source; `local` is the IPv4 one. */
  local6?: string;
  /** TTL; 0: default. */
  ttl?: number;
  /** TTL of the inner packet. */
  ttlInherit?: boolean;
  /** Traffic class; 1: inherit. */
  tos?: number;
  /** IPv6 flow label. */
  label?: number;
  /** Most learned addresses. */
  limit?: number;
  /** Source ports. */
  portRange?: readonly [number, number];
  /** Collect metadata. */
  collectMetadata?: boolean;
}

const V = IFLA_VXLAN;

/** `struct ifla_vxlan_port_range`: two ports in network byte order. */
const portRange: Field<readonly [number, number]> = struct<readonly [number, number]>(
  V.PORT_RANGE,
  4,
  (view, at, value, path) => {
    if (!Array.isArray(value) || value.length !== 2) {
      throw new TypeError(`srcPort must be [low, high]: got ${show(value)}`);
    }
    const [low, high] = value.map((port, i) => integer(port, `${path}[${i}]`, 0, 65535));
    if (low! > high!) throw new RangeError(`srcPort must be [low, high]: got ${show(value)}`);
    view.setUint16(at, low!, false);
    view.setUint16(at + 2, high!, false);
  },
  (view, at) => [view.getUint16(at, false), view.getUint16(at + 2, false)],
);

/** A flag in requests that the kernel reports as a number. */
const ttlInherit: Field<boolean> = {
  ...flag(V.TTL_INHERIT),
  read: ({ bytes }, at, length) => length === 0 || bytes[at] !== 0,
};

/** The attribute set of a vxlan link. */
const vxlanSchema: Schema<VxlanData> = schema<VxlanData>("IFLA_VXLAN_", V, {
  id: u32(V.ID, { max: 0xffffff }),
  group: ip(V.GROUP),
  group6: ip(V.GROUP6),
  link: u32(V.LINK),
  local: ip(V.LOCAL),
  local6: ip(V.LOCAL6),
  ttl: u8(V.TTL),
  ttlInherit,
  tos: u8(V.TOS),
  df: named(u8(V.DF), VXLAN_DF),
  label: be32(V.LABEL, { max: 0xfffff }),
  labelPolicy: named(u32(V.LABEL_POLICY), VXLAN_LABEL_POLICY),
  learning: bool(u8(V.LEARNING)),
  // The kernel takes 0 for its default.
  ageing: u32(V.AGEING, { min: 1, unit: "seconds" }),
  limit: u32(V.LIMIT),
  portRange,
  port: be16(V.PORT, { min: 1 }),
  proxy: bool(u8(V.PROXY)),
  rsc: bool(u8(V.RSC)),
  l2miss: bool(u8(V.L2MISS)),
  l3miss: bool(u8(V.L3MISS)),
  udpCsum: bool(u8(V.UDP_CSUM)),
  udpZeroCsum6Tx: bool(u8(V.UDP_ZERO_CSUM6_TX)),
  udpZeroCsum6Rx: bool(u8(V.UDP_ZERO_CSUM6_RX)),
  remcsumTx: bool(u8(V.REMCSUM_TX)),
  remcsumRx: bool(u8(V.REMCSUM_RX)),
  remcsumNopartial: flag(V.REMCSUM_NOPARTIAL),
  gbp: flag(V.GBP),
  gpe: flag(V.GPE),
  collectMetadata: bool(u8(V.COLLECT_METADATA)),
  vnifilter: bool(u8(V.VNIFILTER)),
  localbypass: bool(u8(V.LOCALBYPASS)),
  mcRoute: flag(V.MC_ROUTE),
}, [V.RESERVED_BITS]);

const OPTIONS: OptionNames<VxlanOptions> = {
  id: true,
  group: true,
  remote: true,
  local: true,
  dev: true,
  port: true,
  srcPort: true,
  ttl: true,
  tos: true,
  df: true,
  flowLabel: true,
  labelPolicy: true,
  learning: true,
  ageing: true,
  maxAddresses: true,
  proxy: true,
  rsc: true,
  l2miss: true,
  l3miss: true,
  udpCsum: true,
  udpZeroCsum6Tx: true,
  udpZeroCsum6Rx: true,
  remcsumTx: true,
  remcsumRx: true,
  remcsumNopartial: true,
  gbp: true,
  gpe: true,
  external: true,
  vnifilter: true,
  localbypass: true,
  mcRoute: true,
};

const TOS_INHERIT = 1;

/** Whether an address is a multicast group. Throws for text that is no address. */
function isMulticast(address: string, path: string): boolean {
  const bytes = inPath(path, () => parseIp(address));
  return bytes.length === 4 ? (bytes[0]! & 0xf0) === 0xe0 : bytes[0] === 0xff;
}

function encode(options: VxlanOptions, current?: () => VxlanInfo): VxlanData {
  const {
    group,
    remote,
    local,
    dev,
    ttl,
    tos,
    srcPort,
    flowLabel,
    maxAddresses,
    external,
    ...rest
  } = options;
  if (!current && options.id === undefined && !external) {
    throw new TypeError("id must be the VNI, 0..16777215, or external must be true: got no id");
  }
  if (group !== undefined && remote !== undefined) {
    throw new TypeError(`group and remote exclude each other: got ${group} and ${remote}`);
  }
  if (group !== undefined && !isMulticast(group, "group")) {
    throw new TypeError(
      `group must be a multicast address: got ${show(group)}; a unicast is remote`,
    );
  }
  if (remote !== undefined && isMulticast(remote, "remote")) {
    throw new TypeError(
      `remote must be a unicast address: got ${show(remote)}; a multicast is group`,
    );
  }
  const data: VxlanData = { ...rest };
  const to = group ?? remote;
  if (to !== undefined) data[to.includes(":") ? "group6" : "group"] = to;
  if (local !== undefined) data[String(local).includes(":") ? "local6" : "local"] = local;
  // By now an index.
  if (dev !== undefined) data.link = dev as number;
  if (ttl === "inherit") data.ttlInherit = true;
  else if (ttl !== undefined) data.ttl = ttl;
  if (tos !== undefined) data.tos = tos === "inherit" ? TOS_INHERIT : tos;
  if (srcPort !== undefined) data.portRange = srcPort;
  if (flowLabel !== undefined) data.label = flowLabel;
  if (maxAddresses !== undefined) data.limit = maxAddresses;
  if (external !== undefined) data.collectMetadata = external;
  // As in `ip link`: learned endpoints have no use there, and GPE excludes learning.
  if (external && !current) data.learning ??= false;
  return data;
}

function decode(data: VxlanData): VxlanInfo {
  const { group, group6, local, local6, link, ttl, ttlInherit, tos, portRange, label, ...rest } =
    data;
  const { limit, collectMetadata, ...others } = rest;
  const info: VxlanInfo = { ...others };
  const to = group ?? group6;
  if (to !== undefined) info[isMulticast(to, "group") ? "group" : "remote"] = to;
  const from = local ?? local6;
  if (from !== undefined) info.local = from;
  if (link !== undefined) info.dev = link;
  if (ttl !== undefined || ttlInherit) info.ttl = ttlInherit ? "inherit" : ttl!;
  if (tos !== undefined) info.tos = tos === TOS_INHERIT ? "inherit" : tos;
  if (portRange !== undefined) info.srcPort = portRange;
  if (label !== undefined) info.flowLabel = label;
  if (limit !== undefined) info.maxAddresses = limit;
  if (collectMetadata !== undefined) info.external = collectMetadata;
  return info;
}

/** iproute2's words for a switch: `learning` or `nolearning`. */
const word = (name: string) => (on: unknown): string => on ? name : `no${name}`;
const alone = (name: string) => (on: unknown): string => on ? name : "";
const endpoint = (to: unknown): string =>
  `${isMulticast(to as string, "group") ? "group" : "remote"} ${to}`;

/** vxlan: Ethernet in UDP, to one or many tunnel endpoints. */
export const vxlan: LinkKind<VxlanOptions, VxlanInfo, VxlanData> = {
  kind: "vxlan",
  config: "VXLAN",
  data: vxlanSchema,
  options: OPTIONS,
  links: ["dev"],
  encode,
  decode,
  requires: {
    vnifilter: { linux: "5.18", probe: { external: true, vnifilter: true } },
    localbypass: { linux: "6.5", probe: { id: 1, localbypass: false } },
    labelPolicy: { linux: "6.8", probe: { id: 1, labelPolicy: "inherit" } },
    mcRoute: { linux: "6.15", probe: { id: 1, mcRoute: true } },
  },
  tolerates: (option, asked, read) => {
    const has = (read as Record<string, unknown>)[option];
    // Switches and addresses that are off or zero are not reported.
    return has === undefined && (asked === false || asked === 0) ||
      // Zero source ports stand for the default range.
      option === "portRange" && String(asked) === "0,0";
  },
  commandNames: {
    group: endpoint,
    group6: endpoint,
    link: (index) => index === 0 ? "" : `dev if${index}`,
    local6: "local",
    ttlInherit: () => "ttl inherit",
    // iproute2 reads the number as hexadecimal.
    tos: (tos) => `tos ${tos === TOS_INHERIT ? "inherit" : `0x${(tos as number).toString(16)}`}`,
    label: "flowlabel",
    labelPolicy: (policy) => policy === "inherit" ? "flowlabel inherit" : "",
    limit: "maxaddress",
    portRange: (range) => `srcport ${(range as number[]).join(" ")}`,
    port: "dstport",
    learning: word("learning"),
    proxy: word("proxy"),
    rsc: word("rsc"),
    l2miss: word("l2miss"),
    l3miss: word("l3miss"),
    udpCsum: word("udpcsum"),
    udpZeroCsum6Tx: word("udp6zerocsumtx"),
    udpZeroCsum6Rx: word("udp6zerocsumrx"),
    remcsumTx: word("remcsumtx"),
    remcsumRx: word("remcsumrx"),
    remcsumNopartial: () => "",
    gbp: alone("gbp"),
    gpe: alone("gpe"),
    collectMetadata: word("external"),
    vnifilter: word("vnifilter"),
    localbypass: word("localbypass"),
    mcRoute: alone("mcroute"),
  },
};
