/**
 * netem: delay, loss, duplication, corruption, reordering, rate (tc-netem(8)).
 *
 * @module
 */
import { integer, type OptionNames, show, wordValue } from "../../options.ts";
import {
  parseRate,
  parseShare,
  parseTime,
  type Rate,
  rateWord,
  type Share,
  shareWord,
  type Time,
  timeWord,
} from "../units.ts";
import { type QdiscKind, required, TICK } from "./kind.ts";
import {
  type NetemCorrelated,
  type NetemData,
  netemData,
  type NetemLossModel,
  type NetemSlotData,
} from "./netem_data.ts";
import {
  distributionTable,
  NETEM_DISTRIBUTIONS,
  type NetemDistribution,
} from "./netem_distribution.ts";

/** How often something happens, and how much each case depends on the one before. */
export interface NetemChance {
  /** The share of packets. */
  share: Share;
  /** How much each packet depends on the one before. Default: 0. */
  correlation?: Share;
}

/** The share of packets that are held back no delay. */
export interface NetemReorder extends NetemChance {
  /** Every so many packets one is sent at once. Default: 1. */
  gap?: number;
}

/** Loss by a Markov chain of four states: `tc`'s `loss state`. */
export interface NetemStateLoss {
  /** The probabilities of the transitions. */
  state: {
    /** From receiving to a burst of losses. */
    p13: Share;
    /** From a burst of losses to receiving. Default: 1 - p13. */
    p31?: Share;
    /** From a burst of losses to receiving in it. Default: 0. */
    p32?: Share;
    /** From receiving in a burst to losses. Default: 1. */
    p23?: Share;
    /** From receiving to a single loss. Default: 0. */
    p14?: Share;
  };
}

/** Loss by the model of Gilbert and Elliott: `tc`'s `loss gemodel`. */
export interface NetemGemodelLoss {
  /** A good state and a bad one. */
  gemodel: {
    /** The probability to go from the good state to the bad one. */
    p: Share;
    /** The probability to go from the bad state to the good one. Default: 1 - p. */
    r?: Share;
    /** The share of packets lost in the bad state, 1 - h. Default: 1. */
    bad?: Share;
    /** The share of packets lost in the good state, 1 - k. Default: 0. */
    good?: Share;
  };
}

/** A rate with what each packet costs beside its bytes. */
export interface NetemRate {
  /** The rate. */
  rate: Rate;
  /** Bytes added to each packet; negative ones are taken off. Default: 0. */
  packetOverhead?: number;
  /** Bytes of a cell that packets are cut into. Default: 0, none. */
  cellSize?: number;
  /** Bytes added to each cell. Default: 0. */
  cellOverhead?: number;
}

/** Times at which packets are let out together, as a radio link does. */
export interface NetemSlot {
  /** The shortest time between slots; with `max`. */
  min?: Time;
  /** The longest time between slots. Default: `min`. */
  max?: Time;
  /** The mean time between slots; with `jitter`, in place of `min`. */
  delay?: Time;
  /** How much the time varies. */
  jitter?: Time;
  /** How the time varies; set with `delay`. Default: `uniform`. */
  distribution?: NetemDistribution | readonly number[];
  /** Most packets in a slot. Default: no limit. */
  packets?: number;
  /** Most bytes in a slot. Default: no limit. */
  bytes?: number;
}

