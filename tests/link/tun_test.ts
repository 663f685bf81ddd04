import { assertEquals, assertThrows } from "@std/assert";
import { NetNs, SyscallError, Tap, Tun, type TunCreateOptions } from "../../mod.ts";
import { Fd } from "../../ffi/file.ts";
import { IFF_TUN_FLAGS, openTunDevice, setInterface, tunIoctlInt } from "../../ffi/packet_io.ts";
import { ip, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { frame, parseFrame, textOf, Wire } from "./wire.ts";

/** What `ip` shows of a link: its settings, and those it has as a TUN or TAP. */
function shown(netns: NetNs, name = "t0"): Json & { data: Json; flags: string[] } {
  const [link] = ip(netns.ref, `-d -j address show dev ${name}`) as [Json];
  const { info_kind, info_data } = link.linkinfo as Json;
  assertEquals(info_kind, "tun");
  return { ...link, data: info_data as Json, flags: link.flags as string[] };
}

/** Options, and what `ip` shows of them, in words of `ip -d -j link`. */
const OPTIONS: [name: string, options: TunCreateOptions, data: Json][] = [
  ["nothing else", {}, { pi: false, vnet_hdr: false, persist: false, multi_queue: false }],
  ["persistent", { persistent: true }, { persist: true }],
  ["owner", { owner: 65534 }, { user: "nobody" }],
  ["owner root", { owner: 0 }, { user: "root" }],
  ["ownerGroup", { ownerGroup: 65534 }, { group: "nogroup" }],
  ["multiQueue", { multiQueue: true }, { multi_queue: true, numqueues: 1, numdisabled: 0 }],
  ["vnetHdr", { vnetHdr: true }, { vnet_hdr: true }],
  ["packetInfo", { packetInfo: true }, { pi: true }],
  ["offloads", { offloads: true }, { vnet_hdr: true }],
  ["some offloads", { offloads: ["checksum", "tso4"] }, { vnet_hdr: true }],
  ["no offloads", { offloads: [] }, { vnet_hdr: false }],
  [
    "all of them",
    {
      persistent: true,
      owner: 0,
      ownerGroup: 0,
      multiQueue: true,
      vnetHdr: true,
      packetInfo: true,
    },
    { persist: true, user: "root", group: "root", multi_queue: true, vnet_hdr: true, pi: true },
  ],
];

/** As what the handle reports of it, in words of {@link TunCreateOptions}. */
function asOptions(data: Json): object {
  const names: Record<string, string> = {
    pi: "packetInfo",
    vnet_hdr: "vnetHdr",
    persist: "persistent",
    multi_queue: "multiQueue",
    user: "owner",
    group: "ownerGroup",
    numqueues: "numQueues",
    numdisabled: "numDisabledQueues",
  };
  const ids: Record<string, number> = { root: 0, nobody: 65534, nogroup: 65534 };
  return Object.fromEntries(
    Object.entries(data).filter(([key]) => key !== "type")
      .map(([key, value]) => [names[key], ids[value as string] ?? value]),
  );
}

for (const [type, kind] of [["tun", Tun], ["tap", Tap]] as const) {
  test(`A ${type} with each option is what ip shows of it`, async (t) => {
    for (const [name, options, expected] of OPTIONS) {
      await t.step(name, () => {
        using netns = NetNs.create();
        using made = kind.create({ name: "t0", netns, ...options });
        const { data } = shown(netns);
        for (const [key, value] of Object.entries(expected)) assertEquals(data[key], value, key);
        assertEquals(data.type, type);
        const { type: read, ...others } = made.options();
        assertEquals([read, others], [type, asOptions(data)]);
        assertEquals(made.vnetHdr, data.vnet_hdr);
        assertEquals(made.packetInfo, data.pi);
        assertEquals(made.headerLength, (data.pi ? 4 : 0) + (data.vnet_hdr ? 10 : 0));
        // The older command tells it in flags.
        // It looks into the namespace's sysfs.
        const { stdout } = netns.command("ip", { args: ["-j", "tuntap"] }).outputSync();
        const [old] = JSON.parse(new TextDecoder().decode(stdout)) as [Json];
        const flags = (old.flags as string[]).join();
        for (const [word, on] of [["persist", data.persist], ["vnet_hdr", data.vnet_hdr]]) {
          assertEquals(flags.includes(word as string), on, flags);
        }
        assertEquals([old.ifname, flags.includes(type)], ["t0", true]);
      });
    }
  });

  test(`A ${type} made persistent by ip is attached to as it is set up`, async (t) => {
    using netns = NetNs.create();
    for (
      const [words, vnetHdr, packetInfo, multiQueue] of [
        ["", false, false, false],
        ["pi", false, true, false],
        ["vnet_hdr", true, false, false],
        ["multi_queue user nobody group nogroup vnet_hdr pi", true, true, true],
      ] as const
    ) {
      await t.step(words || "nothing else", () => {
        run(netns.ref, `ip tuntap add t0 mode ${type} ${words}`);
        const before = { ...shown(netns).data, numqueues: 1, numdisabled: 0 };
        {
          using tun = kind.attach("t0", { netns });
          assertEquals([tun.vnetHdr, tun.packetInfo, tun.link.owned], [vnetHdr, packetInfo, false]);
          const { persistent, multiQueue: several } = tun.options();
          assertEquals([persistent, several], [true, multiQueue]);
          assertEquals({ numqueues: 1, numdisabled: 0, ...shown(netns).data }, before);
          using again = kind.create({
            ...{ name: "t1", netns, persistent, vnetHdr, packetInfo, multiQueue },
            ...(tun.options().owner === undefined ? {} : { owner: 65534, ownerGroup: 65534 }),
          });
          assertEquals(shown(netns, "t1").data, shown(netns).data);
          again.link.persist();
        }
        assertEquals(netns.links.list().map(({ name }) => name), ["lo", "t0", "t1"]);
        for (const name of ["t0", "t1"]) {
          run(netns.ref, `ip tuntap del ${name} mode ${type} ${multiQueue ? "multi_queue" : ""}`);
        }
      });
    }
  });

  test(`What every link has is said of a ${type} in the same call`, () => {
    using netns = NetNs.create();
    const addresses = ["10.9.0.1/24", "2001:db8::1/64"];
    using tun = kind.create({
      ...{ name: "t0", netns, addresses, nodad: true, mtu: 1400, txqlen: 77, alias: "mine" },
      ...{ up: true, altNames: ["a-longer-name-of-it"], multicast: false, group: 7 },
      ...(type === "tap" ? { mac: "02:00:00:00:00:0a" } : {}),
    });
    const link = shown(netns);
    assertEquals([link.mtu, link.txqlen, link.ifalias, link.altnames], [
      1400,
      77,
      "mine",
      ["a-longer-name-of-it"],
    ]);
    assertEquals([link.flags.includes("UP"), link.flags.includes("MULTICAST")], [true, false]);
    const has = (link.addr_info as Json[]).map(({ local, prefixlen }) => `${local}/${prefixlen}`);
    for (const address of addresses) assertEquals(has.includes(address), true, `${has}`);
    if (type === "tap") assertEquals(link.address, "02:00:00:00:00:0a");
    assertEquals([tun.name, tun.index], ["t0", link.ifindex as number]);
    assertEquals(tun.link.addresses.list().length, has.length);
  });

  test(`A pattern gives a ${type} the first number that is free, ${type}%d by default`, () => {
    using netns = NetNs.create();
    using first = kind.create({ name: "port%d", netns });
    using second = kind.create({ name: "port%d", netns, mtu: 1300, up: true });
    using third = kind.create({ netns, addresses: ["10.9.0.1/24"] });
    assertEquals([first.name, second.name, third.name], ["port0", "port1", `${type}0`]);
    assertEquals(shown(netns, "port1").mtu, 1300);
    first.close();
    using again = kind.create({ name: "port%d", netns });
    assertEquals(again.name, "port0");
    using long = kind.create({ name: "abcdefghijklm%d", netns });
    assertEquals(long.name, "abcdefghijklm0");
  });

  test(`The carrier of a ${type} is off when asked, and set later`, async () => {
    using netns = NetNs.create();
    using tun = kind.create({ name: "t0", netns, carrier: false, up: true });
    // Linux before 6.8 acts on it some time later.
    await tun.link.waitFor(({ operstate }) => operstate === "down");
    assertEquals(shown(netns).flags.includes("NO-CARRIER"), true);
    tun.link.set({ carrier: true });
    await tun.link.waitFor(({ operstate }) => operstate === "up");
    assertEquals(shown(netns).flags.includes("NO-CARRIER"), false);
  });

  test(`The send buffer of a ${type} is what was asked for`, () => {
    using netns = NetNs.create();
    using tun = kind.create({ name: "t0", netns, sendBuffer: 4321 });
    assertEquals(tun.sendBuffer, 4321);
    tun.sendBuffer = 1;
    assertEquals(tun.sendBuffer, 1);
    using other = kind.create({ name: "t1", netns });
    assertEquals(other.sendBuffer, 2 ** 31 - 1);
  });

  test(`The link type of a ${type} is what was asked for`, () => {
    using netns = NetNs.create();
    for (const [linkType, name] of [[778, "gre"], [512, "ppp"], [65535, "void"]] as const) {
      using _tun = kind.create({ name: "t0", netns, linkType, up: true });
      assertEquals(shown(netns).link_type, name);
    }
    using _tun = kind.create({ name: "t0", netns });
    assertEquals(shown(netns).link_type, type === "tap" ? "ether" : "none");
  });

  test(`A ${type} tells what the kernel's driver has`, () => {
    using netns = NetNs.create();
    using tun = kind.create({ name: "t0", netns });
    const { tun: tuns, tap, multiQueue, vnetHdr } = tun.features();
    assertEquals({ tuns, tap, multiQueue, vnetHdr }, {
      tuns: true,
      tap: true,
      multiQueue: true,
      vnetHdr: true,
    });
  });

  test(`A ${type} in the process's own namespace, and in one found by name, is the same`, () => {
    using named = NetNs.create("tun-named");
    using here = kind.create({ name: "tun-here" });
    using there = kind.create({ name: "tun-there", netns: { name: "tun-named" } });
    assertEquals(named.links.list().map(({ name }) => name), ["lo", "tun-there"]);
    assertEquals([here.link.read().name, there.link.read().name], ["tun-here", "tun-there"]);
    // Closes what was opened for it, also when it is handed over.
    using moved = kind.create({ name: "tun-moved", netns: { name: "tun-named" } });
    new Fd(moved.transfer().fd).close();
    assertEquals(named.links.list().map(({ name }) => name), ["lo", "tun-there"]);
  });
}

test("Offloads are changed on a living link, and the most there are is more than nothing", () => {
  using netns = NetNs.create();
  using tap = Tap.create({ name: "t0", netns, vnetHdr: true });
  assertEquals(tap.offloads, []);
  const most = tap.setOffloads(true);
  assertEquals([most.includes("checksum"), most.includes("tso6")], [true, true]);
  assertEquals(tap.setOffloads(["checksum"]), ["checksum"]);
  assertEquals(tap.setOffloads(false), []);
  assertThrows(() => tap.setOffloads(["tso4"]), SyscallError, "EINVAL");
  assertEquals(tap.offloads, []);
});

test("A program that attaches later finds no offloads and no header of the one before", () => {
  using netns = NetNs.create();
  run(netns.ref, "ip tuntap add t0 mode tap vnet_hdr");
  {
    using before = Tap.attach("t0", { netns, offloads: true });
    assertEquals(before.offloads.length > 0, true);
  }
  {
    // As virtual machines do it: a header of 12 bytes, which the link keeps.
    using fd = openTunDevice(netns.ref, "test");
    const { TAP, NO_PI, VNET_HDR } = IFF_TUN_FLAGS;
    setInterface(fd, { name: "t0", flags: TAP | NO_PI | VNET_HDR }, "test");
    tunIoctlInt(fd, "SETVNETHDRSZ", 12, "test");
  }
  run(netns.ref, "ip link set t0 up");
  using tap = Tap.attach("t0", { netns });
  assertEquals([tap.vnetHdr, tap.offloads], [true, []]);
  using wire = new Wire(netns, tap, true, true);
  wire.send(frame("02:00:00:00:00:02", "02:00:00:00:00:01", "mine"));
  const buffer = new Uint8Array(2048);
  let n = tap.tryRead(buffer);
  // Others speak too; -1 is none of theirs, and ends it.
  while (n > 0 && textOf(parseFrame(buffer.subarray(10, n))) !== "mine") n = tap.tryRead(buffer);
  assertEquals(n, 70);
});

test("A handle prints its kind, name and namespace", () => {
  using netns = NetNs.create();
  using tap = Tap.create({ name: "t0", netns });
  assertEquals(Deno.inspect(tap), `tap "t0" in netns ${netns.ref.inode}`);
});
