// Errors of links say what is wrong, where, and what to do: the whole message of each.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Bridge,
  Dummy,
  Ifb,
  Ipvlan,
  Ipvtap,
  KernelError,
  Link,
  Macvlan,
  Macvtap,
  NetlinkError,
  NetNs,
  Tap,
  Tun,
  Veth,
  Vlan,
  Vxlan,
} from "../../mod.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { caught, kernelTest } from "./oracle.ts";

const CLASSES = {
  Bridge,
  Dummy,
  Ifb,
  Ipvlan,
  Ipvtap,
  Link,
  Macvlan,
  Macvtap,
  Tap,
  Tun,
  Veth,
  Vlan,
  Vxlan,
};

/** A pair in one namespace. */
function pair(netns: NetNs): Veth {
  return Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
}

/** The names of the links in a namespace. */
function names(netns: NetNs): string[] {
  return netns.links.list().map(({ name }) => name);
}

test("create() says that options must be an object, for every class", () => {
  for (const [name, Class] of Object.entries(CLASSES)) {
    const create = Class.create as unknown as (options: unknown) => unknown;
    const optional = name === "Tun" || name === "Tap";
    for (const options of [null, 5, "br0", [], ...(optional ? [] : [undefined])]) {
      const error = caught(() => create(options));
      const shown = options === undefined ? "undefined" : JSON.stringify(options);
      assertEquals(
        [error.name, error.message],
        ["TypeError", `options must be an object: got ${shown}`],
        name,
      );
    }
  }
});

test("set() and other changing calls say that options must be an object", () => {
  using netns = NetNs.create();
  const bridge = Bridge.create({ name: "br0", netns });
  const veth = pair(netns).set({ master: bridge });
  for (const link of [bridge, veth, bridge.port("v0"), Link.get("lo", { netns })]) {
    for (const settings of [undefined, null, 5, []]) {
      const error = caught(() => link.set(settings as never));
      const shown = settings === undefined ? "undefined" : JSON.stringify(settings);
      assertEquals(error.message, `options must be an object: got ${shown}`);
    }
  }
});

test("create() says that a name, a peer, a parent or a kind is missing", () => {
  using netns = NetNs.create();
  const needs = 'is missing: a link needs a name of 1 to 15 bytes, such as "eth0"';
  const cases: [() => unknown, string][] = [
    [() => Bridge.create({ netns } as never), `name ${needs}`],
    [() => Vxlan.create({ netns, id: 1 } as never), `name ${needs}`],
    [() => Macvlan.create({ netns, parent: "lo" } as never), `name ${needs}`],
    [() => Link.create({ netns, kind: "bridge" } as never), `name ${needs}`],
    [() => Link.create({ netns, kind: "vcan" } as never), `name ${needs}`],
    [() => Veth.create({ netns, peer: { name: "a" } } as never), `name ${needs}`],
    [() => Veth.create({ name: "a", netns, peer: { netns } as never }), `peer.name ${needs}`],
    [
      () => Veth.create({ name: "a", netns } as never),
      "peer is missing: Veth.create() needs the other end's options",
    ],
    [
      () => Veth.create({ name: "a", netns, peer: "b" as never }),
      'peer must be an object: got "b"',
    ],
    [
      () => Macvlan.create({ name: "a", netns } as never),
      "parent is missing: the link this one sits on, by handle, name or index",
    ],
    [
      () => Link.create({ name: "a", netns } as never),
      "kind must be the name of a link kind: got undefined",
    ],
    [() => Link.get(undefined as never), "A link is found by its name or index: got undefined"],
  ];
  for (const [call, message] of cases) {
    const error = caught(call);
    assertEquals([error.name, error.message], ["TypeError", message]);
  }
  assertEquals(names(netns), ["lo"]);
});

test("Link.create() for a kind without a class names the kind, and takes bytes only", () => {
  using netns = NetNs.create();
  for (const options of [{ id: 1 }, "id 1", [1]]) {
    const call = () => Link.create({ kind: "vcan", name: "c0", netns, options: options as never });
    const error = assertThrows(call, TypeError);
    assertEquals(
      error.message,
      'options of the kind "vcan" must be a Uint8Array (IFLA_INFO_DATA): ' +
        "netloom does not know this kind's options",
    );
  }
});

