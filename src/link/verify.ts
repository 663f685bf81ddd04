/**
 * Checks that the kernel has applied a message: it silently ignores some attributes, and adjusts others.
 * Adds to refusals the reason that an error number leaves open.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { type NetNsRef, newNetNs } from "../../ffi/namespace.ts";
import type { Field } from "../netlink/attribute.ts";
import { Writer } from "../netlink/bytes.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { show } from "../options.ts";
import { parseMac } from "../packet/address.ts";
import {
  dumpLinks,
  getLink,
  kindOf,
  type LinkMessage,
  type LinkSelector,
  newLink,
} from "../rtnetlink/link.ts";
import { type LinkInfo, linkKind } from "../rtnetlink/link_info.ts";
import { linkFields } from "../rtnetlink/link_attributes.ts";
import type { KindOptions } from "../rtnetlink/link_kinds/kind.ts";
import { describeLink } from "../rtnetlink/link_target.ts";

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
  EINVAL: [goneReason, portReason, mtuReason, mtuRangeReason],
  ENODEV: [goneReason],
  ERANGE: [mtuReason],
  EEXIST: [takenNewReason],
  EBUSY: [takenIndexReason, frameHandlerReason],
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

/** A handle or a number may name a link that is gone: the kernel answers EINVAL or ENODEV. */
function goneReason(message: LinkMessage, ref: NetNsRef): string | undefined {
  const { master, parent, linkNetnsId, linkInfo } = message;
  const named: [option: string, index: unknown][] = [["master", master]];
  if (linkNetnsId === undefined) {
    named.push(["parent", parent]);
    const kind = linkKind(linkInfo?.kind);
    const data = linkInfo?.data ?? {};
    const values = (kind?.decode?.(data) ?? data) as Values;
    for (const key of kind?.links ?? []) named.push([key, values[key]]);
  }
  for (const [option, index] of named) {
    if (typeof index !== "number" || index === 0) continue;
    if (!find(ref, getLink(index, { stats: false }))) {
      return `${option} is link ${index}, which is gone`;
    }
  }
  return undefined;
}

function mtuReason(message: LinkMessage, ref: NetNsRef): string | undefined {
  const { mtu, index } = message;
  if (mtu === undefined) return undefined;
  const link = message.parent === undefined && index !== undefined
    ? find(ref, getLink(index, { stats: false }))
    : undefined;
  const kind = linkKind(link ? kindOf(link) : message.linkInfo?.kind);
  const below = kind?.mtuUpToParent ? parentOf(link ?? message, ref) : undefined;
  if (below?.mtu === undefined || mtu <= below.mtu) return undefined;
  return `mtu ${mtu} is above ${below.mtu}, the MTU of its parent ${show(below.name)}`;
}

/** The link below one, also in another namespace. */
function parentOf(
  { parent, linkNetnsId }: Pick<LinkMessage, "parent" | "linkNetnsId">,
  ref: NetNsRef,
): LinkInfo | undefined {
  if (parent === undefined) return undefined;
  const request = getLink(parent, { stats: false });
  if (linkNetnsId === undefined) return find(ref, request);
  const message = { ...request.message as LinkMessage, targetNetnsId: linkNetnsId };
  return find(ref, { ...request, message });
}

/** The limits that an MTU exceeds, which the kernel does not report. */
function mtuRangeReason(message: LinkMessage, ref: NetNsRef): string | undefined {
  const { mtu, index, name, linkInfo } = message;
  const { peer } = (linkInfo?.data ?? {}) as { peer?: LinkMessage };
  const isNew = name !== undefined && linkInfo?.kind !== undefined;
  const asked = [["mtu", mtu], ["peer.mtu", peer?.mtu]] as const;
  if (asked.every(([, value]) => value === undefined)) return undefined;
  const limits = isNew
    ? exampleOf(linkInfo.kind!)
    : index === undefined
    ? undefined
    : find(ref, getLink(index, { stats: false }));
  const { minMtu = 0, maxMtu = 0 } = limits ?? {};
  for (const [path, value] of asked) {
    if (value === undefined || maxMtu === 0 || value >= minMtu && value <= maxMtu) continue;
    return `${path} must be in ${minMtu}..${maxMtu} bytes: got ${value}`;
  }
  return undefined;
}

/** A link of a kind as the kernel creates it without options, in a throw-away namespace. */
function exampleOf(kind: string): LinkInfo | undefined {
  let netns: NetNsRef;
  try {
    netns = newNetNs("netns for trying link kinds");
  } catch (error) {
    // Creating links in an own namespace does not take the privilege to create one.
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
  using _netns = netns;
  connectionTo(netns).batch([newLink({ name: "probe0", linkInfo: { kind } })]);
  return find(netns, getLink("probe0", { stats: false }));
}

/** The index of a link that exists is its own: an address that it has already is not a taken index. */
function takenNewReason(message: LinkMessage, ref: NetNsRef): string | undefined {
  const { name } = message;
  return takenReason(name === undefined ? {} : { name }, ref) ?? takenIndexReason(message, ref);
}

/** For a taken index the kernel answers EBUSY, not EEXIST, when it creates the link in another namespace. */
function takenIndexReason(message: LinkMessage, ref: NetNsRef): string | undefined {
  const { name, index, linkInfo } = message;
  const isNew = name !== undefined && linkInfo?.kind !== undefined && index !== undefined;
  return isNew ? takenReason({ index }, ref) : undefined;
}

/** The kinds whose links take the frames of their parent, as a master does: a link has one such user. */
const FRAME_HANDLERS: readonly unknown[] = ["macvlan", "macvtap", "ipvlan", "ipvtap"];

function frameHandlerReason(message: LinkMessage, ref: NetNsRef): string | undefined {
  const { linkInfo, index, master } = message;
  const parent = FRAME_HANDLERS.includes(linkInfo?.kind) ? parentOf(message, ref) : undefined;
  if (parent?.master) {
    const at = find(ref, getLink(parent.master, { stats: false }));
    const port = at ? `of ${describeLink({ name: at.name, kind: kindOf(at) })}` : "of a master";
    return `its parent ${show(parent.name)} is a port ${port}, which takes all its frames`;
  }
  if (!master || index === undefined) return undefined;
  const above = connectionTo(ref).dump(dumpLinks({ stats: false }))
    .filter((link) => link.parent === index && FRAME_HANDLERS.includes(kindOf(link)));
  if (above.length === 0) return undefined;
  const names = above.map((link) => describeLink({ name: link.name, kind: kindOf(link) }));
  return `${names.join(", ")} on it ${above.length === 1 ? "takes" : "take"} its frames`;
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
