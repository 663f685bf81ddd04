/**
 * The state of a node in the kernel: the tables that a lab compares its topology with.
 *
 * @module
 */
import { SyscallError } from "../../ffi/errno.ts";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import type { DumpRequest } from "../netlink/message.ts";
import { sysctl } from "../netns/sysctl.ts";
import { type AddressInfo, dumpAddresses } from "../rtnetlink/address.ts";
import { type BridgeVlan, dumpBridgeVlans } from "../rtnetlink/bridge_vlan.ts";
import { dumpLinks, type LinkMessage, readLinkMessage } from "../rtnetlink/link.ts";
import { dumpRoutes } from "../rtnetlink/route.ts";
import type { RouteInfo } from "../rtnetlink/route_message.ts";
import { dumpRules, type RuleMessage } from "../rtnetlink/rule.ts";

/** What a namespace has. */
export interface Living {
  /** Its links as the wire has them, by name. */
  readonly links: ReadonlyMap<string, LinkMessage>;
  /** The addresses of each link, by the link's index. */
  readonly addresses: ReadonlyMap<number, readonly AddressInfo[]>;
  /** Its routes, without those of the table `local`. */
  readonly routes: readonly RouteInfo[];
  /** Its policy rules. */
  readonly rules: readonly RuleMessage[];
  /** The VLANs of each port, by the port's index. */
  readonly vlans: ReadonlyMap<number, readonly BridgeVlan[]>;
  /** Reads a setting; `undefined` when the namespace has no such setting. */
  sysctl(name: string): string | undefined;
}

/** The tables to read beside links and addresses. */
export interface LivingTables {
  /** Routes. */
  readonly routes: boolean;
  /** Policy rules. */
  readonly rules: boolean;
  /** VLANs of ports. */
  readonly vlans: boolean;
}

/** Reads the state of a namespace: one dump of each table. */
export function readLiving(ref: NetNsRef, tables: LivingTables): Living {
  const connection = connectionTo(ref);
  const { filter: _, fallback: __, ...request } = dumpLinks({ stats: false });
  const links: DumpRequest<LinkMessage> = { ...request, reply: readLinkMessage };
  return {
    links: new Map(connection.dump(links).map((link) => [link.name!, link])),
    addresses: Map.groupBy(connection.dump(dumpAddresses()), ({ index }) => index),
    routes: tables.routes
      ? connection.dump(dumpRoutes()).filter(({ table }) => table !== "local")
      : [],
    rules: tables.rules
      ? (["inet", "inet6"] as const).flatMap((family) => connection.dump(dumpRules(family)))
      : [],
    vlans: new Map(
      tables.vlans
        ? connection.dump(dumpBridgeVlans()).map(({ index, vlans }) => [index, vlans])
        : [],
    ),
    sysctl: (name) => {
      try {
        return sysctl(ref, name);
      } catch (error) {
        if (error instanceof SyscallError && error.code === "ENOENT") return undefined;
        throw error;
      }
    },
  };
}
