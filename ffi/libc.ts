/**
 * The libc symbol table. Each group is opened at its first use: resolving a symbol costs about
 * 0.2 ms, so a script pays only for what it calls, and importing the library costs nothing.
 *
 * Lengths and results are declared `i32`: they are numbers then, and cheap. `u64` arguments are
 * always passed as bigint (6 ns; as a number they cost 100 ns).
 *
 * @module
 */

/** Resolved by glibc and by musl (which aliases it). */
const LIBC = "libc.so.6";

function lazy<T>(open: () => T): () => T {
  let value: T | undefined;
  return () => value ??= (requireLinux(), open());
}

function requireLinux(): void {
  const { os, arch } = Deno.build;
  if (os !== "linux") {
    throw new Error(`netloom drives the Linux kernel: this system is ${os}/${arch}`);
  }
}

/** errno and descriptors: needed by everything. */
export const core = lazy(() =>
  Deno.dlopen(LIBC, {
    __errno_location: { parameters: [], result: "pointer" },
    open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
  }).symbols
);

/** Text of an errno; used on the way to an error only. */
export const text = lazy(() =>
  Deno.dlopen(LIBC, {
    strerror: { parameters: ["i32"], result: "pointer" },
  }).symbols
);

/** Files: what the library itself reads below /proc, /sys and /run. */
export const file = lazy(() =>
  Deno.dlopen(LIBC, {
    read: { parameters: ["i32", "buffer", "i32"], result: "i32" },
    write: { parameters: ["i32", "buffer", "i32"], result: "i32" },
    rename: { parameters: ["buffer", "buffer"], result: "i32" },
  }).symbols
);

/** Directories, and whether a path exists. */
export const directory = lazy(() =>
  Deno.dlopen(LIBC, {
    access: { parameters: ["buffer", "i32"], result: "i32" },
    syscall: { parameters: ["i64", "i32", "buffer", "i32"], result: "i64" },
  }).symbols
);

/** Small path operations of the namespace code. */
export const path = lazy(() =>
  Deno.dlopen(LIBC, {
    mkdir: { parameters: ["buffer", "i32"], result: "i32" },
    unlink: { parameters: ["buffer"], result: "i32" },
  }).symbols
);

/** `statx(2)`: its layout is the same everywhere, and not every libc has a function for it. */
export const status = lazy(() =>
  Deno.dlopen(LIBC, {
    syscall: { parameters: ["i64", "i32", "buffer", "i32", "u32", "buffer"], result: "i64" },
  }).symbols
);

/** Namespaces. */
export const namespace = lazy(() =>
  Deno.dlopen(LIBC, {
    setns: { parameters: ["i32", "i32"], result: "i32" },
    unshare: { parameters: ["i32"], result: "i32" },
  }).symbols
);

/** Mounts: only named namespaces need them. */
export const mount = lazy(() =>
  Deno.dlopen(LIBC, {
    mount: { parameters: ["buffer", "buffer", "buffer", "u64", "buffer"], result: "i32" },
    umount2: { parameters: ["buffer", "i32"], result: "i32" },
  }).symbols
);

/** Sockets, as netlink uses them. */
export const socket = lazy(() =>
  Deno.dlopen(LIBC, {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "i32"], result: "i32" },
    send: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
    recv: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  }).symbols
);

/** Sockets with an address. */
export const socketAddress = lazy(() =>
  Deno.dlopen(LIBC, {
    connect: { parameters: ["i32", "buffer", "i32"], result: "i32" },
    bind: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  }).symbols
);

/** The reactor's wait. `park` runs on the blocking pool; its errno cannot be read. */
export const epoll = lazy(() =>
  Deno.dlopen(LIBC, {
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
  }).symbols
);
