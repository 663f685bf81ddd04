/**
 * Topologies of a known form: clos, ring, star, tree, grid, mesh, torus, random.
 *
 * @module
 */
import { checkOptions, integer, type OptionNames } from "../options.ts";
import { hash } from "./names.ts";
import type { LinkText, NodeSpec, TopologySpec } from "./spec.ts";

/** Options of all generators. */
export interface GeneratorOptions {
  /** Hosts at each router, `h1-1`, `h1-2` and so on; 0..1000. Default: 0. */
  readonly hosts?: number;
}

/** Options of {@linkcode clos}. */
export interface ClosOptions {
  /** Number of spines, 1..1000. Default: 2. */
  readonly spines?: number;
  /** Hosts at each leaf, 0..1000. Default: 2. */
  readonly hosts?: number;
}

/** Options of {@linkcode tree}. */
export interface TreeOptions {
  /** Routers below each router, 1..100. Default: 2. */
  readonly fanout?: number;
  /** Hosts at each router without routers below it, 0..1000. Default: 2. */
  readonly hosts?: number;
}

/** Options of {@linkcode random}. */
export interface RandomOptions extends GeneratorOptions {
  /** The same seed gives the same topology, 0..4294967295. Default: 1. */
  readonly seed?: number;
  /** Mean number of links at a router, at least 2. Default: 3. */
  readonly degree?: number;
}

const GENERATOR: OptionNames<GeneratorOptions> = { hosts: true };
const CLOS: OptionNames<ClosOptions> = { spines: true, hosts: true };
const TREE: OptionNames<TreeOptions> = { fanout: true, hosts: true };
const RANDOM: OptionNames<RandomOptions> = { hosts: true, seed: true, degree: true };

const MOST = 1000;

/** A topology in the making. */
class Sketch {
  readonly nodes: Record<string, NodeSpec> = {};
  readonly links: LinkText[] = [];

  router(name: string, tier?: number): string {
    this.nodes[name] = { kind: "router", ...(tier === undefined ? {} : { tier }) };
    return name;
  }

  link(a: string, b: string): void {
    this.links.push(`${a} -- ${b}`);
  }

  /** Hosts at a router, named after its number: `h3-1`. */
  hosts(router: string, count: number, tier?: number): void {
    for (let i = 1; i <= count; i++) {
      const host = `h${router.replace(/^[a-z]+/, "")}-${i}`;
      this.nodes[host] = tier === undefined ? {} : { tier };
      this.link(host, router);
    }
  }

  get spec(): TopologySpec {
    return { nodes: this.nodes, links: this.links };
  }
}

function hostsOf(options: GeneratorOptions, names: Readonly<Record<string, unknown>>): number {
  checkOptions(options, names);
  return integer(options.hosts ?? 0, "hosts", 0, MOST);
}

/** Routers `n1` to `nN`. */
function routers(sketch: Sketch, count: number, least: number, hosts: number): string[] {
  integer(count, "count", least, MOST * 10);
  return Array.from({ length: count }, (_, i) => {
    const name = sketch.router(`n${i + 1}`);
    sketch.hosts(name, hosts);
    return name;
  });
}

/**
 * Leaves and spines: each leaf `l1`, `l2`, … has a link to each spine `s1`, `s2`, …
 *
 * @param leaves Number of leaves, 1..1000.
 * @param options Spines, and hosts `h1-1`, … at each leaf.
 * @throws {RangeError} For numbers out of range.
 *
 * @example 16 leaves
 * ```ts
 * import { clos, resolve } from "@netloom/netloom/lab";
 * import { assertEquals } from "@std/assert";
 *
 * const { nodes, wires } = resolve(clos(16, { spines: 4, hosts: 1 }));
 * assertEquals([nodes.length, wires.length], [4 + 16 + 16, 4 * 16 + 16]);
 * ```
 */
export function clos(leaves: number, options: ClosOptions = {}): TopologySpec {
  checkOptions(options, CLOS);
  const spines = integer(options.spines ?? 2, "spines", 1, MOST);
  const hosts = integer(options.hosts ?? 2, "hosts", 0, MOST);
  integer(leaves, "leaves", 1, MOST);
  const sketch = new Sketch();
  for (let s = 1; s <= spines; s++) sketch.router(`s${s}`, 1);
  for (let l = 1; l <= leaves; l++) {
    const leaf = sketch.router(`l${l}`, 2);
    for (let s = 1; s <= spines; s++) sketch.link(`s${s}`, leaf);
    sketch.hosts(leaf, hosts, 3);
  }
  return sketch.spec;
}

/**
 * Routers in a ring: `n1 -- n2`, …, `nN -- n1`.
 *
 * @param count Number of routers, from 3.
 * @param options Hosts at each router.
 * @throws {RangeError} For numbers out of range.
 */
export function ring(count: number, options: GeneratorOptions = {}): TopologySpec {
  const sketch = new Sketch();
  const names = routers(sketch, count, 3, hostsOf(options, GENERATOR));
  names.forEach((name, i) => sketch.link(name, names[(i + 1) % names.length]!));
  return sketch.spec;
}

/**
 * Hosts `h1`, `h2`, … on one switch `sw`.
 *
 * @param hosts Number of hosts, 1..1000: a bridge takes 1,023 ports.
 * @throws {RangeError} For numbers out of range.
 */
export function star(hosts: number): TopologySpec {
  integer(hosts, "hosts", 1, MOST);
  const sketch = new Sketch();
  sketch.nodes.sw = { kind: "switch", tier: 1 };
  for (let i = 1; i <= hosts; i++) {
    sketch.nodes[`h${i}`] = { tier: 2 };
    sketch.link(`h${i}`, "sw");
  }
  return sketch.spec;
}

