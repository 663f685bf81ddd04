/**
 * The tables of a namespace, and how the kernel's messages change them.
 *
 * @module
 */
import { forEachAttribute, s32 } from "../netlink/attribute.ts";
import type { Source } from "../netlink/bytes.ts";
import type { Connection } from "../netlink/connection.ts";
import { decode, type Header, type MessageFormat, NLA_F } from "../netlink/message.ts";
import type { Received, Subscription } from "../netlink/socket.ts";
import { addressFormat, type AddressInfo, dumpAddresses } from "../rtnetlink/address.ts";
import { AF, RTM, RTNLGRP } from "../rtnetlink/constants.ts";
import { isOfFamily } from "../rtnetlink/fields.ts";
import { dumpFdb, fdbFormat, type FdbInfo } from "../rtnetlink/fdb.ts";
import { dumpLinks, linkFormat } from "../rtnetlink/link.ts";
import { linkKind, readLink } from "../rtnetlink/link_info.ts";
import { IFLA } from "../rtnetlink/link_attributes.ts";
import { dumpNeighbors, neighborFormat, type NeighborInfo } from "../rtnetlink/neighbor.ts";
import { dumpRoutes } from "../rtnetlink/route.ts";
import { routeFormat } from "../rtnetlink/route_message.ts";
import { ruleFormat } from "../rtnetlink/rule.ts";
import type { LinkMove, MonitorEvent, OverrunEvent, SnapshotEvent } from "./event.ts";
import { RouteTable } from "./route_table.ts";
import { type Change, LinkTable, RuleTable, settle, Table, tryDump } from "./table.ts";
import { type TrafficChanges, TrafficTables, type WatchedTraffic } from "./traffic_table.ts";

/** How often the tables are read in the hope that nothing changes meanwhile. */
const ATTEMPTS = 4;
/**
 * How long queued messages are applied to a new reading, in milliseconds. Where they come as fast as they are
 * read the rest stays in the queue, and is reported although the tables may have it.
 */
const STRETCH = 50;

/** The watched tables. */
export interface Watched extends WatchedTraffic {
  readonly links: boolean;
  readonly addresses: boolean;
  readonly routes: boolean;
  readonly neighbors: boolean;
  readonly fdb: boolean;
  readonly rules: boolean;
}

/** The groups to join. Other objects also go silently with links and addresses. */
export function groupsOf(watched: Watched): number[] {
  const { links, addresses, routes, neighbors, fdb, rules } = watched;
  const traffic = hasTraffic(watched);
  const groups: [group: number, wanted: boolean][] = [
    [RTNLGRP.LINK, links || routes || fdb || rules || traffic],
    [RTNLGRP.TC, traffic],
    [RTNLGRP.IPV4_IFADDR, addresses || routes],
    [RTNLGRP.IPV6_IFADDR, addresses],
    [RTNLGRP.IPV4_ROUTE, routes],
    [RTNLGRP.IPV6_ROUTE, routes],
    [RTNLGRP.NEXTHOP, routes],
    [RTNLGRP.NEIGH, neighbors || fdb],
    [RTNLGRP.IPV4_RULE, rules],
    [RTNLGRP.IPV6_RULE, rules],
  ];
  return groups.filter(([, wanted]) => wanted).map(([group]) => group);
}

function hasTraffic({ qdiscs, classes, filters }: WatchedTraffic): boolean {
  return qdiscs || classes || filters;
}

