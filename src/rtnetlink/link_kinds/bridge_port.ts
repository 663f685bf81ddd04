/**
 * Ports of a bridge, `IFLA_BRPORT_*` (`linux/if_link.h`).
 *
 * @module
 */
import {
  bool,
  type Field,
  flag,
  mapped,
  named,
  struct,
  u16,
  u32,
  u64,
  u8,
} from "../../netlink/attribute.ts";
import { type Schema, schema } from "../../netlink/schema.ts";
import { formatMac } from "../../packet/address.ts";
import type { OptionNames } from "../../options.ts";
import { readOnly } from "../fields.ts";
import type { LinkTarget, PortKind } from "./kind.ts";

/** Attribute numbers. */
export const IFLA_BRPORT = {
  STATE: 1,
  PRIORITY: 2,
  COST: 3,
  MODE: 4,
  GUARD: 5,
  PROTECT: 6,
  FAST_LEAVE: 7,
  LEARNING: 8,
  UNICAST_FLOOD: 9,
  PROXYARP: 10,
  LEARNING_SYNC: 11,
  PROXYARP_WIFI: 12,
  ROOT_ID: 13,
  BRIDGE_ID: 14,
  DESIGNATED_PORT: 15,
  DESIGNATED_COST: 16,
  ID: 17,
  NO: 18,
  TOPOLOGY_CHANGE_ACK: 19,
  CONFIG_PENDING: 20,
  MESSAGE_AGE_TIMER: 21,
  FORWARD_DELAY_TIMER: 22,
  HOLD_TIMER: 23,
  FLUSH: 24,
  MULTICAST_ROUTER: 25,
  PAD: 26,
  MCAST_FLOOD: 27,
  MCAST_TO_UCAST: 28,
  VLAN_TUNNEL: 29,
  BCAST_FLOOD: 30,
  GROUP_FWD_MASK: 31,
  NEIGH_SUPPRESS: 32,
  ISOLATED: 33,
  BACKUP_PORT: 34,
  MRP_RING_OPEN: 35,
  MRP_IN_OPEN: 36,
  MCAST_EHT_HOSTS_LIMIT: 37,
  MCAST_EHT_HOSTS_CNT: 38,
  LOCKED: 39,
  MAB: 40,
  MCAST_N_GROUPS: 41,
  MCAST_MAX_GROUPS: 42,
  NEIGH_VLAN_SUPPRESS: 43,
  BACKUP_NHID: 44,
} as const;

/** How a port handles frames, by spanning tree or by hand (IEEE 802.1D). */
export type BridgePortState = "disabled" | "listening" | "learning" | "forwarding" | "blocking";

/** The numbers of {@link BridgePortState}. */
export const BRIDGE_PORT_STATES: Readonly<Record<BridgePortState, number>> = {
  disabled: 0,
  listening: 1,
  learning: 2,
  forwarding: 3,
  blocking: 4,
};

/** When a port counts as leading to a multicast router. */
export type MulticastRouter = "disabled" | "automatic" | "permanent" | "temporary";

/** The numbers of {@link MulticastRouter} (`MDB_RTR_TYPE_*`). */
export const MULTICAST_ROUTERS: Readonly<Record<MulticastRouter, number>> = {
  disabled: 0,
  automatic: 1,
  permanent: 2,
  temporary: 3,
};

/** Options of a port, to be set. */
export interface BridgePortOptions {
  /** Spanning tree priority, 0..63; default 32. */
  priority?: number;
  /** Spanning tree path cost, 1..65535; default by link speed, 2 for veth. */
  cost?: number;
  /** Sends frames back out of the port they came in by. Default: false. */
  hairpin?: boolean;
  /** Refuses spanning tree messages: BPDU guard. Default: false. */
  guard?: boolean;
  /** Never becomes the root port. Default: false. */
  rootBlock?: boolean;
  /** Forgets a multicast group at the first leave message. Default: false. */
  fastLeave?: boolean;
  /** Learns source addresses. Default: true. */
  learning?: boolean;
  /** Receives frames for unknown addresses. Default: true. */
  flood?: boolean;
  /** Receives multicast of unknown groups. Default: true. */
  mcastFlood?: boolean;
  /** Receives broadcast. Default: true. */
  bcastFlood?: boolean;
  /** Delivers multicast as unicast to each subscriber. Default: false. */
  mcastToUnicast?: boolean;
  /** Whether a multicast router is behind it. Default: `automatic`. */
  mcastRouter?: MulticastRouter | number;
  /** Answers ARP for hosts behind other ports. Default: false. */
  proxyArp?: boolean;
  /** As `proxyArp`, for wireless access points. Default: false. */
  proxyArpWifi?: boolean;
  /** Answers ARP and neighbor discovery instead of flooding them. Default: false. */
  neighSuppress?: boolean;
  /** As `neighSuppress`, switched per VLAN. Default: false. Linux 6.4. */
  neighVlanSuppress?: boolean;
  /** Passes frames to and from ports that are not isolated only. Default: false. */
  isolated?: boolean;
  /** Takes frames only of source addresses in the forwarding database. Default: false. Linux 5.16. */
  locked?: boolean;
  /** Adds locked entries for the addresses a locked port refuses; needs `locked`. Linux 6.2. */
  mab?: boolean;
  /** Maps VLANs to tunnel ids. Default: false. */
  vlanTunnel?: boolean;
  /** Link-local groups (01:80:c2:00:00:0X) to forward, as a mask of X; bit 1 is refused. Default: 0. */
  groupFwdMask?: number;
  /** The port that takes over when this one loses its carrier; 0: none. Default: 0. */
  backupPort?: LinkTarget;
  /** Next hop id for packets to the backup port. Linux 6.6. */
  backupNhid?: number;
  /** Most multicast groups; 0: no limit. Linux 6.3. */
  mcastMaxGroups?: number;
  /** Most hosts tracked for explicit multicast membership. Default: 512. */
  mcastEhtHostsLimit?: number;
  /** A command: forgets the addresses learned on the port. */
  fdbFlush?: boolean;
}

