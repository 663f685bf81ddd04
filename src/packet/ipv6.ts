/**
 * IPv6 and its extension headers (RFC 8200): hop-by-hop and destination options, routing, fragment, and
 * authentication (RFC 4302).
 *
 * @module
 */
import { integer } from "../options.ts";
import { ETHERTYPE, formatIp, IPPROTO, parseIpv6 } from "./address.ts";
import { checkFields, type FieldKinds, type Layer } from "./build.ts";
import { holds, pseudoSum, setU16, setU32, swap, u16, u32, View } from "./bytes.ts";
import { type Carrier, type Option, optionAt, readOptions } from "./ip.ts";

const HEADER = 40;

/** Jumbo payload option (RFC 2675): `IPV6_TLV_JUMBO` of `linux/in6.h`. */
const JUMBO = 0xc2;
/** Home Address option (RFC 6275): `IPV6_TLV_HAO`. */
const HOME_ADDRESS = 201;

/**
 * An IPv6 packet. The view follows the chain of extension headers when it is created: a packet that ends
 * within the chain is malformed. Behind the chain the packet may be longer than its memory.
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
export class Ipv6 extends View implements Carrier {
  /** The version of IP: 6. */
  readonly version = 6;
  /** Protocol of the payload, behind all extension headers: one of `IPPROTO`. */
  protocol = 0;
  /** Offset of the payload, behind all extension headers. */
  payloadStart = 0;
  #fragment = -1;
  /** Offset of the length in a jumbo payload option, or -1. */
  #jumbo = -1;

  /** Creates a view of a packet, or returns `undefined` when it is malformed. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Ipv6 | undefined {
    const view = new Ipv6();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, HEADER) || bytes[start]! >> 4 !== 6) return false;
    const jumbo = jumboOption(bytes, start, end);
    const length = jumbo < 0 ? u16(bytes, start + 4) : u32(bytes, jumbo);
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
      // Behind the fragment header of a later fragment is no header.
      if (fragment >= 0 && (u16(bytes, fragment + 2) & 0xfff8) !== 0) break;
    }
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.protocol = protocol;
    this.payloadStart = at;
    this.#fragment = fragment;
    this.#jumbo = jumbo;
    return true;
  }

  /** Traffic class, 0..255: DSCP and ECN. */
  get trafficClass(): number {
    return u16(this.bytes, this.start) >> 4 & 255;
  }
  set trafficClass(value: number) {
    const rest = u32(this.bytes, this.start) & 0xf00fffff;
    setU32(this.bytes, this.start, rest | integer(value, "trafficClass", 0, 255) << 20);
  }

  /** Differentiated services code point, 0..63. */
  get dscp(): number {
    return this.trafficClass >> 2;
  }
  set dscp(dscp: number) {
    this.trafficClass = integer(dscp, "dscp", 0, 63) << 2 | this.ecn;
  }

  /** Explicit congestion notification, 0..3. */
  get ecn(): number {
    return this.trafficClass & 3;
  }
  set ecn(ecn: number) {
    this.trafficClass = this.trafficClass & 0xfc | integer(ecn, "ecn", 0, 3);
  }

  /** Flow label, 20 bits. */
  get flowLabel(): number {
    return u32(this.bytes, this.start) & 0xfffff;
  }
  set flowLabel(label: number) {
    const rest = u32(this.bytes, this.start) & 0xfff00000;
    setU32(this.bytes, this.start, rest | integer(label, "flowLabel", 0, 0xfffff));
  }

  /**
   * Bytes behind this header, extension headers included. In a jumbogram the number is in the jumbo payload
   * option (RFC 2675). 0 for a GSO packet that is longer than 65,535 bytes and has no such option (BIG TCP).
   */
  get payloadLength(): number {
    const length = u16(this.bytes, this.start + 4);
    return length === 0 && this.#jumbo >= 0 ? u32(this.bytes, this.#jumbo) : length;
  }
  set payloadLength(length: number) {
    const jumbo = this.#jumbo >= 0;
    integer(length, "payloadLength", 0, jumbo ? 0xffff_ffff : 0xffff);
    if (jumbo) setU32(this.bytes, this.#jumbo, length);
    else setU16(this.bytes, this.start + 4, length);
  }

  /** Type of the next header: an extension header, or {@link Ipv6.protocol}. */
  get nextHeader(): number {
    return this.bytes[this.start + 6]!;
  }

  /** Hop limit: routers that may still forward the packet. */
  get hopLimit(): number {
    return this.bytes[this.start + 7]!;
  }
  set hopLimit(limit: number) {
    this.bytes[this.start + 7] = integer(limit, "hopLimit", 0, 255);
  }

  /** Source address. */
  get source(): string {
    return formatIp(this.bytes, this.start + 8, 16);
  }
  set source(address: string) {
    this.bytes.set(parseIpv6(address), this.start + 8);
  }

  /** Destination address: with a routing header, that of the next hop. */
  get destination(): string {
    return formatIp(this.bytes, this.start + 24, 16);
  }
  set destination(address: string) {
    this.bytes.set(parseIpv6(address), this.start + 24);
  }

  /** The extension headers, in order. */
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

  /** Whether the packet is a fragment. Only the first fragment has the header of the upper layer. */
  get isFragment(): boolean {
    return this.#fragment >= 0 && (u16(this.bytes, this.#fragment + 2) & 0xfff9) !== 0;
  }

  /** Offset of a fragment's payload in the whole payload, in bytes. */
  get fragmentOffset(): number {
    return this.#fragment < 0 ? 0 : u16(this.bytes, this.#fragment + 2) & 0xfff8;
  }

  /** Whether the packet is a fragment other than the last one. */
  get moreFragments(): boolean {
    return this.#fragment >= 0 && (this.bytes[this.#fragment + 3]! & 1) === 1;
  }

  /** End of the payload in the memory, exclusive. */
  get payloadEnd(): number {
    const length = this.payloadLength;
    if (length === 0) return this.nextHeader === IPPROTO.NONE ? this.payloadStart : this.end;
    return Math.min(this.end, this.start + HEADER + length);
  }

  /** Exchanges source and destination address. Without a routing header all checksums stay right. */
  swapAddresses(): void {
    swap(this.bytes, this.start + 8, this.start + 24, 16);
  }

  /**
   * Sums the pseudo header of the payload; `checksumAdd()` continues the sum. With a routing header the
   * destination is the final one, and with a Home Address option the source is the home address (RFC 8200
   * section 8.1, RFC 6275 section 6.3).
   *
   * @param protocol Protocol number of the upper layer.
   * @param length Bytes of the upper layer's header and data.
   */
  pseudoHeaderSum(protocol: number, length: number): number {
    return pseudoSum(ipv6AddressSum(this.bytes, this.start, this.payloadStart), protocol, length);
  }
}

