/**
 * Reading tables while they change.
 *
 * @module
 */
import type { Connection } from "../netlink/connection.ts";
import { DumpInterruptedError } from "../netlink/error.ts";
import type { DumpRequest } from "../netlink/message.ts";
import { getLink } from "../rtnetlink/link.ts";

/** How often a dump is tried that the connection, which tries several times, gave up. */
const ATTEMPTS = 4;

/** Reads a table. Throws {@link DumpInterruptedError} when it keeps changing for long. */
export function tryDump<T>(connection: Connection, request: DumpRequest<T>): T[] {
  for (let attempt = 1;; attempt++) {
    try {
      return connection.dump(request);
    } catch (error) {
      if (!(error instanceof DumpInterruptedError) || attempt === ATTEMPTS) throw error;
    }
  }
}

/**
 * Waits for changes under way to be complete. The kernel tells of some before it has done all that
 * belongs to them, and dumps do not wait for that; reading one link does.
 */
export function settle(connection: Connection): void {
  connection.request(getLink(1, { stats: false })); // the loopback link: every namespace has it
}
