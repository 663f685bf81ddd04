/**
 * errno: named, and turned into an error.
 *
 * @module
 */
import { errnoOfLastCall, text } from "./libc.ts";

/** Error numbers by name, for Linux on x86-64 and arm64 (`asm-generic/errno.h`). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EPROTO: 71,
  EBADMSG: 74,
  EOVERFLOW: 75,
  ENOTUNIQ: 76,
  EBADFD: 77,
  EUSERS: 87,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  ESOCKTNOSUPPORT: 94,
  EOPNOTSUPP: 95,
  EPFNOSUPPORT: 96,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENETRESET: 102,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
} as const;

/** The symbolic name of an error number: `EEXIST`, or `errno 4095` when it has none here. */
export function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(ERRNO)) if (value === errno) return name;
  return `errno ${errno}`;
}

/** libc's text for an error number, as `strerror(3)` gives it: `File exists`. */
export function errnoText(errno: number): string {
  const pointer = text().strerror(errno);
  return pointer === null ? `errno ${errno}` : Deno.UnsafePointerView.getCString(pointer);
}

/** The errno of the thread's last call into libc; it says something only when that call failed. */
export function errno(): number {
  return errnoOfLastCall();
}

/**
 * A system call failed.
 *
 * @example Telling one failure from the others
 * ```ts
 * import { NetNs, SyscallError } from "@netloom/netloom";
 *
 * try {
 *   NetNs.open("no-such-namespace");
 * } catch (error) {
 *   if (!(error instanceof SyscallError) || error.code !== "ENOENT") throw error;
 * }
 * ```
 */
export class SyscallError extends Error {
  /** The class: `SyscallError`. */
  override readonly name: string = "SyscallError";
  /** The call that failed: `open`, `setns`, ... */
  readonly syscall: string;
  /** The error number. */
  readonly errno: number;
  /** The error number's name: `ENOENT`, `EPERM`, ... */
  readonly code: string;

  /**
   * Composes the message.
   *
   * @param what What was being done, on what: `open netns "blue"`.
   * @param syscall The call that failed.
   * @param errno The error number it left.
   * @param hint What to do about it, when that is known.
   */
  constructor(what: string, syscall: string, errno: number, hint?: string) {
    const code = errnoName(errno);
    super(`${what}: ${errnoText(errno)} (${code}, ${syscall})${hint ? `; ${hint}` : ""}`);
    this.syscall = syscall;
    this.errno = errno;
    this.code = code;
  }
}
