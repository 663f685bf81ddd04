/**
 * Takes the frames of a link out to this program, and puts frames back: a filter at clsact redirects them to
 * a TAP (tc-mirred(8)), and packet sockets send them (packet(7)).
 *
 * A frame that is put back has a mark (`SO_MARK`), which the filter lets pass. Outgoing frames go through the
 * link's queueing disciplines again, incoming ones arrive as from the wire: a packet socket sends them into a
 * helper veth, whose other end redirects them to the link. Closing the TAPs alone would leave filters that
 * drop every frame; so a record says how to remove them before they are there (`src/scope/redirects.ts`).
 *
 * @module
 */
import { C } from "../../../ffi/libc.ts";
import { ERRNO } from "../../../ffi/errno.ts";
import type { NetNsRef } from "../../../ffi/namespace.ts";
import { until } from "../../../ffi/reactor.ts";
import { linkSocketAddress, Socket } from "../../../ffi/socket.ts";
import { IFF_TUN_FLAGS, openTunDevice, setInterface } from "../../../ffi/packet_io.ts";
import { ARPHRD, type Filter, type Instruction } from "../../capture/filter.ts";
import { FdDevice } from "../../device/fd_device.ts";
import { TunQueue } from "../../device/tun_queue.ts";
import type { Connection } from "../../netlink/connection.ts";
import { connectionTo } from "../../netlink/connections.ts";
import { NetlinkError } from "../../netlink/error.ts";
import type { Request } from "../../netlink/message.ts";
import type { Result } from "../../netlink/outbox.ts";
import { show } from "../../options.ts";
import { filterMessage, newFilter } from "../../rtnetlink/filter.ts";
import {
  getLink,
  kindOf,
  type LinkMessage,
  newLink,
  setLink,
  upFlags,
} from "../../rtnetlink/link.ts";
import type { LinkInfo } from "../../rtnetlink/link_info.ts";
import { newQdisc, qdiscMessage } from "../../rtnetlink/qdisc.ts";
import type { TcMessage } from "../../rtnetlink/traffic_control.ts";
import { onExit } from "../../scope/exit.ts";
import { restoreLinks } from "../../scope/leftovers.ts";
import { isDenied, undone } from "../../scope/namespaces.ts";
import {
  exclusively,
  linkRecordName,
  newGroup,
  type RecordDirectory,
  type ScopeRecord,
} from "../../scope/record.ts";
import {
  freePriority,
  type Hooks,
  isHookOurs,
  readHooks,
  removeRedirects,
  tagClass,
  tagOf,
} from "../../scope/redirects.ts";
import { deleteGroup } from "../../scope/removal.ts";
import { scopeOf } from "../../scope/scope.ts";
import { type DirectionName, helperProgram, markOf, redirectProgram } from "./program.ts";

/** A link, for messages and to find it. */
export interface RedirectLink {
  /** Its namespace. */
  readonly ref: NetNsRef;
  /** Its index. */
  readonly index: number;
}

/** Options of {@link Redirect.open}. */
export interface RedirectOptions {
  /** What is being done, for errors: `intercept`, `impair`. */
  readonly verb: string;
  /** Whose frames: those that the link sends, receives, or both. */
  readonly direction: DirectionName | "both";
  /** The frames. Default: all. */
  readonly filter?: Filter | readonly Instruction[] | undefined;
  /** Hands over GSO packets whole, and partial checksums. Otherwise each frame is as on a wire. */
  readonly gso: boolean;
  /** Frames can be put into the other direction, too. */
  readonly answers?: boolean;
}

/** A frame's own time in the queue of a TAP is short: a program that does nothing else reads 1,000 in a millisecond. */
const QUEUE = 4096;

/** Below the least MTU of IPv6: so the TAP's own stack sends nothing. Redirected frames may be larger. */
const TAP_MTU = 1279;
const HELPER_MTU = 65_535;
const SEND_BUFFER = 4 << 20;

/** The words of `tc` for the places. */
const PLACES: Readonly<Record<DirectionName, "egress" | "ingress">> = {
  out: "egress",
  in: "ingress",
};

const BOTH: readonly DirectionName[] = ["out", "in"];

/** A TAP that frames come out of. */
export class Tap extends TunQueue {
  /** Index of its link. */
  index = 0;

  /**
   * Resolves when `take` gives a value: it is called now, and whenever frames have come. What it reads it also has to
   * deal with, so that nothing is under way when the redirect is closed.
   */
  taken<T extends object>(take: () => T | undefined): Promise<T> {
    const value = take();
    if (value !== undefined) return Promise.resolve(value);
    return until(this.fd, "read", { attempt: take, tried: true, patient: true });
  }
}

