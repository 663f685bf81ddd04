// Each setting of a link: set here and shown by iproute2, and the other way round.
import { assert, assertEquals, assertObjectMatch, assertThrows } from "@std/assert";
import {
  Bridge,
  Dummy,
  Link,
  type LinkSettings,
  Macvlan,
  NetlinkError,
  NetNs,
  trace,
  Veth,
} from "../../mod.ts";
import type { LinkInfo } from "../../src/rtnetlink/link_info.ts";
import { ip, type Json, run } from "../helpers.ts";
import { needing, type Needs, test } from "../leaks.ts";
import { kernelTest } from "./oracle.ts";

interface Case {
  settings: LinkSettings;
  /** iproute2's words; absent where the oldest iproute2 in use has none. */
  words?: string;
  /** What `ip -d -j link` shows then, where it shows it. */
  shown?: Json;
  /** What `read()` has then. */
  read: Partial<LinkInfo>;
}

const CASES: Record<string, Case> = {
  mtu: { settings: { mtu: 1400 }, words: "mtu 1400", shown: { mtu: 1400 }, read: { mtu: 1400 } },
  mac: {
    settings: { mac: "02:00:00:00:00:0A" },
    words: "address 02:00:00:00:00:0a",
    shown: { address: "02:00:00:00:00:0a" },
    read: { mac: "02:00:00:00:00:0a" },
  },
  broadcast: {
    settings: { broadcast: "02:ff:ff:ff:ff:ff" },
    words: "broadcast 02:ff:ff:ff:ff:ff",
    shown: { broadcast: "02:ff:ff:ff:ff:ff" },
    read: { broadcast: "02:ff:ff:ff:ff:ff" },
  },
  txqlen: {
    settings: { txqlen: 7 },
    words: "txqueuelen 7",
    shown: { txqlen: 7 },
    read: { txqlen: 7 },
  },
  "no txqlen": { settings: { txqlen: 0 }, words: "txqueuelen 0", read: { txqlen: 0 } },
  group: {
    settings: { group: 42 },
    words: "group 42",
    shown: { group: "42" },
    read: { group: 42 },
  },
  "the largest group": {
    settings: { group: 0xffffffff },
    read: { group: 0xffffffff },
  },
  alias: {
    settings: { alias: "Straße 1, 2nd floor" },
    read: { alias: "Straße 1, 2nd floor" },
    shown: { ifalias: "Straße 1, 2nd floor" },
  },
  up: {
    settings: { up: true },
    words: "up",
    shown: { flags: ["BROADCAST", "MULTICAST", "UP", "M-DOWN"] },
    read: {},
  },
  "no ARP": { settings: { arp: false }, words: "arp off", read: {} },
  "no multicast": { settings: { multicast: false }, words: "multicast off", read: {} },
  allMulticast: { settings: { allMulticast: true }, words: "allmulticast on", read: {} },
  promiscuous: { settings: { promiscuous: true }, words: "promisc on", read: {} },
  "addrGenMode none": {
    settings: { addrGenMode: "none" },
    words: "addrgenmode none",
    shown: { inet6_addr_gen_mode: "none" },
    read: {},
  },
  "addrGenMode random": {
    settings: { addrGenMode: "random" },
    words: "addrgenmode random",
    shown: { inet6_addr_gen_mode: "random" },
    read: {},
  },
  gsoMaxSize: {
    settings: { gsoMaxSize: 1000 },
    words: "gso_max_size 1000",
    shown: { gso_max_size: 1000 },
    read: { gsoMaxSize: 1000 },
  },
  gsoMaxSegs: {
    settings: { gsoMaxSegs: 10 },
    words: "gso_max_segs 10",
    shown: { gso_max_segs: 10 },
    read: { gsoMaxSegs: 10 },
  },
  groMaxSize: {
    settings: { groMaxSize: 2000 },
    words: "gro_max_size 2000",
    shown: { gro_max_size: 2000 },
    read: { groMaxSize: 2000 },
  },
  gsoIpv4MaxSize: { settings: { gsoIpv4MaxSize: 3000 }, read: { gsoIpv4MaxSize: 3000 } },
  groIpv4MaxSize: { settings: { groIpv4MaxSize: 4000 }, read: { groIpv4MaxSize: 4000 } },
  master: { settings: { master: "br0" }, words: "master br0", shown: { master: "br0" }, read: {} },
  "master and port": {
    settings: { master: "br0", port: { cost: 7, isolated: true } },
    shown: { master: "br0" },
    read: {},
  },
  "many at once": {
    settings: { mtu: 1300, txqlen: 3, alias: "many", up: true, arp: false, master: "br0" },
    shown: { mtu: 1300, txqlen: 3, ifalias: "many", master: "br0" },
    read: { mtu: 1300, txqlen: 3, alias: "many" },
  },
};

