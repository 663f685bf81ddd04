/**
 * Namespace ids: RTM_NEWNSID, RTM_GETNSID (`linux/net_namespace.h`). An id names one namespace as seen
 * from another, as in a veth's `linkNetnsId`.
 *
 * @module
 */
import { s32, u32 } from "../netlink/attribute.ts";
import type { Source, Writer } from "../netlink/bytes.ts";
import type { MessageFormat, Request } from "../netlink/message.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import { netnsWord } from "../netlink/trace.ts";
import { RTM } from "./constants.ts";

/** Attribute numbers. */
export const NETNSA = { NSID: 1, PID: 2, FD: 3, TARGET_NSID: 4, CURRENT_NSID: 5 } as const;

/** A namespace and its id. */
export interface NsidMessage {
  /** The id; -1 when it has none, or to have the kernel choose one. */
  nsid?: number;
  /** A process in the namespace. */
  pid?: number;
  /** A descriptor of the namespace. */
  fd?: number;
  /** Ask from this namespace's point of view. */
  targetNsid?: number;
  /** The id in the asking namespace, when another's view was asked for. */
  currentNsid?: number;
}

const nsidSchema: Schema<NsidMessage> = schema<NsidMessage>("NETNSA_", NETNSA, {
  nsid: s32(NETNSA.NSID),
  pid: u32(NETNSA.PID),
  fd: u32(NETNSA.FD),
  targetNsid: s32(NETNSA.TARGET_NSID),
  currentNsid: s32(NETNSA.CURRENT_NSID),
});

/** Reads `struct rtgenmsg` and its attributes. */
export function readNsid(source: Source, start: number, end: number): NsidMessage {
  return nsidSchema.read(source, start + 4, end);
}

/** The framing of namespace id messages. */
export const nsidFormat: MessageFormat<NsidMessage> = {
  headerLength: 4,
  schemaOf: () => nsidSchema,
  write: (writer: Writer, message: NsidMessage) => {
    writer.reserve(4);
    nsidSchema.write(writer, message);
  },
  read: readNsid,
};

/**
 * Gives a namespace an id; -1 lets the kernel choose. EEXIST when it has one.
 *
 * @param message The namespace, by `fd` or `pid`, and the id.
 * @param what The namespace in an error: `netns "blue"`.
 *
 * @example An id for another namespace
 * ```ts
 * import { NetNs } from "@netloom/netloom";
 * import { connectionTo } from "@netloom/netloom/netlink";
 * import { getNsid, newNsid } from "@netloom/netloom/rtnetlink";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * using other = NetNs.create();
 * const connection = connectionTo(netns.ref);
 * const fd = other.ref.fd.value;
 * connection.request(newNsid({ fd, nsid: 7 }));
 * assertEquals(connection.request(getNsid({ fd })).nsid, 7);
 * ```
 */
export function newNsid(message: NsidMessage, what = "netns"): Request<undefined> {
  return {
    type: RTM.NEWNSID,
    typeName: "RTM_NEWNSID",
    flags: 0,
    operation: `give ${what} an id`,
    format: nsidFormat,
    message,
    command: () =>
      `ip netns set ${netnsWord(message.fd!)} ${message.nsid === -1 ? "auto" : message.nsid}`,
  };
}

/** Asks for the id of a namespace (by `fd` or `pid`), or whether an id is in use (by `nsid`). */
export function getNsid(message: NsidMessage, what = "netns"): Request<NsidMessage> {
  return {
    type: RTM.GETNSID,
    typeName: "RTM_GETNSID",
    flags: 0,
    operation: `get the id of ${what}`,
    format: nsidFormat,
    message,
    reply: readNsid,
    command: () => `ip netns list-id${message.nsid === undefined ? "" : ` nsid ${message.nsid}`}`,
  };
}
