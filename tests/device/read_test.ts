import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { DeviceClosedError, NetNs, SyscallError, Tun } from "../../mod.ts";
import { test } from "../leaks.ts";
import { run } from "../helpers.ts";
import { packet, Wire } from "../link/wire.ts";
import { silent } from "../link/rig.ts";
import { Lab, packetOf, queued, soFar, textIn, texts } from "./lab.ts";

test("read() takes what is queued, one packet each time, in order", async () => {
  using lab = new Lab();
  lab.send("one", "two", "three");
  const buffer = new Uint8Array(2048);
  for (const text of ["one", "two", "three"]) {
    const n = await lab.tap.read(buffer);
    assertEquals([n, textIn(buffer.subarray(0, n))], [60, text]);
  }
});

test("A TUN gives IP packets, as they were sent", async () => {
  using netns = silent(NetNs.create());
  using tun = Tun.create({ name: "t0", netns, up: true });
  using wire = new Wire(netns, tun);
  const sent = packet("10.9.0.1", "10.9.0.2") as Uint8Array<ArrayBuffer>;
  wire.send(sent);
  const buffer = new Uint8Array(2048);
  assertEquals(buffer.slice(0, await tun.read(buffer)), sent);
});

test("read() waits for a packet", async () => {
  using lab = new Lab();
  const buffer = new Uint8Array(2048);
  const reading = lab.tap.read(buffer);
  assertEquals(await soFar(reading), undefined);
  lab.send("late");
  assertEquals(textIn(buffer.subarray(0, await reading)), "late");
});

