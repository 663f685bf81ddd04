/**
 * Redirects of a link's frames to a program: removing the filters that do it. It also works when the program
 * has been killed: its TAPs are gone then, and the filters drop every frame.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { forEachAttribute, readText } from "../netlink/attribute.ts";
import { type Source, source } from "../netlink/bytes.ts";
import type { Connection } from "../netlink/connection.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { DumpRequest, Request } from "../netlink/message.ts";
import { RTM } from "../rtnetlink/constants.ts";
import { getLink, kindOf } from "../rtnetlink/link.ts";
import {
  FILTER_PARENTS,
  formatHandle,
  QDISC_PARENTS,
  readTcHeader,
  tcFormat,
  type TcMessage,
  TCMSG,
  tcSchema,
} from "../rtnetlink/traffic_control.ts";
import type { RedirectedLink } from "./record.ts";

/** The major number of the classes that mark filters of netloom: `nl`. */
const MARK = 0x6e6c;

/** Set in the class of a filter when netloom has added the queueing discipline that it is at. */
const HOOK = 0x8000;

/** What netloom notes in a filter of its own, as the number of a class that does not exist. */
export interface RedirectTag {
  /** Which redirect of the link and direction it is, from 1 on: frames pass them in this order. */
  readonly level: number;
  /** Whether netloom has added the link's clsact. */
  readonly hook: boolean;
}

/** The class that a tag is written as. */
export function tagClass({ level, hook }: RedirectTag): string {
  return `${MARK.toString(16)}:${((hook ? HOOK : 0) | level).toString(16)}`;
}

/**
 * A queueing discipline or a filter, with little of its options: `src/rtnetlink/filter.ts` reads them all, and would
 * load the codecs of all kinds with every program.
 */
export interface HookEntry {
  /** The kernel's name of the kind. */
  readonly kind: string;
  /** Its number. */
  readonly handle: number;
  /** `ingress` or `egress` for filters at the places of clsact. */
  readonly parent: string;
  /** The turn of a filter. */
  readonly priority: number;
  /** The number of the class that a bpf filter has. */
  readonly classid?: number;
  /** Index of the link to which the first action of a bpf filter redirects; 0 when it is gone. */
  readonly target?: number;
  /** The message that selects it. */
  readonly selector: TcMessage;
}

/** Attributes of a bpf filter (`TCA_BPF_*`), of its actions (`TCA_ACT_*`), and of mirred (`TCA_MIRRED_*`). */
const BPF = { ACT: 1, CLASSID: 3 } as const;
const ACT = { KIND: 1, OPTIONS: 2 } as const;
const MIRRED = { PARMS: 2 } as const;
/** Where `struct tc_mirred` has the index of the link. */
const MIRRED_IFINDEX = 24;

/** Without a schema for any kind: options are bytes. */
const codec = tcSchema(() => undefined);

/** Finds an attribute by the way through the nests. */
function find(
  source: Source,
  [start, end]: readonly [start: number, end: number],
  [type, ...rest]: readonly number[],
): readonly [start: number, end: number] | undefined {
  let found: [number, number] | undefined;
  forEachAttribute(source, start, end, (it, at, length) => {
    if (it === type) found ??= [at, at + length];
  });
  return found && rest.length > 0 ? find(source, found, rest) : found;
}

function readEntry(source: Source, start: number, end: number): HookEntry {
  const { index, handle, parent, info } = readTcHeader(source, start);
  const { kind = "", options, chain } = codec.read(source, start + TCMSG, end);
  return {
    kind,
    handle,
    parent: formatHandle(parent, FILTER_PARENTS),
    priority: info >>> 16,
    ...(kind === "bpf" && options instanceof Uint8Array ? readBpf(new Uint8Array(options)) : {}),
    selector: { index, handle, parent, info, kind, ...(chain ? { chain } : {}) },
  };
}

function readBpf(options: Uint8Array<ArrayBuffer>): Pick<HookEntry, "classid" | "target"> {
  const { bytes, view } = source(options);
  const at = (path: readonly number[]) => find({ bytes, view }, [0, bytes.length], path);
  const classid = at([BPF.CLASSID]);
  const kind = at([BPF.ACT, 1, ACT.KIND]);
  const mirred = kind && readText({ bytes, view }, kind[0], kind[1] - kind[0]) === "mirred" &&
    at([BPF.ACT, 1, ACT.OPTIONS, MIRRED.PARMS]);
  return {
    ...(classid && { classid: view.getUint32(classid[0], true) }),
    ...(mirred && { target: view.getUint32(mirred[0] + MIRRED_IFINDEX, true) }),
  };
}

const format = tcFormat(codec, readEntry);

/** Whether it is an object of its own, and not a table of the kernel's (`isFilter()`). */
function isOwnObject({ kind, handle }: HookEntry): boolean {
  return handle !== 0 && !(kind === "u32" && (handle & 0xfff) === 0);
}

