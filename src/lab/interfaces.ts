/**
 * The interfaces of a node: those of links with their settings, and those of no link.
 *
 * @module
 */
import { checkOptions, nearest, show } from "../options.ts";
import { linkKind } from "../rtnetlink/link_info.ts";
import { type DraftNode, type DraftPort, isOwn, SWITCH_BRIDGE } from "./model.ts";
import { byName } from "./names.ts";
import type { Problems } from "./problem.ts";
import type { ResolvedInterfaceKind } from "./resolved.ts";
import type { Path } from "./rules.ts";
import type { InterfaceSpec } from "./spec.ts";

/** The kinds that never are ports of the switch that they are in. */
const NO_PORTS: readonly ResolvedInterfaceKind[] = ["bridge", "loopback", "existing"];

/** Adds the interfaces that only nodes name, completes those of links, and checks all. */
export function addInterfaces(nodes: ReadonlyMap<string, DraftNode>, problems: Problems): void {
  for (const node of nodes.values()) addOwn(node, problems);
  for (const node of nodes.values()) {
    for (const port of node.ports.values()) complete(port, nodes, problems);
  }
}

function addOwn(node: DraftNode, problems: Problems): void {
  const { ports, kind, path } = node;
  const add = (name: string, kind: ResolvedInterfaceKind, spec: InterfaceSpec, path: Path) =>
    ports.set(name, { node, name, kind, spec, path });
  if (kind === "switch") {
    const at = [...path, "interfaces", SWITCH_BRIDGE];
    if (ports.has(SWITCH_BRIDGE)) {
      problems.at(path, `has the bridge ${SWITCH_BRIDGE}: no link can use that name`);
    }
    add(SWITCH_BRIDGE, "bridge", {}, at);
  } else if (isOwn(node)) add("lo", "loopback", {}, [...path, "interfaces", "lo"]);
  for (const [name, spec] of Object.entries(node.spec.interfaces ?? {})) {
    const at = [...path, "interfaces", name];
    const port = ports.get(name);
    if (port === undefined) {
      if (spec.kind !== undefined) add(name, spec.kind, spec, at);
      else if (!isOwn(node)) add(name, "existing", spec, at);
      // Others of its group may have the interface.
      else if (node.own.interfaces?.[name] !== undefined) {
        problems.at(at, "needs a kind, since no link uses this interface", "key");
      }
      continue;
    }
    if (spec.kind !== undefined && spec.kind !== port.kind) {
      problems.at([...at, "kind"], `must be left out: the interface is a ${port.kind}`);
    }
    // The words of a link about its end count more than those of the node.
    port.spec = { ...spec, ...port.spec };
    port.path = at;
  }
}

/** Finds master and parent of an interface, and checks that its settings fit its kind. */
function complete(
  port: DraftPort,
  nodes: ReadonlyMap<string, DraftNode>,
  problems: Problems,
): void {
  const { node, kind, spec, path } = port;
  checkKind(port, problems);
  let { master } = spec;
  if (node.kind === "switch") {
    const { parent } = spec;
    if (!NO_PORTS.includes(kind) && parent !== SWITCH_BRIDGE) master ??= SWITCH_BRIDGE;
  }
  if (master !== undefined && node.ports.get(master)?.kind !== "bridge") {
    const bridges = [...node.ports.values()].filter(({ kind }) => kind === "bridge");
    problems.at(
      [...path, "master"],
      `must be a bridge of the node, ${listOf(bridges)}: got ${show(master)}`,
    );
    master = undefined;
  }
  const vlans = (["access", "trunk", "native"] as const).filter((key) => spec[key] !== undefined);
  if (vlans.length > 0 && master === undefined) {
    problems.at([...path, vlans[0]!], "needs a port of a switch or bridge", "key");
  }
  if (spec.access !== undefined && spec.trunk !== undefined) {
    problems.at([...path, "trunk"], "does not go with access: a port has one of them", "key");
  }
  if (spec.native !== undefined && spec.trunk === undefined) {
    problems.at([...path, "native"], "needs trunk", "key");
  }
  const parent = parentOf(port, nodes, problems);
  if (master !== undefined) port.master = master;
  if (parent !== undefined) port.parent = parent;
}

/** The interface below, which becomes known by this in a namespace that is not the lab's. */
function parentOf(
  { node, name, kind, spec, path }: DraftPort,
  nodes: ReadonlyMap<string, DraftNode>,
  problems: Problems,
): DraftPort | undefined {
  const at = [...path, "parent"];
  const need = linkKind(kind)?.parent;
  const optional = kind === "vxlan";
  if (spec.parent === undefined) {
    if (need === "required") problems.at(path, `needs "parent": the interface below this ${kind}`);
    return undefined;
  }
  if (need !== "required" && !optional) {
    problems.at(at, `goes with vlan, macvlan, ipvlan and vxlan: got a ${kind}`, "key");
    return undefined;
  }
  const [below, interfaceName] = spec.parent.includes(":")
    ? spec.parent.split(":") as [string, string]
    : [node.name, spec.parent];
  const owner = nodes.get(below);
  if (owner === undefined) {
    const near = nearest(below, [...nodes.keys()]);
    const hint = near === undefined ? "" : `; did you mean ${show(near)}?`;
    problems.at(at, `names the node ${show(below)}, which "nodes" does not have${hint}`);
    return undefined;
  }
  const known = owner.ports.get(interfaceName);
  if (known !== undefined && !(owner === node && interfaceName === name)) return known;
  if (!isOwn(owner)) {
    const port: DraftPort = { node: owner, name: interfaceName, kind: "existing", spec: {}, path };
    owner.ports.set(interfaceName, port);
    return port;
  }
  problems.at(
    at,
    `must be an interface of ${below}, ${listOf([...owner.ports.values()])}: got ${
      show(spec.parent)
    }`,
  );
  return undefined;
}

function checkKind({ node, kind, spec, path }: DraftPort, problems: Problems): void {
  if (kind === "physical" && spec.from === undefined) {
    problems.at(path, `needs "from": the interface of the machine that moves into the node`);
  }
  if (kind !== "physical" && spec.from !== undefined) {
    problems.at([...path, "from"], `goes with kind "physical": got a ${kind}`, "key");
  }
  const { options = {} } = spec;
  const known = linkKind(kind)?.options ?? {};
  try {
    checkOptions(options, known);
  } catch (error) {
    problems.at([...path, "options"], `of a ${kind}: ${(error as Error).message}`);
  }
  if (kind === "vlan" && options.id === undefined) {
    problems.at(path, `needs "options": { id: … }, the number of the VLAN`);
  }
  if (kind === "existing" && Object.keys(spec).length > 0) {
    problems.at(path, `is an interface of ${node.name} that exists: netloom changes nothing of it`);
  }
}

function listOf(ports: readonly { readonly name: string }[]): string {
  const names = ports.map(({ name }) => name).sort(byName);
  return names.length === 0 ? "of which there is none" : `one of ${names.join(", ")}`;
}
