/**
 * A link as the kernel reports it, told apart by its kind; IFLA_LINKINFO, which holds the kind and its options; and
 * link kinds by name.
 *
 * @module
 */
import { type Field, text } from "../netlink/attribute.ts";
import type { Source } from "../netlink/bytes.ts";
import { schema, type TaggedSchema, taggedSchema, unknownAttributes } from "../netlink/schema.ts";
import { IFF, type LinkFlag, linkFlagNames } from "./constants.ts";
import { IFLA, linkFields, type LinkReport, type LinkStats, SKIPPED } from "./link_attributes.ts";
import type { InfoOf, KindOptions, LinkKind, PortInfoOf } from "./link_kinds/kind.ts";
import * as table from "./link_kinds/table.ts";

/** The table of link kinds, by the kernel's names. */
export type LinkKinds = typeof table;

const kinds: ReadonlyMap<string, LinkKind> = new Map(
  Object.entries(table as unknown as Readonly<Record<string, LinkKind>>),
);

/** A kind by the kernel's name; `undefined` when the table does not have it. */
export function linkKind(kind: string | undefined): LinkKind | undefined {
  return kind === undefined ? undefined : kinds.get(kind);
}

/** The names of the kinds in the table, sorted. */
export function linkKindNames(): string[] {
  return [...kinds.keys()].sort();
}

/** Attribute numbers inside IFLA_LINKINFO. */
export const IFLA_INFO = { KIND: 1, DATA: 2, XSTATS: 3, SLAVE_KIND: 4, SLAVE_DATA: 5 } as const;

/** IFLA_LINKINFO: the kind of a link, its options, and its options as a port of its master. */
export interface LinkInfoNest {
  /** `veth`, `bridge`, ...; absent for physical links and loopback. */
  kind?: string;
  /** The kind's options on the wire; bytes for a kind that netloom does not know. */
  data?: object;
  /** The kind of the master: `bridge` for a port of a bridge. */
  portKind?: string;
  /** The options of a port on the wire; bytes for a kind that netloom does not know. */
  portData?: object;
}

const infoNames = schema<object>("IFLA_INFO_", IFLA_INFO, {});

/** The codec of {@link LinkInfoNest}. */
export const linkInfoSchema: TaggedSchema<LinkInfoNest> = taggedSchema<LinkInfoNest>(infoNames, {
  kind: text(IFLA_INFO.KIND),
  portKind: text(IFLA_INFO.SLAVE_KIND),
} as Readonly<Record<string, Field<unknown>>>, {
  data: { type: IFLA_INFO.DATA, tag: "kind", schemaOf: (kind) => linkKind(kind)?.data },
  portData: {
    type: IFLA_INFO.SLAVE_DATA,
    tag: "portKind",
    schemaOf: (kind) => linkKind(kind)?.port?.data,
  },
});

/** Properties of links of every kind. */
export interface CommonLinkInfo extends LinkReport {
  /** Its index. */
  index: number;
  /** Its name. */
  name: string;
  /** Hardware type, ARPHRD_*: 1 Ethernet, 772 loopback, 65534 none. */
  type: number;
  /** Its flags by their names, as `ip link` shows them: `UP`, `LOWER_UP`, `MULTICAST`, ... */
  flags: readonly LinkFlag[];
  /** Whether it is administratively up (IFF_UP). */
  up: boolean;
  /** Index of the link it sits on, in this namespace or in the one that `linkNetnsId` tells. */
  parent?: number;
  /** The parent's name, where it is in this namespace and the call reads it. */
  parentName?: string;
  /** Index of the other end of a pair, in this namespace or in the one that `linkNetnsId` tells. */
  peer?: number;
  /** The name of the other end, where it is in this namespace and the call reads it. */
  peerName?: string;
  /** The master's name, where the call reads it. */
  masterName?: string;
  /** The options of the link as a port of its master. */
  port?: LinkPortInfo;
  /** Counters; absent when they were not asked for. */
  stats?: LinkStats;
}

/** A kind that netloom knows, and its options. */
export type KnownKindInfo = {
  [K in keyof LinkKinds]: { kind: K; options: InfoOf<LinkKinds[K]> };
}[keyof LinkKinds];

/** A kind that netloom does not know, with its options as they came. */
export interface UnknownKindInfo {
  /** Not a kind that netloom knows. */
  kind: "unknown";
  /** The kernel's name of the kind. */
  kernelKind: string;
  /** IFLA_INFO_DATA. */
  options: Uint8Array;
}

/** A link without a kind: loopback, or a physical link. */
export interface NoKindInfo {
  /** Loopback and physical links have none. */
  kind: undefined;
}

/**
 * A link as the kernel reports it. `kind` tells which options it has: after
 * `info.kind === "bridge"`, `info.options` are those of a bridge.
 */
export type LinkInfo = CommonLinkInfo & (KnownKindInfo | UnknownKindInfo | NoKindInfo);

/** The options of a port, told apart by the kind of its master. */
export type LinkPortInfo =
  | {
    [K in keyof LinkKinds]: LinkKinds[K] extends { readonly port: object }
      ? { kind: K; options: PortInfoOf<LinkKinds[K]> }
      : never;
  }[keyof LinkKinds]
  | UnknownKindInfo;

/** The properties that every link has ahead of its attributes. */
const FIRST: Partial<LinkInfo> = {
  index: 0,
  name: "",
  type: 0,
  flags: [],
  up: false,
  kind: undefined,
};

