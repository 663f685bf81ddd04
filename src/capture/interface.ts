/**
 * What the links of a capture are called in a file, and what their frames begin with.
 *
 * @module
 */
import { homeNetNs, type NetNsRef } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { getLink } from "../rtnetlink/link.ts";
import { ARPHRD } from "./constants.ts";
import type { CaptureInterface } from "./frame.ts";
import { LINKTYPE } from "./pcapng.ts";

const LINK_TYPES: ReadonlyMap<number, number> = new Map([
  [ARPHRD.ETHER, LINKTYPE.ETHERNET],
  [ARPHRD.LOOPBACK, LINKTYPE.ETHERNET],
  [ARPHRD.RAWIP, LINKTYPE.RAW],
  [ARPHRD.TUNNEL, LINKTYPE.RAW],
  [ARPHRD.TUNNEL6, LINKTYPE.RAW],
  [ARPHRD.SIT, LINKTYPE.RAW],
  [ARPHRD.IPGRE, LINKTYPE.RAW],
  [ARPHRD.IP6GRE, LINKTYPE.RAW],
  [ARPHRD.NONE, LINKTYPE.RAW],
  [ARPHRD.IEEE80211, LINKTYPE.IEEE802_11],
  [ARPHRD.IEEE80211_RADIOTAP, LINKTYPE.IEEE802_11_RADIOTAP],
]);

/** The interfaces of a capture, each described when its first frame comes. */
export class Interfaces {
  readonly #netns: NetNsRef;
  readonly #snaplen: number;
  readonly #known = new Map<number, CaptureInterface>();
  /** The last one asked for: mostly also the next. */
  #index = -1;
  #type = -1;
  #last: CaptureInterface | undefined;

  constructor(netns: NetNsRef, snaplen: number) {
    this.#netns = netns;
    this.#snaplen = snaplen;
  }

  /** Those that frames have come from. */
  list(): CaptureInterface[] {
    return [...this.#known.values()];
  }

  /** The one of an index, and of a hardware type: `ARPHRD_*`. */
  of(index: number, hardwareType: number): CaptureInterface {
    if (this.#last && index === this.#index && hardwareType === this.#type) return this.#last;
    const key = index * 65_536 + hardwareType;
    let found = this.#known.get(key);
    if (!found) this.#known.set(key, found = this.#describe(index, hardwareType));
    [this.#index, this.#type, this.#last] = [index, hardwareType, found];
    return found;
  }

  #describe(index: number, hardwareType: number): CaptureInterface {
    return {
      name: interfaceName(this.#netns, linkName(this.#netns, index)),
      linkType: LINK_TYPES.get(hardwareType) ?? LINKTYPE.USER0,
      snaplen: this.#snaplen,
    };
  }
}

/** `netns/link`; a namespace without a name by its inode; only the link in the process's own. */
export function interfaceName(netns: NetNsRef, link: string): string {
  const { netnsName, inode } = netns;
  if (netnsName === undefined && inode === homeNetNs().inode) return link;
  return `${netnsName ?? inode}/${link}`;
}

function linkName(netns: NetNsRef, index: number): string {
  try {
    return connectionTo(netns).request(getLink(index, { stats: false })).name;
  } catch (error) {
    // The frame has outlived its link.
    if (error instanceof NetlinkError && error.code === "ENODEV") return `if${index}`;
    throw error;
  }
}
