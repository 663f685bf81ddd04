/**
 * The namespace that a verb means.
 *
 * @module
 */
import { NetNs } from "../netns/netns.ts";
import { type Call, word } from "./verb.ts";

/** Opens a namespace by a name, the id of a process, or a path. */
export function openNetNs(text: string): NetNs {
  if (/^\d+$/.test(text)) return NetNs.open({ pid: Number(text) });
  return NetNs.open(text.includes("/") ? { path: text } : text);
}

/** The namespace of `--netns`; by default the current one. */
export function netnsOf(call: Call): NetNs {
  const text = word(call, "netns");
  return text === undefined ? NetNs.current() : openNetNs(text);
}
