/**
 * TCP (RFC 9293).
 *
 * @module
 */
import { integer, show } from "../options.ts";
import { checkFields, type FieldKinds, type Layer } from "./build.ts";
import { checksumAdd, concat, holds, setU16, setU32, u16, u32 } from "./bytes.ts";
import { type Carrier, carrierSum, readOptions, TransportHeader } from "./ip.ts";
import { IPPROTO } from "./address.ts";

/** Bytes of a header without options. */
const HEADER = 20;

/** Flags of a segment (RFC 9293 section 3.1, RFC 3168). */
export const TCP_FLAG = {
  FIN: 0x01,
  SYN: 0x02,
  RST: 0x04,
  PSH: 0x08,
  ACK: 0x10,
  URG: 0x20,
  ECE: 0x40,
  CWR: 0x80,
} as const;

/**
 * A TCP segment. Its payload ends at `end`.
 *
 * @example Clamp the maximum segment size of a connection
 * ```ts
 * import { buildPacket, checksumUpdate, Ipv4, ipv4, Tcp, tcp } from "@netloom/netloom/packet";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const bytes = buildPacket(
 *   ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
 *   tcp({ sourcePort: 40000, destinationPort: 80, syn: true, options: [{ mss: 1460 }] }),
 * );
 * const packet = Ipv4.parse(bytes)!;
 * const segment = Tcp.parse(bytes, packet.payloadStart, packet.payloadEnd)!;
 * segment.mss = 1300;
 * segment.checksum = checksumUpdate(segment.checksum, 1460, 1300);
 * assertEquals(segment.options, [{ mss: 1300 }]);
 * assert(segment.checksumValid(packet));
 * ```
 */
export class Tcp extends TransportHeader {
  /** Creates a view of a segment, or returns `undefined` when it is malformed. */
  static parse(bytes: Uint8Array, start = 0, end: number = bytes.length): Tcp | undefined {
    const view = new Tcp();
    return view.point(bytes, start, end) ? view : undefined;
  }

  /** Moves the view, or returns `false`. */
  point(bytes: Uint8Array, start: number, end: number): boolean {
    if (!holds(bytes, start, end, HEADER)) return false;
    const size = (bytes[start + 12]! >> 4) * 4;
    if (size < HEADER || start + size > end) return false;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** Sequence number of the first byte, modulo 2^32. */
  get sequence(): number {
    return u32(this.bytes, this.start + 4);
  }
  set sequence(sequence: number) {
    setU32(this.bytes, this.start + 4, integer(sequence, "sequence", 0, 0xffff_ffff));
  }

  /** Sequence number of the next expected byte, when {@link Tcp.ack} is set. */
  get acknowledgment(): number {
    return u32(this.bytes, this.start + 8);
  }
  set acknowledgment(sequence: number) {
    setU32(this.bytes, this.start + 8, integer(sequence, "acknowledgment", 0, 0xffff_ffff));
  }

  /** Bytes of the header with its options: 20..60. */
  get headerLength(): number {
    return (this.bytes[this.start + 12]! >> 4) * 4;
  }

  /** All 12 flags: bits of {@link TCP_FLAG}, and the reserved bits above them. */
  get flags(): number {
    return u16(this.bytes, this.start + 12) & 0xfff;
  }
  set flags(flags: number) {
    const at = this.start + 12;
    setU16(this.bytes, at, u16(this.bytes, at) & 0xf000 | integer(flags, "flags", 0, 0xfff));
  }

  /** Whether the segment opens a connection. */
  get syn(): boolean {
    return (this.bytes[this.start + 13]! & TCP_FLAG.SYN) !== 0;
  }

  /** Whether the source has no more data to send. */
  get fin(): boolean {
    return (this.bytes[this.start + 13]! & TCP_FLAG.FIN) !== 0;
  }

  /** Whether the segment resets the connection. */
  get rst(): boolean {
    return (this.bytes[this.start + 13]! & TCP_FLAG.RST) !== 0;
  }

  /** Whether the acknowledgment number is valid. */
  get ack(): boolean {
    return (this.bytes[this.start + 13]! & TCP_FLAG.ACK) !== 0;
  }

  /** Whether the destination should deliver the data at once. */
  get psh(): boolean {
    return (this.bytes[this.start + 13]! & TCP_FLAG.PSH) !== 0;
  }

  /** Receive window of the source in bytes, not scaled. */
  get window(): number {
    return u16(this.bytes, this.start + 14);
  }
  set window(window: number) {
    setU16(this.bytes, this.start + 14, integer(window, "window", 0, 0xffff));
  }

  /** The checksum. */
  get checksum(): number {
    return u16(this.bytes, this.start + 16);
  }
  set checksum(checksum: number) {
    setU16(this.bytes, this.start + 16, integer(checksum, "checksum", 0, 0xffff));
  }

  /** End of the urgent data, when the flag URG is set. */
  get urgentPointer(): number {
    return u16(this.bytes, this.start + 18);
  }

  /** The options, or `undefined` when they are malformed. */
  get options(): TcpOption[] | undefined {
    return tcpOptions(this.bytes, this.start + HEADER, this.payloadStart);
  }

  /** The maximum segment size option, or `undefined`. A segment without the option ignores a new value. */
  get mss(): number | undefined {
    const at = this.#mssAt();
    return at < 0 ? undefined : u16(this.bytes, at);
  }
  set mss(mss: number) {
    const at = this.#mssAt();
    integer(mss, "mss", 0, 0xffff);
    if (at >= 0) setU16(this.bytes, at, mss);
  }

  /** Offset of the payload. */
  get payloadStart(): number {
    return this.start + this.headerLength;
  }

  /**
   * Whether the checksum is right.
   *
   * @param carrier The IP packet around the segment, or the sum of the pseudo header.
   */
  checksumValid(carrier: Carrier | number): boolean {
    const { bytes, start, end } = this;
    return checksumAdd(bytes, start, end, carrierSum(carrier, IPPROTO.TCP, end - start)) === 0xffff;
  }

  /**
   * Recomputes the checksum.
   *
   * @param carrier The IP packet around the segment, or the sum of the pseudo header.
   */
  updateChecksum(carrier: Carrier | number): void {
    const { bytes, start, end } = this;
    setU16(bytes, start + 16, 0);
    const sum = carrierSum(carrier, IPPROTO.TCP, end - start);
    setU16(bytes, start + 16, ~checksumAdd(bytes, start, end, sum));
  }

  #mssAt(): number {
    const end = this.payloadStart;
    for (let at = this.start + HEADER; at + 3 < end;) {
      const kind = this.bytes[at]!;
      if (kind === 0) return -1;
      if (kind === 2 && this.bytes[at + 1] === 4) return at + 2;
      if (kind !== 1 && this.bytes[at + 1]! < 2) return -1;
      at += kind === 1 ? 1 : this.bytes[at + 1]!;
    }
    return -1;
  }
}

