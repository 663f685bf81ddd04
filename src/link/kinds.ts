/**
 * The classes of link kinds, one line each: {@link Link.get} wraps a link in the class of its kind.
 *
 * @module
 */
export * from "./bond.ts";
export * from "./bridge.ts";
export * from "./ipvlan.ts";
export * from "./macvlan.ts";
export * from "./plain.ts";
export * from "./veth.ts";
export * from "./vlan.ts";
export * from "./vxlan.ts";
