/**
 * Packets as lines of text.
 *
 * @module
 */
import { checkOptions, integer, type OptionNames, wordValue } from "../options.ts";
import { ETHERTYPE, formatIp as formatAddress, IPPROTO, LINKTYPE } from "./address.ts";
import { u16, u32 } from "./bytes.ts";
import { Arp, ARPOP, Ethernet } from "./ethernet.ts";
import { formatIcmp, formatIcmpv6 } from "./format_icmp.ts";
import { DEEPEST, formatTcp, formatUdp, type Part, type Span } from "./format_transport.ts";
import { Ipv4 } from "./ipv4.ts";
import { Ipv6, Ipv6Extension } from "./ipv6.ts";

/** Options of {@link format}. */
export interface FormatOptions {
  /** The first header of the bytes: Ethernet (the default), or IP as on a TUN. A frame knows its own. */
  readonly layer?: "ethernet" | "ip";
  /** Bytes on the wire, when the capture cut the packet off; default all. A frame knows its own. */
  readonly length?: number;
}

const OPTIONS: OptionNames<FormatOptions> = { layer: true, length: true };
const NONE: FormatOptions = {};
const LAYERS: Readonly<Record<string, number>> = { ethernet: LINKTYPE.ETHERNET, ip: LINKTYPE.RAW };

/** A captured frame: a `Frame` of `./capture`. */
export interface FormatFrame {
  /** The captured bytes. */
  readonly data: Uint8Array;
  /** Bytes on the wire. */
  readonly length: number;
  /** The interface, whose link type is the first header of the frame: a `LINKTYPE`. */
  readonly interface: { readonly linkType: number };
}

/**
 * Formats a packet as one line, as `tcpdump -nnSt` does, and adds the type of a DHCP message and the question
 * of a DNS response. Malformed or truncated parts show as `[|proto]`, lengths beyond the packet as
 * `truncated-ip` or `bad length`. Never throws for a packet, whatever its bytes.
 *
 * @param packet The bytes of a packet, or a captured frame.
 * @param options The first header and the length of bytes.
 * @returns The line.
 * @throws {TypeError} For an unknown option, or another layer.
 * @throws {RangeError} For a length that is less than the number of bytes.
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
export function format(packet: Uint8Array | FormatFrame, options: FormatOptions = NONE): string {
  if (options !== NONE) checkOptions(options, OPTIONS);
  const { layer = "ethernet" } = options;
  const type = wordValue(layer, LAYERS, "layer");
  if (!(packet instanceof Uint8Array)) {
    const { data, length, interface: { linkType } } = packet;
    return formatLink(spanOf(data, Math.max(length, data.length)), linkType);
  }
  const { length = packet.length } = options;
  integer(length, "length", packet.length, 0xffff_ffff, "bytes");
  return formatLink(spanOf(packet, length), type);
}

function spanOf(bytes: Uint8Array, length: number): Span {
  return { bytes, start: 0, end: bytes.length, wire: length, depth: 0 };
}

/** Bytes before the packet, and the offset of its EtherType, in the frames of `tcpdump -i any`. */
const COOKED: Readonly<Record<number, readonly [size: number, type: number]>> = {
  [LINKTYPE.LINUX_SLL]: [16, 14],
  [LINKTYPE.LINUX_SLL2]: [20, 0],
};

/** A frame whose first header is of a link type. */
function formatLink(span: Span, linkType: number): string {
  const { bytes, start, end, wire } = span;
  if (linkType === LINKTYPE.ETHERNET) return formatEthernet(span);
  if (linkType === LINKTYPE.RAW) return formatIp(span);
  if (linkType === LINKTYPE.IPV4) return formatIp(span, 4);
  if (linkType === LINKTYPE.IPV6) return formatIp(span, 6);
  const cooked = COOKED[linkType];
  if (!cooked) return `linktype ${linkType}, length ${wire - start}`;
  const [size, at] = cooked;
  if (start + size > end) return "[|sll]";
  const type = u16(bytes, start + at);
  return formatPayload({ ...span, start: start + size }, type) ??
    `ethertype 0x${hex(type, 4)}, length ${wire - start}`;
}

/** A frame, also one in a tunnel. */
function formatEthernet(span: Span): string {
  const { bytes, start, end, wire } = span;
  const frame = Ethernet.parse(bytes, start, end);
  if (!frame) return "[|ether]";
  const { etherType, payloadStart } = frame;
  const payload = formatPayload({ ...span, start: payloadStart }, etherType);
  if (payload !== undefined) return payload;
  const missing = etherType < 1536 ? payloadStart + etherType - wire : 0;
  const type = etherType < 1536 ? "802.3" : `ethertype 0x${hex(etherType, 4)}`;
  const truncated = missing > 0 ? `, truncated - ${missing} bytes missing!` : "";
  return `${frame.source} > ${frame.destination}, ${type}${truncated}, length ${wire - start}`;
}

