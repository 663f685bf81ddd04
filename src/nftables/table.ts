/**
 * Tables, and the parts of a table beside chains, rules and sets: NFT_MSG_NEWTABLE, NFT_MSG_NEWOBJ,
 * NFT_MSG_NEWFLOWTABLE.
 *
 * @module
 */
import { be32, be64, binary, type Field, text } from "../netlink/attribute.ts";
import type { DumpRequest, MessageFormat, Request } from "../netlink/message.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import { show } from "../options.ts";
import { NFTA_FLOWTABLE, NFTA_OBJ, NFTA_TABLE } from "./constants.ts";
import {
  addFlags,
  type Family,
  familyNumber,
  familyWord,
  nftDump,
  nftFormat,
  type NftMessage,
  nftRequest,
} from "./message.ts";

/** A name of a table, chain, set or object. */
export function nameField(type: number): Field<string> {
  return text(type, 255);
}

/** A table by its family and name. */
export interface TableName {
  /** The family: `inet` sees IPv4 and IPv6. */
  readonly family: Family;
  /** The table's name. */
  readonly table: string;
}

/** A table's attributes. */
export interface TableMessage {
  /** Its name. */
  name?: string;
  /** `NFT_TABLE_F_*` bits. */
  flags?: number;
  /** The number of its chains, sets and others. */
  use?: number;
  /** Its number. */
  handle?: number;
  /** Data of `nft`: the comment. */
  userdata?: Uint8Array;
  /** The socket that owns it. */
  owner?: number;
}

const tableSchema: Schema<TableMessage> = schema<TableMessage>("NFTA_TABLE_", NFTA_TABLE, {
  name: nameField(NFTA_TABLE.NAME),
  flags: be32(NFTA_TABLE.FLAGS),
  use: be32(NFTA_TABLE.USE),
  handle: be64(NFTA_TABLE.HANDLE),
  userdata: binary(NFTA_TABLE.USERDATA),
  owner: be32(NFTA_TABLE.OWNER),
}, [NFTA_TABLE.PAD]);

/** The framing of messages about tables. */
export const tableFormat: MessageFormat<NftMessage<TableMessage>> = nftFormat(tableSchema);

/** A table for a person: `table inet "filter"`. */
export function describeTable({ family, table }: TableName): string {
  return `table ${family} ${show(table)}`;
}

/** A table as a word of `nft`: `inet filter`. */
export function tableWords({ family, table }: TableName): string {
  return `${family} ${table}`;
}

/** Adds a table; with `create` it must not be there yet. */
export function newTable(
  name: TableName,
  options: { readonly attributes?: TableMessage; readonly create?: boolean } = {},
): Request<NftMessage<TableMessage>> {
  const { attributes = {}, create = false } = options;
  const message = {
    family: familyNumber(name.family),
    attributes: { ...attributes, name: name.table },
  };
  return nftRequest("NEWTABLE", tableFormat, message, {
    operation: `add ${describeTable(name)}`,
    command: `nft ${create ? "create" : "add"} table ${tableWords(name)}${
      (attributes.flags ?? 0) & 1 ? " { flags dormant; }" : ""
    }`,
    flags: addFlags({ create }),
  });
}

/** Deletes a table with all that it has. */
export function deleteTable(name: TableName): Request<NftMessage<TableMessage>> {
  const message = { family: familyNumber(name.family), attributes: { name: name.table } };
  return nftRequest("DELTABLE", tableFormat, message, {
    operation: `delete ${describeTable(name)}`,
    command: `nft delete table ${tableWords(name)}`,
  });
}

/** Deletes a table by its number: no other one that has taken its name. */
export function deleteTableByHandle(
  name: TableName,
  handle: number,
): Request<NftMessage<TableMessage>> {
  const message = { family: familyNumber(name.family), attributes: { handle } };
  return nftRequest("DELTABLE", tableFormat, message, {
    operation: `delete ${describeTable(name)}`,
    command: `nft delete table ${name.family} handle ${handle}`,
  });
}

/** Deletes all tables, but those that a socket of another program owns. */
export function deleteAllTables(): Request<NftMessage<TableMessage>> {
  return nftRequest("DELTABLE", tableFormat, { family: 0, attributes: {} }, {
    operation: "flush the ruleset",
    command: "nft flush ruleset",
  });
}

/** A table as it was read. */
export type ReadTable = TableName & { readonly attributes: TableMessage };

/** Reads all tables. */
export function dumpTables(): DumpRequest<ReadTable> {
  return nftDump("GETTABLE", tableFormat, { family: 0, attributes: {} }, {
    operation: "list tables",
    command: "nft list tables",
    read: (family, attributes) => ({
      family: familyWord(family),
      table: attributes.name ?? "",
      attributes,
    }),
  });
}

/** A named counter, quota, limit and others: kept as it came. */
export interface ObjectMessage {
  /** The table's name. */
  table?: string;
  /** Its name. */
  name?: string;
  /** `NFT_OBJECT_*`: 1 is a counter, 2 a quota. */
  type?: number;
  /** Its attributes. */
  data?: Uint8Array;
  /** The number of rules and elements that use it. */
  use?: number;
  /** Its number. */
  handle?: number;
  /** Data of `nft`. */
  userdata?: Uint8Array;
}

