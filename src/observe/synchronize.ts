/**
 * Reading tables so that what is queued continues them.
 *
 * @module
 */
import type { Connection } from "../netlink/connection.ts";
import type { Subscription } from "../netlink/subscription.ts";
import { settle } from "./dump.ts";
import { State, type Watched } from "./state.ts";

/** How often the tables are read in the hope that nothing happens meanwhile. */
const ATTEMPTS = 4;
/**
 * How long messages are taken in at a stretch, in milliseconds. Where they come as fast as they are read
 * the rest stays in the queue, and is reported although the tables may have it.
 */
const STRETCH = 50;

/** A state, and whether messages are missing in it. */
export interface Synchronized {
  /** The tables. */
  readonly state: State;
  /** Messages were lost once more. */
  readonly lost: boolean;
}

/**
 * Reads the tables. When something happened meanwhile they are read again, a few times; then the last
 * reading is brought up to date with what is queued: each message says how a thing is, so that in the end
 * all are as the last message says, and those without a message as they were read.
 *
 * @param watched Which tables.
 * @param connection Reads them.
 * @param subscription Has joined their groups. What it has queued at the call is thrown away.
 */
export function synchronize(
  watched: Watched,
  connection: Connection,
  subscription: Subscription,
): Synchronized {
  // To its end: until then the kernel throws away what comes after an overrun, and does not say so.
  subscription.drain(() => {});
  for (let attempt = 1;; attempt++) {
    settle(connection);
    const state = new State(watched, connection);
    const { messages, lost } = applyAll(subscription, state);
    if (messages === 0 && !lost || attempt === ATTEMPTS) return { state, lost };
    if (lost) subscription.drain(() => {});
  }
}

function applyAll(subscription: Subscription, state: State): { messages: number; lost: boolean } {
  const until = performance.now() + STRETCH;
  let lost = false;
  for (let messages = 0;; messages++) {
    const outcome = subscription.receive((header, source) => {
      state.apply(header, source);
      state.events.length = 0;
    });
    if (outcome === "overrun") lost = true;
    if (outcome === "empty" || lost || performance.now() > until) return { messages, lost };
  }
}
