/**
 * A namespace's tables: links, addresses, routes, neighbors.
 *
 * @module
 */
import { connectionTo } from "../netlink/connections.ts";
import type { NetNsHandle } from "../netlink/target.ts";
import { type AddressFilter, type AddressInfo, dumpAddresses } from "../rtnetlink/address.ts";
import { dumpLinks, type LinkFilter, type LinkInfo } from "../rtnetlink/link.ts";
import {
  deleteNeighbor,
  dumpNeighbors,
  type NeighborFilter,
  type NeighborInfo,
  type NeighborMessage,
  newNeighbor,
} from "../rtnetlink/neighbor.ts";
import {
  deleteRoute,
  dumpRoutes,
  getRoute,
  type GetRouteOptions,
  newRoute,
  type NewRouteOptions,
  type RouteFilter,
  type RouteInfo,
  type RouteMessage,
} from "../rtnetlink/route.ts";
import { Link } from "../link/link.ts";
import { indexOf, type LinkTarget } from "../link/options.ts";

/** The links of a namespace. */
export interface LinkTable {
  /** All links, or those of a kind, a master or a group. */
  list(filter?: LinkFilter): LinkInfo[];
  /** One link, by name, alternative name or index. ENODEV when there is none. */
  get(selector: string | number): Link;
}

/** The IP addresses of a namespace. To add some: `link.addresses`. */
export interface AddressTable {
  /** All addresses, or those of a link or a family. */
  list(filter?: AddressFilter): AddressInfo[];
}

/** A route, its link given by handle, name or index. */
export interface RouteOptions extends Omit<RouteMessage, "oif"> {
  /** The link packets leave through. */
  readonly dev?: LinkTarget;
  /** Its index, instead of `dev`. */
  readonly oif?: number;
}

/** The routes of a namespace. */
export interface RouteTable {
  /** All routes of all tables, or those of a family, table, link, protocol or type. */
  list(filter?: RouteFilter): RouteInfo[];
  /** Adds a route. EEXIST when there is one, unless `replace` or `append` is set. */
  add(route: RouteOptions, options?: NewRouteOptions): void;
  /** Removes a route. ESRCH when there is none. */
  delete(route: RouteOptions): void;
  /** The route the kernel would take to an address. ENETUNREACH when there is none. */
  get(address: string, options?: GetRouteOptions): RouteInfo;
}

/** A neighbor, its link given by handle, name or index. */
export interface NeighborOptions extends Omit<NeighborMessage, "index"> {
  /** The link it is behind. */
  readonly dev: LinkTarget;
}

/** The neighbors of a namespace. */
export interface NeighborTable {
  /** All neighbors, or those of a link or a family. */
  list(filter?: NeighborFilter): NeighborInfo[];
  /** Adds a neighbor. EEXIST when there is one, unless `replace` is set. */
  add(neighbor: NeighborOptions, options?: { replace?: boolean }): void;
  /** Removes a neighbor. ENOENT when there is none. */
  delete(neighbor: Pick<NeighborOptions, "dev" | "address" | "proxy">): void;
}

/** The links of a namespace. */
export function linkTable(netns: NetNsHandle): LinkTable {
  return {
    list: (filter) => connectionTo(netns.ref).dump(dumpLinks(filter)),
    get: (selector) => Link.get(selector, { netns }),
  };
}

/** The addresses of a namespace. */
export function addressTable(netns: NetNsHandle): AddressTable {
  return { list: (filter) => connectionTo(netns.ref).dump(dumpAddresses(filter)) };
}

/** The routes of a namespace. */
export function routeTable(netns: NetNsHandle): RouteTable {
  const { ref } = netns;
  const message = ({ dev, ...route }: RouteOptions): RouteMessage =>
    dev === undefined ? route : { ...route, oif: indexOf(dev, ref, "dev") };
  return {
    list: (filter) => connectionTo(ref).dump(dumpRoutes(filter)),
    add: (route, options) => connectionTo(ref).request(newRoute(message(route), options)),
    delete: (route) => connectionTo(ref).request(deleteRoute(message(route))),
    get: (address, options) => connectionTo(ref).request(getRoute(address, options)),
  };
}

/** The neighbors of a namespace. */
export function neighborTable(netns: NetNsHandle): NeighborTable {
  const { ref } = netns;
  const message = <T extends { dev: LinkTarget }>({ dev, ...rest }: T) => ({
    ...rest,
    index: indexOf(dev, ref, "dev"),
  });
  return {
    list: (filter) => connectionTo(ref).dump(dumpNeighbors(filter)),
    add: (neighbor, options) => connectionTo(ref).request(newNeighbor(message(neighbor), options)),
    delete: (neighbor) => connectionTo(ref).request(deleteNeighbor(message(neighbor))),
  };
}