/** The tables of a namespace. */
export class State {
  /** Events that are not reported yet. The reader empties the list. */
  readonly events: MonitorEvent[] = [];
  readonly #links: LinkTable | undefined;
  readonly #addresses: Table<AddressInfo> | undefined;
  readonly #routes: RouteTable | undefined;
  readonly #neighbors: Table<NeighborInfo> | undefined;
  readonly #fdb: Table<FdbInfo> | undefined;
  readonly #rules: RuleTable | undefined;
  readonly #traffic: TrafficTables | undefined;

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
    if (watched.rules) this.#rules = new RuleTable(connection);
    if (hasTraffic(watched)) this.#traffic = new TrafficTables(watched, connection);
  }

  /** The tables as an event. */
  snapshot(): SnapshotEvent {
    return {
      type: "snapshot",
      links: this.#links?.list() ?? [],
      addresses: this.#addresses?.list() ?? [],
      routes: this.#routes?.list() ?? [],
      neighbors: this.#neighbors?.list() ?? [],
      fdb: this.#fdb?.list() ?? [],
      rules: this.#rules?.list() ?? [],
      qdiscs: this.#traffic?.qdiscs() ?? [],
      classes: this.#traffic?.classes() ?? [],
      filters: this.#traffic?.filters() ?? [],
    };
  }

  /** Applies a message. Throws `NetlinkDecodeError` for one that cannot be read. */
  apply(header: Header, source: Source): void {
    switch (header.type) {
      case RTM.NEWLINK:
      case RTM.DELLINK:
        return this.#applyLink(header, source);
      case RTM.NEWADDR:
      case RTM.DELADDR:
        return this.#applyAddress(header, source);
      case RTM.NEWROUTE:
        return this.#report(
          "route",
          this.#routes?.put(read(routeFormat, header, source), header.flags),
        );
      case RTM.DELROUTE:
        return this.#report("route", this.#routes?.remove(read(routeFormat, header, source)));
      case RTM.NEWNEIGH:
      case RTM.DELNEIGH:
        return this.#applyNeighbor(header, source);
      case RTM.NEWRULE:
        return this.#report("rule", this.#rules?.put(read(ruleFormat, header, source)));
      case RTM.DELRULE:
        return this.#report("rule", this.#rules?.remove(read(ruleFormat, header, source)));
      case RTM.NEWNEXTHOP:
      case RTM.DELNEXTHOP:
        return this.#routes?.nexthopsChanged();
    }
    // RTM_NEWQDISC to RTM_GETTFILTER.
    if (header.type >= RTM.NEWQDISC && header.type <= RTM.GETTFILTER) {
      this.#reportTraffic(this.#traffic?.apply(header, source));
    }
  }

  /** Reads doubtful entries again. Call it when all queued messages are applied. */
  refresh(connection: Connection): void {
    this.#report("link", this.#links?.refresh(connection));
    this.#report("route", this.#routes?.refresh(connection));
    this.#report("rule", this.#rules?.refresh(connection));
    this.#reportTraffic(this.#traffic?.refresh(connection));
  }

  /** Adds the changes from this state to a later one to the later one's events: removals first. */
  reportChangesTo(later: State): void {
    const traffic = later.#traffic && this.#traffic?.changesTo(later.#traffic);
    const all = [
      eventsOf("link", later.#links && this.#links?.changesTo(later.#links)),
      eventsOf("address", later.#addresses && this.#addresses?.changesTo(later.#addresses)),
      eventsOf("route", later.#routes && this.#routes?.changesTo(later.#routes)),
      eventsOf("neighbor", later.#neighbors && this.#neighbors?.changesTo(later.#neighbors)),
      eventsOf("fdb", later.#fdb && this.#fdb?.changesTo(later.#fdb)),
      eventsOf("rule", later.#rules && this.#rules?.changesTo(later.#rules)),
      eventsOf("qdisc", traffic?.qdisc),
      eventsOf("class", traffic?.class),
      eventsOf("filter", traffic?.filter),
    ];
    const isRemoval = (event: MonitorEvent) => "action" in event && event.action === "remove";
    for (const event of all.toReversed().flat()) if (isRemoval(event)) later.events.push(event);
    for (const event of all.flat()) if (!isRemoval(event)) later.events.push(event);
  }

  #report<T extends object>(type: MonitorEvent["type"], changes: Change<T>[] | undefined): void {
    for (const event of eventsOf(type, changes)) this.events.push(event);
  }

  #reportTraffic(changes: Partial<TrafficChanges> = {}): void {
    this.#report("filter", changes.filter);
    this.#report("class", changes.class);
    this.#report("qdisc", changes.qdisc);
  }

  #applyLink(header: Header, source: Source): void {
    const { family, index, flags } = decode(linkHeader, linkFormat.headerLength, source, header);
    if (family === AF.BRIDGE) return this.#applyPort(index, header, source);
    if (family !== AF.UNSPEC) return;
    this.#traffic?.linkChanged(index);
    this.#rules?.linkChanged();
    if (header.type === RTM.NEWLINK) {
      this.#routes?.linkChanged(index, flags);
      if (!this.#links) return;
      const link = decode(readLink, linkFormat.headerLength, source, header);
      // Wireless drivers send messages with a name and little else.
      if (link.mtu !== undefined) this.#report("link", this.#links.put(link));
      return;
    }
    // For most of these the kernel has sent events, before that of the link.
    const ofLink = (entry: { index: number; master?: number }) =>
      entry.index === index || entry.master === index;
    this.#report("fdb", this.#fdb?.removeWhere(ofLink));
    this.#report("neighbor", this.#neighbors?.removeWhere(ofLink));
    this.#report("route", this.#routes?.linkRemoved(index));
    this.#report("address", this.#addresses?.removeWhere(ofLink));
    const link = this.#links?.remove(index);
    if (!link) return;
    const movedTo = moveOf(header, source);
    this.events.push({ type: "link", action: "remove", link, ...(movedTo ? { movedTo } : {}) });
  }

  /** Applies a bridge's message about a port. RTM_DELLINK means that a link is no longer a port. */
  #applyPort(index: number, header: Header, source: Source): void {
    if (!this.#links || header.type !== RTM.NEWLINK) return;
    const data = portMemberData(header, source);
    if (data) this.#report("link", this.#links.putPort(index, data));
  }

  #applyAddress(header: Header, source: Source): void {
    const address = read(addressFormat, header, source);
    if (!isOfFamily(address.family, undefined)) return;
    if (header.type === RTM.NEWADDR) return this.#report("address", this.#addresses?.put(address));
    this.#routes?.addressRemoved(address.address);
    this.#report("address", this.#addresses?.remove(address));
  }

  #applyNeighbor(header: Header, source: Source): void {
    const family = decode(familyOf, neighborFormat.headerLength, source, header);
    const isNew = header.type === RTM.NEWNEIGH;
    if (family === AF.BRIDGE) {
      if (!this.#fdb) return;
      const entry = read(fdbFormat, header, source);
      this.#report("fdb", isNew ? this.#fdb.put(entry) : this.#fdb.remove(entry));
    } else if (this.#neighbors && (family === AF.INET || family === AF.INET6)) {
      const entry = read(neighborFormat, header, source);
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

/** A link has an IPv4 address once for each peer, an IPv6 address once. */
function addressKey({ index, family, address, peer }: AddressInfo): string {
  return family === "inet" && peer !== undefined
    ? `${index} ${address} ${peer}`
    : `${index} ${address}`;
}

/** A bridge has a MAC address once for each VLAN, at whichever port; a VXLAN has it for each destination. */
function fdbKey(entry: FdbInfo): string {
  const { index, master, mac, vlan = 0, flags } = entry;
  if (master !== undefined && !flags.includes("self")) return `${master} ${mac} ${vlan}`;
  const { dst, port, vni, srcVni, oif, nexthopId } = entry;
  return ["self", index, mac, vlan, dst, port, vni, srcVni, oif, nexthopId].join(" ");
}

function read<T extends object, Info extends object>(
  format: MessageFormat<T, Info>,
  header: Header,
  source: Source,
): Info {
  return decode(format.read, format.headerLength, source, header);
}

function familyOf({ bytes }: Source, start: number): number {
  return bytes[start]!;
}

/** Reads `struct ifinfomsg`. */
function linkHeader(source: Source, start: number) {
  const { view } = source;
  return {
    family: familyOf(source, start),
    index: view.getInt32(start + 4, true),
    flags: view.getUint32(start + 8, true),
  };
}

/**
 * A bridge port's options and state, from a message of family AF_BRIDGE about the port; bytes if the kind has
 * no schema, as in links.
 */
export function portMemberData({ start, end }: Header, source: Source): object | undefined {
  let data: object | undefined;
  forEachAttribute(source, start + linkFormat.headerLength, end, (type, at, length) => {
    const nested = source.view.getUint16(at - 2, true) & NLA_F.NESTED;
    if (type !== IFLA.PROTINFO || !nested) return;
    data = linkKind("bridge")?.port?.data.read(source, at, at + length) ??
      source.bytes.slice(at, at + length);
  });
  return data;
}

const number = s32(0);

/** Where a link went, from the RTM_DELLINK of its departure. */
export function moveOf({ start, end }: Header, source: Source): LinkMove | undefined {
  let netnsId: number | undefined;
  let index: number | undefined;
  forEachAttribute(source, start + linkFormat.headerLength, end, (type, at, length) => {
    if (type === IFLA.NEW_NETNSID) netnsId = number.read(source, at, length);
    else if (type === IFLA.NEW_IFINDEX) index = number.read(source, at, length);
  });
  return netnsId === undefined || index === undefined ? undefined : { netnsId, index };
}

/** The loss that reading a subscription has found, if any. */
export function overrunOf(received: Received): OverrunEvent | undefined {
  if (received === "overrun") return { type: "overrun" };
  return typeof received === "string" ? undefined : { type: "overrun", error: received };
}

/** A state, and whether it is complete. */
export interface Synchronized {
  /** The tables. */
  readonly state: State;
  /** Messages are lost: the state is out of date. */
  readonly lost: OverrunEvent | undefined;
}

/**
 * Reads tables so that the queued messages continue them. When something changes meanwhile they are read again,
 * a few times. Then the queued messages are applied to the last reading: each message has the newest state of
 * its object, so in the end every object is as in its last message, or without one as it was read.
 *
 * @param watched The tables.
 * @param connection Reads them.
 * @param subscription Has joined their groups. The messages queued at the call are discarded.
 * @returns The tables, without events.
 */
export function synchronize(
  watched: Watched,
  connection: Connection,
  subscription: Subscription,
): Synchronized {
  // To the end: after an overrun the kernel silently drops all messages until the queue is empty.
  subscription.drain(() => {});
  for (let attempt = 1;; attempt++) {
    settle(connection);
    const state = new State(watched, connection);
    const { messages, lost } = applyQueued(subscription, state);
    if (messages === 0 && !lost || attempt === ATTEMPTS) return { state, lost };
    if (lost) subscription.drain(() => {});
  }
}

function applyQueued(
  subscription: Subscription,
  state: State,
): { messages: number; lost: OverrunEvent | undefined } {
  const until = performance.now() + STRETCH;
  for (let messages = 0;; messages++) {
    const received = subscription.receive((header, source) => state.apply(header, source));
    state.events.length = 0;
    const lost = overrunOf(received);
    if (lost || received === "empty" || performance.now() > until) return { messages, lost };
  }
}
