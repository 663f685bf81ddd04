// Entries of a table that are larger than a page, than the receive buffer, and than any message.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Bridge, Macvlan, NetNs } from "../../mod.ts";
import { Connection } from "../../src/netlink/connection.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { NETLINK } from "../../src/netlink/message.ts";
import { NetlinkError } from "../../src/netlink/error.ts";
import { KernelSocket } from "../../src/netlink/socket.ts";
import { dumpAddresses, dumpLinks, dumpRoutes } from "../../src/rtnetlink/mod.ts";
import { test } from "../leaks.ts";
import { withoutKind } from "../link/oracle.ts";

/** A connection that has received nothing yet. */
function fresh(netns: NetNs): Connection {
  return new Connection(() => new KernelSocket(netns.ref, NETLINK.ROUTE), netns.ref);
}

test("The first dump of a connection has a route of 300 next hops", () => {
  using netns = NetNs.create();
  const { index } = Bridge.create({ name: "b0", netns, up: true, addresses: ["10.0.0.1/16"] });
  const nexthops = Array.from({ length: 300 }, (_, i) => ({
    gateway: `10.0.${1 + (i >> 8)}.${i & 255}`,
    dev: index,
  }));
  netns.routes.add({ destination: "10.1.0.0/16", nexthops });
  using connection = fresh(netns);
  const routes = connection.dump(dumpRoutes({ table: 254 }));
  const route = routes.find(({ destination }) => destination === "10.1.0.0/16");
  const gateways = route?.nexthops?.map(({ gateway }) => gateway);
  // iproute2 is no oracle: "ip route show" of 6.1 leaves it out.
  assertEquals(gateways, nexthops.map(({ gateway }) => gateway));
});

test("A link of more than 32 kB is made, read and listed whole", {
  lacks: withoutKind("macvlan"),
}, () => {
  using netns = NetNs.create();
  const parent = Bridge.create({ name: "b0", netns });
  const macs = Array.from({ length: 3000 }, (_, i) => {
    const digits = i.toString(16).padStart(4, "0");
    return `02:00:00:00:${digits.slice(0, 2)}:${digits.slice(2)}`;
  });
  const macvlan = Macvlan.create({ name: "m0", netns, parent, mode: "source", macs });
  assertEquals(macvlan.options().macs, macs);
  using connection = fresh(netns);
  const request = dumpLinks();
  const links = connection.dump({ ...request, message: { ...request.message, extMask: 1 } });
  assertEquals(links.map(({ name }) => name), ["lo", "b0", "m0"]);
  assertEquals((links.at(-1) as { options?: { macs?: string[] } }).options?.macs, macs);
});

/** A namespace with an IPv6 route that does not fit into a message. */
function withLargeRoute(): NetNs {
  const netns = NetNs.create();
  const { index } = Bridge.create({ name: "b0", netns, up: true, addresses: ["fd00::1/64"] });
  const nexthops = Array.from({ length: 1300 }, (_, i) => ({
    gateway: `fd00::${(i + 2).toString(16)}`,
    dev: index,
  }));
  netns.routes.add({ destination: "fd01::/64", nexthops });
  return netns;
}

/** Linux 6.1 reports no error. */
function withoutError(): string | undefined {
  using netns = withLargeRoute();
  using connection = fresh(netns);
  try {
    connection.dump(dumpRoutes({ table: 254 }));
    return "this kernel silently leaves out a route that does not fit into a message";
  } catch (error) {
    assert(error instanceof NetlinkError && error.code === "EMSGSIZE", String(error));
    return undefined;
  }
}

test("A route that does not fit into a message is an error of list(), and what follows works", {
  lacks: withoutError(),
}, () => {
  using netns = withLargeRoute();
  using connection = fresh(netns);
  for (let i = 0; i < 2; i++) {
    const error = assertThrows(() => connection.dump(dumpRoutes({ table: 254 })), NetlinkError);
    assertEquals(error.code, "EMSGSIZE");
    assert(connection.dump(dumpAddresses()).some(({ address }) => address === "fd00::1/64"));
  }
  for (const filter of [{}, { family: "inet6" }, { table: "main", family: "inet6" }] as const) {
    assertThrows(() => netns.routes.list(filter), NetlinkError, "does not fit");
  }
  assertEquals(connectionTo(netns.ref).dump(dumpLinks()).length, 2);
});

test("A route over 2,600 next hops is an error of list(), also for its family alone", () => {
  using netns = NetNs.create();
  Bridge.create({ name: "b0", netns, up: true, addresses: ["10.0.0.1/16"] });
  const nexthops = Array.from({ length: 2600 }, (_, i) => ({
    gateway: `10.0.${1 + (i >> 8)}.${i & 255}`,
    dev: "b0",
  }));
  netns.routes.add({ destination: "10.1.0.0/16", nexthops });
  for (const filter of [{}, { family: "inet" }] as const) {
    const error = assertThrows(() => netns.routes.list(filter), NetlinkError);
    assertEquals(error.code, "EMSGSIZE");
  }
});
