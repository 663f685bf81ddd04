/**
 * Options of neighbor discovery (RFC 4861 section 4.6, RFC 8106).
 *
 * @module
 */
import { formatIp, formatMac, parseIpv6, parseMac } from "./address.ts";
import { setU32, u32 } from "./bytes.ts";

/** Numbers of the options. */
const TYPES = { "source-lladdr": 1, "target-lladdr": 2, prefix: 3, mtu: 5, rdnss: 25 } as const;

/** An option. Those that are not known here, or not as long as they should be, are of type `unknown`. */
export type NeighborDiscoveryOption =
  | { readonly type: "source-lladdr"; readonly lladdr: string }
  | { readonly type: "target-lladdr"; readonly lladdr: string }
  | {
    readonly type: "prefix";
    /** The prefix without its length. */
    readonly prefix: string;
    /** Bits of the prefix. */
    readonly length: number;
    /** Whether it is on the link. */
    readonly onLink: boolean;
    /** Whether addresses may be made of it. */
    readonly autonomous: boolean;
    /** Seconds; 0xffffffff for ever. */
    readonly validLifetime: number;
    /** Seconds; 0xffffffff for ever. */
    readonly preferredLifetime: number;
  }
  | { readonly type: "mtu"; readonly mtu: number }
  | { readonly type: "rdnss"; readonly lifetime: number; readonly servers: readonly string[] }
  | {
    readonly type: "unknown";
    /** The option's number. */
    readonly number: number;
    /** Its value, a view on the packet's memory. */
    readonly value: Uint8Array;
  };

/** Whether every option has a length, and ends before `end`. */
export function optionsFit(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end;) {
    if (at + 8 > end || bytes[at + 1] === 0) return false;
    at += bytes[at + 1]! * 8;
    if (at > end) return false;
  }
  return true;
}

/** Reads options up to the first malformed one. */
export function neighborDiscoveryOptions(
  bytes: Uint8Array,
  start: number,
  end: number,
): NeighborDiscoveryOption[] {
  const options: NeighborDiscoveryOption[] = [];
  for (let at = start; at + 8 <= end && bytes[at + 1] !== 0;) {
    const next = at + bytes[at + 1]! * 8;
    if (next > end) break;
    options.push(readOption(bytes, at, next));
    at = next;
  }
  return options;
}

function readOption(bytes: Uint8Array, at: number, end: number): NeighborDiscoveryOption {
  const number = bytes[at]!;
  const size = end - at;
  if (number === TYPES["source-lladdr"] && size === 8) {
    return { type: "source-lladdr", lladdr: formatMac(bytes, at + 2, 6) };
  }
  if (number === TYPES["target-lladdr"] && size === 8) {
    return { type: "target-lladdr", lladdr: formatMac(bytes, at + 2, 6) };
  }
  if (number === TYPES.prefix && size === 32) {
    return {
      type: "prefix",
      prefix: formatIp(bytes, at + 16, 16),
      length: bytes[at + 2]!,
      onLink: (bytes[at + 3]! & 0x80) !== 0,
      autonomous: (bytes[at + 3]! & 0x40) !== 0,
      validLifetime: u32(bytes, at + 4),
      preferredLifetime: u32(bytes, at + 8),
    };
  }
  if (number === TYPES.mtu && size === 8) return { type: "mtu", mtu: u32(bytes, at + 4) };
  if (number === TYPES.rdnss && size >= 24 && size % 16 === 8) {
    const servers: string[] = [];
    for (let i = at + 8; i < end; i += 16) servers.push(formatIp(bytes, i, 16));
    return { type: "rdnss", lifetime: u32(bytes, at + 4), servers };
  }
  return { type: "unknown", number, value: bytes.subarray(at + 2, end) };
}

/** Writes options one after the other. */
export function writeOptions(options: readonly NeighborDiscoveryOption[]): Uint8Array {
  const parts = options.map(writeOption);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function writeOption(option: NeighborDiscoveryOption): Uint8Array {
  const size = sizeOf(option);
  const bytes = new Uint8Array(size);
  bytes[0] = option.type === "unknown" ? option.number : TYPES[option.type];
  bytes[1] = size / 8;
  switch (option.type) {
    case "source-lladdr":
    case "target-lladdr":
      bytes.set(parseMac(option.lladdr), 2);
      break;
    case "prefix":
      bytes[2] = option.length;
      bytes[3] = (option.onLink ? 0x80 : 0) | (option.autonomous ? 0x40 : 0);
      setU32(bytes, 4, option.validLifetime);
      setU32(bytes, 8, option.preferredLifetime);
      bytes.set(parseIpv6(option.prefix), 16);
      break;
    case "mtu":
      setU32(bytes, 4, option.mtu);
      break;
    case "rdnss":
      setU32(bytes, 4, option.lifetime);
      option.servers.forEach((server, i) => bytes.set(parseIpv6(server), 8 + 16 * i));
      break;
    case "unknown":
      bytes.set(option.value, 2);
  }
  return bytes;
}

function sizeOf(option: NeighborDiscoveryOption): number {
  if (option.type === "prefix") return 32;
  if (option.type === "rdnss") return 8 + 16 * option.servers.length;
  return option.type === "unknown" ? Math.ceil((option.value.length + 2) / 8) * 8 : 8;
}
