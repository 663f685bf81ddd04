// `deno run -A tests/layout.ts`: writes the table of folders in CONTRIBUTING.md and the layers in
// docs/architecture.md, from the first sentence of each folder's module comment. documentation_test.ts
// says when they are out of date.
import { existsSync } from "node:fs";
import { ROOT } from "./script.ts";

/** The folders from the bottom up; those of one layer do not know each other. */
export const LAYERS: readonly (readonly string[])[] = [
  ["src"], // files that every layer may import
  ["ffi"],
  ["src/packet"],
  ["src/netlink"],
  ["src/rtnetlink", "src/genetlink", "src/sockdiag"],
  ["src/nftables", "src/view"],
  ["src/device"],
  ["src/scope"],
  ["src/capture"],
  ["src/traffic"],
  ["src/link"],
  ["src/observe"],
  ["src/netns"],
  ["src/lab"],
  ["src/page"],
  ["src/cli"],
  ["."], // mod.ts, cli.ts
];

/** What has no module comment of its own. */
const PURPOSES: Readonly<Record<string, string>> = {
  "examples": "Scripts to run and to read",
  "ffi": "libc: the only place with Deno.dlopen, errno and pointers",
  "src": "Checks of options, turns of the event loop, the pull iterator",
};

/** A place for each folder in a file: what is before it, and what is in it. */
const PLACES: Readonly<Record<string, { readonly block: RegExp; line(row: Row): string }>> = {
  "CONTRIBUTING.md": {
    block: /(?<=\n\| Folder .*\n\| -.*\n)(?:\|.*\n)+/,
    line: ({ folder, purpose }) => `| \`${folder}\` | ${purpose} |\n`,
  },
  "docs/architecture.md": {
    block: /(?<=\n## Layers\n\n```\n)[^`]*(?=```\n)/,
    line: ({ folder, purpose }) => `${folder.padEnd(15)}  ${purpose.replaceAll("`", "")}\n`,
  },
};

/** A folder and its purpose. */
interface Row {
  readonly folder: string;
  readonly purpose: string;
}

/** All folders, from the top down. */
function rows(): Row[] {
  const folders = LAYERS.flat().filter((path) => path !== "." && existsSync(ROOT + path));
  return ["examples", ...folders.reverse()].map((path) => ({
    folder: path === "src" ? "src/*.ts" : `${path}/`,
    purpose: PURPOSES[path] ?? firstSentence(path),
  }));
}

/** The first sentence of the comment of `mod.ts` or, without one, of the only module. */
function firstSentence(folder: string): string {
  const [only, ...more] = Array.from(Deno.readDirSync(ROOT + folder), ({ name }) => name);
  const module = more.length === 0 ? only : "mod.ts";
  const [, sentence] = /^\/\*\*\n((?: \* .+\n)+?)(?: \*\n| \*\/)/.exec(
    Deno.readTextFileSync(`${ROOT}${folder}/${module}`),
  ) ?? [];
  if (sentence === undefined) throw new Error(`${folder}/${module} begins without a comment`);
  return sentence.replace(/^ \* /gm, "").replace(/\n/g, " ").replace(
    /\{@link(?:code)? (\w+)\}/g,
    "$1",
  )
    .replace(/\.(?: .*| *)$/, "");
}

/** The list of folders in a file, as it is and as it should be, but for the width of columns. */
export function folderList(file: string): { is: string; should: string } {
  const { block, line } = PLACES[file]!;
  const text = Deno.readTextFileSync(ROOT + file);
  const [is] = block.exec(text) ?? [];
  if (is === undefined) throw new Error(`${file} has no place for the folders`);
  return { is, should: rows().map(line).join("") };
}

/** The files that list the folders. */
export const LISTS: readonly string[] = Object.keys(PLACES);

if (import.meta.main) {
  for (const file of LISTS) {
    const { is, should } = folderList(file);
    const text = Deno.readTextFileSync(ROOT + file);
    Deno.writeTextFileSync(ROOT + file, text.replace(is, () => should));
  }
  const options = { args: ["fmt", "-q", ...LISTS], cwd: ROOT };
  await new Deno.Command(Deno.execPath(), options).output();
}
