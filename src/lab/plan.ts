/**
 * The plan of a lab: everything that `up` would create, change and remove, with the equivalent commands.
 *
 * @module
 */
import { inNetNs, shellWord } from "../netlink/trace.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { cutEnds } from "./cuts.ts";
import { endOf } from "./difference.ts";
import { FaultControl } from "./fault_control.ts";
import { impairmentSteps } from "./impairments.ts";
import { Keeper } from "./keeper_client.ts";
import { netnsNameOf, nodesOf, transitionOf } from "./named.ts";
import { LabNodes } from "./nodes.ts";
import { checkLabName, readRecord } from "./record.ts";
import type { Endpoint, ExistingNetns, ResolvedTopology } from "./resolved.ts";
import { isOwn } from "./settings.ts";
import { resolve } from "./resolve.ts";
import type { TopologySpec } from "./spec.ts";
import { commandOf, MACHINE, type Names, type Step } from "./steps.ts";
import { compare, type Transition } from "./transaction.ts";

/** Options of {@link plan}. */
export interface PlanOptions {
  /** The name of the lab that `up` would bring to the topology. Default: a new lab without a name. */
  readonly name?: string;
}

const OPTIONS: OptionNames<PlanOptions> = { name: true };

/** One step of a plan. */
export interface PlannedStep {
  /** Whether the object comes, changes or goes. */
  readonly verb: "create" | "change" | "remove";
  /** The node that has the object. */
  readonly node: string;
  /** The object: `veth h1:eth0 -- sw:h1`, `address 10.0.0.1/24 of h1:eth0`. */
  readonly object: string;
  /** The command line with the same effect, of `ip`, `bridge`, `tc`, `sysctl` or `nft`. */
  readonly command: string;
}

/** What `up` would do. */
export interface LabPlan {
  /** The steps in their order; removals come last. Links that are replaced are removed and then created. */
  readonly steps: readonly PlannedStep[];
  /** The namespaces and interfaces of others that the steps touch: `db`, `db:eth0`. */
  readonly touches: readonly string[];
  /** The ends of wires that receive nothing now, because they are cut. `up` leaves cuts in force. */
  readonly cuts: readonly string[];
  /** Objects whose names led to a place that was taken, see `topology.displaced`. */
  readonly displaced: ResolvedTopology["displaced"];
}

/**
 * Lists everything that `up` would create, change and remove, by comparing with the kernel. Nothing is
 * changed.
 *
 * @param spec The topology.
 * @param options The name of the lab.
 * @returns The steps, and the interfaces of others that they touch.
 * @throws {TopologyError} When the topology has problems.
 * @throws {SyscallError} When a namespace of the topology does not exist.
 *
 * @example The commands of a pair of nodes
 * ```ts
 * import { plan } from "@netloom/netloom/lab";
 * import { assertEquals } from "@std/assert";
 *
 * const { steps } = plan({ nodes: { a: {}, b: {} }, links: ["a -- b"] });
 * assertEquals(steps[0], {
 *   verb: "create",
 *   node: "a",
 *   object: "node a",
 *   command: "ip netns add a",
 * });
 * ```
 */
export function plan<N extends string>(
  spec: TopologySpec<N> | ResolvedTopology,
  options: PlanOptions = {},
): LabPlan {
  checkOptions(options, OPTIONS);
  const { name } = options;
  const topology = resolved(spec, name);
  const state = name === undefined ? undefined : readRecord(checkLabName(name));
  const nodes = state ? nodesOf(name!, state) : new LabNodes(NOBODY);
  try {
    const transition: Transition = state
      ? transitionOf(state, topology)
      : { target: topology, before: [], isKnown: true, group: 0 };
    const { build, remove, indexes } = compare(transition, nodes);
    const names = namesIn(transition, { indexes, nodes, lab: name });
    const keeper = name === undefined ? undefined : new Keeper(name);
    const living = { nodes, faults: new FaultControl(topology, nodes, keeper) };
    const steps = [...build, ...impairmentSteps(transition, indexes, living), ...remove];
    return {
      steps: steps.map(({ verb, node, object, action }) => ({
        verb,
        node,
        object,
        command: commandOf({ verb, node, object, action }, names),
      })),
      touches: touched(topology, steps),
      cuts: state?.settled ? [...cutEnds(state.settled, nodes)].sort() : [],
      displaced: topology.displaced,
    };
  } finally {
    nodes.close();
  }
}

