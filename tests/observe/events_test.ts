import { assert, assertEquals } from "@std/assert";
import { Bridge, Macvlan, NetNs, Veth } from "../../mod.ts";
import { bridge, ip } from "../helpers.ts";
import { test } from "../leaks.ts";
import { withoutKind } from "../link/oracle.ts";
import type { MonitorEvent } from "../../src/observe/event.ts";
import { monitor } from "../../src/observe/monitor.ts";
import {
  atRest,
  collect,
  inNetNs,
  inUse,
  line,
  noticed,
  Replica,
  snapshotOf,
  viewOf,
  viewOfSnapshot,
} from "./lab.ts";

const ALL = { links: true, addresses: true, routes: true, neighbors: true, fdb: true };

test("monitor() starts with the tables as iproute2 shows them", () =>
  inNetNs(async (ref) => {
    ip(ref, "link set lo up");
    ip(ref, "link add br0 type bridge");
    ip(ref, "link add v0 type veth peer name v1");
    ip(ref, "link set v1 master br0");
    for (const name of ["br0", "v0", "v1"]) ip(ref, `link set ${name} up`);
    ip(ref, "link set v0 alias one");
    ip(ref, "address add 10.0.0.1/24 dev v0");
    ip(ref, "address add fd00::1/64 dev v0 nodad");
    ip(ref, "route add 10.9.0.0/16 via 10.0.0.2");
    ip(ref, "route add 10.8.0.0/16 nexthop via 10.0.0.2 nexthop via 10.0.0.3");
    ip(ref, "route add blackhole 10.7.0.0/16 table 99 metric 7");
    ip(ref, "-6 route add fd09::/64 nexthop via fd00::2 nexthop via fd00::3");
    ip(ref, "neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0");
    bridge(ref, "fdb add 02:00:00:00:00:99 dev v1 master static");
    await inUse(ref, "fd00::1");
    await atRest(ref);
    await using events = monitor({ netns: { ref }, ...ALL });
    const snapshot = await snapshotOf(events);
    assertEquals(viewOfSnapshot(snapshot), viewOf(ref));
    assert(snapshot.links.every((link) => link.stats));
    assertEquals(snapshot.links.length, 4);
  }, { ipv6: true }));

test("monitor() starts with links of any size, and reports their changes", {
  lacks: withoutKind("macvlan"),
}, async () => {
  using netns = NetNs.create();
  const { ref } = netns;
  const parent = Bridge.create({ name: "br0", netns, up: true });
  for (let i = 0; i < 40; i++) parent.addAltNames(`${"a".repeat(118)}${i + 10}`);
  const macs = Array.from({ length: 3000 }, (_, i) => {
    const digits = i.toString(16).padStart(4, "0");
    return `02:00:00:00:${digits.slice(0, 2)}:${digits.slice(2)}`;
  });
  Macvlan.create({ name: "mv0", netns, parent, mode: "source", macs });
  Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
  await using events = monitor({ netns, links: true });
  const { links } = await snapshotOf(events);
  // iproute2 is no oracle for all of them in one dump: one by one it is.
  const names = ["lo", "br0", "mv0", "v0", "v1"];
  assertEquals(links.map(({ name }) => name).sort(), names.toSorted());
  for (const name of names) {
    const [shown] = ip(ref, `-d -j link show dev ${name}`);
    const link = links.find((link) => link.name === name)!;
    assertEquals([link.index, link.mtu, link.altNames?.length ?? 0], [
      shown!.ifindex,
      shown!.mtu,
      (shown!.altnames as string[] | undefined)?.length ?? 0,
    ]);
  }
  ip(ref, "link set mv0 mtu 1400");
  assertEquals((await collect(events, ref)).map(line), ["link change mv0 mtu"]);
});

test("monitor() reports each change of a link once", () =>
  inNetNs(async (ref) => {
    await using events = monitor({ netns: { ref }, links: true });
    const before = await snapshotOf(events);
    assertEquals(before.links.map((link) => link.name), ["lo"]);
    const steps: [command: string, lines: string[]][] = [
      ["link add br0 up type bridge", ["link add br0"]],
      ["link set br0 mtu 1400", ["link change br0 mtu"]],
      ["link set br0 alias one", ["link change br0 alias"]],
      ["link set br0 txqueuelen 7", ["link change br0 txqlen"]],
      ["link set br0 group 7", ["link change br0 group"]],
      ["link property add dev br0 altname another", ["link change br0 altNames"]],
      ["link set br0 type bridge forward_delay 300", ["link change br0 options"]],
    ];
    for (const [command, lines] of steps) {
      ip(ref, command);
      assertEquals((await collect(events, ref)).map(line), lines, command);
    }
    ip(ref, "link set br0 down"); // before 6.2 the kernel renames only links that are down
    await collect(events, ref);
    ip(ref, "link set br0 name br1");
    assertEquals((await collect(events, ref)).map(line), ["link change br1 name"]);
    ip(ref, "link set br1 up");
    await collect(events, ref);
    ip(ref, "link delete br1"); // which takes it down first
    const lines = (await collect(events, ref)).map(line);
    assertEquals(lines.filter((text) => !text.includes("change")), ["link remove br1"]);
  }));

