/**
 * Descriptors with one owner, their memory, and files through libc: `--allow-ffi` alone covers the files below /proc,
 * /sys and /run that the library reads and writes.
 *
 * @module
 */
import {
  ARCH,
  C,
  core,
  directory,
  duplicate,
  file,
  locks,
  memory,
  path as paths,
  signals,
  status,
} from "./libc.ts";
import { ERRNO, errno, SyscallError, uninterrupted } from "./errno.ts";

/** Owns a descriptor and closes it once. Every descriptor the library opens is opened CLOEXEC. */
export class Fd implements Disposable {
  #fd: number;
  #leaving: (() => void) | undefined;

  /** Takes ownership of `fd`. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The descriptor's number. Throws when it has been closed or released. */
  get value(): number {
    if (this.#fd < 0) throw new TypeError("The file descriptor is closed");
    return this.#fd;
  }

  /** Whether it has been closed or released. */
  get closed(): boolean {
    return this.#fd < 0;
  }

  /** Closes the descriptor; a second call does nothing. */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    try {
      this.release();
    } finally {
      // Linux frees the number whatever close(2) returns: retrying could close somebody else's.
      core().close(fd);
    }
  }

  /** For the reactor: calls `leave` once, before the number is anybody else's. */
  onLeave(leave: () => void): void {
    this.#leaving = leave;
  }

  /** Gives ownership up and returns the number. */
  release(): number {
    const fd = this.value;
    try {
      this.#leaving?.();
    } finally {
      this.#leaving = undefined;
      this.#fd = -1;
    }
    return fd;
  }

