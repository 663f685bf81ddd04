/**
 * Packet devices and batches of packets: the interface that every device has, and the engines that read
 * and write many packets with one system call.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import {
  dropThreadRing,
  IORING,
  PinnedMemory,
  readPacket,
  RING_ENTRIES,
  RWF_NOWAIT,
  threadRing,
  writePacket,
} from "../../ffi/packet_io.ts";
import { checkOptions, type OptionNames, show } from "../options.ts";

/** Bytes that any IP packet fits in, with an Ethernet header, two tags and a virtio-net header. */
export const MAX_PACKET = 65_600;

/** Options of a call that may wait. */
export interface WaitOptions {
  /** Ends the wait early: the promise rejects with the signal's reason. No packet is lost by it. */
  readonly signal?: AbortSignal;
}

/** Options of a call that may block the thread. */
export interface BlockOptions {
  /** Milliseconds to block at most; default: for ever. */
  readonly timeout?: number;
}

const WAIT_OPTIONS: OptionNames<WaitOptions> = { signal: true };
const BLOCK_OPTIONS: OptionNames<BlockOptions> = { timeout: true };

/** The signal that ends a wait. Throws a `TypeError` for other options. */
export function signalOf(options: WaitOptions | undefined): AbortSignal | undefined {
  if (options === undefined) return undefined;
  checkOptions(options, WAIT_OPTIONS);
  return options.signal;
}

/** The time of `performance.now()` until which a call may block. Throws for other options. */
export function deadlineOf(options: BlockOptions | undefined): number {
  if (options === undefined) return Infinity;
  checkOptions(options, BLOCK_OPTIONS);
  const { timeout = Infinity } = options;
  if (typeof timeout !== "number" || !(timeout >= 0)) {
    throw new RangeError(`timeout must be in 0..Infinity milliseconds: got ${show(timeout)}`);
  }
  return performance.now() + timeout;
}

/**
 * A descriptor that packets come from and go to: a TUN or TAP, a macvtap, a packet or raw socket.
 *
 * **Who owns the bytes.** `read`, `readSync`, `tryRead` and `readBatch` write into memory of the caller, only during
 * the call or until its promise settles. `write`, `writeSync`, `tryWrite` and `writeBatch` have copied the packet to
 * the kernel when they return or resolve. Iteration and the `readable` stream return a new copy for each packet.
 *
 * **Waiting.** `read` takes a queued packet at once and waits only when there is none. Timers and I/O get their turn
 * every few milliseconds, even if packets come without a pause. A waiting call keeps the process alive, an idle
 * device does not. Several reads may wait at once: they get packets in the order of the calls.
 */
export interface PacketDevice extends AsyncIterable<Uint8Array<ArrayBuffer>>, Disposable {
  /** Whether it has been closed or handed over. */
  readonly closed: boolean;

  /**
   * Reads one packet.
   *
   * @param buffer Memory for the packet; bytes that do not fit are lost.
   * @param options Abort signal.
   * @returns The packet's length in bytes.
   * @throws {DeviceClosedError} When the device is closed, before or during the call.
   * @throws {SyscallError} EBADFD when the link is gone; ENETDOWN of a socket when its link went down.
   */
  read(buffer: Uint8Array, options?: WaitOptions): Promise<number>;

  /** Reads one packet, blocking the thread until there is one; -1 after `timeout` ms without one. */
  readSync(buffer: Uint8Array, options?: BlockOptions): number;

  /** Reads one packet if one is queued: its length, or -1. */
  tryRead(buffer: Uint8Array): number;

  /**
   * Writes one packet; waits while the device takes none.
   *
   * @param packet The bytes.
   * @param length How many of them; default: all.
   * @param options Abort signal.
   * @throws {DeviceClosedError} When the device is closed, before or during the call.
   * @throws {SyscallError} EIO when the link is down, EINVAL when the kernel takes the packet for malformed.
   */
  write(packet: Uint8Array, length?: number, options?: WaitOptions): Promise<void>;

  /** Writes one packet, blocking the thread while the device takes none. */
  writeSync(packet: Uint8Array, length?: number): void;

