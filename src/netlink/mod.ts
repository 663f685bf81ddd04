/**
 * The netlink protocol: messages, attributes and their schemas, connections, batches, traces.
 *
 * Use it to speak a netlink family that netloom has no module for, or attributes a schema lacks.
 *
 * @example An attribute set of one's own
 * ```ts
 * import { schema, source, u16, u32, Writer } from "@netloom/netloom/netlink";
 * import { assertEquals } from "@std/assert";
 *
 * interface Bandwidth {
 *   rate?: number;
 *   burst?: number;
 * }
 * const bandwidth = schema<Bandwidth>("BW_", { RATE: 1, BURST: 2 }, { rate: u32(1), burst: u16(2) });
 *
 * const writer = new Writer();
 * bandwidth.write(writer, { rate: 1000, burst: 8 });
 * const bytes = writer.bytes.slice(0, writer.length);
 * assertEquals(bandwidth.read(source(bytes), 0, bytes.length), { rate: 1000, burst: 8 });
 * ```
 *
 * @module
 */
export * from "./attribute.ts";
export { byteLength, type Source, source, Writer } from "./bytes.ts";
export { BatchError, type Many } from "./collection.ts";
export * from "./connection.ts";
export * from "./error.ts";
export * from "./message.ts";
export type { Result, Where } from "./outbox.ts";
export {
  type Fields,
  nested,
  type Schema,
  schema,
  type TaggedNest,
  type TaggedSchema,
  taggedSchema,
  type UnknownAttribute,
  unknownAttributes,
} from "./schema.ts";
export {
  KernelSocket,
  type NetlinkSocket,
  type Received,
  Subscription,
  type SubscriptionOptions,
} from "./socket.ts";
export {
  type Batch,
  batch,
  type BatchOptions,
  connectionTo,
  NETNS_DIRECTORY,
  type NetNsHandle,
  netnsPath,
  type NetNsTarget,
  openNamed,
  type ResolvedNetNs,
  resolveNetNs,
} from "./connections.ts";
export { trace, type TraceHandler, type TraceMessage, type TraceOptions } from "./trace.ts";
