/**
 * Memory for many packets.
 *
 * @module
 */
import { PinnedMemory, RING_ENTRIES } from "../../ffi/uring.ts";
import { checkOptions, show } from "../options.ts";

/** Options of a {@link PacketBatch}. */
export interface PacketBatchOptions {
  /** Packets it holds, 1..256; default 64. */
  readonly packets?: number;
  /** Bytes for each, 1..1,048,576; default 65,600: any IP packet, its Ethernet and virtio-net header. */
  readonly size?: number;
}

const OPTIONS = { packets: true, size: true };
const MAX_SIZE = 1 << 20;

/**
 * Memory for many packets, each in a slot of its own, read and written with few system calls. The
 * memory is the caller's to look at and change between calls; pages nobody has written to cost nothing.
 *
 * @example Counting the bytes of what is queued
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
  /** What became of each packet of the last call: its length, or a negated error number. */
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

  /** The `i`th packet, a view of the batch's memory. It makes an object: not for the hottest loops. */
  packet(i: number): Uint8Array<ArrayBuffer> {
    const start = this.offsets[i]!;
    return this.bytes.subarray(start, start + this.lengths[i]!);
  }

  /** Adds a packet, copied into the next slot: whether there was room for it. */
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
 * Checks what the caller may have changed: the kernel would take any memory of the program for packets.
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
