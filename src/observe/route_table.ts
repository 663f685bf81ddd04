/**
 * The routes of a namespace. Unlike other objects a route has no key: several routes may have the same
 * destination, and the kernel does not send an event for every change.
 *
 * It sends none when it removes IPv4 routes because their link went down or was deleted, or because their
 * source address was removed; when the state of a link changes the flags of routes; and when routes go with a
 * nexthop object. When an IPv6 route loses one of several nexthops, the event does not have the remaining ones.
 * The routes that such an event makes doubtful are read again.
 *
 * @module
 */
import type { Connection } from "../netlink/connection.ts";
import { NLM_F } from "../netlink/message.ts";
import { NetlinkError } from "../netlink/error.ts";
import { IFF } from "../rtnetlink/constants.ts";
import { isOfFamily } from "../rtnetlink/fields.ts";
import { dumpRoutes } from "../rtnetlink/route.ts";
import type { RouteInfo } from "../rtnetlink/route_message.ts";
import { type Change, changeOf, settle, tryDump } from "./table.ts";

/** The link flags on which routes depend. */
const STATE = IFF.UP | IFF.RUNNING | IFF.LOWER_UP;
/** Most dumps of the routes of one link; for more links all routes are dumped once. */
const MOST_DUMPS = 4;

/** The routes of a namespace. Methods that change the table return the changes, in order. */
export class RouteTable {
  /** Routes by destination, table, metric and type of service; each list is in the kernel's order. */
  readonly #routes = new Map<string, RouteInfo[]>();
  readonly #links = new Map<number, number>();
  readonly #doubtfulLinks = new Set<number>();
  readonly #doubtfulSources = new Set<string>();
  #nexthopsDoubtful = false;
  #allDoubtful = false;

