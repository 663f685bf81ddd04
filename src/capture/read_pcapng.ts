/**
 * The pcapng format (draft-ietf-opsawg-pcapng).
 *
 * @module
 */
import type { Bytes } from "./bytes.ts";
import { type CaptureInterface, OwnFrame } from "./frame.ts";
import { BLOCK, BYTE_ORDER, CaptureFileError, OPTION } from "./pcapng.ts";
import { copyOf } from "./read_pcap.ts";

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
