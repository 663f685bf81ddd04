/**
 * Writing of pcapng files, and the numbers of their format.
 *
 * @module
 */
import type { Capture, CaptureStatistics } from "./capture.ts";
import { type CaptureInterface, type Frame, nanosecondsOf } from "./ring.ts";
import { checkOptions, integer, type OptionNames } from "../options.ts";

/** Block types of a pcapng file. */
export const BLOCK = {
  SECTION_HEADER: 0x0a0d0d0a,
  INTERFACE: 1,
  PACKET: 2,
  SIMPLE_PACKET: 3,
  STATISTICS: 5,
  ENHANCED_PACKET: 6,
} as const;

/** Options of blocks, by the names of the draft. */
export const OPTION = {
  END: 0,
  SHB_USERAPPL: 4,
  IF_NAME: 2,
  IF_TSRESOL: 9,
  IF_TSOFFSET: 14,
  EPB_FLAGS: 2,
  ISB_STARTTIME: 2,
  ISB_ENDTIME: 3,
  ISB_FILTERACCEPT: 6,
  ISB_OSDROP: 7,
  ISB_USRDELIV: 8,
} as const;

/** The byte order of a section shows in this number. */
export const BYTE_ORDER = 0x1a2b3c4d;

/**
 * First words of a pcap file: with times in microseconds or nanoseconds, or with larger packet headers (an old
 * patch of libpcap).
 */
export const PCAP_MAGIC = {
  MICROSECONDS: 0xa1b2c3d4,
  NANOSECONDS: 0xa1b23c4d,
  PATCHED: 0xa1b2cd34,
} as const;

/** The longest packet that Wireshark and libpcap read. */
export const LONGEST_PACKET = 262_144;

/** A capture file cannot be read further. */
export class CaptureFileError extends Error {
  /** The class: `CaptureFileError`. */
  override readonly name = "CaptureFileError";
  /** Offset in the file, in bytes. */
  readonly offset: number;

  /** Composes the message. */
  constructor(message: string, offset: number) {
    super(`${message}, at byte ${offset} of the capture file`);
    this.offset = offset;
  }
}

/** The destination of a {@link PcapngWriter}: a stream, or a path, which needs `--allow-write`. */
export type PcapngTarget = WritableStream<Uint8Array<ArrayBuffer>> | string | URL;

/** Bytes of a write. */
const CHUNK = 1 << 18;
/** Frames between two turns of the event loop. */
const ROW = 64;
/** Bytes of an enhanced packet block beside the frame: header, flags option, closing length. */
const PACKET_OVERHEAD = 28 + 8 + 4 + 4;
/** Bytes of a simple packet block beside the frame: header, length, closing length. */
const SIMPLE_OVERHEAD = 16;
const NOTHING_TO_WAIT_FOR = Promise.resolve();

/** The last second whose times fit into 64 bits of nanoseconds, and the nanoseconds that fit of it. */
const LAST_SECOND = 18_446_744_073;
const LAST_NANOSECOND = 709_551_615;
/** Up to this second the time is computed without a bigint. */
const EXACT_SECONDS = 4_611_686_018;

/** Options of {@link PcapngWriter.writeStatistics}. */
export interface StatisticsOptions {
  /** The time of the counters, in milliseconds since 1970; default now. */
  readonly time?: number;
}

const STATISTICS_OPTIONS: OptionNames<StatisticsOptions> = { time: true };

const encoder = new TextEncoder();

/** The destination of chunks. */
interface Sink {
  /** Takes a chunk. With a promise the sink keeps the chunk, and resolves when there is room for the next. */
  write(chunk: Uint8Array<ArrayBuffer>): Promise<void> | undefined;
  close(): Promise<void>;
}

