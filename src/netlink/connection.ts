/**
 * A connection: sends requests, matches the answers by sequence number, turns refusals into errors.
 *
 * Everything is synchronous: rtnetlink has queued its whole answer before `send(2)` returns, and a dump
 * continues inside `recv(2)`. A receive never waits, so a missing answer is an error, not a hang.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { type Source, Writer } from "./bytes.ts";
import { NLM_F, NLMSG } from "./constants.ts";
import { DumpInterruptedError, NetlinkDecodeError, NetlinkError } from "./error.ts";
import { type Acknowledgement, explain, readDone, readError } from "./extack.ts";
import {
  type DumpRequest,
  forEachMessage,
  type Header,
  type Request,
  writeMessage,
} from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";
import { report } from "./trace.ts";

/** How one request of a batch went. */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: NetlinkError | NetlinkDecodeError };

/** Messages in one send: with default buffers only about 256 acknowledgements survive one. */
const MESSAGES_PER_SEND = 128;
/** What a reply with data counts for in that. */
const REPLY_WEIGHT = 8;
/** Bytes in one send, below every default send buffer. */
const BYTES_PER_SEND = 64 << 10;
/** How often an interrupted dump is tried. */
const DUMP_ATTEMPTS = 8;

/** Where a connection's requests land, as messages speak of it. */
export interface Where {
  /** `netns "blue"`; empty for the process's own namespace. */
  readonly description: string;
  /** Its name below /run/netns, if it has one. */
  readonly netnsName: string | undefined;
}

/** Requests and answers over one socket. */
export class Connection implements Disposable {
  readonly #socket: NetlinkSocket;
  readonly #where: Where;
  readonly #writer = new Writer();
  #sequence = 0;

  /**
   * Takes a socket over.
   *
   * @param socket The socket; the connection owns it from here.
   * @param where The namespace it is in.
   */
  constructor(socket: NetlinkSocket, where: Where) {
    this.#socket = socket;
    this.#where = where;
  }

  /** Sends one request and returns its answer. Throws {@link NetlinkError}. */
  request<T>(request: Request<T>): T {
    const [result] = this.batch([request]);
    if (!result!.ok) throw result!.error;
    return result!.value as T;
  }

