/**
 * The iproute2 command line with the effect of a link message.
 *
 * @module
 */
import { shellWord } from "../netlink/trace.ts";
import { IFF } from "./constants.ts";
import type { LinkAttributes, LinkHeader } from "./link_attributes.ts";
import type { LinkInfoNest } from "./link_info.ts";
import { type CommandNames, kernelWord } from "./link_kinds/kind.ts";
import { linkKind } from "./link_kinds/mod.ts";

/** What a command is made of. */
type LinkMessage = LinkHeader & LinkAttributes & { readonly linkInfo?: LinkInfoNest };

/** iproute2's words for attributes. Those it calls otherwise, or not at all, are handled below. */
const WORDS: Partial<Record<keyof LinkAttributes, string>> = {
  alias: "alias",
  mtu: "mtu",
  mac: "address",
  broadcast: "broadcast",
  txqlen: "txqueuelen",
  group: "group",
  numTxQueues: "numtxqueues",
  numRxQueues: "numrxqueues",
  gsoMaxSegs: "gso_max_segs",
  gsoMaxSize: "gso_max_size",
  groMaxSize: "gro_max_size",
  gsoIpv4MaxSize: "gso_ipv4_max_size",
  groIpv4MaxSize: "gro_ipv4_max_size",
  linkNetnsId: "link-netnsid",
  netnsPid: "netns",
};

/** Flags iproute2 has a word for. */
const FLAG_WORDS: readonly [bit: number, on: string, off: string][] = [
  [IFF.UP, "up", "down"],
  [IFF.NOARP, "arp off", "arp on"],
  [IFF.MULTICAST, "multicast on", "multicast off"],
  [IFF.ALLMULTI, "allmulticast on", "allmulticast off"],
  [IFF.PROMISC, "promisc on", "promisc off"],
];

/** `ip link add ...` */
export function linkAddCommand(message: LinkMessage): string {
  return `ip link add${message.parent === undefined ? "" : ` link if${message.parent}`}` +
    ` name ${shellWord(message.name)}${message.index ? ` index ${message.index}` : ""}` +
    `${attributes(message)}${linkInfo(message.linkInfo)}`;
}

/** `ip link set ...` */
export function linkSetCommand(message: LinkMessage): string {
  const { index, name, linkInfo: info } = message;
  const which = index ? `if${index}` : shellWord(name);
  const rename = index && name !== undefined ? ` name ${shellWord(name)}` : "";
  return `ip link set dev ${which}${rename}${attributes(message)}${linkInfo(info)}${port(info)}`;
}

function attributes(message: LinkMessage): string {
  const { flags = 0, change = 0, master, netnsFd, protoDown, carrier, afSpec } = message;
  let words = "";
  for (const [key, word] of Object.entries(WORDS)) {
    const value = message[key as keyof LinkAttributes];
    if (value !== undefined) words += ` ${word} ${shellWord(value)}`;
  }
  if (master !== undefined) words += master === 0 ? " nomaster" : ` master if${master}`;
  if (netnsFd !== undefined) words += ` netns /proc/${Deno.pid}/fd/${netnsFd}`;
  if (protoDown !== undefined) words += ` protodown ${protoDown ? "on" : "off"}`;
  if (carrier !== undefined) words += ` carrier ${carrier ? "on" : "off"}`;
  if (afSpec?.inet6?.addrGenMode !== undefined) {
    words += ` addrgenmode ${afSpec.inet6.addrGenMode}`;
  }
  // A creation sets flags without naming the changed ones.
  for (const [bit, on, off] of FLAG_WORDS) {
    if ((change || flags) & bit) words += ` ${flags & bit ? on : off}`;
  }
  return words;
}

function linkInfo(info: LinkInfoNest | undefined): string {
  if (info?.kind === undefined) return "";
  return ` type ${info.kind}${options(info.data, linkKind(info.kind)?.commandNames)}`;
}

function port(info: LinkInfoNest | undefined): string {
  if (info?.portKind === undefined) return "";
  const { portKind, portData } = info;
  return ` type ${portKind}_slave${
    options(portData, linkKind(portKind)?.port?.commandNames, ["off", "on"])
  }`;
}

/**
 * A kind's options: iproute2 calls most of them as the kernel does, in lower case. It takes switches
 * as numbers, those of members as `on` and `off`.
 */
function options(
  data: object | undefined,
  own: CommandNames = {},
  [off, on]: readonly [string | number, string | number] = [0, 1],
): string {
  if (!data || data instanceof Uint8Array) return "";
  let words = "";
  for (const [key, value] of Object.entries(data)) {
    if (value === undefined) continue;
    if (key === "peer" && typeof value === "object") {
      words += ` peer name ${shellWord(value.name)}${attributes(value)}`;
      continue;
    }
    const name = own[key] ?? kernelWord(key);
    const text = typeof name === "function"
      ? name(value)
      : `${name} ${typeof value === "boolean" ? value ? on : off : value}`;
    if (text) words += ` ${text}`;
  }
  return words;
}
