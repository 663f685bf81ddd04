/**
 * The options of every link, those of an end at its creation, and the messages they become.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { connectionTo, type NetNsTarget } from "../netlink/connections.ts";
import { boolean, checkOptions, inPlace, type OptionNames, show } from "../options.ts";
import { type AddressMessage, addressMessage, type AddressOptions } from "../rtnetlink/address.ts";
import { IFF } from "../rtnetlink/constants.ts";
import { checkIndex, checkLinkName, parseLinkAddress } from "../rtnetlink/fields.ts";
import { getLink, kindOf, type LinkMessage } from "../rtnetlink/link.ts";
import type { AddrGenMode } from "../rtnetlink/link_attributes.ts";
import { type LinkInfo, linkKind, type LinkKinds } from "../rtnetlink/link_info.ts";
import type { KindOptions, PortOptionsOf } from "../rtnetlink/link_kinds/kind.ts";
import { indexOf, isHandle, type LinkTarget } from "../rtnetlink/link_target.ts";
import type { Scope } from "../scope/scope.ts";

/** The options of a link as a port: those of its master's kind. */
export type PortOptions = PortOptionsOf<LinkKinds[keyof LinkKinds]>;

/** Settings of a living link. */
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
  /** The link this one becomes a port of; `null` releases it. */
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
  /** How the IPv6 link-local address is chosen. Default: the system's, mostly `eui64`. */
  readonly addrGenMode?: AddrGenMode;
  /** Most segments in a packet for segmentation offload. */
  readonly gsoMaxSegs?: number;
  /** Largest packet for segmentation offload, in bytes. */
  readonly gsoMaxSize?: number;
  /** Largest packet that receive offload builds, in bytes. */
  readonly groMaxSize?: number;
  /** As `gsoMaxSize`, for IPv4. Linux 6.3. */
  readonly gsoIpv4MaxSize?: number;
  /** As `groMaxSize`, for IPv4. Linux 6.3. */
  readonly groIpv4MaxSize?: number;
  /** Carrier, where the driver lets it be set (dummy, TAP). */
  readonly carrier?: boolean;
  /** Held down by the protocol layer. */
  readonly protoDown?: boolean;
  /** Options as a port of its master: those of the master's kind. */
  readonly port?: PortOptions;
}

/** Settings of a link whose kind is not known: some kinds have options of their own under these names. */
export interface GenericLinkSettings extends Omit<LinkSettings, "group" | "port"> {
  /** Group number; a vxlan has its multicast group here. */
  readonly group?: number | string;
  /** Options as a port of its master; a tunnel has its UDP port here. */
  readonly port?: PortOptions | number;
  /** Settings that the kind's own options hide. */
  readonly link?: LinkSettings;
}

