/**
 * What is known of one namespace: its tables, and how the kernel's messages change them.
 *
 * @module
 */
import type { Source } from "../netlink/bytes.ts";
import type { Connection } from "../netlink/connection.ts";
import type { Header } from "../netlink/message.ts";
import { type AddressInfo, dumpAddresses, readAddress } from "../rtnetlink/address.ts";
import { AF, RTM, RTNLGRP } from "../rtnetlink/constants.ts";
import { isOfFamily } from "../rtnetlink/fields.ts";
import { dumpFdb, type FdbInfo, readFdb } from "../rtnetlink/fdb.ts";
import { dumpLinks, readLink } from "../rtnetlink/link.ts";
import { dumpNeighbors, type NeighborInfo, readNeighbor } from "../rtnetlink/neighbor.ts";
import { dumpRoutes } from "../rtnetlink/route.ts";
import { readRoute } from "../rtnetlink/route_format.ts";
import { tryDump } from "./dump.ts";
import type { MonitorEvent, SnapshotEvent } from "./event.ts";
import { moveOf, portMemberData } from "./link_message.ts";
import { LinkTable } from "./link_table.ts";
import { RouteTable } from "./route_table.ts";
import { type Change, Table } from "./table.ts";

/** Which tables are watched. */
export interface Watched {
  readonly links: boolean;
  readonly addresses: boolean;
  readonly routes: boolean;
  readonly neighbors: boolean;
  readonly fdb: boolean;
}

/** The groups to join. Routes and forwarding entries also go, in silence, with links and addresses. */
export function groupsOf({ links, addresses, routes, neighbors, fdb }: Watched): number[] {
  const groups: [group: number, wanted: boolean][] = [
    [RTNLGRP.LINK, links || routes || fdb],
    [RTNLGRP.IPV4_IFADDR, addresses || routes],
    [RTNLGRP.IPV6_IFADDR, addresses],
    [RTNLGRP.IPV4_ROUTE, routes],
    [RTNLGRP.IPV6_ROUTE, routes],
    [RTNLGRP.NEXTHOP, routes],
    [RTNLGRP.NEIGH, neighbors || fdb],
  ];
  return groups.filter(([, wanted]) => wanted).map(([group]) => group);
}

/** The tables of a namespace. */
export class State {
  /** What happened, not yet reported. Who reads it empties it. */
  readonly events: MonitorEvent[] = [];
  readonly #links: LinkTable | undefined;
  readonly #addresses: Table<AddressInfo> | undefined;
  readonly #routes: RouteTable | undefined;
  readonly #neighbors: Table<NeighborInfo> | undefined;
  readonly #fdb: Table<FdbInfo> | undefined;

  /** Reads the tables. */
  constructor(watched: Watched, connection: Connection) {
    if (watched.links) {
      this.#links = new LinkTable();
      this.#links.fill(tryDump(connection, dumpLinks()));
    }
    if (watched.addresses) {
      this.#addresses = new Table<AddressInfo>(addressKey);
      this.#addresses.fill(tryDump(connection, dumpAddresses()));
    }
    if (watched.routes) {
      this.#routes = new RouteTable();
      this.#routes.fill(tryDump(connection, dumpRoutes()));
    }
    if (watched.neighbors) {
      this.#neighbors = new Table<NeighborInfo>(({ index, address }) => `${index} ${address}`);
      this.#neighbors.fill(tryDump(connection, dumpNeighbors()));
    }
    if (watched.fdb) {
      this.#fdb = new Table<FdbInfo>(fdbKey);
      this.#fdb.fill(tryDump(connection, dumpFdb()));
    }
  }

  /** All that is known. */
  snapshot(): SnapshotEvent {
    return {
      type: "snapshot",
      links: this.#links?.list() ?? [],
      addresses: this.#addresses?.list() ?? [],
      routes: this.#routes?.list() ?? [],
      neighbors: this.#neighbors?.list() ?? [],
      fdb: this.#fdb?.list() ?? [],
    };
  }

  /** Takes a message in. */
  apply({ type, flags, start, end }: Header, source: Source): void {
    switch (type) {
      case RTM.NEWLINK:
      case RTM.DELLINK:
        return this.#applyLink(type, source, start, end);
      case RTM.NEWADDR:
      case RTM.DELADDR:
        return this.#applyAddress(type, source, start, end);
      case RTM.NEWROUTE:
        return this.#report("route", this.#routes?.put(readRoute(source, start, end), flags));
      case RTM.DELROUTE:
        return this.#report("route", this.#routes?.remove(readRoute(source, start, end)));
      case RTM.NEWNEIGH:
      case RTM.DELNEIGH:
        return this.#applyNeighbor(type, source, start, end);
      case RTM.NEWNEXTHOP:
      case RTM.DELNEXTHOP:
        return this.#routes?.nexthopsChanged();
    }
  }

  /** Reads again what messages have made doubtful. For when all messages are applied. */
  refresh(connection: Connection): void {
    this.#report("link", this.#links?.refresh(connection));
    this.#report("route", this.#routes?.refresh(connection));
  }

