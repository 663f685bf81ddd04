import { assert, assertEquals } from "@std/assert";
import { check } from "npm:linkinator@8.1.0";
import { SITE } from "./build.ts";
import { examples } from "./outputs.ts";
import { pages } from "./pages.ts";
import { ROOT } from "../script.ts";

/** What `deno doc --html` gets wrong by itself: members whose names have quotes or dots in them. */
const DENO_DOC = [/customInspect/, /\/VLAN_PROTOCOL\.802/, /#type_param_/];

Deno.test("Every link of the site and of its API reference leads somewhere, anchors included", async () => {
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
  const broken = links.filter(({ state, url }) =>
    state === "BROKEN" && !DENO_DOC.some((pattern) => pattern.test(url))
  );
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
