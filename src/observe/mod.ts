/**
 * Observation of a namespace: its tables at one moment, then each change.
 *
 * @example The carrier of a link
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import { monitor } from "@netloom/netloom/observe";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const veth = Veth.create({ name: "a", netns, up: true, peer: { name: "b", netns } });
 * await using events = monitor({ netns, links: true });
 * veth.peer.up();
 * for await (const event of events) {
 *   if (event.type !== "link" || event.action !== "change") continue;
 *   if (event.link.name !== "a" || !event.changed.includes("carrier")) continue;
 *   assertEquals(event.link.carrier, true);
 *   break;
 * }
 * ```
 *
 * @module
 */
export { MissingImportError } from "../slot.ts";
export { NetlinkDecodeError } from "../netlink/error.ts";
export type { NetNsTarget } from "../netlink/connections.ts";
export type { AddressInfo } from "../rtnetlink/address.ts";
export type { FdbInfo } from "../rtnetlink/fdb.ts";
export type { LinkInfo } from "../rtnetlink/link_info.ts";
export type { NeighborInfo } from "../rtnetlink/neighbor.ts";
export type { RouteInfo } from "../rtnetlink/route_message.ts";
export type { PolicyRuleInfo } from "../rtnetlink/rule.ts";
export type * from "./event.ts";
export { type Monitor, monitor, type MonitorOptions } from "./monitor.ts";
