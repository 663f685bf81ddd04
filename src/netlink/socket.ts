/**
 * The socket below a connection: the kernel's, or a test's.
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
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
  /** The socket. */
  readonly socket: Socket;
  readonly strict: boolean;
  received: Source = source(new Uint8Array(32768));
  readonly #peek = new Uint8Array(4);

  /**
   * @param netns The namespace the socket belongs to.
   * @param protocol `NETLINK.ROUTE`, `NETLINK.GENERIC`.
   */
  constructor(netns: NetNsRef, protocol: number) {
    const socket = new Socket(netns, C.AF_NETLINK, C.SOCK_RAW, protocol, "open a netlink socket");
    // Kernels before 4.20 lack some of these, and do without.
    socket.setOption(SOL_NETLINK, NETLINK_OPTION.EXT_ACK, 1);
    socket.setOption(SOL_NETLINK, NETLINK_OPTION.CAP_ACK, 1);
    this.strict = socket.setOption(SOL_NETLINK, NETLINK_OPTION.GET_STRICT_CHK, 1);
    // FORCE needs CAP_NET_ADMIN in the first user namespace; without it the system's limit holds.
    if (!socket.setOption(C.SOL_SOCKET, C.SO_RCVBUFFORCE, RECEIVE_BUFFER)) {
      socket.setOption(C.SOL_SOCKET, C.SO_RCVBUF, RECEIVE_BUFFER);
    }
    this.socket = socket;
  }

  send(bytes: Uint8Array<ArrayBuffer>, length: number): void {
    hook?.(bytes, length);
    this.socket.send(bytes, length, "send a netlink message");
  }

  receive(): number {
    const what = "receive a netlink message";
    const size = this.socket.receive(this.#peek, C.MSG_PEEK, what);
    if (size < 0) return -1;
    if (size > this.received.bytes.length) this.received = source(new Uint8Array(size));
    return this.socket.receive(this.received.bytes, 0, what);
  }

  close(): void {
    this.socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