/** What this kernel's links do not have of some settings. */
function lacking(settings: LinkSettings): Needs {
  const known = Link.get("lo").read() as unknown as Record<string, unknown>;
  const missing = Object.keys(settings).find((key) =>
    key.endsWith("Ipv4MaxSize") && known[key] === undefined
  );
  return { lacks: missing && `this kernel has no ${missing}` };
}

/** What both readers say, without what differs between two links. */
function look(netns: NetNs): [Json, Partial<LinkInfo>] {
  const [shown] = ip(netns.ref, "-d -j link show dev v0") as [Json];
  const { stats: _, ...read } = Link.get("v0", { netns }).read() as LinkInfo & { stats: unknown };
  // Before 6.8 the kernel notices some time later that a carrier is there or not.
  const own = ["ifindex", "link_index", "address", "operstate"];
  for (const key of own) {
    if (!(key === "address" && shown[key] === CASES.mac!.shown!.address)) delete shown[key];
  }
  shown.flags = (shown.flags as string[]).filter((flag) => flag !== "NO-CARRIER");
  return [shown, {
    ...read,
    index: 0,
    peer: 0,
    operstate: "unknown",
    flags: read.flags.filter((flag) => flag !== "RUNNING"),
    mac: read.mac!.startsWith("02:00") ? read.mac! : "",
  }];
}

test("ip shows each setting made here, and read() returns each setting made by ip", async (t) => {
  using netns = NetNs.create();
  Bridge.create({ name: "br0", netns, mac: "02:00:00:00:00:01" });
  const make = () => Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
  for (const [name, { settings, words, shown, read }] of Object.entries(CASES)) {
    await t.step({
      ...needing(lacking(settings), name),
      fn: () => {
        const results: [Json, Partial<LinkInfo>][] = [];
        const commands: string[] = [];
        {
          using veth = make();
          {
            using _trace = trace(({ type, command }) =>
              void (type === "RTM_NEWLINK" && commands.push(command))
            );
            assertEquals(veth.set(settings), veth);
          }
          results.push(look(netns));
        }
        const lines = commands.map((line) =>
          line.replace(/\bdev if\d+/, "dev v0").replace(/\bmaster if\d+/, "master br0")
        );
        // Words that iproute2 has not always known, and text in quotes.
        const understood = !lines.some((line) => /ipv4_max_size|alias|group 4/.test(line));
        for (const variant of [words && [`ip link set dev v0 ${words}`], understood && lines]) {
          if (!variant) continue;
          using _veth = make();
          for (const line of variant) run(netns.ref, line);
          results.push(look(netns));
        }
        assertObjectMatch(results[0]![0], shown ?? {});
        assertObjectMatch(results[0]![1] as Json, read as Json);
        for (const result of results.slice(1)) assertEquals(result, results[0]);
      },
    });
  }
});

test("Each setting is the same when given at creation", async (t) => {
  using netns = NetNs.create();
  Bridge.create({ name: "br0", netns, mac: "02:00:00:00:00:01" });
  for (const [name, { settings, shown, read }] of Object.entries(CASES)) {
    await t.step({
      ...needing(lacking(settings), name),
      fn: () => {
        const results = [{}, settings].map((given) => {
          using veth = Veth.create({ name: "v0", netns, ...given, peer: { name: "v1", netns } });
          if (given !== settings) veth.set(settings);
          return look(netns);
        });
        assertObjectMatch(results[1]![0], shown ?? {});
        assertObjectMatch(results[1]![1] as Json, read as Json);
        assertEquals(results[1], results[0]);
      },
    });
  }
});

test("Flags are set and cleared one by one, and the others stay", () => {
  using netns = NetNs.create();
  const veth = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
  const settable = ["UP", "NOARP", "PROMISC", "ALLMULTI", "MULTICAST"];
  const flags = () => veth.read().flags.filter((flag) => settable.includes(flag)).sort();
  const expected = new Set(["MULTICAST"]);
  for (
    const [settings, flag, on] of [
      [{ up: true }, "UP", true],
      [{ arp: false }, "NOARP", true],
      [{ multicast: false }, "MULTICAST", false],
      [{ allMulticast: true }, "ALLMULTI", true],
      [{ promiscuous: true }, "PROMISC", true],
      [{ multicast: true }, "MULTICAST", true],
      [{ promiscuous: false }, "PROMISC", false],
      [{ allMulticast: false }, "ALLMULTI", false],
      [{ arp: true }, "NOARP", false],
      [{ up: false }, "UP", false],
    ] as const
  ) {
    veth.set(settings);
    if (on) expected.add(flag);
    else expected.delete(flag);
    assertEquals<string[]>(flags(), [...expected].sort(), JSON.stringify(settings));
  }
  assertEquals([veth.up().read().up, veth.down().read().up], [true, false]);
});

