/**
 * The framing of messages of nftables: `struct nfgenmsg` (`linux/netfilter/nfnetlink.h`) and attributes; and
 * requests as data.
 *
 * @module
 */
import { be32, text } from "../netlink/attribute.ts";
import { type DumpRequest, type MessageFormat, NLM_F, type Request } from "../netlink/message.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import { wordValue } from "../options.ts";
import {
  FAMILIES,
  NFNL_BATCH,
  NFNL_MSG_BATCH,
  NFNL_SUBSYS,
  NFT_MSG,
  NFTA_GEN,
} from "./constants.ts";

/** A family of tables, by its word in `nft`. */
export type Family = keyof typeof FAMILIES;

/** Size of `struct nfgenmsg`. */
const NFGENMSG = 4;

/** A message whose attributes are `T`. */
export interface NftMessage<T extends object> {
  /** The family; 0 for all. */
  readonly family: number;
  /** The subsystem, of the messages around a batch alone. */
  readonly resource?: number;
  /** The attributes. */
  readonly attributes: T;
}

/** The number of a family. */
export function familyNumber(family: unknown, path = "family"): number {
  return wordValue(family, FAMILIES, path);
}

/** The word for a family's number. */
export function familyWord(number: number): Family {
  const words = Object.keys(FAMILIES) as Family[];
  return words.find((word) => FAMILIES[word] === number) ?? String(number) as Family;
}

/** The framing of messages with an attribute set. */
export function nftFormat<T extends object>(schema: Schema<T>): MessageFormat<NftMessage<T>> {
  return {
    headerLength: NFGENMSG,
    schemaOf: () => schema,
    write: (writer, { family, resource = 0, attributes }) => {
      const at = writer.reserve(NFGENMSG);
      writer.view.setUint8(at, family);
      writer.view.setUint16(at + 2, resource, false);
      schema.write(writer, attributes);
    },
    read: (source, start, end) => ({
      family: source.view.getUint8(start),
      attributes: schema.read(source, start + NFGENMSG, end),
    }),
  };
}

/** The description of a request, and its line of `nft`. */
export interface RequestText {
  /** The operation and its object: `add table inet "filter"`. */
  readonly operation: string;
  /** The line of `nft`; empty for a part of another request, which a trace leaves out. */
  readonly command: string | (() => string);
}

/** Composes a request. */
export function nftRequest<T extends object>(
  name: keyof typeof NFT_MSG,
  format: MessageFormat<NftMessage<T>>,
  message: NftMessage<T>,
  options: RequestText & { readonly flags?: number },
): Request<NftMessage<T>> {
  const { operation, command, flags = 0 } = options;
  return {
    type: NFNL_SUBSYS.NFTABLES << 8 | NFT_MSG[name],
    typeName: `NFT_MSG_${name}`,
    flags,
    operation,
    format,
    message,
    reply: (source, start, end) => format.read(source, start, end),
    command: typeof command === "string" ? () => command : command,
  };
}

/** Composes a request for all objects of a kind. */
export function nftDump<T extends object, R>(
  name: keyof typeof NFT_MSG,
  format: MessageFormat<NftMessage<T>>,
  message: NftMessage<T>,
  options: RequestText & { readonly read: (family: number, attributes: T) => R },
): DumpRequest<R> {
  return {
    ...nftRequest(name, format, message, options),
    reply: (source, start, end) => {
      const { family, attributes } = format.read(source, start, end);
      return options.read(family, attributes);
    },
  };
}

/** The attributes of the message that begins a batch. */
interface BatchBegin {
  genid?: number;
}

const batchFormat: MessageFormat<NftMessage<BatchBegin>> = nftFormat(
  schema<BatchBegin>("NFNL_BATCH_", NFNL_BATCH, { genid: be32(NFNL_BATCH.GENID) }),
);

/**
 * The messages around a batch.
 *
 * @param operation The operation of the batch, for an error of it as a whole.
 * @param genid The generation that it is for: the kernel refuses it (ERESTART) when there is a later one.
 */
export function batchFrame(
  operation: string,
  genid?: number,
): readonly [begin: Request<undefined>, end: Request<undefined>] {
  const frame = (
    name: keyof typeof NFNL_MSG_BATCH,
    attributes: BatchBegin,
  ): Request<undefined> => ({
    type: NFNL_MSG_BATCH[name],
    typeName: `NFNL_MSG_BATCH_${name}`,
    flags: 0,
    operation,
    format: batchFormat,
    message: { family: 0, resource: NFNL_SUBSYS.NFTABLES, attributes },
    command: () => "",
  });
  return [frame("BEGIN", genid === undefined ? {} : { genid }), frame("END", {})];
}

/** A generation of the rules: each change has the next number. */
export interface Generation {
  /** Its number. */
  id?: number;
  /** The process that made it. */
  pid?: number;
  /** The name of that process. */
  name?: string;
}

const generationSchema: Schema<Generation> = schema<Generation>("NFTA_GEN_", NFTA_GEN, {
  id: be32(NFTA_GEN.ID),
  pid: be32(NFTA_GEN.PROC_PID),
  name: text(NFTA_GEN.PROC_NAME),
});

/** The framing of messages about a generation. */
export const generationFormat: MessageFormat<NftMessage<Generation>> = nftFormat(generationSchema);

/** Asks for the generation. */
export function getGeneration(): Request<number> {
  const request = nftRequest("GETGEN", generationFormat, { family: 0, attributes: {} }, {
    operation: "read the generation of the ruleset",
    command: "nft list ruleset",
  });
  return {
    ...request,
    reply: (source, start, end) => generationFormat.read(source, start, end).attributes.id ?? 0,
  };
}

/** Flags of a request that adds: `create` refuses what is there (EEXIST). */
export function addFlags({ create = false } = {}): number {
  return NLM_F.CREATE | (create ? NLM_F.EXCL : 0);
}
