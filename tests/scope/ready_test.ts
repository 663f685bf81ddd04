import { assert, assertEquals, assertRejects } from "@std/assert";
import { Bridge, Link, NetNs, Scope, ScopeError, Veth } from "../../mod.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A namespace where checking an address starts at once. */
function eager(scope: Scope): NetNs {
  const netns = NetNs.create(undefined, { scope });
  netns.sysctl("net.ipv6.conf.default.router_solicitation_delay", 0);
  return netns;
}

/** Brings a link up, whose addresses are checked for a fifth of a second instead of a whole one. */
function up(netns: NetNs, name: string, milliseconds = 200): void {
  netns.sysctl(`net.ipv6.neigh.${name}.retrans_time_ms`, milliseconds);
  Link.get(name, { netns }).up();
}

/** Resolves to whether a promise is still pending after a while. */
async function pends(promise: Promise<void>, milliseconds = 60): Promise<boolean> {
  return await Promise.race([promise.then(() => false), sleep(milliseconds).then(() => true)]);
}

test("ready() resolves at once when there is nothing to wait for", async () => {
  await using scope = Scope.open();
  await scope.ready();
  const netns = NetNs.create(undefined, { scope });
  Bridge.create({ scope, name: "down", netns });
  Bridge.create({ scope, name: "no-ports", netns, up: true });
  Veth.create({ scope, name: "half", netns, up: true, peer: { name: "other", netns } });
  await scope.ready({ timeout: 0 });
});

test("After ready() links carry packets: the first ping is answered at once", async () => {
  for (let i = 0; i < 5; i++) {
    await using scope = Scope.open();
    const hub = NetNs.create(undefined, { scope });
    const master = Bridge.create({ scope, name: "br0", netns: hub, up: true });
    const [a] = [1, 2].map((n) => {
      const netns = NetNs.create(undefined, { scope });
      Veth.create({
        scope,
        name: "eth0",
        netns,
        up: true,
        addresses: [`10.0.0.${n}/24`],
        peer: { name: `port${n}`, master, up: true },
      });
      return netns;
    });
    await scope.ready();
    const info = master.read();
    assertEquals([info.carrier, info.operstate], [true, "up"]);
    for (const port of master.ports()) assertEquals(port.options().state, "forwarding");
    assertEquals((await a!.ping("10.0.0.2", { timeout: 900 })).received, 1);
  }
});

test("ready() waits for carriers and for ports to forward, and names those that do not", async () => {
  await using scope = Scope.open();
  const netns = NetNs.create(undefined, { scope });
  const master = Bridge.create({ scope, name: "br0", netns, up: true });
  Veth.create({ scope, name: "p", netns, master, up: true, peer: { name: "q", netns, up: true } });
  await scope.ready();
  for (const [state, name] of [[1, "listening"], [2, "learning"]] as const) {
    run(netns.ref, `bridge link set dev p state ${state}`);
    const error = await assertRejects(() => scope.ready({ timeout: 30 }), ScopeError);
    assertEquals(
      error.message,
      `Not ready after 30 ms: bridge "br0" has no carrier, veth "p" is a port in state ${name}`,
    );
  }
  const ready = scope.ready();
  assert(await pends(ready));
  run(netns.ref, "bridge link set dev p state 3");
  await ready;
});

test("ready() does not wait for a port that is blocked for good", async () => {
  await using scope = Scope.open();
  const netns = NetNs.create(undefined, { scope });
  const master = Bridge.create({ scope, name: "br0", netns, up: true });
  Veth.create({ scope, name: "p", netns, master, up: true, peer: { name: "q", netns, up: true } });
  Veth.create({ scope, name: "r", netns, master, up: true, peer: { name: "s", netns, up: true } });
  await scope.ready();
  run(netns.ref, "bridge link set dev p state 4");
  await scope.ready({ timeout: 0 });
});

test("ready() waits for the check of IPv6 addresses given at creation", async () => {
  await using scope = Scope.open();
  const [a, b] = [eager(scope), eager(scope)];
  const veth = Veth.create({
    scope,
    name: "eth0",
    netns: a,
    addresses: ["fd00::1/64"],
    peer: { name: "eth0", netns: b, addresses: ["fd00::2/64"] },
  });
  for (const netns of [a, b]) up(netns, "eth0", 1000);
  for (const end of [veth, veth.peer]) await end.waitFor(({ operstate }) => operstate === "up");
  const error = await assertRejects(() => scope.ready({ timeout: 0 }), ScopeError);
  assertEquals(
    error.message,
    'Not ready after 0 ms: veth "eth0" is checking that fd00::1/64 is unused, ' +
      'veth "eth0" is checking that fd00::2/64 is unused',
  );
  await scope.ready();
  for (const netns of [a, b]) {
    const words = "-j -6 address show dev eth0 scope global tentative";
    assertEquals(ip(netns.ref, words), []);
  }
  assertEquals((await a.ping("fd00::2")).received, 1);
});

