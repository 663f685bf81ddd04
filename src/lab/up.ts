/**
 * Bringing labs up.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { checkOptions, didYouMean, type OptionNames, show } from "../options.ts";
import type { ReadyOptions } from "../scope/ready.ts";
import { Scope, scopes } from "../scope/scope.ts";
import { Activity, KeptActivity } from "./activity.ts";
import { Lab, type LabParts } from "./lab.ts";
import { applyImpairments } from "./impairments.ts";
import { KEEP, Keeper, runKeepersBy } from "./keeper_client.ts";
import { converge, down, list, nodesOf, type NoteOptions, recoverKeeper } from "./named.ts";
import { LabNodes, type Owner } from "./nodes.ts";
import { checkLimits } from "./limits.ts";
import { resolved } from "./plan.ts";
import { checkLabName, readRecord } from "./record.ts";
import type { ResolvedTopology } from "./resolved.ts";
import type { NodeName, TopologySpec } from "./spec.ts";
import { isOwn } from "./settings.ts";
import { build, carryTraffic, compare, LabError, type Transition } from "./transaction.ts";
import { perform } from "./steps.ts";

/** Options of {@link up}. */
export interface UpOptions extends NoteOptions {
  /**
   * Gives the lab a name: it has names below /run/netns and a record, and outlives the program with
   * `persist()`. A lab of that name that runs already is brought to the topology. Commands, a schedule, and
   * impairments that the kernel cannot do get a process of their own then, the lab's keeper. Default: a lab
   * without a name, also where the file has one.
   */
  readonly name?: string;
  /** Milliseconds until the lab has to carry traffic; default 10,000. */
  readonly timeout?: number;
  /** Ends the wait early; the lab is as before then. */
  readonly signal?: AbortSignal;
}

const NOTE: OptionNames<NoteOptions> = { onNote: true };
const OPTIONS: OptionNames<UpOptions> = {
  name: true,
  timeout: true,
  signal: true,
  onNote: true,
};

/**
 * Brings a lab up. Returns when it carries traffic and was compared with the topology.
 *
 * Without a name, the namespaces have no names, so labs never collide, and the lab is removed when the
 * handle is disposed of. When a step fails, everything is removed.
 *
 * With a name, a lab that runs already is brought to the topology, and what stays the same keeps running.
 * Creations and changes come first, removals last: a failure before the first removal brings the lab back to
 * the state before; after it, the next command goes on, as after a `kill -9`.
 *
 * @param spec The topology.
 * @param options Name, timeout and signal.
 * @returns The owning handle.
 * @throws {TopologyError} When the topology has problems.
 * @throws {NetlinkError} When the kernel refuses an object.
 * @throws {LabError} When the kernel does not have what it was asked for, or another process changes the
 * lab of that name, or the lab needs more neighbors or descriptors than the machine has.
 * @throws {ScopeError} When the lab does not carry traffic in time.
 *
 * @example Two hosts behind a router, in a test
 * ```ts
 * import { up } from "@netloom/netloom/lab";
 * import { assertEquals } from "@std/assert";
 *
 * await using lab = await up({
 *   nodes: { r: { kind: "router" }, h1: {}, h2: {} },
 *   links: ["h1 -- r", "h2 -- r"],
 * });
 * assertEquals((await lab.node("h1").ping("h2")).received, 1);
 * ```
 */
export async function up<N extends string>(
  spec: TopologySpec<N> | ResolvedTopology,
  options: UpOptions = {},
): Promise<Lab<NodeName<N>>> {
  checkOptions(options, OPTIONS);
  const { name: _, ...topology } = resolved(spec, options.name);
  const { name, onNote, ...ready } = options;
  ready.signal?.throwIfAborted();
  checkLimits(topology);
  if (name === undefined) {
    refuseTaking(topology);
    return new Lab(await upNameless(topology, ready));
  }
  const target = { ...topology, name: checkLabName(name) };
  const { nodes, keeper } = await converge(target, name, { ...ready, onNote });
  const takeDown = async () => {
    nodes.close();
    await down(name, { ...(onNote && { onNote }) });
  };
  const activity = new KeptActivity(target, nodes, keeper);
  return new Lab({ topology: target, nodes, activity, takeDown });
}

