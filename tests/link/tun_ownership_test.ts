import { assertEquals, assertThrows } from "@std/assert";
import { C, device } from "../../ffi/libc.ts";
import { Socket } from "../../ffi/socket.ts";
import { homeNetNs } from "../../ffi/namespace.ts";
import { DeviceClosedError, NetNs, receiveDevice, Scope, Tap, Tun } from "../../mod.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { machine } from "../machine.ts";
import { script, start } from "../script.ts";

const names = (netns: NetNs) => netns.links.list().map(({ name }) => name);

test("Disposing an owning handle deletes the link; a persistent one stays, except in a scope", async () => {
  using netns = NetNs.create();
  {
    using _plain = Tun.create({ name: "t0", netns });
    using persistent = Tap.create({ name: "t1", netns, persistent: true });
    assertEquals(persistent.link.owned, false);
    assertEquals(names(netns), ["lo", "t0", "t1"]);
  }
  assertEquals(names(netns), ["lo", "t1"]);
  netns.links.delete("t1");
  {
    await using scope = Scope.open();
    Tap.create({ scope, name: "t2", netns, persistent: true }).close();
    assertEquals(names(netns), ["lo", "t2"]);
  }
  assertEquals(names(netns), ["lo"]);
});

test("persist() leaves the link, and another handle can attach", () => {
  using netns = NetNs.create();
  {
    using tap = Tap.create({ name: "t0", netns, mtu: 1400 }).persist();
    assertEquals([tap.link.owned, tap.options().persistent], [false, true]);
  }
  assertEquals(names(netns), ["lo", "t0"]);
  {
    using borrowed = Tap.attach("t0", { netns });
    assertEquals([borrowed.link.owned, borrowed.link.read().mtu], [false, 1400]);
  }
  assertEquals(names(netns), ["lo", "t0"]);
});

test("Disposing tolerates a link that is gone, and leaves one that has taken its index", () => {
  using netns = NetNs.create();
  const tap = Tap.create({ name: "t0", netns });
  run(netns.ref, "ip link del t0");
  run(netns.ref, `ip link add other index ${tap.index} type bridge`);
  tap.close();
  assertEquals(names(netns), ["lo", "other"]);
  const gone = Tap.create({ name: "t0", netns });
  run(netns.ref, "ip link del t0");
  gone.close();
});

test("exclusive: false makes a link, or joins one that stays", () => {
  using netns = NetNs.create();
  {
    using made = Tap.create({ name: "t0", netns, exclusive: false });
    assertEquals(made.link.owned, true);
  }
  assertEquals(names(netns), ["lo"]);
  run(netns.ref, "ip tuntap add t0 mode tap");
  {
    using joined = Tap.create({ name: "t0", netns, exclusive: false, mtu: 1300, up: true });
    assertEquals([joined.link.owned, joined.link.read().mtu], [false, 1300]);
  }
  const scope = Scope.open();
  const inScope = Tap.create({ name: "t0", netns, exclusive: false, scope });
  assertEquals([scope.links.length, inScope.link.read().group], [0, 0]);
  scope.close();
  assertEquals([names(netns), inScope.closed], [["lo", "t0"], true]);
});

test("A scope removes TAPs in its own, foreign and the process's namespaces, and their descriptors", async () => {
  using foreign = NetNs.create();
  const before = [machine(), machine(foreign.ref)];
  const scope = Scope.open();
  const own = NetNs.create(undefined, { scope });
  const taps = Array.from({ length: 50 }, (_, i) => {
    const netns = [own, foreign, undefined][i % 3];
    return Tap.create({
      scope,
      name: `scope-tap${i}`,
      ...(netns && { netns }),
      up: i % 2 === 0,
      persistent: i % 5 === 0,
      addresses: [`10.9.${i}.1/24`],
    });
  });
  assertEquals(scope.links.length, 50);
  assertEquals(foreign.links.list({ group: scope.group }).length, 17);
  const reading = taps[1]!.read(new Uint8Array(100)).catch((error) => error);
  await scope[Symbol.asyncDispose]();
  assertEquals(await reading instanceof DeviceClosedError, true);
  assertEquals(taps.every(({ closed }) => closed), true);
  assertEquals([machine(), machine(foreign.ref)], before);
});

test("A scope's namespace goes although a TAP in it was open", async () => {
  const before = machine();
  {
    await using scope = Scope.open();
    const netns = NetNs.create("tun-scope", { scope });
    Tap.create({ scope, name: "t0", netns, up: true });
    Tun.create({ scope, netns: { name: "tun-scope" }, up: true });
  }
  assertEquals([NetNs.exists("tun-scope"), machine()], [false, before]);
});

