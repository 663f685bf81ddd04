/**
 * Values, prefixes and ranges: `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, `1000-2000`; and targets of
 * translations: `10.0.0.1:80`, `10.0.0.1-10.0.0.9:1000-2000`, `[fd00::1]:80`, `:8080`.
 *
 * @module
 */
import { show } from "../options.ts";
import { formatIp, tryParseIp } from "../packet/address.ts";
import { type DataType, port, type Value } from "./datatypes.ts";

/** The values from one to another; both are the same for a single one. */
export interface Span {
  /** The first value. */
  readonly from: Uint8Array;
  /** The last value. */
  readonly to: Uint8Array;
  /** The length of the prefix, where it was given as one. */
  readonly prefix?: number;
}

/** Compares bytes as a number in the order of the network. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return 0;
}

/** Whether bytes are the same. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The number after bytes in the order of the network; `undefined` after the last one. */
export function nextBytes(bytes: Uint8Array): Uint8Array | undefined {
  const next = bytes.slice();
  for (let i = next.length - 1; i >= 0; i--) {
    next[i] = next[i]! + 1 & 0xff;
    if (next[i] !== 0) return next;
  }
  return undefined;
}

/** The number before bytes in the order of the network. */
export function previousBytes(bytes: Uint8Array): Uint8Array {
  const next = bytes.slice();
  for (let i = next.length - 1; i >= 0; i--) {
    next[i] = next[i]! - 1 & 0xff;
    if (next[i] !== 0xff) break;
  }
  return next;
}

/** The mask of a prefix. */
export function prefixMask(length: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => {
    const bits = Math.min(8, Math.max(0, length - i * 8));
    return 0xff << (8 - bits) & 0xff;
  });
}

/** The length of a prefix that a mask is of; `undefined` for other masks. */
export function maskLength(mask: Uint8Array): number | undefined {
  let length = 0;
  for (const byte of mask) length += Math.min(8, Math.clz32(~byte << 24));
  return sameBytes(mask, prefixMask(length, mask.length)) ? length : undefined;
}

function prefixSpan(address: string, digits: string, type: DataType, path: string): Span {
  const from = type.parse(address, path);
  const prefix = Number(digits);
  if (!/^\d{1,3}$/.test(digits) || prefix > type.size * 8) {
    const text = show(`${address}/${digits}`);
    throw new RangeError(`${path} must have a prefix length in 0..${type.size * 8}: got ${text}`);
  }
  const mask = prefixMask(prefix, type.size);
  const network = from.map((byte, i) => byte & mask[i]!);
  if (!sameBytes(network, from)) {
    throw new TypeError(
      `${path} must be a network: got ${show(`${address}/${digits}`)}; ` +
        `did you mean ${show(`${type.format(network)}/${digits}`)}?`,
    );
  }
  return { from, to: from.map((byte, i) => byte | ~mask[i]! & 0xff), prefix };
}

/** Whether the first value is not above the second, as numbers. */
function ascending(from: Uint8Array, to: Uint8Array, { order }: DataType): boolean {
  const [a, b] = order === "host" ? [from.toReversed(), to.toReversed()] : [from, to];
  return compareBytes(a, b) <= 0;
}

/**
 * Reads a value, a prefix or a range.
 *
 * @throws {TypeError} For a malformed value.
 * @throws {RangeError} For a number out of range, and for a range that ends before it begins.
 */
export function parseSpan(value: Value, type: DataType, path: string): Span {
  if (typeof value === "string" && type.name !== "ifname") {
    const [, address, digits] = /^(.*)\/(.*)$/.exec(value) ?? [];
    if (type.prefixes && address !== undefined) return prefixSpan(address, digits!, type, path);
    const range = type.prefixes ? /^([^-]+)-([^-]+)$/ : /^(\d+|0x[\da-f]+)-(\d+|0x[\da-f]+)$/i;
    const [, first, last] = range.exec(value) ?? [];
    if (first !== undefined) {
      const [from, to] = [type.parse(first, path), type.parse(last!, path)];
      if (ascending(from, to, type)) return { from, to };
      throw new RangeError(`${path} must end after it begins: got ${show(value)}`);
    }
  }
  const bytes = type.parse(value, path);
  return { from: bytes, to: bytes };
}

