// Namespaces made here and used by `ip netns`, and the other way round.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { homeNetNs } from "../../ffi/namespace.ts";
import { Bridge, NetNs, Veth } from "../../mod.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";

const own = homeNetNs();
const listed = () => ip(own, "-j netns list").map(({ name }) => name);

test("ip netns lists, enters, identifies and deletes a namespace made here", async () => {
  const netns = NetNs.create("interop");
  assertEquals(listed(), ["interop"]);
  Bridge.create({ name: "br0", netns });
  assertEquals(run(own, "ip netns exec interop ls /sys/class/net"), "br0\nlo\n");
  assertEquals(ip(own, "-j -n interop link show br0")[0]!.ifname, "br0");

  const child = netns.command("sleep", { args: ["60"], mounts: false }).spawn();
  assertEquals(run(own, "ip netns pids interop"), `${child.pid}\n`);
  assertEquals(run(own, `ip netns identify ${child.pid}`), "interop\n");
  child.kill();
  await child.status;

  ip(own, "netns delete interop");
  assertEquals(NetNs.list(), []);
  assert(!NetNs.exists("interop"));
  await netns[Symbol.asyncDispose]();
});

test("A namespace that ip netns made is opened, used and deleted here", () => {
  ip(own, "netns add interop");
  run(own, "ip -n interop link set lo up");
  assertEquals(NetNs.list(), ["interop"]);
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
  assertEquals(listed(), ["interop"]);
  assertEquals(NetNs.delete("interop"), true);
  assertEquals(listed(), []);
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
  while (
    !table().includes("/run/netns/interop") ||
    table() === Deno.readTextFileSync("/proc/self/mountinfo")
  ) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  netns[Symbol.dispose]();
  assert(!table().includes("/run/netns/interop"));
  child.kill();
  await child.status;
});
