/**
 * Requests for routes: RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE.
 *
 * @module
 */
import { type DumpRequest, type MessageFormat, NLM_F, type Request } from "../netlink/message.ts";
import type { Writer } from "../netlink/bytes.ts";
import { parseIp } from "../packet/address.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import {
  AF,
  ROUTE_PROTOCOLS,
  ROUTE_TABLES,
  ROUTE_TYPES,
  type RouteProtocol,
  type RouteTable,
  type RouteType,
  RTM,
} from "./constants.ts";
import {
  byteValue,
  checkFamily,
  familyNumber,
  familyOption,
  type IpFamily,
  isOfFamily,
} from "./fields.ts";
import { type RouteAttributes, type RouteMetrics, routeSchema, RTM_F } from "./route_attributes.ts";
import {
  familyOf,
  isRouteInfo,
  readRoute,
  ROUTE_HEADER,
  ROUTE_OPTIONS,
  routeDeletionFormat,
  routeFormat,
  type RouteInfo,
  type RouteMessage,
  type RouteNexthop,
  settableRoute,
} from "./route_message.ts";

/** Options of {@link newRoute}. */
export interface NewRouteOptions {
  /** Put it in the place of the route that has its destination, metric and type of service. */
  readonly replace?: boolean;
  /** Add it after the routes that have its destination, metric and type of service. */
  readonly append?: boolean;
}

const NEW_OPTIONS: OptionNames<NewRouteOptions> = { replace: true, append: true };

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
  route: RouteMessage | RouteInfo,
  options: NewRouteOptions = {},
): Request<undefined> {
  checkOptions(options, NEW_OPTIONS);
  const { replace = false, append = false } = options;
  if (replace && append) throw new TypeError("replace and append exclude each other");
  return new RouteRequest(replace ? "replace" : append ? "append" : "add", settable(route));
}

/**
 * Removes a route: the first that matches in all that the message has. A {@link RouteInfo} will do.
 * ESRCH when there is none.
 */
export function deleteRoute(route: RouteMessage | RouteInfo): Request<undefined> {
  return new RouteRequest("delete", settable(route));
}

function settable(route: RouteMessage | RouteInfo): RouteMessage {
  if (isRouteInfo(route)) return settableRoute(route);
  checkOptions(route, ROUTE_OPTIONS);
  return route;
}

/** The flags of the messages that change routes. */
const VERBS = {
  add: NLM_F.CREATE | NLM_F.EXCL,
  append: NLM_F.CREATE | NLM_F.APPEND,
  replace: NLM_F.CREATE | NLM_F.REPLACE,
  delete: 0,
} as const;

/** A request to change a route. There may be a hundred thousand: texts are composed when they are read. */
export class RouteRequest implements Request<undefined> {
  /** The route. */
  readonly message: RouteMessage;
  readonly #verb: keyof typeof VERBS;

  /**
   * Does not check the names of options.
   *
   * @param verb The change.
   * @param message The route.
   */
  constructor(verb: keyof typeof VERBS, message: RouteMessage) {
    this.#verb = verb;
    this.message = message;
  }

  /** The message type. */
  get type(): number {
    return this.#verb === "delete" ? RTM.DELROUTE : RTM.NEWROUTE;
  }

  /** The type's name. */
  get typeName(): string {
    return this.#verb === "delete" ? "RTM_DELROUTE" : "RTM_NEWROUTE";
  }

