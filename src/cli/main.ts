/**
 * The command `netloom`: finds the verb, reads its arguments, and turns errors into exit codes.
 *
 * @module
 */
import type { Call, Verb } from "./verb.ts";
import { verbNames, verbOf } from "./verbs.ts";

/** Exit codes. */
export const exitCodes = { GOOD: 0, ERROR: 1, USAGE: 2, LACKING: 77, INTERRUPTED: 130 } as const;

/**
 * Runs the command.
 *
 * @param args Its arguments: `["links", "--json"]`.
 * @returns The exit code.
 */
export async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "-h" || name === "--help" || name === "help") {
    const { help } = await import("./help.ts");
    console.log(help().trimEnd());
    return name === undefined ? exitCodes.USAGE : exitCodes.GOOD;
  }
  if (name === "__complete") return (await import("./complete.ts")).complete(rest);
  if (Deno.build.standalone) {
    // A program of `deno compile` is the keeper of its labs itself.
    const { keeper } = await import("../lab/mod.ts");
    if (await keeper(args)) return exitCodes.GOOD;
  }
  const verb = verbOf(name);
  if (!verb) {
    const { nearest } = await import("../options.ts");
    const near = nearest(name, verbNames());
    console.error(
      `Unknown verb ${JSON.stringify(name)}${near ? `: did you mean ${near}?` : ""}; ` +
        "netloom --help lists all",
    );
    return exitCodes.USAGE;
  }
  const ends = rest.indexOf("--");
  const words = ends < 0 ? rest : rest.slice(0, ends);
  if (words.includes("-h") || words.includes("--help")) {
    const { helpOf } = await import("./help.ts");
    console.log(helpOf(verb).trimEnd());
    return exitCodes.GOOD;
  }
  return await runVerb(verb, words, ends < 0 ? [] : rest.slice(ends + 1));
}

async function runVerb(
  verb: Verb,
  words: readonly string[],
  rest: readonly string[],
): Promise<number> {
  const [{ callOf }, { failure }] = await Promise.all([
    import("./call.ts"),
    import("./failure.ts"),
  ]);
  let call: Call | undefined;
  try {
    call = callOf(verb, words, rest);
    const { run } = await verb.load();
    return await run(call) ?? exitCodes.GOOD;
  } catch (error) {
    return failure(error, { verb, json: words.includes("--json") });
  }
}
