import { assert, assertEquals, assertThrows } from "@std/assert";
import { NetlinkError } from "../../src/netlink/error.ts";
import {
  deleteFdb,
  dumpFdb,
  type FdbFlushFilter,
  type FdbInfo,
  type FdbMessage,
  flushFdb,
  getFdb,
  newFdb,
  type NewFdbOptions,
} from "../../src/rtnetlink/mod.ts";
import { bodyOf, bridge, type Json, readReply, run } from "../helpers.ts";
import { needing } from "../leaks.ts";
import { BR0, BRIDGE, lacking, Testbed, V0, V1 } from "./testbed.ts";

const VX0 = 13;

const VXLAN = ["ip link add vx0 index 13 type vxlan id 5 dstport 4789 dev v0"];

const CACHE = { confirmed: 0, used: 0, updated: 0, refCount: 0 };

// As Linux 6.18 sent them.
const CAPTURED: [name: string, body: string, expected: FdbInfo][] = [
  [
    "a sticky one",
    `07000000 02000000 40004000 0a000200 02000000 007a0000 08000900 04000000 08000f00 00000000
     14000300 00000000 00000000 00000000 00000000`,
    {
      index: 2,
      mac: "02:00:00:00:00:7a",
      state: "static",
      flags: ["sticky"],
      master: 4,
      cacheInfo: CACHE,
    },
  ],
  [
    "the bridge's own",
    `07000000 04000000 80000000 0a000200 02000000 00790000 08000900 04000000 08000f00 00000000
     14000300 01000000 02000000 03000000 00000000`,
    {
      index: 4,
      mac: "02:00:00:00:00:79",
      state: "permanent",
      flags: [],
      master: 4,
      cacheInfo: { confirmed: 1, used: 2, updated: 3, refCount: 0 },
    },
  ],
  [
    "a link's own",
    "07000000 02000000 80000200 0a000200 02000000 007b0000",
    { index: 2, mac: "02:00:00:00:00:7b", state: "permanent", flags: ["self"] },
  ],
  [
    "a VXLAN's default destination",
    `07000000 05000000 c0000201 0a000200 00000000 00000000 08000100 c0000209 06000600 00630000
     08000700 07000000 08000800 03000000 14000300 00000000 00000000 00000000 00000000`,
    {
      index: 5,
      mac: "00:00:00:00:00:00",
      state: "permanent",
      flags: ["self"],
      dst: "192.0.2.9",
      port: 99,
      vni: 7,
      oif: 3,
      cacheInfo: CACHE,
    },
  ],
  [
    "one with a VLAN that tells when it becomes inactive, and has",
    `07000000 02000000 04000000 0a000200 02000000 00780000 08000900 04000000 06000500 64000000
     0c000e00 05000100 03000000`,
    {
      index: 2,
      mac: "02:00:00:00:00:78",
      state: "stale",
      flags: [],
      master: 4,
      vlan: 100,
      activityNotify: true,
      inactive: true,
    },
  ],
];

for (const [name, body, expected] of CAPTURED) {
  Deno.test(`A forwarding entry is read from bytes: ${name}`, () => {
    assertEquals(readReply(dumpFdb(), body), expected);
  });
}

// As iproute2 sends them.
const WRITTEN: [message: FdbMessage, body: string][] = [
  [
    { index: 11, mac: "02:00:00:00:00:77" },
    "07000000 0b000000 42000400 0a000200 02000000 00770000",
  ],
  [
    { index: 11, mac: "02:00:00:00:00:77", state: "dynamic", vlan: 100 },
    "07000000 0b000000 02000400 0a000200 02000000 00770000 06000500 64000000",
  ],
  [
    { index: 11, mac: "02:00:00:00:00:77", flags: ["self"] },
    "07000000 0b000000 c0000200 0a000200 02000000 00770000",
  ],
  [
    { index: 11, mac: "02:00:00:00:00:77", state: "permanent", flags: ["master", "ext_learned"] },
    "07000000 0b000000 c0001400 0a000200 02000000 00770000",
  ],
  [
    {
      index: 13,
      mac: "00:00:00:00:00:00",
      dst: "192.0.2.9",
      port: 99,
      vni: 7,
      srcVni: 9,
      oif: 10,
      flags: ["self"],
    },
    `07000000 0d000000 c0000200 0a000200 00000000 00000000 08000100 c0000209 06000600 00630000
     08000700 07000000 08000b00 09000000 08000800 0a000000`,
  ],
  [
    { index: 11, mac: "02:00:00:00:00:77", activityNotify: true, dontRefresh: true },
    "07000000 0b000000 42000400 0a000200 02000000 00770000 10000e80 05000100 01000000 04000200",
  ],
];

