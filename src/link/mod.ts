/**
 * Links: the generic {@link Link}, and a class for each kind.
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
export * from "./kinds.ts";
export { LinkBase, type WaitForOptions } from "./base.ts";
export { LinkTraffic } from "./traffic.ts";
export type {
  Intercept,
  InterceptHandler,
  InterceptOptions,
  InterceptStats,
} from "../traffic/intercept.ts";
export type { InterceptedFrame } from "../traffic/user/frame.ts";
export type { LinkGetOptions, LinkState } from "./find.ts";
export { LinkAddresses, type LinkAddressFilter } from "./addresses.ts";
export type {
  AddressEntry,
  AddressFlag,
  AddressInfo,
  AddressLifetime,
  AddressOption,
  AddressOptions,
} from "../rtnetlink/address.ts";
export type { BridgeVlan, BridgeVlanRange } from "../rtnetlink/bridge_vlan.ts";
export * from "./bridge_fdb.ts";
export { Link, type LinkCreateOptions } from "./link.ts";
export type { LinkHandle, LinkTarget, NamedLink } from "../rtnetlink/link_target.ts";
export type {
  GenericLinkSettings,
  LinkEndOptions,
  LinkOptions,
  LinkSettings,
  ParentOptions,
  PortOptions,
} from "./options.ts";
export { type Capabilities, capabilities, type ImpairCapabilities, supports } from "./supports.ts";
export { MissingImportError } from "../slot.ts";
export { UnsupportedError } from "../rtnetlink/unsupported.ts";
export { Tap, type TapCreateOptions, Tun } from "./tun.ts";
export {
  type TapFilter,
  type TunAttachOptions,
  type TunCreateOptions,
  type TunInfo,
  TunLink,
  type TunQueueOptions,
} from "./tun_base.ts";
export type {
  CommonLinkInfo,
  KnownKindInfo,
  LinkInfo,
  LinkPortInfo,
  NoKindInfo,
  UnknownKindInfo,
} from "../rtnetlink/link_info.ts";
export type { LinkReport, LinkStats } from "../rtnetlink/link_attributes.ts";
