/**
 * The objects of a topology under construction: nodes, interfaces and wires that know each other.
 *
 * @module
 */
import type { ExistingNetns, ResolvedInterfaceKind, ResolvedNodeKind } from "./resolved.ts";
import type { Path } from "./rules.ts";
import type {
  DirectedImpairSpec,
  InterfaceSpec,
  NodeSpec,
  TopologySpec,
  WireOptions,
} from "./spec.ts";

/** The bridge of a switch. */
export const SWITCH_BRIDGE = "br0";

/** A topology under construction. */
export interface Draft {
  readonly spec: TopologySpec;
  /** By name, in name order. */
  readonly nodes: ReadonlyMap<string, DraftNode>;
  readonly wires: readonly DraftWire[];
}

/** A node under construction. */
export interface DraftNode {
  readonly name: string;
  readonly kind: ResolvedNodeKind;
  /** What it has and inherits. */
  readonly spec: NodeSpec;
  /** What it has itself. */
  readonly own: NodeSpec;
  readonly path: Path;
  readonly netns?: ExistingNetns;
  /** The name of the segment that this switch stands for. */
  readonly segment?: string;
  readonly ports: Map<string, DraftPort>;
}

/** An interface under construction. */
export interface DraftPort {
  readonly node: DraftNode;
  readonly name: string;
  readonly kind: ResolvedInterfaceKind;
  /** The wire that it is an end of. */
  readonly wire?: DraftWire;
  spec: InterfaceSpec;
  path: Path;
  /** The bridge that it is a port of. */
  master?: string;
  /** The interface below it. */
  parent?: DraftPort;
}

/** A wire under construction; its ends are in the order of the file. */
export interface DraftWire {
  readonly options: WireOptions;
  readonly impair: DirectedImpairSpec;
  readonly path: Path;
  /** Set when the interfaces have names. */
  ends: readonly [DraftPort, DraftPort];
}

/** Whether the lab creates the node, and so owns all that is in it. */
export function isOwn({ kind }: DraftNode): boolean {
  return kind !== "netns" && kind !== "host-machine";
}

/** Whether netloom added the node: it stands for the outside of a NAT, or for the machine. */
export function isOutside({ name }: DraftNode): boolean {
  return name.startsWith("@");
}

/** The name of an interface with that of its node. */
export function endpointOf({ node, name }: DraftPort): `${string}:${string}` {
  return `${node.name}:${name}`;
}
