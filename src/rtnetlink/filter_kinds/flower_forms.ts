/**
 * The forms of the fields that flower compares: numbers, words and addresses with masks, as options, on the
 * wire, and as words of `tc`.
 *
 * @module
 */
import { be16, be32, type Field, u16, u32, u8 } from "../../netlink/attribute.ts";
import { checkOptions, integer, type OptionNames, show, wordValue } from "../../options.ts";
import { formatIp, formatMac, parseMac, tryParseIp } from "../../packet/address.ts";
import { inPath } from "../fields.ts";
import { ETHERTYPES, type FilterProtocolWord } from "../traffic_control.ts";
import type { FlowerMplsEntry, TunnelOptions } from "./flower_nests.ts";

/** A number, or one of which the bits in `mask` are compared. */
export type Masked = number | MaskedNumber;

/** A number of which some bits are compared. */
export interface MaskedNumber {
  /** The value. */
  value: number;
  /** The bits that are compared. */
  mask: number;
}

/** A range of ports, both ends included. */
export interface PortRange {
  /** The first port. */
  min: number;
  /** The last port. */
  max: number;
}

/** A protocol in IP, by its word. */
export type IpProtocol = "tcp" | "udp" | "sctp" | "icmp" | "icmpv6";

/** A protocol in PPP, by its word. */
export type PppProtocol = "ip" | "ipv6" | "mpls_uc" | "mpls_mc";

/** An operation of ARP, by its word. */
export type ArpOperation = "request" | "reply";

/** Whether a packet is a fragment, and the first one. */
export type FlowerIpFlag = "frag" | "nofrag" | "firstfrag" | "nofirstfrag";

/** Fields of a packet that flower compares; all must match. A number with a mask is `{ value, mask }`. */
export interface FlowerMatch extends TunnelOptions {
  /** The name of the link that the packet came in by. */
  indev?: string;
  /** The destination MAC address, also with a mask: `02:00:00:00:00:00/ff:00:00:00:00:00`. */
  dstMac?: string;
  /** The source MAC address, also with a mask. */
  srcMac?: string;
  /** How many VLAN tags it has. */
  numOfVlans?: number;
  /** The VLAN of the outer tag; for the protocols 802.1Q and 802.1ad. */
  vlanId?: number;
  /** The priority in the outer tag. */
  vlanPrio?: number;
  /** The protocol behind the outer tag. */
  vlanEthtype?: FilterProtocolWord | number;
  /** The VLAN of the inner tag, where `vlanEthtype` is a VLAN's. */
  cvlanId?: number;
  /** The priority in the inner tag. */
  cvlanPrio?: number;
  /** The protocol behind the inner tag. */
  cvlanEthtype?: FilterProtocolWord | number;
  /** The session of PPPoE; for the protocol ppp_ses. */
  pppoeSid?: number;
  /** The protocol in PPP. */
  pppProto?: PppProtocol | number;
  /** The protocol in IPv4 or IPv6. */
  ipProto?: IpProtocol | number;
  /** Type of service or traffic class. */
  ipTos?: Masked;
  /** Time to live or hop limit. */
  ipTtl?: Masked;
  /** Whether it is a fragment, and the first one. */
  ipFlags?: readonly FlowerIpFlag[];
  /** The source: `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`, or with a mask as an address. */
  srcIp?: string;
  /** The destination, as `srcIp`. */
  dstIp?: string;
  /** The source port of TCP, UDP or SCTP. */
  srcPort?: Masked | PortRange;
  /** The destination port of TCP, UDP or SCTP. */
  dstPort?: Masked | PortRange;
  /** Flags of TCP, as bits. */
  tcpFlags?: Masked;
  /** The type of ICMP or ICMPv6. */
  icmpType?: Masked;
  /** The code of ICMP or ICMPv6. */
  icmpCode?: Masked;
  /** The operation of ARP. */
  arpOp?: ArpOperation | Masked;
  /** The source address in ARP. */
  arpSip?: string;
  /** The destination address in ARP. */
  arpTip?: string;
  /** The source MAC address in ARP. */
  arpSha?: string;
  /** The destination MAC address in ARP. */
  arpTha?: string;
  /** The label of MPLS. */
  mplsLabel?: number;
  /** The traffic class of MPLS. */
  mplsTc?: number;
  /** The bottom of the stack of MPLS: 0 or 1. */
  mplsBos?: number;
  /** The time to live of MPLS. */
  mplsTtl?: number;
  /** Entries of a stack of MPLS, in place of the four above. */
  mpls?: readonly FlowerMplsEntry[];
  /** The key of the tunnel that the packet came by: the VNI of VXLAN. */
  encKeyId?: number;
  /** The source of the tunnel's packet. */
  encSrcIp?: string;
  /** The destination of the tunnel's packet. */
  encDstIp?: string;
  /** The UDP destination port of the tunnel's packet. */
  encDstPort?: Masked;
  /** Type of service of the tunnel's packet. */
  encTos?: Masked;
  /** Time to live of the tunnel's packet. */
  encTtl?: Masked;
  /** Connection tracking, as in `tc`: `+trk+est-new`; the flags are trk, new, est, rel, inv and rpl. */
  ctState?: string;
  /** The zone of connection tracking. */
  ctZone?: Masked;
  /** The mark of the connection. */
  ctMark?: Masked;
  /** The label of the connection: 32 hexadecimal digits, also with a mask of as many. */
  ctLabel?: string;
}

