/**
 * Neighbors, the link-layer addresses of IP addresses on a link (ARP, NDP): RTM_NEWNEIGH, RTM_DELNEIGH,
 * RTM_GETNEIGH (`linux/neighbour.h`). Bridge forwarding entries, which use the same messages, are in
 * `fdb.ts`.
 *
 * @module
 */
import { named, u16 } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import { type DumpRequest, type MessageFormat, NLM_F, type Request } from "../netlink/message.ts";
import { AF, type RouteProtocol, RTM } from "./constants.ts";
import {
  familyNumber,
  familyOption,
  familyWord,
  type IpFamily,
  isOfFamily,
  writeInHeader,
} from "./fields.ts";
import {
  NEIGHBOR_HEADER,
  NEIGHBOR_STATES,
  type NeighborCacheInfo,
  type NeighborFlag,
  neighborFlagBits,
  neighborFlags,
  neighborSchema,
  type NeighborState,
  NTF,
  readNeighborHeader,
  writeNeighborHeader,
} from "./neighbor_attributes.ts";
import { checkOptions, type OptionNames, wordValue } from "../options.ts";

/** A flag of a neighbor that can be set. */
export type NeighborOption = "use" | "router" | "ext_learned" | "managed" | "ext_validated";

const SETTABLE: Readonly<Record<NeighborOption, true>> = {
  use: true,
  router: true,
  ext_learned: true,
  managed: true,
  ext_validated: true,
};

/** A neighbor to be set, without its link. */
export interface NeighborEntry {
  /** Its IP address. */
  address: string;
  /** Its link-layer address; proxies have none. */
  lladdr?: string;
  /** Its state; default `permanent`, with the flags `use` and `managed` `none`. */
  state?: NeighborState | number;
  /** Flags; default: none. */
  flags?: readonly NeighborOption[];
  /** Not a neighbor but an address the link answers for (proxy ARP, proxy NDP). */
  proxy?: boolean;
  /** Its origin. */
  protocol?: RouteProtocol | number;
}

/** A neighbor, to be set. */
export interface NeighborMessage extends NeighborEntry {
  /** Index of the link. */
  index: number;
}

const MESSAGE: OptionNames<NeighborMessage> = {
  index: true,
  address: true,
  lladdr: true,
  state: true,
  flags: true,
  proxy: true,
  protocol: true,
};

/** A neighbor as the kernel reports it. */
export interface NeighborInfo {
  /** Index of the link. */
  index: number;
  /** `inet` for IPv4, `inet6` for IPv6. */
  family: IpFamily;
  /** Its IP address. */
  address: string;
  /** Its Ethernet address; absent while it is not known. */
  lladdr?: string;
  /** Its state. */
  state: NeighborState | number;
  /** Marks. */
  flags: NeighborFlag[];
  /** Not a neighbor but an address the link answers for. */
  proxy: boolean;
  /** How often it was asked for without an answer. */
  probes?: number;
  /** Its origin. */
  protocol?: RouteProtocol | number;
  /** When it was used. */
  cacheInfo?: NeighborCacheInfo;
}

const stateField = named(u16(0), NEIGHBOR_STATES);

