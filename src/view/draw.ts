/**
 * Pictures of networks.
 *
 * @module
 */
import { checkOptions, type OptionNames, show, wordValue } from "../options.ts";
import type { NetworkGraph } from "./graph.ts";
import { placesOf } from "./layout.ts";
import { readGraph } from "./live.ts";
import type { DrawFormat, DrawnNetNs, DrawOptions, DrawTheme } from "./options.ts";
import { svgOf } from "./svg.ts";
import { d2Of, dotOf, drawioOf, mermaidOf } from "./text.ts";

const FORMATS: Readonly<Record<DrawFormat, DrawFormat>> = {
  svg: "svg",
  dot: "dot",
  mermaid: "mermaid",
  d2: "d2",
  drawio: "drawio",
  json: "json",
};

const THEMES: Readonly<Record<DrawTheme, DrawTheme>> = {
  auto: "auto",
  light: "light",
  dark: "dark",
};

const OPTIONS: OptionNames<DrawOptions> = {
  format: true,
  theme: true,
  title: true,
  loopback: true,
  linkLocal: true,
  detail: true,
  engine: true,
  direction: true,
  ratio: true,
};

/**
 * Draws namespaces, or a graph: a box for each namespace with its links and addresses, and a line for
 * each veth pair between them. Ports stand below their bridge, VLANs and macvlans below their parent.
 * Pictures of more than 30 nodes have less detail, and join the leaves of a node to blocks.
 *
 * SVG and draw.io need Graphviz, which is loaded from npm (`@hpcc-js/wasm-graphviz`) at the first
 * picture; the other formats need nothing.
 *
 * @param network The namespaces, or a graph.
 * @param options Format, colours and layout.
 * @returns The text of the picture.
 * @throws {TypeError} When an option is unknown.
 * @throws {RangeError} When the ratio is not a number above 0.
 * @throws {NetlinkError} When a namespace cannot be read.
 *
 * @example A veth pair as Mermaid
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import { draw } from "@netloom/netloom/view";
 * import { assertStringIncludes } from "@std/assert";
 *
 * using red = NetNs.create();
 * using blue = NetNs.create();
 * Veth.create({ name: "r0", netns: red, peer: { name: "b0", netns: blue } });
 * const text = await draw([red, blue], { format: "mermaid" });
 * assertStringIncludes(text, "r0 – b0");
 * ```
 */
export async function draw(
  network: NetworkGraph | readonly DrawnNetNs[] | DrawnNetNs,
  options: DrawOptions = {},
): Promise<string> {
  checkOptions(options, OPTIONS);
  const format = wordValue(options.format ?? "svg", FORMATS, "format");
  const theme = wordValue(options.theme ?? "auto", THEMES, "theme");
  if (options.ratio !== undefined && !(options.ratio > 0 && options.ratio < Infinity)) {
    throw new RangeError(`ratio must be a number above 0: got ${show(options.ratio)}`);
  }
  const graph = "nodes" in network
    ? options.title === undefined ? network : { ...network, title: options.title }
    : readGraph("links" in network ? [network] : network, options);
  checkEnds(graph);
  if (format === "json") return JSON.stringify(graph, undefined, 2) + "\n";
  if (format === "dot") return dotOf(graph);
  if (format === "mermaid") return mermaidOf(graph);
  if (format === "d2") return d2Of(graph);
  const places = await placesOf(graph, options);
  return format === "drawio" ? drawioOf(graph, places.boxes) : svgOf(graph, places, theme);
}

/** A line needs a node at both ends. */
function checkEnds({ nodes, edges }: NetworkGraph): void {
  const ids = new Set(nodes.map(({ id }) => id));
  edges.forEach((edge, i) => {
    for (const end of ["from", "to"] as const) {
      const { node } = edge[end];
      if (!ids.has(node)) {
        throw new TypeError(`edges[${i}].${end}.node must be the id of a node: got ${show(node)}`);
      }
    }
  });
}
