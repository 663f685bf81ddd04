/**
 * Fairness: a loop over packets that are always there must leave timers and I/O their turn.
 *
 * @module
 */
import { giveTurn } from "../../ffi/reactor.ts";

/** Others get their turn at least this often, in milliseconds. */
const TURN = 4;
/** The clock is looked at once in so many packets. */
const PACKETS = 16;

let packets = 0;
let last = 0;

/** What to await before going on, when it is time. Counts packets. */
export function dueTurn(count = 1): Promise<void> | undefined {
  packets += count;
  if (packets < PACKETS) return undefined;
  packets = 0;
  const now = performance.now();
  return now - last < TURN ? undefined : giveTurn().then(taken);
}

function taken(): void {
  last = performance.now();
}
