/**
 * ICMP, ICMPv6 and neighbor discovery as text.
 *
 * @module
 */
import { formatIp, IPPROTO } from "./address.ts";
import { u16 } from "./bytes.ts";
import type { Part } from "./format_transport.ts";
import { ICMP, Icmp, ICMPV6, Icmpv6 } from "./icmp.ts";
import { Ipv4 } from "./ipv4.ts";
import { Ipv6 } from "./ipv6.ts";
import { ND, NeighborDiscovery } from "./neighbor_discovery.ts";

/** A message of ICMP. */
export function formatIcmp({ bytes, start, end, length }: Part): string {
  const message = Icmp.parse(bytes, start, end);
  return `ICMP ${message ? icmpText(message) : "[|icmp]"}, length ${length}`;
}

function icmpText(message: Icmp): string {
  const { type, code, identifier, sequence } = message;
  const echo = `id ${identifier}, seq ${sequence}`;
  switch (type) {
    case ICMP.ECHO:
      return `echo request, ${echo}`;
    case ICMP.ECHO_REPLY:
      return `echo reply, ${echo}`;
    case ICMP.DEST_UNREACH:
      return unreachable(message);
    case ICMP.SOURCE_QUENCH:
      return "source quench";
    case ICMP.REDIRECT:
      return redirect(message);
    case ICMP.TIME_EXCEEDED:
      if (code === 0) return "time exceeded in-transit";
      return code === 1 ? "ip reassembly time exceeded" : `time exceeded-#${code}`;
    case ICMP.PARAMETERPROB:
      return `parameter problem - ${code === 0 ? `octet ${message.rest >>> 24}` : `code ${code}`}`;
    case ICMP.TIMESTAMP:
      return `time stamp query id ${identifier} seq ${sequence}`;
    case ICMP.TIMESTAMPREPLY:
      return `time stamp reply id ${identifier} seq ${sequence}`;
    default:
      return `type-#${type}`;
  }
}

/** The packet in an error. */
function innerIpv4(message: Icmp): Ipv4 | undefined {
  return Ipv4.parse(message.bytes, message.payloadStart, message.end);
}

function redirect(message: Icmp): string {
  const { bytes, start, code } = message;
  const destination = innerIpv4(message)?.destination ?? "[|ip]";
  const gateway = formatIp(bytes, start + 4, 4);
  const [name, target] = [
    ["redirect", "net "],
    ["redirect", "host "],
    ["redirect-tos", "net "],
    ["redirect-tos", "host "],
  ][code] ?? [`redirect-#${code}`, ""];
  return `${name} ${destination} to ${target}${gateway}`;
}

/** Texts of unreachable destinations by code; `%` stands for the destination. */
const UNREACHABLE: Readonly<Record<number, string>> = {
  0: "net % unreachable",
  1: "host % unreachable",
  5: "% unreachable - source route failed",
  6: "net % unreachable - unknown",
  7: "host % unreachable - unknown",
  8: "% unreachable - source host isolated",
  9: "net % unreachable - admin prohibited",
  10: "host % unreachable - admin prohibited",
  11: "net % unreachable - tos prohibited",
  12: "host % unreachable - tos prohibited",
  13: "host % unreachable - admin prohibited filter",
  14: "host % unreachable - host precedence violation",
  15: "host % unreachable - precedence cutoff",
};

function unreachable(message: Icmp): string {
  const packet = innerIpv4(message);
  if (!packet) return "unreachable [|ip]";
  const { destination, protocol, payloadStart } = packet;
  const { code } = message;
  if (code === 2) return `${destination} protocol ${protocol} unreachable`;
  if (code === 3) {
    if (payloadStart + 4 > message.end) return `${destination} port unreachable`;
    const port = u16(message.bytes, payloadStart + 2);
    const name = protocol === IPPROTO.TCP ? "tcp" : protocol === IPPROTO.UDP ? "udp" : "";
    return name
      ? `${destination} ${name} port ${port} unreachable`
      : `${destination} protocol ${protocol} port ${port} unreachable`;
  }
  if (code === 4) {
    const mtu = message.sequence;
    return `${destination} unreachable - need to frag${mtu === 0 ? "" : ` (mtu ${mtu})`}`;
  }
  return UNREACHABLE[code]?.replace("%", destination) ?? `${destination} unreachable - #${code}`;
}

