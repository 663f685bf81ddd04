import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { currentNetNs, homeNetNs } from "../../ffi/namespace.ts";
import { Bridge, Link, NetNs } from "../../mod.ts";
import { test } from "../leaks.ts";
import { fresh } from "../machine.ts";
import { script } from "../script.ts";

const inode = (path: string) => Number(/\d+/.exec(Deno.readLinkSync(path))![0]);
/** Where this thread is, as the kernel tells it. */
const here = () => inode("/proc/thread-self/ns/net");
/** Where the process's threads are. */
const everywhere = () =>
  [...Deno.readDirSync("/proc/self/task")].flatMap(({ name }) => {
    try {
      return [inode(`/proc/self/task/${name}/ns/net`)];
    } catch {
      return []; // ended meanwhile
    }
  });
const home = homeNetNs().inode;

test("run() runs a function in the namespace, returns its result, and comes back", () => {
  using netns = NetNs.create();
  assertEquals(netns.run(here), netns.inode);
  assertEquals(netns.run(() => "result"), "result");
  assertEquals(netns.run(() => {}), undefined);
  assertEquals([here(), currentNetNs().inode], [home, home]);
});

test("run() comes back when the function throws", () => {
  using netns = NetNs.create();
  assertThrows(
    () =>
      netns.run(() => {
        throw new Error("mine");
      }),
    Error,
    "mine",
  );
  assertEquals([here(), currentNetNs().inode], [home, home]);
});

test("run() can be nested, also into the namespace it is in", () => {
  using a = NetNs.create();
  using b = NetNs.create();
  const seen = a.run(() => [
    here(),
    b.run(() => [here(), a.run(() => [here(), a.run(here), here()]), here()]),
    here(),
  ]).flat(3);
  assertEquals(seen, [a, b, a, a, a, b, a].map((netns) => netns.inode));
  a.run(() => {
    assertThrows(() => b.run(() => b.run(() => JSON.parse("{"))), SyntaxError);
    assertEquals(here(), a.inode);
  });
  assertEquals(here(), home);
});

test("run() into the process's own namespace works inside another run()", () => {
  using own = NetNs.current();
  using netns = NetNs.create();
  assertEquals(netns.run(() => own.run(() => [here(), currentNetNs().inode])), [home, home]);
});

test("run() refuses a promise, whose failure does not end the program", async () => {
  using netns = NetNs.create();
  const refused = "NetNs.run() takes a synchronous function";
  // Promises are refused by the type as well.
  const run = netns.run.bind(netns) as (fn: () => unknown) => unknown;
  assertThrows(() => run(() => Promise.resolve(1)), TypeError, refused);
  assertThrows(() => run(() => Promise.reject(new Error("unhandled"))), TypeError, refused);
  assertThrows(() => run(async () => await here()), TypeError, refused);
  assertThrows(() => run(() => ({ then() {} })), TypeError, refused);
  assertEquals(here(), home);
  await new Promise((resolve) => setTimeout(resolve, 5));
  // @ts-expect-error The result of a promise would come from outside the namespace.
  assertThrows(() => netns.run(() => Promise.resolve(1)), TypeError, refused);
});

test("run() and start() refuse an async function, and call nothing", () => {
  using netns = NetNs.create();
  let called = false;
  // deno-lint-ignore require-await
  const fn = async () => void (called = true);
  const run = netns.run.bind(netns) as (fn: () => unknown) => unknown;
  assertThrows(() => run(fn), TypeError, "NetNs.run() takes a synchronous function");
  assertThrows(
    () => netns.start(fn),
    TypeError,
    "NetNs.start() takes a function that is not async",
  );
  const generator = async function* () {
    yield called = true;
  };
  assertThrows(() => netns.start(generator), TypeError, "NetNs.start()");
  assertEquals(called, false);
});

