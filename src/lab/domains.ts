/**
 * Broadcast domains: the interfaces that reach each other in layer 2, through wires, switches, VLANs and
 * links on a common parent.
 *
 * @module
 */
import { linkKind } from "../rtnetlink/link_info.ts";
import { type Draft, type DraftPort, endpointOf, SWITCH_BRIDGE } from "./model.ts";
import { byName } from "./names.ts";

/** A broadcast domain. */
export interface Domain {
  /** The name that its subnets hash from: of its first switch, or of its wire. */
  readonly name: string;
  /** The interfaces in it that can have addresses, in name order. */
  readonly ports: readonly DraftPort[];
  /** It is one wire between two interfaces, and nothing else is in it. */
  readonly wire: boolean;
  /** The interfaces whose links may give subnets: also those of switches. */
  readonly edges: readonly DraftPort[];
}

/** A VLAN of frames without a tag. */
const UNTAGGED = 0;

/** The kinds that have only the addresses that the file gives. */
export const WITHOUT_ADDRESS: readonly string[] = [
  "loopback",
  "existing",
  "physical",
  "dummy",
  "ifb",
];

/** All domains with an interface that can have an address, in the order of their names. */
export function domainsOf(draft: Draft): Domain[] {
  const sets = new Sets();
  const ports = [...draft.nodes.values()].flatMap((node) => [...node.ports.values()]);
  const vids = vlansOf(ports);
  const filtering = filteringBridges(draft);

  for (const { ends: [a, b] } of draft.wires) {
    for (const vid of [UNTAGGED, ...vids]) sets.join(point(a, vid), point(b, vid));
  }
  for (const port of ports) {
    const { node, master, parent, kind, spec } = port;
    if (master !== undefined) {
      const bridge = `${node.name}:${master}`;
      for (const { vid, pvid } of memberVlans(port, filtering.has(bridge), vids)) {
        sets.join(point(port, pvid ? UNTAGGED : vid), `${bridge}#${vid}`);
      }
    }
    if (kind === "bridge") {
      const inside = `${endpointOf(port)}#${filtering.has(endpointOf(port)) ? 1 : UNTAGGED}`;
      sets.join(point(port, UNTAGGED), inside);
    }
    if (kind === "vlan" && parent) {
      sets.join(point(port, UNTAGGED), point(parent, Number(spec.options?.id)));
    } else if (kind === "vxlan") sets.join(point(port, UNTAGGED), `vxlan#${spec.options?.id}`);
    else if (parent && linkKind(kind)?.parent === "required") {
      for (const vid of [UNTAGGED, ...vids]) sets.join(point(port, vid), point(parent, vid));
    }
  }
  return group(ports, sets).sort((a, b) => byName(a.name, b.name));
}

/** The bridges that filter VLANs, as `NODE:BRIDGE`: those with a port that the file gives VLANs. */
export function filteringBridges({ nodes }: Draft): Set<string> {
  const found = new Set<string>();
  for (const node of nodes.values()) {
    for (const { master, spec } of node.ports.values()) {
      if (spec.access ?? spec.trunk) found.add(`${node.name}:${master}`);
    }
  }
  return found;
}

function point(port: DraftPort, vid: number): string {
  return vid === UNTAGGED ? endpointOf(port) : `${endpointOf(port)}#${vid}`;
}

/** The VLANs that a port is in: `pvid` for frames without a tag. */
function memberVlans(
  { spec: { access, trunk, native } }: DraftPort,
  filtering: boolean,
  vids: readonly number[],
): { vid: number; pvid: boolean }[] {
  if (!filtering) return [UNTAGGED, ...vids].map((vid) => ({ vid, pvid: vid === UNTAGGED }));
  if (trunk === undefined) return [{ vid: access ?? 1, pvid: true }];
  const tagged = vids.filter((vid) =>
    vid !== native && trunk.some((entry) => contains(entry, vid))
  );
  return [
    ...tagged.map((vid) => ({ vid, pvid: false })),
    ...(native === undefined ? [] : [{ vid: native, pvid: true }]),
  ];
}

/** First and last VLAN of a number or a range `"10-20"`. */
export function rangeOf(entry: number | string): readonly [first: number, last: number] {
  const [first = 0, last = first] = String(entry).split("-").map(Number);
  return [first, last];
}

function contains(entry: number | string, vid: number): boolean {
  const [first, last] = rangeOf(entry);
  return vid >= first && vid <= last;
}

/** The VLANs that some interface uses by number: others carry no traffic. */
function vlansOf(ports: readonly DraftPort[]): number[] {
  const vids = new Set<number>();
  for (const { kind, spec } of ports) {
    const { access, native, trunk = [] } = spec;
    if (access !== undefined) vids.add(access);
    if (native !== undefined) vids.add(native);
    for (const entry of trunk) {
      const [first, last] = rangeOf(entry);
      if (first === last) vids.add(first);
    }
    if (kind === "vlan") vids.add(Number(spec.options?.id));
  }
  return vids.size === 0 ? [] : [...vids, 1].sort((a, b) => a - b);
}

function group(ports: readonly DraftPort[], sets: Sets): Domain[] {
  const found = new Map<string, DraftPort[]>();
  for (const port of ports) {
    const root = sets.rootOf(point(port, UNTAGGED));
    const members = found.get(root);
    if (members) members.push(port);
    else found.set(root, [port]);
  }
  return [...found].flatMap(([root, all]) => {
    const members = all.filter(hasAddress);
    if (members.length === 0) return [];
    const [a, b] = all;
    const wire = all.length === 2 && a!.wire !== undefined && a!.wire === b!.wire;
    return [{ name: wire ? wireName(a!) : nameOf(root, all), ports: members, wire, edges: all }];
  });
}

/** Whether an interface can have an address that is derived. */
function hasAddress({ node, name, kind, master, spec }: DraftPort): boolean {
  if (spec.addresses || spec.ipv4 || spec.ipv6) return master === undefined;
  const bridge = node.kind === "switch" && name === SWITCH_BRIDGE;
  return master === undefined && !bridge && !WITHOUT_ADDRESS.includes(kind);
}

/** The name of a wire: its two ends in name order. */
export function wireName(port: DraftPort): string {
  return port.wire!.ends.map(endpointOf).sort(byName).join(" -- ");
}

/** The first switch with the VLAN, otherwise the first interface. */
function nameOf(root: string, ports: readonly DraftPort[]): string {
  const bridges = ports.filter(({ master }) => master !== undefined)
    .map(({ node, spec }) => spec.access === undefined ? node.name : `${node.name}#${spec.access}`);
  return bridges.sort(byName)[0] ?? ports.map(endpointOf).sort(byName)[0] ?? root;
}

/** Disjoint sets of texts (union by path halving); the first text in name order represents a set. */
class Sets {
  readonly #parent = new Map<string, string>();

  rootOf(item: string): string {
    let at = item;
    for (;;) {
      const next = this.#parent.get(at);
      if (next === undefined) return at;
      const after = this.#parent.get(next);
      if (after === undefined) return next;
      this.#parent.set(at, after);
      at = after;
    }
  }

  join(a: string, b: string): void {
    const [rootA, rootB] = [this.rootOf(a), this.rootOf(b)];
    if (rootA === rootB) return;
    const [first, second] = rootA < rootB ? [rootA, rootB] : [rootB, rootA];
    this.#parent.set(second, first);
  }
}
