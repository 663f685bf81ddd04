/**
 * Checking that the kernel has done what it was asked for: it ignores some attributes in silence, and
 * adjusts others.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import type { Field } from "../netlink/attribute.ts";
import { Writer } from "../netlink/bytes.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Schema } from "../netlink/schema.ts";
import { type LinkKind, linkKind } from "../rtnetlink/kinds.ts";
import type { LinkInfo, LinkMessage } from "../rtnetlink/link.ts";
import { show } from "../options.ts";

/** Compares what was asked for with what the link has. */
export function verify(
  asked: LinkMessage,
  got: LinkInfo,
  kind: string,
  what: string,
  ref: NetNsRef,
): void {
  const refuse = (option: string, wanted: unknown, has: unknown): never => {
    throw new NetlinkError({
      operation: `set ${option} of ${what}`,
      netns: ref.description,
      errno: ERRNO.EOPNOTSUPP,
      text: `The kernel was asked for ${show(wanted)} and has ${show(has)}`,
    });
  };
  const { flags = 0, change = 0, linkInfo, netnsFd: _, linkNetnsId: __, ...plain } = asked;
  for (const [key, wanted] of Object.entries(plain)) {
    const has = got[key as keyof LinkInfo] ?? (key === "master" || key === "alias" ? 0 : undefined);
    if (!same(wanted, has)) refuse(key, wanted, has);
  }
  if ((got.flags ^ flags) & change) refuse("flags", flags, got.flags & change);
  const known = linkKind(kind);
  checkData(linkInfo?.data, got.linkInfo?.data, known, known?.data);
  const master = linkKind(linkInfo?.memberKind);
  checkData(linkInfo?.memberData, got.linkInfo?.memberData, master, master?.member);

  function checkData(
    wanted: object | undefined,
    has: object | undefined,
    known: LinkKind | undefined,
    schema: Schema<object> | undefined,
  ): void {
    if (!wanted || wanted instanceof Uint8Array) return;
    for (const [key, value] of Object.entries(wanted)) {
      const actual = (has as Record<string, unknown> | undefined)?.[key];
      if (value === undefined || known?.notReadBack?.includes(key)) continue;
      if (has && known?.tolerates?.(key, value, has)) continue;
      const near = known?.rounded?.includes(key) && Math.abs(Number(value) - Number(actual)) <= 1;
      if (near || same(value, actual)) continue;
      const field = (schema?.fields as Record<string, Field<unknown>> | undefined)?.[key];
      if (!field || !same(asRead(field, value), actual)) refuse(key, value, actual);
    }
  }
}

/** A value as it is read back: where a number has a name, by its name. */
function asRead(field: Field<unknown>, value: unknown): unknown {
  const writer = new Writer(64);
  field.write(writer, value, "");
  return field.read(writer, 0, writer.length);
}

function same(a: unknown, b: unknown): boolean {
  if (typeof a === "string" && typeof b === "string") {
    // An Ethernet address may have been given in capitals or with dashes.
    return a === b || /^(..:){5}..$/.test(b) && a.toLowerCase().replaceAll("-", ":") === b;
  }
  if (typeof a === "object" && typeof b === "object" && a && b) {
    return Object.entries(a).every(([key, value]) => same(value, (b as typeof a)[key as never]));
  }
  return a === b || (a === "" && b === 0);
}
