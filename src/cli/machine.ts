/**
 * The tables of a namespace.
 *
 * @module
 */
import type { NetNs } from "../netns/netns.ts";
import { Bridge } from "../link/bridge.ts";
import { Link } from "../link/link.ts";
import type { LinkInfo } from "../rtnetlink/link_info.ts";
import type { RouteInfo } from "../rtnetlink/route_message.ts";
import { netnsOf } from "./namespace.ts";
import type { Row } from "./out.ts";
import { type Call, word } from "./verb.ts";

/** The names of links by their indexes. */
function namesOf(netns: NetNs): (index: number | undefined) => string | undefined {
  const names = new Map(netns.links.list({ stats: false }).map((link) => [link.index, link.name]));
  return (index) => index === undefined ? undefined : names.get(index) ?? `link ${index}`;
}

/** The kernel's name of the kind of a link. */
const kindOf = (link: LinkInfo): string | undefined =>
  link.kind === "unknown" ? link.kernelKind : link.kind;

/** `netloom links`. */
export function links(call: Call): void {
  using netns = netnsOf(call);
  const kind = word(call, "kind");
  const found = netns.links.list(kind === undefined ? {} : { kind });
  const name = namesOf(netns);
  const addresses = Map.groupBy(netns.addresses.list(), ({ index }) => index);
  call.out.result(
    found,
    found.map((link): Row => ({
      INDEX: link.index,
      NAME: link.name,
      KIND: kindOf(link),
      STATE: link.up ? link.carrier === false ? "no carrier" : "up" : "down",
      MTU: link.mtu,
      MAC: link.mac,
      MASTER: name(link.master),
      PARENT: link.linkNetnsId === undefined ? name(link.parent) : undefined,
      ADDRESSES: (addresses.get(link.index) ?? []).map(({ address }) => address),
    })),
  );
}

/** `netloom addresses`. */
export function addresses(call: Call): void {
  using netns = netnsOf(call);
  const dev = word(call, "dev");
  const found = netns.addresses.list(dev === undefined ? {} : { dev });
  const name = namesOf(netns);
  call.out.result(
    found,
    found.map((address): Row => ({
      LINK: name(address.index),
      ADDRESS: address.address,
      PEER: address.peer,
      SCOPE: String(address.scope),
      FLAGS: address.flags,
    })),
  );
}

/** `netloom routes`. */
export function routes(call: Call): void {
  using netns = netnsOf(call);
  const table = word(call, "table");
  const found = netns.routes.list({
    table: (table !== undefined && /^\d+$/.test(table) ? Number(table) : table ?? "main") as never,
  });
  const name = namesOf(netns);
  const via = (route: RouteInfo): string[] =>
    (route.nexthops ?? []).map(({ gateway, oif }) => `${gateway ?? ""}%${name(oif) ?? ""}`);
  call.out.result(
    found,
    found.map((route): Row => ({
      DESTINATION: route.destination,
      TYPE: route.type === "unicast" ? undefined : String(route.type),
      GATEWAY: route.gateway ?? via(route),
      LINK: name(route.oif),
      METRIC: route.metric,
      PREFSRC: route.prefsrc,
      PROTOCOL: String(route.protocol),
      SCOPE: String(route.scope),
    })),
  );
}

/** `netloom neighbors`. */
export function neighbors(call: Call): void {
  using netns = netnsOf(call);
  const found = netns.neighbors.list();
  const name = namesOf(netns);
  call.out.result(
    found,
    found.map((neighbor): Row => ({
      LINK: name(neighbor.index),
      ADDRESS: neighbor.address,
      MAC: neighbor.lladdr,
      STATE: String(neighbor.state),
      FLAGS: neighbor.flags,
    })),
  );
}

/** `netloom qdiscs`. */
export function qdiscs(call: Call): void {
  using netns = netnsOf(call);
  const found = netns.links.list({ stats: false }).flatMap(({ name }) =>
    Link.get(name, { netns }).qdiscs.list().map((qdisc) => ({ link: name, ...qdisc }))
  );
  call.out.result(
    found,
    found.map((qdisc): Row => ({
      LINK: qdisc.link,
      KIND: qdisc.kind === "unknown" ? qdisc.kernelKind : qdisc.kind,
      HANDLE: qdisc.handle,
      PARENT: String(qdisc.parent),
      PACKETS: qdisc.stats.packets,
      BYTES: qdisc.stats.bytes,
      DROPS: qdisc.stats.drops,
      BACKLOG: qdisc.stats.backlog,
    })),
  );
}

/** `netloom bridge fdb` and `netloom bridge vlan`. */
export function bridge(call: Call): void {
  using netns = netnsOf(call);
  const bridges = netns.links.list({ kind: "bridge", stats: false })
    .map(({ name }) => Bridge.get(name, { netns }));
  const name = namesOf(netns);
  if (call.args[0] === "fdb") {
    const found = bridges.flatMap((bridge) =>
      bridge.fdb.list().map((entry) => ({ bridge: bridge.name, ...entry }))
    );
    call.out.result(
      found,
      found.map((entry): Row => ({
        BRIDGE: entry.bridge,
        PORT: name(entry.index),
        MAC: entry.mac,
        VLAN: entry.vlan,
        STATE: String(entry.state),
        FLAGS: entry.flags,
      })),
    );
    return;
  }
  const found = bridges.flatMap((bridge) =>
    netns.links.list({ master: bridge.name, stats: false }).flatMap((port) =>
      bridge.port(port.name).vlans.list().map((vlan) => ({
        bridge: bridge.name,
        port: port.name,
        ...vlan,
      }))
    )
  );
  call.out.result(
    found,
    found.map((vlan): Row => ({
      BRIDGE: vlan.bridge,
      PORT: vlan.port,
      VLAN: vlan.vid,
      PVID: vlan.pvid,
      UNTAGGED: vlan.untagged,
    })),
  );
}
