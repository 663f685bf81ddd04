/**
 * The controller, which knows the families of generic netlink by name: `CTRL_*` of `linux/genetlink.h`.
 *
 * @module
 */
import { list, text, u16, u32 } from "../netlink/attribute.ts";
import type { Request } from "../netlink/message.ts";
import { nested, type Schema, schema } from "../netlink/schema.ts";
import { genericFormat } from "./message.ts";
import { show } from "../options.ts";

/** Message type of the controller itself. */
export const GENL_ID_CTRL = 0x10;

/** Commands. */
export const CTRL_CMD = { GETFAMILY: 3 } as const;

/** Attribute numbers. */
export const CTRL_ATTR = {
  FAMILY_ID: 1,
  FAMILY_NAME: 2,
  VERSION: 3,
  HDRSIZE: 4,
  MAXATTR: 5,
  OPS: 6,
  MCAST_GROUPS: 7,
  POLICY: 8,
  OP_POLICY: 9,
  OP: 10,
} as const;

/** Attribute numbers of a multicast group. */
export const CTRL_ATTR_MCAST_GRP = { NAME: 1, ID: 2 } as const;

/** A multicast group of a family. */
export interface FamilyGroup {
  /** Its name: `config`. */
  name?: string;
  /** What to join. */
  id?: number;
}

/** A family of generic netlink. */
export interface Family {
  /** The message type of its messages, given when its module is loaded. */
  id: number;
  /** Its name: `ovs_datapath`. */
  name: string;
  /** Version of its protocol. */
  version: number;
  /** Bytes of its own header. */
  headerSize: number;
  /** Its highest attribute number. */
  maxAttribute?: number;
  /** Its multicast groups. */
  groups?: FamilyGroup[];
}

const groupSchema: Schema<FamilyGroup> = schema<FamilyGroup>(
  "CTRL_ATTR_MCAST_GRP_",
  CTRL_ATTR_MCAST_GRP,
  { name: text(CTRL_ATTR_MCAST_GRP.NAME), id: u32(CTRL_ATTR_MCAST_GRP.ID) },
);

const familySchema: Schema<Partial<Family>> = schema<Partial<Family>>("CTRL_ATTR_", CTRL_ATTR, {
  id: u16(CTRL_ATTR.FAMILY_ID),
  name: text(CTRL_ATTR.FAMILY_NAME, 15),
  version: u32(CTRL_ATTR.VERSION),
  headerSize: u32(CTRL_ATTR.HDRSIZE),
  maxAttribute: u32(CTRL_ATTR.MAXATTR),
  groups: list(CTRL_ATTR.MCAST_GROUPS, nested(0, groupSchema)),
}, [CTRL_ATTR.OPS]);

const format = genericFormat(familySchema);

/**
 * Asks for a family. The kernel loads the module that has it.
 *
 * @param name The family's name: `ovs_datapath`.
 * @returns The request, which ENOENT answers when there is no such family.
 */
export function getFamily(name: string): Request<Family> {
  return {
    type: GENL_ID_CTRL,
    typeName: "CTRL_CMD_GETFAMILY",
    flags: 0,
    operation: `find the generic netlink family ${show(name)}`,
    format,
    message: { command: CTRL_CMD.GETFAMILY, version: 1, attributes: { name } },
    reply: (source, start, end) => format.read(source, start, end).attributes as Family,
    command: () => `genl ctrl get name ${name}`,
  };
}
