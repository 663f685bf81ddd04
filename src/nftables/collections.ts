/**
 * Chains, rules, sets and elements as collections.
 *
 * @module
 */
import type { Inspect, Many } from "../netlink/collection.ts";
import type { NetNsHandle } from "../netlink/connections.ts";
import type { Request } from "../netlink/message.ts";
import { checkOptions, integer, type OptionNames } from "../options.ts";
import { type ChainName, deleteChain, deleteRule, describeChain } from "./chain.ts";
import { Access, commit, commitChange } from "./commit.ts";
import { type ChainEntry, placeOf, type RuleEntry } from "./entries.ts";
import { familyNumber } from "./message.ts";
import type { ChainInfo, RuleInfo, SetInfo, TableFilter } from "./ruleset.ts";
import { deleteElements, deleteSet, describeSet, type SetName } from "./set.ts";
import {
  type Element,
  type ElementContext,
  elementContext,
  elementWords,
  encodeElements,
  encodeSet,
  type SetEntry,
} from "./set_entry.ts";
import type { TableName } from "./table.ts";

/** A filter for chains, or for rules by their chain. */
export interface ChainFilter extends TableFilter {
  /** Only chains of this name. */
  readonly chain?: string;
}

/** A filter for sets. */
export interface SetFilter extends TableFilter {
  /** Only sets of this name. */
  readonly set?: string;
}

/** A chain that a call means. */
export interface ChainSelector extends TableName {
  /** Its name. */
  readonly name: string;
}

/** A set that a call means. */
export interface SetSelector extends TableName {
  /** Its name. */
  readonly name: string;
}

/** A rule that a call means. */
export interface RuleSelector extends ChainName {
  /** Its number. */
  readonly handle: number;
}

/** A chain to be added, and its table. */
export type ChainOptions = TableName & ChainEntry;

/** A set to be added, and its table. */
export type SetOptions = TableName & SetEntry;

/** Elements of a set. */
export interface ElementsEntry extends SetName {
  /** The elements. */
  readonly elements: readonly Element[];
}

const TABLE_FILTER = { family: true, table: true } as const;
const CHAIN_FILTER: OptionNames<ChainFilter> = { ...TABLE_FILTER, chain: true };
const SET_FILTER: OptionNames<SetFilter> = { ...TABLE_FILTER, set: true };
const NAMED: OptionNames<ChainSelector> = { ...TABLE_FILTER, name: true };
const RULE: OptionNames<RuleSelector> = { ...TABLE_FILTER, chain: true, handle: true };
const ELEMENTS: OptionNames<ElementsEntry> = { ...TABLE_FILTER, set: true, elements: true };

const isRead = (entry: object): boolean => "handle" in entry && Object.keys(entry).length > 4;

/** The table of an entry, and the entry without it. */
function split<T extends object>(entry: TableName & T): { table: TableName; own: T } {
  const { family, table, ...own } = entry;
  familyNumber(family);
  return { table: { family, table }, own: own as unknown as T };
}

/** The chains of a namespace. {@link Nftables.chains} gives it. */
export class NftChains {
  readonly #access: Access;

  /** For {@link Nftables}. */
  constructor(netns: NetNsHandle) {
    this.#access = new Access(netns);
  }

  /** Reads chains with their rules. */
  list(filter: ChainFilter = {}): ChainInfo[] {
    checkOptions(filter, CHAIN_FILTER);
    return this.#access.tables(filter).flatMap(({ chains }) => chains)
      .filter(({ name }) => filter.chain === undefined || name === filter.chain);
  }

  /**
   * Reads a chain with its rules.
   *
   * @throws {NetlinkError} ENOENT when there is none.
   */
  get(selector: ChainSelector): ChainInfo {
    const { name: chain, ...table } = selected(selector);
    const [found] = this.list({ ...table, chain });
    if (!found) throw this.#access.missing(describeChain({ ...table, chain }));
    return found;
  }

