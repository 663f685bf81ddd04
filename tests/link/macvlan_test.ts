import { assert, assertEquals } from "@std/assert";
import {
  Bridge,
  capabilities,
  Link,
  Macvlan,
  type MacvlanOptions,
  NetlinkError,
  NetNs,
  Veth,
} from "../../mod.ts";
import { source, Writer } from "../../src/netlink/bytes.ts";
import { type MacvlanData, macvlanSchema } from "../../src/rtnetlink/link_kinds/macvlan.ts";
import { fromHex, ip, run, toHex } from "../helpers.ts";
import { Testbed, V0 } from "../rtnetlink/testbed.ts";
import { CHANGED, MADE, REFUSED } from "./macvlan_table.ts";
import { caught, commandOf, kernelTest, testCases, testLacking, testRefusals } from "./oracle.ts";

const MACVLAN = { kind: "macvlan", create: Macvlan.create, get: Macvlan.get };

// As Linux 6.18, 6.12 and 6.1 sent them; the last one as 6.18 does.
const READ: [name: string, bytes: string, data: MacvlanData][] = [
  [
    "a queue's length",
    `08000100 04000000 06000200 00000000 08000600 00000000 08000700 05000000 08000800 05000000`,
    {
      mode: "bridge",
      flags: { nopromisc: false, nodst: false },
      macCount: 0,
      bcQueueLen: 5,
      bcQueueLenUsed: 5,
    },
  ],
  [
    "a list, in the order of the kernel's hash",
    `08000100 10000000 06000200 00000000 08000600 02000000 1c000500 0a000400 02000000 00990000
     0a000400 02000000 00010000 08000700 e8030000 08000800 e8030000`,
    {
      mode: "source",
      flags: { nopromisc: false, nodst: false },
      macCount: 2,
      macs: ["02:00:00:00:00:01", "02:00:00:00:00:99"],
      bcQueueLen: 1000,
      bcQueueLenUsed: 1000,
    },
  ],
  [
    "flags and a cutoff",
    `08000100 08000000 06000200 01000000 08000600 00000000 08000700 e8030000 08000800 e8030000
     08000900 ffffffff`,
    {
      mode: "passthru",
      flags: { nopromisc: true, nodst: false },
      macCount: 0,
      bcQueueLen: 1000,
      bcQueueLenUsed: 1000,
      bcCutoff: -1,
    },
  ],
  ["a mode from the future", "08000100 20000000", { mode: 32 }],
];

for (const [name, bytes, data] of READ) {
  Deno.test(`Options of a macvlan are read from bytes: ${name}`, () => {
    const all = fromHex(bytes);
    assertEquals(macvlanSchema.read(source(all), 0, all.length), data);
  });
}

const WRITTEN: [data: MacvlanData, bytes: string][] = [
  [{ mode: "private" }, "08000100 01000000"],
  [{ mode: "vepa", flags: { nodst: true } }, "08000100 02000000 06000200 02000000"],
  [
    { mode: "source", flags: { nopromisc: true, nodst: true } },
    "08000100 10000000 06000200 03000000",
  ],
  [
    { macaddrMode: "add", mac: "02:00:00:00:00:05" },
    "08000300 00000000 0a000400 02000000 00050000",
  ],
  [{ macaddrMode: "flush" }, "08000300 02000000"],
  [
    { macaddrMode: "set", macs: ["02:00:00:00:00:05", "02-00-00-00-00-06"] },
    "08000300 03000000 1c000580 0a000400 02000000 00050000 0a000400 02000000 00060000",
  ],
  [{ bcQueueLen: 0, bcCutoff: -2 }, "08000700 00000000 08000900 feffffff"],
];

for (const [data, bytes] of WRITTEN) {
  Deno.test(`Options of a macvlan become bytes, and back: ${Deno.inspect(data)}`, () => {
    const writer = new Writer();
    macvlanSchema.write(writer, data);
    writer.align();
    assertEquals(toHex(writer.bytes.subarray(0, writer.length)), bytes);
    const { flags, ...rest } = macvlanSchema.read(writer, 0, writer.length);
    assertEquals(String(rest.macs), String(data.macs).replaceAll("-", ":"));
    for (const key of ["mode", "macaddrMode", "mac", "bcQueueLen", "bcCutoff"] as const) {
      assertEquals(rest[key], data[key]);
    }
    for (const key of ["nopromisc", "nodst"] as const) {
      assertEquals(flags?.[key], data.flags && (data.flags[key] ?? false));
    }
  });
}

