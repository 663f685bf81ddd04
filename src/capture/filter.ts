/**
 * Filters of captures and the classic BPF programs they become: an assembler that resolves labels, and
 * constants by the names of the kernel headers (`linux/filter.h`, `linux/if_packet.h`, `linux/if_arp.h`).
 *
 * @module
 */
import { checkOptions, integer, show, wordValue } from "../options.ts";
import { formatIp, parseIp, parseMac, parsePrefix, type Prefix } from "../packet/address.ts";

/** Socket options, `PACKET_*`. */
export const PACKET_OPTION = {
  ADD_MEMBERSHIP: 1,
  RX_RING: 5,
  STATISTICS: 6,
  VERSION: 10,
  RESERVE: 12,
  IGNORE_OUTGOING: 23,
} as const;

/** Kinds of memberships, `PACKET_MR_*`. */
export const PACKET_MR = { PROMISC: 1 } as const;

/** Destinations of a packet, `sll_pkttype`: `PACKET_*`. */
export const PACKET_TYPE = {
  HOST: 0,
  BROADCAST: 1,
  MULTICAST: 2,
  OTHERHOST: 3,
  OUTGOING: 4,
} as const;

/** Version of the ring, in `enum tpacket_versions`. */
export const TPACKET_V3 = 2;

/** Status bits of blocks and packets in the ring, `TP_STATUS_*`. */
export const TP_STATUS = {
  KERNEL: 0,
  USER: 1 << 0,
  VLAN_VALID: 1 << 4,
  VLAN_TPID_VALID: 1 << 6,
} as const;

/** The protocol of a packet socket that receives all EtherTypes: `ETH_P_ALL`. */
export const ETH_P = { ALL: 0x0003 } as const;

/** Hardware types of links whose first header is known: `ARPHRD_*`. */
export const ARPHRD = {
  ETHER: 1,
  RAWIP: 519,
  TUNNEL: 768,
  TUNNEL6: 769,
  LOOPBACK: 772,
  SIT: 776,
  IPGRE: 778,
  IEEE80211: 801,
  IEEE80211_RADIOTAP: 803,
  IP6GRE: 823,
  NONE: 0xfffe,
} as const;

/** Parts of a BPF instruction's code, `BPF_*`. */
export const BPF = {
  LD: 0x00,
  LDX: 0x01,
  ST: 0x02,
  STX: 0x03,
  ALU: 0x04,
  JMP: 0x05,
  RET: 0x06,
  MISC: 0x07,

  W: 0x00,
  H: 0x08,
  B: 0x10,

  IMM: 0x00,
  ABS: 0x20,
  IND: 0x40,
  MEM: 0x60,
  LEN: 0x80,
  MSH: 0xa0,

  ADD: 0x00,
  AND: 0x50,
  LSH: 0x60,

  JA: 0x00,
  JEQ: 0x10,
  JGT: 0x20,
  JGE: 0x30,
  JSET: 0x40,

  K: 0x00,
  X: 0x08,

  MAXINSNS: 4096,
} as const;

/** Offsets of data that the kernel keeps beside the bytes of a frame: `SKF_AD_*`, added to `OFF`. */
export const SKF_AD = {
  OFF: -0x1000,
  PROTOCOL: 0,
  PKTTYPE: 4,
  IFINDEX: 8,
  MARK: 20,
  HATYPE: 28,
  VLAN_TAG: 44,
  VLAN_TAG_PRESENT: 48,
} as const;

/** One instruction, `struct sock_filter`. */
export interface Instruction {
  /** The operation, 0..65,535. */
  readonly code: number;
  /** The distance of a conditional jump when its condition holds, 0..255. */
  readonly jt: number;
  /** The distance when the condition does not hold, 0..255. */
  readonly jf: number;
  /** The operand: 0..4,294,967,295. */
  readonly k: number;
}

/** A place in a program. */
export class Label {}

/** An instruction whose jumps lead to labels, or a label at its place. */
export type Line = Label | {
  readonly code: number;
  readonly k: number;
  readonly jt?: Label;
  readonly jf?: Label;
};

/** A jump's distance has 8 bits. */
const FARTHEST = 255;

/**
 * Resolves labels. Jumps lead forward; a far jump leads to an unconditional one.
 *
 * @throws {RangeError} When the program is longer than the kernel allows.
 */
