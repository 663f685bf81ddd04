/**
 * Packet I/O: one packet with one call, many with one call through io_uring, and the `ioctl`s of TUN/TAP and
 * macvtap descriptors (`linux/if_tun.h`).
 *
 * Nothing stays in flight in a ring of io_uring: {@link Ring.run} returns when all of its operations have
 * ended, so no buffer belongs to the kernel between calls. An operation that would wait ends with EAGAIN.
 *
 * @module
 */
import { C, device, direct, uring as symbols } from "./libc.ts";
import { ERRNO, errno, SyscallError } from "./errno.ts";
import { cString, Fd, identify, Mapping, open } from "./file.ts";
import { type NetNsRef, PRIVILEGE_HINT, within } from "./namespace.ts";

type Calls = ReturnType<typeof direct>;

let calls: Calls | undefined;

/** Reads a packet: the number of bytes, or the negated error number. */
export function readPacket(fd: number, buffer: Uint8Array<ArrayBuffer>, length: number): number {
  const { read, errno } = calls ??= direct();
  const n = read(fd, buffer, length);
  return n >= 0 ? n : -errno[0]!;
}

/** Writes a packet: the number of bytes, or the negated error number. */
export function writePacket(fd: number, buffer: Uint8Array<ArrayBuffer>, length: number): number {
  const { write, errno } = calls ??= direct();
  const n = write(fd, buffer, length);
  return n >= 0 ? n : -errno[0]!;
}

/** A set of descriptors to wait for on this thread, as `poll(2)` takes it. */
export class PollSet {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #length: bigint;

  /** Takes the descriptors; they must stay open while the set is used. */
  constructor(fds: readonly number[], events: number = C.POLLIN) {
    // struct pollfd: s32 fd, s16 events, s16 revents
    this.#bytes = new Uint8Array(fds.length * 8);
    this.#view = new DataView(this.#bytes.buffer);
    this.#length = BigInt(fds.length);
    fds.forEach((fd, i) => {
      this.#view.setInt32(i * 8, fd, true);
      this.#view.setInt16(i * 8 + 4, events, true);
    });
  }

  /**
   * Blocks the thread until one is ready, also across signals: the number of ready ones, 0 after
   * `timeout` ms (`Infinity`: never), or a negated errno.
   */
  wait(timeout: number): number {
    const { poll, errno } = calls ??= direct();
    const end = performance.now() + timeout;
    for (let left = timeout;; left = end - performance.now()) {
      const whole = left === Infinity ? -1 : Math.min(Math.max(Math.ceil(left), 0), 0x7fffffff);
      const n = poll(this.#bytes, this.#length, whole);
      if (n >= 0) return n;
      const code = errno[0]!;
      if (code !== ERRNO.EINTR) return -code;
    }
  }

  /** Whether the `i`th was ready, or in error. */
  ready(i: number): boolean {
    return this.#view.getInt16(i * 8 + 6, true) !== 0;
  }
}

/** From `linux/io_uring.h`. */
export const IORING = {
  OP_READ: 22,
  OP_WRITE: 23,
  ENTER_GETEVENTS: 1,
  SETUP_SINGLE_ISSUER: 1 << 12,
  SETUP_NO_SQARRAY: 1 << 16,
  OFF_SQ_RING: 0,
  OFF_SQES: 0x10000000,
} as const;

/**
 * A read or write that would wait ends with EAGAIN (`linux/fs.h`): io_uring waits in spite of
 * O_NONBLOCK. Where a file does not support the flag it is EOPNOTSUPP, as TUN's before Linux 6.4.
 */
export const RWF_NOWAIT = 8;

/** Size of `struct io_uring_params`, and where its ring offsets are. */
const PARAMS_SIZE = 120;
const SQ_OFF = 40;
const CQ_OFF = 80;

/** Most operations of one call. */
export const RING_ENTRIES = 256;
const SQE_WORDS = 16;

/** Memory whose address the kernel is given: it must live as long as it is used. */
export class PinnedMemory {
  /** The bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where they are. Addresses of programs are below 2^53. */
  readonly address: number;

  /** Allocates `size` bytes, at least 4,096: small arrays would live in JavaScript's moving heap. */
  constructor(size: number) {
    this.bytes = new Uint8Array(Math.max(size, 4096));
    const pointer = Deno.UnsafePointer.of(this.bytes);
    this.address = Number(Deno.UnsafePointer.value(pointer));
  }
}

/** How often in a row the kernel may have no resources for a call before the ring counts as broken. */
const MOST_REFUSALS = 1000;

/** A ring of one thread. */
export class Ring implements Disposable {
  readonly #fd: Fd;
  readonly #calls: Calls;
  readonly #mappings: readonly Mapping[];
  /** The rings' memory, as 32-bit words. */
  readonly #ring: Int32Array;
  readonly #sqes: Int32Array;
  readonly #sqTail: number;
  readonly #sqMask: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqMask: number;
  readonly #cqes: number;
  #tail = 0;
  #head = 0;
  #queued = 0;
  /**
   * Results by the `id` given to {@link Ring.add}: bytes, or a negated error number; that of EAGAIN for
   * what has not been done.
   */
  readonly results: Int32Array = new Int32Array(RING_ENTRIES);

