/**
 * What a bridge reports beyond its options.
 *
 * @module
 */
import { bool, u16, u32, u64, u8 } from "../netlink/attribute.ts";
import { type Fields, nested, schema } from "../netlink/schema.ts";
import { ip, readOnly } from "../rtnetlink/fields.ts";
import { BRIDGE_QUERIER, IFLA_BR } from "./bridge_attributes.ts";
import { bridgeId } from "./bridge_id.ts";

/** Who asks for multicast members, as the bridge sees it. */
export interface BridgeQuerierState {
  /** IPv4 querier. */
  ip?: string;
  /** Its port's index; absent when it is the bridge. */
  ipPort?: number;
  /** Time until it counts as gone. */
  ipOtherTimer?: number;
  /** IPv6 querier. */
  ipv6?: string;
  /** Its port's index; absent when it is the bridge. */
  ipv6Port?: number;
  /** Time until it counts as gone. */
  ipv6OtherTimer?: number;
}

/** What the kernel reports of a bridge beyond its options. */
export interface BridgeStatus {
  /** The spanning tree's root: `8000.02:00:00:00:00:01`. */
  rootId?: string;
  /** This bridge. */
  bridgeId?: string;
  /** Number of the port towards the root; 0 on the root itself. */
  rootPort?: number;
  /** Cost of the path to the root. */
  rootPathCost?: number;
  /** Whether the topology is changing. */
  topologyChange?: boolean;
  /** Whether this bridge has seen it change. */
  topologyChangeDetected?: boolean;
  /** Time until the next spanning tree message. */
  helloTimer?: number;
  /** Time until the next topology change notification. */
  tcnTimer?: number;
  /** Time until the change counts as over. */
  topologyChangeTimer?: number;
  /** Time until old addresses are looked for. */
  gcTimer?: number;
  /** Learned addresses. Linux 6.7. */
  fdbNLearned?: number;
  /** Always 16: it has no meaning since Linux 4.20. */
  mcastHashElasticity?: number;
  /** Who asks for multicast members. Linux 5.16. */
  mcastQuerierState?: BridgeQuerierState;
}

const querierSchema = schema<BridgeQuerierState>("BRIDGE_QUERIER_", BRIDGE_QUERIER, {
  ip: ip(BRIDGE_QUERIER.IP_ADDRESS),
  ipPort: u32(BRIDGE_QUERIER.IP_PORT),
  ipOtherTimer: u64(BRIDGE_QUERIER.IP_OTHER_TIMER),
  ipv6: ip(BRIDGE_QUERIER.IPV6_ADDRESS),
  ipv6Port: u32(BRIDGE_QUERIER.IPV6_PORT),
  ipv6OtherTimer: u64(BRIDGE_QUERIER.IPV6_OTHER_TIMER),
}, [BRIDGE_QUERIER.PAD]);

const B = IFLA_BR;

/** Their codecs. */
export const bridgeStatusFields: Fields<BridgeStatus> = {
  rootId: bridgeId(B.ROOT_ID),
  bridgeId: bridgeId(B.BRIDGE_ID),
  rootPort: readOnly(u16(B.ROOT_PORT)),
  rootPathCost: readOnly(u32(B.ROOT_PATH_COST)),
  topologyChange: readOnly(bool(u8(B.TOPOLOGY_CHANGE))),
  topologyChangeDetected: readOnly(bool(u8(B.TOPOLOGY_CHANGE_DETECTED))),
  helloTimer: readOnly(u64(B.HELLO_TIMER)),
  tcnTimer: readOnly(u64(B.TCN_TIMER)),
  topologyChangeTimer: readOnly(u64(B.TOPOLOGY_CHANGE_TIMER)),
  gcTimer: readOnly(u64(B.GC_TIMER)),
  fdbNLearned: readOnly(u32(B.FDB_N_LEARNED)),
  mcastHashElasticity: readOnly(u32(B.MCAST_HASH_ELASTICITY)),
  mcastQuerierState: readOnly(nested(B.MCAST_QUERIER_STATE, querierSchema)),
};
