/**
 * DNS messages (RFC 1035, RFC 3596, RFC 2782) as in a UDP datagram.
 *
 * @module
 */
import { integer } from "../options.ts";
import { formatIp } from "./address.ts";
import { holds, setU16, u16, u32, View } from "./bytes.ts";

/** Types of records that are decoded here; others are numbers with bytes. */
export const DNS_TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
} as const;

/** The UDP port of DNS. */
export const DNS_PORT = 53;

const HEADER = 12;
/** Bytes of the longest label and the longest name (RFC 1035 section 2.3.4). */
export const LONGEST_LABEL = 63;
export const LONGEST_NAME = 255;
/** The two upper bits of a byte that begins a pointer to an earlier name. */
export const POINTER = 0xc0;
/** Pointers have 14 bits. */
export const FARTHEST = 0x3fff;
/** A name has at most so many labels, and needs no more pointers. */
const MOST_POINTERS = 127;

/** A question of a message. */
export interface DnsQuestion {
  /** The name in presentation format, with a final dot: `example.com.`; dots in labels as `\.`. */
  readonly name: string;
  /** One of {@link DNS_TYPE}, or another number. */
  readonly type: number;
  /** The class; default 1, the Internet. */
  readonly class?: number;
}

/** The data of a record, by its type. Names are in presentation format. */
export type DnsData =
  /** A, AAAA. */
  | { readonly address: string }
  /** NS, CNAME, PTR. */
  | { readonly target: string }
  | { readonly preference: number; readonly exchange: string }
  /** TXT: strings of at most 255 bytes; bytes other than printable ASCII as `\ddd`. */
  | { readonly text: readonly string[] }
  | {
    readonly primary: string;
    readonly mailbox: string;
    readonly serial: number;
    readonly refresh: number;
    readonly retry: number;
    readonly expire: number;
    readonly minimum: number;
  }
  | {
    readonly priority: number;
    readonly weight: number;
    readonly port: number;
    readonly target: string;
  }
  /** Any other type, or malformed data: a view of the message's memory. */
  | { readonly bytes: Uint8Array };

/** A resource record. */
export interface DnsRecord {
  /** The name of the record. */
  readonly name: string;
  /** One of {@link DNS_TYPE}, or another number. */
  readonly type: number;
  /** The class; default 1, the Internet. */
  readonly class?: number;
  /** Time to live in seconds; default 0. */
  readonly ttl?: number;
  /** The data. */
  readonly data: DnsData;
}

/** A record read from a message, and the end of its bytes. */
interface Read<T> {
  readonly value: Required<T>;
  readonly end: number;
}

/** The sections of a message, each up to the first malformed record of the message. */
export interface DnsSections {
  /** The questions. */
  readonly questions: Required<DnsQuestion>[];
  /** The answers. */
  readonly answers: Required<DnsRecord>[];
  /** The authority records. */
  readonly authorities: Required<DnsRecord>[];
  /** The additional records. */
  readonly additionals: Required<DnsRecord>[];
  /** Whether every question and record that the header counts is there and well-formed. */
  readonly complete: boolean;
}

/**
 * A DNS message. Compressed names are followed to earlier names only, so no name is endless.
 *
 * @example Answer a question
 * ```ts
 * import { buildPacket, Dns, dns, DNS_TYPE } from "@netloom/netloom/packet";
 * import { assertEquals } from "@std/assert";
 *
 * const { A } = DNS_TYPE;
 * const query = Dns.parse(buildPacket(dns({
 *   id: 7,
 *   questions: [{ name: "a.example.", type: A }],
 * })))!;
 * const { id, questions } = query;
 * const data = { address: "10.0.0.1" };
 * const answers = questions.map(({ name }) => ({ name, type: A, ttl: 60, data }));
 * const reply = Dns.parse(buildPacket(dns({ id, response: true, questions, answers })))!;
 * assertEquals(reply.answers[0]?.data, { address: "10.0.0.1" });
 * ```
 */
export class Dns extends View {
  /** Creates a view of a message, or returns `undefined` when there are fewer than 12 bytes. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Dns | undefined {
    const view = new Dns();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, HEADER)) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** Identifier: equal in a query and its response. */
  get id(): number {
    return u16(this.bytes, this.start);
  }
  set id(id: number) {
    setU16(this.bytes, this.start, integer(id, "id", 0, 0xffff));
  }

