import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Bridge,
  Link,
  NetNs,
  type PingOptions,
  type PingResult,
  Scope,
  SyscallError,
  Veth,
} from "../../mod.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";

/** Two namespaces side by side. */
async function joined() {
  const scope = Scope.open();
  const [a, b] = [NetNs.create(undefined, { scope }), NetNs.create(undefined, { scope })];
  const end = { name: "eth0", up: true, nodad: true };
  const veth = Veth.create({
    ...end,
    scope,
    netns: a,
    addresses: ["10.0.0.1/24", "fd00::1/64"],
    peer: { ...end, netns: b, addresses: ["10.0.0.2/24", "fd00::2/64"] },
  });
  await scope.ready();
  return { a, b, veth, [Symbol.dispose]: () => scope.close() };
}

/** The statistics without what a clock has to do with. */
function counts({ address, sent, received, loss, replies, errors }: PingResult) {
  return {
    address,
    sent,
    received,
    loss,
    sequences: replies.map(({ sequence }) => sequence),
    errors,
  };
}

test("ping() reaches another namespace over IPv4, and says how long it took", async () => {
  using nets = await joined();
  const result = await nets.a.ping("10.0.0.2", { count: 3, interval: 1 });
  assertEquals(counts(result), {
    address: "10.0.0.2",
    sent: 3,
    received: 3,
    loss: 0,
    sequences: [1, 2, 3],
    errors: [],
  });
  const times = result.replies.map(({ time }) => time);
  assert(times.every((time) => time > 0 && time < 1000));
  assertEquals(result.replies.map(({ ttl }) => ttl), [64, 64, 64]);
  assertEquals([result.min, result.max], [Math.min(...times), Math.max(...times)]);
  const avg = times.reduce((sum, time) => sum + time) / 3;
  const mdev = Math.sqrt(times.reduce((sum, time) => sum + (time - avg) ** 2, 0) / 3);
  assert(Math.abs(result.avg! - avg) < 1e-9 && Math.abs(result.mdev! - mdev) < 1e-6);
});

test("ping() reaches another namespace over IPv6, also from its link-local address", async () => {
  using nets = await joined();
  assertEquals((await nets.a.ping("fd00::2", { count: 2, interval: 1 })).received, 2);
  const linkLocal = nets.b.addresses.list({ family: "inet6" })
    .map(({ address }) => address.split("/")[0]!).find((address) => address.startsWith("fe80"));
  const zoned = `${linkLocal}%${nets.veth.index}`;
  const result = await nets.a.ping(zoned);
  assertEquals([result.address, result.received, result.replies[0]!.ttl], [zoned, 1, undefined]);
  await assertRejects(() => nets.a.ping(linkLocal!), SyscallError, "EINVAL");
});

test("ping() counts the requests nobody answered", async () => {
  using nets = await joined();
  nets.b.sysctl("net.ipv4.icmp_echo_ignore_all", 1);
  const options = { count: 3, interval: 5, timeout: 10 };
  const started = performance.now();
  assertEquals(await nets.a.ping("10.0.0.2", options), {
    address: "10.0.0.2",
    sent: 3,
    received: 0,
    loss: 1,
    replies: [],
    errors: [],
  });
  assert(performance.now() - started >= 29);
});

test("ping() over a link without a carrier is a loss, and so is what the link does not take", async () => {
  using nets = await joined();
  await nets.a.ping("10.0.0.2"); // ARP has its answer
  nets.veth.peer.down();
  const options = { count: 20, interval: 0, timeout: 20 };
  const codes = new Set<string>();
  // The kernel notices the carrier up to a second later; before, packets are lost without an error.
  for (let i = 0; i < 50 && codes.size === 0; i++) {
    const { sent, received, errors } = await nets.a.ping("10.0.0.2", options);
    assertEquals([sent, received], [20, 0]);
    for (const { code } of errors) codes.add(code);
  }
  assertEquals(codes, new Set(["ENOBUFS"]));
});

