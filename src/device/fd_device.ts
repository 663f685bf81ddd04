/**
 * A packet device over one non-blocking descriptor: read, written, as web streams, from another thread, and
 * several of them waited for at once.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { Fd } from "../../ffi/file.ts";
import { PollSet, readPacket, RING_ENTRIES, writePacket } from "../../ffi/packet_io.ts";
import { C } from "../../ffi/libc.ts";
import { abandon, readable, until } from "../../ffi/reactor.ts";
import {
  batchEngine,
  type BlockOptions,
  checkLength,
  checkPackets,
  deadlineOf,
  DeviceClosedError,
  type DeviceTransfer,
  MAX_PACKET,
  type PacketBatch,
  type PacketDevice,
  signalOf,
  type Target,
  targetOf,
  WAITING,
  type WaitOptions,
} from "./packet_device.ts";
import { show } from "../options.ts";
import { Turn } from "../waiting.ts";

/** The fewest packets that a batch asks for. */
const LEAST = 4;

const DONE: Promise<void> = Promise.resolve();

/** Of all devices: each takes part of the time. */
const turn = new Turn();

/** A {@link PacketDevice} over a descriptor that it owns. Devices extend it. */
export class FdDevice implements PacketDevice {
  readonly #fd: Fd;
  readonly #what: string;
  /** The descriptor's number; -1 when it is closed. */
  #number: number;
  readonly #target: Target;
  /** How many calls wait to read, and to write: calls that come now line up behind them. */
  #reading = 0;
  #writing = 0;
  /** How many packets the next batch asks for: each one that is not there costs a little. */
  #likely = LEAST;
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  #writable: WritableStream<Uint8Array> | undefined;

  /** Takes ownership of a non-blocking descriptor. `what` names it in messages: `tun "t0"`. */
  constructor(fd: Fd, what: string) {
    this.#fd = fd;
    this.#number = fd.value;
    this.#what = what;
    this.#target = targetOf(this.#number);
  }

