/**
 * bridge: an Ethernet switch in the kernel (IEEE 802.1D).
 *
 * @module
 */
import { registerKind } from "../rtnetlink/kinds.ts";
import { connectionTo } from "../netlink/connections.ts";
import { dumpLinks } from "../rtnetlink/link.ts";
import { BR_BOOLOPT } from "./bridge_attributes.ts";
import { BRIDGE_COMMAND_NAMES, BRIDGE_PORT_COMMAND_NAMES } from "./bridge_command.ts";
import { BridgeFdb } from "./bridge_fdb.ts";
import { BridgePort } from "./bridge_port.ts";
import { type BridgeBooleans, type BridgeData, bridgeSchema } from "./bridge_options.ts";
import { type BridgePortInfo, bridgePortSchema } from "./bridge_port_options.ts";
import type { BridgeStatus } from "./bridge_status.ts";
import { BridgeVlans } from "./bridge_vlan.ts";
import { createLink } from "./create.ts";
import { findLink, LinkBase, type LinkGetOptions } from "./link.ts";
import {
  indexOf,
  type LinkOptions,
  type LinkSettings,
  type LinkTarget,
  settingsMessage,
  splitOptions,
} from "./options.ts";

/** What the kernel rounds to its clock. */
const TIMES = [
  "forwardDelay",
  "helloTime",
  "maxAge",
  "ageingTime",
  "mcastLastMemberInterval",
  "mcastMembershipInterval",
  "mcastQuerierInterval",
  "mcastQueryInterval",
  "mcastQueryResponseInterval",
  "mcastStartupQueryInterval",
];

registerKind({
  kind: "bridge",
  data: bridgeSchema,
  member: bridgePortSchema,
  notReadBack: ["fdbFlush"],
  rounded: TIMES,
  tolerates: (option, asked, read: BridgeStatus & BridgePortInfo) =>
    // A bridge that is not the root of the spanning tree reports the root's times.
    ["forwardDelay", "helloTime", "maxAge"].includes(option) && read.rootId !== read.bridgeId ||
    // Not reported where there is none.
    (option === "backupPort" || option === "backupNhid") && asked === 0 &&
      read[option] === undefined,
  commandNames: BRIDGE_COMMAND_NAMES,
  memberCommandNames: BRIDGE_PORT_COMMAND_NAMES,
});

/**
 * Options of a bridge. Times are in hundredths of a second, as in `ip link`. With spanning tree, a
 * bridge reports `forwardDelay`, `helloTime` and `maxAge` of the root, and has its own when it becomes
 * root itself.
 */
export interface BridgeOptions extends Omit<BridgeData, "boolopts">, BridgeBooleans {}

/** A bridge as the kernel reports it: its options and its state. */
export interface BridgeInfo extends BridgeOptions, BridgeStatus {}

/** Options of {@link Bridge.create}. */
export interface BridgeCreateOptions extends LinkOptions, BridgeOptions {}

/** Settings of {@link Bridge.set}. */
export interface BridgeSettings extends LinkSettings, BridgeOptions {}

/**
 * A bridge.
 *
 * @example A switch with one port
 * ```ts
 * import { Bridge, NetNs, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const bridge = Bridge.create({ name: "br0", netns, stp: true, forwardDelay: 400, up: true });
 * Veth.create({ name: "v0", netns, peer: { name: "v1", master: bridge, port: { cost: 10 } } });
 * assertEquals(bridge.options().forwardDelay, 400);
 * assertEquals(bridge.port("v1").options().cost, 10);
 * ```
 */
export class Bridge extends LinkBase {
  /**
   * Makes a bridge.
   *
   * @param options What every link has, and the bridge's own options.
   * @returns The owning handle.
   * @throws {RangeError} For an option out of range, also where the kernel would take it.
   * @throws {NetlinkError} EEXIST when the name is taken.
   */
  static create(options: BridgeCreateOptions): Bridge {
    const { common, own } = splitOptions<BridgeOptions>(options);
    const { netns, info } = createLink("bridge", common, toData(own));
    return new Bridge({ netns, info, kind: "bridge", owned: true });
  }

  /**
   * Finds a bridge.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When it is not a bridge.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Bridge {
    return new Bridge(findLink(selector, options, "bridge"));
  }

  /** Reads the bridge's options and state. */
  options(): BridgeInfo {
    const data = this.read().linkInfo?.data as BridgeData & BridgeStatus;
    const { boolopts, ...rest } = data;
    return { ...rest, ...boolopts };
  }

  /** Changes link settings and bridge options, and checks that the kernel took them. */
  override set(settings: BridgeSettings): this {
    const { common, own } = splitOptions<BridgeOptions>(
      settings as BridgeSettings & { name: string },
    );
    const message = settingsMessage(common, this.ref);
    if (Object.keys(own).length > 0) {
      message.linkInfo = { ...message.linkInfo, kind: "bridge", data: toData(own) };
    }
    return this.change(message);
  }

  /** Its forwarding entries: which Ethernet address is behind which port. */
  get fdb(): BridgeFdb {
    return new BridgeFdb(this);
  }

  /** The VLANs of the bridge itself, not of its ports. */
  get vlans(): BridgeVlans {
    return new BridgeVlans(this, true);
  }

  /** Makes a link a port of this bridge. A port of another bridge is released there. */
  addPort(link: LinkTarget): BridgePort {
    const port = new BridgePort(findLink(indexOf(link, this.ref, "port"), { netns: this }));
    port.set({ master: this });
    return port;
  }

  /** Releases a port. */
  deletePort(link: LinkTarget): void {
    this.port(link).set({ master: null });
  }

  /** A port, by handle, name or index. Throws `TypeError` when the link is not a port of this bridge. */
  port(link: LinkTarget): BridgePort {
    const state = findLink(indexOf(link, this.ref, "port"), { netns: this });
    if (state.info.master !== this.index) {
      throw new TypeError(`Link "${state.info.name}" is not a port of bridge "${this.name}"`);
    }
    return new BridgePort(state);
  }

  /** The ports, by index. */
  ports(): BridgePort[] {
    return connectionTo(this.ref)
      .dump(dumpLinks({ master: this.index, stats: false }))
      .map((info) =>
        new BridgePort({
          netns: { ref: this.ref, owned: false },
          info,
          kind: info.linkInfo?.kind,
          owned: false,
        })
      );
  }
}

/** Options as the kernel groups them: some switches share an attribute. */
function toData(options: BridgeOptions): BridgeData {
  const { stp, forwardDelay } = options;
  // Changed one after the other, the kernel would refuse it; at once, it takes 200 in silence.
  if (stp && forwardDelay !== undefined && forwardDelay < 200) {
    throw new RangeError(
      `forwardDelay must be in 200..3000 hundredths of a second with stp: got ${forwardDelay}`,
    );
  }
  const data: Record<string, unknown> = {};
  const boolopts: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue;
    (Object.hasOwn(BR_BOOLOPT, key) ? boolopts : data)[key] = value;
  }
  if (Object.keys(boolopts).length > 0) data.boolopts = boolopts;
  return data as BridgeData;
}
