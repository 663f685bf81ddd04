// Values that the kernel answers with a bare error number, or takes in part: each is refused with its
// reason, and nothing is left of the call.
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Bridge,
  Ipvlan,
  Ipvtap,
  Link,
  Macvlan,
  Macvtap,
  NetlinkError,
  NetNs,
  supports,
  Tap,
  Tun,
  Veth,
  Vxlan,
} from "../../mod.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { verify } from "../../src/link/verify.ts";
import { getLinkMessage, type LinkMessage } from "../../src/rtnetlink/link.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { caught } from "./oracle.ts";

/** A pair in one namespace. */
function pair(netns: NetNs): Veth {
  return Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
}

test("A link-layer address of a wrong length is refused before anything is sent", () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  const peer = { name: "b", netns };
  const before = ip(netns.ref, "-j link");
  for (const key of ["mac", "broadcast"]) {
    for (const [value, length] of [["02:00", 2], ["02:00:00:00:00:00:00:01", 8], ["10.0.0.1", 4]]) {
      const wrong = { [key]: value };
      const calls: [call: () => unknown, place?: string][] = [
        [() => Bridge.create({ name: "a", netns, ...wrong })],
        [() => Link.create({ kind: "bridge", name: "a", netns, ...wrong })],
        [() => Macvlan.create({ name: "a", netns, parent: veth, ...wrong })],
        [() => Vxlan.create({ name: "a", netns, id: 1, ...wrong })],
        [() => Tap.create({ name: "a", netns, ...wrong })],
        [() => Veth.create({ name: "a", netns, ...wrong, peer })],
        [() => Veth.create({ name: "a", netns, peer: { ...peer, ...wrong } }), "peer: "],
        [() => veth.set(wrong)],
        [() => Link.get("v1", { netns }).set(wrong)],
      ];
      for (const [call, place = ""] of calls) {
        const error = caught(call);
        assertEquals(
          [error.name, error.message],
          [
            "TypeError",
            `${place}${key} must have 6 bytes, as the addresses of the link have: "${value}" has ${length}`,
          ],
        );
      }
    }
  }
  assertEquals(ip(netns.ref, "-j link"), before);
});

test("An index that is taken is told with its owner, at either end of a pair", () => {
  using netns = NetNs.create();
  using other = NetNs.create();
  const bridge = Bridge.create({ name: "br0", netns });
  const far = Bridge.create({ name: "br1", netns: other, index: bridge.index + 10 });
  const before = [netns, other].map((it) => ip(it.ref, "-j link"));
  const parent = Link.get("br0", { netns });
  const here = `index ${bridge.index} is taken by bridge "br0"`;
  const there = `index ${far.index} is taken by bridge "br1"`;
  const [index, peerIndex] = [bridge.index, far.index];
  const calls: [call: () => unknown, reason: string][] = [
    [() => Bridge.create({ name: "a", netns, index }), `the ${here}`],
    [() => Macvlan.create({ name: "a", netns, parent, index }), `the ${here}`],
    [
      () => Macvlan.create({ name: "a", netns: other, parent, index: peerIndex }),
      `the ${there}`,
    ],
    [() => Tun.create({ name: "a", netns, index }), `the ${here}`],
    [() => Tap.create({ name: "a", netns, index, exclusive: false }), `the ${here}`],
    [() => Veth.create({ name: "a", netns, index, peer: { name: "b", netns } }), `the ${here}`],
    [
      () => Veth.create({ name: "a", netns, peer: { name: "b", netns, index } }),
      `peer.${here}`,
    ],
    [
      () => Veth.create({ name: "a", netns, index: 99, peer: { name: "b", netns, index } }),
      `peer.${here}`,
    ],
    [
      () =>
        Veth.create({
          name: "a",
          netns,
          index: 99,
          peer: { name: "b", netns: other, index: peerIndex },
        }),
      `peer.${there}`,
    ],
  ];
  for (const [call, reason] of calls) {
    const error = assertThrows(call, NetlinkError);
    assert(["EEXIST", "EBUSY"].includes(error.code), error.message);
    assert(error.message.endsWith(`; ${reason}`), error.message);
  }
  assertEquals([netns, other].map((it) => ip(it.ref, "-j link")), before);
});

