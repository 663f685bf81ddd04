/**
 * The one owner type for file descriptors.
 *
 * @module
 */
import { core } from "./libc.ts";

/** Owns a descriptor and closes it once. Every descriptor the library opens is opened CLOEXEC. */
export class Fd implements Disposable {
  #fd: number;
  #leaving: (() => void) | undefined;

  /** Takes ownership of `fd`. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The descriptor's number. Throws when it has been closed or released. */
  get value(): number {
    if (this.#fd < 0) throw new TypeError("The file descriptor is closed");
    return this.#fd;
  }

  /** Whether it has been closed or released. */
  get closed(): boolean {
    return this.#fd < 0;
  }

  /** Closes the descriptor; a second call does nothing. */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    try {
      this.release();
    } finally {
      // Linux frees the number whatever close(2) returns: retrying could close somebody else's.
      core().close(fd);
    }
  }

  /** For the reactor: calls `leave` once, before the number is anybody else's. */
  onLeave(leave: () => void): void {
    this.#leaving = leave;
  }

  /** Gives ownership up and returns the number. */
  release(): number {
    const fd = this.value;
    try {
      this.#leaving?.();
    } finally {
      this.#leaving = undefined;
      this.#fd = -1;
    }
    return fd;
  }

  /** Same as {@link Fd.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
