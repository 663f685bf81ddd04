/**
 * ICMPv6 and neighbor discovery as text.
 *
 * @module
 */
import { u16 } from "./bytes.ts";
import type { Part } from "./format_transport.ts";
import { ICMPV6, Icmpv6 } from "./icmpv6.ts";
import { IPPROTO } from "./ip.ts";
import { Ipv6 } from "./ipv6.ts";
import { ND, NeighborDiscovery } from "./neighbor_discovery.ts";

/** A message. */
export function formatIcmpv6({ bytes, start, end, length }: Part): string {
  const message = Icmpv6.parse(bytes, start, end);
  return `ICMP6, ${message ? text(message) : "[|icmp6]"}, length ${length}`;
}

function text(message: Icmpv6): string {
  const { type, code, identifier, sequence } = message;
  const echo = `id ${identifier}, seq ${sequence}`;
  switch (type) {
    case ICMPV6.ECHO:
      return `echo request, ${echo}`;
    case ICMPV6.ECHO_REPLY:
      return `echo reply, ${echo}`;
    case ICMPV6.DEST_UNREACH:
      return unreachable(message);
    case ICMPV6.PKT_TOOBIG:
      return `packet too big, mtu ${message.rest}`;
    case ICMPV6.TIME_EXCEED:
      return `time exceeded ${code === 0 ? "in-transit" : "in reassembly"}${of(message)}`;
    case ICMPV6.PARAMPROB:
      return `parameter problem, ${code === 1 ? "next header" : "option"} - octet ${message.rest}`;
    case ICMPV6.MLD2_REPORT:
      return `multicast listener report v2, ${
        u16(message.bytes, message.start + 6)
      } group record(s)`;
    default:
      return type >= ND.ROUTER_SOLICIT && type <= ND.REDIRECT
        ? discovery(message)
        : `ICMPv6 type-#${type}`;
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

/** The packet that an error is about. */
function about(message: Icmpv6): Ipv6 | undefined {
  return Ipv6.parse(message.bytes, message.payloadStart, message.end);
}

function of(message: Icmpv6): string {
  const packet = about(message);
  return packet ? ` for ${packet.destination}` : "";
}

function unreachable(message: Icmpv6): string {
  const packet = about(message);
  if (!packet) return "destination unreachable, [|ip6]";
  const { source, destination } = packet;
  const why = [
    `unreachable route ${destination}`,
    `unreachable prohibited ${destination}`,
    `beyond scope ${destination}, source address ${source}`,
    `unreachable address ${destination}`,
    `unreachable port, ${destination}${port(message, packet)}`,
  ];
  return `destination unreachable, ${why[message.code] ?? `code-#${message.code}`}`;
}

function port({ bytes, end }: Icmpv6, { protocol, payloadStart: at }: Ipv6): string {
  const number = at + 4 > end ? "" : ` ${u16(bytes, at + 2)}`;
  if (protocol === IPPROTO.TCP) return ` tcp port${number}`;
  return protocol === IPPROTO.UDP ? ` udp port${number}` : ` protocol ${protocol} port${number}`;
}
