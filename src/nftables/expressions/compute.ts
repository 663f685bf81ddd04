/**
 * Expressions that load, compare and change the contents of a register: payload, meta, ct, fib, numgen, immediate;
 * cmp, range, bitwise, byteorder, lookup (`linux/netfilter/nf_tables.h`).
 *
 * @module
 */
import { be32, named, text, u8 } from "../../netlink/attribute.ts";
import { schema } from "../../netlink/schema.ts";
import {
  bytesField,
  type Data,
  dataField,
  type ExpressionKind,
  hexWords,
  register,
} from "../data.ts";

/** Attribute numbers of payload. */
export const NFTA_PAYLOAD = {
  DREG: 1,
  BASE: 2,
  OFFSET: 3,
  LEN: 4,
  SREG: 5,
  CSUM_TYPE: 6,
  CSUM_OFFSET: 7,
  CSUM_FLAGS: 8,
} as const;

/** Headers that offsets count from. */
export const PAYLOAD_BASES = { link: 0, network: 1, transport: 2, inner: 3 } as const;

/** Bytes of a packet: loads them, or writes them. */
export interface PayloadData {
  /** The register to load into. */
  dreg?: number;
  /** The register to write from. */
  sreg?: number;
  /** The header. */
  base: keyof typeof PAYLOAD_BASES | number;
  /** Bytes from there. */
  offset: number;
  /** Number of bytes. */
  len: number;
  /** The correction of a checksum: 0 none, 1 as that of IP, 2 as that of SCTP. */
  csumType?: number;
  /** Offset of the checksum from the header. */
  csumOffset?: number;
  /** 1: the checksum of the transport header covers the bytes too. */
  csumFlags?: number;
}

const HEADER_WORDS: Readonly<Record<string, string>> = { link: "link", network: "network" };

/** payload: bytes of a packet. */
export const payload: ExpressionKind<PayloadData> = {
  config: "NF_TABLES",
  data: schema<PayloadData>("NFTA_PAYLOAD_", NFTA_PAYLOAD, {
    dreg: register(NFTA_PAYLOAD.DREG),
    sreg: register(NFTA_PAYLOAD.SREG),
    base: named(be32(NFTA_PAYLOAD.BASE), PAYLOAD_BASES),
    offset: be32(NFTA_PAYLOAD.OFFSET),
    len: be32(NFTA_PAYLOAD.LEN),
    csumType: be32(NFTA_PAYLOAD.CSUM_TYPE),
    csumOffset: be32(NFTA_PAYLOAD.CSUM_OFFSET),
    csumFlags: be32(NFTA_PAYLOAD.CSUM_FLAGS),
  }),
  words: (it) => {
    const place = `${it.len}b @ ${HEADER_WORDS[it.base] ?? it.base} header + ${it.offset}`;
    if (it.sreg === undefined) return `load ${place} => reg ${it.dreg}`;
    return `write reg ${it.sreg} => ${place} csum_type ${it.csumType ?? 0} csum_off ${
      it.csumOffset ?? 0
    } csum_flags 0x${(it.csumFlags ?? 0).toString(16)}`;
  },
};

/** Attribute numbers of meta. */
export const NFTA_META = { DREG: 1, KEY: 2, SREG: 3 } as const;

/** Properties of a packet beside its bytes, by the words of `nft`. */
export const META_KEYS = {
  len: 0,
  protocol: 1,
  priority: 2,
  mark: 3,
  iif: 4,
  oif: 5,
  iifname: 6,
  oifname: 7,
  iiftype: 8,
  oiftype: 9,
  skuid: 10,
  skgid: 11,
  nftrace: 12,
  rtclassid: 13,
  secmark: 14,
  nfproto: 15,
  l4proto: 16,
  bri_iifname: 17,
  bri_oifname: 18,
  pkttype: 19,
  cpu: 20,
  iifgroup: 21,
  oifgroup: 22,
  cgroup: 23,
  prandom: 24,
  secpath: 25,
  iifkind: 26,
  oifkind: 27,
  bri_iifpvid: 28,
  bri_iifvproto: 29,
  time_ns: 30,
  time_day: 31,
  time_hour: 32,
  sdif: 33,
  sdifname: 34,
} as const;

/** Loads or sets a property of a packet. */
export interface MetaData {
  /** The property. */
  key: keyof typeof META_KEYS | number;
  /** The register to load into. */
  dreg?: number;
  /** The register to set from. */
  sreg?: number;
}

