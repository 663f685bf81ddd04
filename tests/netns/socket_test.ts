import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Link, NetNs, Veth } from "../../mod.ts";
import { test } from "../leaks.ts";

/** A server's and a client's namespace, joined; and what joins them. */
function joined() {
  const [server, client] = [NetNs.create(), NetNs.create()];
  Veth.create({
    name: "eth0",
    netns: server,
    up: true,
    nodad: true,
    addresses: ["10.0.0.1/24", "fd00::1/64"],
    peer: {
      name: "eth0",
      netns: client,
      up: true,
      nodad: true,
      addresses: ["10.0.0.2/24", "fd00::2/64"],
    },
  });
  return {
    server,
    client,
    [Symbol.dispose]() {
      client[Symbol.dispose]();
      server[Symbol.dispose]();
    },
  };
}

const quiet = { onListen() {} };

test("listen() and connect() meet across namespaces, over IPv4 and IPv6", async () => {
  using nets = joined();
  for (const hostname of ["10.0.0.1", "fd00::1"]) {
    using listener = nets.server.listen({ hostname, port: 8000 });
    assertEquals({ ...listener.addr }, { transport: "tcp", hostname, port: 8000 });
    using connection = await nets.client.connect({ hostname, port: 8000 });
    using accepted = await listener.accept();
    await connection.write(new TextEncoder().encode("hello"));
    const buffer = new Uint8Array(10);
    assertEquals(await accepted.read(buffer), 5);
    assertEquals((accepted.remoteAddr as Deno.NetAddr).hostname, hostname.replace(/1$/, "2"));
    using outside = NetNs.create();
    await assertRejects(() => outside.connect({ hostname, port: 8000 }), Error);
  }
});

test("One port can be listened to in many namespaces at once", () => {
  const all = Array.from({ length: 4 }, () => NetNs.create());
  const listeners = all.map((netns) => netns.listen({ port: 4321 }));
  assertThrows(() => all[0]!.listen({ port: 4321 }), Deno.errors.AddrInUse);
  for (const listener of listeners) listener.close();
  for (const netns of all) netns[Symbol.dispose]();
});

test("serve() and fetch() meet across namespaces, over IPv4 and IPv6", async () => {
  using nets = joined();
  for (const hostname of ["10.0.0.1", "fd00::1"]) {
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    await using server = nets.server.serve(
      { hostname, port: 8000, ...quiet },
      async (request, info) =>
        new Response(`${request.method} ${info.remoteAddr.hostname} ${await request.text()}`),
    );
    assertEquals(server.addr.hostname, hostname);
    const text = async (input: string | URL | Request, init?: RequestInit) =>
      await (await nets.client.fetch(input, init)).text();
    const from = hostname.replace(/1$/, "2");
    const url = `http://${host}:8000/`;
    assertEquals(await text(url), `GET ${from} `);
    assertEquals(await text(new URL(url)), `GET ${from} `);
    assertEquals(await text(url, { method: "POST", body: "body" }), `POST ${from} body`);
    assertEquals(await text(new Request(url, { method: "PUT", body: "b" })), `PUT ${from} b`);
    const stream = new Blob(["a", "stream"]).stream();
    assertEquals(await text(url, { method: "POST", body: stream }), `POST ${from} astream`);
  }
});

/** A namespace where `http://10.9.8.7:8000` answers with `name`. */
function island(name: string) {
  const netns = NetNs.create();
  Link.get("lo", { netns }).addresses.add("10.9.8.7/32");
  const options = { hostname: "10.9.8.7", port: 8000, ...quiet };
  return { netns, server: netns.serve(options, () => new Response(name)), name };
}

test("Requests to one address go to the server of the namespace they are made in, again and again", async () => {
  const islands = ["first", "second", "third"].map(island);
  for (let i = 0; i < 5; i++) {
    for (const { netns, name } of islands) {
      using other = NetNs.open(netns);
      for (const handle of [netns, other]) {
        assertEquals(await (await handle.fetch("http://10.9.8.7:8000/")).text(), name);
      }
    }
  }
  using outside = NetNs.create();
  await assertRejects(() => outside.fetch("http://10.9.8.7:8000/"));
  for (const { netns, server } of islands) {
    netns[Symbol.dispose]();
    await server.shutdown();
  }
});

test("Many requests at once from many namespaces are answered by their own servers", async () => {
  const islands = ["first", "second"].map(island);
  const requests = Array.from({ length: 40 }, async (_, i) => {
    const { netns, name } = islands[i % 2]!;
    return await (await netns.fetch("http://10.9.8.7:8000/")).text() === name;
  });
  assert((await Promise.all(requests)).every(Boolean));
  for (const { netns, server } of islands) {
    netns[Symbol.dispose]();
    await server.shutdown();
  }
});

