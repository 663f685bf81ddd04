/**
 * Names and numbers that follow from names: ranges, hashes, interface names, MAC addresses.
 *
 * @module
 */
import { byteLength } from "../netlink/bytes.ts";
import { formatMac } from "../packet/address.ts";

/**
 * The names in a name with ranges: `h[1-3,7]` is `h1`, `h2`, `h3`, `h7`; `h[01-03]` keeps the zero.
 *
 * @returns The names; an error message where a range is malformed.
 */
export function namesIn(text: string): string[] | string {
  const [, head = "", range, tail = ""] = /^([^[]*)\[([^\]]*)\](.*)$/.exec(text) ?? [];
  if (range === undefined) return [text];
  const rest = namesIn(tail);
  if (typeof rest === "string") return rest;
  const names: string[] = [];
  for (const part of range.split(",")) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (first === undefined || last === undefined) return `has the range [${range}]: use [1-4]`;
    const [from, to] = [Number(first), Number(last)];
    if (from > to) return `has the range [${range}]: ${from} is larger than ${to}`;
    if (names.length + to - from >= 10_000) {
      return `has the range [${range}]: more than 10,000 names`;
    }
    for (let i = from; i <= to; i++) {
      const number = String(i).padStart(first.length, "0");
      for (const end of rest) names.push(`${head}${number}${end}`);
    }
  }
  return names;
}

/** Compares texts by code units: the same order everywhere, whatever the locale. */
export function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The hash of a name: 64 bits as two numbers (the mixing of MurmurHash3, on UTF-16 code units).
 *
 * @param name The name.
 * @param salt Another hash of the same name.
 */
export function hash(name: string, salt = 0): readonly [high: number, low: number] {
  let a = 0xdeadbeef ^ salt;
  let b = 0x41c6ce57 ^ salt;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    a = Math.imul(a ^ code, 0x9e3779b1);
    b = Math.imul(b ^ code, 0x5f356495);
  }
  return [mix(a ^ (b >>> 15)), mix(b ^ (a >>> 13))];
}

/** The last step of MurmurHash3: each bit depends on all others. */
function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A number below `count` that a name hashes to. */
export function slotOf(name: string, salt: number, count: bigint): bigint {
  const [high, low] = hash(name, salt);
  return (BigInt(high) << 32n | BigInt(low)) % count;
}

/** Eight hexadecimal digits that a name hashes to. */
export function digits(name: string): string {
  return hash(name)[0].toString(16).padStart(8, "0");
}

/** The name of an interface that leads to a node, at most 15 bytes: `to-h1`. */
export function interfaceTo(node: string, taken: { has(name: string): boolean }): string {
  const whole = `to-${node}`;
  const short = byteLength(whole) <= 15
    ? whole
    : `to-${node.slice(0, 7)}-${digits(node).slice(0, 4)}`;
  if (!taken.has(short)) return short;
  for (let i = 2;; i++) {
    const end = `-${i}`;
    const name = short.slice(0, 15 - end.length) + end;
    if (!taken.has(name)) return name;
  }
}

/** A locally administered MAC address that a name hashes to: `02:…`. */
export function macOf(name: string, salt: number): string {
  const [high, low] = hash(name, salt);
  return formatMac(Uint8Array.of(2, high, low >>> 24, low >>> 16, low >>> 8, low));
}
