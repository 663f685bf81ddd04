/**
 * Waiting for descriptors: one `epoll` for all waiters of a thread.
 *
 * Descriptors stay registered, edge-triggered: a wait for one that was waited for before costs no system
 * call. A parked wait occupies one slot of Deno's blocking pool, however many descriptors are waited
 * for; only taking the last one away wakes it, so that the process can end.
 *
 * @module
 */
import { ARCH, C, direct, epoll as symbols, timer } from "./libc.ts";
import { ERRNO, errno, SyscallError } from "./errno.ts";
import { Fd, read, write } from "./file.ts";
import { Turn } from "../src/waiting.ts";

/** How long a wait polls before it parks, in milliseconds: about as long as a wake-up from parking takes. */
const SPIN = 0.1;
/**
 * How long a patient wait blocks the thread before it parks, in whole milliseconds: timers are kept
 * waiting no longer. Meanwhile packets gather, which a batch then takes at once.
 */
const BLOCK = 1;
/** Recent waits longer than this, in milliseconds on average, are worth neither. */
const PARK_ABOVE = 0.3;
const EVENTS = 64;
/** How often in a row a parked wait may fail before all who wait are told. */
const MOST_FAILURES = 100;

/** Somebody who waits for a descriptor. */
export interface Waiter {
  /** The descriptor may be ready: whether this was all the waiter waited for. It must not throw. */
  attempt(): boolean;
  /** The wait ends without that. */
  reject(reason: unknown): void;
  /** Rather more at once than the first of it soon. */
  readonly patient?: boolean;
}

/** Which way a descriptor is waited for. */
export type Direction = "read" | "write";

/** A descriptor in the epoll, and who waits for it, first come first. */
class Watch {
  readonly number: number;
  /** What it is registered for. */
  events = 0;
  readonly read: Waiter[] = [];
  readonly write: Waiter[] = [];

  constructor(number: number) {
    this.number = number;
  }
}

class Reactor {
  readonly #epoll: Fd;
  readonly #wake: Fd;
  readonly #watches = new WeakMap<Fd, Watch>();
  readonly #byNumber: (Watch | undefined)[] = [];
  /** How many wait, for whatever, and how many of them are patient. */
  #waiting = 0;
  #patient = 0;
  readonly #event = new Uint8Array(ARCH.epollEventSize);
  readonly #eventView = new DataView(this.#event.buffer);
  readonly #ready = new Uint8Array(ARCH.epollEventSize * EVENTS);
  readonly #readyView = new DataView(this.#ready.buffer);
  #running = false;
  /** The parked wait, if there is one. */
  #parked: Promise<number> | undefined;
  /** How often in a row a parked wait has failed. */
  #failures = 0;
  /** A moving average of how long recent waits took, in milliseconds. */
  #recent = 0;

  constructor() {
    const lib = symbols();
    const fd = lib.epoll_create1(C.EPOLL_CLOEXEC);
    if (fd < 0) {
      throw new SyscallError("start the reactor", { syscall: "epoll_create1", errno: errno() });
    }
    this.#epoll = new Fd(fd);
    const wake = lib.eventfd(0, C.EFD_CLOEXEC | C.EFD_NONBLOCK);
    const code = errno();
    this.#wake = new Fd(wake); // a negative number counts as closed
    try {
      if (wake < 0) {
        throw new SyscallError("start the reactor", { syscall: "eventfd", errno: code });
      }
      this.#control(C.EPOLL_CTL_ADD, wake, C.EPOLLIN);
    } catch (error) {
      this.#epoll.close();
      this.#wake.close();
      throw error;
    }
  }

