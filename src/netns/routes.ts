/**
 * The routes of a namespace.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import {
  addAll,
  asArray,
  convert,
  deleteAll,
  flushAll,
  type Inspect,
  inspectList,
  type Many,
  replaceAll,
  type Undo,
} from "../netlink/collection.ts";
import { connectionTo, type NetNsHandle } from "../netlink/connections.ts";
import { checkObject, checkOptions, type OptionNames, show } from "../options.ts";
import type { AddressScope } from "../rtnetlink/address.ts";
import {
  ROUTE_TYPES,
  type RoutePreference,
  type RouteProtocol,
  type RouteTable,
  type RouteType,
} from "../rtnetlink/constants.ts";
import { byteValue, type IpFamily } from "../rtnetlink/fields.ts";
import { indexOf, type LinkTarget } from "../rtnetlink/link_target.ts";
import { dumpRoutes, getRoute, type RouteFilter, RouteRequest } from "../rtnetlink/route.ts";
import type { RouteMetrics } from "../rtnetlink/route_attributes.ts";
import {
  isRouteInfo,
  ROUTE_OPTIONS,
  type RouteInfo,
  type RouteMessage,
  type RouteNexthop,
  settableRoute,
} from "../rtnetlink/route_message.ts";
import { Devices, titleOf, withFamily } from "./entries.ts";

/** One of several nexthops of a route; the kernel spreads flows over them. */
export interface RouteNexthopOptions {
  /** The router; for an IPv4 route it may have an IPv6 address. */
  readonly gateway?: string;
  /** The link packets leave through. */
  readonly dev?: LinkTarget;
  /** Its share, 1..256; default 1. */
  readonly weight?: number;
  /** The router counts as on the link though no address of the link covers it. Default: false. */
  readonly onlink?: boolean;
  /** Kind of encapsulation, LWTUNNEL_ENCAP_*. */
  readonly encapType?: number;
  /** The encapsulation's attributes as bytes. */
  readonly encap?: Uint8Array;
}

const NEXTHOP: OptionNames<RouteNexthopOptions> = {
  gateway: true,
  dev: true,
  weight: true,
  onlink: true,
  encapType: true,
  encap: true,
};

/** A route to be set. */
export interface RouteOptions {
  /** Destination: a prefix such as `10.0.0.0/8`, an address, or `default`. */
  readonly destination: string;
  /** `inet` for IPv4, `inet6` for IPv6; default: as the addresses are, IPv4 when there are none. */
  readonly family?: IpFamily;
  /** IPv6: only packets from this prefix. Needs a kernel with CONFIG_IPV6_SUBTREES. */
  readonly source?: string;
  /** Treatment of the packets; default `unicast`. */
  readonly type?: RouteType | number;
  /** The router; for an IPv4 route it may have an IPv6 address. */
  readonly gateway?: string;
  /** The link packets leave through. */
  readonly dev?: LinkTarget;
  /** Several nexthops instead of `gateway` and `dev`. */
  readonly nexthops?: readonly RouteNexthopOptions[];
  /** Id of a nexthop object, instead of `gateway`, `dev` and `nexthops`. */
  readonly nexthopId?: number;
  /** The router counts as on the link though no address of the link covers it. Default: false. */
  readonly onlink?: boolean;
  /** Of routes to the same destination the one with the lowest is used; default 0, IPv6 1024. */
  readonly metric?: number;
  /** The table; default `main`, for local, broadcast and anycast routes `local`. */
  readonly table?: RouteTable | number;
  /** Its origin; default `boot`. */
  readonly protocol?: RouteProtocol | number;
  /** IPv4: how far the destination is; default by `type` and `gateway`, as `ip route` has it. */
  readonly scope?: AddressScope | number;
  /** Source address for packets that have none yet. */
  readonly prefsrc?: string;
  /** IPv4: only packets with this type of service. */
  readonly tos?: number;
  /** Settings of TCP and IP on this route. */
  readonly metrics?: RouteMetrics;
  /** IPv6: rank among default routers (RFC 4191). */
  readonly pref?: RoutePreference | number;
  /** IPv6: seconds until it is removed; default never. */
  readonly expires?: number;
  /** Kind of encapsulation, LWTUNNEL_ENCAP_*. */
  readonly encapType?: number;
  /** The encapsulation's attributes as bytes. */
  readonly encap?: Uint8Array;
}

const { oif: _, ...WITHOUT_LINK } = ROUTE_OPTIONS;
const OPTIONS: OptionNames<RouteOptions> = { ...WITHOUT_LINK, dev: true };