/** Options of a netem. They are a whole statement: a change resets what it does not name. */
export interface NetemOptions {
  /** Most packets in the queue. Default: 1000. */
  limit?: number;
  /** The time that each packet is held. Default: 0. */
  delay?: Time;
  /** How much the delay varies. Packets may overtake each other then. Default: 0. */
  jitter?: Time;
  /** How much each delay depends on the one before. Default: 0. */
  correlation?: Share;
  /**
   * How the delay varies: a name, or a table of the inverse of the distribution function, whose values are
   * the jitter times 8192. Default: `uniform`. The kernel does not report it, and a change keeps it.
   */
  distribution?: NetemDistribution | readonly number[];
  /** Packets that are lost. Default: none. */
  loss?: Share | NetemChance | NetemStateLoss | NetemGemodelLoss;
  /** Marks packets of ECN flows instead of losing them. Default: false. */
  ecn?: boolean;
  /** Packets that come twice. Default: none. */
  duplicate?: Share | NetemChance;
  /** Packets that one bit is wrong in. Default: none. */
  corrupt?: Share | NetemChance;
  /** Packets that are not delayed and so overtake others; needs a `delay`. Default: none. */
  reorder?: Share | NetemReorder;
  /** The rate. Default: not limited. */
  rate?: Rate | NetemRate;
  /** Times at which packets are let out together. Default: none. */
  slot?: NetemSlot;
  /**
   * The seed of the random numbers, for the same packets each time: an integer in 0..2^64-1, above 2^53-1 as
   * text of its digits. Default: the kernel chooses one. Linux 6.6.
   */
  seed?: number | string;
}

/** A netem as the kernel reports it: times in milliseconds, shares in 0..1. */
export interface NetemInfo {
  /** Most packets in the queue. */
  limit: number;
  /** The time that each packet is held. */
  delay: number;
  /** How much the delay varies. */
  jitter: number;
  /** How much each delay depends on the one before. */
  correlation?: number;
  /** Packets that are lost. */
  loss?:
    | Numbers<NetemChance>
    | { state: Numbers<NetemStateLoss["state"]> }
    | { gemodel: Numbers<NetemGemodelLoss["gemodel"]> };
  /** Whether packets of ECN flows are marked instead of lost. */
  ecn?: boolean;
  /** Packets that come twice. */
  duplicate?: Numbers<NetemChance>;
  /** Packets that one bit is wrong in. */
  corrupt?: Numbers<NetemChance>;
  /** Packets that overtake others. */
  reorder?: Numbers<NetemReorder>;
  /** The rate. */
  rate?: Numbers<NetemRate>;
  /** Times at which packets are let out together. */
  slot?: Numbers<Omit<NetemSlot, "distribution">>;
  /**
   * The seed of the random numbers. A seed above 2^53-1 is text of its digits, because JSON and a number
   * would lose the last of them. Linux 6.6.
   */
  seed?: number | string;
}

/** Options of which each has a number. */
export type Numbers<T> = { [K in keyof T]: number };

const OPTIONS: OptionNames<NetemOptions> = {
  limit: true,
  delay: true,
  jitter: true,
  correlation: true,
  distribution: true,
  loss: {
    share: true,
    correlation: true,
    state: { p13: true, p31: true, p32: true, p23: true, p14: true },
    gemodel: { p: true, r: true, bad: true, good: true },
  },
  ecn: true,
  duplicate: { share: true, correlation: true },
  corrupt: { share: true, correlation: true },
  reorder: { share: true, correlation: true, gap: true },
  rate: { rate: true, packetOverhead: true, cellSize: true, cellOverhead: true },
  slot: {
    min: true,
    max: true,
    delay: true,
    jitter: true,
    distribution: true,
    packets: true,
    bytes: true,
  },
  seed: true,
};

const U32 = 0xffffffff;
const NS = 1e6;

/** A share as 32 bits. */
function bits(value: Share | undefined, path: string): number {
  return value === undefined ? 0 : Math.round(parseShare(value, path) * U32);
}

/** 32 bits as a share, to nine digits: as many as they hold. */
const shareOf = (value: number): number => Math.round(value / U32 * 1e9) / 1e9;

const nanoseconds = (value: Time | undefined, path: string): number =>
  value === undefined ? 0 : Math.round(parseTime(value, path) * NS);

const ticks = (ns: number): number => Math.min(Math.round(ns / TICK), U32);

