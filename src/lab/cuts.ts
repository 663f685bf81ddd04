/**
 * Cuts and partitions: tables of nftables at the ingress of links, where they drop also what a bridge passes
 * on, and packets of established connections. The kernel has the state: it outlives the process.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { Nftables } from "../nftables/nftables.ts";
import type { Rule } from "../nftables/statements.ts";
import { didYouMean, show } from "../options.ts";
import { endOf } from "./difference.ts";
import type { Endpoint, ResolvedNode, ResolvedTopology } from "./resolved.ts";

/** The table with the cut ends of a node's wires. */
const CUT = { family: "netdev", name: "netloom-cut" } as const;
/** The table with the nodes from which a node receives nothing. */
const PARTITION = { family: "netdev", name: "netloom-partition" } as const;
/** Before all chains of others. */
const PRIORITY = -500;

/** The namespaces of a lab. */
export interface Namespaces {
  /** The namespace of a node. */
  ref(node: string): NetNsRef;
}

/** The links of a node whose ingress is cut. */
function cutLinks(ref: NetNsRef): string[] {
  const [table] = new Nftables({ ref }).list({ family: CUT.family, table: CUT.name });
  return (table?.chains ?? []).map(({ devices = [] }) => devices).flat().sort();
}

/** The ends that receive nothing, of all nodes that have a namespace. */
export function cutEnds(
  topology: ResolvedTopology,
  nodes: Namespaces & { names(): string[] },
): Set<string> {
  const names = new Set(nodes.names());
  const living = topology.nodes.filter(({ name }) => names.has(name));
  return new Set(
    living.flatMap(({ name }) => cutLinks(nodes.ref(name)).map((it) => `${name}:${it}`)),
  );
}

/** Lets ends of wires receive nothing (`true`) or everything again (`false`). */
export function setCut(ends: readonly Endpoint[], isCut: boolean, nodes: Namespaces): void {
  const byNode = Map.groupBy(ends.map(endOf), ({ node }) => node);
  for (const [node, own] of byNode) {
    const ref = nodes.ref(node);
    const links = new Set(cutLinks(ref));
    const before = links.size;
    for (const { name } of own) isCut ? links.add(name) : links.delete(name);
    if (links.size !== before) put(ref, CUT, links, [{ verdict: "drop" }]);
  }
}

/** The nodes from which a node receives nothing, by the node. */
export type Partition<N extends string = string> = { readonly [Node in N]?: readonly N[] };

/**
 * Groups of nodes that do not reach each other.
 *
 * @param groups The groups. Nodes in no group reach all.
 */
export function groups<N extends string>(...groups: readonly (readonly N[])[]): Partition<N> {
  const entries = groups.flatMap((group, i) => {
    const others = groups.filter((_, j) => j !== i).flat();
    return group.map((node) => [node, others] as const);
  });
  return Object.fromEntries(entries) as unknown as Partition<N>;
}

/**
 * One direction only: `to` receives nothing from `from`, but sends to it.
 *
 * @param from The sources.
 * @param to The nodes that receive nothing from these.
 */
export function oneWay<N extends string>(from: readonly N[], to: readonly N[]): Partition<N> {
  return Object.fromEntries(to.map((node) => [node, from])) as unknown as Partition<N>;
}

/**
 * Two halves that reach each other only over one node, which reaches both: Jepsen's bridge.
 *
 * @param nodes The nodes; the one in the middle is the bridge.
 */
export function bridge<N extends string>(nodes: readonly N[]): Partition<N> {
  const middle = nodes.length >> 1;
  return groups(nodes.slice(0, middle), nodes.slice(middle + 1));
}

/**
 * Each node reaches a majority, and no two nodes the same one: Jepsen's ring.
 *
 * @param nodes The nodes in the order of the ring.
 */
export function ring<N extends string>(nodes: readonly N[]): Partition<N> {
  const count = nodes.length;
  const near = Math.floor(count / 4) || 1;
  return Object.fromEntries(nodes.map((node, i) => {
    const others = nodes.filter((_, j) => {
      const distance = Math.abs(i - j);
      return Math.min(distance, count - distance) > near;
    });
    return [node, others];
  })) as unknown as Partition<N>;
}

/** Puts a partition in the place of the one before. */
export function setPartition(
  partition: Partition,
  topology: ResolvedTopology,
  nodes: Namespaces,
): void {
  const byName = new Map(topology.nodes.map((node) => [node.name, node]));
  const find = (name: string): ResolvedNode => {
    const node = byName.get(name);
    if (node) return node;
    throw new TypeError(
      `The lab has no node ${show(name)}${didYouMean(name, [...byName.keys()])}`,
    );
  };
  const rules = new Map(
    Object.entries(partition).map(([name, sources]) => [
      find(name).name,
      rulesAgainst((sources ?? []).map(find)),
    ]),
  );
  for (const { name, interfaces } of topology.nodes) {
    const links = interfaces.filter(({ kind }) => kind !== "loopback").map(({ name }) => name);
    put(nodes.ref(name), PARTITION, rules.has(name) ? links : [], rules.get(name) ?? []);
  }
}

/** Rules that drop packets from these nodes, which no router on the way changes. */
function rulesAgainst(sources: readonly ResolvedNode[]): Rule[] {
  const addresses = sources.flatMap(({ interfaces }) =>
    interfaces.flatMap((it) => [
      ...it.addresses.map((address) => address.replace(/\/.*/, "")),
      ...(it.linkLocal === undefined ? [] : [it.linkLocal.replace(/\/.*/, "")]),
    ])
  );
  const [six, four] = [true, false].map((
    isSix,
  ) => [...new Set(addresses.filter((it) => it.includes(":") === isSix))]) as [string[], string[]];
  return [
    ...(four.length > 0 ? [{ "ip saddr": four, verdict: "drop" } as const] : []),
    ...(six.length > 0 ? [{ "ip6 saddr": six, verdict: "drop" } as const] : []),
  ];
}

/** Puts a table with one chain in place of the one before; without links or rules, there is none then. */
function put(
  ref: NetNsRef,
  table: typeof CUT | typeof PARTITION,
  links: Iterable<string>,
  rules: readonly Rule[],
): void {
  const devices = [...links].sort();
  const tables = new Nftables({ ref });
  if (devices.length > 0 && rules.length > 0) {
    const chain = { name: "ingress", hook: "ingress", priority: PRIORITY, devices, rules } as const;
    tables.replace({ ...table, chains: [chain] });
  } else tables.flush({ family: table.family, table: table.name });
}