  /** The 16 bits of flags, with opcode and response code. */
  get flags(): number {
    return u16(this.bytes, this.start + 2);
  }

  /** Whether the message is a response. */
  get response(): boolean {
    return (this.flags & 0x8000) !== 0;
  }

  /** Kind of query: 0 is a standard query. */
  get opcode(): number {
    return this.flags >> 11 & 15;
  }

  /** Whether the server is an authority for the name. */
  get authoritative(): boolean {
    return (this.flags & 0x400) !== 0;
  }

  /** Whether the message was truncated. */
  get truncated(): boolean {
    return (this.flags & 0x200) !== 0;
  }

  /** Whether the client asks for recursion. */
  get recursionDesired(): boolean {
    return (this.flags & 0x100) !== 0;
  }

  /** Whether the server offers recursion. */
  get recursionAvailable(): boolean {
    return (this.flags & 0x80) !== 0;
  }

  /** Response code: 0 is success, 3 a name that does not exist. */
  get rcode(): number {
    return this.flags & 15;
  }

  /** The numbers of questions, answers, authorities and additionals in the header. */
  get counts(): [questions: number, answers: number, authorities: number, additionals: number] {
    const count = (i: number) => u16(this.bytes, this.start + 4 + 2 * i);
    return [count(0), count(1), count(2), count(3)];
  }

  /** The questions, up to the first malformed one. */
  get questions(): Required<DnsQuestion>[] {
    return this.sections().questions;
  }

  /** The answers, up to the first malformed record of the message. */
  get answers(): Required<DnsRecord>[] {
    return this.sections().answers;
  }

  /** The authority records, up to the first malformed record of the message. */
  get authorities(): Required<DnsRecord>[] {
    return this.sections().authorities;
  }

  /** The additional records, up to the first malformed record of the message. */
  get additionals(): Required<DnsRecord>[] {
    return this.sections().additionals;
  }

  /** Whether every question and record that the header counts is there and well-formed. */
  get complete(): boolean {
    return this.sections().complete;
  }

  /** Reads all sections in one pass: each getter of one of them makes a pass of its own. */
  sections(): DnsSections {
    const { bytes, start, end, counts: [questionCount, ...recordCounts] } = this;
    const questions: Required<DnsQuestion>[] = [];
    const answers: Required<DnsRecord>[] = [];
    const authorities: Required<DnsRecord>[] = [];
    const additionals: Required<DnsRecord>[] = [];
    const sections = { questions, answers, authorities, additionals };
    let at = start + HEADER;
    for (let i = 0; i < questionCount; i++) {
      const question = readQuestion(bytes, start, at, end);
      if (!question) return { ...sections, complete: false };
      questions.push(question.value);
      at = question.end;
    }
    for (const [i, records] of [answers, authorities, additionals].entries()) {
      for (let left = recordCounts[i]!; left > 0; left--) {
        const record = readRecord(bytes, start, at, end);
        if (!record) return { ...sections, complete: false };
        records.push(record.value);
        at = record.end;
      }
    }
    return { ...sections, complete: true };
  }
}

function readQuestion(
  bytes: Uint8Array,
  start: number,
  at: number,
  end: number,
): Read<DnsQuestion> | undefined {
  const name = readName(bytes, start, at, end);
  if (!name || name.end + 4 > end) return undefined;
  const [type, cls] = [u16(bytes, name.end), u16(bytes, name.end + 2)];
  return { value: { name: name.text, type, class: cls }, end: name.end + 4 };
}

function readRecord(
  bytes: Uint8Array,
  start: number,
  at: number,
  end: number,
): Read<DnsRecord> | undefined {
  const name = readName(bytes, start, at, end);
  if (!name || name.end + 10 > end) return undefined;
  const from = name.end + 10;
  const to = from + u16(bytes, name.end + 8);
  if (to > end) return undefined;
  const type = u16(bytes, name.end);
  const value = {
    name: name.text,
    type,
    class: u16(bytes, name.end + 2),
    ttl: u32(bytes, name.end + 4),
    data: readData(bytes, start, from, to, type) ?? { bytes: bytes.subarray(from, to) },
  };
  return { value, end: to };
}

