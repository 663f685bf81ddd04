/**
 * Labs: a grid of 100 nodes and 180 links by `up()`, beside the same objects by a call each and by `ip -batch`.
 *
 * @module
 */
import { plan, resolve, type TopologySpec } from "@netloom/netloom/lab";
import { child } from "./_child.ts";
import { gridSpec, type LabTimes } from "./lab_child.ts";
import { alone, type BenchOptions, compare, type Row, type Sample, takeTurns } from "./_measure.ts";

/** A lab that came up, and went. */
export interface Done {
  readonly created: Sample;
  readonly removed: Sample;
}

/** Runs the benchmark. */
export async function labs({ quick, progress }: BenchOptions): Promise<Row[]> {
  const size = quick ? 3 : 10;
  const ours = async (how: string): Promise<Done> => {
    const times = await child<LabTimes>("lab_child.ts", how, `${size}`);
    return {
      created: { ms: times.create_ms, cpu_ms: times.create_cpu_ms },
      removed: { ms: times.delete_ms, cpu_ms: times.delete_cpu_ms },
    };
  };
  const names = ["lab", "calls", "lab-routes", "calls-routes", "again", "check"] as const;
  const contenders = Object.fromEntries(names.map((how) => [how, () => ours(how)]));
  const done = await takeTurns<string, Done>(quick ? 3 : 9, {
    ...contenders,
    "ip -batch": () => ipBatch(gridSpec(size, "none")),
  }, progress);
  const created = (name: string) => done[name]!.map(({ created }) => created);
  const removed = (name: string) => done[name]!.map(({ removed }) => removed);
  const grid = `grid of ${size} x ${size}`;
  return [
    compare(`${grid}: up and ready`, created("lab"), "a call each", created("calls"), 1),
    compare(`${grid}: up and ready`, created("lab"), "ip -batch", created("ip -batch")),
    compare(
      `${grid} with routes`,
      created("lab-routes"),
      "a call each",
      created("calls-routes"),
      1,
    ),
    compare(`${grid}: down`, removed("lab"), "a scope", removed("calls")),
    { ...alone(`${grid}: second up`, created("again")), goal: 50 },
    { ...alone(`${grid}: check`, created("check")), goal: 100 },
  ];
}

/**
 * The commands of the plan, timed: one batch for namespaces and pairs, one for each namespace.
 *
 * @param spec The topology.
 * @param single One process of `ip` a command.
 */
export async function ipBatch(spec: TopologySpec, single = false): Promise<Done> {
  const name = `bench-${Deno.pid}`;
  const { steps } = plan(resolve(spec), { name });
  const lines = steps.map(({ command }) => command);
  const netns = lines.flatMap((line) => /^ip netns add (\S+)$/.exec(line)?.[1] ?? []);
  const batches = [
    lines.filter((line) => /^ip (netns|link) add/.test(line)).map((line) => `ip ${line.slice(3)}`),
    ...netns.map((it) => lines.filter((line) => line.startsWith(`ip -n ${it} `))),
  ];
  const script = single ? lines.join("\n") : batches.map((batch) => {
    const own = /^ip -n (\S+)/.exec(batch[0] ?? "")?.[1];
    const body = batch.map((line) => line.replace(/^ip (-n \S+ )?/, "")).join("\n");
    return `ip ${own ? `-n ${own} ` : ""}-batch - <<'END' || exit 1\n${body}\nEND`;
  }).join("\n");
  const run = async (text: string): Promise<Sample> => {
    const started = performance.now();
    const { success, stderr } = await new Deno.Command("sh", { args: ["-c", text] }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return { ms: performance.now() - started, cpu_ms: 0 };
  };
  try {
    return {
      created: await run(script),
      removed: await run(netns.map((it) => `ip netns delete ${it}`).join("\n")),
    };
  } catch (error) {
    await run(netns.map((it) => `ip netns delete ${it} || true`).join("\n"));
    throw error;
  }
}