/**
 * Sums the addresses of the pseudo header: the source or home address, and the final destination.
 *
 * @param bytes Memory.
 * @param start Offset of the IPv6 header.
 * @param end End of the extension headers, exclusive.
 * @returns The sum, not folded.
 */
export function ipv6AddressSum(bytes: Uint8Array, start: number, end: number): number {
  let source = start + 8;
  let final = start + 24;
  /** Leading bytes of the final destination that are those of the destination (RFC 6554). */
  let shared = 0;
  let type = bytes[start + 6]!;
  for (let at = start + HEADER; at < end && isExtension(type);) {
    const size = extensionSize(bytes, type, at, end);
    if (size === 0) break;
    if (type === IPPROTO.DSTOPTS) {
      const home = optionAt(bytes, at, at + size, HOME_ADDRESS, 16);
      if (home >= 0) source = home;
    } else if (type === IPPROTO.ROUTING && bytes[at + 3] !== 0 && size >= 16) {
      const kind = bytes[at + 2];
      // Segment Routing lists the last segment first (RFC 8754).
      if (kind === ROUTING.SEGMENT_ROUTING && size >= 24) [final, shared] = [at + 8, 0];
      else if ((kind === ROUTING.SOURCE_ROUTE || kind === ROUTING.MOBILE) && size >= 24) {
        [final, shared] = [at + 8 + ((size - 8 >> 4) - 1) * 16, 0];
      } else if (kind === ROUTING.RPL) {
        const [compressed, padding] = [bytes[at + 4]! & 15, bytes[at + 5]! >> 4];
        if (at + size - padding - 16 + compressed >= at + 8) {
          [final, shared] = [at + size - padding - 16, compressed];
        }
      }
    }
    type = bytes[at]!;
    at += size;
  }
  let sum = 0;
  for (let i = 0; i < 16; i += 2) sum += u16(bytes, source + i);
  for (let i = 0; i < 16; i++) {
    const byte = bytes[(i < shared ? start + 24 : final) + i]!;
    sum += i % 2 === 0 ? byte << 8 : byte;
  }
  return sum;
}

