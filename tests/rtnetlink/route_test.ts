import { assert, assertEquals, assertThrows } from "@std/assert";
import { NetlinkError } from "../../src/netlink/error.ts";
import {
  deleteRoute,
  dumpRoutes,
  getRoute,
  newRoute,
  type RouteFilter,
  type RouteInfo,
} from "../../src/rtnetlink/mod.ts";
import { ip, type Json, run, sysctl } from "../helpers.ts";
import { needing } from "../leaks.ts";
import { CASES, PLAIN } from "./routes.ts";
import { lacking, Testbed, V0, V1 } from "./testbed.ts";

const ADDRESSES = [
  "ip addr add 192.0.2.1/24 dev v0",
  "ip addr add 2001:db8::1/64 dev v0 nodad",
];

/** What `ip` shows of the routes that are not the kernel's own. */
function shown({ netns }: Testbed): Json[] {
  const all = ["-4", "-6"].flatMap((family) => ip(netns, `${family} -d -j route show table all`));
  const seen = new Set<string>();
  return all.filter((route) => {
    const text = JSON.stringify(route);
    // Asked for one family, `ip` may show the other one too.
    return route.protocol !== "kernel" && !seen.has(text) && seen.add(text);
  });
}

function ours({ connection }: Testbed): RouteInfo[] {
  return connection.dump(dumpRoutes()).filter(({ protocol }) => protocol !== "kernel");
}

for (const [name, message, words, expected, info, setup = []] of CASES) {
  Deno.test({
    ...needing(
      { lacks: setup.length > 0 ? lacking(...ADDRESSES, ...setup) : undefined },
      `A route set here or by ip is the same in the kernel: ${name}`,
    ),
    fn: () => {
      const request = newRoute(message);
      using testbed = new Testbed(...ADDRESSES, ...setup);
      const before = shown(testbed);
      const added = () => shown(testbed).filter((it) => !before.some((old) => same(old, it)));
      const clean = () => {
        const [route] = ours(testbed).filter(({ table }) => table !== 9);
        testbed.connection.request(deleteRoute(route!));
        assertEquals(added(), []);
      };

      testbed.connection.request(request);
      const [byUs, ...more] = added();
      assertEquals(more, []);
      assertMatch(byUs!, expected);
      assertMatch(ours(testbed).find(({ table }) => table !== 9) as unknown as Json, info as Json);
      clean();
      for (
        const line of [
          `ip ${request.command().startsWith("ip -6") ? "-6 " : ""}route add ${words}`,
          // It has no words for an encapsulation that is given as bytes.
          ...(message.encap ? [] : [request.command()]),
        ]
      ) {
        run(testbed.netns, line);
        const { expires: _1, ...theirs } = added()[0]!;
        const { expires: _2, ...mine } = byUs!;
        assertEquals(theirs, mine);
        assertMatch(
          ours(testbed).find(({ table }) => table !== 9) as unknown as Json,
          info as Json,
        );
        clean();
      }
    },
  });
}

function same(a: Json, b: Json): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** As `assertObjectMatch`, with arrays equal in full. */
function assertMatch(actual: Json, expected: Json): void {
  for (const [key, value] of Object.entries(expected)) assertEquals(actual[key], value, key);
}

Deno.test("newRoute() refuses what is there already, unless it is to replace it or to follow it", () => {
  using testbed = new Testbed(...ADDRESSES);
  const { connection } = testbed;
  const route = (gateway: string) => ({ destination: "10.0.0.0/8", gateway });
  const gateways = () => ours(testbed).map(({ gateway }) => gateway);
  connection.request(newRoute(route("192.0.2.2")));
  assertThrows(
    () => connection.request(newRoute(route("192.0.2.3"))),
    NetlinkError,
    "add route 10.0.0.0/8 via 192.0.2.3 in test netns: File exists (EEXIST)",
  );
  connection.request(newRoute(route("192.0.2.4"), { append: true }));
  assertEquals(gateways(), ["192.0.2.2", "192.0.2.4"]);
  connection.request(newRoute(route("192.0.2.5"), { replace: true }));
  assertEquals(gateways(), ["192.0.2.5", "192.0.2.4"]);
});

