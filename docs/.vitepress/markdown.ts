// Markdown as this site has it, beyond VitePress' own.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { MarkdownRenderer } from "vitepress";
import { chart } from "./chart.ts";
import { narrow } from "./code.ts";

/** Adds this site's rules. */
export function rules(markdown: MarkdownRenderer): void {
  symbols(markdown);
  fences(markdown);
  chinese(markdown);
}

/** Links to symbols by name, `/api/~/Veth.html`, lead to the places that these have in the reference. */
function symbols(markdown: MarkdownRenderer): void {
  const file = fileURLToPath(new URL("../api/addresses.json", import.meta.url));
  if (!existsSync(file)) throw new Error("No docs/api: deno task docs writes it");
  const addresses: Record<string, string> = JSON.parse(readFileSync(file, "utf8"));
  markdown.core.ruler.push("symbols", ({ tokens, env }) => {
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const href = token.type === "link_open" ? token.attrGet("href") ?? "" : "";
      const [, entry = "", name] = /^\/api\/(?:(\w+)\/)?~\/(.+)\.html$/.exec(href) ?? [];
      if (name === undefined) continue;
      const address = addresses[entry ? `${entry}/${name}` : name];
      if (!address) throw new Error(`${env.path}: no symbol has the address ${href}`);
      token.attrSet("href", address);
    }
  });
}

/** Charts; code no wider than a page; outputs of recipes folded. */
function fences(markdown: MarkdownRenderer): void {
  const highlight = markdown.options.highlight!;
  markdown.options.highlight = (code, language, attributes) =>
    highlight(narrow(code, language), language, attributes);
  const fence = markdown.renderer.rules.fence!;
  markdown.renderer.rules.fence = (tokens, index, options, env, self) => {
    const token = tokens[index]! as typeof tokens[number] & { src?: [string] };
    if (token.info.trim() === "chart") return chart(token.content);
    const html = fence(tokens, index, options, env, self);
    if (!token.src?.[0].includes("/outputs/")) return html;
    const words = env.relativePath?.startsWith("zh-TW/") ? "輸出" : "The output";
    return `<details class="details custom-block"><summary>${words}</summary>\n${html}</details>\n`;
  };
}

/** Where a line of Chinese ends in the source there is no space in the text. */
function chinese(markdown: MarkdownRenderer): void {
  markdown.renderer.rules["softbreak"] = (tokens, index) => {
    const before = tokens[index - 1]?.content.at(-1) ?? "";
    const after = tokens[index + 1]?.content.at(0) ?? "";
    const mark = /[\u3000-\u303f\uff00-\uffef]/;
    const han = /\p{Script=Han}/u;
    return mark.test(before) || mark.test(after) || han.test(before) && han.test(after) ? "" : "\n";
  };
}
