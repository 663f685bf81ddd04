/**
 * A thousand veth pairs in one scope: making them, and removing them with the scope.
 *
 * @module
 */
import { child } from "./_child.ts";
import { alone, type BenchOptions, compare, type Row, type Sample, takeTurns } from "./_measure.ts";
import { goNetlink, ipBatch, oneByOneDelete, pyroute2, withNamespace } from "./rivals/run.ts";
import type { VethScope } from "./veth_child.ts";

/** Runs the benchmark. */
export async function veth1000({ quick, progress }: BenchOptions): Promise<Row[]> {
  const pairs = quick ? 100 : 1000;
  const netloom = (how: string, netns: string) =>
    child<VethScope>("veth_child.ts", how, netns, `${pairs}`);
  const inNamespace = (how: string) => () => withNamespace((netns) => netloom(how, netns));
  const ours = async (how: string): Promise<Done> => doneOf(await inNamespace(how)());
  const rival =
    (create: (netns: string, pairs: number) => Promise<{ create_ms: number; cpu_ms: number }>) =>
    () =>
      withNamespace(async (netns): Promise<Done> => {
        const { create_ms, cpu_ms } = await create(netns, pairs);
        return { created: { ms: create_ms, cpu_ms } };
      });

  const done = await takeTurns<string, Done>(quick ? 3 : 9, {
    loop: () => ours("loop"),
    batch: () => ours("batch"),
    drop: async () => doneOf(await netloom("drop", `nlb-${Deno.pid}-drop`)),
    "ip -batch": () =>
      withNamespace(async (netns) => {
        const { create_ms, cpu_ms } = await ipBatch(netns, pairs);
        const { delete_ms, cpu_ms: delete_cpu_ms } = await oneByOneDelete(netns, pairs);
        return {
          created: { ms: create_ms, cpu_ms },
          removed: { ms: delete_ms, cpu_ms: delete_cpu_ms },
        };
      }),
    pyroute2: rival(pyroute2),
    Go: rival(goNetlink),
  }, progress);

  const created = (name: string) => done[name]!.map(({ created }) => created);
  const removed = (name: string) => done[name]!.map(({ removed }) => removed!);
  const goals = { "ip -batch": 1.05, pyroute2: 1, Go: 1 };
  const rows = Object.entries({
    loop: `create ${pairs} pairs, a call each`,
    batch: `create ${pairs} pairs in a batch`,
  }).flatMap(([how, job]) =>
    Object.entries(goals).map(([name, goal]) =>
      compare(job, created(how), name, created(name), goal)
    )
  );
  const one = "one by one";
  return [
    ...rows,
    compare(`remove ${pairs} pairs by scope`, removed("loop"), one, removed("ip -batch"), 0.05),
    compare(`drop the netns of ${pairs} pairs`, removed("drop"), one, removed("ip -batch")),
    alone(`create ${pairs} pairs in an own netns`, created("drop")),
  ];
}

interface Done {
  readonly created: Sample;
  readonly removed?: Sample;
}

function doneOf({ create_ms, create_cpu_ms, delete_ms, delete_cpu_ms }: VethScope): Done {
  return {
    created: { ms: create_ms, cpu_ms: create_cpu_ms },
    removed: { ms: delete_ms, cpu_ms: delete_cpu_ms },
  };
}
