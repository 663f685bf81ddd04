/**
 * Route messages: `struct rtmsg` and the attributes after it (`linux/rtnetlink.h`).
 *
 * @module
 */
import { writeAttribute } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import type { MessageFormat } from "../netlink/message.ts";
import { parseIp } from "../packet/address.ts";
import { checkOptions, type OptionNames, show } from "../options.ts";
import { type AddressScope, SCOPES } from "./address.ts";
import {
  AF,
  ROUTE_PROTOCOLS,
  ROUTE_TABLES,
  ROUTE_TYPES,
  type RoutePreference,
  type RouteProtocol,
  type RouteTable,
  type RouteType,
} from "./constants.ts";
import {
  byteValue,
  checkFamily,
  familyNumber,
  familyWord,
  type IpFamily,
  writeNetwork,
} from "./fields.ts";
import {
  METRIC_OPTIONS,
  type NexthopMessage,
  type RouteAttributes,
  type RouteCacheInfo,
  type RouteFlag,
  routeFlags,
  type RouteMetrics,
  routeSchema,
  RTA,
  RTNH_F,
} from "./route_attributes.ts";

/** One of several nexthops of a route; the kernel spreads flows over them. */
export interface RouteNexthop {
  /** The router; for an IPv4 route it may have an IPv6 address. */
  gateway?: string;
  /** Index of the link packets leave through. */
  oif?: number;
  /** Its share, 1..256; default 1. */
  weight?: number;
  /** The router counts as on the link though no address of the link covers it. */
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
  /** Destination: a prefix such as `10.0.0.0/8`, an address, or `default`. */
  destination: string;
  /** `inet` for IPv4, `inet6` for IPv6; default: as the addresses are, IPv4 when there are none. */
  family?: IpFamily;
  /** IPv6: only packets from this prefix. Needs a kernel with CONFIG_IPV6_SUBTREES. */
  source?: string;
  /** Treatment of the packets; default `unicast`. */
  type?: RouteType | number;
  /** The router; for an IPv4 route it may have an IPv6 address. */
  gateway?: string;
  /** Index of the link packets leave through. */
  oif?: number;
  /** Several nexthops instead of `gateway` and `oif`. */
  nexthops?: RouteNexthop[];
  /** Id of a nexthop object, instead of `gateway`, `oif` and `nexthops`. */
  nexthopId?: number;
  /** The router counts as on the link though no address of the link covers it. */
  onlink?: boolean;
  /** Of routes to the same destination the one with the lowest is used; default 0, IPv6 1024. */
  metric?: number;
  /** The table; default `main`, for local, broadcast and anycast routes `local`. */
  table?: RouteTable | number;
  /** Its origin; default `boot`. */
  protocol?: RouteProtocol | number;
  /** IPv4: how far the destination is; default by `type` and `gateway`, as `ip route` has it. */
  scope?: AddressScope | number;
  /** Source address for packets that have none yet. */
  prefsrc?: string;
  /** IPv4: only packets with this type of service. */
  tos?: number;
  /** Settings of TCP and IP on this route. */
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
  /** Destination: a prefix, or `default` for that of length 0. */
  destination: string;
  /** IPv6: the prefix packets come from. */
  source?: string;
  /** Treatment of the packets. */
  type: RouteType | number;
  /** The router. */
  gateway?: string;
  /** Index of the link packets leave through. */
  oif?: number;
  /** Index of the link packets came in by, in answers of {@link getRoute}. */
  iif?: number;
  /** The nexthops of a route that has several. */
  nexthops?: RouteNexthopInfo[];
  /** Id of its nexthop object. */
  nexthopId?: number;
  /** The router counts as on the link though no address of the link covers it. */
  onlink?: boolean;
  /** Of routes to the same destination the one with the lowest is used; absent for 0. */
  metric?: number;
  /** The table. */
  table: RouteTable | number;
  /** Its origin. */
  protocol: RouteProtocol | number;
  /** How far the destination is; always `global` for IPv6. */
  scope: AddressScope | number;
  /** Source address for packets that have none yet. */
  prefsrc?: string;
  /** Type of service of the packets; 0 for any. */
  tos: number;
  /** Settings of TCP and IP on this route. */
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

/** The options of a route. */
export const ROUTE_OPTIONS: OptionNames<RouteMessage> = {
  destination: true,
  family: true,
  source: true,
  type: true,
  gateway: true,
  oif: true,
  nexthops: true,
  nexthopId: true,
  onlink: true,
  metric: true,
  table: true,
  protocol: true,
  scope: true,
  prefsrc: true,
  tos: true,
  metrics: METRIC_OPTIONS,
  pref: true,
  expires: true,
  encapType: true,
  encap: true,
};

/** Size of `struct rtmsg`. */
export const ROUTE_HEADER = 12;
const DEFAULT = "default";

const nameOf = <K extends string>(names: Readonly<Record<K, number>>) => {
  const byNumber = new Map<number, K>();
  for (const name in names) byNumber.set(names[name], name);
  return (number: number): K | number => byNumber.get(number) ?? number;
};

const typeName = nameOf(ROUTE_TYPES);
const protocolName = nameOf(ROUTE_PROTOCOLS);
const scopeName = nameOf(SCOPES);
const tableName = nameOf(ROUTE_TABLES);

/** Reads `struct rtmsg` and its attributes: into one object, since there may be a hundred thousand. */
export function readRoute(s: Source, start: number, end: number): RouteInfo {
  const { bytes, view } = s;
  const [length, lengthFrom] = [bytes[start + 1]!, bytes[start + 2]!];
  const flags = view.getUint32(start + 8, true);
  const route: ReadRoute = {
    family: familyWord(bytes[start]!),
    destination: DEFAULT,
    type: typeName(bytes[start + 7]!),
    table: tableName(bytes[start + 4]!),
    protocol: protocolName(bytes[start + 5]!),
    scope: scopeName(bytes[start + 6]!),
    tos: bytes[start + 3]!,
    flags: routeFlags(flags),
  };
  routeSchema.readInto(route as RouteAttributes, s, start + ROUTE_HEADER, end);
  route.destination = length === 0 ? DEFAULT : `${route.destination}/${length}`;
  if (route.source !== undefined) route.source += `/${lengthFrom}`;
  if (flags & RTNH_F.ONLINK) route.onlink = true;
  if (route.via !== undefined) {
    route.gateway = route.via;
    delete route.via;
  }
  if (route.nexthops) route.nexthops = (route.nexthops as NexthopMessage[]).map(nexthopInfo);
  // Old kernels say it in hundredths of a second, 0 for never.
  const left = route.expires ?? Math.ceil((route.cacheInfo?.expires ?? 0) / 100);
  if (left > 0) route.expires = left;
  else if (route.expires !== undefined) delete route.expires;
  return route as RouteInfo;
}

/** A route while it is read: what the kernel says otherwise than {@link RouteInfo} has it. */
interface ReadRoute extends Omit<RouteInfo, "nexthops"> {
  via?: string;
  nexthops?: NexthopMessage[] | RouteNexthopInfo[];
}

function nexthopInfo(message: NexthopMessage): RouteNexthopInfo {
  const { flow: _, gateway, via, oif, flags, ...rest } = message;
  const info: RouteNexthopInfo = { ...rest, flags: routeFlags(flags) };
  const router = gateway ?? via;
  if (router !== undefined) info.gateway = router;
  if (oif !== 0) info.oif = oif;
  if (flags & RTNH_F.ONLINK) info.onlink = true;
  return info;
}

/** Whether a route was read: only then it has flags. */
export function isRouteInfo(route: object): route is RouteInfo {
  return Array.isArray((route as { flags?: unknown } | null)?.flags);
}

/**
 * The options in a {@link RouteInfo}: all of it but what only the kernel can say. Where the route uses a
 * nexthop object, the kernel reports that object's gateway and link, and takes its id alone.
 */
export function settableRoute(info: RouteInfo): RouteMessage {
  const { iif: _1, flags: _2, flow: _3, mark: _4, uid: _5, cacheInfo: _6, ...settable } = info;
  checkOptions(settable, ROUTE_OPTIONS);
  if (info.nexthopId === undefined) return settable;
  const { gateway: _7, oif: _8, nexthops: _9, onlink: _10, ...rest } = settable;
  return rest;
}

/** The number of the family that a message is for, by its addresses. */
export function familyOf(message: RouteMessage): number {
  const { family, destination, source, gateway, prefsrc, nexthops = [] } = message;
  if (family !== undefined) return familyNumber(family);
  for (const text of [destination, source]) {
    if (text !== undefined && text !== DEFAULT) return familyOfText(text);
  }
  const address = gateway ?? prefsrc ?? nexthops.find((it) => it.gateway)?.gateway;
  return address === undefined ? AF.INET : familyOfText(address);
}

function familyOfText(text: unknown): number {
  return typeof text === "string" && text.includes(":") ? AF.INET6 : AF.INET;
}

const ONLY_IPV4 = ["tos", "scope"] as const;
const ONLY_IPV6 = ["source", "pref", "expires"] as const;

/** Refuses what the kernel would drop silently. */
function checkOptionsOf(message: RouteMessage, family: number): void {
  for (const key of family === AF.INET6 ? ONLY_IPV4 : ONLY_IPV6) {
    const value = message[key];
    if (value === undefined || value === DEFAULT || value === 0 || value === "global") continue;
    const other = family === AF.INET6 ? "IPv4" : "IPv6";
    throw new TypeError(`${key} is for ${other} routes: got ${show(value)}`);
  }
}

function defaultScope(type: number, direct: boolean): AddressScope {
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

/** The options that {@link writeRoute} does not write as attributes of their own. */
const HANDLED: ReadonlySet<string> = new Set([
  "destination",
  "source",
  "family",
  "type",
  "protocol",
  "scope",
  "tos",
  "table",
  "gateway",
  "nexthops",
  "onlink",
]);

/** Appends `struct rtmsg` and attributes. A deletion matches anything in what it leaves open. */
function writeRoute(writer: Writer, message: RouteMessage, deletion: boolean): void {
  const { destination, source = DEFAULT, type, protocol, scope, tos, gateway, nexthops } = message;
  const family = familyOf(message);
  checkOptionsOf(message, family);
  const open = deletion ? "unspec" : undefined;
  const kind = byteValue(type ?? open ?? "unicast", ROUTE_TYPES, "type");
  const direct = gateway === undefined && !nexthops && message.nexthopId === undefined;
  const reach = family === AF.INET6
    ? "global"
    : scope ?? (deletion ? "nowhere" : defaultScope(kind, direct));
  const at = writer.reserve(ROUTE_HEADER);
  writer.bytes[at] = family;
  writer.bytes[at + 3] = tos === undefined ? 0 : byteValue(tos, {}, "tos");
  writer.bytes[at + 5] = byteValue(protocol ?? open ?? "boot", ROUTE_PROTOCOLS, "protocol");
  writer.bytes[at + 6] = byteValue(reach, SCOPES, "scope");
  writer.bytes[at + 7] = kind;
  writer.bytes[at + 8] = message.onlink ? RTNH_F.ONLINK : 0;
  if (destination !== DEFAULT) {
    const length = writeNetwork(writer, RTA.DST, destination, family, "destination");
    writer.bytes[at + 1] = length; // The memory may be another one than before.
  }
  if (source !== DEFAULT) {
    const length = writeNetwork(writer, RTA.SRC, source, family, "source");
    writer.bytes[at + 2] = length;
  }
  if (gateway !== undefined) writeGateway(writer, gateway, family);
  if (message.prefsrc !== undefined) checkFamily(parseIp(message.prefsrc), family, "prefsrc");
  for (const key in message) {
    const value = message[key as keyof RouteMessage];
    if (value === undefined || HANDLED.has(key)) continue;
    writeAttribute(writer, routeSchema.fields[key as "oif"], value as number, key);
  }
  writeAttribute(writer, routeSchema.fields.table, message.table ?? defaultTable(kind), "table");
  if (nexthops) {
    const messages = nexthops.map((nexthop, i) => nexthopMessage(nexthop, family, i));
    writeAttribute(writer, routeSchema.fields.nexthops, messages, "nexthops");
  }
}

/** An IPv4 route may go through an IPv6 router, but not the other way round. */
function writeGateway(writer: Writer, gateway: string, family: number): void {
  const { gateway: own, via } = routeSchema.fields;
  const other = familyOfText(gateway) !== family;
  if (other && family === AF.INET6) checkFamily(parseIp(gateway), family, "gateway");
  writeAttribute(writer, other ? via : own, gateway, "gateway");
}

function nexthopMessage(
  nexthop: RouteNexthop & { flags?: readonly RouteFlag[] },
  family: number,
  i: number,
): NexthopMessage {
  const { gateway, oif = 0, weight = 1, onlink, flags: _, ...attributes } = nexthop;
  const message = { oif, weight, flags: onlink ? RTNH_F.ONLINK : 0, ...attributes };
  if (gateway === undefined) return message;
  const other = familyOfText(gateway) !== family;
  if (other && family === AF.INET6) {
    checkFamily(parseIp(gateway), family, `nexthops[${i}].gateway`);
  }
  return other ? { ...message, via: gateway } : { ...message, gateway };
}

/** The framing of messages that add routes. */
export const routeFormat: MessageFormat<RouteMessage, RouteInfo> = {
  headerLength: ROUTE_HEADER,
  schemaOf: () => routeSchema,
  write: (writer, message) => writeRoute(writer, message, false),
  read: readRoute,
};

/** The framing of messages that delete routes. */
export const routeDeletionFormat: MessageFormat<RouteMessage, RouteInfo> = {
  ...routeFormat,
  write: (writer, message) => writeRoute(writer, message, true),
};