  /** For devices: the owner of the descriptor. */
  protected get fd(): Fd {
    if (this.#number < 0) throw new DeviceClosedError(this.#what);
    return this.#fd;
  }

  /** The descriptor's number. Throws {@link DeviceClosedError} when it is closed. */
  get descriptor(): number {
    return this.fd.value;
  }

  /** Its name in messages: `tun "t0"`. */
  protected get what(): string {
    return this.#what;
  }

  /** Whether it has been closed or handed over. */
  get closed(): boolean {
    return this.#number < 0;
  }

  /** As {@link PacketDevice.tryRead}. */
  tryRead(buffer: Uint8Array): number {
    const n = readPacket(this.#number, buffer as Uint8Array<ArrayBuffer>, buffer.length);
    if (n >= 0) return n;
    if (n === -ERRNO.EAGAIN) return -1;
    throw this.#failure("read", n);
  }

  /** As {@link PacketDevice.tryWrite}. */
  tryWrite(packet: Uint8Array, length: number = packet.length): boolean {
    checkLength(packet, length);
    const n = writePacket(this.#number, packet as Uint8Array<ArrayBuffer>, length);
    if (n >= 0) return true;
    if (n === -ERRNO.EAGAIN) return false;
    throw this.#failure("write", n);
  }

  /** As {@link PacketDevice.read}. */
  read(buffer: Uint8Array, options?: WaitOptions): Promise<number> {
    let signal: AbortSignal | undefined;
    let n: number;
    try {
      signal = signalOf(options);
      if (this.#reading > 0 || signal?.aborted) return this.#readLater(buffer, signal);
      n = this.tryRead(buffer);
    } catch (error) {
      return Promise.reject(error);
    }
    if (n < 0) return this.#readLater(buffer, signal);
    const due = turn.due();
    return due === undefined ? Promise.resolve(n) : due.then(() => n);
  }

  #readLater(buffer: Uint8Array, signal: AbortSignal | undefined): Promise<number> {
    return this.#laterRead(() => {
      const n = this.tryRead(buffer);
      return n < 0 ? undefined : n;
    }, signal);
  }

  /** Waits in line to read. */
  #laterRead<T>(
    attempt: () => T | undefined,
    signal: AbortSignal | undefined,
    patient = false,
  ): Promise<T> {
    if (this.closed) return Promise.reject(new DeviceClosedError(this.#what));
    this.#reading++;
    const ended = () => void this.#reading--;
    return until(this.#fd, "read", { attempt, ended, signal, tried: true, patient });
  }

  /** Waits in line to write. */
  #laterWrite<T>(attempt: () => T | undefined, signal?: AbortSignal): Promise<T> {
    if (this.closed) return Promise.reject(new DeviceClosedError(this.#what));
    this.#writing++;
    const ended = () => void this.#writing--;
    return until(this.#fd, "write", { attempt, ended, signal, tried: true });
  }

  /** Resolves when a packet is queued, or an error; for readers that look for themselves. */
  async whenReadable(options?: WaitOptions): Promise<void> {
    await readable(this.fd, signalOf(options));
  }

  /** As {@link PacketDevice.write}. */
  write(packet: Uint8Array, length?: number, options?: WaitOptions): Promise<void> {
    let signal: AbortSignal | undefined;
    try {
      signal = signalOf(options);
      const free = this.#writing === 0 && !signal?.aborted;
      if (free && this.tryWrite(packet, length)) return turn.due() ?? DONE;
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#writeLater(packet, length, signal);
  }

  async #writeLater(
    packet: Uint8Array,
    length: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await this.#laterWrite(() => this.tryWrite(packet, length) || undefined, signal);
  }

  /** As {@link PacketDevice.readSync}. */
  readSync(buffer: Uint8Array, options?: BlockOptions): number {
    const until = deadlineOf(options);
    for (;;) {
      const n = this.tryRead(buffer);
      if (n >= 0 || !this.#block(C.POLLIN, until)) return n;
    }
  }

  /** As {@link PacketDevice.writeSync}. */
  writeSync(packet: Uint8Array, length?: number): void {
    while (!this.tryWrite(packet, length)) this.#block(C.POLLOUT, Infinity);
  }

  /** As {@link PacketDevice.tryReadBatch}. */
  tryReadBatch(batch: PacketBatch): number {
    if (batch.bytes.length === 0) throw new TypeError("The batch's memory was transferred");
    const n = batchEngine().read(this.#target, batch, Math.min(this.#likely, batch.capacity));
    if (n < 0 && n !== WAITING) throw this.#failure("read", n);
    this.#likely = Math.min(Math.max(2 * n, LEAST), RING_ENTRIES);
    return batch.count = Math.max(n, 0);
  }

  /** As {@link PacketDevice.readBatch}. */
  async readBatch(batch: PacketBatch, options?: WaitOptions): Promise<number> {
    const signal = signalOf(options);
    if (this.#reading > 0 || signal?.aborted || this.tryReadBatch(batch) === 0) {
      await this.#laterRead(() => this.tryReadBatch(batch) || undefined, signal, true);
    }
    await turn.due(batch.count);
    return batch.count;
  }

  /** As {@link PacketDevice.readBatchSync}. */
  readBatchSync(batch: PacketBatch, options?: BlockOptions): number {
    const until = deadlineOf(options);
    for (;;) {
      const n = this.tryReadBatch(batch);
      if (n > 0 || !this.#block(C.POLLIN, until)) return n;
    }
  }

  /** As {@link PacketDevice.writeBatchSync}. */
  writeBatchSync(batch: PacketBatch): void {
    checkPackets(batch);
    batch.results.fill(WAITING, 0, batch.count);
    while (batchEngine().write(this.#target, batch) > 0) this.#block(C.POLLOUT, Infinity);
    this.#checkResults(batch);
  }

  /** As {@link PacketDevice.writeBatch}. */
  async writeBatch(batch: PacketBatch, options?: WaitOptions): Promise<void> {
    checkPackets(batch);
    const signal = signalOf(options);
    const { count, results } = batch;
    results.fill(WAITING, 0, count);
    const done = () => batchEngine().write(this.#target, batch) === 0 || undefined;
    if (this.#writing > 0 || signal?.aborted || !done()) {
      await this.#laterWrite(done, signal);
    }
    this.#checkResults(batch);
    await turn.due(count);
  }

  /** As {@link PacketDevice.readable}. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= packetStream(this);
  }

  /** As {@link PacketDevice.writable}. */
  get writable(): WritableStream<Uint8Array> {
    return this.#writable ??= packetSink(this);
  }

  /** As {@link PacketDevice.packets}. */
  async *packets(options?: WaitOptions): AsyncIterableIterator<Uint8Array<ArrayBuffer>> {
    const buffer = new Uint8Array(MAX_PACKET);
    while (!this.closed) {
      let n: number;
      try {
        n = await this.read(buffer, options);
      } catch (error) {
        if (error instanceof DeviceClosedError) return;
        throw error;
      }
      yield buffer.slice(0, n);
    }
  }

  /** Same as {@link FdDevice.packets}. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array<ArrayBuffer>> {
    return this.packets();
  }

  /** As {@link PacketDevice.transfer}. */
  transfer(): DeviceTransfer {
    this.#leave();
    return { fd: this.#fd.release(), what: this.#what };
  }

  /** As {@link PacketDevice.close}. A second call does nothing. */
  close(): void {
    if (this.#number < 0) return;
    this.#leave();
    this.#fd.close();
  }

  /** Same as {@link FdDevice.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #checkResults({ count, results }: PacketBatch): void {
    for (let i = 0; i < count; i++) {
      if (results[i]! < 0) throw this.#failure(`write packet ${i} of ${count}`, results[i]!);
    }
  }

  /** Ends every pending call, while the number is still this device's. */
  #leave(): void {
    abandon(this.fd, new DeviceClosedError(this.#what));
    this.#number = this.#target.fd = -1;
  }

  /** Whether it became ready, rather than the time `until` (of `performance.now()`) came. */
  #block(events: number, until: number): boolean {
    const set = new PollSet([this.descriptor], events);
    const n = set.wait(until - performance.now());
    if (n < 0) throw this.#failure("wait for", n);
    return n > 0;
  }

  #failure(action: string, result: number): Error {
    if (this.#number < 0) return new DeviceClosedError(this.#what);
    const syscall = action === "wait for" ? "poll" : action.split(" ")[0]!;
    const hint = result === -ERRNO.EIO && syscall === "write" ? "is the link up?" : undefined;
    const preposition = syscall === "write" ? " to" : syscall === "read" ? " from" : "";
    return new SyscallError(`${action}${preposition} ${this.#what}`, {
      syscall,
      errno: -result,
      hint,
    });
  }

  /** Prints the device as `tun "t0" in netns "ns1"`. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.closed ? `${this.#what} (closed)` : this.#what;
  }
}

/** Packets read one at a time, when the consumer asks for one. */
function packetStream(device: PacketDevice): ReadableStream<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(MAX_PACKET);
  const stop = new AbortController();
  return new ReadableStream({
    async pull(controller) {
      try {
        const n = await device.read(buffer, { signal: stop.signal });
        controller.enqueue(buffer.slice(0, n));
      } catch (error) {
        if (error instanceof DeviceClosedError) controller.close();
        else if (!stop.signal.aborted) throw error;
      }
    },
    cancel: (reason) => stop.abort(reason),
  }, { highWaterMark: 0 });
}

/** Packets written one at a time. */
function packetSink(device: PacketDevice): WritableStream<Uint8Array> {
  return new WritableStream({
    // The stream's own abort would wait for a write that waits: this signal does not.
    write: (packet, { signal }) => device.write(packet, packet.length, { signal }),
  });
}

/**
 * Takes over a device that another thread of this process gave up with {@linkcode
 * PacketDevice.transfer}. Call it once for each transfer: the descriptor has one owner.
 *
 * @param transfer The result of `transfer()` there.
 * @returns The device. Closing it closes the descriptor. A TUN without another queue ends with it.
 * @throws {TypeError} When it is not a transfer.
 *
 * @example A worker that reads packets
 * ```ts
 * import { type DeviceTransfer, receiveDevice } from "@netloom/netloom";
 *
 * // In the worker: self.onmessage = ({ data }) => count(data);
 * async function count(transfer: DeviceTransfer) {
 *   using device = receiveDevice(transfer);
 *   for await (const packet of device) console.log(packet.length);
 * }
 * console.log(count.name);
 * ```
 */
export function receiveDevice(transfer: DeviceTransfer): PacketDevice {
  if (!Number.isInteger(transfer?.fd) || transfer.fd < 0 || typeof transfer.what !== "string") {
    throw new TypeError(
      `receiveDevice() needs the result of transfer(): got ${show(transfer)}`,
    );
  }
  return new FdDevice(new Fd(transfer.fd), transfer.what);
}

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
  wait(options?: BlockOptions): number {
    const n = this.#set.wait(deadlineOf(options) - performance.now());
    if (n >= 0) return n;
    throw new SyscallError("wait for devices", { syscall: "poll", errno: -n });
  }

  /** Whether the `i`th device had something to read, or failed. */
  ready(i: number): boolean {
    return this.#set.ready(i);
  }
}