/** Attributes that only requests and events have; `parent` has two meanings in a report. */
const { parent, netnsFd, netnsPid, extMask, targetNetnsId, newIndex, event, ...reported } =
  linkFields;
const IGNORED = [netnsFd, netnsPid, extMask, targetNetnsId, newIndex, event].map(({ type }) => type)
  .concat(SKIPPED);

/** IFLA_LINKINFO of the link that is being read: it gives more than the one property that it is read as. */
let nest: LinkInfoNest | undefined;

/** IFLA_LINKINFO, read as the options. */
const options: Field<object> = {
  type: IFLA.LINKINFO,
  write: () => {
    throw new TypeError("Links are only read by this schema");
  },
  read: (source, at, length) => {
    nest = length <= KIND_ONLY ? kindAlone(source, at, length) : linkInfoSchema.read(
      source,
      at,
      at + length,
    );
    const kind = linkKind(nest.kind);
    return kind ? decoded(kind, nest.data) : nest.data ?? new Uint8Array(0);
  },
};

/** The schemas of a link as reported, with counters and without. IFLA_LINK is a parent or a peer. */
function reportSchemas(key: "parent" | "peer") {
  const { stats, ...quiet } = { ...reported, [key]: parent, options };
  return {
    withStats: schema<LinkInfo>("IFLA_", IFLA, { ...quiet, stats } as never, IGNORED),
    without: schema<LinkInfo>("IFLA_", IFLA, quiet as never, [...IGNORED, IFLA.STATS64]),
  };
}

const parentSchemas = reportSchemas("parent");
const peerSchemas = reportSchemas("peer");

/** Reads `struct ifinfomsg` and the attributes after it. */
export function readLink(source: Source, start: number, end: number): LinkInfo {
  return readWith("withStats", source, start, end);
}

/** Reads a link without its counters: the kernel may send them without being asked. */
export function readLinkWithoutStats(source: Source, start: number, end: number): LinkInfo {
  return readWith("without", source, start, end);
}

/** Whether the link read last is an end of a pair: in a table the next one mostly is, too. */
let wasPair = false;

function readWith(
  which: "withStats" | "without",
  source: Source,
  start: number,
  end: number,
): LinkInfo {
  let link = readSet(which, source, start, end);
  const pair = linkKind(nest?.kind)?.pair ?? false;
  if (pair !== wasPair) {
    wasPair = pair;
    link = readSet(which, source, start, end);
  }
  const { view } = source;
  const flags = view.getUint32(start + 8, true);
  link.index = view.getInt32(start + 4, true);
  link.type = view.getUint16(start + 2, true);
  link.flags = linkFlagNames(flags);
  link.up = (flags & IFF.UP) !== 0;
  if (nest === undefined) return link as LinkInfo;
  const { kind, portKind, portData } = nest;
  if (kind === undefined) {
    // A port without a kind: a physical link.
    delete link.options;
  } else if (linkKind(kind)) link.kind = kind;
  else {
    link.kind = "unknown";
    link.kernelKind = kind;
  }
  if (portKind !== undefined) link.port = portInfo(portKind, portData);
  return link as LinkInfo;
}

/** A link while it is read. */
type Draft = CommonLinkInfo & {
  kind?: string | undefined;
  kernelKind?: string;
  options?: object;
};

function readSet(
  which: "withStats" | "without",
  source: Source,
  start: number,
  end: number,
): Draft {
  nest = undefined;
  const schema = (wasPair ? peerSchemas : parentSchemas)[which];
  return schema.read(source, start + 16, end, FIRST) as Draft;
}

/** The public form of port options. */
export function portInfo(kind: string, data: object = {}): LinkPortInfo {
  const port = linkKind(kind)?.port;
  if (!port) {
    const options = data instanceof Uint8Array ? data : new Uint8Array(0);
    return { kind: "unknown", kernelKind: kind, options };
  }
  return { kind, options: decoded(port, data) } as LinkPortInfo;
}

const NO_DATA: object = Object.freeze({});

/** The public form of options, with the attributes that netloom does not know. */
function decoded(
  kind: KindOptions<object, object, object>,
  data: object = NO_DATA,
): object {
  if (!kind.decode) return data;
  const options: { [unknownAttributes]?: unknown } = kind.decode(data);
  const unknown = (data as typeof options)[unknownAttributes];
  if (unknown) options[unknownAttributes] = unknown;
  return options;
}

/** Bytes inside an IFLA_LINKINFO that has a kind of up to 7 letters, and nothing else. */
const KIND_ONLY = 12;

/** The last IFLA_LINKINFO with nothing but a kind: in a table most links have the same. */
let lastKind: { readonly words: Int32Array; readonly nest: LinkInfoNest } | undefined;

function kindAlone(source: Source, at: number, length: number): LinkInfoNest {
  const { words } = source;
  const first = at >> 2;
  const count = length >> 2;
  if (lastKind && words && (at & 3) === 0 && lastKind.words.length === count) {
    let i = 0;
    while (i < count && words[first + i] === lastKind.words[i]) i++;
    if (i === count) return lastKind.nest;
  }
  const alone = linkInfoSchema.read(source, at, at + length);
  if (words && ((at | length) & 3) === 0) {
    lastKind = { words: words.slice(first, first + count), nest: alone };
  }
  return alone;
}
