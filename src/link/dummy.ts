/**
 * dummy: a link that leads nowhere.
 *
 * @module
 */
import { schema } from "../netlink/schema.ts";
import { registerKind } from "../rtnetlink/kinds.ts";
import { createLink } from "./create.ts";
import { findLink, LinkBase, type LinkGetOptions } from "./link.ts";
import { type LinkOptions, splitOptions } from "./options.ts";

registerKind({ kind: "dummy", data: schema<object>("IFLA_DUMMY_", {}, {}) });

/**
 * A link that drops what is sent over it: for addresses that are always there, as a parent of other
 * links, as a port without a cable. ARP is off unless `arp: true` says otherwise. Its carrier can be
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
  /**
   * Makes a dummy.
   *
   * @param options What every link has; there is nothing else.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken.
   * @throws {UnsupportedError} When the kernel has no dummies.
   * @throws {RangeError} For an option out of range; nothing is made then.
   * @throws {TypeError} For a malformed or unknown option; nothing is made then.
   */
  static create(options: LinkOptions): Dummy {
    const { common, own } = splitOptions<object>(options);
    const { netns, info } = createLink("dummy", common, own);
    return new Dummy({ netns, info, kind: "dummy", owned: true });
  }

  /**
   * Finds a dummy.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When it is not a dummy.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Dummy {
    return new Dummy(findLink(selector, options, "dummy"));
  }
}
