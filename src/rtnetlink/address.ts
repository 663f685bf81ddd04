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
import { formatIp, parsePrefix } from "../packet/address.ts";
import { AF, RTM } from "./constants.ts";
import { ip, writeInHeader } from "./fields.ts";
import { checkOptions } from "../options.ts";

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

/** Bits of `flags`. */
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

/** An IP address of a link, to be set. */
export interface AddressMessage {
  /** Index of the link. */
  index: number;
  /** Address and prefix length: `192.168.123.1/24`. */
  address: string;
  /** The other end of a point-to-point link; then `address` is the local end. */
  peer?: string;
  /** IPv4 broadcast address; default: none. */
  broadcast?: string;
  /** IPv4 label: the link's name, or the name with `:` and a suffix. */
  label?: string;
  /** How far it reaches; default `global`, `host` for loopback addresses. */
  scope?: Scope | number;
  /** `IFA_F_*` bits: `IFA_F.NODAD`, `IFA_F.NOPREFIXROUTE`, ... */
  flags?: number;
  /** How long it lasts; default for ever. */
  lifetime?: { preferred?: number; valid?: number };
  /** Metric of the prefix route; 0 is the kernel's default. */
  metric?: number;
  /** Who made it, IFAPROT_*: 0 unknown, 1 loopback, 2 router announcement, 3 link-local. */
  protocol?: number;
}

/** An IP address as the kernel reports it. */
export interface AddressInfo {
  /** Index of the link. */
  index: number;
  /** 2 IPv4, 10 IPv6. */
  family: number;
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
  /** `IFA_F_*` bits. */
  flags: number;
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
    family: bytes[start]!,
    address: `${own}/${bytes[start + 1]}`,
    scope: scopeField.read(source, start + 3, 1),
    flags: flags ?? bytes[start + 2]!,
    ...rest,
  };
  if (address !== undefined && address !== own) info.peer = address;
  return info;
}

function writeAddress(writer: Writer, message: Partial<AddressMessage>): void {
  const { index = 0, address, peer, scope, flags, lifetime, ...rest } = message;
  const prefix = address === undefined ? undefined : parsePrefix(address);
  const family = prefix ? prefix.address.length === 4 ? AF.INET : AF.INET6 : AF.UNSPEC;
  const at = writer.reserve(8);
  writer.bytes[at] = family;
  writer.bytes[at + 1] = prefix?.length ?? 0;
  writer.bytes[at + 2] = (flags ?? 0) & 0xff;
  writer.view.setUint32(at + 4, index, true);
  if (scope !== undefined || prefix) {
    const value = scope ?? (family === AF.INET && prefix!.address[0] === 127 ? "host" : "global");
    writeInHeader(writer, at + 3, scopeField, value, "scope");
  }
  const attributes: AddressAttributes = { ...rest };
  if (prefix) {
    const own = formatIp(prefix.address);
    attributes.local = own;
    attributes.address = peer ?? own;
  }
  if (flags !== undefined) attributes.flags = flags;
  if (lifetime) {
    const { preferred, valid = Infinity } = lifetime;
    attributes.lifetime = { preferred: preferred ?? valid, valid };
  }
  addressSchema.write(writer, attributes);
}

/** The framing of address messages. */
export const addressFormat: MessageFormat<Partial<AddressMessage>> = {
  headerLength: 8,
  schemaOf: () => addressSchema,
  write: writeAddress,
  read: readAddress,
};

function words(message: Partial<AddressMessage>): string {
  const { index, address, peer, broadcast, label, scope, flags = 0, lifetime, metric } = message;
  const local = peer === undefined ? ` ${address}` : ` ${address!.split("/")[0]} peer ${peer}`;
  return local + (broadcast === undefined ? "" : ` broadcast ${broadcast}`) +
    ` dev if${index}` +
    (label === undefined ? "" : ` label ${label}`) +
    (scope === undefined ? "" : ` scope ${scope}`) +
    (metric === undefined ? "" : ` metric ${metric}`) +
    (lifetime?.valid === undefined ? "" : ` valid_lft ${forever(lifetime.valid)}`) +
    (lifetime?.preferred === undefined ? "" : ` preferred_lft ${forever(lifetime.preferred)}`) +
    (flags & IFA_F.NODAD ? " nodad" : "") + (flags & IFA_F.HOMEADDRESS ? " home" : "") +
    (flags & IFA_F.MANAGETEMPADDR ? " mngtmpaddr" : "") +
    (flags & IFA_F.NOPREFIXROUTE ? " noprefixroute" : "") +
    (flags & IFA_F.MCAUTOJOIN ? " autojoin" : "");
}

function forever(value: number): number | string {
  return value === Infinity ? "forever" : value;
}

/** Options of {@link newAddress}. */
export interface NewAddressOptions {
  /** Change the address where the link has it already; default: EEXIST. */
  readonly replace?: boolean;
}

const NEW_OPTIONS = { replace: true };

/** Adds an IP address to a link. */
export function newAddress(
  message: AddressMessage,
  options: NewAddressOptions = {},
): Request<undefined> {
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
  { index, address, peer }: Pick<AddressMessage, "index" | "address" | "peer">,
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

/** What a dump of addresses is limited to. */
export interface AddressFilter {
  /** Only addresses of this link. */
  readonly index?: number;
  /** Only 2 (IPv4) or 10 (IPv6). */
  readonly family?: number;
}

const FILTER = { index: true, family: true };

/** Reads the addresses of one link or of all. */
export function dumpAddresses(filter: AddressFilter = {}): DumpRequest<AddressInfo> {
  checkOptions(filter, FILTER);
  const { index = 0, family = AF.UNSPEC } = filter;
  const request: DumpRequest<AddressInfo> = {
    type: RTM.GETADDR,
    typeName: "RTM_GETADDR",
    flags: 0,
    operation: index ? `list addresses of link ${index}` : "list addresses",
    format: {
      ...addressFormat,
      write: (writer: Writer, message: { index: number; family: number }) => {
        const at = writer.reserve(8);
        writer.bytes[at] = message.family;
        writer.view.setUint32(at + 4, message.index, true);
      },
    },
    message: { index, family },
    reply: readAddress,
    command: () =>
      `ip${family === AF.INET ? " -4" : family === AF.INET6 ? " -6" : ""} address show` +
      (index ? ` dev if${index}` : ""),
  };
  if (!index && !family) return request;
  return {
    ...request,
    filter: (entry) => (!index || entry.index === index) && (!family || entry.family === family),
    fallback: { ...request, message: { index: 0, family } },
  };
}
