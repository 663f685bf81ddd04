/**
 * Reads namespaces of the machine into a graph: their links, addresses, and the pairs across them.
 *
 * @module
 */
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import type { GraphEdge, GraphInterface, GraphNode, NetworkGraph } from "./graph.ts";
import type { DrawnNetNs, ReadGraphOptions } from "./options.ts";

/** A namespace and everything read from it. */
interface Reading {
  readonly netns: DrawnNetNs;
  readonly id: string;
  readonly links: readonly LinkInfo[];
  readonly byIndex: ReadonlyMap<number, LinkInfo>;
}

/**
 * Reads namespaces into a graph: a node for each, with its links and addresses as rows, and a line for
 * each veth pair. A pair whose other end is in none of them has a line to a node "outside".
 *
 * @param namespaces The namespaces, each once.
 * @param options The title, and what else to show.
 * @throws {NetlinkError} When a namespace cannot be read.
 *
 * @example Two namespaces and a veth pair
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import { readGraph } from "@netloom/netloom/view";
 * import { assertEquals } from "@std/assert";
 *
 * using red = NetNs.create();
 * using blue = NetNs.create();
 * Veth.create({ name: "r0", netns: red, peer: { name: "b0", netns: blue } });
 * const { nodes, edges } = readGraph([red, blue]);
 * assertEquals(nodes.length, 2);
 * assertEquals([edges[0]!.from.interface, edges[0]!.to.interface], ["r0", "b0"]);
 * ```
 */
export function readGraph(
  namespaces: readonly DrawnNetNs[],
  options: ReadGraphOptions = {},
): NetworkGraph {
  const readings = namespaces.map((netns, i): Reading => {
    const links = netns.links.list({ stats: false });
    return {
      netns,
      id: `n${i}`,
      links,
      byIndex: new Map(links.map((link) => [link.index, link])),
    };
  });
  const nodes = readings.map((reading) => nodeOf(reading, options));
  const edges: GraphEdge[] = [];
  for (const reading of readings) edges.push(...pairsOf(reading, readings, nodes));
  return { ...options.title === undefined ? {} : { title: options.title }, nodes, edges };
}

function nodeOf({ netns, id, links, byIndex }: Reading, options: ReadGraphOptions): GraphNode {
  const addresses = Map.groupBy(netns.addresses.list(), ({ index }) => index);
  const shown = links.filter(({ type }) => options.loopback || type !== LOOPBACK);
  return {
    id,
    name: netns.name ?? (netns.ref.description || "this namespace"),
    kind: "netns",
    interfaces: shown.map((link): GraphInterface => {
      const own = (addresses.get(link.index) ?? []).map(({ address }) => address)
        .filter((address) => options.linkLocal || !address.startsWith("fe80:"));
      const kind = link.kind === "unknown" ? link.kernelKind : link.kind;
      const above = link.master ?? (link.linkNetnsId === undefined ? link.parent : undefined);
      const under = above === undefined ? undefined : byIndex.get(above)?.name;
      const note = noteOf(link);
      return {
        name: link.name,
        up: link.up,
        ...kind === undefined ? {} : { kind },
        ...own.length === 0 ? {} : { addresses: own },
        ...under === undefined ? {} : { under },
        ...note === undefined ? {} : { note },
      };
    }),
  };
}

/** ARPHRD_LOOPBACK. */
const LOOPBACK = 772;

function noteOf(link: LinkInfo): string | undefined {
  if (link.kind === "vlan") return `VLAN ${link.options.id}`;
  if (link.kind === "vxlan") return `VNI ${link.options.id}`;
  return undefined;
}

/** The lines of the veth pairs of a namespace; each pair once. */
function pairsOf(mine: Reading, all: readonly Reading[], nodes: GraphNode[]): GraphEdge[] {
  const edges: GraphEdge[] = [];
  const position = all.indexOf(mine);
  for (const link of mine.links) {
    if (link.peer === undefined || link.peer === 0) continue;
    const other = peerReading(link, mine, all);
    const peer = other?.byIndex.get(link.peer);
    const from = { node: mine.id, interface: link.name };
    if (!other || !peer) {
      edges.push({ from, to: { node: outside(link, nodes) }, ...stateOf(link) });
      continue;
    }
    const first = all.indexOf(other) > position || other === mine && peer.index > link.index;
    if (first) {
      edges.push({
        from,
        to: { node: other.id, interface: peer.name },
        ...stateOf(link, peer),
      });
    }
  }
  return edges;
}

function stateOf(link: LinkInfo, peer: LinkInfo = link): Pick<GraphEdge, "kind" | "state"> {
  return { kind: "veth", state: link.up && peer.up ? "up" : "down" };
}

/** The namespace of a link's peer: index and pair are compared first, as each id takes a request. */
function peerReading(link: LinkInfo, mine: Reading, all: readonly Reading[]): Reading | undefined {
  if (link.linkNetnsId === undefined) return mine;
  return all.find((other) => {
    const peer = other.byIndex.get(link.peer!);
    return other !== mine && peer?.peer === link.index && peer.kind === link.kind &&
      mine.netns.idOf(other.netns) === link.linkNetnsId;
  });
}

/** The node for namespaces that were not given. */
function outside(link: LinkInfo, nodes: GraphNode[]): string {
  const id = `outside-${link.linkNetnsId ?? 0}`;
  if (!nodes.some((node) => node.id === id)) {
    nodes.push({ id, name: "another namespace", kind: "outside", interfaces: [] });
  }
  return id;
}
