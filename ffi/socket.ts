/**
 * Sockets, which are opened in a given namespace and never block, and their addresses.
 *
 * @module
 */
import { C, datagram, device, socket as symbols, socketAddress, socketStatus } from "./libc.ts";
import { ERRNO, errno, SyscallError } from "./errno.ts";
import { Fd } from "./file.ts";
import { type NetNsRef, PRIVILEGE_HINT, within } from "./namespace.ts";

const OPTMEM = "sysctl net.core.optmem_max limits the memory that a filter takes";

/** A non-blocking, close-on-exec socket. It belongs to the namespace it was opened in for good. */
export class Socket implements Disposable {
  /** Owner of the descriptor. */
  readonly fd: Fd;

  /** Opens a socket in `netns`. */
  constructor(netns: NetNsRef, family: number, type: number, protocol: number, what: string) {
    this.fd = within(netns, () => {
      const { socket } = symbols();
      const fd = socket(family, type | C.SOCK_CLOEXEC | C.SOCK_NONBLOCK, protocol);
      if (fd < 0) {
        const code = errno();
        throw new SyscallError(what, { syscall: "socket", errno: code, hint: hint(code) });
      }
      return new Fd(fd);
    });
  }

  /** A socket that is open already; both owners are one. */
  static of(fd: Fd): Socket {
    return Object.assign(Object.create(Socket.prototype), { fd });
  }

  /** Sets an `int` option; `false` when the kernel refuses. */
  setOption(level: number, option: number, value: number): boolean {
    const bytes = new Uint8Array(new Int32Array([value]).buffer);
    return symbols().setsockopt(this.fd.value, level, option, bytes, 4) === 0;
  }

  /** Sets an `int` option. Throws {@link SyscallError}. */
  setOptionInt(level: number, option: number, value: number, what: string): void {
    if (!this.setOption(level, option, value)) {
      throw new SyscallError(what, { syscall: "setsockopt", errno: errno() });
    }
  }

  /**
   * Sets the bytes of received packets that it holds: beyond the system's limit if the privileges allow it,
   * otherwise up to the limit. Throws {@link SyscallError}.
   */
  setReceiveBuffer(bytes: number, what: string): void {
    const half = Math.max(1, bytes >> 1); // the kernel doubles it, to make room for its own data
    if (this.setOption(C.SOL_SOCKET, C.SO_RCVBUFFORCE, half)) return;
    this.setOptionInt(C.SOL_SOCKET, C.SO_RCVBUF, half, `set receiveBuffer of ${what}`);
  }

  /** Sets an option given as bytes. Throws {@link SyscallError}. */
  setOptionBytes(
    level: number,
    option: number,
    bytes: Uint8Array<ArrayBuffer>,
    what: string,
  ): void {
    if (symbols().setsockopt(this.fd.value, level, option, bytes, bytes.length) !== 0) {
      throw new SyscallError(what, { syscall: "setsockopt", errno: errno() });
    }
  }

  /** Reads an option into `bytes`. Throws {@link SyscallError}. */
  getOptionBytes(
    level: number,
    option: number,
    bytes: Uint8Array<ArrayBuffer>,
    what: string,
  ): void {
    const length = lengthOf(bytes);
    if (socketStatus().getsockopt(this.fd.value, level, option, bytes, length) !== 0) {
      throw new SyscallError(what, { syscall: "getsockopt", errno: errno() });
    }
  }

  /** The error that waits to be reported, an errno or 0; asking takes it away. */
  takeError(): number {
    const bytes = new Int32Array(1);
    this.getOptionBytes(C.SOL_SOCKET, C.SO_ERROR, new Uint8Array(bytes.buffer), "ask a socket");
    return bytes[0]!;
  }

