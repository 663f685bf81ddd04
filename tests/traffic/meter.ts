// A packet generator across a link between two bridges: when each datagram reached the link and when it left, by the
// kernel's own time stamps. So it does not matter when a busy machine runs the generator.
import { Bridge, type Link, NetNs, UdpSocket, Veth } from "../../mod.ts";
import type { CapturedFrame } from "../../src/capture/mod.ts";
import { run } from "../helpers.ts";

/** An arrival of a datagram. */
export interface Arrival {
  readonly sequence: number;
  /** Milliseconds on the link. */
  readonly latency: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Bits of its data that differ from those that were sent. */
  readonly flipped: number;
}

/** How to send. */
export interface Sending {
  /** Number of datagrams. */
  readonly count: number;
  /** Milliseconds between them. Default: 0, as fast as the sender can. */
  readonly gap?: number;
  /** Milliseconds to wait for the last ones, and on while they come. Default: 300. */
  readonly wait?: number;
  /** Called after each datagram. */
  readonly each?: (sequence: number) => void;
}

const HEADERS = 14 + 20 + 8;

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** A host, and the port of the bridge that it sends to. */
interface End {
  readonly host: NetNs;
  readonly port: Link;
}

/** Two hosts, each behind a bridge, and the link between the bridges. */
export class Wire implements Disposable {
  readonly #all: readonly NetNs[];
  /** The hosts: 10.0.0.1 behind the link, 10.0.0.2 behind its other end. */
  readonly hosts: readonly [NetNs, NetNs];
  /** The link, in the namespace of the first bridge. */
  readonly link: Veth;
  readonly #ends: readonly End[];

