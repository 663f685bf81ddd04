import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { homeNetNs } from "../../ffi/namespace.ts";
import {
  Bridge,
  Link,
  NetlinkError,
  NetNs,
  trace,
  UnsupportedError,
  Veth,
  Vxlan,
} from "../../mod.ts";
import { ip, run } from "../helpers.ts";
import { test, traces } from "../leaks.ts";

const names = (netns: NetNs) => ip(netns.ref, "-j link").map(({ ifname }) => ifname);

/** A pair in one namespace. */
function pair(netns: NetNs, name = "v0"): Veth {
  return Veth.create({ name, netns, peer: { name: `${name}-peer`, netns } });
}

test("Link.get() finds a link by name, alternative name and index; the handle is borrowed", () => {
  using netns = NetNs.create();
  const veth = pair(netns).addAltNames(
    "other",
    "a name that is longer than fifteen bytes".replaceAll(" ", "-"),
  );
  for (const selector of ["v0", "other", "a-name-that-is-longer-than-fifteen-bytes", veth.index]) {
    using link = Link.get(selector, { netns });
    assertEquals([link.index, link.name, link.kind, link.owned], [veth.index, "v0", "veth", false]);
  }
  assertEquals(names(netns), ["lo", "v0-peer", "v0"]);
  using lo = Link.get("lo", { netns });
  assertEquals([lo.index, lo.kind], [1, undefined]);
  using byTable = netns.links.get("v0");
  assertEquals(byTable.index, veth.index);
});

test("Link.get() says what it does not find, and where it looked", () => {
  using netns = NetNs.create("link-get");
  for (const selector of ["none", "a-name-that-is-longer-than-fifteen-bytes", 4711]) {
    const error = assertThrows(() => Link.get(selector, { netns }), NetlinkError);
    assertEquals(error.code, "ENODEV");
    assertEquals(
      error.message,
      `get link ${JSON.stringify(selector)} in netns "link-get": No such device (ENODEV)`,
    );
  }
  for (const selector of ["", "a/b", "a b", 0, -1, 1.5, NaN, null, undefined, {}]) {
    const error = assertThrows(() => Link.get(selector as string, { netns }), Error);
    assert(error instanceof TypeError || error instanceof RangeError, `${selector}: ${error}`);
  }
  assertThrows(() => Bridge.get("lo", { netns }), TypeError, 'Link "lo" is not a bridge');
});

test("rename() changes the name in the kernel and in the handle; a taken name is refused", () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  assertEquals(veth.rename("w0").name, "w0");
  assertEquals(names(netns), ["lo", "v0-peer", "w0"]);
  const error = assertThrows(() => veth.rename("v0-peer"), NetlinkError);
  assertEquals([error.code, veth.name], ["EEXIST", "w0"]);
  for (const name of ["", "sixteen-bytes-xx", "a b", "a/b", "a:b", "%d", ".", ".."]) {
    const error = assertThrows(() => veth.rename(name), Error);
    assert(error instanceof TypeError || error instanceof RangeError, `${error}`);
  }
  assertEquals(veth.read().name, "w0");
});

test("read() notices a name that somebody else has given", () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  run(netns.ref, "ip link set dev v0 name w0");
  assertEquals([veth.name, veth.read().name, veth.name], ["v0", "w0", "w0"]);
});

test("Alternative names are added and removed, as ip shows them", () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  const shown = () => ip(netns.ref, "-j link show dev v0")[0]!.altnames ?? [];
  const long = "x".repeat(127);
  veth.addAltNames("first", long, "dritter-Straße");
  assertEquals(shown(), ["first", long, "dritter-Straße"]);
  assertEquals(veth.read().altNames, ["first", long, "dritter-Straße"]);
  veth.deleteAltNames(long, "first");
  assertEquals(shown(), ["dritter-Straße"]);
  run(netns.ref, "ip link property add dev v0 altname by-ip");
  assertEquals(veth.read().altNames, ["dritter-Straße", "by-ip"]);
  assertThrows(() => veth.addAltNames("by-ip"), NetlinkError, "EEXIST");
  assertThrows(() => veth.deleteAltNames("none"), NetlinkError, "ENOENT");
  const before = veth.read();
  for (const name of ["", "x".repeat(128), "a b", "a/b"]) {
    assertThrows(() => veth.addAltNames("good", name), Error, "altNames");
  }
  assertEquals(veth.read().altNames, before.altNames);
});

