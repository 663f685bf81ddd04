/**
 * Superpackets for kernels that take only some of them.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { segment, VirtioNetHeader } from "../packet/segment.ts";
import { PacketBatch, type WaitOptions } from "./packet_device.ts";
import { type TunQueue, VNET_HDR_SIZE } from "./tun_queue.ts";

/** Options of {@link writeSegmented}. */
export interface WriteSegmentedOptions extends WaitOptions {
  /** Bytes before the IP header: 14 on a TAP, 0 (the default) on a TUN. */
  readonly linkHeader?: number;
}

/** The types of superpackets, `VIRTIO_NET_HDR_GSO_*`, that a device has refused. */
const refused = new WeakMap<TunQueue, Set<number>>();
/** Memory for segments, by the batch they come from, which is written by one call at a time. */
const spares = new WeakMap<PacketBatch, PacketBatch>();

/**
 * Writes a batch to a device with `vnetHdr`, as `writeBatch` does. Superpackets that the kernel refuses
 * are split here, and their segments written: kernels before 6.2 take UDP ones for malformed (EINVAL)
 * whatever the device promised. What a device has once refused is split at once from then on.
 *
 * @param device Where to.
 * @param batch The first `batch.count` packets of it; a `Coalescer`'s output.
 * @param options Link header, abort signal.
 * @throws {SyscallError} For the first packet that failed in the end, when all have been tried.
 * @throws {DeviceClosedError} When the device is closed, before or meanwhile.
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
  if (!device.vnetHdr) {
    throw new TypeError("writeSegmented() needs a device with vnetHdr: this one has none");
  }
  const known = refused.get(device);
  if (known) return await writeSplit(device, batch, known, options);
  try {
    await device.writeBatch(batch, options);
  } catch (error) {
    const types = refusedTypes(batch);
    if (!(error instanceof SyscallError) || types.size === 0) throw error;
    await writeSplit(device, batch, types, options, batch.results);
    // Splitting has helped: it was the type that the kernel would not have, not these packets.
    refused.set(device, types);
  }
}

/** The types of superpackets among what was taken for malformed. */
function refusedTypes(batch: PacketBatch): Set<number> {
  const types = new Set<number>();
  for (let i = 0; i < batch.count; i++) {
    const type = VirtioNetHeader.parse(batch.packet(i))?.gsoType;
    if (batch.results[i] === -ERRNO.EINVAL && type) types.add(type);
  }
  return types;
}

/** Writes a batch in order, some types split; given `results`, only what failed. */
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
    const header = VirtioNetHeader.parse(packet);
    let left = header && types.has(header.gsoType)
      ? addSegments(header, spare, linkHeader)
      : undefined;
    for (; left; left = addSegments(header!, spare, linkHeader, left)) await flush();
    // What is malformed is the kernel's to refuse.
    if (left === undefined) { while (!spare.add(packet)) await flush(); }
  }
  await flush();
  if (failure) throw failure;
}

/** Adds the segments of a packet, each with an empty header. Returns what `segment()` does. */
function addSegments(
  header: VirtioNetHeader,
  spare: PacketBatch,
  linkHeader: number,
  left?: number,
): number | undefined {
  const first = spare.count;
  const options = { linkHeader, headroom: VNET_HDR_SIZE, ...left !== undefined && { left } };
  const rest = segment(header, spare, options);
  for (let i = first; i < spare.count; i++) {
    const at = spare.offsets[i]! -= VNET_HDR_SIZE;
    spare.bytes.fill(0, at, at + VNET_HDR_SIZE);
    spare.lengths[i]! += VNET_HDR_SIZE;
  }
  return rest;
}
