/**
 * Reading pcapng and pcap files.
 *
 * @module
 */
import { type CaptureInterface, type Frame, OwnFrame } from "./frame.ts";
import { BLOCK, BYTE_ORDER, CaptureFileError, OPTION, PCAP_MAGIC } from "./pcapng.ts";

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

/** Longer pieces than this are a mistake in the file. */
const MOST = 1 << 24;

/** Pieces of a stream. */
export class Bytes {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #buffer = new Uint8Array(0);
  #at = 0;
  #offset = 0;

  /** Locks the stream. */
  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.getReader();
  }

  /** How many bytes have been taken. */
  get offset(): number {
    return this.#offset;
  }

  /** Looks at the next bytes; `undefined` when there are not so many. Valid until the next call. */
  async peek(length: number): Promise<DataView<ArrayBuffer> | undefined> {
    if (length > MOST) {
      throw new CaptureFileError(`A length of ${length} bytes is more than ${MOST}`, this.#offset);
    }
    if (this.#buffer.length - this.#at < length && !await this.#fill(length)) return undefined;
    return new DataView(this.#buffer.buffer, this.#buffer.byteOffset + this.#at, length);
  }

  /**
   * Takes the next bytes; `undefined` at the end of the stream. Valid until the next call.
   *
   * @throws {CaptureFileError} When the stream ends within them.
   */
  async take(length: number, what: string): Promise<DataView<ArrayBuffer> | undefined> {
    const view = await this.peek(length);
    if (!view) {
      const rest = this.#buffer.length - this.#at;
      if (rest === 0) return undefined;
      const text = `The file ends within ${what}: ${rest} of ${length} bytes are there`;
      throw new CaptureFileError(text, this.#offset);
    }
    this.#at += length;
    this.#offset += length;
    return view;
  }

  async #fill(length: number): Promise<boolean> {
    const parts = [this.#buffer.subarray(this.#at)];
    let have = parts[0]!.length;
    while (have < length) {
      const { value, done } = await this.#reader.read();
      if (done) break;
      parts.push(value);
      have += value.length;
    }
    const buffer = parts.length === 2 && parts[0]!.length === 0 ? parts[1]! : new Uint8Array(have);
    if (buffer !== parts[1]) {
      let at = 0;
      for (const part of parts) {
        buffer.set(part, at);
        at += part.length;
      }
    }
    [this.#buffer, this.#at] = [buffer, 0];
    return have >= length;
  }

  /** Cancels the stream. */
  async close(): Promise<void> {
    // A stream that has failed says so where it is read.
    await this.#reader.cancel().catch(() => {});
  }
}

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

/** Blocks of a section are counted from zero; what they are about is kept for those that follow. */
interface Section {
  readonly little: boolean;
  readonly interfaces: { readonly where: CaptureInterface; readonly clock: Clock }[];
}

/** How an interface tells the time. */
interface Clock {
  /** Units of a second. */
  readonly resolution: bigint;
  /** Seconds to add. */
  readonly offset: bigint;
}

/** A block without its type and lengths. */
interface Body {
  readonly type: number;
  readonly view: DataView<ArrayBuffer>;
  /** Where it starts in the file. */
  readonly start: number;
}

const decoder = new TextDecoder();
const MICROSECONDS: Clock = { resolution: 1_000_000n, offset: 0n };
const BILLION = 1_000_000_000n;

/** Reads the packets of a pcapng file, from its start. Blocks of other types are passed over. */
export async function* readPcapng(bytes: Bytes): AsyncGenerator<OwnFrame> {
  let section: Section | undefined;
  for (;;) {
    const start = bytes.offset;
    const head = await bytes.peek(8) ?? await bytes.take(8, "a block's header");
    if (!head) return;
    if (head.getUint32(0, true) === BLOCK.SECTION_HEADER) {
      section = { little: await byteOrder(bytes, start), interfaces: [] };
    }
    // The first block is a section header: that is how the file was told.
    const body = await readBlock(bytes, section!.little, start);
    const frame = readBody(body, section!);
    if (frame) yield frame;
  }
}

async function byteOrder(bytes: Bytes, start: number): Promise<boolean> {
  const head = await bytes.peek(12) ?? (await bytes.take(12, "a section header"))!;
  if (head.getUint32(8, true) === BYTE_ORDER) return true;
  if (head.getUint32(8, false) === BYTE_ORDER) return false;
  const found = head.getUint32(8, false).toString(16).padStart(8, "0");
  throw new CaptureFileError(`A section has the byte-order magic ${found}`, start);
}

async function readBlock(bytes: Bytes, little: boolean, start: number): Promise<Body> {
  const head = (await bytes.peek(8))!;
  const [type, length] = [head.getUint32(0, little), head.getUint32(4, little)];
  if (length < 12 || length % 4 !== 0) {
    throw new CaptureFileError(`A block of type ${type} has the length ${length}`, start);
  }
  const block = (await bytes.take(length, "a block"))!;
  const closing = block.getUint32(length - 4, little);
  if (closing !== length) {
    throw new CaptureFileError(`A block's lengths are ${length} and ${closing}`, start);
  }
  const view = new DataView(block.buffer, block.byteOffset + 8, length - 12);
  return { type, view, start };
}

function readBody(body: Body, section: Section): OwnFrame | undefined {
  const { little, interfaces } = section;
  const { view } = body;
  switch (body.type) {
    case BLOCK.SECTION_HEADER: {
      requireLength(body, 16);
      const major = view.getUint16(4, little);
      if (major === 1) return undefined;
      throw new CaptureFileError(`A section is of pcapng version ${major}`, body.start);
    }
    case BLOCK.INTERFACE:
      requireLength(body, 8);
      interfaces.push(readInterface(body, little));
      return undefined;
    case BLOCK.ENHANCED_PACKET:
      requireLength(body, 20);
      return readPacket(body, section, view.getUint32(0, little));
    case BLOCK.PACKET: // obsolete
      requireLength(body, 20);
      return readPacket(body, section, view.getUint16(0, little));
    case BLOCK.SIMPLE_PACKET:
      requireLength(body, 4);
      return readSimplePacket(body, section);
    default:
      return undefined;
  }
}

function readInterface(body: Body, little: boolean): Section["interfaces"][number] {
  const { view } = body;
  let name = "";
  let clock = MICROSECONDS;
  for (const { code, value } of options(body, 8, little)) {
    if (code === OPTION.IF_NAME) name = decoder.decode(value);
    if (code === OPTION.IF_TSRESOL && value.byteLength >= 1) {
      const bits = value.getUint8(0);
      const resolution = (bits & 0x80 ? 2n : 10n) ** BigInt(bits & 0x7f);
      clock = { ...clock, resolution };
    }
    if (code === OPTION.IF_TSOFFSET && value.byteLength >= 8) {
      clock = { ...clock, offset: value.getBigInt64(0, little) };
    }
  }
  const [linkType, snaplen] = [view.getUint16(0, little), view.getUint32(4, little)];
  return { where: { name, linkType, snaplen }, clock };
}

function readPacket(body: Body, section: Section, number: number): OwnFrame {
  const { view, start } = body;
  const { little } = section;
  const { where, clock } = interfaceOf(section, number, start);
  const captured = view.getUint32(12, little);
  requireLength(body, 20 + captured);
  let direction: "in" | "out" | undefined;
  for (const { code, value } of options(body, 20 + (captured + 3 & ~3), little)) {
    if (code !== OPTION.EPB_FLAGS || value.byteLength < 4) continue;
    direction = ([undefined, "in", "out"] as const)[value.getUint32(0, little) & 3];
  }
  const ticks = BigInt(view.getUint32(4, little)) << 32n | BigInt(view.getUint32(8, little));
  const time = ticks * BILLION / clock.resolution + clock.offset * BILLION;
  return new OwnFrame({
    interface: where,
    seconds: Number(time / BILLION),
    nanoseconds: Number(time % BILLION),
    length: view.getUint32(16, little),
    data: new Uint8Array(copyOf(view, 20, captured)),
    direction,
  });
}

/** Without a time, on the first interface, cut off at its snap length. */
function readSimplePacket(body: Body, section: Section): OwnFrame {
  const { view, start } = body;
  const { where } = interfaceOf(section, 0, start);
  const length = view.getUint32(0, section.little);
  const captured = Math.min(length, where.snaplen || length);
  requireLength(body, 4 + captured);
  const data = new Uint8Array(copyOf(view, 4, captured));
  return new OwnFrame({ interface: where, seconds: 0, nanoseconds: 0, length, data });
}

function interfaceOf(
  section: Section,
  number: number,
  start: number,
): Section["interfaces"][number] {
  const found = section.interfaces[number];
  if (found) return found;
  const have = section.interfaces.length;
  throw new CaptureFileError(`A packet is of interface ${number}: there are ${have}`, start);
}

function requireLength({ type, view, start }: Body, length: number): void {
  if (view.byteLength >= length) return;
  throw new CaptureFileError(
    `A block of type ${type} has ${view.byteLength} bytes for ${length}`,
    start,
  );
}

function* options(
  { view, start }: Body,
  at: number,
  little: boolean,
): Generator<{ code: number; value: DataView<ArrayBuffer> }> {
  while (at + 4 <= view.byteLength) {
    const [code, length] = [view.getUint16(at, little), view.getUint16(at + 2, little)];
    if (code === OPTION.END) return;
    if (at + 4 + length > view.byteLength) {
      throw new CaptureFileError(`Option ${code} of a block has the length ${length}`, start);
    }
    yield { code, value: new DataView(view.buffer, view.byteOffset + at + 4, length) };
    at += 4 + (length + 3 & ~3);
  }
}
