/**
 * The text of `--help`.
 *
 * @module
 */
import type { Verb } from "./verb.ts";
import { VERBS } from "./verbs.ts";

/** Aligns names and their meanings. */
function list(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join("\n");
}

/** The help of the whole command. */
export function help(): string {
  const verbs = VERBS.map(({ name, aliases = [], summary }) =>
    [[name, ...aliases].join(", "), summary] as const
  );
  return `netloom: Linux virtual networks from the command line

Usage: netloom VERB [ARGUMENT...] [OPTION...]

${list(verbs)}

Every verb takes --json and --help.
Exit codes: 0 good, 1 an error, 2 a wrong argument, 77 the kernel lacks it, 130 Ctrl-C
`;
}

/** The help of one verb. */
export function helpOf({ name, aliases = [], summary, usage, options = {} }: Verb): string {
  const rows = Object.entries(options).map(([option, { short, value, help }]) =>
    [
      `${short ? `-${short}, ` : ""}--${option}${value ? ` ${value}` : ""}`,
      help,
    ] as const
  );
  return `${summary}.

Usage: netloom ${[name, usage].filter(Boolean).join(" ")} [OPTION...]
${aliases.length > 0 ? `Also: ${aliases.join(", ")}\n` : ""}
${
    list([
      ...rows,
      ["--json", "prints JSON on standard output, words on standard error"],
      ["-h, --help", "prints this"],
    ])
  }
`;
}
