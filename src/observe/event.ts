/**
 * What a monitor reports.
 *
 * @module
 */
import type { AddressInfo } from "../rtnetlink/address.ts";
import type { FdbInfo } from "../rtnetlink/fdb.ts";
import type { LinkInfo } from "../rtnetlink/link.ts";
import type { NeighborInfo } from "../rtnetlink/neighbor.ts";
import type { RouteInfo } from "../rtnetlink/route.ts";

/** The first event: the tables as they were at one moment. A table that is not watched is empty. */
export interface SnapshotEvent {
  /** The kind of event. */
  readonly type: "snapshot";
  /** The links, counters included. */
  readonly links: readonly LinkInfo[];
  /** The IP addresses of all links. */
  readonly addresses: readonly AddressInfo[];
  /** The routes of all tables. */
  readonly routes: readonly RouteInfo[];
  /** The neighbors, in whatever state; no proxies. */
  readonly neighbors: readonly NeighborInfo[];
  /** The forwarding entries of bridges and links. */
  readonly fdb: readonly FdbInfo[];
}

/**
 * More happened than the queue holds, and some of it is lost. The events that follow lead from what was
 * known to what is: what came and went in between is not among them.
 */
export interface OverrunEvent {
  /** The kind of event. */
  readonly type: "overrun";
}

/** Where a link went that left the namespace. */
export interface LinkMove {
  /** Id of the other namespace, as this one has it. */
  readonly netnsId: number;
  /** Index of the link there. */
  readonly index: number;
}

/** A link came or went. */
export interface LinkAddRemoveEvent {
  /** The table: links. */
  readonly type: "link";
  /** Whether it came or went. */
  readonly action: "add" | "remove";
  /** The link; one that went as it was known last. */
  readonly link: LinkInfo;
  /** Where it went, when it was not deleted but moved to another namespace. */
  readonly movedTo?: LinkMove;
}

/** A link changed, or its options, or its options and state as a member of another link. */
export interface LinkChangeEvent {
  /** The table: links. */
  readonly type: "link";
  /** It was there and is. */
  readonly action: "change";
  /** The link now. */
  readonly link: LinkInfo;
  /** The link before. */
  readonly previous: LinkInfo;
  /** What differs; a bridge port's state is in `linkInfo`. */
  readonly changed: readonly (keyof LinkInfo)[];
}

/** An event of a link. */
export type LinkEvent = LinkAddRemoveEvent | LinkChangeEvent;

/** A link got or lost an IP address. */
export interface AddressAddRemoveEvent {
  /** The table: addresses. */
  readonly type: "address";
  /** Whether it came or went. */
  readonly action: "add" | "remove";
  /** The address; one that went as it was known last. */
  readonly address: AddressInfo;
}

/** An IP address changed: its flags, its lifetime was renewed. */
export interface AddressChangeEvent {
  /** The table: addresses. */
  readonly type: "address";
  /** It was there and is. */
  readonly action: "change";
  /** The address now. */
  readonly address: AddressInfo;
  /** The address before. */
  readonly previous: AddressInfo;
  /** What differs. */
  readonly changed: readonly (keyof AddressInfo)[];
}

/** An event of an IP address. */
export type AddressEvent = AddressAddRemoveEvent | AddressChangeEvent;

/** A route came or went. */
export interface RouteAddRemoveEvent {
  /** The table: routes. */
  readonly type: "route";
  /** Whether it came or went. */
  readonly action: "add" | "remove";
  /** The route; one that went as it was known last. */
  readonly route: RouteInfo;
}

/** A route was replaced by another to the same destination, or got or lost a nexthop. */
export interface RouteChangeEvent {
  /** The table: routes. */
  readonly type: "route";
  /** It was there and is. */
  readonly action: "change";
  /** The route now. */
  readonly route: RouteInfo;
  /** The route before. */
  readonly previous: RouteInfo;
  /** What differs. */
  readonly changed: readonly (keyof RouteInfo)[];
}

/** An event of a route. */
export type RouteEvent = RouteAddRemoveEvent | RouteChangeEvent;

/** A neighbor came or went. */
export interface NeighborAddRemoveEvent {
  /** The table: neighbors. */
  readonly type: "neighbor";
  /** Whether it came or went. */
  readonly action: "add" | "remove";
  /** The neighbor; one that went as it was known last. */
  readonly neighbor: NeighborInfo;
}

/** A neighbor changed its address or its state. */
export interface NeighborChangeEvent {
  /** The table: neighbors. */
  readonly type: "neighbor";
  /** It was there and is. */
  readonly action: "change";
  /** The neighbor now. */
  readonly neighbor: NeighborInfo;
  /** The neighbor before. */
  readonly previous: NeighborInfo;
  /** What differs. */
  readonly changed: readonly (keyof NeighborInfo)[];
}

/** An event of a neighbor. */
export type NeighborEvent = NeighborAddRemoveEvent | NeighborChangeEvent;

/** A forwarding entry came or went. */
export interface FdbAddRemoveEvent {
  /** The table: forwarding entries. */
  readonly type: "fdb";
  /** Whether it came or went. */
  readonly action: "add" | "remove";
  /** The entry; one that went as it was known last. */
  readonly fdb: FdbInfo;
}

/** A forwarding entry changed: its address is behind another port now. */
export interface FdbChangeEvent {
  /** The table: forwarding entries. */
  readonly type: "fdb";
  /** It was there and is. */
  readonly action: "change";
  /** The entry now. */
  readonly fdb: FdbInfo;
  /** The entry before. */
  readonly previous: FdbInfo;
  /** What differs. */
  readonly changed: readonly (keyof FdbInfo)[];
}

/** An event of a forwarding entry. */
export type FdbEvent = FdbAddRemoveEvent | FdbChangeEvent;

/** What a monitor reports; `type` and `action` tell which. */
export type MonitorEvent =
  | SnapshotEvent
  | OverrunEvent
  | LinkEvent
  | AddressEvent
  | RouteEvent
  | NeighborEvent
  | FdbEvent;
