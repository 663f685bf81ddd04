/**
 * Frames of a link, or of all links of a namespace, as the kernel hands them over.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { giveTurn } from "../../ffi/reactor.ts";
import type { CaptureInterface, Frame } from "./frame.ts";
import { Interfaces } from "./interface.ts";
import { type CaptureOptions, ringOptions } from "./options.ts";
import { Ring } from "./ring.ts";
import { show } from "../options.ts";

/** What a capture has counted. */
export interface CaptureStatistics {
  /** Frames that the filter let pass, those that were dropped included. */
  readonly packets: number;
  /** Frames that the kernel dropped since its buffer was full. */
  readonly drops: number;
  /** How often the buffer became full. */
  readonly freezes: number;
}

/**
 * A running capture: frames from the moment it was opened. Leaving its loop, disposal and `close()` free its
 * buffer at once.
 */
export interface Capture
  extends AsyncIterableIterator<Frame, undefined, undefined>, Disposable, AsyncDisposable {
  /** The links that frames have come from so far. */
  readonly interfaces: readonly CaptureInterface[];
  /** Resolves with the next frame; with `done` when the capture has ended. */
  next(): Promise<IteratorResult<Frame, undefined>>;
  /** The next frame if it is there already. For loops without an `await` for each frame. */
  tryNext(): Frame | undefined;
  /** What was counted since the capture was opened; after its end the last word. */
  statistics(): CaptureStatistics;
  /** Captures no more; frames captured before still come, and then the loop ends. */
  stop(): void;
  /** Ends the capture at once. Pending calls of `next()` resolve with `done`. */
  close(): void;
  /** Same as {@link Capture.close}. */
  return(): Promise<IteratorResult<Frame, undefined>>;
  /** The capture itself. */
  [Symbol.asyncIterator](): Capture;
}

/** With more frames than this in a row it is time to look at the clock. */
const ROW = 16;
/** Timers and I/O get their turn at least this often, in milliseconds. */
const TURN = 4;
/**
 * Between two looks at a block that the kernel is about to pass on, in milliseconds: the error of a link that is
 * gone would keep a wait from waiting.
 */
const LOOK = 2;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Starts a capture: what `link.capture()` and `netns.capture()` call.
 *
 * @param netns The namespace. The capture ends when the reference is closed.
 * @param link Index and name of the link; without it, all links of the namespace.
 * @param options Which frames, how much of each, until when.
 * @throws {SyscallError} EPERM without CAP_NET_RAW, ENODEV when there is no such link, EINVAL for a
 * program that the kernel refuses, ENOMEM for a buffer that is too large, or a filter that takes more
 * than `net.core.optmem_max` bytes: 20 kB before Linux 6.7, 128 kB since.
 * @throws {TypeError} For malformed options.
 * @throws {RangeError} For numbers out of range.
 */
export function openCapture(
  netns: NetNsRef,
  link: { readonly index: number; readonly name: string } | undefined,
  options: CaptureOptions = {},
): Capture {
  return new RingCapture(netns, link, options);
}

/** The implementation of {@link Capture}. */
class RingCapture implements Capture {
  readonly #ring: Ring;
  readonly #interfaces: Interfaces;
  readonly #what: string;
  readonly #signal: AbortSignal | undefined;
  readonly #forget: () => void;
  readonly #abort = () => {
    this.#abortion = { reason: this.#signal!.reason };
    this.close();
  };
  #abortion: { readonly reason: unknown } | undefined;
  #closed = false;
  /** No more frames come in: stopped, or the link is gone. */
  #last = false;
  /** Ends a pending wait. */
  #waking = new AbortController();
  /** Calls of `next()` that are not answered yet, and the last of them. */
  #calls = 0;
  #tail: Promise<unknown> | undefined;
  #row = 0;
  #turn = performance.now();

  constructor(
    netns: NetNsRef,
    link: { readonly index: number; readonly name: string } | undefined,
    options: CaptureOptions,
  ) {
    const ring = ringOptions(options, link?.index ?? 0);
    this.#signal = options.signal;
    this.#signal?.throwIfAborted();
    const where = netns.description && ` in ${netns.description}`;
    this.#what = `capture ${link ? `link ${show(link.name)}` : "all links"}${where}`;
    const interfaces = this.#interfaces = new Interfaces(netns, ring.snaplen);
    const interfaceOf = (index: number, type: number) => interfaces.of(index, type);
    this.#ring = new Ring(netns, { ...ring, interfaceOf }, this.#what);
    this.#forget = netns.onClose(() => this.close());
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
  }

  get interfaces(): readonly CaptureInterface[] {
    return this.#interfaces.list();
  }

  next(): Promise<IteratorResult<Frame, undefined>> {
    if (this.#calls === 0 && ++this.#row < ROW) {
      const frame = this.tryNext();
      if (frame) return Promise.resolve({ done: false, value: frame });
    }
    const step = this.#step(this.#calls++ === 0 ? undefined : this.#tail);
    this.#tail = step;
    return step;
  }

  tryNext(): Frame | undefined {
    return this.#closed ? undefined : this.#ring.next();
  }

  /** Calls that overlap are answered one after the other. */
  async #step(before?: Promise<unknown>): Promise<IteratorResult<Frame, undefined>> {
    try {
      if (before) await before.catch(() => {});
      return await this.#wait();
    } catch (error) {
      this.close();
      throw error;
    } finally {
      this.#calls--;
    }
  }

  async #wait(): Promise<IteratorResult<Frame, undefined>> {
    for (;;) {
      if (this.#row >= ROW) {
        this.#row = 0;
        if (performance.now() - this.#turn > TURN) {
          await giveTurn();
          this.#turn = performance.now();
        }
      }
      const frame = this.tryNext();
      if (frame) return { done: false, value: frame };
      if (this.#closed) return this.#ended();
      this.#last ||= this.#ring.lost(this.#what);
      if (!this.#last) await this.#ready();
      else if (this.#ring.filling) await new Promise((resolve) => setTimeout(resolve, LOOK));
      else this.close();
      this.#turn = performance.now();
    }
  }

  async #ready(): Promise<void> {
    const { signal } = this.#waking;
    try {
      await this.#ring.ready(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #wake(): void {
    this.#waking.abort();
    this.#waking = new AbortController();
  }

  #ended(): IteratorResult<Frame, undefined> {
    const abortion = this.#abortion;
    this.#abortion = undefined;
    if (abortion) throw abortion.reason;
    return DONE;
  }

  statistics(): CaptureStatistics {
    return this.#ring.counts();
  }

  stop(): void {
    if (this.#closed || this.#last) return;
    this.#ring.stop(this.#what);
    this.#last = true;
    this.#wake();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#forget();
    this.#wake();
    this.#ring.close();
  }

  return(): Promise<IteratorResult<Frame, undefined>> {
    this.close();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
