/**
 * Neighbor discovery of IPv6 (RFC 4861, RFC 8106): solicitations and advertisements of routers and neighbors.
 *
 * @module
 */
import { formatIp, formatMac, IPPROTO, parseIpv6, parseMac } from "./address.ts";
import { integer, wordValue } from "../options.ts";
import { checkFields, type FieldKinds, type Layer } from "./build.ts";
import { concat, holds, setU16, setU32, u16, u32 } from "./bytes.ts";
import { completeIcmpv6, IcmpMessage } from "./icmp.ts";

/** Message types (RFC 4861 section 4). */
export const ND = {
  ROUTER_SOLICIT: 133,
  ROUTER_ADVERT: 134,
  NEIGHBOR_SOLICIT: 135,
  NEIGHBOR_ADVERT: 136,
  REDIRECT: 137,
} as const;

/** Bytes before the options of each type, from router solicitation on. */
const SIZES = [8, 16, 24, 24, 40] as const;

/**
 * A message of neighbor discovery, which is an ICMPv6 message. Properties that its type does not have are
 * `undefined`.
 *
 * @example Read a solicitation
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
  /** Creates a view of a message, or returns `undefined` when it ends before its options. */
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
    return super.point(bytes, start, end);
  }

  /** The solicited or advertised neighbor, or the next hop of a redirect. */
  get target(): string | undefined {
    return this.type < ND.NEIGHBOR_SOLICIT ? undefined : formatIp(this.bytes, this.start + 8, 16);
  }
  set target(address: string) {
    if (this.type >= ND.NEIGHBOR_SOLICIT) this.bytes.set(parseIpv6(address), this.start + 8);
  }

  /** The destination that a redirect is about. */
  get destination(): string | undefined {
    return this.type === ND.REDIRECT ? formatIp(this.bytes, this.start + 24, 16) : undefined;
  }

  /** Whether the advertised neighbor is a router. */
  get router(): boolean | undefined {
    return this.#flag(ND.NEIGHBOR_ADVERT, 4, 0x80);
  }

  /** Whether a neighbor advertisement answers a solicitation. */
  get solicited(): boolean | undefined {
    return this.#flag(ND.NEIGHBOR_ADVERT, 4, 0x40);
  }

  /** Whether a neighbor advertisement overrides a cached address. */
  get override(): boolean | undefined {
    return this.#flag(ND.NEIGHBOR_ADVERT, 4, 0x20);
  }

  /** Hop limit that a router advertises; 0 for none. */
  get hopLimit(): number | undefined {
    return this.type === ND.ROUTER_ADVERT ? this.bytes[this.start + 4] : undefined;
  }

  /** Whether addresses come from DHCPv6. */
  get managed(): boolean | undefined {
    return this.#flag(ND.ROUTER_ADVERT, 5, 0x80);
  }

  /** Whether other configuration comes from DHCPv6. */
  get other(): boolean | undefined {
    return this.#flag(ND.ROUTER_ADVERT, 5, 0x40);
  }

  /** Lifetime of the default router in seconds; 0 when it is none. */
  get routerLifetime(): number | undefined {
    return this.type === ND.ROUTER_ADVERT ? u16(this.bytes, this.start + 6) : undefined;
  }

  /** Milliseconds for which a neighbor counts as reachable; 0 for unspecified. */
  get reachableTime(): number | undefined {
    return this.type === ND.ROUTER_ADVERT ? u32(this.bytes, this.start + 8) : undefined;
  }

  /** Milliseconds between solicitations; 0 for unspecified. */
  get retransTimer(): number | undefined {
    return this.type === ND.ROUTER_ADVERT ? u32(this.bytes, this.start + 12) : undefined;
  }

  /** The options, up to the first malformed one. See {@link NeighborDiscovery.optionsValid}. */
  get options(): NeighborDiscoveryOption[] {
    const size = SIZES[this.type - ND.ROUTER_SOLICIT] ?? 8;
    return neighborDiscoveryOptions(this.bytes, this.start + size, this.end);
  }

  /** Whether no option is malformed: without a length, or longer than the message. */
  get optionsValid(): boolean {
    const size = SIZES[this.type - ND.ROUTER_SOLICIT] ?? 8;
    return optionsFit(this.bytes, this.start + size, this.end);
  }

  #flag(type: number, at: number, mask: number): boolean | undefined {
    return this.type === type ? (this.bytes[this.start + at]! & mask) !== 0 : undefined;
  }
}