function chance(value: Share | NetemChance | undefined, path: string): NetemCorrelated {
  const { share, correlation } = typeof value === "object" ? value : { share: value };
  if (typeof value === "object" && share === undefined) {
    throw new TypeError(`${path}.share is required`);
  }
  return {
    share: bits(share, typeof value === "object" ? `${path}.share` : path),
    correlation: bits(correlation, `${path}.correlation`),
  };
}

/** The values of a table, which the kernel takes as 16 bits. */
function table(
  distribution: NetemOptions["distribution"],
  path: string,
): readonly number[] | undefined {
  if (distribution === undefined) return undefined;
  if (!Array.isArray(distribution)) {
    return distributionTable(wordValue(distribution, NETEM_DISTRIBUTIONS, path));
  }
  integer(distribution.length, `${path}: the number of values`, 1, 16384);
  return distribution.map((value, i) => integer(value, `${path}[${i}]`, -0x8000, 0x7fff));
}

function lossModel(loss: NetemOptions["loss"]): NetemLossModel | undefined {
  if (typeof loss !== "object" || "share" in loss) return undefined;
  const path = "options.loss";
  const rest = (share: Share, at: string) => 1 - parseShare(share, at);
  if ("state" in loss) {
    const { p31, p32 = 0, p23 = 1, p14 = 0 } = loss.state;
    const at = `${path}.state`;
    const p13 = required(loss.state.p13, `${at}.p13`, "netem");
    const all = { p13, p31: p31 ?? rest(p13, `${at}.p13`), p32, p14, p23 };
    return {
      state: Object.fromEntries(
        Object.entries(all).map(([key, value]) => [key, bits(value, `${at}.${key}`)]),
      ) as NonNullable<NetemLossModel["state"]>,
    };
  }
  if (!("gemodel" in loss)) {
    throw new TypeError(`${path} must have share, state or gemodel: got ${show(loss)}`);
  }
  const { r, bad = 1, good = 0 } = loss.gemodel;
  const at = `${path}.gemodel`;
  const p = required(loss.gemodel.p, `${at}.p`, "netem");
  return {
    gemodel: {
      p: bits(p, `${at}.p`),
      r: bits(r ?? rest(p, `${at}.p`), `${at}.r`),
      h: U32 - bits(bad, `${at}.bad`),
      k1: bits(good, `${at}.good`),
    },
  };
}

function rateData(value: NetemOptions["rate"]): NetemData["rate"] & { rate64?: number } {
  const { rate, packetOverhead = 0, cellSize = 0, cellOverhead = 0 } = typeof value === "object"
    ? value
    : { rate: value ?? 0 };
  const path = typeof value === "object" ? "options.rate.rate" : "options.rate";
  const limits = [-0x80000000, 0x7fffffff] as const;
  return {
    rate: Math.round(parseRate(rate, path) / 8),
    packetOverhead: integer(packetOverhead, "options.rate.packetOverhead", ...limits),
    cellSize: integer(cellSize, "options.rate.cellSize", 0, U32),
    cellOverhead: integer(cellOverhead, "options.rate.cellOverhead", ...limits),
  };
}

function slotData(slot: NetemSlot = {}): NetemSlotData {
  const path = "options.slot";
  const { min, max = min, delay, jitter, packets = 0, bytes = 0 } = slot;
  if (min !== undefined && delay !== undefined) {
    throw new TypeError(`${path} must have one of min and delay: got ${show(slot)}`);
  }
  return {
    min: nanoseconds(min, `${path}.min`),
    max: nanoseconds(max, `${path}.max`),
    delay: nanoseconds(delay, `${path}.delay`),
    jitter: nanoseconds(jitter, `${path}.jitter`),
    packets: integer(packets, `${path}.packets`, 0, 0x7fffffff),
    bytes: integer(bytes, `${path}.bytes`, 0, 0x7fffffff),
  };
}

