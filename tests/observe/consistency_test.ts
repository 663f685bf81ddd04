import { assert, assertEquals, assertThrows } from "@std/assert";
import { ip } from "../helpers.ts";
import { test } from "../leaks.ts";
import type { Connection } from "../../src/netlink/connection.ts";
import { DumpInterruptedError } from "../../src/netlink/error.ts";
import { tryDump } from "../../src/observe/table.ts";
import { monitor } from "../../src/observe/monitor.ts";
import { dumpLinks } from "../../src/rtnetlink/link.ts";
import {
  atRest,
  collect,
  inNetNs,
  line,
  Replica,
  snapshotOf,
  told,
  viewOfSnapshot,
  Watch,
} from "./lab.ts";
import { changeLink, changeRoutes, startChurn } from "./load.ts";

const ALL = { links: true, addresses: true, routes: true, neighbors: true, fdb: true };

test("A snapshot taken during changes and the events after it lead to the actual tables", () =>
  inNetNs(async (ref) => {
    const churn = startChurn(ref, 150);
    let running = true;
    const status = churn.status.finally(() => running = false);
    // Starts monitors at many moments and reads all of them; their number depends on the speed.
    const watches: Watch[] = [];
    while (running && watches.length < 10) {
      watches.push(await Watch.start(monitor({ netns: { ref }, ...ALL })));
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    assert((await status).success);
    const view = await atRest(ref);
    await Watch.finish(watches, ref);
    for (const { replica, overruns } of watches) {
      assertEquals(told(viewOfSnapshot(replica.tables)), view);
      assertEquals(overruns, 0);
    }
    assert(watches[0]!.count > 100);
  }));

test("After an overrun events lead to the actual tables, and further changes are reported", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add br0 up type bridge");
    ip(ref, "link add old type veth peer name older");
    ip(ref, "address add 10.0.0.1/24 dev br0");
    await using events = monitor({ netns: { ref }, ...ALL, receiveBuffer: 4096 });
    const replica = new Replica(await snapshotOf(events));
    ip(ref, "link set br0 mtu 1400");
    changeLink(ref, 2, 200);
    ip(ref, "link delete old");
    ip(ref, "link add new type veth peer name newer");
    ip(ref, "route add 10.9.0.0/16 via 10.0.0.2");
    const seen = await collect(events, ref);
    for (const event of seen) replica.apply(event);
    const lines = seen.map(line);
    const at = lines.indexOf("overrun");
    assert(at >= 0);
    assertEquals(lines.filter((text) => text === "overrun").length, 1);
    const after = lines.slice(at + 1);
    for (const name of ["new", "newer"]) assert(after.includes(`link add ${name}`));
    for (const name of ["old", "older"]) assert(after.includes(`link remove ${name}`));
    assert(after.includes("route add 10.9.0.0/16"));
    // The result of the lost events is reported, not the events.
    assertEquals(after.filter((text) => text.startsWith("link change br0")).length, 1);
    assertEquals(told(viewOfSnapshot(replica.tables)), await atRest(ref));
    ip(ref, "link set br0 mtu 1300");
    assertEquals((await collect(events, ref)).map(line), ["link change br0 mtu"]);
  }));

test("After an overrun a link that reuses another's index is reported as a new link", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add name br0 index 77 up type bridge");
    await using events = monitor({ netns: { ref }, links: true, receiveBuffer: 4096 });
    await snapshotOf(events);
    changeLink(ref, 77, 50);
    ip(ref, "link delete br0");
    ip(ref, "link add name br1 index 77 type bridge");
    const lines = (await collect(events, ref)).map(line);
    assertEquals(lines.slice(lines.indexOf("overrun")), [
      "overrun",
      "link remove br0",
      "link add br1",
    ]);
  }));

test("5,000 events in a burst are all reported, or an overrun is", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add br0 up type bridge");
    await using events = monitor({ netns: { ref }, links: true, routes: true });
    const replica = new Replica(await snapshotOf(events));
    const check = async (expected: Record<string, number>) => {
      const seen = await collect(events, ref);
      for (const event of seen) replica.apply(event);
      const lines = seen.map((event) => line(event).replace(/ [^ ]*$/, ""));
      // Without CAP_NET_ADMIN in the first user namespace the queue may be small.
      if (lines.includes("overrun")) return;
      const counts = Map.groupBy(lines, (text) => text).entries();
      assertEquals(Object.fromEntries(counts.map(([text, all]) => [text, all.length])), expected);
    };
    changeRoutes(ref, 2500);
    await check({ "route add": 2500, "route remove": 2500 });
    changeLink(ref, 2, 5000);
    await check({ "link change br0": 5000 });
    const { links, routes } = await atRest(ref);
    const view = viewOfSnapshot(replica.tables);
    assertEquals([view.links, view.routes], [links, routes]);
  }));

test("The overrun of a full queue is reported after the events that the queue holds", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add br0 up type bridge");
    await using events = monitor({ netns: { ref }, links: true, receiveBuffer: 1 << 20 });
    await snapshotOf(events);
    changeLink(ref, 2, 2000);
    const lines = (await collect(events, ref)).map(line);
    const change = "link change br0 alias";
    assertEquals(lines.slice(-2), ["overrun", change]);
    assert(lines.length > 50 && lines.length < 2000);
    assertEquals(new Set(lines.slice(0, -2)), new Set([change]));
  }));

test("A monitor that is read during 5,000 events loses none", () =>
  inNetNs(async (ref) => {
    await using events = monitor({ netns: { ref }, routes: true });
    await snapshotOf(events);
    let seen = 0;
    for (let round = 0; round < 25; round++) {
      changeRoutes(ref, 100);
      for (let i = 0; i < 200; i++) {
        const { value } = await events.next();
        if (value?.type === "route") seen++;
      }
    }
    assertEquals(seen, 5000);
  }));

test("A loop over queued events leaves timers their turn", () =>
  inNetNs(async (ref) => {
    await using events = monitor({ netns: { ref }, routes: true });
    await snapshotOf(events);
    changeRoutes(ref, 75);
    let fired = false;
    setTimeout(() => fired = true, 0);
    for (let i = 0; i < 150; i++) {
      await events.next();
      for (const started = performance.now(); performance.now() - started < 0.1;);
    }
    assert(fired);
  }));

test("An interrupted dump is repeated a limited number of times", () => {
  const interrupted = new DumpInterruptedError(
    { operation: "list links", netns: "", errno: 11 },
    [],
  );
  let calls = 0;
  const connection = (interruptions: number) =>
    ({
      dump: () => {
        if (++calls <= interruptions) throw interrupted;
        return [];
      },
    }) as unknown as Connection;
  assertEquals(tryDump(connection(3), dumpLinks()), []);
  assertEquals(calls, 4);
  assertThrows(() => tryDump(connection(99), dumpLinks()), DumpInterruptedError);
  assertEquals(calls, 8);
});
