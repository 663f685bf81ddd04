/**
 * ICMP and ICMPv6 echo messages (RFC 792, RFC 4443).
 *
 * @module
 */
import { checksum } from "./checksum.ts";

/** Message types. */
export const ICMP = { ECHO_REPLY: 0, ECHO: 8 } as const;
/** Message types of ICMPv6. */
export const ICMPV6 = { ECHO: 128, ECHO_REPLY: 129 } as const;

/** Bytes before the payload of an echo message. */
export const ECHO_HEADER = 8;

/** An echo message. */
export interface Echo {
  /** `ICMP.ECHO`, `ICMPV6.ECHO_REPLY`, ... */
  readonly type: number;
  /** Tells one sender's requests from another's. */
  readonly identifier: number;
  /** Number of the request, from 1 to 65535 and round again. */
  readonly sequence: number;
}

/**
 * Writes an echo message's header over the first eight bytes of `packet`; its payload follows them.
 * ICMPv6's checksum covers addresses that only the kernel knows: it is left zero.
 */
export function writeEcho(packet: Uint8Array, echo: Echo): void {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  view.setUint8(0, echo.type);
  view.setUint8(1, 0);
  view.setUint16(2, 0);
  view.setUint16(4, echo.identifier);
  view.setUint16(6, echo.sequence & 0xffff);
  if (echo.type === ICMP.ECHO || echo.type === ICMP.ECHO_REPLY) {
    view.setUint16(2, checksum(packet));
  }
}

/** Reads an echo message's header between two offsets, or `undefined` when there is none. */
export function readEcho(bytes: Uint8Array, start: number, end: number): Echo | undefined {
  if (end - start < ECHO_HEADER || bytes[start + 1] !== 0) return undefined;
  return {
    type: bytes[start]!,
    identifier: bytes[start + 4]! << 8 | bytes[start + 5]!,
    sequence: bytes[start + 6]! << 8 | bytes[start + 7]!,
  };
}
