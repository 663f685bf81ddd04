/**
 * UDP datagrams (`udp(7)`): what tunnels carry packets in.
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import { checkOptions } from "../netlink/options.ts";
import { IP_SOCKET_OPTIONS, IpSocket, type IpSocketOptions, openIpSocket } from "./ip_socket.ts";

const OPTIONS: ReadonlySet<string> = new Set(IP_SOCKET_OPTIONS);

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
  /**
   * Opens a UDP socket.
   *
   * @param options Where it is, whom it talks to.
   * @throws {SyscallError} EADDRINUSE when the port is taken, EADDRNOTAVAIL when the namespace has no
   * such address, ENETUNREACH when `remote` has no route.
   * @throws {TypeError} For a malformed or unknown option.
   * @throws {RangeError} For an option out of range.
   */
  static open(options: IpSocketOptions = {}): UdpSocket {
    checkOptions(options, OPTIONS);
    return new UdpSocket(openIpSocket(C.SOCK_DGRAM, 0, "UDP socket", options));
  }
}
