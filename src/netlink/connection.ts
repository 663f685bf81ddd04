/**
 * A connection: sends requests, matches the answers by sequence number, turns refusals into errors.
 *
 * Everything is synchronous: rtnetlink has queued its whole answer before `send(2)` returns, and a dump
 * continues inside `recv(2)`. A receive never waits, so a missing answer is an error, not a hang.
 *
 * @module
 */
import { ERRNO, KernelError } from "../../ffi/errno.ts";
import {
  decode,
  type DumpRequest,
  forEachMessage,
  type Header,
  NLM_F,
  NLMSG,
  type Request,
  writeMessage,
} from "./message.ts";
import { DumpInterruptedError, NetlinkError } from "./error.ts";
import {
  explain,
  Outbox,
  readDone,
  readError,
  type Result,
  tooLong,
  unanswered,
  type Where,
} from "./outbox.ts";
import { lend, type Memory } from "./bytes.ts";
import type { NetlinkSocket } from "./socket.ts";
import { report } from "./trace.ts";
import { atCaller } from "../options.ts";

/** How often a dump is tried that is interrupted, or does not fit into the memory for it. */
const DUMP_ATTEMPTS = 8;

/** What came of a dump. */
interface Dumped<T> {
  readonly values: T[];
  /** Why it is not whole. */
  failure?: unknown;
  /** The table changed meanwhile. */
  interrupted: boolean;
  /** Bytes of a datagram that was longer than the memory; 0: none was. */
  cut: number;
}

/** Many requests, or a function that is given one that adds them. */
export type Requests = readonly Request[] | ((add: (request: Request) => void) => void);

/** Requests and answers over one socket. */
export class Connection implements Disposable {
  readonly #open: () => NetlinkSocket;
  readonly #where: Where;
  #socket: NetlinkSocket | undefined;
  #sequence = 0;
  #busy = false;
  #closed = false;

