// The documentation site, built by VitePress: `deno task docs`.
import process from "node:process";
import { defineConfig } from "vitepress";
import { english, traditionalChinese } from "./navigation.ts";

/** Where on its server the site is: `/` or `/netloom/`. */
const base = process.env["DOCS_BASE"] ?? "/";

export default defineConfig({
  title: "netloom",
  base,
  outDir: "../.cache/docs/site",
  cacheDir: "../.cache/docs/vite",
  cleanUrls: false,
  lastUpdated: false,
  // `deno doc --html` makes the reference beside the built pages; the tests of the site check links to
  // it too.
  ignoreDeadLinks: [/^\/api\//],
  head: [["link", { rel: "icon", href: `${base}favicon.ico` }]],
  locales: {
    root: { label: "English", lang: "en", ...english },
    "zh-TW": { label: "繁體中文", lang: "zh-TW", ...traditionalChinese },
  },
  themeConfig: {
    search: {
      provider: "local",
      options: {
        locales: { "zh-TW": { translations: { button: { buttonText: "搜尋" } } } },
        // Chinese has no spaces between words: each character is one to search for.
        miniSearch: { options: { tokenize: words } },
      },
    },
    outline: [2, 3],
  },
  markdown: {
    config(markdown) {
      // The API reference is plain HTML: the browser loads it, not the page's router.
      const open = markdown.renderer.rules["link_open"]!;
      markdown.renderer.rules["link_open"] = (tokens, index, options, env, self) => {
        const token = tokens[index]!;
        const href = token.attrGet("href") ?? "";
        if (href.startsWith("/api/")) {
          token.attrSet("href", base + href.slice(1));
          token.attrSet("target", "_self");
        }
        return open(tokens, index, options, env, self);
      };
      // Where a line of Chinese ends in the source there is no space in the text.
      markdown.renderer.rules["softbreak"] = (tokens, index) => {
        const before = tokens[index - 1]?.content.at(-1) ?? "";
        const after = tokens[index + 1]?.content.at(0) ?? "";
        const mark = /[\u3000-\u303f\uff00-\uffef]/;
        const chinese = /\p{Script=Han}/u;
        return mark.test(before) || mark.test(after) || chinese.test(before) && chinese.test(after)
          ? ""
          : "\n";
      };
    },
  },
});

/** Words of a text for the search. VitePress runs it in the browser: it must stand alone. */
function words(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu)?.flatMap((word) =>
    /\p{Script=Han}/u.test(word) ? [...word] : [word]
  ) ?? [];
}
