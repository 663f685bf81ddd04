/**
 * Mounts: those behind named namespaces, and those that nobody else sees (`fsopen(2)`, `fsmount(2)`, Linux
 * 5.2), which end with their descriptor, also when the process is killed.
 *
 * @module
 */
import { C } from "./constants.ts";
import { ERRNO, errno, SyscallError } from "./errno.ts";
import { cString, Fd, identify, open, read, readText } from "./file.ts";
import { detached, device, mount } from "./libc.ts";
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

/** Turns a directory into a shared mount: mounts below it reach the other mount namespaces. */
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

/** Mounts a file system, such as the sysfs of the current network namespace. */
export function mountDetached(type: "sysfs" | "tmpfs", what: string): Fd {
  const { fsopen, fsconfig, fsmount } = detached();
  const name = cString(type);
  const context = checked(
    Number(fsopen(BigInt(C.__NR_fsopen), name, C.FSOPEN_CLOEXEC)),
    "fsopen",
    what,
  );
  using owner = new Fd(context);
  const created = fsconfig(
    BigInt(C.__NR_fsconfig),
    owner.value,
    C.FSCONFIG_CMD_CREATE,
    null,
    null,
    0,
  );
  checked(Number(created), "fsconfig", what);
  return new Fd(
    checked(
      Number(fsmount(BigInt(C.__NR_fsmount), owner.value, C.FSMOUNT_CLOEXEC, 0)),
      "fsmount",
      what,
    ),
  );
}

/** Opens a path below a directory's descriptor, close-on-exec. */
export function openAt(directory: Fd, path: string, flags: number, what: string): Fd {
  const bytes = cString(path);
  const fd = detached().openat(directory.value, bytes, flags | C.O_CLOEXEC, 0);
  return new Fd(checked(fd, "openat", what));
}

/** A small file below a directory's descriptor, as text. */
export function readTextAt(directory: Fd, path: string, what: string): string {
  using fd = openAt(directory, path, C.O_RDONLY, what);
  const buffer = new Uint8Array(4096);
  return new TextDecoder().decode(buffer.subarray(0, read(fd, buffer, what)));
}

/** Creates the node of a character device in a directory. */
export function makeCharacterDevice(
  directory: Fd,
  name: string,
  major: number,
  minor: number,
  what: string,
): void {
  const bytes = cString(name);
  // As glibc's makedev(3) has it.
  const device = BigInt(minor & 0xff) | BigInt(major & 0xfff) << 8n | BigInt(minor >>> 8) << 20n;
  checked(detached().mknodat(directory.value, bytes, C.S_IFCHR | 0o600, device), "mknodat", what);
}

function checked(result: number, syscall: string, what: string): number {
  if (result < 0) throw new SyscallError(what, { syscall, errno: errno() });
  return result;
}
