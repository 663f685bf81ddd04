// Everything that a topology leaves out, and where it comes from.
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  load,
  parse,
  resolve,
  type ResolvedInterface,
  type ResolvedNode,
  type ResolvedTopology,
  TopologyError,
  type TopologySpec,
  up,
} from "../../src/lab/mod.ts";
import { netText, networkOf, parseNet } from "../../src/lab/placement.ts";
import { grid } from "../../src/lab/generators.ts";

function node(topology: ResolvedTopology, name: string): ResolvedNode {
  const found = topology.nodes.find((node) => node.name === name);
  assert(found, `there is no node ${name}`);
  return found;
}

function port(topology: ResolvedTopology, end: string): ResolvedInterface {
  const [name, interfaceName] = end.split(":");
  const found = node(topology, name!).interfaces.find((it) => it.name === interfaceName);
  assert(found, `there is no interface ${end}`);
  return found;
}

/** The subnet of the first address of an interface. */
function subnet(topology: ResolvedTopology, end: string): string {
  return netText(networkOf(parseNet(port(topology, end).addresses[0]!)));
}

async function yaml(text: string): Promise<ResolvedTopology> {
  return resolve(await parse(text));
}

Deno.test("A wire has a /31 and a /127, and its first end in name order the even address", async () => {
  const resolved = await yaml(`
addressing: { ipv4: 10.0.0.0/16, ipv6: 'fd00::/48' }
nodes: { b: , a: }
links: ['b:e -- a:e']
`);
  const [a, b] = [port(resolved, "a:e"), port(resolved, "b:e")];
  assertMatch(a.addresses[0]!, /^10\.0\.\d+\.\d*[02468]\/31$/);
  assertMatch(a.addresses[1]!, /^fd00:[0-9a-f:]+::\/127$/);
  assertEquals(subnet(resolved, "a:e"), subnet(resolved, "b:e"));
  assertEquals(b.addresses[1], a.addresses[1]!.replace("::/", "::1/"));
});

Deno.test("A segment has a /24, and a larger subnet when more than half of it would be taken", () => {
  const lan = (count: number): TopologySpec => ({
    nodes: { [`h[1-${count}]`]: null },
    links: [{ segment: [`h[1-${count}]`] }],
  });
  const lengthOf = (count: number) => subnet(resolve(lan(count)), "h1:to-lan-h1").split("/")[1];
  assertEquals([2, 127, 128, 500].map(lengthOf), ["24", "24", "23", "22"]);
});

Deno.test("An address of the file gives its segment the subnet", async () => {
  const resolved = await yaml(`
nodes: { 'h[1-3]': }
links:
  - segment: [{ node: h1, ipv4: 192.0.2.1/26 }, h2, h3]
    name: lan
`);
  assertEquals(port(resolved, "h1:to-lan").addresses, ["192.0.2.1/26"]);
  assertEquals(subnet(resolved, "h2:to-lan"), "192.0.2.0/26");
  assertEquals(subnet(resolved, "h3:to-lan"), "192.0.2.0/26");
});

Deno.test("Subnets of a link are used in order, and [] means no address", async () => {
  const resolved = await yaml(`
nodes: { a: , b: , c: }
links:
  - { endpoints: [b, a], subnets: [192.0.2.0/30, 'fd00::/126'] }
  - { endpoints: [{ node: a, addresses: [] }, { node: c, addresses: [] }] }
`);
  assertEquals(port(resolved, "a:to-b").addresses, ["192.0.2.1/30", "fd00::1/126"]);
  assertEquals(port(resolved, "b:to-a").addresses, ["192.0.2.2/30", "fd00::2/126"]);
  assertEquals(port(resolved, "a:to-c").addresses, []);
});

Deno.test("Subnets of the pool that the file uses are given to nobody else", async () => {
  const text = (given: string) => `
addressing: { ipv4: 10.0.0.0/20 }
nodes: { a: , b: , c: , d: }
links: [{ endpoints: ['a:e', 'b:e']${given} }, 'c:e -- d:e']
`;
  const wanted = subnet(await yaml(text("")), "c:e");
  const resolved = await yaml(text(`, subnets: [${wanted}]`));
  assertEquals(subnet(resolved, "a:e"), wanted);
  const [displaced] = resolved.displaced;
  assertEquals(displaced, {
    object: "c:e -- d:e",
    wanted,
    got: subnet(resolved, "c:e"),
    by: "a:e -- b:e",
  });
});

