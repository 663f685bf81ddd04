/**
 * Named counters, quotas and limits of a table: as a person writes them, and as the wire has them.
 *
 * @module
 */
import { source, Writer } from "../netlink/bytes.ts";
import { unknownAttributes } from "../netlink/schema.ts";
import { checkOptions, show } from "../options.ts";
import { OBJECT_TYPES } from "./expressions/act.ts";
import { expressionKind } from "./expressions/mod.ts";
import { Layers } from "./selectors.ts";
import { READERS } from "./readers.ts";
import { type Context, STATEMENTS } from "./statement_table.ts";
import type { Counter, Limit, NamedObject, Quota } from "./statements.ts";
import type { ObjectMessage } from "./table.ts";
import { commentData, commentIn, onlyComment } from "./userdata.ts";

/** A counter that several rules may share. */
export interface NamedCounter extends NamedObject, Counter {
  /** Text for people. */
  readonly comment?: string;
}

/** A quota that several rules may share. */
export interface NamedQuota extends NamedObject, Quota {
  /** Text for people. */
  readonly comment?: string;
}

/** A limit that several rules may share. */
export interface NamedLimit extends NamedObject, Limit {
  /** Text for people. */
  readonly comment?: string;
}

/** The named objects of a table. */
export interface NamedObjects {
  /** Its named counters, with their packets and bytes. */
  readonly counters?: readonly NamedCounter[];
  /** Its named quotas, with the bytes so far. */
  readonly quotas?: readonly NamedQuota[];
  /** Its named limits. */
  readonly limits?: readonly NamedLimit[];
}

type Type = keyof typeof OBJECT_TYPES;

/** The lists of a table, by the type of their objects. */
const LISTS: Readonly<Record<Type, keyof NamedObjects>> = {
  counter: "counters",
  quota: "quotas",
  limit: "limits",
};
const TYPES = Object.keys(LISTS) as readonly Type[];

/** No statement of an object needs a rule around it. */
const NOWHERE: Context = { family: "inet", layers: new Layers("inet"), addSet: () => 0 };

/** An object as the wire has it, and its words in `nft`. */
export interface EncodedObject {
  /** The attributes. */
  readonly message: ObjectMessage;
  /** The words between its braces. */
  readonly body: string;
}

/**
 * The named objects of a table as the wire has them.
 *
 * @throws {TypeError} For an object without a name, and for malformed values.
 * @throws {RangeError} For numbers out of range.
 */
export function encodeObjects(table: NamedObjects): EncodedObject[] {
  return TYPES.flatMap((type) =>
    (table[LISTS[type]] ?? []).map((entry, i) => encode(type, entry, `${LISTS[type]}[${i}]`))
  );
}

function encode(
  type: Type,
  entry: NamedObject & { readonly comment?: string },
  path: string,
): EncodedObject {
  checkOptions(entry, { ...entry }, path); // an object; the statement checks its values
  const { name, comment, ...value } = entry;
  if (typeof name !== "string" || name === "") {
    throw new TypeError(`${path}.name must be a name: got ${show(name)}`);
  }
  const statement = STATEMENTS[type]!;
  const [expression] = statement.compile(value as never, path, NOWHERE);
  const writer = new Writer(64);
  expressionKind(type)!.data.write(writer, expression!.data, `${path}.`);
  const userdata = commentData(comment, `${path}.comment`);
  const words = statement.words(value as never).slice(type.length + 1);
  return {
    message: {
      name,
      type: OBJECT_TYPES[type],
      data: writer.bytes.slice(0, writer.length),
      ...(userdata ? { userdata } : {}),
    },
    body: words + (comment === undefined ? "" : ` comment "${comment}"`),
  };
}

/** Objects that were read, as a person writes them; those that are more or something else as they came. */
export function decodeObjects(
  messages: readonly ObjectMessage[],
): NamedObjects & { readonly objects?: readonly ObjectMessage[] } {
  const found: Record<string, unknown[]> = {};
  for (const message of messages) {
    const type = TYPES.find((it) => OBJECT_TYPES[it] === message.type);
    const entry = type && decode(type, message);
    (found[entry ? LISTS[type!] : "objects"] ??= []).push(entry ?? message);
  }
  return found;
}

function decode(type: Type, { name, data, userdata }: ObjectMessage): NamedObject | undefined {
  if (name === undefined || !data || !onlyComment(userdata)) return undefined;
  const bytes = data.slice();
  const values = expressionKind(type)!.data.read(source(bytes), 0, bytes.length);
  if (unknownAttributes in values) return undefined;
  const read = READERS[type] as (data: object) => Readonly<Record<string, unknown>> | undefined;
  const value = read(values)?.[type];
  if (value === undefined) return undefined;
  const comment = commentIn(userdata);
  const short = type === "limit" ? { rate: value } : { bytes: value };
  return {
    name,
    ...(typeof value === "object" ? value : short),
    ...(comment === undefined ? {} : { comment }),
  };
}
