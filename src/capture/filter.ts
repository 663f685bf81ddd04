/**
 * What a capture keeps, as conditions: compiled to a classic BPF program that runs in the kernel.
 *
 * @module
 */
import { parseIp, parseMac, parsePrefix, type Prefix } from "../packet/address.ts";
import { show } from "../options.ts";

/** Protocols by name. TCP, UDP and SCTP over IPv4 and IPv6. */
export type FilterProtocol =
  | "arp"
  | "ip"
  | "ip6"
  | "icmp"
  | "icmp6"
  | "tcp"
  | "udp"
  | "sctp";

/** A port, or the first and the last of a range. */
export type FilterPort = number | readonly [first: number, last: number];

/**
 * Conditions on a frame: all that are given must hold. They mean what the words of pcap-filter(7) mean,
 * with one difference: they look behind VLAN tags, wherever these are.
 *
 * @example Web traffic of one host, and ARP
 * ```ts
 * import { compileFilter, type Filter } from "@netloom/netloom/capture";
 *
 * // tcpdump 'arp or (tcp port 80 and not host 10.0.0.9)'
 * const filter: Filter = {
 *   or: [{ protocol: "arp" }, { protocol: "tcp", port: 80, not: { host: "10.0.0.9" } }],
 * };
 * const program = compileFilter(filter);
 * console.log(program.length);
 * ```
 */
export interface Filter {
  /** The protocol. */
  readonly protocol?: FilterProtocol;
  /** Number of a protocol over IPv4 or IPv6, 0..255: 89 is OSPF. */
  readonly ipProtocol?: number;
  /** The EtherType behind VLAN tags, 0..65,535: 0x88cc is LLDP. */
  readonly etherType?: number;
  /** Tagged with this VLAN, 0..4094; with any one (`true`); not tagged (`false`). */
  readonly vlan?: number | boolean;
  /** IPv4 (ARP included) or IPv6 address, of either end. */
  readonly host?: string;
  /** Address of the sender. */
  readonly srcHost?: string;
  /** Address of the receiver. */
  readonly dstHost?: string;
  /** Network an address of either end is in: `10.0.0.0/8`. */
  readonly net?: string;
  /** Network of the sender. */
  readonly srcNet?: string;
  /** Network of the receiver. */
  readonly dstNet?: string;
  /** TCP, UDP or SCTP port of either end. */
  readonly port?: FilterPort;
  /** Port of the sender. */
  readonly srcPort?: FilterPort;
  /** Port of the receiver. */
  readonly dstPort?: FilterPort;
  /** Ethernet address of either end. */
  readonly mac?: string;
  /** Ethernet address of the sender. */
  readonly srcMac?: string;
  /** Ethernet address of the receiver. */
  readonly dstMac?: string;
  /** All of these hold. */
  readonly and?: readonly Filter[];
  /** At least one of these holds. */
  readonly or?: readonly Filter[];
  /** This one does not hold. */
  readonly not?: Filter;
}

/** Which of the two ends a condition is about. */
export type End = "src" | "dst" | "either";

/** A checked filter, as a tree. */
export type Condition =
  | { readonly is: "all" | "any"; readonly of: readonly Condition[] }
  | { readonly is: "not"; readonly of: Condition }
  | { readonly is: "protocol"; readonly protocol: FilterProtocol }
  | { readonly is: "ipProtocol"; readonly number: number }
  | { readonly is: "etherType"; readonly number: number }
  | { readonly is: "vlan"; readonly id: number | boolean }
  | { readonly is: "net"; readonly end: End; readonly prefix: Prefix }
  | { readonly is: "port"; readonly end: End; readonly first: number; readonly last: number }
  | { readonly is: "mac"; readonly end: End; readonly address: Uint8Array };

const PROTOCOLS: ReadonlySet<string> = new Set<FilterProtocol>([
  "arp",
  "ip",
  "ip6",
  "icmp",
  "icmp6",
  "tcp",
  "udp",
  "sctp",
]);

type Reader = (value: never, name: string) => Condition;

