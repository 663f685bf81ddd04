/**
 * The steps of a change of impairments: what each one undoes, and the packets that it loses.
 *
 * @module
 */
import type { NamedLink } from "../rtnetlink/link_target.ts";
import { LinkQdiscs } from "./qdiscs.ts";

/** The longest time that a call waits for packets to leave a queue, in milliseconds. */
const LONGEST_WAIT = 1000;

/** Steps that are undone together when one of them fails. */
export class Steps {
  readonly #undo: (() => void)[] = [];
  /** Packets lost so far. */
  lost = 0;

  /** Does a step, and keeps the way back. */
  do<T>(step: () => T, undo: (result: T) => void): T {
    const result = step();
    this.#undo.push(() => undo(result));
    return result;
  }

  /** Does all steps or none. */
  static run(fn: (steps: Steps) => void): Steps {
    const steps = new Steps();
    try {
      fn(steps);
    } catch (error) {
      steps.#goBack(error);
      throw error;
    }
    return steps;
  }

  #goBack(error: unknown): void {
    for (const undo of this.#undo.reverse()) {
      try {
        undo();
      } catch (second) {
        throw new SuppressedError(second, error);
      }
    }
  }
}

const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits until the queue of a link is empty.
 *
 * @param device The link.
 * @returns Packets that are still in it after the longest time.
 */
export function drain(device: NamedLink): number {
  const qdiscs = new LinkQdiscs(device);
  const until = performance.now() + LONGEST_WAIT;
  for (;;) {
    const waiting = qdiscs.list().find(({ parent }) => parent === "root")?.stats.qlen ?? 0;
    if (waiting === 0 || performance.now() > until) return waiting;
    Atomics.wait(cell, 0, 0, 1);
  }
}
