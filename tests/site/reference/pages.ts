// The pages of the reference as Markdown for VitePress: one for each module with public symbols, one for
// each entry point, and the list of all symbols.
import type { Declaration, Entry, JsDoc, Member, Page, PublicSymbol, Reference } from "./model.ts";
import { folderOf } from "./model.ts";
import { called, escape, Signatures } from "./signature.ts";
import { example, type Find, firstSentence, markdown } from "./text.ts";

/** Words for the kinds of declarations. */
const WORDS: Record<string, string> = {
  class: "class",
  function: "function",
  interface: "interface",
  typeAlias: "type",
  variable: "constant",
};

/** Writes the pages. */
export class Pages {
  readonly #reference: Reference;
  readonly #byName = new Map<string, PublicSymbol[]>();

  constructor(reference: Reference) {
    this.#reference = reference;
    for (const symbol of reference.pages.flatMap(({ symbols }) => symbols)) {
      this.#byName.set(symbol.name, [...this.#byName.get(symbol.name) ?? [], symbol]);
    }
  }

  /** All pages: their paths below docs/api/, and their texts. */
  all(): Map<string, string> {
    const { entries, pages } = this.#reference;
    return new Map([
      ...pages.map((page): [string, string] => [`${page.path}.md`, this.#page(page)]),
      ...entries.map((entry): [string, string] => [`${indexOf(entry)}.md`, this.#entry(entry)]),
      ["all_symbols.md", this.#allSymbols()],
    ]);
  }

  /** The addresses of symbols: those of an entry point by `tc/Impairment`, those of the root by `Veth`. */
  addresses(): Record<string, string> {
    return Object.fromEntries(
      this.#reference.entries.flatMap(({ key, symbols }) =>
        symbols.flatMap((symbol) => {
          const prefix = key === "." ? "" : `${key.slice(2)}/`;
          const members = symbol.declarations.flatMap(({ def }) =>
            [...def.methods ?? [], ...def.properties ?? []].filter(isPublic)
              .map(({ name, isStatic }) => `${isStatic ? "" : "prototype."}${name}`)
          );
          const own: [string, string][] = [[prefix + symbol.name, addressOf(symbol)]];
          return own.concat(members.map((member) => [
            `${prefix}${symbol.name}.${member}`,
            addressOf(symbol, member.replace("prototype.", "")),
          ]));
        })
      ),
    );
  }

  /** The side bar: a group for each entry point. */
  sidebar(): unknown[] {
    return this.#reference.entries.map((entry) => ({
      text: entry.key === "." ? this.#reference.name : entry.key.slice(2),
      link: `/api/${indexOf(entry)}`,
      collapsed: true,
      items: entry.pages.map(({ path, title }) => {
        const [folder] = path.split("/").slice(1, -1).slice(-1);
        const isUnique = entry.pages.filter((page) => page.title === title).length === 1;
        const text = isUnique ? title : `${title} (${folder?.replaceAll("_", " ") ?? "class"})`;
        return { text, link: `/api/${path}` };
      }),
    }));
  }

  #page(page: Page): string {
    const { symbols } = page;
    const context = new Context(page, (name, file) => this.#find(name, file));
    const [home] = symbols.flatMap(({ entries }) => entries).filter((key) =>
      folderOf(key) === page.path.split("/")[0]
    );
    // The symbol that the page is named after has the page's own heading.
    const first = symbols[0]?.name === page.title ? symbols[0] : undefined;
    const parts = symbols.map((symbol) => context.symbol(symbol, symbol === first));
    return [
      `---\noutline: [2, 3]\neditLink: false\nreference: true\n---`,
      ...(first
        ? [`# ${page.title} ${badge(first)} {#${anchor(first.name)}}`]
        : [`# ${page.title} {#page}`]),
      this.#importLine(symbols, home!),
      ...parts,
    ].join("\n\n") + "\n";
  }

  #importLine(symbols: readonly PublicSymbol[], home: string): string {
    const { name } = this.#reference;
    const from = (key: string) =>
      `[\`${name}${key.slice(1)}\`](/api/${key === "." ? "" : `${key.slice(2)}/`}index)`;
    const others = [...new Set(symbols.flatMap(({ entries }) => entries))]
      .filter((key) => key !== home);
    const also = others.length > 0 ? `; some or all also from ${others.map(from).join(", ")}` : "";
    return `<div class="import">\n\nImport from ${from(home)}${also}.\n\n</div>`;
  }

