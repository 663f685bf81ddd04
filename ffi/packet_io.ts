/**
 * One packet in, one packet out: the calls a forwarding loop makes, with results in band.
 *
 * @module
 */
import { C } from "./constants.ts";
import { ERRNO } from "./errno.ts";
import { direct } from "./libc.ts";

type Calls = ReturnType<typeof direct>;

let calls: Calls | undefined;

/** Reads a packet: the number of bytes, or the negated error number. */
export function readPacket(fd: number, buffer: Uint8Array<ArrayBuffer>, length: number): number {
  const { read, errno } = calls ??= direct();
  const n = read(fd, buffer, length);
  return n >= 0 ? n : -errno[0]!;
}

/** Writes a packet: the number of bytes, or the negated error number. */
export function writePacket(fd: number, buffer: Uint8Array<ArrayBuffer>, length: number): number {
  const { write, errno } = calls ??= direct();
  const n = write(fd, buffer, length);
  return n >= 0 ? n : -errno[0]!;
}

/** A set of descriptors to wait for on this thread, as `poll(2)` takes it. */
export class PollSet {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #length: bigint;

  /** Takes the descriptors; they must stay open while the set is used. */
  constructor(fds: readonly number[], events: number = C.POLLIN) {
    // struct pollfd: s32 fd, s16 events, s16 revents
    this.#bytes = new Uint8Array(fds.length * 8);
    this.#view = new DataView(this.#bytes.buffer);
    this.#length = BigInt(fds.length);
    fds.forEach((fd, i) => {
      this.#view.setInt32(i * 8, fd, true);
      this.#view.setInt16(i * 8 + 4, events, true);
    });
  }

  /**
   * Blocks the thread until one is ready, also across signals: the number of ready ones, 0 after
   * `timeout` ms (`Infinity`: never), or a negated errno.
   */
  wait(timeout: number): number {
    const { poll, errno } = calls ??= direct();
    const end = performance.now() + timeout;
    for (let left = timeout;; left = end - performance.now()) {
      const whole = left === Infinity ? -1 : Math.min(Math.max(Math.ceil(left), 0), 0x7fffffff);
      const n = poll(this.#bytes, this.#length, whole);
      if (n >= 0) return n;
      const code = errno[0]!;
      if (code !== ERRNO.EINTR) return -code;
    }
  }

  /** Whether the `i`th was ready, or in error. */
  ready(i: number): boolean {
    return this.#view.getInt16(i * 8 + 6, true) !== 0;
  }
}