  /**
   * Prepares a connection; the socket is opened at first use.
   *
   * @param open Opens a socket, which the connection closes: at first use, and again where one is left
   * with answers that nobody has read.
   * @param where The namespace it is in.
   */
  constructor(open: () => NetlinkSocket, where: Where) {
    this.#open = open;
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
   *
   * All are encoded before the first is sent: bad input throws with nothing done. What is kept of each
   * until then is its message. Where sending fails, that is the error of all without an answer.
   *
   * @param requests The requests.
   */
  batch(requests: Requests): Result<unknown>[] {
    return atCaller(this.batch, () => {
      using memory = lend();
      const outbox = new Outbox(memory, this.#where);
      const add = (request: Request) => outbox.add(request);
      if (typeof requests === "function") requests(add);
      else requests.forEach(add);
      return this.#results(outbox, this.batch, (socket, first) => outbox.send(socket, first));
    });
  }

  /**
   * Sends requests as one transaction: all are done, or none. For families that have such batches
   * (nfnetlink); the first and the last request are the frame around them.
   *
   * @param requests The requests. One with `NLM_F_ECHO` has its reply as value, if that fits.
   * @returns A result for each. When one is refused, none is `ok`: the others have ECANCELED.
   */
  transaction(requests: readonly Request[]): Result<unknown>[] {
    return atCaller(this.transaction, () => {
      using memory = lend();
      const outbox = new Outbox(memory, this.#where, true);
      for (const request of requests) outbox.add(request);
      return this.#results(outbox, this.transaction, (socket, first) => {
        outbox.sendWhole(socket, first);
      });
    });
  }

  /**
   * Reads a whole table. An interrupted dump is read again, a few times; then
   * {@link DumpInterruptedError} has what was read.
   */
  dump<T>(request: DumpRequest<T>): T[] {
    let entries: T[] = [];
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const { values, interrupted } = atCaller(this.dump, () => this.#dumpChecked(request));
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

  /** Sends what is in the outbox; the error of the first refused request begins at the caller of `entry`. */
  #results(
    outbox: Outbox,
    entry: (...args: never[]) => unknown,
    send: (socket: NetlinkSocket, first: number) => void,
  ): Result<unknown>[] {
    if (outbox.length === 0) return [];
    let failure: KernelError | undefined;
    try {
      this.#use((socket) => send(socket, this.#take(outbox.length)));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      failure = error;
    }
    const results = outbox.results(failure);
    const refused = results.find((it) => !it.ok);
    if (refused?.ok === false) Error.captureStackTrace(refused.error, entry);
    return results;
  }

  /** Opens the socket now: at first use no descriptor may be free. */
  open(): this {
    this.#use(() => {});
    return this;
  }

  /** Closes the socket; a second call does nothing. */
  close(): void {
    this.#closed = true;
    this.#socket?.close();
    this.#socket = undefined;
  }

  /** Same as {@link Connection.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Takes sequence numbers and returns the first. */
  #take(count: number): number {
    if (this.#sequence + count > 0xffffffff) this.#sequence = 0;
    this.#sequence += count;
    return this.#sequence - count + 1;
  }

  /** Calls `step` with the socket. When that throws, later answers come over another one. */
  #use<T>(step: (socket: NetlinkSocket) => T): T {
    if (this.#closed) throw new TypeError("The connection is closed");
    if (this.#busy) {
      // A decoder makes a request of its own: its answers are not to be mixed with the others.
      using other = this.#open();
      return step(other);
    }
    this.#busy = true;
    try {
      return step(this.#socket ??= this.#open());
    } catch (error) {
      this.#socket?.close();
      this.#socket = undefined;
      throw error;
    } finally {
      this.#busy = false;
    }
  }

  #dumpChecked<T>(request: DumpRequest<T>): Dumped<T> {
    try {
      return this.#dumpOnce(request);
    } catch (error) {
      const refused = error instanceof NetlinkError &&
        (error.errno === ERRNO.EINVAL || error.errno === ERRNO.EOPNOTSUPP);
      if (!refused || !request.fallback) throw error;
      return this.#dumpOnce({ ...request, ...request.fallback, reply: request.reply });
    }
  }

  #dumpOnce<T>(request: DumpRequest<T>): Dumped<T> {
    using memory = lend();
    const flags = NLM_F.REQUEST | NLM_F.DUMP | request.flags;
    writeMessage(memory.writer, request, flags, this.#take(1));
    let dumped: Dumped<T> = { values: [], interrupted: false, cut: 0 };
    try {
      for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
        dumped = this.#use((socket) => this.#readDump(request, socket, memory));
        if (dumped.cut === 0) break;
        memory.grow(dumped.cut);
      }
      if (dumped.cut > 0) throw tooLong(request, this.#where);
    } catch (error) {
      dumped.failure = error;
    }
    const { failure } = dumped;
    report(request, flags, this.#where, failure instanceof NetlinkError ? failure : undefined);
    if (failure) throw failure;
    return dumped;
  }

  /** Sends the dump request in the memory, and reads all that comes. */
  #readDump<T>(request: DumpRequest<T>, socket: NetlinkSocket, memory: Memory): Dumped<T> {
    const { writer, received } = memory;
    const { headerLength } = request.format;
    const sequence = writer.view.getUint32(8, true);
    const dumped: Dumped<T> = { values: [], interrupted: false, cut: 0 };
    let done = false;
    const visit = (header: Header): void => {
      if (header.sequence !== sequence) return;
      if (header.flags & NLM_F.DUMP_INTR) dumped.interrupted = true;
      if (header.type === NLMSG.DONE || header.type === NLMSG.ERROR) {
        const read = header.type === NLMSG.DONE ? readDone : readError;
        dumped.failure ??= this.#refusal(request, read(received, header), memory);
        done = true;
      } else if (!dumped.failure && dumped.cut === 0) {
        try {
          dumped.values.push(decode(request.reply, headerLength, received, header));
        } catch (error) {
          // Read on to the end: what is left would be in the way of the next dump.
          dumped.failure = error;
        }
      }
    };
    socket.prepareDump(received.bytes);
    socket.send(writer.bytes, writer.length);
    while (!done) {
      const length = socket.receive(received.bytes);
      if (length === 0) throw tooLong(request, this.#where);
      if (length > received.bytes.length) dumped.cut = Math.max(dumped.cut, length);
      else if (length < 0 && dumped.cut > 0) done = true; // the end was in what was cut
      else if (length < 0) throw dumped.failure ?? unanswered(request, this.#where);
      else forEachMessage(received, length, visit);
    }
    return dumped;
  }

  #refusal(
    request: Request,
    ack: ReturnType<typeof readError>,
    { writer }: Memory,
  ): NetlinkError | undefined {
    if (ack.errno === 0) return undefined;
    const { operation, format: { headerLength, schemaOf }, message } = request;
    const sent = { bytes: writer, at: 0, headerLength, names: schemaOf(message) };
    const netns = this.#where.description;
    return new NetlinkError({ operation, netns, errno: ack.errno, ack: explain(ack, sent) });
  }
}
