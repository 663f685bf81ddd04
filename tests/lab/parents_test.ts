// Links on a parent: vxlan, macvlan and vlan on interfaces of nodes, and on an interface of the machine. The
// test's own namespace stands for the machine.
import { assertEquals } from "@std/assert";
import { NetNs, supports, Veth, Vxlan } from "../../mod.ts";
import { down, parse, plan, up } from "../../src/lab/mod.ts";
import { test } from "../leaks.ts";

const lacks = (kind: Parameters<typeof supports>[0]) => ({
  lacks: supports(kind) ? undefined : `this kernel has no ${kind}`,
});

/** A card `nic0` of the machine, and the machine behind it. */
function card() {
  const far = NetNs.create();
  const veth = Veth.create({
    name: "nic0",
    up: true,
    addresses: ["192.0.2.1/24"],
    peer: { name: "nic0", netns: far, up: true, addresses: ["192.0.2.9/24"] },
  });
  return {
    far,
    [Symbol.dispose]: () => {
      veth[Symbol.dispose]();
      far[Symbol.dispose]();
    },
  };
}

test("A vxlan of a containerlab file reaches another machine", lacks("vxlan"), async () => {
  using there = card();
  Vxlan.create({
    name: "vx0",
    netns: there.far,
    id: 7,
    dev: "nic0",
    remote: "192.0.2.1",
    port: 14789,
    up: true,
    addresses: ["10.7.0.9/24"],
  });
  const spec = await parse(`
topology:
  nodes: { h: { kind: linux } }
  links:
    - type: vxlan
      endpoint: { node: h, interface: eth1, ipv4: 10.7.0.1/24 }
      parent-interface: nic0
      remote: 192.0.2.9
      vni: 7
`);
  assertEquals(plan(spec, { name: "vx" }).touches, ["@machine:nic0"]);
  {
    await using lab = await up(spec, { name: "vx" });
    assertEquals((await lab.node("h").netns.ping("10.7.0.9", { timeout: 5000 })).received, 1);
    assertEquals(plan(spec, { name: "vx" }).steps, []);
  }
  using here = NetNs.current();
  assertEquals(here.links.list().map(({ name }) => name).sort(), ["lo", "nic0"]);
});

test(
  "A macvlan of a containerlab file is on the machine's interface",
  lacks("macvlan"),
  async () => {
    using there = card();
    const spec = await parse(`
topology:
  nodes: { h: { kind: linux } }
  links:
    - { type: macvlan, endpoint: { node: h, interface: eth1, ipv4: 192.0.2.5/24 }, host-interface: nic0 }
`);
    {
      await using lab = await up(spec, { name: "mv" });
      assertEquals((await lab.node("h").netns.ping("192.0.2.9", { timeout: 5000 })).received, 1);
      lab.persist();
    }
    assertEquals(there.far.pids(), []);
    await down("mv");
  },
);

test(
  "A vxlan between nodes runs over their interfaces, each on its parent",
  lacks("vxlan"),
  async () => {
    const end = (remote: string, address: string) => ({
      interfaces: {
        vx: {
          kind: "vxlan",
          parent: "eth0",
          options: { id: 42, remote },
          addresses: [address],
        },
      },
    } as const);
    await using lab = await up({
      nodes: { a: end("10.0.0.2", "10.42.0.1/24"), b: end("10.0.0.1", "10.42.0.2/24") },
      links: [{
        endpoints: [
          { node: "a", interface: "eth0", addresses: ["10.0.0.1/24"] },
          { node: "b", interface: "eth0", addresses: ["10.0.0.2/24"] },
        ],
      }],
    });
    assertEquals((await lab.node("a").netns.ping("10.42.0.2", { timeout: 5000 })).received, 1);
    assertEquals(lab.node("a").netns.links.get("vx").read().mtu, 1450);
  },
);

test(
  "A vlan on a node's interface reaches that of the node at the other end",
  lacks("vlan"),
  async () => {
    const vlan = (address: string) => ({
      interfaces: {
        v7: { kind: "vlan", parent: "eth0", options: { id: 7 }, addresses: [address] },
      },
    } as const);
    await using lab = await up({
      nodes: { a: vlan("10.7.0.1/24"), b: vlan("10.7.0.2/24") },
      links: ["a:eth0 -- b:eth0"],
    });
    assertEquals((await lab.node("a").netns.ping("10.7.0.2", { timeout: 5000 })).received, 1);
  },
);
