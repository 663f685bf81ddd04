/**
 * Timers that the reactor waits for, exact to some 0.1 ms: those of the event loop count whole milliseconds
 * (timerfd_create(2)).
 *
 * @module
 */
import { C } from "./constants.ts";
import { errno, SyscallError } from "./errno.ts";
import { Fd } from "./file.ts";
import { timer as symbols } from "./libc.ts";
import { readPacket } from "./packet_io.ts";
import { until } from "./reactor.ts";

/** A timer that expires once each time it is set. */
export class Timer implements Disposable {
  readonly #fd: Fd;
  /** `struct itimerspec`: the interval, which stays 0, and the time. */
  readonly #time = new Uint8Array(32);
  readonly #view = new DataView(this.#time.buffer);
  readonly #count = new Uint8Array(8);

  /** Creates a timer that is not set. */
  constructor() {
    const fd = symbols().timerfd_create(C.CLOCK_MONOTONIC, C.TFD_CLOEXEC | C.TFD_NONBLOCK);
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
    if (symbols().timerfd_settime(this.#fd.value, 0, this.#time, null) !== 0) {
      throw new SyscallError("set a timer", { syscall: "timerfd_settime", errno: errno() });
    }
  }

  /** Resolves when it has expired; rejects when it is closed. Does not end the wait of a device by itself. */
  expired(): Promise<true> {
    const attempt = () => readPacket(this.#fd.value, this.#count, 8) > 0 || undefined;
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
