// The keeper of labs with names: what outlives the process of up(), and what a killed keeper leaves.
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { attach, down, LabError, list, logs, type TopologySpec, up } from "../../src/lab/mod.ts";
import { runKeepersBy } from "../../src/lab/keeper_client.ts";
import { NetNs, trace } from "../../mod.ts";
import { supportsTraffic } from "../../src/traffic/supports.ts";
import { test } from "../leaks.ts";
import { machine } from "../machine.ts";
import {
  commandsIn,
  elsewhere,
  KEEPER,
  keeper,
  killKeeper,
  roundTrip,
  running,
  slow,
  start,
  until,
} from "./kept.ts";

test("A delay of a lab with a name is in force after the process of up() has ended", async () => {
  const before = machine();
  const { errors } = await elsewhere(
    `(await labs.up(${JSON.stringify(slow)}, { name: "lab" })).persist();`,
  );
  assertEquals(errors, "");
  const netem = supportsTraffic({ qdisc: "netem" });
  assertEquals(list().map(({ state, keeper }) => [state, keeper?.state]), [
    ["up", netem ? undefined : "running"],
  ]);
  {
    await using lab = attach("lab");
    assert(await roundTrip(lab) > 39);
    const { engine, values } = lab.link("b", "a").impairment()!;
    assertEquals([engine, values], [netem ? "kernel" : "user", {
      out: { delay: 20 },
      in: { delay: 20 },
    }]);
  }
  await down("lab");
  assertEquals([list(), machine()], [[], before]);
});

test("A second up() of an unchanged lab keeps the keeper and its commands", async () => {
  const spec = { ...slow, nodes: { a: { run: ["exec sleep 1000"] }, b: {} } };
  await start(spec);
  const pid = keeper();
  using a = NetNs.open("lab.a");
  const commands = await commandsIn(a, 1);
  const sent: string[] = [];
  {
    using _trace = trace(({ command }) => sent.push(command), { changes: true });
    await start(spec);
  }
  assertEquals([sent, keeper(), await commandsIn(a, 1)], [[], pid, commands]);
  a[Symbol.dispose]();
  await down("lab");
});

test("lab.link().impair() of a handle starts a keeper, which ends when nothing is left to do", async () => {
  await start({ nodes: { a: {}, b: {} }, links: ["a -- b"] });
  assertEquals(list()[0]!.keeper, undefined);
  await using lab = attach("lab");
  const wire = lab.link("a", "b");
  const impairment = wire.impair({ engine: "user", out: { delay: "30ms" } });
  assertEquals([impairment.engine, impairment.values], ["user", { out: { delay: 30 } }]);
  assert(await roundTrip(lab) > 29);
  assert(impairment.stats.out!.packets > 0);
  assertThrows(() => wire.impair({ delay: "-1ms" }), RangeError, "delay");
  assertThrows(() => wire.impair({ dely: "1ms" } as object), TypeError, "dely");
  assert(await roundTrip(lab) > 29, "a refused change leaves the values");
  impairment.clear();
  assertEquals(lab.link("b", "a").impairment(), undefined);
  await until(() => list()[0]!.keeper === undefined);
  assertEquals((await lab.node("a").ping("b")).received, 1);
  await lab[Symbol.asyncDispose]();
  await down("lab");
});

test("Commands of a lab with a name run until down(), with their output in logs()", async () => {
  const { errors } = await elsewhere(`
    const run = ["echo first; echo second >&2", { command: "echo third; exec sleep 1000", ready: { log: "third" } }];
    (await labs.up({ nodes: { a: { run } }, links: [] }, { name: "lab" })).persist();
  `);
  assertEquals(errors, "");
  const text = (await Array.fromAsync(logs("lab", "a"))).join("");
  assertEquals(text.split("\n").sort(), ["", "first", "second", "third"]);
  {
    await using lab = attach("lab");
    assertEquals(lab.logs("a"), text);
    assertEquals(lab.node("a").netns.pids().length, 1);
  }
  assertThrows(() => logs("lab", "aa"), LabError, 'has no node "aa"; did you mean "a"?');
  assertThrows(() => logs("other", "a"), LabError, 'There is no lab "other"');
  await down("lab");
  assertThrows(() => logs("lab", "a"), LabError, 'There is no lab "lab"');
});

