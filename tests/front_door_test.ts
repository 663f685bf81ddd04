// What a newcomer reads first: addresses, versions and files that README and its companions name.
import { existsSync } from "node:fs";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { released } from "./integration/local_registry.ts";
import { ROOT } from "./script.ts";

/** Where the project and its site are, once they are public. */
const REPOSITORY = "https://github.com/netloom/netloom";
const SITE = "https://netloom.github.io/netloom/";

const { name, version } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));

/** The files under version control whose names end so. */
function tracked(...endings: string[]): string[] {
  const { stdout } = new Deno.Command("git", { args: ["ls-files"], cwd: ROOT }).outputSync();
  return new TextDecoder().decode(stdout).split("\n")
    .filter((path) => endings.some((ending) => path.endsWith(ending)) && existsSync(ROOT + path));
}

Deno.test("Every snippet with an address on JSR names the version of deno.json", () => {
  const address = RegExp(`(?:jsr:|jsr\\.io/)${name}(?:[@/](\\d[\\w.-]*))?`, "g");
  const wrong = tracked(".md", ".ts", ".yml").filter((path) =>
    path !== "README.md" || !/badges/.test(path)
  ).flatMap((path) =>
    Deno.readTextFileSync(ROOT + path).split("\n").flatMap((line, n) =>
      [...line.matchAll(address)]
        // The checklist of releases has an example of a version.
        .filter(([, found]) => found !== "1.2.3" || path !== "RELEASING.md")
        .filter(([text, found]) => found !== version && !isPage(line, text))
        .map(([text]) => `${path}:${n + 1}: ${text}`)
    )
  );
  assertEquals(wrong, []);
});

/** Whether it is a page of the package, for which JSR shows the newest version, or part of a test. */
function isPage(line: string, text: string): boolean {
  return line.includes(`https://${text})`) || line.includes(`https://${text}/score)`) ||
    line.includes("${");
}

Deno.test("Each link of the README is absolute and leads to a file of the project or a page of the site", () => {
  const readme = Deno.readTextFileSync(`${ROOT}README.md`);
  const links = [...readme.matchAll(/(!?)\[(?:[^\]]|\]\([^)]*\)\])*?\]\(([^)]+)\)/g)];
  assert(links.length > 15);
  for (const [all, mark, target] of links) {
    // GitHub and JSR resolve a picture against the repository, and so does an editor.
    if (mark && !target!.startsWith("https://")) {
      assert(existsSync(ROOT + target!), all);
      continue;
    }
    assertMatch(target!, /^https:\/\//);
    const blob = `${REPOSITORY}/blob/main/`;
    if (target!.startsWith(blob)) assert(existsSync(ROOT + target!.slice(blob.length)), all);
    if (target!.startsWith(SITE)) {
      const page = `docs/${target!.slice(SITE.length).replace(".html", ".md")}`;
      assert(existsSync(ROOT + page), `${all}: no ${page}`);
    }
  }
});

Deno.test("The README is short, and starts with a claim, a picture, lines that run and one command", () => {
  const readme = Deno.readTextFileSync(`${ROOT}README.md`);
  assert(readme.split("\n").length < 130, "README.md has 130 lines at most");
  const parts = ["**Linux networks", "![Two sites", "```ts", "```sh\nnpx -y deno run -A cli.ts up"];
  const places = parts.map((part) => readme.indexOf(part));
  assertEquals(places, [...places].sort((a, b) => a - b));
  assert(!places.includes(-1));
  assert(readme.indexOf("Clone this") < readme.indexOf("deno add jsr:"), "what works now is first");
});

Deno.test("The changelog has a part for the version, and a date for each that is published", () => {
  const changelog = Deno.readTextFileSync(`${ROOT}CHANGELOG.md`);
  const parts = [...changelog.matchAll(/^## \[([^\]]+)\](.*)$/gm)].map(([, part, date]) => ({
    part,
    date,
  }));
  assertEquals(parts[0], { part: "Unreleased", date: "" });
  assertEquals(parts[1]?.part, version);
  for (const { date } of parts.slice(1)) {
    assertMatch(date!, /^ - (\d{4}-\d{2}-\d{2}|unreleased)( \[YANKED\])?$/);
  }
});

Deno.test("The published files are those that a user needs, and no tests", () => {
  const { publish: { include } } = released(
    JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`)),
  );
  for (const file of ["README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "mod.ts", "cli.ts"]) {
    assert(include.includes(file), file);
  }
  const readme = Deno.readTextFileSync(`${ROOT}README.md`);
  const pictures = [...readme.matchAll(/!\[[^\]]*\]\(([^):]+)\)/g)].map(([, path]) => path);
  assertEquals(pictures.filter((path) => !include.includes(path)), []);
  assertEquals(include.filter((path: string) => path.startsWith("tests")), []);
});

Deno.test("Every guide has a place in the side bar, and every example in the list of examples", () => {
  const navigation = Deno.readTextFileSync(`${ROOT}docs/.vitepress/navigation.ts`);
  const folders = ["", "guides/", "concepts/", "migrate/", "contributors/"];
  const pages = folders.flatMap((folder) =>
    [...Deno.readDirSync(`${ROOT}docs/${folder}`)].map(({ name }) => name)
      .filter((name) => name.endsWith(".md") && name !== "index.md")
      .map((name) => `/${folder}${name.slice(0, -3)}`)
  );
  assertEquals(pages.filter((page) => !navigation.includes(`"${page}":`)), []);
  const list = Deno.readTextFileSync(`${ROOT}docs/examples.md`);
  const examples = [...Deno.readDirSync(`${ROOT}examples`)].map(({ name }) => name)
    .filter((name) => /^[^_].*\.ts$/.test(name)).map((name) => name.slice(0, -3));
  assertEquals(examples.filter((name) => !list.includes(`\`${name}\``)), []);
});
