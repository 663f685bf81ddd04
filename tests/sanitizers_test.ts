// Deno's own sanitizers, in a process that has used nothing of the library before.
import { assertEquals } from "@std/assert";
import { Bridge, NetNs, PacketSocket, Scope, Tap, UdpSocket, Veth } from "../mod.ts";

/** Registers a test that fails when a resource, an operation or a library stays open. */
function test(name: string, fn: () => void | Promise<void>): void {
  Deno.test({ name, fn, sanitizeResources: true, sanitizeOps: true, sanitizeExit: true });
}

/** A pair in a namespace; `a` has the address 10.0.0.1. */
function pair(netns: NetNs): Veth {
  const peer = { name: "b", netns, up: true };
  return Veth.create({ name: "a", netns, up: true, addresses: ["10.0.0.1/24"], peer });
}

test("Links and namespaces leave no library open, also after 500 calls", () => {
  using netns = NetNs.create("sanitized");
  using bridge = Bridge.create({ name: "br0", netns, up: true });
  for (let i = 0; i < 600; i++) bridge.read();
  netns.sysctl("net.ipv4.ip_forward", 1);
  assertEquals(NetNs.list().includes("sanitized"), true);
});

test("A scope with signals, readiness and ping leave nothing open", async () => {
  await using scope = Scope.open({ name: "sanitized", signals: true });
  const netns = NetNs.create({ scope });
  const peer = { name: "b", netns, up: true };
  Veth.create({ scope, name: "a", netns, up: true, addresses: ["10.0.0.1/24"], peer });
  await scope.ready();
  assertEquals((await netns.ping("10.0.0.1")).received, 1);
});

test("Devices and sockets leave nothing open", async () => {
  using netns = NetNs.create();
  const buffer = new Uint8Array(2000);
  using tap = Tap.create({ netns, up: true, addresses: ["10.1.0.1/24"] });
  using socket = PacketSocket.open({ netns, link: "lo" });
  await tap.write(new Uint8Array(60));
  const soon = AbortSignal.timeout(20);
  await socket.read(buffer, { signal: soon }).catch(() => {});
  using udp = UdpSocket.open({ netns, local: "127.0.0.1" });
  await udp.read(buffer, { signal: AbortSignal.timeout(20) }).catch(() => {});
});

test("A capture, a monitor and waitFor() leave nothing open", async () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  await veth.waitFor((link) => link.carrier === true, { timeout: 5000 });
  for await (const event of netns.monitor()) if (event.type === "snapshot") break;
  const capture = veth.capture();
  const ping = netns.ping("10.0.0.2", { timeout: 200 });
  for await (const _frame of capture) break;
  assertEquals((await ping).received, 0);
});

test("A server, fetch, a connection, a program and a worker leave nothing open", async () => {
  await using netns = NetNs.create();
  const hostname = "127.0.0.1";
  {
    await using _server = netns.serve(
      { hostname, port: 80, onListen() {} },
      () => new Response("x"),
    );
    assertEquals(await (await netns.fetch(`http://${hostname}/`)).text(), "x");
  }
  using listener = netns.listen({ hostname, port: 81 });
  using connection = await netns.connect({ hostname, port: 81 });
  using accepted = await listener.accept();
  await connection.write(new Uint8Array(3));
  assertEquals(await accepted.read(new Uint8Array(3)), 3);
  assertEquals((await netns.command("true").output()).code, 0);
  const worker = netns.worker("data:text/javascript,postMessage(1)");
  await new Promise((resolve) => worker.onmessage = resolve);
  worker.terminate();
});
