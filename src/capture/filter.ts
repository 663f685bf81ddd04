/**
 * Filters: conditions on the frames of a capture, compiled to a classic BPF program that the kernel runs.
 *
 * @module
 */
import { formatIp, parseIp, parseMac, parsePrefix, type Prefix } from "../packet/address.ts";
import { checkOptions, integer, show, wordValue } from "../options.ts";

/** Protocols by name. TCP, UDP and SCTP are over IPv4 and IPv6. */
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
 * Conditions on a frame, which must all hold. They mean the same as the words of pcap-filter(7), with one
 * difference: they look behind VLAN tags, wherever these are.
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
  /** EtherType behind all VLAN tags, 0..65,535: 0x88cc is LLDP. */
  readonly etherType?: number;
  /** The outer VLAN tag: of this VLAN, 0..4094; any (`true`); none (`false`). */
  readonly vlan?: number | boolean;
  /** The second VLAN tag, inside the outer one: of this VLAN, 0..4094; any (`true`); none (`false`). */
  readonly innerVlan?: number | boolean;
  /** IPv4 (ARP included) or IPv6 address, of either end. */
  readonly host?: string;
  /** Source address. */
  readonly srcHost?: string;
  /** Destination address. */
  readonly dstHost?: string;
  /** Network of the address of either end: `10.0.0.0/8`. */
  readonly net?: string;
  /** Network of the source address. */
  readonly srcNet?: string;
  /** Network of the destination address. */
  readonly dstNet?: string;
  /** TCP, UDP or SCTP port of either end. */
  readonly port?: FilterPort;
  /** Source port. */
  readonly srcPort?: FilterPort;
  /** Destination port. */
  readonly dstPort?: FilterPort;
  /** Ethernet address of either end. */
  readonly mac?: string;
  /** Source Ethernet address. */
  readonly srcMac?: string;
  /** Destination Ethernet address. */
  readonly dstMac?: string;
  /** All of these hold. */
  readonly and?: readonly Filter[];
  /** At least one of these holds. */
  readonly or?: readonly Filter[];
  /** This one does not hold. */
  readonly not?: Filter;
}

/** The end of a condition. */
export type End = "src" | "dst" | "either";

/** A checked filter, as a tree. */
export type Condition =
  | { readonly is: "all" | "any"; readonly of: readonly Condition[] }
  | { readonly is: "not"; readonly of: Condition }
  | { readonly is: "protocol"; readonly protocol: FilterProtocol }
  | { readonly is: "ipProtocol"; readonly number: number }
  | { readonly is: "etherType"; readonly number: number }
  | { readonly is: "vlan"; readonly inner: boolean; readonly id: number | boolean }
  | { readonly is: "net"; readonly end: End; readonly prefix: Prefix }
  | { readonly is: "port"; readonly end: End; readonly first: number; readonly last: number }
  | { readonly is: "mac"; readonly end: End; readonly address: Uint8Array };

const PROTOCOLS: { readonly [P in FilterProtocol]: P } = {
  arp: "arp",
  ip: "ip",
  ip6: "ip6",
  icmp: "icmp",
  icmp6: "icmp6",
  tcp: "tcp",
  udp: "udp",
  sctp: "sctp",
};

type Reader = (value: never, name: string) => Condition;

const READERS: { readonly [K in keyof Required<Filter>]: Reader } = {
  protocol: (value: unknown, name): Condition => ({
    is: "protocol",
    protocol: wordValue(value, PROTOCOLS, name),
  }),
  ipProtocol: (value: unknown, name) => ({
    is: "ipProtocol",
    number: integer(value, name, 0, 255),
  }),
  etherType: (value: unknown, name) => ({
    is: "etherType",
    number: integer(value, name, 0, 0xffff),
  }),
  vlan: (value: unknown, name) => vlan(value, name, false),
  innerVlan: (value: unknown, name) => vlan(value, name, true),
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
  not: (value: unknown, name) => ({ is: "not", of: readFilter(value, name) }),
};

/**
 * Checks a filter.
 *
 * @param filter The filter.
 * @param path The place of the filter in another one, for errors: `and[1].not`.
 * @returns The filter as a tree.
 * @throws {TypeError} For an unknown condition or a malformed value.
 * @throws {RangeError} For a number that is out of range.
 */
export function readFilter(filter: unknown, path = ""): Condition {
  if (typeof filter !== "object" || filter === null || Array.isArray(filter)) {
    const what = path || "A filter";
    throw new TypeError(
      `${what} must be an object such as { protocol: "tcp" }: got ${show(filter)}`,
    );
  }
  checkOptions(filter, READERS, path);
  const of = Object.entries(filter).filter(([, value]) => value !== undefined).map(
    ([name, value]) =>
      READERS[name as keyof Filter](value as never, path ? `${path}.${name}` : name),
  );
  return of.length === 1 ? of[0]! : { is: "all", of };
}

function list(value: unknown, name: string): Condition[] {
  if (Array.isArray(value) && value.length > 0) {
    return value.map((filter, i) => readFilter(filter, `${name}[${i}]`));
  }
  throw new TypeError(`${name} must be an array of one or more filters: got ${show(value)}`);
}

function vlan(value: unknown, name: string, inner: boolean): Condition {
  const id = typeof value === "boolean" ? value : integer(value, name, 0, 4094);
  return { is: "vlan", inner, id };
}

function host(value: unknown, end: End): Condition {
  const address = parseIp(value as string);
  return { is: "net", end, prefix: { address, length: address.length * 8 } };
}

function net(value: string, name: string, end: End): Condition {
  const prefix = parsePrefix(value);
  const masked = prefix.address.map((byte, i) => byte & maskByte(prefix.length, i));
  if (masked.some((byte, i) => byte !== prefix.address[i])) {
    const meant = `${formatIp(masked)}/${prefix.length}`;
    throw new TypeError(`${name} has host bits: got ${show(value)}; did you mean ${show(meant)}?`);
  }
  return { is: "net", end, prefix };
}

/** The byte at `i` of the mask of a prefix. */
export function maskByte(length: number, i: number): number {
  return 0xff00 >> Math.min(8, Math.max(0, length - 8 * i)) & 0xff;
}

function port(value: unknown, name: string, end: End): Condition {
  const [first, last] = Array.isArray(value) && value.length === 2 ? value : [value, value];
  const range = { first: integer(first, name, 0, 0xffff), last: integer(last, name, 0, 0xffff) };
  if (range.first > range.last) {
    throw new RangeError(`${name} must go from the lower to the higher port: got ${show(value)}`);
  }
  return { is: "port", end, ...range };
}

function mac(value: unknown, end: End): Condition {
  return { is: "mac", end, address: parseMac(value as string) };
}
