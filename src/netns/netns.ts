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
  requireStack,
  within,
} from "../../ffi/namespace.ts";
import {
  connectionTo,
  NETNS_DIRECTORY,
  netnsPath,
  type NetNsTarget,
  resolveNetNs,
} from "../netlink/connections.ts";
import { setLink, upFlags } from "../rtnetlink/link.ts";
import { giveName, holders, isNamed, nameHandle, removeName, undone } from "../scope/namespaces.ts";
import { dropNetNs, nsidOf, RemovalWatch } from "../scope/removal.ts";
import { type Scope, scopes } from "../scope/scope.ts";
import { NetNsCommand, type NetNsCommandOptions, type NotPromise, runIn, startIn } from "./run.ts";
import { checkDenoOptions, fetchWithin, requireIp } from "./fetch.ts";
import type { DrawOptions } from "../view/options.ts";
import { pictures } from "../slot.ts";
import { NetNsNetwork } from "./network.ts";
import {
  atCaller,
  boolean,
  checkFunction,
  checkOptions,
  type OptionNames,
  show,
} from "../options.ts";

/** Options of {@link NetNs.create}. */
export interface NetNsCreateOptions {
  /**
   * Its name below /run/netns, as `ip netns add` gives it. A stale file of that name, left by a crash, is
   * replaced. Default: no name; the namespace lives as long as something holds it.
   */
  readonly name?: string;
  /** The owner: removes the namespace with everything else it owns. */
  readonly scope?: Scope;
  /** Brings the loopback link up. Default: true. */
  readonly loopback?: boolean;
}

const CREATE_OPTIONS: OptionNames<NetNsCreateOptions> = {
  name: true,
  scope: true,
  loopback: true,
};

export type { NotPromise } from "./run.ts";

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
export class NetNs extends NetNsNetwork implements Disposable, AsyncDisposable {
  /** What lower layers work with. */
  override readonly ref: NetNsRef;
  #owned: boolean;

  private constructor(ref: NetNsRef, owned: boolean) {
    super();
    this.ref = ref;
    this.#owned = owned;
  }

