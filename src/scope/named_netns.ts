/**
 * Named namespaces, made and removed as `ip netns` does: a file below /run/netns with the namespace
 * mounted on it.
 *
 * @module
 */
import { C } from "../../ffi/constants.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import type { Fd } from "../../ffi/fd.ts";
import { lock, open, removeFile } from "../../ffi/file.ts";
import { bindMount, shareMount, unmount } from "../../ffi/mount.ts";
import { inodeOf, type NetNsRef } from "../../ffi/namespace.ts";
import { NETNS_DIRECTORY, netnsPath } from "../netlink/target.ts";
import { withRunDirectory } from "./run_directory.ts";
import { show } from "../options.ts";

/** Whether a namespace has this name. The stale file of a crash is none. */
export function isNamed(name: string): boolean {
  return inodeOf(netnsPath(name)) !== undefined;
}

/** Gives a namespace a name, after calling `claim`. EEXIST when another has it. */
export function giveName(name: string, ref: NetNsRef, claim: () => void): void {
  if (isNamed(name)) throw taken(name);
  claim();
  const path = netnsPath(name);
  withRunDirectory(NETNS_DIRECTORY, () => {
    // `ip netns` takes it, too. A plain file is a crash's then, not one about to be a mount.
    using _lock = lock(NETNS_DIRECTORY);
    if (!makeFile(path, name)) {
      if (isNamed(name)) throw taken(name);
      removeFile(path);
      if (!makeFile(path, name)) throw taken(name);
    }
    try {
      // For other mount namespaces to see too.
      shareMount(NETNS_DIRECTORY);
      bindMount(`/proc/self/fd/${ref.fd.value}`, path, `create netns ${show(name)}`);
    } catch (error) {
      removeFile(path);
      throw error;
    }
  });
}

function taken(name: string): SyscallError {
  return new SyscallError(`create netns ${show(name)}`, {
    syscall: "open",
    errno: ERRNO.EEXIST,
    hint: "NetNs.open() opens it, NetNs.delete() removes its name",
  });
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
