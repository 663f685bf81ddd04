/**
 * Options of TCP (RFC 9293 section 3.2, RFC 7323, RFC 2018).
 *
 * @module
 */
import { setU32, u16, u32 } from "./bytes.ts";
import { readOptions } from "./ip.ts";

/** An option. */
export type TcpOption =
  | { readonly nop: true }
  | { readonly end: true }
  | { readonly mss: number }
  /** Shift count of the window. */
  | { readonly windowScale: number }
  | { readonly sackPermitted: true }
  /** Ranges of bytes received, from the first to the one after the last. */
  | { readonly sack: readonly (readonly [from: number, to: number])[] }
  /** The sender's time, and the one it echoes. */
  | { readonly timestamp: number; readonly echo: number }
  /** Any other, or one of an unexpected length. */
  | { readonly kind: number; readonly value: Uint8Array };

const KIND = { END: 0, NOP: 1, MSS: 2, WINDOW_SCALE: 3, SACK_PERMITTED: 4, SACK: 5, TIMESTAMP: 8 };

/** Reads options, or returns `undefined` when one is malformed. */
export function tcpOptions(bytes: Uint8Array, start: number, end: number): TcpOption[] | undefined {
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

/**
 * Writes options, padded with zeros to a multiple of 4 bytes.
 *
 * @throws {RangeError} When they take more than 40 bytes.
 */
export function writeTcpOptions(options: readonly TcpOption[]): Uint8Array {
  const parts = options.map(optionBytes);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > 40) {
    throw new RangeError(`TCP options take 40 bytes at most: the current length is ${length}`);
  }
  const bytes = new Uint8Array(Math.ceil(length / 4) * 4);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
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
