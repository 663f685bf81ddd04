/**
 * IP addresses of links: RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR (`linux/if_addr.h`).
 *
 * @module
 */
import { type Field, named, struct, text, u32, u8 } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import { NLM_F } from "../netlink/constants.ts";
import type { DumpRequest, MessageFormat, Request } from "../netlink/message.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import { formatIp } from "../packet/address.ts";
import { AF, RTM } from "./constants.ts";
import {
  checkPrefix,
  familyNumber,
  familyOption,
  familyWord,
  ip,
  type IpFamily,
  isOfFamily,
  writeInHeader,
} from "./fields.ts";
import { checkOptions, type OptionNames, show, wordValue } from "../options.ts";

/** Attribute numbers. */
export const IFA = {
  ADDRESS: 1,
  LOCAL: 2,
  LABEL: 3,
  BROADCAST: 4,
  ANYCAST: 5,
  CACHEINFO: 6,
  MULTICAST: 7,
  FLAGS: 8,
  RT_PRIORITY: 9,
  TARGET_NETNSID: 10,
  PROTO: 11,
} as const;

/** Bits of an address's flags. */
export const IFA_F = {
  SECONDARY: 0x01,
  NODAD: 0x02,
  OPTIMISTIC: 0x04,
  DADFAILED: 0x08,
  HOMEADDRESS: 0x10,
  DEPRECATED: 0x20,
  TENTATIVE: 0x40,
  PERMANENT: 0x80,
  MANAGETEMPADDR: 0x100,
  NOPREFIXROUTE: 0x200,
  MCAUTOJOIN: 0x400,
  STABLE_PRIVACY: 0x800,
} as const;

/** A flag of an address that can be set, by iproute2's word. */
export type AddressOption =
  /** IPv6: used at once, without duplicate address detection. */
  | "nodad"
  /** IPv6: used while duplicate address detection runs. Needs `optimistic_dad`. */
  | "optimistic"
  /** IPv6: the home address of Mobile IPv6. */
  | "home"
  /** IPv6: the kernel makes temporary addresses of it (RFC 8981); needs a prefix length of 64. */
  | "mngtmpaddr"
  /** The kernel adds no route to the address's network. */
  | "noprefixroute"
  /** The kernel joins the multicast group that the address is. */
  | "autojoin";

/** A flag of an address as the kernel reports it, by iproute2's word. */
export type AddressFlag =
  | AddressOption
  /** IPv4: the kernel removes it with the primary address of its network. IPv6: a temporary address. */
  | "secondary"
  /** IPv6: another host has the address. */
  | "dadfailed"
  /** Past its preferred lifetime: not used for new connections. */
  | "deprecated"
  /** IPv6: not used yet, duplicate address detection runs. */
  | "tentative"
  /** It has no lifetime. */
  | "permanent"
  /** IPv6: made by the method of RFC 7217. */
  | "stable-privacy";

const FLAGS: Readonly<Record<AddressFlag, number>> = {
  secondary: IFA_F.SECONDARY,
  nodad: IFA_F.NODAD,
  optimistic: IFA_F.OPTIMISTIC,
  dadfailed: IFA_F.DADFAILED,
  home: IFA_F.HOMEADDRESS,
  deprecated: IFA_F.DEPRECATED,
  tentative: IFA_F.TENTATIVE,
  permanent: IFA_F.PERMANENT,
  mngtmpaddr: IFA_F.MANAGETEMPADDR,
  noprefixroute: IFA_F.NOPREFIXROUTE,
  autojoin: IFA_F.MCAUTOJOIN,
  "stable-privacy": IFA_F.STABLE_PRIVACY,
};

/** The flags that can be set, and whether IPv4 has them. */
const SETTABLE: Readonly<Record<AddressOption, boolean>> = {
  nodad: false,
  home: false,
  mngtmpaddr: false,
  optimistic: false,
  noprefixroute: true,
  autojoin: true,
};

/** How far an address or a route reaches, by the names in /etc/iproute2/rt_scopes. */
export type Scope = "global" | "site" | "link" | "host" | "nowhere";

/** The numbers of {@link Scope}. */
export const SCOPES: Readonly<Record<Scope, number>> = {
  global: 0,
  site: 200,
  link: 253,
  host: 254,
  nowhere: 255,
};

