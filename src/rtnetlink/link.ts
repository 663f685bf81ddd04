/**
 * Links: RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK and link properties (rtnetlink(7)).
 *
 * @module
 */
import { type AttributeNames, writeAttribute } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import { type DumpRequest, type MessageFormat, NLM_F, type Request } from "../netlink/message.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import { netnsWord, shellWord } from "../netlink/trace.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { IFF, RTEXT_FILTER, RTM } from "./constants.ts";
import { altName, checkAltName, checkIndex, isLinkName, kernelWord } from "./fields.ts";
import {
  IFLA,
  type LinkAttributes,
  linkFields,
  type LinkHeader,
  SKIPPED,
  writeLinkHeader,
} from "./link_attributes.ts";
import {
  type LinkInfo,
  type LinkInfoNest,
  linkInfoSchema,
  linkKind,
  readLink,
  readLinkWithoutStats,
} from "./link_info.ts";
import type { CommandNames } from "./link_kinds/kind.ts";

/** A link message: `struct ifinfomsg`, attributes, and IFLA_LINKINFO. */
export interface LinkMessage extends LinkHeader, LinkAttributes {
  /** The kind and its options. */
  linkInfo?: LinkInfoNest;
}

/** The attributes of a link message. */
type LinkSet = Pick<LinkMessage, "linkInfo"> & LinkAttributes;

/** Which link: its index, or its name or an alternative name. */
export type LinkSelector = number | string;

/** The attribute set of a link. */
const linkSchema: Schema<LinkSet> = schema<LinkSet>("IFLA_", IFLA, {
  ...linkFields,
  linkInfo: {
    type: IFLA.LINKINFO,
    nested: true,
    // Errors name the option alone: the nest is the kernel's business.
    write: (writer, value) => linkInfoSchema.write(writer, value),
    read: (source, at, length) => linkInfoSchema.read(source, at, at + length),
  },
}, SKIPPED);

/** Appends `struct ifinfomsg` and the attributes of a link. */
function writeLink(writer: Writer, message: LinkMessage): void {
  const { family: _, type: __, index: ___, flags: ____, change: _____, ...attributes } = message;
  writeLinkHeader(writer, message);
  linkSchema.write(writer, attributes);
}

/** Reads `struct ifinfomsg` and the attributes after it, as the wire has them. */
export function readLinkMessage(source: Source, start: number, end: number): LinkMessage {
  const { view, bytes } = source;
  const link: LinkMessage = linkSchema.read(source, start + 16, end);
  link.family = bytes[start]!;
  link.type = view.getUint16(start + 2, true);
  link.index = view.getInt32(start + 4, true);
  link.flags = view.getUint32(start + 8, true);
  link.change = view.getUint32(start + 12, true);
  return link;
}

/** The framing of link messages. */
export const linkFormat: MessageFormat<LinkMessage> = {
  headerLength: 16,
  schemaOf: namesFor,
  write: writeLink,
  read: readLinkMessage,
};

/** The names of a message's attributes, with those of its kind's options: for errors. */
function namesFor({ linkInfo = {} }: LinkMessage): AttributeNames {
  return {
    nameOf: linkSchema.nameOf,
    fieldOf: (type) => {
      const field = linkSchema.fieldOf(type);
      return type === IFLA.LINKINFO
        ? { ...field!, schema: linkInfoSchema.namesFor(linkInfo) }
        : field;
    },
  };
}

/** A link for an error message: `veth "tap1"`, `link 5`. */
function describeLink(message: LinkMessage): string {
  const kind = message.linkInfo?.kind ?? "link";
  return message.name === undefined ? `${kind} ${message.index}` : `${kind} "${message.name}"`;
}

/**
 * Creates a link. Refused with EEXIST when the name is taken.
 *
 * The kernel silently drops some attributes here: `alias`, `altNames`, and for a veth's peer `master`.
 *
 * @param message The link: its name, its kind and their settings.
 *
 * @example A bridge, from its creation to its deletion
 * ```ts
 * import { NetNs } from "@netloom/netloom";
 * import { connectionTo } from "@netloom/netloom/netlink";
 * import { deleteLink, getLink, newLink, setLink, upFlags } from "@netloom/netloom/rtnetlink";
 * import { assert } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const connection = connectionTo(netns.ref);
 * connection.request(newLink({ name: "br0", linkInfo: { kind: "bridge", data: { stp: true } } }));
 * const { index } = connection.request(getLink("br0"));
 * connection.request(setLink({ index, mtu: 1400, ...upFlags(true) }));
 * const info = connection.request(getLink(index));
 * assert(info.kind === "bridge" && info.options.stp && info.up && info.mtu === 1400);
 * connection.request(deleteLink({ index }));
 * ```
 */
