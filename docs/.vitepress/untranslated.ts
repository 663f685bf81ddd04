// Pages that there are in English only: below /zh-TW/ each opens in English, with a line that says so.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const DOCS = fileURLToPath(new URL("../", import.meta.url));

/** Folders without pages of this kind; the reference is too large to be there twice. */
const OTHERS = [".vitepress", "node_modules", "api", "zh-TW", "public"];

interface Route {
  readonly params: { readonly page: string };
  readonly content: string;
}

/** The English pages that have no Chinese one, as parameters of `[page].md`. */
export function untranslated(folder = ""): Route[] {
  return readdirSync(DOCS + folder, { withFileTypes: true }).flatMap((entry): Route[] => {
    const path = folder + entry.name;
    if (entry.isDirectory()) return OTHERS.includes(path) ? [] : untranslated(`${path}/`);
    if (!path.endsWith(".md") || existsSync(`${DOCS}zh-TW/${path}`)) return [];
    const text = readFileSync(DOCS + path, "utf8").replace(/^---\n[^]*?\n---\n/, "");
    return [{ params: { page: path.slice(0, -3) }, content: withEnglishAnchors(text, folder) }];
  });
}

/** Links to parts of other pages lead to the English ones: headings in Chinese have other names. */
function withEnglishAnchors(text: string, folder: string): string {
  return text.replace(
    /\]\((\.{1,2}\/[^)#]*|[\w-]+(?:\.md)?)#/g,
    (_, link: string) => `](${new URL(link, `http://site/${folder}`).pathname}#`,
  );
}
