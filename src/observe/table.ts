/**
 * A table of things that are told apart by a key: what is known, and how news change it.
 *
 * @module
 */
import { changedKeys } from "./compare.ts";

/** An entry of a table became different. */
export interface EntryChange<T> {
  readonly action: "change";
  readonly entry: T;
  readonly previous: T;
  readonly changed: readonly (keyof T)[];
}

/** What became of an entry of a table. */
export type Change<T> =
  | { readonly action: "add" | "remove"; readonly entry: T }
  | EntryChange<T>;

/** The change from one reading to the next; `undefined` when only counters and times differ. */
export function changeOf<T extends object>(previous: T, entry: T): EntryChange<T> | undefined {
  const changed = changedKeys(previous, entry);
  return changed.length > 0 ? { action: "change", entry, previous, changed } : undefined;
}

/** Entries by key. What changes them returns the changes, in order. */
export class Table<T extends object> {
  readonly #keyOf: (entry: T) => string | number;
  readonly #replaced: (before: T, after: T) => boolean;
  readonly #entries = new Map<string | number, T>();

  /**
   * @param keyOf What tells one entry from the others.
   * @param replaced Whether two entries of one key, of which nothing is known in between, are two things.
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

  /** The entry of a key. */
  get(key: string | number): T | undefined {
    return this.#entries.get(key);
  }

  /** Adds entries, without telling. */
  fill(entries: readonly T[]): void {
    for (const entry of entries) this.#entries.set(this.#keyOf(entry), entry);
  }

  /** Takes in how an entry is now. */
  put(entry: T): Change<T>[] {
    const key = this.#keyOf(entry);
    const previous = this.#entries.get(key);
    this.#entries.set(key, entry);
    if (previous === undefined) return [{ action: "add", entry }];
    const change = changeOf(previous, entry);
    return change ? [change] : [];
  }

  /** Takes in that an entry is gone; one that is not known is no change. */
  remove(gone: T): Change<T>[] {
    const key = this.#keyOf(gone);
    const entry = this.#entries.get(key);
    if (entry === undefined) return [];
    this.#entries.delete(key);
    return [{ action: "remove", entry }];
  }

  /** Removes the entries a condition holds for. */
  removeWhere(condition: (entry: T) => boolean): Change<T>[] {
    const changes: Change<T>[] = [];
    for (const [key, entry] of this.#entries) {
      if (!condition(entry)) continue;
      this.#entries.delete(key);
      changes.push({ action: "remove", entry });
    }
    return changes;
  }

  /** What leads from this table to a later one. */
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
