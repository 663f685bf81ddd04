/**
 * Expressions that count, limit, report or change packets: counter, limit, quota, log, reject, nat, masq,
 * redir, queue, fwd, dup, notrack (`linux/netfilter/nf_tables.h`).
 *
 * @module
 */
import { be16, be32, be64, binary, named, text, u8 } from "../../netlink/attribute.ts";
import { schema } from "../../netlink/schema.ts";
import { type ExpressionKind, register } from "../data.ts";

/** A value that was reported and stands for none. */
const NONE = undefined as unknown as number;

/** Attribute numbers of counter. */
export const NFTA_COUNTER = { BYTES: 1, PACKETS: 2, PAD: 3 } as const;

/** Counts packets. */
export interface CounterData {
  /** Bytes so far. */
  bytes?: number;
  /** Packets so far. */
  packets?: number;
}

/** counter: counts packets and their bytes. */
export const counter: ExpressionKind<CounterData> = {
  config: "NF_TABLES",
  module: "nft_counter",
  data: schema<CounterData>("NFTA_COUNTER_", NFTA_COUNTER, {
    bytes: be64(NFTA_COUNTER.BYTES),
    packets: be64(NFTA_COUNTER.PACKETS),
  }, [NFTA_COUNTER.PAD]),
  words: ({ packets = 0, bytes = 0 }) => `pkts ${packets} bytes ${bytes}`,
};

/** Attribute numbers of limit. */
export const NFTA_LIMIT = { RATE: 1, UNIT: 2, BURST: 3, TYPE: 4, FLAGS: 5, PAD: 6 } as const;

/** The unit that a limit counts in. */
export const LIMIT_TYPES = { packets: 0, bytes: 1 } as const;

/** Limits a rate: the rule ends above it. */
export interface LimitData {
  /** Packets or bytes in a unit of time. */
  rate: number;
  /** The unit in seconds. */
  unit: number;
  /** The burst: packets or bytes that may come at once above the rate. */
  burst?: number;
  /** Packets or bytes. */
  type?: keyof typeof LIMIT_TYPES | number;
  /** 1: the rule ends below the rate. */
  flags?: number;
}

const UNITS: Readonly<Record<number, string>> = {
  1: "second",
  60: "minute",
  3600: "hour",
  86400: "day",
  604800: "week",
};

/** limit: limits a rate. */
export const limit: ExpressionKind<LimitData> = {
  config: "NFT_LIMIT",
  module: "nft_limit",
  data: schema<LimitData>("NFTA_LIMIT_", NFTA_LIMIT, {
    rate: be64(NFTA_LIMIT.RATE),
    unit: be64(NFTA_LIMIT.UNIT),
    burst: be32(NFTA_LIMIT.BURST),
    type: named(be32(NFTA_LIMIT.TYPE), LIMIT_TYPES),
    flags: be32(NFTA_LIMIT.FLAGS),
  }, [NFTA_LIMIT.PAD]),
  words: ({ rate, unit, burst = 0, type = "packets", flags = 0 }) =>
    `rate ${rate}/${UNITS[unit] ?? unit} burst ${burst} type ${type} flags 0x${flags.toString(16)}`,
};

/** Attribute numbers of quota. */
export const NFTA_QUOTA = { BYTES: 1, FLAGS: 2, PAD: 3, CONSUMED: 4 } as const;

/** Passes a number of bytes: the rule ends then. */
export interface QuotaData {
  /** The number of bytes. */
  bytes: number;
  /** 1: the rule ends until then. */
  flags?: number;
  /** Bytes so far. */
  consumed?: number;
}

/** quota: passes a number of bytes. */
export const quota: ExpressionKind<QuotaData> = {
  config: "NFT_QUOTA",
  module: "nft_quota",
  data: schema<QuotaData>("NFTA_QUOTA_", NFTA_QUOTA, {
    bytes: be64(NFTA_QUOTA.BYTES),
    flags: be32(NFTA_QUOTA.FLAGS),
    consumed: be64(NFTA_QUOTA.CONSUMED),
  }, [NFTA_QUOTA.PAD]),
  words: ({ bytes, consumed = 0, flags = 0 }) =>
    `bytes ${bytes} consumed ${consumed} flags ${flags}`,
};

/** Attribute numbers of log. */
export const NFTA_LOG = {
  GROUP: 1,
  PREFIX: 2,
  SNAPLEN: 3,
  QTHRESHOLD: 4,
  LEVEL: 5,
  FLAGS: 6,
} as const;

/** Levels of messages in the kernel's log. */
export const LOG_LEVELS = {
  emerg: 0,
  alert: 1,
  crit: 2,
  err: 3,
  warn: 4,
  notice: 5,
  info: 6,
  debug: 7,
  audit: 8,
} as const;

