/**
 * The difference between a topology and the kernel, as steps. Objects of the topology before that the new
 * one does not have are removed; what is in neither is not the lab's, and stays.
 *
 * @module
 */
import { IFF } from "../rtnetlink/constants.ts";
import { deleteLink, type LinkMessage, newLink, setLink, upFlags } from "../rtnetlink/link.ts";
import { linkKind } from "../rtnetlink/link_info.ts";
import { verify } from "../link/verify.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { checkOptions, show } from "../options.ts";
import type { Living } from "./living.ts";
import type {
  Endpoint,
  ResolvedInterface,
  ResolvedNode,
  ResolvedTopology,
  ResolvedWire,
} from "./resolved.ts";
import { type FdOf, type Step, type TakenLink, WORKSHOP } from "./steps.ts";
import { layerThree } from "./layer_three.ts";
import { returnSteps, takenLink, takeStep } from "./taken.ts";
import { isForwarding, isOwn, nodeSettings, nodeTables } from "./settings.ts";

/** The nodes that live, as a difference needs them. */
export interface LivingNodes {
  /** The state of a node; `undefined` for a node without a namespace. */
  living(node: string): Living | undefined;
  /** The namespace of a living node, for errors. */
  ref(node: string): NetNsRef;
  /** Notes the first value of a setting that the lab has changed; `undefined` when it has not. */
  settingBefore(node: string, name: string): string | undefined;
  /** The links of the machine in nodes. */
  readonly taken: readonly TakenLink[];
  /** The state of the machine's own namespace. */
  readonly machine: Living;
  /** The names of the settings that the lab has changed. */
  changedSettings(node: string): string[];
}

/** What {@link differenceOf} compares. */
export interface Comparison {
  /** The topology to reach; `undefined` removes everything. */
  readonly target: ResolvedTopology | undefined;
  /** The topologies whose objects may be there, the newest first. */
  readonly before: readonly ResolvedTopology[];
  /** Whether all of the first of them is in force: an interrupted command leaves it open. */
  readonly isKnown: boolean;
  /** The group of the lab's links. */
  readonly group: number;
  /** The kernel's state. */
  readonly nodes: LivingNodes;
}

/** The steps to a topology. */
export interface Difference {
  /** Creations and changes, which removals undo. */
  readonly build: readonly Step[];
  /** Removals, also of links that the next difference creates in another form. */
  readonly remove: readonly Step[];
  /** The indexes of links, those to be created included, by `node:name`. */
  readonly indexes: ReadonlyMap<string, number>;
}

/** Splits `h1:eth0`. */
export function endOf(endpoint: Endpoint): { node: string; name: string } {
  const at = endpoint.indexOf(":");
  return { node: endpoint.slice(0, at), name: endpoint.slice(at + 1) };
}

/** Compares a topology with the kernel. */
export function differenceOf(comparison: Comparison): Difference {
  return new Comparer(comparison).compare();
}

/** The state of a link of the target in the kernel. */
type LinkState =
  | { readonly is: "missing" }
  | { readonly is: "same"; readonly link: LinkMessage }
  /** Another link has its place: it goes first. */
  | { readonly is: "other"; readonly link: LinkMessage };

class Comparer {
  readonly #it: Comparison;
  readonly #target: ReadonlyMap<string, ResolvedNode>;
  readonly #before: ReadonlyMap<string, readonly ResolvedNode[]>;
  readonly #peers = new Map<string, Endpoint>();
  readonly #indexes = new Map<string, number>();
  readonly #states = new Map<string, LinkState>();
  readonly #links = new Map<string, ResolvedInterface>();
  readonly #build: Step[] = [];
  readonly #remove: Step[] = [];

  constructor(comparison: Comparison) {
    this.#it = comparison;
    this.#before = Map.groupBy(comparison.before.flatMap(({ nodes }) => nodes), ({ name }) => name);
    const target = new Map(comparison.target?.nodes.map((node) => [node.name, node]));
    for (const [name, [node]] of this.#before) {
      if (!target.has(name) && !isOwn(node!)) target.set(name, emptied(node!));
    }
    this.#target = target;
    for (const { ends: [a, b] } of comparison.target?.wires ?? []) {
      this.#peers.set(a, b);
      this.#peers.set(b, a);
    }
  }