test("ping() tells a part of the replies from none", async () => {
  using nets = await joined();
  nets.b.sysctl("net.ipv4.icmp_echo_ignore_all", 1);
  setTimeout(() => nets.b.sysctl("net.ipv4.icmp_echo_ignore_all", 0), 45);
  const { sent, received, loss } = await nets.a.ping("10.0.0.2", {
    count: 10,
    interval: 10,
    timeout: 10,
  });
  assert(sent === 10 && received > 0 && received < 10, `${received} of ${sent}`);
  assertEquals(loss, (10 - received) / 10);
});

test("ping() does not take a late reply for that of a later request", async () => {
  using nets = await joined();
  run(nets.b.ref, "tc qdisc add dev eth0 root tbf rate 8kbit burst 100b latency 2s");
  const { sent, replies } = await nets.a.ping("10.0.0.2", { count: 6, interval: 1, timeout: 30 });
  assertEquals(sent, 6);
  for (const { time } of replies) assert(time <= 35, `${time}`);
});

test("ping() ends when its signal says so: before, while waiting, and between requests", async () => {
  using nets = await joined();
  const aborted = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => nets.a.ping("10.0.0.2", { signal: aborted }), Error, "enough");
  for (
    const [address, options] of [
      ["10.0.0.2", { count: 100, interval: 60_000 }],
      ["10.0.0.2", { count: 1e9, interval: 0 }],
      ["10.0.0.99", { timeout: 60_000 }],
    ] as [string, PingOptions][]
  ) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 20);
    await assertRejects(
      () => nets.a.ping(address, { ...options, signal: controller.signal }),
      Error,
      "enough",
    );
  }
});

test("ping() sends as much as it is told: nothing, more than a packet holds, the most there is", async () => {
  using nets = await joined();
  for (const address of ["10.0.0.2", "fd00::2"]) {
    for (const size of [0, 1, 56, 1400, 5000, 65_507]) {
      const before = nets.veth.stats().txBytes;
      const { received } = await nets.a.ping(address, { size });
      assertEquals(received, 1, `${address} with ${size} bytes`);
      assert(nets.veth.stats().txBytes - before >= size);
    }
  }
});

test("ping() says what the network answered instead of a reply", async () => {
  using nets = await joined();
  nets.b.sysctl("net.ipv4.ip_forward", 1);
  nets.b.sysctl("net.ipv6.conf.all.forwarding", 1);
  // No limit for any type. One of 0 would use up what Linux 6.12 allows in a second.
  nets.b.sysctl("net.ipv4.icmp_ratemask", 0);
  nets.b.sysctl("net.ipv6.icmp.ratelimit", 0);
  for (const gateway of ["10.0.0.2", "fd00::2"]) {
    nets.a.routes.add({ destination: "default", gateway });
  }
  nets.b.routes.add({ destination: "10.1.0.0/16", type: "unreachable" });
  nets.b.routes.add({ destination: "10.2.0.0/16", type: "prohibit" });
  // A router answers only five times in as many seconds.
  const expected: [string, number, string][] = [
    ["10.9.9.9", 2, "ENETUNREACH"],
    ["10.1.0.1", 1, "EHOSTUNREACH"],
    ["10.2.0.1", 1, "EHOSTUNREACH"],
    ["fd01::1", 2, "ENETUNREACH"],
  ];
  for (const [address, count, code] of expected) {
    const { errors, received } = await nets.a.ping(address, { count, interval: 1, timeout: 500 });
    const all = Array.from({ length: count }, (_, i) => ({ sequence: i + 1, code }));
    assertEquals([received, errors], [0, all], address);
  }
});

test("ping() says when nobody has the address", async () => {
  using nets = await joined();
  // Three requests a second apart would do; the setting makes it a fifth of a second.
  nets.a.sysctl("net.ipv4.neigh.eth0.retrans_time_ms", 50);
  const { errors, loss } = await nets.a.ping("10.0.0.99", { timeout: 2000 });
  assertEquals([errors, loss], [[{ sequence: 1, code: "EHOSTUNREACH" }], 1]);
  const after = await nets.a.ping("10.0.0.2", { count: 2, interval: 1 });
  assertEquals([after.received, after.errors], [2, []]);
});

