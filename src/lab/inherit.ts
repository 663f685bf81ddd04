/**
 * The nodes of a topology: ranges expanded, options inherited.
 *
 * @module
 */
import { nearest, show } from "../options.ts";
import { byName, namesIn } from "./names.ts";
import type { Problems } from "./problem.ts";
import type { ResolvedNodeKind } from "./resolved.ts";
import type { Path } from "./rules.ts";
import type { InterfaceSpec, NodeSpec, TopologySpec } from "./spec.ts";

/** A node with everything that it inherits. */
export interface InheritedNode {
  readonly name: string;
  readonly kind: ResolvedNodeKind;
  readonly spec: NodeSpec;
  /** What the node itself has in the file. */
  readonly own: NodeSpec;
  readonly path: Path;
}

/** The options that are tables: those of a node and of its group add up, key by key. */
const TABLES = ["sysctls", "env", "files", "hosts"] as const;

/** All nodes by name, in name order. */
export function inheritedNodes(spec: TopologySpec, problems: Problems): Map<string, InheritedNode> {
  checkSources(spec, problems);
  const nodes: InheritedNode[] = [];
  for (const [key, value] of Object.entries<NodeSpec | null>(spec.nodes)) {
    const path = ["nodes", key];
    const names = namesIn(key);
    if (typeof names === "string") {
      problems.at(path, names, "key");
      continue;
    }
    const inherited = inherit(value ?? {}, spec, path, problems);
    for (const name of names) nodes.push({ ...inherited, name });
  }
  const found = new Map<string, InheritedNode>();
  for (const node of nodes.sort((a, b) => byName(a.name, b.name))) {
    const before = found.get(node.name);
    if (before === undefined) found.set(node.name, node);
    else {problems.at(
        node.path,
        `gives ${show(node.name)} again: ${show(before.path[1])} has it`,
        "key",
      );}
  }
  return found;
}

/** Refuses what no node can inherit. */
function checkSources({ kinds = {}, groups = {} }: TopologySpec, problems: Problems): void {
  const words = ["host", "router", "switch", "nat", "host-machine", "linux"];
  for (const [kind, spec] of Object.entries(kinds)) {
    if (!words.includes(kind)) {
      const near = nearest(kind, words);
      const hint = near === undefined ? "" : `; did you mean ${show(near)}?`;
      problems.at(
        ["kinds", kind],
        `must be a kind, ${words.join(", ")}: got ${show(kind)}${hint}`,
        "key",
      );
    }
    for (const key of ["kind", "group"] as const) {
      if (spec[key] !== undefined) {
        problems.at(["kinds", kind, key], "has no meaning for a kind", "key");
      }
    }
  }
  for (const [group, spec] of Object.entries(groups)) {
    if (spec.group !== undefined) {
      problems.at(["groups", group, "group"], "has no meaning for a group", "key");
    }
  }
}

function inherit(
  own: NodeSpec,
  topology: TopologySpec,
  path: Path,
  problems: Problems,
): Omit<InheritedNode, "name"> {
  const { defaults = {}, kinds = {}, groups = {} } = topology;
  const groupName = own.group ?? defaults.group;
  const group = groupName === undefined ? {} : groups[groupName];
  if (group === undefined) {
    const names = Object.keys(groups);
    const near = nearest(groupName!, names);
    const allowed = names.length === 0 ? "there are no groups" : `allowed are ${names.join(", ")}`;
    const hint = near === undefined ? "" : `; did you mean ${show(near)}?`;
    const at = own.group === undefined ? ["defaults", "group"] : [...path, "group"];
    problems.at(at, `must be a group, ${allowed}: got ${show(groupName)}${hint}`);
  }
  const word = own.kind ?? group?.kind ?? defaults.kind ?? "host";
  const spec = [kinds[word] ?? {}, group ?? {}, own].reduce(merge, defaults);
  const existing = spec.netns !== undefined;
  if (existing && word !== "host" && word !== "linux") {
    problems.at(
      [...path, "netns"],
      `does not go with kind ${show(word)}: leave the kind out`,
      "key",
    );
  }
  const kind = existing ? "netns" : word === "linux" ? "host" : word;
  for (const [key, home] of [["stp", "switch"], ["outside", "nat"]] as const) {
    if (own[key] === undefined || kind === home) continue;
    problems.at([...path, key], `needs kind ${show(home)}: got ${show(kind)}`, "key");
  }
  return { kind, spec, own, path };
}

/** The options of a node over those that it inherits. */
function merge(below: NodeSpec, above: NodeSpec): NodeSpec {
  const merged: Record<string, unknown> = { ...below, ...above };
  for (const key of TABLES) {
    if (below[key] && above[key]) merged[key] = { ...below[key], ...above[key] };
  }
  if (below.interfaces && above.interfaces) {
    const interfaces: Record<string, InterfaceSpec> = { ...below.interfaces };
    for (const [name, spec] of Object.entries(above.interfaces)) {
      interfaces[name] = { ...interfaces[name], ...spec };
    }
    merged.interfaces = interfaces;
  }
  return merged;
}
