/**
 * The living part of a lab: commands of nodes, schedules, and faults in force. In a lab without a name this process
 * has it, in one with a name the keeper.
 *
 * @module
 */
import { FaultControl } from "./fault_control.ts";
import type { Keeper } from "./keeper_client.ts";
import { outputOf } from "./logs.ts";
import { LabNode } from "./node.ts";
import type { LabNodes } from "./nodes.ts";
import { NodeProcesses, type ProcessOptions, type StartOptions } from "./processes.ts";
import type { ResolvedEvent, ResolvedFault, ResolvedTopology } from "./resolved.ts";
import { type Schedule, type ScheduleEntry, ScheduleRunner, type Undo } from "./schedule.ts";

/** What a handle of a lab needs of its living part. */
export interface LabActivity {
  /** Its faults. */
  readonly faults: FaultControl;
  /** The schedule of its topology; `undefined` without one. */
  readonly schedule: Schedule | undefined;
  /** The output of a node's commands so far. */
  output(node: string): string;
  /** Starts one more schedule. */
  play(events: readonly ResolvedEvent[]): Schedule;
  /** Ends what the handle has to end. */
  stop(): Promise<void>;
}

/** How an activity is kept. */
export interface ActivityOptions {
  /** How the commands of a node are started. */
  readonly process?: (node: string) => ProcessOptions;
  /** Sees what schedules do. */
  readonly noted?: (entry: ScheduleEntry) => void;
}

/** The living part of a lab, in this process. */
export class Activity implements LabActivity {
  readonly faults: FaultControl;
  readonly #nodes: LabNodes;
  readonly #options: ActivityOptions;
  readonly #handles = new Map<string, LabNode>();
  readonly #processes = new Map<string, NodeProcesses>();
  readonly #played: ScheduleRunner[] = [];
  #schedule: { readonly key: string; readonly runner: ScheduleRunner } | undefined;

  /** Starts nothing yet. */
  constructor(topology: ResolvedTopology, nodes: LabNodes, options: ActivityOptions = {}) {
    this.#nodes = nodes;
    this.#options = options;
    this.faults = new FaultControl(topology, nodes);
  }

  get schedule(): ScheduleRunner | undefined {
    return this.#schedule?.runner;
  }

  /** Whether something of it ends with this process; of what is over, output and logs do. */
  get isBusy(): boolean {
    return this.faults.isBusy || this.#processes.size + this.#played.length > 0 ||
      this.#schedule !== undefined;
  }

  /** A schedule by its number: that of the topology is 0, then come those of {@link Activity.play}. */
  scheduleAt(number: number): ScheduleRunner | undefined {
    return number === 0 ? this.schedule : this.#played[number - 1];
  }

  output(node: string): string {
    return this.#processes.get(node)?.output ?? "";
  }

  play(events: readonly ResolvedEvent[]): ScheduleRunner {
    return this.scheduleAt(this.start(events))!;
  }

  /** As {@link Activity.play}; the number of the schedule. */
  start(events: readonly ResolvedEvent[]): number {
    return this.#played.push(this.#run(events));
  }

  #run(events: readonly ResolvedEvent[]): ScheduleRunner {
    const apply = (fault: ResolvedFault): Undo => this.faults.apply(fault);
    return new ScheduleRunner(events, { apply, noted: this.#options.noted });
  }

  /**
   * Ends what belongs to nodes and wires that a topology does not have.
   *
   * @param target The topology.
   */
  async leave(target: ResolvedTopology): Promise<void> {
    const stays = new Set(target.nodes.filter(({ run }) => run.length > 0).map(({ name }) => name));
    const leaving = [...this.#processes].filter(([name]) => !stays.has(name));
    await Promise.all(leaving.map(([, it]) => it.stop()));
    for (const [name] of leaving) {
      this.#processes.delete(name);
      this.#handles.get(name)?.release();
      this.#handles.delete(name);
    }
    this.faults.follow(target);
  }

  /**
   * Brings commands and schedule to a topology, and waits until all commands are ready.
   *
   * @throws {LabError} When a command is not ready in its time.
   */
  async converge(topology: ResolvedTopology, options: StartOptions = {}): Promise<void> {
    await this.leave(topology);
    const busy = topology.nodes.filter(({ run }) => run.length > 0);
    const starts = await Promise.allSettled(busy.map(({ name }) => {
      this.#handles.get(name)?.release();
      const node = new LabNode(name, topology, this.#nodes);
      this.#handles.set(name, node);
      let processes = this.#processes.get(name);
      if (!processes) {
        processes = new NodeProcesses(this.#options.process?.(name));
        this.#processes.set(name, processes);
      }
      return processes.converge(node, options);
    }));
    for (const result of starts) if (result.status === "rejected") throw result.reason;
    this.#converge(topology.schedule);
  }

  /** A schedule that stays the same goes on. */
  #converge(events: readonly ResolvedEvent[]): void {
    const key = JSON.stringify(events);
    if (this.#schedule?.key === key) return;
    this.#schedule?.runner.cancel();
    this.#schedule = events.length === 0 ? undefined : { key, runner: this.#run(events) };
  }

  /** Ends schedules, flapping, holds, impairments, and all commands. */
  async stop(): Promise<void> {
    for (const runner of [this.schedule, ...this.#played]) runner?.stop();
    this.faults.stop();
    await Promise.all([...this.#processes.values()].map((it) => it.stop()));
    for (const handle of this.#handles.values()) handle.release();
  }
}

/** The living part of a lab with a name, which its keeper has. */
export class KeptActivity implements LabActivity {
  readonly faults: FaultControl;
  readonly #keeper: Keeper;

  /** For a handle. */
  constructor(topology: ResolvedTopology, nodes: LabNodes, keeper: Keeper) {
    this.faults = new FaultControl(topology, nodes, keeper);
    this.#keeper = keeper;
  }

  get schedule(): Schedule | undefined {
    if (!this.#keeper.isRunning || !this.#keeper.call("played", 0)) return undefined;
    return new KeptSchedule(this.#keeper, 0);
  }

  output(node: string): string {
    return outputOf(this.#keeper.lab, node);
  }

  play(events: readonly ResolvedEvent[]): Schedule {
    this.#keeper.start();
    return new KeptSchedule(this.#keeper, this.#keeper.call("play", events));
  }

  /** The keeper goes on. */
  stop(): Promise<void> {
    return Promise.resolve();
  }
}

/** A schedule that a keeper runs. */
class KeptSchedule implements Schedule {
  readonly #keeper: Keeper;
  readonly #number: number;
  #done: Promise<void> | undefined;

  constructor(keeper: Keeper, number: number) {
    this.#keeper = keeper;
    this.#number = number;
  }

  get log(): readonly ScheduleEntry[] {
    const log = this.#keeper.call("played", this.#number) ?? [];
    return log.map((entry) => ({ ...entry, time: new Date(entry.time) }));
  }

  get done(): Promise<void> {
    return this.#done ??= this.#keeper.ask("over", [this.#number]);
  }

  stop(): void {
    this.#keeper.call("stop", this.#number);
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}
