/**
 * Adds routes below 10.0.0.0/8 through the link `v0` of a namespace in one call, lists and flushes them.
 *
 * `deno run -A routes_child.ts NETNS ROUTES` prints one line of JSON.
 *
 * @module
 */
import { NetNs } from "@netloom/netloom";
import { cpuTime } from "./_measure.ts";
import type { RouteTimes } from "./rivals/run.ts";

/** What that took. */
export type OwnRouteTimes = Omit<RouteTimes, "process_ms"> & {
  /** Milliseconds until all were listed. */
  readonly list_ms: number;
};

const [name, count] = Deno.args as [string, string];
using netns = NetNs.open(name);
const dev = netns.links.get("v0");

const [cpu, started] = [cpuTime(), performance.now()];
netns.routes.add(Array.from({ length: Number(count) }, (_, n) => ({
  destination: `10.${n >> 16}.${n >> 8 & 255}.${n & 255}/32`,
  gateway: "192.0.2.2",
  dev,
})));
const [added, cpu_ms] = [performance.now(), cpuTime() - cpu];
const { length } = netns.routes.list({ protocol: "boot" });
const listed = performance.now();
netns.routes.flush();
const flushed = performance.now();
const left = netns.routes.list({ protocol: "boot" }).length;
if (length !== Number(count) || left > 0) throw new Error(`${length} routes, then ${left}`);

const result: OwnRouteTimes = {
  add_ms: added - started,
  list_ms: listed - added,
  flush_ms: flushed - listed,
  cpu_ms,
};
console.log(JSON.stringify(result));