  /** Writes one packet if the device takes it now: whether it did. */
  tryWrite(packet: Uint8Array, length?: number): boolean;

  /**
   * Reads queued packets, as many as fit the batch; waits only for the first. It takes one system call where the kernel
   * has io_uring and allows it. One call reads at most about twice as many packets as the last one, so more may be
   * queued.
   *
   * @param batch Memory for the packets; `batch.count` and `batch.lengths` describe them.
   * @param options Abort signal.
   * @returns The number of packets.
   */
  readBatch(batch: PacketBatch, options?: WaitOptions): Promise<number>;

  /** Reads packets that are queued, as {@linkcode PacketDevice.readBatch} does: how many, 0 for none. */
  tryReadBatch(batch: PacketBatch): number;

  /**
   * Writes the packets of a batch in order; waits while the device takes none.
   *
   * @param batch The first `batch.count` packets of it.
   * @param options Abort signal.
   * @throws {SyscallError} For the first packet that failed, after all have been tried; `batch.results` has all
   * results.
   */
  writeBatch(batch: PacketBatch, options?: WaitOptions): Promise<void>;

  /** As `readBatch`, blocking the thread until there is a packet; 0 after `timeout` ms without one. */
  readBatchSync(batch: PacketBatch, options?: BlockOptions): number;

  /** As `writeBatch`, blocking the thread while the device takes none. */
  writeBatchSync(batch: PacketBatch): void;

  /** The packets as a stream, a copy each; one is read when one is asked for. Cancelling it reads no more. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;

  /** Writes each chunk as a packet. */
  readonly writable: WritableStream<Uint8Array>;

  /** The packets, a copy each, until the device is closed. Rejects when the signal aborts. */
  packets(options?: WaitOptions): AsyncIterableIterator<Uint8Array<ArrayBuffer>>;

  /**
   * Transfers the device to another thread: post the result, and pass it to {@linkcode receiveDevice} there. It closes
   * this handle, since a descriptor has one owner.
   */
  transfer(): DeviceTransfer;

  /** Closes the device; every pending call is rejected with {@linkcode DeviceClosedError}. */
  close(): void;
}

/** A device on its way to another thread of the process: plain data that owns a descriptor. */
export interface DeviceTransfer {
  /** The descriptor's number. */
  readonly fd: number;
  /** Its name in messages. */
  readonly what: string;
}

/** The device was closed, before the call or while it waited. */
export class DeviceClosedError extends Error {
  /** The class: `DeviceClosedError`. */
  override readonly name = "DeviceClosedError";

  /** Composes the message. */
  constructor(what: string) {
    super(`${what} is closed`);
  }
}

/** Options of a {@link PacketBatch}. */
export interface PacketBatchOptions {
  /** Packets it holds, 1..256; default 64. */
  readonly packets?: number;
  /** Bytes for each, 1..1,048,576; default 65,600: any IP packet, its Ethernet and virtio-net header. */
  readonly size?: number;
}

const OPTIONS: OptionNames<PacketBatchOptions> = { packets: true, size: true };
const MAX_SIZE = 1 << 20;

/**
 * Memory for many packets, each in a slot of its own, read and written with few system calls. Between calls the caller
 * may read and change the memory. Pages that were never written take no memory.
 *
 * @example Count the bytes of the queued packets
 * ```ts
 * import { PacketBatch, type PacketDevice } from "@netloom/netloom";
 *
 * function drain(device: PacketDevice, batch = new PacketBatch()): number {
 *   let bytes = 0;
 *   while (device.tryReadBatch(batch) > 0) {
 *     for (let i = 0; i < batch.count; i++) bytes += batch.lengths[i]!;
 *   }
 *   return bytes;
 * }
 * console.log(drain.name);
 * ```
 */
export class PacketBatch {
  /** Most packets it holds. */
  readonly capacity: number;
  /** Bytes for each. */
  readonly size: number;
  /** All slots, one after the other. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Packets in it, from slot 0. */
  count = 0;
  /** Where each packet starts in `bytes`: at its slot, until the caller moves it. */
  readonly offsets: Int32Array;
  /** Length of each packet. */
  readonly lengths: Int32Array;
  /** The result of each packet of the last call: its length, or a negated error number. */
  readonly results: Int32Array;
  /** For engines: where `bytes` are. */
  readonly address: number;

