/**
 * A picture's data: nodes with interfaces, and the lines between them. A topology file, a running lab or
 * the namespaces of a machine become such a graph, and each format draws it.
 *
 * @module
 */

/** An interface of a node: a row of its box. */
export interface GraphInterface {
  /** Its name, unique in its node. */
  readonly name: string;
  /** The kind of the link: `veth`, `bridge`, `vlan`, ... Absent for loopback and physical links. */
  readonly kind?: string;
  /** Whether it is up. Default: true. */
  readonly up?: boolean;
  /** Its addresses, with prefix lengths. */
  readonly addresses?: readonly string[];
  /** The interface that it belongs to: the master of a port, or the parent of a VLAN or macvlan. */
  readonly under?: string;
  /** A word behind the name: `VLAN 5`, `vni 42`. */
  readonly note?: string;
}

/** The look of a node. */
export type GraphNodeKind = "host" | "router" | "switch" | "netns" | "outside";

/** A node: a namespace, and a box in the picture. */
export interface GraphNode {
  /** Unique in the graph. */
  readonly id: string;
  /** Its title. */
  readonly name: string;
  /** Its look. Default: `netns`. */
  readonly kind?: GraphNodeKind;
  /** Its interfaces, in the order of the rows. */
  readonly interfaces: readonly GraphInterface[];
}

/** An end of a line: a node, and the interface where it has a row. */
export interface GraphEnd {
  /** The node's `id`. */
  readonly node: string;
  /** The interface's name. */
  readonly interface?: string;
}

/** The state of a line, which decides its colour. */
export type GraphEdgeState = "up" | "down" | "impaired" | "cut";

/** A line between two nodes. */
export interface GraphEdge {
  /** One end. */
  readonly from: GraphEnd;
  /** The other end. */
  readonly to: GraphEnd;
  /** The kind of the link: `veth`, `vxlan`, ... */
  readonly kind?: string;
  /** Its state. Default: `up`. */
  readonly state?: GraphEdgeState;
  /** Lines of text beside it: its impairments. */
  readonly label?: readonly string[];
}

/** A network to draw. */
export interface NetworkGraph {
  /** Its title. */
  readonly title?: string;
  /** Its nodes. */
  readonly nodes: readonly GraphNode[];
  /** Its lines. */
  readonly edges: readonly GraphEdge[];
}

/** The interfaces of a node as a tree in the order of its rows, with the depth of each. */
export function rowsOf(
  node: GraphNode,
): { readonly row: GraphInterface; readonly depth: number }[] {
  const names = new Set(node.interfaces.map(({ name }) => name));
  const children = Map.groupBy(
    node.interfaces,
    ({ under }) => under !== undefined && names.has(under) ? under : undefined,
  );
  const rows: { row: GraphInterface; depth: number }[] = [];
  const seen = new Set<string>();
  const add = (row: GraphInterface, depth: number) => {
    if (seen.has(row.name)) return;
    seen.add(row.name);
    rows.push({ row, depth });
    for (const child of children.get(row.name) ?? []) add(child, depth + 1);
  };
  for (const row of children.get(undefined) ?? []) add(row, 0);
  // A cycle: the parent of a VLAN may be a port of the bridge that sits on the VLAN.
  for (const row of node.interfaces) add(row, 0);
  return rows;
}
