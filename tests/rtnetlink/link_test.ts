import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { newNetNs } from "../../ffi/namespace.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import { NetlinkError } from "../../src/netlink/error.ts";
import type { Request } from "../../src/netlink/message.ts";
import {
  addAltNames,
  deleteAltNames,
  deleteLink,
  dumpLinks,
  getLink,
  IFF,
  type LinkInfo,
  type LinkMessage,
  newLink,
  newNeighbor,
  setLink,
  upFlags,
} from "../../src/rtnetlink/mod.ts";
import { ip, type Json, run } from "../helpers.ts";
import { needing } from "../leaks.ts";
import { lacking, Testbed, V0, V1 } from "./testbed.ts";

/** Flags that follow a link's carrier, which the kernel works off from a queue, and iproute2's own. */
const LATER = ["LOWER_UP", "RUNNING", "NO-CARRIER"];

/** What `ip` shows of a link, without what passes with time or comes later. */
function shown({ netns }: Testbed, name: string): Json {
  const [{ operstate: _, ...link }] = ip(netns, `-d -j link show dev ${name}`) as [Json];
  link.flags = (link.flags as string[]).filter((flag) => !LATER.includes(flag));
  const info = link.linkinfo as { info_data?: Json } | undefined;
  for (const key of Object.keys(info?.info_data ?? {})) {
    if (key.endsWith("_timer")) delete info!.info_data![key];
  }
  return link;
}

const B0 = 20;
const SETUP = ["ip link add b0 index 20 address 02:00:00:00:00:20 type bridge"];

type Case = [
  name: string,
  message: LinkMessage,
  words: string,
  shown: Json,
  info: Partial<LinkInfo>,
  setup?: string[],
];

/** Ways to change a link: ours, iproute2's, and what either has to show then. */
const CHANGES: Case[] = [
  ["name", { name: "renamed" }, "name renamed", { ifname: "renamed" }, { name: "renamed" }],
  [
    "Ethernet address",
    { mac: "02:00:00:00:00:aa" },
    "address 02:00:00:00:00:aa",
    { address: "02:00:00:00:00:aa" },
    { mac: "02:00:00:00:00:aa" },
  ],
  [
    "broadcast address",
    { broadcast: "ff:ff:ff:ff:ff:fe" },
    "broadcast ff:ff:ff:ff:ff:fe",
    { broadcast: "ff:ff:ff:ff:ff:fe" },
    { broadcast: "ff:ff:ff:ff:ff:fe" },
  ],
  ["MTU", { mtu: 1400 }, "mtu 1400", { mtu: 1400 }, { mtu: 1400 }],
  ["queue length", { txqlen: 77 }, "txqueuelen 77", { txqlen: 77 }, { txqlen: 77 }],
  ["group", { group: 4711 }, "group 4711", { group: "4711" }, { group: 4711 }],
  [
    "alias",
    { alias: "it's an alias" },
    String.raw`alias 'it'\''s an alias'`,
    { ifalias: "it's an alias" },
    { alias: "it's an alias" },
  ],
  ["up", upFlags(true), "up", {}, {}],
  ["down", upFlags(false), "down", {}, {}],
  [
    "no ARP, promiscuous, all multicast",
    {
      flags: IFF.NOARP | IFF.PROMISC | IFF.ALLMULTI,
      change: IFF.NOARP | IFF.PROMISC | IFF.ALLMULTI,
    },
    "arp off promisc on allmulticast on",
    { promiscuity: 1, allmulti: 1 },
    { promiscuity: 1, allmulti: 1 },
  ],
  [
    "no multicast",
    { flags: 0, change: IFF.MULTICAST },
    "multicast off",
    { flags: ["BROADCAST"] },
    { flags: ["BROADCAST"] },
  ],
  [
    "segmentation limits",
    { gsoMaxSize: 32768, gsoMaxSegs: 16 },
    "gso_max_size 32768 gso_max_segs 16",
    { gso_max_size: 32768, gso_max_segs: 16 },
    { gsoMaxSize: 32768, gsoMaxSegs: 16 },
  ],
  ...(["none", "random", "eui64"] as const).map((addrGenMode): Case => [
    `addrgenmode ${addrGenMode}`,
    { afSpec: { inet6: { addrGenMode } } },
    `addrgenmode ${addrGenMode}`,
    { inet6_addr_gen_mode: addrGenMode },
    { afSpec: { inet6: { addrGenMode } } },
  ]),
];

