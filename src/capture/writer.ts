/**
 * Writing frames to a pcapng file.
 *
 * @module
 */
import type { Capture, CaptureStatistics } from "./capture.ts";
import type { CaptureInterface, Frame } from "./frame.ts";
import { BLOCK, BYTE_ORDER, OPTION } from "./pcapng.ts";

/** Where a {@link PcapngWriter} writes to. */
export type PcapngTarget = WritableStream<Uint8Array<ArrayBuffer>> | string | URL;

/** Bytes that are written at once. */
const CHUNK = 1 << 18;
/** Frames between two looks whether anybody waits. */
const ROW = 64;
/** Bytes of an enhanced packet block beside the frame: header, flags option, closing length. */
const PACKET_OVERHEAD = 28 + 8 + 4 + 4;
const NOTHING_TO_WAIT_FOR = Promise.resolve();

const encoder = new TextEncoder();

/** Where chunks go. */
interface Sink {
  /** Takes a chunk. A promise says when there is room for the next; the chunk is the sink's then. */
  write(chunk: Uint8Array<ArrayBuffer>): Promise<void> | undefined;
  close(): Promise<void>;
}

/**
 * Writes frames of any number of captures into one pcapng file, as Wireshark and tcpdump read it: an
 * interface block named `netns/link` for each link, times in nanoseconds, directions, and what was dropped.
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
   * @param target A path, which takes `--allow-write` and replaces a file that is there; or a stream.
   * @throws {Deno.errors.NotFound} And what else `Deno.openSync` throws.
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
   * @param frame The frame; its interface is described in the file when it is a new one.
   * @returns Resolves when there is room for more: at once, mostly.
   * @throws {TypeError} After {@link PcapngWriter.close}.
   */
  write(frame: Frame): Promise<void> {
    if (this.#closed) throw new TypeError("The capture file is closed");
    const { data } = frame;
    const known = this.#interfaces.get(frame.interface);
    const number = known ?? this.#describe(frame.interface);
    const padded = data.length + 3 & ~3;
    const at = this.#begin(BLOCK.ENHANCED_PACKET, PACKET_OVERHEAD + padded);
    const view = this.#view;
    view.setUint32(at + 8, number, true);
    this.#time(at + 12, frame.seconds, frame.nanoseconds);
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
   * Writes how many frames were captured on an interface, and how many were dropped.
   *
   * @param where The interface.
   * @param statistics What was counted.
   * @param time When, in milliseconds since 1970; default now.
   */
  writeStatistics(
    where: CaptureInterface,
    statistics: CaptureStatistics,
    time: number = Date.now(),
  ): void {
    if (this.#closed) throw new TypeError("The capture file is closed");
    const number = this.#interfaces.get(where) ?? this.#describe(where);
    const counts: [option: number, value: number][] = [
      [OPTION.ISB_FILTERACCEPT, statistics.packets],
      [OPTION.ISB_OSDROP, statistics.drops],
      [OPTION.ISB_USRDELIV, statistics.packets - statistics.drops],
    ];
    const at = this.#begin(BLOCK.STATISTICS, 20 + counts.length * 12 + 4 + 4);
    this.#view.setUint32(at + 8, number, true);
    this.#time(at + 12, Math.floor(time / 1000), Math.round(time % 1000 * 1e6));
    let end = at + 20;
    for (const [option, value] of counts) {
      const bytes = new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);
      end = this.#option(end, option, bytes, false);
    }
    this.#view.setUint32(end, OPTION.END, true);
  }

  /**
   * Writes all frames of a capture until it ends, and then what it has counted, for its only interface: with
   * several the kernel counts them together, and no statistics are written.
   *
   * @param capture The capture.
   */
  async writeAll(capture: Capture): Promise<void> {
    for await (const first of capture) {
      // Beyond the first, frames that are there already need no promise.
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

  /** Resolves when everything written so far is with the file or the stream. */
  async flush(): Promise<void> {
    this.#send();
    await this.#waiting;
  }

  /** Writes what is left and closes the file or the stream. A second call does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.flush();
    } catch (error) {
      // Of a stream that has failed, closing tells less.
      await this.#sink.close().catch(() => {});
      throw error;
    }
    await this.#sink.close();
  }

  /** Same as {@link PcapngWriter.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #describe(where: CaptureInterface): number {
    const name = encoder.encode(where.name);
    const at = this.#begin(BLOCK.INTERFACE, 16 + optionSize(name.length) + optionSize(1) + 4 + 4);
    this.#view.setUint16(at + 8, where.linkType, true);
    this.#view.setUint16(at + 10, 0, true);
    this.#view.setUint32(at + 12, where.snaplen, true);
    const end = this.#option(at + 16, OPTION.IF_NAME, name, false);
    this.#option(end, OPTION.IF_TSRESOL, new Uint8Array([9]));
    this.#interfaces.set(where, this.#interfaces.size);
    return this.#interfaces.size - 1;
  }

  /** Makes room for a block and writes its type and both its lengths; returns where it starts. */
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
    // 10^9 = 2^9 * 1953125: the product of the high factor is exact below 2^53 until the year 2116.
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
    }, () => {}); // who writes next, or closes, is told
  }
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
      // A failure shows in `ready` too.
      writer.write(chunk).catch(() => {});
      return writer.ready;
    },
    close: () => writer.close(),
  };
}
