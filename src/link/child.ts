/**
 * Making and changing links that sit on another link, their parent.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import type { LinkMessage } from "../rtnetlink/link.ts";
import { createLink } from "./create.ts";
import { type LinkState, parentMessage } from "./link.ts";
import {
  type LinkOptions,
  type LinkSettings,
  type LinkTarget,
  settingsMessage,
  splitOptions,
} from "./options.ts";
import { show } from "../options.ts";

/** What a link that sits on another needs. */
export interface ChildOptions {
  /**
   * The link this one sits on: a handle, which may be of another namespace, or a name or an index in
   * this link's own.
   */
  readonly parent: LinkTarget;
}

/** Makes such a link. `toData` checks the kind's own options and groups them as the kernel does. */
export function createChild<T extends object>(
  kind: string,
  options: LinkOptions & ChildOptions & T,
  toData: (own: T) => object,
): LinkState {
  const { common, own } = splitOptions<ChildOptions & T>(options);
  const { parent, ...rest } = own;
  if (!["object", "string", "number"].includes(typeof parent) || parent === null) {
    throw new TypeError(
      `parent must be a link, a name or an index: got ${show(parent)}`,
    );
  }
  const data = toData(rest as unknown as T);
  const { netns, info } = createLink(kind, common, data, (ref) => parentMessage(parent, ref));
  return { netns, info, kind, owned: true };
}

/** A change of a living link's settings and of its kind's own options, as one message. */
export function changeMessage<T extends object>(
  kind: string,
  settings: LinkSettings & T,
  ref: NetNsRef,
  toData: (own: T) => object,
): LinkMessage {
  const { common, own } = splitOptions<T>(settings as LinkSettings & T & { name: string });
  const message = settingsMessage(common, ref);
  const data = toData(own);
  if (Object.keys(data).length > 0) message.linkInfo = { ...message.linkInfo, kind, data };
  return message;
}
