/**
 * ifb: a link that queues what traffic control sends to it.
 *
 * @module
 */
import { schema } from "../netlink/schema.ts";
import { registerKind } from "../rtnetlink/kinds.ts";
import { createLink } from "./create.ts";
import { findLink, LinkBase, type LinkGetOptions } from "./link.ts";
import { type LinkOptions, splitOptions } from "./options.ts";

registerKind({ kind: "ifb", data: schema<object>("IFLA_IFB_", {}, {}) });

/**
 * An intermediate functional block: a filter with the action `mirred` redirects packets of other links
 * to it, where queueing disciplines shape them; then they go on from where they were taken. So what
 * comes in can be shaped, and several links share a queue. What is sent over it by itself is dropped.
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
  /**
   * Makes an ifb.
   *
   * @param options What every link has; there is nothing else.
   * @returns The owning handle.
   * @throws {NetlinkError} EEXIST when the name is taken.
   * @throws {UnsupportedError} When the kernel has no ifbs.
   * @throws {RangeError} For an option out of range; nothing is made then.
   * @throws {TypeError} For a malformed or unknown option; nothing is made then.
   */
  static create(options: LinkOptions): Ifb {
    const { common, own } = splitOptions<object>(options);
    const { netns, info } = createLink("ifb", common, own);
    return new Ifb({ netns, info, kind: "ifb", owned: true });
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
