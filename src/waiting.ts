/**
 * Waiting for values: an asynchronous iterator over values that a descriptor delivers, which monitors and
 * captures are, and turns for the event loop in long loops.
 *
 * @module
 */

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Takes values when they are asked for. Overlapping calls of `next()` are answered in order, a loop over
 * values that are there at once leaves the event loop its turn, and nothing is held after the end: neither
 * after `close()`, nor after the signal, nor after an error.
 */
export abstract class PullIterator<T>
  implements AsyncIterableIterator<T, undefined, undefined>, Disposable, AsyncDisposable {
  readonly #signal: AbortSignal | undefined;
  readonly #turn = new Turn();
  readonly #abort = (): void => {
    this.#abortion = { reason: this.#signal!.reason };
    this.close();
  };
  /** Ends a pending wait. */
  #waking = new AbortController();
  /** The last unanswered call of `next()`. */
  #tail: Promise<unknown> | undefined;
  #closed = false;
  /** The signal's reason, until a call of `next()` has rejected with it. */
  #abortion: { readonly reason: unknown } | undefined;

  /** @param signal Ends the iterator: the pending or the next `next()` rejects with the signal's reason. */
  protected constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** The next value if there is one without waiting. What it throws ends the iterator. */
  protected abstract take(): T | undefined;

  /** Resolves when another {@link PullIterator.take} is worth it. `signal` ends the wait. */
  protected abstract wait(signal: AbortSignal): Promise<void>;

  /** Releases what the iterator holds. Called once; no wait is pending then. */
  protected abstract release(): void;

  /** Whether the iterator has ended. */
  protected get closed(): boolean {
    return this.#closed;
  }

  /** Ends a pending wait: values are taken again. */
  protected wake(): void {
    this.#waking.abort();
    this.#waking = new AbortController();
  }

  /** Resolves with the next value; with `done` when the iterator has ended. */
  next(): Promise<IteratorResult<T, undefined>> {
    const before = this.#tail;
    const turn = this.#turn.due();
    if (!before && !turn && !this.#closed) {
      try {
        const value = this.take();
        if (value !== undefined) return Promise.resolve({ done: false, value });
      } catch (error) {
        this.close();
        return Promise.reject(error);
      }
    }
    const result = this.#pull(before, turn);
    const answered = () => {
      if (this.#tail === result) this.#tail = undefined;
    };
    result.then(answered, answered);
    this.#tail = result;
    return result;
  }

  async #pull(
    before: Promise<unknown> | undefined,
    turn: Promise<void> | undefined,
  ): Promise<IteratorResult<T, undefined>> {
    if (before) await before.catch(() => {}); // its own caller gets that error
    if (turn) await turn;
    try {
      while (!this.#closed) {
        const value = this.take();
        if (value !== undefined) return { done: false, value };
        await this.#wait();
      }
    } catch (error) {
      this.close();
      throw error;
    }
    const abortion = this.#abortion;
    this.#abortion = undefined;
    if (abortion) throw abortion.reason;
    return DONE;
  }

  async #wait(): Promise<void> {
    const { signal } = this.#waking;
    try {
      await this.wait(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    this.#turn.taken();
  }

  /** Ends the iterator at once: pending calls of `next()` resolve with `done`. A second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.wake(); // takes the wait away before its descriptor
    this.release();
  }

  /** Same as {@link PullIterator.close}; an abort that no `next()` has reported is forgotten. */
  return(): Promise<IteratorResult<T, undefined>> {
    this.close();
    this.#abortion = undefined;
    return Promise.resolve(DONE);
  }

  /** The iterator itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Same as {@link PullIterator.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Same as {@link PullIterator.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

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