  compare(): Difference {
    const { target } = this.#it;
    const nodes = byParents([...this.#target.values()]);
    for (const node of nodes) this.#judge(node);
    for (const node of nodes) this.#createNode(node);
    for (const wire of target?.wires ?? []) this.#createWire(wire);
    for (const node of nodes) this.#buildNode(node);
    this.#removeOld();
    return { build: this.#build, remove: this.#remove, indexes: this.#indexes };
  }

  /** Finds out which links of a node are there, and gives the others their indexes. */
  #judge(node: ResolvedNode): void {
    const living = this.#it.nodes.living(node.name);
    let last = 1;
    for (const { index } of living?.links.values() ?? []) last = Math.max(last, index!);
    for (const it of node.interfaces) {
      const key = `${node.name}:${it.name}`;
      const link = living?.links.get(it.name);
      const state: LinkState = link
        ? { is: this.#isSame(node, it, link) ? "same" : "other", link }
        : it.kind === "loopback"
        ? { is: "same", link: { index: 1, name: "lo" } }
        : { is: "missing" };
      this.#links.set(key, it);
      this.#states.set(key, state);
      if (state.is !== "same") last = Math.max(last, this.#lastIndex(node.name, it));
      this.#indexes.set(key, state.is === "same" ? state.link.index! : ++last);
    }
  }

  /**
   * The highest index in the namespace of a parent elsewhere: until Linux 6.12 the kernel looks for the index
   * of a new link where the parent is.
   */
  #lastIndex(node: string, { parent }: ResolvedInterface): number {
    const below = parent === undefined ? node : endOf(parent).node;
    if (below === node) return 0;
    let last = 0;
    for (const { index } of this.#it.nodes.living(below)?.links.values() ?? []) {
      last = Math.max(last, index!);
    }
    for (const [end, index] of this.#indexes) {
      if (end.startsWith(`${below}:`)) last = Math.max(last, index);
    }
    return last;
  }

  #isSame(node: ResolvedNode, it: ResolvedInterface, link: LinkMessage): boolean {
    if (it.kind === "loopback" || it.kind === "existing" || it.kind === "physical") return true;
    if (link.linkInfo?.kind !== it.kind) return false;
    if (!isOwn(node) && link.group !== this.#it.group) return false;
    if (it.kind === "veth") return this.#joined(`${node.name}:${it.name}`, link);
    if (it.parent && isOnParent(it)) {
      const { node: below, name } = endOf(it.parent);
      if (link.parent !== this.#it.nodes.living(below)?.links.get(name)?.index) return false;
    }
    return it.kind === "bridge" || !this.#optionsDiffer(node, it, link);
  }

  /** Whether a living veth has the other end that the topology gives it. */
  #joined(end: Endpoint, link: LinkMessage): boolean {
    const peer = this.#peers.get(end);
    if (!peer) return false;
    const { node, name } = endOf(peer);
    const other = this.#it.nodes.living(node)?.links.get(name);
    return other?.index === link.parent && other?.parent === link.index &&
      other?.linkInfo?.kind === "veth";
  }

  #optionsDiffer(node: ResolvedNode, it: ResolvedInterface, link: LinkMessage): boolean {
    const data = this.#data(node, it);
    if (!data) return false;
    try {
      const ref = this.#it.nodes.ref(node.name);
      verify({ linkInfo: { kind: it.kind, data } }, link, show(it.name), ref);
      return false;
    } catch (error) {
      if (error instanceof NetlinkError) return true;
      throw error;
    }
  }

  /** The options of a kind on the wire. */
  #data(node: ResolvedNode, it: ResolvedInterface): object | undefined {
    const { kind, name, options, parent } = it;
    if (Object.keys(options).length === 0) return undefined;
    const entry = linkKind(kind);
    checkOptions(options, entry?.options ?? {}, `${node.name}:${name}`);
    const values: Record<string, unknown> = { ...options };
    for (const key of entry?.links ?? []) {
      if (typeof values[key] === "string") values[key] = this.#indexOf(node, values[key]);
    }
    // A tunnel may have a link below it: that is an option of its kind.
    if (parent && !isOnParent(it)) values.dev = this.#parentIndex(`${node.name}:${name}`, parent);
    return entry?.encode?.(values) ?? values;
  }

  #indexOf(node: ResolvedNode, name: string): number | undefined {
    return this.#indexes.get(`${node.name}:${name}`) ??
      this.#it.nodes.living(node.name)?.links.get(name)?.index;
  }

