/**
 * `parseArgs` over Node's own, which needs no package: examples run where no registry is reached.
 *
 * @module
 */
import { parseArgs as tokenize } from "node:util";

type OneOrMore<T> = T | readonly T[];
type Aliases = Record<string, OneOrMore<string>>;

/** Options of {@linkcode parseArgs}. */
export interface ParseOptions<
  B extends string = string,
  S extends string = string,
  C extends string = string,
  N extends string = string,
  D extends Record<string, unknown> = Record<string, unknown>,
  A extends Aliases = Aliases,
> {
  /** Flags without a value, `false` unless given. */
  boolean?: OneOrMore<B>;
  /** Flags whose value stays a string, even one that looks like a number. */
  string?: OneOrMore<S>;
  /** Flags whose values are collected in an array; of the others, the last value counts. */
  collect?: OneOrMore<C>;
  /** Flags that `--no-NAME` sets to `false`. */
  negatable?: OneOrMore<N>;
  /** Values of flags that are not given. */
  default?: D;
  /** Other names of a flag. */
  alias?: A;
  /** Whether all that follows the first argument that is no flag is an argument too. */
  stopEarly?: boolean;
  /** Called with each argument that is not declared; `false` drops it. */
  unknown?: (arg: string) => unknown;
}

type Declared<B, S, C, N> =
  & { [K in Exclude<B, C> & string]: boolean }
  & { [K in Exclude<S, C> & string]?: string | (K extends N ? false : never) }
  & { [K in Extract<S, C> & string]: string[] };

type WithDefaults<T, D> =
  & { [K in keyof T as K extends keyof D ? never : K]: T[K] }
  & { [K in keyof D]: K extends keyof T ? NonNullable<T[K]> | D[K] : unknown };

type AliasesOf<K, A> = K extends keyof A ? (A[K] extends OneOrMore<infer Name> ? Name : never)
  : never;

type WithAliases<T, A> = { [K in keyof T as K | (AliasesOf<K, A> & string)]: T[K] };

/** The parsed flags, and the remaining arguments in `_`. */
export type Args<T = Record<string, unknown>> = T & { _: (string | number)[] };

/** Parses command-line arguments into flags and the arguments that remain. */
export function parseArgs<
  B extends string = never,
  S extends string = never,
  C extends string = never,
  N extends string = never,
  D extends Record<string, unknown> = Record<never, never>,
  const A extends Aliases = Record<never, never>,
>(
  args: string[],
  options: ParseOptions<B, S, C, N, D, A> = {},
): Args<WithAliases<WithDefaults<Declared<B, S, C, N>, D>, A>> {
  const { alias = {}, boolean = [], string = [], collect = [] } = options;
  const families = Object.entries<OneOrMore<string>>(alias).map((entry) => entry.flat());
  const named = (names: OneOrMore<string>): string[] =>
    [names].flat().flatMap((name) => families.find((family) => family.includes(name)) ?? name);
  const family = (name: string): string[] => named(name).flat();
  const [booleans, strings, collected] = [named(boolean), named(string), named(collect)];
  const flags: Record<string, unknown> = {};
  for (const name of strings) if (collected.includes(name)) flags[name] = [];
  for (const name of booleans) flags[name] = false;
  for (const [name, value] of Object.entries(options.default ?? {})) {
    for (const other of family(name)) flags[other] = value;
  }
  const given = new Set<string>();
  const set = (name: string, value: unknown): void => {
    const first = !given.has(name);
    for (const other of family(name)) {
      given.add(other);
      if (!collected.includes(name)) flags[other] = value;
      else flags[other] = first ? [value] : [...flags[other] as unknown[], value];
    }
  };

  const rest: (string | number)[] = [];
  const declare = (names: string[], type: "boolean" | "string") =>
    names.map((name) => [name, { type, ...(name.length === 1 ? { short: name } : {}) }]);
  const { tokens } = tokenize({
    args,
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries([...declare(booleans, "boolean"), ...declare(strings, "string")]),
  });
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token.kind === "option-terminator") {
      rest.push(...args.slice(token.index + 1));
      break;
    }
    if (token.kind === "positional") {
      if (options.unknown?.(token.value) !== false) rest.push(plain(token.value));
      if (!options.stopEarly) continue;
      rest.push(...args.slice(token.index + 1));
      break;
    }
    const { name, rawName, value } = token;
    if (booleans.includes(name)) set(name, value === undefined || value === "true");
    else if (strings.includes(name)) set(name, value ?? "");
    else if (name.startsWith("no-") && booleans.includes(name.slice(3))) set(name.slice(3), false);
    else if (options.unknown?.(rawName) !== false) {
      const next = tokens[i + 1];
      const takes = value === undefined && next?.kind === "positional";
      if (takes) i++;
      set(name, plain(value ?? (takes ? next.value : true)));
    }
  }
  return { ...flags, _: rest } as ReturnType<typeof parseArgs<B, S, C, N, D, A>>;
}

/** What looks like a number is one. */
function plain<T>(value: T): T | number {
  return typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
}
