/**
 * Routes: RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE (`linux/rtnetlink.h`).
 *
 * @module
 */
import { named, show, u8 } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import { NLM_F } from "../netlink/constants.ts";
import type { DumpRequest, MessageFormat, Request } from "../netlink/message.ts";
import type { Schema } from "../netlink/schema.ts";
import { formatIp, parseIp, parsePrefix, type Prefix } from "../packet/address.ts";
import { type Scope, SCOPES } from "./address.ts";
import { AF, RTM } from "./constants.ts";
import { writeInHeader } from "./fields.ts";
import {
  type NexthopMessage,
  ROUTE_TABLES,
  type RouteAttributes,
  type RouteCacheInfo,
  type RouteMetrics,
  type RoutePreference,
  routeSchema,
  type RouteTable,
  RTM_F,
  RTNH_F,
} from "./route_attributes.ts";
import { routeCommand, routeGetCommand, routeShowCommand } from "./route_command.ts";

/** What becomes of packets a route matches. */
export type RouteType =
  | "unspec"
  | "unicast"
  | "local"
  | "broadcast"
  | "anycast"
  | "multicast"
  | "blackhole"
  | "unreachable"
  | "prohibit"
  | "throw"
  | "nat"
  | "xresolve";

/** The numbers of {@link RouteType}. */
export const ROUTE_TYPES: Readonly<Record<RouteType, number>> = {
  unspec: 0,
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
  nat: 10,
  xresolve: 11,
};

/** Who made a route, by the names in /etc/iproute2/rt_protos. */
export type RouteProtocol =
  | "unspec"
  | "redirect"
  | "kernel"
  | "boot"
  | "static"
  | "gated"
  | "ra"
  | "mrt"
  | "zebra"
  | "bird"
  | "dnrouted"
  | "xorp"
  | "ntk"
  | "dhcp"
  | "mrouted"
  | "keepalived"
  | "babel"
  | "openr"
  | "bgp"
  | "isis"
  | "ospf"
  | "rip"
  | "eigrp";

/** The numbers of {@link RouteProtocol}. */
export const ROUTE_PROTOCOLS: Readonly<Record<RouteProtocol, number>> = {
  unspec: 0,
  redirect: 1,
  kernel: 2,
  boot: 3,
  static: 4,
  gated: 8,
  ra: 9,
  mrt: 10,
  zebra: 11,
  bird: 12,
  dnrouted: 13,
  xorp: 14,
  ntk: 15,
  dhcp: 16,
  mrouted: 17,
  keepalived: 18,
  babel: 42,
  openr: 99,
  bgp: 186,
  isis: 187,
  ospf: 188,
  rip: 189,
  eigrp: 192,
};

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
  weight: number;
  /** `RTNH_F_*` bits. */
  flags: number;
}

