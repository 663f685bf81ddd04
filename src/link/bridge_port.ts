/**
 * A port of a bridge.
 *
 * @module
 */
import { BridgePortFdb } from "./bridge_fdb.ts";
import {
  type BridgePortInfo,
  type BridgePortOptions,
  bridgePortSchema,
} from "./bridge_port_options.ts";
import { BridgeVlans } from "./bridge_vlan.ts";
import { LinkBase } from "./link.ts";
import type { LinkSettings } from "./options.ts";

const PORT_OPTIONS: ReadonlySet<string> = new Set(Object.keys(bridgePortSchema.fields));

/** A link that is a port of a bridge. */
export class BridgePort extends LinkBase {
  /** Reads the port's options and spanning tree state. */
  options(): BridgePortInfo {
    return (this.read().linkInfo?.memberData ?? {}) as BridgePortInfo;
  }

  /** Changes link settings and port options, and checks that the kernel took them. */
  override set(settings: LinkSettings & BridgePortOptions): this {
    const link: Record<string, unknown> = {};
    const port: Record<string, unknown> = { ...settings.port };
    for (const [key, value] of Object.entries(settings)) {
      if (key !== "port") (PORT_OPTIONS.has(key) ? port : link)[key] = value;
    }
    return super.set(Object.keys(port).length > 0 ? { ...link, port } : link);
  }

  /** Its forwarding entries: the Ethernet addresses behind it. */
  get fdb(): BridgePortFdb {
    return new BridgePortFdb(this);
  }

  /** The VLANs it lets in and out. */
  get vlans(): BridgeVlans {
    return new BridgeVlans(this, false);
  }
}