test("Several waiting reads get packets in the order they were called", async () => {
  using lab = new Lab();
  const names = texts(20);
  const order: string[] = [];
  const readings = names.map(async () => {
    const buffer = new Uint8Array(2048);
    const n = await lab.tap.read(buffer);
    order.push(textIn(buffer.subarray(0, n)));
    return order.at(-1);
  });
  for (const name of names) {
    lab.send(name);
    // Packets that come alone and together.
    if (name.endsWith("3")) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assertEquals(await Promise.all(readings), names);
  assertEquals(order, names);
});

test("A read that comes when others wait does not overtake them", async () => {
  using lab = new Lab();
  const [first, second] = [new Uint8Array(2048), new Uint8Array(2048)];
  const waiting = lab.tap.read(first);
  lab.send("one", "two");
  const later = lab.tap.read(second);
  await Promise.all([waiting, later]);
  assertEquals([first, second].map((it) => textIn(it.subarray(0, 60))), ["one", "two"]);
});

test("What does not fit the buffer is lost, and the next packet is whole", async () => {
  using lab = new Lab();
  lab.send("a long text", "next");
  const buffer = new Uint8Array(2048);
  assertEquals(await lab.tap.read(buffer.subarray(0, 16)), 16);
  assertEquals(textIn(buffer.subarray(0, 16)), "a ");
  assertEquals(buffer[16], 0);
  assertEquals(queued(lab.tap), ["next"]);
});

test("tryRead() gives -1 when nothing is there, and never waits", () => {
  using lab = new Lab();
  assertEquals(lab.tap.tryRead(new Uint8Array(2048)), -1);
  lab.send("now");
  assertEquals(queued(lab.tap), ["now"]);
});

test("readSync() takes what is there, waits for what is to come, and ends with its timeout", async () => {
  using lab = new Lab();
  const buffer = new Uint8Array(2048);
  assertEquals(lab.tap.readSync(buffer, { timeout: 1 }), -1);
  assertEquals(lab.tap.readSync(buffer, { timeout: 0 }), -1);
  lab.send("now");
  assertEquals(textIn(buffer.subarray(0, lab.tap.readSync(buffer))), "now");
  // Of another process: this thread blocks.
  lab.tap.link.addresses.add("192.0.2.1/24");
  const args = ["-q", "-i", "0.05", "-I", "t0", "224.0.0.1"];
  const ping = lab.netns.command("ping", { args, mounts: false, stdout: "null" }).spawn();
  for (const timeout of [undefined, 60_000, Infinity, 1e12]) {
    const n = lab.tap.readSync(buffer, timeout === undefined ? {} : { timeout });
    assertEquals([n > 0, buffer[12], buffer[13]], [true, 8, 0]);
  }
  ping.kill();
  await ping.status;
});

test("A signal that has aborted before rejects, and takes no packet", async () => {
  using lab = new Lab();
  const reason = new Error("enough");
  const options = { signal: AbortSignal.abort(reason) };
  const thrown = await assertRejects(() => lab.tap.read(new Uint8Array(2048), options));
  assertStrictEquals(thrown, reason);
  lab.send("there");
  await assertRejects(() => lab.tap.read(new Uint8Array(2048), options), Error, "enough");
  const iteration = lab.tap.packets(options);
  await assertRejects(() => iteration.next(), Error, "enough");
  assertEquals(queued(lab.tap), ["there"]);
});

test("Aborting a read that waits rejects it with the signal's reason, and leaves the others", async () => {
  using lab = new Lab();
  const stop = new AbortController();
  const buffer = new Uint8Array(2048);
  const aborted = lab.tap.read(new Uint8Array(2048), { signal: stop.signal });
  const other = lab.tap.read(buffer);
  assertEquals(await soFar(aborted), undefined);
  stop.abort();
  const error = await assertRejects(() => aborted, DOMException);
  assertEquals(error.name, "AbortError");
  lab.send("for the other");
  assertEquals(textIn(buffer.subarray(0, await other)), "for the other");
});

test("No packet is lost by an abort, whenever it comes", async () => {
  using lab = new Lab();
  const sent = texts(300);
  const got: string[] = [];
  let aborts = 0;
  for (const [i, text] of sent.entries()) {
    const stop = new AbortController();
    const buffer = new Uint8Array(2048);
    const reading = lab.tap.read(buffer, { signal: stop.signal }).then(
      (n) => void got.push(textIn(buffer.subarray(0, n))),
      () => void aborts++,
    );
    if (i % 3 === 0) lab.send(text);
    // At some of many points of time: before, while and after the packet is handed over.
    for (let k = 0; k < i % 17; k++) await undefined;
    if (i % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    if (i % 3 !== 0) lab.send(text);
    for (let k = 0; k < i % 13; k++) await undefined;
    stop.abort();
    await reading;
  }
  got.push(...queued(lab.tap));
  assertEquals(got, sent);
  assertEquals(aborts > 0 && aborts < 300, true, `${aborts}`);
});

test("Iteration gives each packet as a copy of its own", async () => {
  using lab = new Lab();
  lab.send("one", "two", "three");
  const packets: Uint8Array[] = [];
  for await (const bytes of lab.tap) if (packets.push(bytes) === 3) break;
  assertEquals(packets.map(textIn), ["one", "two", "three"]);
  assertEquals(packets.map((bytes) => bytes.buffer.byteLength), [60, 60, 60]);
  // The loop's end closes nothing.
  assertEquals(lab.tap.closed, false);
  lab.send("four");
  assertEquals(queued(lab.tap), ["four"]);
});

test("Aborting ends an iteration that always has packets", async () => {
  using lab = new Lab();
  const stop = new AbortController();
  let count = 0;
  lab.send(...texts(200));
  await assertRejects(
    async () => {
      for await (const _ of lab.tap.packets({ signal: stop.signal })) {
        if (++count === 10) stop.abort(new Error("ten"));
      }
    },
    Error,
    "ten",
  );
  assertEquals([count, queued(lab.tap).length], [10, 190]);
});

test("A device can be read while its link is down, and waits", async () => {
  using lab = new Lab();
  lab.tap.link.down();
  const buffer = new Uint8Array(2048);
  const reading = lab.tap.read(buffer);
  assertEquals(await soFar(reading), undefined);
  lab.tap.link.up();
  // A socket of its own: the other has an error to report.
  using wire = new Wire(lab.netns, lab.tap);
  wire.send(packetOf("up again"));
  assertEquals(textIn(buffer.subarray(0, await reading)), "up again");
});

test("When the link is deleted, reads that wait and reads to come fail with EBADFD", async () => {
  using lab = new Lab();
  const waiting: Promise<unknown>[] = [
    lab.tap.read(new Uint8Array(2048)),
    lab.tap.read(new Uint8Array(2048)),
    lab.tap.packets().next(),
    lab.tap.readable.getReader().read(),
  ];
  for (const promise of waiting) assertEquals(await soFar(promise), undefined);
  run(lab.netns.ref, "ip link del t0");
  for (const promise of waiting) {
    const error = await assertRejects(() => promise, SyscallError);
    assertEquals(error.code, "EBADFD");
  }
  const attempts = [
    () => lab.tap.tryRead(new Uint8Array(2048)),
    () => lab.tap.readSync(new Uint8Array(2048)),
    () => lab.tap.tryWrite(packetOf("x")),
    () => lab.tap.writeSync(packetOf("x")),
  ];
  for (const attempt of attempts) assertEquals(assertThrows(attempt, SyscallError).code, "EBADFD");
});

test("Reading a device that is closed throws DeviceClosedError", async () => {
  using lab = new Lab();
  lab.tap.close();
  assertEquals(lab.tap.closed, true);
  const message = /^tap "t0" in anonymous netns .* is closed$|^tap "t0".* is closed$/;
  const buffer = new Uint8Array(2048);
  const error = await assertRejects(() => lab.tap.read(buffer), DeviceClosedError);
  assertEquals(message.test(error.message), true, error.message);
  assertThrows(() => lab.tap.tryRead(buffer), DeviceClosedError);
  assertThrows(() => lab.tap.readSync(buffer), DeviceClosedError);
  assertThrows(() => lab.tap.readSync(buffer, { timeout: 1 }), DeviceClosedError);
  assertEquals(await lab.tap.packets().next(), { done: true, value: undefined });
  assertEquals((await lab.tap.readable.getReader().read()).done, true);
});
