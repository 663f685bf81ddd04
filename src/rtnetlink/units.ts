/**
 * Amounts as people write them: times, rates, sizes and shares, in the units of `tc` (tc(8), "UNITS").
 *
 * @module
 */
import { show } from "../options.ts";

/** A time: milliseconds, or text with a unit: `"20ms"`, `"100us"`, `"1.5s"`. */
export type Time = number | string;

/** A rate: bits per second, or text with a unit: `"10mbit"`, `"1gbit"`, `"125kbps"` (bytes). */
export type Rate = number | string;

/** A size: bytes, or text with a unit: `"32kb"`, `"1mb"`. A kilobyte has 1024 bytes, as in `tc`. */
export type Size = number | string;

/** A share of all: a number in 0..1, or text with a percent sign: `"1%"`. */
export type Share = number | string;

const TIMES: Readonly<Record<string, number>> = { s: 1e3, ms: 1, us: 1e-3, ns: 1e-6 };
const ALIASES: Readonly<Record<string, string>> = {
  sec: "s",
  secs: "s",
  msec: "ms",
  msecs: "ms",
  usec: "us",
  usecs: "us",
  nsec: "ns",
  nsecs: "ns",
};

/** Bits per second: `kbit`, `kibit`, `kbps` (bytes), `kibps`, and so on. */
const RATES = rateUnits();

function rateUnits(): Readonly<Record<string, number>> {
  const units = { bit: 1, bps: 8 };
  const table: Record<string, number> = { ...units };
  for (const [i, prefix] of ["k", "m", "g", "t"].entries()) {
    for (const [unit, bits] of Object.entries(units)) {
      table[`${prefix}${unit}`] = bits * 1000 ** (i + 1);
      table[`${prefix}i${unit}`] = bits * 1024 ** (i + 1);
    }
  }
  return table;
}

const SIZES: Readonly<Record<string, number>> = {
  b: 1,
  k: 2 ** 10,
  kb: 2 ** 10,
  m: 2 ** 20,
  mb: 2 ** 20,
  g: 2 ** 30,
  gb: 2 ** 30,
  kbit: 2 ** 10 / 8,
  mbit: 2 ** 20 / 8,
  gbit: 2 ** 30 / 8,
};

/** What an amount may be, for errors. */
interface Kind {
  readonly units: Readonly<Record<string, number>>;
  readonly what: string;
}

const TIME: Kind = { units: TIMES, what: 'a time: milliseconds, or text such as "20ms"' };
const RATE: Kind = { units: RATES, what: 'a rate: bits per second, or text such as "10mbit"' };
const SIZE: Kind = { units: SIZES, what: 'a size: bytes, or text such as "32kb"' };
const SHARE: Kind = {
  units: { "%": 0.01 },
  what: 'a share: a number in 0..1, or text such as "1%"',
};

function amount(value: unknown, path: string, { units, what }: Kind): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  const [, digits, word = ""] = typeof value === "string"
    ? /^\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*([a-z%]*)\s*$/i.exec(value) ?? []
    : [];
  const unit = word.toLowerCase();
  const factor = Object.hasOwn(units, unit) ? units[unit] : units[ALIASES[unit] ?? ""];
  if (digits === undefined || factor === undefined) {
    const list = Object.keys(units).join(", ");
    throw new TypeError(`${path} must be ${what}: got ${show(value)}; units are ${list}`);
  }
  // A division is exact where a multiplication by 0.001 is not.
  return factor < 1 ? Number(digits) / Math.round(1 / factor) : Number(digits) * factor;
}

function positive(value: unknown, path: string, kind: Kind): number {
  const number = amount(value, path, kind);
  if (number < 0) throw new RangeError(`${path} must not be negative: got ${show(value)}`);
  return number;
}

/**
 * A time in milliseconds.
 *
 * @param value Milliseconds, or text with one of the units `s`, `ms`, `us`, `ns`.
 * @param path The option in errors.
 * @throws {TypeError} For what is no time.
 * @throws {RangeError} For a negative time.
 *
 * @example Text and numbers
 * ```ts
 * import { parseTime } from "@netloom/netloom/tc";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([parseTime("20ms"), parseTime("1.5s"), parseTime(20)], [20, 1500, 20]);
 * ```
 */
export function parseTime(value: Time, path = "time"): number {
  return positive(value, path, TIME);
}

/**
 * A rate in bits per second.
 *
 * @param value Bits per second, or text: `bit` and `bps` (bytes) with `k`, `m`, `g`, `t` (1000) or `ki` (1024).
 * @param path The option in errors.
 * @throws {TypeError} For what is no rate.
 * @throws {RangeError} For a negative rate.
 *
 * @example Bits, and bytes of 8 bits
 * ```ts
 * import { parseRate } from "@netloom/netloom/tc";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([parseRate("10mbit"), parseRate("125kbps"), parseRate(500)], [10_000_000, 1_000_000, 500]);
 * ```
 */
export function parseRate(value: Rate, path = "rate"): number {
  return positive(value, path, RATE);
}

/**
 * A size in whole bytes.
 *
 * @param value Bytes, or text with `b`, `k`, `kb`, `m`, `mb`, `g`, `gb` (1024), `kbit`, `mbit`, `gbit`.
 * @param path The option in errors.
 * @throws {TypeError} For what is no size.
 * @throws {RangeError} For a negative size, for parts of a byte and from 4 GiB on.
 *
 * @example A kilobyte has 1024 bytes
 * ```ts
 * import { parseSize } from "@netloom/netloom/tc";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([parseSize("32kb"), parseSize("8kbit"), parseSize(1500)], [32768, 1024, 1500]);
 * ```
 */
export function parseSize(value: Size, path = "size"): number {
  const bytes = positive(value, path, SIZE);
  if (Number.isInteger(bytes) && bytes <= 0xffffffff) return bytes;
  throw new RangeError(`${path} must be whole bytes in 0..4294967295: got ${show(value)}`);
}

/**
 * A share in 0..1.
 *
 * @param value A number in 0..1, or text with a percent sign.
 * @param path The option in errors.
 * @throws {TypeError} For what is no share.
 * @throws {RangeError} For a share outside 0..1, or 0%..100%.
 *
 * @example Percent, and parts of 1
 * ```ts
 * import { parseShare } from "@netloom/netloom/tc";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([parseShare("1%"), parseShare(0.25)], [0.01, 0.25]);
 * ```
 */
export function parseShare(value: Share, path = "share"): number {
  const share = amount(value, path, SHARE);
  if (share >= 0 && share <= 1) return share;
  const hint = typeof value === "number" && share > 1 && share <= 100
    ? `; did you mean "${share}%"?`
    : "";
  throw new RangeError(`${path} must be in 0..1, or "0%".."100%": got ${show(value)}${hint}`);
}

/** A time as `tc` takes it. */
export function timeWord(value: unknown): string {
  return typeof value === "number" ? `${value}ms` : String(value);
}

/** A rate as `tc` takes it. */
export function rateWord(value: unknown): string {
  return typeof value === "number" ? `${value}bit` : String(value);
}

/** A size as `tc` takes it. */
export function sizeWord(value: unknown): string {
  return typeof value === "number" ? `${value}b` : String(value);
}

/** A share as `tc` takes it. */
export function shareWord(value: unknown): string {
  return typeof value === "number" ? `${+(value * 100).toPrecision(12)}%` : String(value);
}
