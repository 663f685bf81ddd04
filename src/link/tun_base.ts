/**
 * The common part of TUN and TAP links: an interface joined to a descriptor.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import type { Fd } from "../../ffi/file.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import {
  IFF_TUN_FLAGS,
  type InterfaceRequest,
  openTunDevice,
  setInterface,
  tunIoctlInt,
  tunIoctlValue,
} from "../../ffi/packet_io.ts";
import type { DeviceTransfer } from "../device/packet_device.ts";
import { type Offload, TunQueue } from "../device/tun_queue.ts";
import { byteLength } from "../netlink/bytes.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { boolean, checkOptions, integer, type OptionNames, show } from "../options.ts";
import { getLink, type LinkMessage } from "../rtnetlink/link.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import type { TunInfo } from "../rtnetlink/link_kinds/plain.ts";
import type { LinkHandle } from "../rtnetlink/link_target.ts";
import { findLink, type LinkGetOptions, type LinkState } from "./find.ts";
import {
  changeRequests,
  ETHERNET,
  finishEnd,
  LaterRequests,
  own as ownBy,
  refusal,
  resolveEnd,
} from "./create.ts";
import { Link } from "./link.ts";
import { type End, LINK_OPTIONS, type LinkOptions, prepareEnd, splitOptions } from "./options.ts";
import { takenReason } from "./verify.ts";
import { scopes } from "../scope/scope.ts";

export type { TunInfo } from "../rtnetlink/link_kinds/plain.ts";

type Type = "tun" | "tap";

/** Properties of a queue. */
export interface TunQueueOptions {
  /**
   * Each packet has a `struct virtio_net_hdr` of 10 bytes in front, which describes a partial checksum
   * and segmentation. Default: false, or true with `offloads`.
   */
  readonly vnetHdr?: boolean;
  /** Each packet has a `struct tun_pi` of 4 bytes in front: flags and the EtherType. Default: false. */
  readonly packetInfo?: boolean;
  /** Partial checksums and GSO packets that the kernel may deliver; `true`: all. Default: none. */
  readonly offloads?: readonly Offload[] | boolean;
  /** Bytes of written packets on their way before writes wait, 1..2147483647. Default: the most. */
  readonly sendBuffer?: number;
}

/** Options of a TUN or TAP link. */
export interface TunCreateOptions extends Omit<LinkOptions, "name">, TunQueueOptions {
  /** Name, or a pattern: `t%d` takes the first number that is free. Default: `tun%d` or `tap%d`. */
  readonly name?: string;
  /**
   * The link must not exist. Default: true. Without it, an existing one that fits is attached to and
   * changed to these options; it stays when the handle is closed.
   */
  readonly exclusive?: boolean;
  /**
   * The link stays when its last queue closes, until something deletes it; the handle does not own it. A
   * `scope` removes it all the same. Default: false.
   */
  readonly persistent?: boolean;
  /** User id that may attach to it without privileges. Default: none. */
  readonly owner?: number;
  /** Group id whose users may attach to it without privileges. Default: none. */
  readonly ownerGroup?: number;
  /** More queues can be opened: {@link TunLink.openQueue}. Default: false. */
  readonly multiQueue?: boolean;
  /** Link layer type as a number, `ARPHRD_*` of `linux/if_arp.h`. Default: 65534 (none), TAP 1 (Ethernet). */
  readonly linkType?: number;
}

const TUN_OPTIONS = {
  vnetHdr: true,
  packetInfo: true,
  offloads: true,
  sendBuffer: true,
  exclusive: true,
  persistent: true,
  owner: true,
  ownerGroup: true,
  multiQueue: true,
  linkType: true,
};

/** A filter on the frames that a TAP delivers. */
export interface TapFilter {
  /** Delivers frames to these MACs; with none, all frames. */
  readonly macs: readonly string[];
  /** Frames to any group address too. Default: false. */
  readonly allMulticast?: boolean;
}

/** The names of {@link TapFilter}. */
export const FILTER_OPTIONS: OptionNames<TapFilter> = { macs: true, allMulticast: true };

/** Options of attaching to an existing link. */
export interface TunAttachOptions extends LinkGetOptions, TunQueueOptions {}

const QUEUE_OPTIONS: OptionNames<TunQueueOptions> = {
  vnetHdr: true,
  packetInfo: true,
  offloads: true,
  sendBuffer: true,
};
const ATTACH_OPTIONS: OptionNames<TunAttachOptions> = { ...QUEUE_OPTIONS, netns: true };

