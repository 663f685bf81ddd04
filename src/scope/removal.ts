/**
 * Removing links in bulk and namespaces, and waiting until they are gone: closing the last reference to a
 * namespace only queues its removal.
 *
 * @module
 */
import { C } from "../../ffi/libc.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { open, processId, read, readDirectory, readText, write } from "../../ffi/file.ts";
import {
  cookieOfSocket,
  homeNetNs,
  inodeOf,
  type NetNsRef,
  openNetNs,
  within,
} from "../../ffi/namespace.ts";
import type { Connection } from "../netlink/connection.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NETLINK, type Request } from "../netlink/message.ts";
import { NetlinkError } from "../netlink/error.ts";
import { Subscription } from "../netlink/socket.ts";
import { RTM, RTNLGRP } from "../rtnetlink/constants.ts";
import { deleteLink, dumpLinks, getLink, kindOf } from "../rtnetlink/link.ts";
import { type LinkInfo, readLink } from "../rtnetlink/link_info.ts";
import { getNsid, newNsid, readNsid } from "../rtnetlink/nsid.ts";
import {
  describeTcpSocket,
  destroyTcpSocket,
  dumpTcpSockets,
  type TcpSocketInfo,
} from "../sockdiag/inet_diag.ts";
import type { ScopedLink } from "./ready.ts";
import { isScopeGroup, ScopeError } from "./record.ts";
import { show } from "../options.ts";

/** Milliseconds without progress after which it is worth looking for who holds a namespace. */
const ASK = 1000;
/** Milliseconds without progress after which something is wrong. */
const GIVE_UP = 10_000;
/** Milliseconds between two looks where the kernel sends no notification. */
const POLL = 20;

/** Deletes all links of a scope's group in the connection's namespace. */
export function deleteGroup(connection: Connection, group: number): void {
  // Group 0 has all links without a group; the other groups can belong to other programs.
  if (!isScopeGroup(group)) throw new RangeError(`Group ${group} is not that of a scope`);
  const error = attempt(() => connection.request(deleteLink({ group })));
  if (!error || error.code === "ENODEV") return;
  if (error.code !== "EOPNOTSUPP") throw error;
  // The kernel refuses the whole group because of one link that it cannot delete: one by one then.
  for (const { index } of connection.dump(dumpLinks({ group, stats: false })).reverse()) {
    const refused = attempt(() => connection.request(deleteLink({ index })));
    if (refused && refused.code !== "ENODEV") throw refused;
  }
}

/** Deletes those of a namespace's links that others have taken out of their scope's group. */
export function deleteUngrouped(connection: Connection, links: readonly ScopedLink[]): void {
  for (const { index, what, link } of existing(connection, links)) {
    // Another link can have the index by now.
    if (what !== `${kindOf(link)} ${show(link.name)}`) continue;
    const refused = attempt(() => connection.request(deleteLink({ index }, what)));
    if (refused && refused.code !== "ENODEV") throw refused;
  }
}

/** From here on, reading the whole table takes less time than a request for each link. */
const MANY = 16;

/** Those of the links whose index a link has now, with that link. */
function existing(
  connection: Connection,
  links: readonly ScopedLink[],
): (ScopedLink & { readonly link: LinkInfo })[] {
  const found = links.length > MANY
    ? connection.dump(dumpLinks({ stats: false }))
    : connection.batch(links.map(({ index }) => getLink(index, { stats: false })))
      .flatMap((result) => result.ok ? [result.value as LinkInfo] : []);
  const byIndex = new Map(found.map((link) => [link.index, link]));
  return links.flatMap((owned) => {
    const link = byIndex.get(owned.index);
    return link ? [{ ...owned, link }] : [];
  });
}

function attempt(request: () => void): NetlinkError | undefined {
  try {
    request();
    return undefined;
  } catch (error) {
    if (error instanceof NetlinkError) return error;
    throw error;
  }
}

