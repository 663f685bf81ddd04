/**
 * The VLANs, addresses, routes and policy rules of a node, as steps.
 *
 * @module
 */
import type { Request } from "../netlink/message.ts";
import { deleteAddress, newAddress } from "../rtnetlink/address.ts";
import { addBridgeVlan, type BridgeVlan, deleteBridgeVlan } from "../rtnetlink/bridge_vlan.ts";
import { deleteRoute, RouteRequest } from "../rtnetlink/route.ts";
import type { RouteInfo, RouteMessage, RouteNexthop } from "../rtnetlink/route_message.ts";
import { ROUTE_TABLES } from "../rtnetlink/constants.ts";
import { deletePolicyRule, newPolicyRule, type PolicyRuleInfo } from "../rtnetlink/rule.ts";
import type { Living } from "./living.ts";
import type {
  ResolvedInterface,
  ResolvedNexthop,
  ResolvedNode,
  ResolvedRoute,
  ResolvedRule,
} from "./resolved.ts";
import type { Step } from "./steps.ts";

/** A node and its state. */
export interface NodeContext {
  /** The node. */
  readonly node: ResolvedNode;
  /** The same node in topologies before. */
  readonly before: readonly ResolvedNode[];
  /** Its state; `undefined` for a node that is created. */
  readonly living: Living | undefined;
  /** The indexes of links, by `node:name`. */
  readonly indexes: ReadonlyMap<string, number>;
  /** Names of the links that are there, or are created by then. */
  readonly usable: ReadonlySet<string>;
}

/** Steps of a node. */
export interface NodeSteps {
  /** Creations and changes. */
  readonly build: Step[];
  /** Removals. */
  readonly remove: Step[];
}

/** Compares the VLANs, addresses, routes and rules of a node. */
export function layerThree(context: NodeContext): NodeSteps {
  const steps: NodeSteps = { build: [], remove: [] };
  const { node, before, usable } = context;
  const versions = before.map(({ interfaces }) => interfaces)
    .filter((interfaces) => interfaces !== node.interfaces);
  const old = Map.groupBy(versions.flat(), ({ name }) => name);
  for (const it of node.interfaces) {
    if (!usable.has(it.name)) continue;
    const was = old.get(it.name) ?? [];
    if (it.vlans || was.some(({ vlans }) => vlans)) compareVlans(context, it, steps);
    compareAddresses({ ...context, was }, it, steps);
  }
  compareRoutes(context, steps);
  compareRules(context, steps);
  return steps;
}

type Verb = Step["verb"];

function step(
  { node: { name } }: NodeContext,
  verb: Verb,
  object: string,
  request: Request<undefined>,
): Step {
  const action = { kind: "request", via: name, request } as const;
  return { verb, node: name, object, action };
}

function indexOf({ node, indexes, living }: NodeContext, name: string): number {
  return indexes.get(`${node.name}:${name}`) ?? living!.links.get(name)!.index!;
}

/** The VLANs that the kernel gives to a new port. */
function defaultVlans({ node }: NodeContext, { master }: ResolvedInterface): BridgeVlan[] {
  const bridge = node.interfaces.find(({ name }) => name === master);
  const vid = Number(bridge?.options.vlanDefaultPvid ?? 1);
  return vid === 0 ? [] : [{ vid, pvid: true, untagged: true }];
}

function expanded(vlans: readonly BridgeVlan[]): Map<number, BridgeVlan> {
  return new Map(
    vlans.flatMap(({ vid, end = vid, pvid, untagged }) =>
      Array.from({ length: end - vid + 1 }, (_, i) => [vid + i, { vid: vid + i, pvid, untagged }])
    ),
  );
}

