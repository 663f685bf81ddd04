/**
 * Packets from one device to another, and GSO packets for kernels that take only some of them.
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
import { checkOptions, type OptionNames } from "../options.ts";
import type { VirtioNetHeader } from "../packet/segment.ts";
import { type TunQueue, VNET_HDR_SIZE } from "./tun_queue.ts";

/** Options of {@link forward}. */
export interface ForwardOptions extends WaitOptions {
  /**
   * Packets read and written with one system call, 1..256. Default: 64; for devices with offloads, whose
   * packets are large, 1 is as fast and needs less memory.
   */
  readonly batch?: number;
}

const OPTIONS: OptionNames<ForwardOptions> = { batch: true, signal: true };

/** The result of {@link forward}. */
export interface ForwardStats {
  /** Packets forwarded. */
  packets: number;
  /** Bytes of them, headers of the device included. */
  bytes: number;
  /**
   * Packets that the other device refused, since its link was down or it took them for malformed; and those
   * read, but not yet written, when the signal aborted or a device was closed.
   */
  dropped: number;
}

/** Errors about a packet, not about the device. */
const REFUSED: ReadonlySet<number> = new Set([
  ERRNO.EIO,
  ERRNO.EINVAL,
  ERRNO.ENOBUFS,
  ERRNO.ENETDOWN,
  ERRNO.EMSGSIZE,
]);

/**
 * Reads packets from one device and writes them unchanged to another, until one of them is closed or the signal
 * aborts. Both devices must have the same headers in front of packets.
 *
 * @param from The device to read from.
 * @param to The device to write to.
 * @param options Abort signal, size of batches.
 * @returns The number of packets and bytes.
 * @throws {SyscallError} EBADFD when a link is gone.
 * @throws {RangeError} For a `batch` out of range.
 *
 * @example A program as the wire between two namespaces
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
      stats.dropped++;
      if (!refused(error)) throw error;
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
    } finally {
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
}

function refused(error: unknown): boolean {
  return error instanceof SyscallError && REFUSED.has(error.errno);
}

/** Options of {@link writeSegmented}. */
export interface WriteSegmentedOptions extends WaitOptions {
  /** Bytes before the IP header: 14 on a TAP, 0 (the default) on a TUN. */
  readonly linkHeader?: number;
}

const SEGMENTED_OPTIONS: OptionNames<WriteSegmentedOptions> = { linkHeader: true, signal: true };

/** The types of GSO packets, `VIRTIO_NET_HDR_GSO_*`, that a device has refused. */
const knownRefusals = new WeakMap<TunQueue, Set<number>>();
/** Splits GSO packets: loaded when a device has refused the first one. */
let splitter: typeof import("../packet/segment.ts") | undefined;
/** Memory for segments, by the batch they come from, which is written by one call at a time. */
const spares = new WeakMap<PacketBatch, PacketBatch>();

/**
 * Writes a batch to a device with `vnetHdr`, as `writeBatch` does. GSO packets that the kernel refuses
 * are split here, and their segments are written: kernels before 6.2 refuse those of UDP as malformed (EINVAL), even
 * if the device accepted the offload. After a refusal, packets of that type are split without asking the device.
 *
 * @param device The device to write to.
 * @param batch The first `batch.count` packets of it; a `Coalescer`'s output.
 * @param options Link header, abort signal.
 * @throws {SyscallError} For the first packet that failed, after all have been tried.
 * @throws {DeviceClosedError} When the device is closed, before or during the call.
 * @throws {TypeError} When the device has no `vnetHdr`.
 *
 * @example From a tunnel into a TUN
 * ```ts
 * import { PacketBatch, type PacketDevice, type Tun, writeSegmented } from "@netloom/netloom";
 * import { Coalescer } from "@netloom/netloom/packet";
 *
 * async function deliver(tunnel: PacketDevice, tun: Tun): Promise<never> {
 *   const packets = new PacketBatch({ packets: 256, size: 2048 });
 *   const merged = new PacketBatch();
 *   const coalescer = new Coalescer(merged);
 *   const flush = async () => {
 *     await writeSegmented(tun, merged);
 *     coalescer.clear();
 *   };
 *   for (;;) {
 *     await tunnel.readBatch(packets);
 *     for (let i = 0; i < packets.count; i++) {
 *       const start = packets.offsets[i]!;
 *       const end = start + packets.lengths[i]!;
 *       while (!coalescer.add(packets.bytes, start, end)) await flush();
 *     }
 *     await flush();
 *   }
 * }
 * console.log(deliver.name);
 * ```
 */
