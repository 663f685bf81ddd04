/**
 * The pcap format (draft-ietf-opsawg-pcap).
 *
 * @module
 */
import type { Bytes } from "./bytes.ts";
import { type CaptureInterface, OwnFrame } from "./frame.ts";
import { CaptureFileError, PCAP_MAGIC } from "./pcapng.ts";

const FILE_HEADER = 24;
const PACKET_HEADER = 16;

/** Reads the packets of a pcap file, from its start. */
export async function* readPcap(bytes: Bytes, little: boolean): AsyncGenerator<OwnFrame> {
  const header = await bytes.take(FILE_HEADER, "the file header");
  const unit = header!.getUint32(0, little) === PCAP_MAGIC.NANOSECONDS ? 1 : 1000;
  const [major, minor] = [header!.getUint16(4, little), header!.getUint16(6, little)];
  if (major !== 2) throw new CaptureFileError(`The file is of pcap version ${major}.${minor}`, 4);
  const where: CaptureInterface = {
    name: "",
    // The upper bits say something of frame check sequences.
    linkType: header!.getUint32(20, little) & 0xffff,
    snaplen: header!.getUint32(16, little),
  };
  for (;;) {
    const start = bytes.offset;
    const packet = await bytes.take(PACKET_HEADER, "a packet's header");
    if (!packet) return;
    const seconds = packet.getUint32(0, little);
    const nanoseconds = packet.getUint32(4, little) * unit;
    const captured = packet.getUint32(8, little);
    const length = packet.getUint32(12, little);
    if (nanoseconds >= 1e9) {
      throw new CaptureFileError(`A packet has ${nanoseconds} nanoseconds of a second`, start);
    }
    const data = captured === 0 ? undefined : await bytes.take(captured, "a packet");
    if (captured > 0 && !data) {
      throw new CaptureFileError(`The file ends before a packet of ${captured} bytes`, start);
    }
    yield new OwnFrame({
      interface: where,
      seconds,
      nanoseconds,
      length,
      data: data ? new Uint8Array(copyOf(data)) : new Uint8Array(),
    });
  }
}

/** The bytes of a view, in memory of their own. */
export function copyOf(view: DataView<ArrayBuffer>, offset = 0, length?: number): ArrayBuffer {
  const start = view.byteOffset + offset;
  return view.buffer.slice(start, start + (length ?? view.byteLength - offset));
}
