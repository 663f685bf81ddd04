/**
 * TCP, UDP and the protocols over UDP as text.
 *
 * @module
 */
import { u16 } from "./bytes.ts";
import { DHCP, Dhcp } from "./dhcp.ts";
import { Dns, DNS_PORT, DNS_TYPE, type DnsQuestion, type DnsRecord } from "./dns.ts";
import { Tcp, TCP_FLAG, type TcpOption } from "./tcp.ts";
import { Udp, Vxlan, VXLAN_PORT } from "./udp.ts";

/** A part of a packet. */
export interface Span {
  /** The memory. */
  readonly bytes: Uint8Array;
  /** Offset of the first byte. */
  readonly start: number;
  /** End in the memory, exclusive. */
  readonly end: number;
  /** End on the wire: beyond `end` when the capture cut the packet off. */
  readonly wire: number;
  /** Number of tunnels around it. */
  readonly depth: number;
}

/** The payload of an IP packet. */
export interface Part extends Span {
  /** Bytes that the packet says it has. */
  readonly length: number;
  /** Source address of the packet. */
  readonly source: string;
  /** Destination address of the packet. */
  readonly destination: string;
  /** Text of the headers between IP and this part. */
  readonly before: string;
  /** Whether the packet is a fragment. */
  readonly fragment: boolean;
  /** Whether the packet is longer than a 16-bit length tells: a jumbogram, or BIG TCP. */
  readonly jumbo: boolean;
}

/** The deepest tunnel that is decoded. */
export const DEEPEST = 8;

