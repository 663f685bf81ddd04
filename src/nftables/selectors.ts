/**
 * Properties that a rule can match, by the words of `nft`: the load, the type, and the protocol. A
 * rule compares that before it reads a header.
 *
 * @module
 */
import * as types from "./datatypes.ts";
import { show } from "../options.ts";
import {
  type DataType,
  etherType,
  family as familyType,
  linkType,
  numberBytes,
  protocol,
} from "./datatypes.ts";
import { FIB_FLAGS, type FibData } from "./expressions/compute.ts";
import type { META_KEYS, PAYLOAD_BASES } from "./expressions/compute.ts";
import type { Expression } from "./expressions/mod.ts";
import type { Family } from "./message.ts";

/** The protocol whose header a match reads: a rule compares it first. */
export type Layer =
  | "ether"
  | "vlan"
  | "ip"
  | "ip6"
  | "arp"
  | "icmp"
  | "icmpv6"
  | "tcp"
  | "udp"
  | "sctp"
  | "dccp"
  | "udplite";

/** A property that a match compares. */
export interface Selector {
  /** Loads it into register 1. */
  readonly load: Expression;
  /** The type of its values. */
  readonly type: DataType;
  /** The bits of the loaded bytes that it has. Default: all. */
  readonly mask?: Uint8Array;
  /** The protocol. */
  readonly layer?: Layer;
}

type Base = keyof typeof PAYLOAD_BASES;

function bytes(base: Base, offset: number, type: DataType, layer?: Layer): Selector {
  const load: Expression = { name: "payload", data: { dreg: 1, base, offset, len: type.size } };
  return { load, type, ...(layer === undefined ? {} : { layer }) };
}

/** Some bits of bytes. */
const bits = (selector: Selector, ...mask: number[]): Selector => ({
  ...selector,
  mask: Uint8Array.from(mask),
});

const network = (layer: Layer, offset: number, type: DataType) =>
  bytes("network", offset, type, layer);
const transport = (layer: Layer, offset: number, type: DataType) =>
  bytes("transport", offset, type, layer);

function meta(key: keyof typeof META_KEYS, type: DataType): Selector {
  return { load: { name: "meta", data: { key, dreg: 1 } }, type };
}

/** What the routes say of an address: its type, or whether packets to it leave by the link that this one came in by. */
function fib(result: FibData["result"], flags: number, type: DataType): Selector {
  return { load: { name: "fib", data: { dreg: 1, result, flags } }, type };
}

const ports = <L extends Layer>(layer: L) =>
  [transport(layer, 0, types.port), transport(layer, 2, types.port)] as const;
const [tcpSport, tcpDport] = ports("tcp");
const [udpSport, udpDport] = ports("udp");
const [sctpSport, sctpDport] = ports("sctp");

/** A property that a rule can match, by the words of `nft`. */
export type SelectorName =
  | "iif"
  | "oif"
  | "iifname"
  | "oifname"
  | "iifgroup"
  | "oifgroup"
  | "meta iiftype"
  | "meta oiftype"
  | "meta length"
  | "meta protocol"
  | "meta nfproto"
  | "meta l4proto"
  | "meta mark"
  | "meta skuid"
  | "meta skgid"
  | "meta pkttype"
  | "meta cpu"
  | "meta ibrname"
  | "meta obrname"
  | "ct state"
  | "ct status"
  | "ct direction"
  | "ct mark"
  | "ether daddr"
  | "ether saddr"
  | "ether type"
  | "vlan id"
  | "vlan pcp"
  | "vlan type"
  | "fib saddr type"
  | "fib daddr type"
  | "fib daddr . iif type"
  | "fib saddr . iif oif"
  | "arp operation"
  | "ip dscp"
  | "ip ecn"
  | "ip length"
  | "ip id"
  | "ip ttl"
  | "ip protocol"
  | "ip saddr"
  | "ip daddr"
  | "ip6 dscp"
  | "ip6 ecn"
  | "ip6 length"
  | "ip6 nexthdr"
  | "ip6 hoplimit"
  | "ip6 saddr"
  | "ip6 daddr"
  | "icmp type"
  | "icmp code"
  | "icmpv6 type"
  | "icmpv6 code"
  | "tcp sport"
  | "tcp dport"
  | "tcp sequence"
  | "tcp flags"
  | "udp sport"
  | "udp dport"
  | "udp length"
  | "sctp sport"
  | "sctp dport"
  | "th sport"
  | "th dport";

