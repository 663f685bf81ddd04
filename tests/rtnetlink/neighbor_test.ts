import { assert, assertEquals, assertThrows } from "@std/assert";
import { NetlinkError } from "../../src/netlink/error.ts";
import {
  deleteNeighbor,
  dumpNeighbors,
  getNeighbor,
  type NeighborFilter,
  type NeighborInfo,
  type NeighborMessage,
  newNeighbor,
  settableNeighbor,
} from "../../src/rtnetlink/mod.ts";
import { bodyOf, ip, type Json, readReply, run } from "../helpers.ts";
import { needing } from "../leaks.ts";
import { lacking, Testbed, V0, V1 } from "./testbed.ts";

const PLAIN = { index: 3, family: "inet" as const, flags: [], proxy: false, probes: 0 };

// As Linux 6.18 sent them.
const CAPTURED: [name: string, body: string, expected: NeighborInfo][] = [
  [
    "a permanent one",
    `02000000 03000000 80000001 08000100 c0000209 0a000200 02000000 00090000 08000400 00000000
     14000300 01000000 02000000 03000000 04000000`,
    {
      ...PLAIN,
      address: "192.0.2.9",
      lladdr: "02:00:00:00:00:09",
      state: "permanent",
      cacheInfo: { confirmed: 1, used: 2, updated: 3, refCount: 4 },
    },
  ],
  [
    "one without a state",
    `02000000 03000000 00000001 08000100 c000020a 08000400 00000000 14000300 70170000 00000000
     00000000 00000000`,
    {
      ...PLAIN,
      address: "192.0.2.10",
      state: "none",
      cacheInfo: { confirmed: 6000, used: 0, updated: 0, refCount: 0 },
    },
  ],
  [
    "one the kernel keeps resolved, with probes sent",
    `02000000 03000000 01000001 08000100 c000020b 08000400 04000000 14000300 70170000 00000000
     00000000 01000000 08000f00 01000000`,
    {
      ...PLAIN,
      address: "192.0.2.11",
      state: "incomplete",
      flags: ["managed"],
      probes: 4,
      cacheInfo: { confirmed: 6000, used: 0, updated: 0, refCount: 1 },
    },
  ],
  [
    "an IPv6 router, learned elsewhere, with its maker",
    `0a000000 03000000 02009001 14000100 20010db8 00000000 00000000 00000013 0a000200 02000000
     00090000 08000400 00000000 14000300 00000000 00000000 00000000 01000000 05000c00 0b000000`,
    {
      ...PLAIN,
      family: "inet6",
      address: "2001:db8::13",
      lladdr: "02:00:00:00:00:09",
      state: "reachable",
      flags: ["ext_learned", "router"],
      protocol: "zebra",
      cacheInfo: { confirmed: 0, used: 0, updated: 0, refCount: 1 },
    },
  ],
  [
    "a proxy",
    "02000000 03000000 00000801 08000100 c000020c",
    {
      index: 3,
      family: "inet",
      flags: [],
      proxy: true,
      address: "192.0.2.12",
      state: "none",
    },
  ],
];

for (const [name, body, expected] of CAPTURED) {
  Deno.test(`A neighbor is read from bytes: ${name}`, () => {
    assertEquals(readReply(dumpNeighbors(), body), expected);
  });
}

Deno.test("Every flag of a neighbor is read by its name", () => {
  const flags = (body: string) => readReply(dumpNeighbors(), body).flags;
  assertEquals(flags("02000000 03000000 0000ff01"), [
    "use",
    "self",
    "master",
    "ext_learned",
    "offloaded",
    "sticky",
    "router",
  ]);
  assertEquals(flags("02000000 03000000 00000001 08000f00 07000000"), [
    "managed",
    "locked",
    "ext_validated",
  ]);
});

Deno.test("A combination of states stays a number", () => {
  assertEquals(readReply(dumpNeighbors(), "02000000 03000000 c0000001").state, 0xc0);
});

