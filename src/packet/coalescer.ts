/**
 * Merging of packets of one flow into few large ones (GRO), for devices with `IFF_VNET_HDR`.
 *
 * @module
 */
import { boolean, checkOptions, integer, type OptionNames } from "../options.ts";
import {
  checksum,
  checksumAdd,
  checksumFold,
  copy,
  memory,
  pseudoHeaderSum,
  same,
  setU16,
  sumMemory,
  u16,
  u32,
} from "./bytes.ts";
import { IPPROTO } from "./address.ts";
import {
  MAX_IP,
  PacketParts,
  type PacketSlots,
  VIRTIO_NET_HDR_F,
  VIRTIO_NET_HDR_GSO,
  VIRTIO_NET_HEADER,
} from "./segment.ts";
import { TCP_FLAG } from "./tcp.ts";

/**
 * Flags of TCP segments that others may follow in the same packet. CWR is not among them: since accurate ECN
 * it counts for each segment (Linux 6.18, `tcp_gro_receive()`).
 */
const OPENS = TCP_FLAG.ACK | TCP_FLAG.ECE;

/** The parts of a TCP segment or UDP datagram that may be merged with others of its flow. */
class FlowPacket extends PacketParts {
  /** Hash of addresses, ports and protocol. */
  hash = 0;
  /** Whether a packet that is never merged may still belong to a flow, as a fragment does. */
  ofFlow = false;

  /** Finds the parts, or returns `false` for a packet that is never merged. */
  point(bytes: Uint8Array, start: number, end: number, linkHeader: number): boolean {
    this.ofFlow = false;
    const network = start + linkHeader;
    if (network + 28 > end) return false;
    const version = bytes[network]! >> 4;
    const v4 = version === 4;
    if (!v4 && (version !== 6 || network + 48 > end)) return false;
    if (linkHeader >= 14 && u16(bytes, network - 2) !== (v4 ? 0x0800 : 0x86dd)) return false;
    const protocol = bytes[network + (v4 ? 9 : 6)]!;
    const tcp = protocol === IPPROTO.TCP;
    if (!tcp && protocol !== IPPROTO.UDP) {
      // In IPv6 either may follow behind extension headers.
      this.ofFlow = !v4 && protocol !== IPPROTO.ICMPV6;
      return false;
    }
    this.ofFlow = true;
    const transport = network + (v4 ? 20 : 40);
    if (v4 && (bytes[network] !== 0x45 || (u16(bytes, network + 6) & 0x3fff) !== 0)) return false;
    const length = v4 ? u16(bytes, network + 2) : u16(bytes, network + 4) + 40;
    if (length !== end - network) return false;
    let payload = transport + 8;
    if (tcp) {
      if (transport + 20 > end) return false;
      payload = transport + (bytes[transport + 12]! >> 4) * 4;
      if (payload < transport + 20 || payload > end) return false;
    } else if (u16(bytes, transport + 4) !== end - transport) return false;
    this.bytes = bytes;
    this.start = start;
    this.network = network;
    this.transport = transport;
    this.payload = payload;
    this.end = end;
    this.v4 = v4;
    this.tcp = tcp;
    this.hash = hashOf(bytes, network + (v4 ? 12 : 8), transport, protocol);
    return true;
  }

  /** Whether other packets may be merged behind it. */
  get opens(): boolean {
    if (this.payload === this.end) return false;
    const { bytes, transport } = this;
    if (!this.tcp) return u16(bytes, transport + 6) !== 0;
    return (bytes[transport + 13]! & ~OPENS) === 0;
  }

  /** Whether the checksums of IPv4 and of TCP or UDP are present and right. */
  get checksumsValid(): boolean {
    const { bytes, network, transport, end, v4, tcp } = this;
    if (!tcp && u16(bytes, transport + 6) === 0) return false;
    const length = end - transport;
    const protocol = tcp ? IPPROTO.TCP : IPPROTO.UDP;
    const addresses = network + (v4 ? 12 : 8);
    const pseudo = pseudoHeaderSum(bytes, addresses, v4 ? 8 : 32, protocol, length);
    const base = bytes.byteOffset;
    const sum = pseudo + sumMemory(memory(bytes), base + transport, base + end);
    if (checksumFold(sum) !== 0xffff) return false;
    return !v4 || checksumAdd(bytes, network, transport) === 0xffff;
  }
}

/** Hashes the addresses, which end where the ports begin, the ports and the protocol. */
function hashOf(bytes: Uint8Array, at: number, transport: number, protocol: number): number {
  let hash = protocol;
  for (let i = at; i < transport + 4; i += 4) hash = Math.imul(hash ^ u32(bytes, i), 0x9e3779b1);
  return hash ^ hash >>> 15;
}

