/**
 * Requests on their way: encoded when added, sent a few at a time, each matched with its answer.
 *
 * @module
 */
import { ERRNO, type KernelError, SyscallError } from "../../ffi/errno.ts";
import { type AttributeNames, type Field, forEachAttribute, readText } from "./attribute.ts";
import type { Memory, Source } from "./bytes.ts";
import {
  decode,
  forEachMessage,
  type Header,
  NL_POLICY_TYPE_ATTR,
  NLM_F,
  NLMSG,
  NLMSG_HDRLEN,
  NLMSGERR_ATTR,
  type Request,
  writeMessage,
} from "./message.ts";
import { type ExtendedAck, NetlinkDecodeError, NetlinkError } from "./error.ts";
import type { NetlinkSocket } from "./socket.ts";
import { report, tracing } from "./trace.ts";

/** The outcome of one request of a batch. */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: KernelError | NetlinkDecodeError };

/** Where a connection's requests land, as messages name it. */
export interface Where {
  /** `netns "blue"`; empty for the process's own namespace. */
  readonly description: string;
  /** Its name below /run/netns, if it has one. */
  readonly netnsName: string | undefined;
}

/** Messages in one send: with default buffers only about 256 acknowledgements survive one. */
const MESSAGES_PER_SEND = 128;
/** What a reply with data counts for in that. */
const REPLY_WEIGHT = 8;
/** Bytes in one send, below every default send buffer. */
const BYTES_PER_SEND = 64 << 10;
/** How often a request is sent whose answer was longer than the memory for it, or was lost. */
const ATTEMPTS = 4;

const ACKNOWLEDGED: Result<undefined> = Object.freeze({ ok: true, value: undefined });

/** What is kept of a request beside its bytes: a tenth of its memory. */
interface Entry {
  /** Where its message starts. */
  readonly start: number;
  /** Where the text of what it does starts. */
  readonly operation: number;
  readonly headerLength: number;
  readonly names: AttributeNames;
  readonly reply: Request["reply"];
}

/** The requests of one batch. */
export class Outbox {
  readonly #memory: Memory;
  readonly #where: Where;
  readonly #entries: Entry[] = [];
  readonly #results: Result<unknown>[] = [];
  /** The whole requests, for a trace alone. */
  readonly #requests: Request[] | undefined = tracing() ? [] : undefined;
  readonly #flagsOf: (request: Request) => number;

  /**
   * Makes an empty one.
   *
   * @param memory For messages and answers.
   * @param where The namespace, for errors.
   * @param whole For {@link Outbox.sendWhole}: most messages are not acknowledged.
   */
  constructor(memory: Memory, where: Where, whole = false) {
    this.#memory = memory;
    this.#where = where;
    this.#flagsOf = whole ? ({ flags }) => NLM_F.REQUEST | flags : flagsOf;
  }

  /** The number of requests. */
  get length(): number {
    return this.#entries.length;
  }

