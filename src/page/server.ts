/**
 * A local page with the living picture of a network.
 *
 * @module
 */
import { draw } from "../view/draw.ts";
import { show } from "../options.ts";
import type { GraphEdge, GraphEnd, NetworkGraph } from "../view/graph.ts";
import type { EndCounters, PageSource, PageValues } from "./source.ts";

/** Options of {@link servePage}. */
export interface ServePageOptions {
  /** The port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Ends the page. */
  readonly signal?: AbortSignal;
}

/** A page that is served; disposing of it ends it. */
export interface ServedPage extends AsyncDisposable {
  /** Its address, with the token that every request needs. */
  readonly url: string;
  /** Resolves when the page has ended. */
  readonly finished: Promise<void>;
}

/** A message to the pages: server-sent events with numbers, so that a page resumes where it was. */
interface Message {
  readonly id: number;
  readonly event: string;
  readonly data: string;
}

/** Messages that are kept for pages that come back. */
const KEPT = 2000;

/** Milliseconds between two readings of the counters. */
const INTERVAL = 1000;

/** Milliseconds from an event to the reading of the network, so that one reading is for many events. */
const SETTLED = 30;

/** Milliseconds for which packets are collected, and how many of them are listed then. */
const COLLECTED = 100;
const LISTED = 100;

/** Files of the page, beside this module. */
const FILES: Readonly<Record<string, string>> = {
  "/": "page.html",
  "/client.js": "client.js",
  "/tools.js": "tools.js",
  "/style.css": "style.css",
};

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml; charset=utf-8",
};

/**
 * Serves the page of a network on the loopback address. It needs nothing from the network, and answers
 * only requests that have its token.
 *
 * @param source The network.
 * @param options Port and signal.
 * @throws {Deno.errors.AddrInUse} When the port is taken.
 */
export function servePage(source: PageSource, options: ServePageOptions = {}): ServedPage {
  return new Page(source, options);
}

class Page implements ServedPage {
  readonly url: string;
  readonly finished: Promise<void>;
  readonly #source: PageSource;
  readonly #token = crypto.randomUUID();
  readonly #stop = new AbortController();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #host: string;
  #graph: NetworkGraph;
  #messages: Message[] = [];
  #next = 1;
  #listeners = new Set<(message: Message) => void>();
  #version = 1;
  readonly #pictures = new Map<number, Promise<string>>();
  #state = "";
  #reading: ReturnType<typeof setTimeout> | undefined;
  #error: unknown;
  /** Milliseconds that the last reading took: events wait for that of a large network longer. */
  #cost = 0;