/** Routing types: RFC 8200 type 0 of RFC 2460, type 2 of RFC 6275, RFC 6554, RFC 8754. */
const ROUTING = { SOURCE_ROUTE: 0, MOBILE: 2, RPL: 3, SEGMENT_ROUTING: 4 } as const;

/** The offset of the length in a jumbo payload option, or -1: also when the header tells a length. */
export function jumboOption(bytes: Uint8Array, start: number, end: number): number {
  if (u16(bytes, start + 4) !== 0 || bytes[start + 6] !== IPPROTO.HOPOPTS) return -1;
  const size = extensionSize(bytes, IPPROTO.HOPOPTS, start + HEADER, end);
  return optionAt(bytes, start + HEADER, start + HEADER + size, JUMBO, 4);
}

/** Fields of an IPv6 header. */
export interface Ipv6Fields {
  /** Source address. */
  readonly source: string;
  /** Destination address; with a routing header, that of the first hop. */
  readonly destination: string;
  /** Type of the next header; default that of the next layer, and 59 (none) for bytes. */
  readonly nextHeader?: number;
  /** Hop limit, 0..255; default 64. Neighbor discovery needs 255. */
  readonly hopLimit?: number;
  /** Traffic class, 0..255; default 0. */
  readonly trafficClass?: number;
  /** Flow label, 20 bits; default 0. */
  readonly flowLabel?: number;
}

const FIELDS: FieldKinds<Ipv6Fields> = {
  source: true,
  destination: true,
  nextHeader: "u8?",
  hopLimit: "u8?",
  trafficClass: "u8?",
  flowLabel: "u20?",
};

/**
 * Creates an IPv6 header for `buildPacket()`. For a payload of more than 65,535 bytes the next layer must be
 * a hop-by-hop options header with a jumbo payload option (RFC 2675), whose length is filled in.
 *
 * @param fields The fields of the header.
 * @throws {TypeError} For an unknown field or a malformed address.
 * @throws {RangeError} For a number that its field cannot hold. `buildPacket()` throws it for a payload of
 *   more than 65,535 bytes without a jumbo payload option.
 */
export function ipv6(fields: Ipv6Fields): Layer {
  checkFields(fields, FIELDS);
  const { hopLimit = 64, trafficClass = 0, flowLabel = 0 } = fields;
  const [source, destination] = [parseIpv6(fields.source), parseIpv6(fields.destination)];
  return {
    size: HEADER,
    etherType: ETHERTYPE.IPV6,
    protocol: IPPROTO.IPV6,
    write(bytes, { start, end, inner }) {
      const length = end - start - HEADER;
      setU32(bytes, start, 6 << 28 | trafficClass << 20 | flowLabel);
      setU16(bytes, start + 4, length > 0xffff ? 0 : length);
      bytes[start + 6] = fields.nextHeader ?? inner?.protocol ?? IPPROTO.NONE;
      bytes[start + 7] = hopLimit;
      bytes.set(source, start + 8);
      bytes.set(destination, start + 24);
    },
    pseudoHeader: (bytes, { start, end }, protocol, length) =>
      pseudoSum(ipv6AddressSum(bytes, start, end - length), protocol, length),
    complete(bytes, { start, end }) {
      const length = end - start - HEADER;
      if (length <= 0xffff) return;
      const jumbo = jumboOption(bytes, start, end);
      if (jumbo >= 0) setU32(bytes, jumbo, length);
      else {
        throw new RangeError(
          `IPv6 payload length must be in 0..65535 bytes: got ${length}; ` +
            "more takes a jumbo payload option in a hop-by-hop options header",
        );
      }
    },
  };
}

/** Whether a header of this type leads to another one. */
function isExtension(type: number): boolean {
  return type === IPPROTO.HOPOPTS || type === IPPROTO.ROUTING || type === IPPROTO.FRAGMENT ||
    type === IPPROTO.AH || type === IPPROTO.DSTOPTS;
}

