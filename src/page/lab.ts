/**
 * A running lab on a page.
 *
 * @module
 */
import type { Lab, LabLink } from "../lab/mod.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import type { ImpairmentValues, ImpairOptions } from "../traffic/impairment_values.ts";
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
      edges: graph.edges.map((edge) => {
        const isDown = [edge.from, edge.to].some((end) => !isUp(end.node, end.interface));
        return { ...edge, state: edge.state === "cut" ? "cut" : isDown ? "down" : stateOf(edge) };
      }),
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
    cut: (edge) => this.#link(edge).cut(),
    heal: (edge) => this.#link(edge).heal(),
    impair: (edge, { direction, ...values }) =>
      void this.#link(edge).impair(
        (direction === "out" || direction === "in"
          ? { [direction]: values }
          : values) as ImpairOptions,
      ),
    clear: (edge) => void this.#link(edge).impair(null),
  };

  impairment(edge: GraphEdge): ImpairmentValues {
    return this.#link(edge).impairment()?.values ?? {};
  }

  ping(from: string, to: readonly string[]): Promise<readonly (number | null)[]> {
    return Promise.all(to.map((node) => this.#ping(from, node)));
  }

  /** `null` without a reply, also where there is no route. */
  async #ping(from: string, to: string): Promise<number | null> {
    try {
      const { min } = await this.#lab.node(from).ping(to, { count: 1, timeout: 1000 });
      return min ?? null;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "ENETUNREACH" || code === "EHOSTUNREACH") return null;
      throw error;
    }
  }

  #link({ from, to }: GraphEdge): LabLink {
    return this.#lab.link(`${from.node}:${from.interface}`, `${to.node}:${to.interface}`);
  }

  #links(node: string, stats = false): LinkInfo[] {
    return this.#lab.node(node).netns.links.list({ stats });
  }
}

/** The state of a line whose ends are both up. */
const stateOf = ({ label = [] }: GraphEdge) => label.length > 0 ? "impaired" : "up";