/**
 * A topology with everything filled in.
 *
 * @param spec The topology.
 * @param name The name of the lab, which its objects in namespaces of others carry. Default: that of the topology.
 */
export function resolved<N extends string>(
  spec: TopologySpec<N> | ResolvedTopology,
  name?: string,
): ResolvedTopology {
  if ("wires" in spec && "version" in spec) return spec;
  return resolve(name === undefined ? spec as TopologySpec<N> : { ...spec, name });
}

const NOBODY = { created: () => {}, visited: () => {}, setting: () => {} };

function namesIn(
  { target, before }: Transition,
  { indexes, nodes, lab }: {
    readonly indexes: ReadonlyMap<string, number>;
    readonly nodes: LabNodes;
    readonly lab: string | undefined;
  },
): Names {
  const byIndex = new Map([...indexes].map(([end, index]) => {
    const { node, name } = endOf(end as `${string}:${string}`);
    return [`${node}:${index}`, name];
  }));
  const all = [target, ...before].flatMap((topology) => topology?.nodes ?? []);
  const others = new Map(all.filter((node) => !isOwn(node)).map((it) => [it.name, it.netns]));
  others.set(MACHINE, undefined);
  const nameOf = (node: string) => lab === undefined ? node : netnsNameOf(lab, node);
  return {
    netns: (node) => others.has(node) ? wordOf(others.get(node)) : nameOf(node),
    inside: (node, command) => {
      if (!others.has(node)) return inNetNs(command, nameOf(node));
      const netns = others.get(node);
      if (netns === undefined) return command;
      if ("name" in netns) return inNetNs(command, netns.name);
      return `nsenter --net=${shellWord(wordOf(netns))} ${command}`;
    },
    link: (node, index) => {
      const known = byIndex.get(`${node}:${index}`);
      if (known !== undefined) return known;
      if (index === 1) return "lo";
      const living = node === MACHINE ? nodes.machine : nodes.living(node);
      return living?.links.values().find((link) => link.index === index)?.name;
    },
  };
}

/** An existing namespace as `ip link set netns` takes it; that of the machine by its first process. */
function wordOf(netns: ExistingNetns | undefined): string {
  if (netns === undefined) return "1";
  return "name" in netns ? netns.name : "path" in netns ? netns.path : `/proc/${netns.pid}/ns/net`;
}

function touched({ nodes }: ResolvedTopology, steps: readonly Step[]): string[] {
  const others = new Map(nodes.filter((node) => !isOwn(node)).map((node) => [node.name, node]));
  const isOther = (end: Endpoint): boolean => {
    const { node, name } = endOf(end);
    const it = others.get(node)?.interfaces.find((it) => it.name === name);
    return others.has(node) && (!it || it.kind === "existing");
  };
  const found = new Set(steps.map(({ node }) => node).filter((node) => others.has(node)));
  for (const { node, action } of steps) {
    const [, name] = action.kind === "sysctl"
      ? /^net\.ipv[46]\.(?:conf|neigh)\.([^.]+)\./.exec(action.name) ?? []
      : [];
    const end: Endpoint = `${node}:${name?.replaceAll("/", ".")}`;
    if (name !== undefined && !["all", "default"].includes(name) && isOther(end)) found.add(end);
  }
  const parents = nodes.flatMap(({ interfaces }) => interfaces.map(({ parent }) => parent));
  for (const parent of parents) if (parent !== undefined && isOther(parent)) found.add(parent);
  for (const { takes, returns } of steps) {
    const link = takes ?? returns;
    if (link) found.add(`@machine:${link.from}`);
  }
  return [...found].sort();
}
