import { assert, assertEquals, assertRejects } from "@std/assert";
import { PullIterator, Turn } from "../src/waiting.ts";

/** Values of a list, and waits for more. */
class Values extends PullIterator<number> {
  readonly values: (number | Error)[] = [];
  released = 0;

  constructor(signal?: AbortSignal) {
    super(signal);
  }

  push(...values: (number | Error)[]): void {
    this.values.push(...values);
    this.wake();
  }

  protected override take(): number | undefined {
    const value = this.values.shift();
    if (value instanceof Error) throw value;
    return value;
  }

  protected override wait(signal: AbortSignal): Promise<void> {
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  }

  protected override release(): void {
    this.released++;
  }
}

const DONE = { done: true, value: undefined } as const;

Deno.test("PullIterator answers overlapping calls of next() in order", async () => {
  const values = new Values();
  const answered: unknown[] = [];
  const calls = [1, 2, 3].map(() => values.next().then((it) => answered.push(it.value)));
  values.push(1);
  await calls[0];
  values.push(2, 3);
  await Promise.all(calls);
  assertEquals(answered, [1, 2, 3]);
  values.push(4);
  assertEquals((await values.next()).value, 4);
  values.close();
});

Deno.test("PullIterator ends with an error of take(), for the one call that met it", async () => {
  for (const waits of [false, true]) {
    const values = new Values();
    if (!waits) values.push(new RangeError("bad"));
    const calls = [values.next(), values.next()];
    if (waits) values.push(new RangeError("bad"), 7);
    await assertRejects(() => calls[0]!, RangeError, "bad");
    assertEquals(await calls[1], DONE);
    assertEquals(await values.next(), DONE);
    assertEquals(values.released, 1);
  }
});

Deno.test("PullIterator rejects one call with the signal's reason, and none after return()", async () => {
  const abort = (values: (controller: AbortController, values: Values) => Promise<void>) => {
    const controller = new AbortController();
    return values(controller, new Values(controller.signal));
  };
  await abort(async (controller, values) => {
    const calls = [values.next(), values.next()];
    controller.abort(new RangeError("enough"));
    await assertRejects(() => calls[0]!, RangeError, "enough");
    assertEquals(await calls[1], DONE);
    assertEquals(values.released, 1);
  });
  await abort(async (controller, values) => {
    values.push(1);
    controller.abort(new RangeError("enough"));
    await assertRejects(() => values.next(), RangeError, "enough");
    assertEquals(await values.next(), DONE);
  });
  await abort(async (controller, values) => {
    controller.abort(new RangeError("enough"));
    assertEquals(await values.return(), DONE);
    assertEquals(await values.next(), DONE);
    values.close();
    assertEquals(values.released, 1);
  });
});

Deno.test("A loop over values that are there at once leaves timers their turn", async () => {
  const values = new Values();
  values.push(...Array.from({ length: 200 }, (_, i) => i));
  let fired = false;
  setTimeout(() => fired = true, 0);
  for await (const _ of values) {
    for (const started = performance.now(); performance.now() - started < 0.1;);
    if (values.values.length === 0) break;
  }
  assert(fired);
  assertEquals(values.released, 1);
});

Deno.test("Turn.due() asks for a turn when steps and time have passed, and not before", async () => {
  const turn = new Turn(8);
  const spend = (time: number) => {
    for (const started = performance.now(); performance.now() - started < time;);
  };
  turn.taken();
  assertEquals(turn.due(8), undefined); // no time has passed
  spend(5);
  assertEquals(turn.due(7), undefined);
  let fired = false;
  setTimeout(() => fired = true, 0);
  spend(2);
  await turn.due();
  assert(fired);
  spend(5);
  turn.taken();
  assertEquals(turn.due(8), undefined);
});