  constructor() {
    const hosts = [NetNs.create(), NetNs.create()] as const;
    const bridges = [NetNs.create(), NetNs.create()] as const;
    this.hosts = hosts;
    this.#all = [...hosts, ...bridges];
    // Nothing but the datagrams is on the link.
    const end = { up: true, addrGenMode: "none" } as const;
    const masters = bridges.map((netns) =>
      Bridge.create({ ...end, name: "br0", netns, mcastSnooping: false })
    );
    this.link = Veth.create({
      ...end,
      name: "v0",
      netns: bridges[0],
      master: masters[0]!,
      peer: { ...end, name: "v1", netns: bridges[1], master: masters[1]! },
    });
    this.#ends = hosts.map((host, i) => {
      const { peer } = Veth.create({
        ...end,
        name: "host",
        netns: host,
        mac: `02:00:00:00:00:0${i + 1}`,
        addresses: [`10.0.0.${i + 1}/24`],
        peer: { ...end, name: "port", netns: bridges[i]!, master: masters[i]! },
      });
      run(host.ref, `ip neighbor replace 10.0.0.${2 - i} lladdr 02:00:00:00:00:0${2 - i} dev host`);
      return { host, port: peer };
    });
  }

  /** Resolves when datagrams pass in both directions: before Linux 6.8 a carrier counts up to a second later. */
  async ready(): Promise<void> {
    for (const direction of ["out", "in"] as const) {
      using flow = this.flow(direction);
      while ((await flow.send({ count: 1, wait: 20 })).length === 0);
    }
  }

  /** A flow in one direction. */
  flow(direction: "out" | "in", options: { port?: number; length?: number } = {}): Flow {
    const [near, far] = this.#ends as readonly [End, End];
    return direction === "out"
      ? new Flow({ ...options, from: near, to: far, address: "10.0.0.2" })
      : new Flow({ ...options, from: far, to: near, address: "10.0.0.1" });
  }

  /**
   * Sends from a process of its own, outwards, while `fn` runs.
   *
   * @returns Packets that reached the link, and those that came through it.
   */
  async flood(fn: () => Promise<void>): Promise<{ entered: number; left: number }> {
    const [host, far] = this.hosts;
    using _sink = UdpSocket.open({ netns: far, local: { address: "10.0.0.2", port: 9000 } });
    const script = new URL("./flood.ts", import.meta.url).pathname;
    const sender = host.command(Deno.execPath(), {
      args: ["run", "-A", script],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const output = sender.stdout.getReader();
    await output.read(); // it is there
    const input = sender.stdin.getWriter();
    return await this.counting(async () => {
      try {
        await input.write(new Uint8Array(1));
        await sleep(50);
        await fn();
      } finally {
        await input.close();
        while (!(await output.read()).done);
        await sender.status;
      }
    });
  }

  /**
   * Counts the packets that are sent outwards while `fn` runs.
   *
   * @returns Packets that reached the link, and those that came through it.
   */
  async counting(fn: () => Promise<void>): Promise<{ entered: number; left: number }> {
    const { port } = this.#ends[0]!;
    const counts = () =>
      [port, this.link.peer].map((link) => link.read().stats!.rxPackets) as [number, number];
    const [entered, left] = counts();
    await fn();
    await sleep(300);
    const after = counts();
    return { entered: after[0] - entered, left: after[1] - left };
  }

  [Symbol.dispose](): void {
    for (const netns of this.#all) netns[Symbol.dispose]();
  }
}

/** Datagrams in one direction. */
export class Flow implements Disposable {
  readonly #sender: UdpSocket;
  readonly #sink: UdpSocket;
  readonly #start: Link;
  readonly #end: Link;
  readonly #payload: Uint8Array<ArrayBuffer>;

  constructor(options: {
    from: End;
    to: End;
    address: string;
    port?: number;
    length?: number;
  }) {
    const { from, to, address, port = 9000, length = 300 } = options;
    this.#start = from.port;
    // Behind the other bridge: captures on the link have incoming packets before they are impaired.
    this.#end = to.port;
    this.#payload = new Uint8Array(length - HEADERS);
    // Nobody reads it: without it the destination would answer that there is no port.
    this.#sink = UdpSocket.open({ netns: to.host, local: { address, port } });
    this.#sender = UdpSocket.open({ netns: from.host, remote: { address, port } });
  }

  /** Sends, and waits for the arrivals, which it gives in their order. */
  async send({ count, gap = 0, wait = 300, each }: Sending): Promise<Arrival[]> {
    using start = this.#start.capture({ direction: "in", snaplen: 2048 });
    using end = this.#end.capture({ direction: "out", snaplen: 2048 });
    const entries = new Map<number, number>();
    const arrivals: Arrival[] = [];
    const length = this.#payload.length + HEADERS;
    const reading = Promise.all([
      (async () => {
        for await (const frame of start) {
          if (frame.length !== length) continue;
          const { sequence, at } = read(frame);
          entries.set(sequence, at);
        }
      })(),
      (async () => {
        for await (const frame of end) if (frame.length === length) arrivals.push(read(frame));
      })(),
    ]);
    await this.#generate({ count, gap, ...(each && { each }) });
    await sleep(wait);
    // A slow machine is not done yet.
    for (let before = -1; arrivals.length > before;) {
      before = arrivals.length;
      await sleep(Math.min(wait, 200));
    }
    for (const capture of [start, end]) capture.stop();
    await reading;
    return arrivals.map((it) => ({ ...it, latency: it.at - entries.get(it.sequence)! }));
  }

  async #generate({ count, gap = 0, each }: Sending): Promise<void> {
    const view = new DataView(this.#payload.buffer);
    const begin = performance.now();
    for (let i = 0; i < count; i++) {
      view.setUint32(0, i);
      await this.#sender.write(this.#payload);
      each?.(i);
      const due = begin + gap * (i + 1) - performance.now();
      if (due > 0 || i % 20 === 19) await sleep(Math.max(0, due));
    }
  }

  [Symbol.dispose](): void {
    this.#sender.close();
    this.#sink.close();
  }
}

/** The number of a datagram, its time, and its wrong bits: behind the number all are 0. */
function read({ data, timestamp }: CapturedFrame): Arrival {
  const view = new DataView(data.buffer, data.byteOffset + HEADERS, data.length - HEADERS);
  let flipped = 0;
  for (let i = 4; i < view.byteLength; i++) flipped += bits(view.getUint8(i));
  return {
    sequence: view.getUint32(0),
    at: Number(timestamp / 1000n) / 1000,
    flipped,
    latency: NaN,
  };
}

function bits(value: number): number {
  let count = 0;
  for (let rest = value; rest; rest &= rest - 1) count++;
  return count;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}

/**
 * The statistic of Kolmogorov and Smirnov: the largest distance to a distribution function. Of values that may be late,
 * those that are too small alone count.
 */
export function distance(
  values: readonly number[],
  distribution: (x: number) => number,
  { late = false }: { late?: boolean } = {},
): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.max(...sorted.map((x, i) => {
    const expected = distribution(x);
    const [above, below] = [(i + 1) / sorted.length - expected, expected - i / sorted.length];
    return late ? above : Math.max(above, below);
  }));
}

/** The distance that 1 of 10,000 samples of this size exceeds. */
export const kolmogorov = (size: number): number => Math.sqrt(-Math.log(0.0001 / 2) / 2 / size);

/** Whether a count of `trials` fits a share: outside of this, 1 of 10,000 counts. */
export function fits(count: number, trials: number, share: number): boolean {
  return Math.abs(count - trials * share) <= 3.9 * Math.sqrt(trials * share * (1 - share));
}
