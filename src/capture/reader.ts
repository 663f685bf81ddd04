/**
 * Reading pcapng and pcap files.
 *
 * @module
 */
import { Bytes } from "./bytes.ts";
import type { Frame } from "./frame.ts";
import { BLOCK, CaptureFileError, PCAP_MAGIC } from "./pcapng.ts";
import { readPcap } from "./read_pcap.ts";
import { readPcapng } from "./read_pcapng.ts";

/** What a capture file is read from: a path, which takes `--allow-read`; a stream; or its bytes. */
export type CaptureSource =
  | string
  | URL
  | ReadableStream<Uint8Array<ArrayBuffer>>
  | Uint8Array<ArrayBuffer>;

/**
 * Reads the frames of a pcapng or pcap file: of either byte order, with times in microseconds or nanoseconds,
 * or in any unit pcapng has. It reads on as frames are asked for; leaving the loop closes the file.
 *
 * @param source Where it is.
 * @returns Its frames, with memory of their own.
 * @throws {CaptureFileError} For what is no such file, is malformed, or ends within a frame; the frames before
 * come first.
 *
 * @example Frames per interface
 * ```ts
 * import { OwnFrame, PcapngWriter, readCapture } from "@netloom/netloom/capture";
 * import { assertEquals } from "@std/assert";
 *
 * const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>>();
 * const file = new PcapngWriter(writable);
 * const lo = { name: "ns1/lo", linkType: 1, snaplen: 0 };
 * const data = new Uint8Array(60);
 * file.write(new OwnFrame({ interface: lo, seconds: 1, nanoseconds: 5, length: 60, data }));
 * const closed = file.close();
 *
 * for await (const frame of readCapture(readable)) {
 *   assertEquals([frame.interface.name, frame.timestamp], ["ns1/lo", 1_000_000_005n]);
 * }
 * await closed;
 * ```
 */
export async function* readCapture(
  source: CaptureSource,
): AsyncGenerator<Frame, undefined, undefined> {
  const bytes = new Bytes(await open(source));
  try {
    const magic = await bytes.peek(4);
    if (magic === undefined) throw new CaptureFileError("The file has less than 4 bytes", 0);
    const [little, big] = [magic.getUint32(0, true), magic.getUint32(0, false)];
    if (little === BLOCK.SECTION_HEADER) yield* readPcapng(bytes);
    else if (isPcap(little)) yield* readPcap(bytes, true);
    else if (isPcap(big)) yield* readPcap(bytes, false);
    else {
      const found = big.toString(16).padStart(8, "0");
      throw new CaptureFileError(`The file is neither pcapng nor pcap: it begins with ${found}`, 0);
    }
  } finally {
    await bytes.close();
  }
}

function isPcap(magic: number): boolean {
  return magic === PCAP_MAGIC.MICROSECONDS || magic === PCAP_MAGIC.NANOSECONDS;
}

async function open(source: CaptureSource): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  if (source instanceof Uint8Array) return ReadableStream.from([source]);
  if (source instanceof ReadableStream) return source;
  return (await Deno.open(source)).readable;
}
