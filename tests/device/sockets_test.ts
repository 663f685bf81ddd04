import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Bridge,
  DeviceClosedError,
  NetlinkError,
  NetNs,
  PacketBatch,
  PacketSocket,
  RawSocket,
  SyscallError,
  UdpSocket,
  useEngine,
  Veth,
} from "../../mod.ts";
import { test } from "../leaks.ts";
import { BROADCAST, ETH_P, frame, parseFrame } from "../link/wire.ts";

/** Two namespaces and a veth pair between them, 192.0.2.1 and 2001:db8::1, .2 and ::2. */
async function pair(fn: (near: NetNs, far: NetNs, veth: Veth) => Promise<void>): Promise<void> {
  using near = NetNs.create();
  using far = NetNs.create();
  const end = (n: number) => ({
    up: true,
    nodad: true,
    addresses: [`192.0.2.${n}/24`, `2001:db8::${n}/64`],
  });
  using veth = Veth.create({
    name: "v0",
    netns: near,
    ...end(1),
    peer: { name: "v1", netns: far, ...end(2) },
  });
  await veth.waitFor((link) => link.carrier === true, { timeout: 5000 });
  await fn(near, far, veth);
}

const soon = () => AbortSignal.timeout(10_000);

test("PacketSocket sends frames as they are and reads those of its protocol", () =>
  pair(async (_near, far, veth) => {
    using near = PacketSocket.open({ link: veth });
    using there = PacketSocket.open({ link: "v1", netns: far, protocol: ETH_P.TEST });
    await near.write(frame(BROADCAST, "02:00:00:00:00:01", "not this one", 0x88b6));
    await near.write(frame(BROADCAST, "02:00:00:00:00:01", "hello"));
    const buffer = new Uint8Array(1514);
    const length = await there.read(buffer, { signal: soon() });
    const { from, payload } = parseFrame(buffer.slice(0, length));
    assertEquals(from, "02:00:00:00:00:01");
    assertEquals(new TextDecoder().decode(payload).replaceAll("\0", ""), "hello");
    assertEquals(there.tryRead(buffer), -1);
  }));

test("PacketSocket hears what its host sends, and frames for others, when asked to", () =>
  pair(async (_near, far, veth) => {
    using sender = PacketSocket.open({ link: veth });
    using own = PacketSocket.open({ link: veth, outgoing: true });
    using deaf = PacketSocket.open({ link: veth, protocol: ETH_P.TEST });
    using there = PacketSocket.open({ link: "v1", netns: far, promiscuous: true });
    assertEquals(far.links.get("v1").read().promiscuity, 1);
    await sender.write(frame("02:00:00:00:00:99", "02:00:00:00:00:01", "for another"));
    const buffer = new Uint8Array(1514);
    do await own.read(buffer, { signal: soon() }); while (parseFrame(buffer).type !== ETH_P.TEST);
    assertEquals(parseFrame(buffer).to, "02:00:00:00:00:99");
    assertEquals(deaf.tryRead(buffer), -1);
    do await there.read(buffer, { signal: soon() }); while (parseFrame(buffer).type !== ETH_P.TEST);
    assertEquals(parseFrame(buffer).to, "02:00:00:00:00:99");
    there.close();
    assertEquals(far.links.get("v1").read().promiscuity, 0);
  }));

for (const engine of ["io_uring", "loop"] as const) {
  test(`PacketSocket and UdpSocket move batches through ${engine}`, () =>
    pair(async (near, far, veth) => {
      useEngine(engine);
      try {
        using out = PacketSocket.open({ link: veth });
        using back = PacketSocket.open({ link: "v1", netns: far, protocol: ETH_P.TEST });
        await sends(out, back, (i) => frame(BROADCAST, "02:00:00:00:00:01", `number ${i}`));
        const server = { address: "192.0.2.2", port: 4789 };
        using udp = UdpSocket.open({ netns: far, local: server });
        using client = UdpSocket.open({ netns: near, remote: server });
        await sends(client, udp, (i) => new Uint8Array(i + 1).fill(i));
      } finally {
        useEngine(undefined);
      }
    }));
}

type Device = PacketSocket | UdpSocket;

async function sends(from: Device, to: Device, make: (i: number) => Uint8Array): Promise<void> {
  const batch = new PacketBatch({ packets: 20, size: 2048 });
  const sent = Array.from({ length: 20 }, (_, i) => make(i));
  for (const packet of sent) assert(batch.add(packet));
  assertEquals(batch.add(sent[0]!), false);
  await from.writeBatch(batch);
  assertEquals(Array.from(batch.results), sent.map(({ length }) => length));
  const got: Uint8Array[] = [];
  while (got.length < sent.length) {
    await to.readBatch(batch, { signal: soon() });
    for (let i = 0; i < batch.count; i++) got.push(batch.packet(i).slice());
  }
  assertEquals(got, sent);
}

