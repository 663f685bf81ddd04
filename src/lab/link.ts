/**
 * A wire of a running lab, seen from one end.
 *
 * @module
 */
import { Link } from "../link/link.ts";
import { Impairment } from "../traffic/impair.ts";
import type { ImpairOptions } from "../traffic/impairment_values.ts";
import type { FaultControl } from "./fault_control.ts";
import { impairTarget, type WireState } from "./impairments.ts";
import type { LabNodes } from "./nodes.ts";
import type { Veth } from "../link/veth.ts";
import { endOf } from "./difference.ts";
import type { LabNode } from "./node.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import type { Endpoint } from "./resolved.ts";

/** Options of a cut. */
export interface CutOptions {
  /** Only the packets that the first end sends are lost, not those that it receives. Default: false. */
  readonly oneWay?: boolean;
}

const CUT: OptionNames<CutOptions> = { oneWay: true };

/** The lab that a wire belongs to. */
export interface LinkContext {
  /** A node. */
  readonly node: (name: string) => LabNode;
  /** The namespaces. */
  readonly nodes: LabNodes;
  /** The faults. */
  readonly faults: FaultControl;
}

/**
 * A wire of a running lab, seen from one end.
 *
 * @example A slow wire, and a cut one
 * ```ts
 * import { up } from "@netloom/netloom/lab";
 * import { assertEquals } from "@std/assert";
 *
 * await using lab = await up({ nodes: { a: {}, b: {} }, links: ["a -- b"] });
 * const wire = lab.link("a", "b");
 * wire.impair({ rate: "10mbit" });
 * wire.cut();
 * assertEquals((await lab.node("a").ping("b", { timeout: 100 })).received, 0);
 * wire.heal();
 * assertEquals((await lab.node("a").ping("b")).received, 1);
 * ```
 */
export class LabLink {
  /** Its ends; the handle is about the first one. */
  readonly ends: readonly [Endpoint, Endpoint];
  readonly #lab: LinkContext;
  readonly #handles: (Veth | undefined)[] = [];

  /** Use `lab.link()`. */
  constructor(ends: readonly [Endpoint, Endpoint], lab: LinkContext) {
    this.ends = ends;
    this.#lab = lab;
  }

  /** Whether it is cut, in one direction at least. */
  get isCut(): boolean {
    const { cut } = this.#lab.faults;
    return this.ends.some((end) => cut.has(end));
  }

  /**
   * Cuts the wire: packets are lost, also those of established connections, and both ends keep their carrier
   * and addresses. It is in force when the call returns, and outlives the process in a lab with a name.
   *
   * @param options One direction only.
   */
  cut(options: CutOptions = {}): void {
    checkOptions(options, CUT);
    this.#lab.faults.cutAt(options.oneWay ? [this.ends[1]] : this.ends);
  }

  /** Ends a cut, in both directions. */
  heal(): void {
    this.#lab.faults.healAt(this.ends);
  }

  /**
   * Impairs the wire, as {@link Link.impair} does: `out` is what the first end sends. In a lab with a name it
   * outlives this process: what the kernel cannot do, the lab's keeper does.
   *
   * @param options Values for both directions, and in `out` and `in` for one; `null` takes everything off.
   * @returns The impairment; for `null` the number of packets that were lost by taking it off.
   */
  impair(options: ImpairOptions): Impairment;
  /** Takes all impairments off. */
  impair(options: null): number;
  impair(options: ImpairOptions | null): Impairment | number {
    const { faults } = this.#lab;
    if (options === null) return faults.clear(this.ends);
    return new WireImpairment(this, this.#lab, faults.impair(this.ends, options));
  }

  /** The impairment of the wire; `undefined` without one. */
  impairment(): Impairment | undefined {
    const state = this.#lab.faults.impairment(this.ends);
    return state && new WireImpairment(this, this.#lab, state);
  }

  /**
   * Holds the frames of the wire, in both directions, until {@link LabLink.release}. At most 10,000 wait; further
   * ones are lost. It is in force when the call returns. In a lab with a name the keeper holds them.
   *
   * @throws {NetlinkError} When the kernel lacks a part.
   *
   * @example A ping that waits
   * ```ts
   * import { up } from "@netloom/netloom/lab";
   * import { assertEquals } from "@std/assert";
   *
   * await using lab = await up({ nodes: { a: {}, b: {} }, links: ["a -- b"] });
   * const wire = lab.link("a", "b");
   * wire.hold();
   * assertEquals((await lab.node("a").ping("b", { timeout: 100 })).received, 0);
   * wire.release();
   * assertEquals((await lab.node("a").ping("b")).received, 1);
   * ```
   */
  hold(): void {
    this.#lab.faults.hold([this.ends]);
  }

  /**
   * Lets the frames go that are held, in their order, and holds no more.
   *
   * @returns How many were held; frames that have come just now go, too, and may be missing in it.
   */
  release(): number {
    return this.#lab.faults.release([this.ends]);
  }

  /** The link at the first end; a borrowed handle, which the lab closes. */
  get link(): Veth {
    return this.#handle(0);
  }

  /** The link at the other end; a borrowed handle, which the lab closes. */
  get peer(): Veth {
    return this.#handle(1);
  }

  #handle(at: 0 | 1): Veth {
    const { node, name } = endOf(this.ends[at]);
    return this.#handles[at] ??= Link.get(name, { netns: this.#lab.node(node).netns }) as Veth;
  }

  /** Closes the handles. */
  close(): void {
    for (const handle of this.#handles.splice(0)) handle?.[Symbol.dispose]();
  }
}

/** The impairment of a wire, which the process or the keeper of its lab has. */
class WireImpairment extends Impairment {
  readonly #ends: LabLink["ends"];
  readonly #faults: FaultControl;

  constructor({ ends }: LabLink, { faults, nodes }: LinkContext, state: WireState) {
    super(impairTarget(ends, nodes), state, state.lost);
    this.#ends = ends;
    this.#faults = faults;
  }

  override get stats(): Impairment["stats"] {
    return this.#faults.impairment(this.#ends)?.stats ?? {};
  }

  override clear(): number {
    return this.#faults.clear(this.#ends);
  }
}