/** The frames of a link, taken out to this program. */
export class Redirect implements Disposable {
  /** `intercept veth "v0"`, for errors. */
  readonly what: string;
  /** The namespace of the link. */
  readonly ref: NetNsRef;
  /** Frames that were lost because the redirect was put in place, or removed. */
  lost = 0;
  /** The directions that are redirected. */
  readonly directions: readonly DirectionName[];
  readonly #link: LinkInfo;
  readonly #taps = new Map<DirectionName, Tap>();
  readonly #outlets = new Map<DirectionName, FdDevice>();
  readonly #group = newGroup();
  #record: ScopeRecord | undefined;
  /** Whether filters may be there. */
  #installed = false;
  #level = 0;
  #hook = false;
  #closed = false;
  readonly #priorities = new Map<DirectionName, number>();
  readonly #drops = new Map<DirectionName, number>();
  /** What ends the waits for the owner's end. */
  readonly #ends: (() => void)[] = [];

  private constructor(
    ref: NetNsRef,
    link: LinkInfo,
    what: string,
    directions: readonly DirectionName[],
  ) {
    this.ref = ref;
    this.#link = link;
    this.what = what;
    this.directions = directions;
  }

  /**
   * Redirects frames. They wait in the TAPs from then on.
   *
   * @param link The link.
   * @param options Which frames.
   * @throws {NetlinkError} EOPNOTSUPP for the loopback link and links without Ethernet header, EEXIST where the link has the
   *   queueing discipline ingress, which has no place for outgoing frames, ENOENT where the kernel lacks a part.
   * @throws {SyscallError} Without privileges, or without TUN.
   * @throws {TypeError} For a malformed filter.
   */
  static open({ ref, index }: RedirectLink, options: RedirectOptions): Redirect {
    const connection = connectionTo(ref);
    const link = connection.request(getLink(index));
    const what = `${options.verb} ${kindOf(link) ?? "link"} ${show(link.name)}`;
    if (link.type === ARPHRD.LOOPBACK) {
      // A route that the packet keeps on its way through the loopback link; without it they count as spoofed.
      throw refused(what, ref, ERRNO.EOPNOTSUPP, "it takes its own packets back only untouched");
    }
    if (link.type !== ARPHRD.ETHER) {
      throw refused(what, ref, ERRNO.EOPNOTSUPP, "its frames have no Ethernet header");
    }
    restoreLinks();
    const { direction } = options;
    const directions = direction === "both" ? BOTH : [direction];
    const redirect = new Redirect(ref, link, what, directions);
    try {
      redirect.#open(connection, options);
    } catch (error) {
      throw undone(error, () => redirect.discard());
    }
    return redirect;
  }

