/**
 * Sets and maps without names, which are parts of rules.
 *
 * @module
 */
import { NFT_SET, NFT_SET_ELEM } from "./constants.ts";
import type { DataType } from "./datatypes.ts";
import type { ElementMessage, SetMessage } from "./set.ts";
import {
  type Element,
  encodeElements,
  isEntry,
  isRange,
  keyLength,
  keySpan,
  orderEntry,
  rangeElements,
  typeNumber,
  VERDICT_TYPE,
} from "./set_entry.ts";
import { compareBytes, nextBytes, type Span } from "./span.ts";
import { SET_KEY_BYTEORDER, writeUserdata } from "./userdata.ts";

/** A set or map of a rule. */
export type AnonymousSet =
  | {
    /** The type of its values. */
    readonly type: DataType;
    /** The values. */
    readonly spans: readonly Span[];
  }
  | {
    /** The types of the parts of a key. */
    readonly types: readonly DataType[];
    /** The keys, of a map with verdicts. */
    readonly elements: readonly Element[];
    /** It is a map of verdicts. */
    readonly map?: "verdict";
    /** The place of the elements, for errors. */
    readonly path: string;
  };

/** A set as the wire has it, with its elements. */
interface Encoded {
  readonly set: SetMessage;
  readonly elements: readonly ElementMessage[];
}

/**
 * Joins spans that overlap or follow each other, as `nft` does in sets without names: Linux 6.12 does not find
 * the first value of a range there that begins where another one ends.
 */
function joinSpans(spans: readonly Span[]): readonly Span[] {
  const joined: Span[] = [];
  for (const span of spans.toSorted((a, b) => compareBytes(a.from, b.from))) {
    const last = joined.at(-1);
    const after = last && nextBytes(last.to);
    if (!last || after && compareBytes(span.from, after) > 0) joined.push(span);
    else if (compareBytes(span.to, last.to) > 0) {
      joined[joined.length - 1] = { from: last.from, to: span.to };
    }
  }
  return joined;
}

/** The elements of a set of single values, prefixes and ranges. */
function encodeSpans(spans: readonly Span[]): ElementMessage[] {
  if (!spans.some(isRange)) return spans.map(({ from }) => ({ key: from }));
  return joinSpans(spans).flatMap((span) => rangeElements(span, {}));
}

/**
 * A set of a rule as the wire has it.
 *
 * @throws {TypeError} For malformed elements.
 * @throws {RangeError} For values out of range.
 */
export function encodeAnonymous(given: AnonymousSet): Encoded {
  if ("type" in given) {
    const { type, spans } = given;
    return encoded([type], spans.some(isRange), encodeSpans(spans));
  }
  const { types, elements, map, path } = given;
  const spans = elements.map((it, i) => keySpan(isEntry(it) ? it.key : it, types, `${path}[${i}]`));
  const interval = spans.some(isRange);
  const messages = encodeElements(elements, { types, interval, map }, path);
  return encoded(types, interval, types.length > 1 ? messages : withoutTouchingEnds(messages), map);
}

/** Where a range begins that follows another one, that needs no end. */
function withoutTouchingEnds(messages: readonly ElementMessage[]): readonly ElementMessage[] {
  const isEnd = ({ flags = 0 }: ElementMessage) => (flags & NFT_SET_ELEM.INTERVAL_END) !== 0;
  const starts = new Set(messages.filter((it) => !isEnd(it)).map(({ key }) => `${key}`));
  return messages.filter((it) => !isEnd(it) || !starts.has(`${it.key}`));
}

function encoded(
  types: readonly DataType[],
  interval: boolean,
  elements: readonly ElementMessage[],
  map?: "verdict",
): Encoded {
  const concat = interval && types.length > 1;
  const order = types.length === 1 ? types[0]!.order : "network";
  return {
    elements,
    set: {
      flags: NFT_SET.ANONYMOUS | NFT_SET.CONSTANT | (interval ? NFT_SET.INTERVAL : 0) |
        (map ? NFT_SET.MAP : 0) | (concat ? NFT_SET.CONCAT : 0),
      keyType: typeNumber(types),
      keyLen: keyLength(types),
      ...(map && { dataType: VERDICT_TYPE, dataLen: 16 }),
      desc: {
        size: elements.length,
        ...(concat && { concat: types.map(({ size }) => ({ len: size })) }),
      },
      userdata: writeUserdata({ [SET_KEY_BYTEORDER]: orderEntry(order) })!,
    },
  };
}
