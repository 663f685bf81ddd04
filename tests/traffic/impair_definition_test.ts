// What each value of an impairment means, by a packet generator with time stamps: one definition for both engines.
import { assert, assertEquals } from "@std/assert";
import { capabilities } from "../../mod.ts";
import "../../src/traffic/mod.ts";
import { kernelLack } from "../../src/traffic/impair_discipline.ts";
import { mergeValues } from "../../src/traffic/impairment_values.ts";
import type { DirectionName, EngineName, ImpairOptions } from "../../src/traffic/mod.ts";
import { test } from "../leaks.ts";
import { distance, fits, kolmogorov, median, sleep, Wire } from "./meter.ts";

const DIRECTIONS: readonly DirectionName[] = ["out", "in"];
/** Milliseconds that a busy machine may add. Never less than the delay: that would be a wrong one. */
const LATE = 15;

const ENGINES: readonly EngineName[] = ["kernel", "user"];

/** What keeps losses from being known: Linux 6.1 does not count what it drops while a discipline is exchanged. */
const UNCOUNTED = capabilities().kernel.startsWith("6.1.")
  ? "this kernel does not count the packets that it drops"
  : undefined;

/** Registers a test for each engine that can do the values. */
function engineTest(
  name: string,
  options: ImpairOptions,
  fn: (wire: Wire, engine: EngineName) => Promise<void>,
  lacking?: string,
): void {
  for (const engine of ENGINES) {
    const lack = engine === "kernel" ? kernelLack(mergeValues({}, options)) : undefined;
    const lacks = lack?.hint ?? lacking;
    test(`${name} (${engine})`, { lacks }, async () => {
      // The engine of this process shares its time with the generator: a busy machine may spoil two of three.
      for (let attempts = engine === "user" ? 3 : 1; attempts > 0; attempts--) {
        using wire = new Wire();
        await wire.ready();
        try {
          return await fn(wire, engine);
        } catch (error) {
          if (attempts === 1) throw error;
        }
      }
    });
  }
}

engineTest("A delay holds each packet that long, in each direction its own", {
  delay: 1,
}, async (wire, engine) => {
  using out = wire.flow("out");
  using incoming = wire.flow("in");
  wire.link.impair({ out: { delay: "30ms" }, in: { delay: 60 }, engine });
  for (const [i, delay] of [30, 60].entries()) {
    const latencies = (await [out, incoming][i]!.send({ count: 60, gap: 3 })).map(({ latency }) =>
      latency
    );
    assertEquals(latencies.length, 60);
    const least = Math.min(...latencies);
    // A busy machine is late to run a process, not the kernel.
    const usual = engine === "user" ? least : median(latencies);
    assert(least >= delay && usual <= delay + LATE, `${DIRECTIONS[i]}: ${least} ${usual}`);
  }
});

engineTest(
  "A direction that is not impaired stays as it is",
  { delay: 1 },
  async (wire, engine) => {
    using flow = wire.flow("in");
    wire.link.impair({ out: { delay: 200, loss: "50%" }, engine });
    const arrivals = await flow.send({ count: 60, gap: 1 });
    assertEquals(arrivals.length, 60);
    assert(median(arrivals.map(({ latency }) => latency)) < LATE);
  },
);

const normal = (x: number): number => {
  // Abramowitz and Stegun 7.1.26: exact to 1.5e-7.
  const t = 1 / (1 + 0.3275911 * Math.abs(x) / Math.SQRT2);
  const tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t +
    0.254829592) * t * Math.exp(-x * x / 2);
  return x < 0 ? tail / 2 : 1 - tail / 2;
};

const DISTRIBUTIONS = {
  uniform: (x: number) => Math.max(0, Math.min(1, (x + 1) / 2)),
  normal,
} as const;

for (const [distribution, expected] of Object.entries(DISTRIBUTIONS)) {
  const options: ImpairOptions = {
    delay: 800,
    jitter: 200,
    keepOrder: false,
    distribution: distribution as keyof typeof DISTRIBUTIONS,
  };
  engineTest(`A jitter varies the delay: ${distribution}`, options, async (wire, engine) => {
    using flow = wire.flow("out");
    wire.link.impair({ ...options, engine });
    const arrivals = await flow.send({ count: 300, gap: 2, wait: 2000 });
    assertEquals(arrivals.length, 300);
    const latencies = arrivals.map(({ latency }) => latency);
    const late = engine === "user";
    const d = distance(latencies, (x) => expected((x - 800) / 200), { late });
    assert(d < kolmogorov(300), `the distance is ${d}`);
  });
}

