// The tables of a namespace beyond what all collections have in common.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  type AddressOptions,
  BatchError,
  type NeighborOptions,
  NetlinkError,
  NetNs,
  type RouteOptions,
  Veth,
} from "../../mod.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";

const GATEWAY = "192.0.2.2";

function lab(): NetNs & { veth: Veth } {
  const netns = NetNs.create();
  netns.sysctl("net.ipv6.conf.default.addr_gen_mode", 1);
  const veth = Veth.create({
    name: "v0",
    netns,
    up: true,
    addresses: ["192.0.2.1/24", { address: "2001:db8::1/64", flags: ["nodad"] }],
    peer: { name: "v1", netns, up: true },
  });
  return Object.assign(netns, { veth });
}

/** The destinations of the routes in table main, as iproute2 shows them. */
function shown(netns: NetNs, words = ""): unknown[] {
  return ["-4", "-6"].flatMap((family) => ip(netns.ref, `${family} -j route show ${words}`))
    .map(({ dst }) => dst);
}

test("routes.flush() leaves the kernel's own routes and other tables", () => {
  using netns = lab();
  const own = shown(netns);
  const routes: RouteOptions[] = [
    { destination: "10.1.0.0/16", gateway: GATEWAY },
    { destination: "10.2.0.0/16", dev: "v0", protocol: "static" },
    { destination: "10.3.0.0/16", nexthops: [{ gateway: GATEWAY }, { dev: "v1", weight: 3 }] },
    { destination: "10.4.0.0/16", type: "blackhole" },
    { destination: "2001:db8:1::/48", gateway: "2001:db8::2" },
    { destination: "2001:db8:2::/48", type: "unreachable", metric: 7 },
  ];
  netns.routes.add(routes);
  netns.routes.add(routes.map((route) => ({ ...route, table: 77 })));
  const all = shown(netns, "table 77");
  netns.routes.flush({ family: "inet6" });
  assertEquals(shown(netns).length, own.length + 4);
  netns.routes.flush({ protocol: "static" });
  assertEquals(shown(netns).length, own.length + 3);
  netns.routes.flush();
  assertEquals([shown(netns), shown(netns, "table 77")], [own, all]);
  netns.routes.flush({ table: 77 });
  netns.routes.flush({ table: 77 });
  netns.routes.flush({ table: "main", protocol: "kernel", dev: "v0" });
  assertEquals(shown(netns, "table 77"), []);
  assertEquals(shown(netns, "dev v0"), []);
});

test("routes.append() adds routes behind those of the same destination, all or none", () => {
  using netns = lab();
  const to = (gateway: string) => ({ destination: "10.0.0.0/8", gateway });
  const gateways = () =>
    netns.routes.list({ protocol: "boot", table: "main" }).map((it) => it.gateway);
  netns.routes.add(to("192.0.2.2"));
  netns.routes.append([to("192.0.2.3"), to("192.0.2.4")]);
  assertEquals(gateways(), ["192.0.2.2", "192.0.2.3", "192.0.2.4"]);
  const error = assertThrows(
    () => netns.routes.append([to("192.0.2.5"), to("203.0.113.1")]),
    BatchError,
  );
  assertEquals([error.code, error.index], ["ENETUNREACH", 1]);
  assertEquals(gateways(), ["192.0.2.2", "192.0.2.3", "192.0.2.4"]);
});

test("routes.replace() of many changes those that are there, and undoes additions when one is refused", () => {
  using netns = lab();
  const to = (n: number, gateway: string) => ({ destination: `10.${n}.0.0/16`, gateway });
  const routes = () =>
    netns.routes.list({ protocol: "boot", table: "main" })
      .map(({ destination, gateway }) => `${destination} ${gateway}`).sort();
  netns.routes.add([to(1, "192.0.2.2"), to(2, "192.0.2.2")]);
  assertThrows(
    () => netns.routes.replace([to(1, "192.0.2.9"), to(3, "192.0.2.9"), to(4, "203.0.113.1")]),
    BatchError,
    "1 of 3 were refused, the others are removed again",
  );
  assertEquals(routes(), ["10.1.0.0/16 192.0.2.2", "10.2.0.0/16 192.0.2.2"]);
  netns.routes.replace([to(1, "192.0.2.9"), to(3, "192.0.2.9")]);
  assertEquals(routes(), [
    "10.1.0.0/16 192.0.2.9",
    "10.2.0.0/16 192.0.2.2",
    "10.3.0.0/16 192.0.2.9",
  ]);
});