/** Reports packets: to the kernel's log, or to programs. */
export interface LogData {
  /** Group of programs that listen (NFLOG). */
  group?: number;
  /** Text before each message. */
  prefix?: string;
  /** Bytes of a packet that programs get; 0: all. */
  snaplen?: number;
  /** Packets that are collected before programs get them. */
  qthreshold?: number;
  /** Level in the kernel's log. */
  level?: keyof typeof LOG_LEVELS | number;
  /** `NF_LOG_*` bits: additional parts of the message. */
  flags?: number;
}

/** log: reports packets. */
export const log: ExpressionKind<LogData> = {
  config: "NFT_LOG",
  module: "nft_log",
  data: schema<LogData>("NFTA_LOG_", NFTA_LOG, {
    group: be16(NFTA_LOG.GROUP),
    prefix: text(NFTA_LOG.PREFIX, 127),
    snaplen: be32(NFTA_LOG.SNAPLEN),
    qthreshold: be16(NFTA_LOG.QTHRESHOLD),
    level: named(be32(NFTA_LOG.LEVEL), LOG_LEVELS),
    flags: be32(NFTA_LOG.FLAGS),
  }),
  words: ({ prefix, group, snaplen = 0, qthreshold = 0, level, flags }) =>
    [
      ...(prefix === undefined ? [] : [`prefix ${prefix}`]),
      ...(group === undefined
        ? [`level ${typeof level === "number" ? level : LOG_LEVELS[level ?? "warn"]}`]
        : [`group ${group} snaplen ${snaplen} qthreshold ${qthreshold}`]),
      ...(flags ? [`flags 0x${flags.toString(16)}`] : []),
    ].join(" "),
};

/** Attribute numbers of objref. */
export const NFTA_OBJREF = { IMM_TYPE: 1, IMM_NAME: 2 } as const;

/** Types of objects that a table has under a name (`NFT_OBJECT_*`). */
export const OBJECT_TYPES = { counter: 1, quota: 2, limit: 4 } as const;

/** Uses an object of the table. */
export interface ObjrefData {
  /** Its type. */
  type: keyof typeof OBJECT_TYPES | number;
  /** Its name. */
  object: string;
}

/** objref: uses a counter, quota or limit of the table. */
export const objref: ExpressionKind<ObjrefData> = {
  config: "NFT_OBJREF",
  data: schema<ObjrefData>("NFTA_OBJREF_", NFTA_OBJREF, {
    type: named(be32(NFTA_OBJREF.IMM_TYPE), OBJECT_TYPES),
    object: text(NFTA_OBJREF.IMM_NAME, 255),
  }),
  words: ({ type, object }) => `type ${type} name ${object}`,
};

/** Attribute numbers of reject. */
export const NFTA_REJECT = { TYPE: 1, ICMP_CODE: 2 } as const;

/** The answers to a packet that is refused. */
export const REJECT_TYPES = { icmp: 0, "tcp reset": 1, icmpx: 2 } as const;

/** Refuses a packet with an answer. */
export interface RejectData {
  /** The answer. */
  type: keyof typeof REJECT_TYPES | number;
  /** Code of the ICMP message, or the number that stands for one in both families. */
  icmpCode?: number;
}

/** reject: refuses a packet with an answer. */
export const reject: ExpressionKind<RejectData> = {
  config: "NFT_REJECT",
  module: "nft_reject",
  data: schema<RejectData>("NFTA_REJECT_", NFTA_REJECT, {
    type: named(be32(NFTA_REJECT.TYPE), REJECT_TYPES),
    icmpCode: u8(NFTA_REJECT.ICMP_CODE),
  }),
  words: ({ type, icmpCode = 0 }) =>
    `type ${typeof type === "number" ? type : REJECT_TYPES[type]} code ${icmpCode}`,
};

/** Attribute numbers of nat. */
export const NFTA_NAT = {
  TYPE: 1,
  FAMILY: 2,
  REG_ADDR_MIN: 3,
  REG_ADDR_MAX: 4,
  REG_PROTO_MIN: 5,
  REG_PROTO_MAX: 6,
  FLAGS: 7,
} as const;

/** Directions of a translation. */
export const NAT_TYPES = { snat: 0, dnat: 1 } as const;

/** Bits of a translation (`linux/netfilter/nf_nat.h`). */
export const NF_NAT_RANGE = {
  MAP_IPS: 1,
  PROTO_SPECIFIED: 2,
  PROTO_RANDOM: 4,
  PERSISTENT: 8,
  PROTO_RANDOM_FULLY: 16,
  PROTO_OFFSET: 32,
  NETMAP: 64,
} as const;

