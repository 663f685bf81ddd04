import { assert, assertEquals } from "@std/assert";
import { BR_BOOLOPT, BRIDGE_QUERIER, IFLA_BR } from "../../src/rtnetlink/link_kinds/bridge.ts";
import {
  BRIDGE_PORT_STATES,
  IFLA_BRPORT,
  MULTICAST_ROUTERS,
} from "../../src/rtnetlink/link_kinds/bridge_port.ts";
import { BRIDGE_FLAGS, BRIDGE_VLAN_INFO, IFLA_BRIDGE } from "../../src/rtnetlink/bridge_vlan.ts";
import { includeDirs, readConstants } from "../headers/headers.ts";

/** Names as the headers write them, and the numbers here. */
const TABLES: readonly [prefix: string, table: Readonly<Record<string, number>>][] = [
  ["IFLA_BR_", IFLA_BR],
  ["IFLA_BRPORT_", IFLA_BRPORT],
  ["IFLA_BRIDGE_", IFLA_BRIDGE],
  ["BRIDGE_QUERIER_", BRIDGE_QUERIER],
  ["BRIDGE_FLAGS_", BRIDGE_FLAGS],
  ["BRIDGE_VLAN_INFO_", BRIDGE_VLAN_INFO],
  ["BR_STATE_", BRIDGE_PORT_STATES],
  ["BR_BOOLOPT_", {
    NO_LL_LEARN: BR_BOOLOPT.noLinklocalLearn,
    MCAST_VLAN_SNOOPING: BR_BOOLOPT.mcastVlanSnooping,
    MST_ENABLE: BR_BOOLOPT.mstEnabled,
  }],
  ["MDB_RTR_TYPE_", {
    DISABLED: MULTICAST_ROUTERS.disabled,
    TEMP_QUERY: MULTICAST_ROUTERS.automatic,
    PERM: MULTICAST_ROUTERS.permanent,
    TEMP: MULTICAST_ROUTERS.temporary,
  }],
];

/** What the oldest headers, Linux 6.1's, lack. */
const NEWER = [
  "IFLA_BR_FDB_N_LEARNED",
  "IFLA_BR_FDB_MAX_LEARNED",
  "IFLA_BRPORT_MAB",
  "IFLA_BRPORT_MCAST_N_GROUPS",
  "IFLA_BRPORT_MCAST_MAX_GROUPS",
  "IFLA_BRPORT_NEIGH_VLAN_SUPPRESS",
  "IFLA_BRPORT_BACKUP_NHID",
];

for (const [prefix, table] of TABLES) {
  Deno.test(`${prefix}* has the numbers of the kernel's headers`, () => {
    for (const { arch, dir } of includeDirs()) {
      const headers = readConstants(dir, ["linux/if_link.h", "linux/if_bridge.h"]);
      for (const [key, value] of Object.entries(table)) {
        const name = `${prefix}${key.toUpperCase()}`;
        const known = headers.get(name);
        if (known === undefined) assert(NEWER.includes(name), `${name} on ${arch}`);
        else assertEquals(value, known, `${name} on ${arch}`);
      }
    }
  });
}
