/**
 * Network namespaces: making and finding them, running code, programs and servers in them, and the
 * tables of links, addresses, routes and neighbors they have.
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
export { NetNsCommand, type NetNsCommandOptions } from "./command.ts";
export * from "./netns.ts";
export type { PingOptions, PingReply, PingResult } from "./ping.ts";
export type {
  AddressTable,
  LinkTable,
  NeighborOptions,
  NeighborTable,
  RouteOptions,
  RouteTable,
} from "./tables.ts";
