import { assertEquals } from "@std/assert";

type Config = Record<string, unknown>;

function config(name: string): Config {
  return JSON.parse(Deno.readTextFileSync(new URL(`../${name}`, import.meta.url)));
}

Deno.test("deno.jsr.json resolves and compiles as deno.json does, but for the links", () => {
  const { imports, lock, compilerOptions } = config("deno.json");
  assertEquals(config("deno.jsr.json"), { imports, lock, compilerOptions });
});

Deno.test("Every export of deno.json is importable by its public name", () => {
  const { name, exports, imports } = config("deno.json");
  const publicName = (path: string) => path.replace(/^\./, name as string);
  const entries = Object.entries(exports as Config).map(([path, file]) => [publicName(path), file]);
  assertEquals(imports, { ...imports as Config, ...Object.fromEntries(entries) });
});
