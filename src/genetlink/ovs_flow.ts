/**
 * Flows of Open vSwitch datapaths: the family `ovs_flow` (`linux/openvswitch.h`).
 *
 * @module
 */
import { binary, list, u32 } from "../netlink/attribute.ts";
import { NLM_F, type Request } from "../netlink/message.ts";
import { nested, type Schema, schema } from "../netlink/schema.ts";
import { genericFormat } from "./message.ts";

/** Version of the family's protocol. */
export const OVS_FLOW_VERSION = 1;

/** Commands. */
export const OVS_FLOW_CMD = { NEW: 1, DEL: 2, GET: 3, SET: 4 } as const;

/** Attribute numbers. */
export const OVS_FLOW_ATTR = {
  KEY: 1,
  ACTIONS: 2,
  STATS: 3,
  TCP_FLAGS: 4,
  USED: 5,
  CLEAR: 6,
  MASK: 7,
} as const;

/** Attribute numbers of what a flow matches, as far as netloom has them. */
export const OVS_KEY_ATTR = { IN_PORT: 3, ETHERNET: 4, ETHERTYPE: 6 } as const;

/** Attribute numbers of what is done with a packet, as far as netloom has them. */
export const OVS_ACTION_ATTR = { OUTPUT: 1 } as const;

/** What a flow matches. */
export interface OvsFlowKey {
  /** Number of the port packets come in by. */
  inPort?: number;
  /** `struct ovs_key_ethernet`: source and destination address. */
  ethernet?: Uint8Array;
}

/** A flow. */
export interface OvsFlowMessage {
  /** What it matches. */
  key?: OvsFlowKey;
  /** The bits of the key that count. */
  mask?: OvsFlowKey;
  /** Numbers of the ports packets go out by; none: they are dropped. */
  actions?: number[];
  /** Counters: `struct ovs_flow_stats`. */
  stats?: Uint8Array;
}

const keySchema: Schema<OvsFlowKey> = schema<OvsFlowKey>("OVS_KEY_ATTR_", OVS_KEY_ATTR, {
  inPort: u32(OVS_KEY_ATTR.IN_PORT),
  ethernet: binary(OVS_KEY_ATTR.ETHERNET),
});

const flowSchema: Schema<OvsFlowMessage> = schema<OvsFlowMessage>(
  "OVS_FLOW_ATTR_",
  OVS_FLOW_ATTR,
  {
    key: nested(OVS_FLOW_ATTR.KEY, keySchema),
    mask: nested(OVS_FLOW_ATTR.MASK, keySchema),
    actions: list(OVS_FLOW_ATTR.ACTIONS, u32(OVS_ACTION_ATTR.OUTPUT)),
    stats: binary(OVS_FLOW_ATTR.STATS),
  },
);

const format = genericFormat(flowSchema, 4);

/**
 * Adds a flow: what comes in by a port, whatever it is, goes out by others. EEXIST when there is one
 * for the port.
 *
 * @param family The family's id.
 * @param datapath The datapath's index.
 * @param flow Numbers of the ports.
 */
export function newOvsFlow(
  family: number,
  datapath: number,
  flow: { readonly inPort: number; readonly output: readonly number[] },
): Request<undefined> {
  const { inPort, output } = flow;
  const ethernet = new Uint8Array(12); // has to be there, also when none of its bits count
  return {
    type: family,
    typeName: "OVS_FLOW_CMD_NEW",
    flags: NLM_F.CREATE | NLM_F.EXCL, // without them it replaces one that is there
    operation: `add a flow for port ${inPort}`,
    format,
    message: {
      command: OVS_FLOW_CMD.NEW,
      version: OVS_FLOW_VERSION,
      header: datapath,
      attributes: {
        key: { inPort, ethernet },
        mask: { inPort: 0xffffffff, ethernet },
        actions: [...output],
      },
    },
    command: () =>
      `ovs-dpctl add-flow if${datapath} 'in_port(${inPort}),eth()' ${output.join() || "drop"}`,
  };
}
