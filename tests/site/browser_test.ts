import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Page } from "npm:playwright-core@1.65.1";
import { goTo, isDark, keep, open, overflow, type View, type Visit, visit } from "./browser.ts";
import { pages } from "./pages.ts";

const PHONE = 390;
const DESK = 1280;
const VIEWS: View[] = [
  { colorScheme: "light", width: DESK },
  { colorScheme: "dark", width: DESK },
  { colorScheme: "light", width: PHONE },
  { colorScheme: "dark", width: PHONE },
];

Deno.test("A reader finds a device, its recipe and its reference, on a desk and on a phone", async (t) => {
  await using site = await visit();
  for (const view of VIEWS) {
    await t.step(`${view.colorScheme}, ${view.width} pixels wide`, () => read(site, view));
  }
});

async function read(site: Visit, view: View): Promise<void> {
  const { colorScheme, width } = view;
  const { page, complaints } = await open(site, view);
  const look = async (name: string) => {
    assertEquals(await overflow(page), 0, `${page.url()} is wider than its window`);
    assertEquals(await isDark(page), colorScheme === "dark", `${page.url()} is ${colorScheme}`);
    await keep(page, `${name}_${colorScheme}_${width}`);
  };

  await goTo(page, `${site.origin}/`);
  assertMatch(await page.title(), /netloom/);
  await look("home");

  await page.click("#local-search button");
  await page.fill(".search-input", "spanning tree");
  await page.locator(".result", { hasText: "Bridge" }).first().click();
  await page.waitForURL("**/concepts/bridge.html**");
  await page.locator("h1", { hasText: "Bridge" }).waitFor();
  await page.locator(".diagram svg").waitFor();
  await look("bridge");
  const recipe = page.locator(".language-ts", { hasText: "ip netns add ns1" });
  assertStringIncludes(await recipe.first().innerText(), "Bridge.create(");

  // The reference has the same header, font, search and theme.
  const font = await lookOf(page);
  await page.click('main a[href^="/api/link/bridge.html"]');
  await page.waitForURL("**/api/link/bridge.html**");
  await page.locator("h1", { hasText: "Bridge" }).waitFor();
  assertEquals(await lookOf(page), font);
  await look("api");
  await page.click("#local-search button");
  await page.fill(".search-input", "Veth.create");
  await page.locator(".result", { hasText: "Veth.create()" }).first().click();
  await page.waitForURL("**/api/link/veth.html**");

  await goTo(page, `${site.origin}/zh-TW/`);
  assertEquals(await page.locator("html").getAttribute("lang"), "zh-TW");
  await page.click("#local-search button");
  await page.fill(".search-input", "命名空間");
  await page.locator(".result").first().waitFor();
  await page.keyboard.press("Escape");
  await look("zh-TW");

  assertEquals(complaints, []);
  await page.close();
}

/** What makes pages look alike: the header's entries and the font of the text. */
function lookOf(page: Page): Promise<unknown> {
  return page.evaluate(`[
    document.querySelector(".VPNav .title").textContent.trim(),
    getComputedStyle(document.querySelector(".vp-doc p")).fontFamily,
    document.querySelectorAll("#local-search button").length,
  ]`);
}

/** The blocks of TypeScript, YAML and commands that are wider than their places. */
function cutOff(page: Page): Promise<string[]> {
  return page.evaluate(`[...document.querySelectorAll(
    ".vp-doc .language-ts pre, .vp-doc .language-yaml pre, .vp-doc .language-sh pre, .signature",
  )].filter((it) => it.scrollWidth > it.clientWidth + 1).map((it) => it.innerText)`);
}

/** All pages that people wrote, and the largest of those that a generator wrote. */
function telling(): { address: string; file: string }[] {
  const [generated, others] = [true, false].map((isGenerated) =>
    pages().filter(({ address }) => /^\/(api|commands)\//.test(address) === isGenerated)
  );
  const largest = generated!.toSorted((a, b) =>
    Deno.statSync(b.file).size - Deno.statSync(a.file).size
  );
  const chinese = others!.filter(({ address }) => address.startsWith("/zh-TW/"));
  return [
    ...largest.slice(0, 16),
    ...others!.filter(({ address }) => !address.startsWith("/zh-TW/")),
    ...chinese.filter(({ address }) => /^\/zh-TW\/(concepts|index|start)/.test(address)),
  ];
}

Deno.test("No page complains, cuts code off on a desk, or is wider than a phone", async () => {
  await using site = await visit();
  const found: unknown[] = [];
  const rest = telling();
  assert(rest.length > 50);
  await Promise.all(Array.from({ length: 3 }, async () => {
    const { page, complaints } = await open(site, { colorScheme: "light", width: DESK });
    for (let next = rest.pop(); next; next = rest.pop()) {
      await page.setViewportSize({ width: DESK, height: 900 });
      await goTo(page, site.origin + next.address);
      const cut = await cutOff(page);
      if (cut.length > 0) found.push(`${next.address} cuts off: ${cut}`);
      await page.setViewportSize({ width: PHONE, height: 900 });
      if (await overflow(page) > 0) found.push(`${next.address} is wider than a phone`);
    }
    found.push(...complaints);
  }));
  assertEquals(found, []);
});

Deno.test("A missing page offers the search, with the words of its address", async () => {
  await using site = await visit();
  const { page } = await open(site, { colorScheme: "light", width: DESK });
  await goTo(page, `${site.origin}/guides/spanning-tree.html`);
  assertEquals(await page.inputValue(".missing input"), "spanning tree");
  await page.click(".missing button");
  await page.locator(".result").first().waitFor();
});

Deno.test("A page without a translation opens in English, with a line in Chinese", async () => {
  await using site = await visit();
  const { page, complaints } = await open(site, { colorScheme: "light", width: DESK });
  await goTo(page, `${site.origin}/zh-TW/guides/firewall.html`);
  await page.locator(".untranslated", { hasText: "英文版" }).waitFor();
  await page.locator("h1", { hasText: "Firewall" }).waitFor();
  // The reference is not there twice: its Chinese addresses lead to it, by the menu and by hand.
  await goTo(page, `${site.origin}/api/link/veth.html`);
  await page.hover(".VPNavBarTranslations button");
  await page.click(".VPNavBarTranslations a:has-text('繁體中文')");
  await page.locator(".untranslated", { hasText: "英文版" }).waitFor();
  await page.goto(`${site.origin}/zh-TW/api/link/bridge.html`);
  await page.waitForURL("**/api/link/bridge.html?from=zh-TW");
  await page.locator(".untranslated", { hasText: "英文版" }).waitFor();
  assertEquals(complaints, []);
});

Deno.test("The start page plays the recording of a lab", async () => {
  await using site = await visit();
  const { page, complaints } = await open(site, { colorScheme: "dark", width: DESK });
  await goTo(page, `${site.origin}/`);
  await page.locator(".recording .ap-term", { hasText: "netloom up examples/labs/wan.lab.yml" })
    .waitFor();
  assertEquals(complaints, []);
});
