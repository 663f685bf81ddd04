/**
 * Reading of capture files: pcapng (draft-ietf-opsawg-pcapng) and pcap (draft-ietf-opsawg-pcap).
 *
 * One impossible record does not end a file: its frame comes with a `flaw`. A file ends with an error where the
 * start of the next record is unknown.
 *
 * @module
 */
import { type CaptureInterface, type Frame, OwnFrame } from "./ring.ts";
import { BLOCK, BYTE_ORDER, CaptureFileError, OPTION, PCAP_MAGIC } from "./writer.ts";

/** The source of a capture file: a path, which needs `--allow-read`; a stream; or its bytes. */
export type CaptureSource =
  | string
  | URL
  | ReadableStream<Uint8Array<ArrayBuffer>>
  | Uint8Array<ArrayBuffer>;

/**
 * Reads the frames of a pcapng or pcap file, in either byte order, with times in any unit. It reads on as
 * frames are asked for; leaving the loop closes the file.
 *
 * @param source The source of the file.
 * @returns Its frames, with memory of their own. Those of impossible records have a `flaw`.
 * @throws {CaptureFileError} For another kind of file, an unknown version, or a file that ends within a record
 *   or has a record of an impossible size; after the frames before it.
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
  return Object.values(PCAP_MAGIC).some((known) => known === magic);
}

async function open(source: CaptureSource): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  if (source instanceof Uint8Array) return ReadableStream.from([source]);
  if (source instanceof ReadableStream) return source;
  return (await Deno.open(source)).readable;
}

/** A longer record is a mistake in the file. */
const MOST = 1 << 24;

/** A stream of bytes, read in parts of a given length. */
class Bytes {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #buffer = new Uint8Array(0);
  #at = 0;
  #offset = 0;

  /** Locks the stream. */
  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.getReader();
  }

  /** Number of bytes taken. */
  get offset(): number {
    return this.#offset;
  }

  /** Looks at the next bytes; `undefined` when there are fewer. Valid until the next call. */
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
    // Reading has already reported the error of a stream that failed.
    await this.#reader.cancel().catch(() => {});
  }
}

const FILE_HEADER = 24;
const PACKET_HEADER = 16;
/** The header of a packet behind the magic number a1b2cd34 has 8 bytes more: index, protocol, type. */
const PATCHED_HEADER = 24;
const PACKET_OUTGOING = 4;

/** Reads the packets of a pcap file, from its start. */
async function* readPcap(bytes: Bytes, little: boolean): AsyncGenerator<OwnFrame> {
  const header = (await bytes.take(FILE_HEADER, "the file header"))!;
  const magic = header.getUint32(0, little);
  const [major, minor] = [header.getUint16(4, little), header.getUint16(6, little)];
  // Those that libpcap reads; 543.0 is an old 2.2.
  if (!(major === 2 && minor <= 4 || major === 543 && minor === 0)) {
    throw new CaptureFileError(`The file is of pcap version ${major}.${minor}`, 4);
  }
  const where: CaptureInterface = {
    name: "",
    // The upper bits describe the frame check sequence.
    linkType: header.getUint32(20, little) & 0xffff,
    snaplen: header.getUint32(16, little),
  };
  const patched = magic === PCAP_MAGIC.PATCHED;
  const size = patched ? PATCHED_HEADER : PACKET_HEADER;
  const [unit, name] = magic === PCAP_MAGIC.NANOSECONDS
    ? [1, "nanoseconds"]
    : [1000, "microseconds"];
  for (;;) {
    const start = bytes.offset;
    const packet = await bytes.take(size, "a packet's header");
    if (!packet) return;
    const [seconds, fraction, first, second] = [0, 4, 8, 12].map((at) =>
      packet.getUint32(at, little)
    ) as [number, number, number, number];
    // Before version 2.3 the lengths were the other way round, and in 2.3 in some files.
    const swapped = major === 543 || minor < 3 || minor === 3 && first > second;
    const [captured, length] = swapped ? [second, first] : [first, second];
    const type = patched ? packet.getUint8(22) : undefined;
    const data = captured === 0 ? undefined : await bytes.take(captured, "a packet");
    if (captured > 0 && !data) {
      throw new CaptureFileError(`The file ends before a packet of ${captured} bytes`, start);
    }
    const nanoseconds = fraction * unit;
    const flaws = [
      ...(nanoseconds >= 1e9 ? [`${fraction} ${name} of a second`] : []),
      ...(captured > length ? [`${captured} bytes captured of ${length}`] : []),
    ];
    yield new OwnFrame({
      interface: where,
      seconds: seconds + Math.floor(nanoseconds / 1e9),
      nanoseconds: nanoseconds % 1e9,
      length,
      data: data ? new Uint8Array(copyOf(data)) : new Uint8Array(),
      direction: type === undefined ? undefined : type === PACKET_OUTGOING ? "out" : "in",
      flaw: flawOf(flaws, start),
    });
  }
}

