/**
 * Watching the requests of a program.
 *
 * @module
 */
import type { KernelError } from "../../ffi/errno.ts";
import { identify, processId, readDirectory } from "../../ffi/file.ts";
import { checkFunction, checkOptions, type OptionNames } from "../options.ts";
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

/** Options of {@link trace}. */
export interface TraceOptions {
  /** Only requests that change the kernel's state, not those that read it. Default: false. */
  readonly changes?: boolean;
}

const OPTIONS: OptionNames<TraceOptions> = { changes: true };

const handlers = new Map<TraceHandler, TraceOptions>();

/**
 * Calls `handler` with every request of this thread, decoded, in the order of sending; also with the
 * creation and the deletion of named namespaces, which are no netlink requests (`ip netns add`). Costs
 * nothing while there is no handler.
 *
 * @param handler Called after each request, also a failed one. It must not throw.
 * @param options Which requests.
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
export function trace(handler: TraceHandler, options: TraceOptions = {}): Disposable {
  checkFunction(handler, "handler");
  checkOptions(options, OPTIONS);
  handlers.set(handler, options);
  return { [Symbol.dispose]: () => void handlers.delete(handler) };
}

/** Whether there is a handler. */
export function tracing(): boolean {
  return handlers.size > 0;
}

/** A value as a shell takes it: names may have any character, and an alias none. */
export function shellWord(value: unknown): string {
  const text = String(value);
  return /^[\w.:/@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Puts `-n NAME` after the name of a program of iproute2's, and others behind `ip netns exec`. */
export function inNetNs(command: string, name: string): string {
  const word = shellWord(name);
  if (!/^(ip|bridge|tc) /.test(command)) return `ip netns exec ${word} ${command}`;
  return command.replace(/^\w+/, (program) => `${program} -n ${word}`);
}

/** The name of a namespace below /run/netns, or a path to it, as `ip link set netns` takes both. */
export function netnsWord(fd: number): string {
  const path = `/proc/${processId()}/fd/${fd}`;
  const wanted = identify(path);
  const name = readDirectory("/run/netns").find((name) => {
    // Another process may have removed the name meanwhile.
    const found = wanted && identify(`/run/netns/${name}`);
    return found !== undefined && found.inode === wanted?.inode && found.device === wanted.device;
  });
  return name === undefined ? path : shellWord(name);
}

/** Calls the handlers for a request. */
export function report(
  request: Request,
  flags: number,
  where: { description: string; netnsName: string | undefined },
  error?: KernelError | NetlinkDecodeError,
): void {
  if (handlers.size === 0) return;
  const command = request.command();
  if (command === "") return; // a part of another request
  tell({
    type: request.typeName,
    operation: request.operation,
    netns: where.description,
    flags,
    message: request.message,
    command: where.netnsName === undefined ? command : inNetNs(command, where.netnsName),
    ...(error ? { error } : {}),
  });
}

/** Calls the handlers for a change that is no netlink request: a name of a namespace. */
export function reportNetNs(verb: "add" | "delete", name: string): void {
  if (handlers.size === 0) return;
  tell({
    type: verb === "add" ? "mount" : "umount",
    operation: `${verb === "add" ? "create" : "delete"} netns ${JSON.stringify(name)}`,
    netns: "",
    flags: 0,
    message: { name },
    command: `ip netns ${verb} ${shellWord(name)}`,
  });
}

function tell(message: TraceMessage): void {
  const reads = /^(RTM|NFT_MSG)_GET/.test(message.type);
  for (const [handler, { changes = false }] of handlers) if (!changes || !reads) handler(message);
}
