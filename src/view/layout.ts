/**
 * The places of boxes and lines in a picture, found by Graphviz (`npm:@hpcc-js/wasm-graphviz`), which is
 * loaded when the first picture is drawn.
 *
 * @module
 */
import { type GraphEdge, type GraphNode, type NetworkGraph, rowsOf } from "./graph.ts";
import type { DrawDetail, DrawDirection, DrawEngine, DrawLayoutOptions } from "./options.ts";

/** A row of a box. */
export interface RowPlace {
  readonly name: string;
  readonly text: string;
  readonly detail: string;
  readonly depth: number;
  readonly up: boolean;
  readonly kind: string | undefined;
  readonly y: number;
  readonly height: number;
}

/** A box: its upper left corner, its size, and its rows from the top. */
export interface BoxPlace {
  readonly node: GraphNode;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly rows: readonly RowPlace[];
  /** The only link of a box in a block: it has no line of its own. */
  readonly edge?: GraphEdge;
}

/** A line: the path of an SVG, and the place of its label. */
export interface LinePlace {
  readonly edge: GraphEdge;
  readonly path: string;
  readonly middle: readonly [x: number, y: number];
  /** The label, with arrows as the boxes stand. */
  readonly label: readonly string[];
}

/** Hosts with one link each to the same node, drawn as one block with one line. */
export interface BlockPlace {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** The line from the block to its node. */
  readonly path: string;
}

/** Places of everything, in pixels. */
export interface Places {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly BoxPlace[];
  readonly lines: readonly LinePlace[];
  readonly blocks: readonly BlockPlace[];
}

/** Height of the title of a box. */
export const TITLE = 30;
const ROW = 20;
const LINE = 15;
const MONO = 7.25;
const SANS = 8.2;
const INDENT = 14;
const PAD = 12;
/** Room below the last row. */
const BELOW = 6;

/** A box before it has a place. */
interface Box {
  readonly node: GraphNode;
  readonly width: number;
  readonly height: number;
  readonly rows: readonly RowPlace[];
  readonly names: readonly string[];
}

function boxOf(node: GraphNode, detail: DrawDetail): Box {
  const tree = detail === "nodes" || node.kind === "outside"
    ? []
    : rowsOf(node).filter(({ row }) =>
      // The ports of a switch say nothing that its lines do not say.
      node.kind !== "switch" || row.addresses !== undefined && row.addresses.length > 0 || row.note
    );
  let y = TITLE;
  let width = node.name.length * SANS + 2 * PAD;
  const rows = tree.map(({ row, depth }): RowPlace => {
    const addresses = detail === "addresses" ? row.addresses ?? [] : [];
    const text = row.note ? `${row.name}  ${row.note}` : row.name;
    const height = ROW + addresses.length * LINE;
    const place = {
      name: row.name,
      text,
      detail: addresses.join("\n"),
      depth,
      up: row.up !== false,
      kind: row.kind,
      y,
      height,
    };
    y += height;
    const longest = Math.max(text.length, ...addresses.map(({ length }) => length));
    width = Math.max(width, longest * MONO + depth * INDENT + 2 * PAD + 10);
    return place;
  });
  return {
    node,
    width: Math.max(64, Math.ceil(width)),
    height: rows.length > 0 ? y + BELOW : TITLE,
    rows,
    names: tree.map(({ row }) => row.name),
  };
}

/** A node of Graphviz: a box, or a block of boxes that share their only neighbor. */
interface Unit {
  readonly boxes: readonly Box[];
  readonly width: number;
  readonly height: number;
  /** Boxes in a line of the block. */
  readonly columns: number;
}

const GAP = 8;

/** Fewer leaves than this at a node have boxes and lines of their own. */
const SMALLEST_BLOCK = 4;