  /** Creates the namespace where there is none, and writes the settings that name no link. */
  #createNode(node: ResolvedNode): void {
    const { name } = node;
    const living = this.#it.nodes.living(name);
    if (!living && isOwn(node)) {
      const object = `node ${name}`;
      this.#build.push({ verb: "create", node: name, object, action: { kind: "netns" } });
    }
    // Before the links, which take the defaults over.
    this.#build.push(...nodeSettings(node, living));
    if (living) this.#restoreSettings(node, living);
  }

  #createWire({ ends: [a, b] }: ResolvedWire): void {
    const missing = (end: Endpoint) => this.#states.get(end)?.is === "missing";
    if (!missing(a) || !missing(b)) return;
    const messages = [a, b].map((end): LinkMessage => {
      return { ...this.#basics(this.#links.get(end)!), index: this.#indexes.get(end)! };
    });
    const [outer, peer] = messages as [LinkMessage, LinkMessage];
    const [near, far] = [endOf(a).node, endOf(b).node];
    const request = (fd: FdOf) => ({
      ...newLink({
        ...outer,
        netnsFd: fd(near),
        linkInfo: { kind: "veth", data: { peer: { ...peer, netnsFd: fd(far) } } },
      }),
      operation: `create veth ${a} -- ${b}`,
    });
    this.#build.push({
      verb: "create",
      node: near,
      object: `veth ${a} -- ${b}`,
      action: { kind: "request", via: WORKSHOP, request },
    });
  }

  /** The part of a creating message that all kinds have. */
  #basics({ name, mac, mtu }: ResolvedInterface): LinkMessage {
    const message: LinkMessage = { name };
    if (this.#it.group) message.group = this.#it.group;
    if (mac !== undefined) message.mac = mac;
    if (mtu !== undefined) message.mtu = mtu;
    return message;
  }

  #buildNode(node: ResolvedNode): void {
    const living = this.#it.nodes.living(node.name);
    const usable = node.interfaces.filter((it) => this.#isUsable(node, it));
    for (const it of usable) this.#createLink(node, it);
    for (const it of usable) this.#build.push(...this.#linkSettings(node, it, living));
    for (const it of usable) this.#setLink(node, it);
    // Also in a node for which the topology does not have it, such as a switch.
    const hasLoopback = node.interfaces.some(({ kind }) => kind === "loopback");
    if (isOwn(node) && !hasLoopback && !((living?.links.get("lo")?.flags ?? 0) & IFF.UP)) {
      this.#change(node.name, `link ${node.name}:lo`, setLink({ index: 1, ...upFlags(true) }));
    }
    const context = {
      node,
      before: this.#before.get(node.name) ?? [],
      living,
      indexes: this.#indexes,
      usable: new Set(usable.map(({ name }) => name)),
    };
    const { build, remove } = layerThree(context);
    this.#build.push(...build);
    this.#remove.push(...remove);
    const scripts = this.#it.before.map(({ nodes }) =>
      nodes.find(({ name }) => name === node.name)?.nftables ?? ""
    );
    this.#build.push(...nodeTables(node, living ? scripts : [], this.#it.isKnown));
  }

  /** Settings that an earlier topology had get the values from before it. */
  #restoreSettings(node: ResolvedNode, living: Living): void {
    const before = this.#before.get(node.name) ?? [];
    const old = before.flatMap(({ sysctls }) => Object.keys(sysctls));
    const led = before.some(({ uplink }) => uplink) && !node.uplink;
    if (led) old.push(...this.#it.nodes.changedSettings(node.name).filter(isForwarding));
    for (const name of new Set(old)) {
      const value = this.#it.nodes.settingBefore(node.name, name);
      if (value === undefined || Object.hasOwn(node.sysctls, name)) continue;
      if ((living.sysctl(name) ?? value) === value) continue;
      const object = `setting ${name} of ${node.name}`;
      const action = { kind: "sysctl", name, value } as const;
      this.#remove.push({ verb: "change", node: node.name, object, action });
    }
  }

  /** Whether the link is there, or is created by this difference. */
  #isUsable(node: ResolvedNode, it: ResolvedInterface): boolean {
    const end: Endpoint = `${node.name}:${it.name}`;
    const state = this.#states.get(end)!;
    if (state.is !== "missing") return state.is === "same";
    if (it.kind === "veth") return this.#states.get(this.#peers.get(end)!)?.is === "missing";
    if (it.kind === "existing") {
      throw new TypeError(`${end}: node ${node.name} has no link ${show(it.name)}`);
    }
    if (it.parent === undefined) return true;
    const parent = this.#states.get(it.parent);
    return parent === undefined || parent.is !== "other";
  }

  #createLink(node: ResolvedNode, it: ResolvedInterface): void {
    const end: Endpoint = `${node.name}:${it.name}`;
    if (it.kind === "veth" || this.#states.get(end)!.is === "same") return;
    if (it.kind === "physical") return this.#take(node, it);
    const message: LinkMessage = {
      ...this.#basics(it),
      index: this.#indexes.get(end)!,
      linkInfo: { kind: it.kind },
    };
    const data = this.#data(node, it);
    if (data) message.linkInfo!.data = data;
    const via = it.parent ? endOf(it.parent).node : node.name;
    if (it.parent && isOnParent(it)) message.parent = this.#parentIndex(end, it.parent);
    const request = (fd: FdOf) => ({
      ...newLink(via === node.name ? message : { ...message, netnsFd: fd(node.name) }),
      operation: `create ${it.kind} ${end}`,
    });
    const object = `${it.kind} ${end}`;
    const action = { kind: "request", via, request } as const;
    this.#build.push({ verb: "create", node: node.name, object, action });
  }

  /** Moves a link of the machine into a node. What an interrupted command noted of it is its true state. */
  #take({ name: node }: ResolvedNode, it: ResolvedInterface): void {
    const { taken, machine } = this.#it.nodes;
    const link = taken.find((link) => link.from === it.from && link.node === node) ??
      takenLink(node, it, machine);
    const { group: _, ...message } = this.#basics(it);
    const index = this.#indexes.get(`${node}:${it.name}`)!;
    this.#build.push(takeStep({ ...link, name: it.name }, { ...message, index }, machine));
  }

  /** Brings the links of the machine home that the topology does not have. */
  #returnTaken(): void {
    for (const taken of this.#it.nodes.taken) {
      const node = this.#target.get(taken.node);
      const stays = node?.interfaces.some(({ kind, name, from }) =>
        kind === "physical" && name === taken.name && from === taken.from
      );
      if (stays) continue;
      const { nodes } = this.#it;
      this.#remove.push(...returnSteps(taken, nodes.machine, nodes.living(taken.node)));
    }
  }

  #parentIndex(end: Endpoint, parent: Endpoint): number {
    const { node, name } = endOf(parent);
    const index = this.#indexes.get(parent) ??
      this.#it.nodes.living(node)?.links.get(name)?.index;
    if (index !== undefined) return index;
    throw new TypeError(`${end}: its parent ${parent} does not exist`);
  }

  #linkSettings(node: ResolvedNode, it: ResolvedInterface, living: Living | undefined): Step[] {
    const isNew = this.#states.get(`${node.name}:${it.name}`)!.is === "missing";
    return nodeSettings(node, living, { link: it, isNew });
  }

  /** Brings a link into the state that the topology has: master, VLANs, MTU, MAC, up. */
  #setLink(node: ResolvedNode, it: ResolvedInterface): void {
    const end: Endpoint = `${node.name}:${it.name}`;
    const state = this.#states.get(end)!;
    const isNew = state.is === "missing";
    const link: LinkMessage = state.is === "missing" ? {} : state.link;
    if (it.kind !== "existing") {
      const message = this.#changes(node, it, link);
      if (!isNew && it.kind === "bridge" && this.#optionsDiffer(node, it, link)) {
        message.linkInfo = { kind: it.kind, data: this.#data(node, it)! };
      }
      if (Object.keys(message).length > 0) {
        const index = this.#indexes.get(end)!;
        this.#change(node.name, `link ${end}`, setLink({ index, ...message }, `link ${end}`));
      }
    }
  }

  #changes(node: ResolvedNode, it: ResolvedInterface, link: LinkMessage): LinkMessage {
    const message: LinkMessage = {};
    const isNew = link.flags === undefined && it.kind !== "loopback";
    const isUp = ((link.flags ?? 0) & IFF.UP) !== 0;
    if (!isNew && it.mtu !== undefined && it.mtu !== link.mtu && it.kind !== "loopback") {
      message.mtu = it.mtu;
    }
    if (!isNew && it.mac !== undefined && it.mac !== link.mac) message.mac = it.mac;
    const master = it.master === undefined ? 0 : this.#indexOf(node, it.master)!;
    if (master !== (link.master ?? 0)) message.master = master;
    if (it.up !== isUp) Object.assign(message, { flags: it.up ? IFF.UP : 0, change: IFF.UP });
    return message;
  }

  #change(node: string, object: string, request: Request): void {
    const action = { kind: "request", via: node, request } as const;
    this.#build.push({ verb: "change", node, object, action });
  }

  /** Links and nodes that were the lab's, or are in the way of its new ones. */
  #removeOld(): void {
    const gone = new Set<string>();
    for (const [name, versions] of this.#before) {
      if (!this.#target.has(name) && isOwn(versions[0]!)) gone.add(name);
    }
    const removed = new Set<string>();
    this.#returnTaken();
    const names = new Set([...this.#target.keys(), ...this.#before.keys()]);
    for (const name of names) {
      if (gone.has(name)) continue;
      const living = this.#it.nodes.living(name);
      if (!living) continue;
      const before = (this.#before.get(name) ?? []).flatMap(({ interfaces }) => interfaces);
      const wanted = this.#target.get(name)?.interfaces ?? [];
      const old = new Set(
        [...before, ...wanted].filter(isCreated).map((it) => it.name)
          .filter((it) => this.#states.get(`${name}:${it}`)?.is !== "same"),
      );
      for (const link of [...old].reverse()) this.#removeLink(name, link, removed);
    }
    for (const name of gone) {
      if (!this.#it.nodes.living(name)) continue;
      const object = `node ${name}`;
      this.#remove.push({ verb: "remove", node: name, object, action: { kind: "netns" } });
    }
  }

  #removeLink(node: string, name: string, removed: Set<string>): void {
    const living = this.#it.nodes.living(node)!;
    const link = living.links.get(name);
    const end = `${node}:${name}`;
    if (!link || removed.has(end)) return;
    const versions = [...(this.#before.get(node) ?? []), this.#target.get(node)];
    const own = versions.some((it) => it && isOwn(it));
    if (!own && link.group !== this.#it.group) return;
    removed.add(end);
    const kind = link.linkInfo?.kind ?? "link";
    const index = link.index!;
    const request = deleteLink({ index }, `${kind} ${end}`);
    const action = { kind: "request", via: node, request } as const;
    this.#remove.push({ verb: "remove", node, object: `${kind} ${end}`, action });
  }
}

/** A namespace of others without anything of the lab. */
function emptied({ uplink: _, ...node }: ResolvedNode): ResolvedNode {
  return { ...node, interfaces: [], routes: [], rules: [], sysctls: {}, nftables: "" };
}

/** Whether the lab creates links of this kind. */
function isCreated({ kind }: ResolvedInterface): boolean {
  return kind !== "loopback" && kind !== "existing" && kind !== "physical";
}

/** Whether links of this kind are always on a parent (IFLA_LINK), as a macvlan is. */
function isOnParent({ kind }: ResolvedInterface): boolean {
  return linkKind(kind)?.parent === "required";
}

/** Nodes in an order in which the parents of links come before the links. */
function byParents(nodes: readonly ResolvedNode[]): readonly ResolvedNode[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const sorted = new Set<ResolvedNode>();
  const visiting = new Set<ResolvedNode>();
  const visit = (node: ResolvedNode): void => {
    if (sorted.has(node) || visiting.has(node)) return;
    visiting.add(node);
    for (const { parent } of node.interfaces) {
      const below = parent && byName.get(endOf(parent).node);
      if (below) visit(below);
    }
    sorted.add(node);
  };
  nodes.forEach(visit);
  return [...sorted];
}