test("ping() reports a packet that a router will not fragment", async () => {
  using nets = await joined();
  nets.b.sysctl("net.ipv6.conf.all.forwarding", 1);
  using third = NetNs.create();
  const end = { up: true, nodad: true, mtu: 1300 };
  Veth.create({
    ...end,
    name: "eth1",
    netns: nets.b,
    addresses: ["fd02::1/64"],
    peer: { ...end, name: "eth0", netns: third, addresses: ["fd02::2/64"] },
  });
  nets.a.routes.add({ destination: "fd02::/64", gateway: "fd00::2" });
  third.routes.add({ destination: "fd00::/64", gateway: "fd02::1" });
  const { errors, received } = await nets.a.ping("fd02::2", {
    size: 1400,
    count: 2,
    interval: 1,
    timeout: 10_000,
  });
  // The second one knows, and is sent in fragments.
  assertEquals([errors, received], [[{ sequence: 1, code: "EMSGSIZE" }], 1]);
});

test("ping() without a route is an error, and with a malformed address or option too", async () => {
  using netns = NetNs.create("ping-alone");
  const error = await assertRejects(() => netns.ping("192.0.2.1"), SyscallError);
  assertEquals(
    [error.code, error.message],
    [
      "ENETUNREACH",
      'ping 192.0.2.1 in netns "ping-alone": Network is unreachable (ENETUNREACH, connect); no route leads to it',
    ],
  );
  for (
    const address of [
      "",
      "localhost",
      "10.0.0",
      "10.0.0.256",
      "::g",
      "::1%",
      "1.2.3.4%1",
    ]
  ) {
    const error = await assertRejects(() => netns.ping(address), TypeError);
    assert(error.message.includes(address), error.message);
  }
  const options: [PingOptions, typeof TypeError | typeof RangeError, string][] = [
    [{ count: 0 }, RangeError, "count must be in 1..1000000000: got 0"],
    [{ count: 1.5 }, TypeError, "count must be an integer: got 1.5"],
    [{ concurrency: 0 }, RangeError, "concurrency must be in 1..65536: got 0"],
    [{ concurrency: 1.5 }, TypeError, "concurrency must be an integer: got 1.5"],
    [{ size: -1 }, RangeError, "size must be in 0..65507 bytes: got -1"],
    [{ size: 65_508 }, RangeError, "size must be in 0..65507"],
    [{ interval: -1 }, RangeError, "interval must be in 0..86400000 milliseconds: got -1"],
    [{ timeout: NaN }, TypeError, "timeout must be a number of milliseconds: got NaN"],
    // deno-lint-ignore no-explicit-any
    [{ timeout: "1" as any }, TypeError, 'timeout must be a number of milliseconds: got "1"'],
    // deno-lint-ignore no-explicit-any
    [{ deadline: 5 } as any, TypeError, 'Unknown option "deadline"'],
  ];
  for (const [option, type, message] of options) {
    await assertRejects(() => netns.ping("127.0.0.1", option), type, message);
  }
});

test("Many pings at once, also to one address, each get their own replies", async () => {
  using nets = await joined();
  const addresses = ["10.0.0.2", "fd00::2", "127.0.0.1", "::1"];
  const results = await Promise.all(
    Array.from({ length: 40 }, (_, i) => nets.a.ping(addresses[i % 4]!, { count: 3, interval: 2 })),
  );
  for (const result of results) assertEquals([result.received, result.loss], [3, 0]);
});

test("ping() takes a zone by name, alternative name and index", async () => {
  using nets = await joined();
  run(nets.a.ref, "ip link property add dev eth0 altname uplink");
  const linkLocal = nets.b.addresses.list({ family: "inet6" })
    .map(({ address }) => address.split("/")[0]!).find((address) => address.startsWith("fe80"));
  for (const zone of ["eth0", "uplink", nets.veth.index]) {
    const { address, received } = await nets.a.ping(`${linkLocal}%${zone}`);
    assertEquals([address, received], [`${linkLocal}%${zone}`, 1]);
  }
  const error = await assertRejects(() => nets.a.ping(`${linkLocal}%eth7`), SyscallError);
  assertEquals(error.code, "ENODEV");
  const start = `ping ${linkLocal}%eth7 in ${nets.a.ref.label}: `;
  assert(error.message.startsWith(start), error.message);
});