const READERS: { readonly [K in keyof Required<Filter>]: Reader } = {
  protocol: (value: unknown): Condition => {
    if (PROTOCOLS.has(value as string)) {
      return { is: "protocol", protocol: value as FilterProtocol };
    }
    const names = [...PROTOCOLS].map((name) => show(name)).join(", ");
    throw new TypeError(`protocol must be one of ${names}: got ${show(value)}`);
  },
  ipProtocol: (value: unknown, name) => ({ is: "ipProtocol", number: whole(value, name, 255) }),
  etherType: (value: unknown, name) => ({ is: "etherType", number: whole(value, name, 0xffff) }),
  vlan: (value: unknown, name) => ({
    is: "vlan",
    id: typeof value === "boolean" ? value : whole(value, name, 4094),
  }),
  host: (value: unknown) => host(value, "either"),
  srcHost: (value: unknown) => host(value, "src"),
  dstHost: (value: unknown) => host(value, "dst"),
  net: (value: string, name) => net(value, name, "either"),
  srcNet: (value: string, name) => net(value, name, "src"),
  dstNet: (value: string, name) => net(value, name, "dst"),
  port: (value: unknown, name) => port(value, name, "either"),
  srcPort: (value: unknown, name) => port(value, name, "src"),
  dstPort: (value: unknown, name) => port(value, name, "dst"),
  mac: (value: unknown) => mac(value, "either"),
  srcMac: (value: unknown) => mac(value, "src"),
  dstMac: (value: unknown) => mac(value, "dst"),
  and: (value: unknown, name) => ({ is: "all", of: list(value, name) }),
  or: (value: unknown, name) => ({ is: "any", of: list(value, name) }),
  not: (value: unknown) => ({ is: "not", of: readFilter(value) }),
};

/**
 * Checks a filter.
 *
 * @throws {TypeError} For an unknown condition or a malformed value.
 * @throws {RangeError} For a number out of range.
 */
export function readFilter(filter: unknown): Condition {
  if (typeof filter !== "object" || filter === null || Array.isArray(filter)) {
    throw new TypeError(
      `A filter must be an object such as { protocol: "tcp" }: got ${show(filter)}`,
    );
  }
  const of: Condition[] = [];
  for (const [name, value] of Object.entries(filter)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(READERS, name)) {
      throw new TypeError(`Unknown condition ${show(name)} in a filter`);
    }
    of.push(READERS[name as keyof Filter](value as never, name));
  }
  return of.length === 1 ? of[0]! : { is: "all", of };
}

function list(value: unknown, name: string): Condition[] {
  if (Array.isArray(value) && value.length > 0) return value.map(readFilter);
  throw new TypeError(
    `${name} must be an array of one or more filters: got ${show(value)}`,
  );
}

function host(value: unknown, end: End): Condition {
  const address = parseIp(value as string);
  return { is: "net", end, prefix: { address, length: address.length * 8 } };
}

function net(value: string, name: string, end: End): Condition {
  const prefix = parsePrefix(value);
  const masked = prefix.address.map((byte, i) => byte & maskByte(prefix.length, i));
  if (masked.some((byte, i) => byte !== prefix.address[i])) {
    throw new TypeError(`${name} has bits behind its prefix: got ${show(value)}`);
  }
  return { is: "net", end, prefix };
}

/** The byte at `i` of the mask of a prefix. */
export function maskByte(length: number, i: number): number {
  return 0xff00 >> Math.min(8, Math.max(0, length - 8 * i)) & 0xff;
}

function port(value: unknown, name: string, end: End): Condition {
  const [first, last] = Array.isArray(value) && value.length === 2 ? value : [value, value];
  const range = { first: whole(first, name, 0xffff), last: whole(last, name, 0xffff) };
  if (range.first > range.last) {
    throw new RangeError(
      `${name} must go from the lower to the higher port: got ${show(value)}`,
    );
  }
  return { is: "port", end, ...range };
}

function mac(value: unknown, end: End): Condition {
  return { is: "mac", end, address: parseMac(value as string) };
}

function whole(value: unknown, name: string, most: number): number {
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw new TypeError(`${name} must be a whole number: got ${show(value)}`);
  }
  if (value < 0 || value > most) {
    throw new RangeError(`${name} must be in 0..${most}: got ${value}`);
  }
  return value;
}
