// All test files as one module: the library is loaded once then, and not for each. For emulated machines,
// where that takes seconds. A test named after its file comes before those of each.
import { NOT_IN_GUESTS } from "./kernels/selection.ts";

const ROOT = new URL("../", import.meta.url);
const left = new Set(["tests/bench", "tests/kernels", "tests/site", ...Object.keys(NOT_IN_GUESTS)]);

/** The paths of test files below a folder. */
function* testFiles(folder: string): Generator<string> {
  const entries = [...Deno.readDirSync(new URL(folder, ROOT))];
  for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const path = `${folder}/${name}`;
    if (left.has(path)) continue;
    if (isDirectory) yield* testFiles(path);
    else if (name.endsWith("_test.ts")) yield path;
  }
}

for (const file of testFiles("tests")) {
  Deno.test(`${file}:`, () => {});
  await import(new URL(file, ROOT).href);
}