/** The prefix that has exactly the values of a span. */
function prefixOf(from: Uint8Array, to: Uint8Array): number | undefined {
  const length = maskLength(from.map((byte, i) => ~(byte ^ to[i]!) & 0xff));
  if (length === undefined) return undefined;
  const mask = prefixMask(length, from.length);
  return from.every((byte, i) => (byte & ~mask[i]!) === 0) ? length : undefined;
}

/** A span as a value of a rule: a prefix where it is one of addresses, otherwise a range. */
export function formatSpan({ from, to }: Span, type: DataType): Value {
  if (sameBytes(from, to)) return type.format(from);
  const prefix = type.prefixes ? prefixOf(from, to) : undefined;
  if (prefix !== undefined) return `${type.format(from)}/${prefix}`;
  return `${type.format(from)}-${type.format(to)}`;
}

/** Addresses and ports that a translation picks from. */
export interface NatTarget {
  /** The first address. */
  readonly addrMin?: Uint8Array;
  /** The last one, of a range. */
  readonly addrMax?: Uint8Array;
  /** The first port. */
  readonly protoMin?: Uint8Array;
  /** The last one, of a range. */
  readonly protoMax?: Uint8Array;
}

function malformed(text: unknown, path: string): never {
  throw new TypeError(
    `${path} must be as "10.0.0.1", "10.0.0.1-10.0.0.9", "10.0.0.1:80", "[fd00::1]:80" or ":80": ` +
      `got ${show(text)}`,
  );
}

/**
 * Reads a target.
 *
 * @throws {TypeError} For malformed text, and for addresses of two families.
 */
export function parseNatTarget(text: unknown, path: string): NatTarget {
  if (typeof text !== "string") malformed(text, path);
  const pattern =
    /^(\[[^\]]+\](?:-\[[^\]]+\])?|[^:[\]]*|[^[\]]*:[^[\]]*:[^[\]]*?)(?::(\d+)(?:-(\d+))?)?$/;
  const bare = tryRange(text);
  const [, addresses = "", first, last] = bare
    ? [text, text]
    : pattern.exec(text) ?? malformed(text, path);
  const [addrMin, addrMax] = bare ??
    (addresses === "" ? [] : tryRange(addresses.replaceAll(/[[\]]/g, "")) ?? malformed(text, path));
  if (!addrMin && first === undefined) malformed(text, path);
  const ports = [first, last].map((it) => it === undefined ? undefined : port.parse(it, path));
  return {
    ...(addrMin ? { addrMin } : {}),
    ...(addrMax ? { addrMax } : {}),
    ...(ports[0] ? { protoMin: ports[0] } : {}),
    ...(ports[1] ? { protoMax: ports[1] } : {}),
  };
}

/** An address, or two of one family. */
function tryRange(text: string): Uint8Array[] | undefined {
  const parts = text.split("-").map(tryParseIp);
  if (parts.length > 2 || parts.some((part) => !part || part.length !== parts[0]!.length)) {
    return undefined;
  }
  return parts as Uint8Array[];
}

/** A target as text. */
export function formatNatTarget({ addrMin, addrMax, protoMin, protoMax }: NatTarget): string {
  const range = (min: string, max: string | undefined) => max === undefined ? min : `${min}-${max}`;
  const wrap = (bytes: Uint8Array) =>
    bytes.length === 16 && protoMin ? `[${formatIp(bytes)}]` : formatIp(bytes);
  const addresses = addrMin ? range(wrap(addrMin), addrMax && wrap(addrMax)) : "";
  if (!protoMin) return addresses;
  return `${addresses}:${
    range(String(port.format(protoMin)), protoMax && String(port.format(protoMax)))
  }`;
}