/**
 * A handle of a lab that runs. Its methods do the same as those of the handle of `up()`.
 *
 * @param name The name of the lab.
 * @param options Receives what was found: that the keeper was killed.
 * @returns A borrowed handle: disposing of it leaves the lab alone.
 * @throws {LabError} When there is no such lab.
 */
export function attach(name: string, options: NoteOptions = {}): Lab {
  checkOptions(options, NOTE);
  const state = readRecord(checkLabName(name));
  if (!state?.settled) {
    const known = list().map(({ name }) => name);
    throw new LabError(`There is no lab ${show(name)}${didYouMean(name, known)}`);
  }
  const nodes = nodesOf(name, state);
  const topology = state.settled;
  const keeper = new Keeper(name);
  recoverKeeper(keeper, nodes, options);
  const activity = new KeptActivity(topology, nodes, keeper);
  return new Lab({ topology, nodes, activity, takeDown: () => Promise.resolve() }).persist();
}

/**
 * For programs of `deno compile` whose labs have names: such a program is also the keeper of its labs, in a process of
 * its own. Call it first, and end when it returns `true`. Elsewhere it does nothing, and is not needed.
 *
 * @param args The arguments of the program: `Deno.args`.
 * @returns Whether this process was a keeper, which has ended.
 *
 * @example The first line of such a program
 * ```ts
 * import { keeper } from "@netloom/netloom/lab";
 *
 * if (await keeper(Deno.args)) Deno.exit();
 * ```
 */
export async function keeper(args: readonly string[]): Promise<boolean> {
  const [first, lab] = args;
  if (Deno.build.standalone) runKeepersBy((lab) => [Deno.execPath(), KEEP, lab]);
  if (first !== KEEP || lab === undefined) return false;
  const { keep } = await import("./keeper.ts");
  await keep(lab);
  return true;
}

/** Only a record brings a link of the machine home after a `kill -9`. */
function refuseTaking({ nodes }: ResolvedTopology): void {
  for (const { name, interfaces } of nodes) {
    const physical = interfaces.find(({ kind }) => kind === "physical");
    if (!physical) continue;
    throw new LabError(
      `${name}:${physical.name}: links of the machine move only into a lab with a name, whose record ` +
        "brings them home: give up() a name",
    );
  }
}

async function upNameless(topology: ResolvedTopology, options: ReadyOptions): Promise<LabParts> {
  // Namespaces without names go with the process: only links elsewhere need the signals.
  const scope = Scope.open({ signals: topology.nodes.some((node) => !isOwn(node)) });
  const nodes = new LabNodes(scopeOwner(scope));
  const transition = { target: topology, before: [], isKnown: true, group: scope.group };
  const takeDown = () => removeAll(transition, nodes, scope);
  const activity = new Activity(topology, nodes);
  try {
    build(transition, nodes);
    await carryTraffic(topology, nodes, options);
    applyImpairments(topology, [], { nodes, faults: activity.faults });
    await activity.converge(topology, { signal: options.signal });
    return { topology, nodes, activity, takeDown };
  } catch (error) {
    await activity.stop();
    await takeDown();
    throw error;
  }
}

function scopeOwner(scope: Scope): Owner {
  return {
    created: (_, ref: NetNsRef) => scopes.addNetNs(scope, ref),
    visited: (_, ref: NetNsRef) => scopes.visit(scope, ref),
    setting: () => {},
  };
}

/** Removes what is in namespaces of others, then the lab's own namespaces in bulk. */
async function removeAll(transition: Transition, nodes: LabNodes, scope: Scope): Promise<void> {
  try {
    await using _scope = scope;
    if (nodes.names().every((node) => nodes.owns(node))) return;
    const before = [transition.target!];
    const { build, remove } = compare({ ...transition, target: undefined, before }, nodes);
    const elsewhere = [...build, ...remove].filter(({ action }) => action.kind !== "netns");
    perform(elsewhere, nodes);
  } finally {
    nodes.close();
  }
}
