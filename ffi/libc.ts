/**
 * The libc symbol table, errno, and the constants of its headers. Each group of symbols is opened at its first use: a
 * script pays only for what it calls, and importing the library costs nothing.
 *
 * Lengths and results are declared `i32`: they are numbers then, and cheap. `u64` arguments are
 * always passed as bigint (6 ns; as a number they cost 100 ns).
 *
 * @module
 */

/** Resolved by glibc and by musl (which aliases it). */
const LIBC = "libc.so.6";

type Definitions = Readonly<Record<string, Deno.ForeignFunction>>;
type Symbols<D extends Definitions> = Deno.DynamicLibrary<D>["symbols"];
type Call = (...args: unknown[]) => unknown;

/**
 * A parameter that no function looks at. Deno compiles a fast path for each function it binds, 0.2 to
 * 0.6 ms of work, but for none that takes a struct. So a function gets its fast path when it has been
 * called often; until then a call takes 0.4 us more.
 */
const UNREAD = { struct: ["u8"] } as const;
const NOTHING = new Uint8Array(1);
const OFTEN = 500;

let errno: Int32Array | undefined;
let lastErrno = 0;

/** The errno that the thread's last call left; of a call that succeeded it says nothing. */
export function errnoOfLastCall(): number {
  return lastErrno;
}

/**
 * Sees each call into libc, by the name it has here. The number it returns is the errno of a call that
 * fails, and is not made; `close` and `munmap` are: they do their work whatever they return.
 */
export type CallHook = (call: string, args: readonly unknown[]) => number | undefined;

let hook: CallHook | undefined;

/** For tests: makes calls fail. Dispose the result to stop. */
export function interceptCalls(next: CallHook): Disposable {
  const before = hook;
  hook = next;
  const calls = direct();
  const { read, write, poll, enter } = calls;
  for (const [name, call] of Object.entries({ read, write, poll, enter })) {
    const make = call as Call;
    const hooked: Call = (...args) => intercepted(name, { args, make }) ?? make(...args);
    Object.assign(calls, { [name]: hooked });
  }
  return {
    [Symbol.dispose]: () => {
      hook = before;
      Object.assign(calls, { read, write, poll, enter });
    },
  };
}

/** What a call returns that the hook makes fail; `undefined` when it does not. */
function intercepted(
  name: string,
  { args, make, result = "i32" }: { args: unknown[]; make: Call; result?: Deno.NativeResultType },
): unknown {
  const code = hook?.(name, args);
  if (code === undefined) return undefined;
  if (name === "close" || name === "munmap") make(...args);
  lastErrno = errno![0] = code;
  if (result === "pointer") return Deno.UnsafePointer.create(2n ** 64n - 1n); // MAP_FAILED
  return result === "i64" ? -1n : -1;
}

/** Binds a group of functions at its first use. */
function lazy<const D extends Definitions>(definitions: D): () => Symbols<D> {
  let symbols: Symbols<D> | undefined;
  return () => symbols ??= bindAll(definitions) as Symbols<D>;
}

function bindAll(definitions: Definitions): Record<string, Call> {
  requireLinux();
  const location = errno ??= findErrno();
  const symbols: Record<string, Call> = {};
  for (const [name, definition] of Object.entries(definitions)) {
    const { result, nonblocking } = definition;
    const hooked = (args: unknown[], make: Call): unknown =>
      hook && intercepted(name, { args, make, result });
    if (nonblocking) {
      const call = bindNonblocking(name, definition);
      symbols[name] = (...args) => {
        const failed = hooked(args, call);
        return failed === undefined ? call(...args) : Promise.resolve(failed);
      };
      continue;
    }
    // errno is read where the call is made: V8 compiles functions when they return, and may set it.
    const bindFast = (): Call => {
      const call = bind(name, definition);
      return (...args) => {
        const failed = hooked(args, call);
        if (failed !== undefined) return failed;
        const value = call(...args);
        lastErrno = location[0]!;
        return value;
      };
    };
    const slow = bindSlowly(name, definition);
    let calls = 0;
    symbols[name] = (...args) => {
      if (++calls === OFTEN) symbols[name] = bindFast();
      const failed = hooked(args, (...args) => slow(...args, NOTHING));
      if (failed !== undefined) return failed;
      const value = slow(...args, NOTHING);
      lastErrno = location[0]!;
      return value;
    };
  }
  return symbols;
}

