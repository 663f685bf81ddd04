/**
 * The character devices of macvtap and ipvtap links.
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import { makeCharacterDevice, mountDetached, openAt, readTextAt } from "../../ffi/detached.ts";
import type { Fd } from "../../ffi/fd.ts";
import { type NetNsRef, within } from "../../ffi/namespace.ts";
import { IFF_TUN_FLAGS, setInterface } from "../../ffi/tun.ts";
import { type Offload, TunQueue } from "./tun_queue.ts";
import { checkOptions, show } from "../options.ts";

/** Options of opening a macvtap's or ipvtap's device. */
export interface TapDeviceOptions {
  /** Each frame has a `struct virtio_net_hdr` of 10 bytes in front. Default: false, or true with `offloads`. */
  readonly vnetHdr?: boolean;
  /** What the kernel may hand over unfinished; `true`: the most it has. Default: nothing. */
  readonly offloads?: readonly Offload[] | boolean;
  /** Bytes of written frames on their way before writes wait, 1..2147483647. Default: the most. */
  readonly sendBuffer?: number;
}

const OPTIONS = { vnetHdr: true, offloads: true, sendBuffer: true };

/** Which link: its kind, name and index. */
interface TapLink {
  readonly kind: string | undefined;
  readonly name: string;
  readonly index: number;
  readonly ref: NetNsRef;
}

/**
 * Opens the device. Where it has a node is up to udev, and two namespaces may want the same name: so the
 * device's numbers are read from a sysfs of the link's namespace, and a node of its own is opened, both
 * in mounts that nobody else sees.
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
  const what = `${kind} ${show(name)}${ref.description ? ` in ${ref.description}` : ""}`;
  const fd = within(ref, () => openNode(name, index, `open the device of ${what}`));
  try {
    const { TAP, NO_PI, VNET_HDR, MULTI_QUEUE } = IFF_TUN_FLAGS;
    const flags = TAP | NO_PI | MULTI_QUEUE | (vnetHdr ? VNET_HDR : 0);
    setInterface(fd, { name, flags }, `set up the device of ${what}`);
    const queue = new TunQueue(fd, what, vnetHdr, false);
    if (vnetHdr || offloads !== undefined) queue.setOffloads(offloads ?? false);
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
