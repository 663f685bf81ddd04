// Flows of packets for segment() and Coalescer.
import fc from "npm:fast-check@4";
import {
  buildPacket,
  ethernet,
  Ipv4,
  ipv4,
  Ipv6,
  ipv6,
  type PacketSlots,
  tcp,
  TCP_FLAG,
  type TcpOption,
  udp,
  VIRTIO_NET_HDR_F,
  VIRTIO_NET_HDR_GSO,
  VirtioNetHeader,
} from "../../src/packet/mod.ts";

/** The common fields of the packets of a flow. */
export interface Flow {
  readonly version: 4 | 6;
  readonly protocol: "tcp" | "udp";
  /** The last byte of both addresses, and of the source port. */
  readonly number: number;
  readonly ttl: number;
  readonly trafficClass: number;
  readonly dontFragment: boolean;
  readonly acknowledgment: number;
  readonly window: number;
  readonly options: readonly TcpOption[];
  /** Whether there is an Ethernet header. */
  readonly framed: boolean;
}

/** The fields that differ between packets of a flow. */
export interface Position {
  readonly sequence: number;
  readonly identification: number;
  /** Besides ACK. */
  readonly flags: number;
}

const options = fc.oneof(
  fc.constant<TcpOption[]>([]),
  fc.tuple(fc.nat(), fc.nat()).map(([timestamp, echo]): TcpOption[] => [
    { nop: true },
    { nop: true },
    { timestamp, echo },
  ]),
);

/** Any flow. */
export const flows: fc.Arbitrary<Flow> = fc.record({
  version: fc.constantFrom(4, 6),
  protocol: fc.constantFrom("tcp", "udp"),
  number: fc.nat({ max: 255 }),
  ttl: fc.nat({ max: 255 }),
  trafficClass: fc.nat({ max: 255 }),
  dontFragment: fc.boolean(),
  acknowledgment: fc.nat({ max: 0xffffffff }),
  window: fc.nat({ max: 0xffff }),
  options,
  framed: fc.boolean(),
});

/** Any place in one, near the ends of the numbers too. */
export const positions: fc.Arbitrary<Position> = fc.record({
  sequence: fc.oneof(fc.nat({ max: 0xffffffff }), fc.integer({ min: 0xffff0000, max: 0xffffffff })),
  identification: fc.oneof(fc.nat({ max: 0xffff }), fc.integer({ min: 0xfff0, max: 0xffff })),
  flags: fc.subarray([TCP_FLAG.FIN, TCP_FLAG.PSH, TCP_FLAG.CWR, TCP_FLAG.ECE])
    .map((flags) => flags.reduce((all, flag) => all | flag, 0)),
});

/** Bytes that differ from their neighbors, and say where they are from. */
export function payloadOf(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (from + i) * 31 ^ (from + i) >> 8);
}

/** A whole packet of a flow. */
export function packetOf(
  flow: Flow,
  { sequence, identification, flags }: Position,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const { number, ttl, trafficClass, dontFragment } = flow;
  const ip = flow.version === 4
    ? ipv4({
      source: `10.0.0.${number}`,
      destination: `10.0.1.${number}`,
      ttl,
      dscp: trafficClass >> 2,
      ecn: trafficClass & 3,
      dontFragment,
      identification,
    })
    : ipv6({
      source: `fd00::${number + 1}`,
      destination: `fd01::${number + 1}`,
      hopLimit: ttl,
      trafficClass,
      flowLabel: 0x12345,
    });
  const ports = { sourcePort: 1000 + number, destinationPort: 2000 };
  const { acknowledgment, window, options } = flow;
  const transport = flow.protocol === "udp"
    ? udp(ports)
    : tcp({ ...ports, sequence, acknowledgment, flags, window, options });
  const link = ethernet({ source: "02:00:00:00:00:01", destination: "02:00:00:00:00:02" });
  return flow.framed
    ? buildPacket(link, ip, transport, payload)
    : buildPacket(ip, transport, payload);
}

/** Bytes of the headers of a packet of a flow: link, IP, transport. */
export function headersOf({ version, protocol, options, framed }: Flow) {
  const link = framed ? 14 : 0;
  const transport = link + (version === 4 ? 20 : 40);
  return { link, transport, all: transport + (protocol === "udp" ? 8 : options.length ? 32 : 20) };
}

/** A GSO packet with a partial checksum, as read from a device with `IFF_VNET_HDR`. */
export function gsoPacketOf(
  flow: Flow,
  position: Position,
  payload: Uint8Array,
  size: number,
): Uint8Array<ArrayBuffer> {
  const packet = packetOf(flow, position, payload);
  const { transport, all } = headersOf(flow);
  const bytes = new Uint8Array(10 + packet.length);
  bytes.set(packet, 10);
  const header = VirtioNetHeader.parse(bytes)!;
  const tcp = flow.protocol === "tcp";
  header.flags = VIRTIO_NET_HDR_F.NEEDS_CSUM;
  header.checksumStart = transport;
  header.checksumOffset = tcp ? 16 : 6;
  if (payload.length > size) {
    const { TCPV4, TCPV6, UDP_L4, ECN } = VIRTIO_NET_HDR_GSO;
    header.gsoType = tcp ? flow.version === 4 ? TCPV4 : TCPV6 : UDP_L4;
    if (tcp && (position.flags & TCP_FLAG.CWR) !== 0) header.gsoType |= ECN;
    header.gsoSize = size;
    header.headerLength = all;
  }
  // The sum of the pseudo header is in the checksum's place.
  const at = 10 + transport;
  const view = new DataView(bytes.buffer);
  view.setUint16(at + header.checksumOffset, pseudoSum(flow, bytes, bytes.length - at));
  return bytes;
}

function pseudoSum({ version, framed, protocol }: Flow, bytes: Uint8Array, length: number): number {
  const at = 10 + (framed ? 14 : 0);
  const packet = version === 4 ? Ipv4.parse(bytes, at)! : Ipv6.parse(bytes, at)!;
  return packet.pseudoHeaderSum(protocol === "tcp" ? 6 : 17, length);
}

/** Slots for packets, not at the begin of their buffer. */
export function slots(capacity: number, size = 65_600): PacketSlots {
  const bytes = new Uint8Array(new ArrayBuffer(capacity * size + 16), 16);
  return {
    bytes,
    size,
    capacity,
    count: 0,
    offsets: new Int32Array(capacity),
    lengths: new Int32Array(capacity),
  };
}

/** Copies of the packets in slots. */
export function packetsIn({ bytes, count, offsets, lengths }: PacketSlots): Uint8Array[] {
  return Array.from(
    { length: count },
    (_, i) => bytes.slice(offsets[i]!, offsets[i]! + lengths[i]!),
  );
}