test("move() takes a link to another namespace, where the handle follows it to its new index", () => {
  using here = NetNs.create();
  using there = NetNs.create("link-there");
  pair(there, "busy");
  const veth = pair(here);
  veth.set({ up: true, mtu: 1400 }).addresses.add("10.0.0.1/24");
  const index = veth.index;
  // Its index is taken there.
  while (there.links.list().every((link) => link.index !== index)) {
    pair(there, `busy${there.links.list().length}`);
  }
  assertEquals(veth.move(there), veth);
  assertEquals(names(here), ["lo", "v0-peer"]);
  assertNotEquals(veth.index, index);
  const { mtu, up } = veth.read();
  assertEquals([mtu, up, veth.addresses.list().length], [1400, false, 0]);
  assertEquals(veth.ref.inode, there.inode);
  for (
    const target of [{ path: `/proc/self/fd/${here.ref.fd.value}` }, { name: "link-there" }, here]
  ) {
    veth.move(target).set({ alias: "still mine" });
  }
  assertEquals(names(here), ["lo", "v0-peer", "v0"]);
  veth.move(here);
  veth.delete();
  assertEquals(names(here), ["lo"]);
});

test("move() fails without a trace when the name is taken there, or the link is bound to its place", () => {
  using here = NetNs.create();
  using there = NetNs.create();
  const veth = pair(here);
  pair(there);
  const before = traces();
  assertThrows(() => veth.move(there), NetlinkError, "EEXIST");
  assertThrows(() => Link.get("lo", { netns: here }).move(there), NetlinkError, "EINVAL");
  assertThrows(() => veth.move({ name: "none" }), Error, 'netns "none"');
  assertEquals([veth.ref, veth.read().name], [here.ref, "v0"]);
  assertEquals(traces(), before);
});

test("delete() removes a link, and a second time there is none", () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  veth.delete();
  assertEquals(names(netns), ["lo"]);
  assertThrows(() => veth.delete(), NetlinkError, 'delete veth "v0"');
  assertThrows(() => veth.read(), NetlinkError, "ENODEV");
  assertThrows(() => Link.get("lo", { netns }).delete(), NetlinkError, "EOPNOTSUPP");
});

test("Disposing an owning handle deletes its link; a borrowed one leaves it", () => {
  using netns = NetNs.create();
  {
    using veth = pair(netns);
    using _borrowed = Link.get("v0", { netns });
    using _peer = veth.peer;
  }
  assertEquals(names(netns), ["lo"]);
  {
    using kept = pair(netns).persist();
    assert(!kept.owned);
  }
  {
    using _borrowed = Link.get("v0", { netns });
    using _bridge = Bridge.create({ name: "br0", netns });
  }
  assertEquals(names(netns), ["lo", "v0-peer", "v0"]);
});

test("Disposing tolerates that link, namespace or handle are gone", () => {
  const netns = NetNs.create();
  {
    using deleted = pair(netns, "a");
    using byPeer = pair(netns, "b");
    using twice = pair(netns, "c");
    using outside = pair(netns, "d");
    deleted.delete();
    byPeer.peer.delete();
    twice[Symbol.dispose]();
    run(netns.ref, "ip link delete dev d");
    assert(!deleted.owned && !outside.owned === false);
  }
  using last = pair(netns);
  netns[Symbol.dispose]();
  last[Symbol.dispose]();
});

test("Disposing does not delete another link that has got the index since", () => {
  using netns = NetNs.create();
  const add = (name: string, kind: string, index: number) =>
    run(netns.ref, `ip link add name ${name} index ${index} type ${kind}`);
  for (const [name, kind] of [["other", "bridge"], ["br0", "ifb"]] as const) {
    {
      using bridge = Bridge.create({ name: "br0", netns });
      const { index } = bridge;
      run(netns.ref, "ip link delete dev br0");
      add(name, kind, index);
    }
    assertEquals(names(netns), ["lo", name]);
    run(netns.ref, `ip link delete dev ${name}`);
  }
});

test("A handle whose namespace was opened for it closes it: disposed, deleted, or when creating fails", () => {
  using netns = NetNs.create("link-opened");
  const target = { name: "link-opened" };
  const before = traces();
  Bridge.create({ name: "a", netns: target }).delete();
  Bridge.create({ name: "b", netns: target })[Symbol.dispose]();
  Bridge.create({ name: "c", netns: target }).persist()[Symbol.dispose]();
  Link.get("c", { netns: target })[Symbol.dispose]();
  assertThrows(() => Bridge.create({ name: "c", netns: target }), NetlinkError);
  assertThrows(() => Link.get("none", { netns: target }), NetlinkError);
  assertThrows(() => Bridge.get("lo", { netns: target }), TypeError);
  Link.get("c", { netns: target }).delete();
  assertEquals(traces(), before);
  assertEquals(names(netns), ["lo"]);
});

