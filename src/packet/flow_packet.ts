/**
 * A packet as one of a flow.
 *
 * @module
 */
import { memory, u16, u32 } from "./bytes.ts";
import { checksumFold, pseudoHeaderSum, sumMemory } from "./checksum.ts";
import { IPPROTO } from "./ip.ts";
import { TCP_FLAG } from "./tcp.ts";

/** Flags of TCP segments that others may follow in the same packet. */
const OPENS = TCP_FLAG.ACK | TCP_FLAG.ECE | TCP_FLAG.CWR;

/** The parts of a TCP segment or UDP datagram that may be merged with others of its flow. */
export class FlowPacket {
  /** Memory. */
  bytes: Uint8Array = new Uint8Array(0);
  /** First byte of the packet, its link header if there is one. */
  start = 0;
  /** The IP header. */
  network = 0;
  /** The TCP or UDP header. */
  transport = 0;
  /** The payload. */
  payload = 0;
  /** After it. */
  end = 0;
  /** Whether it is IPv4. */
  v4 = false;
  /** Whether it is TCP. */
  tcp = false;
  /** Of addresses and ports. */
  hash = 0;
  /** Whether a packet that is none of these may be a part of a flow all the same: a fragment. */
  ofFlow = false;

  /** Finds the parts, or returns `false` for what is never merged. */
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
      // IPv6 may have extension headers before either.
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

  /** Whether others may be merged behind it. */
  get opens(): boolean {
    if (this.payload === this.end) return false;
    const { bytes, transport } = this;
    if (!this.tcp) return u16(bytes, transport + 6) !== 0;
    return (bytes[transport + 13]! & ~OPENS) === 0;
  }

  /** Whether the checksums of IPv4 and of TCP or UDP are right, and there. */
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
    if (!v4) return true;
    let header = 0;
    for (let i = network; i < transport; i += 2) header += u16(bytes, i);
    return checksumFold(header) === 0xffff;
  }
}

/** Of addresses, which end where the ports begin, ports and protocol. */
function hashOf(bytes: Uint8Array, at: number, transport: number, protocol: number): number {
  let hash = protocol;
  for (let i = at; i < transport + 4; i += 4) hash = Math.imul(hash ^ u32(bytes, i), 0x9e3779b1);
  return hash ^ hash >>> 15;
}
