/**
 * htb: classes that share a rate in a tree (tc-htb(8)), `TCA_HTB_*`.
 *
 * @module
 */
import { flag, struct, u32, u64 } from "../../netlink/attribute.ts";
import { type Schema, schema } from "../../netlink/schema.ts";
import { integer, type OptionNames, show, wordValue } from "../../options.ts";
import { parseSize, type Rate, rateWord, type Size, sizeWord } from "../units.ts";
import {
  bytesIn,
  bytesPerSecond,
  type ClassfulKind,
  type LinkLayer,
  LINKLAYERS,
  type RateSpec,
  readRateSpec,
  required,
  type TcOptions,
  ticksOf,
  writeRateSpec,
} from "./kind.ts";

/** Attribute numbers. */
export const TCA_HTB = {
  PARMS: 1,
  INIT: 2,
  CTAB: 3,
  RTAB: 4,
  DIRECT_QLEN: 5,
  RATE64: 6,
  CEIL64: 7,
  PAD: 8,
  OFFLOAD: 9,
} as const;

/** Options of an htb. */
export interface HtbOptions {
  /** The class for packets that no filter assigns: `0x20` or `"20"` (hexadecimal). Default: none, they pass at once. */
  default?: number | string;
  /** The rate divided by this is a class's quantum, where that is not given. Default: 10. */
  r2q?: number;
  /** Most packets that wait without a class. Default: the link's `txqlen`. */
  directQlen?: number;
  /** The hardware does it. Default: false. */
  offload?: boolean;
}

/** An htb as the kernel reports it. */
export interface HtbInfo {
  /** The number of the class for packets that no filter assigns; 0 for none. */
  default: number;
  /** The rate divided by this is a class's quantum, where that is not given. */
  r2q: number;
  /** Packets that passed without a class. */
  directPackets: number;
  /** Most packets that wait without a class. */
  directQlen?: number;
  /** Whether the hardware does it. */
  offload?: boolean;
}

/** Options of a class of an htb. */
export interface HtbClassOptions {
  /** The rate that it has for certain. */
  rate: Rate;
  /** The rate that it reaches with what others leave. Default: `rate`. */
  ceil?: Rate;
  /** Bytes that pass at once at `rate`. Default: 1600. */
  burst?: Size;
  /** Bytes that pass at once at `ceil`. Default: 1600. */
  cburst?: Size;
  /** Its turn when several borrow: 0 is first. Default: 0. */
  prio?: number;
  /** Bytes that it sends in its turn. Default: `rate` divided by the discipline's `r2q`. */
  quantum?: Size;
  /** Bytes that a packet counts at least. Default: 0. */
  mpu?: Size;
  /** Bytes added to each packet. Default: 0. */
  overhead?: number;
  /** The link layer that is accounted for. Default: `ethernet`. */
  linklayer?: LinkLayer;
}

/** A class of an htb as the kernel reports it. */
export interface HtbClassInfo {
  /** The rate in bits per second. */
  rate: number;
  /** The rate with what others leave, in bits per second. */
  ceil: number;
  /** Bytes that pass at once at `rate`. The kernel keeps it as a time in steps of 64 ns. */
  burst: number;
  /** Bytes that pass at once at `ceil`. */
  cburst: number;
  /** Its turn when several borrow. */
  prio: number;
  /** Bytes that it sends in its turn. */
  quantum: number;
  /** Its place above the leaves: 0 is a leaf. */
  level: number;
  /** Bytes that a packet counts at least. */
  mpu: number;
  /** Bytes added to each packet. */
  overhead: number;
  /** The link layer that is accounted for. */
  linklayer: LinkLayer;
}

/** Counters of a class of an htb (`struct tc_htb_xstats`). */
export interface HtbStats {
  /** Packets sent within its own rate. */
  lends: number;
  /** Packets sent with what others left. */
  borrows: number;
  /** Tokens for `rate`, in ticks. */
  tokens: number;
  /** Tokens for `ceil`, in ticks. */
  ctokens: number;
}

