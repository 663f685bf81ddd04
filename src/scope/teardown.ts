/**
 * Deleting links in bulk.
 *
 * @module
 */
import type { Connection } from "../netlink/connection.ts";
import { NetlinkError } from "../netlink/error.ts";
import { deleteLink, dumpLinks } from "../rtnetlink/link.ts";

/** Deletes all links of a group in the connection's namespace. */
export function deleteGroup(connection: Connection, group: number): void {
  // Group 0 is every link that nobody has grouped: the machine's own.
  if (group === 0) throw new RangeError("The links of group 0 are not one owner's to delete");
  const error = attempt(() => connection.request(deleteLink({ group })));
  if (!error || error.code === "ENODEV") return;
  if (error.code !== "EOPNOTSUPP") throw error;
  // A member that cannot be deleted makes the kernel refuse all of them: one by one then.
  for (const { index } of connection.dump(dumpLinks({ group, stats: false })).reverse()) {
    const refused = attempt(() => connection.request(deleteLink({ index })));
    if (refused && refused.code !== "ENODEV") throw refused;
  }
}

function attempt(request: () => void): NetlinkError | undefined {
  try {
    request();
    return undefined;
  } catch (error) {
    if (error instanceof NetlinkError) return error;
    throw error;
  }
}
