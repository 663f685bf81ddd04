import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { homeNetNs } from "../../ffi/namespace.ts";
import {
  Bridge,
  Link,
  NetNs,
  Scope,
  ScopeError,
  SyscallError,
  type TraceMessage,
  Veth,
} from "../../mod.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { deleteGroup } from "../../src/scope/removal.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { fresh, machine, records } from "../machine.ts";
import { script } from "../script.ts";

/** Where the processor is emulated, a few of many will do. */
const IN_GUEST = Deno.env.has("NETLOOM_GUEST");

const names = (netns: NetNs) => netns.links.list().map(({ name }) => name);

/** How many messages delete links. */
const deletions = (messages: TraceMessage[]) =>
  messages.filter(({ type }) => type === "RTM_DELLINK").length;

/** Pairs with both ends in one namespace. */
function pairs(scope: Scope, count: number, netns?: NetNs): void {
  const where = netns ? { netns } : {};
  for (let i = 0; i < count; i++) {
    Veth.create({ scope, name: `a${i}`, ...where, peer: { name: `b${i}`, ...where } });
  }
}

test("Scope removes hundreds of links of another's namespace with one message", async () => {
  using netns = NetNs.create();
  const before = machine(netns.ref);
  const messages: TraceMessage[] = [];
  {
    await using scope = Scope.open({ trace: (message) => messages.push(message) });
    pairs(scope, 150, netns);
    assertEquals(netns.links.list({ group: scope.group }).length, 300);
    messages.length = 0;
  }
  assertEquals(deletions(messages), 1);
  assertEquals(machine(netns.ref), before);
});

test("Scope removes links of the process's own namespace with one message", async () => {
  const before = machine();
  const messages: TraceMessage[] = [];
  {
    await using scope = Scope.open({ trace: (message) => messages.push(message) });
    const bridge = Bridge.create({ scope, name: "leakbr" });
    pairs(scope, 20);
    bridge.addPort("a0");
    assertEquals(bridge.ports().length, 1);
    messages.length = 0;
  }
  assertEquals(deletions(messages), 1);
  assertEquals(machine(), before);
});

test("Scope drops its own namespaces with all their links, without a message for them", async () => {
  const before = machine();
  const messages: TraceMessage[] = [];
  {
    await using scope = Scope.open({ trace: (message) => messages.push(message) });
    pairs(scope, 20, NetNs.create(undefined, { scope }));
    pairs(scope, 20, NetNs.create("scope-own", { scope }));
    messages.length = 0;
  }
  assertEquals(deletions(messages), 0);
  assertEquals(machine(), before);
});

test("Scope removes its links in foreign namespaces, found by name, process and path, and leaves those", async () => {
  ip(homeNetNs(), "netns add scope-foreign");
  try {
    const sleep = (netns: NetNs) => netns.command("sleep", { args: ["60"], mounts: false }).spawn();
    using foreign = NetNs.open("scope-foreign");
    Bridge.create({ name: "theirs", netns: foreign });
    using other = NetNs.create();
    const child = sleep(other);
    const before = machine(other.ref);
    {
      await using scope = Scope.open();
      const netns = NetNs.create(undefined, { scope });
      Veth.create({
        scope,
        name: "a",
        netns: { name: "scope-foreign" },
        peer: { name: "b", netns: { pid: child.pid } },
      });
      Veth.create({
        scope,
        name: "c",
        netns: { path: "/run/netns/scope-foreign" },
        peer: { name: "d", netns },
      });
      assertEquals(names(foreign), ["lo", "theirs", "a", "c"]);
      assertEquals(names(other), ["lo", "b"]);
    }
    assertEquals(machine(other.ref), before);
    child.kill();
    await child.status;
  } finally {
    ip(homeNetNs(), "netns del scope-foreign");
  }
});

test("Scope removes its links when the caller closed the namespace's handle before", async () => {
  using netns = NetNs.create();
  {
    await using scope = Scope.open();
    {
      using handle = NetNs.open(netns);
      pairs(scope, 2, handle);
    }
    assertEquals(names(netns).length, 5);
  }
  assertEquals(names(netns), ["lo"]);
});

test("Scope tolerates namespaces, links and handles that are gone already", async () => {
  await using scope = Scope.open();
  const closed = NetNs.create("scope-closed", { scope });
  pairs(scope, 1, closed);
  closed[Symbol.dispose]();
  assertEquals(NetNs.exists("scope-closed"), false);
  NetNs.create("scope-deleted", { scope });
  ip(homeNetNs(), "netns del scope-deleted");
  Bridge.create({ scope, name: "leakbr0" });
  ip(homeNetNs(), "link del leakbr0");
  {
    using bridge = Bridge.create({ scope, name: "leakbr1" });
    assert(bridge.owned);
  }
  Bridge.create({ scope, name: "leakbr2" });
  ip(homeNetNs(), "link set leakbr2 name leakbr3");
});