export function assemble(lines: readonly Line[]): Instruction[] {
  const program: Instruction[] = [];
  // From the end to the start: the targets of jumps are then known, as distances from the end.
  const after = new Map<Label, number>();
  for (const line of lines.toReversed()) {
    if (line instanceof Label) {
      after.set(line, program.length);
      continue;
    }
    const { code, k, jt, jf } = line;
    if (!jt || !jf) {
      program.push({ code, jt: 0, jf: 0, k });
      continue;
    }
    const distance = (label: Label) => program.length - after.get(label)!;
    if (jt === jf) {
      if (distance(jt) > 0) program.push({ code: BPF.JMP | BPF.JA, jt: 0, jf: 0, k: distance(jt) });
      continue;
    }
    const detour = (label: Label) => {
      // Another detour may come between this instruction and its target.
      if (distance(label) < FARTHEST) return undefined;
      program.push({ code: BPF.JMP | BPF.JA, jt: 0, jf: 0, k: distance(label) });
      return program.length;
    };
    const [far, away] = [detour(jt), detour(jf)];
    program.push({
      code,
      jt: far === undefined ? distance(jt) : program.length - far,
      jf: away === undefined ? distance(jf) : program.length - away,
      k,
    });
  }
  if (program.length > BPF.MAXINSNS) {
    throw new RangeError(
      `The filter has ${program.length} instructions: the kernel allows ${BPF.MAXINSNS}`,
    );
  }
  return program.reverse();
}

/**
 * Checks a program: numbers in range, jumps inside the program, a return at the end. The kernel checks more.
 *
 * @throws {TypeError} For a malformed instruction.
 * @throws {RangeError} For a program that is empty, too long, or jumps out of itself.
 */
export function checkProgram(program: readonly Instruction[]): void {
  if (program.length < 1 || program.length > BPF.MAXINSNS) {
    throw new RangeError(
      `A filter must have 1..${BPF.MAXINSNS} instructions: got ${program.length}`,
    );
  }
  program.forEach((instruction, at) => {
    const { code, jt, jf, k } = instruction ?? {};
    const good = within(code, 0xffff) && within(jt, 0xff) && within(jf, 0xff) &&
      within(k, 0xffff_ffff);
    if (!good) {
      throw new TypeError(
        `Instruction ${at} must be { code, jt, jf, k }: got ${show(instruction)}`,
      );
    }
    if ((code! & 7) !== BPF.JMP) return;
    const farthest = at + 1 + ((code! & 0xf0) === BPF.JA ? k! : Math.max(jt!, jf!));
    if (farthest < program.length) return;
    throw new RangeError(
      `Instruction ${at} jumps to ${farthest}: the filter has ${program.length} instructions`,
    );
  });
  if ((program.at(-1)!.code & 7) !== BPF.RET) {
    throw new RangeError("A filter must end with a return instruction");
  }
}

/** The program as an array of `struct sock_filter`. */
export function encodeProgram(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(program.length * 8));
  const view = new DataView(bytes.buffer);
  program.forEach(({ code, jt, jf, k }, i) => {
    view.setUint16(8 * i, code, true);
    bytes[8 * i + 2] = jt;
    bytes[8 * i + 3] = jf;
    view.setUint32(8 * i + 4, k, true);
  });
  return bytes;
}

/**
 * Reads a program that `tcpdump -ddd` printed: the number of instructions, and a line with four decimal numbers
 * for each.
 *
 * @param text The output of tcpdump.
 * @returns The instructions.
 * @throws {TypeError} For a malformed line, or another number of lines.
 * @throws {RangeError} For a program that jumps out of itself or has no end.
 *
 * @example A program of tcpdump
 * ```ts
 * import { parseProgram } from "@netloom/netloom/capture";
 * import { assertEquals } from "@std/assert";
 *
 * // tcpdump -y EN10MB -ddd arp
 * const program = parseProgram("4\n40 0 0 12\n21 0 1 2054\n6 0 0 262144\n6 0 0 0\n");
 * assertEquals(program[1], { code: 21, jt: 0, jf: 1, k: 0x0806 });
 * ```
 */