test("What was closed, or moved, in a scope is no trouble at its end", async () => {
  using foreign = NetNs.create();
  {
    await using scope = Scope.open();
    const netns = NetNs.create(undefined, { scope });
    Tap.create({ scope, name: "t0", netns }).close();
    {
      using _block = Tap.create({ scope, name: "t1", netns });
    }
    const moved = Tap.create({ scope, name: "t2", netns });
    moved.link.move(foreign);
    assertEquals([names(foreign), moved.options().type], [["lo", "t2"], "tap"]);
    const handed = Tap.create({ scope, name: "t3", netns: foreign });
    receiveDevice(handed.transfer()).close();
  }
  assertEquals(names(foreign), ["lo"]);
});

test("After kill -9 a TAP is gone with the process; a persistent one goes with replace", async () => {
  ip(homeNetNs(), "netns add tun-killed");
  try {
    const program = (more: string) => `
      import { NetNs, Scope, Tap } from "./mod.ts";
      const scope = Scope.open({ name: "tun-killed", replace: true });
      const netns = NetNs.open("tun-killed");
      console.log("found", netns.links.list().map(({ name }) => name).join());
      ${more}
    `;
    {
      await using running = await start(program(`
        Tap.create({ scope, name: "t0", netns });
        Tap.create({ scope, name: "t1", netns, persistent: true });
        Tap.create({ scope, name: "tun-kill", persistent: true });
        console.log("made");
        setInterval(() => {}, 1000);
      `));
      await running.writes("made");
      running.kill("SIGKILL");
      await running.end();
    }
    using netns = NetNs.open("tun-killed");
    assertEquals(names(netns), ["lo", "t1"]);
    assertEquals(ip(homeNetNs(), "-j link show dev tun-kill").length, 1);
    const { stdout, stderr } = await script(program("scope.close();"));
    assertEquals([stderr, stdout], ["", "found lo\n"]);
    assertThrows(() => ip(homeNetNs(), "-j link show dev tun-kill"), Error, "does not exist");
  } finally {
    ip(homeNetNs(), "netns del tun-killed");
  }
});

/** ETHTOOL_GTXCSUM and ETHTOOL_GTSO of linux/ethtool.h. */
const ETHTOOL = { CHECKSUM: 0x16, TSO: 0x1e } as const;
const SIOCETHTOOL = 0x8946n;

/** Whether the link's offload is on, as ethtool(8) asks for it. */
function hasOffload(netns: NetNs, name: string, feature: keyof typeof ETHTOOL): boolean {
  using socket = new Socket(netns.ref, C.AF_INET, C.SOCK_DGRAM, 0, "open a socket");
  const value = new Uint32Array([ETHTOOL[feature], 0]); // struct ethtool_value
  const ifreq = new Uint8Array(40);
  new TextEncoder().encodeInto(name, ifreq);
  const pointer = Deno.UnsafePointer.value(Deno.UnsafePointer.of(value));
  new DataView(ifreq.buffer).setBigUint64(16, BigInt(pointer), true);
  assertEquals(device().ioctl(socket.fd.value, SIOCETHTOOL, ifreq), 0);
  return value[1] !== 0;
}

test("attach() sets what an earlier program had asked for to none: offloads and filter", async () => {
  using netns = NetNs.create();
  const options = { netns, up: true, addresses: ["192.0.2.1/24"] } as const;
  for (const kind of [Tun, Tap]) {
    const name = kind === Tun ? "u0" : "t0";
    {
      using _first = kind.create({ ...options, name, offloads: ["checksum", "tso4"] }).persist();
      assertEquals(hasOffload(netns, name, "TSO"), true);
    }
    assertEquals(hasOffload(netns, name, "TSO"), true, "it outlives it");
    for (const vnetHdr of [false, true]) {
      using attached = kind.attach(name, { netns, vnetHdr });
      assertEquals([attached.vnetHdr, attached.offloads], [vnetHdr, []]);
      assertEquals(hasOffload(netns, name, "TSO"), false);
      assertEquals(hasOffload(netns, name, "CHECKSUM"), false);
      attached.setOffloads(vnetHdr ? ["checksum", "tso4"] : false);
    }
    netns.links.delete(name);
  }
  {
    using first = Tap.create({ ...options, name: "t1" }).persist();
    first.setFilter({ macs: ["02:00:00:00:00:99"] });
  }
  using attached = Tap.attach("t1", { netns });
  const frame = new Uint8Array(1600);
  const ping = netns.ping("192.0.2.2", { timeout: 300 });
  const isArp = () => frame[12] === 8 && frame[13] === 6;
  do await attached.read(frame, { signal: AbortSignal.timeout(2000) }); while (!isArp());
  assertEquals(frame.subarray(0, 6), new Uint8Array(6).fill(0xff));
  await ping;
  netns.links.delete("t1");
});
