/**
 * The impairments of a lab's wires, as the topology has them from the start.
 *
 * @module
 */
import { clear, impair, impairment, type ImpairTarget } from "../traffic/impair.ts";
import { disciplineFor, disciplineKind, kernelLack } from "../traffic/impair_discipline.ts";
import { programOf } from "../traffic/impair_kernel.ts";
import {
  type DirectionOptions,
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
import type { Transition } from "./transaction.ts";

/** A wire to impair: packets that leave its first end are `out`. */
export function impairTarget(ends: WireEnds, nodes: LabNodes): ImpairTarget {
  const named = (end: Endpoint): NamedLink => {
    const { node, name } = endOf(end);
    const index = nodes.living(node)!.links.get(name)!.index!;
    return { ref: nodes.ref(node), index, name, kind: "veth" };
  };
  return { link: named(ends[0]), peer: () => ({ link: named(ends[1]), close: () => {} }) };
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
  nodes: LabNodes,
): Change[] {
  const old = new Set(before.flatMap(impairedWires).map(({ ends }) => ends.join()));
  return wires.flatMap((wire): Change[] => {
    const values = mergeValues({}, impairOptions(wire.impair, true));
    if (isEmpty(values) && !old.has(wire.ends.join())) return [];
    const isThere = wire.ends.every((end) => {
      const { node, name } = endOf(end);
      return nodes.living(node)?.links.has(name);
    });
    const has = isThere ? impairment(impairTarget(wire.ends, nodes))?.values ?? {} : {};
    return isSame(has, values) ? [] : [{ wire, values, has }];
  });
}

/**
 * Impairs the wires as a topology has it, and takes off the impairments of topologies before. In a lab with a
 * name only the kernel does it: the lab outlives the process, and without its process a wire loses all packets.
 *
 * @throws {UnsupportedError} When neither the kernel nor this process can do it.
 */
export function applyImpairments(
  topology: ResolvedTopology,
  before: readonly ResolvedTopology[],
  nodes: LabNodes,
): void {
  for (const { values, wire: { ends, impair: wanted } } of changesOf(topology, before, nodes)) {
    const target = impairTarget(ends, nodes);
    if (isEmpty(values)) clear(target);
    else {
      const engine = topology.name === undefined ? {} : { engine: "kernel" } as const;
      impair(target, { ...impairOptions(wanted, true), ...engine });
    }
  }
}

/**
 * What {@link applyImpairments} would do, for a plan: the discipline at the end that sends the packets of each
 * direction. `impair()` itself also handles links with disciplines of others, and kernels without netem.
 *
 * @param transition The topologies.
 * @param indexes The indexes of links, also of those that do not exist yet.
 * @param nodes The namespaces.
 */
export function impairmentSteps(
  { target, before }: Transition,
  indexes: ReadonlyMap<string, number>,
  nodes: LabNodes,
): Step[] {
  return changesOf(target!, before, nodes).flatMap(({ wire: { ends: [a, b] }, values, has }) => {
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
