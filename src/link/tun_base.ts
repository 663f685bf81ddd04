/**
 * What TUN and TAP links have in common: an interface joined to a descriptor.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import type { Fd } from "../../ffi/fd.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import {
  IFF_TUN_FLAGS,
  type InterfaceRequest,
  openTunDevice,
  setInterface,
  tunIoctlValue,
} from "../../ffi/tun.ts";
import { TunQueue } from "../device/tun_queue.ts";
import { show } from "../netlink/attribute.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { checkOptions } from "../netlink/options.ts";
import { registerKind } from "../rtnetlink/kinds.ts";
import { getLink, type LinkInfo, type LinkMessage, setLink } from "../rtnetlink/link.ts";
import { checkLater, finishEnd, own as ownBy, resolveEnd } from "./create.ts";
import { findLink, Link, type LinkGetOptions, type LinkState } from "./link.ts";
import { type End, type LinkHandle, prepareEnd, splitOptions } from "./options.ts";
import {
  TUN_OPTIONS,
  type TUN_TYPES,
  type TunInfo,
  type TunOptions,
  type TunQueueOptions,
  tunSchema,
} from "./tun_options.ts";

registerKind({ kind: "tun", data: tunSchema });

type Type = keyof typeof TUN_TYPES;

/** Options of attaching to an existing link. */
export interface TunAttachOptions extends LinkGetOptions, TunQueueOptions {}

const ATTACH_OPTIONS: ReadonlySet<string> = new Set([
  "netns",
  "vnetHdr",
  "packetInfo",
  "offloads",
  "sendBuffer",
]);

/** A TUN or TAP: a link, and a queue of it that is a packet device. */
export class TunLink extends TunQueue implements LinkHandle {
  /** The link: its addresses, settings, counters. */
  readonly link: Link;
  readonly #type: Type;

  /** For {@link Tun} and {@link Tap}: wraps what {@link createTun} or {@link attachTun} gave. */
  constructor(type: Type, { fd, state, flags }: AttachedTun) {
    const what = describe(type, state.info.name, state.netns.ref);
    super(fd, what, (flags & IFF_TUN_FLAGS.VNET_HDR) !== 0, (flags & IFF_TUN_FLAGS.NO_PI) === 0);
    this.link = new Link(state);
    this.#type = type;
  }

  /** The link's name. */
  get name(): string {
    return this.link.name;
  }

  /** The link's index. */
  get index(): number {
    return this.link.index;
  }

  /** The link's namespace. */
  get ref(): NetNsRef {
    return this.link.ref;
  }

  /** What the kernel reports of it as a TUN or TAP. */
  options(): TunInfo {
    return this.link.read().linkInfo!.data as unknown as TunInfo;
  }

