/**
 * Watching all nodes of a lab at once: events, captures, and who reaches whom.
 *
 * @module
 */
import type { Capture, CaptureOptions } from "../capture/capture.ts";
import type { CaptureInterface, Frame } from "../capture/ring.ts";
import { type PcapngTarget, PcapngWriter } from "../capture/writer.ts";
import { Link } from "../link/link.ts";
import type { MonitorEvent } from "../observe/event.ts";
import type { Monitor } from "../observe/monitor.ts";
import { integer } from "../options.ts";
import type { LabNode } from "./node.ts";
import type { Endpoint, ResolvedTopology } from "./resolved.ts";
import { endOf } from "./difference.ts";

/** Options of `lab.reachability()`. */
export interface ReachabilityOptions {
  /** Milliseconds to wait for each reply; default 1000. */
  readonly timeout?: number;
  /** Pings at the same time, 1..4096; default 256. */
  readonly concurrency?: number;
}

/** Who reaches whom. */
export interface Reachability {
  /** The nodes with addresses, in name order. */
  readonly nodes: readonly string[];
  /** Round trips in milliseconds, by source and destination; `undefined` where no reply came. */
  readonly times: ReadonlyMap<string, ReadonlyMap<string, number | undefined>>;
  /** The pairs without a reply, source first. */
  readonly missing: readonly (readonly [from: string, to: string])[];
}

/** Pings from each node to each other one. */
export async function reachability(
  topology: ResolvedTopology,
  node: (name: string) => LabNode,
  { timeout = 1000, concurrency = 256 }: ReachabilityOptions,
): Promise<Reachability> {
  integer(concurrency, "concurrency", 1, 4096);
  const known = new Set(topology.nodes.map(({ name }) => name));
  const nodes = topology.hosts.map(({ name }) => name).filter((name) => known.has(name)).sort();
  const times = new Map(nodes.map((from) => [from, new Map<string, number | undefined>()]));
  const pairs = nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to) => [from, to]));
  let next = 0;
  const work = async () => {
    while (next < pairs.length) {
      const [from, to] = pairs[next++] as [string, string];
      times.get(from)!.set(to, await roundTrip(node(from), to, timeout));
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, pairs.length) }, work));
  const missing = pairs.filter(([from, to]) => times.get(from!)!.get(to!) === undefined);
  return { nodes, times, missing: missing as [string, string][] };
}

/** `undefined` without a reply, also where there is no route. */
async function roundTrip(from: LabNode, to: string, timeout: number): Promise<number | undefined> {
  try {
    return (await from.ping(to, { timeout })).min;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENETUNREACH" || code === "EHOSTUNREACH") return undefined;
    throw error;
  }
}

/** An event of a node. */
export interface LabEvent {
  /** The node. */
  readonly node: string;
  /** The event, as the monitor of its namespace has it. */
  readonly event: MonitorEvent;
}

/** The events of all nodes, in the order in which they are read. */
export interface LabEvents extends AsyncIterable<LabEvent>, Disposable {
  /** Ends it: the loop over it ends. */
  close(): void;
}

/** Merges the monitors of nodes. */
export function mergedEvents(monitors: ReadonlyMap<string, Monitor>): LabEvents {
  const close = () => {
    for (const monitor of monitors.values()) monitor.close();
  };
  return { close, [Symbol.dispose]: close, [Symbol.asyncIterator]: () => merge(monitors, close) };
}

async function* merge(
  monitors: ReadonlyMap<string, Monitor>,
  close: () => void,
): AsyncGenerator<LabEvent, void, undefined> {
  const next = (node: string) => monitors.get(node)!.next().then((result) => ({ node, result }));
  const pending = new Map([...monitors.keys()].map((node) => [node, next(node)]));
  try {
    while (pending.size > 0) {
      const { node, result } = await Promise.race(pending.values());
      if (result.done) pending.delete(node);
      else {
        pending.set(node, next(node));
        yield { node, event: result.value };
      }
    }
  } finally {
    close();
    await Promise.allSettled(pending.values());
  }
}

/** Captures of all wires of a lab into one file. */
export class LabCapture implements AsyncDisposable {
  readonly #captures: readonly Capture[];
  readonly #writer: PcapngWriter;
  readonly #loops: Promise<unknown>;
  #ended: Promise<void> | undefined;

  /** Use `lab.capture()`. */
  constructor(captures: ReadonlyMap<string, Capture>, target: PcapngTarget) {
    this.#captures = [...captures.values()];
    this.#writer = new PcapngWriter(target);
    this.#loops = Promise.all([...captures].map(([name, it]) => record(this.#writer, it, name)));
    // Reported by stop().
    this.#loops.catch(() => {});
  }

  /** Writes the frames captured so far and closes the file. A second call does nothing. */
  stop(): Promise<void> {
    return this.#ended ??= this.#stop();
  }

  async #stop(): Promise<void> {
    for (const capture of this.#captures) capture.stop();
    try {
      await this.#loops;
    } finally {
      for (const capture of this.#captures) capture.close();
      await this.#writer.close();
    }
  }

  /** Same as {@link LabCapture.stop}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Bytes that the kernel keeps of one of many captures. */
const BUFFER = 1 << 20;
/** As many bytes as a GSO packet of usual size has. */
const SNAPLEN = 65_550;

/** Options of `lab.capture()`. */
export interface LabCaptureOptions extends CaptureOptions {
  /** The interfaces: `h1:eth0`. Default: the first end of each wire, where both directions pass. */
  readonly ends?: readonly Endpoint[];
}

/** Captures at interfaces. */
export function captureEnds(
  ends: readonly Endpoint[],
  node: (name: string) => LabNode,
  options: CaptureOptions,
): Map<string, Capture> {
  const captures = new Map<string, Capture>();
  try {
    for (const end of ends) {
      const { node: name, name: link } = endOf(end);
      using handle = Link.get(link, { netns: node(name).netns });
      captures.set(end, handle.capture({ bufferSize: BUFFER, snaplen: SNAPLEN, ...options }));
    }
    return captures;
  } catch (error) {
    for (const capture of captures.values()) capture.close();
    throw error;
  }
}

async function record(writer: PcapngWriter, capture: Capture, name: string): Promise<void> {
  let where: CaptureInterface | undefined;
  for await (const frame of capture) {
    where ??= { ...frame.interface, name };
    writer.write(renamed(frame, where));
  }
}

/** A frame of an interface with the name that it has in the lab. */
function renamed(frame: Frame, where: CaptureInterface): Frame {
  const { seconds, nanoseconds, timestamp, length, capturedLength, data, direction } = frame;
  const copy = () => frame.copy();
  return {
    interface: where,
    ...{ seconds, nanoseconds, timestamp, length, capturedLength, data, direction, copy },
    vlan: frame.vlan,
    flaw: frame.flaw,
  };
}
