import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertObjectMatch,
  assertThrows,
} from "@std/assert";
import { homeNetNs } from "../../ffi/namespace.ts";
import {
  Bridge,
  Link,
  type LinkEndOptions,
  NetlinkError,
  NetNs,
  trace,
  type TraceMessage,
  Veth,
  type VethCreateOptions,
} from "../../mod.ts";
import { ip, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { machine } from "../machine.ts";

/** What `ip` shows of a link, and its addresses. */
function shown(netns: NetNs, name: string): Json {
  const [link] = ip(netns.ref, `-d -j link show dev ${name}`);
  const [{ addr_info }] = ip(netns.ref, `-j address show dev ${name}`) as [Json];
  return { ...link, addr_info };
}

/** The requests that `fn` sends: type, namespace, and whether it makes something. */
function sent(fn: () => unknown): string[] {
  const messages: TraceMessage[] = [];
  using _trace = trace((message) => messages.push(message));
  fn();
  return messages.map(({ type, netns }) => `${type.replace("RTM_", "")} ${netns}`.trim());
}

/** Since Linux 6.3. */
const ipv4Sizes = Link.get("lo").read().gsoIpv4MaxSize !== undefined;

/** Every option that an end can have without a master. */
const full = (n: number): Omit<LinkEndOptions, "netns"> => ({
  name: `end${n}`,
  mtu: 1400 + n,
  mac: `02:00:00:00:00:0${n}`,
  broadcast: `02:ff:ff:ff:ff:f${n}`,
  txqlen: 10 + n,
  group: 20 + n,
  alias: `end number ${n}`,
  altNames: [`alternative${n}`, `another-one-with-a-long-name${n}`],
  addresses: [`10.0.${n}.1/24`, `fd00:${n}::1/64`],
  nodad: true,
  addrGenMode: "none",
  arp: false,
  multicast: false,
  allMulticast: true,
  promiscuous: true,
  gsoMaxSegs: 30 + n,
  gsoMaxSize: 4000 + n,
  groMaxSize: 5000 + n,
  ...(ipv4Sizes ? { gsoIpv4MaxSize: 6000 + n, groIpv4MaxSize: 7000 + n } : {}),
  numTxQueues: 2 + n,
  numRxQueues: 4 + n,
  up: true,
});

function checkFull(netns: NetNs, n: number): void {
  const link = shown(netns, `end${n}`);
  assertObjectMatch(link, {
    ifname: `end${n}`,
    mtu: 1400 + n,
    address: `02:00:00:00:00:0${n}`,
    broadcast: `02:ff:ff:ff:ff:f${n}`,
    txqlen: 10 + n,
    group: `${20 + n}`,
    ifalias: `end number ${n}`,
    altnames: [`alternative${n}`, `another-one-with-a-long-name${n}`],
    inet6_addr_gen_mode: "none",
    gso_max_segs: 30 + n,
    gso_max_size: 4000 + n,
    gro_max_size: 5000 + n,
    num_tx_queues: 2 + n,
    num_rx_queues: 4 + n,
  });
  const flags = link.flags as string[];
  for (const flag of ["NOARP", "ALLMULTI", "PROMISC", "UP", "LOWER_UP"]) {
    assert(flags.includes(flag), flag);
  }
  assert(!flags.includes("MULTICAST"));
  const addresses = (link.addr_info as Json[]).map(({ local, prefixlen }) =>
    `${local}/${prefixlen}`
  );
  assertEquals(addresses, [`10.0.${n}.1/24`, `fd00:${n}::1/64`]);
  assertEquals((link.addr_info as Json[]).some(({ tentative }) => tentative), false);
  const { gsoIpv4MaxSize, groIpv4MaxSize } = Link.get(`end${n}`, { netns }).read();
  const sizes = ipv4Sizes ? [6000 + n, 7000 + n] : [undefined, undefined];
  assertEquals([gsoIpv4MaxSize, groIpv4MaxSize], sizes);
}

/** Where the two ends are. */
const PLACES: Record<string, () => [NetNs, NetNs]> = {
  "in one namespace": () => {
    const netns = NetNs.create();
    return [netns, netns];
  },
  "in two namespaces": () => [NetNs.create(), NetNs.create()],
  "with the first end in the process's own": () => [NetNs.current(), NetNs.create()],
  "with the second end in the process's own": () => [NetNs.create(), NetNs.current()],
};

for (const [where, place] of Object.entries(PLACES)) {
  test(`Veth.create() sets every option of both ends, ${where}`, () => {
    const [a, b] = place();
    using veth = Veth.create(
      { ...full(1), netns: a, peer: { ...full(2), netns: b } } as VethCreateOptions,
    );
    checkFull(a, 1);
    checkFull(b, 2);
    assertEquals([veth.name, veth.owned, veth.ref], ["end1", true, a.ref]);
    assertEquals([veth.peer.name, veth.peer.owned, veth.peer.ref], ["end2", false, b.ref]);
    assertEquals(veth.peer.index, Link.get("end2", { netns: b }).index);
    assertEquals([veth.read().peer, veth.peer.read().peer], [veth.peer.index, veth.index]);
    veth[Symbol.dispose]();
    for (const netns of [a, b]) assert(!machine(netns.ref).includes("end"));
    for (const netns of new Set([a, b])) netns[Symbol.dispose]();
  });
}

test("Veth.create() puts either end, or both, on a master, in all combinations of namespaces", () => {
  for (const together of [true, false]) {
    for (const [near, far] of [[true, false], [false, true], [true, true]]) {
      const a = NetNs.create();
      const b = together ? a : NetNs.create();
      const [br1, br2] = [a, b].map((netns, i) =>
        Bridge.create({ name: `br${i}`, netns, up: true })
      );
      const end = (master: Bridge | undefined, cost: number) =>
        master ? { master, port: { cost, isolated: true }, alias: "port" } : {};
      const veth = Veth.create({
        name: "v0",
        netns: a,
        up: true,
        ...end(near ? br1 : undefined, 11),
        peer: { name: "v1", netns: b, up: true, ...end(far ? br2 : undefined, 22) },
      });
      const seen = [veth, veth.peer].map((link) => {
        const { master, port, alias, carrier } = link.read();
        const { cost, isolated } = (port?.options ?? {}) as {
          cost?: number;
          isolated?: boolean;
        };
        return { master, cost, isolated, alias, carrier };
      });
      const expected = (master: Bridge | undefined, cost: number) =>
        master ? { master: master.index, cost, isolated: true, alias: "port", carrier: true } : {
          master: undefined,
          cost: undefined,
          isolated: undefined,
          alias: undefined,
          carrier: true,
        };
      assertEquals(seen, [
        expected(near ? br1 : undefined, 11),
        expected(far ? br2 : undefined, 22),
      ]);
      assertEquals([veth.name, veth.peer.name], ["v0", "v1"]);
      for (const netns of new Set([a, b])) netns[Symbol.dispose]();
    }
  }
});

test("An end is made where its master is, when nothing else is said", () => {
  using hub = NetNs.create();
  using host = NetNs.create();
  const master = Bridge.create({ name: "br0", netns: hub });
  Veth.create({ name: "v0", netns: host, peer: { name: "p0", master } });
  Veth.create({ name: "p1", master, peer: { name: "v1", netns: host } });
  host.run(() => Veth.create({ name: "v2", peer: { name: "p2", master } }));
  Veth.create({ name: "p3", netns: hub, master: "br0", peer: { name: "v3", netns: host } });
  Veth.create({ name: "p4", netns: hub, master: master.index, peer: { name: "v4", netns: host } });
  const ports = ip(hub.ref, "-j link show master br0").map(({ ifname }) => ifname);
  assertEquals(ports, ["p0", "p1", "p2", "p3", "p4"]);
  assertEquals(host.links.list().map(({ name }) => name), ["lo", "v0", "v1", "v2", "v3", "v4"]);
  assertThrows(
    () => Veth.create({ name: "v5", netns: host, master, peer: { name: "p5" } }),
    TypeError,
    `master is bridge "${master.name}" in ${hub.ref.label}, the link itself is in ${host.ref.label}`,
  );
});

test("Without a namespace both ends are created in the current one", () => {
  using netns = NetNs.create();
  netns.run(() => Veth.create({ name: "v0", peer: { name: "v1" } }));
  assertEquals(netns.links.list().map(({ name }) => name), ["lo", "v1", "v0"]);
  using _own = Veth.create({ name: "leak-v0", peer: { name: "leak-v1" } });
  assertEquals(ip(homeNetNs(), "-j link show leak-v1").length, 1);
});

test("Veth.create() finds the namespaces of its ends by name, process and path", async () => {
  using netns = NetNs.create("veth-named");
  const child = netns.command("sleep", { args: ["60"], mounts: false }).spawn();
  const ways = [{ name: "veth-named" }, { pid: child.pid }, { path: "/run/netns/veth-named" }];
  for (const [i, way] of ways.entries()) {
    for (const other of ways) {
      using veth = Veth.create({
        name: `a${i}`,
        netns: way,
        peer: { name: `b${i}`, netns: other },
      });
      assertEquals([veth.ref.inode, veth.peer.ref.inode], [netns.inode, netns.inode]);
    }
    Veth.create({ name: "c", netns: way, peer: { name: "d", netns: way } }).delete();
    Veth.create({ name: "c", netns: way, peer: { name: "d", netns: way } }).persist()
      [Symbol.dispose]();
    Link.get("c", { netns }).delete();
  }
  assertEquals(netns.links.list().length, 1);
  child.kill();
  await child.status;
});

test("A pair takes as few messages as the kernel allows", () => {
  using a = NetNs.create("veth-a");
  using b = NetNs.create("veth-b");
  const master = Bridge.create({ name: "br0", netns: b, up: true });
  const [A, B] = ['netns "veth-a"', 'netns "veth-b"'];
  const make = (options: VethCreateOptions) => sent(() => void (made = Veth.create(options)));
  let made: Veth;
  const cases: [VethCreateOptions, string[]][] = [
    // The creating message and what came of it; then the other end is read where it is.
    [
      { name: "v", netns: a, peer: { name: "w", netns: b } },
      [`NEWLINK ${A}`, `GETLINK ${A}`, `GETLINK ${B}`],
    ],
    // The outer end's flags and MTU go along; the peer is brought up in its own namespace.
    [
      {
        name: "v",
        netns: a,
        up: true,
        mtu: 1400,
        peer: { name: "w", netns: b, up: true, mtu: 1400 },
      },
      [`NEWLINK ${A}`, `GETLINK ${A}`, `NEWLINK ${B}`, `GETLINK ${B}`],
    ],
    // The end with a master comes first: its master goes along too.
    [
      { name: "v", netns: a, up: true, peer: { name: "w", master, up: true } },
      [`NEWLINK ${B}`, `GETLINK ${B}`, `NEWLINK ${A}`, `GETLINK ${A}`],
    ],
    [
      {
        name: "v",
        netns: a,
        up: true,
        addresses: ["10.0.0.1/24"],
        peer: { name: "w", master, up: true },
      },
      [`NEWLINK ${B}`, `GETLINK ${B}`, `NEWLINK ${A}`, `NEWADDR ${A}`, `GETLINK ${A}`],
    ],
  ];
  for (const [options, messages] of cases) {
    assertEquals(make(options), messages);
    made!.delete();
  }
});

test("nodad leaves nothing to be checked: neither its addresses nor the link-local one", async () => {
  using netns = NetNs.create();
  const peer = { name: "w", netns, up: true, nodad: true, addresses: ["fd00::2/64"] };
  Veth.create({ name: "v", netns, up: true, nodad: true, addresses: ["fd00::1/64"], peer });
  for (const name of ["v", "w"]) {
    assertEquals(netns.sysctl(`net.ipv6.conf.${name}.accept_dad`), "0");
    // The kernel adds the link-local address as tentative, and looks at accept_dad a moment later.
    const tentative = () => ip(netns.ref, `-j -6 address show dev ${name} tentative`);
    while (tentative().length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const counters = run(netns.ref, `cat /proc/thread-self/net/dev_snmp6/${name}`);
    assertMatch(counters, /^Icmp6OutNeighborSolicits\s+0$/m);
  }
  // Without it there is.
  Veth.create({
    name: "x",
    netns,
    up: true,
    addresses: ["fd01::1/64"],
    peer: { name: "y", netns, up: true },
  });
  assertNotEquals(ip(netns.ref, "-j -6 address show dev x tentative"), []);
});

test("addrGenMode holds before the link comes up: no other link-local address appears", async () => {
  using netns = NetNs.create();
  const peer = { name: "w", netns, up: true, addrGenMode: "none" } as const;
  const veth = Veth.create({ name: "v", netns, up: true, addrGenMode: "none", peer });
  await veth.waitFor(({ operstate }) => operstate === "up");
  for (const name of ["v", "w"]) assertEquals(shown(netns, name).addr_info, []);
  // Where it is made from the hardware address, there is one.
  const other = Veth.create({ name: "x", netns, up: true, peer: { name: "y", netns, up: true } });
  await other.waitFor(({ operstate }) => operstate === "up");
  assertEquals((shown(netns, "x").addr_info as Json[]).length, 1);
});

test("Deleting either end deletes the other", () => {
  using a = NetNs.create();
  using b = NetNs.create();
  for (const first of [true, false]) {
    const veth = Veth.create({ name: "v", netns: a, peer: { name: "w", netns: b } });
    (first ? veth : veth.peer).delete();
    assertEquals([a.links.list().length, b.links.list().length], [1, 1]);
    assertThrows(() => veth.peer.read(), NetlinkError, "ENODEV");
    veth[Symbol.dispose]();
  }
});

test("Ends that never meet anybody of their own may have one name and one index", () => {
  using a = NetNs.create();
  using b = NetNs.create();
  const veth = Veth.create({ name: "eth0", netns: a, peer: { name: "eth0", netns: b } });
  assertEquals([veth.name, veth.peer.name, veth.index], ["eth0", "eth0", veth.peer.index]);
  assertThrows(
    () => Veth.create({ name: "same", netns: a, peer: { name: "same", netns: a } }),
    TypeError,
    "peer.name must be another one",
  );
  assertEquals(run(a.ref, "ip -br link").trim().split("\n").length, 2);
});
