// The files of the project that tests run: tests, and examples.

const ROOT = new URL("../", import.meta.url);

/** Folders that `deno task test` leaves out: their tests have tasks of their own. */
export const OWN_TASKS: readonly string[] = ["tests/bench", "tests/kernels", "tests/site"];

/**
 * The test files at or below a path, in alphabetical order.
 *
 * @param path A file or a folder, relative to the project: `tests/link`
 * @param leftOut Paths to leave out
 */
export function testFiles(path: string, leftOut: readonly string[]): string[] {
  if (!Deno.statSync(new URL(path, ROOT)).isDirectory) return [path];
  const entries = [...Deno.readDirSync(new URL(path, ROOT))];
  return entries.sort((a, b) => a.name < b.name ? -1 : 1).flatMap(({ name, isDirectory }) => {
    const inner = `${path}/${name}`;
    if (leftOut.includes(inner) || !isDirectory && !name.endsWith("_test.ts")) return [];
    return testFiles(inner, leftOut);
  });
}

/** The scripts in examples/ that people run: `veth.ts`. */
export function exampleFiles(): string[] {
  return Array.from(Deno.readDirSync(new URL("examples", ROOT)), ({ name }) => name)
    .filter((name) => /^[a-z]\w*\.ts$/.test(name)).sort();
}
