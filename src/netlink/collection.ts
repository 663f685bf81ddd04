/**
 * The parts that all collections of a kernel's objects share: one or many entries in one batch, and printing.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { Connection } from "./connection.ts";
import { NetlinkError } from "./error.ts";
import type { Request } from "./message.ts";

/** One, or many in one batch. */
export type Many<T> = T | readonly T[];

/** One or many as an array. */
export function asArray<T extends object | string | number>(given: Many<T>): readonly T[] {
  return Array.isArray(given) ? given : [given as T];
}

/**
 * The kernel refused some of the entries that a call was given. The error itself is that of the first.
 *
 * @example All or nothing
 * ```ts
 * import { BatchError, Link, NetNs } from "@netloom/netloom";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const { addresses } = Link.get("lo", { netns });
 * const error = assertThrows(
 *   () => addresses.add(["10.0.0.1/32", "10.0.0.2/32", "10.0.0.1/32"]),
 *   BatchError,
 * );
 * assertEquals([error.code, error.index, error.refused, error.total], ["EEXIST", 2, 1, 3]);
 * assertEquals(addresses.list("inet").map(({ address }) => address), ["127.0.0.1/8"]);
 * ```
 */
export class BatchError extends NetlinkError {
  /** The class: `BatchError`. */
  override readonly name = "BatchError";
  /** The position of the first refused entry among those of the call. */
  readonly index: number;
  /** How many were refused. */
  readonly refused: number;
  /** How many the call was given. */
  readonly total: number;

  /**
   * Composes the message: that of the first refusal, and the counts.
   *
   * @param first The first refusal.
   * @param counts How many there were, and what became of the others.
   */
  constructor(
    first: NetlinkError,
    counts: {
      readonly index: number;
      readonly refused: number;
      readonly total: number;
      readonly others: string;
    },
  ) {
    const { operation, netns, errno, ack } = first;
    super({ operation, netns, errno, ack });
    this.index = counts.index;
    this.refused = counts.refused;
    this.total = counts.total;
    const { refused, total, others } = counts;
    this.message = `${first.message}; ${refused} of ${total} were refused, ${others}`;
  }
}

/** A refusal, and the position of the entry in the call. */
interface Refusal {
  readonly index: number;
  readonly error: NetlinkError;
}

/** Sends requests and returns the positions of those that were done, and the refusals. */
function send(
  connection: Connection,
  requests: readonly Request[],
): { done: number[]; refusals: Refusal[] } {
  const done: number[] = [];
  const refusals: Refusal[] = [];
  const results = connection.batch(requests);
  for (let index = 0; index < results.length; index++) {
    const result = results[index]!;
    if (result.ok) done.push(index);
    else if (result.error instanceof NetlinkError) refusals.push({ index, error: result.error });
    else throw result.error;
  }
  return { done, refusals };
}

/** Throws for the first refusal, with the counts. */
function refuse(refusals: readonly Refusal[], total: number, others: string): never {
  const [first] = refusals as [Refusal];
  if (total === 1) throw first.error;
  throw new BatchError(first.error, {
    index: first.index,
    refused: refusals.length,
    total,
    others,
  });
}

/** Takes back what a call has added. Returns the outcome for the error. */
function takeBack(connection: Connection, undo: readonly Request[]): string {
  const results = connection.batch(undo);
  const left = results.filter((result) => !result.ok).length;
  return left === 0
    ? "the others are removed again"
    : `${left} of the others could not be removed again`;
}

/** Makes the requests that take entries back, by their positions. */
export type Undo = (done: readonly number[]) => readonly Request[];

/** Adds entries, all or none. */
export function addAll(
  connection: Connection,
  requests: readonly Request[],
  undo: Undo,
): void {
  const { done, refusals } = send(connection, requests);
  if (refusals.length === 0) return;
  refuse(refusals, requests.length, takeBack(connection, undo(done.reverse())));
}

/**
 * Adds entries, and changes those that are there. One alone is one request. Of many, first all are added,
 * so that those which the call has added are known; then those that are there already are changed.
 */
export function replaceAll(
  connection: Connection,
  count: number,
  request: (index: number, replace: boolean) => Request,
  undo: Undo,
): void {
  if (count === 1) return void connection.request(request(0, true));
  const indexes = Array.from({ length: count }, (_, index) => index);
  // Bad input in any request throws here, before the first is sent.
  const { done, refusals } = send(connection, indexes.map((index) => request(index, false)));
  const there = refusals.filter(({ error }) => error.errno === ERRNO.EEXIST);
  let failed = refusals.filter(({ error }) => error.errno !== ERRNO.EEXIST);
  if (failed.length === 0 && there.length > 0) {
    const changed = send(connection, there.map(({ index }) => request(index, true)));
    failed = changed.refusals.map(({ index, error }) => ({ index: there[index]!.index, error }));
  }
  if (failed.length === 0) return;
  refuse(failed, count, takeBack(connection, undo(done.reverse())));
}

/** Deletes entries. A refusal does not keep the others. */
export function deleteAll(connection: Connection, requests: readonly Request[]): void {
  const { refusals } = send(connection, requests);
  if (refusals.length > 0) refuse(refusals, requests.length, "the others are deleted");
}

/** Deletes entries that were listed before: those that are gone meanwhile are no refusals. */
export function flushAll(
  connection: Connection,
  requests: readonly Request[],
  gone: readonly number[],
): void {
  const { refusals } = send(connection, requests);
  const left = refusals.filter(({ error }) => !gone.includes(error.errno));
  if (left.length > 0) refuse(left, requests.length, "the others are deleted");
}

/** How `Deno.customInspect` methods are called. */
export type Inspect = (value: unknown, options: Deno.InspectOptions) => string;

/** Prints a collection: its title and its entries, or why they cannot be read. */
export function inspectList(
  title: string,
  list: () => readonly unknown[],
  inspect: Inspect,
  options: Deno.InspectOptions,
): string {
  try {
    return `${title} ${inspect(list(), options)}`;
  } catch (error) {
    return `${title} (${(error as Error).message})`;
  }
}