const move = ({ key, dreg, sreg }: { key: string | number; dreg?: number; sreg?: number }) =>
  sreg === undefined ? `load ${key} => reg ${dreg}` : `set ${key} with reg ${sreg}`;

/** meta: properties of a packet. */
export const meta: ExpressionKind<MetaData> = {
  config: "NF_TABLES",
  data: schema<MetaData>("NFTA_META_", NFTA_META, {
    key: named(be32(NFTA_META.KEY), META_KEYS),
    dreg: register(NFTA_META.DREG),
    sreg: register(NFTA_META.SREG),
  }),
  words: move,
};

/** Attribute numbers of ct. */
export const NFTA_CT = { DREG: 1, KEY: 2, DIRECTION: 3, SREG: 4 } as const;

/** Properties of a packet's connection, by the words of `nft`. */
export const CT_KEYS = {
  state: 0,
  direction: 1,
  status: 2,
  mark: 3,
  secmark: 4,
  expiration: 5,
  helper: 6,
  l3protocol: 7,
  src: 8,
  dst: 9,
  protocol: 10,
  proto_src: 11,
  proto_dst: 12,
  labels: 13,
  pkts: 14,
  bytes: 15,
  avgpkt: 16,
  zone: 17,
  eventmask: 18,
  src_ip: 19,
  dst_ip: 20,
  src_ip6: 21,
  dst_ip6: 22,
  id: 23,
} as const;

/** Loads or sets a property of a packet's connection. */
export interface CtData {
  /** The property. */
  key: keyof typeof CT_KEYS | number;
  /** The register to load into. */
  dreg?: number;
  /** The register to set from. */
  sreg?: number;
  /** 0: of the first packet; 1: of the answers. */
  direction?: number;
}

/** ct: properties of a packet's connection. */
export const ct: ExpressionKind<CtData> = {
  config: "NFT_CT",
  module: "nft_ct",
  data: schema<CtData>("NFTA_CT_", NFTA_CT, {
    key: named(be32(NFTA_CT.KEY), CT_KEYS),
    dreg: register(NFTA_CT.DREG),
    sreg: register(NFTA_CT.SREG),
    direction: u8(NFTA_CT.DIRECTION),
  }),
  words: (it) => move(it) + (it.direction === undefined ? "" : ` , dir ${it.direction}`),
};

/** Attribute numbers of fib. */
export const NFTA_FIB = { DREG: 1, RESULT: 2, FLAGS: 3 } as const;

/** Results of fib: the link of a route, its name, or the type of an address. */
export const FIB_RESULTS = { oif: 1, oifname: 2, addrtype: 3 } as const;

/** Bits of fib: what a route is looked up by, and whether only its presence counts (`NFTA_FIB_F_*`). */
export const FIB_FLAGS = { saddr: 1, daddr: 2, mark: 4, iif: 8, oif: 16, present: 32 } as const;

/** What the routes say of an address. */
export interface FibData {
  /** The register to load into. */
  dreg: number;
  /** What is loaded. */
  result: keyof typeof FIB_RESULTS | number;
  /** {@link FIB_FLAGS}. */
  flags: number;
}

/** fib: looks up a route. */
export const fib: ExpressionKind<FibData> = {
  config: "NFT_FIB",
  module: "nft_fib",
  data: schema<FibData>("NFTA_FIB_", NFTA_FIB, {
    dreg: register(NFTA_FIB.DREG),
    result: named(be32(NFTA_FIB.RESULT), FIB_RESULTS),
    flags: be32(NFTA_FIB.FLAGS),
  }),
  words: ({ dreg, result, flags }) => {
    const by = (["saddr", "daddr", "mark", "iif", "oif"] as const)
      .filter((key) => flags & FIB_FLAGS[key]).join(" . ");
    const what = result === "addrtype" ? "type" : result;
    return `${by} ${what}${flags & FIB_FLAGS.present ? " present" : ""} => reg ${dreg}`;
  },
};

/** Attribute numbers of numgen. */
export const NFTA_NG = { DREG: 1, MODULUS: 2, TYPE: 3, OFFSET: 4 } as const;

/** The ways to generate numbers. */
export const NUMGEN_TYPES = { inc: 0, random: 1 } as const;

/** Generates a number for each packet. */
export interface NumgenData {
  /** The register to load into. */
  dreg: number;
  /** The numbers are below it. */
  modulus: number;
  /** One after the other, or random. */
  type: keyof typeof NUMGEN_TYPES | number;
  /** Added to each. */
  offset?: number;
}

