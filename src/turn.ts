/**
 * Fairness: a loop that finds work without waiting must still let timers, I/O and signal handlers run.
 *
 * @module
 */

/** The event loop runs at least this often, in milliseconds. */
const TURN = 4;

/** The turns that one loop, or one kind of loop, gives to the event loop. */
export class Turn {
  readonly #every: number;
  #steps = 0;
  #last = performance.now();

  /** @param every Steps of the loop from one look at the clock to the next. */
  constructor(every = 16) {
    this.#every = every;
  }

  /** Notes that the event loop has run: for after a wait. */
  taken(): void {
    this.#steps = 0;
    this.#last = performance.now();
  }

  /**
   * Counts steps of the loop.
   *
   * @param steps How many.
   * @returns A promise to await before the next step when a turn is due, otherwise `undefined`.
   */
  due(steps = 1): Promise<void> | undefined {
    this.#steps += steps;
    if (this.#steps < this.#every) return undefined;
    this.#steps = 0;
    return performance.now() - this.#last < TURN ? undefined : this.#give();
  }

  #give(): Promise<void> {
    // Not a timer of 0 ms, which takes a millisecond or more. Not at import: at its first use Deno loads
    // Node's timers, which takes 9 ms.
    const { setImmediate } = globalThis as unknown as { setImmediate(resolve: () => void): void };
    return new Promise((resolve) =>
      setImmediate(() => {
        this.taken();
        resolve();
      })
    );
  }
}
