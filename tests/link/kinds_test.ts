// Kinds as data: what is read is told apart by its kind, and every handle has its kind's class.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  Bridge,
  Ifb,
  KernelError,
  Link,
  LinkBase,
  type LinkInfo,
  Macvlan,
  NetlinkError,
  NetNs,
  supports,
  Tap,
  UdpSocket,
  UnsupportedError,
  Veth,
} from "../../mod.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { getLink, newLink } from "../../src/rtnetlink/link.ts";
import { linkKindNames } from "../../src/rtnetlink/link_info.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { kernelTest } from "./oracle.ts";

/** A namespace with a link of each kind that Linux 6.18 here has. */
function zoo(netns: NetNs): void {
  const bridge = Bridge.create({ name: "br0", netns, stp: true });
  const peer = { name: "v1", netns };
  const veth = Veth.create({ name: "v0", netns, master: bridge, port: { cost: 7 }, peer });
  Macvlan.create({ name: "m0", netns, parent: veth.peer, mode: "bridge" });
  Ifb.create({ name: "i0", netns });
  run(netns.ref, "ip link add vx0 type vxlan id 5 dstport 4789");
}

test("After a look at the kind, options are typed, also in a filtered list", () => {
  using netns = NetNs.create();
  zoo(netns);
  const links: LinkInfo[] = netns.links.list();
  // These lines test the types, too: without narrowing they do not compile.
  const bridges = links.filter((link) => link.kind === "bridge");
  assertEquals(bridges.map((link) => link.options.stp), [true]);
  const modes = links.filter((link) => link.kind === "macvlan").map((link) => link.options.mode);
  assertEquals(modes, ["bridge"]);
  const ids = links.flatMap((link) => link.kind === "vxlan" ? [link.options.id] : []);
  assertEquals(ids, [5]);
  const costs = links.flatMap(({ port }) => port?.kind === "bridge" ? [port.options.cost] : []);
  assertEquals(costs, [7]);
  const lo = links.find(({ name }) => name === "lo")!;
  assertEquals([lo.kind, "options" in lo], [undefined, false]);
  const unknown = links.filter((link) => link.kind === "unknown");
  assertEquals(unknown.map((link) => link.kernelKind), []);
});

test("A list names masters, parents and peers, and flags, as ip does", () => {
  using netns = NetNs.create();
  zoo(netns);
  const shown = ip(netns.ref, "-d -j link");
  for (const link of netns.links.list()) {
    const other = shown.find(({ ifname }) => ifname === link.name)!;
    assertEquals(link.masterName, other.master);
    assertEquals(link.parentName ?? link.peerName, other.link);
    const flags = (other.flags as string[]).filter((flag) => flag.includes("-") === false);
    assertEquals([...link.flags].filter((flag) => flag !== "RUNNING").sort(), flags.sort());
    assertEquals(Link.get(link.name, { netns }).read().masterName, link.masterName);
  }
});

test("Link.get() and links.get() give the class of the kind, which is a Link", () => {
  using netns = NetNs.create();
  zoo(netns);
  const classes = { br0: Bridge, v0: Veth, m0: Macvlan, i0: Ifb } as const;
  for (const [name, Class] of Object.entries(classes)) {
    for (const link of [Link.get(name, { netns }), netns.links.get(name)]) {
      assert(link instanceof Class, name);
      assert(link instanceof Link && link instanceof LinkBase, name);
    }
  }
  const lo = Link.get("lo", { netns });
  assertEquals([lo.constructor, lo.kind], [Link, undefined]);
  const bridge = Link.get("br0", { netns });
  assert(bridge instanceof Bridge);
  assertEquals(bridge.ports().map(({ name }) => name), ["v0"]);
});

test("A TUN or TAP that is found is a Link; attach() gives the device", () => {
  using netns = NetNs.create();
  using tap = Tap.create({ name: "t0", netns, multiQueue: true });
  const link = Link.get("t0", { netns });
  assertEquals([link.constructor, link.kind, link.index], [Link, "tun", tap.index]);
  const info = link.read();
  assert(info.kind === "tun");
  assertEquals(info.options.type, "tap");
  assertThrows(
    () => Link.create({ kind: "tun", name: "t1", netns }),
    TypeError,
    "come from Tun.create() or Tap.create()",
  );
});

test("A veth that is found has its peer, wherever that is", () => {
  using a = NetNs.create();
  using b = NetNs.create("kinds-peer");
  Veth.create({ name: "v0", netns: a, peer: { name: "v1", netns: a } });
  const near = Link.get("v0", { netns: a });
  assert(near instanceof Veth);
  assertEquals([near.peer.name, near.peer.ref, near.peer.peer], ["v1", a.ref, near]);

  Veth.create({ name: "w0", netns: a, peer: { name: "w1", netns: b } });
  using far = Veth.get("w0", { netns: a });
  assertEquals([far.peer.name, far.peer.ref.inode], ["w1", b.ref.inode]);
  far.peer.set({ alias: "found" });
  assertEquals(Link.get("w1", { netns: b }).read().alias, "found");
});

