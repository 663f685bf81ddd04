/**
 * Redirects of a link's frames to a program, and impairments of it by the kernel: removing the filters and disciplines
 * that do it. It also works when the program has been killed: its TAPs are gone then, and the filters drop every frame.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { binary, forEachAttribute, readText, text, u32 } from "../netlink/attribute.ts";
import { type Source, source } from "../netlink/bytes.ts";
import type { Connection } from "../netlink/connection.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { DumpRequest, MessageFormat, Request } from "../netlink/message.ts";
import { schema } from "../netlink/schema.ts";
import { RTM } from "../rtnetlink/constants.ts";
import { deleteLink, dumpLinks, getLink, kindOf } from "../rtnetlink/link.ts";
import {
  FILTER_PARENTS,
  formatHandle,
  QDISC_PARENTS,
  readTcHeader,
  TCA,
  type TcHeader,
  TCMSG,
  writeTcHeader,
} from "../rtnetlink/fields.ts";
import type { ChangedLink } from "./record.ts";

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
  readonly selector: Selector;
}

/** Attributes of a bpf filter (`TCA_BPF_*`), of its actions (`TCA_ACT_*`), and of mirred (`TCA_MIRRED_*`). */
const BPF = { ACT: 1, CLASSID: 3 } as const;
const ACT = { KIND: 1, OPTIONS: 2 } as const;
const MIRRED = { PARMS: 2 } as const;
/** Where `struct tc_mirred` has the index of the link. */
const MIRRED_IFINDEX = 24;

/** The attributes of such an entry; `src/rtnetlink/traffic_control.ts` has all. */
interface Attributes {
  kind?: string;
  options?: Uint8Array;
  chain?: number;
}

