/**
 * File systems mounted where nobody else sees them (`fsopen(2)`, `fsmount(2)`, Linux 5.2): gone with
 * the descriptor, also when the process is killed.
 *
 * @module
 */
import { C } from "./constants.ts";
import { errno, SyscallError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { cString, read } from "./file.ts";
import { detached } from "./libc.ts";

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

/** Makes the node of a character device in a directory. */
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