/** Translates the source or the destination of a connection. */
export interface NatData {
  /** Source or destination. */
  type: keyof typeof NAT_TYPES | number;
  /** `NFPROTO_IPV4` or `NFPROTO_IPV6`. */
  family: number;
  /** The register with the first address. */
  addrMin?: number;
  /** The register with the last one. */
  addrMax?: number;
  /** The register with the first port. */
  protoMin?: number;
  /** The register with the last one. */
  protoMax?: number;
  /** `NF_NAT_RANGE_*` bits. */
  flags?: number;
}

const registers = (
  parts: Readonly<Record<string, number | undefined>>,
): string[] =>
  Object.entries(parts).flatMap(([name, reg]) => reg === undefined ? [] : [`${name} reg ${reg}`]);

const flagWords = (flags: number | undefined): string[] =>
  flags ? [`flags 0x${flags.toString(16)}`] : [];

/** nat: translates addresses and ports. */
export const nat: ExpressionKind<NatData> = {
  config: "NFT_NAT",
  module: "nft_nat",
  data: schema<NatData>("NFTA_NAT_", NFTA_NAT, {
    type: named(be32(NFTA_NAT.TYPE), NAT_TYPES),
    family: be32(NFTA_NAT.FAMILY),
    addrMin: register(NFTA_NAT.REG_ADDR_MIN),
    addrMax: register(NFTA_NAT.REG_ADDR_MAX),
    protoMin: register(NFTA_NAT.REG_PROTO_MIN),
    protoMax: register(NFTA_NAT.REG_PROTO_MAX),
    flags: be32(NFTA_NAT.FLAGS),
  }),
  words: ({ type, family, addrMin, addrMax, protoMin, protoMax, flags }) =>
    [
      type,
      family === 2 ? "ip" : "ip6",
      ...registers({
        addr_min: addrMin,
        addr_max: addrMax,
        proto_min: protoMin,
        proto_max: protoMax,
      }),
      ...flagWords(flags),
    ].join(" "),
};

/** Attribute numbers of masq. */
export const NFTA_MASQ = { FLAGS: 1, REG_PROTO_MIN: 2, REG_PROTO_MAX: 3 } as const;

/** Translates the source into the address of the link. */
export interface MasqData {
  /** `NF_NAT_RANGE_*` bits. */
  flags?: number;
  /** The register with the first port. */
  protoMin?: number;
  /** The register with the last one. */
  protoMax?: number;
}

/** Translates the destination into the machine itself. */
export type RedirData = MasqData;

const portWords = ({ flags, protoMin, protoMax }: MasqData): string =>
  [...registers({ proto_min: protoMin, proto_max: protoMax }), ...flagWords(flags)].join(" ");

/** masq: translates the source into the address of the link. */
export const masq: ExpressionKind<MasqData> = {
  config: "NFT_MASQ",
  module: "nft_masq",
  data: schema<MasqData>("NFTA_MASQ_", NFTA_MASQ, {
    flags: be32(NFTA_MASQ.FLAGS),
    protoMin: register(NFTA_MASQ.REG_PROTO_MIN),
    protoMax: register(NFTA_MASQ.REG_PROTO_MAX),
  }),
  words: portWords,
};

/** Attribute numbers of redir. */
export const NFTA_REDIR = { REG_PROTO_MIN: 1, REG_PROTO_MAX: 2, FLAGS: 3 } as const;

/** redir: translates the destination into the machine itself. */
export const redir: ExpressionKind<RedirData> = {
  config: "NFT_REDIR",
  module: "nft_redir",
  data: schema<RedirData>("NFTA_REDIR_", NFTA_REDIR, {
    protoMin: register(NFTA_REDIR.REG_PROTO_MIN),
    protoMax: register(NFTA_REDIR.REG_PROTO_MAX),
    flags: be32(NFTA_REDIR.FLAGS),
  }),
  words: portWords,
};

/** Attribute numbers of queue. */
export const NFTA_QUEUE = { NUM: 1, TOTAL: 2, FLAGS: 3, SREG_QNUM: 4 } as const;

/** Hands packets to a program (NFQUEUE). */
export interface QueueData {
  /** The first queue. */
  num?: number;
  /** The number of queues. */
  total?: number;
  /** 1: packets pass where no program listens. 2: a queue for each processor. */
  flags?: number;
  /** The register with the queue. */
  sreg?: number;
}

/** queue: hands packets to a program. */
export const queue: ExpressionKind<QueueData> = {
  config: "NFT_QUEUE",
  module: "nft_queue",
  data: schema<QueueData>("NFTA_QUEUE_", NFTA_QUEUE, {
    num: be16(NFTA_QUEUE.NUM),
    total: be16(NFTA_QUEUE.TOTAL),
    flags: be16(NFTA_QUEUE.FLAGS),
    sreg: register(NFTA_QUEUE.SREG_QNUM),
  }),
  words: ({ num = 0, total = 1, flags = 0 }) =>
    `num ${num}${total > 1 ? `-${num + total - 1}` : ""}` +
    (flags & 1 ? " bypass" : "") + (flags & 2 ? " fanout" : ""),
};

