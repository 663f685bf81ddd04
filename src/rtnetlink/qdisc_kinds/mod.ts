/**
 * Queueing disciplines by name: the table of the kinds that netloom knows.
 *
 * @module
 */
import type { QdiscKind } from "./kind.ts";
import * as table from "./table.ts";

/** The table of queueing disciplines, by the kernel's names. */
export type QdiscKinds = typeof table;

const kinds = table as unknown as Readonly<Record<string, QdiscKind>>;

/** A kind by the kernel's name; `undefined` when the table does not have it. */
export function qdiscKind(kind: string | undefined): QdiscKind | undefined {
  return kind !== undefined && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
}

/** The names of the kinds in the table, sorted. */
export function qdiscKindNames(): string[] {
  return Object.keys(kinds).sort();
}
