/**
 * What macvlan and macvtap links have in common.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import {
  addAll,
  asArray,
  deleteAll,
  type Inspect,
  inspectList,
  type Many,
} from "../netlink/collection.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { show } from "../options.ts";
import { setLink } from "../rtnetlink/link.ts";
import { LinkBase } from "./link.ts";
import { changeMessage, type ChildOptions } from "./child.ts";
import {
  checkSender,
  type MacvlanData,
  type MacvlanInfo,
  type MacvlanOptions,
  toMacvlanData,
} from "./macvlan_options.ts";
import type { LinkOptions, LinkSettings, NamedLink } from "./options.ts";

/** Options of {@link Macvlan.create} and {@link Macvtap.create}. */
export type MacvlanCreateOptions = LinkOptions & ChildOptions & MacvlanOptions;

/** Settings of {@link MacvlanLink.set}. */
export type MacvlanSettings = LinkSettings & MacvlanOptions;

/**
 * The senders that a macvlan in mode `source` listens to. The kernel refuses changes in other modes
 * (EINVAL). Follows the link's handle. To set the whole list: `link.set({ mode: "source", macs })`.
 */
export class MacvlanMacs {
  readonly #link: NamedLink & { options(): MacvlanInfo };

  /** For macvlans and macvtaps. */
  constructor(link: NamedLink & { options(): MacvlanInfo }) {
    this.#link = link;
  }

  /** Reads the addresses, ascending. */
  list(): string[] {
    return this.#link.options().macs;
  }

  /**
   * Adds addresses, all or none.
   *
   * @param macs One or many Ethernet addresses.
   * @throws {NetlinkError} EEXIST when one is listed, EINVAL in other modes.
   * @throws {TypeError} For a malformed address.
   * @throws {RangeError} For a multicast address.
   */
  add(macs: Many<string>): void {
    const listed = new Set(this.list());
    const given = asArray(macs);
    for (const mac of given.map((mac) => checkSender(mac, "mac"))) {
      // The kernel ignores one that is listed.
      if (listed.has(mac)) throw this.#error("add", mac, ERRNO.EEXIST);
      listed.add(mac);
    }
    this.#add(given, given);
  }

  /** Adds addresses; those that are listed stay. Errors as with {@link MacvlanMacs.add}. */
  replace(macs: Many<string>): void {
    const listed = new Set(this.list());
    const given = asArray(macs);
    this.#add(given, given.filter((mac) => !listed.has(checkSender(mac, "mac"))));
  }

  /**
   * Deletes addresses.
   *
   * @param macs One or many Ethernet addresses.
   * @throws {NetlinkError} ENOENT when one is not listed; none is deleted then. EINVAL in other modes.
   */
  delete(macs: Many<string>): void {
    const { macs: before, mode } = this.#link.options();
    const listed = new Set(before);
    const given = asArray(macs);
    for (const mac of given.map((mac) => checkSender(mac, "mac"))) {
      // The kernel ignores one that is not listed. In other modes it has its own error.
      if (!listed.delete(mac) && mode === "source") throw this.#error("delete", mac, ERRNO.ENOENT);
    }
    deleteAll(connectionTo(this.#link.ref), given.map((mac) => this.#request("delete", mac)));
  }

  /** Deletes all addresses. */
  flush(): void {
    const { index } = this.#link;
    const linkInfo = { kind: this.#link.kind!, data: { macaddrMode: "flush" } };
    connectionTo(this.#link.ref).request({
      ...setLink({ index, linkInfo }),
      operation: `flush macs of ${this.#what}`,
    });
  }

  #add(given: readonly string[], added: readonly string[]): void {
    const requests = given.map((mac) => this.#request("add", mac));
    addAll(
      connectionTo(this.#link.ref),
      requests,
      (done) =>
        done.filter((i) => added.includes(given[i]!)).map((i) =>
          this.#request("delete", given[i]!)
        ),
    );
  }

  #request(verb: "add" | "delete", mac: string): Request {
    const { index, kind } = this.#link;
    const data = { macaddrMode: verb === "add" ? "add" : "del", mac };
    const request = setLink({ index, linkInfo: { kind: kind!, data } });
    return { ...request, operation: `${verb} mac ${mac} of ${this.#what}` };
  }

  #error(verb: string, mac: string, errno: number): NetlinkError {
    const operation = `${verb} mac ${mac} of ${this.#what}`;
    return new NetlinkError({ operation, netns: this.#link.ref.description, errno });
  }

  get #what(): string {
    return `${this.#link.kind} ${show(this.#link.name)}`;
  }

  /** Prints the addresses. */
  [Symbol.for("Deno.customInspect")](inspect: Inspect, options: Deno.InspectOptions): string {
    const { description } = this.#link.ref;
    const title = `macs of ${this.#what}${description ? ` in ${description}` : ""}`;
    return inspectList(title, () => this.list(), inspect, options);
  }
}

/** What a {@link Macvlan} and a {@link Macvtap} can do. */
export class MacvlanLink extends LinkBase {
  /** Reads the options. ENODEV when the link is gone. */
  options(): MacvlanInfo {
    const { flags, macs = [], mode = "vepa", ...queue } = this.#data();
    const { macCount: _, macaddrMode: __, mac: ___, ...rest } = queue;
    return { mode, nopromisc: false, nodst: false, ...flags, macs: [...macs], ...rest };
  }

  /**
   * Changes link settings and options, and checks that the kernel took them.
   *
   * @param settings What to change. Leaving mode `source` empties the list of senders.
   * @throws {NetlinkError} EINVAL for a change from or to mode `passthru`.
   * @throws {RangeError} For an option out of range; nothing is changed then.
   * @throws {TypeError} For an option that the mode does not have, or a malformed one.
   */
  override set(settings: MacvlanSettings): this {
    return this.change(changeMessage(this.kind!, settings, this.ref, toMacvlanData));
  }

  /** Mode `source`: the senders it listens to. */
  get macs(): MacvlanMacs {
    return new MacvlanMacs(this);
  }

  #data(): MacvlanData {
    return (this.read().linkInfo?.data ?? {}) as MacvlanData;
  }
}
