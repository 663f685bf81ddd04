/**
 * A graph as text of other programs: DOT of Graphviz, Mermaid, D2, and the XML of draw.io.
 *
 * @module
 */
import { type GraphEnd, type GraphNode, type NetworkGraph, rowsOf } from "./graph.ts";

const quoted = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`;

const xml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);

/** The text of a node: its name, and a line for each interface with its addresses. */
function linesOf(node: GraphNode): string[] {
  return [
    node.name,
    ...rowsOf(node).map(({ row, depth }) =>
      "  ".repeat(depth) +
      [row.name, ...row.note ? [row.note] : [], ...row.addresses ?? []].join(" ")
    ),
  ];
}

/** Identifiers that every format accepts, in the order of the nodes. */
function identifiers({ nodes }: NetworkGraph): (end: GraphEnd) => string {
  const numbers = new Map(nodes.map(({ id }, i) => [id, `n${i}`]));
  return ({ node }) => numbers.get(node)!;
}

/**
 * The graph in DOT, the language of Graphviz.
 *
 * @param graph The graph.
 */
export function dotOf(graph: NetworkGraph): string {
  const id = identifiers(graph);
  const nodes = graph.nodes.map((node) =>
    `  ${id({ node: node.id })} [label=${
      quoted(linesOf(node).join("\n")).replaceAll("\n", "\\n")
    }];`
  );
  const edges = graph.edges.map(({ from, to, label = [], state }) => {
    const words = [
      ...from.interface ? [`taillabel=${quoted(from.interface)}`] : [],
      ...to.interface ? [`headlabel=${quoted(to.interface)}`] : [],
      ...label.length > 0 ? [`label=${quoted(label.join(", "))}`] : [],
      ...state && state !== "up" ? ["style=dashed"] : [],
    ];
    return `  ${id(from)} -- ${id(to)}${words.length > 0 ? ` [${words.join(", ")}]` : ""};`;
  });
  const title = graph.title === undefined ? [] : [`  label=${quoted(graph.title)};`];
  return ["graph {", ...title, "  node [shape=box];", ...nodes, ...edges, "}", ""].join("\n");
}

/** Mermaid reads labels as Markdown and HTML: these characters are written as entities. */
const mermaid = (text: string): string =>
  `"${text.replace(/["<>&#;`\\]/g, (c) => `#${c.charCodeAt(0)};`)}"`;

/**
 * The graph as a flowchart of Mermaid, which GitHub shows in Markdown.
 *
 * @param graph The graph.
 */
export function mermaidOf(graph: NetworkGraph): string {
  const id = identifiers(graph);
  const nodes = graph.nodes.map((node) =>
    `  ${id({ node: node.id })}[${
      linesOf(node).map(mermaid).join("<br>").replaceAll('"<br>"', "<br>")
    }]`
  );
  const edges = graph.edges.map(({ from, to, label = [], state }) => {
    const words = [endsOf(from, to), ...label].filter(Boolean).join(", ");
    const line = state && state !== "up" ? "-.-" : "---";
    return `  ${id(from)} ${line}${words ? `|${mermaid(words)}|` : ""} ${id(to)}`;
  });
  const title = graph.title === undefined ? [] : ["---", `title: ${quoted(graph.title)}`, "---"];
  return [...title, "flowchart LR", ...nodes, ...edges, ""].join("\n");
}

/** Both interfaces of a line: `eth0 – eth1`. */
function endsOf(from: GraphEnd, to: GraphEnd): string {
  if (from.interface === undefined && to.interface === undefined) return "";
  return `${from.interface ?? ""} – ${to.interface ?? ""}`;
}

/**
 * The graph in D2.
 *
 * @param graph The graph.
 */
export function d2Of(graph: NetworkGraph): string {
  const id = identifiers(graph);
  const text = (lines: readonly string[]) => quoted(lines.join("\n")).replaceAll("\n", "\\n");
  const nodes = graph.nodes.map((node) => `${id({ node: node.id })}: ${text(linesOf(node))}`);
  const edges = graph.edges.map(({ from, to, label = [], state }) => {
    const words = [endsOf(from, to), ...label].filter(Boolean);
    const style = state && state !== "up" ? " {\n  style.stroke-dash: 4\n}" : "";
    return `${id(from)} -- ${id(to)}${words.length > 0 || style ? `: ${text(words)}` : ""}${style}`;
  });
  const title = graph.title === undefined
    ? []
    : [`title: ${quoted(graph.title)} {\n  near: top-center\n  shape: text\n}`];
  return [...title, ...nodes, ...edges, ""].join("\n");
}

/** A box with its place, for {@link drawioOf}. */
export interface PlacedBox {
  readonly node: GraphNode;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/**
 * The graph as a file of draw.io (diagrams.net), with the places of its boxes.
 *
 * @param graph The graph.
 * @param boxes The places of its nodes.
 */
export function drawioOf(graph: NetworkGraph, boxes: readonly PlacedBox[]): string {
  const id = identifiers(graph);
  const cells = boxes.map(({ node, x, y, width, height }) =>
    `<mxCell id="${id({ node: node.id })}" value="${
      xml(linesOf(node).join("\n")).replaceAll("\n", "&#10;")
    }" style="rounded=1;whiteSpace=wrap;align=left;verticalAlign=top;spacing=6" vertex="1" ` +
    `parent="1"><mxGeometry x="${x}" y="${y}" width="${width}" height="${height}" as="geometry"/></mxCell>`
  );
  const lines = graph.edges.map(({ from, to, label = [], state }, i) =>
    `<mxCell id="e${i}" value="${
      xml([endsOf(from, to), ...label].filter(Boolean).join(", "))
    }" style="endArrow=none${state && state !== "up" ? ";dashed=1" : ""}" edge="1" parent="1" ` +
    `source="${id(from)}" target="${id(to)}"><mxGeometry relative="1" as="geometry"/></mxCell>`
  );
  return [
    `<mxfile><diagram name="${xml(graph.title ?? "network")}"><mxGraphModel><root>`,
    `<mxCell id="0"/><mxCell id="1" parent="0"/>`,
    ...cells,
    ...lines,
    "</root></mxGraphModel></diagram></mxfile>",
    "",
  ].join("\n");
}