const attributes = schema<Attributes>("TCA_", TCA, {
  kind: text(TCA.KIND, 15),
  options: binary(TCA.OPTIONS),
  chain: u32(TCA.CHAIN),
}, Object.values(TCA));

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
  const { kind = "", options, chain } = attributes.read(source, start + TCMSG, end);
  return {
    kind,
    handle,
    parent: formatHandle(parent, FILTER_PARENTS),
    priority: info >>> 16,
    ...(kind === "bpf" && options ? readBpf(new Uint8Array(options)) : {}),
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

/** A message about such an entry. */
type Selector = TcHeader & Pick<Attributes, "kind" | "chain">;

const format: MessageFormat<Selector, HookEntry> = {
  headerLength: TCMSG,
  schemaOf: () => attributes,
  write: (writer, { kind, chain, ...header }) => {
    writeTcHeader(writer, header);
    attributes.write(writer, {
      ...(kind === undefined ? {} : { kind }),
      ...(chain === undefined ? {} : { chain }),
    });
  },
  read: readEntry,
};

/** Whether it is an object of its own, and not a table of the kernel's (`isFilter()`). */
function isOwnObject({ kind, handle }: HookEntry): boolean {
  return handle !== 0 && !(kind === "u32" && (handle & 0xfff) === 0);
}

function dumpEntries(
  what: "qdisc" | "filter",
  message: Selector,
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

function deleteAt(place: "root" | "ingress", index: number): Request {
  return {
    type: RTM.DELQDISC,
    typeName: "RTM_DELQDISC",
    flags: 0,
    operation: `delete the queueing discipline at ${place} of link ${index}`,
    format,
    message: { index, parent: QDISC_PARENTS[place]! },
    command: () => `tc qdisc delete dev if${index} ${place === "root" ? place : "clsact"}`,
  };
}

/** Deletes a filter; `alone`: with its priority, which would stay before Linux 6.18. */
function deleteEntry(
  { parent, priority, kind, handle, selector }: HookEntry,
  alone: boolean,
): Request {
  return {
    type: RTM.DELTFILTER,
    typeName: "RTM_DELTFILTER",
    flags: 0,
    operation: `delete filter at ${parent} of link ${selector.index}`,
    format,
    message: alone ? { ...selector, handle: 0 } : selector,
    command: () =>
      `tc filter delete dev if${selector.index} ${parent} protocol all prio ${priority} ` +
      `${alone ? "" : `handle ${handle} `}${kind}`,
  };
}

/** The tag of a filter; `undefined` for a filter of somebody else. */
export function tagOf({ classid }: HookEntry): RedirectTag | undefined {
  if (classid === undefined || classid >>> 16 !== MARK) return undefined;
  return { level: classid & ~HOOK & 0xffff, hook: (classid & HOOK) !== 0 };
}

/** Names and numbers of impairments by the kernel (`src/traffic/impair_kernel.ts`): how any process knows them. */
export const IMPAIRMENT = {
  /** The handle of a discipline. */
  discipline: "6e6c:",
  /** The priority of a filter that leads to an ifb: the last, so that those of the user come first. */
  priority: 0xffff,
  /** The handle of a filter that came with its clsact, and of one at the user's. */
  owner: 0x6e6c0001,
  guest: 0x6e6c0002,
  /** The name of the ifb for the packets that a link sends, or receives. */
  ifb: (index: number, side: "egress" | "ingress") =>
    `imp${index}${side === "egress" ? "out" : "in"}`,
} as const;

/** Whether a filter leads packets to the ifb of an impairment. */
export function leadsToIfb(
  { kind, priority, handle }: {
    readonly kind: string;
    readonly priority: number;
    readonly handle: unknown;
  },
): boolean {
  return kind === "bpf" && priority === IMPAIRMENT.priority &&
    (handle === IMPAIRMENT.owner || handle === IMPAIRMENT.guest);
}

/** Whether a filter says that netloom has added the clsact that it is at. */
export function isHookOurs(filter: HookEntry): boolean {
  return tagOf(filter)?.hook ?? (leadsToIfb(filter) && filter.handle === IMPAIRMENT.owner);
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
  link: ChangedLink,
  { taps = [0], hook = false }: RemoveOptions = {},
): void {
  changing(connection, link, (index) => {
    const hooks = readHooks(connection, index);
    const own = hooks.filters.filter((it) => tagOf(it) && taps.includes(it.target!));
    return removal(index, hooks, { own, hook });
  });
}

/** The requests that remove filters, and with the last one the clsact that is netloom's. */
function removal(
  index: number,
  { kind, filters }: Hooks,
  { own, hook = false }: { readonly own: readonly HookEntry[]; readonly hook?: boolean },
): Request[] {
  const empty = kind === "clsact" && own.length === filters.length &&
    (hook || own.some(isHookOurs));
  // One message that removes all at once, where there is one.
  if (empty) return [deleteAt("ingress", index)];
  const alone = ({ parent, priority }: HookEntry) =>
    filters.every((it) => own.includes(it) || it.parent !== parent || it.priority !== priority);
  return own.map((it) => deleteEntry(it, alone(it)));
}

/** Sends the requests for a link, unless it is gone or another one by now. */
function changing(
  connection: Connection,
  { index, kind }: ChangedLink,
  requests: (index: number) => readonly Request[],
): void {
  try {
    if (kindOf(connection.request(getLink(index, { stats: false }))) !== kind) return;
    for (const result of connection.batch(requests(index))) if (!result.ok) throw result.error;
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.errno !== ERRNO.ENODEV) throw error;
  }
}

/**
 * Removes what an impairment by the kernel has added to a link: its discipline, its filters with their clsact, and its
 * ifbs. Packets that wait are lost. A link that is gone, or another one by now, is left alone.
 *
 * @throws {NetlinkError} When the kernel refuses.
 */
export function removeImpairment(connection: Connection, link: ChangedLink): void {
  changing(connection, link, (index) => {
    const hooks = readHooks(connection, index);
    const impaired = connection.dump(dumpEntries("qdisc", { index })).some(({ parent, handle }) =>
      parent === "root" && formatHandle(handle) === IMPAIRMENT.discipline
    );
    const names = (["egress", "ingress"] as const).map((side) => IMPAIRMENT.ifb(index, side));
    const ifbs = connection.dump(dumpLinks({ stats: false }))
      .filter((it) => kindOf(it) === "ifb" && names.includes(it.name));
    return [
      ...(impaired ? [deleteAt("root", index)] : []),
      ...removal(index, hooks, { own: hooks.filters.filter(leadsToIfb) }),
      ...ifbs.map(({ index }) => deleteLink({ index })),
    ];
  });
}

/** The first priority behind those of netloom, and not that of somebody else. */
export function freePriority(filters: readonly HookEntry[]): number {
  const own = filters.filter(tagOf).map(({ priority }) => priority);
  let free = Math.max(0, ...own) + 1;
  while (filters.some(({ priority }) => priority === free)) free++;
  return free;
}
