/**
 * Explanations of ENOENT: the set, chain or named object that a rule or an element refers to, and the table lacks.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { Connection } from "../netlink/connection.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { didYouMean, show } from "../options.ts";
import type { RuleMessage } from "./chain.ts";
import type { Data } from "./data.ts";
import type { Expression } from "./expressions/mod.ts";
import { familyWord, type NftMessage } from "./message.ts";
import { readRuleset, type TableInfo } from "./ruleset.ts";
import type { ElementsMessage } from "./set.ts";
import { describeTable, OBJECT_WORDS, type ObjectMessage, type TableName } from "./table.ts";

/** An object of a table, by its kind (`chain`, `set`, `counter`) and name. */
type Reference = readonly [kind: string, name: string];

/** A refused request among those of its batch. */
export interface RefusedRequest {
  /** The requests of the batch. */
  readonly requests: readonly Request[];
  /** The position of the refused one. */
  readonly index: number;
  /** Its place in the call, such as `chains[0]: rules[1]`; empty when the call has only that. */
  readonly place: string;
}

const objectKind = (type: number | string | undefined): string =>
  typeof type === "string" ? type : OBJECT_WORDS[type ?? 0] ?? `object of type ${type}`;

function inData(data: Data | undefined): Reference[] {
  return data && "chain" in data && data.chain !== undefined ? [["chain", data.chain]] : [];
}

function inExpression({ name, data }: Expression): Reference[] {
  const { data: value, set, setId, type, object } = data as {
    readonly data?: Data;
    readonly set?: string;
    readonly setId?: number;
    readonly type?: number | string;
    readonly object?: string;
  };
  if (name === "immediate") return inData(value);
  if (name === "lookup" || name === "dynset") {
    return set === undefined || setId !== undefined ? [] : [["set", set]];
  }
  return name === "objref" && object !== undefined ? [[objectKind(type), object]] : [];
}

/** The objects that a request refers to. */
function referencesOf({ typeName, message }: Request): Reference[] {
  const { attributes } = message as NftMessage<object>;
  if (typeName === "NFT_MSG_NEWRULE") {
    const { chain, expressions = [] } = attributes as RuleMessage;
    return [
      ...(chain === undefined ? [] : [["chain", chain] as const]),
      ...expressions.flatMap(inExpression),
    ];
  }
  if (typeName !== "NFT_MSG_NEWSETELEM") return [];
  const { elements = [] } = attributes as ElementsMessage;
  return elements.flatMap(({ data }) => inData(data));
}

/** The objects that a table has. */
function objectsOf(table: TableInfo): Reference[] {
  const named = (kind: string, list: readonly { readonly name: string }[] = []) =>
    list.map(({ name }): Reference => [kind, name]);
  return [
    ...named("chain", table.chains),
    ...named("set", table.sets),
    ...named("counter", table.counters),
    ...named("quota", table.quotas),
    ...named("limit", table.limits),
    ...(table.objects ?? []).map(({ type, name = "" }): Reference => [objectKind(type), name]),
  ];
}

/** The object that a request creates. */
function createdBy({ typeName, message }: Request): Reference[] {
  const { attributes } = message as NftMessage<ObjectMessage>;
  const { name = "", type } = attributes;
  if (typeName === "NFT_MSG_NEWCHAIN") return [["chain", name]];
  if (typeName === "NFT_MSG_NEWSET") return [["set", name]];
  return typeName === "NFT_MSG_NEWOBJ" ? [[objectKind(type), name]] : [];
}

/** The table of a request; a request that deletes all tables has none. */
function tableOf({ typeName, message }: Request): TableName | undefined {
  const { family, attributes } = message as NftMessage<ObjectMessage>;
  const table = typeName.endsWith("TABLE") ? attributes.name : attributes.table;
  return table === undefined ? undefined : { family: familyWord(family), table };
}

/**
 * The error that names the object that a refused rule or element refers to and the table lacks.
 *
 * @param connection To the namespace, for reading the table.
 * @param refused The refused request.
 * @param error The refusal.
 * @returns Nothing when the refusal has another reason.
 */
export function explainMissing(
  connection: Connection,
  { requests, index, place }: RefusedRequest,
  error: NetlinkError,
): NetlinkError | undefined {
  const request = requests[index];
  const wanted = request && error.errno === ERRNO.ENOENT ? referencesOf(request) : [];
  const name = wanted.length > 0 ? tableOf(request!) : undefined;
  if (!name) return undefined;
  const own = requests.slice(0, index).filter((it) => {
    const of = tableOf(it);
    return !of || of.table === name.table && of.family === name.family;
  });
  const does = (type: string) => own.some(({ typeName }) => typeName === type);
  const found = does("NFT_MSG_DELTABLE") ? undefined : readRuleset(connection, name).tables[0];
  const has = [...(found ? objectsOf(found) : []), ...own.flatMap(createdBy)];
  const lacks = wanted.find(([kind, name]) => !has.some(([k, n]) => k === kind && n === name));
  if (!lacks) return undefined;
  const others = has.filter(([kind]) => kind === lacks[0]).map(([, name]) => name);
  const reason = found || does("NFT_MSG_NEWTABLE")
    ? `${describeTable(name)} has no ${lacks[0]} ${show(lacks[1])}${didYouMean(lacks[1], others)}`
    : `there is no ${describeTable(name)}`;
  const { operation, netns, errno, ack: { attribute: _, ...ack } } = error;
  return new NetlinkError({
    operation,
    netns,
    errno,
    ack,
    text: place ? `${place}: ${reason}` : reason,
  });
}