/** Fields of a message of neighbor discovery, by its type. */
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

/** The fields of the message of type `T`. */
type FieldsOf<T extends number> = Extract<NeighborDiscoveryFields, { readonly type: T }>;

const FIELDS: { readonly [T in NeighborDiscoveryFields["type"]]: FieldKinds<FieldsOf<T>> } = {
  [ND.ROUTER_SOLICIT]: { type: "u8", options: true },
  [ND.ROUTER_ADVERT]: {
    type: "u8",
    hopLimit: "u8?",
    managed: "boolean?",
    other: "boolean?",
    routerLifetime: "u16?",
    reachableTime: "u32?",
    retransTimer: "u32?",
    options: true,
  },
  [ND.NEIGHBOR_SOLICIT]: { type: "u8", target: true, options: true },
  [ND.NEIGHBOR_ADVERT]: {
    type: "u8",
    target: true,
    router: "boolean?",
    solicited: "boolean?",
    override: "boolean?",
    options: true,
  },
  [ND.REDIRECT]: { type: "u8", target: true, destination: true, options: true },
};

/**
 * Creates a message of neighbor discovery for `buildPacket()`. Nodes accept it only with hop limit 255.
 *
 * @param fields The fields of the message.
 * @throws {TypeError} For an unknown field or option, or a malformed address.
 * @throws {RangeError} For another type, or a number that its field cannot hold.
 */
export function neighborDiscovery(fields: NeighborDiscoveryFields): Layer {
  integer(fields.type, "type", ND.ROUTER_SOLICIT, ND.REDIRECT);
  checkFields<object>(fields, FIELDS[fields.type]);
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

/** Numbers of the options (RFC 4861 section 4.6, RFC 8106). */
const TYPES = { "source-lladdr": 1, "target-lladdr": 2, prefix: 3, mtu: 5, rdnss: 25 } as const;

/** An option. Other options, and options of an unexpected length, are of type `unknown`. */
export type NeighborDiscoveryOption =
  | { readonly type: "source-lladdr"; readonly lladdr: string }
  | { readonly type: "target-lladdr"; readonly lladdr: string }
  | {
    readonly type: "prefix";
    /** The address of the prefix. */
    readonly prefix: string;
    /** Length of the prefix, 0..128. */
    readonly length: number;
    /** Whether addresses of the prefix are on the link. */
    readonly onLink: boolean;
    /** Whether hosts may configure addresses of the prefix. */
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
    /** Its value, a view of the packet's memory. */
    readonly value: Uint8Array;
  };

/** Whether every option has a length and ends before `end`. */
function optionsFit(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end;) {
    if (at + 8 > end || bytes[at + 1] === 0) return false;
    at += bytes[at + 1]! * 8;
    if (at > end) return false;
  }
  return true;
}

/** Reads options up to the first malformed one. */
function neighborDiscoveryOptions(
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

/** An option of type `T`. */
type OptionOf<T extends string> = Extract<NeighborDiscoveryOption, { readonly type: T }>;

const OPTION_FIELDS: {
  readonly [T in NeighborDiscoveryOption["type"]]: Omit<FieldKinds<OptionOf<T>>, "type">;
} = {
  "source-lladdr": { lladdr: true },
  "target-lladdr": { lladdr: true },
  prefix: {
    prefix: true,
    length: "u8",
    onLink: "boolean",
    autonomous: "boolean",
    validLifetime: "u32",
    preferredLifetime: "u32",
  },
  mtu: { mtu: "u32" },
  rdnss: { lifetime: "u32", servers: true },
  unknown: { number: "u8", value: true },
};

/** An option's length counts 8 bytes and has 8 bits. */
const LONGEST_OPTION = 255 * 8;

function checkOption(option: NeighborDiscoveryOption, path: string): void {
  const kinds = wordValue(Object(option).type, OPTION_FIELDS, `${path}.type`);
  checkFields<object>(option, { type: true, ...kinds }, path);
  if (option.type === "prefix") integer(option.length, `${path}.length`, 0, 128);
  if (option.type === "rdnss") integer(option.servers.length, `${path}.servers.length`, 1, 127);
  if (option.type === "unknown") {
    integer(option.value.length, `${path}.value.length`, 0, LONGEST_OPTION - 2);
  }
}

/** Writes options one behind the other. */
function writeOptions(options: readonly NeighborDiscoveryOption[]): Uint8Array {
  options.forEach((option, i) => checkOption(option, `options[${i}]`));
  return concat(options.map(writeOption));
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