test("A change event has the link before and after", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add br0 type bridge");
    await using events = monitor({ netns: { ref }, links: true });
    await snapshotOf(events);
    ip(ref, "link set br0 name br1");
    const [event] = await collect(events, ref);
    assert(event?.type === "link" && event.action === "change");
    assertEquals([event.previous.name, event.link.name], ["br0", "br1"]);
    assertEquals(event.previous.index, event.link.index);
  }));

test("monitor() does not report a change of counters alone", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add v0 type veth peer name v1");
    for (const name of ["v0", "v1"]) ip(ref, `link set ${name} up`);
    for (const name of ["v0", "v1"]) await noticed(ref, name);
    ip(ref, "address add 10.0.0.1/24 dev v0");
    await using events = monitor({ netns: { ref }, links: true });
    const { links } = await snapshotOf(events);
    await collect(events, ref);
    ip(ref, "neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0 nud none");
    ip(ref, "neigh replace 10.0.0.2 dev v0 use nud none"); // sends a request
    ip(ref, "link set v0 mtu 1400");
    const [event, ...more] = await collect(events, ref);
    assertEquals([line(event!), ...more], ["link change v0 mtu"]);
    const tx = (all: typeof links) => all.find((link) => link.name === "v0")!.stats!.txPackets;
    assert(event!.type === "link" && event!.link.stats!.txPackets >= tx(links));
  }));

test("monitor() reports the parent of a veth that the kernel sets silently", () =>
  inNetNs(async (ref) => {
    await using events = monitor({ netns: { ref }, links: true });
    const replica = new Replica(await snapshotOf(events));
    ip(ref, "link add v0 type veth peer name v1");
    const seen = await collect(events, ref);
    for (const event of seen) replica.apply(event);
    const lines = seen.map(line);
    assertEquals(lines.filter((text) => text.startsWith("link add")).sort(), [
      "link add v0",
      "link add v1",
    ]);
    const { links } = replica.tables;
    const [v0, v1] = ["v0", "v1"].map((name) => links.find((link) => link.name === name)!);
    assertEquals([v0!.peer, v1!.peer], [v1!.index, v0!.index]);
  }));

test("monitor() reports a link that moves away as removed, with its new place", () =>
  inNetNs(async (ref, other) => {
    ip(ref, "link add v0 type veth peer name v1");
    await using events = monitor({ netns: { ref }, links: true });
    await using there = monitor({ netns: { ref: other }, links: true });
    await snapshotOf(events);
    await snapshotOf(there);
    ip(ref, `link set v0 netns /proc/${Deno.pid}/fd/${other.fd.value}`);
    const [removal, ...more] = (await collect(events, ref)).filter((event) =>
      line(event) !== "link change v1 linkNetnsId"
    );
    assertEquals([line(removal!), more.length], ["link remove v0", 0]);
    const [arrival] = await collect(there, other);
    assert(arrival?.type === "link" && arrival.action === "add");
    assert(removal?.type === "link" && removal.action === "remove");
    assertEquals(removal.movedTo?.index, arrival.link.index);
    assert(removal.movedTo!.netnsId >= 0);
    ip(ref, "link delete v1");
    const lines = (await collect(events, ref)).map(line);
    assertEquals(lines.filter((text) => text.includes("remove")), ["link remove v1"]);
  }));

test("monitor() reports the removal of veths whose peers went with their namespace", () =>
  inNetNs(async (ref, other) => {
    for (let i = 0; i < 20; i++) {
      ip(
        ref,
        `link add v${i} type veth peer name p${i} netns /proc/${Deno.pid}/fd/${other.fd.value}`,
      );
    }
    await using events = monitor({ netns: { ref }, links: true });
    assertEquals((await snapshotOf(events)).links.length, 21);
    other.close();
    const gone: string[] = [];
    for await (const event of events) {
      if (event.type === "link" && event.action === "remove") gone.push(event.link.name);
      if (gone.length === 20) break;
    }
    assertEquals(new Set(gone).size, 20);
  }));