test("What is taken back is gone: alias, master, group", () => {
  using netns = NetNs.create();
  const master = Bridge.create({ name: "br0", netns, mac: "02:00:00:00:00:01" });
  const veth = Veth.create({
    name: "v0",
    netns,
    alias: "x",
    master,
    group: 7,
    peer: { name: "v1", netns },
  });
  veth.set({ alias: "", master: null, group: 0 });
  const { alias, master: after, group } = veth.read();
  assertEquals([alias, after ?? 0, group], [undefined, 0, 0]);
  assertEquals(ip(netns.ref, "-j link show master br0"), []);
});

test("undefined settings are not sent, and no settings change nothing", () => {
  using netns = NetNs.create();
  const veth = Veth.create({ name: "v0", netns, mtu: 1400, peer: { name: "v1", netns } });
  const before = look(netns);
  // deno-lint-ignore no-explicit-any
  veth.set({ mtu: undefined, up: undefined, alias: undefined, group: undefined } as any).set({});
  assertEquals(look(netns), before);
});

test("addrGenMode is there before the link comes up, also when set with it", async () => {
  using netns = NetNs.create();
  const veth = Veth.create({ name: "v0", netns, peer: { name: "v1", netns, up: true } });
  veth.set({ addrGenMode: "none", up: true });
  await veth.waitFor(({ operstate }) => operstate === "up");
  assertEquals(veth.addresses.list(), []);
});

kernelTest("dummy", "carrier is set where the driver lets it be", () => {
  using netns = NetNs.create();
  const dummy = Dummy.create({ name: "d0", netns, up: true, carrier: false });
  assertEquals(dummy.read().carrier, false);
  for (const carrier of [true, false, true]) {
    assertEquals(dummy.set({ carrier }).read().carrier, carrier);
  }
});

kernelTest("macvlan", "protoDown holds a link down", () => {
  using netns = NetNs.create();
  const parent = Veth.create({
    name: "v0",
    netns,
    up: true,
    peer: { name: "v1", netns, up: true },
  });
  const macvlan = Macvlan.create({ name: "m0", netns, parent, mode: "bridge", up: true });
  assertEquals(macvlan.read().carrier, true);
  assertEquals(macvlan.set({ protoDown: true }).read().protoDown, true);
  assertEquals(macvlan.read().carrier, false);
  assert(!macvlan.set({ protoDown: false }).read().protoDown);
  const held = Macvlan.create({ name: "m1", netns, parent, mode: "bridge", protoDown: true });
  assertEquals(held.up().read().carrier, false);
});

test("A setting the kernel refuses is an error that names link, setting and namespace", () => {
  using netns = NetNs.create("settings-refused");
  const veth = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
  const before = look(netns);
  const error = assertThrows(() => veth.set({ mtu: 70_000 }), NetlinkError);
  assertEquals(
    error.message,
    'set mtu of veth "v0" in netns "settings-refused": Invalid argument (EINVAL): mtu greater than device maximum; mtu must be in 68..65535 bytes: got 70000',
  );
  assertThrows(() => veth.set({ carrier: true }), NetlinkError, "EOPNOTSUPP");
  assertThrows(() => veth.set({ mac: "ff:ff:ff:ff:ff:ff" }), NetlinkError, "EADDRNOTAVAIL");
  assertThrows(() => veth.set({ master: "v1" }), NetlinkError);
  assertThrows(() => veth.set({ port: { cost: 1 } }), TypeError, "port needs a master");
  assertThrows(() => veth.set({ master: "none" }), NetlinkError, 'find master "none"');
  assertEquals(look(netns), before);
});

test("A malformed setting is refused before anything is changed", () => {
  using netns = NetNs.create();
  const veth = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
  let sent = 0;
  using _trace = trace(() => sent++, { changes: true });
  const refused: [object, string][] = [
    [{ mtu: -1 }, "mtu"],
    [{ mtu: 1.5 }, "mtu"],
    [{ mtu: "1500" }, "mtu"],
    [{ mac: "02:0g" }, "mac"],
    [{ mac: 7 }, "mac"],
    [{ broadcast: "x" }, "broadcast"],
    [{ txqlen: 2 ** 32 }, "txqlen"],
    [{ group: -1 }, "group"],
    [{ alias: "x".repeat(256) }, "alias"],
    [{ alias: "a\0b" }, "alias"],
    [{ up: 1 }, "up must be a boolean: got 1"],
    [{ arp: "off" }, 'arp must be a boolean: got "off"'],
    [{ addrGenMode: "some" }, "addrGenMode"],
    [{ carrier: 2 }, "carrier"],
    [{ colour: "red" }, 'Unknown option "colour"'],
    [{ name: "other" }, 'Unknown option "name"'],
    [{ addresses: [] }, 'Unknown option "addresses"'],
  ];
  for (const [settings, message] of refused) {
    const error = assertThrows(() => veth.set(settings as LinkSettings), Error, message);
    assert(error instanceof TypeError || error instanceof RangeError, `${error}`);
  }
  assertEquals(sent, 0);
});
