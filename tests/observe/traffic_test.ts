import { assertEquals } from "@std/assert";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { Link } from "../../mod.ts";
import "../../src/traffic/mod.ts";
import { monitor } from "../../src/observe/monitor.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { lacksOf, tc } from "../traffic/oracle.ts";
import { collect, inNetNs, line, Replica, snapshotOf } from "./lab.ts";

const TRAFFIC = { links: true, qdiscs: true, classes: true, filters: true };
const lacks = lacksOf(
  { qdisc: "htb" },
  { qdisc: "clsact" },
  { qdisc: "tbf" },
  { filter: "u32" },
  { action: "mirred" },
);

/** The tables without counters. */
function plain(
  tables: { qdiscs: readonly object[]; classes: readonly object[]; filters: readonly object[] },
) {
  const text = (list: readonly object[]) =>
    list.map((it) =>
      JSON.stringify(
        it,
        (key, value) => ["stats", "xstats", "refcnt"].includes(key) ? undefined : value,
      )
    ).sort();
  return {
    qdiscs: text(tables.qdiscs),
    classes: text(tables.classes),
    filters: text(tables.filters),
  };
}

/** The tables as a new monitor reads them, and how many objects `tc` shows. */
async function now(ref: NetNsRef) {
  await using events = monitor({ netns: { ref }, ...TRAFFIC });
  const { qdiscs, classes, filters } = await snapshotOf(events);
  const links = ip(ref, "-j link show").map(({ ifname }) => ifname as string);
  assertEquals(qdiscs.length, tc(ref, "qdisc show").length);
  // Text: tc of 6.1 has no JSON for classes.
  const shown = links.flatMap((name) =>
    run(ref, `tc class show dev ${name}`).split("\n").filter((it) => it.startsWith("class"))
  );
  assertEquals(classes.length, shown.length);
  return plain({ qdiscs, classes, filters });
}

test(
  "A monitor reports queueing disciplines, classes and filters, also those that go with others",
  {
    lacks,
  },
  () =>
    inNetNs(async (ref) => {
      ip(ref, "link add v0 type veth peer name v1");
      const v0 = Link.get("v0", { netns: { ref } });
      await using events = monitor({
        netns: { ref },
        qdiscs: true,
        classes: true,
        filters: true,
        links: true,
      });
      const replica = new Replica(await snapshotOf(events));
      /** The events of traffic control after a change. */
      const after = async (change: () => unknown) => {
        change();
        const seen = await collect(events, ref);
        for (const event of seen) replica.apply(event);
        assertEquals(plain(replica.tables), await now(ref));
        return seen.filter(({ type }) => type !== "link").map(line);
      };
      assertEquals(await after(() => v0.qdiscs.add({ kind: "clsact" })), [
        "qdisc add clsact ingress",
      ]);
      const u32 = { kind: "u32", parent: "egress", priority: 1 } as const;
      assertEquals(await after(() => v0.filters.add(u32)), ["filter add u32 egress 1"]);
      const actions = [{ kind: "mirred", action: "mirror", dev: "v1" }] as const;
      const two = { ...u32, parent: "ingress", priority: 2, options: { actions } } as const;
      assertEquals(await after(() => v0.filters.add([two, two])), [
        "filter add u32 ingress 2",
        "filter add u32 ingress 2",
      ]);
      // One message of the kernel for both.
      assertEquals(await after(() => run(ref, "tc filter del dev v0 ingress pref 2")), [
        "filter remove u32 ingress 2",
        "filter remove u32 ingress 2",
      ]);
      const htb = { kind: "htb", handle: "1:", options: { default: "20" } } as const;
      assertEquals((await after(() => v0.qdiscs.add(htb))).at(-1), "qdisc add htb root");
      const rate = (rate: string) => ({ kind: "htb", classid: "1:20", options: { rate } } as const);
      assertEquals(await after(() => v0.classes.add(rate("1mbit"))), ["class add 1:20"]);
      assertEquals(await after(() => v0.classes.change(rate("2mbit"))), [
        "class change 1:20 options",
      ]);
      const tbf = { rate: "1mbit", burst: 2000, limit: 3000 } as const;
      // The class of the tbf, and the leaf of the class above it, come without a message.
      assertEquals(
        await after(() =>
          v0.qdiscs.add({ kind: "tbf", parent: "1:20", handle: "2:", options: tbf })
        ),
        ["qdisc add tbf 1:20", "class change 1:20 leaf", "class add 2:1"],
      );
      // The kernel tells that of the root alone.
      const gone = await after(() => v0.qdiscs.delete("root"));
      for (const it of ["qdisc remove htb root", "qdisc remove tbf 1:20", "class remove 1:20"]) {
        assertEquals(gone.filter((line) => line === it).length, 1, it);
      }
      await after(() => v0.up()); // its default queueing discipline comes
      await after(() => v0.down());
      const end = await after(() => v0.delete());
      assertEquals(end.includes("qdisc remove clsact ingress"), true, end.join());
      assertEquals(end.includes("filter remove u32 egress 1"), true, end.join());
    }),
);

test("A monitor of links has no queueing disciplines", { lacks }, () =>
  inNetNs(async (ref) => {
    const lo = Link.get("lo", { netns: { ref } });
    await using events = monitor({ netns: { ref }, links: true });
    assertEquals((await snapshotOf(events)).qdiscs, []);
    lo.qdiscs.add({ kind: "clsact" });
    assertEquals((await collect(events, ref)).map(line).filter((it) => !it.startsWith("link")), []);
  }));
