/**
 * Kernel notifications: a socket that has joined multicast groups.
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { readable } from "../../ffi/reactor.ts";
import type { Source } from "./bytes.ts";
import { NETLINK, NETLINK_OPTION, SOL_NETLINK } from "./constants.ts";
import { forEachMessage, type Header } from "./message.ts";
import { KernelSocket } from "./socket.ts";

/** Notifications of one namespace, from the moment of construction on. */
export class Subscription implements Disposable {
  readonly #socket: KernelSocket;

  /**
   * @param netns The namespace.
   * @param groups The groups to join, such as `RTNLGRP.LINK`.
   * @param protocol The netlink family; default: rtnetlink.
   */
  constructor(netns: NetNsRef, groups: readonly number[], protocol: number = NETLINK.ROUTE) {
    this.#socket = new KernelSocket(netns, protocol);
    try {
      // An unbound socket counts as the sender of what the kernel sends, and is left out.
      const address = new Uint8Array(12); // struct sockaddr_nl, port id 0: the kernel chooses
      address[0] = C.AF_NETLINK;
      this.#socket.socket.bind(address, "bind a netlink socket");
      for (const group of groups) {
        this.#socket.socket.setOptionBytes(
          SOL_NETLINK,
          NETLINK_OPTION.ADD_MEMBERSHIP,
          new Uint8Array(new Uint32Array([group]).buffer),
          `join netlink group ${group}`,
        );
      }
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
      try {
        const length = this.#socket.receive();
        if (length < 0) return overrun;
        const source = this.#socket.received;
        forEachMessage(source, length, (header) => visit(header, source));
      } catch (error) {
        if (!(error instanceof SyscallError) || error.errno !== ERRNO.ENOBUFS) throw error;
        overrun = true;
      }
    }
  }

  /** Resolves when something is queued. */
  ready(signal?: AbortSignal): Promise<void> {
    return readable(this.#socket.socket.fd, signal);
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
