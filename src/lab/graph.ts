/**
 * A lab as the data of a picture.
 *
 * @module
 */
import type { GraphInterface, GraphNodeKind, NetworkGraph } from "../view/graph.ts";
import { endOf } from "./difference.ts";
import type { ImpairmentValues } from "../traffic/impairment_values.ts";
import type {
  Endpoint,
  ResolvedInterface,
  ResolvedNodeKind,
  ResolvedTopology,
  ResolvedWire,
} from "./resolved.ts";

/** The state of a wire, where the lab runs. */
export interface WireStates {
  /** Whether a wire is cut. Default: none is. */
  isCut?(wire: ResolvedWire): boolean;
  /** The impairment in force. Default: that of the topology. */
  impairmentOf?(wire: ResolvedWire): ImpairmentValues | undefined;
}

const KINDS: Readonly<Record<ResolvedNodeKind, GraphNodeKind>> = {
  host: "host",
  router: "router",
  switch: "switch",
  nat: "router",
  netns: "netns",
  "host-machine": "outside",
};

/** The graph of a topology, for `draw()`. */
export function graphOf(topology: ResolvedTopology, states: WireStates = {}): NetworkGraph {
  const { name, nodes, wires } = topology;
  const up = new Map(
    nodes.flatMap((node) =>
      node.interfaces.map((it) => [`${node.name}:${it.name}`, it.up] as const)
    ),
  );
  return {
    ...(name !== undefined && { title: name }),
    nodes: nodes.map((node) => ({
      id: node.name,
      name: node.name,
      kind: KINDS[node.kind],
      interfaces: node.interfaces.filter(({ kind }) => kind !== "loopback").map(interfaceOf),
    })),
    edges: wires.map((wire) => {
      const label = labelOf(
        states.impairmentOf
          ? states.impairmentOf(wire) ?? {}
          : { out: wire.impair["->"] ?? {}, in: wire.impair["<-"] ?? {} },
      );
      const isUp = wire.ends.every((end) => up.get(end));
      const state = states.isCut?.(wire)
        ? "cut"
        : label.length > 0
        ? "impaired"
        : isUp
        ? "up"
        : "down";
      const [from, to] = wire.ends.map(endpointOf) as [ReturnType<typeof endpointOf>, never];
      return { from, to, kind: "veth", state, ...(label.length > 0 && { label }) };
    }),
  };
}

function endpointOf(end: Endpoint): { node: string; interface: string } {
  const { node, name } = endOf(end);
  return { node, interface: name };
}

function interfaceOf(it: ResolvedInterface): GraphInterface {
  const under = it.master ?? (it.parent && endOf(it.parent).name);
  const { id } = it.options;
  const note = id === undefined ? undefined : it.kind === "vxlan" ? `vni ${id}` : `VLAN ${id}`;
  return {
    name: it.name,
    kind: it.kind,
    up: it.up,
    addresses: it.addresses,
    ...(under !== undefined && { under }),
    ...(note !== undefined && { note }),
  };
}

/** The values of both directions, of a topology or in force. */
interface WireImpairment {
  readonly out?: object;
  readonly in?: object;
}

/** The words of an impairment: `→ delay 20ms, loss 1%`; one line where both directions are alike. */
function labelOf({ out = {}, in: incoming = {} }: WireImpairment): string[] {
  const [there, back] = [out, incoming].map(wordsOf);
  if (there === back) return there ? [there] : [];
  return [there && `→ ${there}`, back && `← ${back}`].filter(Boolean) as string[];
}

const UNITS: Readonly<Record<string, (value: number) => string>> = {
  delay: (value) => `${value}ms`,
  jitter: (value) => `${value}ms`,
  loss: percent,
  duplicate: percent,
  corrupt: percent,
  reorder: percent,
  rate: (value) => value % 1e6 === 0 ? `${value / 1e6}mbit` : `${value / 1e3}kbit`,
};

function percent(value: number): string {
  return `${Number((value * 100).toPrecision(6))}%`;
}

function wordsOf(impairment: object): string {
  const values = impairment as Readonly<Record<string, unknown>>;
  return Object.entries(UNITS)
    .flatMap(([key, text]) =>
      values[key] === undefined ? [] : `${key} ${text(Number(values[key]))}`
    )
    .join(", ");
}
