/**
 * Generic netlink: the controller and a file for each family; requests as data.
 *
 * The controller finds a family by its name. For a family that netloom has no module for: {@linkcode genericFormat}.
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