/** The payload of a frame, or `undefined` for an EtherType that is not decoded. */
function formatPayload(span: Span, etherType: number): string | undefined {
  if (etherType === ETHERTYPE.ARP || etherType === ETHERTYPE.RARP) return formatArp(span);
  if (etherType === ETHERTYPE.IP) return formatIp(span, 4);
  return etherType === ETHERTYPE.IPV6 ? formatIp(span, 6) : undefined;
}

function formatArp({ bytes, start, end, wire }: Span): string {
  const message = Arp.parse(bytes, start, end);
  const length = `length ${wire - start}`;
  if (!message) {
    if (end - start < 8) return "[|arp]";
    const [hardware, protocol] = [u16(bytes, start), u16(bytes, start + 2)];
    const [macs, addresses] = [bytes[start + 4], bytes[start + 5]];
    const known = hardware === 1 && protocol === ETHERTYPE.IP && macs === 6 && addresses === 4;
    return known ? "[|arp]" : `ARP, hardware ${hardware} (len ${macs}), ` +
      `protocol 0x${hex(protocol, 4)} (len ${addresses}), ${length}`;
  }
  const { operation, senderIp, senderMac, targetIp, targetMac } = message;
  const unknown = targetMac === "00:00:00:00:00:00" || targetMac === "ff:ff:ff:ff:ff:ff";
  const target = unknown ? targetIp : `${targetIp} (${targetMac})`;
  switch (operation) {
    case ARPOP.REQUEST:
      return `ARP, Request who-has ${target} tell ${senderIp}, ${length}`;
    case ARPOP.REPLY:
      return `ARP, Reply ${senderIp} is-at ${senderMac}, ${length}`;
    case ARPOP.RREQUEST:
      return `ARP, Reverse Request who-is ${targetMac} tell ${senderMac}, ${length}`;
    case ARPOP.RREPLY:
      return `ARP, Reverse Reply ${targetMac} at ${targetIp}, ${length}`;
    case ARPOP.InREQUEST:
      return `ARP, Inverse Request who-is ${targetMac} tell ${senderMac}, ${length}`;
    case ARPOP.InREPLY:
      return `ARP, Inverse Reply ${senderMac} at ${senderIp}, ${length}`;
    default:
      return `ARP, operation ${operation}, ${length}`;
  }
}

/** An IP packet; of the version that the header before it names, if one does. */
function formatIp(span: Span, expected?: 4 | 6): string {
  const { bytes, start, end } = span;
  if (start >= end) return expected === 6 ? "[|ip6]" : "[|ip]";
  const version = bytes[start]! >> 4;
  if (expected === 6 && version !== 6) return `IP6 version error: ${version} != 6`;
  if (expected === 4 && version === 6) return "IP6, wrong link-layer encapsulation (invalid)";
  if (version === 4) return formatIpv4(span);
  if (version === 6) return formatIpv6(span);
  return expected === 4 ? `IP${version} (invalid)` : `unknown ip ${version}`;
}

function formatIpv4(span: Span): string {
  const { bytes, start, end, wire } = span;
  const packet = Ipv4.parse(bytes, start, end);
  if (!packet) return `IP ${malformedIpv4(span)}`;
  const { source, destination, fragmentOffset, protocol, totalLength, headerLength } = packet;
  const missing = totalLength === 0 ? 0 : start + totalLength - wire;
  const truncated = missing > 0 ? `truncated-ip - ${missing} bytes missing! ` : "";
  if (fragmentOffset > 0) return `IP ${truncated}${source} > ${destination}: ip-proto-${protocol}`;
  const total = totalLength === 0 ? wire - start : totalLength;
  return `IP ${truncated}${formatUpper(packet, span, total - headerLength)}`;
}

function malformedIpv4({ bytes, start, end }: Span): string {
  if (end - start < 20) return "[|ip]";
  const size = (bytes[start]! & 15) * 4;
  if (size < 20) return `bad-hlen ${size}`;
  const length = u16(bytes, start + 2);
  return length < size && length !== 0 ? `bad-len ${length}` : "[|ip]";
}