/** The flaws of a record in one text. */
function flawOf(flaws: readonly string[], start: number): string | undefined {
  return flaws.length === 0 ? undefined : `${flaws.join(", ")}, at byte ${start}`;
}

/** The bytes of a view, in memory of their own. */
function copyOf(view: DataView<ArrayBuffer>, offset = 0, length?: number): ArrayBuffer {
  const start = view.byteOffset + offset;
  return view.buffer.slice(start, start + (length ?? view.byteLength - offset));
}

/** A section, whose blocks refer to its interfaces by number. */
interface Section {
  readonly little: boolean;
  readonly interfaces: Described[];
}

/** An interface of a section. */
interface Described {
  readonly where: CaptureInterface;
  /** The clock of the interface; `undefined` when the file does not describe it. */
  readonly clock: Clock | undefined;
}

/** The clock of an interface. */
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
  /** Offset in the file. */
  readonly start: number;
}

const decoder = new TextDecoder();
const MICROSECONDS: Clock = { resolution: 1_000_000n, offset: 0n };
const BILLION = 1_000_000_000n;
/** An interface that the file does not describe. */
const UNKNOWN: Described = {
  where: { name: "", linkType: -1, snaplen: 0 },
  clock: undefined,
};

/** Reads the packets of a pcapng file, from its start. Skips blocks of other types. */
async function* readPcapng(bytes: Bytes): AsyncGenerator<OwnFrame> {
  let section: Section | undefined;
  for (;;) {
    const start = bytes.offset;
    const head = await bytes.peek(8) ?? await bytes.take(8, "a block's header");
    if (!head) return;
    if (head.getUint32(0, true) === BLOCK.SECTION_HEADER) {
      section = { little: await byteOrder(bytes, start), interfaces: [] };
    }
    // The first block is a section header: the file begins with it.
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
  switch (body.type) {
    case BLOCK.SECTION_HEADER:
      checkVersion(body, section.little);
      return undefined;
    case BLOCK.INTERFACE:
      section.interfaces.push(readInterface(body, section.little));
      return undefined;
    case BLOCK.ENHANCED_PACKET:
    case BLOCK.PACKET: // obsolete
      return readPacket(body, section);
    case BLOCK.SIMPLE_PACKET:
      return readSimplePacket(body, section);
    default:
      return undefined;
  }
}

/** 1.2 is the same as 1.0; readers must not read others. */
function checkVersion({ view, start }: Body, little: boolean): void {
  if (view.byteLength < 16) {
    throw new CaptureFileError(`A section header has ${view.byteLength} bytes for 16`, start);
  }
  const [major, minor] = [view.getUint16(4, little), view.getUint16(6, little)];
  if (major === 1 && (minor === 0 || minor === 2)) return;
  throw new CaptureFileError(`A section is of pcapng version ${major}.${minor}`, start);
}

function readInterface({ view }: Body, little: boolean): Described {
  if (view.byteLength < 8) return UNKNOWN;
  let name = "";
  let clock = MICROSECONDS;
  for (const { code, value } of readOptions(view, 8, little).options) {
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

function readPacket({ type, view, start }: Body, section: Section): OwnFrame {
  const { little } = section;
  if (view.byteLength < 20) return emptyFrame(`${view.byteLength} bytes for 20`, start);
  const number = type === BLOCK.PACKET ? view.getUint16(0, little) : view.getUint32(0, little);
  const flaws: string[] = [];
  const { where, clock } = interfaceOf(section, number, flaws);
  const [claimed, length] = [view.getUint32(12, little), view.getUint32(16, little)];
  const captured = capturedOf(claimed, view.byteLength - 20, flaws);
  if (captured > length) flaws.push(`${captured} bytes captured of ${length}`);
  let direction: "in" | "out" | undefined;
  const { options, valid } = readOptions(view, 20 + (captured + 3 & ~3), little);
  if (!valid) flaws.push("an option beyond its block");
  for (const { code, value } of options) {
    if (code !== OPTION.EPB_FLAGS || value.byteLength < 4) continue;
    direction = ([undefined, "in", "out"] as const)[value.getUint32(0, little) & 3];
  }
  const ticks = BigInt(view.getUint32(4, little)) << 32n | BigInt(view.getUint32(8, little));
  return new OwnFrame({
    interface: where,
    ...timeOf(ticks, clock, flaws),
    length,
    data: new Uint8Array(copyOf(view, 20, captured)),
    direction,
    flaw: flawOf(flaws, start),
  });
}

/** A packet without a time, of the first interface, truncated at its snap length. */
function readSimplePacket({ view, start }: Body, section: Section): OwnFrame {
  if (view.byteLength < 4) return emptyFrame(`${view.byteLength} bytes for 4`, start);
  const flaws: string[] = [];
  const { where } = interfaceOf(section, 0, flaws);
  const length = view.getUint32(0, section.little);
  const claimed = Math.min(length, where.snaplen || length);
  const captured = capturedOf(claimed, view.byteLength - 4, flaws);
  const data = new Uint8Array(copyOf(view, 4, captured));
  return new OwnFrame({ interface: where, length, data, flaw: flawOf(flaws, start) });
}

/** A packet block that is too short to have a frame. */
function emptyFrame(flaw: string, start: number): OwnFrame {
  const data = new Uint8Array();
  return new OwnFrame({ interface: UNKNOWN.where, length: 0, data, flaw: flawOf([flaw], start) });
}

function interfaceOf(section: Section, number: number, flaws: string[]): Described {
  const found = section.interfaces[number];
  if (found && found !== UNKNOWN) return found;
  flaws.push(`interface ${number} of ${section.interfaces.length}`);
  return UNKNOWN;
}

/** The bytes of a packet in its block. */
function capturedOf(claimed: number, room: number, flaws: string[]): number {
  if (claimed <= room) return claimed;
  flaws.push(`${claimed} bytes captured in a block of ${room}`);
  return room;
}

function timeOf(
  ticks: bigint,
  clock: Clock | undefined,
  flaws: string[],
): { readonly seconds?: number; readonly nanoseconds?: number } {
  if (!clock) return {};
  const time = ticks * BILLION / clock.resolution + clock.offset * BILLION;
  const nanoseconds = (time % BILLION + BILLION) % BILLION;
  const seconds = Number((time - nanoseconds) / BILLION);
  if (Number.isSafeInteger(seconds)) return { seconds, nanoseconds: Number(nanoseconds) };
  flaws.push(`a time of ${seconds} seconds`);
  return {};
}

interface BlockOption {
  readonly code: number;
  readonly value: DataView<ArrayBuffer>;
}

/** Reads options up to the first one that is longer than its block. */
function readOptions(
  view: DataView<ArrayBuffer>,
  at: number,
  little: boolean,
): { readonly options: BlockOption[]; readonly valid: boolean } {
  const options: BlockOption[] = [];
  while (at + 4 <= view.byteLength) {
    const [code, length] = [view.getUint16(at, little), view.getUint16(at + 2, little)];
    if (code === OPTION.END) break;
    if (at + 4 + length > view.byteLength) return { options, valid: false };
    options.push({ code, value: new DataView(view.buffer, view.byteOffset + at + 4, length) });
    at += 4 + (length + 3 & ~3);
  }
  return { options, valid: true };
}