test("routes.get() takes links by handle, name and index", () => {
  using netns = lab();
  run(netns.ref, "ip route add 10.0.0.0/8 dev v1");
  run(netns.ref, "ip route add 10.0.0.0/8 dev v0 metric 9");
  const { index } = netns.veth;
  for (const dev of [netns.veth, "v0", index]) {
    assertEquals(netns.routes.get("10.1.1.1", { dev }).oif, index);
    const [route] = netns.routes.list({ dev, protocol: "boot", family: "inet" });
    assertEquals([route?.destination, route?.metric], ["10.0.0.0/8", 9]);
  }
  assertEquals(netns.routes.get("10.1.1.1").oif, netns.veth.peer.index);
});

test("neighbors.flush() leaves those for addresses that need no neighbor", () => {
  using netns = lab();
  const lladdr = "02:00:00:00:00:09";
  netns.neighbors.add([
    { dev: "v0", address: "192.0.2.9", lladdr },
    { dev: "v0", address: "192.0.2.8", lladdr, state: "stale" },
    { dev: "v1", address: "2001:db8::9", lladdr, flags: ["router"] },
    { dev: "v0", address: "192.0.2.7", proxy: true },
  ]);
  run(netns.ref, "ip neigh add 192.0.2.255 dev v0 lladdr ff:ff:ff:ff:ff:ff nud noarp");
  netns.neighbors.flush({ family: "inet6" });
  assertEquals(netns.neighbors.list({ family: "inet" }).length, 3);
  netns.neighbors.flush({ dev: "v0" });
  assertEquals(netns.neighbors.list({ dev: "v0", family: "inet" }).map((it) => it.address), [
    "192.0.2.255",
  ]);
  assertEquals(netns.neighbors.list({ proxy: true }).length, 1);
  netns.neighbors.flush({ proxy: true });
  assertEquals(netns.neighbors.list({ proxy: true }), []);
});

for (const promote of [0, 1]) {
  test(`addresses.flush() removes thousands of one network, promote_secondaries=${promote}`, () => {
    using netns = lab();
    netns.sysctl("net.ipv4.conf.all.promote_secondaries", promote);
    const { addresses } = netns.veth;
    addresses.add(Array.from({ length: 2000 }, (_, n) => `10.0.${n >> 8}.${n & 255}/8`));
    assertEquals(addresses.list("inet").length, 2001);
    addresses.flush("inet");
    assertEquals(ip(netns.ref, "-4 -j address show dev v0"), []);
    assertEquals(addresses.list().map(({ address }) => address), ["2001:db8::1/64"]);
  });
}

test("A neighbor that is refused for want of a link-layer address is not left behind", () => {
  using netns = lab();
  const there = () => ip(netns.ref, "-4 -j neigh show nud all dev v0").map(({ dst }) => dst);
  const bare: NeighborOptions = { dev: "v0", address: "192.0.2.9" };
  const whole: NeighborOptions = { ...bare, address: "192.0.2.8", lladdr: "02:00:00:00:00:08" };
  for (const verb of ["add", "replace"] as const) {
    for (const state of [undefined, "reachable", "noarp"] as const) {
      const given = { ...bare, ...(state && { state }) };
      const error = assertThrows(() => netns.neighbors[verb](given), NetlinkError);
      assertStringIncludes(error.message, "No link layer address given; give its lladdr");
      assertEquals(there(), [], `${verb} ${state}`);
      assertThrows(() => netns.neighbors[verb]([whole, given]), BatchError, "give its lladdr");
      assertEquals(there(), [], `${verb} of many, ${state}`);
    }
    netns.neighbors[verb]({ ...bare, state: "none" });
    assertThrows(() => netns.neighbors[verb](bare), NetlinkError);
    assertEquals(there(), ["192.0.2.9"], `${verb} keeps the one that was there`);
    netns.neighbors.delete(bare);
  }
  // The kernel keeps the address that it knows.
  netns.neighbors.add(whole);
  netns.neighbors.replace({ dev: "v0", address: "192.0.2.8", state: "stale" });
  const { lladdr, state } = netns.neighbors.get({ dev: "v0", address: "192.0.2.8" });
  assertEquals([lladdr, state], ["02:00:00:00:00:08", "stale"]);
});

