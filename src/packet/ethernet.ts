/**
 * Ethernet frames with VLAN tags (IEEE 802.3, IEEE 802.1Q), and ARP for IPv4 over them (RFC 826).
 *
 * @module
 */
import { integer } from "../options.ts";
import { ETHERTYPE, formatIp, formatMac, parseIpv4, parseMac, type VlanTag } from "./address.ts";
import { checkFields, type FieldKinds, type Layer } from "./build.ts";
import { holds, setU16, swap, u16, u32, View } from "./bytes.ts";

/** Bytes of a header without tags. */
const HEADER = 14;
/** Bytes of a tag. */
const TAG = 4;

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
  /** Offset of the payload, behind all tags. */
  payloadStart = 0;

  /** Creates a view of a frame, or returns `undefined` when it ends within its header. */
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

  /** Destination address, such as `02:00:00:00:00:01`. */
  get destination(): string {
    return formatMac(this.bytes, this.start, 6);
  }
  set destination(mac: string) {
    this.bytes.set(parseMac(mac), this.start);
  }

  /** Source address. */
  get source(): string {
    return formatMac(this.bytes, this.start + 6, 6);
  }
  set source(mac: string) {
    this.bytes.set(parseMac(mac), this.start + 6);
  }

  /** The destination address as a number of 48 bits: a fast key of a `Map`. */
  get destinationNumber(): number {
    return u16(this.bytes, this.start) * 0x1_0000_0000 + u32(this.bytes, this.start + 2);
  }

  /** The source address as a number of 48 bits. */
  get sourceNumber(): number {
    return u16(this.bytes, this.start + 6) * 0x1_0000_0000 + u32(this.bytes, this.start + 8);
  }

  /** Whether the destination is a group address: multicast or broadcast. */
  get multicast(): boolean {
    return (this.bytes[this.start]! & 1) === 1;
  }

  /** EtherType of the payload, behind all tags: one of {@link ETHERTYPE}. Below 1536 a length (802.3). */
  get etherType(): number {
    return u16(this.bytes, this.payloadStart - 2);
  }
  set etherType(type: number) {
    setU16(this.bytes, this.payloadStart - 2, integer(type, "etherType", 0, 0xffff));
  }

  /** VLAN of the outer tag, or `undefined` without one. A frame without a tag ignores a new value. */
  get vid(): number | undefined {
    if (this.payloadStart === this.start + HEADER) return undefined;
    return u16(this.bytes, this.start + HEADER) & 0xfff;
  }
  set vid(vid: number) {
    integer(vid, "vid", 0, 0xfff);
    if (this.payloadStart === this.start + HEADER) return;
    const at = this.start + HEADER;
    setU16(this.bytes, at, u16(this.bytes, at) & 0xf000 | vid);
  }

  /** All tags, the outermost first. */
  get tags(): Required<VlanTag>[] {
    const tags: Required<VlanTag>[] = [];
    for (let at = this.start + 12; at + 2 < this.payloadStart; at += TAG) {
      const tci = u16(this.bytes, at + 2);
      const protocol = u16(this.bytes, at);
      tags.push({ protocol, vid: tci & 0xfff, pcp: tci >> 13, dei: (tci & 0x1000) !== 0 });
    }
    return tags;
  }

  /** Exchanges source and destination address. */
  swapAddresses(): void {
    swap(this.bytes, this.start, this.start + 6, 6);
  }
}

/** Fields of an Ethernet header. */
export interface EthernetFields {
  /** Source address. */
  readonly source: string;
  /** Destination address. */
  readonly destination: string;
  /** EtherType of the payload, 0..65,535; default that of the next layer, and 0 for bytes. */
  readonly etherType?: number;
  /** VLAN tags, the outermost first; default none. */
  readonly tags?: readonly VlanTag[];
}

const FIELDS: FieldKinds<EthernetFields> = {
  source: true,
  destination: true,
  etherType: "u16?",
  tags: true,
};
const TAG_FIELDS: FieldKinds<VlanTag> = {
  protocol: "u16?",
  vid: "u12",
  pcp: "u3?",
  dei: "boolean?",
};

/**
 * Creates an Ethernet header for `buildPacket()`.
 *
 * @param fields The fields of the header.
 * @throws {TypeError} For an unknown field or a malformed address.
 * @throws {RangeError} For a number that its field cannot hold, or a tag whose protocol is no VLAN tag's.
 */
export function ethernet(fields: EthernetFields): Layer {
  checkFields(fields, FIELDS);
  const { source, destination, tags = [] } = fields;
  tags.forEach((tag, i) => {
    checkFields(tag, TAG_FIELDS, `tags[${i}]`);
    if (tag.protocol === undefined || isTag(tag.protocol)) return;
    const known = [0x8100, 0x88a8, 0x9100, 0x9200].map((type) => `0x${type.toString(16)}`);
    const got = `0x${tag.protocol.toString(16)}`;
    throw new RangeError(`tags[${i}].protocol must be one of ${known.join(", ")}: got ${got}`);
  });
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
  return type === ETHERTYPE["8021Q"] || type === ETHERTYPE["8021AD"] ||
    type === ETHERTYPE.QINQ1 || type === ETHERTYPE.QINQ2;
}

/** Operations of ARP: `ARPOP_*` of `linux/if_arp.h`. */
export const ARPOP = {
  REQUEST: 1,
  REPLY: 2,
  RREQUEST: 3,
  RREPLY: 4,
  InREQUEST: 8,
  InREPLY: 9,
} as const;

const ARP_SIZE = 28;

/**
 * An ARP message for IPv4 over Ethernet. Messages for other links and protocols count as malformed.
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
  /** Creates a view of a message, or returns `undefined` when it is malformed. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Arp | undefined {
    const view = new Arp();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, ARP_SIZE)) return false;
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
    setU16(this.bytes, this.start + 6, integer(operation, "operation", 0, 0xffff));
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

  /** Ethernet address of the target. A request asks for it and leaves it zero. */
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

/** Fields of an ARP message. */
export interface ArpFields {
  /** One of {@link ARPOP}, 0..65,535; default a request. */
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

const ARP_FIELDS: FieldKinds<ArpFields> = {
  operation: "u16?",
  senderMac: true,
  senderIp: true,
  targetMac: true,
  targetIp: true,
};

/**
 * Creates an ARP message for `buildPacket()`.
 *
 * @param fields The fields of the message.
 * @throws {TypeError} For an unknown field or a malformed address.
 * @throws {RangeError} For an operation that is out of range.
 */
export function arp(fields: ArpFields): Layer {
  checkFields(fields, ARP_FIELDS);
  const { operation = ARPOP.REQUEST, targetMac = "00:00:00:00:00:00" } = fields;
  const message = new Uint8Array(ARP_SIZE);
  message.set([0, 1, 8, 0, 6, 4, operation >> 8, operation]);
  message.set(parseMac(fields.senderMac), 8);
  message.set(parseIpv4(fields.senderIp), 14);
  message.set(parseMac(targetMac), 18);
  message.set(parseIpv4(fields.targetIp), 24);
  return {
    size: ARP_SIZE,
    etherType: ETHERTYPE.ARP,
    write: (bytes, { start }) => bytes.set(message, start),
  };
}
