/**
 * UDP (RFC 768) and VXLAN (RFC 7348) over it.
 *
 * @module
 */
import { integer } from "../options.ts";
import { checkFields, type FieldKinds, type Layer } from "./build.ts";
import { checksumAdd, holds, setU16, setU32, u16, u32, View } from "./bytes.ts";
import { type Carrier, carrierSum, TransportHeader } from "./ip.ts";
import { IPPROTO } from "./address.ts";

const HEADER = 8;

/**
 * A UDP datagram. It may be longer than its memory, as in a truncated capture.
 *
 * @example Redirect a datagram to another port
 * ```ts
 * import { buildPacket, Ipv4, ipv4, Udp, udp } from "@netloom/netloom/packet";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const bytes = buildPacket(
 *   ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
 *   udp({ sourcePort: 40000, destinationPort: 53 }),
 *   new TextEncoder().encode("hello"),
 * );
 * const packet = Ipv4.parse(bytes)!;
 * const datagram = Udp.parse(bytes, packet.payloadStart, packet.payloadEnd)!;
 * datagram.destinationPort = 5353;
 * assert(!datagram.checksumValid(packet));
 * datagram.updateChecksum(packet);
 * assert(datagram.checksumValid(packet));
 * assertEquals(datagram.length, 8 + 5);
 * ```
 */
export class Udp extends TransportHeader {
  /** Creates a view of a datagram, or returns `undefined` when it is malformed. */
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

  /** Bytes of header and payload; 0 for a datagram that is longer than 65,535 bytes (RFC 2675). */
  get length(): number {
    return u16(this.bytes, this.start + 4);
  }
  set length(length: number) {
    setU16(this.bytes, this.start + 4, integer(length, "length", 0, 0xffff));
  }

  /** The checksum; 0 when the source computed none. */
  get checksum(): number {
    return u16(this.bytes, this.start + 6);
  }
  set checksum(checksum: number) {
    setU16(this.bytes, this.start + 6, integer(checksum, "checksum", 0, 0xffff));
  }

  /** Offset of the payload. */
  get payloadStart(): number {
    return this.start + HEADER;
  }

  /** End of the payload in the memory, exclusive. */
  get payloadEnd(): number {
    const length = this.length;
    return length === 0 || length > this.end - this.start ? this.end : this.start + length;
  }

  /**
   * Whether the checksum is right. 0 stands for no checksum, which only IPv4 allows (RFC 8200 section 8.1).
   *
   * @param carrier The IP packet around the datagram; or the sum of the pseudo header, which says nothing of
   *   the version of IP: 0 is right then.
   */
  checksumValid(carrier: Carrier | number): boolean {
    if (this.checksum === 0) return typeof carrier === "number" || carrier.version === 4;
    const { bytes, start, payloadEnd: end } = this;
    return checksumAdd(bytes, start, end, carrierSum(carrier, IPPROTO.UDP, end - start)) === 0xffff;
  }

  /**
   * Recomputes the checksum.
   *
   * @param carrier The IP packet around the datagram, or the sum of the pseudo header.
   */
  updateChecksum(carrier: Carrier | number): void {
    const { bytes, start, payloadEnd: end } = this;
    writeUdpChecksum(bytes, start, end, carrierSum(carrier, IPPROTO.UDP, end - start));
  }
}

/** Fields of a UDP header. */
export interface UdpFields {
  /** Source port, 0..65,535. */
  readonly sourcePort: number;
  /** Destination port, 0..65,535. */
  readonly destinationPort: number;
}

const FIELDS: FieldKinds<UdpFields> = { sourcePort: "u16", destinationPort: "u16" };

/**
 * Creates a UDP header for `buildPacket()`.
 *
 * @param fields The fields of the header.
 * @throws {TypeError} For an unknown field.
 * @throws {RangeError} For a port that is out of range. `buildPacket()` throws it for a datagram of more than
 *   65,535 bytes, except in an IPv6 jumbogram, where its length is 0 (RFC 2675 section 4).
 */
export function udp(fields: UdpFields): Layer {
  checkFields(fields, FIELDS);
  const { sourcePort, destinationPort } = fields;
  return {
    size: HEADER,
    protocol: IPPROTO.UDP,
    write(bytes, { start, end }) {
      setU16(bytes, start, sourcePort);
      setU16(bytes, start + 2, destinationPort);
      setU16(bytes, start + 4, end - start > 0xffff ? 0 : end - start);
    },
    complete(bytes, { start, end }, pseudoHeader) {
      // The IP layer has checked its own length: only a jumbogram holds more.
      if (pseudoHeader === undefined) integer(end - start, "UDP length", 0, 0xffff, "bytes");
      writeUdpChecksum(bytes, start, end, pseudoHeader ?? 0);
    },
  };
}

function writeUdpChecksum(bytes: Uint8Array, start: number, end: number, sum: number): void {
  setU16(bytes, start + 6, 0);
  // 0 stands for no checksum: 0xffff is the same sum.
  setU16(bytes, start + 6, ~checksumAdd(bytes, start, end, sum) & 0xffff || 0xffff);
}

/** The UDP port of VXLAN. */
export const VXLAN_PORT = 4789;

const VXLAN_HEADER = 8;
const VNI_PRESENT = 0x08;

/**
 * A VXLAN header. An Ethernet frame follows it.
 *
 * @example The frame in a tunnel's packet
 * ```ts
 * import { buildPacket, Ethernet, ethernet, Vxlan, vxlan } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = buildPacket(
 *   vxlan({ vni: 42 }),
 *   ethernet({ source: "02:00:00:00:00:01", destination: "02:00:00:00:00:02" }),
 * );
 * const header = Vxlan.parse(bytes)!;
 * const frame = Ethernet.parse(bytes, header.payloadStart)!;
 * assertEquals([header.vni, frame.source], [42, "02:00:00:00:00:01"]);
 * ```
 */
export class Vxlan extends View {
  /** Creates a view of a header, or returns `undefined` when there are fewer than 8 bytes. */
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

  /** The flags: `0x08` when the header has a network identifier. */
  get flags(): number {
    return this.bytes[this.start]!;
  }

  /** The network identifier, 24 bits. */
  get vni(): number {
    return u32(this.bytes, this.start + 4) >>> 8;
  }
  set vni(vni: number) {
    const reserved = this.bytes[this.start + 7]!;
    setU32(this.bytes, this.start + 4, integer(vni, "vni", 0, 0xffffff) << 8 | reserved);
  }

  /** Offset of the frame. */
  get payloadStart(): number {
    return this.start + VXLAN_HEADER;
  }
}

/** Fields of a VXLAN header. */
export interface VxlanFields {
  /** The network identifier, 0..16,777,215. */
  readonly vni: number;
}

const VXLAN_FIELDS: FieldKinds<VxlanFields> = { vni: "u24" };

/**
 * Creates a VXLAN header for `buildPacket()`; `ethernet()` follows it.
 *
 * @param fields The fields of the header.
 * @throws {TypeError} For an unknown field.
 * @throws {RangeError} For a network identifier that is out of range.
 */
export function vxlan(fields: VxlanFields): Layer {
  checkFields(fields, VXLAN_FIELDS);
  return {
    size: VXLAN_HEADER,
    write(bytes, { start }) {
      bytes[start] = VNI_PRESENT;
      setU32(bytes, start + 4, fields.vni << 8);
    },
  };
}
