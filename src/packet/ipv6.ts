/**
 * IPv6 (RFC 8200).
 *
 * @module
 */
import { formatIp, parseIpv6 } from "./address.ts";
import type { Layer } from "./build.ts";
import { holds, pseudoHeaderSum, setU16, setU32, swap, u16, u32, View } from "./bytes.ts";
import { ETHERTYPE } from "./ethernet.ts";
import { IPPROTO, type Option, readOptions } from "./ip.ts";

const HEADER = 40;

/**
 * An IPv6 packet. Its chain of extension headers is followed when the view is made: a packet that ends
 * within them is malformed. It may be longer than its memory beyond that.
 *
 * @example Look past extension headers
 * ```ts
 * import { buildPacket, Ipv6, ipv6, ipv6Extension, udp } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const packet = Ipv6.parse(buildPacket(
 *   ipv6({ source: "fd00::1", destination: "fd00::2" }),
 *   ipv6Extension({ type: 0, body: new Uint8Array([5, 2, 0, 0, 1, 0]) }), // a router alert
 *   udp({ sourcePort: 1, destinationPort: 2 }),
 * ))!;
 * assertEquals([packet.nextHeader, packet.protocol], [0, 17]);
 * assertEquals(packet.extensions[0]!.options!.map(({ type }) => type), [5, 1]);
 * ```
 */
export class Ipv6 extends View {
  /** What is carried after all extension headers: one of `IPPROTO`. */
  protocol = 0;
  /** Where that starts. */
  payloadStart = 0;
  #fragment = -1;

  /** Makes a view of a packet, or returns `undefined` when it is malformed. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Ipv6 | undefined {
    const view = new Ipv6();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, HEADER) || bytes[start]! >> 4 !== 6) return false;
    const length = u16(bytes, start + 4);
    const last = length > 0 ? Math.min(end, start + HEADER + length) : end;
    let protocol = bytes[start + 6]!;
    let at = start + HEADER;
    let fragment = -1;
    while (isExtension(protocol)) {
      const size = extensionSize(bytes, protocol, at, last);
      if (size === 0) return false;
      if (protocol === IPPROTO.FRAGMENT) fragment = at;
      protocol = bytes[at]!;
      at += size;
      // What follows in another fragment than the first is not a header.
      if (fragment >= 0 && (u16(bytes, fragment + 2) & 0xfff8) !== 0) break;
    }
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.protocol = protocol;
    this.payloadStart = at;
    this.#fragment = fragment;
    return true;
  }

  /** Traffic class, 0..255: the code point and congestion notification. */
  get trafficClass(): number {
    return u16(this.bytes, this.start) >> 4 & 255;
  }
  set trafficClass(value: number) {
    const rest = u32(this.bytes, this.start) & 0xf00fffff;
    setU32(this.bytes, this.start, rest | (value & 255) << 20);
  }

  /** Differentiated services code point, 0..63. */
  get dscp(): number {
    return this.trafficClass >> 2;
  }
  set dscp(dscp: number) {
    this.trafficClass = dscp << 2 | this.ecn;
  }

  /** Explicit congestion notification, 0..3. */
  get ecn(): number {
    return this.trafficClass & 3;
  }
  set ecn(ecn: number) {
    this.trafficClass = this.trafficClass & 0xfc | ecn & 3;
  }

  /** What the packets of one flow have in common, 20 bits. */
  get flowLabel(): number {
    return u32(this.bytes, this.start) & 0xfffff;
  }
  set flowLabel(label: number) {
    const rest = u32(this.bytes, this.start) & 0xfff00000;
    setU32(this.bytes, this.start, rest | label & 0xfffff);
  }

  /** Bytes after this header; 0 for one that is longer than 65,535. */
  get payloadLength(): number {
    return u16(this.bytes, this.start + 4);
  }
  set payloadLength(length: number) {
    setU16(this.bytes, this.start + 4, length);
  }

  /** What follows this header: an extension header or what {@link Ipv6.protocol} says. */
  get nextHeader(): number {
    return this.bytes[this.start + 6]!;
  }

  /** Routers left to pass. */
  get hopLimit(): number {
    return this.bytes[this.start + 7]!;
  }
  set hopLimit(limit: number) {
    this.bytes[this.start + 7] = limit;
  }

