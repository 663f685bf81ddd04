/**
 * Where the parts of a packet are that is to be segmented.
 *
 * @module
 */
import { u16 } from "./bytes.ts";
import { IPPROTO } from "./ip.ts";
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO, type VirtioNetHeader } from "./virtio.ts";

/** No IP packet is longer, nor any segment. */
export const MAX_IP = 65_535;

/** The parts of a superpacket, as offsets in its memory. */
export class Superpacket {
  /** Memory. */
  bytes: Uint8Array = new Uint8Array(0);
  /** First byte of the packet, its link header if there is one. */
  start = 0;
  /** The IP header. */
  network = 0;
  /** The TCP or UDP header. */
  transport = 0;
  /** What is split. */
  payload = 0;
  /** After it. */
  end = 0;
  /** Bytes of payload of each segment but the last. */
  size = 0;
  /** Whether it is IPv4. */
  v4 = false;
  /** Whether it is TCP. */
  tcp = false;

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
    const length = version === 4
      ? ipv4Length(bytes, network, transport, protocol)
      : version === 6
      ? ipv6Length(bytes, network, transport, protocol)
      : -1;
    // No length is that of one that is longer than the field can tell.
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
    return true;
  }
}

/** Bytes of an IPv4 packet with that header where it should be; 0 when it does not say, else -1. */
function ipv4Length(bytes: Uint8Array, at: number, transport: number, protocol: number): number {
  if ((bytes[at]! & 15) * 4 !== transport - at || bytes[at + 9] !== protocol) return -1;
  return u16(bytes, at + 2);
}

/** The same of IPv6. */
function ipv6Length(bytes: Uint8Array, at: number, transport: number, protocol: number): number {
  if (transport < at + 40 || transport === at + 40 && bytes[at + 6] !== protocol) return -1;
  const length = u16(bytes, at + 4);
  return length === 0 ? 0 : length + 40;
}
