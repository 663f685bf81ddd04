// One row for each option of bridges and of ports: a value that is not the default, and how iproute2
// sets and shows it.
import type { BridgeOptions, BridgePortOptions } from "../../mod.ts";
import type { Json } from "../helpers.ts";

/** A value and the error it must give. */
type Bad = readonly [value: unknown, error: "RangeError" | "TypeError"];

/** An option and its value. */
export interface Row<Options> {
  readonly option: keyof Options & string;
  readonly value: unknown;
  /** What was there before. */
  readonly initial: unknown;
  /** What the option needs beside it. */
  readonly beside?: Options;
  /** iproute2's words to set it; absent where iproute2 6.1 cannot. */
  readonly words?: string;
  /** The key in iproute2's JSON, and the value there. */
  readonly shown?: readonly [key: string, value: unknown];
  readonly bad: readonly Bad[];
}

type Words<Options> = Omit<Row<Options>, "option" | "value" | "initial" | "bad">;

function row<Options>(
  option: keyof Options & string,
  value: unknown,
  initial: unknown,
  words: Words<Options>,
  bad: readonly Bad[],
): Row<Options> {
  return { option, value, initial, ...words, bad };
}

/** Values outside of a range, and what is no number at all. */
function outside(min: number, max: number): Bad[] {
  return [
    [min - 1, "RangeError"],
    [max + 1, "RangeError"],
    [min + 0.5, "TypeError"],
    [NaN, "TypeError"],
    [String(min), "TypeError"],
    [true, "TypeError"],
    [null, "TypeError"],
  ];
}

const U8 = 0xff;
const U16 = 0xffff;
const U32 = 0xffffffff;

const notBoolean: readonly Bad[] = [[1, "TypeError"], ["on", "TypeError"], [null, "TypeError"]];
const notNamed: readonly Bad[] = [["nonsense", "TypeError"], [null, "TypeError"]];

type Bridge = Row<BridgeOptions>;
const bridgeRow = row<BridgeOptions>;

function bridgeNumber(
  option: keyof BridgeOptions & string,
  [value, initial]: readonly [number, number],
  [min, max]: readonly [number, number],
  word: string,
  key = word,
): Bridge {
  const words = { words: `${word} ${value}`, shown: [key, value] } as const;
  return bridgeRow(option, value, initial, words, outside(min, max));
}

function bridgeSwitch(
  option: keyof BridgeOptions & string,
  word: string,
  initial = false,
  beside: BridgeOptions = {},
): Bridge {
  const number = initial ? 0 : 1;
  const words = { words: `${word} ${number}`, shown: [word, number], beside } as const;
  return bridgeRow(option, !initial, initial, words, notBoolean);
}

/** All options of a bridge but the command `fdbFlush`. */
export const BRIDGE_ROWS: readonly Bridge[] = [
  bridgeNumber("forwardDelay", [400, 1500], [0, 3000], "forward_delay"),
  bridgeNumber("helloTime", [300, 200], [100, 1000], "hello_time"),
  bridgeNumber("maxAge", [1200, 2000], [600, 4000], "max_age"),
  bridgeNumber("ageingTime", [12300, 30000], [0, 100_000_000], "ageing_time"),
  bridgeSwitch("stp", "stp_state"),
  bridgeNumber("priority", [4096, 32768], [0, U16], "priority"),
  bridgeSwitch("vlanFiltering", "vlan_filtering"),
  bridgeRow("vlanProtocol", "802.1ad", "802.1Q", {
    words: "vlan_protocol 802.1ad",
    shown: ["vlan_protocol", "802.1ad"],
  }, [...notNamed, [U16 + 1, "RangeError"]]),
  bridgeNumber("vlanDefaultPvid", [7, 1], [0, 4094], "vlan_default_pvid"),
  bridgeSwitch("vlanStatsEnabled", "vlan_stats_enabled"),
  bridgeSwitch("vlanStatsPerPort", "vlan_stats_per_port"),
  bridgeRow("groupFwdMask", 0x4000, 0, {
    words: "group_fwd_mask 0x4000",
    shown: ["group_fwd_mask", "0x4000"],
  }, [...outside(0, U16), [1, "RangeError"], [2, "RangeError"], [4, "RangeError"]]),
  bridgeRow("groupAddress", "01:80:c2:00:00:0e", "01:80:c2:00:00:00", {
    words: "group_address 01:80:c2:00:00:0e",
    shown: ["group_addr", "01:80:c2:00:00:0e"],
  }, [
    ["01:80:c2:00:00:01", "RangeError"],
    ["01:80:c2:00:00:10", "RangeError"],
    ["02:00:00:00:00:01", "RangeError"],
    ["nonsense", "TypeError"],
    [null, "TypeError"],
  ]),
  bridgeRow("mcastRouter", "permanent", "automatic", {
    words: "mcast_router 2",
    shown: ["mcast_router", 2],
  }, [...notNamed, ["temporary", "TypeError"], [3, "RangeError"]]),
  bridgeSwitch("mcastSnooping", "mcast_snooping", true),
  bridgeSwitch("mcastQueryUseIfaddr", "mcast_query_use_ifaddr"),
  bridgeSwitch("mcastQuerier", "mcast_querier"),
  bridgeNumber("mcastHashMax", [512, 4096], [1, U32], "mcast_hash_max"),
  bridgeNumber(
    "mcastLastMemberCount",
    [5, 2],
    [0, U32],
    "mcast_last_member_count",
    "mcast_last_member_cnt",
  ),
  bridgeNumber(
    "mcastStartupQueryCount",
    [6, 2],
    [0, U32],
    "mcast_startup_query_count",
    "mcast_startup_query_cnt",
  ),
  bridgeNumber(
    "mcastLastMemberInterval",
    [200, 100],
    [0, U32],
    "mcast_last_member_interval",
    "mcast_last_member_intvl",
  ),
  bridgeNumber(
    "mcastMembershipInterval",
    [20000, 26000],
    [0, U32],
    "mcast_membership_interval",
    "mcast_membership_intvl",
  ),
  bridgeNumber(
    "mcastQuerierInterval",
    [20400, 25500],
    [0, U32],
    "mcast_querier_interval",
    "mcast_querier_intvl",
  ),
  bridgeNumber(
    "mcastQueryInterval",
    [11000, 12500],
    [100, 8_640_000],
    "mcast_query_interval",
    "mcast_query_intvl",
  ),
  bridgeNumber(
    "mcastQueryResponseInterval",
    [800, 1000],
    [0, U32],
    "mcast_query_response_interval",
    "mcast_query_response_intvl",
  ),
  bridgeNumber(
    "mcastStartupQueryInterval",
    [2000, 3124],
    [100, 8_640_000],
    "mcast_startup_query_interval",
    "mcast_startup_query_intvl",
  ),
  bridgeSwitch("mcastStatsEnabled", "mcast_stats_enabled"),
  bridgeNumber("mcastIgmpVersion", [3, 2], [2, 3], "mcast_igmp_version"),
  bridgeNumber("mcastMldVersion", [2, 1], [1, 2], "mcast_mld_version"),
  bridgeSwitch("nfCallIptables", "nf_call_iptables"),
  bridgeSwitch("nfCallIp6tables", "nf_call_ip6tables"),
  bridgeSwitch("nfCallArptables", "nf_call_arptables"),
  bridgeSwitch("noLinklocalLearn", "no_linklocal_learn"),
  bridgeSwitch("mcastVlanSnooping", "mcast_vlan_snooping", false, { vlanFiltering: true }),
  // Not known to iproute2 6.1.
  bridgeRow("mstEnabled", true, false, { beside: { vlanDefaultPvid: 0 } }, notBoolean),
  bridgeRow("fdbMaxLearned", 77, 0, {}, outside(0, U32)),
];

