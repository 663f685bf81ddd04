/**
 * Building of DNS messages (RFC 1035, RFC 3596, RFC 2782).
 *
 * @module
 */
import { integer, show } from "../options.ts";
import { parseIpv4, parseIpv6 } from "./address.ts";
import { checkFields, type FieldKinds, type Layer } from "./build.ts";
import {
  DNS_TYPE,
  type DnsData,
  type DnsQuestion,
  type DnsRecord,
  FARTHEST,
  LONGEST_LABEL,
  LONGEST_NAME,
  POINTER,
} from "./dns.ts";

/** Class of the Internet. */
const IN = 1;

/** Fields of a DNS message. */
export interface DnsFields {
  /** Identifier, 0..65,535: equal in a query and its response. */
  readonly id: number;
  /** Whether the message is a response; default `false`. */
  readonly response?: boolean;
  /** Kind of query, 0..15; default 0, a standard query. */
  readonly opcode?: number;
  /** Whether the server is an authority for the name; default `false`. */
  readonly authoritative?: boolean;
  /** Whether the message was truncated; default `false`. */
  readonly truncated?: boolean;
  /** Whether the client asks for recursion; default `false`. */
  readonly recursionDesired?: boolean;
  /** Whether the server offers recursion; default `false`. */
  readonly recursionAvailable?: boolean;
  /** Response code, 0..15; default 0, success. */
  readonly rcode?: number;
  /** The questions; default none. */
  readonly questions?: readonly DnsQuestion[];
  /** The answers; default none. */
  readonly answers?: readonly DnsRecord[];
  /** The authority records; default none. */
  readonly authorities?: readonly DnsRecord[];
  /** The additional records; default none. */
  readonly additionals?: readonly DnsRecord[];
}

const FIELDS: FieldKinds<DnsFields> = {
  id: "u16",
  response: "boolean?",
  opcode: "u4?",
  authoritative: "boolean?",
  truncated: "boolean?",
  recursionDesired: "boolean?",
  recursionAvailable: "boolean?",
  rcode: "u4?",
  questions: true,
  answers: true,
  authorities: true,
  additionals: true,
};
const QUESTION_FIELDS: FieldKinds<DnsQuestion> = { name: true, type: "u16", class: "u16?" };
const RECORD_FIELDS: FieldKinds<DnsRecord> = {
  name: true,
  type: "u16",
  class: "u16?",
  ttl: "u32?",
  data: true,
};
/** The fields of the data of each type. */
const DATA_FIELDS: Readonly<Record<number, Readonly<Record<string, string | true>>>> = {
  [DNS_TYPE.A]: { address: true },
  [DNS_TYPE.AAAA]: { address: true },
  [DNS_TYPE.NS]: { target: true },
  [DNS_TYPE.CNAME]: { target: true },
  [DNS_TYPE.PTR]: { target: true },
  [DNS_TYPE.MX]: { preference: "u16", exchange: true },
  [DNS_TYPE.TXT]: { text: true },
  [DNS_TYPE.SOA]: {
    primary: true,
    mailbox: true,
    serial: "u32",
    refresh: "u32",
    retry: "u32",
    expire: "u32",
    minimum: "u32",
  },
  [DNS_TYPE.SRV]: { priority: "u16", weight: "u16", port: "u16", target: true },
};

/**
 * Creates a DNS message for `buildPacket()`. Names are compressed.
 *
 * @param fields The fields of the message.
 * @throws {TypeError} For an unknown field, a malformed name or address, or data of another type.
 * @throws {RangeError} For a number that its field cannot hold, or a name or string that is too long.
 */
export function dns(fields: DnsFields): Layer {
  checkFields(fields, FIELDS);
  const { questions = [], answers = [], authorities = [], additionals = [] } = fields;
  const writer = new Writer();
  const flags = (fields.response ? 0x8000 : 0) | (fields.opcode ?? 0) << 11 |
    (fields.authoritative ? 0x400 : 0) | (fields.truncated ? 0x200 : 0) |
    (fields.recursionDesired ? 0x100 : 0) | (fields.recursionAvailable ? 0x80 : 0) |
    (fields.rcode ?? 0);
  writer.u16(fields.id, flags);
  const sections = { questions, answers, authorities, additionals };
  for (const [name, { length }] of Object.entries(sections)) {
    writer.u16(integer(length, `${name}.length`, 0, 0xffff));
  }
  questions.forEach((question, i) => {
    checkFields(question, QUESTION_FIELDS, `questions[${i}]`);
    writer.name(question.name, `questions[${i}].name`);
    writer.u16(question.type, question.class ?? IN);
  });
  for (const [name, records] of Object.entries({ answers, authorities, additionals })) {
    records.forEach((record, i) => writeRecord(writer, record, `${name}[${i}]`));
  }
  const message = Uint8Array.from(writer.bytes);
  return { size: message.length, write: (bytes, { start }) => bytes.set(message, start) };
}