  private constructor(fd: Fd, params: DataView) {
    this.#calls = direct();
    this.#fd = fd;
    const [sqEntries, cqEntries] = [params.getUint32(0, true), params.getUint32(4, true)];
    const sq = (field: number) => params.getUint32(SQ_OFF + field, true);
    const cq = (field: number) => params.getUint32(CQ_OFF + field, true);
    const array = sq(24);
    const cqes = cq(20);
    const operation = "map an io_uring";
    const size = Math.max(array + sqEntries * 4, cqes + cqEntries * 16);
    const rings = new Mapping(fd, { length: size, offset: IORING.OFF_SQ_RING, operation });
    try {
      const length = sqEntries * SQE_WORDS * 4;
      const entries = new Mapping(fd, { length, offset: IORING.OFF_SQES, operation });
      this.#mappings = [rings, entries];
      this.#sqes = new Int32Array(entries.lend(0, length));
    } catch (error) {
      rings.close();
      throw error;
    }
    this.#ring = new Int32Array(rings.lend(0, size));
    this.#sqTail = sq(4) >> 2;
    this.#sqMask = this.#ring[sq(8) >> 2]!;
    this.#cqHead = cq(0) >> 2;
    this.#cqTail = cq(4) >> 2;
    this.#cqMask = this.#ring[cq(8) >> 2]!;
    this.#cqes = cqes >> 2;
    for (let i = 0; i < sqEntries; i++) this.#ring[(array >> 2) + i] = i;
  }

  /** Sets a ring up; `undefined` when the kernel has none, forbids it or does not map it. */
  static open(): Ring | undefined {
    // Linux 6.0 has the flag, which saves it locking.
    for (const flags of [IORING.SETUP_SINGLE_ISSUER, 0]) {
      const params = new Uint8Array(PARAMS_SIZE);
      const view = new DataView(params.buffer);
      view.setUint32(8, flags, true);
      const number = Number(symbols().setup(BigInt(C.__NR_io_uring_setup), RING_ENTRIES, params));
      if (number < 0) continue;
      // io_uring descriptors are close-on-exec from the start.
      const fd = new Fd(number);
      try {
        return new Ring(fd, view);
      } catch (error) {
        fd.close();
        if (!(error instanceof SyscallError)) throw error;
        return undefined;
      }
    }
    return undefined;
  }

  /** Queues a read or write of `length` bytes at `address`, with `RWF_*` flags; at most {@link RING_ENTRIES} before a run. */
  add(
    opcode: number,
    fd: number,
    flags: number,
    address: number,
    length: number,
    id: number,
  ): void {
    const at = (this.#tail & this.#sqMask) * SQE_WORDS;
    const sqes = this.#sqes;
    sqes[at] = opcode;
    sqes[at + 1] = fd;
    // The position: -1 is the file's own.
    sqes[at + 2] = -1;
    sqes[at + 3] = -1;
    sqes[at + 4] = address | 0;
    sqes[at + 5] = (address / 0x1_0000_0000) | 0;
    sqes[at + 6] = length;
    sqes[at + 7] = flags;
    sqes[at + 8] = id;
    sqes[at + 9] = 0;
    sqes[at + 10] = 0;
    sqes[at + 11] = 0;
    this.results[id] = -ERRNO.EAGAIN;
    this.#tail = (this.#tail + 1) | 0;
    this.#queued++;
  }

  /**
   * Does what is queued, in order, and fills {@link Ring.results}. Returns 0 or a negated errno: the ring
   * is of no more use then, and must be closed.
   */
  run(): number {
    const ring = this.#ring;
    const fd = this.#fd.value;
    Atomics.store(ring, this.#sqTail, this.#tail);
    let submit = this.#queued;
    let missing = submit;
    let refusals = 0;
    this.#queued = 0;
    while (missing > 0) {
      const n = this.#calls.enter(
        C.__NR_io_uring_enter,
        fd,
        submit,
        missing,
        IORING.ENTER_GETEVENTS,
        null,
        0,
      );
      if (n >= 0) submit -= n;
      else {
        const code = this.#calls.errno[0]!;
        // No memory now, or too many results unread.
        const soon = code === ERRNO.EINTR || code === ERRNO.EAGAIN || code === ERRNO.EBUSY;
        if (!soon || ++refusals > MOST_REFUSALS) return -code;
      }
      const tail = Atomics.load(ring, this.#cqTail);
      let head = this.#head;
      for (; head !== tail; head = (head + 1) | 0) {
        const at = this.#cqes + (head & this.#cqMask) * 4;
        this.results[ring[at]!] = ring[at + 2]!;
        missing--;
        refusals = 0;
      }
      this.#head = head;
      Atomics.store(ring, this.#cqHead, head);
    }
    return 0;
  }

  /** Gives memory and descriptor back. */
  close(): void {
    for (const mapping of this.#mappings) mapping.close();
    this.#fd.close();
  }

  /** Same as {@link Ring.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

let ring: Ring | null | undefined;

/** The thread's ring, set up at first use; `undefined` when the kernel has none or forbids it. */
export function threadRing(): Ring | undefined {
  if (ring === undefined) ring = Ring.open() ?? null;
  return ring ?? undefined;
}

/** Closes the thread's ring, which has failed: there is none from here on. */
export function dropThreadRing(): void {
  ring?.close();
  ring = null;
}

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