test("A name that no link has is reported with the namespace that was searched", () => {
  using netns = lab();
  const { label } = netns.ref;
  const message = `find dev "nope" in ${label}: No such device; ${label} has no link of this name`;
  for (const table of ["routes", "neighbors", "addresses"] as const) {
    assertThrows(() => netns[table].list({ dev: "nope" }), NetlinkError, message);
  }
  const master = "elsewhere";
  assertThrows(
    () => Veth.create({ name: "a0", netns, master, peer: { name: "a1" } }),
    NetlinkError,
    `find master "${master}" in ${label}: No such device; ${label} has no link of this name`,
  );
});

/** Spellings of one value. */
const SPELLINGS: [verb: "routes" | "neighbors" | "addresses", spellings: object[]][] = [
  ["routes", [{ table: "main" }, { table: 254 }, {}]],
  ["routes", [{ protocol: "static" }, { protocol: 4 }]],
  ["routes", [{ type: "unicast" }, { type: 1 }, { family: "inet" }]],
  ["routes", [{ scope: "link" }, { scope: 253 }]],
  ["routes", [{ destination: "10.0.0.0/8", dev: "v0" }]],
  ["neighbors", [{ state: "permanent" }, { state: 128 }, {}, { lladdr: "2-0-0-0-0-D" }]],
  ["neighbors", [{ protocol: "boot" }, { protocol: 3 }]],
  ["neighbors", [{ address: "192.0.2.9" }, { flags: [] }]],
  ["addresses", [{ scope: "link" }, { scope: 253 }]],
  ["addresses", [{ flags: ["noprefixroute"] }]],
  ["addresses", [{ lifetime: {} }, { lifetime: { valid: Infinity } }, {}]],
];

for (const [table, spellings] of SPELLINGS) {
  test(`netns.${table} takes each spelling of a value: ${JSON.stringify(spellings)}`, () => {
    using netns = lab();
    const base = {
      routes: { destination: "10.0.0.0/8", dev: "v0" },
      neighbors: { dev: "v0", address: "192.0.2.9", lladdr: "02:00:00:00:00:0d" },
      addresses: { dev: "v0", address: "10.0.0.1/24" },
    }[table];
    const read = spellings.map((spelling) => {
      const entry = { ...base, ...spelling } as RouteOptions & NeighborOptions;
      netns[table].add(entry as never);
      const listed = JSON.stringify(
        netns[table].list({ family: "inet" }), // without the multicast neighbors of IPv6
        (key, value) => ["cacheInfo", "created", "updated"].includes(key) ? undefined : value,
      );
      netns[table].delete(entry as never);
      return listed;
    });
    for (const other of read) assertEquals(other, read[0]);
  });
}

/** Names that only messages and infos have, and foreign ones. */
const FOREIGN: ["routes" | "neighbors" | "addresses", string[]][] = [
  ["routes", ["oif", "mark", "via", "iif", "uid", "cacheInfo", "flow", "vlan", "Dev", "prefSrc"]],
  ["neighbors", ["index", "oif", "vlan", "probes", "extendedFlags", "master", "dst", "mac"]],
  ["addresses", ["index", "local", "multicast", "anycast", "targetNetnsId", "nodad", "prefsrc"]],
];

