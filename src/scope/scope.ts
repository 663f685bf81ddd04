/**
 * The owner of everything that a program creates.
 *
 * @module
 */
import { homeNetNs, type NetNsRef, openNetNs } from "../../ffi/namespace.ts";
import { idle } from "../../ffi/reactor.ts";
import { processId } from "../../ffi/file.ts";
import { connectionTo } from "../netlink/connections.ts";
import { trace, type TraceHandler } from "../netlink/trace.ts";
import { boolean, checkFunction, checkOptions, type OptionNames, show } from "../options.ts";
import { onExit } from "./exit.ts";
import {
  cleanScopes,
  clearLeftovers,
  listScopes,
  restoreLinks,
  type ScopeInfo,
} from "./leftovers.ts";
import { isDenied, removeName, staying } from "./namespaces.ts";
import {
  checkScopeName,
  exclusively,
  newGroup,
  type RecordLine,
  recordName,
  type ScopeRecord,
} from "./record.ts";
import type { ReadyOptions, ScopedLink } from "./ready.ts";
import { deleteGroup, deleteUngrouped, dropNetNs, RemovalWatch } from "./removal.ts";

/** Options of {@link Scope.open}. */
export interface ScopeOptions {
  /**
   * Names the scope, for `replace` in a later run: 1 to 64 letters, digits, `.`, `_`, `-`. A record in
   * /run/netloom says what it owns while it is open. Default: no name; a record only of objects that would
   * outlive the program.
   */
  readonly name?: string;
  /**
   * First removes the leftovers of a killed program with a scope of this name. {@link Scope.notes} has what
   * could not be found again. Default: false.
   */
  readonly replace?: boolean;
  /**
   * Removes everything also on SIGINT, SIGTERM, SIGHUP, SIGQUIT, `Deno.exit`, an uncaught error and an
   * unhandled rejection, none of which run `using`. Other signals end the program at once, as programs use
   * them for purposes of their own: add a listener that closes the scope.
   *
   * In a worker a signal removes the scope, and then ends the process. But a worker runs no code at
   * `terminate()`, nor when the main module ends or exits: a scope that is open there is left behind, for
   * `replace` or {@link Scope.clean}.
   *
   * A process in a namespace is not ended: it keeps the namespace, without a name, and standard error says
   * so. Default: false.
   */
  readonly signals?: boolean;
  /** Called with each request of this thread while the scope is open; see `trace()`. */
  readonly trace?: TraceHandler;
}

/** Options of {@link Scope.clean}. */
export interface ScopeCleanOptions {
  /** Only the scope of this name. Default: all that were left behind. */
  readonly name?: string;
}

const OPTIONS: OptionNames<ScopeOptions> = {
  name: true,
  replace: true,
  signals: true,
  trace: true,
};
const CLEAN_OPTIONS: OptionNames<ScopeCleanOptions> = { name: true };

const open = new Map<number, Scope>();

/** The open scope of this thread whose links are in `group`. */
export function scopeOf(group: number | undefined): Scope | undefined {
  return group === undefined ? undefined : open.get(group);
}

/** The calls of a scope that links and namespaces make, and its users do not. */
export interface ScopeInternals {
  /** Refuses an option `scope` that is no scope. */
  check(scope: Scope): void;
  /** A link is about to be created in a namespace. */
  visit(scope: Scope, ref: NetNsRef): void;
  /** A link was created, in a namespace that was visited. */
  addLink(scope: Scope, link: ScopedLink): void;
  /** A link that the scope may own is gone from there. Returns its entry. */
  dropLink(scope: Scope, ref: NetNsRef, index: number): ScopedLink | undefined;
  /** A namespace was created, and is about to get its name. The scope closes its reference. */
  addNetNs(scope: Scope, ref: NetNsRef): void;
  /** A namespace that was added did not get its name. */
  dropNetNs(scope: Scope, ref: NetNsRef): void;
  /** The namespaces that the scopes of this thread hold open. */
  namespaces(): NetNsRef[];
}

let internals: ScopeInternals;

/**
 * Owns what is created in it and removes that in bulk: the links of a namespace with one message, and
 * namespaces with all that is in them.
 *
 * @example A bridge that is gone at the end of the block
 * ```ts
 * import { Bridge, NetNs, Scope, Veth } from "@netloom/netloom";
 *
 * await using lab = Scope.open();
 * const netns = NetNs.create(undefined, { scope: lab });
 * const bridge = Bridge.create({ scope: lab, name: "br0", netns, up: true });
 * Veth.create({
 *   scope: lab,
 *   name: "v0",
 *   netns,
 *   up: true,
 *   peer: { name: "v1", master: bridge, up: true },
 * });
 * await lab.ready();
 * ```
 */
