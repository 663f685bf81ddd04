/**
 * Resolving: a topology with everything filled in, from a topology as people write it.
 *
 * @module
 */
import { show } from "../options.ts";
import { parseTime } from "../rtnetlink/units.ts";
import { type Addresses, addressesOf } from "./addresses.ts";
import { draftOf } from "./draft.ts";
import { endsOf, impairmentsOf, scheduleOf } from "./faults.ts";
import { checkForm, skeletonOf } from "./form.ts";
import { interfacesOf, mtusOf, type Plan } from "./links.ts";
import { type Draft, type DraftNode, isOutside, isOwn } from "./model.ts";
import { byName } from "./names.ts";
import { addressText, netText, networkOf, parseNet, sortKey } from "./placement.ts";
import type { Problem, Problems } from "./problem.ts";
import type {
  Readiness,
  ResolvedCommand,
  ResolvedFile,
  ResolvedHost,
  ResolvedNode,
  ResolvedRoute,
  ResolvedRule,
  ResolvedTopology,
} from "./resolved.ts";
import { routesOf } from "./routes.ts";
import type { EventSpec, ReadySpec, RouteSpec, RuleSpec, RunSpec, TopologySpec } from "./spec.ts";

/** Time in which a command has to become ready, in milliseconds. */
const TIMEOUT = 10_000;

/** The number of table `main`. */
const RT_TABLE_MAIN = 254;

/**
 * Fills in everything that a topology leaves out. The same topology gives the same result everywhere.
 *
 * @param spec The topology.
 * @throws {TopologyError} With all problems of the topology.
 *
 * @example Addresses, MACs and routes follow from names
 * ```ts
 * import { resolve, topology } from "@netloom/netloom/lab";
 * import { assertEquals } from "@std/assert";
 *
 * const { nodes } = resolve(topology({
 *   addressing: { ipv4: "10.0.0.0/16" },
 *   nodes: { h1: {}, r1: { kind: "router" } },
 *   links: ["h1 -- r1"],
 * }));
 * const [h1] = nodes;
 * assertEquals(h1?.interfaces.map(({ name }) => name), ["lo", "to-r1"]);
 * assertEquals(h1?.routes.map(({ destination }) => destination), ["0.0.0.0/0"]);
 * ```
 */
export function resolve<N extends string>(spec: TopologySpec<N>): ResolvedTopology {
  const { value, problems } = checkForm(spec);
  const prepared = prepare(value, problems);
  problems.throwAny();
  return assemble(prepared!);
}

/**
 * Checks a topology.
 *
 * @param spec The topology, or any value in its place.
 * @returns All problems; none when the topology can be resolved.
 *
 * @example A misspelled kind
 * ```ts
 * import { check } from "@netloom/netloom/lab";
 * import { assertEquals } from "@std/assert";
 *
 * const [problem] = check({ nodes: { r1: { kind: "ruter" } } });
 * assertEquals(problem?.path, ["nodes", "r1", "kind"]);
 * assertEquals(problem?.message.endsWith('got "ruter"; did you mean "router"?'), true);
 * ```
 */
export function check(spec: unknown): Problem[] {
  const { value, problems } = checkForm(spec);
  prepare(value, problems);
  return problems.list;
}

/**
 * Resolves the events of a schedule for a lab that runs.
 *
 * @throws {TopologyError} With all problems of the events.
 */
export function resolveSchedule(
  events: readonly EventSpec[],
  { nodes, wires, seed }: ResolvedTopology,
): ResolvedTopology["schedule"] {
  const { problems } = checkForm({ nodes: {}, schedule: events });
  problems.throwAny();
  const schedule = scheduleOf(events, {
    nodes: nodes.map(({ name }) => name),
    wires: wires.map(({ ends }) => ends),
    seed,
    problems,
  });
  problems.throwAny();
  return schedule;
}

/** All decisions about a topology but its routes. */
interface Prepared extends Plan {
  readonly draft: Draft;
  readonly schedule: ResolvedTopology["schedule"];
}

/** Makes the decisions, and adds the problems that they meet; nothing when the form is wrong. */
export function prepare(spec: TopologySpec, problems: Problems): Prepared | undefined {
  if (problems.list.length > 0) {
    draftOf(skeletonOf(spec, problems.list), problems);
    return undefined;
  }
  const draft = draftOf(spec, problems);
  checkReferences(draft, problems);
  const schedule = scheduleOf(spec.schedule ?? [], {
    nodes: [...draft.nodes.keys()],
    wires: draft.wires.map((wire) => endsOf(wire).ends),
    seed: spec.seed,
    problems,
  });
  // Addresses of links that are not there would only bring more problems.
  if (problems.list.length > 0) return undefined;
  const addresses = addressesOf(draft, problems);
  return { draft, schedule, addresses, mtus: mtusOf(draft, addresses.domains, problems) };
}

