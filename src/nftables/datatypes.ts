/**
 * Types of values that rules compare and sets have, as `nft describe` lists them: their bytes, their form in
 * TypeScript, and their words.
 *
 * @module
 */
import { integer, nearest, show } from "../options.ts";
import { ROUTE_TYPES } from "../rtnetlink/constants.ts";
import { formatIp, formatMac, parseIp, parseMac } from "../packet/address.ts";

/** A value of a rule or an element of a set: text, or a number. */
export type Value = string | number;

/** A type of values. */
export interface DataType {
  /** Its name in `nft`. */
  readonly name: string;
  /** Its number in `nft`, which is kept with sets. */
  readonly number: number;
  /** Bytes of a value. */
  readonly size: number;
  /** The byte order: that of the network, or that of the machine. */
  readonly order: "network" | "host";
  /** A value as bytes. Throws for one that is not of this type. */
  parse(value: Value, path: string): Uint8Array;
  /** Bytes as a value. */
  format(bytes: Uint8Array): Value;
  /** A value in a line of `nft`; default: as it is. */
  words?(value: Value): string;
  /** Values are sets of flags. */
  readonly flags?: true;
  /** A value may be a prefix: `10.0.0.0/8`. */
  readonly prefixes?: true;
}

/** A number as bytes. */
export function numberBytes(
  value: number,
  { size, order }: Pick<DataType, "size" | "order">,
): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0, rest = value; i < size; i++, rest = Math.floor(rest / 256)) {
    bytes[order === "host" ? i : size - 1 - i] = rest % 256;
  }
  return bytes;
}

/** Bytes as a number. */
export function bytesNumber(bytes: Uint8Array, order: DataType["order"]): number {
  const digits = order === "host" ? bytes.toReversed() : bytes;
  return digits.reduce((number, byte) => number * 256 + byte, 0);
}

interface NumberOptions {
  readonly number: number;
  readonly size: number;
  readonly order?: DataType["order"];
  /** Words for some of the numbers. */
  readonly names?: Readonly<Record<string, number>>;
  /** Words that are read and not written. */
  readonly aliases?: Readonly<Record<string, number>>;
  readonly hex?: true;
  readonly flags?: true;
  /** Bits to the right of the number, of a field that does not end with a byte. */
  readonly shift?: number;
  /** Bits of the number. Default: all of the bytes. */
  readonly bits?: number;
}

/** A type of numbers, some of which have words. */
function numbers(name: string, options: NumberOptions): DataType {
  const { number, size, order = "network", names = {}, aliases = {}, hex, flags } = options;
  const { shift = 0, bits = size * 8 } = options;
  const bytesOf = (value: number) => numberBytes(value * 2 ** shift, { size, order });
  const words = { ...aliases, ...names };
  const word = (value: number) => Object.keys(names).find((key) => names[key] === value);
  const parse = (value: Value, path: string): Uint8Array => {
    if (typeof value === "string" && !/^(\d+|0x[\da-f]+)$/i.test(value)) {
      if (Object.hasOwn(words, value)) return bytesOf(words[value]!);
      const near = nearest(value, Object.keys(words));
      const allowed = Object.keys(words).length > 0
        ? `one of ${Object.keys(words).map(show).join(", ")} or a number`
        : "a number";
      throw new TypeError(
        `${path} must be ${allowed}: got ${show(value)}` +
          (near === undefined ? "" : `; did you mean ${show(near)}?`),
      );
    }
    const given = typeof value === "string" ? Number(value) : value;
    return bytesOf(integer(given, path, 0, 2 ** bits - 1));
  };
  return {
    name,
    number,
    size,
    order,
    parse,
    format: (bytes) => {
      const value = Math.floor(bytesNumber(bytes, order) / 2 ** shift);
      return word(value) ?? value;
    },
    words: (value) =>
      hex && typeof value === "number"
        ? `0x${value.toString(16).padStart(size * 2, "0")}`
        : String(value),
    ...(flags ? { flags } : {}),
  };
}

