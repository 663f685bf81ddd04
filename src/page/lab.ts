/**
 * A running lab on a page.
 *
 * @module
 */
import type { Lab } from "../lab/mod.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import type { GraphEdge, GraphEnd, NetworkGraph } from "../view/graph.ts";
import {
  detailsOf,
  type EndCounters,
  eventOf,
  packetsOf,
  type PageEvent,
  type PageSource,
} from "./source.ts";

/** Shows a running lab. */
export class LabSource implements PageSource {
  readonly #lab: Lab;

  /** The page does not close the lab. */
  constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** The lab's graph, with the state of links as the kernel has it. */
  graph(): NetworkGraph {
    const graph = this.#lab.graph();
    const up = new Map<string, boolean>();
    for (const { id } of graph.nodes) {
      for (const link of this.#links(id)) up.set(`${id}:${link.name}`, link.up);
    }
    const isUp = (node: string, name: string | undefined) => up.get(`${node}:${name}`) ?? false;
    return {
      ...graph,
      nodes: graph.nodes.map((node) => ({
        ...node,
        interfaces: node.interfaces.map((it) => ({ ...it, up: isUp(node.id, it.name) })),
      })),
      edges: graph.edges.map((edge) =>
        [edge.from, edge.to].every((end) => isUp(end.node, end.interface))
          ? { ...edge, state: edge.state === "impaired" ? "impaired" : "up" }
          : { ...edge, state: edge.state === "cut" ? "cut" : "down" }
      ),
    };
  }

  async *events(signal: AbortSignal): AsyncIterable<PageEvent> {
    using events = this.#lab.events({ links: true, addresses: true });
    const stop = () => events.close();
    signal.addEventListener("abort", stop);
    try {
      if (signal.aborted) return;
      for await (const { node, event } of events) {
        const found = eventOf(event, node);
        if (found) yield found;
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  counters(): readonly EndCounters[] {
    return this.#lab.nodes.flatMap((node) =>
      this.#links(node, true).map(({ name, stats }) => ({
        end: { node, interface: name },
        bytes: stats?.txBytes ?? 0,
        packets: stats?.txPackets ?? 0,
        drops: (stats?.txDropped ?? 0) + (stats?.rxDropped ?? 0),
      }))
    );
  }

  details({ node, interface: name }: GraphEnd): Readonly<Record<string, unknown>> {
    return detailsOf(this.#lab.node(node).netns, name);
  }

  packets({ node, interface: name }: GraphEnd, signal: AbortSignal): AsyncIterable<string> {
    return packetsOf(this.#lab.node(node).netns, name!, signal);
  }

  readonly actions: PageSource["actions"] = {
    down: (edge) => this.#each(edge, (link) => link.down()),
    up: (edge) => this.#each(edge, (link) => link.up()),
  };

  async ping(from: string, to: string): Promise<number | null> {
    const { min } = await this.#lab.node(from).ping(to, { count: 1, timeout: 1000 });
    return min ?? null;
  }

  #links(node: string, stats = false): LinkInfo[] {
    return this.#lab.node(node).netns.links.list({ stats });
  }

  #each({ from, to }: GraphEdge, act: (link: { up(): unknown; down(): unknown }) => void): void {
    const { link, peer } = this.#lab.link(
      `${from.node}:${from.interface}`,
      `${to.node}:${to.interface}`,
    );
    for (const end of [link, peer]) act(end);
  }
}