test("An unknown port option names the nearest option that can be set, and few others", () => {
  using netns = NetNs.create();
  const master = Bridge.create({ name: "br0", netns });
  const veth = pair(netns).set({ master });
  assertEquals(
    caught(() => veth.set({ port: { lerning: true } as never })).message,
    'Unknown option "port.lerning": did you mean "port.learning"? Allowed are learning, hairpin, ' +
      "locked, cost, flood, guard and 20 others: see the documentation",
  );
  const readOnly = "designatedCost";
  const { message } = caught(() => veth.set({ port: { [readOnly]: 1 } as never }));
  assert(message.startsWith(`Unknown option "port.${readOnly}": allowed are `), message);
  const listed = message.slice(message.indexOf("are ") + 4, message.indexOf(" and ")).split(", ");
  assertEquals([listed.length, listed.includes(readOnly)], [6, false]);
});

test("A master that takes no ports is named", () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  const bridge = Bridge.create({ name: "br1", netns });
  const where = netns.ref.label;
  const cases: [() => unknown, string][] = [
    [
      () => veth.set({ master: "lo" }),
      `set master of veth "v0" in ${where}: Operation not supported (EOPNOTSUPP); ` +
      'link "lo" cannot be a master',
    ],
    [
      () => veth.set({ master: "v1" }),
      `set master of veth "v0" in ${where}: Operation not supported (EOPNOTSUPP); ` +
      'veth "v1" cannot be a master',
    ],
    [
      () => Bridge.create({ name: "br0", netns, master: "lo" }),
      `create bridge "br0" in ${where}: Operation not supported (EOPNOTSUPP); ` +
      'link "lo" cannot be a master',
    ],
    [
      () => veth.set({ master: veth }),
      `set master of veth "v0" in ${where}: Operation not supported (EOPNOTSUPP); ` +
      'veth "v0" cannot be a master',
    ],
    [
      () => Link.get("lo", { netns }).set({ master: bridge }),
      `set master of link "lo" in ${where}: Invalid argument (EINVAL); ` +
      "a loopback link cannot be a port",
    ],
    [
      () => veth.set({ master: "lo", port: { cost: 1 } }),
      "port: a master without a kind has no port options",
    ],
  ];
  for (const [call, message] of cases) assertEquals(caught(call).message, message);
  assertEquals(names(netns), ["lo", "v1", "v0", "br1"]);
});

test("A MAC that no link can have is named, at creation and later, also a peer's", () => {
  using netns = NetNs.create();
  const bridge = Bridge.create({ name: "br0", netns });
  const before = names(netns);
  const mac = "01:00:00:00:00:01";
  const calls: [() => unknown, string, string][] = [
    [() => Bridge.create({ name: "a", netns, mac }), 'create bridge "a"', "mac"],
    [() => bridge.set({ mac }), 'set mac of bridge "br0"', "mac"],
    [() => Tap.create({ name: "a", netns, mac }), 'set mac of tap "a"', "mac"],
    [
      () => Veth.create({ name: "a", netns, peer: { name: "b", netns, mac } }),
      'create veth "a" with peer "b"',
      "peer.mac",
    ],
  ];
  for (const [call, operation, path] of calls) {
    const error = assertThrows(call, NetlinkError);
    assertEquals(error.code, "EADDRNOTAVAIL");
    assertEquals(
      error.message,
      `${operation} in ${netns.ref.label}: Cannot assign requested address (EADDRNOTAVAIL); ` +
        `${path} "${mac}" is a multicast address: no link can have one`,
    );
  }
  const zero = caught(() => bridge.set({ mac: "00:00:00:00:00:00" }));
  assert(zero.message.endsWith('mac "00:00:00:00:00:00" is no address of a link'), zero.message);
  assertEquals(names(netns), before);
});

