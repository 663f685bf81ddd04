/**
 * Attribute codecs that the message families share: addresses, names.
 *
 * @module
 */
import { type Field, text } from "../netlink/attribute.ts";
import { byteLength, type Writer } from "../netlink/bytes.ts";
import { formatIp, formatMac, parseIp, parseMac } from "../packet/address.ts";
import { show } from "../options.ts";

/** A hardware address as `02:00:00:00:00:01`; of any length when read, of six bytes when written. */
export function mac(type: number): Field<string> {
  return {
    type,
    write: (w, value, path) => w.append(inPath(path, () => parseMac(value))),
    read: (s, at, length) => formatMac(s.bytes, at, length),
  };
}

/** An IPv4 or IPv6 address as text. */
export function ip(type: number): Field<string> {
  return {
    type,
    write: (w, value, path) => w.append(inPath(path, () => parseIp(value))),
    read: (s, at, length) =>
      length === 4 || length === 16
        ? formatIp(s.bytes, at, length)
        : formatMac(s.bytes, at, length),
  };
}

/** A field the kernel reports and nobody sets in this set: writing it is a `TypeError` with `why`. */
export function readOnly<T>(field: Field<T>, why = "is read only"): Field<T> {
  return {
    ...field,
    write: (_writer, _value, path) => {
      throw new TypeError(`${path} ${why}`);
    },
  };
}

/** Writes a field's payload at `at`, into a fixed header that is reserved already. */
export function writeInHeader<T>(
  writer: Writer,
  at: number,
  field: Field<T>,
  value: T,
  path: string,
): void {
  const end = writer.length;
  field.write(writer, value, path);
  writer.bytes.copyWithin(at, end, writer.length);
  writer.length = end;
}

/** A link's name, checked by {@link checkLinkName}. */
export function linkName(type: number): Field<string> {
  const field = text(type);
  return { ...field, write: (w, value, path) => field.write(w, checkLinkName(value, path), path) };
}

/**
 * Checks a link's name as the kernel does: 1 to 15 bytes, no slash, colon or white space, not `.` or
 * `..`; and no `%`, which the kernel takes for a pattern when it stands before `d`.
 *
 * @throws {TypeError} When it is not a name.
 * @throws {RangeError} When it is too long.
 */
export function checkLinkName(name: string, path = "name"): string {
  if (typeof name !== "string" || !/^[^/:%\s\0]+$/.test(name) || name === "." || name === "..") {
    throw new TypeError(
      `${path} must be a link name, without "/", ":", "%" and white space: got ${show(name)}`,
    );
  }
  const bytes = byteLength(name);
  if (bytes > 15) {
    throw new RangeError(
      `${path} must have at most 15 bytes: ${show(name)} has ${bytes}`,
    );
  }
  return name;
}

/** An alternative name, checked by {@link checkAltName}. */
export function altName(type: number): Field<string> {
  const field = text(type);
  return { ...field, write: (w, value, path) => field.write(w, checkAltName(value, path), path) };
}

/**
 * Checks an alternative name as iproute2 does: 1 to 127 bytes, no slash or white space. The kernel
 * takes any text, also none, by which nobody could find the link.
 *
 * @throws {TypeError} When it is not a name.
 * @throws {RangeError} When it is too long.
 */
export function checkAltName(name: string, path = "name"): string {
  if (typeof name !== "string" || !/^[^/\s\0]+$/.test(name)) {
    throw new TypeError(
      `${path} must be a name without "/" and white space: got ${show(name)}`,
    );
  }
  const bytes = byteLength(name);
  if (bytes > 127) {
    throw new RangeError(`${path} must have at most 127 bytes: ${show(name)} has ${bytes}`);
  }
  return name;
}

/** Checks a link's index. */
export function checkIndex(index: number, path = "index"): number {
  if (!Number.isInteger(index)) {
    throw new TypeError(`${path} must be an integer: got ${show(index)}`);
  }
  if (index < 1 || index > 0x7fffffff) {
    throw new RangeError(`${path} must be in 1..2147483647: got ${index}`);
  }
  return index;
}

/** Names the option in the error of a parser. */
function inPath<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof TypeError) throw new TypeError(`${path}: ${error.message}`);
    throw error;
  }
}