function address(name: string, number: number, size: number): DataType {
  return {
    name,
    number,
    size,
    order: "network",
    prefixes: true,
    parse: (value, path) => {
      try {
        const bytes = parseIp(value as string);
        if (bytes.length === size) return bytes;
      } catch {
        // named below
      }
      const family = size === 4 ? "an IPv4 address" : "an IPv6 address";
      throw new TypeError(`${path} must be ${family}, a prefix or a range: got ${show(value)}`);
    },
    format: (bytes) => formatIp(bytes),
  };
}

/** Addresses of IPv4. */
export const ipv4Address: DataType = address("ipv4_addr", 7, 4);
/** Addresses of IPv6. */
export const ipv6Address: DataType = address("ipv6_addr", 8, 16);

/** Ethernet addresses. */
export const etherAddress: DataType = {
  name: "ether_addr",
  number: 9,
  size: 6,
  order: "network",
  parse: (value, path) => {
    try {
      return parseMac(value as string);
    } catch {
      throw new TypeError(`${path} must be an Ethernet address: got ${show(value)}`);
    }
  },
  format: (bytes) => formatMac(bytes),
};

const decoder = new TextDecoder();

/** Names of links; `*` at the end stands for any rest. */
export const linkName: DataType = {
  name: "ifname",
  number: 41,
  size: 16,
  order: "host",
  parse: (value, path) => {
    const text = typeof value === "string" ? new TextEncoder().encode(value) : undefined;
    if (!text || text.length === 0 || text.length > 15) {
      throw new TypeError(`${path} must be a name of a link, of 1 to 15 bytes: got ${show(value)}`);
    }
    const bytes = new Uint8Array(16);
    bytes.set(text);
    return bytes;
  },
  format: (bytes) =>
    decoder.decode(bytes.subarray(0, bytes.indexOf(0) < 0 ? 16 : bytes.indexOf(0))),
  words: (value) => `"${value}"`,
};

/** Protocols of the transport layer. */
export const protocol: DataType = numbers("inet_proto", {
  number: 12,
  size: 1,
  names: {
    icmp: 1,
    igmp: 2,
    ipencap: 4,
    tcp: 6,
    udp: 17,
    dccp: 33,
    ipv6: 41,
    gre: 47,
    esp: 50,
    ah: 51,
    "ipv6-icmp": 58,
    ospf: 89,
    ipcomp: 108,
    vrrp: 112,
    sctp: 132,
    udplite: 136,
  },
  aliases: { icmpv6: 58 },
});

/** Ports. */
export const port: DataType = numbers("inet_service", { number: 13, size: 2 });
/** Plain numbers of a byte. */
export const integer8: DataType = numbers("integer", { number: 4, size: 1 });
/** Plain numbers of two bytes. */
export const integer16: DataType = numbers("integer", { number: 4, size: 2 });
/** Plain numbers of four bytes, in the order of the network. */
export const integer32: DataType = numbers("integer", { number: 4, size: 4 });
/** Plain numbers of four bytes, in the order of the machine. */
export const hostInteger32: DataType = numbers("integer", { number: 4, size: 4, order: "host" });
/** Marks. */
export const mark: DataType = numbers("mark", { number: 19, size: 4, order: "host", hex: true });
/** Indexes of links. */
export const linkIndex: DataType = numbers("iface_index", { number: 20, size: 4, order: "host" });
/** Groups of links. */
export const linkGroup: DataType = numbers("devgroup", { number: 35, size: 4, order: "host" });
/** Users. */
export const user: DataType = numbers("uid", { number: 24, size: 4, order: "host" });
/** Groups of users. */
export const group: DataType = numbers("gid", { number: 25, size: 4, order: "host" });