/** Fields of a TCP header. */
export interface TcpFields {
  /** Source port, 0..65,535. */
  readonly sourcePort: number;
  /** Destination port, 0..65,535. */
  readonly destinationPort: number;
  /** Sequence number of the first byte, 0..4,294,967,295; default 0. */
  readonly sequence?: number;
  /** Sequence number of the next expected byte; sets the flag ACK. */
  readonly acknowledgment?: number;
  /** Sets the flag SYN: opens a connection; default `false`. */
  readonly syn?: boolean;
  /** Sets the flag FIN: no more data; default `false`. */
  readonly fin?: boolean;
  /** Sets the flag RST: resets the connection; default `false`. */
  readonly rst?: boolean;
  /** Sets the flag PSH: deliver the data at once; default `false`. */
  readonly psh?: boolean;
  /** Further bits of {@link TCP_FLAG}, 0..4095; default 0. */
  readonly flags?: number;
  /** Receive window in bytes, 0..65,535; default 65535. */
  readonly window?: number;
  /** End of the urgent data, 0..65,535; default 0. */
  readonly urgentPointer?: number;
  /** Options, padded to a multiple of 4 bytes; default none. */
  readonly options?: readonly TcpOption[];
}

const FIELDS: FieldKinds<TcpFields> = {
  sourcePort: "u16",
  destinationPort: "u16",
  sequence: "u32?",
  acknowledgment: "u32?",
  syn: "boolean?",
  fin: "boolean?",
  rst: "boolean?",
  psh: "boolean?",
  flags: "u12?",
  window: "u16?",
  urgentPointer: "u16?",
  options: true,
};

/**
 * Creates a TCP header for `buildPacket()`.
 *
 * @param fields The fields of the header.
 * @throws {TypeError} For an unknown field or option.
 * @throws {RangeError} For a number that its field cannot hold, or options of more than 40 bytes.
 */
export function tcp(fields: TcpFields): Layer {
  checkFields(fields, FIELDS);
  const { sequence = 0, acknowledgment, window = 65535, urgentPointer = 0 } = fields;
  const options = writeTcpOptions(fields.options ?? []);
  const size = HEADER + options.length;
  const flags = (fields.flags ?? 0) | (fields.fin ? TCP_FLAG.FIN : 0) |
    (fields.syn ? TCP_FLAG.SYN : 0) | (fields.rst ? TCP_FLAG.RST : 0) |
    (fields.psh ? TCP_FLAG.PSH : 0) | (acknowledgment === undefined ? 0 : TCP_FLAG.ACK);
  return {
    size,
    protocol: IPPROTO.TCP,
    write(bytes, { start }) {
      setU16(bytes, start, fields.sourcePort);
      setU16(bytes, start + 2, fields.destinationPort);
      setU32(bytes, start + 4, sequence);
      setU32(bytes, start + 8, acknowledgment ?? 0);
      setU16(bytes, start + 12, size / 4 << 12 | flags);
      setU16(bytes, start + 14, window);
      setU16(bytes, start + 18, urgentPointer);
      bytes.set(options, start + HEADER);
    },
    complete: (bytes, { start, end }, pseudoHeader = 0) =>
      setU16(bytes, start + 16, ~checksumAdd(bytes, start, end, pseudoHeader)),
  };
}

