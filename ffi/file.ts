/**
 * Files through libc, so that `--allow-ffi` alone covers what the library itself reads and writes
 * below /proc, /sys and /run.
 *
 * @module
 */
import { ARCH, C } from "./constants.ts";
import { ERRNO, errno, SyscallError, uninterrupted } from "./errno.ts";
import { Fd } from "./fd.ts";
import { core, directory, file, locks, path as paths, status } from "./libc.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A path or name as libc takes it: UTF-8 with a closing NUL. */
export function cString(value: string): Uint8Array<ArrayBuffer> {
  if (value.includes("\0")) throw new TypeError(`${JSON.stringify(value)} contains a NUL byte`);
  return encoder.encode(value + "\0");
}

/** Opens a path, close-on-exec. `operation` is for an error: `open netns "blue"`. */
export function open(path: string, flags: number, operation: string, mode = 0): Fd {
  const bytes = cString(path);
  const fd = uninterrupted(() => core().open(bytes, flags | C.O_CLOEXEC, mode));
  if (fd < 0) throw failed(operation, "open", path);
  return new Fd(fd);
}

/** Reads from a descriptor at its position; the number of bytes, 0 at the end. */
export function read(fd: Fd, buffer: Uint8Array<ArrayBuffer>, operation: string): number {
  const n = uninterrupted(() => file().read(fd.value, buffer, buffer.length));
  if (n < 0) throw new SyscallError(operation, { syscall: "read", errno: errno() });
  return n;
}

/** Writes all of `bytes`. */
export function write(fd: Fd, bytes: Uint8Array<ArrayBuffer>, operation: string): void {
  for (let offset = 0; offset < bytes.length;) {
    const rest = bytes.subarray(offset);
    const n = uninterrupted(() => file().write(fd.value, rest, rest.length));
    if (n < 0) throw new SyscallError(operation, { syscall: "write", errno: errno() });
    offset += n;
  }
}

/** A whole small file as text. */
export function readText(path: string): string {
  const operation = `read ${path}`;
  using fd = open(path, C.O_RDONLY, operation);
  const buffer = new Uint8Array(65536);
  let text = "";
  for (let n = read(fd, buffer, operation); n > 0; n = read(fd, buffer, operation)) {
    text += decoder.decode(buffer.subarray(0, n), { stream: true });
  }
  return text + decoder.decode();
}

/** Replaces the content of a file, all of it or nothing; creates it with `mode` when missing. */
export function writeText(path: string, text: string, mode = 0o600): void {
  const operation = `write ${path}`;
  const draft = `${path}.new`;
  const [from, to] = [cString(draft), cString(path)];
  using fd = open(draft, C.O_WRONLY | C.O_CREAT | C.O_TRUNC, operation, mode);
  try {
    write(fd, encoder.encode(text), operation);
    if (file().rename(from, to) !== 0) throw failed(operation, "rename", path);
  } catch (error) {
    paths().unlink(from); // unchecked: a second error would hide the first
    throw error;
  }
}

/** Waits until no other process has the directory locked, as flock(2) does; closing unlocks it. */
export function lock(path: string): Fd {
  const operation = `lock ${path}`;
  const fd = open(path, C.O_RDONLY, operation);
  if (uninterrupted(() => locks().flock(fd.value, C.LOCK_EX)) === 0) return fd;
  const error = failed(operation, "flock", path);
  fd.close();
  throw error;
}

/** The file that a path leads to, or `undefined` when it cannot be reached (gone, no permission). */
export function identify(path: string): { device: string; inode: number } | undefined {
  const buffer = new Uint8Array(256); // struct statx
  const { syscall } = status();
  const { AT_FDCWD, AT_STATX_DONT_SYNC: flags, STATX_INO: mask } = C;
  // A descriptor of another process may lead to a file server that does not answer: do not ask it.
  const number = BigInt(ARCH.__NR_statx);
  if (syscall(number, AT_FDCWD, cString(path), flags, mask, buffer) !== 0n) return undefined;
  const view = new DataView(buffer.buffer);
  const device = `${view.getUint32(136, true)}:${view.getUint32(140, true)}`;
  return { device, inode: Number(view.getBigUint64(32, true)) };
}

/** Whether a path exists. */
export function exists(path: string): boolean {
  return directory().access(cString(path), 0) === 0;
}

/** Creates a directory; `false` when it exists already. */
export function makeDirectory(path: string, mode = 0o755): boolean {
  const bytes = cString(path);
  if (paths().mkdir(bytes, mode) === 0) return true;
  if (errno() === ERRNO.EEXIST) return false;
  throw failed(`create directory ${path}`, "mkdir", path);
}

/** Removes a file; `false` when there is none. */
export function removeFile(path: string): boolean {
  const bytes = cString(path);
  if (paths().unlink(bytes) === 0) return true;
  if (errno() === ERRNO.ENOENT) return false;
  throw failed(`remove ${path}`, "unlink", path);
}

/** The names in a directory, unsorted, without `.` and `..`; empty when there is no such directory. */
export function readDirectory(path: string): string[] {
  let fd: Fd;
  try {
    fd = open(path, C.O_RDONLY | ARCH.O_DIRECTORY, `list ${path}`);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ERRNO.ENOENT) return [];
    throw error;
  }
  using _owner = fd;
  const names: string[] = [];
  const buffer = new Uint8Array(32768);
  const view = new DataView(buffer.buffer);
  for (;;) {
    const n = Number(
      directory().syscall(BigInt(ARCH.__NR_getdents64), fd.value, buffer, buffer.length),
    );
    if (n < 0) throw failed(`list ${path}`, "getdents64", path);
    if (n === 0) return names;
    // struct linux_dirent64: u64 ino, s64 off, u16 reclen, u8 type, char name[]
    for (let at = 0; at < n; at += view.getUint16(at + 16, true)) {
      const end = buffer.indexOf(0, at + 19);
      const name = decoder.decode(buffer.subarray(at + 19, end));
      if (name !== "." && name !== "..") names.push(name);
    }
  }
}

/** The error of the call that has just failed on a path. */
function failed(operation: string, syscall: string, path: string): SyscallError {
  return new SyscallError(operation, { syscall, errno: errno(), object: path });
}
