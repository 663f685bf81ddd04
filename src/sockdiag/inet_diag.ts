/**
 * sock_diag: TCP sockets of a namespace, as `ss -t` lists and destroys them.
 *
 * SOCK_DIAG_BY_FAMILY and SOCK_DESTROY (`linux/inet_diag.h`, `linux/sock_diag.h`, sock_diag(7)). Sent to `NETLINK.SOCK_DIAG`.
 *
 * @module
 */
import { C } from "../../ffi/libc.ts";
import { u32, u8 } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import { type DumpRequest, type MessageFormat, NLM_F, type Request } from "../netlink/message.ts";
import { NetlinkDecodeError } from "../netlink/error.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import { shellWord } from "../netlink/trace.ts";
import { formatIp, IPPROTO, parseIp } from "../packet/address.ts";

/** Message types. */
export const SOCK_DIAG = { BY_FAMILY: 20, DESTROY: 21 } as const;

/** Attribute numbers, of those that are read here. */
export const INET_DIAG = { SHUTDOWN: 8, MARK: 15 } as const;

/** The states of a TCP socket, by the words of `ss`. */
export const TCP_STATES = {
  established: 1,
  "syn-sent": 2,
  "syn-recv": 3,
  "fin-wait-1": 4,
  "fin-wait-2": 5,
  "time-wait": 6,
  closed: 7,
  "close-wait": 8,
  "last-ack": 9,
  listening: 10,
  closing: 11,
} as const;

/** The state of a TCP socket. */
export type TcpState = keyof typeof TCP_STATES;

const STATE_NAMES = new Map<number, TcpState>(
  Object.entries(TCP_STATES).map(([name, number]) => [number, name as TcpState]),
);
const FAMILIES = { inet: C.AF_INET, inet6: C.AF_INET6 } as const;

/** `struct inet_diag_req_v2`, and where its `struct inet_diag_sockid` begins. */
const REQUEST = { size: 56, id: 8 } as const;
/** `struct inet_diag_msg`, and where its `struct inet_diag_sockid` begins. */
const MESSAGE = { size: 72, id: 4 } as const;

/** One end of a TCP connection. */
export interface TcpEnd {
  /** IPv4 or IPv6 address. */
  readonly address: string;
  /** Port; 0 for the remote end of a listening socket. */
  readonly port: number;
}

/** The attributes of a socket. */
export interface InetDiagAttributes {
  /** The directions that are shut down: 1 receive, 2 send. */
  shutdown?: number;
  /** `SO_MARK`; visible with CAP_NET_ADMIN. */
  mark?: number;
}

/** A TCP socket. */
export interface TcpSocketInfo extends InetDiagAttributes {
  /** The address family of the socket. */
  readonly family: "inet" | "inet6";
  /** Its state. */
  readonly state: TcpState;
  /** The local end. */
  readonly local: TcpEnd;
  /** The remote end. */
  readonly remote: TcpEnd;
  /** Index of the link it is bound to, or 0. */
  readonly index: number;
  /** The kernel's identity of the socket: no other socket gets it. */
  readonly cookie: bigint;
  /** Bytes received that no program has read; for a listening socket, waiting connections. */
  readonly receiveQueue: number;
  /** Bytes sent that the other end has not acknowledged. */
  readonly sendQueue: number;
  /** The owner's user id. */
  readonly uid: number;
  /** The number of `socket:[...]` below /proc/PID/fd; 0 when no program has the socket open. */
  readonly inode: number;
}

/** A message of this family: a request for sockets in some states, or for one socket. */
export interface InetDiagRequest {
  /** The address family. */
  readonly family: "inet" | "inet6";
  /** The states, for a dump. Default: all. */
  readonly states?: readonly TcpState[];
  /** The socket, to destroy one. */
  readonly socket?: TcpSocketInfo;
}

const attributes: Schema<InetDiagAttributes> = schema<InetDiagAttributes>("INET_DIAG_", INET_DIAG, {
  shutdown: u8(INET_DIAG.SHUTDOWN),
  mark: u32(INET_DIAG.MARK),
});

