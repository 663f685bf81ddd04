/**
 * Forwarding entries of a bridge and of its ports: the ports behind which Ethernet addresses are.
 *
 * @module
 */
import { asArray, convert, type Inspect, inspectList, type Many } from "../netlink/collection.ts";
import { connectionTo } from "../netlink/connections.ts";
import {
  checkNoArguments,
  checkObject,
  checkOptions,
  hasKey,
  type OptionNames,
  show,
} from "../options.ts";
import { dumpLinks, getLink } from "../rtnetlink/link.ts";
import { indexOf, type LinkTarget, type NamedLink } from "../rtnetlink/link_target.ts";
import {
  add,
  type BridgeFdbInfo,
  type BridgePortFdbEntry,
  type BridgePortFdbFilter,
  type BridgePortFdbSelector,
  ENTRY,
  find,
  flush,
  info,
  type Place,
  type Placed,
  PORT_FILTER,
  read,
  remove,
  replace,
  titleOf,
  whatOf,
} from "./bridge_fdb_entries.ts";

export type {
  BridgeFdbFlag,
  BridgeFdbInfo,
  BridgePortFdbEntry,
  BridgePortFdbFilter,
  BridgePortFdbSelector,
} from "./bridge_fdb_entries.ts";

/** The forwarding entry of a bridge that a call means. */
export interface BridgeFdbSelector extends BridgePortFdbSelector {
  /** The port. Default: none, the address is the bridge's own. */
  readonly port?: LinkTarget;
}

/** A forwarding entry of a bridge, to be set. */
export interface BridgeFdbEntry extends BridgePortFdbEntry {
  /** The port. Default: none, the address is the bridge's own. */
  readonly port?: LinkTarget;
}

const BRIDGE_ENTRY: OptionNames<BridgeFdbEntry> = { ...ENTRY, port: true };

/** A filter for the entries of a bridge: an entry must match all of it. */
export interface BridgeFdbFilter extends BridgePortFdbFilter {
  /** Only those on this port. */
  readonly port?: LinkTarget;
}

/** A selector that may be an address alone. */
function withMac<T extends object>(selector: string | T): T | { readonly mac: string } {
  return typeof selector === "string" ? { mac: selector } : selector;
}

const FILTER: OptionNames<BridgeFdbFilter> = { ...PORT_FILTER, port: true };

/** The forwarding entries of one port; or those on the bridge itself. Follows the handle of the port. */
export class BridgePortFdb {
  readonly #link: NamedLink;
  readonly #self: boolean;

  /**
   * For bridges and ports.
   *
   * @param link The port, or the bridge.
   * @param self Whether `link` is the bridge.
   */
  constructor(link: NamedLink, self = false) {
    this.#link = link;
    this.#self = self;
  }

  /** Reads the entries. */
  list(): BridgeFdbInfo[] {
    checkNoArguments(arguments, "list");
    const { ref, index } = this.#link;
    const { name } = connectionTo(ref).request(getLink(index, { stats: false }));
    return read(ref, { index }).map((entry) => info(entry, name));
  }

