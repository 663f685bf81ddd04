/**
 * Classifiers by name: the table of the kinds of filters that netloom knows.
 *
 * @module
 */
import type { FilterKind } from "../qdisc_kinds/kind.ts";
import * as table from "./table.ts";

/** The table of classifiers, by the kernel's names. */
export type FilterKinds = typeof table;

const kinds = table as unknown as Readonly<Record<string, FilterKind>>;

/** A classifier by the kernel's name; `undefined` when the table does not have it. */
export function filterKind(kind: string | undefined): FilterKind | undefined {
  return kind !== undefined && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
}

/** The names of the classifiers in the table, sorted. */
export function filterKindNames(): string[] {
  return Object.keys(kinds).sort();
}
