/**
 * Numbers of nftables that several files share (`linux/netfilter/nf_tables.h`, `nfnetlink.h`), checked against
 * the kernel headers by `tests/headers/`.
 *
 * @module
 */

/** Subsystems of nfnetlink: the upper byte of a message type. */
export const NFNL_SUBSYS = { NFTABLES: 10 } as const;

/** The messages around a batch. */
export const NFNL_MSG_BATCH = { BEGIN: 16, END: 17 } as const;

/** Attribute numbers of the message that begins a batch. */
export const NFNL_BATCH = { GENID: 1 } as const;

/** Multicast groups of nfnetlink. */
export const NFNLGRP = { NFTABLES: 7 } as const;

/** Families of tables. */
export const FAMILIES = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const;

/** Message types, in the subsystem. */
export const NFT_MSG = {
  NEWTABLE: 0,
  GETTABLE: 1,
  DELTABLE: 2,
  NEWCHAIN: 3,
  GETCHAIN: 4,
  DELCHAIN: 5,
  NEWRULE: 6,
  GETRULE: 7,
  DELRULE: 8,
  NEWSET: 9,
  GETSET: 10,
  DELSET: 11,
  NEWSETELEM: 12,
  GETSETELEM: 13,
  DELSETELEM: 14,
  NEWGEN: 15,
  GETGEN: 16,
  NEWOBJ: 18,
  GETOBJ: 19,
  DELOBJ: 20,
  NEWFLOWTABLE: 22,
  GETFLOWTABLE: 23,
  DELFLOWTABLE: 24,
} as const;

/** Attribute numbers of a table. */
export const NFTA_TABLE = {
  NAME: 1,
  FLAGS: 2,
  USE: 3,
  HANDLE: 4,
  PAD: 5,
  USERDATA: 6,
  OWNER: 7,
} as const;

/** Bits of {@link NFTA_TABLE}'s flags. */
export const NFT_TABLE_F = { DORMANT: 1, OWNER: 2 } as const;

/** Attribute numbers of a chain. */
export const NFTA_CHAIN = {
  TABLE: 1,
  HANDLE: 2,
  NAME: 3,
  HOOK: 4,
  POLICY: 5,
  USE: 6,
  TYPE: 7,
  COUNTERS: 8,
  PAD: 9,
  FLAGS: 10,
  ID: 11,
  USERDATA: 12,
} as const;

/** Attribute numbers of a chain's hook. */
export const NFTA_HOOK = { HOOKNUM: 1, PRIORITY: 2, DEV: 3, DEVS: 4 } as const;

/** Attribute numbers of a list of links. */
export const NFTA_DEVICE = { NAME: 1 } as const;

/** Attribute numbers of a rule. */
export const NFTA_RULE = {
  TABLE: 1,
  CHAIN: 2,
  HANDLE: 3,
  EXPRESSIONS: 4,
  COMPAT: 5,
  POSITION: 6,
  USERDATA: 7,
  PAD: 8,
  ID: 9,
  POSITION_ID: 10,
  CHAIN_ID: 11,
} as const;

/** Attribute numbers of a set. */
export const NFTA_SET = {
  TABLE: 1,
  NAME: 2,
  FLAGS: 3,
  KEY_TYPE: 4,
  KEY_LEN: 5,
  DATA_TYPE: 6,
  DATA_LEN: 7,
  POLICY: 8,
  DESC: 9,
  ID: 10,
  TIMEOUT: 11,
  GC_INTERVAL: 12,
  USERDATA: 13,
  PAD: 14,
  OBJ_TYPE: 15,
  HANDLE: 16,
  EXPR: 17,
  EXPRESSIONS: 18,
  TYPE: 19,
  COUNT: 20,
} as const;

/** Attribute numbers of a set's description. */
export const NFTA_SET_DESC = { SIZE: 1, CONCAT: 2 } as const;

/** Attribute numbers of a part of a concatenated key. */
export const NFTA_SET_FIELD = { LEN: 1 } as const;

/** Bits of a set's flags. */
export const NFT_SET = {
  ANONYMOUS: 1,
  CONSTANT: 2,
  INTERVAL: 4,
  MAP: 8,
  TIMEOUT: 0x10,
  EVAL: 0x20,
  OBJECT: 0x40,
  CONCAT: 0x80,
  EXPR: 0x100,
} as const;

/** Attribute numbers of a list of elements. */
export const NFTA_SET_ELEM_LIST = { TABLE: 1, SET: 2, ELEMENTS: 3, SET_ID: 4 } as const;

/** Attribute numbers of an element of a set. */
export const NFTA_SET_ELEM = {
  KEY: 1,
  DATA: 2,
  FLAGS: 3,
  TIMEOUT: 4,
  EXPIRATION: 5,
  USERDATA: 6,
  EXPR: 7,
  PAD: 8,
  OBJREF: 9,
  KEY_END: 10,
  EXPRESSIONS: 11,
} as const;

/** Bits of an element's flags. */
export const NFT_SET_ELEM = { INTERVAL_END: 1, CATCHALL: 2 } as const;

/** Attribute numbers of the generation. */
export const NFTA_GEN = { ID: 1, PROC_PID: 2, PROC_NAME: 3 } as const;

/** Attribute numbers of a list. */
export const NFTA_LIST = { ELEM: 1 } as const;

/** Attribute numbers of an expression. */
export const NFTA_EXPR = { NAME: 1, DATA: 2 } as const;

/** Attribute numbers of a value. */
export const NFTA_DATA = { VALUE: 1, VERDICT: 2 } as const;

/** Attribute numbers of a verdict. */
export const NFTA_VERDICT = { CODE: 1, CHAIN: 2, CHAIN_ID: 3 } as const;

/** Attribute numbers of an object: a named counter, quota and others. */
export const NFTA_OBJ = {
  TABLE: 1,
  NAME: 2,
  TYPE: 3,
  DATA: 4,
  USE: 5,
  HANDLE: 6,
  PAD: 7,
  USERDATA: 8,
} as const;

/** Attribute numbers of a flowtable. */
export const NFTA_FLOWTABLE = {
  TABLE: 1,
  NAME: 2,
  HOOK: 3,
  USE: 4,
  HANDLE: 5,
  PAD: 6,
  FLAGS: 7,
} as const;