  /** Encodes a request. Throws for bad input. */
  add(request: Request): void {
    const { format, message, operation, reply } = request;
    const { writer, operations } = this.#memory;
    const start = writeMessage(writer, request, this.#flagsOf(request), 0);
    this.#entries.push({
      start,
      operation: operations.length,
      headerLength: format.headerLength,
      names: format.schemaOf(message),
      reply,
    });
    operations.text(operation);
    this.#requests?.push(request);
  }

  /** Sends all. The sequence numbers are `base` and those after it. */
  send(socket: NetlinkSocket, base: number): void {
    for (let first = 0; first < this.length;) {
      const last = this.#endOfSend(first);
      this.#exchange(socket, { first, last, base, attempts: ATTEMPTS });
      first = last;
    }
  }

  /**
   * Sends all at once, to a family that takes them whole or not at all (nfnetlink). The first and the last
   * are the frame around them. One acknowledgement stands for all, errors come for each.
   */
  sendWhole(socket: NetlinkSocket, base: number): void {
    const { writer } = this.#memory;
    const last = this.length - 2;
    for (let i = 0; i < this.length; i++) {
      writer.view.setUint32(this.#entries[i]!.start + 8, base + i, true);
    }
    const at = this.#entries[last]!.start + 6;
    writer.view.setUint16(at, writer.view.getUint16(at, true) | NLM_F.ACK, true);
    socket.send(writer.bytes, writer.length);
    const results: (Result<unknown> | undefined)[] = [];
    let failed = false;
    let acknowledged = false;
    const visit = (header: Header): void => {
      const index = header.sequence - base;
      if (index < 0 || index >= this.length) return;
      const result = this.#result(index, header);
      if (result === ACKNOWLEDGED) acknowledged ||= index === last;
      else if (result) {
        failed ||= !result.ok;
        results[index] = result;
      }
    };
    let lost: SyscallError | undefined;
    for (;;) {
      const length = this.#receive(socket, last);
      if (length instanceof SyscallError) {
        if (lost) throw length;
        lost = length;
      } else if (length < 0) break;
      else if (length <= this.#memory.received.bytes.length) {
        forEachMessage(this.#memory.received, length, visit);
      }
      // Of a result that is too long only the sequence number counts: it was done.
    }
    const missing = failed || acknowledged
      ? undefined
      : unanswered(this.#operation(last), this.#where, lost);
    for (let i = 0; i < this.length; i++) {
      const error = missing ?? (failed ? this.#canceled(i) : undefined);
      this.#results[i] = results[i] ?? (error ? { ok: false, error } : ACKNOWLEDGED);
    }
  }

  /** The error of a message that was not refused itself. */
  #canceled(index: number): NetlinkError {
    return new NetlinkError({
      ...this.#operation(index),
      netns: this.#where.description,
      errno: ERRNO.ECANCELED,
      text: "Another message of the batch was refused",
    });
  }

  /** The results, in order, when sending has failed with `error` or has not. Tells traces of them. */
  results(error?: KernelError): Result<unknown>[] {
    for (let i = 0; i < this.length; i++) {
      this.#results[i] ??= { ok: false, error: this.#failed(i, error!) };
    }
    for (const [i, request] of (this.#requests ?? []).entries()) {
      const result = this.#results[i]!;
      report(request, this.#flagsOf(request), this.#where, result.ok ? undefined : result.error);
    }
    return this.#results;
  }

  /** The error of a request that could not be sent, or whose answer could not be received. */
  #failed(index: number, error: KernelError): KernelError {
    if (!(error instanceof SyscallError)) return error;
    const { syscall, errno } = error;
    const { operation } = this.#operation(index);
    return new SyscallError(operation, { syscall, errno, netns: this.#where.description });
  }

  /** The index after the last request that fits into the send starting with `first`. */
  #endOfSend(first: number): number {
    let last = first;
    for (let weight = 0; last < this.length; last++) {
      weight += this.#entries[last]!.reply ? REPLY_WEIGHT : 1;
      const bytes = this.#end(last) - this.#entries[first]!.start;
      if (last > first && (weight > MESSAGES_PER_SEND || bytes > BYTES_PER_SEND)) break;
    }
    return last;
  }

  /** Where the message of a request ends. */
  #end(index: number): number {
    return this.#entries[index + 1]?.start ?? this.#memory.writer.length;
  }

  /** What a request does, for an error. */
  #operation(index: number): { operation: string } {
    const { operations } = this.#memory;
    const start = this.#entries[index]!.operation;
    const end = this.#entries[index + 1]?.operation ?? operations.length;
    return { operation: readText(operations, start, end - start) };
  }

  /** Sends requests `first` to before `last` at once and collects their answers. */
  #exchange(
    socket: NetlinkSocket,
    part: { first: number; last: number; base: number; attempts: number },
  ): void {
    const { first, last, base, attempts } = part;
    const { writer } = this.#memory;
    const results = this.#results;
    for (let i = first; i < last; i++) {
      writer.view.setUint32(this.#entries[i]!.start + 8, base + i, true);
    }
    const from = this.#entries[first]!.start;
    const bytes = writer.bytes.subarray(from, this.#end(last - 1));
    socket.send(bytes, bytes.length);

    const cut = new Set<number>();
    let lost: SyscallError | undefined;
    let pending = last - first;
    const visit = (header: Header): void => {
      const index = header.sequence - base;
      if (index < first || index >= last || results[index]) return;
      const result = this.#result(index, header);
      if (!result) return;
      results[index] = result;
      pending--;
    };
    while (pending > cut.size) {
      const length = this.#receive(socket, first);
      if (length instanceof SyscallError) {
        // ENOBUFS, mostly: there is one such error at a time, before what is queued.
        if (lost) throw length;
        lost = length;
        continue;
      }
      if (length < 0) break;
      const { received } = this.#memory;
      if (length <= received.bytes.length) forEachMessage(received, length, visit);
      else {
        // The answer to a single request; acknowledgements are small.
        const index = received.view.getUint32(8, true) - base;
        if (index >= first && index < last) cut.add(index);
        this.#memory.grow(length);
      }
    }
    for (let i = first; i < last; i++) {
      if (results[i]) continue;
      // What asks for data changes nothing: it can be sent again, alone.
      if ((cut.has(i) || lost) && this.#entries[i]!.reply && attempts > 1) {
        this.#exchange(socket, { first: i, last: i + 1, base, attempts: attempts - 1 });
      } else results[i] = { ok: false, error: unanswered(this.#operation(i), this.#where, lost) };
    }
  }

  #receive(socket: NetlinkSocket, first: number): number | SyscallError {
    try {
      const length = socket.receive(this.#memory.received.bytes);
      if (length !== 0) return length;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      return error;
    }
    throw tooLong(this.#operation(first), this.#where);
  }

  /** What a message says of the request it answers; one that cannot be read is that request's error. */
  #result(index: number, header: Header): Result<unknown> | undefined {
    const { received } = this.#memory;
    const { headerLength, reply } = this.#entries[index]!;
    try {
      if (header.type === NLMSG.ERROR) return this.#acknowledged(index, header);
      if (!reply || header.type === NLMSG.DONE) return undefined;
      return { ok: true, value: decode(reply, headerLength, received, header) };
    } catch (error) {
      if (!(error instanceof NetlinkDecodeError)) throw error;
      return { ok: false, error };
    }
  }

  #acknowledged(index: number, header: Header): Result<undefined> {
    const { received, writer } = this.#memory;
    const ack = readError(received, header);
    const { errno } = ack;
    if (errno === 0) return ACKNOWLEDGED;
    const { headerLength, names, start } = this.#entries[index]!;
    const error = new NetlinkError({
      ...this.#operation(index),
      netns: this.#where.description,
      errno,
      ack: explain(ack, { bytes: writer, at: start, headerLength, names }),
    });
    return { ok: false, error };
  }
}

/** A request that is answered with data needs no acknowledgement beside it. */
function flagsOf(request: Request): number {
  return NLM_F.REQUEST | request.flags | (request.reply ? 0 : NLM_F.ACK);
}

/** The error of a request without an answer. */
export function unanswered(
  { operation }: Pick<Request, "operation">,
  { description: netns }: Where,
  lost?: KernelError,
): NetlinkError {
  return new NetlinkError({
    operation,
    netns,
    errno: lost?.errno ?? ERRNO.ENODATA,
    text: lost ? "The kernel's answer was lost" : "The kernel sent no answer",
    hint: "the change may have been made",
  });
}

/**
 * The error of an answer that does not fit: into the kernel's message, which has no bytes then, for
 * ever; or into the memory for it, which grew each time.
 */
export function tooLong(
  { operation }: Pick<Request, "operation">,
  { description: netns }: Where,
): NetlinkError {
  return new NetlinkError({
    operation,
    netns,
    errno: ERRNO.EMSGSIZE,
    text: "The answer does not fit into a message",
  });
}

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