function assemble({ draft, schedule, addresses, mtus }: Prepared): ResolvedTopology {
  const { name, seed } = draft.spec;
  const routes = routesOf(draft, addresses);
  const nodes = [...draft.nodes.values()];
  return {
    version: 1,
    ...(name === undefined ? {} : { name }),
    ...(seed === undefined ? {} : { seed }),
    nodes: nodes.map((node) => nodeOf(node, routes.get(node)!, { draft, addresses, mtus })),
    wires: draft.wires
      .map((wire) => ({ ends: endsOf(wire).ends, impair: impairmentsOf(wire, seed) }))
      .sort((a, b) => byName(a.ends[0], b.ends[0])),
    hosts: nodes.flatMap((node) => hostOf(node, addresses)),
    schedule,
    displaced: addresses.displaced.toSorted((a, b) => byName(a.object, b.object)),
  };
}

function nodeOf(
  node: DraftNode,
  derived: readonly ResolvedRoute[],
  { draft, addresses, mtus }: Omit<Prepared, "schedule">,
): ResolvedNode {
  const { name, kind, spec, netns, segment } = node;
  const { group, tier, nftables = "", env = {}, files = {}, hosts = {} } = spec;
  const nat = natOf(node, draft, addresses);
  const own = (spec.routes ?? []).map(routeOf);
  const given = new Set(own.filter(({ table }) => table === undefined).map((it) => it.destination));
  const kept = given.size === 0 ? derived : derived.filter((it) => !given.has(it.destination));
  const further = [...nat.routes.filter((it) => !given.has(it.destination)), ...own];
  return {
    name,
    kind,
    ...(netns === undefined ? {} : { netns }),
    ...(nat.uplink.size === 0 ? {} : { uplink: [...nat.uplink].sort() }),
    ...(group === undefined ? {} : { group }),
    ...(tier === undefined ? {} : { tier }),
    ...(segment === undefined ? {} : { segment }),
    interfaces: interfacesOf(node, { addresses, mtus }),
    routes: inOrder(kept, further),
    rules: (spec.rules ?? []).map(ruleOf)
      .sort((a, b) => byName(a.family, b.family) || a.priority - b.priority),
    sysctls: sorted({ ...forwarding(node, addresses), ...spec.sysctls }),
    nftables: nat.nftables + nftables,
    run: [...(spec.exec ?? []).map(onceOf), ...(spec.run ?? []).map(commandOf)],
    environment: sorted(env),
    files: Object.entries(files).map(([path, file]): ResolvedFile => {
      if (typeof file === "string") return { path, content: file, mode: 0o644 };
      const { mode = "644", ...from } = file;
      return { path, ...from, mode: parseInt(mode, 8) };
    }).sort((a, b) => byName(a.path, b.path)),
    hosts: Object.entries(hosts).map(([name, address]) => ({ name, addresses: [address] }))
      .sort((a, b) => byName(a.name, b.name)),
  };
}

/** A table in the order of its names, with values as text. */
function sorted(table: Readonly<Record<string, unknown>>): Record<string, string> {
  const entries = Object.entries(table).map(([key, value]) => [key, String(value)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => byName(a, b)));
}

/** The settings by which a router forwards, for the families that it has addresses of. */
function forwarding(node: DraftNode, { ofPort }: Addresses): Record<string, string> {
  if (node.kind !== "router" && node.kind !== "nat") return {};
  const nets = [...node.ports.values()].flatMap((port) => ofPort.get(port)!);
  const ipv6 = nets.some(({ family }) => family === 6);
  return {
    "net.ipv4.ip_forward": "1",
    ...(ipv6 ? { "net.ipv6.conf.all.forwarding": "1" } : {}),
  };
}

interface NatPart {
  readonly nftables: string;
  readonly routes: readonly ResolvedRoute[];
  readonly uplink: ReadonlySet<"ipv4" | "ipv6">;
}

/** The part that a node has in NAT: as the NAT itself, or as its outside. */
function natOf(node: DraftNode, draft: Draft, { ofPort }: Addresses): NatPart {
  const table = `netloom_${(draft.spec.name ?? "lab").replaceAll(/[^A-Za-z0-9]/g, "_")}`;
  const rules: Record<"ip" | "ip6", string[]> = { ip: [], ip6: [] };
  const routes: ResolvedRoute[] = [];
  const uplink = new Set<"ipv4" | "ipv6">();
  const involved = node.kind === "nat" || !isOwn(node);
  for (const { ends } of involved ? draft.wires : []) {
    const [inner, outer] = ends;
    if (inner.node.kind !== "nat" || inner.name !== "outside") continue;
    for (const net of ofPort.get(inner)!) {
      const family = net.family === 4 ? "ip" : "ip6";
      const gateway = ofPort.get(outer)!.find((it) => it.family === net.family);
      if (inner.node === node) {
        rules[family].push(`oifname "outside" masquerade`);
        const destination = net.family === 4 ? "0.0.0.0/0" : "::/0";
        const nexthop = { dev: "outside", ...(gateway ? { gateway: addressText(gateway) } : {}) };
        routes.push({ destination, type: "unicast", nexthops: [nexthop], derived: true });
      } else if (outer.node === node) {
        rules[family].push(
          `${family} saddr ${addressText(net)} oifname != "${outer.name}" masquerade`,
        );
        uplink.add(net.family === 4 ? "ipv4" : "ipv6");
      }
    }
  }
  const tables = (["ip", "ip6"] as const).filter((family) => rules[family].length > 0).map((
    family,
  ) =>
    `table ${family} ${table} {\n  chain postrouting {\n` +
    `    type nat hook postrouting priority 100; policy accept;\n` +
    `${rules[family].map((rule) => `    ${rule}\n`).join("")}  }\n}\n`
  );
  return { nftables: tables.join(""), routes, uplink };
}