/**
 * Writes the frames of any number of captures into one pcapng file, which Wireshark and tcpdump read: an
 * interface block named `netns/link` for each link, times in nanoseconds, directions, and counters. Of a frame
 * of more than 262,144 bytes it writes the first 262,144, because Wireshark and libpcap refuse more.
 *
 * @example Two namespaces in one file
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import { PcapngWriter, readCapture } from "@netloom/netloom/capture";
 * import { assertEquals } from "@std/assert";
 *
 * using a = NetNs.create();
 * using b = NetNs.create();
 * const veth = Veth.create({
 *   name: "v0",
 *   netns: a,
 *   up: true,
 *   addresses: ["10.0.0.1/24"],
 *   peer: { name: "v1", netns: b, up: true, addresses: ["10.0.0.2/24"] },
 * });
 * await veth.waitFor((link) => link.operstate === "up");
 * const filter = { protocol: "icmp" } as const;
 * const captures = [veth.capture({ filter }), veth.peer.capture({ filter })];
 * await a.ping("10.0.0.2");
 *
 * const path = Deno.makeTempFileSync({ suffix: ".pcapng" });
 * {
 *   await using file = new PcapngWriter(path);
 *   for (const capture of captures) {
 *     capture.stop();
 *     await file.writeAll(capture);
 *   }
 * }
 * const names = new Set<string>();
 * for await (const frame of readCapture(path)) names.add(frame.interface.name);
 * assertEquals([...names], [`${a.inode}/v0`, `${b.inode}/v1`]);
 * Deno.removeSync(path);
 * ```
 */
export class PcapngWriter implements AsyncDisposable {
  readonly #sink: Sink;
  readonly #interfaces = new Map<CaptureInterface, number>();
  #chunk = new Uint8Array(CHUNK);
  #view = new DataView(this.#chunk.buffer);
  #used = 0;
  #waiting: Promise<void> | undefined;
  #closed = false;

  /**
   * Begins a file.
   *
   * @param target A path, which needs `--allow-write`, whose file is replaced; or a stream.
   * @throws {Deno.errors.NotFound} And the other errors of `Deno.openSync`.
   * @throws {TypeError} When the stream is locked.
   */
  constructor(target: PcapngTarget) {
    this.#sink = target instanceof WritableStream ? streamSink(target) : fileSink(target);
    const application = encoder.encode("netloom");
    const at = this.#begin(BLOCK.SECTION_HEADER, 24 + optionSize(application.length) + 4 + 4);
    this.#view.setUint32(at + 8, BYTE_ORDER, true);
    this.#view.setUint16(at + 12, 1, true); // version 1.0
    this.#view.setUint16(at + 14, 0, true);
    this.#view.setBigInt64(at + 16, -1n, true); // of unknown length
    this.#option(at + 24, OPTION.SHB_USERAPPL, application);
  }

