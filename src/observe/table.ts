/**
 * Tables of things with a key: how they are read, how two readings differ, how news changes them.
 *
 * @module
 */
import type { Connection } from "../netlink/connection.ts";
import { DumpInterruptedError, NetlinkError } from "../netlink/error.ts";
import type { DumpRequest } from "../netlink/message.ts";
import { getLink } from "../rtnetlink/link.ts";
import { type LinkInfo, linkKind, portInfo } from "../rtnetlink/link_info.ts";
import { isOfFamily } from "../rtnetlink/fields.ts";
import { dumpPolicyRules, type PolicyRuleInfo } from "../rtnetlink/rule.ts";

/** How often a dump is tried that the connection, which tries several times, gave up. */
const ATTEMPTS = 4;

/** Reads a table. Throws {@link DumpInterruptedError} when it keeps changing for long. */
export function tryDump<T>(connection: Connection, request: DumpRequest<T>): T[] {
  for (let attempt = 1;; attempt++) {
    try {
      return connection.dump(request);
    } catch (error) {
      if (!(error instanceof DumpInterruptedError) || attempt === ATTEMPTS) throw error;
    }
  }
}

/**
 * Waits until changes under way are complete. The kernel sends some events before it has done all that
 * belongs to them, and dumps do not wait for that; reading a single link does.
 */
export function settle(connection: Connection): void {
  connection.request(getLink(1, { stats: false })); // the loopback link: every namespace has it
}

/** Properties that change by themselves, at any depth, or that describe the message. */
const IGNORED: ReadonlySet<string> = new Set([
  // The message.
  "change",
  "event",
  "extMask",
  // Counters.
  "stats",
  "xstats",
  "refcnt",
  "directPackets",
  "carrierChanges",
  "carrierUpCount",
  "carrierDownCount",
  "fdbNLearned",
  "probes",
  // Running times.
  "cacheInfo",
  "helloTimer",
  "tcnTimer",
  "topologyChangeTimer",
  "gcTimer",
  "ipOtherTimer",
  "ipv6OtherTimer",
  "messageAgeTimer",
  "forwardDelayTimer",
  "holdTimer",
]);

/** The properties in which two readings differ, without counters and running times. */
export function changedKeys<T extends object>(before: T, after: T): (keyof T)[] {
  const changed: (keyof T)[] = [];
  for (const key in after) {
    if (!same(key, before[key], after[key])) changed.push(key);
  }
  for (const key in before) {
    if (!(key in after) && !same(key, before[key], undefined)) changed.push(key);
  }
  return changed;
}

function same(key: string, a: unknown, b: unknown): boolean {
  if (a === b || IGNORED.has(key)) return true;
  if (a === undefined || b === undefined) return false;
  // The time itself runs down; only its presence matters.
  if (key === "expires") return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (key === "lifetime") return sameLifetime(a, b);
  if (isList(a) || isList(b)) {
    return isList(a) && isList(b) && a.length === b.length &&
      (key === "nexthops" ? sameList(inOrder(a), inOrder(b)) : sameList(a, b));
  }
  return changedKeys(a, b).length === 0;
}

function sameList(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  for (let i = 0; i < a.length; i++) if (!same("", a[i], b[i])) return false;
  return true;
}

/** Sorts nexthops: events put the newest first, and their order has no meaning. */
function inOrder(nexthops: ArrayLike<unknown>): unknown[] {
  const text = (it: { gateway?: string; oif?: number }) => `${it.gateway} ${it.oif}`;
  const list = Array.from(nexthops as ArrayLike<{ gateway?: string; oif?: number }>);
  return list.sort((a, b) => text(a) < text(b) ? -1 : 1);
}

function isList(value: object): value is ArrayLike<unknown> {
  return Array.isArray(value) || value instanceof Uint8Array;
}

interface Lifetime {
  readonly valid?: number;
  readonly preferred?: number;
  readonly updated?: number;
}

/** A lifetime runs down. It differs when it was set anew, or when only one of the two has an end. */
function sameLifetime(a: Lifetime, b: Lifetime): boolean {
  const [endless, too] = [a, b].map((it) => [it.valid === Infinity, it.preferred === Infinity]);
  if (endless![0] !== too![0] || endless![1] !== too![1]) return false;
  return endless![0]! && endless![1]! || a.updated === b.updated;
}

/** An entry of a table differs from its previous reading. */
export interface EntryChange<T> {
  readonly action: "change";
  readonly entry: T;
  readonly previous: T;
  readonly changed: readonly (keyof T)[];
}

