/**
 * Sets and maps as a person writes them, and as the wire has them.
 *
 * @module
 */
import { checkOptions, integer, nearest, type OptionNames, show } from "../options.ts";
import { NFT_SET, NFT_SET_ELEM } from "./constants.ts";
import type { Data, Verdict, VerdictData, VerdictWord } from "./data.ts";
import { type DataType, numberBytes, SET_TYPES, type Value } from "./datatypes.ts";
import type { ElementMessage, SetMessage } from "./set.ts";
import {
  compareBytes,
  formatSpan,
  nextBytes,
  parseSpan,
  previousBytes,
  sameBytes,
  type Span,
} from "./span.ts";
import {
  commentEntry,
  commentIn,
  readUserdata,
  SET_COMMENT,
  SET_DATA_BYTEORDER,
  SET_KEY_BYTEORDER,
  writeUserdata,
} from "./userdata.ts";

/** A key of a set: a value, a prefix or a range; of a concatenation one for each part. */
export type ElementKey = Value | readonly Value[];

/** An element of a set or map with more than its key. */
export interface ElementEntry {
  /** Its key. */
  readonly key: ElementKey;
  /** The value of a map: a value, or a verdict. */
  readonly value?: Value;
  /** Seconds that it stays. */
  readonly timeout?: number;
  /** Seconds that it still stays. */
  readonly expires?: number;
  /** Text for people. */
  readonly comment?: string;
}

/** An element: its key, or its key with more. */
export type Element = ElementKey | ElementEntry;

/** Features of a set: ranges, elements that expire, no changes, additions by rules. */
export type SetFlag = "interval" | "timeout" | "constant" | "dynamic";

/** A set or map of a table. */
export interface SetEntry {
  /** Its name. */
  readonly name: string;
  /** The type of its keys: `ipv4_addr`, or several as `ipv4_addr . inet_service`. */
  readonly type: string;
  /** Makes it a map: the type of its values, or `verdict`. */
  readonly map?: string;
  /** Its features. Default: `interval` if an element is a prefix or range, otherwise none. */
  readonly flags?: readonly SetFlag[];
  /** Seconds that elements stay. */
  readonly timeout?: number;
  /** The most elements. */
  readonly size?: number;
  /** Its elements. */
  readonly elements?: readonly Element[];
  /** Text for people. */
  readonly comment?: string;
}

/** The names of a set's options. */
export const SET_ENTRY: OptionNames<SetEntry> = {
  name: true,
  type: true,
  map: true,
  flags: true,
  timeout: true,
  size: true,
  elements: true,
  comment: true,
};

const ELEMENT: OptionNames<ElementEntry> = {
  key: true,
  value: true,
  timeout: true,
  expires: true,
  comment: true,
};

const FLAGS: Readonly<Record<SetFlag, number>> = {
  constant: NFT_SET.CONSTANT,
  interval: NFT_SET.INTERVAL,
  timeout: NFT_SET.TIMEOUT,
  dynamic: NFT_SET.EVAL,
};

/** `NFT_DATA_VERDICT`: the type of verdicts in a map. */
export const VERDICT_TYPE = 0xffffff00;
/** Bits of the number of each part's type in that of a concatenation. */
const TYPE_BITS = 6;

const padded = (size: number): number => (size + 3) & ~3;

/** The types of a key, by their names. */
export function keyTypes(type: unknown, path = "type"): DataType[] {
  if (typeof type !== "string") throw new TypeError(`${path} must be a type: got ${show(type)}`);
  return type.split(/\s*\.\s*/).map((name) => {
    if (Object.hasOwn(SET_TYPES, name)) return SET_TYPES[name]!;
    const names = Object.keys(SET_TYPES);
    const near = nearest(name, names);
    throw new TypeError(
      `${path} must be of ${names.map(show).join(", ")}, several with " . " between them: got ${
        show(type)
      }` + (near === undefined ? "" : `; did you mean ${show(near)}?`),
    );
  });
}

