/**
 * IPv4 (RFC 791).
 *
 * @module
 */
import { integer } from "../options.ts";
import { ETHERTYPE, formatIp, IPPROTO, parseIpv4 } from "./address.ts";
import { checkFields, type FieldKinds, type Layer } from "./build.ts";
import { checksum, checksumAdd, holds, pseudoSum, setU16, swap, u16, u32, View } from "./bytes.ts";
import { type Carrier, type Option, readOptions } from "./ip.ts";

/** Bytes of a header without options. */
const HEADER = 20;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;

/** Loose and strict source route: `IPOPT_LSRR` and `IPOPT_SSRR` of `linux/ip.h`. */
const SOURCE_ROUTE: readonly number[] = [131, 137];

/**
 * An IPv4 packet. It may be longer than its memory, as a truncated capture or the packet in an ICMP error.
 *
 * @example Count the packets of each protocol, with one view
 * ```ts
 * import { buildPacket, icmp, Ipv4, ipv4, udp } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const addresses = { source: "10.0.0.1", destination: "10.0.0.2" };
 * const packets = [
 *   buildPacket(ipv4(addresses), icmp({ type: 8, identifier: 1, sequence: 1 })),
 *   buildPacket(ipv4(addresses), udp({ sourcePort: 1, destinationPort: 2 })),
 *   new Uint8Array(3),
 * ];
 * const counts = new Map<number | undefined, number>();
 * const packet = new Ipv4();
 * for (const bytes of packets) {
 *   const protocol = packet.point(bytes, 0, bytes.length) ? packet.protocol : undefined;
 *   counts.set(protocol, (counts.get(protocol) ?? 0) + 1);
 * }
 * assertEquals([...counts], [[1, 1], [17, 1], [undefined, 1]]);
 * ```
 */
export class Ipv4 extends View implements Carrier {
  /** The version of IP: 4. */
  readonly version = 4;

  /** Creates a view of a packet, or returns `undefined` when it is malformed. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Ipv4 | undefined {
    const view = new Ipv4();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, HEADER)) return false;
    const first = bytes[start]!;
    const size = (first & 15) * 4;
    if (first >> 4 !== 4 || size < HEADER || start + size > end) return false;
    const length = u16(bytes, start + 2);
    if (length < size && length !== 0) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** Bytes of the header with its options: 20..60. */
  get headerLength(): number {
    return (this.bytes[this.start]! & 15) * 4;
  }

  /** Differentiated services code point, 0..63. */
  get dscp(): number {
    return this.bytes[this.start + 1]! >> 2;
  }
  set dscp(dscp: number) {
    this.bytes[this.start + 1] = integer(dscp, "dscp", 0, 63) << 2 | this.ecn;
  }

  /** Explicit congestion notification, 0..3. */
  get ecn(): number {
    return this.bytes[this.start + 1]! & 3;
  }
  set ecn(ecn: number) {
    this.bytes[this.start + 1] = this.bytes[this.start + 1]! & 0xfc | integer(ecn, "ecn", 0, 3);
  }

  /** Bytes of header and payload; 0 for a GSO packet that is longer than 65,535 bytes (BIG TCP). */
  get totalLength(): number {
    return u16(this.bytes, this.start + 2);
  }
  set totalLength(length: number) {
    setU16(this.bytes, this.start + 2, integer(length, "totalLength", 0, 0xffff));
  }

  /** Identification: equal in all fragments of a packet. */
  get identification(): number {
    return u16(this.bytes, this.start + 4);
  }
  set identification(identification: number) {
    setU16(this.bytes, this.start + 4, integer(identification, "identification", 0, 0xffff));
  }

  /** Whether routers must not fragment the packet. */
  get dontFragment(): boolean {
    return (u16(this.bytes, this.start + 6) & DONT_FRAGMENT) !== 0;
  }
  set dontFragment(value: boolean) {
    const at = this.start + 6;
    const others = u16(this.bytes, at) & ~DONT_FRAGMENT;
    setU16(this.bytes, at, value ? others | DONT_FRAGMENT : others);
  }

  /** Whether the packet is a fragment other than the last one. */
  get moreFragments(): boolean {
    return (u16(this.bytes, this.start + 6) & MORE_FRAGMENTS) !== 0;
  }

