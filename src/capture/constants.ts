/**
 * Constants of packet sockets and of BPF programs, by the names of the kernel headers
 * (`linux/if_packet.h`, `linux/filter.h`, `linux/if_arp.h`).
 *
 * @module
 */

/** Socket options, `PACKET_*`. */
export const PACKET_OPTION = {
  ADD_MEMBERSHIP: 1,
  RX_RING: 5,
  STATISTICS: 6,
  VERSION: 10,
  RESERVE: 12,
  IGNORE_OUTGOING: 23,
} as const;

/** Kinds of memberships, `PACKET_MR_*`. */
export const PACKET_MR = { PROMISC: 1 } as const;

/** Destinations of a packet, `sll_pkttype`: `PACKET_*`. */
export const PACKET_TYPE = {
  HOST: 0,
  BROADCAST: 1,
  MULTICAST: 2,
  OTHERHOST: 3,
  OUTGOING: 4,
} as const;

/** Version of the ring, in `enum tpacket_versions`. */
export const TPACKET_V3 = 2;

/** Status bits of blocks and packets in the ring, `TP_STATUS_*`. */
export const TP_STATUS = {
  KERNEL: 0,
  USER: 1 << 0,
  VLAN_VALID: 1 << 4,
  VLAN_TPID_VALID: 1 << 6,
} as const;

/** The protocol of a packet socket that receives all EtherTypes: `ETH_P_ALL`. */
export const ETH_P = { ALL: 0x0003 } as const;

/** Hardware types of links whose first header is known: `ARPHRD_*`. */
export const ARPHRD = {
  ETHER: 1,
  RAWIP: 519,
  TUNNEL: 768,
  TUNNEL6: 769,
  LOOPBACK: 772,
  SIT: 776,
  IPGRE: 778,
  IEEE80211: 801,
  IEEE80211_RADIOTAP: 803,
  IP6GRE: 823,
  NONE: 0xfffe,
} as const;

/** Parts of a BPF instruction's code, `BPF_*`. */
export const BPF = {
  LD: 0x00,
  LDX: 0x01,
  ST: 0x02,
  STX: 0x03,
  ALU: 0x04,
  JMP: 0x05,
  RET: 0x06,
  MISC: 0x07,

  W: 0x00,
  H: 0x08,
  B: 0x10,

  IMM: 0x00,
  ABS: 0x20,
  IND: 0x40,
  MEM: 0x60,
  LEN: 0x80,
  MSH: 0xa0,

  ADD: 0x00,
  AND: 0x50,
  LSH: 0x60,

  JA: 0x00,
  JEQ: 0x10,
  JGT: 0x20,
  JGE: 0x30,
  JSET: 0x40,

  K: 0x00,
  X: 0x08,

  MAXINSNS: 4096,
} as const;

/** Offsets of data that the kernel keeps beside the bytes of a frame: `SKF_AD_*`, added to `OFF`. */
export const SKF_AD = {
  OFF: -0x1000,
  PROTOCOL: 0,
  PKTTYPE: 4,
  IFINDEX: 8,
  HATYPE: 28,
  VLAN_TAG: 44,
  VLAN_TAG_PRESENT: 48,
} as const;
