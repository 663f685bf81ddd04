/**
 * Following what happens in a network namespace.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { show } from "../netlink/attribute.ts";
import { connectionTo } from "../netlink/connections.ts";
import { Subscription } from "../netlink/subscription.ts";
import { type ResolvedNetNs, resolveNetNs } from "../netlink/target.ts";
import type { MonitorEvent } from "./event.ts";
import { type MonitorOptions, watchedOf } from "./options.ts";
import { groupsOf, type State, type Watched } from "./state.ts";
import { synchronize } from "./synchronize.ts";

export type { MonitorEvent } from "./event.ts";
export type { MonitorOptions } from "./options.ts";

/** A monitor: what {@link monitor} returns. Disposing it, or leaving its loop, releases its socket at once. */
export interface Monitor
  extends AsyncIterableIterator<MonitorEvent, undefined, undefined>, Disposable, AsyncDisposable {
  /** Resolves with the next event; with `done` when the monitor has ended. */
  next(): Promise<IteratorResult<MonitorEvent, undefined>>;
  /** Ends the monitor. Pending calls of `next()` resolve with `done`. */
  return(): Promise<IteratorResult<MonitorEvent, undefined>>;
  /** The monitor itself. */
  [Symbol.asyncIterator](): Monitor;
}

/**
 * Follows links, addresses, routes, neighbors and forwarding entries: first the tables as they are at the
 * call, as one event, then what becomes different, each change once.
 *
 * An event is told by `type` and `action`: `{ type: "link", action: "change", link, previous, changed }`.
 * What changes nothing but counters and running times is no event. The objects in events are those the
 * monitor compares with: do not change them.
 *
 * The kernel queues what is not asked for. When its queue is full there is an `overrun` event, the tables
 * are read again, and the difference follows as ordinary events: applied to the snapshot, events always
 * lead to the tables as they are. What the kernel does in silence with routes, when a link goes down or an
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
  const { netns, signal, receiveBuffer, ...tables } = options;
  const watched = watchedOf(tables);
  if (receiveBuffer !== undefined && !(Number.isInteger(receiveBuffer) && receiveBuffer > 0)) {
    throw new TypeError(
      `receiveBuffer must be a number of bytes: the current value is ${show(receiveBuffer)}`,
    );
  }
  signal?.throwIfAborted();
  return new TableMonitor(watched, resolveNetNs(netns), signal, receiveBuffer);
}

/** The monitors of namespace references, which end with them. */
const monitors = new WeakMap<NetNsRef, Set<TableMonitor>>();

function monitorsOf(ref: NetNsRef): Set<TableMonitor> {
  let own = monitors.get(ref);
  if (!own) {
    const all = own = new Set<TableMonitor>();
    monitors.set(ref, all);
    ref.onClose(() => all.forEach((monitor) => monitor.end()));
  }
  return own;
}

/** With more events than this in a row it is time to look at the clock. */
const ROW = 64;
/** Timers and I/O get their turn at least this often, in milliseconds. */
const TURN = 4;

/** The implementation of {@link Monitor}. */
class TableMonitor implements Monitor {
  readonly #watched: Watched;
  readonly #netns: ResolvedNetNs;
  readonly #signal: AbortSignal | undefined;
  readonly #subscription: Subscription;
  readonly #stop = new AbortController();
  #state: State;
  /** How many of the state's events are reported. */
  #reported = 0;
  /** Messages were lost: the state has to be read again. */
  #stale: boolean;
  #row = 0;
  #turn = performance.now();
  #pending: Promise<unknown> | undefined;
  #ended = false;
  #abortion: { readonly reason: unknown } | undefined;