  /**
   * Adds chains with their rules, all or none.
   *
   * @param entries One or many; also entries of `list()`.
   * @throws {NetlinkError} EEXIST when there is such a chain, ENOENT without its table.
   */
  add(entries: Many<ChainOptions | ChainInfo>): void {
    this.#access.commit(entries, (batch, entry) => {
      const { table, own } = split<ChainEntry>(entry as ChainOptions);
      batch.chain(table, own);
    });
  }

  /**
   * Adds chains, or puts other rules and another policy in place of theirs, at one moment.
   *
   * @param entries One or many; also entries of `list()`.
   * @throws {NetlinkError} EEXIST when a chain of the name has another hook or type.
   */
  replace(entries: Many<ChainOptions | ChainInfo>): void {
    this.#access.commit(entries, (batch, entry) => {
      const { table, own } = split<ChainEntry>(entry as ChainOptions);
      batch.chain(table, own, { create: false, rules: false });
      const chain = { ...table, chain: own.name };
      batch.add(deleteRule(chain));
      batch.rules(chain, own.rules ?? []);
    });
  }

  /**
   * Deletes chains with their rules, all or none.
   *
   * @throws {NetlinkError} ENOENT when there is none, EBUSY when rules of others lead to it.
   */
  delete(selectors: Many<ChainSelector | ChainInfo>): void {
    this.#access.commit(selectors, (batch, selector) => {
      const { name: chain, ...table } = selected(selector);
      batch.add(deleteChain({ ...table, chain }));
    });
  }

  /** Deletes all chains, or those that match a filter, with their rules. */
  flush(filter: ChainFilter = {}): void {
    checkOptions(filter, CHAIN_FILTER);
    commitChange(this.#access.connection, tableOf(filter), (tables) => {
      const chains = tables.flatMap(({ chains }) => chains)
        .filter(({ name }) => filter.chain === undefined || name === filter.chain)
        .map(({ family, table, name }) => ({ family, table, chain: name }));
      // First the rules: some lead to other chains.
      return [...chains.map((it) => deleteRule(it)), ...chains.map(deleteChain)];
    });
  }

  /** Prints the chains. */
  [Symbol.for("Deno.customInspect")](...how: [Inspect, Deno.InspectOptions]): string {
    return this.#access.inspect("chains", () => this.list(), how);
  }
}

/** The name in a selector, or in an entry that was read. */
function selected(selector: ChainSelector): ChainSelector {
  if (!isRead(selector)) checkOptions(selector, NAMED);
  const { family, table, name } = selector;
  familyNumber(family);
  return { family, table, name };
}

function tableOf({ family, table }: TableFilter): TableFilter {
  if (family !== undefined) familyNumber(family);
  return { ...(family === undefined ? {} : { family }), ...(table === undefined ? {} : { table }) };
}

/** The rules of a namespace. {@link Nftables.rules} gives it. */
export class NftRules {
  readonly #access: Access;

  /** For {@link Nftables}. */
  constructor(netns: NetNsHandle) {
    this.#access = new Access(netns);
  }

  /** Reads rules, in the order of their chains. */
  list(filter: ChainFilter = {}): RuleInfo[] {
    checkOptions(filter, CHAIN_FILTER);
    return this.#access.tables(filter).flatMap(({ chains }) => chains).flatMap(({ rules }) => rules)
      .filter(({ chain }) => filter.chain === undefined || chain === filter.chain);
  }

  /**
   * Reads a rule.
   *
   * @throws {NetlinkError} ENOENT when there is none.
   */
  get(selector: RuleSelector): RuleInfo {
    const { handle, ...chain } = ruleSelector(selector);
    const found = this.list(chain).find((rule) => rule.handle === handle);
    if (!found) throw this.#access.missing(`rule ${handle} of ${describeChain(chain)}`);
    return found;
  }

