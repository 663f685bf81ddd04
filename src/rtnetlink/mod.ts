/**
 * rtnetlink: a file for each message family; requests as data.
 *
 * Each function creates one request. A connection, or `batch()`,
 * sends it. The typed links and namespaces of the other entry points are built on these.
 *
 * @example One request
 * ```ts
 * import { NetNs } from "@netloom/netloom";
 * import { connectionTo } from "@netloom/netloom/netlink";
 * import { getLink } from "@netloom/netloom/rtnetlink";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const lo = connectionTo(netns.ref).request(getLink("lo"));
 * assertEquals(lo.index, 1);
 * ```
 *
 * @module
 */
export * from "./address.ts";
export * from "./bridge_vlan.ts";
export * from "./constants.ts";
export * from "./fdb.ts";
export type { IpFamily } from "./fields.ts";
export * from "./link.ts";
export * from "./link_attributes.ts";
export * from "./link_info.ts";
export type {
  CommandNames,
  InfoOf,
  KindOptionNames,
  KindOptions,
  LinkKind,
  NoOptions,
  OptionRequirement,
  PortInfoOf,
  PortKind,
  PortOptionsOf,
} from "./link_kinds/kind.ts";
export * from "./neighbor.ts";
export {
  NDA,
  NEIGHBOR_STATES,
  type NeighborCacheInfo,
  type NeighborFlag,
  type NeighborState,
  NFEA,
  NTF,
  NTF_EXT,
} from "./neighbor_attributes.ts";
export * from "./nexthop.ts";
export * from "./nsid.ts";
export {
  deleteRoute,
  dumpRoutes,
  getRoute,
  type GetRouteOptions,
  newRoute,
  type NewRouteOptions,
  type RouteFilter,
} from "./route.ts";
export {
  type LockableMetric,
  type RouteCacheInfo,
  type RouteFlag,
  type RouteMetrics,
  RTA,
  RTAX,
  RTAX_FEATURE,
  RTM_F,
  RTNH_F,
} from "./route_attributes.ts";
export {
  readRoute,
  routeFormat,
  type RouteInfo,
  type RouteMessage,
  type RouteNexthop,
  type RouteNexthopInfo,
} from "./route_message.ts";
export * from "./rule.ts";
