/**
 * Routes: RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE (`linux/rtnetlink.h`).
 *
 * @module
 */
import { NLM_F } from "../netlink/constants.ts";
import type { DumpRequest, Request } from "../netlink/message.ts";
import type { Scope } from "./address.ts";
import { AF, RTM } from "./constants.ts";
import { familyNumber, type IpFamily, isOfFamily } from "./fields.ts";
import type { RouteCacheInfo, RouteFlag, RouteMetrics } from "./route_attributes.ts";
import { routeCommand, routeGetCommand, routeShowCommand } from "./route_command.ts";
import {
  familyOf,
  lookupFormat,
  readRoute,
  routeDeletionFormat,
  routeDumpFormat,
  type RouteDumpMessage,
  routeFormat,
  withoutReported,
} from "./route_format.ts";
import {
  ROUTE_PROTOCOLS,
  ROUTE_TABLES,
  ROUTE_TYPES,
  type RoutePreference,
  type RouteProtocol,
  type RouteTable,
  type RouteType,
} from "./route_names.ts";
import { checkOptions, type OptionNames } from "../options.ts";

/** One of several ways a route goes; the kernel spreads flows over them. */
export interface RouteNexthop {
  /** The router; for an IPv4 route it may have an IPv6 address. */
  gateway?: string;
  /** Index of the link packets leave through. */
  oif?: number;
  /** Its share, 1..256; default 1. */
  weight?: number;
  /** Take the router to be on the link though no address of the link covers it. */
  onlink?: boolean;
  /** Kind of encapsulation, LWTUNNEL_ENCAP_*. */
  encapType?: number;
  /** The encapsulation's attributes as bytes. */
  encap?: Uint8Array;
}

/** One of several nexthops as the kernel reports it. */
export interface RouteNexthopInfo extends RouteNexthop {
  /** Its share, 1..256. */
  weight: number;
  /** Its flags. */
  flags: RouteFlag[];
}

/** A route, to be set. A {@link RouteInfo} is one: what only the kernel can say is left out then. */
export interface RouteMessage {
  /** Where to: a prefix such as `10.0.0.0/8`, an address, or `default`. */
  destination: string;
  /** `inet` for IPv4, `inet6` for IPv6; default: as the addresses are, IPv4 when there are none. */
  family?: IpFamily;
  /** IPv6: only packets from this prefix. Needs a kernel with CONFIG_IPV6_SUBTREES. */
  source?: string;
  /** What becomes of the packets; default `unicast`. */
  type?: RouteType | number;
  /** The router; for an IPv4 route it may have an IPv6 address. */
  gateway?: string;
  /** Index of the link packets leave through. */
  oif?: number;
  /** Several ways instead of `gateway` and `oif`. */
  nexthops?: RouteNexthop[];
  /** Id of a nexthop object, instead of `gateway`, `oif` and `nexthops`. */
  nexthopId?: number;
  /** Take the router to be on the link though no address of the link covers it. */
  onlink?: boolean;
  /** Of routes to the same destination the one with the lowest is used; default 0, IPv6 1024. */
  metric?: number;
  /** The table; default `main`, for local, broadcast and anycast routes `local`. */
  table?: RouteTable | number;
  /** Who made it; default `boot`. */
  protocol?: RouteProtocol | number;
  /** IPv4: how far the destination is; default by `type` and `gateway`, as `ip route` has it. */
  scope?: Scope | number;
  /** Source address for packets that have none yet. */
  prefsrc?: string;
  /** IPv4: only packets with this type of service. */
  tos?: number;
  /** What TCP and IP do on this route. */
  metrics?: RouteMetrics;
  /** IPv6: rank among default routers (RFC 4191). */
  pref?: RoutePreference | number;
  /** IPv6: seconds until it is removed; default never. */
  expires?: number;
  /** Kind of encapsulation, LWTUNNEL_ENCAP_*. */
  encapType?: number;
  /** The encapsulation's attributes as bytes. */
  encap?: Uint8Array;
}