test("A redirect is followed in the namespace too", async () => {
  using nets = joined();
  const at = { hostname: "10.0.0.1", ...quiet };
  await using _first = nets.server.serve({ ...at, port: 8001 }, async (request) => {
    await request.body?.cancel();
    const { searchParams } = new URL(request.url);
    const status = Number(searchParams.get("status"));
    const to = searchParams.get("to");
    const location = to === "itself" ? request.url : to ?? "http://10.0.0.1:8002/there";
    return new Response(null, { status, headers: { location } });
  });
  await using _second = nets.server.serve({ ...at, port: 8002 }, async (request) => {
    const authorization = request.headers.get("authorization");
    return new Response(`${request.method} ${await request.text()} ${authorization}`);
  });
  const go = (status: number, init: RequestInit = {}) =>
    nets.client.fetch(`http://10.0.0.1:8001/?status=${status}`, {
      headers: { authorization: "secret" },
      ...init,
    });
  const text = async (status: number, init?: RequestInit) => await (await go(status, init)).text();
  for (const status of [301, 302, 303, 307, 308]) {
    assertEquals(await text(status), "GET  null");
    const kept = status >= 307 ? "POST body null" : "GET  null";
    assertEquals(await text(status, { method: "POST", body: "body" }), kept);
  }
  const response = await go(302);
  assertEquals([response.url, response.redirected], ["http://10.0.0.1:8002/there", true]);
  await response.body?.cancel();
  const manual = await go(302, { redirect: "manual" });
  assertEquals([manual.status, manual.redirected], [302, false]);
  await manual.body?.cancel();
  await assertRejects(() => go(302, { redirect: "error" }), TypeError);
  const away = "http://10.0.0.1:8001/?status=302&to=";
  await assertRejects(
    () => nets.client.fetch(`${away}http://example.com/`),
    TypeError,
    "not an IP",
  );
  await assertRejects(() => nets.client.fetch(`${away}itself`), TypeError, "Redirected too often");
});

test("A request is not sent again from outside when a kept connection has died", async () => {
  using nets = joined();
  using listener = nets.server.listen({ hostname: "10.0.0.1", port: 8000 });
  const answer = new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  const request = async () => {
    const response = nets.client.fetch("http://10.0.0.1:8000/", {
      signal: AbortSignal.timeout(2000),
    });
    const connection = await Promise.race([listener.accept(), response.then(() => undefined)]);
    if (!connection) return "reused a connection";
    await connection.read(new Uint8Array(1000));
    await connection.write(answer);
    const text = await (await response).text();
    connection.close();
    return text;
  };
  for (let i = 0; i < 5; i++) {
    assertEquals(await request(), "ok");
    // The end of the connection arrives while nobody looks.
    const until = performance.now() + 5;
    while (performance.now() < until);
  }
});

test("Names are refused: they would be resolved outside", async () => {
  using netns = NetNs.create();
  const refused = "is not an IP address: names are not resolved inside a netns";
  for (const hostname of ["localhost", "example.com", "server"]) {
    const message = `"${hostname}" ${refused}`;
    await assertRejects(() => netns.connect({ hostname, port: 1 }), TypeError, message);
    await assertRejects(() => netns.fetch(`http://${hostname}/`), TypeError, message);
    const request = new Request(`http://${hostname}/`);
    await assertRejects(() => netns.fetch(request), TypeError, message);
  }
  // An address in the words of URLs.
  await using _server = netns.serve(
    { hostname: "127.0.0.1", port: 80, ...quiet },
    () => new Response("ok"),
  );
  assertEquals(await (await netns.fetch("http://127.1/")).text(), "ok");
});

test("listen(), connect(), serve(), fetch() and worker() refuse options that Deno does not have", async () => {
  using netns = NetNs.create();
  const calls: Record<string, (options: object) => unknown> = {
    listen: (options) => netns.listen({ port: 1, ...options }),
    connect: (options) => netns.connect({ port: 1, ...options }),
    serve: (options) => netns.serve({ ...options }, () => new Response()),
    fetch: (options) => netns.fetch("http://127.0.0.1/", options),
    worker: (options) => netns.worker("data:text/javascript,", options),
  };
  const refused: [string, object, string][] = [
    ["listen", { hostnam: "::1" }, 'Unknown option "hostnam": did you mean "hostname"?'],
    ["listen", { transport: "unix" }, 'transport must be "tcp" inside a netns: got "unix"'],
    ["connect", { prot: 1 }, 'Unknown option "prot": did you mean "port"?'],
    ["connect", { transport: "unix" }, 'transport must be "tcp"'],
    ["serve", { onlisten() {} }, 'Unknown option "onlisten": did you mean "onListen"?'],
    ["serve", { path: "/run/x" }, 'Unknown option "path"'],
    ["fetch", { header: {} }, 'Unknown option "header": did you mean "headers"?'],
    ["fetch", { client: {} }, 'Unknown option "client"'],
    ["worker", { type: "classic" }, 'Unknown option "type"'],
  ];
  for (const [call, options, message] of refused) {
    await assertRejects(async () => await calls[call]!(options), TypeError, message);
  }
});

test("fetch() ends when its signal says so", async () => {
  using nets = joined();
  using _listener = nets.server.listen({ hostname: "10.0.0.1", port: 8000 });
  const controller = new AbortController();
  const response = nets.client.fetch("http://10.0.0.1:8000/", { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => response, Error, "enough");
});

test("A refused connection is an error like outside", async () => {
  using nets = joined();
  const refused = Deno.errors.ConnectionRefused;
  await assertRejects(() => nets.client.connect({ hostname: "10.0.0.1", port: 1 }), refused);
  await assertRejects(() => nets.client.fetch("http://10.0.0.1:1/"), TypeError);
  await assertRejects(
    () => nets.client.connect({ hostname: "10.1.1.1", port: 1 }),
    Error,
    "unreachable",
  );
});
