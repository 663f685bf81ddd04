// Networks to draw, of known shapes.
import type { GraphEdge, GraphNode, NetworkGraph } from "../../src/view/mod.ts";

/** Builds a graph by its links: an end is `node:interface`. */
export function graphOf(
  ends: readonly (readonly [string, string])[],
  kindOf: (node: string) => GraphNode["kind"] = () => "host",
): NetworkGraph {
  const interfaces = new Map<string, string[]>();
  const end = (text: string) => {
    const [node, name] = text.split(":") as [string, string];
    interfaces.set(node, [...interfaces.get(node) ?? [], name]);
    return { node, interface: name };
  };
  const edges: GraphEdge[] = ends.map(([from, to]) => ({ from: end(from), to: end(to) }));
  const nodes = [...interfaces].map(([id, names], i): GraphNode => ({
    id,
    name: id,
    kind: kindOf(id)!,
    interfaces: names.map((name, j) => ({ name, addresses: [`10.${i}.${j}.1/24`] })),
  }));
  return { nodes, edges };
}

/** A Clos fabric: spines, leaves, hosts at each leaf. */
export function clos(spines: number, leaves: number, hosts: number): NetworkGraph {
  const ends: [string, string][] = [];
  for (let l = 0; l < leaves; l++) {
    for (let s = 0; s < spines; s++) ends.push([`s${s}:l${l}`, `l${l}:s${s}`]);
    for (let h = 0; h < hosts; h++) ends.push([`l${l}:h${h}`, `h${l}-${h}:eth0`]);
  }
  return graphOf(ends, (node) => node.startsWith("h") ? "host" : "router");
}

/** A grid of routers. */
export function grid(size: number): NetworkGraph {
  const ends: [string, string][] = [];
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      if (i + 1 < size) ends.push([`r${i}-${j}:down`, `r${i + 1}-${j}:up`]);
      if (j + 1 < size) ends.push([`r${i}-${j}:right`, `r${i}-${j + 1}:left`]);
    }
  }
  return graphOf(ends, () => "router");
}

/** A ring of routers. */
export function ring(size: number): NetworkGraph {
  return graphOf(
    Array.from({ length: size }, (_, i) => [`r${i}:eth1`, `r${(i + 1) % size}:eth0`] as const),
    () => "router",
  );
}
