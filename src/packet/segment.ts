/**
 * Segmentation of GSO packets (TSO, USO) that the kernel left to a device, and completion of partial checksums.
 *
 * @module
 */
import { checkOptions, integer, type OptionNames } from "../options.ts";
import {
  checksumAdd,
  checksumFold,
  copy,
  holds,
  memory,
  setU16,
  setU32,
  sumMemory,
  u16,
  u32,
  View,
} from "./bytes.ts";
import { IPPROTO } from "./address.ts";
import { ipv4AddressSum } from "./ipv4.ts";
import { ipv6AddressSum, jumboOption } from "./ipv6.ts";
import { TCP_FLAG } from "./tcp.ts";

/** Flags: `VIRTIO_NET_HDR_F_*`. */
export const VIRTIO_NET_HDR_F = { NEEDS_CSUM: 1, DATA_VALID: 2 } as const;

/** Types of segments of a GSO packet: `VIRTIO_NET_HDR_GSO_*`. ECN is a flag beside the others. */
export const VIRTIO_NET_HDR_GSO = {
  NONE: 0,
  TCPV4: 1,
  UDP: 3,
  TCPV6: 4,
  UDP_L4: 5,
  ECN: 0x80,
} as const;

/** Bytes of the header, unless `TUNSETVNETHDRSZ` sets another size. */
export const VIRTIO_NET_HEADER = 10;

/**
 * The header before each packet of a device with `IFF_VNET_HDR`, and the packet behind it: `struct
 * virtio_net_hdr` of `linux/virtio_net.h`. Its numbers are in the machine's byte order: little-endian.
 *
 * @example
 * ```ts
 * import { VIRTIO_NET_HDR_GSO, VirtioNetHeader } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = new Uint8Array([1, 1, 66, 0, 0xa8, 5, 20, 0, 16, 0]);
 * const header = VirtioNetHeader.parse(bytes)!;
 * assertEquals(header.gsoType, VIRTIO_NET_HDR_GSO.TCPV4);
 * assertEquals([header.headerLength, header.gsoSize], [66, 1448]);
 * assertEquals([header.checksumStart, header.checksumOffset], [20, 16]);
 * ```
 */
export class VirtioNetHeader extends View {
  /** Creates a view, or returns `undefined` when there are fewer than 10 bytes. */
  static parse(
    bytes: Uint8Array,
    start = 0,
    end: number = bytes.length,
  ): VirtioNetHeader | undefined {
    const view = new VirtioNetHeader();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, VIRTIO_NET_HEADER)) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** Bits of {@link VIRTIO_NET_HDR_F}. */
  get flags(): number {
    return this.bytes[this.start]!;
  }
  set flags(flags: number) {
    this.bytes[this.start] = integer(flags, "flags", 0, 255);
  }

  /** One of {@link VIRTIO_NET_HDR_GSO}, and the flag ECN. */
  get gsoType(): number {
    return this.bytes[this.start + 1]!;
  }
  set gsoType(type: number) {
    this.bytes[this.start + 1] = integer(type, "gsoType", 0, 255);
  }

  /** Bytes of all headers of the packet, which each segment repeats. A hint. */
  get headerLength(): number {
    return this.#u16(2);
  }
  set headerLength(length: number) {
    this.#setU16(2, length, "headerLength");
  }

  /** Payload bytes of each segment; the last may be shorter. */
  get gsoSize(): number {
    return this.#u16(4);
  }
  set gsoSize(size: number) {
    this.#setU16(4, size, "gsoSize");
  }

  /** Offset in the packet where the checksummed bytes start. */
  get checksumStart(): number {
    return this.#u16(6);
  }
  set checksumStart(start: number) {
    this.#setU16(6, start, "checksumStart");
  }

  /** Offset of the checksum from {@link VirtioNetHeader.checksumStart}. */
  get checksumOffset(): number {
    return this.#u16(8);
  }
  set checksumOffset(offset: number) {
    this.#setU16(8, offset, "checksumOffset");
  }

  /** Offset of the packet. */
  get packetStart(): number {
    return this.start + VIRTIO_NET_HEADER;
  }

  #u16(at: number): number {
    return this.bytes[this.start + at]! | this.bytes[this.start + at + 1]! << 8;
  }

  #setU16(at: number, value: number, name: string): void {
    integer(value, name, 0, 0xffff);
    this.bytes[this.start + at] = value;
    this.bytes[this.start + at + 1] = value >>> 8;
  }
}

