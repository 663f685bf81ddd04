/**
 * Finding links: by name, as the other end of a pair, the names of related ones, and a free index.
 *
 * @module
 */
import type { Connection } from "../netlink/connection.ts";
import {
  connectionTo,
  NETNS_DIRECTORY,
  type NetNsTarget,
  type ResolvedNetNs,
  resolveNetNs,
} from "../netlink/connections.ts";
import { checkOptions, type OptionNames, show } from "../options.ts";
import { dumpLinks, getLink, kindOf } from "../rtnetlink/link.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import { type NamedLink, nearestLink } from "../rtnetlink/link_target.ts";
import { processId, readDirectory } from "../../ffi/file.ts";
import { currentNetNs, homeNetNs, inodeOf, type NetNsRef, openNetNs } from "../../ffi/namespace.ts";
import { ERRNO, SyscallError } from "../../ffi/errno.ts";
import { NetlinkError } from "../netlink/error.ts";
import { getNsid } from "../rtnetlink/nsid.ts";
import { descriptors, processes } from "../scope/namespaces.ts";
import { scopes } from "../scope/scope.ts";

/** Options of {@link Link.get}. */
export interface LinkGetOptions {
  /** The namespace of the link. Default: the current one. */
  readonly netns?: NetNsTarget;
}

/** The state of a link handle, for the constructors of link kinds. */
export interface LinkState {
  /** Its namespace. */
  readonly netns: ResolvedNetNs;
  /** The kernel's name of its kind; `undefined` for loopback and physical links. */
  readonly kind: string | undefined;
  /** Its index. */
  readonly index: number;
  /** Its name. */
  readonly name: string;
  /** Whether disposing the handle deletes the link. */
  readonly owned: boolean;
}

const GET_OPTIONS: OptionNames<LinkGetOptions> = { netns: true };

/**
 * Finds a link for a borrowed handle.
 *
 * @param selector Its name, an alternative name, or its index.
 * @param options Its namespace.
 * @param kind The kind it must have.
 * @throws {TypeError} When it is of another kind.
 */
export function findLink(
  selector: string | number,
  options: LinkGetOptions = {},
  kind?: string,
): LinkState & { readonly info: LinkInfo } {
  checkOptions(options, GET_OPTIONS);
  if (typeof selector !== "string" && typeof selector !== "number") {
    throw new TypeError(`A link is found by its name or index: got ${show(selector)}`);
  }
  const netns = resolveNetNs(options.netns);
  try {
    const info = connectionTo(netns.ref).request(getLink(selector, { stats: false }));
    const actual = kindOf(info);
    if (kind !== undefined && actual !== kind) {
      throw new TypeError(`Link ${show(info.name)} is not a ${kind}: its kind is ${actual}`);
    }
    return { netns, info, kind: actual, index: info.index, name: info.name, owned: false };
  } catch (error) {
    const told = withNearest(error, selector, netns.ref);
    if (netns.owned) netns.ref.close();
    throw told;
  }
}

/** Adds the nearest name to the error for a name that no link has. */
function withNearest(error: unknown, selector: string | number, ref: NetNsRef): unknown {
  const missing = error instanceof NetlinkError && error.code === "ENODEV";
  if (!missing || typeof selector !== "string") return error;
  const near = nearestLink(selector, ref);
  if (near === undefined) return error;
  const { operation, netns, errno, ack } = error;
  return new NetlinkError({ operation, netns, errno, ack, hint: `did you mean ${show(near)}?` });
}

/**
 * Adds the names of masters, parents and peers to links, where they are in the links' own namespace.
 *
 * @param connection A connection to the links' namespace.
 * @param links The links; a whole table needs no further request.
 */
export function nameRelated(connection: Connection, links: readonly LinkInfo[]): void {
  const names = new Map<number, string>();
  for (let i = 0; i < links.length; i++) names.set(links[i]!.index, links[i]!.name);
  const missing = new Set<number>();
  const unnamed: LinkInfo[] = [];
  for (let i = 0; i < links.length; i++) {
    if (!setNames(links[i]!, names, missing)) unnamed.push(links[i]!);
  }
  if (missing.size === 0) return;
  const requests = Array.from(missing, (index) => getLink(index, { stats: false }));
  for (const result of connection.batch(requests)) {
    // One that is gone by now has no name.
    if (!result.ok) continue;
    const { index, name } = result.value as LinkInfo;
    names.set(index, name);
  }
  for (const link of unnamed) setNames(link, names, missing);
}

