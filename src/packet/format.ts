/**
 * A packet as one line.
 *
 * @module
 */
import { Arp, ARPOP } from "./ethernet.ts";
import { u32 } from "./bytes.ts";
import { Ethernet, ETHERTYPE } from "./ethernet.ts";
import { formatIcmp } from "./format_icmp.ts";
import { formatIcmpv6 } from "./format_icmp.ts";
import { formatTcp, formatUdp } from "./format_transport.ts";
import { IPPROTO } from "./ip.ts";
import { Ipv4 } from "./ipv4.ts";
import { Ipv6 } from "./ipv6.ts";
import type { Ipv6Extension } from "./ipv6.ts";

/** Options of {@link format}. */
export interface FormatOptions {
  /** What the packet begins with: an Ethernet header (the default), or IP as on a TUN. */
  readonly layer?: "ethernet" | "ip";
}

/** Tunnels in tunnels: none is deeper in practice. */
const DEEPEST = 8;

/**
 * Formats a packet as one line, as `tcpdump -nnSt` does. What is malformed or cut off is shown as
 * `[|proto]` where it begins; it never throws.
 *
 * @example
 * ```ts
 * import { arp, buildPacket, ethernet, format } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const frame = buildPacket(
 *   ethernet({ source: "02:00:00:00:00:01", destination: "ff:ff:ff:ff:ff:ff" }),
 *   arp({ senderMac: "02:00:00:00:00:01", senderIp: "10.0.0.1", targetIp: "10.0.0.2" }),
 * );
 * assertEquals(format(frame), "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28");
 * assertEquals(format(frame.subarray(0, 20)), "[|arp]");
 * ```
 */
export function format(packet: Uint8Array, options: FormatOptions = {}): string {
  const { layer = "ethernet" } = options;
  if (layer === "ip") return formatIp(packet, 0, packet.length, 0);
  return formatEthernet(packet, 0, packet.length, 0);
}

/** A frame, also one in a tunnel. */
export function formatEthernet(
  bytes: Uint8Array,
  start: number,
  end: number,
  depth: number,
): string {
  const frame = Ethernet.parse(bytes, start, end);
  if (!frame) return "[|ether]";
  const { etherType, payloadStart } = frame;
  if (etherType === ETHERTYPE.ARP) return formatArp(bytes, payloadStart, end);
  if (etherType === ETHERTYPE.IP || etherType === ETHERTYPE.IPV6) {
    return formatIp(bytes, payloadStart, end, depth);
  }
  const type = etherType < 1536 ? "802.3" : `ethertype 0x${hex(etherType, 4)}`;
  return `${frame.source} > ${frame.destination}, ${type}, length ${end - start}`;
}

function formatArp(bytes: Uint8Array, start: number, end: number): string {
  const message = Arp.parse(bytes, start, end);
  if (!message) return "[|arp]";
  const { operation, senderIp, senderMac, targetIp, targetMac } = message;
  const length = `length ${end - start}`;
  if (operation === ARPOP.REPLY) return `ARP, Reply ${senderIp} is-at ${senderMac}, ${length}`;
  if (operation !== ARPOP.REQUEST) return `ARP, operation ${operation}, ${length}`;
  const known = targetMac === "00:00:00:00:00:00" || targetMac === "ff:ff:ff:ff:ff:ff";
  const target = known ? targetIp : `${targetIp} (${targetMac})`;
  return `ARP, Request who-has ${target} tell ${senderIp}, ${length}`;
}

function formatIp(bytes: Uint8Array, start: number, end: number, depth: number): string {
  const version = start < end ? bytes[start]! >> 4 : 0;
  if (version === 4) return formatIpv4(bytes, start, end, depth);
  return version === 6 ? formatIpv6(bytes, start, end, depth) : "[|ip]";
}

function formatIpv4(bytes: Uint8Array, start: number, end: number, depth: number): string {
  const packet = Ipv4.parse(bytes, start, end);
  if (!packet) return "IP [|ip]";
  const { source, destination, fragmentOffset } = packet;
  if (fragmentOffset > 0) return `IP ${source} > ${destination}: ip-proto-${packet.protocol}`;
  return `IP ${upper(packet, depth)}`;
}

function formatIpv6(bytes: Uint8Array, start: number, end: number, depth: number): string {
  const packet = Ipv6.parse(bytes, start, end);
  if (!packet) return "IP6 [|ip6]";
  const extensions = packet.extensions.map((header) => formatExtension(header, packet)).join("");
  const { source, destination } = packet;
  if (packet.fragmentOffset > 0) return `IP6 ${source} > ${destination}: ${extensions.trimEnd()}`;
  return `IP6 ${upper(packet, depth, extensions)}`;
}

/** What is carried, with the addresses, which ports are a part of. */
function upper(packet: Ipv4 | Ipv6, depth: number, before = ""): string {
  const { bytes, source, destination, payloadStart: start, payloadEnd: end, protocol } = packet;
  const total = packet instanceof Ipv4
    ? packet.totalLength - packet.headerLength
    : packet.payloadLength - (start - packet.start - 40);
  // The length on the wire, also when less of it is here.
  const length = total > 0 ? total : end - start;
  const part = { bytes, start, end, length, source, destination, before, depth };
  if (protocol === IPPROTO.TCP) return formatTcp(part);
  if (protocol === IPPROTO.UDP) return formatUdp(part, formatEthernet);
  const head = `${source} > ${destination}: ${before}`;
  if (protocol === IPPROTO.ICMP) return head + formatIcmp(part);
  if (protocol === IPPROTO.ICMPV6) return head + formatIcmpv6(part);
  if ((protocol === 4 || protocol === IPPROTO.IPV6) && depth < DEEPEST) {
    return head + formatIp(bytes, start, end, depth + 1);
  }
  return `${head}${protocolName(protocol)}${protocol === 59 ? "" : ` ${length}`}`;
}

function formatExtension(extension: Ipv6Extension, packet: Ipv6): string {
  const { bytes, start, end, type } = extension;
  if (type === IPPROTO.HOPOPTS) return "HBH ";
  if (type === IPPROTO.DSTOPTS) return "DSTOPT ";
  if (type === IPPROTO.FRAGMENT) {
    return `frag (${extension.fragmentOffset}|${packet.payloadEnd - end}) `;
  }
  if (type === IPPROTO.AH) {
    const icv = Array.from(bytes.subarray(start + 12, end), (byte) => hex(byte, 2)).join("");
    const sequence = u32(bytes, start + 8).toString(16);
    return `AH(spi=0x${hex(extension.spi!, 8)},seq=0x${sequence},icv=0x${icv}): `;
  }
  const { routingType, segmentsLeft } = extension;
  return `RT6 (len=${(end - start) / 8 - 1}, type=${routingType}, segleft=${segmentsLeft}) `;
}

const NAMES = new Map<number, string>([
  [IPPROTO.ICMP, "icmp"],
  [IPPROTO.TCP, "tcp"],
  [IPPROTO.UDP, "udp"],
  [IPPROTO.ESP, "esp"],
  [IPPROTO.ICMPV6, "ipv6-icmp"],
  [IPPROTO.NONE, "no next header"],
]);

function protocolName(protocol: number): string {
  return NAMES.get(protocol) ?? `ip-proto-${protocol}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