  /** Allocates the memory. */
  constructor(options: PacketBatchOptions = {}) {
    checkOptions(options, OPTIONS);
    const { packets = 64, size = 65_600 } = options;
    checkCount("packets", packets, RING_ENTRIES);
    checkCount("size", size, MAX_SIZE);
    this.capacity = packets;
    this.size = size;
    const { bytes, address } = new PinnedMemory(packets * size);
    this.bytes = bytes;
    this.address = address;
    this.offsets = Int32Array.from({ length: packets }, (_, i) => i * size);
    this.lengths = new Int32Array(packets);
    this.results = new Int32Array(packets);
  }

  /** The `i`th packet, a view of the batch's memory. It creates an object: avoid it in the fastest loops. */
  packet(i: number): Uint8Array<ArrayBuffer> {
    const start = this.offsets[i]!;
    return this.bytes.subarray(start, start + this.lengths[i]!);
  }

  /** Copies a packet into the next slot. Returns whether there was room for it. */
  add(packet: Uint8Array): boolean {
    if (this.count === this.capacity || packet.length > this.size) return false;
    const start = this.offsets[this.count] = this.count * this.size;
    this.bytes.set(packet, start);
    this.lengths[this.count++] = packet.length;
    return true;
  }

  /** Empties it. */
  clear(): void {
    this.count = 0;
  }
}

/**
 * Checks the length of a packet to write: with a larger one the kernel would read other memory of the program.
 *
 * @throws {RangeError} When the packet is shorter.
 */
export function checkLength(packet: Uint8Array, length: number): void {
  if (length >= 0 && length <= packet.length) return;
  const range = `0..${packet.length}, what the packet has`;
  throw new RangeError(`length must be in ${range}: got ${show(length)}`);
}

/**
 * Checks the values that the caller may have changed: the kernel would send any memory of the program.
 *
 * @throws {RangeError} When a packet is not within the batch's memory.
 */
export function checkPackets({ count, capacity, offsets, lengths, bytes }: PacketBatch): void {
  if (!Number.isInteger(count) || count < 0 || count > capacity) {
    throw new RangeError(`count must be in 0..${capacity}: got ${show(count)}`);
  }
  for (let i = 0; i < count; i++) {
    const start = offsets[i]!;
    const length = lengths[i]!;
    if (start >= 0 && length >= 0 && start + length <= bytes.length) continue;
    throw new RangeError(
      `packet ${i} must be within the batch's ${bytes.length} bytes: its offset is ${start}, ` +
        `its length ${length}`,
    );
  }
}

/** Checks a whole number in 1..`max`. */
export function checkCount(name: string, value: number, max: number): void {
  if (!Number.isInteger(value)) {
    throw new TypeError(`${name} must be a whole number: got ${show(value)}`);
  }
  if (value < 1 || value > max) {
    throw new RangeError(`${name} must be in 1..${max}: got ${value}`);
  }
}

/** A descriptor, and the facts that an engine has learned about it. */
export interface Target {
  /** The descriptor's number. */
  fd: number;
  /** Whether it accepts `RWF_NOWAIT`: without it io_uring might wait forever. */
  nowait: boolean;
}

/** Reads and writes batches. Results are in band: bytes, or negated error numbers. */
export interface Engine {
  /** Its name. */
  readonly name: EngineName;
  /** Reads up to `most` packets: the number read, or a negated error number when there is none. */
  read(target: Target, batch: PacketBatch, most: number): number;
  /**
   * Writes the packets with the result EAGAIN, which all packets have before they are written, and sets their
   * results. Returns the number of packets that still have to wait.
   */
  write(target: Target, batch: PacketBatch): number;
}

/** `io_uring`, or `loop`: a system call for each packet. */
export type EngineName = "io_uring" | "loop";