/** A filter for routes: a route must match all of it. */
export interface NetNsRouteFilter {
  /** Only IPv4 (`inet`) or IPv6 (`inet6`). */
  readonly family?: IpFamily;
  /** Only this table. */
  readonly table?: RouteTable | number;
  /** Only routes through this link. */
  readonly dev?: LinkTarget;
  /** Only routes of this origin. */
  readonly protocol?: RouteProtocol | number;
  /** Only routes of this type. */
  readonly type?: RouteType | number;
}

const FILTER: OptionNames<NetNsRouteFilter> = {
  family: true,
  table: true,
  dev: true,
  protocol: true,
  type: true,
};

/** The packets for which {@link NetNsRoutes.get} asks. */
export interface RouteLookupOptions {
  /** Their source address; default: the kernel chooses. */
  readonly from?: string;
  /** The link they are bound to. */
  readonly dev?: LinkTarget;
  /** The link they come in by: the route of a forwarded packet. */
  readonly iif?: LinkTarget;
  /** Their firewall mark. */
  readonly mark?: number;
  /** The user that sends them. */
  readonly uid?: number;
  /** Their type of service. */
  readonly tos?: number;
  /** Their IP protocol: 6 TCP, 17 UDP. */
  readonly ipProtocol?: number;
  /** Their source port. */
  readonly sport?: number;
  /** Their destination port. */
  readonly dport?: number;
  /** Answer with the entry of the table instead of the route derived from it. Default: false. */
  readonly fibMatch?: boolean;
}

const LOOKUP: OptionNames<RouteLookupOptions> = {
  from: true,
  dev: true,
  iif: true,
  mark: true,
  uid: true,
  tos: true,
  ipProtocol: true,
  sport: true,
  dport: true,
  fibMatch: true,
};

/** The types of routes that send packets nowhere: they need neither router nor link. */
const DEAD_ENDS: ReadonlySet<unknown> = new Set(
  (["blackhole", "unreachable", "prohibit", "throw"] as const)
    .flatMap((type) => [type, ROUTE_TYPES[type]]),
);

/**
 * The routes of a namespace.
 *
 * @example Many routes at once, all or none
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const addresses = ["192.0.2.1/24"];
 * Veth.create({ name: "v0", netns, up: true, addresses, peer: { name: "v1", netns, up: true } });
 * const gateway = "192.0.2.254";
 * netns.routes.add([
 *   { destination: "default", gateway },
 *   { destination: "10.0.0.0/8", gateway, metric: 100 },
 *   { destination: "10.66.0.0/16", type: "unreachable" },
 * ]);
 * assertEquals(netns.routes.get("203.0.113.7").gateway, gateway);
 * netns.routes.flush({ table: "main" });
 * assertEquals(netns.routes.list({ table: "main", protocol: "boot" }), []);
 * ```
 */
export class NetNsRoutes {
  readonly #netns: NetNsHandle;

  /** For namespaces. */
  constructor(netns: NetNsHandle) {
    this.#netns = netns;
  }