for (const [table, names] of FOREIGN) {
  test(`netns.${table} refuses names that are no options: ${names.join(", ")}`, () => {
    using netns = lab();
    for (const name of names) {
      const entry = { [name]: 1, destination: "10.0.0.0/8", address: "10.0.0.1", dev: "v0" };
      if (table === "routes") delete (entry as Record<string, unknown>).address;
      else delete (entry as Record<string, unknown>).destination;
      for (const verb of ["add", "replace", "delete"] as const) {
        const error = assertThrows(() => netns[table][verb](entry as never), TypeError);
        assertStringIncludes(error.message, `Unknown option "${name}"`);
      }
      for (const verb of ["list", "flush"] as const) {
        if (name === "master") continue;
        const error = assertThrows(() => netns[table][verb]({ [name]: 1 } as never), TypeError);
        assertStringIncludes(error.message, `Unknown option "${name}"`);
      }
    }
  });
}

test("An address is copied to another link as it was read", () => {
  using netns = lab();
  const { addresses, peer } = netns.veth;
  const given: AddressOptions[] = [
    { address: "10.0.0.1/24", label: "v0:x", broadcast: "10.0.0.255", scope: "link", metric: 5 },
    { address: "10.1.0.1/32", peer: "10.1.0.2" },
    { address: "fd00::1/64", flags: ["nodad", "noprefixroute"], lifetime: { valid: 9000 } },
  ];
  addresses.add(given);
  peer.addresses.add(addresses.list().filter(({ address }) => /^(10|fd)/.test(address)));
  const shownOf = (dev: string) =>
    (ip(netns.ref, `-d -j address show dev ${dev}`)[0]!.addr_info as Record<string, unknown>[])
      .filter(({ local }) => /^(10|fd)/.test(`${local}`))
      .map(({ valid_life_time: _1, preferred_life_time: _2, label, ...rest }) => ({
        ...rest,
        label: `${label}`.replace(/^v[01]$/, ""),
      }));
  assertEquals(shownOf("v1"), shownOf("v0"));
  assertEquals(shownOf("v0").length, 3);
});

test("An error for a wrong entry of many says which it is", () => {
  using netns = lab();
  const good = { destination: "10.1.0.0/16", dev: "v0" };
  const wrong: [call: () => void, message: string][] = [
    [() => netns.routes.add([good, { ...good, ["mark" as "metric"]: 1 }]), 'Unknown option "mark"'],
    [() => netns.routes.add([good, { ...good, destination: "10.9.0.1/16" }]), "did you mean"],
    [() => netns.routes.add([good, { ...good, tos: 256 }]), "tos must be in 0..255: got 256"],
    [() => netns.veth.addresses.add(["10.0.0.1/8", "10.0.0.2/33"]), "prefix length of"],
    [
      () => netns.addresses.delete([{ dev: "v0", address: "10.0.0.1" }, { dev: "v0" } as never]),
      "",
    ],
  ];
  for (const [call, message] of wrong) {
    const error = assertThrows(call);
    assert(error instanceof TypeError || error instanceof RangeError, `${error}`);
    assertStringIncludes(error.message, `entries[1]: `);
    assertStringIncludes(error.message, message);
  }
  assertEquals(netns.routes.list({ protocol: "boot" }), []);
});

test("A refusal of many names the first refused entry and keeps the kernel's words", () => {
  using netns = NetNs.create("tables");
  const error = assertThrows(
    () =>
      netns.routes.add([
        { destination: "10.1.0.0/16", type: "blackhole" },
        { destination: "10.2.0.0/16", gateway: "192.0.2.1" },
      ]),
    BatchError,
  );
  assert(error instanceof NetlinkError);
  assertEquals(error.operation, "add route 10.2.0.0/16 via 192.0.2.1");
  assertEquals(
    error.message,
    'add route 10.2.0.0/16 via 192.0.2.1 in netns "tables": Network is unreachable (ENETUNREACH): ' +
      "Nexthop has invalid gateway; 1 of 2 were refused, the others are removed again",
  );
  assertEquals(netns.routes.list({ table: "main" }), []);
});
