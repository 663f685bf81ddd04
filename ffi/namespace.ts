/**
 * Network namespace references and the `setns` bracket.
 *
 * `setns(2)` moves the calling thread only, and JavaScript runs on one thread: a bracket that is
 * synchronous from `setns` to the restoring `setns` moves exactly the calls made inside it.
 *
 * @module
 */
import { C } from "./constants.ts";
import { ERRNO, errno, SyscallError } from "./errno.ts";
import type { Fd } from "./fd.ts";
import { identify, open } from "./file.ts";
import { namespace } from "./libc.ts";

/** What to do when the kernel refuses for lack of privileges. */
export const PRIVILEGE_HINT = "run as root, or as an ordinary user in namespaces of your own: " +
  "npx -y -p deno -c 'unshare -Urmn deno run -A SCRIPT'";

/** The calling thread's namespace. Threads of a process may be in different ones. */
const OWN = "/proc/thread-self/ns/net";

/**
 * The thread could not return to its own namespace after a bracket. Nothing it does from then on
 * happens where the program expects it: end the program.
 */
export class NetNsRestoreError extends SyscallError {
  /** `NetNsRestoreError`. */
  override readonly name = "NetNsRestoreError";
}

/** A namespace kept alive by a descriptor, and how to speak of it. */
export class NetNsRef implements Disposable {
  /** Owner of the descriptor that keeps the namespace alive. */
  readonly fd: Fd;
  /** For messages: `netns "blue"`, `netns of process 42`; empty for the process's own. */
  readonly description: string;
  /** Its name below /run/netns, when it was reached by that. */
  readonly netnsName: string | undefined;
  #inode: number | undefined;
  readonly #closers = new Set<() => void>();
  #closing = false;

  /** Takes ownership of `fd`. */
  constructor(fd: Fd, description: string, netnsName?: string) {
    this.fd = fd;
    this.description = description;
    this.netnsName = netnsName;
  }

  /** The namespace's inode number, as `ls -i /run/netns` shows it: its identity. */
  get inode(): number {
    return this.#inode ??= inodeOf(`/proc/self/fd/${this.fd.value}`) ?? 0;
  }

  /**
   * Runs `closer` when this reference closes: for what must not keep the namespace alive after it.
   *
   * @returns Takes it back.
   */
  onClose(closer: () => void): () => void {
    this.#closers.add(closer);
    return () => void this.#closers.delete(closer);
  }

  /**
   * Closes the descriptor and what was registered with it; a second call does nothing. In a bracket of
   * this namespace that waits until the bracket ends: there is no other way back into it.
   */
  close(): void {
    this.#closing = brackets.includes(this);
    if (this.#closing) return;
    for (const closer of this.#closers) closer();
    this.#closers.clear();
    this.fd.close();
  }

  /** For brackets: one of this namespace has ended. */
  left(): void {
    if (this.#closing) this.close();
  }

  /** Same as {@link NetNsRef.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
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

let home: NetNsRef | undefined;
const brackets: NetNsRef[] = [];
let lost: NetNsRestoreError | undefined;

/** The thread's namespace outside all brackets; opened once, never closed. */
export function homeNetNs(): NetNsRef {
  return home ??= new NetNsRef(open(OWN, C.O_RDONLY, "open the current netns"), "");
}

/** The namespace calls land in now: the innermost bracket's, or the thread's own. */
export function currentNetNs(): NetNsRef {
  return brackets.at(-1) ?? homeNetNs();
}

/** Opens the namespace behind a path such as /proc/42/ns/net. */
export function openNetNs(path: string, description: string, netnsName?: string): NetNsRef {
  return new NetNsRef(open(path, C.O_RDONLY, `open ${description}`), description, netnsName);
}

/** Runs `fn` in a namespace. Synchronous: an `await` inside would move other code along. */
export function within<T>(target: NetNsRef, fn: () => T): T {
  const back = currentNetNs();
  if (target === back) return fn();
  enter(target);
  brackets.push(target);
  try {
    return fn();
  } finally {
    brackets.pop();
    restore(back);
    target.left();
  }
}

/** Makes a new, empty namespace and returns a reference to it; the thread stays where it is. */
export function newNetNs(description: string, netnsName?: string): NetNsRef {
  const back = currentNetNs();
  if (namespace().unshare(C.CLONE_NEWNET) !== 0) {
    const code = errno();
    throw new SyscallError(`create ${description}`, {
      syscall: "unshare",
      errno: code,
      hint: code === ERRNO.EPERM ? PRIVILEGE_HINT : undefined,
    });
  }
  try {
    return openNetNs(OWN, description, netnsName);
  } finally {
    restore(back);
  }
}

function enter(target: NetNsRef): void {
  if (lost) throw lost;
  const fd = target.fd.value;
  if (namespace().setns(fd, C.CLONE_NEWNET) !== 0) {
    const code = errno();
    const hint = code === ERRNO.EPERM ? PRIVILEGE_HINT : undefined;
    throw new SyscallError(`enter ${target.description || "netns"}`, {
      syscall: "setns",
      errno: code,
      hint,
    });
  }
}

function restore(back: NetNsRef): void {
  const fd = back.fd.value;
  if (namespace().setns(fd, C.CLONE_NEWNET) !== 0) {
    lost = new NetNsRestoreError("return to the thread's own netns", {
      syscall: "setns",
      errno: errno(),
    });
    throw lost;
  }
}