  /**
   * Sends many requests, up to 128 in one send, and returns a result for each, in order. Not a
   * transaction: the kernel goes on after a refused request.
   */
  batch(requests: readonly Request[]): Result<unknown>[] {
    const writer = this.#writer;
    writer.length = 0;
    // All is encoded before anything is sent: bad input throws with nothing done.
    if (this.#sequence + requests.length > 0xffffffff) this.#sequence = 0;
    const base = this.#sequence + 1;
    const starts = requests.map((request) =>
      writeMessage(writer, request, flagsOf(request), ++this.#sequence)
    );
    starts.push(writer.length);
    const results: Result<unknown>[] = new Array(requests.length);
    try {
      for (let first = 0; first < requests.length;) {
        const last = endOfSend(requests, starts, first);
        this.#exchange(requests, starts, first, last, base, results);
        first = last;
      }
    } finally {
      // After the last send: a handler may make requests of its own, which need the writer.
      for (const [i, result] of results.entries()) {
        if (!result) break;
        const request = requests[i]!;
        report(request, flagsOf(request), this.#where, result.ok ? undefined : result.error);
      }
    }
    return results;
  }

  /**
   * Reads a whole table. An interrupted dump is read again, a few times; then
   * {@link DumpInterruptedError} has what was read.
   */
  dump<T>(request: DumpRequest<T>): T[] {
    let entries: T[] = [];
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const { values, interrupted } = this.#dumpChecked(request);
      entries = request.filter ? values.filter(request.filter) : values;
      if (!interrupted) return entries;
    }
    throw new DumpInterruptedError({
      operation: request.operation,
      netns: this.#where.description,
      errno: ERRNO.EAGAIN,
      text: `The table changed during each of ${DUMP_ATTEMPTS} reads`,
      hint: "error.partial has the last read",
    }, entries);
  }

  /** Closes the socket; a second call does nothing. */
  close(): void {
    this.#socket.close();
  }

  /** Same as {@link Connection.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Sends requests `first` to before `last` at once and collects each one's answer. */
  #exchange(
    requests: readonly Request[],
    starts: readonly number[],
    first: number,
    last: number,
    base: number,
    results: Result<unknown>[],
  ): void {
    let pending = last - first;
    const settle = (index: number, result: Result<unknown>) => {
      if (results[index]) return;
      results[index] = result;
      pending--;
    };
    const [from, to] = [starts[first]!, starts[last]!];
    this.#socket.send(this.#writer.bytes.subarray(from, to), to - from);
    let lost: SyscallError | undefined;
    while (pending > 0) {
      let length: number;
      try {
        length = this.#socket.receive();
      } catch (error) {
        if (!(error instanceof SyscallError) || error.errno !== ERRNO.ENOBUFS) throw error;
        lost = error;
        continue;
      }
      if (length < 0) break;
      const source = this.#socket.received;
      forEachMessage(source, length, (header) => {
        const index = header.sequence - base;
        if (index >= first && index < last) {
          const result = this.#result(requests[index]!, header, source, starts[index]!);
          if (result) settle(index, result);
        }
      });
    }
    for (let i = first; i < last; i++) {
      if (!results[i]) settle(i, { ok: false, error: this.#unanswered(requests[i]!, lost) });
    }
  }

  /** What a message says of the request it answers. */
  #result(
    request: Request,
    header: Header,
    source: Source,
    at: number,
  ): Result<unknown> | undefined {
    if (header.type === NLMSG.ERROR) {
      const ack = readError(source, header);
      return ack.errno === 0
        ? { ok: true, value: undefined }
        : { ok: false, error: this.#error(request, ack, at) };
    }
    if (!request.reply || header.type === NLMSG.DONE) return undefined;
    try {
      return { ok: true, value: request.reply(source, header.start, header.end) };
    } catch (error) {
      if (!(error instanceof NetlinkDecodeError)) throw error;
      return { ok: false, error };
    }
  }

  #dumpChecked<T>(request: DumpRequest<T>): { values: T[]; interrupted: boolean } {
    try {
      return this.#dumpOnce(request);
    } catch (error) {
      const refused = error instanceof NetlinkError &&
        (error.errno === ERRNO.EINVAL || error.errno === ERRNO.EOPNOTSUPP);
      if (error instanceof NetlinkError && error.errno === ERRNO.EBUSY) {
        // An earlier dump on this socket was not read to its end.
        while (this.#socket.receive() >= 0);
        return this.#dumpOnce(request);
      }
      if (!refused || !request.fallback) throw error;
      return this.#dumpOnce({ ...request, ...request.fallback, reply: request.reply });
    }
  }

  #dumpOnce<T>(request: DumpRequest<T>): { values: T[]; interrupted: boolean } {
    const writer = this.#writer;
    writer.length = 0;
    const sequence = this.#sequence = (this.#sequence + 1) >>> 0;
    const flags = NLM_F.REQUEST | NLM_F.DUMP | request.flags;
    writeMessage(writer, request, flags, sequence);
    this.#socket.send(writer.bytes, writer.length);

    const values: T[] = [];
    let done = false;
    let interrupted = false;
    let failure: unknown;
    while (!done) {
      const length = this.#socket.receive();
      if (length < 0) {
        failure ??= this.#unanswered(request);
        break;
      }
      const source = this.#socket.received;
      const visit = (header: Header): void => {
        if (header.sequence !== sequence) return;
        if (header.flags & NLM_F.DUMP_INTR) interrupted = true;
        if (header.type === NLMSG.DONE || header.type === NLMSG.ERROR) {
          const ack = header.type === NLMSG.DONE
            ? readDone(source, header)
            : readError(source, header);
          if (ack.errno !== 0) failure ??= this.#error(request, ack, 0);
          done = true;
          return;
        }
        if (failure) return;
        try {
          values.push(request.reply(source, header.start, header.end));
        } catch (error) {
          // Read on to the end: a half-read dump would be in the way of the next one.
          failure = error;
        }
      };
      forEachMessage(source, length, visit);
    }
    report(request, flags, this.#where, failure instanceof NetlinkError ? failure : undefined);
    if (failure) throw failure;
    return { values, interrupted };
  }

  #error(request: Request, ack: Acknowledgement, at: number): NetlinkError {
    return new NetlinkError({
      operation: request.operation,
      netns: this.#where.description,
      errno: ack.errno,
      ack: explain(
        ack,
        this.#writer,
        at,
        request.format.headerLength,
        request.format.schemaOf(request.message),
      ),
    });
  }

  #unanswered(request: Request, lost?: SyscallError): NetlinkError {
    return new NetlinkError({
      operation: request.operation,
      netns: this.#where.description,
      errno: lost?.errno ?? ERRNO.ENODATA,
      text: lost ? "The kernel's answer was lost" : "The kernel sent no answer",
      hint: "the change may have been made",
    });
  }
}

/** A request that is answered with data needs no acknowledgement beside it. */
function flagsOf(request: Request): number {
  return NLM_F.REQUEST | request.flags | (request.reply ? 0 : NLM_F.ACK);
}

/** The index after the last request that fits into the send starting with `first`. */
function endOfSend(
  requests: readonly Request[],
  starts: readonly number[],
  first: number,
): number {
  let last = first;
  for (let weight = 0; last < requests.length; last++) {
    weight += requests[last]!.reply ? REPLY_WEIGHT : 1;
    const bytes = starts[last + 1]! - starts[first]!;
    if (last > first && (weight > MESSAGES_PER_SEND || bytes > BYTES_PER_SEND)) break;
  }
  return last;
}
