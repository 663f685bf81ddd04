/**
 * The parts that messages of queueing disciplines, classes and filters share: `struct tcmsg`, handles,
 * attributes, counters (`linux/rtnetlink.h`, `linux/gen_stats.h`).
 *
 * @module
 */
import { type Field, struct, text, u32, u64, u8 } from "../netlink/attribute.ts";
import { type MessageFormat, NLM_F } from "../netlink/message.ts";
import { nested, type Schema, schema, type TaggedSchema, taggedSchema } from "../netlink/schema.ts";
import { shellWord } from "../netlink/trace.ts";
import { checkObject, checkOptions, show } from "../options.ts";
import { kernelWord, TCA, type TcHeader, TCMSG, writeTcHeader } from "./fields.ts";
import type { FilterPacket, TcOptions } from "./qdisc_kinds/kind.ts";

/** Attribute numbers of counters. */
export const TCA_STATS = {
  BASIC: 1,
  RATE_EST: 2,
  QUEUE: 3,
  APP: 4,
  RATE_EST64: 5,
  PAD: 6,
  BASIC_HW: 7,
  PKT64: 8,
} as const;

/** A protocol by its word. */
export type FilterProtocolWord =
  | "all"
  | "ip"
  | "arp"
  | "ipv6"
  | "802.1Q"
  | "802.1ad"
  | "mpls_uc"
  | "ppp_ses";

/** Protocols by their words in `tc`, as Ethernet types. */
export const ETHERTYPES: Readonly<Record<FilterProtocolWord, number>> = {
  all: 0x0003,
  ip: 0x0800,
  arp: 0x0806,
  ipv6: 0x86dd,
  "802.1Q": 0x8100,
  "802.1ad": 0x88a8,
  mpls_uc: 0x8847,
  ppp_ses: 0x8864,
};

/** A place or an object: `"1:"`, `"1:10"` (hexadecimal, as in `tc`), or a word such as `"root"`. */
export type Handle = string;

/**
 * The number of a handle.
 *
 * @param handle `"1:"`, `"1:10"`, or one of the words.
 * @param options The option in errors, and the words.
 * @throws {TypeError} For a malformed handle.
 */
export function parseHandle(
  handle: Handle,
  options: { path: string; words?: Readonly<Record<string, number>> },
): number {
  const { path, words = {} } = options;
  if (typeof handle === "string") {
    if (Object.hasOwn(words, handle)) return words[handle]!;
    const [, major, minor] = /^([0-9a-f]{1,4})?:([0-9a-f]{1,4})?$/i.exec(handle) ?? [];
    if (major !== undefined || minor !== undefined) {
      return parseInt(major ?? "0", 16) * 0x10000 + parseInt(minor ?? "0", 16);
    }
  }
  const list = ["1:", "1:10", ...Object.keys(words)].map(show).join(", ");
  throw new TypeError(`${path} must be a handle such as ${list}: got ${show(handle)}`);
}

/** Counters of a queueing discipline, a class or an action. */
export interface TrafficStats {
  /** Bytes that left it. */
  bytes: number;
  /** Packets that left it. */
  packets: number;
  /** Packets in it. */
  qlen: number;
  /** Bytes in it. */
  backlog: number;
  /** Packets that it dropped. */
  drops: number;
  /** Packets that it took back. */
  requeues: number;
  /** Times that a limit delayed or dropped a packet. */
  overlimits: number;
}

/** Counters on the wire. */
export interface StatsNest {
  /** `struct gnet_stats_basic`. */
  basic?: { bytes: number; packets: number };
  /** `struct gnet_stats_queue`. */
  queue?: Omit<TrafficStats, "bytes" | "packets">;
  /** Packets, beyond 32 bits. */
  packets64?: number;
  /** Counters of a kind. */
  app?: { bytes: Uint8Array<ArrayBuffer> };
}

const readCount = u64(0);

const statsSchema: Schema<StatsNest> = schema<StatsNest>("TCA_STATS_", TCA_STATS, {
  basic: {
    type: TCA_STATS.BASIC,
    write: reported,
    read: (s, at, length) => ({
      bytes: readCount.read(s, at, length),
      packets: length < 12 ? 0 : s.view.getUint32(at + 8, true),
    }),
  },
  queue: struct(TCA_STATS.QUEUE, 20, reported, (view, at) => ({
    qlen: view.getUint32(at, true),
    backlog: view.getUint32(at + 4, true),
    drops: view.getUint32(at + 8, true),
    requeues: view.getUint32(at + 12, true),
    overlimits: view.getUint32(at + 16, true),
  })),
  packets64: u64(TCA_STATS.PKT64),
  app: {
    type: TCA_STATS.APP,
    write: reported,
    read: (s, at, length) => ({ bytes: s.bytes.slice(at, at + length) }),
  },
}, [TCA_STATS.RATE_EST, TCA_STATS.RATE_EST64, TCA_STATS.PAD, TCA_STATS.BASIC_HW]);

function reported(): never {
  throw new TypeError("The kernel alone reports counters");
}

/** A nest with counters. */
export function statsField(type: number): Field<StatsNest> {
  return nested(type, statsSchema);
}

