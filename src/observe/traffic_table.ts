/**
 * The tables of traffic control: queueing disciplines, classes, filters.
 *
 * The kernel tells each setting and deletion, but not the consequences: objects below a queueing discipline
 * that is deleted, the discipline that takes its place, those of a link that comes up or goes. The tables of such
 * links are read again.
 *
 * @module
 */
import type { Source } from "../netlink/bytes.ts";
import type { Connection } from "../netlink/connection.ts";
import { NetlinkError } from "../netlink/error.ts";
import { decode, type Header } from "../netlink/message.ts";
import { RTM } from "../rtnetlink/constants.ts";
import type { FilterInfo } from "../rtnetlink/filter.ts";
import type { QdiscInfo } from "../rtnetlink/qdisc.ts";
import type { ClassInfo } from "../rtnetlink/qdisc_class.ts";
import { type TrafficControl, trafficControl } from "../traffic/slot.ts";
import { type Change, Table, tryDump } from "./table.ts";

/** Which of the tables are watched. */
export interface WatchedTraffic {
  readonly qdiscs: boolean;
  readonly classes: boolean;
  readonly filters: boolean;
}

/** The changes of the tables. */
export interface TrafficChanges {
  readonly qdisc: Change<QdiscInfo>[];
  readonly class: Change<ClassInfo>[];
  readonly filter: Change<FilterInfo>[];
}

/** The tables of traffic control in a namespace. */
export class TrafficTables {
  readonly #watched: WatchedTraffic;
  readonly #tc: TrafficControl;
  readonly #qdiscs = new Table<QdiscInfo>(({ index, parent }) => `${index} ${parent}`, isOther);
  readonly #classes = new Table<ClassInfo>(({ index, classid }) => `${index} ${classid}`, isOther);
  readonly #filters = new Table<FilterInfo>(filterKey, isOther);
  /** Indexes of the links to read again. */
  readonly #doubtful = new Set<number>();

  /** Reads the tables. */
  constructor(watched: WatchedTraffic, connection: Connection) {
    this.#watched = watched;
    this.#tc = partFor(watched);
    const { qdiscs, classes, filters } = this.#read(connection);
    this.#qdiscs.fill(qdiscs);
    this.#classes.fill(classes);
    this.#filters.fill(filters);
  }

  /** The queueing disciplines. */
  qdiscs(): QdiscInfo[] {
    return this.#qdiscs.list();
  }

  /** The classes. */
  classes(): ClassInfo[] {
    return this.#classes.list();
  }

  /** The filters. */
  filters(): FilterInfo[] {
    return this.#filters.list();
  }

