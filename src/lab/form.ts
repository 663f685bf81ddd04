/**
 * The check of the form of a topology: keys and values, before their meaning.
 *
 * @module
 */
import { show } from "../options.ts";
import { CONTAINERLAB_ONLY, containerlabRule, topologyRule } from "./format.ts";
import { type Problem, Problems } from "./problem.ts";
import { type Path, walk } from "./rules.ts";
import type { EndpointSpec, LinkSpec, TopologySpec } from "./spec.ts";

/**
 * The topology in a value, and the problems of its form; a containerlab file loses its extra level.
 *
 * @param spec Any value. Only when there are no problems, `value` is a topology.
 */
export function checkForm(spec: unknown): { value: TopologySpec; problems: Problems } {
  const outer = new Problems();
  const foreign = isObject(spec) && "topology" in spec;
  walk(foreign ? containerlabRule : topologyRule, spec, [], outer.add.bind(outer));
  if (!isObject(spec)) return { value: spec as unknown as TopologySpec, problems: outer };
  const top = spec as unknown as TopologySpec;
  refuseForeign(top, outer);
  if (!foreign) return { value: top, problems: outer };
  const { topology, ...rest } = spec as { topology: TopologySpec } & Pick<TopologySpec, "without">;
  const problems = new Problems(["topology"]);
  if (isObject(topology)) {
    refuseForeign({ ...topology, without: rest.without ?? [] }, problems);
  }
  problems.list.unshift(...outer.list);
  // Commands of a containerlab file set addresses and routes, and expect none.
  return { value: { addressing: "none", routing: "none", ...topology, ...rest }, problems };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A topology with only the names in its nodes and links, for checks of names where the form has problems
 * elsewhere. Links with problems are holes.
 */
export function skeletonOf(spec: TopologySpec, problems: readonly Problem[]): TopologySpec {
  const bad = (part: string, key: string | number) =>
    problems.some(({ path }) => {
      const at = path.lastIndexOf(part, 1);
      return at >= 0 && path[at + 1] === key;
    });
  const links: LinkSpec[] = [];
  if (!isObject(spec)) return { nodes: {} };
  const nodes = isObject(spec.nodes) ? Object.keys(spec.nodes) : [];
  if (Array.isArray(spec.links)) {
    spec.links.forEach((link, i) => {
      if (!bad("links", i)) links[i] = namesOf(link);
    });
  }
  return { nodes: Object.fromEntries(nodes.map((name) => [name, {}])), links };
}

/** A link with only the names in it. */
function namesOf(link: LinkSpec): LinkSpec {
  if (typeof link === "string") return link;
  const named = (end: EndpointSpec): EndpointSpec =>
    typeof end === "string" || end.interface === undefined
      ? typeof end === "string" ? end : end.node
      : `${end.node}:${end.interface}`;
  if ("segment" in link) {
    const { name } = link;
    return { segment: link.segment.map(named), ...(name === undefined ? {} : { name }) };
  }
  if (!("endpoints" in link)) return { ...link, endpoint: named(link.endpoint) };
  const [a, b] = link.endpoints;
  return { endpoints: [named(a), named(b)] };
}

/** Reports the options of containerlab that netloom lacks, but those in `without`. */
function refuseForeign(spec: TopologySpec, problems: Problems): void {
  const without = new Set(entriesOf(spec.without).map(([, name]) => name));
  const known = [...Object.values(CONTAINERLAB_ONLY).flat(), "topology"];
  for (const [i, name] of entriesOf(spec.without)) {
    if (known.includes(name)) continue;
    problems.at(["without", i], `must be an option of containerlab: got ${show(name)}`);
  }
  const refuse = (value: unknown, names: readonly string[], path: Path) => {
    for (const key of isObject(value) ? Object.keys(value) : []) {
      if (!names.includes(key) || without.has(key)) continue;
      const message =
        `is an option of containerlab that netloom lacks; to ignore it, write without: [${key}]`;
      problems.at([...path, key], message, "key");
    }
  };
  refuse(spec, CONTAINERLAB_ONLY.top, []);
  refuse(spec.defaults, CONTAINERLAB_ONLY.node, ["defaults"]);
  for (const part of ["kinds", "groups", "nodes"] as const) {
    const nodes = isObject(spec[part]) ? Object.entries(spec[part]) : [];
    for (const [name, node] of nodes) refuse(node, CONTAINERLAB_ONLY.node, [part, name]);
  }
  for (const [i, link] of entriesOf(spec.links)) refuse(link, CONTAINERLAB_ONLY.link, ["links", i]);
}

/** The entries of a list; none of another value. */
function entriesOf<T>(list: readonly T[] | undefined): (readonly [number, T])[] {
  return Array.isArray(list) ? [...list.entries()] : [];
}
