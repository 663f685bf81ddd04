/**
 * The ruleset of a namespace as a collection of tables.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { asArray, convert, type Inspect, inspectList, type Many } from "../netlink/collection.ts";
import type { Connection } from "../netlink/connection.ts";
import { connectionTo, type NetNsHandle } from "../netlink/connections.ts";
import { NETLINK } from "../netlink/constants.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { NftChains, NftElements, NftRules, NftSets } from "./collections.ts";
import { commit, commitChange } from "./commit.ts";
import { BatchBuilder, type TableEntry } from "./entries.ts";
import { type Family, familyNumber } from "./message.ts";
import { readRuleset, type TableFilter, type TableInfo } from "./ruleset.ts";
import { deleteAllTables, deleteTable, describeTable, newTable, type TableName } from "./table.ts";

/** A table that a call means. */
export interface TableSelector {
  /** Its family. */
  readonly family: Family;
  /** Its name. */
  readonly name: string;
}

/** Options of {@link Nftables.replace}. */
export interface ReplaceOptions {
  /** Deletes all other tables too, as `flush ruleset` in a file of `nft -f`. Default: false. */
  readonly all?: boolean;
}

const SELECTOR: OptionNames<TableSelector> = { family: true, name: true };
const FILTER: OptionNames<TableFilter> = { family: true, table: true };
const REPLACE: OptionNames<ReplaceOptions> = { all: true };

/** The table of an entry or of what was read. */
function nameOf(entry: TableSelector | TableInfo): TableName {
  if (!("handle" in entry)) checkOptions(entry, SELECTOR);
  familyNumber(entry.family);
  return { family: entry.family, table: entry.name };
}

/**
 * The firewall of a namespace: its tables of nftables. Each call is one atomic batch: all of it is done, or
 * nothing.
 */
export class Nftables {
  readonly #netns: NetNsHandle;

  /** For namespaces. */
  constructor(netns: NetNsHandle) {
    this.#netns = netns;
  }

  /** The chains of all tables. */
  get chains(): NftChains {
    return new NftChains(this.#netns);
  }

  /** The rules of all chains. */
  get rules(): NftRules {
    return new NftRules(this.#netns);
  }

  /** The sets and maps of all tables. */
  get sets(): NftSets {
    return new NftSets(this.#netns);
  }

  /** The elements of sets and maps. */
  get elements(): NftElements {
    return new NftElements(this.#netns);
  }

  get #connection(): Connection {
    return connectionTo(this.#netns.ref, NETLINK.NETFILTER);
  }

  /**
   * Reads tables with all that they have, at one moment.
   *
   * @param filter Which tables. Default: all.
   * @throws {DumpInterruptedError} When others change the ruleset during each of several reads.
   */
  list(filter: TableFilter = {}): TableInfo[] {
    checkOptions(filter, FILTER);
    if (filter.family !== undefined) familyNumber(filter.family);
    return readRuleset(this.#connection, filter).tables;
  }

  /**
   * Reads one table with all that it has.
   *
   * @throws {NetlinkError} ENOENT when there is none.
   */
  get(table: TableSelector): TableInfo {
    const name = nameOf(table);
    const [found] = this.list(name);
    if (found) return found;
    throw new NetlinkError({
      operation: `get ${describeTable(name)}`,
      netns: this.#netns.ref.description,
      errno: ERRNO.ENOENT,
    });
  }

  /**
   * Adds tables with all that they have, all or none.
   *
   * @param tables One or many; also what `list()` gave.
   * @throws {NetlinkError} EEXIST when there is such a table.
   * @throws {BatchError} When some of many are refused; nothing has changed then.
   * @throws {TypeError} For malformed options; nothing is sent then.
   * @throws {RangeError} For values out of range; nothing is sent then.
   */
  add(tables: Many<TableEntry | TableInfo>): void {
    this.#commit(tables, (batch, table) => batch.table(table));
  }

  /**
   * Adds tables, or puts them in place of those of the same name, at one moment.
   *
   * @param tables One or many; also what `list()` gave.
   * @param options Whether all others go.
   * @throws {NetlinkError} EPERM when another program owns the table.
   * @throws {BatchError} When some of many are refused; nothing has changed then.
   */
  replace(tables: Many<TableEntry | TableInfo>, options: ReplaceOptions = {}): void {
    checkOptions(options, REPLACE);
    const before = options.all ? [deleteAllTables()] : [];
    this.#commit(tables, (batch, table) => {
      if (!options.all) {
        const name: TableName = { family: table.family, table: table.name };
        batch.add(newTable(name), deleteTable(name)); // also where there is none
      }
      batch.table(table, { create: options.all === true });
    }, before);
  }

  /**
   * Deletes tables with all that they have, all or none.
   *
   * @param tables One or many; also what `list()` gave.
   * @throws {NetlinkError} ENOENT when there is none.
   * @throws {BatchError} When some of many are refused; nothing has changed then.
   */
  delete(tables: Many<TableSelector | TableInfo>): void {
    this.#commit(tables, (batch, table) => batch.add(deleteTable(nameOf(table))));
  }

  /**
   * Deletes all tables, or those that match a filter. Tables that another program owns stay.
   *
   * @param filter Which tables. Default: all.
   */
  flush(filter: TableFilter = {}): void {
    checkOptions(filter, FILTER);
    if (filter.family === undefined && filter.table === undefined) {
      return commit(this.#connection, [deleteAllTables()]);
    }
    commitChange(this.#connection, filter, (tables) => tables.map((it) => deleteTable(nameOf(it))));
  }

  #commit<T extends object>(
    entries: Many<T>,
    add: (batch: BatchBuilder, entry: T) => void,
    before: readonly Request[] = [],
  ): void {
    const batch = new BatchBuilder();
    batch.add(...before);
    let index = 0;
    convert(entries, (entry) => {
      batch.entry(index++);
      add(batch, entry);
    });
    const total = asArray(entries).length;
    commit(this.#connection, batch.requests, { owners: batch.owners, total });
  }

  /** Prints the tables. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const { description } = this.#netns.ref;
    const title = description ? `tables of ${description}` : "tables";
    return inspectList(title, () => this.list(), inspect, options);
  }
}
