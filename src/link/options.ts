/**
 * What can be said of any link at its creation, and how it becomes messages.
 *
 * @module
 */
import { NetNsRef, sameNetNs } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { NetNsTarget } from "../netlink/target.ts";
import { type AddressMessage, addressMessage, type AddressOptions } from "../rtnetlink/address.ts";
import { IFF } from "../rtnetlink/constants.ts";
import { checkIndex, checkLinkName } from "../rtnetlink/fields.ts";
import { getLink, type LinkMessage } from "../rtnetlink/link.ts";
import type { AddrGenMode } from "../rtnetlink/link_attributes.ts";
import type { Scope } from "../scope/scope.ts";
import type { BridgePortOptions } from "./bridge_port_options.ts";
import { checkOptions, type OptionNames, show } from "../options.ts";

/** Another link: a handle, a name or alternative name, or an index; the last two in this link's namespace. */
export type LinkTarget = LinkHandle | string | number;

/** Something that is a link: a `Link`. */
export interface LinkHandle {
  /** Its namespace. */
  readonly ref: NetNsRef;
  /** Its index there. */
  readonly index: number;
}

/** A link handle with a name for messages. Collections keep it: a link that moves gets another index. */
export interface NamedLink extends LinkHandle {
  /** Its name. */
  readonly name: string;
  /** Its kind. */
  readonly kind?: string | undefined;
}

/** What can be changed on a living link. */
export interface LinkSettings {
  /** Largest packet, in bytes without the Ethernet header. */
  readonly mtu?: number;
  /** Hardware address: `02:00:00:00:00:01`. Default: random. */
  readonly mac?: string;
  /** Hardware broadcast address. */
  readonly broadcast?: string;
  /** Transmit queue length, in packets. */
  readonly txqlen?: number;
  /** Group number; inside a scope the scope's. */
  readonly group?: number;
  /** Free text for people, up to 255 bytes. */
  readonly alias?: string;
  /** The link this one becomes a port or member of; `null` releases it. */
  readonly master?: LinkTarget | null;
  /** Administratively up. Default: down. */
  readonly up?: boolean;
  /** Address resolution (ARP, neighbor discovery). Default: on. */
  readonly arp?: boolean;
  /** Sends and receives multicast. Default: on for Ethernet. */
  readonly multicast?: boolean;
  /** Receives all multicast. Default: off. */
  readonly allMulticast?: boolean;
  /** Receives everything on the wire. Default: off. */
  readonly promiscuous?: boolean;
  /** How the IPv6 link-local address is made. Default: the system's, mostly `eui64`. */
  readonly addrGenMode?: AddrGenMode;
  /** Most segments in a packet for segmentation offload. */
  readonly gsoMaxSegs?: number;
  /** Largest packet for segmentation offload, in bytes. */
  readonly gsoMaxSize?: number;
  /** Largest packet receive offload builds, in bytes. */
  readonly groMaxSize?: number;
  /** As `gsoMaxSize`, for IPv4. Linux 6.3. */
  readonly gsoIpv4MaxSize?: number;
  /** As `groMaxSize`, for IPv4. Linux 6.3. */
  readonly groIpv4MaxSize?: number;
  /** Carrier, where the driver lets it be set (dummy, TAP). */
  readonly carrier?: boolean;
  /** Held down by the protocol layer. */
  readonly protoDown?: boolean;
  /** Options as a port of the bridge that `master` is. */
  readonly port?: BridgePortOptions;
}

/** What can be said of one end of a link at its creation. */
export interface LinkEndOptions extends LinkSettings {
  /** Name, 1 to 15 bytes. */
  readonly name: string;
  /** Where the link lives. Default: the namespace of `master` when that is a handle, otherwise current. */
  readonly netns?: NetNsTarget;
  /** Alternative names, up to 127 bytes each. */
  readonly altNames?: readonly string[];
  /** IP addresses with prefix lengths: `192.168.123.1/24`. */
  readonly addresses?: readonly AddressOptions[];
  /** IPv6 addresses are used at once, without duplicate address detection. Default: false. */
  readonly nodad?: boolean;
  /** Number of transmit queues. */
  readonly numTxQueues?: number;
  /** Number of receive queues. */
  readonly numRxQueues?: number;
}