  wait(fd: Fd, direction: Direction, waiter: Waiter, tried: boolean): void {
    const watch = this.#watches.get(fd) ?? this.#watch(fd);
    const needed = direction === "read" ? C.EPOLLIN : C.EPOLLOUT;
    if ((watch.events & needed) === 0) this.#register(watch, watch.events | needed);
    // Registering again makes the kernel look again: what is there already is no edge.
    else if (!tried) this.#register(watch, watch.events);
    watch[direction].push(waiter);
    this.#waiting++;
    if (waiter.patient) this.#patient++;
    if (!this.#running) void this.#run().catch((error) => this.#fail(error));
  }

  cancel(fd: Fd, direction: Direction, waiter: Waiter): Promise<unknown> | undefined {
    const list = this.#watches.get(fd)?.[direction] ?? [];
    const at = list.indexOf(waiter);
    if (at < 0) return undefined;
    list.splice(at, 1);
    return this.#left([waiter]);
  }

  forget(fd: Fd, reason: unknown): void {
    const watch = this.#watches.get(fd);
    if (!watch) return;
    this.#watches.delete(fd);
    this.#byNumber[watch.number] = undefined;
    const waiters = [...watch.read.splice(0), ...watch.write.splice(0)];
    let woken: Promise<unknown> | undefined;
    try {
      woken = this.#left(waiters);
      // Without this the file would stay in the epoll while anybody else has it open.
      if (watch.events !== 0) this.#control(C.EPOLL_CTL_DEL, watch.number, 0);
    } finally {
      const reject = () => waiters.forEach((waiter) => waiter.reject(reason));
      if (woken) void woken.then(reject);
      else reject();
    }
  }

  #watch(fd: Fd): Watch {
    const watch = new Watch(fd.value);
    this.#watches.set(fd, watch);
    this.#byNumber[watch.number] = watch;
    fd.onLeave(() => this.forget(fd, new TypeError("The file descriptor is closed")));
    return watch;
  }

