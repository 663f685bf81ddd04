import { assert, assertEquals } from "@std/assert";
import { resolve, type ResolvedNode, type ResolvedTopology, topology } from "../../src/lab/mod.ts";

function node(topology: ResolvedTopology, name: string): ResolvedNode {
  const found = topology.nodes.find((node) => node.name === name);
  assert(found, `there is no node ${name}`);
  return found;
}

Deno.test("resolve() gives plain data that JSON keeps", () => {
  const resolved = resolve(topology({
    name: "plain",
    nodes: { r1: { kind: "router" }, "h[1-2]": null },
    links: ["h[1-2] -- r1"],
  }));
  assertEquals(JSON.parse(JSON.stringify(resolved)), resolved);
});

Deno.test("resolve() gives a range at one end of a link a wire each", () => {
  const { wires } = resolve({
    nodes: { r1: { kind: "router" }, "h[1-2]": null },
    links: ["h[1-2] -- r1"],
  });
  assertEquals(wires.map(({ ends }) => ends), [
    ["h1:to-r1", "r1:to-h1"],
    ["h2:to-r1", "r1:to-h2"],
  ]);
});

Deno.test("resolve() gives a segment a switch with a port for each member", () => {
  const resolved = resolve({
    nodes: { a: null, b: null, c: null },
    links: [{ segment: ["b", "a", "c"] }],
  });
  const lan = node(resolved, "lan-b");
  assertEquals([lan.kind, lan.segment], ["switch", "lan-b"]);
  assertEquals(lan.interfaces.map(({ name, master }) => [name, master]), [
    ["br0", undefined],
    ["to-a", "br0"],
    ["to-b", "br0"],
    ["to-c", "br0"],
  ]);
});
