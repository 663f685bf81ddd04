/**
 * Bringing labs up.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { Scope, scopes } from "../scope/scope.ts";
import { Lab } from "./lab.ts";
import { LabNodes, type Owner } from "./nodes.ts";
import type { ResolvedTopology } from "./resolved.ts";
import { isOwn } from "./settings.ts";
import { build, carryTraffic, compare, type Transition } from "./transaction.ts";
import { perform } from "./steps.ts";

/** Options of {@link up}. */
export interface UpOptions {
  /** Milliseconds until the lab has to carry traffic; default 10,000. */
  readonly timeout?: number;
  /** Ends the wait early; what was created is removed. */
  readonly signal?: AbortSignal;
}

const OPTIONS: OptionNames<UpOptions> = { timeout: true, signal: true };

/**
 * Brings a lab without a name up: its namespaces have no names, so labs never collide. It is removed when
 * the handle is disposed of. Returns when the lab carries traffic and was compared with the topology. When
 * a step fails, everything is removed.
 *
 * @param topology The topology, with everything filled in.
 * @param options Timeout and signal.
 * @returns The owning handle.
 * @throws {NetlinkError} When the kernel refuses an object.
 * @throws {LabError} When the kernel does not have what it was asked for.
 * @throws {ScopeError} When the lab does not carry traffic in time.
 */
export async function up(topology: ResolvedTopology, options: UpOptions = {}): Promise<Lab> {
  checkOptions(options, OPTIONS);
  options.signal?.throwIfAborted();
  // Namespaces without names go with the process: only links elsewhere need the signals.
  const scope = Scope.open({ signals: topology.nodes.some((node) => !isOwn(node)) });
  const nodes = new LabNodes(scopeOwner(scope));
  const transition = { target: topology, before: [], isKnown: true, group: scope.group };
  const takeDown = () => removeAll(transition, nodes, scope);
  try {
    build(transition, nodes);
    await carryTraffic(topology, nodes, options);
    return new Lab({ topology, nodes, takeDown });
  } catch (error) {
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
    const { remove } = compare({ ...transition, target: undefined, before }, nodes);
    perform(remove.filter(({ action }) => action.kind !== "netns"), nodes);
  } finally {
    nodes.close();
  }
}
