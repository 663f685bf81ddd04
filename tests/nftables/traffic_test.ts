// Packets decide: what rules drop, translate, limit and count.
import { assert, assertEquals } from "@std/assert";
import { Bridge, NetNs, Scope, UdpSocket, Veth } from "../../mod.ts";
import "../../src/nftables/mod.ts";
import type { Rule } from "../../src/nftables/mod.ts";
import { FrameHeaders } from "../../src/packet/mod.ts";

/** Two namespaces with a router between them. */
async function routed() {
  const scope = Scope.open();
  const [a, router, b] = [1, 2, 3].map(() => NetNs.create({ scope })) as [NetNs, NetNs, NetNs];
  const end = { up: true, nodad: true };
  for (const [netns, n, name] of [[a, 1, "left"], [b, 2, "right"]] as const) {
    Veth.create({
      ...end,
      scope,
      name: "eth0",
      netns,
      addresses: [`10.0.${n}.2/24`, `fd00:${n}::2/64`],
      peer: { ...end, name, netns: router, addresses: [`10.0.${n}.1/24`, `fd00:${n}::1/64`] },
    });
    netns.routes.add([
      { destination: "default", gateway: `10.0.${n}.1` },
      { destination: "default", gateway: `fd00:${n}::1` },
    ]);
  }
  router.sysctl("net.ipv4.ip_forward", 1);
  router.sysctl("net.ipv6.conf.all.forwarding", 1);
  await scope.ready();
  return { a, router, b, [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() };
}

const ping = async (netns: NetNs, address: string, count = 1) =>
  (await netns.ping(address, { count, interval: 1, timeout: 300 })).received;

/** A table with one chain of the hook. */
function chain(netns: NetNs, rules: readonly Rule[], hook: "input" | "forward" = "input"): void {
  netns.nftables.replace({
    family: "inet",
    name: "t",
    sets: [{ name: "s", type: "ipv4_addr", elements: ["10.0.1.2"] }],
    chains: [{ name: "c", hook, rules }],
  });
}

Deno.test("drop() drops what matches, until it is disposed", async () => {
  await using lab = await routed();
  const { a, router, b } = lab;
  assertEquals([await ping(a, "10.0.2.2"), await ping(b, "fd00:1::2")], [1, 1]);
  {
    using cut = router.drop({ from: "10.0.1.0/24", to: "10.0.2.2" });
    assertEquals(await ping(a, "10.0.2.2"), 0);
    assertEquals(await ping(b, "10.0.1.2"), 0, "the answers are dropped");
    assertEquals(await ping(a, "fd00:2::2"), 1, "IPv6 is not");
    assertEquals(await ping(a, "10.0.2.1"), 1, "another destination is not");
    assertEquals(cut.packets, 2);
  }
  assertEquals(await ping(a, "10.0.2.2"), 1);
  assertEquals(router.nftables.list(), []);
});

Deno.test("drop() takes addresses of both families, protocols and ports", async () => {
  await using lab = await routed();
  const { a, b } = lab;
  using server = b.listen({ hostname: "0.0.0.0", port: 80 });
  const accepted = (async () => {
    for await (const connection of server) connection.close();
  })();
  const connect = async () => {
    const timeout = AbortSignal.timeout(300);
    try {
      (await Promise.race([
        a.connect({ hostname: "10.0.2.2", port: 80, signal: timeout } as Deno.ConnectOptions),
        new Promise<never>((_, reject) => timeout.addEventListener("abort", reject)),
      ])).close();
      return true;
    } catch {
      return false;
    }
  };
  assertEquals(await connect(), true);
  {
    using _cut = b.drop({ from: ["10.0.1.2", "fd00:1::2"] });
    assertEquals([await ping(a, "10.0.2.2"), await ping(a, "fd00:2::2")], [0, 0]);
  }
  {
    using cut = b.drop({ proto: "icmp" });
    assertEquals([await ping(a, "10.0.2.2"), await ping(a, "fd00:2::2")], [0, 1]);
    assertEquals(cut.packets, 1);
  }
  {
    using cut = b.drop({ port: [79, "80-81"] });
    assertEquals([await connect(), await ping(a, "10.0.2.2")], [false, 1]);
    assert(cut.packets > 0);
  }
  {
    using _cut = b.drop({ proto: "udp", port: 80 });
    assertEquals(await connect(), true);
  }
  server.close();
  await accepted;
});

Deno.test("Each drop() undoes its own table alone", async () => {
  await using lab = await routed();
  const { a, b } = lab;
  using first = b.drop({ from: "10.0.1.2" });
  const second = b.drop({ from: "10.0.1.2" });
  assertEquals([first.name, second.name], ["netloom-drop-1", "netloom-drop-2"]);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assertEquals(b.nftables.list().map(({ name }) => name), [second.name]);
  assertEquals(await ping(a, "10.0.2.2"), 0);
  second[Symbol.dispose]();
  assertEquals(await ping(a, "10.0.2.2"), 1);
  // Another table under the same name is left alone.
  const third = b.drop({ from: "10.0.1.2" });
  b.nftables.flush();
  b.nftables.add({ family: "inet", name: third.name });
  third[Symbol.dispose]();
  assertEquals(b.nftables.list().map(({ name }) => name), [third.name]);
});

Deno.test("masquerade() gives packets the address of the link that they leave by", async () => {
  await using lab = await routed();
  const { a, router, b } = lab;
  b.routes.flush(); // only its own networks are left
  assertEquals([await ping(a, "10.0.2.2"), await ping(a, "fd00:2::2")], [0, 0]);
  {
    using nat = router.masquerade({ out: "right" });
    assertEquals([await ping(a, "10.0.2.2"), await ping(a, "fd00:2::2")], [1, 1]);
    assertEquals(nat.packets, 2);
  }
  {
    using _nat = router.masquerade({
      out: ["left", "right"],
      from: ["10.0.1.0/24", "10.9.0.0/16"],
    });
    assertEquals([await ping(a, "10.0.2.2"), await ping(a, "fd00:2::2")], [1, 0]);
  }
  assertEquals(router.nftables.list(), []);
});

Deno.test("dnat and redirect lead connections elsewhere, snat gives them an address", async () => {
  await using lab = await routed();
  const { a, router, b } = lab;
  router.nftables.add({
    family: "inet",
    name: "nat",
    chains: [
      {
        name: "in",
        type: "nat",
        hook: "prerouting",
        rules: [{ iifname: "left", "tcp dport": 8080, dnat: "10.0.2.2:80" }],
      },
      {
        name: "out",
        type: "nat",
        hook: "postrouting",
        rules: [{ oifname: "right", "tcp dport": 80, snat: "10.0.2.1" }],
      },
    ],
  });
  b.nftables.add({
    family: "ip",
    name: "nat",
    chains: [{
      name: "in",
      type: "nat",
      hook: "prerouting",
      rules: [{ "tcp dport": 80, redirect: 8000 }],
    }],
  });
  using server = b.listen({ hostname: "0.0.0.0", port: 8000 });
  const connecting = a.connect({ hostname: "10.0.1.1", port: 8080 });
  using accepted = await server.accept();
  using _connection = await connecting;
  assertEquals(accepted.remoteAddr.hostname, "10.0.2.1");
});

Deno.test("numgen loses half of the packets, within its confidence interval", async () => {
  await using lab = await routed();
  const { a, b } = lab;
  chain(b, [{
    "icmp type": "echo-request",
    numgen: { mode: "random", mod: 100, match: { lt: 50 } },
    counter: true,
    verdict: "drop",
  }]);
  const count = 2000;
  const { received } = await a.ping("10.0.2.2", {
    count,
    interval: 0,
    timeout: 500,
    concurrency: 200,
  });
  const [rule] = b.nftables.rules.list();
  const dropped = (rule!.rule[0]!.counter as { packets: number }).packets;
  assertEquals(received + dropped, count);
  // 4.9 standard deviations of a binomial distribution: one wrong result in a million runs.
  assert(Math.abs(dropped - count / 2) < 4.9 * Math.sqrt(count / 4), `${dropped} of ${count}`);
});

Deno.test("numgen that counts up drops every second packet", async () => {
  await using lab = await routed();
  const { a, b } = lab;
  chain(b, [{
    "icmp type": "echo-request",
    numgen: { mode: "inc", mod: 2, match: 0 },
    verdict: "drop",
  }]);
  assertEquals(await ping(a, "10.0.2.2", 20), 10);
});

Deno.test("A limit passes a burst and drops the rest", async () => {
  await using lab = await routed();
  const { a, b } = lab;
  chain(b, [
    { "icmp type": "echo-request", limit: { rate: "1/hour", burst: 7 }, verdict: "accept" },
    { "icmp type": "echo-request", verdict: "drop" },
  ]);
  assertEquals(await ping(a, "10.0.2.2", 20), 7);
  chain(b, [{
    "icmp type": "echo-request",
    limit: { rate: "1/hour", over: true, burst: 3 },
    verdict: "drop",
  }]);
  assertEquals(await ping(a, "10.0.2.2", 20), 3);
});

Deno.test("A rule follows the elements of a named set", async () => {
  await using lab = await routed();
  const { a, b } = lab;
  chain(b, [{ "ip saddr": "@s", verdict: "drop" }]);
  const set = { family: "inet", table: "t", set: "s" } as const;
  assertEquals(await ping(a, "10.0.2.2"), 0);
  b.nftables.elements.delete({ ...set, elements: ["10.0.1.2"] });
  assertEquals(await ping(a, "10.0.2.2"), 1);
  b.nftables.elements.add({ ...set, elements: ["10.0.1.2", "10.0.1.3"] });
  assertEquals(await ping(a, "10.0.2.2"), 0);
  assertEquals(b.nftables.elements.list(set), ["10.0.1.2", "10.0.1.3"]);
  b.nftables.elements.flush(set);
  assertEquals(await ping(a, "10.0.2.2"), 1);
});

Deno.test("A verdict map decides by the value, a concatenation by several at once", async () => {
  await using lab = await routed();
  const { a, b } = lab;
  for (
    const [rule, passes] of [
      [{ "icmp type vmap": [{ key: "echo-request", value: "drop" }] }, 0],
      [{ "icmp type vmap": [{ key: "echo-reply", value: "drop" }] }, 1],
      [{ "icmp type vmap": [{ key: "1-8", value: "drop" }, { key: "9-20", value: "accept" }] }, 0],
      [{ "icmp type vmap": [{ key: "5-7", value: "accept" }, { key: "8-9", value: "drop" }] }, 0],
      [{ "icmp type vmap": [{ key: "5-7", value: "drop" }, { key: "8-9", value: "accept" }] }, 1],
      [{ "ip saddr . icmp type": [["10.0.1.2", "echo-request"]], verdict: "drop" }, 0],
      [{ "ip saddr . icmp type": [["10.0.1.3", "echo-request"]], verdict: "drop" }, 1],
      [{ "ip saddr . icmp type": [["10.0.1.0/24", "5-9"]], verdict: "drop" }, 0],
      [{ "ip saddr . ip dscp": [["10.0.1.2", "cs0"]], verdict: "drop" }, 0],
      [{
        "ip saddr . icmp type vmap": [{ key: ["10.0.1.2", "echo-request"], value: "drop" }],
      }, 0],
      [{ "fib saddr . iif oif": "missing", verdict: "drop" }, 1],
      [{ "fib daddr type": "local", verdict: "drop" }, 0],
    ] as [Rule, number][]
  ) {
    chain(b, [rule]);
    assertEquals(await ping(a, "10.0.2.2"), passes, JSON.stringify(rule));
  }
});

Deno.test("A changed header has the right checksums", async () => {
  await using lab = await routed();
  const { a, router, b } = lab;
  chain(router, [{ "ip daddr": "10.0.2.9", "ip daddr set": "10.0.2.2" }, {
    "ip dscp set": "ef",
    "ip ttl set": 9,
    "udp dport": 5000,
    "udp dport set": 5001,
  }], "forward");
  const eth0 = b.links.get("eth0");
  using frames = eth0.capture({ filter: { protocol: "udp" } });
  using sender = UdpSocket.open({ netns: a, remote: { address: "10.0.2.9", port: 5000 } });
  using receiver = UdpSocket.open({ netns: b, local: { address: "10.0.2.2", port: 5001 } });
  await sender.write(Uint8Array.of(1, 2, 3));
  assertEquals(await receiver.read(new Uint8Array(9)), 3, "the kernel has verified them");
  for await (const { data } of frames) {
    const { ipv4, udp } = new FrameHeaders(data);
    assertEquals([ipv4!.dscp, ipv4!.ttl, udp!.destinationPort], [46, 9, 5001]);
    assert(ipv4!.checksumValid);
    break;
  }
});

Deno.test("A set without a name has values, ranges and prefixes", async () => {
  await using lab = await routed();
  const { a, b } = lab;
  for (
    const [saddr, passes] of [
      [["10.0.1.0/30", "10.9.9.9"], 0],
      [["10.0.1.1-10.0.1.3"], 0],
      [["10.0.1.1", "10.0.1.2-10.0.1.3"], 0], // one begins where the other ends
      [["10.0.1.2", "10.0.1.3-10.0.1.4"], 0],
      [["10.0.1.0/31", "10.0.1.0-10.0.1.2", "10.0.1.9"], 0], // they overlap
      [["10.0.1.3-10.0.1.9", "10.0.0.0/24"], 1],
      [{ not: ["10.0.1.2"] }, 1],
      [{ not: "10.0.1.0/24" }, 1],
      [{ not: "10.0.1.3-10.0.1.9" }, 0],
    ] as const
  ) {
    chain(b, [{ "ip saddr": saddr, verdict: "drop" }]);
    assertEquals(await ping(a, "10.0.2.2"), passes, JSON.stringify(saddr));
  }
});

Deno.test("Chains of netdev see what a link receives and sends", async () => {
  await using lab = await routed();
  const { a, b } = lab;
  for (const hook of ["ingress", "egress"] as const) {
    b.nftables.replace({
      family: "netdev",
      name: "links",
      chains: [{
        name: "c",
        hook,
        devices: ["eth0"],
        rules: [{
          "icmp type": hook === "ingress" ? "echo-request" : "echo-reply",
          counter: true,
          verdict: "drop",
        }],
      }],
    }, { all: true });
    assertEquals([await ping(a, "10.0.2.2"), await ping(a, "fd00:2::2")], [0, 1], hook);
    const [rule] = b.nftables.rules.list();
    assertEquals((rule!.rule[0]!.counter as { packets: number }).packets, 1);
  }
  const [chain] = b.nftables.chains.list();
  assertEquals([chain!.hook, chain!.devices], ["egress", ["eth0"]]);
});

Deno.test("Chains of bridge see what a bridge passes on, and drop() can be one", async () => {
  await using scope = Scope.open();
  const [a, b, middle] = [1, 2, 3].map(() => NetNs.create({ scope })) as [NetNs, NetNs, NetNs];
  const bridge = Bridge.create({ scope, name: "br0", netns: middle, up: true });
  for (const [netns, n] of [[a, 1], [b, 2]] as const) {
    Veth.create({
      scope,
      name: "eth0",
      netns,
      up: true,
      addresses: [`10.0.0.${n}/24`],
      peer: { name: `port${n}`, master: bridge, up: true },
    });
  }
  await scope.ready();
  assertEquals(await ping(a, "10.0.0.2"), 1);
  middle.nftables.add({
    family: "bridge",
    name: "t",
    chains: [{
      name: "c",
      hook: "forward",
      rules: [{ iifname: "port1", "icmp type": "echo-request", verdict: "drop" }],
    }],
  });
  assertEquals([await ping(a, "10.0.0.2"), await ping(b, "10.0.0.1")], [0, 1]);
  middle.nftables.flush();
  using _cut = middle.drop({ family: "bridge", from: "10.0.0.2", proto: "icmp" });
  assertEquals([await ping(a, "10.0.0.2"), await ping(b, "10.0.0.1")], [0, 0]);
});

Deno.test("reject answers, and marks and verdicts lead through chains", async () => {
  await using lab = await routed();
  const { a, b } = lab;
  b.nftables.add({
    family: "inet",
    name: "t",
    chains: [
      { name: "marked", rules: [{ "meta mark": 7, "tcp dport": 80, reject: "tcp reset" }] },
      {
        name: "c",
        hook: "input",
        rules: [{ "ip saddr": "10.0.1.2", "meta mark set": 7 }, { verdict: "jump marked" }],
      },
    ],
  });
  using _server = b.listen({ hostname: "0.0.0.0", port: 80 });
  const refused = await a.connect({ hostname: "10.0.2.2", port: 80 }).then(
    () => "",
    (error) => error.name,
  );
  assertEquals(refused, "ConnectionRefused");
});
