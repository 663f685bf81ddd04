// What a redirect leaves on a link: nothing when it is closed or refused, and after kill -9 until the next command.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { homeNetNs } from "../../ffi/namespace.ts";
import { NetNs, Scope, Veth } from "../../mod.ts";
import "../../src/traffic/mod.ts";
import { Pair } from "../capture/pair.ts";
import { withFault } from "../faults/messages.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { start } from "../script.ts";

const THERE = "10.0.0.2";

/** Everything that `tc` and `ip` show of the namespace. */
function shown({ ref }: NetNs, link = ""): string {
  return [
    `tc -d qdisc show ${link && `dev ${link}`}`,
    "tc -d filter show dev v0 ingress",
    "tc -d filter show dev v0 egress",
    `ip -d link show ${link}`,
  ]
    .map((line) => {
      try {
        return run(ref, line);
      } catch (error) {
        // Without clsact there is no such place.
        return String(error);
      }
    }).join("\n");
}

const STARTS: Readonly<Record<string, string>> = {
  "intercept()": "link.intercept(() => {});",
  "intercept() of one direction": 'link.intercept(() => {}, { direction: "in" });',
  "impair() of this process": 'link.impair({ delay: 1, engine: "user" });',
};

const NEXT: Readonly<Record<string, (netns: NetNs) => void | Promise<void>>> = {
  "Scope.open()": async () => await Scope.open()[Symbol.asyncDispose](),
  "Scope.clean()": () => assertEquals(Scope.clean().map(({ state }) => state), STATES),
  "Scope.clean() of a program without traffic control": async () => {
    await using script = await start('import { Scope } from "./mod.ts"; Scope.clean();');
    assertEquals((await script.end()).code, 0);
  },
  "intercept() on the same link": (netns) => netns.links.get("v0").intercept(() => {}).close(),
};
const STATES = ["left"];

for (const [what, call] of Object.entries(STARTS)) {
  for (const [next, clean] of Object.entries(NEXT)) {
    // impair() has a record for each direction.
    if (what.startsWith("impair") && next === "Scope.clean()") continue;
    test(`After kill -9 during ${what} the link carries again with ${next}`, async () => {
      using a = NetNs.create("redirected");
      using b = NetNs.create();
      const link = Veth.create({
        name: "v0",
        netns: a,
        up: true,
        addresses: ["10.0.0.1/24"],
        peer: { name: "v1", netns: b, up: true, addresses: [`${THERE}/24`] },
      });
      await link.waitFor((it) => it.operstate === "up");
      assertEquals((await a.ping(THERE)).received, 1);
      const before = shown(a);
      {
        await using script = await start(`
          import { Link } from "./mod.ts";
          import "./src/traffic/mod.ts";
          const link = Link.get("v0", { netns: { name: "redirected" } });
          ${call}
          console.log("running");
          setInterval(() => {}, 1000);
        `);
        await script.writes("running");
        // Its program may have to wait for a processor.
        assertEquals((await a.ping(THERE, { timeout: 10_000 })).received, 1);
        script.kill("SIGKILL");
        await script.end();
      }
      assertEquals((await a.ping(THERE, { timeout: 200 })).received, 0);
      const [left] = Scope.list().filter(({ state }) => state === "left");
      assertMatch(left!.notes.join(), /link "v0" drops the frames/);
      await clean(a);
      assertEquals(shown(a), before);
      assertEquals((await a.ping(THERE)).received, 1);
      assertEquals(Scope.list().filter(({ state }) => state === "left"), []);
    });
  }
}

test("Scope.clean() leaves a link alone that has got the index of one that is gone", async () => {
  using a = NetNs.create("redirected");
  run(a.ref, "ip link add v0 index 77 type veth peer name v1");
  {
    await using script = await start(`
      import { Link } from "./mod.ts";
      import "./src/traffic/mod.ts";
      Link.get("v0", { netns: { name: "redirected" } }).intercept(() => {});
      console.log("running");
      setInterval(() => {}, 1000);
    `);
    await script.writes("running");
    script.kill("SIGKILL");
    await script.end();
  }
  run(a.ref, "ip link delete v0");
  run(a.ref, "ip link add v0 index 77 type bridge");
  run(a.ref, "tc qdisc add dev v0 clsact");
  const before = shown(a, "v0");
  assertEquals(Scope.clean().length, 1);
  assertEquals(shown(a, "v0"), before);
});

/** How a program ends without a scope, and the code or signal of its end. */
const ENDS: Readonly<Record<string, { rest: string; end: number | Deno.Signal }>> = {
  "Deno.exit()": { rest: "Deno.exit(3);", end: 3 },
  "an error": { rest: "setTimeout(() => { throw new Error('mine'); }, 10);", end: 1 },
  "a rejection": { rest: "Promise.reject(new Error('mine'));", end: 1 },
  ...Object.fromEntries(
    (["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const).map((signal) => [
      signal,
      { rest: `Deno.kill(Deno.pid, "${signal}");`, end: signal },
    ]),
  ),
  "a listener of its own for the signal": {
    rest: `Deno.addSignalListener("SIGINT", () => { console.log("mine"); Deno.exit(5); });
      Deno.kill(Deno.pid, "SIGINT");`,
    end: 5,
  },
};