test("A socket whose link goes down or away says so", () =>
  pair(async (_near, far, veth) => {
    using socket = PacketSocket.open({ link: "v1", netns: far, protocol: ETH_P.TEST });
    far.links.get("v1").down();
    const error = await assertRejects(() => socket.read(new Uint8Array(64)), SyscallError);
    assertEquals(error.code, "ENETDOWN");
    far.links.get("v1").up();
    const waiting = socket.read(new Uint8Array(64), { signal: soon() });
    veth.delete();
    assertEquals((await assertRejects(() => waiting, SyscallError)).code, "ENETDOWN");
  }));

test("PacketSocket.open() refuses bad input, by name, and leaves nothing", () => {
  using netns = NetNs.create();
  const bridge = Bridge.create({ name: "br0", netns });
  const cases: [object, new (...args: never[]) => Error, RegExp][] = [
    [{ link: "eth9", netns }, NetlinkError, /ENODEV/],
    [{ link: bridge, protocol: 5 }, RangeError, /protocol .* 5/],
    [{ link: bridge, protocol: 0x806, outgoing: true }, TypeError, /outgoing .* 2054/],
    [{ link: bridge, receiveBuffer: 0 }, RangeError, /receiveBuffer .* 0/],
    [{ link: bridge, promisc: true }, TypeError, /promisc/],
  ];
  for (const [options, type, message] of cases) {
    const error = assertThrows(() => PacketSocket.open(options as never), type);
    assert(message.test(error.message), error.message);
  }
});

for (
  const [name, local, remote] of [["IPv4", "192.0.2.1", "192.0.2.2"], [
    "IPv6",
    "2001:db8::1",
    "2001:db8::2",
  ]] as const
) {
  test(`RawSocket carries a protocol of its own over ${name}, and says who sent a packet`, () =>
    pair(async (near, far) => {
      const family = name === "IPv4" ? "inet" : "inet6";
      using here = RawSocket.open({ protocol: 253, netns: near, family });
      using there = RawSocket.open({ protocol: 253, netns: far, remote: local });
      await here.writeTo(new TextEncoder().encode("ping"), remote);
      const buffer = new Uint8Array(100);
      // IPv4 comes with its header.
      const start = name === "IPv4" ? 20 : 0;
      const length = await there.read(buffer, { signal: soon() });
      assertEquals(new TextDecoder().decode(buffer.subarray(start, length)), "ping");
      await there.write(new TextEncoder().encode("pong"));
      const got = await here.readFrom(buffer, { signal: soon() });
      assertEquals(got.from, { address: remote, port: 0 });
      assertEquals(new TextDecoder().decode(buffer.subarray(start, got.length)), "pong");
    }));
}

test("RawSocket refuses a length beyond the packet: nothing of the program's memory is sent", () =>
  pair(async (near, far) => {
    using there = RawSocket.open({ protocol: 253, netns: far });
    using here = RawSocket.open({ protocol: 253, netns: near, remote: "192.0.2.2" });
    const packet = new Uint8Array(60);
    for (const length of [61, -1, NaN, 2 ** 32]) {
      const message = `length must be in 0..60, what the packet has: got ${length}`;
      assertThrows(() => here.tryWrite(packet, length), RangeError, message);
      assertThrows(() => here.writeSync(packet, length), RangeError, message);
      await assertRejects(() => here.write(packet, length), RangeError, message);
    }
    await here.write(packet, 7);
    const { length } = await there.readFrom(new Uint8Array(100), { signal: soon() });
    assertEquals(length, 20 + 7);
  }));

test("RawSocket sends packets with headers of their own", () =>
  pair(async (near, far) => {
    using there = RawSocket.open({ protocol: 253, netns: far });
    using here = RawSocket.open({ protocol: 255, netns: near, header: true });
    // The kernel fills in length, identification and checksum; the source is nobody's here.
    const packet = new Uint8Array(24);
    packet.set([0x45, 0, 0, 24, 0, 0, 0, 0, 9, 253, 0, 0, 192, 0, 2, 77, 192, 0, 2, 2]);
    await here.writeTo(packet, "192.0.2.2");
    const { from, length } = await there.readFrom(new Uint8Array(100), { signal: soon() });
    assertEquals([from.address, length], ["192.0.2.77", 24]);
  }));

