/**
 * The ways to name a network namespace, and the connections of a thread: one for each namespace reference
 * and netlink family, opened at first use and closed with the reference. And many requests in one send.
 *
 * @module
 */
import { ERRNO, SyscallError, withHint } from "../../ffi/errno.ts";
import { hasOwnProc, readDirectory } from "../../ffi/file.ts";
import { currentNetNs, NetNsRef, openNetNs } from "../../ffi/namespace.ts";
import { byteLength } from "./bytes.ts";
import { Connection, type Requests } from "./connection.ts";
import { type DumpRequest, NETLINK, type Request } from "./message.ts";
import type { Result } from "./outbox.ts";
import { KernelSocket } from "./socket.ts";
import { checkFunction, checkOptions, nearest, type OptionNames, show } from "../options.ts";

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

  /** As {@link Connection.transaction}; refuses when the reference is closed. */
  override transaction(requests: readonly Request[]): Result<unknown>[] {
    this.#netns.check(requests[0]?.operation);
    return super.transaction(requests);
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
 * @param netns The namespace; default: the current one.
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
  /** Where to send it; default: the current namespace. */
  readonly netns?: NetNsHandle;
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
 * @throws {TypeError} For a `build` that is no function, and a `netns` that is no handle.
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
  checkFunction(build, "build");
  checkOptions(options, BATCH_OPTIONS);
  const { netns } = options;
  if (netns !== undefined && !isNetNsHandle(netns)) {
    throw new TypeError(`netns must be a NetNs, as NetNs.open() gives it: got ${show(netns)}`);
  }
  return connectionTo(netns?.ref).batch((add) => build({ add }));
}

/** Where named namespaces live, as `ip netns` has them. */
export const NETNS_DIRECTORY = "/run/netns";

/** Something that has a namespace reference: a `NetNs`. */
export interface NetNsHandle {
  /** The reference the lower layers work with. */
  readonly ref: NetNsRef;
}

/** A namespace: a handle, a name below /run/netns, a process in it, or a path such as /proc/42/ns/net. */
export type NetNsTarget =
  | NetNsHandle
  | { readonly name: string }
  | { readonly pid: number }
  | { readonly path: string };

/** A namespace reference, and whether the one who asked has to close it. */
export interface ResolvedNetNs {
  /** The reference. */
  readonly ref: NetNsRef;
  /** Opened for the asker, who closes it. */
  readonly owned: boolean;
}

const TARGET = { name: true, pid: true, path: true };

function isNetNsHandle(target: unknown): target is NetNsHandle {
  return (target as Partial<NetNsHandle> | null)?.ref instanceof NetNsRef;
}

/** The object in whose place a word or a number was given. */
function meant(target: unknown): string {
  if (typeof target === "number") return `; did you mean { pid: ${target} }?`;
  if (typeof target !== "string" || target === "") return "";
  return `; did you mean { ${target.includes("/") ? "path" : "name"}: ${show(target)} }?`;
}

/** Finds or opens the namespace; default: the current one. */
export function resolveNetNs(target?: NetNsTarget): ResolvedNetNs {
  if (target === undefined) return { ref: currentNetNs(), owned: false };
  if (typeof target !== "object" || target === null) {
    throw new TypeError(
      `netns must be a NetNs, { name }, { pid } or { path }: got ${show(target)}${meant(target)}`,
    );
  }
  if (isNetNsHandle(target)) return { ref: target.ref, owned: false };
  checkOptions(target, TARGET, "netns");
  if (Object.keys(target).length !== 1) {
    throw new TypeError(`netns must have one of name, pid and path: got ${show(target)}`);
  }
  if ("pid" in target) {
    const { pid } = target;
    if (!Number.isInteger(pid) || pid <= 0) {
      throw new TypeError(`netns.pid must be a process id: got ${show(pid)}`);
    }
    return { ref: openOfProcess(pid), owned: true };
  }
  if ("path" in target) {
    const { path } = target;
    if (typeof path !== "string" || path === "") {
      throw new TypeError(`netns.path must be a path: got ${show(path)}`);
    }
    return { ref: openChecked(path, `netns ${show(path)}`, "is no namespace"), owned: true };
  }
  return { ref: openNamed(target.name), owned: true };
}

function openOfProcess(pid: number): NetNsRef {
  if (!hasOwnProc()) {
    throw new SyscallError(`open netns of process ${pid}`, {
      syscall: "open",
      errno: ERRNO.ESRCH,
      object: `/proc/${pid}/ns/net`,
      hint:
        "/proc shows another pid namespace, in which the number is another process: mount the " +
        "right one (unshare --mount-proc), or give { path }",
    });
  }
  try {
    return openNetNs(`/proc/${pid}/ns/net`, `netns of process ${pid}`);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (error.errno === ERRNO.ENOENT) throw withHint(error, "there is no such process");
    if (error.errno !== ERRNO.EACCES && error.errno !== ERRNO.EPERM) throw error;
    throw withHint(error, "the process is another user's, or has more privileges: run as root");
  }
}

/** Opens a namespace by its name below /run/netns. */
export function openNamed(name: string): NetNsRef {
  try {
    // A crash between making the file and mounting on it leaves a plain file.
    return openChecked(netnsPath(name), `netns ${show(name)}`, "is stale", name);
  } catch (error) {
    if (!(error instanceof SyscallError) || error.errno !== ERRNO.ENOENT) throw error;
    const near = nearest(name, readDirectory(NETNS_DIRECTORY));
    if (near === undefined) throw error;
    throw withHint(error, `did you mean ${show(near)}?`);
  }
}

function openChecked(path: string, description: string, flaw: string, name?: string): NetNsRef {
  const ref = openNetNs(path, description, name);
  if (ref.inode) return ref;
  ref.close();
  throw new SyscallError(`open ${description}`, {
    syscall: "setns",
    errno: ERRNO.EINVAL,
    hint: `${path} ${flaw}`,
  });
}

/** Whether a namespace can have this name: it becomes that of a file below /run/netns. */
export function isNetNsName(name: unknown): name is string {
  // deno-lint-ignore no-control-regex
  return typeof name === "string" && /^[^/\x00]+$/.test(name) && name !== "." && name !== ".." &&
    byteLength(name) <= 255;
}

/** The path of a named namespace; the name cannot lead out of the directory. */
export function netnsPath(name: string): string {
  if (!isNetNsName(name)) {
    throw new TypeError(
      `A netns name has 1 to 255 bytes without "/" and is not "." or "..": got ${show(name)}`,
    );
  }
  return `${NETNS_DIRECTORY}/${name}`;
}