/** Options of one end of a link at its creation. */
export interface LinkEndOptions extends LinkSettings {
  /** Name, 1 to 15 bytes. */
  readonly name: string;
  /** Its namespace. Default: the namespace of `master` when that is a handle, otherwise the current one. */
  readonly netns?: NetNsTarget;
  /** Its index, 1..2147483647. Default: the kernel chooses a free one. */
  readonly index?: number;
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

/** Options of every link at its creation. */
export interface LinkOptions extends LinkEndOptions {
  /** The owner: removes the link with everything else it owns. */
  readonly scope?: Scope;
  /**
   * The namespace of the links that a kind's own options name (`dev` of a vxlan), and of the sockets that
   * carry a tunnel's packets: `link-netns` of `ip link`. Default: the namespace of such an option where
   * that is a handle, otherwise the link's own.
   */
  readonly linkNetns?: NetNsTarget;
  /** Settings whose name is one of the kind's own options: a vxlan has its own `group` and `port`. */
  readonly link?: LinkSettings;
}

/** The options that have a link below them, its parent. */
export interface ParentOptions {
  /**
   * The link this one sits on: a handle, which may be of another namespace, or a name or an index in
   * this link's own.
   */
  readonly parent: LinkTarget;
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

/** The names of {@link LinkSettings}. */
export const SETTINGS: OptionNames<LinkSettings> = {
  mtu: true,
  mac: true,
  broadcast: true,
  txqlen: true,
  group: true,
  alias: true,
  master: true,
  up: true,
  arp: true,
  multicast: true,
  allMulticast: true,
  promiscuous: true,
  addrGenMode: true,
  gsoMaxSegs: true,
  gsoMaxSize: true,
  groMaxSize: true,
  gsoIpv4MaxSize: true,
  groIpv4MaxSize: true,
  carrier: true,
  protoDown: true,
  port: true,
};

/** The names of {@link LinkEndOptions}. */
export const END_OPTIONS: OptionNames<LinkEndOptions> = {
  ...SETTINGS,
  name: true,
  netns: true,
  index: true,
  altNames: true,
  addresses: true,
  nodad: true,
  numTxQueues: true,
  numRxQueues: true,
};

/** The names of {@link LinkOptions}. */
export const LINK_OPTIONS: OptionNames<LinkOptions> = {
  ...END_OPTIONS,
  scope: true,
  linkNetns: true,
  link: SETTINGS,
};

/** The names of {@link LinkOptions} and of {@link ParentOptions}. */
export const WITH_PARENT: OptionNames<LinkOptions & ParentOptions> = {
  ...LINK_OPTIONS,
  parent: true,
};

/**
 * Splits options into those of every link and the kind's own. Where both have a name, it is the kind's;
 * the other one is in `link`.
 *
 * @param options The options of a creation or a change.
 * @param own The names of the kind's own options.
 * @param common The names of the others.
 * @throws {TypeError} For an option that is in neither list.
 */
export function splitOptions<C extends object>(
  options: object,
  own: Readonly<Record<string, unknown>>,
  common: Readonly<Record<string, unknown>>,
): { common: C; own: object } {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`options must be an object: got ${show(options)}`);
  }
  checkOptions(options, { ...common, ...own, link: SETTINGS });
  const parts = { common: {} as Record<string, unknown>, own: {} as Record<string, unknown> };
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || key === "link" && !Object.hasOwn(own, key)) continue;
    parts[Object.hasOwn(own, key) ? "own" : "common"][key] = value;
  }
  const { link } = options as LinkOptions;
  if (link !== undefined && !Object.hasOwn(own, "link")) {
    for (const [key, value] of Object.entries(link)) {
      if (value === undefined) continue;
      if (key in parts.common) throw new TypeError(`${key} and link.${key} are the same setting`);
      parts.common[key] = value;
    }
  }
  return parts as { common: C; own: object };
}

/**
 * The settings of a living link as a message to its namespace.
 *
 * @param settings The settings, checked against {@link SETTINGS}.
 * @param ref The link's namespace.
 * @param current Reads the link: port options are those of the master it has.
 */
export function settingsMessage(
  settings: LinkSettings,
  ref: NetNsRef,
  current?: () => LinkInfo,
): LinkMessage {
  const message: LinkMessage = {};
  if (current) {
    checkAddressLengths(settings, () => {
      const { mac } = current();
      // A link without addresses, such as a TUN, is the kernel's to refuse.
      return mac === undefined ? undefined : parseLinkAddress(mac, "mac").length;
    });
  }
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
    change |= bit;
    if (boolean(settings[key], key) === on) flags |= bit;
  }
  if (change) Object.assign(message, { flags, change });
  if (settings.addrGenMode !== undefined) {
    message.afSpec = { inet6: { addrGenMode: settings.addrGenMode } };
  }
  if (settings.port !== undefined) {
    const portKind = masterKind(settings, ref, current);
    const kind = linkKind(portKind)?.port;
    if (!kind) {
      const master = portKind === undefined ? "without a kind" : `of the kind ${show(portKind)}`;
      throw new TypeError(`port: a master ${master} has no port options`);
    }
    const { data } = kindData(kind, settings.port, ref, { path: "port" });
    message.linkInfo = { portKind: portKind!, portData: data };
  }
  return message;
}

