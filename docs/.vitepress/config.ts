// The documentation site, built by VitePress: `deno task docs`.
import process from "node:process";
import { defineConfig, type MarkdownEnv } from "vitepress";
import { rules } from "./markdown.ts";
import { english, traditionalChinese } from "./navigation.ts";

/** Where on its server the site is: `/` or `/netloom/`. */
const base = process.env["DOCS_BASE"] ?? "/";

const REPOSITORY = "https://github.com/netloom/netloom";

export default defineConfig({
  title: "netloom",
  base,
  outDir: "../.cache/docs/site",
  cacheDir: "../.cache/docs/vite",
  cleanUrls: false,
  lastUpdated: false,
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
        _render: searched,
      },
    },
    outline: [2, 3],
    footer: {
      message: "MIT licence. netloom runs on Linux, in Deno.",
      copyright:
        `<a href="${REPOSITORY}">Source</a> · <a href="${REPOSITORY}/blob/main/CHANGELOG.md">Changelog</a> · <a href="${REPOSITORY}/blob/main/SECURITY.md">Security</a>`,
    },
    socialLinks: [{ icon: "github", link: REPOSITORY }],
    editLink: { pattern: `${REPOSITORY}/edit/main/docs/:path`, text: "Edit this page" },
  },
  markdown: { config: rules },
});

interface Renderer {
  render(source: string, env: MarkdownEnv): string;
}

/** What the search reads of a page: of the reference the names and sentences, without its examples. */
function searched(source: string, env: MarkdownEnv, markdown: Renderer): string {
  const html = markdown.render(source, env);
  if (env.frontmatter?.search === false) return "";
  return env.frontmatter?.reference
    ? html.replace(/<div class="language-[^]*?<\/pre>[^]*?<\/div>/g, "")
    : html;
}

/** Words of a text for the search. VitePress runs it in the browser: it must stand alone. */
function words(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu)?.flatMap((word) =>
    /\p{Script=Han}/u.test(word) ? [...word] : [word]
  ) ?? [];
}
