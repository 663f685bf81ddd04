/**
 * A topology with its ranges, inheritance and short forms expanded: nodes, interfaces and wires as
 * objects that know each other. References are checked here.
 *
 * @module
 */
import { nearest, show } from "../options.ts";
import { type InheritedNode, inheritedNodes } from "./inherit.ts";
import { addInterfaces } from "./interfaces.ts";
import { byName, digits, interfaceTo, namesIn } from "./names.ts";
import type { Problems } from "./problem.ts";
import { type Draft, type DraftNode, type DraftPort, type DraftWire, isOwn } from "./model.ts";
import type { ExistingNetns } from "./resolved.ts";
import type { Path } from "./rules.ts";
import type {
  AttachmentSpec,
  DirectedImpairSpec,
  EndpointSpec,
  ImpairSpec,
  InterfaceSpec,
  LinkSpec,
  NodeSpec,
  SegmentSpec,
  TopologySpec,
  WireOptions,
} from "./spec.ts";

/** One end of a wire that has no interface yet. */
interface DraftEnd {
  readonly node: DraftNode;
  readonly name?: string;
  readonly spec: InterfaceSpec;
  readonly path: Path;
}

/** A wire whose interfaces have no names yet. */
interface LooseWire {
  readonly ends: readonly [DraftEnd, DraftEnd];
  readonly wire: DraftWire;
}

/**
 * Expands a topology whose form is right.
 *
 * @param spec The topology.
 * @param problems Takes problems of meaning: unknown nodes, interfaces used twice.
 */
export function draftOf(spec: TopologySpec, problems: Problems): Draft {
  const builder = new Builder(spec, problems);
  // Links that a check has left out are holes, which forEach() skips.
  spec.links?.forEach((link, i) => builder.addLink(link, ["links", i]));
  builder.addOutsides();
  return builder.finish();
}

/** The port of containerlab's VXLANs. */
const VXLAN_PORT = 14789;

type AttachmentKey = Exclude<keyof AttachmentSpec, "type" | "endpoint" | "mtu">;

/** The options that each type of attachment needs, and those that it may have. */
const ATTACHMENTS: Readonly<
  Record<
    AttachmentSpec["type"],
    { readonly needs: readonly AttachmentKey[]; readonly takes: readonly AttachmentKey[] }
  >
> = {
  host: { needs: ["host-interface"], takes: [] },
  macvlan: { needs: ["host-interface"], takes: ["mode"] },
  vxlan: { needs: ["parent-interface", "remote", "vni"], takes: ["udp-port"] },
  dummy: { needs: [], takes: [] },
};

class Builder {
  readonly #spec: TopologySpec;
  readonly #problems: Problems;
  readonly #nodes = new Map<string, DraftNode>();
  /** The switch of each segment. */
  readonly #hubs = new Map<SegmentSpec, DraftNode>();
  readonly #wires: LooseWire[] = [];
  /** Interfaces of links that are no wires. */
  readonly #attached: (DraftEnd & { readonly kind: "macvlan" | "vxlan" | "dummy" })[] = [];

  constructor(spec: TopologySpec, problems: Problems) {
    this.#spec = spec;
    this.#problems = problems;
    for (const node of inheritedNodes(spec, problems).values()) this.#addNode(node);
    // Links may name the switch of a segment before the segment comes.
    spec.links?.forEach((link, i) => {
      if (typeof link === "object" && "segment" in link) this.#addSwitch(link, ["links", i]);
    });
  }