/** A descriptor about which nothing is known yet. */
export function targetOf(fd: number): Target {
  return { fd, nowait: true };
}

/** The result of a packet that is not written yet. */
export const WAITING: number = -ERRNO.EAGAIN;

const loop: Engine = {
  name: "loop",
  read({ fd }, batch, most) {
    for (let i = 0; i < most; i++) {
      const n = readPacket(fd, view(batch, i), batch.size);
      // A lasting error comes again at the next read.
      if (n < 0) return i > 0 ? i : n;
      batch.offsets[i] = i * batch.size;
      batch.lengths[i] = n;
    }
    return most;
  },
  write({ fd }, batch) {
    for (let i = 0; i < batch.count; i++) {
      if (batch.results[i] !== WAITING) continue;
      const n = writePacket(fd, batch.packet(i), batch.lengths[i]!);
      if (n === WAITING) return batch.count - i;
      batch.results[i] = n;
    }
    return 0;
  },
};

const views = new WeakMap<PacketBatch, Uint8Array<ArrayBuffer>[]>();

/** A batch's slots as views, created once. */
function view(batch: PacketBatch, i: number): Uint8Array<ArrayBuffer> {
  let all = views.get(batch);
  if (!all) {
    const { bytes, size } = batch;
    all = Array.from(
      { length: batch.capacity },
      (_, i) => bytes.subarray(i * size, (i + 1) * size),
    );
    views.set(batch, all);
  }
  return all[i]!;
}

/** `io_uring`: as many packets as the kernel has, with one system call. */
function ringEngine(): Engine | undefined {
  const ring = threadRing();
  if (!ring) return undefined;
  const { OP_READ, OP_WRITE } = IORING;
  const { results } = ring;
  return {
    name: "io_uring",
    read(target, batch, most) {
      const { size, address, offsets, lengths } = batch;
      if (!target.nowait) return loop.read(target, batch, most);
      const { fd } = target;
      for (let i = 0; i < most; i++) ring.add(OP_READ, fd, RWF_NOWAIT, address + i * size, size, i);
      const failed = ring.run();
      if (failed < 0) giveUp();
      if (results[0] === -ERRNO.EOPNOTSUPP) {
        target.nowait = false;
        return loop.read(target, batch, most);
      }
      let count = 0;
      // A packet may have come after the first read that found none.
      for (let i = 0; i < most; i++) {
        const n = results[i]!;
        if (n < 0) continue;
        offsets[count] = i * size;
        lengths[count++] = n;
      }
      if (count > 0) return count;
      return failed < 0 ? loop.read(target, batch, most) : results[0]!;
    },
    write(target, batch) {
      if (!target.nowait) return loop.write(target, batch);
      const { count, address, offsets, lengths, results: written } = batch;
      const { fd } = target;
      for (let i = 0; i < count; i++) {
        if (written[i] !== WAITING) continue;
        ring.add(OP_WRITE, fd, RWF_NOWAIT, address + offsets[i]!, lengths[i]!, i);
      }
      const failed = ring.run();
      if (failed < 0) giveUp();
      let waiting = 0;
      for (let i = 0; i < count; i++) {
        if (written[i] !== WAITING) continue;
        let n = results[i]!;
        if (n === -ERRNO.EOPNOTSUPP) {
          target.nowait = false;
          n = WAITING;
        }
        written[i] = n;
        if (n === WAITING) waiting++;
      }
      return target.nowait && failed === 0 ? waiting : loop.write(target, batch);
    },
  };
}

let chosen: Engine | undefined;

/** Stops using io_uring: the kernel now forbids it, or has no resources for it. */
function giveUp(): void {
  dropThreadRing();
  chosen = loop;
}

/** The thread's engine for batches. */
export function batchEngine(): Engine {
  return chosen ??= ringEngine() ?? loop;
}

/** The name of the engine of this thread's batches. */
export function batchEngineName(): EngineName {
  return batchEngine().name;
}

/** For tests and benchmarks: another engine; `undefined` goes back to the best. */
export function useEngine(name: EngineName | undefined): void {
  chosen = name === "loop" ? loop : undefined;
}
