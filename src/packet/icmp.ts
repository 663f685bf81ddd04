/**
 * ICMP (RFC 792) and ICMPv6 (RFC 4443).
 *
 * @module
 */
import { integer } from "../options.ts";
import { checkFields, type FieldKinds, type Layer } from "./build.ts";
import { checksum, checksumAdd, holds, setU16, setU32, u16, u32, View } from "./bytes.ts";
import { type Carrier, carrierSum } from "./ip.ts";
import { IPPROTO } from "./address.ts";

/** Bytes before the payload of an echo message, and before the packet in an error. */
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

  /** Type of the message. */
  get type(): number {
    return this.bytes[this.start]!;
  }
  set type(type: number) {
    this.bytes[this.start] = integer(type, "type", 0, 255);
  }

  /** Code: a subtype of the type. */
  get code(): number {
    return this.bytes[this.start + 1]!;
  }
  set code(code: number) {
    this.bytes[this.start + 1] = integer(code, "code", 0, 255);
  }

  /** Checksum of the message. */
  get checksum(): number {
    return u16(this.bytes, this.start + 2);
  }
  set checksum(checksum: number) {
    setU16(this.bytes, this.start + 2, integer(checksum, "checksum", 0, 0xffff));
  }

  /** Identifier of an echo message: tells the requests of one source from those of another. */
  get identifier(): number {
    return u16(this.bytes, this.start + 4);
  }
  set identifier(identifier: number) {
    setU16(this.bytes, this.start + 4, integer(identifier, "identifier", 0, 0xffff));
  }

  /** Sequence number of an echo message. */
  get sequence(): number {
    return u16(this.bytes, this.start + 6);
  }
  set sequence(sequence: number) {
    setU16(this.bytes, this.start + 6, integer(sequence, "sequence", 0, 0xffff));
  }

  /** The four bytes behind the checksum as a number. Their meaning depends on the type. */
  get rest(): number {
    return u32(this.bytes, this.start + 4);
  }
  set rest(value: number) {
    setU32(this.bytes, this.start + 4, integer(value, "rest", 0, 0xffff_ffff));
  }

  /** Offset of the payload of an echo message, or of the packet in an error. */
  get payloadStart(): number {
    return this.start + ECHO_HEADER;
  }
}

/** Fields of a message of ICMP or ICMPv6. */
export interface IcmpFields {
  /** Type of the message, 0..255. */
  readonly type: number;
  /** Code, 0..255; default 0. */
  readonly code?: number;
  /** Identifier of an echo message, 0..65,535; default 0. */
  readonly identifier?: number;
  /** Sequence number of an echo message, 0..65,535; default 0. */
  readonly sequence?: number;
  /** The four bytes behind the checksum, in place of identifier and sequence: an MTU, a pointer. */
  readonly rest?: number;
}

const FIELDS: FieldKinds<IcmpFields> = {
  type: "u8",
  code: "u8?",
  identifier: "u16?",
  sequence: "u16?",
  rest: "u32?",
};

/** Writes everything but the checksum. */
function writeIcmp(bytes: Uint8Array, start: number, fields: IcmpFields): void {
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
 * An ICMP message. Its checksum covers everything up to `end`.
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
  /** Creates a view of a message, or returns `undefined` when there are fewer than 8 bytes. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Icmp | undefined {
    const view = new Icmp();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Whether the checksum is right. */
  get checksumValid(): boolean {
    return checksumAdd(this.bytes, this.start, this.end) === 0xffff;
  }

  /** Recomputes the checksum. */
  updateChecksum(): void {
    setU16(this.bytes, this.start + 2, 0);
    setU16(this.bytes, this.start + 2, checksum(this.bytes, this.start, this.end));
  }
}

/**
 * Creates the first 8 bytes of an ICMP message for `buildPacket()`; bytes behind it are its payload.
 *
 * @param fields The fields of the message.
 * @throws {TypeError} For an unknown field.
 * @throws {RangeError} For a number that its field cannot hold.
 */
export function icmp(fields: IcmpFields): Layer {
  checkFields(fields, FIELDS);
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

/** An ICMPv6 message. Its checksum covers everything up to `end`, and the pseudo header of the packet. */
export class Icmpv6 extends IcmpMessage {
  /** Creates a view of a message, or returns `undefined` when there are fewer than 8 bytes. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Icmpv6 | undefined {
    const view = new Icmpv6();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /**
   * Whether the checksum is right.
   *
   * @param carrier The IPv6 packet around the message, or the sum of the pseudo header.
   */
  checksumValid(carrier: Carrier | number): boolean {
    const { bytes, start, end } = this;
    const sum = carrierSum(carrier, IPPROTO.ICMPV6, end - start);
    return checksumAdd(bytes, start, end, sum) === 0xffff;
  }

  /**
   * Recomputes the checksum.
   *
   * @param carrier The IPv6 packet around the message, or the sum of the pseudo header.
   */
  updateChecksum(carrier: Carrier | number): void {
    const { bytes, start, end } = this;
    setU16(bytes, start + 2, 0);
    completeIcmpv6(bytes, this, carrierSum(carrier, IPPROTO.ICMPV6, end - start));
  }
}

/**
 * Creates the first 8 bytes of an ICMPv6 message for `buildPacket()`; bytes behind it are its payload.
 *
 * @param fields The fields of the message.
 * @throws {TypeError} For an unknown field.
 * @throws {RangeError} For a number that its field cannot hold.
 */
export function icmpv6(fields: IcmpFields): Layer {
  checkFields(fields, FIELDS);
  return {
    size: ECHO_HEADER,
    protocol: IPPROTO.ICMPV6,
    write: (bytes, { start }) => writeIcmp(bytes, start, fields),
    complete: completeIcmpv6,
  };
}

/** Writes the checksum of a message that is otherwise complete. */
export function completeIcmpv6(
  bytes: Uint8Array,
  { start, end }: { readonly start: number; readonly end: number },
  pseudoHeader = 0,
): void {
  setU16(bytes, start + 2, ~checksumAdd(bytes, start, end, pseudoHeader));
}
