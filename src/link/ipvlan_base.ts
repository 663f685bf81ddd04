/**
 * What ipvlan and ipvtap links have in common.
 *
 * @module
 */
import { changeMessage, type ChildOptions } from "./child.ts";
import type { IpvlanInfo, IpvlanOptions } from "./ipvlan_options.ts";
import { LinkBase } from "./link.ts";
import type { LinkOptions, LinkSettings } from "./options.ts";

/** Options of {@link Ipvlan.create} and {@link Ipvtap.create}. */
export interface IpvlanCreateOptions extends LinkOptions, ChildOptions, IpvlanOptions {}

/** Settings of {@link IpvlanLink.set}. */
export interface IpvlanSettings extends LinkSettings, IpvlanOptions {}

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
   * @throws {NetlinkError} When the kernel refuses one, or ignores it: the MAC is always the parent's.
   * @throws {RangeError} For an option out of range; nothing is changed then.
   * @throws {TypeError} For a malformed option.
   */
  override set(settings: IpvlanSettings): this {
    return this.change(changeMessage<IpvlanOptions>(this.kind!, settings, this.ref, (own) => own));
  }
}