/** What happened to an entry of a table. */
export type Change<T> =
  | { readonly action: "add" | "remove"; readonly entry: T }
  | EntryChange<T>;

/** The change from one reading to the next; `undefined` when only counters and times differ. */
export function changeOf<T extends object>(previous: T, entry: T): EntryChange<T> | undefined {
  const changed = changedKeys(previous, entry);
  return changed.length > 0 ? { action: "change", entry, previous, changed } : undefined;
}

/** Entries by key. Methods that change the table return the changes, in order. */
export class Table<T extends object> {
  readonly #keyOf: (entry: T) => string | number;
  readonly #replaced: (before: T, after: T) => boolean;
  readonly #entries = new Map<string | number, T>();

  /**
   * Creates an empty table.
   *
   * @param keyOf The key of an entry.
   * @param replaced Whether two readings with the same key, with unknown events in between, are two
   * different things.
   */
  constructor(
    keyOf: (entry: T) => string | number,
    replaced: (before: T, after: T) => boolean = () => false,
  ) {
    this.#keyOf = keyOf;
    this.#replaced = replaced;
  }

  /** All entries. */
  list(): T[] {
    return [...this.#entries.values()];
  }

  /** The entry with a key. */
  get(key: string | number): T | undefined {
    return this.#entries.get(key);
  }

  /** Adds entries without returning changes. */
  fill(entries: readonly T[]): void {
    for (const entry of entries) this.#entries.set(this.#keyOf(entry), entry);
  }

  /** Stores the newest reading of an entry. */
  put(entry: T): Change<T>[] {
    const key = this.#keyOf(entry);
    const previous = this.#entries.get(key);
    this.#entries.set(key, entry);
    if (previous === undefined) return [{ action: "add", entry }];
    const change = changeOf(previous, entry);
    return change ? [change] : [];
  }

  /** Removes an entry; an unknown one is no change. */
  remove(gone: T): Change<T>[] {
    const key = this.#keyOf(gone);
    const entry = this.#entries.get(key);
    if (entry === undefined) return [];
    this.#entries.delete(key);
    return [{ action: "remove", entry }];
  }

  /** Removes the entries that satisfy a condition. */
  removeWhere(condition: (entry: T) => boolean): Change<T>[] {
    const changes: Change<T>[] = [];
    for (const [key, entry] of this.#entries) {
      if (!condition(entry)) continue;
      this.#entries.delete(key);
      changes.push({ action: "remove", entry });
    }
    return changes;
  }

  /** Replaces the entries that satisfy a condition by those that were read. */
  renew(entries: readonly T[], condition: (entry: T) => boolean): Change<T>[] {
    const [before, after] = [this.list().filter(condition), entries].map((part) => {
      const table = new Table<T>(this.#keyOf, this.#replaced);
      table.fill(part);
      return table;
    }) as [Table<T>, Table<T>];
    this.removeWhere(condition);
    this.fill(entries);
    return before.changesTo(after);
  }

  /** The changes that lead from this table to a later one. */
  changesTo(later: Table<T>): Change<T>[] {
    const changes: Change<T>[] = [];
    for (const [key, previous] of this.#entries) {
      const entry = later.#entries.get(key);
      if (entry === undefined) changes.push({ action: "remove", entry: previous });
      else if (this.#replaced(previous, entry)) {
        changes.push({ action: "remove", entry: previous }, { action: "add", entry });
      } else {
        const change = changeOf(previous, entry);
        if (change) changes.push(change);
      }
    }
    for (const [key, entry] of later.#entries) {
      if (!this.#entries.has(key)) changes.push({ action: "add", entry });
    }
    return changes;
  }
}

/**
 * The links of a namespace. Methods that change the table return the changes, in order.
 *
 * Some changes of a link come without an event: the kernel creates the peer of a veth first and sets its
 * parent later, and the limits of a master follow its ports. Such links are read again.
 */
export class LinkTable {
  readonly #links = new Table<LinkInfo>(({ index }) => index, isOther);
  /** Indexes of the links to read again. */
  readonly #doubtful = new Set<number>();

  /** All links. */
  list(): LinkInfo[] {
    return this.#links.list();
  }

  /** Adds links without returning changes. */
  fill(links: readonly LinkInfo[]): void {
    this.#links.fill(links);
  }

  /** Applies RTM_NEWLINK. */
  put(link: LinkInfo): Change<LinkInfo>[] {
    const previous = this.#links.get(link.index);
    if (!previous && linkKind(link.kind)?.pair && !link.peer) this.#doubtful.add(link.index);
    if (previous?.master !== link.master) {
      for (const { master } of [previous ?? {}, link]) if (master) this.#doubtful.add(master);
    }
    return this.#links.put(link);
  }

  /** Applies a bridge's message about a port: its options and state. */
  putPort(index: number, data: object): Change<LinkInfo>[] {
    const link = this.#links.get(index);
    if (link?.port?.kind !== "bridge") return [];
    return this.#links.put({
      ...link,
      port: portInfo("bridge", { ...link.port.options, ...data }),
    });
  }

  /** Applies RTM_DELLINK and returns the link as it was known last. */
  remove(index: number): LinkInfo | undefined {
    const link = this.#links.get(index);
    if (!link) return undefined;
    this.#links.remove(link);
    if (link.master) this.#doubtful.add(link.master);
    return link;
  }

  /** Reads doubtful links again. */
  refresh(connection: Connection): Change<LinkInfo>[] {
    if (this.#doubtful.size === 0) return [];
    const indexes = [...this.#doubtful].filter((index) => this.#links.get(index));
    this.#doubtful.clear();
    const changes: Change<LinkInfo>[] = [];
    for (const result of connection.batch(indexes.map((index) => getLink(index)))) {
      if (result.ok) changes.push(...this.#links.put(result.value as LinkInfo));
      // Gone by now: its RTM_DELLINK is queued.
      else if (!(result.error instanceof NetlinkError && result.error.code === "ENODEV")) {
        throw result.error;
      }
    }
    return changes;
  }

  /** The changes that lead from this table to a later one. */
  changesTo(later: LinkTable): Change<LinkInfo>[] {
    return this.#links.changesTo(later.#links);
  }
}

/** Whether two readings with one index are two links: the kernel reuses indexes. */
function isOther(before: LinkInfo, after: LinkInfo): boolean {
  return before.kind !== after.kind ||
    before.name !== after.name && before.mac !== after.mac;
}

/**
 * The policy rules of a namespace. A rule is added and removed only; but without an event its flags follow the
 * links that it names, and the rule that its `goto` leads to. Such rules are read again.
 */
export class RuleTable {
  readonly #rules = new Table<PolicyRuleInfo>(keyOfRule);
  /** Keys of rules that are there more than once: the kernel allows that. */
  readonly #alike = new Set<string>();
  #doubtful = false;

  /** Reads the rules. */
  constructor(connection: Connection) {
    for (const rule of tryDump(connection, dumpPolicyRules())) this.put(rule);
    this.#doubtful = false;
  }

  /** All rules, as the kernel goes through them, IPv4 first. */
  list(): PolicyRuleInfo[] {
    return this.#rules.list()
      .sort((a, b) => a.family.localeCompare(b.family) || a.priority - b.priority);
  }

  /** Applies RTM_NEWRULE. */
  put(rule: PolicyRuleInfo): Change<PolicyRuleInfo>[] {
    if (!isOfFamily(rule.family, undefined)) return [];
    const key = keyOfRule(rule);
    if (this.#rules.get(key)) this.#alike.add(key);
    this.#followGoto();
    return this.#rules.put(rule);
  }

  /** Applies RTM_DELRULE. */
  remove(rule: PolicyRuleInfo): Change<PolicyRuleInfo>[] {
    this.#followGoto();
    if (!this.#alike.has(keyOfRule(rule))) return this.#rules.remove(rule);
    this.#doubtful = true;
    return [];
  }

  /** Applies a message about a link: its name may be new, or gone. */
  linkChanged(): void {
    this.#doubtful ||= this.#rules.list().some(({ iif, oif }) => iif ?? oif);
  }

  /** Reads the rules again if they are doubtful. */
  refresh(connection: Connection): Change<PolicyRuleInfo>[] {
    if (!this.#doubtful) return [];
    this.#doubtful = false;
    const rules = tryDump(connection, dumpPolicyRules());
    for (const [key, { length }] of Map.groupBy(rules, keyOfRule)) {
      if (length > 1) this.#alike.add(key);
      else this.#alike.delete(key);
    }
    return this.#rules.renew(rules, () => true);
  }

  /** The changes that lead from this table to a later one. */
  changesTo(later: RuleTable): Change<PolicyRuleInfo>[] {
    return this.#rules.changesTo(later.#rules);
  }

  #followGoto(): void {
    this.#doubtful ||= this.#rules.list().some(({ goto }) => goto !== undefined);
  }
}

/** A rule is told by all that it has, except for its state. */
function keyOfRule({ flags: _, ...rule }: PolicyRuleInfo): string {
  return JSON.stringify(rule);
}