test("run() and start() warn when an asynchronous call leaves a thread in the namespace", async () => {
  // More calls than the pool has idle threads; each keeps one, as nobody reads from the pipe.
  const pipe = Deno.makeTempDirSync() + "/pipe";
  new Deno.Command("mkfifo", { args: [pipe] }).outputSync();
  const files = `Array.from({ length: 20 }, () => Deno.writeTextFile("${pipe}", "x"))`;
  const uses: [use: string, warns: boolean][] = [
    [`netns.start(() => ${files}); Deno.exit()`, true],
    [`netns.run(() => void ${files}); Deno.exit()`, true],
    [`netns.run(() => new Worker("data:text/javascript,close()", { type: "module" }))`, false],
    [`NetNs.current().run(() => Deno.addSignalListener("SIGUSR1", () => {})); Deno.exit()`, false],
    [`netns.start(() => Deno.listen({ hostname: "127.0.0.1", port: 80 })).close()`, false],
  ];
  for (const [use, warns] of uses) {
    const { code, stderr } = await script(
      `import { NetNs } from "./mod.ts"; const netns = NetNs.create("run-warns"); ${use}; NetNs.delete("run-warns");`,
    );
    NetNs.delete("run-warns");
    const warning = `an asynchronous call has left a thread of Deno's pool in netns "run-warns"`;
    assertEquals([code, stderr.includes(warning)], [0, warns], `${use}: ${stderr}`);
  }
});

test("A stack that is full leaves the thread where it belongs, and no namespace behind", async () => {
  const { code, stdout, stderr } = await script(`
    import { NetNs } from "./mod.ts";
    const here = () => Deno.readLinkSync("/proc/thread-self/ns/net");
    const home = here();
    const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const netns = NetNs.create();
    const calls = {
      create: () => void NetNs.create()[Symbol.dispose](),
      run: () => netns.run(() => 1),
      nested: () => netns.run(() => NetNs.create()[Symbol.dispose]()),
    };
    // Goes down until the stack is full, then calls at each depth on the way back.
    const descend = (call, state) => {
      try {
        descend(call, state);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
      if (state.done > 5) return;
      try {
        call();
        state.done++;
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    };
    for (const [name, call] of Object.entries(calls)) {
      call();
      const before = open();
      const state = { done: 0 };
      descend(call, state);
      console.log(name, here() === home, open() - before, state.done > 5);
      NetNs.current().links.list();
      console.log(name, here() === home);
    }
  `);
  assertEquals([code, stderr], [0, ""]);
  const expected = ["create", "run", "nested"]
    .map((name) => `${name} true 0 true\n${name} true\n`);
  assertEquals(stdout, expected.join(""));
});

test("Inside run() links, namespaces and default targets are those of its namespace", () => {
  using netns = NetNs.create();
  netns.run(() => {
    using bridge = Bridge.create({ name: "br0" });
    assertEquals(bridge.ref.inode, netns.inode);
    assertEquals(Link.get("br0").index, bridge.index);
    using inner = NetNs.create();
    assertEquals(here(), netns.inode);
    assertEquals(inner.run(here), inner.inode);
  });
  assertThrows(() => Link.get("br0"), Error, "ENODEV");
});

test("A namespace can be disposed inside its own run(); the thread comes back", () => {
  const netns = NetNs.create("run-disposed");
  netns.run(() => netns[Symbol.dispose]());
  assertEquals(here(), home);
  assertEquals(fresh(NetNs.list()), []);
});

test("A namespace can be disposed inside another run() within its own; the thread comes back", () => {
  using inner = NetNs.create();
  const outer = NetNs.create();
  const { inode } = outer;
  outer.run(() => {
    inner.run(() => outer[Symbol.dispose]());
    assertEquals([here(), outer.ref.fd.closed], [inode, false]);
    using made = NetNs.create();
    assertEquals([here(), made.run(here)], [inode, made.inode]);
  });
  assertEquals([here(), outer.ref.fd.closed], [home, true]);
});

