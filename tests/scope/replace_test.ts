import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { homeNetNs } from "../../ffi/namespace.ts";
import { Link, NetNs, Scope, ScopeError } from "../../mod.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { fresh, machine, records } from "../machine.ts";
import { script, start } from "../script.ts";
import { HEADER, killed, lab, leave, replace } from "./leftovers.ts";

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

test("Scope with replace removes the leftovers of a program that was killed at any message", () =>
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

test("Scope with replace removes the leftovers of a program that was killed at any time", () =>
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

test("Scope without replace names the remedy for leftovers, and leaves them", async () => {
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

test("Scope with replace removes the stale file of a namespace that was about to get its name", async () => {
  NetNs.create("record-other")[Symbol.dispose](); // makes /run/netns a mount
  Deno.writeTextFileSync("/run/netns/record-stale", "");
  leave("stale", HEADER, { created: "record-stale", cookie: "1" });
  await replace("stale");
  assertEquals([fresh(NetNs.list()), records()], [[], []]);
});

test("Scope with replace leaves somebody else's namespace that has the name by now", async () => {
  await killed(lab(`NetNs.create("record-theirs", { scope });`, `{ name: "theirs" }`));
  ip(homeNetNs(), "netns del record-theirs");
  ip(homeNetNs(), "netns add record-theirs");
  const { ino } = Deno.statSync("/run/netns/record-theirs");
  await replace("theirs");
  assertEquals(Deno.statSync("/run/netns/record-theirs").ino, ino);
  ip(homeNetNs(), "netns del record-theirs");
});

test("Scope with replace notes the namespaces that it does not find again", async () => {
  leave(
    "lost",
    HEADER,
    { created: "record-gone", cookie: "1" },
    { visited: "netns of process 7", cookie: "2" },
  );
  const notes = ["netns of process 7 was not found: it is gone, or out of sight"];
  assertEquals(Scope.clean({ name: "lost" }).map((scope) => scope.notes), [notes]);
  leave("lost", HEADER, { visited: "netns of process 7", cookie: "2" });
  await using scope = Scope.open({ name: "lost", replace: true });
  assertEquals(scope.notes, notes);
});

test("Scope with replace finds namespaces again that were reached by process, path and handle", async () => {
  using mounted = NetNs.create("record-mounted");
  const path = Deno.makeTempFileSync();
  ip(homeNetNs(), "netns del record-mounted"); // a mount outside of /run/netns is all that is left
  run(homeNetNs(), `mount --bind /proc/${Deno.pid}/fd/${mounted.ref.fd.value} ${path}`);
  using held = NetNs.create();
  using entered = NetNs.create();
  await using sleeper = sleeping(entered);
  const before = machine(mounted.ref, held.ref, entered.ref);
  // Its own namespace is another one, which the child keeps.
  const home =
    `const child = new Deno.Command("sleep", { args: ["60"], stdout: "null", stderr: "null" }).spawn();
    Deno.writeTextFileSync("${path}.pid", String(child.pid));
    Bridge.create({ scope, name: "own" });`;
  const source = lab(
    `${home}
    const held = NetNs.open({ path: "/proc/${Deno.pid}/fd/${held.ref.fd.value}" });
    Bridge.create({ scope, name: "a", netns: held });
    Bridge.create({ scope, name: "b", netns: { path: "${path}" } });
    Bridge.create({ scope, name: "c", netns: { pid: ${sleeper.pid} } });`,
    `{ name: "found" }`,
  );
  await killed(source, ["unshare", "--net"]);
  const pid = Number(Deno.readTextFileSync(`${path}.pid`));
  using theirs = NetNs.open({ pid });
  assertEquals(theirs.links.list().map(({ name }) => name), ["lo", "own"]);
  const [info] = Scope.list().filter(({ name }) => name === "found");
  assertEquals(info!.links.map(({ name }) => name).sort(), ["a", "b", "c", "own"]);
  await replace("found");
  assertEquals(theirs.links.list().map(({ name }) => name), ["lo"]);
  assertEquals(machine(mounted.ref, held.ref, entered.ref), before);
  Deno.kill(pid, "SIGKILL");
  run(homeNetNs(), `umount ${path}`);
  for (const file of [path, `${path}.pid`]) Deno.removeSync(file);
});

/** A process in a namespace. */
function sleeping(netns: NetNs): AsyncDisposable & { pid: number } {
  const child = netns.command("sleep", { args: ["60"], mounts: false }).spawn();
  return {
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.status;
    },
  };
}

test("Scope with replace refuses a scope that is open in another pid namespace", async () => {
  const apart = { through: ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"] };
  await using running = await start(
    lab(`Bridge.create({ scope, name: "record-far" });`, `{ name: "far" }`),
    apart,
  );
  await running.writes("built");
  // From a pid namespace that does not see the other one.
  const { stdout, stderr } = await script(
    `import { Scope } from "./mod.ts";
    try {
      Scope.open({ name: "far", replace: true });
    } catch (error) {
      console.log(error.message);
    }
    const { state, pid, links } = Scope.list().find(({ name }) => name === "far");
    console.log(state, pid, links[0].name, Scope.clean().length);
    try {
      Scope.clean({ name: "far" });
    } catch (error) {
      console.log(error.message);
    }`,
    apart,
  );
  const refused =
    `Scope "far" is open in another pid namespace: end that first, or take another name`;
  const kept = `Scope "far" is open in another pid namespace: close it there`;
  assertEquals([stdout, stderr], [`${refused}\nopen undefined record-far 0\n${kept}\n`, ""]);
  // And from this one, which does.
  const [info] = Scope.list().filter(({ name }) => name === "far");
  assertThrows(
    () => Scope.open({ name: "far", replace: true }),
    ScopeError,
    `Scope "far" is open in process ${info!.pid}`,
  );
  assertEquals(Link.get("record-far").name, "record-far");
  running.kill("SIGKILL");
  await running.end();
  await replace("far");
});

test("Scope can be opened again by the process whose worker has ended with it open", async () => {
  const { stdout, stderr } = await script(
    `
    import { NetNs, Scope } from "./mod.ts";
    const source = \`
      import { Bridge, NetNs, Scope } from "\${import.meta.resolve("./mod.ts")}";
      const scope = Scope.open({ name: "worker", signals: true });
      NetNs.create("record-worker", { scope });
      Bridge.create({ scope, name: "record-w" });
      postMessage("built");
      setInterval(() => {}, 1000);
    \`;
    const worker = new Worker("data:text/javascript," + encodeURIComponent(source), { type: "module" });
    await new Promise((resolve) => worker.onmessage = resolve);
    const attempt = () => {
      try {
        Scope.open({ name: "worker", replace: true }).close();
        return "opened";
      } catch (error) {
        return error.message.replace(Deno.pid, "PID");
      }
    };
    console.log(attempt());
    worker.terminate();
    let last;
    for (let i = 0; i < 100 && (last = attempt()) !== "opened"; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    console.log(last, NetNs.exists("record-worker"), NetNs.current().links.list().length);
  `,
    { through: ["unshare", "--net"] },
  );
  const refused = `Scope "worker" is open in process PID: end that first, or take another name`;
  assertEquals([stdout, stderr], [`${refused}\nopened false 1\n`, ""]);
});
