/**
 * Checks that the kernel has done what a message asked for: it silently ignores some attributes, and
 * adjusts others.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import type { Field } from "../netlink/attribute.ts";
import { Writer } from "../netlink/bytes.ts";
import { NetlinkError } from "../netlink/error.ts";
import { show } from "../options.ts";
import type { LinkMessage } from "../rtnetlink/link.ts";
import { linkFields } from "../rtnetlink/link_attributes.ts";
import type { KindOptions } from "../rtnetlink/link_kinds/kind.ts";
import { linkKind } from "../rtnetlink/link_kinds/mod.ts";

/** The values of a kind's options, asked for or read. */
type Values = Readonly<Record<string, unknown>>;

/** Attributes of a request that are not settings: they say which link, or where it goes. */
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
    // What the kernel reports may be a value that it would not take.
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
