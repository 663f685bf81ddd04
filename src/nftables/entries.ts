/**
 * Tables, chains, rules and sets as a person writes them, and the requests that add them.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import type { Request } from "../netlink/message.ts";
import { checkOptions, hasKey, type OptionNames, show, wordValue } from "../options.ts";
import { indexOf } from "../rtnetlink/link_target.ts";
import { type AnonymousSet, encodeAnonymous } from "./anonymous_set.ts";
import {
  type ChainMessage,
  type ChainName,
  type Hook,
  HOOKS,
  newChain,
  newRule,
  type Policy,
  type Priority,
  priorityNumber,
  type PriorityWord,
  type RuleMessage,
  type RuleMode,
} from "./chain.ts";
import { commentOf, compileRule, ruleWords, withIndexes } from "./compile.ts";
import { NFT_TABLE_F } from "./constants.ts";
import type { Expression } from "./expressions/mod.ts";
import { ANONYMOUS } from "./match.ts";
import { type Family, familyNumber } from "./message.ts";
import { encodeObjects, type NamedObjects } from "./named_object.ts";
import type { ChainInfo, RuleInfo, SetInfo, TableInfo } from "./ruleset.ts";
import { type ElementMessage, newElements, newSet, type SetMessage, type SetName } from "./set.ts";
import {
  type Element,
  type ElementContext,
  elementWords,
  encodeElements,
  encodeSet,
  SET_ENTRY,
  type SetEntry,
  setWords,
} from "./set_entry.ts";
import type { Rule } from "./statements.ts";
import {
  type FlowtableMessage,
  newFlowtable,
  newObject,
  newTable,
  type ObjectMessage,
  type TableName,
} from "./table.ts";
import { commentData } from "./userdata.ts";

/** A chain of a table. */
export interface ChainEntry {
  /** Its name. */
  readonly name: string;
  /**
   * Its purpose: `filter`, `nat` for translations, `route` for changes that need another route. Default
   * of a chain with a hook: `filter`.
   */
  readonly type?: "filter" | "nat" | "route";
  /** The hook that calls it. Default: none, rules of other chains lead to it. */
  readonly hook?: Hook;
  /**
   * Its turn among the chains of the hook. Default: `filter`; of `nat` chains `dstnat` before the routing
   * decision and `srcnat` after it; of `route` chains `mangle`.
   */
  readonly priority?: Priority;
  /** The verdict on packets that reach its end. Default: `accept`. */
  readonly policy?: Policy;
  /** The links whose packets it sees: of `netdev`, and of `ingress` in `inet`. */
  readonly devices?: readonly string[];
  /** Text for people. */
  readonly comment?: string;
  /** Its rules, in order. */
  readonly rules?: readonly (Rule | RuleInfo)[];
}

/** A table with all that it has. */
export interface TableEntry extends NamedObjects {
  /** Its family: `inet` sees IPv4 and IPv6. */
  readonly family: Family;
  /** Its name. */
  readonly name: string;
  /** Its chains are not called. Default: false. */
  readonly dormant?: boolean;
  /** Text for people. */
  readonly comment?: string;
  /** Its chains. */
  readonly chains?: readonly (ChainEntry | ChainInfo)[];
  /** Its sets and maps. */
  readonly sets?: readonly (SetEntry | SetInfo)[];
  /** Its other named objects, as they were read. */
  readonly objects?: readonly ObjectMessage[];
  /** Its flowtables, as they were read. */
  readonly flowtables?: readonly FlowtableMessage[];
}

/** A rule to be added, and its place. */
export interface RuleEntry extends ChainName {
  /** The rule. */
  readonly rule: Rule;
  /** The number of the rule that it is to stand before. Default: at the end of the chain. */
  readonly before?: number;
  /** The number of the rule that it is to stand behind. */
  readonly after?: number;
  /** At the beginning of the chain. Default: false. */
  readonly first?: boolean;
  /** The number of the rule that it replaces; for `replace()` alone. */
  readonly handle?: number;
}

