import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { NetNs, Scope } from "../../mod.ts";
import { test } from "../leaks.ts";
import { fresh, machine, records } from "../machine.ts";
import { type Ended, script, start } from "../script.ts";

const STYLES = {
  "await using": 'await using lab = Scope.open({ name: "exit", signals: true });',
  "const": 'const lab = Scope.open({ name: "exit", signals: true });',
};

/** A program that has made a namespace and links, and then runs `rest`. */
const program = (open: string, rest: string) => `
  import { Bridge, NetNs, Scope, Veth } from "./mod.ts";
  ${open}
  const netns = NetNs.create("exit", { scope: lab });
  const bridge = Bridge.create({ scope: lab, name: "exit" });
  Veth.create({ scope: lab, name: "a", netns, peer: { name: "exit-b", master: bridge } });
  console.log("built");
  ${rest}
`;
const WAIT = "await new Promise((resolve) => setTimeout(resolve, 60_000));";

/** Runs `rest` in both styles, and checks that nothing is left. */
async function ends(
  rest: string,
  code: number,
  act: (running: { kill(signal: Deno.Signal): void }) => void = () => {},
): Promise<Ended[]> {
  const before = machine();
  const all: Ended[] = [];
  for (const [style, open] of Object.entries(STYLES)) {
    await using running = await start(program(open, rest));
    await running.writes("built");
    act(running);
    const ended = await running.end();
    assertEquals([ended.code, ended.signal], [code, null], `${style}: ${ended.stderr}`);
    assertEquals(machine(), before, style);
    assertEquals(records(), [], style);
    all.push(ended);
  }
  return all;
}

const ENDING = { SIGHUP: 129, SIGINT: 130, SIGQUIT: 131, SIGTERM: 143 } as const;

for (const [signal, code] of Object.entries(ENDING) as [Deno.Signal, number][]) {
  test(`A scope with signals is removed on ${signal}, and the program ends with ${code}`, async () => {
    for (const { stderr } of await ends(WAIT, code, (running) => running.kill(signal))) {
      assertEquals(stderr, "");
    }
  });
}

test("A scope with signals is removed whole when a signal comes in the middle of its removal", async () => {
  // Deno's own thread for signals has to notice it.
  const kill = `const cell = new Int32Array(new SharedArrayBuffer(4));
    lab.use({ [Symbol.dispose]: () => {
      Deno.kill(Deno.pid, "SIGINT");
      Atomics.wait(cell, 0, 0, 500);
    } });`;
  await ends(`${kill} await lab[Symbol.asyncDispose](); ${WAIT}`, 130);
});

test("A scope with signals says which process keeps a namespace that a signal was to remove", async () => {
  const spawn = `
    const quiet = { stdin: "null", stdout: "null", stderr: "null" };
    const child = netns.command("sleep", { args: ["60"], mounts: false, ...quiet }).spawn();
    console.log("child " + child.pid);
  `;
  const before = machine();
  await using running = await start(program(STYLES.const, spawn + WAIT));
  await running.writes("child");
  running.kill("SIGTERM");
  const { code, stdout, stderr } = await running.end();
  const pid = Number(/child (\d+)/.exec(stdout)![1]);
  Deno.kill(pid, "SIGKILL");
  assertEquals([code, stderr], [143, `netns "exit" stays: process ${pid} is in it\n`]);
  assertEquals(machine(), before);
});

test("A scope with signals is removed by Deno.exit(), which keeps its code", async () => {
  await ends("Deno.exit(7);", 7);
});

test("A scope with signals is removed by Deno.exit() inside run()", async () => {
  await ends("netns.run(() => Deno.exit(8));", 8);
});

test("A scope with signals is removed when an error is thrown", async () => {
  for (const { stderr } of await ends('throw new Error("mine");', 1)) {
    assertStringIncludes(stderr, "mine");
  }
});

test("A scope with signals is removed when a callback throws an error", async () => {
  const rest = `setTimeout(() => { throw new Error("mine"); }, 1); ${WAIT}`;
  for (const { stderr } of await ends(rest, 1)) assertStringIncludes(stderr, "mine");
});

test("A scope with signals is removed on an unhandled rejection", async () => {
  const rest = `Promise.reject(new Error("mine")); ${WAIT}`;
  for (const { stderr } of await ends(rest, 1)) assertStringIncludes(stderr, "mine");
});

test("A scope with signals is removed when the program comes to its end", async () => {
  await ends("", 0);
  await ends("Deno.exitCode = 3;", 3);
});

test("A scope without signals is removed at the end of its block, also by an error", async () => {
  const before = machine();
  const open = "await using lab = Scope.open();";
  for (const [rest, expected] of [["", 0], ['throw new Error("mine");', 1]] as const) {
    const { code, stderr } = await script(program(open, rest));
    assertEquals([code, stderr.includes("mine")], [expected, expected === 1]);
    assertEquals(machine(), before);
  }
});

