/**
 * UDP (RFC 768).
 *
 * @module
 */
import type { Layer } from "./build.ts";
import { checksumAdd, holds, setU16, setU32, u16, u32, View } from "./bytes.ts";
import { IPPROTO, TransportHeader } from "./ip.ts";

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

/** The UDP port of VXLAN. */
export const VXLAN_PORT = 4789;

const VXLAN_HEADER = 8;
const VNI_PRESENT = 0x08;

/** A VXLAN header. An Ethernet frame follows it. */
export class Vxlan extends View {
  /** Makes a view of a header, or returns `undefined` when there are fewer than 8 bytes. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Vxlan | undefined {
    const view = new Vxlan();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, VXLAN_HEADER)) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** The flags: `0x08` when there is a network identifier. */
  get flags(): number {
    return this.bytes[this.start]!;
  }

  /** The network identifier, 24 bits. */
  get vni(): number {
    return u32(this.bytes, this.start + 4) >>> 8;
  }
  set vni(vni: number) {
    const reserved = this.bytes[this.start + 7]!;
    setU32(this.bytes, this.start + 4, vni << 8 | reserved);
  }

  /** Where the frame starts. */
  get payloadStart(): number {
    return this.start + VXLAN_HEADER;
  }
}

/** A VXLAN header for `buildPacket()`; `ethernet()` follows it. */
export function vxlan({ vni }: { readonly vni: number }): Layer {
  return {
    size: VXLAN_HEADER,
    write(bytes, { start }) {
      bytes[start] = VNI_PRESENT;
      setU32(bytes, start + 4, vni << 8);
    },
  };
}