export async function writeSegmented(
  device: TunQueue,
  batch: PacketBatch,
  options: WriteSegmentedOptions = {},
): Promise<void> {
  checkOptions(options, SEGMENTED_OPTIONS);
  if (!device.vnetHdr) {
    throw new TypeError("writeSegmented() needs a device with vnetHdr: this one has none");
  }
  const known = knownRefusals.get(device);
  if (known) return await writeSplit(device, batch, known, options);
  try {
    const { linkHeader: _, ...wait } = options;
    await device.writeBatch(batch, wait);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    splitter ??= await import("../packet/segment.ts");
    const types = refusedTypes(batch);
    if (types.size === 0) throw error;
    await writeSplit(device, batch, types, options, batch.results);
    // Splitting has helped: the kernel refuses the type, not these packets.
    knownRefusals.set(device, types);
  }
}

/** The types of GSO packets among the packets that the kernel refused as malformed. */
function refusedTypes(batch: PacketBatch): Set<number> {
  const types = new Set<number>();
  for (let i = 0; i < batch.count; i++) {
    const type = splitter!.VirtioNetHeader.parse(batch.packet(i))?.gsoType;
    if (batch.results[i] === -ERRNO.EINVAL && type) types.add(type);
  }
  return types;
}

/** Writes a batch in order and splits some types. With `results` it writes only the packets that failed. */
async function writeSplit(
  device: TunQueue,
  batch: PacketBatch,
  types: ReadonlySet<number>,
  { linkHeader = 0, ...wait }: WriteSegmentedOptions,
  results?: Int32Array,
): Promise<void> {
  const spare = spares.get(batch) ?? new PacketBatch({ size: batch.size });
  spares.set(batch, spare);
  spare.clear();
  let failure: SyscallError | undefined;
  const flush = async () => {
    try {
      await device.writeBatch(spare, wait);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      failure ??= error;
    }
    spare.clear();
  };
  for (let i = 0; i < batch.count; i++) {
    if (results && results[i]! >= 0) continue;
    const packet = batch.packet(i);
    const header = splitter!.VirtioNetHeader.parse(packet);
    let left = header && types.has(header.gsoType)
      ? addSegments(header, spare, linkHeader)
      : undefined;
    for (; left; left = addSegments(header!, spare, linkHeader, left)) await flush();
    // The kernel refuses malformed packets.
    if (left === undefined) { while (!spare.add(packet)) await flush(); }
  }
  await flush();
  if (failure) throw failure;
}

/** Adds the segments of a packet, each with an empty header. Returns the result of `segment()`. */
function addSegments(
  header: VirtioNetHeader,
  spare: PacketBatch,
  linkHeader: number,
  left?: number,
): number | undefined {
  const first = spare.count;
  const options = { linkHeader, headroom: VNET_HDR_SIZE, ...left !== undefined && { left } };
  const rest = splitter!.segment(header, spare, options);
  for (let i = first; i < spare.count; i++) {
    const at = spare.offsets[i]! -= VNET_HDR_SIZE;
    spare.bytes.fill(0, at, at + VNET_HDR_SIZE);
    spare.lengths[i]! += VNET_HDR_SIZE;
  }
  return rest;
}
