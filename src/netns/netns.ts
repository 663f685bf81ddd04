/**
 * Network namespaces.
 *
 * @module
 */
import { readDirectory } from "../../ffi/file.ts";
import {
  currentNetNs,
  homeNetNs,
  type NetNsRef,
  newNetNs,
  openNetNs,
  within,
} from "../../ffi/namespace.ts";
import { type Capture, type CaptureOptions, openCapture } from "../capture/capture.ts";
import { type Batch, batch } from "../netlink/batch.ts";
import type { Result } from "../netlink/outbox.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NETNS_DIRECTORY, netnsPath, type NetNsTarget, resolveNetNs } from "../netlink/target.ts";
import { type Monitor, monitor, type MonitorOptions } from "../observe/monitor.ts";
import { setLink, upFlags } from "../rtnetlink/link.ts";
import { holders } from "../scope/holders.ts";
import { giveName, isNamed, removeName } from "../scope/named_netns.ts";
import { nsidOf } from "../scope/nsid.ts";
import { RemovalWatch } from "../scope/removal.ts";
import type { Scope } from "../scope/scope.ts";
import { NetNsCommand, type NetNsCommandOptions } from "./command.ts";
import { fetchWithin, requireIp } from "./fetch.ts";
import { ping, type PingOptions, type PingResult } from "./ping.ts";
import { sysctl } from "./sysctl.ts";
import {
  type AddressTable,
  addressTable,
  type LinkTable,
  linkTable,
  type NeighborTable,
  neighborTable,
  type RouteTable,
  routeTable,
} from "./tables.ts";
import { checkOptions, show } from "../options.ts";

/** Options of {@link NetNs.create}. */
export interface NetNsCreateOptions {
  /** The owner: removes the namespace with everything else it owns. */
  readonly scope?: Scope;
  /** Brings the loopback link up. Default: true. */
  readonly loopback?: boolean;
}

const CREATE_OPTIONS = { scope: true, loopback: true };

/** A result that settles later: what must not leave a synchronous bracket. */
export type NotPromise<T> = T extends PromiseLike<unknown> ? never : T;

/**
 * A network namespace: a handle that owns it, or borrows it.
 *
 * @example One without a name, gone at the end of the block
 * ```ts
 * import { NetNs } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * assertEquals(netns.links.list().map((link) => link.name), ["lo"]);
 * ```
 */
export class NetNs implements Disposable, AsyncDisposable {
  /** What lower layers work with. */
  readonly ref: NetNsRef;
  #owned: boolean;

  private constructor(ref: NetNsRef, owned: boolean) {
    this.ref = ref;
    this.#owned = owned;
  }

  /**
   * Makes a namespace.
   *
   * @param name Its name below /run/netns, as `ip netns add` gives it; without it the namespace lives as
   * long as something holds it. A stale file of that name, left by a crash, is replaced.
   * @param options Owner and loopback.
   * @returns The owning handle. Without `using` or a scope a named namespace stays.
   * @throws {SyscallError} EEXIST when the name is taken, EPERM without privileges.
   * @throws {TypeError} For a name that is empty, longer than 255 bytes, contains `/`, or is `.` or `..`.
   *
   * @example A named one, visible to `ip netns`
   * ```ts
   * import { NetNs } from "@netloom/netloom";
   * import { assert } from "@std/assert";
   *
   * using blue = NetNs.create("netloom-doc");
   * assert(NetNs.list().includes("netloom-doc"));
   * ```
   */
  static create(name?: string, options: NetNsCreateOptions = {}): NetNs {
    checkOptions(options, CREATE_OPTIONS);
    const { scope, loopback = true } = options;
    if (name !== undefined) netnsPath(name);
    const ref = newNetNs(name === undefined ? "new netns" : `netns ${show(name)}`, name);
    let named = false;
    try {
      if (loopback) connectionTo(ref).request(setLink({ index: 1, ...upFlags(true) }, 'link "lo"'));
      if (name !== undefined) giveName(name, ref, () => scope?.expectNetNs(name));
      named = name !== undefined;
      scope?.addNetNs(ref);
      return new NetNs(ref, true);
    } catch (error) {
      ref.close();
      if (named) removeName(name!);
      throw error;
    }
  }

  /**
   * Opens a namespace.
   *
   * @param target Its name, or a process in it, a path, or another handle.
   * @returns A borrowed handle: disposing it leaves the namespace alone.
   * @throws {SyscallError} ENOENT when there is none, EACCES when it is another user's.
   */
  static open(target: string | NetNsTarget): NetNs {
    // Without a target this is not NetNs.current().
    const named = typeof target === "string" ? { name: target } : target ?? null;
    const { ref, owned } = resolveNetNs(named);
    return new NetNs(owned ? ref : duplicate(ref), false);
  }

