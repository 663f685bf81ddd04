import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { homeNetNs, sameNetNs } from "../../ffi/namespace.ts";
import { Bridge, Link, Macvlan, NetNs, Scope, SyscallError, Veth } from "../../mod.ts";
import { ip, run } from "../helpers.ts";
import { test, traces } from "../leaks.ts";
import { fresh } from "../machine.ts";

const names = (netns: NetNs) => netns.links.list().map(({ name }) => name);

test("NetNs.create() creates an empty namespace with the loopback link up", () => {
  using netns = NetNs.create();
  assertEquals([netns.name, netns.owned], [undefined, true]);
  const [lo, ...others] = ip(netns.ref, "-j address");
  assertEquals(others, []);
  assert((lo!.flags as string[]).includes("UP"));
  const addresses = (lo!.addr_info as { local: string }[]).map(({ local }) => local);
  assertEquals(addresses, ["127.0.0.1", "::1"]);
});

test("NetNs.create() leaves the loopback link down when asked to", () => {
  using netns = NetNs.create(undefined, { loopback: false });
  assert(!(ip(netns.ref, "-j address")[0]!.flags as string[]).includes("UP"));
});

test("NetNs.create() with a name is found by it until it is disposed", () => {
  {
    using netns = NetNs.create("netns-named");
    assertEquals([netns.name, netns.owned], ["netns-named", true]);
    assert(NetNs.exists("netns-named"));
    assertEquals(fresh(NetNs.list()), ["netns-named"]);
    using same = NetNs.open("netns-named");
    assertEquals([same.inode, same.name, same.owned], [netns.inode, "netns-named", false]);
    assertEquals(Deno.statSync("/run/netns/netns-named").ino, netns.inode);
  }
  assert(!NetNs.exists("netns-named"));
  assertEquals(fresh(NetNs.list()), []);
});

test("NetNs.create() takes the name among its options, and as the short form before them", async () => {
  await using scope = Scope.open();
  const long = NetNs.create({ name: "netns-long", scope, loopback: false });
  const short = NetNs.create("netns-short", { scope, loopback: false });
  assertEquals([long.name, short.name], ["netns-long", "netns-short"]);
  for (const netns of [long, short]) {
    assert(!(ip(netns.ref, "-j address")[0]!.flags as string[]).includes("UP"));
  }
  assertEquals(fresh(NetNs.list()).sort(), ["netns-long", "netns-short"]);
});

test("NetNs.create() refuses options that nobody knows, and a second name", () => {
  const before = traces();
  // deno-lint-ignore no-explicit-any
  const create = NetNs.create as any;
  const unknown = 'Unknown option "nmae": did you mean "name"? Allowed are loopback, name, scope';
  const refused: [() => unknown, string][] = [
    [() => create({ nmae: "x" }), unknown],
    [() => create("netns-x", { nmae: "x" }), unknown],
    [
      () => create("netns-x", { name: "y" }),
      '(name, { scope, loopback }): got ("netns-x", {"name":"y"})',
    ],
    [
      () => create({ name: "netns-x" }, { loopback: false }),
      '(name, { scope, loopback }): got ({"name":"netns-x"}, {"loopback":false})',
    ],
    [() => create({ name: "a/b" }), "A netns name has 1 to 255 bytes"],
    [() => create("netns-x", 7), "options must be an object: got 7"],
  ];
  for (const [call, message] of refused) assertThrows(call, TypeError, message);
  assertEquals(traces(), before);
});

test("A namespace is told by its cookie: no later one has it, though some have its inode", async () => {
  const inodes = new Set<number>();
  const cookies = new Set<bigint>();
  for (let again = false; !again;) {
    assert(cookies.size < 200, "no inode came twice");
    await using netns = NetNs.create();
    using same = NetNs.open(netns);
    assertEquals(same.cookie, netns.cookie);
    assert(sameNetNs(same.ref, netns.ref));
    // The kernel's own word for it, through a socket of another program.
    const python = "import socket; s = socket.socket(); " +
      'print(int.from_bytes(s.getsockopt(socket.SOL_SOCKET, 71, 8), "little"))';
    assertEquals(run(netns.ref, `python3 -c '${python}'`).trim(), `${netns.cookie}`);
    assert(!cookies.has(netns.cookie));
    again = inodes.has(netns.inode);
    inodes.add(netns.inode);
    cookies.add(netns.cookie);
  }
});

