// Two namespaces with a TUN each, and a program between them that splits what one kernel left to the device
// to split, and either merges it again for the other or gives it every single packet.
import { assert } from "@std/assert";
import { NetNs, PacketBatch, Tun } from "../../mod.ts";
import { Coalescer, segment, VirtioNetHeader } from "../../src/packet/mod.ts";

/** The numbers of packets from the first namespace to the second. */
export interface Counts {
  /** Packets read, as the kernel gave them. */
  read: number;
  /** Packets on the wire. */
  wire: number;
  /** Packets written. */
  written: number;
  /** Whether this kernel has the offload of datagrams: Linux 6.2 and later. */
  uso: boolean;
}

/** Takes the packets of a batch as they are on the wire. */
type Deliver = (wire: PacketBatch) => Promise<void>;

/** Reads and splits until the signal aborts. `headroom` is left before each packet. */
async function split(
  from: Tun,
  counts: Counts,
  headroom: number,
  deliver: Deliver,
  signal: AbortSignal,
): Promise<void> {
  const input = new PacketBatch({ packets: 16 });
  const wire = new PacketBatch({ packets: 64, size: 2048 });
  const packet = new VirtioNetHeader();
  while (!signal.aborted) {
    const count = await from.readBatch(input, { signal });
    counts.read += count;
    for (let i = 0; i < count; i++) {
      const start = input.offsets[i]!;
      assert(packet.point(input.bytes, start, start + input.lengths[i]!));
      for (let left = Infinity; left > 0;) {
        wire.clear();
        const still = segment(packet, wire, { headroom, ...(left < Infinity ? { left } : {}) });
        assert(still !== undefined, "the kernel's own packet is malformed");
        left = still;
        counts.wire += wire.count;
        await deliver(wire);
      }
    }
  }
}

/** Merges the packets of each flow. */
function merging(from: Tun, to: Tun, counts: Counts, signal: AbortSignal): Promise<void> {
  const output = new PacketBatch({ packets: 64 });
  const coalescer = new Coalescer(output, { udp: counts.uso });
  const flush = async () => {
    counts.written += output.count;
    if (output.count > 0) await to.writeBatch(output, { signal });
    coalescer.clear();
  };
  return split(from, counts, 0, async (wire) => {
    for (let i = 0; i < wire.count; i++) {
      const start = wire.offsets[i]!;
      const end = start + wire.lengths[i]!;
      if (coalescer.add(wire.bytes, start, end)) continue;
      await flush();
      coalescer.add(wire.bytes, start, end);
    }
    await flush();
  }, signal);
}

/** Writes each packet on its own: the receiving kernel verifies the checksum. */
function singly(from: Tun, to: Tun, counts: Counts, signal: AbortSignal): Promise<void> {
  return split(from, counts, 10, async (wire) => {
    counts.written += wire.count;
    for (let i = 0; i < wire.count; i++) {
      wire.offsets[i]! -= 10;
      wire.lengths[i]! += 10;
      wire.bytes.fill(0, wire.offsets[i]!, wire.offsets[i]! + 10);
    }
    await to.writeBatch(wire, { signal });
  }, signal);
}

const WAYS = { merging, singly };

/**
 * Runs `body` with a tunnel between two namespaces, 10.9.0.1 and fd09::1 in the first and 10.9.0.2 and
 * fd09::2 in the second.
 */
export async function tunnel(
  way: keyof typeof WAYS,
  body: (a: NetNs, b: NetNs) => Promise<void>,
): Promise<Counts> {
  using a = NetNs.create();
  using b = NetNs.create();
  const options = { name: "t0", up: true, offloads: true, nodad: true } as const;
  using left = Tun.create({ ...options, netns: a, addresses: ["10.9.0.1/24", "fd09::1/64"] });
  using right = Tun.create({ ...options, netns: b, addresses: ["10.9.0.2/24", "fd09::2/64"] });
  const stop = new AbortController();
  const { signal } = stop;
  const uso = right.offloads.includes("uso4");
  const counts = (): Counts => ({ read: 0, wire: 0, written: 0, uso });
  const there = counts();
  const carry = WAYS[way];
  const carriers = Promise.all([
    carry(left, right, there, signal),
    carry(right, left, counts(), signal),
  ])
    .then(() => {}, (reason) => {
      if (!signal.aborted || reason !== signal.reason) throw reason;
    });
  try {
    await Promise.race([body(a, b), carriers]);
  } finally {
    stop.abort();
    await carriers;
  }
  return there;
}
