// Labs without names: created in phases, compared with the topology, and gone without a trace.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { newNetNs } from "../../ffi/namespace.ts";
import { up } from "../../src/lab/mod.ts";
import type { ResolvedTopology } from "../../src/lab/resolved.ts";
import { Bridge, NetNs, UnsupportedError } from "../../mod.ts";
import { bridge, ip } from "../helpers.ts";
import { settle, test, traces } from "../leaks.ts";
import { machine } from "../machine.ts";
import { faulty, stepsUpTo } from "./steps.ts";
import { node, port, small, topology, via, wire } from "./topologies.ts";

test("up() brings up hosts, a switch and a router that carry traffic", async () => {
  await using lab = await up(small());
  const h1 = lab.node("h1");
  assertEquals((await h1.ping("h2")).received, 1);
  assertEquals((await h1.ping("h3")).received, 1);
});

test("up() leaves nothing behind", async () => {
  const before = machine();
  {
    await using _lab = await up(small());
    assertEquals(machine(), before, "the machine's own namespace");
  }
  assertEquals(machine(), before);
});

test("up() gives links the name, MAC, MTU and index order of the topology", async () => {
  const spec = topology([
    node("a", [
      port("eth0", { mac: "02:00:00:00:00:01", mtu: 1400, addresses: ["10.0.0.1/24"] }),
      port("eth1", { mac: "02:00:00:00:00:02", up: false }),
    ]),
    node("b", [
      port("x", { addresses: ["10.0.0.2/24"], mtu: 1400 }),
      port("y", { addresses: ["10.1.0.2/24"] }),
    ]),
  ], [wire("a:eth0", "b:x"), wire("a:eth1", "b:y")]);
  await using lab = await up(spec);
  const links = (ip(lab.node("a").netns.ref, "-d -j link") as {
    ifname: string;
    address: string;
    mtu: number;
    flags: string[];
  }[]).filter(({ ifname }) => ifname !== "lo");
  assertEquals(
    links.map(({ ifname, address, mtu, flags }) => [ifname, address, mtu, flags.includes("UP")]),
    [["eth0", "02:00:00:00:00:01", 1400, true], ["eth1", "02:00:00:00:00:02", 1500, false]],
  );
});

/** Whether the kernel is built with VLAN filtering. */
const filtering = (() => {
  using ref = newNetNs("probe");
  return Bridge.create({ name: "br0", netns: { ref } }).options().vlanProtocol !== undefined;
})();

test("up() sets routes, settings and IPv6 as the topology has them", async () => {
  const spec = topology([
    node("h1", [port("eth0", { addresses: ["fd00::1/64", "10.0.0.1/24"], ipv6: true })], {
      routes: [
        via("10.0.0.2"),
        { destination: "10.9.0.0/16", type: "blackhole", nexthops: [], metric: 7, derived: false },
        via("fd00::2"),
      ],
      sysctls: { "net.ipv4.tcp_ecn": "1", "net.ipv4.conf.eth0.rp_filter": "2" },
    }),
    node("h2", [port("eth0", { addresses: ["fd00::2/64", "10.0.0.2/24"], ipv6: true })]),
    node("sw", [
      port("br0", { kind: "bridge" }),
      port("h1", { master: "br0" }),
      port("h2", { master: "br0" }),
    ], { kind: "switch" }),
  ], [wire("h1:eth0", "sw:h1"), wire("h2:eth0", "sw:h2")]);
  await using lab = await up(spec);
  const [h1, sw] = [lab.node("h1"), lab.node("sw")];
  assertEquals((await h1.ping("fd00::2")).received, 1);
  assertEquals((await h1.ping("10.0.0.2")).received, 1);
  assertEquals(h1.netns.sysctl("net.ipv4.tcp_ecn"), "1");
  assertEquals(h1.netns.sysctl("net.ipv4.conf.eth0.rp_filter"), "2");
  assertEquals(sw.netns.sysctl("net.ipv6.conf.h1.disable_ipv6"), "1");
  assertEquals(h1.netns.sysctl("net.ipv6.conf.eth0.accept_dad"), "0");
  const routes = ip(h1.netns.ref, "-j route").map(({ dst, gateway, type = "unicast" }) =>
    [type, dst, gateway].join(" ").trim()
  );
  assertEquals(routes.sort(), [
    "blackhole 10.9.0.0/16",
    "unicast 10.0.0.0/24",
    "unicast default 10.0.0.2",
  ]);
});

