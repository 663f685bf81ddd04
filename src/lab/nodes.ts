/**
 * The namespaces of a lab, by node.
 *
 * @module
 */
import { SyscallError } from "../../ffi/errno.ts";
import { homeNetNs, type NetNsRef, newNetNs } from "../../ffi/namespace.ts";
import { openNamed, resolveNetNs } from "../netlink/connections.ts";
import { show } from "../options.ts";
import { giveName, removeName } from "../scope/namespaces.ts";
import { RemovalWatch } from "../scope/removal.ts";
import { type Living, type LivingTables, readLiving } from "./living.ts";
import type { LivingNodes } from "./difference.ts";
import type { ResolvedNode } from "./resolved.ts";
import { MACHINE, type NodeRefs, type TakenLink } from "./steps.ts";

/** The owner of the namespaces: a scope, or the record of a lab with a name. */
export interface Owner {
  /** Gives a node's namespace a name below /run/netns; absent in a lab without a name. */
  nameOf?(node: string): string;
  /** A namespace was created, and is about to get its name. */
  created(node: string, ref: NetNsRef): void;
  /** Links are about to be created in a namespace of others. */
  visited(node: string, ref: NetNsRef): void;
  /** The lab is about to change a setting for the first time. */
  setting(node: string, name: string, before: string): void;
  /** A link of the machine is about to move into a node; absent where none may. */
  taken?(link: TakenLink): void;
  /** A link of the machine is home again. */
  returned?(link: TakenLink): void;
}

/** The namespaces of a lab. */
export class LabNodes implements NodeRefs, LivingNodes {
  readonly #owner: Owner;
  readonly #refs = new Map<string, NetNsRef>();
  readonly #own = new Set<string>();
  readonly #living = new Map<string, Living>();
  readonly #settings = new Map<string, string>();
  readonly #leaving: NetNsRef[] = [];
  readonly #taken = new Map<string, TakenLink>();
  #tables: LivingTables = { routes: true, rules: true, vlans: true };
  #names: ReadonlyMap<string, ReadonlySet<string>> = new Map();

  /** Starts without any. */
  constructor(owner: Owner) {
    this.#owner = owner;
  }

  /**
   * Chooses what {@link LabNodes.living} reads.
   *
   * @param tables The tables.
   * @param settings The names of settings, by node.
   */
  read(tables: LivingTables, settings: ReadonlyMap<string, ReadonlySet<string>>): void {
    this.#tables = tables;
    this.#names = settings;
  }

