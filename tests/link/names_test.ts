// Names that links may have, wherever a link is given by name.
import { assertEquals } from "@std/assert";
import { Bridge, Link, Macvlan, NetNs, supports, Tap, Veth, Vxlan } from "../../mod.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";

/** Alternative names that cannot be names: short ones, and a long one. */
const ALTERNATIVE = ["a:b", "a%b", "%d", "a:1%d", "büro:1", "a:b%c-longer-than-fifteen"];

/** A pair in one namespace. */
function pair(netns: NetNs): Veth {
  return Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
}

for (const name of ALTERNATIVE) {
  test(`A link is found by its alternative name ${name}, wherever it is given by name`, () => {
    using netns = NetNs.create();
    const bridge = Bridge.create({ name: "br0", netns }).addAltNames(`${name}b`);
    const veth = pair(netns).addAltNames(name);
    const { index } = veth;
    assertEquals(ip(netns.ref, "-j link show dev v0")[0]!.altnames, [name]);

    for (const found of [Link, Veth]) assertEquals(found.get(name, { netns }).index, index);
    assertEquals(netns.links.get(name).index, index);
    // As a master, and a port of one.
    veth.set({ master: `${name}b` });
    assertEquals(veth.read().master, bridge.index);
    assertEquals(netns.links.list({ master: `${name}b` }).map((link) => link.name), ["v0"]);
    assertEquals(bridge.port(name).index, index);
    veth.peer.set({ master: bridge });
    bridge.port("v1").set({ backupPort: name });
    assertEquals(bridge.port("v1").options().backupPort, index);
    bridge.port("v1").set({ backupPort: 0 });
    bridge.deletePort(name);
    assertEquals(bridge.addPort(name).index, index);
    bridge.deletePort(name);
    // As a parent, and as a device of a kind's own options.
    if (supports("macvlan")) {
      const macvlan = Macvlan.create({ name: "m0", netns, parent: name });
      assertEquals(macvlan.read().parent, index);
      macvlan.delete();
    }
    if (supports("vxlan")) {
      const vxlan = Vxlan.create({ name: "x0", netns, id: 1, dev: name, port: 4789 });
      assertEquals(vxlan.options().dev, index);
      vxlan.delete();
    }
    // As a device of the namespace's tables.
    veth.up();
    netns.addresses.add({ address: "10.0.0.1/24", dev: name });
    assertEquals(netns.addresses.list({ dev: name, family: "inet" }).length, 1);
    netns.routes.add({ destination: "10.1.0.0/16", dev: name });
    assertEquals(netns.routes.list({ dev: name }).at(-1)?.oif, index);
    netns.neighbors.add({ address: "10.0.0.2", lladdr: "02:00:00:00:00:02", dev: name });
    assertEquals(
      netns.neighbors.get({ address: "10.0.0.2", dev: name }).lladdr,
      "02:00:00:00:00:02",
    );

    netns.links.delete(name);
    assertEquals(netns.links.list().map((link) => link.name), ["lo", "br0"]);
  });
}

test("attach() finds a TAP by an alternative name", () => {
  using netns = NetNs.create();
  using tap = Tap.create({ name: "t0", netns, multiQueue: true });
  for (const name of ALTERNATIVE) {
    tap.link.addAltNames(name);
    using attached = Tap.attach(name, { netns });
    assertEquals([attached.name, attached.index], ["t0", tap.index]);
  }
});

test("A link whose name is not UTF-8 moves, and the handle follows it", () => {
  using from = NetNs.create();
  using to = NetNs.create();
  const veth = pair(from);
  run(from.ref, `sh -c 'ip link set dev v0 name "$(printf "x\\377y")"'`);
  veth.move(to);
  assertEquals([veth.read().name, veth.name], ["x\ufffdy", "x\ufffdy"]);
  const there = run(to.ref, "sh -c 'ls /sys/class/net >/dev/null; ip -o link | od -An -c'");
  assertEquals(there.includes("377"), true, there);
  veth.set({ mtu: 1400 });
  veth.rename("v0").move(from);
  assertEquals(ip(from.ref, "-j link show dev v0")[0]!.mtu, 1400);
});

test("A link that others rename meanwhile moves, and the handle follows it", () => {
  using from = NetNs.create();
  using to = NetNs.create();
  const veth = pair(from);
  run(from.ref, "ip link set dev v0 name other");
  assertEquals(veth.name, "v0");
  veth.move(to);
  assertEquals([veth.read().name, ip(to.ref, "-j link show dev other").length], ["other", 1]);
  run(to.ref, "ip link set dev other name again");
  veth.move(from);
  assertEquals([veth.read().name, veth.ref.label], ["again", from.ref.label]);
});

test("An alias has up to 255 bytes, at creation and later, as ip shows them", () => {
  using netns = NetNs.create();
  for (const alias of ["x".repeat(255), `${"ß".repeat(127)}x`, ""]) {
    const bridge = Bridge.create({ name: "br0", netns, alias });
    const shown = () => ip(netns.ref, "-d -j link show dev br0")[0]!.ifalias ?? "";
    assertEquals([bridge.read().alias ?? "", shown()], [alias, alias]);
    bridge.set({ alias: "short" }).set({ alias });
    assertEquals([bridge.read().alias ?? "", shown()], [alias, alias]);
    bridge.delete();
  }
});