function writeRequest(writer: Writer, { family, states, socket }: InetDiagRequest): void {
  const at = writer.reserve(REQUEST.size);
  const { view, bytes } = writer;
  view.setUint8(at, FAMILIES[family]);
  view.setUint8(at + 1, IPPROTO.TCP);
  const mask = states?.reduce((bits, state) => bits | 1 << TCP_STATES[state], 0) ?? 0xffffffff;
  view.setUint32(at + 4, mask, true);
  if (!socket) return;
  const id = at + REQUEST.id;
  view.setUint16(id, socket.local.port);
  view.setUint16(id + 2, socket.remote.port);
  bytes.set(parseIp(socket.local.address), id + 4);
  bytes.set(parseIp(socket.remote.address), id + 20);
  view.setUint32(id + 36, socket.index, true);
  view.setBigUint64(id + 40, socket.cookie, true);
}

/** Reads `struct inet_diag_msg` and its attributes. */
export function readTcpSocket(source: Source, start: number, end: number): TcpSocketInfo {
  if (end - start < MESSAGE.size) {
    throw new NetlinkDecodeError(
      `Cannot read a socket: the message has ${end - start} of ${MESSAGE.size} bytes`,
    );
  }
  const { bytes, view } = source;
  const family = view.getUint8(start) === FAMILIES.inet ? "inet" : "inet6";
  const length = family === "inet" ? 4 : 16;
  const id = start + MESSAGE.id;
  const number = view.getUint8(start + 1);
  const state = STATE_NAMES.get(number);
  if (!state) throw new NetlinkDecodeError(`Cannot read a socket: TCP has no state ${number}`);
  const info: TcpSocketInfo = {
    family,
    state,
    local: { address: formatIp(bytes, id + 4, length), port: view.getUint16(id) },
    remote: { address: formatIp(bytes, id + 20, length), port: view.getUint16(id + 2) },
    index: view.getUint32(id + 36, true),
    cookie: view.getBigUint64(id + 40, true),
    receiveQueue: view.getUint32(start + 56, true),
    sendQueue: view.getUint32(start + 60, true),
    uid: view.getUint32(start + 64, true),
    inode: view.getUint32(start + 68, true),
  };
  return attributes.read(source, start + MESSAGE.size, end, info) as TcpSocketInfo;
}

const format: MessageFormat<InetDiagRequest> = {
  headerLength: REQUEST.size,
  schemaOf: () => attributes,
  write: writeRequest,
  read: () => {
    throw new NetlinkDecodeError("Socket requests are only sent");
  },
};

/** Asks for the TCP sockets of one address family, in some states or all. */
export function dumpTcpSockets(message: InetDiagRequest): DumpRequest<TcpSocketInfo> {
  return {
    type: SOCK_DIAG.BY_FAMILY,
    typeName: "SOCK_DIAG_BY_FAMILY",
    flags: NLM_F.DUMP,
    operation: "list TCP sockets",
    format,
    message,
    reply: readTcpSocket,
    command: () => `ss -tan${message.family === "inet" ? 4 : 6}`,
  };
}

/**
 * Closes a socket as if its program had aborted it: the other end gets a reset, the program ECONNABORTED.
 * EOPNOTSUPP on kernels without CONFIG_INET_DIAG_DESTROY.
 */
export function destroyTcpSocket(socket: TcpSocketInfo): Request<undefined> {
  return {
    type: SOCK_DIAG.DESTROY,
    typeName: "SOCK_DESTROY",
    flags: 0,
    operation: `destroy ${describeTcpSocket(socket)}`,
    format,
    message: { family: socket.family, socket } satisfies InetDiagRequest,
    command: () =>
      `ss -K src ${shellWord(ssEnd(socket.local))} dst ${shellWord(ssEnd(socket.remote))}`,
  };
}

/** A socket in a message: `TCP 10.0.0.1:43210 → 10.0.0.2:80 in FIN-WAIT-1`. */
export function describeTcpSocket({ local, remote, state }: TcpSocketInfo): string {
  if (state === "listening") return `TCP ${ssEnd(local)} in LISTEN`;
  return `TCP ${ssEnd(local)} → ${ssEnd(remote)} in ${state.toUpperCase()}`;
}

function ssEnd({ address, port }: TcpEnd): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}
