/**
 * UDP datagrams (`udp(7)`): what tunnels carry packets in.
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import { writable } from "../../ffi/reactor.ts";
import { Socket } from "../../ffi/socket.ts";
import { IP_SOCKET_OPTIONS, IpSocket, type IpSocketOptions, openIpSocket } from "./ip_socket.ts";
import type { WaitOptions } from "./packet_device.ts";
import { checkOptions, type OptionNames, show } from "../options.ts";

/** Options of a UDP socket. */
export interface UdpSocketOptions extends IpSocketOptions {
  /**
   * A read may give many datagrams, one after the other: `UDP_GRO`. They are of one sender, and all but
   * the last, which may be shorter, have one size, at most 65,535 bytes together. Where they end, their
   * contents have to tell, as IP packets in a tunnel do. Default: false.
   */
  readonly gro?: boolean;
}

/** Options of {@link UdpSocket.writeSegments}. */
export interface WriteSegmentsOptions extends WaitOptions {
  /** How many of the bytes; default: all. */
  readonly length?: number;
}

const SEGMENTS_OPTIONS: OptionNames<WriteSegmentsOptions> = { length: true, signal: true };
const OPTIONS: OptionNames<UdpSocketOptions> = { ...IP_SOCKET_OPTIONS, gro: true };

/**
 * A UDP socket as a packet device: batches, streams and all. For everything else there is
 * `Deno.listenDatagram`.
 *
 * @example A datagram between two namespaces
 * ```ts
 * import { NetNs, UdpSocket, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using ns1 = NetNs.create();
 * using ns2 = NetNs.create();
 * const peer = { name: "v1", netns: ns2, up: true, addresses: ["192.0.2.2/24"] };
 * Veth.create({ name: "v0", netns: ns1, up: true, addresses: ["192.0.2.1/24"], peer });
 * using server = UdpSocket.open({ netns: ns2, local: { address: "192.0.2.2", port: 4789 } });
 * using client = UdpSocket.open({ netns: ns1, remote: { address: "192.0.2.2", port: 4789 } });
 * await client.write(new TextEncoder().encode("hello"));
 * const { length, from } = await server.readFrom(new Uint8Array(1500));
 * assertEquals([length, from], [5, client.local]);
 * ```
 */
export class UdpSocket extends IpSocket {
  #socket: Socket | undefined;

  /**
   * Opens a UDP socket.
   *
   * @param options Where it is, whom it talks to.
   * @throws {SyscallError} EADDRINUSE when the port is taken, EADDRNOTAVAIL when the namespace has no
   * such address, ENETUNREACH when `remote` has no route.
   * @throws {TypeError} For a malformed or unknown option.
   * @throws {RangeError} For an option out of range.
   */
  static open(options: UdpSocketOptions = {}): UdpSocket {
    checkOptions(options, OPTIONS);
    const { gro = false, ...rest } = options;
    if (typeof gro !== "boolean") {
      throw new TypeError(`gro must be a boolean: got ${show(gro)}`);
    }
    const open = openIpSocket(C.SOCK_DGRAM, 0, "UDP socket", rest);
    try {
      const socket = Socket.of(open.fd);
      if (gro) socket.setOptionInt(C.SOL_UDP, C.UDP_GRO, 1, `set gro of ${open.what}`);
      return new UdpSocket(open);
    } catch (error) {
      open.fd.close();
      throw error;
    }
  }

  /**
   * Writes many datagrams with one call, which the kernel cuts as late as it can: `UDP_SEGMENT`. The
   * socket needs a `remote`.
   *
   * @param bytes What is in the datagrams, one after the other; at most 64 of them, and 65,507 bytes.
   * @param size Bytes of each but the last, which may be shorter.
   * @param options How many of the bytes, abort signal.
   * @throws {SyscallError} EMSGSIZE when a datagram does not fit the link, EINVAL for too many of them.
   * @throws {RangeError} When `size` is not 1..65,507.
   *
   * @example Three datagrams, which arrive as one
   * ```ts
   * import { NetNs, UdpSocket } from "@netloom/netloom";
   * import { assertEquals } from "@std/assert";
   *
   * using netns = NetNs.create();
   * const server = { address: "127.0.0.1", port: 4789 };
   * using receiver = UdpSocket.open({ netns, local: server, gro: true });
   * using sender = UdpSocket.open({ netns, remote: server });
   * await sender.writeSegments(new Uint8Array(2500), 1000); // 1000, 1000 and 500 bytes
   * assertEquals(await receiver.read(new Uint8Array(65_535)), 2500);
   * ```
   */
  async writeSegments(
    bytes: Uint8Array,
    size: number,
    options: WriteSegmentsOptions = {},
  ): Promise<void> {
    checkOptions(options, SEGMENTS_OPTIONS);
    const { length, signal } = options;
    while (!this.tryWriteSegments(bytes, size, length)) await writable(this.fd, signal);
  }

  /** Does the same, of the first `length` bytes, if the socket takes it now: whether it did. */
  tryWriteSegments(bytes: Uint8Array, size: number, length: number = bytes.length): boolean {
    if (!Number.isInteger(size) || size < 1 || size > 65_507) {
      throw new RangeError(`size must be in 1..65507: got ${show(size)}`);
    }
    if (length <= size) return this.tryWrite(bytes, length);
    this.#setSegmentSize(size);
    try {
      return this.tryWrite(bytes, length);
    } finally {
      // Other writes are one datagram each.
      this.#setSegmentSize(0);
    }
  }

  #setSegmentSize(size: number): void {
    const what = `set the size of segments of ${this.what}`;
    const { fd } = this; // Throws when it is closed.
    this.#socket ??= Socket.of(fd);
    this.#socket.setOptionInt(C.SOL_UDP, C.UDP_SEGMENT, size, what);
  }
}
