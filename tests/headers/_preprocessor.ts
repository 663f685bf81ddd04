// The part of the C preprocessor that kernel headers need: conditionals, #include of other kernel
// headers, object-like and function-like macros.

import { evaluate, isIdentifier, NotConstantError, type Token, tokenize } from "./_expression.ts";

interface Macro {
  /** Undefined for an object-like macro. */
  readonly params: readonly string[] | undefined;
  readonly body: readonly Token[];
}

/** Headers that the kernel ships; the rest (sys/, bits/, stddef.h) belongs to libc or the compiler. */
const KERNEL_HEADER = /^(?:linux|asm|asm-generic)\//;

/** One translation unit: headers are read into it one after the other and see each other's macros. */
export class Preprocessor {
  readonly #dirs: readonly string[];
  readonly #macros = new Map<string, Macro>();
  readonly #tokens: Token[] = [];
  readonly #predefined: ReadonlySet<string>;

  constructor(dirs: readonly string[], predefined: readonly string[]) {
    this.#dirs = dirs;
    this.#predefined = new Set(predefined);
    for (const name of predefined) this.#macros.set(name, { params: undefined, body: ["1"] });
  }

  /** What is left of the headers outside of directives, macros not expanded. */
  get tokens(): readonly Token[] {
    return this.#tokens;
  }

  /** Names of the macros without parameters that the headers defined. */
  get objectMacros(): string[] {
    return [...this.#macros]
      .filter(([name, macro]) => macro.params === undefined && !this.#predefined.has(name))
      .map(([name]) => name);
  }

  /** Reads a header named as in `#include <file>`. */
  include(file: string): void {
    const conditions = new Conditions();
    for (const line of logicalLines(this.#read(file))) {
      const directive = /^\s*#\s*(\w*)\s*(.*)$/.exec(line);
      if (directive === null) {
        if (conditions.active) this.#tokens.push(...tokenize(line));
        continue;
      }
      const [, name = "", rest = ""] = directive;
      if (conditions.handle(name, () => this.#condition(name, rest))) continue;
      if (!conditions.active) continue;
      if (name === "define") this.#define(rest);
      else if (name === "undef") this.#macros.delete(rest.trim());
      else if (name === "include") this.#includeNested(rest);
      else if (name === "error") throw new Error(`${file}: #error ${rest}`);
    }
    if (!conditions.closed) throw new Error(`${file} ends inside of an #if`);
  }

  #read(file: string): string {
    for (const dir of this.#dirs) {
      try {
        return Deno.readTextFileSync(`${dir}/${file}`);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    throw new Deno.errors.NotFound(`No header ${file} in ${this.#dirs.join(", ")}`);
  }

  #includeNested(rest: string): void {
    const file = /^[<"]([^>"]+)[>"]/.exec(rest)?.[1];
    if (file !== undefined && KERNEL_HEADER.test(file)) this.include(file);
  }

  #define(rest: string): void {
    const match = /^(\w+)(?:\(([^)]*)\))?(.*)$/.exec(rest);
    if (match === null) throw new Error(`Malformed #define ${rest}`);
    const [, name = "", params, body = ""] = match;
    this.#macros.set(name, {
      params: params?.split(",").map((param) => param.trim()).filter((param) => param !== ""),
      body: tokenize(body),
    });
  }

  #condition(directive: string, rest: string): boolean {
    if (directive === "ifdef") return this.#macros.has(rest.trim());
    if (directive === "ifndef") return !this.#macros.has(rest.trim());
    const answered = rest.replace(
      /\bdefined\s*(?:\(\s*(\w+)\s*\)|(\w+))/g,
      (_, inParens, bare) => this.#macros.has(inParens ?? bare) ? "1" : "0",
    );
    // In #if a name that is no macro counts as 0.
    return evaluate(this.expand(tokenize(answered)), () => 0n) !== 0n;
  }

  /** Expands all macros, those named in `hidden` excepted (a macro is not expanded in itself). */
  expand(tokens: readonly Token[], hidden: ReadonlySet<string> = new Set()): Token[] {
    const out: Token[] = [];
    for (let at = 0; at < tokens.length; at++) {
      const token = tokens[at] as Token;
      const macro = isIdentifier(token) && !hidden.has(token) ? this.#macros.get(token) : undefined;
      const inner = new Set(hidden).add(token);
      if (macro === undefined) {
        out.push(token);
      } else if (macro.params === undefined) {
        out.push(...this.expand(paste(macro.body), inner));
      } else if (tokens[at + 1] === "(") {
        const { args, end } = readArguments(tokens, at + 1);
        out.push(...this.expand(this.#substitute(macro.params, macro.body, args, hidden), inner));
        at = end;
      } else {
        out.push(token);
      }
    }
    return out;
  }

  /** A function-like macro's body with its arguments in it: expanded, but as written next to ##. */
  #substitute(
    params: readonly string[],
    body: readonly Token[],
    args: readonly Token[][],
    hidden: ReadonlySet<string>,
  ): Token[] {
    const filled = body.flatMap((token, at) => {
      const arg = args[params.indexOf(token)];
      if (arg === undefined) return [token];
      const pasted = body[at - 1] === "##" || body[at + 1] === "##";
      return pasted ? arg : this.expand(arg, hidden);
    });
    return paste(filled);
  }
}

/** Nested #if groups: which lines count. */
class Conditions {
  readonly #groups: { active: boolean; taken: boolean }[] = [];

  get active(): boolean {
    return this.#groups.every((group) => group.active);
  }

  get closed(): boolean {
    return this.#groups.length === 0;
  }

  /** Handles a conditional directive; `test` is asked only where its answer matters. */
  handle(directive: string, test: () => boolean): boolean {
    if (/^if(?:n?def)?$/.test(directive)) {
      const active = this.active && test();
      // In a group that is off as a whole no branch is ever tested.
      this.#groups.push({ active, taken: active || !this.active });
      return true;
    }
    if (directive !== "elif" && directive !== "else" && directive !== "endif") return false;
    const group = this.#groups.pop();
    if (group === undefined) throw new Error(`#${directive} without #if`);
    if (directive === "endif") return true;
    const active = !group.taken && (directive === "else" || test());
    this.#groups.push({ active, taken: group.taken || active });
    return true;
  }
}

/** Lines with continuations joined and comments replaced by a space. */
function logicalLines(source: string): string[] {
  return source
    .replace(/\\\r?\n/g, "")
    .replace(/"(?:[^"\\\n]|\\.)*"|\/\*[^]*?\*\/|\/\/.*/g, (match) => match[0] === '"' ? match : " ")
    .split(/\r?\n/);
}

/** Arguments of a macro call whose parenthesis opens at `open`; `end` is where it closes. */
function readArguments(tokens: readonly Token[], open: number): { args: Token[][]; end: number } {
  const args: Token[][] = [[]];
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    const token = tokens[at] as Token;
    if (token === "(") depth++;
    if (token === ")") depth--;
    if (depth === 0) return { args, end: at };
    if (token === "," && depth === 1) args.push([]);
    else if (at > open) args.at(-1)?.push(token);
  }
  throw new NotConstantError(`Unclosed macro call in "${tokens.join(" ")}"`);
}

/** Joins the neighbours of every ##. */
function paste(tokens: readonly Token[]): Token[] {
  const out: Token[] = [];
  for (let at = 0; at < tokens.length; at++) {
    if (tokens[at] === "##") out.push((out.pop() ?? "") + (tokens[++at] ?? ""));
    else out.push(tokens[at] as Token);
  }
  return out;
}
