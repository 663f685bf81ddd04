/**
 * Kinds with few options of their own: dummy, ifb, veth, whose data is the other end (`VETH_INFO_*` of
 * `linux/veth.h`), tun, which ioctl(2) creates (`IFLA_TUN_*` of `linux/if_link.h`), and vrf (`IFLA_VRF_*`).
 *
 * @module
 */
import { bool, type Field, named, u32, u8 } from "../../netlink/attribute.ts";
import { type Schema, schema } from "../../netlink/schema.ts";
import {
  IFLA,
  type LinkAttributes,
  linkFields,
  SKIPPED,
  writeLinkHeader,
} from "../link_attributes.ts";
import { show } from "../../options.ts";
import { readOnly } from "../fields.ts";
import type { LinkKind, NoOptions, PortKind } from "./kind.ts";

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

/** A link as part of another message: `struct ifinfomsg` and attributes. */
export interface PeerMessage extends LinkAttributes {
  /** The index to give it; the kernel heeds it only where the outer link's index is given, too. */
  index?: number;
  /** `IFF_*` bits. */
  flags?: number;
  /** The bits of `flags` that the message sets. */
  change?: number;
}

/** The attribute set of a peer. */
const peerSchema: Schema<LinkAttributes> = schema<LinkAttributes>(
  "IFLA_",
  IFLA,
  linkFields,
  [...SKIPPED, IFLA.LINKINFO],
);

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
  write: (writer, { index = 0, flags = 0, change = 0, ...attributes }) => {
    writeLinkHeader(writer, { index, flags, change });
    peerSchema.write(writer, attributes, "peer.");
  },
  read: (source, at, length) => ({
    ...peerSchema.read(source, at + 16, at + length),
    index: source.view.getInt32(at + 4, true),
    flags: source.view.getUint32(at + 8, true),
    change: source.view.getUint32(at + 12, true),
  }),
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

/** Attribute numbers. */
export const IFLA_TUN = {
  OWNER: 1,
  GROUP: 2,
  TYPE: 3,
  PI: 4,
  VNET_HDR: 5,
  PERSIST: 6,
  MULTI_QUEUE: 7,
  NUM_QUEUES: 8,
  NUM_DISABLED_QUEUES: 9,
} as const;

/** IP packets, or Ethernet frames. */
export const TUN_TYPES = { tun: 1, tap: 2 } as const;

/** A TUN or TAP link as the kernel reports it. */
export interface TunInfo {
  /** The form of its packets: IP packets, or Ethernet frames. */
  type: "tun" | "tap" | number;
  /** User id that may attach to it without privileges; absent when no user is set. */
  owner?: number;
  /** Group id whose users may attach to it without privileges. */
  ownerGroup?: number;
  /** Packets have a `struct tun_pi` in front. */
  packetInfo: boolean;
  /** Packets have a `struct virtio_net_hdr` in front. */
  vnetHdr: boolean;
  /** It stays when its last queue closes. */
  persistent: boolean;
  /** It may have several queues. */
  multiQueue: boolean;
  /** Queues that take part in its traffic; with `multiQueue`. */
  numQueues?: number;
  /** Queues that are detached; with `multiQueue`. */
  numDisabledQueues?: number;
}

/** Codec of the reported options. */
const tunSchema: Schema<TunInfo> = schema<TunInfo>("IFLA_TUN_", IFLA_TUN, {
  type: named(u8(IFLA_TUN.TYPE), TUN_TYPES),
  owner: u32(IFLA_TUN.OWNER),
  ownerGroup: u32(IFLA_TUN.GROUP),
  packetInfo: bool(u8(IFLA_TUN.PI)),
  vnetHdr: bool(u8(IFLA_TUN.VNET_HDR)),
  persistent: bool(u8(IFLA_TUN.PERSIST)),
  multiQueue: bool(u8(IFLA_TUN.MULTI_QUEUE)),
  numQueues: u32(IFLA_TUN.NUM_QUEUES),
  numDisabledQueues: u32(IFLA_TUN.NUM_DISABLED_QUEUES),
});

/** tun: TUN and TAP links. */
export const tun: LinkKind<object, TunInfo, TunInfo> = {
  kind: "tun",
  config: "TUN",
  createdBy: "Tun.create() or Tap.create()",
  data: tunSchema,
};

/** Attribute numbers. */
export const IFLA_VRF = { TABLE: 1 } as const;

/** Attribute numbers of a port. */
export const IFLA_VRF_PORT = { TABLE: 1 } as const;

/** Options of a VRF. */
export interface VrfOptions {
  /** Number of its routing table, 1..4294967295. Only at creation. */
  table: number;
}

/** A link in a VRF, as the kernel reports it. */
export interface VrfPortInfo {
  /** Number of the routing table of the VRF. */
  table: number;
}

/** A port of a VRF: its table is that of the VRF. */
const vrfPort: PortKind<NoOptions, VrfPortInfo, VrfPortInfo> = {
  data: schema<VrfPortInfo>("IFLA_VRF_PORT_", IFLA_VRF_PORT, {
    table: readOnly(u32(IFLA_VRF_PORT.TABLE)),
  }),
};

/** vrf: a routing table of its own for the links in it. */
export const vrf: LinkKind<VrfOptions, VrfOptions, VrfOptions> & { readonly port: typeof vrfPort } =
  {
    kind: "vrf",
    config: "NET_VRF",
    data: schema<VrfOptions>("IFLA_VRF_", IFLA_VRF, { table: u32(IFLA_VRF.TABLE, { min: 1 }) }),
    options: { table: true },
    encode: (options, current) => {
      if (current) {
        throw new TypeError(`table of a vrf cannot be changed: got ${show(options.table)}`);
      }
      if (options.table === undefined) {
        throw new TypeError("table must be the number of a routing table: got undefined");
      }
      return options;
    },
    port: vrfPort,
  };