test("A taken name is one error for a bridge, a veth, a TUN, a TAP and a namespace", () => {
  using netns = NetNs.create("msg-taken");
  Bridge.create({ name: "taken", netns }).addAltNames("also");
  const where = 'in netns "msg-taken": File exists (EEXIST)';
  const calls: [() => unknown, string][] = [
    [
      () => Bridge.create({ name: "taken", netns }),
      `create bridge "taken" ${where}; the name "taken" is taken by bridge "taken"`,
    ],
    [
      () => Bridge.create({ name: "also", netns }),
      `create bridge "also" ${where}; the name "also" is taken by bridge "taken"`,
    ],
    [
      () => Bridge.create({ name: "br1", netns, index: 1 }),
      `create bridge "br1" ${where}; the index 1 is taken by link "lo"`,
    ],
    [
      () => Veth.create({ name: "taken", netns, peer: { name: "b", netns } }),
      `create veth "taken" with peer "b" ${where}; the name "taken" is taken by bridge "taken"`,
    ],
    ...([Tun, Tap] as const).map((Class): [() => unknown, string] => [
      () => Class.create({ name: "taken", netns }),
      `create ${Class === Tun ? "tun" : "tap"} "taken" ${where}; ` +
      'the name "taken" is taken by bridge "taken"; attach() joins an existing TUN or TAP',
    ]),
    [
      // Kernels before 6.2 rename only a link that is down.
      () => Link.get("lo", { netns }).down().rename("taken"),
      `rename link "lo" to "taken" ${where}; the name "taken" is taken by bridge "taken"`,
    ],
    [
      () => NetNs.create("msg-taken"),
      'create netns "msg-taken": File exists (EEXIST, open); ' +
      "NetNs.open() opens it, NetNs.delete() removes its name",
    ],
  ];
  for (const [call, message] of calls) {
    const error = assertThrows(call, KernelError);
    assertEquals([error.code, error.message], ["EEXIST", message]);
  }
  assertEquals(names(netns), ["lo", "taken"]);
});

test("A name that is taken where a link moves to is told of that namespace", () => {
  using from = NetNs.create("msg-from");
  using to = NetNs.create("msg-to");
  const veth = pair(from).addAltNames("also");
  const bridge = Bridge.create({ name: "v0", netns: to });
  const start = 'move veth "v0" from netns "msg-from" to netns "msg-to": File exists (EEXIST)';
  for (const [taken, name] of [["v0", "v0"], ["also", "b0"]]) {
    if (bridge.name !== name) bridge.rename(name!).addAltNames("also");
    const error = assertThrows(() => veth.move(to), NetlinkError);
    assertEquals([error.code, error.netns], ["EEXIST", 'netns "msg-to"']);
    assert(error.message.startsWith(start), error.message);
    const end = `; the name "${taken}" is taken by bridge "${name}"`;
    assert(error.message.endsWith(end), error.message);
  }
  const stays = assertThrows(() => Link.get("lo", { netns: from }).move(to), NetlinkError);
  const moves = 'move link "lo" from netns "msg-from" to netns "msg-to": Invalid argument (EINVAL)';
  assert(stays.message.startsWith(moves), stays.message);
  assertEquals([veth.ref.label, names(from)], ['netns "msg-from"', ["lo", "v1", "v0"]]);
});

test("waitFor() says how long it waited for which link, and the last state", async () => {
  using netns = NetNs.create();
  const master = Bridge.create({ name: "br0", netns });
  const veth = pair(netns).set({ master, up: true });
  await veth.waitFor(({ operstate }) => operstate === "lowerlayerdown");
  const waiting = veth.waitFor(({ carrier }) => carrier === true, { timeout: 100 });
  veth.set({ mtu: 1400 });
  const error = await assertRejects(() => waiting, DOMException);
  assertEquals(error.name, "TimeoutError");
  assertEquals(
    error.message,
    `wait for veth "v0" in ${netns.ref.label}: timed out after 100 ms; ` +
      `last state: up, no carrier, operstate lowerlayerdown, mtu 1400, master "br0"`,
  );
});

for (const [Class, kind, id] of [[Macvlan, "macvlan"], [Vlan, "vlan", 5]] as const) {
  kernelTest(kind, `${kind}: an MTU above the parent's is told with the parent's`, () => {
    using netns = NetNs.create();
    using other = NetNs.create();
    const parent = pair(netns).set({ mtu: 1400 });
    const reason = 'mtu 9000 is above 1400, the MTU of its parent "v0"';
    const own = id === undefined ? {} : { id };
    const create = (options: object) =>
      Class.create({ name: "m0", parent, ...own, ...options } as never) as Link;
    for (const at of [netns, other]) {
      const calls = [() => void create({ netns: at, mtu: 9000 }), () => {
        using link = create({ netns: at });
        link.set({ mtu: 9000 });
      }];
      for (const call of calls) {
        const error = assertThrows(call, NetlinkError);
        assert(error.message.endsWith(`; ${reason}`), error.message);
      }
    }
  });
}

test("A namespace without a name has its inode in messages", () => {
  using netns = NetNs.create();
  const inode = run(netns.ref, "stat -Lc %i /proc/self/ns/net").trim();
  assertEquals(
    caught(() => Link.get("none", { netns })).message,
    `get link "none" in netns ${inode}: No such device (ENODEV)`,
  );
});
