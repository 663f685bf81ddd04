/**
 * The table of an Ethernet switch: MACs, and the ports that they are behind.
 *
 * @module
 */
import { printTable } from "./_table.ts";

/** A table of MACs (numbers of 48 bits) and ports (from 0). It forgets a MAC that is silent for a while. */
export class MacTable implements Disposable {
  readonly #entries = new Map<number, { port: number; heard: number }>();
  readonly #timer: ReturnType<typeof setInterval>;

  /** `ageing`: milliseconds of silence after which the table forgets a MAC. */
  constructor(ageing: number) {
    this.#timer = setInterval(() => {
      const limit = performance.now() - ageing;
      for (const [mac, { heard }] of this.#entries) if (heard < limit) this.#entries.delete(mac);
    }, ageing / 10);
  }

  /** Records the port of a MAC, which may have moved. */
  learn(mac: number, port: number): void {
    const heard = performance.now();
    const entry = this.#entries.get(mac);
    if (entry) Object.assign(entry, { port, heard });
    else this.#entries.set(mac, { port, heard });
  }

  /** The port of a MAC, or `undefined` if the table does not have it. */
  port(mac: number): number | undefined {
    return this.#entries.get(mac)?.port;
  }

  /** Number of MACs. */
  get size(): number {
    return this.#entries.size;
  }

  /** Prints the table as `brctl showmacs` does; there ports count from 1. */
  print(title: string): void {
    console.log(`\n${title}`);
    if (this.size === 0) return console.log("nothing");
    printTable(Array.from(this.#entries, ([mac, { port, heard }]) => ({
      port: port + 1,
      mac: mac.toString(16).padStart(12, "0").replace(/..(?!$)/g, "$&:"),
      "ageing timer (s)": ((performance.now() - heard) / 1000).toFixed(2),
    })));
  }

  /** Stops the ageing. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
