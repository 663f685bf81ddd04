import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { NetNs, Veth } from "../../mod.ts";
import { NetNsSource, type PageSource, type ServedPage, servePage } from "../../src/page/mod.ts";
import type { NetworkGraph } from "../../src/view/mod.ts";

/** Asks a page, as its script does. */
function ask(page: ServedPage, path: string, init?: RequestInit): Promise<Response> {
  const url = new URL(page.url);
  const [name, query = ""] = path.split("?");
  url.pathname = name!;
  for (const [key, value] of new URLSearchParams(query)) url.searchParams.set(key, value);
  return fetch(url, init);
}

interface Seen {
  readonly id: number | undefined;
  readonly event: string;
  readonly data: unknown;
}

/** Reads server-sent events until `enough` says so; then drops the connection. */
async function events(
  page: ServedPage,
  enough: (seen: readonly Seen[]) => boolean,
  last?: number,
): Promise<Seen[]> {
  const stop = new AbortController();
  const headers: HeadersInit = last === undefined ? {} : { "last-event-id": String(last) };
  const response = await ask(page, "/events", { headers, signal: stop.signal });
  const seen: Seen[] = [];
  let rest = "";
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  while (!enough(seen)) {
    const { value = "" } = await reader.read();
    const parts = (rest + value).split("\n\n");
    rest = parts.pop()!;
    for (const part of parts) {
      const fields = new Map(
        part.split("\n").map((line) => {
          const [name, ...text] = line.split(": ");
          return [name!, text.join(": ")];
        }),
      );
      const id = fields.get("id");
      seen.push({
        id: id === undefined ? undefined : Number(id),
        event: fields.get("event")!,
        data: JSON.parse(fields.get("data")!),
      });
    }
  }
  await reader.cancel();
  stop.abort();
  return seen;
}

/** Two namespaces with a veth pair. */
function pair() {
  const [a, b] = [NetNs.create(), NetNs.create()];
  Veth.create({ name: "a0", netns: a, up: true, peer: { name: "b0", netns: b, up: true } });
  return { a, b, [Symbol.dispose]: () => (a[Symbol.dispose](), b[Symbol.dispose]()) };
}

Deno.test("A page answers only requests with its token and its own host name", async () => {
  using network = pair();
  await using page = servePage(new NetNsSource([network.a, network.b]));
  const url = new URL(page.url);
  assertEquals(url.hostname, "127.0.0.1");
  const statuses = async (...urls: (string | URL)[]) =>
    await Promise.all(urls.map(async (url) => {
      const response = await fetch(url);
      await response.body?.cancel();
      return response.status;
    }));
  const wrong = new URL(page.url);
  wrong.searchParams.set("token", "wrong");
  const alias = new URL(page.url);
  alias.hostname = "localhost";
  assertEquals(await statuses(page.url, new URL("/graph", url), wrong, alias), [
    200,
    403,
    403,
    403,
  ]);
});