/** A port as the kernel reports it: its options and its state. Timers in hundredths of a second. */
export interface BridgePortInfo extends Omit<BridgePortOptions, "backupPort"> {
  /** Index of the port that takes over when this one loses its carrier. */
  backupPort?: number;
  /** How it handles frames. */
  state?: BridgePortState | number;
  /** The root bridge: `8000.02:00:00:00:00:01`. */
  rootId?: string;
  /** The bridge that leads towards the root from here. */
  bridgeId?: string;
  /** The port of that bridge. */
  designatedPort?: number;
  /** Cost of the path from it to the root. */
  designatedCost?: number;
  /** Port identifier: priority and number. */
  id?: number;
  /** Port number. */
  no?: number;
  /** Whether a topology change is being acknowledged. */
  topologyChangeAck?: boolean;
  /** Whether a configuration message waits to be sent. */
  configPending?: boolean;
  /** Time since the last configuration message. */
  messageAgeTimer?: number;
  /** Time left in a listening or learning state. */
  forwardDelayTimer?: number;
  /** Time until the next configuration message may be sent. */
  holdTimer?: number;
  /** Whether the MRP ring is open here. */
  mrpRingOpen?: boolean;
  /** Whether the MRP interconnection is open here. */
  mrpInOpen?: boolean;
  /** Hosts tracked for explicit multicast membership. */
  mcastEhtHostsCnt?: number;
  /** Multicast groups joined. */
  mcastNGroups?: number;
}

const B = IFLA_BRPORT;

/** A mask of link-local groups. Some are never forwarded: bit 1 is Ethernet's flow control. */
export function groupMask(field: Field<number>, never: readonly number[]): Field<number> {
  return mapped(field, (value, path) => {
    const bit = Number.isInteger(value) ? never.find((bit) => value & 1 << bit) : undefined;
    if (bit === undefined) return value;
    throw new RangeError(`${path} must not have bit ${bit}: got ${value}`);
  }, (value) => value);
}

/** How a port handles frames. */
export const portState: Field<BridgePortState | number> = named(
  u8(B.STATE, { max: 4 }),
  BRIDGE_PORT_STATES,
);

