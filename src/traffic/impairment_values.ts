/**
 * Impairments as values: the options people write, the values they resolve to, and what an engine does with them.
 *
 * @module
 */
import type { Filter, Instruction } from "../capture/filter.ts";
import {
  boolean,
  checkObject,
  checkOptions,
  integer,
  type OptionNames,
  show,
  wordValue,
} from "../options.ts";
import type { Scope } from "../scope/scope.ts";
import {
  NETEM_DISTRIBUTIONS,
  type NetemDistribution,
} from "../rtnetlink/qdisc_kinds/netem_distribution.ts";
import {
  parseRate,
  parseShare,
  parseTime,
  type Rate,
  type Share,
  type Time,
} from "../rtnetlink/units.ts";

/**
 * Impairments of the packets of one direction. A value that is absent stays as it is, `null` takes it off.
 * Loss and duplication come first, then the delay, then the rate, as in netem.
 */
export interface DirectionOptions {
  /** The time that each packet is held: milliseconds, or text such as `"20ms"`. At most an hour. */
  delay?: Time | null;
  /** How much the delay varies, at most 2147 ms: delays are in `delay - jitter .. delay + jitter`, and not below 0. */
  jitter?: Time | null;
  /**
   * How the delay varies: `normal` has the jitter as its standard deviation. Needs a jitter. Default: `uniform`.
   */
  distribution?: NetemDistribution | null;
  /**
   * How much each delay depends on the one before: 0..1, or text. Needs a jitter. Of the correlations see
   * {@link DirectionOptions.lossCorrelation}. netem ignores this one, so it takes the engine of this process.
   */
  delayCorrelation?: Share | null;
  /**
   * Whether packets keep their order though their delays vary: a packet waits for the one before then.
   * `false`: a packet with a shorter delay overtakes others. Needs a jitter. Default: true.
   */
  keepOrder?: boolean | null;
  /** The share of packets that are lost: 0..1, or text such as `"1%"`. */
  loss?: Share | null;
  /**
   * How much the fate of a packet depends on that of the one before: 0..1, or text. With a correlation `c` the number
   * that decides is `x = c * before + (1 - c) * random`, as in netem, and a packet is hit when it is below the share.
   * Hits come in bursts then, and shares below a half become smaller. Needs a loss.
   */
  lossCorrelation?: Share | null;
  /** The share of packets that come twice: 0..1, or text. */
  duplicate?: Share | null;
  /** The correlation of duplication. Needs a duplicate. */
  duplicateCorrelation?: Share | null;
  /** The share of packets of which one bit is flipped: 0..1, or text. */
  corrupt?: Share | null;
  /** The correlation of corruption. Needs a corrupt. */
  corruptCorrelation?: Share | null;
  /** The share of packets that are not delayed and so overtake others: 0..1, or text. Needs a delay. */
  reorder?: Share | null;
  /** The correlation of reordering. Needs a reorder. */
  reorderCorrelation?: Share | null;
  /** Bits per second of whole frames, or text such as `"10mbit"`: 8..10^12. */
  rate?: Rate | null;
  /**
   * Most packets that wait; further ones are lost. 1..1,000,000. Default: 1000 with a rate, 100,000 without.
   */
  limit?: number | null;
  /**
   * The seed of the random numbers, in 0..2^64-1, above 2^53-1 as text: the same packets are hit each time. Setting
   * values starts its sequence anew. Default: none, each run differs.
   */
  seed?: number | string | null;
}

/**
 * Options of `link.impair()`. Values of {@link DirectionOptions} count for both directions, those in `out` and
 * `in` for one, and these come first.
 */
