/**
 * The words that complete a command line.
 *
 * @module
 */
import type { Completion, Verb } from "./verb.ts";
import { verbNames, verbOf } from "./verbs.ts";

/** Prints the words that complete the last of `words`, a line each; `:file` stands for files. */
export async function complete(words: readonly string[]): Promise<number> {
  const found = await wordsFor(words);
  const last = words.at(-1) ?? "";
  for (const word of found) if (word.startsWith(last) || word === ":file") console.log(word);
  return 0;
}

async function wordsFor(words: readonly string[]): Promise<string[]> {
  const [name, ...rest] = words;
  if (name === undefined || rest.length === 0) return [...verbNames(), "--help"];
  const verb = verbOf(name);
  if (!verb) return [];
  const last = rest.at(-1)!;
  if (last.startsWith("-")) {
    return [...Object.keys(verb.options ?? {}), "json", "help"].map((option) => `--${option}`);
  }
  const before = optionOf(verb, rest.at(-2));
  if (before) return await named(COMPLETIONS[before] ?? "file", rest);
  return [...verb.words ?? [], ...verb.completes ? await named(verb.completes, rest) : []];
}

/** The value of an option among words. */
function valueOf(rest: readonly string[], ...names: string[]): string | undefined {
  const at = rest.findIndex((word) => names.includes(word));
  return at < 0 ? undefined : rest[at + 1];
}

/** The words that the values of options stand for. */
const COMPLETIONS: Readonly<Record<string, Completion>> = {
  netns: "netns",
  lab: "lab",
  dev: "link",
};

/** The option that `text` is, when it takes a word. */
function optionOf({ options = {} }: Verb, text: string | undefined): string | undefined {
  return Object.entries(options).find(([name, { short, value }]) =>
    value !== undefined && (text === `--${name}` || text === `-${short}`)
  )?.[0];
}

async function named(completion: Completion, rest: readonly string[]): Promise<string[]> {
  if (completion === "file") return [":file"];
  if (completion === "link") {
    const [{ NetNs }, { openNetNs }] = await Promise.all([
      import("../netns/netns.ts"),
      import("./namespace.ts"),
    ]);
    const name = valueOf(rest, "-n", "--netns");
    using netns = name === undefined ? NetNs.current() : openNetNs(name);
    return netns.links.list({ stats: false }).map(({ name }) => name);
  }
  if (completion === "netns") return (await import("../netns/netns.ts")).NetNs.list();
  const { attach, list } = await import("../lab/mod.ts");
  const labs = list();
  if (completion === "lab") return labs.map(({ name }) => name);
  const name = valueOf(rest, "--lab") ?? labs[0]?.name;
  if (completion !== "node" || name === undefined) return [];
  await using lab = attach(name);
  const [node, link] = rest.at(-1)!.split(":") as [string, string?];
  if (link === undefined || !lab.nodes.includes(node)) return lab.nodes;
  return lab.node(node).resolved.interfaces.map(({ name }) => `${node}:${name}`);
}
