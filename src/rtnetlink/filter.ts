/**
 * Filters: RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER (tc(8), rtnetlink(7)).
 *
 * @module
 */
import type { Source } from "../netlink/bytes.ts";
import type { DumpRequest, MessageFormat, Request } from "../netlink/message.ts";
import { integer, type OptionNames, show, unknownWord, wordValue } from "../options.ts";
import { RTM } from "./constants.ts";
import { filterKind, filterKindNames, type FilterKinds } from "./filter_kinds/mod.ts";
import type { OptionsOf, ReportOf } from "./qdisc_kinds/kind.ts";
import {
  checkEntry,
  encodeOptions,
  ETHERTYPES,
  type FilterProtocolWord,
  type Handle,
  kindAndOptions,
  modeFlags,
  optionWords,
  parseHandle,
  tcFormat,
  type TcMessage,
  type TcMode,
  tcSchema,
} from "./traffic_control.ts";
import { FILTER_PARENTS, formatHandle, readTcHeader, TCMSG } from "./fields.ts";

/** The place of a filter. */
export interface FilterPlace {
  /** `ingress` or `egress` (clsact, ingress), a queueing discipline `1:`, or a class. */
  parent: Handle;
  /** Its turn: 1 is first. */
  priority: number;
  /** The packets that it sees: a word, or an Ethernet type. Default: `all`. */
  protocol?: FilterProtocolWord | number;
  /**
   * Its own number; of u32 also text as in `tc`: `800::5`. Default: the kernel gives one. For fw it is the
   * mark.
   */
  handle?: number | string;
  /** The chain that it is in. Default: 0. */
  chain?: number;
}

/** A filter to be set: its place, its kind, and the options of the kind. */
export type FilterOptions =
  & FilterPlace
  & { [K in keyof FilterKinds]: { kind: K; options?: OptionsOf<FilterKinds[K]> } }[
    keyof FilterKinds
  ];

/** A filter as the kernel reports it; `kind` tells which options it has. */
export type FilterInfo =
  & Required<FilterPlace>
  & {
    /** Index of the link. */
    index: number;
  }
  & (
    | { [K in keyof FilterKinds]: { kind: K; options: ReportOf<FilterKinds[K]> } }[
      keyof FilterKinds
    ]
    | { kind: "unknown"; kernelKind: string; options: Uint8Array }
  );

const ENTRY: OptionNames<FilterPlace & { kind: string; options: object }> = {
  parent: true,
  priority: true,
  protocol: true,
  handle: true,
  chain: true,
  kind: true,
  options: true,
};

const codec = tcSchema((kind) => filterKind(kind)?.data);

const swap16 = (value: number): number => (value & 0xff) << 8 | value >>> 8 & 0xff;

/** The Ethernet type of a protocol. */
function typeOf(protocol: FilterPlace["protocol"] = "all"): number {
  return typeof protocol === "number"
    ? integer(protocol, "protocol", 0, 0xffff)
    : wordValue(protocol, ETHERTYPES, "protocol");
}

/** Priority and protocol, which is in the order of the network. */
function infoOf(priority: number, protocol: FilterPlace["protocol"]): number {
  return priority * 0x10000 + swap16(typeOf(protocol));
}

function protocolWord(type: number): FilterProtocolWord | number {
  const words = Object.keys(ETHERTYPES) as FilterProtocolWord[];
  return words.find((word) => ETHERTYPES[word] === type) ?? type;
}

/** Hash table, bucket and number of a u32 filter, as `tc` shows them. */
function u32Handle(handle: number): string {
  const part = (value: number) => value ? value.toString(16) : "";
  return `${part(handle >>> 20)}:${part(handle >>> 12 & 0xff)}:${part(handle & 0xfff)}`;
}

function parseFilterHandle(handle: number | string): number {
  if (typeof handle === "number") return integer(handle, "handle", 0, 0xffffffff);
  const [, table = "", bucket = "", node = ""] =
    /^([0-9a-f]{0,3}):([0-9a-f]{0,2}):([0-9a-f]{0,3})$/i.exec(handle) ?? [];
  const number = (text: string) => parseInt(text || "0", 16);
  if (table + bucket + node !== "") {
    return number(table) * 0x100000 + number(bucket) * 0x1000 + number(node);
  }
  throw new TypeError(`handle must be a number, or text such as "800::5": got ${show(handle)}`);
}

/** Reads `struct tcmsg` and the attributes of a filter. */
export function readFilter(source: Source, start: number, end: number): FilterInfo {
  const { index, handle, parent, info } = readTcHeader(source, start);
  const { kind = "", options, chain = 0 } = codec.read(source, start + TCMSG, end);
  return {
    index,
    parent: formatHandle(parent, FILTER_PARENTS),
    priority: info >>> 16,
    protocol: protocolWord(swap16(info & 0xffff)),
    handle: kind === "u32" ? u32Handle(handle) : handle,
    chain,
    ...kindAndOptions(kind, filterKind(kind), options),
  } as FilterInfo;
}

