// Namespaces made here and used by `ip netns`, and the other way round.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { homeNetNs } from "../../ffi/namespace.ts";
import { Bridge, NetNs, Veth } from "../../mod.ts";
import { ip, run } from "../helpers.ts";
import { test as leakTest } from "../leaks.ts";
import { fresh } from "../machine.ts";

const own = homeNetNs();

/** A test in which `interop` may have been made by either; it does not outlive a failure. */
function test(name: string, fn: () => void | Promise<void>): void {
  leakTest(name, async () => {
    try {
      await fn();
    } finally {
      NetNs.delete("interop");
    }
  });
}

const listed = () => ip(own, "-j netns list").map(({ name }) => String(name));

test("ip netns lists, enters, identifies and deletes a namespace made here", async () => {
  const netns = NetNs.create("interop");
  assertEquals(fresh(listed()), ["interop"]);
  Bridge.create({ name: "br0", netns });
  assertEquals(run(own, "ip netns exec interop ls /sys/class/net"), "br0\nlo\n");
  assertEquals(ip(own, "-j -n interop link show br0")[0]!.ifname, "br0");

  const child = netns.command("sleep", { args: ["60"], mounts: false }).spawn();
  assertEquals(run(own, "ip netns pids interop"), `${child.pid}\n`);
  assertEquals(run(own, `ip netns identify ${child.pid}`), "interop\n");
  child.kill();
  await child.status;

  ip(own, "netns delete interop");
  assertEquals(fresh(NetNs.list()), []);
  assert(!NetNs.exists("interop"));
  await netns[Symbol.asyncDispose]();
});

test("A namespace that ip netns made is opened, used and deleted here", () => {
  ip(own, "netns add interop");
  run(own, "ip -n interop link set lo up");
  assertEquals(fresh(NetNs.list()), ["interop"]);
  {
    using netns = NetNs.open("interop");
    assertEquals(netns.links.get("lo").read().operstate, "unknown");
    Bridge.create({ name: "br0", netns });
    assertEquals(ip(own, "-j -n interop link").length, 2);
    assertThrows(() => NetNs.create("interop"), Error, "EEXIST");
    assertEquals(
      netns.run(() => Deno.readTextFileSync("/proc/thread-self/net/dev").includes("br0")),
      true,
    );
  }
  assertEquals(fresh(listed()), ["interop"]);
  assertEquals(NetNs.delete("interop"), true);
  assertEquals(fresh(listed()), []);
});

test("NetNs.create() and ip netns add take turns at one name", () => {
  for (let i = 0; i < 3; i++) {
    using netns = NetNs.create("interop");
    assertThrows(() => ip(own, "netns add interop"), Error, "File exists");
    assert(netns.owned);
    netns[Symbol.dispose]();
    ip(own, "netns add interop");
    assertThrows(() => NetNs.create("interop"), Error, "File exists");
    ip(own, "netns del interop");
  }
});

test("The id that ip netns set gives is the one idOf() finds", () => {
  using netns = NetNs.create("interop");
  ip(own, "netns set interop 4711");
  using current = NetNs.current();
  assertEquals(current.idOf(netns), 4711);
  const veth = Veth.create({ name: "leak-v", peer: { name: "w", netns } });
  assertEquals(ip(own, "-d -j link show leak-v")[0]!.link_netnsid, 4711);
  assertEquals(veth.read().linkNetnsId, 4711);
  veth.delete();
});

test("A namespace made here is seen in other mount namespaces, as with ip netns", async () => {
  // A mount namespace made before, which follows what happens in /run/netns.
  NetNs.create("interop-first")[Symbol.dispose]();
  const other = new Deno.Command("unshare", {
    args: [
      "--mount",
      "--propagation",
      "slave",
      "sh",
      "-c",
      "echo ready; read line; ip netns exec interop ip -br link",
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = other.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  using _netns = NetNs.create("interop");
  const writer = other.stdin.getWriter();
  await writer.write(new TextEncoder().encode("go\n"));
  await writer.close();
  const { stdout, stderr, code } = await other.output();
  assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
  assert(new TextDecoder().decode(stdout).startsWith("lo "));
});

test("Disposing removes a namespace also from mount namespaces that follow", async () => {
  using netns = NetNs.create("interop");
  const child = new Deno.Command("unshare", {
    args: ["--mount", "--propagation", "slave", "sleep", "60"],
  }).spawn();
  const table = () => Deno.readTextFileSync(`/proc/${child.pid}/mountinfo`);
  // In a mount namespace of its own by then.
  const own = Deno.readLinkSync("/proc/self/ns/mnt");
  for (let i = 0; Deno.readLinkSync(`/proc/${child.pid}/ns/mnt`) === own && i < 1000; i++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert(table().includes("/run/netns/interop"));
  netns[Symbol.dispose]();
  assert(!table().includes("/run/netns/interop"));
  child.kill();
  await child.status;
});
