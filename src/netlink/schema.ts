/**
 * Attribute sets, declared once: names, types and limits of an attribute set, from which encoding, decoding
 * and the names of attributes in errors come. Also sets in which the schema of a nest depends on a sibling
 * attribute: IFLA_INFO_DATA on IFLA_INFO_KIND, TCA_OPTIONS on TCA_KIND.
 *
 * @module
 */
import { type AttributeNames, type Field, forEachAttribute, writeAttribute } from "./attribute.ts";
import type { Source, Writer } from "./bytes.ts";
import { unknownOption } from "../options.ts";
import { NLA_F, NLA_TYPE_MASK } from "./message.ts";

/** Sets with fewer attributes are read as fast one by one. */
const LEAST = 8;
/** How many sequences of attributes a schema remembers. */
const MOST = 16;
/** How many sets a schema reads one by one before it does: learning from few costs more than it gives. */
export const PLAIN = 32;

/** What a schema knows of an attribute type. `null`: to be skipped; `undefined`: nothing. */
type Entry = { readonly key: string; readonly field: Field<unknown> } | null | undefined;

/** Reads a set; `first` is what it has ahead of the attributes. */
type ReadSet<T> = (source: Source, start: number, end: number, first?: Partial<T>) => T;

/** A known sequence of attributes with their lengths, and a set that was read from one. */
interface Template {
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

/** An attribute of a template. */
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
function templateReader<T extends object>(
  entries: readonly Entry[],
  readPlain: ReadSet<T>,
): ReadSet<T> {
  if (entries.filter((entry) => entry).length < LEAST) return readPlain;
  const templates: Template[] = [];
  let last: Template | undefined;
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
    templates.push({
      first,
      model,
      words: words!.slice(base, base + size),
      runs,
      owners,
      parts,
      own,
    });
  };

  /** Reads a set as `template` has it; `undefined` when its attributes are others. */
  const readAs = (template: Template, source: Source, start: number): T | undefined => {
    const { words: before, runs, owners, parts, own } = template;
    const words = source.words!;
    const base = start >> 2;
    const set = { ...template.model };
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
    const like = (template: Template) => template.words.length === size && template.first === first;
    const again = last && like(last) ? readAs(last, source, start) : undefined;
    if (again) return again;
    for (const template of templates) {
      if (template === last || !like(template)) continue;
      const set = readAs(template, source, start);
      if (!set) continue;
      last = template;
      return set;
    }
    const set = readPlain(source, start, end, first);
    if (templates.length < MOST) learn(source, start, size, set, first);
    return set;
  };
}

/** One {@link Field} for every property of `T`. */
export type Fields<T extends object> = {
  readonly [K in keyof Required<T>]: Field<NonNullable<T[K]>>;
};

/** Attributes a schema does not know, as they came: a newer kernel's. */
export interface UnknownAttribute {
  /** The attribute's number. */
  readonly type: number;
  /** Its payload. */
  readonly bytes: Uint8Array;
}

/** Where decoded sets keep attributes their schema does not know; absent when there are none. */
export const unknownAttributes: unique symbol = Symbol("unknown attributes");

/** An attribute set's codec. */
export interface Schema<T extends object> extends AttributeNames {
  /** The fields by property name. */
  readonly fields: Fields<T>;
  /** Appends the attributes that `values` has. An unknown property is a `TypeError`. */
  write(writer: Writer, values: T, path?: string): void;
  /** Reads the attributes between two offsets into a new object, behind what `first` has. */
  read(source: Source, start: number, end: number, first?: Partial<T>): T;
  /** Reads the attributes between two offsets into `target`. */
  readInto(target: T, source: Source, start: number, end: number): void;
}

/**
 * Declares an attribute set.
 *
 * @param prefix The prefix of the kernel's names.
 * @param types The kernel's enumeration, without the prefix.
 * @param fields A field for each property.
 * @param skip Attributes that are known and not decoded: padding, duplicates, legacy forms.
 */
export function schema<T extends object>(
  prefix: string,
  types: Readonly<Record<string, number>>,
  fields: Fields<T>,
  skip: readonly number[] = [],
): Schema<T> {
  const byType: Entry[] = [];
  for (const key in fields) {
    const field = fields[key] as Field<unknown>;
    byType[field.type] = { key, field };
  }
  for (const type of skip) byType[type] ??= null;

  const nameOf = (type: number): string => {
    for (const name in types) if (types[name] === type) return prefix + name;
    return `${prefix}${type}`;
  };

  const readInto = (target: T, source: Source, start: number, end: number): void => {
    const out = target as Record<string, unknown>;
    forEachAttribute(source, start, end, (type, at, length) => {
      const entry = byType[type];
      if (entry) out[entry.key] = entry.field.read(source, at, length);
      else if (entry === undefined) keepUnknown(target, type, source, at, length);
    }, prefix);
  };

  return {
    fields,
    nameOf,
    fieldOf: (type) => byType[type]?.field,
    write: (writer, values, path = "") => {
      for (const key in values) {
        const value = values[key];
        if (value === undefined) continue;
        const field = Object.hasOwn(fields, key) ? fields[key] as Field<unknown> : undefined;
        if (!field) {
          throw unknownOption(path + key, key, Object.keys(fields));
        }
        if (field.flag && value === false) continue;
        writeAttribute(writer, field, value, path + key);
      }
    },
    read: templateReader<T>(byType, (source, start, end, first) => {
      const target = { ...first } as T;
      readInto(target, source, start, end);
      return target;
    }),
    readInto,
  };
}