/** The selectors by the words of `nft`. */
export const SELECTORS: Readonly<Record<SelectorName, Selector>> = {
  iif: meta("iif", types.linkIndex),
  oif: meta("oif", types.linkIndex),
  iifname: meta("iifname", types.linkName),
  oifname: meta("oifname", types.linkName),
  iifgroup: meta("iifgroup", types.linkGroup),
  oifgroup: meta("oifgroup", types.linkGroup),
  "meta iiftype": meta("iiftype", types.linkType),
  "meta oiftype": meta("oiftype", types.linkType),
  "meta length": meta("len", types.hostInteger32),
  "meta protocol": meta("protocol", types.etherType),
  "meta nfproto": meta("nfproto", types.family),
  "meta l4proto": meta("l4proto", types.protocol),
  "meta mark": meta("mark", types.mark),
  "meta skuid": meta("skuid", types.user),
  "meta skgid": meta("skgid", types.group),
  "meta pkttype": meta("pkttype", types.packetType),
  "meta cpu": meta("cpu", types.hostInteger32),
  "meta ibrname": meta("bri_iifname", types.linkName),
  "meta obrname": meta("bri_oifname", types.linkName),
  "ct state": {
    load: { name: "ct", data: { key: "state", dreg: 1 } },
    type: types.connectionState,
  },
  "ct status": {
    load: { name: "ct", data: { key: "status", dreg: 1 } },
    type: types.connectionStatus,
  },
  "ct direction": {
    load: { name: "ct", data: { key: "direction", dreg: 1 } },
    type: types.direction,
  },
  "ct mark": { load: { name: "ct", data: { key: "mark", dreg: 1 } }, type: types.mark },
  "ether daddr": bytes("link", 0, types.etherAddress, "ether"),
  "ether saddr": bytes("link", 6, types.etherAddress, "ether"),
  "ether type": bytes("link", 12, types.etherType, "ether"),
  "vlan id": bits(bytes("link", 14, types.vlanId, "vlan"), 0x0f, 0xff),
  "vlan pcp": bits(bytes("link", 14, types.vlanPriority, "vlan"), 0xe0),
  "vlan type": bytes("link", 16, types.etherType, "vlan"),
  "fib saddr type": fib("addrtype", FIB_FLAGS.saddr, types.addressType),
  "fib daddr type": fib("addrtype", FIB_FLAGS.daddr, types.addressType),
  "fib daddr . iif type": fib("addrtype", FIB_FLAGS.daddr | FIB_FLAGS.iif, types.addressType),
  "fib saddr . iif oif": fib(
    "oif",
    FIB_FLAGS.saddr | FIB_FLAGS.iif | FIB_FLAGS.present,
    types.presence,
  ),
  "arp operation": network("arp", 6, types.arpOperation),
  "ip dscp": bits(network("ip", 1, types.dscp), 0xfc),
  "ip ecn": bits(network("ip", 1, types.ecn), 0x03),
  "ip length": network("ip", 2, types.integer16),
  "ip id": network("ip", 4, types.integer16),
  "ip ttl": network("ip", 8, types.integer8),
  "ip protocol": network("ip", 9, types.protocol),
  "ip saddr": network("ip", 12, types.ipv4Address),
  "ip daddr": network("ip", 16, types.ipv4Address),
  "ip6 dscp": bits(network("ip6", 0, types.dscp6), 0x0f, 0xc0),
  "ip6 ecn": bits(network("ip6", 1, types.ecn6), 0x30),
  "ip6 length": network("ip6", 4, types.integer16),
  "ip6 nexthdr": network("ip6", 6, types.protocol),
  "ip6 hoplimit": network("ip6", 7, types.integer8),
  "ip6 saddr": network("ip6", 8, types.ipv6Address),
  "ip6 daddr": network("ip6", 24, types.ipv6Address),
  "icmp type": transport("icmp", 0, types.icmpType),
  "icmp code": transport("icmp", 1, types.icmpCode),
  "icmpv6 type": transport("icmpv6", 0, types.icmpv6Type),
  "icmpv6 code": transport("icmpv6", 1, types.icmpv6Code),
  "tcp sport": tcpSport,
  "tcp dport": tcpDport,
  "tcp sequence": transport("tcp", 4, types.integer32),
  "tcp flags": transport("tcp", 13, types.tcpFlags),
  "udp sport": udpSport,
  "udp dport": udpDport,
  "udp length": transport("udp", 4, types.integer16),
  "sctp sport": sctpSport,
  "sctp dport": sctpDport,
  "th sport": bytes("transport", 0, types.port),
  "th dport": bytes("transport", 2, types.port),
};

/** Ethernet types of the layers on a link. */
export const ETHER_TYPES: Readonly<Partial<Record<Layer, number>>> = {
  ip: 0x0800,
  ip6: 0x86dd,
  arp: 0x0806,
};

/** Protocols of the layers on IP, and the layer below where it is fixed. */
export const PROTOCOLS: Readonly<
  Partial<Record<Layer, { readonly number: number; readonly below?: "ip" | "ip6" }>>
> = {
  icmp: { number: 1, below: "ip" },
  icmpv6: { number: 58, below: "ip6" },
  tcp: { number: 6 },
  udp: { number: 17 },
  dccp: { number: 33 },
  sctp: { number: 132 },
  udplite: { number: 136 },
};

