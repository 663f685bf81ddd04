/**
 * Two thousand links listed as typed objects.
 *
 * @module
 */
import { child } from "./_child.ts";
import {
  type BenchOptions,
  compare,
  median,
  type Row,
  type Sample,
  takeTurns,
} from "./_measure.ts";
import type { OwnDump } from "./dump_child.ts";
import { type Dump, goDump, ipBatch, pyDump, rawDump, withNamespace } from "./rivals/run.ts";

/** Dumps in one process. */
const ROUNDS = 40;

/** Runs the benchmark. */
export function dump2000({ quick, progress }: BenchOptions): Promise<Row[]> {
  const pairs = quick ? 100 : 1000;
  return withNamespace(async (netns) => {
    await ipBatch(netns, pairs);
    const rival =
      (dump: (netns: string, rounds: number) => Promise<Dump>, rounds = ROUNDS) => async () => {
        const { links, median_ms, cpu_ms } = await dump(netns, rounds);
        if (links !== 2 * pairs + 1) throw new Error(`${links} links in the dump`);
        return { ms: median_ms, cpu_ms };
      };
    const own: OwnDump[] = [];
    const { typed, raw, Go, pyroute2 } = await takeTurns<string, Sample>(quick ? 3 : 9, {
      typed: async () => {
        const dump = await child<OwnDump>("dump_child.ts", netns, `${ROUNDS}`);
        own.push(dump);
        return dump.typed;
      },
      raw: rival(rawDump),
      Go: rival(goDump),
      pyroute2: rival(pyDump, 1),
    }, progress) as Record<"typed" | "raw" | "Go" | "pyroute2", Sample[]>;
    const job = `list ${2 * pairs + 1} links`;
    return [
      compare(job, typed, "netloom, undecoded", own.map(({ raw }) => raw), 1.4),
      compare(job, typed, "Go, undecoded", raw),
      compare(job, typed, "Go", Go, 1),
      compare(job, typed, "pyroute2", pyroute2, 1),
      { job: `${job}, a process's first time`, netloom: median(own.map((dump) => dump.first_ms)) },
    ];
  });
}
