/**
 * A hundred thousand routes: adding them with one call, and flushing them.
 *
 * @module
 */
import { child } from "./_child.ts";
import { alone, type BenchOptions, compare, type Row, type Sample, takeTurns } from "./_measure.ts";
import { goRoutes, ipRoutes, pyroute2Routes, type RouteTimes, withRouter } from "./rivals/run.ts";
import type { OwnRouteTimes } from "./routes_child.ts";

/** pyroute2 gets a tenth of the routes, and its times are taken tenfold. */
const PYROUTE2_SHARE = 10;

type Times = Pick<OwnRouteTimes, "add_ms" | "flush_ms" | "cpu_ms"> & { readonly list_ms?: number };

/** Runs the benchmark. */
export async function routes({ quick, progress }: BenchOptions): Promise<Row[]> {
  const count = quick ? 10_000 : 100_000;
  const rival = (add: (netns: string, routes: number) => Promise<RouteTimes>) => () =>
    withRouter((netns) => add(netns, count));
  const times = await takeTurns<string, Times>(quick ? 3 : 9, {
    netloom: () =>
      withRouter((netns) => child<OwnRouteTimes>("routes_child.ts", netns, `${count}`)),
    Go: rival(goRoutes),
    "ip -batch": rival(ipRoutes),
    pyroute2: () =>
      withRouter(async (netns): Promise<Times> => {
        const { add_ms, flush_ms, cpu_ms } = await pyroute2Routes(netns, count / PYROUTE2_SHARE);
        const tenfold = (ms: number) => ms * PYROUTE2_SHARE;
        return { add_ms: tenfold(add_ms), flush_ms: tenfold(flush_ms), cpu_ms: tenfold(cpu_ms) };
      }),
  }, progress);
  const added = (name: string): Sample[] =>
    times[name]!.map(({ add_ms, cpu_ms }) => ({ ms: add_ms, cpu_ms }));
  const flushed = (name: string): Sample[] =>
    times[name]!.map(({ flush_ms }) => ({ ms: flush_ms, cpu_ms: 0 }));
  const listed = times.netloom!.map(({ list_ms }) => ({ ms: list_ms!, cpu_ms: 0 }));
  const named = count.toLocaleString("en");
  const goals: Record<string, number> = { Go: 1.1, "ip -batch": 1, pyroute2: 1 };
  return [
    ...Object.entries(goals).map(([name, goal]) =>
      compare(`add ${named} routes`, added("netloom"), name, added(name), goal)
    ),
    ...Object.keys(goals).map((name) =>
      compare(`flush ${named} routes`, flushed("netloom"), name, flushed(name))
    ),
    alone(`list ${named} routes`, listed),
  ];
}