test("up() sets policy rules of both families", async () => {
  await using lab = await up(topology([
    node("h1", [port("eth0", { addresses: ["10.0.0.1/24"] })], {
      rules: [
        { family: "inet", priority: 100, from: "10.0.0.0/24", table: 100, action: "lookup" },
        { family: "inet", priority: 110, fwmark: 7, iif: "eth0", action: "prohibit" },
        { family: "inet6", priority: 120, to: "fd00::/64", table: 7, action: "lookup" },
      ],
      routes: [{
        destination: "10.9.0.0/16",
        type: "unicast",
        nexthops: [{ gateway: "10.0.0.2" }],
        table: 100,
        derived: false,
      }],
    }),
    node("h2", [port("eth0", { addresses: ["10.0.0.2/24"] })]),
  ], [wire("h1:eth0", "h2:eth0")]));
  const { ref } = lab.node("h1").netns;
  const shown = [...ip(ref, "-j rule"), ...ip(ref, "-6 -j rule")];
  const own = shown.filter(({ priority }) => Number(priority) >= 100 && Number(priority) < 200);
  assertEquals(own, [
    { priority: 100, src: "10.0.0.0", srclen: 24, table: "100" },
    { priority: 110, src: "all", fwmark: "0x7", iif: "eth0", action: "prohibit" },
    { priority: 120, src: "all", dst: "fd00::", dstlen: 64, table: "7" },
  ]);
  assertEquals(ip(ref, "-j route get 10.9.0.1 from 10.0.0.1")[0]!.gateway, "10.0.0.2");
});

const vlans = { lacks: filtering ? undefined : "this kernel filters no VLANs" };

test("up() puts ports into the VLANs of the topology", vlans, async () => {
  const access = { vlans: [{ vid: 10, pvid: true, untagged: true }] };
  await using lab = await up(topology([
    node("h1", [port("eth0", { addresses: ["10.0.0.1/24"] })]),
    node("h2", [port("eth0", { addresses: ["10.0.0.2/24"] })]),
    node("sw", [
      port("br0", { kind: "bridge", options: { vlanFiltering: true } }),
      port("h1", { master: "br0", ...access }),
      port("h2", { master: "br0", ...access }),
    ], { kind: "switch" }),
  ], [wire("h1:eth0", "sw:h1"), wire("h2:eth0", "sw:h2")]));
  assertEquals((await lab.node("h1").ping("h2")).received, 1);
  const found = bridge(lab.node("sw").netns.ref, "-j vlan");
  assertEquals(found.map(({ ifname, vlans }) => [ifname, vlans]).sort(), [
    ["br0", [{ vlan: 1, flags: ["PVID", "Egress Untagged"] }]],
    ["h1", [{ vlan: 10, flags: ["PVID", "Egress Untagged"] }]],
    ["h2", [{ vlan: 10, flags: ["PVID", "Egress Untagged"] }]],
  ]);
});

test("up() names the option that the kernel lacks", async () => {
  const spec = topology([
    node("sw", [port("br0", { kind: "bridge", options: { vlanFiltering: true } })]),
  ], []);
  if (filtering) {
    await using lab = await up(spec);
    assertEquals(ip(lab.node("sw").netns.ref, "-j link show type bridge").length, 1);
  } else await assertRejects(() => up(spec), UnsupportedError, "BRIDGE_VLAN_FILTERING");
});

test("up() creates links on a parent in another node", async () => {
  const spec = topology([
    node("a", [
      port("eth0", { addresses: ["10.0.0.1/24"] }),
    ]),
    node("b", [port("eth0", { addresses: ["10.0.0.2/24"] })]),
    node("c", [port("m0", { kind: "macvlan", parent: "a:eth0", addresses: ["10.0.0.3/24"] })]),
    node("aa", [port("m0", { kind: "macvlan", parent: "b:eth0", addresses: ["10.0.0.4/24"] })]),
  ], [wire("a:eth0", "b:eth0")]);
  await using lab = await up(spec);
  assertEquals((await lab.node("c").ping("b")).received, 1);
  assertEquals((await lab.node("c").ping("aa")).received, 1);
});