/** Joins the leaves of a node to blocks where the picture has many nodes. */
function unitsOf(graph: NetworkGraph, detail: DrawDetail, blocks: boolean): Unit[] {
  const neighbors = new Map<string, Set<string>>(graph.nodes.map(({ id }) => [id, new Set()]));
  for (const { from, to } of graph.edges) {
    neighbors.get(from.node)!.add(to.node);
    neighbors.get(to.node)!.add(from.node);
  }
  const lines = Map.groupBy(
    graph.edges.flatMap(({ from, to }) => [from.node, to.node]),
    (node) => node,
  );
  const hubOf = ({ id, kind }: GraphNode): string | undefined =>
    kind !== "router" && kind !== "switch" && lines.get(id)?.length === 1
      ? [...neighbors.get(id)!][0]
      : undefined;
  const leaves = Map.groupBy(graph.nodes, hubOf);
  const joined = (node: GraphNode): readonly GraphNode[] | undefined => {
    const hub = blocks ? hubOf(node) : undefined;
    const all = hub === undefined ? [] : leaves.get(hub)!;
    return all.length >= SMALLEST_BLOCK ? all : undefined;
  };
  const units: Unit[] = [];
  for (const node of graph.nodes) {
    const all = joined(node);
    if (!all) {
      const box = boxOf(node, detail);
      units.push({ boxes: [box], width: box.width, height: box.height, columns: 1 });
    } else if (all[0] === node) units.push(blockOf(all));
  }
  return units;
}

/** h2 comes before h10. */
const BY_NAME = new Intl.Collator("en", { numeric: true });

function blockOf(nodes: readonly GraphNode[]): Unit {
  const sorted = nodes.toSorted((a, b) => BY_NAME.compare(a.name, b.name));
  const boxes = sorted.map((node) => boxOf(node, "nodes"));
  const widest = Math.max(...boxes.map(({ width }) => width));
  const columns = nodes.length > 24 ? 4 : 2;
  const lines = Math.ceil(nodes.length / columns);
  return {
    boxes: boxes.map((box) => ({ ...box, width: widest })),
    width: columns * (widest + GAP) + GAP,
    height: lines * (TITLE + GAP) + GAP,
    columns,
  };
}

/** A line between units: the edges of a block are one. */
interface Line {
  readonly ends: readonly [string, string];
  /** The numbers of the two units. */
  readonly units: readonly [number, number];
  readonly edge: GraphEdge;
  readonly bundle: boolean;
}

function linesOf(graph: NetworkGraph, units: readonly Unit[], rows: boolean): Line[] {
  const unitOf = new Map(
    units.flatMap(({ boxes }, i) => boxes.map((box) => [box.node.id, { box, i }] as const)),
  );
  const done = new Set<number>();
  const lines: Line[] = [];
  for (const edge of graph.edges) {
    const at = [edge.from, edge.to].map((end) => ({ end, ...unitOf.get(end.node)! }));
    const block = at.find(({ i }) => units[i]!.boxes.length > 1);
    if (block && done.has(block.i)) continue;
    if (block) done.add(block.i);
    const [a, b] = at.map(({ end, box, i }) => {
      const row = block || !rows || end.interface === undefined
        ? -1
        : box.names.indexOf(end.interface);
      return row < 0 ? `n${i}` : `n${i}:r${row}`;
    }) as [string, string];
    lines.push({ ends: [a, b], units: [at[0]!.i, at[1]!.i], edge, bundle: block !== undefined });
  }
  return lines;
}

/** The labels of a line are drawn beside its middle; Graphviz leaves room for them. */
function labelOf({ edge: { label = [] }, bundle }: Line): string {
  return label.length === 0 || bundle
    ? ""
    : ` [label=<<TABLE BORDER="0" FIXEDSIZE="TRUE" WIDTH="${
      Math.ceil(Math.max(...label.map(({ length }) => length)) * 6.6 + 10)
    }" HEIGHT="${label.length * 15 + 4}"><TR><TD></TD></TR></TABLE>>]`;
}

