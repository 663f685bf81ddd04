/**
 * The socket below a connection: the kernel's, or a test's.
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { readable } from "../../ffi/reactor.ts";
import { Socket } from "../../ffi/socket.ts";
import { type Source, source } from "./bytes.ts";
import { NETLINK_OPTION, SOL_NETLINK } from "./constants.ts";

/** What a connection needs of a socket. */
export interface NetlinkSocket extends Disposable {
  /** Sends the first `length` bytes as one datagram. */
  send(bytes: Uint8Array<ArrayBuffer>, length: number): void;
  /**
   * Receives the next datagram into {@link NetlinkSocket.received} and returns its length, or -1 when
   * none is queued. Never waits, never truncates. Throws `SyscallError`, ENOBUFS after an overrun.
   */
  receive(): number;
  /** The memory of the last datagram; valid until the next receive. */
  readonly received: Source;
  /** Whether dumps are filtered and checked strictly (`NETLINK_GET_STRICT_CHK`). */
  readonly strict: boolean;
  /** Releases the descriptor. */
  close(): void;
}

/** Sees, and may change, each buffer before it is sent. */
export type SendHook = (bytes: Uint8Array<ArrayBuffer>, length: number) => void;

let hook: SendHook | undefined;

/** For tests: injects faults at chosen messages. Dispose the result to stop. */
export function interceptSends(next: SendHook): Disposable {
  const before = hook;
  hook = next;
  return { [Symbol.dispose]: () => void (hook = before) };
}

/** Bytes of replies a socket holds: room for the answers to one send, and for bursts of events. */
const RECEIVE_BUFFER = 4 << 20;

/** A netlink socket in a namespace. */
export class KernelSocket implements NetlinkSocket {
  readonly #socket: Socket;
  readonly #peek = new Uint8Array(4);
  /** Whether dumps are filtered and checked strictly. */
  readonly strict: boolean;
  /** The memory of the last datagram; valid until the next receive. */
  received: Source = source(new Uint8Array(32768));

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
    this.strict = socket.setOption(SOL_NETLINK, NETLINK_OPTION.GET_STRICT_CHK, 1);
    this.#socket = socket;
    this.setReceiveBuffer(RECEIVE_BUFFER);
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

  /** Receives the next datagram whole and returns its length, or -1 when none is queued. */
  receive(): number {
    const what = "receive a netlink message";
    const size = this.#socket.receive(this.#peek, C.MSG_PEEK, what);
    if (size < 0) return -1;
    if (size > this.received.bytes.length) this.received = source(new Uint8Array(size));
    return this.#socket.receive(this.received.bytes, 0, what);
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
