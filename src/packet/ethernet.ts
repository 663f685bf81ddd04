/**
 * Ethernet frames with 802.1Q and 802.1ad tags (IEEE 802.3, IEEE 802.1Q).
 *
 * @module
 */
import { formatIp, formatMac, parseIpv4, parseMac } from "./address.ts";
import type { Layer } from "./build.ts";
import { holds, setU16, swap, u16, u32, View } from "./bytes.ts";

/** What a frame carries: `ETH_P_*` of `linux/if_ether.h`. */
export const ETHERTYPE = {
  IP: 0x0800,
  ARP: 0x0806,
  "8021Q": 0x8100,
  IPV6: 0x86dd,
  "8021AD": 0x88a8,
} as const;

/** Bytes of a header without tags. */
const HEADER = 14;
/** Bytes of a tag. */
const TAG = 4;

/** A VLAN tag of a frame. */
export interface VlanTag {
  /** `0x8100` (802.1Q, the default) or `0x88a8` (802.1ad). */
  readonly protocol?: number;
  /** Number of the VLAN, 0..4095. */
  readonly vid: number;
  /** Priority code point, 0..7; default 0. */
  readonly pcp?: number;
  /** Whether the frame may be dropped first; default `false`. */
  readonly dei?: boolean;
}

/**
 * An Ethernet frame, without its check sequence.
 *
 * @example Change a VLAN
 * ```ts
 * import { buildPacket, Ethernet, ethernet, format, ipv4, udp } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = buildPacket(
 *   ethernet({ source: "02:00:00:00:00:01", destination: "02:00:00:00:00:02", tags: [{ vid: 5 }] }),
 *   ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
 *   udp({ sourcePort: 1000, destinationPort: 2000 }),
 * );
 * const frame = Ethernet.parse(bytes)!;
 * frame.vid = 7;
 * assertEquals(frame.tags, [{ protocol: 0x8100, vid: 7, pcp: 0, dei: false }]);
 * assertEquals(format(bytes), "IP 10.0.0.1.1000 > 10.0.0.2.2000: UDP, length 0");
 * ```
 */
export class Ethernet extends View {
  /** Where the payload starts, after all tags. */
  payloadStart = 0;

  /** Makes a view of a frame, or returns `undefined` when it ends within its header. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Ethernet | undefined {
    const view = new Ethernet();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, HEADER)) return false;
    let payload = start + HEADER;
    while (isTag(u16(bytes, payload - 2))) {
      payload += TAG;
      if (payload > end) return false;
    }
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.payloadStart = payload;
    return true;
  }

  /** Receiver, such as `02:00:00:00:00:01`. */
  get destination(): string {
    return formatMac(this.bytes, this.start, 6);
  }
  set destination(mac: string) {
    this.bytes.set(parseMac(mac), this.start);
  }

  /** Sender. */
  get source(): string {
    return formatMac(this.bytes, this.start + 6, 6);
  }
  set source(mac: string) {
    this.bytes.set(parseMac(mac), this.start + 6);
  }

  /** The receiver as a number of 48 bits, which makes a fast key of a `Map`. */
  get destinationNumber(): number {
    return u16(this.bytes, this.start) * 0x1_0000_0000 + u32(this.bytes, this.start + 2);
  }

  /** The sender as a number of 48 bits. */
  get sourceNumber(): number {
    return u16(this.bytes, this.start + 6) * 0x1_0000_0000 + u32(this.bytes, this.start + 8);
  }

  /** Whether it goes to a group, such as everybody. */
  get multicast(): boolean {
    return (this.bytes[this.start]! & 1) === 1;
  }

  /** What the frame carries, after all tags: one of {@link ETHERTYPE}; below 1536 a length (802.3). */
  get etherType(): number {
    return u16(this.bytes, this.payloadStart - 2);
  }
  set etherType(type: number) {
    setU16(this.bytes, this.payloadStart - 2, type);
  }

  /** The outer tag's VLAN, or `undefined` when there is none. A frame without a tag takes none. */
  get vid(): number | undefined {
    if (this.payloadStart === this.start + HEADER) return undefined;
    return u16(this.bytes, this.start + HEADER) & 0xfff;
  }
  set vid(vid: number) {
    if (this.payloadStart === this.start + HEADER) return;
    const at = this.start + HEADER;
    setU16(this.bytes, at, u16(this.bytes, at) & 0xf000 | vid & 0xfff);
  }

  /** All tags, the outer one first. */
  get tags(): Required<VlanTag>[] {
    const tags: Required<VlanTag>[] = [];
    for (let at = this.start + 12; at + 2 < this.payloadStart; at += TAG) {
      const tci = u16(this.bytes, at + 2);
      const protocol = u16(this.bytes, at);
      tags.push({ protocol, vid: tci & 0xfff, pcp: tci >> 13, dei: (tci & 0x1000) !== 0 });
    }
    return tags;
  }

  /** Exchanges sender and receiver: the frame goes back. */
  swapAddresses(): void {
    swap(this.bytes, this.start, this.start + 6, 6);
  }
}

/** Fields of a frame to be built. */
export interface EthernetFields {
  /** Sender. */
  readonly source: string;
  /** Receiver. */
  readonly destination: string;
  /** What it carries; default what the next layer is. */
  readonly etherType?: number;
  /** VLAN tags, the outer one first; default none. */
  readonly tags?: readonly VlanTag[];
}

/**
 * An Ethernet header for `buildPacket()`.
 *
 * @throws {TypeError} When an address is malformed.
 */
export function ethernet(fields: EthernetFields): Layer {
  const { source, destination, tags = [] } = fields;
  const [from, to] = [parseMac(source), parseMac(destination)];
  return {
    size: HEADER + TAG * tags.length,
    write(bytes, { start, inner }) {
      bytes.set(to, start);
      bytes.set(from, start + 6);
      let at = start + 12;
      for (const { protocol = ETHERTYPE["8021Q"], vid, pcp = 0, dei = false } of tags) {
        setU16(bytes, at, protocol);
        setU16(bytes, at + 2, pcp << 13 | (dei ? 0x1000 : 0) | vid);
        at += TAG;
      }
      setU16(bytes, at, fields.etherType ?? inner?.etherType ?? 0);
    },
  };
}

function isTag(type: number): boolean {
  return type === ETHERTYPE["8021Q"] || type === ETHERTYPE["8021AD"];
}

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
