import { assert, assertArrayIncludes, assertEquals } from "@std/assert";
import { LAYERS } from "../layout.ts";
import { linkKindNames } from "../../src/rtnetlink/link_info.ts";

const ROOT = new URL("../../", import.meta.url);

/** The codecs, which are tested without privileges. */
const CODEC = /^src\/(packet\/|netlink\/(message|schema|attribute\w*)\.ts$)/;

const sources = [...sourceFiles("")].sort();
const imports = await importsOf(sources);

/** The package's modules, as paths from its root. */
function* sourceFiles(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
    const path = `${folder}${name}`;
    if (isDirectory && (folder || ["ffi", "src"].includes(name))) yield* sourceFiles(`${path}/`);
    else if (path.endsWith(".ts")) yield path;
  }
}

interface Info {
  modules: { specifier: string; dependencies?: Dependency[] }[];
}

interface Dependency {
  specifier: string;
  code?: { specifier?: string };
  type?: { specifier?: string };
}

/** What each module imports, type-only imports included. */
async function importsOf(files: string[]): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const file of files) {
    if (found.has(file)) continue;
    const command = new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", file],
      cwd: ROOT,
    });
    const { modules }: Info = JSON.parse(new TextDecoder().decode((await command.output()).stdout));
    for (const { specifier, dependencies = [] } of modules) {
      const targets = dependencies.map((it) => (it.code ?? it.type)?.specifier ?? it.specifier);
      if (!pathOf(specifier).startsWith("jsr:")) found.set(pathOf(specifier), targets.map(pathOf));
    }
  }
  return found;
}

/** A module's path from the root; the stand-ins of Deno's standard library count as packages of JSR. */
function pathOf(specifier: string): string {
  return specifier.replace(ROOT.href, "").replace(/^tests\/std\/(\w+)\/.*/, "jsr:@std/$1");
}

function folderOf(path: string): string {
  if (/^(npm|jsr):/.test(path)) return path;
  return path.includes("/") ? path.replace(/^(src\/[^/]+|[^/]+)\/.*/, "$1") : ".";
}

function layerOf(path: string): number {
  return LAYERS.findIndex((folders) => folders.includes(folderOf(path)));
}

/** The imports that break a rule, each as an arrow. */
function breaking(rule: (from: string, to: string) => boolean): string[] {
  return [...imports].flatMap(([from, targets]) =>
    targets.filter((to) => !rule(from, to)).map((to) => `${from} -> ${to}`)
  );
}

function text(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

Deno.test("Every source file has its place in the layers", () => {
  assertEquals(sources.filter((path) => layerOf(path) < 0), []);
});

Deno.test("Imports point downward or stay in their folder", () => {
  assertArrayIncludes(imports.get("ffi/file.ts")!, ["ffi/libc.ts"]); // the reading of imports works
  assertEquals(
    breaking((from, to) => folderOf(from) === folderOf(to) || layerOf(to) < layerOf(from)),
    [],
  );
});

/** The modules of each knot: those that lead to each other (Tarjan's strongly connected components). */
function knots(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const open: string[] = [];
  const found: string[][] = [];
  const visit = (from: string): void => {
    order.set(from, order.size);
    low.set(from, order.get(from)!);
    open.push(from);
    for (const to of graph.get(from) ?? []) {
      if (!order.has(to)) visit(to);
      if (open.includes(to)) low.set(from, Math.min(low.get(from)!, low.get(to)!));
    }
    if (low.get(from) !== order.get(from)) return;
    const knot = open.splice(open.indexOf(from));
    if (knot.length > 1 || graph.get(from)?.includes(from)) found.push(knot.sort());
  };
  for (const module of graph.keys()) if (!order.has(module)) visit(module);
  return found;
}

Deno.test("No modules import each other in a circle, type-only imports included", () => {
  const circle = new Map([["a", ["b"]], ["b", ["c", "d"]], ["c", ["a"]], ["d", []], ["e", ["e"]]]);
  assertEquals(knots(circle), [["a", "b", "c"], ["e"]]);
  assertEquals(knots(imports), []);
});

/** The folders whose modules load packages of npm or JSR, when they are used. */
const WITH_PACKAGES = ["src/view", "src/lab", "src/cli"];

/** The file of these folders that other layers import: types. */
const WITHOUT_PACKAGES = ["src/view/options.ts"];

Deno.test("Only pictures, labs and the command import packages from outside, and the root imports none of that", () => {
  const outside = (from: string, to: string) =>
    sources.includes(to) || WITH_PACKAGES.includes(folderOf(from)) && /^(npm|jsr):/.test(to);
  assertEquals(breaking(outside), []);
  const root = ["mod.ts"];
  for (const path of root) {
    root.push(...(imports.get(path) ?? []).filter((to) => !root.includes(to)));
  }
  assertEquals(
    root.filter((path) =>
      WITH_PACKAGES.includes(folderOf(path)) && !WITHOUT_PACKAGES.includes(path)
    ),
    [],
  );
});

Deno.test("Codecs import no ffi", () => {
  assert(sources.some((path) => CODEC.test(path)));
  assertEquals(breaking((from, to) => !CODEC.test(from) || folderOf(to) !== "ffi"), []);
});

/** The files of both folders that are about one kind, or about kinds of one driver. */
const KINDS = /^export \{.*\} from "\.\/(\w+)\.ts";$|^export \* from "\.\/(\w+)\.ts";$/gm;

/** Files that a table of kinds names, as paths. */
function kindFiles(table: string): string[] {
  const folder = table.replace(/[^/]+$/, "");
  return [...text(table).matchAll(KINDS)].map(([, a, b]) => `${folder}${a ?? b}.ts`);
}

Deno.test("Link kinds do not import each other", () => {
  const wire = kindFiles("src/rtnetlink/link_kinds/table.ts");
  const classes = kindFiles("src/link/kinds.ts");
  assertArrayIncludes(wire, ["src/rtnetlink/link_kinds/vlan.ts"]);
  assertArrayIncludes(classes, ["src/link/veth.ts"]);
  for (const kinds of [wire, classes]) {
    assertEquals(breaking((from, to) => !kinds.includes(from) || !kinds.includes(to)), []);
  }
});

Deno.test("The files that all link kinds share name none of them", () => {
  const kinds = linkKindNames().map((kind) => `\\b${kind}s?\\b`).join("|");
  for (const path of ["src/link/options.ts", "src/link/create.ts", "src/scope/ready.ts"]) {
    const code = text(path).replace(/\/\*\*.*?\*\/|\/\/.*$/gms, "");
    assertEquals(code.match(new RegExp(kinds, "gi")) ?? [], [], path);
  }
});

Deno.test("Only ffi opens libraries and holds pointers", () => {
  const users = sources.filter((path) => /\bDeno\.(dlopen|Unsafe\w+)/.test(text(path)));
  assert(users.length > 0);
  assertEquals(users.filter((path) => folderOf(path) !== "ffi"), []);
});

Deno.test("Importing the library needs no permission", async () => {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-config", "-"],
    stdin: "piped",
  });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(`import "${new URL("mod.ts", ROOT)}";`));
  await writer.close();
  assertEquals((await child.status).code, 0);
});
