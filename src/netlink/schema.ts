/**
 * Attribute sets, declared once: names, types and limits of an attribute set, from which encoding,
 * decoding and the naming of attributes in errors come.
 *
 * @module
 */
import { type AttributeNames, type Field, forEachAttribute, writeAttribute } from "./attribute.ts";
import type { Source, Writer } from "./bytes.ts";
import { type Entry, shapedReader } from "./shapes.ts";
import { unknownOption } from "../options.ts";

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
    prefix,
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
    read: shapedReader<T>(byType, (source, start, end, first) => {
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
