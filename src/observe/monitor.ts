/**
 * Following what happens in a network namespace.
 *
 * @module
 */
import { resolveNetNs } from "../netlink/target.ts";
// The link kinds: their options are decoded once they are known.
import "../link/mod.ts";
import { type MonitorOptions, watchedOf } from "./options.ts";
import { type Monitor, TableMonitor } from "./table_monitor.ts";
import { show } from "../options.ts";

export type { MonitorEvent } from "./event.ts";
export type { MonitorOptions } from "./options.ts";
export type { Monitor } from "./table_monitor.ts";

/** Bytes of unread messages. */
const RECEIVE_BUFFER = 16 << 20;
/** The kernel doubles it, in 32 bits with a sign. */
const MOST_BYTES = 2 ** 30 - 1;

/**
 * Follows links, addresses, routes, neighbors and forwarding entries: first the tables as they are at the
 * call, as one event, then what becomes different, each change once.
 *
 * An event is told by `type` and `action`: `{ type: "link", action: "change", link, previous, changed }`.
 * What changes nothing but counters and running times is no event. The objects in events are those the
 * monitor compares with: do not change them.
 *
 * The kernel queues what is not asked for. When its queue was full an `overrun` event follows on what it
 * holds, the tables are read again, and the difference comes as ordinary events: applied to the snapshot,
 * events always lead to the tables as they are. What the kernel does in silence with routes, when a link goes down or an
 * address or a nexthop object is removed, is reported too. Some things it does not tell until the same
 * thing changes otherwise: an alias, a group and the like of a link that is down, a queueing discipline;
 * a neighbor's steps between `stale`, `delay` and `probe`; an IPv6 address that is being checked for
 * duplicates; neighbors and forwarding entries of the multicast groups a link listens to.
 *
 * An open monitor keeps its namespace alive, unless `netns` is a handle: then it ends with the handle.
 * A process can exit while nobody waits for an event.
 *
 * @param options Which tables, where, until when.
 * @returns The events. Leaving the loop, `return()` and disposal release the socket.
 * @throws {NetlinkError} When a table cannot be read: `DumpInterruptedError` when it does not stand still
 * for long. Also from `next()`; the monitor has ended then.
 * @throws {SyscallError} When the namespace cannot be opened.
 * @throws {TypeError} For malformed options.
 *
 * @example Seeing a link come and go
 * ```ts
 * import { Bridge, NetNs } from "@netloom/netloom";
 * import { monitor } from "@netloom/netloom/observe";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * await using events = monitor({ netns, links: true });
 * {
 *   using _bridge = Bridge.create({ name: "br0", netns });
 * }
 * const seen: string[] = [];
 * for await (const event of events) {
 *   if (event.type === "snapshot") seen.push(...event.links.map((link) => link.name));
 *   if (event.type !== "link") continue;
 *   seen.push(`${event.action} ${event.link.name}`);
 *   if (event.action === "remove") break;
 * }
 * assertEquals(seen, ["lo", "add br0", "remove br0"]);
 * ```
 *
 * @example Until a signal
 * ```ts
 * import { NetNs } from "@netloom/netloom";
 * import { monitor } from "@netloom/netloom/observe";
 * import { assertRejects } from "@std/assert";
 *
 * using netns = NetNs.create();
 * await assertRejects(async () => {
 *   for await (const event of monitor({ netns, signal: AbortSignal.timeout(50) })) {
 *     console.log(event.type);
 *   }
 * }, DOMException);
 * ```
 */
export function monitor(options: MonitorOptions = {}): Monitor {
  const { netns, signal, receiveBuffer = RECEIVE_BUFFER, ...tables } = options;
  const watched = watchedOf(tables);
  if (!Number.isInteger(receiveBuffer) || receiveBuffer < 1 || receiveBuffer > MOST_BYTES) {
    throw new TypeError(
      `receiveBuffer must be in 1..${MOST_BYTES} bytes: got ${show(receiveBuffer)}`,
    );
  }
  signal?.throwIfAborted();
  return new TableMonitor(watched, resolveNetNs(netns), signal, receiveBuffer);
}