test("monitor() reports each change of an address once", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add v0 type veth peer name v1");
    ip(ref, "link set v0 up");
    await noticed(ref, "v0");
    await using events = monitor({ netns: { ref }, links: true, addresses: true });
    await snapshotOf(events);
    const steps: [command: string, lines: string[]][] = [
      ["address add 10.0.0.1/24 dev v0", ["address add 10.0.0.1/24"]],
      ["address add 10.0.0.1/24 peer 10.1.0.1/24 dev v0", ["address add 10.0.0.1/24"]],
      ["address change 10.0.0.1/24 dev v0 metric 7", ["address change 10.0.0.1/24 metric"]],
      [
        "address change 10.0.0.1/24 dev v0 metric 7 valid_lft 500 preferred_lft 400",
        ["address change 10.0.0.1/24 flags,lifetime"],
      ],
      ["address delete 10.0.0.1/24 peer 10.1.0.1/24 dev v0", ["address remove 10.0.0.1/24"]],
      ["address delete 10.0.0.1/24 dev v0", ["address remove 10.0.0.1/24"]],
      ["address add fd00::1/64 dev v0 nodad", ["address add fd00::1/64"]],
      ["address delete fd00::1/64 dev v0", ["address remove fd00::1/64"]],
    ];
    for (const [command, lines] of steps) {
      ip(ref, command);
      if (command.startsWith("address add fd00::1")) await inUse(ref, "fd00::1");
      assertEquals((await collect(events, ref)).map(line), lines, command);
    }
  }, { ipv6: true }));

test("monitor() reports each change of a neighbor once", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add v0 type veth peer name v1");
    ip(ref, "link set v0 up");
    await noticed(ref, "v0");
    await using events = monitor({ netns: { ref }, links: true, neighbors: true });
    await snapshotOf(events);
    const steps: [command: string, lines: string[]][] = [
      ["neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0", ["neighbor add 10.0.0.2"]],
      ["neigh replace 10.0.0.2 lladdr 02:00:00:00:00:03 dev v0", [
        "neighbor change 10.0.0.2 lladdr",
      ]],
      ["neigh replace 10.0.0.2 lladdr 02:00:00:00:00:03 dev v0 nud noarp", [
        "neighbor change 10.0.0.2 state",
      ]],
      ["neigh delete 10.0.0.2 dev v0", [
        "neighbor change 10.0.0.2 lladdr,state",
        "neighbor remove 10.0.0.2",
      ]],
      ["neigh add proxy 10.0.0.9 dev v0", []],
    ];
    for (const [command, lines] of steps) {
      ip(ref, command);
      assertEquals((await collect(events, ref)).map(line), lines, command);
    }
  }));

test("monitor() reports each change of a bridge's forwarding entries", () =>
  inNetNs(async (ref) => {
    ip(ref, "link add br0 type bridge vlan_default_pvid 0"); // each VLAN would have its own entries
    for (const n of [1, 2]) {
      ip(ref, `link add v${n} type veth peer name p${n}`);
      ip(ref, `link set p${n} master br0`);
    }
    await using events = monitor({ netns: { ref }, links: true, fdb: true });
    const { links, fdb } = await snapshotOf(events);
    const ofMulticast = fdb.filter((entry) => entry.flags.includes("self"));
    const fdbOf = async () =>
      (await collect(events, ref)).filter((event) => event.type === "fdb") as (
        & MonitorEvent
        & { type: "fdb" }
      )[];
    bridge(ref, "fdb add 02:00:00:00:00:99 dev p1 master static");
    assertEquals((await fdbOf()).map(line), ["fdb add 02:00:00:00:00:99"]);
    bridge(ref, "fdb replace 02:00:00:00:00:99 dev p2 master static");
    const [moved, ...more] = await fdbOf();
    assertEquals([line(moved!), more.length], ["fdb change 02:00:00:00:00:99 index", 0]);
    assertEquals(moved!.fdb.index, links.find((link) => link.name === "p2")!.index);
    bridge(ref, "fdb add 02:00:00:00:00:98 dev v1 self");
    assertEquals((await fdbOf()).map(line), ["fdb add 02:00:00:00:00:98"]);
    ip(ref, "link delete v2");
    const lines = (await fdbOf()).map(line);
    assert(lines.includes("fdb remove 02:00:00:00:00:99"), lines.join());
    const p2 = moved!.fdb.index;
    const silent = ofMulticast.filter((entry) => entry.index === p2);
    for (const { mac } of silent) assert(lines.includes(`fdb remove ${mac}`), mac);
  }));
