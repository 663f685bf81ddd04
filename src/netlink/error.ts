/**
 * Errors of netlink operations.
 *
 * @module
 */
import { ERRNO, errnoName, errnoText, KernelError, type KernelErrorInit } from "../../ffi/errno.ts";
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
export interface NetlinkErrorInit extends KernelErrorInit {
  /** What the kernel added. */
  readonly ack?: ExtendedAck;
  /** Replaces the text for the error number. */
  readonly text?: string;
  /** The remedy, when it is known. */
  readonly hint?: string;
}

/**
 * The kernel refused a request, or did something else than the request asked for.
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
export class NetlinkError extends KernelError {
  /** The class: `NetlinkError`. */
  override readonly name: string = "NetlinkError";
  /** What the kernel said beyond the error number. */
  readonly ack: ExtendedAck;

  /** Composes the message: operation, namespace, reason, remedy. */
  constructor(init: NetlinkErrorInit) {
    const { ack = {}, errno } = init;
    let reason = `${init.text ?? errnoText(errno)} (${errnoName(errno)})`;
    if (ack.message) reason += `: ${ack.message}`;
    if (ack.attribute?.length) reason += ` at ${ack.attribute.join(".")}`;
    if (ack.missing?.length) reason += `, ${ack.missing.join(".")} is missing`;
    if (ack.policy) reason += `, accepted: ${ack.policy}`;
    const hint = init.hint ?? (errno === ERRNO.EPERM ? PRIVILEGE_HINT : undefined);
    super(init, hint ? `${reason}; ${hint}` : reason);
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