  /** Offset of a fragment's payload in the whole payload, in bytes. */
  get fragmentOffset(): number {
    return (u16(this.bytes, this.start + 6) & 0x1fff) * 8;
  }

  /** Whether the packet is a fragment. Only the first fragment has the header of the upper layer. */
  get isFragment(): boolean {
    return (u16(this.bytes, this.start + 6) & 0x3fff) !== 0;
  }

  /** Time to live: routers that may still forward the packet. */
  get ttl(): number {
    return this.bytes[this.start + 8]!;
  }
  set ttl(ttl: number) {
    this.bytes[this.start + 8] = integer(ttl, "ttl", 0, 255);
  }

  /** Protocol of the payload: one of `IPPROTO`. */
  get protocol(): number {
    return this.bytes[this.start + 9]!;
  }
  set protocol(protocol: number) {
    this.bytes[this.start + 9] = integer(protocol, "protocol", 0, 255);
  }

  /** Checksum of the header; see {@link Ipv4.updateChecksum}. */
  get checksum(): number {
    return u16(this.bytes, this.start + 10);
  }
  set checksum(checksum: number) {
    setU16(this.bytes, this.start + 10, integer(checksum, "checksum", 0, 0xffff));
  }

  /** Source address. */
  get source(): string {
    return formatIp(this.bytes, this.start + 12, 4);
  }
  set source(address: string) {
    this.bytes.set(parseIpv4(address), this.start + 12);
  }

  /** Destination address: with a source route, that of the next hop. */
  get destination(): string {
    return formatIp(this.bytes, this.start + 16, 4);
  }
  set destination(address: string) {
    this.bytes.set(parseIpv4(address), this.start + 16);
  }

  /** The source address as a number of 32 bits: a fast key of a `Map`. */
  get sourceNumber(): number {
    return u32(this.bytes, this.start + 12);
  }

  /** The destination address as a number of 32 bits. */
  get destinationNumber(): number {
    return u32(this.bytes, this.start + 16);
  }

  /** The options, or `undefined` when they are malformed. */
  get options(): Option[] | undefined {
    const at = this.start + HEADER;
    return readOptions(this.bytes, at, this.payloadStart, { single: 1, last: 0 });
  }

  /** Offset of the payload. */
  get payloadStart(): number {
    return this.start + this.headerLength;
  }

  /** End of the payload in the memory, exclusive. */
  get payloadEnd(): number {
    const length = this.totalLength;
    return length === 0 || length > this.end - this.start ? this.end : this.start + length;
  }

  /** Whether the checksum of the header is right. */
  get checksumValid(): boolean {
    return checksumAdd(this.bytes, this.start, this.payloadStart) === 0xffff;
  }

  /** Recomputes the checksum of the header. */
  updateChecksum(): void {
    setU16(this.bytes, this.start + 10, 0);
    setU16(this.bytes, this.start + 10, checksum(this.bytes, this.start, this.payloadStart));
  }

  /** Exchanges source and destination address. All checksums stay right. */
  swapAddresses(): void {
    swap(this.bytes, this.start + 12, this.start + 16, 4);
  }

  /**
   * Sums the pseudo header of the payload; `checksumAdd()` continues the sum. With a source route the
   * destination is the final one.
   *
   * @param protocol Protocol number of the upper layer.
   * @param length Bytes of the upper layer's header and data.
   */
  pseudoHeaderSum(protocol: number, length: number): number {
    return pseudoSum(ipv4AddressSum(this.bytes, this.start, this.payloadStart), protocol, length);
  }
}

/**
 * Sums the addresses of the pseudo header: the source, and the final destination. With a source route that
 * is the last address of the route, until the route is used up (RFC 791 section 3.1).
 *
 * @param bytes Memory.
 * @param start Offset of the IPv4 header.
 * @param end End of the header, exclusive.
 * @returns The sum, not folded.
 */
