/**
 * TAP: a link whose Ethernet frames a program reads and writes.
 *
 * @module
 */
import {
  attachTun,
  createTun,
  type TapFilter,
  type TunAttachOptions,
  TunLink,
  type TunOptions,
} from "./tun_base.ts";
import { checkOptions, type OptionNames } from "../options.ts";

const FILTER_OPTIONS: OptionNames<TapFilter> = { macs: true, allMulticast: true };

/** Options of a TAP link. */
export interface TapOptions extends TunOptions {
  /** What it hands over. Default: everything that is sent over the link. */
  readonly filter?: TapFilter;
}

/** What is asked for by default: the filter of an earlier descriptor outlives it. */
const EVERYTHING: TapFilter = { macs: [] };

/**
 * A TAP: as a {@linkcode Tun}, with Ethernet frames. It can be a bridge's port.
 *
 * @example A frame each way
 * ```ts
 * import { NetNs, Tap } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * using tap = Tap.create({ name: "tap0", netns, up: true, addresses: ["192.0.2.1/24"] });
 * const ping = netns.ping("192.0.2.2", { timeout: 200 });
 * const frame = new Uint8Array(1514);
 * do await tap.read(frame); while (frame[12] !== 8 || frame[13] !== 6); // ARP
 * assertEquals(Array.from(frame.subarray(38, 42)), [192, 0, 2, 2]);
 * await ping;
 * ```
 */
export class Tap extends TunLink {
  /**
   * Makes a TAP, and opens its first queue.
   *
   * @param options What every link has, and what TAPs have; addresses and `up` included.
   * @returns The owning handle: closing it deletes the link.
   * @throws {SyscallError} EBUSY when the name is taken, EPERM without privileges, ENOENT when the
   * system has no `/dev/net/tun`.
   * @throws {RangeError} For an option out of range; nothing is made then.
   * @throws {TypeError} For a malformed or unknown option; nothing is made then.
   */
  static create(options: TapOptions = {}): Tap {
    const { filter, ...rest } = options;
    return createTun("tap", rest, (attached) => {
      const tap = new Tap("tap", attached);
      tap.setFilter(filter ?? EVERYTHING);
      return tap;
    });
  }

  /**
   * Attaches to a persistent TAP, or to one with several queues.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is, and what the queue is like; default: as the link is set up.
   * @returns A borrowed handle: closing it leaves a persistent link in place.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {SyscallError} EBUSY when it has one queue, and a program has that.
   * @throws {TypeError} When it is not a TAP.
   */
  static attach(selector: string | number, options: TunAttachOptions = {}): Tap {
    return attachTun("tap", selector, options, (attached) => {
      const tap = new Tap("tap", attached);
      tap.setFilter(EVERYTHING);
      return tap;
    });
  }

  /**
   * Says which frames are handed over, by their destination: TUNSETTXFILTER.
   *
   * @param filter The MACs; with none, everything is handed over again.
   * @returns How many MACs are compared exactly, 8 at most; of group addresses beyond those, frames to
   * some others come too.
   * @throws {RangeError} For more than 8 MACs that are no group addresses.
   */
  setFilter(filter: TapFilter): number {
    checkOptions(filter, FILTER_OPTIONS);
    return this.filter(filter.macs, filter.allMulticast ?? false);
  }
}