for (const [name, change, words, expected, info] of CHANGES) {
  Deno.test(`A link changed here or by ip is the same in the kernel: ${name}`, () => {
    const request = setLink({ index: B0, ...change });
    using ours = new Testbed(...SETUP);
    ours.connection.request(request);
    using theirs = new Testbed(...SETUP);
    run(theirs.netns, `ip link set dev b0 ${words}`);
    using commanded = new Testbed(...SETUP);
    run(commanded.netns, request.command());
    assertAlike([ours, theirs, commanded], change.name ?? "b0", expected, info);
  });
}

/** Ways to make a link. */
const CREATIONS: Case[] = [
  [
    "a bridge",
    { name: "new0", mac: "02:00:00:00:00:aa", linkInfo: { kind: "bridge" } },
    "name new0 address 02:00:00:00:00:aa type bridge",
    { ifname: "new0", address: "02:00:00:00:00:aa" },
    { name: "new0", mac: "02:00:00:00:00:aa" },
  ],
  [
    "all that a creation takes",
    {
      name: "new0",
      index: 4711,
      mac: "02:00:00:00:00:aa",
      mtu: 1400,
      txqlen: 77,
      group: 5,
      linkInfo: { kind: "bridge" },
      ...upFlags(true),
    },
    "name new0 index 4711 address 02:00:00:00:00:aa mtu 1400 txqueuelen 77 group 5 up type bridge",
    { ifindex: 4711, mtu: 1400, txqlen: 77, group: "5" },
    { index: 4711, mtu: 1400, txqlen: 77, group: 5 },
  ],
  [
    "queues",
    {
      name: "new0",
      mac: "02:00:00:00:00:aa",
      numTxQueues: 4,
      numRxQueues: 3,
      linkInfo: { kind: "ifb" },
    },
    "name new0 address 02:00:00:00:00:aa numtxqueues 4 numrxqueues 3 type ifb",
    { num_tx_queues: 4, num_rx_queues: 3 },
    { numTxQueues: 4, numRxQueues: 3 },
    ["ip link add ifb9 type ifb"],
  ],
  [
    "a link on another",
    {
      name: "new0",
      mac: "02:00:00:00:00:aa",
      parent: V0,
      linkInfo: { kind: "macvlan" },
    },
    "link v0 name new0 address 02:00:00:00:00:aa type macvlan",
    { link: "v0" },
    { parent: V0 },
    ["ip link add link v0 name m9 type macvlan"],
  ],
  [
    "a port",
    {
      name: "new0",
      mac: "02:00:00:00:00:aa",
      master: B0,
      parent: V0,
      linkInfo: { kind: "macvlan" },
    },
    "link v0 name new0 address 02:00:00:00:00:aa master b0 type macvlan",
    { master: "b0" },
    { master: B0 },
    ["ip link add link v0 name m9 type macvlan"],
  ],
];

for (const [name, message, words, expected, info, setup = []] of CREATIONS) {
  Deno.test({
    ...needing(
      { lacks: setup.length > 0 ? lacking(...setup) : undefined },
      `A link made here or by ip is the same in the kernel: ${name}`,
    ),
    fn: () => {
      const request = newLink(message);
      using ours = new Testbed(...SETUP);
      ours.connection.request(request);
      using theirs = new Testbed(...SETUP);
      run(theirs.netns, `ip link add ${words}`);
      using commanded = new Testbed(...SETUP);
      run(commanded.netns, request.command());
      assertAlike([ours, theirs, commanded], "new0", expected, info);
      const { kind } = message.linkInfo!;
      assertEquals(ours.connection.request(getLink("new0")).kind, kind);
    },
  });
}