  /** Applies a message. */
  apply(header: Header, source: Source): Partial<TrafficChanges> {
    const { qdiscs, classes, filters } = this.#watched;
    const { qdiscFormat, classFormat, filterFormat, isFilter } = this.#tc;
    const { type } = header;
    if (type === RTM.NEWQDISC || type === RTM.DELQDISC) {
      const qdisc = decode(qdiscFormat.read, qdiscFormat.headerLength, source, header);
      this.#doubtful.add(qdisc.index);
      if (!qdiscs) return {};
      if (type === RTM.DELQDISC) return { qdisc: this.#qdiscs.remove(qdisc) };
      return { qdisc: this.#qdiscs.put(qdisc) };
    }
    if (type === RTM.NEWTCLASS || type === RTM.DELTCLASS) {
      const it = decode(classFormat.read, classFormat.headerLength, source, header);
      if (type === RTM.DELTCLASS) this.#doubtful.add(it.index);
      if (!classes) return {};
      return { class: type === RTM.NEWTCLASS ? this.#classes.put(it) : this.#classes.remove(it) };
    }
    if (!filters) return {};
    const filter = decode(filterFormat.read, filterFormat.headerLength, source, header);
    if (type === RTM.DELTFILTER) return { filter: this.#removeFilters(filter) };
    return { filter: isFilter(filter) ? this.#filters.put(filter) : [] };
  }

  /** Without a handle all filters of a place, a priority and a protocol go. */
  #removeFilters(gone: FilterInfo): Change<FilterInfo>[] {
    if (this.#tc.isFilter(gone)) return this.#filters.remove(gone);
    const group = groupKey(gone);
    return this.#filters.removeWhere((filter) => groupKey(filter) === group);
  }

  /** A link came, changed or went: its queueing disciplines do so silently. */
  linkChanged(index: number): void {
    this.#doubtful.add(index);
  }

  /** Reads doubtful links again. */
  refresh(connection: Connection): TrafficChanges {
    if (this.#doubtful.size === 0) return { qdisc: [], class: [], filter: [] };
    const indexes = new Set(this.#doubtful);
    this.#doubtful.clear();
    const { qdiscs, classes, filters } = this.#read(connection, indexes);
    return {
      filter: renew(this.#filters, filters, indexes),
      class: renew(this.#classes, classes, indexes),
      qdisc: renew(this.#qdiscs, qdiscs, indexes),
    };
  }

  /** The changes that lead from these tables to later ones. */
  changesTo(later: TrafficTables): TrafficChanges {
    return {
      qdisc: this.#qdiscs.changesTo(later.#qdiscs),
      class: this.#classes.changesTo(later.#classes),
      filter: this.#filters.changesTo(later.#filters),
    };
  }

  /** Reads the tables, of all links or of some. */
  #read(connection: Connection, indexes?: ReadonlySet<number>): {
    qdiscs: QdiscInfo[];
    classes: ClassInfo[];
    filters: FilterInfo[];
  } {
    const { dumpQdiscs, dumpClasses, dumpFilters, filterPlaces } = this.#tc;
    const all = tryDump(connection, dumpQdiscs()).filter(({ index }) =>
      indexes?.has(index) ?? true
    );
    const links = [...Map.groupBy(all, ({ index }) => index)]
      .filter(([, qdiscs]) => qdiscs.some(({ handle }) => handle !== "0:"));
    const watched = this.#watched;
    return {
      qdiscs: watched.qdiscs ? all : [],
      classes: !watched.classes
        ? []
        : links.flatMap(([index]) => ofLink(() => tryDump(connection, dumpClasses({ index })))),
      filters: !watched.filters
        ? []
        : links.flatMap(([index, qdiscs]) =>
          filterPlaces(qdiscs).flatMap((parent) =>
            ofLink(() => tryDump(connection, dumpFilters({ index, parent })))
          )
        ),
    };
  }
}

/**
 * Traffic control, which a monitor of these tables needs.
 *
 * @throws {MissingImportError} Without its entry point.
 */
function partFor({ qdiscs, classes }: WatchedTraffic): TrafficControl {
  const table = qdiscs ? "qdiscs" : classes ? "classes" : "filters";
  return trafficControl.partFor(`monitor({ ${table}: true })`);
}

/** The entries of a link, or none when it is gone by now. */
function ofLink<T>(read: () => T[]): T[] {
  try {
    return read();
  } catch (error) {
    if (error instanceof NetlinkError && ["ENODEV", "EINVAL"].includes(error.code)) return [];
    throw error;
  }
}

/** Replaces the entries of some links by those that were read. */
function renew<T extends { index: number }>(
  table: Table<T>,
  entries: readonly T[],
  indexes: ReadonlySet<number>,
): Change<T>[] {
  return table.renew(entries, ({ index }) => indexes.has(index));
}

function filterKey(filter: FilterInfo): string {
  return `${groupKey(filter)} ${filter.handle}`;
}

function groupKey({ index, parent, priority, protocol, chain }: FilterInfo): string {
  return `${index} ${parent} ${priority} ${protocol} ${chain}`;
}

/** Whether two readings with one key are two objects. */
function isOther(
  before: { kind: string; handle?: string | number },
  after: { kind: string; handle?: string | number },
): boolean {
  return before.kind !== after.kind || before.handle !== after.handle;
}
