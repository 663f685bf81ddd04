// Pages that there are in English only: each gets a page in Chinese that says so and leads there.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const DOCS = fileURLToPath(new URL("../", import.meta.url));

/** The English pages of a folder that have no Chinese one, as parameters of `[page].md`. */
export function untranslated(folder: string): { params: { page: string; title: string } }[] {
  return readdirSync(DOCS + folder)
    .filter((name) => name.endsWith(".md") && !existsSync(`${DOCS}zh-TW/${folder}/${name}`))
    .map((name) => {
      const [, title = name] = /^# (.*)$/m.exec(readFileSync(`${DOCS}${folder}/${name}`, "utf8")) ??
        [];
      return { params: { page: name.slice(0, -3), title } };
    });
}
