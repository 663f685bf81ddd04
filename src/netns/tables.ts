/**
 * The links, addresses and neighbors of a namespace.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { flushAddresses, getAddress, undoAddresses } from "../link/addresses.ts";
import { nameRelated } from "../link/find.ts";
import { Link } from "../link/link.ts";
import {
  addAll,
  convert,
  deleteAll,
  flushAll,
  type Inspect,
  inspectList,
  type Many,
  replaceAll,
  type SetOptions,
  type Undo,
} from "../netlink/collection.ts";
import { connectionTo, type NetNsHandle } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { checkObject, checkOptions, hasKey, type OptionNames, show } from "../options.ts";
import {
  type AddressEntry,
  type AddressFilter,
  type AddressInfo,
  type AddressMessage,
  addressMessage,
  deleteAddress,
  dumpAddresses,
  newAddress,
} from "../rtnetlink/address.ts";
import type { IpFamily } from "../rtnetlink/fields.ts";
import { deleteLink, dumpLinks, kindOf } from "../rtnetlink/link.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import { indexOf, type LinkTarget } from "../rtnetlink/link_target.ts";
import {
  deleteNeighbor,
  dumpNeighbors,
  getNeighbor,
  type NeighborEntry,
  type NeighborFilter,
  type NeighborInfo,
  type NeighborMessage,
  newNeighbor,
  settableNeighbor,
} from "../rtnetlink/neighbor.ts";
import { Devices, titleOf, withFamily } from "./entries.ts";

/** A filter for links: a link must match all of it. */
export interface NetNsLinkFilter {
  /** Only links of this kind. */
  readonly kind?: string;
  /** Only ports of this link. */
  readonly master?: LinkTarget;
  /** Only links of this group. */
  readonly group?: number;
  /** Counters too. Default: true. */
  readonly stats?: boolean;
}

const LINK_FILTER: OptionNames<NetNsLinkFilter> = {
  kind: true,
  master: true,
  group: true,
  stats: true,
};

/**
 * The links of a namespace. They are created by the class of their kind: `Veth.create()`.
 *
 * @example Everything but the loopback link
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
 * assertEquals(netns.links.list({ kind: "veth" }).length, 2);
 * netns.links.delete("v0"); // and its peer with it
 * assertEquals(netns.links.list().map(({ name }) => name), ["lo"]);
 * ```
 */
export class NetNsLinks {
  readonly #netns: NetNsHandle;

  /** For namespaces. */
  constructor(netns: NetNsHandle) {
    this.#netns = netns;
  }

  /**
   * Reads the links: all, or those of a kind, a master or a group.
   *
   * @param filter A link must match all of it.
   * @throws {NetlinkError} ENODEV when there is no such `master`.
   */
  list(filter: NetNsLinkFilter = {}): LinkInfo[] {
    checkOptions(filter, LINK_FILTER);
    const { ref } = this.#netns;
    const { master, ...rest } = filter;
    const connection = connectionTo(ref);
    const links = connection.dump(dumpLinks(
      master === undefined ? rest : { ...rest, master: indexOf(master, ref, "master") },
    ));
    nameRelated(connection, links);
    return links;
  }

