/**
 * The attributes of neighbors and of forwarding entries, `NDA_*` (`linux/neighbour.h`), and the header
 * before them.
 *
 * @module
 */
import { be16, type Field, flag, named, s32, struct, u16, u32, u8 } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import { nested, type Schema, schema } from "../netlink/schema.ts";
import { ip, linkAddress, writeInHeader } from "./fields.ts";
import { ROUTE_PROTOCOLS, type RouteProtocol } from "./constants.ts";
import { wordValue } from "../options.ts";

/** Attribute numbers. */
export const NDA = {
  DST: 1,
  LLADDR: 2,
  CACHEINFO: 3,
  PROBES: 4,
  VLAN: 5,
  PORT: 6,
  VNI: 7,
  IFINDEX: 8,
  MASTER: 9,
  LINK_NETNSID: 10,
  SRC_VNI: 11,
  PROTOCOL: 12,
  NH_ID: 13,
  FDB_EXT_ATTRS: 14,
  FLAGS_EXT: 15,
  NDM_STATE_MASK: 16,
  NDM_FLAGS_MASK: 17,
} as const;

/** Attribute numbers inside NDA_FDB_EXT_ATTRS. */
export const NFEA = { ACTIVITY_NOTIFY: 1, DONT_REFRESH: 2 } as const;

/** Flags of a neighbor message. */
export const NTF = {
  USE: 0x01,
  SELF: 0x02,
  MASTER: 0x04,
  PROXY: 0x08,
  EXT_LEARNED: 0x10,
  OFFLOADED: 0x20,
  STICKY: 0x40,
  ROUTER: 0x80,
} as const;

/** Further flags, in NDA_FLAGS_EXT. */
export const NTF_EXT = { MANAGED: 1, LOCKED: 2, EXT_VALIDATED: 4 } as const;

/** State of a neighbor (RFC 4861), `NUD_*`. */
export type NeighborState =
  | "none"
  | "incomplete"
  | "reachable"
  | "stale"
  | "delay"
  | "probe"
  | "failed"
  | "noarp"
  | "permanent";

/** The numbers of {@link NeighborState}. */
export const NEIGHBOR_STATES: Readonly<Record<NeighborState, number>> = {
  none: 0,
  incomplete: 0x01,
  reachable: 0x02,
  stale: 0x04,
  delay: 0x08,
  probe: 0x10,
  failed: 0x20,
  noarp: 0x40,
  permanent: 0x80,
};

/** Marks of a neighbor or a forwarding entry. */
export type NeighborFlag =
  /** To set only: resolve the address now, as if a packet were to be sent. */
  | "use"
  /** Forwarding entries: the link's own, not its master's. */
  | "self"
  /** Forwarding entries: of the table of the bridge the link is a port of. */
  | "master"
  /** Learned by a program or a switch, which also removes it. */
  | "ext_learned"
  /** In the hardware's table. */
  | "offloaded"
  /** Forwarding entries: stays on its port though the address is seen on another. */
  | "sticky"
  /** The neighbor is an IPv6 router. */
  | "router"
  /** The kernel keeps it resolved. Linux 5.16. */
  | "managed"
  /** Forwarding entries: seen on a locked port, which does not forward it yet. Linux 6.2. */
  | "locked"
  /** A program says that it is valid: not removed, not probed. Linux 6.17. */
  | "ext_validated";

/** Their bits: below 0x100 in the header, above it those of NDA_FLAGS_EXT. */
const FLAGS: Readonly<Record<NeighborFlag, number>> = {
  use: NTF.USE,
  self: NTF.SELF,
  master: NTF.MASTER,
  ext_learned: NTF.EXT_LEARNED,
  offloaded: NTF.OFFLOADED,
  sticky: NTF.STICKY,
  router: NTF.ROUTER,
  managed: NTF_EXT.MANAGED << 8,
  locked: NTF_EXT.LOCKED << 8,
  ext_validated: NTF_EXT.EXT_VALIDATED << 8,
};

const flagNames = Object.keys(FLAGS) as NeighborFlag[];

/** The names of the flags in a header's byte and in NDA_FLAGS_EXT. */
export function neighborFlags(flags: number, extended = 0): NeighborFlag[] {
  const bits = flags | extended << 8;
  return flagNames.filter((name) => bits & FLAGS[name]);
}

