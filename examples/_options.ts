/**
 * The options of an example.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { lacking } from "./_needs.ts";

/** An option of one example: a switch, or with `value` one that takes a word. */
export interface Option {
  /** Its purpose, for `--help`. */
  readonly help: string;
  /** A name for its word in `--help`: `FILE`. */
  readonly value?: string;
}

/** The needs and options of an example. */
export interface About<Own extends Record<string, Option>> {
  /** Its needs: link kinds, `bridge vlan_filtering`. Default: `["veth"]`. */
  readonly needs?: readonly string[];
  /** Options beside `--keep` and `--help`, by name. */
  readonly own?: Own;
}

/** The values of an example's own options. */
export type Values<Own extends Record<string, Option>> = {
  [K in keyof Own]: Own[K] extends { value: string } ? string | undefined : boolean;
};

/** Reads the options. `--help`, bad arguments, and a kernel that lacks a need end the script here. */
export function options<const Own extends Record<string, Option> = Record<never, never>>(
  title: string,
  { needs = ["veth"], own }: About<Own> = {},
): { keep: boolean } & Values<Own> {
  const all: [string, Option][] = [
    ...Object.entries(own ?? {}),
    ["keep", { help: "holds the network up for exploring, until Ctrl-C" }],
    ["help", { help: "prints this" }],
  ];
  const names = (word: boolean) =>
    all.filter(([, { value }]) => (value !== undefined) === word).map(([name]) => name);
  const flags: Record<string, unknown> = parseArgs(Deno.args, {
    boolean: names(false),
    string: names(true),
    alias: { help: "h" },
    unknown: (arg: string) => {
      fail(`Unknown argument ${arg}; allowed are ${all.map(([name]) => `--${name}`).join(", ")}`);
    },
  });
  if (flags.help) {
    console.log(usageOf(title, all, needs));
    Deno.exit();
  }
  for (const [name, { value }] of all) {
    if (value !== undefined && flags[name] === "") fail(`--${name} takes a value: ${value}`);
  }
  const lack = lacking(needs);
  if (lack) fail(lack.message.replace("SCRIPT", LINE), lack.code);
  return flags as { keep: boolean } & Values<Own>;
}

/** The number that an option was given; ends the script if it is not one above 0. */
export function number(option: string, word: string): number {
  if (Number(word) > 0 && Number(word) < Infinity) return Number(word);
  fail(`${option} takes a number above 0: got ${JSON.stringify(word)}`);
}

/** The whole number that an option was given; ends the script if it is not one above 0. */
export function wholeNumber(option: string, word: string): number {
  if (Number.isSafeInteger(Number(word)) && Number(word) > 0) return Number(word);
  fail(`${option} takes a whole number above 0: got ${JSON.stringify(word)}`);
}

/** Opens the file that an option names, before any work that would be in vain. */
export function openFile<T>(option: string, path: string, open: (path: string) => T): T {
  try {
    return open(path);
  } catch (error) {
    fail(`${option} names a file that cannot be written: ${(error as Error).message}`);
  }
}

/** Ends the script with a line on standard error. */
export function fail(message: string, code = 2): never {
  console.error(message);
  Deno.exit(code);
}

const LINE = `deno run -A examples/${Deno.mainModule.split("/").at(-1)}`;

function usageOf(title: string, all: [string, Option][], needs: readonly string[]): string {
  const words = all.map(([name, { value }]) => `--${name}${value ? ` ${value}` : ""}`);
  const width = Math.max(...words.map((word) => word.length));
  const lines = all.map(([, { help }], i) => `  ${words[i]!.padEnd(width)}  ${help}`);
  return `${title}.

Usage: ${LINE} [OPTION]...

${lines.join("\n")}

Needs root, or as an ordinary user: unshare -Urmn ${LINE}
Needs of the kernel: ${needs.join(", ")}
Exit codes: 0 good, 1 bad, 2 wrong argument, 77 the kernel lacks a need`;
}
