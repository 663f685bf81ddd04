/**
 * The id by which one namespace knows another.
 *
 * @module
 */
import type { NetNsRef } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import { getNsid, newNsid } from "../rtnetlink/nsid.ts";

/** The id `seen` has in `from`; the kernel gives it one when it has none. */
export function nsidOf(from: NetNsRef, seen: NetNsRef): number {
  const what = seen.description || "the process's own netns";
  const fd = seen.fd.value;
  const connection = connectionTo(from);
  const known = connection.request(getNsid({ fd }, what)).nsid ?? -1;
  if (known >= 0) return known;
  connection.request(newNsid({ fd, nsid: -1 }, what));
  return connection.request(getNsid({ fd }, what)).nsid ?? -1;
}
