/**
 * The numbers and addresses of headers: protocols, VLAN tags, and the text forms of addresses: Ethernet
 * (`02:00:00:00:00:01`), IPv4, IPv6 (RFC 4291 in, RFC 5952 out) and prefixes of them.
 *
 * @module
 */

/** EtherTypes: `ETH_P_*` of `linux/if_ether.h`. */
export const ETHERTYPE = {
  IP: 0x0800,
  ARP: 0x0806,
  RARP: 0x8035,
  "8021Q": 0x8100,
  IPV6: 0x86dd,
  "8021AD": 0x88a8,
  QINQ1: 0x9100,
  QINQ2: 0x9200,
} as const;

/** Link types: the first header of frames in a capture file, `LINKTYPE_*` of tcpdump.org. */
export const LINKTYPE = {
  ETHERNET: 1,
  RAW: 101,
  IEEE802_11: 105,
  LINUX_SLL: 113,
  IEEE802_11_RADIOTAP: 127,
  USER0: 147,
  IPV4: 228,
  IPV6: 229,
  LINUX_SLL2: 276,
} as const;

/** Protocols over IP: `IPPROTO_*` of `linux/in.h` and `linux/in6.h`. */
export const IPPROTO = {
  HOPOPTS: 0,
  ICMP: 1,
  IPIP: 4,
  TCP: 6,
  UDP: 17,
  IPV6: 41,
  ROUTING: 43,
  FRAGMENT: 44,
  ESP: 50,
  AH: 51,
  ICMPV6: 58,
  NONE: 59,
  DSTOPTS: 60,
} as const;

/** A VLAN tag of a frame. */
export interface VlanTag {
  /** EtherType of the tag: 0x8100 (802.1Q, the default), 0x88a8 (802.1ad), 0x9100 or 0x9200. */
  readonly protocol?: number;
  /** Number of the VLAN, 0..4095. */
  readonly vid: number;
  /** Priority code point, 0..7; default 0. */
  readonly pcp?: number;
  /** Whether the frame may be dropped first; default `false`. */
  readonly dei?: boolean;
}

/** An IP address with a prefix length. */
export interface Prefix {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** Number of leading bits of the network: 0..32 or 0..128. */
  readonly length: number;
}

const HEX: readonly string[] = Array.from(
  { length: 256 },
  (_, i) => i.toString(16).padStart(2, "0"),
);
const COLON_HEX: readonly string[] = HEX.map((hex) => `:${hex}`);

const DOT = 0x2e;
const ZERO = 0x30;

/** Formats bytes as `02:00:00:00:00:01`, from offset `at`. */
export function formatMac(bytes: Uint8Array, at = 0, length: number = bytes.length - at): string {
  if (length === 0) return "";
  let text = HEX[bytes[at]!]!;
  for (let i = at + 1; i < at + length; i++) text += COLON_HEX[bytes[i]!]!;
  return text;
}

/**
 * Parses `02:00:00:00:00:01` or `02-00-...` into bytes.
 *
 * @throws {TypeError} When it is not six bytes in hexadecimal.
 */
export function parseMac(text: string): Uint8Array {
  if (!/^[0-9a-f]{1,2}([:-][0-9a-f]{1,2}){5}$/i.test(text)) {
    throw new TypeError(
      `${JSON.stringify(text)} is not an Ethernet address such as "02:00:00:00:00:01"`,
    );
  }
  return Uint8Array.from(text.split(/[:-]/), (part) => parseInt(part, 16));
}

/** Formats 4 or 16 bytes as an IP address. */
export function formatIp(bytes: Uint8Array, at = 0, length: number = bytes.length - at): string {
  if (length === 4) return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(bytes[at + i]! << 8 | bytes[at + i + 1]!);
  // RFC 5952: the longest run of two or more zero groups, the first of equals, becomes "::".
  let best = -1;
  let most = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && groups[i + n] === 0) n++;
    if (n > most) [best, most] = [i, n];
    i += n;
  }
  const mapped = best === 0 && most === 5 && groups[5] === 0xffff;
  if (mapped) return `::ffff:${formatIp(bytes, at + 12, 4)}`;
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (best < 0) return hex(groups);
  return `${hex(groups.slice(0, best))}::${hex(groups.slice(best + most))}`;
}