  /**
   * Writes a frame. Its bytes are copied before this returns.
   *
   * @param frame The frame. A new interface is described in the file.
   * @returns Resolves when there is room for more: mostly at once.
   * @throws {TypeError} After {@link PcapngWriter.close}; for a frame without a time, unless its interface is the
   *   file's first one and its bytes end at the snap length: pcapng has no other record for it.
   * @throws {RangeError} For a time that 64 bits of nanoseconds since 1970 cannot hold, until July 2554; for a
   *   length or link type that is out of range. Then nothing is written.
   */
  write(frame: Frame): Promise<void> {
    if (this.#closed) throw new TypeError("The capture file is closed");
    const { seconds, nanoseconds } = frame;
    integer(frame.length, "length", 0, 0xffff_ffff, "bytes");
    if (seconds === undefined || nanoseconds === undefined) return this.#writeSimple(frame);
    checkTime(seconds, nanoseconds);
    const data = written(frame);
    const number = this.#numberOf(frame.interface);
    const padded = data.length + 3 & ~3;
    const at = this.#begin(BLOCK.ENHANCED_PACKET, PACKET_OVERHEAD + padded);
    const view = this.#view;
    view.setUint32(at + 8, number, true);
    this.#time(at + 12, seconds, nanoseconds);
    view.setUint32(at + 20, data.length, true);
    view.setUint32(at + 24, frame.length, true);
    this.#chunk.set(data, at + 28);
    this.#chunk.fill(0, at + 28 + data.length, at + 28 + padded);
    view.setUint16(at + 28 + padded, OPTION.EPB_FLAGS, true);
    view.setUint16(at + 30 + padded, 4, true);
    const { direction } = frame;
    view.setUint32(at + 32 + padded, direction === "in" ? 1 : direction === "out" ? 2 : 0, true);
    view.setUint32(at + 36 + padded, OPTION.END, true);
    return this.#waiting ?? NOTHING_TO_WAIT_FOR;
  }

  /**
   * Writes the numbers of frames that were captured and dropped on an interface.
   *
   * @param where The interface.
   * @param statistics The counters.
   * @param options The time of the counters.
   * @throws {TypeError} After {@link PcapngWriter.close}, or for an unknown option.
   * @throws {RangeError} For a time that the file cannot hold.
   */
  writeStatistics(
    where: CaptureInterface,
    statistics: CaptureStatistics,
    options: StatisticsOptions = {},
  ): void {
    if (this.#closed) throw new TypeError("The capture file is closed");
    checkOptions(options, STATISTICS_OPTIONS);
    const { time = Date.now() } = options;
    const [seconds, nanoseconds] = [Math.floor(time / 1000), Math.floor(time % 1000 * 1e6)];
    checkTime(seconds, nanoseconds);
    const number = this.#numberOf(where);
    const counts: [option: number, value: number][] = [
      [OPTION.ISB_FILTERACCEPT, statistics.packets],
      [OPTION.ISB_OSDROP, statistics.drops],
      [OPTION.ISB_USRDELIV, statistics.packets - statistics.drops],
    ];
    const at = this.#begin(BLOCK.STATISTICS, 20 + counts.length * 12 + 4 + 4);
    this.#view.setUint32(at + 8, number, true);
    this.#time(at + 12, seconds, nanoseconds);
    let end = at + 20;
    for (const [option, value] of counts) {
      const bytes = new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);
      end = this.#option(end, option, bytes, false);
    }
    this.#view.setUint32(end, OPTION.END, true);
  }

  /**
   * Writes all frames of a capture until it ends, and then its counters, when it has a single interface. Those of
   * several interfaces the kernel counts together.
   *
   * @param capture The capture.
   */
  async writeAll(capture: Capture): Promise<void> {
    for await (const first of capture) {
      // Further frames that are there need no promise.
      let frame: Frame | undefined = first;
      for (let row = 1; frame; row++) {
        this.write(frame);
        if (this.#waiting) await this.#waiting;
        frame = row < ROW ? capture.tryNext() : undefined;
        if (row < ROW && !frame) await this.flush();
      }
    }
    const [where, ...others] = capture.interfaces;
    if (where && others.length === 0) this.writeStatistics(where, capture.statistics());
  }

  /** Resolves when the file or the stream has everything written so far. */
  async flush(): Promise<void> {
    this.#send();
    await this.#waiting;
  }

  /** Writes the rest and closes the file or the stream. A second call does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.flush();
    } catch (error) {
      // The error of closing a failed stream says less.
      await this.#sink.close().catch(() => {});
      throw error;
    }
    await this.#sink.close();
  }

  /** Same as {@link PcapngWriter.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Writes a frame without a time, as a block that says neither its interface nor its captured length. */
  #writeSimple(frame: Frame): Promise<void> {
    const where = frame.interface;
    const data = written(frame);
    const first = this.#interfaces.get(where) === 0 || this.#interfaces.size === 0;
    const snaplen = Math.min(where.snaplen || LONGEST_PACKET, LONGEST_PACKET);
    if (!first || data.length !== Math.min(frame.length, snaplen)) {
      throw new TypeError(
        "The frame has no time: pcapng holds such a frame only for the file's first interface, " +
          "and with all bytes up to the snap length",
      );
    }
    this.#numberOf(where);
    const padded = data.length + 3 & ~3;
    const at = this.#begin(BLOCK.SIMPLE_PACKET, SIMPLE_OVERHEAD + padded);
    this.#view.setUint32(at + 8, frame.length, true);
    this.#chunk.set(data, at + 12);
    this.#chunk.fill(0, at + 12 + data.length, at + 12 + padded);
    return this.#waiting ?? NOTHING_TO_WAIT_FOR;
  }

  /** The number of an interface in the file; describes a new one. */
  #numberOf(where: CaptureInterface): number {
    return this.#interfaces.get(where) ?? this.#describe(where);
  }

