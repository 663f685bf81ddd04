/**
 * Directories below /run, also where an ordinary user has made namespaces of their own.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { exists, makeDirectory } from "../../ffi/file.ts";
import { mountTmpfs } from "../../ffi/mount.ts";

/**
 * Runs `make`, which makes a file in `directory` (directly below /run).
 *
 * Inside `unshare -Urmn` /run belongs to the machine's root, and nobody may write there. The mount
 * namespace is our own then: an empty tmpfs over the directory, or over /run when there is no such
 * directory, is seen by nobody outside. Elsewhere that mount is refused, and the first error stands.
 */
export function withRunDirectory<T>(directory: string, make: () => T): T {
  try {
    makeDirectory(directory);
    return make();
  } catch (error) {
    if (!(error instanceof SyscallError) || error.errno !== ERRNO.EACCES) throw error;
    try {
      mountTmpfs(exists(directory) ? directory : "/run", "netloom");
    } catch {
      throw error;
    }
    makeDirectory(directory);
    return make();
  }
}
