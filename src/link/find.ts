/**
 * Finding links, and the names of those that they are related to.
 *
 * @module
 */
import type { Connection } from "../netlink/connection.ts";
import { connectionTo } from "../netlink/connections.ts";
import { type NetNsTarget, type ResolvedNetNs, resolveNetNs } from "../netlink/target.ts";
import { checkOptions, type OptionNames, show } from "../options.ts";
import { getLink, kindOf } from "../rtnetlink/link.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";

/** Options of {@link Link.get}. */
export interface LinkGetOptions {
  /** Where the link is. Default: the namespace calls land in now. */
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
  const netns = resolveNetNs(options.netns);
  try {
    const info = connectionTo(netns.ref).request(getLink(selector, { stats: false }));
    const actual = kindOf(info);
    if (kind !== undefined && actual !== kind) {
      throw new TypeError(`Link ${show(info.name)} is not a ${kind}: its kind is ${actual}`);
    }
    return { netns, info, kind: actual, index: info.index, name: info.name, owned: false };
  } catch (error) {
    if (netns.owned) netns.ref.close();
    throw error;
  }
}

/**
 * Adds the names of masters, parents and peers to links, where they are in the links' own namespace.
 *
 * @param connection A connection to the links' namespace.
 * @param links The links; a whole table needs no further request.
 */
export function nameRelated(connection: Connection, links: readonly LinkInfo[]): void {
  const names = new Map(links.map(({ index, name }) => [index, name]));
  const related = links.flatMap((link) => {
    const { master, parent, peer, linkNetnsId } = link;
    return linkNetnsId === undefined ? [master, parent, peer] : [master];
  });
  const missing = [...new Set(related)].filter((index) => index && !names.has(index));
  const requests = missing.map((index) => getLink(index!, { stats: false }));
  for (const result of requests.length > 0 ? connection.batch(requests) : []) {
    // One that is gone by now has no name.
    if (!result.ok) continue;
    const { index, name } = result.value as LinkInfo;
    names.set(index, name);
  }
  for (const link of links) {
    const { master, parent, peer, linkNetnsId } = link;
    const masterName = master && names.get(master);
    if (masterName) link.masterName = masterName;
    if (linkNetnsId !== undefined) continue;
    const parentName = parent && names.get(parent);
    const peerName = peer && names.get(peer);
    if (parentName) link.parentName = parentName;
    if (peerName) link.peerName = peerName;
  }
}
