// `deno run -A tests/site/command_page.ts`: writes docs/command-line.md, the --help of each verb, from
// the table of verbs. command_page_test.ts says when it is out of date.
import { helpOf } from "../../src/cli/help.ts";
import { VERBS } from "../../src/cli/verbs.ts";
import { ROOT } from "../script.ts";

/** The page. */
export const PAGE: string = `${ROOT}docs/command-line.md`;

/** The mark before the part that is written. */
const MARK = "<!-- The rest of this page is written by tests/site/command_page.ts. -->\n";

/** The page as it should be: its own text, and a section for each verb. */
export function commandPage(is: string): string {
  const end = is.indexOf(MARK);
  if (end < 0) throw new Error(`${PAGE} lacks the line ${MARK}`);
  const sections = VERBS.map((verb) =>
    `## netloom ${verb.name}\n\n\`\`\`txt\n${helpOf(verb).trim()}\n\`\`\`\n`
  );
  return `${is.slice(0, end)}${MARK}\n${sections.join("\n")}`;
}

if (import.meta.main) {
  Deno.writeTextFileSync(PAGE, commandPage(Deno.readTextFileSync(PAGE)));
}
