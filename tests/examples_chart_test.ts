// The chart of examples/connect_compare.ts. The packages are named here for `deno cache`, which fetches
// them before tests run where no registry is reached.
import "npm:vega-lite@6.5.0";
import "npm:vega@6.4.0";
import { assertEquals, assertMatch } from "@std/assert";
import { chartWriter, PACKAGES } from "../examples/_compare/chart.ts";

Deno.test("chartWriter() draws a bar and a figure for each row and column", async () => {
  const file = Deno.makeTempFileSync({ suffix: ".svg" });
  try {
    const write = await chartWriter(file);
    await write([
      { "connected by": "veth", "TCP, Gbit/s": 9.15, "64-byte packets/s": 169540 },
      { "connected by": "macvlan", "TCP, Gbit/s": 0.2, "64-byte packets/s": 79872 },
    ], "3 rounds");
    const svg = Deno.readTextFileSync(file);
    assertMatch(svg, /^<svg[\s\S]*<\/svg>\s*$/);
    const texts = [...svg.matchAll(/<text[^>]*>([^<]+)<\/text>/g)].map(([, text]) => text);
    for (const text of ["3 rounds", "veth", "macvlan", "TCP, Gbit/s", "9.15", "0.2", "170,000"]) {
      assertEquals(texts.includes(text), true, `${text} is not in ${texts}`);
    }
    assertEquals(svg.match(/#4c78a8/g)?.length, 4);
  } finally {
    Deno.removeSync(file);
  }
});

Deno.test("chartWriter() fetches the packages that are named here", () => {
  const source = Deno.readTextFileSync(new URL(import.meta.url));
  for (const name of PACKAGES) assertMatch(source, new RegExp(`^import "${name}";$`, "m"));
});
