import { existsSync } from "node:fs";
import { assert, assertEquals } from "@std/assert";
import { check } from "npm:linkinator@8.1.0";
import { VERBS } from "../../src/cli/verbs.ts";
import { SITE } from "./build.ts";
import { examples } from "./outputs.ts";
import { pages } from "./pages.ts";
import { ROOT } from "../script.ts";

Deno.test("Every link of the site leads somewhere, anchors included", async () => {
  const { links } = await check({
    path: "/",
    serverRoot: SITE,
    recurse: true,
    checkFragments: true,
    concurrency: 10,
    // Its own server now and then drops a connection under load.
    retryErrors: true,
    retryErrorsCount: 3,
    retryErrorsJitter: 100,
    // Tests of this project do not depend on other people's sites.
    linksToSkip: ["^https?://(?!127)"],
  });
  assert(links.length > pages().length);
  const broken = links.filter(({ state }) => state === "BROKEN");
  assertEquals(broken.map(({ url, parent, status }) => `${parent} -> ${url}: ${status}`), []);
});

Deno.test("Every example is on a page, with output that ends well", () => {
  const all = pages().map(({ file }) => Deno.readTextFileSync(file)).join();
  for (const name of examples()) {
    const output = Deno.readTextFileSync(`${ROOT}docs/outputs/${name}.txt`);
    assert(output.includes("\nVerdict: good\n"), `docs/outputs/${name}.txt has no good verdict`);
    assert(all.includes(`deno run -A examples/${name}.ts`), `No page shows examples/${name}.ts`);
  }
});

Deno.test("Every public symbol has a place in the reference, and every entry point a page", () => {
  const { exports } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  for (const key of Object.keys(exports)) {
    assert(existsSync(`${SITE}/api/${key.slice(2) && `${key.slice(2)}/`}index.html`), key);
  }
  const addresses: Record<string, string> = JSON.parse(
    Deno.readTextFileSync(`${ROOT}docs/api/addresses.json`),
  );
  const ids = new Map<string, Set<string>>();
  for (const [name, address] of Object.entries(addresses)) {
    const [page, id] = address.split("#");
    const file = `${SITE}${page}.html`;
    const known = ids.get(file) ??
      new Set(Array.from(Deno.readTextFileSync(file).matchAll(/ id="([^"]+)"/g), ([, id]) => id!));
    ids.set(file, known);
    assert(known.has(id!), `${name}: no ${id} in ${page}`);
  }
  assert(ids.size > 100);
});

Deno.test("Every verb of the command has a page, nearly all with recorded output", () => {
  const recorded = VERBS.filter(({ name }) => {
    const page = Deno.readTextFileSync(`${SITE}/commands/${name}.html`);
    return page.includes(`$ netloom ${name}`);
  });
  assert(recorded.length > VERBS.length - 6, `${recorded.length} of ${VERBS.length}`);
});

Deno.test("The index of the search has the symbols of the reference", () => {
  const folder = `${SITE}/assets/chunks`;
  const [file] = [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => name.startsWith("@localSearchIndexroot"));
  const index = Deno.readTextFileSync(`${folder}/${file}`);
  for (const id of ["/api/link/veth.html#Veth-create", "/api/netns/netns.html#NetNs-run"]) {
    assert(index.includes(id), `The search does not know ${id}`);
  }
  assert(index.length < 2_000_000, `${index.length} characters are loaded before the first search`);
});