/** No IP packet is longer, nor any segment. */
export const MAX_IP = 65_535;

/** The parts of a packet of TCP or UDP. Its view begins with the link header if there is one. */
export class PacketParts extends View {
  /** Offset of the IP header. */
  network = 0;
  /** Offset of the TCP or UDP header. */
  transport = 0;
  /** Offset of the payload, which ends at `end`. */
  payload = 0;
  /** Whether it is IPv4. */
  v4 = false;
  /** Whether it is TCP. */
  tcp = false;
}

/** The parts of a GSO packet. */
class GsoPacket extends PacketParts {
  /** Payload bytes of each segment but the last. */
  size = 0;
  /** Bytes behind the IPv6 header that segments do not repeat: the header with the jumbo payload option. */
  jumbo = 0;

  /** Number of segments. */
  get segments(): number {
    return Math.max(1, Math.ceil((this.end - this.payload) / this.size));
  }

  /** Finds the parts, or returns `false` when header and packet do not agree. */
  point(header: VirtioNetHeader, linkHeader: number): boolean {
    const { bytes, packetStart: start, end } = header;
    const type = header.gsoType & ~VIRTIO_NET_HDR_GSO.ECN;
    const network = start + linkHeader;
    const transport = start + header.checksumStart;
    const tcp = type === VIRTIO_NET_HDR_GSO.TCPV4 || type === VIRTIO_NET_HDR_GSO.TCPV6;
    if (!tcp && type !== VIRTIO_NET_HDR_GSO.UDP_L4) return false;
    if ((header.flags & VIRTIO_NET_HDR_F.NEEDS_CSUM) === 0 || header.gsoSize === 0) return false;
    if (header.checksumOffset !== (tcp ? 16 : 6)) return false;
    if (transport + (tcp ? 20 : 8) > end || network + 20 > transport) return false;
    const version = bytes[network]! >> 4;
    if (type === VIRTIO_NET_HDR_GSO.TCPV4 && version !== 4) return false;
    if (type === VIRTIO_NET_HDR_GSO.TCPV6 && version !== 6) return false;
    const protocol = tcp ? IPPROTO.TCP : IPPROTO.UDP;
    const jumbo = version === 6 ? jumboSize(bytes, network, transport) : 0;
    if (jumbo < 0) return false;
    const length = version === 4
      ? ipv4Length(bytes, network, transport, protocol)
      : version === 6
      ? ipv6Length(bytes, network, transport, protocol, jumbo)
      : -1;
    // 0 stands for a packet that is longer than the field can tell.
    if (length < 0 || network + length > end) return false;
    const payload = transport + (tcp ? (bytes[transport + 12]! >> 4) * 4 : 8);
    const last = length === 0 ? end : network + length;
    if (payload < transport + (tcp ? 20 : 8) || payload > last) return false;
    if (payload - network + header.gsoSize > MAX_IP) return false;
    this.bytes = bytes;
    this.start = start;
    this.network = network;
    this.transport = transport;
    this.payload = payload;
    this.end = last;
    this.size = header.gsoSize;
    this.v4 = version === 4;
    this.tcp = tcp;
    this.jumbo = jumbo;
    return true;
  }
}

/** The total length of an IPv4 packet, which may be 0; -1 when the transport header is elsewhere. */
function ipv4Length(bytes: Uint8Array, at: number, transport: number, protocol: number): number {
  if ((bytes[at]! & 15) * 4 !== transport - at || bytes[at + 9] !== protocol) return -1;
  return u16(bytes, at + 2);
}

