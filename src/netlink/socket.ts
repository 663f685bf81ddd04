/**
 * Netlink sockets: the one below a connection, the kernel's or a test's, and subscriptions to multicast
 * groups.
 *
 * @module
 */
import { C } from "../../ffi/libc.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { readable } from "../../ffi/reactor.ts";
import { Socket } from "../../ffi/socket.ts";
import { lend, type Source, Writer } from "./bytes.ts";
import {
  forEachMessage,
  type Header,
  NETLINK,
  NETLINK_OPTION,
  NLM_F,
  NLMSG,
  NLMSG_HDRLEN,
  SOL_NETLINK,
} from "./message.ts";
import { NetlinkDecodeError } from "./error.ts";
import { checkOptions, type OptionNames } from "../options.ts";

/** What a connection needs of a socket. */
export interface NetlinkSocket extends Disposable {
  /** Sends the first `length` bytes as one datagram. */
  send(bytes: Uint8Array<ArrayBuffer>, length: number): void;
  /**
   * Receives the next datagram and returns its length, or -1 when none is queued. What does not fit
   * into the buffer is lost: the length tells. Never waits. Throws `SyscallError`, ENOBUFS after an
   * overrun.
   */
  receive(buffer: Uint8Array<ArrayBuffer>): number;
  /** Has the kernel fill messages of a dump up to the size of `buffer`, from the first one on. */
  prepareDump(buffer: Uint8Array<ArrayBuffer>): void;
  /** Releases the descriptor. */
  close(): void;
}

/** Sees, and may change, each buffer before it is sent. */
export type SendHook = (bytes: Uint8Array<ArrayBuffer>, length: number) => void;

const NOTHING = new Uint8Array(0);
/** Bytes that the send buffer of a socket takes at once without more ado. */
const SEND_BUFFER = 64 << 10;

let hook: SendHook | undefined;

/** For tests: injects faults at chosen messages. Dispose the result to stop. */
export function interceptSends(next: SendHook): Disposable {
  const before = hook;
  hook = next;
  return { [Symbol.dispose]: () => void (hook = before) };
}

const RECEIVE = "receive a netlink message";

/** A netlink socket in a namespace. */
export class KernelSocket implements NetlinkSocket {
  readonly #socket: Socket;
  #received = 0;
  #sendBuffer = SEND_BUFFER;

  /**
   * Opens a socket.
   *
   * @param netns The namespace the socket belongs to.
   * @param protocol `NETLINK.ROUTE`, `NETLINK.GENERIC`.
   */
  constructor(netns: NetNsRef, protocol: number) {
    const socket = new Socket(netns, C.AF_NETLINK, C.SOCK_RAW, protocol, "open a netlink socket");
    // Kernels before 4.20 lack some of these, and do without.
    socket.setOption(SOL_NETLINK, NETLINK_OPTION.EXT_ACK, 1);
    socket.setOption(SOL_NETLINK, NETLINK_OPTION.CAP_ACK, 1);
    socket.setOption(SOL_NETLINK, NETLINK_OPTION.GET_STRICT_CHK, 1);
    this.#socket = socket;
  }

  /** Sets how many bytes of unread messages the socket holds. */
  setReceiveBuffer(bytes: number): void {
    // FORCE needs CAP_NET_ADMIN in the first user namespace; without it the system's limit holds.
    if (!this.#socket.setOption(C.SOL_SOCKET, C.SO_RCVBUFFORCE, bytes)) {
      this.#socket.setOption(C.SOL_SOCKET, C.SO_RCVBUF, bytes);
    }
  }

  /** Joins multicast groups: notifications are received from here on. */
  join(groups: readonly number[]): void {
    // An unbound socket counts as the sender of what the kernel sends, and is left out.
    const address = new Uint8Array(12); // struct sockaddr_nl, port id 0: the kernel chooses
    address[0] = C.AF_NETLINK;
    this.#socket.bind(address, "bind a netlink socket");
    for (const group of groups) {
      this.#socket.setOptionBytes(
        SOL_NETLINK,
        NETLINK_OPTION.ADD_MEMBERSHIP,
        new Uint8Array(new Uint32Array([group]).buffer),
        `join netlink group ${group}`,
      );
    }
  }

  /** Sends the first `length` bytes as one datagram. */
  send(bytes: Uint8Array<ArrayBuffer>, length: number): void {
    hook?.(bytes, length);
    if (length > this.#sendBuffer) {
      this.#sendBuffer = length;
      // The kernel doubles it, and needs some of it. FORCE as for the receive buffer.
      if (!this.#socket.setOption(C.SOL_SOCKET, C.SO_SNDBUFFORCE, length)) {
        this.#socket.setOption(C.SOL_SOCKET, C.SO_SNDBUF, length);
      }
    }
    this.#socket.send(bytes, length, "send a netlink message");
  }

  /** As of {@link NetlinkSocket}. */
  receive(buffer: Uint8Array<ArrayBuffer>): number {
    const length = this.#socket.receive(buffer, 0, RECEIVE);
    if (length >= 0) this.#received = Math.max(this.#received, buffer.length);
    return length;
  }

  /** The length of the next datagram, which stays queued; -1 when there is none. */
  peek(): number {
    return this.#socket.receive(NOTHING, C.MSG_PEEK, RECEIVE);
  }

  /**
   * As of {@link NetlinkSocket}. The kernel goes by the largest buffer that something was received into:
   * without that, by a page, and leaves larger entries out. So this has it acknowledge an empty message.
   */
  prepareDump(buffer: Uint8Array<ArrayBuffer>): void {
    if (this.#received >= buffer.length) return;
    const message = new Writer(NLMSG_HDRLEN);
    message.reserve(NLMSG_HDRLEN);
    message.view.setUint32(0, NLMSG_HDRLEN, true);
    message.view.setUint16(4, NLMSG.NOOP, true);
    message.view.setUint16(6, NLM_F.REQUEST | NLM_F.ACK, true);
    this.#socket.send(message.bytes, NLMSG_HDRLEN, "send a netlink message");
    this.receive(buffer);
  }

  /** Resolves when something is queued. */
  readable(signal?: AbortSignal): Promise<void> {
    return readable(this.#socket.fd, signal);
  }

  /** Closes the socket; a second call does nothing. */
  close(): void {
    this.#socket.close();
  }

  /** Same as {@link KernelSocket.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

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
