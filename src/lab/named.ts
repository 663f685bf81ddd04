/**
 * Labs with a name: they outlive the program, and each command continues from the record.
 *
 * @module
 */
import { NetlinkError } from "../netlink/error.ts";
import { SyscallError } from "../../ffi/errno.ts";
import { checkOptions, type OptionNames, show } from "../options.ts";
import { isNamed, removeNameOf } from "../scope/namespaces.ts";
import type { ReadyOptions } from "../scope/ready.ts";
import { FaultControl } from "./fault_control.ts";
import { applyImpairments, needsUserSpace } from "./impairments.ts";
import { Keeper, type KeeperInfo, keeperOf } from "./keeper_client.ts";
import { LabNodes, type Owner } from "./nodes.ts";
import { killMarked } from "./processes.ts";
import { changerOf, LabRecord, readRecord, recordNames, type RecordState } from "./record.ts";
import type { ResolvedTopology } from "./resolved.ts";
import { isOwn } from "./settings.ts";
import { isInside } from "./user.ts";
import {
  build,
  carryTraffic,
  compare,
  finish,
  LabError,
  removeEverything,
  type Transition,
} from "./transaction.ts";

/** The name of a node's namespace below /run/netns. */
export function netnsNameOf(lab: string, node: string): string {
  return `${lab}.${node}`;
}

/** The namespaces of a lab, found again by its record. */
export function nodesOf(name: string, state: RecordState, record?: LabRecord): LabNodes {
  const owner: Owner = {
    nameOf: (node) => netnsNameOf(name, node),
    created: (node, { cookie }) => record?.namespace(node, cookie),
    visited: (node, { cookie }) => record?.namespace(node, cookie),
    setting: (node, setting, before) => record?.setting(node, setting, before),
    taken: (link) => record?.taken(link),
    returned: (link) => record?.returned(link),
  };
  const nodes = new LabNodes(owner);
  findNodes(nodes, state);
  for (const { node, name, before } of state.settings) nodes.recall(node, name, before);
  for (const link of state.taken.values()) nodes.recallTaken(link);
  return nodes;
}

/** Finds the namespaces of a record; references that lead there already stay. */
export function findNodes(nodes: LabNodes, state: RecordState): void {
  const known = new Map(
    topologiesOf(state).reverse().flatMap(({ nodes }) =>
      nodes.map((node) => [node.name, node] as const)
    ),
  );
  const open = new Set(nodes.names());
  for (const [node, cookie] of state.cookies) {
    if (open.has(node)) {
      if (nodes.ref(node).cookie === cookie) continue;
      nodes.forget(node);
    }
    const resolved = known.get(node);
    if (!resolved || isOwn(resolved)) nodes.find(node, cookie);
    else nodes.open(resolved, { cookie });
  }
}

/** Removes the files of names that a killed command had not yet given to their namespaces. */
function removeStaleNames({ name, state }: LabRecord): void {
  for (const [node, cookie] of state.cookies) {
    const netns = netnsNameOf(name, node);
    if (!isNamed(netns)) removeNameOf(cookie, netns);
  }
}

/** The topologies whose objects may be there, the newest first. */
export function topologiesOf({ pending, settled }: RecordState): ResolvedTopology[] {
  return [pending?.target, settled].filter((it) => it !== undefined);
}

/** The transition from what a record says to a topology. */
export function transitionOf(
  state: RecordState,
  target: ResolvedTopology | undefined,
): Transition {
  return {
    target,
    before: topologiesOf(state),
    isKnown: state.pending === undefined,
    group: state.group,
  };
}

/**
 * Brings a lab with a name to a topology: what stays the same keeps running. A failure before the first
 * removal brings the lab back to the state before; after it, the next command goes on.
 */
export async function converge(
  target: ResolvedTopology,
  name: string,
  { onNote, ...options }: ReadyOptions & NoteOptions = {},
): Promise<{ nodes: LabNodes; keeper: Keeper }> {
  using record = LabRecord.open(name, { create: true });
  const nodes = nodesOf(name, record.state, record);
  const keeper = new Keeper(name);
  const notes = { onNote };
  const work: Work = { record, nodes, keeper, options, notes };
  try {
    removeStaleNames(record);
    recoverKeeper(keeper, nodes, notes);
    await recover(work);
    const transition = transitionOf(record.state, target);
    const { build, remove } = compare(transition, nodes);
    if (!record.state.settled || build.length + remove.length > 0 || isOther(record, target)) {
      record.begin(target);
      await change(transition, work);
    } else await enliven(target, [], work);
    return { nodes, keeper };
  } catch (error) {
    nodes.close();
    throw error;
  } finally {
    if (!record.state.settled && !record.state.pending) record.remove();
  }
}

