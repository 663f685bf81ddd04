/**
 * The parts that all collections of a kernel's objects share: one or many entries in one batch, and printing.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { Connection } from "./connection.ts";
import { NetlinkError } from "./error.ts";
import type { Request } from "./message.ts";
import { atCaller, located as locatedAt } from "../options.ts";

/** One, or many in one batch. */
export type Many<T> = T | readonly T[];

/** One or many as an array. */
export function asArray<T extends object | string | number>(given: Many<T>): readonly T[] {
  return Array.isArray(given) ? given : [given as T];
}

/**
 * Converts one entry or many. Of many, an error for a wrong one says which it is.
 *
 * @param given The entries.
 * @param check Checks an entry and converts it.
 */
export function convert<T extends object | string | number, U>(
  given: Many<T>,
  check: (entry: T) => U,
): U[] {
  const entries = asArray(given);
  return atCaller(convert, () =>
    entries.map((entry, index) => {
      try {
        return check(entry);
      } catch (error) {
        throw located(error, index, entries.length);
      }
    }));
}

/** Puts the position of a wrong entry of many into its error. */
function located(error: unknown, index: number, total: number): unknown {
  return total > 1 ? locatedAt(error, `entries[${index}]`) : error;
}

/**
 * The kernel refused some of the entries that a call was given. The error itself is that of the first, which
 * is its `cause`.
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
    this.cause = first;
    this.index = counts.index;
    this.refused = counts.refused;
    this.total = counts.total;
    const { refused, total, others } = counts;
    this.message = `${first.message}; ${refused} of ${total} were refused, ${others}`;
    Error.captureStackTrace(this, BatchError); // the stack has the message, too
  }
}

/** A refusal, and the position of the entry in the call. */
export interface Refusal {
  readonly index: number;
  readonly error: NetlinkError;
}

/** Sends a request for each entry and returns the entries that were done, and the refusals. */
function send<E>(
  connection: Connection,
  entries: readonly E[],
  request: (entry: E) => Request,
): { done: E[]; refusals: Refusal[] } {
  const done: E[] = [];
  const refusals: Refusal[] = [];
  // One request at a time: of a hundred thousand, their bytes are enough.
  const results = connection.batch((add) => {
    for (let index = 0; index < entries.length; index++) {
      try {
        add(request(entries[index]!));
      } catch (error) {
        throw located(error, index, entries.length);
      }
    }
  });
  for (let index = 0; index < results.length; index++) {
    const result = results[index]!;
    if (result.ok) done.push(entries[index]!);
    else if (result.error instanceof NetlinkError) refusals.push({ index, error: result.error });
    else throw result.error;
  }
  return { done, refusals };
}

/**
 * Throws for the first refusal, with the counts.
 *
 * @param refusals One or more, in the order of the entries.
 * @param total How many entries the call was given.
 * @param others What became of the others.
 */
export function refuse(refusals: readonly Refusal[], total: number, others: string): never {
  const [first] = refusals as [Refusal];
  if (total === 1) throw first.error;
  throw new BatchError(first.error, {
    index: first.index,
    refused: refusals.length,
    total,
    others,
  });
}

/** Makes the requests that take entries back, which were added in this order. */
export type Undo<E> = (done: readonly E[]) => readonly Request[];

/** Takes back what a call has added. Returns the outcome for the error. */
function takeBack<E>(connection: Connection, done: E[], undo: Undo<E>): string {
  const results = connection.batch(undo(done));
  const left = results.filter((result) => !result.ok).length;
  return left === 0
    ? "the others are removed again"
    : `${left} of the others could not be removed again`;
}

/**
 * Tells which entries are parts of those given: the kernel adds and deletes a part with the whole, and a part
 * can be changed on its own.
 */
export type PartsOf<E> = (wholes: readonly E[]) => (entry: E) => boolean;

/** Explains the refusal of an entry: a kind that the kernel lacks. */
export type Explain<E> = (error: NetlinkError, entry: E) => NetlinkError;

/** How entries are set. */
export interface SetOptions<E> {
  /** Tells the entries that the kernel adds with others of the call: these are changed then. */
  readonly parts?: PartsOf<E>;
  /** Explains refusals. */
  readonly explain?: Explain<E>;
  /** Tells entries that the kernel has created although it refused them: these are taken back, too. */
  readonly isLeft?: (error: NetlinkError, entry: E) => boolean;
}

const none = () => false;
const noParts = () => none;
const all = () => () => true;

