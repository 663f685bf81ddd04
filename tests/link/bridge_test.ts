import type { Field } from "../../src/netlink/attribute.ts";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { newNetNs } from "../../ffi/namespace.ts";
import {
  Bridge,
  type BridgeCreateOptions,
  type BridgeInfo,
  type BridgeOptions,
  NetlinkError,
  Veth,
} from "../../mod.ts";
import { bridgeSchema } from "../../src/rtnetlink/link_kinds/bridge.ts";
import { bridge as bridgeCommand, ip, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { BRIDGE_ROWS, lasting, type Row, until } from "./bridge_table.ts";

const ERRORS = { RangeError, TypeError };

type Ref = ReturnType<typeof newNetNs>;

/** The bridge's options as iproute2 shows them. */
function shown(ref: Ref, name = "br0"): Json {
  const [link] = ip(ref, `-d -j link show dev ${name}`) as { linkinfo: { info_data: Json } }[];
  return link!.linkinfo.info_data;
}

function read(bridge: Bridge, { option }: Row<BridgeOptions>): unknown {
  return bridge.options()[option];
}

/** What the kernel says of a bridge with nothing set: options it lacks are not there. */
const defaults: BridgeInfo = (() => {
  using ref = newNetNs("probe");
  return Bridge.create({ name: "br0", netns: { ref } }).options();
})();

/** VLAN filtering is not in all kernels; without it some options are shown all the same. */
const FILTERING = ["vlanFiltering", "mcastVlanSnooping", "mstEnabled"];

function supported({ option }: Row<BridgeOptions>): boolean {
  return defaults[FILTERING.includes(option) ? "vlanProtocol" : option] !== undefined;
}

test("BRIDGE_ROWS has every option of a bridge", () => {
  const known = Object.entries<Field<unknown>>(bridgeSchema.fields as never)
    .filter(([key, field]) => key !== "boolopts" && !isReadOnly(field))
    .map(([key]) => key);
  const booleans = ["noLinklocalLearn", "mcastVlanSnooping", "mstEnabled"];
  const rows = BRIDGE_ROWS.map(({ option }) => option);
  assertEquals([...rows, "fdbFlush"].sort(), [...known, ...booleans].sort());
});

function isReadOnly(field: Field<unknown>): boolean {
  try {
    (field.write as (...args: unknown[]) => void)({}, undefined, "it");
  } catch (error) {
    return (error as Error).message === "it is read only";
  }
  return false;
}

for (const row of BRIDGE_ROWS) {
  const { option, value, beside, words } = row;
  const settings = { ...beside, [option]: value } as BridgeOptions;

  if (supported(row)) {
    test(`Bridge.create() sets ${option}, and iproute2 agrees`, () => {
      using ref = newNetNs("test");
      const bridge = Bridge.create({ name: "br0", netns: { ref }, ...settings });
      assertEquals(read(bridge, row), value);
      if (row.shown) assertEquals(shown(ref)[row.shown[0]], row.shown[1]);
    });

    test(`Bridge.set() changes ${option} and changes it back, and iproute2 agrees`, () => {
      using ref = newNetNs("test");
      const bridge = Bridge.create({ name: "br0", netns: { ref }, ...beside });
      const initial = read(bridge, row);
      const before = row.shown && shown(ref)[row.shown[0]];
      // Kernels round times to their own clock.
      const near = typeof initial === "number" && Math.abs(initial - (row.initial as number)) <= 1;
      if (!near) assertEquals(initial, row.initial);
      bridge.set(settings);
      assertEquals(read(bridge, row), value);
      if (row.shown) assertEquals(shown(ref)[row.shown[0]], row.shown[1]);
      bridge.set({ [option]: initial });
      assertEquals(read(bridge, row), initial);
      if (row.shown) assertEquals(shown(ref)[row.shown[0]], before);
    });

    if (words) {
      test(`Bridge.options() reads the ${option} that iproute2 has set`, () => {
        using ref = newNetNs("test");
        const bridge = Bridge.create({ name: "br0", netns: { ref }, ...beside });
        run(ref, `ip link set dev br0 type bridge ${words}`);
        assertEquals(read(bridge, row), value);
      });
    }
  } else {
    test(`Bridge.create() and set() refuse ${option} where the kernel does not have it`, () => {
      using ref = newNetNs("test");
      const netns = { ref };
      const bridge = Bridge.create({ name: "br1", netns });
      const before = lasting(ip(ref, "-d -j link"));
      assertThrows(() => Bridge.create({ name: "br0", netns, ...settings }), NetlinkError);
      assertThrows(() => bridge.set(settings), NetlinkError);
      assertEquals(lasting(ip(ref, "-d -j link")), before);
    });
  }

  test(`Bridge.create() and set() name ${option} and a bad value, and leave nothing`, () => {
    using ref = newNetNs("test");
    const netns = { ref };
    const bridge = Bridge.create({ name: "br1", netns });
    const before = lasting(ip(ref, "-d -j link"));
    for (const [bad, kind] of row.bad) {
      const settings = { alias: "it", [option]: bad } as BridgeOptions;
      for (
        const attempt of [
          () => Bridge.create({ name: "br0", netns, ...settings }),
          () => bridge.set(settings),
        ]
      ) {
        const { message } = assertThrows(attempt, ERRORS[kind]);
        assertStringIncludes(message, option);
        assertStringIncludes(message, typeof bad === "string" ? JSON.stringify(bad) : `${bad}`);
      }
    }
    assertEquals(lasting(ip(ref, "-d -j link")), before);
  });
}

test("Bridge.create() sets all options at once, and iproute2 agrees", () => {
  using ref = newNetNs("test");
  // MST needs a bridge without VLANs, and statistics per VLAN and port need one without port VLANs.
  const rows = BRIDGE_ROWS.filter((row) => supported(row) && row.option !== "mstEnabled");
  const options = Object.fromEntries(rows.map(({ option, value }) => [option, value]));
  const bridge = Bridge.create({ name: "br0", netns: { ref }, ...options } as BridgeCreateOptions);
  const data = shown(ref);
  for (const row of rows) {
    assertEquals(read(bridge, row), row.value, row.option);
    if (row.shown) assertEquals(data[row.shown[0]], row.shown[1], row.option);
  }
});

test("Bridge.create() and set() refuse what a bridge only reports", () => {
  using ref = newNetNs("test");
  const netns = { ref };
  const bridge = Bridge.create({ name: "br1", netns });
  const state = [
    "rootId",
    "bridgeId",
    "rootPort",
    "helloTimer",
    "fdbNLearned",
    "mcastQuerierState",
  ];
  for (const option of [...state, "mcastHashElasticity"]) {
    const settings = { [option]: 16 } as BridgeOptions;
    for (
      const attempt of [
        () => Bridge.create({ name: "br0", netns, ...settings }),
        () => bridge.set(settings),
      ]
    ) assertThrows(attempt, TypeError, `Unknown option "${option}"`);
  }
  for (const option of ["nonsense", "name", "netns", "addresses"]) {
    const settings = { [option]: 1 } as BridgeOptions;
    assertThrows(() => bridge.set(settings), TypeError, `Unknown option "${option}"`);
  }
  assertEquals(ip(ref, "-j link").map((link) => link.ifname), ["lo", "br1"]);
});

test("Bridge.create() refuses a short forward delay with spanning tree", () => {
  using ref = newNetNs("test");
  const netns = { ref };
  const short = { stp: true, forwardDelay: 199 };
  const message = "forwardDelay must be in 200..3000 hundredths of a second with stp: got 199";
  assertThrows(() => Bridge.create({ name: "br0", netns, ...short }), RangeError, message);
  const bridge = Bridge.create({ name: "br0", netns, stp: true, forwardDelay: 200 });
  assertThrows(() => bridge.set(short), RangeError, message);
  const error = assertThrows(() => bridge.set({ forwardDelay: 199 }), NetlinkError);
  assertEquals(error.code, "ERANGE");
  assertEquals(bridge.options().forwardDelay, 200);
});

test("Bridge.create() leaves nothing when the kernel refuses an option", () => {
  using ref = newNetNs("test");
  const netns = { ref };
  const error = assertThrows(
    () => Bridge.create({ name: "br0", netns, mcastVlanSnooping: true }),
    NetlinkError,
  );
  assertEquals(error.code, "EINVAL");
  assertThrows(() => Bridge.create({ name: "lo", netns }), NetlinkError, "File exists");
  assertEquals(ip(ref, "-j link").map((link) => link.ifname), ["lo"]);
});

test("Bridge.set() takes the spanning tree's times on a bridge that is not its root", async () => {
  using ref = newNetNs("test");
  const netns = { ref };
  const root = Bridge.create({ name: "root", netns, stp: true, up: true, priority: 1 });
  const leaf = Bridge.create({ name: "leaf", netns, stp: true, up: true, priority: 2 });
  const [master, up] = [root, true];
  Veth.create({ name: "r", netns, master, up, peer: { name: "l", master: leaf, up } });
  await until(() => leaf.options().rootPort === 1);
  leaf.set({ forwardDelay: 400, helloTime: 300, maxAge: 1200 });
  const { forwardDelay, helloTime, maxAge } = leaf.options();
  assertEquals([forwardDelay, helloTime, maxAge], [1500, 200, 2000], "the root's times");
  leaf.deletePort("l");
  const own = leaf.options();
  assertEquals([own.forwardDelay, own.helloTime, own.maxAge], [400, 300, 1200], "its own");
});

test("Bridge.options() reads the state of the spanning tree as iproute2 does", () => {
  using ref = newNetNs("test");
  const mac = "02:00:00:00:00:0a";
  const bridge = Bridge.create({ name: "br0", netns: { ref }, mac, priority: 0x1234 });
  const { bridgeId, rootId, rootPort, rootPathCost, topologyChange } = bridge.options();
  // iproute2 6.1 leaves zeros out of the address.
  assertEquals(bridgeId, "1234.02:00:00:00:00:0a");
  assertEquals(rootId, bridgeId);
  const data = shown(ref);
  assertEquals([rootPort, rootPathCost], [data.root_port, data.root_path_cost]);
  assertEquals(topologyChange, data.topology_change === 1);
});

test("Bridge.set() with fdbFlush forgets learned addresses and keeps the others", async () => {
  using ref = newNetNs("test");
  const netns = { ref };
  const bridge = Bridge.create({ name: "br0", netns, up: true });
  Veth.create({
    name: "v0",
    netns,
    master: bridge,
    up: true,
    peer: { name: "v1", netns, up: true },
  });
  await until(() => bridge.port("v0").options().state === "forwarding");
  run(ref, "bridge fdb add 02:00:00:00:00:01 dev v0 master dynamic");
  run(ref, "bridge fdb add 02:00:00:00:00:02 dev v0 master static");
  bridge.set({ fdbFlush: false });
  const macs = () =>
    [...new Set(bridge.fdb.list().map(({ mac }) => mac))].filter((mac) => mac.startsWith("02:00"));
  assertEquals(macs().sort(), ["02:00:00:00:00:01", "02:00:00:00:00:02"]);
  bridge.set({ fdbFlush: true });
  assertEquals(macs(), ["02:00:00:00:00:02"]);
});

test("Bridge.get() finds a bridge that iproute2 has made, and no other link", () => {
  using ref = newNetNs("test");
  const netns = { ref };
  run(ref, "ip link add br0 type bridge forward_delay 300");
  assertEquals(Bridge.get("br0", { netns }).options().forwardDelay, 300);
  assertThrows(() => Bridge.get("lo", { netns }), TypeError, 'Link "lo" is not a bridge');
  assertThrows(() => Bridge.get("br1", { netns }), NetlinkError, "No such device");
});

test("Bridge.addPort() and deletePort() do what iproute2's master and nomaster do", () => {
  using ref = newNetNs("test");
  const netns = { ref };
  const [first, second] = ["br0", "br1"].map((name) => Bridge.create({ name, netns }));
  const veth = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
  const ports = (name: string) => ip(ref, `-j link show master ${name}`).map((it) => it.ifname);

  assertEquals(first!.addPort(veth).name, "v0");
  assertEquals(first!.addPort("v1").name, "v1");
  assertEquals(ports("br0").sort(), ["v0", "v1"]);
  assertEquals(first!.ports().map(({ name }) => name).sort(), ["v0", "v1"]);
  assertEquals(first!.port(veth.index).name, "v0");

  second!.addPort(veth);
  assertEquals([ports("br0"), ports("br1")], [["v1"], ["v0"]]);
  assertThrows(() => first!.port("v0"), TypeError, 'Link "v0" is not a port of bridge "br0"');
  assertThrows(() => first!.deletePort("v0"), TypeError);

  second!.deletePort("v0");
  assertEquals([ports("br0"), ports("br1")], [["v1"], []]);
  assertThrows(() => first!.addPort("lo"), NetlinkError, "Invalid argument");
});

test("Bridge.fdb and Bridge.vlans speak of this bridge", () => {
  using ref = newNetNs("test");
  const bridge = Bridge.create({ name: "br0", netns: { ref } });
  bridge.fdb.add({ mac: "02:00:00:00:00:01" });
  const [entry] = bridgeCommand(ref, "-j fdb show br br0").filter(({ mac }) =>
    mac === "02:00:00:00:00:01"
  );
  assertEquals(entry?.ifname, "br0");
  assert(Array.isArray(bridge.vlans.list()));
});
