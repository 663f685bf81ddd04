/**
 * The `ioctl`s of TUN/TAP and macvtap descriptors (`linux/if_tun.h`).
 *
 * @module
 */
import { C } from "./constants.ts";
import { ERRNO, errno, SyscallError } from "./errno.ts";
import { cString, type Fd, identify, open } from "./file.ts";
import { device } from "./libc.ts";
import { type NetNsRef, PRIVILEGE_HINT, within } from "./namespace.ts";

/** The requests; the same on every architecture. */
export const TUN = {
  SETIFF: 0x400454ca,
  SETPERSIST: 0x400454cb,
  SETOWNER: 0x400454cc,
  SETLINK: 0x400454cd,
  SETGROUP: 0x400454ce,
  GETFEATURES: 0x800454cf,
  SETOFFLOAD: 0x400454d0,
  SETTXFILTER: 0x400454d1,
  GETIFF: 0x800454d2,
  GETSNDBUF: 0x800454d3,
  SETSNDBUF: 0x400454d4,
  GETVNETHDRSZ: 0x800454d7,
  SETVNETHDRSZ: 0x400454d8,
  SETQUEUE: 0x400454d9,
  SETIFINDEX: 0x400454da,
  SETCARRIER: 0x400454e2,
} as const;

/** Flags of TUNSETIFF and TUNSETQUEUE. */
export const IFF_TUN_FLAGS = {
  TUN: 0x0001,
  TAP: 0x0002,
  NAPI: 0x0010,
  NAPI_FRAGS: 0x0020,
  MULTI_QUEUE: 0x0100,
  ATTACH_QUEUE: 0x0200,
  DETACH_QUEUE: 0x0400,
  PERSIST: 0x0800,
  NO_PI: 0x1000,
  VNET_HDR: 0x4000,
  TUN_EXCL: 0x8000,
} as const;

/** The offloads that a program accepts: TUNSETOFFLOAD. */
export const TUN_F = {
  CSUM: 0x01,
  TSO4: 0x02,
  TSO6: 0x04,
  TSO_ECN: 0x08,
  USO4: 0x20,
  USO6: 0x40,
} as const;

const TUN_PATH = "/dev/net/tun";

/** Opens `/dev/net/tun` in a namespace: what is attached to it will be a link there. */
export function openTunDevice(netns: NetNsRef, what: string): Fd {
  try {
    return within(netns, () => open(TUN_PATH, C.O_RDWR | C.O_NONBLOCK, what));
  } catch (error) {
    const hint = error instanceof SyscallError && error.syscall === "open" && remedy(error.errno);
    if (!hint) throw error;
    const { syscall, errno } = error;
    throw new SyscallError(what, { syscall, errno, object: TUN_PATH, hint });
  }
}

/** What helps when `/dev/net/tun` does not open. */
function remedy(errno: number): string | undefined {
  switch (errno) {
    case ERRNO.EACCES: {
      const { mode = 0 } = identify(TUN_PATH) ?? {};
      const bits = `${TUN_PATH} has the mode ${(mode & 0o777).toString(8)}`;
      // Everybody may open it, so the kernel means the mount.
      if ((mode & 0o006) === 0o006) return `${bits}, and the file system it is on is mounted nodev`;
      return `${bits}, and this user may not open it: chmod 666 ${TUN_PATH} as root, as most systems have it`;
    }
    case ERRNO.EPERM:
      return `this container may not open it: start it with --device ${TUN_PATH}`;
    case ERRNO.ENOENT:
      return `modprobe tun as root; in a container, start it with --device ${TUN_PATH}`;
    case ERRNO.ENODEV:
    case ERRNO.ENXIO:
      return "the running kernel lacks TUN and TAP: CONFIG_TUN, module tun, brings them";
    default:
      return undefined;
  }
}

/** A request with a struct, which the kernel may fill in. Returns what the call returns. */
export function tunIoctl(
  fd: Fd,
  request: keyof typeof TUN,
  struct: Uint8Array<ArrayBuffer>,
  what: string,
): number {
  const n = device().ioctl(fd.value, BigInt(TUN[request]), struct);
  if (n < 0) throw failed(request, what);
  return n;
}

/** A request with a number in place of a struct. */
export function tunIoctlValue(
  fd: Fd,
  request: keyof typeof TUN,
  value: number,
  what: string,
): void {
  if (device().ioctl_value(fd.value, BigInt(TUN[request]), BigInt(value)) !== 0) {
    throw failed(request, what);
  }
}

/** A request that takes or gives one `int`; returns it as it is afterwards. */
export function tunIoctlInt(
  fd: Fd,
  request: keyof typeof TUN,
  value: number,
  what: string,
): number {
  const cell = new Int32Array([value]);
  tunIoctl(fd, request, new Uint8Array(cell.buffer), what);
  return cell[0]!;
}

function failed(request: keyof typeof TUN, what: string): SyscallError {
  const code = errno();
  const hint = code === ERRNO.EPERM ? PRIVILEGE_HINT : undefined;
  return new SyscallError(what, { syscall: `ioctl TUN${request}`, errno: code, hint });
}

/** Name and flags of a `struct ifreq`. */
export interface InterfaceRequest {
  /** Interface name, or a pattern such as `t%d`. */
  readonly name: string;
  /** `IFF_TUN_FLAGS`. */
  readonly flags: number;
}

/** Size of `struct ifreq`: a name of 16 bytes and a union of up to 24. */
const IFREQ_SIZE = 40;
const IFNAMSIZ = 16;

/**
 * TUNSETIFF: makes an interface or attaches to one. Returns its name, as TUNGETIFF has it. The flags of
 * that are no use: IFF_NO_PI is the bit of IFF_NOFILTER there.
 */
export function setInterface(fd: Fd, request: InterfaceRequest, what: string): string {
  const bytes = new Uint8Array(IFREQ_SIZE);
  bytes.set(cString(request.name));
  new DataView(bytes.buffer).setUint16(IFNAMSIZ, request.flags, true);
  tunIoctl(fd, "SETIFF", bytes, what);
  bytes.fill(0);
  tunIoctl(fd, "GETIFF", bytes, what);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

/** TUNSETQUEUE: lets a queue take part in the link's traffic, or not. */
export function setQueue(fd: Fd, attached: boolean, what: string): void {
  const bytes = new Uint8Array(IFREQ_SIZE);
  const flag = attached ? IFF_TUN_FLAGS.ATTACH_QUEUE : IFF_TUN_FLAGS.DETACH_QUEUE;
  new DataView(bytes.buffer).setUint16(IFNAMSIZ, flag, true);
  tunIoctl(fd, "SETQUEUE", bytes, what);
}