  /** Opens the namespace calls land in now. Returns a borrowed handle. */
  static current(): NetNs {
    return new NetNs(duplicate(currentNetNs()), false);
  }

  /** The names below /run/netns, sorted; those of `ip netns list`. */
  static list(): string[] {
    return readDirectory(NETNS_DIRECTORY).sort();
  }

  /** Whether a namespace of this name exists. */
  static exists(name: string): boolean {
    return isNamed(name);
  }

  /**
   * Removes a name, as `ip netns delete` does. The namespace itself lives on while something holds it.
   *
   * @throws {TypeError} For a malformed name.
   * @returns `false` when there was none.
   */
  static delete(name: string): boolean {
    return removeName(name);
  }

  /** Its name below /run/netns, when it was reached by that. */
  get name(): string | undefined {
    return this.ref.netnsName;
  }

  /** The namespace's inode number: its identity, as in `ls -i /run/netns`. */
  get inode(): number {
    return this.ref.inode;
  }

  /** Whether disposing the handle removes the namespace. */
  get owned(): boolean {
    return this.#owned;
  }

  /**
   * The id by which this namespace knows another: what a link's `linkNetnsId` refers to. Given by the
   * kernel when there is none yet.
   */
  idOf(other: NetNs): number {
    return nsidOf(this.ref, other.ref);
  }

  /** Processes with a thread in the namespace, ascending, as in `ip netns pids`. */
  pids(): number[] {
    return holders(this.inode);
  }

  /** Its links. */
  get links(): LinkTable {
    return linkTable(this);
  }

  /** Its IP addresses. */
  get addresses(): AddressTable {
    return addressTable(this);
  }

  /** Its routes. */
  get routes(): RouteTable {
    return routeTable(this);
  }

  /** Its neighbors: what ARP and neighbor discovery have found. */
  get neighbors(): NeighborTable {
    return neighborTable(this);
  }

  /** Sends many requests at once; see {@link batch}. */
  batch(build: (batch: Batch) => void): Result<unknown>[] {
    return batch(build, { netns: this });
  }

  /** Follows changes of links, addresses, routes and neighbors; see {@link monitor}. */
  monitor(options: Omit<MonitorOptions, "netns"> = {}): Monitor {
    return monitor({ ...options, netns: this });
  }

  /**
   * Captures the frames of all its links, from this call on, as {@link Link.capture} does those of one. A
   * link's name in {@link Frame.interface} is the one it has when its first frame is read.
   *
   * @param options Filter, snap length, direction, until when; not `promiscuous`.
   * @throws {SyscallError} EPERM without CAP_NET_RAW.
   * @throws {TypeError} For malformed options.
   * @throws {RangeError} For numbers out of range.
   */
  capture(options: Omit<CaptureOptions, "promiscuous"> = {}): Capture {
    return openCapture(this.ref, undefined, options);
  }

  /**
   * Reads or writes a kernel setting of this namespace.
   *
   * @param name As `sysctl` has it: `net.ipv4.ip_forward`; a dot inside a link's name is written `/`.
   * @param value What to write; without it the setting is only read.
   * @returns The setting afterwards, without the closing newline.
   * @throws {SyscallError} ENOENT when there is no such setting.
   * @throws {TypeError} For a name outside `net.`.
   */
  sysctl(name: string, value?: string | number): string {
    return sysctl(this.ref, name, value);
  }

  /**
   * Runs a function in the namespace: sockets and devices it opens belong to the namespace, links it
   * makes too. Synchronous: whatever continues later runs outside again, so a promise is refused.
   *
   * @param fn The function.
   * @returns What it returns.
   * @throws {TypeError} When it returns a promise. Use {@link NetNs.start} for calls such as
   * `Deno.connect`, and {@link NetNs.worker} for a whole module.
   * @throws {NetNsRestoreError} When the thread cannot return: end the program then.
   */
  run<T>(fn: () => NotPromise<T>): T {
    const result = within<T>(this.ref, fn as () => T);
    if (typeof (result as { then?: unknown } | undefined)?.then === "function") {
      // It will never be waited for: its failure is not to end the program on top of this.
      (result as unknown as Promise<unknown>).then(undefined, () => {});
      throw new TypeError(
        "NetNs.run() takes a synchronous function: what follows an await runs outside the netns. " +
          "Use start() for a call that fixes its netns at once, worker() for a module",
      );
    }
    return result;
  }

