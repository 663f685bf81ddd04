import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { newNetNs, within } from "../../ffi/namespace.ts";
import { NetNs } from "../../mod.ts";
import { ip } from "../helpers.ts";
import { test } from "../leaks.ts";
import { start } from "../script.ts";
import { monitor, type MonitorOptions } from "../../src/observe/monitor.ts";
import { collect, inNetNs, line, snapshotOf } from "./lab.ts";
import { changeRoutes } from "./load.ts";

const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;

test("Leaving the loop releases the monitor's descriptors at once", () =>
  inNetNs(async (ref) => {
    await using _first = monitor({ netns: { ref } }); // opens the namespace's connection
    const before = descriptors();
    for await (const event of monitor({ netns: { ref } })) {
      assertEquals(event.type, "snapshot");
      assertEquals(descriptors(), before + 1);
      break;
    }
    assertEquals(descriptors(), before);
    await assertRejects(async () => {
      for await (const _ of monitor({ netns: { ref } })) throw new RangeError("in the loop");
    }, RangeError);
    assertEquals(descriptors(), before);
  }));

test("Disposing a monitor releases its descriptors, even if it was never read", () =>
  inNetNs(async (ref) => {
    await using _first = monitor({ netns: { ref } });
    const before = descriptors();
    {
      await using _async = monitor({ netns: { ref } });
      using _sync = monitor({ netns: { ref } });
      using own = monitor({ netns: { path: `/proc/self/fd/${ref.fd.value}` } });
      await own.next();
      // The last one has its own descriptor of the namespace and its own connection.
      assertEquals(descriptors(), before + 5);
    }
    assertEquals(descriptors(), before);
  }));

test("return() ends a pending next() and all later ones", () =>
  inNetNs(async (ref) => {
    await using _first = monitor({ netns: { ref } });
    const before = descriptors();
    const events = monitor({ netns: { ref } });
    await snapshotOf(events);
    const pending = [events.next(), events.next()];
    await new Promise((resolve) => setTimeout(resolve, 5)); // it waits
    const end = { done: true, value: undefined };
    assertEquals(await events.return(), end as never);
    assertEquals(descriptors(), before);
    assertEquals(await Promise.all(pending), [end, end] as never);
    assertEquals(await events.next(), end as never);
    assertEquals(await events.return(), end as never);
  }));

test("Overlapping calls of next() are answered in order", () =>
  inNetNs(async (ref) => {
    await using events = monitor({ netns: { ref }, links: true });
    const pending = [1, 2, 3].map(() => events.next());
    ip(ref, "link add br0 up type bridge");
    ip(ref, "link set br0 mtu 1400");
    const lines = (await Promise.all(pending)).map(({ value }) => line(value!));
    assertEquals(lines, ["snapshot", "link add br0", "link change br0 mtu"]);
  }));

test("Aborting rejects the pending next() with the signal's reason and releases all", () =>
  inNetNs(async (ref) => {
    await using _first = monitor({ netns: { ref } });
    const before = descriptors();
    const controller = new AbortController();
    const { signal } = controller;
    const events = monitor({ netns: { ref }, signal });
    await snapshotOf(events);
    const [pending, second] = [events.next(), events.next()];
    const reason = new RangeError("enough");
    setTimeout(() => controller.abort(reason), 5);
    assertEquals(await assertRejects(() => pending, RangeError), reason);
    assertEquals(descriptors(), before);
    assertEquals((await second).done, true);
    assertEquals((await events.next()).done, true);
  }));

test("Aborting without a pending next() rejects the next one, even with queued events", () =>
  inNetNs(async (ref) => {
    const controller = new AbortController();
    const events = monitor({ netns: { ref }, signal: controller.signal });
    changeRoutes(ref, 10);
    controller.abort(new RangeError("enough"));
    await assertRejects(() => events.next(), RangeError);
    assertEquals((await events.next()).done, true);
    assertThrows(() => monitor({ netns: { ref }, signal: controller.signal }), RangeError);
  }));

test("A monitor that has ended ignores its signal", () =>
  inNetNs(async (ref) => {
    const controller = new AbortController();
    const events = monitor({ netns: { ref }, signal: controller.signal });
    await events.return();
    controller.abort();
    assertEquals((await events.next()).done, true);
  }));

test("A monitor ends with its namespace's handle", async () => {
  const ref = newNetNs("the test's netns");
  const events = monitor({ netns: { ref } });
  await snapshotOf(events);
  const pending = events.next();
  ref.close();
  assertEquals((await pending).done, true);
  assertEquals((await events.next()).done, true);
});

