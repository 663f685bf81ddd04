/**
 * Attribute codecs: one small object per way the kernel writes a value. A field is a codec with an
 * attribute type; {@link schema} makes an attribute set of fields.
 *
 * @module
 */
import type { Field, Source, Writer } from "./bytes.ts";
import { NLA_F, NLA_TYPE_MASK } from "./message.ts";
import { NetlinkDecodeError } from "./error.ts";
import { boolean, integer, show, wordValue } from "../options.ts";

export type { AttributeNames, Field } from "./bytes.ts";

/** The values a number may have, where that is narrower than its width. */
export interface Range {
  /** Smallest accepted value. */
  readonly min?: number;
  /** Largest accepted value. */
  readonly max?: number;
  /** What the number counts, for the error: `hundredths of a second`. */
  readonly unit?: string;
}

function short(what: string, type: number, length: number): never {
  throw new NetlinkDecodeError(
    `Cannot read attribute ${type}: ${length} bytes are too short for ${what}`,
  );
}

/** An 8-bit number. */
export function u8(type: number, range: Range = {}): Field<number> {
  const { min = 0, max = 0xff, unit } = range;
  return {
    type,
    write: (w, value, path) => {
      integer(value, path, min, max, unit);
      const at = w.reserve(1); // may replace the view
      w.view.setUint8(at, value);
    },
    read: (s, at, length) => length < 1 ? short("u8", type, length) : s.bytes[at]!,
  };
}

/** A 16-bit number in host byte order. */
export function u16(type: number, range: Range = {}): Field<number> {
  const { min = 0, max = 0xffff, unit } = range;
  return {
    type,
    write: (w, value, path) => {
      integer(value, path, min, max, unit);
      const at = w.reserve(2);
      w.view.setUint16(at, value, true);
    },
    read: (s, at, length) => length < 2 ? short("u16", type, length) : s.view.getUint16(at, true),
  };
}

/** A 16-bit number in network byte order. */
export function be16(type: number, range: Range = {}): Field<number> {
  const { min = 0, max = 0xffff, unit } = range;
  return {
    type,
    write: (w, value, path) => {
      integer(value, path, min, max, unit);
      const at = w.reserve(2);
      w.view.setUint16(at, value, false);
    },
    read: (s, at, length) => length < 2 ? short("be16", type, length) : s.view.getUint16(at, false),
  };
}

/** A 32-bit number in host byte order. */
export function u32(type: number, range: Range = {}): Field<number> {
  const { min = 0, max = 0xffffffff, unit } = range;
  return {
    type,
    write: (w, value, path) => {
      integer(value, path, min, max, unit);
      const at = w.reserve(4);
      w.view.setUint32(at, value, true);
    },
    read: (s, at, length) => length < 4 ? short("u32", type, length) : s.view.getUint32(at, true),
  };
}

/** A 32-bit number in network byte order. */
export function be32(type: number, range: Range = {}): Field<number> {
  const { min = 0, max = 0xffffffff, unit } = range;
  return {
    type,
    write: (w, value, path) => {
      integer(value, path, min, max, unit);
      const at = w.reserve(4);
      w.view.setUint32(at, value, false);
    },
    read: (s, at, length) => length < 4 ? short("be32", type, length) : s.view.getUint32(at, false),
  };
}

/** A signed 32-bit number in host byte order. */
export function s32(type: number, range: Range = {}): Field<number> {
  const { min = -0x80000000, max = 0x7fffffff, unit } = range;
  return {
    type,
    write: (w, value, path) => {
      integer(value, path, min, max, unit);
      const at = w.reserve(4);
      w.view.setInt32(at, value, true);
    },
    read: (s, at, length) => length < 4 ? short("s32", type, length) : s.view.getInt32(at, true),
  };
}

/** A 64-bit counter as a number: exact to 2^53. */
export function u64(type: number, range: Range = {}): Field<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER, unit } = range;
  return {
    type,
    write: (w, value, path) => {
      integer(value, path, min, max, unit);
      const at = w.reserve(8);
      w.view.setUint32(at, value % 0x100000000, true);
      w.view.setUint32(at + 4, Math.floor(value / 0x100000000), true);
    },
    read: (s, at, length) =>
      length < 8
        ? short("u64", type, length)
        : s.view.getUint32(at, true) + s.view.getUint32(at + 4, true) * 0x100000000,
  };
}

/** A 64-bit number in network byte order: exact to 2^53. */
export function be64(type: number, range: Range = {}): Field<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER, unit } = range;
  return {
    type,
    write: (w, value, path) => {
      integer(value, path, min, max, unit);
      const at = w.reserve(8);
      w.view.setBigUint64(at, BigInt(value), false);
    },
    read: (s, at, length) =>
      length < 8 ? short("be64", type, length) : Number(s.view.getBigUint64(at, false)),
  };
}

/** A number that comes in 4 or 8 bytes, whichever it fits (`nla_put_uint`). */
export function uint(type: number): Field<number> {
  const [narrow, wide] = [u32(type), u64(type)];
  return {
    type,
    write: (w, value, path) => (value > 0xffffffff ? wide : narrow).write(w, value, path),
    read: (s, at, length) => (length < 8 ? narrow : wide).read(s, at, length),
  };
}

