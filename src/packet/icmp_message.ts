/**
 * What messages of ICMP and ICMPv6 have in common.
 *
 * @module
 */
import { setU16, setU32, u16, u32 } from "./bytes.ts";
import { holds, View } from "./view.ts";

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
