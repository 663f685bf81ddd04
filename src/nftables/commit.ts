/**
 * Sending a batch: all of it is done, or nothing; and the access to the ruleset that collections share.
 *
 * @module
 */
import { ERRNO, type KernelError } from "../../ffi/errno.ts";
import {
  asArray,
  BatchError,
  convert,
  type Inspect,
  inspectList,
  type Many,
} from "../netlink/collection.ts";
import { connectionTo, type NetNsHandle } from "../netlink/connections.ts";
import { NETLINK, type Request } from "../netlink/message.ts";
import { BatchBuilder } from "./entries.ts";
import type { Connection } from "../netlink/connection.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Result } from "../netlink/outbox.ts";
import { batchFrame, familyNumber } from "./message.ts";
import { UnsupportedError } from "../rtnetlink/unsupported.ts";
import { explainMissing } from "./missing.ts";
import { explainRefusal } from "./unsupported.ts";
import { readRuleset, type TableFilter, type TableInfo } from "./ruleset.ts";

/** Options of {@link commit}. */
export interface CommitOptions {
  /** The operation of the batch, for an error of it as a whole. */
  readonly operation?: string;
  /** Of each request: the position of its entry in the call. */
  readonly owners?: readonly number[];
  /** Of each request: its place in its entry. */
  readonly places?: readonly string[];
  /** How many entries the call was given. */
  readonly total?: number;
  /** The generation that it is for: there must be no later one. */
  readonly generation?: number;
}

/** The number of attempts to change a ruleset that others change between reading and sending. */
const ATTEMPTS = 8;

function send(
  connection: Connection,
  requests: readonly Request[],
  { operation = "change the ruleset", generation }: CommitOptions,
): Result<unknown>[] {
  const [begin, end] = batchFrame(operation, generation);
  return connection.transaction([begin, ...requests, end]);
}

/** The refusals, with the position of each request; those of the frame have -1. */
function refusals(
  results: readonly Result<unknown>[],
): { readonly index: number; readonly error: KernelError | Error }[] {
  return results.flatMap((result, i) =>
    result.ok || result.error instanceof NetlinkError && result.error.errno === ERRNO.ECANCELED
      ? []
      : [{ index: i === results.length - 1 ? -1 : i - 1, error: result.error }]
  );
}

/**
 * Sends requests as one batch: all are done, or none.
 *
 * @param connection To the namespace, over NETLINK_NETFILTER.
 * @param requests The requests.
 * @param options The operation, and the entries that the requests belong to.
 * @throws {NetlinkError} The first refusal.
 * @throws {BatchError} When the call was given several entries.
 */
export function commit(
  connection: Connection,
  requests: readonly Request[],
  options: CommitOptions = {},
): void {
  if (requests.length === 0) return;
  const refused = refusals(send(connection, requests, options));
  const first = refused[0];
  if (!first) return;
  const { owners = [], places = [], total = 1 } = options;
  if (!(first.error instanceof NetlinkError)) throw first.error;
  const entry = total === 1 ? undefined : `entries[${owners[first.index]}]`;
  const place = [entry, places[first.index]].filter(Boolean).join(": ");
  const error = explainMissing(connection, { requests, index: first.index, place }, first.error) ??
    explainRefusal(connection, requests[first.index], first.error);
  if (total === 1 || first.index < 0 || error instanceof UnsupportedError) throw error;
  throw new BatchError(error, {
    index: owners[first.index] ?? 0,
    refused: new Set(refused.map(({ index }) => owners[index])).size,
    total,
    others: "nothing has changed",
  });
}

/**
 * Changes existing objects: reads the ruleset and sends a batch that the kernel takes only while the ruleset has
 * not changed. Otherwise it reads again, a few times.
 *
 * @param connection To the namespace.
 * @param filter A table must match all of it.
 * @param change Gives the requests for the tables that were read.
 * @throws {NetlinkError} ERESTART when others change the ruleset each time.
 */
export function commitChange(
  connection: Connection,
  filter: TableFilter,
  change: (tables: readonly TableInfo[]) => readonly Request[],
): void {
  for (let attempt = 1;; attempt++) {
    const { tables, generation } = readRuleset(connection, filter);
    try {
      return commit(connection, change(tables), { generation });
    } catch (error) {
      const changed = error instanceof NetlinkError && error.errno === ERRNO.ERESTART;
      if (!changed || attempt === ATTEMPTS) throw error;
    }
  }
}

/** The access to the ruleset that all of these collections share. */
export class Access {
  readonly #netns: NetNsHandle;

  /** For namespaces. */
  constructor(netns: NetNsHandle) {
    this.#netns = netns;
  }

  /** The connection to the namespace. */
  get connection(): Connection {
    return connectionTo(this.#netns.ref, NETLINK.NETFILTER);
  }

  /** Reads the tables that a filter lets through. */
  tables(filter: TableFilter): TableInfo[] {
    const { family, table } = filter;
    if (family !== undefined) familyNumber(family);
    return readRuleset(this.connection, {
      ...(family === undefined ? {} : { family }),
      ...(table === undefined ? {} : { table }),
    }).tables;
  }

  /** The error for a missing object. */
  missing(what: string): NetlinkError {
    const netns = this.#netns.ref.description;
    return new NetlinkError({ operation: `get ${what}`, netns, errno: ERRNO.ENOENT });
  }

  /** Sends the requests of the entries as one batch. */
  commit<T extends object>(
    entries: Many<T>,
    add: (batch: BatchBuilder, entry: T) => void,
    before: readonly Request[] = [],
  ): void {
    const batch = new BatchBuilder(this.#netns.ref);
    batch.add(...before);
    let index = 0;
    convert(entries, (entry) => {
      batch.entry(index++);
      add(batch, entry);
    });
    const total = asArray(entries).length;
    commit(this.connection, batch.requests, { owners: batch.owners, places: batch.places, total });
  }

  /** Prints the entries. */
  inspect(
    title: string,
    list: () => readonly unknown[],
    [inspect, options]: [Inspect, Deno.InspectOptions],
  ): string {
    const { description } = this.#netns.ref;
    return inspectList(description ? `${title} of ${description}` : title, list, inspect, options);
  }
}
