/**
 * A stream of bytes, read in pieces of a given length.
 *
 * @module
 */
import { CaptureFileError } from "./pcapng.ts";

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
