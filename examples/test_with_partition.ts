/**
 * A test of a program in a broken network: three nodes, separated and joined again inside `Deno.test`.
 *
 *     deno test -A examples/test_with_partition.ts
 *     deno run -A examples/test_with_partition.ts [--keep]
 */
import { Bridge, NetNs, Scope, Veth } from "@netloom/netloom";
import { assertEquals } from "@std/assert";
import { hold, options, runTests } from "./_recipe.ts";

const SCOPE = "netloom-test_with_partition";
const { keep } = options("A test that cuts and heals a network of three nodes", {
  needs: ["veth", "bridge"],
});
if (import.meta.main) await runTests(import.meta.filename!, SCOPE);

const ADDRESSES = [1, 2, 3].map((n) => `192.168.123.${n}`);

/** Whether the node with an address answers another node's HTTP request within some seconds. */
async function answers(node: NetNs, address: string): Promise<boolean> {
  const until = Date.now() + 2500;
  // Several requests: one may be lost because of an ARP request during the partition.
  while (Date.now() < until) {
    const signal = AbortSignal.timeout(800);
    const response = await node.fetch(`http://${address}/`, { signal }).catch(() => undefined);
    if (await response?.text() === "here") return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

/** The program under test: whether a node sees a majority of the three, itself included. */
async function hasMajority(node: NetNs): Promise<boolean> {
  const answered = await Promise.all(ADDRESSES.map((address) => answers(node, address)));
  return answered.filter(Boolean).length >= 2;
}

Deno.test("A cluster of three nodes survives the loss of one", async (t) => {
  // Unnamed namespaces end with the process, also when a test is killed. --keep gives them names.
  await using lab = Scope.open(keep ? { name: SCOPE, replace: true } : {});

  // ip netns add switch; ip -n switch link add br0 up type bridge
  const hub = NetNs.create(keep ? "switch" : undefined, { scope: lab });
  const bridge = Bridge.create({ scope: lab, name: "br0", netns: hub, up: true });

  // ip netns add node1
  // ip -n switch link add port1 master br0 up type veth peer name eth0 netns node1
  // ip -n node1 address add 192.168.123.1/24 dev eth0; ip -n node1 link set eth0 up
  const nodes = ADDRESSES.map((address, i) => {
    const n = i + 1;
    const netns = NetNs.create(keep ? `node${n}` : undefined, { scope: lab });
    const end = { name: "eth0", netns, up: true, addresses: [`${address}/24`] };
    Veth.create({ ...end, scope: lab, peer: { name: `port${n}`, master: bridge, up: true } });
    return netns;
  });
  await lab.ready();
  await using servers = new AsyncDisposableStack();
  for (const [i, hostname] of ADDRESSES.entries()) {
    const options = { hostname, port: 80, onListen() {} };
    servers.use(nodes[i]!.serve(options, () => new Response("here")));
  }
  const whoGoesOn = () => Promise.all(nodes.map(hasMajority));

  await t.step("joined, all nodes go on", async () => {
    assertEquals(await whoGoesOn(), [true, true, true]);
  });
  await t.step("without the third node, it stops and the others go on", async () => {
    // ip -n switch link set port3 down
    bridge.port("port3").down();
    assertEquals(await whoGoesOn(), [true, true, false]);
  });
  await t.step("without the first node as well, none goes on", async () => {
    bridge.port("port1").down();
    assertEquals(await whoGoesOn(), [false, false, false]);
  });
  await t.step("joined again, all nodes go on", async () => {
    // ip -n switch link set port3 up
    for (const port of bridge.ports()) port.up();
    await lab.ready();
    assertEquals(await whoGoesOn(), [true, true, true]);
  });
  if (keep) await hold("ip netns exec node1 ping 192.168.123.3");
});
