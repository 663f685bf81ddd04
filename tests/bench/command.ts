/**
 * The command: its start beside that of an empty script, and a picture of 50 nodes once Graphviz is loaded.
 *
 * @module
 */
import { clos, resolve } from "@netloom/netloom/lab";
import { draw } from "@netloom/netloom/view";
import { graphOf } from "../../src/lab/graph.ts";
import {
  alone,
  type BenchOptions,
  compare,
  cpuTime,
  type Row,
  type Sample,
  takeTurns,
} from "./_measure.ts";

/** `netloom --help` takes at most this share of the time of an empty script. */
const GOAL_START = 1.5;
/** Milliseconds for a picture of 50 nodes. */
const GOAL_DRAW = 1000;

/** Runs the benchmark. */
export async function command({ quick, progress }: BenchOptions): Promise<Row[]> {
  const folder = await Deno.makeTempDir();
  const empty = `${folder}/empty.ts`;
  await Deno.writeTextFile(empty, "");
  const cli = new URL("../../cli.ts", import.meta.url).pathname;
  try {
    const starts = await takeTurns(quick ? 5 : 60, {
      help: () => timeOf(cli, "--help"),
      verb: () => timeOf(cli, "links", "--help"),
      empty: () => timeOf(empty),
    }, progress);
    const graph = graphOf(resolve(clos(6, { spines: 2, hosts: 7 })));
    await draw(graph);
    const pictures = await takeTurns(quick ? 3 : 15, { draw: () => drawing(graph) }, progress);
    const script = "an empty script";
    return [
      compare("netloom --help", starts.help, script, starts.empty, GOAL_START),
      compare("netloom links --help", starts.verb, script, starts.empty),
      { ...alone(`draw, ${graph.nodes.length} nodes`, pictures.draw), goal: GOAL_DRAW },
    ];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The time of a process; its processor time is not known. */
async function timeOf(...args: string[]): Promise<Sample> {
  const start = performance.now();
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", ...args],
    stdout: "null",
  }).output();
  if (!success) throw new Error(`${args.join(" ")} fails`);
  return { ms: performance.now() - start, cpu_ms: 0 };
}

async function drawing(graph: Parameters<typeof draw>[0]): Promise<Sample> {
  const [start, cpu] = [performance.now(), cpuTime()];
  await draw(graph);
  return { ms: performance.now() - start, cpu_ms: cpuTime() - cpu };
}