test("up() in a namespace of others adds the lab's links, and removes only these", async () => {
  using there = newNetNs("there");
  ip(there, "link add br-own type bridge");
  ip(there, "route add blackhole 10.99.0.0/16");
  const path = `/proc/self/fd/${there.fd.value}`;
  const before = machine(there);
  const routes = () => JSON.stringify(ip(there, "-j route"));
  const routesBefore = routes();
  {
    await using lab = await up(topology([
      node("h1", [port("eth0", { addresses: ["10.0.0.1/24"] })]),
      node("old", [port("lab0", { addresses: ["10.0.0.2/24"] })], {
        kind: "netns",
        netns: { path },
        sysctls: { "net.ipv4.ip_forward": "1" },
        routes: [{
          destination: "10.5.0.0/16",
          type: "unicast",
          nexthops: [{ gateway: "10.0.0.1" }],
          derived: false,
        }, { destination: "10.6.0.0/16", type: "blackhole", nexthops: [], derived: false }],
      }),
    ], [wire("h1:eth0", "old:lab0")]));
    assertEquals((await lab.node("h1").ping("old")).received, 1);
    assertEquals(lab.node("old").netns.sysctl("net.ipv4.ip_forward"), "1");
    assert(machine(there) !== before);
  }
  assertEquals(machine(there), before);
  assertEquals(routes(), routesBefore);
  using check = NetNs.open({ path });
  assertEquals(check.sysctl("net.ipv4.ip_forward"), "0");
});

/** A lab with a host, a router, a switch with VLANs, a macvlan, and a namespace of others. */
function everyKind(path: string): ResolvedTopology {
  return topology([
    node("h1", [
      port("eth0", { addresses: ["10.0.0.1/24", "fd00::1/64"], ipv6: true }),
      port("eth1", { addresses: ["10.0.1.1/24"] }),
    ], { routes: [via("10.0.0.2")], sysctls: { "net.ipv4.conf.eth0.rp_filter": "2" } }),
    node("m1", [port("m0", { kind: "macvlan", parent: "h1:eth1", addresses: ["10.0.1.9/24"] })]),
    node("r1", [port("eth0", { addresses: ["10.0.0.2/24"] })], { kind: "router" }),
    node("sw", [
      port("br0", { kind: "bridge", ...filtering && { options: { vlanFiltering: true } } }),
      port("h1", { master: "br0" }),
      port("r1", {
        master: "br0",
        ...filtering && { vlans: [{ vid: 1, pvid: true, untagged: false }] },
      }),
    ], { kind: "switch" }),
    node("there", [port("lab0", { addresses: ["10.0.1.2/24"] })], {
      kind: "netns",
      netns: { path },
      sysctls: { "net.ipv4.ip_forward": "1" },
      routes: [{ destination: "10.7.0.0/16", type: "blackhole", nexthops: [], derived: false }],
    }),
  ], [wire("h1:eth0", "sw:h1"), wire("r1:eth0", "sw:r1"), wire("h1:eth1", "there:lab0")]);
}

test("A refused message at any step of up() leaves the machine as it was", async () => {
  using there = newNetNs("there");
  ip(there, "link add br-own type bridge");
  machine(there);
  const spec = everyKind(`/proc/self/fd/${there.fd.value}`);
  const state = () => machine(there) + JSON.stringify(ip(there, "-j route"));
  let messages: number;
  {
    using hook = faulty(0);
    await using _lab = await up(spec);
    messages = hook.count;
  }
  const before = state();
  const open = traces();
  let failed = 0;
  const steps = stepsUpTo(messages);
  for (const n of steps) {
    try {
      using _hook = faulty(n);
      await using _lab = await up(spec);
    } catch {
      failed++;
    }
    await settle(open);
    assertEquals(state(), before, `message ${n} of ${messages}`);
  }
  assert(failed > steps.length / 2, `${failed} of ${steps.length}`);
});

test("An aborted signal during up() undoes everything", async () => {
  const before = machine();
  const open = traces();
  const controller = new AbortController();
  const spec = topology([
    node("a", [port("eth0", { addresses: ["fd00::1/64"], ipv6: true, nodad: false })]),
    node("b", [port("eth0", { addresses: ["fd00::2/64"], ipv6: true, nodad: false })]),
  ], [wire("a:eth0", "b:eth0")]);
  setTimeout(() => controller.abort(), 1);
  await assertRejects(() => up(spec, { signal: controller.signal }), DOMException);
  await settle(open);
  assertEquals(machine(), before);
});