/** Options of a {@link Coalescer}. */
export interface CoalescerOptions {
  /** Bytes before the IP header: 14 on a TAP, 0 (the default) on a TUN. */
  readonly linkHeader?: number;
  /** Whether to merge datagrams; default `true`. Linux accepts them since 6.2: offload `uso4`. */
  readonly udp?: boolean;
}

const ENDING = TCP_FLAG.FIN | TCP_FLAG.PSH;
/** Flags of a segment that nothing is merged behind. */
const LAST = ENDING | TCP_FLAG.URG | TCP_FLAG.RST | TCP_FLAG.SYN;
/** Datagrams in one packet (`UDP_GRO_CNT_MAX`). */
const MAX_DATAGRAMS = 64;
const OPTIONS: OptionNames<CoalescerOptions> = { linkHeader: true, udp: true };

/** Entries of the table of flows; a power of two. */
const FLOWS = 1024;

/**
 * Collects packets for a device with `IFF_VNET_HDR` and merges them as the kernel's GRO does: consecutive TCP
 * segments and UDP datagrams of one flow, over IPv4 and IPv6. A tunnel then writes a few large packets
 * instead of many small ones. The order within a flow stays.
 *
 * It merges packets with right checksums and equal addresses, ports, TTL, traffic class, DF, acknowledgment,
 * window, flags and options, whose identification stays or counts up. All have the size of the first one,
 * only the last may be shorter. A merged packet has at most 65,535 bytes or 64 datagrams. Everything else
 * passes unchanged: pure acknowledgments, segments with CWR, fragments, packets with IP options or extension
 * headers, other protocols, malformed packets. Allocates nothing.
 *
 * Packets are copied into the slots of the output, each behind a header of 10 bytes: the caller may reuse its
 * memory when {@link Coalescer.add} returns. The output may be written at any time.
 *
 * @example From a tunnel into a TUN
 * ```ts
 * import { buildPacket, Coalescer, ipv4, udp, VirtioNetHeader } from "@netloom/netloom/packet";
 * import { PacketBatch } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * const batch = new PacketBatch();
 * const coalescer = new Coalescer(batch);
 * for (let i = 0; i < 10; i++) {
 *   const packet = buildPacket(
 *     ipv4({ source: "10.0.0.1", destination: "10.0.0.2", identification: i }),
 *     udp({ sourcePort: 1000, destinationPort: 2000 }),
 *     new Uint8Array(1400),
 *   );
 *   coalescer.add(packet);
 * }
 * // await device.writeBatch(batch);
 * assertEquals(batch.count, 1);
 * assertEquals(VirtioNetHeader.parse(batch.packet(0))!.gsoSize, 1400);
 * coalescer.clear();
 * ```
 */
export class Coalescer {
  readonly #output: PacketSlots;
  readonly #view: DataView;
  readonly #linkHeader: number;
  readonly #udp: boolean;
  readonly #packet = new FlowPacket();
  /** The slot plus 1 that collects the packets of a flow, by the flow's hash; 0 for none. */
  readonly #flows = new Int32Array(FLOWS);
  // For each slot: the flow's hash, the payload bytes of the first packet and of all, the number of packets,
  // and the step of the identification: 0 or 1, or -1 while it is open.
  readonly #hashes: Int32Array;
  readonly #sizes: Int32Array;
  readonly #payloads: Int32Array;
  readonly #counts: Int32Array;
  readonly #steps: Int32Array;

  /**
   * Creates a coalescer for an empty output.
   *
   * @param output The destination of packets. Slots of 65,600 bytes hold any packet.
   * @param options Link header, and whether to merge datagrams.
   * @throws {TypeError} For an unknown option, or one of another type.
   * @throws {RangeError} When the link header is not in 0..64.
   */
  constructor(output: PacketSlots, options: CoalescerOptions = {}) {
    checkOptions(options, OPTIONS);
    const { linkHeader = 0, udp = true } = options;
    integer(linkHeader, "linkHeader", 0, 64);
    boolean(udp, "udp");
    this.#output = output;
    this.#view = new DataView(output.bytes.buffer);
    this.#linkHeader = linkHeader;
    this.#udp = udp;
    this.#hashes = new Int32Array(output.capacity);
    this.#sizes = new Int32Array(output.capacity);
    this.#payloads = new Int32Array(output.capacity);
    this.#counts = new Int32Array(output.capacity);
    this.#steps = new Int32Array(output.capacity);
  }

