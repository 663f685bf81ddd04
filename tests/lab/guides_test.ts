import { assert, assertEquals } from "@std/assert";
import { parse, resolve } from "../../src/lab/mod.ts";
import { ROOT } from "../script.ts";

Deno.test("The labs in the guides can be resolved", async () => {
  const blocks: string[] = [];
  for (const { name } of Deno.readDirSync(`${ROOT}docs/guides`)) {
    const page = Deno.readTextFileSync(`${ROOT}docs/guides/${name}`);
    const found = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text!);
    blocks.push(...found.filter((text) => /^nodes:/m.test(text)));
  }
  assert(blocks.length >= 2);
  for (const text of blocks) assert(resolve(await parse(text)).nodes.length > 0);
});

Deno.test("The error in the guide is what a file with that mistake gives", async () => {
  const page = Deno.readTextFileSync(`${ROOT}docs/guides/labs.md`);
  const [, shown] = /^```text\n(.*?)^```$/ms.exec(page)!;
  const text = "name: two-sites\nnodes:\n  r[1-2]: { kind: ruter }\n";
  const message = await parse(text, { file: "two-sites.lab.yml" }).then(
    String,
    (error) => error.message,
  );
  assertEquals(shown!.replace(/\s+/g, " ").trim(), message.replace(/\s+/g, " "));
});
