/**
 * Neighbor discovery of IPv6 (RFC 4861): solicitations and advertisements of routers and neighbors.
 *
 * @module
 */
import { formatIp, formatMac, parseIpv6, parseMac } from "./address.ts";
import type { Layer } from "./build.ts";
import { holds, setU16, setU32, u16, u32 } from "./bytes.ts";
import { completeIcmpv6, IcmpMessage } from "./icmp.ts";
import { IPPROTO } from "./ip.ts";

/** Message types (RFC 4861 section 4). */
export const ND = {
  ROUTER_SOLICIT: 133,
  ROUTER_ADVERT: 134,
  NEIGHBOR_SOLICIT: 135,
  NEIGHBOR_ADVERT: 136,
  REDIRECT: 137,
} as const;

/** Bytes before the options, from router solicitation on. */
const SIZES = [8, 16, 24, 24, 40] as const;

/**
 * A message of neighbor discovery, a kind of ICMPv6 message. What its type does not have is `undefined`.
 *
 * @example Who is asked for, and by whom
 * ```ts
 * import { buildPacket, ND, NeighborDiscovery, neighborDiscovery } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const message = NeighborDiscovery.parse(buildPacket(neighborDiscovery({
 *   type: ND.NEIGHBOR_SOLICIT,
 *   target: "fe80::2",
 *   options: [{ type: "source-lladdr", lladdr: "02:00:00:00:00:01" }],
 * })))!;
 * assertEquals(message.target, "fe80::2");
 * assertEquals(message.options, [{ type: "source-lladdr", lladdr: "02:00:00:00:00:01" }]);
 * ```
 */
export class NeighborDiscovery extends IcmpMessage {
  /** Makes a view of a message, or returns `undefined` when it or one of its options is malformed. */
  static parse(
    bytes: Uint8Array,
    start = 0,
    end: number = bytes.length,
  ): NeighborDiscovery | undefined {
    const view = new NeighborDiscovery();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  override point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, 8)) return false;
    const size = SIZES[bytes[start]! - ND.ROUTER_SOLICIT];
    if (size === undefined || end - start < size) return false;
    return optionsFit(bytes, start + size, end) && super.point(bytes, start, end);
  }

  /** The neighbor asked for or advertised, or a redirect's next hop. */
  get target(): string | undefined {
    return this.type < ND.NEIGHBOR_SOLICIT ? undefined : formatIp(this.bytes, this.start + 8, 16);
  }
  set target(address: string) {
    if (this.type >= ND.NEIGHBOR_SOLICIT) this.bytes.set(parseIpv6(address), this.start + 8);
  }

  /** What a redirect is about. */
  get destination(): string | undefined {
    return this.type === ND.REDIRECT ? formatIp(this.bytes, this.start + 24, 16) : undefined;
  }

  /** Whether the advertised neighbor is a router. */
  get router(): boolean | undefined {
    return this.#flag(ND.NEIGHBOR_ADVERT, 4, 0x80);
  }

  /** Whether a neighbor's advertisement is an answer. */
  get solicited(): boolean | undefined {
    return this.#flag(ND.NEIGHBOR_ADVERT, 4, 0x40);
  }

  /** Whether a neighbor's advertisement is to replace what is known. */
  get override(): boolean | undefined {
    return this.#flag(ND.NEIGHBOR_ADVERT, 4, 0x20);
  }

  /** Hop limit that a router advertises; 0 when it says none. */
  get hopLimit(): number | undefined {
    return this.type === ND.ROUTER_ADVERT ? this.bytes[this.start + 4] : undefined;
  }

  /** Whether addresses are to be had by DHCPv6. */
  get managed(): boolean | undefined {
    return this.#flag(ND.ROUTER_ADVERT, 5, 0x80);
  }

  /** Whether other configuration is to be had by DHCPv6. */
  get other(): boolean | undefined {
    return this.#flag(ND.ROUTER_ADVERT, 5, 0x40);
  }

  /** Seconds for which the router is a default one; 0 when it is none. */
  get routerLifetime(): number | undefined {
    return this.type === ND.ROUTER_ADVERT ? u16(this.bytes, this.start + 6) : undefined;
  }

  /** Milliseconds for which a neighbor counts as reachable; 0 when the router says none. */
  get reachableTime(): number | undefined {
    return this.type === ND.ROUTER_ADVERT ? u32(this.bytes, this.start + 8) : undefined;
  }

  /** Milliseconds between solicitations; 0 when the router says none. */
  get retransTimer(): number | undefined {
    return this.type === ND.ROUTER_ADVERT ? u32(this.bytes, this.start + 12) : undefined;
  }

  /** The options. */
  get options(): NeighborDiscoveryOption[] {
    const size = SIZES[this.type - ND.ROUTER_SOLICIT] ?? 8;
    return neighborDiscoveryOptions(this.bytes, this.start + size, this.end);
  }

  #flag(type: number, at: number, mask: number): boolean | undefined {
    return this.type === type ? (this.bytes[this.start + at]! & mask) !== 0 : undefined;
  }
}

/** Fields of a message to be built, by its type. */
export type NeighborDiscoveryFields =
  & {
    /** Options; default none. */
    readonly options?: readonly NeighborDiscoveryOption[];
  }
  & (
    | { readonly type: typeof ND.ROUTER_SOLICIT }
    | {
      readonly type: typeof ND.ROUTER_ADVERT;
      readonly hopLimit?: number;
      readonly managed?: boolean;
      readonly other?: boolean;
      readonly routerLifetime?: number;
      readonly reachableTime?: number;
      readonly retransTimer?: number;
    }
    | { readonly type: typeof ND.NEIGHBOR_SOLICIT; readonly target: string }
    | {
      readonly type: typeof ND.NEIGHBOR_ADVERT;
      readonly target: string;
      readonly router?: boolean;
      readonly solicited?: boolean;
      readonly override?: boolean;
    }
    | { readonly type: typeof ND.REDIRECT; readonly target: string; readonly destination: string }
  );

/**
 * A message of neighbor discovery for `buildPacket()`. Receivers take it only with hop limit 255.
 *
 * @throws {TypeError} When an address is malformed.
 */
export function neighborDiscovery(fields: NeighborDiscoveryFields): Layer {
  const header = SIZES[fields.type - ND.ROUTER_SOLICIT]!;
  const message = new Uint8Array(header);
  message[0] = fields.type;
  if ("target" in fields) message.set(parseIpv6(fields.target), 8);
  if (fields.type === ND.ROUTER_ADVERT) {
    message[4] = fields.hopLimit ?? 0;
    message[5] = (fields.managed ? 0x80 : 0) | (fields.other ? 0x40 : 0);
    setU16(message, 6, fields.routerLifetime ?? 0);
    setU32(message, 8, fields.reachableTime ?? 0);
    setU32(message, 12, fields.retransTimer ?? 0);
  } else if (fields.type === ND.NEIGHBOR_ADVERT) {
    const { router, solicited, override } = fields;
    message[4] = (router ? 0x80 : 0) | (solicited ? 0x40 : 0) | (override ? 0x20 : 0);
  } else if (fields.type === ND.REDIRECT) message.set(parseIpv6(fields.destination), 24);
  const options = writeOptions(fields.options ?? []);
  return {
    size: header + options.length,
    protocol: IPPROTO.ICMPV6,
    write(bytes, { start }) {
      bytes.set(message, start);
      bytes.set(options, start + header);
    },
    complete: completeIcmpv6,
  };
}

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
