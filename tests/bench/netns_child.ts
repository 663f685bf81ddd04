/**
 * Creates namespaces with a veth pair each in one scope, and removes them with it.
 *
 * `deno run -A netns_child.ts COUNT [NAME]`: the scope has the name, where one is given. Prints one line
 * of JSON.
 *
 * @module
 */
import { NetNs, Scope, Veth } from "@netloom/netloom";
import { cpuTime } from "./_measure.ts";

/** The times of one run. */
export interface NamespaceScope {
  /** Milliseconds of the creation. */
  readonly create_ms: number;
  /** Processor time of it. */
  readonly create_cpu_ms: number;
  /** Milliseconds until nothing was left. */
  readonly delete_ms: number;
  /** Processor time of that. */
  readonly delete_cpu_ms: number;
}

const [count = "100", name] = Deno.args;
const scope = Scope.open({ signals: true, ...(name && { name, replace: true }) });

function timed(): () => { ms: number; cpu_ms: number } {
  const [cpu, started] = [cpuTime(), performance.now()];
  return () => ({ ms: performance.now() - started, cpu_ms: cpuTime() - cpu });
}

const creation = timed();
for (let n = 0; n < Number(count); n++) {
  const netns = name ? NetNs.create({ name: `${name}-${n}`, scope }) : NetNs.create({ scope });
  Veth.create({ scope, name: "a", netns, peer: { netns, name: "b" } });
}
const created = creation();
const removal = timed();
await scope[Symbol.asyncDispose]();
const removed = removal();
const result: NamespaceScope = {
  create_ms: created.ms,
  create_cpu_ms: created.cpu_ms,
  delete_ms: removed.ms,
  delete_cpu_ms: removed.cpu_ms,
};
console.log(JSON.stringify(result));