/** How long an address is valid; `Infinity` for ever. */
export interface AddressLifetime {
  /** Seconds until it is deprecated. */
  preferred: number;
  /** Seconds until it is removed. */
  valid: number;
  /** When it was made, in hundredths of a second since boot; read only. */
  created?: number;
  /** When it was changed last, in hundredths of a second since boot; read only. */
  updated?: number;
}

/** Attributes as the kernel has them. */
interface AddressAttributes {
  address?: string;
  local?: string;
  label?: string;
  broadcast?: string;
  anycast?: string;
  multicast?: string;
  lifetime?: AddressLifetime;
  flags?: number;
  metric?: number;
  targetNetnsId?: number;
  protocol?: number;
}

/** An IP address to be set, without its link. */
export interface AddressEntry {
  /**
   * Address and prefix length: `192.168.123.1/24`. Without a length it is the address alone, /32 or /128,
   * and reaches no others.
   */
  address: string;
  /** The other end of a point-to-point link; then `address` is the local end. */
  peer?: string;
  /** IPv4 broadcast address; default: none. */
  broadcast?: string;
  /** IPv4 label: the link's name, or the name with `:` and a suffix. */
  label?: string;
  /** How far it reaches; default `global`, `host` for loopback addresses. */
  scope?: Scope | number;
  /** Options: `["nodad", "noprefixroute"]`; default: none. */
  flags?: readonly AddressOption[];
  /** Seconds that it lasts; default: for ever. */
  lifetime?: { preferred?: number; valid?: number };
  /** Metric of the route to its network; 0 is the kernel's default. */
  metric?: number;
  /** Its origin, IFAPROT_*: 0 unknown, 1 loopback, 2 router announcement, 3 link-local. Linux 5.18. */
  protocol?: number;
}

/** An IP address of a link, to be set. */
export interface AddressMessage extends AddressEntry {
  /** Index of the link. */
  index: number;
}

/** An address for a link: the text alone, or with its options. */
export type AddressOptions = string | AddressEntry;

const ENTRY: OptionNames<AddressEntry> = {
  address: true,
  peer: true,
  broadcast: true,
  label: true,
  scope: true,
  flags: true,
  lifetime: { preferred: true, valid: true },
  metric: true,
  protocol: true,
};

const MESSAGE: OptionNames<AddressMessage> = { ...ENTRY, index: true };

/** An IP address as the kernel reports it. */
export interface AddressInfo {
  /** Index of the link. */
  index: number;
  /** `inet` for IPv4, `inet6` for IPv6. */
  family: IpFamily;
  /** The local address with its prefix length: `192.168.123.1/24`. */
  address: string;
  /** The other end, where that differs. */
  peer?: string;
  /** IPv4 broadcast address. */
  broadcast?: string;
  /** IPv6 anycast address. */
  anycast?: string;
  /** IPv4 label. */
  label?: string;
  /** How far it reaches. */
  scope: Scope | number;
  /** The flags it has. */
  flags: AddressFlag[];
  /** How long it lasts. */
  lifetime?: AddressLifetime;
  /** Metric of the prefix route. */
  metric?: number;
  /** Who made it, IFAPROT_*. */
  protocol?: number;
}

const FOREVER = 0xffffffff;
const seconds = (value: number): number => value === FOREVER ? Infinity : value;
const fromSeconds = (value: number, path: string): number => {
  if (value === Infinity) return FOREVER;
  if (!Number.isInteger(value) || value < 0 || value >= FOREVER) {
    throw new RangeError(
      `${path} must be whole seconds below ${FOREVER} or Infinity: got ${value}`,
    );
  }
  return value;
};

/** `struct ifa_cacheinfo`. */
const lifetime: Field<AddressLifetime> = struct(IFA.CACHEINFO, 16, (v, at, value, path) => {
  v.setUint32(at, fromSeconds(value.preferred, `${path}.preferred`), true);
  v.setUint32(at + 4, fromSeconds(value.valid, `${path}.valid`), true);
}, (v, at) => ({
  preferred: seconds(v.getUint32(at, true)),
  valid: seconds(v.getUint32(at + 4, true)),
  created: v.getUint32(at + 8, true),
  updated: v.getUint32(at + 12, true),
}));