/** A nest: an attribute whose payload is an attribute set. */
export function nested<T extends object>(type: number, schema: Schema<T>): Field<T> {
  return {
    type,
    nested: true,
    schema,
    write: (w, value, path) => schema.write(w, value, path && `${path}.`),
    read: (s, at, length) => schema.read(s, at, at + length),
  };
}

function keepUnknown(set: object, type: number, source: Source, at: number, length: number): void {
  const holder = set as { [unknownAttributes]?: UnknownAttribute[] };
  (holder[unknownAttributes] ??= []).push({ type, bytes: source.bytes.slice(at, at + length) });
}

/** A nest whose schema a sibling attribute selects. */
export interface TaggedNest {
  /** The attribute number of the nest. */
  readonly type: number;
  /** The property with the text that selects the schema. The kernel writes it before the nest. */
  readonly tag: string;
  /** Selects the schema; without one the nest is a `Uint8Array`. */
  schemaOf(tag: string | undefined): Schema<object> | undefined;
}

/** The codec of such an attribute set. */
export interface TaggedSchema<T extends object> {
  /** Appends the attributes of `values`. `path` is the prefix of names in errors. */
  write(writer: Writer, values: T, path?: string): void;
  /** Reads the attributes between two offsets. */
  read(source: Source, start: number, end: number): T;
  /** The names of the attributes, for errors, with the schemas that `values` selects. */
  namesFor(values: T): AttributeNames;
}

/**
 * Declares an attribute set with tagged nests.
 *
 * @param names The names of its attributes.
 * @param fields The plain attributes, by property; those of the tags come first.
 * @param nests The nests, by property.
 */
export function taggedSchema<T extends object>(
  names: AttributeNames,
  fields: Readonly<Record<string, Field<unknown>>>,
  nests: Readonly<Record<string, TaggedNest>>,
): TaggedSchema<T> {
  const fieldKeys: string[] = [];
  const nestKeys: string[] = [];
  for (const key in fields) fieldKeys[fields[key]!.type] = key;
  for (const key in nests) nestKeys[nests[key]!.type] = key;

  const schemaIn = (values: object, { tag, schemaOf }: TaggedNest) =>
    schemaOf((values as Record<string, string | undefined>)[tag]);

  return {
    write: (writer, values, path = "") => {
      const properties = values as Record<string, unknown>;
      for (const key in fields) {
        const value = properties[key];
        if (value !== undefined) writeAttribute(writer, fields[key]!, value, path + key);
      }
      for (const key in nests) {
        const value = properties[key];
        if (value === undefined) continue;
        const nest = nests[key]!;
        const schema = schemaIn(values, nest);
        const at = writer.begin(nest.type | NLA_F.NESTED);
        if (schema) schema.write(writer, value as object, path);
        else if (value instanceof Uint8Array) writer.append(value);
        else {
          throw new TypeError(
            `${path}options of ${JSON.stringify(properties[nest.tag])} must be a Uint8Array: ` +
              "netloom has no typed options for this kind",
          );
        }
        writer.end(at);
      }
    },
    read: (source, start, end) => {
      const out: Record<string, unknown> = {};
      forEachAttribute(source, start, end, (type, at, length) => {
        const fieldKey = fieldKeys[type];
        if (fieldKey !== undefined) {
          out[fieldKey] = fields[fieldKey]!.read(source, at, length);
          return;
        }
        const nestKey = nestKeys[type];
        if (nestKey === undefined) return;
        const schema = schemaIn(out, nests[nestKey]!);
        out[nestKey] = schema
          ? schema.read(source, at, at + length)
          : source.bytes.slice(at, at + length);
      });
      return out as T;
    },
    namesFor: (values) => ({
      ...names,
      fieldOf: (type) => {
        const key = nestKeys[type];
        if (key === undefined) return names.fieldOf(type);
        const schema = schemaIn(values, nests[key]!);
        return schema ? { type, nested: true, schema, write: unused, read: unused } : undefined;
      },
    }),
  };
}

function unused(): never {
  throw new TypeError("This field only names attributes");
}