test("monitor() without netns watches the namespace of the surrounding run()", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add br0 type bridge");
    await using events = within(ref, () => monitor({ links: true }));
    const { links } = await snapshotOf(events);
    assertEquals(links.map((link) => link.name), ["lo", "br0"]);
    ip(ref, "link delete br0");
    assertEquals((await collect(events, ref)).map(line), ["link remove br0"]);
  }));

test("monitor() watches the given tables, by default all but the forwarding entries", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add v0 type veth peer name v1");
    ip(ref, "link add br0 up type bridge");
    ip(ref, "link set v1 up master br0");
    ip(ref, "link set v0 up");
    ip(ref, "address add 10.0.0.1/24 dev v0");
    ip(ref, "neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0");
    const full = async (options: MonitorOptions) => {
      await using events = monitor({ netns: { ref }, ...options });
      const { type: _, ...tables } = await snapshotOf(events);
      return Object.entries(tables).filter(([, entries]) => entries.length > 0).map(([key]) => key);
    };
    const usual = ["links", "addresses", "routes", "neighbors"];
    assertEquals(await full({}), usual);
    assertEquals(await full({ fdb: false }), usual);
    assertEquals(await full({ routes: false }), ["links", "addresses", "neighbors"]);
    assertEquals(await full({ addresses: true, links: false }), ["addresses"]);
    assertEquals(await full({ fdb: true, neighbors: true }), ["neighbors", "fdb"]);
  }));

test("A monitor of one table reports no events of others", () =>
  inNetNs(async (ref) => {
    await using events = monitor({ netns: { ref }, addresses: true });
    await snapshotOf(events);
    ip(ref, "link add v0 up type veth peer name v1");
    ip(ref, "route add 10.9.0.0/16 dev v0");
    ip(ref, "neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0");
    ip(ref, "address add 10.0.0.1/24 dev v0");
    assertEquals(line((await events.next()).value!), "address add 10.0.0.1/24");
  }));

test("monitor() refuses unknown and malformed options", () => {
  const refused = (options: unknown, type: ErrorConstructor = TypeError) =>
    assertThrows(() => monitor(options as MonitorOptions), type).message;
  const all =
    "addresses, classes, fdb, filters, links, neighbors, netns, qdiscs, receiveBuffer, routes, rules, signal";
  assertEquals(
    refused({ route: true }),
    `Unknown option "route": did you mean "routes"? Allowed are ${all}`,
  );
  assertEquals(refused({ colour: 1 }), `Unknown option "colour": allowed are ${all}`);
  assertEquals(refused(null), "options must be an object: got null");
  for (const table of ["links", "addresses", "routes", "neighbors", "fdb"]) {
    assertEquals(refused({ [table]: "yes" }), `${table} must be a boolean: got "yes"`);
  }
  assertEquals(
    refused({ links: false, addresses: false, routes: false, neighbors: false }),
    "All tables are false: set one of links, addresses, routes, neighbors, fdb, rules, qdiscs, classes, filters to true, or leave all out",
  );
  assertEquals(
    refused({ receiveBuffer: 0 }, RangeError),
    "receiveBuffer must be in 1..1073741823 bytes: got 0",
  );
  assertEquals(refused({ receiveBuffer: 1.5 }), "receiveBuffer must be an integer: got 1.5");
  assertThrows(() => monitor({ netns: { name: "no-such-netns" } }), Error, "ENOENT");
  using netns = NetNs.create();
  assertThrows(() => netns.monitor({ netns } as MonitorOptions), TypeError, 'option "netns"');
});

test("A process ends while no call of next() is pending", async () => {
  await using script = await start(`
    import { monitor, NetNs } from "./mod.ts";
    const events = NetNs.create().monitor();
    console.log((await events.next()).value.type);
  `);
  const { code, stdout } = await script.end();
  assertEquals([code, stdout], [0, "snapshot\n"]);
});

test("A pending next() keeps the process running", async () => {
  await using script = await start(`
    import { monitor, NetNs } from "./mod.ts";
    const netns = NetNs.create();
    const events = netns.monitor({ links: true });
    await events.next();
    console.log("waits");
    const timer = setTimeout(() => netns.links.get("lo").set({ mtu: 9000 }), 50);
    Deno.unrefTimer(timer);
    console.log((await events.next()).value.changed);
  `);
  await script.writes("mtu");
  assert((await script.end()).code === 0);
});
