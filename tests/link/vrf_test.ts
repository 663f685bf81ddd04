import { assert, assertEquals, assertThrows } from "@std/assert";
import { Link, NetNs, Scope, Veth, Vrf } from "../../mod.ts";
import { ip, type Json, run } from "../helpers.ts";
import { type Case, kernelTest, type Refusal, testCases, testRefusals } from "./oracle.ts";

const KIND = { kind: "vrf", single: true, create: Vrf.create, get: Vrf.get } as const;

const MADE: readonly Case[] = [
  { name: "a table", options: { table: 10 }, words: "table 10", shown: { table: 10 } },
  {
    name: "the largest table",
    options: { table: 0xffffffff },
    words: "table 4294967295",
    shown: { table: 0xffffffff },
  },
];

const REFUSED: readonly Refusal[] = [
  [{}, "TypeError", "table must be the number of a routing table: got undefined"],
  [{ table: 0 }, "RangeError", "table must be in 1..4294967295"],
  [{ table: "main" }, "TypeError", "table must be an integer"],
  [{ tabel: 7 }, "TypeError", 'Unknown option "tabel": did you mean "table"?'],
  [{ table: 7, port: {} }, "TypeError", "needs a master"],
];

testCases(KIND, "made", MADE);
testRefusals(KIND, REFUSED);
testRefusals(KIND, [[{ table: 8 }, "TypeError", "table of a vrf cannot be changed: got 8"]], {
  table: 7,
});

kernelTest("vrf", "A port of a VRF reports the table, as ip shows it", () => {
  using netns = NetNs.create();
  const master = Vrf.create({ name: "red", netns, table: 10, up: true });
  const port = Veth.create({ name: "v0", master, peer: { name: "v1", netns } });
  const info = port.read();
  assert(info.port?.kind === "vrf");
  assertEquals(info.port.options, { table: 10 });
  const [shown] = ip(netns.ref, "-d -j link show v0") as [Json];
  const { info_slave_kind, info_slave_data } = shown.linkinfo as Json;
  assertEquals([info_slave_kind, info_slave_data], ["vrf", { table: 10 }]);
  assertThrows(
    () => port.set({ port: { table: 11 } as never }),
    TypeError,
    'Unknown option "port.table"',
  );
  port.set({ master: null });
  assertEquals(port.read().port, undefined);
  assert(Link.get("red", { netns }) instanceof Vrf);
});

kernelTest("vrf", "The first VRF brings the policy rules that lead to its table", () => {
  using netns = NetNs.create();
  Vrf.create({ name: "red", netns, table: 10, up: true });
  const rules = netns.rules.list({ priority: 1000 });
  assertEquals(rules.map(({ family, l3mdev, protocol }) => [family, l3mdev, protocol]), [
    ["inet", true, "kernel"],
    ["inet6", true, "kernel"],
  ]);
});

/** A router with two VRFs, each with a customer who has the same addresses as the other one. */
async function router(scope: Scope): Promise<{ netns: NetNs; customers: NetNs[] }> {
  const netns = NetNs.create({ scope });
  netns.sysctl("net.ipv4.ip_forward", 1);
  const customers: NetNs[] = [];
  for (const [i, name] of ["red", "blue"].entries()) {
    const master = Vrf.create({ scope, name, netns, table: 10 * (i + 1), up: true });
    for (const n of [1, 2]) {
      const customer = NetNs.create({ scope });
      customers.push(customer);
      Veth.create({
        scope,
        name: `${name}${n}`,
        master,
        up: true,
        addresses: [`10.0.${n}.254/24`],
        peer: { name: "eth0", netns: customer, up: true, addresses: [`10.0.${n}.1/24`] },
      });
    }
  }
  await scope.ready();
  for (const [i, customer] of customers.entries()) {
    customer.routes.add({ destination: "default", gateway: `10.0.${i % 2 + 1}.254` });
  }
  return { netns, customers };
}

/** The packets that the link of a namespace has got. */
const received = (netns: NetNs) => netns.links.get("eth0").stats().rxPackets;

kernelTest(
  "vrf",
  "VRFs with the same addresses are apart: each customer reaches its own",
  async () => {
    await using scope = Scope.open();
    const { netns, customers } = await router(scope);
    const [red1, red2, blue1, blue2] = customers as [NetNs, NetNs, NetNs, NetNs];
    for (const [from, to, other] of [[red1, red2, blue2], [blue1, blue2, red2]] as const) {
      const before = [to, other].map(received);
      assertEquals((await from.ping("10.0.2.1", { count: 10, interval: 20 })).received, 10);
      const [got, apart] = [to, other].map((it, i) => received(it) - before[i]!);
      assert(got! >= 10 && apart! < 10, `${got} and ${apart}`);
    }
    // Without a VRF the router itself reaches neither.
    const error = assertThrows(() => netns.routes.get("10.0.2.1"), Error);
    assert(error.message.includes("ENETUNREACH"), error.message);
    assert(run(netns.ref, "ping -c 1 -W 5 -I red 10.0.2.1").includes("1 received"));
  },
);

kernelTest("vrf", "A route through the port of another VRF leaks packets to it", async () => {
  await using scope = Scope.open();
  const { netns, customers } = await router(scope);
  const [red1, , blue1] = customers as [NetNs, NetNs, NetNs, NetNs];
  red1.addresses.add({ dev: "eth0", address: "10.1.1.1/24" });
  blue1.addresses.add({ dev: "eth0", address: "10.2.1.1/24" });
  const ping = () => red1.ping("10.2.1.1", { timeout: 2000 }).then((it) => it.received);
  assertEquals(await ping(), 0);
  netns.routes.add([
    { destination: "10.1.1.0/24", dev: "red1", table: 10 },
    { destination: "10.2.1.0/24", dev: "blue1", table: 20 },
    { destination: "10.2.1.0/24", dev: "blue1", table: 10 },
    { destination: "10.1.1.0/24", dev: "red1", table: 20 },
  ]);
  red1.routes.replace({ destination: "default", gateway: "10.0.1.254", prefsrc: "10.1.1.1" });
  assertEquals(await ping(), 1);
});
