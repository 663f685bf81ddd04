/**
 * Finding the other end of a pair, in whatever namespace it is.
 *
 * @module
 */
import { readDirectory } from "../../ffi/file.ts";
import { currentNetNs, homeNetNs, inodeOf, type NetNsRef, openNetNs } from "../../ffi/namespace.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { NETNS_DIRECTORY, type ResolvedNetNs } from "../netlink/target.ts";
import { getLink } from "../rtnetlink/link.ts";
import { getNsid } from "../rtnetlink/nsid.ts";
import type { LinkBase } from "./base.ts";
import type { LinkState } from "./find.ts";

/** A namespace that may have the other end: how to open it, and its inode where that is told cheaply. */
interface Candidate {
  readonly inode?: number | undefined;
  open(): ResolvedNetNs;
}

/**
 * The other end of a pair.
 *
 * @throws {NetlinkError} ENODEV when no namespace within reach has it.
 */
export function peerOf(link: LinkBase): LinkState {
  const info = connectionTo(link.ref).request(getLink(link.index, { stats: false }));
  const { peer, linkNetnsId } = info;
  if (peer === undefined) throw lost(link, "the kernel reports no other end");
  const netns = linkNetnsId === undefined
    ? { ref: link.ref, owned: false }
    : namespaceWithId(link, linkNetnsId);
  try {
    const other = connectionTo(netns.ref).request(getLink(peer, { stats: false }));
    return { netns, kind: link.kind, index: peer, name: other.name, owned: false };
  } catch (error) {
    if (netns.owned) netns.ref.close();
    throw error;
  }
}

function namespaceWithId(link: LinkBase, id: number): ResolvedNetNs {
  const seen = new Set<number>();
  const counts = { named: 0, processes: 0 };
  for (const { inode, open } of candidates(counts)) {
    if (inode !== undefined && seen.has(inode)) continue;
    if (inode !== undefined) seen.add(inode);
    let found: ResolvedNetNs;
    try {
      found = open();
    } catch (error) {
      // Gone meanwhile, or out of this user's reach.
      if (error instanceof SyscallError) continue;
      throw error;
    }
    if (idOf(link.ref, found.ref) === id) return found;
    if (found.owned) found.ref.close();
  }
  throw lost(
    link,
    `it is in the namespace with id ${id}, which is neither the current one, nor one of ` +
      `${counts.named} in ${NETNS_DIRECTORY}, nor that of one of ${counts.processes} processes`,
  );
}

function* candidates(counts: { named: number; processes: number }): Generator<Candidate> {
  for (const ref of [currentNetNs(), homeNetNs()]) {
    yield { inode: ref.inode, open: () => ({ ref, owned: false }) };
  }
  for (const name of readDirectory(NETNS_DIRECTORY)) {
    const path = `${NETNS_DIRECTORY}/${name}`;
    counts.named++;
    yield {
      inode: inodeOf(path),
      open: () => ({ ref: openNetNs(path, `netns ${JSON.stringify(name)}`, name), owned: true }),
    };
  }
  for (const pid of readDirectory("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const path = `/proc/${pid}/ns/net`;
    counts.processes++;
    yield {
      inode: inodeOf(path),
      open: () => ({ ref: openNetNs(path, `netns of process ${pid}`), owned: true }),
    };
    // Namespaces without a name or a process live by a descriptor.
    yield* openedBy(pid);
  }
}

function* openedBy(pid: string): Generator<Candidate> {
  let descriptors: string[];
  try {
    descriptors = readDirectory(`/proc/${pid}/fd`);
  } catch {
    return; // Gone meanwhile, or another user's.
  }
  for (const fd of descriptors) {
    const path = `/proc/${pid}/fd/${fd}`;
    const inode = inodeOf(path);
    if (inode === undefined) continue;
    yield {
      inode,
      open: () => ({ ref: openNetNs(path, `netns of process ${pid}`), owned: true }),
    };
  }
}

/** The id of `seen` in `from`, without giving it one. */
function idOf(from: NetNsRef, seen: NetNsRef): number {
  return connectionTo(from).request(getNsid({ fd: seen.fd.value })).nsid ?? -1;
}

function lost(link: LinkBase, text: string): NetlinkError {
  return new NetlinkError({
    operation: `find the other end of ${link.kind} ${JSON.stringify(link.name)}`,
    netns: link.ref.description,
    errno: ERRNO.ENODEV,
    text,
  });
}