  addLink(link: LinkSpec, path: Path): void {
    if (typeof link === "string") {
      const [a = "", b = ""] = link.trim().split(/\s+--\s+/);
      this.#addWires([this.#ends(a, path), this.#ends(b, path)], {}, path);
    } else if ("segment" in link) this.#addSegment(link, path);
    else if ("endpoints" in link) {
      const ends = link.endpoints.map((end, i) => this.#ends(end, [...path, "endpoints", i]));
      this.#addWires(ends as [DraftEnd[], DraftEnd[]], link, path);
    } else this.#attach(link, path);
  }

  /** Adds the wire of each NAT to the node that stands for the outside. */
  addOutsides(): void {
    for (const node of [...this.#nodes.values()]) {
      if (node.kind !== "nat") continue;
      const outside = this.#outside(node.spec.outside);
      const { path } = node;
      this.#addWire(
        [{ node, name: "outside", spec: {}, path }, { node: outside, spec: {}, path }],
        {},
        path,
      );
    }
  }

  finish(): Draft {
    const wires = nameWires(this.#wires, this.#spec.name ?? "", this.#problems);
    const nodes = new Map([...this.#nodes].sort(([a], [b]) => byName(a, b)));
    for (const end of this.#attached) {
      const { node, kind, path, spec } = end;
      const name = end.name ?? interfaceTo(kind, node.ports);
      node.ports.set(name, { node, name, kind, path, spec });
    }
    addInterfaces(nodes, this.#problems);
    return { spec: this.#spec, nodes, wires };
  }

  #addNode({ name, kind, spec, own, path }: InheritedNode, segment?: string): DraftNode {
    const node: DraftNode = {
      name,
      kind,
      spec,
      own,
      path,
      ports: new Map(),
      ...(kind === "netns" && spec.netns !== undefined ? { netns: spec.netns } : {}),
      ...(segment === undefined ? {} : { segment }),
    };
    this.#nodes.set(name, node);
    return node;
  }

  #addSwitch(link: SegmentSpec, path: Path): void {
    const { segment, name: given, stp = false, mtu } = link;
    const [first] = this.#ends(segment[0]!, [...path, "segment", 0], new Set());
    const name = given ?? this.#free(`lan-${first?.node.name}`);
    if (this.#nodes.has(name)) {
      this.#problems.at([...path, "name"], `is the name of a node too: got ${show(name)}`);
      return;
    }
    const spec: NodeSpec = { stp, ...(mtu === undefined ? {} : { mtu }) };
    this.#hubs.set(link, this.#addNode({ name, kind: "switch", spec, own: spec, path }, name));
  }

  #free(name: string): string {
    for (let i = 1;; i++) {
      const free = i === 1 ? name : `${name}-${i}`;
      if (!this.#nodes.has(free)) return free;
    }
  }

  #addSegment(link: SegmentSpec, path: Path): void {
    const hub = this.#hubs.get(link);
    if (hub === undefined) return;
    const impair = directions(link.impair, false);
    for (const [i, member] of link.segment.entries()) {
      const at = [...path, "segment", i];
      for (const end of this.#ends(member, at)) {
        this.#addWire([end, { node: hub, spec: {}, path: at }], link, at, impair);
      }
    }
  }

  #addWires([as, bs]: [DraftEnd[], DraftEnd[]], options: WireOptions, path: Path): void {
    const done = new Set<string>();
    for (const a of as) {
      for (const b of bs) {
        const [from, to] = [a, b].map(({ node, name = "" }) => `${node.name}:${name}`);
        const self = a.node === b.node && (a.name === undefined || a.name === b.name);
        // A range at both ends names each pair twice, and each node with itself.
        const ranges = as.length > 1 && bs.length > 1;
        if (ranges && (self || done.has(`${to} ${from}`))) continue;
        if (self) this.#problems.at(path, `connects ${show(a.node.name)} with itself`);
        else this.#addWire([a, b], options, path);
        done.add(`${from} ${to}`);
      }
    }
  }

  #addWire(
    [a, b]: readonly [DraftEnd, DraftEnd],
    options: WireOptions,
    path: Path,
    impair: DirectedImpairSpec = directions(options.impair, true),
  ): void {
    const { access, trunk } = options;
    const vlans = { ...(access && { access }), ...(trunk && { trunk }) };
    const [key] = Object.keys(vlans);
    if (key !== undefined && a.node.kind !== "switch" && b.node.kind !== "switch") {
      this.#problems.at([...path.slice(0, 2), key], "needs a switch at one end of the link", "key");
    }
    // A range at the other end gives one end several wires: each has an object of its own.
    const end = (it: DraftEnd): DraftEnd =>
      it.node.kind === "switch" ? { ...it, spec: { ...vlans, ...it.spec } } : { ...it };
    this.#wires.push({ ends: [end(a), end(b)], wire: { options, impair, path } as DraftWire });
  }

  #attach(link: AttachmentSpec, path: Path): void {
    const { type, mtu } = link;
    if (!this.#hasOptions(link, path)) return;
    for (const end of this.#ends(link.endpoint, [...path, "endpoint"])) {
      const name = link["host-interface"];
      if (type === "host") {
        const machine = { node: this.#outside(undefined), name: name!, spec: {}, path };
        this.#addWire([end, machine], mtu === undefined ? {} : { mtu }, path);
        continue;
      }
      const spec: InterfaceSpec = { ...end.spec, ...(mtu !== undefined && { mtu }) };
      this.#attached.push({ ...end, spec: { ...spec, ...this.#below(link) }, kind: type });
    }
  }

  /** Whether an attachment has the options of its type and no others. */
  #hasOptions(link: AttachmentSpec, path: Path): boolean {
    const { needs, takes } = ATTACHMENTS[link.type];
    const options = Object.keys(link) as (keyof AttachmentSpec)[];
    const missing = needs.filter((key) => link[key] === undefined);
    for (const key of missing) {
      this.#problems.at(path, `needs ${show(key)} with type ${show(link.type)}`);
    }
    for (const [type, other] of Object.entries(ATTACHMENTS)) {
      for (const key of [...other.needs, ...other.takes]) {
        if (!options.includes(key) || [...needs, ...takes].includes(key)) continue;
        const message = `goes with type ${show(type)}: got type ${show(link.type)}`;
        this.#problems.at([...path, key], message, "key");
        return false;
      }
    }
    return missing.length === 0;
  }

  /** The parent of an attachment, which is an interface of the machine, and its options. */
  #below(link: AttachmentSpec): InterfaceSpec {
    const machine = () => this.#outside(undefined).name;
    if (link.type === "macvlan") {
      const { mode = "bridge" } = link;
      return { parent: `${machine()}:${link["host-interface"]}`, options: { mode } };
    }
    if (link.type !== "vxlan") return {};
    const { remote, vni, "udp-port": port = VXLAN_PORT } = link;
    return {
      parent: `${machine()}:${link["parent-interface"]}`,
      options: { id: vni!, remote: remote!, port },
    };
  }