  /**
   * Adds a packet without a virtio-net header.
   *
   * @param bytes Memory.
   * @param start Offset of the packet; default 0.
   * @param end End of the packet, exclusive; default all bytes.
   * @returns Whether there was room. Otherwise write the output, call {@link Coalescer.clear} and add again.
   * @throws {RangeError} When the packet is longer than a slot, or outside the memory.
   */
  add(bytes: Uint8Array, start = 0, end: number = bytes.length): boolean {
    const length = end - start;
    if (start < 0 || end > bytes.length || length < 0) {
      throw new RangeError(`start..end must be within ${bytes.length} bytes: got ${start}..${end}`);
    }
    if (length + VIRTIO_NET_HEADER > this.#output.size) {
      throw new RangeError(
        `A slot has ${this.#output.size} bytes: a packet of ${length} is too long`,
      );
    }
    const packet = this.#packet;
    const known = packet.point(bytes, start, end, this.#linkHeader);
    if (!known) return this.#append(bytes, start, end) >= 0 && this.#pass(packet);
    const flow = packet.hash & FLOWS - 1;
    const slot = this.#flows[flow]! - 1;
    if (slot >= 0 && this.#hashes[slot] === packet.hash && this.#mergeable(slot, packet)) {
      this.#merge(slot, packet);
      if (this.#full(slot, packet)) this.#flows[flow] = 0;
      return true;
    }
    const next = this.#append(bytes, start, end);
    if (next < 0) return false;
    // Later packets of this flow must not overtake it.
    this.#flows[flow] = packet.opens && (packet.tcp || this.#udp) ? next + 1 : 0;
    this.#hashes[next] = packet.hash;
    this.#sizes[next] = this.#payloads[next] = packet.end - packet.payload;
    this.#counts[next] = 1;
    this.#steps[next] = -1;
    return true;
  }

  /** Empties the output, after it has been written. */
  clear(): void {
    this.#output.count = 0;
    this.#flows.fill(0);
  }

  /** A packet that is not understood may belong to any flow: nothing overtakes it. */
  #pass(packet: FlowPacket): true {
    if (packet.ofFlow) this.#flows.fill(0);
    return true;
  }

  /** Copies a packet into the next slot; returns the slot, or -1 when none is free. */
  #append(bytes: Uint8Array, start: number, end: number): number {
    const output = this.#output;
    const slot = output.count;
    if (slot === output.capacity) return -1;
    const at = slot * output.size;
    for (let i = at; i < at + VIRTIO_NET_HEADER; i++) output.bytes[i] = 0;
    const target = output.bytes.byteOffset + at + VIRTIO_NET_HEADER;
    const base = bytes.byteOffset;
    copy(memory(bytes), base + start, base + end, this.#view, target);
    output.offsets[slot] = at;
    output.lengths[slot] = VIRTIO_NET_HEADER + end - start;
    output.count++;
    return slot;
  }

  /** Whether a packet continues those in a slot. */
  #mergeable(slot: number, packet: FlowPacket): boolean {
    const { bytes, start, network, transport, payload, end, tcp, v4 } = packet;
    const output = this.#output;
    const held = output.bytes;
    const first = output.offsets[slot]! + VIRTIO_NET_HEADER;
    const ip = first + network - start;
    const l4 = first + transport - start;
    const size = end - payload;
    const merged = this.#payloads[slot]!;
    const headers = payload - start;
    // The most frequent differences first.
    if (size === 0 || size > this.#sizes[slot]!) return false;
    if (headers - (network - start) + merged + size > MAX_IP) return false;
    if (VIRTIO_NET_HEADER + headers + merged + size > output.size) return false;
    if (tcp) {
      if (u32(bytes, transport + 4) !== (u32(held, l4 + 4) + merged) >>> 0) return false;
      const flags = u16(bytes, transport + 12);
      // The word includes the length of the header.
      if (((flags ^ u16(held, l4 + 12)) & ~ENDING) !== 0) return false;
      // Acknowledgment, window, urgent pointer and options.
      if (!same(bytes, transport + 8, held, l4 + 8, 4)) return false;
      if (u16(bytes, transport + 14) !== u16(held, l4 + 14)) return false;
      const rest = payload - transport - 18;
      if (!same(bytes, transport + 18, held, l4 + 18, rest)) return false;
    }
    if (!same(bytes, start, held, first, network - start)) return false;
    if (!same(bytes, transport, held, l4, 4)) return false;
    if (v4 ? !this.#sameIpv4(slot, packet, ip) : !sameIpv6(packet, held, ip)) return false;
    if (!packet.checksumsValid) return false;
    // The first checksum is replaced by a partial one, which the kernel trusts.
    return this.#counts[slot] !== 1 || this.#firstValid(slot, headers);
  }

  #sameIpv4(slot: number, { bytes, network }: FlowPacket, ip: number): boolean {
    const held = this.#output.bytes;
    // Version, header length and type of service; flags and fragment; TTL and protocol; addresses.
    if (u16(bytes, network) !== u16(held, ip)) return false;
    if (!same(bytes, network + 6, held, ip + 6, 4)) return false;
    if (!same(bytes, network + 12, held, ip + 12, 8)) return false;
    const dontFragment = (bytes[network + 6]! & 0x40) !== 0;
    const count = this.#counts[slot]!;
    const distance = u16(bytes, network + 4) - u16(held, ip + 4) & 0xffff;
    const step = distance === count ? 1 : distance === 0 ? 0 : -1;
    if (step < 0 || step === 0 && !dontFragment) return false;
    if (count > 1 && step !== this.#steps[slot]) return false;
    this.#steps[slot] = step;
    return true;
  }

  /** Whether the checksums of the only packet in a slot are right. */
  #firstValid(slot: number, headers: number): boolean {
    const { bytes, offsets } = this.#output;
    const start = offsets[slot]! + VIRTIO_NET_HEADER;
    const first = firstPacket;
    const end = start + headers + this.#sizes[slot]!;
    return first.point(bytes, start, end, this.#linkHeader) && first.checksumsValid;
  }

  #merge(slot: number, packet: FlowPacket): void {
    const { bytes, start, network, transport, payload, end, tcp, v4 } = packet;
    const output = this.#output;
    const at = output.offsets[slot]!;
    const length = output.lengths[slot]!;
    const base = bytes.byteOffset;
    const target = output.bytes.byteOffset + at + length;
    copy(memory(bytes), base + payload, base + end, this.#view, target);
    output.lengths[slot] = length + end - payload;
    this.#payloads[slot]! += end - payload;
    const count = ++this.#counts[slot]!;
    const held = output.bytes;
    const first = at + VIRTIO_NET_HEADER;
    const ip = first + network - start;
    const l4 = first + transport - start;
    const total = output.lengths[slot]! - VIRTIO_NET_HEADER - (network - start);
    if (tcp) held[l4 + 13]! |= bytes[transport + 13]! & ENDING;
    if (count === 2) this.#writeHeader(at, slot, packet);
    if (v4) {
      setU16(held, ip + 2, total);
      setU16(held, ip + 10, 0);
      setU16(held, ip + 10, checksum(held, ip, ip + 20));
    } else setU16(held, ip + 4, total - 40);
    const l4Length = total - (transport - network);
    if (!tcp) setU16(held, l4 + 4, l4Length);
    // A partial checksum: the kernel or the device adds the rest.
    const protocol = tcp ? IPPROTO.TCP : IPPROTO.UDP;
    const sum = pseudoHeaderSum(held, ip + (v4 ? 12 : 8), v4 ? 8 : 32, protocol, l4Length);
    setU16(held, l4 + (tcp ? 16 : 6), sum);
  }

  /** Writes how the packet in a slot is split again. */
  #writeHeader(at: number, slot: number, packet: FlowPacket): void {
    const { start, transport, payload, tcp, v4 } = packet;
    const { bytes } = this.#output;
    const type = tcp
      ? v4 ? VIRTIO_NET_HDR_GSO.TCPV4 : VIRTIO_NET_HDR_GSO.TCPV6
      : VIRTIO_NET_HDR_GSO.UDP_L4;
    bytes[at] = VIRTIO_NET_HDR_F.NEEDS_CSUM;
    bytes[at + 1] = type;
    littleEndian(bytes, at + 2, payload - start);
    littleEndian(bytes, at + 4, this.#sizes[slot]!);
    littleEndian(bytes, at + 6, transport - start);
    littleEndian(bytes, at + 8, tcp ? 16 : 6);
  }

  /** Whether nothing may be merged behind the packet that was just merged. */
  #full(slot: number, { bytes, transport, payload, end, tcp }: FlowPacket): boolean {
    if (end - payload < this.#sizes[slot]!) return true;
    return tcp ? (bytes[transport + 13]! & LAST) !== 0 : this.#counts[slot]! >= MAX_DATAGRAMS;
  }
}

const firstPacket = new FlowPacket();

/** Compares version, traffic class and flow label; next header, hop limit and addresses. */
function sameIpv6({ bytes, network }: FlowPacket, held: Uint8Array, ip: number): boolean {
  return same(bytes, network, held, ip, 4) && same(bytes, network + 6, held, ip + 6, 34);
}

function littleEndian(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}
