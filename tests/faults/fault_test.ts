// A fault at each message of each create: the machine is as before, descriptors and all.
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { type NetNsRef, newNetNs, within } from "../../ffi/namespace.ts";
import { Bridge, Link, NetlinkError, NetNs, Scope, Veth } from "../../mod.ts";
import { interceptSends } from "../../src/netlink/socket.ts";
import { settle, test, traces } from "../leaks.ts";
import { withoutKind } from "../link/oracle.ts";
import { machine } from "../machine.ts";
import { NO_SUCH_TYPE, withFault } from "./messages.ts";

interface Place {
  near: NetNsRef;
  far: NetNsRef;
}

/** What is made, by what a test calls it. Whatever comes back is disposed of by the test. */
const CREATES: Record<string, (place: Place) => Disposable> = {
  "NetNs.create()": () => NetNs.create(),
  "NetNs.create(name)": () => NetNs.create("fault"),
  "Bridge.create()": ({ near }) => Bridge.create({ name: "br0", netns: { ref: near } }),
  "Bridge.create() with everything": ({ near }) =>
    Bridge.create({
      name: "br0",
      netns: { ref: near },
      stp: true,
      up: true,
      mac: "02:00:00:00:00:01",
      alias: "alias",
      altNames: ["another-name"],
      addrGenMode: "none",
      nodad: true,
      addresses: ["10.0.0.1/24", "fd00::1/64"],
      mcastSnooping: false,
    }),
  "Veth.create()": ({ near }) =>
    Veth.create({ name: "v0", netns: { ref: near }, peer: { name: "v1", netns: { ref: near } } }),
  "Veth.create() across namespaces, with everything": ({ near, far }) =>
    Veth.create({
      name: "v0",
      netns: { ref: near },
      up: true,
      alias: "near",
      altNames: ["near-name"],
      addresses: ["10.0.0.1/24", "fd00::1/64"],
      peer: {
        name: "v1",
        netns: { ref: far },
        up: true,
        alias: "far",
        nodad: true,
        addresses: ["10.0.0.2/24"],
      },
    }),
  "Veth.create() with a port of a bridge": ({ near, far }) =>
    Veth.create({
      name: "v0",
      netns: { ref: far },
      up: true,
      peer: {
        name: "v1",
        netns: { ref: near },
        master: "there",
        up: true,
        port: { cost: 7 },
      },
    }),
  "Veth.create() with two ports of bridges": ({ near, far }) =>
    Veth.create({
      name: "v0",
      netns: { ref: near },
      master: "there",
      port: { isolated: true },
      up: true,
      peer: { name: "v1", netns: { ref: far }, master: "there", port: { cost: 7 }, up: true },
    }),
  "Veth.create() with an end in the process's own namespace": ({ far }) =>
    Veth.create({
      name: "fault-v0",
      up: true,
      alias: "near",
      addresses: ["fd00::1/64"],
      peer: { name: "v1", netns: { ref: far }, up: true, addrGenMode: "none", alias: "far" },
    }),
  "Veth.create() in namespaces found by path": ({ near, far }) =>
    Veth.create({
      name: "v0",
      netns: { path: `/proc/self/fd/${near.fd.value}` },
      alias: "near",
      peer: { name: "v1", netns: { path: `/proc/self/fd/${far.fd.value}` }, alias: "far" },
    }),
  "Bridge.create() inside run()": ({ near }) =>
    within(near, () => Bridge.create({ name: "br0", alias: "alias", addresses: ["10.0.0.1/24"] })),
  "Bridge.create() in the process's own namespace": () =>
    Bridge.create({ name: "fault-br0", alias: "alias", altNames: ["fault-other"], up: true }),
  "Link.create() with a parent in another namespace": ({ near, far }) =>
    Link.create({
      kind: "macvlan",
      name: "m0",
      netns: { ref: far },
      parent: Link.get("there", { netns: { ref: near } }),
      alias: "generic",
    }),
  "Link.create()": ({ near }) =>
    Link.create({ kind: "bridge", name: "br0", netns: { ref: near }, up: true, alias: "generic" }),
};

for (const [name, create] of Object.entries(CREATES)) {
  const lacks = name.includes("parent") ? withoutKind("macvlan") : undefined;
  test(`A fault at any message of ${name} leaves nothing`, { lacks }, async () => {
    using near = newNetNs("near");
    using far = newNetNs("far");
    for (const ref of [near, far]) Bridge.create({ name: "there", netns: { ref } });
    // A socket in each, so that those do not count as left behind.
    machine(near, far);
    const messages = withFault(0, () => create({ near, far })[Symbol.dispose]());
    assert(messages > 0);
    const before = machine(near, far);
    const open = traces();
    let failed = 0;
    for (let n = 1; n <= messages; n++) {
      let made: Disposable | undefined;
      try {
        withFault(n, () => made = create({ near, far }));
      } catch (error) {
        assertInstanceOf(error, NetlinkError);
        assertEquals(error.code, "EOPNOTSUPP");
        failed++;
      }
      // Messages after the last of the create are those of the disposal.
      made?.[Symbol.dispose]();
      await settle(open);
      assertEquals(machine(near, far), before, `message ${n}`);
    }
    assert(failed > 0);
  });
}

test("A fault in a scope leaves the scope with what it had", async () => {
  const before = machine();
  await using scope = Scope.open();
  const netns = NetNs.create(undefined, { scope });
  Bridge.create({ scope, name: "br0", netns });
  const links = scope.links.length;
  assertThrows(
    () =>
      withFault(
        2,
        () => Veth.create({ scope, name: "v0", netns, peer: { name: "v1", netns }, up: true }),
      ),
    NetlinkError,
  );
  assertEquals(scope.links.length, links);
  assertEquals(netns.links.list().map((link) => link.name).sort(), ["br0", "lo"]);
  assertEquals(machine(), before);
});

test("When undoing fails too, both errors are told", () => {
  using netns = NetNs.create();
  let sends = 0;
  const create = () => {
    using _hook = interceptSends((bytes, length) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, length);
      if (++sends > 1) view.setUint16(4, NO_SUCH_TYPE, true);
    });
    Bridge.create({ name: "br0", netns, alias: "x" });
  };
  const error = assertThrows(create, SuppressedError) as SuppressedError;
  assertInstanceOf(error.error, NetlinkError);
  assertInstanceOf(error.suppressed, NetlinkError);
  assertEquals(error.error.operation, 'delete bridge "br0"');
  assertEquals(error.suppressed.operation, 'set alias of bridge "br0"');
});
