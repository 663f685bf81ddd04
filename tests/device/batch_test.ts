import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  batchEngineName,
  DeviceClosedError,
  type EngineName,
  PacketBatch,
  SyscallError,
  useEngine,
} from "../../mod.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { Lab, packetOf, queued, soFar, textIn, texts, withoutRing } from "./lab.ts";

/** Everything about batches is the same through both engines. */
function engineTest(name: string, fn: (engine: EngineName) => Promise<void>): void {
  for (const engine of ["io_uring", "loop"] as const) {
    const lacks = engine === "io_uring" ? withoutRing() : undefined;
    test(`${name}, through ${engine}`, { lacks }, async () => {
      useEngine(engine === "loop" ? "loop" : undefined);
      try {
        assertEquals(batchEngineName(), engine);
        await fn(engine);
      } finally {
        useEngine(undefined);
      }
    });
  }
}

function all(batch: PacketBatch): string[] {
  return Array.from({ length: batch.count }, (_, i) => textIn(batch.packet(i)));
}

function batchOf(...texts: string[]): PacketBatch {
  const batch = new PacketBatch({ size: 100 });
  for (const text of texts) batch.add(packetOf(text));
  return batch;
}

engineTest("readBatch() takes what is queued, and all of it in order in the end", async () => {
  using lab = new Lab();
  const names = texts(150);
  lab.send(...names);
  const batch = new PacketBatch({ packets: 40, size: 2048 });
  const got: string[] = [];
  while (got.length < names.length) {
    const count = await lab.tap.readBatch(batch);
    assertEquals([count, count > 0 && count <= 40], [batch.count, true]);
    assertEquals(Array.from(batch.lengths.subarray(0, count)), new Array(count).fill(60));
    got.push(...all(batch));
  }
  assertEquals(got, names);
});

engineTest("tryReadBatch() gives 0 when nothing is there", async () => {
  using lab = new Lab();
  const batch = batchOf("left from before");
  assertEquals([lab.tap.tryReadBatch(batch), batch.count], [0, 0]);
  lab.send("now");
  assertEquals([lab.tap.tryReadBatch(batch), all(batch)], [1, ["now"]]);
  await undefined;
});

engineTest("readBatch() waits for the first packet", async () => {
  using lab = new Lab();
  const batch = new PacketBatch();
  const reading = lab.tap.readBatch(batch);
  assertEquals(await soFar(reading), undefined);
  lab.send("late");
  assertEquals(await reading, 1);
  assertEquals(all(batch), ["late"]);
});

engineTest("Batches and single reads that wait take their turns", async () => {
  using lab = new Lab();
  const [first, third] = [new PacketBatch({ packets: 1 }), new PacketBatch()];
  const second = new Uint8Array(2048);
  const readings = [lab.tap.readBatch(first), lab.tap.read(second), lab.tap.readBatch(third)];
  lab.send("one", "two", "three");
  await Promise.all(readings);
  assertEquals([all(first), textIn(second), all(third)], [["one"], "two", ["three"]]);
});

engineTest("A batch whose slots are small takes the start of packets", async () => {
  using lab = new Lab();
  lab.send("one", "two");
  const batch = new PacketBatch({ packets: 4, size: 16 });
  assertEquals(await lab.tap.readBatch(batch), 2);
  assertEquals(all(batch), ["on", "tw"]);
});

engineTest("writeBatch() writes all packets in order, with their lengths as results", async () => {
  using lab = new Lab();
  const names = texts(64);
  const batch = batchOf(...names);
  assertEquals(batch.add(packetOf("one too many")), false);
  await lab.tap.writeBatch(batch);
  assertEquals(lab.written(), names);
  assertEquals(Array.from(batch.results), new Array(64).fill(60));
  batch.clear();
  await lab.tap.writeBatch(batch);
  assertEquals(lab.written().length, 64);
});

engineTest("A batch read from one device is written to another as it is, or changed", async () => {
  using from = new Lab();
  using to = new Lab();
  from.send(...texts(5));
  const batch = new PacketBatch({ packets: 16, size: 2048 });
  while (batch.count < 4) await from.tap.readBatch(batch);
  // A packet moved within its slot, as when a header is taken off; and one that is dropped.
  batch.bytes.copyWithin(batch.offsets[1]! + 4, batch.offsets[1]!, batch.offsets[1]! + 60);
  batch.offsets[1]! += 4;
  batch.lengths[2] = 17;
  await to.tap.writeBatch(batch);
  assertEquals(to.written().slice(0, 4), ["n0", "n1", "n2", "n3"]);
  assertEquals(Array.from(batch.results.subarray(0, 3)), [60, 60, 17]);
});

engineTest("One bad packet stops no other, and the error names it", async () => {
  using lab = new Lab();
  const batch = batchOf(...texts(5));
  batch.lengths[2] = 3; // shorter than an Ethernet header
  batch.lengths[4] = 5;
  const error = await assertRejects(() => lab.tap.writeBatch(batch), SyscallError);
  assertEquals(error.code, "EINVAL");
  const start = `write packet 2 of 5 to tap "t0" in ${lab.netns.ref.label}: `;
  assertEquals(error.message.startsWith(start), true, error.message);
  assertEquals(Array.from(batch.results.subarray(0, 5)), [60, 60, -22, 60, -22]);
  assertEquals(lab.written(), ["n0", "n1", "n3"]);
});