Deno.test("VLANs of a switch are segments of their own, which trunks carry on", async () => {
  const resolved = await yaml(`
nodes:
  sw[1-2]: { kind: switch }
  h[1-4]:
  r: { kind: router, interfaces: { eth0.10: { kind: vlan, parent: eth0, options: { id: 10 } } } }
links:
  - { endpoints: [h1, sw1], access: 10 }
  - { endpoints: [h2, sw1], access: 20 }
  - { endpoints: [h3, sw2], access: 10 }
  - { endpoints: [h4, sw2], access: 20 }
  - { endpoints: [sw1, sw2], trunk: [10, '15-25'] }
  - { endpoints: ['r:eth0', sw2], trunk: [10] }
`);
  assertEquals(subnet(resolved, "h1:to-sw1"), subnet(resolved, "h3:to-sw2"));
  assertEquals(subnet(resolved, "h2:to-sw1"), subnet(resolved, "h4:to-sw2"));
  assert(subnet(resolved, "h1:to-sw1") !== subnet(resolved, "h2:to-sw1"));
  assertEquals(subnet(resolved, "r:eth0.10"), subnet(resolved, "h1:to-sw1"));
  assertEquals(port(resolved, "r:eth0").addresses, []);
  assertEquals(port(resolved, "sw1:to-h1").vlans, [{ vid: 10, pvid: true, untagged: true }]);
  assertEquals(port(resolved, "sw1:to-sw2").vlans, [
    { vid: 10, pvid: false, untagged: false },
    { vid: 15, end: 25, pvid: false, untagged: false },
  ]);
  assertEquals(port(resolved, "sw1:br0").options, {
    stp: false,
    vlanDefaultPvid: 0,
    vlanFiltering: true,
  });
  const gateway = node(resolved, "h1").routes[0]!.nexthops[0]!.gateway;
  assertEquals(gateway, port(resolved, "r:eth0.10").addresses[0]!.split("/")[0]);
});

Deno.test("A macvlan has its address in the segment of its parent, which may be of another node", async () => {
  const resolved = await yaml(`
nodes: { a: , b: , m: { interfaces: { mv0: { kind: macvlan, parent: 'a:eth0' } } } }
links: ['a:eth0 -- b:eth0']
`);
  assertEquals(port(resolved, "m:mv0").parent, "a:eth0");
  assertEquals(port(resolved, "m:mv0").options, { mode: "bridge" });
  assertEquals(subnet(resolved, "m:mv0"), subnet(resolved, "b:eth0"));
});

Deno.test("Tables of a node and its group add up; other options come from the nearest", async () => {
  const resolved = await yaml(`
defaults: { mtu: 1400, env: { A: defaults, B: defaults } }
kinds: { router: { mtu: 1410, env: { B: kind, C: kind } } }
groups: { g: { kind: router, mtu: 1420, env: { C: group, D: group }, exec: [group] } }
nodes: { a: { group: g, mtu: 1430, env: { D: node } }, b: { group: g }, c: { kind: router }, d: }
`);
  assertEquals(node(resolved, "a").environment, {
    A: "defaults",
    B: "kind",
    C: "group",
    D: "node",
  });
  assertEquals(node(resolved, "a").run.map(({ command }) => command[2]), ["group"]);
  const mtu = async (name: string) =>
    port(
      await yaml(`
defaults: { mtu: 1400 }
kinds: { router: { mtu: 1410 } }
groups: { g: { kind: router, mtu: 1420 } }
nodes: { a: { group: g, mtu: 1430 }, b: { group: g }, c: { kind: router }, d: , other: { mtu: 0 } }
links: [{ type: dummy, endpoint: '${name}:d0' }]
`.replace(", other: { mtu: 0 }", "")),
      `${name}:d0`,
    ).mtu;
  assertEquals(await Promise.all(["a", "b", "c", "d"].map(mtu)), [1430, 1420, 1410, 1400]);
});

Deno.test("Faults without direction are for both ends of a wire, and for the way into a segment", async () => {
  const { wires } = await yaml(`
nodes: { a: , b: , c: , d: }
links:
  - { endpoints: [b, a], impair: { delay: 5ms } }
  - { endpoints: [d, c], impair: { '->': { loss: 1% } } }
  - { segment: [a, c], name: lan, impair: { delay: 1s } }
`);
  const impair = Object.fromEntries(wires.map(({ ends, impair }) => [ends.join(" "), impair]));
  assertEquals(impair, {
    "a:to-b b:to-a": { "->": { delay: 5 }, "<-": { delay: 5 } },
    // d is the second end in name order.
    "c:to-d d:to-c": { "<-": { loss: 0.01 } },
    "a:to-lan lan:to-a": { "->": { delay: 1000 } },
    "c:to-lan lan:to-c": { "->": { delay: 1000 } },
  });
});

Deno.test("A seed gives each direction of each wire a seed of its own; without one there is none", () => {
  const spec: TopologySpec = {
    nodes: { a: null, b: null },
    links: [{ endpoints: ["a", "b"], impair: { loss: "1%" } }],
  };
  const seeds = (seed: number) => {
    const { impair } = resolve({ ...spec, seed }).wires[0]!;
    return [impair["->"]!.seed, impair["<-"]!.seed];
  };
  assertEquals(new Set([...seeds(1), ...seeds(2)]).size, 4);
  assertEquals(seeds(1), seeds(1));
  assertEquals(resolve(spec).wires[0]!.impair["->"], { loss: 0.01 });
});

