/**
 * ICMPv6 (RFC 4443).
 *
 * @module
 */
import type { Layer } from "./build.ts";
import { setU16 } from "./bytes.ts";
import { checksumAdd } from "./checksum.ts";
import { ECHO_HEADER, type IcmpFields, IcmpMessage, writeIcmp } from "./icmp_message.ts";
import { IPPROTO } from "./ip.ts";

/** Message types: `ICMPV6_*` of `linux/icmpv6.h`, and those of RFC 4861. */
export const ICMPV6 = {
  DEST_UNREACH: 1,
  PKT_TOOBIG: 2,
  TIME_EXCEED: 3,
  PARAMPROB: 4,
  ECHO: 128,
  ECHO_REPLY: 129,
  MLD2_REPORT: 143,
} as const;

/** An ICMPv6 message. Its checksum covers all up to `end`, and the pseudo header of its packet. */
export class Icmpv6 extends IcmpMessage {
  /** Makes a view of a message, or returns `undefined` when there are fewer than 8 bytes. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Icmpv6 | undefined {
    const view = new Icmpv6();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /**
   * Whether the checksum is right.
   *
   * @param pseudoHeader What `Ipv6.pseudoHeaderSum()` returns.
   */
  checksumValid(pseudoHeader: number): boolean {
    return checksumAdd(this.bytes, this.start, this.end, pseudoHeader) === 0xffff;
  }

  /**
   * Computes the checksum anew.
   *
   * @param pseudoHeader What `Ipv6.pseudoHeaderSum()` returns.
   */
  updateChecksum(pseudoHeader: number): void {
    this.checksum = 0;
    this.checksum = ~checksumAdd(this.bytes, this.start, this.end, pseudoHeader);
  }
}

/** An ICMPv6 message for `buildPacket()`. */
export function icmpv6(fields: IcmpFields): Layer {
  return {
    size: ECHO_HEADER,
    protocol: IPPROTO.ICMPV6,
    write: (bytes, { start }) => writeIcmp(bytes, start, fields),
    complete: completeIcmpv6,
  };
}

/** Writes the checksum of a message that is complete otherwise. */
export function completeIcmpv6(
  bytes: Uint8Array,
  { start, end }: { readonly start: number; readonly end: number },
  pseudoHeader = 0,
): void {
  setU16(bytes, start + 2, ~checksumAdd(bytes, start, end, pseudoHeader));
}
