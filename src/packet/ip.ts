/**
 * What IPv4 and IPv6 have in common.
 *
 * @module
 */
import { setU16, u16, View } from "./bytes.ts";

/** Protocols over IP: `IPPROTO_*` of `linux/in.h` and `linux/in6.h`. */
export const IPPROTO = {
  HOPOPTS: 0,
  ICMP: 1,
  TCP: 6,
  UDP: 17,
  IPV6: 41,
  ROUTING: 43,
  FRAGMENT: 44,
  ESP: 50,
  AH: 51,
  ICMPV6: 58,
  NONE: 59,
  DSTOPTS: 60,
} as const;

/** A type-length-value option of a header. */
export interface Option {
  /** What it is. */
  readonly type: number;
  /** Its value, a view on the packet's memory; empty for those of one byte. */
  readonly value: Uint8Array;
}

/**
 * Reads type-length-value options, or returns `undefined` when one is malformed.
 *
 * @param bytes Memory.
 * @param start First byte of the options.
 * @param end After the last one.
 * @param layout Which options are a single byte, which one ends the list, and how many bytes the length
 *   does not count.
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

/** A header that begins with ports. */
export abstract class TransportHeader extends View {
  /** Sender. */
  get sourcePort(): number {
    return u16(this.bytes, this.start);
  }
  set sourcePort(port: number) {
    setU16(this.bytes, this.start, port);
  }

  /** Receiver. */
  get destinationPort(): number {
    return u16(this.bytes, this.start + 2);
  }
  set destinationPort(port: number) {
    setU16(this.bytes, this.start + 2, port);
  }
}
