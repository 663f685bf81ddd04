import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { newNetNs } from "../../ffi/namespace.ts";
import {
  BatchError,
  Bridge,
  type BridgeFdbEntry,
  type BridgeFdbFilter,
  type BridgeFdbInfo,
  type BridgePort,
  NetlinkError,
  supports,
  Veth,
} from "../../mod.ts";
import { bridge as bridgeCommand, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { until } from "./bridge_table.ts";

/** A namespace with the bridge `br0`, and its ports `p1` and `p2`, both forwarding. */
class Lab implements Disposable {
  readonly ref: ReturnType<typeof newNetNs> = newNetNs("test");
  readonly bridge: Bridge;
  readonly ports: readonly [BridgePort, BridgePort];

  private constructor() {
    const netns = { ref: this.ref };
    this.bridge = Bridge.create({ name: "br0", netns, up: true });
    const master = this.bridge;
    for (const n of [1, 2]) {
      // Without IPv6 addresses nobody speaks, and nothing is learned behind a test's back.
      const peer = { name: `v${n}`, netns, addrGenMode: "none", up: true } as const;
      Veth.create({ name: `p${n}`, netns, master, up: true, peer });
    }
    this.ports = [this.bridge.port("p1"), this.bridge.port("p2")];
  }

  static async open(): Promise<Lab> {
    const lab = new Lab();
    await until(() => lab.ports.every((port) => port.options().state === "forwarding"));
    return lab;
  }

  /** The table as iproute2 shows it, without what the links themselves listen to. */
  shown(): Json[] {
    return bridgeCommand(this.ref, "-s -j fdb show br br0").filter(({ master }) => master);
  }

  /** What iproute2 shows of an address. */
  find(mac: string): Json[] {
    return bridgeCommand(this.ref, "-s -j fdb show br br0").filter((entry) => entry.mac === mac);
  }

  [Symbol.dispose](): void {
    this.ref.close();
  }
}

const mac = (n: number): string => `02:00:00:00:00:${n.toString(16).padStart(2, "0")}`;

/** Names of the addresses that a test has made. */
function made(entries: readonly { mac: string }[]): string[] {
  return [...new Set(entries.map(({ mac }) => mac).filter((mac) => mac.startsWith("02:00:00:00")))]
    .sort();
}

const ROWS: readonly [title: string, entry: BridgeFdbEntry, shown: Json, words: string][] = [
  [
    "static",
    { mac: mac(1), port: "p1" },
    { ifname: "p1", state: "static", flags: [] },
    "dev p1 master static",
  ],
  [
    "dynamic",
    { mac: mac(1), port: "p1", state: "dynamic" },
    { ifname: "p1", state: "", flags: [] },
    "dev p1 master dynamic",
  ],
  [
    "permanent",
    { mac: mac(1), port: "p1", state: "permanent" },
    { ifname: "p1", state: "permanent", flags: [] },
    "dev p1 master local",
  ],
  [
    "the bridge's own",
    { mac: mac(1) },
    { ifname: "br0", state: "permanent", flags: [] },
    "dev br0 self local",
  ],
  [
    "sticky",
    { mac: mac(1), port: "p2", flags: ["sticky"] },
    { ifname: "p2", state: "static", flags: ["sticky"] },
    "dev p2 master static sticky",
  ],
  [
    "ext_learned",
    { mac: mac(1), port: "p2", flags: ["ext_learned"] },
    { ifname: "p2", state: "", flags: ["extern_learn"] },
    "dev p2 master dynamic extern_learn",
  ],
];

/** The rest of an entry's description, as {@link BridgeFdb.list} has it. */
function listed(entry: BridgeFdbInfo | undefined): Json {
  const flags = entry?.flags.map((flag) => flag === "ext_learned" ? "extern_learn" : flag);
  return { ifname: entry?.port, state: entry?.state === "dynamic" ? "" : entry?.state, flags };
}

for (const [title, entry, shown, words] of ROWS) {
  test(`BridgeFdb.add() adds an entry that is ${title}, and iproute2 and list() agree`, async () => {
    using lab = await Lab.open();
    lab.bridge.fdb.add(entry);
    const [found, ...more] = lab.find(entry.mac).filter(({ vlan }) => vlan === undefined);
    assertEquals([found?.ifname, found?.state, found?.flags], [
      shown.ifname,
      shown.state,
      shown.flags,
    ]);
    assertEquals([found?.master, more], ["br0", []]);
    const own = lab.bridge.fdb.list().find(({ mac, vlan }) => mac === entry.mac && !vlan);
    assertEquals(listed(own), shown);
    // What a program has learned it may set again.
    if (title !== "ext_learned") {
      const again = () => lab.bridge.fdb.add(entry);
      const { message } = assertThrows(again, NetlinkError, "File exists");
      assertStringIncludes(message, `add forwarding entry ${entry.mac} on `);
      assertStringIncludes(message, JSON.stringify(shown.ifname));
    }

    lab.bridge.fdb.delete(entry);
    assertEquals(lab.find(entry.mac), []);
    assertThrows(() => lab.bridge.fdb.delete(entry), NetlinkError, "No such file");
  });

  test(`BridgeFdb.list() reads an entry that is ${title} and that iproute2 has added`, async () => {
    using lab = await Lab.open();
    run(lab.ref, `bridge fdb add ${entry.mac} ${words}`);
    const own = lab.bridge.fdb.list().find(({ mac, vlan }) => mac === entry.mac && !vlan);
    assertEquals(listed(own), shown);
  });
}

test("BridgeFdb.list() has all that iproute2 shows of the bridge's table", async () => {
  using lab = await Lab.open();
  for (let n = 1; n <= 200; n++) {
    lab.bridge.fdb.add({
      mac: mac(n),
      port: n % 2 ? "p1" : "p2",
      state: n % 3 ? "static" : "dynamic",
    });
  }
  const key = (it: { mac?: unknown; port?: unknown; ifname?: unknown; vlan?: unknown }) =>
    [it.mac, it.port ?? it.ifname, it.vlan].join();
  assertEquals(lab.bridge.fdb.list().map(key).sort(), lab.shown().map(key).sort());
  const { index } = lab.ports[0];
  const ofPort = lab.bridge.fdb.list().filter((entry) => entry.port === "p1");
  assert(ofPort.length >= 100 && ofPort.every((entry) => entry.index === index));
  assertEquals(lab.ports[0].fdb.list().map(key).sort(), ofPort.map(key).sort());
});

test("BridgeFdb.list() says when a learned address was seen, in seconds", async () => {
  using lab = await Lab.open();
  // The other end of a port speaks by itself: it looks for IPv6 routers.
  Veth.create({
    name: "host",
    netns: { ref: lab.ref },
    mac: mac(7),
    up: true,
    peer: { name: "p3", master: lab.bridge, up: true },
  });
  const find = (n: number) => lab.bridge.fdb.list().find((entry) => entry.mac === mac(n));
  await until(() => find(7) !== undefined);
  assertEquals([find(7)?.port, find(7)?.state, find(7)?.flags], ["p3", "dynamic", []]);
  lab.bridge.fdb.add({ mac: mac(8), port: "p1" });
  await new Promise((resolve) => setTimeout(resolve, 1200));
  for (const n of [7, 8]) {
    const [shown] = lab.find(mac(n));
    const { updated, used } = find(n)!;
    // iproute2 shows whole seconds.
    assert(Math.abs(updated - Number(shown?.updated)) <= 1.1, `${updated}, ${shown?.updated}`);
    assert(Math.abs(used - Number(shown?.used)) <= 1.1, `${used}, ${shown?.used}`);
  }
  const { updated } = find(8)!;
  assert(updated >= 1.19 && updated < 20, `set ${updated} s ago`);
});

test("BridgeFdb.replace() moves an address to another port and changes its state", async () => {
  using lab = await Lab.open();
  const [p1, p2] = lab.ports;
  const entry = () =>
    lab.find(mac(1)).filter(({ vlan }) => !vlan).map((it) => [it.ifname, it.state]);
  lab.bridge.fdb.replace({ mac: mac(1), port: p1 });
  assertEquals(entry(), [["p1", "static"]]);
  lab.bridge.fdb.replace({ mac: mac(1), port: p2, state: "dynamic" });
  assertEquals(entry(), [["p2", ""]]);
  lab.bridge.fdb.replace({ mac: mac(1), port: p2.index, state: "permanent" });
  assertEquals(entry(), [["p2", "permanent"]]);
  assertThrows(
    () => lab.bridge.fdb.delete({ mac: mac(1), port: p1 }),
    NetlinkError,
    "No such file",
  );
  assertEquals(entry(), [["p2", "permanent"]]);
});

test("BridgePortFdb speaks of one port", async () => {
  using lab = await Lab.open();
  const [p1, p2] = lab.ports;
  p1.fdb.add({ mac: mac(1) });
  p2.fdb.add({ mac: mac(2) });
  p2.fdb.replace({ mac: mac(3), state: "dynamic" });
  assertEquals([made(p1.fdb.list()), made(p2.fdb.list())], [[mac(1)], [mac(2), mac(3)]]);
  assertEquals(made(lab.bridge.fdb.list()), [mac(1), mac(2), mac(3)]);
  assertThrows(() => p1.fdb.delete({ mac: mac(2) }), NetlinkError, "No such file");
  p2.fdb.delete({ mac: mac(2) });
  assertEquals(made(p2.fdb.list()), [mac(3)]);
  p1.fdb.flush();
  assertEquals([made(p1.fdb.list()), made(p2.fdb.list())], [[], [mac(3)]]);
});

test("BridgePortFdb.add() with self adds to what the port itself listens to", async () => {
  using lab = await Lab.open();
  const fdb = lab.ports[0].fdb;
  const owners = () =>
    lab.find(mac(1)).filter(({ vlan }) => !vlan)
      .map((it) => (it.flags as string[]).includes("self")).sort();
  fdb.add({ mac: mac(1), flags: ["self"] });
  assertEquals([owners(), made(fdb.list())], [[true], []]);
  fdb.delete({ mac: mac(1), flags: ["self"] });
  assertEquals(owners(), []);
  fdb.add({ mac: mac(1), flags: ["self", "master"] });
  assertEquals([owners(), made(fdb.list())], [[false, true], [mac(1)]]);
  fdb.delete({ mac: mac(1), flags: ["self", "master"] });
  assertEquals(owners(), []);
});

test("BridgeFdb.add() tells listeners of an entry's activity when asked to", async () => {
  using lab = await Lab.open();
  lab.bridge.fdb.add({ mac: mac(1), port: "p1", activityNotify: true });
  const entry = () => lab.bridge.fdb.list().find((it) => it.mac === mac(1));
  assertEquals(entry()?.activityNotify, true);
  lab.bridge.fdb.replace({ mac: mac(1), port: "p1", activityNotify: false, dontRefresh: true });
  assertEquals(entry()?.activityNotify, undefined);
});

/** A table to flush from, and what each filter leaves of it. */
const ENTRIES: readonly BridgeFdbEntry[] = [
  { mac: mac(1), port: "p1" },
  { mac: mac(2), port: "p1", state: "dynamic" },
  { mac: mac(3), port: "p1", state: "permanent" },
  { mac: mac(4), port: "p2", flags: ["sticky"] },
  { mac: mac(5), port: "p2", flags: ["ext_learned"] },
  { mac: mac(6) },
];
const FLUSHES: readonly [filter: BridgeFdbFilter, left: readonly number[]][] = [
  [{}, [3, 6]],
  [{ port: "p1" }, [3, 4, 5, 6]],
  [{ port: "p1", state: "permanent" }, [1, 2, 4, 5, 6]],
  [{ state: "static" }, [2, 3, 5, 6]],
  [{ state: "dynamic" }, [1, 3, 4, 6]],
  [{ state: "permanent" }, [1, 2, 4, 5]],
  [{ sticky: true }, [1, 2, 3, 5, 6]],
  [{ sticky: false }, [3, 4, 6]],
  [{ extLearned: true }, [1, 2, 3, 4, 6]],
  [{ port: "p2", extLearned: false }, [1, 2, 3, 5, 6]],
  [{ offloaded: true }, [1, 2, 3, 4, 5, 6]],
  [{ addedByUser: false }, [1, 2, 3, 4, 5, 6]],
];

for (const [filter, left] of FLUSHES) {
  test(`BridgeFdb.flush(${JSON.stringify(filter)}) removes what matches all of it`, async () => {
    using lab = await Lab.open();
    for (const entry of ENTRIES) lab.bridge.fdb.add(entry);
    lab.bridge.fdb.flush(filter);
    assertEquals(made(lab.bridge.fdb.list()), left.map(mac));
    assertEquals(made(lab.shown() as { mac: string }[]), left.map(mac));
  });
}

test("BridgeFdb refuses bad input by name, and leaves the table as it was", async () => {
  using lab = await Lab.open();
  const other = Bridge.create({ name: "br1", netns: { ref: lab.ref } });
  const { fdb } = lab.bridge;
  const before = fdb.list().length;
  const bad: [() => void, typeof TypeError, string][] = [
    [
      () => fdb.add({ mac: mac(1), port: "p1", vlan: 0 }),
      RangeError,
      "vlan must be in 1..4094: got 0",
    ],
    [() => fdb.replace({ mac: mac(1), vlan: 4095 }), RangeError, "vlan must be in 1..4094"],
    [() => fdb.delete({ mac: mac(1), vlan: 1.5 }), TypeError, "got 1.5"],
    [() => fdb.flush({ vlan: -1 }), RangeError, "got -1"],
    [() => fdb.add({ mac: "nonsense", port: "p1" }), TypeError, '"nonsense"'],
    [
      () => fdb.add({ mac: mac(1), port: "v1" }),
      TypeError,
      'Link "v1" is not a port of bridge "br0"',
    ],
    [() => fdb.add({ mac: mac(1), port: other }), TypeError, 'Link "br1" is not a port'],
    [() => fdb.add({ mac: mac(1), port: "p1", state: "old" as "static" }), TypeError, '"old"'],
    [
      () => fdb.add({ mac: mac(1), port: "p1", flags: ["glued" as "sticky"] }),
      TypeError,
      '"glued"',
    ],
    [
      () => fdb.add({ mac: mac(1), port: "p1", state: "static", flags: ["ext_learned"] }),
      TypeError,
      'is "dynamic": got "static"',
    ],
    [() => fdb.flush({ nonsense: true } as BridgeFdbFilter), TypeError, "nonsense"],
    [() => fdb.flush({ state: "old" as "static" }), TypeError, '"old"'],
    [
      () => fdb.add({ mac: mac(1), port: "p1", nonsense: 1 } as BridgeFdbEntry),
      TypeError,
      "nonsense",
    ],
  ];
  for (const [attempt, error, message] of bad) assertThrows(attempt, error, message);
  assertThrows(() => fdb.add({ mac: mac(1), port: "none" }), NetlinkError, "No such device");
  const own = () => fdb.add({ mac: mac(1), state: "dynamic" });
  assertEquals(assertThrows(own, NetlinkError).code, "EINVAL");
  assertEquals(fdb.list().length, before);
});

test("BridgeFdb.add() cannot add a dynamic entry to a port that does not learn", () => {
  using ref = newNetNs("test");
  const netns = { ref };
  const bridge = Bridge.create({ name: "br0", netns });
  Veth.create({ name: "p1", netns, master: bridge, peer: { name: "v1", netns } });
  const add = () => bridge.fdb.add({ mac: mac(1), port: "p1", state: "dynamic" });
  assertEquals(assertThrows(add, NetlinkError).code, "EPERM");
});

const noVlans = supports("bridge", "vlanFiltering")
  ? undefined
  : "this kernel has no bridge option vlanFiltering";

test("BridgeFdb.add() without a VLAN adds all or nothing where a VLAN has the address", {
  lacks: noVlans,
}, async () => {
  using lab = await Lab.open();
  const { bridge, ports: [p1, p2] } = lab;
  for (const { vlans } of [p1, p2, bridge]) vlans.add([{ vid: 2, end: 3 }]);
  p2.vlans.add({ vid: 7 });
  const table = () =>
    lab.shown().map(({ mac, ifname, vlan, state }) => `${mac} ${ifname} ${vlan} ${state}`).sort();
  const places = [
    [() => p1.fdb, 'port "p1"'],
    [() => bridge.port("p1").fdb, 'port "p1"'],
    [() => bridge.fdb, 'bridge "br0"'],
  ] as const;
  for (const [fdbOf, what] of places) {
    for (const vlan of [1, 2, 3]) {
      // On the same port, on another, and on the bridge itself.
      for (const taken of [p1.fdb, p2.fdb, bridge.fdb]) {
        taken.add({ mac: mac(9), vlan });
        const before = table();
        const error = assertThrows(() => fdbOf().add({ mac: mac(9) }), NetlinkError);
        assertEquals(error.code, "EEXIST");
        assertEquals(
          error.message,
          `add forwarding entry ${
            mac(9)
          } on ${what} in ${lab.ref.label}: File exists (EEXIST); the ` +
            `address has an entry for VLAN ${vlan}, which the ${what.split(" ")[0]} is in`,
        );
        const many = [{ mac: mac(8) }, { mac: mac(9) }, { mac: mac(7), vlan: 2 }];
        const batch = assertThrows(() => fdbOf().add(many), BatchError);
        assertEquals([batch.index, batch.refused, batch.total], [1, 1, 3]);
        assert(batch.message.endsWith("1 of 3 were refused, none is added"), batch.message);
        assertEquals(table(), before);
        taken.delete({ mac: mac(9), vlan });
      }
    }
    const before = table();
    const order = assertThrows(
      () => fdbOf().add([{ mac: mac(9), vlan: 3, state: "permanent" }, { mac: mac(9) }]),
      TypeError,
    );
    assert(
      order.message.startsWith("entries[1]: an entry without a VLAN is for VLAN 3"),
      order.message,
    );
    assertEquals(table(), before);
    // The other way round the second one changes a part of the first, and all are there.
    fdbOf().add([{ mac: mac(9) }, { mac: mac(9), vlan: 3, state: "permanent" }]);
    assertEquals(lab.find(mac(9)).map(({ vlan }) => vlan ?? 0).sort(), [0, 1, 2, 3]);
    fdbOf().delete({ mac: mac(9) });
    assertEquals(table(), before);
    // A VLAN that the port is not in does not count.
    p2.fdb.add({ mac: mac(9), vlan: 7 });
    fdbOf().add({ mac: mac(9) });
    fdbOf().delete({ mac: mac(9) });
    p2.fdb.delete({ mac: mac(9), vlan: 7 });
  }
});