Deno.test("A containerlab file has the addresses of its commands, and kind linux is a host", async () => {
  const resolved = await yaml(`
name: srl
topology:
  nodes:
    a: { kind: linux, exec: [ip address add 192.0.2.1/24 dev eth1] }
    b: { kind: linux }
  links:
    - endpoints: ["a:eth1", "b:eth1"]
    - { type: host, endpoint: { node: a, interface: eth2 }, host-interface: lab0 }
`);
  assertEquals(node(resolved, "a").kind, "host");
  assertEquals(port(resolved, "a:eth1").addresses, []);
  assertEquals(node(resolved, "a").run[0]!.ready, { kind: "exit" });
  assertEquals(node(resolved, "@machine").interfaces.map(({ name }) => name), ["lab0"]);
});

Deno.test("Rulesets of a NAT are what nft accepts", async () => {
  const resolved = await yaml(`
name: with-nat
addressing: { ipv4: 10.0.0.0/16, ipv6: 'fd00::/48' }
nodes: { h: , out: { kind: nat, outside: { name: blue } } }
links: [h -- out]
`);
  const outside = node(resolved, "@name-blue");
  assertEquals(outside.netns, { name: "blue" });
  for (const { nftables } of [outside, node(resolved, "out")]) {
    assertMatch(nftables, /table ip netloom_with_nat/);
    const child = new Deno.Command("nft", {
      args: ["-c", "-f", "-"],
      stdin: "piped",
      stderr: "piped",
    })
      .spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(nftables));
    await writer.close();
    const { success, stderr } = await child.output();
    assert(success, new TextDecoder().decode(stderr));
  }
  const way = node(resolved, "out").routes.find(({ destination }) => destination === "0.0.0.0/0");
  assertEquals(way?.nexthops, [{
    dev: "outside",
    gateway: outside.interfaces[0]!.addresses[0]!.split("/")[0]!,
  }]);
});

Deno.test("Names of nodes resolve to the loopback first", () => {
  const { hosts } = resolve(grid(2, 1));
  const loopback = node(resolve(grid(2, 1)), "n1-1").interfaces.find(({ name }) => name === "lo")!;
  assertEquals(hosts.map(({ name }) => name), ["n1-1", "n2-1"]);
  assertEquals(hosts[0]!.addresses[0], loopback.addresses[0]!.split("/")[0]);
});

Deno.test("Errors of a file have line and column, all at once", async () => {
  const text = [
    "name: two",
    "nodes:",
    "  h1: &host { kind: ruter }",
    "  h2: *host",
    "  h3: { image: x }",
    "links:",
    "  - h1 -- h9",
    "  - { endpoints: [h1, h2], impair: { delay: 20xs } }",
  ].join("\n");
  try {
    await parse(text, { file: "two.lab.yml" });
    throw new Error("parse() accepts the file");
  } catch (error) {
    assert(error instanceof TopologyError, String(error));
    assertEquals(
      error.problems.map(({ line, column, file }) => [file, line, column]),
      [[3, 21], [3, 21], [5, 9], [7, 5], [8, 45]].map((place) => ["two.lab.yml", ...place]),
    );
    assertMatch(
      error.message,
      /^two\.lab\.yml:3:21: nodes\.h1\.kind must be one of .*did you mean "router"\?\n 3 \|/,
    );
  }
});

Deno.test("A file that is no YAML is a TopologyError with its place", async () => {
  try {
    await parse("nodes: { h1: \nlinks: ]", { file: "bad.lab.yml" });
    throw new Error("parse() accepts the file");
  } catch (error) {
    assert(error instanceof TopologyError, String(error));
    assertMatch(error.message, /^bad\.lab\.yml:1:14: The file is no YAML: .*\n 1 \| nodes/);
  }
});

Deno.test("A lab has the name of its file, and paths are told from its folder", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const file = `${folder}/two-tier.lab.yml`;
    Deno.writeTextFileSync(file, "nodes: { h: { files: { /etc/x: { source: x.conf } } } }\n");
    const resolved = resolve(await load(file));
    assertEquals(resolved.name, "two-tier");
    assertEquals(node(resolved, "h").files[0]!.source, `${folder}/x.conf`);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("Derived routes carry pings between all nodes of a running grid, both families", async () => {
  const spec = { ...grid(3, 2), addressing: { ipv4: "10.0.0.0/16", ipv6: "fd00::/48" } };
  const { hosts } = resolve(spec);
  await using lab = await up(spec);
  for (const { name } of hosts) {
    for (const { addresses } of hosts) {
      const replies = await Promise.all(
        addresses.slice(0, 2).map((address) => lab.node(name).netns.ping(address, { count: 1 })),
      );
      assertEquals(replies.map(({ received }) => received), [1, 1], `${name} to ${addresses}`);
    }
  }
});
