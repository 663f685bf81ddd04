/**
 * ICMP as text.
 *
 * @module
 */
import { formatIp } from "./address.ts";
import { u16 } from "./bytes.ts";
import type { Part } from "./format_transport.ts";
import { ICMP, Icmp, ICMPV6, Icmpv6 } from "./icmp.ts";
import { IPPROTO } from "./ip.ts";
import { Ipv4 } from "./ipv4.ts";
import { Ipv6 } from "./ipv6.ts";
import { ND, NeighborDiscovery } from "./neighbor_discovery.ts";

/** A message. */
export function formatIcmp({ bytes, start, end, length }: Part): string {
  const message = Icmp.parse(bytes, start, end);
  return `ICMP ${message ? text(message) : "[|icmp]"}, length ${length}`;
}

function text(message: Icmp): string {
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
      return `redirect ${about(message)?.destination ?? "[|ip]"} to host ${gateway(message)}`;
    case ICMP.TIME_EXCEEDED:
      return code === 0 ? "time exceeded in-transit" : "ip reassembly time exceeded";
    case ICMP.PARAMETERPROB:
      return `parameter problem - octet ${message.rest >>> 24}`;
    case ICMP.TIMESTAMP:
      return `time stamp query id ${identifier} seq ${sequence}`;
    case ICMP.TIMESTAMPREPLY:
      return `time stamp reply id ${identifier} seq ${sequence}`;
    default:
      return `type-#${type}`;
  }
}

/** The packet that an error is about. */
function about(message: Icmp): Ipv4 | undefined {
  return Ipv4.parse(message.bytes, message.payloadStart, message.end);
}

function gateway(message: Icmp): string {
  return formatIp(message.bytes, message.start + 4, 4);
}

function unreachable(message: Icmp): string {
  const packet = about(message);
  if (!packet) return "unreachable [|ip]";
  const { destination, protocol, payloadStart } = packet;
  switch (message.code) {
    case 0:
      return `net ${destination} unreachable`;
    case 1:
      return `host ${destination} unreachable`;
    case 2:
      return `${destination} protocol ${protocol} unreachable`;
    case 3: {
      if (payloadStart + 4 > message.end) return `${destination} port unreachable`;
      const port = u16(message.bytes, payloadStart + 2);
      const name = protocol === IPPROTO.TCP ? "tcp" : protocol === IPPROTO.UDP ? "udp" : "";
      return name
        ? `${destination} ${name} port ${port} unreachable`
        : `${destination} protocol ${protocol} port ${port} unreachable`;
    }
    case 4:
      return `${destination} unreachable - need to frag (mtu ${message.sequence})`;
    case 10:
      return `host ${destination} unreachable - admin prohibited`;
    case 13:
      return `host ${destination} unreachable - admin prohibited filter`;
    default:
      return `${destination} unreachable - #${message.code}`;
  }
}

/** A message. */
export function formatIcmpv6({ bytes, start, end, length }: Part): string {
  const message = Icmpv6.parse(bytes, start, end);
  return `ICMP6, ${message ? text6(message) : "[|icmp6]"}, length ${length}`;
}

function text6(message: Icmpv6): string {
  const { type, code, identifier, sequence } = message;
  const echo = `id ${identifier}, seq ${sequence}`;
  switch (type) {
    case ICMPV6.ECHO:
      return `echo request, ${echo}`;
    case ICMPV6.ECHO_REPLY:
      return `echo reply, ${echo}`;
    case ICMPV6.DEST_UNREACH:
      return unreachable6(message);
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
function about6(message: Icmpv6): Ipv6 | undefined {
  return Ipv6.parse(message.bytes, message.payloadStart, message.end);
}

function of(message: Icmpv6): string {
  const packet = about6(message);
  return packet ? ` for ${packet.destination}` : "";
}

function unreachable6(message: Icmpv6): string {
  const packet = about6(message);
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