function compareVlans(context: NodeContext, it: ResolvedInterface, { build }: NodeSteps): void {
  const index = indexOf(context, it.name);
  const what = `${context.node.name}:${it.name}`;
  const wanted = expanded(it.vlans ?? defaultVlans(context, it));
  const link = context.living?.links.get(it.name);
  const isPort = link !== undefined && link.index === index && !!link.master;
  const has = expanded(
    isPort ? context.living!.vlans.get(index) ?? [] : defaultVlans(context, it),
  );
  for (const vid of has.keys()) {
    if (wanted.has(vid)) continue;
    const object = `VLAN ${vid} of ${what}`;
    build.push(step(context, "change", object, deleteBridgeVlan({ index, vid })));
  }
  for (const [vid, { pvid, untagged }] of wanted) {
    const old = has.get(vid);
    if (old?.pvid === pvid && old.untagged === untagged) continue;
    const request = addBridgeVlan({ index, vid, pvid, untagged });
    build.push(step(context, old ? "change" : "create", `VLAN ${vid} of ${what}`, request));
  }
}

/** The text of an address that both sides have in common: the kernel writes IPv6 in its short form. */
function plainAddress(address: string): string {
  if (!address.includes(":")) return address;
  const [host, length] = address.split("/");
  return `${new URL(`http://[${host}]`).hostname.slice(1, -1)}/${length}`;
}

function compareAddresses(
  context: NodeContext & { readonly was: readonly ResolvedInterface[] },
  it: ResolvedInterface,
  { build, remove }: NodeSteps,
): void {
  const index = indexOf(context, it.name);
  const end = `${context.node.name}:${it.name}`;
  const has = new Set(
    (context.living?.addresses.get(index) ?? []).map(({ address }) => plainAddress(address)),
  );
  const wanted = new Set(it.addresses.map(plainAddress));
  for (const address of it.addresses) {
    if (has.has(plainAddress(address))) continue;
    const nodad = it.nodad && address.includes(":");
    const request = newAddress({ index, address, ...(nodad && { flags: ["nodad"] }) });
    build.push(step(context, "create", `address ${address} of ${end}`, request));
  }
  const old = context.was.flatMap(({ addresses }) => addresses);
  for (const address of new Set(old)) {
    if (wanted.has(plainAddress(address)) || !has.has(plainAddress(address))) continue;
    const request = deleteAddress({ index, address });
    remove.push(step(context, "remove", `address ${address} of ${end}`, request));
  }
}

/** A route as a request has it. */
function routeMessage(context: NodeContext, route: ResolvedRoute): RouteMessage {
  const message = bare(route);
  const { nexthops, prefsrc } = route;
  if (prefsrc !== undefined) message.prefsrc = prefsrc;
  const hop = ({ gateway, dev, weight }: ResolvedNexthop): RouteNexthop => {
    const hop: RouteNexthop = {};
    if (gateway !== undefined) hop.gateway = gateway;
    if (dev !== undefined) hop.oif = indexOf(context, dev);
    if (weight !== undefined) hop.weight = weight;
    return hop;
  };
  if (nexthops.length > 1) message.nexthops = nexthops.map(hop);
  else if (nexthops.length === 1) {
    const { gateway, oif } = hop(nexthops[0]!);
    if (gateway !== undefined) message.gateway = gateway;
    if (oif !== undefined) message.oif = oif;
  }
  return message;
}

/** A route without its next hops, whose links may be gone. */
function bare({ destination, type, metric, table }: ResolvedRoute): RouteMessage {
  const family = destination.includes(":") ? "inet6" : "inet";
  const message: RouteMessage = { destination, protocol: "static", family };
  if (type !== "unicast") message.type = type;
  if (metric !== undefined) message.metric = metric;
  if (table !== undefined) message.table = table;
  return message;
}

/** What the kernel tells routes apart by. */
function keyOf({ destination, family, metric, table, type }: RouteMessage | RouteInfo): string {
  const isMain = table === undefined || table === "main" || table === 254;
  if (family !== "inet6") {
    const prefix = destination === "0.0.0.0/0" ? "default" : destination!;
    // An unreachable route of IPv4 is in the place of another one. Most routes need no text of their own.
    return isMain && !metric ? prefix : `${prefix} ${metric ?? 0} ${isMain ? "main" : table}`;
  }
  const prefix = destination === "default" ? "::/0" : plainAddress(destination!);
  return `${prefix} ${metric ?? 1024} ${isMain ? "main" : table} ${type ?? "unicast"}`;
}

