/**
 * Links: RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK and link properties (rtnetlink(7)).
 *
 * @module
 */
import { byteLength, type Source, type Writer } from "../netlink/bytes.ts";
import { NLM_F } from "../netlink/constants.ts";
import type { DumpRequest, MessageFormat, Request } from "../netlink/message.ts";
import type { AttributeNames } from "../netlink/attribute.ts";
import type { Schema } from "../netlink/schema.ts";
import { shellWord } from "../netlink/trace.ts";
import { AF, IFF, RTM } from "./constants.ts";
import { checkAltName, checkIndex } from "./fields.ts";
import {
  IFLA,
  type LinkAttributes,
  linkInfoSchema,
  linkSchema,
  linkSchemaWithoutStats,
} from "./link_attributes.ts";
import { linkAddCommand, linkSetCommand } from "./link_command.ts";
import type { LinkStats } from "./link_stats.ts";
import { checkOptions } from "../options.ts";

/** A link message: `struct ifinfomsg` and attributes. */
export interface LinkMessage extends LinkAttributes {
  /** Address family the message is about: 0, or AF_BRIDGE. */
  family?: number;
  /** Hardware type, ARPHRD_*: 1 Ethernet, 772 loopback, 65534 none. */
  type?: number;
  /** The link's index. */
  index?: number;
  /** `IFF_*` bits. */
  flags?: number;
  /** The bits of `flags` that the message sets; in events the bits that changed. */
  change?: number;
}

/** A link as the kernel reports it. */
export interface LinkInfo extends LinkMessage {
  /** Its index. */
  index: number;
  /** Its name. */
  name: string;
  /** Hardware type, ARPHRD_*: 1 Ethernet, 772 loopback, 65534 none. */
  type: number;
  /** `IFF_*` bits. */
  flags: number;
  /** 0, or AF_BRIDGE in messages of the bridge. */
  family: number;
  /** In events the flags that changed, otherwise 0. */
  change: number;
  /** Counters; absent when they were not asked for. */
  stats?: LinkStats;
}

/** Which link: its index, or its name or an alternative name. */
export type LinkSelector = number | string;

/** What every link has ahead of its attributes. */
const HEADER: Partial<LinkInfo> = { family: 0, type: 0, index: 0, flags: 0, change: 0, name: "" };

/** Reads `struct ifinfomsg` and the attributes after it. */
export function readLink(source: Source, start: number, end: number): LinkInfo {
  return readWith(linkSchema, source, start, end);
}

function readLinkWithoutStats(source: Source, start: number, end: number): LinkInfo {
  return readWith(linkSchemaWithoutStats, source, start, end);
}

function readWith(
  schema: Pick<Schema<Omit<LinkAttributes, "stats">>, "read" | "readInto">,
  source: Source,
  start: number,
  end: number,
): LinkInfo {
  const { view, bytes } = source;
  const link = schema.read(source, start + 16, end, HEADER) as LinkInfo;
  link.family = bytes[start]!;
  link.type = view.getUint16(start + 2, true);
  link.index = view.getInt32(start + 4, true);
  link.flags = view.getUint32(start + 8, true);
  link.change = view.getUint32(start + 12, true);
  return link;
}

/** Appends `struct ifinfomsg` and the attributes of a link. */
export function writeLink(writer: Writer, message: LinkMessage, path = ""): void {
  const { family = 0, type = 0, index = 0, flags = 0, change = 0, ...attributes } = message;
  const at = writer.reserve(16);
  const { view } = writer;
  view.setUint8(at, family);
  view.setUint16(at + 2, type, true);
  view.setInt32(at + 4, index, true);
  view.setUint32(at + 8, flags, true);
  view.setUint32(at + 12, change, true);
  linkSchema.write(writer, attributes, path);
}

/** The framing of link messages. */
export const linkFormat: MessageFormat<LinkMessage> = {
  headerLength: 16,
  schemaOf: (message) => linkSchemaFor(message.linkInfo?.kind, message.linkInfo?.memberKind),
  write: writeLink,
  read: readLink,
};

/** The link attribute set with a kind's options inside: for naming attributes in errors. */
function linkSchemaFor(kind?: string, memberKind?: string): AttributeNames {
  return {
    prefix: linkSchema.prefix,
    nameOf: linkSchema.nameOf,
    fieldOf: (type) => {
      const field = linkSchema.fieldOf(type);
      return type === IFLA.LINKINFO
        ? { ...field!, schema: linkInfoSchema(kind, memberKind) }
        : field;
    },
  };
}

