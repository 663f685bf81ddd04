// Promises of the documentation that `deno doc --lint` and the run of all examples cannot check.
import { existsSync } from "node:fs";
import { assert, assertEquals } from "@std/assert";
import { folderList, LISTS } from "./layout.ts";
import { ROOT } from "./script.ts";

function files(directory: string, extension: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) => {
    if (name === "node_modules" || directory === `${ROOT}docs` && name === "api") return [];
    const path = `${directory}/${name}`;
    return isDirectory ? files(path, extension) : name.endsWith(extension) ? [path] : [];
  });
}

Deno.test("Every entry point says what it is for, with an example that runs", () => {
  const { exports } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  for (const file of Object.values<string>(exports)) {
    const [comment = ""] = /^\/\*\*[^]*?\*\//.exec(Deno.readTextFileSync(ROOT + file)) ?? [];
    for (const part of ["@module", "@example", "```ts"]) {
      assert(comment.includes(part), `The module documentation of ${file} lacks ${part}`);
    }
  }
});

Deno.test("The page of the reference leads to every entry point", () => {
  const { name, exports } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const page = Deno.readTextFileSync(`${ROOT}docs/reference.md`);
  for (const path of Object.keys(exports)) {
    const link = `[\`${name}${path.slice(1)}\`](/api/${path.slice(2)}${
      path === "." ? "" : "/"
    }index.html)`;
    assert(page.includes(link), `docs/reference.md lacks ${link}`);
  }
});

Deno.test("No example of the documentation is left out of the tests", () => {
  const sources = [
    `${ROOT}README.md`,
    `${ROOT}mod.ts`,
    ...files(`${ROOT}docs`, ".md"),
    ...files(`${ROOT}src`, ".ts"),
    ...files(`${ROOT}ffi`, ".ts"),
  ];
  const leftOut = sources.flatMap((path) =>
    Array.from(
      // `deno test --doc` runs what is marked with one of these words alone.
      Deno.readTextFileSync(path).matchAll(
        /^[ *]*```(?:ts|js|tsx|jsx|typescript|javascript)\b.+$/gm,
      ),
      ([fence]) => `${path}: ${fence}`,
    )
  );
  assertEquals(leftOut, []);
});

for (const file of LISTS) {
  Deno.test(`The folders in ${file} are those of the project, with the purposes of their modules`, () => {
    const { is, should } = folderList(file);
    // The formatter decides how wide columns are.
    const plain = (text: string) => text.replace(/ +/g, " ");
    const hint = "to write the list: deno run -A tests/layout.ts";
    assertEquals(plain(is), plain(should), hint);
  });
}

Deno.test("tests/ has a folder for those of src/, and the others that CONTRIBUTING.md names", () => {
  const contributing = Deno.readTextFileSync(`${ROOT}CONTRIBUTING.md`);
  const [sentence] = /`tests\/` mirrors `src\/`\.[^.]*\./.exec(contributing)!;
  const named = [...sentence.matchAll(/`(\w+)\/`/g)].map(([, name]) => name!);
  const folders = [...Deno.readDirSync(`${ROOT}tests`)].filter(({ isDirectory }) => isDirectory);
  const others = folders.map(({ name }) => name).filter((name) =>
    !existsSync(`${ROOT}src/${name}`)
  );
  assertEquals(named.filter((name) => !["tests", "src"].includes(name)).sort(), others.sort());
});

/** The pages about the project itself. */
const PAGES = ["README.md", "CONTRIBUTING.md", "docs/architecture.md"];

Deno.test("The files and tasks that the pages about the project name exist", () => {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  for (const page of PAGES) {
    const text = Deno.readTextFileSync(ROOT + page);
    const paths = [
      ...text.matchAll(/(?<![\w/.-])(?:src|ffi|tests|examples|docs|\.ci)\/[\w./-]*\w(?![\w*])/g),
    ]
      .map(([path]) => path);
    const named = [...text.matchAll(/\bdeno task ([\w:]+)/g)].map(([, task]) => task!);
    assertEquals(paths.filter((path) => !existsSync(ROOT + path)), [], page);
    assertEquals(named.filter((task) => !Object.hasOwn(tasks, task)), [], page);
  }
  const contributing = Deno.readTextFileSync(`${ROOT}CONTRIBUTING.md`);
  const missing = Object.keys(tasks).filter((task) => !contributing.includes(`deno task ${task}`));
  assertEquals(missing, [], "CONTRIBUTING.md names each task");
});
