/**
 * Queueing disciplines: RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC (tc(8), rtnetlink(7)).
 *
 * @module
 */
import type { Source } from "../netlink/bytes.ts";
import { type DumpRequest, type MessageFormat, NLM_F, type Request } from "../netlink/message.ts";
import { hasKey, type OptionNames, show, unknownWord } from "../options.ts";
import { RTM } from "./constants.ts";
import type { OptionsOf, ReportOf } from "./qdisc_kinds/kind.ts";
import { qdiscKind, qdiscKindNames, type QdiscKinds } from "./qdisc_kinds/mod.ts";
import {
  checkEntry,
  encodeOptions,
  type Handle,
  kindAndOptions,
  modeFlags,
  optionWords,
  parseHandle,
  settableOptions,
  statsOf,
  tcFormat,
  type TcMessage,
  type TcMode,
  tcSchema,
  type TrafficStats,
  xstatsOf,
} from "./traffic_control.ts";
import { formatHandle, QDISC_PARENTS, readTcHeader, TCMSG } from "./fields.ts";

/** The place of a queueing discipline. */
export interface QdiscPlace {
  /** `root`, `ingress`, or a class: `1:10`. Default: `root`; `ingress` for the kinds ingress and clsact. */
  parent?: Handle;
  /** Its own handle: `1:`. Default: the kernel gives one. */
  handle?: Handle;
}

/** A queueing discipline that netloom does not know, with TCA_OPTIONS as bytes. */
export interface UnknownQdisc {
  /** Not a kind that netloom knows. */
  kind: "unknown";
  /** The kernel's name of the kind. */
  kernelKind: string;
  /** TCA_OPTIONS. */
  options?: Uint8Array;
}

/** A queueing discipline to be set: its place, its kind, and the options of the kind. */
export type QdiscOptions =
  & QdiscPlace
  & (
    | {
      [K in keyof QdiscKinds]: { kind: K; options?: OptionsOf<QdiscKinds[K]> };
    }[keyof QdiscKinds]
    | UnknownQdisc
  );

/** The report of every queueing discipline. */
export interface CommonQdiscInfo {
  /** Index of the link. */
  index: number;
  /** Its handle: `1:`; `0:` for those that the kernel creates by default. */
  handle: Handle;
  /** `root`, `ingress`, or a class: `1:10`. */
  parent: Handle;
  /** How many users it has in the kernel. */
  refcnt: number;
  /** Counters. */
  stats: TrafficStats;
  /** Counters of its kind. */
  xstats?: object;
}

/** A queueing discipline as the kernel reports it; `kind` tells which options it has. */
export type QdiscInfo =
  & CommonQdiscInfo
  & (
    | {
      [K in keyof QdiscKinds]: { kind: K; options: ReportOf<QdiscKinds[K]> };
    }[keyof QdiscKinds]
    | (UnknownQdisc & { options: Uint8Array })
  );

const ENTRY: OptionNames<QdiscPlace & { kind: string; kernelKind: string; options: object }> = {
  parent: true,
  handle: true,
  kind: true,
  kernelKind: true,
  options: true,
};

const codec = tcSchema((kind) => qdiscKind(kind)?.data);

/** Reads `struct tcmsg` and the attributes of a queueing discipline. */
export function readQdisc(source: Source, start: number, end: number): QdiscInfo {
  const { index, handle, parent, info } = readTcHeader(source, start);
  const { kind = "", options, stats } = codec.read(source, start + TCMSG, end);
  const entry = qdiscKind(kind);
  const xstats = xstatsOf(stats, entry?.xstats);
  const common: CommonQdiscInfo = {
    index,
    handle: formatHandle(handle),
    parent: formatHandle(parent, QDISC_PARENTS),
    refcnt: info,
    stats: statsOf(stats),
    ...(xstats === undefined ? {} : { xstats }),
  };
  return { ...common, ...kindAndOptions(kind, entry, options) } as QdiscInfo;
}

/** The framing of messages about queueing disciplines. */
export const qdiscFormat: MessageFormat<TcMessage, QdiscInfo> = tcFormat(codec, readQdisc);

/**
 * Checks a queueing discipline and creates its message. Of a {@link QdiscInfo} it takes the options that can be set.
 *
 * @throws {TypeError} For an unknown kind or option, and for a malformed value.
 * @throws {RangeError} For a value out of range.
 */
