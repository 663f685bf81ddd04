import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { homeNetNs } from "../../ffi/namespace.ts";
import { Bridge, NetNs, Scope, ScopeError, Veth } from "../../mod.ts";
import { startOf } from "../../src/scope/record.ts";
import { ip } from "../helpers.ts";
import { test } from "../leaks.ts";
import { fresh, machine, records } from "../machine.ts";
import { script, start } from "../script.ts";

/** Where a program takes seconds to start, a few of many will do. */
const IN_GUEST = Deno.env.has("NETLOOM_GUEST");

/** Builds a lab and kills itself with the n-th send, before it or after it. */
const victim = (name: string, n: number, after: boolean) => `
  import { Bridge, NetNs, Scope, Veth } from "./mod.ts";
  import { interceptSends } from "./src/netlink/socket.ts";
  let sends = 0;
  const die = () => Deno.kill(Deno.pid, "SIGKILL");
  interceptSends(() => { if (++sends === ${n}) ${after ? "queueMicrotask(die)" : "die()"}; });
  // A microtask runs once the call that made the send has returned.
  const step = async (make) => { const made = make(); await undefined; return made; };
  const scope = await step(() => Scope.open({ name: "${name}" }));
  const ns1 = await step(() => NetNs.create("${name}-1", { scope }));
  const bridge = await step(() => Bridge.create({ scope, name: "${name}", up: true }));
  for (const i of [1, 2]) {
    await step(() => Veth.create({
      scope, name: "${name}-" + i, netns: ns1, addresses: ["10.0.0." + i + "/24"], up: true,
      peer: { name: "${name}b" + i, master: bridge, up: true, alias: "second" },
    }));
  }
  await step(() => Veth.create({
    scope, name: "${name}f1", netns: { name: "record-foreign" }, peer: { name: "${name}f2" },
  }));
  await step(() => NetNs.create("${name}-2", { scope }));
  console.log("built with " + sends + " sends");
  setInterval(() => {}, 1000);
`;

async function withForeign(fn: () => Promise<void>): Promise<void> {
  ip(homeNetNs(), "netns add record-foreign");
  try {
    await fn();
  } finally {
    ip(homeNetNs(), "netns del record-foreign");
  }
}

/** Opens the scope of that name as a later run does, and closes it. */
async function replace(name: string): Promise<void> {
  await using scope = Scope.open({ name, replace: true });
  assert(!scope.closed);
}

test("Scope with replace removes what a run killed at any message left behind", () =>
  withForeign(async () => {
    const before = machine();
    await using complete = await start(victim("killz", 1000, false));
    await complete.writes("sends\n");
    complete.kill("SIGKILL");
    const { stdout } = await complete.end();
    const last = Number(/\d+/.exec(stdout)![0]);
    assert(last > 8);
    await replace("killz");
    assertEquals(machine(), before);

    const step = IN_GUEST ? 5 : 1;
    for (let n = 1; n <= last; n += step) {
      // Two at a time, as there are processors in the smallest machine.
      await Promise.all([true, false].map(async (after) => {
        const name = `kill${n}${after ? "a" : "b"}`;
        const { signal, stdout } = await script(victim(name, n, after));
        assertEquals([signal, stdout], ["SIGKILL", ""], `killed at send ${n}`);
        await replace(name);
      }));
      assertEquals(machine(), before, `killed at send ${n}`);
      assertEquals(records(), []);
    }
  }));

test("Scope with replace removes what a run killed at any time left behind", () =>
  withForeign(async () => {
    const before = machine();
    for (const delay of [0, 3, 10, 30]) {
      await using running = await start(
        `console.log("starts");` + victim("timed", 1000, false).replace(
          "const scope",
          `console.log("goes"); const scope`,
        ),
      );
      await running.writes("goes");
      await new Promise((resolve) => setTimeout(resolve, delay));
      running.kill("SIGKILL");
      assertEquals((await running.end()).signal, "SIGKILL");
      await replace("timed");
      assertEquals(machine(), before, `killed after ${delay} ms`);
    }
  }));

