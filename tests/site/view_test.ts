// The page of `netloom view` in Chromium: what a person sees of a network that changes.
import { assert, assertEquals } from "@std/assert";
import { chromium, type Page } from "npm:playwright-core@1.65.1";
import { Bridge, NetNs, Veth } from "../../mod.ts";
import { up } from "../../src/lab/mod.ts";
import { LabSource, NetNsSource, type PageSource, servePage } from "../../src/page/mod.ts";
import { CHROMIUM } from "./browser.ts";

/** Opens the page of a network in a browser, and ends both. */
async function looking(
  source: PageSource,
  look: (page: Page) => Promise<void>,
  view: { readonly width?: number; readonly colorScheme?: "light" | "dark" } = {},
): Promise<void> {
  await using served = servePage(source);
  const browser = await chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage({
      viewport: { width: view.width ?? 1200, height: 844 },
      colorScheme: view.colorScheme ?? "light",
    });
    page.setDefaultTimeout(20_000);
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    await page.goto(served.url);
    await page.waitForSelector("#picture svg [data-edge]", { state: "attached" });
    await look(page);
    assertEquals(complaints, []);
  } finally {
    await browser.close();
  }
}

/** A bridge and namespaces at it. */
function lan(size: number) {
  const stack = new DisposableStack();
  const hub = stack.use(NetNs.create());
  const bridge = Bridge.create({ name: "br0", netns: hub, up: true });
  const hosts = Array.from({ length: size }, (_, i) => {
    const host = stack.use(NetNs.create());
    const peer = { name: "eth0", netns: host, up: true, addresses: [`10.0.0.${i + 1}/24`] };
    Veth.create({ name: `p${i}`, netns: hub, master: bridge, up: true, peer });
    return host;
  });
  return {
    hosts,
    source: new NetNsSource([hub, ...hosts], { title: "A LAN" }),
    [Symbol.dispose]: () => stack.dispose(),
  };
}

Deno.test("A link that is taken down in the kernel turns red without a reload", async () => {
  using network = lan(3);
  await looking(network.source, async (page) => {
    const start = performance.now();
    network.hosts[1]!.links.get("eth0").down();
    await page.waitForSelector('#picture [data-edge="1"].nl-is-down', {
      state: "attached",
    });
    console.log(`red after ${(performance.now() - start).toFixed(0)} ms`);
    const color = () =>
      page.evaluate<string>(
        `getComputedStyle(document.querySelector('#picture [data-edge="1"] > .nl-line')).stroke`,
      );
    while (await color() !== "rgb(201, 42, 42)") await page.waitForTimeout(20); // it fades in
    assert((await page.textContent("#summary"))!.includes("1 down"));
    assert((await page.textContent("#events"))!.includes("link eth0"));
  });
});

Deno.test("Lines and boxes are chosen by click and by keys, and a link is set down and up", async () => {
  using network = lan(2);
  await looking(network.source, async (page) => {
    await page.focus('#picture [data-edge="0"]');
    await page.keyboard.press("Enter");
    await page.waitForSelector("#panel button:has-text('Down')");
    await page.click("#panel button:has-text('Down')");
    await page.waitForSelector('#picture [data-edge="0"].nl-is-down', { state: "attached" });
    assertEquals(network.hosts[0]!.links.get("eth0").read().up, false);
    await page.click("#panel button:has-text('Up')");
    await page.waitForSelector('#picture [data-edge="0"].nl-is-up', { state: "attached" });
    await page.click('#picture [data-node="n1"] [data-interface="eth0"]');
    await page.waitForSelector("#panel dd:has-text('10.0.0.1/24')");
    await page.click("#panel button:has-text('Capture')");
    await page.waitForSelector("#packets", { state: "attached" });
    await network.hosts[0]!.ping("10.0.0.2", { count: 3, interval: 200 });
    await page.waitForSelector("#packets li:has-text('ICMP echo request')");
  });
});

Deno.test("A link that is added appears without a reload", async () => {
  using network = lan(2);
  await looking(network.source, async (page) => {
    Veth.create({
      name: "extra",
      netns: network.hosts[0]!,
      up: true,
      peer: { name: "extra", netns: network.hosts[1]!, up: true },
    });
    await page.waitForSelector('#picture g[data-edge="2"]', { state: "attached" });
  });
});