test("UdpSocket sends to a broadcast address with broadcast: true only", () =>
  pair(async (near, far) => {
    using there = UdpSocket.open({ netns: far, local: { address: "0.0.0.0", port: 5000 } });
    const to = { address: "192.0.2.255", port: 5000 };
    using plain = UdpSocket.open({ netns: near, local: "0.0.0.0" });
    await assertRejects(() => plain.writeTo(new Uint8Array(1), to), SyscallError, "EACCES");
    assertThrows(() => UdpSocket.open({ netns: near, remote: to }), SyscallError, "EACCES");
    using socket = UdpSocket.open({ netns: near, local: "0.0.0.0", broadcast: true });
    await socket.writeTo(new Uint8Array(7), to);
    const buffer = new Uint8Array(100);
    const { from, length } = await there.readFrom(buffer, { signal: soon() });
    assertEquals([from.address, length], ["192.0.2.1", 7]);
    assertEquals(there.tryReadFrom(buffer), undefined);
  }));

test("UdpSocket takes the link of a link-local address by name and by index", () =>
  pair(async (near, far, veth) => {
    const linkLocal = far.addresses.list({ family: "inet6" })
      .map(({ address }) => address.split("/")[0]!).find((it) => it.startsWith("fe80"))!;
    using there = UdpSocket.open({ netns: far, local: { address: "::", port: 5000 } });
    for (const zone of ["v0", veth.index]) {
      const remote = { address: `${linkLocal}%${zone}`, port: 5000 };
      using connected = UdpSocket.open({ netns: near, remote });
      await connected.write(new Uint8Array(3));
      using socket = UdpSocket.open({ netns: near, local: "::" });
      await socket.writeTo(new Uint8Array(4), remote);
      for (const size of [3, 4]) {
        const { length } = await there.readFrom(new Uint8Array(9), { signal: soon() });
        assertEquals(length, size);
      }
    }
  }));

test("RawSocket.open() refuses bad input, by name", () => {
  using netns = NetNs.create();
  const cases: [object, new (...args: never[]) => Error, RegExp][] = [
    [{ protocol: "icpm" }, TypeError, /icpm/],
    [{ protocol: 300 }, TypeError, /300/],
    [{ protocol: "icmp", remote: "192.0.2" }, TypeError, /192\.0\.2/],
    [{ protocol: "icmp", remote: "192.0.2.1%eth0" }, TypeError, /zone/],
    [{ protocol: "icmpv6", remote: "fe80::1%" }, TypeError, /zone/],
    [{ protocol: "icmpv6", remote: "fe80::1%nosuch" }, SyscallError, /nosuch .*ENODEV/],
    [{ protocol: "icmpv6", remote: "fe80::1%a-name-of-16-byt" }, SyscallError, /ENODEV/],
    [{ protocol: "icmp", remote: "192.0.2.1", broadcast: 1 }, TypeError, /broadcast/],
    [{ protocol: "icmp", remote: "::1", family: "inet" }, TypeError, /IPv4 or of IPv6/],
    [{ protocol: "icmp", remote: "192.0.2.9" }, SyscallError, /ENETUNREACH/],
    [{ protocol: "icmp", hdr: true }, TypeError, /hdr/],
  ];
  for (const [options, type, message] of cases) {
    const error = assertThrows(() => RawSocket.open({ netns, ...options } as never), type);
    assert(message.test(error.message), error.message);
  }
});

test("UdpSocket tells its own address, and refuses ports and addresses that are not to be had", () =>
  pair(async (near) => {
    using socket = UdpSocket.open({ netns: near, local: { address: "2001:db8::1", port: 53 } });
    assertEquals(socket.local, { address: "2001:db8::1", port: 53 });
    for (
      const [local, code] of [
        [{ address: "2001:db8::1", port: 53 }, "EADDRINUSE"],
        [{ address: "2001:db8::9", port: 53 }, "EADDRNOTAVAIL"],
      ] as const
    ) {
      const error = assertThrows(() => UdpSocket.open({ netns: near, local }), SyscallError);
      assertEquals(error.code, code);
    }
    assertThrows(
      () => UdpSocket.open({ netns: near, remote: { address: "::1", port: 70000 } }),
      RangeError,
      "70000",
    );
    const pending = socket.readFrom(new Uint8Array(10));
    socket.close();
    await assertRejects(() => pending, DeviceClosedError);
    await assertRejects(() => socket.readFrom(new Uint8Array(10)), DeviceClosedError);
    await assertRejects(() => socket.writeTo(new Uint8Array(1), "::1"), DeviceClosedError);
  }));