export interface ImpairOptions extends DirectionOptions {
  /** The packets that the link sends; `null` takes off all its values. */
  out?: DirectionOptions | null;
  /** The packets that the link receives; `null` takes off all its values. A `seed` for both counts here as seed + 1. */
  in?: DirectionOptions | null;
  /** The packets to impair, as captures take them; others are not touched. `null`: all. Default: all, or as before. */
  match?: Filter | readonly Instruction[] | null;
  /**
   * `kernel`: queueing disciplines, which outlive the process. `user`: this process, as long as it lives.
   * Default: the one that impairs the link already, otherwise the kernel where it can, otherwise the process.
   */
  engine?: EngineName;
  /** Drops all values from before, in place of keeping those that are not named. Default: false. */
  replace?: boolean;
  /**
   * Takes the impairment off when it is closed, and after `kill -9` when it is cleaned up. Default: none; an impairment
   * by the kernel stays on a link that outlives the program.
   */
  scope?: Scope;
}

/** Who impairs: the kernel's queueing disciplines, or this process. */
export type EngineName = "kernel" | "user";

/**
 * The values of one direction, in the units of numbers in {@link DirectionOptions}: milliseconds (whole
 * nanoseconds), shares in 0..1, bits per second (whole bytes), packets. What is absent is not impaired.
 */
export interface DirectionValues {
  /** Milliseconds, above 0. */
  readonly delay?: number;
  /** Milliseconds, above 0. */
  readonly jitter?: number;
  /** Absent: `uniform`. */
  readonly distribution?: Exclude<NetemDistribution, "uniform">;
  /** Above 0, to 1. */
  readonly delayCorrelation?: number;
  /** Absent: packets keep their order. */
  readonly keepOrder?: false;
  /** Above 0, to 1. */
  readonly loss?: number;
  /** Above 0, to 1. */
  readonly lossCorrelation?: number;
  /** Above 0, to 1. */
  readonly duplicate?: number;
  /** Above 0, to 1. */
  readonly duplicateCorrelation?: number;
  /** Above 0, to 1. */
  readonly corrupt?: number;
  /** Above 0, to 1. */
  readonly corruptCorrelation?: number;
  /** Above 0, to 1. */
  readonly reorder?: number;
  /** Above 0, to 1. */
  readonly reorderCorrelation?: number;
  /** Bits per second. */
  readonly rate?: number;
  /** Packets. Absent: see {@link limitOf}. */
  readonly limit?: number;
  /** 0..2^64-1, above 2^53-1 as text. `BigInt()` takes both. */
  readonly seed?: number | string;
}

/** The values of both directions. A direction that is absent is not impaired, and has no cost. */
export interface ImpairmentValues {
  /** Of the packets that the link sends. */
  readonly out?: DirectionValues;
  /** Of the packets that the link receives. */
  readonly in?: DirectionValues;
  /** The packets to impair. Absent: all. Read from the kernel it is a program. */
  readonly match?: Filter | readonly Instruction[];
}

/** A direction, as the link sees it. */
export type DirectionName = "out" | "in";

/** Both directions. */
export const DIRECTION_NAMES: readonly DirectionName[] = ["out", "in"];

/** Counters of one direction, from the moment the impairment began. */
export interface DirectionStats {
  /** Packets that left the impairment. */
  readonly packets: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Packets lost: at random, and because the limit was reached. */
  readonly drops: number;
  /** Packets that wait. */
  readonly backlog: number;
}

/**
 * What impairs one link: the kernel's disciplines (`impair_kernel.ts`), or this process, which
 * `user/impair.ts` starts:
 *
 *     startUserImpairment(link: NamedLink, values: ImpairmentValues): ImpairEngine
 *
 * `values` are checked and merged. The impairment is in force when a call returns. A call that throws has
 * changed nothing.
 */
export interface ImpairEngine {
  /** Which one it is. */
  readonly engine: EngineName;
  /** The values in force. */
  readonly values: ImpairmentValues;
  /** Packets lost by its start. */
  readonly lost: number;
  /** Whether it has ended: cleared, or with the namespace, the scope of the link, or an error. */
  readonly closed: boolean;
  /** Counters of the directions that are impaired. */
  readonly stats: { readonly [D in DirectionName]?: DirectionStats };
  /**
   * Puts other values in force, all at once: a direction that `values` lacks is no longer impaired. Random numbers
   * begin anew, with the seed where there is one. Packets that wait keep their times.
   *
   * @returns Packets lost by the change itself; 0 where only numbers differ.
   */
  change(values: ImpairmentValues): number;
  /**
   * Takes the impairment off, and restores the link.
   *
   * @returns Packets lost by that.
   */
  clear(): number;
}