  /**
   * Opens one more queue of a link with `multiQueue`. The kernel spreads flows over the attached
   * queues; each can be handed to a worker of its own.
   *
   * @param options What the queue is like; default: as this one.
   * @throws {SyscallError} EINVAL when the link has one queue only, E2BIG beyond 256.
   */
  openQueue(options: TunQueueOptions = {}): TunQueue {
    const { vnetHdr = this.vnetHdr, packetInfo = this.packetInfo, ...rest } = options;
    const what = `open a queue of ${this.what}`;
    const { MULTI_QUEUE } = IFF_TUN_FLAGS;
    const fd = openTunDevice(this.ref, what);
    try {
      const flags = flagsOf(this.#type, { vnetHdr, packetInfo }) | MULTI_QUEUE;
      setInterface(fd, { name: this.name, flags }, what);
      return setUp(new TunQueue(fd, `queue of ${this.what}`, vnetHdr, packetInfo), rest);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** Makes the link stay when its last queue closes, and gives ownership up. */
  persist(): this {
    tunIoctlValue(this.fd, "SETPERSIST", 1, `make ${this.what} persistent`);
    this.link.persist();
    return this;
  }

  /**
   * Closes the queue, and deletes the link if this handle owns it. A second call does nothing. The
   * scope that owns it does the same, for many at once.
   */
  override close(): void {
    if (this.closed) return;
    try {
      this.link[Symbol.dispose]();
    } finally {
      super.close();
    }
  }
}

/** What the class needs. */
export interface AttachedTun {
  /** Owner of the descriptor. */
  readonly fd: Fd;
  /** The link. */
  readonly state: LinkState;
  /** `IFF_TUN_FLAGS` that the kernel gave. */
  readonly flags: number;
}

/** Makes a TUN or TAP. `finish` does what the type needs with the finished handle. */
export function createTun<T extends TunLink>(
  type: Type,
  options: TunOptions,
  make: (attached: AttachedTun) => T,
): T {
  const name = options.name ?? `${type}%d`;
  const { common, own } = splitOptions<TunOptions>({ ...options, name });
  checkOptions(own, TUN_OPTIONS);
  const { exclusive = true, persistent = false, multiQueue = false, linkType } = own;
  for (const key of ["owner", "ownerGroup", "linkType"] as const) checkId(key, own[key]);
  const netns = resolveEnd(common);
  let fd: Fd | undefined;
  try {
    // Bad input is found while nothing exists; the kernel puts a number in place of a pattern's %d.
    const example = typeof name === "string" ? name.replace("%d", "0") : name;
    const prepared = prepareEnd({ ...common, name: example }, netns.ref, common.scope);
    checkLater(type, prepared);
    common.scope?.visit(netns.ref);
    const what = `create ${describe(type, name, netns.ref)}`;
    fd = openTunDevice(netns.ref, what);
    const flags = flagsOf(type, own) | (exclusive ? IFF_TUN_FLAGS.TUN_EXCL : 0) |
      (multiQueue ? IFF_TUN_FLAGS.MULTI_QUEUE : 0);
    const got = attach(fd, { name, flags }, what);
    if (linkType !== undefined) tunIoctlValue(fd, "SETLINK", linkType, `set linkType: ${what}`);
    if (own.owner !== undefined) tunIoctlValue(fd, "SETOWNER", own.owner, what);
    if (own.ownerGroup !== undefined) tunIoctlValue(fd, "SETGROUP", own.ownerGroup, what);
    const end: End = named(prepared, got.name);
    const info = configure(type, end);
    const state: LinkState = { netns, info, kind: "tun", owned: true };
    const tun = setUp(make({ fd, state, flags: got.flags }), own);
    if (persistent) tunIoctlValue(fd, "SETPERSIST", 1, `make ${tun.name} persistent`);
    ownBy(common.scope, type, end, info, netns, () => tun.close());
    return tun;
  } catch (error) {
    // A link that is not persistent yet goes with its only descriptor.
    fd?.close();
    if (netns.owned) netns.ref.close();
    throw error;
  }
}

/** Attaches to a link that exists. */
export function attachTun<T extends TunLink>(
  type: Type,
  selector: string | number,
  options: TunAttachOptions,
  make: (attached: AttachedTun) => T,
): T {
  checkOptions(options, ATTACH_OPTIONS);
  const { netns: target, ...own } = options;
  const state = findLink(selector, target === undefined ? {} : { netns: target });
  const { netns, info } = state;
  let fd: Fd | undefined;
  try {
    const data = info.linkInfo?.data as unknown as TunInfo | undefined;
    if (state.kind !== "tun" || data?.type !== type) {
      const actual = data?.type ?? state.kind ?? "link";
      throw new TypeError(`Link ${show(info.name)} is not a ${type}: it is a ${actual}`);
    }
    const what = `attach to ${describe(type, info.name, netns.ref)}`;
    fd = openTunDevice(netns.ref, what);
    const { vnetHdr = data.vnetHdr, packetInfo = data.packetInfo } = own;
    const flags = flagsOf(type, { vnetHdr, packetInfo }) |
      (data.multiQueue ? IFF_TUN_FLAGS.MULTI_QUEUE : 0);
    const got = attach(fd, { name: info.name, flags }, what);
    const now = connectionTo(netns.ref).request(getLink(got.name, { stats: false }));
    // It went meanwhile, and attaching has made another one, which closing takes away.
    if (now.index !== info.index) throw gone(what, netns.ref);
    return setUp(make({ fd, state: { ...state, owned: false }, flags: got.flags }), own);
  } catch (error) {
    fd?.close();
    if (netns.owned) netns.ref.close();
    throw error;
  }
}

function attach(fd: Fd, request: InterfaceRequest, what: string): InterfaceRequest {
  try {
    return setInterface(fd, request, what);
  } catch (error) {
    if (!(error instanceof SyscallError) || error.errno !== ERRNO.EBUSY) throw error;
    const exclusive = (request.flags & IFF_TUN_FLAGS.TUN_EXCL) !== 0;
    const hint = exclusive
      ? "a link of that name exists: attach() joins an existing TUN or TAP"
      : "another program is attached to it, and it has no further queue";
    throw new SyscallError(what, error.syscall, error.errno, hint);
  }
}

/** Everything that rtnetlink can say of a link is said once the kernel has made it. */
function configure(type: Type, end: End): LinkInfo {
  const { name: _, ...settings } = end.first;
  const connection = connectionTo(end.ref);
  const made = connection.request(getLink(end.options.name, { stats: false }));
  const what = `${type} ${show(end.options.name)}`;
  if (Object.keys(settings).length > 0) {
    connection.request(setLink({ ...settings, index: made.index }, what));
  }
  return finishEnd(type, end, made.index);
}

function named(end: End, name: string): End {
  const first: LinkMessage = { ...end.first, name };
  return { ...end, first, options: { ...end.options, name } };
}

function flagsOf(type: Type, options: TunQueueOptions): number {
  const { TUN, TAP, NO_PI, VNET_HDR } = IFF_TUN_FLAGS;
  const { offloads, packetInfo = false } = options;
  const wants = Array.isArray(offloads) ? offloads.length > 0 : offloads === true;
  const vnetHdr = options.vnetHdr ?? wants;
  for (const [key, value] of Object.entries({ vnetHdr, packetInfo })) {
    if (typeof value !== "boolean") {
      throw new TypeError(`${key} must be a boolean: the current value is ${show(value)}`);
    }
  }
  return (type === "tap" ? TAP : TUN) | (packetInfo ? 0 : NO_PI) | (vnetHdr ? VNET_HDR : 0);
}

function setUp<T extends TunQueue>(queue: T, options: TunQueueOptions): T {
  const { offloads, sendBuffer } = options;
  // The mask outlives descriptors: an earlier one's is not this one's.
  if (queue.vnetHdr || offloads !== undefined) queue.setOffloads(offloads ?? false);
  if (sendBuffer !== undefined) queue.sendBuffer = sendBuffer;
  return queue;
}

function describe(type: Type, name: string, ref: NetNsRef): string {
  return `${type} ${show(name)}${ref.description ? ` in ${ref.description}` : ""}`;
}

function checkId(key: string, value: number | undefined): void {
  if (value === undefined) return;
  if (!Number.isInteger(value) || value < 0 || value > 0xfffffffe) {
    throw new RangeError(`${key} must be in 0..4294967294: the current value is ${show(value)}`);
  }
}

function gone(operation: string, ref: NetNsRef): NetlinkError {
  return new NetlinkError({ operation, netns: ref.description, errno: ERRNO.ENODEV });
}