  /** `NLM_F_*` bits. */
  get flags(): number {
    return VERBS[this.#verb];
  }

  /** The action and its object, for errors. */
  get operation(): string {
    const { destination, gateway } = this.message;
    const via = gateway === undefined ? "" : ` via ${gateway}`;
    return `${this.#verb} route ${destination}${via}`;
  }

  /** The framing. */
  get format(): MessageFormat<RouteMessage, RouteInfo> {
    return this.#verb === "delete" ? routeDeletionFormat : routeFormat;
  }

  /** The equivalent command line. */
  command(): string {
    return routeCommand(this.#verb, this.message, familyOf(this.message));
  }
}

/** The packets for which {@link getRoute} asks. */
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
  /** Answer with the entry of the table instead of the route derived from it. */
  readonly fibMatch?: boolean;
}

const LOOKUP: OptionNames<GetRouteOptions> = {
  from: true,
  oif: true,
  iif: true,
  mark: true,
  uid: true,
  tos: true,
  ipProtocol: true,
  sport: true,
  dport: true,
  fibMatch: true,
};

/**
 * Asks which route packets to an address take. ENETUNREACH, EHOSTUNREACH, EACCES or EINVAL when they
 * are dropped.
 *
 * @param destination The address.
 * @param options Further properties of the packets.
 */
export function getRoute(
  destination: string,
  options: GetRouteOptions = {},
): Request<RouteInfo> {
  checkOptions(options, LOOKUP);
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

/** A filter for routes: a route must match all of it. */
export interface RouteFilter {
  /** Only IPv4 (`inet`) or IPv6 (`inet6`). */
  readonly family?: IpFamily;
  /** Only this table. */
  readonly table?: RouteTable | number;
  /** Only routes through this link. ENODEV when there is none. */
  readonly oif?: number;
  /** Only routes of this origin. */
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
  familyNumber(family); // refuses an unknown one
  // Asked for one family, the kernel refuses a table that is not there yet, and silently leaves out a route
  // that does not fit into a message; asked for all families, the table is empty, and the route an error.
  const all = { family: AF.UNSPEC };
  const request: DumpRequest<RouteInfo> = {
    type: RTM.GETROUTE,
    typeName: "RTM_GETROUTE",
    flags: 0,
    operation: "list routes",
    format: routeDumpFormat,
    message: { ...filter, ...all } satisfies RouteDumpMessage,
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
  return { ...request, fallback: { ...request, message: all } };
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

/** The framing of lookups. */
const lookupFormat: MessageFormat<RouteLookup, RouteInfo> = {
  ...routeFormat,
  write: writeLookup,
};

/** A lookup's body. */
interface RouteLookup extends GetRouteOptions {
  readonly destination: string;
}

function writeLookup(writer: Writer, message: RouteLookup): void {
  const { destination, from, fibMatch = false, tos = 0, ...attributes } = message;
  const address = parseIp(destination);
  const family = address.length === 4 ? AF.INET : AF.INET6;
  if (from !== undefined) checkFamily(parseIp(from), family, "from");
  const at = writer.reserve(ROUTE_HEADER);
  writer.bytes[at] = family;
  writer.bytes[at + 1] = address.length * 8;
  writer.bytes[at + 2] = from === undefined ? 0 : address.length * 8;
  // IPv6 always names the table, and takes no flag for it.
  const flags = (fibMatch ? RTM_F.FIB_MATCH : 0) | (family === AF.INET ? RTM_F.LOOKUP_TABLE : 0);
  writer.view.setUint32(at + 8, flags, true);
  writer.bytes[at + 3] = byteValue(tos, {}, "tos");
  routeSchema.write(writer, {
    destination,
    ...(from === undefined ? {} : { source: from }),
    ...attributes,
  });
}

/** The framing of dumps. */
const routeDumpFormat: MessageFormat<RouteDumpMessage, RouteInfo> = {
  headerLength: ROUTE_HEADER,
  schemaOf: () => routeSchema,
  write: writeDump,
  read: readRoute,
};

/** A dump's body: a filter with the number of its family. */
interface RouteDumpMessage {
  readonly family: number;
  readonly table?: RouteFilter["table"];
  readonly oif?: number;
  readonly protocol?: RouteFilter["protocol"];
  readonly type?: RouteFilter["type"];
}

function writeDump(writer: Writer, message: RouteDumpMessage): void {
  const { family, protocol = "unspec", type = "unspec", table, oif } = message;
  const at = writer.reserve(ROUTE_HEADER);
  writer.bytes[at] = family;
  writer.bytes[at + 5] = byteValue(protocol, ROUTE_PROTOCOLS, "protocol");
  writer.bytes[at + 7] = byteValue(type, ROUTE_TYPES, "type");
  const attributes: RouteAttributes = {};
  if (table !== undefined) attributes.table = table;
  if (oif !== undefined) attributes.oif = oif;
  routeSchema.write(writer, attributes);
}

/** iproute2's words for metrics it does not call as they are called here. */
const METRIC_WORDS: Partial<Record<keyof RouteMetrics, string>> = {
  rtoMin: "rto_min",
  ccAlgo: "congctl",
  fastopenNoCookie: "fastopen_no_cookie",
};

/** The metrics that iproute2 reads as times, with the parts of a millisecond the kernel counts in. */
const TIMES: Partial<Record<keyof RouteMetrics, number>> = { rtt: 8, rttvar: 4, rtoMin: 1 };

/** `ip route add ...`, or another verb. */
function routeCommand(verb: string, message: RouteMessage, family: number): string {
  const { destination, source, type, onlink, metrics, nexthops } = message;
  return `ip${family === AF.INET6 ? " -6" : ""} route ${verb}` +
    (type === undefined || type === "unicast" ? "" : ` ${type}`) + ` ${destination}` +
    word("from", source) + tosWord(message.tos) +
    word("table", message.table) + word("proto", message.protocol) +
    (family === AF.INET6 ? "" : word("scope", message.scope)) + word("metric", message.metric) +
    router(message, family) +
    word("src", message.prefsrc) + (metrics ? metricWords(metrics) : "") +
    word("pref", message.pref) + word("expires", message.expires) +
    word("nhid", message.nexthopId) + (onlink ? " onlink" : "") +
    (nexthops ?? []).map((nexthop) =>
      " nexthop" + router(nexthop, family) + word("weight", nexthop.weight) +
      (nexthop.onlink ? " onlink" : "")
    ).join("");
}

/** `ip route get ...` */
function routeGetCommand(destination: string, options: GetRouteOptions): string {
  const { from, iif, oif, mark, uid, tos, ipProtocol, sport, dport, fibMatch } = options;
  return `ip route get${fibMatch ? " fibmatch" : ""} ${destination}` + word("from", from) +
    tosWord(tos) + device("iif", iif) + device("oif", oif) + word("mark", mark) +
    word("uid", uid) + word("ipproto", ipProtocol) + word("sport", sport) + word("dport", dport);
}

/** `ip route show ...` */
function routeShowCommand(filter: RouteFilter): string {
  const { family, table, oif, protocol, type } = filter;
  return `ip${familyOption(family)} route show` +
    word("table", table ?? "all") + device("dev", oif) + word("proto", protocol) +
    word("type", type);
}

function word(name: string, value: string | number | undefined): string {
  return value === undefined ? "" : ` ${name} ${value}`;
}

/** iproute2 reads it as hexadecimal, with or without the prefix. */
function tosWord(tos = 0): string {
  return tos === 0 ? "" : ` tos 0x${tos.toString(16)}`;
}

function device(name: string, index: number | undefined): string {
  return index === undefined ? "" : ` ${name} if${index}`;
}

function router({ gateway, oif }: RouteNexthop, family: number): string {
  const other = family === AF.INET && gateway?.includes(":") ? "inet6 " : "";
  return (gateway === undefined ? "" : ` via ${other}${gateway}`) + device("dev", oif);
}

function metricWords({ lock = [], ...metrics }: RouteMetrics): string {
  let words = "";
  for (const [key, value] of Object.entries(metrics)) {
    if (value === undefined) continue;
    const name = key as keyof typeof metrics;
    // iproute2 always locks rto_min, and has no word for it.
    const locked = lock.includes(name) && name !== "rtoMin" ? "lock " : "";
    words += ` ${METRIC_WORDS[name] ?? name} ${locked}${metricValue(name, value)}`;
  }
  return words;
}

function metricValue(name: keyof RouteMetrics, value: unknown): unknown {
  if (name === "features") return "ecn";
  if (typeof value !== "number") return typeof value === "boolean" ? Number(value) : value;
  const parts = TIMES[name];
  if (parts === undefined) return value;
  // It rounds times with a unit up; without one they are in the kernel's parts.
  return Number.isInteger(value) ? `${value}ms` : value * parts;
}