export class Scope implements AsyncDisposable {
  static {
    internals = {
      check: (scope) => {
        if (scope instanceof Scope) return;
        throw new TypeError(`scope must be a Scope: got ${show(scope)}`);
      },
      visit: (scope, ref) => {
        scopes.check(scope);
        scope.#visit(ref);
      },
      addLink: (scope, link) => scope.#addLink(link),
      dropLink: (scope, ref, index) => scope.#dropLink(ref, index),
      addNetNs: (scope, ref) => scope.#addNetNs(ref),
      dropNetNs: (scope, ref) => scope.#dropNetNs(ref),
      namespaces: () => [...open.values()].flatMap((scope) => scope.#references()),
    };
  }

  /** Its name, if it was given one. */
  readonly name: string | undefined;
  /** The group number of its links: random, so that one message deletes them and no others. */
  readonly group: number;
  /** Namespaces that `replace` did not find again, and those that the kernel keeps for a while. */
  readonly notes: string[] = [];
  readonly #resources: Disposable[] = [];
  readonly #links: ScopedLink[] = [];
  /** Namespaces of others with links of this scope, by cookie; kept open to delete those there. */
  readonly #visited = new Map<bigint, NetNsRef>();
  /** The scope's own namespaces, by cookie. */
  readonly #namespaces = new Map<bigint, NetNsRef>();
  #record: ScopeRecord | undefined;
  readonly #stopExit: (() => void) | undefined;
  readonly #trace: Disposable | undefined;
  #state: "open" | "closing" | "closed" = "open";

  private constructor(options: ScopeOptions, group: number, record?: ScopeRecord) {
    this.name = options.name;
    this.group = group;
    this.#record = record;
    this.#trace = options.trace && trace(options.trace);
    this.#stopExit = options.signals ? onExit(() => this.#closeAtExit()) : undefined;
    open.set(this.group, this);
  }

  /**
   * Opens a scope.
   *
   * @param options What it does beyond owning.
   * @throws {TypeError} When `replace` is set without a `name`, or the name is malformed, or for an
   * unknown or malformed option.
   * @throws {ScopeError} When a running program has a scope of that name open, or a killed one has left
   * things behind and `replace` is not set.
   */
  static open(options: ScopeOptions = {}): Scope {
    checkOptions(options, OPTIONS);
    const { name, replace = false, signals = false } = options;
    boolean(replace, "replace");
    boolean(signals, "signals");
    if (options.trace !== undefined) checkFunction(options.trace, "trace");
    const group = newGroup();
    const notes = restoreLinks();
    if (name === undefined) {
      if (!replace) return new Scope(options, group).#noting(notes);
      throw new TypeError("Scope.open({ replace: true }) needs a name: whose leftovers to remove");
    }
    checkScopeName(name);
    return exclusively((directory) => {
      notes.push(...clearLeftovers(directory, name, replace));
      return new Scope(options, group, directory.create(name, group)).#noting(notes);
    });
  }

  #noting(notes: readonly string[]): this {
    this.notes.push(...notes);
    return this;
  }

  /**
   * Lists the scopes of this machine that are open, and those that killed programs have left behind: each
   * that has a name, has named a namespace, or has links in a namespace that is not its own.
   *
   * @example Those that {@link Scope.clean} would remove
   * ```ts
   * import { Scope } from "@netloom/netloom";
   *
   * for (const { name, pid, netns } of Scope.list().filter(({ state }) => state === "left")) {
   *   console.log(name ?? "(unnamed)", "of process", pid, netns);
   * }
   * ```
   */
  static list(): ScopeInfo[] {
    return listScopes();
  }

  /**
   * Removes the leftovers of killed programs: links, and names of namespaces. Scopes that are open stay. The
   * record of a scope goes too while a namespace of it is out of sight, in another mount or pid namespace.
   *
   * @param options Which scopes. Default: all that are left.
   * @returns The removed scopes, as {@link Scope.list} has shown them; `[]` where there is none.
   * @throws {ScopeError} When the scope of that name is open, naming its process, or its record cannot be
   * read.
   * @throws {TypeError} For an unknown option or a malformed name.
   */
  static clean(options: ScopeCleanOptions = {}): ScopeInfo[] {
    checkOptions(options, CLEAN_OPTIONS);
    if (options.name !== undefined) checkScopeName(options.name);
    return cleanScopes(options.name);
  }