function formatIpv6(span: Span): string {
  const { bytes, start, end, wire } = span;
  const packet = Ipv6.parse(bytes, start, end);
  if (!packet) {
    if (end - start < 40) return "IP6 [|ip6]";
    const [source, destination] = [start + 8, start + 24].map((at) => formatAddress(bytes, at, 16));
    return `IP6 ${source} > ${destination}: [|ip6]`;
  }
  const { source, destination, payloadLength, payloadStart, nextHeader } = packet;
  const missing = start + 40 + payloadLength - wire;
  const truncated = missing > 0 ? `truncated-ip6 - ${missing} bytes missing! ` : "";
  const unknown = payloadLength === 0 && nextHeader !== IPPROTO.NONE;
  const last = unknown ? wire : start + 40 + payloadLength;
  const extensions = packet.extensions.map((header) => formatExtension(header, last)).join("");
  if (packet.fragmentOffset > 0) {
    return `IP6 ${truncated}${source} > ${destination}: ${extensions.trimEnd()}`;
  }
  const length = Math.max(0, last - payloadStart);
  return `IP6 ${truncated}${formatUpper(packet, span, length, extensions)}`;
}

/** The payload with the addresses, which may include ports. */
function formatUpper(packet: Ipv4 | Ipv6, { depth }: Span, length: number, before = ""): string {
  const { bytes, source, destination, payloadStart: start, payloadEnd: end, protocol } = packet;
  const { version, isFragment: fragment } = packet;
  const wire = start + length;
  const endless = version === 4 ? packet.totalLength === 0 : packet.payloadLength === 0;
  const jumbo = endless || length > 0xffff;
  return formatProtocol(
    { bytes, start, end, wire, length, source, destination, before, depth, fragment, jumbo },
    protocol,
    version,
  );
}

function formatProtocol(part: Part, protocol: number, version: number): string {
  const { bytes, start, end, length, source, destination, before, depth } = part;
  if (protocol === IPPROTO.TCP) return formatTcp(part);
  if (protocol === IPPROTO.UDP) return formatUdp(part, formatEthernet);
  const head = `${source} > ${destination}: ${before}`;
  if (protocol === IPPROTO.ICMP) {
    return head + (version === 4 ? formatIcmp(part) : "[ICMP requires IPv4] (invalid)");
  }
  if (protocol === IPPROTO.ICMPV6) {
    return head + (version === 6 ? formatIcmpv6(part) : "[ICMPv6 requires IPv6] (invalid)");
  }
  if ((protocol === IPPROTO.IPIP || protocol === IPPROTO.IPV6) && depth < DEEPEST) {
    return head + formatIp({ ...part, depth: depth + 1 }, protocol === IPPROTO.IPIP ? 4 : 6);
  }
  if (protocol === IPPROTO.AH && depth < DEEPEST) {
    const header = Ipv6Extension.parse(bytes, start, end, IPPROTO.AH);
    if (!header) return `${head}[|ah]`;
    const size = header.end - start;
    const inner = { ...part, start: header.end, length: length - size, depth: depth + 1 };
    const text = before + formatExtension(header, part.wire);
    return formatProtocol({ ...inner, before: text }, header.nextHeader, version);
  }
  if (protocol === IPPROTO.ESP && end - start >= 8) {
    const [spi, sequence] = [u32(bytes, start), u32(bytes, start + 4)];
    return `${head}ESP(spi=0x${hex(spi, 8)},seq=0x${sequence.toString(16)}), length ${length}`;
  }
  if (protocol === IPPROTO.NONE) return `${head}no next header`;
  return `${head}${protocol === IPPROTO.ESP ? "[|esp]" : `ip-proto-${protocol}`} ${length}`;
}

/** An extension header of a packet that ends at `last`. */
function formatExtension(extension: Ipv6Extension, last: number): string {
  const { bytes, start, end, type } = extension;
  if (type === IPPROTO.HOPOPTS) return "HBH ";
  if (type === IPPROTO.DSTOPTS) return "DSTOPT ";
  if (type === IPPROTO.FRAGMENT) return `frag (${extension.fragmentOffset}|${last - end}) `;
  if (type === IPPROTO.AH) {
    const icv = Array.from(bytes.subarray(start + 12, end), (byte) => hex(byte, 2)).join("");
    const sequence = u32(bytes, start + 8).toString(16);
    return `AH(spi=0x${hex(extension.spi!, 8)},seq=0x${sequence},icv=0x${icv}): `;
  }
  const { routingType, segmentsLeft } = extension;
  return `RT6 (len=${(end - start) / 8 - 1}, type=${routingType}, segleft=${segmentsLeft}) `;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
