/**
 * Checking and resolving topologies, without a kernel. Warm: libraries are loaded, and code is compiled.
 *
 * @module
 */
import { check, clos, grid, resolve, star, type TopologySpec } from "@netloom/netloom/lab";
import {
  type BenchOptions,
  cpuTime,
  median,
  type Row,
  type Sample,
  takeTurns,
} from "./_measure.ts";

/** `check` of 1,000 nodes takes no longer. */
const GOAL_MS = 100;

/** Runs the benchmark. */
export async function labChecks({ quick, progress }: BenchOptions): Promise<Row[]> {
  const both = { addressing: { ipv4: "10.0.0.0/8", ipv6: "fd00::/48" } };
  const specs: Record<string, TopologySpec> = {
    "star of 1,000 nodes": star(999),
    "clos of 1,000 nodes, both families": { ...clos(30, { spines: 10, hosts: 32 }), ...both },
    "grid of 100 routers": grid(10, 10),
  };
  const jobs: Record<string, () => void> = {};
  for (const [name, spec] of Object.entries(specs)) {
    jobs[`check, ${name}`] = () => check(spec);
    jobs[`resolve, ${name}`] = () => resolve(spec);
  }
  const contenders = Object.fromEntries(
    Object.entries(jobs).map(([name, job]) => [name, () => Promise.resolve(time(job))]),
  );
  for (const job of Object.values(jobs)) for (let i = 0; i < 5; i++) job(); // until it is compiled
  const samples = await takeTurns(quick ? 3 : 9, contenders, progress);
  return Object.entries(samples).map(([job, list]) => ({
    job,
    netloom: median(list.map(({ ms }) => ms)),
    cpu_s: median(list.map(({ cpu_ms }) => cpu_ms)) / 1000,
    ...(job.startsWith("check") ? { goal: GOAL_MS } : {}),
  }));
}

function time(job: () => void): Sample {
  const [start, cpu] = [performance.now(), cpuTime()];
  job();
  return { ms: performance.now() - start, cpu_ms: cpuTime() - cpu };
}