function assertAlike(
  testbeds: Testbed[],
  name: string,
  expected: Json,
  info: Partial<LinkInfo>,
): void {
  const [first] = testbeds.map((testbed) => shown(testbed, name));
  for (const [key, value] of Object.entries(expected)) assertEquals(first![key], value, key);
  for (const testbed of testbeds) {
    assertEquals(shown(testbed, name), first);
    const link = testbed.connection.request(getLink(name));
    for (const [key, value] of Object.entries(info)) {
      assertEquals(link[key as keyof LinkInfo], value, key);
    }
    assertShown(link, first!);
  }
}

/** Holds what we read of a link against what `ip` shows of it. */
function assertShown(link: LinkInfo, shown: Json): void {
  assertEquals(
    {
      ifindex: link.index,
      ifname: link.name,
      mtu: link.mtu,
      address: link.mac,
      broadcast: link.broadcast,
      txqlen: link.txqlen,
      group: link.group === 0 ? "default" : `${link.group}`,
      promiscuity: link.promiscuity,
      qdisc: link.qdisc,
      num_tx_queues: link.numTxQueues,
      num_rx_queues: link.numRxQueues,
      gso_max_size: link.gsoMaxSize,
      gso_max_segs: link.gsoMaxSegs,
      min_mtu: link.minMtu,
      max_mtu: link.maxMtu,
      inet6_addr_gen_mode: link.afSpec?.inet6?.addrGenMode,
      ifalias: link.alias,
      altnames: link.altNames,
    },
    {
      ifindex: shown.ifindex,
      ifname: shown.ifname,
      mtu: shown.mtu,
      address: shown.address,
      broadcast: shown.broadcast,
      txqlen: shown.txqlen,
      group: shown.group,
      promiscuity: shown.promiscuity,
      qdisc: shown.qdisc,
      num_tx_queues: shown.num_tx_queues,
      num_rx_queues: shown.num_rx_queues,
      gso_max_size: shown.gso_max_size,
      gso_max_segs: shown.gso_max_segs,
      min_mtu: shown.min_mtu,
      max_mtu: shown.max_mtu,
      inet6_addr_gen_mode: shown.inet6_addr_gen_mode,
      ifalias: shown.ifalias,
      altnames: shown.altnames,
    } as never,
  );
  const lasting = (flags: string[]) => new Set(flags.filter((flag) => !LATER.includes(flag)));
  assertEquals(lasting([...link.flags]), lasting(shown.flags as string[]));
}

Deno.test("Every link is read as ip shows it", () => {
  using testbed = new Testbed(
    ...SETUP,
    "ip link set v1 master b0 alias port group 9",
    "ip link property add dev v0 altname other altname a-name-of-more-than-fifteen-bytes",
    "ip link set b0 up mtu 1300",
  );
  const shown = ip(testbed.netns, "-d -j link show");
  const links = testbed.connection.dump(dumpLinks());
  assertEquals(links.map(({ name }) => name), shown.map(({ ifname }) => ifname));
  links.forEach((link, i) => assertShown(link, shown[i]!));
  const [v1, v0] = ["v1", "v0"].map((name) => links.find((link) => link.name === name)!);
  assertEquals([v1!.master, v1!.peer, v0!.peer], [B0, V0, V1]);
  assertEquals(v1!.port?.kind, "bridge");
});

Deno.test("Carrier and operational state are read as ip shows them", async () => {
  using testbed = new Testbed();
  const states = (name: string) => {
    const { operstate, flags, carrier } = testbed.connection.request(getLink(name));
    const [link] = ip(testbed.netns, `-j link show dev ${name}`);
    const ours = [String(operstate).toUpperCase(), flags.includes("LOWER_UP")];
    const theirs = [link!.operstate, (link!.flags as string[]).includes("LOWER_UP")];
    return { ours, theirs, carrier };
  };
  assertEquals(states("lo").ours, ["UNKNOWN", true]);
  for (const [change, state, carrier] of [["up", "UP", true], ["down", "DOWN", false]] as const) {
    run(testbed.netns, `ip link set v0 ${change}`);
    // The kernel works carrier changes off from a queue.
    for (let i = 0; i < 500 && states("v0").ours[0] !== state; i++) {
      await new Promise((done) => setTimeout(done, 10));
    }
    assertEquals(states("v0"), { ours: [state, carrier], theirs: [state, carrier], carrier });
  }
});

