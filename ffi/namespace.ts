/**
 * References to network namespaces, and running code inside one.
 *
 * `setns(2)` moves the calling thread only, and JavaScript runs on one thread: {@link within} is
 * synchronous from `setns` to the restoring `setns`, so it moves exactly the calls made inside it.
 *
 * @module
 */
import {
  C,
  core,
  detached,
  device,
  mount,
  namespace,
  socket as sockets,
  socketStatus,
} from "./libc.ts";
import { ERRNO, errno, SyscallError } from "./errno.ts";
import { cString, Fd, identify, open, read, readDirectory, readText } from "./file.ts";

/** What to do when the kernel refuses for lack of privileges. */
export const PRIVILEGE_HINT = "run as root, or as an ordinary user in namespaces of your own: " +
  "npx -y -p deno -c 'unshare -Urmn deno run -A SCRIPT'";

/** The calling thread's namespace. Threads of a process may be in different ones. */
const OWN = "/proc/thread-self/ns/net";

/**
 * The thread could not return to its own namespace. Nothing it does from then on happens where the
 * program expects it: end the program.
 */
export class NetNsRestoreError extends SyscallError {
  /** `NetNsRestoreError`. */
  override readonly name = "NetNsRestoreError";
}

/** A namespace kept alive by a descriptor, and its name in messages. */
export class NetNsRef implements Disposable {
  /** Owner of the descriptor that keeps the namespace alive. */
  readonly fd: Fd;
  /**
   * For messages: `netns "blue"`, `netns of process 42`, `netns 4026532201` (its inode); empty for the
   * process's own.
   */
  readonly description: string;
  /** Its name below /run/netns, when it was reached by that. */
  readonly netnsName: string | undefined;
  #inode: number | undefined;
  #cookie: bigint | undefined;
  readonly #closers = new Set<() => void>();
  #closing = false;

  /** Takes ownership of `fd`. */
  constructor(fd: Fd, description: string, netnsName?: string) {
    this.fd = fd;
    this.description = description;
    this.netnsName = netnsName;
  }

  /** The namespace in a sentence: its description, or `the process's netns`. */
  get label(): string {
    return this.description || "the process's netns";
  }

  /** The end of a message about something in the namespace: ` in netns "blue"`; empty like `description`. */
  get place(): string {
    return this.description && ` in ${this.description}`;
  }

  /**
   * The namespace's identity: `SO_NETNS_COOKIE`, which the kernel gives to no other namespace until the
   * machine restarts. Linux 5.14.
   *
   * @throws {TypeError} When the reference is closed.
   */
  get cookie(): bigint {
    this.check();
    return this.#cookie ??= readCookie(this);
  }

  /**
   * The inode number, as `ls -i /run/netns` shows it: for messages only. Another namespace can have it as
   * soon as this one is gone.
   */
  get inode(): number {
    return this.#inode ??= inodeOf(`/proc/self/fd/${this.fd.value}`) ?? 0;
  }

  /**
   * Refuses to go on with a closed reference.
   *
   * @param operation The operation, for the error: `list links`.
   * @returns The reference itself.
   * @throws {TypeError} When it is closed: `list links: netns "blue" is closed`.
   */
  check(operation?: string): this {
    if (!this.fd.closed) return this;
    throw new TypeError(`${operation ? `${operation}: ` : ""}${this.label} is closed`);
  }

  /**
   * Runs `closer` when this reference closes: for sockets that would keep the namespace alive.
   *
   * @returns Takes it back.
   */
  onClose(closer: () => void): () => void {
    this.#closers.add(closer);
    return () => void this.#closers.delete(closer);
  }

