/**
 * Sets and their elements: NFT_MSG_NEWSET, NFT_MSG_NEWSETELEM and others.
 *
 * @module
 */
import { be32, be64, binary, list } from "../netlink/attribute.ts";
import type { DumpRequest, MessageFormat, Request } from "../netlink/message.ts";
import { nested, type Schema, schema } from "../netlink/schema.ts";
import { show } from "../options.ts";
import {
  NFTA_LIST,
  NFTA_SET,
  NFTA_SET_DESC,
  NFTA_SET_ELEM,
  NFTA_SET_ELEM_LIST,
  NFTA_SET_FIELD,
} from "./constants.ts";
import { bytesField, type Data, dataField } from "./data.ts";
import { type Expression, expressionField, expressionsField } from "./expressions/mod.ts";
import {
  addFlags,
  familyNumber,
  familyWord,
  nftDump,
  nftFormat,
  type NftMessage,
  nftRequest,
} from "./message.ts";
import { describeTable, nameField, type TableName, tableWords } from "./table.ts";

/** The organization of a set's memory. */
export interface SetDescription {
  /** The most elements. */
  size?: number;
  /** The parts of a concatenated key: their length in bytes. */
  concat?: { len?: number }[];
}

/** A set's attributes. */
export interface SetMessage {
  /** The table's name. */
  table?: string;
  /** Its name. */
  name?: string;
  /** `NFT_SET_*` bits. */
  flags?: number;
  /** The type of its keys, as `nft` numbers them. */
  keyType?: number;
  /** Bytes of a key. */
  keyLen?: number;
  /** The type of the values of a map. */
  dataType?: number;
  /** Bytes of that. */
  dataLen?: number;
  /** 0: fast, 1: small. */
  policy?: number;
  /** The organization of its memory. */
  desc?: SetDescription;
  /** Its number in the batch. */
  id?: number;
  /** Milliseconds that elements stay. */
  timeout?: number;
  /** Milliseconds between removals of elements whose time is over. */
  gcInterval?: number;
  /** Data of `nft`. */
  userdata?: Uint8Array;
  /** The type of objects that a map has. */
  objType?: number;
  /** Its number. */
  handle?: number;
  /** A counter or limit of each element. */
  expr?: Expression;
  /** More than one of them. */
  expressions?: Expression[];
}

const fieldSchema: Schema<{ len?: number }> = schema("NFTA_SET_FIELD_", NFTA_SET_FIELD, {
  len: be32(NFTA_SET_FIELD.LEN),
});

const descriptionSchema: Schema<SetDescription> = schema<SetDescription>(
  "NFTA_SET_DESC_",
  NFTA_SET_DESC,
  {
    size: be32(NFTA_SET_DESC.SIZE),
    concat: list(NFTA_SET_DESC.CONCAT, nested(NFTA_LIST.ELEM, fieldSchema)),
  },
);

const setSchema: Schema<SetMessage> = schema<SetMessage>("NFTA_SET_", NFTA_SET, {
  table: nameField(NFTA_SET.TABLE),
  name: nameField(NFTA_SET.NAME),
  flags: be32(NFTA_SET.FLAGS),
  keyType: be32(NFTA_SET.KEY_TYPE),
  keyLen: be32(NFTA_SET.KEY_LEN),
  dataType: be32(NFTA_SET.DATA_TYPE),
  dataLen: be32(NFTA_SET.DATA_LEN),
  policy: be32(NFTA_SET.POLICY),
  desc: nested(NFTA_SET.DESC, descriptionSchema),
  id: be32(NFTA_SET.ID),
  timeout: be64(NFTA_SET.TIMEOUT),
  gcInterval: be32(NFTA_SET.GC_INTERVAL),
  userdata: binary(NFTA_SET.USERDATA),
  objType: be32(NFTA_SET.OBJ_TYPE),
  handle: be64(NFTA_SET.HANDLE),
  expr: expressionField(NFTA_SET.EXPR),
  expressions: expressionsField(NFTA_SET.EXPRESSIONS),
}, [NFTA_SET.PAD, NFTA_SET.TYPE, NFTA_SET.COUNT]);

/** The framing of messages about sets. */
export const setFormat: MessageFormat<NftMessage<SetMessage>> = nftFormat(setSchema);

/** An element of a set. */
export interface ElementMessage {
  /** Its key, or the first of its range where that has an end of its own. */
  key?: Uint8Array;
  /** The value of a map for the key. */
  data?: Data;
  /** `NFT_SET_ELEM_*` bits. */
  flags?: number;
  /** Milliseconds that it stays. */
  timeout?: number;
  /** Milliseconds that it still stays. */
  expiration?: number;
  /** Data of `nft`. */
  userdata?: Uint8Array;
  /** Its counter or limit. */
  expr?: Expression;
  /** The object that a map has for the key. */
  objref?: string;
  /** The last key of its range. */
  keyEnd?: Uint8Array;
  /** Its counters and limits. */
  expressions?: Expression[];
}

const elementSchema: Schema<ElementMessage> = schema<ElementMessage>(
  "NFTA_SET_ELEM_",
  NFTA_SET_ELEM,
  {
    key: bytesField(NFTA_SET_ELEM.KEY),
    data: dataField(NFTA_SET_ELEM.DATA),
    flags: be32(NFTA_SET_ELEM.FLAGS),
    timeout: be64(NFTA_SET_ELEM.TIMEOUT),
    expiration: be64(NFTA_SET_ELEM.EXPIRATION),
    userdata: binary(NFTA_SET_ELEM.USERDATA),
    expr: expressionField(NFTA_SET_ELEM.EXPR),
    objref: nameField(NFTA_SET_ELEM.OBJREF),
    keyEnd: bytesField(NFTA_SET_ELEM.KEY_END),
    expressions: expressionsField(NFTA_SET_ELEM.EXPRESSIONS),
  },
  [NFTA_SET_ELEM.PAD],
);

