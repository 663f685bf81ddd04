/**
 * Checks that the kernel has applied a message: it silently ignores some attributes, and adjusts others.
 * Adds to refusals the reason that an error number leaves open.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import type { Field } from "../netlink/attribute.ts";
import { Writer } from "../netlink/bytes.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { show } from "../options.ts";
import { parseMac } from "../packet/address.ts";
import { getLink, kindOf, type LinkMessage, type LinkSelector } from "../rtnetlink/link.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import { linkFields } from "../rtnetlink/link_attributes.ts";
import type { KindOptions } from "../rtnetlink/link_kinds/kind.ts";
import { linkKind } from "../rtnetlink/link_kinds/mod.ts";

/** The values of a kind's options, asked for or read. */
type Values = Readonly<Record<string, unknown>>;

/** Attributes of a request that are not settings: they select the link or its target. */
const NOT_SETTINGS: ReadonlySet<string> = new Set([
  "netnsFd",
  "netnsPid",
  "linkNetnsId",
  "extMask",
]);

/** Settings that a kernel may take without reporting them: the queues, without CONFIG_RPS. */
const NOT_REPORTED: ReadonlySet<string> = new Set(["numRxQueues"]);

/**
 * Compares a message with the link as the kernel reports it.
 *
 * @throws {NetlinkError} EOPNOTSUPP for the first difference.
 */
export function verify(asked: LinkMessage, got: LinkMessage, what: string, ref: NetNsRef): void {
  const { flags = 0, change = 0, linkInfo, family: _, type: __, ...plain } = asked;
  for (const [key, wanted] of Object.entries(plain)) {
    if (wanted === undefined || NOT_SETTINGS.has(key)) continue;
    const has = got[key as keyof LinkMessage] ??
      (key === "master" ? 0 : key === "alias" ? "" : undefined);
    if (has === undefined && NOT_REPORTED.has(key)) continue;
    const field = (linkFields as Readonly<Record<string, Field<unknown>>>)[key];
    if (!same(wanted, has, field)) throw differs(key, wanted, has, what, ref);
  }
  const differing = ((got.flags ?? 0) ^ flags) & change;
  if (differing) throw differs("flags", flags & change, (got.flags ?? 0) & change, what, ref);
  if (!linkInfo) return;
  const kind = linkKind(linkInfo.kind ?? got.linkInfo?.kind);
  const option = differingOption(linkInfo.data, got.linkInfo?.data, kind) ??
    differingOption(linkInfo.portData, got.linkInfo?.portData, linkKind(linkInfo.portKind)?.port);
  if (option) throw differs(option.key, option.wanted, option.has, what, ref);
}

function differs(
  option: string,
  wanted: unknown,
  has: unknown,
  what: string,
  ref: NetNsRef,
): NetlinkError {
  return new NetlinkError({
    operation: `set ${option} of ${what}`,
    netns: ref.description,
    errno: ERRNO.EOPNOTSUPP,
    text: `The kernel was asked for ${show(wanted)} and has ${show(has)}`,
  });
}

/** The first option of a kind that the kernel has not taken; `undefined` when it has taken all. */
function differingOption(
  wanted: object | undefined,
  has: object | undefined,
  kind: KindOptions<object, object, object> | undefined,
): { key: string; wanted: unknown; has: unknown } | undefined {
  if (!wanted || !kind || wanted instanceof Uint8Array) return undefined;
  const read = (has ?? {}) as Values;
  for (const [key, value] of Object.entries(wanted)) {
    if (value === undefined || kind.notReadBack?.includes(key)) continue;
    if (kind.tolerates?.(key, value, read)) continue;
    const actual = read[key];
    if (kind.rounded?.includes(key) && Math.abs(Number(value) - Number(actual)) <= 1) continue;
    const field = (kind.data.fields as Readonly<Record<string, Field<unknown>>>)[key];
    if (!same(value, actual, field)) return { key, wanted: value, has: actual };
  }
  return undefined;
}

/** Whether two values are one on the wire, however they are spelled. */
function same(wanted: unknown, has: unknown, field: Field<unknown> | undefined): boolean {
  if (includes(has, wanted)) return true;
  if (has === undefined || !field) return false;
  try {
    return encoded(field, wanted) === encoded(field, has);
  } catch {
    // The kernel may report a value that it would not accept.
    return false;
  }
}

/** Whether an object has all that another one has; other values have to be equal. */
function includes(has: unknown, wanted: unknown): boolean {
  if (typeof wanted !== "object" || typeof has !== "object" || !wanted || !has) {
    return wanted === has;
  }
  return Object.entries(wanted).every(([key, value]) => includes((has as Values)[key], value));
}

