// Impairments with a scope, on links that the scope does not own: they end with it, and after kill -9 with the next command.
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Link, NetNs, Scope } from "../../mod.ts";
import "../../src/traffic/mod.ts";
import { withFault } from "../faults/messages.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { start } from "../script.ts";

/** Two namespaces with a pair of links, of which no scope knows. */
class Wire implements Disposable {
  readonly near: NetNs = NetNs.create("impaired");
  readonly far: NetNs = NetNs.create("impaired-far");

  constructor() {
    run(this.near.ref, "ip link add v0 type veth peer name v1");
    run(this.near.ref, "ip link set v1 netns impaired-far");
    for (const [{ ref }, dev] of [[this.near, "v0"], [this.far, "v1"]] as const) {
      run(ref, `ip link set ${dev} up`);
    }
  }

  get link(): Link {
    return Link.get("v0", { netns: this.near });
  }

  /** All that `tc` and `ip` tell, without counters. */
  state(): string {
    return [this.near, this.far].map(({ ref }) => {
      const dev = ref === this.near.ref ? "v0" : "v1";
      const places = ["egress", "ingress"].map((place) => `tc filter show dev ${dev} ${place}`);
      return ["ip -d link show", "tc -d qdisc show", ...places].map((line) => {
        try {
          return run(ref, line);
        } catch (error) {
          return String(error); // Without clsact there is no such place.
        }
      }).join("\n");
    }).join("\n---\n").replaceAll(/<\S+>|state \S+/g, ""); // The carrier comes a moment later.
  }

  [Symbol.dispose](): void {
    this.near[Symbol.dispose]();
    this.far[Symbol.dispose]();
  }
}

const KINDS: Readonly<Record<string, { before?: string[]; options: string }>> = {
  "for both directions": { options: 'rate: "10mbit"' },
  "of one flow": { options: 'rate: "10mbit", match: { host: "10.0.0.2" }' },
  "beside a discipline of the user": {
    before: ["tc qdisc add dev v0 root handle 7: tbf rate 1gbit burst 1mb limit 1mb"],
    options: 'rate: "10mbit"',
  },
  "beside filters of the user": {
    before: [
      "tc qdisc add dev v0 clsact",
      "tc filter add dev v0 egress protocol ip prio 9 u32 match u32 0 0 flowid 1:1",
    ],
    options: 'rate: "10mbit", match: { protocol: "tcp" }',
  },
  "of a link without a queue": {
    before: ["ip link set v0 txqueuelen 0"],
    options: 'rate: "10mbit"',
  },
};

const NEXT: Readonly<Record<string, (wire: Wire) => void | Promise<void>>> = {
  "Scope.open()": async () => await Scope.open()[Symbol.asyncDispose](),
  "Scope.clean()": () => assertEquals(Scope.clean().map(({ state }) => state), ["left"]),
  "impair() with a scope": async ({ link }) => {
    await using scope = Scope.open();
    link.impair({ rate: "1mbit", scope });
  },
};

for (const [name, { before = [], options }] of Object.entries(KINDS)) {
  test(`After kill -9 of a program with a scope, an impairment ${name} is taken off`, async () => {
    for (const [next, clean] of Object.entries(NEXT)) {
      using wire = new Wire();
      for (const line of before) run(wire.near.ref, line);
      const state = wire.state();
      {
        await using script = await start(`
          import { Link, Scope } from "./mod.ts";
          import "./src/traffic/mod.ts";
          const scope = Scope.open();
          const link = Link.get("v0", { netns: { name: "impaired" } });
          link.impair({ ${options}, engine: "kernel", scope });
          console.log("running");
          setInterval(() => {}, 1000);
        `);
        await script.writes("running");
        script.kill("SIGKILL");
        await script.end();
      }
      assert(wire.state() !== state, "it stays");
      const [left] = Scope.list().filter(({ state }) => state === "left");
      assertMatch(left!.notes.join(), /link "v0" is impaired/);
      await clean(wire);
      assertEquals(wire.state(), state, next);
      assertEquals(Scope.list(), []);
    }
  });

  test(`An impairment ${name} ends with its scope, also when the namespaces are closed first`, async () => {
    using wire = new Wire();
    for (const line of before) run(wire.near.ref, line);
    const state = wire.state();
    const given = new Function(`return { ${options} }`)();
    for (const first of [false, true]) {
      await using scope = Scope.open();
      const netns = NetNs.open("impaired");
      const link = Link.get("v0", { netns });
      link.impair({ ...given, engine: "kernel", scope });
      link.impair({ out: { rate: "5mbit" } });
      assert(wire.state() !== state);
      if (first) netns[Symbol.dispose]();
      scope.close();
      if (!first) netns[Symbol.dispose]();
      assertEquals(wire.state(), state);
      assertEquals(Scope.list(), []);
    }
  });
}

