// Properties of every resolved topology, on random ones.
import { assert, assertEquals } from "@std/assert";
import * as fc from "npm:fast-check@^4";
import {
  check,
  type LinkSpec,
  type NodeSpec,
  resolve,
  type ResolvedNode,
  type ResolvedTopology,
  TopologyError,
  type TopologySpec,
} from "../../src/lab/mod.ts";
import {
  addressText,
  isIn,
  type Net,
  netText,
  networkOf,
  parseNet,
} from "../../src/lab/placement.ts";
import { GOOD } from "./files.ts";
import { parse as parseYaml } from "@std/yaml";

const RUNS = { numRuns: 60, seed: 7 };

/** Topologies of routers, switches and hosts, all connected, with at most one link between two nodes. */
const topologies: fc.Arbitrary<TopologySpec> = fc.record({
  kinds: fc.array(fc.constantFrom("host", "router", "router", "switch"), {
    minLength: 2,
    maxLength: 12,
  }),
  parents: fc.array(fc.nat(), { minLength: 12, maxLength: 12 }),
  extra: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 8 }),
  ipv6: fc.boolean(),
  ecmp: fc.boolean(),
}).map(({ kinds, parents, extra, ipv6, ecmp }) => {
  const nodes: Record<string, NodeSpec> = {};
  const names = kinds.map((kind, i) => `${kind[0]}${i}`);
  // Only routers and switches have several links: a host forwards nothing.
  const inner = names.filter((name) => !name.startsWith("h"));
  if (inner.length === 0) names.push("r99"), inner.push("r99");
  for (const name of names) {
    nodes[name] = { kind: name[0] === "h" ? "host" : name[0] === "r" ? "router" : "switch" };
  }
  const pairs = new Set<string>();
  const link = (a: string, b: string) => a !== b && pairs.add([a, b].sort().join(" -- "));
  inner.forEach((name, i) => i > 0 && link(name, inner[parents[i]! % i]!));
  names.filter((name) => name.startsWith("h")).forEach((name, i) =>
    link(name, inner[parents[i]! % inner.length]!)
  );
  // Further links between routers only: two ways between switches are a loop of layer 2.
  const routers = inner.filter((name) => name.startsWith("r"));
  for (const [a, b] of routers.length > 1 ? extra : []) {
    link(routers[a % routers.length]!, routers[b % routers.length]!);
  }
  return {
    addressing: ipv6 ? { ipv4: "10.0.0.0/16", ipv6: "fd00::/48" } : { ipv4: "10.0.0.0/16" },
    ecmp,
    nodes,
    links: [...pairs] as LinkSpec[],
  };
});

/** The addresses of a node. */
function netsOf({ interfaces }: ResolvedNode): Net[] {
  return interfaces.flatMap(({ addresses }) => addresses).map(parseNet);
}

/** Nodes by the addresses that they have. */
function owners({ nodes }: ResolvedTopology): Map<string, ResolvedNode> {
  return new Map(
    nodes.flatMap((node) => netsOf(node).map((net) => [addressText(net), node] as const)),
  );
}

/** The next hops of a packet: the node itself when the address is on its links. */
function nextHops(node: ResolvedNode, target: Net): string[] {
  const to = { ...target, length: target.family === 4 ? 32 : 128 };
  if (netsOf(node).some((net) => isIn(to, networkOf(net)))) return [addressText(target)];
  const fitting = node.routes.filter(({ destination }) => isIn(to, parseNet(destination)));
  const longest = Math.max(...fitting.map(({ destination }) => parseNet(destination).length));
  const best = fitting.find(({ destination }) => parseNet(destination).length === longest);
  return best?.nexthops.map(({ gateway }) => gateway!) ?? [];
}

Deno.test("Every address of a connected topology is reached from every node, without loops", () => {
  fc.assert(
    fc.property(topologies, (spec) => {
      const resolved = resolve(spec);
      const byAddress = owners(resolved);
      // Switches divide: two parts that only a host or nothing joins are not connected in layer 3.
      for (const node of resolved.nodes.filter(({ routes }) => routes.length > 0)) {
        for (const [text, owner] of byAddress) {
          if (owner === node) continue;
          const target = parseNet(text);
          if (!netsOf(node).some(({ family }) => family === target.family)) continue;
          let at = node;
          for (let hops = 0; at !== owner; hops++) {
            assert(hops <= resolved.nodes.length, `${node.name} to ${text} goes round`);
            const [next] = nextHops(at, target);
            assert(next !== undefined, `${at.name} has no route to ${text} of ${owner.name}`);
            at = byAddress.get(next)!;
          }
        }
      }
    }),
    RUNS,
  );
});