export function parseProgram(text: string): Instruction[] {
  const [count, ...lines] = text.trim().split("\n");
  const program = lines.map((line): Instruction => {
    const numbers = /^(\d+) (\d+) (\d+) (\d+)$/.exec(line.trim())?.slice(1).map(Number);
    if (!numbers) {
      throw new TypeError(`A line of tcpdump -ddd must have four numbers: got ${show(line)}`);
    }
    const [code, jt, jf, k] = numbers as [number, number, number, number];
    return { code, jt, jf, k };
  });
  if (Number(count) !== program.length) {
    throw new TypeError(
      `The first line must be the number of lines behind it, ${program.length}: got ${show(count)}`,
    );
  }
  checkProgram(program);
  return program;
}

function within(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
}

/** Protocols by name. TCP, UDP and SCTP are over IPv4 and IPv6. */
export type FilterProtocol =
  | "arp"
  | "ip"
  | "ip6"
  | "icmp"
  | "icmp6"
  | "tcp"
  | "udp"
  | "sctp";

/** A port, or the first and the last of a range. */
export type FilterPort = number | readonly [first: number, last: number];

/**
 * Conditions on a frame, which must all hold. They mean the same as the words of pcap-filter(7), with one
 * difference: they look behind VLAN tags, wherever these are.
 *
 * @example Web traffic of one host, and ARP
 * ```ts
 * import { compileFilter, type Filter } from "@netloom/netloom/capture";
 *
 * // tcpdump 'arp or (tcp port 80 and not host 10.0.0.9)'
 * const filter: Filter = {
 *   or: [{ protocol: "arp" }, { protocol: "tcp", port: 80, not: { host: "10.0.0.9" } }],
 * };
 * const program = compileFilter(filter);
 * console.log(program.length);
 * ```
 */
export interface Filter {
  /** The protocol. */
  readonly protocol?: FilterProtocol;
  /** Number of a protocol over IPv4 or IPv6, 0..255: 89 is OSPF. */
  readonly ipProtocol?: number;
  /** EtherType behind all VLAN tags, 0..65,535: 0x88cc is LLDP. */
  readonly etherType?: number;
  /** The outer VLAN tag: of this VLAN, 0..4094; any (`true`); none (`false`). */
  readonly vlan?: number | boolean;
  /** The second VLAN tag, inside the outer one: of this VLAN, 0..4094; any (`true`); none (`false`). */
  readonly innerVlan?: number | boolean;
  /** IPv4 (ARP included) or IPv6 address, of either end. */
  readonly host?: string;
  /** Source address. */
  readonly srcHost?: string;
  /** Destination address. */
  readonly dstHost?: string;
  /** Network of the address of either end: `10.0.0.0/8`. */
  readonly net?: string;
  /** Network of the source address. */
  readonly srcNet?: string;
  /** Network of the destination address. */
  readonly dstNet?: string;
  /** TCP, UDP or SCTP port of either end. */
  readonly port?: FilterPort;
  /** Source port. */
  readonly srcPort?: FilterPort;
  /** Destination port. */
  readonly dstPort?: FilterPort;
  /** Ethernet address of either end. */
  readonly mac?: string;
  /** Source Ethernet address. */
  readonly srcMac?: string;
  /** Destination Ethernet address. */
  readonly dstMac?: string;
  /** All of these hold. */
  readonly and?: readonly Filter[];
  /** At least one of these holds. */
  readonly or?: readonly Filter[];
  /** This one does not hold. */
  readonly not?: Filter;
}

/** The end of a condition. */
export type End = "src" | "dst" | "either";

/** A checked filter, as a tree. */
export type Condition =
  | { readonly is: "all" | "any"; readonly of: readonly Condition[] }
  | { readonly is: "not"; readonly of: Condition }
  | { readonly is: "protocol"; readonly protocol: FilterProtocol }
  | { readonly is: "ipProtocol"; readonly number: number }
  | { readonly is: "etherType"; readonly number: number }
  | { readonly is: "vlan"; readonly inner: boolean; readonly id: number | boolean }
  | { readonly is: "net"; readonly end: End; readonly prefix: Prefix }
  | { readonly is: "port"; readonly end: End; readonly first: number; readonly last: number }
  | { readonly is: "mac"; readonly end: End; readonly address: Uint8Array };

const PROTOCOLS: { readonly [P in FilterProtocol]: P } = {
  arp: "arp",
  ip: "ip",
  ip6: "ip6",
  icmp: "icmp",
  icmp6: "icmp6",
  tcp: "tcp",
  udp: "udp",
  sctp: "sctp",
};

type Reader = (value: never, name: string) => Condition;

