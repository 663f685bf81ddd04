import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Frame, Link, NetNs, readCapture, SyscallError, Tun, Veth } from "../../mod.ts";
import {
  buildPacket,
  format,
  ipv6,
  ipv6Extension,
  tcp,
  VIRTIO_NET_HDR_F,
  VIRTIO_NET_HDR_GSO,
  VirtioNetHeader,
} from "../../src/packet/mod.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { BROADCAST, frame as ethernet, Wire } from "../link/wire.ts";
import { specimenOf, SPECIMENS } from "./frames.ts";
import { tcpdumpTest } from "../tcpdump.ts";
import { Pair, rest } from "./pair.ts";

const SMALL = { snaplen: 400, bufferSize: 131_072 };
const FROM = "02:00:00:00:00:01";

/** Mappings of packet sockets. */
function mappings(): string[] {
  const lines = Deno.readTextFileSync("/proc/self/maps").split("\n");
  return lines.filter((line) => /socket:/.test(line));
}

/** The numbers of the specimens captured. */
function names(frames: Frame[]): string[] {
  return frames.map((frame) => specimenOf(frame.data)!.name);
}

tcpdumpTest("Link.capture() captures the same frames as tcpdump, both ways", async () => {
  using pair = await Pair.open({ ip: true });
  const filter = { protocol: "icmp" } as const;
  const tcpdump = pair.a.command("tcpdump", {
    args: ["-i", "v0", "-U", "-c", "6", "-w", "-", "icmp"],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const says = tcpdump.stderr.pipeThrough(new TextDecoderStream()).getReader();
  while (!(await says.read()).value!.includes("listening"));
  using capture = pair.link.capture({ filter });
  await pair.a.ping("10.0.0.2", { count: 3, interval: 1 });
  const theirs: Frame[] = [];
  for await (const frame of readCapture(tcpdump.stdout)) theirs.push(frame);
  const ours = await rest(capture);
  assertEquals(ours.map(({ data }) => data), theirs.map(({ data }) => data));
  assertEquals(ours.map(({ length }) => length), theirs.map(({ length }) => length));
  assertEquals(ours.map(({ direction }) => direction), ["out", "in", "out", "in", "out", "in"]);
  assertEquals(capture.statistics(), { packets: 6, drops: 0, freezes: 0 });
  await says.cancel();
  await tcpdump.status;
});

test("A frame has its link, its time in nanoseconds and its length", async () => {
  const [before, name] = [Date.now(), "netloom-capture"];
  using pair = await Pair.open({ name });
  using capture = pair.peer.capture();
  using wire = new Wire(pair.a, pair.link);
  wire.send(ethernet(BROADCAST, FROM, "hello"));
  const [frame, ...others] = await rest(capture);
  assertEquals(others, []);
  assertEquals(frame!.interface, { name: `${name}/v1`, linkType: 1, snaplen: 524_032 });
  assertEquals([frame!.length, frame!.capturedLength, frame!.vlan], [60, 60, undefined]);
  const { seconds, nanoseconds, timestamp } = frame!;
  assertEquals(timestamp, BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
  assert(Number(timestamp / 1_000_000n) >= before - 1 && seconds <= Date.now() / 1000 + 1);
});

test("A capture keeps frames of the requested direction", async () => {
  using pair = await Pair.open();
  const directions = ["in", "out", "both"] as const;
  const captures = directions.map((direction) => pair.link.capture({ ...SMALL, direction }));
  using own = new Wire(pair.a, pair.link);
  using other = new Wire(pair.b, pair.peer);
  own.send(ethernet(BROADCAST, FROM, "out"));
  other.send(ethernet(BROADCAST, FROM, "in"));
  const seen = await Promise.all(
    captures.map(async (capture) => (await rest(capture)).map(({ direction }) => direction)),
  );
  assertEquals(seen, [["in"], ["out"], ["out", "in"]]);
});

test("A direction also applies to the caller's own program", async () => {
  using pair = await Pair.open();
  // ret #2000
  const filter = [{ code: 6, jt: 0, jf: 0, k: 2000 }];
  const captures = (["in", "out"] as const).map((direction) =>
    pair.link.capture({ ...SMALL, snaplen: 20, filter, direction })
  );
  using own = new Wire(pair.a, pair.link);
  using other = new Wire(pair.b, pair.peer);
  own.send(ethernet(BROADCAST, FROM, "out"));
  other.send(ethernet(BROADCAST, FROM, "in"));
  for (const [i, capture] of captures.entries()) {
    const frames = await rest(capture);
    assertEquals(frames.map(({ direction }) => direction), [["in", "out"][i]]);
    assertEquals(frames[0]!.capturedLength, 20);
  }
});

test("A capture keeps snaplen bytes of a frame, and its length", async () => {
  using pair = await Pair.open();
  const captures = [1, 14, 59, 60, 61].map((snaplen) => pair.peer.capture({ ...SMALL, snaplen }));
  using wire = new Wire(pair.a, pair.link);
  const sent = ethernet(BROADCAST, FROM, "something");
  wire.send(sent);
  for (const capture of captures) {
    const [frame] = await rest(capture);
    const { snaplen } = frame!.interface;
    assertEquals(frame!.length, 60);
    assertEquals(frame!.data, sent.slice(0, Math.min(60, snaplen)));
  }
});

test("A capture keeps GSO packets whole", async () => {
  using pair = await Pair.open({ ip: true });
  using capture = pair.link.capture({ filter: { protocol: "tcp" }, snaplen: 65_600 });
  using listener = pair.b.listen({ hostname: "10.0.0.2", port: 9000 });
  const accepted = listener.accept();
  using sender = await pair.a.connect({ hostname: "10.0.0.2", port: 9000 });
  using receiver = await accepted;
  const all = new Uint8Array(1 << 20);
  const sending = sender.writable.getWriter().write(all);
  let received = 0;
  const buffer = new Uint8Array(1 << 16);
  while (received < all.length) received += (await receiver.read(buffer))!;
  await sending;
  const frames = await rest(capture);
  assert(frames.some(({ length }) => length > 20_000));
  for (const { capturedLength, length } of frames) assertEquals(capturedLength, length);
});

/** Older kernels refuse a write of this size to a TUN: EMSGSIZE. */
function largeWrites(): string | undefined {
  using netns = NetNs.create();
  using tun = Tun.create({ name: "t0", netns, up: true, offloads: true, addrGenMode: "none" });
  const bytes = new Uint8Array(365_000);
  // Without a length of headers the kernel takes one block of memory, which may be larger.
  VirtioNetHeader.parse(bytes)!.headerLength = 60;
  bytes[10] = 0x60;
  try {
    tun.writeSync(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof SyscallError && error.code === "EMSGSIZE") {
      return "this kernel takes no BIG TCP packet from a TUN";
    }
    throw error;
  }
}

const BIG_TCP = { lacks: largeWrites() };

test(
  "A capture keeps BIG TCP packets whole, and format() reads their lengths",
  BIG_TCP,
  async () => {
    using netns = NetNs.create();
    using tun = Tun.create({ name: "t0", netns, up: true, offloads: true, addrGenMode: "none" });
    using capture = tun.link.capture();
    const headers = [
      ipv6({ source: "fd00::1", destination: "fd00::2" }),
      tcp({ sourcePort: 1, destinationPort: 2, sequence: 1, acknowledgment: 1 }),
    ];
    const jumbo = ipv6Extension({ type: 0, body: Uint8Array.of(0xc2, 4, 0, 0, 0, 0) });
    for (const extra of [[], [jumbo]]) {
      const packet = buildPacket(headers[0]!, ...extra, headers[1]!, new Uint8Array(65_000));
      const bytes = new Uint8Array(10 + packet.length + 300_000);
      bytes.set(packet, 10);
      bytes.fill(0, 14, 16);
      if (extra.length > 0) new DataView(bytes.buffer).setUint32(54, bytes.length - 50);
      const header = VirtioNetHeader.parse(bytes)!;
      header.flags = VIRTIO_NET_HDR_F.NEEDS_CSUM;
      header.gsoType = VIRTIO_NET_HDR_GSO.TCPV6;
      header.gsoSize = 1400;
      header.headerLength = 60 + 8 * extra.length;
      header.checksumStart = 40 + 8 * extra.length;
      header.checksumOffset = 16;
      tun.writeSync(bytes);
    }
    const frames = await rest(capture);
    const head = "IP6 fd00::1";
    assertEquals(frames.map((frame) => [frame.length, frame.capturedLength, format(frame)]), [
      [
        365_060,
        365_060,
        `${head}.1 > fd00::2.2: Flags [.], seq 1:365001, ack 1, win 65535, length 365000`,
      ],
      [
        365_068,
        365_068,
        `${head} > fd00::2: HBH 1 > 2: Flags [.], seq 1:365001, ack 1, win 65535, length 365000`,
      ],
    ]);
  },
);

test("Frames have their VLAN tags as on the wire", async () => {
  using pair = await Pair.open();
  using arrived = pair.peer.capture();
  using sent = pair.link.capture();
  using cut = pair.peer.capture({ snaplen: 20 });
  using wire = new Wire(pair.a, pair.link);
  for (const { bytes } of SPECIMENS) wire.send(bytes);
  const out = await rest(sent);
  assertEquals(out.map(({ data }) => data), SPECIMENS.map(({ bytes }) => bytes));
  const into = await rest(arrived);
  const tags = new Set<string>();
  for (const { data, length, vlan } of into) {
    const { bytes, tags: count } = specimenOf(data)!;
    assertEquals(data, bytes);
    assertEquals(length, bytes.length);
    assertEquals(vlan !== undefined, count > 0);
    if (vlan) tags.add(JSON.stringify(vlan));
  }
  assertEquals([...tags].toSorted(), [
    '{"protocol":33024,"vid":5,"pcp":0,"dei":false}',
    '{"protocol":33024,"vid":7,"pcp":3,"dei":false}',
    '{"protocol":34984,"vid":7,"pcp":0,"dei":false}',
  ]);
  // The kernel drops tagged frames that are too short to have a type.
  assert(into.length >= SPECIMENS.length - 5);
  for (const frame of await rest(cut)) {
    const { bytes } = specimenOf(frame.data)!;
    assertEquals(frame.data, bytes.slice(0, 20));
    assertEquals(frame.length, bytes.length);
  }
});

test("A capture gets no unfiltered frame while it opens", async () => {
  using pair = await Pair.open({ ip: true });
  const flood = pair.a.command("ping", { args: ["-f", "10.0.0.2"], stdout: "null" }).spawn();
  using icmp = pair.peer.capture({ filter: { protocol: "icmp" } });
  await icmp.next();
  for (let i = 0; i < 10; i++) {
    using capture = pair.peer.capture({ ...SMALL, filter: { etherType: 0x88b5 } });
    const before = icmp.statistics().packets;
    while (icmp.statistics().packets < before + 10);
    assertEquals(capture.statistics().packets, 0);
  }
  flood.kill("SIGINT");
  await flood.status;
});

test("A capture counts the frames that a full buffer drops", async () => {
  using pair = await Pair.open();
  using capture = pair.peer.capture({ bufferSize: 131_072, snaplen: 400 });
  using wire = new Wire(pair.a, pair.link);
  const count = 3000;
  for (let i = 0; i < count; i++) wire.send(ethernet(BROADCAST, FROM, `${i}`));
  const frames = await rest(capture);
  const { packets, drops, freezes } = capture.statistics();
  assertEquals(packets, count);
  assert(drops > 0 && freezes > 0);
  assertEquals(frames.length, packets - drops);
  assertEquals(frames[0]!.data, ethernet(BROADCAST, FROM, "0"));
});

test("Overlapping calls of next() resolve in order", async () => {
  using pair = await Pair.open();
  using capture = pair.peer.capture();
  using wire = new Wire(pair.a, pair.link);
  const calls = Array.from({ length: 5 }, async () => (await capture.next()).value?.copy());
  for (let i = 0; i < 4; i++) wire.send(ethernet(BROADCAST, FROM, `${i}`));
  const frames = await Promise.all(calls.slice(0, 4));
  assertEquals(
    frames.map((frame) => frame?.data),
    Array.from({ length: 4 }, (_, i) => ethernet(BROADCAST, FROM, `${i}`)),
  );
  capture.close();
  assertEquals(await calls[4], undefined);
});

test("Timers run while a loop always finds frames", async () => {
  using pair = await Pair.open();
  // Room for all frames, however long it takes to send them: many small blocks.
  using capture = pair.peer.capture({ latency: 200, snaplen: 100 });
  using wire = new Wire(pair.a, pair.link);
  for (let i = 0; i < 5000; i++) wire.send(ethernet(BROADCAST, FROM, `${i}`));
  capture.stop();
  let [frames, fired] = [0, -1];
  setTimeout(() => fired = frames, 1);
  for await (const _ of capture) {
    frames++;
    for (const until = performance.now() + 0.02; performance.now() < until;);
  }
  assertEquals(frames, 5000);
  assert(fired > 0 && fired < 4000, `The timer fired after ${fired} frames`);
});

test("NetNs.capture() captures the frames of all links, those of loopback once", async () => {
  using pair = await Pair.open();
  const before = await pair.a.ping("127.0.0.1");
  assertEquals(before.received, 1);
  using capture = pair.a.capture();
  using loopback = Link.get("lo", { netns: pair.a }).capture();
  await pair.a.ping("127.0.0.1");
  using wire = new Wire(pair.a, pair.link);
  wire.send(ethernet(BROADCAST, FROM));
  const frames = await rest(capture);
  const { inode } = pair.a;
  assertEquals(
    frames.map(({ interface: { name }, direction }) => [name, direction]),
    [[`${inode}/lo`, "in"], [`${inode}/lo`, "in"], [`${inode}/v0`, "out"]],
  );
  assertEquals(capture.interfaces.map(({ name }) => name), [`${inode}/lo`, `${inode}/v0`]);
  assertEquals((await rest(loopback)).length, 2);
});

test("A capture in the process's own namespace names only the link", async () => {
  const silent = { arp: false, addrGenMode: "none", up: true } as const;
  using link = Veth.create({ ...silent, name: "nl-own", peer: { ...silent, name: "nl-other" } });
  await link.waitFor(({ operstate }) => operstate === "up");
  using capture = link.capture();
  using own = NetNs.current();
  using wire = new Wire(own, link);
  wire.send(ethernet(BROADCAST, FROM));
  assertEquals((await capture.next()).value!.interface.name, "nl-own");
});

test("A promiscuous capture makes its link promiscuous while it runs", async () => {
  using pair = await Pair.open();
  const promiscuity = () => ip(pair.a.ref, "-d -j link show v0")[0]!.promiscuity;
  {
    using _ = pair.link.capture({ promiscuous: true });
    assertEquals(promiscuity(), 1);
  }
  assertEquals(promiscuity(), 0);
});

test("capture() refuses bad options with their values and opens nothing", async () => {
  using pair = await Pair.open();
  const bad: [options: object, error: typeof Error, message: string][] = [
    [{ snaplen: 0 }, RangeError, "snaplen must be in 1..524032 bytes: got 0"],
    [{ snaplen: "x" }, TypeError, 'snaplen must be an integer: got "x"'],
    [{ direction: "up" }, TypeError, 'got "up"'],
    [{ bufferSize: 1 }, RangeError, "bufferSize must be in 131072..1073741824"],
    [{ latency: 0.5 }, TypeError, "latency must be an integer: got 0.5"],
    [{ promiscuous: 1 }, TypeError, "promiscuous must be a boolean: got 1"],
    [{ signal: 5 }, TypeError, "signal must be an AbortSignal: got 5"],
    [{ filter: "arp" }, TypeError, 'got "arp"'],
    [{ filtre: {} }, TypeError, 'Unknown option "filtre"'],
  ];
  for (const [options, error, message] of bad) {
    assertThrows(() => pair.link.capture(options), error, message);
  }
  assertThrows(() => pair.a.capture({ promiscuous: true } as object), TypeError, "needs a link");
  const gone = Link.get("v0", { netns: pair.a });
  pair.link.delete();
  const error = assertThrows(() => gone.capture()) as Error & { code: string };
  assertEquals(error.code, "ENODEV");
  assert(error.message.startsWith('capture link "v0" in '), error.message);
  assertEquals(mappings(), []);
});

test("Each specimen is recognized when it is captured", async () => {
  using pair = await Pair.open();
  using capture = pair.link.capture();
  using wire = new Wire(pair.a, pair.link);
  for (const { bytes } of SPECIMENS) wire.send(bytes);
  assertEquals(names(await rest(capture)), SPECIMENS.map(({ name }) => name));
  assertEquals(run(pair.a.ref, "cat /proc/net/packet").trim().split("\n").length, 2);
});
