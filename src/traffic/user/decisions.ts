/**
 * What becomes of each frame of a direction: random numbers, and the times of frames.
 *
 * @module
 */
import { distributionTable } from "../../rtnetlink/qdisc_kinds/netem_distribution.ts";
import { type DirectionValues, limitOf } from "../impairment_values.ts";

/** What a unit of jitter is in the tables of netem. */
const SCALE = 8192;

const rotate = (value: number, bits: number): number => value << bits | value >>> (32 - bits);

/**
 * Random numbers: xoshiro128** of D. Blackman and S. Vigna (prng.di.unimi.it), whose state the seed fills through
 * splitmix32. The same seed gives the same numbers on every machine.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param seed 64 bits. */
  constructor(seed: bigint) {
    let state = Number(seed & 0xffffffffn) | 0;
    const high = Number(seed >> 32n) | 0;
    const next = () => {
      state = state + 0x9e3779b9 | 0;
      let z = state ^ high;
      z = Math.imul(z ^ z >>> 16, 0x21f0aaad);
      z = Math.imul(z ^ z >>> 15, 0x735a2d97);
      return z ^ z >>> 15;
    };
    [this.#a, this.#b, this.#c, this.#d] = [next(), next(), next(), next() | 1];
  }

  /** The next 32 bits, as a number from 0 on. */
  next(): number {
    const result = Math.imul(rotate(Math.imul(this.#b, 5), 7), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotate(this.#d, 11);
    return result >>> 0;
  }
}

/** Random numbers of which each depends on the one before, as those of netem do (`get_crandom()` of Linux). */
class Stream {
  readonly #random: Random;
  readonly #correlation: number;
  #last = 0;

  constructor(random: Random, correlation = 0) {
    this.#random = random;
    this.#correlation = correlation;
    if (correlation > 0) this.#last = random.next();
  }

  /** The next 32 bits, as a number from 0 on. */
  next(): number {
    const fresh = this.#random.next();
    if (this.#correlation === 0) return fresh;
    return this.#last = Math.floor(
      fresh * (1 - this.#correlation) + this.#last * this.#correlation,
    );
  }

  /** Whether something happens that has a chance of `share`. */
  hits(share: number): boolean {
    return this.next() < share * 0x1_0000_0000;
  }
}

/** A seed that nobody chose. */
function anySeed(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0]!;
}

/**
 * Decides about the frames of a direction, one after the other. Each decision takes its random numbers in the order
 * loss, duplicate, and for each copy corrupt, reorder, jitter, as far as there are such values: so the same seed
 * gives the same decisions.
 */
export class Decisions {
  readonly #random: Random;
  readonly #table: readonly number[] | undefined;
  /** The numbers of each kind of decision. */
  readonly #losses: Stream;
  readonly #duplicates: Stream;
  readonly #corruptions: Stream;
  readonly #reorders: Stream;
  readonly #jitters: Stream;
  readonly #loss: number;
  readonly #duplicate: number;
  readonly #corrupt: number;
  readonly #reorder: number;
  readonly #delay: number;
  readonly #jitter: number;
  readonly #keepOrder: boolean;
  /** Milliseconds for a byte. */
  readonly #perByte: number;
  /** Most frames that wait. */
  readonly limit: number;
  /** When the last frame is due that others wait for, and when the link is free again. */
  #last = -Infinity;
  #free = -Infinity;

  /**
   * @param values The values of the direction.
   * @param before The decisions until now: new frames keep their place behind the old ones.
   */
  constructor(values: DirectionValues, before?: Decisions) {
    const { seed = anySeed(), distribution, rate } = values;
    this.#random = new Random(BigInt(seed));
    const stream = (correlation?: number) => new Stream(this.#random, correlation);
    this.#losses = stream(values.lossCorrelation);
    this.#duplicates = stream(values.duplicateCorrelation);
    this.#corruptions = stream(values.corruptCorrelation);
    this.#reorders = stream(values.reorderCorrelation);
    this.#jitters = stream(values.delayCorrelation);
    this.#table = distribution && distributionTable(distribution);
    this.#loss = values.loss ?? 0;
    this.#duplicate = values.duplicate ?? 0;
    this.#corrupt = values.corrupt ?? 0;
    this.#reorder = values.reorder ?? 0;
    this.#delay = values.delay ?? 0;
    this.#jitter = values.jitter ?? 0;
    this.#keepOrder = values.keepOrder ?? true;
    this.#perByte = rate === undefined ? 0 : 8000 / rate;
    this.limit = limitOf(values);
    if (before && this.#keepOrder) this.#last = before.#last;
  }

  /** How many of the next frame go on: 0, 1 or 2. */
  copies(): number {
    if (this.#loss > 0 && this.#losses.hits(this.#loss)) return 0;
    return this.#duplicate > 0 && this.#duplicates.hits(this.#duplicate) ? 2 : 1;
  }

  /** The bit of a copy of `length` bytes that is flipped, counted from its start; -1 for none. */
  flip(length: number): number {
    if (this.#corrupt === 0 || !this.#corruptions.hits(this.#corrupt)) return -1;
    return Math.floor(this.#random.next() / 0x1_0000_0000 * length * 8);
  }

  /**
   * When a copy goes on.
   *
   * @param now When it came, in milliseconds.
   * @param length Its bytes on the wire.
   */
  due(now: number, length: number): number {
    if (this.#reorder > 0 && this.#reorders.hits(this.#reorder)) return now;
    let due = now + this.#delay;
    if (this.#jitter > 0) due = Math.max(now, due + this.#jitter * this.#spread());
    if (this.#keepOrder) due = Math.max(due, this.#last);
    if (this.#perByte > 0) due = this.#free = Math.max(due, this.#free) + length * this.#perByte;
    if (due > this.#last) this.#last = due;
    return due;
  }

  /** A number from the distribution, with one unit of jitter as 1. */
  #spread(): number {
    const bits = this.#jitters.next();
    return this.#table ? this.#table[bits >>> 20]! / SCALE : bits / 0x8000_0000 - 1;
  }
}
