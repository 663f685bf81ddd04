/**
 * The ruleset of a namespace as a collection of tables.
 *
 * @module
 */
import type { Inspect, Many } from "../netlink/collection.ts";
import type { NetNsHandle } from "../netlink/connections.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { NftChains, NftElements, NftRules, NftSets } from "./collections.ts";
import { Access, commit, commitChange } from "./commit.ts";
import type { TableEntry } from "./entries.ts";
import { type Family, familyNumber } from "./message.ts";
import { type NftMonitor, type NftMonitorOptions, RulesetMonitor } from "./monitor.ts";
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

/** The table of a selector, or of an entry that was read. */
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
  readonly #access: Access;

  /** For namespaces. */
  constructor(netns: NetNsHandle) {
    this.#netns = netns;
    this.#access = new Access(netns);
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

  /**
   * Reads tables with all that they have, at one moment.
   *
   * @param filter A table must match all of it. Default: all.
   * @throws {DumpInterruptedError} When others change the ruleset during each of several reads.
   */
  list(filter: TableFilter = {}): TableInfo[] {
    checkOptions(filter, FILTER);
    if (filter.family !== undefined) familyNumber(filter.family);
    return readRuleset(this.#access.connection, filter).tables;
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
    throw this.#access.missing(describeTable(name));
  }

  /**
   * Adds tables with all that they have, all or none.
   *
   * @param tables One or many; also entries of `list()`.
   * @throws {NetlinkError} EEXIST when there is such a table.
   * @throws {BatchError} When some of many are refused; nothing has changed then.
   * @throws {TypeError} For malformed options; nothing is sent then.
   * @throws {RangeError} For values out of range; nothing is sent then.
   */
  add(tables: Many<TableEntry | TableInfo>): void {
    this.#access.commit(tables, (batch, table) => batch.table(table));
  }

  /**
   * Adds tables, or puts them in place of those of the same name, at one moment.
   *
   * @param tables One or many; also entries of `list()`.
   * @param options Whether all others go.
   * @throws {NetlinkError} EPERM when another program owns the table.
   * @throws {BatchError} When some of many are refused; nothing has changed then.
   */
  replace(tables: Many<TableEntry | TableInfo>, options: ReplaceOptions = {}): void {
    checkOptions(options, REPLACE);
    const before = options.all ? [deleteAllTables()] : [];
    this.#access.commit(tables, (batch, table) => {
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
   * @param tables One or many; also entries of `list()`.
   * @throws {NetlinkError} ENOENT when there is none.
   * @throws {BatchError} When some of many are refused; nothing has changed then.
   */
  delete(tables: Many<TableSelector | TableInfo>): void {
    this.#access.commit(tables, (batch, table) => batch.add(deleteTable(nameOf(table))));
  }

  /**
   * Deletes all tables, or those that match a filter. Tables that another program owns stay.
   *
   * @param filter A table must match all of it. Default: all.
   */
  flush(filter: TableFilter = {}): void {
    checkOptions(filter, FILTER);
    if (filter.family === undefined && filter.table === undefined) {
      return commit(this.#access.connection, [deleteAllTables()]);
    }
    commitChange(
      this.#access.connection,
      filter,
      (tables) => tables.map((it) => deleteTable(nameOf(it))),
    );
  }

  /**
   * Follows the ruleset: the first event is a snapshot of the tables, then each batch of any program is one
   * event. After lost messages an `overrun` event has the tables as they are then.
   *
   * An open monitor ends with the handle of the namespace. A process can exit while nobody waits for an event.
   *
   * @param options The signal that ends it.
   * @returns The events. Leaving the loop, `close()` and disposal release the socket.
   *
   * @example A rule that comes
   * ```ts
   * import { NetNs } from "@netloom/netloom";
   * import "@netloom/netloom/nftables";
   * import { assertEquals } from "@std/assert";
   *
   * using netns = NetNs.create();
   * await using events = netns.nftables.monitor();
   * const chains = [{ name: "c", rules: [{ "tcp dport": 22, verdict: "accept" as const }] }];
   * netns.nftables.add({ family: "inet", name: "t", chains });
   * for await (const event of events) {
   *   if (event.type !== "change") continue;
   *   const seen = event.changes.map((change) => change.type === "rule" ? change.rule.text : change.type);
   *   assertEquals(seen, ["table", "chain", "tcp dport 22 accept"]);
   *   break;
   * }
   * ```
   */
  monitor(options: NftMonitorOptions = {}): NftMonitor {
    return new RulesetMonitor(this.#netns.ref, options);
  }

  /** Prints the tables. */
  [Symbol.for("Deno.customInspect")](...how: [Inspect, Deno.InspectOptions]): string {
    return this.#access.inspect("tables", () => this.list(), how);
  }
}
