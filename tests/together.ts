// All test files as one module: the library is loaded once then, and not for each. For emulated machines,
// where that takes seconds. A test named after its file comes before the tests of each file.
import { OWN_TASKS, testFiles } from "./files.ts";
import { NOT_IN_GUESTS } from "./kernels/selection.ts";

for (const file of testFiles("tests", [...OWN_TASKS, ...Object.keys(NOT_IN_GUESTS)])) {
  Deno.test(`${file}:`, () => {});
  await import(new URL(`../${file}`, import.meta.url).href);
}