test("The handle of a link whose namespace is gone is refused as master, parent and dev", async () => {
  // One of the next namespaces has the inode of one that is gone, and a bridge with the same index.
  const gone = new Map<number, Bridge>();
  for (let i = 0;; i++) {
    assert(i < 200, "no namespace had the inode of one that is gone");
    await using netns = NetNs.create("netns-one");
    const bridge = Bridge.create({ name: "br0", netns });
    const dead = gone.get(netns.inode);
    gone.set(netns.inode, bridge);
    if (!dead) continue;
    assertEquals(bridge.index, dead.index);
    const veth = Veth.create({ name: "a", netns, peer: { name: "b", netns } });
    const uses: (() => unknown)[] = [
      () => veth.set({ master: dead }),
      () => Veth.create({ name: "c", netns, master: dead, peer: { name: "d", netns } }),
      () => Macvlan.create({ name: "m", netns, parent: dead }),
      () => netns.routes.add({ destination: "10.0.0.0/8", dev: dead }),
      () => netns.neighbors.add({ dev: dead, address: "10.0.0.1", lladdr: "02:00:00:00:00:01" }),
      () => bridge.addPort(dead),
      () => bridge.port(dead),
    ];
    for (const use of uses) assertThrows(use, TypeError, `netns "netns-one" is closed`);
    assertEquals(bridge.ports().length, 0);
    assertEquals(names(netns), ["lo", "br0", "b", "a"]);
    return;
  }
});

test("NetNs.create() refuses a name that is taken, and leaves its owner alone", () => {
  using netns = NetNs.create("netns-taken");
  const before = traces();
  const error = assertThrows(() => NetNs.create("netns-taken"), SyscallError);
  assertEquals(error.code, "EEXIST");
  assertEquals(
    error.message,
    'create netns "netns-taken": File exists (EEXIST, open); ' +
      "NetNs.open() opens it, NetNs.delete() removes its name",
  );
  assertEquals(traces(), before);
  assertEquals(names(netns), ["lo"]);
});

test("NetNs.create() replaces the stale file that a crash has left", () => {
  NetNs.create("netns-first")[Symbol.dispose]();
  Deno.writeTextFileSync("/run/netns/netns-stale", "");
  assert(!NetNs.exists("netns-stale"));
  const error = assertThrows(() => NetNs.open("netns-stale"), SyscallError);
  assertEquals(
    error.message,
    'open netns "netns-stale": Invalid argument (EINVAL, setns); /run/netns/netns-stale is stale',
  );
  using netns = NetNs.create("netns-stale");
  assert(NetNs.exists("netns-stale"));
  assertEquals(names(netns), ["lo"]);
});

test("Names that would lead out of the directory, or fit no file, are refused before anything is done", () => {
  const before = traces();
  const names = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "/etc/x",
    "x/",
    "n\0n",
    "x".repeat(256),
    "ä".repeat(128),
  ];
  for (const name of names) {
    const message = 'A netns name has 1 to 255 bytes without "/" and is not "." or "..": ' +
      "got ";
    for (const call of [NetNs.create, NetNs.open, NetNs.exists, NetNs.delete]) {
      assertThrows(() => call(name), TypeError, message);
    }
    assertThrows(() => Bridge.create({ name: "br0", netns: { name } }), TypeError, message);
  }
  // deno-lint-ignore no-explicit-any
  for (const name of [7, null] as any[]) {
    assertThrows(() => NetNs.create(name), TypeError, "A netns name has 1 to 255 bytes");
  }
  assertEquals(traces(), before);
});

test("Names may be unusual: 255 bytes, spaces, umlauts, a leading dash", () => {
  for (const name of ["x".repeat(255), "with space", "ä€", "-n", "..."]) {
    using netns = NetNs.create(name);
    assertEquals(fresh(NetNs.list()), [name]);
    using same = NetNs.open(name);
    assertEquals(same.inode, netns.inode);
  }
});