Deno.test("The commands for replacing and appending do what the requests do", () => {
  using testbed = new Testbed(...ADDRESSES);
  const route = { destination: "10.0.0.0/8", gateway: "192.0.2.2" };
  run(testbed.netns, newRoute(route).command());
  run(testbed.netns, newRoute({ ...route, gateway: "192.0.2.3" }, { append: true }).command());
  run(testbed.netns, newRoute({ ...route, gateway: "192.0.2.4" }, { replace: true }).command());
  assertEquals(ours(testbed).map(({ gateway }) => gateway), ["192.0.2.4", "192.0.2.3"]);
  run(testbed.netns, deleteRoute({ ...route, gateway: "192.0.2.3" }).command());
  assertEquals(ours(testbed).map(({ gateway }) => gateway), ["192.0.2.4"]);
});

Deno.test("deleteRoute() takes the first route that matches what it is given", () => {
  using testbed = new Testbed(
    ...ADDRESSES,
    "ip route add 10.0.0.0/8 via 192.0.2.2 metric 1",
    "ip route add 10.0.0.0/8 via 192.0.2.3 metric 2",
    "ip route add 10.0.0.0/8 via 192.0.2.3 metric 3 proto static",
    "ip route add 10.0.0.0/8 via 192.0.2.2 metric 4 table 77",
  );
  const { connection } = testbed;
  const left = () => ours(testbed).map(({ metric }) => metric).sort();
  connection.request(deleteRoute({ destination: "10.0.0.0/8", protocol: "static" }));
  assertEquals(left(), [1, 2, 4]);
  connection.request(deleteRoute({ destination: "10.0.0.0/8", gateway: "192.0.2.3" }));
  assertEquals(left(), [1, 4]);
  connection.request(deleteRoute({ destination: "10.0.0.0/8", table: 77 }));
  assertEquals(left(), [1]);
  connection.request(deleteRoute({ destination: "10.0.0.0/8" }));
  const none = deleteRoute({ destination: "10.0.0.0/8" });
  assertEquals(assertThrows(() => connection.request(none), NetlinkError).code, "ESRCH");
});

Deno.test("A route that was read can be set again, in place and elsewhere", () => {
  using testbed = new Testbed(
    ...ADDRESSES,
    "ip route add 10.0.0.0/8 nexthop via 192.0.2.2 weight 3 nexthop via 192.0.2.3",
    "ip -6 route add default via 2001:db8::2 metric 77 pref high expires 1000",
  );
  using copy = new Testbed(...ADDRESSES);
  for (const route of ours(testbed)) {
    testbed.connection.request(newRoute(route, { replace: true }));
    copy.connection.request(newRoute(route));
  }
  const routes = (it: Testbed) =>
    ours(it).map(({ cacheInfo: _1, expires, ...route }) => ({ ...route, expires: !!expires }));
  assertEquals(routes(testbed).length, 2);
  assertEquals(routes(copy), routes(testbed));
});

Deno.test("An IPv6 route's expiry counts down in seconds", () => {
  using testbed = new Testbed(...ADDRESSES);
  const route = { destination: "2001:db8:1::/48", gateway: "2001:db8::2", expires: 1000 };
  testbed.connection.request(newRoute(route));
  const [{ expires }] = ours(testbed) as [RouteInfo];
  assert(expires! > 900 && expires! <= 1000);
});

Deno.test("A route through a link without carrier says so", async () => {
  using testbed = new Testbed(...ADDRESSES, "ip route add 10.0.0.0/8 dev v0");
  run(testbed.netns, "ip link set v1 down");
  const down = () => ours(testbed)[0]!.flags.includes("linkdown");
  // The kernel tells its routes of a lost carrier from a queue.
  for (let i = 0; i < 500 && !down(); i++) await new Promise((done) => setTimeout(done, 10));
  assert(down());
  assertEquals(shown(testbed)[0]!.flags, ["linkdown"]);
});

