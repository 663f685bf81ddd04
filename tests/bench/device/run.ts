/**
 * Packets through a program: netloom beside C, Go and Python. `deno task bench:device [OPTION...]`
 *
 * @module
 */
import { parseArgs } from "node:util";
import { median, type Row, table, takeTurns } from "../_measure.ts";
import { type Contender, iperf, type Job, type Traffic, withForwarder } from "./harness.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    only: { type: "string", multiple: true },
    with: { type: "string", multiple: true },
    rounds: { type: "string", default: "9" },
    seconds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

interface Run {
  readonly rounds: number;
  readonly seconds: number;
  progress(message: string): void;
}

interface Value {
  readonly value: number;
  readonly cpu: number;
}

const HOW: Readonly<Record<Contender, string>> = {
  sync: "sync",
  async: "async",
  batch: "forward(), io_uring",
  loop: "forward(), a call each",
  syncbatch: "sync batches, io_uring",
  C: "C",
  Go: "Go",
  Python: "Python",
};

/** Every one of ours beside every rival: `netloom / rival`, which is to be at least the goal. */
function compare(
  job: string,
  unit: string,
  samples: Readonly<Record<string, Value[]>>,
  goals: Readonly<Record<string, number>>,
  less = false,
): Row[] {
  const ours = Object.keys(samples).filter((name) => !["C", "Go", "Python"].includes(name));
  const rivals = Object.keys(samples).filter((name) => !ours.includes(name));
  const middle = (name: string, key: keyof Value) => median(samples[name]!.map((it) => it[key]));
  return ours.flatMap((name) =>
    rivals.map((rival): Row => {
      const goal = goals[`${name}/${rival}`] ?? goals[rival];
      return {
        job: `${job}, ${HOW[name as Contender] ?? name}`,
        unit,
        netloom: middle(name, "value"),
        cpu_s: middle(name, "cpu"),
        rival,
        rivals: middle(rival, "value"),
        rivals_cpu_s: middle(rival, "cpu"),
        ratio: median(samples[name]!.map(({ value }, i) => value / samples[rival]![i]!.value)),
        ...(goal === undefined ? {} : { goal }),
        ...(less ? {} : { atLeast: true }),
      };
    })
  );
}

async function throughput(
  run: Run,
  contenders: readonly Contender[],
  job: Job,
  udp: { size: number } | undefined,
  value: (traffic: Traffic) => number,
): Promise<Record<string, Value[]>> {
  return await takeTurns<string, Value>(
    run.rounds,
    Object.fromEntries(
      contenders.map((
        contender,
      ) => [contender, () =>
        withForwarder(contender, job, async (forwarder) => {
          const traffic = await iperf(forwarder, run.seconds, udp);
          return { value: value(traffic), cpu: traffic.cpu };
        })]
      ),
    ),
    run.progress,
  );
}

const gigabits = ({ bytes }: Traffic) => bytes * 8 / 1e9;

