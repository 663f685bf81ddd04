// Labs with names: convergence, rollback, and what a killed command leaves.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { processId } from "../../ffi/file.ts";
import {
  down,
  list,
  plan,
  resolve,
  type ResolvedTopology,
  type TopologySpec,
  up,
} from "../../src/lab/mod.ts";
import { LabRecord } from "../../src/lab/record.ts";
import { interceptSends } from "../../src/netlink/socket.ts";
import { NetNs, trace } from "../../mod.ts";
import { test } from "../leaks.ts";
import { machine } from "../machine.ts";
import { assertDump, dump } from "./dump.ts";
import { ALL_STEPS, killedAt, stepsUpTo } from "./steps.ts";
import { node, port, topology, via, wire } from "./topologies.ts";

const spec = {
  addressing: { ipv4: "10.0.0.0/16" },
  nodes: { h1: {}, h2: {}, h3: {}, r: { kind: "router" } },
  links: [{ segment: ["r", "h1", "h2"], name: "lan" }, "h3 -- r"],
} as const satisfies TopologySpec;

/** Brings a lab up and leaves it. */
async function start(spec: TopologySpec | ResolvedTopology, name = "lab"): Promise<void> {
  const lab = await up(spec as TopologySpec, { name });
  await lab.persist()[Symbol.asyncDispose]();
}

function names(name = "lab"): string[] {
  return NetNs.list().filter((it) => it.startsWith(`${name}.`));
}

test("A lab with a name stays until down(), which needs nothing but the name", async () => {
  const before = machine();
  await start(spec);
  assertEquals(names(), ["lab.h1", "lab.h2", "lab.h3", "lab.lan", "lab.r"]);
  assertEquals(list().map(({ name, state, nodes, wires }) => [name, state, nodes.length, wires]), [
    ["lab", "up", 5, 4],
  ]);
  {
    using h1 = NetNs.open("lab.h1");
    assertEquals((await h1.ping("127.0.0.1")).received, 1);
  }
  assertEquals(await down("lab"), true);
  assertEquals(await down("lab"), false);
  assertEquals(list(), []);
  assertEquals(machine(), before);
});

test("A second up() of an unchanged lab sends no changing message", async () => {
  await start(spec);
  const sent: string[] = [];
  {
    using _trace = trace(({ command }) => sent.push(command), { changes: true });
    await start(spec);
  }
  assertEquals(sent, []);
  assertEquals(plan(spec, { name: "lab" }).steps, []);
  await down("lab");
});

test("plan() lists impairments as tc sets them, and cuts in force", async () => {
  const wire = (impair?: object): TopologySpec<"a" | "b"> => ({
    nodes: { a: {}, b: {} },
    links: [{ endpoints: ["a", "b"], ...(impair && { impair }) }],
  });
  const lines = (spec: TopologySpec<"a" | "b">) =>
    plan(spec, { name: "lab" }).steps.filter(({ object }) => object.startsWith("impairment"))
      .map(({ verb, node, command }) => [verb, node, command.replace(/ (limit|burst) .*/, "")]);
  const slow = { "->": { delay: "20ms" }, "<-": { rate: "10mbit" } };
  assertEquals(lines(wire(slow)), [
    ["create", "a", "tc -n lab.a qdisc add dev to-b root handle 6e6c: netem"],
    ["create", "b", "tc -n lab.b qdisc add dev to-a root handle 6e6c: netem"],
  ]);
  const limited = wire({ "<-": { rate: "10mbit" } });
  {
    await using lab = await up(limited, { name: "lab" });
    lab.persist().link("a", "b").cut({ oneWay: true });
  }
  assertEquals(plan(limited, { name: "lab" }).steps, []);
  assertEquals(plan(limited, { name: "lab" }).cuts, ["b:to-a"]);
  const [change] = lines(wire({ "<-": { rate: "20mbit" } }));
  assertEquals([change![0], change![1]], ["change", "b"]);
  assertMatch(change![2]!, /^tc -n lab\.b qdisc replace dev to-a root handle 6e6c: (netem|tbf)/);
  assertEquals(lines(wire()), [["remove", "b", "tc -n lab.b qdisc delete dev to-a root"]]);
  await start(wire());
  assertEquals(plan(wire(), { name: "lab" }).steps, []);
  await down("lab");
});