/** All that a change would otherwise keep is written. */
function encode(options: NetemOptions): NetemData {
  const { limit = 1000, loss, reorder, slot, seed, ecn } = options;
  const delay = nanoseconds(options.delay, "options.delay");
  const jitter = nanoseconds(options.jitter, "options.jitter");
  const model = lossModel(loss);
  const lost = chance(model ? undefined : loss as Share | NetemChance, "options.loss");
  const twice = chance(options.duplicate, "options.duplicate");
  const early = chance(reorder, "options.reorder");
  const gap = typeof reorder === "object" ? reorder.gap ?? 1 : early.share ? 1 : 0;
  if (early.share && !delay) throw new TypeError("options.reorder needs options.delay");
  if (options.distribution !== undefined && !jitter) {
    throw new TypeError("options.distribution needs options.jitter");
  }
  const rate = rateData(options.rate);
  const delayDist = table(options.distribution, "options.distribution");
  const slotDist = table(slot?.distribution, "options.slot.distribution");
  return {
    qopt: {
      latency: ticks(delay),
      limit: integer(limit, "options.limit", 0, U32),
      loss: lost.share,
      gap: integer(gap, "options.reorder.gap", 0, U32),
      duplicate: twice.share,
      jitter: ticks(jitter),
    },
    corr: {
      delay: bits(options.correlation, "options.correlation"),
      loss: lost.correlation,
      duplicate: twice.correlation,
    },
    ...(delayDist ? { delayDist } : {}),
    reorder: early,
    corrupt: chance(options.corrupt, "options.corrupt"),
    ...(model ? { loss: model } : {}),
    rate,
    ...(ecn === undefined ? {} : { ecn }),
    ...(rate.rate > U32 ? { rate64: rate.rate } : {}),
    latency64: delay,
    jitter64: jitter,
    slot: slotData(slot),
    ...(slotDist ? { slotDist } : {}),
    ...(seed === undefined ? {} : { seed: seedOf(seed) }),
  };
}

function seedOf(seed: number | string): bigint {
  const digits = typeof seed === "string" ? /^\d{1,20}$/.test(seed) : Number.isSafeInteger(seed);
  const number = digits ? BigInt(seed) : -1n;
  if (number >= 0n && number < 1n << 64n) return number;
  throw new RangeError(
    `options.seed must be an integer in 0..2^53-1, or text of one in 0..2^64-1: got ${show(seed)}`,
  );
}

function decode(data: NetemData): NetemInfo {
  const { qopt, corr, reorder, corrupt, rate, rate64, slot, seed, ecn } = data;
  const { latency64 = qopt.latency * TICK, jitter64 = qopt.jitter * TICK } = data;
  const info: NetemInfo = { limit: qopt.limit, delay: latency64 / NS, jitter: jitter64 / NS };
  const chanceOf = (share: number, correlation = 0) => ({
    share: shareOf(share),
    ...(correlation ? { correlation: shareOf(correlation) } : {}),
  });
  if (corr?.delay) info.correlation = shareOf(corr.delay);
  if (data.loss) info.loss = lossOf(data.loss);
  else if (qopt.loss) info.loss = chanceOf(qopt.loss, corr?.loss);
  if (ecn) info.ecn = true;
  if (qopt.duplicate) info.duplicate = chanceOf(qopt.duplicate, corr?.duplicate);
  if (corrupt?.share) info.corrupt = chanceOf(corrupt.share, corrupt.correlation);
  if (reorder?.share) {
    info.reorder = { ...chanceOf(reorder.share, reorder.correlation), gap: qopt.gap };
  }
  if (rate?.rate || rate?.cellOverhead) {
    const { packetOverhead, cellSize, cellOverhead } = rate;
    info.rate = { rate: (rate64 ?? rate.rate) * 8, packetOverhead, cellSize, cellOverhead };
  }
  if (slot && (slot.min || slot.max || slot.jitter || slot.delay)) info.slot = slotOf(slot);
  if (seed !== undefined) info.seed = seed > Number.MAX_SAFE_INTEGER ? `${seed}` : Number(seed);
  return info;
}