test("An impairment of this process ends with its scope", async () => {
  using wire = new Wire();
  const state = wire.state();
  await using scope = Scope.open();
  wire.link.impair({ loss: "1%", engine: "user", scope });
  scope.close();
  assertEquals(wire.state(), state);
  assertEquals(Scope.list(), []);
});

test("clear() lets the scope's hold go: a later impairment stays", async () => {
  using wire = new Wire();
  {
    await using scope = Scope.open();
    const far = Link.get("v1", { netns: wire.far });
    wire.link.impair({ rate: "10mbit", scope });
    wire.link.impair({ rate: "5mbit", scope }); // the same scope: nothing new
    assertEquals(Scope.list().length, 1);
    far.impair(null); // the other end of the wire
    assertEquals(Scope.list(), []);
    wire.link.impair({ rate: "1mbit" });
  }
  assertEquals(wire.link.impairment()?.values, { out: { rate: 1e6 }, in: { rate: 1e6 } });
});

test("Another scope takes an impairment over", async () => {
  using wire = new Wire();
  const state = wire.state();
  await using first = Scope.open();
  await using second = Scope.open();
  wire.link.impair({ rate: "10mbit", scope: first });
  wire.link.impair({ out: { rate: "5mbit" }, scope: second });
  first.close();
  assertEquals(wire.link.impairment()?.values, { out: { rate: 5e6 }, in: { rate: 1e7 } });
  second.close();
  assertEquals(wire.state(), state);
});

test("A fault at any message of an impairment with a scope leaves no record", async () => {
  using wire = new Wire();
  const { link } = wire;
  const state = wire.state();
  await using scope = Scope.open();
  const open = () => link.impair({ rate: "1mbit", match: { protocol: "tcp" }, scope });
  const messages = withFault(0, open);
  link.impair(null);
  let refused = 0;
  for (let n = 1; n <= messages; n++) {
    try {
      withFault(n, open);
      link.impair(null);
    } catch {
      refused++;
    }
    assertEquals(Scope.list(), [], `after message ${n} of ${messages}`);
  }
  assert(refused > 10, `${refused} of ${messages} were refused`);
  assertEquals(wire.state(), state);
});

test("Ctrl-C takes the impairment of a scope with signals off", async () => {
  using wire = new Wire();
  const state = wire.state();
  await using script = await start(`
    import { Link, Scope } from "./mod.ts";
    import "./src/traffic/mod.ts";
    const scope = Scope.open({ signals: true });
    Link.get("v0", { netns: { name: "impaired" } }).impair({ rate: "1mbit", scope });
    console.log("running");
    setInterval(() => {}, 1000);
  `);
  await script.writes("running");
  assert(wire.state() !== state);
  script.kill("SIGINT");
  assertEquals((await script.end()).code, 130);
  assertEquals([wire.state(), Scope.list()], [state, []]);
});

test("A refused impairment leaves no record and nothing to its scope", async () => {
  using wire = new Wire();
  const state = wire.state();
  await using scope = Scope.open();
  const untyped = { rate: "1mbit", scope: {} } as never;
  assertThrows(() => wire.link.impair(untyped), TypeError, "scope must be a Scope: got {}");
  const none = undefined as never;
  const message = "options must be an object: got undefined";
  assertThrows(() => wire.link.impair(none), TypeError, message);
  scope.close();
  assertThrows(() => wire.link.impair({ rate: "1mbit", scope }), TypeError, "The scope is closed");
  assertEquals([wire.state(), Scope.list()], [state, []]);
});
