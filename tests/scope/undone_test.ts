import { assertEquals, assertInstanceOf } from "@std/assert";
import { undone } from "../../src/scope/namespaces.ts";

Deno.test("undone() gives the first error back when undoing works", () => {
  const first = new TypeError("first");
  assertEquals(undone(first, () => {}), first);
});

Deno.test("undone() tells both errors when undoing fails, the first one in the message", () => {
  const [first, second] = [new TypeError("first"), new TypeError("second")];
  const error = undone(first, () => {
    throw second;
  });
  assertInstanceOf(error, AggregateError);
  assertEquals(error.message, "first; undoing it failed, too");
  assertEquals(error.errors, [first, second]);
});