/** Three namespaces on a bridge, with the addresses 10.0.0.1 to 10.0.0.3 and fd00::1 to fd00::3. */
async function three() {
  const scope = Scope.open();
  const hub = NetNs.create({ scope });
  const master = Bridge.create({ scope, name: "br0", netns: hub, up: true, stp: false });
  const all = [1, 2, 3].map((n) => {
    const netns = NetNs.create({ scope });
    const addresses = [`10.0.0.${n}/24`, `fd00::${n}/64`];
    const peer = { name: `port${n}`, netns: hub, master, up: true };
    Veth.create({ scope, name: "eth0", netns, up: true, nodad: true, addresses, peer });
    netns.sysctl("net.ipv4.icmp_echo_ignore_broadcasts", 0);
    netns.routes.add({ destination: "224.0.0.0/4", dev: "eth0" });
    return netns;
  });
  await scope.ready();
  return { all, [Symbol.dispose]: () => scope.close() };
}

/** The hosts that answered, in order. */
function hosts({ replies }: PingResult, sequence: number): string[] {
  return replies.filter((reply) => reply.sequence === sequence)
    .map(({ from }) => from.split("%")[0]!).sort();
}

test("ping() to a broadcast address has the answers of all hosts", async () => {
  using nets = await three();
  const options = { count: 2, interval: 0, concurrency: 2, timeout: 2000 };
  for (const address of ["10.0.0.255", "224.0.0.1"]) {
    const result = await nets.all[0]!.ping(address, options);
    assertEquals([result.sent, result.received, result.loss, result.errors], [2, 2, 0, []]);
    for (const sequence of [1, 2]) {
      const others = hosts(result, sequence).filter((from) => from !== "10.0.0.1");
      assertEquals(others, ["10.0.0.2", "10.0.0.3"], address);
    }
  }
});

test("ping() to an IPv6 multicast address has the answers of all hosts on the link", async () => {
  using nets = await three();
  const linkLocal = nets.all.map((netns) =>
    netns.addresses.list({ family: "inet6" }).map(({ address }) => address.split("/")[0]!)
      .find((address) => address.startsWith("fe80"))!
  );
  const result = await nets.all[0]!.ping("ff02::1%eth0", { timeout: 2000 });
  assertEquals([result.received, result.replies[0]!.ttl], [1, undefined]);
  for (const other of linkLocal.slice(1)) assert(hosts(result, 1).includes(other), other);
});

test("ping() to a multicast address without a route is an error, and without hosts a loss", async () => {
  using nets = await joined();
  await assertRejects(() => nets.a.ping("224.0.0.1"), SyscallError, "no route leads to it");
  nets.a.routes.add({ destination: "224.0.0.0/4", dev: "eth0" });
  const result = await nets.a.ping("239.1.2.3", { timeout: 50 });
  assertEquals(counts(result), {
    ...{ address: "239.1.2.3", sent: 1, received: 0, loss: 1 },
    ...{ sequences: [], errors: [] },
  });
});

test("ping() to a link-local address says what is missing: its link, or an address of its own", async () => {
  using netns = NetNs.create();
  netns.sysctl("net.ipv6.conf.default.dad_transmits", 100); // the detection takes 100 seconds
  const v0 = { name: "v0", netns, up: true, addresses: ["fd00::1/64"] };
  const veth = Veth.create({ ...v0, peer: { name: "v1", netns, up: true } });
  await veth.waitFor(({ operstate }) => operstate === "up", { timeout: 5000 });
  for (const address of ["fe80::1", "ff02::1"]) {
    const error = await assertRejects(() => netns.ping(address), SyscallError);
    assert(
      error.message.endsWith(`; such an address is of one link: "${address}%eth0"`),
      `${error}`,
    );
  }
  const tentative = await assertRejects(() => netns.ping("ff02::1%v0"), SyscallError);
  assertEquals(tentative.code, "EADDRNOTAVAIL");
  assert(tentative.message.endsWith("which Scope.ready() waits for"), tentative.message);
});

