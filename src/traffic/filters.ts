/**
 * The filters of a link.
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
  setOne,
} from "../netlink/collection.ts";
import type { Connection } from "../netlink/connection.ts";
import { connectionTo } from "../netlink/connections.ts";
import type { Request } from "../netlink/message.ts";
import { checkObject, checkOptions, hasKey, type OptionNames, show } from "../options.ts";
import {
  deleteFilter,
  dumpFilters,
  type FilterInfo,
  filterMessage,
  type FilterOptions,
  filterSelector,
  isFilter,
  newFilter,
} from "../rtnetlink/filter.ts";
import type { Action } from "../rtnetlink/filter_kinds/actions.ts";
import { filterKind } from "../rtnetlink/filter_kinds/mod.ts";
import { describeLink, indexOf, type NamedLink, titleOf } from "../rtnetlink/link_target.ts";
import { dumpQdiscs, type QdiscInfo } from "../rtnetlink/qdisc.ts";
import {
  type Handle,
  parseHandle,
  settableOptions,
  type TcMessage,
  type TcMode,
} from "../rtnetlink/traffic_control.ts";
import { FILTER_PARENTS, formatHandle } from "../rtnetlink/fields.ts";
import { explainRefusal } from "./supports.ts";

const EXPLAIN = { explain: explainRefusal };

/** Which filters of a link. */
export interface LinkFilterFilter {
  /** Only those at this place: `ingress`, `egress`, a queueing discipline `1:`, or a class. */
  readonly parent?: Handle;
}

const FILTER: OptionNames<LinkFilterFilter> = { parent: true };

/**
 * The filters of a link: `link.filters`. Follows the link's handle when the link moves.
 *
 * @example A copy of all packets that go to 10.0.0.0/8
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import "@netloom/netloom/tc";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const link = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
 * Veth.create({ name: "m0", netns, peer: { name: "m1", netns } });
 * link.qdiscs.add({ kind: "clsact" });
 * link.filters.add({
 *   kind: "u32",
 *   parent: "egress",
 *   protocol: "ip",
 *   priority: 5,
 *   options: {
 *     match: [{ offset: 16, value: 0x0a000000, mask: 0xff000000 }], // the destination
 *     actions: [{ kind: "mirred", action: "mirror", dev: "m0" }],
 *   },
 * });
 * assertEquals(link.filters.list().map(({ kind, parent }) => [kind, parent]), [["u32", "egress"]]);
 * ```
 */
export class LinkFilters {
  readonly #link: NamedLink;

  /** For links. */
  constructor(link: NamedLink) {
    this.#link = link;
  }

