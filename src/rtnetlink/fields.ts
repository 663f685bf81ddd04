/**
 * Codecs that the message families share: addresses, names, groups of switches, `struct tcmsg`.
 *
 * @module
 */
import { type Field, text } from "../netlink/attribute.ts";
import { byteLength, type Source, type Writer } from "../netlink/bytes.ts";
import {
  formatIp,
  formatMac,
  ipv4Number,
  parseIp,
  parseMac,
  type Prefix,
  tryParseIp,
} from "../packet/address.ts";
import { integer, show, wordValue } from "../options.ts";
import { AF } from "./constants.ts";

/** An address family of IP, by iproute2's words: IPv4 and IPv6. */
export type IpFamily = "inet" | "inet6";

const IP_FAMILIES: Readonly<Record<IpFamily, number>> = { inet: AF.INET, inet6: AF.INET6 };

/**
 * The number of a family; AF_UNSPEC for none.
 *
 * @throws {TypeError} For any other value than the words of {@link IpFamily}.
 */
export function familyNumber(family: IpFamily | undefined, path = "family"): number {
  return family === undefined ? AF.UNSPEC : wordValue(family, IP_FAMILIES, path);
}

/**
 * The word for a family's number. Dumps of all families and notifications carry others than IP's: their
 * number stays a number, by which {@link isOfFamily} drops them.
 */
export function familyWord(family: number): IpFamily {
  if (family === AF.INET) return "inet";
  return family === AF.INET6 ? "inet6" : family as number & IpFamily;
}

/** Whether an entry is of the wanted family; without one, of any family of IP. */
export function isOfFamily(family: IpFamily, wanted: IpFamily | undefined): boolean {
  return wanted === undefined ? Object.hasOwn(IP_FAMILIES, family) : family === wanted;
}

/** iproute2's option for a family: ` -6`; empty for none. */
export function familyOption(family: IpFamily | undefined): string {
  return family === undefined ? "" : family === "inet6" ? " -6" : " -4";
}

/** An Ethernet address as `02:00:00:00:00:01`; of any length when read, of six bytes when written. */
export function mac(type: number): Field<string> {
  return {
    type,
    write: (w, value, path) => w.append(inPath(path, () => parseMac(value))),
    read: (s, at, length) => formatMac(s.bytes, at, length),
  };
}

/** An Ethernet address in the kernel's spelling. Throws a `TypeError` for anything else. */
export function checkMac(text: string, path: string): string {
  return formatMac(inPath(path, () => parseMac(text)));
}

/**
 * The lengths that link-layer addresses have in Linux: Phonet, IEEE 802.15.4, IPv4 tunnels, Ethernet,
 * AX.25, FireWire and 6LoWPAN, IPv6 tunnels, InfiniBand, MCTP. Others are slips of the keyboard, which the
 * kernel answers with a bare EINVAL, or cuts off.
 */
const ADDRESS_LENGTHS: readonly number[] = [1, 2, 4, 6, 7, 8, 16, 20, 32];

/**
 * A link-layer address as iproute2 shows it: Ethernet `02:00:00:00:00:01`, 4 and 16 bytes (tunnels) as an
 * IP address, other lengths (InfiniBand has 20 bytes) in hexadecimal.
 */
export function linkAddress(type: number): Field<string> {
  return { type, write: (w, value, path) => w.append(parseLinkAddress(value, path)), read: readIp };
}

/**
 * Parses a link-layer address: an IP address, or bytes in hexadecimal.
 *
 * @throws {TypeError} For anything else.
 */
export function parseLinkAddress(text: string, path: string): Uint8Array {
  if (typeof text === "string") {
    if (/^[0-9a-f]{1,2}([:-][0-9a-f]{1,2})*$/i.test(text)) {
      const bytes = Uint8Array.from(text.split(/[:-]/), (part) => parseInt(part, 16));
      // Eight groups of one or two digits are an IPv6 address, too: they count as bytes.
      if (ADDRESS_LENGTHS.includes(bytes.length)) return bytes;
    }
    const address = tryParseIp(text);
    if (address) return address;
  }
  throw new TypeError(
    `${path}: ${show(text)} is not a link-layer address such as "02:00:00:00:00:01"`,
  );
}

