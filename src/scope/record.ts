/**
 * The record of a named scope on disk: what a later run needs to clear up after a killed one. It lives
 * in /run, which a reboot empties like the kernel's tables.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { lock, readText, removeFile, writeText } from "../../ffi/file.ts";
import { ScopeError } from "./error.ts";
import { withRunDirectory } from "./run_directory.ts";
import { show } from "../options.ts";

const DIRECTORY = "/run/netloom";

/** What a scope has made. */
export interface ScopeRecord {
  /** The process. */
  readonly pid: number;
  /** When it started, in clock ticks since boot: process ids get reused. */
  readonly started: number;
  /** The group its links are in. */
  readonly group: number;
  /** Named namespaces it has made. */
  readonly created: readonly string[];
  /** Named namespaces of others it has made links in. */
  readonly visited: readonly string[];
}

/** Checks a scope's name: it becomes a file name. */
export function checkScopeName(name: string): string {
  if (typeof name !== "string" || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new TypeError(
      `A scope name has 1 to 64 letters, digits, ".", "_" or "-": got ${show(name)}`,
    );
  }
  return name;
}

/** Runs a function while no other process opens a scope. */
export function exclusively<T>(fn: () => T): T {
  return withRunDirectory(DIRECTORY, () => {
    using _lock = lock(DIRECTORY);
    return fn();
  });
}

/** Reads the record of a scope, if there is one. */
export function readRecord(name: string): ScopeRecord | undefined {
  const path = `${DIRECTORY}/${name}.json`;
  try {
    return JSON.parse(readText(path)) as ScopeRecord;
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ERRNO.ENOENT) return undefined;
    if (error instanceof SyntaxError) {
      throw new ScopeError(`Scope "${name}" has a record that is not JSON: look at ${path}`);
    }
    throw error;
  }
}

/** Writes the record of a scope. */
export function writeRecord(name: string, record: ScopeRecord): void {
  withRunDirectory(
    DIRECTORY,
    () => writeText(`${DIRECTORY}/${name}.json`, JSON.stringify(record) + "\n"),
  );
}

/** Removes the record of a scope. */
export function removeRecord(name: string): void {
  // A kill while it was written leaves the draft.
  removeFile(`${DIRECTORY}/${name}.json.new`);
  removeFile(`${DIRECTORY}/${name}.json`);
}

/** When a process started, in clock ticks since boot, or `undefined` when there is none or it ended. */
export function startOf(pid: number | "self"): number | undefined {
  try {
    const stat = readText(`/proc/${pid}/stat`);
    // The command in parentheses may contain anything; state is field 3, start time 22.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie has ended, whether its parent has asked for it or not.
    return fields[0] === "Z" ? undefined : Number(fields[19]);
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}
