// Networks that are cut while TCP is open: the kernel goes on with connections that no program has open.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Bridge, NetNs, Scope, ScopeError, Veth } from "../../mod.ts";
import { interceptSends } from "../../src/netlink/socket.ts";
import { destroyOrphans } from "../../src/scope/removal.ts";
import { SOCK_DIAG } from "../../src/sockdiag/inet_diag.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";

const ADDRESSES = { IPv4: ["10.0.0.1", "10.0.0.2"], IPv6: ["fd00::1", "fd00::2"] } as const;

/** Milliseconds for the removal of a network that was cut; an emulated processor is ten times as slow. */
const LIMIT = Deno.env.has("NETLOOM_GUEST") ? 20_000 : 2000;

/** Two nodes on a bridge, and how to cut it. */
async function network(scope: Scope, family: keyof typeof ADDRESSES) {
  const hub = NetNs.create({ scope });
  const bridge = Bridge.create({ scope, name: "br0", netns: hub, up: true });
  const [a, b] = ADDRESSES[family].map((address, i) => {
    const netns = NetNs.create({ scope });
    Veth.create({
      scope,
      name: "eth0",
      netns,
      up: true,
      nodad: true,
      addresses: [`${address}/${family === "IPv4" ? 24 : 64}`],
      peer: { name: `port${i}`, master: bridge, up: true },
    });
    return netns;
  });
  await scope.ready();
  const [, hostname] = ADDRESSES[family];
  const listener = b!.listen({ hostname, port: 80 });
  const client = await a!.connect({ hostname, port: 80 });
  const server = await listener.accept();
  return { a: a!, b: b!, listener, client, server, cut: () => bridge.port("port1").down() };
}

for (const family of ["IPv4", "IPv6"] as const) {
  test(`A network that is cut while TCP is open is removed within 2 seconds: ${family}`, async () => {
    const scope = Scope.open();
    const { a, b, listener, client, server, cut } = await network(scope, family);
    cut();
    for (const end of [client, server]) await end.write(new Uint8Array(1000));
    for (const end of [listener, client, server]) end.close();
    for (const netns of [a, b]) {
      assertEquals(run(netns.ref, "ss -H -tan state fin-wait-1").trim().split("\n").length, 1);
    }
    const started = performance.now();
    await scope[Symbol.asyncDispose]();
    const took = performance.now() - started;
    assert(took < LIMIT, `it took ${took} ms`);
    assertEquals(scope.notes, []);
  });
}

test("A network that is cut under HTTP is removed, also when programs close their ends meanwhile", async () => {
  const scope = Scope.open();
  const { b, client, server, listener, a, cut } = await network(scope, "IPv4");
  for (const end of [client, server, listener]) end.close();
  const abort = new AbortController();
  const { signal } = abort;
  const http = b.serve(
    { hostname: "10.0.0.2", port: 8080, onListen() {}, signal },
    () => new Response(new ReadableStream({ start: (it) => it.enqueue(new Uint8Array(1 << 20)) })),
  );
  const response = await a.fetch("http://10.0.0.2:8080/", { signal });
  const body = response.arrayBuffer();
  cut();
  const removed = scope[Symbol.asyncDispose]();
  abort.abort();
  await assertRejects(() => body);
  await Promise.all([http.finished, removed]);
  assertEquals(scope.notes, []);
});

test("await using removes a single namespace that a connection without a program would keep", async () => {
  const scope = Scope.open();
  const { listener, client, server, cut, b } = await network(scope, "IPv4");
  cut();
  await server.write(new Uint8Array(1000));
  for (const end of [listener, client, server]) end.close();
  await b[Symbol.asyncDispose]();
  await scope[Symbol.asyncDispose]();
});

/** As Linux before 6.11, which does not destroy a connection that no program has open. */
function destroyNothing(): Disposable {
  return interceptSends((bytes, length) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    for (let at = 0; at < length; at += view.getUint32(at, true) + 3 & ~3) {
      // The socket's cookie: no socket has that one.
      if (view.getUint16(at + 4, true) === SOCK_DIAG.DESTROY) {
        view.setUint32(at + 16 + 48, 1e9, true);
      }
    }
  });
}