/** The id `seen` has in `from`; the kernel gives it one when it has none. */
export function nsidOf(from: NetNsRef, seen: NetNsRef): number {
  const fd = seen.fd.value;
  const connection = connectionTo(from);
  const known = connection.request(getNsid({ fd }, seen.label)).nsid ?? -1;
  if (known >= 0) return known;
  connection.request(newNsid({ fd, nsid: -1 }, seen.label));
  return connection.request(getNsid({ fd }, seen.label)).nsid ?? -1;
}

/** The states of a connection that the kernel goes on with after its program has closed it. */
const CLOSING = new Set(["fin-wait-1", "fin-wait-2", "closing", "last-ack"]);

function isOrphan({ inode, state }: TcpSocketInfo): boolean {
  return inode === 0 && CLOSING.has(state);
}

/**
 * Destroys the TCP connections of a namespace that no program has open any more: the kernel keeps them,
 * and the namespace, for minutes when the other end cannot be reached. Closes the library's own sockets
 * in the namespace.
 *
 * @returns The TCP sockets that are left in it.
 */
export function destroyOrphans(ref: NetNsRef): TcpSocketInfo[] {
  ref.release();
  if (!hasTcpSockets(ref)) return [];
  const connection = connectionTo(ref, NETLINK.SOCK_DIAG);
  const orphans = tcpSockets(connection).filter(isOrphan);
  if (orphans.length === 0) return leave(ref, connection);
  for (const result of connection.batch(orphans.map(destroyTcpSocket))) {
    if (result.ok) continue;
    const { error } = result;
    // Gone meanwhile, or a kernel without CONFIG_INET_DIAG_DESTROY.
    const expected = error instanceof NetlinkError && ["ENOENT", "EOPNOTSUPP"].includes(error.code);
    if (!expected) throw error;
  }
  // Before Linux 6.11 a connection without a program is not destroyed: it ends with its next timer then.
  if (tcpSockets(connection).some(isOrphan)) retryOrphansOnce(ref);
  return leave(ref, connection);
}

/** Closes the last reference to a namespace, without waiting for its end. */
export function dropNetNs(ref: NetNsRef): void {
  try {
    destroyOrphans(ref);
  } finally {
    ref.close();
  }
}

function leave(ref: NetNsRef, connection: Connection): TcpSocketInfo[] {
  const sockets = tcpSockets(connection);
  ref.release();
  return sockets;
}

/** Without the remainders of connections that hold no namespace. */
function tcpSockets(connection: Connection): TcpSocketInfo[] {
  return (["inet", "inet6"] as const)
    .flatMap((family) => connection.dump(dumpTcpSockets({ family })))
    .filter(({ state }) => state !== "time-wait");
}

/** Whether there are TCP sockets in a namespace: a hundredth of the work of listing them. */
function hasTcpSockets(ref: NetNsRef): boolean {
  return within(ref, () => {
    const path = "/proc/thread-self/net/protocols";
    using file = open(path, C.O_RDONLY, `read ${path}`);
    const buffer = new Uint8Array(8192);
    const length = read(file, buffer, `read ${path}`);
    // protocol  size sockets ...
    return /^TCP(v6)? +\d+ +[1-9]/m.test(new TextDecoder().decode(buffer.subarray(0, length)));
  });
}

function retryOrphansOnce(ref: NetNsRef): void {
  within(ref, () => {
    const path = "/proc/sys/net/ipv4/tcp_orphan_retries";
    using file = open(path, C.O_WRONLY, `write ${path}`);
    write(file, new TextEncoder().encode("1\n"), `write ${path}`);
  });
}

interface Expected {
  readonly cookie: bigint;
  readonly inode: number;
  readonly description: string;
  /** Until it is dropped, and while TCP sockets are in it, which programs may be about to close. */
  open?: NetNsRef;
  /** The TCP sockets that were in it when it was looked at last. */
  sockets: TcpSocketInfo[];
}

/**
 * Drops namespaces and sees them go. The kernel reports that for those that have an id in the watching
 * namespace, but before their links go: the peers that these have here are watched too.
 */
