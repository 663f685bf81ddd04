/**
 * ARP for IPv4 over Ethernet (RFC 826).
 *
 * @module
 */
import { formatIp, formatMac, parseIpv4, parseMac } from "./address.ts";
import type { Layer } from "./build.ts";
import { setU16, swap, u16 } from "./bytes.ts";
import { ETHERTYPE } from "./ethernet.ts";
import { holds, View } from "./view.ts";

/** What a message asks or answers: `ARPOP_*` of `linux/if_arp.h`. */
export const ARPOP = { REQUEST: 1, REPLY: 2 } as const;

const SIZE = 28;

/**
 * An ARP message. Those for other networks than Ethernet and other protocols than IPv4 count as malformed.
 *
 * @example Answer a request
 * ```ts
 * import { Arp, arp, ARPOP, buildPacket } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const message = Arp.parse(buildPacket(arp({
 *   senderMac: "02:00:00:00:00:01",
 *   senderIp: "10.0.0.1",
 *   targetIp: "10.0.0.2",
 * })))!;
 * message.operation = ARPOP.REPLY;
 * message.swapSenderAndTarget();
 * message.senderMac = "02:00:00:00:00:02";
 * assertEquals([message.senderIp, message.targetMac], ["10.0.0.2", "02:00:00:00:00:01"]);
 * ```
 */
export class Arp extends View {
  /** Makes a view of a message, or returns `undefined` when it is malformed. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Arp | undefined {
    const view = new Arp();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, SIZE)) return false;
    if (u16(bytes, start) !== 1 || u16(bytes, start + 2) !== ETHERTYPE.IP) return false;
    if (bytes[start + 4] !== 6 || bytes[start + 5] !== 4) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** One of {@link ARPOP}. */
  get operation(): number {
    return u16(this.bytes, this.start + 6);
  }
  set operation(operation: number) {
    setU16(this.bytes, this.start + 6, operation);
  }

  /** Ethernet address of the sender. */
  get senderMac(): string {
    return formatMac(this.bytes, this.start + 8, 6);
  }
  set senderMac(mac: string) {
    this.bytes.set(parseMac(mac), this.start + 8);
  }

  /** IPv4 address of the sender. */
  get senderIp(): string {
    return formatIp(this.bytes, this.start + 14, 4);
  }
  set senderIp(ip: string) {
    this.bytes.set(parseIpv4(ip), this.start + 14);
  }

  /** Ethernet address of the target: what a request asks for, and leaves zero. */
  get targetMac(): string {
    return formatMac(this.bytes, this.start + 18, 6);
  }
  set targetMac(mac: string) {
    this.bytes.set(parseMac(mac), this.start + 18);
  }

  /** IPv4 address of the target. */
  get targetIp(): string {
    return formatIp(this.bytes, this.start + 24, 4);
  }
  set targetIp(ip: string) {
    this.bytes.set(parseIpv4(ip), this.start + 24);
  }

  /** Exchanges both addresses of sender and target. */
  swapSenderAndTarget(): void {
    swap(this.bytes, this.start + 8, this.start + 18, 10);
  }
}

/** Fields of a message to be built. */
export interface ArpFields {
  /** One of {@link ARPOP}; default a request. */
  readonly operation?: number;
  /** Ethernet address of the sender. */
  readonly senderMac: string;
  /** IPv4 address of the sender. */
  readonly senderIp: string;
  /** Ethernet address of the target; default zero. */
  readonly targetMac?: string;
  /** IPv4 address of the target. */
  readonly targetIp: string;
}

/**
 * An ARP message for `buildPacket()`.
 *
 * @throws {TypeError} When an address is malformed.
 */
export function arp(fields: ArpFields): Layer {
  const { operation = ARPOP.REQUEST, targetMac = "00:00:00:00:00:00" } = fields;
  const message = new Uint8Array(SIZE);
  message.set([0, 1, 8, 0, 6, 4, 0, operation]);
  message.set(parseMac(fields.senderMac), 8);
  message.set(parseIpv4(fields.senderIp), 14);
  message.set(parseMac(targetMac), 18);
  message.set(parseIpv4(fields.targetIp), 24);
  return {
    size: SIZE,
    etherType: ETHERTYPE.ARP,
    write: (bytes, { start }) => bytes.set(message, start),
  };
}
