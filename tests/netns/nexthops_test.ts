// Nexthop objects made by netloom, by iproute2, and by the command line in netloom's trace: all the same.
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  BatchError,
  NetlinkError,
  NetNs,
  type NexthopOptions,
  Scope,
  trace,
  Veth,
} from "../../mod.ts";
import { ip, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";

function lab(): NetNs {
  const netns = NetNs.create();
  netns.sysctl("net.ipv6.conf.default.addr_gen_mode", 1);
  Veth.create({
    name: "v0",
    netns,
    index: 10,
    up: true,
    addresses: ["192.0.2.1/24", { address: "2001:db8::1/64", flags: ["nodad"] }],
    peer: { name: "v1", netns, up: true },
  });
  netns.nexthops.add([
    { id: 1, gateway: "192.0.2.2", dev: "v0" },
    { id: 2, gateway: "192.0.2.3", dev: "v0" },
    { id: 5, gateway: "192.0.2.5", fdb: true },
  ]);
  return netns;
}

const CASES: readonly [options: Omit<NexthopOptions, "id">, words: string, shown: Json][] = [
  [{ gateway: "192.0.2.9", dev: "v0" }, "via 192.0.2.9 dev v0", {
    gateway: "192.0.2.9",
    dev: "v0",
  }],
  [{ gateway: "2001:db8::9", dev: "v0" }, "via 2001:db8::9 dev v0", { gateway: "2001:db8::9" }],
  [{ dev: "v0", protocol: "static" }, "dev v0 protocol static", { protocol: "static" }],
  [{ gateway: "198.51.100.1", dev: "v0", onlink: true }, "via 198.51.100.1 dev v0 onlink", {
    flags: ["onlink"],
  }],
  [{ blackhole: true }, "blackhole", { blackhole: null }],
  [{ gateway: "192.0.2.9", fdb: true }, "via 192.0.2.9 fdb", { fdb: null }],
  [{ group: [{ id: 1, weight: 3 }, { id: 2, weight: 256 }] }, "group 1,3/2,256", {
    group: [{ id: 1, weight: 3 }, { id: 2, weight: 256 }],
  }],
  [{ group: [{ id: 5, weight: 1 }], fdb: true }, "group 5 fdb", { fdb: null }],
  [
    {
      group: [{ id: 1, weight: 1 }, { id: 2, weight: 1 }],
      type: "resilient",
      buckets: 8,
      idleTimer: 60,
      unbalancedTimer: 300,
    },
    "group 1/2 type resilient buckets 8 idle_timer 60 unbalanced_timer 300",
    { type: "resilient", resilient_args: { buckets: 8, idle_timer: 60, unbalanced_timer: 300 } },
  ],
];

test("A nexthop is the same when made here, by ip, and by ip as the trace has it", async (t) => {
  using netns = lab();
  for (const [options, words, shown] of CASES) {
    await t.step(words, () => {
      const lines: string[] = [];
      {
        using _trace = trace(({ command }) => lines.push(command));
        netns.nexthops.add({ id: 100, protocol: "boot", ...options });
      }
      const command = lines.find((line) => line.includes("nexthop add"))!;
      const ours = netns.nexthops.get(100);
      const { dev, ...asked } = options;
      if (dev !== undefined) assertEquals(ours.oif, 10);
      for (const [key, value] of Object.entries(asked)) {
        assertEquals(ours[key as keyof typeof ours], value as never, key);
      }
      const [seen] = ip(netns.ref, "-d -j nexthop get id 100");
      for (const key in shown) {
        const has = seen![key];
        const wanted = shown[key];
        const partial = typeof wanted === "object" && wanted && !Array.isArray(wanted);
        assertEquals(partial ? { ...has as Json, ...wanted } : has, has, key);
      }
      const six = String(options.gateway).includes(":") ? " -6" : "";
      const byHand = `ip${six} nexthop add id 100 ${words} protocol boot`
        .replace(/protocol (\w+) protocol boot/, "protocol $1");
      for (const line of [byHand, command.replace("dev if10", "dev v0")]) {
        netns.nexthops.delete(100);
        run(netns.ref, line);
        const { unbalancedTime: _, ...theirs } = netns.nexthops.get(100);
        const { unbalancedTime: __, ...own } = ours;
        assertEquals(theirs, own);
      }
      netns.nexthops.replace(ours);
      netns.nexthops.delete(ours);
      assertThrows(() => netns.nexthops.get(100), NetlinkError, "ENOENT");
    });
  }
});

test("nexthops refuse malformed selectors and filters, and delete nothing then", () => {
  using netns = NetNs.create();
  const { nexthops } = netns;
  nexthops.add([{ id: 1, blackhole: true }, { id: 2, blackhole: true }]);
  const refused: [call: () => unknown, text: string][] = [
    [() => nexthops.delete([1, { idd: 2 } as never]), 'Unknown option "idd": did you mean "id"?'],
    [() => nexthops.delete({ id: 1, dev: "lo" } as never), 'Unknown option "dev"'],
    [() => nexthops.delete({} as never), "id must be an integer: got undefined"],
    [() => nexthops.delete([1, null as never]), "must be an object: got null"],
    [() => nexthops.list({ groups: "yes" as never }), 'groups must be a boolean: got "yes"'],
    [() => nexthops.flush({ group: true } as never), 'did you mean "groups"?'],
  ];
  for (const [call, text] of refused) assertThrows(call, TypeError, text);
  assertEquals(nexthops.list().map(({ id }) => id), [1, 2]);
  nexthops.delete(nexthops.list());
  assertEquals(nexthops.list(), []);
});

test("nexthops.add() adds all or none, and names what it refuses", () => {
  using netns = lab();
  const ids = () => netns.nexthops.list().map(({ id }) => id);
  const error = assertThrows(
    () => netns.nexthops.add([{ id: 7, blackhole: true }, { id: 1, blackhole: true }]),
    BatchError,
  );
  assertEquals([error.code, error.index, ids()], ["EEXIST", 1, [1, 2, 5]]);
  const refused: [options: object, error: typeof TypeError | typeof RangeError, text: string][] = [
    [{ gateway: "192.0.2.9" }, TypeError, "id must be the id of a nexthop"],
    [{ id: 0, blackhole: true }, RangeError, "id must be in 1.."],
    [{ id: 7, group: [] }, TypeError, "group must be an array of nexthops"],
    [{ id: 7, group: [{ id: 1, weight: 0 }] }, RangeError, "group[0].weight must be in 1..65536"],
    [{ id: 7, group: [{ id: 1 }], idleTimer: -1 }, RangeError, "idleTimer must be in"],
    [{ id: 7, gatway: "192.0.2.9" }, TypeError, 'did you mean "gateway"?'],
    [{ id: 7, blackhole: 1 }, TypeError, "blackhole must be a boolean"],
  ];
  for (const [options, type, text] of refused) {
    assertThrows(() => netns.nexthops.add(options as NexthopOptions), type, text);
    assertEquals(ids(), [1, 2, 5]);
  }
  assertThrows(() => netns.nexthops.add({ id: 7, group: [{ id: 99 }] }), NetlinkError, "EINVAL");
});

test("nexthops.list() filters, and deleting a nexthop removes it from groups and routes", () => {
  using netns = lab();
  netns.nexthops.add({ id: 10, group: [{ id: 1 }, { id: 2 }], protocol: "static" });
  const ids = (filter: Parameters<typeof netns.nexthops.list>[0]) =>
    netns.nexthops.list(filter).map(({ id }) => id);
  assertEquals(ids({ dev: "v0" }), [1, 2]);
  assertEquals([ids({ groups: true }), ids({ groups: false })], [[10], [1, 2, 5]]);
  assertEquals(ids({ protocol: "static" }), [10]);
  netns.routes.add({ destination: "10.0.0.0/8", nexthopId: 10 });
  netns.nexthops.delete(1);
  assertEquals(netns.nexthops.get(10).group, [{ id: 2, weight: 1 }]);
  netns.nexthops.flush();
  assertEquals([ids({}), netns.routes.list({ table: "main", protocol: "boot" })], [[], []]);
});

test("Groups spread flows by weight, and a resilient one keeps those of its other members", async () => {
  await using scope = Scope.open();
  const host = NetNs.create({ scope });
  for (const n of [1, 2]) {
    const router = NetNs.create({ scope });
    Veth.create({
      scope,
      name: `up${n}`,
      netns: host,
      up: true,
      addresses: [`192.0.${n}.1/24`],
      peer: { name: "eth0", netns: router, up: true, addresses: [`192.0.${n}.254/24`] },
    });
  }
  await scope.ready();
  host.sysctl("net.ipv4.fib_multipath_hash_policy", 1);
  host.nexthops.add([
    { id: 1, gateway: "192.0.1.254", dev: "up1" },
    { id: 2, gateway: "192.0.2.254", dev: "up2" },
    { id: 10, group: [{ id: 1, weight: 3 }, { id: 2 }] },
    { id: 20, group: [{ id: 1 }, { id: 2 }], type: "resilient", buckets: 32, idleTimer: 1000 },
  ]);
  /** The link of each of many flows. */
  const flows = () =>
    Array.from({ length: 400 }, (_, i) =>
      host.routes.get("203.0.113.9", {
        from: "192.0.1.1",
        ipProtocol: 17,
        sport: 1000 + i,
        dport: 53,
      }).gateway);
  host.routes.add({ destination: "default", nexthopId: 10 });
  const first = flows().filter((it) => it === "192.0.1.254").length;
  // 3 of 4, by a hash.
  assert(first > 240 && first < 360, `${first}`);

  host.routes.replace({ destination: "default", nexthopId: 20 });
  const before = host.nexthops.buckets(20);
  assertEquals(before.length, 32);
  assertEquals(before.filter(({ nexthopId }) => nexthopId === 1).length, 16);
  const shown = ip(host.ref, "-j nexthop bucket list id 20");
  assertEquals(
    shown.map((it) => (it.bucket as Json).nhid),
    before.map(({ nexthopId }) => nexthopId),
  );
  const ways = flows();
  host.nexthops.replace({ id: 20, group: [{ id: 1 }], type: "resilient" });
  const after = flows();
  assert(ways.every((it, i) => it !== "192.0.1.254" || after[i] === it));
  assert(after.every((it) => it === "192.0.1.254"));
});
