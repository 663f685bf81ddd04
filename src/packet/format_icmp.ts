/**
 * ICMP as text.
 *
 * @module
 */
import { formatIp } from "./address.ts";
import { u16 } from "./bytes.ts";
import type { Part } from "./format_transport.ts";
import { ICMP, Icmp } from "./icmp.ts";
import { IPPROTO } from "./ip.ts";
import { Ipv4 } from "./ipv4.ts";

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
