/**
 * Namespaces as all programs see them: their names, which are mounts below /run/netns as `ip netns` has them, and the
 * processes, descriptors and mounts that hold them. And directories below /run that an ordinary user can write to in a
 * mount namespace of its own.
 *
 * @module
 */
import { C } from "../../ffi/libc.ts";
import { ERRNO, SyscallError, withHint } from "../../ffi/errno.ts";
import {
  exists,
  type Fd,
  lock,
  makeDirectory,
  open,
  processId,
  readDirectory,
  readText,
  removeFile,
} from "../../ffi/file.ts";
import {
  bindMount,
  cookieOfSocket,
  inodeOf,
  mountTmpfs,
  type NetNsRef,
  openNetNs,
  ownsMounts,
  PRIVILEGE_HINT,
  shareMount,
  unmount,
} from "../../ffi/namespace.ts";
import { NETNS_DIRECTORY, netnsPath, openNamed } from "../netlink/connections.ts";
import { reportNetNs } from "../netlink/trace.ts";
import { show } from "../options.ts";

/** Whether a namespace has this name. The stale file of a crash is none. */
export function isNamed(name: string): boolean {
  return inodeOf(netnsPath(name)) !== undefined;
}

/** Gives a namespace a name. EEXIST when another has it. */
export function giveName(name: string, ref: NetNsRef): void {
  const path = netnsPath(name);
  if (isNamed(name)) throw taken(name);
  withRunDirectory(NETNS_DIRECTORY, 0o755, () => {
    // `ip netns` takes the lock, too. A plain file is a crash's then, not one about to be a mount.
    using _lock = lock(NETNS_DIRECTORY);
    if (!createFile(path, name)) {
      if (isNamed(name)) throw taken(name);
      removeFile(path);
      if (!createFile(path, name)) throw taken(name);
    }
    try {
      // For other mount namespaces to see it, too.
      shareMount(NETNS_DIRECTORY);
      bindMount(`/proc/self/fd/${ref.fd.value}`, path, `create netns ${show(name)}`);
      reportNetNs("add", name);
    } catch (error) {
      throw undone(error, () => removeFile(path));
    }
  });
}

function taken(name: string): SyscallError {
  return new SyscallError(`create netns ${show(name)}`, {
    syscall: "open",
    errno: ERRNO.EEXIST,
    hint: "NetNs.open() opens it, NetNs.delete() removes its name",
  });
}

function createFile(path: string, name: string): boolean {
  let file: Fd;
  try {
    const operation = `create netns ${show(name)} at ${path}`;
    file = open(path, C.O_RDONLY | C.O_CREAT | C.O_EXCL, operation);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ERRNO.EEXIST) return false;
    throw error;
  }
  file.close();
  return true;
}

/**
 * Removes a name; the namespace itself lives on while something holds it.
 *
 * @param name The name.
 * @param ref Only when it is the name of this namespace, which is open. Default: whichever has it.
 * @returns `false` when there is none.
 */
export function removeName(name: string, ref?: NetNsRef): boolean {
  const path = netnsPath(name);
  if (ref) {
    // An inode is an identity as long as the namespace is held open.
    const inode = inodeOf(path);
    if (inode === undefined) return removeStale(name);
    if (inode !== ref.inode) return false;
  }
  unmount(path);
  const removed = removeFile(path);
  reportNetNs("delete", name);
  return removed;
}

/** Removes a name if it leads to the namespace with this cookie, or is a stale file. */
export function removeNameOf(cookie: bigint, name: string): boolean {
  if (!isNamed(name)) return removeStale(name);
  using _lock = lock(NETNS_DIRECTORY);
  using ref = openNamed(name);
  return ref.cookie === cookie && removeName(name, ref);
}

/** Removes the file of a name that leads to no namespace: a crash or a refused step has left it. */
function removeStale(name: string): boolean {
  const path = netnsPath(name);
  if (!exists(path)) return false;
  // `ip netns` has the lock between creating a file and mounting the namespace on it.
  using _lock = lock(NETNS_DIRECTORY);
  return !isNamed(name) && removeFile(path);
}

const DENIED: readonly number[] = [ERRNO.EACCES, ERRNO.EPERM, ERRNO.EROFS];

/** Whether an error says that this user must not write there. */
export function isDenied(error: unknown): boolean {
  return error instanceof SyscallError && error.syscall !== "mount" && DENIED.includes(error.errno);
}

/**
 * Runs `create`, which creates a file in `directory` (directly below /run), after creating that.
 *
 * Inside `unshare -Urmn` /run belongs to the machine's root, and nobody may write there. The mount
 * namespace is the user's own then: an empty tmpfs over the directory, or over /run when there is no such
 * directory, is seen by nobody outside. Where the mount namespace is not the user's own, the first error
 * is thrown.
 */
export function withRunDirectory<T>(directory: string, mode: number, create: () => T): T {
  try {
    makeDirectory(directory, mode);
    return create();
  } catch (error) {
    if (!isDenied(error)) throw error;
    if (!ownsMounts()) throw withHint(error as SyscallError, PRIVILEGE_HINT);
    if (exists(directory)) mountTmpfs(directory, "netloom", mode);
    else mountTmpfs("/run", "netloom", 0o755);
    makeDirectory(directory, mode);
    return create();
  }
}

/** Runs `undo` after `error` and returns the error to throw: of both, when `undo` fails, too. */
export function undone(error: unknown, undo: () => void): unknown {
  try {
    undo();
    return error;
  } catch (second) {
    const message = error instanceof Error ? error.message : String(error);
    return new AggregateError([error, second], `${message}; undoing it failed, too`);
  }
}

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