/** Whether the record has another topology: one that differs in what the kernel does not tell. */
function isOther({ state }: LabRecord, target: ResolvedTopology): boolean {
  return JSON.stringify(state.settled) !== JSON.stringify(target);
}

/** What a command works with. */
interface Work {
  readonly record: LabRecord;
  readonly nodes: LabNodes;
  readonly keeper: Keeper;
  readonly options: ReadyOptions;
  readonly notes: NoteOptions;
}

async function change(transition: Transition, work: Work): Promise<void> {
  const { record, nodes, keeper, options } = work;
  let removals;
  try {
    removals = build(transition, nodes);
    options.signal?.throwIfAborted();
    if (removals.length === 0) await ready(transition, work);
  } catch (error) {
    throw await rolledBack(error, work);
  }
  if (removals.length > 0) {
    record.removing();
    try {
      if (keeper.isRunning) await keeper.ask("leave", [transition.target!]);
      finish(transition, removals, nodes);
      await nodes.removed();
    } catch (error) {
      throw halfDone(record.name, error);
    }
  }
  record.reached();
  if (removals.length > 0) await ready(transition, work);
}

/** Waits until the lab carries traffic, and brings the rest of it to life. */
async function ready({ target, before }: Transition, work: Work): Promise<void> {
  await carryTraffic(target!, work.nodes, work.options);
  await enliven(target!, before, work);
}

/** Impairs the wires; starts commands and schedule, and waits until the commands are ready. */
async function enliven(
  target: ResolvedTopology,
  before: readonly ResolvedTopology[],
  { nodes, keeper, options }: Work,
): Promise<void> {
  if (needsKeeper(target)) keeper.start();
  if (keeper.isRunning) {
    const { signal } = options;
    await keeper.ask("converge", [target, before, folderOf(target)], { signal });
  } else {applyImpairments(target, before, {
      nodes,
      faults: new FaultControl(target, nodes, keeper),
    });}
}

/** Whether a part of a topology ends with a process. */
function needsKeeper(topology: ResolvedTopology): boolean {
  const { nodes, schedule } = topology;
  return isInside() || schedule.length > 0 || nodes.some(({ run }) => run.length > 0) ||
    needsUserSpace(topology);
}

/** The folder of commands: without any, nobody needs the permission to ask for it. */
function folderOf({ nodes }: ResolvedTopology): string {
  return nodes.some(({ run }) => run.length > 0) ? Deno.cwd() : "/";
}

/** Goes back to the state before, and returns the error to throw. */
async function rolledBack(error: unknown, work: Work): Promise<unknown> {
  try {
    await goTo(work.record.state.settled, work);
    work.record.undone();
    return error;
  } catch (second) {
    return new AggregateError(
      [error, second],
      `${messageOf(error)}; going back failed, too: the next command tries it again`,
    );
  }
}

/** Undoes or completes what an interrupted command has begun. */
async function recover(work: Work): Promise<void> {
  const { record } = work;
  const { pending, settled } = record.state;
  if (!pending) return;
  if (pending.removing) {
    await goTo(pending.target, work);
    record.reached();
  } else {
    await goTo(settled, work);
    record.undone();
  }
}

async function goTo(target: ResolvedTopology | undefined, work: Work): Promise<void> {
  const { record, nodes, keeper } = work;
  const transition = transitionOf(record.state, target);
  if (target) {
    const removals = build(transition, nodes);
    if (keeper.isRunning) await keeper.ask("leave", [target]);
    finish(transition, removals, nodes);
  } else {
    await endKeeper(keeper, nodes, work.notes);
    removeEverything(transition, nodes);
  }
  await nodes.removed();
  if (target) await ready(transition, { ...work, options: {} });
}

/** Receives what a command has found beside its own work. */
export interface NoteOptions {
  /** Called with a sentence, such as that the lab's keeper was killed. Default: standard error has it. */
  readonly onNote?: ((note: string) => void) | undefined;
}

/** Clears up after a keeper that was killed, and says so. */
export function recoverKeeper(
  keeper: Keeper,
  nodes: LabNodes,
  { onNote = (note) => console.error(note) }: NoteOptions = {},
): void {
  for (const note of keeper.recover(() => killMarked(keeper.lab, nodes.refs()))) onNote(note);
}