  /**
   * Creates a namespace.
   *
   * @param options Name, owner and loopback.
   * @returns The owning handle. Without `using` or a scope a named namespace stays.
   * @throws {SyscallError} EEXIST when the name is taken, EPERM without privileges.
   * @throws {TypeError} For a name that is empty, longer than 255 bytes, contains `/`, or is `.` or `..`.
   *
   * @example A named one, visible to `ip netns`
   * ```ts
   * import { NetNs } from "@netloom/netloom";
   * import { assert } from "@std/assert";
   *
   * using blue = NetNs.create({ name: "netloom-doc" });
   * assert(NetNs.list().includes("netloom-doc"));
   * ```
   */
  static create(options?: NetNsCreateOptions): NetNs;
  /** The short form: `NetNs.create("blue", { scope })` is `NetNs.create({ name: "blue", scope })`. */
  static create(name?: string, options?: Omit<NetNsCreateOptions, "name">): NetNs;
  static create(
    first?: string | NetNsCreateOptions,
    second: Omit<NetNsCreateOptions, "name"> = {},
  ): NetNs {
    return atCaller(NetNs.create, () => NetNs.#create(createOptions(first, second)));
  }

  static #create(options: NetNsCreateOptions): NetNs {
    const { name, scope, loopback = true } = options;
    boolean(loopback, "loopback");
    if (scope !== undefined) scopes.check(scope);
    requireStack(600); // nothing is left half-made where the stack is full
    const ref = newNetNs(name === undefined ? undefined : `netns ${show(name)}`, name);
    let named = false;
    try {
      // Recorded before it has a name: whenever the program is killed, nothing is left unrecorded.
      if (scope) scopes.addNetNs(scope, ref);
      if (name !== undefined) giveName(name, ref);
      named = name !== undefined;
      if (loopback) connectionTo(ref).request(setLink({ index: 1, ...upFlags(true) }, 'link "lo"'));
      return new NetNs(ref, true);
    } catch (error) {
      throw undone(error, () => {
        if (named) removeName(name!, ref);
        if (scope) scopes.dropNetNs(scope, ref);
        ref.close();
      });
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
    return atCaller(NetNs.open, () => {
      const { ref, owned } = resolveNetNs(named);
      return NetNs.#borrowed(owned ? ref : duplicate(ref));
    });
  }

  /**
   * Opens the current namespace: inside `run()` that of `run()`.
   *
   * @returns A borrowed handle.
   */
  static current(): NetNs {
    return NetNs.#borrowed(duplicate(currentNetNs()));
  }

  static #borrowed(ref: NetNsRef): NetNs {
    nameHandle(ref, () => "a NetNs handle");
    return new NetNs(ref, false);
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

  /**
   * The namespace's identity, `SO_NETNS_COOKIE`: the kernel gives it to no other one until the machine
   * restarts. Linux 5.14.
   */
  get cookie(): bigint {
    return this.ref.cookie;
  }

  /**
   * The namespace's inode number, as in `ls -i /run/netns`. Another namespace can have it as soon as this
   * one is gone: {@link NetNs.cookie} is the identity.
   */
  get inode(): number {
    return this.ref.inode;
  }

  /** Whether disposing the handle removes the namespace. */
  get owned(): boolean {
    return this.#owned;
  }

  /**
   * The id by which this namespace knows another, as in a link's `linkNetnsId`; given if there is none.
   *
   * @param other The other namespace.
   * @returns The id, 0 or above.
   * @throws {NetlinkError} EPERM without privileges in this namespace, where it has to give an id.
   * @throws {TypeError} When one of the two handles is closed.
   */
  idOf(other: NetNs): number {
    return nsidOf(this.ref, other.ref);
  }

  /**
   * Draws the namespace with its links and addresses; needs `import "@netloom/netloom/view"`. `draw()` of that
   * entry point draws several.
   *
   * @param options Format, colors and layout; default: SVG.
   * @returns The text of the picture.
   * @throws {MissingImportError} Without that import.
   * @throws {NetlinkError} When the namespace cannot be read.
   *
   * @example A namespace as Mermaid
   * ```ts
   * import "@netloom/netloom/view";
   * import { NetNs, Veth } from "@netloom/netloom";
   * import { assertStringIncludes } from "@std/assert";
   *
   * using netns = NetNs.create();
   * Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
   * assertStringIncludes(await netns.draw({ format: "mermaid" }), "v0");
   * ```
   */
  draw(options: DrawOptions = {}): Promise<string> {
    return pictures.partFor("netns.draw()").draw(this, options);
  }

  /** Processes with a thread in the namespace, ascending, as in `ip netns pids`. */
  pids(): number[] {
    return holders(this.#open("list processes"));
  }

  /**
   * Runs a function in the namespace: sockets, devices and links that it creates belong to the namespace.
   * The function is synchronous: code after an `await` would run outside again.
   *
   * Asynchronous calls of Deno inside it, such as `Deno.readTextFile`, are no part of the namespace: they
   * run on a pool of threads. When one has added a thread to the pool, which stays in the namespace for
   * some seconds, a warning on standard error says so.
   *
   * @param fn The function.
   * @returns The function's result.
   * @throws {TypeError} When it is no function, an async one, or returns a promise. Use {@link NetNs.start} for
   * calls such as `Deno.connect`, and {@link NetNs.worker} for a whole module.
   * @throws {NetNsRestoreError} When the thread cannot return: end the program then.
   */
  run<T>(fn: () => NotPromise<T>): T {
    return runIn(this.#open("run"), fn as () => T);
  }

  /**
   * Starts one of the calls that fix their namespace at the call and settle later: `Deno.connect`,
   * `Deno.listen`, `Deno.serve` and `fetch` to an IP address, `Deno.Command`. Not for DNS names,
   * `node:net`, files or `crypto.subtle`, which run on a pool of threads: see {@link NetNs.run}.
   *
   * @param fn The function; not an async one.
   * @returns The function's result, mostly a promise.
   * @throws {TypeError} When it is no function, or an async one: the code after its `await` runs outside the
   * namespace.
   */
  start<T>(fn: () => T): T {
    return startIn(this.#open("start"), fn);
  }

  /**
   * A program to run in the namespace, as `ip netns exec` does: /sys shows this namespace, and files in
   * /etc/netns/NAME stand in for those in /etc. A program that is not there is exit code 127, with the
   * reason in `stderr`; with `mounts: false` it is `Deno.errors.NotFound`. Takes `--allow-run`.
   *
   * @param command The program: its name or its path.
   * @param options Arguments, environment and the like, as of `Deno.Command`, and `mounts`.
   * @returns The command, which `output()`, `outputSync()` or `spawn()` starts.
   * @throws {TypeError} For an unknown option, and when the handle is closed.
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
    return new NetNsCommand(this.#open("command"), command, options);
  }

  /**
   * Starts a worker that is born in the namespace with all its threads: everything in it lands there,
   * `node:net` and asynchronous file operations included. Takes `--allow-read` for a local module.
   *
   * Deno closes nothing that FFI has opened when a worker ends: when its module calls netloom, the
   * namespace lives until the process ends.
   *
   * @param specifier The URL of the module.
   * @param options A name and permissions, as of `Worker`.
   * @returns The worker.
   * @throws {TypeError} For an unknown option, and when the handle is closed.
   */
  worker(specifier: string | URL, options: Omit<WorkerOptions, "type"> = {}): Worker {
    checkDenoOptions(options, "worker");
    return within(
      this.#open("worker"),
      () => new Worker(specifier, { ...options, type: "module" }),
    );
  }

  /**
   * `Deno.listen` in the namespace. Takes `--allow-net`.
   *
   * @param options Address and port, as of `Deno.listen`; of TCP.
   * @returns The listener.
   * @throws {Deno.errors.AddrInUse} When another socket of the namespace has the port.
   * @throws {TypeError} For an unknown option, another transport than TCP, and when the handle is closed.
   */
  listen(options: Deno.TcpListenOptions & { transport?: "tcp" }): Deno.TcpListener {
    checkDenoOptions(options, "listen");
    return within(this.#open("listen"), () => Deno.listen({ ...options, transport: "tcp" }));
  }

  /**
   * `Deno.connect` in the namespace; `hostname` is an IP address. Takes `--allow-net`.
   *
   * @param options Address and port, as of `Deno.connect`; of TCP.
   * @returns The connection.
   * @throws {Deno.errors.ConnectionRefused} When nothing listens there.
   * @throws {TypeError} For an unknown option, another transport than TCP, a host that is no IP address, and
   * when the handle is closed.
   */
  async connect(options: Deno.ConnectOptions): Promise<Deno.TcpConn> {
    checkDenoOptions(options, "connect");
    requireIp(options.hostname ?? "127.0.0.1");
    return await within(
      this.#open("connect"),
      () => Deno.connect({ ...options, transport: "tcp" }),
    );
  }

  /**
   * `Deno.serve` in the namespace. Takes `--allow-net`.
   *
   * @param options Address and port, as of `Deno.serve`; of TCP.
   * @param handler Answers a request.
   * @returns The server.
   * @throws {Deno.errors.AddrInUse} When another socket of the namespace has the port.
   * @throws {TypeError} For an unknown option, another transport than TCP, a `handler` that is no function,
   * and when the handle is closed.
   */
  serve(
    options: Deno.ServeTcpOptions,
    handler: Deno.ServeHandler<Deno.NetAddr>,
  ): Deno.HttpServer<Deno.NetAddr> {
    checkDenoOptions(options, "serve");
    checkFunction(handler, "handler");
    return within(this.#open("serve"), () => Deno.serve(options, handler));
  }

  /**
   * `fetch` from the namespace; the host in the URL, and in those it redirects to, is an IP address.
   * Every request has a connection of its own. Why one failed is in the error's `cause`. Takes
   * `--allow-net`.
   *
   * @param input The URL, or a request.
   * @param init Method, headers, body and the like, as of `fetch`.
   * @returns The response.
   * @throws {TypeError} For an unknown option, a host that is no IP address, and a request that failed.
   */
  fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    return fetchWithin(this.#open("fetch"), input, init);
  }

  /** Gives ownership up: a named namespace stays when the handle is disposed. */
  persist(): this {
    this.#owned = false;
    return this;
  }

  /** Removes the namespace if the handle owns it, and closes the handle. A second call does nothing. */
  [Symbol.dispose](): void {
    if (this.ref.fd.closed) return;
    // Before it closes: when this throws, the handle can be disposed again.
    if (this.#owned && this.name !== undefined) removeName(this.name, this.ref);
    if (this.#owned) dropNetNs(this.ref);
    else this.ref.close();
  }

  /**
   * As `using`, and waits until an owned namespace is gone, which takes the kernel a moment. TCP connections
   * that no program has open any more are destroyed.
   *
   * @throws {ScopeError} When something keeps the namespace, naming it.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.ref.fd.closed) return;
    if (!this.#owned) return this[Symbol.dispose]();
    if (this.name !== undefined) removeName(this.name, this.ref);
    using watch = new RemovalWatch();
    try {
      watch.add(this.ref);
    } finally {
      watch.drop(this.ref);
    }
    await watch.wait();
  }

  /** Prints the handle as `netns "blue"`. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.ref.description || (this.ref.fd.closed ? this.ref.label : `netns ${this.inode}`);
  }

  /** The reference, for an operation that needs it open. */
  #open(operation: string): NetNsRef {
    return this.ref.check(operation);
  }
}

/** Both forms of the arguments of {@link NetNs.create} as one, checked. */
function createOptions(
  first: string | NetNsCreateOptions | undefined,
  second: NetNsCreateOptions,
): NetNsCreateOptions {
  const long = typeof first === "object" && first !== null;
  const options = long ? first : second;
  checkOptions(options, CREATE_OPTIONS);
  if (long ? Object.keys(second).length > 0 : second.name !== undefined) {
    throw new TypeError(
      `NetNs.create() takes ({ name, scope, loopback }) or (name, { scope, loopback }): ` +
        `got (${show(first)}, ${show(second)})`,
    );
  }
  const name = long ? first.name : first;
  if (name !== undefined) netnsPath(name); // refuses a malformed one
  return name === undefined ? options : { ...options, name };
}

/** A reference of its own to the same namespace. */
function duplicate(ref: NetNsRef): NetNsRef {
  ref.check();
  const description = ref === homeNetNs() ? "" : ref.description;
  return openNetNs(`/proc/self/fd/${ref.fd.value}`, description, ref.netnsName);
}
