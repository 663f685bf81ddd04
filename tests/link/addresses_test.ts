import { assert, assertEquals, assertObjectMatch, assertThrows } from "@std/assert";
import { type AddressOptions, Link, NetlinkError, NetNs, trace, Veth } from "../../mod.ts";
import { newAddress } from "../../src/rtnetlink/address.ts";
import { ip, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";

function pair(netns: NetNs): Veth {
  netns.sysctl("net.ipv6.conf.default.addr_gen_mode", 1);
  return Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
}

/** What iproute2 shows of the addresses of `v0`. */
function shown(netns: NetNs): Json[] {
  return (ip(netns.ref, "-d -j address show dev v0")[0]!.addr_info as Json[]).map((info) => {
    const { tentative: _, ...rest } = info;
    return rest;
  });
}

const list = (link: Link) => link.addresses.list().map(({ address }) => address);

const CASES: [AddressOptions, string, Json][] = [
  ["192.168.123.1/24", "192.168.123.1/24", { local: "192.168.123.1", prefixlen: 24 }],
  ["10.0.0.1", "10.0.0.1", { local: "10.0.0.1", prefixlen: 32 }],
  ["fd00::1/64", "fd00::1/64", { local: "fd00::1", prefixlen: 64 }],
  ["FD00:0:0::2/128", "fd00::2/128", { local: "fd00::2", prefixlen: 128 }],
  [
    { address: "10.0.0.2/24", label: "v0:one", broadcast: "10.0.0.255", scope: "link" },
    "10.0.0.2/24 label v0:one broadcast 10.0.0.255 scope link",
    { label: "v0:one", broadcast: "10.0.0.255", scope: "link" },
  ],
  [
    { address: "10.0.0.3/32", peer: "10.9.9.9" },
    "10.0.0.3 peer 10.9.9.9/32",
    { local: "10.0.0.3", address: "10.9.9.9" },
  ],
  [{ address: "10.0.0.4/24", metric: 77 }, "10.0.0.4/24 metric 77", { metric: 77 }],
];

test("An address added here is the one that ip adds, and the other way round", () => {
  using netns = NetNs.create();
  for (const [address, words, expected] of CASES) {
    const results = [
      (link: Link) => link.addresses.add(address),
      () => run(netns.ref, `ip address add ${words} dev v0`),
    ].map((add) => {
      using veth = pair(netns);
      add(veth);
      const { lifetime, ...read } = veth.addresses.list()[0]!;
      assertEquals([lifetime?.preferred, lifetime?.valid], [Infinity, Infinity]);
      return [shown(netns), { ...read, index: 0 }] as const;
    });
    assertEquals(results[0], results[1], words);
    assertObjectMatch(results[0]![0][0]!, expected);
  }
});

test("An address that is there is refused, or replaced when asked to", () => {
  using netns = NetNs.create();
  const { addresses } = pair(netns);
  addresses.add("10.0.0.1/24");
  const error = assertThrows(() => addresses.add("10.0.0.1/24"), NetlinkError);
  assertEquals(error.code, "EEXIST");
  assert(error.message.includes("10.0.0.1/24"), error.message);
  const changed = { address: "10.0.0.1/24", metric: 9 };
  addresses.replace(changed);
  addresses.replace("fd00::1/64");
  assertEquals(shown(netns).map(({ local, metric }) => [local, metric]), [
    ["10.0.0.1", 9],
    ["fd00::1", undefined],
  ]);
});

test("delete() removes one address, and one that is not there is an error that names it", () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  for (const address of ["10.0.0.1/24", "10.0.1.1/24", "fd00::1/64"]) veth.addresses.add(address);
  veth.addresses.delete("10.0.1.1/24");
  veth.addresses.delete("fd00::1/64");
  assertEquals(list(veth), ["10.0.0.1/24"]);
  const error = assertThrows(() => veth.addresses.delete("10.0.0.9/24"), NetlinkError);
  assertEquals(error.code, "EADDRNOTAVAIL");
  assert(error.message.includes("10.0.0.9/24"), error.message);
});

test("flush() removes all addresses of a link, or of a family; secondary ones and those with a peer too", () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  const other = Link.get("v1", { netns });
  const all: AddressOptions[] = [
    "10.0.0.1/24",
    "10.0.0.2/24",
    "10.0.0.3/24",
    "10.1.0.1/16",
    { address: "10.2.0.1/32", peer: "10.2.0.9" },
    "fd00::1/64",
    "fd00::2/64",
  ];
  for (const address of all) veth.addresses.add(address);
  other.addresses.add("10.0.0.77/24");
  veth.addresses.flush("inet6");
  assertEquals(list(veth).length, 5);
  veth.addresses.flush("inet");
  assertEquals(shown(netns), []);
  for (const address of all) veth.addresses.add(address);
  veth.addresses.flush();
  assertEquals(shown(netns), []);
  veth.addresses.flush();
  assertEquals(list(other), ["10.0.0.77/24"]);
});

test("A thousand addresses are listed and flushed", () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  netns.batch((b) => {
    for (let i = 0; i < 1000; i++) {
      // Of one network: all but the first are secondary.
      b.add(newAddress({ index: veth.index, address: `10.0.${i >> 8}.${i & 255}/8` }));
    }
  });
  assertEquals(veth.addresses.list().length, 1000);
  veth.addresses.flush();
  assertEquals(veth.addresses.list(), []);
});

test("A malformed address is refused before anything is sent, and the error names it", () => {
  using netns = NetNs.create();
  const { addresses } = pair(netns);
  let sent = 0;
  using _trace = trace(() => sent++);
  for (
    const address of [
      "",
      "10.0.0",
      "10.0.0.256/24",
      "10.0.0.1/33",
      "10.0.0.1/-1",
      "10.0.0.1/",
      "10.0.0.1/24/24",
      "fd00::1/129",
      "fd00:::1/64",
      "fe80::1%v0/64",
      "localhost",
      7,
      null,
      {},
      { address: "10.0.0.1/24", colour: "red" },
    ]
  ) {
    const error = assertThrows(() => addresses.add(address as string), Error);
    const named = typeof address === "string" ? address : typeof address === "number" ? "7" : "";
    assert(error instanceof TypeError || error instanceof RangeError, `${address}: ${error}`);
    assert(error.message.includes(named), error.message);
  }
  assertThrows(() => addresses.delete("nonsense"), TypeError, "nonsense");
  assertEquals(sent, 0);
});