const TABLE: OptionNames<TableEntry> = {
  family: true,
  name: true,
  dormant: true,
  comment: true,
  chains: true,
  sets: true,
  counters: true,
  quotas: true,
  limits: true,
  objects: true,
  flowtables: true,
};

const CHAIN: OptionNames<ChainEntry> = {
  name: true,
  type: true,
  hook: true,
  priority: true,
  policy: true,
  devices: true,
  comment: true,
  rules: true,
};

const RULE: OptionNames<RuleEntry> = {
  family: true,
  table: true,
  chain: true,
  rule: true,
  before: true,
  after: true,
  first: true,
  handle: true,
};

/** The properties that only entries that were read have. */
const READ: Readonly<Record<"family" | "table" | "handle" | "userdata" | "owner" | "wire", true>> =
  { family: true, table: true, handle: true, userdata: true, owner: true, wire: true };

/** The names of tables' options, and of the properties that are only read. */
const TABLE_INFO: OptionNames<TableEntry & TableInfo> = { ...TABLE, ...READ };

const isRead = <T extends object, U extends { readonly handle: number }>(
  entry: T | U,
): entry is U => hasKey(entry, "handle" as never);

/** A rule among the rules of a chain that was read: it has its program. */
function isRuleInfo(rule: Rule | RuleInfo): rule is RuleInfo {
  return hasKey(rule as object, "expressions" as never) && hasKey(rule as object, "rule" as never);
}

function checkName(name: unknown, path: string): string {
  if (typeof name === "string" && name !== "" && !name.includes("\0")) return name;
  throw new TypeError(`${path} must be a name: got ${show(name)}`);
}

/** The priority of chains without one. */
function defaultPriority(type: string, hook: Hook): PriorityWord {
  if (type === "route") return "mangle";
  if (type !== "nat") return "filter";
  return hook === "prerouting" || hook === "output" ? "dstnat" : "srcnat";
}

/** Collects the requests of a batch, in the order in which the kernel can take them. */
export class BatchBuilder {
  readonly #ref: NetNsRef;
  readonly #requests: Request[] = [];
  /** Of each request: which entry of the call it is of. */
  readonly #owners: number[] = [];
  /** Of each request: its place in that entry. */
  readonly #places: string[] = [];
  #place: readonly string[] = [];
  #sets = 0;
  #owner = 0;

  /** @param ref The namespace, for links by name. */
  constructor(ref: NetNsRef) {
    this.#ref = ref;
  }

  /** The requests. */
  get requests(): readonly Request[] {
    return this.#requests;
  }

  /** Of each request: the position of its entry in the call. */
  get owners(): readonly number[] {
    return this.#owners;
  }

  /** Of each request: its place in that entry, such as `chains[0]: rules[1]`. */
  get places(): readonly string[] {
    return this.#places;
  }

  /** Notes that the requests from here on are those of an entry. */
  entry(index: number): void {
    this.#owner = index;
  }

  /** Appends requests. */
  add(...requests: readonly Request[]): void {
    for (const request of requests) {
      this.#requests.push(request);
      this.#owners.push(this.#owner);
      this.#places.push(this.#place.join(": "));
    }
  }

