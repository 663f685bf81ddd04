/**
 * Names for the numbers in routes, as iproute2 has them.
 *
 * @module
 */

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

/** A routing table, by the names in /etc/iproute2/rt_tables. */
export type RouteTable = "unspec" | "default" | "main" | "local";

/** The numbers of {@link RouteTable}. */
export const ROUTE_TABLES: Readonly<Record<RouteTable, number>> = {
  unspec: 0,
  default: 253,
  main: 254,
  local: 255,
};

/** How IPv6 ranks default routers (RFC 4191). */
export type RoutePreference = "low" | "medium" | "high";

/** The numbers of {@link RoutePreference}. */
export const ROUTE_PREFERENCES: Readonly<Record<RoutePreference, number>> = {
  medium: 0,
  high: 1,
  low: 3,
};