for (const [message, body] of WRITTEN) {
  Deno.test(`A forwarding entry is written as bytes: ${newFdb(message).command()}`, () => {
    assertEquals(bodyOf(newFdb(message)), body.replace(/\s+/g, " "));
  });
}

Deno.test("Lookups, dumps and flushes are written as iproute2 writes them", () => {
  const mac = "02:00:00:00:00:78";
  const one = "07000000 0b000000 00000400 0a000200 02000000 00780000";
  assertEquals(bodyOf(getFdb({ index: 11, mac })), one);
  assertEquals(bodyOf(deleteFdb({ index: 11, mac, flags: ["master", "sticky"] })), one);
  assertEquals(
    bodyOf(dumpFdb({ bridge: 12, index: 11 })),
    "07000000 0b000000 00000000 08000900 0c000000",
  );
  assertEquals(
    bodyOf(flushFdb(12, { index: 11, state: "static", sticky: true })),
    "07000000 0c000000 40004200 08000800 0b000000 06001000 c0000000 05001100 40000000",
  );
  assertEquals(
    bodyOf(flushFdb(12, { vlan: 5, state: "dynamic", addedByUser: false })),
    "07000000 0c000000 00000200 06000500 05000000 06001000 c0000000 05001100 01000000",
  );
});

const REFUSED: [build: () => unknown, error: typeof TypeError | typeof RangeError, text: string][] =
  [
    [() => newFdb({ index: 1, mac: "02:00" }), TypeError, "is not an Ethernet address"],
    [
      () => newFdb({ index: 1, mac: "02:00:00:00:00:01", vlan: 4095 }),
      RangeError,
      "vlan must be in 1..4094: got 4095",
    ],
    [
      () => newFdb({ index: 1, mac: "02:00:00:00:00:01", vni: 1 << 24 }),
      RangeError,
      "vni must be in 0..16777215",
    ],
    [
      () => newFdb({ index: 1, mac: "02:00:00:00:00:01", state: "fixed" as "static" }),
      TypeError,
      "state must be one of",
    ],
    [
      () => newFdb({ index: 1, mac: "02:00:00:00:00:01", brport: 1 } as FdbMessage),
      TypeError,
      'Unknown option "brport"',
    ],
    // A flush whose filter is not understood must not remove more than was meant.
    [
      () => flushFdb(1, { vlans: 5 } as FdbFlushFilter),
      TypeError,
      'Unknown option "vlans"',
    ],
    [
      () => flushFdb(1, { state: "stale" as "static" }),
      TypeError,
      'state must be one of "permanent", "static", "dynamic": got "stale"',
    ],
    [() => flushFdb(1, { vlan: 0 }), RangeError, "vlan must be in 1..4094"],
  ];

for (const [build, error, text] of REFUSED) {
  Deno.test(`A forwarding entry is refused before anything is sent: ${text}`, () => {
    assertThrows(() => bodyOf(build() as Parameters<typeof bodyOf>[0]), error, text);
  });
}

Deno.test("newFdb() cannot replace and append at once", () => {
  assertThrows(
    () => newFdb({ index: 1, mac: "02:00:00:00:00:01" }, { replace: true, append: true }),
    TypeError,
    "exclude each other",
  );
});

const MAC = "02:00:00:00:00:77";

/** What `bridge` shows of the entries that a test makes. */
function shown({ netns }: Testbed): Json[] {
  return bridge(netns, "-d -j fdb show").filter(({ mac }) => mac === MAC || mac === ZERO);
}

function ours({ connection }: Testbed): FdbInfo[] {
  return connection.dump(dumpFdb()).filter(({ mac }) => mac === MAC || mac === ZERO);
}

const ZERO = "00:00:00:00:00:00";

