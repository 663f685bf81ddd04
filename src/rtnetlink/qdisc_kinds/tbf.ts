/**
 * tbf: a token bucket, which limits the rate (tc-tbf(8)), `TCA_TBF_*`.
 *
 * @module
 */
import { struct, u32, u64 } from "../../netlink/attribute.ts";
import { type Schema, schema } from "../../netlink/schema.ts";
import { integer, type OptionNames, wordValue } from "../../options.ts";
import {
  parseSize,
  parseTime,
  type Rate,
  rateWord,
  type Size,
  sizeWord,
  type Time,
  timeWord,
} from "../units.ts";
import {
  bytesIn,
  bytesPerSecond,
  type LinkLayer,
  LINKLAYERS,
  type QdiscKind,
  type RateSpec,
  readRateSpec,
  required,
  ticksOf,
  writeRateSpec,
} from "./kind.ts";

/** Attribute numbers. */
export const TCA_TBF = {
  PARMS: 1,
  RTAB: 2,
  PTAB: 3,
  RATE64: 4,
  PRATE64: 5,
  BURST: 6,
  PBURST: 7,
  PAD: 8,
} as const;

/** Options of a tbf. */
export interface TbfOptions {
  /** The rate. */
  rate: Rate;
  /** The size of the bucket: bytes that pass at once. At least the rate times a timer tick, and a packet. */
  burst: Size;
  /** Bytes that wait at most; the rest is dropped. Either this or `latency`. */
  limit?: Size;
  /** The time that a packet waits at most. Either this or `limit`. */
  latency?: Time;
  /** The rate of the bursts. Default: not limited. */
  peakrate?: Rate;
  /** The size of the bucket for `peakrate`: the link's MTU with its header. Needed with `peakrate`. */
  mtu?: Size;
  /** Bytes that a packet counts at least. Default: 0. */
  mpu?: Size;
  /** Bytes added to each packet. Default: 0. */
  overhead?: number;
  /** The link layer that is accounted for. Default: `ethernet`. */
  linklayer?: LinkLayer;
}

/** A tbf as the kernel reports it. */
export interface TbfInfo {
  /** The rate in bits per second. */
  rate: number;
  /** The size of the bucket in bytes. The kernel keeps it as a time in steps of 64 ns. */
  burst: number;
  /** Bytes that wait at most. */
  limit: number;
  /** The rate of the bursts in bits per second. */
  peakrate?: number;
  /** The size of the bucket for `peakrate` in bytes. */
  mtu?: number;
  /** Bytes that a packet counts at least. */
  mpu: number;
  /** Bytes added to each packet. */
  overhead: number;
  /** The link layer that is accounted for. */
  linklayer: LinkLayer;
}

/** `struct tc_tbf_qopt`. */
export interface TbfParms {
  /** The rate. */
  rate: RateSpec;
  /** The rate of bursts; its `rate` is 0 without one. */
  peakrate: RateSpec;
  /** Bytes. */
  limit: number;
  /** Ticks. */
  buffer: number;
  /** Ticks. */
  mtu: number;
}

/** Attributes of a tbf. */
export interface TbfData {
  /** The structure with all but rates above 32 bits. */
  parms?: TbfParms;
  /** Bytes per second. */
  rate64?: number;
  /** Bytes per second. */
  peakrate64?: number;
  /** Bytes. */
  burst?: number;
  /** Bytes. */
  peakBurst?: number;
}

const data: Schema<TbfData> = schema<TbfData>("TCA_TBF_", TCA_TBF, {
  parms: struct(TCA_TBF.PARMS, 36, (view, at, value) => {
    writeRateSpec(view, at, value.rate);
    writeRateSpec(view, at + 12, value.peakrate);
    view.setUint32(at + 24, value.limit, true);
    view.setUint32(at + 28, value.buffer, true);
    view.setUint32(at + 32, value.mtu, true);
  }, (view, at) => ({
    rate: readRateSpec(view, at),
    peakrate: readRateSpec(view, at + 12),
    limit: view.getUint32(at + 24, true),
    buffer: view.getUint32(at + 28, true),
    mtu: view.getUint32(at + 32, true),
  })),
  rate64: u64(TCA_TBF.RATE64),
  peakrate64: u64(TCA_TBF.PRATE64),
  burst: u32(TCA_TBF.BURST),
  peakBurst: u32(TCA_TBF.PBURST),
}, [TCA_TBF.RTAB, TCA_TBF.PTAB, TCA_TBF.PAD]);

