/**
 * `struct sockaddr_in`, `sockaddr_in6` and `sockaddr_ll`.
 *
 * @module
 */
import { C } from "./constants.ts";

/** Room for any of them. */
export const ADDRESS_SIZE = 28;

/** An IP address with a port, or 0, and for link-local IPv6 ones the index of the link. */
export function ipSocketAddress(
  ip: Uint8Array,
  port = 0,
  zone = 0,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ip.length === 4 ? 16 : ADDRESS_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, ip.length === 4 ? C.AF_INET : C.AF_INET6, true);
  view.setUint16(2, port);
  bytes.set(ip, ip.length === 4 ? 4 : 8);
  if (ip.length === 16) view.setUint32(24, zone, true);
  return bytes;
}

/** The parts of such an address, as the kernel filled it in. */
export function readIpSocketAddress(
  bytes: Uint8Array<ArrayBuffer>,
): { ip: Uint8Array; port: number; zone: number } {
  const view = new DataView(bytes.buffer);
  const v4 = view.getUint16(0, true) === C.AF_INET;
  return {
    ip: v4 ? bytes.slice(4, 8) : bytes.slice(8, 24),
    port: view.getUint16(2),
    zone: v4 ? 0 : view.getUint32(24, true),
  };
}

/** A link, and the EtherType of what is wanted from it. */
export function linkSocketAddress(index: number, protocol: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, C.AF_PACKET, true);
  view.setUint16(2, protocol);
  view.setInt32(4, index, true);
  return bytes;
}

/** The index of the link in such an address; -1 when the kernel has taken the socket from a link that is gone. */
export function linkOfSocketAddress(bytes: Uint8Array<ArrayBuffer>): number {
  return new DataView(bytes.buffer).getInt32(4, true);
}
