/**
 * Changes of headers: `ip dscp set cs1`, `tcp dport set 80`; as expressions, and as words of `nft`.
 *
 * @module
 */
import type { DataType, Value } from "./datatypes.ts";
import type { Expression, KnownExpression } from "./expressions/mod.ts";
import { valueWords } from "./match.ts";
import { type Layer, type Selector, type SelectorName, SELECTORS } from "./selectors.ts";
import { sameBytes } from "./span.ts";

/** A field of a header: the bytes that have it, and its bits in them. */
interface Field {
  readonly word: SelectorName;
  readonly type: DataType;
  readonly layer?: Layer;
  readonly base: "link" | "network" | "transport";
  readonly offset: number;
  readonly mask: Uint8Array;
}

/** Checksums that the kernel corrects with a change: where the header has them. */
const CHECKSUMS: Readonly<Partial<Record<Layer, number>>> = {
  ip: 10,
  icmp: 2,
  icmpv6: 2,
  tcp: 16,
  udp: 6,
  udplite: 6,
};
/** As the checksum of IP (`NFT_PAYLOAD_CSUM_INET`). */
const INET = 1;
/** The checksum of the transport header covers the field, too (`NFT_PAYLOAD_L4CSUM_PSEUDOHDR`). */
const PSEUDO_HEADER = 1;

const SUFFIX = " set";

/** The field of a word: `ip dscp set`; `undefined` for any other word. */
export function fieldOf(word: string): Field | undefined {
  if (!word.endsWith(SUFFIX)) return undefined;
  const name = word.slice(0, -SUFFIX.length);
  if (!Object.hasOwn(SELECTORS, name)) return undefined;
  const { load, type, layer, mask }: Selector = SELECTORS[name as SelectorName];
  if (load.name !== "payload" || typeof load.data.base === "number") return undefined;
  return {
    word: name as SelectorName,
    type,
    ...(layer && { layer }),
    base: load.data.base as Field["base"],
    offset: load.data.offset,
    mask: mask ?? new Uint8Array(type.size).fill(0xff),
  };
}

/**
 * The expressions that set a field.
 *
 * @param field The field.
 * @param value The value as bytes of its type.
 */
function stepsOf({ word, layer, base, offset, mask }: Field, value: Uint8Array): KnownExpression[] {
  const checksum = layer && CHECKSUMS[layer];
  // A checksum is that of words of two bytes.
  const before = checksum === undefined ? 0 : offset % 2;
  const after = checksum === undefined ? 0 : (before + mask.length) % 2;
  const whole = Uint8Array.of(...new Uint8Array(before), ...mask, ...new Uint8Array(after));
  const data = Uint8Array.of(...new Uint8Array(before), ...value, ...new Uint8Array(after));
  const place = { base, offset: offset - before, len: whole.length };
  const address = word.endsWith("saddr") || word.endsWith("daddr");
  const write: KnownExpression = {
    name: "payload",
    data: {
      ...place,
      sreg: 1,
      csumType: checksum === undefined ? 0 : INET,
      csumOffset: checksum ?? 0,
      csumFlags: base === "network" && address ? PSEUDO_HEADER : 0,
    },
  };
  if (whole.every((byte) => byte === 0xff)) {
    return [{ name: "immediate", data: { dreg: 1, data } }, write];
  }
  const kept = whole.map((byte) => ~byte);
  return [
    { name: "payload", data: { ...place, dreg: 1 } },
    { name: "bitwise", data: { sreg: 1, dreg: 1, len: whole.length, mask: kept, xor: data } },
    write,
  ];
}

/**
 * Compiles a change of a header.
 *
 * @throws {TypeError} For a malformed value.
 * @throws {RangeError} For one out of range.
 */
export function compileField(field: Field, value: Value, path: string): Expression[] {
  return stepsOf(field, field.type.parse(value, path));
}

/** A change of a header in a line of `nft`. */
export function fieldWords({ word, type }: Field, value: Value): string {
  return `${word}${SUFFIX} ${valueWords(value, type)}`;
}

/** Fields by their words. */
const FIELDS: readonly Field[] = Object.keys(SELECTORS)
  .map((name) => fieldOf(name + SUFFIX)).filter((it) => it !== undefined);

/** Reads a change of a header, of the expressions that begin with it. */
export function readField(
  steps: readonly Expression[],
  fits: (layer: Layer) => boolean,
): { readonly word: string; readonly value: Value; readonly steps: number } | undefined {
  const write = steps.findIndex((it) => it.name === "payload" && it.data.sreg !== undefined);
  if (write !== 1 && write !== 2) return undefined;
  const given = steps.slice(0, write + 1);
  const source = given[write - 1]!;
  const bytes = source.name === "immediate"
    ? source.data.data
    : source.name === "bitwise"
    ? source.data.xor
    : undefined;
  if (!(bytes instanceof Uint8Array)) return undefined;
  const { offset } = (given[write] as KnownExpression & { name: "payload" }).data;
  for (const field of FIELDS) {
    if (field.layer && !fits(field.layer)) continue;
    const at = field.offset - offset;
    if (at < 0 || at > 1) continue;
    const value = bytes.slice(at, at + field.mask.length);
    if (value.length !== field.type.size) continue;
    const own = stepsOf(field, value);
    if (own.length === given.length && own.every((step, i) => isSame(step, given[i]!))) {
      return { word: field.word + SUFFIX, value: field.type.format(value), steps: given.length };
    }
  }
  return undefined;
}

/** Whether a step of the kernel is that of a field: it has defaults that were not given. */
function isSame({ name, data }: Expression, given: Expression): boolean {
  if (given.name !== name) return false;
  const [own, other] = [data, given.data] as unknown as Record<string, unknown>[];
  return Object.entries(own!).every(([key, value]) => {
    const there = other![key];
    return value instanceof Uint8Array
      ? there instanceof Uint8Array && sameBytes(value, there)
      : (there ?? 0) === value;
  });
}