/** Counters in their public form. */
export function statsOf({ basic, queue, packets64 }: StatsNest = {}): TrafficStats {
  return {
    bytes: basic?.bytes ?? 0,
    packets: packets64 ?? basic?.packets ?? 0,
    ...queue ?? { qlen: 0, backlog: 0, drops: 0, requeues: 0, overlimits: 0 },
  };
}

/** Reads the counters of a kind's own. */
export function xstatsOf({ app }: StatsNest = {}, field?: Field<object>): object | undefined {
  if (!app || !field) return undefined;
  const { bytes } = app;
  return field.read({ bytes, view: new DataView(bytes.buffer) }, 0, bytes.length);
}

/** `struct tcmsg` and the attributes of all these messages. */
export interface TcMessage extends TcHeader {
  /** The kernel's name of its kind. */
  kind?: string;
  /** TCA_OPTIONS; bytes for a kind that netloom does not know. */
  options?: object | undefined;
  /** The options in their public form, for the command line of a trace. */
  given?: object;
  /** Number of the chain that a filter is in. */
  chain?: number;
  /** Counters. */
  stats?: StatsNest;
}

/** The attributes of such messages. */
type TcAttributes = Pick<TcMessage, "kind" | "options" | "chain" | "stats">;

const names = schema<object>("TCA_", TCA, {});

/** The codec of such messages; the kind decides about TCA_OPTIONS. */
export function tcSchema(
  schemaOf: (kind: string | undefined) => Schema<object> | undefined,
): TaggedSchema<TcAttributes> {
  return taggedSchema(names, {
    kind: text(TCA.KIND, 15),
    chain: u32(TCA.CHAIN),
    stats: statsField(TCA.STATS2),
    offload: u8(TCA.HW_OFFLOAD),
  } as unknown as Readonly<Record<string, Field<unknown>>>, {
    options: { type: TCA.OPTIONS, tag: "kind", schemaOf },
  });
}

/**
 * The framing of such messages.
 *
 * @param codec Their attributes.
 * @param read Reads `struct tcmsg` and the attributes.
 */
export function tcFormat<T extends object>(
  codec: TaggedSchema<TcAttributes>,
  read: MessageFormat<TcMessage, T>["read"],
): MessageFormat<TcMessage, T> {
  return {
    headerLength: TCMSG,
    schemaOf: (message) => codec.namesFor(message),
    write: (writer, message) => {
      writeTcHeader(writer, message);
      const { kind, options, chain } = message;
      codec.write(writer, {
        ...(kind === undefined ? {} : { kind }),
        ...(options === undefined ? {} : { options }),
        ...(chain === undefined ? {} : { chain }),
      }, "options.");
    },
    read,
  };
}

/** Ways to set: `add` refuses an object that exists, `change` one that does not, `replace` neither. */
export type TcMode = "add" | "replace" | "change";

/** The flags of a way to set. */
export function modeFlags(mode: TcMode): number {
  if (mode === "change") return 0;
  return NLM_F.CREATE | (mode === "add" ? NLM_F.EXCL : NLM_F.REPLACE);
}

/** The words of options in `tc`. */
export function optionWords(options: object | undefined, kind?: TcOptions): string {
  if (!options || options instanceof Uint8Array) return "";
  const { words = {}, commandOrder = [] } = kind ?? {};
  const given = options as Readonly<Record<string, unknown>>;
  let line = "";
  for (const key of new Set([...commandOrder, ...Object.keys(given)])) {
    const value = given[key];
    if (value === undefined) continue;
    const word = words[key];
    const text = typeof word === "function"
      ? word(value)
      : word
      ? `${word[0]} ${shellWord(word[1](value))}`
      : `${kernelWord(key)} ${shellWord(value)}`;
    if (text) line += ` ${text}`;
  }
  return line;
}

/** The options that can be set, of those that are reported. */
export function settableOptions(options: object | undefined, kind?: TcOptions): object | undefined {
  if (!kind?.readOnly || !options) return options;
  const { readOnly } = kind;
  return Object.fromEntries(Object.entries(options).filter(([key]) => !readOnly.includes(key)));
}

/** Checks the option names of an entry, and those of its kind, where that is known. */
export function checkEntry(
  entry: { readonly options?: object },
  names: Readonly<Record<string, unknown>>,
  kind: Pick<TcOptions, "options"> | undefined,
): void {
  checkOptions(entry, kind ? { ...names, options: kind.options ?? {} } : names);
  if (kind) checkObject(entry.options ?? {}, "options");
}

/** The options of a kind on the wire. */
export function encodeOptions(
  kind: TcOptions,
  options: object,
  packet: FilterPacket = { protocol: ETHERTYPES.all },
): object | undefined {
  return kind.encode ? kind.encode(options, packet) : options;
}

/** The kind and its options in their public form; bytes for a kind that netloom does not know. */
export function kindAndOptions(
  kind: string,
  entry: TcOptions | undefined,
  options: object | undefined,
): { kind: string; kernelKind?: string; options: object } {
  if (!entry) return { kind: "unknown", kernelKind: kind, options: options ?? new Uint8Array(0) };
  return { kind, options: entry.decode ? entry.decode(options ?? {}) : options ?? {} };
}