/** Sets the names that are known, and adds the indexes of the others to `missing`. */
function setNames(
  link: LinkInfo,
  names: ReadonlyMap<number, string>,
  missing: Set<number>,
): boolean {
  const { master, parent, peer } = link;
  const before = missing.size;
  if (master) {
    const name = names.get(master);
    if (name === undefined) missing.add(master);
    else link.masterName = name;
  }
  if (link.linkNetnsId !== undefined) return missing.size === before;
  if (parent) {
    const name = names.get(parent);
    if (name === undefined) missing.add(parent);
    else link.parentName = name;
  }
  if (peer) {
    const name = names.get(peer);
    if (name === undefined) missing.add(peer);
    else link.peerName = name;
  }
  return missing.size === before;
}

/** An index that no link of the namespace has; `wanted` where that is free. */
export function freeIndex(connection: Connection, wanted: number): number {
  const taken = new Set(connection.dump(dumpLinks({ stats: false })).map(({ index }) => index));
  return taken.has(wanted) ? Math.max(...taken) + 1 : wanted;
}

/** A namespace that may have the other end. */
interface Candidate {
  /** `undefined` where no namespace is, or one that is out of this user's reach. */
  readonly inode: number | undefined;
  open(): ResolvedNetNs;
}

/**
 * The other end of a pair.
 *
 * @throws {NetlinkError} ENODEV when no namespace within reach has it.
 */
export function peerOf(link: NamedLink): LinkState {
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

function namespaceWithId(link: NamedLink, id: number): ResolvedNetNs {
  const seen = new Set<number>();
  const counts = { named: 0, processes: 0 };
  for (const { inode, open } of candidates(counts)) {
    if (inode === undefined || seen.has(inode)) continue;
    seen.add(inode);
    let found: ResolvedNetNs;
    try {
      found = open();
    } catch (error) {
      // It has ended, or this user may not open it.
      if (error instanceof SyscallError) continue;
      throw error;
    }
    let same = false;
    try {
      same = idOf(link.ref, found.ref) === id;
    } finally {
      if (!same && found.owned) found.ref.close();
    }
    if (same) return found;
  }
  throw lost(
    link,
    `it is in the namespace with id ${id}, which is neither the current one, nor one of ` +
      `${counts.named} in ${NETNS_DIRECTORY}, nor that of one of ${counts.processes} processes`,
  );
}

function* candidates(counts: { named: number; processes: number }): Generator<Candidate> {
  // References of scopes: a handle that borrows one keeps no namespace from its removal.
  for (const ref of [currentNetNs(), homeNetNs(), ...scopes.namespaces()]) {
    yield { inode: ref.inode, open: () => ({ ref, owned: false }) };
  }
  for (const name of readDirectory(NETNS_DIRECTORY)) {
    counts.named++;
    yield candidate(`${NETNS_DIRECTORY}/${name}`, `netns ${show(name)}`, name);
  }
  const own = processId();
  // This process comes first: most namespaces without a name are its own.
  for (const pid of [own, ...processes().filter((pid) => pid !== own)]) {
    counts.processes++;
    const description = `netns of process ${pid}`;
    yield candidate(`/proc/${pid}/ns/net`, description);
    // Namespaces without a name or a process live by a descriptor.
    for (const path of descriptors(pid)) yield candidate(path, description);
  }
}

function candidate(path: string, description: string, name?: string): Candidate {
  return {
    inode: inodeOf(path),
    open: () => ({ ref: openNetNs(path, description, name), owned: true }),
  };
}

/** The id of `seen` in `from`, without giving it one. */
function idOf(from: NetNsRef, seen: NetNsRef): number {
  return connectionTo(from).request(getNsid({ fd: seen.fd.value })).nsid ?? -1;
}

function lost(link: NamedLink, text: string): NetlinkError {
  return new NetlinkError({
    operation: `find the other end of ${link.kind} ${show(link.name)}`,
    netns: link.ref.description,
    errno: ERRNO.ENODEV,
    text,
  });
}
