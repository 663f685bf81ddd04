/**
 * `parseArgs` over minimist, from which std's own is derived.
 *
 * @module
 */
// @ts-types="@types/minimist"
import minimist from "minimist";

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
  /** Flags that `--no-NAME` sets to `false`. minimist takes any flag for one. */
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
  const [booleans, strings, collected] = [named(boolean), named(string), named(collect)];
  const defaults = new Map(
    Object.entries(options.default ?? {}).flatMap(([name, value]) =>
      named(name).map((other) => [other, value])
    ),
  );

  const { _, ...given } = minimist(args, {
    alias,
    boolean: booleans,
    string: strings,
    default: Object.fromEntries(booleans.map((name) => [name, defaults.get(name)])),
    stopEarly: options.stopEarly ?? false,
    unknown: (arg) => options.unknown?.(arg) !== false,
  });
  // minimist collects whatever is repeated.
  const flags = Object.entries(given).map(([name, value]) => {
    const values = [value].flat();
    return [name, collected.includes(name) ? values : values.at(-1)];
  });
  const none = strings.filter((name) => collected.includes(name)).map((name) => [name, []]);
  return Object.fromEntries([...none, ...defaults, ...flags, ["_", _]]);
}