/** The layer that a comparison determines. */
type Level = "link" | "tag" | "network" | "transport";

const LEVELS: Readonly<Record<string, Level>> = {
  "meta iiftype": "link",
  "meta protocol": "network",
  "meta nfproto": "network",
  "ether type": "network",
  "vlan type": "network",
  "meta l4proto": "transport",
  "ip protocol": "transport",
  "ip6 nexthdr": "transport",
};

const same = (key: keyof typeof META_KEYS, data: Uint8Array): Expression[] => [
  { name: "meta", data: { key, dreg: 1 } },
  { name: "cmp", data: { sreg: 1, op: "eq", data } },
];

/** The type of frames with a VLAN tag, and where the type of a frame is. */
const VLAN = 0x8100;
const ETHER_TYPE_AT = 12;

const sameType = (offset: number, type: number): Expression[] => [
  { name: "payload", data: { dreg: 1, base: "link", offset, len: etherType.size } },
  { name: "cmp", data: { sreg: 1, op: "eq", data: numberBytes(type, etherType) } },
];

/** A layer's name for the value that tells it. */
function layerOf(level: Level, value: unknown): Layer | undefined {
  if (level === "link") return value === "ether" || value === 1 ? "ether" : undefined;
  if (level === "network") {
    if (value === "ipv4" || value === "ip") return "ip";
    if (value === "ipv6" || value === "ip6") return "ip6";
    return value === "arp" ? "arp" : undefined;
  }
  const number = typeof value === "string"
    ? tryProtocol(value)
    : typeof value === "number"
    ? value
    : undefined;
  const layers = Object.keys(PROTOCOLS) as Layer[];
  return layers.find((layer) => PROTOCOLS[layer]!.number === number);
}

function tryProtocol(word: string): number | undefined {
  try {
    return protocol.parse(word, "")[0];
  } catch {
    return undefined; // several values, or a set
  }
}

/** Whether a type of frames is that of frames with a VLAN tag. */
export function isTag(type: unknown): boolean {
  return type === "8021q" || type === "vlan" || type === VLAN;
}

/** The layers that a rule has compared. */
export class Layers {
  readonly #family: Family;
  readonly #known: Partial<Record<Level, Layer>> = {};

  /**
   * Begins a rule.
   *
   * @param family Of the table, which tells some of them.
   */
  constructor(family: Family) {
    this.#family = family;
    if (family === "ip" || family === "ip6" || family === "arp") this.#known.network = family;
    if (family === "bridge") this.#known.link = "ether";
  }

  /** Notes that a rule has compared `selector` for equality with a value. */
  note(selector: string, value: unknown): void {
    const level = LEVELS[selector];
    if (!level) return;
    if (selector === "ether type" && isTag(value)) this.#known.tag = "vlan";
    const layer = layerOf(level, value);
    if (layer) this.#known[level] = layer;
  }

  /** Whether the layer is compared already. */
  has(layer: Layer): boolean {
    return Object.values(this.#known).includes(layer);
  }

  /**
   * The comparisons that a rule needs before it reads a header.
   *
   * @param layer The header.
   * @param path The reading match, for errors.
   * @throws {TypeError} When the rule has compared that it is another one.
   */
  require(layer: Layer | undefined, path: string): Expression[] {
    if (layer === undefined) return [];
    if (layer === "ether") {
      return this.#need("link", layer, path, () => same("iiftype", numberBytes(1, linkType)));
    }
    if (layer === "vlan") {
      return [
        ...this.require("ether", path),
        ...this.#need("tag", layer, path, () => sameType(ETHER_TYPE_AT, VLAN)),
      ];
    }
    const ether = ETHER_TYPES[layer];
    if (ether !== undefined) {
      return this.#need("network", layer, path, () => this.#network(layer, ether));
    }
    const { number, below } = PROTOCOLS[layer]!;
    return [
      ...this.require(below, path),
      ...this.#need("transport", layer, path, () => same("l4proto", numberBytes(number, protocol))),
    ];
  }

  #need(level: Level, layer: Layer, path: string, compare: () => Expression[]): Expression[] {
    const known = this.#known[level];
    if (known === layer) return [];
    if (known !== undefined) {
      const why = known === this.#family
        ? `the family is ${show(known)}`
        : `the rule is for ${show(known)}`;
      throw new TypeError(`${path} cannot match: ${why}`);
    }
    const steps = compare();
    this.#known[level] = layer;
    return steps;
  }

  #network(layer: Layer, ether: number): Expression[] {
    // Behind a tag there is a type of its own.
    if (this.#known.tag) return sameType(ETHER_TYPE_AT + 4, ether);
    if (this.#family !== "inet") return same("protocol", numberBytes(ether, etherType));
    if (layer === "arp") throw new TypeError('arp cannot match: the family is "inet"');
    return same("nfproto", familyType.parse(layer === "ip" ? "ipv4" : "ipv6", ""));
  }
}