export function qdiscMessage(entry: QdiscOptions | QdiscInfo, index: number): TcMessage {
  const given = hasKey(entry, "refcnt") ? settable(entry) : entry;
  const kind = qdiscKind(given?.kind);
  checkEntry(given, ENTRY, kind);
  const { parent, handle, options } = given;
  const name = given.kind === "unknown" ? given.kernelKind : given.kind;
  if (!kind && given.kind !== "unknown") {
    // Here only for programs without types.
    throw unknownWord(given.kind, [...qdiscKindNames(), "unknown"], "kind");
  }
  const wire = kind ? encodeOptions(kind, options ?? {}) : options;
  const place = parent ?? (kind?.ingress ? "ingress" : "root");
  return {
    index,
    parent: parseHandle(place, { path: "parent", words: QDISC_PARENTS }),
    handle: kind?.ingress && handle === undefined ? 0xffff0000 : ownHandle(handle),
    kind: name,
    ...(wire === undefined ? {} : { options: wire }),
    ...(options === undefined ? {} : { given: options }),
  };
}

function settable(info: QdiscInfo): QdiscOptions {
  const { index: _1, refcnt: _2, stats: _3, xstats: _4, handle, ...rest } = info;
  const options = settableOptions(info.options, qdiscKind(info.kind));
  return { ...rest, options, ...(handle === "0:" ? {} : { handle }) } as QdiscOptions;
}

function ownHandle(handle: Handle | undefined): number {
  if (handle === undefined) return 0;
  const number = parseHandle(handle, { path: "handle" });
  if ((number & 0xffff) === 0) return number;
  throw new TypeError(
    `handle must end with ":": got ${show(handle)}, which is the handle of a class`,
  );
}

/** A queueing discipline for an error message: `tbf at root`. */
function describe({ kind, parent = 0, handle = 0 }: TcMessage): string {
  const at = parent ? `at ${formatHandle(parent, QDISC_PARENTS)}` : formatHandle(handle);
  return `${kind ?? "qdisc"} ${at}`;
}

/** The place of a queueing discipline in `tc`. */
function placeWords({ index, parent = 0, handle = 0, kind }: TcMessage): string {
  const hook = parent === QDISC_PARENTS.ingress;
  const place = hook
    ? kind === "clsact" ? "" : " ingress"
    : parent
    ? (parent === QDISC_PARENTS.root ? " root" : ` parent ${formatHandle(parent)}`)
    : "";
  return `dev if${index}${place}${handle && !hook ? ` handle ${formatHandle(handle)}` : ""}`;
}

/** Sets a queueing discipline: adds it, replaces the one that is there, or changes its options. */
export function newQdisc(message: TcMessage, mode: TcMode = "add"): Request<undefined> {
  return {
    type: RTM.NEWQDISC,
    typeName: "RTM_NEWQDISC",
    flags: modeFlags(mode),
    operation: `${mode} ${describe(message)} of link ${message.index}`,
    format: qdiscFormat,
    message,
    command: () => {
      const { kind = "", given } = message;
      const own = kind === "ingress" ? "" : ` ${kind}`;
      return `tc qdisc ${mode} ${placeWords(message)}${own}` +
        optionWords(given, qdiscKind(kind));
    },
  };
}

/** Which queueing discipline. The kernel finds it by its parent; a handle must be that of the one there. */
export interface QdiscSelector {
  /** Index of the link. */
  readonly index: number;
  /** The number of its parent. */
  readonly parent: number;
  /** Its own number. */
  readonly handle?: number;
}

/** Deletes a queueing discipline. ENOENT when there is none. */
export function deleteQdisc({ index, parent, handle }: QdiscSelector): Request<undefined> {
  const message: TcMessage = { index, parent, handle: handle ?? 0 };
  return {
    type: RTM.DELQDISC,
    typeName: "RTM_DELQDISC",
    flags: 0,
    operation: `delete ${describe(message)} of link ${index}`,
    format: qdiscFormat,
    message,
    command: () => `tc qdisc delete ${placeWords(message)}`,
  };
}

/** Reads one queueing discipline. ENOENT when there is none. */
export function getQdisc({ index, parent, handle }: QdiscSelector): Request<QdiscInfo> {
  const message: TcMessage = { index, parent, handle: handle ?? 0 };
  return {
    type: RTM.GETQDISC,
    typeName: "RTM_GETQDISC",
    // The kernel tells the asker only as an echo of the notification.
    flags: NLM_F.ECHO,
    operation: `get ${describe(message)} of link ${index}`,
    format: qdiscFormat,
    message,
    reply: readQdisc,
    command: () => `tc qdisc show ${placeWords(message)}`,
  };
}

/** Reads the queueing disciplines of one link or of all links. */
export function dumpQdiscs({ index = 0 }: { index?: number } = {}): DumpRequest<QdiscInfo> {
  return {
    type: RTM.GETQDISC,
    typeName: "RTM_GETQDISC",
    flags: 0,
    operation: index ? `list qdiscs of link ${index}` : "list qdiscs",
    format: qdiscFormat,
    message: { index },
    reply: readQdisc,
    filter: (qdisc) => !index || qdisc.index === index,
    command: () => `tc qdisc show${index ? ` dev if${index}` : ""}`,
  };
}
