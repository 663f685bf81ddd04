// The parts of the suite, each a command that shares nothing with the others.
import { relative } from "node:path";
import { OWN_TASKS, testFiles } from "./files.ts";

/** One command of the suite. */
export interface Job {
  /** The path it tests, or a description. */
  readonly name: string;
  /** Arguments of `deno`. */
  readonly args: readonly string[];
}

/** Files that take the longest. They start first: the suite must not end with waiting for one. */
const LONGEST = [
  "tests/examples_test.ts",
  "tests/examples_options_test.ts",
  "tests/capture/capture_test.ts",
  "tests/capture/filter_test.ts",
];

/** Sources of examples: TypeScript blocks of Markdown files and doc comments. */
const DOCUMENTATION = ["README.md", "docs", "mod.ts", "ffi", ...folders("src")];

const TEST = ["test", "-A", "--permit-no-files"];
const DOC = [...TEST, "--doc", "--preload=tests/own_namespace.ts"];
const NO_CHECK = "--no-check";

/**
 * The jobs of the suite.
 *
 * @param paths Test files, files with examples, and folders of either; none for the whole suite
 * @param flags Flags of `deno test`
 */
export function jobs(paths: readonly string[], flags: readonly string[]): Job[] {
  const all = paths.length === 0
    ? ["tests", ...DOCUMENTATION]
    : paths.map((path) => relative(".", path));
  const isTest = (path: string) => path.split("/")[0] === "tests";
  const found = all.filter(isTest)
    .flatMap((path) => testFiles(path, paths.length === 0 ? OWN_TASKS : []));
  const files = [
    ...LONGEST.filter((file) => found.includes(file)),
    ...found.filter((file) => !LONGEST.includes(file)),
  ];
  const documentation = all.filter((path) => !isTest(path));
  const rest = [NO_CHECK, ...flags.filter((flag) => flag !== NO_CHECK)];
  return [
    ...flags.includes(NO_CHECK) ? [] : [check([...files, ...documentation], flags)],
    ...files.map((file) => ({ name: file, args: [...TEST, ...rest, file] })),
    ...documentation.map((path) => ({ name: path, args: [...DOC, ...rest, path] })),
  ];
}

/** The jobs of the suite for an emulated machine: see together.ts. One follows the other. */
export function jobsTogether(flags: readonly string[]): Job[] {
  return [
    { name: "tests/together.ts", args: [...TEST, ...flags, "tests/together.ts"] },
    { name: "src/link", args: [...DOC, ...flags, "src/link"] },
  ];
}

/** One check of all types costs a tenth of a check by each `deno test`. */
function check(paths: readonly string[], flags: readonly string[]): Job {
  const config = flags.filter((flag) => flag.startsWith("--config="));
  // Of a folder, `deno check` leaves the Markdown files out.
  const markdown = paths.filter((path) => Deno.statSync(path).isDirectory).flatMap(markdownFiles);
  return { name: "types", args: ["check", "-q", "--doc", ...config, ...paths, ...markdown] };
}

function markdownFiles(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    if (name === "node_modules" || folder === "docs" && name === "api") return [];
    const path = `${folder}/${name}`;
    return isDirectory ? markdownFiles(path) : name.endsWith(".md") ? [path] : [];
  });
}

function folders(path: string): string[] {
  return Array.from(Deno.readDirSync(path), ({ name }) => `${path}/${name}`);
}