/** The types of a key, by its number; `undefined` when one is unknown. */
export function keyTypesOf(number: number): DataType[] | undefined {
  const types: DataType[] = [];
  const known = Object.values(SET_TYPES);
  for (let rest = number; rest > 0; rest = Math.floor(rest / (1 << TYPE_BITS))) {
    const part = known.find(({ number }) => number === rest % (1 << TYPE_BITS));
    if (!part) return undefined;
    types.unshift(part);
  }
  return types.length > 0 ? types : undefined;
}

/** The number of the type of a key, as `nft` has it. */
export const typeNumber = (types: readonly DataType[]): number =>
  types.reduce((all, { number }) => all * (1 << TYPE_BITS) + number, 0);

/** Bytes of a key. */
export const keyLength = (types: readonly DataType[]): number =>
  types.length === 1 ? types[0]!.size : types.reduce((sum, { size }) => sum + padded(size), 0);

/** The byte order as `nft` keeps it: 1 is the machine's, 2 the network's. */
export const orderEntry = (order: DataType["order"]): Uint8Array =>
  numberBytes(order === "host" ? 1 : 2, { size: 4, order: "host" });

function joinKey(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + padded(part.length), 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += padded(part.length);
  }
  return bytes;
}

function splitKey(bytes: Uint8Array, types: readonly DataType[]): Uint8Array[] {
  let at = 0;
  return types.map(({ size }) => {
    const part = bytes.slice(at, at + size);
    at += padded(size);
    return part;
  });
}

/** The first and the last key of an element; of a concatenation those of each part, joined. */
export function keySpan(key: ElementKey, types: readonly DataType[], path: string): Span {
  const parts = Array.isArray(key) ? key as readonly Value[] : [key as Value];
  if (parts.length !== types.length) {
    throw new TypeError(`${path} must have ${types.length} parts: got ${show(key)}`);
  }
  const spans = parts.map((part, i) =>
    parseSpan(part, types[i]!, types.length > 1 ? `${path}[${i}]` : path)
  );
  return { from: joinKey(spans.map(({ from }) => from)), to: joinKey(spans.map(({ to }) => to)) };
}

/** Whether an element has more than a key. */
export const isEntry = (element: Element): element is ElementEntry =>
  typeof element === "object" && element !== null && !Array.isArray(element);

/** Whether a span has several values. */
export const isRange = ({ from, to }: Span): boolean => !sameBytes(from, to);

function mapData(value: Value, map: string, path: string): Data {
  if (map !== "verdict") {
    const [type] = keyTypes(map, "map");
    return type!.parse(value, path);
  }
  const [, word = "", chain] = /^(accept|drop|continue|return|(?:jump|goto)(?= .))(?: (.+))?$/
    .exec(String(value)) ?? [];
  if (word === "") throw new TypeError(`${path} must be a verdict: got ${show(value)}`);
  return { verdict: word as VerdictWord, ...(chain === undefined ? {} : { chain }) };
}

/** Milliseconds of a time in seconds. */
function milliseconds(seconds: number, path: string): number {
  return integer(Math.round(Number(seconds) * 1000), path, 1, Number.MAX_SAFE_INTEGER);
}

/** The properties of a set that its elements are read and written with. */
export interface ElementContext {
  /** The types of a key. */
  readonly types: readonly DataType[];
  /** It has ranges. */
  readonly interval: boolean;
  /** The type of a map's values, or `verdict`. */
  readonly map?: string | undefined;
}

/** Ranges without a concatenation are two elements: the first key, and the one after the last. */
export function rangeElements(span: Span, message: ElementMessage): ElementMessage[] {
  const after = nextBytes(span.to);
  const end = after ? [{ key: after, flags: NFT_SET_ELEM.INTERVAL_END }] : [];
  return [{ ...message, key: span.from }, ...end];
}

