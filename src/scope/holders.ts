/**
 * Who keeps a namespace alive.
 *
 * @module
 */
import { readDirectory } from "../../ffi/file.ts";
import { inodeOf } from "../../ffi/namespace.ts";

/** Processes with a thread in the namespace, ascending. Those of other users may be out of sight. */
export function holders(inode: number): number[] {
  const pids: number[] = [];
  for (const entry of readDirectory("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const process = `/proc/${entry}`;
    const inside = inodeOf(`${process}/ns/net`) === inode ||
      threads(process).some((thread) => inodeOf(`${thread}/ns/net`) === inode);
    if (inside) pids.push(Number(entry));
  }
  return pids.sort((a, b) => a - b);
}

function threads(process: string): string[] {
  try {
    return readDirectory(`${process}/task`).map((task) => `${process}/task/${task}`);
  } catch {
    // The process has ended meanwhile.
    return [];
  }
}

/** Whether this process has the namespace open. */
export function openHere(inode: number): boolean {
  return readDirectory("/proc/self/fd").some((fd) => inodeOf(`/proc/self/fd/${fd}`) === inode);
}