/** Ways to set an entry: ours, iproute2's, and what either has to show then. */
const CASES: [
  name: string,
  message: FdbMessage,
  words: string,
  shown: Json,
  info: Partial<FdbInfo>,
  setup?: string[],
][] = [
  [
    "on a port",
    { index: V1, mac: MAC },
    `${MAC} dev v1 master static`,
    { mac: MAC, ifname: "v1", master: "br0", flags: [], state: "static" },
    { index: V1, mac: MAC, master: BR0, flags: [], state: "static" },
  ],
  [
    "dynamic",
    { index: V1, mac: MAC, state: "dynamic" },
    `${MAC} dev v1 master dynamic`,
    { state: "" },
    { state: "dynamic" },
  ],
  [
    "permanent",
    { index: V1, mac: MAC, state: "permanent" },
    `${MAC} dev v1 master permanent`,
    { state: "permanent" },
    { state: "permanent" },
  ],
  [
    "sticky",
    { index: V1, mac: MAC, flags: ["master", "sticky"] },
    `${MAC} dev v1 master sticky static`,
    { flags: ["sticky"] },
    { flags: ["sticky"], state: "static" },
  ],
  [
    "learned elsewhere",
    { index: V1, mac: MAC, flags: ["master", "ext_learned"] },
    `${MAC} dev v1 master extern_learn static`,
    { flags: ["extern_learn"] },
    { flags: ["ext_learned"], state: "dynamic" },
  ],
  [
    "on the bridge itself",
    { index: BR0, mac: MAC, flags: ["self"] },
    `${MAC} dev br0 self permanent`,
    { ifname: "br0", master: "br0", state: "permanent" },
    { index: BR0, master: BR0, state: "permanent" },
  ],
  [
    "of the link itself",
    { index: V0, mac: MAC, flags: ["self"] },
    `${MAC} dev v0 self permanent`,
    { ifname: "v0", flags: ["self"], state: "permanent" },
    { index: V0, flags: ["self"], state: "permanent" },
  ],
  [
    "a VXLAN's",
    { index: VX0, mac: MAC, dst: "192.0.2.9", flags: ["self"] },
    `${MAC} dev vx0 dst 192.0.2.9 self permanent`,
    { ifname: "vx0", dst: "192.0.2.9", flags: ["self"] },
    { index: VX0, dst: "192.0.2.9", flags: ["self"] },
    VXLAN,
  ],
  [
    "all a VXLAN's entry has",
    {
      index: VX0,
      mac: ZERO,
      dst: "192.0.2.9",
      port: 99,
      vni: 7,
      oif: V0,
      flags: ["self"],
      state: "dynamic",
    },
    `${ZERO} dev vx0 dst 192.0.2.9 port 99 vni 7 via v0 self dynamic`,
    { dst: "192.0.2.9", port: 99, vni: 7, viaIf: "v0", flags: ["self"] },
    { dst: "192.0.2.9", port: 99, vni: 7, oif: V0, flags: ["self"], state: "dynamic" },
    VXLAN,
  ],
  [
    "a VLAN",
    { index: V1, mac: MAC, vlan: 100 },
    `${MAC} dev v1 master static vlan 100`,
    { vlan: 100 },
    { vlan: 100, state: "static" },
    ["ip link set br0 type bridge vlan_filtering 1", "bridge vlan add dev v1 vid 100"],
  ],
];

for (const [name, message, words, expected, info, setup = []] of CASES) {
  Deno.test({
    ...needing(
      { lacks: setup.length > 0 ? lacking(...BRIDGE, ...setup) : undefined },
      `A forwarding entry set here or by bridge is the same in the kernel: ${name}`,
    ),
    fn: () => {
      const request = newFdb(message);
      using testbed = new Testbed(...BRIDGE, ...setup);
      const { connection, netns } = testbed;
      const check = () => {
        const [entry, ...more] = shown(testbed);
        assertEquals(more, []);
        for (const [key, value] of Object.entries(expected)) assertEquals(entry![key], value, key);
        const [read] = ours(testbed);
        for (const [key, value] of Object.entries(info)) {
          assertEquals(read![key as keyof FdbInfo], value, key);
        }
        connection.request(deleteFdb(message));
        assertEquals(shown(testbed), []);
        return entry;
      };
      connection.request(request);
      const byUs = check();
      for (const line of [`bridge fdb add ${words}`, request.command()]) {
        run(netns, line);
        assertEquals(check(), byUs);
      }
      connection.request(request);
      run(netns, deleteFdb(message).command());
      assertEquals(shown(testbed), []);
    },
  });
}

Deno.test("An entry that tells of activity says so when read", () => {
  using testbed = new Testbed(...BRIDGE);
  testbed.connection.request(
    newFdb({ index: V1, mac: MAC, state: "dynamic", activityNotify: true, dontRefresh: true }),
  );
  assertEquals(ours(testbed).map(({ activityNotify }) => activityNotify), [true]);
});