/** numgen: generates numbers. */
export const numgen: ExpressionKind<NumgenData> = {
  config: "NFT_NUMGEN",
  module: "nft_numgen",
  data: schema<NumgenData>("NFTA_NG_", NFTA_NG, {
    dreg: register(NFTA_NG.DREG),
    modulus: be32(NFTA_NG.MODULUS),
    type: named(be32(NFTA_NG.TYPE), NUMGEN_TYPES),
    offset: be32(NFTA_NG.OFFSET),
  }),
  words: ({ dreg, type, modulus, offset }) =>
    `reg ${dreg} = ${type} mod ${modulus}` + (offset ? ` offset ${offset}` : ""),
};

/** Attribute numbers of immediate. */
export const NFTA_IMMEDIATE = { DREG: 1, DATA: 2 } as const;

/** A constant. */
export interface ImmediateData {
  /** The register to load into; 0 is that of the verdict. */
  dreg: number;
  /** The constant. */
  data: Data;
}

/** immediate: a constant, or a verdict. */
export const immediate: ExpressionKind<ImmediateData> = {
  config: "NF_TABLES",
  data: schema<ImmediateData>("NFTA_IMMEDIATE_", NFTA_IMMEDIATE, {
    dreg: register(NFTA_IMMEDIATE.DREG),
    data: dataField(NFTA_IMMEDIATE.DATA),
  }),
  words: ({ dreg, data }) => {
    if (data instanceof Uint8Array) return `reg ${dreg} ${hexWords(data)}`;
    return `reg ${dreg} ${data.verdict}` + (data.chain === undefined ? "" : ` -> ${data.chain}`);
  },
};

/** Attribute numbers of cmp. */
export const NFTA_CMP = { SREG: 1, OP: 2, DATA: 3 } as const;

/** Comparisons. */
export const CMP_OPS = { eq: 0, neq: 1, lt: 2, lte: 3, gt: 4, gte: 5 } as const;

/** A comparison by its word. */
export type CmpOp = keyof typeof CMP_OPS;

/** Compares a register with bytes: the rule ends where it does not hold. */
export interface CmpData {
  /** The register. */
  sreg: number;
  /** The comparison. */
  op: CmpOp | number;
  /** The bytes. */
  data: Uint8Array;
}

/** cmp: compares. */
export const cmp: ExpressionKind<CmpData> = {
  config: "NF_TABLES",
  data: schema<CmpData>("NFTA_CMP_", NFTA_CMP, {
    sreg: register(NFTA_CMP.SREG),
    op: named(be32(NFTA_CMP.OP), CMP_OPS),
    data: bytesField(NFTA_CMP.DATA),
  }),
  words: ({ sreg, op, data }) => `${op} reg ${sreg} ${hexWords(data)}`,
};

/** Attribute numbers of range. */
export const NFTA_RANGE = { SREG: 1, OP: 2, FROM_DATA: 3, TO_DATA: 4 } as const;

/** Comparisons with a range. */
export const RANGE_OPS = { eq: 0, neq: 1 } as const;

/** Compares a register with a range. */
export interface RangeData {
  /** The register. */
  sreg: number;
  /** Inside or outside. */
  op: keyof typeof RANGE_OPS | number;
  /** The first value of the range. */
  from: Uint8Array;
  /** The last one. */
  to: Uint8Array;
}

/** range: compares with a range. */
export const range: ExpressionKind<RangeData> = {
  config: "NF_TABLES",
  data: schema<RangeData>("NFTA_RANGE_", NFTA_RANGE, {
    sreg: register(NFTA_RANGE.SREG),
    op: named(be32(NFTA_RANGE.OP), RANGE_OPS),
    from: bytesField(NFTA_RANGE.FROM_DATA),
    to: bytesField(NFTA_RANGE.TO_DATA),
  }),
  words: ({ sreg, op, from, to }) => `${op} reg ${sreg} ${hexWords(from)} ${hexWords(to)}`,
};

/** Attribute numbers of bitwise. */
export const NFTA_BITWISE = {
  SREG: 1,
  DREG: 2,
  LEN: 3,
  MASK: 4,
  XOR: 5,
  OP: 6,
  DATA: 7,
} as const;

/** Operations on bits. */
export const BITWISE_OPS = { bool: 0, lshift: 1, rshift: 2 } as const;

