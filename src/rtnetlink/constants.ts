/**
 * rtnetlink constants: message types, flags and small enumerations. Attribute numbers stand with
 * their schemas. `tests/headers/` checks all of them against the kernel headers.
 *
 * @module
 */

/** Message types (`linux/rtnetlink.h`). */
export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
  NEWRULE: 32,
  DELRULE: 33,
  GETRULE: 34,
  NEWQDISC: 36,
  DELQDISC: 37,
  GETQDISC: 38,
  NEWTCLASS: 40,
  DELTCLASS: 41,
  GETTCLASS: 42,
  NEWTFILTER: 44,
  DELTFILTER: 45,
  GETTFILTER: 46,
  NEWACTION: 48,
  DELACTION: 49,
  GETACTION: 50,
  NEWNSID: 88,
  DELNSID: 89,
  GETNSID: 90,
  NEWNEXTHOP: 104,
  DELNEXTHOP: 105,
  GETNEXTHOP: 106,
  NEWLINKPROP: 108,
  DELLINKPROP: 109,
  GETLINKPROP: 110,
  NEWVLAN: 112,
  DELVLAN: 113,
  GETVLAN: 114,
  GETNEXTHOPBUCKET: 118,
} as const;

/** Notification groups (`enum rtnetlink_groups`). */
export const RTNLGRP = {
  LINK: 1,
  NEIGH: 3,
  TC: 4,
  IPV4_IFADDR: 5,
  IPV4_ROUTE: 7,
  IPV4_RULE: 8,
  IPV6_IFADDR: 9,
  IPV6_ROUTE: 11,
  IPV6_RULE: 19,
  NSID: 28,
  NEXTHOP: 32,
} as const;

/** Address families. */
export const AF = { UNSPEC: 0, INET: 2, BRIDGE: 7, INET6: 10 } as const;

/** Link flags (`linux/if.h`). */
export const IFF = {
  UP: 1 << 0,
  BROADCAST: 1 << 1,
  DEBUG: 1 << 2,
  LOOPBACK: 1 << 3,
  POINTOPOINT: 1 << 4,
  NOTRAILERS: 1 << 5,
  RUNNING: 1 << 6,
  NOARP: 1 << 7,
  PROMISC: 1 << 8,
  ALLMULTI: 1 << 9,
  MASTER: 1 << 10,
  SLAVE: 1 << 11,
  MULTICAST: 1 << 12,
  PORTSEL: 1 << 13,
  AUTOMEDIA: 1 << 14,
  DYNAMIC: 1 << 15,
  LOWER_UP: 1 << 16,
  DORMANT: 1 << 17,
  ECHO: 1 << 18,
} as const;

/** The name of a link flag. */
export type LinkFlag = keyof typeof IFF;

const flagNames = new Map<number, readonly LinkFlag[]>();

/**
 * The names of the flags set in `flags`, lowest bit first: `["UP", "BROADCAST", "LOWER_UP"]`. Links share
 * few combinations: each is named once.
 */
export function linkFlagNames(flags: number): readonly LinkFlag[] {
  let names = flagNames.get(flags);
  if (!names) {
    names = Object.freeze((Object.keys(IFF) as LinkFlag[]).filter((name) => flags & IFF[name]));
    if (flagNames.size < 256) flagNames.set(flags, names);
  }
  return names;
}

/** Dump extensions (`RTEXT_FILTER_*`). */
export const RTEXT_FILTER = {
  VF: 1 << 0,
  BRVLAN: 1 << 1,
  BRVLAN_COMPRESSED: 1 << 2,
  SKIP_STATS: 1 << 3,
  MRP: 1 << 4,
} as const;

/** Treatment of the packets that a route matches. */
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

/** Origin of a route, by the names in /etc/iproute2/rt_protos. */
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

/** A VLAN tag protocol: of customers, or of the providers around them (QinQ). */
export type VlanProtocol = "802.1Q" | "802.1ad";

/** The numbers of {@link VlanProtocol} (`ETH_P_8021Q`, `ETH_P_8021AD`). */
export const VLAN_PROTOCOL: Readonly<Record<VlanProtocol, number>> = {
  "802.1Q": 0x8100,
  "802.1ad": 0x88a8,
};
