import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Bridge,
  DeviceClosedError,
  NetNs,
  PacketBatch,
  SyscallError,
  Tun,
  Veth,
} from "../../mod.ts";
import { run } from "../helpers.ts";
import { silent } from "../link/rig.ts";
import { packet, Wire } from "../link/wire.ts";
import { test } from "../leaks.ts";
import { Lab, packetOf, soFar, textIn, texts } from "./lab.ts";

test("write(), writeSync() and tryWrite() hand packets to the network, in order", async () => {
  using lab = new Lab();
  await lab.tap.write(packetOf("one"));
  lab.tap.writeSync(packetOf("two"));
  assertEquals(lab.tap.tryWrite(packetOf("three")), true);
  assertEquals(lab.written(), ["one", "two", "three"]);
});

test("write() takes the first bytes of a buffer as the packet", async () => {
  using lab = new Lab();
  const buffer = new Uint8Array(2048);
  buffer.set(packetOf("one"));
  await lab.tap.write(buffer, 16);
  lab.tap.writeSync(buffer, 16);
  lab.tap.tryWrite(buffer, 17);
  assertEquals(lab.written(), ["on", "on", "one"]);
});

test("A packet may be a part of a larger buffer, and changed after the write", async () => {
  using lab = new Lab();
  const buffer = new Uint8Array(4096);
  const part = buffer.subarray(100, 160);
  for (const text of texts(3)) {
    part.set(packetOf(text));
    const writing = lab.tap.write(part);
    await writing;
    buffer.fill(0);
  }
  assertEquals(lab.written(), texts(3));
});

test("A TUN takes IP packets", async () => {
  using netns = silent(NetNs.create());
  using tun = Tun.create({ name: "t0", netns, up: true });
  using wire = new Wire(netns, tun, true);
  await tun.write(packet("10.9.0.1", "10.9.0.2"));
  wire.drain();
  assertEquals(tun.link.stats().rxPackets, 1);
  for (const bad of [new Uint8Array(0), new Uint8Array([0x25, 0, 0])]) {
    const error = await assertRejects(() => tun.write(bad), SyscallError);
    assertEquals(error.code, "EINVAL");
  }
});

test("A length beyond the packet is refused by value: nothing of the program's memory is sent", async () => {
  using lab = new Lab();
  const bytes = packetOf("one");
  for (const length of [61, -1, NaN, 2 ** 32]) {
    const message = `length must be in 0..60, what the packet has: got ${length}`;
    assertThrows(() => lab.tap.tryWrite(bytes, length), RangeError, message);
    assertThrows(() => lab.tap.writeSync(bytes, length), RangeError, message);
    await assertRejects(() => lab.tap.write(bytes, length), RangeError, message);
  }
  assertEquals(lab.written(), []);
});

test("Writing while the link is down fails with EIO and says what to look at", async () => {
  using lab = new Lab({ up: false });
  const bytes = packetOf("one");
  const errors = [
    assertThrows(() => lab.tap.tryWrite(bytes), SyscallError),
    assertThrows(() => lab.tap.writeSync(bytes), SyscallError),
    await assertRejects(() => lab.tap.write(bytes), SyscallError),
  ];
  for (const { code, message } of errors) {
    assertEquals([code, message.startsWith('write to tap "t0"')], ["EIO", true], message);
    assertEquals(message.endsWith("; is the link up?"), true, message);
  }
  lab.tap.link.up();
  await lab.tap.write(bytes);
  assertEquals(lab.tap.link.stats().rxPackets, 1);
});

test("A signal that has aborted before rejects, and writes nothing", async () => {
  using lab = new Lab();
  const options = { signal: AbortSignal.abort(new Error("enough")) };
  await assertRejects(() => lab.tap.write(packetOf("x"), 60, options), Error, "enough");
  const batch = new PacketBatch({ packets: 1 });
  batch.add(packetOf("y"));
  await assertRejects(() => lab.tap.writeBatch(batch, options), Error, "enough");
  assertEquals(lab.written(), []);
});

/** A TAP whose frames go out through a queue that hardly empties: writes have to wait. */
class Slow extends Lab {
  readonly bridge: Bridge;

  constructor() {
    super({ sendBuffer: 20_000 });
    const { netns, tap } = this;
    const bridge = this.bridge = Bridge.create({ name: "br0", netns, up: true });
    const peer = { name: "v1", netns, up: true } as const;
    Veth.create({ name: "v0", netns, master: bridge, up: true, peer });
    bridge.addPort(tap);
    run(netns.ref, "tc qdisc add dev v0 root tbf rate 8bit burst 2000 limit 10000000");
  }

