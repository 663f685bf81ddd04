// `deno run -A tests/site/view_pictures.ts`: pictures of `netloom draw` and `netloom view` for people to
// look at, of labs of 5, 50 and 200 nodes, light, dark and 390 pixels wide, in .cache/docs/screenshots.
import { type Browser, chromium, type Page } from "npm:playwright-core@1.65.1";
import { clos, up } from "../../src/lab/mod.ts";
import { LabSource, servePage } from "../../src/page/mod.ts";
import { CHROMIUM, keep } from "./browser.ts";

const SIZES = [
  ["5", clos(2, { spines: 1, hosts: 1 })],
  ["50", clos(6, { spines: 2, hosts: 7 })],
  ["200", clos(16, { spines: 4, hosts: 11 })],
] as const;

const VIEWS = [
  { colorScheme: "light", width: 1280 },
  { colorScheme: "dark", width: 1280 },
  { colorScheme: "light", width: 390 },
] as const;

/** Opens a page in each look, and keeps pictures of it. */
async function look(
  browser: Browser,
  name: string,
  open: (page: Page) => Promise<void>,
): Promise<void> {
  for (const { colorScheme, width } of VIEWS) {
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 844 } });
    await open(page);
    await keep(page, `${name}-${colorScheme}-${width}`);
    await page.close();
  }
}

await using browsers = new AsyncDisposableStack();
const browser = await chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });
browsers.defer(() => browser.close());
const only = Deno.args;
for (const [size, spec] of SIZES) {
  if (only.length > 0 && !only.includes(size)) continue;
  await using lab = await up(spec);
  const [first, last] = [lab.topology.wires[0]!.ends, lab.topology.wires.at(-1)!.ends];
  lab.link(...first).cut();
  lab.link(...last).impair({ rate: "8mbit" });
  const svg = await lab.draw();
  await look(
    browser,
    `draw-${size}`,
    (page) => page.setContent(`<meta name="color-scheme" content="light dark">${svg}`),
  );
  await using served = servePage(new LabSource(lab));
  const pinging = lab.reachability({ timeout: 500 });
  await look(browser, `view-${size}`, async (page) => {
    await page.goto(served.url);
    await page.waitForSelector("#picture svg [data-edge]", { state: "attached" });
    await page.locator("#picture g[data-edge]:not([data-node])").first().focus();
    await page.keyboard.press("Enter");
    await page.waitForSelector("#facts");
    await page.waitForTimeout(2500); // rates, and colours that fade in
  });
  await pinging;
}