testLacking(MACVLAN, "CONFIG_MACVLAN", "macvlan");
testCases(MACVLAN, "made", MADE);
testCases(MACVLAN, "changed", CHANGED);
testRefusals(MACVLAN, REFUSED);
testRefusals(MACVLAN, [...REFUSED, [{ mode: "passthru" }, "NetlinkError", "(EINVAL)"]], {
  mode: "bridge",
});

kernelTest("macvlan", "Macvlan.create() needs a parent", () => {
  using netns = NetNs.create();
  for (const parent of [undefined, null, true]) {
    const error = caught(() => Macvlan.create({ name: "m0", netns, parent } as never));
    assertEquals(error.name, "TypeError");
    assertEquals(
      error.message,
      parent === undefined
        ? "parent is missing: the link this one sits on, by handle, name or index"
        : `parent must be a link, a name or an index: got ${parent}`,
    );
  }
  for (const [parent, code] of [["none", "ENODEV"], [77, "ENODEV"]] as const) {
    const error = caught(() => Macvlan.create({ name: "m0", netns, parent }));
    assert(error instanceof NetlinkError);
    assertEquals(error.code, code);
  }
  assertEquals(netns.links.list().length, 1);
});

kernelTest("macvlan", "Macvlan.create() takes the parent as handle, name and index", () => {
  using bed = new Testbed();
  const netns = { ref: bed.netns };
  for (const parent of [Link.get("v0", { netns }), "v0", V0]) {
    using link = Macvlan.create({ name: "m0", netns, parent, mode: "bridge" });
    const { parent: index, linkNetnsId } = link.read();
    assertEquals([index, linkNetnsId], [V0, undefined]);
  }
});

kernelTest(
  "macvlan",
  "Macvlan.create() takes a parent in another namespace, and all options",
  () => {
    using hub = NetNs.create();
    using netns = NetNs.create();
    const parent = Veth.create({ name: "eth0", netns: hub, peer: { name: "eth1", netns: hub } });
    const master = Bridge.create({ name: "br0", netns, up: true });
    const link = Macvlan.create({
      // Taken there, and free here.
      name: "eth1",
      netns,
      parent,
      mode: "bridge",
      up: true,
      mac: "02:00:00:00:00:0a",
      mtu: 1400,
      txqlen: 5,
      group: 7,
      alias: "port",
      altNames: ["the-first-port-of-all"],
      addrGenMode: "none",
      multicast: false,
      addresses: ["192.0.2.1/24", "2001:db8::1/64"],
      nodad: true,
      master,
      port: { cost: 5 },
    });
    const info = link.read();
    assertEquals([info.parent, info.linkNetnsId], [parent.index, netns.idOf(hub)]);
    assertEquals([info.name, link.name, info.master], ["eth1", "eth1", master.index]);
    assert(info.up);
    assertEquals(hub.links.list().map(({ name }) => name).sort(), ["eth0", "eth1", "lo"]);
    assertEquals(netns.links.list().map(({ name }) => name).sort(), ["br0", "eth1", "lo"]);
    link.delete();
  },
);

kernelTest(
  "macvlan",
  "A name that is taken is refused, whatever namespace the parent is in",
  () => {
    using hub = NetNs.create();
    using netns = NetNs.create();
    const parent = Veth.create({ name: "eth0", netns: hub, peer: { name: "eth1", netns: hub } });
    const error = caught(() => Macvlan.create({ name: "lo", netns, parent }));
    assert(error instanceof NetlinkError && error.code === "EEXIST", `${error}`);
    assertEquals(error.operation, 'create macvlan "lo"');
    assertEquals([hub.links.list().length, netns.links.list().length], [3, 1]);
  },
);