function bind(name: string, definition: Deno.ForeignFunction): Call {
  return load({ [name]: definition })[name] as Call;
}

/**
 * Opens libc for its functions, and closes it again: Deno itself is linked with it, so it stays in memory,
 * and no library is left open for the resource sanitizer of `Deno.test` to find.
 */
function load<const D extends Deno.ForeignLibraryInterface>(
  definitions: D,
): Deno.DynamicLibrary<D>["symbols"] {
  const library = Deno.dlopen(LIBC, definitions);
  const { symbols } = library;
  library.close();
  return symbols;
}

/** A function that runs on the blocking pool: by its address, since by its name it needs the open library. */
function bindNonblocking(name: string, definition: Deno.ForeignFunction): Call {
  const address = load({ [name]: { name: definition.name ?? name, type: "pointer" } })[name];
  const pointer = new Deno.UnsafeFnPointer(
    address as Deno.PointerObject<typeof definition>,
    definition,
  );
  return (...args) => (pointer.call as Call).apply(pointer, args);
}

function bindSlowly(name: string, definition: Deno.ForeignFunction): Call {
  return bind(name, { ...definition, parameters: [...definition.parameters, UNREAD] });
}

/** Maps the thread's errno. */
function findErrno(): Int32Array {
  const locate = bindSlowly("__errno_location", { parameters: [], result: "pointer" });
  const pointer = locate(NOTHING) as Deno.PointerObject;
  return new Int32Array(Deno.UnsafePointerView.getArrayBuffer(pointer, 4));
}

function requireLinux(): void {
  const { os, arch } = Deno.build;
  if (os !== "linux") {
    throw new Error(`netloom drives the Linux kernel: this system is ${os}/${arch}`);
  }
}

/**
 * Calls of the packet path, with Deno's fast path from the start and nothing around them. `errno` is
 * that of a call that failed just before: read it in the same function, with nothing in between.
 */
export function direct(): ReturnType<typeof packetCalls> {
  return packets ??= packetCalls();
}

let packets: ReturnType<typeof packetCalls> | undefined;

function packetCalls() {
  requireLinux();
  const location = errno ??= findErrno();
  const symbols = load({
    read: { parameters: ["i32", "buffer", "i32"], result: "i32" },
    write: { parameters: ["i32", "buffer", "i32"], result: "i32" },
    poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
    enter: {
      name: "syscall",
      parameters: ["i32", "i32", "i32", "i32", "i32", "pointer", "i32"],
      result: "i32",
    },
  });
  return { ...symbols, errno: location };
}

/** Descriptors: needed by everything. */
export const core = lazy({
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
});

/** Text of an errno; used on the way to an error only. */
export const text = lazy({
  strerror: { parameters: ["i32"], result: "pointer" },
});

/** Files: what the library itself reads below /proc, /sys and /run. */
export const file = lazy({
  read: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
});

/** Directories, and whether a path exists. */
export const directory = lazy({
  access: { parameters: ["buffer", "i32"], result: "i32" },
  syscall: { parameters: ["i64", "i32", "buffer", "i32"], result: "i64" },
});

/** Small path operations of the namespace code. */
export const path = lazy({
  mkdir: { parameters: ["buffer", "i32"], result: "i32" },
  unlink: { parameters: ["buffer"], result: "i32" },
  rmdir: { parameters: ["buffer"], result: "i32" },
  chmod: { parameters: ["buffer", "u32"], result: "i32" },
});

/** Other numbers for descriptors. */
export const duplicate = lazy({
  dup2: { parameters: ["i32", "i32"], result: "i32" },
});

