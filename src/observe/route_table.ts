/**
 * The routes that are known. Unlike other things they have no key: several routes may have one
 * destination, and the kernel does not tell of all changes.
 *
 * It says nothing when IPv4 routes go because their link went down or was deleted, or because their source
 * address was removed; when a link's state changes the flags of routes; and when a nexthop object takes
 * routes along. Of an IPv6 route with several nexthops it tells that one went, but not what is left.
 * What such an event makes doubtful is read again.
 *
 * @module
 */
import type { Connection } from "../netlink/connection.ts";
import { NLM_F } from "../netlink/constants.ts";
import { NetlinkError } from "../netlink/error.ts";
import { IFF } from "../rtnetlink/constants.ts";
import { isOfFamily } from "../rtnetlink/fields.ts";
import { dumpRoutes, type RouteInfo } from "../rtnetlink/route.ts";
import { settle, tryDump } from "./dump.ts";
import { type Change, changeOf } from "./table.ts";

/** The link flags that routes depend on. */
const STATE = IFF.UP | IFF.RUNNING | IFF.LOWER_UP;
/** With more links in doubt than this one dump of all routes is taken to be cheaper. */
const MOST_DUMPS = 4;

/** The routes of a namespace. What changes them returns the changes, in order. */
export class RouteTable {
  /** Routes of one destination, table, metric and type of service, in the kernel's order. */
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

  /** Adds routes, without telling. */
  fill(routes: readonly RouteInfo[]): void {
    for (const route of routes) this.#listOf(route).push(route);
  }

  /**
   * Takes in RTM_NEWROUTE.
   *
   * @param route The route.
   * @param flags The message's flags, which tell what became of others.
   */
  put(route: RouteInfo, flags: number): Change<RouteInfo>[] {
    if (!isOfTable(route)) return [];
    const list = this.#listOf(route);
    const same = list.findIndex((other) => sameWay(other, route));
    let at = same;
    if (same < 0 && flags & NLM_F.REPLACE) at = list.length > 0 ? 0 : -1;
    else if (same < 0 && route.family === "inet6" && route.nexthops) {
      at = list.findIndex((other) => waysOf(other).some((way) => waysOf(route).includes(way)));
    }
    // The kernel replaces the first that is like it, by rules of its own.
    if (flags & NLM_F.REPLACE && list.length > 1) this.#allDoubtful = true;
    if (at >= 0) {
      const change = changeOf(list[at]!, route);
      list[at] = route;
      if (!change) return [];
      // IPv4 may have two that go the same way and differ in something else.
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

  /** Takes in RTM_DELROUTE. */
  remove(route: RouteInfo): Change<RouteInfo>[] {
    if (!isOfTable(route)) return [];
    const list = this.#listOf(route);
    const entry = list.find((other) => sameWay(other, route));
    if (entry) return [this.#apply({ action: "remove", entry })];
    const [way] = waysOf(route);
    // One of several nexthops went. The others may have become one route, or several.
    if (list.some((other) => waysOf(other).includes(way!))) this.#allDoubtful = true;
    if (list.length === 0) this.#routes.delete(baseOf(route));
    return [];
  }

  /** Takes in a link's flags. */
  linkChanged(index: number, flags: number): void {
    const state = flags & STATE;
    if (this.#links.get(index) === state) return;
    this.#links.set(index, state);
    this.#doubtfulLinks.add(index);
  }

  /** Takes in that a link is gone, and its routes with it. */
  linkRemoved(index: number): Change<RouteInfo>[] {
    this.#links.delete(index);
    this.#doubtfulLinks.add(index); // for routes with several nexthops
    return this.list().filter((route) => isSimple(route) && route.oif === index)
      .map((entry) => this.#apply({ action: "remove", entry }));
  }

  /** Takes in that an address is gone, which routes may have had as their source. */
  addressRemoved(address: string): void {
    this.#doubtfulSources.add(address.replace(/\/.*/, ""));
  }

  /** Takes in that nexthop objects changed. */
  nexthopsChanged(): void {
    this.#nexthopsDoubtful = true;
  }

  /** Reads again what is in doubt. */
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

  /** What leads from this table to a later one. */
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

/** Routes of IP, without what the kernel caches. */
function isOfTable({ family, flags }: RouteInfo): boolean {
  return isOfFamily(family, undefined) && !flags.includes("cloned");
}

/** Whether it goes through one link, known by its index. */
function isSimple({ oif, nexthops, nexthopId }: RouteInfo): boolean {
  return oif !== undefined && !nexthops && nexthopId === undefined;
}

/** What routes have in common that one of them can take the place of another. */
function baseOf({ family, table, destination, source, tos, metric }: RouteInfo): string {
  return `${family} ${table} ${destination} ${source ?? ""} ${tos} ${metric ?? 0}`;
}

/** The ways a route goes, as text. */
function waysOf(route: RouteInfo): string[] {
  const { type, nexthops = [route], nexthopId = 0 } = route;
  return nexthops.map(({ gateway = "", oif = 0 }) => `${type} ${gateway}%${oif} ${nexthopId}`);
}

/** Whether two routes of one base go the same way: what tells one of them from the others. */
function sameWay(a: RouteInfo, b: RouteInfo): boolean {
  return waysOf(a).sort().join() === waysOf(b).sort().join() &&
    (a.family === "inet6" || a.scope === b.scope);
}

/** What leads from some routes to others. */
function compare(before: readonly RouteInfo[], after: readonly RouteInfo[]): Change<RouteInfo>[] {
  const changes: Change<RouteInfo>[] = [];
  const later = Map.groupBy(after, baseOf);
  for (const [base, routes] of Map.groupBy(before, baseOf)) {
    const others = later.get(base) ?? [];
    later.delete(base);
    const gone: RouteInfo[] = [];
    for (const previous of routes) {
      const at = others.findIndex((other) => sameWay(previous, other));
      if (at < 0) gone.push(previous);
      else {
        const change = changeOf(previous, others.splice(at, 1)[0]!);
        if (change) changes.push(change);
      }
    }
    // What is left on both sides was replaced.
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
