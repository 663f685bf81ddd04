// The same file gives the same bytes on every machine and run. To write the golden file after a change
// that is meant: deno run -A tests/lab/golden_test.ts
import { assertEquals } from "@std/assert";
import { clos, grid, load, random, resolve, type TopologySpec } from "../../src/lab/mod.ts";
import { ROOT } from "../script.ts";

const FOLDER = `${ROOT}tests/lab/golden`;

async function text(): Promise<string> {
  const resolved = resolve(await load(`${FOLDER}/two_tier.lab.yml`));
  return `${JSON.stringify(resolved, null, 2)}\n`.replaceAll(FOLDER, "");
}

async function sha256(spec: TopologySpec): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(resolve(spec)));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

if (import.meta.main) {
  Deno.writeTextFileSync(`${FOLDER}/two_tier.json`, await text());
}

Deno.test("A file with a member of everything gives the bytes of the golden file", async () => {
  assertEquals(await text(), Deno.readTextFileSync(`${FOLDER}/two_tier.json`));
});

Deno.test("Generated topologies give the same bytes everywhere", async () => {
  const both = { addressing: { ipv4: "10.0.0.0/8", ipv6: "fd00::/48" } };
  assertEquals(
    await sha256(grid(10, 10)),
    "97e3d9c64b534a61ef5a6c950ab932f74e86403873d4bb10da2cd78927e2dabf",
  );
  assertEquals(
    await sha256({ ...clos(16, { spines: 4 }), ...both, ecmp: true }),
    "3744595e72f3f5b1a8ea7650c0110b93d99d8348013a521391be29da4ad75c6e",
  );
  assertEquals(
    await sha256({ ...random(50, { hosts: 1, seed: 7 }), ...both }),
    "a818c79548617826bf468c32b770ec3ebf6d47c866edaf3fc6f5ab7d4a94d201",
  );
});
