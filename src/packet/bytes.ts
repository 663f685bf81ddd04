/**
 * Numbers in network byte order, views, fast copies, and the Internet checksum (RFC 1071, RFC 1624).
 *
 * For the few bytes of a header an index into a `Uint8Array` is as fast as a `DataView`, and reading out
 * of bounds never throws.
 *
 * @module
 */

/** Reads two bytes. */
export function u16(bytes: Uint8Array, at: number): number {
  return bytes[at]! << 8 | bytes[at + 1]!;
}

/** Reads four bytes. */
export function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
}

/** Writes the low 16 bits of a number. Setters and builders check the range first. */
export function setU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** Writes the low 32 bits of a number. */
export function setU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Exchanges two ranges of `length` bytes. */
export function swap(bytes: Uint8Array, a: number, b: number, length: number): void {
  for (let i = 0; i < length; i++) {
    const byte = bytes[a + i]!;
    bytes[a + i] = bytes[b + i]!;
    bytes[b + i] = byte;
  }
}

/** Whether two ranges of `length` bytes are equal. */
export function same(
  a: Uint8Array,
  at: number,
  b: Uint8Array,
  from: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i++) if (a[at + i] !== b[from + i]) return false;
  return true;
}

/** Joins parts to one array. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

let latest: DataView = new DataView(new ArrayBuffer(0));
let other: DataView = latest;

/**
 * Returns a `DataView` of the whole buffer behind `bytes`: byte `i` is at `bytes.byteOffset + i`.
 *
 * The latest two views are kept, because packets come from the same buffer and go to the same buffer again
 * and again, and a new view takes longer than the checksum of a small packet.
 */
export function memory(bytes: Uint8Array): DataView {
  const { buffer } = bytes;
  if (latest.buffer === buffer) return latest;
  if (other.buffer === buffer) return other;
  other = latest;
  return latest = new DataView(buffer);
}

/**
 * Copies bytes between buffers without allocating: `Uint8Array.set()` needs a new object for each copy.
 *
 * @param from The source.
 * @param at Its first byte to copy.
 * @param end The end of the range, exclusive.
 * @param to The destination. The ranges must not overlap.
 * @param start The destination of the first byte.
 */
export function copy(
  from: DataView,
  at: number,
  end: number,
  to: DataView,
  start: number,
): void {
  const shift = start - at;
  let i = at;
  for (; i + 32 <= end; i += 32) {
    const j = i + shift;
    to.setBigUint64(j, from.getBigUint64(i, true), true);
    to.setBigUint64(j + 8, from.getBigUint64(i + 8, true), true);
    to.setBigUint64(j + 16, from.getBigUint64(i + 16, true), true);
    to.setBigUint64(j + 24, from.getBigUint64(i + 24, true), true);
  }
  for (; i + 4 <= end; i += 4) to.setInt32(i + shift, from.getInt32(i, true), true);
  for (; i < end; i++) to.setUint8(i + shift, from.getUint8(i));
}

const NOWHERE = new Uint8Array(0);

/**
 * A header or message in the caller's memory. Nothing is copied: getters read the memory, setters write it.
 * A setter throws a `RangeError` for a number that its field cannot hold, and then writes nothing.
 *
 * `parse()` creates a view, or returns `undefined` for malformed bytes. `point()` moves an existing view to
 * other bytes without allocating, for hot loops; it returns `false` for malformed bytes and leaves the view
 * as it is. Neither throws, whatever the bytes. Both check every length that leads from one part to the
 * next, so getters never read outside the view.
 */
export abstract class View {
  /** The memory. */
  bytes: Uint8Array = NOWHERE;
  /** Offset of the header's first byte. */
  start = 0;
  /** End of the bytes that may belong to the header and its payload, exclusive. */
  end = 0;
}

/** Whether `start..end` is inside `bytes` and has at least `least` bytes. */
export function holds(bytes: Uint8Array, start: number, end: number, least: number): boolean {
  return start >= 0 && end <= bytes.length && end - start >= least;
}

/** Below this many bytes the simple loop is faster. */
const FEW = 48;
/** The sums of the halves of this many bytes fit into 32 bits. */
const CHUNK = 0x40000;

/**
 * Sums bytes as 16-bit big-endian words and pads an odd last byte with zero. Allocates nothing.
 *
 * @param bytes The data.
 * @param start Offset of the first byte; default 0.
 * @param end End of the data, exclusive; default all bytes.
 * @param sum A sum to continue, such as that of a pseudo header; default 0.
 * @returns The folded one's complement sum, not inverted: 0..65,535.
 *
 * @example Verify a header
 * ```ts
 * import { checksumAdd } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const header = new Uint8Array([0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
 * const sum = ~checksumAdd(header) & 0xffff;
 * header.set([sum >> 8, sum & 255], 10);
 * assertEquals(checksumAdd(header), 0xffff); // the sum of a valid header
 * ```
 */
export function checksumAdd(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
  sum = 0,
): number {
  if (end - start < FEW) {
    let i = start;
    for (; i + 1 < end; i += 2) sum += bytes[i]! << 8 | bytes[i + 1]!;
    if (i < end) sum += bytes[i]! << 8;
    return checksumFold(sum);
  }
  if (end > bytes.length) end = bytes.length;
  return checksumFold(
    sum + sumMemory(memory(bytes), bytes.byteOffset + start, bytes.byteOffset + end),
  );
}

