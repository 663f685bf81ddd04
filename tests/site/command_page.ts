// `deno run -A tests/site/command_page.ts`: writes the list of verbs into docs/command-line.md, and the
// page of each verb below docs/commands/: its --help, and what it printed in docs/outputs/commands.
import { existsSync } from "node:fs";
import { helpOf } from "../../src/cli/help.ts";
import type { Verb } from "../../src/cli/verb.ts";
import { VERBS } from "../../src/cli/verbs.ts";
import { ROOT } from "../script.ts";

/** The page with the list. */
export const PAGE: string = `${ROOT}docs/command-line.md`;

/** Where the recorded outputs are: tests/site/recording.ts writes them. */
export const OUTPUTS: string = `${ROOT}docs/outputs/commands`;

/** The mark before the part that is written. */
const MARK = "<!-- The rest of this page is written by tests/site/command_page.ts. -->\n";

/** Groups of verbs, in the order of the side bar. */
const GROUPS: Record<string, readonly string[]> = {
  "Labs": [
    "up",
    "down",
    "plan",
    "check",
    "init",
    "schema",
    "ps",
    "show",
    "exec",
    "shell",
    "ping",
    "test",
  ],
  "Faults": ["impair", "cut", "heal", "partition", "fault"],
  "Looking": ["draw", "view", "capture", "watch", "logs"],
  "Namespaces": ["links", "addresses", "routes", "neighbors", "qdiscs", "bridge", "monitor"],
  "The machine": ["doctor", "clean", "completion"],
};

/** The verbs of each group; a new verb joins the last one until it has a place. */
function groups(): [title: string, verbs: Verb[]][] {
  const placed = Object.values(GROUPS).flat();
  const others = VERBS.map(({ name }) => name).filter((name) => !placed.includes(name));
  return Object.entries(GROUPS).map(([title, names], n, { length }) => {
    const own = n === length - 1 ? [...names, ...others] : names;
    return [title, own.flatMap((name) => VERBS.find((verb) => verb.name === name) ?? [])];
  });
}

/** The page as it should be: its own text, and the verbs with their purposes. */
export function commandPage(is: string): string {
  const end = is.indexOf(MARK);
  if (end < 0) throw new Error(`${PAGE} lacks the line ${MARK}`);
  const sections = groups().map(([title, verbs]) => {
    const rows = verbs.map(({ name, aliases = [], summary }) => {
      const also = aliases.length > 0 ? ` (also \`${aliases.join("`, `")}\`)` : "";
      return `- [\`${name}\`](./commands/${name})${also}: ${summary[0]!.toLowerCase()}${
        summary.slice(1)
      }`;
    });
    return `## ${title}\n\n${rows.join("\n")}\n`;
  });
  return `${is.slice(0, end)}${MARK}\n<!-- deno-fmt-ignore-start -->\n\n${
    sections.join("\n")
  }\n<!-- deno-fmt-ignore-end -->\n`;
}

/** The page of a verb. */
function pageOf(verb: Verb): string {
  const help =
    `---\neditLink: false\n---\n\n# netloom ${verb.name}\n\n${verb.summary}.\n\n\`\`\`txt\n${
      helpOf(verb).trim().split("\n").slice(2).join("\n")
    }\n\`\`\`\n`;
  const output = `${OUTPUTS}/${verb.name}.txt`;
  if (!existsSync(output)) return help;
  return `${help}\n## What it prints\n\nRecorded from a real run.\n\n\`\`\`txt\n${
    Deno.readTextFileSync(output).trimEnd()
  }\n\`\`\`\n`;
}

/** Writes the page of each verb, and their side bar. */
export function writeCommandPages(): void {
  const folder = `${ROOT}docs/commands`;
  Deno.mkdirSync(folder, { recursive: true });
  for (const { name } of Deno.readDirSync(folder)) Deno.removeSync(`${folder}/${name}`);
  for (const verb of VERBS) Deno.writeTextFileSync(`${folder}/${verb.name}.md`, pageOf(verb));
  const sidebar = groups().map(([text, verbs]) => ({
    text,
    items: verbs.map(({ name }) => ({ text: name, link: `/commands/${name}` })),
  }));
  Deno.writeTextFileSync(`${folder}/sidebar.json`, JSON.stringify(sidebar));
}

if (import.meta.main) {
  Deno.writeTextFileSync(PAGE, commandPage(Deno.readTextFileSync(PAGE)));
  writeCommandPages();
}
