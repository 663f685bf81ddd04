/**
 * Makes veth pairs in one scope and removes them with it.
 *
 * `deno run -A veth_child.ts loop|batch NETNS PAIRS` makes them in a namespace that stays, one
 * `Veth.create()` after the other or through `batch()`, and removes them by their scope.
 * `deno run -A veth_child.ts drop NETNS PAIRS` makes the namespace too, which the scope drops.
 * Prints one line of JSON.
 *
 * @module
 */
import { NetNs, rtnetlink, Scope, Veth } from "@netloom/netloom";
import { scopes } from "../../src/scope/scope.ts";
import { cpuTime } from "./_measure.ts";

/** What that took. */
export interface VethScope {
  /** Milliseconds of the creation. */
  readonly create_ms: number;
  /** Processor time of it. */
  readonly create_cpu_ms: number;
  /** Milliseconds until nothing was left. */
  readonly delete_ms: number;
  /** Processor time of that. */
  readonly delete_cpu_ms: number;
}

const [how, name, count] = Deno.args as [string, string, string];
const pairs = Number(count);

function createInLoop(scope: Scope, netns: NetNs): void {
  for (let n = 0; n < pairs; n++) {
    Veth.create({ scope, netns, name: `v${n}`, peer: { netns, name: `p${n}` } });
  }
}

function createInBatch(scope: Scope, netns: NetNs): void {
  // What has the scope's group goes with it.
  scopes.visit(scope, netns.ref);
  const { group } = scope;
  const results = netns.batch((batch) => {
    for (let n = 0; n < pairs; n++) {
      const peer = { name: `p${n}`, group };
      batch.add(
        rtnetlink.newLink({ name: `v${n}`, group, linkInfo: { kind: "veth", data: { peer } } }),
      );
    }
  });
  for (const result of results) if (!result.ok) throw result.error;
}

function timed(): () => { ms: number; cpu_ms: number } {
  const [cpu, started] = [cpuTime(), performance.now()];
  return () => ({ ms: performance.now() - started, cpu_ms: cpuTime() - cpu });
}

function expectLinks(netns: NetNs, expected: number): void {
  const found = netns.links.list({ stats: false }).length - 1;
  if (found !== expected) throw new Error(`${found} links instead of ${expected}`);
}

const scope = Scope.open({ signals: true });
using netns = how === "drop" ? NetNs.create(name, { scope }) : NetNs.open(name);
const creation = timed();
if (how === "batch") createInBatch(scope, netns);
else createInLoop(scope, netns);
const created = creation();
expectLinks(netns, 2 * pairs);

const removal = timed();
await scope[Symbol.asyncDispose]();
const removed = removal();
if (how !== "drop") expectLinks(netns, 0);
else if (NetNs.exists(name)) throw new Error(`netns ${name} is still there`);

const result: VethScope = {
  create_ms: created.ms,
  create_cpu_ms: created.cpu_ms,
  delete_ms: removed.ms,
  delete_cpu_ms: removed.cpu_ms,
};
console.log(JSON.stringify(result));
