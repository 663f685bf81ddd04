/**
 * Impairments and the schedule in numbers.
 *
 * @module
 */
import { nearest, show } from "../options.ts";
import { parseRate, parseShare, parseTime } from "../rtnetlink/units.ts";
import { type DraftWire, endpointOf } from "./model.ts";
import { byName, hash, namesIn } from "./names.ts";
import type { Problems } from "./problem.ts";
import type {
  Direction,
  ResolvedEvent,
  ResolvedFault,
  ResolvedImpairment,
  WireEnds,
} from "./resolved.ts";
import type { Path } from "./rules.ts";
import type { DirectedImpairSpec, EventSpec, ImpairSpec } from "./spec.ts";

/** The two ends of a wire in name order, and whether this is the order of the file. */
export function endsOf({ ends }: DraftWire): { ends: WireEnds; turned: boolean } {
  const [a, b] = [endpointOf(ends[0]), endpointOf(ends[1])];
  return a < b ? { ends: [a, b], turned: false } : { ends: [b, a], turned: true };
}

/** The faults of a wire by direction, from its first end in name order. */
export function impairmentsOf(
  wire: DraftWire,
  seed: number | undefined,
): Partial<Record<Direction, ResolvedImpairment>> {
  const { ends, turned } = endsOf(wire);
  return byDirection(wire.impair, turned, ends, seed);
}

function byDirection(
  impair: DirectedImpairSpec,
  turned: boolean,
  ends: WireEnds,
  seed: number | undefined,
): Partial<Record<Direction, ResolvedImpairment>> {
  const { "->": first, "<-": second } = impair;
  const [there, back] = turned ? [second, first] : [first, second];
  return {
    ...(there === undefined ? {} : { "->": inNumbers(there, `${ends.join(" -> ")}`, seed) }),
    ...(back === undefined ? {} : { "<-": inNumbers(back, `${ends.join(" <- ")}`, seed) }),
  };
}

/** An impairment in numbers, with a seed of its own where the topology has one. */
function inNumbers(spec: ImpairSpec, name: string, seed: number | undefined): ResolvedImpairment {
  const { delay, jitter, distribution, loss, duplicate, corrupt, reorder, rate, limit, match } =
    spec;
  const own = spec.seed ?? (seed === undefined ? undefined : hash(name, seed)[0]);
  const value = {
    delay: delay === undefined ? undefined : parseTime(delay),
    jitter: jitter === undefined ? undefined : parseTime(jitter),
    distribution,
    loss: loss === undefined ? undefined : parseShare(loss),
    duplicate: duplicate === undefined ? undefined : parseShare(duplicate),
    corrupt: corrupt === undefined ? undefined : parseShare(corrupt),
    reorder: reorder === undefined ? undefined : parseShare(reorder),
    rate: rate === undefined ? undefined : parseRate(rate),
    limit,
    seed: own,
    match,
  };
  return Object.fromEntries(Object.entries(value).filter(([, it]) => it !== undefined));
}

/** The network that a schedule is about. */
export interface ScheduleContext {
  /** The names of its nodes. */
  readonly nodes: readonly string[];
  /** Its wires, each with its ends in name order. */
  readonly wires: readonly WireEnds[];
  /** The seed of all that is random. */
  readonly seed: number | undefined;
  /** Takes the problems of references. */
  readonly problems: Problems;
}

/** A schedule in the order of its times; references are checked. */
export function scheduleOf(
  events: readonly EventSpec[],
  context: ScheduleContext,
): ResolvedEvent[] {
  return events.map((event, i): ResolvedEvent => ({
    at: parseTime(event.at),
    ...(event.for === undefined ? {} : { for: parseTime(event.for) }),
    fault: faultOf(event, { ...context, path: ["schedule", i] }),
  })).sort((a, b) => a.at - b.at);
}

interface Context extends ScheduleContext {
  readonly path: Path;
}

const ON_WIRES = ["cut", "heal", "hold", "release", "flap"] as const;
const ON_NODES = ["isolate", "pause", "kill"] as const;