  #describe(where: CaptureInterface): number {
    integer(where.linkType, "interface.linkType", 0, 0xffff);
    integer(where.snaplen, "interface.snaplen", 0, 0xffff_ffff, "bytes");
    const name = encoder.encode(where.name);
    const at = this.#begin(BLOCK.INTERFACE, 16 + optionSize(name.length) + optionSize(1) + 4 + 4);
    this.#view.setUint16(at + 8, where.linkType, true);
    this.#view.setUint16(at + 10, 0, true);
    this.#view.setUint32(at + 12, Math.min(where.snaplen, LONGEST_PACKET), true);
    const end = this.#option(at + 16, OPTION.IF_NAME, name, false);
    this.#option(end, OPTION.IF_TSRESOL, new Uint8Array([9]));
    this.#interfaces.set(where, this.#interfaces.size);
    return this.#interfaces.size - 1;
  }

  /** Reserves room for a block and writes its type and both lengths; returns its offset. */
  #begin(type: number, length: number): number {
    if (this.#used + length > this.#chunk.length) this.#send(length);
    const at = this.#used;
    this.#used += length;
    this.#view.setUint32(at, type, true);
    this.#view.setUint32(at + 4, length, true);
    this.#view.setUint32(at + length - 4, length, true);
    return at;
  }

  #option(at: number, code: number, value: Uint8Array, last = true): number {
    const end = at + optionSize(value.length);
    this.#view.setUint16(at, code, true);
    this.#view.setUint16(at + 2, value.length, true);
    this.#chunk.fill(0, at + 4, end).set(value, at + 4);
    if (last) this.#view.setUint32(end, OPTION.END, true);
    return end;
  }

  /** Nanoseconds since 1970 as two words, without a bigint for each frame. */
  #time(at: number, seconds: number, nanoseconds: number): void {
    if (seconds > EXACT_SECONDS) {
      this.#view.setBigUint64(at, nanosecondsOf(seconds, nanoseconds), true);
      const [low, high] = [this.#view.getUint32(at, true), this.#view.getUint32(at + 4, true)];
      this.#view.setUint32(at, high, true);
      this.#view.setUint32(at + 4, low, true);
      return;
    }
    // 10^9 = 2^9 * 1953125: the product is exact below 2^53.
    const units = seconds * 1_953_125 + Math.floor(nanoseconds / 512);
    const high = Math.floor(units / 8_388_608);
    this.#view.setUint32(at, high, true);
    this.#view.setUint32(at + 4, (units - high * 8_388_608) * 512 + nanoseconds % 512, true);
  }

  #send(room = 0): void {
    if (this.#used === 0) return;
    const waiting = this.#sink.write(this.#chunk.subarray(0, this.#used));
    this.#used = 0;
    if (waiting || room > this.#chunk.length) {
      this.#chunk = new Uint8Array(Math.max(CHUNK, room));
      this.#view = new DataView(this.#chunk.buffer);
    }
    if (!waiting) return;
    this.#waiting = waiting;
    waiting.then(() => {
      if (this.#waiting === waiting) this.#waiting = undefined;
    }, () => {}); // the next write, or close(), rejects
  }
}

/** The bytes of a frame that the file holds. */
function written({ data }: Frame): Uint8Array<ArrayBuffer> {
  return data.length > LONGEST_PACKET ? data.subarray(0, LONGEST_PACKET) : data;
}

/** Checks a time before anything is written. */
function checkTime(seconds: number, nanoseconds: number): void {
  integer(seconds, "seconds", 0, LAST_SECOND);
  const most = seconds === LAST_SECOND ? LAST_NANOSECOND : 999_999_999;
  integer(nanoseconds, "nanoseconds", 0, most);
}

/** Bytes of an option, with its header and padding. */
function optionSize(length: number): number {
  return 4 + (length + 3 & ~3);
}

function fileSink(path: string | URL): Sink {
  const file = Deno.openSync(path, { write: true, create: true, truncate: true });
  return {
    write(chunk) {
      for (let at = 0; at < chunk.length;) at += file.writeSync(chunk.subarray(at));
      return undefined;
    },
    close() {
      file.close();
      return Promise.resolve();
    },
  };
}

function streamSink(stream: WritableStream<Uint8Array<ArrayBuffer>>): Sink {
  const writer = stream.getWriter();
  return {
    write(chunk) {
      // `ready` rejects, too.
      writer.write(chunk).catch(() => {});
      return writer.ready;
    },
    close: () => writer.close(),
  };
}