test("tcp_orphan_retries becomes 1 where the kernel does not destroy a connection", async () => {
  using _old = destroyNothing();
  await using scope = Scope.open();
  const { a, b, listener, client, server, cut } = await network(scope, "IPv4");
  cut();
  for (const end of [client, server]) await end.write(new Uint8Array(1000));
  for (const end of [listener, client, server]) end.close();
  for (const netns of [a, b]) {
    assertEquals(netns.sysctl("net.ipv4.tcp_orphan_retries"), "0");
    destroyOrphans(netns.ref);
    assertEquals(netns.sysctl("net.ipv4.tcp_orphan_retries"), "1");
  }
});

test("Where the kernel does not destroy a connection, tcp_orphan_retries ends it with its next timer", async () => {
  using _old = destroyNothing();
  const scope = Scope.open();
  const { listener, client, server, cut } = await network(scope, "IPv4");
  cut();
  for (const end of [client, server]) await end.write(new Uint8Array(1000));
  for (const end of [listener, client, server]) end.close();
  await scope[Symbol.asyncDispose]();
  assertEquals(scope.notes, []);
});

/** Seconds until the kernel sends again what the other end of a connection has not acknowledged. */
function timerOf({ ref }: NetNs): number {
  return Number(
    /timer:\(on,(\d+)(sec|\.\d+ms)/.exec(run(ref, "ss -H -tno state established"))?.[1] ?? 0,
  );
}

test("Where that timer is far away, the scope notes which connection the kernel keeps", async () => {
  using _old = destroyNothing();
  const scope = Scope.open();
  const { a, listener, client, server, cut } = await network(scope, "IPv4");
  cut();
  await client.write(new Uint8Array(1000));
  const port = (client.localAddr as Deno.NetAddr).port;
  // The timer doubles each time.
  while (timerOf(a) < 5) await new Promise((resolve) => setTimeout(resolve, 100));
  for (const end of [listener, client, server]) end.close();
  await scope[Symbol.asyncDispose]();
  const note = `${a.ref.label} is kept by TCP 10.0.0.1:${port} → 10.0.0.2:80 in FIN-WAIT-1`;
  assertEquals(scope.notes, [note]);
  assertEquals(a.ref.fd.closed, true);
  // Until the connection ends with the timer; the check for leftovers waits 5 seconds more.
  await new Promise((resolve) => setTimeout(resolve, 3000));
});

test("Scope names the TCP sockets and descriptors by which this process holds a namespace", async () => {
  const scope = Scope.open();
  const { a, b, listener, client, server } = await network(scope, "IPv4");
  using kept = NetNs.open(a);
  using other = NetNs.open(b);
  const error = await assertRejects(() => scope[Symbol.asyncDispose](), ScopeError);
  const { port } = client.localAddr as Deno.NetAddr;
  for (
    const part of [
      "Cannot remove netns ",
      "a descriptor of this process",
      "a socket of this process",
      "TCP 10.0.0.2:80 in LISTEN",
      `TCP 10.0.0.2:80 → 10.0.0.1:${port} in `,
      `TCP 10.0.0.1:${port} → 10.0.0.2:80 in `,
    ]
  ) assert(error.message.includes(part), error.message);
  for (const end of [listener, client, server]) end.close();
  for (const { ref } of [kept, other]) destroyOrphans(ref);
});

test("A Deno.test that cuts a network under TCP ends within seconds", async () => {
  const file = Deno.makeTempFileSync({ suffix: "_test.ts" });
  Deno.writeTextFileSync(
    file,
    `import { Bridge, NetNs, Scope, Veth } from "${new URL("../../mod.ts", import.meta.url)}";
    Deno.test("cut", async () => {
      await using scope = Scope.open();
      const bridge = Bridge.create({ scope, name: "br0", netns: NetNs.create({ scope }), up: true });
      const [a, b] = [1, 2].map((n) => {
        const netns = NetNs.create({ scope });
        Veth.create({ scope, name: "eth0", netns, up: true, addresses: ["10.0.0." + n + "/24"],
          peer: { name: "port" + n, master: bridge, up: true } });
        return netns;
      });
      await scope.ready();
      using listener = b.listen({ hostname: "10.0.0.2", port: 80 });
      using client = await a.connect({ hostname: "10.0.0.2", port: 80 });
      using server = await listener.accept();
      bridge.port("port1").down();
      await server.write(new Uint8Array(1000));
      await client.write(new Uint8Array(1000));
    });`,
  );
  const command = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--no-config", file],
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await command.output();
  Deno.removeSync(file);
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assertEquals(code, 0, text);
  const [, took, unit] = /^cut \.\.\. ok \((\d+)(m?s)\)$/m.exec(text)!;
  assert(unit === "ms" || Number(took) < LIMIT / 1000, text);
});
