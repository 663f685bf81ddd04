// The public symbols as `deno doc --json` tells them, and the page that each one is on.
import { ROOT } from "../../script.ts";

/** A type. What `value` is depends on `kind`. */
export interface TsType {
  readonly kind: string;
  readonly repr?: string;
  // deno-lint-ignore no-explicit-any
  readonly value: any;
}

/** A documentation comment. */
export interface JsDoc {
  readonly doc?: string;
  readonly tags?: readonly {
    readonly kind: string;
    readonly name?: string;
    readonly doc?: string;
    readonly tsType?: TsType;
  }[];
}

/** A parameter of a type: `T extends string = "a"`. */
export interface TypeParam {
  readonly name: string;
  readonly constraint?: TsType;
  readonly default?: TsType;
}

/** A parameter of a function. */
export interface Param {
  readonly kind: string;
  readonly name?: string;
  readonly optional?: boolean;
  readonly tsType?: TsType;
  /** Of one with a default. */
  readonly left?: Param;
  /** Of a rest. */
  readonly arg?: Param;
}

/** What can be called. */
export interface Callable {
  readonly params: readonly Param[];
  readonly returnType?: TsType;
  readonly typeParams?: readonly TypeParam[];
  readonly isAsync?: boolean;
}

/** A property or method of a class, an interface or a literal type. */
export interface Member extends Partial<Callable> {
  readonly name: string;
  readonly jsDoc?: JsDoc;
  readonly kind?: string;
  readonly tsType?: TsType;
  readonly functionDef?: Callable;
  readonly optional?: boolean;
  readonly readonly?: boolean;
  readonly computed?: boolean;
  readonly isStatic?: boolean;
  readonly isAbstract?: boolean;
  readonly accessibility?: string;
}

/** What a declaration declares: the members that its kind has. */
export interface Definition extends Partial<Callable> {
  readonly constructors?: readonly Member[];
  readonly properties?: readonly Member[];
  readonly methods?: readonly Member[];
  readonly indexSignatures?: readonly Member[];
  readonly callSignatures?: readonly Member[];
  /** A name, of a class; types, of an interface. */
  readonly extends?: string | readonly TsType[];
  readonly implements?: readonly TsType[];
  readonly isAbstract?: boolean;
  readonly tsType?: TsType;
  readonly kind?: string;
  /** Of a reference. */
  readonly target?: { readonly filename: string };
}

/** One declaration of a symbol. */
export interface Declaration {
  readonly kind: string;
  readonly location: { readonly filename: string; readonly line: number };
  readonly jsDoc?: JsDoc;
  readonly def: Definition;
}

/** A symbol, with all its declarations: a constant and a type may share a name. */
export interface PublicSymbol {
  readonly name: string;
  readonly declarations: Declaration[];
  /** The entry points that export it, as in deno.json. */
  readonly entries: string[];
  readonly page: Page;
}

/** A page of the reference: the symbols of one module. */
export interface Page {
  /** The module, from the root of the project. */
  readonly file: string;
  /** Its address below /api/, without an ending. */
  readonly path: string;
  readonly title: string;
  readonly symbols: PublicSymbol[];
}

/** An entry point. */
export interface Entry {
  /** As in deno.json: `./link`. */
  readonly key: string;
  readonly file: string;
  readonly jsDoc: JsDoc;
  /** The symbols that it exports. */
  readonly symbols: PublicSymbol[];
  /** The pages that are below it. */
  readonly pages: Page[];
}

/** The reference. */
export interface Reference {
  readonly name: string;
  readonly entries: Entry[];
  readonly pages: Page[];
}

interface Node {
  readonly module_doc?: JsDoc;
  readonly symbols: { readonly name: string; readonly declarations: Declaration[] }[];
}

/** The folder of an entry point below /api/. */
export function folderOf(key: string): string {
  return key.slice(2) || "netloom";
}

