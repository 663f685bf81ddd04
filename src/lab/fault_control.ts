/**
 * Faults of a running lab: in force when the call returns, and undone one by one.
 *
 * Cuts and partitions are in the kernel. What user space does for a lab with a name, its keeper does: this
 * process asks it then.
 *
 * @module
 */
import { connectionTo } from "../netlink/connections.ts";
import { deleteNeighbor, dumpNeighbors } from "../rtnetlink/neighbor.ts";
import { UnsupportedError } from "../rtnetlink/unsupported.ts";
import { clear, impair, impairment, type ImpairTarget } from "../traffic/impair.ts";
import type { ImpairOptions } from "../traffic/impairment_values.ts";
import { Intercept } from "../traffic/intercept.ts";
import type { InterceptedFrame } from "../traffic/user/frame.ts";
import { holders } from "../scope/namespaces.ts";
import { processId } from "../../ffi/file.ts";
import { show } from "../options.ts";
import { cutEnds, groups, type Partition, setCut, setPartition } from "./cuts.ts";
import { type Impairer, impairOptions, impairTarget, type WireState } from "./impairments.ts";
import type { Keeper } from "./keeper_client.ts";
import type { LabNodes } from "./nodes.ts";
import { signalSeen } from "./processes.ts";
import type { Endpoint, ResolvedFault, ResolvedTopology, WireEnds } from "./resolved.ts";
import type { Undo } from "./schedule.ts";
import { endOf } from "./difference.ts";

const NOTHING: Undo = () => {};

/** Frames of a wire that may be held at a time; further ones are lost. */
const MOST_HELD = 10_000;

/** A wire that is held. */
interface Held {
  readonly target: ImpairTarget;
  readonly intercept: Intercept;
}

/** Sets and undoes the faults of a lab. */
export class FaultControl implements Impairer {
  #topology: ResolvedTopology;
  readonly #nodes: LabNodes;
  readonly #keeper: Keeper | undefined;
  /** The wires that flap, with what ends it; those that this process holds; those that it impairs. */
  readonly #flaps = new Map<string, Undo>();
  readonly #holds = new Map<string, Held>();
  readonly #impaired = new Map<string, ImpairTarget>();

  /**
   * For a lab that runs.
   *
   * @param keeper Does what user space has to do, in a lab that outlives this process.
   */
  constructor(topology: ResolvedTopology, nodes: LabNodes, keeper?: Keeper) {
    this.#topology = topology;
    this.#nodes = nodes;
    this.#keeper = keeper;
  }

  /** Whether a fault ends with this process. */
  get isBusy(): boolean {
    return this.#flaps.size + this.#holds.size + this.#impaired.size > 0;
  }

