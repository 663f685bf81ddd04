/**
 * What an Ethernet switch knows: behind which port it has heard a MAC.
 *
 * @module
 */
import { printTable } from "./_table.ts";

/** A table of MACs, as numbers of 48 bits, and ports, counted from 0. Who is silent for a while is forgotten. */
export class MacTable implements Disposable {
  readonly #entries = new Map<number, { port: number; heard: number }>();
  readonly #timer: ReturnType<typeof setInterval>;

  /** `ageing`: milliseconds after which a MAC that is not heard of is forgotten. */
  constructor(ageing: number) {
    this.#timer = setInterval(() => {
      const limit = performance.now() - ageing;
      for (const [mac, { heard }] of this.#entries) if (heard < limit) this.#entries.delete(mac);
    }, ageing / 10);
  }

  /** Notes where a MAC was heard: it may have moved. */
  learn(mac: number, port: number): void {
    const heard = performance.now();
    const entry = this.#entries.get(mac);
    if (entry) Object.assign(entry, { port, heard });
    else this.#entries.set(mac, { port, heard });
  }

  /** The port of a MAC, or `undefined` when it is not known. */
  port(mac: number): number | undefined {
    return this.#entries.get(mac)?.port;
  }

  /** How many MACs are known. */
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

  /** Ends the ageing. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
