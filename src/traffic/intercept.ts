/**
 * Frames of a link, each handed to a function before it goes on.
 *
 * @module
 */
import { SyscallError } from "../../ffi/errno.ts";
import { Timer } from "../../ffi/reactor.ts";
import { DIRECTIONS } from "../capture/compile.ts";
import type { Filter, Instruction } from "../capture/filter.ts";
import { PacketBatch } from "../device/packet_device.ts";
import { checkOptions, integer, type OptionNames, show, wordValue } from "../options.ts";
import type { NamedLink } from "../rtnetlink/link_target.ts";
import { undone } from "../scope/namespaces.ts";
import { Turn } from "../waiting.ts";
import { DelayQueue } from "./user/queue.ts";
import {
  copyOf,
  drain,
  type FrameOwner,
  type FrameState,
  InterceptedFrame,
  MOST_BYTES,
} from "./user/frame.ts";
import type { DirectionName } from "./user/program.ts";
import { Redirect } from "./user/redirect.ts";

/**
 * Decides about a frame. A frame about which it decides nothing passes. It may return a promise: the frame
 * waits until that is settled, and frames behind it do not.
 */
export type InterceptHandler = (frame: InterceptedFrame) => unknown;

/** Options of {@link Link.intercept}. */
export interface InterceptOptions {
  /** The frames to hand over, as captures take them. Others never leave the kernel. Default: all. */
  readonly filter?: Filter | readonly Instruction[];
  /** Frames that the link receives, that it sends, or both. Default: both. */
  readonly direction?: "in" | "out" | "both";
  /**
   * Most frames that may wait at a time: for a promise, for their delay, or because they are held. Further ones are
   * lost, and counted. 1..100,000. Default: 1000.
   */
  readonly limit?: number;
  /** Closes the interception when it is aborted. */
  readonly signal?: AbortSignal;
  /**
   * Called with what the handler has thrown, or its promise was rejected with, and with an error that ends the
   * interception. A frame whose handler fails passes. Default: standard error has it.
   *
   * When it throws itself, or its promise is rejected, standard error has that error, `stats.errors` counts it, and
   * the interception goes on.
   */
  readonly onError?: (error: unknown) => void;
}

const OPTIONS: OptionNames<InterceptOptions> = {
  filter: true,
  direction: true,
  limit: true,
  signal: true,
  onError: true,
};

/** Counters of an interception. */
export interface InterceptStats {
  /** Frames handed to the handler. */
  readonly frames: number;
  /** Frames that went on, copies included. */
  readonly passed: number;
  /** Frames that the handler has dropped, also by answering them. */
  readonly dropped: number;
  /** Answers sent. */
  readonly answered: number;
  /** Frames that wait now. */
  readonly waiting: number;
  /** Frames lost because too many waited, or because this program did not read them in time. */
  readonly overflows: number;
  /** Frames and answers that the link has refused: it is down, or they are too long. */
  readonly refused: number;
  /** Calls of the handler, and of `onError`, that failed. */
  readonly errors: number;
}

/** The memory of one system call: frames of usual links are small, and of all others few are under way. */
const MEMORY = { packets: 64, size: MOST_BYTES } as const;

/**
 * An interception of a link's frames; {@link Link.intercept} starts it. It keeps the process running until it is
 * closed. A scope that owns the link closes it, and so does the namespace's handle.
 *
 * It is also closed at the end of the program: by itself, by `Deno.exit`, an error, or a signal that the program does
 * not handle. After SIGKILL the link drops its frames until a program opens a scope or an interception, or calls
 * {@link Scope.clean}.
 */