/** Refuses a map that has two values for a key: the kernel would not say for which one. */
function checkKeys(
  elements: readonly Element[],
  { types, interval }: ElementContext,
  at: string,
): void {
  const keyOf = (i: number) => {
    const element = elements[i]!;
    return isEntry(element) ? element.key : element;
  };
  const spans = elements.map((_, i) => ({ i, ...keySpan(keyOf(i), types, `${at}[${i}]`) }))
    .toSorted((a, b) => compareBytes(a.from, b.from) || compareBytes(a.to, b.to));
  for (const [n, b] of spans.entries()) {
    const a = spans[n - 1];
    if (!a || compareBytes(b.from, a.to) > 0) continue;
    const equal = sameBytes(a.from, b.from) && sameBytes(a.to, b.to);
    // The parts of a concatenation of ranges overlap each for itself.
    if (!equal && interval && types.length > 1) continue;
    if (equal && valueOf(elements[a.i]!) === valueOf(elements[b.i]!)) continue;
    const [first, second] = a.i < b.i ? [a.i, b.i] : [b.i, a.i];
    throw new TypeError(
      `${at}[${second}].key must have one value in the map: got ${show(keyOf(second))}, and ` +
        `${at}[${first}].key is ${show(keyOf(first))}`,
    );
  }
}

const valueOf = (element: Element): unknown => isEntry(element) ? element.value : undefined;

/**
 * Elements as the wire has them.
 *
 * @param elements The elements.
 * @param context The set.
 * @param at The place of the elements, for errors.
 * @throws {TypeError} For malformed ones.
 * @throws {RangeError} For values out of range.
 */
export function encodeElements(
  elements: readonly Element[],
  { types, interval, map }: ElementContext,
  at = "elements",
): ElementMessage[] {
  if (map !== undefined) checkKeys(elements, { types, interval }, at);
  return elements.flatMap((element, i) => {
    const path = `${at}[${i}]`;
    if (isEntry(element)) checkOptions(element, ELEMENT, path);
    const entry: ElementEntry = isEntry(element) ? element : { key: element };
    const span = keySpan(entry.key, types, path);
    const { value, timeout, expires, comment } = entry;
    if ((value === undefined) !== (map === undefined)) {
      throw new TypeError(
        map === undefined
          ? `${path}.value must not be there: the set is no map`
          : `${path}.value is required: the set is a map`,
      );
    }
    const userdata = writeUserdata({ 0: commentEntry(comment, `${path}.comment`) });
    const message: ElementMessage = {
      ...(value === undefined ? {} : { data: mapData(value, map!, `${path}.value`) }),
      ...(timeout === undefined ? {} : { timeout: milliseconds(timeout, `${path}.timeout`) }),
      ...(expires === undefined ? {} : { expiration: milliseconds(expires, `${path}.expires`) }),
      ...(userdata ? { userdata } : {}),
    };
    if (!interval) {
      if (isRange(span)) {
        throw new TypeError(
          `${path} must be a single value: the set lacks the flag "interval", got ${
            show(entry.key)
          }`,
        );
      }
      return [{ ...message, key: span.from }];
    }
    if (types.length > 1) return [{ ...message, key: span.from, keyEnd: span.to }];
    return rangeElements(span, message);
  });
}

