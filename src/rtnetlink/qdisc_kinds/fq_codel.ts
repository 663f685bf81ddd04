/**
 * fq_codel: fair queues that keep delay low (tc-fq_codel(8), RFC 8290), `TCA_FQ_CODEL_*`.
 *
 * @module
 */
import { bool, type Field, struct, u32 } from "../../netlink/attribute.ts";
import { type Schema, schema } from "../../netlink/schema.ts";
import { integer, type OptionNames } from "../../options.ts";
import { parseSize, parseTime, type Size, sizeWord, type Time, timeWord } from "../units.ts";
import type { QdiscKind } from "./kind.ts";

/** Attribute numbers. */
export const TCA_FQ_CODEL = {
  TARGET: 1,
  LIMIT: 2,
  INTERVAL: 3,
  ECN: 4,
  FLOWS: 5,
  QUANTUM: 6,
  CE_THRESHOLD: 7,
  DROP_BATCH_SIZE: 8,
  MEMORY_LIMIT: 9,
  CE_THRESHOLD_SELECTOR: 10,
  CE_THRESHOLD_MASK: 11,
} as const;

/** Options of an fq_codel. */
export interface FqCodelOptions {
  /** Most packets in all queues. Default: 10240. */
  limit?: number;
  /** Most bytes in all queues. Default: 32 MB. */
  memoryLimit?: Size;
  /** Number of queues, 1..65536; set at creation only. Default: 1024. */
  flows?: number;
  /** The delay that is acceptable. Default: 5 ms. */
  target?: Time;
  /** The time in which the delay must fall to the target. Default: 100 ms. */
  interval?: Time;
  /** Bytes that a queue may send in its turn. Default: the link's MTU with its header. */
  quantum?: Size;
  /** Marks packets of ECN flows instead of dropping them. Default: true. */
  ecn?: boolean;
  /** The delay above which all packets of ECN flows are marked. Default: none. */
  ceThreshold?: Time;
  /** Most packets dropped at once when a limit is reached. Default: 64. */
  dropBatch?: number;
}

/**
 * An fq_codel as the kernel reports it. Times are milliseconds. The kernel keeps them in units of 1.024 us
 * and reports whole microseconds, both rounded down: 3 ms reads as 2.999.
 */
export interface FqCodelInfo {
  /** Most packets in all queues. */
  limit: number;
  /** Most bytes in all queues. */
  memoryLimit: number;
  /** Number of queues. */
  flows: number;
  /** The delay that is acceptable. */
  target: number;
  /** The time in which the delay must fall to the target. */
  interval: number;
  /** Bytes that a queue may send in its turn. */
  quantum: number;
  /** Whether packets of ECN flows are marked instead of dropped. */
  ecn: boolean;
  /** The delay above which all packets of ECN flows are marked. */
  ceThreshold?: number;
  /** Most packets dropped at once when a limit is reached. */
  dropBatch: number;
}

/** Counters of an fq_codel (`struct tc_fq_codel_qd_stats`). */
export interface FqCodelStats {
  /** The largest packet so far, in bytes. */
  maxpacket: number;
  /** Packets dropped because a limit was reached. */
  dropOverlimit: number;
  /** Packets marked instead of dropped. */
  ecnMark: number;
  /** Times that a packet made a new flow. */
  newFlowCount: number;
  /** Flows in the list of new ones. */
  newFlowsLen: number;
  /** Flows in the list of old ones. */
  oldFlowsLen: number;
  /** Packets above `ceThreshold`. */
  ceMark: number;
  /** Bytes in use. */
  memoryUsage: number;
  /** Packets dropped because of `memoryLimit`. */
  dropOvermemory: number;
}

const data: Schema<FqCodelOptions> = schema<FqCodelOptions>("TCA_FQ_CODEL_", TCA_FQ_CODEL, {
  limit: u32(TCA_FQ_CODEL.LIMIT),
  memoryLimit: u32(TCA_FQ_CODEL.MEMORY_LIMIT) as Field<Size>,
  flows: u32(TCA_FQ_CODEL.FLOWS, { min: 1, max: 65536 }),
  target: u32(TCA_FQ_CODEL.TARGET) as Field<Time>,
  interval: u32(TCA_FQ_CODEL.INTERVAL) as Field<Time>,
  quantum: u32(TCA_FQ_CODEL.QUANTUM) as Field<Size>,
  ecn: bool(u32(TCA_FQ_CODEL.ECN)),
  ceThreshold: u32(TCA_FQ_CODEL.CE_THRESHOLD) as Field<Time>,
  dropBatch: u32(TCA_FQ_CODEL.DROP_BATCH_SIZE),
}, [TCA_FQ_CODEL.CE_THRESHOLD_SELECTOR, TCA_FQ_CODEL.CE_THRESHOLD_MASK]);

const OPTIONS: OptionNames<FqCodelOptions> = {
  limit: true,
  memoryLimit: true,
  flows: true,
  target: true,
  interval: true,
  quantum: true,
  ecn: true,
  ceThreshold: true,
  dropBatch: true,
};

const TIMES = ["target", "interval", "ceThreshold"] as const;
const SIZES = ["memoryLimit", "quantum"] as const;

function encode(options: FqCodelOptions): FqCodelOptions {
  const out = { ...options };
  for (const key of TIMES) {
    const value = options[key];
    if (value === undefined) continue;
    const micros = Math.round(parseTime(value, `options.${key}`) * 1000);
    out[key] = integer(micros, `options.${key}`, 0, 0xffffffff, "microseconds");
  }
  for (const key of SIZES) {
    const value = options[key];
    if (value !== undefined) out[key] = parseSize(value, `options.${key}`);
  }
  return out;
}

function decode(data: FqCodelOptions): FqCodelInfo {
  const out = { ...data };
  for (const key of TIMES) if (data[key] !== undefined) out[key] = Number(data[key]) / 1000;
  return out as FqCodelInfo;
}

const xstats = struct<FqCodelStats>(0, 40, () => {}, (view, at) => {
  const word = (i: number) => view.getUint32(at + 4 + i * 4, true);
  return {
    maxpacket: word(0),
    dropOverlimit: word(1),
    ecnMark: word(2),
    newFlowCount: word(3),
    newFlowsLen: word(4),
    oldFlowsLen: word(5),
    ceMark: word(6),
    memoryUsage: word(7),
    dropOvermemory: word(8),
  };
});

/** fq_codel: fair queues that keep delay low. */
export const fq_codel: QdiscKind<FqCodelOptions, FqCodelInfo, FqCodelOptions> = {
  kind: "fq_codel",
  config: "NET_SCH_FQ_CODEL",
  data,
  options: OPTIONS,
  encode,
  decode,
  xstats,
  words: {
    memoryLimit: ["memory_limit", sizeWord],
    target: ["target", timeWord],
    interval: ["interval", timeWord],
    quantum: ["quantum", (value) => String(parseSize(value as Size))],
    ecn: (value) => value ? "ecn" : "noecn",
    ceThreshold: ["ce_threshold", timeWord],
  },
};
