/**
 * Watching the requests a program makes.
 *
 * @module
 */
import type { KernelError } from "../../ffi/errno.ts";
import type { NetlinkDecodeError } from "./error.ts";
import type { Request } from "./message.ts";

/** One request and its outcome. */
export interface TraceMessage {
  /** The message type: `RTM_NEWLINK`. */
  readonly type: string;
  /** What it did, on what: `create veth "tap1"`. */
  readonly operation: string;
  /** Where: `netns "ns1"`; empty for the process's own namespace. */
  readonly netns: string;
  /** `NLM_F_*` bits as sent. */
  readonly flags: number;
  /** The body: header fields and attributes. */
  readonly message: object;
  /** The command line with the same effect: `ip -n ns1 link set dev tap1 up`. */
  readonly command: string;
  /** Why the kernel refused it; absent when it did not. */
  readonly error?: KernelError | NetlinkDecodeError;
}

/** Receives each request after the kernel has answered it. */
export type TraceHandler = (message: TraceMessage) => void;

const handlers = new Set<TraceHandler>();

/**
 * Calls `handler` with every request of this thread, decoded, in the order of sending. Costs nothing
 * while there is no handler.
 *
 * @param handler Called after each request, also a failed one. It must not throw.
 * @returns Ends the trace when disposed.
 *
 * @example The commands behind a call
 * ```ts
 * import { Bridge, NetNs, trace } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const commands: string[] = [];
 * using _trace = trace((message) => commands.push(message.command));
 * Bridge.create({ name: "br0", netns, stp: true });
 * assertEquals(commands[0], "ip link add name br0 type bridge stp_state 1");
 * ```
 */
export function trace(handler: TraceHandler): Disposable {
  handlers.add(handler);
  return { [Symbol.dispose]: () => void handlers.delete(handler) };
}

/** Whether anybody watches. */
export function tracing(): boolean {
  return handlers.size > 0;
}

/** A value as a shell takes it: names may have any character, and an alias none. */
export function shellWord(value: unknown): string {
  const text = String(value);
  return /^[\w.:/@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Puts `-n NAME` after the name of a program of iproute2's, and others behind `ip netns exec`. */
function inNetNs(command: string, name: string): string {
  const word = shellWord(name);
  if (!/^(ip|bridge|tc) /.test(command)) return `ip netns exec ${word} ${command}`;
  return command.replace(/^\w+/, (program) => `${program} -n ${word}`);
}

/** Tells the handlers about a request. */
export function report(
  request: Request,
  flags: number,
  where: { description: string; netnsName: string | undefined },
  error?: KernelError | NetlinkDecodeError,
): void {
  if (handlers.size === 0) return;
  const command = request.command();
  const message: TraceMessage = {
    type: request.typeName,
    operation: request.operation,
    netns: where.description,
    flags,
    message: request.message,
    command: where.netnsName === undefined ? command : inNetNs(command, where.netnsName),
    ...(error ? { error } : {}),
  };
  for (const handler of handlers) handler(message);
}
