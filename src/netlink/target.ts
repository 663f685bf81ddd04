/**
 * The ways to say which network namespace.
 *
 * @module
 */
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { currentNetNs, type NetNsRef, openNetNs } from "../../ffi/namespace.ts";
import { checkOptions, show } from "../options.ts";

/** Where named namespaces live, as `ip netns` has them. */
export const NETNS_DIRECTORY = "/run/netns";

/** Something that has a namespace reference: a `NetNs`. */
export interface NetNsHandle {
  /** The reference the lower layers work with. */
  readonly ref: NetNsRef;
}

/** A namespace: a handle, a name below /run/netns, a process in it, or a path such as /proc/42/ns/net. */
export type NetNsTarget =
  | NetNsHandle
  | { readonly name: string }
  | { readonly pid: number }
  | { readonly path: string };

/** A namespace reference, and whether the one who asked has to close it. */
export interface ResolvedNetNs {
  /** The reference. */
  readonly ref: NetNsRef;
  /** Opened for the asker, who closes it. */
  readonly owned: boolean;
}

const TARGET = { name: true, pid: true, path: true };

/** Finds or opens the namespace; default: the one calls land in now. */
export function resolveNetNs(target?: NetNsTarget): ResolvedNetNs {
  if (target === undefined) return { ref: currentNetNs(), owned: false };
  if (typeof target !== "object" || target === null) {
    throw new TypeError(
      `netns must be a NetNs, { name }, { pid } or { path }: got ${show(target)}`,
    );
  }
  if ("ref" in target) return { ref: target.ref, owned: false };
  checkOptions(target, TARGET, "netns");
  if (Object.keys(target).length !== 1) {
    throw new TypeError(`netns must have one of name, pid and path: got ${show(target)}`);
  }
  if ("pid" in target) {
    const { pid } = target;
    if (!Number.isInteger(pid) || pid <= 0) {
      throw new TypeError(`netns.pid must be a process id: got ${show(pid)}`);
    }
    return { ref: openNetNs(`/proc/${pid}/ns/net`, `netns of process ${pid}`), owned: true };
  }
  if ("path" in target) {
    const { path } = target;
    if (typeof path !== "string" || path === "") {
      throw new TypeError(`netns.path must be a path: got ${show(path)}`);
    }
    return { ref: openChecked(path, `netns ${show(path)}`, "is no namespace"), owned: true };
  }
  return { ref: openNamed(target.name), owned: true };
}

/** Opens a namespace by its name below /run/netns. */
export function openNamed(name: string): NetNsRef {
  // A crash between making the file and mounting on it leaves a plain file.
  return openChecked(netnsPath(name), `netns ${show(name)}`, "is stale", name);
}

function openChecked(path: string, description: string, flaw: string, name?: string): NetNsRef {
  const ref = openNetNs(path, description, name);
  if (ref.inode) return ref;
  ref.close();
  throw new SyscallError(`open ${description}`, {
    syscall: "setns",
    errno: ERRNO.EINVAL,
    hint: `${path} ${flaw}`,
  });
}

/** Whether a namespace can have this name: it becomes that of a file below /run/netns. */
export function isNetNsName(name: unknown): name is string {
  // deno-lint-ignore no-control-regex
  return typeof name === "string" && /^[^/\x00]+$/.test(name) && name !== "." && name !== ".." &&
    new TextEncoder().encode(name).length <= 255;
}

/** The path of a named namespace; the name cannot lead out of the directory. */
export function netnsPath(name: string): string {
  if (!isNetNsName(name)) {
    throw new TypeError(
      `A netns name has 1 to 255 bytes without "/" and is not "." or "..": got ${show(name)}`,
    );
  }
  return `${NETNS_DIRECTORY}/${name}`;
}