const objectSchema: Schema<ObjectMessage> = schema<ObjectMessage>("NFTA_OBJ_", NFTA_OBJ, {
  table: nameField(NFTA_OBJ.TABLE),
  name: nameField(NFTA_OBJ.NAME),
  type: be32(NFTA_OBJ.TYPE),
  data: { ...binary(NFTA_OBJ.DATA), nested: true },
  use: be32(NFTA_OBJ.USE),
  handle: be64(NFTA_OBJ.HANDLE),
  userdata: binary(NFTA_OBJ.USERDATA),
}, [NFTA_OBJ.PAD]);

/** The framing of messages about objects. */
export const objectFormat: MessageFormat<NftMessage<ObjectMessage>> = nftFormat(objectSchema);

/** Words of `nft` for the types of objects. */
export const OBJECT_WORDS: Readonly<Record<number, string>> = {
  1: "counter",
  2: "quota",
  3: "ct helper",
  4: "limit",
  7: "ct timeout",
  8: "secmark",
  9: "ct expectation",
  10: "synproxy",
};

/** Adds an object. */
export function newObject(
  { family, table }: TableName,
  attributes: ObjectMessage,
  body?: string,
): Request<NftMessage<ObjectMessage>> {
  const { name, type, data, userdata } = attributes;
  const word = OBJECT_WORDS[type ?? 0] ?? `object of type ${type}`;
  const message = {
    family: familyNumber(family),
    attributes: {
      table,
      ...(name === undefined ? {} : { name }),
      ...(type === undefined ? {} : { type }),
      ...(data ? { data } : {}),
      ...(userdata ? { userdata } : {}),
    },
  };
  return nftRequest("NEWOBJ", objectFormat, message, {
    operation: `add ${word} ${show(name)} to ${describeTable({ family, table })}`,
    command: `nft add ${word} ${tableWords({ family, table })} ${name}` +
      (body ? ` '{ ${body} }'` : ""),
    flags: addFlags(),
  });
}

/** Reads all objects. */
export function dumpObjects(): DumpRequest<TableName & { readonly attributes: ObjectMessage }> {
  return nftDump("GETOBJ", objectFormat, { family: 0, attributes: {} }, {
    operation: "list objects of tables",
    command: "nft list counters",
    read: (family, attributes) => ({
      family: familyWord(family),
      table: attributes.table ?? "",
      attributes,
    }),
  });
}

/** A flowtable: kept as it came. */
export interface FlowtableMessage {
  /** The table's name. */
  table?: string;
  /** Its name. */
  name?: string;
  /** Its hook, as it came. */
  hook?: Uint8Array;
  /** The number of rules that use it. */
  use?: number;
  /** Its number. */
  handle?: number;
  /** `NFT_FLOWTABLE_*` bits. */
  flags?: number;
}

const flowtableSchema: Schema<FlowtableMessage> = schema<FlowtableMessage>(
  "NFTA_FLOWTABLE_",
  NFTA_FLOWTABLE,
  {
    table: nameField(NFTA_FLOWTABLE.TABLE),
    name: nameField(NFTA_FLOWTABLE.NAME),
    hook: { ...binary(NFTA_FLOWTABLE.HOOK), nested: true },
    use: be32(NFTA_FLOWTABLE.USE),
    handle: be64(NFTA_FLOWTABLE.HANDLE),
    flags: be32(NFTA_FLOWTABLE.FLAGS),
  },
  [NFTA_FLOWTABLE.PAD],
);

/** The framing of messages about flowtables. */
export const flowtableFormat: MessageFormat<NftMessage<FlowtableMessage>> = nftFormat(
  flowtableSchema,
);

/** Adds a flowtable. */
export function newFlowtable(
  { family, table }: TableName,
  attributes: FlowtableMessage,
): Request<NftMessage<FlowtableMessage>> {
  const { name, hook, flags } = attributes;
  const message = {
    family: familyNumber(family),
    attributes: {
      table,
      ...(name === undefined ? {} : { name }),
      ...(hook ? { hook } : {}),
      ...(flags ? { flags } : {}),
    },
  };
  return nftRequest("NEWFLOWTABLE", flowtableFormat, message, {
    operation: `add flowtable ${show(name)} to ${describeTable({ family, table })}`,
    command: `nft add flowtable ${tableWords({ family, table })} ${name}`,
    flags: addFlags(),
  });
}

/** Reads all flowtables. */
export function dumpFlowtables(): DumpRequest<
  TableName & { readonly attributes: FlowtableMessage }
> {
  return nftDump("GETFLOWTABLE", flowtableFormat, { family: 0, attributes: {} }, {
    operation: "list flowtables",
    command: "nft list flowtables",
    read: (family, attributes) => ({
      family: familyWord(family),
      table: attributes.table ?? "",
      attributes,
    }),
  });
}