test("start() starts a call that settles later; the thread is back at once", async () => {
  using netns = NetNs.create();
  const options = { hostname: "127.0.0.1", port: 0, transport: "tcp" } as const;
  using listener = netns.start(() => Deno.listen(options));
  const { port } = listener.addr;
  const connecting = netns.start(() => Deno.connect({ hostname: "127.0.0.1", port }));
  assertEquals(here(), home);
  using _client = await connecting;
  using _server = await listener.accept();
  await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port }), Error);
  assertEquals(await netns.start(() => Promise.resolve(here())), netns.inode);
});

test("Brackets between many concurrent operations leave no thread in a foreign namespace", async () => {
  using a = NetNs.create();
  using b = NetNs.create();
  const file = await Deno.makeTempFile();
  const stop = new AbortController();
  const until = async (work: () => Promise<unknown>) => {
    while (!stop.signal.aborted) await work();
  };
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const tick = () => new Promise((resolve) => setTimeout(resolve, 0));
  let inside = 0;
  const work = [
    ...Array.from({ length: 40 }, () => until(() => Deno.readTextFile(file))),
    ...Array.from({ length: 10 }, () => until(() => Deno.stat("/proc/self/stat"))),
    until(async () => {
      const { port } = listener.addr as Deno.NetAddr;
      using _client = await Deno.connect({ hostname: "127.0.0.1", port });
      using _server = await listener.accept();
    }),
    until(async () => assert((await new Deno.Command("true").output()).success)),
    until(() => a.ping("127.0.0.1", { count: 3, interval: 1 })),
    until(async () => {
      for (const netns of [a, b]) {
        netns.run(() => {
          // Spends some time in there, so that whoever starts a thread now is caught.
          const end = performance.now() + 0.2;
          while (performance.now() < end);
          assertEquals(here(), netns.inode);
          inside++;
        });
      }
      await tick();
    }),
    until(async () => {
      const { code } = await a.command("true", { mounts: false }).output();
      assertEquals(code, 0);
    }),
  ];
  const foreign = new Set<number>();
  const end = performance.now() + 400;
  while (performance.now() < end || inside < 20) {
    for (const found of everywhere()) if (found !== home) foreign.add(found);
    await tick();
  }
  stop.abort();
  await Promise.all(work);
  await Deno.remove(file);
  assertEquals([...foreign], []);
});

test("Nothing that a fresh process starts in a namespace leaves a thread there", async () => {
  // Threads of Deno's pools are born when they are first needed, where the call is then.
  const uses = {
    connect: `{
      using listener = netns.listen({ hostname: "127.0.0.1", port: 0 });
      using _client = await netns.connect({ hostname: "127.0.0.1", port: listener.addr.port });
      (await listener.accept()).close();
    }`,
    fetch: `{
      await using server = netns.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("x"));
      await (await netns.fetch("http://127.0.0.1:" + server.addr.port)).text();
    }`,
    command: `await netns.command("true").output();`,
    spawn: `await netns.command("true", { mounts: false }).spawn().status;`,
    ping: `await netns.ping("127.0.0.1"); await netns.ping("127.1.2.3", { timeout: 1 });`,
    worker: `{
      const worker = netns.worker("data:text/javascript,postMessage(0)");
      await new Promise((resolve) => worker.onmessage = resolve);
      worker.terminate();
      await new Promise((resolve) => setTimeout(resolve, 300));
    }`,
    sysctl: `netns.sysctl("net.ipv4.ip_forward", 1);`,
    links: `Bridge.create({ name: "br0", netns }); netns.links.list();`,
  };
  const results = await Promise.all(
    Object.entries(uses).map(async ([name, use]) => {
      const { stdout, stderr } = await script(`
      import { Bridge, NetNs } from "./mod.ts";
      const netns = NetNs.create();
      ${use}
      console.log("${name}", netns.pids());
    `);
      return stdout + stderr;
    }),
  );
  assertEquals(results, Object.keys(uses).map((name) => `${name} []\n`));
});