/** Parses an IPv4 or IPv6 address into 4 or 16 bytes, or returns `undefined`. */
export function tryParseIp(text: string): Uint8Array | undefined {
  return text.includes(":") ? tryParseIpv6(text) : tryParseIpv4(text);
}

/**
 * Parses an IPv4 or IPv6 address into 4 or 16 bytes.
 *
 * @throws {TypeError} When it is neither.
 */
export function parseIp(text: string): Uint8Array {
  const bytes = typeof text === "string" ? tryParseIp(text) : undefined;
  if (!bytes) throw new TypeError(`${JSON.stringify(text)} is not an IP address`);
  return bytes;
}

/**
 * Parses an IPv4 address into 4 bytes.
 *
 * @throws {TypeError} When it is none.
 */
export function parseIpv4(text: string): Uint8Array {
  const bytes = typeof text === "string" ? tryParseIpv4(text) : undefined;
  if (!bytes) throw new TypeError(`${JSON.stringify(text)} is not an IPv4 address`);
  return bytes;
}

/**
 * Parses an IPv6 address into 16 bytes.
 *
 * @throws {TypeError} When it is none.
 */
export function parseIpv6(text: string): Uint8Array {
  const bytes = typeof text === "string" ? tryParseIpv6(text) : undefined;
  if (!bytes) throw new TypeError(`${JSON.stringify(text)} is not an IPv6 address`);
  return bytes;
}

/**
 * Parses `192.168.123.1/24` or `2001:db8::1/64`; without a length it is the whole address.
 *
 * @throws {TypeError} When the address or the length is malformed.
 */
export function parsePrefix(text: string): Prefix {
  const slash = typeof text === "string" ? text.indexOf("/") : 0;
  const address = slash === 0 ? undefined : tryParseIp(slash < 0 ? text : text.slice(0, slash));
  const most = address ? address.length * 8 : 0;
  const bits = slash > 0 ? text.slice(slash + 1) : "";
  const length = slash < 0 ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : NaN;
  if (!address || !(length <= most)) {
    throw new TypeError(
      `${JSON.stringify(text)} is not an IP prefix such as "192.168.123.1/24" or "2001:db8::1/64"`,
    );
  }
  return { address, length };
}

function tryParseIpv4(text: string): Uint8Array | undefined {
  const number = ipv4Number(text);
  if (number < 0) return undefined;
  return Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number);
}

/**
 * Parses an IPv4 address into its 32-bit number, or returns -1. By character codes: split and RegExp take
 * ten times as long; and without an array: making one takes longer than the parsing.
 *
 * @param text The address.
 * @param end Where it ends in the text. Default: with the text.
 */
export function ipv4Number(text: string, end: number = text.length): number {
  let address = 0;
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT && digits > 0 && part < 3) {
      address = address * 256 + value;
      part++;
      digits = value = 0;
    } else if (code >= ZERO && code <= ZERO + 9) {
      // A leading zero means octal to some programs and decimal to others: refused.
      if (digits++ > 0 && value === 0) return -1;
      value = value * 10 + code - ZERO;
      if (value > 255) return -1;
    } else return -1;
  }
  return part === 3 && digits > 0 ? address * 256 + value : -1;
}

function tryParseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1]!, true) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  groups.forEach((group, i) => {
    bytes[i * 2] = group >> 8;
    bytes[i * 2 + 1] = group;
  });
  return bytes;
}

/** The 16-bit groups of one side of "::"; `last` may end in dotted IPv4. */
function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && part.includes(".")) {
      const v4 = tryParseIpv4(part);
      if (!v4) return undefined;
      groups.push(v4[0]! << 8 | v4[1]!, v4[2]! << 8 | v4[3]!);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(parseInt(part, 16));
    else return undefined;
  }
  return groups;
}