/** The attribute set of a port. */
export const bridgePortSchema: Schema<BridgePortInfo> = schema<BridgePortInfo>(
  "IFLA_BRPORT_",
  IFLA_BRPORT,
  {
    state: readOnly(portState, "is for BridgePort.set(), and a port that is up"),
    priority: u16(B.PRIORITY, { max: 63 }),
    cost: u32(B.COST, { min: 1, max: 65535 }),
    hairpin: bool(u8(B.MODE)),
    guard: bool(u8(B.GUARD)),
    rootBlock: bool(u8(B.PROTECT)),
    fastLeave: bool(u8(B.FAST_LEAVE)),
    learning: bool(u8(B.LEARNING)),
    flood: bool(u8(B.UNICAST_FLOOD)),
    mcastFlood: bool(u8(B.MCAST_FLOOD)),
    bcastFlood: bool(u8(B.BCAST_FLOOD)),
    mcastToUnicast: bool(u8(B.MCAST_TO_UCAST)),
    mcastRouter: named(u8(B.MULTICAST_ROUTER, { max: 3 }), MULTICAST_ROUTERS),
    proxyArp: bool(u8(B.PROXYARP)),
    proxyArpWifi: bool(u8(B.PROXYARP_WIFI)),
    neighSuppress: bool(u8(B.NEIGH_SUPPRESS)),
    neighVlanSuppress: bool(u8(B.NEIGH_VLAN_SUPPRESS)),
    isolated: bool(u8(B.ISOLATED)),
    locked: bool(u8(B.LOCKED)),
    mab: bool(u8(B.MAB)),
    vlanTunnel: bool(u8(B.VLAN_TUNNEL)),
    groupFwdMask: groupMask(u16(B.GROUP_FWD_MASK), [1]),
    backupPort: u32(B.BACKUP_PORT, { max: 0x7fffffff }),
    backupNhid: u32(B.BACKUP_NHID),
    mcastMaxGroups: u32(B.MCAST_MAX_GROUPS),
    mcastEhtHostsLimit: u32(B.MCAST_EHT_HOSTS_LIMIT),
    fdbFlush: flag(B.FLUSH),
    rootId: bridgeId(B.ROOT_ID),
    bridgeId: bridgeId(B.BRIDGE_ID),
    designatedPort: readOnly(u16(B.DESIGNATED_PORT)),
    designatedCost: readOnly(u16(B.DESIGNATED_COST)),
    id: readOnly(u16(B.ID)),
    no: readOnly(u16(B.NO)),
    topologyChangeAck: readOnly(bool(u8(B.TOPOLOGY_CHANGE_ACK))),
    configPending: readOnly(bool(u8(B.CONFIG_PENDING))),
    messageAgeTimer: readOnly(u64(B.MESSAGE_AGE_TIMER)),
    forwardDelayTimer: readOnly(u64(B.FORWARD_DELAY_TIMER)),
    holdTimer: readOnly(u64(B.HOLD_TIMER)),
    mrpRingOpen: readOnly(bool(u8(B.MRP_RING_OPEN))),
    mrpInOpen: readOnly(bool(u8(B.MRP_IN_OPEN))),
    mcastEhtHostsCnt: readOnly(u32(B.MCAST_EHT_HOSTS_CNT)),
    mcastNGroups: readOnly(u32(B.MCAST_N_GROUPS)),
  },
  // Learning sync is a switch chip's.
  [B.PAD, B.LEARNING_SYNC],
);

/** `struct ifla_bridge_id` as `8000.02:00:00:00:00:01`; read only. */
export function bridgeId(type: number): Field<string> {
  return readOnly(struct<string>(type, 8, () => {}, (view, at) => {
    const priority = view.getUint16(at, false).toString(16).padStart(4, "0");
    return `${priority}.${formatMac(new Uint8Array(view.buffer, view.byteOffset + at + 2, 6))}`;
  }));
}

const OPTIONS: OptionNames<BridgePortOptions> = {
  priority: true,
  cost: true,
  hairpin: true,
  guard: true,
  rootBlock: true,
  fastLeave: true,
  learning: true,
  flood: true,
  mcastFlood: true,
  bcastFlood: true,
  mcastToUnicast: true,
  mcastRouter: true,
  proxyArp: true,
  proxyArpWifi: true,
  neighSuppress: true,
  neighVlanSuppress: true,
  isolated: true,
  locked: true,
  mab: true,
  vlanTunnel: true,
  groupFwdMask: true,
  backupPort: true,
  backupNhid: true,
  mcastMaxGroups: true,
  mcastEhtHostsLimit: true,
  fdbFlush: true,
};

/** Port states that pass no frames (`BR_STATE_DISABLED`, `LISTENING`, `LEARNING`). */
const WAITING_STATES: readonly unknown[] = ["disabled", "listening", "learning"];

/** A port of a bridge. */
export const bridgePort: PortKind<BridgePortOptions, BridgePortInfo> = {
  data: bridgePortSchema,
  options: OPTIONS,
  links: ["backupPort"],
  requires: {
    isolated: { linux: "4.18", probe: true },
    neighVlanSuppress: { linux: "6.4", probe: true },
    locked: { linux: "5.16", probe: true },
    mab: { linux: "6.2", probe: true },
    backupNhid: { linux: "6.6", probe: 1 },
    mcastMaxGroups: { linux: "6.3", probe: 1 },
    mcastFlood: { config: "BRIDGE_IGMP_SNOOPING", probe: false },
    mcastRouter: { config: "BRIDGE_IGMP_SNOOPING", probe: "permanent" },
  },
  notReadBack: ["fdbFlush"],
  tolerates: (option, asked, read) =>
    // Not reported where there is none.
    (option === "backupPort" || option === "backupNhid") && asked === 0 &&
    (read as BridgePortInfo)[option] === undefined,
  commandNames: {
    state: (value) => `state ${BRIDGE_PORT_STATES[value as BridgePortState] ?? value}`,
    fastLeave: "fastleave",
    mcastRouter: (value) => `mcast_router ${MULTICAST_ROUTERS[value as MulticastRouter] ?? value}`,
    backupPort: (index) => index === 0 ? "nobackup_port" : `backup_port if${index}`,
    fdbFlush: (value) => value ? "fdb_flush" : "",
  },
  waitsFor: ({ state }) =>
    WAITING_STATES.includes(state) ? `is a port in state ${state}` : undefined,
};
