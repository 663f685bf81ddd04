/**
 * Errors of netlink operations.
 *
 * @module
 */
import { errnoName, errnoText } from "../../ffi/errno.ts";
import { PRIVILEGE_HINT } from "../../ffi/namespace.ts";

/** What the kernel said beyond an error number (extended ACK, `NLMSGERR_ATTR_*`). */
export interface ExtendedAck {
  /** The kernel's explanation, as it wrote it. */
  readonly message?: string;
  /** The offending attribute, from the outside in: `["IFLA_LINKINFO", "IFLA_INFO_DATA", "IFLA_BR_PRIORITY"]`. */
  readonly attribute?: readonly string[];
  /** An attribute the kernel missed, with the path of the nest it belongs in. */
  readonly missing?: readonly string[];
  /** What the kernel accepts for the attribute: `u32 in 1..10`. */
  readonly policy?: string;
}

/** What {@link NetlinkError} is made of. */
export interface NetlinkErrorInit {
  /** What was tried, on what: `create veth "tap1"`. */
  readonly operation: string;
  /** Where: `netns "ns1"`; empty for the process's own namespace. */
  readonly netns: string;
  /** The error number. */
  readonly errno: number;
  /** What the kernel added. */
  readonly ack?: ExtendedAck;
  /** Replaces the text for the error number. */
  readonly text?: string;
  /** What to do about it. */
  readonly hint?: string;
}

/**
 * The kernel refused a request, or answered it unlike asked.
 *
 * @example The kernel's own words
 * ```ts
 * import { Bridge, NetlinkError, NetNs } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * Bridge.create({ name: "br0", netns });
 * try {
 *   Bridge.create({ name: "br0", netns });
 * } catch (error) {
 *   if (!(error instanceof NetlinkError)) throw error;
 *   assertEquals(error.code, "EEXIST");
 * }
 * ```
 */
export class NetlinkError extends Error {
  /** The class: `NetlinkError`. */
  override readonly name: string = "NetlinkError";
  /** What was tried, on what: `create veth "tap1"`. */
  readonly operation: string;
  /** Where: `netns "ns1"`; empty for the process's own namespace. */
  readonly netns: string;
  /** The error number. */
  readonly errno: number;
  /** The error number's name: `EEXIST`, `ENODEV`, ... */
  readonly code: string;
  /** What the kernel said beyond the error number. */
  readonly ack: ExtendedAck;

  /** Composes the message: what was tried, where, why. */
  constructor(init: NetlinkErrorInit) {
    const code = errnoName(init.errno);
    const ack = init.ack ?? {};
    const where = init.netns && !init.operation.includes(init.netns) ? ` in ${init.netns}` : "";
    let message = `${init.operation}${where}: ${init.text ?? errnoText(init.errno)} (${code})`;
    if (ack.message) message += `: ${ack.message}`;
    if (ack.attribute?.length) message += ` at ${ack.attribute.join(".")}`;
    if (ack.missing?.length) message += `, ${ack.missing.join(".")} is missing`;
    if (ack.policy) message += `, accepted: ${ack.policy}`;
    const hint = init.hint ?? (code === "EPERM" ? PRIVILEGE_HINT : undefined);
    if (hint) message += `; ${hint}`;
    super(message);
    this.operation = init.operation;
    this.netns = init.netns;
    this.errno = init.errno;
    this.code = code;
    this.ack = ack;
  }
}

/**
 * The dumped table kept changing while it was read (`NLM_F_DUMP_INTR`), also when it was read again.
 * Some entries may be missing or out of date.
 */
export class DumpInterruptedError extends NetlinkError {
  /** The class: `DumpInterruptedError`. */
  override readonly name = "DumpInterruptedError";
  /** What the last attempt returned. */
  readonly partial: readonly unknown[];

  /** Takes the last attempt's entries. */
  constructor(init: NetlinkErrorInit, partial: readonly unknown[]) {
    super(init);
    this.partial = partial;
  }
}

/** A message from the kernel could not be understood. */
export class NetlinkDecodeError extends Error {
  /** The class: `NetlinkDecodeError`. */
  override readonly name = "NetlinkDecodeError";
}
