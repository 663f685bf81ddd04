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
  ENOMSG: 42,
  EIDRM: 43,
  ECHRNG: 44,
  EL2NSYNC: 45,
  EL3HLT: 46,
  EL3RST: 47,
  ELNRNG: 48,
  EUNATCH: 49,
  ENOCSI: 50,
  EL2HLT: 51,
  EBADE: 52,
  EBADR: 53,
  EXFULL: 54,
  ENOANO: 55,
  EBADRQC: 56,
  EBADSLT: 57,
  EBFONT: 59,
  ENOSTR: 60,
  ENODATA: 61,
  ETIME: 62,
  ENOSR: 63,
  ENONET: 64,
  ENOPKG: 65,
  EREMOTE: 66,
  ENOLINK: 67,
  EADV: 68,
  ESRMNT: 69,
  ECOMM: 70,
  EPROTO: 71,
  EMULTIHOP: 72,
  EDOTDOT: 73,
  EBADMSG: 74,
  EOVERFLOW: 75,
  ENOTUNIQ: 76,
  EBADFD: 77,
  EREMCHG: 78,
  ELIBACC: 79,
  ELIBBAD: 80,
  ELIBSCN: 81,
  ELIBMAX: 82,
  ELIBEXEC: 83,
  EILSEQ: 84,
  ERESTART: 85,
  ESTRPIPE: 86,
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
  ESHUTDOWN: 108,
  ETOOMANYREFS: 109,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ESTALE: 116,
  EUCLEAN: 117,
  ENOTNAM: 118,
  ENAVAIL: 119,
  EISNAM: 120,
  EREMOTEIO: 121,
  EDQUOT: 122,
  ENOMEDIUM: 123,
  EMEDIUMTYPE: 124,
  ECANCELED: 125,
  ENOKEY: 126,
  EKEYEXPIRED: 127,
  EKEYREVOKED: 128,
  EKEYREJECTED: 129,
  EOWNERDEAD: 130,
  ENOTRECOVERABLE: 131,
  ERFKILL: 132,
  EHWPOISON: 133,
} as const;

/** Not for programs (`linux/errno.h`), but some parts of the kernel let it through: tc, bridges, drivers. */
const ENOTSUPP = 524;

/** The symbolic name of an error number: `EEXIST`, or `errno 4095` for a number without a name. */
export function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(ERRNO)) if (value === errno) return name;
  return errno === ENOTSUPP ? "ENOTSUPP" : `errno ${errno}`;
}

/** libc's text for an error number, as `strerror(3)` gives it: `File exists`. */
export function errnoText(errno: number): string {
  if (errno === ENOTSUPP) return "Operation is not supported";
  const pointer = text().strerror(errno);
  return pointer === null ? `errno ${errno}` : Deno.UnsafePointerView.getCString(pointer);
}

/** The errno of the thread's last call into libc; it is meaningful only when that call failed. */
export function errno(): number {
  return errnoOfLastCall();
}

/** Makes a call, again as long as a signal interrupts it (EINTR); for calls that have done nothing then. */
export function uninterrupted(call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0 || errno() !== ERRNO.EINTR) return result;
  }
}

/** What every {@link KernelError} is made of. */
export interface KernelErrorInit {
  /** The action and its object: `create veth "tap1"`. */
  readonly operation: string;
  /** The error number. */
  readonly errno: number;
  /** The namespace: `netns "ns1"`; default: empty, the process's own or none. */
  readonly netns?: string;
  /** The object alone, where it is known apart from the operation: the path of a file. */
  readonly object?: string;
}

/**
 * The kernel refused an operation: the base of {@link SyscallError} and `NetlinkError`.
 *
 * @example One handler for all refusals
 * ```ts
 * import { KernelError, NetNs } from "@netloom/netloom";
 *
 * try {
 *   NetNs.open("no-such-namespace").links.get("eth0");
 * } catch (error) {
 *   if (!(error instanceof KernelError) || error.code !== "ENOENT") throw error;
 * }
 * ```
 */
export abstract class KernelError extends Error {
  /** The class: `SyscallError`, `NetlinkError`, ... */
  override readonly name: string = "KernelError";
  /** The action and its object: `create veth "tap1"`. */
  readonly operation: string;
  /** The namespace: `netns "ns1"`; empty for the process's own, or when none is concerned. */
  readonly netns: string;
  /** The object alone, where it is known apart from the operation: the path of a file. */
  readonly object: string | undefined;
  /** The error number. */
  readonly errno: number;
  /** The name of the error number: `EEXIST`, `ENODEV`, ... */
  readonly code: string;

  /**
   * Composes the message: operation, namespace, reason.
   *
   * @param init The parts.
   * @param reason The reason, with the error number's name.
   */
  constructor(init: KernelErrorInit, reason: string) {
    const { operation, netns = "" } = init;
    super(`${operation}${netns && !operation.includes(netns) ? ` in ${netns}` : ""}: ${reason}`);
    this.operation = operation;
    this.netns = netns;
    this.object = init.object;
    this.errno = init.errno;
    this.code = errnoName(init.errno);
  }
}

/** What a {@link SyscallError} is made of, beside the operation. */
export interface SyscallErrorInit extends Omit<KernelErrorInit, "operation"> {
  /** The call that failed: `open`, `setns`, ... */
  readonly syscall: string;
  /** The remedy, when it is known. */
  readonly hint?: string | undefined;
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
export class SyscallError extends KernelError {
  /** The class: `SyscallError`. */
  override readonly name: string = "SyscallError";
  /** The call that failed: `open`, `setns`, ... */
  readonly syscall: string;
  /** The remedy, when it is known. */
  readonly hint: string | undefined;

  /**
   * Composes the message.
   *
   * @param operation The action and its object: `open netns "blue"`.
   * @param init The call, its error number, and what else is known.
   */
  constructor(operation: string, init: SyscallErrorInit) {
    const { syscall, errno, hint } = init;
    const object = init.object && !operation.includes(init.object) ? ` ${init.object}` : "";
    const reason = `${errnoText(errno)} (${errnoName(errno)}, ${syscall}${object})`;
    super({ ...init, operation }, hint ? `${reason}; ${hint}` : reason);
    this.syscall = syscall;
    this.hint = hint;
  }
}

/** The same error with the remedy, where it has none yet. */
export function withHint(error: SyscallError, hint: string): SyscallError {
  if (error.hint !== undefined) return error;
  const { operation, syscall, errno, netns, object } = error;
  return new SyscallError(operation, {
    syscall,
    errno,
    netns,
    ...(object !== undefined && { object }),
    hint,
  });
}
