/**
 * Network namespaces: creating them, running programs in them, and their tables.
 *
 * @example A server in one namespace, a client in another
 * ```ts
 * import { NetNs } from "@netloom/netloom/netns";
 * import { Veth } from "@netloom/netloom/link";
 * import { assertEquals } from "@std/assert";
 *
 * using server = NetNs.create();
 * using client = NetNs.create();
 * Veth.create({
 *   name: "eth0",
 *   netns: server,
 *   up: true,
 *   addresses: ["10.0.0.1/24"],
 *   peer: { name: "eth0", netns: client, up: true, addresses: ["10.0.0.2/24"] },
 * });
 * await using http = server.serve(
 *   { hostname: "10.0.0.1", port: 8000, onListen() {} },
 *   () => new Response("hello"),
 * );
 * const response = await client.fetch("http://10.0.0.1:8000/");
 * assertEquals(await response.text(), "hello");
 * ```
 *
 * @module
 */
export { NetNsCommand, type NetNsCommandOptions } from "./run.ts";
export * from "./netns.ts";
export { MissingImportError } from "../slot.ts";
export { NetNsNetwork } from "./network.ts";
export type { PingOptions, PingReply, PingResult } from "./ping.ts";
export {
  type NetNsRouteFilter,
  NetNsRoutes,
  type RouteLookupOptions,
  type RouteNexthopOptions,
  type RouteOptions,
} from "./routes.ts";
export {
  NetNsNexthops,
  NetNsRules,
  type NexthopFilter,
  type NexthopOptions,
  type PolicyRuleFilter,
} from "./routing.ts";
export {
  type NeighborOptions,
  NetNsAddresses,
  type NetNsAddressFilter,
  type NetNsAddressOptions,
  type NetNsLinkFilter,
  NetNsLinks,
  type NetNsNeighborFilter,
  NetNsNeighbors,
  type NetNsNeighborSelector,
} from "./tables.ts";
export type {
  AddressEntry,
  AddressFlag,
  AddressInfo,
  AddressLifetime,
  AddressOption,
  AddressScope,
} from "../rtnetlink/address.ts";
export type {
  RoutePreference,
  RouteProtocol,
  RouteTable,
  RouteType,
} from "../rtnetlink/constants.ts";
export type { IpFamily } from "../rtnetlink/fields.ts";
export type { LinkInfo } from "../rtnetlink/link_info.ts";
export type { NeighborEntry, NeighborInfo, NeighborOption } from "../rtnetlink/neighbor.ts";
export type {
  NeighborCacheInfo,
  NeighborFlag,
  NeighborState,
} from "../rtnetlink/neighbor_attributes.ts";
export type {
  LockableMetric,
  RouteCacheInfo,
  RouteFlag,
  RouteMetrics,
} from "../rtnetlink/route_attributes.ts";
export type { RouteInfo, RouteNexthopInfo } from "../rtnetlink/route_message.ts";
export type {
  PolicyRule,
  PolicyRuleAction,
  PolicyRuleFlag,
  PolicyRuleInfo,
  PolicyRulePorts,
} from "../rtnetlink/rule.ts";
export type {
  NexthopBucket,
  NexthopFlag,
  NexthopGroupEntry,
  NexthopGroupType,
  NexthopInfo,
  NexthopMessage,
} from "../rtnetlink/nexthop.ts";