/** Checks a set's entry, and gives its attributes and the context of its elements. */
export function encodeSet(entry: SetEntry): { set: SetMessage; context: ElementContext } {
  const { type, map, flags, timeout, size, elements = [], comment } = entry;
  const types = keyTypes(type);
  const spans = elements.map((it, i) =>
    keySpan(isEntry(it) ? it.key : it, types, `elements[${i}]`)
  );
  const words = flags ?? (spans.some(isRange) ? ["interval" as const] : []);
  let bits = timeout === undefined ? 0 : NFT_SET.TIMEOUT;
  for (const word of words) bits |= flagBit(word);
  const interval = (bits & NFT_SET.INTERVAL) !== 0;
  if (interval && types.length === 1 && types[0]!.order === "host") {
    throw new TypeError(`flags must not have "interval" with the type ${show(type)}`);
  }
  const value = map === undefined || map === "verdict" ? undefined : keyTypes(map, "map");
  if (value && value.length > 1) throw new TypeError(`map must be one type: got ${show(map)}`);
  const fields = interval && types.length > 1
    ? { concat: types.map(({ size }) => ({ len: size })) }
    : undefined;
  const userdata = writeUserdata({
    [SET_KEY_BYTEORDER]: orderEntry(types.length === 1 ? types[0]!.order : "network"),
    [SET_DATA_BYTEORDER]: value && orderEntry(value[0]!.order),
    [SET_COMMENT]: commentEntry(comment),
  })!;
  return {
    context: { types, interval, map },
    set: {
      flags: bits | (map === undefined ? 0 : NFT_SET.MAP) | (fields ? NFT_SET.CONCAT : 0),
      keyType: typeNumber(types),
      keyLen: keyLength(types),
      ...(map === undefined ? {} : {
        dataType: value ? value[0]!.number : VERDICT_TYPE,
        dataLen: value ? value[0]!.size : 16,
      }),
      ...(size === undefined && !fields ? {} : {
        desc: {
          ...(size === undefined ? {} : { size: integer(size, "size", 1, 0xffffffff) }),
          ...fields,
        },
      }),
      ...(timeout === undefined ? {} : { timeout: milliseconds(timeout, "timeout") }),
      userdata,
    },
  };
}

function flagBit(flag: SetFlag): number {
  if (Object.hasOwn(FLAGS, flag)) return FLAGS[flag];
  throw new TypeError(
    `flags must be of ${Object.keys(FLAGS).map(show).join(", ")}: got ${show(flag)}`,
  );
}

/** The context of the elements of a set that was read; `undefined` if netloom does not know a type. */
export function elementContext(set: SetMessage): ElementContext | undefined {
  const { keyType = 0, dataType, flags = 0 } = set;
  const types = keyTypesOf(keyType);
  const value = dataType === undefined || !(flags & NFT_SET.MAP)
    ? undefined
    : dataType === VERDICT_TYPE
    ? "verdict"
    : keyTypesOf(dataType)?.[0]?.name;
  if (!types || ((flags & NFT_SET.MAP) !== 0 && value === undefined)) return undefined;
  return { types, interval: (flags & NFT_SET.INTERVAL) !== 0, map: value };
}

function formatKey(from: Uint8Array, to: Uint8Array, types: readonly DataType[]): ElementKey {
  if (types.length === 1) return formatSpan({ from, to }, types[0]!);
  const [first, last] = [splitKey(from, types), splitKey(to, types)];
  return types.map((type, i) => formatSpan({ from: first[i]!, to: last[i]! }, type));
}

function formatData(data: Data, map: string | undefined): Value {
  if (!(data instanceof Uint8Array)) return verdictText(data);
  return SET_TYPES[map!]!.format(data);
}

/** A verdict by the words of `nft`. */
export function verdictText({ verdict, chain }: VerdictData): Verdict {
  return (chain === undefined ? String(verdict) : `${verdict} ${chain}`) as Verdict;
}

/** The first and the last key of each element: two of the wire make one range. */
function* ranges(
  elements: readonly ElementMessage[],
  size: number,
): Generator<{ message: ElementMessage; from: Uint8Array; to: Uint8Array }> {
  const ends = (it: ElementMessage) => ((it.flags ?? 0) & NFT_SET_ELEM.INTERVAL_END) !== 0;
  const sorted = elements.filter(({ key }) => key).toSorted((a, b) =>
    compareBytes(a.key!, b.key!) || Number(ends(b)) - Number(ends(a))
  );
  for (const [i, message] of sorted.entries()) {
    if (ends(message)) continue;
    const after = sorted[i + 1];
    const to = after ? previousBytes(after.key!) : new Uint8Array(size).fill(0xff);
    yield { message, from: message.key!, to };
  }
}

