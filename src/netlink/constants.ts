/**
 * Netlink protocol constants (`linux/netlink.h`), checked against the kernel headers by
 * `tests/headers/`.
 *
 * @module
 */

/** Netlink families. */
export const NETLINK = { ROUTE: 0, SOCK_DIAG: 4, NETFILTER: 12, GENERIC: 16 } as const;

/** Socket options at level {@link SOL_NETLINK}. */
export const NETLINK_OPTION = {
  ADD_MEMBERSHIP: 1,
  DROP_MEMBERSHIP: 2,
  NO_ENOBUFS: 5,
  LISTEN_ALL_NSID: 8,
  CAP_ACK: 10,
  EXT_ACK: 11,
  GET_STRICT_CHK: 12,
} as const;

/** The socket option level of netlink. */
export const SOL_NETLINK = 270;

/** Message types below the families' own. */
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

/** Message flags. Some bits mean one thing in GET requests and another in NEW requests. */
export const NLM_F = {
  REQUEST: 0x01,
  MULTI: 0x02,
  ACK: 0x04,
  ECHO: 0x08,
  DUMP_INTR: 0x10,
  DUMP_FILTERED: 0x20,
  ROOT: 0x100,
  MATCH: 0x200,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  BULK: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
} as const;

/** Size of `struct nlmsghdr`. */
export const NLMSG_HDRLEN = 16;

/** Bits of an attribute's type field that are not its type. */
export const NLA_F = { NESTED: 1 << 15, NET_BYTEORDER: 1 << 14 } as const;

/** Mask of an attribute's type. */
export const NLA_TYPE_MASK = 0x3fff;

/** Extended acknowledgement attributes. */
export const NLMSGERR_ATTR = {
  MSG: 1,
  OFFS: 2,
  COOKIE: 3,
  POLICY: 4,
  MISS_TYPE: 5,
  MISS_NEST: 6,
} as const;

/** Attributes of a policy note in an extended acknowledgement. */
export const NL_POLICY_TYPE_ATTR = {
  TYPE: 1,
  MIN_VALUE_S: 2,
  MAX_VALUE_S: 3,
  MIN_VALUE_U: 4,
  MAX_VALUE_U: 5,
  MIN_LENGTH: 6,
  MAX_LENGTH: 7,
  POLICY_IDX: 8,
  POLICY_MAXTYPE: 9,
  BITFIELD32_MASK: 10,
  PAD: 11,
  MASK: 12,
} as const;