/** Adds entries, all or none. */
export function addAll<E>(
  connection: Connection,
  entries: readonly E[],
  request: (entry: E, replace: boolean) => Request,
  undo: Undo<E>,
  options: SetOptions<E> = {},
): void {
  setAll(connection, entries, request, { undo, mayChange: options.parts ?? noParts, ...options });
}

/**
 * Adds entries, and changes those that are there. One alone is one request. Of many, first all are added,
 * so that those which the call has added are known; then those that are there already are changed. So is one
 * that the kernel may leave there when it refuses it.
 */
export function replaceAll<E>(
  connection: Connection,
  entries: readonly E[],
  request: (entry: E, replace: boolean) => Request,
  undo: Undo<E>,
  options: SetOptions<E> = {},
): void {
  if (entries.length === 1 && !options.isLeft) {
    return setOne(connection, entries[0]!, (entry) => request(entry, true), options.explain);
  }
  setAll(connection, entries, request, { undo, mayChange: all, ...options });
}

/** Sends the request for one entry. */
export function setOne<E>(
  connection: Connection,
  entry: E,
  request: (entry: E) => Request,
  explain?: Explain<E>,
): void {
  const { refusals } = send(connection, [entry], request);
  if (refusals.length > 0) refuse(explained(refusals, [entry], explain), 1, "");
}

/** The refusals with the error of the first one explained. */
function explained<E>(
  refusals: readonly Refusal[],
  entries: readonly E[],
  explain: Explain<E> | undefined,
): readonly Refusal[] {
  const [{ index, error }, ...others] = refusals as [Refusal];
  return explain ? [{ index, error: explain(error, entries[index]!) }, ...others] : refusals;
}

/** Adds entries, then changes those that `mayChange` allows of the ones that are there. */
function setAll<E>(
  connection: Connection,
  entries: readonly E[],
  request: (entry: E, replace: boolean) => Request,
  { undo, parts = noParts, mayChange, explain, isLeft = none }: SetOptions<E> & {
    readonly undo: Undo<E>;
    readonly mayChange: PartsOf<E>;
  },
): void {
  const { done, refusals } = send(connection, entries, (entry) => request(entry, false));
  if (refusals.length === 0) return;
  const changes = mayChange(done);
  const isThere = ({ index, error }: Refusal) =>
    error.errno === ERRNO.EEXIST && changes(entries[index]!);
  const there = new Set(refusals.filter(isThere).map(({ index }) => index));
  let failed = refusals.filter(({ index }) => !there.has(index));
  if (failed.length === 0) {
    // A change of a whole changes its parts too, also those that were added just now.
    const isPart = parts([...there].map((index) => entries[index]!));
    const partsAt = [...entries.keys()].filter((index) => isPart(entries[index]!));
    const again = [...there.difference(new Set(partsAt)), ...partsAt];
    const sent = again.map((index) => entries[index]!);
    const changed = send(connection, sent, (entry) => request(entry, true));
    failed = changed.refusals.map(({ index, error }) => ({ index: again[index]!, error }));
  }
  if (failed.length === 0) return;
  // Only the first round creates entries: the second one changes those that were there.
  const left = refusals.filter(({ index, error }) => isLeft(error, entries[index]!));
  done.push(...left.map(({ index }) => entries[index]!));
  const outcome = takeBack(connection, done, undo);
  refuse(explained(failed, entries, explain), entries.length, outcome);
}

/**
 * Deletes entries. A refusal does not keep the others.
 *
 * @param parts Tells the entries that the kernel has deleted with others of the call.
 */
export function deleteAll<E>(
  connection: Connection,
  entries: readonly E[],
  request: (entry: E) => Request,
  parts: PartsOf<E> = noParts,
): void {
  const { done, refusals } = send(connection, entries, request);
  if (refusals.length === 0) return;
  const isPart = parts(done);
  const left = refusals.filter(({ index, error }) =>
    error.errno !== ERRNO.ENOENT || !isPart(entries[index]!)
  );
  if (left.length > 0) refuse(left, entries.length, "the others are deleted");
}

/** Deletes entries that were listed before: those that are gone meanwhile are no refusals. */
export function flushAll<E>(
  connection: Connection,
  entries: readonly E[],
  request: (entry: E) => Request,
  gone: readonly number[],
): void {
  const { refusals } = send(connection, entries, request);
  const left = refusals.filter(({ error }) => !gone.includes(error.errno));
  if (left.length > 0) refuse(left, entries.length, "the others are deleted");
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