export function ipv4AddressSum(bytes: Uint8Array, start: number, end: number): number {
  let final = start + 16;
  for (let at = start + HEADER; at + 1 < end && bytes[at] !== 0;) {
    const length = bytes[at] === 1 ? 1 : bytes[at + 1]!;
    if (length === 0 || at + length > end) break;
    // The pointer counts from 1 and leads to the next hop.
    if (SOURCE_ROUTE.includes(bytes[at]!) && length >= 7 && bytes[at + 2]! + 3 <= length) {
      final = at + length - 4;
    }
    at += length;
  }
  return u16(bytes, start + 12) + u16(bytes, start + 14) + u16(bytes, final) +
    u16(bytes, final + 2);
}

/** Fields of an IPv4 header. */
export interface Ipv4Fields {
  /** Source address. */
  readonly source: string;
  /** Destination address; with a source route among the options, that of the first hop. */
  readonly destination: string;
  /** Protocol of the payload; default that of the next layer, and 255 (reserved) for bytes. */
  readonly protocol?: number;
  /** Time to live, 0..255; default 64. */
  readonly ttl?: number;
  /** Differentiated services code point, 0..63; default 0. */
  readonly dscp?: number;
  /** Explicit congestion notification, 0..3; default 0. */
  readonly ecn?: number;
  /** Identification of the packet, 0..65,535; default 0. */
  readonly identification?: number;
  /** Whether routers must not fragment the packet; default `false`. */
  readonly dontFragment?: boolean;
  /** Whether more fragments follow; default `false`. */
  readonly moreFragments?: boolean;
  /** Offset of a fragment in bytes: a multiple of 8, 0..65,528; default 0. */
  readonly fragmentOffset?: number;
  /** Options as bytes: a multiple of 4, at most 40; default none. */
  readonly options?: Uint8Array;
}

const FIELDS: FieldKinds<Ipv4Fields> = {
  source: true,
  destination: true,
  protocol: "u8?",
  ttl: "u8?",
  dscp: "u6?",
  ecn: "u2?",
  identification: "u16?",
  dontFragment: "boolean?",
  moreFragments: "boolean?",
  fragmentOffset: "u16?",
  options: true,
};

/**
 * Creates an IPv4 header for `buildPacket()`.
 *
 * @param fields The fields of the header.
 * @throws {TypeError} For an unknown field or a malformed address.
 * @throws {RangeError} For a number that its field cannot hold, or options of a length that no header has.
 *   `buildPacket()` throws it for a packet of more than 65,535 bytes.
 */
export function ipv4(fields: Ipv4Fields): Layer {
  checkFields(fields, FIELDS);
  const { ttl = 64, dscp = 0, ecn = 0, identification = 0, fragmentOffset = 0 } = fields;
  const { dontFragment = false, moreFragments = false, options = new Uint8Array(0) } = fields;
  const [source, destination] = [parseIpv4(fields.source), parseIpv4(fields.destination)];
  const size = HEADER + options.length;
  if (size % 4 !== 0 || size > 60) {
    throw new RangeError(
      `options must have a multiple of 4 bytes up to 40: got ${options.length} bytes`,
    );
  }
  if (fragmentOffset % 8 !== 0) {
    throw new RangeError(`fragmentOffset must be a multiple of 8: got ${fragmentOffset}`);
  }
  return {
    size,
    etherType: ETHERTYPE.IP,
    protocol: IPPROTO.IPIP,
    write(bytes, { start, end, inner }) {
      bytes[start] = 0x40 | size / 4;
      bytes[start + 1] = dscp << 2 | ecn;
      setU16(bytes, start + 2, integer(end - start, "IPv4 total length", 0, 0xffff, "bytes"));
      setU16(bytes, start + 4, identification);
      const flags = (dontFragment ? DONT_FRAGMENT : 0) | (moreFragments ? MORE_FRAGMENTS : 0);
      setU16(bytes, start + 6, flags | fragmentOffset >> 3);
      bytes[start + 8] = ttl;
      bytes[start + 9] = fields.protocol ?? inner?.protocol ?? 255;
      bytes.set(source, start + 12);
      bytes.set(destination, start + 16);
      bytes.set(options, start + HEADER);
    },
    pseudoHeader: (bytes, { start }, protocol, length) =>
      pseudoSum(ipv4AddressSum(bytes, start, start + size), protocol, length),
    complete: (bytes, { start }) => setU16(bytes, start + 10, checksum(bytes, start, start + size)),
  };
}
