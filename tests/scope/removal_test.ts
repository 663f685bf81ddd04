import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { homeNetNs, newNetNs, openNetNs } from "../../ffi/namespace.ts";
import { Bridge, NetNs, type Scope, ScopeError, Tap, Veth } from "../../mod.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { setLink } from "../../src/rtnetlink/link.ts";
import { RemovalWatch } from "../../src/scope/removal.ts";
import { ip } from "../helpers.ts";
import { test } from "../leaks.ts";

function links(): string[] {
  return ip(homeNetNs(), "-j link").map(({ ifname }) => String(ifname)).filter((it) =>
    it.startsWith("removal")
  );
}

test("RemovalWatch waits for many namespaces and for the peers of their links", async () => {
  using watch = new RemovalWatch();
  const all = Array.from({ length: 20 }, (_, i) => {
    const netns = NetNs.create();
    Veth.create({ name: "inside", netns, peer: { name: `removal${i}` } });
    return netns;
  });
  for (const { ref } of all) watch.add(ref);
  for (const netns of all) {
    watch.drop(netns.ref);
  }
  await watch.wait();
  assertEquals(links(), []);
});

test("RemovalWatch without a namespace has nothing to wait for", async () => {
  using watch = new RemovalWatch();
  await watch.wait();
});

test("RemovalWatch looks again when notifications were lost", async () => {
  using bridge = Bridge.create({ name: "removal-br" });
  const netns = NetNs.create();
  Veth.create({ name: "inside", netns, peer: { name: "removal0", master: bridge } });
  const gone = netns[Symbol.asyncDispose]();
  // Nobody reads meanwhile: more notifications than a socket holds.
  const { index } = bridge;
  const connection = connectionTo(homeNetNs());
  for (let i = 0; i < 60; i++) {
    const requests = Array.from(
      { length: 100 },
      (_, n) => setLink({ index, mtu: 1000 + n + i % 2 }),
    );
    connection.batch(requests);
  }
  await gone;
  assertEquals(links(), ["removal-br"]);
});

test("A port that leaves its bridge is not taken for a link that is gone", async () => {
  using bridge = Bridge.create({ name: "removal-br" });
  const held = newNetNs("the held netns");
  const netns = NetNs.open({ path: `/proc/self/fd/${held.fd.value}` });
  const veth = Veth.create({ name: "inside", netns, peer: { name: "removal0", master: bridge } });
  using watch = new RemovalWatch();
  netns[Symbol.dispose]();
  using keeper = openNetNs(`/proc/self/fd/${held.fd.value}`, "another reference");
  watch.add(held);
  watch.drop(held);
  const left = watch.wait();
  veth.peer.set({ master: null });
  const error = await assertRejects(() => left, ScopeError);
  assertEquals(error.message, "Cannot remove the held netns: held by a descriptor of this process");
  keeper.close();
  await watch.wait();
  assertEquals(links(), ["removal-br"]);
  assertThrows(() => veth.peer.read(), Error, "ENODEV");
});

test("An option `scope` that is no scope is an error, and nothing is left", () => {
  using netns = NetNs.create();
  const names = () => netns.links.list().map(({ name }) => name);
  for (const given of ["lab", {}, null, 5]) {
    const scope = given as unknown as Scope;
    const peer = { name: "other", netns };
    for (
      const create of [
        () => NetNs.create("removal-wrong", { scope }),
        () => Bridge.create({ name: "wrong", netns, scope }),
        () => Veth.create({ name: "wrong", netns, peer, scope }),
        () => Tap.create({ name: "wrong", netns, scope }),
      ]
    ) {
      const error = assertThrows(create, TypeError);
      assertEquals(error.message, `scope must be a Scope: got ${JSON.stringify(given)}`);
    }
    assertEquals([names(), NetNs.exists("removal-wrong")], [["lo"], false]);
  }
});
