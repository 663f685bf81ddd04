/**
 * Classes of queueing disciplines: RTM_NEWTCLASS, RTM_DELTCLASS, RTM_GETTCLASS (tc(8), rtnetlink(7)).
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

/** The kinds of queueing disciplines whose classes the user creates. */
export type ClassKinds = {
  [K in keyof QdiscKinds as QdiscKinds[K] extends { readonly class: object } ? K : never]:
    QdiscKinds[K] extends { readonly class: infer C } ? C : never;
};

/** The place of a class. */
export interface ClassPlace {
  /** Its handle: `1:10`, in the queueing discipline `1:`. */
  classid: Handle;
  /** The class above it: `1:1`. Default: none, it is at the top of its queueing discipline. */
  parent?: Handle;
}

/** A class to be set: its place, the kind of its queueing discipline, and its options. */
export type ClassOptions =
  & ClassPlace
  & { [K in keyof ClassKinds]: { kind: K; options: OptionsOf<ClassKinds[K]> } }[keyof ClassKinds];

/** The report of every class. */
export interface CommonClassInfo {
  /** Index of the link. */
  index: number;
  /** Its handle: `1:10`. */
  classid: Handle;
  /** The class above it, `1:1`; `root` for one at the top. */
  parent: Handle;
  /** The queueing discipline in it: `20:`. */
  leaf?: Handle;
  /** Counters. */
  stats: TrafficStats;
  /** Counters of its kind. */
  xstats?: object;
}

/** A class of a kind that netloom has no classes of. */
export interface UnknownClass {
  /** Not a kind that netloom has classes of. */
  kind: "unknown";
  /** The kernel's name of the kind. */
  kernelKind: string;
  /** TCA_OPTIONS. */
  options: Uint8Array;
}

/** A class as the kernel reports it; `kind` tells which options it has. */
export type ClassInfo =
  & CommonClassInfo
  & (
    | { [K in keyof ClassKinds]: { kind: K; options: ReportOf<ClassKinds[K]> } }[keyof ClassKinds]
    | UnknownClass
  );

const ENTRY: OptionNames<ClassPlace & { kind: string; options: object }> = {
  classid: true,
  parent: true,
  kind: true,
  options: true,
};

const classOf = (kind: string | undefined) => qdiscKind(kind)?.class;

const codec = tcSchema((kind) => classOf(kind)?.data);

/** Reads `struct tcmsg` and the attributes of a class. */
export function readClass(source: Source, start: number, end: number): ClassInfo {
  const { index, handle, parent, info } = readTcHeader(source, start);
  const { kind = "", options, stats } = codec.read(source, start + TCMSG, end);
  const entry = classOf(kind);
  const xstats = xstatsOf(stats, entry?.xstats);
  const common: CommonClassInfo = {
    index,
    classid: formatHandle(handle),
    parent: formatHandle(parent, QDISC_PARENTS),
    ...(info ? { leaf: formatHandle(info) } : {}),
    stats: statsOf(stats),
    ...(xstats === undefined ? {} : { xstats }),
  };
  return { ...common, ...kindAndOptions(kind, entry, options) } as ClassInfo;
}

/** The framing of messages about classes. */
export const classFormat: MessageFormat<TcMessage, ClassInfo> = tcFormat(codec, readClass);

/**
 * Checks a class and creates its message. Of a {@link ClassInfo} it takes the options that can be set.
 *
 * @throws {TypeError} For an unknown kind or option, and for a malformed value.
 * @throws {RangeError} For a value out of range.
 */
export function classMessage(entry: ClassOptions | ClassInfo, index: number): TcMessage {
  const given = hasKey(entry, "stats") ? settable(entry) : entry;
  const own = classOf(given?.kind);
  checkEntry(given, ENTRY, own);
  const { parent, classid, kind, options = {} } = given;
  if (!own) throw unknownWord(kind, qdiscKindNames().filter(classOf), "kind");
  const handle = parseHandle(classid, { path: "classid" });
  if ((handle & 0xffff) === 0) {
    throw new TypeError(
      `classid must be the handle of a class such as "1:10": got ${show(classid)}`,
    );
  }
  return {
    index,
    // The queueing discipline stands for no parent, as in `tc`.
    parent: parent === undefined
      ? handle - (handle & 0xffff)
      : parseHandle(parent, { path: "parent", words: QDISC_PARENTS }),
    handle,
    kind,
    options: encodeOptions(own, options),
    given: options,
  };
}

function settable(info: ClassInfo): ClassOptions {
  const { classid, parent, kind } = info;
  return {
    classid,
    parent,
    kind,
    options: settableOptions(info.options, classOf(kind)),
  } as ClassOptions;
}

/** Sets a class: adds it, replaces its options, or changes them. */
export function newClass(message: TcMessage, mode: TcMode = "add"): Request<undefined> {
  return {
    type: RTM.NEWTCLASS,
    typeName: "RTM_NEWTCLASS",
    flags: modeFlags(mode),
    operation: `${mode} class ${formatHandle(message.handle ?? 0)} of link ${message.index}`,
    format: classFormat,
    message,
    command: () => {
      const { index, kind, parent = 0, handle = 0, given } = message;
      const place = parent === QDISC_PARENTS.root ? "root" : `parent ${formatHandle(parent)}`;
      return `tc class ${mode} dev if${index} ${place} classid ${formatHandle(handle)} ${kind}` +
        optionWords(given, classOf(kind));
    },
  };
}

/** Deletes a class. ENOENT when there is none, EBUSY when it has others below. */
export function deleteClass(
  { index, handle }: { index: number; handle: number },
): Request<undefined> {
  return {
    type: RTM.DELTCLASS,
    typeName: "RTM_DELTCLASS",
    flags: 0,
    operation: `delete class ${formatHandle(handle)} of link ${index}`,
    format: classFormat,
    message: { index, handle },
    command: () => `tc class delete dev if${index} classid ${formatHandle(handle)}`,
  };
}

/** Reads one class. ENOENT when there is none. */
export function getClass({ index, handle }: { index: number; handle: number }): Request<ClassInfo> {
  return {
    type: RTM.GETTCLASS,
    typeName: "RTM_GETTCLASS",
    // The kernel tells the asker only as an echo of the notification.
    flags: NLM_F.ECHO,
    operation: `get class ${formatHandle(handle)} of link ${index}`,
    format: classFormat,
    message: { index, handle },
    reply: readClass,
    command: () => `tc class show dev if${index} classid ${formatHandle(handle)}`,
  };
}

/** Reads the classes of a link, or those of one queueing discipline. */
export function dumpClasses(
  { index, parent = 0 }: { index: number; parent?: number },
): DumpRequest<ClassInfo> {
  return {
    type: RTM.GETTCLASS,
    typeName: "RTM_GETTCLASS",
    flags: 0,
    operation: `list classes of link ${index}`,
    format: classFormat,
    message: { index, parent },
    reply: readClass,
    command: () =>
      `tc class show dev if${index}` + (parent ? ` parent ${formatHandle(parent)}` : ""),
  };
}