  /** Sender. */
  get source(): string {
    return formatIp(this.bytes, this.start + 8, 16);
  }
  set source(address: string) {
    this.bytes.set(parseIpv6(address), this.start + 8);
  }

  /** Receiver. */
  get destination(): string {
    return formatIp(this.bytes, this.start + 24, 16);
  }
  set destination(address: string) {
    this.bytes.set(parseIpv6(address), this.start + 24);
  }

  /** The extension headers in their order. */
  get extensions(): Ipv6Extension[] {
    const extensions: Ipv6Extension[] = [];
    let type = this.nextHeader;
    for (let at = this.start + HEADER; at < this.payloadStart;) {
      const extension = Ipv6Extension.parse(this.bytes, at, this.payloadStart, type);
      if (!extension) break;
      extensions.push(extension);
      type = extension.nextHeader;
      at = extension.end;
    }
    return extensions;
  }

  /** Whether it is a part of a packet: only the first of them has the header of what is carried. */
  get isFragment(): boolean {
    return this.#fragment >= 0 && (u16(this.bytes, this.#fragment + 2) & 0xfff9) !== 0;
  }

  /** Where a fragment's payload belongs, in bytes. */
  get fragmentOffset(): number {
    return this.#fragment < 0 ? 0 : u16(this.bytes, this.#fragment + 2) & 0xfff8;
  }

  /** Whether it is a fragment, and not the last one. */
  get moreFragments(): boolean {
    return this.#fragment >= 0 && (this.bytes[this.#fragment + 3]! & 1) === 1;
  }

  /** After the payload's last byte that is in the memory. */
  get payloadEnd(): number {
    const length = this.payloadLength;
    if (length === 0) return this.nextHeader === IPPROTO.HOPOPTS ? this.end : this.payloadStart;
    return Math.min(this.end, this.start + HEADER + length);
  }

  /** Exchanges sender and receiver: the packet goes back. No checksum changes by it. */
  swapAddresses(): void {
    swap(this.bytes, this.start + 8, this.start + 24, 16);
  }

  /** The sum of the pseudo header of what it carries, to go on from with `checksumAdd()`. */
  pseudoHeaderSum(protocol: number, length: number): number {
    return pseudoHeaderSum(this.bytes, this.start + 8, 32, protocol, length);
  }
}

/** Fields of a packet to be built. */
export interface Ipv6Fields {
  /** Sender. */
  readonly source: string;
  /** Receiver. */
  readonly destination: string;
  /** What follows the header; default what the next layer is, and 59 (nothing) for bytes. */
  readonly nextHeader?: number;
  /** Routers to pass; default 64. Neighbor discovery takes 255. */
  readonly hopLimit?: number;
  /** Traffic class, 0..255; default 0. */
  readonly trafficClass?: number;
  /** Flow label, 20 bits; default 0. */
  readonly flowLabel?: number;
}

/**
 * An IPv6 header for `buildPacket()`.
 *
 * @throws {TypeError} When an address is malformed.
 */
export function ipv6(fields: Ipv6Fields): Layer {
  const { hopLimit = 64, trafficClass = 0, flowLabel = 0 } = fields;
  const [source, destination] = [parseIpv6(fields.source), parseIpv6(fields.destination)];
  return {
    size: HEADER,
    etherType: ETHERTYPE.IPV6,
    protocol: IPPROTO.IPV6,
    write(bytes, { start, end, inner }) {
      setU32(bytes, start, 6 << 28 | (trafficClass & 255) << 20 | flowLabel & 0xfffff);
      setU16(bytes, start + 4, end - start - HEADER);
      bytes[start + 6] = fields.nextHeader ?? inner?.protocol ?? IPPROTO.NONE;
      bytes[start + 7] = hopLimit;
      bytes.set(source, start + 8);
      bytes.set(destination, start + 24);
    },
    pseudoHeader: (bytes, { start }, protocol, length) =>
      pseudoHeaderSum(bytes, start + 8, 32, protocol, length),
  };
}

/** Whether a header of this type leads to another one. */
export function isExtension(type: number): boolean {
  return type === IPPROTO.HOPOPTS || type === IPPROTO.ROUTING || type === IPPROTO.FRAGMENT ||
    type === IPPROTO.AH || type === IPPROTO.DSTOPTS;
}

