/**
 * Many requests in one send.
 *
 * @module
 */
import { currentNetNs, type NetNsRef } from "../../ffi/namespace.ts";
import type { Result } from "./outbox.ts";
import { connectionTo } from "./connections.ts";
import type { Request } from "./message.ts";

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
  const connection = connectionTo(options.netns?.ref ?? currentNetNs());
  return connection.batch((add) => build({ add }));
}