Deno.test("A page serves its own files, the picture and the graph", async () => {
  using network = pair();
  await using page = servePage(new NetNsSource([network.a, network.b], { title: "Two" }));
  const html = await (await ask(page, "/")).text();
  assert(!html.includes("TOKEN"));
  assert(!/(src|href)="https?:/.test(html), "the page loads something from the network");
  for (const file of ["/client.js", "/style.css", "/tools.js"]) {
    assertEquals((await (await ask(page, file)).text()).length > 1000, true);
  }
  assertStringIncludes(await (await ask(page, "/picture.svg")).text(), 'data-edge="0"');
  const { graph, actions } = await (await ask(page, "/graph")).json();
  assertEquals([graph.title, actions], ["Two", ["down", "up"]]);
  assertEquals((await (await ask(page, "/details?node=n0&interface=a0")).json()).name, "a0");
  assertEquals((await ask(page, "/details?node=n9&interface=a0")).status, 400);
  assertEquals((await ask(page, "/nothing")).status, 404);
});

Deno.test("A page sends the state of lines when a link goes down and comes back", async () => {
  using network = pair();
  await using page = servePage(new NetNsSource([network.a, network.b]));
  const states = events(
    page,
    (seen) =>
      ["down", "up"].every((state) =>
        seen.some(({ event, data }) =>
          event === "state" && (data as { edges: string[] }).edges[0] === state
        )
      ),
  );
  await ask(page, "/graph"); // the stream is open before the first change
  const act = async (verb: string) =>
    assertEquals(
      (await ask(page, verb, { method: "POST", body: JSON.stringify({ edge: 0 }) })).status,
      200,
    );
  await act("/down");
  assertEquals(network.a.links.get("a0").read().up, false);
  await act("/up");
  assertEquals(network.b.links.get("b0").read().up, true);
  await states;
});

/** A network that changes when told. */
class Told implements PageSource {
  readonly actions = {};
  /** Names of the nodes. */
  nodes: string[] = ["a"];
  #queue: string[] = [];
  #wake = Promise.withResolvers<void>();

  say(text: string): void {
    this.#queue.push(text);
    this.#wake.resolve();
  }

  graph(): NetworkGraph {
    return { nodes: this.nodes.map((name) => ({ id: name, name, interfaces: [] })), edges: [] };
  }

  async *events(signal: AbortSignal) {
    signal.addEventListener("abort", () => this.#wake.resolve());
    while (!signal.aborted) {
      for (const text of this.#queue.splice(0)) yield { text };
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
    }
  }

  counters() {
    return [];
  }

  details() {
    return {};
  }

  async *packets() {}
}

Deno.test("A page draws a change anew that it reads before the event of it comes", async () => {
  const network = new Told();
  await using page = servePage(network);
  const drawn = events(
    page,
    (seen) =>
      seen.some(({ event, data }) =>
        event === "picture" && (data as { version: number }).version === 2
      ),
  );
  await ask(page, "/graph");
  network.nodes.push("b");
  await drawn;
  assertStringIncludes(await (await ask(page, "/picture.svg")).text(), ">b<");
});

const texts = (seen: readonly Seen[]) =>
  seen.filter(({ event }) => event === "event").map(({ data }) => (data as { text: string }).text);

Deno.test("A page that comes back gets every event that it missed, once", async () => {
  const network = new Told();
  await using page = servePage(network);
  const all = Array.from({ length: 300 }, (_, i) => `event ${i}`);
  const first = events(page, (seen) => texts(seen).length >= 100);
  await ask(page, "/graph");
  for (const text of all.slice(0, 150)) network.say(text);
  let seen = await first;
  const last = () => seen.findLast(({ id }) => id !== undefined)!.id!;
  for (const text of all.slice(150)) network.say(text);
  // The connection breaks at any place: the number of the last event says where to go on.
  while (texts(seen).length < all.length) {
    const least = texts(seen).length;
    seen = [
      ...seen,
      ...await events(
        page,
        (more) => least + texts(more).length >= Math.min(least + 40, 300),
        last(),
      ),
    ];
  }
  assertEquals(texts(seen), all);
});

Deno.test("A page that was away too long draws anew", async () => {
  const network = new Told();
  await using page = servePage(network);
  for (let i = 0; i < 3000; i++) network.say(`event ${i}`);
  const [first] = await events(page, (seen) => seen.length > 0, 3);
  assertEquals(first!.event, "picture");
});

Deno.test("A page lists packets as they pass", async () => {
  using network = pair();
  const { a, b } = network;
  a.addresses.add({ dev: "a0", address: "192.0.2.1/24" });
  b.addresses.add({ dev: "b0", address: "192.0.2.2/24" });
  await using page = servePage(new NetNsSource([a, b]));
  const response = await ask(page, "/packets?node=n1&interface=b0");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const pinging = a.ping("192.0.2.2", { count: 1 });
  while (!text.includes("ICMP echo reply")) text += (await reader.read()).value;
  await pinging;
  await reader.cancel();
});
