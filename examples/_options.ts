/**
 * The options of an example.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { lacking } from "./_needs.ts";

/** An option of an example's own: a switch, or with `value` one that takes a word. */
export interface Option {
  /** What it does, for `--help`. */
  readonly help: string;
  /** What its word is: `MODE`. */
  readonly value?: string;
  /** The words it takes; default: any. */
  readonly choices?: readonly string[];
}

/** What an example takes and needs. */
export interface About<Own extends Record<string, Option>> {
  /** What it needs: link kinds, `bridge vlan_filtering`, `device nodes`. Default: `["veth"]`. */
  readonly needs?: readonly string[];
  /** Options beside `--keep` and `--help`, by name. */
  readonly own?: Own;
}

/** The values of an example's own options. */
export type Values<Own extends Record<string, Option>> = {
  [K in keyof Own]: Own[K] extends { choices: readonly (infer Word)[] } ? Word | undefined
    : Own[K] extends { value: string } ? string | undefined
    : boolean;
};

/** Reads the options. `--help`, bad arguments, and what the machine lacks end the script here. */
export function options<const Own extends Record<string, Option> = Record<never, never>>(
  title: string,
  { needs = ["veth"], own }: About<Own> = {},
): { keep: boolean } & Values<Own> {
  const all: [string, Option][] = [
    ...Object.entries(own ?? {}),
    ["keep", { help: "holds the network up for exploring, until Ctrl-C" }],
    ["help", { help: "prints this" }],
  ];
  const usage = usageOf(title, all, needs);
  const unknown: string[] = [];
  const flags: Record<string, unknown> = parseArgs(Deno.args, {
    boolean: all.filter(([, option]) => option.value === undefined).map(([name]) => name),
    string: all.filter(([, option]) => option.value !== undefined).map(([name]) => name),
    unknown: (arg: string) => {
      unknown.push(arg);
      return false;
    },
  });
  if (flags.help) exit(0, usage);
  if (unknown.length > 0) exit(2, `Unknown argument ${unknown.join(" ")}\n\n${usage}`);
  for (const [name, { choices, value }] of all) {
    const given = flags[name];
    if (value === undefined || given === undefined) continue;
    if (given === "" || choices && !choices.includes(given as string)) {
      const expected = choices?.join(", ") ?? value;
      exit(2, `--${name} takes ${expected}: it was given "${given}"\n\n${usage}`);
    }
  }
  const lack = lacking(needs);
  if (lack) {
    exit(lack.code, lack.code === 1 ? `${lack.message}: unshare -Urmn ${LINE}` : lack.message);
  }
  return flags as { keep: boolean } & Values<Own>;
}

/** A number above 0 that an option was given; anything else ends the script with code 2. */
export function number(option: string, word: string): number {
  if (Number(word) > 0 && Number(word) < Infinity) return Number(word);
  exit(2, `${option} takes a number above 0: it was given "${word}"`);
}

const LINE = `deno run -A examples/${Deno.mainModule.split("/").at(-1)}`;

function usageOf(title: string, all: [string, Option][], needs: readonly string[]): string {
  const words = all.map(([name, { value }]) => `--${name}${value ? ` ${value}` : ""}`);
  const width = Math.max(...words.map((word) => word.length));
  const lines = all.map(([, { help, choices }], i) =>
    `  ${words[i]!.padEnd(width)}  ${help}${choices ? `: ${choices.join(", ")}` : ""}`
  );
  return `${title}.

Usage: ${LINE} [OPTION]...

${lines.join("\n")}

Needs root, or as an ordinary user: unshare -Urmn ${LINE}
Needs of the kernel: ${needs.join(", ")}
Exit codes: 0 good, 1 bad, 2 wrong argument, 77 the kernel lacks what is needed`;
}

function exit(code: number, message: string): never {
  if (code === 0) console.log(message);
  else console.error(message);
  Deno.exit(code);
}
