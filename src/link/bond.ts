/**
 * bond: several links as one, for more throughput or against failures.
 *
 * @module
 */
import { bond, type BondInfo, type BondOptions } from "../rtnetlink/link_kinds/bond.ts";
import { LinkBase } from "./base.ts";
import { findLink, type LinkGetOptions } from "./find.ts";
import { createKind } from "./create.ts";
import { atCaller } from "../options.ts";
import type { LinkOptions, LinkSettings } from "./options.ts";

export type {
  BondAggregator,
  BondArpValidate,
  BondHashPolicy,
  BondInfo,
  BondMode,
  BondOptions,
  BondPortInfo,
  BondPortOptions,
  BondWordOptions,
} from "../rtnetlink/link_kinds/bond.ts";

/** Options of {@link Bond.create}. */
export interface BondCreateOptions extends LinkOptions, BondOptions {}

/** Settings of {@link Bond.set}. */
export interface BondSettings extends LinkSettings, BondOptions {}

/**
 * Several links as one (bonding.rst): a failed port is replaced by another one, or packets are spread over all.
 *
 * A link becomes a port with `master`, while it is down; the bond brings it up. A link that is created with
 * `up` and such a master joins first. `miimon` or `arpInterval` make the bond notice failures.
 *
 * @example A cable that may fail, where the kernel can
 * ```ts
 * import { Bond, NetNs, supports, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * if (supports("bond")) {
 *   using netns = NetNs.create();
 *   const master = Bond.create({ name: "bond0", netns, mode: "active-backup", miimon: 10, up: true });
 *   const [first, second] = [0, 1].map((n) =>
 *     Veth.create({ name: `p${n}`, master, peer: { name: `q${n}`, netns, up: true }, up: true })
 *   );
 *   master.set({ activeSlave: second! });
 *   assertEquals(master.options().activeSlave, second!.index);
 *   const { port } = first!.read();
 *   if (port?.kind === "bond") assertEquals(port.options.state, "backup");
 * }
 * ```
 */
export class Bond extends LinkBase {
  /** The kernel's name of the kind. */
  static readonly kind = "bond";

  /**
   * Creates a bond.
   *
   * @param options The options of every link, and the bond's own.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken; EINVAL or EACCES for an option that its mode does not
   * have, or that excludes another one.
   * @throws {UnsupportedError} When the kernel has no bonds, or lacks an option.
   * @throws {RangeError} For an option out of range; nothing is created then.
   * @throws {TypeError} For a malformed or unknown option; nothing is created then.
   */
  static create(options: BondCreateOptions): Bond {
    return atCaller(Bond.create, () => new Bond({ ...createKind(bond, options), owned: true }));
  }

  /**
   * Finds a bond.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When it is not a bond.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Bond {
    return new Bond(findLink(selector, options, "bond"));
  }

  /** Reads the options, the active port and the aggregator. ENODEV when the link is gone. */
  override options(): BondInfo {
    return super.options() as BondInfo;
  }

  /**
   * Changes link settings and options, and verifies that the kernel took them.
   *
   * @throws {NetlinkError} When the kernel refuses a change: EACCES for a mode that lacks the option, ENOTEMPTY
   * for an option of a bond with ports, EBUSY for one of a bond that is up.
   * @throws {RangeError} For an option out of range; nothing is changed then.
   * @throws {TypeError} For a malformed option; nothing is changed then.
   */
  override set(settings: BondSettings): this {
    return super.set(settings);
  }
}