// As iproute2 sends them, but for the order of attributes, and the state of proxies, which has no meaning.
const WRITTEN: [message: NeighborMessage, body: string][] = [
  [
    { index: 10, address: "192.0.2.9", lladdr: "02:00:00:00:00:09" },
    "02000000 0a000000 80000000 08000100 c0000209 0a000200 02000000 00090000",
  ],
  [
    {
      index: 10,
      protocol: "bird",
      address: "2001:db8::9",
      lladdr: "02:00:00:00:00:09",
      state: "reachable",
      flags: ["router", "ext_learned"],
    },
    `0a000000 0a000000 02009000 05000c00 0c000000 14000100 20010db8 00000000 00000000 00000009
     0a000200 02000000 00090000`,
  ],
  [
    { index: 10, address: "192.0.2.11", flags: ["managed"] },
    "02000000 0a000000 00000000 08000100 c000020b 08000f00 01000000",
  ],
  [
    { index: 10, address: "192.0.2.11", flags: ["use"] },
    "02000000 0a000000 00000100 08000100 c000020b",
  ],
  [
    { index: 10, address: "192.0.2.12", proxy: true },
    "02000000 0a000000 80000800 08000100 c000020c",
  ],
  [
    { index: 10, address: "192.0.2.12", state: 0x42 },
    "02000000 0a000000 42000000 08000100 c000020c",
  ],
];

for (const [message, body] of WRITTEN) {
  Deno.test(`A neighbor is written as bytes: ${newNeighbor(message).command()}`, () => {
    assertEquals(bodyOf(newNeighbor(message)), body.replace(/\s+/g, " "));
  });
}

Deno.test("Deletions, lookups and dumps of neighbors are written as iproute2 writes them", () => {
  const one = { index: 10, address: "192.0.2.9" };
  const proxy = { index: 10, address: "192.0.2.12", proxy: true };
  assertEquals(bodyOf(deleteNeighbor(one)), "02000000 0a000000 00000000 08000100 c0000209");
  assertEquals(bodyOf(getNeighbor(one)), "02000000 0a000000 00000000 08000100 c0000209");
  assertEquals(bodyOf(getNeighbor(proxy)), "02000000 0a000000 00000800 08000100 c000020c");
  assertEquals(
    bodyOf(dumpNeighbors({ index: 10 })),
    "00000000 00000000 00000000 08000800 0a000000",
  );
  assertEquals(
    bodyOf(dumpNeighbors({ master: 4 })),
    "00000000 00000000 00000000 08000900 04000000",
  );
  assertEquals(
    bodyOf(dumpNeighbors({ proxy: true, family: "inet6" })),
    "0a000000 00000000 00000800",
  );
});

const REFUSED: [message: object, error: typeof TypeError | typeof RangeError, text: string][] = [
  [{ index: 1, address: "10.0.0" }, TypeError, '"10.0.0" is not an IP address'],
  [{ index: 1, address: "10.0.0.1/8" }, TypeError, "is not an IP address"],
  [{ index: 1, address: "10.0.0.1", lladdr: "02:0g" }, TypeError, "is not a link-layer address"],
  [{ index: 1, address: "10.0.0.1", state: "dead" }, TypeError, "state must be one of"],
  [{ index: 1, address: "10.0.0.1", state: 65536 }, RangeError, "state must be in 0..65535"],
  [{ index: 1, address: "10.0.0.1", flags: ["proxy"] }, TypeError, "flags[0] must be one of"],
  [{ index: -1, address: "10.0.0.1" }, RangeError, "index must be in 0.."],
  [{ index: "v0", address: "10.0.0.1" }, TypeError, "index must be an integer"],
  [{ index: 1, address: "10.0.0.1", protocol: "me" }, TypeError, "protocol must be one of"],
  [{ index: 1, address: "10.0.0.1", dev: "v0" }, TypeError, 'Unknown option "dev"'],
];

for (const [message, error, text] of REFUSED) {
  Deno.test(`A neighbor is refused before anything is sent: ${text}`, () => {
    assertThrows(() => bodyOf(newNeighbor(message as NeighborMessage)), error, text);
  });
}

/** What `ip` shows, without the multicast neighbors that the kernel makes. */
function shown({ netns }: Testbed, proxy = false): Json[] {
  const words = proxy ? "-d -j neigh show proxy" : "-d -j neigh show nud all";
  return ip(netns, words).filter(({ dst }) => !/^(ff02|224)/.test(dst as string));
}

function ours({ connection }: Testbed, filter: NeighborFilter = {}): NeighborInfo[] {
  return connection.dump(dumpNeighbors(filter)).filter(({ address }) =>
    !/^(ff02|224)/.test(address)
  );
}

const lladdr = "02:00:00:00:00:09";

