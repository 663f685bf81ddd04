/**
 * Reading a topology: YAML, the check of its form, and the places of its problems.
 *
 * @module
 */
import type { Document, Node } from "npm:yaml@2.9.1";
import { checkForm } from "./form.ts";
import { type Problem, TopologyError } from "./problem.ts";
import { prepare } from "./resolve.ts";
import type { NodeSpec, TopologySpec } from "./spec.ts";

/** Options of {@linkcode parse}. */
export interface ParseOptions {
  /** The file that the text is from: for errors, paths in it, and the default name of the lab. */
  readonly file?: string;
}

/**
 * Reads a topology from the text of a file: YAML or JSON, netloom's form or containerlab's.
 *
 * @param text The text.
 * @param options The file that it is from.
 * @returns The topology, checked.
 * @throws {TopologyError} With all problems, each with line and column.
 *
 * @example Ten lines of YAML
 * ```ts
 * import { parse, resolve } from "@netloom/netloom/lab";
 * import { assertEquals } from "@std/assert";
 *
 * const spec = await parse(`
 * nodes:
 *   r1: { kind: router }
 *   h[1-2]:
 * links:
 *   - h[1-2] -- r1
 * `);
 * assertEquals(resolve(spec).wires.map(({ ends }) => ends.join(" -- ")), [
 *   "h1:to-r1 -- r1:to-h1",
 *   "h2:to-r1 -- r1:to-h2",
 * ]);
 * ```
 */
export async function parse(text: string, options: ParseOptions = {}): Promise<TopologySpec> {
  const { parse: parseYaml } = await import("@std/yaml");
  const { file } = options;
  let read: unknown;
  try {
    read = parseYaml(text);
  } catch (error) {
    throw new TopologyError(await syntaxProblems(text, error as Error, file));
  }
  const { value, problems } = checkForm(read);
  prepare(value, problems);
  if (problems.list.length > 0) throw new TopologyError(await located(problems.list, text, file));
  return file === undefined ? value : ofFile(value, file);
}

/**
 * Reads a topology from a file, as {@linkcode parse} does. It needs `--allow-read`.
 *
 * @param path The file: `two-tier.lab.yml`.
 * @returns The topology, checked.
 * @throws {TopologyError} With all problems, each with line and column.
 */
export async function load(path: string | URL): Promise<TopologySpec> {
  const file = path instanceof URL ? decodeURIComponent(path.pathname) : path;
  return parse(await Deno.readTextFile(file), { file });
}

/** A topology with the name of its file, and with the paths in it told from the folder of the file. */
function ofFile(spec: TopologySpec, file: string): TopologySpec {
  const folder = file.includes("/") ? file.replace(/\/[^/]*$/, "/") : "";
  const name = file.slice(folder.length).replace(/\.(lab|clab)?\.?(ya?ml|json)$/, "")
    .replace(/[^\w.-]/g, "-").replace(/^[^A-Za-z0-9]+/, "");
  const located = <T extends NodeSpec | null>(node: T): T => {
    if (node?.files === undefined) return node;
    const files = Object.entries(node.files).map(([path, entry]) =>
      typeof entry === "string" || entry.source === undefined || entry.source.startsWith("/")
        ? [path, entry] as const
        : [path, { ...entry, source: folder + entry.source }] as const
    );
    return { ...node, files: Object.fromEntries(files) };
  };
  const all = <T extends NodeSpec | null>(nodes: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(nodes).map(([name, node]) => [name, located(node)]));
  return {
    ...(name === "" ? {} : { name }),
    ...spec,
    nodes: all(spec.nodes),
    ...(spec.defaults === undefined ? {} : { defaults: located(spec.defaults) }),
    ...(spec.kinds === undefined ? {} : { kinds: all(spec.kinds) }),
    ...(spec.groups === undefined ? {} : { groups: all(spec.groups) }),
  };
}

/** The options under which npm's `yaml` reads as `@std/yaml` does, for topologies. */
const READING = { merge: true, uniqueKeys: true } as const;

/** Adds file, line and column to problems. Only here npm's `yaml` is loaded. */
async function located(
  problems: readonly Problem[],
  text: string,
  file: string | undefined,
): Promise<Problem[]> {
  const { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } = await import(
    "npm:yaml@2.9.1"
  );
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { ...READING, lineCounter });
  const lines = text.split("\n");

  const placed = problems.map((problem): Problem => ({
    ...problem,
    ...placeAt(offsetOf(problem, document), lineCounter, lines),
    ...(file === undefined ? {} : { file }),
  }));
  return placed.sort((a, b) => a.line! - b.line! || a.column! - b.column!);

  /** The offset of the value or key, or of the nearest one around it. */
  function offsetOf({ path, key }: Problem, document: Document): number {
    let node = document.contents as Node | null | undefined;
    let offset = node?.range?.[0] ?? 0;
    for (const [i, part] of path.entries()) {
      if (isAlias(node)) node = node.resolve(document) as Node | undefined;
      if (isMap<Node, Node | null>(node)) {
        const pair = node.items.find((it) => isScalar(it.key) && String(it.key.value) === part);
        if (pair === undefined) break;
        const last = i === path.length - 1;
        node = pair.value;
        offset = (last && key ? undefined : node?.range?.[0]) ?? pair.key.range?.[0] ?? offset;
      } else if (isSeq<Node>(node) && typeof part === "number") {
        node = node.items[part];
        offset = node?.range?.[0] ?? offset;
      } else break;
    }
    return offset;
  }
}

/** The problems of a text that is no YAML. */
async function syntaxProblems(
  text: string,
  cause: Error,
  file: string | undefined,
): Promise<Problem[]> {
  const { LineCounter, parseDocument } = await import("npm:yaml@2.9.1");
  const lineCounter = new LineCounter();
  const { errors } = parseDocument(text, { ...READING, lineCounter, prettyErrors: false });
  const lines = text.split("\n");
  const common = { path: [], key: false, ...(file === undefined ? {} : { file }) };
  if (errors.length === 0) return [{ ...common, message: cause.message }];
  return errors.map(({ message, pos }) => ({
    ...common,
    message: `The file is no YAML: ${message}`,
    ...placeAt(pos[0], lineCounter, lines),
  }));
}

function placeAt(
  offset: number,
  counter: { linePos(offset: number): { line: number; col: number } },
  lines: readonly string[],
): Pick<Problem, "line" | "column" | "text"> {
  const { line, col } = counter.linePos(offset);
  return { line, column: col, text: lines[line - 1] ?? "" };
}