  /** All routes. */
  list(): RouteInfo[] {
    return [...this.#routes.values()].flat();
  }

  /** Adds routes without returning changes. */
  fill(routes: readonly RouteInfo[]): void {
    for (const route of routes) this.#listOf(route).push(route);
  }

  /**
   * Applies RTM_NEWROUTE.
   *
   * @param route The route.
   * @param flags The flags of the message: whether the route replaces another one.
   */
  put(route: RouteInfo, flags: number): Change<RouteInfo>[] {
    if (!isOfTable(route)) return [];
    const list = this.#listOf(route);
    const same = list.findIndex((other) => sameNexthops(other, route));
    let at = same;
    if (same < 0 && flags & NLM_F.REPLACE) at = list.length > 0 ? 0 : -1;
    else if (same < 0 && route.family === "inet6" && route.nexthops) {
      at = list.findIndex((other) =>
        nexthopsOf(other).some((nexthop) => nexthopsOf(route).includes(nexthop))
      );
    }
    // By its own rules the kernel replaces the first similar route.
    if (flags & NLM_F.REPLACE && list.length > 1) this.#allDoubtful = true;
    if (at >= 0) {
      const change = changeOf(list[at]!, route);
      list[at] = route;
      if (!change) return [];
      // IPv4 allows two routes with the same nexthop that differ otherwise.
      const changed: string[] = change.action === "change" ? [...change.changed] : [];
      if (!(flags & NLM_F.REPLACE) && changed.some((key) => key !== "flags")) {
        this.#allDoubtful = true;
      }
      return [change];
    }
    if (flags & NLM_F.APPEND || route.family === "inet6") list.push(route);
    else list.unshift(route);
    return [{ action: "add", entry: route }];
  }

  /** Applies RTM_DELROUTE. */
  remove(route: RouteInfo): Change<RouteInfo>[] {
    if (!isOfTable(route)) return [];
    const list = this.#listOf(route);
    const entry = list.find((other) => sameNexthops(other, route));
    if (entry) return [this.#apply({ action: "remove", entry })];
    const [nexthop] = nexthopsOf(route);
    // One of several nexthops is gone. The others may have become one route, or several.
    if (list.some((other) => nexthopsOf(other).includes(nexthop!))) this.#allDoubtful = true;
    if (list.length === 0) this.#routes.delete(baseOf(route));
    return [];
  }

  /** Applies the flags of a link. */
  linkChanged(index: number, flags: number): void {
    const state = flags & STATE;
    if (this.#links.get(index) === state) return;
    this.#links.set(index, state);
    this.#doubtfulLinks.add(index);
  }

  /** Applies the removal of a link: its routes go with it. */
  linkRemoved(index: number): Change<RouteInfo>[] {
    this.#links.delete(index);
    this.#doubtfulLinks.add(index); // for routes with several nexthops
    return this.list().filter((route) => isSimple(route) && route.oif === index)
      .map((entry) => this.#apply({ action: "remove", entry }));
  }

  /** Applies the removal of an address, which may be the source address of routes. */
  addressRemoved(address: string): void {
    this.#doubtfulSources.add(address.replace(/\/.*/, ""));
  }

  /** Applies a change of nexthop objects. */
  nexthopsChanged(): void {
    this.#nexthopsDoubtful = true;
  }

  /** Reads doubtful routes again. */
  refresh(connection: Connection): Change<RouteInfo>[] {
    if (
      !this.#allDoubtful && !this.#nexthopsDoubtful && this.#doubtfulLinks.size === 0 &&
      this.#doubtfulSources.size === 0
    ) return [];
    const doubtful = this.list().filter((route) => this.#isDoubtful(route));
    const links = new Set(doubtful.map((route) => route.oif!));
    const all = this.#allDoubtful || links.size > MOST_DUMPS || !doubtful.every(isSimple);
    this.#doubtfulLinks.clear();
    this.#doubtfulSources.clear();
    this.#nexthopsDoubtful = this.#allDoubtful = false;
    if (!all && links.size === 0) return [];
    settle(connection);
    const changes = all
      ? compare(this.list(), tryDump(connection, dumpRoutes()))
      : [...links].flatMap((oif) => this.#compareLink(connection, oif));
    for (const change of changes) this.#apply(change);
    return changes;
  }

  /** The changes that lead from this table to a later one. */
  changesTo(later: RouteTable): Change<RouteInfo>[] {
    return compare(this.list(), later.list());
  }

  #compareLink(connection: Connection, oif: number): Change<RouteInfo>[] {
    const known = this.list().filter((route) => isSimple(route) && route.oif === oif);
    let actual: RouteInfo[] = [];
    try {
      actual = tryDump(connection, dumpRoutes({ oif })).filter(isSimple);
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.code !== "ENODEV") throw error;
    }
    return compare(known, actual);
  }

  #isDoubtful({ oif, prefsrc, nexthops, nexthopId }: RouteInfo): boolean {
    const links = this.#doubtfulLinks;
    if (nexthopId !== undefined && (this.#nexthopsDoubtful || links.size > 0)) return true;
    if (prefsrc !== undefined && this.#doubtfulSources.has(prefsrc)) return true;
    return nexthops ? nexthops.some((it) => links.has(it.oif ?? 0)) : links.has(oif ?? 0);
  }

  #listOf(route: RouteInfo): RouteInfo[] {
    const base = baseOf(route);
    let list = this.#routes.get(base);
    if (!list) this.#routes.set(base, list = []);
    return list;
  }

  #apply(change: Change<RouteInfo>): Change<RouteInfo> {
    const { action, entry } = change;
    const list = this.#listOf(entry);
    if (action === "add") list.push(entry);
    else if (action === "change") list[list.indexOf(change.previous)] = entry;
    else list.splice(list.indexOf(entry), 1);
    if (list.length === 0) this.#routes.delete(baseOf(entry));
    return change;
  }
}

/** Whether it is an IP route, and not a cached copy. */
function isOfTable({ family, flags }: RouteInfo): boolean {
  return isOfFamily(family, undefined) && !flags.includes("cloned");
}

/** Whether the route has a single nexthop with a link of its own. */
function isSimple({ oif, nexthops, nexthopId }: RouteInfo): boolean {
  return oif !== undefined && !nexthops && nexthopId === undefined;
}

/** The properties that routes share when one can replace another. */
function baseOf({ family, table, destination, source, tos, metric }: RouteInfo): string {
  return `${family} ${table} ${destination} ${source ?? ""} ${tos} ${metric ?? 0}`;
}

/** The nexthops of a route as text. */
function nexthopsOf(route: RouteInfo): string[] {
  const { type, nexthops = [route], nexthopId = 0 } = route;
  return nexthops.map(({ gateway = "", oif = 0 }) => `${type} ${gateway}%${oif} ${nexthopId}`);
}

/** Whether two routes with the same base have the same nexthops, and so are the same route. */
function sameNexthops(a: RouteInfo, b: RouteInfo): boolean {
  return nexthopsOf(a).sort().join() === nexthopsOf(b).sort().join() &&
    (a.family === "inet6" || a.scope === b.scope);
}

/** The changes that lead from one set of routes to another. */
function compare(before: readonly RouteInfo[], after: readonly RouteInfo[]): Change<RouteInfo>[] {
  const changes: Change<RouteInfo>[] = [];
  const later = Map.groupBy(after, baseOf);
  for (const [base, routes] of Map.groupBy(before, baseOf)) {
    const others = later.get(base) ?? [];
    later.delete(base);
    const gone: RouteInfo[] = [];
    for (const previous of routes) {
      const at = others.findIndex((other) => sameNexthops(previous, other));
      if (at < 0) gone.push(previous);
      else {
        const change = changeOf(previous, others.splice(at, 1)[0]!);
        if (change) changes.push(change);
      }
    }
    // Unmatched routes on both sides replaced each other.
    for (const previous of gone) {
      const entry = others.shift();
      const change = entry
        ? changeOf(previous, entry)
        : { action: "remove", entry: previous } as const;
      if (change) changes.push(change);
    }
    for (const entry of others) changes.push({ action: "add", entry });
  }
  for (const entry of [...later.values()].flat()) changes.push({ action: "add", entry });
  return changes;
}
