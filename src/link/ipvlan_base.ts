/**
 * What ipvlan and ipvtap links have in common.
 *
 * @module
 */
import { changeMessage, type ChildOptions, createChild } from "./child.ts";
import type { IpvlanFlag, IpvlanInfo, IpvlanOptions } from "./ipvlan_options.ts";
import { LinkBase, type LinkState } from "./link.ts";
import type { LinkOptions, LinkSettings } from "./options.ts";

/** Options of {@link Ipvlan.create} and {@link Ipvtap.create}. The MAC is always the parent's. */
export interface IpvlanCreateOptions
  extends Omit<LinkOptions, "mac">, ChildOptions, IpvlanOptions {}

/** Settings of {@link IpvlanLink.set}. The MAC is always the parent's. */
export interface IpvlanSettings extends Omit<LinkSettings, "mac">, IpvlanOptions {}

/** Makes one of either kind. */
export function createIpvlan(kind: string, options: IpvlanCreateOptions): LinkState {
  refuseMac(kind, options);
  // The kernel would keep the flag of those that are there, and not their mode.
  return createChild<IpvlanOptions>(kind, options, (own) => ({ flag: "bridge", ...own }));
}

function refuseMac(kind: string, options: object): void {
  if ((options as LinkOptions).mac === undefined) return;
  throw new TypeError(`mac of an ${kind} is always its parent's`);
}

/** What an {@link Ipvlan} and an {@link Ipvtap} can do. */
export class IpvlanLink extends LinkBase {
  /** Reads the options. ENODEV when the link is gone. */
  options(): IpvlanInfo {
    return { ...this.read().linkInfo?.data };
  }

  /**
   * Changes link settings and options, and checks that the kernel took them.
   *
   * @param settings What to change. `mode` and `flag` change for all ipvlans of the parent.
   * @throws {NetlinkError} When the kernel refuses one, or ignores it.
   * @throws {RangeError} For an option out of range; nothing is changed then.
   * @throws {TypeError} For a malformed option, and for `mac`.
   */
  override set(settings: IpvlanSettings): this {
    refuseMac(this.kind!, settings);
    return this.change(changeMessage<IpvlanOptions>(this.kind!, settings, this.ref, (own) => {
      if (own.mode === undefined || own.flag !== undefined) return own;
      // In `ip link set ... mode`, the flag is said too, or it becomes that of bridge.
      return { ...own, flag: this.options().flag as IpvlanFlag };
    }));
  }
}
