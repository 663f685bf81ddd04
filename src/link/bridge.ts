/**
 * bridge: an Ethernet switch in the kernel (IEEE 802.1D), and its ports.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { Writer } from "../netlink/bytes.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { nested, schema } from "../netlink/schema.ts";
import { checkOptions, show } from "../options.ts";
import { AF, RTM } from "../rtnetlink/constants.ts";
import { dumpLinks, kindOf } from "../rtnetlink/link.ts";
import { IFLA } from "../rtnetlink/link_attributes.ts";
import { bridge, type BridgeInfo, type BridgeOptions } from "../rtnetlink/link_kinds/bridge.ts";
import {
  BRIDGE_PORT_STATES,
  bridgePort,
  type BridgePortInfo,
  type BridgePortOptions,
  type BridgePortState,
  IFLA_BRPORT,
  portState,
} from "../rtnetlink/link_kinds/bridge_port.ts";
import { LinkBase } from "./base.ts";
import { findLink, type LinkGetOptions } from "./find.ts";
import { BridgeFdb, BridgePortFdb } from "./bridge_fdb.ts";
import { BridgeVlans } from "./bridge_vlan.ts";
import { createKind } from "./create.ts";
import {
  indexOf,
  type LinkOptions,
  type LinkSettings,
  type LinkTarget,
  SETTINGS,
} from "./options.ts";

export type {
  BridgeBooleans,
  BridgeInfo,
  BridgeOptions,
  BridgeQuerierState,
  BridgeStatus,
} from "../rtnetlink/link_kinds/bridge.ts";
export type {
  BridgePortInfo,
  BridgePortOptions,
  BridgePortState,
  MulticastRouter,
} from "../rtnetlink/link_kinds/bridge_port.ts";

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
  /** The kernel's name of the kind. */
  static readonly kind = "bridge";

  /**
   * Creates a bridge.
   *
   * @param options The options of every link, and those of a bridge.
   * @returns The owning handle.
   * @throws {RangeError} For an option out of range, even where the kernel would accept it.
   * @throws {NetlinkError} EEXIST when the name is taken.
   */
  static create(options: BridgeCreateOptions): Bridge {
    return new Bridge({ ...createKind(bridge, options), owned: true });
  }

  /**
   * Finds a bridge.
   *
   * @param selector Its name, an alternative name, or its index.
   * @param options Where it is.
   * @returns A borrowed handle.
   * @throws {NetlinkError} ENODEV when there is no such link.
   * @throws {TypeError} When the link is not a bridge.
   */
  static get(selector: string | number, options: LinkGetOptions = {}): Bridge {
    return new Bridge(findLink(selector, options, "bridge"));
  }

  /** Reads the bridge's options and state. */
  override options(): BridgeInfo {
    return super.options();
  }

  /** Changes link settings and bridge options, and verifies that the kernel took them. */
  override set(settings: BridgeSettings): this {
    return super.set(settings);
  }

  /** Its forwarding entries: the port of each Ethernet address. */
  get fdb(): BridgeFdb {
    return new BridgeFdb(this);
  }

  /** The VLANs of the bridge itself, not of its ports. */
  get vlans(): BridgeVlans {
    return new BridgeVlans(this, true);
  }

  /** Adds a link as a port. The port of another bridge leaves that bridge. */
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
          kind: kindOf(info),
          index: info.index,
          name: info.name,
          owned: false,
        })
      );
  }
}

/** Settings of {@link BridgePort.set}. */
export interface BridgePortSettings extends LinkSettings, BridgePortOptions {
  /**
   * How the port handles frames, while it is up, has a carrier and spanning tree is off. The kernel
   * lets it forward again when its carrier comes or anything of the link changes, and moves it on from
   * `listening` and `learning` when a forward delay ends. `blocking` is for spanning tree in user space.
   */
  readonly state?: BridgePortState | number;
}

/** A link that is a port of a bridge. */
export class BridgePort extends LinkBase {
  /** Reads the port's options and spanning tree state. */
  override options(): BridgePortInfo {
    const { port } = this.read();
    return port?.kind === "bridge" ? port.options : {};
  }

  /** Changes link settings and port options, and verifies that the kernel took them. */
  override set(settings: BridgePortSettings): this {
    checkOptions(settings, { ...SETTINGS, ...bridgePort.options, state: true });
    const { state, ...others } = settings;
    const link: Record<string, unknown> = {};
    const port: Record<string, unknown> = { ...settings.port };
    for (const [key, value] of Object.entries(others)) {
      if (value === undefined || key === "port") continue;
      (Object.hasOwn(bridgePort.options!, key) ? port : link)[key] = value;
    }
    const last = state === undefined ? undefined : this.#stateRequest(state);
    if (Object.keys(port).length > 0) link.port = port;
    if (Object.keys(link).length > 0) super.set(link);
    if (last) this.#setState(last, state);
    return this;
  }

  /** Its forwarding entries: the Ethernet addresses behind it. */
  get fdb(): BridgePortFdb {
    return new BridgePortFdb(this);
  }

  /** The VLANs it lets in and out. */
  get vlans(): BridgeVlans {
    return new BridgeVlans(this, false);
  }

  /** Among a link's other settings, a state would not outlast the message that sets it. */
  #stateRequest(state: BridgePortState | number): Request<undefined> {
    const request: Request<undefined> = {
      type: RTM.SETLINK,
      typeName: "RTM_SETLINK",
      flags: 0,
      operation: `set state of port ${show(this.name)}`,
      format: stateFormat,
      message: { index: this.index, port: { state } },
      command: () =>
        `bridge link set dev if${this.index} state ${
          typeof state === "number" ? state : BRIDGE_PORT_STATES[state]
        }`,
    };
    // An invalid state throws here, before any message is sent.
    request.format.write(new Writer(64), request.message);
    return request;
  }

  #setState(request: Request<undefined>, state: unknown): void {
    connectionTo(this.ref).request(request);
    const { state: now } = this.options();
    if (now === state || BRIDGE_PORT_STATES[now as BridgePortState] === state) return;
    throw new NetlinkError({
      operation: request.operation,
      netns: this.ref.description,
      errno: ERRNO.EOPNOTSUPP,
      text: `The kernel was asked for ${show(state)} and has ${show(now)}`,
    });
  }
}

/** A message about a port, of family AF_BRIDGE. */
interface StateMessage {
  readonly index: number;
  readonly port: { readonly state: BridgePortState | number };
}

const stateSchema = schema<{ port?: { state?: BridgePortState | number } }>("IFLA_", IFLA, {
  port: nested(IFLA.PROTINFO, schema("IFLA_BRPORT_", IFLA_BRPORT, { state: portState })),
});

const stateFormat = {
  headerLength: 16,
  schemaOf: () => stateSchema,
  write: (writer: Writer, { index, port }: StateMessage) => {
    const at = writer.reserve(16);
    writer.view.setUint8(at, AF.BRIDGE);
    writer.view.setInt32(at + 4, index, true);
    stateSchema.write(writer, { port });
  },
  read: () => {
    throw new TypeError("Not an answer");
  },
};