test("A TUN and a TAP get the index that was asked for", () => {
  using netns = NetNs.create();
  using tun = Tun.create({ name: "t0", netns, index: 500 });
  using tap = Tap.create({ name: "t1", netns, index: 600, mtu: 1400 });
  assertEquals([tun.link.index, tap.link.index], [500, 600]);
  const shown = ["t0", "t1"].map((name) => run(netns.ref, `ip -o link show ${name}`).split(" ")[0]);
  assertEquals(shown, ["500:", "600:"]);
});

test("Veth.create() refuses one name or index for both ends in one namespace", () => {
  using netns = NetNs.create();
  using other = NetNs.create();
  const cases: [near: object, peer: object, message: string][] = [
    [
      {},
      { name: "a" },
      'peer.name must be another one than the first end\'s in the same namespace: got "a"',
    ],
    [
      { index: 70 },
      { name: "b", index: 70 },
      "peer.index must be another one than the first end's in the same namespace: got 70",
    ],
  ];
  for (const [near, peer, message] of cases) {
    const create = (there: NetNs) =>
      Veth.create({ name: "a", netns, ...near, peer: { netns: there, ...peer } as never });
    const error = caught(() => create(netns));
    assertEquals([error.name, error.message], ["TypeError", message]);
    using veth = create(other);
    assertEquals([veth.name, veth.peer.ref.label], ["a", other.ref.label]);
  }
  assertEquals(netns.links.list().length, 1);
});

test("An error of an end's option says which end it is, whichever has the master", () => {
  using netns = NetNs.create();
  const master = Bridge.create({ name: "br0", netns });
  const wrong: [options: object, message: string][] = [
    [{ mtu: -1 }, "mtu must be in 0..2147483647 bytes: got -1"],
    [{ up: 1 }, "up must be a boolean: got 1"],
    [{ alias: 5 }, "alias must be text without NUL: got 5"],
    [{ addrGenMode: "eui" }, "addrGenMode must be one of "],
    [
      { altNames: ["a", "b/c"] },
      'altNames[1] must be a name without "/" and white space: got "b/c"',
    ],
    [{ altNames: "ab" }, 'altNames must be an array: got "ab"'],
    [{ addresses: ["10.0.0.1/24", "x"] }, 'addresses[1]: address: "x" is not an IP prefix'],
    [{ addresses: ["10.0.0.1/24", { address: "10.0.0.2/24", brd: "x" }] }, "addresses[1]: Unknown"],
    [{ addresses: [5] }, "addresses[0]: "],
    [{ index: 0 }, "index must be in 1..2147483647: got 0"],
  ];
  for (const [options, message] of wrong) {
    for (const [near, far] of [[{}, {}], [{ master }, {}], [{}, { master }]]) {
      const first = caught(() =>
        Veth.create({ name: "a", netns, ...near, ...options, peer: { name: "b", netns, ...far } })
      );
      assert(first.message.includes(message), first.message);
      assert(!/peer[.:]/.test(first.message), first.message);
      const peer = caught(() =>
        Veth.create({ name: "a", netns, ...near, peer: { name: "b", netns, ...far, ...options } })
      );
      assert(peer.message.startsWith("peer: ") && peer.message.includes(message), peer.message);
    }
  }
  assertEquals(netns.links.list().length, 2);
});