/** The order of `nft`: of the numbers that the keys are. */
function byKey(types: readonly DataType[]): (a: ElementMessage, b: ElementMessage) => number {
  const host = types.length === 1 && types[0]!.order === "host";
  const number = ({ key }: ElementMessage) => host ? key!.toReversed() : key!;
  return (a, b) => compareBytes(number(a), number(b));
}

/** Elements as a person writes them. */
export function decodeElements(
  elements: readonly ElementMessage[],
  { types, interval, map }: ElementContext,
): Element[] {
  const spans = interval && types.length === 1
    ? [...ranges(elements, types[0]!.size)]
    : elements.toSorted(byKey(types)).map((message) => ({
      message,
      from: message.key!,
      to: message.keyEnd ?? message.key!,
    }));
  return spans.map(({ message, from, to }) => {
    const key = formatKey(from, to, types);
    const { data, timeout, expiration, userdata } = message;
    const comment = commentIn(userdata);
    const more = {
      ...(data === undefined ? {} : { value: formatData(data, map) }),
      ...(timeout === undefined ? {} : { timeout: timeout / 1000 }),
      ...(expiration === undefined ? {} : { expires: expiration / 1000 }),
      ...(comment === undefined ? {} : { comment }),
    };
    return Object.keys(more).length > 0 ? { key, ...more } : key;
  });
}

/** Whether {@link decodeElements} keeps all that the elements have. */
export function knowsElements(elements: readonly ElementMessage[]): boolean {
  return elements.every(({ expr, expressions, objref, flags = 0, userdata }) =>
    !expr && !expressions && objref === undefined && !(flags & NFT_SET_ELEM.CATCHALL) &&
    [...readUserdata(userdata).keys()].every((key) => key === 0)
  );
}

/** A set's entry without its elements, of its attributes. */
export function decodeSet(set: SetMessage, { types, map }: ElementContext): SetEntry {
  const { name = "", flags = 0, timeout, desc, userdata } = set;
  const words = (Object.keys(FLAGS) as SetFlag[]).filter((word) =>
    flags & FLAGS[word] && !(word === "timeout" && timeout !== undefined)
  );
  const comment = commentIn(userdata, SET_COMMENT);
  return {
    name,
    type: types.map(({ name }) => name).join(" . "),
    ...(map === undefined ? {} : { map }),
    ...(words.length > 0 ? { flags: words } : {}),
    ...(timeout === undefined ? {} : { timeout: timeout / 1000 }),
    ...(desc?.size === undefined ? {} : { size: desc.size }),
    ...(comment === undefined ? {} : { comment }),
  };
}

/** A key in a line of `nft`. */
function keyWords(key: ElementKey): string {
  return Array.isArray(key) ? key.join(" . ") : String(key);
}

/** An element in a line of `nft`. */
export function elementWords(element: Element): string {
  if (!isEntry(element)) return keyWords(element);
  const { key, value, timeout, expires, comment } = element;
  return keyWords(key) + (timeout === undefined ? "" : ` timeout ${timeout}s`) +
    (expires === undefined ? "" : ` expires ${expires}s`) +
    (comment === undefined ? "" : ` comment "${comment}"`) +
    (value === undefined ? "" : ` : ${value}`);
}

/** The properties of a set in a line of `nft`: the words between its braces, without elements. */
export function setWords({ type, map, flags = [], timeout, size, comment }: SetEntry): string {
  return `type ${type}${map === undefined ? "" : ` : ${map}`};` +
    (flags.length > 0 ? ` flags ${flags.join(", ")};` : "") +
    (timeout === undefined ? "" : ` timeout ${timeout}s;`) +
    (size === undefined ? "" : ` size ${size};`) +
    (comment === undefined ? "" : ` comment "${comment}";`);
}
