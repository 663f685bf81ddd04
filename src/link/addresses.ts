/**
 * The IP addresses of a link.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import {
  addAll,
  convert,
  deleteAll,
  flushAll,
  type Inspect,
  inspectList,
  type Many,
  replaceAll,
  type Undo,
} from "../netlink/collection.ts";
import type { Connection } from "../netlink/connection.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { checkOptions, type OptionNames, show } from "../options.ts";
import { formatIp } from "../packet/address.ts";
import {
  type AddressFilter,
  type AddressInfo,
  type AddressMessage,
  addressMessage,
  type AddressOptions,
  deleteAddress,
  dumpAddresses,
  newAddress,
} from "../rtnetlink/address.ts";
import { checkPrefix, type IpFamily } from "../rtnetlink/fields.ts";
import { describeLink, type NamedLink, titleOf } from "../rtnetlink/link_target.ts";

/** A filter for the addresses of a link. */
export interface LinkAddressFilter {
  /** Only IPv4 (`inet`) or IPv6 (`inet6`). */
  readonly family?: IpFamily;
}

const FILTER: OptionNames<LinkAddressFilter> = { family: true };

/**
 * The IP addresses of a link. Follows the link's handle when the link moves.
 *
 * @example Several addresses at once
 * ```ts
 * import { Link, NetNs } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const { addresses } = Link.get("lo", { netns });
 * addresses.add(["10.0.0.1/32", { address: "fd00::1/128", flags: ["nodad"] }]);
 * assertEquals(addresses.get("10.0.0.1").scope, "global");
 * addresses.flush("inet");
 * assertEquals(addresses.list("inet"), []);
 * assertEquals(addresses.get("fd00::1").family, "inet6");
 * ```
 */
export class LinkAddresses {
  readonly #link: NamedLink;

  /** For links. */
  constructor(link: NamedLink) {
    this.#link = link;
  }

  /**
   * Reads the addresses of the link.
   *
   * @param filter A family, or a filter that has one; default: all.
   */
  list(filter: IpFamily | LinkAddressFilter = {}): AddressInfo[] {
    const request = dumpAddresses(this.#filter(filter));
    const operation = `list addresses of ${describeLink(this.#link)}`;
    return this.#connection.dump({ ...request, operation });
  }

  /**
   * Reads one address.
   *
   * @param address `10.0.0.1`, or with its prefix length.
   * @throws {NetlinkError} EADDRNOTAVAIL when the link does not have it.
   */
  get(address: string): AddressInfo {
    return getAddress(
      this.#connection,
      address,
      this.#filter({}),
      `addresses of ${describeLink(this.#link)}`,
      this.#link.ref,
    );
  }

  /**
   * Adds addresses, all or none.
   *
   * @param addresses One or many: `192.168.123.1/24`, or with options; also entries of `list()`.
   * @throws {NetlinkError} EEXIST when the link has the address.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For malformed addresses and options; none is added then.
   */
  add(addresses: Many<AddressOptions | AddressInfo>): void {
    const messages = this.#messages(addresses);
    addAll(this.#connection, messages, (message) => this.#new(message), undoAddresses);
  }

  /**
   * Adds addresses, or changes those that the link has.
   *
   * @param addresses As for {@link LinkAddresses.add}.
   * @throws {BatchError} When some of many are refused; those that the call has added are removed again.
   */
  replace(addresses: Many<AddressOptions | AddressInfo>): void {
    const messages = this.#messages(addresses);
    const request = (message: AddressMessage, replace: boolean) => this.#new(message, replace);
    replaceAll(this.#connection, messages, request, undoAddresses);
  }

  /**
   * Deletes addresses.
   *
   * @param addresses One or many: `192.168.123.1/24`, or entries of `list()`.
   * @throws {NetlinkError} EADDRNOTAVAIL when the link does not have the address.
   */
  delete(addresses: Many<AddressOptions | AddressInfo>): void {
    deleteAll(this.#connection, this.#messages(addresses), (message) => ({
      ...deleteAddress(message),
      operation: `delete address ${message.address} from ${describeLink(this.#link)}`,
    }));
  }

  /**
   * Deletes all addresses, or those of a family.
   *
   * @param filter A family, or a filter that has one; default: all.
   */
  flush(filter: IpFamily | LinkAddressFilter = {}): void {
    flushAddresses(this.#connection, this.#filter(filter));
  }

  get #connection(): Connection {
    return connectionTo(this.#link.ref);
  }

  #filter(filter: IpFamily | LinkAddressFilter): AddressFilter {
    const named = typeof filter === "string" ? { family: filter } : filter;
    checkOptions(named, FILTER);
    return { ...named, index: this.#link.index };
  }

  #messages(addresses: Many<AddressOptions | AddressInfo>): AddressMessage[] {
    const { index } = this.#link;
    return convert(addresses, (address) => addressMessage(address, index));
  }

  #new(message: AddressMessage, replace = false): Request<undefined> {
    const operation = `${replace ? "replace" : "add"} address ${message.address} ${
      replace ? "of" : "to"
    } ${describeLink(this.#link)}`;
    return { ...newAddress(message, { replace }), operation };
  }

  /** Prints the addresses. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    return inspectList(titleOf("addresses", this.#link), () => this.list(), inspect, options);
  }
}

/** Deletes the addresses that a call has added; the first of a network is its primary address. */
export const undoAddresses: Undo<AddressMessage> = (done) => done.toReversed().map(deleteAddress);

/** Finds one address among those of a filter. */
export function getAddress(
  connection: Connection,
  text: string,
  filter: AddressFilter,
  title: string,
  ref: NetNsRef,
): AddressInfo {
  const { address, length } = checkPrefix(text, "address");
  const wanted = formatIp(address) + (text.includes("/") ? `/${length}` : "/");
  const family = address.length === 4 ? "inet" : "inet6";
  const found = connection.dump(dumpAddresses({ ...filter, family }))
    .find((info) => text.includes("/") ? info.address === wanted : info.address.startsWith(wanted));
  if (found) return found;
  throw new NetlinkError({
    operation: `get ${show(text)} of the ${title}`,
    netns: ref.description,
    errno: ERRNO.EADDRNOTAVAIL,
  });
}

/**
 * Deletes addresses. Each deletion searches the link's list, and deleting a primary IPv4 address takes the
 * secondary ones of its network along: primary ones go first. Where the kernel promotes secondary addresses
 * (`net.ipv4.conf.*.promote_secondaries`), the rest goes in a second round, the last first.
 */
export function flushAddresses(connection: Connection, filter: AddressFilter): void {
  const dump = dumpAddresses(filter);
  const all = connection.dump(dump);
  const isSecondary = ({ family, flags }: AddressInfo) =>
    family === "inet" && flags.includes("secondary");
  const remove = (addresses: readonly AddressInfo[]) =>
    flushAll(connection, addresses, deleteAddress, [ERRNO.EADDRNOTAVAIL, ERRNO.ENODEV]);
  const first = all.filter((address) => !isSecondary(address));
  remove(first);
  if (first.length < all.length) remove(connection.dump(dump).reverse());
}
