/**
 * Reading and writing batches: through io_uring where the kernel allows it, packet by packet otherwise.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import {
  dropThreadRing,
  IORING,
  readPacket,
  RWF_NOWAIT,
  threadRing,
  writePacket,
} from "../../ffi/packet_io.ts";
import type { PacketBatch } from "./packet_device.ts";

/** A descriptor, and what an engine has learned of it. */
export interface Target {
  /** The descriptor's number. */
  fd: number;
  /** Whether it takes `RWF_NOWAIT`: io_uring might wait for ever without. */
  nowait: boolean;
}

/** Reads and writes batches. Results are in band: bytes, or negated error numbers. */
export interface Engine {
  /** Its name. */
  readonly name: EngineName;
  /** Reads up to `most` packets: the number read, or a negated error number when there is none. */
  read(target: Target, batch: PacketBatch, most: number): number;
  /**
   * Writes the packets whose result is EAGAIN, which is that of a packet not written yet, and sets
   * their results. Returns how many still have to wait.
   */
  write(target: Target, batch: PacketBatch): number;
}

/** `io_uring`, or `loop`: a system call for each packet. */
export type EngineName = "io_uring" | "loop";

/** A descriptor that nothing is known of yet. */
export function targetOf(fd: number): Target {
  return { fd, nowait: true };
}

/** The result of a packet that is still to be written. */
export const WAITING: number = -ERRNO.EAGAIN;

const loop: Engine = {
  name: "loop",
  read({ fd }, batch, most) {
    for (let i = 0; i < most; i++) {
      const n = readPacket(fd, view(batch, i), batch.size);
      // An error that lasts is there at the next read too.
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

/** A batch's slots as views, made once. */
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
      // After the first that found nothing, a packet may have come for a later one.
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

/** Where the kernel has forbidden io_uring meanwhile, or has no resources for it: without, for good. */
function giveUp(): void {
  dropThreadRing();
  chosen = loop;
}

/** The thread's engine for batches. */
export function batchEngine(): Engine {
  return chosen ??= ringEngine() ?? loop;
}

/** Which engine this thread's batches go through. */
export function batchEngineName(): EngineName {
  return batchEngine().name;
}

/** For tests and benchmarks: another engine; `undefined` goes back to the best. */
export function useEngine(name: EngineName | undefined): void {
  chosen = name === "loop" ? loop : undefined;
}