/** A message of ICMPv6. */
export function formatIcmpv6({ bytes, start, end, length }: Part): string {
  const message = Icmpv6.parse(bytes, start, end);
  return `ICMP6, ${message ? icmpv6Text(message) : "[|icmp6]"}, length ${length}`;
}

/** Causes of parameter problems, by code. */
const PROBLEMS = ["erroneous", "next header", "option", "incomplete header chain"];

function icmpv6Text(message: Icmpv6): string {
  const { bytes, start, type, code, identifier, sequence } = message;
  const echo = `id ${identifier}, seq ${sequence}`;
  switch (type) {
    case ICMPV6.ECHO:
      return `echo request, ${echo}`;
    case ICMPV6.ECHO_REPLY:
      return `echo reply, ${echo}`;
    case ICMPV6.DEST_UNREACH:
      return `destination unreachable, ${unreachableIpv6(message)}`;
    case ICMPV6.PKT_TOOBIG:
      return `packet too big, mtu ${message.rest}`;
    case ICMPV6.TIME_EXCEED: {
      const packet = innerIpv6(message);
      if (code === 1) return "time exceeded in-transit (reassembly)";
      if (code !== 0) return `time exceeded in-transit, unknown code (${code})`;
      return `time exceeded in-transit${packet ? ` for ${packet.destination}` : ""}`;
    }
    case ICMPV6.PARAMPROB: {
      const problem = PROBLEMS[code];
      return `parameter problem, ${
        problem ? `${problem} - octet ${message.rest}` : `code-#${code}`
      }`;
    }
    case ICMPV6.MLD2_REPORT:
      return `multicast listener report v2, ${u16(bytes, start + 6)} group record(s)`;
    default:
      return type >= ND.ROUTER_SOLICIT && type <= ND.REDIRECT
        ? discovery(message)
        : `type-#${type}`;
  }
}

const NAMES: Readonly<Record<number, string>> = {
  [ND.ROUTER_SOLICIT]: "router solicitation",
  [ND.ROUTER_ADVERT]: "router advertisement",
  [ND.NEIGHBOR_SOLICIT]: "neighbor solicitation, who has",
  [ND.NEIGHBOR_ADVERT]: "neighbor advertisement, tgt is",
  [ND.REDIRECT]: "redirect,",
};

function discovery({ bytes, start, end, type }: Icmpv6): string {
  const name = NAMES[type]!;
  const message = NeighborDiscovery.parse(bytes, start, end);
  if (!message) return `${name} [|icmp6]`;
  if (type === ND.REDIRECT) return `${name} ${message.destination} to ${message.target}`;
  return message.target === undefined ? name : `${name} ${message.target}`;
}

/** The packet in an error. */
function innerIpv6(message: Icmpv6): Ipv6 | undefined {
  return Ipv6.parse(message.bytes, message.payloadStart, message.end);
}

function unreachableIpv6(message: Icmpv6): string {
  const { code } = message;
  if (code > 4) return `unknown unreach code (${code})`;
  const packet = innerIpv6(message);
  if (!packet) return "[|ip6]";
  const { source, destination } = packet;
  switch (code) {
    case 0:
      return `unreachable route ${destination}`;
    case 1:
      return `unreachable prohibited ${destination}`;
    case 2:
      return `beyond scope ${destination}, source address ${source}`;
    case 3:
      return `unreachable address ${destination}`;
    default:
      return `unreachable port, ${destination}${portOf(message, packet)}`;
  }
}

function portOf({ bytes, end }: Icmpv6, { protocol, payloadStart: at }: Ipv6): string {
  const number = at + 4 > end ? "" : ` ${u16(bytes, at + 2)}`;
  if (protocol === IPPROTO.TCP) return ` tcp port${number}`;
  return protocol === IPPROTO.UDP ? ` udp port${number}` : ` protocol ${protocol} port${number}`;
}
