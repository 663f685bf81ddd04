/**
 * IP packets of one protocol: `raw(7)`, `ipv6(7)`.
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import { Socket } from "../../ffi/socket.ts";
import { IPPROTO } from "../packet/ip.ts";
import {
  IP_SOCKET_OPTIONS,
  IpSocket,
  type IpSocketOptions,
  type OpenIpSocket,
  openIpSocket,
} from "./ip_socket.ts";
import { checkOptions, type OptionNames, show } from "../options.ts";

/** A protocol over IP, by the name of its `IPPROTO_*` constant in lower case. */
export type IpProtocol = Lowercase<keyof typeof IPPROTO>;

const PROTOCOLS: ReadonlyMap<string, number> = new Map(
  Object.entries(IPPROTO).map(([name, number]) => [name.toLowerCase(), number]),
);

/** Options of {@link RawSocket.open}. */
export interface RawSocketOptions extends IpSocketOptions {
  /** The protocol, by name or number, 0..255. 255 with `header` is any. */
  readonly protocol: IpProtocol | number;
  /** Default: that of `remote` or `local`; otherwise IPv6 for `icmpv6`, and IPv4. */
  readonly family?: "inet" | "inet6";
  /** Packets are written with their IP header (IP_HDRINCL, IPV6_HDRINCL). Default: false. */
  readonly header?: boolean;
  /** What the network answers to a packet is an error of the next call (IP_RECVERR). Default: false. */
  readonly receiveErrors?: boolean;
}

const OPTIONS: OptionNames<RawSocketOptions> = {
  protocol: true,
  family: true,
  header: true,
  receiveErrors: true,
  ...IP_SOCKET_OPTIONS,
};

/**
 * A raw socket: reads the IP packets of a protocol that arrive in a namespace, a copy each, and sends
 * packets of it. What is read of IPv4 begins with the IP header, of IPv6 with what follows the headers.
 * The kernel delivers TCP and UDP to no raw socket on the way out, and handles what arrives all the same.
 *
 * @example Who sends pings
 * ```ts
 * import { NetNs, RawSocket, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using ns1 = NetNs.create();
 * using ns2 = NetNs.create();
 * const peer = { name: "v1", netns: ns2, up: true, addresses: ["192.0.2.2/24"] };
 * const addresses = ["192.0.2.1/24"];
 * const veth = Veth.create({ name: "v0", netns: ns1, up: true, addresses, peer });
 * await veth.waitFor((link) => link.operstate === "up");
 * using socket = RawSocket.open({ protocol: "icmp", netns: ns2 });
 * await ns1.ping("192.0.2.2");
 * const { from } = await socket.readFrom(new Uint8Array(1500));
 * assertEquals(from.address, "192.0.2.1");
 * ```
 */
export class RawSocket extends IpSocket {
  readonly #socket: Socket;

  private constructor(open: OpenIpSocket) {
    super(open);
    this.#socket = Socket.of(open.fd);
  }

  /**
   * Opens a raw socket.
   *
   * @param options The protocol, and what else.
   * @throws {SyscallError} EPERM without privileges, ENETUNREACH when `remote` has no route.
   * @throws {TypeError} For a malformed or unknown option.
   * @throws {RangeError} For an option out of range.
   */
  static open(options: RawSocketOptions): RawSocket {
    checkOptions(options, OPTIONS);
    const { protocol: named, header = false, receiveErrors = false } = options;
    const protocol = PROTOCOLS.get(named as string) ?? named as number;
    if (!Number.isInteger(protocol) || protocol < 0 || protocol > 255) {
      const names = [...PROTOCOLS.keys()].join(", ");
      throw new TypeError(
        `protocol must be in 0..255 or one of ${names}: got ${show(named)}`,
      );
    }
    const given = options.remote ?? options.local;
    const v6 = given === undefined && protocol === IPPROTO.ICMPV6 ? "inet6" : undefined;
    const family = options.family ?? v6;
    const kind = `raw socket of protocol ${named}`;
    const open = openIpSocket(C.SOCK_RAW, protocol, kind, options, family);
    try {
      setUp(open, receiveErrors, header);
      return new RawSocket(open);
    } catch (error) {
      open.fd.close();
      throw error;
    }
  }

  /** As `tryRead` of every device. */
  override tryRead(buffer: Uint8Array): number {
    const { what } = this;
    void this.fd; // Throws when it is closed.
    const n = this.#socket.receive(buffer as Uint8Array<ArrayBuffer>, 0, `read from ${what}`);
    return Math.min(n, buffer.length);
  }

  /** As `tryWrite` of every device. */
  override tryWrite(packet: Uint8Array, length: number = packet.length): boolean {
    void this.fd;
    return this.#socket.trySend(packet as Uint8Array<ArrayBuffer>, length, `write to ${this.what}`);
  }

  /**
   * With `receiveErrors`, reads the beginning of a packet that the network answered with an error: its
   * length, or -1 when there is none (`MSG_ERRQUEUE`).
   */
  tryReadError(buffer: Uint8Array): number {
    void this.fd;
    const what = `read errors of ${this.what}`;
    return this.#socket.receive(buffer as Uint8Array<ArrayBuffer>, C.MSG_ERRQUEUE, what);
  }
}

function setUp({ fd, what, v6 }: OpenIpSocket, receiveErrors: boolean, header: boolean): void {
  const socket = Socket.of(fd);
  if (receiveErrors) {
    const [level, option] = v6 ? [C.SOL_IPV6, C.IPV6_RECVERR] : [C.SOL_IP, C.IP_RECVERR];
    socket.setOptionInt(level, option, 1, `set receiveErrors of ${what}`);
  }
  if (header) {
    const [level, option] = v6 ? [C.SOL_IPV6, C.IPV6_HDRINCL] : [C.SOL_IP, C.IP_HDRINCL];
    socket.setOptionInt(level, option, 1, `set header of ${what}`);
  }
}
