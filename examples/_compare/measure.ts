/**
 * Throughput, latency and cost of a connection between two namespaces.
 *
 * @module
 */
import { type NetNs, type PacketDevice, UdpSocket } from "@netloom/netloom";
import type { Answer, Job } from "./traffic.ts";

/** One round of measurements. */
export interface Measured {
  /** TCP, one connection. */
  readonly gigabits: number;
  /** Processors busy meanwhile, on the whole machine. */
  readonly processors: number;
  /** Datagrams of 18 bytes, 64 with all headers, that arrived in a second. */
  readonly packets: number;
  /** Median round trip of a ping, in microseconds. */
  readonly latency: number;
}

const PORT = 5201;
const TRAFFIC = new URL("traffic.ts", import.meta.url);

/** The two ends of a connection, with a worker in each that sends and receives. */
export class Ends implements Disposable {
  readonly #netns: readonly [NetNs, NetNs];
  readonly #workers: readonly [Worker, Worker];

  constructor(netns: readonly [NetNs, NetNs]) {
    this.#netns = netns;
    this.#workers = [netns[0].worker(TRAFFIC), netns[1].worker(TRAFFIC)];
  }

  /** Measures each figure once, to an address of the second end. */
  async measure(address: string, ms: number): Promise<Measured> {
    const before = busy();
    const started = performance.now();
    const { count, seconds } = await this.tcp(address, ms);
    const processors = (busy() - before) / (performance.now() - started) * 1000;
    const packets = await this.#udp(address, ms);
    const { replies } = await this.#netns[0].ping(address, {
      count: Math.ceil(ms),
      interval: 0,
    });
    const times = replies.map(({ time }) => time).sort((a, b) => a - b);
    return {
      gigabits: count * 8 / seconds / 1e9,
      processors,
      packets,
      latency: (times[times.length >> 1] ?? NaN) * 1000,
    };
  }

  /** Sends by one TCP connection to an address of the second namespace; returns bytes and seconds. */
  tcp(address: string, ms: number): Promise<{ count: number; seconds: number }> {
    return this.#transfer(
      { job: "receive-tcp", port: PORT },
      { job: "send-tcp", address, port: PORT, ms },
    );
  }

  /** Opens the sockets here: a worker with sockets would keep its namespace. */
  async #udp(address: string, ms: number): Promise<number> {
    const local = { address, port: PORT };
    const server: PacketDevice = UdpSocket.open({
      netns: this.#netns[1],
      local,
      receiveBuffer: 4 << 20,
    });
    const client: PacketDevice = UdpSocket.open({ netns: this.#netns[0], remote: local });
    const { count } = await this.#transfer(
      { job: "receive-udp", device: server.transfer() },
      { job: "send-udp", device: client.transfer(), ms, size: 18 },
    );
    return count / (ms / 1000);
  }

  /** Starts the receiver, then the sender, and returns the count of the receiver. */
  async #transfer(receive: Job, send: Job): Promise<{ count: number; seconds: number }> {
    const [sender, receiver] = this.#workers;
    const ready = answer(receiver);
    receiver.postMessage(receive);
    await ready;
    const received = answer(receiver);
    const sent = answer(sender);
    sender.postMessage(send);
    await sent;
    if (receive.job === "receive-udp") {
      setTimeout(() => receiver.postMessage({ job: "stop" } satisfies Job), 100); // after the queued datagrams
    }
    return await received as { count: number; seconds: number };
  }

  /** Ends the workers. */
  [Symbol.dispose](): void {
    for (const worker of this.#workers) worker.terminate();
  }
}

/** The next message of a worker. */
function answer(worker: Worker): Promise<Answer> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
  });
}

/** Busy seconds of all processors since boot, including interrupts and other programs. */
function busy(): number {
  const [, user, nice, system, , , irq, softirq] = Deno.readTextFileSync("/proc/stat")
    .split("\n")[0]!.split(/ +/).map(Number);
  return (user! + nice! + system! + irq! + softirq!) / 100;
}
