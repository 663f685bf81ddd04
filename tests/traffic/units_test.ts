import { assertEquals, assertThrows } from "@std/assert";
import { parseRate, parseShare, parseSize, parseTime } from "../../src/traffic/mod.ts";

Deno.test("Amounts have tc's units", () => {
  assertEquals(["1.5s", "20ms", "100us", "64ns", "3 msec", 7].map((it) => parseTime(it)), [
    1500,
    20,
    0.1,
    0.000064,
    3,
    7,
  ]);
  assertEquals(["10mbit", "1Gbit", "125kbps", "1kibit", "8bit", 64].map((it) => parseRate(it)), [
    1e7,
    1e9,
    1e6,
    1024,
    8,
    64,
  ]);
  assertEquals(["32kb", "1mb", "1500b", "8kbit", "1k", 9].map((it) => parseSize(it)), [
    32768,
    1048576,
    1500,
    1024,
    1024,
    9,
  ]);
  assertEquals(["1%", "0.3%", 0.25, "100%"].map((it) => parseShare(it)), [0.01, 0.003, 0.25, 1]);
});

Deno.test("An amount that is none is refused, with its path, the value and the units", () => {
  for (
    const [parse, Class, message] of [
      [
        () => parseTime("20", "options.delay"),
        TypeError,
        'options.delay must be a time: milliseconds, or text such as "20ms": got "20"',
      ],
      [
        () => parseTime(-1, "options.delay"),
        RangeError,
        "options.delay must not be negative: got -1",
      ],
      [() => parseTime(NaN), TypeError, "got NaN"],
      [() => parseRate("10 mb"), TypeError, 'got "10 mb"; units are bit, bps, kbit'],
      [() => parseSize("1.0001kb"), RangeError, "must be whole bytes in 0..4294967295"],
      [() => parseSize("4gb"), RangeError, "must be whole bytes in 0..4294967295"],
      [
        () => parseShare(1.5),
        RangeError,
        'must be in 0..1, or "0%".."100%": got 1.5; did you mean "1.5%"?',
      ],
      [() => parseShare("101%"), RangeError, 'got "101%"'],
      [() => parseShare("1"), TypeError, 'got "1"; units are %'],
    ] as const
  ) assertThrows(parse, Class, message);
});