  /**
   * Adds rules, all or none, in this order.
   *
   * @param entries One or many; also entries of `list()`, which are added to the end of their chain.
   * @throws {NetlinkError} ENOENT without the chain, or without the rule of `before` and `after`.
   */
  add(entries: Many<RuleEntry | RuleInfo>): void {
    this.#access.commit(entries, (batch, entry) => {
      const chain = chainOf(entry);
      if ("expressions" in entry) return batch.rule(chain, entry);
      batch.rule(chain, entry.rule, placeOf({ ...entry, handle: undefined } as never));
    });
  }

  /**
   * Puts rules in place of others, at one moment.
   *
   * @param entries One or many, with the number of the rule that each replaces.
   * @throws {NetlinkError} ENOENT when there is none.
   */
  replace(entries: Many<RuleEntry & { readonly handle: number } | RuleInfo>): void {
    this.#access.commit(entries, (batch, entry) => {
      const handle = integer(entry.handle, "handle", 1, Number.MAX_SAFE_INTEGER);
      if (!("expressions" in entry)) placeOf(entry);
      const rule = "expressions" in entry ? entry : entry.rule;
      batch.rule(chainOf(entry), rule, { mode: "replace", handle });
    });
  }

  /**
   * Deletes rules, all or none.
   *
   * @throws {NetlinkError} ENOENT when there is none.
   */
  delete(selectors: Many<RuleSelector | RuleInfo>): void {
    this.#access.commit(selectors, (batch, selector) => {
      const { handle, ...chain } = ruleSelector(selector);
      batch.add(deleteRule(chain, handle));
    });
  }

  /** Deletes all rules, or those that match a filter; chains stay. */
  flush(filter: ChainFilter = {}): void {
    checkOptions(filter, CHAIN_FILTER);
    commitChange(
      this.#access.connection,
      tableOf(filter),
      (tables) =>
        tables.flatMap(({ chains }) => chains)
          .filter(({ name }) => filter.chain === undefined || name === filter.chain)
          .map(({ family, table, name }) => deleteRule({ family, table, chain: name })),
    );
  }

  /** Prints the rules. */
  [Symbol.for("Deno.customInspect")](...how: [Inspect, Deno.InspectOptions]): string {
    return this.#access.inspect("rules", () => this.list(), how);
  }
}

function chainOf({ family, table, chain }: ChainName): ChainName {
  familyNumber(family);
  return { family, table, chain };
}

function ruleSelector(selector: RuleSelector): RuleSelector {
  if (!("expressions" in selector)) checkOptions(selector, RULE);
  const handle = integer(selector.handle, "handle", 1, Number.MAX_SAFE_INTEGER);
  return { ...chainOf(selector), handle };
}

/** The sets and maps of a namespace. {@link Nftables.sets} gives it. */
export class NftSets {
  readonly #access: Access;

  /** For {@link Nftables}. */
  constructor(netns: NetNsHandle) {
    this.#access = new Access(netns);
  }

  /** Reads sets with their elements. */
  list(filter: SetFilter = {}): SetInfo[] {
    checkOptions(filter, SET_FILTER);
    return this.#access.tables(filter).flatMap(({ sets }) => sets)
      .filter(({ name }) => filter.set === undefined || name === filter.set);
  }

  /**
   * Reads a set with its elements.
   *
   * @throws {NetlinkError} ENOENT when there is none.
   */
  get(selector: SetSelector): SetInfo {
    const { name: set, ...table } = selected(selector);
    const [found] = this.list({ ...table, set });
    if (!found) throw this.#access.missing(describeSet({ ...table, set }));
    return found;
  }

