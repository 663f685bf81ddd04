/**
 * TUN and TAP: links whose packets a program reads and writes.
 *
 * @module
 */
import {
  attachTun,
  createTun,
  FILTER_OPTIONS,
  type TapFilter,
  type TunAttachOptions,
  type TunCreateOptions,
  TunLink,
} from "./tun_base.ts";
import { atCaller, checkOptions } from "../options.ts";

/**
 * A TUN: a network interface on one side, a descriptor on the other. The program reads the IP packets
 * that the network stack sends over the interface; packets that it writes arrive on the interface.
 *
 * @example A program as a host: it returns each packet with the addresses swapped
 * ```ts
 * import { NetNs, Tun } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * using tun = Tun.create({ name: "t0", netns, up: true, addresses: ["10.9.0.1/24"] });
 * const echo = async () => {
 *   for await (const packet of tun) {
 *     if (packet[9] !== 1 || packet[20] !== 8) continue; // ICMP echo requests
 *     const source = packet.slice(12, 16);
 *     packet.copyWithin(12, 16, 20);
 *     packet.set(source, 16);
 *     packet[20] = 0; // Echo reply: the checksum grows by as much as the type shrinks.
 *     const sum = packet[22]! * 256 + packet[23]! + 0x0800;
 *     packet.set([(sum + (sum >> 16)) >> 8 & 255, sum + (sum >> 16) & 255], 22);
 *     await tun.write(packet);
 *   }
 * };
 * const echoing = echo();
 * const { received } = await netns.ping("10.9.0.99");
 * assertEquals(received, 1);
 * tun.close();
 * await echoing;
 * ```
 *
 * Sources: Documentation/networking/tuntap.rst and linux/if_tun.h.
 */
export class Tun extends TunLink {
  /**
   * Creates a TUN, and opens its first queue.
   *
   * @param options The options of every link and of TUN or TAP links, addresses and `up` included.
   * @returns The owning handle: closing it deletes the link. With `persistent`, and for a link that was
   * there before, a borrowed one: closing it leaves the link in place.
   * @throws {NetlinkError} EEXIST when the name is taken.
   * @throws {SyscallError} EPERM without privileges, EACCES when this user may not open `/dev/net/tun`,
   * ENOENT when the system has none.
   * @throws {RangeError} For an option out of range; nothing is created then.
   * @throws {TypeError} For a malformed or unknown option; nothing is created then.
   */
  static create(options: TunCreateOptions = {}): Tun {
    return atCaller(
      Tun.create,
      () => createTun("tun", options, (attached) => new Tun("tun", attached)),
    );
  }

  /**
   * Attaches to a persistent TUN, or to one with several queues.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Its namespace, and the queue's properties; default: those of the link.
   * @returns A borrowed handle: closing it leaves a persistent link in place.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {SyscallError} EBUSY when it has one queue, and a program has that.
   * @throws {TypeError} When it is not a TUN.
   */
  static attach(selector: string | number, options: TunAttachOptions = {}): Tun {
    return attachTun("tun", selector, options, (attached) => new Tun("tun", attached));
  }
}

/** Options of a TAP link. */
export interface TapCreateOptions extends TunCreateOptions {
  /** The frames that it delivers. Default: all that are sent over the link. */
  readonly filter?: TapFilter;
}

/** The default filter, set at attach: the filter of an earlier descriptor outlives it. */
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
   * Creates a TAP, and opens its first queue.
   *
   * @param options The options of every link and of TUN or TAP links, addresses and `up` included.
   * @returns The owning handle: closing it deletes the link. With `persistent`, and for a link that was
   * there before, a borrowed one: closing it leaves the link in place.
   * @throws {NetlinkError} EEXIST when the name is taken.
   * @throws {SyscallError} EPERM without privileges, EACCES when this user may not open `/dev/net/tun`,
   * ENOENT when the system has none.
   * @throws {RangeError} For an option out of range; nothing is created then.
   * @throws {TypeError} For a malformed or unknown option; nothing is created then.
   */
  static create(options: TapCreateOptions = {}): Tap {
    return atCaller(Tap.create, () =>
      createTun("tap", options, (attached) => {
        const tap = new Tap("tap", attached);
        tap.setFilter(options.filter ?? EVERYTHING);
        return tap;
      }));
  }

  /**
   * Attaches to a persistent TAP, or to one with several queues.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Its namespace, and the queue's properties; default: those of the link.
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
   * Sets the destinations of frames that the TAP delivers: TUNSETTXFILTER.
   *
   * @param filter The MACs; with none, all frames are delivered again.
   * @returns How many MACs are compared exactly, 8 at most; of group addresses beyond those, frames to
   * some others come too.
   * @throws {RangeError} For more than 8 MACs that are no group addresses.
   */
  setFilter(filter: TapFilter): number {
    checkOptions(filter, FILTER_OPTIONS);
    return this.filter(filter.macs, filter.allMulticast ?? false);
  }
}
