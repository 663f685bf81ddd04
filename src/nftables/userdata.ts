/**
 * Data of `nft` that the kernel keeps with objects: comments, and how it prints sets (`libnftnl/udata.h`).
 *
 * @module
 */

/** Types of the data of a table, chain or rule: only the comment is read. */
const COMMENT = 0;
/** The byte order of the keys of a set. */
export const SET_KEY_BYTEORDER = 0;
/** The byte order of the values of a map. */
export const SET_DATA_BYTEORDER = 1;
/** The comment of a set. */
export const SET_COMMENT = 7;

/** The most bytes of a comment with its closing NUL, as `nft` allows. */
const MOST = 128;

/** The entries by type: each is a type, a length, and bytes. */
export function readUserdata(bytes: Uint8Array | undefined): Map<number, Uint8Array> {
  const entries = new Map<number, Uint8Array>();
  for (let at = 0; bytes && at + 2 <= bytes.length; at += 2 + bytes[at + 1]!) {
    entries.set(bytes[at]!, bytes.subarray(at + 2, at + 2 + bytes[at + 1]!));
  }
  return entries;
}

/** The text of an entry. */
export function commentIn(
  bytes: Uint8Array | undefined,
  type: number = COMMENT,
): string | undefined {
  const entry = readUserdata(bytes).get(type);
  return entry && new TextDecoder().decode(entry.subarray(0, -1));
}

/** Entries as bytes; those that are `undefined` are left out. */
export function writeUserdata(
  entries: Readonly<Record<number, Uint8Array | undefined>>,
): Uint8Array | undefined {
  const bytes: number[] = [];
  for (const [type, entry] of Object.entries(entries)) {
    if (entry) bytes.push(Number(type), entry.length, ...entry);
  }
  return bytes.length > 0 ? Uint8Array.from(bytes) : undefined;
}

/**
 * A comment as an entry.
 *
 * @throws {TypeError} For a value that is no text.
 * @throws {RangeError} For one longer than 127 bytes.
 */
export function commentEntry(comment: unknown, path = "comment"): Uint8Array | undefined {
  if (comment === undefined) return undefined;
  if (typeof comment !== "string" || comment.includes("\0")) {
    throw new TypeError(`${path} must be text without NUL: got ${JSON.stringify(comment)}`);
  }
  const bytes = new TextEncoder().encode(`${comment}\0`);
  if (bytes.length <= MOST) return bytes;
  throw new RangeError(`${path} must have at most ${MOST - 1} bytes: got ${bytes.length - 1}`);
}

/** A comment as the data of a table, chain or rule. */
export function commentData(comment: unknown, path?: string): Uint8Array | undefined {
  return writeUserdata({ [COMMENT]: commentEntry(comment, path) });
}

/** Whether the data has nothing but a comment. */
export function onlyComment(bytes: Uint8Array | undefined, type: number = COMMENT): boolean {
  return [...readUserdata(bytes).keys()].every((key) => key === type);
}