/** Signals to processes. */
export const signals = lazy({
  kill: { parameters: ["i32", "i32"], result: "i32" },
});

/** Locks between processes. */
export const locks = lazy({
  flock: { parameters: ["i32", "i32"], result: "i32" },
});

/** `statx(2)`: its layout is the same everywhere, and not every libc has a function for it. */
export const status = lazy({
  syscall: { parameters: ["i64", "i32", "buffer", "i32", "u32", "buffer"], result: "i64" },
});

/** Namespaces. */
export const namespace = lazy({
  setns: { parameters: ["i32", "i32"], result: "i32" },
  unshare: { parameters: ["i32"], result: "i32" },
});

/** Mounts: only named namespaces need them. */
export const mount = lazy({
  mount: { parameters: ["buffer", "buffer", "buffer", "u64", "buffer"], result: "i32" },
  umount2: { parameters: ["buffer", "i32"], result: "i32" },
});

/** Sockets, as netlink uses them. */
export const socket = lazy({
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
});

/** Sockets with an address. */
export const socketAddress = lazy({
  connect: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "i32"], result: "i32" },
});

/** What devices are set up with. The third argument is a struct, or a number. */
export const device = lazy({
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  ioctl_value: { name: "ioctl", parameters: ["i32", "u64", "u64"], result: "i32" },
});

/** Mount points that nobody else sees, and device nodes in them. Numbers of system calls are one for all architectures here. */
export const detached = lazy({
  fsopen: { name: "syscall", parameters: ["i64", "buffer", "u32"], result: "i64" },
  fsconfig: {
    name: "syscall",
    parameters: ["i64", "i32", "u32", "pointer", "pointer", "i32"],
    result: "i64",
  },
  fsmount: { name: "syscall", parameters: ["i64", "i32", "u32", "u32"], result: "i64" },
  openat: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  mknodat: { parameters: ["i32", "buffer", "u32", "u64"], result: "i32" },
});