/** Attribute numbers of fwd. */
export const NFTA_FWD = { SREG_DEV: 1, SREG_ADDR: 2, NFPROTO: 3 } as const;

/** Sends a packet out of a link, past the network stack. */
export interface FwdData {
  /** The register with the link's index. */
  dev: number;
  /** The register with the address of the neighbor. */
  addr?: number;
  /** The family of the address. */
  nfproto?: number;
}

/** fwd: sends a packet out of a link. */
export const fwd: ExpressionKind<FwdData> = {
  config: "NFT_FWD_NETDEV",
  module: "nft_fwd_netdev",
  data: schema<FwdData>("NFTA_FWD_", NFTA_FWD, {
    dev: register(NFTA_FWD.SREG_DEV),
    addr: register(NFTA_FWD.SREG_ADDR),
    nfproto: be32(NFTA_FWD.NFPROTO),
  }),
  words: ({ dev, addr }) => registers({ sreg_dev: dev, sreg_addr: addr }).join(" "),
};

/** Attribute numbers of dup. */
export const NFTA_DUP = { SREG_ADDR: 1, SREG_DEV: 2 } as const;

/** Sends a copy of a packet elsewhere. */
export interface DupData {
  /** The register with the address of the gateway. */
  addr?: number;
  /** The register with the link's index. */
  dev?: number;
}

/** dup: sends a copy of a packet elsewhere. */
export const dup: ExpressionKind<DupData> = {
  config: "NFT_DUP_IPV4",
  module: "nft_dup_ipv4",
  data: schema<DupData>("NFTA_DUP_", NFTA_DUP, {
    addr: register(NFTA_DUP.SREG_ADDR),
    dev: register(NFTA_DUP.SREG_DEV),
  }),
  words: ({ addr, dev }) => registers({ sreg_addr: addr, sreg_dev: dev }).join(" "),
};

/** Attribute numbers of dynset. */
export const NFTA_DYNSET = {
  SET_NAME: 1,
  SET_ID: 2,
  OP: 3,
  SREG_KEY: 4,
  SREG_DATA: 5,
  TIMEOUT: 6,
  EXPR: 7,
  PAD: 8,
  FLAGS: 9,
  EXPRESSIONS: 10,
} as const;

/** The ways in which a rule changes a set. */
export const DYNSET_OPS = { add: 0, update: 1, delete: 2 } as const;

/** Adds a register to a set, or takes it out. */
export interface DynsetData {
  /** The set's name. */
  set: string;
  /** The change. */
  op: keyof typeof DYNSET_OPS | number;
  /** The register with the key. */
  key: number;
  /** The register with the value of a map. */
  value?: number;
  /** Milliseconds that the element stays. */
  timeout?: number;
  /** 1: the rule ends where that fails. 2: there are expressions. */
  flags?: number;
  /** A counter or limit of each element, as it came. */
  expr?: Uint8Array;
  /** More than one of them. */
  expressions?: Uint8Array;
}

const timeout = be64(NFTA_DYNSET.TIMEOUT);

/** dynset: adds to a set. */
export const dynset: ExpressionKind<DynsetData> = {
  config: "NF_TABLES",
  data: schema<DynsetData>("NFTA_DYNSET_", NFTA_DYNSET, {
    set: text(NFTA_DYNSET.SET_NAME, 255),
    op: named(be32(NFTA_DYNSET.OP), DYNSET_OPS),
    key: register(NFTA_DYNSET.SREG_KEY),
    value: register(NFTA_DYNSET.SREG_DATA),
    // The kernel reports 0 for none, and refuses that where the set has no times.
    timeout: { ...timeout, read: (s, at, length) => timeout.read(s, at, length) || NONE },
    flags: be32(NFTA_DYNSET.FLAGS),
    expr: { ...binary(NFTA_DYNSET.EXPR), nested: true },
    expressions: { ...binary(NFTA_DYNSET.EXPRESSIONS), nested: true },
  }, [NFTA_DYNSET.PAD]),
  words: ({ op, key, set, timeout }) =>
    `${op} reg_key ${key} set ${set}` + (timeout ? ` timeout ${timeout}ms` : ""),
};

/** notrack: the packet is part of no connection. */
export const notrack: ExpressionKind = {
  config: "NFT_CT",
  module: "nft_ct",
  data: schema<object>("NFTA_NOTRACK_", {}, {}),
  words: () => "",
};
