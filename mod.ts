/**
 * Linux virtual networking from TypeScript: network namespaces, TUN and TAP, veth pairs, bridges,
 * macvlan, ipvlan, macvtap and ipvtap, VLANs, addresses, routes and neighbors over netlink, and packet
 * capture. No compiler, no addon, no `ip`.
 *
 * Calls that change the kernel are synchronous; what waits for packets or events returns a promise.
 * Needs Linux and `--allow-ffi`; creating anything needs root, or namespaces of your own:
 * `unshare -Urmn deno run -A script.ts`.
 *
 * @example Two namespaces on a bridge, and a ping across
 * ```ts
 * import { Bridge, NetNs, Scope, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * await using lab = Scope.open({ signals: true });
 * const hub = NetNs.create(undefined, { scope: lab });
 * const bridge = Bridge.create({ scope: lab, name: "br-test", netns: hub, stp: false, up: true });
 * const hosts = [1, 2].map((n) => {
 *   const netns = NetNs.create(undefined, { scope: lab });
 *   Veth.create({
 *     scope: lab,
 *     name: `tap${n}`,
 *     netns,
 *     up: true,
 *     addresses: [`192.168.123.${n}/24`],
 *     peer: { name: `br-tap${n}`, master: bridge, up: true },
 *   });
 *   return netns;
 * });
 * await lab.ready();
 * const result = await hosts[0]!.ping("192.168.123.2");
 * assertEquals(result.received, 1);
 * ```
 *
 * @module
 */
export {
  KernelError,
  type KernelErrorInit,
  SyscallError,
  type SyscallErrorInit,
} from "./ffi/errno.ts";
export { Fd } from "./ffi/file.ts";
export { NetNsRef, NetNsRestoreError } from "./ffi/namespace.ts";
export {
  type Batch,
  batch,
  type BatchOptions,
  type NetNsHandle,
  type NetNsTarget,
} from "./src/netlink/connections.ts";
export { MissingImportError } from "./src/slot.ts";
export { BatchError, type Many } from "./src/netlink/collection.ts";
export type { Result } from "./src/netlink/outbox.ts";
export {
  DumpInterruptedError,
  type ExtendedAck,
  NetlinkDecodeError,
  NetlinkError,
} from "./src/netlink/error.ts";
export {
  trace,
  type TraceHandler,
  type TraceMessage,
  type TraceOptions,
} from "./src/netlink/trace.ts";
/** Requests as data: what the typed links and namespaces send, and {@link batch} takes. */
export * as rtnetlink from "./src/rtnetlink/mod.ts";
export * from "./src/scope/mod.ts";
export * from "./src/device/mod.ts";
export * from "./src/capture/mod.ts";
export * from "./src/link/mod.ts";
export * from "./src/netns/mod.ts";
export * from "./src/observe/mod.ts";