for (const [what, call] of Object.entries(STARTS)) {
  for (const [how, { rest, end }] of Object.entries(ENDS)) {
    test(`The end of a program by ${how} during ${what} restores the link`, async () => {
      using a = NetNs.create("redirected");
      run(a.ref, "ip link add v0 type veth peer name v1");
      const before = shown(a);
      await using script = await start(`
        import { Link } from "./mod.ts";
        import "./src/traffic/mod.ts";
        const link = Link.get("v0", { netns: { name: "redirected" } });
        ${call}
        ${rest}
      `);
      const { code, signal, stdout } = await script.end();
      assertEquals(signal ?? code, end);
      assertEquals(stdout, rest.includes("log") ? "mine\n" : "");
      assertEquals(shown(a), before);
      assertEquals(Scope.list().filter(({ state }) => state === "left"), []);
    });
  }
}

test("A signal that the program handles itself leaves an interception alone", async () => {
  using a = NetNs.create("redirected");
  run(a.ref, "ip link add v0 type veth peer name v1");
  await using script = await start(`
    import { Link } from "./mod.ts";
    import "./src/traffic/mod.ts";
    let count = 0;
    Deno.addSignalListener("SIGHUP", () => console.log("reload " + ++count));
    const it = Link.get("v0", { netns: { name: "redirected" } }).intercept(() => {});
    console.log("running");
    setTimeout(() => {
      console.log(it.closed ? "closed" : "open");
      it.close();
      Deno.exit();
    }, 300);
    Deno.kill(Deno.pid, "SIGHUP");
  `);
  assertEquals((await script.end()).stdout, "running\nreload 1\nopen\n");
});

test("An error that the program has dealt with leaves an interception alone", async () => {
  using a = NetNs.create("redirected");
  run(a.ref, "ip link add v0 type veth peer name v1");
  await using script = await start(`
    import { Link } from "./mod.ts";
    import "./src/traffic/mod.ts";
    globalThis.addEventListener("unhandledrejection", (event) => event.preventDefault());
    const it = Link.get("v0", { netns: { name: "redirected" } }).intercept(() => {});
    Promise.reject(new Error("mine"));
    setTimeout(() => {
      console.log(it.closed ? "closed" : "open");
      it.close();
    }, 100);
  `);
  assertEquals((await script.end()).stdout, "open\n");
});

test("A link without a queue has none afterwards", async () => {
  using pair = await Pair.open();
  run(pair.a.ref, "ip link set v0 txqueuelen 0");
  const before = shown(pair.a);
  pair.link.intercept(() => {}).close();
  assertEquals(shown(pair.a), before);
});

for (
  const [name, open] of Object.entries({
    "intercept()": ({ link }: Pair) => link.intercept(() => {}),
    "impair()": ({ link }: Pair) => link.impair({ delay: 1, engine: "user" }),
  })
) {
  test(`A fault at any message of ${name} leaves the link as it was`, async () => {
    using pair = await Pair.open();
    const before = shown(pair.a);
    const links = run(homeNetNs(), "ip -br link");
    const opening = () => withFault(0, () => opened = open(pair));
    let opened: Disposable | undefined = undefined;
    const messages = opening();
    opened![Symbol.dispose]();
    for (let n = 1; n <= messages; n++) {
      opened = undefined;
      try {
        withFault(n, () => opened = open(pair));
      } catch (error) {
        assertMatch(String(error), /EOPNOTSUPP/);
      }
      // Only a message whose answer nobody needs may fail without an error.
      (opened as Disposable | undefined)?.[Symbol.dispose]();
      assertEquals(shown(pair.a), before, `after message ${n} of ${messages}`);
    }
    assert(messages > 10, `${messages} messages`);
    assertEquals(run(homeNetNs(), "ip -br link"), links);
    assertEquals(Scope.list().filter(({ state }) => state !== "open"), []);
  });

  test(`After a fault at a message of the end of ${name} another attempt restores the link`, async () => {
    using pair = await Pair.open();
    const before = shown(pair.a);
    const first = open(pair);
    const messages = withFault(0, () => first[Symbol.dispose]());
    for (let n = 1; n <= messages; n++) {
      const opened = open(pair);
      try {
        withFault(n, () => opened[Symbol.dispose]());
      } catch {
        opened[Symbol.dispose]();
      }
      assertEquals(shown(pair.a), before, `after message ${n} of ${messages}`);
    }
  });
}
