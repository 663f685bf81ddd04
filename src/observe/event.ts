/**
 * The events of a monitor.
 *
 * @module
 */
import type { NetlinkDecodeError } from "../netlink/error.ts";
import type { AddressInfo } from "../rtnetlink/address.ts";
import type { FdbInfo } from "../rtnetlink/fdb.ts";
import type { FilterInfo } from "../rtnetlink/filter.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import type { NeighborInfo } from "../rtnetlink/neighbor.ts";
import type { QdiscInfo } from "../rtnetlink/qdisc.ts";
import type { ClassInfo } from "../rtnetlink/qdisc_class.ts";
import type { RouteInfo } from "../rtnetlink/route_message.ts";
import type { PolicyRuleInfo } from "../rtnetlink/rule.ts";

/** The first event: all tables at one moment. A table that is not watched is empty. */
export interface SnapshotEvent {
  /** The kind of event. */
  readonly type: "snapshot";
  /** The links, counters included. */
  readonly links: readonly LinkInfo[];
  /** The IP addresses of all links. */
  readonly addresses: readonly AddressInfo[];
  /** The routes of all tables. */
  readonly routes: readonly RouteInfo[];
  /** The neighbors in any state, without proxies. */
  readonly neighbors: readonly NeighborInfo[];
  /** The forwarding entries of bridges and links. */
  readonly fdb: readonly FdbInfo[];
  /** The policy rules. */
  readonly rules: readonly PolicyRuleInfo[];
  /** The queueing disciplines of all links. */
  readonly qdiscs: readonly QdiscInfo[];
  /** The classes of queueing disciplines. */
  readonly classes: readonly ClassInfo[];
  /** The filters of all links. */
  readonly filters: readonly FilterInfo[];
}

/**
 * Messages are lost: more came than the queue holds, or one could not be read. The next events lead from the
 * last known tables to the actual ones: an object that came and went in between is not among them.
 */
export interface OverrunEvent {
  /** The kind of event. */
  readonly type: "overrun";
  /** Why a message could not be read. Absent when the kernel dropped messages. */
  readonly error?: NetlinkDecodeError;
}

/** The new place of a link that left the namespace. */
export interface LinkMove {
  /** Id of the other namespace in this one. */
  readonly netnsId: number;
  /** Index of the link there. */
  readonly index: number;
}

/** A link was added or removed. */
export interface LinkAddRemoveEvent {
  /** The table: links. */
  readonly type: "link";
  /** Whether it was added or removed. */
  readonly action: "add" | "remove";
  /** The link; a removed one as it was known last. */
  readonly link: LinkInfo;
  /** Its new place, when it was moved to another namespace and not deleted. */
  readonly movedTo?: LinkMove;
}

/** A link changed, or its options, or its options and state as a port of its master. */
export interface LinkChangeEvent {
  /** The table: links. */
  readonly type: "link";
  /** It existed before and still does. */
  readonly action: "change";
  /** The link now. */
  readonly link: LinkInfo;
  /** The link before. */
  readonly previous: LinkInfo;
  /** The properties that differ; the state of a bridge port is in `port`. */
  readonly changed: readonly (keyof LinkInfo | "options")[];
}

/** An event of a link. */
export type LinkEvent = LinkAddRemoveEvent | LinkChangeEvent;

/** An IP address was added or removed. */
export interface AddressAddRemoveEvent {
  /** The table: addresses. */
  readonly type: "address";
  /** Whether it was added or removed. */
  readonly action: "add" | "remove";
  /** The address; a removed one as it was known last. */
  readonly address: AddressInfo;
}

/** An IP address changed: its flags, or its lifetime, which was renewed. */
export interface AddressChangeEvent {
  /** The table: addresses. */
  readonly type: "address";
  /** It existed before and still does. */
  readonly action: "change";
  /** The address now. */
  readonly address: AddressInfo;
  /** The address before. */
  readonly previous: AddressInfo;
  /** The properties that differ. */
  readonly changed: readonly (keyof AddressInfo)[];
}

/** An event of an IP address. */
export type AddressEvent = AddressAddRemoveEvent | AddressChangeEvent;

/** A route was added or removed. */
export interface RouteAddRemoveEvent {
  /** The table: routes. */
  readonly type: "route";
  /** Whether it was added or removed. */
  readonly action: "add" | "remove";
  /** The route; a removed one as it was known last. */
  readonly route: RouteInfo;
}

/** A route was replaced by one with the same destination, or its nexthops changed. */
export interface RouteChangeEvent {
  /** The table: routes. */
  readonly type: "route";
  /** It existed before and still does. */
  readonly action: "change";
  /** The route now. */
  readonly route: RouteInfo;
  /** The route before. */
  readonly previous: RouteInfo;
  /** The properties that differ. */
  readonly changed: readonly (keyof RouteInfo)[];
}

/** An event of a route. */
export type RouteEvent = RouteAddRemoveEvent | RouteChangeEvent;

/** A neighbor was added or removed. */
export interface NeighborAddRemoveEvent {
  /** The table: neighbors. */
  readonly type: "neighbor";
  /** Whether it was added or removed. */
  readonly action: "add" | "remove";
  /** The neighbor; a removed one as it was known last. */
  readonly neighbor: NeighborInfo;
}

