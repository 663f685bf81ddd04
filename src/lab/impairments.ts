/**
 * The impairments of a lab's wires, as the topology has them from the start.
 *
 * @module
 */
import type { ImpairTarget } from "../traffic/impair.ts";
import { disciplineFor, disciplineKind, kernelLack } from "../traffic/impair_discipline.ts";
import { programOf } from "../traffic/impair_kernel.ts";
import {
  type DirectionName,
  type DirectionOptions,
  type DirectionStats,
  type EngineName,
  type ImpairmentValues,
  type ImpairOptions,
  isEmpty,
  mergeValues,
  sameValues,
} from "../traffic/impairment_values.ts";
import type { NamedLink } from "../rtnetlink/link_target.ts";
import { deleteQdisc, newQdisc, qdiscMessage } from "../rtnetlink/qdisc.ts";
import { endOf } from "./difference.ts";
import type { LabNodes } from "./nodes.ts";
import type {
  Direction,
  Endpoint,
  ResolvedImpairment,
  ResolvedTopology,
  ResolvedWire,
  WireEnds,
} from "./resolved.ts";
import type { Step } from "./steps.ts";
import { LabError, type Transition } from "./transaction.ts";

/**
 * A wire to impair: packets that leave its first end are `out`.
 *
 * @throws {LabError} When a link of it is gone.
 */
export function impairTarget(ends: WireEnds, nodes: LabNodes): ImpairTarget {
  const named = (end: Endpoint): NamedLink => {
    const { node, name } = endOf(end);
    const index = indexOf(end, nodes);
    if (index === undefined) throw new LabError(`The link ${end} is gone: up() brings it back`);
    return { ref: nodes.ref(node), index, name, kind: "veth" };
  };
  return { link: named(ends[0]), peer: () => ({ link: named(ends[1]), close: () => {} }) };
}

/** The index of a link; `undefined` when there is none. */
function indexOf(end: Endpoint, nodes: LabNodes): number | undefined {
  const { node, name } = endOf(end);
  return nodes.living(node)?.links.get(name)?.index;
}

/** Impairments of both directions, as a topology has them; `null` clears one. */
export type Impairments = Readonly<Partial<Record<Direction, ResolvedImpairment | null>>>;

/** The options of `impair()` for both directions of a wire. */
export function impairOptions(it: Impairments, replace: boolean): ImpairOptions {
  const options: ImpairOptions = { replace };
  const [there, back] = [it["->"], it["<-"]];
  if (there !== undefined) options.out = directionOptions(there);
  if (back !== undefined) options.in = directionOptions(back);
  const match = there?.match ?? back?.match;
  if (match) options.match = match;
  return options;
}

function directionOptions(values: ResolvedImpairment | null): DirectionOptions | null {
  if (values === null) return null;
  const { match: _, ...rest } = values;
  return rest as DirectionOptions;
}

/** Whether the running kernel lacks what the impairments of a topology need. */
export function needsUserSpace({ wires }: ResolvedTopology): boolean {
  return wires.some(({ impair }) => {
    const values = mergeValues({}, impairOptions(impair, true));
    return !isEmpty(values) && kernelLack(values) !== undefined;
  });
}

/** The impairment of a wire, as plain data. */
export interface WireState {
  /** Who impairs it. */
  readonly engine: EngineName;
  /** Its values. */
  readonly values: ImpairmentValues;
  /** Packets that were lost while it was set. */
  readonly lost: number;
  /** Its counters. */
  readonly stats: { readonly [D in DirectionName]?: DirectionStats };
}

/** Impairs the wires of a lab. */
export interface Impairer {
  /** Impairs a wire: `out` is the first end's direction. */
  impair(ends: WireEnds, options: ImpairOptions): WireState;
  /** Takes the impairment of a wire off; the number of packets lost by that. */
  clear(ends: WireEnds): number;
  /** The impairment of a wire. */
  impairment(ends: WireEnds): WireState | undefined;
}

/** The wires of a lab that runs. */
interface LivingWires {
  readonly nodes: LabNodes;
  readonly faults: Impairer;
}

/** A wire whose impairment is not as a topology has it. */
interface Change {
  readonly wire: ResolvedWire;
  /** The values to put in force, as the first end sees them. */
  readonly values: ImpairmentValues;
  /** Those in force. */
  readonly has: ImpairmentValues;
}

/** The wires whose impairments differ from those of a topology, where a topology before has none. */
function changesOf(
  { wires }: ResolvedTopology,
  before: readonly ResolvedTopology[],
  { nodes, faults }: LivingWires,
): Change[] {
  const old = new Set(before.flatMap(impairedWires).map(({ ends }) => ends.join()));
  return wires.flatMap((wire): Change[] => {
    const values = mergeValues({}, impairOptions(wire.impair, true));
    if (isEmpty(values) && !old.has(wire.ends.join())) return [];
    const isThere = wire.ends.every((end) => indexOf(end, nodes) !== undefined);
    const has = isThere ? faults.impairment(wire.ends)?.values ?? {} : {};
    return isSame(has, values) ? [] : [{ wire, values, has }];
  });
}

/**
 * Impairs the wires as a topology has it, and takes off the impairments of topologies before.
 *
 * @throws {UnsupportedError} When neither the kernel nor user space can do it.
 */
export function applyImpairments(
  topology: ResolvedTopology,
  before: readonly ResolvedTopology[],
  living: LivingWires,
): void {
  const { faults } = living;
  for (const { values, wire: { ends, impair } } of changesOf(topology, before, living)) {
    if (isEmpty(values)) faults.clear(ends);
    else faults.impair(ends, impairOptions(impair, true));
  }
}

/**
 * What {@link applyImpairments} would do, for a plan: the discipline at the end that sends the packets of each
 * direction. `impair()` itself also handles links with disciplines of others, and kernels without netem.
 *
 * @param transition The topologies.
 * @param indexes The indexes of links, also of those that do not exist yet.
 * @param living The lab.
 */
export function impairmentSteps(
  { target, before }: Transition,
  indexes: ReadonlyMap<string, number>,
  living: LivingWires,
): Step[] {
  return changesOf(target!, before, living).flatMap(({ wire: { ends: [a, b] }, values, has }) => {
    const kind = kernelLack(values) ? "netem" : disciplineKind();
    const sides = [[a, b, values.out, has.out], [b, a, values.in, has.in]] as const;
    return sides.flatMap(([from, to, own, old]): Step[] => {
      if (sameValues(own, old)) return [];
      const { node } = endOf(from);
      const index = indexes.get(from)!;
      const request = own
        ? newQdisc(
          qdiscMessage(disciplineFor(own, { kind, mtu: 1500 }), index),
          old ? "replace" : "add",
        )
        : deleteQdisc({ index, parent: ROOT });
      const verb = own ? old ? "change" : "create" : "remove";
      const object = `impairment ${from} -> ${to}${values.match ? ", of some packets" : ""}`;
      return [{ verb, node, object, action: { kind: "request", via: node, request } }];
    });
  });
}

/** The place of a link's first discipline (TC_H_ROOT). */
const ROOT = 0xffffffff;

function impairedWires({ wires }: ResolvedTopology): ResolvedTopology["wires"] {
  return wires.filter(({ impair }) => Object.keys(impair).length > 0);
}

/** Whether two impairments are the same. The kernel reports a match as a program. */
function isSame(a: ImpairmentValues, b: ImpairmentValues): boolean {
  const [one, other] = [a, b].map(({ match }) => JSON.stringify(match ? programOf(match) : []));
  return one === other && sameValues(a.out, b.out) && sameValues(a.in, b.in);
}