const addressSchema: Schema<AddressAttributes> = schema<AddressAttributes>("IFA_", IFA, {
  address: ip(IFA.ADDRESS),
  local: ip(IFA.LOCAL),
  label: text(IFA.LABEL, 15),
  broadcast: ip(IFA.BROADCAST),
  anycast: ip(IFA.ANYCAST),
  multicast: ip(IFA.MULTICAST),
  lifetime,
  flags: u32(IFA.FLAGS),
  metric: u32(IFA.RT_PRIORITY),
  targetNetnsId: u32(IFA.TARGET_NETNSID),
  protocol: u8(IFA.PROTO),
});

const scopeField = named(u8(0), SCOPES);

/** Reads `struct ifaddrmsg` and its attributes. */
export function readAddress(source: Source, start: number, end: number): AddressInfo {
  const { bytes, view } = source;
  const { address, local, flags, multicast, ...rest } = addressSchema.read(source, start + 8, end);
  const own = local ?? address ?? multicast ?? "";
  const info: AddressInfo = {
    index: view.getUint32(start + 4, true),
    family: familyWord(bytes[start]!),
    address: `${own}/${bytes[start + 1]}`,
    scope: scopeField.read(source, start + 3, 1),
    flags: flagNames(flags ?? bytes[start + 2]!),
    ...rest,
  };
  if (address !== undefined && address !== own) info.peer = address;
  return info;
}

function flagNames(bits: number): AddressFlag[] {
  return (Object.keys(FLAGS) as AddressFlag[]).filter((name) => bits & FLAGS[name]);
}

function flagBits(flags: readonly AddressOption[], family: number): number {
  let bits = 0;
  for (const [i, flag] of flags.entries()) {
    if (!wordValue(flag, SETTABLE, `flags[${i}]`) && family === AF.INET) {
      throw new TypeError(`flags[${i}]: ${show(flag)} is for IPv6 addresses`);
    }
    bits |= FLAGS[flag];
  }
  return bits;
}

function writeAddress(writer: Writer, message: AddressMessage): void {
  const { index, address: text, peer, scope, flags, lifetime, ...rest } = message;
  const { address, length } = checkPrefix(text, "address");
  const family = address.length === 4 ? AF.INET : AF.INET6;
  const bits = flagBits(flags ?? [], family);
  const at = writer.reserve(8);
  writer.bytes[at] = family;
  writer.bytes[at + 1] = length;
  writer.bytes[at + 2] = bits & 0xff;
  writer.view.setUint32(at + 4, index, true);
  const reach = scope ?? (family === AF.INET && address[0] === 127 ? "host" : "global");
  writeInHeader(writer, at + 3, scopeField, reach, "scope");
  const own = formatIp(address);
  const attributes: AddressAttributes = { ...rest, local: own, address: peer ?? own };
  if (flags !== undefined) attributes.flags = bits;
  if (lifetime) {
    const { preferred, valid = Infinity } = lifetime;
    attributes.lifetime = { preferred: preferred ?? valid, valid };
  }
  addressSchema.write(writer, attributes);
}

/** The framing of address messages. */
export const addressFormat: MessageFormat<AddressMessage, AddressInfo> = {
  headerLength: 8,
  schemaOf: () => addressSchema,
  write: writeAddress,
  read: readAddress,
};

function words(message: AddressMessage): string {
  const { index, address, peer, broadcast, label, scope, flags = [], lifetime, metric } = message;
  const local = peer === undefined ? ` ${address}` : ` ${address.split("/")[0]} peer ${peer}`;
  return local + (broadcast === undefined ? "" : ` broadcast ${broadcast}`) +
    ` dev if${index}` +
    (label === undefined ? "" : ` label ${label}`) +
    (scope === undefined ? "" : ` scope ${scope}`) +
    (metric === undefined ? "" : ` metric ${metric}`) +
    (lifetime?.valid === undefined ? "" : ` valid_lft ${forever(lifetime.valid)}`) +
    (lifetime?.preferred === undefined ? "" : ` preferred_lft ${forever(lifetime.preferred)}`) +
    flags.map((flag) => ` ${flag}`).join("");
}

function forever(value: number): number | string {
  return value === Infinity ? "forever" : value;
}

