/**
 * UDP (RFC 768).
 *
 * @module
 */
import type { Layer } from "./build.ts";
import { setU16, u16 } from "./bytes.ts";
import { checksumAdd } from "./checksum.ts";
import { IPPROTO } from "./ip.ts";
import { TransportHeader } from "./transport_header.ts";
import { holds } from "./view.ts";

const HEADER = 8;

/** A UDP datagram. It may be longer than its memory, as captured ones are. */
export class Udp extends TransportHeader {
  /** Makes a view of a datagram, or returns `undefined` when it is malformed. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Udp | undefined {
    const view = new Udp();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, HEADER)) return false;
    const length = u16(bytes, start + 4);
    if (length < HEADER && length !== 0) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** Bytes of header and payload; 0 for one that is longer than 65,535 (RFC 2675). */
  get length(): number {
    return u16(this.bytes, this.start + 4);
  }
  set length(length: number) {
    setU16(this.bytes, this.start + 4, length);
  }

  /** The checksum; 0 when the sender made none. */
  get checksum(): number {
    return u16(this.bytes, this.start + 6);
  }
  set checksum(checksum: number) {
    setU16(this.bytes, this.start + 6, checksum);
  }

  /** Where the payload starts. */
  get payloadStart(): number {
    return this.start + HEADER;
  }

  /** After the payload's last byte that is in the memory. */
  get payloadEnd(): number {
    const length = this.length;
    return length === 0 || length > this.end - this.start ? this.end : this.start + length;
  }

  /**
   * Whether the checksum is right, or absent.
   *
   * @param pseudoHeader What `pseudoHeaderSum()` of the IP packet returns.
   */
  checksumValid(pseudoHeader: number): boolean {
    if (this.checksum === 0) return true;
    return checksumAdd(this.bytes, this.start, this.payloadEnd, pseudoHeader) === 0xffff;
  }

  /**
   * Computes the checksum anew.
   *
   * @param pseudoHeader What `pseudoHeaderSum()` of the IP packet returns.
   */
  updateChecksum(pseudoHeader: number): void {
    writeUdpChecksum(this.bytes, this.start, this.payloadEnd, pseudoHeader);
  }
}

/** Fields of a datagram to be built. */
export interface UdpFields {
  /** Sender. */
  readonly sourcePort: number;
  /** Receiver. */
  readonly destinationPort: number;
}

/** A UDP header for `buildPacket()`. */
export function udp({ sourcePort, destinationPort }: UdpFields): Layer {
  return {
    size: HEADER,
    protocol: IPPROTO.UDP,
    write(bytes, { start, end }) {
      setU16(bytes, start, sourcePort);
      setU16(bytes, start + 2, destinationPort);
      setU16(bytes, start + 4, end - start);
    },
    complete: (bytes, { start, end }, pseudoHeader = 0) =>
      writeUdpChecksum(bytes, start, end, pseudoHeader),
  };
}

function writeUdpChecksum(bytes: Uint8Array, start: number, end: number, sum: number): void {
  setU16(bytes, start + 6, 0);
  // Zero means that there is none: its other form stands for it.
  setU16(bytes, start + 6, ~checksumAdd(bytes, start, end, sum) & 0xffff || 0xffff);
}
