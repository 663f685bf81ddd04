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