test("up() of a changed lab keeps what stays", async () => {
  await start(spec);
  const h1 = NetNs.open("lab.h1");
  const index = h1.links.get("to-lan").index;
  const cookie = h1.cookie;
  const more = {
    ...spec,
    nodes: { ...spec.nodes, h4: {} },
    links: [...spec.links, "h4 -- r"],
  } as TopologySpec;
  const ping = h1.ping(resolve(spec).hosts.find(({ name }) => name === "h3")!.addresses[0]!, {
    count: 40,
    interval: 20,
  });
  await start(more);
  assertEquals((await ping).loss, 0);
  h1[Symbol.dispose]();
  {
    using again = NetNs.open("lab.h1");
    using link = again.links.get("to-lan");
    assertEquals([again.cookie, link.index], [cookie, index]);
  }
  const converged = dump(names());
  await down("lab");
  await start(more);
  assertEquals(converged, dump(names()));
  await down("lab");
});

/** A lab with several kinds of objects, in two versions that differ in many of them. */
function version(n: 1 | 2): ResolvedTopology {
  const first = n === 1;
  const mac = (n: number) => `02:00:00:00:00:${n.toString(16).padStart(2, "0")}`;
  const nodes = [
    node("a", [
      port("eth0", { mac: mac(1), addresses: [first ? "10.0.0.1/24" : "10.0.0.11/24"] }),
      port("eth1", { mac: mac(2), mtu: first ? 1500 : 1400, addresses: ["10.0.1.1/24"] }),
    ], {
      routes: [via(first ? "10.0.0.2" : "10.0.1.2")],
      rules: [{ family: "inet", priority: first ? 100 : 200, table: 7, action: "lookup" }],
    }),
    node("b", [
      port("eth0", {
        mac: mac(3),
        addresses: ["10.0.0.2/24", "fd00::2/64"],
        ipv6: true,
        ...(!first && { up: false }),
      }),
    ], { sysctls: first ? { "net.ipv4.ip_forward": "1" } : { "net.ipv4.tcp_ecn": "1" } }),
    node("sw", [
      port("br0", { kind: "bridge", mac: mac(4), options: { ageingTime: first ? 100 : 200 } }),
      port("p1", { mac: mac(5), master: "br0", mtu: first ? 1500 : 1400 }),
      ...(first ? [] : [port("p2", { mac: mac(6), master: "br0" })]),
    ], { kind: "switch" }),
    ...(first
      ? [node("c", [port("eth0", { mac: mac(7), addresses: ["10.0.3.1/24"] })])]
      : [node("d", [port("eth0", { mac: mac(8), addresses: ["10.0.1.2/24"] })])]),
    node("e", [
      port("eth0", { mac: mac(9), addresses: first ? ["10.0.3.2/24"] : [] }),
      ...(first ? [] : [port("m0", {
        kind: "macvlan",
        mac: mac(10),
        parent: "e:eth0",
        addresses: ["10.0.9.1/24"],
      })]),
    ]),
  ];
  return topology(
    nodes,
    [
      wire("a:eth0", "b:eth0"),
      wire("a:eth1", "sw:p1"),
      // The other end of e:eth0 is another node: the pair is replaced.
      ...(first ? [wire("c:eth0", "e:eth0")] : [wire("d:eth0", "sw:p2"), wire("e:eth0", "x:eth0")]),
    ].filter(({ ends }) => !ends[1].startsWith("x:")).concat(
      first ? [] : [],
    ),
  );
}

/** Version 2 with the new other end of e:eth0. */
function second(): ResolvedTopology {
  const { nodes, wires } = version(2);
  const x = node("x", [port("eth0", { mac: "02:00:00:00:00:0b", addresses: ["10.0.4.1/24"] })]);
  return topology([...nodes, x], [...wires, wire("e:eth0", "x:eth0")]);
}

test("up() of another topology leaves the same as a fresh up() of that", async () => {
  const [one, two] = [version(1), second()];
  await start(one);
  const first = dump(names());
  await start(two);
  const converged = dump(names());
  await start(one);
  assertEquals(dump(names()), first);
  await down("lab");
  await start(two);
  assertEquals(converged, dump(names()));
  await down("lab");
});

const NO_SUCH_TYPE = 0x7f0;

