import { assert, assertEquals } from "@std/assert";
import { parse, resolve } from "../../src/lab/mod.ts";
import { ROOT } from "../script.ts";

Deno.test("The labs in the guides can be resolved", async () => {
  const blocks: string[] = [];
  const folders = ["guides", "migrate"].map((name) => `${ROOT}docs/${name}`);
  for (
    const path of folders.flatMap((it) =>
      [...Deno.readDirSync(it)].map((file) => `${it}/${file.name}`)
    )
  ) {
    const page = Deno.readTextFileSync(path);
    const found = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text!);
    blocks.push(...found.filter((text) => /^\s*nodes:/m.test(text)));
  }
  assert(blocks.length >= 2);
  for (const text of blocks) assert(resolve(await parse(text)).nodes.length > 0);
});

for (const page of ["guides/labs", "migrate/containerlab", "migrate/mininet"]) {
  Deno.test(`The commands of docs/${page}.md run with its files`, async () => {
    const text = Deno.readTextFileSync(`${ROOT}docs/${page}.md`);
    const folder = Deno.makeTempDirSync();
    try {
      for (const [, file] of text.matchAll(/^```yaml\n(.*?)^```$/gms)) {
        const [, name] = /^# (\S+\.(?:lab|clab)\.yml)/.exec(file!) ?? [];
        if (name) Deno.writeTextFileSync(`${folder}/${name}`, file!);
      }
      const netloom = `netloom() { ${Deno.execPath()} run -A ${ROOT}cli.ts "$@"; }`;
      const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
      assert(blocks.length > 0);
      const { success, stderr } = await new Deno.Command("bash", {
        args: ["-ec", [netloom, ...blocks].join("\n")],
        cwd: folder,
        stdin: "null",
      }).output();
      assert(success, new TextDecoder().decode(stderr));
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

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