/** The data of a record of a known type; `undefined` when the type is unknown or the data malformed. */
function readData(
  bytes: Uint8Array,
  start: number,
  at: number,
  end: number,
  type: number,
): DnsData | undefined {
  const nameAt = (from: number) => from < end ? readName(bytes, start, from, end) : undefined;
  /** A name that is the last part of the data. */
  const lastName = (from: number) => {
    const name = nameAt(from);
    return name?.end === end ? name.text : undefined;
  };
  switch (type) {
    case DNS_TYPE.A:
      return end - at === 4 ? { address: formatIp(bytes, at, 4) } : undefined;
    case DNS_TYPE.AAAA:
      return end - at === 16 ? { address: formatIp(bytes, at, 16) } : undefined;
    case DNS_TYPE.NS:
    case DNS_TYPE.CNAME:
    case DNS_TYPE.PTR: {
      const target = lastName(at);
      return target === undefined ? undefined : { target };
    }
    case DNS_TYPE.MX: {
      const exchange = lastName(at + 2);
      return exchange === undefined ? undefined : { preference: u16(bytes, at), exchange };
    }
    case DNS_TYPE.TXT:
      return readText(bytes, at, end);
    case DNS_TYPE.SOA: {
      const primary = nameAt(at);
      const mailbox = primary && nameAt(primary.end);
      if (!mailbox || mailbox.end + 20 !== end) return undefined;
      const number = (i: number) => u32(bytes, mailbox.end + 4 * i);
      return {
        primary: primary.text,
        mailbox: mailbox.text,
        serial: number(0),
        refresh: number(1),
        retry: number(2),
        expire: number(3),
        minimum: number(4),
      };
    }
    case DNS_TYPE.SRV: {
      const target = lastName(at + 6);
      if (target === undefined) return undefined;
      const number = (i: number) => u16(bytes, at + 2 * i);
      return { priority: number(0), weight: number(1), port: number(2), target };
    }
    default:
      return undefined;
  }
}

function readText(bytes: Uint8Array, at: number, end: number): DnsData | undefined {
  const text: string[] = [];
  while (at < end) {
    const next = at + 1 + bytes[at]!;
    if (next > end) return undefined;
    text.push(escaped(bytes, at + 1, next, TEXT_ESCAPES));
    at = next;
  }
  return text.length > 0 ? { text } : undefined;
}

/**
 * Reads a name.
 *
 * @param bytes Memory.
 * @param start Offset of the message, from which pointers count.
 * @param at Offset of the name.
 * @param end End of the part of the message that has the name; pointers lead to earlier parts.
 * @returns The text and the end of the name's bytes, or `undefined` when it is malformed.
 */
function readName(
  bytes: Uint8Array,
  start: number,
  at: number,
  end: number,
): { readonly text: string; readonly end: number } | undefined {
  let text = "";
  let length = 1;
  /** End of the name at `at`: behind its first pointer, or its last label. */
  let after = -1;
  /** A pointer leads before all labels that were read, so that there is no loop. */
  let earliest = at;
  let pointers = 0;
  while (at < end) {
    const size = bytes[at]!;
    if (size === 0) return { text: text || ".", end: after < 0 ? at + 1 : after };
    if (size > LONGEST_LABEL) {
      if (size < POINTER || at + 2 > end) return undefined;
      if (after < 0) after = at + 2;
      at = start + (u16(bytes, at) & FARTHEST);
      if (at >= earliest || at < start + HEADER || ++pointers > MOST_POINTERS) return undefined;
      earliest = at;
      continue;
    }
    length += size + 1;
    if (length > LONGEST_NAME || at + 1 + size > end) return undefined;
    text += `${escaped(bytes, at + 1, at + 1 + size, NAME_ESCAPES)}.`;
    at += 1 + size;
  }
  return undefined;
}

/** Characters that presentation format escapes (RFC 1035 section 5.1): `.` and `\`, `"` and `\`. */
const NAME_ESCAPES: readonly number[] = [0x2e, 0x5c];
const TEXT_ESCAPES: readonly number[] = [0x22, 0x5c];

/** Bytes in presentation format. */
function escaped(bytes: Uint8Array, at: number, end: number, escapes: readonly number[]): string {
  let text = "";
  for (; at < end; at++) {
    const byte = bytes[at]!;
    const printable = byte > 0x20 && byte < 0x7f || byte === 0x20 && escapes === TEXT_ESCAPES;
    const character = String.fromCharCode(byte);
    if (!printable) text += `\\${String(byte).padStart(3, "0")}`;
    else text += escapes.includes(byte) ? `\\${character}` : character;
  }
  return text;
}