/** A boolean the kernel carries as a number in `field`. */
export function bool(field: Field<number>): Field<boolean> {
  return mapped(field, (value, path) => {
    return boolean(value, path) ? 1 : 0;
  }, (value) => value !== 0);
}

/** Presence is the value: an attribute without payload. Writing `false` writes nothing. */
export function flag(type: number): Field<boolean> {
  return {
    type,
    flag: true,
    write: () => {},
    read: () => true,
  };
}

/** One of a set of names for the numbers in `field`. A number without a name stays a number. */
export function named<const K extends string>(
  field: Field<number>,
  names: Readonly<Record<K, number>>,
): Field<K | number> {
  const byValue = new Map<number, K>();
  for (const name in names) byValue.set(names[name], name);
  return mapped(field, (value, path) => {
    if (typeof value === "number") return value;
    return wordValue(value, names, path);
  }, (value) => byValue.get(value) ?? value);
}

/** Another representation of what `field` carries. */
export function mapped<T, U>(
  field: Field<U>,
  encode: (value: T, path: string) => U,
  decode: (value: U) => T,
): Field<T> {
  return {
    type: field.type,
    write: (w, value, path) => field.write(w, encode(value, path), path),
    read: (s, at, length) => decode(field.read(s, at, length)),
  };
}

const decoder = new TextDecoder();

/** Reads text up to a NUL or the end. Names are ASCII nearly always, and short: a loop is fastest. */
export function readText({ bytes }: Source, at: number, length: number): string {
  let text = "";
  for (let i = at; i < at + length; i++) {
    const byte = bytes[i]!;
    if (byte === 0) return text;
    if (byte > 127) {
      const end = bytes.indexOf(0, i);
      return decoder.decode(
        bytes.subarray(at, end < 0 || end > at + length ? at + length : end),
      );
    }
    text += String.fromCharCode(byte);
  }
  return text;
}

/** Text with a closing NUL; `max` is the limit in bytes without it. */
export function text(type: number, max = 0xfff0): Field<string> {
  return {
    type,
    write: (w, value, path) => {
      if (typeof value !== "string" || value.includes("\0")) {
        throw new TypeError(
          `${path} must be text without NUL: got ${show(value)}`,
        );
      }
      const written = w.text(value);
      if (written > max) {
        throw new RangeError(
          `${path} must have at most ${max} bytes: ${show(value)} has ${written}`,
        );
      }
      w.reserve(1);
    },
    read: readText,
  };
}

/** Bytes as they are; read as a copy. */
export function binary(type: number): Field<Uint8Array> {
  return {
    type,
    write: (w, value, path) => {
      if (!(value instanceof Uint8Array)) {
        throw new TypeError(`${path} must be bytes: got ${show(value)}`);
      }
      w.append(value);
    },
    read: (s, at, length) => s.bytes.slice(at, at + length),
  };
}

/** A C struct of fixed layout. Structs grow with kernels: `read` sees missing bytes as zeros. */
export function struct<T>(
  type: number,
  size: number,
  write: (view: DataView, at: number, value: T, path: string) => void,
  read: (view: DataView, at: number) => T,
): Field<T> {
  return {
    type,
    write: (w, value, path) => {
      const at = w.reserve(size);
      write(w.view, at, value, path);
    },
    read: (s, at, length) => {
      if (length >= size) return read(s.view, at);
      const padded = new Uint8Array(size);
      padded.set(s.bytes.subarray(at, at + length));
      return read(new DataView(padded.buffer), 0);
    },
  };
}

/** A nest holding any number of attributes of one type: each element is one. */
export function list<T>(type: number, element: Field<T>): Field<T[]> {
  return {
    type,
    nested: true,
    write: (w, values, path) => {
      values.forEach((value, i) => writeAttribute(w, element, value, `${path}[${i}]`));
    },
    read: (s, at, length) => {
      const values: T[] = [];
      forEachAttribute(s, at, at + length, (_, from, size) => {
        values.push(element.read(s, from, size));
      });
      return values;
    },
  };
}

/** Writes one attribute: header, payload, padding. */
export function writeAttribute<T>(w: Writer, field: Field<T>, value: T, path: string): void {
  const at = w.begin(field.nested ? field.type | NLA_F.NESTED : field.type);
  field.write(w, value, path);
  w.end(at);
}

/**
 * Calls `visit(type, at, length)` for the payload of each attribute between two offsets: the one walk
 * over attributes. Throws {@link NetlinkDecodeError} where one is longer than what is left.
 */
export function forEachAttribute(
  { view }: Source,
  start: number,
  end: number,
  visit: (type: number, at: number, length: number) => void,
  prefix = "",
): void {
  if (start > end) {
    throw new NetlinkDecodeError(
      `Cannot read ${prefix && `${prefix}* `}attributes: the header ahead is ${
        start - end
      } bytes short`,
    );
  }
  for (let at = start; at + 4 <= end;) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > end) {
      throw new NetlinkDecodeError(
        `Cannot read ${prefix && `${prefix}* `}attributes: one claims ${length} of ${
          end - at
        } bytes`,
      );
    }
    visit(view.getUint16(at + 2, true) & NLA_TYPE_MASK, at + 4, length - 4);
    at += (length + 3) & ~3;
  }
}