  /** Closes what is there; where that fails the record stays, by which another program restores the link. */
  discard(): void {
    try {
      this.close();
    } finally {
      for (const it of [...this.#taps.values(), ...this.#outlets.values()]) it.close();
      this.#record?.release();
    }
  }

  /**
   * Closes the owner of the redirect, which closes this: with the scope of the link, with the namespace's handle, at
   * any end of the program but SIGKILL, and when a signal is aborted.
   */
  closeWith(owner: Disposable, signal?: AbortSignal): void {
    const close = () => owner[Symbol.dispose]();
    scopeOf(this.#link.group)?.use({ [Symbol.dispose]: () => this.#ends.length > 0 && close() });
    this.#ends.push(this.ref.onClose(close), onExit(close, { passing: true }));
    signal?.addEventListener("abort", close);
    this.#ends.push(() => signal?.removeEventListener("abort", close));
  }

  /** Whether nothing of it is left. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The device with the frames of a direction. */
  tap(direction: DirectionName): Tap {
    return this.#taps.get(direction)!;
  }

  /** The device that puts frames into a direction. */
  outlet(direction: DirectionName): FdDevice {
    return this.#outlets.get(direction)!;
  }

  /** Frames of a direction that the kernel has dropped because this program did not read them in time. */
  drops(direction: DirectionName): number {
    const tap = this.#taps.get(direction);
    if (!tap || this.#closed) return this.#drops.get(direction) ?? 0;
    // Somebody may have deleted the TAP.
    const drops = dropsOf(connectionTo(this.ref), tap.index);
    if (drops !== undefined) this.#drops.set(direction, drops);
    return this.#drops.get(direction) ?? 0;
  }

  #open(connection: Connection, options: RedirectOptions): void {
    const { filter, gso, answers = false } = options;
    const { directions } = this;
    const { index } = this.#link;
    for (const direction of directions) {
      this.#taps.set(direction, this.#openTap(connection, direction, gso));
    }
    exclusive((directory) => {
      const hooks = readHooks(connection, index);
      this.#plan(hooks);
      const requests = this.#requests(hooks, filter);
      if (directory) this.#note(directory);
      for (const direction of answers ? BOTH : directions) {
        this.#outlets.set(direction, this.#openOutlet(connection, direction));
      }
      this.#installed = true;
      this.#counting(() => check(connection.batch(requests)));
    });
  }

  /**
   * Counts the frames that are lost while the kernel adds or removes clsact: it stops the link for a moment
   * (`dev_deactivate()`), and drops what is sent then.
   */
  #counting(change: () => void): void {
    const dropped = () => dropsOf(connectionTo(this.ref), this.#link.index) ?? 0;
    const before = dropped();
    change();
    this.lost += Math.max(0, dropped() - before);
  }

  /** The level of the filters, behind those of the link's other redirects. */
  #plan({ kind, filters }: Hooks): void {
    if (kind === "ingress" && this.directions.includes("out")) {
      throw refused(
        this.what,
        this.ref,
        ERRNO.EEXIST,
        "its queueing discipline ingress has no place for outgoing frames: clsact has one",
      );
    }
    const tags = filters.map(tagOf).filter((tag) => tag !== undefined);
    this.#level = Math.max(0, ...tags.map(({ level }) => level)) + 1;
    if (this.#level > 255) {
      throw refused(this.what, this.ref, ERRNO.ENOSPC, "255 redirects of a link are the most");
    }
    this.#hook = kind === undefined || filters.some(isHookOurs);
  }

  #requests({ kind, filters }: Hooks, filter: RedirectOptions["filter"]): Request[] {
    const { index, txqlen } = this.#link;
    const hook: Request[] = kind ? [] : [newQdisc(qdiscMessage({ kind: "clsact" }, index))];
    // With its first discipline a link without a queue gets one.
    if (!kind && txqlen === 0) hook.push(setLink({ index, txqlen }));
    for (const direction of this.directions) {
      const priority = freePriority(filters.filter((it) => it.parent === PLACES[direction]));
      this.#priorities.set(direction, priority);
    }
    return [...hook, ...this.#filters(filter).map((it) => newFilter(it))];
  }

  /** The filters of the directions. */
  #filters(filter: RedirectOptions["filter"]): TcMessage[] {
    const { index } = this.#link;
    const [level, hook] = [this.#level, this.#hook];
    return this.directions.map((direction) =>
      filterMessage({
        kind: "bpf",
        parent: PLACES[direction],
        priority: this.#priorities.get(direction)!,
        handle: 1,
        options: {
          classid: tagClass({ level, hook }),
          program: redirectProgram(filter, { direction, index, level }),
          actions: [{ kind: "mirred", action: "redirect", dev: this.#taps.get(direction)!.index }],
        },
      }, index)
    );
  }

  /**
   * Redirects other frames from now on. No frame is lost, nor goes its way past both filters.
   *
   * @throws {NetlinkError} When the kernel refuses; then all is as before.
   */
  refilter(filter: RedirectOptions["filter"]): void {
    const connection = connectionTo(this.ref);
    check(connection.batch(this.#filters(filter).map((it) => newFilter(it, "replace"))));
  }

  /** Writes the undo down, before there is anything to undo. */
  #note(directory: RecordDirectory): void {
    const { index, name: redirected } = this.#link;
    const kind = kindOf(this.#link);
    const { cookie } = this.ref;
    this.#record = directory.create(linkRecordName(this.#group), this.#group);
    this.#record.append({ visited: this.ref.label, cookie: `${cookie}` });
    this.#record.append({
      redirected,
      index,
      ...(kind !== undefined && { kind }),
      hook: this.#hook,
      cookie: `${cookie}`,
    });
  }

  #openTap(connection: Connection, direction: DirectionName, gso: boolean): Tap {
    const { TAP, NO_PI, VNET_HDR, TUN_EXCL } = IFF_TUN_FLAGS;
    const fd = openTunDevice(this.ref, this.what);
    try {
      const flags = TAP | NO_PI | VNET_HDR | TUN_EXCL;
      const name = setInterface(fd, { name: this.#name(direction.slice(0, 1)), flags }, this.what);
      const tap = new Tap(fd, `tap ${show(name)}${this.ref.place}`, true, false);
      tap.resetHeaderLength();
      tap.setOffloads(gso);
      const { index } = connection.request(getLink(name, { stats: false }));
      tap.index = index;
      const settings: LinkMessage = { index, mtu: TAP_MTU, txqlen: QUEUE, group: this.#group };
      check(connection.batch([setLink(settings), setLink({ index, ...upFlags(true) })]));
      return tap;
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  #openOutlet(connection: Connection, direction: DirectionName): FdDevice {
    const { index } = this.#link;
    const mark = markOf({ direction, index, level: this.#level });
    const at = direction === "out" ? index : this.#createHelper(connection, mark);
    return this.#openSocket(at, mark);
  }

  /** A name that nobody else has: with the random part of the group. */
  #name(end: string): string {
    return `nl${this.#group.toString(16).slice(2)}${end}`;
  }

  /** Creates the veth through which frames come in, and returns the index of the end to send on. */
  #createHelper(connection: Connection, mark: number): number {
    const { mac } = this.#link;
    const [name, peer] = [this.#name("a"), this.#name("b")];
    const end: LinkMessage = { mtu: HELPER_MTU, group: this.#group };
    connection.request(newLink({
      ...end,
      name,
      linkInfo: {
        kind: "veth",
        // With the MAC of the link the kernel takes the same frames for its own.
        data: { peer: { ...end, name: peer, ...(mac !== undefined && { mac }) } },
      },
    }));
    const near = connection.request(getLink(name, { stats: false })).index;
    const far = connection.request(getLink(peer, { stats: false })).index;
    const settings = (index: number): Request[] => [
      setLink({ index, afSpec: { inet6: { addrGenMode: "none" } } }),
      setLink({ index, ...upFlags(true) }),
    ];
    check(connection.batch([
      // In this order the end that sends has a carrier when it comes up, and sends from then on.
      ...settings(far),
      ...settings(near),
      newQdisc(qdiscMessage({ kind: "ingress" }, far)),
      newFilter(filterMessage({
        kind: "bpf",
        parent: "ingress",
        priority: 1,
        options: {
          program: helperProgram(mark),
          actions: [{
            kind: "mirred",
            action: "redirect",
            direction: "ingress",
            dev: this.#link.index,
          }],
        },
      }, far)),
    ]));
    return near;
  }

  #openSocket(index: number, mark: number): FdDevice {
    const { what, ref } = this;
    const socket = new Socket(ref, C.AF_PACKET, C.SOCK_RAW, 0, what);
    try {
      socket.setOptionInt(C.SOL_PACKET, C.PACKET_VNET_HDR, 1, what);
      socket.setOptionInt(C.SOL_SOCKET, C.SO_MARK, mark, what);
      if (!socket.setOption(C.SOL_SOCKET, C.SO_SNDBUFFORCE, SEND_BUFFER)) {
        socket.setOptionInt(C.SOL_SOCKET, C.SO_SNDBUF, SEND_BUFFER, what);
      }
      socket.bind(linkSocketAddress(index, 0), what);
      return new FdDevice(socket.fd, `packet socket of ${what}`);
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /**
   * Lets the frames go their way again. Frames that were taken out before can still be read and put back.
   * A second call does nothing.
   *
   * @throws {NetlinkError} When the kernel refuses; then all is as before.
   */
  stop(): void {
    if (!this.#installed) return;
    const taps = [...this.#taps.values()].map(({ index }) => index);
    this.#counting(() =>
      exclusive(() =>
        removeRedirects(connectionTo(this.ref), this.#link, { taps, hook: this.#hook })
      )
    );
    this.#installed = false;
  }

  /** Restores the link and closes all devices; after an error another call does what is left. */
  close(): void {
    if (this.#closed) return;
    this.stop();
    for (const direction of this.directions) this.drops(direction);
    // A TAP whose link is gone closes faster.
    if (this.#taps.size > 0) deleteGroup(connectionTo(this.ref), this.#group);
    this.#closed = true;
    for (const end of this.#ends.splice(0)) end();
    for (const tap of this.#taps.values()) tap.close();
    for (const outlet of this.#outlets.values()) outlet.close();
    this.#record?.remove();
    this.#record = undefined;
  }

  /** Same as {@link Redirect.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Runs `fn` while no other program changes redirects; without lock and records where this user has none. */
function exclusive(fn: (directory: RecordDirectory | undefined) => void): void {
  let begun = false;
  try {
    exclusively((directory) => {
      begun = true;
      fn(directory);
    });
  } catch (error) {
    if (begun || !isDenied(error)) throw error;
    fn(undefined);
  }
}

/** Frames that a link could not send; `undefined` when it is gone. */
function dropsOf(connection: Connection, index: number): number | undefined {
  try {
    return connection.request(getLink(index)).stats!.txDropped;
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === ERRNO.ENODEV) return undefined;
    throw error;
  }
}

function check(results: readonly Result<unknown>[]): void {
  for (const result of results) if (!result.ok) throw result.error;
}

function refused(operation: string, ref: NetNsRef, errno: number, hint: string): NetlinkError {
  return new NetlinkError({ operation, netns: ref.description, errno, hint });
}
