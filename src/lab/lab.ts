/**
 * The handle of a running lab.
 *
 * @module
 */
import type { PcapngTarget } from "../capture/writer.ts";
import type { MonitorOptions } from "../observe/monitor.ts";
import { checkOptions, didYouMean, integer, type OptionNames, show } from "../options.ts";
import type { DrawOptions } from "../view/options.ts";
import type { NetworkGraph } from "../view/graph.ts";
import type { LabActivity } from "./activity.ts";
import { groups, type Partition } from "./cuts.ts";
import type { FaultControl } from "./fault_control.ts";
import { graphOf } from "./graph.ts";
import { LabLink } from "./link.ts";
import { LabNode, nodeOf } from "./node.ts";
import type { LabNodes } from "./nodes.ts";
import { resolveSchedule } from "./resolve.ts";
import type { ResolvedTopology, ResolvedWire } from "./resolved.ts";
import type { Schedule } from "./schedule.ts";
import type { EventSpec } from "./spec.ts";
import { endOf } from "./difference.ts";
import {
  captureEnds,
  LabCapture,
  type LabCaptureOptions,
  type LabEvents,
  mergedEvents,
  type Reachability,
  reachability,
  type ReachabilityOptions,
} from "./watch.ts";

/** The parts of a lab. */
export interface LabParts {
  /** Its topology. */
  readonly topology: ResolvedTopology;
  /** Its namespaces. */
  readonly nodes: LabNodes;
  /** Commands, faults and schedule. */
  readonly activity: LabActivity;
  /** Removes it. */
  readonly takeDown: () => Promise<void>;
}

/** Options of `lab.flap()`. */
export interface FlapOptions {
  /** Milliseconds between two changes. Default: 1000. */
  readonly every?: number;
}

const FLAP: OptionNames<FlapOptions> = { every: true };

const REACHABILITY: OptionNames<ReachabilityOptions> = { timeout: true, concurrency: true };

/** A running lab. */
export class Lab<N extends string = string> implements AsyncDisposable {
  readonly #parts: LabParts;
  readonly #handles = new Map<string, LabNode>();
  readonly #links = new Map<string, LabLink>();
  readonly #captures: LabCapture[] = [];
  readonly #events: LabEvents[] = [];
  #owned = true;

  /** Use `up()`. */
  constructor(parts: LabParts) {
    this.#parts = parts;
  }

  /** Its name; absent for a lab without a name. */
  get name(): string | undefined {
    return this.topology.name;
  }

  /** Its topology. */
  get topology(): ResolvedTopology {
    return this.#parts.topology;
  }

  /** The names of its nodes, in name order. */
  get nodes(): string[] {
    return this.topology.nodes.map(({ name }) => name);
  }

  /**
   * A node.
   *
   * @param name Its name.
   * @throws {TypeError} When the lab has no such node.
   */
  node(name: N): LabNode {
    let node = this.#handles.get(name);
    if (!node) {
      nodeOf(this.topology, name);
      node = new LabNode(name, this.topology, this.#parts.nodes);
      this.#handles.set(name, node);
    }
    return node;
  }

  /**
   * The wire between two nodes.
   *
   * @param from One node, or its end of the wire: `h1`, `h1:eth0`. The handle is about this end.
   * @param to The other node or end.
   * @throws {TypeError} When there is no such wire, or several.
   */
  link(from: N | `${N}:${string}`, to: N | `${N}:${string}`): LabLink {
    const wire = this.#wire(from, to);
    const [a, b] = wire.ends;
    const [near, far] = matches(a, from) && matches(b, to) ? [a, b] : [b, a];
    let link = this.#links.get(near);
    if (!link) {
      const { nodes, activity: { faults } } = this.#parts;
      const node = (name: string) => this.node(name as N);
      link = new LabLink([near, far], { node, nodes, faults });
      this.#links.set(near, link);
    }
    return link;
  }

  #wire(from: string, to: string): ResolvedWire {
    const found = this.topology.wires.filter(({ ends: [a, b] }) =>
      matches(a, from) && matches(b, to) || matches(a, to) && matches(b, from)
    );
    if (found.length === 1) return found[0]!;
    if (found.length > 1) {
      const ends = found.map(({ ends }) => ends.join(" -- ")).join(", ");
      throw new TypeError(`Several wires join ${from} and ${to}: name one of ${ends} by its ends`);
    }
    for (const end of [from, to]) nodeOf(this.topology, end.replace(/:.*/, ""));
    const near = this.topology.wires.flatMap(({ ends: [a, b] }) =>
      matches(a, from) ? [endOf(b).node] : matches(b, from) ? [endOf(a).node] : []
    );
    throw new TypeError(
      `No wire joins ${from} and ${to}: ${show(from)} has wires to ${
        near.join(", ") || "no node"
      }` +
        didYouMean(to, near),
    );
  }