/** `struct tc_htb_glob`. */
export interface HtbInit {
  /** Divides rates. */
  r2q: number;
  /** A class's number. */
  default: number;
  /** Packets without a class. */
  directPackets: number;
}

/** `struct tc_htb_opt`. */
export interface HtbParms {
  /** The rate. */
  rate: RateSpec;
  /** The rate with what others leave. */
  ceil: RateSpec;
  /** Ticks. */
  buffer: number;
  /** Ticks. */
  cbuffer: number;
  /** Bytes. */
  quantum: number;
  /** The place in the tree. */
  level: number;
  /** The turn. */
  prio: number;
}

/** Attributes of an htb and of its classes. */
export interface HtbData {
  /** Of a class. */
  parms?: HtbParms;
  /** Of the discipline. */
  init?: HtbInit;
  /** Packets. */
  directQlen?: number;
  /** Bytes per second. */
  rate64?: number;
  /** Bytes per second. */
  ceil64?: number;
  /** By hardware. */
  offload?: boolean;
}

const data: Schema<HtbData> = schema<HtbData>("TCA_HTB_", TCA_HTB, {
  parms: struct(TCA_HTB.PARMS, 44, (view, at, value) => {
    writeRateSpec(view, at, value.rate);
    writeRateSpec(view, at + 12, value.ceil);
    for (const [i, key] of PARMS.entries()) view.setUint32(at + 24 + i * 4, value[key], true);
  }, (view, at) => {
    const [buffer, cbuffer, quantum, level, prio] = PARMS.map((_, i) =>
      view.getUint32(at + 24 + i * 4, true)
    ) as [number, number, number, number, number];
    const [rate, ceil] = [readRateSpec(view, at), readRateSpec(view, at + 12)];
    return { rate, ceil, buffer, cbuffer, quantum, level, prio };
  }),
  init: struct(TCA_HTB.INIT, 20, (view, at, value) => {
    view.setUint32(at, 3, true); // the version of the protocol
    view.setUint32(at + 4, value.r2q, true);
    view.setUint32(at + 8, value.default, true);
  }, (view, at) => ({
    r2q: view.getUint32(at + 4, true),
    default: view.getUint32(at + 8, true),
    directPackets: view.getUint32(at + 16, true),
  })),
  directQlen: u32(TCA_HTB.DIRECT_QLEN),
  rate64: u64(TCA_HTB.RATE64),
  ceil64: u64(TCA_HTB.CEIL64),
  offload: flag(TCA_HTB.OFFLOAD),
}, [TCA_HTB.CTAB, TCA_HTB.RTAB, TCA_HTB.PAD]);

const PARMS = ["buffer", "cbuffer", "quantum", "level", "prio"] as const;

const OPTIONS: OptionNames<HtbOptions> = {
  default: true,
  r2q: true,
  directQlen: true,
  offload: true,
};

const CLASS_OPTIONS: OptionNames<HtbClassOptions> = {
  rate: true,
  ceil: true,
  burst: true,
  cburst: true,
  prio: true,
  quantum: true,
  mpu: true,
  overhead: true,
  linklayer: true,
};

/** The number of a class, which `tc` writes in hexadecimal. */
function minor(value: number | string): number {
  if (typeof value === "number") return integer(value, "options.default", 0, 0xffff);
  if (/^(0x)?[0-9a-f]{1,4}$/i.test(value)) return parseInt(value, 16);
  throw new TypeError(
    `options.default must be the number of a class such as "20": got ${show(value)}`,
  );
}

function encode(options: HtbOptions): HtbData {
  const { default: fallback = 0, r2q = 10, ...rest } = options;
  integer(r2q, "options.r2q", 1, 0xffffffff);
  return { ...rest, init: { r2q, default: minor(fallback), directPackets: 0 } };
}

