/**
 * Packets without a kernel: checksums, views, splitting and merging. For information; what a device makes
 * of it, with rivals, is in the benchmarks of devices.
 *
 * @module
 */
import { PacketBatch } from "@netloom/netloom";
import {
  buildPacket,
  checksum,
  Coalescer,
  format,
  IPPROTO,
  Ipv4,
  ipv4,
  segment,
  Tcp,
  tcp,
  VIRTIO_NET_HDR_F,
  VIRTIO_NET_HDR_GSO,
  VirtioNetHeader,
} from "@netloom/netloom/packet";
import { type BenchOptions, cpuTime, median, type Row, takeTurns } from "./_measure.ts";

/** Payload of a segment with a link MTU of 1500 and timestamps. */
const MSS = 1448;
/** Segments of a GSO packet. */
const SEGMENTS = 44;

/** Runs the benchmark. */
export async function packets({ quick, progress }: BenchOptions): Promise<Row[]> {
  const jobs = makeJobs();
  const calls = quick ? 0.02 : 1;
  for (const job of Object.values(jobs)) time(job, 0.2); // until it is compiled
  const contenders = Object.fromEntries(
    Object.entries(jobs).map(([name, job]) => [name, () => Promise.resolve(time(job, calls))]),
  );
  const samples = await takeTurns(quick ? 3 : 9, contenders, progress);
  return Object.entries(jobs).map(([name, { unit, amount }]) => {
    const of = (key: keyof Sample) => median(samples[name]!.map((sample) => sample[key]));
    const perCall = of("ms");
    return { job: name, netloom: amount(perCall * 1e6), unit, cpu_s: of("cpu_ms") / 1000 };
  });
}

interface Job {
  readonly unit: string;
  /** Calls of a measurement. */
  readonly calls: number;
  /** The figure, from nanoseconds a call. */
  amount(ns: number): number;
  run(): number;
}

interface Sample {
  /** Milliseconds of a call. */
  readonly ms: number;
  /** Processor time of all calls. */
  readonly cpu_ms: number;
}

function time({ calls, run }: Job, share: number): Sample {
  const count = Math.ceil(calls * share);
  const [cpu, started] = [cpuTime(), performance.now()];
  let used = 0;
  for (let i = 0; i < count; i++) used += run();
  const ms = (performance.now() - started) / count;
  if (Number.isNaN(used)) throw new Error("A job has no result");
  return { ms, cpu_ms: cpuTime() - cpu };
}

function makeJobs(): Record<string, Job> {
  const memory = new Uint8Array(1 << 17).map((_, i) => i * 31 ^ i >> 8);
  const ns = { unit: "ns", amount: (ns: number) => ns };
  const gigabytes = (bytes: number) => ({ unit: "GB/s", amount: (ns: number) => bytes / ns });
  const gigabits = (bytes: number) => ({ unit: "Gbit/s", amount: (ns: number) => bytes * 8 / ns });
  const gsoPacket = makeGsoPacket();
  const output = new PacketBatch({ packets: SEGMENTS, size: 2048 });
  segment(gsoPacket, output);
  const merged = new PacketBatch({ packets: 8 });
  const coalescer = new Coalescer(merged);
  const ip = new Ipv4();
  const part = new Tcp();
  const one = output.packet(1).slice();
  return {
    [`checksum of ${MSS} bytes`]: {
      ...gigabytes(MSS),
      calls: 200_000,
      run: () => checksum(memory, 34, 34 + MSS),
    },
    "checksum of 65,535 bytes": {
      ...gigabytes(65_535),
      calls: 5000,
      run: () => checksum(memory, 34, 34 + 65_535),
    },
    "checksum of 20 bytes": { ...ns, calls: 2_000_000, run: () => checksum(memory, 14, 34) },
    "views of IPv4 and TCP pointed and read": {
      ...ns,
      calls: 2_000_000,
      run() {
        if (!ip.point(one, 0, one.length) || ip.protocol !== IPPROTO.TCP) return NaN;
        if (!part.point(one, ip.payloadStart, ip.payloadEnd)) return NaN;
        return ip.sourceNumber + ip.destinationNumber + part.sourcePort + part.sequence +
          part.flags;
      },
    },
    "format() of a TCP packet": {
      ...ns,
      calls: 50_000,
      run: () => format(one, { layer: "ip" }).length,
    },
    [`segment() into ${SEGMENTS} packets of ${MSS} bytes`]: {
      ...gigabits(SEGMENTS * MSS),
      calls: 5000,
      run() {
        output.count = 0;
        return segment(gsoPacket, output) ?? NaN;
      },
    },
    [`Coalescer of ${SEGMENTS} packets of ${MSS} bytes`]: {
      ...gigabits(SEGMENTS * MSS),
      calls: 5000,
      run() {
        coalescer.clear();
        for (let i = 0; i < SEGMENTS; i++) {
          const start = output.offsets[i]!;
          coalescer.add(output.bytes, start, start + output.lengths[i]!);
        }
        return merged.count === 1 ? 1 : NaN;
      },
    },
  };
}

/** What a TUN with offloads reads of a bulk transfer. */
function makeGsoPacket(): VirtioNetHeader {
  const packet = buildPacket(
    ipv4({ source: "10.0.0.1", destination: "10.0.0.2", dontFragment: true }),
    tcp({
      sourcePort: 40_000,
      destinationPort: 5201,
      sequence: 1,
      acknowledgment: 1,
      options: [{ nop: true }, { nop: true }, { timestamp: 1, echo: 2 }],
    }),
    new Uint8Array(SEGMENTS * MSS).map((_, i) => i * 31 ^ i >> 8),
  );
  const bytes = new Uint8Array(10 + packet.length);
  bytes.set(packet, 10);
  const header = VirtioNetHeader.parse(bytes)!;
  header.flags = VIRTIO_NET_HDR_F.NEEDS_CSUM;
  header.gsoType = VIRTIO_NET_HDR_GSO.TCPV4;
  header.headerLength = 52;
  header.gsoSize = MSS;
  header.checksumStart = 20;
  header.checksumOffset = 16;
  return header;
}