/** What can be said of any link at its creation. */
export interface LinkOptions extends LinkEndOptions {
  /** The owner: removes the link with everything else it owns. */
  readonly scope?: Scope;
}

/** One end of a link to be made: its options, and what becomes of them. */
export interface End {
  /** Its options. */
  readonly options: LinkEndOptions;
  /** Its namespace. */
  readonly ref: NetNsRef;
  /** What the creating message can carry. */
  readonly first: LinkMessage;
  /** What has to follow it. */
  readonly later: LinkMessage;
}

const SETTINGS_AT_ONCE = [
  "mtu",
  "mac",
  "broadcast",
  "txqlen",
  "gsoMaxSegs",
  "gsoMaxSize",
  "groMaxSize",
  "gsoIpv4MaxSize",
  "groIpv4MaxSize",
  "carrier",
  "protoDown",
] as const;

const FLAGS = [
  ["up", IFF.UP, true],
  ["arp", IFF.NOARP, false],
  ["multicast", IFF.MULTICAST, true],
  ["allMulticast", IFF.ALLMULTI, true],
  ["promiscuous", IFF.PROMISC, true],
] as const;

/** What can be changed on a living link. */
const SETTINGS: OptionNames<LinkSettings> = {
  ...Object.fromEntries(SETTINGS_AT_ONCE.map((key) => [key, true])) as Record<
    typeof SETTINGS_AT_ONCE[number],
    true
  >,
  up: true,
  arp: true,
  multicast: true,
  allMulticast: true,
  promiscuous: true,
  group: true,
  alias: true,
  master: true,
  addrGenMode: true,
  port: true,
};

/** The options every link has; a kind's own come on top. */
const KNOWN: OptionNames<LinkOptions> = {
  ...SETTINGS,
  name: true,
  netns: true,
  scope: true,
  altNames: true,
  addresses: true,
  nodad: true,
  numTxQueues: true,
  numRxQueues: true,
};

/** Splits a creation's options into those of every link and the kind's own. */
export function splitOptions<T extends object>(
  options: LinkOptions & T,
): { common: LinkOptions; own: T } {
  const common: Record<string, unknown> = {};
  const own: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    if (value !== undefined) (Object.hasOwn(KNOWN, key) ? common : own)[key] = value;
  }
  return { common: common as unknown as LinkOptions, own: own as T };
}

/** What a living link's settings become in a message to its namespace. */
export function settingsMessage(settings: LinkSettings, ref: NetNsRef): LinkMessage {
  checkOptions(settings, SETTINGS);
  return messageOf(settings, ref);
}

function messageOf(settings: LinkSettings, ref: NetNsRef): LinkMessage {
  const message: LinkMessage = {};
  for (const key of SETTINGS_AT_ONCE) {
    if (settings[key] !== undefined) Object.assign(message, { [key]: settings[key] });
  }
  if (settings.group !== undefined) message.group = settings.group;
  if (settings.alias !== undefined) message.alias = settings.alias;
  if (settings.master !== undefined) {
    message.master = settings.master === null ? 0 : indexOf(settings.master, ref, "master");
  }
  let [flags, change] = [0, 0];
  for (const [key, bit, on] of FLAGS) {
    if (settings[key] === undefined) continue;
    if (typeof settings[key] !== "boolean") {
      throw new TypeError(`${key} must be a boolean: got ${show(settings[key])}`);
    }
    change |= bit;
    if (settings[key] === on) flags |= bit;
  }
  if (change) Object.assign(message, { flags, change });
  if (settings.addrGenMode !== undefined) {
    message.afSpec = { inet6: { addrGenMode: settings.addrGenMode } };
  }
  if (settings.port !== undefined) {
    message.linkInfo = { memberKind: "bridge", memberData: settings.port };
  }
  return message;
}

