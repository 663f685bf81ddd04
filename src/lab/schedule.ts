/**
 * The runner of a schedule: faults at fixed times, with a log from which a run can be replayed.
 *
 * @module
 */
import type { Undo } from "./fault_control.ts";
import type { ResolvedEvent, ResolvedFault } from "./resolved.ts";

/** A line of the log of a schedule. */
export interface ScheduleEntry {
  /** Milliseconds after the start at which it was due. */
  readonly due: number;
  /** Milliseconds after the start at which it was done. */
  readonly at: number;
  /** The time of the clock. */
  readonly time: Date;
  /** Whether the fault began or ended. */
  readonly action: "begin" | "end";
  /** The fault, with the seeds of its impairments. */
  readonly fault: ResolvedFault;
  /** The reason why it could not be done. */
  readonly error?: unknown;
}

/** A change at a fixed time. */
interface Due {
  readonly due: number;
  readonly run: () => void;
}

/** Runs the events of a schedule. */
export class Schedule implements Disposable {
  /** What was done so far. */
  readonly log: ScheduleEntry[] = [];
  /** Resolves when the last fault has begun, and all those with a duration have ended, or at the stop. */
  readonly done: Promise<void>;
  readonly #apply: (fault: ResolvedFault) => Undo;
  readonly #finish: () => void;
  readonly #start = performance.now();
  #queue: Due[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Starts the schedule now.
   *
   * @param events The events.
   * @param apply Sets a fault.
   */
  constructor(events: readonly ResolvedEvent[], apply: (fault: ResolvedFault) => Undo) {
    this.#apply = apply;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#finish = resolve;
    for (const event of events) this.#add(event.at, () => this.#begin(event));
    this.#next();
  }

  #add(due: number, run: () => void): void {
    this.#queue.push({ due, run });
    // Stable: faults of one time keep the order of the file.
    this.#queue.sort((a, b) => a.due - b.due);
  }

  #next(): void {
    const [first] = this.#queue;
    if (!first) return this.#finish();
    const wait = Math.max(first.due - (performance.now() - this.#start), 0);
    this.#timer = setTimeout(() => {
      this.#queue.shift();
      first.run();
      this.#next();
    }, wait);
  }

  #begin({ at, for: duration, fault }: ResolvedEvent): void {
    let undo: Undo | undefined;
    this.#note({ due: at, action: "begin", fault }, () => void (undo = this.#apply(fault)));
    if (duration === undefined || !undo) return;
    const due = at + duration;
    this.#add(due, () => this.#note({ due, action: "end", fault }, undo!));
  }

  #note(entry: Pick<ScheduleEntry, "due" | "action" | "fault">, step: () => void): void {
    const at = performance.now() - this.#start;
    const time = new Date();
    try {
      step();
      this.log.push({ ...entry, at, time });
    } catch (error) {
      this.log.push({ ...entry, at, time, error });
    }
  }

  /** Ends the schedule; faults that have begun stay. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
    this.#finish();
  }

  /** Same as {@link Schedule.stop}. */
  [Symbol.dispose](): void {
    this.stop();
  }
}
