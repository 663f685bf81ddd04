/**
 * The bridge recipe from nothing to the first ping's reply: how long that ping takes, how long all of it
 * takes beside the shell, and where the time goes.
 *
 * @module
 */
import { child } from "./_child.ts";
import {
  type BenchOptions,
  compare,
  median,
  quantile,
  type Row,
  type Sample,
  takeTurns,
} from "./_measure.ts";
import type { FirstPing } from "./first_ping_child.ts";
import type { Split } from "./first_ping_split.ts";
import { type BridgeRecipe, bridgeRecipe } from "./rivals/run.ts";

/** No first ping may take longer, in milliseconds. */
const SLOW = 100;

/** Runs the benchmark. */
export async function firstPing(options: BenchOptions): Promise<Row[]> {
  const prefix = `nlb-${Deno.pid}`;
  return [
    ...await distribution(prefix, options),
    ...await besideShell(prefix, options),
    ...await budget(prefix, options),
  ];
}

async function distribution(prefix: string, { runs, progress }: BenchOptions): Promise<Row[]> {
  const times: number[] = [];
  for (let i = 1; i <= runs; i++) {
    if (i % 20 === 0) progress(`cold run ${i} of ${runs}`);
    times.push((await child<FirstPing>("first_ping_child.ts", prefix)).rtt_ms);
  }
  const at = (job: string, netloom: number, goal?: number): Row => ({
    job: `first ping, ${job} of ${runs}`,
    netloom,
    ...(goal === undefined ? {} : { goal }),
  });
  return [
    at("fastest", Math.min(...times)),
    at("median", median(times)),
    at("90th percentile", quantile(times, 0.9)),
    at("99th percentile", quantile(times, 0.99)),
    at("slowest", Math.max(...times), SLOW),
    {
      ...at(`number above ${SLOW} ms`, times.filter((time) => time > SLOW).length, 0),
      unit: "runs",
    },
  ];
}

async function besideShell(prefix: string, { quick, progress }: BenchOptions): Promise<Row[]> {
  const { netloom, shell } = await takeTurns<
    "netloom" | "shell",
    Omit<FirstPing, "rtt_ms"> & Pick<BridgeRecipe, "cpu_ms" | "process_ms">
  >(quick ? 3 : 15, {
    netloom: () => child<FirstPing>("first_ping_child.ts", prefix),
    shell: () => bridgeRecipe(prefix),
  }, progress);
  const samples = (of: typeof netloom, ms: (sample: typeof netloom[number]) => number): Sample[] =>
    of.map((sample) => ({ ms: ms(sample), cpu_ms: sample.cpu_ms }));
  const row = (job: string, ms: (sample: typeof netloom[number]) => number, goal?: number) =>
    compare(job, samples(netloom, ms), "shell", samples(shell, ms), goal);
  return [
    row("first call to first reply", (sample) => sample.setup_to_reply_ms, 0.2),
    row("the same and its removal", (sample) => sample.total_ms),
    row("whole process", (sample) => sample.process_ms),
  ];
}

async function budget(prefix: string, { quick, progress }: BenchOptions): Promise<Row[]> {
  const { splits } = await takeTurns(quick ? 1 : 9, {
    splits: () => child<{ cold: Split; warm: Split }>("first_ping_split.ts", prefix),
  }, progress);
  const of = (part: string, ms: (split: typeof splits[number]) => number): Row => ({
    job: `first reply, ${part}`,
    netloom: median(splits.map(ms)),
  });
  const { symbols, calls } = splits[0]!.cold;
  return [
    of("whole, watched", ({ cold }) => cold.total_ms),
    of(`binding ${symbols} symbols`, ({ cold }) => cold.dlopen_ms),
    of(`${calls} calls of libc`, ({ cold }) => cold.calls_ms),
    of("JavaScript, once warm", ({ warm }) => warm.rest_ms),
    of("JavaScript, first calls", ({ cold, warm }) => cold.rest_ms - warm.rest_ms),
    of("whole, fifth run of a process", ({ warm }) => warm.total_ms),
  ];
}
