/**
 * Who keeps a namespace alive.
 *
 * @module
 */
import { readDirectory } from "../../ffi/file.ts";
import { inodeOf } from "../../ffi/namespace.ts";

/** Processes with a thread in the namespace, ascending. Those of other users may be out of sight. */
export function holders(inode: number): number[] {
  return processes((process) =>
    inodeOf(`${process}/ns/net`) === inode ||
    list(`${process}/task`).some((thread) => inodeOf(`${thread}/ns/net`) === inode)
  );
}

/** How long a process may take to end that has got the same Ctrl-C, in milliseconds. */
const MOMENT = 200;

/** Other processes that stay in the namespace, also when those that are just ending have ended. */
export function staying(inode: number): number[] {
  const until = performance.now() + MOMENT;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    const pids = holders(inode).filter((pid) => pid !== Deno.pid);
    if (pids.length === 0 || performance.now() > until) return pids;
    Atomics.wait(cell, 0, 0, 10);
  }
}

/** Processes that have the namespace open, ascending. Sockets in it do not show. */
export function openers(inode: number): number[] {
  return processes((process) => list(`${process}/fd`).some((fd) => inodeOf(fd) === inode));
}

function processes(condition: (path: string) => boolean): number[] {
  return readDirectory("/proc")
    .filter((entry) => /^\d+$/.test(entry) && condition(`/proc/${entry}`))
    .map(Number)
    .sort((a, b) => a - b);
}

function list(directory: string): string[] {
  try {
    return readDirectory(directory).map((entry) => `${directory}/${entry}`);
  } catch {
    // The process has ended meanwhile, or is another user's.
    return [];
  }
}
