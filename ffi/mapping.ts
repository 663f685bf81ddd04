/**
 * Memory that the kernel shares: mapped, lent to JavaScript, taken back, unmapped.
 *
 * @module
 */
import { C } from "./constants.ts";
import { errno, SyscallError } from "./errno.ts";
import type { Fd } from "./file.ts";
import { memory } from "./libc.ts";

/** `MAP_FAILED`, as a pointer's value. */
const MAP_FAILED = 2n ** 64n - 1n;

/** The part of a descriptor's memory that is mapped. */
export interface MappedPart {
  /** Bytes. */
  readonly length: number;
  /** Where they start; default 0. */
  readonly offset?: number;
  /** What is being done, for an error: `map the capture's ring`. */
  readonly operation: string;
}

/**
 * Owns the mapping of a descriptor's memory and unmaps it once.
 *
 * JavaScript sees it through buffers that are lent. A buffer that is taken back is detached, and every
 * view of it is empty from then on: what comes to be in that memory later, or its absence, cannot be read
 * through it. Closing takes all buffers back before it unmaps.
 */
export class Mapping implements Disposable {
  /** Its size in bytes. */
  readonly length: number;
  #pointer: Deno.PointerObject | null;
  readonly #lent = new Set<ArrayBuffer>();

  /**
   * Maps `length` bytes of a descriptor, to read and write, shared. Throws {@link SyscallError}.
   *
   * @param fd The descriptor; it may be closed while the mapping lives.
   * @param part What of it.
   */
  constructor(fd: Fd, part: MappedPart) {
    const { length, offset = 0, operation } = part;
    const protection = C.PROT_READ | C.PROT_WRITE;
    const { mmap } = memory();
    const pointer = mmap(null, BigInt(length), protection, C.MAP_SHARED, fd.value, BigInt(offset));
    const code = errno();
    if (pointer === null || BigInt(Deno.UnsafePointer.value(pointer)) === MAP_FAILED) {
      throw new SyscallError(operation, { syscall: "mmap", errno: code });
    }
    this.length = length;
    this.#pointer = pointer;
  }

  /** Lends a part of the memory, until {@link Mapping.takeBack} or {@link Mapping.close}. */
  lend(offset: number, length: number): ArrayBuffer {
    if (this.#pointer === null) throw new TypeError("The mapping is closed");
    if (offset < 0 || length < 0 || offset + length > this.length) {
      throw new RangeError(`${offset} and ${length} bytes more are not in ${this.length} bytes`);
    }
    const buffer = Deno.UnsafePointerView.getArrayBuffer(this.#pointer, length, offset);
    this.#lent.add(buffer);
    return buffer;
  }

  /** Detaches a buffer that was lent. */
  takeBack(buffer: ArrayBuffer): void {
    if (this.#lent.delete(buffer) && !buffer.detached) buffer.transfer(0);
  }

  /** Takes all buffers back and unmaps the memory; a second call does nothing. */
  close(): void {
    if (this.#pointer === null) return;
    for (const buffer of this.#lent) this.takeBack(buffer);
    memory().munmap(this.#pointer, BigInt(this.length));
    this.#pointer = null;
  }

  /** Same as {@link Mapping.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
