/**
 * TUN: a link whose packets a program reads and writes.
 *
 * @module
 */
import {
  attachTun,
  createTun,
  type TunAttachOptions,
  TunLink,
  type TunOptions,
} from "./tun_base.ts";

/**
 * A TUN: a network interface on one side, a descriptor on the other. What the network stack sends over
 * the interface the program reads, as IP packets; what the program writes arrives on the interface.
 *
 * @example A host that is a program: it answers whatever is sent to it, with the addresses swapped
 * ```ts
 * import { NetNs, Tun } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * using tun = Tun.create({ name: "t0", netns, up: true, addresses: ["10.9.0.1/24"] });
 * const echo = async () => {
 *   for await (const packet of tun) {
 *     if (packet[9] !== 1 || packet[20] !== 8) continue; // ICMP echo requests
 *     packet.copyWithin(0, 0); // The packet is this loop's own.
 *     const source = packet.slice(12, 16);
 *     packet.copyWithin(12, 16, 20);
 *     packet.set(source, 16);
 *     packet[20] = 0; // Echo reply: the checksum grows by what the type lost.
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
   * Makes a TUN, and opens its first queue.
   *
   * @param options What every link has, and what TUNs have; addresses and `up` included.
   * @returns The owning handle: closing it deletes the link.
   * @throws {SyscallError} EBUSY when the name is taken, EPERM without privileges, ENOENT when the
   * system has no `/dev/net/tun`.
   * @throws {RangeError} For an option out of range; nothing is made then.
   * @throws {TypeError} For a malformed or unknown option; nothing is made then.
   */
  static create(options: TunOptions = {}): Tun {
    return createTun("tun", options, (attached) => new Tun("tun", attached));
  }

  /**
   * Attaches to a persistent TUN, or to one with several queues.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is, and what the queue is like; default: as the link is set up.
   * @returns A borrowed handle: closing it leaves a persistent link in place.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {SyscallError} EBUSY when it has one queue, and a program has that.
   * @throws {TypeError} When it is not a TUN.
   */
  static attach(selector: string | number, options: TunAttachOptions = {}): Tun {
    return attachTun("tun", selector, options, (attached) => new Tun("tun", attached));
  }
}