  /** Waits until the ports forward: before, they take everything and drop it. */
  static async open(): Promise<Slow> {
    const slow = new Slow();
    for (const name of ["t0", "v0"]) {
      const forwards = () => slow.bridge.port(name).options().state === "forwarding";
      while (!forwards()) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return slow;
  }

  /** Writes until the device takes no more: how many. */
  fill(): number {
    let count = 0;
    while (this.tap.tryWrite(packetOf(`fill${count}`))) count++;
    return count;
  }

  /** The queue empties. */
  empty(): void {
    run(this.netns.ref, "tc qdisc del dev v0 root");
  }
}

test("write() waits while the device takes none, in the order of the calls", async () => {
  using lab = await Slow.open();
  const count = lab.fill();
  assertEquals(count > 5, true, `${count}`);
  const names = texts(8);
  const writings = names.map((text) => lab.tap.write(packetOf(text)));
  const all = Promise.all(writings).then(() => "all");
  assertEquals(await soFar(all), undefined);
  lab.empty();
  assertEquals(await all, "all");
  assertEquals(lab.written().slice(count), names);
});

test("writeBatch() waits with what the device has not taken, and writes the rest in order", async () => {
  using lab = await Slow.open();
  const batch = new PacketBatch({ packets: 200, size: 64 });
  const names = texts(200);
  for (const name of names) batch.add(packetOf(name));
  const writing = lab.tap.writeBatch(batch).then(() => "all");
  assertEquals(await soFar(writing), undefined);
  const later = lab.tap.write(packetOf("later"));
  assertEquals(await soFar(later), undefined);
  lab.empty();
  assertEquals(await writing, "all");
  await later;
  assertEquals(lab.written(), [...names, "later"]);
  assertEquals(Array.from(batch.results), new Array(200).fill(60));
});

test("A write that waits ends by its signal, and by close()", async () => {
  using lab = await Slow.open();
  lab.fill();
  const stop = new AbortController();
  const batch = new PacketBatch({ packets: 2 });
  batch.add(packetOf("x"));
  const aborted = lab.tap.write(packetOf("x"), undefined, { signal: stop.signal });
  const rest = [lab.tap.write(packetOf("x")), lab.tap.writeBatch(batch)];
  assertEquals(await soFar(aborted), undefined);
  stop.abort();
  assertEquals((await assertRejects(() => aborted, DOMException)).name, "AbortError");
  for (const writing of rest) assertEquals(await soFar(writing), undefined);
  lab.tap.close();
  for (const writing of rest) await assertRejects(() => writing, DeviceClosedError);
});

test("A device can be read while a write waits", async () => {
  using lab = await Slow.open();
  lab.fill();
  const writing = lab.tap.write(packetOf("x")).then(() => "written");
  const buffer = new Uint8Array(2048);
  const readings = (async () => {
    // The bridge speaks too.
    do await lab.tap.read(buffer); while (textIn(buffer.subarray(0, 60)) !== "in between");
  })();
  assertEquals(await soFar(readings), undefined);
  lab.send("in between");
  await readings;
  assertEquals(await soFar(writing), undefined);
  lab.empty();
  assertEquals(await writing, "written");
});

test("Aborting a writable stream ends a write that waits", async () => {
  using lab = await Slow.open();
  lab.fill();
  const writer = lab.tap.writable.getWriter();
  const writing = writer.write(packetOf("x"));
  assertEquals(await soFar(writing), undefined);
  const reason = new Error("enough");
  await writer.abort(reason);
  await assertRejects(() => writing, Error, "enough");
  assertEquals(lab.tap.closed, false);
});

test("Writing to a device that is closed throws DeviceClosedError", async () => {
  using lab = new Lab();
  lab.tap.close();
  const bytes = packetOf("x");
  const batch = new PacketBatch({ packets: 1 });
  batch.add(bytes);
  await assertRejects(() => lab.tap.write(bytes), DeviceClosedError);
  await assertRejects(() => lab.tap.writeBatch(batch), DeviceClosedError);
  assertThrows(() => lab.tap.tryWrite(bytes), DeviceClosedError);
  assertThrows(() => lab.tap.writeSync(bytes), DeviceClosedError);
  await assertRejects(() => lab.tap.writable.getWriter().write(bytes), DeviceClosedError);
});