  /** Notes the place of a part of an entry for its requests, and puts it into its error. */
  #inside(path: string, build: () => void): void {
    const outer = this.#place;
    this.#place = [...outer, path];
    try {
      build();
    } catch (error) {
      if (error instanceof TypeError || error instanceof RangeError) {
        error.message = `${path}: ${error.message}`;
      }
      throw error;
    } finally {
      this.#place = outer;
    }
  }

  /** Adds a table with all that it has; with `create` it must not be there yet. */
  table(
    entry: TableEntry | TableInfo,
    { create = true }: { readonly create?: boolean } = {},
  ): void {
    checkOptions(entry, isRead(entry) ? TABLE_INFO : TABLE);
    const { family, name: table, chains = [], sets = [], objects = [], flowtables = [] } = entry;
    familyNumber(family);
    const name: TableName = { family, table: checkName(table, "name") };
    const { userdata = commentData(entry.comment) } = entry as TableInfo;
    const flags = entry.dormant ? NFT_TABLE_F.DORMANT : 0;
    const attributes = { ...(flags ? { flags } : {}), ...(userdata ? { userdata } : {}) };
    this.add(newTable(name, { attributes, create }));
    for (const { message, body } of encodeObjects(entry)) this.add(newObject(name, message, body));
    for (const object of objects) this.add(newObject(name, object));
    for (const flowtable of flowtables) this.add(newFlowtable(name, flowtable));
    chains.forEach((chain, i) =>
      this.#inside(`chains[${i}]`, () => this.chain(name, chain, { rules: false }))
    );
    sets.forEach((set, i) => this.#inside(`sets[${i}]`, () => this.set(name, set)));
    for (const [i, { name: chain, rules = [] }] of chains.entries()) {
      this.#inside(`chains[${i}]`, () => this.rules({ ...name, chain }, rules));
    }
  }

  /** Adds a chain, and its rules. */
  chain(
    name: TableName,
    entry: ChainEntry | ChainInfo,
    options: { readonly create?: boolean; readonly rules?: boolean } = {},
  ): void {
    const { create = true, rules = true } = options;
    checkOptions(entry, isRead(entry) ? { ...CHAIN, ...READ } : CHAIN);
    const chain: ChainName = { ...name, chain: checkName(entry.name, "name") };
    this.add(newChain(chain, chainMessage(name.family, entry), { create }));
    if (rules) this.rules(chain, entry.rules ?? []);
  }

  /** Adds rules to the end of a chain. */
  rules(chain: ChainName, rules: readonly (Rule | RuleInfo)[]): void {
    rules.forEach((rule, i) => this.#inside(`rules[${i}]`, () => this.rule(chain, rule)));
  }

  /** Adds a rule. */
  rule(
    chain: ChainName,
    rule: Rule | RuleInfo,
    place: { readonly mode?: RuleMode; readonly handle?: number; readonly position?: number } = {},
  ): void {
    const { mode, ...at } = place;
    const attributes: RuleMessage = { ...at };
    const first = this.#requests.length;
    let text: string;
    if (isRuleInfo(rule)) {
      attributes.expressions = this.#again(chain, rule);
      const { compat, userdata = commentData(commentOf(rule.rule)) } = rule;
      if (userdata) attributes.userdata = userdata;
      if (compat) attributes.compat = compat;
      text = rule.text;
    } else {
      const addSet = (given: AnonymousSet) => {
        const { set, elements } = encodeAnonymous(given);
        return this.#anonymous(chain, set, elements);
      };
      const given = withIndexes(rule, (target, path) => indexOf(target, this.#ref, path));
      attributes.expressions = compileRule(given, { family: chain.family, addSet });
      const userdata = commentData(commentOf(given));
      if (userdata) attributes.userdata = userdata;
      text = ruleWords(given);
    }
    const request = newRule(chain, attributes, { text, ...(mode ? { mode } : {}) });
    // The sets without names before it are parts of the rule.
    for (let i = first; i < this.#requests.length; i++) {
      this.#requests[i] = { ...this.#requests[i]!, operation: request.operation };
    }
    this.add(request);
  }

  /** The program of a rule that was read, with its sets without names as new ones. */
  #again(chain: ChainName, { expressions, sets = {} }: RuleInfo): Expression[] {
    return expressions.map((it) => {
      if (it.name !== "lookup" || !Object.hasOwn(sets, it.data.set)) return it;
      const { set, elements } = sets[it.data.set]!;
      const setId = this.#anonymous(chain, set, elements);
      return { name: "lookup", data: { ...it.data, set: ANONYMOUS, setId } };
    });
  }

  #anonymous(
    { family, table }: TableName,
    attributes: SetMessage,
    elements: readonly ElementMessage[],
  ): number {
    const name: SetName = {
      family,
      table,
      set: attributes.dataType === undefined ? ANONYMOUS : "__map%d",
    };
    const id = ++this.#sets;
    this.add(newSet(name, { ...settable(attributes), id }));
    this.add(...elementRequests(name, elements, { setId: id }));
    return id;
  }

  /** Adds a set with its elements. */
  set(
    name: TableName,
    entry: SetEntry | SetInfo,
    { create = true }: { readonly create?: boolean } = {},
  ): void {
    checkOptions(entry, isRead(entry) ? { ...SET_ENTRY, ...READ } : SET_ENTRY);
    const set: SetName = { ...name, set: checkName(entry.name, "name") };
    const { wire } = entry as SetInfo;
    const id = ++this.#sets;
    const { map, elements = [] } = entry;
    const options = { create, body: setWords(entry), map: map !== undefined };
    if (wire) {
      this.add(newSet(set, { ...settable(wire.set), id }, options));
      return this.add(...elementRequests(set, wire.elements, { body: "..." }));
    }
    const { set: attributes, context } = encodeSet(entry);
    this.add(newSet(set, { ...attributes, id }, options));
    this.elements(set, elements, context);
  }

  /** Adds elements to a set. */
  elements(
    set: SetName,
    elements: readonly Element[],
    context: ElementContext,
    { create = false }: { readonly create?: boolean } = {},
  ): void {
    const body = elements.map(elementWords).join(", ");
    this.add(...elementRequests(set, encodeElements(elements, context), { create, body }));
  }
}

/** The most elements in a message: the length of an attribute has 16 bits. */
const ELEMENTS_PER_MESSAGE = 250;

function elementRequests(
  set: SetName,
  elements: readonly ElementMessage[],
  { setId, ...options }: {
    readonly setId?: number;
    readonly create?: boolean;
    readonly body?: string;
  },
): Request[] {
  const requests: Request[] = [];
  for (let from = 0; from < elements.length; from += ELEMENTS_PER_MESSAGE) {
    const part = elements.slice(from, from + ELEMENTS_PER_MESSAGE);
    const attributes = { elements: part, ...(setId === undefined ? {} : { setId }) };
    const { body } = options;
    const first = from === 0 || body === undefined ? body : undefined;
    requests.push(newElements(set, attributes, {
      ...(options.create ? { create: true } : {}),
      ...(first === undefined ? {} : { body: first }),
    }));
  }
  return requests;
}

/** The settable attributes of a set that was read. */
function settable({ handle: _, table: _1, name: _2, ...rest }: SetMessage): SetMessage {
  return rest;
}

function chainMessage(family: Family, entry: ChainEntry | ChainInfo): ChainMessage {
  const { hook, type = "filter", policy, devices } = entry;
  const { userdata = commentData(entry.comment) } = entry as ChainInfo;
  const kept = userdata ? { userdata } : {};
  if (hook === undefined) {
    for (const key of ["type", "priority", "policy", "devices"] as const) {
      if (entry[key] !== undefined) throw new TypeError(`${key} must not be there without a hook`);
    }
    return kept;
  }
  const hooknum = wordValue(
    hook,
    HOOKS[family] as Record<string, number>,
    `hook in the family ${family}`,
  );
  wordValue(type, { filter: true, nat: true, route: true }, "type");
  if (policy !== undefined) wordValue(policy, { accept: 1, drop: 0 }, "policy");
  const priority = priorityNumber(entry.priority ?? defaultPriority(type, hook), family);
  const some = devices && devices.length > 0;
  if ((family === "netdev" || hook === "ingress") && !some) {
    throw new TypeError(`devices is required: the hook ${hook} of ${family} is that of links`);
  }
  const links = !some ? {} : devices.length === 1 ? { dev: devices[0]! } : { devs: [...devices] };
  return {
    type,
    hook: { hooknum, priority, ...links },
    policy: policy ?? "accept",
    ...kept,
  };
}

/** A rule's place, of its entry. */
export function placeOf(
  entry: RuleEntry,
): { readonly mode: RuleMode; readonly position?: number } {
  checkOptions(entry, RULE);
  const { before, after, first } = entry;
  if ([before, after, first || undefined].filter((it) => it !== undefined).length > 1) {
    throw new TypeError(
      `options must have one of before, after and first: got ${show({ before, after, first })}`,
    );
  }
  if (before !== undefined) return { mode: "insert", position: before };
  if (after !== undefined) return { mode: "add", position: after };
  return { mode: first ? "insert" : "add" };
}
