/**
 * Following the changes in a network namespace.
 *
 * @module
 */
import {
  connectionTo,
  type NetNsTarget,
  type ResolvedNetNs,
  resolveNetNs,
} from "../netlink/connections.ts";
import { Subscription } from "../netlink/socket.ts";
import { boolean, checkOptions, integer, type OptionNames } from "../options.ts";
import { PullIterator } from "../waiting.ts";
import type { MonitorEvent, OverrunEvent } from "./event.ts";
import {
  groupsOf,
  overrunOf,
  type State,
  synchronize,
  type Synchronized,
  type Watched,
} from "./state.ts";

/**
 * Options of {@link monitor}. Without any table that is `true` the monitor watches links, addresses, routes
 * and neighbors, except those that are `false`.
 */
export interface MonitorOptions {
  /** The namespace. Default: the current one. */
  readonly netns?: NetNsTarget;
  /** Watch links, and the state of bridge ports. */
  readonly links?: boolean;
  /** Watch IP addresses. */
  readonly addresses?: boolean;
  /** Watch the routes of all tables. */
  readonly routes?: boolean;
  /** Watch neighbors: ARP and neighbor discovery. */
  readonly neighbors?: boolean;
  /** Watch forwarding entries of bridges and VXLANs. Not watched by default. */
  readonly fdb?: boolean;
  /** Watch policy rules. Not watched by default. */
  readonly rules?: boolean;
  /** Watch queueing disciplines; needs `import "@netloom/netloom/tc"`. Not watched by default. */
  readonly qdiscs?: boolean;
  /** Watch their classes; needs `import "@netloom/netloom/tc"`. Not watched by default. */
  readonly classes?: boolean;
  /** Watch filters; needs `import "@netloom/netloom/tc"`. Not watched by default. */
  readonly filters?: boolean;
  /** Ends the monitor: a pending or the next `next()` rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Bytes of messages that the kernel keeps until they are read; more is an overrun. Default: 16 MiB, room
   * for 7,000 messages about links or 40,000 about routes. Without CAP_NET_ADMIN in the first user namespace
   * at most `net.core.rmem_max`.
   */
  readonly receiveBuffer?: number;
}

/** A monitor: the result of {@link monitor}. Its end releases its socket at once. */
export interface Monitor
  extends AsyncIterableIterator<MonitorEvent, undefined, undefined>, Disposable, AsyncDisposable {
  /** Resolves with the next event; with `done` when the monitor has ended. */
  next(): Promise<IteratorResult<MonitorEvent, undefined>>;
  /** Ends the monitor. Pending calls of `next()` resolve with `done`. */
  close(): void;
  /** Same as {@link Monitor.close}. Leaving a `for await` loop calls it. */
  return(): Promise<IteratorResult<MonitorEvent, undefined>>;
  /** The monitor itself. */
  [Symbol.asyncIterator](): Monitor;
}

/** The options of a monitor of a given namespace. */
export const NETNS_MONITOR_OPTIONS: OptionNames<Omit<MonitorOptions, "netns">> = {
  links: true,
  addresses: true,
  routes: true,
  neighbors: true,
  fdb: true,
  rules: true,
  qdiscs: true,
  classes: true,
  filters: true,
  signal: true,
  receiveBuffer: true,
};
const OPTIONS: OptionNames<MonitorOptions> = { ...NETNS_MONITOR_OPTIONS, netns: true };
/** Bytes of unread messages. */
const RECEIVE_BUFFER = 16 << 20;
/** The kernel doubles the size, in 32 bits with a sign. */
const MOST_BYTES = 2 ** 30 - 1;

