/**
 * Packets: views of headers, builders, checksums, lines as tcpdump has them.
 * The code is pure: it opens nothing and runs wherever JavaScript does.
 *
 * Each protocol has a class, a view of its header, and a function of the same name in lower case, which
 * creates a layer for {@link buildPacket}. A view copies nothing: getters read the memory and setters write
 * it. `parse()` returns `undefined` for malformed bytes, `point()` returns `false`; neither throws, whatever
 * the bytes, and no view reads outside its bytes. Setters and builders throw a `RangeError` for a number that
 * its field cannot hold.
 *
 * @example Answer pings, packet by packet, without allocating
 * ```ts
 * import { buildPacket, format, ICMP, Icmp, icmp, IPPROTO, Ipv4, ipv4 } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const packet = new Ipv4();
 * const message = new Icmp();
 *
 * function answer(bytes: Uint8Array): boolean {
 *   if (!packet.point(bytes, 0, bytes.length)) return false;
 *   if (packet.protocol !== IPPROTO.ICMP || packet.isFragment) return false;
 *   if (!message.point(bytes, packet.payloadStart, packet.payloadEnd)) return false;
 *   if (message.type !== ICMP.ECHO) return false;
 *   packet.swapAddresses();
 *   message.type = ICMP.ECHO_REPLY;
 *   message.updateChecksum();
 *   return true;
 * }
 *
 * const bytes = buildPacket(
 *   ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
 *   icmp({ type: ICMP.ECHO, identifier: 1, sequence: 1 }),
 *   new TextEncoder().encode("ping"),
 * );
 * answer(bytes);
 * assertEquals(
 *   format(bytes, { layer: "ip" }),
 *   "IP 10.0.0.2 > 10.0.0.1: ICMP echo reply, id 1, seq 1, length 12",
 * );
 * ```
 *
 * @module
 */
export * from "./address.ts";
export {
  Arp,
  arp,
  type ArpFields,
  ARPOP,
  Ethernet,
  ethernet,
  type EthernetFields,
} from "./ethernet.ts";
export { buildPacket, type Layer, type Place } from "./build.ts";
export {
  checksum,
  checksumAdd,
  checksumFold,
  checksumUpdate,
  checksumUpdate32,
  pseudoHeaderSum,
  View,
} from "./bytes.ts";
export { Coalescer, type CoalescerOptions } from "./coalescer.ts";
export {
  Dns,
  DNS_PORT,
  DNS_TYPE,
  type DnsData,
  type DnsQuestion,
  type DnsRecord,
  type DnsSections,
} from "./dns.ts";
export { dns, type DnsFields } from "./dns_build.ts";
export { DHCP, Dhcp, dhcp, DHCP_OPTION, type DhcpFields } from "./dhcp.ts";
export { FrameHeaders } from "./frame_headers.ts";
export { format, type FormatFrame, type FormatOptions } from "./format.ts";
export {
  ECHO_HEADER,
  ICMP,
  Icmp,
  icmp,
  type IcmpFields,
  IcmpMessage,
  ICMPV6,
  Icmpv6,
  icmpv6,
} from "./icmp.ts";
export { type Carrier, type Option, TransportHeader } from "./ip.ts";
export { Ipv4, ipv4, type Ipv4Fields } from "./ipv4.ts";
export {
  Ipv6,
  ipv6,
  Ipv6Extension,
  ipv6Extension,
  type Ipv6ExtensionFields,
  type Ipv6Fields,
} from "./ipv6.ts";
export {
  ND,
  NeighborDiscovery,
  neighborDiscovery,
  type NeighborDiscoveryFields,
  type NeighborDiscoveryOption,
} from "./neighbor_discovery.ts";
export {
  completeChecksum,
  type PacketSlots,
  segment,
  type SegmentOptions,
  VIRTIO_NET_HDR_F,
  VIRTIO_NET_HDR_GSO,
  VIRTIO_NET_HEADER,
  VirtioNetHeader,
} from "./segment.ts";
export { Tcp, tcp, TCP_FLAG, type TcpFields, type TcpOption } from "./tcp.ts";
export { Udp, udp, type UdpFields, Vxlan, vxlan, VXLAN_PORT, type VxlanFields } from "./udp.ts";
