/**
 * The problems of a topology, all at once, each with its place in the file.
 *
 * @module
 */
import { type Path, placeOf } from "./rules.ts";

/** One problem of a topology. */
export interface Problem {
  /** Its place in the topology: `["nodes", "h1", "kind"]`. */
  readonly path: Path;
  /** The place as text, the offending value, what is allowed, and the nearest name. */
  readonly message: string;
  /** Whether the key at the end of `path` is wrong, not its value. */
  readonly key: boolean;
  /** The file; absent for a topology in TypeScript. */
  readonly file?: string;
  /** Line in the file, from 1. */
  readonly line?: number;
  /** Column in the line, from 1. */
  readonly column?: number;
  /** The line of the file. */
  readonly text?: string;
}

/**
 * A topology that cannot be used. Its message lists all problems.
 *
 * @example All problems of a topology
 * ```ts
 * import { resolve, TopologyError, type TopologySpec } from "@netloom/netloom/lab";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const spec: TopologySpec = { nodes: { h1: { mtu: 12 } }, links: ["h1 -- h2"] };
 * const error = assertThrows(() => resolve(spec), TopologyError);
 * assertEquals(error.problems.map(({ path }) => path.join(".")), [
 *   "nodes.h1.mtu",
 *   "links.0",
 * ]);
 * ```
 */
export class TopologyError extends Error {
  /** The name of the class. */
  override readonly name = "TopologyError";
  /** All problems, in the order of the topology. */
  readonly problems: readonly Problem[];

  /** For checks. */
  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join("\n"));
    this.problems = problems;
  }
}

/** A problem for people: `two.lab.yml:7:11: MESSAGE`, and below it the line with a mark. */
function formatProblem({ file, line, column, text, message }: Problem): string {
  if (line === undefined || column === undefined) {
    return file === undefined ? message : `${file}: ${message}`;
  }
  const place = file === undefined ? `line ${line}, column ${column}` : `${file}:${line}:${column}`;
  const head = `${place}: ${message}`;
  const number = String(line);
  const gap = " ".repeat(number.length);
  return `${head}\n ${number} | ${text}\n ${gap} | ${" ".repeat(column - 1)}^`;
}

/** Collects problems. */
export class Problems {
  /** What was reported. */
  readonly list: Problem[] = [];
  readonly #prefix: Path;

  /** With the path of the topology in its file: `["topology"]` in a containerlab file. */
  constructor(prefix: Path = []) {
    this.#prefix = prefix;
  }

  /** Adds a problem of the value or the key at a path. */
  add(path: Path, message: string, at?: "key"): void {
    this.list.push({ path: [...this.#prefix, ...path], message, key: at === "key" });
  }

  /** Adds a problem; the message begins with its place. */
  at(path: Path, message: string, at?: "key"): void {
    this.add(path, `${placeOf(path)} ${message}`, at);
  }

  /** Ends with an error when there are problems. */
  throwAny(): void {
    if (this.list.length > 0) throw new TopologyError(this.list);
  }
}