test("ready() does not wait where nodad is given", async () => {
  await using scope = Scope.open();
  const netns = NetNs.create(undefined, { scope });
  Veth.create({
    scope,
    name: "a",
    netns,
    up: true,
    nodad: true,
    addresses: ["fd00::1/64"],
    peer: { name: "b", netns, up: true, nodad: true, addresses: ["fd00::2/64"] },
  });
  // No address is ever checked: a check takes a second.
  assertEquals(ip(netns.ref, "-j -6 address show tentative"), []);
  await scope.ready();
  assertEquals(ip(netns.ref, "-j -6 address show tentative"), []);
});

test("ready() fails at once when another host has an address", async () => {
  await using scope = Scope.open();
  const [a, b] = [eager(scope), eager(scope)];
  Veth.create({
    scope,
    name: "eth0",
    netns: a,
    addresses: ["fd00::1/64"],
    peer: { name: "eth0", netns: b, up: true, nodad: true, addresses: ["fd00::1/64"] },
  });
  // The other end may not have noticed its carrier yet when it is asked for the first time.
  a.sysctl("net.ipv6.conf.eth0.dad_transmits", 3);
  up(a, "eth0");
  const error = await assertRejects(() => scope.ready(), ScopeError);
  assertEquals(error.message, 'veth "eth0" cannot use fd00::1/64: another host has this address');
});

test("ready() stops when its signal says so", async () => {
  await using scope = Scope.open();
  const netns = eager(scope);
  const peer = { name: "b", netns, up: true };
  Veth.create({ scope, name: "a", netns, up: true, addresses: ["fd00::1/64"], peer });
  const controller = new AbortController();
  const ready = scope.ready({ signal: controller.signal });
  await sleep(5);
  controller.abort(new Error("enough"));
  await assertRejects(() => ready, Error, "enough");
  await assertRejects(() => scope.ready({ signal: controller.signal }), Error, "enough");
});

test("ready() passes over links that are gone, moved or closed, and waits where a link went", async () => {
  await using scope = Scope.open();
  const [netns, other] = [eager(scope), eager(scope)];
  const create = (name: string, addresses: string[]) =>
    Veth.create({
      scope,
      name,
      netns,
      up: true,
      addresses,
      peer: { name: `${name}-peer`, netns, up: true },
    });
  create("deleted", ["fd00::1/64"]).delete();
  create("moved", ["fd00::2/64"]).move(other);
  {
    using _closed = create("closed", ["fd00::3/64"]);
  }
  await scope.ready({ timeout: 0 });

  using moved = Link.get("moved", { netns: other });
  const master = Bridge.create({ scope, name: "br0", netns: other, up: true });
  moved.set({ master, up: true });
  await scope.ready();
  run(other.ref, "bridge link set dev moved state 1");
  await assertRejects(() => scope.ready({ timeout: 0 }), ScopeError, 'veth "moved" is a port in');
});

test("ready() waits for links in a namespace whose handle the caller has closed", async () => {
  using kept = NetNs.create();
  await using scope = Scope.open();
  {
    using handle = NetNs.open(kept);
    const peer = { name: "b", netns: handle, up: true };
    Veth.create({ scope, name: "a", netns: handle, up: true, addresses: ["fd00::1/64"], peer });
  }
  await assertRejects(() => scope.ready({ timeout: 0 }), ScopeError, 'veth "a" is checking');
});

test("ready() does not wait for IPv6 addresses of links that are down or have no carrier", async () => {
  await using scope = Scope.open();
  const netns = NetNs.create(undefined, { scope });
  const end = { netns, addresses: ["fd00::1/64"] };
  Veth.create({ ...end, scope, name: "a", peer: { name: "b", netns } });
  Veth.create({ ...end, scope, name: "c", up: true, peer: { name: "d", netns } });
  await scope.ready({ timeout: 0 });
});

test("After ready() the first IPv6 ping is answered at once, with nodad too", async () => {
  for (let i = 0; i < 10; i++) {
    await using scope = Scope.open();
    const [a, b] = [NetNs.create(undefined, { scope }), NetNs.create(undefined, { scope })];
    const end = { name: "eth0", up: true, nodad: true };
    Veth.create({
      ...end,
      scope,
      netns: a,
      addresses: ["fd00::1/64"],
      peer: { ...end, netns: b, addresses: ["fd00::2/64"] },
    });
    await scope.ready();
    assertEquals((await a.ping("fd00::2", { timeout: 900 })).received, 1);
  }
});
