/**
 * Kernel notifications: a socket that has joined multicast groups.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import type { Source } from "./bytes.ts";
import { NETLINK } from "./constants.ts";
import { lend } from "./memory.ts";
import { forEachMessage, type Header } from "./message.ts";
import { KernelSocket } from "./socket.ts";

/** Options of a {@link Subscription}. */
export interface SubscriptionOptions {
  /** The netlink family; default: rtnetlink. */
  readonly protocol?: number;
  /** Bytes of notifications the kernel keeps until they are read; default 4 MiB. */
  readonly receiveBuffer?: number;
}

const RECEIVE_BUFFER = 4 << 20;

/** Notifications of one namespace, from the moment of construction on. */
export class Subscription implements Disposable {
  readonly #socket: KernelSocket;

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
   * Reads what is queued, without waiting.
   *
   * @param visit Called for each message; header and memory are valid during the call only.
   * @returns Whether the kernel dropped messages: the queue was full.
   */
  drain(visit: (header: Header, source: Source) => void): boolean {
    let overrun = false;
    for (;;) {
      const outcome = this.receive(visit);
      if (outcome === "empty") return overrun;
      if (outcome === "overrun") overrun = true;
    }
  }

  /**
   * Reads one datagram, which mostly is one message, without waiting: what is not read stays with the
   * kernel.
   *
   * @param visit Called for each message; header and memory are valid during the call only.
   * @returns `"overrun"` when the queue was full and the kernel dropped messages: it drops all until
   * the queue has been read empty, and says so once.
   */
  receive(visit: (header: Header, source: Source) => void): "message" | "empty" | "overrun" {
    using memory = lend();
    let length: number;
    try {
      // What does not fit would be lost.
      const size = this.#socket.peek();
      if (size > memory.received.bytes.length) memory.grow(size);
      length = size < 0 ? -1 : this.#socket.receive(memory.received.bytes);
    } catch (error) {
      if (!(error instanceof SyscallError) || error.errno !== ERRNO.ENOBUFS) throw error;
      return "overrun";
    }
    if (length < 0) return "empty";
    const source = memory.received;
    forEachMessage(source, length, (header) => visit(header, source));
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