/** A link for an error message: `veth "tap1"`, `link 5`. */
export function describeLink(message: LinkMessage): string {
  const kind = message.linkInfo?.kind ?? "link";
  return message.name === undefined ? `${kind} ${message.index}` : `${kind} "${message.name}"`;
}

/**
 * Creates a link. Refused with EEXIST when the name is taken.
 *
 * The kernel drops some attributes here in silence: `alias`, `altNames`, and for a veth's peer `master`.
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
 * @param message What to change.
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
 * and deletes nothing, when a member cannot be deleted.
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

/** Reads one link. The kernel looks it up: no table is dumped. ENODEV when there is none. */
export function getLink(selector: LinkSelector, options: GetLinkOptions = {}): Request<LinkInfo> {
  const message: LinkMessage = typeof selector === "number"
    ? { index: checkIndex(selector) }
    // The kernel finds alternative names by either attribute; only the second takes long ones.
    : byteLength(checkAltName(selector)) <= 15
    ? { name: selector }
    : { altNames: [selector] };
  return {
    type: RTM.GETLINK,
    typeName: "RTM_GETLINK",
    flags: 0,
    operation: `get link ${typeof selector === "number" ? selector : JSON.stringify(selector)}`,
    format: message.altNames ? altNameFormat : linkFormat,
    message,
    reply: options.stats === false ? readLinkWithoutStats : readLink,
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
    const at = writer.begin(IFLA.ALT_IFNAME);
    writer.text(altNames![0]!);
    writer.reserve(1);
    writer.end(at);
  },
};

/** What a dump of links is limited to. */
export interface LinkFilter extends GetLinkOptions {
  /** Only links of this kind. */
  readonly kind?: string;
  /** Only members of this link, by index. */
  readonly master?: number;
  /** Only links of this group. */
  readonly group?: number;
}

const FILTER = { kind: true, master: true, group: true, stats: true };

/** Reads the table of links. The kernel filters by kind and master; by group it is done here. */
export function dumpLinks(filter: LinkFilter = {}): DumpRequest<LinkInfo> {
  checkOptions(filter, FILTER);
  const { kind, master, group, stats } = filter;
  const message: LinkMessage = {};
  if (master !== undefined) message.master = master;
  if (kind !== undefined) message.linkInfo = { kind };
  const request: DumpRequest<LinkInfo> = {
    type: RTM.GETLINK,
    typeName: "RTM_GETLINK",
    flags: 0,
    operation: "list links",
    format: linkFormat,
    message,
    reply: stats === false ? readLinkWithoutStats : readLink,
    command: () =>
      "ip link show" + (master === undefined ? "" : ` master if${master}`) +
      (kind === undefined ? "" : ` type ${kind}`) + (group === undefined ? "" : ` group ${group}`),
  };
  if (kind === undefined && master === undefined && group === undefined) return request;
  return {
    ...request,
    filter: (link) =>
      (kind === undefined || link.linkInfo?.kind === kind) &&
      (master === undefined || link.master === master) &&
      (group === undefined || link.group === group),
    fallback: { ...request, message: {} },
  };
}

/** Adds alternative names to a link. */
export function addAltNames(index: number, altNames: string[], what?: string): Request<undefined> {
  return altNamesRequest(RTM.NEWLINKPROP, "RTM_NEWLINKPROP", "add", index, altNames, what);
}

/** Removes alternative names from a link. */
export function deleteAltNames(
  index: number,
  altNames: string[],
  what?: string,
): Request<undefined> {
  return altNamesRequest(RTM.DELLINKPROP, "RTM_DELLINKPROP", "del", index, altNames, what);
}

function altNamesRequest(
  type: number,
  typeName: string,
  verb: string,
  index: number,
  altNames: string[],
  what = `link ${index}`,
): Request<undefined> {
  return {
    type,
    typeName,
    flags: type === RTM.NEWLINKPROP ? NLM_F.CREATE | NLM_F.EXCL | NLM_F.APPEND : 0,
    operation: `${verb} alternative names of ${what}`,
    format: linkFormat,
    message: { index, altNames },
    command: () =>
      `ip link property ${verb} dev if${index}` +
      altNames.map((name) => ` altname ${shellWord(name)}`).join(""),
  };
}

/** `flags` and `change` that bring a link up or take it down. */
export function upFlags(up: boolean): { flags: number; change: number } {
  return { flags: up ? IFF.UP : 0, change: IFF.UP };
}

/** The family bridge messages have. */
export const BRIDGE_FAMILY: number = AF.BRIDGE;
