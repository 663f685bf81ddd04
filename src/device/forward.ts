/**
 * Forwarding from one device to another.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { RING_ENTRIES } from "../../ffi/packet_io.ts";
import {
  checkCount,
  DeviceClosedError,
  MAX_PACKET,
  PacketBatch,
  type PacketDevice,
  type WaitOptions,
} from "./packet_device.ts";
import { checkOptions } from "../options.ts";

/** Options of {@link forward}. */
export interface ForwardOptions extends WaitOptions {
  /**
   * Packets read and written with one system call, 1..256. Default: 64; for devices with offloads, whose
   * packets are large, 1 is as fast and needs less memory.
   */
  readonly batch?: number;
}

const OPTIONS = { batch: true, signal: true };

/** What {@link forward} has done. */
export interface ForwardStats {
  /** Packets forwarded. */
  packets: number;
  /** Bytes of them, headers of the device included. */
  bytes: number;
  /** Packets that the other device refused: its link was down, or it took them for malformed. */
  dropped: number;
}

/** What a device says of a packet, rather than of itself. */
const REFUSED: ReadonlySet<number> = new Set([
  ERRNO.EIO,
  ERRNO.EINVAL,
  ERRNO.ENOBUFS,
  ERRNO.ENETDOWN,
  ERRNO.EMSGSIZE,
]);

/**
 * Writes to one device what comes from another, as it is, until one of them is closed or the signal
 * aborts. Both need the same headers in front of packets.
 *
 * @param from Where packets are read.
 * @param to Where they are written.
 * @param options Abort signal, size of batches.
 * @returns What was done.
 * @throws {SyscallError} EBADFD when a link is gone.
 * @throws {RangeError} For a `batch` out of range.
 *
 * @example A wire between two namespaces, made of a program
 * ```ts
 * import { forward, NetNs, Tap } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using ns1 = NetNs.create();
 * using ns2 = NetNs.create();
 * using tap1 = Tap.create({ name: "t0", netns: ns1, up: true, addresses: ["10.9.0.1/24"] });
 * using tap2 = Tap.create({ name: "t0", netns: ns2, up: true, addresses: ["10.9.0.2/24"] });
 * const wire = Promise.all([forward(tap1, tap2), forward(tap2, tap1)]);
 * assertEquals((await ns1.ping("10.9.0.2")).received, 1);
 * tap1.close();
 * tap2.close();
 * await wire;
 * ```
 */
export async function forward(
  from: PacketDevice,
  to: PacketDevice,
  options: ForwardOptions = {},
): Promise<ForwardStats> {
  checkOptions(options, OPTIONS);
  const { batch: packets = 64, signal } = options;
  checkCount("batch", packets, RING_ENTRIES);
  const stats: ForwardStats = { packets: 0, bytes: 0, dropped: 0 };
  const wait = signal ? { signal } : undefined;
  try {
    if (packets === 1) await single(from, to, stats, wait);
    else await batched(from, to, new PacketBatch({ packets }), stats, wait);
  } catch (error) {
    if (!(error instanceof DeviceClosedError) && !signal?.aborted) throw error;
  }
  return stats;
}

async function single(
  from: PacketDevice,
  to: PacketDevice,
  stats: ForwardStats,
  wait: WaitOptions | undefined,
): Promise<never> {
  const buffer = new Uint8Array(MAX_PACKET);
  for (;;) {
    const length = await from.read(buffer, wait);
    try {
      if (!to.tryWrite(buffer, length)) await to.write(buffer, length, wait);
      stats.packets++;
      stats.bytes += length;
    } catch (error) {
      if (!refused(error)) throw error;
      stats.dropped++;
    }
  }
}

async function batched(
  from: PacketDevice,
  to: PacketDevice,
  batch: PacketBatch,
  stats: ForwardStats,
  wait: WaitOptions | undefined,
): Promise<never> {
  for (;;) {
    const count = await from.readBatch(batch, wait);
    try {
      await to.writeBatch(batch, wait);
    } catch (error) {
      if (!refused(error)) throw error;
    }
    for (let i = 0; i < count; i++) {
      const written = batch.results[i]!;
      if (written < 0) stats.dropped++;
      else {
        stats.packets++;
        stats.bytes += written;
      }
    }
  }
}

function refused(error: unknown): boolean {
  return error instanceof SyscallError && REFUSED.has(error.errno);
}