/** Types of Ethernet frames. */
export const etherType: DataType = numbers("ether_type", {
  number: 10,
  size: 2,
  names: { ip: 0x0800, arp: 0x0806, ip6: 0x86dd, "8021q": 0x8100, "8021ad": 0x88a8 },
  aliases: { vlan: 0x8100 },
  hex: true,
});

/** Types of links. */
export const linkType: DataType = numbers("iface_type", {
  number: 21,
  size: 2,
  order: "host",
  names: { ether: 1, ppp: 512, ipip: 768, ipip6: 769, loopback: 772, sit: 776, ipgre: 778 },
});

/** Families of packets. */
export const family: DataType = numbers("nf_proto", {
  number: 2,
  size: 1,
  names: { ipv4: 2, ipv6: 10 },
});

/** Operations of ARP. */
export const arpOperation: DataType = numbers("arp_op", {
  number: 11,
  size: 2,
  names: { request: 1, reply: 2, rrequest: 3, rreply: 4, inrequest: 8, inreply: 9, nak: 10 },
});

/** States of a packet's connection. */
export const connectionState: DataType = numbers("ct_state", {
  number: 26,
  size: 4,
  order: "host",
  flags: true,
  names: { invalid: 1, established: 2, related: 4, new: 8, untracked: 0x40 },
  hex: true,
});

/** Directions of a connection. */
export const direction: DataType = numbers("ct_dir", {
  number: 27,
  size: 1,
  names: { original: 0, reply: 1 },
});

/** The status of a connection. */
export const connectionStatus: DataType = numbers("ct_status", {
  number: 28,
  size: 4,
  order: "host",
  flags: true,
  names: {
    expected: 1,
    "seen-reply": 2,
    assured: 4,
    confirmed: 8,
    snat: 16,
    dnat: 32,
    dying: 512,
  },
  hex: true,
});

/** Flags of TCP. */
export const tcpFlags: DataType = numbers("tcp_flag", {
  number: 15,
  size: 1,
  flags: true,
  names: { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ecn: 64, cwr: 128 },
  hex: true,
});

/** Types of ICMP messages. */
export const icmpType: DataType = numbers("icmp_type", {
  number: 14,
  size: 1,
  names: {
    "echo-reply": 0,
    "destination-unreachable": 3,
    "source-quench": 4,
    redirect: 5,
    "echo-request": 8,
    "router-advertisement": 9,
    "router-solicitation": 10,
    "time-exceeded": 11,
    "parameter-problem": 12,
    "timestamp-request": 13,
    "timestamp-reply": 14,
    "info-request": 15,
    "info-reply": 16,
    "address-mask-request": 17,
    "address-mask-reply": 18,
  },
});

/** Codes of ICMP messages. */
export const icmpCode: DataType = numbers("icmp_code", {
  number: 32,
  size: 1,
  names: {
    "net-unreachable": 0,
    "host-unreachable": 1,
    "prot-unreachable": 2,
    "port-unreachable": 3,
    "frag-needed": 4,
    "net-prohibited": 9,
    "host-prohibited": 10,
    "admin-prohibited": 13,
  },
});

/** Types of ICMPv6 messages. */
export const icmpv6Type: DataType = numbers("icmpv6_type", {
  number: 29,
  size: 1,
  names: {
    "destination-unreachable": 1,
    "packet-too-big": 2,
    "time-exceeded": 3,
    "parameter-problem": 4,
    "echo-request": 128,
    "echo-reply": 129,
    "mld-listener-query": 130,
    "mld-listener-report": 131,
    "mld-listener-done": 132,
    "nd-router-solicit": 133,
    "nd-router-advert": 134,
    "nd-neighbor-solicit": 135,
    "nd-neighbor-advert": 136,
    "nd-redirect": 137,
    "router-renumbering": 138,
    "ind-neighbor-solicit": 141,
    "ind-neighbor-advert": 142,
    "mld2-listener-report": 143,
  },
  aliases: { "mld-listener-reduction": 132 },
});