/** Computes the checksum of a header: the inverted sum of {@link checksumAdd}. */
export function checksum(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  return ~checksumAdd(bytes, start, end) & 0xffff;
}

/** Folds the sum of at most 65,537 16-bit words into 16 bits. */
export function checksumFold(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/**
 * Updates a checksum after one 16-bit word under it has changed (RFC 1624, equation 3).
 *
 * @param checksum The checksum in the header.
 * @param from The old word.
 * @param to The new word.
 * @returns The new checksum.
 *
 * @example A router decrements the time to live
 * ```ts
 * import { buildPacket, checksumUpdate, Ipv4, ipv4 } from "@netloom/netloom/packet";
 * import { assert } from "@std/assert";
 *
 * const packet = Ipv4.parse(buildPacket(ipv4({ source: "10.0.0.1", destination: "10.0.1.1" })))!;
 * const word = packet.ttl << 8 | packet.protocol;
 * packet.ttl--;
 * packet.checksum = checksumUpdate(packet.checksum, word, word - 0x100);
 * assert(packet.checksumValid);
 * ```
 */
export function checksumUpdate(checksum: number, from: number, to: number): number {
  return ~checksumFold((~checksum & 0xffff) + (~from & 0xffff) + to) & 0xffff;
}

/** Updates a checksum after one 32-bit word under it has changed, such as an IPv4 address. */
export function checksumUpdate32(checksum: number, from: number, to: number): number {
  const high = checksumUpdate(checksum, from >>> 16, to >>> 16);
  return checksumUpdate(high, from & 0xffff, to & 0xffff);
}

/**
 * Sums a pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1). {@link checksumAdd} continues the sum.
 *
 * The source and final destination address must follow each other in memory. With a source route they do
 * not: `Ipv4.pseudoHeaderSum()` and `Ipv6.pseudoHeaderSum()` find the right addresses.
 *
 * @param bytes Memory with both addresses.
 * @param start Offset of the source address.
 * @param size Bytes of both addresses: 8 or 32.
 * @param protocol Protocol number of the upper layer.
 * @param length Bytes of the upper layer's header and data.
 * @returns The folded sum.
 *
 * @example Verify the checksum of a datagram
 * ```ts
 * import { buildPacket, checksumAdd, ipv4, pseudoHeaderSum, udp } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const packet = buildPacket(
 *   ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
 *   udp({ sourcePort: 1000, destinationPort: 2000 }),
 * );
 * const sum = pseudoHeaderSum(packet, 12, 8, 17, 8); // the addresses of IPv4, and UDP
 * assertEquals(checksumAdd(packet, 20, 28, sum), 0xffff);
 * ```
 */
export function pseudoHeaderSum(
  bytes: Uint8Array,
  start: number,
  size: number,
  protocol: number,
  length: number,
): number {
  let sum = 0;
  for (let i = start; i < start + size; i += 2) sum += u16(bytes, i);
  return pseudoSum(sum, protocol, length);
}

/** Completes the sum of the addresses to that of the pseudo header; folds it. */
export function pseudoSum(addresses: number, protocol: number, length: number): number {
  return checksumFold(addresses + protocol + (length >>> 16) + (length & 0xffff));
}

/** Sums memory, four bytes at a time. Does not check the bounds. */
export function sumMemory(view: DataView, start: number, end: number): number {
  if (end - start <= CHUNK) return sumChunk(view, start, end);
  let total = 0;
  for (let at = start; at < end; at += CHUNK) {
    total = checksumFold(total + sumChunk(view, at, Math.min(at + CHUNK, end)));
  }
  return total;
}

/**
 * Reads little-endian words, the machine's order, and swaps the bytes of the sum at the end (RFC 1071,
 * section 2B). Adds up the 32-bit words and their high halves; the sum of the low halves is the difference
 * modulo 2^32. Two accumulators each, because an addition waits for the previous one.
 */
function sumChunk(view: DataView, start: number, end: number): number {
  let total = 0, high = 0, total2 = 0, high2 = 0;
  let i = start;
  for (; i + 32 <= end; i += 32) {
    const a = view.getInt32(i, true), b = view.getInt32(i + 4, true);
    const c = view.getInt32(i + 8, true), d = view.getInt32(i + 12, true);
    const e = view.getInt32(i + 16, true), f = view.getInt32(i + 20, true);
    const g = view.getInt32(i + 24, true), h = view.getInt32(i + 28, true);
    total = total + a + b + c + d | 0;
    high = high + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16) | 0;
    total2 = total2 + e + f + g + h | 0;
    high2 = high2 + (e >>> 16) + (f >>> 16) + (g >>> 16) + (h >>> 16) | 0;
  }
  for (; i + 4 <= end; i += 4) {
    const word = view.getInt32(i, true);
    total = total + word | 0;
    high = high + (word >>> 16) | 0;
  }
  for (; i + 2 <= end; i += 2) total = total + view.getUint16(i, true) | 0;
  if (i < end) total = total + view.getUint8(i) | 0;
  high = high + high2 | 0;
  const low = (total + total2 | 0) - (high << 16) | 0;
  const sum = fold32(fold32(low) + fold32(high));
  return (sum & 0xff) << 8 | sum >>> 8;
}

/** Folds 32 bits into 16. */
function fold32(sum: number): number {
  sum = (sum >>> 16) + (sum & 0xffff);
  return (sum >>> 16) + (sum & 0xffff);
}