const BENCHMARKS: Readonly<Record<string, (run: Run) => Promise<Row[]>>> = {
  async offloads(run) {
    const samples = await throughput(
      run,
      ["sync", "async", "C", "Python"],
      { offloads: true },
      undefined,
      gigabits,
    );
    return compare("TCP, offloads", "Gbit/s", samples, { C: 0.97, Python: 1 });
  },
  async plain(run) {
    const samples = await throughput(
      run,
      ["sync", "async", "batch", "syncbatch", "C", "Go", "Python"],
      {},
      undefined,
      gigabits,
    );
    const goals = { "syncbatch/C": 1, "async/C": 0.95, Go: 1, Python: 1 };
    return compare("TCP, plain", "Gbit/s", samples, goals);
  },
  async udp64(run) {
    const samples = await throughput(
      run,
      ["sync", "async", "batch", "syncbatch", "loop", "C", "Go", "Python"],
      {},
      { size: 64 },
      ({ packets }) => packets / 1000,
    );
    const goals = { "syncbatch/C": 1.1, "async/C": 0.95, Go: 1, Python: 1 };
    return compare("UDP, 64 bytes", "kpackets/s", samples, goals);
  },
  async echo(run) {
    const measure = (contender: Contender) => () =>
      withForwarder(contender, { echo: true }, async ({ a, cpu }) => {
        await a.ping("10.9.0.99", { count: 2000, interval: 0 });
        const before = cpu();
        const { replies } = await a.ping("10.9.0.99", { count: 5000, interval: 0 });
        return { value: median(replies.map(({ time }) => time * 1000)), cpu: cpu() - before };
      });
    const samples = await takeTurns<string, Value>(run.rounds, {
      async: measure("async"),
      C: measure("C"),
      Go: measure("Go"),
      Python: measure("Python"),
    }, run.progress);
    return compare("ICMP echo, median", "us", samples, { C: 1, Go: 1, Python: 1 }, true);
  },
  async load(run) {
    const rows: Row[] = [];
    for (const rate of [0, 10, 100, 1000, 10_000]) {
      const measure = (contender: Contender) => () =>
        withForwarder(contender, {}, async (forwarder) => {
          if (rate > 0) {
            const { cpu } = await iperf(forwarder, 5, { size: 64, rate });
            return { value: cpu * 100, cpu };
          }
          await new Promise((resolve) => setTimeout(resolve, 1000));
          const before = forwarder.cpu();
          await new Promise((resolve) => setTimeout(resolve, 5000));
          const cpu = (forwarder.cpu() - before) / 5;
          return { value: cpu * 100, cpu };
        });
      const samples = await takeTurns<string, Value>(Math.min(run.rounds, 3), {
        async: measure("async"),
        C: measure("C"),
      }, (message) => run.progress(`${rate} packets/s, ${message}`));
      const middle = (name: string) => median(samples[name]!.map(({ value }) => value));
      rows.push({
        job: rate === 0 ? "processor time, idle" : `processor time, ${rate} packets/s`,
        unit: "%",
        netloom: middle("async"),
        rival: "C",
        rivals: middle("C"),
        ...(rate === 0 ? { goal: 0 } : {}),
      });
    }
    return rows;
  },
  async idle(run) {
    const measure = (idle: number) => () =>
      withForwarder("async", { idle }, async (forwarder) => {
        const traffic = await iperf(forwarder, run.seconds);
        return { value: gigabits(traffic), cpu: traffic.cpu };
      });
    const samples = await takeTurns<string, Value>(run.rounds, {
      many: measure(200),
      none: measure(0),
    }, run.progress);
    const ratio = median(samples.many!.map(({ value }, i) => value / samples.none![i]!.value));
    const middle = (name: string) => median(samples[name]!.map(({ value }) => value));
    return [{
      job: "TCP, plain, async, beside 200 idle TUNs",
      unit: "Gbit/s",
      netloom: middle("many"),
      rival: "without them",
      rivals: middle("none"),
      ratio,
      goal: 0.95,
      atLeast: true,
    }];
  },
  async timer(run) {
    const late: number[] = [];
    for (let round = 0; round < Math.min(run.rounds, 3); round++) {
      run.progress(`round ${round + 1}`);
      late.push(
        await withForwarder("async", { timer: true }, async (forwarder) => {
          await iperf(forwarder, run.seconds, { size: 64 });
          return Number(/late ([\d.]+)/.exec(await forwarder.end())?.[1] ?? NaN);
        }),
      );
    }
    return [{ job: "10 ms timer under full load, latest", netloom: Math.max(...late), goal: 20 }];
  },
};

function positive(option: string, text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  console.error(`--${option} is a number from 1 on: got "${text}"`);
  Deno.exit(2);
}

if (values.help) {
  console.log(`deno task bench:device [OPTION...]

  --only NAME  one of ${Object.keys(BENCHMARKS).join(", ")}; may be repeated
  --with NAME  only these of ${Object.keys(HOW).join(", ")}; may be repeated
  --rounds N   times everybody takes a turn; default 9
  --seconds N  seconds of traffic in each; default 3
  --json       prints JSON instead of tables`);
  Deno.exit(0);
}
for (const name of values.only ?? []) {
  if (!Object.hasOwn(BENCHMARKS, name)) {
    console.error(`There is no benchmark "${name}": --help lists them`);
    Deno.exit(2);
  }
}
const results: Record<string, Row[]> = {};
for (const [name, benchmark] of Object.entries(BENCHMARKS)) {
  if (values.only && !values.only.includes(name)) continue;
  const rows = await benchmark({
    rounds: positive("rounds", values.rounds),
    seconds: positive("seconds", values.seconds),
    progress: (message) => console.error(`${name}: ${message}`),
  });
  results[name] = rows;
  if (!values.json) console.log(`\n${name}\n${table(rows)}`);
}
if (values.json) console.log(JSON.stringify(results, null, 2));