engineTest("When the link is down, results say it for each packet", async () => {
  using lab = new Lab({ up: false });
  const batch = batchOf(...texts(3));
  const error = await assertRejects(() => lab.tap.writeBatch(batch), SyscallError);
  assertEquals([error.code, error.message.endsWith("is the link up?")], ["EIO", true]);
  assertEquals(Array.from(batch.results.subarray(0, 3)), [-5, -5, -5]);
});

engineTest("When the link is gone, batches fail with EBADFD", async () => {
  using lab = new Lab();
  const waiting = lab.tap.readBatch(new PacketBatch());
  assertEquals(await soFar(waiting), undefined);
  run(lab.netns.ref, "ip link del t0");
  const attempts = [
    () => waiting,
    () => lab.tap.readBatch(new PacketBatch()),
    () => lab.tap.writeBatch(batchOf("x")),
  ];
  for (const attempt of attempts) {
    assertEquals((await assertRejects<SyscallError>(attempt, SyscallError)).code, "EBADFD");
  }
  assertThrows(() => lab.tap.tryReadBatch(new PacketBatch()), SyscallError, "EBADFD");
});

engineTest("Abort and close() end a batch that waits, and a closed device takes none", async () => {
  using lab = new Lab();
  const stop = new AbortController();
  const aborted = lab.tap.readBatch(new PacketBatch(), { signal: stop.signal });
  const closed = lab.tap.readBatch(new PacketBatch());
  assertEquals([await soFar(aborted), await soFar(closed)], [undefined, undefined]);
  stop.abort(new Error("enough"));
  await assertRejects(() => aborted, Error, "enough");
  lab.send("there");
  assertEquals(await closed, 1);
  lab.send("still there");
  const options = { signal: AbortSignal.abort(new Error("before")) };
  await assertRejects(() => lab.tap.readBatch(new PacketBatch(), options), Error, "before");
  assertEquals(queued(lab.tap), ["still there"]);
  const late = lab.tap.readBatch(new PacketBatch());
  lab.tap.close();
  await assertRejects(() => late, DeviceClosedError);
  await assertRejects(() => lab.tap.readBatch(new PacketBatch()), DeviceClosedError);
  assertThrows(() => lab.tap.tryReadBatch(new PacketBatch()), DeviceClosedError);
  await assertRejects(() => lab.tap.writeBatch(batchOf("x")), DeviceClosedError);
});

engineTest("A batch never gives the kernel memory beyond its own", async () => {
  using lab = new Lab();
  const broken: [change: (batch: PacketBatch) => void, message: string][] = [
    [(it) => it.lengths[1] = 6400, "packet 1 must be within the batch's 6400 bytes"],
    [(it) => it.lengths[0] = -1, "packet 0 must be within the batch's 6400 bytes"],
    [(it) => it.offsets[1] = -4, "its offset is -4, its length 60"],
    [(it) => it.offsets[0] = 2 ** 31 - 1, "its offset is 2147483647, its length 60"],
    [(it) => it.count = 65, "count must be in 0..64: got 65"],
    [(it) => it.count = -1, "count must be in 0..64: got -1"],
    [(it) => it.count = 1.5, "count must be in 0..64: got 1.5"],
    [(it) => it.bytes.buffer.transfer(), "packet 0 must be within the batch's 0 bytes"],
  ];
  for (const [change, message] of broken) {
    const batch = batchOf("one", "two");
    change(batch);
    await assertRejects(() => lab.tap.writeBatch(batch), RangeError, message);
  }
  assertEquals(lab.written(), []);
  lab.send("kept");
  const gone = new PacketBatch();
  gone.bytes.buffer.transfer();
  assertThrows(() => lab.tap.tryReadBatch(gone), TypeError, "The batch's memory was transferred");
  await assertRejects(() => lab.tap.readBatch(gone), TypeError, "The batch's memory was");
  assertEquals(queued(lab.tap), ["kept"]);
});

Deno.test("PacketBatch refuses sizes by name and value", () => {
  for (
    const [options, message] of [
      [{ packets: 0 }, "packets must be in 1..256: got 0"],
      [{ packets: 257 }, "packets must be in 1..256: got 257"],
      [{ size: 0 }, "size must be in 1..1048576: got 0"],
      [{ size: 2 ** 20 + 1 }, "size must be in 1..1048576: got 1048577"],
    ] as const
  ) assertThrows(() => new PacketBatch(options), RangeError, message);
  assertThrows(
    () => new PacketBatch({ packets: 1.5 }),
    TypeError,
    "packets must be a whole number",
  );
  assertThrows(() => new PacketBatch({ length: 1 } as never), TypeError, 'Unknown option "length"');
});

Deno.test("PacketBatch.add() takes what fits its slots", () => {
  const batch = new PacketBatch({ packets: 2, size: 60 });
  assertEquals(batch.add(new Uint8Array(61)), false);
  assertEquals([batch.add(packetOf("a")), batch.add(packetOf("b")), batch.count], [true, true, 2]);
  assertEquals(batch.add(packetOf("c")), false);
  assertEquals(all(batch), ["a", "b"]);
  batch.clear();
  assertEquals([batch.add(packetOf("c")), all(batch)], [true, ["c"]]);
});