export function newLink(message: LinkMessage): Request<undefined> {
  return {
    type: RTM.NEWLINK,
    typeName: "RTM_NEWLINK",
    flags: NLM_F.CREATE | NLM_F.EXCL,
    operation: `create ${describeLink(message)}`,
    format: linkFormat,
    message,
    command: () => linkAddCommand(message),
  };
}

/**
 * Changes a link, found by `message.index`.
 *
 * @param message The settings to change.
 * @param what The link in an error: `veth "tap1"`.
 */
export function setLink(
  message: LinkMessage,
  what: string = describeLink(message),
): Request<undefined> {
  return {
    type: RTM.NEWLINK,
    typeName: "RTM_NEWLINK",
    flags: 0,
    operation: `set ${what}`,
    format: linkFormat,
    message,
    command: () => linkSetCommand(message),
  };
}

/**
 * Deletes a link by `index` or `name`, or all links of a `group` in one go. A group delete fails with EOPNOTSUPP,
 * and deletes nothing, when one of them cannot be deleted.
 */
export function deleteLink(
  message: { index: number } | { name: string } | { group: number },
  what?: string,
): Request<undefined> {
  const byGroup = "group" in message;
  return {
    type: RTM.DELLINK,
    typeName: "RTM_DELLINK",
    flags: 0,
    operation: byGroup
      ? `delete links of group ${message.group}`
      : `delete ${what ?? describeLink(message)}`,
    format: linkFormat,
    message,
    command: () =>
      byGroup
        ? `ip link delete group ${message.group}`
        : `ip link delete dev ${
          "name" in message ? shellWord(message.name) : `if${message.index}`
        }`,
  };
}

/** Options for reading links. */
export interface GetLinkOptions {
  /** With counters; default true. */
  readonly stats?: boolean;
}

/** What the kernel is asked to send of a link, and the reader for it. */
interface Reading<T> {
  readonly extMask: number;
  readonly reply: (source: Source, start: number, end: number) => T;
}

// Without a mask a message larger than the kernel's default buffer would end a dump silently.
const WITH_STATS: Reading<LinkInfo> = { extMask: RTEXT_FILTER.MRP, reply: readLink };
const WITHOUT_STATS: Reading<LinkInfo> = {
  extMask: RTEXT_FILTER.SKIP_STATS,
  reply: readLinkWithoutStats,
};

const GET_OPTIONS: OptionNames<GetLinkOptions> = { stats: true };

/**
 * Reads one link. The kernel looks it up: no table is dumped. ENODEV when there is none.
 *
 * @param selector Its index, its name, or an alternative name.
 * @param options The parts to read.
 * @throws {TypeError} For an unknown option, and a malformed name.
 * @throws {RangeError} For an index outside 1..2147483647.
 */
export function getLink(selector: LinkSelector, options: GetLinkOptions = {}): Request<LinkInfo> {
  checkOptions(options, GET_OPTIONS);
  return getLinkRequest(selector, options.stats === false ? WITHOUT_STATS : WITH_STATS);
}

/** Reads one link as the wire has it, for comparison with a change. */
export function getLinkMessage(selector: LinkSelector): Request<LinkMessage> {
  return getLinkRequest(selector, { ...WITHOUT_STATS, reply: readLinkMessage });
}

function getLinkRequest<T>(selector: LinkSelector, { reply, extMask }: Reading<T>): Request<T> {
  const message: LinkMessage = typeof selector === "number"
    ? { index: checkIndex(selector) }
    // The kernel finds alternative names by either attribute. The first takes neither long ones nor
    // some characters, the second takes all.
    : isLinkName(selector)
    ? { name: selector }
    : { altNames: [checkAltName(selector)] };
  message.extMask = extMask;
  return {
    type: RTM.GETLINK,
    typeName: "RTM_GETLINK",
    flags: 0,
    operation: `get link ${typeof selector === "number" ? selector : JSON.stringify(selector)}`,
    format: message.altNames ? altNameFormat : linkFormat,
    message,
    reply,
    // By index `ip link` finds nothing.
    command: () =>
      typeof selector === "number"
        ? `ip address show dev if${selector}`
        : `ip link show dev ${shellWord(selector)}`,
  };
}

