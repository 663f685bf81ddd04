// The collections of all kinds of objects: one form, one meaning of each verb.
import { NftChains, NftElements, NftRules, NftSets } from "../../src/nftables/collections.ts";
import { Nftables } from "../../src/nftables/nftables.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import {
  BatchError,
  Bridge,
  BridgeFdb,
  BridgePortFdb,
  BridgeVlans,
  Link,
  LinkAddresses,
  Macvlan,
  MacvlanMacs,
  NetlinkError,
  NetNs,
  NetNsAddresses,
  NetNsLinks,
  NetNsNeighbors,
  NetNsNexthops,
  NetNsRoutes,
  NetNsRules,
  trace,
  Veth,
  Vxlan,
  VxlanFdb,
} from "../../mod.ts";
import "../../src/nftables/mod.ts";
import "../../src/traffic/mod.ts";
import { bridge as bridgeCommand, ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { machine } from "../machine.ts";
import { kernelTest } from "./oracle.ts";

const MAC = "02:00:00:00:00:0a";
const OTHER = "02:00:00:00:00:0b";

/** A namespace with `v0`, up and with an address, and its peer `v1`. */
function lab(): NetNs & { veth: Veth } {
  const netns = NetNs.create();
  netns.sysctl("net.ipv6.conf.default.addr_gen_mode", 1); // no link-local addresses, at some time
  const veth = Veth.create({
    name: "v0",
    netns,
    up: true,
    addresses: ["192.0.2.1/24"],
    peer: { name: "v1", netns, up: true },
  });
  return Object.assign(netns, { veth });
}

/**
 * How many entries there are, without those that the kernel adds some time later. A forwarding entry
 * counts once, though kernels with VLAN filtering have a copy of it for each VLAN of the port.
 */
function count(collection: { list(): readonly (object | string)[] }): number {
  const own = collection.list().filter((entry) => !isForeign(entry));
  return new Set(own.map((entry) => (entry as { mac?: string }).mac ?? entry)).size;
}

const codeOf = (call: () => unknown): string => assertThrows(call, NetlinkError).code;

/** A collection with two entries that can be added, and the code of each verb where that is refused. */
interface Row {
  readonly name: string;
  readonly kind?: "macvlan";
  /** The collection in a namespace that {@link lab} made. */
  of(netns: NetNs): {
    list(): readonly object[] | readonly string[];
    get?(entry: never): unknown;
    add(entries: never): void;
    replace(entries: never): void;
    delete(entries: never): void;
    flush(): void;
  };
  readonly entries: readonly [unknown, unknown];
  /** A wrong entry, which the kernel refuses, and its code. */
  readonly refused?: readonly [unknown, string];
  /** The argument of `get()` for the first entry. */
  readonly key?: unknown;
  /** The code of `delete()` and `get()` where there is none. */
  readonly missing: string;
  readonly missingGet?: string;
}

const ROWS: readonly Row[] = [
  {
    name: "link.addresses",
    of: (netns) => Link.get("v0", { netns }).addresses,
    entries: ["10.0.0.1/24", { address: "fd00::1/64", flags: ["nodad"] }],
    refused: [{ address: "10.0.0.7/24", lifetime: { preferred: 9, valid: 3 } }, "EINVAL"],
    key: "10.0.0.1",
    missing: "EADDRNOTAVAIL",
  },
  {
    name: "netns.addresses",
    of: (netns) => netns.addresses,
    entries: [{ dev: "v0", address: "10.0.0.1/24" }, { dev: "v1", address: "10.0.0.2/24" }],
    refused: [{ dev: 999, address: "10.0.0.7/24" }, "ENODEV"],
    key: "10.0.0.1/24",
    missing: "EADDRNOTAVAIL",
  },
  {
    name: "netns.routes",
    of: (netns) => netns.routes,
    entries: [
      { destination: "10.1.0.0/16", gateway: "192.0.2.9" },
      { destination: "10.2.0.0/16", dev: "v0", metric: 5 },
    ],
    refused: [{ destination: "10.3.0.0/16", gateway: "203.0.113.1" }, "ENETUNREACH"],
    key: "10.1.0.1",
    missing: "ESRCH",
    missingGet: "ENETUNREACH",
  },
  {
    name: "netns.neighbors",
    of: (netns) => netns.neighbors,
    entries: [
      { dev: "v0", address: "192.0.2.9", lladdr: MAC },
      { dev: "v0", address: "2001:db8::9", lladdr: MAC },
    ],
    refused: [{ dev: "v0", address: "192.0.2.7", lladdr: "02:00" }, "EINVAL"],
    key: { dev: "v0", address: "192.0.2.9" },
    missing: "ENOENT",
  },
  {
    name: "bridge.fdb",
    of: (netns) => {
      const bridge = Bridge.create({ name: "br0", netns });
      Link.get("v1", { netns }).set({ master: bridge });
      return bridge.fdb;
    },
    entries: [{ mac: MAC, port: "v1" }, { mac: OTHER, port: "v1", flags: ["sticky"] }],
    refused: [{ mac: "00:00:00:00:00:00", port: "v1" }, "EINVAL"],
    key: { mac: MAC },
    missing: "ENOENT",
  },
  {
    name: "port.fdb",
    of: (netns) => {
      const bridge = Bridge.create({ name: "br0", netns });
      Link.get("v1", { netns }).set({ master: bridge });
      return bridge.port("v1").fdb;
    },
    entries: [{ mac: MAC }, { mac: OTHER, flags: ["sticky"] }],
    refused: [{ mac: "00:00:00:00:00:00" }, "EINVAL"],
    key: { mac: MAC },
    missing: "ENOENT",
  },
  {
    name: "macvlan.macs",
    kind: "macvlan",
    of: (netns) => Macvlan.create({ name: "m0", netns, parent: "v0", mode: "source" }).macs,
    entries: [MAC, OTHER],
    missing: "ENOENT",
  },
];

/** The namespace as iproute2 shows it, but for carriers, which the kernel notices some time later. */
const state = (netns: NetNs) => machine(netns.ref).replaceAll('"NO-CARRIER",', "");

for (const { name, kind, of, entries, refused, key, missing, missingGet = missing } of ROWS) {
  const define = (title: string, body: () => void) =>
    kind ? kernelTest(kind, title, body) : test(title, body);

  define(`${name} refuses entries that are none, and shows them`, () => {
    using netns = lab();
    const collection = of(netns);
    const before = state(netns);
    for (const verb of ["add", "replace", "delete"] as const) {
      for (const wrong of [null, 5, true]) {
        for (const given of [wrong, [entries[0], wrong]] as never[]) {
          const error = assertThrows(() => collection[verb](given), TypeError);
          assertMatch(error.message, new RegExp(`: (got ${wrong}$|${wrong} is not an )`));
          assertEquals(error.message.startsWith("entries[1]: "), Array.isArray(given));
        }
      }
    }
    assertEquals(state(netns), before);
  });

  define(`${name} adds, replaces, deletes and flushes, one and many`, () => {
    using netns = lab();
    const collection = of(netns);
    const [one, two] = entries as [never, never];
    collection.flush();
    const before = state(netns);
    const none = count(collection);
    assertEquals(codeOf(() => collection.delete(one)), missing);
    if (collection.get) assertEquals(codeOf(() => collection.get!(key as never)), missingGet);
    collection.add(one);
    assertEquals(count(collection), none + 1);
    if (collection.get) assert(collection.get(key as never));
    assertEquals(codeOf(() => collection.add(one)), "EEXIST");
    collection.replace(one);
    collection.replace([one, two] as never);
    assertEquals(count(collection), none + 2);
    collection.delete([two, one] as never);
    assertEquals(count(collection), none);
    collection.add([one, two] as never);
    collection.flush();
    assertEquals(count(collection), none);
    collection.add([] as never);
    assertEquals(state(netns), before);
  });

  define(`${name} takes back what a call has added when an entry is refused`, () => {
    using netns = lab();
    const collection = of(netns);
    const [one, two] = entries as [never, never];
    collection.flush();
    const none = count(collection);
    if (refused) {
      const [bad, code] = refused;
      for (const verb of ["add", "replace"] as const) {
        const error = assertThrows(
          () => collection[verb]([one, bad, two, bad] as never),
          BatchError,
        );
        assertEquals([error.code, error.index, error.refused, error.total], [code, 1, 2, 4], verb);
        assertStringIncludes(error.message, "2 of 4 were refused, the others are removed again");
        assertEquals(count(collection), none, verb);
      }
    }
    collection.add(two);
    assertEquals(codeOf(() => collection.add([one, two] as never)), "EEXIST");
    assertEquals(count(collection), none + 1);
    collection.delete(two);
    assertEquals(codeOf(() => collection.delete([one] as never)), missing);
  });

  define(`${name} refuses malformed entries before it sends any`, () => {
    using netns = lab();
    const collection = of(netns);
    const sent: string[] = [];
    using _trace = trace(({ type }) => sent.push(type));
    const [one] = entries as [never, never];
    for (const verb of ["add", "replace", "delete"] as const) {
      for (const bad of [null, 7, { colour: 1 }, "x"]) {
        assertThrows(() => collection[verb]([one, bad] as never), TypeError);
      }
    }
    assertEquals(sent.filter((type) => !type.startsWith("RTM_GET")), []);
  });

  define(`${name} prints its entries`, () => {
    using netns = lab();
    const collection = of(netns);
    collection.flush();
    collection.add(entries as never);
    const text = Deno.inspect(collection);
    assertStringIncludes(text, name.split(".")[1]!.replace("fdb", "forwarding entries"));
    assert(!text.includes("Function") && !text.includes("#"), text);
    assert(/10\.0\.0\.1|10\.1\.0\.0|192\.0\.2\.9|02:00:00:00:00:0a/.test(text), text);
  });

  define(`What ${name}.list() gives can be deleted and added again`, () => {
    using netns = lab();
    const collection = of(netns);
    collection.flush();
    const none = count(collection);
    collection.add(entries as never);
    const own = collection.list().filter((entry) => !isForeign(entry));
    const before = shape(own);
    collection.delete(own as never);
    assertEquals(count(collection), none);
    collection.add(own as never);
    assertEquals(shape(collection.list().filter((entry) => !isForeign(entry))), before);
  });
}

/** Entries that the kernel has of itself: loopback and link-local ones, a port's own addresses. */
function isForeign(entry: object | string): boolean {
  const { address = "", state, port, protocol } = entry as Record<string, string | undefined>;
  return /^(127|::1|fe80|ff|224)/.test(address) || state === "noarp" || protocol === "kernel" ||
    (port !== undefined && state === "permanent");
}

/** What stays the same when entries are set again. */
function shape(entries: readonly (object | string)[]): unknown[] {
  return entries.map((entry) => {
    if (typeof entry === "string") return entry;
    const { cacheInfo: _1, lifetime: _2, used: _3, updated: _4, ...rest } = entry as Record<
      string,
      unknown
    >;
    return JSON.stringify(rest, Object.keys(rest).sort());
  }).sort();
}

test("netns.links finds, lists and deletes links", () => {
  using netns = lab();
  assertEquals(netns.links.list({ kind: "veth" }).map(({ name }) => name).sort(), ["v0", "v1"]);
  assertEquals(netns.links.get("v0").index, netns.veth.index);
  assertEquals(codeOf(() => netns.links.get("v7")), "ENODEV");
  assertEquals(codeOf(() => netns.links.delete("v7")), "ENODEV");
  assertStringIncludes(Deno.inspect(netns.links), 'name: "v0"');
  const bridge = Bridge.create({ name: "br0", netns });
  Link.get("v1", { netns }).set({ master: bridge });
  assertEquals(netns.links.list({ master: "br0" }).map(({ name }) => name), ["v1"]);
  netns.links.delete([bridge, "v0"]);
  assertEquals(ip(netns.ref, "-j link show").map(({ ifname }) => ifname), ["lo"]);
});

test("Collections follow a link that moves, and leave the link alone that has its index then", () => {
  using near = NetNs.create();
  using far = NetNs.create();
  const veth = Veth.create({ name: "v0", netns: near, peer: { name: "v1", netns: far } });
  const { index, addresses } = veth;
  veth.move(far);
  // Another link takes the index that the first one had.
  run(near.ref, `ip link add t0 index ${index} type bridge`);
  addresses.add("10.0.0.1/24");
  assertEquals(Link.get("t0", { netns: near }).addresses.list(), []);
  assertEquals(addresses.list().map(({ address }) => address), ["10.0.0.1/24"]);
  const [shown] = ip(far.ref, "-j address show dev v0");
  assertEquals((shown!.addr_info as { local: string }[]).map(({ local }) => local), ["10.0.0.1"]);
  addresses.delete("10.0.0.1/24");
  addresses.replace("10.0.0.2/24");
  addresses.flush();
  assertEquals(addresses.list(), []);
});

test("The forwarding entries of a port follow the link that moves to another bridge", () => {
  using near = NetNs.create();
  using far = NetNs.create();
  const [one, two] = [near, far].map((netns) => Bridge.create({ name: "br0", netns })) as [
    Bridge,
    Bridge,
  ];
  const veth = Veth.create({ name: "p1", netns: near, master: one, peer: { name: "v1" } });
  try {
    const port = one.port("p1");
    const { fdb } = port;
    port.move(far).set({ master: two });
    const taken = `ip link add p1 index ${veth.index} type veth peer name p2`;
    run(near.ref, taken);
    run(near.ref, "ip link set p1 master br0");
    fdb.add({ mac: MAC });
    assertEquals(
      bridgeCommand(near.ref, "-j fdb show br br0").some(({ mac }) => mac === MAC),
      false,
    );
    assertEquals(bridgeCommand(far.ref, "-j fdb show br br0").some(({ mac }) => mac === MAC), true);
    assertEquals(fdb.get({ mac: MAC }).port, "p1");
  } finally {
    veth.persist();
  }
});

kernelTest("macvlan", "The senders of a macvlan follow the link that moves", () => {
  using near = NetNs.create();
  using far = NetNs.create();
  Veth.create({ name: "v0", netns: near, peer: { name: "v1", netns: near } });
  const link = Macvlan.create({ name: "m0", netns: near, parent: "v0", mode: "source" });
  const { macs } = link;
  link.move(far);
  Veth.create({ name: "w0", netns: near, peer: { name: "w1", netns: near } });
  macs.add([MAC, OTHER]);
  assertEquals(macs.list(), [MAC, OTHER]);
  assertEquals(link.options().macs, [MAC, OTHER]);
});

test("The guide's table of collections names the verbs that each has", () => {
  const page = Deno.readTextFileSync(new URL("../../docs/guides/collections.md", import.meta.url));
  const [first] = page.split("\n\n").filter((part) => part.startsWith("|"));
  const [head, , ...lines] = first!.split("\n") as [string, string, ...string[]];
  const cells = (line: string) => line.split("|").slice(1, -1).map((cell) => cell.trim());
  const verbs = cells(head).map((cell) => cell.replaceAll("`", "")).slice(2);
  const shown = Object.fromEntries(
    lines.map((line) => {
      const [name, , ...marks] = cells(line);
      return [name!.replaceAll("`", ""), verbs.filter((_, i) => marks[i] === "✓")];
    }),
  );
  const classes: Record<string, { prototype: object }> = {
    "netns.links": NetNsLinks,
    "netns.addresses": NetNsAddresses,
    "link.addresses": LinkAddresses,
    "netns.routes": NetNsRoutes,
    "netns.neighbors": NetNsNeighbors,
    "netns.rules": NetNsRules,
    "netns.nexthops": NetNsNexthops,
    "bridge.fdb": BridgeFdb,
    "port.fdb": BridgePortFdb,
    "vxlan.fdb": VxlanFdb,
    "bridge.vlans": BridgeVlans,
    "port.vlans": BridgeVlans,
    "netns.nftables": Nftables,
    "nftables.chains": NftChains,
    "nftables.rules": NftRules,
    "nftables.sets": NftSets,
    "nftables.elements": NftElements,
    "macvlan.macs": MacvlanMacs,
  };
  const actual = Object.fromEntries(
    Object.entries(classes).map(([name, { prototype }]) => [
      name,
      verbs.filter((verb) => Object.hasOwn(prototype, verb)),
    ]),
  );
  assertEquals(shown, actual);
});

test("A string is enough where it names one entry", () => {
  using netns = NetNs.create();
  const bridge = Bridge.create({ name: "br0", netns, up: true });
  const veth = Veth.create({
    name: "v0",
    netns,
    up: true,
    master: bridge,
    peer: { name: "v1", netns },
  });
  const [mac, other] = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
  const { fdb } = bridge.port(veth);
  fdb.add([{ mac }, { mac: other }]);
  bridge.fdb.add({ mac: "02:00:00:00:00:03" });
  assertEquals([fdb.get(mac).mac, bridge.fdb.get(mac).port], [mac, "v0"]);
  fdb.delete([mac, { mac: other }]);
  bridge.fdb.delete("02:00:00:00:00:03");
  const shown = run(netns.ref, "bridge fdb show br br0");
  assert(!/02:00:00:00:00:0[123]/.test(shown), shown);
  assertThrows(() => fdb.delete("mac"), TypeError, 'mac: "mac" is not');
  veth.addresses.add("10.0.0.1/24");
  netns.routes.add([{ destination: "10.1.0.0/16", dev: veth }, {
    destination: "10.2.0.0/16",
    dev: veth,
  }]);
  netns.routes.delete(["10.1.0.0/16", { destination: "10.2.0.0/16" }]);
  assertEquals(run(netns.ref, "ip route show proto boot"), "");
  assertThrows(() => netns.routes.delete("10.1.0.1/16"), TypeError, "10.1.0.0/16");
});

test("A collection without filters refuses one, and deletes nothing", () => {
  using netns = NetNs.create();
  const bridge = Bridge.create({ name: "br0", netns });
  const veth = Veth.create({ name: "v0", netns, master: bridge, peer: { name: "v1", netns } });
  const vxlan = Vxlan.create({ name: "x0", netns, id: 1, remote: "192.0.2.1" });
  const macvlan = Macvlan.create({ name: "m0", netns, parent: veth.peer, mode: "source" });
  macvlan.macs.add("02:00:00:00:00:01");
  veth.qdiscs.add({ kind: "htb", handle: "1:" });
  veth.classes.add({ kind: "htb", classid: "1:1", options: { rate: "1mbit" } });
  const collections = [
    ...[bridge.vlans, bridge.port(veth).vlans, vxlan.fdb, macvlan.macs],
    ...[veth.qdiscs, veth.classes],
  ];
  const before = collections.map((it) => it.list().length);
  for (const filter of [{ vlan: 1 }, "02:00:00:00:00:01", null, 5]) {
    const got = `takes no argument: got ${JSON.stringify(filter)}`;
    for (const it of collections) {
      const untyped = it as unknown as {
        list(filter: unknown): void;
        flush(filter: unknown): void;
      };
      assertThrows(() => untyped.flush(filter), TypeError, `flush() ${got}`);
      assertThrows(() => untyped.list(filter), TypeError, `list() ${got}`);
    }
    for (const it of [bridge.fdb, bridge.port(veth).fdb]) {
      const untyped = it as unknown as { list(filter: unknown): void };
      assertThrows(() => untyped.list(filter), TypeError, `list() ${got}`);
    }
  }
  assertEquals(collections.map((it) => it.list().length), before);
});