/** The header's byte and NDA_FLAGS_EXT for names of flags. */
export function neighborFlagBits(
  names: readonly NeighborFlag[],
): { flags: number; extended: number } {
  let bits = 0;
  for (const [i, name] of names.entries()) bits |= wordValue(name, FLAGS, `flags[${i}]`);
  return { flags: bits & 0xff, extended: bits >> 8 };
}

/** When an entry was used, in hundredths of a second ago: `struct nda_cacheinfo`. */
export interface NeighborCacheInfo {
  /** Since it was known to be reachable. */
  confirmed: number;
  /** Since a packet used it. */
  used: number;
  /** Since it changed. */
  updated: number;
  /** Number of holders in the kernel. */
  refCount: number;
}

const cacheInfo: Field<NeighborCacheInfo> = struct(NDA.CACHEINFO, 16, () => {
  throw new TypeError("cacheInfo cannot be set");
}, (v, at) => ({
  confirmed: v.getUint32(at, true),
  used: v.getUint32(at + 4, true),
  updated: v.getUint32(at + 8, true),
  refCount: v.getUint32(at + 12, true),
}));

/** Tracking of an entry's use by a bridge. */
export interface FdbActivity {
  /** Bit 0: tell when it becomes inactive, and active again. Bit 1: it is inactive. */
  notify?: number;
  /** To set only: setting it does not count as use. */
  dontRefresh?: boolean;
}

const activity: Schema<FdbActivity> = schema<FdbActivity>("NFEA_", NFEA, {
  notify: u8(NFEA.ACTIVITY_NOTIFY),
  dontRefresh: flag(NFEA.DONT_REFRESH),
});

/** Attributes as the kernel has them. */
export interface NeighborAttributes {
  address?: string;
  lladdr?: string;
  cacheInfo?: NeighborCacheInfo;
  probes?: number;
  vlan?: number;
  port?: number;
  vni?: number;
  oif?: number;
  master?: number;
  linkNetnsId?: number;
  srcVni?: number;
  protocol?: RouteProtocol | number;
  nexthopId?: number;
  activity?: FdbActivity;
  extendedFlags?: number;
  stateMask?: number;
  flagsMask?: number;
}

/** The attribute set of neighbors and forwarding entries. */
export const neighborSchema: Schema<NeighborAttributes> = schema<NeighborAttributes>("NDA_", NDA, {
  address: ip(NDA.DST),
  lladdr: linkAddress(NDA.LLADDR),
  cacheInfo,
  probes: u32(NDA.PROBES),
  vlan: u16(NDA.VLAN, { min: 1, max: 4094 }),
  port: be16(NDA.PORT),
  vni: u32(NDA.VNI, { max: 0xffffff }),
  oif: u32(NDA.IFINDEX),
  master: u32(NDA.MASTER),
  linkNetnsId: s32(NDA.LINK_NETNSID),
  srcVni: u32(NDA.SRC_VNI, { max: 0xffffff }),
  protocol: named(u8(NDA.PROTOCOL), ROUTE_PROTOCOLS),
  nexthopId: u32(NDA.NH_ID),
  activity: nested(NDA.FDB_EXT_ATTRS, activity),
  extendedFlags: u32(NDA.FLAGS_EXT),
  stateMask: u16(NDA.NDM_STATE_MASK),
  flagsMask: u8(NDA.NDM_FLAGS_MASK),
});

/** `struct ndmsg`. */
export interface NeighborHeader {
  /** 2 IPv4, 10 IPv6, 7 forwarding entries. */
  family: number;
  /** Index of the link. */
  index: number;
  /** `NUD_*` bits. */
  state: number;
  /** `NTF_*` bits. */
  flags: number;
}

/** Size of `struct ndmsg`. */
export const NEIGHBOR_HEADER = 12;

/** Reads `struct ndmsg`. */
export function readNeighborHeader({ bytes, view }: Source, start: number): NeighborHeader {
  return {
    family: bytes[start]!,
    index: view.getInt32(start + 4, true),
    state: view.getUint16(start + 8, true),
    flags: bytes[start + 10]!,
  };
}

/** Appends `struct ndmsg` and attributes. */
export function writeNeighborHeader(writer: Writer, header: Partial<NeighborHeader>): number {
  const { family = 0, index = 0, state = 0, flags = 0 } = header;
  const at = writer.reserve(NEIGHBOR_HEADER);
  writer.bytes[at] = family;
  writer.bytes[at + 10] = flags;
  writer.view.setUint16(at + 8, state, true);
  writeInHeader(writer, at + 4, s32(0, { min: 0 }), index, "index");
  return at;
}