  #entry(entry: Entry): string {
    const { name } = this.#reference;
    const title = `${name}${entry.key.slice(1)}`;
    const context = new Context(
      { file: entry.file, path: indexOf(entry), title, symbols: [] },
      (symbol, file) => this.#find(symbol, file),
    );
    const groups = ["class", "function", "interface", "typeAlias", "variable"].map((kind) => {
      const symbols = entry.symbols.filter(({ declarations }) => declarations[0]!.kind === kind)
        .sort((a, b) => a.name.localeCompare(b.name, "en"));
      const rows = symbols.map((symbol) =>
        `| [\`${symbol.name}\`](${addressOf(symbol)}) | ${
          context.summary(symbol).replaceAll("|", "\\|")
        } |`
      );
      const heading = { class: "Classes", function: "Functions", interface: "Interfaces" }[kind] ??
        (kind === "variable" ? "Constants" : "Types");
      return rows.length > 0
        ? `## ${heading}\n\n| Name | |\n| --- | --- |\n${rows.join("\n")}`
        : "";
    });
    const head = "---\noutline: 2\neditLink: false\nreference: true\n---";
    return [head, `# ${title}`, context.comment(entry.jsDoc), ...groups]
      .filter((part) => part !== "").join("\n\n") + "\n";
  }

  #allSymbols(): string {
    const all = this.#reference.pages.flatMap(({ symbols }) => symbols)
      .sort((a, b) => a.name.localeCompare(b.name, "en"));
    const letters = Map.groupBy(all, ({ name }) => name[0]!.toUpperCase());
    const parts = [...letters].map(([letter, symbols]) =>
      `## ${letter}\n\n` +
      symbols.map((symbol) =>
        `[\`${symbol.name}\`](${addressOf(symbol)}) <small>${
          WORDS[symbol.declarations[0]!.kind]
        }, ${
          folderOf(
            symbol.page.path.split("/")[0] === "netloom"
              ? "."
              : `./${symbol.page.path.split("/")[0]}`,
          )
        }</small>`
      ).join(" \\\n")
    );
    return `---\noutline: 2\neditLink: false\nsearch: false\n---\n\n# All symbols\n\n${all.length} symbols of ${this.#reference.entries.length} entry points.\n\n${
      parts.join("\n\n")
    }\n`;
  }

  /** The class that has a member: this one, or one that it extends. */
  #owner(symbol: PublicSymbol, member: string): PublicSymbol | undefined {
    if (has(symbol, member)) return symbol;
    const base = symbol.declarations[0]!.def.extends;
    const [next] = typeof base === "string" ? this.#byName.get(base) ?? [] : [];
    return next && this.#owner(next, member);
  }

  /** The address of a name, seen from a module: its own symbols first, then those of its entry point. */
  #find(name: string, page: Page): string | undefined {
    const [first = "", ...rest] = name.replace(".prototype.", ".").split(".");
    const candidates = this.#byName.get(first) ?? [];
    const near = (symbol: PublicSymbol) =>
      symbol.page.file === page.file
        ? 0
        : symbol.page.path.split("/")[0] === page.path.split("/")[0]
        ? 1
        : symbol.entries.includes(".")
        ? 2
        : 3;
    const [best] = candidates.toSorted((a, b) => near(a) - near(b));
    if (!best) return undefined;
    const member = rest.join(".");
    return addressOf(member === "" ? best : this.#owner(best, member) ?? best, member);
  }
}

/** Neither protected nor private. */
function isPublic({ accessibility }: Member): boolean {
  return accessibility === undefined;
}

/** Whether a symbol has a member of its own. */
function has({ declarations }: PublicSymbol, member: string): boolean {
  return declarations.some(({ def }) =>
    [...def.methods ?? [], ...def.properties ?? []].some((it) => it.name === member && isPublic(it))
  );
}

/** The page of an entry point, below /api/. */
function indexOf({ key }: Entry): string {
  return key === "." ? "index" : `${key.slice(2)}/index`;
}

