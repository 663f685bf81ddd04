/**
 * Memory for the messages of one exchange with the kernel: lent, and used again by the next one.
 *
 * @module
 */
import { type Source, source, Writer } from "./bytes.ts";

/**
 * Bytes of a receive buffer at first: the kernel fills no more of one in a dump, unless a single entry
 * is larger.
 */
const RECEIVE_SIZE = 32 << 10;
/** A writer that has grown beyond this is not kept. */
const KEPT_SIZE = 1 << 20;

/** A buffer to send from and one to receive into. */
export class Memory implements Disposable {
  /** What is sent. */
  readonly writer: Writer = new Writer();
  /** What the requests do, one after the other, for errors: a string of parts takes ten times as much. */
  readonly operations: Writer = new Writer(512);
  /** What was received: valid until the next receive. */
  received: Source = source(new Uint8Array(RECEIVE_SIZE));

  /** Replaces the receive buffer by one of at least `least` bytes. */
  grow(least: number): void {
    this.received = source(new Uint8Array((least + 0xfff) & ~0xfff));
  }

  /** Gives the memory back. */
  [Symbol.dispose](): void {
    const { length } = this.writer.bytes;
    if (length + this.operations.bytes.length <= KEPT_SIZE) idle.push(this);
  }
}

const idle: Memory[] = [];

/** Lends memory to the caller alone: a decoder may make requests while another exchange goes on. */
export function lend(): Memory {
  const memory = idle.pop() ?? new Memory();
  memory.writer.length = memory.operations.length = 0;
  return memory;
}
