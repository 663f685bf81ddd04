// What `deno doc --lint` and the run of all examples cannot see.
import { assert, assertEquals } from "@std/assert";
import { ROOT } from "./script.ts";

function files(directory: string, extension: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) => {
    if (name === "node_modules") return [];
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
