/**
 * Bringing the kernel from one topology to another: creations and changes first, then verified, removals
 * last.
 *
 * @module
 */
import { type ReadyOptions, type ScopedLink, waitReady } from "../scope/ready.ts";
import { show } from "../options.ts";
import { type Difference, differenceOf } from "./difference.ts";
import type { LabNodes } from "./nodes.ts";
import type { ResolvedTopology } from "./resolved.ts";
import { isOwn, settingNames } from "./settings.ts";
import { perform, type Step } from "./steps.ts";

/** A lab cannot be brought up, or taken down. */
export class LabError extends Error {
  /** The class: `LabError`. */
  override readonly name = "LabError";
}

/** What a transaction goes from and to. */
export interface Transition {
  /** The topology to reach; `undefined` removes everything. */
  readonly target: ResolvedTopology | undefined;
  /** The topologies whose objects may be there, the newest first. */
  readonly before: readonly ResolvedTopology[];
  /** Whether all of the first of them is in force. */
  readonly isKnown: boolean;
  /** The group of the lab's links. */
  readonly group: number;
}

/** Rounds after which the kernel keeps differing: a removal takes other objects along, and they return. */
const ROUNDS = 3;

/** Compares with the kernel as it is now. */
export function compare(transition: Transition, nodes: LabNodes): Difference {
  nodes.refresh();
  const target = transition.target?.nodes ?? [];
  const all = [...target, ...transition.before.flatMap(({ nodes }) => nodes)];
  const settings = new Map<string, Set<string>>();
  for (const node of all) {
    const names = settings.getOrInsertComputed(node.name, () => new Set());
    for (const name of settingNames(node)) names.add(name);
  }
  nodes.read({
    routes: all.some(({ routes }) => routes.length > 0),
    rules: all.some(({ rules }) => rules.length > 0),
    vlans: all.some(({ interfaces }) => interfaces.some(({ vlans }) => vlans)),
  }, settings);
  for (const node of target) if (!isOwn(node)) nodes.open(node);
  return differenceOf({ ...transition, nodes });
}

/** Removes all objects of the topologies before. The namespaces end later. */
export function removeEverything(transition: Transition, nodes: LabNodes): void {
  const { build, remove } = compare({ ...transition, target: undefined }, nodes);
  perform([...build, ...remove], nodes);
}

/**
 * Creates and changes, and verifies it: a change may take other objects along, as a link that goes down does
 * with its IPv6 addresses.
 *
 * @returns The removals that are left.
 */
export function build(transition: Transition, nodes: LabNodes): readonly Step[] {
  let difference = compare(transition, nodes);
  for (let round = 0; difference.build.length > 0; round++) {
    if (round === ROUNDS) refuse(difference.build);
    perform(difference.build, nodes);
    difference = compare(after(transition), nodes);
  }
  return difference.remove;
}

/** Removes, and creates again what had to give way. Verifies it. */
export function finish(
  transition: Transition,
  removals: readonly Step[],
  nodes: LabNodes,
): void {
  let steps = removals;
  for (let round = 0; steps.length > 0; round++) {
    perform(steps, nodes);
    const { build, remove } = compare(after(transition), nodes);
    steps = [...remove, ...build];
    if (round === ROUNDS) refuse(steps);
  }
}

/** The same transition when the target is in force. */
function after(transition: Transition): Transition {
  const { target, before } = transition;
  return target ? { ...transition, before: [target, ...before], isKnown: true } : transition;
}

function refuse(steps: readonly Step[]): void {
  const [first] = steps;
  if (!first) return;
  throw new LabError(
    `The kernel does not have what it was asked for: ${first.verb} ${first.object}` +
      (steps.length > 1 ? ` and ${steps.length - 1} more` : ""),
  );
}

/**
 * Waits until the links of a topology carry packets.
 *
 * @throws {ScopeError} When that takes too long, naming what is missing.
 */
export async function carryTraffic(
  topology: ResolvedTopology,
  nodes: LabNodes,
  options: ReadyOptions = {},
): Promise<void> {
  const links = topology.nodes.flatMap(({ name, interfaces }): ScopedLink[] => {
    const living = nodes.living(name);
    return interfaces.filter(({ up }) => up).map((it) => ({
      ref: nodes.ref(name),
      index: living!.links.get(it.name)!.index!,
      what: `${it.kind} ${show(`${name}:${it.name}`)}`,
      ipv6: it.addresses.some((address) => address.includes(":")),
    }));
  });
  await waitReady(links, options);
}
