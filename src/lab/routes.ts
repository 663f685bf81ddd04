/**
 * Static routes: the shortest paths over the routers of a topology.
 *
 * @module
 */
import type { Addresses } from "./addresses.ts";
import type { Domain } from "./domains.ts";
import { type Draft, type DraftNode, type DraftPort, isOutside, isOwn } from "./model.ts";
import { byName } from "./names.ts";
import { addressText, bitsOf, isIn, type Net, netText, networkOf, sortKey } from "./placement.ts";
import type { ResolvedNexthop, ResolvedRoute } from "./resolved.ts";

/** The derived routes of each node: IPv4 first, each family by destination. */
export function routesOf(draft: Draft, addresses: Addresses): Map<DraftNode, ResolvedRoute[]> {
  const found = new Map<DraftNode, ResolvedRoute[]>();
  for (const node of draft.nodes.values()) found.set(node, []);
  if (draft.spec.routing === "none") return found;
  for (const family of [4, 6] as const) {
    const graph = new Graph(draft, addresses, family);
    for (const [node, routes] of found) graph.addRoutes(node, routes);
  }
  return found;
}

/** A way from a node to a router next to it. */
interface Way {
  /** The number of the router. */
  readonly router: number;
  readonly nexthop: ResolvedNexthop;
}

/** A destination: its prefix, the routers that reach it by themselves, and its nodes. */
interface Target {
  readonly prefix: string;
  /** Text that sorts as the prefix does. */
  readonly key: string;
  readonly routers: readonly number[];
  readonly nodes: ReadonlySet<DraftNode>;
}

const FAR = 0xffff;

/** The routers of one family and the distances between them. */
class Graph {
  readonly #ecmp: boolean;
  readonly #family: 4 | 6;
  readonly #routers: readonly DraftNode[];
  readonly #ways = new Map<DraftNode, Way[]>();
  readonly #targets: Target[] = [];
  readonly #distances: readonly Uint16Array[];
  /** The numbers of the routers that lead outside. */
  readonly #exits: readonly number[];

  constructor(draft: Draft, { domains, ofPort }: Addresses, family: 4 | 6) {
    this.#ecmp = draft.spec.ecmp ?? false;
    this.#family = family;
    this.#routers = [...draft.nodes.values()].filter(isRouter);
    const numbers = new Map(this.#routers.map((node, i) => [node, i]));
    const netOf = (port: DraftPort) => ofPort.get(port)!.find((net) => net.family === family);
    for (const domain of domains) this.#addDomain(domain, netOf, numbers);
    for (const [node, number] of numbers) {
      for (const net of ofPort.get(node.ports.get("lo")!) ?? []) {
        if (net.family !== family) continue;
        this.#addTarget(networkOf(net), [number], new Set([node]));
      }
    }
    this.#targets.sort((a, b) => byName(a.key, b.key));
    for (const ways of this.#ways.values()) ways.sort((a, b) => this.#order(a, b));
    this.#exits = this.#routers.flatMap(({ kind }, i) => kind === "nat" ? [i] : []);
    this.#distances = this.#routers.map((_, i) => this.#distancesFrom(i));
  }

  /** Adds the routes of a node: to all subnets that it is not in, or one default route. */
  addRoutes(node: DraftNode, routes: ResolvedRoute[]): void {
    // The outside of a NAT needs none: it sees the address of the NAT alone.
    if (node.kind === "switch" || node.kind === "host-machine" || isOutside(node)) return;
    const ways = this.#ways.get(node) ?? [];
    if (ways.length === 0) return;
    const [first] = ways;
    const single = !isRouter(node) && ways.every(({ router }) => router === first!.router);
    if (single && isOwn(node)) {
      routes.push(this.#route(this.#all, this.#ecmp ? ways : [first!]));
      return;
    }
    const outside = node.kind === "nat" || !isOwn(node) ? [] : this.#best(ways, this.#exits);
    if (outside.length > 0) routes.push(this.#route(this.#all, outside));
    for (const { prefix, routers, nodes } of this.#targets) {
      if (nodes.has(node)) continue;
      const best = this.#best(ways, routers);
      if (best.length > 0) routes.push(this.#route(prefix, best));
    }
  }

  get #all(): string {
    return this.#family === 4 ? "0.0.0.0/0" : "::/0";
  }

  #route(destination: string, ways: readonly Way[]): ResolvedRoute {
    return {
      destination,
      type: "unicast",
      nexthops: ways.map(({ nexthop }) => nexthop),
      derived: true,
    };
  }

  #addDomain(
    { ports }: Domain,
    netOf: (port: DraftPort) => Net | undefined,
    numbers: ReadonlyMap<DraftNode, number>,
  ): void {
    const members = ports.flatMap((port) => {
      const net = netOf(port);
      return net === undefined ? [] : [{ port, net, router: numbers.get(port.node) }];
    });
    const routers = members.filter(({ router }) => router !== undefined);
    if (routers.length === 0) return;
    for (const { port, net: own } of members) {
      for (const { port: { node }, net, router } of routers) {
        if (node === port.node || !isIn({ ...net, length: bitsOf(net) }, networkOf(own))) continue;
        const way = { router: router!, nexthop: { gateway: addressText(net), dev: port.name } };
        const ways = this.#ways.get(port.node);
        if (ways) ways.push(way);
        else this.#ways.set(port.node, [way]);
      }
    }
    const nodes = new Set(members.map(({ port }) => port.node));
    const reached = routers.map(({ router }) => router!);
    const subnets = new Map(members.map(({ net }) => [netText(networkOf(net)), networkOf(net)]));
    for (const subnet of subnets.values()) this.#addTarget(subnet, reached, nodes);
  }

  #addTarget(net: Net, routers: readonly number[], nodes: ReadonlySet<DraftNode>): void {
    this.#targets.push({ prefix: netText(net), key: sortKey(net), routers, nodes });
  }

  /** Ways in the order of the names of their routers and interfaces. */
  #order(a: Way, b: Way): number {
    return a.router - b.router || byName(a.nexthop.dev!, b.nexthop.dev!);
  }

  /** The hops from a router to all routers. */
  #distancesFrom(start: number): Uint16Array {
    const distances = new Uint16Array(this.#routers.length).fill(FAR);
    distances[start] = 0;
    const queue = [start];
    for (let at = 0; at < queue.length; at++) {
      const router = queue[at]!;
      for (const { router: next } of this.#ways.get(this.#routers[router]!) ?? []) {
        if (distances[next] !== FAR) continue;
        distances[next] = distances[router]! + 1;
        queue.push(next);
      }
    }
    return distances;
  }

  /** The ways of the fewest hops to one of some routers: the first one, or all. */
  #best(ways: readonly Way[], routers: readonly number[]): Way[] {
    let least = FAR - 1;
    let best: Way[] = [];
    for (const way of ways) {
      const distances = this.#distances[way.router]!;
      let distance = FAR;
      for (const router of routers) distance = Math.min(distance, distances[router]!);
      if (distance > least) continue;
      if (distance < least || best.length === 0) best = [way];
      else if (this.#ecmp) best.push(way);
      least = distance;
    }
    return best;
  }
}

function isRouter({ kind }: DraftNode): boolean {
  return kind === "router" || kind === "nat";
}
