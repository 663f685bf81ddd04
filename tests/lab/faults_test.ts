// Faults of a running lab: cuts, partitions, flapping, impairments, signals, schedules, and commands.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { bridge, down, oneWay, ring, type TopologySpec, up } from "../../src/lab/mod.ts";
import { test } from "../leaks.ts";

/** a and b on a switch, c behind a router. */
const spec = {
  addressing: { ipv4: "10.0.0.0/16", ipv6: "fd00::/48" },
  nodes: { a: {}, b: {}, c: {}, sw: { kind: "switch" }, r: { kind: "router" } },
  links: ["a -- sw", "b -- sw", "r -- sw", "c -- r"],
} as const satisfies TopologySpec;

/** The pairs that do not reach each other. */
async function missing(
  lab: { reachability(options: object): Promise<{ missing: readonly (readonly string[])[] }> },
): Promise<string[]> {
  const { missing } = await lab.reachability({ timeout: 250 });
  return missing.map((pair) => pair.join(">")).sort();
}

test("A cut wire loses all packets in both directions until it is healed", async () => {
  await using lab = await up(spec);
  const wire = lab.link("a", "sw");
  wire.cut();
  assertEquals(await missing(lab), ["a>b", "a>c", "a>r", "b>a", "c>a", "r>a"]);
  assertEquals([wire.isCut, lab.link("b", "sw").isCut], [true, false]);
  assert(wire.link.read().up, "the carrier stays");
  wire.heal();
  assertEquals(await missing(lab), []);
});

test("A wire that is cut in one direction still carries the other one", async () => {
  await using lab = await up({ nodes: { a: {}, b: {} }, links: ["a -- b"] });
  lab.link("a", "b").cut({ oneWay: true });
  using captured = lab.node("a").capture({ filter: { protocol: "arp" }, direction: "in" });
  assertEquals((await lab.node("b").ping("a", { timeout: 200 })).received, 0);
  captured.stop();
  let requests = 0;
  for await (const _ of captured) requests++;
  assert(requests > 0, "requests come, and replies are lost");
  lab.heal();
  assertEquals((await lab.node("b").ping("a")).received, 1);
});

test("lab.partition() holds over several hops, for both families and established flows", async () => {
  await using lab = await up(spec);
  await using server = lab.node("c").serve(
    { hostname: "c", port: 80, onListen() {} },
    () => new Response("hello"),
  );
  using connection = await lab.node("a").connect({ hostname: "c", port: 80 });
  lab.partition(["a"], ["c"]);
  assertEquals(await missing(lab), ["a>c", "c>a"]);
  const six = lab.node("a").addressOf("c", "inet6");
  assertEquals((await lab.node("a").ping(six, { timeout: 200 })).received, 0);
  await connection.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: c\r\n\r\n"));
  const answer = connection.read(new Uint8Array(100));
  const silent = new Promise((resolve) => setTimeout(() => resolve("silent"), 200));
  assertEquals(await Promise.race([answer, silent]), "silent");
  lab.heal();
  assertEquals(typeof await answer, "number");
  assertEquals(await missing(lab), []);
  await server.shutdown();
});

test("lab.partition() takes one direction, Jepsen's bridge and ring, and replaces the one before", async () => {
  const names = ["n1", "n2", "n3", "n4", "n5"] as const;
  await using lab = await up({
    nodes: { n1: {}, n2: {}, n3: {}, n4: {}, n5: {} },
    links: [{ segment: names }],
  });
  lab.partition(oneWay(["n1"], ["n2"]));
  assertEquals(await missing(lab), ["n1>n2", "n2>n1"], "a ping needs both directions");
  lab.partition(bridge(names));
  assertEquals(await missing(lab), [
    ...["n1>n4", "n1>n5", "n2>n4", "n2>n5", "n4>n1", "n4>n2", "n5>n1", "n5>n2"],
  ]);
  lab.partition(ring(names));
  assertEquals(await missing(lab), [
    ...["n1>n3", "n1>n4", "n2>n4", "n2>n5", "n3>n1", "n3>n5", "n4>n1", "n4>n2", "n5>n2", "n5>n3"],
  ]);
  lab.partition(["n1"], ["n2"]);
  assertEquals(await missing(lab), ["n1>n2", "n2>n1"]);
});

test("A switch in a group drops what comes from the other group", async () => {
  await using lab = await up(spec);
  lab.partition(["a"], ["sw"]);
  assertEquals(await missing(lab), ["a>b", "a>c", "a>r", "b>a", "c>a", "r>a"]);
});

test("lab.isolate() cuts all wires of a node", async () => {
  await using lab = await up(spec);
  lab.isolate("r");
  assertEquals(await missing(lab), [
    "a>c",
    "a>r",
    "b>c",
    "b>r",
    "c>a",
    "c>b",
    "c>r",
    "r>a",
    "r>b",
    "r>c",
  ]);
  lab.heal();
  assertEquals(await missing(lab), []);
});