/** As if this process had been another one, which is gone. */
async function pretend(
  change: (record: Record<string, unknown>) => void,
  fn: () => Promise<void>,
): Promise<void> {
  const path = "/run/netloom/record-test.json";
  const scope = Scope.open({ name: "record-test" });
  try {
    const record = JSON.parse(Deno.readTextFileSync(path));
    change(record);
    Deno.writeTextFileSync(path, JSON.stringify(record));
    await fn();
  } finally {
    scope.close();
  }
}

test("Scope refuses to open while a living process has it open, also with replace", async () => {
  await using running = await start(victim("living", 1000, false).replace(/netns: \{.*?\}, /, ""));
  await running.writes("built");
  for (const replace of [true, false]) {
    assertThrows(
      () => Scope.open({ name: "living", replace }),
      ScopeError,
      `Scope "living" is open in process ${running.child.pid}`,
    );
  }
  assert(NetNs.exists("living-1"));
  running.kill("SIGKILL");
  await running.end();
  await replace("living");
});

test("Scope refuses to open twice in one process", async () => {
  await using scope = Scope.open({ name: "twice" });
  assert(!scope.closed);
  assertThrows(
    () => Scope.open({ name: "twice", replace: true }),
    ScopeError,
    `Scope "twice" is open in process ${Deno.pid}`,
  );
});

test("Of processes that open one scope at once, one gets it, over the leftovers of a killed one", async () => {
  const directory = Deno.makeTempDirSync();
  const opener = (go: string) => `
    import { existsSync } from "node:fs";
    import { NetNs, Scope } from "./mod.ts";
    console.log("waits");
    while (!existsSync("${go}"));
    try {
      const scope = Scope.open({ name: "raced", replace: true });
      NetNs.create("raced", { scope });
      console.log("raced: opened");
      setInterval(() => {}, 1000);
    } catch (error) {
      console.log(error.message);
    }
  `;
  for (let round = 0; round < (IN_GUEST ? 1 : 3); round++) {
    const go = `${directory}/${round}`;
    await using started = new AsyncDisposableStack();
    const racers = await Promise.all([1, 2, 3].map(() => start(opener(go))));
    for (const racer of racers) started.use(racer);
    await Promise.all(racers.map((racer) => racer.writes("waits")));
    Deno.mkdirSync(go);
    await Promise.all(racers.map((racer) => racer.writes("raced"))); // whichever line
    const winners = racers.filter((racer) => racer.wrote("opened"));
    assertEquals(winners.length, 1);
    assert(NetNs.exists("raced"));
    winners[0]!.kill("SIGKILL");
    for (const racer of racers) {
      const { stdout, stderr } = await racer.end();
      if (racer === winners[0]) continue;
      assertStringIncludes(stdout, `Scope "raced" is open in process ${winners[0]!.child.pid}`);
      assertEquals(stderr, "");
    }
  }
  Deno.removeSync(directory, { recursive: true });
  await replace("raced");
  assertEquals(NetNs.exists("raced"), false);
});

test("Scope without replace says what to do about leftovers, and leaves them", async () => {
  const { stdout } = await script(`
    import { NetNs, Scope } from "./mod.ts";
    const scope = Scope.open({ name: "left" });
    NetNs.create("left", { scope });
    console.log(Deno.pid);
    Deno.kill(Deno.pid, "SIGKILL");
  `);
  assertThrows(
    () => Scope.open({ name: "left" }),
    ScopeError,
    `Scope "left" was left behind by process ${stdout.trim()}, which is gone: ` +
      `open it with replace: true to remove its leftovers`,
  );
  assert(NetNs.exists("left"));
  await replace("left");
  assertEquals(NetNs.exists("left"), false);
});

test("Scope takes a process for gone when its id has gone to another one", () =>
  pretend((record) => record.started = 1, () => replace("record-test")));