/** A route, to be set. A {@link RouteInfo} is one: what only the kernel can say is left out then. */
export interface RouteMessage {
  /** Where to: a prefix such as `10.0.0.0/8`, an address, or `default`. */
  destination: string;
  /** 2 IPv4, 10 IPv6; default: as the addresses are, IPv4 when there are none. */
  family?: number;
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
  /** 2 IPv4, 10 IPv6. */
  family: number;
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
  /** `RTM_F_*` and `RTNH_F_*` bits. */
  flags: number;
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

const HEADER = 12;
const DEFAULT = "default";

const typeField = named(u8(0), ROUTE_TYPES);
const protocolField = named(u8(0), ROUTE_PROTOCOLS);
const scopeField = named(u8(0), SCOPES);
const tableField = named(u8(0), ROUTE_TABLES);
const tosField = u8(0);

/** Reads `struct rtmsg` and its attributes. */
export function readRoute(s: Source, start: number, end: number): RouteInfo {
  const { destination, source, gateway, via, nexthops, table, expires, ...rest } = routeSchema.read(
    s,
    start + HEADER,
    end,
  );
  const { bytes, view } = s;
  const lengthTo = bytes[start + 1]!;
  const flags = view.getUint32(start + 8, true);
  const router = gateway ?? via;
  const left = expires ?? Math.ceil((rest.cacheInfo?.expires ?? 0) / 100);
  return {
    family: bytes[start]!,
    destination: lengthTo === 0 ? DEFAULT : `${destination}/${lengthTo}`,
    ...(source === undefined ? {} : { source: `${source}/${bytes[start + 2]}` }),
    type: typeField.read(s, start + 7, 1),
    ...(router === undefined ? {} : { gateway: router }),
    ...(nexthops ? { nexthops: nexthops.map(nexthopInfo) } : {}),
    ...(flags & RTNH_F.ONLINK ? { onlink: true } : {}),
    table: table ?? tableField.read(s, start + 4, 1),
    protocol: protocolField.read(s, start + 5, 1),
    scope: scopeField.read(s, start + 6, 1),
    tos: bytes[start + 3]!,
    ...rest,
    ...(left > 0 ? { expires: left } : {}),
    flags,
  };
}

function nexthopInfo({ flow: _, gateway, via, oif, ...rest }: NexthopMessage): RouteNexthopInfo {
  const info: RouteNexthopInfo = rest;
  const router = gateway ?? via;
  if (router !== undefined) info.gateway = router;
  if (oif !== 0) info.oif = oif;
  if (info.flags & RTNH_F.ONLINK) info.onlink = true;
  return info;
}

/** What a {@link RouteInfo} has beyond what can be set. */
type Reported = Partial<Pick<RouteInfo, "iif" | "flags" | "flow" | "mark" | "uid" | "cacheInfo">>;

function withoutReported(message: RouteMessage & Reported): RouteMessage {
  const { iif: _1, flags: _2, flow: _3, mark: _4, uid: _5, cacheInfo: _6, ...settable } = message;
  return settable;
}

/** The family a message is for, by its addresses. */
function familyOf(message: RouteMessage): number {
  const { family, destination, source, gateway, prefsrc, nexthops = [] } = message;
  if (family !== undefined) return family;
  const [text] = [destination, source, gateway, prefsrc, ...nexthops.map((it) => it.gateway)]
    .filter((it) => it !== undefined && it !== DEFAULT);
  return text?.includes(":") ? AF.INET6 : AF.INET;
}

/** Refuses what the kernel would drop without a word. */
function checkFamily(message: RouteMessage, family: number): void {
  if (family !== AF.INET && family !== AF.INET6) {
    throw new RangeError(`family must be 2 or 10: the current value is ${show(family)}`);
  }
  const refused = family === AF.INET6
    ? ["tos", "scope"] as const
    : ["source", "pref", "expires"] as const;
  for (const key of refused) {
    const value = message[key];
    if (value === undefined || value === DEFAULT || value === 0 || value === "global") continue;
    const other = family === AF.INET6 ? "IPv4" : "IPv6";
    throw new TypeError(`${key} is for ${other} routes: the current value is ${show(value)}`);
  }
}

function checkAddress(address: Uint8Array, family: number, path: string): Uint8Array {
  if ((address.length === 16) === (family === AF.INET6)) return address;
  const version = family === AF.INET6 ? "IPv6" : "IPv4";
  throw new TypeError(
    `${path} must be an ${version} address: the current value is ${show(formatIp(address))}`,
  );
}

/** An IPv4 route may go through an IPv6 router, but not the other way round. */
function gatewayAttribute(
  gateway: string | undefined,
  family: number,
  path: string,
): { gateway?: string; via?: string } {
  if (gateway === undefined) return {};
  const address = parseIp(gateway);
  if (family === AF.INET && address.length === 16) return { via: gateway };
  checkAddress(address, family, path);
  return { gateway };
}

function defaultScope(type: number, direct: boolean): Scope {
  const T = ROUTE_TYPES;
  if (type === T.local || type === T.nat) return "host";
  if (type === T.broadcast || type === T.multicast || type === T.anycast) return "link";
  return direct && (type === T.unicast || type === T.unspec) ? "link" : "global";
}

function defaultTable(type: number): RouteTable {
  const T = ROUTE_TYPES;
  const own = type === T.local || type === T.broadcast || type === T.anycast || type === T.nat;
  return own ? "local" : "main";
}

/** Appends `struct rtmsg` and attributes. What a deletion leaves open matches anything. */
function writeRoute(writer: Writer, message: RouteMessage, deletion: boolean): void {
  const {
    destination: to,
    source: from = DEFAULT,
    family: _,
    type = deletion ? "unspec" : "unicast",
    protocol = deletion ? "unspec" : "boot",
    scope,
    tos = 0,
    table,
    gateway,
    nexthops,
    onlink = false,
    ...attributes
  } = withoutReported(message) as RouteMessage;
  const family = familyOf(message);
  checkFamily(message, family);
  const destination = prefixOf(to, family, "destination");
  const source = prefixOf(from, family, "source");
  if (attributes.prefsrc !== undefined) {
    checkAddress(parseIp(attributes.prefsrc), family, "prefsrc");
  }

  const at = writer.reserve(HEADER);
  writer.bytes[at] = family;
  writer.bytes[at + 1] = destination?.length ?? 0;
  writer.bytes[at + 2] = source?.length ?? 0;
  writer.bytes[at + 8] = onlink ? RTNH_F.ONLINK : 0;
  writeInHeader(writer, at + 3, tosField, tos, "tos");
  writeInHeader(writer, at + 5, protocolField, protocol, "protocol");
  writeInHeader(writer, at + 7, typeField, type, "type");
  const kind = writer.bytes[at + 7]!;
  const direct = gateway === undefined && !nexthops && attributes.nexthopId === undefined;
  const reach = family === AF.INET6
    ? "global"
    : scope ?? (deletion ? "nowhere" : defaultScope(kind, direct));
  writeInHeader(writer, at + 6, scopeField, reach, "scope");

  routeSchema.write(writer, {
    ...(destination ? { destination: formatIp(destination.address) } : {}),
    ...(source ? { source: formatIp(source.address) } : {}),
    ...gatewayAttribute(gateway, family, "gateway"),
    ...attributes,
    table: table ?? defaultTable(kind),
    ...(nexthops ? { nexthops: nexthops.map((it, i) => nexthopMessage(it, family, i)) } : {}),
  });
}

/** A destination or source; `undefined` for the one that has all addresses. */
function prefixOf(text: string, family: number, path: string): Prefix | undefined {
  if (text === DEFAULT) return undefined;
  const prefix = parsePrefix(text);
  checkAddress(prefix.address, family, path);
  return prefix;
}

function nexthopMessage(
  nexthop: RouteNexthop & { flags?: number },
  family: number,
  i: number,
): NexthopMessage {
  const { gateway, oif = 0, weight = 1, onlink, flags: _, ...attributes } = nexthop;
  return {
    oif,
    weight,
    flags: onlink ? RTNH_F.ONLINK : 0,
    ...gatewayAttribute(gateway, family, `nexthops[${i}].gateway`),
    ...attributes,
  };
}

/** The framing of messages that add routes. */
export const routeFormat: MessageFormat<RouteMessage> = {
  headerLength: HEADER,
  schemaOf: () => routeSchema as unknown as Schema<object>,
  write: (writer, message) => writeRoute(writer, message, false),
  read: readRoute,
};

const deletionFormat: MessageFormat<RouteMessage> = {
  ...routeFormat,
  write: (writer, message) => writeRoute(writer, message, true),
};

/** Options of {@link newRoute}. */
export interface NewRouteOptions {
  /** Put it in the place of the route that has its destination, metric and type of service. */
  readonly replace?: boolean;
  /** Add it after the routes that have its destination, metric and type of service. */
  readonly append?: boolean;
}

/**
 * Adds a route; with EEXIST refused where the table has one with its destination, metric and type of
 * service, unless the options say otherwise.
 */
export function newRoute(
  message: RouteMessage,
  options: NewRouteOptions = {},
): Request<undefined> {
  const { replace = false, append = false } = options;
  if (replace && append) throw new TypeError("replace and append exclude each other");
  const verb = replace ? "replace" : append ? "append" : "add";
  return {
    type: RTM.NEWROUTE,
    typeName: "RTM_NEWROUTE",
    flags: NLM_F.CREATE | (replace ? NLM_F.REPLACE : append ? NLM_F.APPEND : NLM_F.EXCL),
    operation: `${verb} ${describeRoute(message)}`,
    format: routeFormat,
    message,
    command: () => routeCommand(verb, message, familyOf(message)),
  };
}

/**
 * Removes a route: the first that matches in all that the message has. A {@link RouteInfo} will do.
 * ESRCH when there is none.
 */
export function deleteRoute(message: RouteMessage): Request<undefined> {
  return {
    type: RTM.DELROUTE,
    typeName: "RTM_DELROUTE",
    flags: 0,
    operation: `delete ${describeRoute(message)}`,
    format: deletionFormat,
    message,
    command: () => routeCommand("delete", message, familyOf(message)),
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

/** A lookup's body. */
interface RouteLookup extends GetRouteOptions {
  readonly destination: string;
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
    format: { ...routeFormat, write: writeLookup },
    message: { destination, ...options },
    reply: readRoute,
    command: () => routeGetCommand(destination, options),
  };
}

function writeLookup(writer: Writer, message: RouteLookup): void {
  const { destination, from, fibMatch = false, tos = 0, ...attributes } = message;
  const address = parseIp(destination);
  const family = address.length === 4 ? AF.INET : AF.INET6;
  if (from !== undefined) checkAddress(parseIp(from), family, "from");
  const at = writer.reserve(HEADER);
  writer.bytes[at] = family;
  writer.bytes[at + 1] = address.length * 8;
  writer.bytes[at + 2] = from === undefined ? 0 : address.length * 8;
  // IPv6 always names the table, and takes no flag for it.
  const flags = (fibMatch ? RTM_F.FIB_MATCH : 0) | (family === AF.INET ? RTM_F.LOOKUP_TABLE : 0);
  writer.view.setUint32(at + 8, flags, true);
  writeInHeader(writer, at + 3, tosField, tos, "tos");
  routeSchema.write(writer, {
    destination,
    ...(from === undefined ? {} : { source: from }),
    ...attributes,
  });
}

/** What a dump of routes is limited to. */
export interface RouteFilter {
  /** Only 2 (IPv4) or 10 (IPv6). */
  readonly family?: number;
  /** Only this table. */
  readonly table?: RouteTable | number;
  /** Only routes through this link. ENODEV when there is none. */
  readonly oif?: number;
  /** Only routes of this maker. */
  readonly protocol?: RouteProtocol | number;
  /** Only routes of this type. */
  readonly type?: RouteType | number;
}

/** Reads the routes of all tables, or those that the filter lets through. */
export function dumpRoutes(filter: RouteFilter = {}): DumpRequest<RouteInfo> {
  const { family, table, oif, protocol, type } = filter;
  // Asked for one family, the kernel refuses a table that is not there yet; asked for all, it is empty.
  const asked = table === undefined ? family : AF.UNSPEC;
  const request: DumpRequest<RouteInfo> = {
    type: RTM.GETROUTE,
    typeName: "RTM_GETROUTE",
    flags: 0,
    operation: "list routes",
    format: { ...routeFormat, write: writeDump },
    message: { ...filter, family: asked },
    reply: readRoute,
    // All families are more than IP's, and old kernels add what is cached.
    filter: (entry) =>
      (family === undefined
        ? entry.family === AF.INET || entry.family === AF.INET6
        : entry.family === family) &&
      !(entry.flags & RTM_F.CLONED) &&
      sameNumber(ROUTE_TABLES, table, entry.table) &&
      sameNumber(ROUTE_PROTOCOLS, protocol, entry.protocol) &&
      sameNumber(ROUTE_TYPES, type, entry.type) &&
      (oif === undefined || goesThrough(entry, oif)),
    command: () => routeShowCommand(filter),
  };
  return { ...request, fallback: { ...request, message: { family: asked } } };
}

function writeDump(writer: Writer, message: RouteFilter): void {
  const { family = AF.UNSPEC, protocol = "unspec", type = "unspec", table, oif } = message;
  const at = writer.reserve(HEADER);
  writer.bytes[at] = family;
  writeInHeader(writer, at + 5, protocolField, protocol, "protocol");
  writeInHeader(writer, at + 7, typeField, type, "type");
  const attributes: RouteAttributes = {};
  if (table !== undefined) attributes.table = table;
  if (oif !== undefined) attributes.oif = oif;
  routeSchema.write(writer, attributes);
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
