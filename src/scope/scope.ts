/**
 * The owner of everything a program makes.
 *
 * @module
 */
import { homeNetNs, type NetNsRef, openNetNs } from "../../ffi/namespace.ts";
import { idle } from "../../ffi/reactor.ts";
import { connectionTo } from "../netlink/connections.ts";
import { trace, type TraceHandler } from "../netlink/trace.ts";
import { onExit } from "./exit.ts";
import { staying } from "./holders.ts";
import { clearLeftovers } from "./leftovers.ts";
import { removeName } from "./named_netns.ts";
import { type ReadyOptions, waitReady } from "./ready.ts";
import { checkScopeName, exclusively, removeRecord, startOf, writeRecord } from "./record.ts";
import { RemovalWatch } from "./removal.ts";
import { deleteGroup } from "./teardown.ts";
import { checkOptions } from "../options.ts";

/** Options of {@link Scope.open}. */
export interface ScopeOptions {
  /**
   * Names the scope, for `replace` in a later run: 1 to 64 letters, digits, `.`, `_`, `-`. A record of
   * what it makes is kept in /run/netloom while it is open. Default: no name, no record.
   */
  readonly name?: string;
  /** Removes first what a killed run of the scope of this name left behind. Default: false. */
  readonly replace?: boolean;
  /**
   * Removes everything also on SIGINT, SIGTERM, `Deno.exit`, an uncaught error and an unhandled
   * rejection, none of which run `using`. A process in a namespace is not ended: it keeps the namespace,
   * without a name, and standard error says so. Default: false.
   */
  readonly signals?: boolean;
  /** Called with every request of this thread while the scope is open; see `trace()`. */
  readonly trace?: TraceHandler;
}

/** A link a scope has made. */
export interface ScopedLink {
  /** Its namespace. */
  readonly ref: NetNsRef;
  /** Its index there. */
  readonly index: number;
  /** For messages: `veth "tap1"`. */
  readonly what: string;
  /** Was given IPv6 addresses, which are usable only some time later. */
  readonly ipv6: boolean;
  /** Closes what keeps its namespace alive: a descriptor that is joined to it. */
  readonly close?: () => void;
}

/** Bits of a group number that netloom's are recognized by; the rest is random. */
const GROUP_MARK = 0x4e000000;

const OPTIONS = { name: true, replace: true, signals: true, trace: true };

const open = new Map<number, Scope>();

/** The open scope of this thread whose links are in `group`. */
export function scopeOf(group: number | undefined): Scope | undefined {
  return group === undefined ? undefined : open.get(group);
}

