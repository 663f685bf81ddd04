/**
 * TCP, UDP and what is over it, as text.
 *
 * @module
 */
import { DHCP, Dhcp } from "./dhcp.ts";
import { Tcp, TCP_FLAG } from "./tcp.ts";
import type { TcpOption } from "./tcp.ts";
import { Udp } from "./udp.ts";
import { Vxlan, VXLAN_PORT } from "./udp.ts";

/** What an IP packet carries, and what there is to say of the packet. */
export interface Part {
  /** The memory. */
  readonly bytes: Uint8Array;
  /** First byte. */
  readonly start: number;
  /** After the last byte in the memory. */
  readonly end: number;
  /** Bytes on the wire. */
  readonly length: number;
  /** Sender of the packet. */
  readonly source: string;
  /** Its receiver. */
  readonly destination: string;
  /** Text for what is between IP and this. */
  readonly before: string;
  /** How many tunnels are around it. */
  readonly depth: number;
}

/** Formats a frame in a tunnel. */
type FormatFrame = (bytes: Uint8Array, start: number, end: number, depth: number) => string;

/** Tunnels in tunnels: none is deeper in practice. */
const DEEPEST = 8;

/** A segment, with addresses and ports. */
export function formatTcp(part: Part): string {
  const segment = Tcp.parse(part.bytes, part.start, part.end);
  if (!segment) return `${addresses(part)}[|tcp]`;
  const { sequence, acknowledgment, headerLength, window, sourcePort, destinationPort } = segment;
  const length = part.length - headerLength;
  const last = length > 0 ? `:${(sequence + length) >>> 0}` : "";
  const fields = [`Flags [${flagsOf(segment.flags)}]`];
  if (length > 0 || (segment.flags & ~(TCP_FLAG.ACK | TCP_FLAG.CWR | TCP_FLAG.ECE)) !== 0) {
    if (length > 0 || segment.syn || segment.fin || segment.rst || !segment.ack) {
      fields.push(`seq ${sequence}${last}`);
    }
  }
  if (segment.ack) fields.push(`ack ${acknowledgment}`);
  fields.push(`win ${window}`);
  if ((segment.flags & TCP_FLAG.URG) !== 0) fields.push(`urg ${segment.urgentPointer}`);
  const options = segment.options;
  if (!options) fields.push("options [bad opt]");
  else if (options.length > 0) fields.push(`options [${options.map(optionText).join(",")}]`);
  return `${addresses(part, sourcePort, destinationPort)}${fields.join(", ")}, length ${length}`;
}

/** A datagram, with addresses and ports, and what is in it when it is known. */
export function formatUdp(part: Part, formatFrame: FormatFrame): string {
  const datagram = Udp.parse(part.bytes, part.start, part.end);
  if (!datagram) return `${addresses(part)}[|udp]`;
  const { bytes, payloadStart, payloadEnd, sourcePort, destinationPort } = datagram;
  const head = addresses(part, sourcePort, destinationPort);
  const length = (datagram.length || part.length) - 8;
  const ports = [sourcePort, destinationPort];
  if (ports.includes(67) || ports.includes(68)) {
    return head + formatDhcp(bytes, payloadStart, payloadEnd, length);
  }
  if (ports.includes(VXLAN_PORT) && part.depth < DEEPEST) {
    const header = Vxlan.parse(bytes, payloadStart, payloadEnd);
    if (!header) return `${head}VXLAN [|vxlan]`;
    const flags = header.flags.toString(16).padStart(2, "0");
    const present = (header.flags & 8) !== 0 ? "I" : ".";
    const inner = formatFrame(bytes, header.payloadStart, payloadEnd, part.depth + 1);
    return `${head}VXLAN, flags [${present}] (0x${flags}), vni ${header.vni}: ${inner}`;
  }
  return `${head}UDP, length ${length}`;
}

const TYPES = new Map<number, string>(Object.entries(DHCP).map(([name, type]) => [type, name]));

function formatDhcp(bytes: Uint8Array, start: number, end: number, length: number): string {
  const message = Dhcp.parse(bytes, start, end);
  if (!message) return `BOOTP/DHCP, [|bootp], length ${length}`;
  const what = message.op === 1 ? `Request from ${message.clientMac}` : "Reply";
  const type = TYPES.get(message.messageType ?? 0);
  const given = message.yourAddress === "0.0.0.0" ? "" : `, ${message.yourAddress}`;
  return `BOOTP/DHCP, ${what}, length ${length}${type ? `, ${type}${given}` : ""}`;
}

function addresses({ source, destination, before }: Part, from?: number, to?: number): string {
  if (from === undefined) return `${source} > ${destination}: ${before}`;
  // Behind extension headers the ports stand alone.
  if (before) return `${source} > ${destination}: ${before}${from} > ${to}: `;
  return `${source}.${from} > ${destination}.${to}: `;
}

/** Letters as tcpdump has them, in its order. */
const FLAGS: readonly (readonly [flag: number, letter: string])[] = [
  [TCP_FLAG.FIN, "F"],
  [TCP_FLAG.SYN, "S"],
  [TCP_FLAG.RST, "R"],
  [TCP_FLAG.PSH, "P"],
  [TCP_FLAG.ACK, "."],
  [TCP_FLAG.URG, "U"],
  [TCP_FLAG.ECE, "E"],
  [TCP_FLAG.CWR, "W"],
];

function flagsOf(flags: number): string {
  const letters = FLAGS.map(([flag, letter]) => (flags & flag) !== 0 ? letter : "").join("");
  return letters || "none";
}

function optionText(option: TcpOption): string {
  if ("end" in option) return "eol";
  if ("nop" in option) return "nop";
  if ("mss" in option) return `mss ${option.mss}`;
  if ("windowScale" in option) return `wscale ${option.windowScale}`;
  if ("sackPermitted" in option) return "sackOK";
  if ("timestamp" in option) return `TS val ${option.timestamp} ecr ${option.echo}`;
  if ("sack" in option) {
    const blocks = option.sack.map(([from, to]) => `{${from}:${to}}`).join("");
    return `sack ${option.sack.length} ${blocks}`;
  }
  return `unknown-${option.kind}`;
}
