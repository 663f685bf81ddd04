/**
 * Limits of the machine that a lab would meet: checked before anything is created.
 *
 * @module
 */
import { SyscallError } from "../../ffi/errno.ts";
import { readDirectory, readText } from "../../ffi/file.ts";
import { homeNetNs } from "../../ffi/namespace.ts";
import { sysctl } from "../netns/sysctl.ts";
import type { ResolvedTopology } from "./resolved.ts";
import { LabError } from "./transaction.ts";

/** Descriptors for each node: its namespace and a socket, and one more for a moment. */
const DESCRIPTORS = 3;

/**
 * Checks the limits of neighbors and descriptors.
 *
 * @throws {LabError} When the lab needs more, with the setting to change.
 */
export function checkLimits(topology: ResolvedTopology): void {
  const { nodes } = topology;
  for (const [family, colon] of [["ipv4", false], ["ipv6", true]] as const) {
    const name = `net.${family}.neigh.default.gc_thresh3`;
    const most = settingOf(name);
    if (most === undefined) continue;
    // Each interface that carries traffic knows one neighbor at least.
    const needed = nodes.flatMap(({ interfaces }) =>
      interfaces
    ).filter(({ kind, addresses }) =>
      kind !== "loopback" && addresses.some((address) => address.includes(":") === colon)
    ).length;
    if (needed <= most) continue;
    throw new LabError(
      `The lab needs ${needed} entries of the neighbor table or more, and the kernel has ${most} for ` +
        `all namespaces together: raise it with sysctl -w ${name}=${roundUp(2 * needed)}`,
    );
  }
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readText("/proc/self/limits")) ?? [];
  const needed = nodes.length * DESCRIPTORS + readDirectory("/proc/self/fd").length;
  if (soft === undefined || needed <= Number(soft)) return;
  throw new LabError(
    `The lab needs ${needed} descriptors, and this process may have ${soft}: raise it with ulimit -n ` +
      roundUp(needed),
  );
}

function roundUp(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}

/** A number; `undefined` in a namespace that does not show it: the table is that of the machine. */
function settingOf(name: string): number | undefined {
  try {
    return Number(sysctl(homeNetNs(), name));
  } catch (error) {
    if (error instanceof SyscallError && error.code === "ENOENT") return undefined;
    throw error;
  }
}