/** A form of a field. */
export interface Form {
  /** The attribute, also that of the mask. */
  field(type: number): Field<unknown>;
  /** The value and the mask on the wire. */
  parse(value: unknown, path: string): readonly [value: unknown, mask: unknown];
  /** The value as an option; without a mask the kernel compares all bits. */
  format(value: unknown, mask: unknown): unknown;
  /** The word of `tc`. */
  word(value: unknown): string;
}

const MASKED: OptionNames<MaskedNumber> = { value: true, mask: true };

/** A number, which may have words. */
function number(
  field: (type: number) => Field<number>,
  max: number,
  { words = {}, radix = 10, bare = false }: {
    words?: Readonly<Record<string, number>>;
    radix?: number;
    /** `tc` reads hexadecimal digits without 0x. */
    bare?: boolean;
  } = {},
): Form {
  const valueOf = (value: unknown, path: string) =>
    typeof value === "string" && Object.keys(words).length > 0
      ? wordValue(value, words, path)
      : integer(value as number, path, 0, max);
  const text = (value: unknown) =>
    typeof value !== "number"
      ? String(value)
      : bare
      ? value.toString(16)
      : radix === 16
      ? `0x${value.toString(16)}`
      : `${value}`;
  const wordOf = (value: number) => Object.keys(words).find((it) => words[it] === value) ?? value;
  return {
    field: field as (type: number) => Field<unknown>,
    parse: (given, path) => {
      if (typeof given !== "object" || given === null) return [valueOf(given, path), max];
      checkOptions(given, MASKED, path);
      const { value, mask } = given as MaskedNumber;
      return [valueOf(value, `${path}.value`), integer(mask, `${path}.mask`, 0, max)];
    },
    format: (value, mask = max) => mask === max ? wordOf(value as number) : { value, mask },
    word: (value) => {
      if (typeof value !== "object" || value === null) return text(value);
      const { value: bits, mask } = value as MaskedNumber;
      return `${text(bits)}/${text(mask)}`;
    },
  };
}

/** Bytes as text, which may have a mask behind a slash. */
function bytes(
  parse: (text: string, path: string) => readonly [Uint8Array, Uint8Array],
  format: (value: Uint8Array, mask: Uint8Array | undefined) => string,
): Form {
  return {
    field: (type) => ({
      type,
      write: (w, value) => w.append(value as Uint8Array),
      read: (s, at, length) => s.bytes.slice(at, at + length),
    }),
    parse: (value, path) => parse(value as string, path),
    format: (value, mask) => format(value as Uint8Array, mask as Uint8Array | undefined),
    word: String,
  };
}

const isFull = (mask: Uint8Array | undefined) => !mask || mask.every((byte) => byte === 0xff);

const mac = bytes((text, path) => {
  if (typeof text !== "string") {
    throw new TypeError(`${path} must be a MAC address: got ${show(text)}`);
  }
  const [value, mask = "ff:ff:ff:ff:ff:ff"] = text.split("/") as [string, string?];
  return [inPath(path, () => parseMac(value)), inPath(path, () => parseMac(mask))];
}, (value, mask) => formatMac(value) + (isFull(mask) ? "" : `/${formatMac(mask!)}`));

/** The mask of a prefix. */
function maskOf(length: number, size: number): Uint8Array {
  return Uint8Array.from(
    { length: size },
    (_, i) => 0xff00 >> Math.min(8, Math.max(0, length - i * 8)),
  );
}

const ip = bytes((text, path) => {
  const [value, rest] = typeof text === "string" ? text.split("/") as [string, string?] : [""];
  const address = tryParseIp(value);
  const most = (address?.length ?? 0) * 8;
  const length = rest === undefined ? most : /^\d+$/.test(rest) ? Number(rest) : undefined;
  const mask = length === undefined
    ? tryParseIp(rest!)
    : length <= most && maskOf(length, most / 8);
  if (address && mask && mask.length === address.length) {
    return [address.map((byte, i) => byte & mask[i]!), mask];
  }
  throw new TypeError(
    `${path} must be an address, also with a prefix length or a mask, such as "10.0.0.0/8": got ${
      show(text)
    }`,
  );
}, (value, mask) => {
  if (isFull(mask)) return formatIp(value);
  const bits = Array.from(mask!, (byte) => byte.toString(2).padStart(8, "0")).join("");
  const length = bits.indexOf("0");
  return `${formatIp(value)}/${bits.includes("1", length) ? formatIp(mask!) : length}`;
});

