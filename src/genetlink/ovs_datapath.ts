/**
 * Datapaths of Open vSwitch: the family `ovs_datapath` (`linux/openvswitch.h`).
 *
 * @module
 */
import { text, u32 } from "../netlink/attribute.ts";
import type { Request } from "../netlink/message.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import { genericFormat } from "./message.ts";
import { show } from "../options.ts";

/** Version of the family's protocol. */
export const OVS_DATAPATH_VERSION = 2;

/** Commands. */
export const OVS_DP_CMD = { NEW: 1, DEL: 2, GET: 3, SET: 4 } as const;

/** Attribute numbers. */
export const OVS_DP_ATTR = {
  NAME: 1,
  UPCALL_PID: 2,
  STATS: 3,
  MEGAFLOW_STATS: 4,
  USER_FEATURES: 5,
} as const;

/** A datapath. */
export interface OvsDatapathMessage {
  /** Its name, that of its local port. */
  name?: string;
  /** Netlink port that packets without a flow are sent to; 0: they are dropped. */
  upcallPid?: number;
  /** `OVS_DP_F_*` bits. */
  userFeatures?: number;
}

const datapathSchema: Schema<OvsDatapathMessage> = schema<OvsDatapathMessage>(
  "OVS_DP_ATTR_",
  OVS_DP_ATTR,
  {
    name: text(OVS_DP_ATTR.NAME, 15),
    upcallPid: u32(OVS_DP_ATTR.UPCALL_PID),
    userFeatures: u32(OVS_DP_ATTR.USER_FEATURES),
  },
);

const format = genericFormat(datapathSchema, 4);

function request(
  family: number,
  command: keyof typeof OVS_DP_CMD,
  attributes: OvsDatapathMessage,
  operation: string,
  line: string,
): Request<undefined> {
  const name = show(attributes.name);
  return {
    type: family,
    typeName: `OVS_DP_CMD_${command}`,
    flags: 0,
    operation: `${operation} datapath ${name}`,
    format,
    message: { command: OVS_DP_CMD[command], version: OVS_DATAPATH_VERSION, attributes },
    command: () => `${line} ${attributes.name}`,
  };
}

/** Makes a datapath whose packets without a flow are dropped. EEXIST when the name is taken. */
export function newOvsDatapath(family: number, name: string): Request<undefined> {
  const attributes = { name, upcallPid: 0, userFeatures: 0 };
  return request(family, "NEW", attributes, "create", "ovs-dpctl add-dp");
}

/** Removes a datapath with its ports and flows. ENODEV when there is none. */
export function deleteOvsDatapath(family: number, name: string): Request<undefined> {
  return request(family, "DEL", { name }, "delete", "ovs-dpctl del-dp");
}

/** Asks for a datapath's index, that of its local port. ENODEV when there is none. */
export function getOvsDatapath(family: number, name: string): Request<{ index: number }> {
  return {
    ...request(family, "GET", { name }, "get", "ovs-dpctl show"),
    reply: (source, start, end) => ({ index: format.read(source, start, end).header! }),
  };
}