/**
 * Owns what is made in it and removes it in bulk: the links of a namespace with one message, and
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
  /** Its name, if it was given one. */
  readonly name: string | undefined;
  /** The group number of its links: random, so that one message deletes them and no others. */
  readonly group: number;
  readonly #resources: Disposable[] = [];
  readonly #links: ScopedLink[] = [];
  /** Namespaces of others with links of this scope, by inode; kept open to delete them there. */
  readonly #visited = new Map<number, NetNsRef>();
  readonly #namespaces = new Map<NetNsRef, string | undefined>();
  readonly #stopExit: (() => void) | undefined;
  readonly #trace: Disposable | undefined;
  #closed = false;

  private constructor(options: ScopeOptions) {
    this.name = options.name;
    this.group = GROUP_MARK | crypto.getRandomValues(new Uint32Array(1))[0]! & 0xffffff;
    this.#trace = options.trace && trace(options.trace);
    this.#stopExit = options.signals ? onExit(() => this.#closeAtExit()) : undefined;
    open.set(this.group, this);
  }

  /**
   * Opens a scope.
   *
   * @param options What it does beyond owning.
   * @throws {TypeError} When `replace` is set without a `name`, or the name is malformed, or for an
   * unknown option.
   * @throws {ScopeError} When a living process has a scope of that name open, or a killed one has left
   * things behind and `replace` is not set.
   */
  static open(options: ScopeOptions = {}): Scope {
    checkOptions(options, OPTIONS);
    const { name, replace } = options;
    if (replace && name === undefined) {
      throw new TypeError("Scope.open({ replace: true }) needs a name: whose leftovers to remove");
    }
    if (name === undefined) return new Scope(options);
    checkScopeName(name);
    // Of two that open it at once, one finds the other's record.
    return exclusively(() => {
      clearLeftovers(name, replace ?? false);
      const scope = new Scope(options);
      try {
        scope.#record();
      } catch (error) {
        scope.close();
        throw error;
      }
      return scope;
    });
  }

  /** Whether it has been closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The links it owns, in the order they were made. */
  get links(): readonly ScopedLink[] {
    return this.#links;
  }

  /** Hands a resource over: it is disposed, the last one first, before links and namespaces go. */
  use<T extends Disposable>(resource: T): T {
    this.#check();
    this.#resources.push(resource);
    return resource;
  }

  /** For link kinds: about to make a link in a namespace. */
  visit(ref: NetNsRef): void {
    this.#check();
    if (this.#namespaces.has(ref) || this.#visited.get(ref.inode)?.fd.closed === false) return;
    const own = ref === homeNetNs()
      ? ref
      : openNetNs(`/proc/self/fd/${ref.fd.value}`, ref.description, ref.netnsName);
    this.#visited.set(ref.inode, own);
    if (ref.netnsName !== undefined) this.#record();
  }

  /** For link kinds: a link was made, in a namespace that was announced with {@link Scope.visit}. */
  addLink(link: ScopedLink): void {
    // The caller may close its reference before the scope does.
    this.#links.push({ ...link, ref: this.#visited.get(link.ref.inode) ?? link.ref });
  }

  /** For links: one that the scope may have made is gone from there. Returns what was known of it. */
  dropLink(ref: NetNsRef, index: number): ScopedLink | undefined {
    const at = this.#links.findIndex((it) => it.index === index && it.ref.inode === ref.inode);
    return at >= 0 ? this.#links.splice(at, 1)[0] : undefined;
  }

  /** For namespaces: about to take a name. */
  expectNetNs(name: string): void {
    this.#check();
    this.#record(name);
  }

  /** For namespaces: one was made. The scope closes its reference. */
  addNetNs(ref: NetNsRef): void {
    this.#check();
    this.#namespaces.set(ref, ref.netnsName);
  }

  /**
   * Waits until what the scope has made carries packets: links that are up have a carrier and are
   * operational, bridge ports forward, and IPv6 addresses given at creation are in use: they have passed
   * duplicate address detection. A link whose other end is down is not waited for.
   *
   * @throws {ScopeError} When that takes longer than `timeout` (default 10,000 ms), naming what is missing.
   */
  ready(options: ReadyOptions = {}): Promise<void> {
    this.#check();
    return waitReady(this.#links, options);
  }

  /**
   * Removes everything, without waiting for what the kernel does later: namespaces disappear up to
   * 0.4 s after they are dropped. A second call does nothing.
   */
  close(): void {
    try {
      this.#teardown();
    } finally {
      this.#stopExit?.();
    }
  }

  /**
   * Removes everything and waits until it is gone. Same as `await using`.
   *
   * @throws {ScopeError} When a namespace stays because processes are in it, naming them.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      using watch = new RemovalWatch();
      this.#teardown(watch);
      await watch.wait();
      // A signal may have come in the middle.
      if (this.#stopExit) await idle();
    } finally {
      // Not before: the rest would be left behind, or the signal lost.
      this.#stopExit?.();
    }
  }

  /** Nobody is there to catch what would be thrown of what stays: it is said. */
  #closeAtExit(): void {
    const namespaces = [...this.#namespaces.keys()].filter((ref) => !ref.fd.closed);
    this.close();
    for (const { inode, description } of namespaces) {
      for (const pid of staying(inode)) {
        console.error(`${description} stays: process ${pid} is in it`);
      }
    }
  }

  #teardown(watch?: RemovalWatch): void {
    if (this.#closed) return;
    this.#closed = true;
    open.delete(this.group);
    const errors: unknown[] = [];
    const attempt = (step: () => void) => {
      try {
        step();
      } catch (error) {
        errors.push(error);
      }
    };
    for (const resource of this.#resources.reverse()) attempt(() => resource[Symbol.dispose]());
    // A descriptor joined to a link deletes it when it closes, slowly; those that are gone close at once.
    const joined = this.#links.filter((link) => link.close);
    for (const ref of new Set(joined.map((link) => link.ref))) {
      if (!ref.fd.closed) attempt(() => deleteGroup(connectionTo(ref), this.group));
    }
    for (const link of joined) attempt(() => link.close!());
    for (const [ref, name] of this.#namespaces) {
      if (ref.fd.closed) continue;
      attempt(() => watch?.add(ref));
      if (name !== undefined) attempt(() => void removeName(name, ref.inode));
      ref.close();
    }
    // After the namespaces, which the kernel takes down meanwhile, on another processor.
    for (const ref of this.#visited.values()) {
      attempt(() => deleteGroup(connectionTo(ref), this.group));
      if (ref !== homeNetNs()) ref.close();
    }
    if (this.name !== undefined) attempt(() => removeRecord(this.name!));
    this.#trace?.[Symbol.dispose]();
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, "Several things could not be removed");
  }

  #record(expected?: string): void {
    if (this.name === undefined) return;
    const created = [...this.#namespaces.values()].filter((name) => name !== undefined);
    if (expected !== undefined) created.push(expected);
    const visited = [...this.#visited.values()].map((ref) => ref.netnsName);
    writeRecord(this.name, {
      pid: Deno.pid,
      started: startOf("self") ?? 0,
      group: this.group,
      created,
      visited: visited.filter((name) => name !== undefined),
    });
  }

  #check(): void {
    if (this.#closed) throw new TypeError("The scope is closed");
  }
}
