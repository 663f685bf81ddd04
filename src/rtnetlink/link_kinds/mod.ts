/**
 * Link kinds by name: the table of the kinds that netloom knows.
 *
 * @module
 */
import type { LinkKind } from "./kind.ts";
import * as table from "./table.ts";

/** The table of link kinds, by the kernel's names. */
export type LinkKinds = typeof table;

const kinds: ReadonlyMap<string, LinkKind> = new Map(
  Object.entries(table as unknown as Readonly<Record<string, LinkKind>>),
);

/** A kind by the kernel's name; `undefined` when the table does not have it. */
export function linkKind(kind: string | undefined): LinkKind | undefined {
  return kind === undefined ? undefined : kinds.get(kind);
}

/** The names of the kinds in the table, sorted. */
export function linkKindNames(): string[] {
  return [...kinds.keys()].sort();
}
