/**
 * The base of all links.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { type NetNsRef, sameNetNs } from "../../ffi/namespace.ts";
import {
  connectionTo,
  type NetNsTarget,
  type ResolvedNetNs,
  resolveNetNs,
} from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { Subscription } from "../netlink/socket.ts";
import { checkFunction, checkOptions, integer, type OptionNames, show } from "../options.ts";
import { RTM, RTNLGRP } from "../rtnetlink/constants.ts";
import { checkLinkName } from "../rtnetlink/fields.ts";
import {
  addAltNames,
  deleteAltNames,
  deleteLink,
  getLink,
  getLinkMessage,
  type GetLinkOptions,
  kindOf,
  type LinkMessage,
  upFlags,
} from "../rtnetlink/link.ts";
import type { LinkStats } from "../rtnetlink/link_attributes.ts";
import { type LinkInfo, linkKind, readLink } from "../rtnetlink/link_info.ts";
import { describeLink, isHandle } from "../rtnetlink/link_target.ts";
import { nameHandle } from "../scope/namespaces.ts";
import { nsidOf } from "../scope/removal.ts";
import { scopeOf, scopes } from "../scope/scope.ts";
import { LinkAddresses } from "./addresses.ts";
import { changeRequests, refusal } from "./create.ts";
import { freeIndex, type LinkState, nameRelated } from "./find.ts";
import {
  type GenericLinkSettings,
  kindData,
  type LinkSettings,
  SETTINGS,
  settingsMessage,
  splitOptions,
} from "./options.ts";
import { explainRefusal } from "./supports.ts";
import { LinkTraffic } from "./traffic.ts";
import { takenReason, verify } from "./verify.ts";

/** Options of {@link Link.waitFor}. */
export interface WaitForOptions {
  /** Milliseconds to wait; default: for ever. */
  readonly timeout?: number;
  /** Ends the wait early. */
  readonly signal?: AbortSignal;
}

const WAIT_OPTIONS: OptionNames<WaitForOptions> = { timeout: true, signal: true };