/** Whether a living route has the next hops and the kind of the wanted one. */
function sameRoute(has: RouteInfo, wanted: RouteMessage): boolean {
  if (has.type !== (wanted.type ?? "unicast")) return false;
  if (wanted.prefsrc !== undefined && has.prefsrc !== wanted.prefsrc) return false;
  if (!has.nexthops && !wanted.nexthops) return sameHop(has, wanted);
  const hops = ({ nexthops, gateway, oif }: RouteInfo | RouteMessage) =>
    (nexthops ?? [{ gateway, oif }]) as RouteNexthop[];
  const [old, next] = [hops(has), hops(wanted)];
  return old.length === next.length &&
    next.every((hop) =>
      old.some((it) => sameHop(it, hop) && (it.weight ?? 1) === (hop.weight ?? 1))
    );
}

function sameHop(
  has: Pick<RouteInfo, "gateway" | "oif">,
  { gateway, oif }: Pick<RouteMessage, "gateway" | "oif">,
): boolean {
  if (oif !== undefined && has.oif !== oif) return false;
  return gateway === undefined || gateway === has.gateway ||
    has.gateway !== undefined && plainAddress(has.gateway) === plainAddress(gateway);
}

function compareRoutes(context: NodeContext, { build, remove }: NodeSteps): void {
  const { node, before, living, usable } = context;
  const has = Map.groupBy(living?.routes ?? [], keyOf);
  const isUsable = ({ dev }: ResolvedNexthop) => dev === undefined || usable.has(dev);
  for (const route of node.routes) {
    if (!route.nexthops.every(isUsable)) continue;
    const message = routeMessage(context, route);
    const old = has.size === 0 ? undefined : has.get(keyOf(message));
    if (old?.some((it) => sameRoute(it, message))) continue;
    const object = `route ${route.destination} of ${node.name}`;
    const request = new RouteRequest(old ? "replace" : "add", message);
    build.push(step(context, old ? "change" : "create", object, request));
  }
  const versions = before.filter(({ routes }) => routes !== node.routes);
  if (has.size === 0 || versions.length === 0) return;
  const wanted = new Set(node.routes.map((route) => keyOf(bare(route))));
  for (const route of versions.flatMap(({ routes }) => routes)) {
    const key = keyOf(bare(route));
    if (wanted.has(key)) continue;
    wanted.add(key);
    for (const old of has.get(key) ?? []) {
      if (old.protocol !== "static") continue;
      const object = `route ${route.destination} of ${node.name}`;
      remove.push(step(context, "remove", object, deleteRoute(old)));
    }
  }
}

function compareRules({ node, before, living }: NodeContext, { build, remove }: NodeSteps): void {
  const has = new Set(living?.rules.map(ruleText));
  const wanted = new Set(node.rules.map(ruleText));
  const add = (verb: "create" | "remove", rule: ResolvedRule, into: Step[]) => {
    const object = `rule ${rule.priority} of ${node.name}`;
    const sent = verb === "create" ? newPolicyRule(rule) : deletePolicyRule(rule);
    const action = { kind: "request", via: node.name, request: sent } as const;
    into.push({ verb, node: node.name, object, action });
  };
  for (const rule of node.rules) if (!has.has(ruleText(rule))) add("create", rule, build);
  const gone = new Set<string>();
  for (const rule of before.flatMap(({ rules }) => rules)) {
    const text = ruleText(rule);
    if (wanted.has(text) || !has.has(text) || gone.has(text)) continue;
    gone.add(text);
    add("remove", rule, remove);
  }
}

/** What makes two rules the same one. A rule of a topology has no more than the named properties. */
function ruleText(rule: ResolvedRule | PolicyRuleInfo): string {
  const { family, priority, from, to, iif, oif, fwmark, table, action, ...others } = rule;
  const { flags: _, protocol: __, ...rest }: Partial<PolicyRuleInfo> = others;
  const [source, destination] = [from, to].map((it) => it === undefined ? "" : plainAddress(it));
  const number = typeof table === "string" ? ROUTE_TABLES[table] : table;
  return [family, priority, source, destination, iif, oif, fwmark, number, action].join(" ") +
    JSON.stringify(rest);
}
