/**
 * Named namespaces, made and removed as `ip netns` does: a file below /run/netns with the namespace
 * mounted on it.
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import type { Fd } from "../../ffi/fd.ts";
import { open, removeFile } from "../../ffi/file.ts";
import { bindMount, shareMount, unmount } from "../../ffi/mount.ts";
import { inodeOf, type NetNsRef } from "../../ffi/namespace.ts";
import { show } from "../netlink/attribute.ts";
import { NETNS_DIRECTORY, netnsPath } from "../netlink/target.ts";
import { withRunDirectory } from "./run_directory.ts";

/** Whether a namespace has this name. The stale file of a crash is none. */
export function isNamed(name: string): boolean {
  return inodeOf(netnsPath(name)) !== undefined;
}

/** Takes a name for a namespace to come, after calling `claim`. EEXIST when a namespace has it. */
export function reserveName(name: string, claim: () => void): void {
  if (isNamed(name)) throw taken(name);
  claim();
  const path = netnsPath(name);
  withRunDirectory(NETNS_DIRECTORY, () => {
    if (makeFile(path, name)) return;
    // A plain file is what a crash between here and the mount left behind.
    removeFile(path);
    if (!makeFile(path, name)) throw taken(name);
  });
}

function taken(name: string): SyscallError {
  return new SyscallError(`create netns ${show(name)}`, "open", ERRNO.EEXIST);
}

function makeFile(path: string, name: string): boolean {
  let file: Fd;
  try {
    file = open(path, C.O_RDONLY | C.O_CREAT | C.O_EXCL, `create netns ${show(name)}`);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ERRNO.EEXIST) return false;
    throw error;
  }
  file.close();
  return true;
}

/** Mounts a namespace on its reserved name, for other mount namespaces to see too. */
export function mountName(name: string, ref: NetNsRef): void {
  shareMount(NETNS_DIRECTORY);
  bindMount(`/proc/self/fd/${ref.fd.value}`, netnsPath(name), `create netns ${show(name)}`);
}

/**
 * Removes a name; the namespace itself lives on while something holds it.
 *
 * @param name The name.
 * @param inode Only if this is the namespace that has the name; default: whichever has it.
 * @returns `false` when there is none.
 */
export function removeName(name: string, inode?: number): boolean {
  const path = netnsPath(name);
  if (inode !== undefined && inodeOf(path) !== inode) return false;
  unmount(path);
  return removeFile(path);
}