test("logs() follows the output until the lab is gone, also into a new file", async () => {
  await start(running("while sleep 0.05; do echo tick; done"));
  let count = 0;
  for await (const piece of logs("lab", "a", { follow: true })) {
    count += piece.split("tick").length - 1;
    if (count > 2 && list().length > 0) await down("lab");
  }
  assert(count > 2);
});

test("up() of a changed lab restarts only the commands that have changed", async () => {
  const commands = (n: number) => running("exec sleep 1001", `exec sleep ${n}`, "exec sleep 1003");
  await start(commands(1002));
  using a = NetNs.open("lab.a");
  const before = await commandsIn(a, 3);
  const pid = keeper();
  await start(commands(2002));
  const after = await commandsIn(a, 3);
  a[Symbol.dispose]();
  assertEquals(keeper(), pid);
  for (const line of ["sleep 1001", "sleep 1003"]) assertEquals(after.get(line), before.get(line));
  assertEquals([...after.keys()].sort(), ["sleep 1001", "sleep 1003", "sleep 2002"]);
  // A node that goes takes its commands along.
  await start({ nodes: { b: {}, c: {} }, links: ["b -- c"] });
  assertEquals(NetNs.list(), ["lab.b", "lab.c"]);
  await until(() => list()[0]!.keeper === undefined);
  await down("lab");
});

test("A command that is not ready rolls back, with its output in the error", async () => {
  const before = machine();
  const failing = { command: "echo oh no; exit 3", ready: { tcp: 80 } };
  const error = await assertRejects(() => start(running("exec sleep 1000", failing)), LabError);
  assertStringIncludes(error.message, 'Node "a": ');
  assertStringIncludes(error.message, "has ended with code 3; its output ends with:\noh no");
  assertEquals([list(), NetNs.list(), machine()], [[], [], before]);
  await start(running("exec sleep 1000"));
  const pid = keeper();
  await assertRejects(() => start(running("exec sleep 1000", failing)), LabError, "oh no");
  assertEquals([list()[0]!.state, keeper()], ["up", pid]);
  const slowly = { command: "exec sleep 1000", ready: { log: "never" }, timeout: "100ms" };
  await assertRejects(() => start(running(slowly)), LabError, "is not ready after 100 ms");
  {
    await using lab = attach("lab");
    await until(() => lab.node("a").netns.pids().length === 1);
  }
  await down("lab");
});

test("An aborted up() ends the wait for commands, and rolls back", async () => {
  const abort = new AbortController();
  const spec = running({ command: "exec sleep 1000", ready: { log: "never" }, timeout: "100s" });
  const end = up(spec, { name: "lab", signal: abort.signal });
  await until(() => list()[0]?.keeper?.state === "running");
  abort.abort(new Error("enough"));
  await assertRejects(() => end, Error, "enough");
  assertEquals([list(), NetNs.list()], [[], []]);
});

test("down() ends whole process groups, and processes that have left them", async () => {
  await start(running("sleep 1001 & exec sleep 1002", "setsid --fork sleep 1003"));
  {
    await using lab = attach("lab");
    await until(() => lab.node("a").netns.pids().length === 3);
  }
  const end = performance.now() + 8000;
  await down("lab");
  assert(performance.now() < end, "an open output does not keep it waiting");
});

