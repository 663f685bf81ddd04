import { assert, assertEquals, assertRejects } from "@std/assert";
import { Bridge, Link, NetlinkError, NetNs, Veth } from "../../mod.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";

function pair(netns: NetNs): Veth {
  return Veth.create({ name: "v0", netns, up: true, peer: { name: "v1", netns } });
}

const soon = (fn: () => void) => void setTimeout(fn, 10);

test("waitFor() resolves at once when the condition holds already", async () => {
  using netns = NetNs.create();
  using veth = pair(netns);
  const info = await veth.waitFor(({ name }) => name === "v0", { timeout: 0 });
  assertEquals(info.index, veth.index);
});

test("waitFor() resolves when the kernel reports the change", async () => {
  using netns = NetNs.create();
  using veth = pair(netns);
  soon(() => veth.peer.up());
  assertEquals((await veth.waitFor(({ carrier }) => carrier === true)).carrier, true);
  soon(() => run(netns.ref, "ip link set dev v0 mtu 1400"));
  assertEquals((await veth.waitFor(({ mtu }) => mtu === 1400)).mtu, 1400);
  const master = Bridge.create({ name: "br0", netns });
  soon(() => veth.set({ master }));
  assertEquals((await veth.waitFor(({ master }) => master !== undefined)).master, master.index);
});

test("waitFor() sees a state that holds for a moment only", async () => {
  using netns = NetNs.create();
  using veth = pair(netns);
  soon(() => veth.set({ mtu: 1400 }).set({ mtu: 1300 }));
  assertEquals((await veth.waitFor(({ mtu }) => mtu === 1400)).mtu, 1400);
});

test("waitFor() ignores messages about other links and from the bridge", async () => {
  using netns = NetNs.create();
  const master = Bridge.create({ name: "br0", netns });
  using veth = pair(netns);
  let looks = 0;
  const waiting = veth.waitFor(({ mtu }) => (looks++, mtu === 1400));
  soon(() => {
    for (let i = 0; i < 20; i++) veth.peer.set({ mtu: 1000 + i });
    veth.set({ master }).set({ master: null });
    soon(() => veth.set({ mtu: 1400 }));
  });
  await waiting;
  assert(looks < 20, `${looks} looks`);
});

test("waitFor() ends with its timeout and with its signal", async () => {
  using netns = NetNs.create();
  using veth = pair(netns);
  const never = () => false;
  const late = await assertRejects(() => veth.waitFor(never, { timeout: 10 }), DOMException);
  assertEquals(late.name, "TimeoutError");
  const controller = new AbortController();
  soon(() => controller.abort(new Error("enough")));
  const options = { signal: controller.signal, timeout: 60_000 };
  await assertRejects(() => veth.waitFor(never, options), Error, "enough");
  await assertRejects(() => veth.waitFor(() => true, options), Error, "enough");
});

test("waitFor() fails when the link is gone, goes, or moves away", async () => {
  using netns = NetNs.create();
  using other = NetNs.create();
  const never = () => false;
  const gone = [
    (veth: Veth) => veth.delete(),
    (veth: Veth) => veth.peer.delete(),
    () => Link.get("v0", { netns }).move(other),
  ];
  for (const go of gone) {
    const veth = pair(netns);
    soon(() => go(veth));
    const error = await assertRejects(() => veth.waitFor(never), NetlinkError);
    assertEquals(
      error.message,
      `wait for veth "v0" in ${netns.ref.label}: No such device (ENODEV)`,
    );
    await assertRejects(() => veth.waitFor(never), NetlinkError, "ENODEV");
  }
});

test("waitFor() ends with an error of its condition", async () => {
  using netns = NetNs.create();
  using veth = pair(netns);
  const fails = () => {
    throw new Error("mine");
  };
  await assertRejects(() => veth.waitFor(fails), Error, "mine");
});

test("Many can wait for one link, each for something else", async () => {
  using netns = NetNs.create();
  using veth = pair(netns);
  const waiting = Promise.all(
    Array.from({ length: 20 }, (_, i) => veth.waitFor(({ mtu }) => mtu === 1000 + i)),
  );
  soon(() => {
    for (let i = 0; i < 20; i++) veth.set({ mtu: 1000 + i });
  });
  assertEquals(
    (await waiting).map(({ mtu }) => mtu),
    Array.from({ length: 20 }, (_, i) => 1000 + i),
  );
});
