/**
 * The kernel's answer to a request: acknowledgement or error, with what it adds in attributes, and the
 * offending offset turned into attribute names.
 *
 * @module
 */
import { type AttributeNames, type Field, forEachAttribute, readText } from "./attribute.ts";
import type { Source } from "./bytes.ts";
import { NL_POLICY_TYPE_ATTR, NLM_F, NLMSG_HDRLEN, NLMSGERR_ATTR } from "./constants.ts";
import { type ExtendedAck, NetlinkDecodeError } from "./error.ts";
import type { Header } from "./message.ts";

/** An error number (0: acknowledged) and the attributes as they came. */
export interface Acknowledgement {
  readonly errno: number;
  readonly message?: string;
  readonly offset?: number;
  readonly missingType?: number;
  readonly missingNest?: number;
  readonly policy?: string;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Reads the body of NLMSG_ERROR. */
export function readError(source: Source, header: Header): Acknowledgement {
  const { start, end, flags } = header;
  // struct nlmsgerr: the error number and a header.
  if (end - start < 4 + NLMSG_HDRLEN) {
    throw new NetlinkDecodeError(`Cannot read an error message of ${end - start} bytes`);
  }
  const errno = -source.view.getInt32(start, true);
  // The request comes back after the error number: its header, and all of it unless capped.
  const echoed = flags & NLM_F.CAPPED ? NLMSG_HDRLEN : source.view.getUint32(start + 4, true);
  const at = start + 4 + ((echoed + 3) & ~3);
  return flags & NLM_F.ACK_TLVS ? readAttributes(source, errno, at, end) : { errno };
}

/** Reads the body of NLMSG_DONE: an error number and attributes. Old kernels send neither. */
export function readDone(source: Source, header: Header): Acknowledgement {
  const { start, end, flags } = header;
  const errno = end - start >= 4 ? -source.view.getInt32(start, true) : 0;
  return flags & NLM_F.ACK_TLVS ? readAttributes(source, errno, start + 4, end) : { errno };
}

function readAttributes(
  source: Source,
  errno: number,
  start: number,
  end: number,
): Acknowledgement {
  const ack: Mutable<Acknowledgement> = { errno };
  forEachAttribute(source, start, end, (type, at, length) => {
    if (type === NLMSGERR_ATTR.MSG) ack.message = readText(source, at, length);
    else if (type === NLMSGERR_ATTR.POLICY) ack.policy = readPolicy(source, at, at + length);
    else if (length < 4) return;
    else if (type === NLMSGERR_ATTR.OFFS) ack.offset = source.view.getUint32(at, true);
    else if (type === NLMSGERR_ATTR.MISS_TYPE) ack.missingType = source.view.getUint32(at, true);
    else if (type === NLMSGERR_ATTR.MISS_NEST) ack.missingNest = source.view.getUint32(at, true);
  });
  return ack;
}

/** The names of `enum netlink_attribute_type`, by number. */
const POLICY_TYPES = [
  "anything",
  "flag",
  "u8",
  "u16",
  "u32",
  "u64",
  "s8",
  "s16",
  "s32",
  "s64",
  "binary",
  "text",
  "NUL-terminated text",
  "nest",
  "nest array",
  "bitfield32",
  "sint",
  "uint",
];

function readPolicy(source: Source, start: number, end: number): string {
  const A = NL_POLICY_TYPE_ATTR;
  const values = new Map<number, bigint>();
  forEachAttribute(source, start, end, (type, at, length) => {
    const { view } = source;
    if (length >= 8) {
      const signed = type === A.MIN_VALUE_S || type === A.MAX_VALUE_S;
      values.set(type, signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true));
    } else if (length >= 4) values.set(type, BigInt(view.getUint32(at, true)));
  });
  const type = Number(values.get(A.TYPE) ?? 0n);
  let text = POLICY_TYPES[type] ?? `type ${type}`;
  const min = values.get(A.MIN_VALUE_S) ?? values.get(A.MIN_VALUE_U);
  const max = values.get(A.MAX_VALUE_S) ?? values.get(A.MAX_VALUE_U);
  if (min !== undefined || max !== undefined) text += ` in ${min ?? ""}..${max ?? ""}`;
  const least = values.get(A.MIN_LENGTH);
  const most = values.get(A.MAX_LENGTH);
  if (least !== undefined || most !== undefined) text += ` of ${least ?? 0}..${most ?? ""} bytes`;
  const mask = values.get(A.MASK) ?? values.get(A.BITFIELD32_MASK);
  if (mask !== undefined) text += ` within mask 0x${mask.toString(16)}`;
  return text;
}

/** A request as it was sent. */
export interface SentRequest {
  /** The memory it is in. */
  readonly bytes: Source;
  /** Where its message starts; the kernel counts offsets from there. */
  readonly at: number;
  /** Size of the family's header. */
  readonly headerLength: number;
  /** The attribute set after it. */
  readonly names: AttributeNames;
}

/** Resolves an acknowledgement against the request it answers. */
export function explain(ack: Acknowledgement, request: SentRequest): ExtendedAck {
  const result: Mutable<ExtendedAck> = {};
  if (ack.message) result.message = ack.message;
  if (ack.policy) result.policy = ack.policy;
  if (ack.offset !== undefined) {
    result.attribute = attributePath(request, ack.offset).path;
  }
  if (ack.missingType !== undefined) {
    const nest = ack.missingNest === undefined
      ? { path: [], names: request.names }
      : attributePath(request, ack.missingNest);
    const name = nest.names?.nameOf(ack.missingType) ?? `attribute ${ack.missingType}`;
    result.missing = [...nest.path, name];
  }
  return result;
}

interface AttributePath {
  readonly path: string[];
  /** The set inside the last attribute of the path. */
  readonly names: AttributeNames | undefined;
}

/** Walks down a message to the attribute at `offset`. */
function attributePath(request: SentRequest, offset: number): AttributePath {
  const { bytes, at: message } = request;
  const target = message + offset;
  const path: string[] = [];
  let names: AttributeNames | undefined = request.names;
  const descend = (start: number, end: number): void => {
    forEachAttribute(bytes, start, end, (type, at, length) => {
      if (target < at - 4 || target >= at + length) return;
      path.push(names?.nameOf(type) ?? `attribute ${type}`);
      const field: Field<unknown> | undefined = names?.fieldOf(type);
      names = field?.schema;
      if (target >= at && field?.schema) descend(at + (field.innerHeader ?? 0), at + length);
    });
  };
  const end = message + bytes.view.getUint32(message, true);
  descend(message + NLMSG_HDRLEN + request.headerLength, end);
  return { path, names };
}