function faultOf(event: EventSpec, context: Context): ResolvedFault {
  const { seed, problems, path } = context;
  const refuse = (key: "every" | "link", home: string) => {
    if (event[key] !== undefined) problems.at([...path, key], `goes with ${home}`, "key");
  };
  if (event.flap === undefined) refuse("every", "flap");
  if (event.impair === undefined) refuse("link", "impair");
  for (const kind of ON_WIRES) {
    const links = event[kind];
    if (links === undefined) continue;
    const wires = wiresOf(links, kind, context).map(({ ends }) => ends);
    return kind === "flap"
      ? { kind, wires, every: parseTime(event.every ?? 1000) }
      : { kind, wires };
  }
  for (const kind of ON_NODES) {
    const nodes = event[kind];
    if (nodes !== undefined) return { kind, nodes: nodesOf(nodes, [...path, kind], context) };
  }
  if (event.partition !== undefined) {
    const groups = event.partition.map((group, i) =>
      nodesOf(group, [...path, "partition", i], context)
    );
    const seen = new Set<string>();
    for (const name of groups.flat()) {
      if (seen.has(name)) problems.at([...path, "partition"], `has ${show(name)} in two groups`);
      seen.add(name);
    }
    return { kind: "partition", groups };
  }
  if (event.link === undefined) problems.at(path, `needs "link" with impair`);
  const changes = wiresOf(event.link ?? [], "link", context).map(({ ends, turned }) => ({
    ends,
    impair: valuesOf(event.impair ?? null, { ends, turned }, seed),
  }));
  return { kind: "impair", changes };
}

function valuesOf(
  impair: ImpairSpec | DirectedImpairSpec | null,
  { ends, turned }: FoundWire,
  seed: number | undefined,
): Partial<Record<Direction, ResolvedImpairment | null>> {
  if (impair === null) return { "->": null, "<-": null };
  const both = "->" in impair || "<-" in impair
    ? impair
    : { "->": impair as ImpairSpec, "<-": impair as ImpairSpec };
  return byDirection(both, turned, ends, seed);
}

/** A wire that a text names, in the order of the text or turned. */
interface FoundWire {
  readonly ends: WireEnds;
  readonly turned: boolean;
}

/** The nodes that names and ranges stand for, in name order. */
function nodesOf(names: string | readonly string[], path: Path, context: Context): string[] {
  const { nodes, problems } = context;
  const list = typeof names === "string" ? [names] : names;
  const found = list.flatMap((text, i) => {
    const at = typeof names === "string" ? path : [...path, i];
    const expanded = namesIn(text);
    if (typeof expanded === "string") {
      problems.at(at, expanded);
      return [];
    }
    for (const name of expanded) {
      if (nodes.includes(name)) continue;
      const near = nearest(name, nodes);
      const hint = near === undefined ? "" : `; did you mean ${show(near)}?`;
      problems.at(at, `names the node ${show(name)}, which "nodes" does not have${hint}`);
    }
    return expanded;
  });
  return found.sort(byName);
}

/** The wires between the ends of links as text. */
function wiresOf(
  links: string | readonly string[],
  key: string,
  { wires, problems, path }: Context,
): FoundWire[] {
  const list = typeof links === "string" ? [links] : links;
  return list.flatMap((text, i) => {
    const [from = [], to = []] = text.trim().split(/\s+--\s+/).map(endsIn);
    const found = wires.flatMap((ends): FoundWire[] => {
      if (from.some(isEnd(ends[0])) && to.some(isEnd(ends[1]))) return [{ ends, turned: false }];
      if (from.some(isEnd(ends[1])) && to.some(isEnd(ends[0]))) return [{ ends, turned: true }];
      return [];
    });
    const at = typeof links === "string" ? [...path, key] : [...path, key, i];
    if (found.length === 0) problems.at(at, `names no link of "links": got ${show(text)}`);
    return found;
  });
}

/** The nodes and interfaces that one end of a text names: `h1`, `h1:eth0`. */
function endsIn(text: string): string[] {
  const [range = "", name] = text.split(":");
  const nodes = namesIn(range);
  if (typeof nodes === "string") return [];
  return name === undefined ? nodes : nodes.map((node) => `${node}:${name}`);
}

function isEnd(end: string): (named: string) => boolean {
  return (named) => named === end || end.startsWith(`${named}:`);
}