/** The same of IPv6, its header included. */
function ipv6Length(
  bytes: Uint8Array,
  at: number,
  transport: number,
  protocol: number,
  jumbo: number,
): number {
  if (transport < at + 40 || transport === at + 40 && bytes[at + 6] !== protocol) return -1;
  const length = jumbo > 0 ? u32(bytes, at + JUMBO_LENGTH) : u16(bytes, at + 4);
  return length === 0 ? 0 : length + 40;
}

/** Bytes of a hop-by-hop options header with nothing but the jumbo payload option, and its length in it. */
const JUMBO_HEADER = 8;
const JUMBO_LENGTH = 44;

/**
 * Bytes of the header with the jumbo payload option; 0 without one; -1 when it has other options, too: no
 * kernel creates such a packet.
 */
function jumboSize(bytes: Uint8Array, at: number, transport: number): number {
  const option = jumboOption(bytes, at, transport);
  if (option < 0) return 0;
  return option === at + JUMBO_LENGTH && bytes[at + 41] === 0 ? JUMBO_HEADER : -1;
}

/** Memory for many packets, each in its own slot: a `PacketBatch` of `./device`. */
export interface PacketSlots {
  /** All slots, one behind the other. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes of each slot. */
  readonly size: number;
  /** Number of slots. */
  readonly capacity: number;
  /** Number of packets, from slot 0 on. */
  count: number;
  /** Offset of each packet in `bytes`. */
  readonly offsets: Int32Array;
  /** Bytes of each packet. */
  readonly lengths: Int32Array;
}

/** Options of {@link segment}. */
export interface SegmentOptions {
  /** Bytes before the IP header: 14 on a TAP, 0 (the default) on a TUN. */
  readonly linkHeader?: number;
  /** Free bytes to leave before each packet, for the caller's own header; default 0. Not cleared. */
  readonly headroom?: number;
  /** Number of segments left, as the last call returned it when the output was full; default all. */
  readonly left?: number;
}

const OPTIONS: OptionNames<SegmentOptions> = { linkHeader: true, headroom: true, left: true };
const NONE: SegmentOptions = {};
/** Reused, so that no call allocates. */
const gsoPacket = new GsoPacket();

/**
 * Splits a packet from a device with `IFF_VNET_HDR` into packets as on the wire, without that header.
 * Lengths, IPv4 identifications, TCP sequence numbers and flags (FIN and PSH on the last, CWR on the first)
 * and checksums are those of the kernel's own segmentation; a header with the jumbo payload option is left
 * out. A packet that is no GSO packet is copied, and its partial checksum completed. Allocates nothing.
 *
 * @param packet The header and the packet behind it.
 * @param output The destination: packets are added. When it is full, empty it and continue with `left`.
 * @param options Link header, headroom, and the number of segments left.
 * @returns The number of segments left: 0 when all are in the output. `undefined` when the packet is
 *   malformed; then nothing is added.
 * @throws {TypeError} For an unknown option.
 * @throws {RangeError} When a slot of the output is too small for a segment, or an option is negative.
 *
 * @example Three datagrams that were sent as one, into a batch of two
 * ```ts
 * import { PacketBatch } from "@netloom/netloom";
 * import { buildPacket, ipv4, segment, udp, VirtioNetHeader } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * // As read from a TUN with offloads: NEEDS_CSUM, UDP_L4, 28 bytes of headers, 1000 bytes of each payload.
 * const packet = VirtioNetHeader.parse(Uint8Array.of(
 *   ...[1, 5, 28, 0, 0xe8, 3, 20, 0, 6, 0],
 *   ...buildPacket(
 *     ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
 *     udp({ sourcePort: 1000, destinationPort: 2000 }),
 *     new Uint8Array(2500),
 *   ),
 * ))!;
 *
 * const batch = new PacketBatch({ packets: 2, size: 1500 });
 * const lengths: number[] = [];
 * let left = segment(packet, batch);
 * while (batch.count > 0) {
 *   lengths.push(...batch.lengths.subarray(0, batch.count)); // or: await socket.writeBatch(batch)
 *   batch.clear();
 *   if (left) left = segment(packet, batch, { left });
 * }
 * assertEquals(lengths, [1028, 1028, 528]);
 * ```
 */