/** A segment, with addresses and ports. */
export function formatTcp(part: Part): string {
  const segment = Tcp.parse(part.bytes, part.start, part.end);
  if (!segment) return malformedTcp(part);
  const { sequence, acknowledgment, headerLength, window, sourcePort, destinationPort } = segment;
  const length = part.length - headerLength;
  if (length < 0) return malformedTcp(part);
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

/** A segment whose header is cut off, or has an impossible length. */
function malformedTcp(part: Part): string {
  const { bytes, start, end, length } = part;
  if (end - start < 4) return `${addresses(part)}[|tcp]`;
  const head = addresses(part, u16(bytes, start), u16(bytes, start + 2));
  if (end - start < 14) return `${head}[|tcp]`;
  const size = (bytes[start + 12]! >> 4) * 4;
  if (size < 20) return `${head}tcp ${length - size} [bad hdr length ${size} - too short, < 20]`;
  if (size <= length) return `${head}[|tcp]`;
  const flags = flagsOf(bytes[start + 13]!);
  return `${head}Flags [${flags}] [bad hdr length ${size} - too long, > ${length}]`;
}

/** A datagram, with addresses and ports, and its payload when the protocol is known. */
export function formatUdp(part: Part, formatFrame: (span: Span) => string): string {
  const { bytes, start, end } = part;
  if (end - start < 4) return `${addresses(part)}[|udp]`;
  const [sourcePort, destinationPort] = [u16(bytes, start), u16(bytes, start + 2)];
  const head = addresses(part, sourcePort, destinationPort);
  if (end - start < 8) return `${head}[|udp]`;
  const datagram = Udp.parse(bytes, start, end);
  if (!datagram || datagram.length === 0 && !part.jumbo) {
    return `${head}truncated-udplength ${u16(bytes, start + 4)}`;
  }
  const { payloadStart, payloadEnd } = datagram;
  const length = (datagram.length || part.length) - 8;
  if (length > part.length - 8 && !part.fragment) {
    return `${head}UDP, bad length ${length} > ${part.length - 8}`;
  }
  const ports = [sourcePort, destinationPort];
  const wire = payloadStart + length;
  const payload = { ...part, start: payloadStart, end: payloadEnd, wire };
  if (ports.includes(DNS_PORT)) return head + formatDns(payload, length, false);
  if (ports.includes(MDNS_PORT)) return head + formatDns(payload, length, true);
  if (ports.includes(67) || ports.includes(68)) return head + formatDhcp(payload, length);
  if (ports.includes(VXLAN_PORT) && part.depth < DEEPEST) {
    return head + formatVxlan(payload, formatFrame);
  }
  return `${head}UDP, length ${length}`;
}

function formatVxlan(span: Span, formatFrame: (span: Span) => string): string {
  const header = Vxlan.parse(span.bytes, span.start, span.end);
  if (!header) return "VXLAN [|vxlan]";
  const flags = header.flags.toString(16).padStart(2, "0");
  const present = (header.flags & 8) !== 0 ? "I" : "invalid";
  const inner = formatFrame({ ...span, start: header.payloadStart, depth: span.depth + 1 });
  return `VXLAN, flags [${present}] (0x${flags}), vni ${header.vni}: ${inner}`;
}

const MESSAGE_TYPES = new Map<number, string>(
  Object.entries(DHCP).map(([name, type]) => [type, name]),
);

function formatDhcp({ bytes, start, end }: Span, length: number): string {
  const message = Dhcp.parse(bytes, start, end);
  if (!message) return `BOOTP/DHCP, [|bootp], length ${length}`;
  const { op, messageType } = message;
  // Another link than Ethernet has other addresses.
  const ethernet = bytes[start + 1] === 1 && bytes[start + 2] === 6;
  const operation = op === 1
    ? `Request${ethernet ? ` from ${message.clientMac}` : ""}`
    : op === 2
    ? "Reply"
    : `unknown (0x${op.toString(16).padStart(2, "0")})`;
  const head = `BOOTP/DHCP, ${operation}, length ${length}`;
  if (messageType === undefined) return head;
  const given = message.yourAddress === "0.0.0.0" ? "" : `, ${message.yourAddress}`;
  return `${head}, ${MESSAGE_TYPES.get(messageType) ?? `type ${messageType}`}${given}`;
}

/** DNS to a multicast address (RFC 6762), which uses the upper bit of a class. */
const MDNS_PORT = 5353;
const UPPER_BIT = 0x8000;
const OPT = 41;

/** Words of tcpdump for opcodes and response codes. */
const OPCODES = ["", " inv_q", " stat", " op3", " notify", " update"];
const RCODES = [
  "",
  " FormErr",
  " ServFail",
  " NXDomain",
  " NotImp",
  " Refused",
  " YXDomain",
  " YXRRSet",
  " NXRRSet",
  " NotAuth",
  " NotZone",
];
const TYPES = new Map<number, string>([
  ...Object.entries(DNS_TYPE).map(([name, type]) => [type, name] as const),
  [OPT, "OPT"],
  [252, "AXFR"],
  [255, "ANY"],
]);
const CLASSES = new Map<number, string>([[3, "CHAOS"], [4, "HS"], [255, "ANY"]]);

function formatDns({ bytes, start, end }: Span, length: number, multicast: boolean): string {
  const message = Dns.parse(bytes, start, end);
  if (!message) return `[|domain] (${length})`;
  const { id, flags, opcode, rcode, counts } = message;
  const { questions, answers, complete } = message.sections();
  const [questionCount, answerCount, authorityCount, additionalCount] = counts;
  const operation = OPCODES[opcode] ?? ` op${opcode}`;
  const asked = questions.map((question) => questionText(question, multicast)).join("");
  if (!message.response) {
    const odd = (flags & 0x6cf) !== 0 ? ` [b2&3=0x${flags.toString(16)}]` : "";
    const inverse = opcode === 1;
    const numbers = (inverse ? questionCount > 0 : questionCount !== 1)
      ? ` [${questionCount}q]`
      : "";
    const sections = [
      (inverse ? answerCount !== 1 : answerCount > 0) ? ` [${answerCount}a]` : "",
      numbers,
      authorityCount > 0 ? ` [${authorityCount}n]` : "",
      additionalCount > 0 ? ` [${additionalCount}au]` : "",
    ];
    if (inverse) [sections[0], sections[1]] = [sections[1]!, sections[0]!];
    const head = `${id}${operation}${message.recursionDesired ? "+" : ""}` +
      `${(flags & 0x10) !== 0 ? "%" : ""}${odd}${sections.join("")}`;
    const cut = questions.length < questionCount ? " [|domain]" : "";
    return `${head}${asked}${cut} (${length})`;
  }
  const marks = `${message.authoritative ? "*" : ""}${message.recursionAvailable ? "" : "-"}` +
    `${message.truncated ? "|" : ""}${(flags & 0x20) !== 0 ? "$" : ""}`;
  const texts = answers.map((answer) => recordText(answer, multicast)).join(",");
  const cut = !complete && answers.length < answerCount ? " [|domain]" : "";
  const head = `${id}${operation}${RCODES[rcode] ?? ` Resp${rcode}`}${marks}` +
    `${questionCount === 1 ? "" : ` [${questionCount}q]`} ${answerCount}/${authorityCount}/` +
    `${additionalCount}${texts}${cut} (${length})`;
  return asked ? `${head}, q:${asked}` : head;
}

function questionText(question: Required<DnsQuestion>, multicast: boolean): string {
  const { name, type, class: number } = question;
  const unicast = multicast && (number & UPPER_BIT) !== 0;
  const kind = multicast ? unicast ? " (QU)" : " (QM)" : "";
  return ` ${typeText(type)}${classText(unicast ? number & ~UPPER_BIT : number)}${kind}? ${name}`;
}

function recordText(record: Required<DnsRecord>, multicast: boolean): string {
  const { type, data, class: number } = record;
  if (type === OPT) return ` OPT UDPsize=${number}${(record.ttl & 0x8000) !== 0 ? " DO" : ""}`;
  const flush = multicast && (number & UPPER_BIT) !== 0;
  const value = "address" in data
    ? ` ${data.address}`
    : "exchange" in data
    ? ` ${data.exchange} ${data.preference}`
    : "text" in data
    ? data.text.map((text) => ` "${text}"`).join("")
    : "port" in data
    ? ` ${data.target}:${data.port} ${data.priority} ${data.weight}`
    : "target" in data
    ? ` ${data.target}`
    : "";
  const kind = classText(flush ? number & ~UPPER_BIT : number);
  return `${flush ? " (Cache flush)" : ""}${kind} ${typeText(type)}${value}`;
}

function typeText(type: number): string {
  return TYPES.get(type) ?? `Type${type}`;
}

function classText(number: number): string {
  return number === 1 ? "" : ` ${CLASSES.get(number) ?? `(Class ${number})`}`;
}

function addresses({ source, destination, before }: Part, from?: number, to?: number): string {
  if (from === undefined) return `${source} > ${destination}: ${before}`;
  // Behind extension headers the ports stand alone.
  if (before) return `${source} > ${destination}: ${before}${from} > ${to}: `;
  return `${source}.${from} > ${destination}.${to}: `;
}

/** Letters of tcpdump, in its order. */
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
