/**
 * Clearing up after a run that was killed.
 *
 * @module
 */
import { exists } from "../../ffi/file.ts";
import { homeNetNs } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import { netnsPath, openNamed } from "../netlink/target.ts";
import { ScopeError } from "./error.ts";
import { removeName } from "./named_netns.ts";
import { readRecord, removeRecord, startOf } from "./record.ts";
import { deleteGroup } from "./teardown.ts";

/** Makes sure that no scope of this name exists: removes a dead one's things when `replace` is set. */
export function clearLeftovers(name: string, replace: boolean): void {
  const record = readRecord(name);
  if (!record) return;
  if (startOf(record.pid) === record.started) {
    throw new ScopeError(
      `Scope "${name}" is open in process ${record.pid}: end that first, or take another name`,
    );
  }
  if (!replace) {
    throw new ScopeError(
      `Scope "${name}" was left behind by process ${record.pid}, which is gone: ` +
        `open it with replace: true to remove its leftovers`,
    );
  }
  deleteGroup(connectionTo(homeNetNs()), record.group);
  for (const netns of record.visited) {
    if (!exists(netnsPath(netns))) continue;
    using ref = openNamed(netns);
    deleteGroup(connectionTo(ref), record.group);
  }
  for (const netns of record.created) removeName(netns);
  removeRecord(name);
}