  /** Whether it has been closed, and nothing is left to remove. */
  get closed(): boolean {
    return this.#state === "closed";
  }

  /** The links it owns, in the order of their creation. */
  get links(): readonly ScopedLink[] {
    return this.#links;
  }

  /** Hands a resource over: it is disposed, the last one first, before links and namespaces go. */
  use<T extends Disposable>(resource: T): T {
    if (typeof (resource as T | null)?.[Symbol.dispose] !== "function") {
      throw new TypeError(`resource must have a method [Symbol.dispose]: got ${show(resource)}`);
    }
    this.#check();
    this.#resources.push(resource);
    return resource;
  }

  #visit(ref: NetNsRef): void {
    this.#check();
    ref.check("create a link");
    const { cookie } = ref;
    if (this.#visited.has(cookie) || this.#namespaces.get(cookie)?.fd.closed === false) return;
    const own = ref === homeNetNs()
      ? ref
      : openNetNs(`/proc/self/fd/${ref.fd.value}`, ref.description, ref.netnsName);
    try {
      // Opened now: when the scope closes, no descriptor may be free.
      connectionTo(own).open();
      const label = own === homeNetNs() ? `the netns of process ${processId()}` : own.label;
      this.#note({ visited: label, cookie: `${cookie}` });
    } catch (error) {
      if (own !== ref) own.close();
      throw error;
    }
    this.#visited.set(cookie, own);
  }

