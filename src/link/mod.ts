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
/** The commands of `brctl`, with the same names and order of arguments. */
export * as brctl from "./brctl.ts";
export { LinkAddresses, type LinkAddressFilter } from "./addresses.ts";
export type {
  AddressEntry,
  AddressFlag,
  AddressInfo,
  AddressLifetime,
  AddressOption,
  AddressOptions,
} from "../rtnetlink/address.ts";
export * from "./bridge.ts";
export * from "./bridge_attributes.ts";
export * from "./bridge_fdb.ts";
export * from "./bridge_options.ts";
export * from "./bridge_port.ts";
export * from "./bridge_port_options.ts";
export type { BridgeQuerierState, BridgeStatus } from "./bridge_status.ts";
export * from "./bridge_vlan.ts";
export type { ChildOptions } from "./child.ts";
export * from "./dummy.ts";
export * from "./ifb.ts";
export * from "./ipvlan.ts";
export { type IpvlanCreateOptions, IpvlanLink, type IpvlanSettings } from "./ipvlan_base.ts";
export {
  IFLA_IPVLAN,
  IPVLAN_F,
  IPVLAN_MODE,
  type IpvlanFlag,
  type IpvlanInfo,
  type IpvlanMode,
  type IpvlanOptions,
} from "./ipvlan_options.ts";
export * from "./ipvtap.ts";
export { Link, LinkBase } from "./link.ts";
export type { GenericLinkOptions, LinkGetOptions, LinkState, WaitForOptions } from "./link.ts";
export * from "./macvlan.ts";
export * from "./macvlan_base.ts";
export {
  IFLA_MACVLAN,
  MACVLAN_FLAG,
  MACVLAN_MACADDR,
  MACVLAN_MODE,
  type MacvlanInfo,
  type MacvlanMode,
  type MacvlanModeOptions,
  type MacvlanOptions,
  type MacvlanQueueOptions,
} from "./macvlan_options.ts";
export * from "./macvtap.ts";
export type {
  LinkEndOptions,
  LinkHandle,
  LinkOptions,
  LinkSettings,
  LinkTarget,
  NamedLink,
} from "./options.ts";
export * from "./openvswitch.ts";
export * from "./supports.ts";
export { Tap, type TapOptions } from "./tap.ts";
export { Tun } from "./tun.ts";
export { type AttachedTun, type TunAttachOptions, TunLink } from "./tun_base.ts";
export {
  IFLA_TUN,
  type TapFilter,
  TUN_TYPES,
  type TunInfo,
  type TunOptions,
  type TunQueueOptions,
} from "./tun_options.ts";
export * from "./unsupported.ts";
export * from "./veth.ts";
export * from "./vlan.ts";
export {
  IFLA_VLAN,
  IFLA_VLAN_QOS,
  type QosMap,
  VLAN_FLAG,
  VLAN_PROTOCOL,
  type VlanFlags,
  type VlanInfo,
  type VlanMaps,
  type VlanOptions,
  type VlanProtocol,
} from "./vlan_options.ts";
