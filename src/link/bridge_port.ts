/**
 * A port of a bridge.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { Writer } from "../netlink/bytes.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import type { Request } from "../netlink/message.ts";
import { nested, schema } from "../netlink/schema.ts";
import { AF, RTM } from "../rtnetlink/constants.ts";
import { IFLA } from "../rtnetlink/link_attributes.ts";
import { BridgePortFdb } from "./bridge_fdb.ts";
import {
  BRIDGE_PORT_STATES,
  type BridgePortInfo,
  type BridgePortOptions,
  bridgePortSchema,
  type BridgePortState,
  IFLA_BRPORT,
  portState,
} from "./bridge_port_options.ts";
import { BridgeVlans } from "./bridge_vlan.ts";
import { LinkBase } from "./link.ts";
import type { LinkSettings } from "./options.ts";
import { show } from "../options.ts";

/** Settings of {@link BridgePort.set}. */
export interface BridgePortSettings extends LinkSettings, BridgePortOptions {
  /**
   * What the port does with frames, while it is up, has a carrier and spanning tree is off. The kernel
   * lets it forward again when its carrier comes or anything of the link changes, and moves it on from
   * `listening` and `learning` when a forward delay ends. `blocking` is for spanning tree in user space.
   */
  readonly state?: BridgePortState | number;
}

const PORT_OPTIONS: ReadonlySet<string> = new Set(Object.keys(bridgePortSchema.fields));

/** A link that is a port of a bridge. */
export class BridgePort extends LinkBase {
  /** Reads the port's options and spanning tree state. */
  options(): BridgePortInfo {
    return (this.read().linkInfo?.memberData ?? {}) as BridgePortInfo;
  }

  /** Changes link settings and port options, and checks that the kernel took them. */
  override set(settings: BridgePortSettings): this {
    const { state, ...others } = settings;
    const link: Record<string, unknown> = {};
    const port: Record<string, unknown> = { ...settings.port };
    for (const [key, value] of Object.entries(others)) {
      if (key !== "port") (PORT_OPTIONS.has(key) ? port : link)[key] = value;
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
    // Throws for what is no state, ahead of all messages.
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
