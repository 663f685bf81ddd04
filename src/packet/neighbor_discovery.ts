/**
 * Neighbor discovery of IPv6 (RFC 4861): solicitations and advertisements of routers and neighbors.
 *
 * @module
 */
import { formatIp, parseIpv6 } from "./address.ts";
import type { Layer } from "./build.ts";
import { setU16, setU32, u16, u32 } from "./bytes.ts";
import { completeIcmpv6 } from "./icmpv6.ts";
import { IcmpMessage } from "./icmp_message.ts";
import { IPPROTO } from "./ip.ts";
import {
  type NeighborDiscoveryOption,
  neighborDiscoveryOptions,
  optionsFit,
  writeOptions,
} from "./neighbor_discovery_options.ts";
import { holds } from "./view.ts";

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
