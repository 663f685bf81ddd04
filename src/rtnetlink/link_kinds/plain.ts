/**
 * Kinds without options of their own: dummy, ifb, and veth, whose data is the other end
 * (`VETH_INFO_*` of `linux/veth.h`).
 *
 * @module
 */
import type { Field } from "../../netlink/attribute.ts";
import { type Schema, schema } from "../../netlink/schema.ts";
import { type PeerMessage, peerSchema, readPeer, writePeer } from "../link_attributes.ts";
import type { LinkKind, NoOptions } from "./kind.ts";

const none: Schema<NoOptions> = schema<NoOptions>("IFLA_INFO_DATA ", {}, {});

/** dummy: a link that drops every packet. */
export const dummy: LinkKind<NoOptions, NoOptions, NoOptions> = {
  kind: "dummy",
  config: "DUMMY",
  data: none,
};

/** ifb: a link for packets that traffic control redirects. */
export const ifb: LinkKind<NoOptions, NoOptions, NoOptions> = {
  kind: "ifb",
  config: "IFB",
  data: none,
};

/** Attribute numbers. */
export const VETH_INFO = { PEER: 1 } as const;

/** IFLA_INFO_DATA of a veth pair. */
export interface VethData {
  /** The other end: `struct ifinfomsg` and attributes. */
  peer?: PeerMessage;
}

/** A nest that starts with `struct ifinfomsg`. */
const peer: Field<PeerMessage> = {
  type: VETH_INFO.PEER,
  innerHeader: 16,
  schema: peerSchema,
  write: (writer, value) => writePeer(writer, value, "peer."),
  read: (source, at, length) => readPeer(source, at, at + length),
};

const data: Schema<VethData> = schema<VethData>("VETH_INFO_", VETH_INFO, { peer });

/** veth: two links joined back to back (veth(4)). */
export const veth: LinkKind<VethData, NoOptions, VethData> = {
  kind: "veth",
  config: "VETH",
  pair: true,
  data,
  notReadBack: ["peer"],
};
