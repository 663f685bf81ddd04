/**
 * References to network namespaces, and running code inside one.
 *
 * `setns(2)` moves the calling thread only, and JavaScript runs on one thread: {@link within} is
 * synchronous from `setns` to the restoring `setns`, so it moves exactly the calls made inside it.
 *
 * @module
 */
import { C } from "./constants.ts";
import { ERRNO, errno, SyscallError } from "./errno.ts";
import { type Fd, identify, open } from "./file.ts";
import { core, namespace, socket as sockets, socketStatus } from "./libc.ts";

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
  /** For messages: `netns "blue"`, `netns of process 42`; empty for the process's own. */
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

/** The namespace calls land in now: that of the innermost {@link within}, or the thread's own. */
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

/** Creates an empty namespace and returns a reference to it; the thread stays where it is. */
export function newNetNs(description: string, netnsName?: string): NetNsRef {
  requireStack();
  settle();
  const back = location;
  location = undefined;
  if (namespace().unshare(C.CLONE_NEWNET) !== 0) {
    const code = errno();
    location = back;
    const hint = code === ERRNO.EPERM ? PRIVILEGE_HINT : undefined;
    throw new SyscallError(`create ${description}`, { syscall: "unshare", errno: code, hint });
  }
  try {
    return openNetNs(OWN, description, netnsName);
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
