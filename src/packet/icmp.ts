/**
 * ICMP (RFC 792).
 *
 * @module
 */
import type { Layer } from "./build.ts";
import { setU16 } from "./bytes.ts";
import { checksum, checksumAdd } from "./checksum.ts";
import { ECHO_HEADER, type IcmpFields, IcmpMessage, writeIcmp } from "./icmp_message.ts";
import { IPPROTO } from "./ip.ts";

/** Message types: `ICMP_*` of `linux/icmp.h`. */
export const ICMP = {
  ECHO_REPLY: 0,
  DEST_UNREACH: 3,
  SOURCE_QUENCH: 4,
  REDIRECT: 5,
  ECHO: 8,
  TIME_EXCEEDED: 11,
  PARAMETERPROB: 12,
  TIMESTAMP: 13,
  TIMESTAMPREPLY: 14,
} as const;

/**
 * An ICMP message. Its checksum covers all up to `end`.
 *
 * @example Answer an echo request in place
 * ```ts
 * import { buildPacket, format, ICMP, Icmp, icmp, Ipv4, ipv4 } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = buildPacket(
 *   ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
 *   icmp({ type: ICMP.ECHO, identifier: 7, sequence: 1 }),
 *   new Uint8Array(56),
 * );
 * const packet = Ipv4.parse(bytes)!;
 * const message = Icmp.parse(bytes, packet.payloadStart, packet.payloadEnd)!;
 * message.type = ICMP.ECHO_REPLY;
 * message.updateChecksum();
 * packet.swapAddresses();
 * assertEquals(
 *   format(bytes, { layer: "ip" }),
 *   "IP 10.0.0.2 > 10.0.0.1: ICMP echo reply, id 7, seq 1, length 64",
 * );
 * ```
 */
export class Icmp extends IcmpMessage {
  /** Makes a view of a message, or returns `undefined` when there are fewer than 8 bytes. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Icmp | undefined {
    const view = new Icmp();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Whether the checksum is right. */
  get checksumValid(): boolean {
    return checksumAdd(this.bytes, this.start, this.end) === 0xffff;
  }

  /** Computes the checksum anew. */
  updateChecksum(): void {
    this.checksum = 0;
    this.checksum = checksum(this.bytes, this.start, this.end);
  }
}

/** An ICMP message for `buildPacket()`. */
export function icmp(fields: IcmpFields): Layer {
  return {
    size: ECHO_HEADER,
    protocol: IPPROTO.ICMP,
    write: (bytes, { start }) => writeIcmp(bytes, start, fields),
    complete: (bytes, { start, end }) => setU16(bytes, start + 2, checksum(bytes, start, end)),
  };
}