function decode({ init, directQlen, offload }: HtbData): HtbInfo {
  return {
    ...init!,
    ...(directQlen === undefined ? {} : { directQlen }),
    ...(offload === undefined ? {} : { offload }),
  };
}

/** A packet with its header, and a little. */
const BURST = 1600;

function encodeClass(options: HtbClassOptions): HtbData {
  const { ceil: most = options.rate, burst = BURST, cburst = BURST, prio = 0 } = options;
  const { quantum = 0, mpu = 0, overhead = 0, linklayer = "ethernet" } = options;
  const rate = bytesPerSecond(required(options.rate, "options.rate", "htb"), "options.rate");
  const ceil = bytesPerSecond(most, "options.ceil");
  if (ceil < rate) {
    throw new RangeError(
      `options.ceil must not be below options.rate: got ${show(most)} and ${show(options.rate)}`,
    );
  }
  const accounting = {
    overhead: integer(overhead, "options.overhead", 0, 0xffff),
    mpu: integer(parseSize(mpu, "options.mpu"), "options.mpu", 0, 0xffff, "bytes"),
    linklayer: wordValue(linklayer, LINKLAYERS, "options.linklayer"),
  };
  return {
    parms: {
      rate: { ...accounting, rate },
      ceil: { ...accounting, rate: ceil },
      buffer: ticksOf(parseSize(burst, "options.burst"), rate, "options.burst"),
      cbuffer: ticksOf(parseSize(cburst, "options.cburst"), ceil, "options.cburst"),
      quantum: parseSize(quantum, "options.quantum"),
      level: 0,
      prio: integer(prio, "options.prio", 0, 7),
    },
    ...(rate > 0xffffffff ? { rate64: rate } : {}),
    ...(ceil > 0xffffffff ? { ceil64: ceil } : {}),
  };
}

function decodeClass({ parms, rate64, ceil64 }: HtbData): HtbClassInfo {
  const { rate: spec, ceil: ceilSpec, buffer, cbuffer, quantum, level, prio } = parms!;
  const rate = rate64 ?? spec.rate;
  const ceil = ceil64 ?? ceilSpec.rate;
  return {
    rate: rate * 8,
    ceil: ceil * 8,
    burst: bytesIn(buffer, rate),
    cburst: bytesIn(cbuffer, ceil),
    prio,
    quantum,
    level,
    mpu: spec.mpu,
    overhead: spec.overhead,
    linklayer: spec.linklayer === LINKLAYERS.atm ? "atm" : "ethernet",
  };
}

const classes: TcOptions<HtbClassOptions, HtbClassInfo, HtbData> = {
  data,
  options: CLASS_OPTIONS,
  encode: encodeClass,
  decode: decodeClass,
  readOnly: ["level"],
  xstats: struct<HtbStats>(0, 20, () => {}, (view, at) => ({
    lends: view.getUint32(at, true),
    borrows: view.getUint32(at + 4, true),
    tokens: view.getInt32(at + 12, true),
    ctokens: view.getInt32(at + 16, true),
  })),
  words: {
    rate: ["rate", rateWord],
    ceil: ["ceil", rateWord],
    burst: ["burst", sizeWord],
    cburst: ["cburst", sizeWord],
    // `tc` takes these without a unit.
    quantum: ["quantum", (value) => String(parseSize(value as Size))],
    mpu: ["mpu", (value) => String(parseSize(value as Size))],
  },
};

/** htb: classes that share a rate in a tree. */
export const htb: ClassfulKind<HtbOptions, HtbInfo, HtbData, HtbClassOptions, HtbClassInfo> = {
  kind: "htb",
  config: "NET_SCH_HTB",
  data,
  options: OPTIONS,
  encode,
  decode,
  readOnly: ["directPackets"],
  class: classes as unknown as TcOptions<HtbClassOptions, HtbClassInfo>,
  words: {
    default: ["default", (value) => minor(value as number | string).toString(16)],
    directQlen: ["direct_qlen", String],
    offload: (value) => value ? "offload" : "",
  },
};
