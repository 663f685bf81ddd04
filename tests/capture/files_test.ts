import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  CaptureFileError,
  type CaptureInterface,
  type Frame,
  OwnFrame,
  PcapngWriter,
  readCapture,
} from "../../mod.ts";
import { test } from "../leaks.ts";
import { BROADCAST, frame as ethernet, Wire } from "../link/wire.ts";
import { SPECIMENS } from "./frames.ts";
import { tcpdumpCommand, tcpdumpTest } from "../tcpdump.ts";
import { Pair } from "./pair.ts";

const HERE: CaptureInterface = { name: "ns1/eth0", linkType: 1, snaplen: 65_600 };
const THERE: CaptureInterface = { name: "ns2/ünal", linkType: 1, snaplen: 65_600 };

/** Frames of two links, one of them cut off, one empty. */
function frames(): OwnFrame[] {
  return SPECIMENS.slice(0, 21).map(({ bytes }, i) =>
    new OwnFrame({
      interface: i % 3 === 0 ? THERE : HERE,
      seconds: 1_700_000_000 + i,
      nanoseconds: (i * 123_456_789) % 1_000_000_000,
      length: i === 5 ? 1500 : i === 6 ? 9 : bytes.length,
      data: i === 6 ? new Uint8Array() : bytes,
      direction: i % 2 === 0 ? "in" : "out",
    })
  );
}

/** The bytes that a writer writes. */
async function bytesOf(write: (file: PcapngWriter) => void | Promise<void>) {
  const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>>();
  const all = new Response(readable).bytes();
  const file = new PcapngWriter(writable);
  await write(file);
  await file.close();
  return await all as Uint8Array<ArrayBuffer>;
}

async function all(source: Parameters<typeof readCapture>[0]): Promise<Frame[]> {
  return await Array.fromAsync(readCapture(source));
}

function plain(frame: Frame) {
  const { interface: where, seconds, nanoseconds, length, data, direction } = frame;
  return { where, seconds, nanoseconds, length, data: [...data], direction };
}

async function withFile(bytes: Uint8Array, fn: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ prefix: "netloom-capture-" });
  try {
    await Deno.writeFile(path, bytes);
    await fn(path);
  } finally {
    await Deno.remove(path);
  }
}

async function tcpdump(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await tcpdumpCommand(...args).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr));
  return decoder.decode(stdout);
}

/** Time, length and bytes of each frame of a file, as tcpdump reads them. */
async function asTcpdump(path: string) {
  const text = await tcpdump("-r", path, "-tt", "--nano", "-e", "-xx", "-n");
  return text.split(/\n(?=\d)/).map((packet) => {
    const [, time, length] = /^(\d+\.\d{9}) .*?length (\d+):/.exec(packet)!;
    // Its own dumps of what it cannot read come before the one of the whole frame.
    const dump = packet.slice(packet.lastIndexOf("\t0x0000:"));
    const hex = [...dump.matchAll(/^\t0x[0-9a-f]+: {2}(.*)$/gm)].map(([, it]) => it).join("");
    return { time, length: Number(length), data: hex.replaceAll(/\s/g, "") };
  });
}

test("tcpdump reads what PcapngWriter writes", async () => {
  // tcpdump tells no length of frames without an Ethernet header.
  const whole = frames().filter(({ data }) => data.length >= 14);
  const bytes = await bytesOf((file) => whole.forEach((frame) => void file.write(frame)));
  await withFile(bytes, async (path) => {
    const expected = whole.map(({ seconds, nanoseconds, length, data }) => ({
      time: `${seconds}.${String(nanoseconds).padStart(9, "0")}`,
      length,
      data: data.toHex(),
    }));
    assertEquals(await asTcpdump(path), expected);
  });
});

test("readCapture() reads the frames that PcapngWriter has written", async () => {
  const bytes = await bytesOf((file) => frames().forEach((frame) => void file.write(frame)));
  assertEquals((await all(bytes)).map(plain), frames().map(plain));
  // In chunks of any size.
  for (const size of [1, 7, 64]) {
    const chunks = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, i) => bytes.slice(i * size, (i + 1) * size),
    );
    assertEquals((await all(ReadableStream.from(chunks))).map(plain), frames().map(plain));
  }
});

