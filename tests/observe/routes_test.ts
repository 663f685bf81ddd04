import { assertEquals } from "@std/assert";
import type { NetNsRef } from "../../ffi/namespace.ts";
import { ip } from "../helpers.ts";
import { test } from "../leaks.ts";
import { type Monitor, monitor } from "../../src/observe/monitor.ts";
import {
  collect,
  inNetNs,
  inUse,
  line,
  Replica,
  snapshotOf,
  viewOf,
  viewOfSnapshot,
} from "./lab.ts";

/** Runs commands. After each it compares the events about routes, and the routes with those of iproute2. */
async function follow(
  ref: NetNsRef,
  events: Monitor,
  steps: readonly [command: string, lines: readonly string[]][],
): Promise<void> {
  const replica = new Replica(await snapshotOf(events));
  for (const [command, lines] of steps) {
    ip(ref, command);
    const seen = await collect(events, ref);
    for (const event of seen) replica.apply(event);
    const ofRoutes = seen.filter((event) => event.type === "route").map(line)
      .filter((text) => !text.includes("ff00::")); // routes of each new link
    assertEquals(ofRoutes.sort(), [...lines].sort(), command);
    assertEquals(viewOfSnapshot(replica.tables).routes, viewOf(ref).routes, command);
  }
}

function addLinks(ref: NetNsRef): void {
  for (const [a, b] of [["v0", "v1"], ["w0", "w1"]]) {
    ip(ref, `link add ${a} type veth peer name ${b}`);
    ip(ref, `link set ${a} up`);
    ip(ref, `link set ${b} up`);
  }
}

test("monitor() reports each change of an IPv4 route once", () =>
  inNetNs(async (ref) => {
    addLinks(ref);
    ip(ref, "address add 10.0.0.1/24 dev v0");
    await using events = monitor({ netns: { ref }, links: true, routes: true });
    await follow(ref, events, [
      ["route add 10.9.0.0/16 via 10.0.0.2", ["route add 10.9.0.0/16"]],
      ["route add 10.9.0.0/16 via 10.0.0.2 metric 7", ["route add 10.9.0.0/16"]],
      ["route append 10.9.0.0/16 via 10.0.0.3", ["route add 10.9.0.0/16"]],
      ["route replace 10.9.0.0/16 via 10.0.0.4", ["route change 10.9.0.0/16 gateway"]],
      ["route delete 10.9.0.0/16 via 10.0.0.3", ["route remove 10.9.0.0/16"]],
      ["route delete 10.9.0.0/16 metric 7", ["route remove 10.9.0.0/16"]],
      ["route change 10.9.0.0/16 via 10.0.0.4 mtu 1400", ["route change 10.9.0.0/16 metrics"]],
      ["route add blackhole 10.8.0.0/16 table 99", ["route add 10.8.0.0/16"]],
      ["route delete blackhole 10.8.0.0/16 table 99", ["route remove 10.8.0.0/16"]],
      ["route add default nexthop via 10.0.0.2 nexthop via 10.0.0.3", ["route add default"]],
      [
        "route replace default nexthop via 10.0.0.2 nexthop via 10.0.0.4 weight 3",
        ["route change default nexthops"],
      ],
      ["route delete default", ["route remove default"]],
    ]);
  }));

test("monitor() reports the IPv4 routes that the kernel removes silently", () =>
  inNetNs(async (ref) => {
    addLinks(ref);
    ip(ref, "address add 10.0.0.1/24 dev v0");
    ip(ref, "address add 10.1.0.1/24 dev w0");
    ip(ref, "address add 10.1.1.1/32 dev w0");
    ip(ref, "route add 10.9.0.0/16 via 10.0.0.2");
    ip(ref, "route add 10.8.0.0/16 via 10.1.0.2 src 10.1.1.1");
    ip(ref, "route add 10.7.0.0/16 nexthop via 10.0.0.2 nexthop via 10.1.0.2");
    ip(ref, "route add 10.6.0.0/16 dev w0");
    await using events = monitor({ netns: { ref }, routes: true, links: true });
    await follow(ref, events, [
      ["address delete 10.1.1.1/32 dev w0", [
        "route remove 10.1.1.1/32",
        "route remove 10.8.0.0/16",
      ]],
      ["link set v0 down", [
        "route remove 10.0.0.0/24",
        "route remove 10.0.0.255/32",
        "route remove 10.9.0.0/16",
        "route change 10.7.0.0/16 nexthops",
      ]],
      ["link delete w0", [
        "route remove 10.1.0.0/24",
        "route remove 10.1.0.1/32",
        "route remove 10.1.0.255/32",
        "route remove 10.6.0.0/16",
        "route remove 10.7.0.0/16",
      ]],
    ]);
  }));

test("monitor() of routes alone reports the routes that go with a link", () =>
  inNetNs(async (ref) => {
    addLinks(ref);
    ip(ref, "address add 10.0.0.1/24 dev v0");
    ip(ref, "route add 10.9.0.0/16 via 10.0.0.2");
    await using events = monitor({ netns: { ref }, routes: true });
    await snapshotOf(events);
    ip(ref, "link set v0 down");
    for await (const event of events) {
      assertEquals(event.type, "route");
      if (line(event) === "route remove 10.9.0.0/16") break;
    }
  }));

test("monitor() reports each change of the nexthops of an IPv6 route", () =>
  inNetNs(async (ref) => {
    addLinks(ref);
    ip(ref, "address add fd00::1/64 dev v0 nodad");
    ip(ref, "address add fd01::1/64 dev w0 nodad");
    for (const address of ["fd00::1", "fd01::1"]) await inUse(ref, address);
    await using events = monitor({ netns: { ref }, routes: true, links: true });
    await follow(ref, events, [
      ["-6 route add fd09::/64 via fd00::2", ["route add fd09::/64"]],
      ["-6 route append fd09::/64 via fd00::3", ["route change fd09::/64 gateway,nexthops,oif"]],
      ["-6 route append fd09::/64 via fd01::4", ["route change fd09::/64 nexthops"]],
      ["-6 route delete fd09::/64 via fd00::3", ["route change fd09::/64 nexthops"]],
      ["-6 route delete fd09::/64 via fd00::2", ["route change fd09::/64 gateway,nexthops,oif"]],
      ["-6 route replace fd09::/64 via fd01::7", ["route change fd09::/64 gateway"]],
      ["-6 route add fd08::/64 dev v0", ["route add fd08::/64"]],
      ["-6 route append fd08::/64 dev w0", ["route add fd08::/64"]],
      ["-6 route add fd07::/64 nexthop via fd00::2 nexthop via fd01::2", ["route add fd07::/64"]],
      ["-6 route delete fd07::/64", ["route remove fd07::/64"]],
      ["link delete w0", [
        "route remove fd01::/64",
        "route remove fd01::1/128",
        "route remove fd08::/64",
        "route remove fd09::/64",
      ]],
    ]);
  }, { ipv6: true }));

test("monitor() reports the routes that go with a nexthop object", () =>
  inNetNs(async (ref) => {
    addLinks(ref);
    ip(ref, "address add 10.0.0.1/24 dev v0");
    ip(ref, "nexthop add id 7 via 10.0.0.2 dev v0");
    ip(ref, "route add 10.9.0.0/16 nhid 7");
    await using events = monitor({ netns: { ref }, routes: true, links: true });
    await follow(ref, events, [
      ["nexthop replace id 7 via 10.0.0.3 dev v0", ["route change 10.9.0.0/16 gateway"]],
      ["nexthop delete id 7", ["route remove 10.9.0.0/16"]],
    ]);
  }));
