/**
 * Queues of TUN and TAP links, and of macvtaps: their descriptors.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import type { Fd } from "../../ffi/file.ts";
import {
  IFF_TUN_FLAGS,
  setInterface,
  setQueue,
  TUN_F,
  tunIoctl,
  tunIoctlInt,
  tunIoctlValue,
} from "../../ffi/packet_io.ts";
import { parseMac } from "../packet/address.ts";
import { FdDevice } from "./fd_device.ts";
import { checkOptions, type OptionNames, show } from "../options.ts";
import { C } from "../../ffi/libc.ts";
import {
  makeCharacterDevice,
  mountDetached,
  type NetNsRef,
  openAt,
  readTextAt,
  within,
} from "../../ffi/namespace.ts";

/** Length of the `struct virtio_net_hdr` in front of each packet of a device with `vnetHdr`. */
export const VNET_HDR_SIZE = 10;

/**
 * The work on packets that the program or the kernel leaves to the other (`linux/virtio_net.h`): partial
 * checksums, and GSO packets of TCP or UDP.
 */
export type Offload = "checksum" | "tso4" | "tso6" | "tso_ecn" | "uso4" | "uso6";

const OFFLOADS: Readonly<Record<Offload, number>> = {
  checksum: TUN_F.CSUM,
  tso4: TUN_F.TSO4,
  tso6: TUN_F.TSO6,
  tso_ecn: TUN_F.TSO_ECN,
  uso4: TUN_F.USO4,
  uso6: TUN_F.USO6,
};

/** Features of the kernel's driver for TUNs and TAPs, or for macvtaps. */
export interface TunFeatures {
  /** IP packets. */
  readonly tun: boolean;
  /** Ethernet frames. */
  readonly tap: boolean;
  /** Several queues. */
  readonly multiQueue: boolean;
  /** A virtio-net header in front of packets, and so offloads. */
  readonly vnetHdr: boolean;
  /** Receive processing as network cards do it, `IFF_NAPI`. */
  readonly napi: boolean;
  /** The same with packets in fragments, `IFF_NAPI_FRAGS`. */
  readonly napiFrags: boolean;
}

/** Sets of offloads, from the largest to none: Linux has uso4 and uso6 since 6.2. */
const FALLBACKS: readonly (readonly Offload[])[] = [
  ["checksum", "tso4", "tso6", "uso4", "uso6"],
  ["checksum", "tso4", "tso6"],
  ["checksum"],
  [],
];

/** One queue of a TUN or TAP link or of a macvtap: reads return packets of the link, writes go to it. */
export class TunQueue extends FdDevice {
  #offloads: readonly Offload[] = [];
  #attached = true;
  #sendBuffer = 0x7fffffff;
  /** Whether each packet has a `struct virtio_net_hdr` of 10 bytes in front. */
  readonly vnetHdr: boolean;
  /** Whether each packet has a `struct tun_pi` of 4 bytes in front: flags and the EtherType. */
  readonly packetInfo: boolean;

  /** For link kinds: wraps a descriptor that is attached. */
  constructor(fd: Fd, what: string, vnetHdr: boolean, packetInfo: boolean) {
    super(fd, what);
    this.vnetHdr = vnetHdr;
    this.packetInfo = packetInfo;
  }

  /** Bytes in front of each packet: of the `struct tun_pi` and the `struct virtio_net_hdr`. */
  get headerLength(): number {
    return (this.packetInfo ? 4 : 0) + (this.vnetHdr ? VNET_HDR_SIZE : 0);
  }

  /** The offloads of packets from the kernel. */
  get offloads(): readonly Offload[] {
    return this.#offloads;
  }