/** A request by alternative name has IFLA_ALT_IFNAME outside the property list. */
const altNameFormat: MessageFormat<LinkMessage> = {
  ...linkFormat,
  write: (writer, { altNames, ...message }) => {
    writeLink(writer, message);
    writeAttribute(writer, altName(IFLA.ALT_IFNAME), altNames![0]!, "name");
  },
};

/** Filter of a dump of links. */
export interface LinkFilter extends GetLinkOptions {
  /** Only links of this kind. */
  readonly kind?: string;
  /** Only ports of this link, by index. */
  readonly master?: number;
  /** Only links of this group. */
  readonly group?: number;
}

const FILTER: OptionNames<LinkFilter> = { kind: true, master: true, group: true, stats: true };

/** Reads the table of links. The kernel filters by kind and master; by group it is done here. */
export function dumpLinks(filter: LinkFilter = {}): DumpRequest<LinkInfo> {
  checkOptions(filter, FILTER);
  const { kind, master, group, stats } = filter;
  const { extMask, reply } = stats === false ? WITHOUT_STATS : WITH_STATS;
  const message: LinkMessage = { extMask };
  if (master !== undefined) message.master = master;
  if (kind !== undefined) message.linkInfo = { kind };
  const request: DumpRequest<LinkInfo> = {
    type: RTM.GETLINK,
    typeName: "RTM_GETLINK",
    flags: 0,
    operation: "list links",
    format: linkFormat,
    message,
    reply,
    command: () =>
      "ip link show" + (master === undefined ? "" : ` master if${master}`) +
      (kind === undefined ? "" : ` type ${kind}`) + (group === undefined ? "" : ` group ${group}`),
  };
  if (kind === undefined && master === undefined && group === undefined) return request;
  return {
    ...request,
    filter: (link) =>
      (kind === undefined || kindOf(link) === kind) &&
      (master === undefined || link.master === master) &&
      (group === undefined || link.group === group),
    fallback: { ...request, message: { extMask } },
  };
}

/** The kernel's name of a link's kind. */
export function kindOf(link: LinkInfo): string | undefined {
  return link.kind === "unknown" ? link.kernelKind : link.kind;
}

/** Adds alternative names to a link. */
export function addAltNames(index: number, altNames: string[], what?: string): Request<undefined> {
  return altNamesRequest(RTM.NEWLINKPROP, "RTM_NEWLINKPROP", index, altNames, what);
}

/** Removes alternative names from a link. */
export function deleteAltNames(
  index: number,
  altNames: string[],
  what?: string,
): Request<undefined> {
  return altNamesRequest(RTM.DELLINKPROP, "RTM_DELLINKPROP", index, altNames, what);
}

function altNamesRequest(
  type: number,
  typeName: string,
  index: number,
  altNames: string[],
  what = `link ${index}`,
): Request<undefined> {
  const [verb, word] = type === RTM.NEWLINKPROP ? ["add", "add"] : ["delete", "del"];
  return {
    type,
    typeName,
    flags: type === RTM.NEWLINKPROP ? NLM_F.CREATE | NLM_F.EXCL | NLM_F.APPEND : 0,
    operation: `${verb} alternative names ${
      altNames.map((name) => JSON.stringify(name)).join(", ")
    } of ${what}`,
    format: linkFormat,
    message: { index, altNames },
    command: () =>
      `ip link property ${word} dev if${index}` +
      altNames.map((name) => ` altname ${shellWord(name)}`).join(""),
  };
}

/** `flags` and `change` that bring a link up or take it down. */
export function upFlags(up: boolean): { flags: number; change: number } {
  return { flags: up ? IFF.UP : 0, change: IFF.UP };
}

