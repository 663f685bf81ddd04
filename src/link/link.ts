/**
 * A link of any kind.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { type NetNsRef, sameNetNs } from "../../ffi/namespace.ts";
import { type Capture, type CaptureOptions, openCapture } from "../capture/capture.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { Subscription } from "../netlink/subscription.ts";
import { type NetNsTarget, type ResolvedNetNs, resolveNetNs } from "../netlink/target.ts";
import { RTM, RTNLGRP } from "../rtnetlink/constants.ts";
import { checkLinkName } from "../rtnetlink/fields.ts";
import {
  addAltNames,
  deleteAltNames,
  deleteLink,
  getLink,
  type LinkInfo,
  type LinkMessage,
  readLink,
  upFlags,
} from "../rtnetlink/link.ts";
import type { LinkStats } from "../rtnetlink/link_stats.ts";
import { nsidOf } from "../scope/removal.ts";
import { scopeOf } from "../scope/scope.ts";
import { LinkAddresses } from "./addresses.ts";
import { changeRequests, createLink } from "./create.ts";
import {
  indexOf,
  type LinkHandle,
  type LinkOptions,
  type LinkSettings,
  type LinkTarget,
  settingsMessage,
  splitOptions,
} from "./options.ts";
import { verify } from "./verify.ts";
import { checkOptions, show } from "../options.ts";

/** Options of {@link Link.create}. */
export interface GenericLinkOptions extends LinkOptions {
  /** The kernel's name of the kind: `bridge`, `veth`, `dummy`, ... */
  readonly kind: string;
  /** The kind's options, by the names of its class; bytes for a kind that netloom has no class for. */
  readonly data?: object;
  /** The link this one sits on. */
  readonly parent?: LinkTarget;
}

/** Options of {@link Link.get}. */
export interface LinkGetOptions {
  /** Where the link is. Default: the namespace calls land in now. */
  readonly netns?: NetNsTarget;
}

/** What a link handle knows. For the constructors of link kinds. */
export interface LinkState {
  /** Where it is. */
  readonly netns: ResolvedNetNs;
  /** The link when it was made or read. */
  readonly info: LinkInfo;
  /** Its kind. */
  readonly kind: string | undefined;
  /** Whether disposing the handle deletes the link. */
  readonly owned: boolean;
}

/** Options of {@link Link.waitFor}. */
export interface WaitForOptions {
  /** Milliseconds to wait; default: for ever. */
  readonly timeout?: number;
  /** Ends the wait early. */
  readonly signal?: AbortSignal;
}

const GET_OPTIONS = { netns: true };
const WAIT_OPTIONS = { timeout: true, signal: true };

/**
 * A link: a handle that owns it, or borrows it.
 *
 * @example Reading and changing a link
 * ```ts
 * import { Link, NetNs } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * using lo = Link.get("lo", { netns });
 * lo.set({ mtu: 9000, alias: "the loop" });
 * assertEquals(lo.read().mtu, 9000);
 * ```
 */
export class Link implements LinkHandle, Disposable {
  #netns: ResolvedNetNs;
  #index: number;
  #name: string;
  #owned: boolean;
  /** The kind: `veth`, `bridge`; `undefined` for loopback and physical links. */
  readonly kind: string | undefined;

  /** For link kinds: wraps a link that was made or read. */
  constructor(state: LinkState) {
    this.#netns = state.netns;
    this.#index = state.info.index;
    this.#name = state.info.name;
    this.#owned = state.owned;
    this.kind = state.kind;
  }

  /**
   * Makes a link of any kind, also one that netloom has no class for.
   *
   * @param options What every link has, the `kind`, and its options in `data`.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken, EOPNOTSUPP when the kernel lacks the kind.
   * @throws {TypeError} For malformed options; nothing is made then.
   *
   * @example A kind by its name
   * ```ts
   * import { Link, NetNs } from "@netloom/netloom";
   *
   * using netns = NetNs.create();
   * Link.create({ kind: "bridge", name: "br0", netns, data: { stp: true } });
   * ```
   */
  static create(options: GenericLinkOptions): Link {
    const { common, own } = splitOptions<{ kind: string; data?: object; parent?: LinkTarget }>(
      options,
    );
    const { kind, data, parent, ...unknown } = own;
    for (const key in unknown) throw new TypeError(`Unknown option ${show(key)}`);
    if (typeof kind !== "string" || kind === "") {
      throw new TypeError(`kind must name a link kind: got ${show(kind)}`);
    }
    const { netns, info } = createLink(
      kind,
      common,
      data,
      (ref) => parent === undefined ? {} : parentMessage(parent, ref),
    );
    return new Link({ netns, info, kind, owned: true });
  }

  /**
   * Finds a link. The kernel looks this one up; no table is read.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle: disposing it does not delete the link.
   * @throws {NetlinkError} ENODEV when there is none.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Link {
    return new Link(findLink(selector, options));
  }

  /** Its namespace. */
  get ref(): NetNsRef {
    return this.#netns.ref;
  }

  /** Its index in its namespace. */
  get index(): number {
    return this.#index;
  }