export class RemovalWatch implements Disposable {
  readonly #namespaces = new Map<number, Expected>();
  /** Links of the watching namespace that will go with a watched one. */
  readonly #peers = new Set<number>();
  #subscription: Subscription | undefined;
  #dropped = false;
  /** The links here when the first namespace was added. */
  #links: LinkInfo[] | undefined;

  /**
   * Watches a namespace that is about to be dropped. All are added before the first is dropped: the
   * kernel gives the id of one that is gone to the next.
   */
  add(ref: NetNsRef): void {
    const home = homeNetNs();
    ref.release(); // frees a descriptor, which the rest may need
    const { cookie, inode, label: description } = ref;
    this.#links ??= connectionTo(home).dump(dumpLinks({ stats: false }));
    const id = nsidOf(home, ref);
    this.#namespaces.set(id, { cookie, inode, description, open: ref, sockets: [] });
    for (const link of this.#links) if (link.linkNetnsId === id) this.#peers.add(link.index);
  }

  /** Closes the reference, which is meant to be the last one, unless programs have TCP sockets there. */
  drop(ref: NetNsRef): void {
    const expected = this.#expectedOf(ref);
    let sockets: TcpSocketInfo[] = [];
    try {
      sockets = destroyOrphans(ref);
      // Last: without a free descriptor the watch polls.
      if (!this.#dropped) this.#subscription = subscribe(homeNetNs());
      this.#dropped = true;
    } finally {
      if (!expected) ref.close();
      else if (sockets.length > 0) expected.sockets = sockets;
      else this.#close(expected);
    }
  }

  /**
   * Resolves when all of them are gone, or only the kernel keeps one, with a note on each of those.
   *
   * @throws {ScopeError} Naming who holds a namespace.
   */
  async wait(): Promise<string[]> {
    const notes: string[] = [];
    let [left, since, asked] = [Infinity, performance.now(), 0];
    for (;;) {
      this.#closeIdle();
      const now = this.#drain();
      if (now === 0) return notes;
      if (now < left) [left, since, asked] = [now, performance.now(), ASK];
      const quiet = performance.now() - since;
      if (quiet >= asked) {
        this.#judge(notes, quiet >= GIVE_UP);
        asked = Math.min(asked * 2, GIVE_UP);
      } else await this.#pause(asked - quiet);
    }
  }

  /** Ends the watch, and closes the references that are still open. */
  [Symbol.dispose](): void {
    this.#subscription?.close();
    for (const { open } of this.#namespaces.values()) open?.close();
  }

  #expectedOf(ref: NetNsRef): Expected | undefined {
    for (const expected of this.#namespaces.values()) if (expected.open === ref) return expected;
    return undefined;
  }

  /** Closes the namespaces in which programs have closed their TCP sockets meanwhile. */
  #closeIdle(): void {
    for (const expected of this.#namespaces.values()) {
      if (!expected.open) continue;
      expected.sockets = destroyOrphans(expected.open);
      if (expected.sockets.length === 0) this.#close(expected);
    }
  }

  #close(expected: Expected): void {
    expected.open?.close();
    delete expected.open;
  }

  async #pause(milliseconds: number): Promise<void> {
    const busy = [...this.#namespaces.values()].some(({ open }) => open);
    if (busy || !this.#subscription) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(milliseconds, POLL)));
      return;
    }
    const pause = AbortSignal.timeout(Math.ceil(milliseconds));
    await this.#subscription.ready(pause).catch((reason) => {
      if (pause.aborted) return;
      if (!isFull(reason)) throw reason;
      this.#subscription?.close();
      this.#subscription = undefined;
    });
  }

  /** Reads notifications and returns how many namespaces and links are still there. */
  #drain(): number {
    const overrun = this.#subscription?.drain(({ type, start, end }, source) => {
      if (type === RTM.DELNSID) {
        const { nsid } = readNsid(source, start, end);
        // One that is open is not gone: it has the id of an earlier one.
        if (!this.#namespaces.get(nsid!)?.open) this.#namespaces.delete(nsid!);
      } else if (type === RTM.DELLINK) {
        // A bridge reports the end of a port in the same way, with its own family.
        if (source.bytes[start] === 0) this.#peers.delete(readLink(source, start, end).index);
      }
    }) ?? true;
    if (overrun) this.#look();
    return this.#namespaces.size + this.#peers.size;
  }

  /** Asks for each whether it is there: notifications were lost, or there are none. */
  #look(): void {
    this.#keep(this.#namespaces, (nsid) => getNsid({ nsid }));
    this.#keep(this.#peers, (index) => getLink(index, { stats: false }));
  }

  /** Removes the keys whose request the kernel refuses. */
  #keep(
    all: { keys(): Iterable<number>; delete(key: number): unknown },
    request: (key: number) => Request,
  ): void {
    const keys = [...all.keys()];
    const results = connectionTo(homeNetNs()).batch(keys.map(request));
    for (const [i, key] of keys.entries()) if (!results[i]!.ok) all.delete(key);
  }

  /** Throws when programs hold a namespace; gives up on those that only the kernel holds. */
  #judge(notes: string[], late: boolean): void {
    for (const expected of this.#namespaces.values()) this.#close(expected);
    const held = findHolders([...this.#namespaces.values()]);
    // The search takes its time.
    if (this.#drain() === 0) return;
    const complaints: string[] = [];
    for (const [id, { cookie, sockets, description }] of this.#namespaces) {
      const who = [
        ...held.get(cookie) ?? [],
        ...sockets.filter((it) => it.inode > 0).map(describeTcpSocket),
      ];
      const orphans = sockets.filter(isOrphan).map(describeTcpSocket);
      if (who.length > 0) complaints.push(`${description}: held by ${who.join(", ")}`);
      else if (orphans.length > 0) {
        notes.push(`${description} is kept by ${orphans.join(", ")}`);
        this.#namespaces.delete(id);
      } else if (late) {
        complaints.push(
          `${description}: still there after ${GIVE_UP} ms, and nothing in /proc has it: a process of ` +
            "another pid namespace may",
        );
      }
    }
    if (complaints.length > 0) throw new ScopeError(`Cannot remove ${complaints.join("; ")}`);
    if (late && this.#peers.size > 0) {
      const links = [...this.#peers].join(", ");
      throw new ScopeError(`Links ${links} are still there after ${GIVE_UP} ms`);
    }
  }
}

/** Notifications of links and namespaces that go; `undefined` when no descriptor is free. */
function subscribe(home: NetNsRef): Subscription | undefined {
  try {
    return new Subscription(home, [RTNLGRP.NSID, RTNLGRP.LINK]);
  } catch (error) {
    if (!isFull(error)) throw error;
    return undefined;
  }
}

/** Whether an error says that no descriptor is free. */
function isFull(error: unknown): boolean {
  return error instanceof SyscallError &&
    (error.errno === ERRNO.EMFILE || error.errno === ERRNO.ENFILE);
}

/** Processes with a thread in a namespace, ascending. Those of other users may be out of sight. */
export function holders(ref: NetNsRef): number[] {
  return processes().filter((pid) => threads(pid).some((path) => inodeOf(path) === ref.inode));
}

/** Milliseconds that a process may take to end that has got the same Ctrl-C. */
const MOMENT = 200;

/** Other processes that stay in a namespace, also when those that are just ending have ended. */
export function staying({ inode, cookie }: Pick<Expected, "inode" | "cookie">): number[] {
  const until = performance.now() + MOMENT;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    const pids = processes().filter((pid) =>
      pid !== processId() && threads(pid).some((path) => leadsTo(path, inode, cookie))
    );
    if (pids.length === 0 || performance.now() > until) return pids;
    Atomics.wait(cell, 0, 0, 10);
  }
}

/** The handles of this thread that have opened a namespace, by the descriptor. */
const handles = new Map<number, () => string>();

/**
 * Remembers the handle that a reference was opened for, until the reference closes: the error for a
 * namespace that stays names it.
 *
 * @param ref The reference.
 * @param what The handle in a message: `the handle of veth "v0"`.
 */
export function nameHandle(ref: NetNsRef, what: () => string): void {
  const fd = ref.fd.value;
  handles.set(fd, what);
  ref.onClose(() => handles.delete(fd));
}

/** A descriptor of this process, with the handle that has it where that is known. */
function ownDescriptor(path: string): string {
  const what = handles.get(Number(path.slice(path.lastIndexOf("/") + 1)));
  return `a descriptor of this process${what ? ` (${what()})` : ""}`;
}

/** Finds in one pass who holds namespaces, by their cookies; sockets only of this process. */
function findHolders(all: readonly Expected[]): Map<bigint, string[]> {
  const wanted = new Map(all.map(({ inode, cookie }) => [inode, cookie]));
  const found = new Map<bigint, Set<string>>(all.map(({ cookie }) => [cookie, new Set()]));
  const note = (path: string, who: string) => {
    const inode = inodeOf(path);
    const cookie = inode === undefined ? undefined : wanted.get(inode);
    if (cookie !== undefined && leadsTo(path, inode!, cookie)) found.get(cookie)!.add(who);
  };
  const own = processId();
  const seen = new Set<number | undefined>();
  for (const pid of processes()) {
    for (const path of threads(pid)) note(path, `process ${pid}`);
    const mounts = inodeOf(`/proc/${pid}/ns/mnt`);
    for (const path of seen.has(mounts) ? [] : mountedAt(pid)) {
      note(`/proc/${pid}/root${path}`, `the mount ${path} that process ${pid} sees`);
    }
    seen.add(mounts);
    for (const path of descriptors(pid)) {
      note(path, pid === own ? ownDescriptor(path) : `a descriptor of process ${pid}`);
      const cookie = pid === own
        ? cookieOfSocket(Number(path.slice(path.lastIndexOf("/") + 1)))
        : undefined;
      if (cookie !== undefined) found.get(cookie)?.add("a socket of this process");
    }
  }
  return new Map([...found].map(([cookie, who]) => [cookie, [...who]]));
}

/** Where namespaces are mounted, as a process sees it. */
export function mountedAt(pid: number | "self"): string[] {
  try {
    // 36 35 0:4 net:[4026532000] /run/netns/blue rw shared:5 - nsfs nsfs rw
    const paths = readText(`/proc/${pid}/mountinfo`).matchAll(/ net:\[\d+\] (\S+) /g);
    const character = (_: string, code: string) => String.fromCharCode(parseInt(code, 8));
    return Array.from(paths, ([, path]) => path!.replace(/\\([0-7]{3})/g, character));
  } catch (error) {
    if (error instanceof SyscallError) return []; // as list()
    throw error;
  }
}

/** Whether a path leads to a namespace; its inode alone could be another's by now. */
function leadsTo(path: string, inode: number, cookie: bigint): boolean {
  if (inodeOf(path) !== inode) return false;
  try {
    using ref = openNetNs(path, "a process's netns");
    return ref.cookie === cookie;
  } catch (error) {
    // The process has ended meanwhile, or is another user's.
    if (error instanceof SyscallError) return false;
    throw error;
  }
}

/** The ids of all processes, ascending. */
export function processes(): number[] {
  return readDirectory("/proc").map(Number).filter((pid) => pid > 0).sort((a, b) => a - b);
}

/** The namespaces of a process's threads, as paths. */
export function threads(pid: number): string[] {
  return [`/proc/${pid}/ns/net`, ...list(`/proc/${pid}/task`).map((thread) => `${thread}/ns/net`)];
}

/** The descriptors of a process, as paths. */
export function descriptors(pid: number): string[] {
  return list(`/proc/${pid}/fd`);
}

function list(directory: string): string[] {
  try {
    return readDirectory(directory).map((entry) => `${directory}/${entry}`);
  } catch (error) {
    // The process has ended meanwhile, or is another user's.
    if (error instanceof SyscallError) return [];
    throw error;
  }
}