  /**
   * Starts one of the calls that fix their namespace at the call and settle later: `Deno.connect`,
   * `Deno.listen`, `Deno.serve` and `fetch` to an IP address, `Deno.Command`. Not for DNS names,
   * `node:net`, or functions with an `await` of their own.
   */
  start<T>(fn: () => T): T {
    return within(this.ref, fn);
  }

  /**
   * A program to run in the namespace, as `ip netns exec` does: /sys shows this namespace, and files in
   * /etc/netns/NAME stand in for those in /etc. A program that is not there is exit code 127, with the
   * reason in `stderr`; with `mounts: false` it is `Deno.errors.NotFound`. Takes `--allow-run`.
   *
   * @example Asking another program
   * ```ts
   * import { NetNs } from "@netloom/netloom";
   * import { assertEquals } from "@std/assert";
   *
   * using netns = NetNs.create();
   * const { stdout } = netns.command("ls", { args: ["/sys/class/net"] }).outputSync();
   * assertEquals(new TextDecoder().decode(stdout), "lo\n");
   * ```
   */
  command(command: string | URL, options: NetNsCommandOptions = {}): NetNsCommand {
    return new NetNsCommand(this.ref, command, options);
  }

  /**
   * Starts a worker that is born in the namespace with all its threads: everything in it lands there,
   * `node:net` and asynchronous file operations included. Takes `--allow-read` for a local module.
   *
   * Deno closes nothing that FFI has opened when a worker ends: when its module calls netloom, the
   * namespace lives until the process ends.
   */
  worker(specifier: string | URL, options: Omit<WorkerOptions, "type"> = {}): Worker {
    return within(this.ref, () => new Worker(specifier, { ...options, type: "module" }));
  }

  /** `Deno.listen` in the namespace. Takes `--allow-net`. */
  listen(options: Deno.TcpListenOptions): Deno.TcpListener {
    return within(this.ref, () => Deno.listen({ ...options, transport: "tcp" }));
  }

  /** `Deno.connect` in the namespace; `hostname` is an IP address. Takes `--allow-net`. */
  async connect(options: Deno.ConnectOptions): Promise<Deno.TcpConn> {
    requireIp(options.hostname ?? "127.0.0.1");
    return await within(this.ref, () => Deno.connect({ ...options, transport: "tcp" }));
  }

  /** `Deno.serve` in the namespace. Takes `--allow-net`. */
  serve(
    options: Deno.ServeTcpOptions,
    handler: Deno.ServeHandler<Deno.NetAddr>,
  ): Deno.HttpServer<Deno.NetAddr> {
    return within(this.ref, () => Deno.serve(options, handler));
  }

  /**
   * `fetch` from the namespace; the host in the URL, and in those it redirects to, is an IP address.
   * Every request has a connection of its own. Why one failed is in the error's `cause`. Takes
   * `--allow-net`.
   */
  fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    return fetchWithin(this.ref, input, init);
  }

  /**
   * Sends ICMP echo requests, IPv4 or IPv6, over a raw socket: no `ping` program, and no privileges
   * beyond those of making namespaces.
   *
   * @param address The IP address; a link-local one with the link's index as zone: `fe80::1%2`.
   * @param options Count, interval, timeout, size, signal.
   * @returns Statistics, also when nothing came back.
   * @throws {SyscallError} ENETUNREACH when there is no route.
   * @throws {TypeError} For a malformed address or option.
   */
  ping(address: string, options: PingOptions = {}): Promise<PingResult> {
    return ping(this.ref, address, options);
  }

  /** Gives ownership up: a named namespace stays when the handle is disposed. */
  persist(): this {
    this.#owned = false;
    return this;
  }

  /** Removes the namespace if the handle owns it, and closes the handle. A second call does nothing. */
  [Symbol.dispose](): void {
    if (this.ref.fd.closed) return;
    if (this.#owned && this.name !== undefined) removeName(this.name, this.inode);
    this.ref.close();
  }

  /** As `using`, and waits until an owned namespace is gone, which the kernel does up to 0.4 s later. */
  async [Symbol.asyncDispose](): Promise<void> {
    using watch = new RemovalWatch();
    if (this.#owned && !this.ref.fd.closed) watch.add(this.ref);
    this[Symbol.dispose]();
    await watch.wait();
  }

  /** Prints the handle as `netns "blue"`. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.ref.description || `netns ${this.inode}`;
  }
}

/** A reference of its own to the same namespace. */
function duplicate(ref: NetNsRef): NetNsRef {
  const description = ref === homeNetNs() ? "" : ref.description;
  return openNetNs(`/proc/self/fd/${ref.fd.value}`, description, ref.netnsName);
}