  /**
   * Pings from each node that has an address to each other one.
   *
   * @param options Timeout, and the number of pings at the same time.
   */
  reachability(options: ReachabilityOptions = {}): Promise<Reachability> {
    checkOptions(options, REACHABILITY);
    return reachability(this.topology, (name) => this.node(name as N), options);
  }

  /**
   * Follows the changes in all nodes: first a snapshot of each, then each change.
   *
   * @param options The tables to follow, as for `netns.monitor()`.
   */
  events(options: Omit<MonitorOptions, "netns"> = {}): LabEvents {
    const names = this.nodes;
    const events = mergedEvents(
      new Map(names.map((name) => [name, this.node(name as N).netns.monitor(options)])),
    );
    this.#events.push(events);
    return events;
  }

  /**
   * Captures wires into one pcapng file, from this call on. Each wire is an interface of the file, with
   * the name of the end at which it is captured: `h1:eth0`. The file is closed at the latest with the lab, and stays.
   *
   * @param target The path of the file, or a stream.
   * @param options The ends, by default the first one of each wire; filter, snap length and more for each; by default the kernel keeps 1 MiB of each.
   * @returns Ends the capture when it is stopped or disposed of.
   */
  capture(target: PcapngTarget, options: LabCaptureOptions = {}): LabCapture {
    const { ends = this.topology.wires.map(({ ends }) => ends[0]), ...rest } = options;
    const capture = new LabCapture(
      captureEnds(ends, (name) => this.node(name as N), rest),
      target,
    );
    this.#captures.push(capture);
    return capture;
  }