engineTest("A jitter keeps the order of packets, unless keepOrder is false", {
  delay: 1,
  jitter: 1,
  keepOrder: false,
}, async (wire, engine) => {
  using flow = wire.flow("out");
  for (const keepOrder of [true, false]) {
    wire.link.impair({ delay: 40, jitter: 30, keepOrder, engine });
    const sequences = (await flow.send({ count: 300, gap: 1 })).map(({ sequence }) => sequence);
    assertEquals(sequences.length, 300);
    const overtaken = sequences.filter((it, i) => it < sequences[i - 1]!).length;
    assert(keepOrder ? overtaken === 0 : overtaken > 30, `${overtaken} were overtaken`);
  }
});

engineTest("A loss takes its share of 10,000 packets", { loss: 0.1 }, async (wire, engine) => {
  for (const direction of DIRECTIONS) {
    using flow = wire.flow(direction);
    wire.link.impair({ [direction]: { loss: "10%" }, replace: true, engine });
    const arrivals = await flow.send({ count: 10_000 });
    assert(fits(10_000 - arrivals.length, 10_000, 0.1), `${arrivals.length} of 10,000 arrived`);
  }
});

engineTest("A correlation makes losses come in bursts", {
  loss: 0.5,
  lossCorrelation: 0.5,
}, async (wire, engine) => {
  const count = 5000;
  using flow = wire.flow("out");
  wire.link.impair({ out: { loss: "50%", lossCorrelation: "50%" }, engine });
  assertEquals(wire.link.impairment()?.values, { out: { loss: 0.5, lossCorrelation: 0.5 } });
  const arrived = new Set((await flow.send({ count })).map(({ sequence }) => sequence));
  const lost = Array.from({ length: count }, (_, i) => !arrived.has(i));
  const again = lost.filter((it, i) => it && lost[i - 1]).length;
  const all = count - arrived.size;
  // x = c * before + (1 - c) * random: 63.9 % of the losses are followed by one, by 4,000,000 such numbers.
  assert(fits(again, all, 0.639), `${again} of ${all} losses were followed by one`);
  // Neighbors depend on each other: the count varies as that of fewer packets would.
  assert(Math.abs(all / count - 0.5) < 0.05, `${all} of ${count} were lost`);
});

engineTest("All packets are lost with a loss of 100%, none with one of 0", {
  loss: 1,
}, async (wire, engine) => {
  using flow = wire.flow("out");
  wire.link.impair({ loss: "100%", engine });
  assertEquals((await flow.send({ count: 500 })).length, 0);
  assertEquals(wire.link.impairment()?.stats.out?.drops, 500);
  wire.link.impair({ loss: 0, delay: 1 });
  assertEquals((await flow.send({ count: 500 })).length, 500);
});

engineTest("The same seed loses the same packets, another one others", {
  loss: 0.1,
  seed: 1,
}, async (wire, engine) => {
  using flow = wire.flow("out");
  const lost = async (seed: number | null) => {
    wire.link.impair({ loss: "20%", seed, engine });
    const arrivals = await flow.send({ count: 300 });
    return arrivals.map(({ sequence }) => sequence).join();
  };
  const first = await lost(7);
  assertEquals(await lost(7), first);
  assert(await lost(8) !== first);
  assert(await lost(null) !== await lost(null));
});

engineTest("A share of packets comes twice", { duplicate: 0.2 }, async (wire, engine) => {
  using flow = wire.flow("out");
  wire.link.impair({ duplicate: "20%", engine });
  const arrivals = await flow.send({ count: 2000 });
  const twice = arrivals.length - new Set(arrivals.map(({ sequence }) => sequence)).size;
  assertEquals(arrivals.length, 2000 + twice);
  assert(fits(twice, 2000, 0.2), `${twice} of 2000 came twice`);
});

engineTest("A share of packets has one wrong bit", { corrupt: 0.5 }, async (wire, engine) => {
  using flow = wire.flow("out", { length: 1042 });
  wire.link.impair({ corrupt: "50%", engine });
  const arrivals = await flow.send({ count: 1000 });
  const flipped = arrivals.filter((it) => it.flipped > 0);
  assertEquals(new Set(flipped.map((it) => it.flipped)), new Set([1]));
  // Nobody looks into the headers and the number.
  const share = 0.5 * (1000 - 4) / 1042;
  assert(fits(flipped.length, arrivals.length, share), `${flipped.length} of ${arrivals.length}`);
});