export function segment(
  packet: VirtioNetHeader,
  output: PacketSlots,
  options: SegmentOptions = NONE,
): number | undefined {
  const { linkHeader = 0, headroom = 0, left } = options;
  if (options !== NONE) checkSegmentOptions(options);
  if (packet.gsoType === VIRTIO_NET_HDR_GSO.NONE) return complete(packet, output, headroom);
  if (!gsoPacket.point(packet, linkHeader)) return undefined;
  const header = gsoPacket.payload - gsoPacket.start - gsoPacket.jumbo;
  const largest = Math.min(gsoPacket.size, gsoPacket.end - gsoPacket.payload);
  checkRoom(output, headroom + header + largest);
  return split(gsoPacket, output, headroom, left);
}

/** Allocates nothing for good options. */
function checkSegmentOptions(options: SegmentOptions): void {
  for (const name in options) if (!Object.hasOwn(OPTIONS, name)) checkOptions(options, OPTIONS);
  const { linkHeader = 0, headroom = 0, left = 0 } = options;
  integer(linkHeader, "linkHeader", 0, 64);
  integer(headroom, "headroom", 0, 0x7fff_ffff);
  integer(left, "left", 0, 0x7fff_ffff);
}

/**
 * Completes the partial checksum of a packet in place, when its header has the flag `NEEDS_CSUM`.
 *
 * @param packet The header and the packet behind it.
 * @returns Whether the checksum is complete; `false` when the header is malformed.
 *
 * @example A datagram with a partial checksum
 * ```ts
 * import { completeChecksum, VirtioNetHeader } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const packet = VirtioNetHeader.parse(Uint8Array.of(
 *   ...[1, 0, 0, 0, 0, 0, 0, 0, 6, 0], // NEEDS_CSUM: of the bytes from 0 on, at 6 in them
 *   ...[3, 232, 7, 208, 0, 8, 20, 28], // UDP, and the sum of its pseudo header
 * ))!;
 * assertEquals(completeChecksum(packet), true);
 * assertEquals([packet.flags, ...packet.bytes.subarray(16)], [0, 224, 35]);
 * ```
 */
export function completeChecksum(packet: VirtioNetHeader): boolean {
  if ((packet.flags & VIRTIO_NET_HDR_F.NEEDS_CSUM) === 0) return true;
  const { bytes, packetStart, end } = packet;
  const start = packetStart + packet.checksumStart;
  const at = start + packet.checksumOffset;
  if (at + 2 > end) return false;
  writeChecksum(bytes, at, checksumAdd(bytes, start, end));
  packet.flags &= ~VIRTIO_NET_HDR_F.NEEDS_CSUM;
  return true;
}

/** Copies a packet that is no GSO packet. */
function complete(
  packet: VirtioNetHeader,
  output: PacketSlots,
  headroom: number,
): number | undefined {
  const { bytes, packetStart, end, checksumStart, checksumOffset } = packet;
  const needed = (packet.flags & VIRTIO_NET_HDR_F.NEEDS_CSUM) !== 0;
  const length = end - packetStart;
  if (needed && checksumStart + checksumOffset + 2 > length) return undefined;
  checkRoom(output, headroom + length);
  if (output.count === output.capacity) return 1;
  const at = output.count * output.size + headroom;
  const [from, to] = [bytes.byteOffset, output.bytes.byteOffset];
  copy(memory(bytes), from + packetStart, from + end, memory(output.bytes), to + at);
  if (needed) {
    const sum = checksumAdd(output.bytes, at + checksumStart, at + length);
    writeChecksum(output.bytes, at + checksumStart + checksumOffset, sum);
  }
  output.offsets[output.count] = at;
  output.lengths[output.count++] = length;
  return 0;
}