/** The address of a symbol or of a member of it. */
function addressOf(symbol: PublicSymbol, member = ""): string {
  const { name, page } = symbol;
  return `/api/${page.path}#${anchor(has(symbol, member) ? `${name}-${member}` : name)}`;
}

/** The kinds of a symbol, beside its name. */
function badge({ declarations }: PublicSymbol): string {
  const words = [...new Set(declarations.map(({ kind }) => WORDS[kind]))].join(", ");
  return `<Badge type="info" text="${words}" />`;
}

function anchor(text: string): string {
  return text.replace("->", "to").replace("<-", "from").replace(/[^\w-]+/g, "-").replace(/-$/, "");
}

/** The parts of one page. */
class Context {
  readonly #find: Find;
  readonly #signatures: Signatures;

  constructor(page: Page, find: (name: string, page: Page) => string | undefined) {
    this.#find = (name) => find(name, page);
    const up = "../".repeat(page.path.split("/").length);
    this.#signatures = new Signatures((name, from) => {
      if (from.value?.resolution?.declaringName !== undefined) return undefined; // a type parameter
      // Links in a signature are HTML, which VitePress leaves alone: so they are relative.
      const address = this.#find(name)?.replace(/^\//, up).replace("#", ".html#");
      return address?.replace(`${up}api/${page.path}.html`, "");
    });
  }

  /** A symbol, with all that its documentation says. */
  symbol(symbol: PublicSymbol, hasHeading: boolean): string {
    const heading = `## ${escape(symbol.name)} ${badge(symbol)} {#${anchor(symbol.name)}}`;
    return [
      ...hasHeading ? [] : [heading],
      ...symbol.declarations.map((declaration) => this.#declaration(symbol, declaration)),
    ].join("\n\n");
  }

  /** The first sentence about a symbol, for a table. */
  summary({ declarations }: PublicSymbol): string {
    return markdown(firstSentence(declarations[0]!.jsDoc?.doc), this.#find);
  }

  #declaration(symbol: PublicSymbol, { kind, def, jsDoc }: Declaration): string {
    const parts = [signature(this.#head(symbol, kind, def)), this.comment(jsDoc)];
    const all = (def.methods ?? []).filter(isPublic);
    const methods = overloads(all.filter(({ kind }) => kind !== "getter" && kind !== "setter"));
    const properties = [...(def.properties ?? []).filter(isPublic), ...accessors(all)];
    if (kind === "class") {
      const constructors = (def.constructors ?? []).filter(isPublic)
        .filter(({ jsDoc }) => !/^(Use|For) /.test(jsDoc?.doc ?? ""));
      parts.push(
        ...overloads(constructors.map((it) => ({ ...it, isStatic: true })))
          .map((it) => this.#method(symbol, it)),
        ...methods.filter(([{ isStatic }]) => isStatic).map((it) => this.#method(symbol, it)),
        this.#properties(symbol, properties),
        ...methods.filter(([{ isStatic }]) => !isStatic).map((it) => this.#method(symbol, it)),
      );
    } else if (kind === "interface") {
      parts.push(
        this.#properties(symbol, properties),
        ...methods.map((it) => this.#method(symbol, it)),
      );
    }
    return parts.filter((part) => part !== "").join("\n\n");
  }

  #head({ name }: PublicSymbol, kind: string, def: Declaration["def"]): string {
    const word = (text: string) => `<i class="keyword">${text}</i>`;
    const params = this.#signatures.typeParams(def.typeParams);
    if (kind === "function") {
      const async = def.isAsync ? `${word("async")} ` : "";
      return `${async}${word("function")} ${
        this.#signatures.callable(name, called({ name, ...def }))
      }`;
    }
    if (kind === "typeAlias") return `${word("type")} ${name}${params} = ${this.#type(def.tsType)}`;
    if (kind === "variable") return `${word("const")} ${name}: ${this.#type(def.tsType)}`;
    const bases = typeof def.extends === "string"
      ? [this.#signatures.name(def.extends, { kind: "typeRef", value: {} })]
      : (def.extends ?? []).map((type) => this.#signatures.type(type));
    const extended = bases.length > 0 ? ` ${word("extends")} ${bases.join(", ")}` : "";
    const implemented = (def.implements ?? []).map((type) => this.#signatures.type(type));
    const promises = implemented.length > 0
      ? ` ${word("implements")} ${implemented.join(", ")}`
      : "";
    const abstract = def.isAbstract ? `${word("abstract")} ` : "";
    return `${abstract}${word(kind)} ${name}${params}${extended}${promises}`;
  }

  #type(type: Declaration["def"]["tsType"]): string {
    return type ? this.#signatures.type(type) : "unknown";
  }

  /** A method, with the comment of each of its forms. */
  #method(symbol: PublicSymbol, forms: Overloads): string {
    const [{ name, isStatic }] = forms;
    const isNew = name === "constructor";
    const shown = isNew
      ? `new ${symbol.name}()`
      : `${isStatic ? symbol.name : ""}${name.startsWith("[") ? "" : "."}${name}()`;
    const head = `### ${escape(shown).replaceAll("[", "\\[")} {#${
      anchor(`${symbol.name}-${name}`)
    }}`;
    const called_ = isNew
      ? `new ${symbol.name}`
      : (isStatic ? `${symbol.name}.` : "") + escape(name);
    const parts = forms.flatMap((form) => [
      signature(this.#signatures.callable(called_, called(form))),
      this.comment(form.jsDoc),
    ]);
    return [head, ...parts].filter((part) => part !== "").join("\n\n");
  }

  #properties(symbol: PublicSymbol, members: readonly Member[]): string {
    if (members.length === 0) return "";
    const items = members.map((member) => {
      const prefix = member.isStatic ? `${symbol.name}.` : "";
      const text = this.#signatures.property({ ...member, name: prefix + member.name });
      const id = anchor(`${symbol.name}-${member.name}`);
      const comment = this.comment(member.jsDoc);
      return `<dt id="${id}" v-pre><code>${lines(text)}</code></dt>\n<dd>\n\n${comment}\n\n</dd>`;
    });
    return `<dl class="members">\n${items.join("\n")}\n</dl>`;
  }

  /** A comment: its text, parameters, result and errors, and its examples. */
  comment({ doc = "", tags = [] }: JsDoc = {}): string {
    const text = (part = "") => markdown(part, this.#find);
    const of = (kind: string) => tags.filter((tag) => tag.kind === kind);
    const rows = [
      ...of("param").map(({ name, doc }) => `- \`${name}\`: ${indented(text(doc))}`),
      ...of("return").map(({ doc }) => `- **Returns** ${indented(text(doc))}`),
      ...of("throws").map(({ doc, tsType }) => {
        const type = tsType ? `<code v-pre>${this.#signatures.type(tsType)}</code> ` : "";
        return `- **Throws** ${type}${indented(text(doc))}`;
      }),
    ];
    const examples = of("example").map((tag) => example(tag.doc ?? ""))
      .map(({ title, body }) => `**${title}**\n\n${body.startsWith("```") ? body : text(body)}`);
    return [text(doc), rows.join("\n"), ...examples].filter((part) => part !== "").join("\n\n");
  }
}

/** The forms of one method. */
type Overloads = readonly [Member, ...Member[]];

function overloads(methods: readonly Member[]): Overloads[] {
  const groups = Map.groupBy(methods, ({ name, isStatic }) => `${isStatic} ${name}`);
  return [...groups.values()] as unknown as Overloads[];
}

/** Getters as the properties that they are to a reader; those without a setter are read-only. */
function accessors(methods: readonly Member[]): Member[] {
  return methods.filter(({ kind }) => kind === "getter").map(({ functionDef, ...getter }) => ({
    ...getter,
    readonly: !methods.some(({ kind, name }) => kind === "setter" && name === getter.name),
    ...(functionDef?.returnType ? { tsType: functionDef.returnType } : {}),
  }));
}

function indented(text: string): string {
  return text.replaceAll("\n", "\n  ");
}

/** HTML in which an empty line would end the block, as Markdown has it. */
function lines(html: string): string {
  return html.replaceAll("\n", "<br>").replace(
    /(?<=^|<br>)( +)/g,
    (spaces) => "&nbsp;".repeat(spaces.length),
  );
}

function signature(html: string): string {
  return `<div class="signature" v-pre><code>${lines(html)}</code></div>`;
}