test("nodad leaves a link without IPv6 alone, unless it is to have IPv6 addresses", () => {
  using netns = NetNs.create();
  // Below 1280 bytes the kernel starts no IPv6 on a link (RFC 8200, section 5).
  const options = { name: "br0", netns, mtu: 1000, up: true, nodad: true } as const;
  const bridge = Bridge.create({ ...options, addresses: ["10.0.0.1/24"] });
  const conf = run(netns.ref, "ls /proc/sys/net/ipv6/conf").split("\n");
  assert(conf.includes("lo") && !conf.includes("br0"), conf.join());
  assertEquals(bridge.addresses.list().map(({ address }) => address), ["10.0.0.1/24"]);
  bridge.delete();
  const error = caught(() => Bridge.create({ ...options, addresses: ["fd00::1/64"] }));
  assert(
    error.message.startsWith('switch off duplicate address detection of "br0"') &&
      error.message.endsWith(
        "; the link has no IPv6: its MTU is below 1280, or ipv6.disable is set",
      ),
    error.message,
  );
  assertEquals(netns.links.list().map(({ name }) => name), ["lo"]);
});

test("A link that is gone is told by the option that names it, or by its own name", () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  const dead = Bridge.create({ name: "dead", netns });
  const { index } = dead;
  run(netns.ref, "ip link delete dead");
  const before = ip(netns.ref, "-j link");
  const peer = { name: "b", netns };
  const gone = `is link ${index}, which is gone`;
  const calls: [call: () => unknown, code: string, reason: string][] = [
    [() => veth.set({ master: dead }), "EINVAL", `; master ${gone}`],
    [() => veth.set({ master: index }), "EINVAL", `; master ${gone}`],
    [() => Bridge.create({ name: "a", netns, master: dead }), "EINVAL", `; master ${gone}`],
    [() => Veth.create({ name: "a", netns, master: dead, peer }), "EINVAL", `; master ${gone}`],
    [
      () => Veth.create({ name: "a", netns, peer: { ...peer, master: dead } }),
      "EINVAL",
      `; master ${gone}`,
    ],
    [() => Macvlan.create({ name: "a", netns, parent: dead }), "ENODEV", `; parent ${gone}`],
    [() => Vxlan.create({ name: "a", netns, id: 1, dev: dead }), "ENODEV", `; dev ${gone}`],
    [() => dead.read(), "ENODEV", 'read bridge "dead"'],
    [() => dead.options(), "ENODEV", 'read bridge "dead"'],
    [() => dead.stats(), "ENODEV", 'read bridge "dead"'],
    [() => dead.addresses.list(), "ENODEV", 'list addresses of bridge "dead"'],
  ];
  for (const [call, code, reason] of calls) {
    const error = assertThrows(call, NetlinkError);
    assertEquals(error.code, code, error.message);
    assert(
      reason.startsWith(";") ? error.message.endsWith(reason) : error.message.startsWith(reason),
      error.message,
    );
  }
  assertEquals(ip(netns.ref, "-j link"), before);
});

test("An MTU that a link cannot have is told with those that it can have", () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  const peer = { name: "b", netns };
  // As `ip -d link` shows them.
  const limits = (name: string) => {
    const [{ min_mtu, max_mtu }] = ip(netns.ref, `-d -j link show ${name}`) as [
      { min_mtu: number; max_mtu: number },
    ];
    return `must be in ${min_mtu}..${max_mtu} bytes`;
  };
  using tap = Tap.create({ name: "t0", netns });
  Bridge.create({ name: "br0", netns });
  const calls: [call: (mtu: number) => unknown, path: string, like: string][] = [
    [(mtu) => veth.set({ mtu }), "mtu", "v0"],
    [(mtu) => tap.link.set({ mtu }), "mtu", "t0"],
    [(mtu) => Tap.create({ name: "a", netns, mtu }), "mtu", "t0"],
    [(mtu) => Bridge.create({ name: "a", netns, mtu }), "mtu", "br0"],
    [(mtu) => Veth.create({ name: "a", netns, mtu, peer }), "mtu", "v0"],
    [(mtu) => Veth.create({ name: "a", netns, peer: { ...peer, mtu } }), "peer.mtu", "v0"],
  ];
  const before = netns.links.list().length;
  for (const [call, path, like] of calls) {
    for (const mtu of [10, 70_000]) {
      const error = assertThrows(() => call(mtu), NetlinkError);
      assertEquals(error.code, "EINVAL");
      assert(error.message.endsWith(`; ${path} ${limits(like)}: got ${mtu}`), error.message);
    }
  }
  assertEquals(netns.links.list().length, before);
});