/** The names and addresses of a node for all others: its loopback first. */
function hostOf(node: DraftNode, { ofPort }: Addresses): ResolvedHost[] {
  if (isOutside(node)) return [];
  const ports = [...node.ports.values()].sort((a, b) =>
    Number(b.kind === "loopback") - Number(a.kind === "loopback") || byName(a.name, b.name)
  );
  const addresses = ports.flatMap((port) => ofPort.get(port)!).map(addressText);
  return addresses.length === 0 ? [] : [{ name: node.name, addresses }];
}

function routeOf(
  { destination, gateway, dev, type = "unicast", ...rest }: RouteSpec,
): ResolvedRoute {
  const ipv6 = gateway?.includes(":") ?? false;
  const prefix = destination === "default"
    ? ipv6 ? "::/0" : "0.0.0.0/0"
    : netText(networkOf(parseNet(destination)));
  const way = {
    ...(gateway === undefined ? {} : { gateway }),
    ...(dev === undefined ? {} : { dev }),
  };
  const nexthops = gateway === undefined && dev === undefined ? [] : [way];
  return { destination: prefix, type, nexthops, ...rest, derived: false };
}

/** Derived routes, which are in order, with others: by family, table, destination and metric. */
function inOrder(
  derived: readonly ResolvedRoute[],
  others: readonly ResolvedRoute[],
): ResolvedRoute[] {
  if (others.length === 0) return [...derived];
  const keyed = [...derived, ...others].map((route) => ({
    route,
    key: sortKey(parseNet(route.destination)),
    table: route.table ?? RT_TABLE_MAIN,
  }));
  keyed.sort((a, b) =>
    byName(a.key[0]!, b.key[0]!) || a.table - b.table || byName(a.key, b.key) ||
    (a.route.metric ?? 0) - (b.route.metric ?? 0)
  );
  return keyed.map(({ route }) => route);
}

function ruleOf({ family, action, ...rest }: RuleSpec): ResolvedRule {
  const ipv6 = [rest.from, rest.to].some((prefix) => prefix?.includes(":"));
  return { family: family ?? (ipv6 ? "inet6" : "inet"), ...rest, action: action ?? "lookup" };
}

function argv(command: string | readonly string[]): [string, ...string[]] {
  if (typeof command === "string") return ["sh", "-c", command];
  return [command[0]!, ...command.slice(1)];
}

function onceOf(line: string): ResolvedCommand {
  return { command: argv(line), ready: { kind: "exit" }, timeout: TIMEOUT };
}

function commandOf(run: string | RunSpec): ResolvedCommand {
  const { command, ready, timeout = TIMEOUT } = typeof run === "string" ? { command: run } : run;
  return { command: argv(command), ready: readinessOf(ready), timeout: parseTime(timeout) };
}

function readinessOf(ready: ReadySpec | undefined): Readiness {
  if (ready === undefined) return { kind: "started" };
  if ("log" in ready) return { kind: "log", text: ready.log };
  if ("command" in ready) return { kind: "command", command: argv(ready.command) };
  if (typeof ready.tcp === "number") return { kind: "tcp", port: ready.tcp };
  const [, address = "", port] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(ready.tcp) ?? [];
  return { kind: "tcp", port: Number(port), address };
}

/** Checks the names in routes, rules and settings of nodes. */
function checkReferences({ nodes }: Draft, problems: Problems): void {
  for (const node of nodes.values()) {
    const known = (name: string | undefined, path: readonly (string | number)[]) => {
      if (name === undefined || node.ports.has(name) || !isOwn(node)) return;
      const names = [...node.ports.keys()].sort(byName).join(", ");
      problems.at(path, `must be an interface of ${node.name}, one of ${names}: got ${show(name)}`);
    };
    for (const [i, route] of (node.spec.routes ?? []).entries()) {
      const path = [...node.path, "routes", i];
      known(route.dev, [...path, "dev"]);
      const dead = route.type !== undefined && route.type !== "unicast";
      if (dead === (route.gateway === undefined && route.dev === undefined)) continue;
      problems.at(
        path,
        dead ? "goes nowhere: leave gateway and dev out" : `needs "gateway" or "dev"`,
      );
    }
    for (const [i, rule] of (node.spec.rules ?? []).entries()) {
      const path = [...node.path, "rules", i];
      known(rule.iif, [...path, "iif"]);
      known(rule.oif, [...path, "oif"]);
      if ((rule.table === undefined) === (rule.action === undefined)) {
        problems.at(path, `needs either "table" or "action"`);
      }
    }
  }
}
