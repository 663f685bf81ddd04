/**
 * Links as options name them: by a handle, a name or an index.
 *
 * @module
 */
import { NetNsRef, sameNetNs } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { nearest, show } from "../options.ts";
import { checkIndex } from "./fields.ts";
import { dumpLinks, getLink } from "./link.ts";
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

/** A link for messages, whose name may not be known: `veth "v0"`, `link 5`. */
function describeTarget(target: LinkHandle): string {
  const { name, kind } = target as Partial<NamedLink>;
  return typeof name === "string" ? describeLink({ name, kind }) : `link ${target.index}`;
}

/** The title of a collection of a link: `addresses of veth "v0" in netns "blue"`. */
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
      const near = nearestLink(target, ref);
      const advice = near === undefined
        ? `${ref.label} has no link of this name`
        : `did you mean ${show(near)}?`;
      throw new NetlinkError({
        operation: `find ${option} ${show(target)}`,
        netns: ref.description,
        errno: error.errno,
        text: `No such device; ${advice}`,
      });
    }
  }
  if (!isHandle(target)) {
    throw new TypeError(`${option} must be a link, its name or its index: got ${show(target)}`);
  }
  target.ref.check(`${option} is ${describeTarget(target)}`);
  if (!sameNetNs(target.ref, ref)) {
    throw new TypeError(
      `${option} is ${describeTarget(target)} in ${target.ref.label}, ` +
        `the link itself is in ${ref.label}`,
    );
  }
  return target.index;
}

/** The name of a link, also an alternative one, that is near enough to one that is not there. */
export function nearestLink(name: string, ref: NetNsRef): string | undefined {
  const links = connectionTo(ref).dump(dumpLinks({ stats: false }));
  return nearest(name, links.flatMap((link) => [link.name, ...link.altNames ?? []]));
}