/** The kind of the master that a link gets or has. */
function masterKind(
  { master }: LinkSettings,
  ref: NetNsRef,
  current?: () => LinkInfo,
): string | undefined {
  if (master !== undefined && master !== null) {
    const { kind } = master as { kind?: unknown };
    if (typeof kind === "string") return kind;
    const index = indexOf(master, ref, "master");
    return kindOf(connectionTo(ref).request(getLink(index, { stats: false })));
  }
  const port = master === null ? undefined : current?.().port;
  if (port) return port.kind === "unknown" ? port.kernelKind : port.kind;
  throw new TypeError(`port needs a master, whose port the link is: got ${show(master)}`);
}

/** The kind's own options on the wire. */
export interface KindData {
  /** IFLA_INFO_DATA or IFLA_INFO_SLAVE_DATA. */
  readonly data: object;
  /** The namespace of the links in it, where that is not the link's own. */
  readonly below: NetNsRef | undefined;
}

/** The context of a kind's options. */
export interface KindContext {
  /** The prefix of names in errors. */
  readonly path?: string;
  /** The namespace of the links in the options. Default: the link's own. */
  readonly below?: NetNsRef;
  /** Whether a handle in the options decides on that namespace: at the creation of a kind. */
  readonly elsewhere?: boolean;
  /** Reads the options of the living link. */
  readonly current?: () => object;
}

/**
 * Checks the options of a kind or a port and converts them to the wire's form.
 *
 * @param kind The kind, or the port of a kind.
 * @param options Its public options.
 * @param ref The namespace of the link.
 * @param context Where the options are from.
 */
export function kindData(
  kind: KindOptions<object, object, object>,
  options: object,
  ref: NetNsRef,
  context: KindContext = {},
): KindData {
  checkOptions(options, kind.options ?? {}, context.path);
  let { below } = context;
  let values = options as Record<string, unknown>;
  for (const key of kind.links ?? []) {
    const target = values[key] as LinkTarget | undefined;
    // 0 is no link.
    if (target === undefined || target === 0) continue;
    if (context.elsewhere && isHandle(target)) below ??= target.ref;
    values = { ...values, [key]: indexOf(target, below ?? ref, key) };
  }
  return { data: kind.encode?.(values, context.current) ?? values, below };
}

/** The settings in a message, by the names they have as options. */
export function settingNames(message: LinkMessage): string[] {
  const { index: _, flags: __, change = 0, linkInfo, afSpec, ...plain } = message;
  const named = { ...plain, ...afSpec?.inet6, ...linkInfo?.data, ...linkInfo?.portData };
  const names = Object.keys(named).filter((key) => named[key as keyof typeof named] !== undefined);
  return [...names, ...FLAGS.filter(([, bit]) => change & bit).map(([key]) => key)];
}

/**
 * Refuses addresses that a link cannot have: the kernel answers a short one with a bare EINVAL, and silently
 * cuts a long one off.
 *
 * @param settings The settings of the link.
 * @param lengthOf The bytes in the addresses of the link, where that is known.
 * @throws {TypeError} Names the setting, and the length it must have.
 */
export function checkAddressLengths(
  { mac, broadcast }: LinkSettings,
  lengthOf: () => number | undefined,
): void {
  for (const [key, value] of Object.entries({ mac, broadcast })) {
    if (value === undefined) continue;
    const given = parseLinkAddress(value, key).length;
    const length = lengthOf();
    if (length === undefined || given === length) continue;
    throw new TypeError(
      `${key} must have ${length} bytes, as the addresses of the link have: ` +
        `${show(value)} has ${given}`,
    );
  }
}

