/**
 * The mounts behind named namespaces.
 *
 * @module
 */
import { C } from "./constants.ts";
import { ERRNO, errno, SyscallError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { cString, identify, open, readText } from "./file.ts";
import { device, mount } from "./libc.ts";
import { PRIVILEGE_HINT } from "./namespace.ts";

interface Mount {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly flags: number;
  /** Options of the file system. */
  readonly data?: string;
}

function call(what: string, { source, target, type, flags, data }: Mount): void {
  const args = [cString(source), cString(target), cString(type)] as const;
  const options = data === undefined ? null : cString(data);
  if (mount().mount(...args, BigInt(flags), options) === 0) return;
  const code = errno();
  throw new SyscallError(what, {
    syscall: "mount",
    errno: code,
    object: target,
    hint: code === ERRNO.EPERM ? PRIVILEGE_HINT : undefined,
  });
}

/** Mounts `source` on `target`, too. */
export function bindMount(source: string, target: string, what: string): void {
  call(what, { source, target, type: "none", flags: C.MS_BIND });
}

/** Makes a directory a mount of its own whose mounts reach the other mount namespaces. */
export function shareMount(directory: string): void {
  const what = `share mount ${directory}`;
  const share = { source: "", target: directory, type: "none", flags: C.MS_SHARED | C.MS_REC };
  try {
    call(what, share);
  } catch (error) {
    // EINVAL: not a mount point yet.
    if (!(error instanceof SyscallError) || error.errno !== ERRNO.EINVAL) throw error;
    call(what, { ...share, source: directory, flags: C.MS_BIND | C.MS_REC });
    call(what, share);
  }
}

/** Mounts an empty file system in memory, shown as `source` in the list of mounts. */
export function mountTmpfs(target: string, source: string, mode: number): void {
  call(`mount a tmpfs on ${target}`, {
    source,
    target,
    type: "tmpfs",
    flags: C.MS_NOSUID | C.MS_NODEV,
    data: `mode=${mode.toString(8)}`,
  });
}

/** Inode of the machine's first user namespace (`PROC_USER_INIT_INO`, linux/proc_ns.h). */
const INITIAL_USER_NAMESPACE = 0xeffffffd;

/**
 * Whether nobody outside sees what this process mounts: its mount namespace belongs to its user
 * namespace, which its user has created, as `unshare -Urm` does (ioctl_ns(2)).
 */
export function ownsMounts(): boolean {
  const what = "find the owner of the mount namespace";
  const user = identify("/proc/self/ns/user")?.inode;
  if (user === INITIAL_USER_NAMESPACE) return false;
  using mounts = open("/proc/self/ns/mnt", C.O_RDONLY, what);
  const { ioctl, ioctl_value } = device();
  const fd = ioctl_value(mounts.value, BigInt(C.NS_GET_USERNS), 0n);
  if (fd < 0) return false; // EPERM: it belongs to a user namespace around this one
  using owner = new Fd(fd);
  if (identify(`/proc/self/fd/${owner.value}`)?.inode !== user) return false;
  const uid = new Uint32Array(1);
  const bytes = new Uint8Array(uid.buffer);
  if (ioctl(owner.value, BigInt(C.NS_GET_OWNER_UID), bytes) !== 0) {
    throw new SyscallError(what, { syscall: "ioctl", errno: errno() });
  }
  const effective = /^Uid:\s+\d+\s+(\d+)/m.exec(readText("/proc/self/status"))?.[1];
  return uid[0] === Number(effective);
}

/** Detaches a mount; `false` when nothing is mounted there or the path is gone. */
export function unmount(path: string): boolean {
  const bytes = cString(path);
  if (mount().umount2(bytes, C.MNT_DETACH) === 0) return true;
  const code = errno();
  if (code === ERRNO.EINVAL || code === ERRNO.ENOENT) return false;
  throw new SyscallError(`unmount ${path}`, { syscall: "umount2", errno: code, object: path });
}