Deno.test("A master is set and taken away, as ip does it", () => {
  using testbed = new Testbed(...SETUP);
  const { connection, netns } = testbed;
  const master = () => connection.request(getLink(V1)).master;
  const requests = [setLink({ index: V1, master: B0 }), setLink({ index: V1, master: 0 })];
  for (const request of requests) {
    connection.request(request);
    assertEquals(master(), request === requests[0] ? B0 : undefined);
  }
  for (const request of requests) {
    run(netns, request.command());
    assertEquals(master(), request === requests[0] ? B0 : undefined);
  }
});

Deno.test("An alias is taken away by an empty one, and its command says so", () => {
  using testbed = new Testbed("ip link set v0 alias one", "ip link set v1 alias two");
  const { connection, netns } = testbed;
  const aliases = () => connection.dump(dumpLinks()).flatMap(({ alias }) => alias ?? []);
  connection.request(setLink({ index: V0, alias: "" }));
  assertEquals(aliases(), ["two"]);
  run(netns, setLink({ index: V1, alias: "", mtu: 1400 }).command());
  assertEquals(aliases(), []);
});

Deno.test("A link moves to another namespace, by descriptor", () => {
  using testbed = new Testbed();
  using other = newNetNs("other netns");
  const elsewhere = connectionTo(other);
  const bridge = newLink({ name: "b1", linkInfo: { kind: "bridge" } });
  elsewhere.request(bridge);
  testbed.connection.request(setLink({ index: V1, netnsFd: other.fd.value, name: "moved" }));
  assertEquals(elsewhere.request(getLink("moved")).mac, "02:00:00:00:00:11");
  assertEquals(
    assertThrows(() => testbed.connection.request(getLink("v1")), NetlinkError).code,
    "ENODEV",
  );
  const { peer, linkNetnsId } = testbed.connection.request(getLink(V0));
  assertEquals(peer, elsewhere.request(getLink("moved")).index);
  assertEquals(typeof linkNetnsId, "number");
});

Deno.test("A link is found by index, by name, and by alternative names of any length", () => {
  const long = "a-name-of-more-than-fifteen-bytes";
  using testbed = new Testbed(`ip link property add dev v0 altname short altname ${long}`);
  const { connection, netns } = testbed;
  for (const selector of [V0, "v0", "short", long]) {
    assertEquals(connection.request(getLink(selector)).index, V0);
    assertEquals(ip(netns, getLink(selector).command().replace("ip", "-j"))[0]!.ifindex, V0);
  }
  for (const selector of [4711, "none", `${long}-still`]) {
    assertThrows(
      () => connection.request(getLink(selector)),
      NetlinkError,
      `get link ${typeof selector === "number" ? selector : `"${selector}"`}`,
    );
  }
});

Deno.test("Alternative names are added and deleted, as ip does it", () => {
  using testbed = new Testbed();
  const { connection, netns } = testbed;
  const names = () => connection.request(getLink(V0)).altNames;
  connection.request(addAltNames(V0, ["one", "two", "a-name-of-more-than-fifteen-bytes"]));
  assertEquals(names(), ["one", "two", "a-name-of-more-than-fifteen-bytes"]);
  connection.request(deleteAltNames(V0, ["two", "a-name-of-more-than-fifteen-bytes"]));
  assertEquals(names(), ["one"]);
  assertEquals(
    assertThrows(() => connection.request(addAltNames(V1, ["one"])), NetlinkError).code,
    "EEXIST",
  );
  run(netns, addAltNames(V0, ["three"]).command());
  run(netns, deleteAltNames(V0, ["one"]).command());
  assertEquals(names(), ["three"]);
});

