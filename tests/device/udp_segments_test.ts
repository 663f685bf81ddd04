import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DeviceClosedError, NetNs, SyscallError, UdpSocket } from "../../mod.ts";
import { test } from "../leaks.ts";

const soon = () => AbortSignal.timeout(10_000);
const SERVER = { address: "127.0.0.1", port: 4789 };

/** Two sockets on a loopback. */
async function pair(
  fn: (from: UdpSocket, to: UdpSocket) => Promise<void>,
  gro = false,
): Promise<void> {
  using netns = NetNs.create();
  using to = UdpSocket.open({ netns, local: SERVER, gro, receiveBuffer: 1 << 22 });
  using from = UdpSocket.open({ netns, remote: SERVER });
  await fn(from, to);
}

/** The next datagram, or datagrams. */
async function next(socket: UdpSocket): Promise<Uint8Array> {
  const buffer = new Uint8Array(65_600);
  return buffer.slice(0, await socket.read(buffer, { signal: soon() }));
}

const bytes = Uint8Array.from({ length: 50_000 }, (_, i) => i * 7 ^ i >> 8);

test("UdpSocket.writeSegments() writes datagrams of one size, the last of which may be shorter", () =>
  pair(async (from, to) => {
    await from.writeSegments(bytes.subarray(0, 2500), 1000);
    assertEquals(await next(to), bytes.slice(0, 1000));
    assertEquals(await next(to), bytes.slice(1000, 2000));
    assertEquals(await next(to), bytes.slice(2000, 2500));
    // What is written otherwise is one datagram.
    await from.write(bytes, 1700);
    assertEquals((await next(to)).length, 1700);
    assertEquals(to.tryRead(new Uint8Array(1)), -1);
  }));

test("UdpSocket.writeSegments() takes the first bytes of a buffer, and one datagram too", () =>
  pair(async (from, to) => {
    await from.writeSegments(bytes, 1000, { length: 1500 });
    assertEquals([(await next(to)).length, (await next(to)).length], [1000, 500]);
    assertEquals(from.tryWriteSegments(bytes, 1000, 300), true);
    assertEquals((await next(to)).length, 300);
  }));

test("UdpSocket.open({ gro: true }) reads many datagrams at once, in order", () =>
  pair(async (from, to) => {
    await from.writeSegments(bytes, 1400);
    let got: number[] = [];
    let reads = 0;
    for (; got.length < bytes.length; reads++) got = [...got, ...await next(to)];
    assertEquals(got, Array.from(bytes));
    assert(reads < 36, `${reads} reads`);
  }, true));

test("UdpSocket.writeSegments() refuses what cannot be sent, and the socket is as before", () =>
  pair(async (from, to) => {
    for (const size of [0, -1, 1.5, 65_508, NaN]) {
      assertThrows(() => from.tryWriteSegments(bytes, size), RangeError, String(size));
    }
    // More datagrams than the kernel takes at once: 64, and 128 since Linux 6.9.
    const error = await assertRejects(() => from.writeSegments(bytes, 100), SyscallError);
    assertEquals(error.code, "EINVAL");
    await from.write(bytes, 300);
    assertEquals((await next(to)).length, 300);
    from.close();
    await assertRejects(() => from.writeSegments(bytes, 1000), DeviceClosedError);
    await assertRejects(() => from.writeSegments(bytes, 1000, { length: 10 }), DeviceClosedError);
  }));

test("UdpSocket.open() refuses a gro that is no boolean", () => {
  assertThrows(() => UdpSocket.open({ gro: 1 as never }), TypeError, "gro");
});
