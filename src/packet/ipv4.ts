/**
 * IPv4 (RFC 791).
 *
 * @module
 */
import { formatIp, parseIpv4 } from "./address.ts";
import type { Layer } from "./build.ts";
import { setU16, swap, u16, u32 } from "./bytes.ts";
import { checksum, checksumAdd, pseudoHeaderSum } from "./bytes.ts";
import { ETHERTYPE } from "./ethernet.ts";
import { type Option, readOptions } from "./ip.ts";
import { holds, View } from "./bytes.ts";

/** Bytes of a header without options. */
const HEADER = 20;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;

/**
 * An IPv4 packet. It may be longer than its memory, as captured ones and those in ICMP errors are.
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
export class Ipv4 extends View {
  /** Makes a view of a packet, or returns `undefined` when it is malformed. */
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
    this.bytes[this.start + 1] = dscp << 2 | this.ecn;
  }

  /** Explicit congestion notification, 0..3. */
  get ecn(): number {
    return this.bytes[this.start + 1]! & 3;
  }
  set ecn(ecn: number) {
    this.bytes[this.start + 1] = this.bytes[this.start + 1]! & 0xfc | ecn & 3;
  }

  /** Bytes of header and payload; 0 for one that is longer than 65,535 until it is segmented. */
  get totalLength(): number {
    return u16(this.bytes, this.start + 2);
  }
  set totalLength(length: number) {
    setU16(this.bytes, this.start + 2, length);
  }

  /** What the fragments of one packet have in common. */
  get identification(): number {
    return u16(this.bytes, this.start + 4);
  }
  set identification(identification: number) {
    setU16(this.bytes, this.start + 4, identification);
  }

  /** Whether routers must not fragment it. */
  get dontFragment(): boolean {
    return (u16(this.bytes, this.start + 6) & DONT_FRAGMENT) !== 0;
  }
  set dontFragment(value: boolean) {
    const at = this.start + 6;
    const others = u16(this.bytes, at) & ~DONT_FRAGMENT;
    setU16(this.bytes, at, value ? others | DONT_FRAGMENT : others);
  }

  /** Whether it is a fragment, and not the last one. */
  get moreFragments(): boolean {
    return (u16(this.bytes, this.start + 6) & MORE_FRAGMENTS) !== 0;
  }

  /** Where a fragment's payload belongs, in bytes. */
  get fragmentOffset(): number {
    return (u16(this.bytes, this.start + 6) & 0x1fff) * 8;
  }

  /** Whether it is a part of a packet: only the first of them has the header of what is carried. */
  get isFragment(): boolean {
    return (u16(this.bytes, this.start + 6) & 0x3fff) !== 0;
  }

  /** Routers left to pass. */
  get ttl(): number {
    return this.bytes[this.start + 8]!;
  }
  set ttl(ttl: number) {
    this.bytes[this.start + 8] = ttl;
  }

  /** What it carries: one of `IPPROTO`. */
  get protocol(): number {
    return this.bytes[this.start + 9]!;
  }
  set protocol(protocol: number) {
    this.bytes[this.start + 9] = protocol;
  }

  /** Checksum of the header; see {@link Ipv4.updateChecksum}. */
  get checksum(): number {
    return u16(this.bytes, this.start + 10);
  }
  set checksum(checksum: number) {
    setU16(this.bytes, this.start + 10, checksum);
  }

  /** Sender. */
  get source(): string {
    return formatIp(this.bytes, this.start + 12, 4);
  }
  set source(address: string) {
    this.bytes.set(parseIpv4(address), this.start + 12);
  }

  /** Receiver. */
  get destination(): string {
    return formatIp(this.bytes, this.start + 16, 4);
  }
  set destination(address: string) {
    this.bytes.set(parseIpv4(address), this.start + 16);
  }

  /** The sender as a number of 32 bits, which makes a fast key of a `Map`. */
  get sourceNumber(): number {
    return u32(this.bytes, this.start + 12);
  }

  /** The receiver as a number of 32 bits. */
  get destinationNumber(): number {
    return u32(this.bytes, this.start + 16);
  }

  /** The options, or `undefined` when they are malformed. */
  get options(): Option[] | undefined {
    const at = this.start + HEADER;
    return readOptions(this.bytes, at, this.payloadStart, { single: 1, last: 0 });
  }

  /** Where the payload starts. */
  get payloadStart(): number {
    return this.start + this.headerLength;
  }

  /** After the payload's last byte that is in the memory. */
  get payloadEnd(): number {
    const length = this.totalLength;
    return length === 0 || length > this.end - this.start ? this.end : this.start + length;
  }

  /** Whether the header's checksum is right. */
  get checksumValid(): boolean {
    return checksumAdd(this.bytes, this.start, this.payloadStart) === 0xffff;
  }

  /** Computes the header's checksum anew. */
  updateChecksum(): void {
    this.checksum = 0;
    this.checksum = checksum(this.bytes, this.start, this.payloadStart);
  }

  /** Exchanges sender and receiver: the packet goes back. No checksum changes by it. */
  swapAddresses(): void {
    swap(this.bytes, this.start + 12, this.start + 16, 4);
  }

  /** The sum of the pseudo header of what it carries, to go on from with `checksumAdd()`. */
  pseudoHeaderSum(protocol: number, length: number): number {
    return pseudoHeaderSum(this.bytes, this.start + 12, 8, protocol, length);
  }
}

/** Fields of a packet to be built. */
export interface Ipv4Fields {
  /** Sender. */
  readonly source: string;
  /** Receiver. */
  readonly destination: string;
  /** What it carries; default what the next layer is, and 255 (reserved) for bytes. */
  readonly protocol?: number;
  /** Routers to pass; default 64. */
  readonly ttl?: number;
  /** Differentiated services code point, 0..63; default 0. */
  readonly dscp?: number;
  /** Explicit congestion notification, 0..3; default 0. */
  readonly ecn?: number;
  /** What fragments have in common; default 0. */
  readonly identification?: number;
  /** Whether routers must not fragment it; default `false`. */
  readonly dontFragment?: boolean;
  /** Whether more fragments follow; default `false`. */
  readonly moreFragments?: boolean;
  /** Where a fragment belongs, in bytes: a multiple of 8; default 0. */
  readonly fragmentOffset?: number;
  /** Options as bytes: a multiple of 4, at most 40; default none. */
  readonly options?: Uint8Array;
}

/**
 * An IPv4 header for `buildPacket()`.
 *
 * @throws {TypeError} When an address is malformed.
 * @throws {RangeError} When the options have another length than a header takes.
 */
export function ipv4(fields: Ipv4Fields): Layer {
  const { ttl = 64, dscp = 0, ecn = 0, identification = 0, fragmentOffset = 0 } = fields;
  const { dontFragment = false, moreFragments = false, options = new Uint8Array(0) } = fields;
  const [source, destination] = [parseIpv4(fields.source), parseIpv4(fields.destination)];
  const size = HEADER + options.length;
  if (size % 4 !== 0 || size > 60) {
    throw new RangeError(
      `IPv4 options take a multiple of 4 bytes up to 40: the current length is ${options.length}`,
    );
  }
  return {
    size,
    etherType: ETHERTYPE.IP,
    protocol: 4,
    write(bytes, { start, end, inner }) {
      bytes[start] = 0x40 | size / 4;
      bytes[start + 1] = dscp << 2 | ecn & 3;
      setU16(bytes, start + 2, end - start);
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
      pseudoHeaderSum(bytes, start + 12, 8, protocol, length),
    complete: (bytes, { start }) => setU16(bytes, start + 10, checksum(bytes, start, start + size)),
  };
}