  /**
   * Reads one entry.
   *
   * @param selector The address, or with a VLAN.
   * @throws {NetlinkError} ENOENT when there is none on this port.
   */
  get(selector: string | { readonly mac: string; readonly vlan?: number }): BridgeFdbInfo {
    return find(this.list(), withMac(selector), this.#link.ref, whatOf(this.#place));
  }

  /**
   * Adds entries, all or none. One without a VLAN comes before those for a VLAN of the same address.
   *
   * @param entries One or many; also entries of `list()`.
   * @throws {NetlinkError} EEXIST when the address has an entry, for any VLAN of the port and on any port of the
   * bridge; EPERM for a `dynamic` one while the port neither learns nor forwards.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For a malformed address.
   */
  add(entries: Many<BridgePortFdbEntry | BridgeFdbInfo>): void {
    add(this.#link.ref, asArray(entries).map((entry) => [this.#place, entry]));
  }

  /**
   * Adds entries, or changes them: an address that was behind another port is behind this one then.
   *
   * @param entries One or many; also entries of `list()`.
   * @throws {NetlinkError} EPERM for a `dynamic` one while the port neither learns nor forwards.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For an unknown or malformed option.
   */
  replace(entries: Many<BridgePortFdbEntry | BridgeFdbInfo>): void {
    replace(this.#link.ref, asArray(entries).map((entry) => [this.#place, entry]));
  }

  /**
   * Deletes entries. A refusal does not keep the others.
   *
   * @param selectors One or many: an address, or with a VLAN; also entries of `list()`.
   * @throws {NetlinkError} ENOENT when there is none on this port.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For an unknown or malformed option.
   */
  delete(selectors: Many<string | BridgePortFdbSelector | BridgeFdbInfo>): void {
    const place = this.#place;
    remove(this.#link.ref, asArray(selectors).map((selector) => [place, withMac(selector)]));
  }

  /**
   * Deletes entries: those that match all of `filter`. Without a `state`, all but the permanent ones:
   * without these the host itself would not be reached. Linux 5.19.
   *
   * @param filter The entries. Default: all on this port.
   * @throws {NetlinkError} EINVAL on kernels before 5.19.
   * @throws {TypeError} For an unknown or malformed option.
   * @throws {RangeError} For a VLAN outside 1..4094.
   */
  flush(filter: BridgePortFdbFilter = {}): void {
    checkOptions(filter, PORT_FILTER);
    const { ref, index } = this.#link;
    if (this.#self) return flush(ref, index, { ...filter, index });
    const { master = 0 } = connectionTo(ref).request(getLink(index, { stats: false }));
    flush(ref, master, { ...filter, index });
  }

  get #place(): Place {
    const { index, name } = this.#link;
    return { index, name, self: this.#self };
  }

  /** Prints the entries. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const title = titleOf(this.#place, this.#link.ref);
    return inspectList(title, () => this.list(), inspect, options);
  }
}

/**
 * The forwarding entries of a bridge.
 *
 * @example An address that is always behind one port
 * ```ts
 * import { Bridge, NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const bridge = Bridge.create({ name: "br0", netns });
 * Veth.create({ name: "v0", netns, peer: { name: "v1", master: bridge } });
 * bridge.fdb.add({ mac: "02:00:00:00:00:01", port: "v1" });
 * const entry = bridge.fdb.get({ mac: "02:00:00:00:00:01" });
 * assertEquals([entry.port, entry.state], ["v1", "static"]);
 * ```
 */
export class BridgeFdb {
  readonly #bridge: NamedLink;

  /** For bridges. */
  constructor(bridge: NamedLink) {
    this.#bridge = bridge;
  }

  /** Reads the entries in the bridge's table. */
  list(): BridgeFdbInfo[] {
    checkNoArguments(arguments, "list");
    const { ref, index } = this.#bridge;
    const connection = connectionTo(ref);
    const links = connection.dump(dumpLinks({ master: index, stats: false }));
    links.push(connection.request(getLink(index, { stats: false })));
    const names = new Map(links.map((link) => [link.index, link.name]));
    return read(ref, { bridge: index }).map((entry) =>
      info(entry, names.get(entry.index) ?? `if${entry.index}`)
    );
  }

  /**
   * Reads one entry, on any port.
   *
   * @param selector The address, or with a VLAN or a port.
   * @throws {NetlinkError} ENOENT when there is none; with a `port` when there is none on that.
   */
  get(
    selector:
      | string
      | { readonly mac: string; readonly vlan?: number; readonly port?: LinkTarget },
  ): BridgeFdbInfo {
    const given = withMac(selector);
    checkObject(given, "options");
    const { port = undefined, ...rest }: BridgeFdbSelector = given;
    const { ref } = this.#bridge;
    const place = port === undefined ? this.#own : this.#placeOf(port);
    const entries = this.list().filter(({ index }) => port === undefined || index === place.index);
    return find(entries, rest, ref, whatOf(place));
  }

  /**
   * Adds entries, all or none. One without a VLAN comes before those for a VLAN of the same address.
   *
   * @param entries One or many; also entries of `list()`.
   * @throws {NetlinkError} EEXIST when the address has an entry, for whatever VLAN of the port and on
   * whatever port; EPERM for a `dynamic`
   * one while the port neither learns nor forwards.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For a malformed address, and for a link that is not a port of this bridge.
   */
  add(entries: Many<BridgeFdbEntry | BridgeFdbInfo>): void {
    add(this.#bridge.ref, this.#placed(entries));
  }

  /**
   * Adds entries, or changes them, their ports too.
   *
   * @param entries One or many; also entries of `list()`.
   * @throws {NetlinkError} EPERM for a `dynamic` one while the port neither learns nor forwards.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For an unknown or malformed option, and for a link that is not a port of this bridge.
   */
  replace(entries: Many<BridgeFdbEntry | BridgeFdbInfo>): void {
    replace(this.#bridge.ref, this.#placed(entries));
  }

  /**
   * Deletes entries. A refusal does not keep the others.
   *
   * @param selectors One or many: an address, or with a VLAN; also entries of `list()`.
   * @throws {NetlinkError} ENOENT when there is none on the port.
   * @throws {BatchError} When some of many are refused.
   * @throws {TypeError} For an unknown or malformed option, and for a link that is not a port of this bridge.
   */
  delete(selectors: Many<string | BridgeFdbSelector | BridgeFdbInfo>): void {
    remove(this.#bridge.ref, this.#placed(asArray(selectors).map(withMac)));
  }

  /**
   * Deletes the entries that match all of `filter`, as {@link BridgePortFdb.flush} does.
   *
   * @param filter The entries. Default: all in the bridge's table.
   * @throws {NetlinkError} EINVAL on kernels before 5.19.
   * @throws {TypeError} For an unknown or malformed option, and for a link that is not a port of this bridge.
   * @throws {RangeError} For a VLAN outside 1..4094.
   */
  flush(filter: BridgeFdbFilter = {}): void {
    checkOptions(filter, FILTER);
    const { port, ...rest } = filter;
    const { ref, index } = this.#bridge;
    flush(ref, index, port === undefined ? rest : { ...rest, index: this.#placeOf(port).index });
  }

  get #own(): Place {
    const { index, name } = this.#bridge;
    return { index, name, self: true };
  }

  #placed(entries: Many<BridgeFdbEntry | BridgeFdbInfo>): Placed[] {
    const places = new Map<LinkTarget, Place>();
    const placeOf = (port: LinkTarget): Place => {
      const known = places.get(port) ?? this.#placeOf(port);
      places.set(port, known);
      return known;
    };
    return convert(entries, (entry): Placed => {
      // The port of an entry that was read is a name, which a rename changes.
      if (hasKey(entry, "updated")) return [placeOf(entry.index), entry];
      checkOptions(entry, BRIDGE_ENTRY);
      const { port, ...rest } = entry;
      return [port === undefined ? this.#own : placeOf(port), rest];
    });
  }

  #placeOf(port: LinkTarget): Place {
    const { ref, index, name } = this.#bridge;
    const link = connectionTo(ref).request(getLink(indexOf(port, ref, "port"), { stats: false }));
    if (link.index === index) return this.#own;
    if (link.master !== index) {
      throw new TypeError(`Link ${show(link.name)} is not a port of bridge ${show(name)}`);
    }
    return { index: link.index, name: link.name, self: false };
  }

  /** Prints the entries. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const title = titleOf(this.#own, this.#bridge.ref);
    return inspectList(title, () => this.list(), inspect, options);
  }
}
