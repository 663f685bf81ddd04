/**
 * Names of namespaces: mounts below /run/netns, as `ip netns` has them. And directories below /run that an
 * ordinary user can write to in a mount namespace of its own.
 *
 * @module
 */
import { C } from "../../ffi/libc.ts";
import { ERRNO, SyscallError, withHint } from "../../ffi/errno.ts";
import { exists, type Fd, lock, makeDirectory, open, removeFile } from "../../ffi/file.ts";
import {
  bindMount,
  inodeOf,
  mountTmpfs,
  type NetNsRef,
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
