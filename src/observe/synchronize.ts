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
/** More messages than the queue can have held while the tables were read. */
const MOST_MESSAGES = 1 << 16;

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
  readAll(subscription, () => {});
  for (let attempt = 1;; attempt++) {
    settle(connection);
    const state = new State(watched, connection);
    const { messages, lost } = readAll(subscription, (header, source) => {
      state.apply(header, source);
      state.events.length = 0;
    });
    if (messages === 0 && !lost || attempt === ATTEMPTS) return { state, lost };
  }
}

function readAll(
  subscription: Subscription,
  visit: Parameters<Subscription["receive"]>[0],
): { messages: number; lost: boolean } {
  let lost = false;
  for (let messages = 0;; messages++) {
    const outcome = subscription.receive(visit);
    if (outcome === "overrun") lost = true;
    if (outcome === "empty" || messages === MOST_MESSAGES) return { messages, lost };
  }
}