  /** The names of the nodes that have a namespace. */
  names(): string[] {
    return [...this.#refs.keys()];
  }

  /** Their namespaces. */
  refs(): NetNsRef[] {
    return [...this.#refs.values()];
  }

  /** Whether the lab has created the namespace of a node. */
  owns(node: string): boolean {
    return this.#own.has(node);
  }

  /**
   * Opens a namespace that exists already.
   *
   * @param node The node.
   * @param known The cookie that the namespace had: it is left alone when it is gone, or another one.
   */
  open(node: ResolvedNode, known?: { readonly cookie: bigint }): void {
    if (this.#refs.has(node.name)) return;
    let ref: NetNsRef;
    try {
      ref = node.netns === undefined ? homeNetNs() : resolveNetNs(node.netns).ref;
    } catch (error) {
      if (known && error instanceof SyscallError) return;
      throw error;
    }
    if (known && ref.cookie !== known.cookie) {
      if (ref !== homeNetNs()) ref.close();
      return;
    }
    this.#refs.set(node.name, ref);
    this.#owner.visited(node.name, ref);
  }

  /** Opens the namespace of a node by its name; `false` when there is none with this cookie. */
  find(node: string, cookie: bigint): boolean {
    let ref: NetNsRef;
    try {
      ref = openNamed(this.#owner.nameOf!(node));
    } catch (error) {
      if (error instanceof SyscallError) return false;
      throw error;
    }
    if (ref.cookie !== cookie) {
      ref.close();
      return false;
    }
    this.#refs.set(node, ref);
    this.#own.add(node);
    return true;
  }

  ref(node: string): NetNsRef {
    const ref = node === MACHINE ? homeNetNs() : this.#refs.get(node);
    if (!ref) throw new TypeError(`Node ${show(node)} has no namespace`);
    return ref;
  }

  create(node: string): void {
    const name = this.#owner.nameOf?.(node);
    const ref = newNetNs(`netns of node ${show(node)}`, name);
    this.#refs.set(node, ref);
    this.#own.add(node);
    this.#owner.created(node, ref);
    if (name !== undefined) giveName(name, ref);
  }

  remove(node: string): void {
    const ref = this.ref(node);
    if (ref.netnsName !== undefined) removeName(ref.netnsName, ref);
    this.#refs.delete(node);
    this.#own.delete(node);
    this.#leaving.push(ref);
  }

  /** Drops the namespaces that were removed and waits until they are gone. */
  async removed(): Promise<string[]> {
    if (this.#leaving.length === 0) return [];
    using watch = new RemovalWatch();
    const leaving = this.#leaving.splice(0);
    try {
      watch.add(...leaving);
      for (const ref of leaving) watch.drop(ref);
      return await watch.wait();
    } finally {
      for (const ref of leaving) ref.close();
    }
  }

  setting(node: string, name: string, before: string): void {
    const key = `${node} ${name}`;
    if (this.#settings.has(key)) return;
    this.#owner.setting(node, name, before);
    this.#settings.set(key, before);
  }

  settingBefore(node: string, name: string): string | undefined {
    return this.#settings.get(`${node} ${name}`);
  }

  changedSettings(node: string): string[] {
    const keys = [...this.#settings.keys()].filter((key) => key.startsWith(`${node} `));
    return keys.map((key) => key.slice(node.length + 1));
  }

  /** Takes over what a record says of a setting. */
  recall(node: string, name: string, before: string): void {
    this.#settings.set(`${node} ${name}`, before);
  }

  /** The links of the machine in nodes. */
  get taken(): readonly TakenLink[] {
    return [...this.#taken.values()];
  }

  take(link: TakenLink): void {
    if (this.#taken.get(link.from) !== link) this.#owner.taken?.(link);
    this.#taken.set(link.from, link);
  }

  giveBack(link: TakenLink): void {
    this.#owner.returned?.(link);
    this.#taken.delete(link.from);
  }

  /** Takes over what a record says of a link of the machine. */
  recallTaken(link: TakenLink): void {
    this.#taken.set(link.from, link);
  }

  /** The state of the machine's own namespace. */
  get machine(): Living {
    const known = this.#living.get(MACHINE);
    if (known) return known;
    const living = readLiving(homeNetNs(), { routes: true, rules: false, vlans: false });
    this.#living.set(MACHINE, living);
    return living;
  }

  living(node: string): Living | undefined {
    const ref = this.#refs.get(node);
    if (!ref) return undefined;
    let living = this.#living.get(node);
    if (!living) {
      living = readLiving(ref, { ...this.#tables, settings: this.#names.get(node) });
      this.#living.set(node, living);
    }
    return living;
  }

  /** Forgets what was read. */
  refresh(): void {
    this.#living.clear();
  }

  /** Closes the reference of a node, and leaves its namespace. */
  forget(node: string): void {
    const ref = this.#refs.get(node);
    if (ref && ref !== homeNetNs()) ref.close();
    this.#refs.delete(node);
    this.#own.delete(node);
    this.#living.delete(node);
  }

  /** Closes the references, and leaves the namespaces. */
  close(): void {
    for (const ref of [...this.#refs.values(), ...this.#leaving.splice(0)]) {
      if (ref !== homeNetNs()) ref.close();
    }
    this.#refs.clear();
  }
}
