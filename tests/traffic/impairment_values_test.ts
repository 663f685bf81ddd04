import { assertEquals, assertThrows } from "@std/assert";
import {
  type ImpairmentValues,
  type ImpairOptions,
  limitOf,
  mergeValues,
} from "../../src/traffic/impairment_values.ts";

const NONE: ImpairmentValues = {};

const MERGES: Record<string, [ImpairmentValues, ImpairOptions, ImpairmentValues]> = {
  "A value counts for both directions": [NONE, { delay: "20ms" }, {
    out: { delay: 20 },
    in: { delay: 20 },
  }],
  "Numbers and text mean the same": [NONE, {
    out: { delay: 20, jitter: 1.5, loss: 0.01, rate: 1e7 },
    in: { delay: "20ms", jitter: "1500us", loss: "1%", rate: "10mbit" },
  }, {
    out: { delay: 20, jitter: 1.5, loss: 0.01, rate: 1e7 },
    in: { delay: 20, jitter: 1.5, loss: 0.01, rate: 1e7 },
  }],
  "A value in out or in comes before that for both": [NONE, { loss: 0.1, out: { loss: 0.5 } }, {
    out: { loss: 0.5 },
    in: { loss: 0.1 },
  }],
  "A direction that is not named stays as it is": [
    { out: { delay: 5 }, in: { loss: 0.1 } },
    { out: { rate: 8000 } },
    { out: { delay: 5, rate: 8000 }, in: { loss: 0.1 } },
  ],
  "null takes one value off, or a direction": [
    { out: { delay: 5, loss: 0.1 }, in: { loss: 0.1 } },
    { out: { loss: null }, in: null },
    { out: { delay: 5 } },
  ],
  "0 is the same as null": [{ out: { delay: 5, loss: 0.1 } }, { loss: 0 }, { out: { delay: 5 } }],
  "Without the delay there is no reordering": [
    { out: { delay: 5, reorder: 0.1, loss: 0.1 } },
    { delay: null },
    { out: { loss: 0.1 } },
  ],
  "Without the jitter there is no distribution": [
    { out: { delay: 5, jitter: 1, distribution: "normal", keepOrder: false } },
    { jitter: 0 },
    { out: { delay: 5 } },
  ],
  "Without the loss there is no correlation of losses": [
    { out: { loss: 0.5, lossCorrelation: 0.25, delay: 5 } },
    { loss: null },
    { out: { delay: 5 } },
  ],
  "Without the delay there is no correlation of reordering": [
    { out: { delay: 5, reorder: 0.5, reorderCorrelation: 0.25, loss: 0.5 } },
    { delay: 0 },
    { out: { loss: 0.5 } },
  ],
  "A seed for both directions is another one in the second": [NONE, { loss: 0.1, seed: 7 }, {
    out: { loss: 0.1, seed: 7 },
    in: { loss: 0.1, seed: 8 },
  }],
  "The largest seed is followed by 0": [NONE, { loss: 0.1, seed: `${2n ** 64n - 1n}` }, {
    out: { loss: 0.1, seed: `${2n ** 64n - 1n}` },
    in: { loss: 0.1, seed: 0 },
  }],
  "A limit and a seed alone impair nothing": [NONE, { limit: 10, seed: 1 }, {}],
  "The default of an option is not kept": [
    NONE,
    { out: { delay: 5, jitter: 1, distribution: "uniform", keepOrder: true } },
    { out: { delay: 5, jitter: 1 } },
  ],
  "match stays until another one or null": [
    { out: { loss: 0.1 }, match: { protocol: "tcp" } },
    { loss: 0.2 },
    { out: { loss: 0.2 }, in: { loss: 0.2 }, match: { protocol: "tcp" } },
  ],
  "match: null stands for all packets": [
    { out: { loss: 0.1 }, match: { protocol: "tcp" } },
    { match: null },
    { out: { loss: 0.1 } },
  ],
};

for (const [name, [old, options, merged]] of Object.entries(MERGES)) {
  Deno.test(name, () => assertEquals(mergeValues(old, options), merged));
}

