/**
 * The network that a page shows, and the namespaces of a machine as one.
 *
 * @module
 */
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import type { MonitorEvent } from "../observe/mod.ts";
import type { NetNs } from "../netns/netns.ts";
import type { ImpairmentValues } from "../traffic/impairment_values.ts";
import type { GraphEdge, GraphEnd, NetworkGraph } from "../view/graph.ts";
import { readGraph } from "../view/live.ts";
import type { ReadGraphOptions } from "../view/options.ts";

/** Counters of one end of a line. */
export interface EndCounters {
  /** The end: a node's `id` and an interface. */
  readonly end: GraphEnd;
  /** Bytes sent. */
  readonly bytes: number;
  /** Packets sent. */
  readonly packets: number;
  /** Packets dropped or not sent. */
  readonly drops: number;
}

/** A network that is shown live. */
export interface PageSource {
  /** The network as it is now. */
  graph(): NetworkGraph;
  /** An event for each change, until the signal. */
  events(signal: AbortSignal): AsyncIterable<PageEvent>;
  /** Counters of all ends of lines. */
  counters(): readonly EndCounters[];
  /** Properties of an interface, for its panel. */
  details(end: GraphEnd): Readonly<Record<string, unknown>>;
  /** Lines of packets, as `tcpdump` has them, until the signal. */
  packets(end: GraphEnd, signal: AbortSignal): AsyncIterable<string>;
  /** Verbs that change a line; a source that changes nothing has none. */
  readonly actions: Readonly<Record<string, (edge: GraphEdge, values: PageValues) => void>>;
  /** The impairment of a line: `out` is sent by its first end. */
  impairment?(edge: GraphEdge): ImpairmentValues;
  /** Sends a ping from a node to each of others: milliseconds, or `null` without an answer. */
  ping?(from: string, to: readonly string[]): Promise<readonly (number | null)[]>;
}

/** Values that the page gives to an action: `{ direction: "out", delay: "20ms" }`; `null` takes one off. */
export type PageValues = Readonly<Record<string, string | null>>;

/** An event of the network, as a line for people. */
export interface PageEvent {
  /** A line of text. */
  readonly text: string;
}

/** Shows namespaces of this machine. */
export class NetNsSource implements PageSource {
  readonly #namespaces: readonly NetNs[];
  readonly #options: ReadGraphOptions;

  /**
   * @param namespaces The namespaces; the page does not close them.
   * @param options The title, and what else to show.
   */
  constructor(namespaces: readonly NetNs[], options: ReadGraphOptions = {}) {
    this.#namespaces = namespaces;
    this.#options = options;
  }

  graph(): NetworkGraph {
    return readGraph(this.#namespaces, this.#options);
  }

  async *events(signal: AbortSignal): AsyncIterable<PageEvent> {
    const queue: PageEvent[] = [];
    let wake = Promise.withResolvers<void>();
    const stop = () => wake.resolve();
    signal.addEventListener("abort", stop);
    using stack = new DisposableStack();
    const readers = this.#namespaces.map(async (netns, i) => {
      const monitor = stack.use(netns.monitor({ links: true, addresses: true }));
      for await (const event of monitor) {
        const found = eventOf(event, titleOf(netns, i));
        if (found) queue.push(found);
        if (found) wake.resolve();
      }
    });
    try {
      while (!signal.aborted) {
        yield* queue.splice(0);
        if (queue.length === 0) await Promise.race([wake.promise, ...readers.map(failed)]);
        wake = Promise.withResolvers();
      }
    } finally {
      signal.removeEventListener("abort", stop);
      stack.dispose();
      await Promise.allSettled(readers);
    }
  }

  counters(): readonly EndCounters[] {
    return this.#namespaces.flatMap((netns, i) =>
      netns.links.list().map(({ name, stats }) => ({
        end: { node: `n${i}`, interface: name },
        bytes: stats?.txBytes ?? 0,
        packets: stats?.txPackets ?? 0,
        drops: (stats?.txDropped ?? 0) + (stats?.rxDropped ?? 0),
      }))
    );
  }

  details({ node, interface: name }: GraphEnd): Readonly<Record<string, unknown>> {
    return detailsOf(this.#netns(node), name);
  }

  packets({ node, interface: name }: GraphEnd, signal: AbortSignal): AsyncIterable<string> {
    return packetsOf(this.#netns(node), name!, signal);
  }

  readonly actions: PageSource["actions"] = {
    down: (edge: GraphEdge) => this.#each(edge, (link) => link.down()),
    up: (edge: GraphEdge) => this.#each(edge, (link) => link.up()),
  };

  #each(edge: GraphEdge, act: (link: ReturnType<NetNs["links"]["get"]>) => void): void {
    for (const { node, interface: name } of [edge.from, edge.to]) {
      if (name !== undefined) act(this.#netns(node).links.get(name));
    }
  }

  #netns(node: string): NetNs {
    const netns = this.#namespaces[Number(node.slice(1))];
    if (!netns) throw new RangeError(`No namespace has the id ${JSON.stringify(node)}`);
    return netns;
  }
}

/** The properties of an interface, or a few of its namespace. */
export function detailsOf(netns: NetNs, name?: string): Readonly<Record<string, unknown>> {
  if (name === undefined) {
    return { links: netns.links.list({ stats: false }).length, routes: netns.routes.list().length };
  }
  return {
    ...netns.links.get(name).read(),
    addresses: netns.addresses.list({ dev: name }).map(({ address }) => address),
  };
}

/** The packets of an interface, a line each, until the signal. */
export async function* packetsOf(
  netns: NetNs,
  name: string,
  signal: AbortSignal,
): AsyncIterable<string> {
  const { format } = await import("../packet/format.ts");
  using capture = netns.links.get(name).capture();
  const stop = () => capture.stop();
  signal.addEventListener("abort", stop);
  try {
    for await (const { seconds, direction, data } of capture) {
      const time = new Date(seconds * 1000).toISOString().slice(11, 23);
      yield `${time} ${direction} ${format(data)}`;
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Rejects when a reader fails, and otherwise never settles. */
const failed = (reader: Promise<void>): Promise<void> =>
  new Promise((_, reject) => reader.catch(reject));

const titleOf = (netns: NetNs, i: number): string => netns.name ?? `namespace ${i}`;

/** An event of a monitor as one of the page; `undefined` for those that show nothing. */
export function eventOf(event: MonitorEvent, where: string): PageEvent | undefined {
  if (event.type === "snapshot") return undefined;
  if (event.type === "overrun") return { text: `${where}: events were lost` };
  if (event.type === "address") {
    const { action, address } = event;
    return { text: `${where}: address ${address.address} ${WORDS[action]}` };
  }
  if (event.type !== "link") return undefined;
  const { action, link } = event;
  if (action !== "change") {
    return { text: `${where}: link ${link.name} ${WORDS[action]}` };
  }
  const shown = event.changed.filter((key) => !QUIET.has(key));
  if (shown.length === 0) return undefined;
  const words = shown.map((key) => {
    const value = link[key as keyof LinkInfo];
    return typeof value === "object" ? key : `${key} ${value}`;
  });
  return { text: `${where}: link ${link.name} ${words.join(", ")}` };
}

const WORDS = { add: "added", remove: "removed", change: "changed" } as const;

/** Properties that change with every packet, or together with others that tell more. */
const QUIET: ReadonlySet<string> = new Set(["stats", "flags", "carrierChanges", "carrierUpCount"]);