/** Reads the reference from the sources. */
export function readReference(): Reference {
  const { name, exports } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const nodes = doc(Object.values<string>(exports));
  const entries: Entry[] = Object.entries<string>(exports).map(([key, file]) => ({
    key,
    file: file.slice(2),
    jsDoc: nodes[file.slice(2)]!.module_doc ?? {},
    symbols: [],
    pages: [],
  }));
  const declared = declarationsOf(nodes);
  const pages = new Map<string, Page>();
  const symbols = new Map<string, PublicSymbol>();
  for (const entry of entries) {
    for (const { name, declarations } of nodes[entry.file]!.symbols) {
      const own = declared.get(targetOf(name, declarations, declared));
      if (!own) continue; // a namespace: the entry point of its own shows what is in it
      const file = own[0]!.location.filename;
      const page = pages.get(file) ?? newPage(file, homeOf(file, name, entries, nodes));
      pages.set(file, page);
      const key = `${file}#${name}`;
      const symbol = symbols.get(key) ?? { name, declarations: own, entries: [], page };
      if (!symbols.has(key)) page.symbols.push(symbol);
      symbols.set(key, symbol);
      symbol.entries.push(entry.key);
      entry.symbols.push(symbol);
    }
  }
  for (const page of pages.values()) {
    page.symbols.sort((a, b) => rank(a, page) - rank(b, page));
    const [folder] = page.path.split("/");
    entries.find(({ key }) => folderOf(key) === folder)!.pages.push(page);
  }
  for (const { pages } of entries) pages.sort((a, b) => a.title.localeCompare(b.title, "en"));
  return { name, entries, pages: [...pages.values()] };
}

function doc(files: readonly string[]): Record<string, Node> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", ...files],
    cwd: ROOT,
    stderr: "inherit",
  });
  const { success, stdout } = command.outputSync();
  if (!success) throw new Error("deno doc fails");
  const text = new TextDecoder().decode(stdout).replaceAll(`file://${ROOT}`, "");
  return JSON.parse(text).nodes;
}

/** Declarations by `FILE#NAME`. */
function declarationsOf(nodes: Record<string, Node>): Map<string, Declaration[]> {
  const all = new Map<string, Declaration[]>();
  for (const { name, declarations } of Object.values(nodes).flatMap(({ symbols }) => symbols)) {
    const own = declarations.filter(({ kind }) => kind !== "reference" && kind !== "namespace");
    if (own.length > 0) all.set(`${own[0]!.location.filename}#${name}`, own);
  }
  return all;
}

/** The key of the declarations of a symbol. A second entry point has no more than a reference to them. */
function targetOf(
  name: string,
  [first]: readonly Declaration[],
  declared: ReadonlyMap<string, Declaration[]>,
): string {
  const file = (first!.def.target ?? first!.location).filename;
  const exact = `${file}#${name}`;
  if (declared.has(exact) || first!.kind !== "reference") return exact;
  // The target is a line that exports it from somewhere else.
  return [...declared.keys()].find((key) => key.endsWith(`#${name}`)) ?? exact;
}

/** The entry point below which a file is: one beside it first, the root last. */
function homeOf(
  file: string,
  symbol: string,
  entries: readonly Entry[],
  nodes: Record<string, Node>,
): Entry {
  const near = ({ file: entry, key }: Entry) =>
    key === "." ? 2 : file.startsWith(entry.replace(/[^/]*$/, "")) ? 0 : 1;
  return entries.filter((entry) => nodes[entry.file]!.symbols.some(({ name }) => name === symbol))
    .sort((a, b) => near(a) - near(b))[0]!;
}

function newPage(file: string, home: Entry): Page {
  const folder = home.file.replace(/[^/]*$/, "");
  const inside = folder !== "" && file.startsWith(folder) ? file.slice(folder.length) : file;
  const module = inside.replace(/\/mod\.ts$|\.ts$/, "").replace(/^(src|ffi)\//, "");
  const path = `${folderOf(home.key)}/${module.replace(`${folderOf(home.key)}/`, "")}`;
  const page = { file, path, symbols: [] };
  return Object.defineProperty(page, "title", { get: () => titleOf(page), enumerable: true }) as
    & typeof page
    & { title: string };
}

function titleOf({ path, symbols }: Omit<Page, "title">): string {
  const words = path.split("/").at(-1)!.replaceAll("_", " ");
  return mainOf(words, symbols)?.name ?? words[0]!.toUpperCase() + words.slice(1);
}

/** The symbol that a module is named after. */
function mainOf(words: string, symbols: readonly PublicSymbol[]): PublicSymbol | undefined {
  const name = words.replaceAll(" ", "");
  return symbols.filter((symbol) => symbol.name.toLowerCase() === name)
    .sort((a, b) => order(a) - order(b))[0];
}

const KINDS = ["class", "function", "interface", "typeAlias", "variable"];

function order({ declarations }: PublicSymbol): number {
  return KINDS.indexOf(declarations[0]!.kind);
}

function rank(symbol: PublicSymbol, page: Page): number {
  const own = symbol.name.toLowerCase() === page.title.toLowerCase() ? 0 : 1_000_000;
  return own + order(symbol) * 100_000 + symbol.declarations[0]!.location.line;
}
