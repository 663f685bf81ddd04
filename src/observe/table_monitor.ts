/**
 * A monitor: reading messages when events are asked for.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { giveTurn } from "../../ffi/reactor.ts";
import { connectionTo } from "../netlink/connections.ts";
import { Subscription } from "../netlink/subscription.ts";
import type { ResolvedNetNs } from "../netlink/target.ts";
import type { MonitorEvent } from "./event.ts";
import { groupsOf, type State, type Watched } from "./state.ts";
import { synchronize } from "./synchronize.ts";

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
export class TableMonitor implements Monitor {
  readonly #watched: Watched;
  readonly #netns: ResolvedNetNs;
  readonly #signal: AbortSignal | undefined;
  readonly #subscription: Subscription;
  readonly #stop = new AbortController();
  #state: State;
  /** How many of the state's events are reported. */
  #reported = 0;
  /** Messages are lost after those that are queued. */
  #lost = false;
  /** Messages are lost: the state has to be read again. */
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
    receiveBuffer: number,
  ) {
    this.#watched = watched;
    this.#netns = netns;
    this.#signal = signal;
    let subscription: Subscription | undefined;
    try {
      subscription = new Subscription(netns.ref, groupsOf(watched), { receiveBuffer });
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
        // Said at once, though what is queued still is from before the loss.
        if (outcome === "overrun") this.#lost = true;
        if (outcome === "empty") {
          if (this.#lost) {
            this.#lost = false;
            this.#stale = true;
            return { type: "overrun" };
          }
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
    await giveTurn();
    this.#turn = performance.now();
  }
}
