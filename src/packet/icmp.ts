/**
 * ICMP (RFC 792).
 *
 * @module
 */
import type { Layer } from "./build.ts";
import { checksum, checksumAdd, holds, setU16, setU32, u16, u32, View } from "./bytes.ts";
import { IPPROTO } from "./ip.ts";

/** Bytes before the payload of an echo message, and before the packet that an error is about. */
export const ECHO_HEADER = 8;

/** A message of ICMP or ICMPv6. */
export abstract class IcmpMessage extends View {
  /** Moves the view, or returns `false` when there are fewer than 8 bytes. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, ECHO_HEADER)) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** What the message is. */
  get type(): number {
    return this.bytes[this.start]!;
  }
  set type(type: number) {
    this.bytes[this.start] = type;
  }

  /** More about its type. */
  get code(): number {
    return this.bytes[this.start + 1]!;
  }
  set code(code: number) {
    this.bytes[this.start + 1] = code;
  }

  /** Checksum of the message. */
  get checksum(): number {
    return u16(this.bytes, this.start + 2);
  }
  set checksum(checksum: number) {
    setU16(this.bytes, this.start + 2, checksum);
  }

  /** Tells one sender's echo requests from another's. */
  get identifier(): number {
    return u16(this.bytes, this.start + 4);
  }
  set identifier(identifier: number) {
    setU16(this.bytes, this.start + 4, identifier);
  }

  /** Number of an echo request. */
  get sequence(): number {
    return u16(this.bytes, this.start + 6);
  }
  set sequence(sequence: number) {
    setU16(this.bytes, this.start + 6, sequence);
  }

  /** The four bytes after the checksum, as a number: what they are depends on the type. */
  get rest(): number {
    return u32(this.bytes, this.start + 4);
  }
  set rest(value: number) {
    setU32(this.bytes, this.start + 4, value);
  }

  /** Where the payload of an echo message starts, or the packet that an error is about. */
  get payloadStart(): number {
    return this.start + ECHO_HEADER;
  }
}

/** Fields of a message to be built; what its type has no use for is left out. */
export interface IcmpFields {
  /** What the message is. */
  readonly type: number;
  /** More about it; default 0. */
  readonly code?: number;
  /** Identifier of an echo message. */
  readonly identifier?: number;
  /** Number of an echo message. */
  readonly sequence?: number;
  /** The four bytes after the checksum, in place of identifier and number: an MTU, a pointer. */
  readonly rest?: number;
}

/** Writes all but the checksum. */
export function writeIcmp(bytes: Uint8Array, start: number, fields: IcmpFields): void {
  const { type, code = 0, identifier = 0, sequence = 0, rest } = fields;
  bytes[start] = type;
  bytes[start + 1] = code;
  setU16(bytes, start + 4, identifier);
  setU16(bytes, start + 6, sequence);
  if (rest !== undefined) setU32(bytes, start + 4, rest);
}

/** Message types: `ICMP_*` of `linux/icmp.h`. */
export const ICMP = {
  ECHO_REPLY: 0,
  DEST_UNREACH: 3,
  SOURCE_QUENCH: 4,
  REDIRECT: 5,
  ECHO: 8,
  TIME_EXCEEDED: 11,
  PARAMETERPROB: 12,
  TIMESTAMP: 13,
  TIMESTAMPREPLY: 14,
} as const;

/**
 * An ICMP message. Its checksum covers all up to `end`.
 *
 * @example Answer an echo request in place
 * ```ts
 * import { buildPacket, format, ICMP, Icmp, icmp, Ipv4, ipv4 } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = buildPacket(
 *   ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
 *   icmp({ type: ICMP.ECHO, identifier: 7, sequence: 1 }),
 *   new Uint8Array(56),
 * );
 * const packet = Ipv4.parse(bytes)!;
 * const message = Icmp.parse(bytes, packet.payloadStart, packet.payloadEnd)!;
 * message.type = ICMP.ECHO_REPLY;
 * message.updateChecksum();
 * packet.swapAddresses();
 * assertEquals(
 *   format(bytes, { layer: "ip" }),
 *   "IP 10.0.0.2 > 10.0.0.1: ICMP echo reply, id 7, seq 1, length 64",
 * );
 * ```
 */
export class Icmp extends IcmpMessage {
  /** Makes a view of a message, or returns `undefined` when there are fewer than 8 bytes. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Icmp | undefined {
    const view = new Icmp();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Whether the checksum is right. */
  get checksumValid(): boolean {
    return checksumAdd(this.bytes, this.start, this.end) === 0xffff;
  }

  /** Computes the checksum anew. */
  updateChecksum(): void {
    this.checksum = 0;
    this.checksum = checksum(this.bytes, this.start, this.end);
  }
}

/** An ICMP message for `buildPacket()`. */
export function icmp(fields: IcmpFields): Layer {
  return {
    size: ECHO_HEADER,
    protocol: IPPROTO.ICMP,
    write: (bytes, { start }) => writeIcmp(bytes, start, fields),
    complete: (bytes, { start, end }) => setU16(bytes, start + 2, checksum(bytes, start, end)),
  };
}

/** Message types: `ICMPV6_*` of `linux/icmpv6.h`, and those of RFC 4861. */
export const ICMPV6 = {
  DEST_UNREACH: 1,
  PKT_TOOBIG: 2,
  TIME_EXCEED: 3,
  PARAMPROB: 4,
  ECHO: 128,
  ECHO_REPLY: 129,
  MLD2_REPORT: 143,
} as const;

/** An ICMPv6 message. Its checksum covers all up to `end`, and the pseudo header of its packet. */
export class Icmpv6 extends IcmpMessage {
  /** Makes a view of a message, or returns `undefined` when there are fewer than 8 bytes. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Icmpv6 | undefined {
    const view = new Icmpv6();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /**
   * Whether the checksum is right.
   *
   * @param pseudoHeader What `Ipv6.pseudoHeaderSum()` returns.
   */
  checksumValid(pseudoHeader: number): boolean {
    return checksumAdd(this.bytes, this.start, this.end, pseudoHeader) === 0xffff;
  }

  /**
   * Computes the checksum anew.
   *
   * @param pseudoHeader What `Ipv6.pseudoHeaderSum()` returns.
   */
  updateChecksum(pseudoHeader: number): void {
    this.checksum = 0;
    this.checksum = ~checksumAdd(this.bytes, this.start, this.end, pseudoHeader);
  }
}

/** An ICMPv6 message for `buildPacket()`. */
export function icmpv6(fields: IcmpFields): Layer {
  return {
    size: ECHO_HEADER,
    protocol: IPPROTO.ICMPV6,
    write: (bytes, { start }) => writeIcmp(bytes, start, fields),
    complete: completeIcmpv6,
  };
}

/** Writes the checksum of a message that is complete otherwise. */
export function completeIcmpv6(
  bytes: Uint8Array,
  { start, end }: { readonly start: number; readonly end: number },
  pseudoHeader = 0,
): void {
  setU16(bytes, start + 2, ~checksumAdd(bytes, start, end, pseudoHeader));
}