  /** Follows the lab to a topology: the faults of wires that are gone, or others by now, end. */
  follow(topology: ResolvedTopology): void {
    this.#topology = topology;
    const wires = new Set(topology.wires.map(({ ends }) => keyOf(ends)));
    for (const [key, stop] of this.#flaps) if (!wires.has(key)) stop();
    const stays = (key: string, { link }: ImpairTarget) => {
      if (!wires.has(key) || link.ref.fd.closed) return false;
      const { node } = endOf(key.split(",")[0] as Endpoint);
      return this.#nodes.living(node)?.links.get(link.name)?.index === link.index;
    };
    for (const [key, { target, intercept }] of this.#holds) {
      if (stays(key, target)) continue;
      intercept.close();
      this.#holds.delete(key);
    }
    for (const [key, target] of this.#impaired) {
      if (stays(key, target)) continue;
      if (!target.link.ref.fd.closed) clear(target);
      this.#impaired.delete(key);
    }
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
    if (this.#keeper?.isRunning) return this.#keeper.call("heal");
    for (const stop of [...this.#flaps.values()]) stop();
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
   * Cuts and heals wires in turn, beginning with a cut. Undoing ends it and heals them.
   *
   * @param wires The wires.
   * @param every Milliseconds between two changes.
   */
  flap(wires: readonly WireEnds[], every: number): Undo {
    const keeper = this.#keeper;
    if (keeper) {
      keeper.start();
      keeper.call("flap", wires, every);
      return () => {
        if (keeper.isRunning) keeper.call("unflap", wires);
      };
    }
    for (const wire of wires) this.#flap(wire, every);
    return () => this.unflap(wires);
  }

  #flap(wire: WireEnds, every: number): void {
    const key = keyOf(wire);
    this.#flaps.get(key)?.();
    let isCut = true;
    setCut(wire, true, this.#nodes);
    const timer = setInterval(() => setCut(wire, isCut = !isCut, this.#nodes), every);
    this.#flaps.set(key, () => {
      clearInterval(timer);
      this.#flaps.delete(key);
      this.healAt(wire);
    });
  }

  /** Ends the flapping of wires, and heals them. */
  unflap(wires: readonly WireEnds[]): void {
    for (const wire of wires) this.#flaps.get(keyOf(wire))?.();
  }

  /**
   * Holds the frames of wires, in both directions, until {@link FaultControl.release}, which is the undo. Of a
   * wire at most 10,000 frames wait; further ones are lost.
   *
   * @throws {NetlinkError} When the kernel lacks a part.
   */
  hold(wires: readonly WireEnds[]): Undo {
    if (this.#keeper) {
      this.#keeper.start();
      this.#keeper.call("hold", wires);
    } else {
      for (const wire of wires) {
        if (this.#holds.has(keyOf(wire))) continue;
        const target = this.#target(wire);
        const hold = (frame: InterceptedFrame) => frame.hold();
        const intercept = new Intercept(target.link, hold, { limit: MOST_HELD });
        this.#holds.set(keyOf(wire), { target, intercept });
      }
    }
    return () => this.release(wires);
  }

  /** Lets the frames of wires go that are held, in their order, and holds no more. Returns how many. */
  release(wires: readonly WireEnds[]): number {
    if (this.#keeper) return this.#keeper.isRunning ? this.#keeper.call("release", wires) : 0;
    let count = 0;
    for (const wire of wires) {
      const { intercept } = this.#holds.get(keyOf(wire)) ?? {};
      count += intercept?.stats.waiting ?? 0;
      intercept?.close();
      this.#holds.delete(keyOf(wire));
    }
    return count;
  }

  /** Ends flapping, and lets held frames go. Impairments end with the namespaces, or with this process. */
  stop(): void {
    for (const stop of [...this.#flaps.values()]) stop();
    for (const { intercept } of this.#holds.values()) intercept.close();
    this.#holds.clear();
  }

  /** Sends a signal to the processes of nodes. */
  signal(nodes: readonly string[], signal: Deno.Signal): void {
    for (const node of nodes) {
      if (!this.#nodes.owns(node)) {
        throw new TypeError(`Node ${show(node)} is not the lab's: its processes are left alone`);
      }
      for (const pid of holders(this.#nodes.ref(node))) {
        if (pid !== processId()) signalSeen(pid, signal);
      }
    }
  }

  impair(ends: WireEnds, options: ImpairOptions): WireState {
    const keeper = this.#keeper;
    if (!keeper) return this.#impair(ends, options);
    if (!keeper.isRunning && options.engine !== "user") {
      try {
        return this.#impair(ends, { ...options, engine: "kernel" });
      } catch (error) {
        if (!(error instanceof UnsupportedError) || options.engine === "kernel") throw error;
      }
    }
    if (options.scope) throw new TypeError("scope: an impairment by the keeper ends with no scope");
    keeper.start();
    return keeper.call("impair", ends, options);
  }

  #impair(ends: WireEnds, options: ImpairOptions): WireState {
    const { engine, values, lost } = impair(impairTarget(ends, this.#nodes), options);
    if (engine === "user" && (values.out || values.in)) {
      this.#impaired.set(keyOf(ends), this.#target(ends));
    } else this.#impaired.delete(keyOf(ends));
    return { engine, values, lost, stats: {} };
  }

  /** The end that is first in name order, whichever the caller has named first. */
  #target([a, b]: WireEnds): ImpairTarget {
    return impairTarget(a < b ? [a, b] : [b, a], this.#nodes);
  }

  clear(ends: WireEnds): number {
    if (this.#keeper?.isRunning) return this.#keeper.call("clear", ends);
    const lost = clear(impairTarget(ends, this.#nodes));
    this.#impaired.delete(keyOf(ends));
    return lost;
  }

  impairment(ends: WireEnds): WireState | undefined {
    if (this.#keeper?.isRunning) return this.#keeper.call("impairment", ends);
    const state = impairment(impairTarget(ends, this.#nodes));
    if (!state) return undefined;
    const { engine, values, lost, stats } = state;
    return { engine, values, lost, stats };
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
        return this.#change(fault);
      case "hold":
        return this.hold(fault.wires);
      case "release":
        this.release(fault.wires);
        return NOTHING;
    }
  }

  #change({ changes }: Extract<ResolvedFault, { kind: "impair" }>): Undo {
    const undo = changes.map(({ ends, impair: values }) => {
      const before = this.impairment(ends)?.values;
      this.impair(ends, impairOptions(values, false));
      return () => {
        if (before) this.impair(ends, { ...before, replace: true });
        else this.clear(ends);
      };
    });
    return () => undo.reverse().forEach((it) => it());
  }
}

/** A wire, whichever of its ends comes first. */
function keyOf(ends: WireEnds): string {
  return [...ends].sort().join();
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
