// Keepers and kill -9, refused calls, a full disk and no free descriptors, at every step.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ERRNO } from "../../ffi/errno.ts";
import { interceptCalls } from "../../ffi/libc.ts";
import { attach, down, list, logs, type TopologySpec } from "../../src/lab/mod.ts";
import { keeperSocket, runKeepersBy, VERSION } from "../../src/lab/keeper_client.ts";
import { LogWriter } from "../../src/lab/logs.ts";
import { NetNs } from "../../mod.ts";
import { test } from "../leaks.ts";
import { machine } from "../machine.ts";
import { elsewhere, KEEPER, keeper, roundTrip, running, start, until } from "./kept.ts";
import { ALL_STEPS, stepsUpTo } from "./steps.ts";

/** A lab that needs a keeper on every kernel. */
const spec: TopologySpec<"a" | "b"> = {
  nodes: {
    a: { run: [{ command: "echo hello; exec sleep 1000", ready: { log: "hello" } }] },
    b: {},
  },
  links: [{ endpoints: ["a", "b"], impair: { delay: "20ms" } }],
};

/** The calls that other processes notice. */
const CALLS = ["mkdir", "flock", "write", "send", "connect", "mount", "recv"];

/** More of these calls than a lab takes. */
const MOST = 80;

/** The steps to test: each kill takes seconds, so the suite has few of them. */
function steps(): number[] {
  const all = stepsUpTo(MOST);
  return ALL_STEPS ? all : all.filter((_, i) => i % 3 === 0);
}

/** Runs code in a process of its own, which kills itself at the n-th such call. */
async function killedAt(n: number, code: string): Promise<boolean> {
  const { signal, errors } = await elsewhere(`
    import { interceptCalls } from "./ffi/libc.ts";
    let count = 0;
    const calls = ${JSON.stringify(CALLS)};
    interceptCalls((call) => {
      if (calls.includes(call) && ++count === ${n}) Deno.kill(Deno.pid, "SIGKILL");
      return undefined;
    });
    ${code}
  `);
  assertEquals(errors, "");
  return signal === "SIGKILL";
}

/** No lab, no namespace, and the machine as it was. */
function assertGone(before: unknown, message: string): void {
  assertEquals([list(), NetNs.list(), machine()], [[], [], before], message);
}

async function assertRuns(message: string): Promise<void> {
  await using lab = attach("lab");
  assert(await roundTrip(lab) > 39, message);
  assertEquals(lab.node("a").netns.pids().length, 1, message);
  assertEquals(lab.logs("a"), "hello\n", message);
}

test("After a kill -9 of up() at any step, the next command makes the lab or removes it", async () => {
  const before = machine();
  let killed = 0;
  for (const n of steps()) {
    const code = `(await labs.up(${JSON.stringify(spec)}, { name: "lab" })).persist();`;
    if (!await killedAt(n, code)) break;
    killed++;
    if (n % 2) {
      await start(spec);
      await assertRuns(`call ${n}`);
    }
    await down("lab");
    assertGone(before, `call ${n}`);
  }
  assert(killed >= (ALL_STEPS ? 30 : 2), `${killed}`);
  await down("lab");
});

test("After a kill -9 of down() at any step, the next command makes the lab or removes it", async () => {
  const before = machine();
  let killed = 0;
  for (const n of steps()) {
    await start(spec);
    if (!await killedAt(n, `await labs.down("lab", { onNote() {} });`)) break;
    killed++;
    if (n % 2) {
      await start(spec);
      await assertRuns(`call ${n}`);
    }
    await down("lab", { onNote() {} });
    assertGone(before, `call ${n}`);
  }
  assert(killed >= (ALL_STEPS ? 10 : 1), `${killed}`);
  await down("lab");
});

test("A refused call of up() at any step leaves the lab up, or nothing", async () => {
  const before = machine();
  const outcomes = { up: 0, "rolled back": 0, "left for down()": 0 };
  const refusals = { open: ERRNO.EMFILE, socket: ERRNO.EMFILE, write: ERRNO.ENOSPC };
  for (const [name, errno] of Object.entries(refusals)) {
    for (const n of stepsUpTo(MOST)) {
      let [count, failed] = [0, true];
      {
        using _hook = interceptCalls((call) => call === name && ++count === n ? errno : undefined);
        await start(spec).then(() => failed = false, () => {});
      }
      if (!failed) await assertRuns(`${name} ${n}`);
      outcomes[!failed ? "up" : list().length > 0 ? "left for down()" : "rolled back"]++;
      await down("lab", { onNote() {} });
      assertGone(before, `${name} ${n}`);
      if (count < n) break;
    }
  }
  assert(outcomes["rolled back"] >= (ALL_STEPS ? 20 : 3), JSON.stringify(outcomes));
});