const OPTIONS: OptionNames<TbfOptions> = {
  rate: true,
  burst: true,
  limit: true,
  latency: true,
  peakrate: true,
  mtu: true,
  mpu: true,
  overhead: true,
  linklayer: true,
};

function encode(options: TbfOptions): TbfData {
  const { peakrate, mtu, mpu = 0, overhead = 0, linklayer = "ethernet" } = options;
  const rate = bytesPerSecond(required(options.rate, "options.rate", "tbf"), "options.rate");
  const burst = parseSize(required(options.burst, "options.burst", "tbf"), "options.burst");
  const accounting = {
    overhead: integer(overhead, "options.overhead", 0, 0xffff),
    mpu: integer(parseSize(mpu, "options.mpu"), "options.mpu", 0, 0xffff, "bytes"),
    linklayer: wordValue(linklayer, LINKLAYERS, "options.linklayer"),
  };
  if ((peakrate === undefined) !== (mtu === undefined)) {
    throw new TypeError("options.peakrate and options.mtu must be given together");
  }
  const peak = peakrate === undefined ? 0 : bytesPerSecond(peakrate, "options.peakrate");
  const peakBurst = mtu === undefined ? 0 : parseSize(mtu, "options.mtu");
  const limit = limitOf(options, { rate, burst, peak, peakBurst });
  const parms: TbfParms = {
    rate: { ...accounting, rate },
    peakrate: peak ? { ...accounting, rate: peak } : { overhead: 0, mpu: 0, linklayer: 0, rate: 0 },
    limit,
    buffer: ticksOf(burst, rate, "options.burst"),
    mtu: peak ? ticksOf(peakBurst, peak, "options.mtu") : 0,
  };
  return {
    parms,
    burst,
    ...(rate > 0xffffffff ? { rate64: rate } : {}),
    ...(peak > 0xffffffff ? { peakrate64: peak } : {}),
    ...(peak ? { peakBurst } : {}),
  };
}

/** The bytes that wait at most: given as such, or as the time that they take at both rates. */
function limitOf(
  { limit, latency }: TbfOptions,
  { rate, burst, peak, peakBurst }: {
    rate: number;
    burst: number;
    peak: number;
    peakBurst: number;
  },
): number {
  if ((limit === undefined) === (latency === undefined)) {
    throw new TypeError("options must have one of limit and latency");
  }
  if (limit !== undefined) return parseSize(limit, "options.limit");
  const seconds = parseTime(latency!, "options.latency") / 1000;
  const most = Math.min(rate * seconds + burst, peak ? peak * seconds + peakBurst : Infinity);
  return integer(Math.floor(most), "options.latency: the limit", 0, 0xffffffff, "bytes");
}

/** The kernel keeps the time that a packet of the size of the bucket takes, with all that is added to it. */
function bucket(ticks: number, rate: number, { overhead, linklayer }: RateSpec): number {
  const bytes = bytesIn(ticks, rate);
  return (linklayer === LINKLAYERS.atm ? Math.round(bytes * 48 / 53) : bytes) - overhead;
}

function decode({ parms, rate64, peakrate64, burst, peakBurst }: TbfData): TbfInfo {
  const { rate: spec, peakrate: peakSpec, limit, buffer, mtu } = parms!;
  const rate = rate64 ?? spec.rate;
  const peak = peakrate64 ?? peakSpec.rate;
  return {
    rate: rate * 8,
    burst: burst ?? bucket(buffer, rate, spec),
    limit,
    ...(peak ? { peakrate: peak * 8, mtu: peakBurst ?? bucket(mtu, peak, peakSpec) } : {}),
    mpu: spec.mpu,
    overhead: spec.overhead,
    linklayer: spec.linklayer === LINKLAYERS.atm ? "atm" : "ethernet",
  };
}

/** tbf: a token bucket. */
export const tbf: QdiscKind<TbfOptions, TbfInfo, TbfData> = {
  kind: "tbf",
  config: "NET_SCH_TBF",
  data,
  options: OPTIONS,
  encode,
  decode,
  words: {
    rate: ["rate", rateWord],
    burst: ["burst", sizeWord],
    limit: ["limit", sizeWord],
    latency: ["latency", timeWord],
    peakrate: ["peakrate", rateWord],
    mtu: ["mtu", sizeWord],
    mpu: ["mpu", sizeWord],
  },
};