  #addLink(link: ScopedLink): void {
    this.#links.push({ ...link, ref: this.#refOf(link.ref) });
  }

  #dropLink(ref: NetNsRef, index: number): ScopedLink | undefined {
    const own = this.#refOf(ref);
    const at = this.#links.findIndex((it) => it.index === index && it.ref === own);
    return at >= 0 ? this.#links.splice(at, 1)[0] : undefined;
  }

  /** The scope's reference to a namespace: the caller may close another one before the scope does. */
  #refOf(ref: NetNsRef): NetNsRef {
    const { cookie } = ref;
    return this.#visited.get(cookie) ?? this.#namespaces.get(cookie) ?? ref;
  }

  #references(): NetNsRef[] {
    return [...this.#namespaces.values(), ...this.#visited.values()]
      .filter(({ fd }) => !fd.closed);
  }

  #addNetNs(ref: NetNsRef): void {
    this.#check();
    connectionTo(homeNetNs()).open(); // now, as in visit()
    const { cookie, netnsName } = ref;
    if (netnsName !== undefined) this.#note({ created: netnsName, cookie: `${cookie}` });
    this.#namespaces.set(cookie, ref);
  }

  #dropNetNs(ref: NetNsRef): void {
    for (const [cookie, own] of this.#namespaces) if (own === ref) this.#namespaces.delete(cookie);
  }

  /**
   * Waits until the links of the scope carry packets: links that are up have a carrier and are operational,
   * bridge ports forward, and IPv6 addresses given at creation are in use: they have passed duplicate
   * address detection. A link whose other end is down is not waited for.
   *
   * @param options Timeout and abort signal.
   * @throws {ScopeError} When that takes longer than `timeout` (default 10,000 ms), naming what is missing.
   * @throws {TypeError} When the scope is closed, or for an unknown option.
   */
  ready(options: ReadyOptions = {}): Promise<void> {
    this.#check();
    const links = [...this.#links];
    // Loaded at first use: it needs routes, which links alone do not.
    return import("./ready.ts").then(({ waitReady }) => waitReady(links, options));
  }

  /**
   * Removes everything, without waiting for the kernel: namespaces disappear a moment
   * after they are dropped. When a step fails, the others are still done; another call repeats those that
   * failed. A call when all is removed does nothing.
   *
   * @throws The error of the step that failed, or an `AggregateError` of several.
   */
  close(): void {
    try {
      this.#teardown();
    } finally {
      if (this.closed) this.#stopExit?.();
    }
  }

  /**
   * Removes everything and waits until it is gone. Same as `await using`. TCP connections in the scope's
   * namespaces that no program has open any more are destroyed: where their other end cannot be reached,
   * they would keep the namespace for minutes. {@link Scope.notes} has those that a kernel does not destroy.
   *
   * @throws {ScopeError} When a namespace stays because processes or sockets are in it, naming them.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    using watch = new RemovalWatch();
    try {
      this.#teardown(watch);
      this.notes.push(...await watch.wait());
      // A signal may have come in the middle.
      if (this.#stopExit) await idle();
    } finally {
      // Not before: the rest would be left behind, or the signal lost.
      if (this.closed) this.#stopExit?.();
    }
  }

  /** Prints the scope as `scope "lab" with 2 namespaces and 3 links`. */
  [Symbol.for("Deno.customInspect")](): string {
    const what = this.name === undefined ? "scope without a name" : `scope ${show(this.name)}`;
    if (this.closed) return `${what}, closed`;
    const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? "" : "s"}`;
    return `${what} with ${count(this.#namespaces.size, "namespace")} and ${
      count(this.#links.length, "link")
    }`;
  }

  /** At exit nothing can catch an error: report namespaces that stay on stderr. */
  #closeAtExit(): void {
    const namespaces = [...this.#namespaces.values()].filter((ref) => !ref.fd.closed)
      .map(({ inode, cookie, label }) => ({ inode, cookie, label }));
    try {
      this.close();
    } finally {
      for (const netns of namespaces) {
        for (const pid of staying(netns)) {
          console.error(`${netns.label} stays: process ${pid} is in it`);
        }
      }
    }
  }

  #teardown(watch?: RemovalWatch): void {
    if (this.#state === "closed") return;
    this.#state = "closing";
    const errors: unknown[] = [];
    const attempt = (step: () => void) => {
      try {
        step();
      } catch (error) {
        errors.push(error);
      }
    };
    for (const it of this.#resources.splice(0).reverse()) attempt(() => it[Symbol.dispose]());
    this.#closeJoined(attempt);
    this.#dropNamespaces(attempt, watch);
    // After the namespaces, which the kernel takes down meanwhile, on another processor.
    for (const [cookie, ref] of this.#visited) {
      attempt(() => {
        this.#deleteLinks(ref);
        if (ref !== homeNetNs()) ref.close();
        this.#visited.delete(cookie);
      });
    }
    this.#trace?.[Symbol.dispose]();
    if (this.#namespaces.size === 0 && this.#visited.size === 0) {
      attempt(() => {
        this.#record?.remove();
        open.delete(this.group);
        this.#state = "closed";
      });
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, "Several things could not be removed");
  }

  /** A descriptor joined to a link deletes it when it closes, slowly; those of deleted links close at once. */
  #closeJoined(attempt: (step: () => void) => void): void {
    const joined = this.#links.filter((link) => link.close);
    for (const ref of new Set(joined.map((link) => link.ref))) {
      if (!ref.fd.closed) attempt(() => deleteGroup(connectionTo(ref), this.group));
    }
    for (const link of joined) attempt(() => link.close!());
  }

  /** One whose name cannot be removed stays, for another attempt. */
  #dropNamespaces(attempt: (step: () => void) => void, watch: RemovalWatch | undefined): void {
    const nameless: [cookie: bigint, ref: NetNsRef][] = [];
    for (const [cookie, ref] of this.#namespaces) {
      attempt(() => {
        if (!ref.fd.closed && ref.netnsName !== undefined) removeName(ref.netnsName, ref);
        nameless.push([cookie, ref]);
      });
    }
    const open = nameless.flatMap(([, ref]) => ref.fd.closed ? [] : [ref]);
    if (watch && open.length > 0) attempt(() => watch.add(...open));
    for (const [cookie, ref] of nameless) {
      this.#namespaces.delete(cookie);
      if (!ref.fd.closed) attempt(() => watch ? watch.drop(ref) : dropNetNs(ref));
    }
  }

  #deleteLinks(ref: NetNsRef): void {
    const connection = connectionTo(ref);
    deleteGroup(connection, this.group);
    const known = this.#links.filter((link) => link.ref === ref);
    deleteUngrouped(connection, known);
  }

  /** Adds a line to the record, before the object exists that the line names. */
  #note(line: RecordLine): void {
    this.#record ??= this.#createRecord();
    this.#record?.append(line);
  }

  /** That of a scope without a name; `undefined` where this user must not write. */
  #createRecord(): ScopeRecord | undefined {
    try {
      const name = recordName(this.name, this.group);
      return exclusively((directory) => directory.create(name, this.group));
    } catch (error) {
      if (this.name === undefined && isDenied(error)) return undefined;
      throw error;
    }
  }

  #check(): void {
    if (this.#state !== "open") throw new TypeError("The scope is closed");
  }
}

/** The internals of scopes, for links and namespaces. */
export const scopes: ScopeInternals = internals!;
