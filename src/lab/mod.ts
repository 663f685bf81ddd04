/**
 * Labs: whole networks from YAML or TypeScript, checked and with everything derived.
 *
 * @example A topology in YAML, with everything filled in
 * ```ts
 * import { parse, resolve } from "@netloom/netloom/lab";
 * import { assertEquals } from "@std/assert";
 *
 * const spec = await parse(`
 * addressing: { ipv4: 10.0.0.0/16 }
 * nodes:
 *   r1: { kind: router }
 *   h[1-2]:
 * links:
 *   - segment: [r1, h1, h2]
 * `);
 * const { nodes } = resolve(spec);
 * assertEquals(nodes.map(({ name }) => name), ["h1", "h2", "lan-r1", "r1"]);
 * ```
 *
 * @module
 */
import "../nftables/mod.ts";
import "../traffic/mod.ts";

export { type Problem, TopologyError } from "./problem.ts";
export * from "./generators.ts";
export { load, parse, type ParseOptions } from "./read.ts";
export { check, resolve } from "./resolve.ts";
export type * from "./resolved.ts";
export type { Path } from "./rules.ts";
export * from "./spec.ts";
export { bridge, groups, oneWay, type Partition, ring } from "./cuts.ts";
export { type FlapOptions, Lab } from "./lab.ts";
export { type CutOptions, LabLink } from "./link.ts";
export { type Schedule, type ScheduleEntry } from "./schedule.ts";
export { LabNode } from "./node.ts";
export type {
  LabCapture,
  LabCaptureOptions,
  LabEvent,
  LabEvents,
  Reachability,
  ReachabilityOptions,
} from "./watch.ts";
export { LabError } from "./transaction.ts";
export { type LogOptions, logs } from "./logs.ts";
export type { KeeperInfo } from "./keeper_client.ts";
export { down, type LabInfo, list, type NoteOptions } from "./named.ts";
export { type LabPlan, plan, type PlannedStep, type PlanOptions } from "./plan.ts";
export { attach, keeper, up, type UpOptions } from "./up.ts";
export { runAsUser, type RunAsUserOptions } from "./user.ts";
