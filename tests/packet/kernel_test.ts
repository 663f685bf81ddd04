// The kernel on both sides: it makes what segment() splits, and takes what segment() and Coalescer made.
import { assert, assertEquals } from "@std/assert";
import { C } from "../../ffi/constants.ts";
import { readable } from "../../ffi/reactor.ts";
import { Socket } from "../../ffi/socket.ts";
import type { NetNs } from "../../mod.ts";
import { test } from "../leaks.ts";
import { payloadOf } from "./flows.ts";
import { tunnel } from "./tunnel.ts";

const DATA = payloadOf(2_000_000);

/** Sends bytes over TCP and compares what arrives. */
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

const SOL_UDP = 17;
/** Of linux/udp.h: what is sent is split into datagrams of so many bytes. */
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