test("NetNs.open() finds a namespace by process, path and handle", async () => {
  using netns = NetNs.create("netns-open");
  const child = netns.command("sleep", { args: ["60"], mounts: false }).spawn();
  const ways = [
    { pid: child.pid },
    { path: `/proc/${child.pid}/ns/net` },
    { path: "/run/netns/netns-open" },
    { name: "netns-open" },
    netns,
  ];
  for (const way of ways) {
    using same = NetNs.open(way);
    assertEquals([same.inode, same.owned], [netns.inode, false]);
    assertEquals(names(same), ["lo"]);
  }
  child.kill();
  await child.status;
});

test("NetNs.open() names the namespace that it does not find", () => {
  const refused: [() => void, string][] = [
    [
      () => NetNs.open("nowhere"),
      'open netns "nowhere": No such file or directory (ENOENT, open /run/netns/nowhere)',
    ],
    [() => NetNs.open({ pid: 2 ** 30 }), "open netns of process 1073741824: No such file"],
    [() => NetNs.open({ path: "/nowhere" }), 'open netns "/nowhere": No such file'],
  ];
  for (const [call, message] of refused) assertThrows(call, SyscallError, message);
  for (const pid of [0, -1, 1.5, NaN]) {
    assertThrows(() => NetNs.open({ pid }), TypeError, `got ${pid}`);
  }
  // deno-lint-ignore no-explicit-any
  for (const target of [undefined, null, 7, {}] as any[]) {
    assertThrows(() => NetNs.open(target), TypeError, "got");
  }
});

test("A path that is no namespace is refused", () => {
  for (const path of ["/etc/passwd", "/proc"]) {
    assertThrows(
      () => NetNs.open({ path }),
      SyscallError,
      `open netns "${path}": Invalid argument (EINVAL, setns); ${path} is no namespace`,
    );
  }
  using mounts = NetNs.open({ path: "/proc/self/ns/mnt" });
  assertThrows(
    () => mounts.run(() => 1),
    SyscallError,
    'enter netns "/proc/self/ns/mnt": Invalid argument (EINVAL, setns)',
  );
  // deno-lint-ignore no-explicit-any
  for (const path of ["", 7 as any]) assertThrows(() => NetNs.open({ path }), TypeError, "path");
});

test("NetNs.current() is the process's own namespace, and inside run() that of run()", () => {
  using own = NetNs.current();
  assertEquals(own.inode, homeNetNs().inode);
  assertEquals(own.owned, false);
  using netns = NetNs.create();
  using inside = netns.run(() => NetNs.current());
  assertEquals(inside.inode, netns.inode);
});

test("Disposing a borrowed handle leaves the namespace alone", () => {
  using netns = NetNs.create("netns-borrowed");
  {
    using _byName = NetNs.open("netns-borrowed");
    using _byHandle = NetNs.open(netns);
    using _current = netns.run(() => NetNs.current());
  }
  assert(NetNs.exists("netns-borrowed"));
  assertEquals(names(netns), ["lo"]);
});

test("persist() keeps a named namespace when its handle is disposed", () => {
  {
    using netns = NetNs.create("netns-kept").persist();
    assertEquals(netns.owned, false);
  }
  assert(NetNs.exists("netns-kept"));
  assertEquals(NetNs.delete("netns-kept"), true);
  assertEquals(NetNs.delete("netns-kept"), false);
});

test("NetNs.delete() takes the name; the namespace lives on while a handle holds it", () => {
  using netns = NetNs.create("netns-name");
  assert(NetNs.delete("netns-name"));
  assertEquals(fresh(NetNs.list()), []);
  assertEquals(names(netns), ["lo"]);
  using again = NetNs.create("netns-name");
  assertNotEquals(again.inode, netns.inode);
  // The first handle's name is another's by now.
  netns[Symbol.dispose]();
  assert(NetNs.exists("netns-name"));
});