Deno.test("dumpRoutes() is limited to family, table, link, maker and type", () => {
  using testbed = new Testbed(
    ...ADDRESSES,
    "ip route add 10.1.0.0/16 via 192.0.2.2 proto static",
    "ip route add 10.2.0.0/16 dev v1 table 77",
    "ip route add blackhole 10.3.0.0/16",
    "ip route add 10.4.0.0/16 nexthop dev v0 nexthop dev v1",
    "ip -6 route add 2001:db8:1::/48 via 2001:db8::2 proto static table 77",
    "ip -6 route add unreachable 2001:db8:3::/48",
  );
  const found = (filter: RouteFilter) =>
    testbed.connection.dump(dumpRoutes(filter))
      .filter(({ protocol }) => protocol !== "kernel")
      .map(({ destination }) => destination);
  const all = [
    "10.1.0.0/16",
    "10.2.0.0/16",
    "10.3.0.0/16",
    "10.4.0.0/16",
    "2001:db8:1::/48",
    "2001:db8:3::/48",
  ];
  assertEquals(found({}).sort(), all);
  assertEquals(found({ family: "inet" }).sort(), all.slice(0, 4));
  assertEquals(found({ family: "inet6" }).sort(), all.slice(4));
  assertEquals(found({ table: 77 }), ["10.2.0.0/16", "2001:db8:1::/48"]);
  assertEquals(found({ table: 77, family: "inet6" }), ["2001:db8:1::/48"]);
  assertEquals(found({ oif: V1 }).sort(), ["10.2.0.0/16", "10.4.0.0/16"]);
  assertEquals(found({ protocol: "static" }), ["10.1.0.0/16", "2001:db8:1::/48"]);
  assertEquals(found({ protocol: 4, family: "inet" }), ["10.1.0.0/16"]);
  assertEquals(found({ type: "blackhole" }), ["10.3.0.0/16"]);
  assertEquals(found({ type: "unreachable" }), ["2001:db8:3::/48"]);
  assertEquals(found({ table: "main", type: "unicast", oif: V1 }), ["10.4.0.0/16"]);
  const local = testbed.connection.dump(dumpRoutes({ table: "local", family: "inet", oif: V0 }));
  assertEquals(local.map(({ destination }) => destination), ["192.0.2.1/32", "192.0.2.255/32"]);
});

Deno.test("dumpRoutes() of a table that is not there, or in an empty namespace, is empty", () => {
  using testbed = new Testbed();
  assertEquals(testbed.connection.dump(dumpRoutes({ table: 4711 })), []);
  assertEquals(testbed.connection.dump(dumpRoutes({ table: 4711, family: "inet" })), []);
  assertEquals(testbed.connection.dump(dumpRoutes({ table: "main", family: "inet" })), []);
});

Deno.test("dumpRoutes() through a link that is not there is ENODEV", () => {
  using testbed = new Testbed();
  const dump = () => testbed.connection.dump(dumpRoutes({ oif: 4711 }));
  assertEquals(assertThrows(dump, NetlinkError).code, "ENODEV");
});

Deno.test("A dump by a kernel that does not filter is filtered here", () => {
  const { filter } = dumpRoutes({
    family: "inet",
    table: 77,
    oif: V0,
    protocol: "static",
    type: 1,
  });
  const route = {
    ...PLAIN,
    destination: "10.0.0.0/8",
    table: 77,
    protocol: "static",
    oif: V0,
  } as const;
  const { oif: _, ...without } = route;
  const through = (oif: number) => ({ ...without, nexthops: [{ oif, weight: 1, flags: [] }] });
  assert(filter!(route));
  assert(filter!(through(V0)));
  assert(filter!({ ...without, nexthopId: 3 }));
  for (
    const other of <RouteInfo[]> [
      { ...route, family: "inet6" },
      { ...route, table: 78 },
      { ...route, table: "main" as const },
      { ...route, protocol: "boot" as const },
      { ...route, type: "local" as const },
      { ...route, oif: V1 },
      through(V1),
      without,
      { ...route, flags: ["cloned" as const] },
    ]
  ) {
    assert(!filter!(other), JSON.stringify(other));
  }
  assert(!dumpRoutes().filter!({ ...route, family: 28 as unknown as "inet" }));
});