/** An IPv4 or IPv6 address as text. */
export function ip(type: number): Field<string> {
  return { type, write: writeIp, read: readIp };
}

/** Appends the bytes of an address. */
function writeIp(writer: Writer, text: string, path: string): void {
  const number = typeof text === "string" ? ipv4Number(text) : -1;
  if (number < 0) return writer.append(inPath(path, () => parseIp(text)));
  const at = writer.reserve(4);
  writer.view.setUint32(at, number);
}

/**
 * Appends a network as an attribute, and returns the length of its prefix. IPv4 takes a short way: routes
 * come by the hundred thousand.
 *
 * @throws {TypeError} As {@link checkNetwork}, and for a network of the other family.
 * @throws {RangeError} As {@link checkNetwork}.
 */
export function writeNetwork(
  writer: Writer,
  type: number,
  text: string,
  family: number,
  path: string,
): number {
  const slash = typeof text === "string" ? text.indexOf("/") : -1;
  const number = slash > 0 && family === AF.INET ? ipv4Number(text, slash) : -1;
  const bits = number < 0 ? -1 : shortNumber(text, slash + 1);
  if (bits >= 0 && bits <= 32 && (bits === 32 || (number & 0xffffffff >>> bits) === 0)) {
    const at = writer.begin(type);
    const address = writer.reserve(4); // may replace the view
    writer.view.setUint32(address, number);
    writer.end(at);
    return bits;
  }
  const { address, length } = checkNetwork(text, path);
  const at = writer.begin(type);
  writer.append(checkFamily(address, family, path));
  writer.end(at);
  return length;
}

/** One or two digits at the end of a text as a number; -1 for anything else. */
function shortNumber(text: string, at: number): number {
  const digits = text.length - at;
  if (digits < 1 || digits > 2) return -1;
  const [high, low] = [
    digits === 2 ? text.charCodeAt(at) - 48 : 0,
    text.charCodeAt(text.length - 1) - 48,
  ];
  return high >= 0 && high <= 9 && low >= 0 && low <= 9 ? high * 10 + low : -1;
}

/** Returns an address, or throws when it is not of the family. */
export function checkFamily(address: Uint8Array, family: number, path: string): Uint8Array {
  if ((address.length === 16) === (family === AF.INET6)) return address;
  const version = family === AF.INET6 ? "IPv6" : "IPv4";
  throw new TypeError(`${path} must be an ${version} address: got ${show(formatIp(address))}`);
}

function readIp({ bytes }: Source, at: number, length: number): string {
  return length === 4 || length === 16 ? formatIp(bytes, at, length) : formatMac(bytes, at, length);
}

/**
 * Parses an IP address with a prefix length, `192.168.123.1/24`; without a length it is the whole address.
 *
 * @throws {TypeError} For a malformed address or length.
 * @throws {RangeError} For a length beyond the address.
 */
export function checkPrefix(text: string, path: string): Prefix {
  const slash = typeof text === "string" ? text.indexOf("/") : -1;
  const address = typeof text !== "string"
    ? undefined
    : tryParseIp(slash < 0 ? text : text.slice(0, slash));
  if (!address) {
    throw new TypeError(
      `${path}: ${show(text)} is not an IP prefix such as "192.168.123.1/24" or "2001:db8::1/64"`,
    );
  }
  const most = address.length * 8;
  if (slash < 0) return { address, length: most };
  const digits = text.slice(slash + 1);
  if (!/^\d+$/.test(digits)) {
    throw new TypeError(
      `${path} must have a prefix length in 0..${most} after "/": got ${show(text)}`,
    );
  }
  return { address, length: integer(Number(digits), `prefix length of ${show(text)}`, 0, most) };
}