/** A TUN or TAP: a link, and a queue of it that is a packet device. */
export class TunLink extends TunQueue implements LinkHandle {
  /** The link: its addresses, settings, counters. */
  readonly link: Link;
  readonly #type: Type;

  /** For {@link Tun} and {@link Tap}: wraps the result of {@link createTun} or {@link attachTun}. */
  constructor(type: Type, { fd, state, info }: AttachedTun) {
    const { vnetHdr, packetInfo } = info;
    super(fd, describe(type, state.name, state.netns.ref), vnetHdr, packetInfo);
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

  /** Its options as a TUN or TAP, as the kernel reports them. */
  options(): TunInfo {
    return this.link.options() as TunInfo;
  }

  /**
   * Opens one more queue of a link with `multiQueue`. The kernel spreads flows over the attached
   * queues; each can be handed to a worker of its own.
   *
   * @param options Properties of the queue; default: those of this one. Offloads and the send buffer are the
   * link's: those of all queues change.
   * @throws {SyscallError} EINVAL when the link has one queue only, E2BIG beyond 256.
   * @throws {TypeError} For headers that differ from those of the link's other queues.
   */
  openQueue(options: TunQueueOptions = {}): TunQueue {
    checkOptions(options, QUEUE_OPTIONS);
    const { offloads = this.offloads, sendBuffer } = options;
    const { vnetHdr = this.vnetHdr, packetInfo = this.packetInfo } = options;
    const layout: Layout = { vnetHdr, packetInfo, multiQueue: true };
    const flags = flagsOf(this.#type, layout);
    const what = `open a queue of ${this.what}`;
    const fd = openTunDevice(this.ref, what);
    try {
      setInterface(fd, { name: this.name, flags }, what);
      checkLayout(layout, this.options(), this.what);
      const queue = new TunQueue(fd, `queue of ${this.what}`, vnetHdr, packetInfo);
      return setUp(queue, { offloads, ...(sendBuffer !== undefined && { sendBuffer }) });
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /**
   * Keeps the link when its last queue closes, and ends the ownership of this handle. A scope in which the link was
   * created still removes it.
   *
   * @throws {SyscallError} When the kernel refuses TUNSETPERSIST.
   */
  persist(): this {
    tunIoctlValue(this.fd, "SETPERSIST", 1, `make ${this.what} persistent`);
    this.link.persist();
    return this;
  }

  /** As {@link FdDevice.transfer}. The link goes with the descriptor, unless it is persistent. */
  override transfer(): DeviceTransfer {
    const transfer = super.transfer();
    this.link.persist()[Symbol.dispose]();
    return transfer;
  }

  /**
   * Closes the queue, and deletes the link if this handle owns it: a persistent link stays. A second call
   * does nothing. A scope removes its links, persistent ones too, for many at once.
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

/** The state that the class needs. */
export interface AttachedTun {
  /** Owner of the descriptor. */
  readonly fd: Fd;
  /** The link. */
  readonly state: LinkState;
  /** Its options as a TUN or TAP, as they are now. */
  readonly info: TunInfo;
}

/** Creates a TUN or TAP. `make` wraps it in the class of its type. */
export function createTun<T extends TunLink>(
  type: Type,
  options: TunCreateOptions,
  make: (attached: AttachedTun) => T,
): T {
  const known = type === "tap" ? { ...TUN_OPTIONS, filter: FILTER_OPTIONS } : TUN_OPTIONS;
  const { common: given, own: mine } = splitOptions<LinkOptions>(options, known, LINK_OPTIONS);
  const name = given.name ?? `${type}%d`;
  const common: LinkOptions = { ...given, name };
  const own = mine as TunCreateOptions;
  const { exclusive = true, persistent = false, multiQueue = false, linkType } = own;
  for (const [key, max] of IDS) checkId(key, own[key], max);
  checkBooleans({ exclusive, persistent });
  const layout: Layout = { ...headersOf(own), multiQueue };
  const flags = flagsOf(type, layout);
  const netns = resolveEnd(common);
  let fd: Fd | undefined;
  try {
    // Bad input is found while nothing exists; the kernel puts a number in place of a pattern's %d.
    const example = exampleOf(name);
    const prepared = prepareEnd({ ...common, name: example }, {
      ref: netns.ref,
      scope: common.scope,
      addressLength: type === "tap" && linkType === undefined ? ETHERNET : undefined,
    });
    const later = new LaterRequests(type, prepared);
    if (common.scope !== undefined) scopes.visit(common.scope, netns.ref);
    const what = `create ${describe(type, name, netns.ref)}`;
    fd = openTunDevice(netns.ref, what);
    const { index: wanted } = prepared.first;
    if (wanted !== undefined) tunIoctlInt(fd, "SETIFINDEX", wanted, what);
    const got = createOrJoin(fd, { name, flags }, { exclusive, what, end: prepared });
    if (linkType !== undefined) tunIoctlValue(fd, "SETLINK", linkType, `set linkType: ${what}`);
    if (own.owner !== undefined) tunIoctlValue(fd, "SETOWNER", own.owner, what);
    if (own.ownerGroup !== undefined) tunIoctlValue(fd, "SETGROUP", own.ownerGroup, what);
    const end: End = named(prepared, got.name, got.made);
    const { index, info } = configure(type, end, later, layout);
    // A persistent link stays when the handle closes; a scope removes it all the same.
    const owned = got.made && !persistent;
    const state: LinkState = { netns, index, name: got.name, kind: "tun", owned };
    const tun = setUp(make({ fd, state, info }), own);
    if (persistent) tunIoctlValue(fd, "SETPERSIST", 1, `make ${tun.name} persistent`);
    if (got.made) ownBy(common.scope, type, end, index, netns, () => tun.close());
    else common.scope?.use(tun);
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
    const data = info.kind === "tun" ? info.options : undefined;
    if (data?.type !== type) {
      const actual = data?.type ?? state.kind ?? "link";
      throw new TypeError(`Link ${show(info.name)} is not a ${type}: it is a ${actual}`);
    }
    const what = `attach to ${describe(type, info.name, netns.ref)}`;
    fd = openTunDevice(netns.ref, what);
    const { vnetHdr = data.vnetHdr, packetInfo = data.packetInfo } = own;
    const layout: Layout = { vnetHdr, packetInfo, multiQueue: data.multiQueue };
    const name = attach(fd, { name: info.name, flags: flagsOf(type, layout) }, what);
    const now = connectionTo(netns.ref).request(getLink(name, { stats: false }));
    // The link has been deleted, and attaching has created another one, which closing deletes.
    if (now.index !== info.index) throw gone(what, netns.ref);
    checkLayout(layout, infoOf(now), describe(type, name, netns.ref));
    return setUp(make({ fd, state: { ...state, name: now.name }, info: infoOf(now) }), own);
  } catch (error) {
    fd?.close();
    if (netns.owned) netns.ref.close();
    throw error;
  }
}

/** TUN_EXCL shows whether the link existed; without it the owner cannot be known afterwards. */
function createOrJoin(
  fd: Fd,
  request: InterfaceRequest,
  { exclusive, what, end: { ref, first } }: { exclusive: boolean; what: string; end: End },
): { name: string; made: boolean } {
  const alone = { ...request, flags: request.flags | IFF_TUN_FLAGS.TUN_EXCL };
  try {
    return { name: attach(fd, alone, what), made: true };
  } catch (error) {
    if (!(error instanceof SyscallError) || error.errno !== ERRNO.EBUSY) throw error;
    const { index } = first;
    const name = takenReason({ name: request.name }, ref);
    const number = index === undefined ? undefined : takenReason({ index }, ref);
    if (name === undefined && number !== undefined) throw taken(number, ref, what);
    const joins = "attach() joins an existing TUN or TAP";
    if (exclusive) throw taken(name === undefined ? joins : `${name}; ${joins}`, ref, what);
    return { name: attach(fd, request, what), made: false };
  }
}

function attach(fd: Fd, request: InterfaceRequest, what: string): string {
  try {
    return setInterface(fd, request, what);
  } catch (error) {
    if (!(error instanceof SyscallError) || error.errno !== ERRNO.EBUSY) throw error;
    // createOrJoin() explains a taken name.
    if (request.flags & IFF_TUN_FLAGS.TUN_EXCL) throw error;
    const hint = "another program is attached to it, and it has no further queue";
    throw new SyscallError(what, { syscall: error.syscall, errno: error.errno, hint });
  }
}

/** Applies the settings that rtnetlink has, as soon as the link exists. */
function configure(
  type: Type,
  end: End,
  later: LaterRequests,
  layout: Layout,
): { index: number; info: TunInfo } {
  const { name: _, index: __, ...settings } = end.first;
  const connection = connectionTo(end.ref);
  const made = connection.request(getLink(end.options.name, { stats: false }));
  const what = `${type} ${show(end.options.name)}`;
  checkLayout(layout, infoOf(made), what);
  if (Object.keys(settings).length > 0) {
    const message: LinkMessage = { ...settings, index: made.index };
    for (const result of connection.batch(changeRequests(made.index, settings, what))) {
      if (!result.ok) throw refusal(type, result.error, message, end.ref);
    }
  }
  finishEnd(type, end, later, { index: made.index });
  return { index: made.index, info: infoOf(made) };
}

/** The end by the name it has got. A link that was there before does not become the scope's. */
function named(end: End, name: string, made: boolean): End {
  const { group, ...rest } = end.first;
  const first: LinkMessage = { ...rest, name };
  if (group !== undefined && (made || end.options.group !== undefined)) first.group = group;
  return { ...end, first, options: { ...end.options, name } };
}

/** Properties that all queues of a link share. */
type Layout = Readonly<Pick<TunInfo, "vnetHdr" | "packetInfo" | "multiQueue">>;

function headersOf({ vnetHdr, packetInfo = false, offloads }: TunQueueOptions) {
  const wants = Array.isArray(offloads) ? offloads.length > 0 : offloads === true;
  return { vnetHdr: vnetHdr ?? wants, packetInfo };
}

function flagsOf(type: Type, layout: Layout): number {
  const { TUN, TAP, NO_PI, VNET_HDR, MULTI_QUEUE } = IFF_TUN_FLAGS;
  checkBooleans(layout);
  return (type === "tap" ? TAP : TUN) | (layout.packetInfo ? 0 : NO_PI) |
    (layout.vnetHdr ? VNET_HDR : 0) | (layout.multiQueue ? MULTI_QUEUE : 0);
}

/** The kernel takes other headers silently, and ignores them, when the link has a queue already. */
function checkLayout(asked: Layout, info: TunInfo, what: string): void {
  for (const key of ["vnetHdr", "packetInfo", "multiQueue"] as const) {
    if (info[key] === asked[key]) continue;
    throw new TypeError(`${key} of ${what} is ${info[key]}, for all of its queues`);
  }
}

function infoOf(info: LinkInfo): TunInfo {
  if (info.kind === "tun") return info.options;
  throw new TypeError(`Link ${show(info.name)} is no TUN or TAP: its kind is ${info.kind}`);
}

function setUp<T extends TunQueue>(queue: T, options: TunQueueOptions): T {
  const { offloads, sendBuffer } = options;
  // A persistent link keeps the settings of another program, such as a virtual machine.
  if (queue.vnetHdr) queue.resetHeaderLength();
  // The mask outlives descriptors: without this an earlier one's would hold, also without vnetHdr.
  queue.setOffloads(offloads ?? false);
  if (sendBuffer !== undefined) queue.sendBuffer = sendBuffer;
  return queue;
}

/** A name of the pattern's form; the kernel would cut a pattern that is too long. */
function exampleOf(pattern: string): string {
  if (typeof pattern !== "string" || !pattern.includes("%d")) return pattern;
  const length = byteLength(pattern);
  if (length > 15) {
    throw new RangeError(`name must have at most 15 bytes: ${show(pattern)} has ${length}`);
  }
  return pattern.replace("%d", "0");
}

function describe(type: Type, name: string, ref: NetNsRef): string {
  return `${type} ${show(name)}${ref.place}`;
}

const IDS = [["owner", 0xfffffffe], ["ownerGroup", 0xfffffffe], ["linkType", 0xffff]] as const;

function checkId(key: string, value: number | undefined, max: number): void {
  if (value !== undefined) integer(value, key, 0, max);
}

function checkBooleans(values: object): void {
  for (const [key, value] of Object.entries(values)) boolean(value, key);
}

/** The name or the index is taken: the same error as for every other link. */
function taken(hint: string, ref: NetNsRef, operation: string): NetlinkError {
  return new NetlinkError({ operation, netns: ref.description, errno: ERRNO.EEXIST, hint });
}

function gone(operation: string, ref: NetNsRef): NetlinkError {
  return new NetlinkError({ operation, netns: ref.description, errno: ERRNO.ENODEV });
}
