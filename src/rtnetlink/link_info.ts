/**
 * A link as the kernel reports it, told apart by its kind; and IFLA_LINKINFO, which holds the kind and
 * its options.
 *
 * @module
 */
import { type Field, text } from "../netlink/attribute.ts";
import type { Source } from "../netlink/bytes.ts";
import { NLA_TYPE_MASK } from "../netlink/constants.ts";
import { NetlinkDecodeError } from "../netlink/error.ts";
import {
  type Schema,
  schema,
  type TaggedSchema,
  taggedSchema,
  unknownAttributes,
} from "../netlink/schema.ts";
import { IFF, type LinkFlag, linkFlagNames } from "./constants.ts";
import { IFLA, linkFields, type LinkReport, type LinkStats, SKIPPED } from "./link_attributes.ts";
import type { InfoOf, KindOptions, PortInfoOf } from "./link_kinds/kind.ts";
import { linkKind, type LinkKinds } from "./link_kinds/mod.ts";

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

/** What every link has, whatever its kind. */
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

/** The properties that every link has ahead of its attributes, for each form of the union. */
const COMMON = { index: 0, name: "", type: 0, flags: [], up: false };
const NO_KIND: Partial<LinkInfo> = { ...COMMON, kind: undefined };
const WITH_KIND = { ...COMMON, kind: "unknown", options: {} } as unknown as Partial<LinkInfo>;
const UNKNOWN: Partial<LinkInfo> = {
  ...COMMON,
  kind: "unknown",
  kernelKind: "",
  options: new Uint8Array(0),
};

type Report = Omit<LinkReport, "stats"> & { stats?: LinkStats };

const {
  parent: _1,
  netnsFd: _2,
  netnsPid: _3,
  extMask: _4,
  targetNetnsId: _5,
  newIndex: _6,
  ...R
} = linkFields;
const { event: _7, ...reported } = R;
const IGNORED = [
  ...SKIPPED,
  IFLA.LINKINFO,
  IFLA.NET_NS_FD,
  IFLA.NET_NS_PID,
  IFLA.EXT_MASK,
  IFLA.TARGET_NETNSID,
  IFLA.NEW_IFINDEX,
  IFLA.EVENT,
];

/** The schemas of what is reported: IFLA_LINK is a parent or a peer, and counters are wanted or not. */
const schemas = (["parent", "peer"] as const).map((key) => {
  const fields = { ...reported, [key]: linkFields.parent };
  const { stats: _, ...quiet } = fields;
  return {
    withStats: schema<Report>("IFLA_", IFLA, fields as never, IGNORED),
    without: schema<Report>("IFLA_", IFLA, quiet as never, [...IGNORED, IFLA.STATS64]),
  };
});
const [parentSchemas, peerSchemas] = schemas as [typeof schemas[0], typeof schemas[0]];

/** Reads `struct ifinfomsg` and the attributes after it. */
export function readLink(source: Source, start: number, end: number): LinkInfo {
  return readWith("withStats", source, start, end);
}

/** Reads a link without its counters: the kernel may send them though nobody wants them. */
export function readLinkWithoutStats(source: Source, start: number, end: number): LinkInfo {
  return readWith("without", source, start, end);
}

function readWith(
  which: "withStats" | "without",
  source: Source,
  start: number,
  end: number,
): LinkInfo {
  const { view } = source;
  const nest = readLinkInfo(source, start + 16, end);
  const kind = linkKind(nest?.kind);
  const schema = (kind?.pair ? peerSchemas : parentSchemas)[which] as unknown as Schema<LinkInfo>;
  const first = nest?.kind === undefined ? NO_KIND : kind ? WITH_KIND : UNKNOWN;
  const link = schema.read(source, start + 16, end, first) as CommonLinkInfo & {
    kind?: string;
    kernelKind?: string;
    options?: object;
  };
  const flags = view.getUint32(start + 8, true);
  link.index = view.getInt32(start + 4, true);
  link.type = view.getUint16(start + 2, true);
  link.flags = linkFlagNames(flags);
  link.up = (flags & IFF.UP) !== 0;
  if (nest?.kind !== undefined) {
    if (kind) {
      link.kind = nest.kind;
      link.options = decoded(kind, nest.data);
    } else {
      link.kernelKind = nest.kind;
      link.options = nest.data ?? new Uint8Array(0);
    }
  }
  if (nest?.portKind !== undefined) link.port = portInfo(nest.portKind, nest.portData);
  return link as LinkInfo;
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

/** The public form of options, with the attributes that netloom does not know. */
function decoded(kind: KindOptions<object, object, object>, data: object = {}): object {
  if (!kind.decode) return data;
  const options: { [unknownAttributes]?: unknown } = kind.decode(data);
  const unknown = (data as typeof options)[unknownAttributes];
  if (unknown) options[unknownAttributes] = unknown;
  return options;
}

/** Finds IFLA_LINKINFO among the attributes of a link. It decides how to read the others. */
function readLinkInfo(source: Source, at: number, end: number): LinkInfoNest | undefined {
  const { view } = source;
  while (at + 4 <= end) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > end) {
      throw new NetlinkDecodeError(
        `Cannot read IFLA_* attributes: one claims ${length} of ${end - at} bytes`,
      );
    }
    if ((view.getUint16(at + 2, true) & NLA_TYPE_MASK) === IFLA.LINKINFO) {
      return length <= KIND_ONLY ? kindAlone(source, at, length) : linkInfoSchema.read(
        source,
        at + 4,
        at + length,
      );
    }
    at += (length + 3) & ~3;
  }
  return undefined;
}

/** Bytes of an IFLA_LINKINFO that has a kind of up to 7 letters, and nothing else. */
const KIND_ONLY = 16;

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
  const nest = linkInfoSchema.read(source, at + 4, at + length);
  if (words && ((at | length) & 3) === 0) {
    lastKind = { words: words.slice(first, first + count), nest };
  }
  return nest;
}
