/**
 * The socket below a connection: the kernel's, or a test's.
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { readable } from "../../ffi/reactor.ts";
import { Socket } from "../../ffi/socket.ts";
import { Writer } from "./bytes.ts";
import { NETLINK_OPTION, NLM_F, NLMSG, NLMSG_HDRLEN, SOL_NETLINK } from "./constants.ts";

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
