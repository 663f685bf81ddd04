/**
 * Sockets for IP packets and datagrams as packet devices with addresses: raw sockets (`raw(7)`, `ipv6(7)`) and UDP
 * sockets (`udp(7)`).
 *
 * @module
 */
import { C } from "../../ffi/libc.ts";
import type { Fd } from "../../ffi/file.ts";
import { readable, writable } from "../../ffi/reactor.ts";
import { ADDRESS_SIZE, ipSocketAddress, readIpSocketAddress, Socket } from "../../ffi/socket.ts";
import { type NetNsTarget, resolveNetNs } from "../netlink/connections.ts";
import { formatIp, IPPROTO, parseIp } from "../packet/address.ts";
import { FdDevice } from "./fd_device.ts";
import { checkLength, signalOf, type WaitOptions } from "./packet_device.ts";
import { boolean, checkOptions, integer, type OptionNames, show } from "../options.ts";

/** An IP address, and for UDP a port. A link-local IPv6 one has its link, by name or index: `fe80::1%eth0`. */
export interface Endpoint {
  /** The address: `192.0.2.1`. */
  readonly address: string;
  /** The port, 0..65535; default 0: none, or any. */
  readonly port?: number;
}

/** A received packet and its source. */
export interface Received {
  /** Its length in bytes. */
  readonly length: number;
  /** Its source. */
  readonly from: Required<Endpoint>;
}

/** Options of sockets with IP addresses. */
export interface IpSocketOptions {
  /** The namespace of the socket. Default: the current one. */
  readonly netns?: NetNsTarget;
  /** The only destination and source of packets. Default: any; then `writeTo` writes packets. */
  readonly remote?: Endpoint | string;
  /** The own address: source of sent packets, destination of received ones. Default: any. */
  readonly local?: Endpoint | string;
  /** Bytes of packets that may be queued, 1..2147483647. Default: the system's, mostly 212,992. */
  readonly receiveBuffer?: number;
  /** Packets may go to broadcast addresses (SO_BROADCAST). Default: false. */
  readonly broadcast?: boolean;
}

/** Names of {@link IpSocketOptions}. */
export const IP_SOCKET_OPTIONS: OptionNames<IpSocketOptions> = {
  netns: true,
  remote: true,
  local: true,
  receiveBuffer: true,
  broadcast: true,
};

/** A socket that was opened. */
export interface OpenIpSocket {
  /** Owner of the descriptor. */
  readonly fd: Fd;
  /** Its name in messages. */
  readonly what: string;
  /** Whether it is of IPv6. */
  readonly v6: boolean;
}

/** A packet device over an IP socket. */
export class IpSocket extends FdDevice {
  readonly #socket: Socket;
  readonly #address = new Uint8Array(ADDRESS_SIZE);

  /** For sockets that extend it: wraps the result of {@link openIpSocket}. */
  constructor({ fd, what }: OpenIpSocket) {
    super(fd, what);
    this.#socket = Socket.of(fd);
  }

