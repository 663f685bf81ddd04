/**
 * The impairments of a lab's wires, as the topology has them from the start.
 *
 * @module
 */
import {
  clear,
  impair,
  type Impairment,
  impairment,
  type ImpairTarget,
} from "../traffic/impair.ts";
import type { DirectionOptions, ImpairOptions } from "../traffic/impairment_values.ts";
import type { NamedLink } from "../rtnetlink/link_target.ts";
import { endOf } from "./difference.ts";
import type { LabNodes } from "./nodes.ts";
import type {
  Direction,
  Endpoint,
  ResolvedImpairment,
  ResolvedTopology,
  WireEnds,
} from "./resolved.ts";

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
  const old = new Set(before.flatMap(impairedWires).map(({ ends }) => ends.join()));
  for (const { ends, impair: wanted } of topology.wires) {
    const isWanted = Object.keys(wanted).length > 0;
    if (!isWanted && !old.has(ends.join())) continue;
    const target = impairTarget(ends, nodes);
    const has = impairment(target);
    if (!isWanted) {
      if (has) clear(target);
    } else if (!has || !isSame(has, wanted)) {
      const engine = topology.name === undefined ? {} : { engine: "kernel" } as const;
      impair(target, { ...impairOptions(wanted, true), ...engine });
    }
  }
}

function impairedWires({ wires }: ResolvedTopology): ResolvedTopology["wires"] {
  return wires.filter(({ impair }) => Object.keys(impair).length > 0);
}

/** Whether the values in force are those of the topology. */
function isSame({ values }: Impairment, wanted: Impairments): boolean {
  // The kernel reports a match as a program.
  if (values.match || wanted["->"]?.match || wanted["<-"]?.match) return false;
  return ([["out", "->"], ["in", "<-"]] as const).every(([side, direction]) => {
    const [has, asks] = [values[side] ?? {}, wanted[direction] ?? {}].map((it) =>
      it as Readonly<Record<string, unknown>>
    ) as [Readonly<Record<string, unknown>>, Readonly<Record<string, unknown>>];
    const keys = new Set([...Object.keys(has), ...Object.keys(asks)]);
    return [...keys].every((key) => has[key] === asks[key] || key === "distribution");
  });
}
