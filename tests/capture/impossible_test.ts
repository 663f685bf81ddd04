// Capture files with impossible records: one of them does not end a file. Beside tcpdump (libpcap) and tshark.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  CaptureFileError,
  type CaptureInterface,
  type Frame,
  OwnFrame,
  PcapngWriter,
  readCapture,
} from "../../mod.ts";
import { test } from "../leaks.ts";
import { tsharkFile, tsharkTest } from "../packet/tshark.ts";
import { tcpdumpCommand } from "../tcpdump.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const LITTLE = true;
const FRAME = Uint8Array.from({ length: 60 }, (_, i) => i);
const ETH0: CaptureInterface = { name: "eth0", linkType: 1, snaplen: 0 };

/** Numbers of 2 or 4 bytes one behind the other. */
function pack(little: boolean, ...values: (number | Uint8Array | { u16: number })[]): Bytes {
  const parts = values.map((value) => {
    if (value instanceof Uint8Array) return value;
    const view = new DataView(new ArrayBuffer(typeof value === "number" ? 4 : 2));
    if (typeof value === "number") view.setUint32(0, value >>> 0, little);
    else view.setUint16(0, value.u16, little);
    return new Uint8Array(view.buffer);
  });
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

interface PcapOptions {
  magic?: number;
  version?: [major: number, minor: number];
  little?: boolean;
}

/** A pcap file of records: seconds, fraction, captured bytes, length, and more of the header. */
function pcap(
  records: readonly [number, number, number, number, Uint8Array?][],
  { magic = 0xa1b2c3d4, version = [2, 4], little = LITTLE }: PcapOptions = {},
): Bytes {
  const [major, minor] = version.map((u16) => ({ u16 })) as [{ u16: number }, { u16: number }];
  const header = pack(little, magic, major, minor, 0, 0, 262_144, 1);
  const parts = records.map(([seconds, fraction, captured, length, more = new Uint8Array()]) =>
    pack(little, seconds, fraction, captured, length, more, FRAME)
  );
  return pack(little, header, ...parts);
}

function block(little: boolean, type: number, ...body: Parameters<typeof pack>[1][]): Bytes {
  const packed = pack(little, ...body);
  const padded = pack(little, packed, new Uint8Array(-packed.length & 3));
  return pack(little, type, padded.length + 12, padded, padded.length + 12);
}

const section = (minor = 0, little = LITTLE, major = 1) =>
  block(little, 0x0a0d0d0a, 0x1a2b3c4d, { u16: major }, { u16: minor }, -1, -1);
const eth0 = (little = LITTLE, ...options: Uint8Array[]) =>
  block(little, 1, { u16: 1 }, { u16: 0 }, 0, ...options);
/** An option; its length may lie. */
const option = (little: boolean, code: number, value: Uint8Array, length = value.length) =>
  pack(little, { u16: code }, { u16: length }, value, new Uint8Array(-value.length & 3));
/** An enhanced packet block. */
const packet = (
  { little = LITTLE, number = 0, time = [0, 7], captured = 60, length = 60, options = [] }: {
    little?: boolean;
    number?: number;
    time?: [number, number];
    captured?: number;
    length?: number;
    options?: Uint8Array[];
  } = {},
) => block(little, 6, number, ...time, captured, length, FRAME, ...options);

async function all(bytes: Bytes): Promise<Frame[]> {
  return await Array.fromAsync(readCapture(bytes));
}

/** A frame and whether its record is good. */
function brief({ timestamp, length, capturedLength, flaw }: Frame) {
  return [timestamp, length, capturedLength, flaw?.replace(/, at byte \d+$/, "")];
}

async function withFile<T>(bytes: Bytes, fn: (path: string) => T | Promise<T>): Promise<T> {
  const path = await Deno.makeTempFile({ prefix: "netloom-capture-" });
  try {
    await Deno.writeFile(path, bytes);
    return await fn(path);
  } finally {
    await Deno.remove(path);
  }
}

/** The number of packets that tcpdump reads, and its complaint. */
async function tcpdump(bytes: Bytes): Promise<{ count: number; error: string }> {
  return await withFile(bytes, async (path) => {
    const { stdout, stderr } = await tcpdumpCommand("-nntt", "-r", path).output();
    const [text, error] = [stdout, stderr].map((it) => new TextDecoder().decode(it));
    return { count: text!.match(/^\d/gm)?.length ?? 0, error: error!.trim() };
  });
}

const GOOD = [1, 2, 60, 60] as [number, number, number, number];
const good = [1_000_002_000n, 60, 60, undefined];

test("A pcap packet with too many microseconds comes with its time carried over, as from libpcap", async () => {
  for (const little of [true, false]) {
    const bytes = pcap([GOOD, [1, 2_000_000, 60, 60], [1, 0xffff_ffff, 60, 60], GOOD], { little });
    assertEquals((await all(bytes)).map(brief), [
      good,
      [3_000_000_000n, 60, 60, "2000000 microseconds of a second"],
      [4_295_967_295_000n, 60, 60, "4294967295 microseconds of a second"],
      good,
    ]);
    assertEquals((await tcpdump(bytes)).count, 4);
    const nano = pcap([[1, 2, 60, 60], [1, 1_000_000_000, 60, 60]], { little, magic: 0xa1b23c4d });
    assertEquals((await all(nano)).map(brief), [
      [1_000_000_002n, 60, 60, undefined],
      [2_000_000_000n, 60, 60, "1000000000 nanoseconds of a second"],
    ]);
  }
});

test("A pcap packet that is longer captured than on the wire comes with a flaw", async () => {
  const bytes = pcap([[1, 2, 60, 9], GOOD]);
  const flaw = "60 bytes captured of 9";
  assertEquals((await all(bytes)).map(brief), [[1_000_002_000n, 9, 60, flaw], good]);
  // tcpdump names the first one invalid and reads on.
  assertEquals((await tcpdump(bytes)).count, 1);
});

test("pcap files with the magic a1b2cd34 are read, in either byte order, as libpcap reads them", async () => {
  for (const little of [true, false]) {
    const more = (type: number) => pack(little, 3, { u16: 8 }, Uint8Array.of(type, 0));
    const bytes = pcap([[1, 2, 60, 60, more(0)], [1, 2, 60, 60, more(4)]], {
      little,
      magic: 0xa1b2cd34,
    });
    const frames = await all(bytes);
    assertEquals(frames.map(brief), [good, good]);
    assertEquals(frames.map(({ direction }) => direction), ["in", "out"]);
    assertEquals(frames.map(({ data }) => data), [FRAME, FRAME]);
    assertEquals((await tcpdump(bytes)).count, 2);
  }
});

test("Lengths of old pcap versions are the other way round, as libpcap reads them", async () => {
  for (const version of [[2, 2], [2, 3], [2, 4]] as [number, number][]) {
    const swapped = version[1] < 4;
    const bytes = pcap([[1, 2, ...(swapped ? [1500, 60] : [60, 1500])] as typeof GOOD], {
      version,
    });
    assertEquals((await all(bytes)).map(brief), [[1_000_002_000n, 1500, 60, undefined]]);
    assertEquals((await tcpdump(bytes)).count, 1);
  }
  for (const version of [[1, 0], [2, 5], [3, 0]] as [number, number][]) {
    const bytes = pcap([GOOD], { version });
    const message = `The file is of pcap version ${version.join(".")}`;
    await assertRejects(() => all(bytes), CaptureFileError, message);
    const { count, error } = await tcpdump(bytes);
    assert(count === 0 && /version|archaic/.test(error), error);
  }
});

test("A pcap packet of an impossible size ends the file, after the packets before it", async () => {
  for (const captured of [0x0100_0001, 0xffff_ffff]) {
    const seen: Frame[] = [];
    const error = await assertRejects(async () => {
      for await (const frame of readCapture(pcap([GOOD, [1, 2, captured, captured], GOOD]))) {
        seen.push(frame);
      }
    }, CaptureFileError);
    assertEquals([seen.length, (error as CaptureFileError).offset], [1, 24 + 76 + 16]);
  }
});

test("pcapng of version 1.0 and 1.2 is read, others are refused, as by libpcap", async () => {
  for (
    const [major, minor, read] of [[1, 0, true], [1, 2, true], [1, 1, false], [1, 3, false], [
      2,
      0,
      false,
    ]] as const
  ) {
    const bytes = pack(LITTLE, section(minor, LITTLE, major), eth0(), packet());
    const { count } = await tcpdump(bytes);
    assertEquals(count, read ? 1 : 0, `${major}.${minor}`);
    if (read) assertEquals((await all(bytes)).length, 1);
    else {
      const message = `A section is of pcapng version ${major}.${minor}`;
      await assertRejects(() => all(bytes), CaptureFileError, message);
    }
  }
});

test("One impossible block of a pcapng file does not end it", async () => {
  for (const little of [true, false]) {
    const text = option(little, 1, new Uint8Array(8), 900);
    const flags = option(little, 2, pack(little, 2));
    const impossible: [block: Bytes, flaw: string, time?: bigint | undefined, captured?: number][] =
      [
        [
          packet({ little, captured: 61 }),
          "61 bytes captured in a block of 60, 60 bytes captured of 60",
        ],
        [packet({ little, captured: 0xffff_ffff }), "4294967295 bytes captured in a block of 60"],
        [packet({ little, length: 9 }), "60 bytes captured of 9"],
        [packet({ little, options: [flags, text] }), "an option beyond its block"],
        [packet({ little, number: 7 }), "interface 7 of 1", undefined],
        [block(little, 6, 0, 0, 7), "12 bytes for 20", undefined, 0],
        [
          block(little, 2, { u16: 9 }, { u16: 0 }, 0, 7, 60, 60, FRAME),
          "interface 9 of 1",
          undefined,
        ],
        [block(little, 3), "0 bytes for 4", undefined, 0],
        [block(little, 3, 100, FRAME), "100 bytes captured in a block of 60", undefined],
      ];
    for (const [bad, flaw, ...rest] of impossible) {
      const [time, captured = 60] = rest.length > 0 ? rest : [7_000n];
      const bytes = pack(
        little,
        section(0, little),
        eth0(little),
        packet({ little }),
        bad,
        block(little, 0x0bad_0bad, 1, 2, 3),
        packet({ little }),
      );
      const frames = await all(bytes);
      assertEquals(frames.length, 3, flaw);
      const [before, found, after] = frames.map(brief);
      assertEquals([before, after], Array(2).fill([7_000n, 60, 60, undefined]));
      const wanted = flaw.replace(", 60 bytes captured of 60", "");
      assertEquals([found![0], found![2], found![3]], [time, captured, wanted]);
      if (flaw.startsWith("an option")) assertEquals(frames[1]!.direction, "out");
      if (flaw.startsWith("interface")) assertEquals(frames[1]!.interface.linkType, -1);
    }
  }
});

test("An impossible interface block keeps its number", async () => {
  const name = new TextEncoder().encode("eth1");
  const bytes = pack(
    LITTLE,
    section(),
    block(LITTLE, 1, { u16: 1 }),
    eth0(LITTLE, option(LITTLE, 2, name), option(LITTLE, 9, new Uint8Array(4), 99)),
    packet({ number: 0 }),
    packet({ number: 1 }),
  );
  const frames = await all(bytes);
  assertEquals(frames.map(brief), [
    [undefined, 60, 60, "interface 0 of 2"],
    [7_000n, 60, 60, undefined],
  ]);
  assertEquals(frames[1]!.interface.name, "eth1");
});

test("Times of any resolution and offset are read, and those beyond numbers come with a flaw", async () => {
  const seconds = (value: bigint) => new Uint8Array(new BigInt64Array([value]).buffer);
  const ticks = [0x1234_5678, 0x9abc_def0] as [number, number];
  const count = (BigInt(ticks[0]) << 32n) + BigInt(ticks[1]);
  const at = (resolution: bigint, offset = 0n) =>
    count * 1_000_000_000n / resolution + offset * 1_000_000_000n;
  const cases: [resol: number, offset: bigint | undefined, time: bigint | undefined][] = [
    [6, undefined, at(10n ** 6n)],
    [9, undefined, at(10n ** 9n)],
    [18, undefined, at(10n ** 18n)],
    [127, undefined, 0n],
    [0x80 | 10, undefined, at(2n ** 10n)],
    [0x80 | 63, undefined, at(2n ** 63n)],
    [0xff, undefined, 0n],
    [9, 100n, at(10n ** 9n, 100n)],
    // Before 1970.
    [18, -2n, at(10n ** 18n, -2n)],
    [0, undefined, undefined],
    [9, 1n << 62n, undefined],
  ];
  for (const [resol, offset, time] of cases) {
    const options = [
      option(LITTLE, 9, Uint8Array.of(resol)),
      ...(offset === undefined ? [] : [option(LITTLE, 14, seconds(offset))]),
    ];
    const [frame] = await all(
      pack(LITTLE, section(), eth0(LITTLE, ...options), packet({ time: ticks })),
    );
    assertEquals(frame!.timestamp, time, `if_tsresol ${resol}`);
    assertEquals(frame!.flaw === undefined, time !== undefined);
    if (time !== undefined) assert(frame!.nanoseconds! >= 0 && frame!.nanoseconds! < 1e9);
  }
});

/** The bytes that a writer writes. */
async function write(fn: (file: PcapngWriter) => void): Promise<Bytes> {
  const { readable, writable } = new TransformStream<Bytes>();
  const bytes = new Response(readable).bytes();
  const file = new PcapngWriter(writable);
  fn(file);
  await file.close();
  return await bytes as Bytes;
}

const frameAt = (seconds?: number, nanoseconds?: number, more: object = {}) =>
  new OwnFrame({ interface: ETH0, seconds, nanoseconds, length: 60, data: FRAME, ...more });

test("PcapngWriter writes every time of 64 bits of nanoseconds, and refuses others", async () => {
  const times: [number, number][] = [
    [4_611_686_018, 999_999_999],
    [4_611_686_019, 1],
    [18_446_744_072, 999_999_999],
    [18_446_744_073, 709_551_615],
  ];
  const bytes = await write((file) => {
    for (const time of times) file.write(frameAt(...time));
    const refused: [number, number, string][] = [
      [18_446_744_073, 709_551_616, "nanoseconds must be in 0..709551615: got 709551616"],
      [18_446_744_074, 0, "seconds must be in 0..18446744073"],
      [-1, 0, "seconds must be in 0..18446744073: got -1"],
      [1, 1_000_000_000, "nanoseconds must be in 0..999999999"],
      [1, -1, "nanoseconds must be in 0..999999999: got -1"],
    ];
    for (const [seconds, nanoseconds, message] of refused) {
      assertThrows(() => file.write(frameAt(seconds, nanoseconds)), RangeError, message);
    }
    assertThrows(
      () => file.write(frameAt(0.5, 0)),
      TypeError,
      "seconds must be an integer: got 0.5",
    );
    const where = { ...ETH0, linkType: -1 };
    const message = "interface.linkType must be in 0..65535: got -1";
    assertThrows(() => file.write(frameAt(1, 1, { interface: where })), RangeError, message);
    assertThrows(
      () => file.write(frameAt(1, 1, { length: 2 ** 32 })),
      RangeError,
      "length must be",
    );
    const statistics = { packets: 1, drops: 0, freezes: 0 };
    assertThrows(() => file.writeStatistics(ETH0, statistics, { time: -1 }), RangeError, "seconds");
    assertThrows(
      () => file.writeStatistics(ETH0, statistics, { tme: 1 } as object),
      TypeError,
      "time",
    );
  });
  const read = await all(bytes);
  assertEquals(read.map(({ seconds, nanoseconds }) => [seconds, nanoseconds]), times);
});

tsharkTest("A frame without a time is written and read without one, as by tshark", async () => {
  const bytes = await write((file) => {
    file.write(frameAt());
    file.write(frameAt(1, 2));
    const other = { ...ETH0, name: "eth1" };
    assertThrows(
      () => file.write(frameAt(undefined, 1, { interface: other })),
      TypeError,
      "no time",
    );
    assertThrows(
      () => file.write(frameAt(undefined, undefined, { length: 61 })),
      TypeError,
      "no time",
    );
  });
  const frames = await all(bytes);
  assertEquals(frames.map(brief), [[undefined, 60, 60, undefined], [
    1_000_000_002n,
    60,
    60,
    undefined,
  ]]);
  assertEquals([frames[0]!.seconds, frames[0]!.nanoseconds], [undefined, undefined]);
  assertEquals(frames[0]!.copy().timestamp, undefined);
  await withFile(bytes, (path) => {
    const rows = tsharkFile(path, "frame.time_epoch", "frame.len");
    assertEquals(rows, [["", "60"], ["1.000000002", "60"]]);
  });
});

tsharkTest("A frame longer than Wireshark reads is written up to there", async () => {
  const data = new Uint8Array(300_000).fill(7);
  const bytes = await write((file) => {
    file.write(frameAt(1, 2, { data, length: 400_000, interface: { ...ETH0, snaplen: 524_032 } }));
  });
  const [frame] = await all(bytes);
  assertEquals([frame!.capturedLength, frame!.length], [262_144, 400_000]);
  await withFile(bytes, (path) => {
    assertEquals(tsharkFile(path, "frame.cap_len", "frame.len"), [["262144", "400000"]]);
  });
  // libpcap reads it, too; tcpdump itself prints no packet of this length.
  assert(!/pcap_loop|invalid/.test((await tcpdump(bytes)).error));
});