type Checks = {
  readonly [K in keyof DirectionOptions]-?: (
    value: Exclude<DirectionOptions[K], null | undefined>,
    path: string,
  ) => DirectionValues[K];
};

const MILLION = 1e6;
const HOUR = 3_600_000;
/** netem keeps a jitter in 31 bits of nanoseconds, and cuts a longer one silently. */
const MOST_JITTER = 2147;
const MOST_RATE = 1e12;

/** To nine digits: netem keeps a share in 32 bits. */
const share = (value: Share, path: string): number | undefined =>
  Math.round(parseShare(value, path) * 1e9) / 1e9 || undefined;

/** The values that mean no impairment resolve to `undefined`. */
const CHECKS: Checks = {
  delay: (value, path) => time(value, path, HOUR),
  jitter: (value, path) => time(value, path, MOST_JITTER),
  distribution: (value, path) => {
    const name = wordValue(value, NETEM_DISTRIBUTIONS, path);
    return name === "uniform" ? undefined : name;
  },
  delayCorrelation: share,
  keepOrder: (value, path) => boolean(value, path) ? undefined : false,
  loss: share,
  lossCorrelation: share,
  duplicate: share,
  duplicateCorrelation: share,
  corrupt: share,
  corruptCorrelation: share,
  reorder: share,
  reorderCorrelation: share,
  rate: (value, path) => {
    const rate = parseRate(value, path);
    if (rate >= 8 && rate <= MOST_RATE) return Math.round(rate / 8) * 8;
    throw new RangeError(
      `${path} must be in 8..${MOST_RATE} bits per second: got ${show(value)}` +
        (rate === 0 ? "; null takes the limit off, loss: 1 loses all packets" : ""),
    );
  },
  limit: (value, path) => integer(value, path, 1, MILLION, "packets"),
  seed: (value, path) => {
    const digits = typeof value === "string"
      ? /^\d{1,20}$/.test(value)
      : Number.isSafeInteger(value);
    const seed = digits ? BigInt(value) : -1n;
    if (seed >= 0n && seed < 1n << 64n) return seedValue(seed);
    throw new RangeError(
      `${path} must be an integer in 0..2^53-1, or text of one in 0..2^64-1: got ${show(value)}`,
    );
  },
};

/** The names of all values. */
export const VALUE_NAMES = Object.keys(CHECKS) as readonly (keyof DirectionOptions)[];

const DIRECTION: OptionNames<DirectionOptions> = {
  delay: true,
  jitter: true,
  distribution: true,
  delayCorrelation: true,
  keepOrder: true,
  loss: true,
  lossCorrelation: true,
  duplicate: true,
  duplicateCorrelation: true,
  corrupt: true,
  corruptCorrelation: true,
  reorder: true,
  reorderCorrelation: true,
  rate: true,
  limit: true,
  seed: true,
};

const OPTIONS: OptionNames<ImpairOptions> = {
  ...DIRECTION,
  out: DIRECTION,
  in: DIRECTION,
  match: true,
  engine: true,
  replace: true,
  scope: true,
};

/** The words of {@link EngineName}. */
export const ENGINES: Readonly<Record<EngineName, EngineName>> = { kernel: "kernel", user: "user" };

/** Values that need another one: without it they would do nothing. */
const NEEDS: Readonly<Partial<Record<keyof DirectionOptions, keyof DirectionOptions>>> = {
  distribution: "jitter",
  delayCorrelation: "jitter",
  keepOrder: "jitter",
  lossCorrelation: "loss",
  duplicateCorrelation: "duplicate",
  corruptCorrelation: "corrupt",
  reorder: "delay",
  reorderCorrelation: "reorder",
};