test("ping() to an address that a route prohibits says so", async () => {
  using nets = await joined();
  nets.a.routes.add({ destination: "10.3.0.0/16", type: "prohibit" });
  const error = await assertRejects(() => nets.a.ping("10.3.0.1"), SyscallError);
  assertEquals(error.code, "EACCES");
  assert(error.message.endsWith("; a route prohibits it"), error.message);
});

test("ping() sends with concurrency before replies have come, and matches each of them", async () => {
  using nets = await joined();
  for (const address of ["10.0.0.2", "fd00::2"]) {
    const result = await nets.a.ping(address, { count: 300, interval: 0, concurrency: 100 });
    assertEquals(
      result.replies.map(({ sequence }) => sequence).sort((a, b) => a - b),
      Array.from({ length: 300 }, (_, i) => i + 1),
    );
    assertEquals([result.received, result.loss], [300, 0]);
  }
});

test("ping() has as many requests wait as concurrency says", async () => {
  using nets = await joined();
  nets.b.sysctl("net.ipv4.icmp_echo_ignore_all", 1);
  const seconds = async (options: PingOptions) => {
    const started = performance.now();
    const { sent, received } = await nets.a.ping("10.0.0.2", { interval: 0, ...options });
    assertEquals([sent, received], [options.count, 0]);
    return (performance.now() - started) / 1000;
  };
  // One after the other, these take 100 s.
  assert(await seconds({ count: 100, concurrency: 100, timeout: 1000 }) < 50);
  // Two at a time are two rounds.
  assert(await seconds({ count: 4, concurrency: 2, timeout: 100 }) >= 0.199);
});

test("ping() takes the time of a reply when it comes, not when the next request is due", async () => {
  using nets = await joined();
  // The link is slow enough that the reply is not there at once.
  run(nets.b.ref, "tc qdisc add dev eth0 root tbf rate 80kbit burst 100b latency 2s");
  const options = { count: 2, interval: 2000, concurrency: 2 };
  const { replies } = await nets.a.ping("10.0.0.2", options);
  assertEquals(replies.length, 2);
  for (const { time } of replies) assert(time < 1500, `${time}`);
});

const iputils = new Deno.Command("sh", { args: ["-c", "ping -V"] }).outputSync().success;

test("ping() measures what the ping program measures", {
  lacks: iputils ? undefined : "ping is not iputils'",
}, async () => {
  using nets = await joined();
  for (const [address, ttl] of [["10.0.0.2", "ttl=64"], ["fd00::2", "ttl=64"]] as const) {
    const text = run(nets.a.ref, `ping -n -c 5 -i 0.01 -s 100 ${address}`);
    assert(text.includes("5 packets transmitted, 5 received, 0% packet loss"), text);
    assert(text.includes(ttl) && text.includes("icmp_seq=5"), text);
    const [, min, avg] = text.match(/= ([\d.]+)\/([\d.]+)\//)!.map(Number);
    const ours = await nets.a.ping(address, { count: 5, interval: 10, size: 100 });
    assertEquals([ours.sent, ours.received, ours.loss], [5, 5, 0]);
    // Both are fractions of a millisecond; how busy the machine is decides the rest.
    assert(min! > 0 && avg! > 0 && ours.min! < avg! * 100 + 5, `${ours.min} and ${min}`);
  }
  Link.get("eth0", { netns: nets.b }).down();
});

test("A loop of pings that are answered at once lets timers run", async () => {
  using netns = NetNs.create();
  let fired = false;
  const timer = setTimeout(() => fired = true, 20);
  const until = performance.now() + 2000;
  while (!fired && performance.now() < until) await netns.ping("127.0.0.1");
  clearTimeout(timer);
  assert(fired);
});