engineTest("A share of packets overtakes those that are delayed", {
  delay: 1,
  reorder: 0.25,
}, async (wire, engine) => {
  using flow = wire.flow("out");
  wire.link.impair({ delay: 150, reorder: "25%", engine });
  const arrivals = await flow.send({ count: 400, gap: 1, wait: 400 });
  assertEquals(arrivals.length, 400);
  const early = arrivals.filter(({ latency }) => latency < 75).length;
  assert(fits(early, 400, 0.25), `${early} of 400 were early`);
});

engineTest("A rate is kept within 3 %, in each direction its own", {
  rate: 1e6,
}, async (wire, engine) => {
  const together = 20;
  wire.link.impair({ out: { rate: "400kbit" }, in: { rate: "200kbit" }, engine });
  for (const [direction, rate] of [["out", 4e5], ["in", 2e5]] as const) {
    using flow = wire.flow(direction, { length: 1000 });
    const arrivals = await flow.send({ count: 120, wait: 120 * 8e6 / rate });
    // The time of 20 packets: a machine that stops for a moment changes few of these times.
    const times = arrivals.slice(together).map(({ at }, i) => at - arrivals[i]!.at);
    const got = together * 8e6 / median(times);
    assert(Math.abs(got / rate - 1) < 0.03, `${direction}: ${got} bits per second`);
  }
});

engineTest("Packets beyond the limit are lost", { delay: 1, limit: 1 }, async (wire, engine) => {
  using flow = wire.flow("out");
  wire.link.impair({ out: { delay: 400, limit: 10 }, engine });
  const arrivals = await flow.send({ count: 50, wait: 700 });
  assertEquals(arrivals.length, 10);
  assertEquals(wire.link.impairment()?.stats.out?.drops, 40);
});

engineTest("match impairs its packets, and leaves others untouched", {
  rate: 1e6,
}, async (wire, engine) => {
  using matched = wire.flow("out", { length: 500 });
  using other = wire.flow("out", { port: 9001 });
  wire.link.impair({ rate: "1mbit", match: { protocol: "udp", port: 9000 }, engine });
  const [slow, free] = await Promise.all([
    matched.send({ count: 60, wait: 600 }),
    other.send({ count: 2000, wait: 600 }),
  ]);
  assertEquals([slow.length, free.length], [60, 2000]);
  // 60 packets of 500 bytes take 240 ms, but for those of the first burst.
  assert(slow.at(-1)!.at - slow[0]!.at > 180, "the matched packets were not held back");
  const { packets } = wire.link.impairment()!.stats.out!;
  assertEquals(packets, 60);
  wire.link.impair({ match: { protocol: "udp", port: 9001 } });
  assertEquals((await other.send({ count: 20, wait: 300 })).length, 20);
  assertEquals(wire.link.impairment()!.stats.out!.packets, 80);
});

engineTest("A merge under load loses no packet", { rate: 1e9 }, async (wire, engine) => {
  wire.link.impair({ rate: "1gbit", engine });
  const { entered, left } = await wire.flood(async () => {
    for (let i = 1; i <= 20; i++) {
      wire.link.impair({ out: { rate: `${500 + i}mbit` } });
      await sleep(10);
    }
  });
  assert(entered > 100, `${entered} packets were sent`);
  assertEquals(left, entered);
  assertEquals(wire.link.impairment()?.values.out?.rate, 520e6);
});

for (const match of [undefined, { protocol: "udp" }] as const) {
  const what = match ? "of one flow " : "";
  engineTest(`Adding and clearing an impairment ${what}lose as many packets as they state`, {
    rate: 1e9,
  }, async (wire, engine) => {
    let lost = 0;
    const { entered, left } = await wire.flood(async () => {
      for (let i = 0; i < 5; i++) {
        lost += wire.link.impair({ rate: "1gbit", engine, ...(match && { match }) }).lost;
        await sleep(20);
        lost += wire.link.impair(null);
        await sleep(20);
      }
    });
    assert(entered > 100, `${entered} packets were sent`);
    assertEquals(left + lost, entered, `${lost} were stated`);
  }, UNCOUNTED);
}
