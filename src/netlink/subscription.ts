/**
 * Kernel notifications: a socket that has joined multicast groups.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { lend, type Source } from "./bytes.ts";
import { NETLINK } from "./constants.ts";
import { NetlinkDecodeError } from "./error.ts";
import { forEachMessage, type Header } from "./message.ts";
import { KernelSocket } from "./socket.ts";
import { checkOptions, type OptionNames } from "../options.ts";

/** Options of a {@link Subscription}. */
export interface SubscriptionOptions {
  /** The netlink family; default: rtnetlink. */
  readonly protocol?: number;
  /** Bytes of notifications the kernel keeps until they are read; default 4 MiB. */
  readonly receiveBuffer?: number;
}

const OPTIONS: OptionNames<SubscriptionOptions> = { protocol: true, receiveBuffer: true };

const RECEIVE_BUFFER = 4 << 20;

/**
 * Errors of a socket that stand for lost messages: the queue was full, the kernel had no memory for one, or
 * could not fit an object into one.
 */
const LOSSES: ReadonlySet<number> = new Set([ERRNO.ENOBUFS, ERRNO.ENOMEM, ERRNO.EMSGSIZE]);
/** Losses in a row, with no message between them, after which the socket counts as broken. */
const MOST_LOSSES = 100;

/**
 * What {@link Subscription.receive} found: a message, nothing, or a loss. An overrun means that the kernel
 * dropped messages; an error means that a datagram could not be read.
 */
export type Received = "message" | "empty" | "overrun" | NetlinkDecodeError;

/** Notifications of one namespace, from the moment of construction on. */
export class Subscription implements Disposable {
  readonly #socket: KernelSocket;
  #losses = 0;

  /**
   * Joins groups.
   *
   * @param netns The namespace.
   * @param groups The groups, such as `RTNLGRP.LINK`.
   * @param options Family and buffer.
   */
  constructor(
    netns: NetNsRef,
    groups: readonly number[],
    options: SubscriptionOptions = {},
  ) {
    checkOptions(options, OPTIONS);
    const { protocol = NETLINK.ROUTE, receiveBuffer = RECEIVE_BUFFER } = options;
    this.#socket = new KernelSocket(netns, protocol);
    try {
      this.#socket.setReceiveBuffer(receiveBuffer);
      this.#socket.join(groups);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  /**
   * Reads all queued messages, without waiting.
   *
   * @param visit Called for each message; header and memory are valid during the call only.
   * @returns Whether messages are lost, as in {@link Subscription.receive}.
   */
  drain(visit: (header: Header, source: Source) => void): boolean {
    let lost = false;
    for (;;) {
      const received = this.receive(visit);
      if (received === "empty") return lost;
      if (received !== "message") lost = true;
    }
  }

  /**
   * Reads one datagram without waiting; it usually has one message. The others stay in the kernel's queue.
   *
   * @param visit Called for each message; header and memory are valid during the call only. When it throws
   * {@link NetlinkDecodeError} the rest of the datagram is skipped.
   * @returns `"overrun"` when the kernel dropped messages. After a full queue it drops all messages until the
   * queue is empty, and reports this once. The error when the datagram is malformed or `visit` could not
   * read a message.
   * @throws {SyscallError} When the socket cannot be read.
   */
  receive(visit: (header: Header, source: Source) => void): Received {
    using memory = lend();
    let length: number;
    try {
      // A datagram that does not fit would be lost.
      const size = this.#socket.peek();
      if (size > memory.received.bytes.length) memory.grow(size);
      length = size < 0 ? -1 : this.#socket.receive(memory.received.bytes);
    } catch (error) {
      const loss = error instanceof SyscallError && LOSSES.has(error.errno);
      if (!loss || ++this.#losses > MOST_LOSSES) throw error;
      return "overrun";
    }
    this.#losses = 0;
    if (length < 0) return "empty";
    const source = memory.received;
    try {
      forEachMessage(source, length, (header) => visit(header, source));
    } catch (error) {
      if (error instanceof NetlinkDecodeError) return error;
      throw error;
    }
    return "message";
  }

  /** Resolves when something is queued. */
  ready(signal?: AbortSignal): Promise<void> {
    return this.#socket.readable(signal);
  }

  /** Leaves the groups. No wait may be pending. */
  close(): void {
    this.#socket.close();
  }

  /** Same as {@link Subscription.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
