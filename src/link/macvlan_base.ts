/**
 * What macvlan and macvtap links have in common.
 *
 * @module
 */
import { LinkBase } from "./link.ts";
import { changeMessage, type ChildOptions } from "./child.ts";
import {
  canonical,
  type MacvlanData,
  type MacvlanInfo,
  type MacvlanOptions,
  toMacvlanData,
} from "./macvlan_options.ts";
import type { LinkOptions, LinkSettings } from "./options.ts";

/** Options of {@link Macvlan.create} and {@link Macvtap.create}. */
export type MacvlanCreateOptions = LinkOptions & ChildOptions & MacvlanOptions;

/** Settings of {@link MacvlanLink.set}. */
export type MacvlanSettings = LinkSettings & MacvlanOptions;

/** The senders a macvlan in mode `source` listens to. The kernel refuses changes in other modes (EINVAL). */
export interface MacvlanSources {
  /** The addresses, ascending. */
  list(): string[];
  /** Makes the list these. Not at once: packets may be missed while it changes. */
  set(macs: readonly string[]): void;
  /** Adds an address; one that is listed stays. */
  add(mac: string): void;
  /** Removes an address; `false` when it was not listed. */
  delete(mac: string): boolean;
  /** Removes all. */
  flush(): void;
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
  get macs(): MacvlanSources {
    return {
      list: () => [...this.#data().macs ?? []],
      set: (macs) => this.#list(toMacvlanData({ mode: "source", macs })),
      add: (mac) => this.#list({ macaddrMode: "add", mac }),
      delete: (mac) => {
        const listed = this.#data().macs ?? [];
        this.#list({ macaddrMode: "del", mac });
        return listed.includes(canonical([mac])[0]!);
      },
      flush: () => this.#list({ macaddrMode: "flush" }),
    };
  }

  #data(): MacvlanData {
    return (this.read().linkInfo?.data ?? {}) as MacvlanData;
  }

  /** The mode must not change with the list. */
  #list({ mode: _, ...data }: MacvlanData): void {
    this.change({ linkInfo: { kind: this.kind!, data } });
  }
}
