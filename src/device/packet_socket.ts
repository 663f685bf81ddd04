/**
 * Frames of a link as the wire has them: AF_PACKET (`packet(7)`).
 *
 * @module
 */
import { C } from "../../ffi/libc.ts";
import { linkSocketAddress, Socket } from "../../ffi/socket.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { connectionTo, type NetNsTarget, resolveNetNs } from "../netlink/connections.ts";
import { getLink } from "../rtnetlink/link.ts";
import { FdDevice } from "./fd_device.ts";
import { checkOptions, integer, type OptionNames, show } from "../options.ts";

/** Options of {@link PacketSocket.open}. */
export interface PacketSocketOptions {
  /** The link: a handle, or a name, an alternative name or an index in `netns`. */
  readonly link: { readonly ref: NetNsRef; readonly index: number } | string | number;
  /** The namespace of a link given by name or index. Default: the current one. */
  readonly netns?: NetNsTarget;
  /** EtherType of the frames wanted, 0x0600..0xffff: `0x0806` for ARP. Default: all frames. */
  readonly protocol?: number;
  /** Frames to other hosts too. Default: false. */
  readonly promiscuous?: boolean;
  /** Frames that this host sends over the link too; not with `protocol`. Default: false. */
  readonly outgoing?: boolean;
  /** Bytes of frames that may be queued, 1..2147483647. Default: the system's, mostly 212,992. */
  readonly receiveBuffer?: number;
}

const OPTIONS: OptionNames<PacketSocketOptions> = {
  link: true,
  netns: true,
  protocol: true,
  promiscuous: true,
  outgoing: true,
  receiveBuffer: true,
};

const ETH_P_ALL = 3;

/**
 * A socket on a link: reads the frames that arrive there, Ethernet header included, and sends frames.
 * The network stack gets these frames too. A VLAN tag that the kernel has removed is not in the frame.
 *
 * @example An ARP request by hand
 * ```ts
 * import { NetNs, PacketSocket, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * using host = NetNs.create();
 * const veth = Veth.create({
 *   name: "v0",
 *   netns,
 *   up: true,
 *   mac: "02:00:00:00:00:01",
 *   peer: { name: "v1", netns: host, up: true, addresses: ["192.0.2.1/24"] },
 * });
 * using socket = PacketSocket.open({ link: veth, protocol: 0x0806 });
 * const request = new Uint8Array(42);
 * request.fill(0xff, 0, 6); // to everybody
 * request.set([2, 0, 0, 0, 0, 1, 8, 6], 6); // from v0, ARP
 * request.set([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 9], 14); // who asks
 * request.set([192, 0, 2, 1], 38); // who is asked for
 * await socket.write(request);
 * const reply = new Uint8Array(64);
 * await socket.read(reply);
 * assertEquals(reply[21], 2); // a reply
 * ```
 */
export class PacketSocket extends FdDevice {
  /** Index of the link. */
  readonly index: number;

  private constructor(socket: Socket, what: string, index: number) {
    super(socket.fd, what);
    this.index = index;
  }

  /**
   * Opens a socket on a link. It receives no frames of other links, and none from before the call.
   *
   * @param options The link, and the frames to receive.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {SyscallError} EPERM without privileges.
   * @throws {TypeError} For a malformed or unknown option.
   * @throws {RangeError} For an option out of range.
   */
  static open(options: PacketSocketOptions): PacketSocket {
    checkOptions(options, OPTIONS);
    const { link, protocol = ETH_P_ALL, promiscuous = false, outgoing = false } = options;
    if (
      protocol !== ETH_P_ALL &&
      !(Number.isInteger(protocol) && protocol >= 0x600 && protocol <= 0xffff)
    ) {
      throw new RangeError(
        `protocol must be in 0x0600..0xffff: got ${show(protocol)}`,
      );
    }
    if (outgoing && protocol !== ETH_P_ALL) {
      throw new TypeError(
        `outgoing with protocol ${show(protocol)}: the kernel shows outgoing frames to sockets ` +
          "of all protocols only",
      );
    }
    const { receiveBuffer } = options;
    if (receiveBuffer !== undefined) {
      integer(receiveBuffer, "receiveBuffer", 1, 0x7fffffff, "bytes");
    }
    const handle = typeof link === "object" && link !== null;
    const netns = resolveNetNs(handle ? { ref: link.ref } : options.netns);
    try {
      const { index, name } = connectionTo(netns.ref).request(
        getLink(handle ? link.index : link, { stats: false }),
      );
      const what = `packet socket on ${show(name)}${netns.ref.place}`;
      // Protocol 0 is none: the socket receives nothing until it is bound.
      const socket = new Socket(netns.ref, C.AF_PACKET, C.SOCK_RAW, 0, `open ${what}`);
      try {
        if (receiveBuffer !== undefined) socket.setReceiveBuffer(receiveBuffer, what);
        if (!outgoing) {
          socket.setOptionInt(C.SOL_PACKET, C.PACKET_IGNORE_OUTGOING, 1, `open ${what}`);
        }
        if (promiscuous) {
          socket.setOptionBytes(
            C.SOL_PACKET,
            C.PACKET_ADD_MEMBERSHIP,
            membership(index),
            `open ${what}`,
          );
        }
        socket.bind(linkSocketAddress(index, protocol), `open ${what}`);
        return new PacketSocket(socket, what, index);
      } catch (error) {
        socket.close();
        throw error;
      }
    } finally {
      if (netns.owned) netns.ref.close();
    }
  }
}

/** `struct packet_mreq`: s32 ifindex, u16 type, u16 length, u8 address[8]. */
function membership(index: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, index, true);
  view.setUint16(4, C.PACKET_MR_PROMISC, true);
  return bytes;
}