function time(value: Time, path: string, most: number): number | undefined {
  const ms = parseTime(value, path);
  if (ms > most) throw new RangeError(`${path} must be in 0..${most} ms: got ${show(value)}`);
  return Math.round(ms * MILLION) / MILLION || undefined;
}

/** The values of one direction that a call names: `undefined` takes one off. */
type Named = { [K in keyof DirectionValues]?: DirectionValues[K] | undefined };

/** Checks the values that the options of one direction name. */
function named(options: DirectionOptions, path: string): Named {
  const values: Record<string, unknown> = {};
  for (const name of VALUE_NAMES) {
    const value = options[name];
    if (value === undefined) continue;
    const check = CHECKS[name] as (value: unknown, path: string) => unknown;
    values[name] = value === null ? undefined : check(value, path + name);
  }
  return values as Named;
}

/**
 * The values that options give on top of others.
 *
 * @param old The values in force.
 * @param options The options of `impair()`; `replace` is the caller's.
 * @returns The values to put in force. A direction without an impairment is absent.
 * @throws {TypeError} For an unknown option, with the nearest name, a malformed value, and for one that does nothing
 *   without another one.
 * @throws {RangeError} For a value out of range.
 */
export function mergeValues(old: ImpairmentValues, options: ImpairOptions): ImpairmentValues {
  checkOptions(options, OPTIONS);
  const both = named(options, "");
  const values: { -readonly [K in keyof ImpairmentValues]: ImpairmentValues[K] } = {};
  for (const name of DIRECTION_NAMES) {
    const own = options[name];
    if (own !== undefined && own !== null) checkObject(own, name);
    const direction = mergeDirection(
      own === null ? {} : old[name] ?? {},
      { ...(name === "in" ? nextSeed(both) : both), ...(own ? named(own, `${name}.`) : {}) },
      name,
    );
    // A limit and a seed alone impair nothing.
    if (Object.keys(direction).some((key) => key !== "limit" && key !== "seed")) {
      values[name] = direction;
    }
  }
  const { match = old.match } = options;
  if (match !== undefined && match !== null) values.match = match;
  return values;
}

/** JSON has no larger numbers. */
function seedValue(seed: bigint): number | string {
  return seed > Number.MAX_SAFE_INTEGER ? `${seed}` : Number(seed);
}

/** With one seed for both, a packet and its answer would have the same fate. */
function nextSeed(both: Named): Named {
  if (both.seed === undefined) return both;
  return { ...both, seed: seedValue((BigInt(both.seed) + 1n) % (1n << 64n)) };
}

function mergeDirection(old: DirectionValues, given: Named, path: DirectionName): DirectionValues {
  const merged: Record<string, unknown> = { ...old, ...given };
  for (const [name, needed] of Object.entries(NEEDS)) {
    if (merged[name] === undefined || merged[needed] !== undefined) continue;
    if (given[name as keyof Named] !== undefined) {
      throw new TypeError(`${path}.${name} needs ${path}.${needed}, which is not set`);
    }
    delete merged[name];
  }
  for (const name of Object.keys(merged)) {
    if (merged[name] === undefined) delete merged[name];
  }
  return merged as DirectionValues;
}

/** Whether values impair nothing. */
export function isEmpty({ out, in: incoming }: ImpairmentValues): boolean {
  return !out && !incoming;
}

/** Whether values of one direction are the same. */
export function sameValues(a: DirectionValues = {}, b: DirectionValues = {}): boolean {
  return VALUE_NAMES.every((name) => a[name] === b[name]);
}

/** The most packets that wait: a rate needs a queue that ends, a delay alone should lose nothing. */
export function limitOf({ limit, rate }: DirectionValues): number {
  return limit ?? (rate === undefined ? 100_000 : 1000);
}
