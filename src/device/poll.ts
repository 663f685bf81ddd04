/**
 * Waiting for several devices on this thread.
 *
 * @module
 */
import { SyscallError } from "../../ffi/errno.ts";
import { PollSet } from "../../ffi/packet_io.ts";
import type { FdDevice } from "./fd_device.ts";
import type { BlockOptions } from "./packet_device.ts";

/**
 * Waits for the first of several devices that has something to read, blocking the thread: for loops
 * that do nothing else. While it blocks, no timer runs and no signal is heard.
 *
 * @example A loop over two devices
 * ```ts
 * import { DevicePoll, type FdDevice } from "@netloom/netloom";
 *
 * function forward(a: FdDevice, b: FdDevice): never {
 *   const buffer = new Uint8Array(65_600);
 *   const poll = new DevicePoll([a, b]);
 *   for (;;) {
 *     poll.wait();
 *     for (const [i, [from, to]] of [[a, b], [b, a]].entries()) {
 *       if (!poll.ready(i)) continue;
 *       for (let n = from!.tryRead(buffer); n >= 0; n = from!.tryRead(buffer)) {
 *         to!.writeSync(buffer, n);
 *       }
 *     }
 *   }
 * }
 * console.log(forward.name);
 * ```
 */
export class DevicePoll {
  readonly #set: PollSet;

  /** Takes the devices; they must stay open. */
  constructor(devices: readonly FdDevice[]) {
    this.#set = new PollSet(devices.map((device) => device.descriptor));
  }

  /** Blocks until one is ready: how many are; 0 after `timeout` milliseconds. */
  wait(options: BlockOptions = {}): number {
    const n = this.#set.wait(options.timeout ?? Infinity);
    if (n >= 0) return n;
    throw new SyscallError("wait for devices", { syscall: "poll", errno: -n });
  }

  /** Whether the `i`th device had something to read, or failed. */
  ready(i: number): boolean {
    return this.#set.ready(i);
  }
}