const hexBytes = (text: string) =>
  Uint8Array.from(text.match(/../g)!, (pair) => parseInt(pair, 16));
const hexText = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const labels = bytes((text, path) => {
  const [, value, mask = "f".repeat(32)] =
    /^([0-9a-f]{32})(?:\/([0-9a-f]{32}))?$/i.exec(String(text)) ?? [];
  if (value !== undefined) return [hexBytes(value), hexBytes(mask)];
  throw new TypeError(
    `${path} must have 32 hexadecimal digits, and a mask may have as many behind "/": got ${
      show(text)
    }`,
  );
}, (value, mask) => hexText(value) + (isFull(mask) ? "" : `/${hexText(mask!)}`));

/** Bits that have words, each of them set, cleared or not compared. */
function flags(
  field: (type: number) => Field<number>,
  bits: Readonly<Record<string, number>>,
  text: {
    parse(value: unknown, path: string): [word: string, set: boolean][];
    format: Form["format"];
    word: Form["word"];
  },
): Form {
  return {
    field: field as (type: number) => Field<unknown>,
    parse: (given, path) => {
      let [value, mask] = [0, 0];
      for (const [word, set] of text.parse(given, path)) {
        const bit = wordValue(word, bits, path);
        mask |= bit;
        if (set) value |= bit;
      }
      return [value, mask];
    },
    format: text.format,
    word: text.word,
  };
}

/** Flags of connection tracking (`TCA_FLOWER_KEY_CT_FLAGS_*`). */
const CT_FLAGS = { new: 1, est: 2, rel: 4, trk: 8, inv: 16, rpl: 32 } as const;

const ctState = flags(u16, CT_FLAGS, {
  parse: (value, path) => {
    if (typeof value === "string" && /^(?:[+-][a-z]+)+$/.test(value)) {
      return Array.from(
        value.matchAll(/([+-])([a-z]+)/g),
        ([, sign, word]) => [word!, sign === "+"],
      );
    }
    throw new TypeError(`${path} must be flags such as "+trk+est-new": got ${show(value)}`);
  },
  format: (value, mask) =>
    Object.entries(CT_FLAGS).filter(([, bit]) => bit & (mask as number))
      .map(([word, bit]) => (bit & (value as number) ? "+" : "-") + word).join(""),
  word: String,
});

/** `TCA_FLOWER_KEY_FLAGS_*`. */
const IP_FLAGS = { frag: 1, firstfrag: 2 } as const;

const ipFlags = flags(be32, IP_FLAGS, {
  parse: (value, path) => {
    if (Array.isArray(value)) {
      return value.map((word) => [String(word).replace(/^no/, ""), !String(word).startsWith("no")]);
    }
    throw new TypeError(`${path} must be an array of words such as "frag": got ${show(value)}`);
  },
  format: (value, mask) =>
    Object.entries(IP_FLAGS).filter(([, bit]) => bit & (mask as number))
      .map(([word, bit]) => bit & (value as number) ? word : `no${word}`),
  word: (value) => (value as string[]).join("/"),
});

const IP_PROTOCOLS: Readonly<Record<IpProtocol, number>> = {
  tcp: 6,
  udp: 17,
  sctp: 132,
  icmp: 1,
  icmpv6: 58,
};
const PPP: Readonly<Record<PppProtocol, number>> = {
  ip: 0x21,
  ipv6: 0x57,
  mpls_uc: 0x281,
  mpls_mc: 0x283,
};
const ARP: Readonly<Record<ArpOperation, number>> = { request: 1, reply: 2 };

/** The forms by name. */
export const FORMS = {
  mac,
  ip,
  labels,
  ctState,
  ipFlags,
  u8: number(u8, 0xff),
  hex8: number(u8, 0xff, { radix: 16 }),
  bit: number(u8, 1),
  bits3: number(u8, 7),
  u16: number(u16, 0xffff),
  vlan: number(u16, 4095),
  be16: number(be16, 0xffff),
  port: number(be16, 0xffff),
  tcpFlags: number(be16, 0xfff, { radix: 16 }),
  u32: number(u32, 0xffffffff),
  label: number(u32, 0xfffff),
  be32: number(be32, 0xffffffff),
  ethertype: number(be16, 0xffff, { words: ETHERTYPES, radix: 16 }),
  ppp: number(be16, 0xffff, { words: PPP, radix: 16 }),
  ipProto: number(u8, 0xff, { words: IP_PROTOCOLS, bare: true }),
  arpOp: number(u8, 0xff, { words: ARP }),
} as const satisfies Readonly<Record<string, Form>>;