/**
 * A tree of routers: `n1` at the top, below it `n1-1`, `n1-2` and so on.
 *
 * @param depth Number of rows of routers, 1..10.
 * @param options Routers below each one, and hosts at those in the last row.
 * @throws {RangeError} For numbers out of range.
 */
export function tree(depth: number, options: TreeOptions = {}): TopologySpec {
  checkOptions(options, TREE);
  const fanout = integer(options.fanout ?? 2, "fanout", 1, 100);
  const hosts = integer(options.hosts ?? 2, "hosts", 0, MOST);
  integer(depth, "depth", 1, 10);
  const sketch = new Sketch();
  let row = [sketch.router("n1", 1)];
  for (let tier = 2; tier <= depth; tier++) {
    row = row.flatMap((above) =>
      Array.from({ length: fanout }, (_, i) => {
        const name = sketch.router(`${above}-${i + 1}`, tier);
        sketch.link(above, name);
        return name;
      })
    );
  }
  for (const router of row) sketch.hosts(router, hosts, depth + 1);
  return sketch.spec;
}

/**
 * Routers in a grid: `n1-1` is at the top left, `n2-1` right of it, `n1-2` below it.
 *
 * @param columns Number of columns, 1..1000.
 * @param rows Number of rows, 1..1000.
 * @param options Hosts at each router.
 * @throws {RangeError} For numbers out of range.
 *
 * @example 100 routers and 180 links
 * ```ts
 * import { grid, resolve } from "@netloom/netloom/lab";
 * import { assertEquals } from "@std/assert";
 *
 * const { nodes, wires } = resolve(grid(10, 10));
 * assertEquals([nodes.length, wires.length], [100, 180]);
 * ```
 */
export function grid(columns: number, rows: number, options: GeneratorOptions = {}): TopologySpec {
  return rectangle(columns, rows, { ...options, around: false });
}

/**
 * A grid whose rows and columns are rings.
 *
 * @param columns Number of columns, 3..1000.
 * @param rows Number of rows, 3..1000.
 * @param options Hosts at each router.
 * @throws {RangeError} For numbers out of range.
 */
export function torus(columns: number, rows: number, options: GeneratorOptions = {}): TopologySpec {
  return rectangle(columns, rows, { ...options, around: true });
}

function rectangle(
  columns: number,
  rows: number,
  { around, ...options }: GeneratorOptions & { readonly around: boolean },
): TopologySpec {
  const hosts = hostsOf(options, GENERATOR);
  integer(columns, "columns", around ? 3 : 1, MOST);
  integer(rows, "rows", around ? 3 : 1, MOST);
  const sketch = new Sketch();
  const name = (x: number, y: number) => `n${x % columns + 1}-${y % rows + 1}`;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) sketch.hosts(sketch.router(name(x, y)), hosts);
  }
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      if (around || x + 1 < columns) sketch.link(name(x, y), name(x + 1, y));
      if (around || y + 1 < rows) sketch.link(name(x, y), name(x, y + 1));
    }
  }
  return sketch.spec;
}

/**
 * Routers of which each has a link to each other one.
 *
 * @param count Number of routers, from 2.
 * @param options Hosts at each router.
 * @throws {RangeError} For numbers out of range.
 */
export function mesh(count: number, options: GeneratorOptions = {}): TopologySpec {
  const sketch = new Sketch();
  const names = routers(sketch, count, 2, hostsOf(options, GENERATOR));
  names.forEach((a, i) => names.slice(i + 1).forEach((b) => sketch.link(a, b)));
  return sketch.spec;
}

/**
 * Routers with random links, all connected: a random tree, and further links up to the mean degree.
 *
 * @param count Number of routers, from 2.
 * @param options Seed, mean number of links at a router, hosts at each router.
 * @throws {RangeError} For numbers out of range.
 *
 * @example The same seed gives the same topology
 * ```ts
 * import { random } from "@netloom/netloom/lab";
 * import { assertEquals, assertNotEquals } from "@std/assert";
 *
 * assertEquals(random(20, { seed: 7 }), random(20, { seed: 7 }));
 * assertNotEquals(random(20, { seed: 7 }), random(20, { seed: 8 }));
 * ```
 */
export function random(count: number, options: RandomOptions = {}): TopologySpec {
  const hosts = hostsOf(options, RANDOM);
  const seed = integer(options.seed ?? 1, "seed", 0, 2 ** 32 - 1);
  const { degree = 3 } = options;
  if (typeof degree !== "number" || !(degree >= 2 && degree < MOST)) {
    throw new RangeError(`degree must be in 2..${MOST}: got ${degree}`);
  }
  const sketch = new Sketch();
  const names = routers(sketch, count, 2, hosts);
  const below = (limit: number, purpose: string) => hash(`random ${purpose}`, seed)[0] % limit;
  const linked = new Set<string>();
  const link = (a: number, b: number) => {
    const key = `${Math.min(a, b)} ${Math.max(a, b)}`;
    if (a === b || linked.has(key)) return;
    linked.add(key);
    sketch.link(names[Math.min(a, b)]!, names[Math.max(a, b)]!);
  };
  for (let i = 1; i < count; i++) link(i, below(i, `tree ${i}`));
  const most = count * (count - 1) / 2;
  const wanted = Math.min(Math.round(count * degree / 2), most);
  for (let i = 0; linked.size < wanted && i < 100 * wanted; i++) {
    link(below(count, `from ${i}`), below(count, `to ${i}`));
  }
  return sketch.spec;
}
