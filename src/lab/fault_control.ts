/**
 * Faults of a running lab: in force when the call returns, and undone one by one.
 *
 * @module
 */
import { connectionTo } from "../netlink/connections.ts";
import { deleteNeighbor, dumpNeighbors } from "../rtnetlink/neighbor.ts";
import { clear, impair, impairment } from "../traffic/impair.ts";
import { holders } from "../scope/removal.ts";
import { processId } from "../../ffi/file.ts";
import { show } from "../options.ts";
import { cutEnds, groups, type Partition, setCut, setPartition } from "./cuts.ts";
import { impairOptions, impairTarget } from "./impairments.ts";
import type { LabNodes } from "./nodes.ts";
import type { Endpoint, ResolvedFault, ResolvedTopology, WireEnds } from "./resolved.ts";
import { endOf } from "./difference.ts";
import { LabError } from "./transaction.ts";

/** Takes a fault back. */
export type Undo = () => void;

const NOTHING: Undo = () => {};

/** Sets and undoes the faults of a lab. */
export class FaultControl {
  readonly #topology: ResolvedTopology;
  readonly #nodes: LabNodes;
  readonly #timers = new Set<Undo>();

  /** For a lab that runs. */
  constructor(topology: ResolvedTopology, nodes: LabNodes) {
    this.#topology = topology;
    this.#nodes = nodes;
  }

  /** A lab with a name outlives this process. */
  get #engine(): { readonly engine?: "kernel" } {
    return this.#topology.name === undefined ? {} : { engine: "kernel" };
  }

  /** The ends of wires that receive nothing, because they are cut. */
  get cut(): ReadonlySet<string> {
    return cutEnds(this.#topology, this.#nodes);
  }

  /** Lets ends receive nothing. Undoing heals those that were not cut before. */
  cutAt(ends: readonly Endpoint[]): Undo {
    const before = this.cut;
    const fresh = ends.filter((end) => !before.has(end));
    setCut(fresh, true, this.#nodes);
    return () => this.healAt(fresh);
  }

  /** Lets ends receive everything again. */
  healAt(ends: readonly Endpoint[]): void {
    setCut(ends, false, this.#nodes);
    forgetFailures(this.#nodes);
  }

  /** Ends all cuts, partitions and flapping. */
  healAll(): void {
    this.stop();
    this.healAt([...this.cut] as Endpoint[]);
    this.partition({});
    forgetFailures(this.#nodes);
  }

  /** Puts a partition in place of the one before. Undoing ends it. */
  partition(partition: Partition): Undo {
    setPartition(partition, this.#topology, this.#nodes);
    return () => {
      setPartition({}, this.#topology, this.#nodes);
      forgetFailures(this.#nodes);
    };
  }

  /** The ends of all wires of nodes, at both sides. */
  endsOf(nodes: readonly string[]): Endpoint[] {
    return this.#topology.wires.map(({ ends }) => ends)
      .filter((ends) => ends.some((end) => nodes.includes(endOf(end).node))).flat();
  }

  /**
   * Cuts and heals wires in turn, beginning with a cut.
   *
   * @param wires The wires.
   * @param every Milliseconds between two changes.
   */
  flap(wires: readonly WireEnds[], every: number): Undo {
    const ends = wires.flat();
    let isCut = true;
    setCut(ends, true, this.#nodes);
    const timer = setInterval(() => setCut(ends, isCut = !isCut, this.#nodes), every);
    const stop = () => {
      if (!this.#timers.delete(stop)) return;
      clearInterval(timer);
      this.healAt(ends);
    };
    this.#timers.add(stop);
    return stop;
  }

  /** Ends flapping. */
  stop(): void {
    for (const stop of [...this.#timers]) stop();
  }

  /** Sends a signal to the processes of nodes. */
  signal(nodes: readonly string[], signal: Deno.Signal): void {
    for (const node of nodes) {
      if (!this.#nodes.owns(node)) {
        throw new TypeError(`Node ${show(node)} is not the lab's: its processes are left alone`);
      }
      for (const pid of holders(this.#nodes.ref(node))) {
        if (pid !== processId()) kill(pid, signal);
      }
    }
  }

  /** Sets a fault of a schedule. */
  apply(fault: ResolvedFault): Undo {
    switch (fault.kind) {
      case "cut":
        return this.cutAt(fault.wires.flat());
      case "heal":
        this.healAt(fault.wires.flat());
        return NOTHING;
      case "flap":
        return this.flap(fault.wires, fault.every);
      case "partition":
        return this.partition(groups(...fault.groups));
      case "isolate":
        return this.cutAt(this.endsOf(fault.nodes));
      case "pause":
        this.signal(fault.nodes, "SIGSTOP");
        return () => this.signal(fault.nodes, "SIGCONT");
      case "kill":
        this.signal(fault.nodes, "SIGKILL");
        return NOTHING;
      case "impair":
        return this.#impair(fault);
      case "hold":
      case "release":
        throw new LabError(`${fault.kind}: nothing in this process holds frames yet`);
    }
  }

  #impair({ changes }: Extract<ResolvedFault, { kind: "impair" }>): Undo {
    const undo = changes.map(({ ends, impair: values }) => {
      const target = impairTarget(ends, this.#nodes);
      const before = impairment(target)?.values;
      impair(target, { ...impairOptions(values, false), ...this.#engine });
      return () => {
        if (before) impair(target, { ...before, replace: true, ...this.#engine });
        else clear(target);
      };
    });
    return () => undo.reverse().forEach((it) => it());
  }
}

/**
 * Deletes the neighbors that did not answer: otherwise the kernel asks them again up to a second later, and
 * keeps packets until then.
 */
function forgetFailures(nodes: LabNodes): void {
  for (const node of nodes.names()) {
    if (!nodes.owns(node)) continue;
    const connection = connectionTo(nodes.ref(node));
    const failed = connection.dump(dumpNeighbors()).filter(({ state }) =>
      state === "failed" || state === "incomplete"
    );
    // One may be gone, or known by now.
    connection.batch(failed.map(deleteNeighbor));
  }
}

/** A process that has ended meanwhile is no error. */
function kill(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