/** The link-layer address or the state of a neighbor changed. */
export interface NeighborChangeEvent {
  /** The table: neighbors. */
  readonly type: "neighbor";
  /** It existed before and still does. */
  readonly action: "change";
  /** The neighbor now. */
  readonly neighbor: NeighborInfo;
  /** The neighbor before. */
  readonly previous: NeighborInfo;
  /** The properties that differ. */
  readonly changed: readonly (keyof NeighborInfo)[];
}

/** An event of a neighbor. */
export type NeighborEvent = NeighborAddRemoveEvent | NeighborChangeEvent;

/** A forwarding entry was added or removed. */
export interface FdbAddRemoveEvent {
  /** The table: forwarding entries. */
  readonly type: "fdb";
  /** Whether it was added or removed. */
  readonly action: "add" | "remove";
  /** The entry; a removed one as it was known last. */
  readonly fdb: FdbInfo;
}

/** A forwarding entry changed: its MAC address is behind another port now. */
export interface FdbChangeEvent {
  /** The table: forwarding entries. */
  readonly type: "fdb";
  /** It existed before and still does. */
  readonly action: "change";
  /** The entry now. */
  readonly fdb: FdbInfo;
  /** The entry before. */
  readonly previous: FdbInfo;
  /** The properties that differ. */
  readonly changed: readonly (keyof FdbInfo)[];
}

/** An event of a forwarding entry. */
export type FdbEvent = FdbAddRemoveEvent | FdbChangeEvent;

/** A policy rule was added or removed. */
export interface RuleAddRemoveEvent {
  /** The table: policy rules. */
  readonly type: "rule";
  /** Whether it was added or removed. */
  readonly action: "add" | "remove";
  /** The rule; a removed one as it was known last. */
  readonly rule: PolicyRuleInfo;
}

/** The state of a policy rule changed: a link that it names, or its `goto`, came or went. */
export interface RuleChangeEvent {
  /** The table: policy rules. */
  readonly type: "rule";
  /** It existed before and still does. */
  readonly action: "change";
  /** The rule now. */
  readonly rule: PolicyRuleInfo;
  /** The rule before. */
  readonly previous: PolicyRuleInfo;
  /** The properties that differ. */
  readonly changed: readonly (keyof PolicyRuleInfo)[];
}

/** An event of a policy rule. */
export type RuleEvent = RuleAddRemoveEvent | RuleChangeEvent;

/** A queueing discipline was added or removed. */
export interface QdiscAddRemoveEvent {
  /** The table: queueing disciplines. */
  readonly type: "qdisc";
  /** Whether it was added or removed. */
  readonly action: "add" | "remove";
  /** The queueing discipline; a removed one as it was known last. */
  readonly qdisc: QdiscInfo;
}

/** The options of a queueing discipline changed. */
export interface QdiscChangeEvent {
  /** The table: queueing disciplines. */
  readonly type: "qdisc";
  /** It existed before and still does. */
  readonly action: "change";
  /** The queueing discipline now. */
  readonly qdisc: QdiscInfo;
  /** The queueing discipline before. */
  readonly previous: QdiscInfo;
  /** The properties that differ. */
  readonly changed: readonly (keyof QdiscInfo)[];
}

/** An event of a queueing discipline. */
export type QdiscEvent = QdiscAddRemoveEvent | QdiscChangeEvent;

/** A class of a queueing discipline was added or removed. */
export interface ClassAddRemoveEvent {
  /** The table: classes. */
  readonly type: "class";
  /** Whether it was added or removed. */
  readonly action: "add" | "remove";
  /** The class; a removed one as it was known last. */
  readonly class: ClassInfo;
}

/** The options of a class, or its place, changed. */
export interface ClassChangeEvent {
  /** The table: classes. */
  readonly type: "class";
  /** It existed before and still does. */
  readonly action: "change";
  /** The class now. */
  readonly class: ClassInfo;
  /** The class before. */
  readonly previous: ClassInfo;
  /** The properties that differ. */
  readonly changed: readonly (keyof ClassInfo)[];
}

/** An event of a class. */
export type ClassEvent = ClassAddRemoveEvent | ClassChangeEvent;

/** A filter was added or removed. */
export interface FilterAddRemoveEvent {
  /** The table: filters. */
  readonly type: "filter";
  /** Whether it was added or removed. */
  readonly action: "add" | "remove";
  /** The filter; a removed one as it was known last. */
  readonly filter: FilterInfo;
}

/** The options of a filter changed. */
export interface FilterChangeEvent {
  /** The table: filters. */
  readonly type: "filter";
  /** It existed before and still does. */
  readonly action: "change";
  /** The filter now. */
  readonly filter: FilterInfo;
  /** The filter before. */
  readonly previous: FilterInfo;
  /** The properties that differ. */
  readonly changed: readonly (keyof FilterInfo)[];
}

/** An event of a filter. */
export type FilterEvent = FilterAddRemoveEvent | FilterChangeEvent;

/** An event of a monitor; `type` and `action` tell the events apart. */
export type MonitorEvent =
  | SnapshotEvent
  | OverrunEvent
  | LinkEvent
  | AddressEvent
  | RouteEvent
  | NeighborEvent
  | FdbEvent
  | RuleEvent
  | QdiscEvent
  | ClassEvent
  | FilterEvent;
