/**
 * The form of a verb of the command line.
 *
 * @module
 */
import type { Out } from "./out.ts";

/** An option of a verb: a switch, or with `value` one that takes a word. */
export interface VerbOption {
  /** Its purpose, for `--help`. */
  readonly help: string;
  /** The name of its word in `--help`: `FILE`. */
  readonly value?: string;
  /** A letter for it: `n` for `-n`. */
  readonly short?: string;
  /** Whether it may be given several times. */
  readonly many?: boolean;
}

/** The words that complete an argument or the value of an option. */
export type Completion = "file" | "lab" | "link" | "netns" | "node";

/** A verb: everything that `--help` and completion need. */
export interface Verb {
  /** Its name. */
  readonly name: string;
  /** Other names. */
  readonly aliases?: readonly string[];
  /** One line about it. */
  readonly summary: string;
  /** Its arguments in the usage line: `[FILE]`. */
  readonly usage: string;
  /** The least and the greatest number of its arguments. */
  readonly arguments: readonly [least: number, most: number];
  /** Its options beside `--json` and `--help`, by name. */
  readonly options?: Readonly<Record<string, VerbOption>>;
  /** The words that complete its arguments. Default: none. */
  readonly completes?: Completion;
  /** Fixed words that complete its first argument. */
  readonly words?: readonly string[];
  /** Whether it creates namespaces or links: that of an ordinary user runs in a user namespace. */
  readonly changes?: boolean;
}

/** The code of a verb; the result is its exit code, by default 0. */
export type Run = (call: Call) => Promise<number | void> | number | void;

/** A call of a verb. */
export interface Call {
  /** The verb. */
  readonly verb: Verb;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Everything after `--`. */
  readonly rest: readonly string[];
  /** The values of its options; an option that was not given is absent. */
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  /** Where results go. */
  readonly out: Out;
}

/** A call that cannot be understood: exit code 2. */
export class UsageError extends Error {
  /** Its name. */
  override readonly name = "UsageError";
}

/** The value of an option that takes a word, if it was given. */
export function word(call: Call, option: string): string | undefined {
  const value = call.options[option];
  return typeof value === "string" ? value : undefined;
}

/** The value of an option that is a number, if it was given. */
export function numeric(call: Call, option: string): number | undefined {
  const text = word(call, option);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && value >= 0 && value < Infinity) return value;
  throw new UsageError(`--${option} takes a number: got ${JSON.stringify(text)}`);
}
