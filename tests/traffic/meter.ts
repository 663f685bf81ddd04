// A packet generator with time stamps across a veth pair: what each datagram went through, by the kernel's own
// time of its arrival.
import { type Link, NetNs, UdpSocket, Veth } from "../../mod.ts";
import { run } from "../helpers.ts";

/** An arrival of a datagram. */
export interface Arrival {
  readonly sequence: number;
  /** Milliseconds from its sending, less those of a link that is not impaired. */
  readonly latency: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Bytes of the frame. */
  readonly length: number;
  /** Bits of its data that differ from those that were sent. */
  readonly flipped: number;
}

/** How to send. */
export interface Sending {
  /** Number of datagrams. */
  readonly count: number;
  /** Milliseconds between them. Default: 0, as fast as the sender can. */
  readonly gap?: number;
  /** Milliseconds to wait for the last ones. Default: 300. */
  readonly wait?: number;
  /** Called after each datagram. */
  readonly each?: (sequence: number) => void;
}

const HEADERS = 14 + 20 + 8;

/** Milliseconds since 1970, to the microsecond. */
const now = (): number => performance.timeOrigin + performance.now();

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** A veth pair between two namespaces that know each other. */
export class Wire implements Disposable {
  readonly near: NetNs = NetNs.create();
  readonly far: NetNs = NetNs.create();
  readonly link: Veth;

  constructor() {
    this.link = Veth.create({
      name: "v0",
      netns: this.near,
      up: true,
      mac: "02:00:00:00:00:01",
      addresses: ["10.0.0.1/24"],
      addrGenMode: "none",
      peer: {
        name: "v1",
        netns: this.far,
        up: true,
        mac: "02:00:00:00:00:02",
        addresses: ["10.0.0.2/24"],
        addrGenMode: "none",
      },
    });
    run(this.near.ref, "ip neighbor replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0");
    run(this.far.ref, "ip neighbor replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev v1");
  }

  /** A flow in one direction. */
  flow(direction: "out" | "in", options: { port?: number; length?: number } = {}): Flow {
    const { near, far, link } = this;
    return direction === "out"
      ? new Flow({ ...options, from: near, to: far, target: link.peer, address: "10.0.0.2" })
      : new Flow({ ...options, from: far, to: near, target: link, address: "10.0.0.1" });
  }

  [Symbol.dispose](): void {
    this.near[Symbol.dispose]();
    this.far[Symbol.dispose]();
  }
}

/** Datagrams in one direction. */
export class Flow implements Disposable {
  readonly #sender: UdpSocket;
  readonly #sink: UdpSocket;
  readonly #target: Link;
  readonly #payload: Uint8Array<ArrayBuffer>;
  readonly #port: number;
  #base = 0;

  constructor(options: {
    from: NetNs;
    to: NetNs;
    target: Link;
    address: string;
    port?: number;
    length?: number;
  }) {
    const { from, to, target, address, port = 9000, length = 300 } = options;
    this.#port = port;
    this.#target = target;
    this.#payload = new Uint8Array(length - HEADERS);
    // Nobody reads it: without it the destination would answer that there is no port.
    this.#sink = UdpSocket.open({ netns: to, local: { address, port } });
    this.#sender = UdpSocket.open({ netns: from, remote: { address, port } });
  }

  /** Measures the link as it is now: it is not impaired. */
  async calibrate(): Promise<void> {
    const arrivals = await this.send({ count: 30, gap: 3 });
    this.#base = median(arrivals.map(({ latency }) => latency));
  }

  /** Sends, and waits for the arrivals, which it gives in their order. */
  async send({ count, gap = 0, wait = 300, each }: Sending): Promise<Arrival[]> {
    const capture = this.#target.capture({ direction: "in", snaplen: 2048 });
    const arrivals: Arrival[] = [];
    const reading = (async () => {
      for await (const { data, timestamp, length } of capture) {
        if (length === this.#payload.length + HEADERS) arrivals.push(this.#read(data, timestamp));
      }
    })();
    const view = new DataView(this.#payload.buffer);
    const begin = performance.now();
    for (let i = 0; i < count; i++) {
      view.setUint32(0, i);
      view.setFloat64(4, now());
      view.setUint16(12, this.#port);
      await this.#sender.write(this.#payload);
      each?.(i);
      const due = begin + gap * (i + 1) - performance.now();
      if (due > 0 || i % 20 === 19) await sleep(Math.max(0, due));
    }
    await sleep(wait);
    capture.stop();
    await reading;
    return arrivals;
  }

  #read(frame: Uint8Array<ArrayBuffer>, timestamp: bigint): Arrival {
    const view = new DataView(frame.buffer, frame.byteOffset + HEADERS);
    const at = Number(timestamp / 1000n) / 1000;
    let flipped = 0;
    for (let i = 14; i < this.#payload.length; i++) flipped += bits(view.getUint8(i));
    flipped += bits(view.getUint16(12) ^ this.#port);
    return {
      sequence: view.getUint32(0),
      latency: at - view.getFloat64(4) - this.#base,
      at,
      length: frame.length,
      flipped,
    };
  }

  [Symbol.dispose](): void {
    this.#sender.close();
    this.#sink.close();
  }
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

/** The statistic of Kolmogorov and Smirnov: the largest distance to a distribution function. */
export function distance(values: readonly number[], distribution: (x: number) => number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.max(...sorted.map((x, i) => {
    const expected = distribution(x);
    return Math.max(expected - i / sorted.length, (i + 1) / sorted.length - expected);
  }));
}

/** The distance that 1 of 10,000 samples of this size exceeds. */
export const kolmogorov = (size: number): number => Math.sqrt(-Math.log(0.0001 / 2) / 2 / size);

/** Whether a count of `trials` fits a share: outside of this, 1 of 10,000 counts. */
export function fits(count: number, trials: number, share: number): boolean {
  return Math.abs(count - trials * share) <= 3.9 * Math.sqrt(trials * share * (1 - share));
}