function writeRecord(writer: Writer, record: DnsRecord, path: string): void {
  checkFields(record, RECORD_FIELDS, path);
  const { name, type, ttl = 0, data } = record;
  writer.name(name, `${path}.name`);
  writer.u16(type, record.class ?? IN);
  writer.u32(ttl);
  writer.u16(0);
  const start = writer.bytes.length;
  const kinds = "bytes" in Object(data) ? { bytes: true } : DATA_FIELDS[type] ?? { bytes: true };
  checkFields<object>(data, kinds, `${path}.data`);
  writeData(writer, data, type, `${path}.data`);
  const length = integer(writer.bytes.length - start, `${path}.data length`, 0, 0xffff, "bytes");
  writer.bytes.splice(start - 2, 2, length >> 8, length & 255);
}

function writeData(writer: Writer, data: DnsData, type: number, path: string): void {
  if ("bytes" in data) writer.append(data.bytes);
  else if ("address" in data) {
    writer.append((type === DNS_TYPE.A ? parseIpv4 : parseIpv6)(data.address));
  } else if ("text" in data) {
    data.text.forEach((text, i) => {
      const bytes = unescaped(text, `${path}.text[${i}]`);
      writer.append([integer(bytes.length, `${path}.text[${i}] length`, 0, 255, "bytes")]);
      writer.append(bytes);
    });
  } else if ("exchange" in data) {
    writer.u16(data.preference);
    writer.name(data.exchange, `${path}.exchange`);
  } else if ("primary" in data) {
    writer.name(data.primary, `${path}.primary`);
    writer.name(data.mailbox, `${path}.mailbox`);
    writer.u32(data.serial, data.refresh, data.retry, data.expire, data.minimum);
  } else {
    // The target of SRV is not compressed (RFC 2782).
    const compress = !("priority" in data);
    if ("priority" in data) writer.u16(data.priority, data.weight, data.port);
    writer.name(data.target, `${path}.target`, compress);
  }
}

/** The bytes of a message, and the offsets of the names in it. */
class Writer {
  readonly bytes: number[] = [];
  readonly #names = new Map<string, number>();

  append(bytes: Iterable<number>): void {
    for (const byte of bytes) this.bytes.push(byte);
  }

  u16(...values: number[]): void {
    for (const value of values) this.bytes.push(value >> 8, value & 255);
  }

  u32(...values: number[]): void {
    for (const value of values) this.u16(value >>> 16, value & 0xffff);
  }

  /** Writes a name, and a pointer in place of a suffix that is already there. */
  name(text: string, path: string, compress = true): void {
    const labels = labelsOf(text, path);
    for (const [i, label] of labels.entries()) {
      const suffix = JSON.stringify(labels.slice(i));
      const known = this.#names.get(suffix);
      if (known !== undefined && compress) return this.u16(POINTER << 8 | known);
      if (this.bytes.length <= FARTHEST) this.#names.set(suffix, this.bytes.length);
      this.bytes.push(label.length, ...label);
    }
    this.bytes.push(0);
  }
}

/** The labels of a name in presentation format; its final dot may be left out. */
function labelsOf(name: string, path: string): number[][] {
  if (name === "." || name === "") return [];
  unescaped(name, path);
  // An escaped dot does not end a label.
  const parts = name.match(/(\\.|[^.\\])+|\.(?=\.)|^\./gs) ?? [];
  const labels = parts.map((part) => part === "." ? [] : unescaped(part, path));
  if (labels.length === 0 || labels.some(({ length }) => length === 0)) {
    throw new TypeError(`${path} must be a domain name such as "example.com.": got ${show(name)}`);
  }
  for (const { length } of labels) integer(length, `${path} label length`, 1, LONGEST_LABEL);
  const total = labels.reduce((sum, { length }) => sum + length + 1, 1);
  integer(total, `${path} length`, 1, LONGEST_NAME, "bytes");
  return labels;
}

/** The bytes of a text in presentation format. */
function unescaped(text: string, path: string): number[] {
  if (typeof text !== "string" || !/^(\\[0-9]{3}|\\[^0-9]|[^\\])*$/s.test(text)) {
    throw new TypeError(`${path} must be text with escapes such as "\\046": got ${show(text)}`);
  }
  const bytes: number[] = [];
  for (const [part] of text.matchAll(/\\[0-9]{3}|\\[^0-9]|[^\\]/gsu)) {
    if (/^\\[0-9]/.test(part)) bytes.push(integer(Number(part.slice(1)), path, 0, 255));
    else bytes.push(...new TextEncoder().encode(part.replace(/^\\/, "")));
  }
  return bytes;
}