export class Intercept implements Disposable {
  readonly #redirect: Redirect;
  readonly #handler: InterceptHandler;
  readonly #limit: number;
  readonly #onError: (error: unknown) => void;
  readonly #timer: Timer;
  /** The frames that wait, by their numbers. */
  readonly #waiting = new Map<number, FrameState>();
  /** Those of them that wait for a promise, that are held, and that are due at a time. */
  #pending = 0;
  readonly #held = new Set<FrameState>();
  readonly #delayed = new DelayQueue();
  readonly #owner: FrameOwner = {
    settle: (state) => this.#settle(state),
    answer: (state, bytes) => this.#answer(state, bytes),
  };
  readonly #counts = {
    frames: 0,
    passed: 0,
    dropped: 0,
    answered: 0,
    overflows: 0,
    refused: 0,
    errors: 0,
  };
  readonly #passing: { [D in DirectionName]?: PacketBatch } = {};
  #number = 0;
  /** Whether the handler is being called, for a batch whose rest has yet to pass. */
  #handling = false;
  #closed = false;

  /** For {@link Link.intercept}. */
  constructor(link: NamedLink, handler: InterceptHandler, options: InterceptOptions = {}) {
    const { direction, filter, limit, signal, onError } = checked(handler, options);
    this.#handler = handler;
    this.#limit = limit;
    this.#onError = onError;
    signal?.throwIfAborted();
    this.#timer = new Timer();
    let redirect: Redirect | undefined;
    try {
      const verb = "intercept";
      redirect = Redirect.open(link, { verb, direction, filter, gso: false, answers: true });
      this.#redirect = redirect;
      redirect.closeWith(this, signal);
    } catch (error) {
      this.#timer.close();
      throw undone(error, () => redirect?.discard());
    }
    for (const it of this.#redirect.directions) void this.#run(() => this.#read(it));
    void this.#run(() => this.#passDelayed());
  }

  /** Counters. */
  get stats(): InterceptStats {
    const { overflows, ...counts } = this.#counts;
    return {
      ...counts,
      waiting: this.#waiting.size,
      overflows: this.#redirect.directions.reduce(
        (sum, it) => sum + this.#redirect.drops(it),
        overflows,
      ),
    };
  }

  /** Whether it has been closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Lets the frames pass that are held, in the order in which they came to be so.
   *
   * @returns How many.
   */
  release(): number {
    const states = [...this.#held];
    for (const state of states) this.#pass(state);
    return states.length;
  }

  /**
   * Restores the link, and lets the frames pass that wait. A second call does nothing.
   *
   * @throws {NetlinkError} When the kernel refuses; another call does what is left. Until the link is restored the
   *   interception goes on.
   */
  close(): void {
    if (this.#closed) return this.#redirect.close();
    this.#redirect.stop();
    this.#closed = true;
    for (const state of [...this.#waiting.values()]) this.#pass(state);
    // The rest of a batch still has to pass.
    if (!this.#handling) this.#finish();
  }

  /** Lets the frames pass that the TAPs still have, and closes all. */
  #finish(): void {
    for (const direction of this.#redirect.directions) {
      drain(this.#redirect.tap(direction), (bytes, length) => {
        this.#send(bytes.slice(0, length), direction, "passed");
      });
    }
    this.#timer.close();
    this.#redirect.close();
  }

  /** Same as {@link Intercept.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Runs a loop until the interception is closed. An error of the loop closes it. */
  async #run(loop: () => Promise<never>): Promise<void> {
    try {
      await loop();
    } catch (error) {
      if (this.#closed) return;
      this.#tell(error);
      try {
        this.close();
      } catch (undone) {
        this.#tell(undone);
      }
    }
  }

  async #read(direction: DirectionName): Promise<never> {
    const tap = this.#redirect.tap(direction);
    const batch = new PacketBatch(MEMORY);
    const turn = new Turn();
    for (;;) {
      const { written } = await tap.taken(() =>
        tap.tryReadBatch(batch) > 0 ? this.#hand(batch, direction) : undefined
      );
      await written;
      await turn.due(batch.count);
    }
  }

  /** Hands the frames of a batch to the handler, and sends those that pass at once, all in one go. */
  #hand(batch: PacketBatch, direction: DirectionName): { written: Promise<unknown> } {
    const passing: PacketBatch[] = [];
    this.#handling = true;
    try {
      for (let i = 0; i < batch.count; i++) {
        const start = batch.offsets[i]!;
        const state = this.#call(batch.bytes.slice(start, start + batch.lengths[i]!), direction);
        for (let copies = state?.copies ?? 0; copies > 0; copies--) {
          if (passing.at(-1)?.add(state!.wire)) continue;
          passing.push(this.#empty(passing.length, direction));
          passing.at(-1)!.add(state!.wire);
        }
      }
      return { written: Promise.all(passing.map((it) => this.#write(it, direction))) };
    } finally {
      this.#handling = false;
      if (this.#closed) this.#finish();
    }
  }

  /** The `n`th empty batch for frames that pass: the first is used again, more are for copies. */
  #empty(n: number, direction: DirectionName): PacketBatch {
    if (n > 0) return new PacketBatch(MEMORY);
    const batch = this.#passing[direction] ??= new PacketBatch(MEMORY);
    batch.clear();
    return batch;
  }

  /** Calls the handler; the frame when it passes at once. */
  #call(wire: Uint8Array<ArrayBuffer>, direction: DirectionName): FrameState | undefined {
    if (this.#pending >= this.#limit && !this.#closed) {
      this.#counts.overflows++;
      return undefined;
    }
    const number = this.#number = (this.#number + 1) % 0x8000_0000;
    const state: FrameState = {
      number,
      direction,
      wire,
      fate: "pass",
      copies: 1,
      delay: 0,
      phase: "handled",
    };
    const promise = this.#closed ? undefined : this.#handle(state);
    // The handler may have closed the interception.
    if (this.#closed) state.fate = "pass";
    else if (promise) {
      this.#waiting.set(number, state);
      return undefined;
    }
    if (state.fate === "pass") {
      state.phase = "gone";
      return state;
    }
    this.#settle(state);
    return undefined;
  }

  /** Calls the handler: whether the frame waits for a promise. */
  #handle(state: FrameState): boolean {
    this.#counts.frames++;
    try {
      const result = this.#handler(new InterceptedFrame(state, this.#owner));
      if (!isPromise(result)) return false;
      this.#pending++;
      result.then(() => this.#settled(state), (error) => {
        this.#failed(error);
        this.#settled(state);
      });
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #settled(state: FrameState): void {
    this.#pending--;
    // Closing has let it pass.
    if (state.phase === "handled") this.#settle(state);
  }

  /** Does what has been decided about a frame. */
  #settle(state: FrameState): void {
    this.#held.delete(state);
    if (state.fate === "pass") return this.#pass(state);
    if (state.fate === "drop") {
      this.#leave(state);
      this.#counts.dropped++;
      return;
    }
    if (!this.#waiting.has(state.number) && this.#waiting.size >= this.#limit) {
      this.#leave(state);
      this.#counts.overflows++;
      return;
    }
    this.#waiting.set(state.number, state);
    if (state.fate === "hold") {
      state.phase = "held";
      this.#held.add(state);
    } else {
      state.phase = "gone";
      const due = performance.now() + state.delay;
      if (due < this.#delayed.due) this.#timer.set(state.delay);
      this.#delayed.add(state.number, due);
    }
  }

  #leave(state: FrameState): void {
    this.#waiting.delete(state.number);
    this.#held.delete(state);
    state.phase = "gone";
  }

  #pass(state: FrameState): void {
    this.#leave(state);
    for (let i = 0; i < state.copies; i++) {
      this.#send(state.wire, state.direction, "passed");
    }
  }

  #answer({ direction }: FrameState, bytes: Uint8Array): void {
    const opposite = direction === "out" ? "in" : "out";
    this.#send(copyOf(bytes), opposite, "answered");
  }

  /** Sends one frame and counts it; at once, unless others wait to be sent. */
  #send(
    wire: Uint8Array<ArrayBuffer>,
    direction: DirectionName,
    sent: "passed" | "answered",
  ): void {
    this.#redirect.outlet(direction).write(wire).then(
      () => this.#counts[sent]++,
      () => this.#counts.refused++,
    );
  }

  /** Sends a batch. */
  async #write(batch: PacketBatch, direction: DirectionName): Promise<void> {
    try {
      await this.#redirect.outlet(direction).writeBatch(batch);
      this.#counts.passed += batch.count;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      for (let i = 0; i < batch.count; i++) {
        this.#counts[batch.results[i]! < 0 ? "refused" : "passed"]++;
      }
    }
  }

  /** Lets the frames pass whose time has come. */
  async #passDelayed(): Promise<never> {
    for (;;) {
      await this.#timer.expired();
      const now = performance.now();
      for (let number = 0; (number = this.#delayed.take(now)) >= 0;) {
        const state = this.#waiting.get(number);
        if (state) this.#pass(state);
      }
      if (this.#delayed.size > 0) this.#timer.set(this.#delayed.due - performance.now());
    }
  }

  #failed(error: unknown): void {
    this.#counts.errors++;
    this.#tell(error);
  }

  /** Calls `onError`; that this fails does not end the interception. */
  #tell(error: unknown): void {
    const failed = (error: unknown) => {
      this.#counts.errors++;
      report(error);
    };
    try {
      const result: unknown = this.#onError(error);
      if (isPromise(result)) result.then(undefined, failed);
    } catch (error) {
      failed(error);
    }
  }
}

function report(error: unknown): void {
  console.error(error);
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === "function";
}

/** The options with their defaults. */
function checked(handler: InterceptHandler, options: InterceptOptions) {
  if (typeof handler !== "function") {
    throw new TypeError(`handler must be a function: got ${show(handler)}`);
  }
  checkOptions(options, OPTIONS);
  const { filter, direction = "both", limit = 1000, signal, onError = report } = options;
  wordValue(direction, DIRECTIONS, "direction");
  integer(limit, "limit", 1, 100_000, "frames");
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`signal must be an AbortSignal: got ${show(signal)}`);
  }
  if (typeof onError !== "function") {
    throw new TypeError(`onError must be a function: got ${show(onError)}`);
  }
  return { filter, direction, limit, signal, onError };
}