/** The settings in a message, by the names they have as options. */
export function settingNames(message: LinkMessage): string[] {
  const { index: _, flags: __, change = 0, linkInfo, afSpec, ...plain } = message;
  const named = { ...plain, ...afSpec?.inet6, ...linkInfo?.data, ...linkInfo?.memberData };
  const names = Object.keys(named).filter((key) => named[key as keyof typeof named] !== undefined);
  return [...names, ...FLAGS.filter(([, bit]) => change & bit).map(([key]) => key)];
}

/** Sorts one end's options into what the creating message carries and what has to follow. */
export function prepareEnd(options: LinkEndOptions, ref: NetNsRef, scope?: Scope): End {
  checkOptions(options, KNOWN);
  checkLinkName(options.name);
  if (scope && options.group !== undefined) {
    throw new TypeError(
      `group ${options.group} of link ${
        show(options.name)
      }: in a scope links are in the scope's group`,
    );
  }
  if (options.port !== undefined && (options.master ?? null) === null) {
    throw new TypeError(`port of link ${show(options.name)} needs a master: the bridge it joins`);
  }
  if (options.addresses !== undefined && !Array.isArray(options.addresses)) {
    throw new TypeError(
      `addresses must be an array: got ${show(options.addresses)}`,
    );
  }
  const { alias, afSpec, linkInfo, carrier, protoDown, flags = 0, change = 0, ...first } =
    messageOf(options, ref);
  first.name = options.name;
  if (scope) first.group = scope.group;
  if (options.numTxQueues !== undefined) first.numTxQueues = options.numTxQueues;
  if (options.numRxQueues !== undefined) first.numRxQueues = options.numRxQueues;
  const later: LinkMessage = {};
  // The kernel ignores these in a creating message.
  if (alias !== undefined) later.alias = alias;
  if (carrier !== undefined) later.carrier = carrier;
  if (protoDown !== undefined) later.protoDown = protoDown;
  if (linkInfo !== undefined) later.linkInfo = linkInfo;
  // IPv6 starts when the link comes up: what is to hold then has to be there before.
  if (afSpec !== undefined) later.afSpec = afSpec;
  const waits = afSpec !== undefined || options.nodad === true;
  if (change && waits) Object.assign(later, { flags, change });
  else if (change) Object.assign(first, { flags, change });
  for (const address of options.addresses ?? []) endAddress(address, 1, options.nodad);
  return { options, ref, first, later };
}

/** An address as a message; with `nodad` an IPv6 one is used at once. Throws for a malformed address. */
export function endAddress(address: AddressOptions, index: number, nodad = false): AddressMessage {
  const message = addressMessage(address, index);
  const { flags = [] } = message;
  if (!nodad || !message.address.includes(":") || flags.includes("nodad")) return message;
  return { ...message, flags: [...flags, "nodad"] };
}

/** The index of a link in a namespace. */
export function indexOf(target: LinkTarget, ref: NetNsRef, option: string): number {
  if (typeof target === "number") return checkIndex(target, option);
  if (typeof target === "string") {
    try {
      return connectionTo(ref).request(getLink(target, { stats: false })).index;
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.code !== "ENODEV") throw error;
      throw new NetlinkError({
        operation: `find ${option} ${show(target)}`,
        netns: ref.description,
        errno: error.errno,
        text: `No such device; a name is looked up where the link it is for is`,
      });
    }
  }
  if (!(target?.ref instanceof NetNsRef)) {
    throw new TypeError(
      `${option} must be a link, its name or its index: got ${show(target)}`,
    );
  }
  target.ref.check(`${option} is link ${target.index}`);
  if (!sameNetNs(target.ref, ref)) {
    throw new TypeError(
      `${option} is link ${target.index} in ${target.ref.label}, ` +
        `the link itself is in ${ref.label}`,
    );
  }
  return target.index;
}
