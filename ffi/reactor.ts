/**
 * Waiting for descriptors: one `epoll` for all waiters of a thread.
 *
 * A parked wait occupies one slot of Deno's blocking pool, however many descriptors are waited for.
 * Adding a descriptor to an epoll that is being waited on needs no wake-up; only taking the last one
 * away does, so that the process can end.
 *
 * @module
 */
import { ARCH, C } from "./constants.ts";
import { ERRNO, errno, SyscallError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { read, write } from "./file.ts";
import { epoll as symbols } from "./libc.ts";

/** How long a wait polls before it parks, in milliseconds: a wake-up from parking costs ~0.09. */
const SPIN = 0.1;
/** The loop lets timers and I/O run at least this often, in milliseconds. */
const TURN = 4;
const EVENTS = 64;

/** Recent waits longer than this, in milliseconds on average, are not worth a spin. */
const SPIN_BELOW = 0.3;

interface Waiter {
  resolve(): void;
  reject(reason: unknown): void;
}

/** The waiters of a descriptor, first come first, for each direction. */
interface Waiters {
  readonly readers: Waiter[];
  readonly writers: Waiter[];
}

class Reactor {
  readonly #epoll: Fd;
  readonly #wake: Fd;
  readonly #waiters = new Map<number, Waiters>();
  readonly #event = new Uint8Array(ARCH.epollEventSize);
  readonly #eventView = new DataView(this.#event.buffer);
  readonly #ready = new Uint8Array(ARCH.epollEventSize * EVENTS);
  readonly #readyView = new DataView(this.#ready.buffer);
  #running = false;
  #parked = false;
  /** A moving average of how long recent waits took, in milliseconds. */
  #recent = 0;

  constructor() {
    const lib = symbols();
    const fd = lib.epoll_create1(C.EPOLL_CLOEXEC);
    if (fd < 0) throw new SyscallError("start the reactor", "epoll_create1", errno());
    this.#epoll = new Fd(fd);
    const wake = lib.eventfd(0, C.EFD_CLOEXEC | C.EFD_NONBLOCK);
    if (wake < 0) throw new SyscallError("start the reactor", "eventfd", errno());
    this.#wake = new Fd(wake);
    this.#control(C.EPOLL_CTL_ADD, wake, C.EPOLLIN);
  }

  wait(fd: number, events: number, waiter: Waiter): void {
    let waiters = this.#waiters.get(fd);
    if (!waiters) this.#waiters.set(fd, waiters = { readers: [], writers: [] });
    try {
      this.#list(waiters, events).push(waiter);
      this.#arm(fd, waiters);
    } catch (error) {
      this.#waiters.delete(fd);
      throw error;
    }
    if (!this.#running) void this.#run().catch((error) => this.#fail(error));
  }

  cancel(fd: number, events: number, waiter: Waiter): void {
    const waiters = this.#waiters.get(fd);
    if (!waiters) return;
    const list = this.#list(waiters, events);
    const at = list.indexOf(waiter);
    if (at < 0) return;
    list.splice(at, 1);
    if (waiters.readers.length > 0 || waiters.writers.length > 0) return;
    this.#waiters.delete(fd);
    this.#control(C.EPOLL_CTL_DEL, fd, 0, ERRNO.ENOENT);
    this.#wakeIfIdle();
  }

  /** Before a descriptor closes: its number may be another's next. */
  forget(fd: number, reason: unknown): void {
    const waiters = this.#waiters.get(fd);
    if (!waiters) return;
    this.#waiters.delete(fd);
    this.#control(C.EPOLL_CTL_DEL, fd, 0, ERRNO.ENOENT);
    this.#wakeIfIdle();
    for (const waiter of [...waiters.readers, ...waiters.writers]) waiter.reject(reason);
  }

  #list(waiters: Waiters, events: number): Waiter[] {
    return events === C.EPOLLIN ? waiters.readers : waiters.writers;
  }

  #arm(fd: number, { readers, writers }: Waiters): void {
    const flags = (readers.length > 0 ? C.EPOLLIN : 0) | (writers.length > 0 ? C.EPOLLOUT : 0) |
      C.EPOLLONESHOT;
    // A descriptor waited for before is still registered, unless its number went to another file.
    if (this.#control(C.EPOLL_CTL_MOD, fd, flags, ERRNO.ENOENT) !== 0) {
      this.#control(C.EPOLL_CTL_ADD, fd, flags);
    }
  }

  #wakeIfIdle(): void {
    if (this.#waiters.size > 0 || !this.#parked) return;
    write(this.#wake, new Uint8Array(new BigUint64Array([1n]).buffer));
  }

  #control(operation: number, fd: number, events: number, tolerated = 0): number {
    this.#eventView.setUint32(0, events, true);
    this.#eventView.setInt32(ARCH.epollDataOffset, fd, true);
    const lib = symbols();
    const epoll = this.#epoll.value;
    if (lib.epoll_ctl(epoll, operation, fd, this.#event) === 0) return 0;
    const code = errno();
    if (code === tolerated) return code;
    throw new SyscallError(`wait for descriptor ${fd}`, "epoll_ctl", code);
  }

  #fail(error: unknown): void {
    this.#running = false;
    for (const fd of [...this.#waiters.keys()]) this.forget(fd, error);
  }

  async #run(): Promise<void> {
    this.#running = true;
    let turn = performance.now();
    // Others who are about to wait come first: a spin keeps them from it.
    await undefined;
    while (this.#waiters.size > 0) {
      const started = performance.now();
      // Spinning pays only while waits are usually shorter than the spin.
      if (!(this.#recent <= SPIN_BELOW && this.#spin(started))) {
        await this.#park();
        turn = performance.now();
      }
      const now = performance.now();
      this.#recent += (Math.min(now - started, 1) - this.#recent) / 4;
      if (now - turn > TURN) {
        await giveTurn();
        turn = performance.now();
      } else {
        // Those just resumed come back to wait, or go, before the loop looks again.
        for (let i = 0; i < 4; i++) await undefined;
      }
    }
    this.#running = false;
  }

  #spin(started: number): boolean {
    const lib = symbols();
    const epoll = this.#epoll.value;
    do {
      const n = lib.epoll_wait(epoll, this.#ready, EVENTS, 0);
      if (n > 0) {
        this.#dispatch(n);
        return true;
      }
    } while (performance.now() - started < SPIN);
    return false;
  }

  async #park(): Promise<void> {
    const lib = symbols();
    this.#parked = true;
    let n = await lib.park(this.#epoll.value, this.#ready, EVENTS, -1);
    this.#parked = false;
    if (n < 0) {
      // The errno of a call on another thread is out of reach: ask again here. EINTR is gone by then.
      n = lib.epoll_wait(this.#epoll.value, this.#ready, EVENTS, 0);
      if (n < 0) throw new SyscallError("wait for descriptors", "epoll_wait", errno());
    }
    this.#dispatch(n);
  }

  #dispatch(n: number): void {
    for (let i = 0; i < n; i++) {
      const at = i * ARCH.epollEventSize + ARCH.epollDataOffset;
      const fd = this.#readyView.getInt32(at, true);
      if (fd === this.#wake.value) {
        read(this.#wake, new Uint8Array(8));
        continue;
      }
      const waiters = this.#waiters.get(fd);
      if (!waiters) continue;
      const events = this.#readyView.getUint32(i * ARCH.epollEventSize, true);
      const failed = (events & (C.EPOLLERR | C.EPOLLHUP)) !== 0;
      // One each: of several, a later one might find what comes while an earlier one has just looked.
      const reader = failed || events & C.EPOLLIN ? waiters.readers.shift() : undefined;
      const writer = failed || events & C.EPOLLOUT ? waiters.writers.shift() : undefined;
      if (waiters.readers.length > 0 || waiters.writers.length > 0) this.#arm(fd, waiters);
      else this.#waiters.delete(fd);
      reader?.resolve();
      writer?.resolve();
    }
  }
}

let reactor: Reactor | undefined;

/** Not a timer of 0 ms, which takes one or more: this takes microseconds. */
const { setImmediate } = globalThis as unknown as {
  setImmediate(callback: () => void): void;
};

/** Resolves when timers, I/O and signal handlers have had their turn, for work that never waits. */
export function giveTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Resolves when `fd` has something to read (or an error to report). Several may wait for one
 * descriptor: they are woken one after the other, in the order they came, while it has something.
 *
 * @param fd The descriptor. Whoever closes it calls {@link abandon} first.
 * @param signal Ends the wait early: the promise rejects with the signal's reason.
 */
export function readable(fd: Fd, signal?: AbortSignal): Promise<void> {
  return wait(fd, C.EPOLLIN, signal);
}

/** Resolves when `fd` takes more to write (or has an error to report); otherwise as {@link readable}. */
export function writable(fd: Fd, signal?: AbortSignal): Promise<void> {
  return wait(fd, C.EPOLLOUT, signal);
}

/** Rejects all waits for a descriptor that is about to be closed. */
export function abandon(fd: Fd, reason: unknown): void {
  if (!fd.closed) reactor?.forget(fd.value, reason);
}

function wait(fd: Fd, events: number, signal: AbortSignal | undefined): Promise<void> {
  const number = fd.value;
  return new Promise((resolve, reject) => {
    const own = reactor ??= new Reactor();
    if (!signal) return own.wait(number, events, { resolve, reject });
    if (signal.aborted) return reject(signal.reason);
    const abort = () => {
      own.cancel(number, events, waiter);
      reject(signal.reason);
    };
    const settled = () => signal.removeEventListener("abort", abort);
    const waiter = {
      resolve: () => (settled(), resolve()),
      reject: (reason: unknown) => (settled(), reject(reason)),
    };
    own.wait(number, events, waiter);
    signal.addEventListener("abort", abort, { once: true });
  });
}
