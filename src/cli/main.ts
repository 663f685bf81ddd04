/**
 * The command `netloom`: help, and the way to the verbs.
 *
 * @module
 */
import { help, helpOf } from "./help.ts";
import { verbOf } from "./verbs.ts";

/** Exit codes. */
export const exitCodes = { GOOD: 0, ERROR: 1, USAGE: 2, LACKING: 77, INTERRUPTED: 130 } as const;

/**
 * Loads the code of verbs. Deno reads all modules behind an import whose name is a text before a program starts,
 * which would double the time of `--help`.
 */
function loadVerbs(): Promise<typeof import("./run.ts")> {
  return import(new URL("./run.ts", import.meta.url).href);
}

/**
 * Runs the command.
 *
 * @param args Its arguments: `["links", "--json"]`.
 * @returns The exit code.
 */
export async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "-h" || name === "--help" || name === "help") {
    console.log(help().trimEnd());
    return name === undefined ? exitCodes.USAGE : exitCodes.GOOD;
  }
  if (name === "__complete") return (await loadVerbs()).complete(rest);
  if (Deno.build.standalone && await (await loadVerbs()).isKeeper(args)) return exitCodes.GOOD;
  const verb = verbOf(name);
  if (!verb) {
    console.error((await loadVerbs()).unknownVerb(name));
    return exitCodes.USAGE;
  }
  const ends = rest.indexOf("--");
  const words = ends < 0 ? rest : rest.slice(0, ends);
  if (words.includes("-h") || words.includes("--help")) {
    console.log(helpOf(verb).trimEnd());
    return exitCodes.GOOD;
  }
  const { runVerb } = await loadVerbs();
  return await runVerb(verb, { all: args, words, rest: ends < 0 ? [] : rest.slice(ends + 1) });
}