/** One end of a link to be created: its options, and the messages they become. */
export interface End {
  /** Its place in the options of the call, for errors: `peer`. Default: they are its options. */
  readonly place?: string | undefined;
  /** Its options. */
  readonly options: LinkEndOptions;
  /** Its namespace. */
  readonly ref: NetNsRef;
  /** Attributes that the creating message can carry. */
  readonly first: LinkMessage;
  /** Attributes that have to follow it. */
  readonly later: LinkMessage;
}

/** The context of one end's options. */
export interface EndContext {
  /** The namespace of the end. */
  readonly ref: NetNsRef;
  /** The owner of the link. */
  readonly scope?: Scope | undefined;
  /** Bytes in its link-layer address, where they are known before it exists. */
  readonly addressLength?: number | undefined;
  /** The place of the options in those of the call, for errors: `peer`. */
  readonly place?: string;
}

/** Splits one end's options into those of the creating message and those of later messages. */
export function prepareEnd(options: LinkEndOptions, context: EndContext): End {
  const { ref, scope, place, addressLength } = context;
  return inPlace(place, () => {
    checkEnd(options, scope);
    checkAddressLengths(options, () => addressLength);
    const { alias, afSpec, linkInfo, carrier, protoDown, flags = 0, change = 0, ...first } =
      settingsMessage(options, ref);
    first.name = options.name;
    if (options.index !== undefined) first.index = checkIndex(options.index);
    if (scope) first.group = scope.group;
    if (options.numTxQueues !== undefined) first.numTxQueues = options.numTxQueues;
    if (options.numRxQueues !== undefined) first.numRxQueues = options.numRxQueues;
    const later: LinkMessage = {};
    // The kernel ignores these in a creating message.
    if (alias !== undefined) later.alias = alias;
    if (carrier !== undefined) later.carrier = carrier;
    if (protoDown !== undefined) later.protoDown = protoDown;
    if (linkInfo !== undefined) later.linkInfo = linkInfo;
    // IPv6 starts when the link comes up: its settings have to be there before.
    if (afSpec !== undefined) later.afSpec = afSpec;
    const waits = afSpec !== undefined || options.nodad === true ||
      options.up === true && options.master !== undefined && options.master !== null &&
        linkKind(masterKind(options, ref))?.port?.joinsDown === true;
    if (change && waits) Object.assign(later, { flags, change });
    else if (change) Object.assign(first, { flags, change });
    for (const [i, address] of (options.addresses ?? []).entries()) {
      inPlace(`addresses[${i}]`, () => endAddress(address, 1, options.nodad));
    }
    return { options, ref, place, first, later };
  });
}

/** Checks the options of one end that are not settings of an existing link, and the options that they need. */
function checkEnd(options: LinkEndOptions, scope: Scope | undefined): void {
  const { name, group, port, master, addresses, altNames, nodad } = options;
  checkLinkName(name);
  if (scope && group !== undefined) {
    throw new TypeError(
      `group ${group} of link ${show(name)}: links of a scope are in the scope's group`,
    );
  }
  if (port !== undefined && (master ?? null) === null) {
    throw new TypeError(`port of link ${show(name)} needs a master, whose port the link is`);
  }
  for (const [key, list] of Object.entries({ addresses, altNames })) {
    if (list === undefined || Array.isArray(list)) continue;
    throw new TypeError(`${key} must be an array: got ${show(list)}`);
  }
  if (nodad !== undefined) boolean(nodad, "nodad");
}

/** An address as a message; with `nodad` an IPv6 one is used at once. Throws for a malformed address. */
export function endAddress(address: AddressOptions, index: number, nodad = false): AddressMessage {
  const message = addressMessage(address, index);
  const { flags = [] } = message;
  if (!nodad || !message.address.includes(":") || flags.includes("nodad")) return message;
  return { ...message, flags: [...flags, "nodad"] };
}
