import { assertEquals } from "@std/assert";
import { Bridge, NetNs, Veth } from "../../mod.ts";
import { readGraph } from "../../src/view/mod.ts";

Deno.test("readGraph() finds pairs across namespaces, and bridges with their ports", () => {
  using lan = NetNs.create();
  using host = NetNs.create();
  const bridge = Bridge.create({ name: "br0", netns: lan, up: true });
  Veth.create({
    name: "port1",
    master: bridge,
    netns: lan,
    up: true,
    peer: { name: "eth0", netns: host, up: true, addresses: ["192.0.2.1/24"] },
  });
  const { nodes, edges } = readGraph([lan, host]);
  assertEquals(nodes.map(({ interfaces }) => interfaces), [
    [{ name: "br0", up: true, kind: "bridge" }, {
      name: "port1",
      up: true,
      kind: "veth",
      under: "br0",
    }],
    [{ name: "eth0", up: true, kind: "veth", addresses: ["192.0.2.1/24"] }],
  ]);
  assertEquals(edges, [{
    from: { node: "n0", interface: "port1" },
    to: { node: "n1", interface: "eth0" },
    kind: "veth",
    state: "up",
  }]);
});

Deno.test("readGraph() tells pairs of equal indexes apart by the id of the namespace", () => {
  using red = NetNs.create();
  using blue = NetNs.create();
  using green = NetNs.create();
  // All ends have index 10 and a peer of index 10.
  const end = (name: string, netns: NetNs) => ({ name, netns, index: 10 });
  Veth.create({ ...end("r", red), peer: end("b", blue) });
  Veth.create({ ...end("g", green), peer: { name: "x", netns: red, index: 11 } });
  using away = NetNs.create();
  Veth.create({ name: "g2", netns: green, index: 12, peer: { ...end("a", away) } });
  const joined = ({ nodes, edges }: ReturnType<typeof readGraph>) => {
    const names = new Map(nodes.map(({ id }, i) => [id, i]));
    return edges.map(({ from, to }) =>
      `${names.get(from.node)}:${from.interface} ${names.get(to.node)}:${to.interface}`
    ).sort();
  };
  assertEquals(joined(readGraph([red, blue, green, away])), [
    "0:r 1:b",
    "0:x 2:g",
    "2:g2 3:a",
  ]);
  // The other end of a pair may be in none of the namespaces.
  assertEquals(joined(readGraph([green])), ["0:g 1:undefined", "0:g2 2:undefined"]);
});

Deno.test("readGraph() draws a pair inside one namespace once, and a link that is down", () => {
  using netns = NetNs.create();
  Veth.create({ name: "v0", netns, up: true, peer: { name: "v1", netns } });
  const { edges } = readGraph([netns]);
  assertEquals(edges.map(({ state }) => state), ["down"]);
});

Deno.test("readGraph() shows loopback and link-local addresses when asked to", () => {
  using netns = NetNs.create();
  const [node] = readGraph([netns], { loopback: true }).nodes;
  assertEquals(node!.interfaces.map(({ name, addresses }) => ({ name, addresses })), [
    { name: "lo", addresses: ["127.0.0.1/8", "::1/128"] },
  ]);
  assertEquals(readGraph([netns]).nodes[0]!.interfaces, []);
});