/** Two hosts at a router. */
const PAIR = {
  nodes: { r: { kind: "router" }, a: {}, b: {} },
  links: ["a -- r", "b -- r"],
} as const;

Deno.test("A wire of a lab is cut, healed and impaired on the page", async () => {
  await using lab = await up(PAIR);
  const wire = lab.link("a", "r");
  const routes = () => lab.node("a").netns.routes.list().length;
  const before = routes();
  await looking(new LabSource(lab), async (page) => {
    const line = (state: string) =>
      page.waitForSelector(`#picture [data-edge="0"].nl-is-${state}`, { state: "attached" });
    await page.focus('#picture [data-edge="0"]');
    await page.keyboard.press("Enter");
    await page.click("#panel button:has-text('Cut')");
    await line("cut");
    assertEquals([wire.isCut, routes()], [true, before]);
    await page.click("#panel button:has-text('Heal')");
    await line("up");
    assertEquals(wire.isCut, false);
    await page.fill("#panel input[name=rate]", "8");
    await page.waitForSelector("#picture .nl-label:has-text('rate 8mbit')", { state: "attached" });
    await line("impaired");
    assertEquals(wire.impairment()?.values.out?.rate, 8_000_000);
    assertEquals(wire.impairment()?.values.in?.rate, 8_000_000);
    await page.selectOption("#panel select", "out");
    await page.fill("#panel input[name=rate]", "5");
    await page.waitForSelector("#picture .nl-label:has-text('rate 1mbit')", { state: "attached" });
    assertEquals(wire.impairment()?.values.out?.rate, 1_000_000);
    assertEquals(wire.impairment()?.values.in?.rate, 8_000_000);
    await page.click("#panel button:has-text('Clear')");
    await line("up");
    assertEquals(wire.impairment(), undefined);
    assertEquals(await page.inputValue("#panel input[name=rate]"), "0");
  });
});

Deno.test("A cut and an impairment by another program appear on the page", async () => {
  await using lab = await up(PAIR);
  await looking(new LabSource(lab), async (page) => {
    lab.link("a", "r").cut();
    lab.link("b", "r").impair({ rate: "2mbit" });
    await page.waitForSelector('#picture [data-edge="0"].nl-is-cut', { state: "attached" });
    await page.waitForSelector("#picture .nl-label:has-text('rate 2mbit')", { state: "attached" });
  });
});

Deno.test("The page of a lab pings all pairs", async () => {
  await using lab = await up(PAIR);
  lab.link("a", "r").cut();
  await looking(new LabSource(lab), async (page) => {
    await page.click("#ping-all");
    await page.locator("#matrix tr").nth(3).waitFor();
    assertEquals(await page.locator("#matrix td.none").count(), 4);
    assertEquals(await page.locator("#matrix th[scope=col]").allTextContents(), ["a", "b", "r"]);
  });
});

for (const colorScheme of ["light", "dark"] as const) {
  Deno.test(`A phone shows the page without sideways scrolling (${colorScheme})`, async () => {
    using network = lan(3);
    await looking(network.source, async (page) => {
      assertEquals(await page.evaluate("document.documentElement.scrollWidth"), 390);
    }, { width: 390, colorScheme });
  });
}

Deno.test("A page of 200 nodes answers while links change", async () => {
  using network = lan(200);
  await looking(network.source, async (page) => {
    const flapping = (async () => {
      for (let i = 0; i < 20; i++) {
        const link = network.hosts[i]!.links.get("eth0");
        i % 2 ? link.down() : link.set({ mtu: 1400 });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    // Frames of the browser in one second: no task of the page's script holds it up for long.
    const longest = await page.evaluate<number>(`new Promise((resolve) => {
      let last = performance.now(), longest = 0, end = last + 1000;
      requestAnimationFrame(function frame(now) {
        longest = Math.max(longest, now - last);
        last = now;
        now < end ? requestAnimationFrame(frame) : resolve(longest);
      });
    })`);
    await flapping;
    await page.locator("#picture .nl-is-down").nth(9).waitFor({ state: "attached" });
    console.log(`longest frame: ${longest.toFixed(0)} ms`);
  });
});
