/**
 * The connections of a thread, one for each namespace reference and netlink family: opened at first use and
 * closed with the reference. And many requests in one send over them.
 *
 * @module
 */
import { currentNetNs, type NetNsRef } from "../../ffi/namespace.ts";
import { Connection, type Requests } from "./connection.ts";
import { NETLINK } from "./constants.ts";
import type { DumpRequest, Request } from "./message.ts";
import type { Result } from "./outbox.ts";
import { KernelSocket } from "./socket.ts";
import { checkOptions, type OptionNames } from "../options.ts";

/** A connection that lives as long as the reference it belongs to. */
class NetNsConnection extends Connection {
  readonly #netns: NetNsRef;

  constructor(netns: NetNsRef, protocol: number) {
    super(() => new KernelSocket(netns, protocol), netns);
    this.#netns = netns;
  }

  /** As {@link Connection.batch}; refuses when the reference is closed. */
  override batch(requests: Requests): Result<unknown>[] {
    if (this.#netns.fd.closed) this.#netns.check(firstOf(requests)?.operation);
    return super.batch(requests);
  }

  /** As {@link Connection.dump}; refuses when the reference is closed. */
  override dump<T>(request: DumpRequest<T>): T[] {
    this.#netns.check(request.operation);
    return super.dump(request);
  }
}

function firstOf(requests: Requests): Request | undefined {
  if (typeof requests !== "function") return requests[0];
  let first: Request | undefined;
  requests((request) => void (first ??= request));
  return first;
}

const connections = new WeakMap<NetNsRef, Map<number, Connection>>();

/**
 * The connection for a namespace; the caller must not close it. With a closed reference each request
 * throws a `TypeError` that names the operation and the namespace.
 *
 * @param netns The namespace; default: the one calls land in now.
 * @param protocol The netlink family; default: rtnetlink.
 */
export function connectionTo(
  netns: NetNsRef = currentNetNs(),
  protocol: number = NETLINK.ROUTE,
): Connection {
  let own = connections.get(netns);
  const known = own?.get(protocol);
  if (known) return known;
  const connection = new NetNsConnection(netns, protocol);
  if (netns.fd.closed) return connection;
  if (!own) connections.set(netns, own = new Map());
  own.set(protocol, connection);
  netns.onClose(() => {
    own.delete(protocol);
    connection.close();
  });
  return connection;
}

/** Collects the requests of a batch. */
export interface Batch {
  /** Appends a request; its result has the same index as the request. */
  add(request: Request): void;
}

/** Options of {@link batch}. */
export interface BatchOptions {
  /** Where to send it; default: the namespace calls land in now. */
  readonly netns?: { readonly ref: NetNsRef };
}

const BATCH_OPTIONS: OptionNames<BatchOptions> = { netns: true };

/**
 * Sends many requests with few system calls, 128 messages in one send, and returns one result for
 * each, in the order they were added. It is not a transaction: the kernel goes on after a refused
 * request, and so does the batch. Bad input in any of them throws before the first is sent.
 *
 * @param build Adds the requests.
 * @param options Where to send them.
 * @returns For each request `{ ok: true, value }` or `{ ok: false, error }`.
 *
 * @example Two hundred neighbors at once
 * ```ts
 * import { batch, NetNs, rtnetlink, Veth } from "@netloom/netloom";
 * import { assert } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const veth = Veth.create({ name: "v0", netns, peer: { name: "v1", netns }, up: true });
 * const results = batch((b) => {
 *   for (let i = 1; i <= 200; i++) {
 *     b.add(rtnetlink.newNeighbor({
 *       index: veth.index,
 *       address: `10.0.0.${i}`,
 *       lladdr: "02:00:00:00:00:01",
 *       state: "permanent",
 *     }));
 *   }
 * }, { netns });
 * assert(results.every((result) => result.ok));
 * ```
 */
export function batch(
  build: (batch: Batch) => void,
  options: BatchOptions = {},
): Result<unknown>[] {
  checkOptions(options, BATCH_OPTIONS);
  const connection = connectionTo(options.netns?.ref ?? currentNetNs());
  return connection.batch((add) => build({ add }));
}
