/**
 * Links with few options of their own: dummy, which leads nowhere, ifb, which queues packets that traffic
 * control sends to it, and vrf, whose ports have a routing table of their own.
 *
 * @module
 */
import { dummy, ifb, vrf, type VrfOptions } from "../rtnetlink/link_kinds/plain.ts";
import { LinkBase } from "./base.ts";
import { findLink, type LinkGetOptions } from "./find.ts";
import { createKind } from "./create.ts";
import { atCaller } from "../options.ts";
import type { LinkOptions } from "./options.ts";

export type { VrfOptions, VrfPortInfo } from "../rtnetlink/link_kinds/plain.ts";

/**
 * A link that drops all packets: for addresses that are always there, as a parent of other
 * links, as a port without a cable. ARP is off without `arp: true`. Its carrier can be
 * set.
 *
 * @example An address that no cable can take away, where the kernel can
 * ```ts
 * import { Dummy, NetNs, supports } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * if (supports("dummy")) {
 *   using netns = NetNs.create();
 *   Dummy.create({ name: "router-id", netns, up: true, addresses: ["192.0.2.1/32"] });
 *   const { received } = await netns.ping("192.0.2.1");
 *   assertEquals(received, 1);
 * }
 * ```
 */
export class Dummy extends LinkBase {
  /** The kernel's name of the kind. */
  static readonly kind = "dummy";

  /**
   * Creates a dummy.
   *
   * @param options The options of every link; the kind has none of its own.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken.
   * @throws {UnsupportedError} When the kernel has no dummies.
   * @throws {RangeError} For an option out of range; nothing is created then.
   * @throws {TypeError} For a malformed or unknown option; nothing is created then.
   */
  static create(options: LinkOptions): Dummy {
    return atCaller(Dummy.create, () => new Dummy({ ...createKind(dummy, options), owned: true }));
  }

  /**
   * Finds a dummy.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When the link is not a dummy.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Dummy {
    return new Dummy(findLink(selector, options, "dummy"));
  }
}

/**
 * An intermediate functional block: a filter with the action `mirred` redirects packets of other links
 * to it, where queueing disciplines shape them; then the packets continue from where they were
 * redirected. So incoming packets can be shaped, and several links can share a queue. Packets sent over
 * the link itself are dropped.
 *
 * @example A queue to redirect to
 * ```ts
 * import { Ifb, NetNs } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const ifb = Ifb.create({ name: "ifb0", netns, numTxQueues: 2, up: true });
 * assertEquals(ifb.read().numTxQueues, 2);
 * ```
 */
export class Ifb extends LinkBase {
  /** The kernel's name of the kind. */
  static readonly kind = "ifb";

  /**
   * Creates an ifb.
   *
   * @param options The options of every link; the kind has none of its own.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken.
   * @throws {UnsupportedError} When the kernel has no ifbs.
   * @throws {RangeError} For an option out of range; nothing is created then.
   * @throws {TypeError} For a malformed or unknown option; nothing is created then.
   */
  static create(options: LinkOptions): Ifb {
    return atCaller(Ifb.create, () => new Ifb({ ...createKind(ifb, options), owned: true }));
  }

  /**
   * Finds an ifb.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When it is not an ifb.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Ifb {
    return new Ifb(findLink(selector, options, "ifb"));
  }
}

/** Options of {@link Vrf.create}. */
export interface VrfCreateOptions extends LinkOptions, VrfOptions {}

/**
 * Virtual routing and forwarding: a link whose ports have a routing table of their own. Packets that come in by
 * a port are routed by that table, so the ports of several VRFs may have the same addresses. A program is in the
 * VRF when its socket is bound to the link (`SO_BINDTODEVICE`). A link becomes a port with `master`.
 *
 * With its first VRF the kernel adds a policy rule with `l3mdev` (`netns.rules`).
 *
 * @example Two customers with the same addresses, where the kernel can
 * ```ts
 * import { NetNs, supports, Veth, Vrf } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * if (supports("vrf")) {
 *   using netns = NetNs.create();
 *   for (const table of [10, 20]) {
 *     const master = Vrf.create({ name: `vrf${table}`, netns, table, up: true });
 *     Veth.create({
 *       name: `c${table}`,
 *       master,
 *       up: true,
 *       addresses: ["192.0.2.1/24"],
 *       peer: { name: `p${table}`, netns, up: true },
 *     });
 *   }
 *   const [route] = netns.routes.list({ table: 20, dev: "c20", protocol: "kernel", type: "unicast" });
 *   assertEquals(route?.destination, "192.0.2.0/24");
 * }
 * ```
 */
export class Vrf extends LinkBase {
  /** The kernel's name of the kind. */
  static readonly kind = "vrf";

  /**
   * Creates a VRF.
   *
   * @param options The options of every link, and its `table`.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken.
   * @throws {UnsupportedError} When the kernel has no VRFs.
   * @throws {RangeError} For an option out of range; nothing is created then.
   * @throws {TypeError} For a malformed or unknown option; nothing is created then.
   */
  static create(options: VrfCreateOptions): Vrf {
    return atCaller(Vrf.create, () => new Vrf({ ...createKind(vrf, options), owned: true }));
  }

  /**
   * Finds a VRF.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When it is not a VRF.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Vrf {
    return new Vrf(findLink(selector, options, "vrf"));
  }

  /** Reads the number of its table. ENODEV when the link is gone. */
  override options(): VrfOptions {
    return super.options() as VrfOptions;
  }
}