  /**
   * Reads the routes: all of all tables, or those that the filter lets through.
   *
   * The kernel reports no route that takes more than 32 kB, such as an IPv6 route over 1,300 next hops.
   * That is an error; but Linux 6.1 silently leaves out such an IPv6 route.
   *
   * @param filter A family, or a filter that a route must match all of.
   * @throws {NetlinkError} ENODEV when there is no such `dev`; EMSGSIZE for a route that the kernel cannot
   * report.
   */
  list(filter: IpFamily | NetNsRouteFilter = {}): RouteInfo[] {
    return connectionTo(this.#netns.ref).dump(dumpRoutes(this.#filter(filter)));
  }

  /**
   * Asks for the route that packets to an address take.
   *
   * @param address The address.
   * @param options Further properties of the packets.
   * @throws {NetlinkError} ENETUNREACH when there is none; EHOSTUNREACH, EACCES or EINVAL when a route
   * drops the packets.
   */
  get(address: string, options: RouteLookupOptions = {}): RouteInfo {
    checkOptions(options, LOOKUP);
    const { ref } = this.#netns;
    const { dev, iif, ...rest } = options;
    return connectionTo(ref).request(getRoute(address, {
      ...rest,
      ...(dev === undefined ? {} : { oif: indexOf(dev, ref, "dev") }),
      ...(iif === undefined ? {} : { iif: indexOf(iif, ref, "iif") }),
    }));
  }

  /**
   * Adds routes, all or none.
   *
   * @param routes One or many; also what `list()` gave.
   * @throws {NetlinkError} EEXIST when the table has a route of this destination, metric and type of
   * service; ENETUNREACH when no address covers the gateway.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For malformed prefixes and options; none is added then.
   */
  add(routes: Many<RouteOptions | RouteInfo>): void {
    const messages = this.#messages(routes, true);
    const request = (message: RouteMessage) => new RouteRequest("add", message);
    addAll(connectionTo(this.#netns.ref), messages, request, undo);
  }

  /**
   * Adds routes behind those of the same destination, metric and type of service, all or none. Otherwise
   * as {@link NetNsRoutes.add}.
   *
   * @param routes One or many; also what `list()` gave.
   */
  append(routes: Many<RouteOptions | RouteInfo>): void {
    const messages = this.#messages(routes, true);
    const request = (message: RouteMessage) => new RouteRequest("append", message);
    addAll(connectionTo(this.#netns.ref), messages, request, undo);
  }

  /**
   * Adds routes, each in the place of the first that has its destination, metric and type of service.
   * Otherwise as {@link NetNsRoutes.add}.
   *
   * @param routes One or many; also what `list()` gave.
   */
  replace(routes: Many<RouteOptions | RouteInfo>): void {
    const messages = this.#messages(routes, true);
    const request = (message: RouteMessage, replace: boolean) =>
      new RouteRequest(replace ? "replace" : "add", message);
    replaceAll(connectionTo(this.#netns.ref), messages, request, undo);
  }

  /**
   * Deletes routes: of each the first that matches in all that is given.
   *
   * @param routes One or many: a destination, or with options; also what `list()` gave.
   * @throws {NetlinkError} ESRCH when there is none.
   */
  delete(routes: Many<string | RouteOptions | RouteInfo>): void {
    const given = asArray(routes).map((route) =>
      typeof route === "string" ? { destination: route } : route
    );
    deleteAll(connectionTo(this.#netns.ref), this.#messages(given, false), deletion);
  }

  /**
   * Deletes routes: those that match all of `filter`. Without a `table` those of table `main`; without a
   * `protocol` the kernel's own stay, which lead to the networks of its addresses.
   *
   * @param filter A family, or a filter that a route must match all of.
   */
  flush(filter: IpFamily | NetNsRouteFilter = {}): void {
    const given = withFamily(filter);
    checkObject(given, "options");
    const { table = "main", protocol: wanted }: NetNsRouteFilter = given;
    const routes = this.list({ ...given, table })
      .filter(({ protocol }) => wanted !== undefined || protocol !== "kernel");
    const request = (route: RouteInfo) => deletion(settableRoute(route));
    flushAll(connectionTo(this.#netns.ref), routes, request, [ERRNO.ESRCH]);
  }

  #filter(given: IpFamily | NetNsRouteFilter): RouteFilter {
    const filter = withFamily(given);
    checkOptions(filter, FILTER);
    const { dev, ...rest } = filter;
    return dev === undefined ? rest : { ...rest, oif: indexOf(dev, this.#netns.ref, "dev") };
  }

  #messages(routes: Many<RouteOptions | RouteInfo>, toAdd: boolean): RouteMessage[] {
    const devices = new Devices(this.#netns.ref);
    return convert(routes, (route) => {
      if (isRouteInfo(route)) return settableRoute(route);
      checkOptions(route, OPTIONS);
      if (toAdd) checkWay(route);
      const { dev, nexthops, ...rest } = route;
      const message: RouteMessage = rest;
      if (dev !== undefined) message.oif = devices.indexOf(dev);
      if (nexthops) {
        message.nexthops = nexthops.map(({ dev, ...nexthop }, i): RouteNexthop => {
          const path = `nexthops[${i}]`;
          checkOptions(nexthop, NEXTHOP, path);
          return dev === undefined
            ? nexthop
            : { ...nexthop, oif: devices.indexOf(dev, `${path}.dev`) };
        });
      }
      return message;
    });
  }

  /** Prints the routes of table `main`. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const title = titleOf("routes", this.#netns.ref);
    return inspectList(title, () => this.list({ table: "main" }), inspect, options);
  }
}

function deletion(message: RouteMessage): RouteRequest {
  return new RouteRequest("delete", message);
}

/** In reverse: of routes alike, which were appended, the last comes first. */
const undo: Undo<RouteMessage> = (done) => done.toReversed().map(deletion);

/** Refuses a route that leads nowhere; the kernel says "No such device" to it. */
function checkWay({ destination, gateway, dev, nexthops, nexthopId, type }: RouteOptions): void {
  // A misspelled type is not one that leads somewhere.
  if (type !== undefined) byteValue(type, ROUTE_TYPES, "type");
  const ways = [gateway, dev, nexthops, nexthopId];
  if (ways.some((way) => way !== undefined) || DEAD_ENDS.has(type)) return;
  throw new TypeError(
    `Route ${show(destination)} needs gateway, dev, nexthops or nexthopId: it leads nowhere`,
  );
}