Deno.test("getRoute() finds the route to an address, as ip does", () => {
  using testbed = new Testbed(
    ...ADDRESSES,
    "ip addr add 198.51.100.1/24 dev v1",
    "ip route add 10.0.0.0/8 via 192.0.2.2",
    "ip route add 10.9.0.0/16 via 198.51.100.2 src 192.0.2.1",
    "ip route add prohibit 10.66.0.0/16",
    "ip -6 route add 2001:db8:1::/48 via 2001:db8::2",
  );
  const { connection, netns } = testbed;
  for (const address of ["10.1.1.1", "10.9.1.1", "192.0.2.77", "192.0.2.1", "2001:db8:1::5"]) {
    const route = connection.request(getRoute(address));
    const [shown] = ip(netns, `-d -j route get ${address}`);
    assertEquals(route.destination.replace(/\/.*/, ""), shown!.dst);
    assertEquals(route.gateway, shown!.gateway);
    assertEquals(route.prefsrc, shown!.prefsrc);
    assertEquals(route.type, shown!.type ?? "unicast");
    assertEquals(route.table, shown!.table);
    assertEquals({ v0: V0, v1: V1, lo: 1 }[shown!.dev as string], route.oif);
    assertEquals(ip(netns, getRoute(address).command().replace("ip", "-d -j")), [shown]);
  }
});

Deno.test("getRoute() takes what else the packets have", () => {
  using testbed = new Testbed(
    ...ADDRESSES,
    "ip addr add 198.51.100.1/24 dev v1",
    "ip route add 10.0.0.0/8 via 192.0.2.2",
    "ip route add 10.0.0.0/8 via 198.51.100.2 table 77",
    "ip rule add fwmark 5 lookup 77",
    "ip rule add dport 53 ipproto udp lookup 77",
  );
  sysctl(testbed.netns, "net/ipv4/ip_forward", "1");
  const { connection } = testbed;
  const via = (options = {}) => connection.request(getRoute("10.1.1.1", options)).gateway;
  assertEquals(via(), "192.0.2.2");
  assertEquals(via({ mark: 5 }), "198.51.100.2");
  assertEquals(via({ ipProtocol: 17, dport: 53, sport: 1000 }), "198.51.100.2");
  assertEquals(via({ ipProtocol: 17, dport: 54 }), "192.0.2.2");
  assertEquals(via({ from: "192.0.2.1", tos: 4, uid: 0 }), "192.0.2.2");
  assertEquals(connection.request(getRoute("10.1.1.1", { oif: V1 })).oif, V1);
  const forwarded = connection.request(getRoute("10.1.1.1", { iif: V1, from: "198.51.100.9" }));
  assertEquals([forwarded.iif, forwarded.gateway], [V1, "192.0.2.2"]);
});

Deno.test("getRoute() with fibMatch answers with the entry of the table", () => {
  using testbed = new Testbed(
    ...ADDRESSES,
    "ip route add 10.0.0.0/8 nexthop via 192.0.2.2 nexthop via 192.0.2.3",
    "ip -6 route add 2001:db8:1::/48 via 2001:db8::2 metric 9",
  );
  const get = (address: string) =>
    testbed.connection.request(getRoute(address, { fibMatch: true }));
  const v4 = get("10.1.1.1");
  assertEquals([v4.destination, v4.nexthops?.length], ["10.0.0.0/8", 2]);
  const v6 = get("2001:db8:1::5");
  assertEquals([v6.destination, v6.metric], ["2001:db8:1::/48", 9]);
});

Deno.test("getRoute() of an address that no route leads to is an error", () => {
  using testbed = new Testbed(
    ...ADDRESSES,
    "ip route add prohibit 10.66.0.0/16",
    "ip route add unreachable 10.67.0.0/16",
  );
  const code = (address: string) =>
    assertThrows(() => testbed.connection.request(getRoute(address)), NetlinkError).code;
  assertEquals(code("203.0.113.1"), "ENETUNREACH");
  assertEquals(code("10.66.0.1"), "EACCES");
  assertEquals(code("10.67.0.1"), "EHOSTUNREACH");
});

Deno.test("A thousand routes are made, read and removed", () => {
  using testbed = new Testbed(...ADDRESSES);
  const { connection } = testbed;
  const routes = Array.from(
    { length: 1000 },
    (_, i) => ({ destination: `10.${i >> 8}.${i & 255}.0/24`, gateway: "192.0.2.2" }),
  );
  assert(connection.batch(routes.map((route) => newRoute(route))).every(({ ok }) => ok));
  const read = ours(testbed);
  assertEquals(
    new Set(read.map(({ destination }) => destination)),
    new Set(routes.map(({ destination }) => destination)),
  );
  assert(connection.batch(read.map(deleteRoute)).every(({ ok }) => ok));
  assertEquals(ours(testbed), []);
});