test("PcapngWriter writes times exactly, from 1970 to 2106", async () => {
  const times = [[0, 0], [0, 1], [1, 511], [1_700_000_000, 512], [2 ** 32 - 1, 999_999_999]];
  const some = times.map(([seconds, nanoseconds]) =>
    new OwnFrame({
      interface: HERE,
      seconds: seconds!,
      nanoseconds: nanoseconds!,
      length: 0,
      data: new Uint8Array(),
    })
  );
  const bytes = await bytesOf((file) => some.forEach((frame) => void file.write(frame)));
  assertEquals((await all(bytes)).map((it) => [it.seconds, it.nanoseconds]), times);
});

test("PcapngWriter writes captures of several links with their counters", async () => {
  using pair = await Pair.open({ name: "netloom-file" });
  const captures = [pair.link.capture(), pair.peer.capture()];
  using wire = new Wire(pair.a, pair.link);
  for (const { bytes } of SPECIMENS) wire.send(bytes);
  const path = await Deno.makeTempFile({ prefix: "netloom-capture-" });
  try {
    await using file = new PcapngWriter(path);
    const writing = Promise.all(captures.map((capture) => file.writeAll(capture)));
    for (const capture of captures) capture.stop();
    await writing;
    await file.close();
    const read = await all(path);
    const of = (name: string) => read.filter((frame) => frame.interface.name === name);
    assertEquals(
      of(`${pair.a.inode}/v0`).map(({ data }) => data),
      SPECIMENS.map(({ bytes }) => bytes),
    );
    assertEquals(of("netloom-file/v1").length, captures[1]!.statistics().packets);
    assert(of("netloom-file/v1").every(({ direction }) => direction === "in"));
    assertEquals((await asTcpdump(path)).length, read.length);
    const numbers = [...new Set(read.map((frame) => frame.interface.name))];
    const counted = statisticsOf(await Deno.readFile(path));
    assertEquals(counted.map(({ number }) => number).toSorted(), [0, 1]);
    for (const { number, ...counts } of counted) {
      const name = numbers[number];
      const capture = captures.find(({ interfaces: [where] }) => where!.name === name)!;
      const { packets, drops } = capture.statistics();
      assertEquals(counts, { filteraccept: packets, osdrop: drops, usrdeliv: packets - drops });
    }
  } finally {
    await Deno.remove(path);
  }
});

/** The statistics blocks of a file. */
function statisticsOf(bytes: Uint8Array<ArrayBuffer>) {
  const view = new DataView(bytes.buffer);
  const found = [];
  for (let at = 0; at < bytes.length; at += view.getUint32(at + 4, true)) {
    if (view.getUint32(at, true) !== 5) continue;
    const values = new Map<number, number>();
    for (let option = at + 20; view.getUint16(option, true) !== 0; option += 12) {
      values.set(view.getUint16(option, true), Number(view.getBigUint64(option + 4, true)));
    }
    const [filteraccept, osdrop, usrdeliv] = [6, 7, 8].map((code) => values.get(code));
    found.push({ number: view.getUint32(at + 8, true), filteraccept, osdrop, usrdeliv });
  }
  return found;
}

test("PcapngWriter waits for a slow stream and rejects when the stream fails", async () => {
  const chunks: Uint8Array[] = [];
  let open = Promise.withResolvers<void>();
  const slow = new WritableStream<Uint8Array<ArrayBuffer>>({
    write: async (chunk) => {
      await open.promise;
      chunks.push(chunk.slice());
    },
  }, { highWaterMark: 1 });
  const file = new PcapngWriter(slow);
  const data = new Uint8Array(60_000).map((_, i) => i);
  const frame = new OwnFrame({ interface: HERE, seconds: 1, nanoseconds: 1, length: 60_000, data });
  let written = 0;
  const writing = (async () => {
    for (; written < 50; written++) await file.write(frame);
    await file.close();
  })();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert(written < 20, `${written} frames are written and nobody reads`);
  open.resolve();
  await writing;
  const bytes = new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
  assertEquals((await all(bytes)).map((it) => it.data), Array(50).fill(data));

  open = Promise.withResolvers();
  open.promise.catch(() => {});
  open.reject(new Error("disk full"));
  const failing = new PcapngWriter(
    new WritableStream({
      write() {
        throw new Error("disk full");
      },
    }),
  );
  failing.write(frame);
  await assertRejects(() => failing.close(), Error, "disk full");
});

test("A frame larger than the writer's chunk is written whole", async () => {
  const data = new Uint8Array(262_144).fill(7);
  const frame = new OwnFrame({ interface: HERE, seconds: 1, nanoseconds: 1, length: 1e6, data });
  const bytes = await bytesOf((file) => {
    for (let i = 0; i < 3; i++) file.write(frame);
  });
  assertEquals((await all(bytes)).map((it) => it.data.length), [262_144, 262_144, 262_144]);
});