  /** Its name, as far as this handle knows. */
  get name(): string {
    return this.#name;
  }

  /** Whether disposing the handle deletes the link. */
  get owned(): boolean {
    return this.#owned;
  }

  /** Reads everything the kernel says of the link, counters included. ENODEV when it is gone. */
  read(): LinkInfo {
    const info = connectionTo(this.ref).request(getLink(this.#index));
    this.#name = info.name;
    return info;
  }

  /** Reads its counters. */
  stats(): LinkStats {
    return this.read().stats!;
  }

  /** Brings the link up. */
  up(): this {
    return this.change(upFlags(true));
  }

  /** Takes the link down. */
  down(): this {
    return this.change(upFlags(false));
  }

  /**
   * Changes settings of the living link, and checks that the kernel took them.
   *
   * @param settings What to change; what is `undefined` stays.
   * @throws {NetlinkError} When the kernel refuses one, or ignores it.
   */
  set(settings: LinkSettings): this {
    return this.change(settingsMessage(settings, this.ref));
  }

  /** Gives the link another name. EBUSY while it is up, on kernels before 6.2; EEXIST when taken. */
  rename(name: string): this {
    this.change({ name: checkLinkName(name) }, `rename ${this.#what} to ${show(name)}`);
    this.#name = name;
    return this;
  }

  /** Adds alternative names, up to 127 bytes each. Linux 5.5. */
  addAltNames(...names: string[]): this {
    connectionTo(this.ref).request(addAltNames(this.#index, names, this.#what));
    return this;
  }

  /** Removes alternative names. */
  deleteAltNames(...names: string[]): this {
    connectionTo(this.ref).request(deleteAltNames(this.#index, names, this.#what));
    return this;
  }

  /**
   * Moves the link to another namespace. It goes down and loses its addresses there. The handle follows:
   * its index may change.
   *
   * @param target The namespace.
   * @throws {NetlinkError} EEXIST when the name is taken there, EINVAL for links that cannot move.
   */
  move(target: NetNsTarget): this {
    const to = resolveNetNs(target);
    try {
      if (!sameNetNs(to.ref, this.ref)) {
        const scope = scopeOf(this.read().group);
        scope?.visit(to.ref);
        const where = to.ref.description || "the process's netns";
        this.change({ netnsFd: to.ref.fd.value }, `move ${this.#what} to ${where}`);
        const before = scope?.dropLink(this.ref, this.#index);
        this.#index = connectionTo(to.ref).request(getLink(this.#name, { stats: false })).index;
        const after = { ref: to.ref, index: this.#index, what: this.#what, ipv6: false };
        // A descriptor that is joined to it stays so, and keeps the namespace alive that it was opened in.
        scope?.addLink({ ...before, ...after });
        if (to.owned) scope?.use(to.ref);
      }
    } catch (error) {
      if (to.owned) to.ref.close();
      throw error;
    }
    if (this.#netns.owned) this.#netns.ref.close();
    this.#netns = to;
    return this;
  }

  /** Its IP addresses. */
  get addresses(): LinkAddresses {
    return new LinkAddresses(this);
  }

  /**
   * Resolves with the link when `condition` holds for it, at once if it does now.
   *
   * @param condition Looks at the link after each change the kernel reports.
   * @param options Timeout and abort signal.
   * @throws {DOMException} `TimeoutError` after `timeout` milliseconds.
   * @throws {NetlinkError} ENODEV when the link is gone or goes.
   *
   * @example Waiting for the carrier
   * ```ts
   * import { NetNs, Veth } from "@netloom/netloom";
   *
   * using netns = NetNs.create();
   * const veth = Veth.create({ name: "a", netns, up: true, peer: { name: "b", netns } });
   * const carrier = veth.waitFor((link) => link.carrier === true, { timeout: 5000 });
   * veth.peer.up();
   * await carrier;
   * ```
   */
  async waitFor(
    condition: (link: LinkInfo) => boolean,
    options: WaitForOptions = {},
  ): Promise<LinkInfo> {
    checkOptions(options, WAIT_OPTIONS);
    const { timeout, signal } = options;
    const signals = signal ? [signal] : [];
    if (timeout !== undefined) signals.push(AbortSignal.timeout(timeout));
    const until = AbortSignal.any(signals);
    until.throwIfAborted();
    using events = new Subscription(this.ref, [RTNLGRP.LINK]);
    let info: LinkInfo | undefined = this.read();
    while (!info || !condition(info)) {
      await events.ready(until);
      let found: LinkInfo | undefined;
      const overrun = events.drain((header, source) => {
        if (header.type !== RTM.NEWLINK && header.type !== RTM.DELLINK) return;
        const event = readLink(source, header.start, header.end);
        // Bridge ports and the like send messages of their own families about the same link.
        if (event.index !== this.#index || event.family !== 0) return;
        if (header.type === RTM.DELLINK) throw this.#gone();
        if (!found || !condition(found)) found = event;
      });
      info = overrun ? this.read() : found;
    }
    return info;
  }

  /**
   * Captures its frames, from this call on; see {@link Capture}. The loop ends with the link, and with this
   * handle where that has opened the namespace.
   *
   * @param options Filter, snap length, direction, until when.
   * @returns The frames. A frame's `data` is a view, valid until the next frame is asked for.
   * @throws {SyscallError} EPERM without CAP_NET_RAW, ENODEV when the link is gone.
   * @throws {TypeError} For malformed options.
   * @throws {RangeError} For numbers out of range.
   *
   * @example The first reply to a ping
   * ```ts
   * import { NetNs, Veth } from "@netloom/netloom";
   * import { assertEquals } from "@std/assert";
   *
   * using a = NetNs.create();
   * using b = NetNs.create();
   * const veth = Veth.create({
   *   name: "v0",
   *   netns: a,
   *   up: true,
   *   addresses: ["10.0.0.1/24"],
   *   peer: { name: "v0", netns: b, up: true, addresses: ["10.0.0.2/24"] },
   * });
   * await veth.waitFor((link) => link.operstate === "up");
   * using frames = veth.capture({ filter: { protocol: "icmp", srcHost: "10.0.0.2" } });
   * await a.ping("10.0.0.2");
   * for await (const frame of frames) {
   *   assertEquals([frame.direction, frame.length], ["in", 14 + 20 + 8 + 56]);
   *   break;
   * }
   * ```
   */
  capture(options: CaptureOptions = {}): Capture {
    return openCapture(this.ref, this, options);
  }

  /** Deletes the link. ENODEV when it is gone already. */
  delete(): void {
    connectionTo(this.ref).request(deleteLink({ index: this.#index }, this.#what));
    this.#release();
  }

  /** Gives ownership up: the link stays when the handle is disposed. */
  persist(): this {
    this.#owned = false;
    return this;
  }

  /**
   * Deletes the link if the handle owns it and it is still the same; closes what the handle has opened.
   * A link that is gone already is no error.
   */
  [Symbol.dispose](): void {
    try {
      if (this.#owned && !this.ref.fd.closed && this.#same()) {
        connectionTo(this.ref).request(deleteLink({ index: this.#index }, this.#what));
      }
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.code !== "ENODEV") throw error;
    } finally {
      this.#release();
    }
  }

  /** For link kinds: sends a change and checks that the kernel took it; `operation` is for errors. */
  protected change(message: LinkMessage, operation?: string): this {
    const connection = connectionTo(this.ref);
    const requests = changeRequests(this.#index, message, this.#what)
      .map((request) => operation === undefined ? request : { ...request, operation });
    for (const result of connection.batch(requests)) {
      if (!result.ok) throw result.error;
    }
    if (message.netnsFd === undefined) {
      const info = connection.request(getLink(this.#index, { stats: false }));
      verify(message, info, this.kind ?? "link", this.#what, this.ref);
    }
    return this;
  }

  /** Indexes get reused: whether the one this handle has is still its link's. */
  #same(): boolean {
    const info = connectionTo(this.ref).request(getLink(this.#index, { stats: false }));
    return info.name === this.#name && info.linkInfo?.kind === this.kind;
  }

  #release(): void {
    this.#owned = false;
    if (this.#netns.owned) this.#netns.ref.close();
  }

  #gone(): NetlinkError {
    return new NetlinkError({
      operation: `wait for ${this.#what}`,
      netns: this.ref.description,
      errno: ERRNO.ENODEV,
    });
  }

  get #what(): string {
    return `${this.kind ?? "link"} ${show(this.#name)}`;
  }

  /** Prints the handle as `veth "tap1" (index 5) in netns "ns1"`. */
  [Symbol.for("Deno.customInspect")](): string {
    const where = this.ref.description ? ` in ${this.ref.description}` : "";
    return `${this.#what} (index ${this.#index})${where}`;
  }
}

/** What link kinds extend: {@link Link} without its static functions, since every kind has its own. */
export const LinkBase: new (state: LinkState) => Link = Link;

/** Finds a link for a borrowed handle; with `kind`, it must be of that kind. */
export function findLink(
  selector: string | number,
  options: LinkGetOptions = {},
  kind?: string,
): LinkState {
  checkOptions(options, GET_OPTIONS);
  const netns = resolveNetNs(options.netns);
  try {
    const info = connectionTo(netns.ref).request(getLink(selector, { stats: false }));
    const actual = info.linkInfo?.kind;
    if (kind !== undefined && actual !== kind) {
      throw new TypeError(`Link ${show(info.name)} is not a ${kind}: its kind is ${actual}`);
    }
    return { netns, info, kind: actual, owned: false };
  } catch (error) {
    if (netns.owned) netns.ref.close();
    throw error;
  }
}

/** A parent in a creating message, also one in another namespace. */
export function parentMessage(parent: LinkTarget, ref: NetNsRef): LinkMessage {
  if (typeof parent === "object" && !sameNetNs(parent.ref, ref)) {
    return { parent: parent.index, linkNetnsId: nsidOf(ref, parent.ref) };
  }
  return { parent: indexOf(parent, ref, "parent") };
}
