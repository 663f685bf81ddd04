import { assert, assertEquals, assertThrows } from "@std/assert";
import { Link, NetlinkError, NetNs, Scope, supports, Veth, Vxlan } from "../../mod.ts";
import { bridge, run } from "../helpers.ts";
import { type Case, kernelTest, type Refusal, testCases, testRefusals } from "./oracle.ts";

const KIND = { kind: "vxlan", single: true, create: Vxlan.create, get: Vxlan.get } as const;

const SWITCHES = [
  ["learning", "learning", true],
  ["proxy", "proxy", false],
  ["rsc", "rsc", false],
  ["l2miss", "l2miss", false],
  ["l3miss", "l3miss", false],
  ["udpCsum", "udpcsum", true],
  ["udpZeroCsum6Tx", "udp6zerocsumtx", false],
  ["udpZeroCsum6Rx", "udp6zerocsumrx", false],
  ["remcsumTx", "remcsumtx", false],
  ["remcsumRx", "remcsumrx", false],
] as const;

/** How iproute2 shows switches whose name is another one than its word. */
const SHOWN: Record<string, string> = {
  udpcsum: "udp_csum",
  udp6zerocsumtx: "udp_zero_csum6_tx",
  udp6zerocsumrx: "udp_zero_csum6_rx",
  remcsumtx: "remcsum_tx",
  remcsumrx: "remcsum_rx",
};

const MADE: readonly Case[] = [
  { name: "id alone", options: { id: 5 }, words: "id 5", shown: { id: 5, port: 8472 } },
  {
    name: "the largest id",
    options: { id: 0xffffff },
    words: "id 16777215",
    shown: { id: 0xffffff },
  },
  {
    name: "an IPv4 remote",
    options: { id: 5, remote: "192.0.2.7", local: "192.0.2.1", port: 4789 },
    words: "id 5 remote 192.0.2.7 local 192.0.2.1 dstport 4789",
    shown: { remote: "192.0.2.7", local: "192.0.2.1", port: 4789 },
  },
  {
    name: "an IPv6 remote",
    options: { id: 5, remote: "2001:db8::7", local: "2001:db8::1", flowLabel: 0xabcde },
    words: "id 5 remote 2001:db8::7 local 2001:db8::1 flowlabel 0xabcde",
    shown: { remote6: "2001:db8::7", local6: "2001:db8::1" },
  },
  {
    name: "an IPv4 group",
    options: { id: 5, group: "239.1.1.1", dev: "v0" },
    read: { id: 5, group: "239.1.1.1", dev: 10 },
    words: "id 5 group 239.1.1.1 dev v0",
    shown: { group: "239.1.1.1", link: "v0" },
  },
  {
    name: "an IPv6 group",
    options: { id: 5, group: "ff05::7", dev: 10 },
    words: "id 5 group ff05::7 dev v0",
    shown: { group6: "ff05::7", link: "v0" },
  },
  {
    name: "outer header",
    options: { id: 5, ttl: 9, tos: 0x10, df: "set", srcPort: [30000, 40000] },
    words: "id 5 ttl 9 tos 0x10 df set srcport 30000 40000",
    shown: { ttl: 9, tos: "0x10", df: "set", port_range: { low: 30000, high: 40000 } },
  },
  {
    name: "inherited",
    options: { id: 5, ttl: "inherit", tos: "inherit", df: "inherit" },
    words: "id 5 ttl inherit tos inherit df inherit",
    shown: { df: "inherit" },
  },
  {
    name: "learned addresses",
    options: { id: 5, ageing: 17, maxAddresses: 100 },
    words: "id 5 ageing 17 maxaddress 100",
    shown: { ageing: 17, limit: 100 },
  },
  ...SWITCHES.map(([option, word, initial]) => ({
    name: `${option} ${!initial}`,
    options: { id: 5, [option]: !initial },
    words: `id 5 ${initial ? "no" : ""}${word}`,
    shown: { [SHOWN[word] ?? word]: !initial },
  })),
  { name: "gbp", options: { id: 5, gbp: true }, words: "id 5 gbp", shown: { gbp: true } },
  {
    name: "remcsumNopartial",
    options: { id: 5, remcsumNopartial: true },
    // iproute2 has no word for it.
    shown: {},
  },
  { name: "external", options: { external: true }, words: "external", shown: { external: true } },
  {
    name: "gpe",
    options: { external: true, gpe: true },
    words: "external gpe",
    shown: { external: true, gpe: true },
  },
  {
    name: "vnifilter",
    options: { external: true, vnifilter: true },
    words: "external vnifilter",
    shown: { vnifilter: true },
  },
];