  /** Reports in a later state what leads to it from this one: first what goes, then the rest. */
  reportChangesTo(later: State): void {
    const all = [
      eventsOf("link", later.#links && this.#links?.changesTo(later.#links)),
      eventsOf("address", later.#addresses && this.#addresses?.changesTo(later.#addresses)),
      eventsOf("route", later.#routes && this.#routes?.changesTo(later.#routes)),
      eventsOf("neighbor", later.#neighbors && this.#neighbors?.changesTo(later.#neighbors)),
      eventsOf("fdb", later.#fdb && this.#fdb?.changesTo(later.#fdb)),
    ];
    const isRemoval = (event: MonitorEvent) => "action" in event && event.action === "remove";
    for (const event of all.toReversed().flat()) if (isRemoval(event)) later.events.push(event);
    for (const event of all.flat()) if (!isRemoval(event)) later.events.push(event);
  }

  #report<T extends object>(type: MonitorEvent["type"], changes: Change<T>[] | undefined): void {
    for (const event of eventsOf(type, changes)) this.events.push(event);
  }

  #applyLink(type: number, source: Source, start: number, end: number): void {
    const family = source.bytes[start];
    const index = source.view.getInt32(start + 4, true);
    if (family === AF.BRIDGE) return this.#applyPort(type, index, source, start, end);
    if (family !== AF.UNSPEC) return;
    if (type === RTM.NEWLINK) {
      this.#routes?.linkChanged(index, source.view.getUint32(start + 8, true));
      if (!this.#links) return;
      const link = readLink(source, start, end);
      // Wireless drivers send messages of their own, with a name and little else.
      if (link.mtu !== undefined) this.#report("link", this.#links.put(link));
      return;
    }
    // The kernel tells of most of these itself, and before it tells of the link.
    const ofLink = (entry: { index: number; master?: number }) =>
      entry.index === index || entry.master === index;
    this.#report("fdb", this.#fdb?.removeWhere(ofLink));
    this.#report("neighbor", this.#neighbors?.removeWhere(ofLink));
    this.#report("route", this.#routes?.linkRemoved(index));
    this.#report("address", this.#addresses?.removeWhere(ofLink));
    const link = this.#links?.remove(index);
    if (!link) return;
    const movedTo = moveOf(source, start, end);
    this.events.push({ type: "link", action: "remove", link, ...(movedTo ? { movedTo } : {}) });
  }

  /** Messages of bridges about their ports. RTM_DELLINK says that a link is not a port any more. */
  #applyPort(type: number, index: number, source: Source, start: number, end: number): void {
    if (!this.#links || type !== RTM.NEWLINK) return;
    const data = portMemberData(source, start, end);
    if (data) this.#report("link", this.#links.putPort(index, data));
  }

  #applyAddress(type: number, source: Source, start: number, end: number): void {
    const address = readAddress(source, start, end);
    if (!isOfFamily(address.family, undefined)) return;
    if (type === RTM.NEWADDR) return this.#report("address", this.#addresses?.put(address));
    this.#routes?.addressRemoved(address.address);
    this.#report("address", this.#addresses?.remove(address));
  }

  #applyNeighbor(type: number, source: Source, start: number, end: number): void {
    const family = source.bytes[start];
    const isNew = type === RTM.NEWNEIGH;
    if (family === AF.BRIDGE) {
      if (!this.#fdb) return;
      const entry = readFdb(source, start, end);
      this.#report("fdb", isNew ? this.#fdb.put(entry) : this.#fdb.remove(entry));
    } else if (this.#neighbors && (family === AF.INET || family === AF.INET6)) {
      const entry = readNeighbor(source, start, end);
      if (entry.proxy) return;
      this.#report(
        "neighbor",
        isNew ? this.#neighbors.put(entry) : this.#neighbors.remove(entry),
      );
    }
  }
}

function eventsOf<T extends object>(
  type: MonitorEvent["type"],
  changes: Change<T>[] = [],
): MonitorEvent[] {
  return changes.map(({ action, entry, ...rest }) =>
    ({ type, action, [type]: entry, ...rest }) as unknown as MonitorEvent
  );
}

/** IPv4 has an address once for each peer, IPv6 once. */
function addressKey({ index, family, address, peer }: AddressInfo): string {
  return family === "inet" && peer !== undefined
    ? `${index} ${address} ${peer}`
    : `${index} ${address}`;
}

/** A bridge has an Ethernet address once for each VLAN, wherever it is; a VXLAN for each destination. */
function fdbKey(entry: FdbInfo): string {
  const { index, master, mac, vlan = 0, flags } = entry;
  if (master !== undefined && !flags.includes("self")) return `${master} ${mac} ${vlan}`;
  const { dst, port, vni, srcVni, oif, nexthopId } = entry;
  return ["self", index, mac, vlan, dst, port, vni, srcVni, oif, nexthopId].join(" ");
}
