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
  /** The known attributes of the last scan; a nested set of the same schema overwrites them. */
  const types: number[] = [];

  /** Collects the types of the known attributes. Returns how many; 0 when they are malformed. */
  const scan = ({ view }: Source, start: number, end: number): number => {
    let count = 0;
    for (let at = start; at + 4 <= end;) {
      const length = view.getUint16(at, true);
      if (length < 4 || at + length > end) return 0;
      const type = view.getUint16(at + 2, true) & NLA_TYPE_MASK;
      if (entries[type]) types[count++] = type;
      at += (length + 3) & ~3;
    }
    return count;
  };

  const find = (count: number, first: object | undefined): Shape | undefined => {
    next: for (const shape of shapes) {
      if (shape.types.length !== count || shape.first !== first) continue;
      for (let i = 0; i < count; i++) if (shape.types[i] !== types[i]) continue next;
      return shape;
    }
    return undefined;
  };

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

  return (source, start, end, first) => {
    const count = scan(source, start, end);
    const shape = count < LEAST ? undefined : find(count, first);
    if (!shape) {
      const sequence = types.slice(0, count);
      const set = readPlain(source, start, end, first);
      if (count >= LEAST && shapes.length < MOST) learn(sequence, set, first);
      return set;
    }
    const { keys, fields, values } = shape;
    const { view } = source;
    const set = { ...shape.model };
    for (let at = start, i = 0; at + 4 <= end;) {
      const length = view.getUint16(at, true);
      const type = view.getUint16(at + 2, true) & NLA_TYPE_MASK;
      if (type === shape.types[i]) {
        const value = fields[i]!.read(source, at + 4, length - 4);
        if (value !== values[i]) set[keys[i]!] = value;
        i++;
      } else if (entries[type] === undefined) {
        keepUnknown(set, type, source, at + 4, length - 4);
      }
      at += (length + 3) & ~3;
    }
    return set as T;
  };
}