  #register(watch: Watch, events: number): void {
    const operation = watch.events === 0 ? C.EPOLL_CTL_ADD : C.EPOLL_CTL_MOD;
    this.#control(operation, watch.number, events | C.EPOLLET);
    watch.events = events;
  }

  /** Wakes the parked wait when nobody waits any more, and returns it: `Deno.test` finds one that goes on. */
  #left(waiters: readonly Waiter[]): Promise<unknown> | undefined {
    this.#waiting -= waiters.length;
    this.#patient -= waiters.filter(({ patient }) => patient).length;
    if (this.#waiting > 0 || waiters.length === 0 || !this.#parked) return undefined;
    write(this.#wake, new Uint8Array(new BigUint64Array([1n]).buffer), "wake the reactor");
    return this.#parked;
  }

  #control(operation: number, fd: number, events: number): void {
    this.#eventView.setUint32(0, events >>> 0, true);
    this.#eventView.setInt32(ARCH.epollDataOffset, fd, true);
    if (symbols().epoll_ctl(this.#epoll.value, operation, fd, this.#event) !== 0) {
      throw new SyscallError(`wait for descriptor ${fd}`, { syscall: "epoll_ctl", errno: errno() });
    }
  }

  #fail(error: unknown): void {
    this.#running = false;
    for (const watch of this.#byNumber) {
      const waiters = watch ? [...watch.read.splice(0), ...watch.write.splice(0)] : [];
      this.#waiting -= waiters.length;
      for (const waiter of waiters) waiter.reject(error);
    }
    this.#patient = 0;
  }

  async #run(): Promise<void> {
    this.#running = true;
    const turn = new Turn(1);
    // Others who are about to wait come first: a spin keeps them from it.
    await undefined;
    while (this.#waiting > 0) {
      const started = performance.now();
      if (!(this.#recent <= PARK_ABOVE && this.#linger(started))) {
        await this.#park();
        turn.taken();
      }
      const took = performance.now() - started;
      this.#recent += (Math.min(took, 1) - this.#recent) / 4;
      const due = turn.due();
      if (due) await due;
      else {
        // Those just resumed come back to wait, or go, before the loop looks again.
        for (let i = 0; i < 4; i++) await undefined;
      }
    }
    this.#running = false;
  }

  /** Waits on this thread, for a moment: whether anything came. */
  #linger(started: number): boolean {
    const lib = symbols();
    const epoll = this.#epoll.value;
    const timeout = this.#patient === this.#waiting ? BLOCK : 0;
    do {
      const n = lib.epoll_wait(epoll, this.#ready, EVENTS, timeout);
      if (n > 0) {
        this.#dispatch(n);
        return true;
      }
    } while (timeout === 0 && performance.now() - started < SPIN);
    return false;
  }

  async #park(): Promise<void> {
    const lib = symbols();
    this.#parked = lib.park(this.#epoll.value, this.#ready, EVENTS, -1);
    let n = await this.#parked;
    this.#parked = undefined;
    this.#failures = n < 0 ? this.#failures + 1 : 0;
    if (n < 0) {
      // The errno of a call on another thread is out of reach: ask again here. EINTR is gone by then.
      n = lib.epoll_wait(this.#epoll.value, this.#ready, EVENTS, 0);
      const broken = this.#failures > MOST_FAILURES;
      if (n < 0 || broken) {
        this.#failures = 0;
        const code = n < 0 ? errno() : ERRNO.EIO;
        throw new SyscallError("wait for descriptors", { syscall: "epoll_wait", errno: code });
      }
    }
    this.#dispatch(n);
  }

  #dispatch(n: number): void {
    for (let i = 0; i < n; i++) {
      const at = i * ARCH.epollEventSize;
      const number = this.#readyView.getInt32(at + ARCH.epollDataOffset, true);
      if (number === this.#wake.value) {
        read(this.#wake, new Uint8Array(8), "wake the reactor");
        continue;
      }
      const watch = this.#byNumber[number];
      if (!watch) continue;
      const events = this.#readyView.getUint32(at, true);
      const failed = (events & (C.EPOLLERR | C.EPOLLHUP)) !== 0;
      const nobody = watch.read.length === 0 && watch.write.length === 0;
      if (failed || events & C.EPOLLIN) this.#wakeUp(watch.read);
      if (failed || events & C.EPOLLOUT) this.#wakeUp(watch.write);
      // What nobody waits for is not to wake anybody again: the next one to wait registers it anew.
      if (nobody && watch.events !== 0) {
        this.#control(C.EPOLL_CTL_DEL, number, 0);
        watch.events = 0;
      }
    }
  }

  /** One after the other, until one finds nothing: there is no second edge for what is left. */
  #wakeUp(waiters: Waiter[]): void {
    while (waiters.length > 0) {
      const [waiter] = waiters;
      if (!waiter!.attempt()) return;
      // The attempt may have closed the descriptor, which ends all waits for it.
      if (waiters[0] !== waiter) continue;
      waiters.shift();
      if (waiter!.patient) this.#patient--;
      this.#waiting--;
    }
  }
}

let reactor: Reactor | undefined;

/**
 * Resolves when the event loop has been idle twice, for a millisecond: signals that came before have
 * been noticed then, and handled. Without Node's timers, for where nothing else needs them.
 */
export async function idle(): Promise<void> {
  const { epoll_create1, park } = symbols();
  const number = epoll_create1(C.EPOLL_CLOEXEC);
  if (number < 0) throw new SyscallError("wait", { syscall: "epoll_create1", errno: errno() });
  using nothing = new Fd(number);
  for (let i = 0; i < 2; i++) await park(nothing.value, new Uint8Array(ARCH.epollEventSize), 1, 1);
}

/**
 * Waits for a descriptor. Several may wait for one: they are attempted one after the other, in the order
 * they came, until one finds nothing. Closing the descriptor ends all waits.
 *
 * @param tried The waiter has just found that the descriptor is not ready; or another one waits already.
 */
export function wait(fd: Fd, direction: Direction, waiter: Waiter, tried: boolean): void {
  (reactor ??= new Reactor()).wait(fd, direction, waiter, tried);
}

/**
 * Ends a wait; nothing is called any more.
 *
 * @returns The parked wait that ends with the last one, if it is parked.
 */
export function cancel(
  fd: Fd,
  direction: Direction,
  waiter: Waiter,
): Promise<unknown> | undefined {
  return reactor?.cancel(fd, direction, waiter);
}