  /**
   * Parts the lab: each node drops what comes from nodes of other groups, of IPv4 and IPv6, also packets of
   * established connections and over several hops. Nodes in no group reach all. It is in force when the call
   * returns, takes the place of an earlier partition, and ends with `heal()`.
   *
   * @param parts Groups of nodes; or one object from `oneWay()`, `bridge()` or `ring()`.
   *
   * @example Two groups, and one direction
   * ```ts
   * import { oneWay, up } from "@netloom/netloom/lab";
   * import { assertEquals } from "@std/assert";
   *
   * await using lab = await up({
   *   nodes: { a: {}, b: {}, c: {} },
   *   links: [{ segment: ["a", "b", "c"] }],
   * });
   * lab.partition(["a", "b"], ["c"]);
   * assertEquals((await lab.reachability({ timeout: 200 })).missing.length, 4);
   * lab.partition(oneWay(["a"], ["b"]));
   * assertEquals((await lab.reachability({ timeout: 200 })).missing.length, 2);
   * lab.heal();
   * assertEquals((await lab.reachability()).missing.length, 0);
   * ```
   */
  partition(...parts: readonly (readonly N[])[] | readonly [Partition<N>]): void {
    const [first] = parts;
    this.#faults.partition(
      Array.isArray(first)
        ? groups(...parts as readonly (readonly N[])[])
        : first as Partition ?? {},
    );
  }

  /**
   * Cuts all wires of a node.
   *
   * @param node The node.
   */
  isolate(node: N): void {
    nodeOf(this.topology, node);
    this.#faults.cutAt(this.#faults.endsOf([node]));
  }

  /** Ends all cuts, partitions and flapping. Impairments stay. */
  heal(): void {
    this.#faults.healAll();
  }

  /**
   * Cuts and heals a wire in turn, beginning with a cut, as long as this process runs; in a lab with a name the keeper
   * does it, until {@link Lab.heal}.
   *
   * @param link The wire.
   * @param options The time between two changes.
   * @returns Ends it and heals the wire when disposed.
   */
  flap(link: LabLink, options: FlapOptions = {}): Disposable {
    checkOptions(options, FLAP);
    const { every = 1000 } = options;
    integer(every, "every", 1, 2 ** 31 - 1, "milliseconds");
    const stop = this.#faults.flap([link.ends], every);
    return { [Symbol.dispose]: stop };
  }

  /**
   * Stops (SIGSTOP) or continues the processes in a node's namespace, without this one.
   *
   * @param node The node, which the lab has created.
   * @param isPaused `false` continues them. Default: true.
   */
  pause(node: N, isPaused = true): void {
    this.#faults.signal([node], isPaused ? "SIGSTOP" : "SIGCONT");
  }

  /**
   * Kills the processes in a node's namespace (SIGKILL), without this one.
   *
   * @param node The node, which the lab has created.
   */
  kill(node: N): void {
    this.#faults.signal([node], "SIGKILL");
  }

  /**
   * The schedule of the topology, with its log; `undefined` when the topology has none. In a lab with a name the
   * keeper has it, and each use asks the keeper.
   */
  get schedule(): Schedule | undefined {
    return this.#parts.activity.schedule;
  }

  /**
   * Starts a schedule beside that of the topology: faults at times after this call. In a lab with a name the keeper
   * runs it, also when this process has ended.
   *
   * @param events The events, as in `schedule:` of a file.
   * @returns The running schedule.
   * @throws {TopologyError} With all problems of the events.
   *
   * @example A cut in 50 ms, for 100 ms
   * ```ts
   * import { up } from "@netloom/netloom/lab";
   * import { assertEquals } from "@std/assert";
   *
   * await using lab = await up({ nodes: { a: {}, b: {} }, links: ["a -- b"] });
   * const schedule = lab.play([{ at: "50ms", for: "100ms", cut: "a -- b" }]);
   * await schedule.done;
   * assertEquals(schedule.log.map(({ action }) => action), ["begin", "end"]);
   * ```
   */
  play(events: readonly EventSpec<N>[]): Schedule {
    return this.#parts.activity.play(resolveSchedule(events, this.topology));
  }

  /**
   * The output of a node's commands so far, the last 1,048,576 characters. {@linkcode logs} follows that of a lab with
   * a name.
   *
   * @param node The node.
   */
  logs(node: N): string {
    nodeOf(this.topology, node);
    return this.#parts.activity.output(node);
  }

  get #faults(): FaultControl {
    return this.#parts.activity.faults;
  }

  /** The lab as a graph, for `draw()`, with the cuts and impairments in force. */
  graph(): NetworkGraph {
    const { cut } = this.#faults;
    return graphOf(this.topology, {
      isCut: ({ ends }) => ends.some((end) => cut.has(end)),
      impairmentOf: ({ ends }) => this.#faults.impairment(ends)?.values,
    });
  }

  /**
   * Draws the lab.
   *
   * @param options Format, colors and layout; default: SVG.
   */
  async draw(options: DrawOptions = {}): Promise<string> {
    const { draw } = await import("../view/draw.ts");
    return await draw(this.graph(), options);
  }

  /** Gives ownership up: a lab with a name stays when the handle is disposed of, until `down()`. */
  persist(): this {
    if (this.name === undefined) {
      throw new TypeError("A lab without a name ends with its handle: bring it up with a name");
    }
    this.#owned = false;
    return this;
  }

  /** Ends captures and events; removes the lab if the handle owns it, and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const events of this.#events.splice(0)) events.close();
    const stopped = await Promise.allSettled(this.#captures.splice(0).map((it) => it.stop()));
    await this.#parts.activity.stop();
    for (const link of this.#links.values()) link.close();
    for (const node of this.#handles.values()) node.release();
    this.#links.clear();
    if (this.#owned) await this.#parts.takeDown();
    else this.#parts.nodes.close();
    for (const result of stopped) if (result.status === "rejected") throw result.reason;
  }
}

/** Whether an end is this one, or one of this node. */
function matches(end: string, wanted: string): boolean {
  return wanted.includes(":") ? end === wanted : end.startsWith(`${wanted}:`);
}
