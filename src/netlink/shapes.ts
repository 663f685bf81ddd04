/**
 * Reading many attribute sets fast. The entries of a dump mostly have the same attributes in the same
 * order, and mostly the same values. V8 takes 30 ns to store a value under a computed key, more while
 * the object grows; a copy of an earlier set has all the keys, and only what differs is stored.
 *
 * @module
 */
import type { Field } from "./attribute.ts";
import type { Source } from "./bytes.ts";
import { NLA_TYPE_MASK } from "./constants.ts";

/** Sets with fewer attributes are read as fast one by one. */
const LEAST = 8;
/** How many sequences of attributes a schema remembers. */
const MOST = 16;
/** How many sets a schema reads one by one before it does: learning from few costs more than it gives. */
const PLAIN = 32;

/** What a schema knows of an attribute type. `null`: to be skipped; `undefined`: nothing. */
export type Entry = { readonly key: string; readonly field: Field<unknown> } | null | undefined;

/** Reads a set; `first` is what it has ahead of the attributes. */
export type ReadSet<T> = (source: Source, start: number, end: number, first?: Partial<T>) => T;

/** Keeps an attribute that the schema does not know: its payload is `length` bytes at `at`. */
export type KeepUnknown = (
  set: object,
  type: number,
  source: Source,
  at: number,
  length: number,
) => void;

/** A sequence of attributes, and a set read from one. */
interface Shape {
  readonly types: readonly number[];
  readonly keys: readonly string[];
  readonly fields: readonly Field<unknown>[];
  readonly first: object | undefined;
  readonly model: Readonly<Record<string, unknown>>;
  /** The values in the model, in the order of the attributes. */
  readonly values: readonly unknown[];
}

/**
 * A reader that remembers sequences of attributes.
 *
 * @param entries What the schema knows, by attribute type.
 * @param readPlain Reads attribute by attribute: what is new, small or malformed.
 * @param keepUnknown What becomes of unknown attributes.
 */
export function shapedReader<T extends object>(
  entries: readonly Entry[],
  readPlain: ReadSet<T>,
  keepUnknown: KeepUnknown,
): ReadSet<T> {
  if (entries.filter((entry) => entry).length < LEAST) return readPlain;
  const shapes: Shape[] = [];
  let last: Shape | undefined;
  let plain = 0;

  /** The types of the known attributes; none when they are malformed. */
  const typesOf = ({ view }: Source, start: number, end: number): number[] => {
    const types: number[] = [];
    for (let at = start; at + 4 <= end;) {
      const length = view.getUint16(at, true);
      if (length < 4 || at + length > end) return [];
      const type = view.getUint16(at + 2, true) & NLA_TYPE_MASK;
      if (entries[type]) types.push(type);
      at += (length + 3) & ~3;
    }
    return types;
  };

  const find = (types: readonly number[], first: object | undefined): Shape | undefined =>
    shapes.find((shape) =>
      shape.first === first && shape.types.length === types.length &&
      shape.types.every((type, i) => type === types[i])
    );

  const learn = (types: readonly number[], set: T, first: object | undefined): void => {
    const known = types.map((type) => entries[type]!);
    const keys = known.map(({ key }) => key);
    if (new Set(keys).size < keys.length) return;
    // Parsed: V8 gives such an object room for all its properties, added ones go to a list beside it.
    const blank = Object.keys(set).map((key) => [key, null]);
    const model = JSON.parse(JSON.stringify(Object.fromEntries(blank)));
    for (const key in model) model[key] = set[key as keyof T];
    const fields = known.map(({ field }) => field);
    shapes.push({ types, keys, fields, first, model, values: keys.map((key) => model[key]) });
  };

  /** Reads a set as one of `shape`; `undefined` when its attributes are others. */
  const readAs = (shape: Shape, source: Source, start: number, end: number): T | undefined => {
    const { types, keys, fields, values } = shape;
    const { view } = source;
    const set = { ...shape.model };
    let i = 0;
    for (let at = start; at + 4 <= end;) {
      const length = view.getUint16(at, true);
      if (length < 4 || at + length > end) return undefined;
      const type = view.getUint16(at + 2, true) & NLA_TYPE_MASK;
      if (type === types[i]) {
        const value = fields[i]!.read(source, at + 4, length - 4);
        if (value !== values[i]) set[keys[i]!] = value;
        i++;
      } else {
        const entry = entries[type];
        if (entry) return undefined;
        if (entry === undefined) keepUnknown(set, type, source, at + 4, length - 4);
      }
      at += (length + 3) & ~3;
    }
    return i === types.length ? set as T : undefined;
  };

  return (source, start, end, first) => {
    if (plain < PLAIN) {
      plain++;
      return readPlain(source, start, end, first);
    }
    // Mostly it is the same sequence again: seeing that while reading saves looking for it.
    const again = last && last.first === first ? readAs(last, source, start, end) : undefined;
    if (again) return again;
    const types = typesOf(source, start, end);
    last = find(types, first);
    if (last) return readAs(last, source, start, end)!;
    const set = readPlain(source, start, end, first);
    if (types.length >= LEAST && shapes.length < MOST) learn(types, set, first);
    return set;
  };
}