Deno.test("Routes take the fewest routers to a subnet, with ecmp over all first routers of such paths", () => {
  fc.assert(
    fc.property(topologies, (spec) => {
      const resolved = resolve({ ...spec, ecmp: true });
      const byAddress = owners(resolved);
      const routers = resolved.nodes.filter(({ kind }) => kind === "router");
      for (const start of routers) {
        for (const text of byAddress.keys()) {
          const target = parseNet(text);
          const hops = hopsTo(start, target, routers);
          if (hops === undefined || hops === 0) continue;
          const expected = routers.filter((router) => router !== start)
            .filter((router) => hopsTo(router, target, routers) === hops - 1)
            .flatMap((router) =>
              netsOf(router).filter((net) => net.family === target.family && isOnLink(start, net))
            )
            .map(addressText);
          assertEquals(nextHops(start, target).sort(), expected.sort(), `${start.name} to ${text}`);
        }
      }
    }),
    { ...RUNS, numRuns: 15 }, // the oracle is slow
  );
});

/** Whether a node has a subnet with an address. */
function isOnLink(node: ResolvedNode, net: Net): boolean {
  const to = { ...net, length: net.family === 4 ? 32 : 128 };
  return netsOf(node).some((own) => isIn(to, networkOf(own)));
}

/** The oracle: a breadth-first search for the first router that has the subnet of an address. */
function hopsTo(
  start: ResolvedNode,
  target: Net,
  routers: readonly ResolvedNode[],
): number | undefined {
  const seen = new Set([start]);
  let row = [start];
  for (let hops = 0; row.length > 0; hops++) {
    if (row.some((node) => isOnLink(node, target))) return hops;
    row = routers.filter((router) =>
      !seen.has(router) &&
      netsOf(router).some((net) =>
        net.family === target.family && row.some((node) => isOnLink(node, net))
      )
    );
    row.forEach((node) => seen.add(node));
  }
  return undefined;
}

Deno.test("Addresses and MACs are unique, and subnets do not overlap", () => {
  fc.assert(
    fc.property(topologies, (spec) => {
      const { nodes } = resolve(spec);
      const addresses = nodes.flatMap(netsOf).map(addressText);
      assertEquals(new Set(addresses).size, addresses.length);
      const macs = nodes.flatMap(({ interfaces }) => interfaces.flatMap(({ mac }) => mac ?? []));
      assertEquals(new Set(macs).size, macs.length);
      const subnets = [...new Set(nodes.flatMap(netsOf).map((net) => netText(networkOf(net))))].map(
        parseNet,
      );
      for (const a of subnets) {
        for (const b of subnets) {
          assert(a === b || !isIn(a, b), `${netText(a)} is in ${netText(b)}`);
        }
      }
    }),
    RUNS,
  );
});

Deno.test("The order of nodes, links and ends changes nothing", () => {
  fc.assert(
    fc.property(
      topologies,
      fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
      (spec, turn) => {
        const links = (spec.links as string[]).map((link, i) => {
          const [a, b] = link.split(" -- ");
          return (turn[i % 30] ? `${b} -- ${a}` : link) as LinkSpec;
        });
        const nodes = Object.fromEntries(Object.entries(spec.nodes).reverse());
        assertEquals(
          JSON.stringify(resolve({ ...spec, nodes, links: links.reverse() })),
          JSON.stringify(resolve(spec)),
        );
      },
    ),
    RUNS,
  );
});

Deno.test("Removing a link changes no interface of other links, but for those it displaced", () => {
  fc.assert(
    fc.property(topologies, fc.nat(), (spec, n) => {
      const links = spec.links as string[];
      const removed = links[n % links.length]!;
      const ends = removed.split(" -- ");
      // A switch gives a segment its name; without the link a segment may split.
      if (ends.some((name) => name.startsWith("s"))) return;
      const before = resolve(spec);
      const after = resolve({
        ...spec,
        links: links.filter((link) => link !== removed) as LinkSpec[],
      });
      const displaced = before.displaced.map(({ object }) => object).join(" ");
      for (const node of after.nodes) {
        const old = before.nodes.find(({ name }) => name === node.name)!;
        for (const it of node.interfaces) {
          if (displaced.includes(`${node.name}:${it.name}`)) continue;
          assertEquals(it, old.interfaces.find(({ name }) => name === it.name));
        }
      }
    }),
    RUNS,
  );
});

Deno.test("check() and resolve() meet any value with problems, never with another error", () => {
  const files = GOOD.map((text) => parseYaml(text) as Record<string, unknown>);
  const mutated = fc.tuple(fc.constantFrom(...files), fc.nat(), fc.jsonValue()).map((
    [file, n, value],
  ) => mutate(structuredClone(file), n, value));
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), mutated), (value) => {
      const problems = check(value);
      try {
        resolve(value as unknown as TopologySpec);
        assertEquals(problems, []);
      } catch (error) {
        if (!(error instanceof TopologyError)) throw error;
        assertEquals(error.problems, problems);
      }
    }),
    { ...RUNS, numRuns: 2000 },
  );
});

/** Puts a value at the n-th place of a document, counted around. */
function mutate(document: Record<string, unknown>, n: number, value: unknown): unknown {
  const places: (readonly [object, string])[] = [];
  const visit = (at: unknown) => {
    if (typeof at !== "object" || at === null) return;
    for (const [key, inner] of Object.entries(at)) {
      places.push([at, key]);
      visit(inner);
    }
  };
  visit(document);
  const [parent, key] = places[n % places.length]!;
  (parent as Record<string, unknown>)[key] = value;
  return document;
}
