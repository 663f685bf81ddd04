import { assertEquals, assertRejects } from "@std/assert";
import { Bridge, forward, Link, NetNs, SyscallError, Tap, Tun } from "../../mod.ts";
import { run } from "../helpers.ts";
import { silent } from "../link/rig.ts";
import { test } from "../leaks.ts";
import { Lab, soFar, texts } from "./lab.ts";

for (const batch of [1, 64]) {
  test(`forward() writes what comes to the other device, in order, ${batch} at a time`, async () => {
    using from = new Lab();
    using to = new Lab();
    const forwarding = forward(from.tap, to.tap, { batch });
    assertEquals(await soFar(forwarding), undefined);
    const names = texts(150);
    from.send(...names);
    while (to.written().length < 150) await new Promise((resolve) => setTimeout(resolve, 1));
    assertEquals(to.written(), names);
    from.tap.close();
    assertEquals(await forwarding, { packets: 150, bytes: 9000, dropped: 0 });
  });

  test(`forward() ends when the other device is closed, ${batch} at a time`, async () => {
    using from = new Lab();
    using to = new Lab();
    const forwarding = forward(from.tap, to.tap, { batch });
    to.tap.close();
    from.send("late");
    assertEquals(await forwarding, { packets: 0, bytes: 0, dropped: 1 });
  });

  test(`forward() counts what the other device refuses, ${batch} at a time`, async () => {
    using from = new Lab();
    using to = new Lab({ up: false });
    const stop = new AbortController();
    const forwarding = forward(from.tap, to.tap, { batch, signal: stop.signal });
    from.send(...texts(10));
    const link = Link.get(from.tap.name, { netns: from.netns });
    // The kernel counts a packet as transmitted when the program reads it.
    while (link.stats().txPackets < 10) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    stop.abort();
    assertEquals(await forwarding, { packets: 0, bytes: 0, dropped: 10 });
    assertEquals([from.tap.closed, to.tap.closed], [false, false]);
  });

  test(`forward() fails when a link is deleted, ${batch} at a time`, async () => {
    for (const which of [0, 1] as const) {
      using from = new Lab();
      using to = new Lab();
      const forwarding = forward(from.tap, to.tap, { batch });
      assertEquals(await soFar(forwarding), undefined);
      run([from, to][which]!.netns.ref, "ip link del t0");
      if (which === 1) from.send("for nobody");
      assertEquals((await assertRejects(() => forwarding, SyscallError)).code, "EBADFD");
    }
  });

  test(`Connections pass two TUNs joined by forward(), ${batch} at a time`, async () => {
    using client = silent(NetNs.create());
    using server = silent(NetNs.create());
    const common = { name: "t0", up: true } as const;
    using a = Tun.create({ ...common, netns: client, addresses: ["10.9.0.1/24"] });
    using b = Tun.create({ ...common, netns: server, addresses: ["10.9.0.2/24"] });
    const forwarding = [forward(a, b, { batch }), forward(b, a, { batch })];
    using listener = server.listen({ hostname: "10.9.0.2", port: 7000 });
    const sent = crypto.getRandomValues(new Uint8Array(60_000));
    const serving = (async () => {
      using connection = await listener.accept();
      for (let at = 0; at < sent.length;) at += await connection.write(sent.subarray(at));
    })();
    using connection = await client.connect({ hostname: "10.9.0.2", port: 7000 });
    const received = new Uint8Array(sent.length);
    for (let at = 0; at < sent.length;) at += (await connection.read(received.subarray(at)))!;
    assertEquals(received, sent);
    await serving;
    assertEquals((await client.ping("10.9.0.2", { count: 20, interval: 1 })).received, 20);
    a.close();
    b.close();
    for (const stats of await Promise.all(forwarding)) assertEquals(stats.packets > 30, true);
  });
}

test("Packets of any size pass forward()", async () => {
  using near = silent(NetNs.create());
  using far = silent(NetNs.create());
  const common = { name: "t0", up: true, mtu: 65_521 } as const;
  using a = Tap.create({ ...common, netns: near, addresses: ["10.9.0.1/24"] });
  using b = Tap.create({ ...common, netns: far, addresses: ["10.9.0.2/24"] });
  using stop = { [Symbol.dispose]: () => (a.close(), b.close()) };
  const forwarding = Promise.all([forward(a, b), forward(b, a)]);
  for (const size of [0, 1, 1472, 9000, 65_493]) {
    const args = ["-c", "1", "-W", "5", "-M", "do", "-s", `${size}`, "10.9.0.2"];
    const { code } = await near.command("ping", { args, mounts: false }).output();
    assertEquals(code, 0, `${size} bytes`);
  }
  stop[Symbol.dispose]();
  await forwarding;
});

test("forward() refuses options by name and value", async () => {
  using lab = new Lab();
  const bad = (options: object) => () => forward(lab.tap, lab.tap, options);
  await assertRejects(bad({ batch: 0 }), RangeError, "batch must be in 1..256");
  await assertRejects(bad({ batch: 257 }), RangeError, "got 257");
  await assertRejects(bad({ batch: 2.5 }), TypeError, "batch must be a whole number");
  await assertRejects(bad({ signa: 1 }), TypeError, 'Unknown option "signa"');
});

test("A TAP is a bridge's port by its handle", async () => {
  using netns = silent(NetNs.create());
  using bridge = Bridge.create({ name: "br0", netns, up: true, addresses: ["10.9.0.254/24"] });
  using other = silent(NetNs.create());
  using first = Tap.create({ name: "p0", master: bridge, up: true });
  assertEquals(bridge.ports().map(({ name }) => name), ["p0"]);
  bridge.deletePort(first);
  assertEquals(bridge.ports(), []);
  bridge.addPort(first).set({ state: "forwarding" });
  using host = Tap.create({ name: "t0", netns: other, up: true, addresses: ["10.9.0.1/24"] });
  const forwarding = Promise.all([forward(first, host), forward(host, first)]);
  assertEquals((await other.ping("10.9.0.254", { count: 3, interval: 1 })).received, 3);
  first.close();
  host.close();
  await forwarding;
  assertEquals(bridge.ports(), []);
});