/** Elements of a set. */
export interface ElementsMessage {
  /** The table's name. */
  table?: string;
  /** The set's name. */
  set?: string;
  /** The elements. */
  elements?: ElementMessage[];
  /** The set's number in the batch. */
  setId?: number;
}

const elementsSchema: Schema<ElementsMessage> = schema<ElementsMessage>(
  "NFTA_SET_ELEM_LIST_",
  NFTA_SET_ELEM_LIST,
  {
    table: nameField(NFTA_SET_ELEM_LIST.TABLE),
    set: nameField(NFTA_SET_ELEM_LIST.SET),
    setId: be32(NFTA_SET_ELEM_LIST.SET_ID),
    elements: list(NFTA_SET_ELEM_LIST.ELEMENTS, nested(NFTA_LIST.ELEM, elementSchema)),
  },
);

/** The framing of messages about elements. */
export const elementsFormat: MessageFormat<NftMessage<ElementsMessage>> = nftFormat(elementsSchema);

/** A set by its table and name. */
export interface SetName extends TableName {
  /** The set's name. */
  readonly set: string;
}

/** A set for a person: `set "blocked" of table inet "filter"`. */
export function describeSet(name: SetName): string {
  return `set ${show(name.set)} of ${describeTable(name)}`;
}

/** Options of the requests for sets. */
export interface SetRequestOptions {
  /** It must not be there yet. Default: false. */
  readonly create?: boolean;
  /** The words of `nft` between braces; without them the request is a part of that of a rule. */
  readonly body?: string;
  /** A map, whose lines of `nft` differ. Default: false. */
  readonly map?: boolean;
}

/** Adds a set or map. */
export function newSet(
  name: SetName,
  attributes: SetMessage,
  { create = false, body, map = false }: SetRequestOptions = {},
): Request<NftMessage<SetMessage>> {
  const word = map ? "map" : "set";
  const message = {
    family: familyNumber(name.family),
    attributes: { ...attributes, table: name.table, name: name.set },
  };
  return nftRequest("NEWSET", setFormat, message, {
    operation: `add ${describeSet(name)}`,
    command: body === undefined
      ? ""
      : `nft ${create ? "create" : "add"} ${word} ${tableWords(name)} ${name.set} '{ ${body} }'`,
    flags: addFlags({ create }),
  });
}

/** Deletes a set. EBUSY when rules use it. */
export function deleteSet(name: SetName): Request<NftMessage<SetMessage>> {
  const message = {
    family: familyNumber(name.family),
    attributes: { table: name.table, name: name.set },
  };
  return nftRequest("DELSET", setFormat, message, {
    operation: `delete ${describeSet(name)}`,
    command: `nft delete set ${tableWords(name)} ${name.set}`,
  });
}

function elementsRequest(
  verb: "add" | "create" | "delete",
  name: SetName,
  attributes: ElementsMessage,
  body: string | undefined,
): Request<NftMessage<ElementsMessage>> {
  const type = verb === "delete" ? "DELSETELEM" : "NEWSETELEM";
  const message = {
    family: familyNumber(name.family),
    attributes: { ...attributes, table: name.table, set: name.set },
  };
  return nftRequest(type, elementsFormat, message, {
    operation: `${verb === "delete" ? "delete elements of" : "add elements to"} ${
      describeSet(name)
    }`,
    command: body === undefined
      ? ""
      : `nft ${verb} element ${tableWords(name)} ${name.set} '{ ${body} }'`,
    flags: verb === "delete" ? 0 : addFlags({ create: verb === "create" }),
  });
}

/** Adds elements to a set; with `create` none may be there yet. */
export function newElements(
  name: SetName,
  attributes: ElementsMessage,
  { create = false, body }: SetRequestOptions = {},
): Request<NftMessage<ElementsMessage>> {
  return elementsRequest(create ? "create" : "add", name, attributes, body);
}

/** Deletes elements of a set. Without any: all. */
export function deleteElements(
  name: SetName,
  elements: ElementMessage[],
  body: string,
): Request<NftMessage<ElementsMessage>> {
  if (elements.length > 0) return elementsRequest("delete", name, { elements }, body);
  return {
    ...elementsRequest("delete", name, {}, body),
    operation: `flush ${describeSet(name)}`,
    command: () => `nft flush set ${tableWords(name)} ${name.set}`,
  };
}

/** A set as it was read. */
export type ReadSet = SetName & { readonly attributes: SetMessage };

/** Reads all sets, without their elements. */
export function dumpSets(): DumpRequest<ReadSet> {
  return nftDump("GETSET", setFormat, { family: 0, attributes: {} }, {
    operation: "list sets",
    command: "nft list sets",
    read: (family, attributes) => ({
      family: familyWord(family),
      table: attributes.table ?? "",
      set: attributes.name ?? "",
      attributes,
    }),
  });
}

/** Reads the elements of a set: lists of them. */
export function dumpElements(name: SetName): DumpRequest<ElementMessage[]> {
  const message = {
    family: familyNumber(name.family),
    attributes: { table: name.table, set: name.set },
  };
  return nftDump("GETSETELEM", elementsFormat, message, {
    operation: `list elements of ${describeSet(name)}`,
    command: `nft list set ${tableWords(name)} ${name.set}`,
    read: (_, { elements = [] }) => elements,
  });
}