/** Breaks the n-th message that changes something; calls `then` in place of that if it is given. */
function fault(n: number, then?: () => void): Disposable & { count: number } {
  const hook = interceptSends((bytes, length) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    for (let at = 0; at < length; at += (view.getUint32(at, true) + 3) & ~3) {
      // Requests that read have the kind 2 in their lowest two bits (RTM_GET*).
      if ((view.getUint16(at + 4, true) & 3) === 2 || ++state.count !== n) continue;
      if (then) then();
      else view.setUint16(at + 4, NO_SUCH_TYPE, true);
    }
  });
  const state = { count: 0, [Symbol.dispose]: () => hook[Symbol.dispose]() };
  return state;
}

test("A refused message at any step of a change rolls back, or the next command goes on", async () => {
  const [one, two] = [version(1), second()];
  await start(two);
  const goal = dump(names());
  await down("lab");
  await start(one);
  const before = dump(names());
  let messages: number;
  {
    using hook = fault(0);
    await start(two);
    messages = hook.count;
  }
  await start(one);
  const outcomes = { "rolled back": 0, "gone on": 0, "not noticed": 0 };
  for (const n of stepsUpTo(messages)) {
    let error: Error | undefined;
    {
      using _hook = fault(n);
      await start(two).catch((reason) => error = reason);
    }
    const after = dump(names());
    if (!error) {
      // Removals of what is gone may be refused.
      assertEquals(after, goal, `message ${n}`);
      outcomes["not noticed"]++;
    } else if (after === before) outcomes["rolled back"]++;
    else {
      if (!error.message.includes("the next command goes on")) {
        assertEquals(after, before, `message ${n}: ${error}`);
      }
      await start(two);
      await assertDump(names, goal, `message ${n}`);
      outcomes["gone on"]++;
    }
    await start(one);
    await assertDump(names, before, `back after message ${n}`);
  }
  if (ALL_STEPS) console.log(`${messages} messages refused, one each time:`, outcomes);
  const least = ALL_STEPS ? 5 : 1;
  assert(
    outcomes["rolled back"] >= least && outcomes["gone on"] >= least,
    JSON.stringify(outcomes),
  );
  await down("lab");
});

test("Two commands cannot change one lab at once: the second one says who does", async () => {
  await start(spec);
  {
    using _record = LabRecord.open("lab");
    const error = await assertRejects(() => start(spec));
    assertEquals(
      (error as Error).message,
      `Lab "lab" is being changed by process ${processId()}: wait until that has ended`,
    );
    await assertRejects(() => down("lab"), Error, `by process ${processId()}: wait`);
    assertEquals(list().map(({ state, pid }) => [state, pid]), [["changing", processId()]]);
  }
  const both = await Promise.allSettled([start(version(1)), start(version(1))]);
  assertEquals(both.map(({ status }) => status), ["fulfilled", "rejected"]);
  await down("lab");
});

/** More sends than a change takes. */
const MOST_SENDS = 40;

test("After a kill -9 at any send of a change, the next command completes or undoes it", async () => {
  const [one, two] = [version(1), second()];
  await start(two);
  const goal = dump(names());
  await down("lab");
  const outcomes = { "went on": 0, "was removed": 0 };
  let killed = 0;
  for (const n of stepsUpTo(MOST_SENDS)) {
    await start(one);
    if (!await killedAt(n, { up: two, name: "lab" })) break;
    killed++;
    outcomes[n % 2 ? "went on" : "was removed"]++;
    assertEquals(list().map(({ state }) => state), ["interrupted"], `send ${n}`);
    if (n % 2) {
      await start(two);
      await assertDump(names, goal, `send ${n}`);
    } else {
      assertEquals(await down("lab"), true);
      assertEquals([NetNs.list(), list()], [[], []], `send ${n}`);
    }
  }
  if (ALL_STEPS) {
    console.log(`killed at each of ${killed} sends of a change; the lab then:`, outcomes);
  }
  assert(killed >= (ALL_STEPS ? 5 : 1), `${killed}`);
  await down("lab");
});

test("After a kill -9 at any send of the first up(), down() leaves the machine as it was", async () => {
  const before = machine();
  let killed = 0;
  for (const n of stepsUpTo(MOST_SENDS)) {
    if (!await killedAt(n, { up: version(1), name: "lab" })) break;
    killed++;
    if (n % 2) await start(version(1));
    assertEquals(await down("lab"), true, `send ${n}`);
    assertEquals([NetNs.list(), list(), machine()], [[], [], before], `send ${n}`);
  }
  assert(killed >= (ALL_STEPS ? 5 : 1), `${killed}`);
  await down("lab");
});
