/**
 * Numbers in network byte order, and fast reading and copying of memory. An index into a `Uint8Array` is
 * as fast as a `DataView` for what a header holds, and what is outside of it is never an exception.
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

/** Writes two bytes; what is above them is cut off. */
export function setU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** Writes four bytes; what is above them is cut off. */
export function setU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Copies `length` bytes within the same memory onto an equally long part of it, and the other back. */
export function swap(bytes: Uint8Array, a: number, b: number, length: number): void {
  for (let i = 0; i < length; i++) {
    const byte = bytes[a + i]!;
    bytes[a + i] = bytes[b + i]!;
    bytes[b + i] = byte;
  }
}

/** Whether two equally long parts are the same. */
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

let latest: DataView = new DataView(new ArrayBuffer(0));
let other: DataView = latest;

/**
 * A view on the whole memory behind `bytes`, in which byte `i` is at `bytes.byteOffset + i`. The latest
 * two are kept: packets come from the same memory again and again, and go to the same, and a view costs
 * more than the checksum of a small packet.
 */
export function memory(bytes: Uint8Array): DataView {
  const { buffer } = bytes;
  if (latest.buffer === buffer) return latest;
  if (other.buffer === buffer) return other;
  other = latest;
  return latest = new DataView(buffer);
}

/**
 * Copies bytes from one memory to another, eight at a time, without allocating: `set()` takes an object
 * for each copy.
 *
 * @param from Where they are.
 * @param at The first of them.
 * @param end After the last of them.
 * @param to Where they go; not overlapping with where they are.
 * @param start The place of the first there.
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
 * A header, or a message, where it is in the caller's memory: nothing is copied. What getters return is
 * read at that moment, and setters write there.
 *
 * Of each class `parse()` makes a view, or returns `undefined` when the bytes are malformed; `point()`
 * moves a view to other bytes without allocating, for hot loops, or leaves it where it is and returns
 * `false`. Neither throws, whatever the bytes. All lengths that lead from one part to the next have been
 * checked by then: getters read nothing outside of the view.
 */
export abstract class View {
  /** The memory. */
  bytes: Uint8Array = NOWHERE;
  /** Where the header starts in it. */
  start = 0;
  /** After the last byte that may belong to it and to what it carries. */
  end = 0;
}

/** Whether there are at least so many bytes between two offsets. */
export function holds(bytes: Uint8Array, start: number, end: number, least: number): boolean {
  return start >= 0 && end <= bytes.length && end - start >= least;
}

/** Below this many bytes the setup of the fast loop costs more than it saves. */
const FEW = 48;
/** The sum of so many bytes' low or high halves stays within 32 bits. */
const CHUNK = 0x40000;

/**
 * Sums bytes as 16-bit big-endian words, the odd last byte padded with zero: 7 GB/s and no allocation.
 *
 * @param bytes The data.
 * @param start First byte.
 * @param end After the last byte.
 * @param sum A sum to go on from, such as a pseudo header's.
 * @returns The folded one's complement sum, not inverted.
 *
 * @example Verify a header
 * ```ts
 * import { checksumAdd } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const header = new Uint8Array([0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
 * const sum = ~checksumAdd(header) & 0xffff;
 * header.set([sum >> 8, sum & 255], 10);
 * assertEquals(checksumAdd(header), 0xffff); // what a valid header sums to
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

/** The checksum to put into a header: the inverted sum of {@link checksumAdd}. */
export function checksum(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  return ~checksumAdd(bytes, start, end) & 0xffff;
}

/** Adds the carries of a sum of at most 65,537 16-bit words back into it until there are none. */
export function checksumFold(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/**
 * The checksum after one 16-bit word that it covers has changed (RFC 1624, equation 3).
 *
 * @param checksum The checksum as it is in the header.
 * @param from The word before.
 * @param to The word now.
 *
 * @example A router takes one from the time to live
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

/** The checksum after a 32-bit word that it covers has changed, such as an IPv4 address. */
export function checksumUpdate32(checksum: number, from: number, to: number): number {
  const high = checksumUpdate(checksum, from >>> 16, to >>> 16);
  return checksumUpdate(high, from & 0xffff, to & 0xffff);
}

/**
 * The sum of a pseudo header (RFC 793, RFC 8200 section 8.1), to go on from with {@link checksumAdd}.
 *
 * @param bytes Memory with source and destination address one after the other.
 * @param start First byte of the source address.
 * @param size Bytes of both addresses: 8 or 32.
 * @param protocol Number of the upper layer's protocol.
 * @param length Bytes of the upper layer's header and data.
 */
export function pseudoHeaderSum(
  bytes: Uint8Array,
  start: number,
  size: number,
  protocol: number,
  length: number,
): number {
  let sum = protocol + (length >>> 16) + (length & 0xffff);
  for (let i = start; i < start + size; i += 2) sum += u16(bytes, i);
  return checksumFold(sum);
}

/** Sums memory, four bytes at a time; not checked for being within it. */
export function sumMemory(view: DataView, start: number, end: number): number {
  if (end - start <= CHUNK) return sumChunk(view, start, end);
  let total = 0;
  for (let at = start; at < end; at += CHUNK) {
    total = checksumFold(total + sumChunk(view, at, Math.min(at + CHUNK, end)));
  }
  return total;
}

/**
 * Words are read in little-endian order, which is what machines have: the sum's bytes are swapped in the
 * end (RFC 1071, section 2B). Of 32-bit words the total and that of their high halves are summed up: the
 * low halves' is the difference, modulo 2^32. Two of each, because an addition waits for the one before.
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
