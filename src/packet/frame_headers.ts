/**
 * The headers of an Ethernet frame, found when they are asked for.
 *
 * @module
 */
import { ETHERTYPE, IPPROTO } from "./address.ts";
import type { View } from "./bytes.ts";
import { Dns, DNS_PORT } from "./dns.ts";
import { Arp, Ethernet } from "./ethernet.ts";
import { Icmp, Icmpv6 } from "./icmp.ts";
import { Ipv4 } from "./ipv4.ts";
import { Ipv6 } from "./ipv6.ts";
import { Tcp } from "./tcp.ts";
import { Udp } from "./udp.ts";

type Found = {
  ethernet?: Ethernet | undefined;
  arp?: Arp | undefined;
  ip?: Ipv4 | Ipv6 | undefined;
  icmp?: Icmp | undefined;
  icmpv6?: Icmpv6 | undefined;
  tcp?: Tcp | undefined;
  udp?: Udp | undefined;
  dns?: Dns | undefined;
};

/**
 * The headers of an Ethernet frame as views, behind any VLAN tags. A header that the frame does not have, or
 * that is malformed, is `undefined`; so is a transport header of a fragment. Changes of a view change the frame.
 *
 * @example Change a frame, and mend its checksums
 * ```ts
 * import { buildPacket, ethernet, FrameHeaders, ipv4, udp } from "@netloom/netloom/packet";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const frame = buildPacket(
 *   ethernet({ source: "02:00:00:00:00:01", destination: "02:00:00:00:00:02" }),
 *   ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
 *   udp({ sourcePort: 1000, destinationPort: 2000 }),
 *   new Uint8Array(100),
 * );
 * const headers = new FrameHeaders(frame);
 * assertEquals([headers.ipv4?.source, headers.udp?.destinationPort], ["10.0.0.1", 2000]);
 * assertEquals(headers.tcp, undefined);
 * headers.ipv4!.destination = "10.0.0.9";
 * assert(headers.updateChecksums());
 * assert(headers.udp!.checksumValid(headers.ipv4!));
 * ```
 */
export class FrameHeaders {
  /** The frame. */
  readonly bytes: Uint8Array;
  readonly #found: Found = {};

  /**
   * Takes a frame. Nothing is copied.
   *
   * @param bytes The frame, from its Ethernet header on.
   */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The Ethernet header. */
  get ethernet(): Ethernet | undefined {
    return this.#once("ethernet", () => Ethernet.parse(this.bytes));
  }

  /** The ARP message. */
  get arp(): Arp | undefined {
    return this.#once("arp", () => {
      const start = this.#payload(ETHERTYPE.ARP);
      return start === undefined ? undefined : Arp.parse(this.bytes, start);
    });
  }

  /** The IPv4 or IPv6 header. */
  get ip(): Ipv4 | Ipv6 | undefined {
    return this.#once("ip", () => {
      const [v4, v6] = [this.#payload(ETHERTYPE.IP), this.#payload(ETHERTYPE.IPV6)];
      if (v4 !== undefined) return Ipv4.parse(this.bytes, v4);
      return v6 === undefined ? undefined : Ipv6.parse(this.bytes, v6);
    });
  }

  /** The IPv4 header. */
  get ipv4(): Ipv4 | undefined {
    const { ip } = this;
    return ip instanceof Ipv4 ? ip : undefined;
  }

  /** The IPv6 header. */
  get ipv6(): Ipv6 | undefined {
    const { ip } = this;
    return ip instanceof Ipv6 ? ip : undefined;
  }

  /** The ICMP message over IPv4. */
  get icmp(): Icmp | undefined {
    return this.#once("icmp", () => this.#upper(IPPROTO.ICMP, Icmp, this.ipv4));
  }

  /** The ICMPv6 message over IPv6. */
  get icmpv6(): Icmpv6 | undefined {
    return this.#once("icmpv6", () => this.#upper(IPPROTO.ICMPV6, Icmpv6, this.ipv6));
  }

  /** The TCP header. */
  get tcp(): Tcp | undefined {
    return this.#once("tcp", () => this.#upper(IPPROTO.TCP, Tcp, this.ip));
  }

  /** The UDP header. */
  get udp(): Udp | undefined {
    return this.#once("udp", () => this.#upper(IPPROTO.UDP, Udp, this.ip));
  }

  /** The DNS message in a datagram from or to port 53. */
  get dns(): Dns | undefined {
    return this.#once("dns", () => {
      const { udp } = this;
      if (udp?.sourcePort !== DNS_PORT && udp?.destinationPort !== DNS_PORT) return undefined;
      return Dns.parse(udp.bytes, udp.payloadStart, udp.payloadEnd);
    });
  }

  /** The payload of TCP, UDP or ICMP, otherwise that of IP or of the frame; a view, empty when malformed. */
  get payload(): Uint8Array {
    const { bytes, tcp, udp, icmp, icmpv6, ip, ethernet } = this;
    const view = tcp ?? icmp ?? icmpv6;
    if (view) return bytes.subarray(view.payloadStart, view.end);
    if (udp) return bytes.subarray(udp.payloadStart, udp.payloadEnd);
    if (ip) return bytes.subarray(ip.payloadStart, ip.payloadEnd);
    return bytes.subarray(ethernet?.payloadStart ?? bytes.length);
  }

  /**
   * Computes the checksums of IPv4, TCP, UDP, ICMP and ICMPv6 anew. A datagram over IPv4 without a checksum keeps
   * none; a fragment gets that of its IP header alone.
   *
   * @returns Whether the frame has an IP header, so whether there was anything to compute.
   */
  updateChecksums(): boolean {
    const { ip, tcp, udp, icmp, icmpv6 } = this;
    if (!ip) return false;
    if (ip instanceof Ipv4) ip.updateChecksum();
    icmp?.updateChecksum();
    (tcp ?? icmpv6)?.updateChecksum(ip);
    if (udp && (udp.checksum !== 0 || ip.version === 6)) udp.updateChecksum(ip);
    return true;
  }

  /** Offset of a payload of this type; `undefined` for one of another type. */
  #payload(etherType: number): number | undefined {
    const { ethernet } = this;
    return ethernet?.etherType === etherType ? ethernet.payloadStart : undefined;
  }

  #upper<T extends View>(
    protocol: number,
    kind: { parse(bytes: Uint8Array, start: number, end: number): T | undefined },
    ip: Ipv4 | Ipv6 | undefined,
  ): T | undefined {
    if (!ip || ip.protocol !== protocol || ip.isFragment) return undefined;
    return kind.parse(this.bytes, ip.payloadStart, ip.payloadEnd);
  }

  #once<K extends keyof Found>(name: K, find: () => Found[K]): Found[K] {
    if (!(name in this.#found)) this.#found[name] = find();
    return this.#found[name];
  }
}