/** Ways to set a neighbor: ours, iproute2's, and what either has to show then. */
const CASES: [
  name: string,
  message: Omit<NeighborMessage, "index">,
  words: string,
  shown: Json,
  info: Partial<NeighborInfo>,
  setup?: string[],
][] = [
  [
    "IPv4",
    { address: "192.0.2.9", lladdr },
    `192.0.2.9 lladdr ${lladdr} dev v0`,
    { dst: "192.0.2.9", dev: "v0", lladdr, state: ["PERMANENT"] },
    { ...PLAIN, index: V0, address: "192.0.2.9", lladdr, state: "permanent" },
  ],
  [
    "IPv6",
    { address: "2001:db8::9", lladdr },
    `2001:db8::9 lladdr ${lladdr} dev v0`,
    { dst: "2001:db8::9", lladdr, state: ["PERMANENT"] },
    { ...PLAIN, index: V0, family: "inet6", address: "2001:db8::9", lladdr, state: "permanent" },
  ],
  ...(["reachable", "stale", "probe", "noarp"] as const).map((
    state,
  ): typeof CASES[number] => [
    `state ${state}`,
    { address: "192.0.2.9", lladdr, state },
    `192.0.2.9 lladdr ${lladdr} dev v0 nud ${state}`,
    { state: [state.toUpperCase()] },
    { state },
  ]),
  [
    "no state",
    { address: "192.0.2.9", state: "none" },
    `192.0.2.9 dev v0 nud none`,
    { dst: "192.0.2.9", dev: "v0" },
    { state: "none" },
  ],
  [
    "a router",
    { address: "2001:db8::9", lladdr, flags: ["router"] },
    `2001:db8::9 lladdr ${lladdr} dev v0 router`,
    { router: null },
    { flags: ["router"] },
  ],
  [
    "learned elsewhere",
    { address: "192.0.2.9", lladdr, flags: ["ext_learned"], state: "reachable" },
    `192.0.2.9 lladdr ${lladdr} dev v0 extern_learn nud reachable`,
    { extern_learn: null, state: ["REACHABLE"] },
    { flags: ["ext_learned"], state: "reachable" },
  ],
  [
    "its maker",
    { address: "192.0.2.9", lladdr, protocol: "static" },
    `192.0.2.9 lladdr ${lladdr} dev v0 protocol static`,
    { protocol: "static" },
    { protocol: "static" },
  ],
  [
    "kept resolved",
    { address: "192.0.2.9", flags: ["managed"] },
    `192.0.2.9 dev v0 managed`,
    { managed: null },
    { flags: ["managed"] },
    ["ip neigh add 192.0.2.99 dev v0 managed", "ip neigh del 192.0.2.99 dev v0"],
  ],
  [
    "resolved now",
    { address: "192.0.2.9", flags: ["use"] },
    `192.0.2.9 dev v0 use`,
    { dst: "192.0.2.9" },
    { flags: [] },
  ],
  [
    "a proxy",
    { address: "192.0.2.9", proxy: true },
    "proxy 192.0.2.9 dev v0",
    { dst: "192.0.2.9", dev: "v0", proxy: null },
    { index: V0, address: "192.0.2.9", proxy: true, flags: [] },
  ],
  [
    "an IPv6 proxy",
    { address: "2001:db8::9", proxy: true },
    "proxy 2001:db8::9 dev v0",
    { dst: "2001:db8::9", proxy: null },
    { family: "inet6", address: "2001:db8::9", proxy: true },
  ],
];

for (const [name, message, words, expected, info, setup = []] of CASES) {
  Deno.test({
    ...needing(
      { lacks: setup.length > 0 ? lacking(...setup) : undefined },
      `A neighbor set here or by ip is the same in the kernel: ${name}`,
    ),
    fn: () => {
      const request = newNeighbor({ index: V0, ...message });
      const { proxy = false } = message;
      using testbed = new Testbed();
      const { connection, netns } = testbed;
      const check = () => {
        const [entry, ...more] = shown(testbed, proxy);
        assertEquals(more, []);
        for (const [key, value] of Object.entries(expected)) assertEquals(entry![key], value, key);
        const [read] = ours(testbed, { proxy });
        for (const [key, value] of Object.entries(info)) {
          assertEquals(read![key as keyof NeighborInfo], value, key);
        }
        // Its times and its probes go on between two readings.
        const { cacheInfo: _1, probes: _2, ...one } = connection.request(getNeighbor(read!));
        const { cacheInfo: _3, probes: _4, ...same } = ours(testbed, { proxy })[0]!;
        assertEquals(one, same);
        connection.request(deleteNeighbor(read!));
        assertEquals(shown(testbed, proxy).filter(({ state }) => `${state}` !== "FAILED"), []);
        return entry;
      };
      connection.request(request);
      const byUs = check();
      for (const line of [`ip neigh add ${words}`, request.command()]) {
        run(netns, line);
        assertEquals(check(), byUs);
      }
    },
  });
}