  /**
   * Calls the registered closers and closes the descriptor; a second call does nothing. Inside `run()`
   * of this namespace the descriptor closes when `run()` ends: the thread has no other way back.
   */
  close(): void {
    this.#closing = isEntered(this);
    if (this.#closing) return;
    this.release();
    this.fd.close();
  }

  /** Calls the registered closers, and leaves the reference open. */
  release(): void {
    for (const closer of this.#closers) closer();
    this.#closers.clear();
  }

  /** For {@link within}: a call inside this namespace has ended. */
  left(): void {
    if (this.#closing) this.close();
  }

  /** Same as {@link NetNsRef.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Whether two references lead to one namespace, told by its cookie.
 *
 * @throws {TypeError} When one of them is closed.
 */
export function sameNetNs(a: NetNsRef, b: NetNsRef): boolean {
  a.check();
  return a === b || a.cookie === b.cookie;
}

let nsfs: string | undefined;

/**
 * The inode of the namespace behind a path such as /proc/42/ns/net or /run/netns/blue, or `undefined`
 * when there is no namespace.
 */
export function inodeOf(path: string): number | undefined {
  // Where a namespace is mounted, a link's text is the path instead of net:[...]: the device tells.
  nsfs ??= identify(OWN)?.device;
  const file = identify(path);
  return file?.device === nsfs ? file?.inode : undefined;
}

/** The cookie of the namespace that a socket belongs to; `undefined` when `fd` is no socket. */
export function cookieOfSocket(fd: number): bigint | undefined {
  const value = new BigUint64Array(1);
  const bytes = new Uint8Array(value.buffer);
  const length = new Uint8Array(new Uint32Array([8]).buffer);
  const { getsockopt } = socketStatus();
  return getsockopt(fd, C.SOL_SOCKET, C.SO_NETNS_COOKIE, bytes, length) === 0
    ? value[0]
    : undefined;
}

function readCookie(ref: NetNsRef): bigint {
  const what = `read the cookie of ${ref.label}`;
  return within(ref, () => {
    const fd = sockets().socket(C.AF_NETLINK, C.SOCK_RAW | C.SOCK_CLOEXEC, 0);
    if (fd < 0) throw new SyscallError(what, { syscall: "socket", errno: errno() });
    const cookie = cookieOfSocket(fd);
    const code = errno();
    core().close(fd);
    if (cookie === undefined) {
      throw new SyscallError(what, {
        syscall: "getsockopt",
        errno: code,
        hint: "Linux 5.14 is the first that has it",
      });
    }
    return cookie;
  });
}

/** A call of {@link within} that has not ended. */
interface Entry {
  readonly target: NetNsRef;
  readonly outer: Entry | undefined;
}

let home: NetNsRef | undefined;
/** The innermost call. Only assignments change it: they cannot fail where the stack is full. */
let innermost: Entry | undefined;
/** The thread's namespace; unset while the thread moves, and for good when that was interrupted. */
let location: NetNsRef | undefined;
let lost: NetNsRestoreError | undefined;

function isEntered(ref: NetNsRef): boolean {
  for (let entry = innermost; entry; entry = entry.outer) if (entry.target === ref) return true;
  return false;
}

/** The thread's namespace outside all calls of {@link within}; opened once, never closed. */
export function homeNetNs(): NetNsRef {
  return home ??= location = new NetNsRef(
    open(OWN, C.O_RDONLY, "open the current netns"),
    "",
  );
}

/** The current namespace: that of the innermost {@link within}, or the thread's own. */
export function currentNetNs(): NetNsRef {
  return innermost?.target ?? homeNetNs();
}

/** Opens the namespace behind a path such as /proc/42/ns/net. */
export function openNetNs(path: string, description: string, netnsName?: string): NetNsRef {
  return new NetNsRef(open(path, C.O_RDONLY, `open ${description}`), description, netnsName);
}

/**
 * Runs `fn` in a namespace. Synchronous: an `await` inside would move other code along.
 *
 * @throws {TypeError} When the reference is closed.
 */
export function within<T>(target: NetNsRef, fn: () => T): T {
  if (target === currentNetNs() && target === location) return fn();
  target.check();
  requireStack();
  const outer = innermost;
  settle();
  innermost = { target, outer };
  try {
    enter(target);
    return fn();
  } finally {
    innermost = outer;
    settle();
    target.left();
  }
}

/**
 * Creates an empty namespace and returns a reference to it; the thread stays where it is.
 *
 * @param description Its name in messages. Default: `netns` and its inode.
 * @param netnsName Its name below /run/netns, where it gets one.
 */
export function newNetNs(description?: string, netnsName?: string): NetNsRef {
  requireStack();
  settle();
  const back = location;
  location = undefined;
  if (namespace().unshare(C.CLONE_NEWNET) !== 0) {
    const code = errno();
    location = back;
    const hint = code === ERRNO.EPERM ? PRIVILEGE_HINT : undefined;
    const what = description ?? "new netns";
    throw new SyscallError(`create ${what}`, { syscall: "unshare", errno: code, hint });
  }
  try {
    return openNetNs(OWN, description ?? `netns ${inodeOf(OWN)}`, netnsName);
  } finally {
    settle();
  }
}

/**
 * Overflows the stack now, when there is no room for so many calls: before a thread moves, rather than
 * between two moves.
 *
 * @throws {RangeError} When the stack is that full.
 */
export function requireStack(frames = 200): number {
  return frames === 0 ? 0 : 1 + requireStack(frames - 1);
}

/** Moves the thread to `target`, and throws when it cannot enter. */
function enter(target: NetNsRef): void {
  const back = location;
  if (target === back) return;
  const fd = target.fd.value;
  location = undefined;
  const code = setns(fd, target);
  location = code === 0 ? target : back;
  if (code === 0) return;
  const hint = code === ERRNO.EPERM ? PRIVILEGE_HINT : undefined;
  throw new SyscallError(`enter ${target.label}`, { syscall: "setns", errno: code, hint });
}

/** Moves the thread to where it is to be, also after a move that was interrupted. */
function settle(): void {
  if (lost) throw lost;
  const target = currentNetNs();
  if (target === location) return;
  const fd = target.fd.value;
  location = undefined;
  const code = setns(fd, target);
  if (code !== 0) {
    throw lost = new NetNsRestoreError("return to the thread's own netns", {
      syscall: "setns",
      errno: code,
    });
  }
  location = target;
}

/** Moves the thread; returns 0, or the error number. Staying where it is takes no privileges. */
function setns(fd: number, target: NetNsRef): number {
  if (namespace().setns(fd, C.CLONE_NEWNET) === 0) return 0;
  const code = errno();
  // Both are open, so an equal inode means the same namespace.
  return code === ERRNO.EPERM && inodeOf(OWN) === target.inode ? 0 : code;
}

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

const THREADS = "/proc/self/task";

/** The number of threads of this process, and of directories beside them. */
export function threadCount(): number {
  return identify(THREADS)?.links ?? 0;
}

/**
 * The names of this process's threads in a namespace, where this thread is in another one. A thread that
 * ends meanwhile is none of them.
 */
export function otherThreadsIn(ref: NetNsRef): string[] {
  if (ref.inode === currentNetNs().inode) return [];
  return readDirectory(THREADS)
    .filter((thread) => inodeOf(`${THREADS}/${thread}/ns/net`) === ref.inode)
    .map(nameOfThread)
    .filter((name) => name !== "");
}

/** Empty when the thread has ended. */
function nameOfThread(thread: string): string {
  try {
    return readText(`${THREADS}/${thread}/comm`);
  } catch (error) {
    if (error instanceof SyscallError) return "";
    throw error;
  }
}