test("A macvlan and a master that want the frames of one link are told of each other", () => {
  using netns = NetNs.create();
  const veth = pair(netns);
  const bridge = Bridge.create({ name: "br0", netns });
  veth.set({ master: bridge });
  const others = [Ipvlan, Ipvtap].filter(({ kind }) => supports(kind));
  for (const Class of [Macvlan, Macvtap, ...others]) {
    const create = () => Class.create({ name: "m0", netns, parent: veth });
    const error = assertThrows(create, NetlinkError);
    assert(
      error.message.endsWith(
        '(EBUSY); its parent "v0" is a port of bridge "br0", which takes all its frames',
      ),
      error.message,
    );
    const above = Class.create({ name: "m1", netns, parent: "v1" });
    const port = assertThrows(() => veth.peer.set({ master: bridge }), NetlinkError);
    const reason = `(EBUSY); ${Class.kind} "m1" on it takes its frames`;
    assert(port.message.endsWith(reason), port.message);
    above.delete();
  }
});

test("A name that no link or kind has is told with the nearest one", () => {
  using netns = NetNs.create();
  const veth = pair(netns).addAltNames("uplink");
  const bridge = Bridge.create({ name: "br0", netns });
  const calls: [call: () => unknown, near: string][] = [
    [() => Link.get("vv0", { netns }), "v0"],
    [() => Veth.get("uplnik", { netns }), "uplink"],
    [() => netns.links.get("br1"), "br0"],
    [() => veth.set({ master: "br1" }), "br0"],
    [() => netns.routes.add({ destination: "10.0.0.0/8", dev: "vv0" }), "v0"],
    [() => bridge.fdb.add({ mac: "02:00:00:00:00:01", port: "upink" }), "uplink"],
  ];
  for (const [call, near] of calls) {
    const error = assertThrows(call, NetlinkError);
    assertEquals(error.code, "ENODEV");
    assert(error.message.includes(`; did you mean "${near}"?`), error.message);
  }
  assert(!caught(() => Link.get("wan7", { netns })).message.includes("did you mean"));
  const kind = caught(() => Link.create({ kind: "brigde", name: "a", netns }));
  assert(kind.message.endsWith('did you mean "bridge"?'), kind.message);
  assertEquals(
    caught(() => Link.create({ kind: "brigde", name: "a", netns, options: { stp: true } })).message,
    'kind "brigde" is unknown, and has no options: did you mean "bridge"?',
  );
});

test("An option that a kernel takes without reporting it is no error: numRxQueues without CONFIG_RPS", () => {
  using netns = NetNs.create();
  const peer = { name: "v1", netns };
  const { index } = Veth.create({ name: "v0", netns, numRxQueues: 3, numTxQueues: 2, peer });
  const got = connectionTo(netns.ref).request(getLinkMessage(index));
  const check = (asked: LinkMessage, lacking: keyof LinkMessage) =>
    verify(asked, { ...got, [lacking]: undefined }, 'veth "v0"', netns.ref);
  check({ numRxQueues: 3, numTxQueues: 2 }, "numRxQueues");
  assertThrows(() => check({ numRxQueues: 4 }, "alias"), NetlinkError, "numRxQueues");
  assertThrows(() => check({ numTxQueues: 2 }, "numTxQueues"), NetlinkError, "numTxQueues");
});

test("An address that a new link cannot have twice is not taken for a taken name or index", () => {
  using netns = NetNs.create();
  const addresses = ["10.0.0.1/24", "10.0.0.1/24"];
  const peer = { name: "v1", netns };
  const error = assertThrows(
    () => Veth.create({ name: "v0", netns, addresses, peer }),
    NetlinkError,
  );
  assertEquals(error.code, "EEXIST");
  assert(!error.message.includes("taken"), error.message);
  assertEquals(netns.links.list().map(({ name }) => name), ["lo"]);
});