test("After a kill -9 of the keeper, the next command clears up and says so", async () => {
  const spec: TopologySpec<"a" | "b"> = {
    ...slow,
    nodes: { a: { run: ["exec sleep 1000"] }, b: {} },
  };
  const before = machine();
  await start(spec);
  {
    await using lab = attach("lab");
    lab.link("a", "b").impair({ engine: "user", delay: "20ms" });
  }
  for (const next of ["attach", "up", "down"]) {
    using a = NetNs.open("lab.a");
    await commandsIn(a, 1);
    a[Symbol.dispose]();
    await killKeeper();
    const notes: string[] = [];
    const onNote = (note: string) => void notes.push(note);
    if (next === "attach") {
      await using lab = attach("lab", { onNote });
      assert(await roundTrip(lab) < 39, "the wire carries packets again");
      await until(() => lab.node("a").netns.pids().length === 0);
      assertEquals(list()[0]!.keeper, undefined);
      await start(spec);
      lab.link("a", "b").impair({ engine: "user", delay: "20ms" });
    } else if (next === "up") {
      await using lab = await up(spec, { name: "lab", onNote });
      assert(await roundTrip(lab.persist()) > 39);
      lab.link("a", "b").impair({ engine: "user", delay: "20ms" });
    } else await down("lab", { onNote });
    assertEquals(notes, [
      'The keeper of lab "lab" was killed: the faults in user space have ended, ' +
      "and 1 processes of its commands",
    ], next);
  }
  assertEquals([list(), machine()], [[], before]);
});

test("hold() keeps frames until release(), in this process and in the keeper", async () => {
  for (const name of [undefined, "lab"]) {
    await using lab = await up({ nodes: { a: {}, b: {} }, links: ["a -- b"] }, {
      ...(name !== undefined && { name }),
    });
    assertEquals((await lab.node("a").ping("b")).received, 1);
    const wire = lab.link("a", "b");
    wire.hold();
    wire.hold();
    const ping = lab.node("a").ping("b", { timeout: 10_000 });
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert(wire.release() <= 1, "a frame that waits in the kernel is not counted");
    const { received, min } = await ping;
    assertEquals(received, 1);
    assert(min! > 140, `${min}`);
    assertEquals(wire.release(), 0);
    assertEquals((await lab.node("a").ping("b")).received, 1);
  }
});

test("The keeper runs the schedule, which outlives the process of up()", async () => {
  const { errors } = await elsewhere(`
    const schedule = [
      { at: "0ms", for: "100ms", isolate: "a" },
      { at: "150ms", hold: "a -- b" },
      { at: "250ms", release: "a -- b" },
      { at: "300ms", kill: "b" },
    ];
    const spec = { nodes: { a: {}, b: { netns: { path: "/proc/self/ns/net" } } }, links: ["a -- b"], schedule };
    (await labs.up(spec, { name: "lab" })).persist();
  `);
  assertEquals(errors, "");
  await using lab = attach("lab");
  const schedule = lab.schedule!;
  await schedule.done;
  assertEquals(schedule.log.map(({ due, action, fault }) => [due, action, fault.kind]), [
    [0, "begin", "isolate"],
    [100, "end", "isolate"],
    [150, "begin", "hold"],
    [250, "begin", "release"],
    [300, "begin", "kill"],
  ]);
  assert(schedule.log.every(({ time }) => time instanceof Date));
  assertStringIncludes(`${schedule.log[4]!.error}`, "is not the lab's");
  assertEquals((await lab.node("a").ping("b")).received, 1);
  await lab[Symbol.asyncDispose]();
  await down("lab");
});

test("lab.play() runs a schedule beside that of the topology, and checks it", async () => {
  for (const name of [undefined, "lab"]) {
    await using lab = await up({ nodes: { a: {}, b: {} }, links: ["a -- b"] }, {
      ...(name !== undefined && { name }),
    });
    const schedule = lab.play([
      { at: "10ms", for: "20ms", impair: { loss: "100%" }, link: "a -- b" },
      { at: "20ms", for: "5ms", flap: "a -- b", every: "2ms" },
    ]);
    await schedule.done;
    assertEquals(schedule.log.map(({ action, fault, error }) => [action, fault.kind, error]), [
      ["begin", "impair", undefined],
      ["begin", "flap", undefined],
      ["end", "flap", undefined],
      ["end", "impair", undefined],
    ]);
    assertEquals((await lab.node("a").ping("b")).received, 1);
    const wrong = [{ at: "1ms", cut: "a -- c" }] as unknown as Parameters<typeof lab.play>[0];
    assertThrows(() => lab.play(wrong), Error, 'names no link of "links": got "a -- c"');
  }
});