/** Sockets with an address in each packet. */
export const datagram = lazy({
  sendto: { parameters: ["i32", "buffer", "i32", "i32", "buffer", "i32"], result: "i32" },
  recvfrom: { parameters: ["i32", "buffer", "i32", "i32", "buffer", "buffer"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
});

/** What the options of a socket are. */
export const socketStatus = lazy({
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
});

/** Memory shared with the kernel. */
export const memory = lazy({
  mmap: { parameters: ["pointer", "u64", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "u64"], result: "i32" },
});

/** io_uring, which libc has no functions for. */
export const uring = lazy({
  setup: { name: "syscall", parameters: ["i64", "u32", "buffer"], result: "i64" },
});

/** The reactor's wait. `park` runs on the blocking pool; its errno cannot be read. */
export const epoll = lazy({
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  park: {
    name: "epoll_wait",
    parameters: ["i32", "buffer", "i32", "i32"],
    result: "i32",
    nonblocking: true,
  },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
});

/** Timers with a descriptor. */
export const timer = lazy({
  timerfd_create: { parameters: ["i32", "i32"], result: "i32" },
  timerfd_settime: { parameters: ["i32", "i32", "buffer", "pointer"], result: "i32" },
});

/** Constants with one value on every architecture netloom supports. */
export const C = {
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_TRUNC: 0o1000,
  O_APPEND: 0o2000,
  O_NONBLOCK: 0o4000,
  O_CLOEXEC: 0o2000000,
  AT_FDCWD: -100,
  AT_STATX_DONT_SYNC: 0x4000,
  STATX_MODE: 0x2,
  STATX_NLINK: 4,
  STATX_INO: 0x100,
  LOCK_EX: 2,
  LOCK_NB: 4,

  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  AF_PACKET: 17,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_RAW: 3,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_ERROR: 4,
  SO_BROADCAST: 6,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_SNDBUFFORCE: 32,
  SO_MARK: 36,
  SO_ATTACH_FILTER: 26,
  SO_RCVBUFFORCE: 33,
  SO_NETNS_COOKIE: 71,
  SIOCGIFINDEX: 0x8933,
  MSG_PEEK: 2,
  MSG_TRUNC: 0x20,
  MSG_DONTWAIT: 0x40,
  MSG_ERRQUEUE: 0x2000,
  SOL_IP: 0,
  IP_RECVERR: 11,
  IP_HDRINCL: 3,
  SOL_IPV6: 41,
  IPV6_RECVERR: 25,
  IPV6_HDRINCL: 36,
  SOL_UDP: 17,
  UDP_SEGMENT: 103,
  UDP_GRO: 104,
  SOL_PACKET: 263,
  PACKET_ADD_MEMBERSHIP: 1,
  PACKET_VNET_HDR: 15,
  PACKET_IGNORE_OUTGOING: 23,
  PACKET_MR_PROMISC: 1,
  POLLIN: 1,
  POLLOUT: 4,
  PROT_READ: 1,
  PROT_WRITE: 2,
  MAP_SHARED: 1,

  S_IFCHR: 0o020000,
  FSOPEN_CLOEXEC: 1,
  FSMOUNT_CLOEXEC: 1,
  FSCONFIG_CMD_CREATE: 6,

  // System calls that came when all architectures got the same numbers.
  __NR_io_uring_setup: 425,
  __NR_io_uring_enter: 426,
  __NR_fsopen: 430,
  __NR_fsconfig: 431,
  __NR_fsmount: 432,

  CLONE_NEWNET: 0x40000000,
  NS_GET_USERNS: 0xb701,
  NS_GET_OWNER_UID: 0xb704,
  MS_BIND: 4096,
  MS_REC: 16384,
  MS_SHARED: 1 << 20,
  MS_NOSUID: 2,
  MS_NODEV: 4,
  MNT_DETACH: 2,

  EPOLL_CLOEXEC: 0o2000000,
  CLOCK_MONOTONIC: 1,
  TFD_CLOEXEC: 0o2000000,
  TFD_NONBLOCK: 0o4000,
  EPOLL_CTL_ADD: 1,
  EPOLL_CTL_DEL: 2,
  EPOLL_CTL_MOD: 3,
  EPOLLIN: 0x1,
  EPOLLOUT: 0x4,
  EPOLLERR: 0x8,
  EPOLLHUP: 0x10,
  EPOLLET: 0x80000000,
  EFD_CLOEXEC: 0o2000000,
  EFD_NONBLOCK: 0o4000,
} as const;

/** What differs between architectures. */
export interface Architecture {
  /** `open(2)`: fail unless the path is a directory. */
  readonly O_DIRECTORY: number;
  /** `open(2)`: fail when the last part of the path is a symbolic link. */
  readonly O_NOFOLLOW: number;
  /** Number of `getdents64(2)`. */
  readonly __NR_getdents64: number;
  /** Number of `statx(2)`. */
  readonly __NR_statx: number;
  /** Size of `struct epoll_event`: the kernel packs it on x86-64 only. */
  readonly epollEventSize: number;
  /** Offset of `epoll_data_t` in it. */
  readonly epollDataOffset: number;
}

/** The per-architecture table, by the names `Deno.build.arch` uses. */
export const ARCHITECTURES: Readonly<Record<"x86_64" | "aarch64", Architecture>> = {
  x86_64: {
    O_DIRECTORY: 0o200000,
    O_NOFOLLOW: 0o400000,
    __NR_getdents64: 217,
    __NR_statx: 332,
    epollEventSize: 12,
    epollDataOffset: 4,
  },
  aarch64: {
    O_DIRECTORY: 0o40000,
    O_NOFOLLOW: 0o100000,
    __NR_getdents64: 61,
    __NR_statx: 291,
    epollEventSize: 16,
    epollDataOffset: 8,
  },
};

/** The running architecture's constants. */
export const ARCH: Architecture = ARCHITECTURES[Deno.build.arch];
