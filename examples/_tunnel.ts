/**
 * Both directions of a tunnel with offloads: IP packets of a TUN in UDP datagrams.
 *
 * @module
 */
import {
  DeviceClosedError,
  MAX_PACKET,
  PacketBatch,
  SyscallError,
  type Tun,
  type UdpSocket,
  writeSegmented,
} from "@netloom/netloom";
import {
  Coalescer,
  type PacketSlots,
  segment,
  VIRTIO_NET_HDR_GSO,
  VirtioNetHeader,
} from "@netloom/netloom/packet";

/** Carries packets both ways until both devices are closed. */
export async function tunnel(tun: Tun, udp: UdpSocket): Promise<void> {
  await Promise.all([send, receive].map((direction) =>
    direction(tun, udp).catch((error) => {
      if (!(error instanceof DeviceClosedError)) throw error;
    })
  ));
}

/** From the TUN into datagrams: cuts GSO packets, and writes their segments with one call. */
async function send(tun: Tun, udp: UdpSocket): Promise<never> {
  const bytes = new Uint8Array(MAX_PACKET);
  const packet = new VirtioNetHeader();
  const datagrams = new Datagrams();
  for (;;) {
    packet.point(bytes, 0, await tun.read(bytes));
    datagrams.fit(packet);
    let left = segment(packet, datagrams);
    while (datagrams.count > 0) {
      await write(udp, datagrams);
      datagrams.count = 0;
      if (left) left = segment(packet, datagrams, { left });
    }
  }
}

/** Writes datagrams; those that the network refuses are lost, as in any network. */
function write(udp: UdpSocket, { bytes, size, length }: Datagrams): Promise<void> | undefined {
  try {
    return udp.tryWriteSegments(bytes, size, length)
      ? undefined
      : udp.writeSegments(bytes, size, { length });
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    return undefined;
  }
}

/** From datagrams into the TUN: merges the packets of a flow, and writes them with one call. */
async function receive(tun: Tun, udp: UdpSocket): Promise<never> {
  const datagrams = new PacketBatch();
  const packets = new PacketBatch();
  const coalescer = new Coalescer(packets);
  const { bytes, offsets, lengths } = datagrams;
  const flush = async () => {
    try {
      await writeSegmented(tun, packets);
    } catch (error) {
      // A packet that the kernel refuses is lost.
      if (!(error instanceof SyscallError)) throw error;
    }
    coalescer.clear();
  };
  for (;;) {
    const count = await udp.readBatch(datagrams);
    for (let i = 0; i < count; i++) {
      const end = offsets[i]! + lengths[i]!;
      let next: number;
      for (let at = offsets[i]!; at < end; at = next) {
        next = packetEnd(bytes, at, end);
        while (!coalescer.add(bytes, at, next)) await flush();
      }
    }
    await flush();
  }
}

/** The end of an IP packet by its header: one read may return several packets. */
function packetEnd(bytes: Uint8Array, at: number, end: number): number {
  const v4 = bytes[at]! >> 4 === 4;
  const field = at + (v4 ? 2 : 4);
  const length = (bytes[field]! << 8 | bytes[field + 1]!) + (v4 ? 0 : 40);
  return length < 20 || at + length > end ? end : at + length;
}

/** Limits of one write: bytes and datagrams. */
const MOST = 65_507;
const MOST_DATAGRAMS = 64;

/** Memory for the segments of one packet, without gaps. */
class Datagrams implements PacketSlots {
  readonly bytes = new Uint8Array(MAX_PACKET);
  readonly offsets = new Int32Array(MOST_DATAGRAMS);
  readonly lengths = new Int32Array(MOST_DATAGRAMS);
  size = 0;
  capacity = 0;
  count = 0;

  /** Total bytes of the segments. */
  get length(): number {
    return this.offsets[this.count - 1]! + this.lengths[this.count - 1]!;
  }

  /** Sets the size of the slots to that of the segments of a packet. */
  fit(
    { bytes, packetStart, end, gsoType, gsoSize, checksumStart, checksumOffset }: VirtioNetHeader,
  ) {
    const transport = packetStart + checksumStart;
    const header = checksumOffset === 16 ? (bytes[transport + 12]! >> 4) * 4 : 8;
    const whole = gsoType === VIRTIO_NET_HDR_GSO.NONE;
    this.size = whole ? end - packetStart : checksumStart + header + gsoSize;
    this.capacity = Math.min(MOST_DATAGRAMS, Math.floor(MOST / this.size));
    this.count = 0;
  }
}
