/**
 * What link messages have beyond the link: a port's options in a bridge's message, and where a link went.
 *
 * @module
 */
import { forEachAttribute, s32 } from "../netlink/attribute.ts";
import type { Source } from "../netlink/bytes.ts";
import { NLA_F } from "../netlink/constants.ts";
import { linkKind } from "../rtnetlink/kinds.ts";
import { IFLA } from "../rtnetlink/link_attributes.ts";
import type { LinkMove } from "./event.ts";

/** Size of `struct ifinfomsg`. */
const HEADER = 16;

const number = s32(0);

/**
 * A bridge port's options and state, out of a message of family AF_BRIDGE about the port; bytes where
 * the kind has no schema, as in links.
 */
export function portMemberData(source: Source, start: number, end: number): object | undefined {
  let data: object | undefined;
  forEachAttribute(source, start + HEADER, end, (type, at, length) => {
    const nested = source.view.getUint16(at - 2, true) & NLA_F.NESTED;
    if (type !== IFLA.PROTINFO || !nested) return;
    data = linkKind("bridge")?.member?.read(source, at, at + length) ??
      source.bytes.slice(at, at + length);
  });
  return data;
}

/** Where a link went, out of the RTM_DELLINK that says that it left. */
export function moveOf(source: Source, start: number, end: number): LinkMove | undefined {
  let netnsId: number | undefined;
  let index: number | undefined;
  forEachAttribute(source, start + HEADER, end, (type, at, length) => {
    if (type === IFLA.NEW_NETNSID) netnsId = number.read(source, at, length);
    else if (type === IFLA.NEW_IFINDEX) index = number.read(source, at, length);
  });
  return netnsId === undefined || index === undefined ? undefined : { netnsId, index };
}