function sourceOf(units: readonly Unit[], lines: readonly Line[], direction: string): string {
  const source = [
    `graph { rankdir=${direction}; nodesep=0.35; ranksep=1.1; overlap=prism; sep="+14"; splines=true;`,
    `start=7; node [shape=plain, margin=0]; edge [fontsize=1, len=2.2];`,
  ];
  units.forEach(({ width, height, boxes: [box, ...others] }, i) => {
    const rows = others.length > 0 ? [] : box!.rows;
    const cell = (port: string, tall: number) =>
      `<TR><TD FIXEDSIZE="TRUE" WIDTH="${width}" HEIGHT="${tall}" PORT="${port}"></TD></TR>`;
    source.push(
      `n${i} [label=<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">` +
        cell("t", rows.length > 0 ? TITLE : height) +
        rows.map((row, j) => cell(`r${j}`, row.height)).join("") +
        (rows.length > 0 ? cell("e", BELOW) : "") + `</TABLE>>];`,
    );
  });
  const depths = depthsOf(units.length, lines);
  for (const line of lines) {
    const [a, b] = line.units.map((unit) => depths?.[unit] ?? 0);
    const ends = a! <= b! ? line.ends : line.ends.toReversed();
    source.push(`${ends.join(" -- ")}${labelOf(line)};`);
  }
  return source.join("\n") + "\n}";
}

/**
 * How far each unit of a tree is from one end of its longest path: lines that point away from that end make
 * the longest path straight. `undefined` for a network with cycles.
 */
function depthsOf(count: number, lines: readonly Line[]): readonly number[] | undefined {
  if (lines.length !== count - 1) return undefined;
  const neighbors = Array.from({ length: count }, (): number[] => []);
  for (const { units: [a, b] } of lines) {
    neighbors[a]!.push(b);
    neighbors[b]!.push(a);
  }
  const from = (root: number) => {
    const depths = new Map([[root, 0]]);
    for (const [unit, depth] of depths) {
      for (const next of neighbors[unit]!) if (!depths.has(next)) depths.set(next, depth + 1);
    }
    return depths;
  };
  const farthest = [...from(0).keys()].at(-1)!;
  const depths = from(farthest);
  return depths.size === count
    ? Array.from({ length: count }, (_, i) => depths.get(i)!)
    : undefined;
}

/** Graphviz's answer, as far as it is read: lengths in points, from below. */
interface Answer {
  readonly bb: string;
  readonly objects?: readonly { readonly pos: string }[];
  readonly edges?: readonly { readonly pos: string; readonly lp?: string }[];
}

type Point = readonly [x: number, y: number];

const pointOf = (text: string): Point => text.split(",").map(Number) as [number, number];

/** A layout to try. */
interface Attempt {
  readonly engine: DrawEngine;
  readonly direction: DrawDirection;
  /** How much smaller it has to be than others: a mesh says less than layers. */
  readonly factor: number;
  /** Without rows, for a high and narrow place. */
  readonly plain?: boolean;
}

const ATTEMPTS: readonly Attempt[] = [
  { engine: "dot", direction: "LR", factor: 1 },
  { engine: "dot", direction: "TB", factor: 1 },
  { engine: "dot", direction: "LR", factor: 1, plain: true },
  { engine: "neato", direction: "LR", factor: 3 },
];

/** Only a network with many nodes and cycles is more readable as a mesh than in layers. */
function isMesh({ nodes, edges }: NetworkGraph): boolean {
  return nodes.length > MOST_LAYERED && edges.length >= nodes.length;
}

/** A picture is the better the smaller it is, and the nearer to the shape of its place. */
function badness({ bb }: Answer, ratio: number | undefined): number {
  const [, , width, height] = bb.split(",").map(Number) as [number, number, number, number];
  const own = width / height;
  const shape = ratio === undefined
    ? Math.max(1, own / 2, 1 / own / 1.2) ** 1.5
    : Math.max(own / ratio, ratio / own);
  return width * height * shape;
}

/** Margin around the picture. */
const MARGIN = 16;

/** Nodes from which leaves are joined to blocks. */
const MANY = 30;

/** Nodes up to which a picture has layers in any case. */
const MOST_LAYERED = 12;

/** Nodes up to which boxes have rows. */
const MOST_ROWS = 80;

/**
 * Finds places for the boxes and lines of a graph.
 *
 * @param graph The graph.
 * @param options Detail and engine.
 */
