/**
 * A graph as SVG, for light and dark pages.
 *
 * @module
 */
import type { GraphEdge, NetworkGraph } from "./graph.ts";
import { type BlockPlace, type BoxPlace, type LinePlace, type Places, TITLE } from "./layout.ts";
import type { DrawTheme } from "./options.ts";

const COLORS = {
  page: ["#ffffff", "#1b1b1f"],
  host: ["#eef3ff", "#1f2638"],
  "host-line": ["#5b78d1", "#8ea6f5"],
  router: ["#fff4e0", "#33291a"],
  "router-line": ["#b9791a", "#dba64a"],
  switch: ["#e2f6ea", "#1d3a2b"],
  "switch-line": ["#18794e", "#57c08d"],
  outside: ["#f4f4f5", "#27272b"],
  "outside-line": ["#8a8a93", "#85858f"],
  row: ["#ffffff", "#26262c"],
  text: ["#23262f", "#e8e9ee"],
  quiet: ["#565b6b", "#adb1be"],
  up: ["#44495a", "#b9bdc9"],
  down: ["#c92a2a", "#ff8787"],
  impaired: ["#b35c00", "#ffb454"],
} as const;

const LOOKS = {
  host: "host",
  netns: "host",
  router: "router",
  switch: "switch",
  outside: "outside",
};

function styleOf(theme: DrawTheme): string {
  const color = (name: keyof typeof COLORS): string => {
    const [light, dark] = COLORS[name];
    return theme === "light" ? light : theme === "dark" ? dark : `light-dark(${light}, ${dark})`;
  };
  const looks = ["host", "router", "switch", "outside"] as const;
  return [
    theme === "auto" ? "svg:root{color-scheme:light dark}" : `svg:root{color-scheme:${theme}}`,
    `.nl-page{fill:${color("page")}}`,
    ...looks.map((look) =>
      `.nl-${look}{fill:${color(look)};stroke:${color(`${look}-line`)};stroke-width:1.5}`
    ),
    ".nl-outside{stroke-dasharray:5 4}",
    `.nl-block{fill:none;stroke:${color("outside-line")}}`,
    `.nl-rows{fill:${color("row")}}`,
    `.nl-title{fill:${color("text")};font:600 14px system-ui,sans-serif;text-anchor:middle}`,
    `.nl-name{fill:${color("text")};font:12px ui-monospace,monospace}`,
    `.nl-address{fill:${color("quiet")};font:11.5px ui-monospace,monospace}`,
    `.nl-heading{fill:${color("text")};font:600 16px system-ui,sans-serif}`,
    `.nl-line{fill:none;stroke:${color("up")};stroke-width:1.75}`,
    ".nl-bundle{stroke-width:3.5}",
    ...[".nl-line", ".nl-box"].flatMap((part) => [
      `.nl-is-down>${part},.nl-is-cut>${part}{stroke:${color("down")};stroke-dasharray:6 4}`,
      `.nl-is-impaired>${part}{stroke:${color("impaired")}}`,
    ]),
    `.nl-dot-up{fill:${color("switch-line")}}`,
    `.nl-dot-down{fill:${color("down")}}`,
    `.nl-label{fill:${color("impaired")};font:11px ui-monospace,monospace;text-anchor:middle}`,
    `.nl-behind{fill:${color("page")};opacity:.85}`,
  ].join("\n");
}

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);

const text = (x: number, y: number, look: string, content: string): string =>
  `<text x="${x}" y="${y}" class="nl-${look}">${escape(content)}</text>`;

function boxSvg(
  { node, x, y, width, height, rows, edge }: BoxPlace,
  numbers: ReadonlyMap<GraphEdge, number>,
): string {
  const parts = [
    `<g data-node="${escape(node.id)}"${
      edge ? ` data-edge="${numbers.get(edge)}" class="nl-is-${edge.state ?? "up"}"` : ""
    } role="img" aria-label="${escape(node.name)}">`,
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="7" class="nl-box nl-${
      LOOKS[node.kind ?? "netns"]
    }"/>`,
    ...edge ? [`<title>${escape(titleOf(edge))}</title>`] : [],
    text(x + width / 2, y + 20, "title", node.name),
  ];
  if (rows.length > 0) {
    parts.push(
      `<rect x="${x + 4}" y="${y + TITLE - 2}" width="${width - 8}" height="${
        height - TITLE - 2
      }" rx="4" class="nl-rows"/>`,
    );
  }
  for (const row of rows) {
    const left = x + 12 + row.depth * 14;
    const middle = y + row.y + 10;
    parts.push(
      `<circle data-interface="${escape(row.name)}" cx="${
        left + 2
      }" cy="${middle}" r="3" class="nl-dot-${row.up ? "up" : "down"}"/>`,
      text(left + 10, middle + 4, "name", row.text),
      ...row.detail.split("\n").filter(Boolean).map((address, i) =>
        text(left + 10, middle + 19 + i * 15, "address", address)
      ),
    );
  }
  return parts.join("") + "</g>";
}

function blockSvg({ x, y, width, height, path }: BlockPlace): string {
  return `<path d="${path}" class="nl-line nl-bundle"/>` +
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="9" class="nl-block"/>`;
}

const titleOf = ({ from, to, kind, label = [] }: GraphEdge): string =>
  [`${from.interface ?? from.node} – ${to.interface ?? to.node}`, kind, ...label]
    .filter(Boolean).join(", ");

function lineSvg(
  { edge, path, middle, label }: LinePlace,
  numbers: ReadonlyMap<GraphEdge, number>,
): string {
  return `<g data-edge="${numbers.get(edge)}" class="nl-is-${edge.state ?? "up"}"><title>${
    escape(titleOf(edge))
  }</title><path d="${path}" class="nl-line"/>${labelSvg(label, middle)}</g>`;
}

function labelSvg(label: readonly string[], [x, y]: readonly [number, number]): string {
  if (label.length === 0) return "";
  const width = Math.max(...label.map(({ length }) => length)) * 6.6 + 8;
  const top = y - label.length * 7.5;
  return `<rect x="${x - width / 2}" y="${top}" width="${width}" height="${
    label.length * 15
  }" rx="3" class="nl-behind"/>` +
    label.map((line, i) => text(x, top + 11 + i * 15, "label", line)).join("");
}

/**
 * Draws a graph with known places as an SVG document.
 *
 * @param graph The graph: its title.
 * @param places The places of its boxes and lines.
 * @param theme The colours.
 */
export function svgOf(graph: NetworkGraph, places: Places, theme: DrawTheme = "auto"): string {
  const numbers = new Map(graph.edges.map((edge, i) => [edge, i]));
  const above = graph.title === undefined ? 0 : 28;
  const width = Math.max(places.width, (graph.title?.length ?? 0) * 10 + 32);
  const height = places.height + above;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `viewBox="0 ${-above} ${width} ${height}">`,
    `<title>${escape(graph.title ?? "A network")}</title>`,
    `<style>${styleOf(theme)}</style>`,
    `<rect x="0" y="${-above}" width="${width}" height="${height}" class="nl-page"/>`,
    ...graph.title === undefined ? [] : [text(16, -4, "heading", graph.title)],
    ...places.blocks.map(blockSvg),
    ...places.lines.map((line) => lineSvg(line, numbers)),
    ...places.boxes.map((box) => boxSvg(box, numbers)),
    "</svg>",
  ].join("\n") + "\n";
}