/** The framing of messages about filters. */
export const filterFormat: MessageFormat<TcMessage, FilterInfo> = tcFormat(codec, readFilter);

/**
 * Checks a filter and creates its message. Links in its actions are indexes by now.
 *
 * @throws {TypeError} For an unknown kind or option, and for a malformed value.
 * @throws {RangeError} For a value out of range.
 */
export function filterMessage(entry: FilterOptions, index: number): TcMessage {
  const own = filterKind(entry?.kind);
  checkEntry(entry, ENTRY, own);
  const { parent, priority, protocol, handle, chain, kind, options = {} } = entry;
  if (!own) throw unknownWord(kind, filterKindNames(), "kind");
  const all = { ...own.defaults, ...options };
  return {
    index,
    parent: parseHandle(parent, { path: "parent", words: FILTER_PARENTS }),
    info: infoOf(integer(priority, "priority", 1, 0xffff), protocol),
    handle: handle === undefined ? 0 : parseFilterHandle(handle),
    ...(chain === undefined ? {} : { chain: integer(chain, "chain", 0, 0xfffffff) }),
    kind,
    options: encodeOptions(own, all, { protocol: typeOf(protocol) }),
    given: all,
  };
}

/** The place of a filter in `tc`. */
function placeWords({ index, parent = 0, info = 0, handle = 0, chain, kind }: TcMessage): string {
  const at = formatHandle(parent, FILTER_PARENTS);
  const place = Object.hasOwn(FILTER_PARENTS, at) ? at : `parent ${at}`;
  const protocol = protocolWord(swap16(info & 0xffff));
  return `dev if${index} ${place}` + (chain === undefined ? "" : ` chain ${chain}`) +
    (info
      ? ` protocol ${typeof protocol === "number" ? `0x${protocol.toString(16)}` : protocol} prio ${
        info >>> 16
      }`
      : "") +
    (handle ? ` handle ${kind === "u32" ? u32Handle(handle) : handle}` : "") +
    (kind === undefined ? "" : ` ${kind}`);
}

/** Sets a filter: adds it, replaces the one with this handle, or changes its options. */
export function newFilter(message: TcMessage, mode: TcMode = "add"): Request<undefined> {
  return {
    type: RTM.NEWTFILTER,
    typeName: "RTM_NEWTFILTER",
    flags: modeFlags(mode),
    operation: `${mode} filter ${message.kind} at ${
      formatHandle(message.parent ?? 0, FILTER_PARENTS)
    } of link ${message.index}`,
    format: filterFormat,
    message,
    command: () =>
      `tc filter ${mode} ${placeWords(message)}` +
      optionWords(message.given, filterKind(message.kind)),
  };
}

/** Deletes a filter; without a handle all of a priority, without that all of a place. */
export function deleteFilter(message: TcMessage): Request<undefined> {
  return {
    type: RTM.DELTFILTER,
    typeName: "RTM_DELTFILTER",
    flags: 0,
    operation: `delete filter at ${
      formatHandle(message.parent ?? 0, FILTER_PARENTS)
    } of link ${message.index}`,
    format: filterFormat,
    message,
    command: () => `tc filter delete ${placeWords(message)}`,
  };
}

/** The message that finds a reported filter. */
export function filterSelector(info: FilterInfo): TcMessage {
  const { index, parent, priority, protocol, handle, chain, kind } = info;
  return {
    index,
    parent: parseHandle(parent, { path: "parent", words: FILTER_PARENTS }),
    info: infoOf(priority, protocol),
    handle: parseFilterHandle(handle),
    kind: kind === "unknown" ? info.kernelKind : kind,
    ...(chain ? { chain } : {}),
  };
}

/** Whether it is a filter: for u32 and others the kernel also keeps tables, which it reports in the same form. */
export function isFilter({ kind, handle }: FilterInfo): boolean {
  return handle !== 0 && !(kind === "u32" && String(handle).endsWith(":"));
}

/** Reads the filters of a place, without the tables that the kernel keeps for them. */
export function dumpFilters(
  { index, parent }: { index: number; parent: number },
): DumpRequest<FilterInfo> {
  return {
    type: RTM.GETTFILTER,
    typeName: "RTM_GETTFILTER",
    flags: 0,
    operation: `list filters of link ${index}`,
    format: filterFormat,
    message: { index, parent },
    reply: readFilter,
    filter: isFilter,
    command: () => `tc filter show ${placeWords({ index, parent })}`,
  };
}