/** Bytes of an extension header, or 0 when it does not end before `end`. */
function extensionSize(bytes: Uint8Array, type: number, at: number, end: number): number {
  if (at + 8 > end) return 0;
  const length = bytes[at + 1]!;
  const size = type === IPPROTO.FRAGMENT
    ? 8
    : type === IPPROTO.AH
    ? length * 4 + 8
    : length * 8 + 8;
  return at + size > end ? 0 : size;
}

/** An extension header. Properties that its {@link Ipv6Extension.type} does not have are `undefined`. */
export class Ipv6Extension extends View {
  /** Type of the header: one of `IPPROTO`. */
  type = 0;

  /** Creates a view of a header of this type, or returns `undefined` when it is malformed. */
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

  /** Type of the next header. */
  get nextHeader(): number {
    return this.bytes[this.start]!;
  }

  /** Options of a hop-by-hop or destination options header; `undefined` also when they are malformed. */
  get options(): Option[] | undefined {
    if (this.type !== IPPROTO.HOPOPTS && this.type !== IPPROTO.DSTOPTS) return undefined;
    return readOptions(this.bytes, this.start + 2, this.end, { single: 0, uncounted: 2 });
  }

  /** Routing type of a routing header. */
  get routingType(): number | undefined {
    return this.type === IPPROTO.ROUTING ? this.bytes[this.start + 2] : undefined;
  }

  /** Segments left of a routing header: nodes that the packet still visits. */
  get segmentsLeft(): number | undefined {
    return this.type === IPPROTO.ROUTING ? this.bytes[this.start + 3] : undefined;
  }

  /** Offset of a fragment's payload in the whole payload, in bytes. */
  get fragmentOffset(): number | undefined {
    return this.type === IPPROTO.FRAGMENT ? u16(this.bytes, this.start + 2) & 0xfff8 : undefined;
  }

  /** Whether more fragments follow. */
  get moreFragments(): boolean | undefined {
    return this.type === IPPROTO.FRAGMENT ? (this.bytes[this.start + 3]! & 1) === 1 : undefined;
  }

  /** Identification: equal in all fragments of a packet. */
  get identification(): number | undefined {
    return this.type === IPPROTO.FRAGMENT ? u32(this.bytes, this.start + 4) : undefined;
  }

  /** Security parameters index of an authentication header. */
  get spi(): number | undefined {
    return this.type === IPPROTO.AH ? u32(this.bytes, this.start + 4) : undefined;
  }
}

/** Fields of an extension header. */
export interface Ipv6ExtensionFields {
  /** Type of the header: `IPPROTO.HOPOPTS`, `ROUTING`, `FRAGMENT`, `AH` or `DSTOPTS`. */
  readonly type: number;
  /**
   * The bytes behind next header and length, padded to a multiple of 8 bytes. At most 2046; in an
   * authentication header 1022, in a fragment header exactly 6.
   */
  readonly body: Uint8Array;
  /** Type of the next header; default that of the next layer, and 59 (none) for bytes. */
  readonly nextHeader?: number;
}

const EXTENSION_FIELDS: FieldKinds<Ipv6ExtensionFields> = {
  type: "u8",
  body: true,
  nextHeader: "u8?",
};

/**
 * Creates an IPv6 extension header for `buildPacket()`. Hop-by-hop and destination options are padded with
 * PadN (RFC 8200 section 4.2), others with zeros.
 *
 * @param fields The fields of the header.
 * @throws {TypeError} For an unknown field.
 * @throws {RangeError} For a type that is no extension header, or a body of a length that none has.
 */
export function ipv6Extension(fields: Ipv6ExtensionFields): Layer {
  checkFields(fields, EXTENSION_FIELDS);
  const { type, body, nextHeader } = fields;
  if (!isExtension(type)) {
    throw new RangeError(`type must be an extension header, one of 0, 43, 44, 51, 60: got ${type}`);
  }
  const [least, most] = type === IPPROTO.FRAGMENT ? [6, 6] : [0, type === IPPROTO.AH ? 1022 : 2046];
  if (!(body.length >= least && body.length <= most)) {
    throw new RangeError(
      `body must have ${least === most ? least : `${least}..${most}`} bytes: got ${body.length}`,
    );
  }
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
