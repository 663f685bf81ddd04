/**
 * The links that are known. The kernel does not tell of all that changes with another link: the peer of a
 * veth, which is made first, gets its parent in silence, and a master its limits when members come and go.
 * These are read again.
 *
 * @module
 */
import type { Connection } from "../netlink/connection.ts";
import { NetlinkError } from "../netlink/error.ts";
import { getLink, type LinkInfo } from "../rtnetlink/link.ts";
import { type Change, Table } from "./table.ts";

/** The links of a namespace. What changes them returns the changes, in order. */
export class LinkTable {
  readonly #links = new Table<LinkInfo>(({ index }) => index, isOther);
  readonly #doubtful = new Set<number>();

  /** All links. */
  list(): LinkInfo[] {
    return this.#links.list();
  }

  /** Adds links, without telling. */
  fill(links: readonly LinkInfo[]): void {
    this.#links.fill(links);
  }

  /** Takes in RTM_NEWLINK. */
  put(link: LinkInfo): Change<LinkInfo>[] {
    const previous = this.#links.get(link.index);
    if (!previous && link.linkInfo?.kind === "veth" && !link.parent) this.#doubtful.add(link.index);
    if (previous?.master !== link.master) {
      for (const { master } of [previous ?? {}, link]) if (master) this.#doubtful.add(master);
    }
    return this.#links.put(link);
  }

  /** Takes in a bridge's message about a port: its options and state, or bytes. */
  putPort(index: number, data: object): Change<LinkInfo>[] {
    const link = this.#links.get(index);
    if (link?.linkInfo?.memberKind !== "bridge") return [];
    const before = link.linkInfo.memberData;
    const memberData = data instanceof Uint8Array ? data : { ...before, ...data };
    return this.#links.put({ ...link, linkInfo: { ...link.linkInfo, memberData } });
  }

  /** Takes in RTM_DELLINK. */
  remove(index: number): LinkInfo | undefined {
    const link = this.#links.get(index);
    if (!link) return undefined;
    this.#links.remove(link);
    if (link.master) this.#doubtful.add(link.master);
    return link;
  }

  /** Reads again what is in doubt. */
  refresh(connection: Connection): Change<LinkInfo>[] {
    if (this.#doubtful.size === 0) return [];
    const indexes = [...this.#doubtful].filter((index) => this.#links.get(index));
    this.#doubtful.clear();
    const changes: Change<LinkInfo>[] = [];
    for (const result of connection.batch(indexes.map((index) => getLink(index)))) {
      if (result.ok) changes.push(...this.#links.put(result.value as LinkInfo));
      // Gone by now: the message that says so is queued.
      else if (!(result.error instanceof NetlinkError && result.error.code === "ENODEV")) {
        throw result.error;
      }
    }
    return changes;
  }

  /** What leads from this table to a later one. */
  changesTo(later: LinkTable): Change<LinkInfo>[] {
    return this.#links.changesTo(later.#links);
  }
}

/** Indexes get reused: whether a link of which nothing is known in between is another one. */
function isOther(before: LinkInfo, after: LinkInfo): boolean {
  return before.linkInfo?.kind !== after.linkInfo?.kind ||
    before.name !== after.name && before.mac !== after.mac;
}
