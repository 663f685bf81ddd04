import { assertEquals, assertRejects } from "@std/assert";
import { DeviceClosedError, SyscallError } from "../../mod.ts";
import { test } from "../leaks.ts";
import { Lab, packetOf, queued, soFar, textIn, texts } from "./lab.ts";

test("The readable stream reads a packet when one is asked for, and no more", async () => {
  using lab = new Lab();
  lab.send(...texts(3));
  const reader = lab.tap.readable.getReader();
  const { value } = await reader.read();
  assertEquals([textIn(value!), value!.buffer.byteLength], ["n0", 60]);
  for (let i = 0; i < 100; i++) await undefined;
  assertEquals(queued(lab.tap), ["n1", "n2"]);
});

test("A pipe reads no further than its slow end takes", async () => {
  using lab = new Lab();
  lab.send(...texts(10));
  const taken: string[] = [];
  let go: (() => void) | undefined;
  const slow = new WritableStream<Uint8Array>({
    write(packet) {
      taken.push(textIn(packet));
      return new Promise((resolve) => go = resolve);
    },
  });
  const stop = new AbortController();
  const piping = lab.tap.readable.pipeTo(slow, { signal: stop.signal });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(taken, ["n0"]);
  const left = queued(lab.tap);
  assertEquals(left.length >= 8, true, `${left}`);
  stop.abort(new Error("enough"));
  go!();
  await assertRejects(() => piping, Error, "enough");
});

test("Cancelling the readable stream ends a read that waits, and takes no packet with it", async () => {
  using lab = new Lab();
  const reader = lab.tap.readable.getReader();
  const reading = reader.read();
  assertEquals(await soFar(reading), undefined);
  await reader.cancel();
  assertEquals((await reading).done, true);
  lab.send("for others");
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(queued(lab.tap), ["for others"]);
});

test("Closing the device ends the readable stream, whether something waits there or not", async () => {
  for (const waits of [true, false]) {
    using lab = new Lab();
    const reader = lab.tap.readable.getReader();
    const early = waits ? reader.read() : undefined;
    if (early) assertEquals(await soFar(early), undefined);
    lab.tap.close();
    assertEquals((await (early ?? reader.read())).done, true);
    await reader.closed;
  }
});

test("Each use gives the same two streams", () => {
  using lab = new Lab();
  assertEquals(lab.tap.readable === lab.tap.readable, true);
  assertEquals(lab.tap.writable === lab.tap.writable, true);
});

test("The writable stream writes each chunk as a packet", async () => {
  using lab = new Lab();
  const writer = lab.tap.writable.getWriter();
  for (const text of texts(5)) await writer.write(packetOf(text));
  await writer.close();
  assertEquals(lab.written(), texts(5));
  // The stream's end is not the device's.
  assertEquals(lab.tap.closed, false);
});

test("A packet that is refused puts the writable stream in error, with what the device said", async () => {
  using lab = new Lab({ up: false });
  const writer = lab.tap.writable.getWriter();
  const error = await assertRejects(() => writer.write(packetOf("x")), SyscallError);
  assertEquals(error.code, "EIO");
  assertEquals(await assertRejects(() => writer.closed, SyscallError), error);
  assertEquals(await assertRejects(() => writer.write(packetOf("y")), SyscallError), error);
});

test("The writable stream of a closed device fails", async () => {
  using lab = new Lab();
  const writer = lab.tap.writable.getWriter();
  lab.tap.close();
  await assertRejects(() => writer.write(packetOf("x")), DeviceClosedError);
  await assertRejects(() => writer.closed, DeviceClosedError);
});

test("A device piped through a transform to another carries packets, until it is closed", async () => {
  using from = new Lab();
  using to = new Lab();
  const shout = new TransformStream<Uint8Array, Uint8Array>({
    transform: (packet, controller) => controller.enqueue(packetOf(`${textIn(packet)}!`)),
  });
  const piping = from.tap.readable.pipeThrough(shout).pipeTo(to.tap.writable);
  from.send(...texts(5));
  await to.wire.until(({ payload }) => new TextDecoder().decode(payload).startsWith("n4!"));
  from.tap.close();
  await piping;
  assertEquals(to.written(), texts(5).map((text) => `${text}!`));
});