/**
 * The base of all links: a handle that owns a link, or borrows it. Each kind has a class of its own that
 * extends this one; {@link Link} finds and creates links of any kind.
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
export class LinkBase extends LinkTraffic implements Disposable {
  #netns: ResolvedNetNs;
  #index: number;
  #name: string;
  #owned: boolean;
  /** The kind: `veth`, `bridge`; `undefined` for loopback and physical links. */
  readonly kind: string | undefined;

  /** For link kinds: wraps a link that was created or found. */
  constructor(state: LinkState) {
    super();
    this.#netns = state.netns;
    this.#index = state.index;
    this.#name = state.name;
    this.#owned = state.owned;
    this.kind = state.kind;
    if (state.netns.owned) this.#nameHandle();
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

  /**
   * Reads everything that the kernel reports of the link, counters included.
   *
   * @returns The link. After a look at its `kind`, its `options` are typed.
   * @throws {NetlinkError} ENODEV when the link is gone.
   */
  read(): LinkInfo {
    const connection = connectionTo(this.ref);
    const info = this.#get();
    this.#name = info.name;
    nameRelated(connection, [info]);
    return info;
  }

  /**
   * Reads the options of its kind.
   *
   * @returns The options by their names in {@link LinkBase.set}; bytes for a kind that netloom does not know.
   * @throws {NetlinkError} ENODEV when the link is gone.
   */
  options(): object {
    const info = this.#get({ stats: false });
    return info.kind === undefined ? {} : info.options;
  }

  /** Reads its counters. */
  stats(): LinkStats {
    return this.#get().stats!;
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
   * Changes settings of the living link and options of its kind, and verifies that the kernel took them.
   *
   * @param settings The values to change; others stay as they are. The class of a kind takes the kind's
   * own options, too.
   * @throws {NetlinkError} When the kernel refuses a value, or ignores it.
   * @throws {UnsupportedError} When the running kernel lacks an option.
   * @throws {RangeError} For a number out of range; nothing is changed then.
   * @throws {TypeError} For an unknown or malformed option; nothing is changed then.
   */
  set(settings: GenericLinkSettings): this {
    const kind = linkKind(this.kind);
    const { common, own } = splitOptions<LinkSettings>(settings, kind?.options ?? {}, SETTINGS);
    const current = () => this.#get({ stats: false });
    if (common.group !== undefined) {
      integer(common.group, "group", 0, 0xffffffff);
      this.#refuseGroup(common.group, current());
    }
    const message = settingsMessage(common, this.ref, current);
    if (Object.keys(own).length > 0) {
      const below = this.#linkNetns(kind!.links ?? [], own, current);
      const { data } = kindData(kind!, own, this.ref, {
        current: () => this.options(),
        ...(below && { below }),
      });
      message.linkInfo = { ...message.linkInfo, kind: this.kind!, data };
    }
    return this.change(message);
  }

  /** The namespace of the links that the kind's options name, where that is another one. */
  #linkNetns(keys: readonly string[], own: object, current: () => LinkInfo): NetNsRef | undefined {
    const key = keys.find((key) => (own as Record<string, unknown>)[key] !== undefined);
    const { linkNetnsId } = key === undefined ? {} : current();
    if (linkNetnsId === undefined) return undefined;
    const target = (own as Record<string, unknown>)[key!];
    if (isHandle(target) && nsidOf(this.ref, target.ref) === linkNetnsId) return target.ref;
    throw new TypeError(
      `${key} of ${this.#what} must be a handle in the namespace with id ${linkNetnsId}, where the ` +
        `link below is: got ${isHandle(target) ? `a link in ${target.ref.label}` : show(target)}`,
    );
  }

  /** A scope finds its links by their group: another group would leave the link behind. */
  #refuseGroup(group: number, info: LinkInfo): void {
    const owned = scopeOf(info.group)?.links.some(({ ref, index }) =>
      index === info.index && sameNetNs(ref, this.ref)
    );
    if (!owned || group === info.group) return;
    throw new TypeError(
      `group ${group} of ${this.#what}: a scope owns the link, and links of a scope are in the scope's group`,
    );
  }

  /**
   * Renames the link.
   *
   * @param name The name, 1 to 15 bytes.
   * @throws {NetlinkError} EEXIST when the name is taken; EBUSY while the link is up, on kernels before 6.2.
   * @throws {TypeError} For a malformed name.
   * @throws {RangeError} For a name that is too long.
   */
  rename(name: string): this {
    this.change({ name: checkLinkName(name) }, `rename ${this.#what} to ${show(name)}`);
    this.#name = name;
    return this;
  }

  /**
   * Adds alternative names. Linux 5.5.
   *
   * @param names The names, up to 127 bytes each.
   * @throws {NetlinkError} EEXIST when a name is taken.
   * @throws {TypeError} For a malformed name.
   * @throws {RangeError} For a name that is too long.
   */
  addAltNames(...names: string[]): this {
    connectionTo(this.ref).request(addAltNames(this.#index, names, this.#what));
    return this;
  }

  /**
   * Removes alternative names.
   *
   * @param names The names.
   * @throws {NetlinkError} ENOENT when the link does not have one of them.
   */
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
      if (!sameNetNs(to.ref, this.ref)) this.#moveTo(to);
    } catch (error) {
      if (to.owned) to.ref.close();
      throw error;
    }
    if (this.#netns.owned) this.#netns.ref.close();
    this.#netns = to;
    if (to.owned) this.#nameHandle();
    return this;
  }

  #moveTo(to: ResolvedNetNs): void {
    const info = this.read();
    const scope = scopeOf(info.group);
    if (scope) scopes.visit(scope, to.ref);
    const there = connectionTo(to.ref);
    // The index finds the link there even if its name changes meanwhile.
    const newIndex = freeIndex(there, this.#index);
    const message: LinkMessage = { netnsFd: to.ref.fd.value, newIndex };
    const operation = `move ${this.#what} from ${this.ref.label} to ${to.ref.label}`;
    try {
      this.change(message, operation);
    } catch (error) {
      throw this.#refusedThere(error as Error, operation, to.ref);
    }
    const before = scope && scopes.dropLink(scope, this.ref, this.#index);
    this.#index = newIndex;
    const after = { ref: to.ref, index: this.#index, what: this.#what, ipv6: false };
    // A descriptor that is joined to it stays so, and keeps the namespace alive that it was opened in.
    if (scope) scopes.addLink(scope, { ...before, ...after });
    if (to.owned) scope?.use(to.ref);
  }

  /** A name that is taken in the namespace where the link goes is told of that namespace. */
  #refusedThere(error: Error, operation: string, to: NetNsRef): Error {
    if (!(error instanceof NetlinkError) || error.code !== "EEXIST") return error;
    const { errno, ack } = error;
    const names = [this.#name, ...this.read().altNames ?? []];
    const hint = names.map((name) => takenReason({ name }, to)).find(Boolean);
    return new NetlinkError({
      operation,
      netns: to.description,
      errno,
      ack,
      ...(hint !== undefined && { hint }),
    });
  }

  /** Its IP addresses. */
  get addresses(): LinkAddresses {
    return new LinkAddresses(this);
  }

  /**
   * Resolves with the link when `condition` holds for it, at once if it does now. It looks at this end only:
   * {@link Scope.ready} looks at all links of a scope, and at the ports of bridges between them.
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
    checkFunction(condition, "condition");
    checkOptions(options, WAIT_OPTIONS);
    const { timeout, signal } = options;
    const clock = timeout === undefined ? [] : [AbortSignal.timeout(timeout)];
    const until = AbortSignal.any(signal ? [signal, ...clock] : clock);
    until.throwIfAborted();
    using events = new Subscription(this.ref, [RTNLGRP.LINK]);
    let info: LinkInfo | undefined = this.read();
    let last = info;
    while (!info || !condition(info)) {
      last = info ?? last;
      try {
        await events.ready(until);
      } catch (error) {
        throw error === clock[0]?.reason ? this.#late(timeout!, last) : error;
      }
      let found: LinkInfo | undefined;
      const overrun = events.drain((header, source) => {
        if (header.type !== RTM.NEWLINK && header.type !== RTM.DELLINK) return;
        const event = readLink(source, header.start, header.end);
        // Bridge ports and the like send messages of their own families about the same link.
        if (event.index !== this.#index || source.bytes[header.start] !== 0) return;
        if (header.type === RTM.DELLINK) throw this.#gone();
        if (!found || !condition(found)) found = event;
      });
      info = overrun ? this.read() : found;
    }
    return info;
  }

  /**
   * Deletes the link.
   *
   * @throws {NetlinkError} ENODEV when it is gone already, EOPNOTSUPP for a link that cannot be deleted.
   */
  delete(): void {
    connectionTo(this.ref).request(deleteLink({ index: this.#index }, this.#what));
    this.#release();
  }

  /** Gives up ownership: the link stays when the handle is disposed. */
  persist(): this {
    this.#owned = false;
    return this;
  }

  /**
   * Deletes the link if the handle owns it and it is still the same; closes the descriptors of the handle.
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

  /** For link kinds: sends a change and verifies that the kernel took it; `operation` is for errors. */
  protected change(message: LinkMessage, operation?: string): this {
    const connection = connectionTo(this.ref);
    const requests = changeRequests(this.#index, message, this.#what)
      .map((request) => operation === undefined ? request : { ...request, operation });
    for (const result of connection.batch(requests)) {
      if (result.ok) continue;
      throw refusal(
        this.kind ?? "link",
        result.error,
        { ...message, index: this.#index },
        this.ref,
      );
    }
    if (message.netnsFd === undefined) {
      const got = connection.request(getLinkMessage(this.#index));
      try {
        verify(message, got, this.#what, this.ref);
      } catch (error) {
        throw explainRefusal(this.kind ?? "link", message.linkInfo, error as Error);
      }
    }
    return this;
  }

  /** The error for a namespace that this handle keeps names the handle. */
  #nameHandle(): void {
    nameHandle(this.ref, () => `the handle of ${this.#what}`);
  }

  #get(options?: GetLinkOptions): LinkInfo {
    const request = getLink(this.#index, options);
    return connectionTo(this.ref).request({ ...request, operation: `read ${this.#what}` });
  }

  /** Whether this handle's index is still that of its link: the kernel reuses indexes. */
  #same(): boolean {
    const info = this.#get({ stats: false });
    return info.name === this.#name && kindOf(info) === this.kind;
  }

  #release(): void {
    this.#owned = false;
    if (this.#netns.owned) this.#netns.ref.close();
  }

  #late(timeout: number, last: LinkInfo): DOMException {
    if (!this.ref.fd.closed) nameRelated(connectionTo(this.ref), [last]);
    return new DOMException(
      `wait for ${this.#what}${this.ref.place}: timed out after ${timeout} ms; last state: ${
        stateOf(last)
      }`,
      "TimeoutError",
    );
  }

  #gone(): NetlinkError {
    return new NetlinkError({
      operation: `wait for ${this.#what}`,
      netns: this.ref.description,
      errno: ERRNO.ENODEV,
    });
  }

  get #what(): string {
    return describeLink({ kind: this.kind, name: this.#name });
  }

  /** Prints the handle as `veth "tap1" (index 5) in netns "ns1"`. */
  [Symbol.for("Deno.customInspect")](): string {
    return `${this.#what} (index ${this.#index})${this.ref.place}`;
  }
}

/** The state of a link in a sentence. */
function stateOf({ up, carrier, operstate, mtu, master, masterName }: LinkInfo): string {
  const parts = [up ? "up" : "down", `operstate ${operstate}`, `mtu ${mtu}`];
  if (carrier !== undefined) parts.splice(1, 0, carrier ? "carrier" : "no carrier");
  if (master) parts.push(`master ${masterName === undefined ? master : show(masterName)}`);
  return parts.join(", ");
}
