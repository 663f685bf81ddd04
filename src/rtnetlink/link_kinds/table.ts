/**
 * The link kinds that netloom knows, one line each. A kind is told by its file in this folder.
 *
 * @module
 */
export { bond } from "./bond.ts";
export { bridge } from "./bridge.ts";
export { ipvlan, ipvtap, macvlan, macvtap } from "./macvlan.ts";
export { dummy, ifb, tun, veth, vrf } from "./plain.ts";
export { vlan } from "./vlan.ts";
export { vxlan } from "./vxlan.ts";