  /** Same as {@link Fd.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

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

/** Milliseconds that {@link lock} waits: far longer than netloom or iproute2 hold a lock. */
const LOCK_DEADLINE = 5000;

/**
 * Waits until no other process has a directory locked, as flock(2) does; closing unlocks it.
 *
 * @param path The directory.
 * @param name The directory in an error. Default: the path.
 * @throws {SyscallError} EAGAIN when another process keeps the lock for 5 seconds, with its id.
 */
export function lock(path: string, name = path): Fd {
  const operation = `lock ${name}`;
  const fd = open(path, C.O_RDONLY, operation);
  const until = performance.now() + LOCK_DEADLINE;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  try {
    while (!tryLock(fd, operation)) {
      if (performance.now() < until) {
        Atomics.wait(cell, 0, 0, 2);
        continue;
      }
      const holder = lockHolder(path);
      const hint = `${holder ? `process ${holder}` : "another process"} has held the lock for ` +
        `${LOCK_DEADLINE} ms: end it`;
      throw new SyscallError(operation, { syscall: "flock", errno: ERRNO.EAGAIN, hint });
    }
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/** Locks an open file, as flock(2) does; `false` when another descriptor has it locked. */
export function tryLock(fd: Fd, operation: string): boolean {
  if (uninterrupted(() => locks().flock(fd.value, C.LOCK_EX | C.LOCK_NB)) === 0) return true;
  const code = errno();
  if (code === ERRNO.EAGAIN) return false;
  throw new SyscallError(operation, { syscall: "flock", errno: code });
}

/**
 * The process that has a file locked with flock(2), as /proc/locks tells it; `undefined` when there is
 * none, or it is in another pid namespace.
 */
export function lockHolder(path: string): number | undefined {
  const inode = identify(path)?.inode;
  // 1: FLOCK  ADVISORY  WRITE 4711 00:18:1234 0 EOF
  for (const line of readText("/proc/locks").split("\n")) {
    const [, type, , , pid, file] = line.split(/\s+/);
    if (type === "FLOCK" && Number(file?.split(":")[2]) === inode) return Number(pid);
  }
  return undefined;
}

let pid: number | undefined;

/** The number that this process has in /proc, where `Deno.pid` can be one of another pid namespace. */
export function processId(): number {
  return pid ??= Number.parseInt(readText("/proc/self/stat"));
}

/** Whether the numbers of processes in /proc are those that this process's calls use: not in a pid namespace without its own /proc. */
export function hasOwnProc(): boolean {
  return processId() === Deno.pid;
}

/** Sends a signal to this process, which `Deno.kill` takes `--allow-run` for. */
export function sendToSelf(signal: number, name: string): void {
  if (signals().kill(Deno.pid, signal) !== 0) throw failed(`send ${name}`, "kill", `${Deno.pid}`);
}

/** A file as the kernel identifies it. */
export interface FileIdentity {
  /** The file system: `major:minor`. */
  readonly device: string;
  /** The number in it. */
  readonly inode: number;
  /** Names that lead to it; for a directory, its subdirectories and two more. */
  readonly links: number;
  /** Type and permissions (`st_mode`). */
  readonly mode: number;
}

/** The file that a path leads to, or `undefined` when it cannot be reached (gone, no permission). */
export function identify(path: string): FileIdentity | undefined {
  const buffer = new Uint8Array(256); // struct statx
  const { syscall } = status();
  const { AT_FDCWD, AT_STATX_DONT_SYNC: flags, STATX_INO, STATX_MODE, STATX_NLINK } = C;
  // A descriptor of another process may lead to a file server that does not answer: do not ask it.
  const number = BigInt(ARCH.__NR_statx);
  const mask = STATX_INO | STATX_MODE | STATX_NLINK;
  if (syscall(number, AT_FDCWD, cString(path), flags, mask, buffer) !== 0n) return undefined;
  const view = new DataView(buffer.buffer);
  const device = `${view.getUint32(136, true)}:${view.getUint32(140, true)}`;
  const inode = Number(view.getBigUint64(32, true));
  return {
    device,
    inode,
    links: view.getUint32(16, true),
    mode: view.getUint16(28, true),
  };
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

/** Sets the permissions of a file or directory. */
export function setMode(path: string, mode: number): void {
  const bytes = cString(path);
  if (paths().chmod(bytes, mode) !== 0) throw failed(`set the mode of ${path}`, "chmod", path);
}

/** Removes a file; `false` when there is none. */
export function removeFile(path: string): boolean {
  const bytes = cString(path);
  if (paths().unlink(bytes) === 0) return true;
  if (errno() === ERRNO.ENOENT) return false;
  throw failed(`remove ${path}`, "unlink", path);
}

/** Gives a file another name, in place of the file that has it. */
export function renameFile(from: string, to: string): void {
  const [old, name] = [cString(from), cString(to)];
  if (file().rename(old, name) !== 0) throw failed(`rename ${from}`, "rename", from);
}

/** Removes an empty directory; `false` when there is none. */
export function removeDirectory(path: string): boolean {
  const bytes = cString(path);
  if (paths().rmdir(bytes) === 0) return true;
  if (errno() === ERRNO.ENOENT) return false;
  throw failed(`remove directory ${path}`, "rmdir", path);
}

/**
 * Puts a file in the place of the one that a descriptor leads to, at every descriptor of this process that leads
 * there (dup2(2)): Deno has duplicates of standard output and standard error.
 */
export function replaceFile(descriptor: number, by: Fd): void {
  const leadsTo = (number: string | number) => {
    const file = identify(`/proc/self/fd/${number}`);
    return file && `${file.device} ${file.inode}`;
  };
  const old = leadsTo(descriptor);
  for (const number of readDirectory("/proc/self/fd")) {
    if (leadsTo(number) !== old) continue;
    if (uninterrupted(() => duplicate().dup2(by.value, Number(number))) < 0) {
      throw new SyscallError(`redirect descriptor ${number}`, { syscall: "dup2", errno: errno() });
    }
  }
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

/** `MAP_FAILED`, as a pointer's value. */
const MAP_FAILED = 2n ** 64n - 1n;

/** The part of a descriptor's memory that is mapped. */
export interface MappedPart {
  /** Bytes. */
  readonly length: number;
  /** Where they start; default 0. */
  readonly offset?: number;
  /** What is being done, for an error: `map the capture's ring`. */
  readonly operation: string;
}

/**
 * Owns the mapping of a descriptor's memory and unmaps it once.
 *
 * JavaScript sees it through buffers that are lent. A buffer that is taken back is detached, and every
 * view of it is empty from then on: what comes to be in that memory later, or its absence, cannot be read
 * through it. Closing takes all buffers back before it unmaps.
 */
export class Mapping implements Disposable {
  /** Its size in bytes. */
  readonly length: number;
  #pointer: Deno.PointerObject | null;
  readonly #lent = new Set<ArrayBuffer>();

  /**
   * Maps `length` bytes of a descriptor, to read and write, shared. Throws {@link SyscallError}.
   *
   * @param fd The descriptor; it may be closed while the mapping lives.
   * @param part What of it.
   */
  constructor(fd: Fd, part: MappedPart) {
    const { length, offset = 0, operation } = part;
    const protection = C.PROT_READ | C.PROT_WRITE;
    const { mmap } = memory();
    const pointer = mmap(null, BigInt(length), protection, C.MAP_SHARED, fd.value, BigInt(offset));
    const code = errno();
    if (pointer === null || BigInt(Deno.UnsafePointer.value(pointer)) === MAP_FAILED) {
      throw new SyscallError(operation, { syscall: "mmap", errno: code });
    }
    this.length = length;
    this.#pointer = pointer;
  }

  /** Lends a part of the memory, until {@link Mapping.takeBack} or {@link Mapping.close}. */
  lend(offset: number, length: number): ArrayBuffer {
    if (this.#pointer === null) throw new TypeError("The mapping is closed");
    if (offset < 0 || length < 0 || offset + length > this.length) {
      throw new RangeError(`${offset} and ${length} bytes more are not in ${this.length} bytes`);
    }
    const buffer = Deno.UnsafePointerView.getArrayBuffer(this.#pointer, length, offset);
    this.#lent.add(buffer);
    return buffer;
  }

  /** Detaches a buffer that was lent. */
  takeBack(buffer: ArrayBuffer): void {
    if (this.#lent.delete(buffer) && !buffer.detached) buffer.transfer(0);
  }

  /** Takes all buffers back and unmaps the memory; a second call does nothing. */
  close(): void {
    if (this.#pointer === null) return;
    for (const buffer of this.#lent) this.takeBack(buffer);
    memory().munmap(this.#pointer, BigInt(this.length));
    this.#pointer = null;
  }

  /** Same as {@link Mapping.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