/** Rejects all waits for a descriptor that is about to be closed. */
export function abandon(fd: Fd, reason: unknown): void {
  reactor?.forget(fd, reason);
}

/** What {@link until} waits for. */
export interface Attempt<T> {
  /** Gives `undefined` while it has to wait; what it throws, the wait rejects with. */
  attempt(): T | undefined;
  /** Called once, when the wait has ended in whatever way. */
  ended?(): void;
  /** Ends the wait early: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** As for {@link wait}. */
  readonly tried: boolean;
  /** As of a {@link Waiter}. */
  readonly patient?: boolean;
}

/** Resolves when an attempt gives a value; it is made whenever `fd` may be ready. */
export function until<T>(fd: Fd, direction: Direction, options: Attempt<T>): Promise<T> {
  const { signal, tried } = options;
  return new Promise((resolve, reject) => {
    const end = () => {
      signal?.removeEventListener("abort", abort);
      options.ended?.();
    };
    const abort = () => {
      const woken = cancel(fd, direction, waiter);
      end();
      if (woken) void woken.then(() => reject(signal!.reason));
      else reject(signal!.reason);
    };
    const waiter: Waiter = {
      patient: options.patient ?? false,
      attempt() {
        try {
          const value = options.attempt();
          if (value === undefined) return false;
          resolve(value);
        } catch (error) {
          reject(error);
        }
        end();
        return true;
      },
      reject(reason) {
        end();
        reject(reason);
      },
    };
    if (signal?.aborted) return waiter.reject(signal.reason);
    try {
      wait(fd, direction, waiter, tried);
    } catch (error) {
      return waiter.reject(error);
    }
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/**
 * Resolves when `fd` has something to read (or an error to report), at once if it does now.
 *
 * @param signal Ends the wait early: the promise rejects with the signal's reason.
 */
export async function readable(fd: Fd, signal?: AbortSignal): Promise<void> {
  await until(fd, "read", { attempt: () => true, signal, tried: false });
}

/** Resolves when `fd` takes more to write (or has an error to report); otherwise as {@link readable}. */
export async function writable(fd: Fd, signal?: AbortSignal): Promise<void> {
  await until(fd, "write", { attempt: () => true, signal, tried: false });
}

/**
 * A timer that expires once each time it is set, exact to some 0.1 ms: those of the event loop count whole milliseconds
 * (timerfd_create(2)).
 */
export class Timer implements Disposable {
  readonly #fd: Fd;
  /** `struct itimerspec`: the interval, which stays 0, and the time. */
  readonly #time = new Uint8Array(32);
  readonly #view = new DataView(this.#time.buffer);
  readonly #count = new Uint8Array(8);

  /** Creates a timer that is not set. */
  constructor() {
    const fd = timer().timerfd_create(C.CLOCK_MONOTONIC, C.TFD_CLOEXEC | C.TFD_NONBLOCK);
    if (fd < 0) {
      throw new SyscallError("create a timer", { syscall: "timerfd_create", errno: errno() });
    }
    this.#fd = new Fd(fd);
  }

  /** Sets it to expire in `ms` milliseconds; what is past expires at once. */
  set(ms: number): void {
    const ns = Math.max(Math.ceil(ms * 1e6), 1);
    const seconds = Math.floor(ns / 1e9);
    this.#view.setInt32(16, seconds, true);
    this.#view.setInt32(24, ns - seconds * 1e9, true);
    if (timer().timerfd_settime(this.#fd.value, 0, this.#time, null) !== 0) {
      throw new SyscallError("set a timer", { syscall: "timerfd_settime", errno: errno() });
    }
  }

  /** Resolves when it has expired; rejects when it is closed. Does not end the wait of a device by itself. */
  expired(): Promise<true> {
    const attempt = () => direct().read(this.#fd.value, this.#count, 8) > 0 || undefined;
    return until(this.#fd, "read", { attempt, tried: false, patient: true });
  }

  /** Closes it: a pending wait rejects. A second call does nothing. */
  close(): void {
    this.#fd.close();
  }

  /** Same as {@link Timer.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