/**
 * Parses a network, `10.0.0.0/8`: a prefix without bits behind its length.
 *
 * @throws {TypeError} For a malformed prefix, and for one with such bits.
 * @throws {RangeError} For a length beyond the address.
 */
export function checkNetwork(text: string, path: string): Prefix {
  const prefix = checkPrefix(text, path);
  const { address, length } = prefix;
  const maskAt = (i: number) => 0xff00 >> Math.min(8, Math.max(0, length - i * 8)) & 0xff;
  let at = length >> 3;
  while (at < address.length && (address[at]! & ~maskAt(at)) === 0) at++;
  if (at === address.length) return prefix;
  const network = address.map((byte, i) => byte & maskAt(i));
  throw new TypeError(
    `${path}: ${show(text)} has bits set behind its prefix length; ` +
      `did you mean ${show(`${formatIp(network)}/${length}`)}?`,
  );
}

/** A field the kernel reports and nobody sets in this set: writing it is a `TypeError` with `why`. */
export function readOnly<T>(field: Field<T>, why = "is read only"): Field<T> {
  return {
    ...field,
    write: (_writer, _value, path) => {
      throw new TypeError(`${path} ${why}`);
    },
  };
}

/**
 * The number in a byte of a header, given by its word or itself.
 *
 * @throws {TypeError} For an unknown word and for what is no integer.
 * @throws {RangeError} For a number that a byte cannot hold.
 */
export function byteValue(
  value: string | number,
  names: Readonly<Record<string, number>>,
  path: string,
): number {
  return typeof value === "string" ? wordValue(value, names, path) : integer(value, path, 0, 255);
}

/** Writes a field's payload at `at`, into a fixed header that is reserved already. */
export function writeInHeader<T>(
  writer: Writer,
  at: number,
  field: Field<T>,
  value: T,
  path: string,
): void {
  const end = writer.length;
  field.write(writer, value, path);
  writer.bytes.copyWithin(at, end, writer.length);
  writer.length = end;
}

/** A link's name, checked by {@link checkLinkName}. */
export function linkName(type: number): Field<string> {
  const field = text(type);
  return { ...field, write: (w, value, path) => field.write(w, checkLinkName(value, path), path) };
}

/**
 * Checks a link's name as the kernel does: 1 to 15 bytes, no slash, colon or white space, not `.` or
 * `..`; and no `%`, which the kernel takes for a pattern when it stands before `d`.
 *
 * @throws {TypeError} When it is not a name.
 * @throws {RangeError} When it is too long.
 */
export function checkLinkName(name: string, path = "name"): string {
  if (name === undefined) {
    throw new TypeError(`${path} is missing: a link needs a name of 1 to 15 bytes, such as "eth0"`);
  }
  if (!hasLinkNameForm(name)) {
    throw new TypeError(
      `${path} must be a link name, without "/", ":", "%" and white space: got ${show(name)}`,
    );
  }
  const bytes = byteLength(name);
  if (bytes > 15) {
    throw new RangeError(
      `${path} must have at most 15 bytes: ${show(name)} has ${bytes}`,
    );
  }
  return name;
}

/** Whether a text can be the name of a link: what {@link checkLinkName} accepts. */
export function isLinkName(name: unknown): boolean {
  return hasLinkNameForm(name) && byteLength(name) <= 15;
}

function hasLinkNameForm(name: unknown): name is string {
  return typeof name === "string" && /^[^/:%\s\0]+$/.test(name) && name !== "." && name !== "..";
}

/** An alternative name, checked by {@link checkAltName}. */
export function altName(type: number): Field<string> {
  const field = text(type);
  return { ...field, write: (w, value, path) => field.write(w, checkAltName(value, path), path) };
}

/**
 * Checks an alternative name as iproute2 does: 1 to 127 bytes, no slash or white space. The kernel
 * takes any text, also none, by which nobody could find the link.
 *
 * @throws {TypeError} When it is not a name.
 * @throws {RangeError} When it is too long.
 */
