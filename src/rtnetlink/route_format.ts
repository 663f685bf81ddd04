/**
 * The framing of route messages: `struct rtmsg` and the attributes after it.
 *
 * @module
 */
import { named, u8 } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import type { MessageFormat } from "../netlink/message.ts";
import { formatIp, parseIp, type Prefix } from "../packet/address.ts";
import { type Scope, SCOPES } from "./address.ts";
import { AF } from "./constants.ts";
import { checkNetwork, familyNumber, familyWord, writeInHeader } from "./fields.ts";
import type {
  GetRouteOptions,
  RouteFilter,
  RouteInfo,
  RouteMessage,
  RouteNexthop,
  RouteNexthopInfo,
} from "./route.ts";
import {
  type NexthopMessage,
  type RouteAttributes,
  type RouteFlag,
  routeFlags,
  routeSchema,
  RTM_F,
  RTNH_F,
} from "./route_attributes.ts";
import { ROUTE_PROTOCOLS, ROUTE_TABLES, ROUTE_TYPES, type RouteTable } from "./route_names.ts";
import { show } from "../options.ts";

/** Size of `struct rtmsg`. */
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
    family: familyWord(bytes[start]!),
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
    flags: routeFlags(flags),
  };
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

/** What a {@link RouteInfo} has beyond what can be set. */
type Reported = Partial<Pick<RouteInfo, "iif" | "flags" | "flow" | "mark" | "uid" | "cacheInfo">>;

/** What of a message can be set: all of a plain one, less of a {@link RouteInfo}. */
export function withoutReported(message: RouteMessage & Reported): RouteMessage {
  const { iif: _1, flags, flow: _3, mark: _4, uid: _5, cacheInfo: _6, ...settable } = message;
  if (flags === undefined || message.nexthopId === undefined) return settable;
  // The kernel reports what its nexthop object consists of, and takes the id alone.
  const { gateway: _7, oif: _8, nexthops: _9, onlink: _10, ...rest } = settable;
  return rest;
}

/** The family a message is for, by its addresses. */
export function familyOf(message: RouteMessage): number {
  const { family, destination, source, gateway, prefsrc, nexthops = [] } = message;
  if (family !== undefined) return familyNumber(family);
  const [text] = [destination, source, gateway, prefsrc, ...nexthops.map((it) => it.gateway)]
    .filter((it) => it !== undefined && it !== DEFAULT);
  return text?.includes(":") ? AF.INET6 : AF.INET;
}

/** Refuses what the kernel would drop without a word. */
function checkFamily(message: RouteMessage, family: number): void {
  const refused = family === AF.INET6
    ? ["tos", "scope"] as const
    : ["source", "pref", "expires"] as const;
  for (const key of refused) {
    const value = message[key];
    if (value === undefined || value === DEFAULT || value === 0 || value === "global") continue;
    const other = family === AF.INET6 ? "IPv4" : "IPv6";
    throw new TypeError(`${key} is for ${other} routes: got ${show(value)}`);
  }
}

function checkAddress(address: Uint8Array, family: number, path: string): Uint8Array {
  if ((address.length === 16) === (family === AF.INET6)) return address;
  const version = family === AF.INET6 ? "IPv6" : "IPv4";
  throw new TypeError(
    `${path} must be an ${version} address: got ${show(formatIp(address))}`,
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
  } = message;
  if ("via" in attributes) {
    throw new TypeError('Unknown option "via": the router\'s address is the gateway');
  }
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
  const prefix = checkNetwork(text, path);
  checkAddress(prefix.address, family, path);
  return prefix;
}

function nexthopMessage(
  nexthop: RouteNexthop & { flags?: readonly RouteFlag[] },
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
export const routeFormat: MessageFormat<RouteMessage, RouteInfo> = {
  headerLength: HEADER,
  schemaOf: () => routeSchema,
  write: (writer, message) => writeRoute(writer, message, false),
  read: readRoute,
};

/** The framing of messages that delete routes. */
export const routeDeletionFormat: MessageFormat<RouteMessage, RouteInfo> = {
  ...routeFormat,
  write: (writer, message) => writeRoute(writer, message, true),
};

/** The framing of lookups. */
export const lookupFormat: MessageFormat<RouteLookup, RouteInfo> = {
  ...routeFormat,
  write: writeLookup,
};

/** A lookup's body. */
export interface RouteLookup extends GetRouteOptions {
  readonly destination: string;
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

/** The framing of dumps. */
export const routeDumpFormat: MessageFormat<RouteDumpMessage, RouteInfo> = {
  headerLength: HEADER,
  schemaOf: () => routeSchema,
  write: writeDump,
  read: readRoute,
};

/** A dump's body: a filter with the number of its family. */
export interface RouteDumpMessage {
  readonly family: number;
  readonly table?: RouteFilter["table"];
  readonly oif?: number;
  readonly protocol?: RouteFilter["protocol"];
  readonly type?: RouteFilter["type"];
}

function writeDump(writer: Writer, message: RouteDumpMessage): void {
  const { family, protocol = "unspec", type = "unspec", table, oif } = message;
  const at = writer.reserve(HEADER);
  writer.bytes[at] = family;
  writeInHeader(writer, at + 5, protocolField, protocol, "protocol");
  writeInHeader(writer, at + 7, typeField, type, "type");
  const attributes: RouteAttributes = {};
  if (table !== undefined) attributes.table = table;
  if (oif !== undefined) attributes.oif = oif;
  routeSchema.write(writer, attributes);
}