/** Ends a keeper with all of its commands; clears up after one that was killed. */
async function endKeeper(keeper: Keeper, nodes: LabNodes, notes: NoteOptions): Promise<void> {
  recoverKeeper(keeper, nodes, notes);
  if (await keeper.end()) killMarked(keeper.lab, nodes.refs());
}

function halfDone(name: string, error: unknown): Error {
  return new LabError(
    `Lab ${show(name)} is half changed, as removals had begun: the next command goes on: ` +
      messageOf(error),
    { cause: error },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Removes a lab: exactly what its record proves to be the lab's. It needs neither the file of the lab nor a
 * process of it. Its keeper ends, with all commands.
 *
 * @param name The name of the lab.
 * @param options Receives what it has found.
 * @returns Whether there was such a lab.
 * @throws {LabError} When another process changes the lab.
 * @throws {ScopeError} When a namespace stays, because processes are in it; the record is gone by then.
 *
 * @example A lab that outlives the program, and its end
 * ```ts
 * import { down, list, up } from "@netloom/netloom/lab";
 * import { assertEquals } from "@std/assert";
 *
 * {
 *   const spec = { nodes: { a: {}, b: {} }, links: ["a -- b"] } as const;
 *   await using lab = await up(spec, { name: "pair" });
 *   lab.persist();
 * }
 * assertEquals(list().map(({ name }) => name), ["pair"]);
 * assertEquals(await down("pair"), true);
 * ```
 */
export async function down(name: string, options: NoteOptions = {}): Promise<boolean> {
  checkOptions(options, NOTE);
  using record = LabRecord.open(name);
  if (!record) return false;
  const nodes = nodesOf(name, record.state, record);
  const keeper = new Keeper(name);
  try {
    removeStaleNames(record);
    await endKeeper(keeper, nodes, options);
    removeEverything(transitionOf(record.state, undefined), nodes);
    record.remove();
    await nodes.removed();
  } finally {
    nodes.close();
  }
  return true;
}

const NOTE: OptionNames<NoteOptions> = { onNote: true };

/** A lab with a name. */
export interface LabInfo {
  /** Its name. */
  readonly name: string;
  /**
   * `up`; `changing` while a process changes it; `interrupted` when a command was killed: the next one undoes
   * or completes that; `unreadable` when its record cannot be read.
   */
  readonly state: "up" | "changing" | "interrupted" | "unreadable";
  /** The process that changes it. */
  readonly pid?: number;
  /**
   * Its keeper: the process that has its commands, schedule and faults in user space; absent when it needs none.
   * `gone`: it was killed, and the next command clears up after it.
   */
  readonly keeper?: KeeperInfo;
  /** Its nodes, each with the name of its namespace. */
  readonly nodes: readonly { readonly name: string; readonly netns: string }[];
  /** The number of its wires. */
  readonly wires: number;
  /** The reason for `unreadable`. */
  readonly note?: string;
}

/** Lists the labs with a name, those of killed commands included. */
export function list(): LabInfo[] {
  return recordNames().map(infoOf).filter((info) => info !== undefined);
}

function infoOf(name: string): LabInfo | undefined {
  const pid = changerOf(name);
  try {
    const state = readRecord(name);
    if (!state && pid === undefined) return undefined;
    const [topology] = state ? topologiesOf(state) : [];
    const nodes = topology?.nodes.map((node) => ({
      name: node.name,
      netns: isOwn(node) ? netnsNameOf(name, node.name) : existingName(node.netns),
    })) ?? [];
    const word = pid !== undefined ? "changing" : state?.pending ? "interrupted" : "up";
    const wires = topology?.wires.length ?? 0;
    const keeper = keeperOf(name);
    return {
      name,
      state: word,
      nodes,
      wires,
      ...(pid !== undefined && { pid }),
      ...(keeper && { keeper }),
    };
  } catch (error) {
    if (
      error instanceof LabError || error instanceof NetlinkError || error instanceof SyscallError
    ) {
      return { name, state: "unreadable", nodes: [], wires: 0, note: error.message };
    }
    throw error;
  }
}

function existingName(netns: ResolvedTopology["nodes"][number]["netns"]): string {
  if (!netns) return "";
  return "name" in netns ? netns.name : "path" in netns ? netns.path : `/proc/${netns.pid}/ns/net`;
}