export function checkAltName(name: string, path = "name"): string {
  if (typeof name !== "string" || !/^[^/\s\0]+$/.test(name)) {
    throw new TypeError(
      `${path} must be a name without "/" and white space: got ${show(name)}`,
    );
  }
  const bytes = byteLength(name);
  if (bytes > 127) {
    throw new RangeError(`${path} must have at most 127 bytes: ${show(name)} has ${bytes}`);
  }
  return name;
}

/**
 * Checks a link's index.
 *
 * @throws {TypeError} For what is no integer.
 * @throws {RangeError} For a number outside 1..2147483647.
 */
export function checkIndex(index: number, path = "index"): number {
  return integer(index, path, 1, 0x7fffffff);
}

/** Names the option in the error of a parser. */
export function inPath<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof TypeError) throw new TypeError(`${path}: ${error.message}`);
    throw error;
  }
}

/** A name as the kernel and iproute2 spell it: `vlan_filtering` for `vlanFiltering`. */
export function kernelWord(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Groups switches that the kernel keeps in one attribute under `group`. */
export function groupSwitches<D>(
  options: object,
  switches: Readonly<Record<string, number>>,
  group: string,
): D {
  const data: Record<string, unknown> = {};
  const grouped: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    if (value !== undefined) (Object.hasOwn(switches, key) ? grouped : data)[key] = value;
  }
  if (Object.keys(grouped).length > 0) data[group] = grouped;
  return data as D;
}

/** Attribute numbers of queueing disciplines, classes and filters. */
export const TCA = {
  KIND: 1,
  OPTIONS: 2,
  STATS: 3,
  XSTATS: 4,
  RATE: 5,
  FCNT: 6,
  STATS2: 7,
  STAB: 8,
  PAD: 9,
  DUMP_INVISIBLE: 10,
  CHAIN: 11,
  HW_OFFLOAD: 12,
  INGRESS_BLOCK: 13,
  EGRESS_BLOCK: 14,
} as const;

/** Words for the parents of queueing disciplines (`TC_H_*`, `linux/pkt_sched.h`). */
export const QDISC_PARENTS: Readonly<Record<string, number>> = {
  root: 0xffffffff,
  ingress: 0xfffffff1,
};

/** Words for the parents of filters (`TC_H_*`): the places of clsact, and the root. */
export const FILTER_PARENTS: Readonly<Record<string, number>> = {
  root: 0xffffffff,
  ingress: 0xfffffff2,
  egress: 0xfffffff3,
};

/** A handle as `tc` shows it. */
export function formatHandle(
  handle: number,
  words: Readonly<Record<string, number>> = {},
): string {
  for (const word in words) if (words[word] === handle) return word;
  const [major, minor] = [handle >>> 16, handle & 0xffff];
  const tail = minor ? minor.toString(16) : "";
  return `${major || !minor ? major.toString(16) : ""}:${tail}`;
}

/** `struct tcmsg`, the head of messages about queueing disciplines, classes and filters. */
export interface TcHeader {
  /** Index of the link. */
  index: number;
  /** The object's own number. */
  handle?: number;
  /** The number of its parent. */
  parent?: number;
  /** References of a queueing discipline; priority and protocol of a filter. */
  info?: number;
}

/** Length of `struct tcmsg`. */
export const TCMSG = 20;

/** Appends `struct tcmsg`. */
export function writeTcHeader(writer: Writer, message: TcHeader): void {
  const at = writer.reserve(TCMSG);
  const { view } = writer;
  view.setInt32(at + 4, message.index, true);
  view.setUint32(at + 8, message.handle ?? 0, true);
  view.setUint32(at + 12, message.parent ?? 0, true);
  view.setUint32(at + 16, message.info ?? 0, true);
}

/** Reads `struct tcmsg`. */
export function readTcHeader({ view }: Source, start: number): Required<TcHeader> {
  return {
    index: view.getInt32(start + 4, true),
    handle: view.getUint32(start + 8, true),
    parent: view.getUint32(start + 12, true),
    info: view.getUint32(start + 16, true),
  };
}