  /** The address it is bound to. */
  get local(): Required<Endpoint> {
    return endpointOf(this.#socket.name(`read the address of ${this.what}`));
  }

  /** Reads one packet, and its source; otherwise as `read`. */
  async readFrom(buffer: Uint8Array, options?: WaitOptions): Promise<Received> {
    const signal = signalOf(options);
    for (;;) {
      const received = this.tryReadFrom(buffer);
      if (received) return received;
      await readable(this.fd, signal);
    }
  }

  /** Reads one packet, and its source; `undefined` when none is there. */
  tryReadFrom(buffer: Uint8Array): Received | undefined {
    void this.fd; // Throws when it is closed.
    const bytes = buffer as Uint8Array<ArrayBuffer>;
    const length = this.#socket.receiveFrom(bytes, this.#address, `read from ${this.what}`);
    return length < 0 ? undefined : { length, from: endpointOf(this.#address) };
  }

  /** Writes one packet to an address; otherwise as `write`. */
  async writeTo(
    packet: Uint8Array,
    to: Endpoint | string,
    options?: WaitOptions,
  ): Promise<void> {
    const signal = signalOf(options);
    const what = `write to ${show(to)} through ${this.what}`;
    const address = addressOf(parseEndpoint(to, "to"), this.#socket, what);
    const bytes = packet as Uint8Array<ArrayBuffer>;
    for (;;) {
      const { fd } = this; // Throws when it is closed.
      if (this.#socket.sendTo(bytes, bytes.length, address, what)) return;
      await writable(fd, signal);
    }
  }
}

/** Opens, binds and connects a socket. */
export function openIpSocket(
  type: number,
  protocol: number,
  kind: string,
  options: IpSocketOptions,
  family?: "inet" | "inet6",
): OpenIpSocket {
  const { remote, local } = options;
  const to = remote === undefined ? undefined : parseEndpoint(remote, "remote");
  const from = local === undefined ? undefined : parseEndpoint(local, "local");
  const sizes = new Set([to, from].flatMap((it) => it ? [it.ip.length === 16] : []));
  if (family !== undefined) sizes.add(family === "inet6");
  if (sizes.size > 1) {
    const given = { family, remote, local };
    throw new TypeError(`One socket is of IPv4 or of IPv6: got ${show(given)}`);
  }
  const [v6 = false] = sizes;
  const { receiveBuffer } = options;
  if (receiveBuffer !== undefined) integer(receiveBuffer, "receiveBuffer", 1, 0x7fffffff, "bytes");
  const broadcast = boolean(options.broadcast ?? false, "broadcast");
  const netns = resolveNetNs(options.netns);
  try {
    const what = `${kind}${remote === undefined ? "" : ` to ${text(remote)}`}${netns.ref.place}`;
    const domain = v6 ? C.AF_INET6 : C.AF_INET;
    const socket = new Socket(netns.ref, domain, type, protocol, `open ${what}`);
    try {
      if (receiveBuffer !== undefined) socket.setReceiveBuffer(receiveBuffer, what);
      if (broadcast) {
        socket.setOptionInt(C.SOL_SOCKET, C.SO_BROADCAST, 1, `set broadcast of ${what}`);
      }
      if (from) {
        const bind = `bind ${what} to ${text(local!)}`;
        socket.bind(addressOf(from, socket, bind), bind);
      }
      if (to) socket.connect(addressOf(to, socket, `open ${what}`), `open ${what}`);
      return { fd: socket.fd, what, v6 };
    } catch (error) {
      socket.close();
      throw error;
    }
  } finally {
    if (netns.owned) netns.ref.close();
  }
}

function text(endpoint: Endpoint | string): string {
  if (typeof endpoint === "string") return endpoint;
  const { address, port } = endpoint;
  return port === undefined
    ? address
    : address.includes(":")
    ? `[${address}]:${port}`
    : `${address}:${port}`;
}

/** An endpoint, parsed. */
interface ParsedEndpoint {
  readonly ip: Uint8Array;
  readonly port: number;
  /** The link of an IPv6 address: a name or an index. */
  readonly zone: string | undefined;
}

function parseEndpoint(endpoint: Endpoint | string, option: string): ParsedEndpoint {
  const { address, port = 0 } = typeof endpoint === "string"
    ? { address: endpoint }
    : endpoint ?? { address: undefined };
  if (typeof address !== "string") {
    throw new TypeError(`${option} must be an IP address: got ${show(endpoint)}`);
  }
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new RangeError(`port must be in 0..65535: got ${show(port)}`);
  }
  const percent = address.indexOf("%");
  const zone = percent < 0 ? undefined : address.slice(percent + 1);
  const ip = parseIp(percent < 0 ? address : address.slice(0, percent));
  if (zone === "" || zone !== undefined && ip.length !== 16) {
    throw new TypeError(
      `${show(address)}: a zone is the link of an IPv6 address, such as "fe80::1%eth0"`,
    );
  }
  return { ip, port, zone };
}

/** An endpoint as a `struct sockaddr`; the socket finds the link that a zone names. */
function addressOf(
  { ip, port, zone = "0" }: ParsedEndpoint,
  socket: Socket,
  what: string,
): Uint8Array<ArrayBuffer> {
  return ipSocketAddress(ip, port, /^\d+$/.test(zone) ? Number(zone) : socket.indexOf(zone, what));
}

function endpointOf(bytes: Uint8Array<ArrayBuffer>): Required<Endpoint> {
  const { ip, port, zone } = readIpSocketAddress(bytes);
  return { address: formatIp(ip) + (zone === 0 ? "" : `%${zone}`), port };
}

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
  /** ICMP errors about a packet become errors of the next call (IP_RECVERR). Default: false. */
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
 * A raw socket: reads copies of the IP packets of a protocol that arrive in a namespace, and sends such packets. With
 * IPv4 a packet that is read begins with the IP header, with IPv6 it begins after the headers. The socket gets no
 * TCP and UDP packets that the host sends. The kernel handles arriving packets as without the socket.
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
   * @param options The protocol, addresses and more.
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
    checkLength(packet, length);
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

/** Options of a UDP socket. */
export interface UdpSocketOptions extends IpSocketOptions {
  /**
   * One read may return many datagrams, one after the other (`UDP_GRO`), at most 65,535 bytes together. They have one
   * source and one size, but the last may be shorter. Only their contents show where each ends, as the length of IP
   * packets in a tunnel does. Default: false.
   */
  readonly gro?: boolean;
}

/** Options of {@link UdpSocket.writeSegments}. */
export interface WriteSegmentsOptions extends WaitOptions {
  /** How many of the bytes; default: all. */
  readonly length?: number;
}

const SEGMENTS_OPTIONS: OptionNames<WriteSegmentsOptions> = { length: true, signal: true };
const UDP_OPTIONS: OptionNames<UdpSocketOptions> = { ...IP_SOCKET_OPTIONS, gro: true };

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
   * @param options Its namespace and addresses.
   * @throws {SyscallError} EADDRINUSE when the port is taken, EADDRNOTAVAIL when the namespace has no
   * such address, ENETUNREACH when `remote` has no route.
   * @throws {TypeError} For a malformed or unknown option.
   * @throws {RangeError} For an option out of range.
   */
  static open(options: UdpSocketOptions = {}): UdpSocket {
    checkOptions(options, UDP_OPTIONS);
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
   * Writes many datagrams with one call. The kernel splits them as late as it can (`UDP_SEGMENT`). The
   * socket needs a `remote`.
   *
   * @param bytes The contents of the datagrams, one after the other: at most 64 datagrams and 65,507 bytes.
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