  /**
   * Reads the filters of the link, in the order in which packets meet them.
   *
   * @param filter The place. Default: all queueing disciplines; those of a class must be asked for.
   */
  list(filter: LinkFilterFilter = {}): FilterInfo[] {
    const { index } = this.#link;
    return this.#parents(filter).flatMap((parent) =>
      this.#connection.dump(dumpFilters({ index, parent }))
    );
  }

  /**
   * Adds filters, all or none, in this order.
   *
   * @param entries One or many; also entries of `list()`. Links in actions are in this link's namespace.
   * @throws {NetlinkError} EEXIST when there is one with the handle, EINVAL without the queueing discipline.
   * @throws {UnsupportedError} When the kernel lacks the kind or an action.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For malformed options; none is added then.
   * @throws {RangeError} For values out of range; none is added then.
   */
  add(entries: Many<FilterOptions | FilterInfo>): void {
    const messages = this.#messages(entries);
    addAll(this.#connection, messages, (it) => this.#new(it, "add"), this.#undo(messages), EXPLAIN);
  }

  /** Adds filters, or replaces those with the same place and handle. Otherwise as {@link LinkFilters.add}. */
  replace(entries: Many<FilterOptions | FilterInfo>): void {
    const messages = this.#messages(entries);
    const request = (it: TcMessage, replace: boolean) => this.#new(it, replace ? "replace" : "add");
    replaceAll(this.#connection, messages, request, this.#undo(messages), EXPLAIN);
  }

  /**
   * Changes the options of a filter, which its place and handle find.
   *
   * @param entry Its place with its handle, its kind, and the options.
   * @throws {NetlinkError} ENOENT when there is none.
   */
  change(entry: FilterOptions | FilterInfo): void {
    const [message] = this.#messages(entry);
    setOne(this.#connection, message!, (it) => this.#new(it, "change"), explainRefusal);
  }

  /**
   * Deletes filters. A refusal does not keep the others.
   *
   * @param targets One or many entries of `list()`.
   * @throws {NetlinkError} ENOENT when there is none.
   * @throws {BatchError} When some of many are refused; the others are deleted.
   */
  delete(targets: Many<FilterInfo>): void {
    const messages = convert(targets, (it) => this.#selector(it));
    try {
      deleteAll(this.#connection, messages, (it) => this.#named(deleteFilter(it), "delete"));
    } finally {
      this.#deleteEmptyGroups(new Set(asArray(targets).map(groupOf)), messages);
    }
  }

  /** Deletes those groups whose last filter is deleted. */
  #deleteEmptyGroups(touched: ReadonlySet<string>, messages: readonly TcMessage[]): void {
    const entries = this.#entries([...new Set(messages.map(({ parent = 0 }) => parent))]);
    const used = new Set(entries.filter(isFilter).map(groupOf));
    this.#deleteGroups(entries.filter((it) => touched.difference(used).has(groupOf(it))));
  }

  /**
   * Deletes all filters, or those of a place.
   *
   * @param filter The place. Default: all queueing disciplines.
   */
  flush(filter: LinkFilterFilter = {}): void {
    this.#deleteGroups(this.#entries(this.#parents(filter)));
  }

  /** Deletes the groups of filters that entries are in. */
  #deleteGroups(entries: readonly FilterInfo[]): void {
    const gone = [ERRNO.ENOENT, ERRNO.ENODEV, ERRNO.EINVAL];
    flushAll(this.#connection, groupsOf(entries), (it) => this.#deleteGroup(it), gone);
  }

  #deleteGroup(entry: FilterInfo): Request {
    return deleteFilter({ ...this.#selector(entry), handle: 0 });
  }

  /**
   * The entries of places: filters, and for each group of filters, those of one priority and protocol, entries
   * and tables of the kernel's own. Before 6.18 a group stays when its last filter is deleted, and a filter of
   * its priority and another protocol is refused.
   */
  #entries(parents: readonly number[]): FilterInfo[] {
    const { index } = this.#link;
    return parents.flatMap((parent) =>
      this.#connection.dump({ ...dumpFilters({ index, parent }), filter: () => true })
    );
  }

  get #connection(): Connection {
    return connectionTo(this.#link.ref);
  }

  /** The places that filters may be at: the kernel lists one place at a time. */
  #parents(filter: LinkFilterFilter): number[] {
    checkOptions(filter, FILTER);
    const { parent } = filter;
    if (parent !== undefined) return [placeOf(parent)];
    return filterPlaces(this.#connection.dump(dumpQdiscs({ index: this.#link.index })));
  }

  #selector(info: FilterInfo): TcMessage {
    checkObject(info, "filter");
    return { ...filterSelector(info), index: this.#link.index };
  }

  #named<T>(request: Request<T>, verb: string): Request<T> {
    const { kind, parent = 0 } = request.message as TcMessage;
    const at = show(formatHandle(parent, FILTER_PARENTS));
    return {
      ...request,
      operation: `${verb} filter ${kind} at ${at} of ${describeLink(this.#link)}`,
    };
  }

  #messages(entries: Many<FilterOptions | FilterInfo>): TcMessage[] {
    const { index } = this.#link;
    return convert(entries, (entry) => filterMessage(this.#resolved(entry), index));
  }

  /** The entry with links as indexes, and without options that the kernel only reports. */
  #resolved(entry: FilterOptions | FilterInfo): FilterOptions {
    const given = hasKey(entry, "index") ? settable(entry) : entry;
    checkObject(given, "options");
    const actions = (given.options as { actions?: readonly Action[] } | undefined)?.actions;
    if (!Array.isArray(actions)) return given;
    const resolved = actions.map((action: Action, i) =>
      action?.kind === "mirred"
        ? {
          ...action,
          dev: indexOf(action.dev, this.#link.ref, `options.actions[${i}].dev`),
        }
        : action
    );
    return { ...given, options: { ...given.options, actions: resolved } } as FilterOptions;
  }

  /** The kernel gives handles: a failed call has added the filters that are new. */
  #undo(messages: readonly TcMessage[]): () => readonly Request[] {
    if (messages.length < 2) return () => [];
    const parents = [...new Set(messages.map(({ parent = 0 }) => parent))];
    const before = this.#entries(parents);
    const [keys, groups] = [new Set(before.map(keyOf)), new Set(before.map(groupOf))];
    return () => {
      const [old, added] = [true, false].map((is) =>
        this.#entries(parents).filter((it) => groups.has(groupOf(it)) === is)
      ) as [FilterInfo[], FilterInfo[]];
      const single = old.filter((it) => isFilter(it) && !keys.has(keyOf(it)));
      return [
        ...single.map((it) => deleteFilter(this.#selector(it))),
        ...groupsOf(added).map((it) => this.#deleteGroup(it)),
      ];
    };
  }

  #new(message: TcMessage, mode: TcMode): Request<undefined> {
    return this.#named(newFilter(message, mode), mode);
  }

  /** Prints the filters. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    return inspectList(titleOf("filters", this.#link), () => this.list(), inspect, options);
  }
}

/** The group of a filter: the kernel keeps those of one priority and protocol together. */
function groupOf({ parent, priority, protocol, chain }: FilterInfo): string {
  return show([parent, priority, protocol, chain]);
}

function keyOf(filter: FilterInfo): string {
  return `${groupOf(filter)} ${filter.handle}`;
}

/** An entry of each group. */
function groupsOf(entries: readonly FilterInfo[]): FilterInfo[] {
  return [...new Map(entries.map((it) => [groupOf(it), it])).values()];
}

/** The number of a place. */
function placeOf(parent: Handle): number {
  return parseHandle(parent, { path: "parent", words: FILTER_PARENTS });
}

/** The places that the queueing disciplines of a link have for filters, as numbers. */
export function filterPlaces(qdiscs: readonly QdiscInfo[]): number[] {
  return qdiscs.filter(({ handle }) => handle !== "0:").flatMap(({ kind, handle }) =>
    kind === "clsact" ? ["ingress", "egress"] : kind === "ingress" ? ["ingress"] : [handle]
  ).map(placeOf);
}

/** The options that can be set, of a report: each action is a new one. */
function settable(info: FilterInfo): FilterOptions {
  const { index: _, chain, ...rest } = info;
  const options = settableOptions(info.options, filterKind(info.kind)) as {
    actions?: readonly (Action & { index?: number })[];
  };
  const actions = options.actions?.map((action) => {
    const { index: _1, stats: _2, ...own } = action as Action & { index: number; stats: object };
    return own;
  });
  return {
    ...rest,
    ...(chain ? { chain } : {}),
    options: actions ? { ...options, actions } : options,
  } as FilterOptions;
}