  /**
   * Finds a link, by name, alternative name or index.
   *
   * @throws {NetlinkError} ENODEV when there is none.
   */
  get(selector: string | number): Link {
    return Link.get(selector, { netns: this.#netns });
  }

  /**
   * Deletes links.
   *
   * @param links One or many: a handle, a name or alternative name, an index.
   * @throws {NetlinkError} ENODEV when there is none, EOPNOTSUPP for a link that cannot be deleted.
   */
  delete(links: Many<LinkTarget>): void {
    const { ref } = this.#netns;
    const indexes = convert(links, (link) => ({ link, index: indexOf(link, ref, "link") }));
    deleteAll(
      connectionTo(ref),
      indexes,
      ({ link, index }) => deleteLink({ index }, whatOf(link)),
    );
  }

  /** Prints the names, indexes and kinds of the links. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const list = () =>
      this.list({ stats: false }).map((link) => {
        const { name, index, mtu, mac, operstate } = link;
        const kind = kindOf(link);
        return { name, index, ...(kind === undefined ? {} : { kind }), mtu, mac, operstate };
      });
    return inspectList(titleOf("links", this.#netns.ref), list, inspect, options);
  }
}

function whatOf(link: LinkTarget): string {
  const { name = undefined } = typeof link === "object" ? link as { name?: string } : {};
  return `link ${show(name ?? (typeof link === "object" ? link.index : link))}`;
}

/** An IP address to be set, and its link. */
export interface NetNsAddressOptions extends AddressEntry {
  /** The link. */
  readonly dev: LinkTarget;
}

/** A filter for addresses: an address must match all of it. */
export interface NetNsAddressFilter {
  /** Only addresses of this link. */
  readonly dev?: LinkTarget;
  /** Only IPv4 (`inet`) or IPv6 (`inet6`). */
  readonly family?: IpFamily;
}

const ADDRESS_FILTER: OptionNames<NetNsAddressFilter> = { dev: true, family: true };

/**
 * The IP addresses of a namespace, on all its links. Those of one link: `link.addresses`.
 *
 * @example The link that has an address
 * ```ts
 * import { NetNs } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * netns.addresses.add({ dev: "lo", address: "10.0.0.1/32" });
 * const { index } = netns.addresses.get("10.0.0.1");
 * assertEquals(netns.links.get(index).name, "lo");
 * ```
 */
export class NetNsAddresses {
  readonly #netns: NetNsHandle;

  /** For namespaces. */
  constructor(netns: NetNsHandle) {
    this.#netns = netns;
  }

  /**
   * Reads the addresses: all, or those of a link or a family.
   *
   * @param filter A family, or a filter that an address must match all of.
   * @throws {NetlinkError} ENODEV when there is no such `dev`.
   */
  list(filter: IpFamily | NetNsAddressFilter = {}): AddressInfo[] {
    return connectionTo(this.#netns.ref).dump(dumpAddresses(this.#filter(filter)));
  }

  /**
   * Reads one address.
   *
   * @param address `10.0.0.1`, or with its prefix length.
   * @throws {NetlinkError} EADDRNOTAVAIL when no link has it.
   */
  get(address: string): AddressInfo {
    const { ref } = this.#netns;
    return getAddress(connectionTo(ref), address, {}, "addresses", ref);
  }

  /**
   * Adds addresses, all or none.
   *
   * @param addresses One or many, each with its link; also what `list()` gave.
   * @throws {NetlinkError} EEXIST when the link has the address, ENODEV when there is no such link.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For malformed addresses and options; none is added then.
   */
  add(addresses: Many<NetNsAddressOptions | AddressInfo>): void {
    const devices = new Devices(this.#netns.ref);
    const messages = this.#messages(addresses, devices);
    const request = (it: AddressMessage) => devices.named(newAddress(it), it.index);
    addAll(connectionTo(this.#netns.ref), messages, request, undoAddresses);
  }

  /**
   * Adds addresses, or changes those that are there.
   *
   * @param addresses As for {@link NetNsAddresses.add}.
   * @throws {BatchError} When some of many are refused; those that the call has added are removed again.
   */
  replace(addresses: Many<NetNsAddressOptions | AddressInfo>): void {
    const devices = new Devices(this.#netns.ref);
    const messages = this.#messages(addresses, devices);
    const request = (it: AddressMessage, replace: boolean) =>
      devices.named(newAddress(it, { replace }), it.index);
    replaceAll(connectionTo(this.#netns.ref), messages, request, undoAddresses);
  }

  /**
   * Deletes addresses.
   *
   * @param addresses As for {@link NetNsAddresses.add}.
   * @throws {NetlinkError} EADDRNOTAVAIL when the link does not have the address.
   */
  delete(addresses: Many<NetNsAddressOptions | AddressInfo>): void {
    const devices = new Devices(this.#netns.ref);
    const messages = this.#messages(addresses, devices);
    const request = (it: AddressMessage) => devices.named(deleteAddress(it), it.index);
    deleteAll(connectionTo(this.#netns.ref), messages, request);
  }

  /**
   * Deletes all addresses, those of the loopback link too, or those that the filter lets through.
   *
   * @param filter A family, or a filter that an address must match all of; default: all.
   */
  flush(filter: IpFamily | NetNsAddressFilter = {}): void {
    flushAddresses(connectionTo(this.#netns.ref), this.#filter(filter));
  }

  #filter(given: IpFamily | NetNsAddressFilter): AddressFilter {
    const filter = withFamily(given);
    checkOptions(filter, ADDRESS_FILTER);
    const { dev, ...rest } = filter;
    return dev === undefined ? rest : { ...rest, index: indexOf(dev, this.#netns.ref, "dev") };
  }

  #messages(
    addresses: Many<NetNsAddressOptions | AddressInfo>,
    devices: Devices,
  ): AddressMessage[] {
    return convert(addresses, (entry) => {
      if (hasKey(entry, "family")) return addressMessage(entry, entry.index);
      checkObject(entry, "options");
      const { dev, ...rest } = entry;
      return addressMessage(rest, devices.indexOf(dev));
    });
  }

  /** Prints the addresses. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const title = titleOf("addresses", this.#netns.ref);
    return inspectList(title, () => this.list(), inspect, options);
  }
}

const undoNeighbors: Undo<NeighborMessage> = (done) => done.map(deleteNeighbor);

/** The kernel has the address of some neighbors itself, as of broadcast: only it can tell. */
const lacksAddress = ({ errno, ack }: NetlinkError) =>
  errno === ERRNO.EINVAL && ack.message === "No link layer address given";

/** The kernel creates a neighbor first, and then refuses one without a link-layer address. */
const WITHOUT_ADDRESS: SetOptions<NeighborMessage> = {
  isLeft: lacksAddress,
  explain: (error) => {
    if (!lacksAddress(error)) return error;
    const { operation, netns, errno, ack } = error;
    const hint = "give its lladdr; the states none, incomplete and failed need none";
    return new NetlinkError({ operation, netns, errno, ack, hint });
  },
};

const optionsFor = (messages: readonly NeighborMessage[]) =>
  messages.every(({ lladdr, proxy }) => lladdr !== undefined || proxy) ? {} : WITHOUT_ADDRESS;

/** A neighbor to be set, and its link. */
export interface NeighborOptions extends NeighborEntry {
  /** The link it is behind. */
  readonly dev: LinkTarget;
}

/** The neighbor that a call means. */
export interface NetNsNeighborSelector {
  /** The link it is behind. */
  readonly dev: LinkTarget;
  /** Its IP address. */
  readonly address: string;
  /** An address that the link answers for. Default: false. */
  readonly proxy?: boolean;
}

/** A filter for neighbors: a neighbor must match all of it. */
export interface NetNsNeighborFilter {
  /** Only neighbors on this link. */
  readonly dev?: LinkTarget;
  /** Only neighbors on ports of this link. */
  readonly master?: LinkTarget;
  /** Only IPv4 (`inet`) or IPv6 (`inet6`). */
  readonly family?: IpFamily;
  /** The addresses that links answer for instead of neighbors. Default: false. */
  readonly proxy?: boolean;
}

const NEIGHBOR_FILTER: OptionNames<NetNsNeighborFilter> = {
  dev: true,
  master: true,
  family: true,
  proxy: true,
};

const NEIGHBOR_SELECTOR: OptionNames<NetNsNeighborSelector> = {
  dev: true,
  address: true,
  proxy: true,
};

const NEIGHBOR: OptionNames<NeighborOptions> = {
  ...NEIGHBOR_SELECTOR,
  lladdr: true,
  state: true,
  flags: true,
  protocol: true,
};

/**
 * The neighbors of a namespace: what ARP and neighbor discovery have found, and what was set.
 *
 * @example A neighbor that need not be asked for
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const dev = Veth.create({ name: "v0", netns, up: true, peer: { name: "v1", netns } });
 * netns.neighbors.add({ dev, address: "192.0.2.9", lladdr: "02:00:00:00:00:09" });
 * assertEquals(netns.neighbors.get({ dev, address: "192.0.2.9" }).state, "permanent");
 * ```
 */
export class NetNsNeighbors {
  readonly #netns: NetNsHandle;

  /** For namespaces. */
  constructor(netns: NetNsHandle) {
    this.#netns = netns;
  }

  /**
   * Reads the neighbors: all, or those that the filter lets through.
   *
   * @param filter A family, or a filter that a neighbor must match all of.
   * @throws {NetlinkError} ENODEV when there is no such `dev` or `master`.
   */
  list(filter: IpFamily | NetNsNeighborFilter = {}): NeighborInfo[] {
    return connectionTo(this.#netns.ref).dump(dumpNeighbors(this.#filter(filter)));
  }

  /**
   * Reads one neighbor.
   *
   * @throws {NetlinkError} ENOENT when there is none.
   */
  get(selector: NetNsNeighborSelector): NeighborInfo {
    checkOptions(selector, NEIGHBOR_SELECTOR);
    const { dev, ...rest } = selector;
    const { ref } = this.#netns;
    const devices = new Devices(ref);
    const index = devices.indexOf(dev);
    return connectionTo(ref).request(devices.named(getNeighbor({ ...rest, index }), index));
  }

  /**
   * Adds neighbors, all or none.
   *
   * @param neighbors One or many; also what `list()` gave.
   * @throws {NetlinkError} EEXIST when the link has a neighbor of this address, EINVAL when it needs `lladdr`.
   * @throws {BatchError} When some of many are refused.
   */
  add(neighbors: Many<NeighborOptions | NeighborInfo>): void {
    const devices = new Devices(this.#netns.ref);
    const messages = this.#messages(neighbors, devices);
    const request = (it: NeighborMessage) => devices.named(newNeighbor(it), it.index);
    addAll(
      connectionTo(this.#netns.ref),
      messages,
      request,
      undoNeighbors,
      optionsFor(messages),
    );
  }

  /**
   * Adds neighbors, or changes those that are there.
   *
   * @param neighbors As for {@link NetNsNeighbors.add}.
   * @throws {BatchError} When some of many are refused; those that the call has added are removed again.
   */
  replace(neighbors: Many<NeighborOptions | NeighborInfo>): void {
    const devices = new Devices(this.#netns.ref);
    const messages = this.#messages(neighbors, devices);
    const request = (it: NeighborMessage, replace: boolean) =>
      devices.named(newNeighbor(it, { replace }), it.index);
    replaceAll(
      connectionTo(this.#netns.ref),
      messages,
      request,
      undoNeighbors,
      optionsFor(messages),
    );
  }

  /**
   * Deletes neighbors.
   *
   * @param neighbors One or many; also what `list()` gave.
   * @throws {NetlinkError} ENOENT when there is none.
   */
  delete(neighbors: Many<NetNsNeighborSelector | NeighborInfo>): void {
    const devices = new Devices(this.#netns.ref);
    const messages = this.#messages(neighbors, devices);
    const request = (it: NeighborMessage) => devices.named(deleteNeighbor(it), it.index);
    deleteAll(connectionTo(this.#netns.ref), messages, request);
  }

  /**
   * Deletes neighbors: those that match all of `filter`. Those that the kernel has for addresses that need
   * no neighbor (`noarp`: multicast, broadcast) stay.
   *
   * @param filter A family, or a filter that a neighbor must match all of; default: all.
   */
  flush(filter: IpFamily | NetNsNeighborFilter = {}): void {
    const learned = this.list(filter).filter(({ state }) => state !== "noarp");
    const gone = [ERRNO.ENOENT, ERRNO.ENODEV];
    flushAll(connectionTo(this.#netns.ref), learned, deleteNeighbor, gone);
  }

  #filter(given: IpFamily | NetNsNeighborFilter): NeighborFilter {
    const filter = withFamily(given);
    checkOptions(filter, NEIGHBOR_FILTER);
    const { dev, master, ...rest } = filter;
    const { ref } = this.#netns;
    return {
      ...rest,
      ...(dev === undefined ? {} : { index: indexOf(dev, ref, "dev") }),
      ...(master === undefined ? {} : { master: indexOf(master, ref, "master") }),
    };
  }

  #messages(
    neighbors: Many<NeighborOptions | NetNsNeighborSelector | NeighborInfo>,
    devices: Devices,
  ): NeighborMessage[] {
    return convert(neighbors, (entry) => {
      if (hasKey(entry, "family")) return settableNeighbor(entry);
      checkOptions(entry, NEIGHBOR);
      const { dev, ...rest } = entry;
      return { ...rest, index: devices.indexOf(dev) };
    });
  }

  /** Prints the neighbors. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const title = titleOf("neighbors", this.#netns.ref);
    return inspectList(title, () => this.list(), inspect, options);
  }
}