/** Reads `struct ndmsg` and its attributes. */
export function readNeighbor(source: Source, start: number, end: number): NeighborInfo {
  const { family, index, flags } = readNeighborHeader(source, start);
  const { address = "", lladdr, extendedFlags, probes, protocol, cacheInfo } = neighborSchema.read(
    source,
    start + NEIGHBOR_HEADER,
    end,
  );
  return {
    index,
    family: familyWord(family),
    address,
    ...(lladdr === undefined ? {} : { lladdr }),
    state: stateField.read(source, start + 8, 2),
    flags: neighborFlags(flags, extendedFlags),
    proxy: (flags & NTF.PROXY) !== 0,
    ...(probes === undefined ? {} : { probes }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(cacheInfo === undefined ? {} : { cacheInfo }),
  };
}

function writeNeighbor(writer: Writer, message: NeighborMessage): void {
  const { index, state = "none", flags = [], proxy = false, ...attributes } = message;
  for (const [i, flag] of flags.entries()) wordValue(flag, SETTABLE, `flags[${i}]`);
  const bits = neighborFlagBits(flags);
  const at = writeNeighborHeader(writer, {
    index,
    family: message.address.includes(":") ? AF.INET6 : AF.INET,
    flags: bits.flags | (proxy ? NTF.PROXY : 0),
  });
  writeInHeader(writer, at + 8, stateField, state, "state");
  neighborSchema.write(writer, {
    ...attributes,
    ...(bits.extended ? { extendedFlags: bits.extended } : {}),
  });
}

/** The options in a {@link NeighborInfo}: all of it but what only the kernel can say. */
export function settableNeighbor(info: NeighborInfo): NeighborMessage {
  const { family: _1, probes: _2, cacheInfo: _3, flags, ...rest } = info;
  const settable = flags.filter((flag): flag is NeighborOption => Object.hasOwn(SETTABLE, flag));
  return { ...rest, flags: settable };
}

/** The framing of neighbor messages. */
export const neighborFormat: MessageFormat<NeighborMessage, NeighborInfo> = {
  headerLength: NEIGHBOR_HEADER,
  schemaOf: () => neighborSchema,
  write: writeNeighbor,
  read: readNeighbor,
};

/** Options of {@link newNeighbor}. */
export interface NewNeighborOptions {
  /** Change the neighbor where the link has it already; default: EEXIST. */
  readonly replace?: boolean;
}

const NEW_OPTIONS: OptionNames<NewNeighborOptions> = { replace: true };

/**
 * Adds a neighbor, or an address to answer for, to a link.
 *
 * @example A neighbor that need not be asked for
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import { connectionTo } from "@netloom/netloom/netlink";
 * import { getNeighbor, newNeighbor } from "@netloom/netloom/rtnetlink";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const { index } = Veth.create({ name: "v0", netns, up: true, peer: { name: "v1", netns } });
 * const connection = connectionTo(netns.ref);
 * const lladdr = "02:00:00:00:00:09";
 * connection.request(newNeighbor({ index, address: "192.0.2.9", lladdr }));
 * assertEquals(connection.request(getNeighbor({ index, address: "192.0.2.9" })).state, "permanent");
 * ```
 */
export function newNeighbor(
  message: NeighborMessage,
  options: NewNeighborOptions = {},
): Request<undefined> {
  checkOptions(message, MESSAGE);
  checkOptions(options, NEW_OPTIONS);
  const { replace = false } = options;
  const { flags = [] } = message;
  // With these the kernel resolves the address, which `permanent` prevents.
  const resolved = flags.includes("use") || flags.includes("managed");
  const verb = replace ? "replace" : "add";
  return {
    type: RTM.NEWNEIGH,
    typeName: "RTM_NEWNEIGH",
    flags: NLM_F.CREATE | (replace ? NLM_F.REPLACE : NLM_F.EXCL),
    operation: `${verb} ${describe(message)}`,
    format: neighborFormat,
    message: { ...message, state: message.state ?? (resolved ? "none" : "permanent") },
    command: () => `ip neigh ${verb}${words(message)}`,
  };
}

/** The neighbor that a request means. A {@link NeighborInfo} will do. */
export interface NeighborSelector {
  /** Index of the link. */
  readonly index: number;
  /** Its IP address. */
  readonly address: string;
  /** An address the link answers for. */
  readonly proxy?: boolean;
}

/** Removes a neighbor, or an address to answer for. ENOENT when there is none. */
export function deleteNeighbor({ index, address, proxy = false }: NeighborSelector): Request<
  undefined
> {
  const message = { index, address, proxy };
  return {
    type: RTM.DELNEIGH,
    typeName: "RTM_DELNEIGH",
    flags: 0,
    operation: `delete ${describe(message)}`,
    format: neighborFormat,
    message,
    command: () => `ip neigh delete${words(message)}`,
  };
}

/** Reads one neighbor, or an address the link answers for. ENOENT when there is none. */
export function getNeighbor({ index, address, proxy = false }: NeighborSelector): Request<
  NeighborInfo
> {
  const message = { index, address, proxy };
  return {
    type: RTM.GETNEIGH,
    typeName: "RTM_GETNEIGH",
    flags: 0,
    operation: `get ${describe(message)}`,
    format: neighborFormat,
    message,
    reply: readNeighbor,
    command: () => `ip neigh get${words(message)}`,
  };
}

function describe({ index, address, proxy }: NeighborMessage): string {
  return `${proxy ? "proxy" : "neighbor"} ${address} on link ${index}`;
}

/** iproute2's words for flags. */
const FLAG_WORDS: readonly [flag: NeighborOption, word: string][] = [
  ["use", "use"],
  ["router", "router"],
  ["ext_learned", "extern_learn"],
  ["managed", "managed"],
  ["ext_validated", "extern_valid"],
];

function words(message: NeighborMessage): string {
  const { index, address, lladdr, state, flags = [], proxy, protocol } = message;
  return `${proxy ? " proxy" : ""} ${address} dev if${index}` +
    (lladdr === undefined ? "" : ` lladdr ${lladdr}`) +
    (state === undefined ? "" : ` nud ${state}`) +
    FLAG_WORDS.map(([flag, word]) => flags.includes(flag) ? ` ${word}` : "").join("") +
    (protocol === undefined ? "" : ` protocol ${protocol}`);
}

/** A filter for neighbors: a neighbor must match all of it. */
export interface NeighborFilter {
  /** Only neighbors on this link. */
  readonly index?: number;
  /** Only neighbors on ports of this link. */
  readonly master?: number;
  /** Only IPv4 (`inet`) or IPv6 (`inet6`). */
  readonly family?: IpFamily;
  /** The addresses that links answer for instead of neighbors. */
  readonly proxy?: boolean;
}

const FILTER: OptionNames<NeighborFilter> = {
  index: true,
  master: true,
  family: true,
  proxy: true,
};

/** Reads the neighbors of one link or of all. */
export function dumpNeighbors(filter: NeighborFilter = {}): DumpRequest<NeighborInfo> {
  checkOptions(filter, FILTER);
  const { index, master, proxy = false } = filter;
  const family = familyNumber(filter.family);
  return {
    type: RTM.GETNEIGH,
    typeName: "RTM_GETNEIGH",
    flags: 0,
    operation: proxy ? "list proxies" : "list neighbors",
    format: { ...neighborFormat, write: writeDump },
    message: { ...filter, family },
    reply: readNeighbor,
    // Kernels without strict checking filter by link, but not by family.
    filter: (entry) =>
      isOfFamily(entry.family, filter.family) &&
      (index === undefined || entry.index === index),
    command: () =>
      `ip${familyOption(filter.family)} neigh show` +
      (proxy ? " proxy" : "") + (index === undefined ? "" : ` dev if${index}`) +
      (master === undefined ? "" : ` master if${master}`) + (proxy ? "" : " nud all"),
  };
}

interface DumpMessage {
  readonly index?: number;
  readonly master?: number;
  readonly family: number;
  readonly proxy?: boolean;
}

function writeDump(writer: Writer, message: DumpMessage): void {
  const { index, master, family, proxy = false } = message;
  writeNeighborHeader(writer, { family, flags: proxy ? NTF.PROXY : 0 });
  neighborSchema.write(writer, {
    ...(index === undefined ? {} : { oif: index }),
    ...(master === undefined ? {} : { master }),
  });
}