Deno.test("newNeighbor() refuses what is there already, unless it is to replace it", () => {
  using testbed = new Testbed();
  const { connection } = testbed;
  const message = { index: V0, address: "192.0.2.9", lladdr };
  connection.request(newNeighbor(message));
  assertThrows(
    () => connection.request(newNeighbor(message)),
    NetlinkError,
    "add neighbor 192.0.2.9 on link 10 in test netns: File exists (EEXIST)",
  );
  const other = newNeighbor({ ...message, lladdr: "02:00:00:00:00:0a" }, { replace: true });
  connection.request(other);
  assertEquals(ours(testbed).map(({ lladdr }) => lladdr), ["02:00:00:00:00:0a"]);
  run(testbed.netns, newNeighbor(message, { replace: true }).command());
  assertEquals(ours(testbed).map(({ lladdr }) => lladdr), [lladdr]);
});

Deno.test("A neighbor that is not there is ENOENT", () => {
  using testbed = new Testbed();
  for (const proxy of [false, true]) {
    const selector = { index: V0, address: "192.0.2.9", proxy };
    for (const request of [getNeighbor(selector), deleteNeighbor(selector)]) {
      const error = assertThrows(() => testbed.connection.request(request), NetlinkError);
      assertEquals(error.code, "ENOENT");
    }
  }
});

Deno.test("A neighbor can be set and deleted as it was read", () => {
  using testbed = new Testbed(`ip neigh add 192.0.2.9 lladdr ${lladdr} dev v0 protocol static`);
  const [info] = ours(testbed) as [NeighborInfo];
  testbed.connection.request(newNeighbor(settableNeighbor(info), { replace: true }));
  assertEquals(ours(testbed).length, 1);
});

Deno.test("dumpNeighbors() is limited to a link, a master, a family, and to proxies", () => {
  using testbed = new Testbed(
    "ip link add br0 index 12 type bridge",
    "ip link set v1 master br0",
    `ip neigh add 192.0.2.1 lladdr ${lladdr} dev v0`,
    `ip neigh add 192.0.2.2 lladdr ${lladdr} dev v1`,
    `ip neigh add 2001:db8::1 lladdr ${lladdr} dev v0`,
    `ip neigh add 2001:db8::2 lladdr ${lladdr} dev v1`,
    "ip neigh add proxy 192.0.2.3 dev v0",
    "ip neigh add proxy 2001:db8::3 dev v1",
  );
  const found = (filter: NeighborFilter) =>
    ours(testbed, filter).map(({ address }) => address).sort();
  assertEquals(found({}), ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]);
  assertEquals(found({ index: V0 }), ["192.0.2.1", "2001:db8::1"]);
  assertEquals(found({ family: "inet6" }), ["2001:db8::1", "2001:db8::2"]);
  assertEquals(found({ index: V1, family: "inet" }), ["192.0.2.2"]);
  assertEquals(found({ master: 12 }), ["192.0.2.2", "2001:db8::2"]);
  assertEquals(found({ proxy: true }), ["192.0.2.3", "2001:db8::3"]);
  assertEquals(found({ proxy: true, index: V1 }), ["2001:db8::3"]);
  assertEquals(found({ proxy: true, family: "inet" }), ["192.0.2.3"]);
  const filters: NeighborFilter[] = [{ index: V0 }, { master: 12, family: "inet" }, {
    proxy: true,
  }];
  for (const filter of filters) {
    const command = dumpNeighbors(filter).command().replace(/^ip/, "-j");
    const addresses = ip(testbed.netns, command).map(({ dst }) => dst as string);
    assertEquals(addresses.filter((it) => !/^(ff02|224)/.test(it)).sort(), found(filter));
  }
});

Deno.test("Two thousand neighbors are made and read", () => {
  using testbed = new Testbed();
  const { connection } = testbed;
  const results = connection.batch(
    Array.from(
      { length: 2000 },
      (_, i) => newNeighbor({ index: V0, address: `10.0.${i >> 8}.${i & 255}`, lladdr }),
    ),
  );
  assert(results.filter(({ ok }) => ok).length > 1000); // the table has a limit of its own
  assertEquals(ours(testbed, { family: "inet" }).length, results.filter(({ ok }) => ok).length);
});
