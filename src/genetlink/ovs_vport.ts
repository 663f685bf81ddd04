/**
 * Ports of Open vSwitch datapaths: the family `ovs_vport` (`linux/openvswitch.h`).
 *
 * @module
 */
import { named, text, u32 } from "../netlink/attribute.ts";
import type { Request } from "../netlink/message.ts";
import { type Schema, schema } from "../netlink/schema.ts";
import { genericFormat } from "./message.ts";
import { show } from "../options.ts";

/** Version of the family's protocol. */
export const OVS_VPORT_VERSION = 1;

/** Commands. */
export const OVS_VPORT_CMD = { NEW: 1, DEL: 2, GET: 3, SET: 4 } as const;

/** Attribute numbers. */
export const OVS_VPORT_ATTR = {
  PORT_NO: 1,
  TYPE: 2,
  NAME: 3,
  OPTIONS: 4,
  UPCALL_PID: 5,
  STATS: 6,
  IFINDEX: 8,
  NETNSID: 9,
} as const;

/** Types: a link that is there, or one that the datapath makes. */
export const OVS_VPORT_TYPE = { netdev: 1, internal: 2 } as const;

/** What a port is. */
export type OvsPortType = keyof typeof OVS_VPORT_TYPE;

/** A port. */
export interface OvsVportMessage {
  /** Its number in the datapath. */
  number?: number;
  /** What it is. */
  type?: OvsPortType | number;
  /** Its link's name. */
  name?: string;
  /** Netlink port that packets without a flow are sent to; 0: they are dropped. */
  upcallPid?: number;
  /** Its link's index. */
  index?: number;
}

const vportSchema: Schema<OvsVportMessage> = schema<OvsVportMessage>(
  "OVS_VPORT_ATTR_",
  OVS_VPORT_ATTR,
  {
    number: u32(OVS_VPORT_ATTR.PORT_NO),
    type: named(u32(OVS_VPORT_ATTR.TYPE), OVS_VPORT_TYPE),
    name: text(OVS_VPORT_ATTR.NAME, 15),
    upcallPid: u32(OVS_VPORT_ATTR.UPCALL_PID),
    index: u32(OVS_VPORT_ATTR.IFINDEX),
  },
);

const format = genericFormat(vportSchema, 4);

function request(
  family: number,
  command: keyof typeof OVS_VPORT_CMD,
  datapath: number,
  attributes: OvsVportMessage,
  words: readonly [operation: string, line: string],
): Request<undefined> {
  const [operation, line] = words;
  return {
    type: family,
    typeName: `OVS_VPORT_CMD_${command}`,
    flags: 0,
    operation: `${operation} port ${show(attributes.name)}`,
    format,
    message: {
      command: OVS_VPORT_CMD[command],
      version: OVS_VPORT_VERSION,
      header: datapath,
      attributes,
    },
    command: () => line,
  };
}

/**
 * Adds a port: the link `name`, or with the type `internal` a new one. Its packets without a flow are
 * dropped.
 *
 * @param family The family's id.
 * @param datapath The datapath's index.
 * @param port Name and type.
 */
export function newOvsVport(
  family: number,
  datapath: number,
  port: { readonly name: string; readonly type: OvsPortType },
): Request<undefined> {
  const line = `ovs-dpctl add-if if${datapath} ${port.name},type=${port.type}`;
  const attributes = { ...port, upcallPid: 0 };
  return request(family, "NEW", datapath, attributes, ["add", line]);
}

/** Takes a port away; an internal one's link is deleted. ENODEV when there is none. */
export function deleteOvsVport(
  family: number,
  datapath: number,
  name: string,
): Request<undefined> {
  const line = `ovs-dpctl del-if if${datapath} ${name}`;
  return request(family, "DEL", datapath, { name }, ["remove", line]);
}

/** Asks for a port. ENODEV when there is none. */
export function getOvsVport(
  family: number,
  datapath: number,
  name: string,
): Request<OvsVportMessage> {
  return {
    ...request(family, "GET", datapath, { name }, ["get", "ovs-dpctl show"]),
    reply: (source, start, end) => format.read(source, start, end).attributes,
  };
}
