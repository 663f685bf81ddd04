/**
 * Common parts of IPv4, IPv6 and the protocols over them.
 *
 * @module
 */
import { integer } from "../options.ts";
import { setU16, u16, View } from "./bytes.ts";

/** A type-length-value option of a header. */
export interface Option {
  /** The option's number. */
  readonly type: number;
  /** Its value, a view of the packet's memory; empty for options of one byte. */
  readonly value: Uint8Array;
}

/**
 * Reads type-length-value options.
 *
 * @param bytes Memory.
 * @param start Offset of the first option.
 * @param end End of the options, exclusive.
 * @param layout The options of a single byte, the one that ends the list, and the number of bytes that an
 *   option's length does not count.
 * @returns The options, or `undefined` when one is malformed.
 */
export function readOptions(
  bytes: Uint8Array,
  start: number,
  end: number,
  layout: { readonly single?: number; readonly last?: number; readonly uncounted?: number },
): Option[] | undefined {
  const options: Option[] = [];
  const { uncounted = 0 } = layout;
  for (let at = start; at < end;) {
    const type = bytes[at]!;
    if (type === layout.last || type === layout.single) {
      options.push({ type, value: bytes.subarray(at, at) });
      if (type === layout.last) break;
      at++;
      continue;
    }
    if (at + 1 >= end) return undefined;
    const next = at + bytes[at + 1]! + uncounted;
    if (next < at + 2 || next > end) return undefined;
    options.push({ type, value: bytes.subarray(at + 2, next) });
    at = next;
  }
  return options;
}

/**
 * The offset of an option's value in an IPv6 header with options, or -1.
 *
 * @param bytes Memory.
 * @param start Offset of the extension header.
 * @param end End of the header, exclusive.
 * @param type The option.
 * @param length The bytes that its value must have.
 */
export function optionAt(
  bytes: Uint8Array,
  start: number,
  end: number,
  type: number,
  length: number,
): number {
  for (let at = start + 2; at + 1 < end;) {
    if (bytes[at] === type && bytes[at + 1] === length && at + 2 + length <= end) return at + 2;
    at += bytes[at] === 0 ? 1 : bytes[at + 1]! + 2;
  }
  return -1;
}

/** An IP packet as the checksum of its payload needs it: an `Ipv4` or `Ipv6`. */
export interface Carrier {
  /** The version of IP: 4 or 6. */
  readonly version: number;
  /** Sums the pseudo header of the payload. */
  pseudoHeaderSum(protocol: number, length: number): number;
}

/** The sum of a pseudo header that a caller gave as a packet or as the sum itself. */
export function carrierSum(carrier: Carrier | number, protocol: number, length: number): number {
  return typeof carrier === "number" ? carrier : carrier.pseudoHeaderSum(protocol, length);
}

/** A header that begins with ports. */
export abstract class TransportHeader extends View {
  /** Source port. */
  get sourcePort(): number {
    return u16(this.bytes, this.start);
  }
  set sourcePort(port: number) {
    setU16(this.bytes, this.start, integer(port, "sourcePort", 0, 0xffff));
  }

  /** Destination port. */
  get destinationPort(): number {
    return u16(this.bytes, this.start + 2);
  }
  set destinationPort(port: number) {
    setU16(this.bytes, this.start + 2, integer(port, "destinationPort", 0, 0xffff));
  }
}
