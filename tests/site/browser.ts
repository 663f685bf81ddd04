// Chromium, and the built site served for it as `deno task docs:serve` does.
import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "npm:playwright-core@1.65.1";
import { ROOT, run } from "../script.ts";

/** Debian's, or the one on GitHub's machines; `undefined` when there is none. */
export const CHROMIUM: string | undefined = ["chromium", "google-chrome"]
  .map((name) => `/usr/bin/${name}`).find((path) => existsSync(path));

/** How somebody looks at the site. */
export interface View {
  readonly colorScheme: "light" | "dark";
  /** Of the window, in pixels. */
  readonly width: number;
}

/** A browser, and where it finds the site. */
export interface Visit extends AsyncDisposable {
  readonly browser: Browser;
  readonly origin: string;
}

/** Serves the built site and starts a browser. */
export async function visit(): Promise<Visit> {
  const port = freePort();
  const vitepress = "docs/node_modules/vitepress/bin/vitepress.js";
  const flags = ["-A", "--config=docs/deno.json"];
  const server = run([vitepress, "preview", "docs", `--port=${port}`], { flags });
  await server.writes("served at");
  // Root's browser cannot have its sandbox, and looks at our own pages only.
  const browser = await chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });
  return {
    browser,
    origin: `http://localhost:${port}`,
    async [Symbol.asyncDispose]() {
      await browser.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

function freePort(): number {
  using listener = Deno.listen({ port: 0 });
  return listener.addr.port;
}

/** A page, and what it has complained about since: errors of its scripts, files it did not get. */
export interface Watched {
  readonly page: Page;
  readonly complaints: string[];
}

/** Opens an empty page that looks as told. */
export async function open({ browser }: Visit, { colorScheme, width }: View): Promise<Watched> {
  const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
  page.setDefaultTimeout(60_000); // on a busy machine
  const complaints: string[] = [];
  const note = (text: string) => complaints.push(`${page.url()}: ${text}`);
  page.on("pageerror", (error) => note(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") note(message.text());
  });
  page.on("response", (response) => {
    if (response.status() >= 400) note(`${response.status()} for ${response.url()}`);
  });
  return { page, complaints };
}

/** Opens a page and waits until it answers to clicks. */
export async function goTo(page: Page, address: string): Promise<void> {
  await page.goto(address);
  await page.waitForFunction("document.querySelector('#app').__vue_app__");
}

/** By how many pixels a page is wider than its window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(
    "document.documentElement.scrollWidth - document.documentElement.clientWidth",
  );
}

/** Whether a page has a dark background. */
export function isDark(page: Page): Promise<boolean> {
  return page.evaluate(
    "getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).every((n) => Number(n) < 128)",
  );
}

/** Keeps a picture of a page for people to look at, in .cache/docs/screenshots. */
export async function keep(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `${ROOT}.cache/docs/screenshots/${name}.png`, fullPage: true });
}