/** Codes of ICMPv6 messages. */
export const icmpv6Code: DataType = numbers("icmpv6_code", {
  number: 33,
  size: 1,
  names: {
    "no-route": 0,
    "admin-prohibited": 1,
    "addr-unreachable": 3,
    "port-unreachable": 4,
    "policy-fail": 5,
    "reject-route": 6,
  },
});

/** Codes that stand for one of ICMP and one of ICMPv6. */
export const icmpxCode: DataType = numbers("icmpx_code", {
  number: 34,
  size: 1,
  names: { "no-route": 0, "port-unreachable": 1, "host-unreachable": 2, "admin-prohibited": 3 },
});

/** Types of packets, by their destination. */
export const packetType: DataType = numbers("pkt_type", {
  number: 31,
  size: 1,
  names: { host: 0, broadcast: 1, multicast: 2, other: 3 },
  aliases: { unicast: 0 },
});

const CLASSES: Readonly<Record<string, number>> = {
  cs0: 0,
  lephb: 1,
  cs1: 8,
  af11: 10,
  af12: 12,
  af13: 14,
  cs2: 16,
  af21: 18,
  af22: 20,
  af23: 22,
  cs3: 24,
  af31: 26,
  af32: 28,
  af33: 30,
  cs4: 32,
  af41: 34,
  af42: 36,
  af43: 38,
  cs5: 40,
  va: 44,
  ef: 46,
  cs6: 48,
  cs7: 56,
};
const DSCP = {
  number: 36,
  bits: 6,
  names: CLASSES,
  aliases: { df: 0, be: 0, le: 1 },
  hex: true,
} as const;
const ECN = {
  number: 37,
  size: 1,
  bits: 2,
  names: { "not-ect": 0, ect1: 1, ect0: 2, ce: 3 },
} as const;

/** Classes of service. In the header of IPv4, and where sets have them alone. */
export const dscp: DataType = numbers("dscp", { ...DSCP, size: 1, shift: 2 });
/** Classes of service in the header of IPv6. */
export const dscp6: DataType = numbers("dscp", { ...DSCP, size: 2, shift: 6 });
/** Notices of congestion. */
export const ecn: DataType = numbers("ecn", ECN);
/** Notices of congestion in the header of IPv6. */
export const ecn6: DataType = numbers("ecn", { ...ECN, shift: 4 });
/** Numbers of VLANs. */
export const vlanId: DataType = numbers("integer", { number: 4, size: 2, bits: 12 });
/** Priorities of VLANs. */
export const vlanPriority: DataType = numbers("integer", { number: 4, size: 1, shift: 5, bits: 3 });

const { throw: _throw, nat: _nat, xresolve: _xresolve, ...ADDRESS_TYPES } = ROUTE_TYPES;

/** Types of addresses, by the routes to them. */
export const addressType: DataType = numbers("fib_addrtype", {
  number: 38,
  size: 4,
  order: "host",
  names: ADDRESS_TYPES,
});

/** Whether something is there. */
export const presence: DataType = numbers("boolean", {
  number: 39,
  size: 4, // nft compares the whole register
  bits: 1,
  order: "host",
  names: { missing: 0, exists: 1 },
});

/** The types that sets can have, by their names in `nft`. */
export const SET_TYPES: Readonly<Record<string, DataType>> = Object.fromEntries(
  [
    ipv4Address,
    ipv6Address,
    etherAddress,
    linkName,
    protocol,
    port,
    mark,
    linkIndex,
    linkGroup,
    user,
    group,
    etherType,
    linkType,
    family,
    arpOperation,
    connectionState,
    direction,
    connectionStatus,
    tcpFlags,
    icmpType,
    icmpCode,
    icmpv6Type,
    icmpv6Code,
    icmpxCode,
    packetType,
    dscp,
    ecn,
    addressType,
  ].map((type) => [type.name, type]),
);
