/**
 * How much TCP carries from one namespace to another.
 *
 * @module
 */
import type { NetNs } from "@netloom/netloom";
import type { Job } from "./_traffic_worker.ts";

/** What is measured. */
export interface Path {
  readonly from: NetNs;
  readonly to: NetNs;
  /** An address of `to`. */
  readonly hostname: string;
}

/** Gbit/s that one TCP connection carries, between two threads. */
export async function throughput({ from, to, hostname }: Path, seconds = 2): Promise<number> {
  using receiver = new Traffic(to);
  using sender = new Traffic(from);
  await receiver.start({ hostname });
  const received = receiver.message();
  await sender.start({ hostname, milliseconds: seconds * 1000 });
  return Number(await received);
}

/** A thread in a namespace. */
class Traffic implements Disposable {
  readonly #worker: Worker;

  constructor(netns: NetNs) {
    this.#worker = netns.worker(new URL("./_traffic_worker.ts", import.meta.url));
  }

  /** Gives it its job, and waits for the first it says. */
  start(job: Job): Promise<unknown> {
    const said = this.message();
    this.#worker.postMessage(job);
    return said;
  }

  /** What it says next. */
  message(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => resolve(data);
      this.#worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
    });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