function dumpEntries(
  what: "qdisc" | "filter",
  message: TcMessage,
): DumpRequest<HookEntry> {
  const qdisc = what === "qdisc";
  const { index, parent } = message;
  return {
    type: qdisc ? RTM.GETQDISC : RTM.GETTFILTER,
    typeName: qdisc ? "RTM_GETQDISC" : "RTM_GETTFILTER",
    flags: 0,
    operation: `list ${what}s of link ${index}`,
    format,
    message,
    reply: readEntry,
    filter: (it) => qdisc ? it.selector.index === index : isOwnObject(it),
    command: () =>
      `tc ${what} show dev if${index}` +
      (parent === undefined ? "" : ` ${formatHandle(parent, FILTER_PARENTS)}`),
  };
}

function deleteClsact(index: number): Request {
  return {
    type: RTM.DELQDISC,
    typeName: "RTM_DELQDISC",
    flags: 0,
    operation: `delete clsact of link ${index}`,
    format,
    message: { index, parent: QDISC_PARENTS.ingress! },
    command: () => `tc qdisc delete dev if${index} clsact`,
  };
}

function deleteEntry({ parent, priority, kind, handle, selector }: HookEntry): Request {
  return {
    type: RTM.DELTFILTER,
    typeName: "RTM_DELTFILTER",
    flags: 0,
    operation: `delete filter at ${parent} of link ${selector.index}`,
    format,
    message: selector,
    command: () =>
      `tc filter delete dev if${selector.index} ${parent} protocol all prio ${priority} ` +
      `handle ${handle} ${kind}`,
  };
}

/** The tag of a filter; `undefined` for a filter of somebody else. */
export function tagOf({ classid }: HookEntry): RedirectTag | undefined {
  if (classid === undefined || classid >>> 16 !== MARK) return undefined;
  return { level: classid & ~HOOK & 0xffff, hook: (classid & HOOK) !== 0 };
}

/** The handle of the filter of an impairment that came with its clsact (`src/traffic/impair_kernel.ts`). */
export const IMPAIRMENT_WITH_HOOK = 0x6e6c0001;

/** Whether a filter says that netloom has added the clsact that it is at. */
export function isHookOurs(filter: HookEntry): boolean {
  return tagOf(filter)?.hook ?? (filter.kind === "bpf" && filter.handle === IMPAIRMENT_WITH_HOOK);
}

/** Queueing discipline and filters at the places of clsact. */
export interface Hooks {
  /** `clsact` or `ingress`; `undefined` when the link has neither. */
  readonly kind: "clsact" | "ingress" | undefined;
  /** The filters, in the order in which frames meet them. */
  readonly filters: readonly HookEntry[];
}

/** Reads what is at the places of clsact. */
export function readHooks(connection: Connection, index: number): Hooks {
  const hook = connection.dump(dumpEntries("qdisc", { index })).find(({ kind }) =>
    kind === "clsact" || kind === "ingress"
  );
  if (!hook) return { kind: undefined, filters: [] };
  const places = hook.kind === "clsact" ? ["ingress", "egress"] : ["ingress"];
  const filters = places.flatMap((place) =>
    connection.dump(dumpEntries("filter", { index, parent: FILTER_PARENTS[place]! }))
  );
  return { kind: hook.kind as "clsact" | "ingress", filters };
}

/** Which filters to remove. */
export interface RemoveOptions {
  /** The TAPs that the filters redirect to. Default: those that are gone. */
  readonly taps?: readonly number[];
  /** The clsact is netloom's, even if no filter says so any more. */
  readonly hook?: boolean;
}

/**
 * Removes filters of netloom from a link, and the clsact that netloom has added when nothing else is in it. A
 * link that is gone, or another one by now, is left alone.
 *
 * @throws {NetlinkError} When the kernel refuses.
 */
export function removeRedirects(
  connection: Connection,
  link: RedirectedLink,
  { taps = [0], hook = false }: RemoveOptions = {},
): void {
  const { index, kind } = link;
  try {
    if (kindOf(connection.request(getLink(index, { stats: false }))) !== kind) return;
    const hooks = readHooks(connection, index);
    const own = hooks.filters.filter((it) => tagOf(it) && taps.includes(it.target!));
    const empty = hooks.kind === "clsact" && own.length === hooks.filters.length &&
      (hook || own.some((it) => tagOf(it)!.hook));
    // One message that removes all at once, where there is one.
    const requests: Request[] = empty ? [deleteClsact(index)] : own.map((it) => deleteEntry(it));
    const results = connection.batch(requests);
    for (const result of results) if (!result.ok) throw result.error;
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.errno !== ERRNO.ENODEV) throw error;
  }
}