  constructor(source: PageSource, { port = 0, signal }: ServePageOptions) {
    this.#source = source;
    this.#graph = source.graph();
    this.#state = JSON.stringify(stateOf(this.#graph));
    const { signal: stopped } = this.#stop;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port, signal: stopped, onListen() {} },
      (request) => this.#answer(request),
    );
    this.#host = `127.0.0.1:${this.#server.addr.port}`;
    this.url = `http://${this.#host}/?token=${this.#token}`;
    const stop = () => this.#stop.abort();
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop);
    this.finished = Promise.all([this.#server.finished, this.#watch(), this.#count()])
      .then(() => {
        if (this.#error) throw this.#error;
      }, (error) => {
        stop();
        throw error;
      })
      .finally(() => signal?.removeEventListener("abort", stop));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.finished;
  }

  /** Sends each event of the network on, and soon the state of the picture after it. */
  async #watch(): Promise<void> {
    try {
      for await (const { text } of this.#source.events(this.#stop.signal)) {
        this.#send("event", { time: Date.now(), text });
        this.#reading ??= setTimeout(
          () => this.#readSoon(),
          Math.max(SETTLED, 2 * this.#cost),
        );
      }
    } finally {
      clearTimeout(this.#reading);
    }
  }

  #readSoon(): void {
    try {
      this.#read();
    } catch (error) {
      this.#error = error;
      this.#stop.abort();
    }
  }

  /** Reads the network, and sends the difference. */
  #read(): void {
    clearTimeout(this.#reading);
    this.#reading = undefined;
    const [before, start] = [this.#graph, performance.now()];
    this.#graph = this.#source.graph();
    this.#cost = performance.now() - start;
    const state = JSON.stringify(stateOf(this.#graph));
    if (shapeOf(before) !== shapeOf(this.#graph)) {
      this.#version++;
      this.#pictures.clear();
      this.#send("picture", { version: this.#version });
    } else if (state !== this.#state) this.#send("state", stateOf(this.#graph));
    this.#state = state;
  }

  /** The picture, drawn once for each structure of the network and shape of a window. */
  #picture(ratio: number): Promise<string> {
    let picture = this.#pictures.get(ratio);
    if (!picture) {
      picture = draw(this.#graph, { ratio });
      this.#pictures.set(ratio, picture);
    }
    return picture;
  }

  /** Sends the rates of all ends, and what changes without events (cuts by others), once a second. */
  async #count(): Promise<void> {
    const { signal } = this.#stop;
    let before = new Map<string, EndCounters>();
    let then = performance.now();
    while (!signal.aborted) {
      await pause(INTERVAL, signal);
      if (signal.aborted || this.#listeners.size === 0) {
        before = new Map();
        continue;
      }
      this.#read();
      const now = performance.now();
      const seconds = (now - then) / 1000;
      const counters = this.#source.counters();
      const rates = counters.flatMap((counter) => {
        const last = before.get(keyOf(counter.end));
        return last === undefined ? [] : [{
          end: counter.end,
          bits: Math.max(0, counter.bytes - last.bytes) * 8 / seconds,
          packets: Math.max(0, counter.packets - last.packets) / seconds,
          drops: Math.max(0, counter.drops - last.drops) / seconds,
        }];
      });
      before = new Map(counters.map((counter) => [keyOf(counter.end), counter]));
      then = now;
      this.#tell({ id: 0, event: "rates", data: JSON.stringify(rates) });
    }
  }

  #send(event: string, data: unknown): void {
    const message = { id: this.#next++, event, data: JSON.stringify(data) };
    this.#messages.push(message);
    if (this.#messages.length > KEPT) this.#messages.shift();
    this.#tell(message);
  }

  #tell(message: Message): void {
    for (const listener of this.#listeners) listener(message);
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const token = url.searchParams.get("token") ?? request.headers.get("x-token");
    // A page of another origin can reach 127.0.0.1 by a name of its own (DNS rebinding).
    if (token !== this.#token || request.headers.get("host") !== this.#host) {
      return new Response("Not allowed\n", { status: 403 });
    }
    try {
      if (request.method === "POST") return await this.#act(url.pathname, await request.json());
      return await this.#get(url, request);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return Response.json({ error: error.message }, { status: 400 });
    }
  }

  async #get(url: URL, request: Request): Promise<Response> {
    const file = FILES[url.pathname];
    if (file !== undefined) return await fileResponse(file, this.#token);
    switch (url.pathname) {
      case "/picture.svg": {
        const svg = await this.#picture(ratioOf(url));
        return new Response(svg, { headers: { "content-type": TYPES.svg! } });
      }
      case "/graph":
        return Response.json({
          version: this.#version,
          graph: this.#graph,
          state: stateOf(this.#graph),
          actions: Object.keys(this.#source.actions),
          ping: this.#source.ping !== undefined,
        });
      case "/events":
        return this.#events(Number(request.headers.get("last-event-id") ?? NaN));
      case "/details":
        return new Response(JSON.stringify(this.#source.details(endOf(url)), jsonValue), {
          headers: { "content-type": "application/json" },
        });
      case "/impairment":
        return Response.json(this.#source.impairment?.(this.#edge(url)) ?? {});
      case "/packets":
        return this.#packets(endOf(url));
    }
    return new Response("Not found\n", { status: 404 });
  }

  #edge({ searchParams }: URL): GraphEdge {
    const text = searchParams.get("edge") ?? "";
    const edge = this.#graph.edges[Number(text)];
    if (!edge) throw new RangeError(`No line has the number ${show(text)}`);
    return edge;
  }

  async #act(
    path: string,
    body: { edge?: number; values?: PageValues; from?: string; to?: string[] },
  ) {
    if (path === "/ping" && this.#source.ping) {
      return Response.json({ times: await this.#source.ping(body.from!, body.to!) });
    }
    const action = this.#source.actions[path.slice(1)];
    const edge = this.#graph.edges[body.edge ?? -1];
    if (!action || !edge) return new Response("Not found\n", { status: 404 });
    action(edge, body.values ?? {});
    this.#read();
    return Response.json({});
  }

  /** The stream of events: after a break from the one that the page saw last. */
  #events(last: number): Response {
    let listener: ((message: Message) => void) | undefined;
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const write = ({ id, event, data }: Message) => {
          const head = id > 0 ? `id: ${id}\n` : "";
          controller.enqueue(encoder.encode(`${head}event: ${event}\ndata: ${data}\n\n`));
        };
        const missed = this.#messages.filter(({ id }) => id > last);
        const first = this.#messages[0]?.id ?? this.#next;
        // Too long away: the page begins anew.
        if (!(last >= first - 1)) {
          write({
            id: this.#next - 1,
            event: "picture",
            data: JSON.stringify({ version: this.#version }),
          });
        } else missed.forEach(write);
        listener = write;
        this.#listeners.add(write);
      },
      cancel: () => {
        if (listener) this.#listeners.delete(listener);
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  /** A stream of the packets of an end: lists of lines, so that many packets are few messages. */
  #packets(end: GraphEnd): Response {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#stop.signal]);
    const lines = this.#source.packets(end, signal);
    const encoder = new TextEncoder();
    let queue: string[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(encoder.encode(": open\n\n"));
        const flush = () => {
          clearTimeout(timer);
          timer = undefined;
          if (stop.signal.aborted) return;
          const more = queue.length - LISTED;
          const list = more > 0 ? [...queue.slice(0, LISTED), `and ${more} more`] : queue;
          queue = [];
          if (list.length > 0) {
            controller.enqueue(encoder.encode(`data: ${JSON.stringify(list)}\n\n`));
          }
        };
        try {
          for await (const line of lines) {
            queue.push(line);
            timer ??= setTimeout(flush, COLLECTED);
          }
          flush();
          if (!stop.signal.aborted) controller.close();
        } catch (error) {
          if (!stop.signal.aborted) controller.error(error);
        } finally {
          clearTimeout(timer);
        }
      },
      cancel() {
        clearTimeout(timer);
        stop.abort();
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }
}

const keyOf = ({ node, interface: name = "" }: GraphEnd): string => `${node}:${name}`;

function endOf({ searchParams }: URL): GraphEnd {
  const [node, name] = [searchParams.get("node"), searchParams.get("interface")];
  if (node === null) throw new TypeError("The request names no node");
  return { node, ...name === null ? {} : { interface: name } };
}

/** The shape of a window in steps, so that there are few pictures. */
function ratioOf({ searchParams }: URL): number {
  const ratio = Number(searchParams.get("ratio") ?? 1.5);
  return Math.min(3, Math.max(0.5, Math.round(ratio * 4) / 4)) || 1.5;
}

/** Everything that decides the places of boxes and lines. */
function shapeOf({ nodes, edges }: NetworkGraph): string {
  return JSON.stringify([
    nodes.map((node) => ({
      ...node,
      interfaces: node.interfaces.map(({ up: _, ...rest }) => rest),
    })),
    edges.map(({ from, to }) => [from, to]),
  ]);
}

/** Everything else: the state and the impairments of lines, and the state of interfaces. */
function stateOf({ nodes, edges }: NetworkGraph): unknown {
  return {
    edges: edges.map(({ state = "up" }) => state),
    labels: Object.fromEntries(
      edges.flatMap(({ label = [] }, i) => label.length > 0 ? [[i, label]] : []),
    ),
    nodes: Object.fromEntries(
      nodes.map(({ id, interfaces }) => [
        id,
        Object.fromEntries(interfaces.map(({ name, up = true }) => [name, up])),
      ]),
    ),
  };
}

function jsonValue(_: string, value: unknown): unknown {
  return typeof value === "bigint" || value instanceof Uint8Array ? String(value) : value;
}

async function fileResponse(name: string, token: string): Promise<Response> {
  const file = await fetch(new URL(`./${name}`, import.meta.url));
  const text = (await file.text()).replaceAll("TOKEN", token)
    .replaceAll("./tools.js", `/tools.js?token=${token}`);
  return new Response(text, {
    headers: {
      "content-type": TYPES[name.split(".").at(-1)!]!,
      "cache-control": "no-store",
      "content-security-policy":
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'",
    },
  });
}

/** Waits, or until the signal. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