  /** The node that stands for a namespace outside of the lab. */
  #outside(netns: ExistingNetns | undefined): DraftNode {
    const kind = netns === undefined ? "host-machine" : "netns";
    const same = [...this.#nodes.values()].find((node) =>
      node.kind === kind && JSON.stringify(node.netns) === JSON.stringify(netns)
    );
    if (same !== undefined) return same;
    const name = netns === undefined ? "@machine" : `@${Object.entries(netns)[0]!.join("-")}`;
    const spec: NodeSpec = netns === undefined ? {} : { netns };
    const path = ["nodes"];
    return this.#addNode({ name: name.replaceAll(/[/:]/g, "-"), kind, spec, own: spec, path });
  }

  /** The ends that an endpoint stands for; unknown nodes are reported. */
  #ends(endpoint: EndpointSpec, path: Path, reported?: Set<string>): DraftEnd[] {
    const [node, name, spec] = partsOf(endpoint);
    const names = namesIn(node);
    const at = typeof endpoint === "string" ? path : [...path, "node"];
    if (typeof names === "string") {
      if (!reported) this.#problems.at(at, names);
      return [];
    }
    return names.flatMap((node) => {
      const found = this.#nodes.get(node);
      if (found !== undefined) {
        return [{ node: found, spec, path, ...(name === undefined ? {} : { name }) }];
      }
      if (!reported) this.#problems.at(at, this.#unknown(node));
      return [];
    });
  }

  #unknown(node: string): string {
    const near = nearest(node, [...this.#nodes.keys()]);
    const hint = near === undefined ? "" : `; did you mean ${show(near)}?`;
    const machine = node === "host" ? ' (for the machine add host: { kind: "host-machine" })' : "";
    return `names the node ${show(node)}, which "nodes" does not have${hint}${machine}`;
  }
}

/** The parts of an endpoint: node, interface, and the settings of the interface. */
function partsOf(
  endpoint: EndpointSpec,
): readonly [node: string, name: string | undefined, spec: InterfaceSpec] {
  if (typeof endpoint === "string") {
    const [node = "", name] = endpoint.split(":");
    return [node, name, {}];
  }
  const { node, interface: name, ...spec } = endpoint;
  return [node, name, spec];
}

/** Faults by direction; without directions they are for both, or only for the first. */
function directions(
  impair: ImpairSpec | DirectedImpairSpec | undefined,
  both: boolean,
): DirectedImpairSpec {
  if (impair === undefined) return {};
  if ("->" in impair || "<-" in impair) return impair;
  return both
    ? { "->": impair as ImpairSpec, "<-": impair as ImpairSpec }
    : { "->": impair as ImpairSpec };
}

/** Gives each end of each wire its interface: first those with names, then the others in name order. */
function nameWires(loose: readonly LooseWire[], lab: string, problems: Problems): DraftWire[] {
  const named = new Map<DraftEnd, DraftPort>();
  const add = (end: DraftEnd, name: string, wire: DraftWire) => {
    const { node, spec, path } = end;
    const before = node.ports.get(name);
    if (before !== undefined) {
      const where = before.path.slice(0, 2).join(" ");
      problems.at(path, `uses ${show(`${node.name}:${name}`)}, which ${where} uses already`);
    }
    const port: DraftPort = { node, name, kind: "veth", spec, path, wire };
    named.set(end, port);
    node.ports.set(name, port);
  };
  for (const { ends, wire } of loose) {
    for (const end of ends) if (end.name !== undefined) add(end, end.name, wire);
  }
  const rest = loose.flatMap(({ ends: [a, b], wire }) => [
    { end: a, to: b.node.name, wire },
    { end: b, to: a.node.name, wire },
  ]).filter(({ end }) => end.name === undefined);
  // The order counts only where one node has several wires to another one.
  for (const { end, to, wire } of rest) {
    if (isOwn(end.node)) add(end, interfaceTo(to, end.node.ports), wire);
    else {
      let name = `nl-${digits(`${lab} ${to}`)}`;
      for (let i = 2; end.node.ports.has(name); i++) name = `nl-${digits(`${lab} ${to} ${i}`)}`;
      add(end, name, wire);
    }
  }
  return loose.map(({ ends: [a, b], wire }) => {
    wire.ends = [named.get(a)!, named.get(b)!];
    return wire;
  });
}