test("Scope leaves a name alone that now leads to another namespace", async () => {
  try {
    {
      await using scope = Scope.open();
      NetNs.create("scope-taken", { scope });
      using handle = NetNs.create("scope-taken2");
      assert(handle.owned);
      for (const name of ["scope-taken", "scope-taken2"]) {
        ip(homeNetNs(), `netns del ${name}`);
        ip(homeNetNs(), `netns add ${name}`);
      }
    }
    assertEquals(fresh(NetNs.list()), ["scope-taken", "scope-taken2"]);
  } finally {
    NetNs.delete("scope-taken");
    NetNs.delete("scope-taken2");
  }
});

test("Scope removes a link that was moved to a namespace it had nothing in", async () => {
  using target = NetNs.create("scope-target");
  {
    await using scope = Scope.open();
    const netns = NetNs.create(undefined, { scope });
    const veth = Veth.create({ scope, name: "a", netns, peer: { name: "b" } });
    Link.get("b").move(target);
    veth.move({ name: "scope-target" });
    assertEquals(scope.links.map(({ ref, what }) => [ref.inode === target.inode, what]), [
      [true, 'veth "b"'],
      [true, 'veth "a"'],
    ]);
    assertEquals(names(target).sort(), ["a", "b", "lo"]);
  }
  assertEquals(names(target), ["lo"]);
});

test("Scope removes the rest when a link of its group cannot be deleted, and says so", async () => {
  using netns = NetNs.create();
  const scope = Scope.open();
  pairs(scope, 3, netns);
  Link.get("lo", { netns }).set({ group: scope.group });
  const error = await assertRejects(() => scope[Symbol.asyncDispose](), Error);
  assertEquals(error.message.includes("EOPNOTSUPP"), true, error.message);
  assertEquals([names(netns), scope.closed], [["lo"], false]);
  Link.get("lo", { netns }).set({ group: 0 });
  scope.close();
  assert(scope.closed);
});

test("Scope first disposes the resources handed to use(), the last one first", async () => {
  const order: number[] = [];
  {
    await using scope = Scope.open();
    for (const n of [1, 2]) scope.use({ [Symbol.dispose]: () => void order.push(n) });
  }
  assertEquals(order, [2, 1]);
});

test("Scope closes everything and throws all errors when several things fail", () => {
  const scope = Scope.open();
  Bridge.create({ scope, name: "leakbr" });
  for (const n of [1, 2]) {
    scope.use({
      [Symbol.dispose]() {
        throw new Error(`number ${n}`);
      },
    });
  }
  const error = assertThrows(() => scope.close(), AggregateError);
  assertEquals(error.errors.map(({ message }) => message), ["number 2", "number 1"]);
  scope.close();
});

test("A closed scope refuses new objects, and nothing is created", () => {
  const scope = Scope.open();
  scope.close();
  const before = machine();
  const closed = "The scope is closed";
  assertThrows(() => NetNs.create("scope-late", { scope }), TypeError, closed);
  assertThrows(() => NetNs.create(undefined, { scope }), TypeError, closed);
  assertThrows(() => Bridge.create({ scope, name: "late" }), TypeError, closed);
  const veth = { scope, name: "late", peer: { name: "late2" } };
  assertThrows(() => Veth.create(veth), TypeError, closed);
  assertThrows(() => scope.use({ [Symbol.dispose]() {} }), TypeError, closed);
  assertThrows(() => void scope.ready(), TypeError, closed);
  assertEquals(machine(), before);
});

test("Scope names the process that holds a namespace, having removed its name and links", async () => {
  const before = machine();
  const scope = Scope.open();
  const netns = NetNs.create("scope-held", { scope });
  Veth.create({ scope, name: "a", netns, peer: { name: "leak-b" } });
  const child = netns.command("sleep", { args: ["60"] }).spawn();
  const error = await assertRejects(() => scope[Symbol.asyncDispose](), ScopeError);
  assertEquals(
    error.message,
    `Cannot remove netns "scope-held": held by process ${child.pid}`,
  );
  assertEquals(machine(), before);
  child.kill();
  await child.status;
});