/** A route as the kernel reports it. */
export interface RouteInfo {
  /** `inet` for IPv4, `inet6` for IPv6. */
  family: IpFamily;
  /** Where to: a prefix, or `default` for that of length 0. */
  destination: string;
  /** IPv6: the prefix packets come from. */
  source?: string;
  /** What becomes of the packets. */
  type: RouteType | number;
  /** The router. */
  gateway?: string;
  /** Index of the link packets leave through. */
  oif?: number;
  /** Index of the link packets came in by, in answers of {@link getRoute}. */
  iif?: number;
  /** The ways of a route that has several. */
  nexthops?: RouteNexthopInfo[];
  /** Id of its nexthop object. */
  nexthopId?: number;
  /** The router counts as on the link though no address of the link covers it. */
  onlink?: boolean;
  /** Of routes to the same destination the one with the lowest is used; absent for 0. */
  metric?: number;
  /** The table. */
  table: RouteTable | number;
  /** Who made it. */
  protocol: RouteProtocol | number;
  /** How far the destination is; always `global` for IPv6. */
  scope: Scope | number;
  /** Source address for packets that have none yet. */
  prefsrc?: string;
  /** Type of service of the packets; 0 for any. */
  tos: number;
  /** What TCP and IP do on this route. */
  metrics?: RouteMetrics;
  /** IPv6: rank among default routers. */
  pref?: RoutePreference | number;
  /** Seconds until it is removed; absent for never. */
  expires?: number;
  /** Its flags. */
  flags: RouteFlag[];
  /** Traffic classes (realms): from in the high 16 bits, to in the low ones. */
  flow?: number;
  /** Firewall mark it was looked up for. */
  mark?: number;
  /** User it was looked up for. */
  uid?: number;
  /** Use of the route, and the error of those that drop packets. */
  cacheInfo?: RouteCacheInfo;
  /** Kind of encapsulation, LWTUNNEL_ENCAP_*. */
  encapType?: number;
  /** The encapsulation's attributes as bytes. */
  encap?: Uint8Array;
}

/** Options of {@link newRoute}. */
export interface NewRouteOptions {
  /** Put it in the place of the route that has its destination, metric and type of service. */
  readonly replace?: boolean;
  /** Add it after the routes that have its destination, metric and type of service. */
  readonly append?: boolean;
}

const NEW_OPTIONS = { replace: true, append: true };

/**
 * Adds a route; with EEXIST refused where the table has one with its destination, metric and type of
 * service, unless the options say otherwise.
 *
 * @example A default route that is used when no other is, and the way through it
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import { connectionTo } from "@netloom/netloom/netlink";
 * import { getRoute, newRoute } from "@netloom/netloom/rtnetlink";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * Veth.create({
 *   name: "v0",
 *   netns,
 *   up: true,
 *   addresses: ["192.0.2.1/24"],
 *   peer: { name: "v1", netns, up: true },
 * });
 * const connection = connectionTo(netns.ref);
 * connection.request(newRoute({ destination: "default", gateway: "192.0.2.254", metric: 1000 }));
 * assertEquals(connection.request(getRoute("203.0.113.7")).gateway, "192.0.2.254");
 * ```
 */
export function newRoute(
  message: RouteMessage,
  options: NewRouteOptions = {},
): Request<undefined> {
  checkOptions(options, NEW_OPTIONS);
  const { replace = false, append = false } = options;
  if (replace && append) throw new TypeError("replace and append exclude each other");
  const verb = replace ? "replace" : append ? "append" : "add";
  const settable = withoutReported(message);
  return {
    type: RTM.NEWROUTE,
    typeName: "RTM_NEWROUTE",
    flags: NLM_F.CREATE | (replace ? NLM_F.REPLACE : append ? NLM_F.APPEND : NLM_F.EXCL),
    operation: `${verb} ${describeRoute(message)}`,
    format: routeFormat,
    message: settable,
    command: () => routeCommand(verb, settable, familyOf(settable)),
  };
}

/**
 * Removes a route: the first that matches in all that the message has. A {@link RouteInfo} will do.
 * ESRCH when there is none.
 */
export function deleteRoute(message: RouteMessage): Request<undefined> {
  const settable = withoutReported(message);
  return {
    type: RTM.DELROUTE,
    typeName: "RTM_DELROUTE",
    flags: 0,
    operation: `delete ${describeRoute(message)}`,
    format: routeDeletionFormat,
    message: settable,
    command: () => routeCommand("delete", settable, familyOf(settable)),
  };
}