test("Scope takes a process for gone when its parent has not noticed yet", async () => {
  // `sleep` waits for no children: this one stays a zombie.
  await using parent = Object.assign(
    new Deno.Command("sh", {
      args: ["-c", "sleep 0.1 & echo $!; exec sleep 60"],
      stdout: "piped",
    }).spawn(),
    {
      async [Symbol.asyncDispose]() {
        parent.kill("SIGKILL");
        await parent.status;
      },
    },
  );
  const reader = parent.stdout.getReader();
  const pid = Number(new TextDecoder().decode((await reader.read()).value));
  await reader.cancel();
  const state = () => Deno.readTextFileSync(`/proc/${pid}/stat`).split(" ");
  while (state()[2] !== "Z") await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(startOf(pid), undefined);
  const started = Number(state()[21]);
  await pretend((record) => Object.assign(record, { pid, started }), () => replace("record-test"));
});

test("Scope with replace removes the stale file of a namespace that was about to be made", () =>
  pretend(
    (record) => Object.assign(record, { started: 1, created: ["record-stale"] }),
    async () => {
      NetNs.create("record-other")[Symbol.dispose](); // makes /run/netns a mount
      Deno.writeTextFileSync("/run/netns/record-stale", "");
      await replace("record-test");
      assertEquals(fresh(NetNs.list()), []);
    },
  ));

test("Scope with replace tolerates that the leftovers are gone", () =>
  pretend(
    (record) =>
      Object.assign(record, { started: 1, created: ["gone"], visited: ["gone", "gone2"] }),
    () => replace("record-test"),
  ));

test("Scope ignores the draft of a record, as a kill may leave it", async () => {
  Deno.mkdirSync("/run/netloom", { recursive: true });
  Deno.writeTextFileSync("/run/netloom/draft.json.new", '{"pid":');
  await replace("draft");
});

test("Scope does not guess what a record means that it cannot read", () => {
  const path = "/run/netloom/broken.json";
  Deno.mkdirSync("/run/netloom", { recursive: true });
  Deno.writeTextFileSync(path, '{"pid":');
  assertThrows(
    () => Scope.open({ name: "broken", replace: true }),
    ScopeError,
    `Scope "broken" has a record that is not JSON: look at ${path}`,
  );
  Deno.removeSync(path);
});

test("Scope has no record once it is closed, and none without a name", () => {
  {
    using scope = Object.assign(Scope.open({ name: "noted" }), {
      [Symbol.dispose]() {
        scope.close();
      },
    });
    const record = JSON.parse(Deno.readTextFileSync("/run/netloom/noted.json"));
    assertEquals(record, {
      pid: Deno.pid,
      started: startOf("self"),
      group: scope.group,
      created: [],
      visited: [],
    });
    const { mode } = Deno.statSync("/run/netloom/noted.json");
    assertEquals(mode! & 0o077, 0);
  }
  const scope = Scope.open();
  assertEquals(records(), []);
  scope.close();
});

test("A name that is taken is not recorded as the scope's", async () => {
  using theirs = NetNs.create("record-theirs");
  await using scope = Scope.open({ name: "noted" });
  assertThrows(() => NetNs.create("record-theirs", { scope }), Error, "EEXIST");
  NetNs.create("record-ours", { scope });
  const record = JSON.parse(Deno.readTextFileSync("/run/netloom/noted.json"));
  assertEquals(record.created, ["record-ours"]);
  assert(theirs.owned);
});

test("Scope.open() refuses replace without a name, and names that are no file names", () => {
  assertThrows(
    () => Scope.open({ replace: true }),
    TypeError,
    "Scope.open({ replace: true }) needs a name: whose leftovers to remove",
  );
  for (const name of ["", ".", "..", "../x", "a/b", ".hidden", "a b", "ä", "a\0", "x".repeat(65)]) {
    const error = assertThrows(() => Scope.open({ name }), TypeError);
    assertMatch(error.message, /^A scope name has 1 to 64 letters, .*: got "/);
  }
  // deno-lint-ignore no-explicit-any
  assertThrows(() => Scope.open({ name: 7 as any }), TypeError, "got 7");
});

test("A scope in a bracket records what it makes in the process's own namespace", async () => {
  using inside = NetNs.create();
  const before = machine(inside.ref);
  {
    await using scope = inside.run(() => Scope.open({ name: "bracket" }));
    inside.run(() => Bridge.create({ scope, name: "inner" }));
    Veth.create({ scope, name: "leak-a", peer: { name: "leak-b", netns: inside } });
  }
  assertEquals(machine(inside.ref), before);
});