const CHANGED: readonly Case[] = [
  {
    name: "remote",
    before: { id: 5, remote: "192.0.2.7" },
    options: { remote: "192.0.2.8" },
    // iproute2 6.1 wants the id.
    words: "id 5 remote 192.0.2.8",
    shown: { remote: "192.0.2.8" },
  },
  {
    name: "ttl, tos, ageing",
    before: { id: 5, ttl: 3 },
    options: { ttl: 7, tos: 8, ageing: 33 },
    words: "id 5 ttl 7 tos 0x8 ageing 33",
    shown: { ttl: 7, tos: "0x8", ageing: 33 },
  },
  {
    name: "learning",
    before: { id: 5 },
    options: { learning: false },
    words: "id 5 nolearning",
    shown: { learning: false },
  },
];

const REFUSED: readonly Refusal[] = [
  [{}, "TypeError", "id must be the VNI, 0..16777215, or external must be true"],
  [{ id: 0x1000000 }, "RangeError", "id must be in 0..16777215"],
  [{ id: "5" }, "TypeError", "id must be an integer"],
  [{ id: 5, group: "192.0.2.1" }, "TypeError", "group must be a multicast address"],
  [{ id: 5, remote: "239.1.1.1" }, "TypeError", "remote must be a unicast address"],
  [{ id: 5, remote: "192.0.2.1", group: "239.1.1.1" }, "TypeError", "exclude each other"],
  [{ id: 5, remote: "nowhere" }, "TypeError", "remote"],
  [{ id: 5, ageing: 0 }, "RangeError", "ageing must be in 1.."],
  [{ id: 5, port: 0 }, "RangeError", "port must be in 1..65535"],
  [{ id: 5, srcPort: [2, 1] }, "RangeError", "srcPort must be [low, high]"],
  [{ id: 5, srcPort: 7 }, "TypeError", "srcPort must be [low, high]"],
  [{ id: 5, ttl: "parent" }, "TypeError", "ttl must be an integer"],
  [{ id: 5, df: "maybe" }, "TypeError", "df must be one of"],
  [{ id: 5, flowLabel: 0x100000 }, "RangeError", "abel must be in 0..1048575"],
  [{ id: 5, dev: "none" }, "NetlinkError", 'find dev "none"'],
  [{ id: 5, learning: 1 }, "TypeError", "learning must be a boolean"],
  [{ id: 5, collectMetadata: true }, "TypeError", 'Unknown option "collectMetadata"'],
  [{ id: 5, limit: 7 }, "TypeError", 'Unknown option "limit"'],
  [{ id: 5, remotes: [] }, "TypeError", 'Unknown option "remotes": did you mean "remote"?'],
  [{ id: 5, group: 7 }, "TypeError", "group"],
  [{ id: 5, group: "239.1.1.1" }, "NetlinkError", "EINVAL"],
];

testCases(KIND, "made", MADE);
testCases(KIND, "changed", CHANGED);
testRefusals(KIND, REFUSED);

kernelTest("vxlan", "A vxlan has settings of every link that its own options hide", () => {
  using netns = NetNs.create();
  const link = Vxlan.create({
    name: "vx0",
    netns,
    id: 7,
    port: 4789,
    link: { group: 9, mtu: 1400 },
  });
  const { group, mtu } = link.read();
  assertEquals([group, mtu, link.options().port], [9, 1400, 4789]);
  link.set({ link: { group: 11 } });
  assertEquals([link.read().group, link.options().port], [11, 4789]);
  assertThrows(
    () => link.set({ mtu: 1300, link: { mtu: 1200 } }),
    TypeError,
    "mtu and link.mtu are the same setting",
  );
});

kernelTest("vxlan", "Link.get() and Link.create() give a Vxlan, with typed options", () => {
  using netns = NetNs.create();
  const made = Link.create({ kind: "vxlan", name: "vx0", netns, group: 3, options: { id: 9 } });
  assert(made instanceof Vxlan && made instanceof Link);
  assertEquals([made.options().id, made.read().group], [9, 3]);
  const found = Link.get("vx0", { netns });
  assert(found instanceof Vxlan);
  const info = found.read();
  assert(info.kind === "vxlan");
  assertEquals(info.options.port, 8472);
  const ids = netns.links.list().filter((link) => link.kind === "vxlan")
    .map((link) => link.options.id);
  assertEquals(ids, [9]);
});

/** Two namespaces as machines, joined by a cable. */
async function machines(scope: Scope, family: "inet" | "inet6"): Promise<[NetNs, NetNs]> {
  const [m1, m2] = [NetNs.create({ scope }), NetNs.create({ scope })];
  const address = (n: number) => family === "inet" ? `192.0.2.${n}/24` : `2001:db8::${n}/64`;
  Veth.create({
    scope,
    name: "eth0",
    netns: m1,
    up: true,
    nodad: true,
    addresses: [address(1)],
    peer: { name: "eth0", netns: m2, up: true, nodad: true, addresses: [address(2)] },
  });
  await scope.ready();
  return [m1, m2];
}