type Port = Row<BridgePortOptions>;
const portRow = row<BridgePortOptions>;

function portSwitch(
  option: keyof BridgePortOptions & string,
  word: string,
  initial = false,
): Port {
  const words = { words: `${word} ${initial ? "off" : "on"}`, shown: [word, !initial] } as const;
  return portRow(option, !initial, initial, words, notBoolean);
}

/** Index of the port that {@link PORT_ROWS} names as `backupPort`. */
export const BACKUP_PORT = 20;

/** All options of a port but the command `fdbFlush`. */
export const PORT_ROWS: readonly Port[] = [
  portRow("priority", 17, 32, { words: "priority 17", shown: ["priority", 17] }, outside(0, 63)),
  portRow("cost", 123, 2, { words: "cost 123", shown: ["cost", 123] }, outside(1, U16)),
  portSwitch("hairpin", "hairpin"),
  portSwitch("guard", "guard"),
  portSwitch("rootBlock", "root_block"),
  portSwitch("fastLeave", "fastleave"),
  portSwitch("learning", "learning", true),
  portSwitch("flood", "flood", true),
  portSwitch("mcastFlood", "mcast_flood", true),
  portSwitch("bcastFlood", "bcast_flood", true),
  portSwitch("mcastToUnicast", "mcast_to_unicast"),
  portRow("mcastRouter", "permanent", "automatic", {
    words: "mcast_router 2",
    shown: ["multicast_router", 2],
  }, [...notNamed, [4, "RangeError"], [U8 + 1, "RangeError"]]),
  portSwitch("proxyArp", "proxy_arp"),
  portSwitch("proxyArpWifi", "proxy_arp_wifi"),
  portSwitch("neighSuppress", "neigh_suppress"),
  portSwitch("isolated", "isolated"),
  portSwitch("locked", "locked"),
  portSwitch("vlanTunnel", "vlan_tunnel"),
  portRow("groupFwdMask", 0x4001, 0, {
    words: "group_fwd_mask 0x4001",
    shown: ["group_fwd_mask", "0x4001"],
  }, [...outside(0, U16), [2, "RangeError"]]),
  portRow("backupPort", BACKUP_PORT, undefined, {
    words: "backup_port backup",
    shown: ["backup_port", "backup"],
  }, [
    [-1, "RangeError"],
    [0x80000000, "RangeError"],
    [1.5, "TypeError"],
    [null, "TypeError"],
  ]),
  // Not known to iproute2 6.1.
  portRow("backupNhid", 5, undefined, { beside: { backupPort: BACKUP_PORT } }, outside(0, U32)),
  portRow("neighVlanSuppress", true, false, {}, notBoolean),
  portRow("mab", true, false, { beside: { locked: true } }, notBoolean),
  portRow("mcastMaxGroups", 9, 0, {}, outside(0, U32)),
  portRow("mcastEhtHostsLimit", 99, 512, {}, outside(0, U32)),
];

/** A dump without what changes by itself. */
export function lasting(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(lasting);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value as Json)
      .filter(([key]) => !key.endsWith("_timer"))
      .map(([key, value]) => [key, lasting(value)]),
  );
}

/** Resolves when `condition` holds: bridges do not report all that happens to them. */
export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`Not within 20 s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
