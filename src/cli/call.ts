/**
 * The arguments of a verb.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { nearest } from "../options.ts";
import { Out } from "./out.ts";
import { type Call, UsageError, type Verb } from "./verb.ts";

/**
 * Reads the arguments of a verb.
 *
 * @param verb The verb.
 * @param words Its arguments and options.
 * @param rest Everything after `--`.
 * @throws {UsageError} When an option is unknown or lacks its value, or arguments are missing.
 */
export function callOf(verb: Verb, words: readonly string[], rest: readonly string[]): Call {
  const all = Object.entries(verb.options ?? {});
  const names = (word: boolean) =>
    all.filter(([, { value }]) => (value !== undefined) === word).map(([name]) => name);
  const parsed: Record<string, unknown> & { _: (string | number)[] } = parseArgs([...words], {
    boolean: [...names(false), "json"],
    string: [...names(true), "_"],
    collect: all.filter(([, { many }]) => many).map(([name]) => name),
    alias: Object.fromEntries(
      all.flatMap(([name, { short }]) => short === undefined ? [] : [[name, short]]),
    ),
    unknown: (arg: string) => {
      if (!arg.startsWith("-") || arg === "-") return true;
      throw unknownOption(verb, arg);
    },
  });
  const options: Record<string, string | boolean | readonly string[]> = {};
  for (const [name, { value }] of all) {
    const given = parsed[name];
    if (given === undefined || given === false || Array.isArray(given) && given.length === 0) {
      continue;
    }
    if (value !== undefined && [given].flat().includes("")) {
      throw new UsageError(`--${name} takes a value: ${value}`);
    }
    options[name] = given as string | true | string[];
  }
  const args = parsed._.map(String);
  const [least, most] = verb.arguments;
  if (args.length < least || args.length > most) {
    const usage = `netloom ${[verb.name, verb.usage].filter(Boolean).join(" ")}`;
    throw new UsageError(
      args.length < least
        ? `${verb.name} lacks an argument: ${usage}`
        : `${verb.name} does not take the argument ${JSON.stringify(args[most])}: ${usage}`,
    );
  }
  checkWord(verb, args);
  return {
    verb,
    args,
    rest,
    options,
    out: new Out({ verb: verb.name, json: parsed.json === true }),
  };
}

/** Fixed words are checked here, so that no verb has to. */
function checkWord({ name, words }: Verb, args: readonly string[]): void {
  const wrong = words && args.find((arg) => !words.includes(arg));
  if (wrong === undefined) return;
  const near = nearest(wrong, words!);
  throw new UsageError(
    `${name} takes ${words!.join(", ")}: got ${JSON.stringify(wrong)}` +
      (near ? `; did you mean ${near}?` : ""),
  );
}

function unknownOption({ name, options = {} }: Verb, arg: string): UsageError {
  const known = [...Object.keys(options), "json", "help"].map((option) => `--${option}`);
  const near = nearest(arg.replace(/=.*/, ""), known);
  return new UsageError(
    `${name} has no option ${arg}${
      near ? `: did you mean ${near}?` : `; it has ${known.join(", ")}`
    }`,
  );
}