/** An option of TCP (RFC 9293 section 3.2, RFC 7323, RFC 2018). */
export type TcpOption =
  | { readonly nop: true }
  | { readonly end: true }
  | { readonly mss: number }
  /** Shift count of the window. */
  | { readonly windowScale: number }
  | { readonly sackPermitted: true }
  /** Received ranges of sequence numbers; `to` is exclusive. */
  | { readonly sack: readonly (readonly [from: number, to: number])[] }
  /** The time of the source, and the time that it echoes. */
  | { readonly timestamp: number; readonly echo: number }
  /** Any other option, or one of an unexpected length. */
  | { readonly kind: number; readonly value: Uint8Array };

const KIND = { END: 0, NOP: 1, MSS: 2, WINDOW_SCALE: 3, SACK_PERMITTED: 4, SACK: 5, TIMESTAMP: 8 };

/** Reads options, or returns `undefined` when one is malformed. */
function tcpOptions(bytes: Uint8Array, start: number, end: number): TcpOption[] | undefined {
  const layout = { single: KIND.NOP, last: KIND.END };
  return readOptions(bytes, start, end, layout)?.map(({ type, value }) => option(type, value));
}

function option(kind: number, value: Uint8Array): TcpOption {
  const { length } = value;
  if (kind === KIND.END) return { end: true };
  if (kind === KIND.NOP) return { nop: true };
  if (kind === KIND.MSS && length === 2) return { mss: u16(value, 0) };
  if (kind === KIND.WINDOW_SCALE && length === 1) return { windowScale: value[0]! };
  if (kind === KIND.SACK_PERMITTED && length === 0) return { sackPermitted: true };
  if (kind === KIND.TIMESTAMP && length === 8) {
    return { timestamp: u32(value, 0), echo: u32(value, 4) };
  }
  if (kind === KIND.SACK && length > 0 && length % 8 === 0) {
    const blocks = Array.from({ length: length / 8 }, (_, i) => i * 8);
    return { sack: blocks.map((at) => [u32(value, at), u32(value, at + 4)] as const) };
  }
  return { kind, value };
}

/** The fields of each option, the one that names it first. */
const OPTION_FIELDS = [
  { nop: "boolean" },
  { end: "boolean" },
  { mss: "u16" },
  { windowScale: "u8" },
  { sackPermitted: "boolean" },
  { sack: true },
  { timestamp: "u32", echo: "u32" },
  { kind: "u8", value: true },
] as const;

function checkOption(option: TcpOption, path: string): void {
  const kinds = OPTION_FIELDS.find((kinds) => Object.keys(kinds)[0]! in Object(option));
  if (!kinds) {
    const names = OPTION_FIELDS.map((kinds) => Object.keys(kinds)[0]).join(", ");
    throw new TypeError(`${path} must have one of ${names}: got ${show(option)}`);
  }
  checkFields<object>(option, kinds, path);
  if (!("sack" in option)) return;
  option.sack.forEach((range, i) =>
    range.forEach((number, j) => integer(number, `${path}.sack[${i}][${j}]`, 0, 0xffff_ffff))
  );
}

/** Writes options, padded with zeros to a multiple of 4 bytes. */
function writeTcpOptions(options: readonly TcpOption[]): Uint8Array {
  options.forEach((option, i) => checkOption(option, `options[${i}]`));
  const bytes = concat(options.map(optionBytes));
  const { length } = bytes;
  if (length > 40) throw new RangeError(`options must have at most 40 bytes: got ${length} bytes`);
  return concat([bytes, new Uint8Array(-length & 3)]);
}

function optionBytes(option: TcpOption): Uint8Array {
  if ("end" in option) return Uint8Array.of(KIND.END);
  if ("nop" in option) return Uint8Array.of(KIND.NOP);
  if ("mss" in option) return Uint8Array.of(KIND.MSS, 4, option.mss >> 8, option.mss);
  if ("windowScale" in option) return Uint8Array.of(KIND.WINDOW_SCALE, 3, option.windowScale);
  if ("sackPermitted" in option) return Uint8Array.of(KIND.SACK_PERMITTED, 2);
  if ("kind" in option) return Uint8Array.of(option.kind, option.value.length + 2, ...option.value);
  const words = "sack" in option ? option.sack.flat() : [option.timestamp, option.echo];
  const bytes = new Uint8Array(2 + words.length * 4);
  bytes[0] = "sack" in option ? KIND.SACK : KIND.TIMESTAMP;
  bytes[1] = bytes.length;
  words.forEach((word, i) => setU32(bytes, 2 + i * 4, word));
  return bytes;
}
