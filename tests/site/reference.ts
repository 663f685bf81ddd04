// `deno run -A tests/site/reference.ts`: writes the API reference into docs/api/, from the documentation
// comments of every entry point; VitePress makes pages of it as of the guides.
import { ROOT } from "../script.ts";
import { readReference } from "./reference/model.ts";
import { Pages } from "./reference/pages.ts";

const FOLDER = `${ROOT}docs/api`;

/** Writes the reference. */
export function writeReference(): void {
  const pages = new Pages(readReference());
  Deno.mkdirSync(FOLDER, { recursive: true });
  for (const { name } of Deno.readDirSync(FOLDER)) {
    Deno.removeSync(`${FOLDER}/${name}`, { recursive: true });
  }
  for (const [path, text] of pages.all()) {
    Deno.mkdirSync(`${FOLDER}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(`${FOLDER}/${path}`, text);
  }
  Deno.writeTextFileSync(`${FOLDER}/addresses.json`, JSON.stringify(pages.addresses()));
  Deno.writeTextFileSync(`${FOLDER}/sidebar.json`, JSON.stringify(pages.sidebar()));
}

if (import.meta.main) writeReference();