  /**
   * Sets the offloads of packets from the kernel: TUNSETOFFLOAD. It needs `vnetHdr`. The setting belongs to
   * the link and outlives the descriptor.
   *
   * @param offloads The offloads, or `true` for all that this kernel has.
   * @returns The offloads that are on now.
   * @throws {SyscallError} EINVAL when the kernel lacks one that was named.
   * @throws {TypeError} For a name that is none, and without `vnetHdr`.
   */
  setOffloads(offloads: readonly Offload[] | boolean): readonly Offload[] {
    if (offloads === true) return this.#most();
    if (offloads !== false && !Array.isArray(offloads)) {
      throw new TypeError(
        `offloads must be a list or a boolean: got ${show(offloads)}`,
      );
    }
    const wanted: readonly Offload[] = offloads === false ? [] : [...offloads];
    let bits = 0;
    for (const offload of wanted) {
      const bit = OFFLOADS[offload];
      if (bit === undefined) {
        const known = Object.keys(OFFLOADS).join(", ");
        throw new TypeError(`offloads has ${show(offload)}: expected any of ${known}`);
      }
      bits |= bit;
    }
    if (bits !== 0 && !this.vnetHdr) {
      throw new TypeError(
        `offloads of ${this.what} need vnetHdr: its header describes partial checksums and GSO packets`,
      );
    }
    const what = `set offloads ${wanted.join(", ") || "off"} of ${this.what}`;
    tunIoctlValue(this.fd, "SETOFFLOAD", bits, what);
    return this.#offloads = wanted;
  }

  #most(): readonly Offload[] {
    for (const offloads of FALLBACKS) {
      try {
        return this.setOffloads(offloads);
      } catch (error) {
        const lacking = error instanceof SyscallError && error.errno === ERRNO.EINVAL;
        if (!lacking || offloads.length === 0) throw error;
      }
    }
    return [];
  }

  /** Features of the kernel's driver, whether this queue uses them or not: TUNGETFEATURES. */
  features(): TunFeatures {
    const bits = tunIoctlInt(this.fd, "GETFEATURES", 0, `read the features of ${this.what}`);
    const { TUN, TAP, MULTI_QUEUE, VNET_HDR, NAPI, NAPI_FRAGS } = IFF_TUN_FLAGS;
    return {
      tun: (bits & TUN) !== 0,
      tap: (bits & TAP) !== 0,
      multiQueue: (bits & MULTI_QUEUE) !== 0,
      vnetHdr: (bits & VNET_HDR) !== 0,
      napi: (bits & NAPI) !== 0,
      napiFrags: (bits & NAPI_FRAGS) !== 0,
    };
  }

  /** For link kinds: sets the size of the virtio-net header to {@link VNET_HDR_SIZE}. */
  resetHeaderLength(): void {
    const what = `set the length of the virtio-net header of ${this.what}`;
    tunIoctlInt(this.fd, "SETVNETHDRSZ", VNET_HDR_SIZE, what);
  }

  /** Whether the queue takes part in the link's traffic. */
  get attached(): boolean {
    return this.#attached;
  }

  /** Lets a queue of a link with `multiQueue` take part in the traffic again. */
  attach(): void {
    setQueue(this.fd, true, `attach a queue of ${this.what}`);
    this.#attached = true;
  }

  /** Excludes the queue from the link's traffic: it gets no packets, but may still write. */
  detach(): void {
    setQueue(this.fd, false, `detach a queue of ${this.what}`);
    this.#attached = false;
  }

  /** Bytes of written packets that may be on their way before writes wait: TUNSETSNDBUF. */
  get sendBuffer(): number {
    try {
      return tunIoctlInt(this.fd, "GETSNDBUF", 0, `read the send buffer of ${this.what}`);
    } catch (error) {
      // Macvtaps do not report it.
      if (error instanceof SyscallError && error.errno === ERRNO.EINVAL) return this.#sendBuffer;
      throw error;
    }
  }

  set sendBuffer(bytes: number) {
    if (!Number.isInteger(bytes) || bytes < 1 || bytes > 0x7fffffff) {
      throw new RangeError(`sendBuffer must be in 1..2147483647: got ${bytes}`);
    }
    tunIoctlInt(this.fd, "SETSNDBUF", bytes, `set the send buffer of ${this.what}`);
    this.#sendBuffer = bytes;
  }

  /** For TAPs: see {@link setTapFilter}. */
  protected filter(macs: readonly string[], allMulticast: boolean): number {
    return setTapFilter(this.fd, this.what, macs, allMulticast);
  }
}

const TUN_FLT_ALLMULTI = 1;
/** The number of MACs that the kernel compares exactly: the first ones. */
const EXACT = 8;

/**
 * TUNSETTXFILTER: passes only frames to these MACs on. Returns the number of MACs that are compared exactly; group
 * addresses beyond those share a hash.
 */