function describeRoute({ destination, gateway }: RouteMessage): string {
  return `route ${destination}${gateway === undefined ? "" : ` via ${gateway}`}`;
}

/** What the packets are like that {@link getRoute} asks for. */
export interface GetRouteOptions {
  /** Their source address; default: the kernel chooses. */
  readonly from?: string;
  /** Index of the link they are bound to. */
  readonly oif?: number;
  /** Index of the link they come in by: the route of a forwarded packet. */
  readonly iif?: number;
  /** Their firewall mark. */
  readonly mark?: number;
  /** The user that sends them. */
  readonly uid?: number;
  /** Their type of service. */
  readonly tos?: number;
  /** Their IP protocol: 6 TCP, 17 UDP. */
  readonly ipProtocol?: number;
  /** Their source port. */
  readonly sport?: number;
  /** Their destination port. */
  readonly dport?: number;
  /** Answer with the entry of the table instead of the route made of it. */
  readonly fibMatch?: boolean;
}

/**
 * Asks which route packets to an address take. ENETUNREACH, EHOSTUNREACH, EACCES or EINVAL when they
 * are dropped.
 *
 * @param destination The address.
 * @param options What else the packets have.
 */
export function getRoute(
  destination: string,
  options: GetRouteOptions = {},
): Request<RouteInfo> {
  return {
    type: RTM.GETROUTE,
    typeName: "RTM_GETROUTE",
    flags: 0,
    operation: `get the route to ${destination}`,
    format: lookupFormat,
    message: { destination, ...options },
    reply: readRoute,
    command: () => routeGetCommand(destination, options),
  };
}

/** What a dump of routes is limited to. */
export interface RouteFilter {
  /** Only IPv4 (`inet`) or IPv6 (`inet6`). */
  readonly family?: IpFamily;
  /** Only this table. */
  readonly table?: RouteTable | number;
  /** Only routes through this link. ENODEV when there is none. */
  readonly oif?: number;
  /** Only routes of this maker. */
  readonly protocol?: RouteProtocol | number;
  /** Only routes of this type. */
  readonly type?: RouteType | number;
}

const FILTER: OptionNames<RouteFilter> = {
  family: true,
  table: true,
  oif: true,
  protocol: true,
  type: true,
};

/** Reads the routes of all tables, or those that the filter lets through. */
export function dumpRoutes(filter: RouteFilter = {}): DumpRequest<RouteInfo> {
  checkOptions(filter, FILTER);
  const { family, table, oif, protocol, type } = filter;
  // Asked for one family, the kernel refuses a table that is not there yet; asked for all, it is empty.
  const number = familyNumber(family);
  const asked = table === undefined ? number : AF.UNSPEC;
  const request: DumpRequest<RouteInfo> = {
    type: RTM.GETROUTE,
    typeName: "RTM_GETROUTE",
    flags: 0,
    operation: "list routes",
    format: routeDumpFormat,
    message: { ...filter, family: asked } satisfies RouteDumpMessage,
    reply: readRoute,
    // All families are more than IP's, and old kernels add what is cached.
    filter: (entry) =>
      isOfFamily(entry.family, family) &&
      !entry.flags.includes("cloned") &&
      sameNumber(ROUTE_TABLES, table, entry.table) &&
      sameNumber(ROUTE_PROTOCOLS, protocol, entry.protocol) &&
      sameNumber(ROUTE_TYPES, type, entry.type) &&
      (oif === undefined || goesThrough(entry, oif)),
    command: () => routeShowCommand(filter),
  };
  return { ...request, fallback: { ...request, message: { family: asked } } };
}

function sameNumber<K extends string>(
  names: Readonly<Record<K, number>>,
  wanted: K | number | undefined,
  actual: K | number,
): boolean {
  if (wanted === undefined) return true;
  const number = (value: K | number) => typeof value === "number" ? value : names[value];
  return number(wanted) === number(actual);
}

function goesThrough({ oif, nexthops, nexthopId }: RouteInfo, index: number): boolean {
  if (oif === undefined && !nexthops) return nexthopId !== undefined; // Only the kernel knows.
  return oif === index || !!nexthops?.some((nexthop) => nexthop.oif === index);
}
