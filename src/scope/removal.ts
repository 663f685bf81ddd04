/**
 * Removing links in bulk and namespaces, and waiting until they are gone: closing the last reference to a
 * namespace only queues its removal.
 *
 * @module
 */
import { C } from "../../ffi/libc.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { open, read, write } from "../../ffi/file.ts";
import { homeNetNs, type NetNsRef, within } from "../../ffi/namespace.ts";
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
import { findHolders, type Held } from "./namespaces.ts";
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
  return nsidsOf(from, [seen])[0]!;
}

function nsidsOf(from: NetNsRef, seen: readonly NetNsRef[]): number[] {
  const connection = connectionTo(from);
  const ask = (refs: readonly NetNsRef[]) =>
    values(connection, refs.map((ref) => getNsid({ fd: ref.fd.value }, ref.label)))
      .map(({ nsid = -1 }) => nsid);
  const ids = ask(seen);
  const without = seen.filter((_, i) => ids[i]! < 0);
  if (without.length === 0) return ids;
  values(connection, without.map((ref) => newNsid({ fd: ref.fd.value, nsid: -1 }, ref.label)));
  const given = ask(without).values();
  return ids.map((id) => id < 0 ? given.next().value! : id);
}

/** The answers to requests in one send. */
function values<T>(connection: Connection, requests: readonly Request<T>[]): T[] {
  return connection.batch(requests).map((result) => {
    if (!result.ok) throw result.error;
    return result.value as T;
  });
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

interface Expected extends Held {
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
  /** Those that are not closed yet. */
  readonly #open = new Map<NetNsRef, Expected>();
  /** Links of the watching namespace that will go with a watched one. */
  readonly #peers = new Set<number>();
  #subscription: Subscription | undefined;
  #dropped = false;

  /**
   * Watches namespaces that are about to be dropped. All are added before the first is dropped: the kernel
   * gives the id of one that is gone to the next.
   */
  add(...refs: readonly NetNsRef[]): void {
    const home = homeNetNs();
    for (const ref of refs) ref.release(); // frees descriptors, which the rest may need
    for (const [i, id] of nsidsOf(home, refs).entries()) {
      const { cookie, inode, label: description } = refs[i]!;
      const expected: Expected = { cookie, inode, description, open: refs[i]!, sockets: [] };
      this.#namespaces.set(id, expected);
      this.#open.set(refs[i]!, expected);
    }
    for (const { index, linkNetnsId } of connectionTo(home).dump(dumpLinks({ stats: false }))) {
      if (this.#namespaces.has(linkNetnsId ?? -1)) this.#peers.add(index);
    }
  }

  /** Closes the reference, which is meant to be the last one, unless programs have TCP sockets there. */
  drop(ref: NetNsRef): void {
    const expected = this.#open.get(ref);
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
    for (const ref of this.#open.keys()) ref.close();
  }

  /** Closes the namespaces in which programs have closed their TCP sockets meanwhile. */
  #closeIdle(): void {
    for (const [ref, expected] of this.#open) {
      expected.sockets = destroyOrphans(ref);
      if (expected.sockets.length === 0) this.#close(expected);
    }
  }

  #close(expected: Expected): void {
    if (!expected.open) return;
    expected.open.close();
    this.#open.delete(expected.open);
    delete expected.open;
  }

  async #pause(milliseconds: number): Promise<void> {
    if (this.#open.size > 0 || !this.#subscription) {
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
    for (const expected of this.#open.values()) this.#close(expected);
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