test("stats() counts what goes through", async () => {
  using netns = NetNs.create();
  using lo = Link.get("lo", { netns });
  const before = lo.stats();
  await netns.ping("127.0.0.1", { count: 2, interval: 1, size: 100 });
  const after = lo.stats();
  assertEquals([after.rxPackets - before.rxPackets, after.txPackets - before.txPackets], [4, 4]);
  assertEquals(after.rxBytes - before.rxBytes, 4 * (20 + 8 + 100));
});

test("Link.create() makes a link of a kind given by name", () => {
  using netns = NetNs.create();
  const bridge = Link.create({
    kind: "bridge",
    name: "br0",
    netns,
    options: { stp: true },
    mtu: 1400,
  });
  assertEquals([bridge.kind, bridge.owned, bridge.read().mtu], ["bridge", true, 1400]);
  assertEquals(Bridge.get("br0", { netns }).options().stp, true);
  const vxlan = Link.create({ kind: "vxlan", name: "vx0", netns, options: { id: 42 } });
  assert(vxlan instanceof Vxlan);
  assertEquals(run(netns.ref, "ip -d link show vx0").includes("vxlan id 42 "), true);
  Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
  using other = NetNs.create();
  const macvlan = { kind: "macvlan", netns, options: { mode: "bridge" } } as const;
  const parents = ["v0", Link.get("v0", { netns }).index, Link.get("v0", { netns })];
  parents.forEach((parent, i) => {
    const link = Link.create({ ...macvlan, name: `m${i}`, parent });
    assertEquals(link.read().parent, Link.get("v0", { netns }).index);
  });
  const far = Link.create({ ...macvlan, netns: other, name: "far", parent: parents[2]! });
  const { parent, linkNetnsId } = far.read();
  assertEquals([parent, linkNetnsId], [Link.get("v0", { netns }).index, other.idOf(netns)]);
});

test("Link.create() refuses options without which no link can exist, and says why", () => {
  using netns = NetNs.create("link-create");
  const before = traces();
  const base = { kind: "bridge", name: "br0", netns };
  const refused: [object, string][] = [
    [{ ...base, kind: "" }, 'kind must be the name of a link kind: got ""'],
    [{ ...base, kind: undefined }, "kind must be the name of a link kind"],
    [{ ...base, colour: 1 }, 'Unknown option "colour"'],
    [{ ...base, options: { colour: 1 } }, 'Unknown option "options.colour"'],
    [{ ...base, data: {} }, 'Unknown option "data"'],
    [{ ...base, name: undefined }, "name is missing: a link needs a name"],
    [{ ...base, parent: "none" }, 'Unknown option "parent"'],
    [{ ...base, kind: "macvlan", parent: "none" }, 'find parent "none" in netns "link-create"'],
  ];
  for (const [options, message] of refused) {
    assertThrows(() => Link.create(options as never), Error, message);
  }
  const error = assertThrows(() => Link.create({ ...base, kind: "no-such" }), NetlinkError);
  assertEquals([error instanceof UnsupportedError, error.code], [true, "EOPNOTSUPP"]);
  assertEquals(traces(), before);
  assertEquals(names(netns), ["lo"]);
});

test("A link is made with one send, and with a second one where the kernel ignores something", () => {
  using netns = NetNs.create();
  const types: string[] = [];
  using _trace = trace(({ type }) => types.push(type));
  const made = (options: object) => {
    types.length = 0;
    Link.create({ kind: "bridge", name: "br0", netns, ...options })[Symbol.dispose]();
    // Disposing reads the link, and deletes it.
    return types.slice(0, -2).map((type) => type.replace("RTM_", "")).join(" ");
  };
  assertEquals(made({ mtu: 1400, up: true }), "NEWLINK GETLINK");
  assertEquals(made({ alias: "x" }), "NEWLINK GETLINK NEWLINK GETLINK");
  assertEquals(
    made({ altNames: ["x", "y"], addresses: ["10.0.0.1/24", "fd00::1/64"], up: true }),
    "NEWLINK GETLINK NEWLINKPROP NEWADDR NEWADDR GETLINK",
  );
});

test("A handle prints as the link it stands for", () => {
  using netns = NetNs.create("link-printed");
  const veth = pair(netns);
  assertEquals(Deno.inspect(veth), `veth "v0" (index ${veth.index}) in netns "link-printed"`);
  assertEquals(
    Deno.inspect(Link.get("lo", { netns: { ref: homeNetNs() } })),
    'link "lo" (index 1)',
  );
});