export async function placesOf(
  graph: NetworkGraph,
  options: DrawLayoutOptions = {},
): Promise<Places> {
  const { Graphviz } = await import("npm:@hpcc-js/wasm-graphviz@^1.29.2");
  const graphviz = await Graphviz.load();
  const many = graph.nodes.length > MANY;
  const attempt = ({ engine, direction, plain = false }: Omit<Attempt, "factor">) => {
    // Only lines from the left to the right meet the rows at their sides.
    const rows = engine === "dot" && direction === "LR" && !plain;
    const detail = options.detail ??
      (!many ? "addresses" : rows && graph.nodes.length <= MOST_ROWS ? "interfaces" : "nodes");
    const units = unitsOf(graph, detail, many && options.detail !== "addresses");
    const lines = linesOf(graph, units, rows);
    const answer: Answer = graph.nodes.length === 0
      ? { bb: "0,0,0,0" }
      : JSON.parse(graphviz.layout(sourceOf(units, lines, direction), "json", engine));
    return { units, lines, answer };
  };
  const attempts = ATTEMPTS
    .filter(({ engine }) => (options.engine ?? engine) === engine)
    .filter(({ engine }) => engine === options.engine || engine === "dot" || isMesh(graph))
    .filter(({ direction }) => (options.direction ?? direction) === direction)
    .filter(({ plain }) => !plain || many && (options.ratio ?? 1) < 1)
    .map((it) => {
      const result = attempt(it);
      return { result, badness: badness(result.answer, options.ratio) * it.factor };
    })
    .sort((a, b) => a.badness - b.badness);
  const best = attempts[0]?.result ??
    attempt({ engine: options.engine ?? "dot", direction: options.direction ?? "LR" });
  return placed(graph, best);
}

function placed(
  graph: NetworkGraph,
  { units, lines, answer }: {
    readonly units: readonly Unit[];
    readonly lines: readonly Line[];
    readonly answer: Answer;
  },
): Places {
  const [, , right, top] = answer.bb.split(",").map(Number) as [number, number, number, number];
  const flip = ([x, y]: Point): Point => [round(x + MARGIN), round(top - y + MARGIN)];
  const paths = lines.map((line, i) => {
    const { pos, lp } = answer.edges![i]!;
    const points = pos.split(" ").map((pair) => flip(pointOf(pair)));
    const [first, ...rest] = points;
    return {
      ...line,
      path: `M${first!.join(" ")}C${rest.map((point) => point.join(" ")).join(" ")}`,
      middle: lp === undefined ? points[points.length >> 1]! : flip(pointOf(lp)),
      label: labelAt(line, answer),
    };
  });
  const only = new Map(
    graph.edges.flatMap((edge) => [[edge.from.node, edge], [edge.to.node, edge]]),
  );
  const boxes: BoxPlace[] = [];
  const blocks: BlockPlace[] = [];
  units.forEach(({ boxes: inside, width, height, columns }, i) => {
    const [middleX, middleY] = flip(pointOf(answer.objects![i]!.pos));
    const [x, y] = [round(middleX - width / 2), round(middleY - height / 2)];
    const place = ({ names: _, ...box }: Box) => box;
    if (inside.length === 1) {
      boxes.push({ ...place(inside[0]!), x, y });
      return;
    }
    const { path } = paths.find(({ units, bundle }) => bundle && units.includes(i))!;
    blocks.push({ x, y, width, height, path });
    inside.forEach((box, j) => {
      boxes.push({
        ...place(box),
        x: x + GAP + (j % columns) * (box.width + GAP),
        y: y + GAP + Math.floor(j / columns) * (TITLE + GAP),
        edge: only.get(box.node.id)!,
      });
    });
  });
  return {
    width: Math.ceil(right + 2 * MARGIN),
    height: Math.ceil(top + 2 * MARGIN),
    boxes,
    blocks,
    lines: paths.filter(({ bundle }) => !bundle),
  };
}

const TURNED: Readonly<Record<string, string>> = { "→": "←", "←": "→" };

/** The label of a line; its arrows are turned where its first end is to the right of the second one. */
function labelAt({ edge: { label = [] }, units: [a, b] }: Line, answer: Answer): string[] {
  const [from, to] = [a, b].map((unit) => pointOf(answer.objects![unit]!.pos));
  const turned = from![0] > to![0];
  return turned ? label.map((line) => (TURNED[line[0]!] ?? line[0]!) + line.slice(1)) : [...label];
}

const round = (value: number): number => Math.round(value * 10) / 10;