const READERS: { readonly [K in keyof Required<Filter>]: Reader } = {
  protocol: (value: unknown, name): Condition => ({
    is: "protocol",
    protocol: wordValue(value, PROTOCOLS, name),
  }),
  ipProtocol: (value: unknown, name) => ({
    is: "ipProtocol",
    number: integer(value, name, 0, 255),
  }),
  etherType: (value: unknown, name) => ({
    is: "etherType",
    number: integer(value, name, 0, 0xffff),
  }),
  vlan: (value: unknown, name) => vlan(value, name, false),
  innerVlan: (value: unknown, name) => vlan(value, name, true),
  host: (value: unknown) => host(value, "either"),
  srcHost: (value: unknown) => host(value, "src"),
  dstHost: (value: unknown) => host(value, "dst"),
  net: (value: string, name) => net(value, name, "either"),
  srcNet: (value: string, name) => net(value, name, "src"),
  dstNet: (value: string, name) => net(value, name, "dst"),
  port: (value: unknown, name) => port(value, name, "either"),
  srcPort: (value: unknown, name) => port(value, name, "src"),
  dstPort: (value: unknown, name) => port(value, name, "dst"),
  mac: (value: unknown) => mac(value, "either"),
  srcMac: (value: unknown) => mac(value, "src"),
  dstMac: (value: unknown) => mac(value, "dst"),
  and: (value: unknown, name) => ({ is: "all", of: list(value, name) }),
  or: (value: unknown, name) => ({ is: "any", of: list(value, name) }),
  not: (value: unknown, name) => ({ is: "not", of: readFilter(value, name) }),
};

/**
 * Checks a filter.
 *
 * @param filter The filter.
 * @param path The place of the filter in another one, for errors: `and[1].not`.
 * @returns The filter as a tree.
 * @throws {TypeError} For an unknown condition or a malformed value.
 * @throws {RangeError} For a number that is out of range.
 */
export function readFilter(filter: unknown, path = ""): Condition {
  if (typeof filter !== "object" || filter === null || Array.isArray(filter)) {
    const what = path || "A filter";
    throw new TypeError(
      `${what} must be an object such as { protocol: "tcp" }: got ${show(filter)}`,
    );
  }
  checkOptions(filter, READERS, path);
  const of = Object.entries(filter).filter(([, value]) => value !== undefined).map(
    ([name, value]) =>
      READERS[name as keyof Filter](value as never, path ? `${path}.${name}` : name),
  );
  return of.length === 1 ? of[0]! : { is: "all", of };
}

function list(value: unknown, name: string): Condition[] {
  if (Array.isArray(value) && value.length > 0) {
    return value.map((filter, i) => readFilter(filter, `${name}[${i}]`));
  }
  throw new TypeError(`${name} must be an array of one or more filters: got ${show(value)}`);
}

function vlan(value: unknown, name: string, inner: boolean): Condition {
  const id = typeof value === "boolean" ? value : integer(value, name, 0, 4094);
  return { is: "vlan", inner, id };
}

function host(value: unknown, end: End): Condition {
  const address = parseIp(value as string);
  return { is: "net", end, prefix: { address, length: address.length * 8 } };
}

function net(value: string, name: string, end: End): Condition {
  const prefix = parsePrefix(value);
  const masked = prefix.address.map((byte, i) => byte & maskByte(prefix.length, i));
  if (masked.some((byte, i) => byte !== prefix.address[i])) {
    const meant = `${formatIp(masked)}/${prefix.length}`;
    throw new TypeError(`${name} has host bits: got ${show(value)}; did you mean ${show(meant)}?`);
  }
  return { is: "net", end, prefix };
}

/** The byte at `i` of the mask of a prefix. */
export function maskByte(length: number, i: number): number {
  return 0xff00 >> Math.min(8, Math.max(0, length - 8 * i)) & 0xff;
}

function port(value: unknown, name: string, end: End): Condition {
  const [first, last] = Array.isArray(value) && value.length === 2 ? value : [value, value];
  const range = { first: integer(first, name, 0, 0xffff), last: integer(last, name, 0, 0xffff) };
  if (range.first > range.last) {
    throw new RangeError(`${name} must go from the lower to the higher port: got ${show(value)}`);
  }
  return { is: "port", end, ...range };
}

function mac(value: unknown, end: End): Condition {
  return { is: "mac", end, address: parseMac(value as string) };
}