test("A keeper with few descriptors starts, or up() rolls back", async () => {
  const before = machine();
  const outcomes = new Set<string>();
  for (const limit of ALL_STEPS ? [24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 80] : [24, 40, 48, 80]) {
    const command = `ulimit -n ${limit}; exec ${Deno.execPath()} run -A ${KEEPER} lab`;
    using _keepers = runKeepersBy(() => ["sh", "-c", command]);
    const error = await start(spec).catch((error: Error) => error);
    if (error) assertGone(before, `${limit}`);
    outcomes.add(error ? "rolled back" : "up");
    await down("lab");
    assertGone(before, `${limit}`);
  }
  assertEquals(outcomes, new Set(["rolled back", "up"]));
});

test("The keeper survives commands that end before they read its answer", async () => {
  await start(spec);
  const pid = keeper();
  const encode = (request: unknown) => new TextEncoder().encode(JSON.stringify(request) + "\n");
  for (const call of ["play", "stop", "unknown"]) {
    for (let i = 0; i < 20; i++) {
      using socket = await Deno.connect({ transport: "unix", path: keeperSocket("lab") });
      await socket.write(encode({ netloom: VERSION, call, args: [[]] }));
    }
  }
  await assertRuns("after commands that were killed");
  assertEquals(keeper(), pid);
  await down("lab");
});

test("A full disk costs lines of logs, and no command", async () => {
  const code = `
    import { interceptCalls } from "./ffi/libc.ts";
    import { keep } from "./src/lab/keeper.ts";
    let writes = 0;
    interceptCalls((call) => call === "write" && ++writes <= 3 ? ${ERRNO.ENOSPC} : undefined);
    await keep("lab");
    Deno.exit();
  `;
  const folder = new URL("../../", import.meta.url).pathname;
  using _keepers = runKeepersBy(() => {
    return ["sh", "-c", 'cd "$0"; exec "$@"', folder, Deno.execPath(), "eval", code];
  });
  await start(running("while sleep 0.05; do echo tick; done"));
  let text = "";
  for await (const piece of logs("lab", "a", { follow: true })) {
    text += piece;
    if (text.includes("tick\n[netloom") || text.split("tick").length > 3) break;
  }
  assertStringIncludes(text, "\n[netloom: 15 bytes could not be written]\ntick\n");
  await down("lab");
});

test("A log that has become long goes on in a new file, and logs() reads both", async () => {
  await start(running("exec sleep 1000"));
  {
    using log = new LogWriter("lab", "b", 1000);
    for (let i = 0; i < 300; i++) log.write(new TextEncoder().encode(`line ${i}\n`));
  }
  const text = (await Array.fromAsync(logs("lab", "b"))).join("");
  const lines = text.trimEnd().split("\n").map((line) => Number(line.split(" ")[1]));
  assertEquals(lines, lines.map((_, i) => 300 - lines.length + i), "nothing is missing in between");
  assert(lines.length > 100 && lines.length < 300, `${lines.length}`);
  await down("lab");
});

test("Two up() at once: one wins, the other says who; so does down() during up()", async () => {
  const slowly = running({
    command: "sleep 1; echo ready; exec sleep 1000",
    ready: { log: "ready" },
  });
  const code = `(await labs.up(${JSON.stringify(slowly)}, { name: "lab" })).persist();`;
  const both = await Promise.all([elsewhere(code), elsewhere(code)]);
  assertEquals(both.map(({ code }) => code).sort(), [0, 1]);
  const { errors } = both.find(({ code }) => code === 1)!;
  assertStringIncludes(errors, 'Lab "lab" is being changed by process ');
  await down("lab");
  const third = elsewhere(code);
  await until(() => list()[0]?.keeper?.state === "running");
  const refused = await down("lab").catch((error: Error) => error.message);
  assertStringIncludes(`${refused}`, 'Lab "lab" is being changed by process ');
  assertEquals((await third).code, 0);
  await down("lab");
  assertEquals([list(), NetNs.list()], [[], []]);
});
