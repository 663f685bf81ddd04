import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
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

  await page.click('main a[href="/api/~/Bridge.html"]');
  await page.waitForURL("**/api/~/Bridge.html");
  assertMatch(await page.title(), /Bridge/);
  await look("api");
  await page.click("#topnav >> text=Devices and guides");
  await page.locator("h1", { hasText: "API" }).waitFor();

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

Deno.test("No page complains, or is wider than a phone", async () => {
  await using site = await visit();
  const { page, complaints } = await open(site, { colorScheme: "light", width: PHONE });
  const wide: string[] = [];
  for (const { address } of pages()) {
    await goTo(page, site.origin + address);
    if (await overflow(page) > 0) wide.push(address);
  }
  assert(pages().length > 20);
  assertEquals([complaints, wide], [[], []]);
});
