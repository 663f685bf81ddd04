/**
 * The part of a lab that lives in this process: commands of nodes, the schedule, and faults in force.
 *
 * @module
 */
import { FaultControl } from "./fault_control.ts";
import { LabNode } from "./node.ts";
import type { LabNodes } from "./nodes.ts";
import { NodeProcesses } from "./processes.ts";
import type { ResolvedTopology } from "./resolved.ts";
import { Schedule } from "./schedule.ts";

/** The commands, faults and schedule of a running lab. */
export class Activity {
  /** Its faults. */
  readonly faults: FaultControl;
  /** The commands of its nodes, by node. */
  readonly processes: ReadonlyMap<string, NodeProcesses>;
  /** Its schedule, from {@link Activity.start} on; `undefined` without one. */
  schedule: Schedule | undefined;
  readonly #topology: ResolvedTopology;
  readonly #handles: readonly LabNode[];

  /** Starts nothing yet. */
  constructor(topology: ResolvedTopology, nodes: LabNodes) {
    this.#topology = topology;
    this.faults = new FaultControl(topology, nodes);
    this.#handles = topology.nodes.filter(({ run }) => run.length > 0)
      .map(({ name }) => new LabNode(name, topology, nodes));
    this.processes = new Map(this.#handles.map((node) => [node.name, new NodeProcesses(node)]));
  }

  /**
   * Starts the commands of all nodes, waits until they are ready, and starts the schedule.
   *
   * @throws {LabError} When a command is not ready in its time; all are ended then.
   */
  async start(signal: AbortSignal | undefined): Promise<void> {
    const { nodes, schedule } = this.#topology;
    const starts = await Promise.allSettled(
      [...this.processes].map(([name, processes]) =>
        processes.start(nodes.find((it) => it.name === name)!.run, signal)
      ),
    );
    for (const result of starts) if (result.status === "rejected") throw result.reason;
    if (schedule.length > 0) {
      this.schedule = new Schedule(schedule, (fault) => this.faults.apply(fault));
    }
  }

  /** Ends the schedule, flapping, and all commands. */
  async stop(): Promise<void> {
    this.schedule?.stop();
    this.faults.stop();
    await Promise.all([...this.processes.values()].map((it) => it.stop()));
    for (const handle of this.#handles) handle.release();
  }
}