test("A veth whose peer is in a process's namespace has it, too", async () => {
  using netns = NetNs.create();
  Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
  const child = netns.command("unshare", { args: ["-n", "sleep", "30"] }).spawn();
  try {
    const inode = () => Deno.readLinkSync(`/proc/${child.pid}/ns/net`);
    while (inode() === `net:[${netns.ref.inode}]`) await new Promise((it) => setTimeout(it, 5));
    run(netns.ref, `ip link set v1 netns ${child.pid}`);
    using veth = Veth.get("v0", { netns });
    assertEquals([veth.peer.name, veth.peer.ref.description], [
      "v1",
      `netns of process ${child.pid}`,
    ]);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
});

test("A peer out of reach is an error with the namespace's id and the places looked at", () => {
  using netns = NetNs.create();
  const hidden = NetNs.create();
  // A socket keeps the namespace, and no path leads to it.
  using _socket = UdpSocket.open({ netns: hidden, local: { address: "127.0.0.1", port: 0 } });
  Veth.create({ name: "v0", netns, peer: { name: "v1", netns: hidden } });
  hidden[Symbol.dispose]();
  using veth = Veth.get("v0", { netns });
  const id = veth.read().linkNetnsId;
  const error = assertThrows(() => veth.peer, NetlinkError);
  assertEquals(error.code, "ENODEV");
  assertStringIncludes(error.message, `it is in the namespace with id ${id}, which is neither`);
  assertStringIncludes(error.message, "in /run/netns");
});

test("An index can be asked for, of one link and of both ends of a pair", () => {
  using a = NetNs.create();
  using b = NetNs.create();
  assertEquals(Bridge.create({ name: "br0", netns: a, index: 77 }).index, 77);
  const both = { name: "v0", netns: a, index: 101, peer: { name: "v1", netns: b, index: 202 } };
  const veth = Veth.create(both);
  assertEquals([veth.index, veth.peer.index, veth.read().peer], [101, 202, 202]);
  const one = Veth.create({ name: "w0", netns: a, peer: { name: "w1", netns: b, index: 303 } });
  assertEquals([one.peer.index, Link.get("w1", { netns: b }).index], [303, 303]);
  const port = { master: Bridge.get("br0", { netns: a }), port: { cost: 9 } };
  const third = Veth.create({ name: "x0", ...port, peer: { name: "x1", netns: b, index: 404 } });
  assertEquals([third.peer.index, third.read().masterName], [404, "br0"]);
  assertEquals(third.read().port?.options, Link.get("x0", { netns: a }).read().port?.options);

  const links = () => [a, b].map((netns) => netns.links.list().map(({ name }) => name).sort());
  const before = links();
  for (
    const options of [
      { name: "y0", netns: a, index: 101, peer: { name: "y1", netns: b } },
      { name: "y0", netns: a, peer: { name: "y1", netns: b, index: 202 } },
      { name: "y0", netns: a, index: 900, peer: { name: "y1", netns: b, index: 202 } },
    ]
  ) {
    const error = assertThrows(() => Veth.create(options), NetlinkError);
    assert(["EBUSY", "EEXIST"].includes(error.code), error.message);
    assertEquals(links(), before);
  }
  assertThrows(() => Bridge.create({ name: "br1", netns: a, index: 0 }), RangeError, "index");
});

test("One socket creates a pair whose both ends are in other namespaces", () => {
  using from = NetNs.create();
  using a = NetNs.create();
  using b = NetNs.create();
  const peer = { name: "v1", index: 22, netnsFd: b.ref.fd.value, mac: "02:00:00:00:00:02" };
  connectionTo(from.ref).request(newLink({
    name: "v0",
    index: 11,
    netnsFd: a.ref.fd.value,
    mac: "02:00:00:00:00:01",
    linkInfo: { kind: "veth", data: { peer } },
  }));
  assertEquals(from.links.list().map(({ name }) => name), ["lo"]);
  const near = connectionTo(a.ref).request(getLink("v0"));
  const far = connectionTo(b.ref).request(getLink("v1"));
  assertEquals([near.index, near.mac, near.peer], [11, "02:00:00:00:00:01", 22]);
  assertEquals([far.index, far.mac, far.peer], [22, "02:00:00:00:00:02", 11]);
});

test("Options of a port are those of its master's kind", () => {
  using netns = NetNs.create();
  zoo(netns);
  const veth = Veth.get("v0", { netns });
  veth.set({ port: { cost: 11 } }); // of the master that it has
  assertEquals(Bridge.get("br0", { netns }).port("v0").options().cost, 11);
  assertThrows(
    () => veth.set({ port: { lerning: true } as never }),
    TypeError,
    'Unknown option "port.lerning": did you mean "port.learning"?',
  );
  assertThrows(() => Link.get("i0", { netns }).set({ port: {} }), TypeError, "needs a master");
  assertThrows(
    () => Link.get("i0", { netns }).set({ master: "v1", port: { cost: 1 } }),
    TypeError,
    'a master of the kind "veth" has no port options',
  );
});

test("A port's option that is a link is given by handle, name or index", () => {
  using netns = NetNs.create();
  const bridge = Bridge.create({ name: "br0", netns });
  const [a, b] = ["a", "b"].map((name) =>
    Veth.create({ name, netns, master: bridge, peer: { name: `${name}-peer`, netns } })
  );
  for (const backupPort of [b!, "b", b!.index]) {
    bridge.port(a!).set({ backupPort: 0 });
    bridge.port(a!).set({ backupPort });
    assertEquals(bridge.port(a!).options().backupPort, b!.index);
  }
  using other = NetNs.create();
  const foreign = Link.get("lo", { netns: other });
  assertThrows(
    () => bridge.port(a!).set({ backupPort: foreign }),
    TypeError,
    'backupPort is link "lo" in ',
  );
});

test("Values are compared as the kernel gets them, however they are spelled", () => {
  using netns = NetNs.create();
  for (const mac of ["2:0:0:0:0:d", "02-00-00-00-00-0D", "0200.0000.000d", "02:00:00:00:00:0d"]) {
    let made: Bridge | undefined;
    try {
      made = Bridge.create({ name: "br0", netns, mac });
    } catch (error) {
      // A spelling may be refused, before anything is made; it must not be made and deleted again.
      assert(error instanceof TypeError, String(error));
      continue;
    }
    assertEquals(made.read().mac, "02:00:00:00:00:0d");
    made.set({ mac });
    made.delete();
  }
  const bridge = Bridge.create({ name: "br1", netns, groupAddress: "1:80:c2:0:0:5" });
  assertEquals(bridge.options().groupAddress, "01:80:c2:00:00:05");
  assertEquals(bridge.set({ mcastRouter: 2 }).options().mcastRouter, "permanent");
});

test("An option that the kernel lacks is an UnsupportedError with what brings it", () => {
  using netns = NetNs.create();
  const has = supports("bridge", "vlanFiltering");
  if (has) {
    assert(Bridge.create({ name: "br0", netns, vlanFiltering: true }).options().vlanFiltering);
    return;
  }
  for (
    const attempt of [
      () => Bridge.create({ name: "br0", netns, vlanFiltering: true }),
      () => Bridge.create({ name: "br1", netns }).set({ vlanFiltering: true }),
    ]
  ) {
    const error = assertThrows(attempt, UnsupportedError);
    assertEquals(
      [error.kind, error.option, error.config, error.code],
      ["bridge", "vlanFiltering", "CONFIG_BRIDGE_VLAN_FILTERING", "EOPNOTSUPP"],
    );
    assertStringIncludes(error.message, "lacks the option vlanFiltering of a bridge");
    assert(error instanceof KernelError);
  }
  assertEquals(netns.links.list().map(({ name }) => name), ["lo", "br1"]);
});

test("supports() answers for every option that has a requirement, and for no other word", () => {
  for (const kind of linkKindNames()) assertEquals(typeof supports(kind), "boolean");
  for (
    const option of ["fdbMaxLearned", "mstEnabled", "port.locked", "port.mab", "port.backupNhid"]
  ) {
    assertEquals(typeof supports("bridge", option), "boolean", option);
  }
  assert(supports("bridge", "stp") && supports("bridge", "port.cost"));
  assertThrows(() => supports("bridge", "port.costs"), TypeError, 'did you mean "port.cost"?');
  assertThrows(() => supports("bridge", "port"), TypeError, 'Unknown option "port"');
});

kernelTest("veth", "A name that is taken at the far end is told of the far end's namespace", () => {
  using a = NetNs.create("kinds-near");
  using b = NetNs.create("kinds-far");
  Bridge.create({ name: "taken", netns: b });
  const error = assertThrows(
    () => Veth.create({ name: "v0", netns: a, peer: { name: "taken", netns: b } }),
    NetlinkError,
  );
  assertEquals([error.code, error.netns], ["EEXIST", 'netns "kinds-far"']);
  assertStringIncludes(error.message, 'peer.name "taken" is taken by bridge "taken"');
});