  constructor(
    watched: Watched,
    netns: ResolvedNetNs,
    signal: AbortSignal | undefined,
    receiveBuffer: number | undefined,
  ) {
    this.#watched = watched;
    this.#netns = netns;
    this.#signal = signal;
    let subscription: Subscription | undefined;
    try {
      subscription = new Subscription(netns.ref, groupsOf(watched), {
        ...(receiveBuffer === undefined ? {} : { receiveBuffer }),
      });
      const { state, lost } = synchronize(watched, connectionTo(netns.ref), subscription);
      state.events.push(state.snapshot());
      if (lost) state.events.push({ type: "overrun" });
      this.#state = state;
      this.#stale = lost;
    } catch (error) {
      subscription?.close();
      if (netns.owned) netns.ref.close();
      throw error;
    }
    this.#subscription = subscription;
    monitorsOf(netns.ref).add(this);
    signal?.addEventListener("abort", this.#abort, { once: true });
  }

  next(): Promise<IteratorResult<MonitorEvent, undefined>> {
    if (!this.#pending && !this.#ended && this.#row + 1 < ROW) {
      try {
        const event = this.#take();
        if (event) {
          this.#row++;
          return Promise.resolve({ done: false, value: event });
        }
      } catch (error) {
        this.end();
        return Promise.reject(error);
      }
    }
    const advance = () => this.#advance();
    // One after the other, as with an async generator.
    const result = this.#pending ? this.#pending.then(advance, advance) : advance();
    const settled = () => {
      if (this.#pending === result) this.#pending = undefined;
    };
    this.#pending = result;
    result.then(settled, settled);
    return result;
  }

  return(): Promise<IteratorResult<MonitorEvent, undefined>> {
    this.end();
    this.#abortion = undefined;
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Releases what the monitor holds; a second call does nothing. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#signal?.removeEventListener("abort", this.#abort);
    monitorsOf(this.#netns.ref).delete(this);
    this.#stop.abort(); // takes the wait away before its descriptor
    this.#subscription.close();
    this.#state.events.length = 0;
    if (this.#netns.owned) this.#netns.ref.close();
  }

  [Symbol.asyncIterator](): Monitor {
    return this;
  }

  [Symbol.dispose](): void {
    this.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.end();
    return Promise.resolve();
  }

  readonly #abort = (): void => {
    this.#abortion = { reason: this.#signal!.reason };
    this.end();
  };

  async #advance(): Promise<IteratorResult<MonitorEvent, undefined>> {
    try {
      await this.#giveTurn();
      while (!this.#ended) {
        const event = this.#take();
        if (event) return { done: false, value: event };
        await this.#wait();
      }
    } catch (error) {
      this.end();
      throw error;
    }
    const abortion = this.#abortion;
    this.#abortion = undefined;
    if (abortion) throw abortion.reason;
    return { done: true, value: undefined };
  }

  /** The next event, if there is one without waiting. */
  #take(): MonitorEvent | undefined {
    for (;;) {
      const { events } = this.#state;
      if (this.#reported < events.length) return events[this.#reported++];
      events.length = this.#reported = 0;
      if (this.#stale) this.#reread();
      else {
        const outcome = this.#subscription.receive((header, source) =>
          this.#state.apply(header, source)
        );
        if (outcome === "overrun") {
          this.#stale = true;
          return { type: "overrun" };
        }
        if (outcome === "empty") {
          this.#state.refresh(connectionTo(this.#netns.ref));
          if (events.length === 0) return undefined;
        }
      }
    }
  }

  #reread(): void {
    const connection = connectionTo(this.#netns.ref);
    const { state, lost } = synchronize(this.#watched, connection, this.#subscription);
    this.#state.reportChangesTo(state);
    if (lost) state.events.push({ type: "overrun" });
    this.#state = state;
    this.#stale = lost;
    this.#row = ROW;
  }

  async #wait(): Promise<void> {
    try {
      await this.#subscription.ready(this.#stop.signal);
    } catch (error) {
      if (!this.#ended) throw error;
    }
    this.#row = 0;
    this.#turn = performance.now();
  }

  /** Lets the event loop run when events have kept it from that. */
  async #giveTurn(): Promise<void> {
    if (this.#ended || ++this.#row < ROW) return;
    this.#row = 0;
    if (performance.now() - this.#turn < TURN) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#turn = performance.now();
  }
}