/** Bytes of an extension header, or 0 when it does not end before `end`. */
export function extensionSize(bytes: Uint8Array, type: number, at: number, end: number): number {
  if (at + 8 > end) return 0;
  const length = bytes[at + 1]!;
  const size = type === IPPROTO.FRAGMENT
    ? 8
    : type === IPPROTO.AH
    ? length * 4 + 8
    : length * 8 + 8;
  return at + size > end ? 0 : size;
}

/** An extension header. What does not apply to its {@link Ipv6Extension.type} is `undefined`. */
export class Ipv6Extension extends View {
  /** What it is: one of `IPPROTO`. */
  type = 0;

  /** Makes a view of the header of this type, or returns `undefined` when it is malformed. */
  static parse(
    bytes: Uint8Array,
    start: number,
    end: number,
    type: number,
  ): Ipv6Extension | undefined {
    if (!isExtension(type) || !holds(bytes, start, end, 8)) return undefined;
    const size = extensionSize(bytes, type, start, end);
    if (size === 0) return undefined;
    const view = new Ipv6Extension();
    view.bytes = bytes;
    view.start = start;
    view.end = start + size;
    view.type = type;
    return view;
  }

  /** The type of the header after this one. */
  get nextHeader(): number {
    return this.bytes[this.start]!;
  }

  /** Options of a hop-by-hop or destination options header; also `undefined` when malformed. */
  get options(): Option[] | undefined {
    if (this.type !== IPPROTO.HOPOPTS && this.type !== IPPROTO.DSTOPTS) return undefined;
    return readOptions(this.bytes, this.start + 2, this.end, { single: 0, uncounted: 2 });
  }

  /** Kind of a routing header. */
  get routingType(): number | undefined {
    return this.type === IPPROTO.ROUTING ? this.bytes[this.start + 2] : undefined;
  }

  /** Nodes of a routing header that are still to be visited. */
  get segmentsLeft(): number | undefined {
    return this.type === IPPROTO.ROUTING ? this.bytes[this.start + 3] : undefined;
  }

  /** Where a fragment belongs, in bytes. */
  get fragmentOffset(): number | undefined {
    return this.type === IPPROTO.FRAGMENT ? u16(this.bytes, this.start + 2) & 0xfff8 : undefined;
  }

  /** Whether more fragments follow. */
  get moreFragments(): boolean | undefined {
    return this.type === IPPROTO.FRAGMENT ? (this.bytes[this.start + 3]! & 1) === 1 : undefined;
  }

  /** What fragments of one packet have in common. */
  get identification(): number | undefined {
    return this.type === IPPROTO.FRAGMENT ? u32(this.bytes, this.start + 4) : undefined;
  }

  /** Security parameters index of an authentication header. */
  get spi(): number | undefined {
    return this.type === IPPROTO.AH ? u32(this.bytes, this.start + 4) : undefined;
  }
}

/** Fields of an extension header to be built. */
export interface Ipv6ExtensionFields {
  /** What it is: one of `IPPROTO`. */
  readonly type: number;
  /** What follows the two bytes of next header and length; padded to a multiple of 8 bytes. */
  readonly body: Uint8Array;
  /** The type of the header after this one; default what the next layer is. */
  readonly nextHeader?: number;
}

/**
 * An IPv6 extension header for `buildPacket()`. Hop-by-hop and destination options are padded with PadN
 * (RFC 8200 section 4.2), others with zeros.
 */
export function ipv6Extension(fields: Ipv6ExtensionFields): Layer {
  const { type, body, nextHeader } = fields;
  const size = Math.ceil((body.length + 2) / 8) * 8;
  const padding = size - body.length - 2;
  return {
    size,
    protocol: type,
    write(bytes, { start, inner }) {
      bytes[start] = nextHeader ?? inner?.protocol ?? IPPROTO.NONE;
      const length = type === IPPROTO.AH ? size / 4 - 2 : size / 8 - 1;
      if (type !== IPPROTO.FRAGMENT) bytes[start + 1] = length;
      bytes.set(body, start + 2);
      const options = type === IPPROTO.HOPOPTS || type === IPPROTO.DSTOPTS;
      if (options && padding > 1) bytes.set([1, padding - 2], start + size - padding);
    },
  };
}