function setTapFilter(
  fd: Fd,
  what: string,
  macs: readonly string[],
  allMulticast: boolean,
): number {
  if (!Array.isArray(macs)) {
    throw new TypeError(`macs must be a list of MACs: got ${show(macs)}`);
  }
  const addresses = macs.map((mac) => parseMac(mac));
  const isGroup = (address: Uint8Array) => (address[0]! & 1) !== 0;
  const singles = addresses.filter((address) => !isGroup(address));
  // Further ones must be group addresses: otherwise the kernel silently filters nothing.
  if (singles.length > EXACT) {
    throw new RangeError(
      `macs may have at most ${EXACT} that are no group addresses: got ${singles.length}`,
    );
  }
  if (macs.length > 0xffff) throw new RangeError(`macs may have at most 65535: got ${macs.length}`);
  // struct tun_filter: u16 flags, u16 count, u8 addr[][6]
  const bytes = new Uint8Array(4 + 6 * macs.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, allMulticast ? TUN_FLT_ALLMULTI : 0, true);
  view.setUint16(2, macs.length, true);
  const sorted = [...singles, ...addresses.filter(isGroup)];
  sorted.forEach((address, i) => bytes.set(address, 4 + 6 * i));
  return tunIoctl(fd, "SETTXFILTER", bytes, `set the filter of ${what}`);
}

/** Options of opening a macvtap's or ipvtap's device. */
export interface TapDeviceOptions {
  /** Each frame has a `struct virtio_net_hdr` of 10 bytes in front. Default: false, or true with `offloads`. */
  readonly vnetHdr?: boolean;
  /** The offloads of packets from the kernel; `true`: all that it has. Default: none. */
  readonly offloads?: readonly Offload[] | boolean;
  /** Bytes of written frames on their way before writes wait, 1..2147483647. Default: the most. */
  readonly sendBuffer?: number;
}

const OPTIONS: OptionNames<TapDeviceOptions> = {
  vnetHdr: true,
  offloads: true,
  sendBuffer: true,
};

/** Which link: its kind, name and index. */
interface TapLink {
  readonly kind: string | undefined;
  readonly name: string;
  readonly index: number;
  readonly ref: NetNsRef;
}

/**
 * Opens the device. udev decides about the path of its node, and two namespaces may want the same one. Therefore this
 * reads the device's numbers from a sysfs of the link's namespace and opens a node of its own, both in mounts that no
 * other process sees.
 */
export function openTapDevice(link: TapLink, options: TapDeviceOptions = {}): TunQueue {
  checkOptions(options, OPTIONS);
  const { offloads, sendBuffer } = options;
  const wants = Array.isArray(offloads) ? offloads.length > 0 : offloads === true;
  const { vnetHdr = wants } = options;
  if (typeof vnetHdr !== "boolean") {
    throw new TypeError(`vnetHdr must be a boolean: got ${show(vnetHdr)}`);
  }
  const { ref, name, index, kind } = link;
  const what = `${kind} ${show(name)}${ref.place}`;
  const fd = within(ref, () => openNode(name, index, `open the device of ${what}`));
  try {
    const { TAP, NO_PI, VNET_HDR, MULTI_QUEUE } = IFF_TUN_FLAGS;
    const flags = TAP | NO_PI | MULTI_QUEUE | (vnetHdr ? VNET_HDR : 0);
    setInterface(fd, { name, flags }, `set up the device of ${what}`);
    const queue = new TunQueue(fd, what, vnetHdr, false);
    queue.setOffloads(offloads ?? false);
    if (sendBuffer !== undefined) queue.sendBuffer = sendBuffer;
    return queue;
  } catch (error) {
    fd.close();
    throw error;
  }
}

function openNode(name: string, index: number, what: string): Fd {
  using sysfs = mountDetached("sysfs", what);
  const numbers = readTextAt(sysfs, `class/net/${name}/tap${index}/dev`, what);
  const [major, minor] = numbers.trim().split(":").map(Number);
  using directory = mountDetached("tmpfs", what);
  makeCharacterDevice(directory, "tap", major!, minor!, what);
  return openAt(directory, "tap", C.O_RDWR | C.O_NONBLOCK, what);
}