function slotOf(
  { min, max, delay, jitter, packets, bytes }: NetemSlotData,
): NetemInfo["slot"] & object {
  const limited = (value: number) => value > 0 && value < 0x7fffffff;
  return {
    ...(delay || jitter
      ? { delay: delay / NS, jitter: jitter / NS }
      : { min: min / NS, max: max / NS }),
    ...(limited(packets) ? { packets } : {}),
    ...(limited(bytes) ? { bytes } : {}),
  };
}

function lossOf({ state, gemodel }: NetemLossModel): NetemInfo["loss"] & object {
  if (state) {
    const { p13, p31, p32, p23, p14 } = state;
    return {
      state: {
        p13: shareOf(p13),
        p31: shareOf(p31),
        p32: shareOf(p32),
        p23: shareOf(p23),
        p14: shareOf(p14),
      },
    };
  }
  const { p, r, h, k1 } = gemodel!;
  return { gemodel: { p: shareOf(p), r: shareOf(r), bad: shareOf(U32 - h), good: shareOf(k1) } };
}

/** A word with a share, and the correlation. */
function chanceWords(word: string, value: unknown): string {
  const { share, correlation } = typeof value === "object"
    ? value as NetemChance
    : { share: value };
  return `${word} ${shareWord(share)}` +
    (correlation === undefined ? "" : ` ${shareWord(correlation)}`);
}

function lossWords(value: unknown): string {
  if (typeof value !== "object" || "share" in value!) return chanceWords("loss random", value);
  const { loss } = encode({ loss: value as NetemStateLoss });
  const share = (it: number) => shareWord(shareOf(it));
  if (loss!.state) {
    const { p13, p31, p32, p23, p14 } = loss!.state;
    return `loss state ${[p13, p31, p32, p23, p14].map(share).join(" ")}`;
  }
  const { p, r, h, k1 } = loss!.gemodel!;
  return `loss gemodel ${[p, r, U32 - h, k1].map(share).join(" ")}`;
}

function rateWords(value: unknown): string {
  if (typeof value !== "object") return `rate ${rateWord(value)}`;
  const { rate, packetOverhead = 0, cellSize = 0, cellOverhead = 0 } = value as NetemRate;
  return `rate ${rateWord(rate)} ${packetOverhead} ${cellSize} ${cellOverhead}`;
}

function slotWords(value: unknown): string {
  const { min, max = min, delay, jitter = 0, distribution = "uniform", packets, bytes } =
    value as NetemSlot;
  return (delay === undefined
    ? `slot ${timeWord(min)} ${timeWord(max)}`
    : `slot distribution ${distributionWord(distribution)} ${timeWord(delay)} ${
      timeWord(jitter)
    }`) +
    (packets === undefined ? "" : ` packets ${packets}`) +
    (bytes === undefined ? "" : ` bytes ${bytes}`);
}

/** `tc` reads a table from a file. */
const distributionWord = (value: unknown): string => typeof value === "string" ? value : "FILE";

/** netem: delay, loss, duplication, corruption, reordering, rate. */
export const netem: QdiscKind<NetemOptions, NetemInfo, NetemData> = {
  kind: "netem",
  config: "NET_SCH_NETEM",
  requires: { seed: { linux: "6.6", probe: 1 } },
  data: netemData,
  options: OPTIONS,
  encode,
  decode,
  commandOrder: ["limit", "delay", "jitter", "correlation", "distribution"],
  words: {
    delay: ["delay", timeWord],
    jitter: timeWord,
    correlation: shareWord,
    distribution: (value) => `distribution ${distributionWord(value)}`,
    loss: lossWords,
    ecn: (value) => value ? "ecn" : "",
    duplicate: (value) => chanceWords("duplicate", value),
    corrupt: (value) => chanceWords("corrupt", value),
    reorder: (value) =>
      chanceWords("reorder", value) +
      (typeof value === "object" && (value as NetemReorder).gap !== undefined
        ? ` gap ${(value as NetemReorder).gap}`
        : ""),
    rate: rateWords,
    slot: slotWords,
  },
};
