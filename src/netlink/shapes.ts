/**
 * Reading many attribute sets fast. The entries of a dump mostly have the same attributes in the same
 * order, and mostly the same values. So a set is compared with an earlier one, word by word: a copy of
 * that has all the keys and values, and only what differs is read and stored.
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
export const PLAIN = 32;

/** What a schema knows of an attribute type. `null`: to be skipped; `undefined`: nothing. */
export type Entry = { readonly key: string; readonly field: Field<unknown> } | null | undefined;

/** Reads a set; `first` is what it has ahead of the attributes. */
export type ReadSet<T> = (source: Source, start: number, end: number, first?: Partial<T>) => T;

/** A sequence of attributes with their lengths, and a set that was read from one. */
interface Shape {
  readonly first: object | undefined;
  readonly model: Readonly<Record<string, unknown>>;
  /** The words of the set that was read. */
  readonly words: Int32Array;
  /** Which of them to compare: the first one of each run, and the one after its last. */
  readonly runs: readonly number[];
  /** For each word: whose payload it is part of, as an index of `parts`; -1 for a header. */
  readonly owners: Int16Array;
  readonly parts: readonly Part[];
  /** Those that are objects, of which each set has its own. */
  readonly own: readonly Part[];
}

/** An attribute of a shape. */
interface Part {
  readonly key: string;
  readonly field: Field<unknown>;
  /** Where its payload begins, in bytes, and how long it is. */
  readonly at: number;
  readonly length: number;
  /** The word after it. */
  readonly end: number;
}

/**
 * A reader that remembers sequences of attributes.
 *
 * @param entries What the schema knows, by attribute type.
 * @param readPlain Reads attribute by attribute: what is new, small or malformed.
 */
export function shapedReader<T extends object>(
  entries: readonly Entry[],
  readPlain: ReadSet<T>,
): ReadSet<T> {
  if (entries.filter((entry) => entry).length < LEAST) return readPlain;
  const shapes: Shape[] = [];
  let last: Shape | undefined;
  let plain = 0;

  /** Remembers a set that has been read, unless it has unknown attributes or one twice. */
  const learn = (source: Source, start: number, size: number, set: T, first?: object): void => {
    // Parsed: V8 gives such an object room for all its properties, added ones go to a list beside it.
    const blank = Object.keys(set).map((key) => [key, null]);
    const model = JSON.parse(JSON.stringify(Object.fromEntries(blank)));
    for (const key in model) model[key] = set[key as keyof T];
    const { view, words } = source;
    const parts: Part[] = [];
    const owners = new Int16Array(size).fill(-1);
    const runs = [0];
    for (let word = 0; word < size;) {
      const header = start + word * 4;
      const length = view.getUint16(header, true);
      const end = word + ((length + 3) >> 2);
      const entry = entries[view.getUint16(header + 2, true) & NLA_TYPE_MASK];
      if (entry === undefined) return;
      if (entry === null || typeof model[entry.key] === "object") runs.push(word + 1, end);
      if (entry) {
        owners.fill(parts.length, word + 1, end);
        parts.push({ ...entry, at: word * 4 + 4, length: length - 4, end });
      }
      word = end;
    }
    runs.push(size);
    if (parts.length < LEAST || new Set(parts.map(({ key }) => key)).size < parts.length) return;
    const own = parts.filter(({ key }) => typeof model[key] === "object");
    const base = start >> 2;
    shapes.push({ first, model, words: words!.slice(base, base + size), runs, owners, parts, own });
  };

  /** Reads a set as one of `shape`; `undefined` when its attributes are others. */
  const readAs = (shape: Shape, source: Source, start: number): T | undefined => {
    const { words: before, runs, owners, parts, own } = shape;
    const words = source.words!;
    const base = start >> 2;
    const set = { ...shape.model };
    for (let run = 0; run < runs.length; run += 2) {
      const to = runs[run + 1]!;
      for (let word = runs[run]!; word < to; word++) {
        if (words[base + word] === before[word]) continue;
        const part = parts[owners[word]!];
        if (!part) return undefined;
        set[part.key] = part.field.read(source, start + part.at, part.length);
        word = part.end - 1;
      }
    }
    for (const part of own) set[part.key] = part.field.read(source, start + part.at, part.length);
    return set as T;
  };

  return (source, start, end, first) => {
    // What is not aligned, or does not end with its last attribute, cannot be compared by words.
    const size = (end - start) >> 2;
    if (plain < PLAIN || !source.words || (start | end) & 3) {
      plain++;
      return readPlain(source, start, end, first);
    }
    // Mostly it is the same sequence again.
    const like = (shape: Shape) => shape.words.length === size && shape.first === first;
    const again = last && like(last) ? readAs(last, source, start) : undefined;
    if (again) return again;
    for (const shape of shapes) {
      if (shape === last || !like(shape)) continue;
      const set = readAs(shape, source, start);
      if (!set) continue;
      last = shape;
      return set;
    }
    const set = readPlain(source, start, end, first);
    if (shapes.length < MOST) learn(source, start, size, set, first);
    return set;
  };
}