test("lab.flap() cuts and heals in turn until it is disposed", async () => {
  await using lab = await up(spec);
  const wire = lab.link("a", "sw");
  {
    using _flap = lab.flap(wire, { every: 50 });
    const seen = new Set<boolean>();
    for (let i = 0; i < 40; i++) {
      seen.add(wire.isCut);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assertEquals(seen, new Set([true, false]));
  }
  assertEquals(wire.isCut, false);
});

test("A cut of a lab with a name outlives the handle, and up() keeps it", async () => {
  {
    await using lab = await up(spec, { name: "cut" });
    lab.persist().link("a", "sw").cut();
  }
  {
    await using lab = await up(spec, { name: "cut" });
    lab.persist();
    assertEquals(lab.link("a", "sw").isCut, true);
    assertStringIncludes(await lab.draw({ format: "json" }), '"cut"');
    lab.heal();
    assertEquals(await missing(lab), []);
  }
  await down("cut");
});

test("Impairments of the topology are in force after up()", async () => {
  await using lab = await up({
    nodes: { a: {}, b: {} },
    links: [{
      endpoints: ["a", "b"],
      impair: { "->": { rate: "10mbit" }, "<-": { rate: "1mbit" } },
    }],
  });
  const wire = lab.link("a", "b");
  assertEquals(wire.impairment()?.values, { out: { rate: 10e6 }, in: { rate: 1e6 } });
  assertEquals(lab.link("b", "a").impairment()?.values, { out: { rate: 1e6 }, in: { rate: 10e6 } });
  wire.impair({ out: { rate: "5mbit" } });
  assertEquals(wire.impairment()?.values, { out: { rate: 5e6 }, in: { rate: 1e6 } });
  wire.impair(null);
  assertEquals(wire.impairment(), undefined);
});

test("up() of a lab with a name brings changed impairments into force, and takes them off", async () => {
  const rate = (rate?: string) => ({
    nodes: { a: {}, b: {} },
    links: [{ endpoints: ["a", "b"] as const, ...(rate && { impair: { rate } }) }],
  });
  for (const [asked, has] of [["1mbit", 1e6], ["2mbit", 2e6], [undefined, undefined]] as const) {
    await using lab = await up(rate(asked), { name: "rate" });
    lab.persist();
    assertEquals(lab.link("a", "b").impairment()?.values.out?.rate, has);
  }
  await down("rate");
});

test("A schedule sets and undoes its faults at their times, and logs them", async () => {
  await using lab = await up({
    ...spec,
    schedule: [
      { at: "50ms", for: "150ms", cut: "a -- sw" },
      { at: "100ms", for: "50ms", partition: [["b"], ["c"]] },
      { at: "250ms", isolate: "c" },
    ],
  });
  const { schedule } = lab;
  await schedule!.done;
  assertEquals(
    schedule!.log.map(({ due, action, fault: { kind } }) => [due, action, kind]),
    [
      [50, "begin", "cut"],
      [100, "begin", "partition"],
      [150, "end", "partition"],
      [200, "end", "cut"],
      [250, "begin", "isolate"],
    ],
  );
  for (const { due, at, error } of schedule!.log) {
    assert(at >= due - 1, `${at} for ${due}`);
    assertEquals(error, undefined);
  }
  assertEquals([lab.link("a", "sw").isCut, lab.link("c", "r").isCut], [false, true]);
});

/** Waits for as long as it takes; a test that waits for ever says its name. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

test("Commands start in their order, each when the one before is ready", async () => {
  await using lab = await up({
    nodes: {
      a: {
        run: [
          {
            command: "echo first; sleep 0.2; echo second; exec sleep 1000",
            ready: { log: "second" },
          },
          { command: "echo third; exec sleep 1000" },
        ],
      },
    },
    links: [],
  });
  await until(() => lab.logs("a").includes("third"));
  assertEquals(lab.logs("a"), "first\nsecond\nthird\n");
  assertEquals(lab.node("a").netns.pids().length, 2, "both sleep");
  lab.kill("a");
  await until(() => lab.node("a").netns.pids().length === 0);
});

test("up() says why a command is not ready, and removes the lab", async () => {
  const node = (run: object) => ({ nodes: { a: { run: [run] } }, links: [] }) as TopologySpec<"a">;
  const failing = node({ command: "echo oh no; exit 3", ready: { tcp: 80 } });
  const error = await assertRejects(() => up(failing)) as Error;
  assertStringIncludes(error.message, 'Node "a": ');
  assertStringIncludes(error.message, "has ended with code 3; its output ends with:\noh no");
  const slow = node({ command: "exec sleep 1000", ready: { tcp: 80 }, timeout: "200ms" });
  await assertRejects(() => up(slow), Error, "is not ready after 200 ms");
});

test("A command is ready when its port accepts", async () => {
  const serve = "exec python3 -m http.server 80";
  await using lab = await up({
    nodes: { a: { run: [{ command: serve, ready: { tcp: 80 }, timeout: "120s" }] }, b: {} },
    links: ["a -- b"],
  });
  const response = await lab.node("b").fetch("http://a/");
  assertEquals(response.status, 200);
  await response.body?.cancel();
});

test("A lab without a name is impaired by this process where the kernel cannot", async () => {
  await using lab = await up({
    name: "ignored",
    nodes: { a: {}, b: {} },
    links: [{ endpoints: ["a", "b"], impair: { delay: "10ms" } }],
  });
  assertEquals(lab.name, undefined);
  const { min } = await lab.node("a").ping("b", { count: 3, interval: 10 });
  assert(min! > 19, `${min}`);
});
