/**
 * The mounts behind named namespaces.
 *
 * @module
 */
import { C } from "./constants.ts";
import { ERRNO, errno, SyscallError } from "./errno.ts";
import { cString } from "./file.ts";
import { mount } from "./libc.ts";
import { PRIVILEGE_HINT } from "./namespace.ts";

function call(what: string, source: string, target: string, type: string, flags: number): void {
  const args = [cString(source), cString(target), cString(type)] as const;
  if (mount().mount(...args, BigInt(flags), null) !== 0) {
    const code = errno();
    throw new SyscallError(what, {
      syscall: "mount",
      errno: code,
      hint: code === ERRNO.EPERM ? PRIVILEGE_HINT : undefined,
    });
  }
}

/** Makes `target` show what `source` does. */
export function bindMount(source: string, target: string, what: string): void {
  call(what, source, target, "none", C.MS_BIND);
}

/** Makes a directory a mount of its own whose mounts reach the other mount namespaces. */
export function shareMount(directory: string): void {
  const what = `share mount ${directory}`;
  try {
    call(what, "", directory, "none", C.MS_SHARED | C.MS_REC);
  } catch (error) {
    // EINVAL: not a mount point yet.
    if (!(error instanceof SyscallError) || error.errno !== ERRNO.EINVAL) throw error;
    call(what, directory, directory, "none", C.MS_BIND | C.MS_REC);
    call(what, "", directory, "none", C.MS_SHARED | C.MS_REC);
  }
}

/** Mounts an empty file system in memory, shown as `source` in the list of mounts. */
export function mountTmpfs(directory: string, source: string): void {
  call(`mount a tmpfs on ${directory}`, source, directory, "tmpfs", C.MS_NOSUID | C.MS_NODEV);
}

/** Detaches a mount; `false` when nothing is mounted there or the path is gone. */
export function unmount(path: string): boolean {
  const bytes = cString(path);
  if (mount().umount2(bytes, C.MNT_DETACH) === 0) return true;
  const code = errno();
  if (code === ERRNO.EINVAL || code === ERRNO.ENOENT) return false;
  throw new SyscallError(`unmount ${path}`, { syscall: "umount2", errno: code });
}
