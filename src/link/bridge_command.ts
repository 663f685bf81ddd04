/**
 * What iproute2 calls the options of bridges and their ports.
 *
 * @module
 */
import type { CommandNames } from "../rtnetlink/kinds.ts";
import { BRIDGE_PORT_STATES, MULTICAST_ROUTERS } from "./bridge_port_options.ts";

/** A word, and a number even where the option has names. */
function numbered(word: string, names: Readonly<Record<string, number>>) {
  return (value: unknown): string => `${word} ${names[String(value)] ?? value}`;
}

/** A word for a command, which is there or not. */
function alone(word: string) {
  return (value: unknown): string => value ? word : "";
}

/** `ip link set dev br0 type bridge ...` */
export const BRIDGE_COMMAND_NAMES: CommandNames = {
  stp: "stp_state",
  mcastRouter: numbered("mcast_router", MULTICAST_ROUTERS),
  fdbFlush: alone("fdb_flush"),
  boolopts: (value) =>
    Object.entries(value as Record<string, boolean | undefined>)
      .filter(([, on]) => on !== undefined)
      .map(([key, on]) => `${key.replace(/[A-Z]/g, (it) => `_${it.toLowerCase()}`)} ${Number(on)}`)
      .join(" "),
};

/** `ip link set dev tap1 type bridge_slave ...` */
export const BRIDGE_PORT_COMMAND_NAMES: CommandNames = {
  state: numbered("state", BRIDGE_PORT_STATES),
  fastLeave: "fastleave",
  mcastRouter: numbered("mcast_router", MULTICAST_ROUTERS),
  backupPort: (index) => index === 0 ? "nobackup_port" : `backup_port if${index}`,
  fdbFlush: alone("fdb_flush"),
};
