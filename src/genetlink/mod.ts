/**
 * Generic netlink: the controller, which finds a family by its name, and families, each function one
 * request as data. For a family that netloom has no module for: {@linkcode genericFormat}.
 *
 * @example The families' ids
 * ```ts
 * import { connectionTo, NETLINK } from "@netloom/netloom/netlink";
 * import { getFamily } from "@netloom/netloom/genetlink";
 * import { assertEquals } from "@std/assert";
 *
 * const controller = connectionTo(undefined, NETLINK.GENERIC).request(getFamily("nlctrl"));
 * assertEquals([controller.id, controller.name], [16, "nlctrl"]);
 * ```
 *
 * @module
 */
export * from "./controller.ts";
export * from "./message.ts";
export * from "./ovs_datapath.ts";
export * from "./ovs_flow.ts";
export * from "./ovs_vport.ts";
