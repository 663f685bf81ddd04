import { assertEquals } from "@std/assert";
import { type Change, changedKeys, Table } from "../../src/observe/table.ts";

Deno.test("changedKeys() finds properties that differ, appear or disappear", () => {
  assertEquals(changedKeys<object>({}, {}), []);
  assertEquals(changedKeys<object>({ a: 1, b: "x" }, { a: 1, b: "x" }), []);
  assertEquals(changedKeys<object>({ a: 1, b: 2, c: 3 }, { a: 1, b: 0, d: 4 }), [
    "b",
    "d",
    "c",
  ] as never[]);
  assertEquals(changedKeys<object>({ a: undefined }, {}), []);
  assertEquals(changedKeys<object>({ a: 0 }, { a: false }), ["a"] as never[]);
});

Deno.test("changedKeys() compares objects, lists and bytes by content", () => {
  const differs = (a: unknown, b: unknown) => changedKeys<object>({ a }, { a: b }).length > 0;
  assertEquals(differs({ b: { c: 1 } }, { b: { c: 1 } }), false);
  assertEquals(differs({ b: { c: 1 } }, { b: { c: 2 } }), true);
  assertEquals(differs(["x", "y"], ["x", "y"]), false);
  assertEquals(differs(["x", "y"], ["y", "x"]), true);
  assertEquals(differs(["x"], ["x", "y"]), true);
  assertEquals(differs(new Uint8Array([1, 2]), new Uint8Array([1, 2])), false);
  assertEquals(differs(new Uint8Array([1, 2]), new Uint8Array([1, 3])), true);
  assertEquals(differs(new Uint8Array([1]), { 0: 1 }), true);
  assertEquals(differs(null, {}), true);
});

Deno.test("changedKeys() ignores counters, running times and properties of the message", () => {
  const differ = [
    { stats: { rxBytes: 1 }, change: 0, options: { gcTimer: 1, stp: true } },
    { stats: { rxBytes: 2 }, change: 1, event: 4, options: { gcTimer: 9, stp: true } },
  ] as const;
  assertEquals(changedKeys<object>(...differ), []);
  assertEquals(changedKeys<object>({ expires: 30 }, { expires: 20 }), []);
  assertEquals(changedKeys<object>({ expires: 30 }, {}), ["expires"] as never[]);
});

Deno.test("changedKeys() compares lifetimes by the time they were set and whether they end", () => {
  const differs = (a: object, b: object) =>
    changedKeys<object>({ lifetime: a }, { lifetime: b }).length > 0;
  const ever = { valid: Infinity, preferred: Infinity };
  assertEquals(differs({ ...ever, updated: 1 }, { ...ever, updated: 2 }), false);
  const hour = { valid: 3600, preferred: 1800, updated: 5 };
  assertEquals(differs(hour, { ...hour, valid: 3000, preferred: 1200 }), false);
  assertEquals(differs(hour, { ...hour, updated: 6 }), true);
  assertEquals(differs(hour, { ...ever, updated: 5 }), true);
  assertEquals(differs({ ...ever, preferred: 5 }, { ...ever, preferred: 4 }), false);
  assertEquals(differs({ ...ever, preferred: 5 }, ever), true);
});

Deno.test("changedKeys() ignores the order of nexthops", () => {
  const [a, b] = [{ gateway: "fd00::1", oif: 1 }, { gateway: "fd00::2", oif: 1 }];
  assertEquals(changedKeys({ nexthops: [a, b] }, { nexthops: [b, a] }), []);
  assertEquals(changedKeys({ nexthops: [a, b] }, { nexthops: [b, b] }), ["nexthops"]);
});

interface Thing {
  id: number;
  name: string;
  stats?: number;
}

const brief = (changes: Change<Thing>[]) =>
  changes.map((it) => `${it.action} ${it.entry.id} ${it.entry.name}`);

Deno.test("Table returns the changes of each new reading", () => {
  const table = new Table<Thing>(({ id }) => id);
  table.fill([{ id: 1, name: "a" }]);
  assertEquals(brief(table.put({ id: 1, name: "a", stats: 7 })), []);
  assertEquals(table.get(1)?.stats, 7); // and keeps the newest
  assertEquals(table.put({ id: 1, name: "b" }), [{
    action: "change",
    entry: { id: 1, name: "b" },
    previous: { id: 1, name: "a", stats: 7 },
    changed: ["name"],
  }]);
  assertEquals(brief(table.put({ id: 2, name: "c" })), ["add 2 c"]);
  assertEquals(brief(table.remove({ id: 3, name: "?" })), []);
  assertEquals(brief(table.remove({ id: 2, name: "?" })), ["remove 2 c"]);
  assertEquals(brief(table.removeWhere(({ name }) => name === "b")), ["remove 1 b"]);
  assertEquals(table.list(), []);
});

Deno.test("Table.changesTo() returns the changes to a later table, and finds reused keys", () => {
  const isOther = (a: Thing, b: Thing) => a.name[0] !== b.name[0];
  const [before, later] = [1, 2].map(() => new Table<Thing>(({ id }) => id, isOther));
  before!.fill(
    [[1, "a"], [2, "b"], [3, "c"], [4, "d"]].map(([id, name]) => ({ id, name }) as Thing),
  );
  later!.fill(
    [[1, "a"], [2, "b2"], [3, "x"], [5, "e"]].map(([id, name]) => ({ id, name }) as Thing),
  );
  assertEquals(brief(before!.changesTo(later!)), [
    "change 2 b2",
    "remove 3 c",
    "add 3 x",
    "remove 4 d",
    "add 5 e",
  ]);
});
