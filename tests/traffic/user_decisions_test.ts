// The decisions of the engine in this process, without a clock and without packets.
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { DirectionValues } from "../../src/traffic/impairment_values.ts";
import { Decisions, Random } from "../../src/traffic/user/decisions.ts";
import { distance, fits, kolmogorov } from "./meter.ts";

const COUNT = 10_000;

/** What becomes of frames that come one a millisecond, each of 1000 bytes: the delays of their copies. */
function fates(
  values: DirectionValues,
  count = COUNT,
  decisions = new Decisions(values),
): number[][] {
  return Array.from({ length: count }, (_, now) => {
    const copies = decisions.copies();
    return Array.from({ length: copies }, () => {
      decisions.flip(1000);
      return decisions.due(now, 1000) - now;
    });
  });
}

Deno.test("Random gives the numbers of xoshiro128**, by its reference in C", () => {
  // xoshiro128starstar.c of prng.di.unimi.it, compiled, with the state that splitmix32 makes of 1.
  const random = new Random(1n);
  const numbers = Array.from({ length: 4 }, () => random.next());
  assertEquals(numbers, [393288148, 2174103013, 3814759091, 2092745082]);
});

Deno.test("The same seed decides the same, another one something else, and none each time", () => {
  const values = { loss: 0.1, duplicate: 0.1, delay: 50, jitter: 10, keepOrder: false } as const;
  const of = (seed?: bigint) =>
    fates(seed === undefined ? values : { ...values, seed: String(seed) }, 500);
  assertEquals(of(7n), of(7n));
  assertNotEquals(of(7n), of(8n));
  assertNotEquals(of(7n), of(7n + (1n << 32n)));
  assertNotEquals(of(), of());
});

const normal = (x: number): number => {
  // Abramowitz and Stegun 7.1.26: exact to 1.5e-7.
  const t = 1 / (1 + 0.3275911 * Math.abs(x) / Math.SQRT2);
  const tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t +
    0.254829592) * t * Math.exp(-x * x / 2);
  return x < 0 ? tail / 2 : 1 - tail / 2;
};

for (
  const [name, values, expected] of [
    ["uniform", {}, (x: number) => Math.max(0, Math.min(1, (x + 1) / 2))],
    ["normal", { distribution: "normal" }, normal],
  ] as const
) {
  for (const seed of ["1", "18446744073709551615", undefined]) {
    Deno.test(`Delays with a ${name} jitter have that distribution (seed ${seed ?? "none"})`, () => {
      const all = { delay: 800, jitter: 200, keepOrder: false, ...values, ...(seed && { seed }) };
      const delays = fates(all as DirectionValues).flat();
      const d = distance(delays, (x) => expected((x - 800) / 200));
      assert(d < kolmogorov(COUNT), `the distance is ${d}`);
    });
  }
}

for (const seed of ["1", undefined]) {
  const with_ = (values: DirectionValues): DirectionValues => ({
    ...values,
    ...(seed && { seed }),
  });
  Deno.test(`Loss, duplication and reordering have their shares (seed ${seed ?? "none"})`, () => {
    const lost = fates(with_({ loss: 0.1 })).filter((it) => it.length === 0).length;
    assert(fits(lost, COUNT, 0.1), `${lost} lost`);
    const twice = fates(with_({ duplicate: 0.2 })).filter((it) => it.length === 2).length;
    assert(fits(twice, COUNT, 0.2), `${twice} twice`);
    const early = fates(with_({ delay: 9, reorder: 0.3 })).flat().filter((it) => it === 0).length;
    assert(fits(early, COUNT, 0.3), `${early} early`);
    const random = new Decisions(with_({ corrupt: 0.25 }));
    const bits = Array.from({ length: COUNT }, () => random.flip(100)).filter((bit) => bit >= 0);
    assert(fits(bits.length, COUNT, 0.25), `${bits.length} corrupt`);
    assert(distance(bits, (x) => x / 800) < kolmogorov(bits.length) + 1 / 800);
  });
}

/** The share of frames that are hit, and that of those behind a hit. */
function burstiness(hits: readonly boolean[]): [share: number, after: number] {
  const count = (it: readonly boolean[]) => it.filter(Boolean).length / it.length;
  return [count(hits), count(hits.filter((_, i) => hits[i - 1]))];
}

Deno.test("Each correlation makes hits depend on the one before, as the definition says", () => {
  const frames = 100_000;
  // x = c * before + (1 - c) * random: exact for a half by symmetry, and from 4,000,000 numbers for what follows a hit.
  const expected = [0.5, 0.639];
  const names = ["loss", "duplicate", "corrupt", "reorder"] as const;
  for (const [n, name] of names.entries()) {
    const values = { delay: 9, [name]: 0.5, [`${name}Correlation`]: 0.5, seed: 1 };
    const decisions = new Decisions(values);
    const hits = Array.from({ length: frames }, () =>
      [
        () => decisions.copies() === 0,
        () => decisions.copies() === 2,
        () => decisions.flip(100) >= 0,
        () => decisions.due(0, 100) === 0,
      ][n]!());
    for (const [i, got] of burstiness(hits).entries()) {
      assert(Math.abs(got - expected[i]!) < 0.01, `${name}: ${got}, not ${expected[i]}`);
    }
  }
});

Deno.test("A correlation of delays is that of each with the one before, and of 100% all are the same", () => {
  const delays = (delayCorrelation: number) =>
    fates({ delay: 800, jitter: 200, keepOrder: false, delayCorrelation, seed: 1 }).flat();
  const correlated = delays(0.75).map((delay) => delay - 800);
  const sum = (values: readonly number[]) => values.reduce((all, it) => all + it, 0);
  const lag = sum(correlated.slice(1).map((it, i) => it * correlated[i]!)) /
    sum(correlated.map((it) => it * it));
  assert(Math.abs(lag - 0.75) < 0.03, `${lag}`);
  assertEquals(new Set(delays(1)).size, 1);
});

Deno.test("Frames keep their order through jitter and a change of values, unless they need not", () => {
  const values = { delay: 50, jitter: 40 };
  const first = new Decisions(values);
  const times = fates(values, 500, first).flat().map((delay, now) => now + delay);
  const next = new Decisions({ delay: 1 }, first);
  times.push(
    ...fates({}, 100, next).flat().map((delay, i) => i + delay).map((it) => Math.max(it, 0)),
  );
  const [head, tail] = [times.slice(0, 500), times.slice(500)];
  assert(head.every((time, i) => i === 0 || time >= head[i - 1]!));
  assert(tail[0]! >= head.at(-1)!);
  const loose = fates({ ...values, keepOrder: false }, 500).flat().map((delay, now) => now + delay);
  assert(loose.some((time, i) => i > 0 && time < loose[i - 1]!));
});

Deno.test("A rate sends frames one behind the other, after their delay", () => {
  // 1000 bytes at 4 Mbit/s take 2 ms, and one comes each millisecond.
  const delays = fates({ rate: 4e6, delay: 10 }, 100).flat();
  assertEquals(
    delays.map((delay) => Math.round(delay * 1e6) / 1e6),
    Array.from({ length: 100 }, (_, i) => 12 + i),
  );
});

Deno.test("Delays are never below 0, and without a jitter they are exact", () => {
  assertEquals(new Set(fates({ delay: 12.5 }).flat()), new Set([12.5]));
  const delays = fates({ delay: 1, jitter: 100, keepOrder: false }).flat();
  assertEquals(Math.min(...delays), 0);
});
