import { assertEquals, assertThrows } from "@std/assert";
import { newNetNs } from "../../ffi/namespace.ts";
import {
  BatchError,
  Bridge,
  type BridgePort,
  type BridgeVlanEntry,
  NetlinkError,
  NetNs,
  Scope,
  Veth,
} from "../../mod.ts";
import { BridgeVlans } from "../../src/link/bridge.ts";
import type { BridgeVlan } from "../../src/rtnetlink/bridge_vlan.ts";
import { bridge as bridgeCommand, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";

/** A namespace with the bridge `br0`, its port `p1`, and `v1` behind that. */
class Lab implements Disposable {
  readonly ref: ReturnType<typeof newNetNs> = newNetNs("test");
  readonly bridge: Bridge;
  readonly port: BridgePort;

  constructor(vlanFiltering = true) {
    const netns = { ref: this.ref };
    this.bridge = Bridge.create({
      name: "br0",
      netns,
      ...(vlanFiltering ? { vlanFiltering } : {}),
    });
    Veth.create({ name: "p1", netns, master: this.bridge, peer: { name: "v1", netns } });
    this.port = this.bridge.port("p1");
  }

  /** The VLANs of a link as iproute2 shows them. */
  shown(name: string): BridgeVlan[] {
    const links = bridgeCommand(this.ref, "-j -compressvlans vlan show");
    const vlans = (links.find(({ ifname }) => ifname === name)?.vlans ?? []) as Json[];
    return vlans.map(({ vlan, vlanEnd, flags = [] }) => ({
      vid: vlan as number,
      ...(vlanEnd === undefined ? {} : { end: vlanEnd as number }),
      pvid: (flags as string[]).includes("PVID"),
      untagged: (flags as string[]).includes("Egress Untagged"),
    }));
  }

  [Symbol.dispose](): void {
    this.ref.close();
  }
}

/** Whether the kernel is built with VLAN filtering. */
const filtering = (() => {
  using lab = new Lab(false);
  return lab.bridge.options().vlanProtocol !== undefined;
})();

/** A test for kernels with VLAN filtering. */
function vlanTest(name: string, body: () => void | Promise<void>): void {
  test(name, { lacks: filtering ? undefined : "this kernel filters no VLANs" }, body);
}

const DEFAULT: BridgeVlan = { vid: 1, pvid: true, untagged: true };
const plain = { pvid: false, untagged: false };

vlanTest("BridgeVlans.list() has VLAN 1 of a new bridge and port, as iproute2 does", () => {
  using lab = new Lab();
  assertEquals(lab.bridge.vlans.list(), [DEFAULT]);
  assertEquals(lab.port.vlans.list(), [DEFAULT]);
  assertEquals([lab.shown("br0"), lab.shown("p1")], [[DEFAULT], [DEFAULT]]);
});

interface Row {
  readonly vlans: BridgeVlanEntry;
  /** iproute2's words for it. */
  readonly words: string;
  readonly listed: readonly BridgeVlan[];
}

const ROWS: readonly Row[] = [
  { vlans: { vid: 10 }, words: "vid 10", listed: [DEFAULT, { vid: 10, ...plain }] },
  {
    vlans: { vid: 10, untagged: true },
    words: "vid 10 untagged",
    listed: [DEFAULT, { vid: 10, pvid: false, untagged: true }],
  },
  {
    vlans: { vid: 10, pvid: true },
    words: "vid 10 pvid",
    listed: [{ ...DEFAULT, pvid: false }, { vid: 10, pvid: true, untagged: false }],
  },
  {
    vlans: { vid: 4094, pvid: true, untagged: true },
    words: "vid 4094 pvid untagged",
    listed: [{ ...DEFAULT, pvid: false }, { vid: 4094, pvid: true, untagged: true }],
  },
  {
    vlans: { vid: 10, end: 20 },
    words: "vid 10-20",
    listed: [DEFAULT, { vid: 10, end: 20, ...plain }],
  },
  {
    vlans: { vid: 2, end: 4094, untagged: true },
    words: "vid 2-4094 untagged",
    listed: [DEFAULT, { vid: 2, end: 4094, pvid: false, untagged: true }],
  },
  {
    vlans: { vid: 1 },
    words: "vid 1",
    listed: [{ vid: 1, ...plain }],
  },
  {
    vlans: { vid: 7, end: 7, pvid: true },
    words: "vid 7 pvid",
    listed: [{ ...DEFAULT, pvid: false }, { vid: 7, pvid: true, untagged: false }],
  },
];

for (const { vlans, words, listed } of ROWS) {
  vlanTest(`BridgeVlans.replace() does what "bridge vlan add ${words}" does`, () => {
    for (
      const [where, dev, owner] of [["bridge", "br0", "self"], ["port", "p1", "master"]] as const
    ) {
      using lab = new Lab();
      lab[where].vlans.replace(vlans);
      assertEquals(lab[where].vlans.list(), listed);
      assertEquals(lab.shown(dev), listed);
      assertEquals(lab.shown(where === "bridge" ? "p1" : "br0"), [DEFAULT], "the other");

      using other = new Lab();
      run(other.ref, `bridge vlan add dev ${dev} ${words} ${owner}`);
      assertEquals(other[where].vlans.list(), listed);
    }
  });
}

vlanTest("BridgeVlans.delete() removes a VLAN, a range, and a part of a range", () => {
  using lab = new Lab();
  for (const [vlans, dev] of [[lab.port.vlans, "p1"], [lab.bridge.vlans, "br0"]] as const) {
    vlans.add({ vid: 10, end: 20 });
    vlans.add({ vid: 30 });
    vlans.delete({ vid: 1 });
    vlans.delete({ vid: 12, end: 14 });
    vlans.delete({ vid: 30 });
    const left = [{ vid: 10, end: 11, ...plain }, { vid: 15, end: 20, ...plain }];
    assertEquals([vlans.list(), lab.shown(dev)], [left, left]);
    for (const gone of [{ vid: 30 }, { vid: 10, end: 12 }]) {
      const error = assertThrows(() => vlans.delete([{ vid: 15 }, gone]), NetlinkError);
      assertEquals([error.code, vlans.list()], ["ENOENT", left]);
    }
    assertEquals(vlans.get(17), { vid: 17, ...plain });
    assertEquals(assertThrows(() => vlans.get(30), NetlinkError).code, "ENOENT");
    vlans.delete(vlans.list());
    assertEquals([vlans.list(), lab.shown(dev)], [[], []]);
  }
});

vlanTest("BridgeVlans.replace() moves the PVID, and changes VLANs that are there", () => {
  using lab = new Lab();
  const { vlans } = lab.port;
  vlans.replace([{ vid: 10, end: 12 }, { vid: 11, pvid: true, untagged: true }, { vid: 1 }]);
  assertEquals(vlans.list(), [
    { vid: 1, ...plain },
    { vid: 10, ...plain },
    { vid: 11, pvid: true, untagged: true },
    { vid: 12, ...plain },
  ]);
  vlans.replace({ vid: 11, untagged: true });
  assertEquals(vlans.list().filter(({ pvid }) => pvid), []);
  assertEquals(lab.shown("p1"), vlans.list());
  vlans.flush();
  assertEquals(lab.shown("p1"), []);
});

vlanTest("BridgeVlans.add() refuses VLANs that are there, and adds none then", () => {
  using lab = new Lab();
  const { vlans } = lab.port;
  for (const taken of [{ vid: 1 }, { vid: 1, end: 3 }, [{ vid: 7 }, { vid: 5, end: 9 }]]) {
    const error = assertThrows(() => vlans.add(taken), NetlinkError);
    assertEquals([error.code, vlans.list()], ["EEXIST", [DEFAULT]]);
  }
});

vlanTest("BridgeVlans.list() reads as many ranges as there can be", () => {
  using lab = new Lab();
  lab.port.vlans.flush();
  const pairs = Array.from({ length: 2047 }, (_, i) => 2 * i + 1);
  // In one call: a call for each pair reads all others again.
  lab.port.vlans.add(pairs.map((vid, i) => ({ vid, end: vid + 1, untagged: i % 2 === 0 })));
  const vlans = lab.port.vlans.list();
  assertEquals(vlans.length, 2047);
  assertEquals(vlans.at(-1), { vid: 4093, end: 4094, pvid: false, untagged: true });
  assertEquals(lab.shown("p1"), vlans);
});

vlanTest("BridgeFdb keeps the entries of VLANs apart, and flushes one VLAN", () => {
  using lab = new Lab();
  const mac = "02:00:00:00:00:01";
  lab.port.vlans.add({ vid: 10, end: 12 });
  lab.bridge.vlans.add({ vid: 12 });
  lab.bridge.fdb.add({ mac, port: "p1", vlan: 10 });
  lab.bridge.fdb.add({ mac, port: "p1", vlan: 11 });
  lab.bridge.fdb.add({ mac, vlan: 12 });
  const own = () =>
    lab.bridge.fdb.list().filter((it) => it.mac === mac).map((it) => [it.vlan, it.port])
      .sort(([a], [b]) => Number(a) - Number(b));
  assertEquals(own(), [[10, "p1"], [11, "p1"], [12, "br0"]]);
  const shown = bridgeCommand(lab.ref, "-j fdb show br br0").filter((it) => it.mac === mac);
  assertEquals(shown.map(({ vlan }) => vlan).sort(), [10, 11, 12]);
  lab.bridge.fdb.flush({ vlan: 10 });
  lab.bridge.fdb.delete({ mac, port: "p1", vlan: 11 });
  assertEquals(own(), [[12, "br0"]]);
  const error = assertThrows(
    () => lab.bridge.fdb.add({ mac, port: "p1", vlan: 99 }),
    NetlinkError,
  );
  assertEquals(error.operation, `add forwarding entry ${mac} vlan 99 on port "p1"`);
});

vlanTest(
  "BridgePortFdb.add() without a VLAN adds to each VLAN of the port, as iproute2 does",
  () => {
    const mac = "02:00:00:00:00:01";
    const vlansOf = (lab: Lab) =>
      bridgeCommand(lab.ref, "-j fdb show brport p1")
        .filter((it) => it.mac === mac && it.master).map((it) => [it.vlan ?? 0, it.state]).sort();
    using lab = new Lab();
    using other = new Lab();
    for (const { port } of [lab, other]) port.vlans.add({ vid: 7 });
    lab.port.fdb.add({ mac });
    run(other.ref, `bridge fdb add ${mac} dev p1 master static`);
    assertEquals(vlansOf(lab), [[0, "static"], [1, "static"], [7, "static"]]);
    assertEquals(vlansOf(other), vlansOf(lab));
    assertEquals(lab.port.fdb.get({ mac, vlan: 7 }).vlan, 7);
    lab.port.fdb.delete({ mac, vlan: 7 });
    assertEquals(vlansOf(lab), [[0, "static"], [1, "static"]]);
    lab.port.fdb.delete({ mac });
    assertEquals(vlansOf(lab), []);
  },
);

vlanTest(
  "BridgePortFdb takes an entry for one VLAN beside one without, and all that list() gave",
  () => {
    const mac = "02:00:00:00:00:01";
    using lab = new Lab();
    const { fdb } = lab.port;
    const own = () => fdb.list().filter((it) => it.mac === mac);
    const states = () => own().map(({ vlan = 0, state }) => [vlan, state]);
    const expected = [[0, "static"], [1, "permanent"]];
    const entries = [{ mac }, { mac, vlan: 1, state: "permanent" }] as const;
    fdb.add(entries);
    assertEquals(states(), expected);
    const read = own();
    assertEquals(assertThrows(() => fdb.add(read), BatchError).refused, 2);
    assertEquals(states(), expected);
    fdb.delete(read);
    assertEquals(states(), []);
    fdb.add(read);
    assertEquals(states(), expected);
    fdb.delete({ mac, vlan: 1 });
    fdb.replace(entries);
    assertEquals(states(), expected);
    fdb.delete(entries.toReversed());
    assertEquals(states(), []);
    const bad = { mac, vlan: 99 };
    assertEquals(assertThrows(() => fdb.add([...entries, bad]), BatchError).index, 2);
    assertEquals(states(), []);
    assertEquals(assertThrows(() => fdb.delete(entries), BatchError).refused, 2);
  },
);

vlanTest("hosts reach each other within a VLAN only", async () => {
  await using lab = Scope.open();
  const netns = NetNs.create(undefined, { scope: lab });
  const filtering = { vlanFiltering: true, vlanDefaultPvid: 0, up: true };
  const bridge = Bridge.create({ scope: lab, name: "br0", netns, ...filtering });
  const hosts = [10, 10, 20].map((vid, i) => {
    const host = NetNs.create(undefined, { scope: lab });
    Veth.create({
      scope: lab,
      name: "eth0",
      netns: host,
      up: true,
      addresses: [`10.0.0.${i + 1}/24`],
      peer: { name: `p${i}`, master: bridge, up: true },
    });
    bridge.port(`p${i}`).vlans.add({ vid, pvid: true, untagged: true });
    return host;
  });
  await lab.ready();
  assertEquals((await hosts[0]!.ping("10.0.0.2", { count: 1 })).received, 1);
  assertEquals((await hosts[0]!.ping("10.0.0.3", { count: 1, timeout: 500 })).received, 0);
});

test("BridgeVlans names a VLAN id out of range, and leaves what was there", () => {
  using lab = new Lab(false);
  const before = lab.shown("p1");
  const bad: [BridgeVlanEntry, typeof TypeError, string][] = [
    [{ vid: 0 }, RangeError, "vid must be in 1..4094: got 0"],
    [{ vid: 4095 }, RangeError, "vid must be in 1..4094: got 4095"],
    [{ vid: 1.5 }, TypeError, "vid must be an integer: got 1.5"],
    [{ vid: NaN }, TypeError, "got NaN"],
    [{ vid: "10" as unknown as number }, TypeError, 'vid must be an integer: got "10"'],
    [{ vid: 10, end: 4095 }, RangeError, "end must be in 1..4094: got"],
    [{ vid: 10, end: 0 }, RangeError, "got 0"],
    [{ vid: 10, end: 9 }, RangeError, "end must not be below vid 10: got 9"],
    [{ vid: 10, end: 11, pvid: true }, TypeError, "pvid is for one VLAN"],
  ];
  for (const vlans of [lab.port.vlans, lab.bridge.vlans]) {
    for (const [entry, error, message] of bad) {
      assertThrows(() => vlans.add(entry), error, message);
      if (!entry.pvid) assertThrows(() => vlans.delete(entry), error, message);
    }
  }
  assertEquals(lab.shown("p1"), before);
});

test("BridgeVlans.add() and delete() say on what the kernel refuses them", () => {
  using lab = new Lab(false);
  const { ref, index } = Veth.create({
    name: "v2",
    netns: { ref: lab.ref },
    peer: { name: "v3", netns: { ref: lab.ref } },
  }).persist();
  const vlans = new BridgeVlans({ ref, index, name: "v2" }, false);
  const add = assertThrows(() => vlans.add({ vid: 10, end: 11 }), NetlinkError);
  assertEquals([add.code, add.operation], ["EOPNOTSUPP", 'add vlan 10-11 of port "v2"']);
  const remove = assertThrows(() => vlans.delete({ vid: 10 }), NetlinkError);
  assertEquals([remove.code, remove.operation], ["EOPNOTSUPP", 'delete vlan 10 of port "v2"']);
  assertEquals(vlans.list(), []);
});

test("a kernel without VLAN filtering says so", {
  lacks: filtering ? "for kernels without it" : undefined,
}, () => {
  using lab = new Lab(false);
  for (const vlans of [lab.port.vlans, lab.bridge.vlans]) {
    assertEquals(assertThrows(() => vlans.add({ vid: 10 }), NetlinkError).code, "EOPNOTSUPP");
    assertEquals(vlans.list(), []);
  }
});