Deno.test("newFdb() refuses what is there already, unless it is to replace it", () => {
  using testbed = new Testbed(...BRIDGE);
  const { connection } = testbed;
  const set = (state: "static" | "dynamic", options?: NewFdbOptions) =>
    connection.request(newFdb({ index: V1, mac: MAC, state }, options));
  set("static");
  assertThrows(
    () => set("dynamic"),
    NetlinkError,
    `add forwarding entry ${MAC} on link 11 in test netns: File exists (EEXIST)`,
  );
  set("dynamic", { replace: true });
  assertEquals(ours(testbed).map(({ state }) => state), ["dynamic"]);
});

Deno.test({
  ...needing(
    { lacks: lacking(...VXLAN) },
    "newFdb() appends destinations to a VXLAN's entry, and deleteFdb() takes one of them",
  ),
  fn: () => {
    using testbed = new Testbed(...VXLAN);
    const { connection } = testbed;
    const to = (dst: string): FdbMessage => ({ index: VX0, mac: ZERO, dst, flags: ["self"] });
    const destinations = () => ours(testbed).map(({ dst }) => dst).sort();
    connection.request(newFdb(to("192.0.2.1")));
    connection.request(newFdb(to("192.0.2.2"), { append: true }));
    run(testbed.netns, newFdb(to("192.0.2.3"), { append: true }).command());
    assertEquals(destinations(), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    connection.request(deleteFdb(to("192.0.2.2")));
    assertEquals(destinations(), ["192.0.2.1", "192.0.2.3"]);
  },
});

Deno.test("getFdb() reads one entry, or is ENOENT", () => {
  using testbed = new Testbed(...BRIDGE, `bridge fdb add ${MAC} dev v1 master static`);
  const { connection } = testbed;
  const { index, mac, master, state } = connection.request(getFdb({ index: V1, mac: MAC }));
  assertEquals({ index, mac, master, state }, {
    index: V1,
    mac: MAC,
    master: BR0,
    state: "static",
  });
  const none = getFdb({ index: V1, mac: "02:00:00:00:00:99" });
  assertEquals(assertThrows(() => connection.request(none), NetlinkError).code, "ENOENT");
});

Deno.test("deleteFdb() of an entry that is not there is ENOENT", () => {
  using testbed = new Testbed(...BRIDGE);
  const none = deleteFdb({ index: V1, mac: MAC });
  assertEquals(assertThrows(() => testbed.connection.request(none), NetlinkError).code, "ENOENT");
});

Deno.test("dumpFdb() is limited to a bridge's table and to a link", () => {
  using testbed = new Testbed(
    ...BRIDGE,
    "ip link add br1 index 20 address 02:00:00:00:00:20 type bridge vlan_default_pvid 0",
    "ip link add v2 index 21 address 02:00:00:00:00:21 master br1 type veth peer name v3 index 22",
    "ip link set v3 master br1",
    `bridge fdb add ${MAC} dev v1 master static`,
    "bridge fdb add 02:00:00:00:00:78 dev v2 master static",
    "bridge fdb add 02:00:00:00:00:79 dev v3 master static",
  );
  const found = (filter: { bridge?: number; index?: number }) =>
    testbed.connection.dump(dumpFdb(filter))
      .filter(({ state, master }) => state === "static" && master !== undefined)
      .map(({ mac }) => mac).sort();
  assertEquals(found({}), [MAC, "02:00:00:00:00:78", "02:00:00:00:00:79"]);
  assertEquals(found({ bridge: BR0 }), [MAC]);
  assertEquals(found({ bridge: 20 }), ["02:00:00:00:00:78", "02:00:00:00:00:79"]);
  assertEquals(found({ bridge: 20, index: 22 }), ["02:00:00:00:00:79"]);
  assertEquals(found({ index: 21 }), ["02:00:00:00:00:78"]);
  assert(testbed.connection.dump(dumpFdb({ bridge: 20 })).every(({ master }) => master === 20));
  for (const filter of [{}, { bridge: 20 }, { bridge: 20, index: 22 }, { index: 21 }]) {
    const command = dumpFdb(filter).command().replace(/^bridge/, "-j");
    const entries = bridge(testbed.netns, command).filter(({ state }) => state === "static");
    assertEquals(entries.map(({ mac }) => mac as string).sort(), found(filter));
  }
});