  /**
   * Attaches a classic BPF program, which says of each packet how many bytes of it are received.
   * Throws {@link SyscallError}: EINVAL when the kernel's check refuses it, ENOMEM when it takes more
   * memory than `net.core.optmem_max`.
   *
   * @param program Array of `struct sock_filter`, 8 bytes each.
   * @param what What is being done.
   */
  attachFilter(program: Uint8Array<ArrayBuffer>, what: string): void {
    const fprog = new Uint8Array(16); // struct sock_fprog: u16 len, and a pointer at 8
    const view = new DataView(fprog.buffer);
    view.setUint16(0, program.length / 8, true);
    const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(program));
    view.setBigUint64(8, BigInt(address), true);
    const { setsockopt } = symbols();
    const { value: fd } = this.fd;
    if (setsockopt(fd, C.SOL_SOCKET, C.SO_ATTACH_FILTER, fprog, fprog.length) === 0) return;
    const code = errno();
    throw new SyscallError(what, {
      syscall: "setsockopt",
      errno: code,
      hint: code === ERRNO.ENOMEM ? OPTMEM : undefined,
    });
  }

  /** Sends `length` bytes to the connected or default destination. Throws {@link SyscallError}. */
  send(bytes: Uint8Array<ArrayBuffer>, length: number, what: string): void {
    if (symbols().send(this.fd.value, bytes, length, 0) < 0) {
      throw new SyscallError(what, { syscall: "send", errno: errno() });
    }
  }

  /** As {@link Socket.send}; `false` when the socket takes nothing now. */
  trySend(bytes: Uint8Array<ArrayBuffer>, length: number, what: string): boolean {
    if (symbols().send(this.fd.value, bytes, length, 0) >= 0) return true;
    const code = errno();
    if (code === ERRNO.EAGAIN) return false;
    throw new SyscallError(what, { syscall: "send", errno: code });
  }

  /**
   * Receives into `buffer` and returns the datagram's full length, or -1 when nothing is queued.
   * Throws {@link SyscallError} for a pending error such as ENOBUFS.
   */
  receive(buffer: Uint8Array<ArrayBuffer>, flags: number, what: string): number {
    const n = symbols().recv(
      this.fd.value,
      buffer,
      buffer.length,
      flags | C.MSG_DONTWAIT | C.MSG_TRUNC,
    );
    if (n >= 0) return n;
    const code = errno();
    if (code === ERRNO.EAGAIN) return -1;
    throw new SyscallError(what, { syscall: "recv", errno: code });
  }

  /** Sends to an address; `false` when the socket takes none now. Throws {@link SyscallError}. */
  sendTo(
    bytes: Uint8Array<ArrayBuffer>,
    length: number,
    address: Uint8Array<ArrayBuffer>,
    what: string,
  ): boolean {
    const { sendto } = datagram();
    if (sendto(this.fd.value, bytes, length, 0, address, address.length) >= 0) return true;
    const code = errno();
    if (code === ERRNO.EAGAIN) return false;
    throw new SyscallError(what, { syscall: "sendto", errno: code });
  }

  /** As {@link Socket.receive}; fills in who sent it. */
  receiveFrom(
    buffer: Uint8Array<ArrayBuffer>,
    address: Uint8Array<ArrayBuffer>,
    what: string,
  ): number {
    const { recvfrom } = datagram();
    const length = lengthOf(address);
    const n = recvfrom(this.fd.value, buffer, buffer.length, C.MSG_DONTWAIT, address, length);
    if (n >= 0) return n;
    const code = errno();
    if (code === ERRNO.EAGAIN) return -1;
    throw new SyscallError(what, { syscall: "recvfrom", errno: code });
  }

  /**
   * The index of a link in the namespace of the socket (`SIOCGIFINDEX`, netdevice(7)).
   *
   * @param link Its name, or an alternative one of up to 15 bytes.
   * @param what The action, for an error.
   * @throws {SyscallError} ENODEV when there is no such link.
   */
  indexOf(link: string, what: string): number {
    const request = new Uint8Array(40); // struct ifreq: 16 bytes of name, then the index
    const { read, written } = new TextEncoder().encodeInto(link, request.subarray(0, 16));
    const fits = read === link.length && written < 16 && !link.includes("\0");
    if (fits && device().ioctl(this.fd.value, BigInt(C.SIOCGIFINDEX), request) === 0) {
      return new DataView(request.buffer).getInt32(16, true);
    }
    const code = fits ? errno() : ERRNO.ENODEV;
    throw new SyscallError(what, { syscall: "ioctl SIOCGIFINDEX", errno: code });
  }

  /** The address it is bound to, as a `struct sockaddr`. */
  name(what: string): Uint8Array<ArrayBuffer> {
    const address = new Uint8Array(ADDRESS_SIZE);
    if (datagram().getsockname(this.fd.value, address, lengthOf(address)) !== 0) {
      throw new SyscallError(what, { syscall: "getsockname", errno: errno() });
    }
    return address;
  }

  /** Binds to a `struct sockaddr`. */
  bind(address: Uint8Array<ArrayBuffer>, what: string): void {
    if (socketAddress().bind(this.fd.value, address, address.length) !== 0) {
      throw new SyscallError(what, { syscall: "bind", errno: errno() });
    }
  }

  /** Connects to a `struct sockaddr`. */
  connect(address: Uint8Array<ArrayBuffer>, what: string): void {
    if (socketAddress().connect(this.fd.value, address, address.length) !== 0) {
      throw new SyscallError(what, { syscall: "connect", errno: errno() });
    }
  }

  /** Closes the socket. */
  close(): void {
    this.fd.close();
  }

  /** Same as {@link Socket.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** A `socklen_t` that the kernel reads and writes. */
function lengthOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint32Array([bytes.length]).buffer);
}

function hint(code: number): string | undefined {
  return code === ERRNO.EPERM || code === ERRNO.EACCES ? PRIVILEGE_HINT : undefined;
}

/**
 * A `struct sockaddr_un`.
 *
 * @throws {RangeError} When the path has more than 107 bytes.
 */
export function unixSocketAddress(path: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(110); // u16 family, 108 bytes with a closing NUL
  new DataView(bytes.buffer).setUint16(0, C.AF_UNIX, true);
  const { read, written } = new TextEncoder().encodeInto(path, bytes.subarray(2, 109));
  if (read !== path.length) {
    throw new RangeError(`The path of a socket has at most 107 bytes: got ${JSON.stringify(path)}`);
  }
  return bytes.subarray(0, 3 + written);
}

/** Room for a `struct sockaddr_in`, `sockaddr_in6` or `sockaddr_ll`. */
export const ADDRESS_SIZE = 28;

/** A `struct sockaddr_in` or `sockaddr_in6`; `zone` is the index of the link of a link-local address. */
export function ipSocketAddress(
  ip: Uint8Array,
  port = 0,
  zone = 0,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ip.length === 4 ? 16 : ADDRESS_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, ip.length === 4 ? C.AF_INET : C.AF_INET6, true);
  view.setUint16(2, port);
  bytes.set(ip, ip.length === 4 ? 4 : 8);
  if (ip.length === 16) view.setUint32(24, zone, true);
  return bytes;
}

/** Reads a `struct sockaddr_in` or `sockaddr_in6`. */
export function readIpSocketAddress(
  bytes: Uint8Array<ArrayBuffer>,
): { ip: Uint8Array; port: number; zone: number } {
  const view = new DataView(bytes.buffer);
  const v4 = view.getUint16(0, true) === C.AF_INET;
  return {
    ip: v4 ? bytes.slice(4, 8) : bytes.slice(8, 24),
    port: view.getUint16(2),
    zone: v4 ? 0 : view.getUint32(24, true),
  };
}

/** A `struct sockaddr_ll`: a link, and the EtherType of the frames to receive. */
export function linkSocketAddress(index: number, protocol: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, C.AF_PACKET, true);
  view.setUint16(2, protocol);
  view.setInt32(4, index, true);
  return bytes;
}

/** Reads the index of a `struct sockaddr_ll`; -1 when the link of the socket is gone. */
export function linkOfSocketAddress(bytes: Uint8Array<ArrayBuffer>): number {
  return new DataView(bytes.buffer).getInt32(4, true);
}