kernelTest("macvlan", "The command line of a link with its parent elsewhere makes the same", () => {
  using hub = NetNs.create();
  using bed = new Testbed();
  const parent = Veth.create({ name: "eth0", netns: hub, peer: { name: "eth1", netns: hub } });
  const netns = { ref: bed.netns };
  const make = () => Macvlan.create({ name: "m0", netns, parent, mode: "private", mtu: 1000 });
  const command = commandOf(() => {
    using _link = make();
  });
  run(bed.netns, command);
  const link = Macvlan.get("m0", { netns });
  const { parent: index, mtu, linkNetnsId } = link.read();
  assertEquals([index, mtu, link.options().mode], [parent.index, 1000, "private"]);
  assert(linkNetnsId! >= 0);
});

kernelTest("macvlan", "A macvlan on a macvlan is its sibling", () => {
  using bed = new Testbed();
  const netns = { ref: bed.netns };
  const first = Macvlan.create({ name: "m0", netns, parent: "v0", mode: "bridge" });
  const second = Macvlan.create({ name: "m1", netns, parent: first, mode: "bridge" });
  assertEquals(second.read().parent, V0);
});

kernelTest("macvlan", "Mode passthru is for one macvlan alone, and has the parent's MAC", () => {
  using bed = new Testbed();
  const netns = { ref: bed.netns };
  const first = Macvlan.create({ name: "m0", netns, parent: "v0", mode: "passthru" });
  assertEquals(first.read().mac, "02:00:00:00:00:10");
  for (const mode of ["bridge", "passthru"] as const) {
    const error = caught(() => Macvlan.create({ name: "m1", netns, parent: "v0", mode }));
    assert(error instanceof NetlinkError && error.code === "EINVAL", `${error}`);
  }
  first.delete();
  Macvlan.create({ name: "m0", netns, parent: "v0", mode: "bridge" });
  const error = caught(() => Macvlan.create({ name: "m1", netns, parent: "v0", mode: "passthru" }));
  assert(error instanceof NetlinkError && error.code === "EINVAL", `${error}`);
  assertEquals(ip(bed.netns, "-j link").length, 4);
});

const [major, minor] = capabilities().kernel.split(".").map(Number) as [number, number];
const hasCutoff = major > 6 || major === 6 && minor >= 4;

kernelTest("macvlan", `bcCutoff is ${hasCutoff ? "one value for a parent" : "refused"}`, () => {
  using bed = new Testbed();
  const create = (name: string, options: MacvlanOptions) =>
    Macvlan.create({ name, netns: { ref: bed.netns }, parent: "v0", ...options });
  if (!hasCutoff) {
    const error = caught(() => create("m0", { bcCutoff: 5 }));
    assertEquals(
      error.message,
      'set bcCutoff of macvlan "m0" in test netns: ' +
        "Operation not supported (EOPNOTSUPP); the running kernel lacks the option bcCutoff of a " +
        "macvlan: Linux 6.4 or later has it",
    );
    return assertEquals(ip(bed.netns, "-j link").length, 3);
  }
  const [first, second] = [create("m0", { bcCutoff: 5 }), create("m1", {})];
  for (const bcCutoff of [-1, 0, 2 ** 31 - 1, -(2 ** 31), 1]) {
    second.set({ bcCutoff });
    // The kernel is silent about the default.
    const read = bcCutoff === 1 ? undefined : bcCutoff;
    assertEquals([first.options().bcCutoff, second.options().bcCutoff], [read, read]);
  }
  assertEquals(
    commandOf(() => first.set({ bcCutoff: -1, bcQueueLen: 3 })),
    `ip link set dev if${first.index} type macvlan bclim -1 bcqueuelen 3`,
  );
});

kernelTest("macvlan", "The parent's queue is as long as the longest that was asked for", () => {
  using bed = new Testbed();
  const create = (name: string, bcQueueLen: number) =>
    Macvlan.create({ name, netns: { ref: bed.netns }, parent: "v0", mode: "bridge", bcQueueLen });
  const [short, long] = [create("m0", 10), create("m1", 2000)];
  const lengths = () => {
    const { bcQueueLen, bcQueueLenUsed } = short.options();
    return [bcQueueLen, bcQueueLenUsed];
  };
  assertEquals(lengths(), [10, 2000]);
  long.delete();
  assertEquals(lengths(), [10, 10]);
});