/**
 * The message for an address of a link. Of an {@link AddressInfo} it takes what can be set: an address is
 * moved to another link by giving what was read of it.
 *
 * @param entry The address.
 * @param index Index of the link.
 * @throws {TypeError} For an unknown option, and for a malformed address.
 */
export function addressMessage(entry: AddressOptions | AddressInfo, index: number): AddressMessage {
  if (typeof entry !== "object" || entry === null) {
    checkPrefix(entry, "address");
    return { address: entry, index };
  }
  const settable = "family" in entry ? settableAddress(entry) : entry;
  checkOptions(settable, ENTRY);
  checkPrefix(settable.address, "address");
  return { ...settable, index };
}

function settableAddress(info: AddressInfo): AddressEntry {
  const { index: _1, family: _2, anycast: _3, flags, lifetime, label, ...rest } = info;
  const { preferred = Infinity, valid = Infinity } = lifetime ?? {};
  return {
    ...rest,
    flags: flags.filter((flag) => Object.hasOwn(SETTABLE, flag)) as AddressOption[],
    // Without a suffix it is the name of the link that the address was on.
    ...(label?.includes(":") ? { label } : {}),
    ...(preferred === Infinity ? {} : { lifetime: { preferred, valid } }),
  };
}

/** Options of {@link newAddress}. */
export interface NewAddressOptions {
  /** Change the address where the link has it already; default: EEXIST. */
  readonly replace?: boolean;
}

const NEW_OPTIONS: OptionNames<NewAddressOptions> = { replace: true };

/** Adds an IP address to a link. */
export function newAddress(
  message: AddressMessage,
  options: NewAddressOptions = {},
): Request<undefined> {
  checkOptions(message, MESSAGE);
  checkOptions(options, NEW_OPTIONS);
  const { replace = false } = options;
  return {
    type: RTM.NEWADDR,
    typeName: "RTM_NEWADDR",
    flags: NLM_F.CREATE | (replace ? NLM_F.REPLACE : NLM_F.EXCL),
    operation: `add address ${message.address} to link ${message.index}`,
    format: addressFormat,
    message,
    command: () => `ip address ${replace ? "replace" : "add"}${words(message)}`,
  };
}

/**
 * Removes an IP address from a link. An {@link AddressInfo} will do. EADDRNOTAVAIL when the link has no
 * such address.
 */
export function deleteAddress(
  { index, address, peer }: AddressMessage | AddressInfo,
): Request<undefined> {
  const message = { index, address, ...(peer === undefined ? {} : { peer }) };
  return {
    type: RTM.DELADDR,
    typeName: "RTM_DELADDR",
    flags: 0,
    operation: `delete address ${address} from link ${index}`,
    format: addressFormat,
    message,
    command: () => `ip address delete${words(message)}`,
  };
}

/** Which addresses a dump has: those that match all that is given. */
export interface AddressFilter {
  /** Only addresses of the link with this index. */
  readonly index?: number;
  /** Only IPv4 (`inet`) or IPv6 (`inet6`). */
  readonly family?: IpFamily;
}

const FILTER: OptionNames<AddressFilter> = { index: true, family: true };

/** Reads the addresses of one link or of all. */
export function dumpAddresses(filter: AddressFilter = {}): DumpRequest<AddressInfo> {
  checkOptions(filter, FILTER);
  const { index = 0 } = filter;
  const family = familyNumber(filter.family);
  const request: DumpRequest<AddressInfo> = {
    type: RTM.GETADDR,
    typeName: "RTM_GETADDR",
    flags: 0,
    operation: index ? `list addresses of link ${index}` : "list addresses",
    format: { ...addressFormat, write: writeDump },
    message: { index, family },
    reply: readAddress,
    filter: (entry) => isOfFamily(entry.family, filter.family) && (!index || entry.index === index),
    command: () =>
      `ip${familyOption(filter.family)} address show` + (index ? ` dev if${index}` : ""),
  };
  return { ...request, fallback: { ...request, message: { index: 0, family } } };
}

function writeDump(writer: Writer, message: { index: number; family: number }): void {
  const at = writer.reserve(8);
  writer.bytes[at] = message.family;
  writer.view.setUint32(at + 4, message.index, true);
}
