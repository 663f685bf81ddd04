/**
 * The state of a node in the kernel: the tables that a lab compares its topology with.
 *
 * @module
 */
import { SyscallError } from "../../ffi/errno.ts";
import { type NetNsRef, within } from "../../ffi/namespace.ts";
import { forEachAttribute } from "../netlink/attribute.ts";
import type { Source } from "../netlink/bytes.ts";
import { connectionTo } from "../netlink/connections.ts";
import type { DumpRequest } from "../netlink/message.ts";
import { sysctl } from "../netns/sysctl.ts";
import { type AddressInfo, dumpAddresses } from "../rtnetlink/address.ts";
import { type BridgeVlan, dumpBridgeVlans } from "../rtnetlink/bridge_vlan.ts";
import { AF } from "../rtnetlink/constants.ts";
import { dumpLinks, type LinkMessage, readLinkMessage } from "../rtnetlink/link.ts";
import { IFLA, IFLA_INET6 } from "../rtnetlink/link_attributes.ts";
import { dumpRoutes } from "../rtnetlink/route.ts";
import type { RouteInfo } from "../rtnetlink/route_message.ts";
import { dumpPolicyRules, type PolicyRuleInfo } from "../rtnetlink/rule.ts";

/** What a namespace has. */
export interface Living {
  /** Its links as the wire has them, by name. */
  readonly links: ReadonlyMap<string, LinkMessage>;
  /** The addresses of each link, by the link's index. */
  readonly addresses: ReadonlyMap<number, readonly AddressInfo[]>;
  /** Its routes, without those of the table `local`. */
  readonly routes: readonly RouteInfo[];
  /** Its policy rules. */
  readonly rules: readonly PolicyRuleInfo[];
  /** The VLANs of each port, by the port's index. */
  readonly vlans: ReadonlyMap<number, readonly BridgeVlan[]>;
  /** Reads a setting; `undefined` when the namespace has no such setting. */
  sysctl(name: string): string | undefined;
}

/** What to read beside links and addresses. */
export interface LivingTables {
  /** Routes. */
  readonly routes: boolean;
  /** Policy rules. */
  readonly rules: boolean;
  /** VLANs of ports. */
  readonly vlans: boolean;
  /** Names of settings; others are read when they are asked for. */
  readonly settings?: ReadonlySet<string> | undefined;
}

/** Reads the state of a namespace: one dump of each table, and the thread enters it once. */
export function readLiving(ref: NetNsRef, tables: LivingTables): Living {
  return within(ref, () => {
    const connection = connectionTo(ref);
    const settings = new Map<string, string | undefined>();
    const { filter: _, fallback: __, ...request } = dumpLinks({ stats: false });
    const links: DumpRequest<LinkMessage> = {
      ...request,
      reply: (source, start, end) => {
        const link = readLinkMessage(source, start, end);
        readIpv6Settings(source, { start: start + LINK_HEADER, end, name: link.name! }, settings);
        return link;
      },
    };
    const read = (name: string) => {
      if (!settings.has(name)) settings.set(name, settingOf(ref, name));
      return settings.get(name);
    };
    const living: Living = {
      links: new Map(connection.dump(links).map((link) => [link.name!, link])),
      addresses: Map.groupBy(connection.dump(dumpAddresses()), ({ index }) => index),
      routes: tables.routes
        ? connection.dump(dumpRoutes()).filter(({ table }) => table !== "local")
        : [],
      rules: tables.rules ? connection.dump(dumpPolicyRules()) : [],
      vlans: new Map(
        tables.vlans
          ? connection.dump(dumpBridgeVlans()).map(({ index, vlans }) => [index, vlans])
          : [],
      ),
      sysctl: read,
    };
    tables.settings?.forEach(read);
    return living;
  });
}

/** Bytes of `struct ifinfomsg`. */
const LINK_HEADER = 16;

/** Places of settings in IFLA_INET6_CONF: DEVCONF_* of linux/ipv6.h. */
const IPV6_SETTINGS = [["disable_ipv6", 26], ["accept_dad", 27]] as const;

/** Reads the IPv6 settings that come with a link, which saves two files for each. */
function readIpv6Settings(
  source: Source,
  { start, end, name }: { readonly start: number; readonly end: number; readonly name: string },
  settings: Map<string, string | undefined>,
): void {
  const path = [IFLA.AF_SPEC, AF.INET6, IFLA_INET6.CONF];
  const descend = (start: number, end: number, depth: number): void =>
    forEachAttribute(source, start, end, (type, at, length) => {
      if (type !== path[depth]) return;
      if (depth + 1 < path.length) return descend(at, at + length, depth + 1);
      const link = name.replaceAll(".", "/");
      for (const [setting, place] of IPV6_SETTINGS) {
        if (4 * place + 4 > length) continue;
        const value = source.view.getInt32(at + 4 * place, true);
        settings.set(`net.ipv6.conf.${link}.${setting}`, `${value}`);
      }
    });
  descend(start, end, 0);
}

function settingOf(ref: NetNsRef, name: string): string | undefined {
  try {
    return sysctl(ref, name);
  } catch (error) {
    if (error instanceof SyscallError && error.code === "ENOENT") return undefined;
    throw error;
  }
}
