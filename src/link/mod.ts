/**
 * Links: the generic {@link Link} and a class for each kind.
 *
 * @example A bridge with a port
 * ```ts
 * import { NetNs } from "@netloom/netloom/netns";
 * import { Bridge, Veth } from "@netloom/netloom/link";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const bridge = Bridge.create({ name: "br0", netns, up: true });
 * Veth.create({ name: "v0", netns, up: true, peer: { name: "v1", master: bridge, up: true } });
 * assertEquals(bridge.ports().map((port) => port.name), ["v1"]);
 * ```
 *
 * @module
 */
export * as brctl from "./brctl.ts";
export * from "./bridge.ts";
export * from "./bridge_attributes.ts";
export * from "./bridge_fdb.ts";
export * from "./bridge_options.ts";
export * from "./bridge_port.ts";
export * from "./bridge_port_options.ts";
export type { BridgeQuerierState, BridgeStatus } from "./bridge_status.ts";
export * from "./bridge_vlan.ts";
export { Link, LinkBase } from "./link.ts";
export type {
  GenericLinkOptions,
  LinkAddresses,
  LinkGetOptions,
  LinkState,
  WaitForOptions,
} from "./link.ts";
export type {
  AddressOptions,
  LinkEndOptions,
  LinkHandle,
  LinkOptions,
  LinkSettings,
  LinkTarget,
} from "./options.ts";
export * from "./veth.ts";
