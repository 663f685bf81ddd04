/**
 * Splitting what the kernel left to the device to split (TSO, USO), and completing checksums.
 *
 * @module
 */
import { copy, memory, setU16, setU32, u16, u32 } from "./bytes.ts";
import { checksumAdd, checksumFold, pseudoHeaderSum, sumMemory } from "./checksum.ts";
import { IPPROTO } from "./ip.ts";
import { Superpacket } from "./superpacket.ts";
import { TCP_FLAG } from "./tcp.ts";
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO, type VirtioNetHeader } from "./virtio.ts";

/** Memory for many packets, each in a slot of its own; a `PacketBatch` of `./device` is one. */
export interface PacketSlots {
  /** All slots, one after the other. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes of each slot. */
  readonly size: number;
  /** Number of slots. */
  readonly capacity: number;
  /** Packets in it, from slot 0. */
  count: number;
  /** Where each packet starts in `bytes`. */
  readonly offsets: Int32Array;
  /** Bytes of each packet. */
  readonly lengths: Int32Array;
}

/** Options of {@link segment}. */
export interface SegmentOptions {
  /** Bytes before the IP header: 14 on a TAP, 0 (the default) on a TUN. */
  readonly linkHeader?: number;
  /** Bytes to leave before each packet, for a header of one's own; default 0. They are not cleared. */
  readonly headroom?: number;
  /** How many segments are still to come, after the output was full: what the last call returned. */
  readonly left?: number;
}

const NONE: SegmentOptions = {};
/** Kept, so that nothing is allocated. */
const superpacket = new Superpacket();

/**
 * Splits a packet read from a device with `IFF_VNET_HDR` into packets as they go over a wire, without
 * that header: lengths, IPv4 identifications, TCP sequence numbers and flags (FIN and PSH on the last,
 * CWR on the first) and checksums are as the kernel's own segmentation makes them. A packet that is not
 * to be split is copied, and its checksum completed when that is asked for. Nothing is allocated.
 *
 * @param packet The header and the packet after it.
 * @param output Where the packets are added. When it is full, empty it and go on with `left`.
 * @param options Link header, headroom, and how many segments are still to come.
 * @returns How many segments are still to come: 0 when all are in the output. `undefined` when the
 *   packet is malformed, and then nothing was added.
 * @throws {RangeError} When a slot of the output is too small for a segment.
 *
 * @example Three datagrams that were sent as one, into a batch of two
 * ```ts
 * import { PacketBatch } from "@netloom/netloom";
 * import { buildPacket, ipv4, segment, udp, VirtioNetHeader } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * // As a TUN with offloads gives it: NEEDS_CSUM, UDP_L4, 28 bytes of headers, 1000 of each payload.
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
  if (packet.gsoType === VIRTIO_NET_HDR_GSO.NONE) return complete(packet, output, headroom);
  if (!superpacket.point(packet, linkHeader)) return undefined;
  const header = superpacket.payload - superpacket.start;
  const largest = Math.min(superpacket.size, superpacket.end - superpacket.payload);
  checkRoom(output, headroom + header + largest);
  return split(superpacket, output, headroom, left);
}

/**
 * Completes the checksum of a packet in place, when its header asks for that (`NEEDS_CSUM`).
 *
 * @returns Whether there was nothing to do or it was done; `false` when the header is malformed.
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

/** Copies a packet that is not to be split. */
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
  { bytes, start, network, transport, payload, end, size, v4, tcp, segments }: Superpacket,
  output: PacketSlots,
  headroom: number,
  left = segments,
): number {
  const out = output.bytes;
  const input = memory(bytes);
  const target = memory(out);
  const [base, targetBase] = [bytes.byteOffset, out.byteOffset];
  const header = payload - start;
  const [networkAt, transportAt] = [network - start, transport - start];
  // The sums of what all segments share; what differs is left out.
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
    copy(input, base + start, base + payload, target, targetBase + at);
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
      // The length is in the pseudo header and in the header.
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

/** FIN and PSH are the last segment's, CWR is the first one's. */
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
  const addresses = network + (v4 ? 12 : 8);
  const protocol = tcp ? IPPROTO.TCP : IPPROTO.UDP;
  const pseudo = pseudoHeaderSum(bytes, addresses, v4 ? 8 : 32, protocol, 0);
  const ports = pseudo + u16(bytes, transport) + u16(bytes, transport + 2);
  if (!tcp) return ports;
  const middle = checksumAdd(bytes, transport + 8, transport + 12) + u16(bytes, transport + 14);
  return ports + middle + checksumAdd(bytes, transport + 18, payload);
}

/** Zero would say that there is none (UDP): its other form stands for it, with any protocol. */
function writeChecksum(bytes: Uint8Array, at: number, sum: number): void {
  setU16(bytes, at, ~checksumFold(sum) & 0xffff || 0xffff);
}

function checkRoom(output: PacketSlots, length: number): void {
  if (length <= output.size) return;
  throw new RangeError(`A slot of the output has ${output.size} bytes: ${length} are needed`);
}
