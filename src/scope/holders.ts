/**
 * Who holds a namespace: processes, descriptors and mounts.
 *
 * @module
 */
import { SyscallError } from "../../ffi/errno.ts";
import { processId, readDirectory, readText } from "../../ffi/file.ts";
import { cookieOfSocket, inodeOf, type NetNsRef, openNetNs } from "../../ffi/namespace.ts";

/** A namespace as it is found again: by its inode, and by its cookie since inodes are given anew. */
export interface Held {
  readonly cookie: bigint;
  readonly inode: number;
}

/** Processes with a thread in a namespace, ascending. Those of other users may be out of sight. */
export function holders(ref: NetNsRef): number[] {
  return processes().filter((pid) => threads(pid).some((path) => inodeOf(path) === ref.inode));
}

/** Milliseconds that a process may take to end that has got the same Ctrl-C. */
const MOMENT = 200;

/** Other processes that stay in a namespace, also when those that are just ending have ended. */
export function staying({ inode, cookie }: Held): number[] {
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
export function findHolders(all: readonly Held[]): Map<bigint, string[]> {
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