  /**
   * Adds sets with their elements, all or none.
   *
   * @param entries One or many; also entries of `list()`.
   * @throws {NetlinkError} EEXIST when there is such a set, ENOENT without its table.
   */
  add(entries: Many<SetOptions | SetInfo>): void {
    this.#access.commit(entries, (batch, entry) => {
      const { table, own } = split<SetEntry>(entry);
      batch.set(table, own);
    });
  }

  /**
   * Adds sets, or puts other elements in place of theirs, at one moment.
   *
   * @param entries One or many; also entries of `list()`.
   * @throws {NetlinkError} EEXIST when a set of the name has another type.
   */
  replace(entries: Many<SetOptions | SetInfo>): void {
    this.#access.commit(entries, (batch, entry) => {
      const { table, own } = split<SetEntry>(entry);
      batch.set(table, { ...own, elements: [] }, { create: false });
      const set = { ...table, set: own.name };
      batch.add(deleteElements(set, [], ""));
      batch.elements(set, own.elements ?? [], encodeSet(own).context);
    });
  }

  /**
   * Deletes sets, all or none.
   *
   * @throws {NetlinkError} ENOENT when there is none, EBUSY when rules use it.
   */
  delete(selectors: Many<SetSelector | SetInfo>): void {
    this.#access.commit(selectors, (batch, selector) => {
      const { name: set, ...table } = selected(selector);
      batch.add(deleteSet({ ...table, set }));
    });
  }

  /**
   * Deletes all sets, or those that match a filter.
   *
   * @throws {NetlinkError} EBUSY when rules use one.
   */
  flush(filter: SetFilter = {}): void {
    checkOptions(filter, SET_FILTER);
    commitChange(
      this.#access.connection,
      tableOf(filter),
      (tables) =>
        tables.flatMap(({ sets }) => sets)
          .filter(({ name }) => filter.set === undefined || name === filter.set)
          .map(({ family, table, name }) => deleteSet({ family, table, set: name })),
    );
  }

  /** Prints the sets. */
  [Symbol.for("Deno.customInspect")](...how: [Inspect, Deno.InspectOptions]): string {
    return this.#access.inspect("sets", () => this.list(), how);
  }
}

/** The elements of the sets of a namespace. {@link Nftables.elements} gives it. */
export class NftElements {
  readonly #access: Access;

  /** For {@link Nftables}. */
  constructor(netns: NetNsHandle) {
    this.#access = new Access(netns);
  }

  /**
   * Reads the elements of a set.
   *
   * @throws {NetlinkError} ENOENT when there is no such set.
   */
  list(set: SetName): readonly Element[] {
    return this.#set(set).elements ?? [];
  }

  /**
   * Adds elements to sets, all or none.
   *
   * @param entries The elements of one set or of several.
   * @throws {NetlinkError} EEXIST when one is there, ENOENT when there is no such set.
   */
  add(entries: Many<ElementsEntry>): void {
    this.#access.commit(entries, (batch, entry) => {
      const [set, context] = this.#context(entry);
      batch.elements(set, entry.elements, context, { create: true });
    });
  }

  /** Adds elements to sets; those that are there stay. Otherwise as {@link NftElements.add}. */
  replace(entries: Many<ElementsEntry>): void {
    this.#access.commit(entries, (batch, entry) => {
      const [set, context] = this.#context(entry);
      batch.elements(set, entry.elements, context);
    });
  }

  /**
   * Deletes elements of sets, all or none.
   *
   * @throws {NetlinkError} ENOENT when one is not there.
   */
  delete(entries: Many<ElementsEntry>): void {
    this.#access.commit(entries, (batch, entry) => {
      const [set, context] = this.#context(entry);
      const { elements } = entry;
      if (elements.length === 0) return;
      const body = elements.map(elementWords).join(", ");
      batch.add(deleteElements(set, encodeElements(elements, context), body));
    });
  }

  /** Deletes all elements of a set. */
  flush(set: SetName): void {
    const { family, table, set: name } = set;
    familyNumber(family);
    const request: Request = deleteElements({ family, table, set: name }, [], "");
    commit(this.#access.connection, [request]);
  }

  #set({ family, table, set }: SetName): SetInfo {
    const name = { family, table, set };
    const [found] = this.#access.tables(name).flatMap(({ sets }) => sets).filter((it) =>
      it.name === set
    );
    if (!found) throw this.#access.missing(describeSet(name));
    return found;
  }

  /** The set of an entry, and the context of its elements. */
  #context(entry: ElementsEntry): [SetName, ElementContext] {
    checkOptions(entry, ELEMENTS);
    const { family, table, set } = entry;
    const found = this.#set(entry);
    const context = found.wire ? elementContext(found.wire.set) : encodeSet(found).context;
    if (!context) {
      throw new TypeError(
        `netloom does not know the type of ${describeSet({ family, table, set })}`,
      );
    }
    return [{ family, table, set }, context];
  }
}