Deno.test("What values resolve to can be given again", () => {
  const values = mergeValues(NONE, {
    delay: "1.234567ms",
    jitter: "1ms",
    distribution: "pareto",
    delayCorrelation: "50%",
    keepOrder: false,
    loss: 1 / 3,
    lossCorrelation: 0.25,
    duplicate: "0.1%",
    duplicateCorrelation: 0.25,
    corrupt: 0.5,
    corruptCorrelation: 0.25,
    reorder: "25%",
    reorderCorrelation: 0.25,
    rate: "1234567bit",
    limit: 50,
    seed: 3,
  });
  assertEquals(mergeValues(NONE, values), values);
});

Deno.test("What values resolve to can be given again as JSON, with a seed of any size", () => {
  for (const seed of [7, Number.MAX_SAFE_INTEGER, `${2n ** 53n}`, `${2n ** 64n - 1n}`]) {
    const values = mergeValues(NONE, { loss: "1%", seed });
    assertEquals(values.out?.seed, seed);
    assertEquals(mergeValues(NONE, JSON.parse(JSON.stringify(values))), values);
  }
});

const REFUSED: [ImpairOptions, typeof TypeError | typeof RangeError, string][] = [
  [{ dealy: 1 } as never, TypeError, 'Unknown option "dealy": did you mean "delay"?'],
  [{ out: { los: 1 } } as never, TypeError, 'Unknown option "out.los": did you mean "out.loss"?'],
  [{ out: 5 } as never, TypeError, "out must be an object: got 5"],
  [
    { delay: "20 parsecs" },
    TypeError,
    'delay must be a time: milliseconds, or text such as "20ms"',
  ],
  [{ in: { delay: "2h" } }, TypeError, "in.delay must be a time"],
  [{ delay: "3601s" }, RangeError, 'delay must be in 0..3600000 ms: got "3601s"'],
  [{ jitter: 3000 }, RangeError, "jitter must be in 0..2147 ms: got 3000"],
  [{ loss: 5 }, RangeError, 'loss must be in 0..1, or "0%".."100%": got 5; did you mean "5%"?'],
  [{ rate: 0 }, RangeError, "null takes the limit off, loss: 1 loses all packets"],
  [{ rate: "2tbit" }, RangeError, 'rate must be in 8..1000000000000 bits per second: got "2tbit"'],
  [{ limit: 0 }, RangeError, "limit must be in 1..1000000 packets: got 0"],
  [
    { seed: -1 },
    RangeError,
    "seed must be an integer in 0..2^53-1, or text of one in 0..2^64-1: got -1",
  ],
  [{ seed: "7x" }, RangeError, 'text of one in 0..2^64-1: got "7x"'],
  [{ seed: `${2n ** 64n}` }, RangeError, 'text of one in 0..2^64-1: got "18446744073709551616"'],
  [{ distribution: "gauss" as never }, TypeError, "distribution must be one of"],
  [{ keepOrder: 1 as never }, TypeError, "keepOrder must be a boolean: got 1"],
  [{ out: { reorder: 0.1 } }, TypeError, "out.reorder needs out.delay, which is not set"],
  [{ delayCorrelation: 0.5 }, TypeError, "out.delayCorrelation needs out.jitter"],
  [{ lossCorrelation: 0.5 }, TypeError, "out.lossCorrelation needs out.loss, which is not set"],
  [{ loss: 0.1, lossCorrelation: 5 }, RangeError, "lossCorrelation must be in 0..1, or"],
  [{ correlation: 0.5 } as never, TypeError, 'Unknown option "correlation"'],
  [{ distribution: "normal" }, TypeError, "out.distribution needs out.jitter, which is not set"],
];

for (const [options, type, message] of REFUSED) {
  Deno.test(`${Deno.inspect(options)} is refused: ${message}`, () => {
    assertThrows(() => mergeValues(NONE, options), type, message);
  });
}

Deno.test("A delay alone has a longer queue than a rate", () => {
  assertEquals([limitOf({ delay: 5 }), limitOf({ rate: 8000 }), limitOf({ limit: 3 })], [
    100_000,
    1000,
    3,
  ]);
});
