/**
 * Messages a second, by how many go into one batch. For information.
 *
 * @module
 */
import { NetNs, rtnetlink, Veth } from "@netloom/netloom";
import { alone, type BenchOptions, cpuTime, type Row, type Sample, takeTurns } from "./_measure.ts";

const SIZES = [1, 128, 257, 3000] as const;
/** Messages of one measurement, at least. */
const MESSAGES = 3000;

/** Runs the benchmark. */
export async function batches({ quick, progress }: BenchOptions): Promise<Row[]> {
  using netns = NetNs.create();
  const { index } = Veth.create({ name: "v0", netns, up: true, peer: { name: "v1", netns } });
  const send = (size: number): Sample => {
    const times = Math.ceil(MESSAGES / size);
    const [cpu, started] = [cpuTime(), performance.now()];
    for (let i = 0; i < times; i++) {
      const results = netns.batch((batch) => {
        for (let n = 0; n < size; n++) batch.add(neighbor(index, n));
      });
      for (const result of results) if (!result.ok) throw result.error;
    }
    const scale = 1000 / (times * size);
    return { ms: (performance.now() - started) * scale, cpu_ms: (cpuTime() - cpu) * scale };
  };
  const contenders = Object.fromEntries(
    SIZES.map((size) => [`${size}`, () => Promise.resolve(send(size))]),
  );
  const samples = await takeTurns(quick ? 3 : 15, contenders, progress);
  return SIZES.flatMap((size): Row[] => {
    const row = alone(`1,000 messages in batches of ${size}`, samples[size]!);
    return [row, { job: `batches of ${size}`, netloom: 1e6 / row.netloom, unit: "messages/s" }];
  });
}

/** A request that costs the kernel little, and can be repeated. */
function neighbor(index: number, n: number) {
  return rtnetlink.newNeighbor({
    index,
    address: `10.0.${n >> 8}.${n & 255}`,
    lladdr: "02:00:00:00:00:01",
    state: "permanent",
  }, { replace: true });
}