function split(
  { bytes, start, network, transport, payload, end, size, v4, tcp, jumbo, segments }: GsoPacket,
  output: PacketSlots,
  headroom: number,
  left = segments,
): number {
  const out = output.bytes;
  const input = memory(bytes);
  const target = memory(out);
  const [base, targetBase] = [bytes.byteOffset, out.byteOffset];
  const header = payload - start - jumbo;
  const [networkAt, transportAt] = [network - start, transport - start - jumbo];
  /** End of the part of the headers before the jumbo payload option. */
  const head = jumbo > 0 ? network + 40 : payload;
  // The sums of what all segments share.
  const ipSum = v4 ? ipv4Sum(bytes, network, transport) : 0;
  const fixed = transportSum(bytes, network, transport, payload, v4, tcp);
  const identification = u16(bytes, network + 4);
  const sequence = u32(bytes, transport + 4);
  const offsetAndFlags = u16(bytes, transport + 12);
  let i = Math.max(0, segments - left);
  for (; i < segments && output.count < output.capacity; i++) {
    const first = payload + i * size;
    const last = Math.min(first + size, end);
    const at = output.count * output.size + headroom;
    const length = header + last - first;
    copy(input, base + start, base + head, target, targetBase + at);
    if (jumbo > 0) {
      const rest = targetBase + at + head - start;
      copy(input, base + head + jumbo, base + payload, target, rest);
      out[at + networkAt + 6] = bytes[head]!;
    }
    copy(input, base + first, base + last, target, targetBase + at + header);
    const ip = at + networkAt;
    const l4 = at + transportAt;
    const l4Length = length - transportAt;
    let sum = fixed + l4Length + sumMemory(input, base + first, base + last);
    if (tcp) {
      const number = sequence + i * size;
      const word = flagsOf(offsetAndFlags, i === 0, i === segments - 1);
      setU32(out, l4 + 4, number);
      setU16(out, l4 + 12, word);
      sum += (number >>> 16 & 0xffff) + (number & 0xffff) + word;
      setU16(out, l4 + 16, ~checksumFold(sum));
    } else {
      setU16(out, l4 + 4, l4Length);
      // The pseudo header and the header have the length.
      writeChecksum(out, l4 + 6, sum + l4Length);
    }
    if (v4) {
      const id = identification + i & 0xffff;
      setU16(out, ip + 2, length - networkAt);
      setU16(out, ip + 4, id);
      setU16(out, ip + 10, ~checksumFold(ipSum + length - networkAt + id));
    } else setU16(out, ip + 4, length - networkAt - 40);
    output.offsets[output.count] = at;
    output.lengths[output.count++] = length;
  }
  return segments - i;
}

/** The last segment keeps FIN and PSH, the first one CWR. */
function flagsOf(word: number, first: boolean, last: boolean): number {
  if (!last) word &= ~(TCP_FLAG.FIN | TCP_FLAG.PSH);
  return first ? word : word & ~TCP_FLAG.CWR;
}

/** The IPv4 header without length, identification and checksum. */
function ipv4Sum(bytes: Uint8Array, at: number, end: number): number {
  return u16(bytes, at) + u16(bytes, at + 6) + u16(bytes, at + 8) +
    checksumAdd(bytes, at + 12, end);
}

/** Pseudo header and header without lengths, checksum, sequence number and flags. */
function transportSum(
  bytes: Uint8Array,
  network: number,
  transport: number,
  payload: number,
  v4: boolean,
  tcp: boolean,
): number {
  const protocol = tcp ? IPPROTO.TCP : IPPROTO.UDP;
  const pseudo = v4
    ? ipv4AddressSum(bytes, network, transport)
    : ipv6AddressSum(bytes, network, transport);
  const ports = pseudo + protocol + u16(bytes, transport) + u16(bytes, transport + 2);
  if (!tcp) return ports;
  const middle = checksumAdd(bytes, transport + 8, transport + 12) + u16(bytes, transport + 14);
  return ports + middle + checksumAdd(bytes, transport + 18, payload);
}

/** 0 stands for no checksum (UDP): 0xffff is the same sum, with any protocol. */
function writeChecksum(bytes: Uint8Array, at: number, sum: number): void {
  setU16(bytes, at, ~checksumFold(sum) & 0xffff || 0xffff);
}

function checkRoom(output: PacketSlots, length: number): void {
  if (length <= output.size) return;
  throw new RangeError(`A slot of the output has ${output.size} bytes: the packet needs ${length}`);
}
