/**
 * Attribute sets in which the schema of a nest depends on a sibling attribute: IFLA_INFO_DATA on
 * IFLA_INFO_KIND, TCA_OPTIONS on TCA_KIND.
 *
 * @module
 */
import { type AttributeNames, type Field, forEachAttribute, writeAttribute } from "./attribute.ts";
import type { Source, Writer } from "./bytes.ts";
import { NLA_F } from "./constants.ts";
import type { Schema } from "./schema.ts";

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