tcpdumpTest(
  "readCapture() reads what tcpdump writes, in microseconds and nanoseconds",
  async () => {
    using pair = await Pair.open();
    for (const unit of ["micro", "nano"]) {
      const dump = pair.a.command("tcpdump", {
        args: [
          "-Z",
          "root",
          "-i",
          "v0",
          "-U",
          "-c",
          "21",
          `--time-stamp-precision=${unit}`,
          "-w",
          "-",
        ],
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const says = dump.stderr.pipeThrough(new TextDecoderStream()).getReader();
      while (!(await says.read()).value!.includes("listening"));
      using wire = new Wire(pair.a, pair.link);
      for (const { bytes } of SPECIMENS.slice(0, 21)) wire.send(bytes);
      const bytes = await new Response(dump.stdout).bytes() as Uint8Array<ArrayBuffer>;
      await says.cancel();
      await dump.status;
      const read = await all(bytes);
      assertEquals(read.map(({ data }) => data), SPECIMENS.slice(0, 21).map(({ bytes }) => bytes));
      const times = read.map(({ seconds, nanoseconds }) =>
        `${seconds}.${String(nanoseconds).padStart(9, "0")}`
      );
      await withFile(bytes, async (path) => {
        assertEquals(times, (await asTcpdump(path)).map(({ time }) => time));
      });
      assertEquals((await all(otherEndPcap(bytes))).map(plain), read.map(plain));
      await withFile(otherEndPcap(bytes), async (path) => {
        assertEquals(times, (await asTcpdump(path)).map(({ time }) => time));
      });
    }
  },
);

/** A pcap file in the other byte order. */
function otherEndPcap(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  const swap = (at: number, size: 2 | 4) => copy.subarray(at, at + size).reverse();
  for (const [at, size] of [[0, 4], [4, 2], [6, 2], [16, 4], [20, 4]] as const) swap(at, size);
  for (let at = 24; at < copy.length;) {
    const captured = view.getUint32(at + 8, true);
    for (let i = 0; i < 4; i++) swap(at + 4 * i, 4);
    at += 16 + captured;
  }
  return copy;
}

/** A pcapng file in the other byte order, put together block by block. */
function otherEndPcapng(): Uint8Array<ArrayBuffer> {
  const words = (...values: number[]) => {
    const view = new DataView(new ArrayBuffer(values.length * 4));
    values.forEach((value, i) => view.setUint32(4 * i, value >>> 0, false));
    return [...new Uint8Array(view.buffer)];
  };
  const block = (type: number, body: number[]) => {
    const length = body.length + 12;
    return [...words(type, length), ...body, ...words(length)];
  };
  const name = [...new TextEncoder().encode("eth0")];
  return new Uint8Array([
    ...block(0x0a0d0d0a, words(0x1a2b3c4d, 1 << 16, -1, -1)),
    // Ethernet; named, in units of 2^-10 s, from 100 s on.
    ...block(1, [
      ...words(1 << 16, 96),
      ...words(2 << 16 | 4),
      ...name,
      ...words(9 << 16 | 1, 0x8a000000),
      ...words(14 << 16 | 8, 0, 100),
      ...words(0),
    ]),
    // One that nobody knows; statistics.
    ...block(0x80000bad, words(1, 2, 3)),
    ...block(5, words(0, 0, 0)),
    ...block(6, [...words(0, 0, 1536, 3, 1500), 1, 2, 3, 0, ...words(2 << 16 | 4, 2, 0)]),
    ...block(2, [...words(0, 0, 512, 4, 4), 9, 8, 7, 6]),
    ...block(3, [...words(100), ...new Array(96).fill(5)]),
  ]);
}

test("readCapture() reads pcapng of the other byte order, and every kind of packet block", async () => {
  const read = await all(otherEndPcapng());
  const times = [101_500_000_000n, 100_500_000_000n, undefined];
  assertEquals(read.map(({ timestamp }) => timestamp), times);
  assertEquals(read.map(({ data }) => data.length), [3, 4, 96]);
  assertEquals(read.map(({ length }) => length), [1500, 4, 100]);
  assertEquals(read.map(({ direction }) => direction), ["out", undefined, undefined]);
  assertEquals(read[0]!.interface, { name: "eth0", linkType: 1, snaplen: 96 });
});

test("A new section begins with no interfaces, and may be of the other byte order", async () => {
  const one = await bytesOf((file) => frames().forEach((frame) => void file.write(frame)));
  const two = otherEndPcapng();
  const read = await all(ReadableStream.from([one, two, one]));
  assertEquals(read.length, 21 + 3 + 21);
  assertEquals(read[21]!.interface.name, "eth0");
  assertEquals(plain(read[24]!), plain(frames()[0]!));
});

/** Frames until the end, or until an error, which must be a CaptureFileError. */
async function readUntilError(bytes: Uint8Array<ArrayBuffer>) {
  let count = 0;
  try {
    for await (const frame of readCapture(bytes)) {
      assert(frame.data.length <= bytes.length);
      count++;
    }
  } catch (error) {
    assertInstanceOf(error, CaptureFileError, String(error));
    assert(error.offset >= 0 && error.offset <= bytes.length, error.message);
    return { count, error };
  }
  return { count, error: undefined };
}

test("readCapture() reads the whole frames of a truncated file and names its end", async () => {
  const ng = await bytesOf((file) => frames().slice(0, 4).forEach((it) => void file.write(it)));
  for (const bytes of [ng, otherEndPcapng(), pcap()]) {
    let [before, clean] = [0, 0];
    for (let length = 0; length < bytes.length; length++) {
      const { count, error } = await readUntilError(bytes.slice(0, length));
      assert(count >= before && count <= before + 1);
      before = count;
      if (!error) clean++;
    }
    // Between two blocks or packets a file may end.
    assert(clean >= 2 && clean <= 8, `${clean}`);
  }
  const { error } = await readUntilError(ng.slice(0, -1));
  assert(/ends within a block: \d+ of \d+ bytes are there, at byte \d+/.test(error!.message));
});

/** A small pcap file. */
function pcap(): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(24 + 2 * (16 + 60)));
  [0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1].forEach((it, i) => view.setUint32(4 * i, it, true));
  for (const at of [24, 24 + 76]) {
    [7, 8, 60, 60].forEach((it, i) => view.setUint32(at + 4 * i, it, true));
  }
  return new Uint8Array(view.buffer);
}