test("A scope without signals does not keep a program from dying of a signal", async () => {
  const open = 'const lab = Scope.open({ name: "exit" });';
  await using running = await start(program(open, WAIT));
  await running.writes("built");
  running.kill("SIGTERM");
  assertEquals((await running.end()).signal, "SIGTERM");
  await using scope = Scope.open({ name: "exit", replace: true });
  assert(!scope.closed);
});

test("A closed scope leaves signals to the program again", async () => {
  await using running = await start(`
    import { Scope } from "./mod.ts";
    const first = Scope.open({ signals: true });
    const second = Scope.open({ signals: true });
    first.close();
    second.close();
    console.log("closed");
    ${WAIT}
  `);
  await running.writes("closed");
  running.kill("SIGINT");
  assertEquals((await running.end()).signal, "SIGINT");
});

test("All scopes with signals are removed, the last one first, also when one fails", async () => {
  const before = machine();
  await using running = await start(`
    import { Bridge, Scope } from "./mod.ts";
    for (const n of [1, 2, 3]) {
      const scope = Scope.open({ signals: true });
      Bridge.create({ scope, name: "exit" + n });
      scope.use({ [Symbol.dispose]() { console.log(n); if (n === 2) throw new Error("mine"); } });
    }
    console.log("built");
    ${WAIT}
  `);
  await running.writes("built");
  running.kill("SIGTERM");
  const { code, stdout, stderr } = await running.end();
  assertEquals([code, stdout], [143, "built\n3\n2\n1\n"]);
  assertStringIncludes(stderr, "mine");
  assertEquals(machine(), before);
});

test("An open scope with signals does not keep a program from ending", async () => {
  const { code, stderr } = await script(
    program('const lab = Scope.open({ signals: true, name: "exit" });', "").replace(
      "console.log",
      "await lab.ready(); console.log",
    ),
  );
  assertEquals([code, stderr], [0, ""]);
});

test("A scope with signals opened inside run() leaves no thread in that namespace", async () => {
  const { code, stdout, stderr } = await script(`
    import { NetNs, Scope } from "./mod.ts";
    const netns = NetNs.create();
    netns.run(() => Scope.open({ signals: true }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    console.log(netns.pids().length);
  `);
  assertEquals([code, stdout, stderr], [0, "0\n", ""]);
});

/** A program whose worker has a scope with signals, and runs `then` when that is built. */
const workerLab = (then: string) => `
  const source = \`
    import { Bridge, NetNs, Scope } from "\${import.meta.resolve("./mod.ts")}";
    const lab = Scope.open({ name: "exit-worker", signals: true });
    NetNs.create("exit-worker", { scope: lab });
    Bridge.create({ scope: lab, name: "exit-w" });
    postMessage("built");
    onmessage = () => { throw new Error("mine"); };
  \`;
  const worker = new Worker("data:text/javascript," + encodeURIComponent(source), { type: "module" });
  await new Promise((resolve) => worker.onmessage = resolve);
  console.log("built");
  ${then}
`;

test("A scope with signals in a worker is removed on a signal, which then ends the process", async () => {
  const before = machine();
  await using running = await start(workerLab(""));
  await running.writes("built");
  running.kill("SIGTERM");
  const { signal, stderr } = await running.end();
  assertEquals([signal, stderr, records()], ["SIGTERM", "", []]);
  assertEquals(machine(), before);
});

test("A scope with signals in a worker is removed when the worker throws an error", async () => {
  const before = machine();
  const { stdout } = await script(workerLab(`
    worker.onerror = (event) => {
      event.preventDefault();
      console.log(event.message.includes("mine"));
    };
    worker.postMessage("throw");
    await new Promise((resolve) => setTimeout(resolve, 300));
  `));
  assertEquals([stdout, records()], ["built\ntrue\n", []]);
  assertEquals(machine(), before);
});

for (const then of ["worker.terminate();", "Deno.exit(3);"]) {
  test(`A scope with signals in a worker is left behind by ${then}, and found by Scope.clean()`, async () => {
    const before = machine();
    const { stderr } = await script(workerLab(then));
    assertEquals(stderr, "");
    assertEquals(Scope.clean({ name: "exit-worker" }).map(({ netns }) => netns), [["exit-worker"]]);
    assertEquals(records(), []);
    assertEquals(machine(), before);
  });
}

test("A scope opened in a worker is removed with it", async () => {
  const { code, stdout, stderr } = await script(`
    const source = \`
      import { Bridge, Scope } from "\${import.meta.resolve("./mod.ts")}";
      await using lab = Scope.open({ signals: true });
      Bridge.create({ scope: lab, name: "exit-w" });
      postMessage("built");
    \`;
    const worker = new Worker("data:text/javascript," + encodeURIComponent(source), { type: "module" });
    await new Promise((resolve, reject) => {
      worker.onmessage = resolve;
      worker.onerror = reject;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    worker.terminate();
    console.log("done");
  `);
  assertEquals([code, stdout, stderr], [0, "done\n", ""]);
  assertEquals(fresh(NetNs.list()), []);
});