test("Scope names the process that has a namespace open, though nothing runs in it", async () => {
  const scope = Scope.open();
  NetNs.create("scope-opened", { scope });
  const child = new Deno.Command("sh", {
    args: ["-c", "exec 9</run/netns/scope-opened; echo open; exec sleep 60"],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  const error = await assertRejects(() => scope[Symbol.asyncDispose](), ScopeError);
  assertEquals(
    error.message,
    `Cannot remove netns "scope-opened": held by a descriptor of process ${child.pid}`,
  );
  child.kill();
  await child.status;
  await reader.cancel();
});

test("Scope says when this process itself holds a namespace", async () => {
  const scope = Scope.open();
  const netns = NetNs.create(undefined, { scope });
  using _handle = NetNs.open(netns);
  const error = await assertRejects(() => scope[Symbol.asyncDispose](), ScopeError);
  assertEquals(
    error.message,
    `Cannot remove ${netns.ref.label}: held by a descriptor of this process (a NetNs handle)`,
  );
});

test("A group is refused inside a scope", async () => {
  await using scope = Scope.open();
  assertThrows(
    () => Bridge.create({ scope, name: "leakbr", group: 7 }),
    TypeError,
    'group 7 of link "leakbr": links of a scope are in the scope\'s group',
  );
  const options = { scope, name: "a", peer: { name: "b", group: 0 } };
  assertThrows(() => Veth.create(options), TypeError, 'group 0 of link "b"');
});

test("The group of a scope's link cannot be changed, and that of others can", async () => {
  using netns = NetNs.create();
  const other = Bridge.create({ name: "other", netns });
  {
    await using scope = Scope.open();
    const veth = Veth.create({ scope, name: "a", netns, peer: { name: "b", netns } });
    const group = () => ip(netns.ref, "-j link").map((link) => link.group);
    const before = group();
    const message = (name: string) =>
      `group 7 of veth "${name}": a scope owns the link, and links of a scope are in the scope's group`;
    assertThrows(() => veth.set({ group: 7 }), TypeError, message("a"));
    assertThrows(() => veth.peer.set({ mtu: 1400, group: 7 }), TypeError, message("b"));
    assertThrows(() => Link.get("b", { netns }).set({ group: 7 }), TypeError, message("b"));
    assertThrows(
      () => netns.run(() => Link.get("a").set({ group: 7 })),
      TypeError,
      message("a"),
    );
    assertEquals([group(), veth.peer.read().mtu], [before, 1500]);
    veth.set({ group: scope.group, mtu: 1400 });
    other.set({ group: 7 });
    // Another link of the index that one of the scope had in another namespace.
    using foreign = NetNs.create();
    const same = Bridge.create({ name: "c", netns: foreign, index: veth.index });
    same.set({ group: scope.group }).set({ group: 7 });
    assertEquals([other.read().group, same.read().group], [7, 7]);
  }
  assertEquals(names(netns), ["lo", "other"]);
});

test("The links of group 0 are never deleted as a group", () => {
  const before = machine();
  assertThrows(() => deleteGroup(connectionTo(homeNetNs()), 0), RangeError);
  assertEquals(machine(), before);
});

test("Scope removes a link that others have taken out of its group, and no other link of that index", async () => {
  using netns = NetNs.create();
  const scope = Scope.open();
  for (const name of ["regrouped", "replaced"]) {
    Bridge.create({ scope, name, netns });
    ip(netns.ref, `link set ${name} group 7`);
  }
  const { index } = Link.get("replaced", { netns });
  ip(netns.ref, "link del replaced");
  ip(netns.ref, `link add stranger index ${index} type bridge`);
  await scope[Symbol.asyncDispose]();
  assertEquals(names(netns), ["lo", "stranger"]);
});

test("Scope keeps its record after a refused step, and close() can be called again until all is gone", async () => {
  const before = machine();
  const scope = Scope.open({ name: "refused" });
  NetNs.create("scope-kept", { scope });
  Bridge.create({ scope, name: "leakbr" });
  const remount = (mode: string) => run(homeNetNs(), `mount -o remount,bind,${mode} /run/netns`);
  remount("ro");
  try {
    for (let i = 0; i < 2; i++) {
      assertThrows(() => scope.close(), SyscallError, "remove /run/netns/scope-kept: ");
      assertEquals([scope.closed, records()], [false, ["refused.jsonl"]]);
      assertThrows(() => Bridge.create({ scope, name: "late" }), TypeError, "The scope is closed");
    }
    await assertRejects(() => scope[Symbol.asyncDispose](), SyscallError, "EROFS");
  } finally {
    remount("rw");
  }
  await scope[Symbol.asyncDispose]();
  assertEquals([scope.closed, records()], [true, []]);
  assertEquals(machine(), before);
});

/** A program that has no descriptor left when it removes what it has made. */
const exhausted = (make: string, remove: string) => `
  import { Bridge, NetNs, Scope, Veth } from "./mod.ts";
  ${make}
  const files = [];
  try {
    for (;;) files.push(Deno.openSync("/dev/null"));
  } catch (error) {
    if (!String(error).includes("os error 24")) throw error;
  }
  ${remove}
  for (const file of files) file.close();
  console.log("removed");
`;

test("Scope and await using remove everything when no descriptor is free", async () => {
  using foreign = NetNs.create("scope-foreign");
  const before = machine(foreign.ref);
  const lab = `
    const scope = Scope.open({ name: "exhausted" });
    const netns = NetNs.create("scope-exhausted", { scope });
    const unnamed = NetNs.create({ scope });
    Veth.create({ scope, name: "a", netns, peer: { name: "leak-b", netns: { name: "scope-foreign" } } });
    Veth.create({ scope, name: "c", netns: unnamed, peer: { name: "leak-d" } });`;
  const single = `
    const netns = NetNs.create("scope-exhausted");
    Veth.create({ name: "a", netns, peer: { name: "leak-b" } });`;
  const programs = [
    exhausted(lab, "await scope[Symbol.asyncDispose]();"),
    exhausted(lab, "scope.close();"),
    exhausted(single, "await netns[Symbol.asyncDispose]();"),
    exhausted(single, "netns[Symbol.dispose]();"),
  ];
  for (const program of programs) {
    const { code, stdout, stderr } = await script(program, { through: ["prlimit", "--nofile=60"] });
    assertEquals([code, stdout, stderr], [0, "removed\n", ""], program);
    assertEquals(records(), []);
    await new Promise((resolve) => setTimeout(resolve, 300)); // close() does not wait for the kernel
    assertEquals(machine(foreign.ref), before);
  }
});

test("Scope removes a thousand namespaces on one bridge within 5 seconds", async () => {
  const scope = Scope.open();
  const hub = NetNs.create({ scope });
  hub.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
  const master = Bridge.create({ scope, name: "br0", netns: hub, up: true });
  const count = IN_GUEST ? 50 : 1000;
  for (let i = 0; i < count; i++) {
    const netns = NetNs.create({ scope, loopback: false });
    const peer = { name: `port${i}`, master, up: true };
    Veth.create({ scope, name: "eth0", netns, up: true, peer });
  }
  const started = performance.now();
  await scope[Symbol.asyncDispose]();
  const took = performance.now() - started;
  assert(took < 5000, `it took ${took} ms`);
});

test("Scope blames no process that is in another namespace than the one that is being removed", async () => {
  // The kernel may give the inode of a namespace that is gone to the next one.
  await using others = new AsyncDisposableStack();
  const scope = Scope.open();
  for (let i = 0; i < 20; i++) NetNs.create({ scope });
  const removed = scope[Symbol.asyncDispose]();
  for (let i = 0; i < 20; i++) {
    const child = others.use(NetNs.create()).command("sleep", { args: ["60"], mounts: false })
      .spawn();
    others.defer(async () => {
      child.kill();
      await child.status;
    });
  }
  await removed;
});

test("The peer of a found veth does not keep the namespace of a scope from its removal", async () => {
  await using scope = Scope.open();
  const [a, b] = [NetNs.create(undefined, { scope }), NetNs.create(undefined, { scope })];
  Veth.create({ scope, name: "v0", netns: a, peer: { name: "v1", netns: b } });
  const found = Link.get("v0", { netns: a }) as Veth;
  assertEquals([found.peer.name, found.peer.ref.label], ["v1", b.ref.label]);
  await scope[Symbol.asyncDispose]();
  assertThrows(() => found.peer.read(), TypeError, "is closed");
});

test("The handle of a link that keeps a namespace of a scope is named", async () => {
  const scope = Scope.open();
  const netns = NetNs.create("teardown-held", { scope });
  Veth.create({ scope, name: "v0", netns, peer: { name: "v1", netns } });
  const held = Link.get("v0", { netns: { name: "teardown-held" } });
  const error = await assertRejects(() => scope[Symbol.asyncDispose](), ScopeError);
  assertEquals(
    error.message,
    'Cannot remove netns "teardown-held": held by a descriptor of this process (the handle of veth ' +
      '"v0"), a socket of this process',
  );
  held[Symbol.dispose]();
  await scope[Symbol.asyncDispose]();
});