Deno.test("Links are deleted by index, by name and by group, as ip does it", () => {
  for (const selector of [{ index: V0 }, { name: "v0" }, { group: 7 }]) {
    for (const how of ["request", "command"]) {
      using testbed = new Testbed(...SETUP, "ip link set v0 group 7", "ip link set b0 group 8");
      const request = deleteLink(selector);
      if (how === "request") testbed.connection.request(request);
      else run(testbed.netns, request.command());
      const names = testbed.connection.dump(dumpLinks()).map(({ name }) => name);
      assertEquals(names, ["lo", "b0"]);
    }
  }
});

Deno.test("Refusals name the link and what was tried", () => {
  using testbed = new Testbed(...SETUP);
  const { connection } = testbed;
  const refusal = (request: Request<unknown>) =>
    assertThrows(() => connection.request(request), NetlinkError).message.replace(/\).*/, ")");
  assertEquals(
    refusal(newLink({ name: "b0", linkInfo: { kind: "bridge" } })),
    'create bridge "b0" in test netns: File exists (EEXIST)',
  );
  assertEquals(
    refusal(setLink({ index: 4711, mtu: 1400 })),
    "set link 4711 in test netns: No such device (ENODEV)",
  );
  assertEquals(
    refusal(setLink({ index: V0, mtu: 60 }, 'veth "v0"')),
    'set veth "v0" in test netns: Invalid argument (EINVAL)',
  );
  assertEquals(
    refusal(deleteLink({ index: 1 }, 'loopback "lo"')),
    'delete loopback "lo" in test netns: Operation not supported (EOPNOTSUPP)',
  );
});

Deno.test("dumpLinks() is limited to a kind, a master and a group", () => {
  using testbed = new Testbed(
    ...SETUP,
    "ip link set v1 master b0 group 9",
    "ip link add b1 type bridge",
  );
  const found = (filter: Parameters<typeof dumpLinks>[0]) =>
    testbed.connection.dump(dumpLinks(filter)).map(({ name }) => name).sort();
  assertEquals(found({}), ["b0", "b1", "lo", "v0", "v1"]);
  assertEquals(found({ kind: "bridge" }), ["b0", "b1"]);
  assertEquals(found({ master: B0 }), ["v1"]);
  assertEquals(found({ group: 9 }), ["v1"]);
  assertEquals(found({ kind: "bridge", master: B0 }), []);
  assertEquals(found({ kind: "veth", group: 0 }), ["v0"]);
  for (const filter of [{}, { kind: "bridge" }, { master: B0 }, { group: 9 }]) {
    const command = dumpLinks(filter).command().replace("ip", "-j");
    const names = ip(testbed.netns, command).map(({ ifname }) => ifname as string);
    assertEquals(names.sort(), found(filter));
  }
});

Deno.test("Counters are left out when they are not asked for", () => {
  using testbed = new Testbed();
  const { connection } = testbed;
  assert(connection.request(getLink("lo")).stats);
  assertEquals(connection.request(getLink("lo", { stats: false })).stats, undefined);
  assert(connection.dump(dumpLinks({ stats: false })).every(({ stats }) => stats === undefined));
});

Deno.test("Counters are those that ip shows", () => {
  using testbed = new Testbed("ip addr add 192.0.2.1/24 dev v0");
  const { connection, netns } = testbed;
  for (let i = 0; i < 5; i++) {
    connection.request(newNeighbor({ index: V0, address: `192.0.2.${9 + i}`, flags: ["use"] }));
  }
  const read = () => {
    const { stats } = connection.request(getLink(V0));
    const [link] = ip(netns, "-s -s -j link show dev v0");
    const { rx, tx } = link!.stats64 as { rx: Json; tx: Json };
    return {
      ours: [stats!.txPackets, stats!.txBytes, stats!.rxPackets, stats!.txErrors, stats!.rxDropped],
      theirs: [tx.packets, tx.bytes, rx.packets, tx.errors, rx.dropped],
    };
  };
  // The kernel asks again every second: some of several reads are not torn.
  let { ours, theirs } = read();
  for (let i = 0; i < 9 && `${ours}` !== `${theirs}`; i++) ({ ours, theirs } = read());
  assertEquals(ours, theirs);
  assertGreater(ours[0]!, 0);
});