/**
 * Follows links, addresses, routes, neighbors, forwarding entries, policy rules, and traffic control: the first event is a
 * snapshot of the tables at the call, then each change is one event.
 *
 * `type` and `action` tell events apart: `{ type: "link", action: "change", link, previous, changed }`.
 * A change of counters and running times alone is no event. The objects in events are those that the
 * monitor compares with: do not change them.
 *
 * The kernel queues messages until they are read. When its queue was full, or a message could not be read, an
 * `overrun` event follows on the events before the loss. The monitor then reads the tables again and reports
 * the differences as ordinary events: applied to the snapshot, events always lead to the actual tables. The
 * monitor also reports the routes that the kernel removes silently when a link goes down, or when an address
 * or a nexthop object is removed, and the queueing disciplines, classes and filters that come and go with others
 * and with links. The kernel sends no event for some changes until the same object changes
 * otherwise: an alias, a group, the `qdisc` and the like of a link that is down; the steps of a
 * neighbor between `stale`, `delay` and `probe`; an IPv6 address during duplicate address detection;
 * neighbors and forwarding entries of the multicast groups that a link listens to.
 *
 * An open monitor keeps its namespace alive, unless `netns` is a handle: then it ends with the handle.
 * A process can exit while nobody waits for an event.
 *
 * @param options Tables, namespace, signal and buffer.
 * @returns The events. Leaving the loop, `close()` and disposal release the socket.
 * @throws {MissingImportError} For a table of traffic control without `import "@netloom/netloom/tc"`.
 * @throws {NetlinkError} When a table cannot be read: `DumpInterruptedError` when it keeps changing for long.
 * Also from `next()`; the monitor has ended then.
 * @throws {SyscallError} When the namespace cannot be opened.
 * @throws {TypeError} For malformed options.
 * @throws {RangeError} When `receiveBuffer` is out of range.
 *
 * @example A link that comes and goes
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
 * @example Events until a signal
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
  checkOptions(options, OPTIONS);
  const watched = watchedOf(options);
  const { signal, receiveBuffer = RECEIVE_BUFFER } = options;
  integer(receiveBuffer, "receiveBuffer", 1, MOST_BYTES, "bytes");
  signal?.throwIfAborted();
  const netns = resolveNetNs(options.netns);
  let subscription: Subscription | undefined;
  try {
    subscription = new Subscription(netns.ref, groupsOf(watched), { receiveBuffer });
    const start = synchronize(watched, connectionTo(netns.ref), subscription);
    return new TableMonitor(start, { watched, netns, subscription, signal });
  } catch (error) {
    subscription?.close();
    if (netns.owned) netns.ref.close();
    throw error;
  }
}

/** The tables that options ask for. */
function watchedOf(options: MonitorOptions): Watched {
  const { links, addresses, routes, neighbors, fdb, rules, qdiscs, classes, filters } = options;
  const tables = { links, addresses, routes, neighbors, fdb, rules, qdiscs, classes, filters };
  const given = Object.entries(tables).filter(([, value]) => value !== undefined);
  for (const [table, value] of given) boolean(value, table);
  const rest = !Object.values(tables).includes(true);
  const watched = {
    ...{ links: rest, addresses: rest, routes: rest, neighbors: rest },
    ...{ fdb: false, rules: false, qdiscs: false, classes: false, filters: false },
    ...Object.fromEntries(given),
  };
  if (Object.values(watched).includes(true)) return watched;
  const names = Object.keys(tables).join(", ");
  throw new TypeError(`All tables are false: set one of ${names} to true, or leave all out`);
}

/** What a monitor has beside its tables. */
interface TableMonitorOptions {
  readonly watched: Watched;
  readonly netns: ResolvedNetNs;
  readonly subscription: Subscription;
  readonly signal: AbortSignal | undefined;
}

/** The implementation of {@link Monitor}: reads messages when events are asked for. */
class TableMonitor extends PullIterator<MonitorEvent> implements Monitor {
  readonly #watched: Watched;
  readonly #netns: ResolvedNetNs;
  readonly #subscription: Subscription;
  readonly #forget: () => void;
  #state: State;
  /** The number of the state's events that are reported. */
  #reported = 0;
  /** A loss that is not reported yet: the events of the queued messages come first. */
  #lost: OverrunEvent | undefined;
  /** The tables have to be read again. */
  #stale: boolean;

  constructor({ state, lost }: Synchronized, options: TableMonitorOptions) {
    super(options.signal);
    this.#watched = options.watched;
    this.#netns = options.netns;
    this.#subscription = options.subscription;
    this.#state = state;
    this.#stale = lost !== undefined;
    state.events.push(state.snapshot());
    if (lost) state.events.push(lost);
    this.#forget = options.netns.ref.onClose(() => this.close());
  }

  protected override take(): MonitorEvent | undefined {
    for (;;) {
      const { events } = this.#state;
      if (this.#reported < events.length) return events[this.#reported++];
      events.length = this.#reported = 0;
      if (this.#stale) this.#reread();
      else {
        const received = this.#subscription.receive((header, source) =>
          this.#state.apply(header, source)
        );
        this.#lost ??= overrunOf(received);
        if (received === "empty") {
          const lost = this.#lost;
          if (lost) {
            this.#lost = undefined;
            this.#stale = true;
            return lost;
          }
          this.#state.refresh(connectionTo(this.#netns.ref));
          if (events.length === 0) return undefined;
        }
      }
    }
  }

  protected override wait(signal: AbortSignal): Promise<void> {
    return this.#subscription.ready(signal);
  }

  protected override release(): void {
    this.#forget();
    this.#subscription.close();
    if (this.#netns.owned) this.#netns.ref.close();
  }

  #reread(): void {
    const connection = connectionTo(this.#netns.ref);
    const { state, lost } = synchronize(this.#watched, connection, this.#subscription);
    this.#state.reportChangesTo(state);
    if (lost) state.events.push(lost);
    this.#state = state;
    this.#stale = lost !== undefined;
  }
}
