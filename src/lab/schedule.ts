/**
 * The runner of a schedule: faults at fixed times, with a log from which a run can be replayed.
 *
 * @module
 */
import type { ResolvedEvent, ResolvedFault } from "./resolved.ts";

/** Takes a fault back. */
export type Undo = () => void;

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

/** A schedule that runs, in this process or in the keeper of a lab. */
export interface Schedule extends Disposable {
  /** What was done so far. */
  readonly log: readonly ScheduleEntry[];
  /** Resolves when the last fault has begun, and all those with a duration have ended, or at the stop. */
  readonly done: Promise<void>;
  /** Ends the schedule; faults that have begun stay. */
  stop(): void;
}

/** A change at a fixed time. */
interface Due {
  readonly due: number;
  readonly run: () => void;
  /** It ends a fault. */
  readonly isEnd: boolean;
}

/** Runs the events of a schedule in this process. */
export class ScheduleRunner implements Schedule {
  readonly log: ScheduleEntry[] = [];
  readonly done: Promise<void>;
  readonly #apply: (fault: ResolvedFault) => Undo;
  readonly #noted: (entry: ScheduleEntry) => void;
  readonly #finish: () => void;
  readonly #start = performance.now();
  #queue: Due[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Starts the schedule now.
   *
   * @param events The events.
   * @param apply Sets a fault.
   * @param noted Sees each line of the log.
   */
  constructor(
    events: readonly ResolvedEvent[],
    { apply, noted = () => {} }: {
      readonly apply: (fault: ResolvedFault) => Undo;
      readonly noted?: ((entry: ScheduleEntry) => void) | undefined;
    },
  ) {
    this.#apply = apply;
    this.#noted = noted;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#finish = resolve;
    for (const event of events) this.#add(event.at, () => this.#begin(event), false);
    this.#next();
  }

  #add(due: number, run: () => void, isEnd: boolean): void {
    this.#queue.push({ due, run, isEnd });
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
    this.#add(due, () => this.#note({ due, action: "end", fault }, undo!), true);
  }

  #note(entry: Pick<ScheduleEntry, "due" | "action" | "fault">, step: () => void): void {
    const at = performance.now() - this.#start;
    const time = new Date();
    const line = (error?: unknown): ScheduleEntry =>
      error === undefined ? { ...entry, at, time } : { ...entry, at, time, error };
    try {
      step();
      this.log.push(line());
    } catch (error) {
      this.log.push(line(error));
    }
    this.#noted(this.log.at(-1)!);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
    this.#finish();
  }

  /** Ends the schedule, and now the faults that would end later. */
  cancel(): void {
    const ends = this.#queue.filter(({ isEnd }) => isEnd);
    this.stop();
    for (const { run } of ends) run();
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}