function encoded(field: Field<unknown>, value: unknown): string {
  const writer = new Writer(64);
  field.write(writer, value, "");
  return writer.bytes.subarray(0, writer.length).join();
}

/**
 * Adds to a refusal the reason that the kernel's error number leaves open: an address that no link can
 * have, a master that takes no ports, an MTU above the parent's, a name that is taken.
 *
 * @param error The refusal.
 * @param message The message that the kernel refused; with its index for an existing link.
 * @param ref The namespace of the link.
 * @returns The error with the reason; the same error where there is none to add.
 */
export function withReason(error: Error, message: LinkMessage, ref: NetNsRef): Error {
  if (!(error instanceof NetlinkError)) return error;
  const hint = REASONS[error.code]?.map((reason) => reason(message, ref)).find(Boolean);
  if (hint === undefined) return error;
  const { operation, netns, errno, ack } = error;
  return new NetlinkError({ operation, netns, errno, ack, hint });
}

/** A reason for a refusal; `undefined` when it is another one. */
type Reason = (message: LinkMessage, ref: NetNsRef) => string | undefined;

const REASONS: Readonly<Record<string, readonly Reason[]>> = {
  EADDRNOTAVAIL: [macReason],
  EOPNOTSUPP: [masterReason],
  EINVAL: [portReason, mtuReason],
  ERANGE: [mtuReason],
  EEXIST: [takenReason],
};

function macReason({ mac, linkInfo }: LinkMessage): string | undefined {
  const { peer } = (linkInfo?.data ?? {}) as { peer?: LinkMessage };
  for (const [path, value] of [["mac", mac], ["peer.mac", peer?.mac]] as const) {
    const bytes = value === undefined ? [] : parseMac(value);
    if (bytes.length === 0) continue;
    if (bytes[0]! & 1) return `${path} ${show(value)} is a multicast address: no link can have one`;
    if (bytes.every((byte) => byte === 0)) return `${path} ${show(value)} is no address of a link`;
  }
  return undefined;
}

function masterReason({ master }: LinkMessage, ref: NetNsRef): string | undefined {
  const link = master ? find(ref, getLink(master, { stats: false })) : undefined;
  if (!link) return undefined;
  const kind = kindOf(link);
  // A kind that netloom does not know may have ports.
  if (kind !== undefined && (linkKind(kind)?.port ?? !linkKind(kind))) return undefined;
  return `${kind ?? "link"} ${show(link.name)} cannot be a master`;
}

function portReason({ master, index }: LinkMessage, ref: NetNsRef): string | undefined {
  if (!master || index === undefined) return undefined;
  const link = find(ref, getLink(index, { stats: false }));
  return link?.flags.includes("LOOPBACK") ? "a loopback link cannot be a port" : undefined;
}

function mtuReason(message: LinkMessage, ref: NetNsRef): string | undefined {
  const { mtu, index } = message;
  if (mtu === undefined) return undefined;
  const link = message.parent === undefined && index !== undefined
    ? find(ref, getLink(index, { stats: false }))
    : undefined;
  const kind = linkKind(link ? kindOf(link) : message.linkInfo?.kind);
  const { parent, linkNetnsId } = link ?? message;
  if (!kind?.mtuUpToParent || parent === undefined) return undefined;
  const request = getLink(parent, { stats: false });
  const there = linkNetnsId === undefined
    ? request
    : { ...request, message: { ...request.message as LinkMessage, targetNetnsId: linkNetnsId } };
  const below = find(ref, there);
  if (below?.mtu === undefined || mtu <= below.mtu) return undefined;
  return `mtu ${mtu} is above ${below.mtu}, the MTU of its parent ${show(below.name)}`;
}

/**
 * The reason for EEXIST and EBUSY: a name, or the index of a new link, that another link has.
 *
 * @param message The message that the kernel refused.
 * @param ref The namespace of the link.
 * @param place The place of the options in those of the call: `peer`.
 */
export function takenReason(
  { name, index }: LinkMessage,
  ref: NetNsRef,
  place?: string,
): string | undefined {
  const path = place === undefined ? "the " : `${place}.`;
  for (const [option, value] of [["name", name], ["index", index]] as const) {
    const link = value === undefined
      ? undefined
      : find(ref, getLink(value as LinkSelector, { stats: false }));
    if (!link) continue;
    return `${path}${option} ${show(value)} is taken by ${kindOf(link) ?? "link"} ${
      show(link.name)
    }`;
  }
  return undefined;
}

/** A link, where there is one. */
function find(ref: NetNsRef, request: Request<LinkInfo>): LinkInfo | undefined {
  const [result] = connectionTo(ref).batch([request]);
  return result!.ok ? result!.value as LinkInfo : undefined;
}
