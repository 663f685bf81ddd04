// The kernel on both sides: it creates GSO packets for segment(), and receives the output of segment() and
// Coalescer.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { C } from "../../ffi/libc.ts";
import { readable } from "../../ffi/reactor.ts";
import { Socket } from "../../ffi/socket.ts";
import { NetNs, SyscallError, Tun } from "../../mod.ts";
import { Ipv4, Tcp } from "../../src/packet/mod.ts";
import { ip } from "../helpers.ts";
import { test } from "../leaks.ts";
import { payloadOf } from "./flows.ts";
import { tunnel } from "./tunnel.ts";

const DATA = payloadOf(2_000_000);

/** Sends bytes over TCP and compares them with the received ones. */
async function transfer(a: NetNs, b: NetNs, hostname: string): Promise<void> {
  using listener = b.listen({ hostname, port: 5000 });
  const receive = async () => {
    using connection = await listener.accept();
    return new Uint8Array(await new Response(connection.readable).arrayBuffer());
  };
  const receiving = receive();
  const connection = await a.connect({ hostname, port: 5000 });
  const writer = connection.writable.getWriter();
  await writer.write(DATA);
  await writer.close();
  const received = await receiving;
  assertEquals(received.length, DATA.length);
  assert(received.every((byte, i) => byte === DATA[i]));
}

/** A counter of /proc/net/snmp in a namespace. */
function counter(netns: NetNs, protocol: "Tcp" | "Udp", name: string): number {
  const text = netns.run(() => Deno.readTextFileSync("/proc/thread-self/net/snmp"));
  const [names, values] = text.split("\n").filter((line) => line.startsWith(`${protocol}:`));
  return Number(values!.split(" ")[names!.split(" ").indexOf(name)]);
}

for (const hostname of ["10.9.0.2", "fd09::2"]) {
  test(`A tunnel that splits and merges carries TCP to ${hostname}`, async () => {
    const counts = await tunnel("merging", (a, b) => transfer(a, b, hostname));
    const { read, wire, written } = counts;
    // The kernel left splitting to the program, and got large packets in return; how large they are
    // is a matter of speed.
    assert(read < wire && written < wire, JSON.stringify(counts));
  });

  test(`The kernel finds every segment's checksum right on its way to ${hostname}`, async () => {
    let wrong = -1;
    const { read, wire } = await tunnel("singly", async (a, b) => {
      await transfer(a, b, hostname);
      wrong = counter(b, "Tcp", "InCsumErrors");
    });
    assert(read < wire, JSON.stringify({ read, wire }));
    assertEquals(wrong, 0);
  });
}

test("The kernel accepts the checksum of every segment on an SRv6 route", async () => {
  let wrong = -1;
  const { read, wire } = await tunnel("singly", async (a, b) => {
    // Linux 6.12.117 takes the routing header for that of TCP, whose length would be in the third word of
    // this address, and drops GSO packets with a length below 5 (SKB_BAD_GSO).
    const end = "fd09:0:5000::2";
    // The route inserts a routing header: fd08::2 on the way, `end` at its end.
    ip(a.ref, "-6 route add fd08::2 dev t0");
    ip(a.ref, `-6 route add ${end} encap seg6 mode inline segs fd08::2 dev t0 src fd09::1`);
    for (const address of ["fd08::2", end]) ip(b.ref, `address add ${address}/128 dev t0 nodad`);
    for (const where of ["all", "t0"]) b.sysctl(`net.ipv6.conf.${where}.seg6_enabled`, 1);
    await transfer(a, b, end);
    wrong = counter(b, "Tcp", "InCsumErrors");
  });
  assert(read < wire, JSON.stringify({ read, wire }));
  assertEquals(wrong, 0);
});

test("checksumValid() accepts the kernel's checksums with a source route", async () => {
  using netns = NetNs.create();
  using tun = Tun.create({ name: "t0", netns, up: true, addresses: ["10.9.0.1/24"] });
  // IP_OPTIONS of SOL_IP: a loose and a strict source route over two hops. Of UDP Linux sums the first hop.
  for (const type of [131, 137]) {
    using socket = new Socket(netns.ref, C.AF_INET, SOCK_STREAM, 0, "open a connection");
    const route = Uint8Array.of(type, 11, 4, 10, 9, 0, 7, 10, 9, 0, 8, 0);
    socket.setOptionBytes(0, 4, route, "set a source route");
    assertThrows(() => socket.connect(address(), "open a connection"), SyscallError, "EINPROGRESS");
    const bytes = new Uint8Array(2000);
    let packet: Ipv4 | undefined;
    do packet = Ipv4.parse(bytes, 0, await tun.read(bytes)); while (packet?.protocol !== 6);
    assertEquals([packet.destination, packet.headerLength], ["10.9.0.7", 32]);
    assert(Tcp.parse(bytes, packet.payloadStart, packet.payloadEnd)!.checksumValid(packet));
  }
});

const SOCK_STREAM = 1;
const SOL_UDP = 17;
/** Of linux/udp.h: splits a write into datagrams of this many bytes. */
const UDP_SEGMENT = 103;
const SIZE = 1000;

/** `struct sockaddr_in` of 10.9.0.2, port 6000. */
function address(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16);
  bytes.set([C.AF_INET, 0, 6000 >> 8, 6000 & 255, 10, 9, 0, 2]);
  return bytes;
}

for (const way of ["merging", "singly"] as const) {
  test(`The kernel takes datagrams that were split: ${way}`, async () => {
    const sent = payloadOf(40 * SIZE + 7);
    const counts = await tunnel(way, async (a, b) => {
      using receiver = new Socket(b.ref, C.AF_INET, C.SOCK_DGRAM, 0, "receive datagrams");
      receiver.bind(address(), "receive datagrams");
      using sender = new Socket(a.ref, C.AF_INET, C.SOCK_DGRAM, 0, "send datagrams");
      assert(sender.setOption(SOL_UDP, UDP_SEGMENT, SIZE));
      sender.connect(address(), "send datagrams");
      sender.send(sent.slice(), sent.length, "send datagrams");
      const buffer = new Uint8Array(2000);
      for (let at = 0; at < sent.length;) {
        await readable(receiver.fd, AbortSignal.timeout(5000));
        const length = receiver.receive(buffer, 0, "receive datagrams");
        if (length < 0) continue;
        assertEquals(buffer.subarray(0, length), sent.subarray(at, at + SIZE));
        at += SIZE;
      }
      assertEquals(counter(b, "Udp", "InCsumErrors"), 0);
    });
    assert(counts.wire >= 41, JSON.stringify(counts));
    if (way === "merging" && counts.uso) {
      assert(counts.written <= counts.wire - 40, JSON.stringify(counts));
    }
  });
}
