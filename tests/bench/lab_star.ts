/**
 * Labs: a star of hosts on a switch, by `up()`, beside the same by a call each, `ip -batch`, one `ip` a command,
 * Go's netlink, pyroute2 and Mininet (Debian's package, with its LinuxBridge).
 *
 * @module
 */
import { star as starSpec } from "@netloom/netloom/lab";
import { child } from "./_child.ts";
import type { LabTimes } from "./lab_child.ts";
import { type Done, ipBatch } from "./lab.ts";
import { alone, type BenchOptions, compare, type Row, takeTurns } from "./_measure.ts";
import { star } from "./rivals/run.ts";

/** Hosts for those who take seconds. */
const FEW = 100;

/** Runs the benchmark. */
export async function labStars({ quick, progress }: BenchOptions): Promise<Row[]> {
  const many = quick ? 200 : 1000;
  const few = quick ? 20 : FEW;
  const ours = async (how: string, hosts: number): Promise<Done> => {
    const times = await child<LabTimes>("lab_child.ts", how, `${hosts}`, "star");
    return {
      created: { ms: times.create_ms, cpu_ms: times.create_cpu_ms },
      removed: { ms: times.delete_ms, cpu_ms: times.delete_cpu_ms },
    };
  };
  const theirs = async (rival: "Go" | "pyroute2" | "Mininet", hosts: number): Promise<Done> => {
    const { create_ms, delete_ms, cpu_ms } = await star(rival, hosts);
    return { created: { ms: create_ms, cpu_ms }, removed: { ms: delete_ms, cpu_ms: 0 } };
  };
  const large = await takeTurns<string, Done>(quick ? 1 : 3, {
    lab: () => ours("lab", many),
    calls: () => ours("calls", many),
    Go: () => theirs("Go", many),
  }, progress);
  const small = await takeTurns<string, Done>(quick ? 1 : 3, {
    lab: () => ours("lab", few),
    calls: () => ours("calls", few),
    "ip -batch": () => ipBatch(starSpec(few)),
    "ip, one a command": () => ipBatch(starSpec(few), true),
    Go: () => theirs("Go", few),
    pyroute2: () => theirs("pyroute2", few),
    Mininet: () => theirs("Mininet", few),
  }, progress);
  const up = (done: readonly Done[]) => done.map(({ created }) => created);
  const down = (done: readonly Done[]) => done.map(({ removed }) => removed);
  const title = (hosts: number) => `star of ${hosts}`;
  const perNode = (done: readonly Done[], hosts: number) =>
    up(done).map(({ ms, cpu_ms }) => ({ ms: ms / hosts, cpu_ms: cpu_ms / hosts }));
  return [
    compare(`${title(many)}: up`, up(large.lab!), "Go", up(large.Go!), 0.4),
    compare(`${title(many)}: up`, up(large.lab!), "a call each", up(large.calls!)),
    compare(`${title(many)}: down`, down(large.lab!), "Go", down(large.Go!), 1),
    compare(
      `${title(many)}: up, a node`,
      perNode(large.lab!, many),
      `at ${few}`,
      perNode(small.lab!, few),
      1.3,
    ),
    ...Object.keys(small).filter((name) => name !== "lab").flatMap((name) => [
      compare(`${title(few)}: up`, up(small.lab!), name, up(small[name]!)),
      compare(`${title(few)}: down`, down(small.lab!), name, down(small[name]!)),
    ]),
    alone(`${title(few)}: up`, up(small.lab!)),
  ];
}