test("Disposing twice, and using a disposed handle, is safe", () => {
  const netns = NetNs.create("netns-twice");
  netns[Symbol.dispose]();
  netns[Symbol.dispose]();
  const link = Link.get("lo");
  const uses: [operation: string, use: () => unknown][] = [
    ["run", () => netns.run(() => 1)],
    ["start", () => netns.start(() => 1)],
    ["sysctl net.x", () => netns.sysctl("net.x")],
    ["capture", () => netns.capture()],
    ["command", () => netns.command("true")],
    ["worker", () => netns.worker("data:text/javascript,")],
    ["listen", () => netns.listen({ port: 80 })],
    ["serve", () => netns.serve({ port: 80 }, () => new Response())],
    ["fetch", () => netns.fetch("http://127.0.0.1")],
    ["ping 127.0.0.1", () => netns.ping("127.0.0.1")],
    ["list processes", () => netns.pids()],
    ["list links", () => netns.links.list()],
    ["list routes", () => netns.routes.list()],
    ['get link "lo"', () => Link.get("lo", { netns })],
    ['create bridge "br0"', () => Bridge.create({ name: "br0", netns })],
    ["", () => netns.cookie],
    ["", () => netns.monitor()],
    ["", () => NetNs.open(netns)],
    ["", () => link.move(netns)],
  ];
  for (const [operation, use] of uses) {
    const error = assertThrows(use, TypeError);
    const expected = `${operation}${operation && ": "}netns "netns-twice" is closed`;
    assertEquals(error.message, expected);
  }
  assertEquals(Deno.inspect(netns), 'netns "netns-twice"');
  const current = NetNs.current();
  current[Symbol.dispose]();
  assertThrows(() => current.run(() => 1), TypeError, "run: the process's netns is closed");
  assertEquals(fresh(NetNs.list()), []);
});

test("await using waits until the namespace and the peers of its links are gone", async () => {
  for (const name of [undefined, "netns-awaited", undefined, "netns-awaited"]) {
    {
      await using netns = NetNs.create(name);
      for (let i = 0; i < 10; i++) {
        Veth.create({ name: `inside${i}`, netns, peer: { name: `leak-outside${i}` } });
      }
      assertEquals(ip(homeNetNs(), "-j link show leak-outside9").length, 1);
    }
    const left = ip(homeNetNs(), "-j link").map(({ ifname }) => String(ifname));
    assertEquals(left.filter((name) => name.startsWith("leak-")), []);
  }
});

test("await using waits for nothing when the handle is borrowed or given up", async () => {
  await using netns = NetNs.create("netns-given");
  {
    await using _borrowed = NetNs.open(netns);
    await using _own = NetNs.current();
    await using _up = NetNs.create("netns-up").persist();
  }
  assert(NetNs.exists("netns-up"));
  NetNs.delete("netns-up");
});

test("idOf() is the id by which one namespace knows another", () => {
  using a = NetNs.create();
  using b = NetNs.create("netns-b");
  const id = a.idOf(b);
  assertEquals(a.idOf(b), id);
  const veth = Veth.create({ name: "v", netns: a, peer: { name: "w", netns: b } });
  assertEquals(veth.read().linkNetnsId, id);
  assertEquals(ip(a.ref, "-j netns list-id").map(({ nsid }) => nsid), [id]);
  assertEquals(veth.peer.read().linkNetnsId, b.idOf(a));
});

test("pids() lists the processes in a namespace", async () => {
  using netns = NetNs.create("netns-pids");
  assertEquals(netns.pids(), []);
  const children = [1, 2].map(() =>
    netns.command("sleep", { args: ["60"], mounts: false }).spawn()
  );
  const pids = children.map(({ pid }) => pid).sort((a, b) => a - b);
  assertEquals(netns.pids(), pids);
  using own = NetNs.current();
  assert(own.pids().includes(Deno.pid));
  for (const child of children) {
    child.kill();
    await child.status;
  }
});

test("pids() counts a process that has one thread in the namespace", () => {
  using netns = NetNs.create();
  assertEquals(netns.run(() => netns.pids()), [Deno.pid]);
});

test("A handle prints as the namespace it stands for", () => {
  using named = NetNs.create("netns-printed");
  using current = NetNs.current();
  assertEquals(Deno.inspect(named), 'netns "netns-printed"');
  assertEquals(Deno.inspect(current), `netns ${current.inode}`);
});

test("A namespace in a scope goes with the scope, also after its handle was disposed or persisted", async () => {
  {
    await using scope = Scope.open();
    NetNs.create("netns-scoped", { scope }).persist();
    using _disposed = NetNs.create("netns-disposed", { scope });
  }
  assertEquals(fresh(NetNs.list()), []);
});