test("lab.flap() of a handle goes on in the keeper until heal()", async () => {
  await start({ nodes: { a: {}, b: {} }, links: ["a -- b"] });
  {
    await using lab = attach("lab");
    lab.flap(lab.link("a", "b"), { every: 20 });
  }
  await using lab = attach("lab");
  const seen = new Set<boolean>();
  await until(() => seen.add(lab.link("a", "b").isCut).size === 2);
  lab.heal();
  assertEquals(lab.link("a", "b").isCut, false);
  await until(() => list()[0]!.keeper === undefined);
  assertEquals(lab.link("a", "b").isCut, false);
  await lab[Symbol.asyncDispose]();
  await down("lab");
});

test("up() says the words of a keeper that dies at its start, and rolls back", async () => {
  const before = machine();
  const commands: readonly (readonly [readonly string[], string])[] = [
    [["sh", "-c", "echo oh no >&2; exit 3"], "oh no"],
    [["sh", "-c", "kill -9 $$"], "it has ended without a word"],
    [["/nonexistent/deno"], "/nonexistent/deno"],
    [[Deno.execPath(), "run", "--no-prompt", "--allow-ffi", KEEPER, "lab"], "Requires"],
    [
      ["sh", "-c", `ulimit -n 25; exec ${Deno.execPath()} run -A ${KEEPER} lab`],
      "Too many open files",
    ],
  ];
  for (const [command, words] of commands) {
    using _command = runKeepersBy(() => command);
    const error = await assertRejects(() => start(running("exec sleep 1000")), LabError);
    assertStringIncludes(error.message, 'The keeper of lab "lab" does not start: ');
    assertStringIncludes(error.message, words);
    assertEquals([list(), NetNs.list(), machine()], [[], [], before], words);
  }
});

test("down() ends a keeper that does not answer, and clears up in namespaces of others", async () => {
  const before = machine();
  const spec = running("exec sleep 1000");
  await start({ ...spec, nodes: { ...spec.nodes, b: { netns: { path: "/proc/self/ns/net" } } } });
  {
    await using lab = attach("lab");
    lab.link("a", "b").impair({ engine: "user", delay: "5ms" });
  }
  Deno.kill(keeper(), "SIGSTOP");
  await down("lab");
  assertEquals([list(), NetNs.list(), machine()], [[], [], before]);
});

test("A program can be the keeper of its labs itself, as those of deno compile are", async () => {
  const code = `
    import { keeper } from "./src/lab/mod.ts";
    if (await keeper(["__keeper", "lab"])) Deno.exit();
  `;
  const folder = new URL("../../", import.meta.url).pathname;
  using _keepers = runKeepersBy(() => {
    return ["sh", "-c", 'cd "$0"; exec "$@"', folder, Deno.execPath(), "eval", code];
  });
  await start(running({ command: "echo here; exec sleep 1000", ready: { log: "here" } }));
  assertEquals(list()[0]!.keeper?.state, "running");
  await down("lab");
});

test("The keeper starts from modules of a server, too", async () => {
  const root = new URL("../../", import.meta.url);
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const path = new URL(request.url).pathname.slice(1);
    const headers = { "content-type": "application/typescript" };
    return Deno.readTextFile(new URL(path, root)).then((text) => new Response(text, { headers }));
  });
  const cache = await Deno.makeTempDir();
  const { hostname, port } = server.addr;
  const code = `
    import { up } from "http://${hostname}:${port}/src/lab/mod.ts";
    const run = [{ command: "echo here; exec sleep 1000", ready: { log: "here" } }];
    (await up({ nodes: { a: { run } }, links: [] }, { name: "lab" })).persist();
    Deno.exit();
  `;
  const { code: exit, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", "--no-lock", "--quiet", code],
    cwd: cache,
    env: { DENO_DIR: cache },
  }).output();
  assertEquals([exit, new TextDecoder().decode(stderr)], [0, ""]);
  assertEquals(list()[0]!.keeper?.state, "running");
  await down("lab");
  await Deno.remove(cache, { recursive: true });
});
