/**
 * Messages: the constants of the protocol (`linux/netlink.h`, checked against the kernel's headers by
 * `tests/headers/`), the header of every message, and how a message family frames its own header and attributes
 * inside.
 *
 * @module
 */
import type { AttributeNames, Source, Writer } from "./bytes.ts";
import { NetlinkDecodeError } from "./error.ts";

/** Netlink families. */
export const NETLINK = { ROUTE: 0, SOCK_DIAG: 4, NETFILTER: 12, GENERIC: 16 } as const;

/** Socket options at level {@link SOL_NETLINK}. */
export const NETLINK_OPTION = {
  ADD_MEMBERSHIP: 1,
  DROP_MEMBERSHIP: 2,
  NO_ENOBUFS: 5,
  LISTEN_ALL_NSID: 8,
  CAP_ACK: 10,
  EXT_ACK: 11,
  GET_STRICT_CHK: 12,
} as const;

/** The socket option level of netlink. */
export const SOL_NETLINK = 270;

/** Message types below the families' own. */
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

/** Message flags. Some bits mean one thing in GET requests and another in NEW requests. */
export const NLM_F = {
  REQUEST: 0x01,
  MULTI: 0x02,
  ACK: 0x04,
  ECHO: 0x08,
  DUMP_INTR: 0x10,
  DUMP_FILTERED: 0x20,
  ROOT: 0x100,
  MATCH: 0x200,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  BULK: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
} as const;

/** Size of `struct nlmsghdr`. */
export const NLMSG_HDRLEN = 16;

/** Bits of an attribute's type field that are not its type. */
export const NLA_F = { NESTED: 1 << 15, NET_BYTEORDER: 1 << 14 } as const;

/** Mask of an attribute's type. */
export const NLA_TYPE_MASK = 0x3fff;

/** Extended acknowledgement attributes. */
export const NLMSGERR_ATTR = {
  MSG: 1,
  OFFS: 2,
  COOKIE: 3,
  POLICY: 4,
  MISS_TYPE: 5,
  MISS_NEST: 6,
} as const;

/** Attributes of a policy note in an extended acknowledgement. */
export const NL_POLICY_TYPE_ATTR = {
  TYPE: 1,
  MIN_VALUE_S: 2,
  MAX_VALUE_S: 3,
  MIN_VALUE_U: 4,
  MAX_VALUE_U: 5,
  MIN_LENGTH: 6,
  MAX_LENGTH: 7,
  POLICY_IDX: 8,
  POLICY_MAXTYPE: 9,
  BITFIELD32_MASK: 10,
  PAD: 11,
  MASK: 12,
} as const;

/** How one family's messages look after the netlink header. */
export interface MessageFormat<T extends object, R extends object = T> {
  /** Size of the family's own header: 16 for `struct ifinfomsg`. */
  readonly headerLength: number;
  /** The attribute set after it, for naming attributes in errors. */
  schemaOf(message: T): AttributeNames;
  /** Appends header and attributes. */
  write(writer: Writer, message: T): void;
  /** Reads header and attributes between two offsets. */
  read(source: Source, start: number, end: number): R;
}

/** One request to the kernel: data until a connection sends it. */
export interface Request<T = unknown> {
  /** Message type: `RTM_NEWLINK`. */
  readonly type: number;
  /** The type's name, for traces. */
  readonly typeName: string;
  /** Flags beyond `NLM_F_REQUEST`, and the acknowledgement that a connection adds. */
  readonly flags: number;
  /** What it does, on what, for errors: `create veth "tap1"`. */
  readonly operation: string;
  /** How the body is framed. */
  // deno-lint-ignore no-explicit-any
  readonly format: MessageFormat<any>;
  /** The body. */
  readonly message: object;
  /** Reads the answer; without it the answer is an acknowledgement. */
  readonly reply?: (source: Source, start: number, end: number) => T;
  /** The equivalent iproute2 command line, without `ip -n NAME`. */
  readonly command: () => string;
}

/** A request for a whole table. */
export interface DumpRequest<T> extends Request<T> {
  /** Reads one entry. */
  readonly reply: (source: Source, start: number, end: number) => T;
  /** Keeps an entry; kernels that cannot filter a dump send it all. */
  readonly filter?: (entry: T) => boolean;
  /** The request without what strict checking may refuse. */
  readonly fallback?: Request<T>;
}

/** A received message's header and where its body is. */
export interface Header {
  /** Message type. */
  type: number;
  /** `NLM_F_*` bits. */
  flags: number;
  /** Sequence number: the request's, 0 for notifications. */
  sequence: number;
  /** Where the body starts. */
  start: number;
  /** Where the body ends. */
  end: number;
}

/** Appends a whole message and returns where it starts. */
export function writeMessage(
  writer: Writer,
  request: Request,
  flags: number,
  sequence: number,
): number {
  const at = writer.reserve(NLMSG_HDRLEN);
  request.format.write(writer, request.message);
  writer.align();
  const { view } = writer;
  view.setUint32(at, writer.length - at, true);
  view.setUint16(at + 4, request.type, true);
  view.setUint16(at + 6, flags, true);
  view.setUint32(at + 8, sequence, true);
  return at;
}

/** Reads the body of an answer. Throws {@link NetlinkDecodeError} when it is too short. */
export function decode<T>(
  reply: (source: Source, start: number, end: number) => T,
  headerLength: number,
  source: Source,
  { type, start, end }: Header,
): T {
  if (end - start >= headerLength) return reply(source, start, end);
  throw new NetlinkDecodeError(
    `Cannot read a message of type ${type}: it has ${
      end - start
    } bytes, its header ${headerLength}`,
  );
}

/** Calls `visit` for each message in the first `length` bytes; `header` is one object, reused. */
export function forEachMessage(
  { view }: Source,
  length: number,
  visit: (header: Header) => void,
): void {
  const header: Header = { type: 0, flags: 0, sequence: 0, start: 0, end: 0 };
  for (let at = 0; at < length;) {
    if (length - at < NLMSG_HDRLEN) {
      throw new NetlinkDecodeError(
        `Cannot read messages: the last ${length - at} bytes are shorter than a header`,
      );
    }
    const size = view.getUint32(at, true);
    if (size < NLMSG_HDRLEN || at + size > length) {
      throw new NetlinkDecodeError(
        `Cannot read messages: one at offset ${at} claims ${size} of ${length - at} bytes`,
      );
    }
    header.type = view.getUint16(at + 4, true);
    header.flags = view.getUint16(at + 6, true);
    header.sequence = view.getUint32(at + 8, true);
    header.start = at + NLMSG_HDRLEN;
    header.end = at + size;
    visit(header);
    at += (size + 3) & ~3;
  }
}