for (
  const [family, remotes] of [
    ["inet", ["192.0.2.2", "192.0.2.1"]],
    ["inet6", ["2001:db8::2", "2001:db8::1"]],
  ] as const
) {
  kernelTest("vxlan", `A vxlan over ${family} carries packets between two machines`, async () => {
    await using scope = Scope.open();
    const ends = await machines(scope, family);
    ends.forEach((netns, i) =>
      Vxlan.create({
        scope,
        name: "vx0",
        netns,
        id: 42,
        remote: remotes[i]!,
        dev: "eth0",
        port: 4789,
        up: true,
        addresses: [`10.0.0.${i + 1}/24`],
      })
    );
    await scope.ready();
    assertEquals((await ends[0].ping("10.0.0.2")).received, 1);
  });
}

kernelTest(
  "vxlan",
  "A vxlan's remotes are entries of its FDB, as bridge fdb shows them",
  async () => {
    await using scope = Scope.open();
    const ends = await machines(scope, "inet");
    const links = ends.map((netns, i) =>
      Vxlan.create({
        scope,
        name: "vx0",
        netns,
        id: 42,
        port: 4789,
        local: `192.0.2.${i + 1}`,
        up: true,
        addresses: [`10.0.0.${i + 1}/24`],
      })
    );
    const zero = "00:00:00:00:00:00";
    links[0]!.fdb.add([{ mac: zero, dst: "192.0.2.2" }, {
      mac: zero,
      dst: "192.0.2.99",
      port: 5555,
    }]);
    links[1]!.fdb.add({ mac: zero, dst: "192.0.2.1", dev: "eth0" });
    await scope.ready();
    assertEquals((await ends[0].ping("10.0.0.2")).received, 1);
    const shown = bridge(ends[0].ref, "-j fdb show dev vx0")
      .filter(({ mac }) => mac === zero).map(({ dst, port }) => [dst, port]);
    assertEquals(shown, [["192.0.2.2", undefined], ["192.0.2.99", 5555]]);
    const listed = links[0]!.fdb.list().filter(({ mac }) => mac === zero);
    assertEquals(listed.map(({ dst, port }) => [dst, port]), shown);

    const refused = assertThrows(
      () =>
        links[0]!.fdb.add([
          { mac: "02:00:00:00:00:77", dst: "192.0.2.3" },
          { mac: zero, dst: "192.0.2.2" },
        ]),
      NetlinkError,
    );
    assertEquals(refused.code, "EEXIST");
    assert(!run(ends[0].ref, "bridge fdb show dev vx0").includes("02:00:00:00:00:77"));

    links[0]!.fdb.delete({ mac: zero, dst: "192.0.2.2" });
    assertEquals(
      assertThrows(() => links[0]!.fdb.delete({ mac: zero, dst: "192.0.2.2" }), NetlinkError).code,
      "ENOENT",
    );
    links[0]!.fdb.replace({ mac: "02:00:00:00:00:77", dst: "192.0.2.3" });
    links[0]!.fdb.replace({ mac: "02:00:00:00:00:77", dst: "192.0.2.4" });
    const [entry] = links[0]!.fdb.list().filter(({ mac }) => mac === "02:00:00:00:00:77");
    assertEquals(entry?.dst, "192.0.2.4");
  },
);

kernelTest("vxlan", "A vxlan may sit in another namespace than the link below it", async () => {
  await using scope = Scope.open();
  const [m1, m2] = await machines(scope, "inet");
  const inner = NetNs.create({ scope });
  const dev = Link.get("eth0", { netns: m1 });
  Vxlan.create({
    scope,
    name: "vx0",
    netns: inner,
    id: 42,
    remote: "192.0.2.2",
    dev,
    port: 4789,
    up: true,
    addresses: ["10.0.0.1/24"],
  });
  const far = NetNs.create({ scope });
  Vxlan.create({
    scope,
    name: "vx0",
    netns: far,
    linkNetns: m2,
    id: 42,
    remote: "192.0.2.1",
    dev: "eth0",
    port: 4789,
    up: true,
    addresses: ["10.0.0.2/24"],
  });
  await scope.ready();
  assertEquals(Vxlan.get("vx0", { netns: inner }).options().dev, dev.index);
  assertEquals((await inner.ping("10.0.0.2")).received, 1);
});

kernelTest("vxlan", "supports() tells options that are newer than others", () => {
  for (const option of ["vnifilter", "localbypass", "labelPolicy", "mcRoute"]) {
    assertEquals(typeof supports("vxlan", option), "boolean");
  }
  assert(supports("vxlan", "id"));
  assertThrows(() => supports("vxlan", "remotes"), TypeError, 'did you mean "remote"?');
});