test("readCapture() throws only a CaptureFileError for malformed files", async () => {
  const ng = await bytesOf((file) => frames().slice(0, 4).forEach((it) => void file.write(it)));
  let seed = 7;
  const random = (below: number) => {
    seed = Math.imul(seed, 1_103_515_245) + 12_345 >>> 0;
    return (seed >>> 8) % below;
  };
  let errors = 0;
  for (const bytes of [ng, otherEndPcapng(), pcap()]) {
    for (let i = 0; i < 1500; i++) {
      const copy = bytes.slice();
      for (let n = 0; n <= random(3); n++) {
        copy[random(copy.length)] = [0, 1, 0x7f, 0x80, 0xff, random(256)][random(6)]!;
      }
      if ((await readUntilError(copy)).error) errors++;
    }
  }
  assert(errors > 500, `${errors}`);
  for (const text of ["", "abc", "<!DOCTYPE html>", "\n\r\r\nabcdefgh"]) {
    const bytes = new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
    await assertRejects(() => all(bytes), CaptureFileError);
  }
  const error = await assertRejects(() => all(new TextEncoder().encode("<html>"))) as Error;
  assertEquals(
    error.message,
    "The file is neither pcapng nor pcap: it begins with 3c68746d, at byte 0 of the capture file",
  );
});

test("Leaving the loop closes the file, and a missing file is an error", async () => {
  const bytes = await bytesOf((file) => frames().forEach((frame) => void file.write(frame)));
  await withFile(bytes, async (path) => {
    for await (const _ of readCapture(path)) break;
    let canceled = false;
    const stream = new ReadableStream({
      pull: (controller) => controller.enqueue(bytes.slice()),
      cancel: () => void (canceled = true),
    });
    for await (const _ of readCapture(stream)) break;
    assert(canceled);
  });
  await assertRejects(() => all("/no/such/file"), Deno.errors.NotFound);
});

test("A closed writer refuses frames, and a second close() does nothing", async () => {
  using pair = await Pair.open();
  using capture = pair.peer.capture();
  using wire = new Wire(pair.a, pair.link);
  wire.send(ethernet(BROADCAST, "02:00:00:00:00:01"));
  const { value } = await capture.next();
  const { writable, readable } = new TransformStream<Uint8Array<ArrayBuffer>>();
  const size = new Response(readable).bytes();
  const file = new PcapngWriter(writable);
  await file.close();
  await file.close();
  assertEquals((await size).length, 44);
  await assertRejects(async () => await file.write(value!), TypeError, "closed");
});
