/**
 * Links as options name them: by a handle, a name or an index.
 *
 * @module
 */
import { NetNsRef, sameNetNs } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { show } from "../options.ts";
import { checkIndex } from "./fields.ts";
import { getLink } from "./link.ts";
import type { LinkHandle, LinkTarget } from "./link_kinds/kind.ts";

export type { LinkHandle, LinkTarget } from "./link_kinds/kind.ts";

/** A link handle with a name for messages. Collections keep it: a link that moves gets another index. */
export interface NamedLink extends LinkHandle {
  /** Its name. */
  readonly name: string;
  /** Its kind. */
  readonly kind?: string | undefined;
}

/** A link for messages: `veth "v0"`. */
export function describeLink({ kind, name }: Pick<NamedLink, "kind" | "name">): string {
  return `${kind ?? "link"} ${show(name)}`;
}

/** The title of what a link has, for people: `addresses of veth "v0" in netns "blue"`. */
export function titleOf(noun: string, link: NamedLink): string {
  return `${noun} of ${describeLink(link)}${link.ref.place}`;
}

/** Whether a link is given by a handle. */
export function isHandle(target: unknown): target is LinkHandle {
  return (target as Partial<LinkHandle> | null | undefined)?.ref instanceof NetNsRef;
}

/**
 * The index of a link in a namespace.
 *
 * @param target A handle, a name, an alternative name, or an index.
 * @param ref The namespace.
 * @param option The option that names the link, for errors.
 * @throws {NetlinkError} ENODEV when no link has the name.
 * @throws {TypeError} When `target` is none of these, or a handle of another namespace.
 */
export function indexOf(target: LinkTarget, ref: NetNsRef, option: string): number {
  if (typeof target === "number") return checkIndex(target, option);
  if (typeof target === "string") {
    try {
      return connectionTo(ref).request(getLink(target, { stats: false })).index;
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.code !== "ENODEV") throw error;
      throw new NetlinkError({
        operation: `find ${option} ${show(target)}`,
        netns: ref.description,
        errno: error.errno,
        text: `No such device; a name is looked up in the namespace of the link that names it`,
      });
    }
  }
  if (!isHandle(target)) {
    throw new TypeError(`${option} must be a link, its name or its index: got ${show(target)}`);
  }
  target.ref.check(`${option} is link ${target.index}`);
  if (!sameNetNs(target.ref, ref)) {
    throw new TypeError(
      `${option} is link ${target.index} in ${target.ref.label}, ` +
        `the link itself is in ${ref.label}`,
    );
  }
  return target.index;
}