/** iproute2's words for attributes. Those it calls otherwise, or not at all, are handled below. */
const WORDS: Partial<Record<keyof LinkAttributes, string>> = {
  alias: "alias",
  mtu: "mtu",
  mac: "address",
  broadcast: "broadcast",
  txqlen: "txqueuelen",
  group: "group",
  numTxQueues: "numtxqueues",
  numRxQueues: "numrxqueues",
  gsoMaxSegs: "gso_max_segs",
  gsoMaxSize: "gso_max_size",
  groMaxSize: "gro_max_size",
  gsoIpv4MaxSize: "gso_ipv4_max_size",
  groIpv4MaxSize: "gro_ipv4_max_size",
  linkNetnsId: "link-netnsid",
  netnsPid: "netns",
};

/** Flags iproute2 has a word for. */
const FLAG_WORDS: readonly [bit: number, on: string, off: string][] = [
  [IFF.UP, "up", "down"],
  [IFF.NOARP, "arp off", "arp on"],
  [IFF.MULTICAST, "multicast on", "multicast off"],
  [IFF.ALLMULTI, "allmulticast on", "allmulticast off"],
  [IFF.PROMISC, "promisc on", "promisc off"],
];

/** `ip link add ...` */
function linkAddCommand(message: LinkMessage): string {
  return `ip link add${message.parent === undefined ? "" : ` link if${message.parent}`}` +
    ` name ${shellWord(message.name)}${message.index ? ` index ${message.index}` : ""}` +
    `${attributes(message)}${linkInfo(message.linkInfo)}`;
}

/** `ip link set ...` */
function linkSetCommand(message: LinkMessage): string {
  const { index, name, linkInfo: info } = message;
  const which = index ? `if${index}` : shellWord(name);
  const rename = index && name !== undefined ? ` name ${shellWord(name)}` : "";
  return `ip link set dev ${which}${rename}${attributes(message)}${linkInfo(info)}${port(info)}`;
}

function attributes(message: LinkMessage): string {
  const { flags = 0, change = 0, master, netnsFd, protoDown, carrier, afSpec } = message;
  let words = "";
  for (const [key, word] of Object.entries(WORDS)) {
    const value = message[key as keyof LinkAttributes];
    if (value !== undefined) words += ` ${word} ${shellWord(value)}`;
  }
  if (master !== undefined) words += master === 0 ? " nomaster" : ` master if${master}`;
  if (netnsFd !== undefined) words += ` netns ${netnsWord(netnsFd)}`;
  if (protoDown !== undefined) words += ` protodown ${protoDown ? "on" : "off"}`;
  if (carrier !== undefined) words += ` carrier ${carrier ? "on" : "off"}`;
  if (afSpec?.inet6?.addrGenMode !== undefined) {
    words += ` addrgenmode ${afSpec.inet6.addrGenMode}`;
  }
  // A creation sets flags without naming the changed ones.
  for (const [bit, on, off] of FLAG_WORDS) {
    if ((change || flags) & bit) words += ` ${flags & bit ? on : off}`;
  }
  return words;
}

function linkInfo(info: LinkInfoNest | undefined): string {
  if (info?.kind === undefined) return "";
  return ` type ${info.kind}${options(info.data, linkKind(info.kind)?.commandNames)}`;
}

function port(info: LinkInfoNest | undefined): string {
  if (info?.portKind === undefined) return "";
  const { portKind, portData } = info;
  return ` type ${portKind}_slave${
    options(portData, linkKind(portKind)?.port?.commandNames, ["off", "on"])
  }`;
}

/**
 * A kind's options: iproute2 calls most of them as the kernel does, in lower case. It takes switches
 * as numbers, those of ports as `on` and `off`.
 */
function options(
  data: object | undefined,
  own: CommandNames = {},
  [off, on]: readonly [string | number, string | number] = [0, 1],
): string {
  if (!data || data instanceof Uint8Array) return "";
  let words = "";
  for (const [key, value] of Object.entries(data)) {
    if (value === undefined) continue;
    if (key === "peer" && typeof value === "object") {
      const index = value.index ? ` index ${value.index}` : "";
      words += ` peer name ${shellWord(value.name)}${index}${attributes(value)}`;
      continue;
    }
    const name = own[key] ?? kernelWord(key);
    const text = typeof name === "function"
      ? name(value)
      : `${name} ${typeof value === "boolean" ? value ? on : off : value}`;
    if (text) words += ` ${text}`;
  }
  return words;
}