/** `dreg = (sreg & mask) ^ xor`, or a shift. */
export interface BitwiseData {
  /** The register to read. */
  sreg: number;
  /** The register for the result. */
  dreg: number;
  /** Number of bytes. */
  len: number;
  /** The operation. Default: `bool`. */
  op?: keyof typeof BITWISE_OPS | number;
  /** The bits that stay. */
  mask?: Uint8Array;
  /** The bits that turn over then. */
  xor?: Uint8Array;
  /** The bits to shift by. */
  data?: Uint8Array;
}

/** bitwise: masks, turns over and shifts bits. */
export const bitwise: ExpressionKind<BitwiseData> = {
  config: "NF_TABLES",
  data: schema<BitwiseData>("NFTA_BITWISE_", NFTA_BITWISE, {
    sreg: register(NFTA_BITWISE.SREG),
    dreg: register(NFTA_BITWISE.DREG),
    len: be32(NFTA_BITWISE.LEN),
    op: named(be32(NFTA_BITWISE.OP), BITWISE_OPS),
    mask: bytesField(NFTA_BITWISE.MASK),
    xor: bytesField(NFTA_BITWISE.XOR),
    data: bytesField(NFTA_BITWISE.DATA),
  }),
  words: ({ sreg, dreg, op, mask, xor, data }) => {
    if (mask && xor) {
      return `reg ${dreg} = ( reg ${sreg} & ${hexWords(mask)} ) ^ ${hexWords(xor)}`;
    }
    const by = data ? hexWords(data) : "?";
    return `reg ${dreg} = ( reg ${sreg} ${op === "rshift" ? ">>" : "<<"} ${by} )`;
  },
};

/** Attribute numbers of byteorder. */
export const NFTA_BYTEORDER = { SREG: 1, DREG: 2, OP: 3, LEN: 4, SIZE: 5 } as const;

/** Conversions. */
export const BYTEORDER_OPS = { ntoh: 0, hton: 1 } as const;

/** Changes the byte order. */
export interface ByteorderData {
  /** The register to read. */
  sreg: number;
  /** The register for the result. */
  dreg: number;
  /** The conversion. */
  op: keyof typeof BYTEORDER_OPS | number;
  /** Number of bytes. */
  len: number;
  /** Bytes of each number. */
  size: number;
}

/** byteorder: changes the byte order. */
export const byteorder: ExpressionKind<ByteorderData> = {
  config: "NF_TABLES",
  data: schema<ByteorderData>("NFTA_BYTEORDER_", NFTA_BYTEORDER, {
    sreg: register(NFTA_BYTEORDER.SREG),
    dreg: register(NFTA_BYTEORDER.DREG),
    op: named(be32(NFTA_BYTEORDER.OP), BYTEORDER_OPS),
    len: be32(NFTA_BYTEORDER.LEN),
    size: be32(NFTA_BYTEORDER.SIZE),
  }),
  words: ({ sreg, dreg, op, len, size }) => `reg ${dreg} = ${op}(reg ${sreg}, ${size}, ${len})`,
};

/** Attribute numbers of lookup. */
export const NFTA_LOOKUP = { SET: 1, SREG: 2, DREG: 3, SET_ID: 4, FLAGS: 5 } as const;

/** Looks a register up in a set: the rule ends where it is not there. */
export interface LookupData {
  /** The set's name. */
  set: string;
  /** The set's number in the batch, for one without a name of its own. */
  setId?: number;
  /** The register. */
  sreg: number;
  /** The register for the value of a map: 0 for a verdict. */
  dreg?: number;
  /** 1: the rule ends where it is there. */
  flags?: number;
}

/** lookup: looks up in a set or map. */
export const lookup: ExpressionKind<LookupData> = {
  config: "NF_TABLES",
  data: schema<LookupData>("NFTA_LOOKUP_", NFTA_LOOKUP, {
    set: text(NFTA_LOOKUP.SET, 255),
    setId: be32(NFTA_LOOKUP.SET_ID),
    sreg: register(NFTA_LOOKUP.SREG),
    dreg: register(NFTA_LOOKUP.DREG),
    flags: be32(NFTA_LOOKUP.FLAGS),
  }),
  words: ({ set, sreg, dreg, flags }) =>
    `reg ${sreg} set ${set}` + (dreg === undefined ? "" : ` dreg ${dreg}`) +
    (flags ? ` 0x${flags.toString(16)}` : ""),
};
